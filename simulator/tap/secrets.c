/* See secrets.h. */
#include "simulator/tap/secrets.h"

#include "base/mem.h"
#include <string.h>
#include <strings.h>

static const char *const usual[] = {"password", "passwd", "passphrase", "secret",        "token",
                                    "private",  "apikey", "api_key",    "authorization", "credential"};

bool tap_secret_name(const struct tap_secrets *s, const char *name) {
    for (size_t i = 0; i < sizeof(usual) / sizeof(usual[0]); i++) {
        if (strcasestr(name, usual[i]) != NULL) {
            return true;
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        if (strcasestr(name, s->names[i]) != NULL) {
            return true;
        }
    }
    return false;
}

static json_t *hidden(const struct tap_secrets *s, const json_t *value);

static json_t *hidden_in_text(const struct tap_secrets *s, const json_t *text) {
    struct span bytes = span_trim(json_span(text));
    json_t *inner =
        span_starts_with(bytes, "{") || span_starts_with(bytes, "[") ? json_parse(bytes, "tap", NULL) : NULL;
    if (inner == NULL) {
        return json_incref((json_t *)(uintptr_t)text);
    }
    json_t *clean = hidden(s, inner);
    json_t *result;
    if (json_equal(clean, inner)) {
        result = json_incref((json_t *)(uintptr_t)text); /* the bytes as they were */
    } else {
        char *out = json_text(clean);
        result = json_string(out);
        mem_free(out);
    }
    json_decref(clean);
    json_decref(inner);
    return result;
}

/* A request to run a task brings the task's metadata along: what that calls sensitive, is. */
static void hide_sensitive(const json_t *parameters, json_t *input) {
    const char *name;
    json_t *spec;
    json_object_foreach((json_t *)(uintptr_t)parameters, name, spec) {
        if (json_bool(spec, "sensitive", false) && json_object_get(input, name) != NULL) {
            json_set(input, name, json_string(TAP_HIDDEN));
        }
    }
}

static json_t *hidden(const struct tap_secrets *s, const json_t *value) {
    const char *key;
    json_t *item, *copy, *spec;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        copy = json_object();
        spec = json_object_get(json_object_get(value, "metadata"), "parameters");
        json_object_foreach((json_t *)(uintptr_t)value, key, item) {
            json_set(copy, key, tap_secret_name(s, key) ? json_string(TAP_HIDDEN) : hidden(s, item));
        }
        hide_sensitive(spec, json_object_get(copy, "input"));
        return copy;
    case JSON_ARRAY:
        copy = json_array();
        json_array_foreach(value, i, item) {
            json_array_append_new(copy, hidden(s, item));
        }
        return copy;
    case JSON_STRING:
        return hidden_in_text(s, value);
    default:
        return json_incref((json_t *)(uintptr_t)value);
    }
}

void tap_hide(const struct tap_secrets *s, struct span text, struct buf *out) {
    json_t *value = json_parse(text, "tap", NULL);
    if (value == NULL) {
        buf_append_span(out, text);
        return;
    }
    json_t *clean = hidden(s, value);
    if (json_equal(clean, value)) {
        buf_append_span(out, text);
    } else {
        json_write(out, clean);
    }
    json_decref(clean);
    json_decref(value);
}

void tap_hide_query(const struct tap_secrets *s, const char *target, struct buf *out) {
    struct span rest = span_of(target), part;
    span_split(&rest, '?', &part);
    buf_append_span(out, part);
    for (char before = '?'; span_split(&rest, '&', &part); before = '&') {
        ptrdiff_t equals = span_find(part, '=');
        char *name = span_dup(equals < 0 ? part : span_sub(part, 0, (size_t)equals));
        buf_append_char(out, before);
        if (equals >= 0 && tap_secret_name(s, name)) {
            buf_printf(out, "%s=" TAP_HIDDEN, name);
        } else {
            buf_append_span(out, part);
        }
        mem_free(name);
    }
}
