/* Parameters of a query. */
#include "request.h"
#include "base/clock.h"
#include "pql/query_text.h"
#include "pql/quote.h"
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static bool bad(struct error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool bad(struct error *err, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    error_set(err, "puppetdb/request", "%s", text.ptr);
    buf_free(&text);
    return false;
}

/* ---------------------------------------------------------------- one JSON object of all parameters */

/* The query in the language of the endpoint; JSON null for none. */
static json_t *read_query(struct span text, bool root, struct error *err) {
    json_t *query = root ? query_parse(text, err) : query_parse_json(text, err);
    return query != NULL || error_is_set(err) ? query : json_null();
}

/* The first JSON value; null when there is none. */
static json_t *read_json_parameter(const char *name, const char *value, struct error *err) {
    if (span_trim(span_of(value)).len == 0) {
        return json_null();
    }
    json_t *parsed = json_loads(value, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, NULL);
    if (parsed == NULL && strcmp(name, "order_by") == 0) {
        bad(err, "Illegal value '%s' for :order_by; expected a JSON array of maps.", value);
    } else if (parsed == NULL) {
        bad(err, "Illegal value '%s' for :%s; expected JSON.", value, name);
    }
    return parsed;
}

static json_t *from_url(struct http_exchange *ex, bool root, struct error *err) {
    json_t *params = json_object();
    const char *name, *value;
    for (size_t i = 0; http_query_at(ex, i, &name, &value) && !error_is_set(err); i++) {
        json_t *parsed = strcmp(name, "query") == 0 ? read_query(span_of(value), root, err)
                         : strcmp(name, "order_by") == 0 || strcmp(name, "counts_filter") == 0
                             ? read_json_parameter(name, value, err)
                             : json_str_new(span_of(value));
        if (parsed == NULL && !error_is_set(err)) {
            bad(err, "the parameter '%s' is not UTF-8", name);
        }
        if (parsed != NULL) {
            json_object_set_new(params, name, parsed);
        }
    }
    if (error_is_set(err)) {
        json_decref(params);
        return NULL;
    }
    return params;
}

static json_t *from_body(struct http_exchange *ex, bool root, struct error *err) {
    json_t *params = query_parse_body(http_request(ex)->body, err);
    if (params == NULL && !error_is_set(err)) {
        params = json_object();
    }
    if (params == NULL || !json_is_object(params)) {
        json_decref(params);
        if (!error_is_set(err)) {
            bad(err, "Key must be integer"); /* of a body that is a list; nothing else is told apart */
        }
        return NULL;
    }
    json_t *query = json_object_get(params, "query");
    if (json_is_string(query)) {
        json_t *parsed = read_query(json_span(query), root, err);
        if (parsed != NULL) {
            json_object_set_new(params, "query", parsed);
        }
    } else if (query != NULL && !json_is_array(query) && !json_is_null(query)) {
        error_set(err, "pql/refused", "the query must be text or a list");
    } else if (query == NULL) {
        json_object_set_new(params, "query", json_null());
    }
    if (error_is_set(err)) {
        json_decref(params);
        return NULL;
    }
    return params;
}

/* ---------------------------------------------------------------- which may be given */

static const struct {
    const char *name;
    unsigned in, not_in;
} known[] = {
    {"query", PARAMS_TYPICAL, 0},
    {"limit", PARAMS_TYPICAL, PARAMS_NO_PAGING},
    {"offset", PARAMS_TYPICAL, PARAMS_NO_PAGING},
    {"order_by", PARAMS_TYPICAL, PARAMS_NO_PAGING},
    {"include_total", PARAMS_TYPICAL, PARAMS_NO_PAGING},
    {"pretty", PARAMS_TYPICAL | PARAMS_SINGLE, PARAMS_NO_PAGING},
    {"optimize_drop_unused_joins", PARAMS_TYPICAL | PARAMS_SINGLE, 0},
    {"include_facts_expiration", PARAMS_TYPICAL | PARAMS_SINGLE, 0},
    {"include_package_inventory", PARAMS_TYPICAL | PARAMS_SINGLE, 0},
    {"explain", PARAMS_TYPICAL | PARAMS_SINGLE, 0},
    {"origin", PARAMS_TYPICAL | PARAMS_SINGLE, 0},
    {"timeout", PARAMS_TYPICAL | PARAMS_SINGLE, 0},
    {"ast_only", PARAMS_ROOT, 0},
    {"distinct_resources", PARAMS_DISTINCT, 0},
    {"distinct_start_time", PARAMS_DISTINCT, 0},
    {"distinct_end_time", PARAMS_DISTINCT, 0},
    {"summarize_by", PARAMS_COUNTS, 0},
    {"count_by", PARAMS_COUNTS, 0},
    {"counts_filter", PARAMS_COUNTS, 0},
};

static bool is_known(const char *name, unsigned params) {
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, name) == 0) {
            return (known[i].in & params) != 0 && (known[i].not_in & params) == 0;
        }
    }
    return false;
}

