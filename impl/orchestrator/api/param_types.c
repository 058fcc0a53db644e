/* Values against Puppet data types, as task metadata writes them ("Optional[Integer[1, 10]]"). A type is read and
 * checked in one pass over its text; reading without a value only finds its end. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

enum { TYPE_DEPTH_MAX = 32, PATTERN_MATCH_MAX = 100000, PATTERN_DEPTH_MAX = 1000 };

/* Arguments of one "Name[…]". */
enum arg_kind { ARG_TYPE, ARG_STRING, ARG_INTEGER, ARG_FLOAT, ARG_DEFAULT, ARG_BOOLEAN, ARG_REGEX, ARG_HASH };
struct arg {
    enum arg_kind kind;
    struct span
        text; /* of a type: all of it; of a string or regex: without its delimiters; of a hash: between braces */
    int64_t integer;
    double real;
    bool truth;
    char quote; /* of a string */
};
struct reader {
    const char *at, *end;
    int depth;
};

/* ---- reading */

static void skip_blanks(struct reader *r) {
    while (r->at < r->end && strchr(" \t\r\n", *r->at) != NULL && *r->at != '\0') {
        r->at++;
    }
}

static bool take(struct reader *r, char c) {
    skip_blanks(r);
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return true;
    }
    return false;
}

static bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == ':';
}

static struct span read_word(struct reader *r) {
    skip_blanks(r);
    const char *from = r->at;
    while (r->at < r->end && is_word(*r->at)) {
        r->at++;
    }
    return span_bytes(from, (size_t)(r->at - from));
}

/* Up to the delimiter, a backslash takes the next character along. */
static bool read_quoted(struct reader *r, char delimiter, struct span *out) {
    const char *from = ++r->at;
    while (r->at < r->end && *r->at != delimiter) {
        r->at += *r->at == '\\' && r->end - r->at > 1 ? 2 : 1;
    }
    if (r->at >= r->end) {
        return false;
    }
    *out = span_bytes(from, (size_t)(r->at - from));
    r->at++;
    return true;
}

/* From behind an opening bracket to behind the closing one. */
static bool skip_nested(struct reader *r, char open, char close) {
    for (int depth = 1; r->at < r->end;) {
        char c = *r->at;
        struct span inner;
        if (c == '\'' || c == '"' || c == '/') {
            if (!read_quoted(r, c, &inner)) {
                return false;
            }
            continue;
        }
        depth += c == open ? 1 : c == close ? -1 : 0;
        r->at++;
        if (depth == 0) {
            return true;
        }
    }
    return false;
}

static bool read_type(struct reader *r, struct span *out) {
    const char *from = r->at;
    if (read_word(r).len == 0) {
        return false;
    }
    const char *end = r->at;
    if (take(r, '[')) {
        if (!skip_nested(r, '[', ']')) {
            return false;
        }
        end = r->at;
    }
    *out = span_trim(span_bytes(from, (size_t)(end - from)));
    return true;
}

static bool read_number(struct reader *r, struct arg *a) {
    const char *from = r->at;
    while (r->at < r->end && (is_word(*r->at) || strchr("+-.", *r->at) != NULL)) {
        r->at++;
    }
    char text[64];
    size_t len = (size_t)(r->at - from);
    if (len == 0 || len >= sizeof text) {
        return false;
    }
    memcpy(text, from, len);
    text[len] = '\0';
    char *end;
    a->kind = ARG_INTEGER;
    a->integer = strtoll(text, &end, 0);
    a->real = (double)a->integer;
    if (*end != '\0') {
        a->kind = ARG_FLOAT;
        a->real = strtod(text, &end);
    }
    return *end == '\0';
}

static bool read_arg(struct reader *r, struct arg *a) {
    skip_blanks(r);
    char c = r->at < r->end ? *r->at : '\0';
    if (c == '\'' || c == '"' || c == '/') {
        a->kind = c == '/' ? ARG_REGEX : ARG_STRING;
        a->quote = c;
        return read_quoted(r, c, &a->text);
    }
    if (c == '{') {
        const char *from = ++r->at;
        a->kind = ARG_HASH;
        if (!skip_nested(r, '{', '}')) {
            return false;
        }
        a->text = span_bytes(from, (size_t)(r->at - from - 1));
        return true;
    }
    if (c == '-' || c == '+' || (c >= '0' && c <= '9')) {
        return read_number(r, a);
    }
    if (c >= 'A' && c <= 'Z') {
        a->kind = ARG_TYPE;
        return read_type(r, &a->text);
    }
    struct span word = read_word(r);
    a->truth = span_eq_cstr(word, "true");
    a->kind = span_eq_cstr(word, "default") ? ARG_DEFAULT : ARG_BOOLEAN;
    return a->kind == ARG_DEFAULT || a->truth || span_eq_cstr(word, "false");
}

