/* See match.h. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "scenarios/runner/match.h"

#include "base/mem.h"
#include "scenarios/runner/paths.h"
#include <pcre2.h>
#include <string.h>

enum { SHOWN_MAX = 300, REGEX_MATCH_LIMIT = 100000 };

/* One place under comparison: its path, for messages. */
struct place {
    const struct place *up;
    const char *key; /* NULL: index */
    size_t index;
};

static void write_place(const struct place *at, struct buf *out) {
    if (at == NULL) {
        return;
    }
    write_place(at->up, out);
    if (at->key != NULL) {
        buf_printf(out, "%s%s", out->len != 0 ? "." : "", at->key);
    } else {
        buf_printf(out, "[%zu]", at->index);
    }
}

static void write_short(struct buf *out, const json_t *value) {
    if (value == NULL) {
        buf_append_cstr(out, "nothing");
        return;
    }
    struct buf text = BUF_INIT;
    json_write(&text, value);
    buf_append(out, text.ptr, text.len < SHOWN_MAX ? text.len : SHOWN_MAX);
    if (text.len > SHOWN_MAX) {
        buf_append_cstr(out, "…");
    }
    buf_free(&text);
}

static bool unlike(const struct place *at, const json_t *value, const json_t *expected, const char *relation,
                   struct buf *why) {
    if (why != NULL) {
        struct buf where = BUF_INIT;
        write_place(at, &where);
        if (why->len != 0) {
            buf_append_cstr(why, "; ");
        }
        buf_printf(why, "%s%s", where.len != 0 ? where.ptr : "", where.len != 0 ? ": " : "");
        write_short(why, value);
        buf_printf(why, ", expected %s", relation);
        write_short(why, expected);
        buf_free(&where);
    }
    return false;
}

static bool match_at(const struct place *at, const json_t *expected, const json_t *value, struct buf *why);

/* ---- operators */

static pcre2_code *compile(const char *pattern, char *message, size_t size) {
    int code;
    PCRE2_SIZE offset;
    pcre2_code *regex =
        pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF | PCRE2_MULTILINE, &code, &offset, NULL);
    if (regex == NULL) {
        pcre2_get_error_message(code, (PCRE2_UCHAR *)message, size);
    }
    return regex;
}

static bool op_matches(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why) {
    char message[128];
    pcre2_code *regex = json_is_string(wanted) ? compile(json_string_value(wanted), message, sizeof(message)) : NULL;
    bool found = false;
    if (regex != NULL && json_is_string(value)) {
        pcre2_match_data *data = pcre2_match_data_create_from_pattern(regex, NULL);
        pcre2_match_context *limits = pcre2_match_context_create(NULL);
        pcre2_set_match_limit(limits, REGEX_MATCH_LIMIT);
        found = pcre2_match(regex, (PCRE2_SPTR)json_string_value(value), json_string_length(value), 0, 0, data,
                            limits) >= 0;
        pcre2_match_context_free(limits);
        pcre2_match_data_free(data);
    }
    pcre2_code_free(regex);
    return found || unlike(at, value, wanted, "a match of ", why);
}

static bool has_item(const json_t *list, const json_t *wanted) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        if (match_at(NULL, wanted, json_array_get(list, i), NULL)) {
            return true;
        }
    }
    return false;
}

static bool op_contains(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why) {
    bool ok = true;
    if (json_is_string(value)) {
        for (size_t i = 0; i < (json_is_array(wanted) ? json_array_size(wanted) : 1); i++) {
            const json_t *one = json_is_array(wanted) ? json_array_get(wanted, i) : wanted;
            ok = ok && json_is_string(one) && span_find_span(json_span(value), json_span(one)) >= 0;
        }
    } else if (json_is_array(wanted)) {
        for (size_t i = 0; i < json_array_size(wanted); i++) {
            ok = ok && has_item(value, json_array_get(wanted, i));
        }
    } else {
        ok = has_item(value, wanted);
    }
    return ok || unlike(at, value, wanted, "something that contains ", why);
}

static bool op_gt(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why) {
    return (json_is_number(value) && json_number_value(value) > json_number_value(wanted)) ||
           unlike(at, value, wanted, "more than ", why);
}
static bool op_ge(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why) {
    return (json_is_number(value) && json_number_value(value) >= json_number_value(wanted)) ||
           unlike(at, value, wanted, "at least ", why);
}
static bool op_lt(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why) {
    return (json_is_number(value) && json_number_value(value) < json_number_value(wanted)) ||
           unlike(at, value, wanted, "less than ", why);
}
static bool op_le(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why) {
    return (json_is_number(value) && json_number_value(value) <= json_number_value(wanted)) ||
           unlike(at, value, wanted, "at most ", why);
}

static bool op_not(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why) {
    return !match_at(NULL, wanted, value, NULL) || unlike(at, value, wanted, "anything but ", why);
}

static bool op_any(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why) {
    for (size_t i = 0; i < json_array_size(wanted); i++) {
        if (match_at(NULL, json_array_get(wanted, i), value, NULL)) {
            return true;
        }
    }
    return unlike(at, value, wanted, "one of ", why);
}

static bool op_count(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why) {
    json_t *count = json_is_array(value)    ? json_integer((json_int_t)json_array_size(value))
                    : json_is_object(value) ? json_integer((json_int_t)json_object_size(value))
                                            : NULL;
    struct place inside = {at, "count", 0};
    bool ok = match_at(&inside, wanted, count, why);
    json_decref(count);
    return ok;
}

