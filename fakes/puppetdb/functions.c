/* SQL functions that PostgreSQL has and SQLite has not. */
#include "functions.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "jsontext.h"
#include "regex.h"
#include "tochar.h"
#include <string.h>

static struct span text_arg(sqlite3_value *v) {
    const void *text = sqlite3_value_text(v);
    return span_bytes(text != NULL ? text : "", (size_t)sqlite3_value_bytes(v));
}

static bool is_null(sqlite3_value *v) {
    return sqlite3_value_type(v) == SQLITE_NULL;
}

static void give_text(sqlite3_context *c, struct span text) {
    sqlite3_result_text64(c, text.len > 0 ? text.ptr : "", text.len, SQLITE_TRANSIENT, SQLITE_UTF8);
}

static void give_buf(sqlite3_context *c, struct buf *b) {
    give_text(c, buf_span(b));
    buf_free(b);
}

static json_t *json_arg(sqlite3_value *v) {
    struct span text = text_arg(v);
    return json_loadb(text.ptr, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
}

/* ---------------------------------------------------------------- regular expressions */

static void free_regex(void *r) {
    regex_free(r);
}

/* The compiled pattern of argument 0, kept for the statement. NULL after giving the error. */
static const struct regex *pattern_arg(sqlite3_context *c, sqlite3_value *v) {
    struct regex *r = sqlite3_get_auxdata(c, 0);
    if (r == NULL) {
        struct error err = ERROR_INIT;
        r = regex_new(text_arg(v), &err);
        if (r == NULL) {
            sqlite3_result_error(c, err.msg, -1);
            error_clear(&err);
            return NULL;
        }
        sqlite3_set_auxdata(c, 0, r, free_regex);
        r = sqlite3_get_auxdata(c, 0);
    }
    return r;
}

static void give_match(sqlite3_context *c, enum regex_result result) {
    if (result == REGEX_TOO_COMPLEX) {
        sqlite3_result_error(c, "ERROR: invalid regular expression: regular expression is too complex", -1);
    } else {
        sqlite3_result_int(c, result == REGEX_YES);
    }
}

static void f_match(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    if (is_null(v[0]) || is_null(v[1])) {
        return;
    }
    const struct regex *r = pattern_arg(c, v[0]);
    if (r != NULL) {
        give_match(c, regex_match(r, text_arg(v[1])));
    }
}

static void f_any_match(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    const struct regex *r = is_null(v[0]) ? NULL : pattern_arg(c, v[0]);
    if (r == NULL) {
        return;
    }
    json_t *list = json_arg(v[1]);
    enum regex_result found = REGEX_NO;
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        found = found == REGEX_NO ? regex_match(r, json_span(item)) : found;
    }
    json_decref(list);
    give_match(c, found);
}

static void f_any_equal(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    if (is_null(v[1])) {
        return;
    }
    json_t *list = json_arg(v[1]);
    bool found = false;
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        found = found || (json_is_string(item) && span_eq(json_span(item), text_arg(v[0])));
    }
    json_decref(list);
    sqlite3_result_int(c, found);
}

/* Patterns of a path, compiled; an index stands for itself. */
struct path_pattern {
    size_t count;
    struct {
        struct regex *regex; /* NULL: the index */
        bool digits_only;    /* a name, never an index */
        json_int_t index;
    } parts[];
};

static void free_path_pattern(void *p) {
    struct path_pattern *pattern = p;
    for (size_t i = 0; i < pattern->count; i++) {
        regex_free(pattern->parts[i].regex);
    }
    mem_free(pattern);
}

static bool is_digits(struct span text) {
    uint64_t ignored;
    return span_to_u64(text, &ignored);
}

static struct path_pattern *compile_path(sqlite3_context *c, sqlite3_value *v) {
    json_t *list = json_arg(v);
    size_t count = json_array_size(list);
    struct path_pattern *p = mem_zalloc(sizeof *p + count * sizeof p->parts[0]);
    struct error err = ERROR_INIT;
    for (size_t i = 0; i < count && !error_is_set(&err); i++) {
        json_t *part = json_array_get(list, i);
        p->count = i + 1;
        p->parts[i].index = json_integer_value(part);
        p->parts[i].digits_only = is_digits(json_span(part));
        p->parts[i].regex = json_is_string(part) ? regex_new(json_span(part), &err) : NULL;
    }
    json_decref(list);
    if (error_is_set(&err)) {
        sqlite3_result_error(c, err.msg, -1);
        error_clear(&err);
        free_path_pattern(p);
        return NULL;
    }
    return p;
}

