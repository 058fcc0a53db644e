/* One change of a JSON text's tree. The text is never parsed into values: a change is of the places where values stand,
 * so numbers, escapes and repeated keys stay as they are written. */
#include "base/mem.h"
#include "fuzz/mutate/mutate.h"
#include <stdio.h>
#include <string.h>

enum { NODES_MAX = 256, DEPTH_MAX = 100 };

struct node {
    size_t from, to;    /* the value */
    size_t member_from; /* its key, or the value itself */
    char kind;          /* its first character; '0' for numbers */
    bool top;
};

struct tree {
    struct span text;
    struct node nodes[NODES_MAX];
    size_t count;
};

static size_t blank(struct span s, size_t at) {
    while (at < s.len && (s.ptr[at] == ' ' || s.ptr[at] == '\t' || s.ptr[at] == '\n' || s.ptr[at] == '\r')) {
        at++;
    }
    return at;
}

/* The end of the string that begins at `at`; 0: it has none. */
static size_t string_end(struct span s, size_t at) {
    for (at++; at < s.len; at++) {
        if (s.ptr[at] == '"') {
            return at + 1;
        }
        at += s.ptr[at] == '\\' ? 1 : 0;
    }
    return 0;
}

static size_t scalar_end(struct span s, size_t at) {
    size_t end = at;
    while (end < s.len && memchr(" \t\r\n,]}:[{\"", s.ptr[end], 11) == NULL) {
        end++;
    }
    return end > at ? end : 0;
}

static size_t value(struct tree *t, size_t at, size_t member_from, int depth);

/* Members or elements up to the closing bracket. */
static size_t children(struct tree *t, size_t at, int depth) {
    struct span s = t->text;
    char close = s.ptr[at] == '{' ? '}' : ']';
    at = blank(s, at + 1);
    if (at < s.len && s.ptr[at] == close) {
        return at + 1;
    }
    while (at < s.len) {
        size_t begin = at;
        if (close == '}') {
            at = s.ptr[at] == '"' ? blank(s, string_end(s, at)) : 0;
            if (at == 0 || at >= s.len || s.ptr[at] != ':') {
                return 0;
            }
            at = blank(s, at + 1);
        }
        at = value(t, at, begin, depth + 1);
        if (at == 0) {
            return 0;
        }
        at = blank(s, at);
        if (at >= s.len || (s.ptr[at] != ',' && s.ptr[at] != close)) {
            return 0;
        }
        if (s.ptr[at] == close) {
            return at + 1;
        }
        at = blank(s, at + 1);
    }
    return 0;
}

/* The place behind the value; 0: there is none. */
static size_t value(struct tree *t, size_t at, size_t member_from, int depth) {
    struct span s = t->text;
    if (at >= s.len || depth > DEPTH_MAX) {
        return 0;
    }
    char c = s.ptr[at];
    struct node *n = t->count < NODES_MAX ? &t->nodes[t->count++] : NULL;
    size_t end = c == '{' || c == '[' ? children(t, at, depth) : c == '"' ? string_end(s, at) : scalar_end(s, at);
    if (n != NULL) {
        *n = (struct node){at, end, member_from, (c >= '0' && c <= '9') || c == '-' ? '0' : c, depth == 0};
    }
    return end;
}

static bool scan(struct tree *t, struct span text) {
    t->text = text;
    t->count = 0;
    size_t at = value(t, blank(text, 0), blank(text, 0), 0);
    return at != 0 && blank(text, at) == text.len;
}

/* ---- changes: bytes from … to become `with` */

static void replace(struct buf *text, size_t from, size_t to, struct span with) {
    struct buf out = BUF_INIT;
    buf_append(&out, text->ptr, from);
    buf_append_span(&out, with);
    buf_append(&out, text->ptr + to, text->len - to);
    buf_free(text);
    *text = out;
}

static const char *any_word(struct mutate *m, const char *const *words) {
    uint32_t count = 0;
    while (words[count] != NULL) {
        count++;
    }
    return words[mutate_below(m, count)];
}

static const char *const usual[] = {"null",
                                    "true",
                                    "false",
                                    "0",
                                    "-1",
                                    "1.5",
                                    "1e300",
                                    "2147483648",
                                    "9223372036854775807",
                                    "9223372036854775808",
                                    "\"\"",
                                    "\"\\u0000\"",
                                    "\"\\ud83d\\ude00\"",
                                    "\"\xc3\xa9\"",
                                    "[]",
                                    "{}",
                                    "[[[[{}]]]]",
                                    "{\"a\":1,\"a\":2}",
                                    NULL};

static const char *any_value(struct mutate *m, const struct mutate_words *words) {
    return any_word(m, words->values != NULL && !mutate_one_in(m, 3) ? words->values : usual);
}

