/* HTTP/1.1 requests, one behind the other. A piece is the line that asks ('r'), a field ('f'), the empty line ('e'), a
 * body ('b') or one chunk of it ('c'); the field that gives a body's length is written to fit unless it lies
 * (operands[0]). */
#include "base/mem.h"
#include "fuzz/mutate/mutate.h"
#include <string.h>

#define LENGTH "content-length:"
#define CODING "transfer-encoding:"

static bool is_field(const struct piece *p, const char *name) {
    return p->kind == 'f' && span_eq_nocase(span_sub(buf_span(&p->text), 0, strlen(name)), name);
}

static bool hex(struct span s, size_t *out) {
    size_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        const char *digits = "0123456789abcdef", *at = strchr(digits, s.ptr[i] | 0x20);
        if (at == NULL || value > 0xffff || s.ptr[i] == '\0') {
            return false;
        }
        value = value * 16 + (size_t)(at - digits);
    }
    *out = value;
    return s.len != 0;
}

/* Up to the next line end; takes it too. */
static struct span line(struct span *rest) {
    struct span l;
    if (!span_split(rest, '\n', &l)) {
        l = *rest;
        *rest = span_sub(*rest, rest->len, 0);
    }
    return l.len != 0 && l.ptr[l.len - 1] == '\r' ? span_sub(l, 0, l.len - 1) : l;
}

static void take(struct pieces *out, struct span *in, uint8_t kind, size_t len) {
    struct span body = span_sub(*in, 0, len);
    pieces_add(out, kind, body);
    *in = span_sub(*in, body.len, in->len);
}

static void take_chunks(struct pieces *out, struct span *in) {
    for (size_t size = 1; in->len != 0 && size != 0;) {
        struct span rest = *in, head = line(&rest), digits;
        span_split(&head, ';', &digits);
        if (!hex(digits, &size)) {
            return;
        }
        *in = rest;
        take(out, in, 'c', size);
        line(in);
    }
}

static void take_body(struct pieces *out, struct span *in, size_t first) {
    for (size_t i = first; i < out->count; i++) {
        const struct piece *p = &out->items[i];
        uint64_t len;
        if (is_field(p, CODING)) {
            take_chunks(out, in);
            return;
        }
        if (is_field(p, LENGTH) &&
            span_to_u64(span_trim(span_sub(buf_span(&p->text), sizeof(LENGTH) - 1, p->text.len)), &len)) {
            take(out, in, 'b', len < in->len ? (size_t)len : in->len);
            return;
        }
    }
}

static bool split(const struct mutate_format *f, struct span in, struct pieces *out) {
    (void)f;
    while (in.len != 0) {
        size_t first = out->count;
        uint8_t kind = 'r';
        for (bool more = true; more && in.len != 0;) {
            struct span l = line(&in);
            more = l.len != 0 || out->count == 0;
            pieces_add(out, l.len != 0 ? kind : 'e', l);
            kind = l.len != 0 ? 'f' : kind;
        }
        take_body(out, &in, first);
    }
    return out->count != 0;
}

/* What follows the head that field `at` stands in: how many bytes? */
static size_t body_length(const struct pieces *in, size_t at) {
    while (at < in->count && in->items[at].kind == 'f') {
        at++;
    }
    return at + 1 < in->count && in->items[at].kind == 'e' && in->items[at + 1].kind == 'b' ? in->items[at + 1].text.len
                                                                                            : 0;
}

static void join(const struct mutate_format *f, const struct pieces *in, struct buf *out) {
    (void)f;
    for (size_t i = 0; i < in->count; i++) {
        const struct piece *p = &in->items[i];
        bool last = i + 1 == in->count || in->items[i + 1].kind != 'c';
        if (p->kind == 'c') {
            buf_printf(out, "%zx\r\n", p->text.len);
            buf_append_span(out, buf_span(&p->text));
            buf_append_cstr(out, p->text.len == 0 || !last ? "\r\n" : "\r\n0\r\n\r\n");
        } else if (p->kind == 'b') {
            buf_append_span(out, buf_span(&p->text));
        } else if (is_field(p, LENGTH) && p->operands[0] == 0) {
            buf_printf(out, "Content-Length: %zu\r\n", body_length(in, i));
        } else {
            buf_append_span(out, buf_span(&p->text));
            buf_append_cstr(out, "\r\n");
        }
    }
}

static const char *const starts[] = {
    "GET / HTTP/1.1",       "POST /a%2f/..//b?c=d HTTP/1.1", "HEAD * HTTP/1.0",         "OPTIONS * HTTP/1.1",
    "CONNECT h:1 HTTP/1.1", "GET http://h/x HTTP/1.1",       "PUT /pcp2/agent HTTP/1.1"};
static const char *const fields[] = {"Host: h",
                                     "Content-Length: 1",
                                     "Transfer-Encoding: chunked",
                                     "Transfer-Encoding: gzip, chunked",
                                     "Connection: close",
                                     "Connection: keep-alive, Upgrade",
                                     "Upgrade: websocket",
                                     "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
                                     "Sec-WebSocket-Version: 13",
                                     "Expect: 100-continue",
                                     "Content-Encoding: gzip",
                                     "X-Field: a\tb"};
#define ANY(m, table) table[mutate_below(m, sizeof(table) / sizeof((table)[0]))]