/* An index is matched as text, but not by a pattern of digits only, which PuppetDB takes for a name. */
static bool part_matches(const struct path_pattern *p, size_t i, const json_t *part) {
    if (p->parts[i].regex == NULL) {
        return json_is_integer(part) && json_integer_value(part) == p->parts[i].index;
    }
    if (json_is_integer(part) && p->parts[i].digits_only) {
        return false;
    }
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT, json_integer_value(part));
    struct span text = json_is_string(part) ? json_span(part) : span_bytes(digits, (size_t)len);
    return regex_match(p->parts[i].regex, text) == REGEX_YES;
}

static void f_path_match(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    struct path_pattern *p = sqlite3_get_auxdata(c, 0);
    if (p == NULL) {
        p = compile_path(c, v[0]);
        if (p == NULL) {
            return;
        }
        sqlite3_set_auxdata(c, 0, p, free_path_pattern);
        p = sqlite3_get_auxdata(c, 0);
    }
    json_t *path = json_arg(v[1]);
    bool matches = p != NULL && json_array_size(path) == p->count;
    for (size_t i = 0; matches && i < p->count; i++) {
        matches = part_matches(p, i, json_array_get(path, i));
    }
    json_decref(path);
    sqlite3_result_int(c, matches);
}

/* ---------------------------------------------------------------- JSON */

static void f_text(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    struct span text = text_arg(v[0]);
    if (is_null(v[0]) || span_eq_cstr(text, "null")) {
        return;
    }
    json_t *value = text.len > 0 && *text.ptr == '"' ? json_arg(v[0]) : NULL;
    give_text(c, value != NULL ? json_span(value) : text);
    json_decref(value);
}

/* Borrowed; NULL when nothing stands there. */
static json_t *value_at(json_t *value, const json_t *path) {
    size_t i;
    json_t *part;
    json_array_foreach(path, i, part) {
        uint64_t index;
        if (json_is_array(value) && json_is_integer(part)) {
            value = json_array_get(value, (size_t)json_integer_value(part));
        } else if (json_is_array(value) && span_to_u64(json_span(part), &index)) {
            value = json_array_get(value, (size_t)index);
        } else {
            value = json_is_string(part) ? json_object_get(value, json_string_value(part)) : NULL;
        }
    }
    return value;
}

static void f_at(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    if (is_null(v[0])) {
        return;
    }
    json_t *value = json_arg(v[0]), *path = json_arg(v[1]);
    json_t *found = value_at(value, path);
    if (found != NULL) {
        struct buf text = BUF_INIT;
        jsontext_append(&text, found);
        give_buf(c, &text);
    }
    json_decref(value);
    json_decref(path);
}

static bool same_scalar(const json_t *a, const json_t *b) {
    if (json_is_number(a) && json_is_number(b)) {
        return json_number_value(a) == json_number_value(b);
    }
    return json_equal(a, b);
}

static bool contains(const json_t *a, const json_t *b) {
    if (json_is_object(b)) {
        const char *key;
        json_t *item;
        bool all = json_is_object(a);
        json_object_foreach((json_t *)(uintptr_t)b, key, item) {
            const json_t *mine = json_object_get(a, key);
            all = all && mine != NULL && contains(mine, item);
        }
        return all;
    }
    if (json_is_array(b)) {
        size_t i, k;
        json_t *item, *mine;
        bool all = json_is_array(a);
        json_array_foreach(b, i, item) {
            bool found = false;
            json_array_foreach(a, k, mine) {
                found = found || contains(mine, item);
            }
            all = all && found;
        }
        return all;
    }
    return same_scalar(a, b);
}

static void f_contains(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    if (is_null(v[0]) || is_null(v[1])) {
        return;
    }
    json_t *a = json_arg(v[0]), *b = json_arg(v[1]);
    sqlite3_result_int(c, a != NULL && b != NULL && contains(a, b));
    json_decref(a);
    json_decref(b);
}

