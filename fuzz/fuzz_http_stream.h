/* What the HTTP targets share: a stream of messages read with different cuts must give the same events, every head must
 * keep its promises, and what was read can be written and read again. */
#ifndef DALANG_FUZZ_HTTP_STREAM_H
#define DALANG_FUZZ_HTTP_STREAM_H

#include "base/mem.h"
#include "fuzz/fuzz_cuts.h"
#include "wire/http1.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { FUZZ_HEAD_MAX = 2048, FUZZ_FIELDS_MAX = 12, FUZZ_BODY_MAX = 300 };

struct stream_log {
    struct buf events; /* heads, bodies and ends as text */
    struct buf body;   /* of the message under way */
    struct buf again;  /* the messages, written anew */
    size_t complete;   /* of events, up to the last whole message */
    bool failed;
};

static void stream_log_free(struct stream_log *log) {
    buf_free(&log->events);
    buf_free(&log->body);
    buf_free(&log->again);
}

static bool clean_value(const char *text) {
    for (; *text != '\0'; text++) {
        if (((unsigned char)*text < ' ' && *text != '\t') || *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static void check_head(const struct http1_head *h, enum http1_role role) {
    assert(h->field_count <= FUZZ_FIELDS_MAX);
    for (size_t i = 0; i < h->field_count; i++) {
        const struct http1_field *f = &h->fields[i];
        assert(http1_is_token(f->name) && clean_value(f->value));
        for (const char *c = f->name; *c != '\0'; c++) {
            assert(*c < 'A' || *c > 'Z');
        }
    }
    bool length = http1_field(h, "content-length") != NULL, coding = http1_field(h, "transfer-encoding") != NULL;
    assert(!(length && coding));
    assert(!length || http1_field_only(h, "content-length") != NULL);
    assert(!coding || http1_field_only(h, "transfer-encoding") != NULL);
    if (role == HTTP1_REQUEST) {
        assert(http1_is_token(h->method) && http1_is_target(h->target) && strchr(h->target, '#') == NULL);
        assert(h->minor == 0 || http1_field_only(h, "host") != NULL);
        assert(h->body != HTTP1_UNTIL_CLOSE);
        assert((h->body == HTTP1_CHUNKED) == coding);
    } else {
        assert(h->status >= 100 && h->status <= 999);
    }
}

static void write_again(struct stream_log *log, const struct http1_head *h) {
    if (h->method != NULL) {
        buf_printf(&log->again, "%s %s HTTP/1.%d\r\n", h->method, h->target, h->minor);
    } else {
        buf_printf(&log->again, "HTTP/1.%d %d x\r\n", h->minor, h->status);
    }
    for (size_t i = 0; i < h->field_count; i++) {
        http1_write_field(&log->again, h->fields[i].name, h->fields[i].value);
    }
    buf_append_cstr(&log->again, "\r\n");
}

static void log_head(struct stream_log *log, const struct http1_head *h) {
    buf_printf(&log->events, "%s %s %d %d %d%d%d%d %llu", h->method, h->target, h->status, h->minor, (int)h->body,
               h->keep_alive, h->upgrade, h->expect_continue, (unsigned long long)h->content_length);
    for (size_t i = 0; i < h->field_count; i++) {
        buf_append_char(&log->events, '|');
        buf_append_cstr(&log->events, h->fields[i].name);
        buf_append_char(&log->events, ':');
        buf_append_cstr(&log->events, h->fields[i].value);
    }
}

/* Feeds `bytes` as one piece of its own memory, which ends where they do. */
static void stream_feed(struct http1_reader *r, struct span bytes, enum http1_body *body_kind, struct stream_log *log) {
    char one = 0, *copy = bytes.len <= 1 ? &one : malloc(bytes.len);
    if (bytes.len != 0) {
        memcpy(copy, bytes.ptr, bytes.len);
    }
    struct span in = {copy, bytes.len}, body;
    enum http1_event event;
    while (!log->failed && (event = http1_next(r, &in, &body)) != HTTP1_NEED_MORE) {
        switch (event) {
        case HTTP1_HEAD:
            check_head(&r->head, r->role);
            log_head(log, &r->head);
            write_again(log, &r->head);
            *body_kind = r->head.body;
            break;
        case HTTP1_BODY:
            assert(body.len != 0 && body.ptr >= copy && body.ptr + body.len <= copy + bytes.len);
            buf_append_span(&log->body, body);
            assert(log->body.len <= FUZZ_BODY_MAX);
            break;
        case HTTP1_END:
            buf_append_cstr(&log->events, " [");
            buf_append_span(&log->events, buf_span(&log->body));
            buf_append_cstr(&log->events, "]\n");
            log->complete = log->events.len;
            if (*body_kind == HTTP1_CHUNKED && log->body.len != 0) {
                http1_write_chunk_head(&log->again, log->body.len);
                buf_append_span(&log->again, buf_span(&log->body));
                buf_append_cstr(&log->again, "\r\n0\r\n\r\n");
            } else if (*body_kind == HTTP1_CHUNKED) {
                buf_append_cstr(&log->again, "0\r\n\r\n");
            } else {
                buf_append_span(&log->again, buf_span(&log->body));
            }
            buf_free(&log->body);
            break;
        default:
            assert(r->error.status >= 400 && r->error.text != NULL);
            buf_printf(&log->events, " !%d %s", r->error.status, r->error.text);
            log->failed = true;
            break;
        }
    }
    assert(log->failed || in.len == 0);
    if (copy != &one) {
        free(copy);
    }
}

/* cut: pieces of 1 … cut bytes, by a generator seeded with cut; 0: in one piece. */
static void stream_run(enum http1_role role, bool no_body, bool eof, struct span bytes, size_t cut,
                       struct stream_log *log) {
    struct http1_reader r;
    enum http1_body body_kind = HTTP1_NO_BODY;
    uint32_t random = (uint32_t)cut;
    http1_reader_init(&r, role, FUZZ_HEAD_MAX, FUZZ_FIELDS_MAX, FUZZ_BODY_MAX);
    while (bytes.len != 0) {
        random = random * 1664525u + 1013904223u;
        size_t len = cut == 0 ? bytes.len : 1 + (random >> 8) % cut;
        r.no_body = no_body;
        stream_feed(&r, span_sub(bytes, 0, len), &body_kind, log);
        bytes = span_sub(bytes, len, bytes.len);
    }
    if (eof && !log->failed) {
        enum http1_event end = http1_eof(&r);
        buf_printf(&log->events, " eof %d [", (int)end);
        buf_append_span(&log->events, buf_span(&log->body));
    }
    http1_reader_free(&r);
}

static void stream_check(enum http1_role role, bool no_body, bool eof, struct span bytes) {
    struct stream_log whole = {0};
    stream_run(role, no_body, eof, bytes, 0, &whole);
    for (size_t i = cuts_first(bytes.len); i < cuts_end(bytes.len); i++) {
        struct stream_log log = {0};
        stream_run(role, no_body, eof, bytes, cuts[i], &log);
        assert(span_eq(buf_span(&log.events), buf_span(&whole.events)));
        stream_log_free(&log);
    }
    /* what was read, written anew, is read the same: no reader behind us can see other messages */
    struct stream_log again = {0};
    stream_run(role, no_body, false, buf_span(&whole.again), 0, &again);
    assert(span_eq(span_sub(buf_span(&again.events), 0, whole.complete),
                   span_sub(buf_span(&whole.events), 0, whole.complete)));
    stream_log_free(&again);
    stream_log_free(&whole);
}

#endif
