/* JSON text to values. */
#include "base/json_read.h"

#include "base/mem.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct reader {
    const char *at, *end;
    struct buf text; /* of a string with escapes */
    int depth;
    bool unique_keys;
};

static json_t *read_value(struct reader *r);

static void skip_space(struct reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t')) {
        r->at++;
    }
}

static bool take(struct reader *r, char c) {
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return true;
    }
    return false;
}

/* ---- strings */

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* The four digits behind "\u". */
static bool read_unit(struct reader *r, uint32_t *unit) {
    *unit = 0;
    if (r->end - r->at < 4) {
        return false;
    }
    for (int i = 0; i < 4; i++) {
        const int digit = hex_digit(*r->at++);
        if (digit < 0) {
            return false;
        }
        *unit = *unit << 4 | (uint32_t)digit;
    }
    return true;
}

static void append_utf8(struct buf *out, uint32_t c) {
    char bytes[4];
    size_t len = 0;
    if (c < 0x80) {
        bytes[len++] = (char)c;
    } else if (c < 0x800) {
        bytes[len++] = (char)(0xc0 | c >> 6);
    } else if (c < 0x10000) {
        bytes[len++] = (char)(0xe0 | c >> 12);
        bytes[len++] = (char)(0x80 | (c >> 6 & 0x3f));
    } else {
        bytes[len++] = (char)(0xf0 | c >> 18);
        bytes[len++] = (char)(0x80 | (c >> 12 & 0x3f));
        bytes[len++] = (char)(0x80 | (c >> 6 & 0x3f));
    }
    if (c >= 0x80) {
        bytes[len++] = (char)(0x80 | (c & 0x3f));
    }
    buf_append(out, bytes, len);
}

/* A pair of surrogates is one character; half a pair is none. */
static bool read_unicode(struct reader *r) {
    uint32_t c, low;
    if (!read_unit(r, &c)) {
        return false;
    }
    if (c >= 0xd800 && c <= 0xdbff) {
        if (!take(r, '\\') || !take(r, 'u') || !read_unit(r, &low) || low < 0xdc00 || low > 0xdfff) {
            return false;
        }
        c = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    } else if (c >= 0xdc00 && c <= 0xdfff) {
        return false;
    }
    append_utf8(&r->text, c);
    return true;
}

static bool read_escape(struct reader *r) {
    static const char names[] = "\"\\/bfnrt", meant[] = "\"\\/\b\f\n\r\t";
    if (r->at == r->end) {
        return false;
    }
    const char c = *r->at++;
    if (c == 'u') {
        return read_unicode(r);
    }
    const char *found = c != '\0' ? strchr(names, c) : NULL;
    if (found != NULL) {
        buf_append_char(&r->text, meant[found - names]);
    }
    return found != NULL;
}

/* Moves over bytes that mean themselves. *ascii: none of them is beyond. */
static void skip_plain(struct reader *r, bool *ascii) {
    unsigned char seen = 0;
    const char *p = r->at;
    for (; p < r->end && (unsigned char)*p >= 0x20 && *p != '"' && *p != '\\'; p++) {
        seen |= (unsigned char)*p;
    }
    r->at = p;
    *ascii = *ascii && seen < 0x80;
}

/* Behind the opening quote. The span is in the text that is read, or in r->text until the next string. */
static bool read_string(struct reader *r, struct span *out) {
    bool ascii = true;
    const char *from = r->at;
    skip_plain(r, &ascii);
    if (take(r, '"')) {
        *out = span_bytes(from, (size_t)(r->at - 1 - from));
        return ascii || span_is_utf8(*out);
    }
    buf_clear(&r->text);
    for (;;) {
        buf_append(&r->text, from, (size_t)(r->at - from));
        if (take(r, '"')) {
            *out = buf_span(&r->text);
            return ascii || span_is_utf8(*out);
        }
        if (!take(r, '\\') || !read_escape(r)) {
            return false;
        }
        from = r->at;
        skip_plain(r, &ascii);
    }
}

/* ---- numbers */

static bool skip_digits(struct reader *r) {
    const char *from = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        r->at++;
    }
    return r->at > from;
}