static bool check_names(const json_t *given, unsigned params, struct error *err) {
    const char *required = (params & PARAMS_ROOT) != 0     ? "query"
                           : (params & PARAMS_COUNTS) != 0 ? "summarize_by"
                                                           : NULL;
    if (required != NULL && json_object_get(given, required) == NULL) {
        return bad(err, "Missing required query parameter '%s'", required);
    }
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)given, name, value) {
        bool none = strcmp(name, "query") == 0 && json_is_null(value);
        if (!none && !is_known(name, params)) {
            return bad(err, "Unsupported query parameter '%s'", name);
        }
    }
    return true;
}

/* ---------------------------------------------------------------- what they say */

static bool flag(const json_t *given, const char *name) {
    const json_t *value = json_object_get(given, name);
    return json_is_true(value) || span_eq_nocase(json_span(value), "true");
}

/* A count of at least `least`; absent or null leaves *out alone. */
static bool count(const json_t *given, const char *name, int64_t least, const char *expected, int64_t *out,
                  struct error *err) {
    const json_t *value = json_object_get(given, name);
    if (value == NULL || json_is_null(value)) {
        return true;
    }
    int64_t number = -1;
    bool ok = json_is_integer(value) || span_to_i64(json_span(value), &number);
    number = json_is_integer(value) ? json_integer_value(value) : number;
    if (!ok || number < least || (!json_is_integer(value) && number > INT32_MAX)) {
        struct buf text = BUF_INIT;
        quote_plain(&text, value);
        bad(err, "Illegal value '%s' for :%s; expected a %s integer.", text.ptr != NULL ? text.ptr : "", name,
            expected);
        buf_free(&text);
        return false;
    }
    *out = number;
    return true;
}

static bool order_error(struct error *err, const json_t *value, const char *after) {
    struct buf text = BUF_INIT;
    quote_plain(&text, value);
    bad(err, "Illegal value '%s' %s", text.ptr != NULL ? text.ptr : "", after);
    buf_free(&text);
    return false;
}

static bool is_list_of_maps(const json_t *list) {
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        if (!json_is_object(item)) {
            return false;
        }
    }
    return json_is_array(list);
}

static bool check_order_keys(const json_t *list, struct error *err) {
    size_t i;
    json_t *item, *value;
    const char *key;
    json_array_foreach(list, i, item) {
        json_object_foreach(item, key, value) {
            if (strcmp(key, "field") != 0 && strcmp(key, "order") != 0) {
                char *after = str_printf("in :order_by; unknown key '%s'.", key);
                order_error(err, item, after);
                mem_free(after);
                return false;
            }
        }
    }
    return true;
}

/* [{"field": f, "order": "asc"}] → [[f, "asc"]] */
static bool read_order(const json_t *given, json_t **out, struct error *err) {
    const json_t *list = json_object_get(given, "order_by");
    *out = NULL;
    bool empty = list == NULL || json_is_null(list) || (json_is_string(list) && json_string_length(list) == 0) ||
                 (json_is_object(list) && json_object_size(list) == 0);
    if (empty) {
        return true;
    }
    if (!is_list_of_maps(list)) {
        return order_error(err, list, "for :order_by; expected an array of maps.");
    }
    if (!check_order_keys(list, err)) {
        return false;
    }
    *out = json_array();
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        const json_t *order = json_object_get(item, "order");
        struct span direction = order == NULL || json_is_null(order) ? SPAN("asc") : json_span(order);
        bool legal = span_eq_nocase(direction, "asc") || span_eq_nocase(direction, "desc");
        if (!json_is_string(json_object_get(item, "field")) || !legal) {
            json_decref(*out);
            *out = NULL;
            return order_error(err, item,
                               legal ? "in :order_by; missing required key 'field'."
                                     : "in :order_by; 'order' must be either 'asc' or 'desc'");
        }
        json_array_append_new(*out, json_pack("[O, s]", json_object_get(item, "field"),
                                              span_eq_nocase(direction, "asc") ? "asc" : "desc"));
    }
    return true;
}

