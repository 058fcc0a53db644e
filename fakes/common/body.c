/* Request bodies against a table of fields. */
#include "fakes/common/body.h"
#include "base/mem.h"
#include <string.h>

static const char *const type_names[] = {
    [BODY_ANY] = "any value",
    [BODY_STRING] = "a string",
    [BODY_STRING_OR_NULL] = "a string or null",
    [BODY_STRING_OR_INT] = "a string or an integer",
    [BODY_BOOL] = "a boolean",
    [BODY_INT] = "an integer",
    [BODY_OBJECT] = "an object",
    [BODY_ARRAY] = "an array",
    [BODY_ARRAY_OR_NULL] = "an array or null",
    [BODY_STRINGS] = "an array of strings",
    [BODY_INTS] = "an array of integers",
};

static bool all_items(const json_t *array, json_type type) {
    if (!json_is_array(array)) {
        return false;
    }
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)array, i, item) {
        if (json_typeof(item) != type) {
            return false;
        }
    }
    return true;
}

static bool fits(const json_t *v, enum body_type type) {
    switch (type) {
    case BODY_ANY:
        return true;
    case BODY_STRING:
        return json_is_string(v);
    case BODY_STRING_OR_NULL:
        return json_is_string(v) || json_is_null(v);
    case BODY_STRING_OR_INT:
        return json_is_string(v) || json_is_integer(v);
    case BODY_BOOL:
        return json_is_boolean(v);
    case BODY_INT:
        return json_is_integer(v);
    case BODY_OBJECT:
        return json_is_object(v);
    case BODY_ARRAY:
        return json_is_array(v);
    case BODY_ARRAY_OR_NULL:
        return json_is_array(v) || json_is_null(v);
    case BODY_STRINGS:
        return all_items(v, JSON_STRING);
    case BODY_INTS:
        return all_items(v, JSON_INTEGER);
    }
    return false;
}

static json_t *schema_of(const struct body_field *fields) {
    json_t *schema = json_object();
    for (const struct body_field *f = fields; f->key != NULL; f++) {
        json_set(schema, f->key, json_sprintf("%s%s", f->required ? "" : "optional: ", type_names[f->type]));
    }
    return schema;
}

/* Names the first thing that is wrong, or returns NULL. */
static char *first_mistake(const json_t *body, const struct body_field *fields) {
    if (!json_is_object(body)) {
        return str_dup("the body is not an object");
    }
    size_t known = 0;
    for (const struct body_field *f = fields; f->key != NULL; f++) {
        const json_t *v = json_object_get(body, f->key);
        if (v == NULL && f->required) {
            return str_printf("\"%s\" is missing", f->key);
        }
        if (v != NULL && !fits(v, f->type)) {
            return str_printf("\"%s\" is not %s", f->key, type_names[f->type]);
        }
        known += v != NULL;
    }
    if (known == json_object_size(body)) {
        return NULL;
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, key, value) {
        const struct body_field *f = fields;
        while (f->key != NULL && strcmp(f->key, key) != 0) {
            f++;
        }
        if (f->key == NULL) {
            return str_printf("\"%s\" is not a known key", key);
        }
    }
    return NULL;
}

/* What was submitted, without its secrets. */
static json_t *shown(const json_t *body) {
    json_t *copy = json_deep_copy(body);
    if (json_object_get(copy, "password") != NULL) {
        json_set(copy, "password", json_string("********"));
    }
    if (json_object_get(copy, "current_password") != NULL) {
        json_set(copy, "current_password", json_string("********"));
    }
    return copy;
}

bool body_check(const json_t *body, const struct body_field *fields, struct error *err) {
    char *mistake = first_mistake(body, fields);
    if (mistake == NULL) {
        return true;
    }
    json_t *details =
        json_pack("{s:o, s:o, s:s}", "submitted", shown(body), "schema", schema_of(fields), "error", mistake);
    error_set_details(err, "schema-violation", details, "The object you submitted does not match the schema: %s",
                      mistake);
    mem_free(mistake);
    return false;
}

json_t *body_json(struct http_exchange *ex, body_fail *fail) {
    struct error err = ERROR_INIT;
    struct span bytes = http_request(ex)->body;
    json_t *body = json_parse(bytes, "malformed-request", &err);
    if (body == NULL) {
        json_t *received = json_str_new(bytes);
        json_t *details = json_pack("{s:o, s:s}", "body", received != NULL ? received : json_null(), "error", err.msg);
        fail(ex, 400, "malformed-request", details, "The body of your request is not valid JSON.");
    }
    error_clear(&err);
    return body;
}

json_t *body_read(struct http_exchange *ex, const struct body_field *fields, body_fail *fail) {
    json_t *body = body_json(ex, fail);
    if (body == NULL) {
        return NULL;
    }
    struct error err = ERROR_INIT;
    if (!body_check(body, fields, &err)) {
        fail(ex, 400, "schema-violation", json_incref(err.details), err.msg);
        json_decref(body);
        body = NULL;
    }
    error_clear(&err);
    return body;
}

bool body_accepts(const struct http_exchange *ex, const char *type) {
    const char *accept = http_header(ex, "accept");
    if (accept == NULL || *accept == '\0') {
        return true;
    }
    const char *slash = strchr(type, '/');
    struct span rest = span_of(accept);
    struct span part;
    while (span_split(&rest, ',', &part)) {
        struct span range;
        span_split(&part, ';', &range);
        range = span_trim(range);
        size_t major = (size_t)(slash - type) + 1;
        if (span_eq_cstr(range, "*/*") || span_eq_nocase(range, type) ||
            (range.len == major + 1 && strncmp(range.ptr, type, major) == 0 && range.ptr[major] == '*')) {
            return true;
        }
    }
    return false;
}
