#include "orchestrator/store/read.h"

#include <assert.h>
#include <string.h>

struct order {
    const char *name;   /* as the API calls it */
    const char *column; /* what is sorted by */
};

/* The first of each list is its default; the id (or name) makes every order total. */
static const struct order jobs_orders[] = {
    {"timestamp", "ts"}, {"owner", "owner_login"}, {"environment", "environment"},
    {"name", "id"},      {"state", "state"},       {NULL, NULL}};
static const struct order nodes_orders[] = {{"name", "name"},
                                            {"duration", "duration"},
                                            {"state", "state"},
                                            {"start_timestamp", "started"},
                                            {"finish_timestamp", "finished"},
                                            {NULL, NULL}};
static const struct order plans_orders[] = {{"name", "id"},      {"owner", "owner_login"},
                                            {"timestamp", "ts"}, {"environment", "environment"},
                                            {"state", "state"},  {NULL, NULL}};
static const struct order schedules_orders[] = {{"next_run_time", "next"},
                                                {"next_run", "next"},
                                                {"scheduled_time", "start"},
                                                {"environment", "environment"},
                                                {"owner", "owner_login"},
                                                {"name", "id"},
                                                {"type", "type"},
                                                {NULL, NULL}};
static const struct order *const orders[] = {
    [STORE_JOBS] = jobs_orders,
    [STORE_NODES] = nodes_orders,
    [STORE_PLANS] = plans_orders,
    [STORE_SCHEDULES] = schedules_orders,
};
static const char *const tie_breakers[] = {
    [STORE_JOBS] = "id", [STORE_NODES] = "idx", [STORE_PLANS] = "id", [STORE_SCHEDULES] = "id"};

static const struct order *find_order(enum store_list list, const char *name) {
    for (const struct order *o = orders[list]; o->name != NULL; o++) {
        if (name == NULL || strcmp(o->name, name) == 0) {
            return o;
        }
    }
    return NULL;
}

bool store_order_valid(enum store_list list, const char *order_by) {
    return find_order(list, order_by) != NULL;
}

static struct query_param *add_param(struct query *q) {
    assert(q->count < QUERY_PARAMS_MAX);
    return &q->params[q->count++];
}

void query_int(struct query *q, const char *condition, int64_t value) {
    buf_append_cstr(&q->sql, condition);
    *add_param(q) = (struct query_param){.number = value};
}

void query_text(struct query *q, const char *condition, struct span value) {
    buf_append_cstr(&q->sql, condition);
    *add_param(q) = (struct query_param){.is_text = true, .text = value};
}

void query_order(struct query *q, enum store_list list, const struct store_page *page) {
    const struct order *o = find_order(list, page->order_by);
    assert(o != NULL);
    const char *way = page->descending ? "DESC" : "ASC";
    buf_printf(&q->sql, " ORDER BY %s %s, %s %s", o->column, way, tie_breakers[list], way);
}

void query_page(struct query *q, enum store_list list, const struct store_page *page) {
    query_order(q, list, page);
    query_int(q, " LIMIT ?", page->limit);
    query_int(q, " OFFSET ?", page->offset);
}

bool store_select(struct store *s, const char *sql, sqlite3_stmt **stmt, struct error *err) {
    if (!store_readable(s, err)) {
        return false;
    }
    int rc = sqlite3_prepare_v2(s->reader, sql, -1, stmt, NULL);
    return rc == SQLITE_OK || store_read_failed(s, rc, "be read", err);
}

void store_reads_drop(struct store *s) {
    for (struct map_iter i = map_iter(&s->reads); map_next(&i);) {
        sqlite3_finalize(i.value);
    }
    map_free(&s->reads);
}

/* Those who follow a job ask the same at every commit. Taken out while it is used: a row may lead to another query. */
static bool take_read(struct store *s, const struct query *q, sqlite3_stmt **stmt, struct error *err) {
    *stmt = s->reader != NULL ? map_remove(&s->reads, buf_span(&q->sql)) : NULL;
    return *stmt != NULL || store_select(s, q->sql.ptr, stmt, err);
}

static void give_read_back(struct store *s, const struct query *q, sqlite3_stmt *stmt, bool good) {
    bool there = map_get(&s->reads, buf_span(&q->sql)) != NULL;
    if (stmt == NULL || !good || there || map_count(&s->reads) >= STORE_READS_MAX ||
        sqlite3_db_handle(stmt) != s->reader) {
        sqlite3_finalize(stmt);
        return;
    }
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt); /* they borrow */
    map_put(&s->reads, buf_span(&q->sql), stmt);
}

static bool start(struct store *s, struct query *q, sqlite3_stmt **stmt, struct error *err) {
    if (!take_read(s, q, stmt, err)) {
        return false;
    }
    for (int i = 0; i < q->count; i++) {
        const struct query_param *p = &q->params[i];
        if (p->is_text) {
            sqlite3_bind_text64(*stmt, i + 1, p->text.ptr == NULL ? "" : p->text.ptr, p->text.len, SQLITE_STATIC,
                                SQLITE_UTF8);
        } else {
            sqlite3_bind_int64(*stmt, i + 1, p->number);
        }
    }
    return true;
}

bool query_run(struct store *s, struct query *q, bool (*row)(void *ctx, sqlite3_stmt *stmt), void *ctx,
               const char *what, struct error *err) {
    sqlite3_stmt *stmt = NULL;
    bool ok = start(s, q, &stmt, err);
    int rc = SQLITE_DONE;
    bool more = ok;
    while (more && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        more = row(ctx, stmt);
    }
    bool good = rc == SQLITE_DONE || rc == SQLITE_ROW;
    give_read_back(s, q, stmt, good);
    buf_free(&q->sql);
    return ok && (good || store_read_failed(s, rc, what, err));
}

static bool take_number(void *ctx, sqlite3_stmt *stmt) {
    *(int64_t *)ctx = sqlite3_column_int64(stmt, 0);
    return false;
}

bool query_number(struct store *s, struct query *q, int64_t *out, struct error *err) {
    *out = 0;
    return query_run(s, q, take_number, out, "be read", err);
}

struct span column_span(sqlite3_stmt *stmt, int column) {
    bool text = sqlite3_column_type(stmt, column) == SQLITE_TEXT; /* as text it ends with a NUL */
    const void *bytes = text ? (const void *)sqlite3_column_text(stmt, column) : sqlite3_column_blob(stmt, column);
    if (bytes == NULL) {
        return (struct span){"", 0};
    }
    return span_bytes(bytes, (size_t)sqlite3_column_bytes(stmt, column));
}

void read_numbers64(struct span text, int64_t *out, size_t count) {
    struct span part;
    for (size_t i = 0; i < count; i++) {
        out[i] = 0;
        if (span_split(&text, ',', &part)) {
            span_to_i64(part, &out[i]);
        }
    }
}

void read_numbers32(struct span text, uint32_t *out, size_t count) {
    struct span part;
    for (size_t i = 0; i < count; i++) {
        uint64_t value = 0;
        if (span_split(&text, ',', &part)) {
            span_to_u64(part, &value);
        }
        out[i] = (uint32_t)value;
    }
}