static bool op_exists(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why) {
    bool there = value != NULL;
    return there == json_is_true(wanted) || unlike(at, value, NULL, there ? "" : "something, not ", why);
}

static const struct {
    const char *name;
    unsigned types; /* 1 << json type */
} type_names[] = {
    {"string", 1u << JSON_STRING},
    {"number", 1u << JSON_INTEGER | 1u << JSON_REAL},
    {"boolean", 1u << JSON_TRUE | 1u << JSON_FALSE},
    {"null", 1u << JSON_NULL},
    {"list", 1u << JSON_ARRAY},
    {"map", 1u << JSON_OBJECT},
};
enum { TYPES = sizeof(type_names) / sizeof(type_names[0]) };

static bool op_is(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why) {
    for (size_t i = 0; i < TYPES; i++) {
        if (value != NULL && str_eq(json_string_value(wanted), type_names[i].name)) {
            return (type_names[i].types >> json_typeof(value) & 1u) != 0 || unlike(at, value, wanted, "a ", why);
        }
    }
    return unlike(at, value, wanted, "a ", why);
}

static const struct operator{
    const char *name;
    bool (*holds)(const struct place *at, const json_t *wanted, const json_t *value, struct buf *why);
}
operators[] = {
    {"matches", op_matches}, {"contains", op_contains}, {"gt", op_gt},   {"ge", op_ge},       {"lt", op_lt},
    {"le", op_le},           {"not", op_not},           {"any", op_any}, {"count", op_count}, {"exists", op_exists},
    {"is", op_is},
};
enum { OPERATORS = sizeof(operators) / sizeof(operators[0]) };

static const struct operator* operator_named(const char *name) {
    for (size_t i = 0; i < OPERATORS; i++) {
        if (strcmp(operators[i].name, name) == 0) {
            return &operators[i];
        }
    }
    return NULL;
}

static bool is_operator(const json_t *expected) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)expected, key, value) {
        if (operator_named(key) == NULL) {
            return false;
        }
    }
    return json_object_size(expected) > 0;
}

/* ---- comparison */

static bool match_object(const struct place *at, const json_t *expected, const json_t *value, struct buf *why) {
    const char *key;
    json_t *wanted;
    bool ok = true, operates = is_operator(expected);
    if (!operates && !json_is_object(value)) {
        return unlike(at, value, expected, "", why);
    }
    json_object_foreach((json_t *)(uintptr_t)expected, key, wanted) {
        struct place inside = {at, key, 0};
        ok = (operates ? operator_named(key)->holds(at, wanted, value, why)
                       : match_at(&inside, wanted, json_object_get(value, key), why)) &&
             ok;
    }
    return ok;
}

static bool match_at(const struct place *at, const json_t *expected, const json_t *value, struct buf *why) {
    if (json_is_object(expected)) {
        return match_object(at, expected, value, why);
    }
    if (json_is_array(expected)) {
        bool ok = json_is_array(value) && json_array_size(value) == json_array_size(expected);
        if (!ok) {
            return unlike(at, value, expected, "", why);
        }
        for (size_t i = 0; i < json_array_size(expected); i++) {
            struct place inside = {at, NULL, i};
            ok = match_at(&inside, json_array_get(expected, i), json_array_get(value, i), why) && ok;
        }
        return ok;
    }
    bool same = json_is_number(expected) && json_is_number(value)
                    ? json_number_value(expected) == json_number_value(value)
                    : value != NULL && json_equal(expected, value);
    return same || unlike(at, value, expected, "", why);
}

bool match(const json_t *expected, const json_t *value, struct buf *why) {
    return match_at(NULL, expected, value, why);
}

bool match_paths(const json_t *expected, const json_t *value, struct buf *why) {
    const char *path;
    json_t *wanted;
    bool ok = true;
    json_object_foreach((json_t *)(uintptr_t)expected, path, wanted) {
        json_t *found = path_get(value, path);
        struct place at = {NULL, path, 0};
        ok = match_at(&at, wanted, found, why) && ok;
        json_decref(found);
    }
    return ok;
}

/* ---- checks of what is expected */

static void check_match(struct problems *p, const struct doc_node *node) {
    const struct doc_node *regex = doc_get(node, "matches"), *type = doc_get(node, "is");
    if (regex != NULL && regex->kind == DOC_TEXT && !shape_is_open(regex)) {
        char message[128];
        pcre2_code *code = compile(regex->text, message, sizeof(message));
        if (code == NULL) {
            problem(p, regex, "not a regular expression: %s", message);
        }
        pcre2_code_free(code);
    }
    if (type != NULL && node->count == 1 && type->kind == DOC_TEXT && !shape_is_open(type)) {
        bool known = false;
        for (size_t i = 0; i < TYPES; i++) {
            known = known || strcmp(type_names[i].name, type->text) == 0;
        }
        if (!known) {
            problem(p, type, "\"%s\" is not string, number, boolean, null, list or map", type->text);
        }
    }
    for (size_t i = 0; i < node->count; i++) {
        check_match(p, node->items[i]);
    }
}
const struct shape shape_match = {.type = SHAPE_ANY, .check = check_match};

static void check_paths(struct problems *p, const struct doc_node *node) {
    for (size_t i = 0; i < node->count; i++) {
        if (!path_valid(node->keys[i]->text)) {
            problem(p, node->keys[i], "\"%s\" is no path such as items[0].name", node->keys[i]->text);
        }
    }
}
const struct shape shape_match_paths = {.type = SHAPE_FREE, .of = &shape_match, .check = check_paths};
