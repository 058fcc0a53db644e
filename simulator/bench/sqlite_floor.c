/* SQLite alone. See jobs.h. */
#include "simulator/bench/jobs.h"

#include <sqlite3.h>
#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

static const char schema[] =
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
    "CREATE TABLE nodes(job INTEGER NOT NULL, idx INTEGER NOT NULL, state INTEGER NOT NULL, ts INTEGER NOT NULL,"
    " started INTEGER NOT NULL, finished INTEGER NOT NULL, event INTEGER NOT NULL, name TEXT NOT NULL,"
    " PRIMARY KEY(job, idx)) WITHOUT ROWID;"
    "CREATE TABLE events(id INTEGER PRIMARY KEY, job INTEGER NOT NULL, node INTEGER NOT NULL, type INTEGER NOT NULL,"
    " ts INTEGER NOT NULL, detail TEXT);"
    "CREATE INDEX events_job ON events(job);";

enum step { STEP_NODE, STEP_CHANGE, STEP_EVENT, STEPS };
static const char *const statements[STEPS] = {
    [STEP_NODE] = "INSERT INTO nodes VALUES(1, ?1, 0, 1, 0, 0, 0, printf('node-%05d.example.com', ?1))",
    [STEP_CHANGE] = "UPDATE nodes SET state=?2, ts=2, started=3, finished=4, event=5 WHERE job=1 AND idx=?1",
    [STEP_EVENT] = ("INSERT INTO events(job, node, type, ts, detail) VALUES(1, ?1, ?2, 1,"
                    " '{\"message\":\"what a task says\",\"_output\":\"in a few words\"}')"),
};

struct floor_run {
    sqlite3 *db;
    sqlite3_stmt *stmts[STEPS];
};

static bool step(struct floor_run *f, enum step which, sqlite3_int64 node, int value) {
    sqlite3_stmt *s = f->stmts[which];
    sqlite3_bind_int64(s, 1, node);
    if (sqlite3_bind_parameter_count(s) > 1) {
        sqlite3_bind_int(s, 2, value);
    }
    const bool ok = sqlite3_step(s) == SQLITE_DONE;
    sqlite3_reset(s);
    return ok;
}

static bool sql(struct floor_run *f, const char *text) {
    return sqlite3_exec(f->db, text, NULL, NULL, NULL) == SQLITE_OK;
}

/* All nodes are known at once; then each group starts, and each group ends. */
static bool record(struct floor_run *f, size_t nodes, size_t group) {
    bool ok = sql(f, "BEGIN");
    for (size_t i = 0; ok && i < nodes; i++) {
        ok = step(f, STEP_NODE, (sqlite3_int64)i, 0);
    }
    ok = ok && sql(f, "COMMIT");
    for (int state = 1; ok && state <= 2; state++) {
        for (size_t from = 0; ok && from < nodes; from += group) {
            ok = sql(f, "BEGIN");
            for (size_t i = from; ok && i < from + group && i < nodes; i++) {
                ok = step(f, STEP_CHANGE, (sqlite3_int64)i, state) && step(f, STEP_EVENT, (sqlite3_int64)i, state);
            }
            ok = ok && sql(f, "COMMIT");
        }
    }
    return ok;
}

static double thread_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

bool sqlite_floor_measure(const char *path, size_t nodes, size_t group, struct sqlite_floor *out, struct error *err) {
    struct floor_run f = {0};
    uint64_t bytes = 0;
    bool ok = sqlite3_open(path, &f.db) == SQLITE_OK && sql(&f, schema);
    for (int i = 0; ok && i < STEPS; i++) {
        ok = sqlite3_prepare_v2(f.db, statements[i], -1, &f.stmts[i], NULL) == SQLITE_OK;
    }
    const double cpu = thread_us(), begin = clock_s();
    ok = ok && record(&f, nodes, group);
    *out = (struct sqlite_floor){(thread_us() - cpu) / (double)nodes, clock_s() - begin, 0};
    if (!ok) {
        error_set(err, "bench", "%s: %s", path, sqlite3_errmsg(f.db));
    }
    for (int i = 0; i < STEPS; i++) {
        sqlite3_finalize(f.stmts[i]);
    }
    sqlite3_close(f.db);
    ok = ok && sqlite_used_bytes(path, &bytes, err);
    out->bytes = (double)bytes / (double)nodes;
    return ok;
}

static sqlite3_int64 pragma(sqlite3 *db, const char *text) {
    sqlite3_stmt *s = NULL;
    sqlite3_int64 value = -1;
    if (sqlite3_prepare_v2(db, text, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
        value = sqlite3_column_int64(s, 0);
    }
    sqlite3_finalize(s);
    return value;
}

bool sqlite_used_bytes(const char *path, uint64_t *out, struct error *err) {
    sqlite3 *db = NULL;
    const bool ok = sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK;
    const sqlite3_int64 pages = ok ? pragma(db, "PRAGMA page_count") : -1;
    const sqlite3_int64 unused = ok ? pragma(db, "PRAGMA freelist_count") : -1;
    const sqlite3_int64 size = ok ? pragma(db, "PRAGMA page_size") : -1;
    if (pages < 0 || unused < 0 || size < 0) {
        error_set(err, "bench", "%s: %s", path, sqlite3_errmsg(db));
    } else {
        *out = (uint64_t)((pages - unused) * size);
    }
    sqlite3_close(db);
    return pages >= 0 && unused >= 0 && size >= 0;
}
