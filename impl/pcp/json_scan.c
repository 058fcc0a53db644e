/* A validating JSON scanner: one pass, no allocation, a bit per level of nesting. */
#include "pcp/json_scan.h"

#include "base/json.h"
#include <assert.h>
#include <string.h>

struct scan {
    const char *p, *end;
    bool non_ascii; /* a string held a byte that must be checked as UTF-8 */
};

static void skip_space(struct scan *s) {
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' || *s->p == '\n' || *s->p == '\r')) {
        s->p++;
    }
}

/* Eight bytes at a time over what needs no attention in a string. */
static void skip_plain(struct scan *s) {
    const uint64_t ones = 0x0101010101010101u, highs = 0x8080808080808080u;
    uint64_t seen = 0;
    while (s->end - s->p >= 8) {
        uint64_t w;
        memcpy(&w, s->p, sizeof w);
        uint64_t quote = w ^ (ones * '"'), slash = w ^ (ones * '\\');
        uint64_t stop = ((quote - ones) & ~quote) | ((slash - ones) & ~slash) | ((w - ones * 0x20) & ~w);
        if ((stop & highs) != 0) {
            break;
        }
        seen |= w;
        s->p += 8;
    }
    s->non_ascii |= (seen & highs) != 0;
}

static int hex_value(char c) {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool read_hex4(struct scan *s, uint32_t *out) {
    if (s->end - s->p < 4) {
        return false;
    }
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        int digit = hex_value(s->p[i]);
        if (digit < 0) {
            return false;
        }
        value = value << 4 | (uint32_t)digit;
    }
    s->p += 4;
    *out = value;
    return true;
}

/* Behind "\u": one code point, a surrogate only as half of a pair. */
static bool read_code_point(struct scan *s, uint32_t *out) {
    uint32_t low;
    if (!read_hex4(s, out)) {
        return false;
    }
    if (*out < 0xD800 || *out > 0xDFFF) {
        return true;
    }
    if (*out > 0xDBFF || s->end - s->p < 2 || s->p[0] != '\\' || s->p[1] != 'u') {
        return false;
    }
    s->p += 2;
    if (!read_hex4(s, &low) || low < 0xDC00 || low > 0xDFFF) {
        return false;
    }
    *out = 0x10000 + ((*out - 0xD800) << 10) + (low - 0xDC00);
    return true;
}

static const char escapes[] = "\"\\/bfnrt", escaped[] = "\"\\/\b\f\n\r\t";

static bool scan_escape(struct scan *s) {
    if (s->p == s->end) {
        return false;
    }
    char c = *s->p++;
    uint32_t ignored;
    return c == 'u' ? read_code_point(s, &ignored) : c != '\0' && strchr(escapes, c) != NULL;
}

/* At the opening quote. */
static bool scan_string(struct scan *s) {
    s->p++;
    for (;;) {
        skip_plain(s);
        if (s->p == s->end) {
            return false;
        }
        unsigned char c = (unsigned char)*s->p++;
        if (c == '"') {
            return true;
        }
        if (c < 0x20 || (c == '\\' && !scan_escape(s))) {
            return false;
        }
        s->non_ascii |= c >= 0x80;
    }
}

static size_t scan_digits(struct scan *s) {
    const char *from = s->p;
    while (s->p < s->end && *s->p >= '0' && *s->p <= '9') {
        s->p++;
    }
    return (size_t)(s->p - from);
}

static bool scan_number(struct scan *s) {
    if (*s->p == '-') {
        s->p++;
    }
    const char *first = s->p;
    size_t digits = scan_digits(s);
    if (digits == 0 || (digits > 1 && *first == '0')) {
        return false;
    }
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (scan_digits(s) == 0) {
            return false;
        }
    }
    if (s->p < s->end && (*s->p | 0x20) == 'e') {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-')) {
            s->p++;
        }
        return scan_digits(s) != 0;
    }
    return true;
}

static bool scan_word(struct scan *s, const char *word) {
    size_t len = strlen(word);
    if ((size_t)(s->end - s->p) < len || memcmp(s->p, word, len) != 0) {
        return false;
    }
    s->p += len;
    return s->p == s->end || !(((*s->p | 0x20) >= 'a') && ((*s->p | 0x20) <= 'z'));
}

