/* Events counted: SQL around the SQL of the events asked for. */
#include "event_counts.h"
#include "pql/ast.h"
#include "pql/quote.h"
#include "rows.h"
#include <string.h>

struct summary {
    const char *name;       /* of summarize_by */
    const char *columns[3]; /* grouped by */
};

static const struct summary summaries[] = {{"certname", {"certname"}},
                                           {"containing_class", {"containing_class"}},
                                           {"resource", {"resource_type", "resource_title"}}};
static const char *const counts[] = {"failures", "skips", "successes", "noops"};

static const struct summary *summary_named(struct span name, struct error *err) {
    for (size_t i = 0; i < sizeof summaries / sizeof summaries[0]; i++) {
        if (span_eq_cstr(name, summaries[i].name)) {
            return &summaries[i];
        }
    }
    error_set(err, "puppetdb/request", "Unsupported value for 'summarize_by': '%.*s'", (int)name.len, name.ptr);
    return NULL;
}

/* ---------------------------------------------------------------- counts_filter */

static bool is_count(const json_t *field) {
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        if (str_eq(json_string_value(field), counts[i])) {
            return true;
        }
    }
    return false;
}

static bool filter(struct sql *sql, const json_t *node, struct error *err) {
    bool negated = ast_is(node, "not");
    if (ast_is(node, "and") || ast_is(node, "or") || negated) {
        buf_append_cstr(&sql->text, negated ? "(NOT " : "(");
        for (size_t i = 1; i < json_array_size(node); i++) {
            buf_append_cstr(&sql->text, i == 1 ? "" : ast_is(node, "and") ? " AND " : " OR ");
            if (!filter(sql, json_array_get(node, i), err)) {
                return false;
            }
        }
        buf_append_cstr(&sql->text, json_array_size(node) > 1 ? ")" : "1)");
        return true;
    }
    const json_t *field = json_array_get(node, 1);
    const json_t *value = json_array_get(node, 2);
    struct span op = ast_operator(node);
    uint64_t number = 0;
    bool plain = ast_is_simple_operator(op) && *op.ptr != '~' && json_array_size(node) == 3;
    if (!plain || !is_count(field) || !(json_is_integer(value) || span_to_u64(json_span(value), &number))) {
        struct buf text = BUF_INIT;
        quote_readable(&text, node);
        error_set(err, "puppetdb/request", "%s is not well-formed", text.ptr);
        buf_free(&text);
        return false;
    }
    buf_printf(&sql->text, "(%s %.*s %lld)", json_string_value(field), (int)op.len, op.ptr,
               json_is_integer(value) ? (long long)json_integer_value(value) : (long long)number);
    return true;
}

/* ---------------------------------------------------------------- counting */

/* The events asked for, as SQL with the columns that counting needs. */
static bool events_sql(const struct query_request *r, struct sql *out, struct error *err) {
    json_t *extract = json_pack("[s, [s, s, s, s, s]]", "extract", "certname", "status", "resource_type",
                                "resource_title", "containing_class");
    if (r->query != NULL) {
        json_array_append(extract, r->query);
    }
    json_t *query = json_pack("[s, s, o]", "from", "events", extract);
    struct plan_options options = {.paging = {NULL, PLAN_NO_LIMIT, PLAN_NO_LIMIT}};
    struct sql_distinct times = {r->distinct_from_ms, r->distinct_to_ms};
    struct plan *plan = plan_build(query, &options, err);
    bool ok = plan != NULL && sql_build(plan, r->distinct ? &times : NULL, out, err);
    plan_free(plan);
    json_decref(query);
    return ok;
}

static void list_columns(struct buf *out, const struct summary *by) {
    for (size_t i = 0; by->columns[i] != NULL; i++) {
        buf_printf(out, "%s%s", i > 0 ? ", " : "", by->columns[i]);
    }
}

/* One row a subject: its columns, failures, skips, successes, noops. */
static bool counts_sql(const struct query_request *r, const struct summary *by, struct sql *out, struct error *err) {
    const char *count_by = r->count_by != NULL ? r->count_by : "resource";
    bool by_node = strcmp(count_by, "certname") == 0;
    if (!by_node && strcmp(count_by, "resource") != 0) {
        return error_set(err, "puppetdb/request", "Unsupported value for 'count_by': '%s'", count_by);
    }
    struct sql events;
    if (!events_sql(r, &events, err)) {
        return false;
    }
    struct buf columns = BUF_INIT;
    list_columns(&columns, by);
    memset(out, 0, sizeof *out);
    out->params = json_incref(events.params);
    buf_printf(
        &out->text,
        "SELECT * FROM (WITH e(certname, status, resource_type, resource_title, containing_class) AS (%s) SELECT %s, "
        "sum(status = 'failure') AS failures, sum(status = 'skipped') AS skips, sum(status = 'success') AS successes, "
        "sum(status = 'noop') AS noops FROM ",
        events.text.ptr, columns.ptr);
    if (by_node) {
        buf_printf(&out->text, "(SELECT DISTINCT certname AS node, status, %s FROM e)", columns.ptr);
    } else {
        buf_append_cstr(&out->text, "e");
    }
    buf_printf(&out->text, " GROUP BY %s) WHERE ", columns.ptr);
    buf_free(&columns);
    sql_free(&events);
    bool ok = true;
    if (r->counts_filter != NULL && !json_is_null(r->counts_filter)) {
        ok = filter(out, r->counts_filter, err);
    } else {
        buf_append_cstr(&out->text, "1");
    }
    if (!ok) {
        sql_free(out);
    }
    return ok;
}

