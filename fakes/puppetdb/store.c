/* The database: opening, schema, statements. */
#include "store.h"
#include "base/json.h"
#include "base/mem.h"
#include "functions.h"
#include "jsontext.h"
#include "pql/plan.h"
#include <assert.h>
#include <string.h>

static const char schema[] =
    "CREATE TABLE environment(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE producer(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
    "CREATE TABLE node(id INTEGER PRIMARY KEY, certname TEXT NOT NULL UNIQUE, deactivated INTEGER, expired INTEGER,"
    "  latest_report INTEGER, latest_report_time INTEGER, inputs_time INTEGER, inputs_uuid TEXT, expires_facts INTEGER,"
    "  expires_facts_updated INTEGER);"
    "CREATE INDEX node_inactive ON node(certname) WHERE deactivated IS NOT NULL OR expired IS NOT NULL;"
    /* facts */
    "CREATE TABLE factset(node INTEGER PRIMARY KEY, environment INTEGER, timestamp INTEGER NOT NULL,"
    "  producer_timestamp INTEGER NOT NULL, producer INTEGER, hash TEXT NOT NULL);"
    "CREATE TABLE fact_name(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, json TEXT NOT NULL);"
    "CREATE TABLE fact(node INTEGER NOT NULL, name INTEGER NOT NULL, value TEXT NOT NULL, PRIMARY KEY(node, name))"
    "  WITHOUT ROWID;"
    "CREATE INDEX fact_by_name ON fact(name, node);"
    "CREATE TABLE fact_path(id INTEGER PRIMARY KEY, path TEXT NOT NULL UNIQUE, name INTEGER NOT NULL,"
    "  depth INTEGER NOT NULL, encoded TEXT NOT NULL);"
    "CREATE TABLE fact_value(id INTEGER PRIMARY KEY, kind INTEGER NOT NULL, text TEXT NOT NULL, number NUMERIC,"
    "  UNIQUE(kind, text));"
    "CREATE INDEX fact_value_number ON fact_value(number) WHERE number IS NOT NULL;"
    "CREATE TABLE leaf(path INTEGER NOT NULL, value INTEGER NOT NULL, node INTEGER NOT NULL,"
    "  PRIMARY KEY(path, value, node)) WITHOUT ROWID;"
    "CREATE INDEX leaf_by_node ON leaf(node, path);"
    "CREATE TABLE path_type(path INTEGER NOT NULL, type TEXT NOT NULL, uses INTEGER NOT NULL, PRIMARY KEY(path, type))"
    "  WITHOUT ROWID;"
    "CREATE TABLE package(id INTEGER PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, provider TEXT NOT NULL,"
    "  UNIQUE(name, version, provider));"
    "CREATE TABLE node_package(node INTEGER NOT NULL, package INTEGER NOT NULL, PRIMARY KEY(node, package)) WITHOUT "
    "ROWID;"
    "CREATE INDEX node_package_by_package ON node_package(package);"
    /* catalogs */
    "CREATE TABLE catalog(node INTEGER PRIMARY KEY, version TEXT, environment INTEGER, hash TEXT NOT NULL,"
    "  transaction_uuid TEXT, catalog_uuid TEXT, code_id TEXT, job_id TEXT, producer_timestamp INTEGER NOT NULL,"
    "  producer INTEGER, timestamp INTEGER NOT NULL);"
    "CREATE TABLE parameters(hash TEXT PRIMARY KEY, json TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE param(hash TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL, PRIMARY KEY(hash, name))"
    "  WITHOUT ROWID;"
    "CREATE INDEX param_by_name ON param(name, value);"
    "CREATE TABLE resource(id INTEGER PRIMARY KEY, node INTEGER NOT NULL, hash TEXT NOT NULL, type TEXT NOT NULL,"
    "  title TEXT NOT NULL, tags TEXT NOT NULL, exported INTEGER NOT NULL, file TEXT, line INTEGER);"
    "CREATE INDEX resource_by_node ON resource(node);"
    "CREATE INDEX resource_by_title ON resource(type, title);"
    "CREATE TABLE edge(id INTEGER PRIMARY KEY, node INTEGER NOT NULL, source_type TEXT NOT NULL, source_title TEXT NOT "
    "NULL,"
    "  target_type TEXT NOT NULL, target_title TEXT NOT NULL, relationship TEXT NOT NULL);"
    "CREATE INDEX edge_by_node ON edge(node);"
    "CREATE TABLE catalog_input(node INTEGER NOT NULL, type TEXT NOT NULL, name TEXT NOT NULL);"
    "CREATE INDEX catalog_input_by_node ON catalog_input(node);"
    /* reports */
    "CREATE TABLE report(id INTEGER PRIMARY KEY, hash TEXT NOT NULL UNIQUE, node INTEGER NOT NULL, environment INTEGER,"
    "  status TEXT, type TEXT NOT NULL, job_id TEXT, noop INTEGER, noop_pending INTEGER, corrective_change INTEGER,"
    "  puppet_version TEXT NOT NULL, report_format INTEGER NOT NULL, configuration_version TEXT NOT NULL,"
    "  start_time INTEGER NOT NULL, end_time INTEGER NOT NULL, producer_timestamp INTEGER NOT NULL, producer INTEGER,"
    "  receive_time INTEGER NOT NULL, transaction_uuid TEXT, catalog_uuid TEXT, code_id TEXT, cached_catalog_status "
    "TEXT,"
    "  metrics TEXT, logs TEXT);"
    "CREATE INDEX report_by_node ON report(node);"
    "CREATE INDEX report_by_job ON report(job_id);"
    "CREATE INDEX report_by_transaction ON report(transaction_uuid);"
    "CREATE TABLE event(id INTEGER PRIMARY KEY, report INTEGER NOT NULL, status TEXT NOT NULL, timestamp INTEGER NOT "
    "NULL,"
    "  resource_type TEXT NOT NULL, resource_title TEXT NOT NULL, property TEXT, name TEXT, new_value TEXT, old_value "
    "TEXT,"
    "  message TEXT, file TEXT, line INTEGER, containment_path TEXT, containing_class TEXT, corrective_change INTEGER);"
    "CREATE INDEX event_by_report ON event(report);";

