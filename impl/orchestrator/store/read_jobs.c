/* Jobs, their nodes and events. */
#include "orchestrator/store/read.h"

#include <string.h>

#define JOB_COLUMNS                                                                                                    \
    "id, type, state, ts, started, finished, node_count, counts, entered, command, environment, task, owner_login, "   \
    "concurrency, timeout, noop, plan, schedule, salt, description, owner, userdata, options, request, edges, secret"

static void read_job(sqlite3_stmt *stmt, struct store_job *j) {
    *j = (struct store_job){
        .id = sqlite3_column_int64(stmt, 0),
        .type = (enum job_type)sqlite3_column_int(stmt, 1),
        .state = (enum job_state)sqlite3_column_int(stmt, 2),
        .ts_ms = sqlite3_column_int64(stmt, 3),
        .started_ms = sqlite3_column_int64(stmt, 4),
        .finished_ms = sqlite3_column_int64(stmt, 5),
        .node_count = (uint32_t)sqlite3_column_int64(stmt, 6),
        .command = column_span(stmt, 9),
        .environment = column_span(stmt, 10),
        .task = column_span(stmt, 11),
        .owner_login = column_span(stmt, 12),
        .concurrency = (uint32_t)sqlite3_column_int64(stmt, 13),
        .timeout_s = (uint32_t)sqlite3_column_int64(stmt, 14),
        .noop = sqlite3_column_int(stmt, 15) != 0,
        .plan = sqlite3_column_int64(stmt, 16),
        .schedule = sqlite3_column_int64(stmt, 17),
        .description = column_span(stmt, 19),
        .owner = column_span(stmt, 20),
        .userdata = column_span(stmt, 21),
        .options = column_span(stmt, 22),
        .request = column_span(stmt, 23),
        .edges = column_span(stmt, 24),
        .secret = column_span(stmt, 25),
    };
    read_numbers32(column_span(stmt, 7), j->counts, NODE_STATES);
    read_numbers64(column_span(stmt, 8), j->entered_ms, JOB_STATES);
    struct span salt = column_span(stmt, 18);
    if (salt.len == sizeof j->salt) {
        memcpy(j->salt, salt.ptr, salt.len);
    }
}

struct job_walk {
    bool (*each)(void *ctx, const struct store_job *job);
    void (*one)(void *ctx, const struct store_job *job);
    void *ctx;
    bool found;
};

static bool job_row(void *ctx, sqlite3_stmt *stmt) {
    struct job_walk *walk = ctx;
    struct store_job job;
    read_job(stmt, &job);
    walk->found = true;
    if (walk->one != NULL) {
        walk->one(walk->ctx, &job);
        return false;
    }
    return walk->each(walk->ctx, &job);
}

bool store_job(struct store *s, int64_t id, void (*row)(void *ctx, const struct store_job *job), void *ctx, bool *found,
               struct error *err) {
    struct query q = {0};
    struct job_walk walk = {.one = row, .ctx = ctx};
    query_int(&q, "SELECT " JOB_COLUMNS " FROM jobs WHERE id=?", id);
    bool ok = query_run(s, &q, job_row, &walk, "read a job", err);
    *found = walk.found;
    return ok;
}

static void jobs_conditions(struct query *q, const struct store_jobs_filter *f) {
    enum job_type type;
    if (f->type != NULL) {
        query_int(q, " AND type=?", job_type_parse(f->type, &type) ? (int64_t)type : -1);
    }
    if (f->task_contains.len != 0) {
        query_text(q, " AND instr(task, ?) > 0", f->task_contains);
    }
    if (f->min_finish_ms != 0) {
        query_int(q, " AND finished > 0 AND finished >= ?", f->min_finish_ms);
    }
    if (f->max_finish_ms != 0) {
        query_int(q, " AND finished > 0 AND finished <= ?", f->max_finish_ms);
    }
    if (f->plan != 0) {
        query_int(q, " AND plan > 0 AND plan=?", f->plan);
    }
}