/* Of a string: its content, escaped again where libFuzzer's bytes need it. */
static void change_string(struct mutate *m, struct buf *text, const struct node *n) {
    struct buf content = BUF_INIT, out = BUF_INIT;
    buf_append(&content, text->ptr + n->from + 1, n->to - n->from - 2);
    mutate_text(m, &content);
    for (size_t i = 0; i < content.len; i++) {
        char c = content.ptr[i];
        bool escape = c == '\\' && i + 1 < content.len && memchr("\"\\/bfnrt", content.ptr[i + 1], 8) != NULL;
        if (escape) {
            buf_append(&out, content.ptr + i++, 2);
        } else if (c == '"' || c == '\\') {
            buf_printf(&out, "\\%c", c);
        } else if (c == '\t' || c == '\n') {
            buf_append_cstr(&out, c == '\t' ? "\\t" : "\\n");
        } else {
            buf_append_char(&out, c);
        }
    }
    replace(text, n->from + 1, n->to - 1, buf_span(&out));
    buf_free(&content);
    buf_free(&out);
}

static void change_number(struct mutate *m, struct buf *text, const struct node *n) {
    char digits[48];
    uint32_t a = mutate_below(m, UINT32_MAX), how = mutate_below(m, 4);
    snprintf(digits, sizeof(digits),
             how == 0   ? "%u"
             : how == 1 ? "-%u"
             : how == 2 ? "%u.5"
                        : "%ue2",
             mutate_one_in(m, 2) ? a % 300 : a);
    replace(text, n->from, n->to, span_of(digits));
}

static void drop_member(struct buf *text, const struct node *n) {
    size_t from = n->member_from, to = blank(buf_span(text), n->to);
    if (to < text->len && text->ptr[to] == ',') {
        to = blank(buf_span(text), to + 1);
    } else { /* the last one: the comma before it goes too */
        size_t back = from;
        while (back > 0 && strchr(" \t\r\n", text->ptr[back - 1]) != NULL) {
            back--;
        }
        from = back > 0 && text->ptr[back - 1] == ',' ? back - 1 : from;
        to = n->to;
    }
    replace(text, from, to, SPAN(""));
}

static void double_member(struct buf *text, const struct node *n) {
    struct buf copy = BUF_INIT;
    buf_append_char(&copy, ',');
    buf_append(&copy, text->ptr + n->member_from, n->to - n->member_from);
    replace(text, n->to, n->to, buf_span(&copy));
    buf_free(&copy);
}

/* A new first member or element. */
static void add_child(struct mutate *m, const struct mutate_words *words, struct buf *text, const struct node *n) {
    struct buf child = BUF_INIT;
    bool empty = blank(buf_span(text), n->from + 1) + 1 == n->to;
    if (n->kind == '{') {
        buf_printf(&child, "\"%s\":", words->keys != NULL ? any_word(m, words->keys) : "a");
    }
    buf_printf(&child, "%s%s", any_value(m, words), empty ? "" : ",");
    replace(text, n->from + 1, n->from + 1, buf_span(&child));
    buf_free(&child);
}

static void rename_member(struct mutate *m, const struct mutate_words *words, struct buf *text, const struct node *n) {
    size_t end = n->member_from == n->from ? 0 : string_end(buf_span(text), n->member_from);
    if (end != 0 && words->keys != NULL) {
        char *key = str_printf("\"%s\"", any_word(m, words->keys));
        replace(text, n->member_from, end, span_of(key));
        mem_free(key);
    }
}

static void change_value(struct mutate *m, const struct mutate_words *words, struct buf *text, const struct node *n) {
    if ((n->kind == '{' || n->kind == '[') && (n->top || !mutate_one_in(m, 6))) {
        add_child(m, words, text, n);
    } else if (n->kind == '"' && !mutate_one_in(m, 4)) {
        change_string(m, text, n);
    } else if (n->kind == '0' && !mutate_one_in(m, 4)) {
        change_number(m, text, n);
    } else {
        replace(text, n->from, n->to, span_of(any_value(m, words)));
    }
}

void mutate_json(struct mutate *m, const struct mutate_words *words, struct buf *text) {
    struct tree tree, *t = &tree;
    static const struct mutate_words none = {NULL, NULL};
    words = words != NULL ? words : &none;
    if (text->len == 0) {
        buf_append_cstr(text, any_value(m, words));
    } else if (!scan(t, buf_span(text))) {
        mutate_text(m, text);
    } else {
        const struct node *n = &t->nodes[mutate_below(m, (uint32_t)t->count)],
                          *other = &t->nodes[mutate_below(m, (uint32_t)t->count)];
        uint32_t what = n->top ? 7 : mutate_below(m, 14);
        if (what == 0) {
            drop_member(text, n);
        } else if (what == 1) {
            double_member(text, n);
        } else if (what == 2) {
            rename_member(m, words, text, n);
        } else if (what < 5) { /* as another value here */
            char *copy = span_dup(span_bytes(text->ptr + other->from, other->to - other->from));
            replace(text, n->from, n->to, span_of(copy));
            mem_free(copy);
        } else {
            change_value(m, words, text, n);
        }
    }
}