static bool read_explain(const json_t *given, bool *out, struct error *err) {
    const json_t *value = json_object_get(given, "explain");
    if (value == NULL || json_is_null(value)) {
        return true;
    }
    if (!span_eq_cstr(json_span(value), "analyze")) {
        struct buf text = BUF_INIT;
        quote_plain(&text, value);
        bad(err, "Illegal value '%s' for :explain; expected `analyze`.", text.ptr != NULL ? text.ptr : "");
        buf_free(&text);
        return false;
    }
    *out = true;
    return true;
}

/* Queries never take long here: the value is only checked. */
static bool check_timeout(const json_t *given, struct error *err) {
    const json_t *value = json_object_get(given, "timeout");
    if (value == NULL || json_is_null(value)) {
        return true;
    }
    char *end = NULL;
    const char *text = json_string_value(value);
    double seconds = text != NULL ? strtod(text, &end) : json_is_number(value) ? json_number_value(value) : -1;
    if (seconds >= 0 && (text == NULL || (end != text && *end == '\0'))) {
        return true;
    }
    struct buf shown = BUF_INIT;
    quote_plain(&shown, value);
    bad(err, "Query timeout must be non-negative number, not %s", shown.ptr != NULL ? shown.ptr : "");
    buf_free(&shown);
    return false;
}

/* All three together or none. */
static bool read_distinct(const json_t *given, struct query_request *out, struct error *err) {
    const json_t *from = json_object_get(given, "distinct_start_time");
    const json_t *to = json_object_get(given, "distinct_end_time");
    bool asked = json_object_get(given, "distinct_resources") != NULL;
    if (!asked && from == NULL && to == NULL) {
        return true;
    }
    if (from == NULL || to == NULL) {
        return bad(err,
                   "'distinct_resources' query parameter requires accompanying parameters 'distinct_start_time' and "
                   "'distinct_end_time'");
    }
    if (!asked) {
        return bad(err, "'distinct_resources' query parameter must accompany parameters 'distinct_start_time' and "
                        "'distinct_end_time'");
    }
    if (!plan_parse_time(json_span(from), &out->distinct_from_ms) ||
        !plan_parse_time(json_span(to), &out->distinct_to_ms)) {
        struct buf start = BUF_INIT, end = BUF_INIT;
        quote_plain(&start, from);
        quote_plain(&end, to);
        bad(err, "query parameters 'distinct_start_time' and 'distinct_end_time' must be valid datetime strings: %s %s",
            start.ptr != NULL ? start.ptr : "", end.ptr != NULL ? end.ptr : "");
        buf_free(&start);
        buf_free(&end);
        return false;
    }
    out->distinct = flag(given, "distinct_resources");
    return true;
}

static bool read_all(const json_t *given, unsigned params, struct query_request *out, struct error *err) {
    if (!check_names(given, params, err) || !read_order(given, &out->order_by, err) ||
        !count(given, "limit", 1, "positive non-zero", &out->limit, err) ||
        !count(given, "offset", 0, "non-negative", &out->offset, err) || !read_explain(given, &out->explain, err) ||
        !check_timeout(given, err) || !read_distinct(given, out, err)) {
        return false;
    }
    json_t *query = json_object_get(given, "query");
    out->query = query != NULL && !json_is_null(query) ? json_incref(query) : NULL;
    out->ast_only = flag(given, "ast_only");
    out->include_total = flag(given, "include_total");
    out->pretty = flag(given, "pretty");
    out->facts_expiration = flag(given, "include_facts_expiration");
    out->package_inventory = flag(given, "include_package_inventory");
    out->summarize_by = str_dup(json_str(given, "summarize_by"));
    out->count_by = str_dup(json_str(given, "count_by"));
    out->counts_filter = json_incref(json_object_get(given, "counts_filter"));
    return true;
}

bool request_read(struct http_exchange *ex, unsigned params, struct query_request *out, struct error *err) {
    memset(out, 0, sizeof *out);
    out->limit = out->offset = PLAN_NO_LIMIT;
    const char *method = http_request(ex)->method;
    bool get = strcmp(method, "GET") == 0;
    if (!get && strcmp(method, "POST") != 0) {
        return bad(err, "PuppetDB queries must be made via GET/POST");
    }
    bool root = (params & PARAMS_ROOT) != 0;
    json_t *given = get ? from_url(ex, root, err) : from_body(ex, root, err);
    bool ok = given != NULL && read_all(given, params, out, err);
    json_decref(given);
    if (!ok) {
        request_free(out);
    }
    return ok;
}

void request_free(struct query_request *r) {
    json_decref(r->query);
    json_decref(r->order_by);
    json_decref(r->counts_filter);
    mem_free(r->summarize_by);
    mem_free(r->count_by);
    memset(r, 0, sizeof *r);
}
