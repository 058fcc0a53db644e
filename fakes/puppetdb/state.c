/* The state as JSON: loading goes through the commands; dumping gives what loads to the same. */
#include "base/clock.h"
#include "internal.h"
#include <string.h>

static const char default_producer[] = "pp.lab.example";
static const char default_environment[] = "production";

/* ---------------------------------------------------------------- loading */

static void set_if_absent(json_t *object, const char *key, json_t *value) {
    if (json_object_get(object, key) == NULL) {
        json_set(object, key, value);
    } else {
        json_decref(value);
    }
}

static json_t *time_text(int64_t ms) {
    char text[TIME_TEXT_LEN];
    time_format_ms(ms, text);
    return json_string(text);
}

static void copy_key(json_t *to, const char *to_key, const json_t *from, const char *from_key) {
    json_t *value = json_object_get(from, from_key);
    if (value != NULL && !json_is_null(value)) {
        json_object_set(to, to_key, value);
    }
}

/* What every payload has: whose it is, where from, and when. */
static json_t *payload_of(const json_t *node, int64_t now_ms) {
    json_t *payload = json_object();
    copy_key(payload, "certname", node, "certname");
    copy_key(payload, "environment", node, "environment");
    copy_key(payload, "producer", node, "producer");
    copy_key(payload, "producer_timestamp", node, "producer_timestamp");
    set_if_absent(payload, "environment", json_string(default_environment));
    set_if_absent(payload, "producer", json_string(default_producer));
    set_if_absent(payload, "producer_timestamp", time_text(now_ms));
    return payload;
}

static bool load_facts(struct pdb *s, const json_t *node, int64_t now_ms, struct error *err) {
    json_t *facts = json_object_get(node, "facts");
    if (facts == NULL) {
        return true;
    }
    json_t *payload = payload_of(node, now_ms);
    json_t *values = json_is_object(facts) ? json_copy(facts) : json_incref(facts);
    json_t *trusted = json_object_get(node, "trusted");
    if (trusted != NULL && json_is_object(values)) {
        json_object_set(values, "trusted", trusted);
    }
    json_set(payload, "values", values);
    copy_key(payload, "package_inventory", node, "packages");
    copy_key(payload, "timestamp", node, "facts_timestamp");
    copy_key(payload, "hash", node, "facts_hash");
    bool ok = pdb_replace_facts(s, payload, now_ms, err);
    json_decref(payload);
    return ok;
}

static bool load_catalog(struct pdb *s, const json_t *node, int64_t now_ms, struct error *err) {
    const json_t *given = json_object_get(node, "catalog");
    if (!json_is_object(given) && json_object_get(node, "resources") == NULL) {
        return true;
    }
    json_t *payload = payload_of(node, now_ms);
    copy_key(payload, "resources", node, "resources");
    if (json_is_object(given)) {
        json_object_update(payload, (json_t *)(uintptr_t)given);
    }
    set_if_absent(payload, "version", json_string("1"));
    set_if_absent(payload, "resources", json_array());
    set_if_absent(payload, "edges", json_array());
    bool ok = pdb_replace_catalog(s, payload, now_ms, err);
    json_decref(payload);
    return ok;
}

bool puppetdb_load_node(struct pdb *s, const json_t *node, int64_t now_ms, struct error *err) {
    const char *certname = pdb_need_text(node, "certname", err);
    if (certname == NULL || !load_facts(s, node, now_ms, err) || !load_catalog(s, node, now_ms, err)) {
        return false;
    }
    int64_t id = pdb_node(s, certname);
    pdb_run(s, "UPDATE node SET deactivated = ?, expired = ? WHERE id = ?", "mmi", pdb_time(node, "deactivated", -1),
            pdb_time(node, "expired", -1), id);
    const json_t *expires = json_object_get(node, "expires_facts");
    pdb_run(s, "UPDATE node SET expires_facts = ?, expires_facts_updated = ? WHERE id = ?", "Bmi", expires,
            pdb_time(node, "expires_facts_updated", -1), id);
    json_t *inputs = json_object_get(node, "catalog_inputs");
    return inputs == NULL || pdb_replace_catalog_inputs(s, inputs, now_ms, err);
}