static bool scan_scalar(struct scan *s) {
    switch (*s->p) {
    case '"':
        return scan_string(s);
    case 't':
        return scan_word(s, "true");
    case 'f':
        return scan_word(s, "false");
    case 'n':
        return scan_word(s, "null");
    default:
        return scan_number(s);
    }
}

static bool scan_key(struct scan *s) {
    skip_space(s);
    if (s->p == s->end || *s->p != '"' || !scan_string(s)) {
        return false;
    }
    skip_space(s);
    return s->p < s->end && *s->p++ == ':';
}

/* Which of the open brackets are objects: a bit per level. */
struct nesting {
    uint64_t object[(JSON_DEPTH_MAX + 63) / 64];
    size_t depth;
};

static void nest(struct nesting *n, bool object) {
    uint64_t bit = (uint64_t)1 << (n->depth % 64);
    uint64_t *word = &n->object[n->depth / 64];
    if (bit == 1) {
        *word = 0; /* its first level */
    }
    *word = object ? *word | bit : *word & ~bit;
    n->depth++;
}

static bool in_object(const struct nesting *n) {
    return (n->object[(n->depth - 1) / 64] >> ((n->depth - 1) % 64) & 1) != 0;
}

/* Behind '[' or '{': does the bracket close at once? Else reads up to the first value. */
static bool open_bracket(struct scan *s, struct nesting *n, bool *closed) {
    bool object = *s->p++ == '{';
    nest(n, object);
    skip_space(s);
    *closed = s->p < s->end && *s->p == (object ? '}' : ']');
    if (*closed) {
        s->p++;
        n->depth--;
        return true;
    }
    return !object || scan_key(s);
}

/* Behind a value: closes brackets as far as they close; true when another value follows or all are closed. */
static bool after_value(struct scan *s, struct nesting *n) {
    while (n->depth != 0) {
        skip_space(s);
        if (s->p == s->end) {
            return false;
        }
        bool object = in_object(n);
        char c = *s->p++;
        if (c == ',') {
            return !object || scan_key(s);
        }
        if (c != (object ? '}' : ']')) {
            return false;
        }
        n->depth--;
    }
    return true;
}

/* One value; depth_max more levels of brackets. */
static bool scan_value(struct scan *s, size_t depth_max) {
    struct nesting n;
    n.depth = 0;
    do {
        skip_space(s);
        if (s->p == s->end) {
            return false;
        }
        if (*s->p == '[' || *s->p == '{') {
            bool closed;
            if (n.depth == depth_max || !open_bracket(s, &n, &closed)) {
                return false;
            }
            if (!closed) {
                continue;
            }
        } else if (!scan_scalar(s)) {
            return false;
        }
        if (!after_value(s, &n)) {
            return false;
        }
    } while (n.depth != 0);
    return true;
}

struct span json_scan_value(struct span text) {
    struct scan s = {.p = text.ptr, .end = text.ptr + text.len};
    skip_space(&s);
    const char *from = s.p;
    if (text.len == 0 || !scan_value(&s, JSON_DEPTH_MAX)) {
        return (struct span){NULL, 0};
    }
    struct span value = {from, (size_t)(s.p - from)};
    return s.non_ascii && !span_is_utf8(value) ? (struct span){NULL, 0} : value;
}

static bool has_escape(struct span s) {
    return s.len != 0 && memchr(s.ptr, '\\', s.len) != NULL;
}

enum { KEY_LEN_MAX = 64 }; /* raw, with escapes; longer ones are in no list */

static struct json_field *find_field(struct span key, struct json_field *fields, size_t count) {
    struct buf plain = BUF_INIT;
    struct json_field *found = NULL;
    if (key.len > KEY_LEN_MAX) {
        return NULL;
    }
    buf_reserve(&plain, has_escape(key) ? key.len : 0);
    struct span name = json_string_text(key, &plain);
    for (size_t i = 0; i < count && found == NULL; i++) {
        if (span_eq(name, fields[i].name)) {
            found = &fields[i];
        }
    }
    buf_free(&plain);
    return found;
}

