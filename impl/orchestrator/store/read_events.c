/* Events of jobs. A node stands in them as its number; the names of a job's nodes are read one by one for a few events
 * and all at once for many: a join would look each of them up for every event. */
#include "base/mem.h"
#include "orchestrator/store/read.h"

struct name_place {
    size_t at, len;
};

struct node_names {
    struct store *store;
    int64_t job;
    uint32_t node_count;
    uint32_t looked_up;
    sqlite3_stmt *one; /* NULL: not prepared yet */
    bool all;          /* below */
    struct buf text;
    struct name_place *places; /* by number */
    size_t count, cap;
    int rc; /* of what failed */
};

struct event_walk {
    enum job_type type;
    struct node_names names;
    bool (*each)(void *ctx, const struct store_event *e);
    void *ctx;
};

/* ---- names */

enum { FEW = 16, PART = 8 }; /* beyond so many, and that part of all, all are read */

static bool name_row(struct node_names *n, sqlite3_stmt *stmt) {
    const size_t index = (size_t)sqlite3_column_int64(stmt, 0);
    const struct span name = column_span(stmt, 1);
    if (index >= n->node_count) {
        return false;
    }
    n->places = mem_grow(n->places, &n->cap, index + 1, sizeof(*n->places));
    while (n->count <= index) {
        n->places[n->count++] = (struct name_place){0, 0};
    }
    n->places[index] = (struct name_place){n->text.len, name.len};
    buf_append_span(&n->text, name);
    return true;
}

static void read_all_names(struct node_names *n) {
    sqlite3_stmt *stmt = NULL;
    int rc =
        sqlite3_prepare_v2(n->store->reader, "SELECT idx, name FROM nodes WHERE job=? ORDER BY idx", -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        sqlite3_bind_int64(stmt, 1, n->job);
        while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && name_row(n, stmt)) {
        }
    }
    n->rc = rc == SQLITE_DONE || rc == SQLITE_ROW ? n->rc : rc;
    sqlite3_finalize(stmt);
    n->all = true;
}

/* Borrowed until the next call. */
static struct span look_up(struct node_names *n, int64_t node) {
    if (n->one == NULL) {
        int rc =
            sqlite3_prepare_v2(n->store->reader, "SELECT name FROM nodes WHERE job=? AND idx=?", -1, &n->one, NULL);
        if (rc != SQLITE_OK) {
            n->rc = rc;
            return SPAN("");
        }
    }
    n->looked_up++;
    sqlite3_reset(n->one);
    sqlite3_bind_int64(n->one, 1, n->job);
    sqlite3_bind_int64(n->one, 2, node);
    const int rc = sqlite3_step(n->one);
    if (rc != SQLITE_ROW) {
        n->rc = rc == SQLITE_DONE ? n->rc : rc;
        return SPAN("");
    }
    return column_span(n->one, 0);
}

static struct span name_of(struct node_names *n, int64_t node) {
    if (node < 0) {
        return SPAN("");
    }
    if (!n->all && n->looked_up >= FEW && n->looked_up >= n->node_count / PART) {
        read_all_names(n);
    }
    if (!n->all) {
        return look_up(n, node);
    }
    if ((size_t)node >= n->count) {
        return SPAN("");
    }
    return span_sub(buf_span(&n->text), n->places[node].at, n->places[node].len);
}

static void names_free(struct node_names *n) {
    sqlite3_finalize(n->one);
    buf_free(&n->text);
    mem_free(n->places);
}

/* ---- events */

static bool event_row(void *ctx, sqlite3_stmt *stmt) {
    struct event_walk *walk = ctx;
    const int64_t node = sqlite3_column_int64(stmt, 1);
    struct store_event e = {
        .id = sqlite3_column_int64(stmt, 0),
        .job = walk->names.job,
        .node = node,
        .type = (enum event_type)sqlite3_column_int(stmt, 2),
        .ts_ms = sqlite3_column_int64(stmt, 3),
        .detail = column_span(stmt, 4),
        .node_name = name_of(&walk->names, node),
        .job_type = walk->type,
    };
    return walk->names.rc == SQLITE_OK && walk->each(walk->ctx, &e);
}

#define EVENT_SELECT "SELECT id, node, type, ts, detail FROM events"

static bool job_row(void *ctx, sqlite3_stmt *stmt) {
    struct event_walk *walk = ctx;
    walk->type = (enum job_type)sqlite3_column_int(stmt, 0);
    walk->names.node_count = (uint32_t)sqlite3_column_int64(stmt, 1);
    return false;
}

/* Runs q over the events of walk's job; frees it. */
static bool walk_events(struct store *s, int64_t job, struct query *q, struct event_walk *walk, struct error *err) {
    struct query of_job = {0};
    walk->type = JOB_DEPLOY;
    walk->names = (struct node_names){.store = s, .job = job};
    query_int(&of_job, "SELECT type, node_count FROM jobs WHERE id=?", job);
    if (!query_run(s, &of_job, job_row, walk, "list events", err)) {
        buf_free(&q->sql);
        return false;
    }
    bool ok = query_run(s, q, event_row, walk, "list events", err);
    if (ok && walk->names.rc != SQLITE_OK) {
        ok = store_read_failed(s, walk->names.rc, "list events", err);
    }
    names_free(&walk->names);
    return ok;
}

bool store_events(struct store *s, int64_t job, int64_t start, int64_t limit,
                  bool (*row)(void *ctx, const struct store_event *e), void *ctx, struct error *err) {
    struct query q = {0};
    struct event_walk walk = {.each = row, .ctx = ctx};
    query_int(&q, EVENT_SELECT " WHERE job=?", job);
    query_int(&q, " AND id >= ?", start);
    query_int(&q, " ORDER BY id LIMIT ?", limit);
    return walk_events(s, job, &q, &walk, err);
}

bool store_events_by_node(struct store *s, int64_t job, bool (*row)(void *ctx, const struct store_event *e), void *ctx,
                          struct error *err) {
    struct query q = {0};
    struct event_walk walk = {.each = row, .ctx = ctx};
    query_int(&q, EVENT_SELECT " WHERE job=? AND node >= 0 ORDER BY node, id", job);
    return walk_events(s, job, &q, &walk, err);
}