bool store_jobs_page(struct store *s, const struct store_page *page, const struct store_jobs_filter *filter,
                     bool (*row)(void *ctx, const struct store_job *job), void *ctx, int64_t *total,
                     struct error *err) {
    struct query q = {0};
    if (total != NULL) {
        buf_append_cstr(&q.sql, "SELECT count(*) FROM jobs WHERE 1");
        jobs_conditions(&q, filter);
        if (!query_number(s, &q, total, err)) {
            return false;
        }
        q = (struct query){0};
    }
    struct job_walk walk = {.each = row, .ctx = ctx};
    /* First only what is sorted by, so that the wide rows are read for the page alone. */
    buf_append_cstr(&q.sql, "SELECT " JOB_COLUMNS " FROM jobs WHERE id IN (SELECT id FROM jobs WHERE 1");
    jobs_conditions(&q, filter);
    query_page(&q, STORE_JOBS, page);
    buf_append_char(&q.sql, ')');
    query_order(&q, STORE_JOBS, page);
    return query_run(s, &q, job_row, &walk, "list jobs", err);
}

bool store_unfinished_jobs(struct store *s, bool (*row)(void *ctx, const struct store_job *job), void *ctx,
                           struct error *err) {
    struct query q = {0};
    struct job_walk walk = {.each = row, .ctx = ctx};
    buf_append_cstr(&q.sql, "SELECT " JOB_COLUMNS " FROM jobs WHERE state < 4 ORDER BY id");
    return query_run(s, &q, job_row, &walk, "list jobs", err);
}

/* ---------------------------------------------------------------------------------------- nodes */

struct node_walk {
    bool (*each)(void *ctx, const struct store_node *node);
    void *ctx;
};

static bool node_row(void *ctx, sqlite3_stmt *stmt) {
    struct node_walk *walk = ctx;
    struct store_node n = {
        .job = sqlite3_column_int64(stmt, 0),
        .index = (uint32_t)sqlite3_column_int64(stmt, 1),
        .state = (enum node_state)sqlite3_column_int(stmt, 2),
        .transport = (enum node_transport)sqlite3_column_int(stmt, 3),
        .ts_ms = sqlite3_column_int64(stmt, 4),
        .started_ms = sqlite3_column_int64(stmt, 5),
        .finished_ms = sqlite3_column_int64(stmt, 6),
        .event = sqlite3_column_int64(stmt, 7),
        .name = column_span(stmt, 8),
        .run_uuid = column_span(stmt, 9),
        .event_type = (enum event_type)sqlite3_column_int(stmt, 10),
        .event_detail = column_span(stmt, 11),
    };
    return walk->each(walk->ctx, &n);
}

static void nodes_conditions(struct query *q, const char *state) {
    enum node_state value;
    if (state != NULL) {
        query_int(q, " AND n.state=?", node_state_parse(state, &value) ? (int64_t)value : -1);
    }
}

bool store_nodes_page(struct store *s, int64_t job, const struct store_page *page, const char *state, int64_t now_ms,
                      bool (*row)(void *ctx, const struct store_node *node), void *ctx, int64_t *total,
                      struct error *err) {
    struct query q = {0};
    if (total != NULL) {
        query_int(&q, "SELECT count(*) FROM nodes n WHERE n.job=?", job);
        nodes_conditions(&q, state);
        if (!query_number(s, &q, total, err)) {
            return false;
        }
        q = (struct query){0};
    }
    struct node_walk walk = {row, ctx};
    query_int(
        &q,
        "SELECT n.job, n.idx, n.state AS state, n.transport, n.ts, n.started, n.finished, n.event, n.name AS name,"
        " n.run_uuid, e.type, e.detail, CASE WHEN n.started = 0 THEN -1 WHEN n.finished > 0 THEN n.finished - "
        "n.started ELSE ? - n.started END AS duration FROM nodes n LEFT JOIN events e ON e.id = n.event",
        now_ms);
    query_int(&q, " WHERE n.job=?", job);
    nodes_conditions(&q, state);
    query_page(&q, STORE_NODES, page);
    return query_run(s, &q, node_row, &walk, "list nodes", err);
}