static bool scan_member(struct scan *s, struct json_field *fields, size_t count, bool *repeated) {
    skip_space(s);
    const char *key = s->p;
    if (s->p == s->end || *s->p != '"' || !scan_string(s)) {
        return false;
    }
    struct json_field *field = find_field((struct span){key, (size_t)(s->p - key)}, fields, count);
    skip_space(s);
    if (field == NULL || s->p == s->end || *s->p++ != ':') {
        return false;
    }
    skip_space(s);
    const char *value = s->p;
    if (!scan_value(s, JSON_DEPTH_MAX - 1)) {
        return false;
    }
    *repeated |= field->value.len != 0;
    field->value = (struct span){value, (size_t)(s->p - value)};
    return true;
}

static bool scan_members(struct scan *s, struct json_field *fields, size_t count, bool *repeated) {
    skip_space(s);
    if (s->p < s->end && *s->p == '}') {
        s->p++;
        return true;
    }
    for (;;) {
        if (!scan_member(s, fields, count, repeated)) {
            return false;
        }
        skip_space(s);
        char c = s->p < s->end ? *s->p++ : '\0';
        if (c != ',') {
            return c == '}';
        }
    }
}

bool json_scan_object(struct span text, struct json_field *fields, size_t count, struct span *whole, bool *repeated) {
    struct scan s = {.p = text.ptr, .end = text.ptr + text.len};
    *repeated = false;
    for (size_t i = 0; i < count; i++) {
        fields[i].value = (struct span){NULL, 0};
    }
    if (text.len == 0) {
        return false;
    }
    skip_space(&s);
    const char *from = s.p;
    if (s.p == s.end || *s.p++ != '{' || !scan_members(&s, fields, count, repeated)) {
        return false;
    }
    *whole = (struct span){from, (size_t)(s.p - from)};
    return !s.non_ascii || span_is_utf8(*whole);
}

bool json_scan_element(struct span *rest, struct span *element) {
    struct scan s = {.p = rest->ptr, .end = rest->ptr + rest->len};
    skip_space(&s);
    if (s.p == s.end || *s.p == ']') {
        return false;
    }
    s.p++; /* the '[' before the first, the ',' before another one */
    skip_space(&s);
    const char *from = s.p;
    if (s.p == s.end || *s.p == ']' || !scan_value(&s, JSON_DEPTH_MAX)) {
        return false;
    }
    *element = (struct span){from, (size_t)(s.p - from)};
    *rest = (struct span){s.p, (size_t)(s.end - s.p)};
    return true;
}

static void append_utf8(struct buf *out, uint32_t c) {
    if (c < 0x80) {
        buf_append_char(out, (char)c);
        return;
    }
    if (c < 0x800) {
        buf_append_char(out, (char)(0xC0 | c >> 6));
    } else {
        if (c < 0x10000) {
            buf_append_char(out, (char)(0xE0 | c >> 12));
        } else {
            buf_append_char(out, (char)(0xF0 | c >> 18));
            buf_append_char(out, (char)(0x80 | (c >> 12 & 0x3F)));
        }
        buf_append_char(out, (char)(0x80 | (c >> 6 & 0x3F)));
    }
    buf_append_char(out, (char)(0x80 | (c & 0x3F)));
}

struct span json_string_text(struct span value, struct buf *scratch) {
    struct span inner = span_sub(value, 1, value.len - 2);
    if (!has_escape(inner)) {
        return inner;
    }
    assert(scratch->cap - scratch->len > inner.len);
    struct scan s = {.p = inner.ptr, .end = inner.ptr + inner.len};
    size_t from = scratch->len;
    while (s.p < s.end) {
        char c = *s.p++;
        if (c != '\\') {
            buf_append_char(scratch, c);
        } else if (*s.p == 'u') {
            uint32_t point = 0;
            s.p++;
            read_code_point(&s, &point);
            append_utf8(scratch, point);
        } else {
            buf_append_char(scratch, escaped[strchr(escapes, *s.p++) - escapes]);
        }
    }
    return span_bytes(scratch->ptr + from, scratch->len - from);
}
