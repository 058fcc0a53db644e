/* See stored.h. */
#include "simulator/bench/stored.h"

#include "base/mem.h"
#include "orchestrator/jobs/states.h"

#include <sqlite3.h>

enum { BUSY_MS = 1000 };

struct stored {
    sqlite3 *db;
    sqlite3_stmt *news; /* of events after ?1 */
    sqlite3_int64 last; /* event that was seen */
};

static bool failed(struct stored *s, const char *path, struct error *err) {
    return error_set(err, "bench", "%s: %s", path, s->db != NULL ? sqlite3_errmsg(s->db) : "no memory");
}

static bool open_at_end(struct stored *s, const char *path) {
    sqlite3_stmt *end = NULL;
    bool ok = sqlite3_open_v2(path, &s->db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
              sqlite3_busy_timeout(s->db, BUSY_MS) == SQLITE_OK &&
              sqlite3_prepare_v2(s->db, "SELECT id, job, type FROM events WHERE id > ? ORDER BY id", -1, &s->news,
                                 NULL) == SQLITE_OK &&
              sqlite3_prepare_v2(s->db, "SELECT coalesce(max(id), 0) FROM events", -1, &end, NULL) == SQLITE_OK &&
              sqlite3_step(end) == SQLITE_ROW;
    s->last = ok ? sqlite3_column_int64(end, 0) : 0;
    sqlite3_finalize(end);
    return ok;
}

struct stored *stored_open(const char *path, struct error *err) {
    struct stored *s = mem_zalloc(sizeof(*s));
    if (!open_at_end(s, path)) {
        failed(s, path, err);
        stored_close(s);
        return NULL;
    }
    return s;
}

static bool is_end(int type) {
    return type == EVENT_NODE_FINISHED || type == EVENT_NODE_FAILED || type == EVENT_NODE_ERRORED ||
           type == EVENT_NODE_SKIPPED;
}

bool stored_look(struct stored *s, void (*each)(void *ctx, int64_t job), void *ctx, struct error *err) {
    int rc = sqlite3_bind_int64(s->news, 1, s->last);
    while (rc == SQLITE_OK && (rc = sqlite3_step(s->news)) == SQLITE_ROW) {
        s->last = sqlite3_column_int64(s->news, 0);
        if (is_end(sqlite3_column_int(s->news, 2))) {
            each(ctx, sqlite3_column_int64(s->news, 1));
        }
        rc = SQLITE_OK;
    }
    sqlite3_reset(s->news);
    return rc == SQLITE_DONE || failed(s, "the orchestrator's database", err);
}

void stored_close(struct stored *s) {
    if (s != NULL) {
        sqlite3_finalize(s->news);
        sqlite3_close(s->db);
        mem_free(s);
    }
}