static bool is_ordered_by(const struct summary *by, const char *name) {
    bool known = false;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        known = known || str_eq(name, counts[i]);
    }
    for (size_t i = 0; by->columns[i] != NULL; i++) {
        known = known || str_eq(name, by->columns[i]);
    }
    return known;
}

static bool page(const struct query_request *r, const struct summary *by, struct sql *sql, struct error *err) {
    size_t i;
    json_t *item;
    json_array_foreach(r->order_by, i, item) {
        const char *name = json_string_value(json_array_get(item, 0));
        if (!is_ordered_by(by, name)) {
            struct buf columns = BUF_INIT;
            for (size_t c = 0; by->columns[c] != NULL; c++) {
                buf_printf(&columns, ", '%s'", by->columns[c]);
            }
            error_set(err, "puppetdb/request",
                      "Unrecognized column '%s' specified in :order_by; Supported columns are 'failures', 'skips', "
                      "'successes', 'noops'%s",
                      name, columns.ptr);
            buf_free(&columns);
            return false;
        }
        bool descending = str_eq(json_string_value(json_array_get(item, 1)), "desc");
        buf_printf(&sql->text, "%s%s %s", i == 0 ? " ORDER BY " : ", ", name, descending ? "DESC" : "ASC");
    }
    if (r->limit >= 0 || r->offset > 0) {
        buf_printf(&sql->text, " LIMIT %lld OFFSET %lld", (long long)r->limit,
                   (long long)(r->offset > 0 ? r->offset : 0));
    }
    return true;
}

/* ---------------------------------------------------------------- answers */

static void write_subject(struct buf *out, sqlite3_stmt *q, const struct summary *by) {
    json_t *texts[2];
    for (int i = 0; i < 2; i++) {
        const char *text = (const char *)sqlite3_column_text(q, i);
        texts[i] = text != NULL ? json_string(text) : json_null();
    }
    bool resource = by->columns[1] != NULL;
    int first = resource ? 2 : 1;
    json_t *subject =
        resource ? json_pack("{s:O, s:O}", "type", texts[0], "title", texts[1]) : json_pack("{s:O}", "title", texts[0]);
    json_t *row = json_pack(
        "{s:I, s:I, s:I, s:I, s:s, s:o}", "failures", (json_int_t)sqlite3_column_int64(q, first), "skips",
        (json_int_t)sqlite3_column_int64(q, first + 1), "successes", (json_int_t)sqlite3_column_int64(q, first + 2),
        "noops", (json_int_t)sqlite3_column_int64(q, first + 3), "subject_type", by->name, "subject", subject);
    json_write(out, row);
    json_decref(row);
    json_decref(texts[0]);
    json_decref(texts[1]);
}

bool event_counts_write(struct fake_puppetdb *p, const struct query_request *r, struct buf *out, struct error *err) {
    struct sql sql;
    const struct summary *by = summary_named(span_of(r->summarize_by), err);
    if (by == NULL || !counts_sql(r, by, &sql, err)) {
        return false;
    }
    sqlite3_stmt *q = page(r, by, &sql, err) ? rows_prepare(p->store, sql.text.ptr, sql.params, err) : NULL;
    sql_free(&sql);
    if (q == NULL) {
        return false;
    }
    buf_append_char(out, '[');
    for (size_t n = 0; sqlite3_step(q) == SQLITE_ROW; n++) {
        buf_append_cstr(out, n > 0 ? "," : "");
        write_subject(out, q, by);
    }
    buf_append_char(out, ']');
    sqlite3_finalize(q);
    return true;
}

static bool write_aggregate(struct fake_puppetdb *p, const struct query_request *r, const struct summary *by,
                            struct buf *out, struct error *err) {
    struct sql sql;
    if (!counts_sql(r, by, &sql, err)) {
        return false;
    }
    char *text =
        str_printf("SELECT sum(failures > 0), sum(skips > 0), sum(successes > 0), sum(noops > 0), count(*) FROM (%s)",
                   sql.text.ptr);
    sqlite3_stmt *q = rows_prepare(p->store, text, sql.params, err);
    mem_free(text);
    sql_free(&sql);
    if (q == NULL) {
        return false;
    }
    sqlite3_step(q);
    json_t *row = json_pack("{s:s, s:I, s:I, s:I, s:I, s:I}", "summarize_by", by->name, "failures",
                            (json_int_t)sqlite3_column_int64(q, 0), "skips", (json_int_t)sqlite3_column_int64(q, 1),
                            "successes", (json_int_t)sqlite3_column_int64(q, 2), "noops",
                            (json_int_t)sqlite3_column_int64(q, 3), "total", (json_int_t)sqlite3_column_int64(q, 4));
    sqlite3_finalize(q);
    json_write(out, row);
    json_decref(row);
    return true;
}

bool event_counts_write_aggregate(struct fake_puppetdb *p, const struct query_request *r, struct buf *out,
                                  struct error *err) {
    struct span rest = span_of(r->summarize_by), name;
    bool first = true;
    buf_append_char(out, '[');
    while (span_split(&rest, ',', &name)) {
        const struct summary *by = summary_named(name, err);
        buf_append_cstr(out, first ? "" : ",");
        if (by == NULL || !write_aggregate(p, r, by, out, err)) {
            return false;
        }
        first = false;
    }
    buf_append_char(out, ']');
    return true;
}