static json_t *make_real(struct span digits) {
    enum { SHORT = 64 };
    char fixed[SHORT], *text = digits.len < SHORT ? fixed : mem_alloc(digits.len + 1);
    memcpy(text, digits.ptr, digits.len);
    text[digits.len] = '\0';
    const double value = strtod(text, NULL);
    if (text != fixed) {
        mem_free(text);
    }
    return isinf(value) ? NULL : json_real(value);
}

static json_t *make_integer(struct span digits) {
    enum { SAFE = 18 }; /* so many never overflow */
    const bool negative = digits.ptr[0] == '-';
    int64_t value = 0;
    if (digits.len - (negative ? 1 : 0) > SAFE) {
        return NULL;
    }
    for (size_t i = negative ? 1 : 0; i < digits.len; i++) {
        value = value * 10 + (digits.ptr[i] - '0');
    }
    return json_integer(negative ? -value : value);
}

static json_t *read_number(struct reader *r) {
    const char *from = r->at;
    bool real = false;
    take(r, '-');
    if (!take(r, '0') && !skip_digits(r)) {
        return NULL;
    }
    if (take(r, '.')) {
        real = true;
        if (!skip_digits(r)) {
            return NULL;
        }
    }
    if (take(r, 'e') || take(r, 'E')) {
        real = true;
        if (!take(r, '+')) {
            take(r, '-');
        }
        if (!skip_digits(r)) {
            return NULL;
        }
    }
    const struct span digits = span_bytes(from, (size_t)(r->at - from));
    return real ? make_real(digits) : make_integer(digits);
}

/* ---- everything else */

static json_t *read_word(struct reader *r, const char *word, size_t len, json_t *value) {
    if ((size_t)(r->end - r->at) < len || memcmp(r->at, word, len) != 0) {
        return NULL;
    }
    r->at += len;
    return value;
}

static bool read_item(struct reader *r, json_t *list) {
    json_t *value = read_value(r);
    return value != NULL && json_array_append_new(list, value) == 0;
}

static bool read_member(struct reader *r, json_t *object) {
    struct span key;
    skip_space(r);
    if (!take(r, '"') || !read_string(r, &key) || span_has_nul(key) ||
        (r->unique_keys && json_object_getn(object, key.ptr, key.len) != NULL)) {
        return false;
    }
    /* An escaped key stands in r->text, which its value may need. */
    char *own = key.ptr == r->text.ptr ? span_dup(key) : NULL;
    key.ptr = own != NULL ? own : key.ptr;
    skip_space(r);
    json_t *value = take(r, ':') ? read_value(r) : NULL;
    const bool ok = value != NULL && json_object_setn_new_nocheck(object, key.ptr, key.len, value) == 0;
    mem_free(own);
    return ok;
}

/* What is between brackets, separated by commas. */
static json_t *read_container(struct reader *r, char close, bool (*read_part)(struct reader *, json_t *), json_t *out) {
    bool ok = ++r->depth <= JSON_DEPTH_MAX;
    r->at++;
    skip_space(r);
    if (ok && !take(r, close)) {
        do {
            ok = read_part(r, out);
            skip_space(r);
        } while (ok && take(r, ','));
        ok = ok && take(r, close);
    }
    r->depth--;
    if (!ok) {
        json_decref(out);
    }
    return ok ? out : NULL;
}

static json_t *read_value(struct reader *r) {
    struct span text;
    skip_space(r);
    if (r->at == r->end) {
        return NULL;
    }
    switch (*r->at) {
    case '{':
        return read_container(r, '}', read_member, json_object());
    case '[':
        return read_container(r, ']', read_item, json_array());
    case '"':
        r->at++;
        return read_string(r, &text) ? json_stringn_nocheck(text.ptr, text.len) : NULL;
    case 't':
        return read_word(r, "true", 4, json_true());
    case 'f':
        return read_word(r, "false", 5, json_false());
    case 'n':
        return read_word(r, "null", 4, json_null());
    default:
        return read_number(r);
    }
}

json_t *json_read(struct span text, bool unique_keys) {
    struct reader r = {.at = text.ptr, .end = text.ptr + text.len, .unique_keys = unique_keys};
    json_t *value = text.len > 0 ? read_value(&r) : NULL;
    skip_space(&r);
    if (value != NULL && r.at != r.end) {
        json_decref(value);
        value = NULL;
    }
    buf_free(&r.text);
    return value;
}
