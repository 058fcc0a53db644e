/* Helpers over jansson; see json.h. */
#include "base/json.h"

#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char upper_hex[] = "0123456789ABCDEF"; /* as jansson writes it */

static json_t *parse(struct span text, size_t flags, const char *kind, struct error *err) {
    json_error_t why;
    json_t *value = json_loadb(text.ptr, text.len, flags | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    if (value == NULL && json_error_code(&why) == json_error_numeric_overflow) {
        value =
            json_loadb(text.ptr, text.len, flags | JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
    }
    if (value == NULL) {
        error_set(err, kind, "not valid JSON: %s (line %d, column %d)", why.text, why.line, why.column);
    }
    return value;
}

/* Before jansson parses, so that hostile nesting costs no stack: depth counted outside strings. */
static bool too_deep(struct span text) {
    int depth = 0;
    bool in_string = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (in_string) {
            if (c == '\\') {
                i++;
            } else if (c == '"') {
                in_string = false;
            }
        } else if (c == '"') {
            in_string = true;
        } else if ((c == '[' || c == '{') && ++depth > JSON_DEPTH_MAX) {
            return true;
        } else if (c == ']' || c == '}') {
            depth--;
        }
    }
    return false;
}

static json_t *parse_checked(struct span text, size_t flags, const char *kind, struct error *err) {
    if (too_deep(text)) {
        error_set(err, kind, "not valid JSON: nested deeper than %d", JSON_DEPTH_MAX);
        return NULL;
    }
    return parse(text, flags, kind, err);
}

json_t *json_parse(struct span text, const char *kind, struct error *err) {
    return parse_checked(text, 0, kind, err);
}

json_t *json_parse_strict(struct span text, const char *kind, struct error *err) {
    return parse_checked(text, JSON_REJECT_DUPLICATES, kind, err);
}

/* The shortest text that reads back as the same number; jansson always writes 17 digits. */
static void write_real(struct buf *out, double number) {
    enum { DIGITS_MIN = 15, DIGITS_MAX = 17, TEXT_MAX = 40 };
    char text[TEXT_MAX];
    for (int digits = DIGITS_MIN; digits <= DIGITS_MAX; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, number);
        if (strtod(text, NULL) == number) {
            break;
        }
    }
    char *exponent = strchr(text, 'e');
    if (exponent == NULL) {
        buf_append_cstr(out, text);
        buf_append_cstr(out, strchr(text, '.') == NULL ? ".0" : "");
        return;
    }
    buf_append(out, text, (size_t)(exponent + 1 - text)); /* then without "+" and leading zeros */
    exponent++;
    if (*exponent == '-') {
        buf_append_char(out, '-');
    }
    buf_append_cstr(out, exponent + strspn(exponent, "+-0"));
}

static void write_integer(struct buf *out, json_int_t number) {
    char text[24];
    char *at = text + sizeof(text);
    uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
    do {
        *--at = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    if (number < 0) {
        *--at = '-';
    }
    buf_append(out, at, (size_t)(text + sizeof(text) - at));
}

static void write_quoted(struct buf *out, struct span text, const char *hex);

static void write_members(struct buf *out, json_t *object) {
    char separator = '{';
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        buf_append_char(out, separator);
        write_quoted(out, span_bytes(json_object_iter_key(i), json_object_iter_key_len(i)), upper_hex);
        buf_append_char(out, ':');
        json_write(out, json_object_iter_value(i));
        separator = ',';
    }
    buf_append_cstr(out, separator == '{' ? "{}" : "}");
}

static void write_items(struct buf *out, const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        buf_append_char(out, i == 0 ? '[' : ',');
        json_write(out, json_array_get(list, i));
    }
    buf_append_cstr(out, json_array_size(list) == 0 ? "[]" : "]");
}

void json_write(struct buf *out, const json_t *value) {
    if (value == NULL) {
        return;
    }
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        write_members(out, (json_t *)(uintptr_t)value);
        break;
    case JSON_ARRAY:
        write_items(out, value);
        break;
    case JSON_STRING:
        write_quoted(out, json_span(value), upper_hex);
        break;
    case JSON_INTEGER:
        write_integer(out, json_integer_value(value));
        break;
    case JSON_REAL:
        write_real(out, json_real_value(value));
        break;
    case JSON_TRUE:
        buf_append(out, "true", 4);
        break;
    case JSON_FALSE:
        buf_append(out, "false", 5);
        break;
    case JSON_NULL:
        buf_append(out, "null", 4);
        break;
    }
}

char *json_text(const json_t *value) {
    struct buf out = BUF_INIT;
    json_write(&out, value);
    return buf_take(&out);
}

/* The first byte from `from` on that needs an escape; the length when there is none. */
static size_t plain_until(struct span text, size_t from) {
    while (from < text.len) {
        const unsigned char c = (unsigned char)text.ptr[from];
        if (c < 0x20 || c == '"' || c == '\\') {
            break;
        }
        from++;
    }
    return from;
}

static void write_escape(struct buf *out, unsigned char c, const char *hex) {
    const char *short_form = c != 0 ? strchr("\"\"\\\\\nn\rr\tt\bb\ff", c) : NULL;
    if (short_form != NULL) {
        buf_append(out, (char[2]){'\\', short_form[1]}, 2);
    } else {
        buf_append(out, (char[6]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
    }
}

static void write_quoted(struct buf *out, struct span text, const char *hex) {
    buf_reserve(out, text.len + 2);
    buf_append_char(out, '"');
    for (size_t from = 0; from < text.len;) {
        const size_t until = plain_until(text, from);
        buf_append(out, text.ptr + from, until - from);
        if (until < text.len) {
            write_escape(out, (unsigned char)text.ptr[until], hex);
        }
        from = until + 1;
    }
    buf_append_char(out, '"');
}

void json_write_string(struct buf *out, struct span text) {
    write_quoted(out, text, "0123456789abcdef");
}

const char *json_str(const json_t *obj, const char *key) {
    return json_string_value(json_object_get(obj, key));
}

struct span json_span(const json_t *string) {
    return json_is_string(string) ? span_bytes(json_string_value(string), json_string_length(string)) : span_of(NULL);
}

const char *json_unknown_key(const json_t *obj, const char *const *keys, size_t count) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)obj, key, value) {
        bool known = false;
        for (size_t i = 0; i < count && !known; i++) {
            known = strcmp(key, keys[i]) == 0;
        }
        if (!known) {
            return key;
        }
    }
    return NULL;
}

int64_t json_int(const json_t *obj, const char *key, int64_t absent) {
    const json_t *value = json_object_get(obj, key);
    return json_is_integer(value) ? json_integer_value(value) : absent;
}

bool json_bool(const json_t *obj, const char *key, bool absent) {
    const json_t *value = json_object_get(obj, key);
    return json_is_boolean(value) ? json_is_true(value) : absent;
}

json_t *json_str_new(struct span text) {
    return json_stringn(text.ptr, text.len);
}

void json_set(json_t *obj, const char *key, json_t *value) {
    json_object_set_new(obj, key, value != NULL ? value : json_null());
}
