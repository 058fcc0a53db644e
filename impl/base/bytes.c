/* Byte strings; see bytes.h. */
#include "base/bytes.h"

#include "base/mem.h"
#include <assert.h>
#include <stdio.h>
#include <string.h>

static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

struct span span_of(const char *text) {
    return text == NULL ? (struct span){"", 0} : (struct span){text, strlen(text)};
}

struct span span_bytes(const void *ptr, size_t len) {
    return (struct span){len == 0 && ptr == NULL ? "" : ptr, len};
}

bool span_eq(struct span a, struct span b) {
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool span_eq_cstr(struct span a, const char *b) {
    return span_eq(a, span_of(b));
}

bool span_eq_nocase(struct span a, const char *b) {
    if (strlen(b) != a.len) {
        return false;
    }
    for (size_t i = 0; i < a.len; i++) {
        if (lower(a.ptr[i]) != lower(b[i])) {
            return false;
        }
    }
    return true;
}

int span_cmp(struct span a, struct span b) {
    size_t common = a.len < b.len ? a.len : b.len;
    int c = common == 0 ? 0 : memcmp(a.ptr, b.ptr, common);
    return c != 0 ? c : (a.len > b.len) - (a.len < b.len);
}

bool span_starts_with(struct span s, const char *prefix) {
    size_t len = strlen(prefix);
    return s.len >= len && memcmp(s.ptr, prefix, len) == 0;
}

bool span_ends_with(struct span s, const char *suffix) {
    size_t len = strlen(suffix);
    return s.len >= len && memcmp(s.ptr + s.len - len, suffix, len) == 0;
}

ptrdiff_t span_find(struct span s, char c) {
    const char *at = s.len == 0 ? NULL : memchr(s.ptr, c, s.len);
    return at == NULL ? -1 : at - s.ptr;
}

ptrdiff_t span_find_span(struct span s, struct span what) {
    if (what.len == 0) {
        return 0;
    }
    const char *at = memmem(s.ptr, s.len, what.ptr, what.len);
    return at == NULL ? -1 : at - s.ptr;
}

struct span span_sub(struct span s, size_t from, size_t len) {
    if (from > s.len) {
        from = s.len;
    }
    if (len > s.len - from) {
        len = s.len - from;
    }
    return (struct span){from == 0 ? s.ptr : s.ptr + from, len}; /* nothing of nothing: no sum with a null pointer */
}

static bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

struct span span_trim(struct span s) {
    while (s.len > 0 && is_space(s.ptr[0])) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.ptr[s.len - 1])) {
        s.len--;
    }
    return s;
}

bool span_split(struct span *rest, char sep, struct span *part) {
    if (rest->ptr == NULL) {
        return false;
    }
    ptrdiff_t at = span_find(*rest, sep);
    if (at < 0) {
        *part = *rest;
        *rest = (struct span){NULL, 0};
    } else {
        *part = span_sub(*rest, 0, (size_t)at);
        *rest = span_sub(*rest, (size_t)at + 1, rest->len);
    }
    return true;
}