static const char *const tables[] = {"environment", "producer",     "node",          "factset",    "fact_name",
                                     "fact",        "fact_path",    "fact_value",    "leaf",       "path_type",
                                     "package",     "node_package", "catalog",       "parameters", "param",
                                     "resource",    "edge",         "catalog_input", "report",     "event"};

static bool database_error(sqlite3 *db, const char *what, struct error *err) {
    return error_set(err, "puppetdb/database", "%s: %s", what, db != NULL ? sqlite3_errmsg(db) : "out of memory");
}

static bool is_new(struct pdb *s) {
    sqlite3_stmt *stmt = NULL;
    bool found =
        sqlite3_prepare_v2(s->db, "SELECT 1 FROM sqlite_master WHERE name = 'node'", -1, &stmt, NULL) == SQLITE_OK &&
        sqlite3_step(stmt) == SQLITE_ROW;
    sqlite3_finalize(stmt);
    return !found;
}

struct pdb *pdb_open(const char *vfs, const char *path, struct error *err) {
    struct pdb *s = mem_zalloc(sizeof *s);
    map_init(&s->statements);
    map_init(&s->name_ids);
    map_init(&s->path_ids);
    map_init(&s->value_ids);
    map_init(&s->type_uses);
    map_init(&s->environment_ids);
    map_init(&s->producer_ids);
    map_init(&s->node_ids);
    s->in_memory = path == NULL;
    list_init(&s->promises);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    const char *name = path != NULL ? path : ":memory:";
    bool ok = sqlite3_open_v2(name, &s->db, flags, path != NULL ? vfs : NULL) == SQLITE_OK &&
              sqlite3_exec(s->db,
                           "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"
                           "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-32768;",
                           NULL, NULL, NULL) == SQLITE_OK;
    if (ok && is_new(s)) {
        ok = sqlite3_exec(s->db, schema, NULL, NULL, NULL) == SQLITE_OK;
    }
    if (!ok || !functions_register(s->db)) {
        database_error(s->db, name, err);
        pdb_close(s);
        return NULL;
    }
    pdb_promises_open(s);
    return s;
}

/* A statement is found by the place of its text, which for the store's own SQL is a constant; the text is compared, for
 * another may come to stand there. */
