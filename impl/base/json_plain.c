/* See json_plain.h. jansson reads byte by byte through a callback and builds every string twice; most of what is parsed
 * are short texts that need none of that. */
#include "base/json_plain.h"

#include <string.h>

enum { DIGITS_MAX = 18 }; /* fits 64 bits whatever they are */

struct reader {
    const char *at, *end;
    int depth_left;
    bool unique_keys;
    struct buf text; /* of the last string with escapes */
};

static void skip_space(struct reader *r) {
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\n' || *r->at == '\r' || *r->at == '\t')) {
        r->at++;
    }
}

static bool take(struct reader *r, char c) {
    bool there = r->at < r->end && *r->at == c;
    r->at += there;
    return there;
}

static bool is_plain(char c) {
    return (unsigned char)c >= 0x20 && (unsigned char)c < 0x80 && c != '"' && c != '\\';
}

/* 0: not one of those. */
static char unescaped(char c) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = c != '\0' ? strchr(from, c) : NULL;
    return at != NULL ? to[at - from] : '\0';
}

/* Behind the opening quote; to behind the closing one. out holds until the next string is read. */
static bool read_string(struct reader *r, struct span *out) {
    const char *from = r->at;
    bool escapes = false;
    while (r->at < r->end && is_plain(*r->at)) {
        r->at++;
    }
    while (r->at < r->end && *r->at == '\\') {
        if (!escapes) {
            buf_clear(&r->text);
            escapes = true;
        }
        buf_append(&r->text, from, (size_t)(r->at - from));
        char c = r->at + 1 < r->end ? unescaped(r->at[1]) : '\0';
        if (c == '\0') {
            return false;
        }
        buf_append_char(&r->text, c);
        r->at += 2;
        from = r->at;
        while (r->at < r->end && is_plain(*r->at)) {
            r->at++;
        }
    }
    const char *to = r->at;
    if (!take(r, '"')) {
        return false;
    }
    *out = span_bytes(from, (size_t)(to - from));
    if (escapes) {
        buf_append_span(&r->text, *out);
        *out = buf_span(&r->text);
    }
    return true;
}

static json_t *read_integer(struct reader *r) {
    bool negative = take(r, '-');
    const char *from = r->at;
    json_int_t n = 0;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9' && r->at - from <= DIGITS_MAX) {
        n = r->at - from < DIGITS_MAX ? n * 10 + (*r->at - '0') : n;
        r->at++;
    }
    ptrdiff_t digits = r->at - from;
    bool whole = r->at == r->end || (*r->at != '.' && *r->at != 'e' && *r->at != 'E');
    if (digits < 1 || digits > DIGITS_MAX || !whole || (*from == '0' && (digits > 1 || negative))) {
        return NULL;
    }
    return json_integer(negative ? -n : n);
}

static json_t *read_word(struct reader *r) {
    static const struct {
        const char *word;
        json_t *(*value)(void);
    } words[] = {{"true", json_true}, {"false", json_false}, {"null", json_null}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        size_t len = strlen(words[i].word);
        if ((size_t)(r->end - r->at) >= len && memcmp(r->at, words[i].word, len) == 0) {
            r->at += len;
            return words[i].value();
        }
    }
    return NULL;
}

static json_t *read_value(struct reader *r);

static bool read_member(struct reader *r, json_t *object) {
    char kept[64];
    struct span key;
    if (!take(r, '"') || !read_string(r, &key) || key.len > sizeof(kept)) {
        return false;
    }
    memcpy(kept, key.ptr, key.len); /* the value may need the buffer */
    skip_space(r);
    if (!take(r, ':') || (r->unique_keys && json_object_getn(object, kept, key.len) != NULL)) {
        return false;
    }
    skip_space(r);
    json_t *value = read_value(r);
    return value != NULL && json_object_setn_new_nocheck(object, kept, key.len, value) == 0;
}

static bool read_item(struct reader *r, json_t *array) {
    json_t *value = read_value(r);
    return value != NULL && json_array_append_new(array, value) == 0;
}

/* Behind the opening bracket. */
static json_t *read_all(struct reader *r, json_t *all, char close, bool (*read)(struct reader *r, json_t *all)) {
    bool ok = --r->depth_left >= 0;
    skip_space(r);
    if (ok && !take(r, close)) {
        do {
            skip_space(r);
            ok = read(r, all);
            skip_space(r);
        } while (ok && take(r, ','));
        ok = ok && take(r, close);
    }
    r->depth_left++;
    if (!ok) {
        json_decref(all);
        return NULL;
    }
    return all;
}

/* What stands behind a number or a word is looked at by who reads on: only a bracket, a comma or the end may. */
static json_t *read_value(struct reader *r) {
    struct span text;
    if (take(r, '{')) {
        return read_all(r, json_object(), '}', read_member);
    }
    if (take(r, '[')) {
        return read_all(r, json_array(), ']', read_item);
    }
    if (take(r, '"')) {
        return read_string(r, &text) ? json_stringn_nocheck(text.ptr, text.len) : NULL;
    }
    bool number = r->at < r->end && (*r->at == '-' || (*r->at >= '0' && *r->at <= '9'));
    return number ? read_integer(r) : read_word(r);
}

json_t *json_parse_plain(struct span text, int depth_max, bool unique_keys) {
    struct reader r = {text.ptr, text.ptr + text.len, depth_max, unique_keys, BUF_INIT};
    if (text.len == 0) {
        return NULL;
    }
    skip_space(&r);
    json_t *value = read_value(&r);
    skip_space(&r);
    if (value != NULL && r.at != r.end) {
        json_decref(value);
        value = NULL;
    }
    buf_free(&r.text);
    return value;
}