bool puppetdb_load_report(struct pdb *s, const json_t *given, int64_t now_ms, struct error *err) {
    json_t *report = json_copy((json_t *)(uintptr_t)given);
    set_if_absent(report, "environment", json_string(default_environment));
    set_if_absent(report, "producer", json_string(default_producer));
    set_if_absent(report, "puppet_version", json_string("7.23.0"));
    set_if_absent(report, "report_format", json_integer(12));
    set_if_absent(report, "configuration_version", json_string("1"));
    set_if_absent(report, "end_time", time_text(now_ms));
    copy_key(report, "start_time", report, json_object_get(report, "start_time") != NULL ? "start_time" : "end_time");
    copy_key(report, "producer_timestamp", report,
             json_object_get(report, "producer_timestamp") != NULL ? "producer_timestamp" : "end_time");
    set_if_absent(report, "status", json_string("unchanged"));
    set_if_absent(report, "noop", json_false());
    static const char *const lists[] = {"resources", "metrics", "logs"};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        set_if_absent(report, lists[i], json_array());
    }
    bool ok = pdb_add_report(s, report, now_ms, err);
    json_decref(report);
    return ok;
}

static bool load_list(struct pdb *s, const json_t *state, const char *key,
                      bool (*load)(struct pdb *, const json_t *, int64_t, struct error *), int64_t now_ms,
                      struct error *err) {
    const json_t *list = json_object_get(state, key);
    if (list != NULL && !json_is_array(list)) {
        return error_set(err, "puppetdb/state", "'%s' must be a list", key);
    }
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        if (!load(s, item, now_ms, err)) {
            return error_prefix(err, "%s[%zu]", key, i);
        }
    }
    return true;
}

static bool load_name(struct pdb *s, const json_t *name, int64_t now_ms, struct error *err) {
    (void)now_ms;
    if (!json_is_string(name)) {
        return error_set(err, "puppetdb/state", "a name must be text");
    }
    pdb_environment(s, json_string_value(name));
    return true;
}

static bool check_keys(const json_t *state, struct error *err) {
    static const char *const keys[] = {"nodes",     "reports",     "environments",
                                       "allowlist", "maintenance", "corrective_changes"};
    const char *key;
    json_t *value;
    if (!json_is_object(state)) {
        return error_set(err, "puppetdb/state", "the state must be an object");
    }
    json_object_foreach((json_t *)(uintptr_t)state, key, value) {
        bool known = false;
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            known = known || strcmp(key, keys[i]) == 0;
        }
        if (!known) {
            return error_set(err, "puppetdb/state", "unknown key '%s'", key);
        }
    }
    const json_t *allowlist = json_object_get(state, "allowlist");
    if (allowlist != NULL && !json_is_array(allowlist) && !json_is_null(allowlist)) {
        return error_set(err, "puppetdb/state", "'allowlist' must be a list of names or null");
    }
    return true;
}

bool puppetdb_load(struct fake *f, const json_t *state, struct error *err) {
    struct fake_puppetdb *p = puppetdb_of(f);
    if (!check_keys(state, err)) {
        return false;
    }
    int64_t now_ms = fake_now_ms(f);
    bool kept_corrective = p->store->keeps_corrective;
    puppetdb_settle(p);
    pdb_keep_promises(p->store);
    pdb_begin(p->store);
    if (!p->keep_stored) {
        pdb_clear(p->store);
    }
    p->store->keeps_corrective = json_bool(state, "corrective_changes", false);
    bool ok = load_list(p->store, state, "environments", load_name, now_ms, err) &&
              load_list(p->store, state, "nodes", puppetdb_load_node, now_ms, err) &&
              load_list(p->store, state, "reports", puppetdb_load_report, now_ms, err);
    pdb_end(p->store, ok);
    p->store->keeps_corrective = ok ? p->store->keeps_corrective : kept_corrective;
    if (ok && state == f->initial && p->opts.generate > 0) {
        fake_puppetdb_generate(p, p->opts.generate, p->opts.seed, "example.com");
    }
    if (ok) {
        json_decref(p->allowlist);
        json_t *allowlist = json_object_get(state, "allowlist");
        p->allowlist = json_is_array(allowlist) ? json_deep_copy(allowlist) : NULL;
        p->maintenance = json_bool(state, "maintenance", false);
        p->database_down = false;
    }
    return ok;
}

