#include "simulator/stack/tests/shape.h"

#include "base/clock.h"
#include <string.h>

static bool fits(const json_t *shape, const json_t *value, const char *path, struct buf *why);

static bool differs(struct buf *why, const char *path, const json_t *shape, const json_t *value) {
    buf_printf(why, "%s: expected ", path[0] != '\0' ? path : "the answer");
    json_write(why, shape);
    buf_append_cstr(why, ", not ");
    if (value != NULL) {
        json_write(why, value);
    }
    return false;
}

static size_t digits(struct span s) {
    size_t n = 0;
    while (n < s.len && s.ptr[n] >= '0' && s.ptr[n] <= '9') {
        n++;
    }
    return n;
}

static bool is_time(struct span s, size_t len) {
    int64_t ms;
    return s.len == len && s.ptr[len - 1] == 'Z' && time_parse(s, &ms);
}

static const char base[] = "https://orchestrator:8143/orchestrator/v1";

/* How many bytes of the text the word stands for; 0: it does not fit. */
static size_t word_length(struct span word, struct span text) {
    if (span_eq_cstr(word, "id")) {
        return digits(text);
    }
    if (span_eq_cstr(word, "url")) {
        return span_starts_with(text, base) ? sizeof(base) - 1 : 0;
    }
    return 0;
}

static bool pattern_fits(struct span pattern, struct span text) {
    while (pattern.len != 0) {
        if (pattern.ptr[0] == '<') {
            ptrdiff_t end = span_find(pattern, '>');
            size_t taken = end < 0 ? 0 : word_length(span_sub(pattern, 1, (size_t)end - 1), text);
            if (taken == 0) {
                return false;
            }
            pattern = span_sub(pattern, (size_t)end + 1, pattern.len);
            text = span_sub(text, taken, text.len);
        } else if (text.len == 0 || text.ptr[0] != pattern.ptr[0]) {
            return false;
        } else {
            pattern = span_sub(pattern, 1, pattern.len);
            text = span_sub(text, 1, text.len);
        }
    }
    return text.len == 0;
}

static bool kind_fits(struct span kind, const json_t *value) {
    struct span text = json_span(value);
    bool string = json_is_string(value);
    return (span_eq_cstr(kind, "string") && string) || (span_eq_cstr(kind, "text") && string && text.len != 0) ||
           (span_eq_cstr(kind, "int") && json_is_integer(value)) ||
           (span_eq_cstr(kind, "number") && json_is_number(value)) ||
           (span_eq_cstr(kind, "bool") && json_is_boolean(value)) ||
           (span_eq_cstr(kind, "null") && json_is_null(value)) ||
           (span_eq_cstr(kind, "object") && json_is_object(value)) ||
           (span_eq_cstr(kind, "array") && json_is_array(value)) || span_eq_cstr(kind, "any") ||
           (span_eq_cstr(kind, "time") && string && is_time(text, 20)) ||
           (span_eq_cstr(kind, "ms") && string && is_time(text, 24)) ||
           (span_eq_cstr(kind, "id") && text.len != 0 && digits(text) == text.len) ||
           (span_eq_cstr(kind, "url") && span_starts_with(text, base)) ||
           (span_eq_cstr(kind, "uuid") && text.len == 36 && text.ptr[8] == '-' && text.ptr[23] == '-');
}

static bool string_fits(const json_t *shape, const json_t *value, const char *path, struct buf *why) {
    struct span pattern = json_span(shape);
    bool one_word = pattern.len > 2 && pattern.ptr[0] == '<' && span_find(pattern, '>') == (ptrdiff_t)pattern.len - 1;
    if (!one_word) {
        return (json_is_string(value) && pattern_fits(pattern, json_span(value))) || differs(why, path, shape, value);
    }
    struct span rest = span_sub(pattern, 1, pattern.len - 2), kind;
    while (span_split(&rest, '|', &kind)) {
        if (kind_fits(kind, value)) {
            return true;
        }
    }
    return differs(why, path, shape, value);
}

static bool object_fits(const json_t *shape, const json_t *value, const char *path, struct buf *why) {
    const char *key;
    json_t *item;
    bool more = json_object_get(shape, "…") != NULL;
    if (!json_is_object(value)) {
        return differs(why, path, shape, value);
    }
    json_object_foreach((json_t *)(uintptr_t)shape, key, item) {
        struct buf at = BUF_INIT;
        buf_printf(&at, "%s.%s", path, key);
        bool ok = strcmp(key, "…") == 0 || fits(item, json_object_get(value, key), at.ptr, why);
        buf_free(&at);
        if (!ok) {
            return false;
        }
    }
    json_object_foreach((json_t *)(uintptr_t)value, key, item) {
        if (!more && json_object_get(shape, key) == NULL) {
            buf_printf(why, "%s.%s is not in the documented shape", path, key);
            return false;
        }
    }
    return true;
}

static bool array_fits(const json_t *shape, const json_t *value, const char *path, struct buf *why) {
    size_t wanted = json_array_size(shape), have = json_array_size(value);
    if (!json_is_array(value) || (wanted == 1 ? have == 0 : have != wanted)) {
        return differs(why, path, shape, value);
    }
    for (size_t i = 0; i < have; i++) {
        struct buf at = BUF_INIT;
        buf_printf(&at, "%s[%zu]", path, i);
        bool ok = fits(json_array_get(shape, wanted == 1 ? 0 : i), json_array_get(value, i), at.ptr, why);
        buf_free(&at);
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool fits(const json_t *shape, const json_t *value, const char *path, struct buf *why) {
    if (value == NULL) {
        buf_printf(why, "%s is missing", path);
        return false;
    }
    switch (json_typeof(shape)) {
    case JSON_OBJECT:
        return object_fits(shape, value, path, why);
    case JSON_ARRAY:
        return array_fits(shape, value, path, why);
    case JSON_STRING:
        return string_fits(shape, value, path, why);
    default:
        return json_equal(shape, value) || differs(why, path, shape, value);
    }
}

bool shape_fits(const char *shape_text, const json_t *value, struct buf *why) {
    struct error err = ERROR_INIT;
    json_t *shape = json_parse(span_of(shape_text), "shape", &err);
    if (shape == NULL) {
        buf_printf(why, "the shape itself is wrong: %s", err.msg);
        error_clear(&err);
        return false;
    }
    bool ok = fits(shape, value, "", why);
    json_decref(shape);
    return ok;
}
