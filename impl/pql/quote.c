/* How PuppetDB prints things in its messages. */
#include "quote.h"
#include "base/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void quote_list(struct buf *out, const char *const *names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (i > 0) {
            buf_append_cstr(out, count == 2 ? " and " : i == count - 1 ? ", and " : ", ");
        }
        buf_printf(out, "'%s'", names[i]);
    }
}

static void quote_string(struct buf *out, const json_t *text) {
    struct span s = json_span(text);
    buf_append_char(out, '"');
    for (size_t i = 0; i < s.len; i++) {
        static const char plain[] = "\"\\\n\t\r\f\b", letter[] = "\"\\ntrfb";
        const char *found = s.ptr[i] != '\0' ? strchr(plain, s.ptr[i]) : NULL;
        if (found != NULL) {
            buf_append_char(out, '\\');
            buf_append_char(out, letter[found - plain]);
        } else {
            buf_append_char(out, s.ptr[i]);
        }
    }
    buf_append_char(out, '"');
}

static void quote_real(struct buf *out, double value) {
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    buf_append_cstr(out, text);
    if (strpbrk(text, ".eEn") == NULL) {
        buf_append_cstr(out, ".0");
    }
}

void quote_readable(struct buf *out, const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_STRING:
        quote_string(out, value);
        break;
    case JSON_INTEGER:
        buf_printf(out, "%lld", (long long)json_integer_value(value));
        break;
    case JSON_REAL:
        quote_real(out, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        buf_append_cstr(out, json_is_true(value) ? "true" : "false");
        break;
    case JSON_NULL:
        buf_append_cstr(out, "nil");
        break;
    case JSON_ARRAY:
        buf_append_char(out, '[');
        for (size_t i = 0; i < json_array_size(value); i++) {
            buf_append_cstr(out, i > 0 ? " " : "");
            quote_readable(out, json_array_get(value, i));
        }
        buf_append_char(out, ']');
        break;
    case JSON_OBJECT: {
        const char *key;
        json_t *item;
        const char *before = "";
        buf_append_char(out, '{');
        json_object_foreach((json_t *)value, key, item) {
            buf_printf(out, "%s:%s ", before, key);
            quote_readable(out, item);
            before = ", ";
        }
        buf_append_char(out, '}');
        break;
    }
    }
}

void quote_plain(struct buf *out, const json_t *value) {
    if (json_is_string(value)) {
        buf_append_span(out, json_span(value));
    } else if (!json_is_null(value)) {
        quote_readable(out, value);
    }
}