struct args {
    struct arg *items; /* mem_free() them */
    size_t count, cap;
};

static bool read_args(struct reader *r, struct args *args) {
    if (!take(r, '[')) {
        return true;
    }
    do {
        args->items = mem_grow(args->items, &args->cap, args->count + 1, sizeof(*args->items));
        args->items[args->count] = (struct arg){0};
        if (!read_arg(r, &args->items[args->count])) {
            return false;
        }
        args->count++;
    } while (take(r, ','));
    return take(r, ']');
}

/* ---- checking */

struct check {
    const json_t *value;
    const struct arg *args;
    size_t count;
    int depth;
};

/* UNTOLD: an unknown type, or one that cannot be read. */
enum fit { NO, YES, UNTOLD };
static enum fit fit_type(struct span type, const json_t *value, int depth);

static bool in_range(const struct check *c, size_t at, double size) {
    const struct arg *low = at < c->count ? &c->args[at] : NULL, *high = at + 1 < c->count ? &c->args[at + 1] : NULL;
    return (low == NULL || low->kind == ARG_DEFAULT || size >= low->real) &&
           (high == NULL || high->kind == ARG_DEFAULT || size <= high->real);
}

static size_t characters(struct span text) {
    size_t n = 0;
    for (size_t i = 0; i < text.len; i++) {
        n += ((unsigned char)text.ptr[i] & 0xc0) != 0x80;
    }
    return n;
}

/* Is the text what a quoted one stands for? In single quotes only \\ and \' are escapes. */
static bool same_text(const struct arg *a, struct span text, bool fold) {
    size_t k = 0;
    for (size_t i = 0; i < a->text.len; i++, k++) {
        char c = a->text.ptr[i];
        if (c == '\\' && i + 1 < a->text.len && (a->text.ptr[i + 1] == '\\' || a->text.ptr[i + 1] == a->quote)) {
            c = a->text.ptr[++i];
        }
        if (k >= text.len ||
            (fold ? !span_eq_nocase(span_bytes(&text.ptr[k], 1), (char[]){c, '\0'}) : text.ptr[k] != c)) {
            return false;
        }
    }
    return k == text.len;
}

static enum fit fit_any(const struct check *c) {
    (void)c;
    return YES;
}
static enum fit fit_undef(const struct check *c) {
    return json_is_null(c->value);
}
static enum fit fit_never(const struct check *c) {
    (void)c; /* no JSON value is one */
    return NO;
}
static enum fit fit_scalar(const struct check *c) {
    return json_is_string(c->value) || json_is_number(c->value) || json_is_boolean(c->value);
}
static enum fit fit_numeric(const struct check *c) {
    return json_is_number(c->value);
}
static enum fit fit_integer(const struct check *c) {
    return json_is_integer(c->value) && in_range(c, 0, (double)json_integer_value(c->value));
}
static enum fit fit_float(const struct check *c) {
    return json_is_real(c->value) && in_range(c, 0, json_real_value(c->value));
}
static enum fit fit_boolean(const struct check *c) {
    return json_is_boolean(c->value) && (c->count == 0 || c->args[0].truth == json_is_true(c->value));
}
static enum fit fit_string(const struct check *c) {
    if (!json_is_string(c->value)) {
        return NO;
    }
    if (c->count == 1 && c->args[0].kind == ARG_STRING) {
        return same_text(&c->args[0], json_span(c->value), false);
    }
    return in_range(c, 0, (double)characters(json_span(c->value)));
}
static enum fit fit_enum(const struct check *c) {
    bool fold = c->count > 1 && c->args[c->count - 1].kind == ARG_BOOLEAN && c->args[c->count - 1].truth;
    if (!json_is_string(c->value)) {
        return NO;
    }
    for (size_t i = 0; i < c->count; i++) {
        if (c->args[i].kind == ARG_STRING && same_text(&c->args[i], json_span(c->value), fold)) {
            return YES;
        }
    }
    return c->count == 0;
}