/* A field's value, the target of a request: what stands between its ends, seldom all of it. */
static void change_line(struct mutate *m, struct piece *p) {
    const char *begin = memchr(p->text.ptr, p->kind == 'r' ? ' ' : ':', p->text.len);
    const char *end = p->text.ptr + p->text.len;
    while (p->kind == 'r' && end > p->text.ptr && end[-1] != ' ') {
        end--;
    }
    if (begin == NULL || begin + 2 >= end || mutate_one_in(m, 12)) {
        mutate_text(m, &p->text);
        return;
    }
    size_t from = (size_t)(begin + 1 - p->text.ptr), to = (size_t)(end - p->text.ptr);
    to -= p->kind == 'r' ? 1 : 0;
    struct buf inner = BUF_INIT, out = BUF_INIT;
    buf_append(&inner, p->text.ptr + from, to - from);
    mutate_text(m, &inner);
    buf_append(&out, p->text.ptr, from);
    if (p->kind == 'r' && (inner.len == 0 || strchr("/*h", inner.ptr[0]) == NULL)) {
        buf_append_char(&out, '/');
    }
    for (size_t i = 0; i < inner.len; i++) { /* a target has no blanks in it */
        unsigned char c = (unsigned char)inner.ptr[i];
        bool blank = c == '\n' || (p->kind == 'r' && (c == '\t' || c == ' ' || c == '#' || c >= 0x80));
        buf_append_char(&out, blank ? '_' : (char)c);
    }
    buf_append(&out, p->text.ptr + to, p->text.len - to);
    buf_free(&inner);
    buf_free(&p->text);
    p->text = out;
}

static void change(const struct mutate_format *f, struct mutate *m, struct piece *p) {
    (void)f;
    if (p->kind == 'b' || p->kind == 'c') {
        mutate_bytes(m, &p->text);
    } else if (p->kind == 'e') {
        p->kind = mutate_one_in(m, 8) ? 'f' : 'e';
    } else if (mutate_one_in(m, 3) || (is_field(p, CODING) && !mutate_one_in(m, 4))) {
        buf_clear(&p->text);
        buf_append_cstr(&p->text, p->kind == 'r' ? ANY(m, starts) : ANY(m, fields));
    } else if (is_field(p, LENGTH) && mutate_one_in(m, 4)) {
        p->operands[0] = 1;
        mutate_bytes(m, &p->text);
    } else if (p->text.len != 0) {
        change_line(m, p);
    }
}

static void make(const struct mutate_format *f, struct mutate *m, struct piece *p) {
    static const uint8_t kinds[] = {'f', 'f', 'f', 'c', 'b', 'r'};
    p->kind = ANY(m, kinds);
    buf_append_cstr(&p->text, p->kind == 'r' ? ANY(m, starts) : p->kind == 'f' ? ANY(m, fields) : "body");
    if (mutate_one_in(m, 4)) {
        change(f, m, p);
    }
}

static void insert(struct pieces *p, size_t at, uint8_t kind, const char *text) {
    struct piece new = {.kind = kind};
    buf_append_cstr(&new.text, text);
    pieces_insert(p, at, &new);
    buf_free(&new.text);
}

static bool is_line(const struct piece *p) {
    for (size_t i = 0; i < p->text.len; i++) {
        if (p->text.ptr[i] == '\n') {
            return false;
        }
    }
    return p->text.len != 0;
}

/* One head, from its first line: one host, fields that say what follows, an empty line. Returns the place behind it. */
static size_t repair_head(struct pieces *p, size_t at) {
    size_t hosts = 0, lengths = 0, codings = 0;
    for (at++; at < p->count && p->items[at].kind == 'f'; at++) {
        struct piece *one = &p->items[at];
        bool drop = !is_line(one) || memchr(one->text.ptr, ':', one->text.len) == NULL ||
                    (is_field(one, "host:") && hosts++ > 0) || (is_field(one, LENGTH) && lengths++ > 0) ||
                    (is_field(one, CODING) && codings++ > 0);
        if (drop) {
            pieces_remove(p, at--);
        }
    }
    if (hosts == 0) {
        insert(p, at++, 'f', "Host: h");
    }
    uint8_t body = at < p->count && p->items[at].kind == 'e' && at + 1 < p->count ? p->items[at + 1].kind
                   : at < p->count                                                ? p->items[at].kind
                                                                                  : 0;
    if (body == 'b' && lengths == 0) {
        insert(p, at++, 'f', "Content-Length: 0");
    } else if (body == 'c' && codings == 0) {
        insert(p, at++, 'f', "Transfer-Encoding: chunked");
    }
    for (size_t i = at; i-- > 0 && p->items[i].kind == 'f';) { /* never both */
        if ((body == 'c' && is_field(&p->items[i], LENGTH)) || (body != 'c' && is_field(&p->items[i], CODING))) {
            pieces_remove(p, i);
            at--;
        }
    }
    if (at == p->count || p->items[at].kind != 'e') {
        insert(p, at, 'e', "");
    }
    buf_clear(&p->items[at].text);
    return at + 1;
}

static void repair(const struct mutate_format *f, struct mutate *m, struct pieces *p) {
    (void)f, (void)m;
    for (size_t at = 0; at < p->count;) {
        if (at == 0 && p->count > 1 && p->items[at].text.len == 0) { /* an empty line before the first is allowed */
            p->items[at++].kind = 'e';
            continue;
        }
        if (p->items[at].kind != 'r' || !is_line(&p->items[at])) {
            pieces_remove(p, at);
            continue;
        }
        at = repair_head(p, at);
        size_t kept = at < p->count && p->items[at].kind == 'b' ? 1 : 0;
        while (kept == 0 && at < p->count && p->items[at].kind == 'c') {
            at++;
        }
        at += kept;
    }
}

const struct mutate_format mutate_http_request = {split, join, change, make, repair, NULL};