static int rank(const json_t *value) {
    return json_is_object(value)    ? 5
           : json_is_array(value)   ? 4
           : json_is_boolean(value) ? 3
           : json_is_number(value)  ? 2
           : json_is_string(value)  ? 1
                                    : 0;
}

static int sign(double d) {
    return d < 0 ? -1 : d > 0;
}

static int compare(const json_t *a, const json_t *b);

static int compare_arrays(const json_t *a, const json_t *b) {
    int order = sign((double)json_array_size(a) - (double)json_array_size(b));
    for (size_t i = 0; order == 0 && i < json_array_size(a); i++) {
        order = compare(json_array_get(a, i), json_array_get(b, i));
    }
    return order;
}

static int compare(const json_t *a, const json_t *b) {
    if (rank(a) != rank(b)) {
        return rank(a) < rank(b) ? -1 : 1;
    }
    switch (rank(a)) {
    case 5:
        return sign((double)json_object_size(a) - (double)json_object_size(b));
    case 4:
        return compare_arrays(a, b);
    case 3:
        return json_is_true(a) - json_is_true(b);
    case 2:
        return sign(json_number_value(a) - json_number_value(b));
    case 1:
        return sign(span_cmp(json_span(a), json_span(b)));
    default:
        return 0;
    }
}

static void f_compare(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    if (is_null(v[0]) || is_null(v[1])) {
        return;
    }
    json_t *a = json_arg(v[0]), *b = json_arg(v[1]);
    if (a != NULL && b != NULL) {
        sqlite3_result_int(c, compare(a, b));
    }
    json_decref(a);
    json_decref(b);
}

static void f_quote(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    if (is_null(v[0])) {
        give_text(c, SPAN("null"));
        return;
    }
    struct buf text = BUF_INIT;
    json_write_string(&text, text_arg(v[0]));
    give_buf(c, &text);
}

static void f_bool(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    give_text(c, is_null(v[0]) ? SPAN("null") : sqlite3_value_int(v[0]) != 0 ? SPAN("true") : SPAN("false"));
}

/* ---------------------------------------------------------------- times */

static void f_to_char(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    if (is_null(v[0]) || is_null(v[1])) {
        return;
    }
    struct buf text = BUF_INIT;
    if (sqlite3_value_int(v[2]) != 0) {
        tochar_time(&text, sqlite3_value_int64(v[0]), text_arg(v[1]));
    } else {
        tochar_number(&text, sqlite3_value_int64(v[0]), text_arg(v[1]));
    }
    give_buf(c, &text);
}

static void f_time(sqlite3_context *c, int n, sqlite3_value **v) {
    (void)n;
    if (is_null(v[0])) {
        return;
    }
    char text[TIME_TEXT_LEN];
    time_format_ms(sqlite3_value_int64(v[0]), text);
    size_t len = strlen(text) - 1; /* without the Z */
    while (text[len - 1] == '0' && memchr(text, '.', len) != NULL) {
        len--;
    }
    len -= text[len - 1] == '.';
    struct buf out = BUF_INIT;
    buf_printf(&out, "%.*s+00:00", (int)len, text);
    give_buf(c, &out);
}

static const struct {
    const char *name;
    int args;
    void (*call)(sqlite3_context *, int, sqlite3_value **);
} functions[] = {
    {"pdb_match", 2, f_match},         {"pdb_any_match", 2, f_any_match},
    {"pdb_any_equal", 2, f_any_equal}, {"pdb_path_match", 2, f_path_match},
    {"pdb_text", 1, f_text},           {"pdb_at", 2, f_at},
    {"pdb_contains", 2, f_contains},   {"pdb_compare", 2, f_compare},
    {"pdb_to_char", 3, f_to_char},     {"pdb_time", 1, f_time},
    {"pdb_quote", 1, f_quote},         {"pdb_bool", 1, f_bool},
};

bool functions_register(sqlite3 *db) {
    bool ok = true;
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        ok = ok &&
             sqlite3_create_function_v2(db, functions[i].name, functions[i].args, SQLITE_UTF8 | SQLITE_DETERMINISTIC,
                                        NULL, functions[i].call, NULL, NULL, NULL) == SQLITE_OK;
    }
    return ok;
}
