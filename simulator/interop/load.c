/* See load.h. */
#include "simulator/interop/load.h"
#include "base/digest.h"
#include "base/mem.h"
#include <string.h>

#define ORCHESTRATOR "orch.example.com"

/* ---- code */

/* What a file holds: text, {"base64": …} or, of a program, {"script": text}. */
static bool content_of(const json_t *content, struct buf *bytes, int *mode) {
    const json_t *script = json_object_get(content, "script");
    *mode = script != NULL ? 0755 : 0644;
    if (json_is_string(content) || json_is_string(script)) {
        buf_append_span(bytes, json_span(script != NULL ? script : content));
        return true;
    }
    return base64_decode(bytes, json_span(json_object_get(content, "base64")));
}

/* A file, or {"link": target}. */
static bool write_file(struct world *w, const char *path, const json_t *content, struct error *err) {
    struct buf bytes = BUF_INIT;
    char *dir = str_dup(path);
    char *slash = strrchr(dir, '/');
    const char *target = json_str(content, "link");
    int mode = 0;
    bool ok = slash != NULL && (target != NULL || content_of(content, &bytes, &mode));
    if (ok) {
        *slash = '\0';
        ok = world_file_mkdir(w, dir, 0755, true, err) &&
             (target != NULL ? world_file_symlink(w, target, path, err)
                             : world_file_write(w, path, buf_span(&bytes), mode, WORLD_WRITE_PLAIN, err));
    } else {
        error_set(err, "interop", "%s: neither text nor base64, script or link", path);
    }
    buf_free(&bytes);
    mem_free(dir);
    return ok;
}

static bool write_files(struct world *w, const json_t *files, struct error *err) {
    const char *path;
    json_t *content;
    json_object_foreach((json_t *)(uintptr_t)files, path, content) {
        if (!write_file(w, path, content, err)) {
            return false;
        }
    }
    return true;
}

bool load_code(const struct fixture *f, const char *path, struct error *err) {
    json_t *files = fixture_read(f, path, err);
    bool ok =
        files != NULL && write_files(f->world, files, err) && write_files(f->world, fixture_added(f, "files"), err);
    json_decref(files);
    return ok;
}

/* ---- a state as commands */

/* The keys of each payload as Puppet's PuppetDB terminus sends them, with what stands there when the state is silent.
 */
struct key {
    const char *name;
    const char *absent; /* JSON; NULL: left out */
};
static const struct key facts_keys[] = {{"certname", NULL},
                                        {"environment", "\"production\""},
                                        {"producer_timestamp", NULL},
                                        {"producer", "\"puppet.example.com\""},
                                        {NULL, NULL}};
static const struct key catalog_keys[] = {{"certname", NULL},
                                          {"version", "\"1\""},
                                          {"environment", "\"production\""},
                                          {"transaction_uuid", "null"},
                                          {"catalog_uuid", "null"},
                                          {"producer_timestamp", NULL},
                                          {"producer", "\"puppet.example.com\""},
                                          {"code_id", "null"},
                                          {"job_id", "null"},
                                          {"edges", "[]"},
                                          {NULL, NULL}};
static const struct key resource_keys[] = {{"type", NULL},        {"title", NULL},      {"aliases", "[]"},
                                           {"exported", "false"}, {"file", "null"},     {"line", "null"},
                                           {"tags", "[]"},        {"parameters", "{}"}, {NULL, NULL}};
static const struct key report_keys[] = {{"certname", NULL},
                                         {"puppet_version", "\"7.23.0\""},
                                         {"report_format", "12"},
                                         {"configuration_version", "\"1\""},
                                         {"start_time", NULL},
                                         {"end_time", NULL},
                                         {"producer_timestamp", NULL},
                                         {"producer", "\"puppet.example.com\""},
                                         {"corrective_change", "null"},
                                         {"resources", "[]"},
                                         {"noop", "false"},
                                         {"noop_pending", "false"},
                                         {"transaction_uuid", "null"},
                                         {"catalog_uuid", "null"},
                                         {"code_id", "null"},
                                         {"job_id", "null"},
                                         {"cached_catalog_status", "\"not_used\""},
                                         {"metrics", "[]"},
                                         {"logs", "[]"},
                                         {"environment", "\"production\""},
                                         {"status", "\"unchanged\""},
                                         {"type", "\"agent\""},
                                         {NULL, NULL}};
static const struct key report_resource_keys[] = {
    {"skipped", "false"}, {"timestamp", NULL}, {"resource_type", NULL},    {"resource_title", NULL},
    {"file", "null"},     {"line", "null"},    {"containment_path", "[]"}, {"corrective_change", "null"},
    {NULL, NULL}};
static const struct key event_keys[] = {
    {"status", NULL},      {"corrective_change", "null"}, {"timestamp", NULL}, {"property", "null"},
    {"new_value", "null"}, {"old_value", "null"},         {"message", "null"}, {"name", "null"},
    {NULL, NULL}};

static json_t *pick(const struct key *keys, const json_t *from, const json_t *also) {
    json_t *out = json_object();
    for (const struct key *k = keys; k->name != NULL; k++) {
        json_t *value = json_object_get(from, k->name);
        value = value != NULL ? value : json_object_get(also, k->name);
        if (value != NULL) {
            json_object_set(out, k->name, value);
        } else if (k->absent != NULL) {
            json_set(out, k->name, json_loads(k->absent, JSON_DECODE_ANY, NULL));
        }
    }
    return out;
}