/* ---------------------------------------------------------------- dumping */

static json_t *text_column(sqlite3_stmt *q, int column) {
    const char *text = (const char *)sqlite3_column_text(q, column);
    return text != NULL ? json_stringn(text, (size_t)sqlite3_column_bytes(q, column)) : json_null();
}

static json_t *json_column(sqlite3_stmt *q, int column) {
    const char *text = (const char *)sqlite3_column_text(q, column);
    json_t *value =
        text != NULL ? json_loadb(text, (size_t)sqlite3_column_bytes(q, column), JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL)
                     : NULL;
    return value != NULL ? value : json_null();
}

static json_t *time_column(sqlite3_stmt *q, int column) {
    return sqlite3_column_type(q, column) == SQLITE_NULL ? json_null() : time_text(sqlite3_column_int64(q, column));
}

static json_t *flag_column(sqlite3_stmt *q, int column) {
    return sqlite3_column_type(q, column) == SQLITE_NULL ? json_null()
                                                         : json_boolean(sqlite3_column_int(q, column) != 0);
}

static json_t *number_column(sqlite3_stmt *q, int column) {
    return sqlite3_column_type(q, column) == SQLITE_NULL ? json_null() : json_integer(sqlite3_column_int64(q, column));
}

/* One column of a dumped object: its key, and how it is read. */
struct dumped {
    const char *key;
    json_t *(*read)(sqlite3_stmt *q, int column);
};

static json_t *read_row(sqlite3_stmt *q, const struct dumped *columns) {
    json_t *row = json_object();
    for (int i = 0; columns[i].key != NULL; i++) {
        json_set(row, columns[i].key, columns[i].read(q, i));
    }
    return row;
}

static json_t *read_rows(struct pdb *s, const char *sql, int64_t id, const struct dumped *columns) {
    json_t *rows = json_array();
    sqlite3_stmt *q = pdb_query(s, sql, "i", id);
    while (sqlite3_step(q) == SQLITE_ROW) {
        json_array_append_new(rows, read_row(q, columns));
    }
    sqlite3_reset(q);
    return rows;
}

static const struct dumped resource_columns[] = {
    {"type", text_column},       {"title", text_column},    {"tags", json_column},
    {"exported", flag_column},   {"file", text_column},     {"line", number_column},
    {"parameters", json_column}, {"resource", text_column}, {NULL, NULL}};
static const struct dumped edge_columns[] = {
    {"source", json_column}, {"target", json_column}, {"relationship", text_column}, {NULL, NULL}};
static const struct dumped catalog_columns[] = {{"version", text_column},
                                                {"environment", text_column},
                                                {"hash", text_column},
                                                {"transaction_uuid", text_column},
                                                {"catalog_uuid", text_column},
                                                {"code_id", text_column},
                                                {"job_id", text_column},
                                                {"producer_timestamp", time_column},
                                                {"producer", text_column},
                                                {"timestamp", time_column},
                                                {NULL, NULL}};

static json_t *dump_catalog(struct pdb *s, int64_t node) {
    json_t *rows =
        read_rows(s,
                  "SELECT c.version, e.name, c.hash, c.transaction_uuid, c.catalog_uuid, c.code_id, c.job_id, "
                  "c.producer_timestamp, p.name, c.timestamp FROM catalog c LEFT JOIN environment e ON e.id = "
                  "c.environment LEFT JOIN producer p ON p.id = c.producer WHERE c.node = ?",
                  node, catalog_columns);
    json_t *catalog = json_incref(json_array_get(rows, 0));
    json_decref(rows);
    if (catalog == NULL) {
        return json_null();
    }
    json_set(catalog, "resources",
             read_rows(s,
                       "SELECT r.type, r.title, r.tags, r.exported, r.file, r.line, p.json, r.hash FROM resource r "
                       "LEFT JOIN parameters "
                       "p ON p.hash = r.hash WHERE r.node = ? ORDER BY r.id",
                       node, resource_columns));
    json_set(
        catalog, "edges",
        read_rows(s,
                  "SELECT json_object('type', source_type, 'title', source_title), json_object('type', target_type, "
                  "'title', target_title), relationship FROM edge WHERE node = ? ORDER BY id",
                  node, edge_columns));
    return catalog;
}