static enum fit match(struct span pattern, struct span text) {
    int code;
    PCRE2_SIZE at;
    pcre2_code *re = pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len, PCRE2_UTF | PCRE2_MULTILINE, &code, &at, NULL);
    if (re == NULL) {
        return UNTOLD;
    }
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_set_match_limit(limits, PATTERN_MATCH_MAX);
    pcre2_set_depth_limit(limits, PATTERN_DEPTH_MAX);
    int rc = pcre2_match(re, (PCRE2_SPTR)(text.len != 0 ? text.ptr : ""), text.len, 0, 0, data, limits);
    pcre2_match_data_free(data);
    pcre2_match_context_free(limits);
    pcre2_code_free(re);
    return rc >= 0 ? YES : NO;
}

static enum fit fit_pattern(const struct check *c) {
    enum fit found = c->count == 0 ? YES : NO;
    if (!json_is_string(c->value)) {
        return NO;
    }
    for (size_t i = 0; i < c->count && found == NO; i++) {
        if (c->args[i].kind == ARG_REGEX || c->args[i].kind == ARG_STRING) {
            found = match(c->args[i].text, json_span(c->value));
        } else {
            found = UNTOLD;
        }
    }
    return found;
}

static enum fit fit_arg(const struct check *c, size_t i, const json_t *value) {
    if (i >= c->count) {
        return YES;
    }
    if (c->args[i].kind == ARG_STRING) { /* Optional['x'] */
        return json_is_string(value) && same_text(&c->args[i], json_span(value), false);
    }
    return c->args[i].kind == ARG_TYPE ? fit_type(c->args[i].text, value, c->depth + 1) : UNTOLD;
}
static enum fit fit_optional(const struct check *c) {
    return json_is_null(c->value) ? YES : fit_arg(c, 0, c->value);
}
static enum fit fit_not_undef(const struct check *c) {
    return json_is_null(c->value) ? NO : fit_arg(c, 0, c->value);
}
static enum fit fit_sensitive(const struct check *c) {
    return fit_arg(c, 0, c->value); /* values are sent in clear and wrapped by who runs them */
}
static enum fit fit_variant(const struct check *c) {
    enum fit best = NO;
    for (size_t i = 0; i < c->count && best != YES; i++) {
        enum fit f = fit_arg(c, i, c->value);
        best = f != NO ? f : best;
    }
    return best;
}

static enum fit worse(enum fit a, enum fit b) {
    return a == NO || b == NO ? NO : a == UNTOLD || b == UNTOLD ? UNTOLD : YES;
}

static enum fit fit_array(const struct check *c) {
    bool typed = c->count != 0 && c->args[0].kind == ARG_TYPE;
    if (!json_is_array(c->value) || !in_range(c, typed ? 1 : 0, (double)json_array_size(c->value))) {
        return NO;
    }
    enum fit all = YES;
    for (size_t i = 0; typed && all != NO && i < json_array_size(c->value); i++) {
        all = worse(all, fit_arg(c, 0, json_array_get(c->value, i)));
    }
    return all;
}

static enum fit fit_key(const struct check *c, const char *key) {
    json_t *text = json_string(key);
    enum fit f = fit_arg(c, 0, text);
    json_decref(text);
    return f;
}

static enum fit fit_hash(const struct check *c) {
    bool typed = c->count > 1 && c->args[0].kind == ARG_TYPE && c->args[1].kind == ARG_TYPE;
    if (!json_is_object(c->value) || !in_range(c, typed ? 2 : 0, (double)json_object_size(c->value))) {
        return NO;
    }
    enum fit all = YES;
    const char *key;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)c->value, key, item) {
        all = typed ? worse(all, worse(fit_key(c, key), fit_arg(c, 1, item))) : all;
    }
    return all;
}

static enum fit fit_collection(const struct check *c) {
    size_t size = json_is_array(c->value) ? json_array_size(c->value) : json_object_size(c->value);
    return (json_is_array(c->value) || json_is_object(c->value)) && in_range(c, 0, (double)size);
}

static enum fit fit_tuple(const struct check *c) {
    size_t types = 0, size = json_array_size(c->value);
    while (types < c->count && c->args[types].kind == ARG_TYPE) {
        types++;
    }
    bool sized = types < c->count;
    if (!json_is_array(c->value) || (sized ? !in_range(c, types, (double)size) : size != types)) {
        return NO;
    }
    enum fit all = YES;
    for (size_t i = 0; i < size && types != 0; i++) {
        all = worse(all, fit_arg(c, i < types ? i : types - 1, json_array_get(c->value, i)));
    }
    return all;
}