static json_t *pick_all(const struct key *keys, const json_t *list) {
    json_t *out = json_array(), *item;
    size_t i;
    json_array_foreach(list, i, item) {
        json_array_append_new(out, pick(keys, item, NULL));
    }
    return out;
}

static void add(json_t *commands, const char *command, int version, json_t *payload) {
    json_array_append_new(commands, json_pack("{s:s, s:i, s:s, s:o}", "command", command, "version", version,
                                              "certname", json_str(payload, "certname"), "payload", payload));
}

static void add_facts(json_t *commands, const json_t *node) {
    json_t *values = json_object_get(node, "facts");
    if (values != NULL) {
        json_t *payload = pick(facts_keys, node, NULL);
        json_object_set(payload, "values", values);
        if (json_object_get(node, "packages") != NULL) {
            json_object_set(payload, "package_inventory", json_object_get(node, "packages"));
        }
        add(commands, "replace facts", 5, payload);
    }
}

static void add_catalog(json_t *commands, const json_t *node) {
    const json_t *catalog = json_object_get(node, "catalog");
    if (json_is_object(catalog)) {
        json_t *payload = pick(catalog_keys, catalog, node);
        json_set(payload, "resources", pick_all(resource_keys, json_object_get(catalog, "resources")));
        add(commands, "replace catalog", 9, payload);
    }
}

static void add_nodes(json_t *commands, const json_t *nodes) {
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node) {
        add_facts(commands, node);
        add_catalog(commands, node);
    }
}

/* Resources and their events as they were, with what PuppetDB does not store but the command has. */
static json_t *report_resources(const json_t *list) {
    json_t *out = json_array(), *item;
    size_t i;
    json_array_foreach(list, i, item) {
        json_t *resource = pick(report_resource_keys, item, NULL);
        json_set(resource, "events", pick_all(event_keys, json_object_get(item, "events")));
        json_array_append_new(out, resource);
    }
    return out;
}

static void add_reports(json_t *commands, const json_t *reports) {
    size_t i;
    json_t *report;
    json_array_foreach(reports, i, report) {
        json_t *payload = pick(report_keys, report, NULL);
        json_set(payload, "resources", report_resources(json_object_get(report, "resources")));
        add(commands, "store report", 8, payload);
    }
}

static void add_deactivations(json_t *commands, const json_t *nodes) {
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node) {
        const char *when = json_str(node, "deactivated");
        if (when != NULL) {
            add(commands, "deactivate node", 3,
                json_pack("{s:s, s:s}", "certname", json_str(node, "certname"), "producer_timestamp", when));
        }
    }
}

json_t *load_commands(const struct fixture *f, const char *state_path, struct error *err) {
    json_t *state = fixture_read(f, state_path, err);
    if (state == NULL) {
        return NULL;
    }
    json_t *commands = json_array();
    const json_t *sources[] = {state, f->changes};
    for (size_t i = 0; i < 2; i++) {
        add_nodes(commands, json_object_get(sources[i], "nodes"));
    }
    for (size_t i = 0; i < 2; i++) {
        add_reports(commands, json_object_get(sources[i], "reports"));
    }
    for (size_t i = 0; i < 2; i++) { /* a later command would make the node active again */
        add_deactivations(commands, json_object_get(sources[i], "nodes"));
    }
    json_decref(state);
    return commands;
}

/* ---- sending */

static bool send_one(struct asker *a, const char *base_url, const json_t *command, struct error *err) {
    const char *name = json_str(command, "command"), *certname = json_str(command, "certname");
    char *underscored = str_dup(name);
    for (char *p = underscored; *p != '\0'; p++) {
        *p = *p == ' ' ? '_' : *p;
    }
    char *target = str_printf("/pdb/cmd/v1?command=%s&version=%lld&certname=%s&secondsToWaitForCompletion=60",
                              underscored, (long long)json_int(command, "version", 0), certname);
    char *body = json_text(json_object_get(command, "payload"));
    json_t *headers = json_pack("{s:s, s:s}", "Content-Type", "application/json", "Accept", "application/json");
    struct answer answer;
    bool ok = asker_ask(a, base_url, "POST", target, ORCHESTRATOR, headers, span_of(body), &answer, err);
    if (ok) {
        json_t *reply = json_loadb(answer.body.ptr != NULL ? answer.body.ptr : "", answer.body.len, 0, NULL);
        if (answer.status != 200 || !json_bool(reply, "processed", false) || json_str(reply, "error") != NULL) {
            ok = error_set(err, "interop", "%s did not take \"%s\" of %s: %d %.500s", base_url, name, certname,
                           answer.status, answer.body.len > 0 ? answer.body.ptr : answer.failure);
        }
        json_decref(reply);
        answer_clear(&answer);
    }
    json_decref(headers);
    mem_free(underscored);
    mem_free(target);
    mem_free(body);
    return ok;
}

bool load_send(struct asker *a, const char *base_url, const json_t *commands, struct error *err) {
    size_t i;
    json_t *command;
    json_array_foreach(commands, i, command) {
        if (!send_one(a, base_url, command, err)) {
            return false;
        }
    }
    return true;
}
