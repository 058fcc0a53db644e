/* Running a query. */
#include "run.h"
#include "jsontext.h"
#include "rows.h"
#include "sql.h"

/* What EXPLAIN says, in the form of PostgreSQL's plans: the steps of SQLite's. */
static bool explain(struct pdb *s, const struct sql *sql, struct buf *out, struct error *err) {
    char *text = str_printf("EXPLAIN QUERY PLAN %s", sql->text.ptr);
    sqlite3_stmt *stmt = rows_prepare(s, text, sql->params, err);
    mem_free(text);
    if (stmt == NULL) {
        return false;
    }
    json_t *steps = json_array();
    while (sqlite3_step(stmt) == SQLITE_ROW) {
        json_array_append_new(steps, json_pack("{s:s}", "Node Type", (const char *)sqlite3_column_text(stmt, 3)));
    }
    sqlite3_finalize(stmt);
    json_t *plan = json_pack("[{s:[{s:{s:s, s:o}}]}]", "query plan", "Plan", "Node Type", "Query", "Plans", steps);
    json_write(out, plan);
    json_decref(plan);
    return true;
}

static bool count_rows(struct fake_puppetdb *p, const struct plan *plan, const struct sql_distinct *distinct,
                       int64_t *total, struct error *err) {
    struct sql sql;
    if (!sql_build_count(plan, distinct, &sql, err)) {
        return false;
    }
    bool ok = rows_number(p->store, &sql, total, err);
    sql_free(&sql);
    return ok;
}

static struct plan *plan_of(json_t *query, const struct query_request *r, struct error *err) {
    struct plan_options options = {.paging = {r->order_by, r->limit, r->offset},
                                   .facts_expiration = r->facts_expiration,
                                   .package_inventory = r->package_inventory};
    return plan_build(query, &options, err);
}

bool run_query(struct fake_puppetdb *p, json_t *query, const struct query_request *r, struct buf *out, int64_t *total,
               struct error *err) {
    struct sql sql;
    *total = -1;
    struct plan *plan = plan_of(query, r, err);
    if (plan == NULL) {
        return false;
    }
    struct sql_distinct times = {r->distinct_from_ms, r->distinct_to_ms};
    const struct sql_distinct *distinct = r->distinct ? &times : NULL;
    bool ok = sql_build(plan, distinct, &sql, err);
    if (ok) {
        ok = r->explain ? explain(p->store, &sql, out, err) : rows_write(p->store, &sql, out, err);
        sql_free(&sql);
    }
    ok = ok && (!r->include_total || count_rows(p, plan, distinct, total, err));
    plan_free(plan);
    return ok;
}

bool run_single(struct fake_puppetdb *p, json_t *query, bool facts_expiration, struct buf *out, struct error *err) {
    struct query_request r = {.limit = 1, .offset = PLAN_NO_LIMIT, .facts_expiration = facts_expiration};
    struct sql sql;
    struct plan *plan = plan_of(query, &r, err);
    bool ok = plan != NULL && sql_build(plan, NULL, &sql, err);
    if (ok) {
        ok = rows_write_bare(p->store, &sql, out, err) >= 0;
        sql_free(&sql);
    }
    plan_free(plan);
    return ok;
}

void run_respond(struct http_exchange *ex, const struct query_request *r, const struct buf *rows, int64_t total) {
    if (total >= 0) {
        char *text = str_printf("%lld", (long long)total);
        http_set_header(ex, "X-Records", text);
        mem_free(text);
    }
    if (r->pretty) {
        struct buf pretty = BUF_INIT;
        jsontext_append_pretty(&pretty, rows->ptr);
        puppetdb_json(ex, 200, buf_span(&pretty));
        buf_free(&pretty);
    } else {
        puppetdb_json(ex, 200, buf_span(rows));
    }
}

void run_and_respond(struct fake_puppetdb *p, struct http_exchange *ex, json_t *query, const struct query_request *r) {
    struct buf out = BUF_INIT;
    struct error err = ERROR_INIT;
    int64_t total;
    if (run_query(p, query, r, &out, &total, &err)) {
        run_respond(ex, r, &out, total);
    } else {
        puppetdb_query_error(ex, &err);
    }
    error_clear(&err);
    buf_free(&out);
}
