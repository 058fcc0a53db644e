/* Plan jobs and their events, schedules, task-targets, usage, connections. */
#include "orchestrator/store/read.h"

#define PLAN_COLUMNS                                                                                                   \
    "id, state, outside, timeout, schedule, created, ts, finished, name, environment, owner_login, owner, userdata, "  \
    "options"

struct plan_walk {
    bool (*each)(void *ctx, const struct store_plan *plan);
    void (*one)(void *ctx, const struct store_plan *plan);
    void *ctx;
    bool found;
};

static bool plan_row(void *ctx, sqlite3_stmt *stmt) {
    struct plan_walk *walk = ctx;
    struct store_plan p = {
        .id = sqlite3_column_int64(stmt, 0),
        .state = (enum plan_state)sqlite3_column_int(stmt, 1),
        .outside = sqlite3_column_int(stmt, 2) != 0,
        .timeout_s = (uint32_t)sqlite3_column_int64(stmt, 3),
        .schedule = sqlite3_column_int64(stmt, 4),
        .created_ms = sqlite3_column_int64(stmt, 5),
        .ts_ms = sqlite3_column_int64(stmt, 6),
        .finished_ms = sqlite3_column_int64(stmt, 7),
        .name = column_span(stmt, 8),
        .environment = column_span(stmt, 9),
        .owner_login = column_span(stmt, 10),
        .owner = column_span(stmt, 11),
        .userdata = column_span(stmt, 12),
        .options = column_span(stmt, 13),
        .result = column_span(stmt, 14),
    };
    walk->found = true;
    if (walk->one != NULL) {
        walk->one(walk->ctx, &p);
        return false;
    }
    return walk->each(walk->ctx, &p);
}

bool store_plan(struct store *s, int64_t id, void (*row)(void *ctx, const struct store_plan *plan), void *ctx,
                bool *found, struct error *err) {
    struct query q = {0};
    struct plan_walk walk = {.one = row, .ctx = ctx};
    query_int(&q, "SELECT " PLAN_COLUMNS ", result FROM plans WHERE id=?", id);
    bool ok = query_run(s, &q, plan_row, &walk, "read a plan job", err);
    *found = walk.found;
    return ok;
}

static void plans_conditions(struct query *q, const struct store_plans_filter *f) {
    if (f->min_finish_ms != 0) {
        query_int(q, " AND finished > 0 AND finished >= ?", f->min_finish_ms);
    }
    if (f->max_finish_ms != 0) {
        query_int(q, " AND finished > 0 AND finished <= ?", f->max_finish_ms);
    }
}

bool store_plans_page(struct store *s, const struct store_page *page, const struct store_plans_filter *filter,
                      bool (*row)(void *ctx, const struct store_plan *plan), void *ctx, int64_t *total,
                      struct error *err) {
    struct query q = {0};
    if (total != NULL) {
        buf_append_cstr(&q.sql, "SELECT count(*) FROM plans WHERE 1");
        plans_conditions(&q, filter);
        if (!query_number(s, &q, total, err)) {
            return false;
        }
        q = (struct query){0};
    }
    struct plan_walk walk = {.each = row, .ctx = ctx};
    buf_append_cstr(&q.sql, filter->results ? "SELECT " PLAN_COLUMNS ", result FROM plans WHERE 1"
                                            : "SELECT " PLAN_COLUMNS ", NULL FROM plans WHERE 1");
    plans_conditions(&q, filter);
    query_page(&q, STORE_PLANS, page);
    return query_run(s, &q, plan_row, &walk, "list plan jobs", err);
}

bool store_unfinished_plans(struct store *s, bool (*row)(void *ctx, const struct store_plan *plan), void *ctx,
                            struct error *err) {
    struct query q = {0};
    struct plan_walk walk = {.each = row, .ctx = ctx};
    query_int(&q, "SELECT " PLAN_COLUMNS ", NULL FROM plans WHERE state=? ORDER BY id", PLAN_RUNNING);
    return query_run(s, &q, plan_row, &walk, "list plan jobs", err);
}

struct plan_event_walk {
    bool (*each)(void *ctx, const struct store_plan_event *e);
    void (*one)(void *ctx, const struct store_plan_event *e);
    void *ctx;
    bool found;
};

static bool plan_event_row(void *ctx, sqlite3_stmt *stmt) {
    struct plan_event_walk *walk = ctx;
    struct store_plan_event e = {
        .id = sqlite3_column_int64(stmt, 0),
        .plan = sqlite3_column_int64(stmt, 1),
        .type = column_span(stmt, 2),
        .ts_ms = sqlite3_column_int64(stmt, 3),
        .details = column_span(stmt, 4),
    };
    walk->found = true;
    if (walk->one != NULL) {
        walk->one(walk->ctx, &e);
        return false;
    }
    return walk->each(walk->ctx, &e);
}