static const struct dumped package_columns[] = {
    {"name", text_column}, {"version", text_column}, {"provider", text_column}, {NULL, NULL}};

static json_t *dump_packages(struct pdb *s, int64_t node) {
    json_t *rows =
        read_rows(s,
                  "SELECT k.name, k.version, k.provider FROM node_package np JOIN package k ON k.id = np.package "
                  "WHERE np.node = ? ORDER BY k.id",
                  node, package_columns);
    json_t *list = json_array();
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        json_array_append_new(list, json_pack("[O, O, O]", json_object_get(row, "name"),
                                              json_object_get(row, "version"), json_object_get(row, "provider")));
    }
    json_decref(rows);
    return list;
}

static json_t *dump_facts(struct pdb *s, int64_t node) {
    json_t *facts = json_object();
    sqlite3_stmt *q = pdb_query(
        s, "SELECT n.name, f.value FROM fact f JOIN fact_name n ON n.id = f.name WHERE f.node = ? ORDER BY n.name", "i",
        node);
    while (sqlite3_step(q) == SQLITE_ROW) {
        json_set(facts, (const char *)sqlite3_column_text(q, 0), json_column(q, 1));
    }
    sqlite3_reset(q);
    return facts;
}

static json_t *dump_inputs(struct pdb *s, int64_t node) {
    json_t *inputs = json_array();
    sqlite3_stmt *q = pdb_query(s, "SELECT type, name FROM catalog_input WHERE node = ?", "i", node);
    while (sqlite3_step(q) == SQLITE_ROW) {
        json_array_append_new(inputs, json_pack("[o, o]", text_column(q, 0), text_column(q, 1)));
    }
    sqlite3_reset(q);
    return inputs;
}

static const struct dumped node_columns[] = {{"id", number_column},
                                             {"certname", text_column},
                                             {"deactivated", time_column},
                                             {"expired", time_column},
                                             {"expires_facts", flag_column},
                                             {"expires_facts_updated", time_column},
                                             {"environment", text_column},
                                             {"facts_timestamp", time_column},
                                             {"producer_timestamp", time_column},
                                             {"producer", text_column},
                                             {"facts_hash", text_column},
                                             {"inputs_time", time_column},
                                             {"inputs_uuid", text_column},
                                             {NULL, NULL}};

static void drop_nulls(json_t *object) {
    const char *key;
    json_t *value;
    void *next;
    json_object_foreach_safe(object, next, key, value) {
        if (json_is_null(value)) {
            json_object_del(object, key);
        }
    }
}

static void dump_node(struct pdb *s, json_t *node) {
    int64_t id = json_int(node, "id", 0);
    json_object_del(node, "id");
    if (!json_is_null(json_object_get(node, "facts_timestamp"))) {
        json_set(node, "facts", dump_facts(s, id));
        json_set(node, "packages", dump_packages(s, id));
    }
    json_set(node, "catalog", dump_catalog(s, id));
    if (!json_is_null(json_object_get(node, "inputs_time"))) {
        json_set(node, "catalog_inputs",
                 json_pack("{s:O, s:O, s:O, s:o}", "certname", json_object_get(node, "certname"), "producer_timestamp",
                           json_object_get(node, "inputs_time"), "catalog_uuid", json_object_get(node, "inputs_uuid"),
                           "inputs", dump_inputs(s, id)));
    }
    json_object_del(node, "inputs_time");
    json_object_del(node, "inputs_uuid");
    drop_nulls(node);
}

static const struct dumped report_columns[] = {{"id", number_column},
                                               {"hash", text_column},
                                               {"certname", text_column},
                                               {"environment", text_column},
                                               {"status", text_column},
                                               {"type", text_column},
                                               {"job_id", text_column},
                                               {"noop", flag_column},
                                               {"noop_pending", flag_column},
                                               {"corrective_change", flag_column},
                                               {"puppet_version", text_column},
                                               {"report_format", number_column},
                                               {"configuration_version", text_column},
                                               {"start_time", time_column},
                                               {"end_time", time_column},
                                               {"producer_timestamp", time_column},
                                               {"producer", text_column},
                                               {"receive_time", time_column},
                                               {"transaction_uuid", text_column},
                                               {"catalog_uuid", text_column},
                                               {"code_id", text_column},
                                               {"cached_catalog_status", text_column},
                                               {"metrics", json_column},
                                               {"logs", json_column},
                                               {NULL, NULL}};
