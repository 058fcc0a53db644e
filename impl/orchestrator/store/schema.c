/* Tables, indices, upgrades and the statements that write. */
#include "orchestrator/store/internal.h"

/* Wide JSON columns stand last: reading a list's other columns then touches no overflow page. */
static const char schema_v1[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE jobs("
    " id INTEGER PRIMARY KEY, type INTEGER NOT NULL, state INTEGER NOT NULL, ts INTEGER NOT NULL,"
    " started INTEGER NOT NULL, finished INTEGER NOT NULL, node_count INTEGER NOT NULL, counts TEXT NOT NULL,"
    " entered TEXT NOT NULL, command TEXT NOT NULL, environment TEXT NOT NULL, task TEXT NOT NULL,"
    " owner_login TEXT NOT NULL, concurrency INTEGER NOT NULL, timeout INTEGER NOT NULL, noop INTEGER NOT NULL,"
    " plan INTEGER NOT NULL, schedule INTEGER NOT NULL, salt BLOB NOT NULL, description TEXT NOT NULL,"
    " owner TEXT NOT NULL, userdata TEXT NOT NULL, options TEXT NOT NULL, request TEXT NOT NULL, edges TEXT,"
    " secret BLOB);"
    "CREATE INDEX jobs_ts ON jobs(ts);"
    "CREATE INDEX jobs_finished ON jobs(finished) WHERE finished > 0;"
    "CREATE INDEX jobs_unfinished ON jobs(id) WHERE state < 4;"
    "CREATE INDEX jobs_plan ON jobs(plan) WHERE plan > 0;"
    "CREATE TABLE nodes("
    " job INTEGER NOT NULL, idx INTEGER NOT NULL, state INTEGER NOT NULL, transport INTEGER NOT NULL,"
    " ts INTEGER NOT NULL, started INTEGER NOT NULL, finished INTEGER NOT NULL, event INTEGER NOT NULL,"
    " name TEXT NOT NULL, run_uuid TEXT, PRIMARY KEY(job, idx)) WITHOUT ROWID;"
    "CREATE TABLE events("
    " id INTEGER PRIMARY KEY, job INTEGER NOT NULL, node INTEGER NOT NULL, type INTEGER NOT NULL, ts INTEGER NOT NULL,"
    " detail TEXT);"
    "CREATE INDEX events_job ON events(job);" /* holds the id, too: a job's events in order */
    "CREATE TABLE plans("
    " id INTEGER PRIMARY KEY, state INTEGER NOT NULL, outside INTEGER NOT NULL, timeout INTEGER NOT NULL,"
    " schedule INTEGER NOT NULL, created INTEGER NOT NULL, ts INTEGER NOT NULL, finished INTEGER NOT NULL,"
    " name TEXT NOT NULL, environment TEXT NOT NULL, owner_login TEXT NOT NULL, owner TEXT NOT NULL,"
    " userdata TEXT NOT NULL, options TEXT NOT NULL, result TEXT);"
    "CREATE TABLE plan_events("
    " id INTEGER PRIMARY KEY, plan INTEGER NOT NULL, type TEXT NOT NULL, ts INTEGER NOT NULL, details TEXT NOT NULL);"
    "CREATE INDEX plan_events_plan ON plan_events(plan);"
    "CREATE TABLE schedules("
    " id INTEGER PRIMARY KEY, enabled INTEGER NOT NULL, type TEXT NOT NULL, environment TEXT NOT NULL,"
    " owner_login TEXT NOT NULL, name TEXT NOT NULL, start INTEGER NOT NULL, interval INTEGER NOT NULL,"
    " next INTEGER NOT NULL, last INTEGER NOT NULL, last_job INTEGER NOT NULL, first_api INTEGER NOT NULL,"
    " description TEXT NOT NULL, owner TEXT NOT NULL, input TEXT NOT NULL, userdata TEXT NOT NULL, last_error TEXT,"
    " secret BLOB);"
    "CREATE TABLE targets("
    " id INTEGER PRIMARY KEY, all_tasks INTEGER NOT NULL, display_name TEXT NOT NULL, tasks TEXT NOT NULL,"
    " nodes TEXT NOT NULL, node_groups TEXT NOT NULL, pql_query TEXT);"
    "CREATE TABLE usage(day INTEGER NOT NULL, counter TEXT NOT NULL, value INTEGER NOT NULL,"
    " PRIMARY KEY(day, counter)) WITHOUT ROWID;"
    "CREATE TABLE connections("
    " certname TEXT PRIMARY KEY, connection_id TEXT NOT NULL, type TEXT NOT NULL, parameters TEXT NOT NULL,"
    " secret BLOB) WITHOUT ROWID;";

/* Nodes without an agent that were used today: their number counts each once. */
static const char schema_v2[] =
    "CREATE TABLE agentless(day INTEGER NOT NULL, name TEXT NOT NULL, PRIMARY KEY(day, name))"
    " WITHOUT ROWID;";

/* upgrades[n] turns version n into n + 1; version 0 is an empty file. */
static const char *const upgrades[STORE_SCHEMA_VERSION] = {schema_v1, schema_v2};

const char *const store_sequence_tables[STORE_SEQUENCES] = {
    [STORE_JOB_ID] = "jobs",           [STORE_PLAN_ID] = "plans",     [STORE_EVENT_ID] = "events",
    [STORE_SCHEDULE_ID] = "schedules", [STORE_TARGET_ID] = "targets",
};

const struct store_statement store_writes[STORE_WRITES] = {
    [WRITE_JOB] =
        {"INSERT INTO jobs(id, type, state, ts, started, finished, node_count, counts, entered, command,"
         " environment, task, owner_login, concurrency, timeout, noop, plan, schedule, salt, description, owner,"
         " userdata, options, request, edges, secret)"
         " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
         26},
    [WRITE_JOB_CHANGE] = {"UPDATE jobs SET state=?2, ts=?3, started=?4, finished=?5, counts=?6, entered=?7 WHERE id=?1",
                          7},
    [WRITE_JOB_DROP_SECRET] = {"UPDATE jobs SET secret=NULL WHERE id=?1 AND secret IS NOT NULL", 1},
    [WRITE_NODE] = {"INSERT INTO nodes(job, idx, state, transport, ts, started, finished, event, name)"
                    " VALUES(?,?,?,?,?,0,0,0,?)",
                    6},
    [WRITE_NODE_CHANGE] = {"UPDATE nodes SET state=?3, ts=?4, started=?5, finished=?6, event=?7, run_uuid=?8"
                           " WHERE job=?1 AND idx=?2",
                           8},
    [WRITE_EVENT] = {"INSERT INTO events(id, job, node, type, ts, detail) VALUES(?,?,?,?,?,?)", 6},
    [WRITE_PLAN] = {"INSERT INTO plans(id, state, outside, timeout, schedule, created, ts, finished, name, environment,"
                    " owner_login, owner, userdata, options, result) VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                    15},
    [WRITE_PLAN_CHANGE] = {"UPDATE plans SET state=?2, ts=?3, finished=?4, result=?5 WHERE id=?1", 5},
    [WRITE_PLAN_EVENT] = {"INSERT INTO plan_events(id, plan, type, ts, details) VALUES(?,?,?,?,?)", 5},
    [WRITE_SCHEDULE] = {"INSERT INTO schedules(id, type, environment, owner_login, name, start, interval, first_api,"
                        " description, owner, input, userdata, secret, enabled, next, last, last_job, last_error)"
                        " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                        18},
    [WRITE_SCHEDULE_REPLACE] = {"UPDATE schedules SET type=?2, environment=?3, owner_login=?4, name=?5, start=?6,"
                                " interval=?7, next=CASE WHEN start=?6 AND interval=?7 THEN next ELSE ?6 END,"
                                " first_api=?8, description=?9, owner=?10, input=?11, userdata=?12,"
                                " secret=CASE WHEN ?14 THEN secret ELSE ?13 END WHERE id=?1 AND enabled",
                                14},
    [WRITE_SCHEDULE_DUE] = {"UPDATE schedules SET last=?2, last_job=0, last_error=?6,"
                            " next=CASE WHEN start=?3 AND interval=?4 THEN ?5 ELSE next END WHERE id=?1 AND enabled",
                            6},
    [WRITE_SCHEDULE_STARTED] = {"UPDATE schedules SET last_job=?2, last_error=?3 WHERE id=?1", 3},
    [WRITE_SCHEDULE_NEXT] = {"UPDATE schedules SET next=?2 WHERE id=?1 AND enabled", 2},
    [WRITE_SCHEDULE_DISABLE] = {"UPDATE schedules SET enabled=0, next=0, secret=NULL WHERE id=?1", 1},
    [WRITE_TARGET] = {"INSERT INTO targets(id, all_tasks, display_name, tasks, nodes, node_groups, pql_query)"
                      " VALUES(?,?,?,?,?,?,?)",
                      7},
    [WRITE_USAGE_ADD] = {"INSERT INTO usage(day, counter, value) VALUES(?1,?2,?3)"
                         " ON CONFLICT(day, counter) DO UPDATE SET value=value+?3",
                         3},
    [WRITE_USAGE_SET] = {"INSERT OR REPLACE INTO usage(day, counter, value) VALUES(?,?,?)", 3},
    [WRITE_AGENTLESS] = {"INSERT OR IGNORE INTO agentless(day, name) VALUES(?,?)", 2},
    [WRITE_AGENTLESS_FOLD] = {"INSERT OR REPLACE INTO usage(day, counter, value)"
                              " SELECT day, 'nodes_without_agent', count(*) FROM agentless WHERE day < ? GROUP BY day",
                              1},
    [WRITE_AGENTLESS_FORGET] = {"DELETE FROM agentless WHERE day < ?", 1},
    [WRITE_CONNECTION] = {"INSERT OR REPLACE INTO connections(certname, connection_id, type, parameters, secret)"
                          " VALUES(?,?,?,?,?)",
                          5},
    [WRITE_CONNECTION_DELETE] = {"DELETE FROM connections WHERE certname=?", 1},
    [WRITE_HIGH_WATER] = {"INSERT INTO meta(key, value) VALUES(?1,?2)"
                          " ON CONFLICT(key) DO UPDATE SET value=max(value, ?2)",
                          2},
    [WRITE_PRUNE_EVENTS] = {"DELETE FROM events WHERE job=?", 1},
    [WRITE_PRUNE_NODES] = {"DELETE FROM nodes WHERE job=?", 1},
    [WRITE_PRUNE_JOB] = {"DELETE FROM jobs WHERE id=?", 1},
    [WRITE_PRUNE_PLAN_EVENTS] = {"DELETE FROM plan_events WHERE plan=?", 1},
    [WRITE_PRUNE_PLAN] = {"DELETE FROM plans WHERE id=?", 1},
};

static bool version_of(sqlite3 *db, int *version, struct error *err) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
        *version = rc == SQLITE_ROW ? sqlite3_column_int(stmt, 0) : 0;
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || store_sqlite_error(db, rc, "read the schema version", err);
}

static bool upgrade(sqlite3 *db, int from, struct error *err) {
    int rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
    for (int v = from; rc == SQLITE_OK && v < STORE_SCHEMA_VERSION; v++) {
        rc = sqlite3_exec(db, upgrades[v], NULL, NULL, NULL);
    }
    char pragma[64];
    sqlite3_snprintf(sizeof pragma, pragma, "PRAGMA user_version=%d", STORE_SCHEMA_VERSION);
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(db, pragma, NULL, NULL, NULL);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
    }
    if (rc != SQLITE_OK) {
        store_sqlite_error(db, rc, "bring the schema up to date", err);
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        return false;
    }
    return true;
}

bool store_schema_prepare(sqlite3 *db, struct error *err) {
    int version = 0;
    if (!version_of(db, &version, err)) {
        return false;
    }
    if (version > STORE_SCHEMA_VERSION) {
        return error_set(err, "store/newer-schema", "the database has schema version %d, this program knows up to %d",
                         version, STORE_SCHEMA_VERSION);
    }
    return version == STORE_SCHEMA_VERSION || upgrade(db, version, err);
}