/* One "key => Type" of a Struct: takes the key's value out of *seen. */
static enum fit fit_member(struct reader *r, const struct check *c, size_t *seen) {
    struct arg key = {0}, type = {0};
    if (!read_arg(r, &key) || !take(r, '=') || !take(r, '>') || !read_arg(r, &type) || type.kind != ARG_TYPE) {
        return UNTOLD;
    }
    bool optional = false;
    if (key.kind == ARG_TYPE) { /* Optional['key'], NotUndef['key'] */
        struct reader k = {.at = key.text.ptr, .end = key.text.ptr + key.text.len};
        struct args inner = {0};
        optional = span_eq_cstr(read_word(&k), "Optional");
        bool ok = read_args(&k, &inner) && inner.count == 1;
        key = ok ? inner.items[0] : key;
        mem_free(inner.items);
        if (key.kind != ARG_STRING) {
            return UNTOLD;
        }
    }
    const char *name;
    json_t *item;
    json_object_foreach((json_t *)(uintptr_t)c->value, name, item) {
        if (same_text(&key, span_of(name), false)) {
            ++*seen;
            return fit_type(type.text, item, c->depth + 1);
        }
    }
    json_t *nothing = json_null();
    return optional ? YES : fit_type(type.text, nothing, c->depth + 1);
}

static enum fit fit_struct(const struct check *c) {
    if (c->count != 1 || c->args[0].kind != ARG_HASH) {
        return UNTOLD;
    }
    if (!json_is_object(c->value)) {
        return NO;
    }
    struct reader r = {.at = c->args[0].text.ptr, .end = c->args[0].text.ptr + c->args[0].text.len};
    enum fit all = YES;
    size_t seen = 0;
    for (skip_blanks(&r); r.at < r.end; skip_blanks(&r)) {
        all = worse(all, fit_member(&r, c, &seen));
        if (!take(&r, ',')) {
            break;
        }
    }
    return all == YES && seen < json_object_size(c->value) ? NO : all;
}

static const struct {
    const char *name;
    enum fit (*fit)(const struct check *c);
} types[] = {
    {"Any", fit_any},         {"Data", fit_any},          {"RichData", fit_any},       {"Undef", fit_undef},
    {"Scalar", fit_scalar},   {"ScalarData", fit_scalar}, {"Numeric", fit_numeric},    {"Integer", fit_integer},
    {"Float", fit_float},     {"Boolean", fit_boolean},   {"String", fit_string},      {"Enum", fit_enum},
    {"Pattern", fit_pattern}, {"Optional", fit_optional}, {"NotUndef", fit_not_undef}, {"Sensitive", fit_sensitive},
    {"Variant", fit_variant}, {"Array", fit_array},       {"Hash", fit_hash},          {"Collection", fit_collection},
    {"Tuple", fit_tuple},     {"Struct", fit_struct},     {"Regexp", fit_never},       {"Default", fit_never},
    {"Type", fit_never},      {"Callable", fit_never},    {"Binary", fit_never},       {"Timestamp", fit_never},
    {"Timespan", fit_never},  {"SemVer", fit_never},      {"Iterator", fit_never},
};

static enum fit fit_type(struct span type, const json_t *value, int depth) {
    struct reader r = {.at = type.ptr, .end = type.ptr + type.len};
    if (depth > TYPE_DEPTH_MAX) {
        return UNTOLD;
    }
    struct span name = read_word(&r);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        if (span_eq_cstr(name, types[i].name)) {
            struct args args = {0};
            bool readable = read_args(&r, &args);
            struct check c = {.value = value, .args = args.items, .count = args.count, .depth = depth};
            enum fit f = readable ? types[i].fit(&c) : UNTOLD;
            mem_free(args.items);
            return f;
        }
    }
    return UNTOLD;
}

/* What Puppet would call the value, without showing it. */
static const char *kind_name(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "Hash";
    case JSON_ARRAY:
        return "Array";
    case JSON_STRING:
        return "String";
    case JSON_INTEGER:
        return "Integer";
    case JSON_REAL:
        return "Float";
    case JSON_TRUE:
    case JSON_FALSE:
        return "Boolean";
    case JSON_NULL:
        return "Undef";
    }
    return "Any";
}

bool param_type_fits(const char *type, const json_t *value, struct buf *why) {
    if (fit_type(span_trim(span_of(type)), value, 0) != NO) {
        return true;
    }
    if (why != NULL) {
        buf_printf(why, "expects a value of type %s, got %s", type, kind_name(value));
    }
    return false;
}