bool span_to_u64(struct span s, uint64_t *out) {
    uint64_t value = 0;
    if (s.len == 0) {
        return false;
    }
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9') {
            return false;
        }
        uint64_t digit = (uint64_t)(s.ptr[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

bool span_to_i64(struct span s, int64_t *out) {
    bool negative = s.len > 0 && s.ptr[0] == '-';
    uint64_t magnitude;
    if (!span_to_u64(negative ? span_sub(s, 1, s.len) : s, &magnitude)) {
        return false;
    }
    if (magnitude > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
        return false;
    }
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

char *span_dup(struct span s) {
    char *copy = mem_alloc(s.len + 1);
    if (s.len != 0) {
        memcpy(copy, s.ptr, s.len);
    }
    copy[s.len] = '\0';
    return copy;
}

/* Length of the UTF-8 sequence that starts at p (0: none that RFC 3629 allows). */
static size_t utf8_sequence(const uint8_t *p, size_t left) {
    uint8_t c = p[0];
    if (c < 0x80) {
        return 1;
    }
    size_t len = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : c >= 0xf0 && c <= 0xf4 ? 4 : 0;
    if (len == 0 || left < len) {
        return 0;
    }
    uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

bool span_is_utf8(struct span s) {
    const uint8_t *p = (const uint8_t *)s.ptr;
    size_t i = 0;
    while (i < s.len) {
        uint64_t eight;
        while (i + sizeof(eight) <= s.len) { /* runs of ASCII, eight at a time */
            memcpy(&eight, p + i, sizeof(eight));
            if ((eight & 0x8080808080808080u) != 0) {
                break;
            }
            i += sizeof(eight);
        }
        if (i == s.len) {
            break;
        }
        size_t len = utf8_sequence(p + i, s.len - i);
        if (len == 0) {
            return false;
        }
        i += len;
    }
    return true;
}

bool span_has_nul(struct span s) {
    return span_find(s, '\0') >= 0;
}

void buf_free(struct buf *b) {
    mem_free(b->ptr);
    *b = (struct buf)BUF_INIT;
}

void buf_clear(struct buf *b) {
    b->len = 0;
    if (b->ptr != NULL) {
        b->ptr[0] = '\0';
    }
}

void buf_reserve(struct buf *b, size_t more) {
    assert(more < SIZE_MAX - b->len - 1);
    if (b->ptr != NULL && more < b->cap - b->len) {
        return;
    }
    b->ptr = mem_grow(b->ptr, &b->cap, b->len + more + 1, 1);
    b->ptr[b->len] = '\0';
}

void buf_append(struct buf *b, const void *bytes, size_t len) {
    buf_reserve(b, len);
    if (len != 0) {
        memcpy(b->ptr + b->len, bytes, len);
    }
    b->len += len;
    b->ptr[b->len] = '\0';
}

void buf_append_span(struct buf *b, struct span s) {
    buf_append(b, s.ptr, s.len);
}

void buf_append_cstr(struct buf *b, const char *text) {
    buf_append(b, text, strlen(text));
}

void buf_append_char(struct buf *b, char c) {
    buf_append(b, &c, 1);
}

/* Formatting into too little room costs more than twice: what is short is formatted on the stack and copied. */
enum { SHORT_TEXT = 256 };

void buf_vprintf(struct buf *b, const char *format, va_list args) {
    va_list again;
    char text[SHORT_TEXT];
    va_copy(again, args);
    int len = vsnprintf(text, sizeof(text), format, args);
    assert(len >= 0);
    if ((size_t)len < sizeof(text)) {
        buf_append(b, text, (size_t)len);
    } else {
        buf_reserve(b, (size_t)len);
        vsnprintf(b->ptr + b->len, (size_t)len + 1, format, again);
        b->len += (size_t)len;
    }
    va_end(again);
}

void buf_append_html(struct buf *b, const char *text) {
    for (; text != NULL && *text != '\0'; text++) {
        switch (*text) {
        case '<':
            buf_append_cstr(b, "&lt;");
            break;
        case '>':
            buf_append_cstr(b, "&gt;");
            break;
        case '&':
            buf_append_cstr(b, "&amp;");
            break;
        case '"':
            buf_append_cstr(b, "&quot;");
            break;
        default:
            buf_append_char(b, *text);
        }
    }
}

void buf_printf(struct buf *b, const char *format, ...) {
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_consume(struct buf *b, size_t len) {
    assert(len <= b->len);
    if (len == 0) {
        return;
    }
    memmove(b->ptr, b->ptr + len, b->len - len);
    b->len -= len;
    b->ptr[b->len] = '\0';
}

char *buf_take(struct buf *b) {
    if (b->ptr == NULL) {
        return str_dup("");
    }
    char *text = b->ptr;
    *b = (struct buf)BUF_INIT;
    return text;
}

struct span buf_span(const struct buf *b) {
    return span_bytes(b->ptr, b->len);
}

char *str_printf(const char *format, ...) {
    va_list args;
    char text[SHORT_TEXT], *out;
    va_start(args, format);
    int len = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    assert(len >= 0);
    out = mem_alloc((size_t)len + 1);
    if ((size_t)len < sizeof(text)) {
        memcpy(out, text, (size_t)len + 1);
    } else {
        va_start(args, format);
        vsnprintf(out, (size_t)len + 1, format, args);
        va_end(args);
    }
    return out;
}

char *str_dup(const char *text) {
    return text == NULL ? NULL : span_dup(span_of(text));
}

bool str_eq(const char *a, const char *b) {
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

bool glob_match(const char *pattern, const char *text) {
    const char *star = NULL;
    const char *resume = NULL;
    while (*text != '\0') {
        if (*pattern == '*') {
            star = ++pattern;
            resume = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}