static const struct dumped event_columns[] = {{"status", text_column},
                                              {"timestamp", time_column},
                                              {"resource_type", text_column},
                                              {"resource_title", text_column},
                                              {"property", text_column},
                                              {"name", text_column},
                                              {"new_value", json_column},
                                              {"old_value", json_column},
                                              {"message", text_column},
                                              {"file", text_column},
                                              {"line", number_column},
                                              {"containment_path", json_column},
                                              {"corrective_change", flag_column},
                                              {NULL, NULL}};

/* The events of a report as resources with one event each. */
static json_t *dump_events(struct pdb *s, int64_t report) {
    json_t *events =
        read_rows(s,
                  "SELECT status, timestamp, resource_type, resource_title, property, name, new_value, old_value, "
                  "message, file, line, containment_path, corrective_change FROM event WHERE report = ? ORDER BY id",
                  report, event_columns);
    json_t *resources = json_array();
    size_t i;
    json_t *event;
    json_array_foreach(events, i, event) {
        bool skipped = str_eq(json_str(event, "status"), "skipped");
        json_t *resource = json_copy(event);
        json_set(resource, "skipped", json_boolean(skipped));
        json_set(resource, "events", skipped ? json_array() : json_pack("[O]", event));
        json_array_append_new(resources, resource);
    }
    json_decref(events);
    return resources;
}

json_t *puppetdb_dump(struct fake *f) {
    struct fake_puppetdb *p = puppetdb_of(f);
    pdb_keep_promises(p->store);
    size_t i;
    json_t *item;
    json_t *nodes =
        read_rows(p->store,
                  "SELECT n.id, n.certname, n.deactivated, n.expired, n.expires_facts, n.expires_facts_updated, "
                  "e.name, fs.timestamp, fs.producer_timestamp, p.name, fs.hash, n.inputs_time, n.inputs_uuid FROM "
                  "node n LEFT JOIN factset fs ON fs.node = n.id LEFT JOIN environment e ON e.id = fs.environment "
                  "LEFT JOIN producer p ON p.id = fs.producer WHERE n.id > ? ORDER BY n.id",
                  0, node_columns);
    json_array_foreach(nodes, i, item) {
        dump_node(p->store, item);
    }
    json_t *reports =
        read_rows(p->store,
                  "SELECT r.id, r.hash, n.certname, e.name, r.status, r.type, r.job_id, r.noop, r.noop_pending, "
                  "r.corrective_change, "
                  "r.puppet_version, r.report_format, r.configuration_version, r.start_time, r.end_time, "
                  "r.producer_timestamp, p.name, r.receive_time, r.transaction_uuid, r.catalog_uuid, r.code_id, "
                  "r.cached_catalog_status, r.metrics, r.logs FROM report r JOIN node n ON n.id = r.node LEFT JOIN "
                  "environment e ON e.id = r.environment LEFT JOIN producer p ON p.id = r.producer WHERE r.id > ? "
                  "ORDER BY r.id",
                  0, report_columns);
    json_array_foreach(reports, i, item) {
        int64_t id = json_int(item, "id", 0);
        json_object_del(item, "id");
        json_set(item, "resources", dump_events(p->store, id));
    }
    json_t *environments = json_array();
    sqlite3_stmt *q = pdb_query(p->store, "SELECT name FROM environment ORDER BY id", "");
    while (sqlite3_step(q) == SQLITE_ROW) {
        json_array_append_new(environments, text_column(q, 0));
    }
    sqlite3_reset(q);
    return json_pack("{s:o, s:o, s:o, s:o, s:b, s:b}", "environments", environments, "nodes", nodes, "reports", reports,
                     "allowlist", p->allowlist != NULL ? json_deep_copy(p->allowlist) : json_null(), "maintenance",
                     p->maintenance, "corrective_changes", p->store->keeps_corrective);
}
