/* Catalogs: "replace catalog", "replace catalog inputs". */
#include "base/json.h"
#include "base/mem.h"
#include "hash.h"
#include "jsontext.h"
#include "store.h"
#include "textset.h"
#include <string.h>

/* Parameters are kept once for all resources that are alike. */
static void add_parameters(struct pdb *s, const char *hash, const json_t *parameters) {
    if (pdb_number(s, 0, "SELECT 1 FROM parameters WHERE hash = ?", "T", hash) != 0) {
        return;
    }
    pdb_run(s, "INSERT INTO parameters(hash, json) VALUES(?, ?)", "Tj", hash, parameters);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)parameters, name, value) {
        struct buf text = BUF_INIT;
        jsontext_append_sorted(&text, value);
        pdb_run(s, "INSERT INTO param(hash, name, value) VALUES(?, ?, ?)", "TTt", hash, name, buf_span(&text));
        buf_free(&text);
    }
}

static bool add_resource(struct pdb *s, int64_t node, const json_t *resource, struct error *err) {
    const char *type = json_str(resource, "type"), *title = json_str(resource, "title");
    if (type == NULL || title == NULL) {
        return error_set(err, "puppetdb/payload", "a resource needs the texts 'type' and 'title'");
    }
    json_t *parameters = json_object_get(resource, "parameters");
    parameters = json_is_object(parameters) ? json_incref(parameters) : json_object();
    json_t *tags = json_object_get(resource, "tags");
    tags = json_is_array(tags) ? json_incref(tags) : json_array();
    const json_t *line = json_object_get(resource, "line");
    char hash[HASH_HEX_LEN + 1];
    hash_of_resource(resource, hash);
    const char *given = json_str(resource, "resource");
    if (given != NULL && strlen(given) == HASH_HEX_LEN) {
        memcpy(hash, given, sizeof hash);
    }
    add_parameters(s, hash, parameters);
    pdb_run(s,
            "INSERT INTO resource(node, hash, type, title, tags, exported, file, line) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
            "iTTTjbTj", node, hash, type, title, tags, json_bool(resource, "exported", false) ? 1 : 0,
            json_str(resource, "file"), line);
    json_decref(parameters);
    json_decref(tags);
    return true;
}

static bool add_edge(struct pdb *s, int64_t node, const json_t *edge, struct error *err) {
    const json_t *source = json_object_get(edge, "source"), *target = json_object_get(edge, "target");
    const char *ends[] = {json_str(source, "type"), json_str(source, "title"), json_str(target, "type"),
                          json_str(target, "title"), json_str(edge, "relationship")};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (ends[i] == NULL) {
            return error_set(err, "puppetdb/payload", "an edge needs source, target and relationship");
        }
    }
    pdb_run(
        s,
        "INSERT INTO edge(node, source_type, source_title, target_type, target_title, relationship) VALUES(?, ?, ?, ?, "
        "?, ?)",
        "iTTTTT", node, ends[0], ends[1], ends[2], ends[3], ends[4]);
    return true;
}

static bool replace_contents(struct pdb *s, int64_t node, const json_t *payload, struct error *err) {
    pdb_run(s, "DELETE FROM resource WHERE node = ?", "i", node);
    pdb_run(s, "DELETE FROM edge WHERE node = ?", "i", node);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(payload, "resources"), i, item) {
        if (!add_resource(s, node, item, err)) {
            return false;
        }
    }
    json_array_foreach(json_object_get(payload, "edges"), i, item) {
        if (!add_edge(s, node, item, err)) {
            return false;
        }
    }
    return true;
}

static void replace_head(struct pdb *s, int64_t node, const json_t *payload, int64_t produced, int64_t now_ms) {
    char hash[HASH_HEX_LEN + 1];
    hash_of_catalog(payload, hash);
    const char *given = json_str(payload, "hash");
    pdb_run(
        s,
        "INSERT OR REPLACE INTO catalog(node, version, environment, hash, transaction_uuid, catalog_uuid, code_id, "
        "job_id, producer_timestamp, producer, timestamp) VALUES(?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, nullif(?, 0), "
        "?)",
        "iTiTTTTTiii", node, json_str(payload, "version"), pdb_environment(s, json_str(payload, "environment")),
        given != NULL ? given : hash, json_str(payload, "transaction_uuid"), json_str(payload, "catalog_uuid"),
        json_str(payload, "code_id"), json_str(payload, "job_id"), produced,
        pdb_producer(s, json_str(payload, "producer")), pdb_time(payload, "timestamp", now_ms));
}

/* The payload with the tags of resources as sets; the rest is shared. */
static json_t *with_tag_sets(const json_t *payload) {
    json_t *own = json_copy((json_t *)(uintptr_t)payload), *resources = json_array(), *item;
    size_t i;
    json_array_foreach(json_object_get(payload, "resources"), i, item) {
        json_t *tags = json_object_get(item, "tags");
        json_t *resource = json_is_array(tags) ? json_copy(item) : json_incref(item);
        if (json_is_array(tags)) {
            json_set(resource, "tags", textset_of(tags));
        }
        json_array_append_new(resources, resource);
    }
    json_set(own, "resources", resources);
    return own;
}

bool pdb_replace_catalog(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err) {
    const char *certname = pdb_need_text(payload, "certname", err);
    int64_t produced;
    if (certname == NULL || pdb_need_text(payload, "version", err) == NULL ||
        !pdb_need_time(payload, "producer_timestamp", &produced, err)) {
        return false;
    }
    if (!json_is_array(json_object_get(payload, "resources")) || !json_is_array(json_object_get(payload, "edges"))) {
        return error_set(err, "puppetdb/payload", "the payload needs the lists 'resources' and 'edges'");
    }
    json_t *own = with_tag_sets(payload);
    pdb_begin(s);
    int64_t node = pdb_node(s, certname);
    int64_t newest = pdb_number(s, INT64_MIN, "SELECT producer_timestamp FROM catalog WHERE node = ?", "i", node);
    pdb_reactivate(s, node, produced);
    bool ok = true;
    if (produced >= newest) {
        ok = replace_contents(s, node, own, err);
        replace_head(s, node, own, produced, now_ms);
    }
    pdb_end(s, ok);
    json_decref(own);
    return ok;
}

bool pdb_replace_catalog_inputs(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err) {
    (void)now_ms;
    const char *certname = pdb_need_text(payload, "certname", err);
    int64_t produced;
    if (certname == NULL || !pdb_need_time(payload, "producer_timestamp", &produced, err)) {
        return false;
    }
    const json_t *inputs = json_object_get(payload, "inputs");
    if (!json_is_array(inputs)) {
        return error_set(err, "puppetdb/payload", "the payload needs the list 'inputs'");
    }
    pdb_begin(s);
    int64_t node = pdb_node(s, certname);
    if (produced >= pdb_number(s, INT64_MIN, "SELECT inputs_time FROM node WHERE id = ?", "i", node)) {
        pdb_run(s, "UPDATE node SET inputs_time = ?, inputs_uuid = ? WHERE id = ?", "iTi", produced,
                json_str(payload, "catalog_uuid"), node);
        pdb_run(s, "DELETE FROM catalog_input WHERE node = ?", "i", node);
        size_t i;
        json_t *input;
        json_array_foreach(inputs, i, input) {
            const char *type = json_string_value(json_array_get(input, 0));
            const char *name = json_string_value(json_array_get(input, 1));
            if (type != NULL && name != NULL) {
                pdb_run(s, "INSERT INTO catalog_input(node, type, name) VALUES(?, ?, ?)", "iTT", node, type, name);
            }
        }
    }
    pdb_end(s, true);
    return true;
}