bool store_plan_events(struct store *s, int64_t plan, int64_t start, int64_t limit,
                       bool (*row)(void *ctx, const struct store_plan_event *e), void *ctx, struct error *err) {
    struct query q = {0};
    struct plan_event_walk walk = {.each = row, .ctx = ctx};
    query_int(&q, "SELECT id, plan, type, ts, details FROM plan_events WHERE plan=?", plan);
    query_int(&q, " AND id >= ?", start);
    query_int(&q, " ORDER BY id LIMIT ?", limit);
    return query_run(s, &q, plan_event_row, &walk, "list events", err);
}

bool store_plan_event(struct store *s, int64_t id, void (*row)(void *ctx, const struct store_plan_event *e), void *ctx,
                      bool *found, struct error *err) {
    struct query q = {0};
    struct plan_event_walk walk = {.one = row, .ctx = ctx};
    query_int(&q, "SELECT id, plan, type, ts, details FROM plan_events WHERE id=?", id);
    bool ok = query_run(s, &q, plan_event_row, &walk, "read an event", err);
    *found = walk.found;
    return ok;
}

/* ---------------------------------------------------------------------------------------- schedules */

#define SCHEDULE_SELECT                                                                                                \
    "SELECT id, enabled, type, environment, owner_login, name, start, interval, next, last, last_job, first_api, "     \
    "description, owner, input, userdata, last_error, secret FROM schedules"

struct schedule_walk {
    bool (*each)(void *ctx, const struct store_schedule *sched);
    void (*one)(void *ctx, const struct store_schedule *sched);
    void *ctx;
    bool found;
};

static bool schedule_row(void *ctx, sqlite3_stmt *stmt) {
    struct schedule_walk *walk = ctx;
    struct store_schedule r = {
        .id = sqlite3_column_int64(stmt, 0),
        .enabled = sqlite3_column_int(stmt, 1) != 0,
        .type = column_span(stmt, 2),
        .environment = column_span(stmt, 3),
        .owner_login = column_span(stmt, 4),
        .name = column_span(stmt, 5),
        .start_ms = sqlite3_column_int64(stmt, 6),
        .interval_s = sqlite3_column_int64(stmt, 7),
        .next_ms = sqlite3_column_int64(stmt, 8),
        .last_ms = sqlite3_column_int64(stmt, 9),
        .last_job = sqlite3_column_int64(stmt, 10),
        .first_api = sqlite3_column_int(stmt, 11) != 0,
        .description = column_span(stmt, 12),
        .owner = column_span(stmt, 13),
        .input = column_span(stmt, 14),
        .userdata = column_span(stmt, 15),
        .last_error = column_span(stmt, 16),
        .secret = column_span(stmt, 17),
    };
    walk->found = true;
    if (walk->one != NULL) {
        walk->one(walk->ctx, &r);
        return false;
    }
    return walk->each(walk->ctx, &r);
}

bool store_schedule(struct store *s, int64_t id, void (*row)(void *ctx, const struct store_schedule *sched), void *ctx,
                    bool *found, struct error *err) {
    struct query q = {0};
    struct schedule_walk walk = {.one = row, .ctx = ctx};
    query_int(&q, SCHEDULE_SELECT " WHERE id=?", id);
    bool ok = query_run(s, &q, schedule_row, &walk, "read a schedule", err);
    *found = walk.found;
    return ok;
}

static void schedules_conditions(struct query *q, const char *type) {
    buf_append_cstr(&q->sql, " WHERE enabled");
    if (type != NULL) {
        query_text(q, " AND type=?", span_of(type));
    }
}

bool store_schedules_page(struct store *s, const struct store_page *page, const char *type,
                          bool (*row)(void *ctx, const struct store_schedule *sched), void *ctx, int64_t *total,
                          struct error *err) {
    struct query q = {0};
    if (total != NULL) {
        buf_append_cstr(&q.sql, "SELECT count(*) FROM schedules");
        schedules_conditions(&q, type);
        if (!query_number(s, &q, total, err)) {
            return false;
        }
        q = (struct query){0};
    }
    struct schedule_walk walk = {.each = row, .ctx = ctx};
    buf_append_cstr(&q.sql, SCHEDULE_SELECT);
    schedules_conditions(&q, type);
    query_page(&q, STORE_SCHEDULES, page);
    return query_run(s, &q, schedule_row, &walk, "list schedules", err);
}

bool store_all_schedules(struct store *s, bool (*row)(void *ctx, const struct store_schedule *sched), void *ctx,
                         struct error *err) {
    struct query q = {0};
    struct schedule_walk walk = {.each = row, .ctx = ctx};
    buf_append_cstr(&q.sql, SCHEDULE_SELECT " ORDER BY id");
    return query_run(s, &q, schedule_row, &walk, "list schedules", err);
}