struct kept_statement {
    sqlite3_stmt *stmt;
    char *sql;
};

static void kept_free(struct kept_statement *k) {
    sqlite3_finalize(k->stmt);
    mem_free(k->sql);
    mem_free(k);
}

static void forget_ids(struct pdb *s) {
    struct map *const all[] = {&s->name_ids,        &s->path_ids,     &s->value_ids,
                               &s->environment_ids, &s->producer_ids, &s->node_ids};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        map_free(all[i]);
        map_init(all[i]);
    }
}

void pdb_close(struct pdb *s) {
    if (s == NULL) {
        return;
    }
    for (struct map_iter i = map_iter(&s->statements); map_next(&i);) {
        kept_free(i.value);
    }
    map_free(&s->statements);
    pdb_promises_drop(s);
    forget_ids(s);
    sqlite3_close(s->db);
    mem_free(s);
}

/* ---------------------------------------------------------------- statements */

static struct kept_statement *keep_statement(struct pdb *s, struct span key, const char *sql) {
    struct kept_statement *k = mem_zalloc(sizeof *k);
    int rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &k->stmt, NULL);
    assert(rc == SQLITE_OK);
    (void)rc;
    k->sql = str_dup(sql);
    struct kept_statement *other = map_put(&s->statements, key, k);
    if (other != NULL) {
        kept_free(other);
    }
    return k;
}

sqlite3_stmt *pdb_statement(struct pdb *s, const char *sql) {
    const uintptr_t place = (uintptr_t)sql;
    const struct span key = span_bytes(&place, sizeof place);
    struct kept_statement *k = map_get(&s->statements, key);
    if (k == NULL || strcmp(k->sql, sql) != 0) {
        k = keep_statement(s, key, sql);
    }
    sqlite3_reset(k->stmt);
    return k->stmt;
}

static void bind_json(sqlite3_stmt *stmt, int at, const json_t *value) {
    if (value == NULL || json_is_null(value)) {
        sqlite3_bind_null(stmt, at);
        return;
    }
    struct buf text = BUF_INIT;
    jsontext_append(&text, value);
    const size_t len = text.len;
    sqlite3_bind_text64(stmt, at, buf_take(&text), len, mem_free, SQLITE_UTF8);
}

/* texts: SQLITE_STATIC when they live until the statement has run, else SQLITE_TRANSIENT. */
static void bind_all(sqlite3_stmt *stmt, const char *types, va_list args, sqlite3_destructor_type texts) {
    for (int at = 1; types[at - 1] != '\0'; at++) {
        switch (types[at - 1]) {
        case 'i':
            sqlite3_bind_int64(stmt, at, va_arg(args, int64_t));
            break;
        case 'm': {
            int64_t ms = va_arg(args, int64_t);
            ms < 0 ? sqlite3_bind_null(stmt, at) : sqlite3_bind_int64(stmt, at, ms);
            break;
        }
        case 'b':
            sqlite3_bind_int(stmt, at, va_arg(args, int));
            break;
        case 't': {
            struct span text = va_arg(args, struct span);
            sqlite3_bind_text64(stmt, at, text.len > 0 ? text.ptr : "", text.len, texts, SQLITE_UTF8);
            break;
        }
        case 'T': {
            const char *text = va_arg(args, const char *);
            sqlite3_bind_text(stmt, at, text, -1, texts);
            break;
        }
        case 'j':
            bind_json(stmt, at, va_arg(args, const json_t *));
            break;
        case 'B': {
            const json_t *flag = va_arg(args, const json_t *);
            json_is_boolean(flag) ? sqlite3_bind_int(stmt, at, json_is_true(flag)) : sqlite3_bind_null(stmt, at);
            break;
        }
        default:
            sqlite3_bind_null(stmt, at);
        }
    }
}

sqlite3_stmt *pdb_query(struct pdb *s, const char *sql, const char *types, ...) {
    sqlite3_stmt *stmt = pdb_statement(s, sql);
    va_list args;
    va_start(args, types);
    bind_all(stmt, types, args, SQLITE_TRANSIENT);
    va_end(args);
    return stmt;
}

