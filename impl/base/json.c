/* Helpers over jansson; see json.h. */
#include "base/json.h"

#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

/* Before parsing, so that hostile nesting costs no stack: depth counted outside strings. */
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

static int append_piece(const char *piece, size_t len, void *out) {
    buf_append(out, piece, len);
    return 0;
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

static bool holds_reals(const json_t *value) {
    bool found = json_is_real(value);
    for (size_t i = 0; !found && i < json_array_size(value); i++) {
        found = holds_reals(json_array_get(value, i));
    }
    json_t *object = (json_t *)(uintptr_t)value;
    for (void *i = json_object_iter(object); !found && i != NULL; i = json_object_iter_next(object, i)) {
        found = holds_reals(json_object_iter_value(i));
    }
    return found;
}

static void write_any(struct buf *out, const json_t *value);

static void write_members(struct buf *out, json_t *object) {
    char separator = '{';
    for (void *i = json_object_iter(object); i != NULL; i = json_object_iter_next(object, i)) {
        json_t *key = json_stringn_nocheck(json_object_iter_key(i), json_object_iter_key_len(i));
        buf_append_char(out, separator);
        json_dump_callback(key, append_piece, out, JSON_ENCODE_ANY);
        buf_append_char(out, ':');
        write_any(out, json_object_iter_value(i));
        json_decref(key);
        separator = ',';
    }
    buf_append_cstr(out, separator == '{' ? "{}" : "}");
}

static void write_items(struct buf *out, const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        buf_append_char(out, i == 0 ? '[' : ',');
        write_any(out, json_array_get(list, i));
    }
    buf_append_cstr(out, json_array_size(list) == 0 ? "[]" : "]");
}

static void write_any(struct buf *out, const json_t *value) {
    if (json_is_real(value)) {
        write_real(out, json_real_value(value));
    } else if (json_is_object(value)) {
        write_members(out, (json_t *)(uintptr_t)value);
    } else if (json_is_array(value)) {
        write_items(out, value);
    } else {
        json_dump_callback(value, append_piece, out, JSON_ENCODE_ANY);
    }
}

void json_write(struct buf *out, const json_t *value) {
    if (holds_reals(value)) {
        write_any(out, value);
    } else {
        json_dump_callback(value, append_piece, out, JSON_COMPACT | JSON_ENCODE_ANY);
    }
}

char *json_text(const json_t *value) {
    struct buf out = BUF_INIT;
    json_write(&out, value);
    return buf_take(&out);
}

void json_write_string(struct buf *out, struct span text) {
    static const char hex[] = "0123456789abcdef";
    buf_append_char(out, '"');
    size_t from = 0;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        if (c >= 0x20 && c != '"' && c != '\\') {
            continue;
        }
        buf_append(out, text.ptr + from, i - from);
        from = i + 1;
        const char *short_form = strchr("\"\"\\\\\nn\rr\tt\bb\ff", c);
        if (c != 0 && short_form != NULL) {
            buf_append(out, (char[2]){'\\', short_form[1]}, 2);
        } else {
            buf_append(out, (char[6]){'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]}, 6);
        }
    }
    buf_append(out, text.ptr + from, text.len - from);
    buf_append_char(out, '"');
}

const char *json_str(const json_t *obj, const char *key) {
    return json_string_value(json_object_get(obj, key));
}

struct span json_span(const json_t *string) {
    return json_is_string(string) ? span_bytes(json_string_value(string), json_string_length(string)) : span_of(NULL);
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