/* ---------------------------------------------------------------------------------------- task-targets */

struct target_walk {
    bool (*each)(void *ctx, const struct store_target *t);
    void (*one)(void *ctx, const struct store_target *t);
    void *ctx;
    bool found;
};

static bool target_row(void *ctx, sqlite3_stmt *stmt) {
    struct target_walk *walk = ctx;
    struct store_target t = {
        .id = sqlite3_column_int64(stmt, 0),
        .all_tasks = sqlite3_column_int(stmt, 1) != 0,
        .display_name = column_span(stmt, 2),
        .tasks = column_span(stmt, 3),
        .nodes = column_span(stmt, 4),
        .node_groups = column_span(stmt, 5),
        .pql_query = column_span(stmt, 6),
    };
    walk->found = true;
    if (walk->one != NULL) {
        walk->one(walk->ctx, &t);
        return false;
    }
    return walk->each(walk->ctx, &t);
}

#define TARGET_SELECT "SELECT id, all_tasks, display_name, tasks, nodes, node_groups, pql_query FROM targets"

bool store_target(struct store *s, int64_t id, void (*row)(void *ctx, const struct store_target *t), void *ctx,
                  bool *found, struct error *err) {
    struct query q = {0};
    struct target_walk walk = {.one = row, .ctx = ctx};
    query_int(&q, TARGET_SELECT " WHERE id=?", id);
    bool ok = query_run(s, &q, target_row, &walk, "read a task-target", err);
    *found = walk.found;
    return ok;
}

bool store_targets(struct store *s, bool (*row)(void *ctx, const struct store_target *t), void *ctx,
                   struct error *err) {
    struct query q = {0};
    struct target_walk walk = {.each = row, .ctx = ctx};
    buf_append_cstr(&q.sql, TARGET_SELECT " ORDER BY id");
    return query_run(s, &q, target_row, &walk, "list task-targets", err);
}

/* ---------------------------------------------------------------------------------------- usage, connections */

struct usage_walk {
    bool (*each)(void *ctx, int64_t day, const char *counter, int64_t value);
    void *ctx;
};

static bool usage_row(void *ctx, sqlite3_stmt *stmt) {
    struct usage_walk *walk = ctx;
    return walk->each(walk->ctx, sqlite3_column_int64(stmt, 0), (const char *)sqlite3_column_text(stmt, 1),
                      sqlite3_column_int64(stmt, 2));
}

bool store_usage_page(struct store *s, int64_t first_day, int64_t last_day,
                      bool (*row)(void *ctx, int64_t day, const char *counter, int64_t value), void *ctx,
                      struct error *err) {
    struct query q = {0};
    struct usage_walk walk = {row, ctx};
    buf_append_cstr(&q.sql, "SELECT day, counter, value FROM (SELECT day, counter, value FROM usage UNION ALL"
                            " SELECT day, 'nodes_without_agent', count(*) FROM agentless GROUP BY day) WHERE 1");
    if (first_day >= 0) {
        query_int(&q, " AND day >= ?", first_day);
    }
    if (last_day >= 0) {
        query_int(&q, " AND day <= ?", last_day);
    }
    buf_append_cstr(&q.sql, " ORDER BY day DESC, counter");
    return query_run(s, &q, usage_row, &walk, "list usage", err);
}

struct connection_walk {
    bool (*each)(void *ctx, const struct store_connection *c);
    void *ctx;
    bool go_on;
};

static bool connection_row(void *ctx, sqlite3_stmt *stmt) {
    struct connection_walk *walk = ctx;
    struct store_connection c = {
        .certname = column_span(stmt, 0),
        .connection_id = column_span(stmt, 1),
        .type = column_span(stmt, 2),
        .parameters = column_span(stmt, 3),
        .secret = column_span(stmt, 4),
    };
    walk->go_on = walk->each(walk->ctx, &c);
    return walk->go_on;
}

#define CONNECTION_SELECT "SELECT certname, connection_id, type, parameters, secret FROM connections"

bool store_connections(struct store *s, const struct span *certnames, size_t count,
                       bool (*row)(void *ctx, const struct store_connection *c), void *ctx, struct error *err) {
    struct connection_walk walk = {row, ctx, true};
    struct query q = {0};
    if (count == 0) {
        buf_append_cstr(&q.sql, CONNECTION_SELECT " ORDER BY certname");
        return query_run(s, &q, connection_row, &walk, "list connections", err);
    }
    for (size_t i = 0; walk.go_on && i < count; i++) {
        q = (struct query){0};
        query_text(&q, CONNECTION_SELECT " WHERE certname=?", certnames[i]);
        if (!query_run(s, &q, connection_row, &walk, "list connections", err)) {
            return false;
        }
    }
    return true;
}
