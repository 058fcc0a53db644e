/* Reports: "store report". The events of a report are those of its resources; a skipped resource has one of its own. */
#include "base/json.h"
#include "base/mem.h"
#include "hash.h"
#include "store.h"
#include <string.h>

/* The class a resource is in: the last step of the path that is no resource, or none. */
static char *containing_class(const json_t *path) {
    for (size_t i = json_array_size(path); i > 0; i--) {
        struct span step = json_span(json_array_get(path, i - 1));
        if (step.len > 0 && span_find(step, '[') < 0) {
            return span_dup(step);
        }
    }
    return NULL;
}

static const json_t *corrective(const struct pdb *s, const json_t *of) {
    return s->keeps_corrective ? json_object_get(of, "corrective_change") : NULL;
}

static void add_event(struct pdb *s, int64_t report, const json_t *resource, const json_t *event) {
    const json_t *path = json_object_get(resource, "containment_path");
    char *class_name = containing_class(path);
    int64_t skipped_at = pdb_time(resource, "timestamp", 0);
    const char *status = event != NULL ? json_str(event, "status") : "skipped";
    pdb_run(s,
            "INSERT INTO event(report, status, timestamp, resource_type, resource_title, property, name, new_value, "
            "old_value, message, file, line, containment_path, containing_class, corrective_change) VALUES(?, ?, ?, ?, "
            "?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            "iTiTTTTjjTTjjTB", report, status != NULL ? status : "success",
            event != NULL ? pdb_time(event, "timestamp", skipped_at) : skipped_at, json_str(resource, "resource_type"),
            json_str(resource, "resource_title"), json_str(event, "property"),
            event != NULL ? json_str(event, "name") : json_str(resource, "name"), json_object_get(event, "new_value"),
            json_object_get(event, "old_value"), json_str(event, "message"), json_str(resource, "file"),
            json_object_get(resource, "line"), path, class_name, corrective(s, event != NULL ? event : resource));
    mem_free(class_name);
}

static void add_events(struct pdb *s, int64_t report, const json_t *resources) {
    size_t i, k;
    json_t *resource, *event;
    json_array_foreach(resources, i, resource) {
        if (json_str(resource, "resource_type") == NULL || json_str(resource, "resource_title") == NULL) {
            continue;
        }
        if (json_bool(resource, "skipped", false)) {
            add_event(s, report, resource, NULL);
            continue;
        }
        json_array_foreach(json_object_get(resource, "events"), k, event) {
            add_event(s, report, resource, event);
        }
    }
}

static bool check_payload(const json_t *payload, struct error *err) {
    static const char *const texts[] = {"certname", "puppet_version", "configuration_version", "environment"};
    static const char *const times[] = {"producer_timestamp", "start_time", "end_time"};
    static const char *const lists[] = {"resources", "metrics", "logs"};
    int64_t ms;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (pdb_need_text(payload, texts[i], err) == NULL) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        if (!pdb_need_time(payload, times[i], &ms, err)) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const json_t *list = json_object_get(payload, lists[i]);
        if (!json_is_array(list) && !json_is_null(list)) {
            return error_set(err, "puppetdb/payload", "the payload needs the list '%s'", lists[i]);
        }
    }
    if (!json_is_integer(json_object_get(payload, "report_format"))) {
        return error_set(err, "puppetdb/payload", "the payload needs the number 'report_format'");
    }
    return true;
}

/* Its id, or 0 when it is there already. */
static int64_t insert_report(struct pdb *s, int64_t node, const char *hash, const json_t *payload, int64_t now_ms) {
    const char *type = json_str(payload, "type");
    pdb_run(s,
            "INSERT INTO report(hash, node, environment, status, type, job_id, noop, noop_pending, corrective_change, "
            "puppet_version, report_format, configuration_version, start_time, end_time, producer_timestamp, producer, "
            "receive_time, "
            "transaction_uuid, catalog_uuid, code_id, cached_catalog_status, metrics, logs) VALUES(?, ?, ?, ?, ?, ?, "
            "?, ?, ?, "
            "?, ?, ?, ?, ?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?) "
            "ON CONFLICT(hash) DO NOTHING",
            "TiiTTTBBBTiTiiiiiTTTTjj", hash, node, pdb_environment(s, json_str(payload, "environment")),
            json_str(payload, "status"), type != NULL ? type : "agent", json_str(payload, "job_id"),
            json_object_get(payload, "noop"), json_object_get(payload, "noop_pending"), corrective(s, payload),
            json_str(payload, "puppet_version"), json_int(payload, "report_format", 0),
            json_str(payload, "configuration_version"), pdb_time(payload, "start_time", 0),
            pdb_time(payload, "end_time", 0), pdb_time(payload, "producer_timestamp", 0),
            pdb_producer(s, json_str(payload, "producer")), pdb_time(payload, "receive_time", now_ms),
            json_str(payload, "transaction_uuid"), json_str(payload, "catalog_uuid"), json_str(payload, "code_id"),
            json_str(payload, "cached_catalog_status"), json_object_get(payload, "metrics"),
            json_object_get(payload, "logs"));
    return sqlite3_changes(s->db) != 0 ? sqlite3_last_insert_rowid(s->db) : 0;
}

bool pdb_add_report(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err) {
    if (!check_payload(payload, err)) {
        return false;
    }
    char computed[HASH_HEX_LEN + 1];
    const char *hash = json_str(payload, "hash");
    if (hash == NULL) {
        hash_of_report(payload, computed);
        hash = computed;
    }
    const char *type = json_str(payload, "type");
    int64_t produced = pdb_time(payload, "producer_timestamp", 0);
    pdb_begin(s);
    int64_t node = pdb_node(s, json_str(payload, "certname"));
    pdb_reactivate(s, node, produced);
    int64_t report = insert_report(s, node, hash, payload, now_ms);
    if (report != 0) {
        add_events(s, report, json_object_get(payload, "resources"));
        if (type == NULL || strcmp(type, "agent") == 0) {
            pdb_run(s,
                    "UPDATE node SET latest_report = ?1, latest_report_time = ?2 WHERE id = ?3 AND "
                    "ifnull(latest_report_time, ?2) <= ?2",
                    "iii", report, produced, node);
        }
    }
    pdb_end(s, true);
    return true;
}