void pdb_run(struct pdb *s, const char *sql, const char *types, ...) {
    sqlite3_stmt *stmt = pdb_statement(s, sql);
    va_list args;
    va_start(args, types);
    bind_all(stmt, types, args, SQLITE_STATIC);
    va_end(args);
    while (sqlite3_step(stmt) == SQLITE_ROW) {
    }
    sqlite3_reset(stmt);
}

int64_t pdb_number(struct pdb *s, int64_t absent, const char *sql, const char *types, ...) {
    sqlite3_stmt *stmt = pdb_statement(s, sql);
    va_list args;
    va_start(args, types);
    bind_all(stmt, types, args, SQLITE_STATIC);
    va_end(args);
    int64_t result = sqlite3_step(stmt) == SQLITE_ROW && sqlite3_column_type(stmt, 0) != SQLITE_NULL
                         ? sqlite3_column_int64(stmt, 0)
                         : absent;
    sqlite3_reset(stmt);
    return result;
}

void pdb_begin(struct pdb *s) {
    if (s->depth++ == 0) {
        s->doomed = false;
        pdb_run(s, "BEGIN", "");
    }
}

bool pdb_end(struct pdb *s, bool keep) {
    assert(s->depth > 0);
    s->doomed = s->doomed || !keep;
    if (--s->depth > 0) {
        return keep;
    }
    pdb_flush_types(s, !s->doomed);
    if (s->doomed) {
        forget_ids(s); /* some may never have been */
    }
    pdb_run(s, s->doomed ? "ROLLBACK" : "COMMIT", "");
    return !s->doomed;
}

void pdb_clear(struct pdb *s) {
    forget_ids(s);
    pdb_begin(s);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        char *sql = str_printf("DELETE FROM %s", tables[i]);
        sqlite3_exec(s->db, sql, NULL, NULL, NULL);
        mem_free(sql);
    }
    pdb_end(s, true);
}

/* ---------------------------------------------------------------- names and payloads */

static int64_t id_of(struct pdb *s, struct map *known, const char *find, const char *add, const char *name) {
    if (name == NULL) {
        return 0;
    }
    int64_t id = (int64_t)(intptr_t)map_get_cstr(known, name);
    if (id != 0) {
        return id;
    }
    if (map_count(known) >= STORE_NAMES_MAX) {
        map_free(known);
        map_init(known);
    }
    id = pdb_number(s, 0, find, "T", name);
    if (id == 0) {
        pdb_run(s, add, "T", name);
        id = sqlite3_last_insert_rowid(s->db);
    }
    map_put(known, span_of(name), (void *)(intptr_t)id);
    return id;
}

int64_t pdb_environment(struct pdb *s, const char *name) {
    return id_of(s, &s->environment_ids, "SELECT id FROM environment WHERE name = ?",
                 "INSERT INTO environment(name) VALUES(?)", name);
}

int64_t pdb_producer(struct pdb *s, const char *name) {
    return id_of(s, &s->producer_ids, "SELECT id FROM producer WHERE name = ?", "INSERT INTO producer(name) VALUES(?)",
                 name);
}

int64_t pdb_node(struct pdb *s, const char *certname) {
    return id_of(s, &s->node_ids, "SELECT id FROM node WHERE certname = ?", "INSERT INTO node(certname) VALUES(?)",
                 certname);
}

void pdb_reactivate(struct pdb *s, int64_t node, int64_t producer_ms) {
    pdb_run(s,
            "UPDATE node SET deactivated = NULL, expired = NULL WHERE id = ? AND ? > max(ifnull(deactivated, 0), "
            "ifnull(expired, 0))",
            "ii", node, producer_ms);
}

const char *pdb_need_text(const json_t *payload, const char *key, struct error *err) {
    const char *text = json_str(payload, key);
    if (text == NULL) {
        error_set(err, "puppetdb/payload", "the payload needs the text '%s'", key);
    }
    return text;
}

int64_t pdb_time(const json_t *payload, const char *key, int64_t absent_ms) {
    int64_t ms;
    return plan_parse_time(json_span(json_object_get(payload, key)), &ms) ? ms : absent_ms;
}

bool pdb_need_time(const json_t *payload, const char *key, int64_t *ms, struct error *err) {
    if (!plan_parse_time(json_span(json_object_get(payload, key)), ms)) {
        return error_set(err, "puppetdb/payload", "the payload needs the time '%s'", key);
    }
    return true;
}
