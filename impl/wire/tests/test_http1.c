/* HTTP/1.1 messages: every stream is fed whole, byte by byte and cut in two at every place, and must give the same
 * events each time. */
#include "base/mem.h"
#include "wire/http1.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- writing down what comes out */

struct run {
    struct http1_reader reader;
    struct buf log, body;
    bool failed;
};

static void note_head(struct run *r) {
    const struct http1_head *h = &r->reader.head;
    if (h->method != NULL) {
        buf_printf(&r->log, "%s %s", h->method, h->target);
    } else {
        buf_printf(&r->log, "%d", h->status);
    }
    buf_printf(&r->log, " 1.%d%s%s%s", h->minor, h->keep_alive ? " keep" : "", h->upgrade ? " upgrade" : "",
               h->expect_continue ? " expect" : "");
    for (size_t i = 0; i < h->field_count; i++) {
        buf_printf(&r->log, " (%s: %s)", h->fields[i].name, h->fields[i].value);
    }
}

static void feed(struct run *r, struct span bytes) {
    char *copy = span_dup(bytes);
    struct span in = {copy, bytes.len}, piece;
    enum http1_event event;
    while (!r->failed && (event = http1_next(&r->reader, &in, &piece)) != HTTP1_NEED_MORE) {
        switch (event) {
        case HTTP1_HEAD:
            note_head(r);
            break;
        case HTTP1_BODY:
            assert_true(piece.len != 0);
            buf_append_span(&r->body, piece);
            break;
        case HTTP1_END:
            buf_printf(&r->log, " [%s]\n", r->body.ptr != NULL ? r->body.ptr : "");
            buf_clear(&r->body);
            buf_append_cstr(&r->body, "");
            break;
        default:
            buf_printf(&r->log, "!%d %s\n", r->reader.error.status, r->reader.error.text);
            r->failed = true;
            break;
        }
    }
    mem_free(copy);
}

enum { HEAD_MAX = 300, FIELDS_MAX = 6, BODY_MAX = 20 };

static void check(enum http1_role role, bool no_body, bool eof, struct span bytes, const char *want) {
    for (size_t cut = 0; cut <= bytes.len + 1; cut++) { /* the last round: byte by byte */
        struct run r = {0};
        http1_reader_init(&r.reader, role, HEAD_MAX, FIELDS_MAX, BODY_MAX);
        r.reader.no_body = no_body;
        if (cut <= bytes.len) {
            feed(&r, span_sub(bytes, 0, cut));
            feed(&r, span_sub(bytes, cut, bytes.len));
        } else {
            for (size_t i = 0; i < bytes.len; i++) {
                feed(&r, span_sub(bytes, i, 1));
            }
        }
        if (eof) {
            enum http1_event end = http1_eof(&r.reader);
            buf_printf(&r.log, " eof:%s [%s]",
                       end == HTTP1_END         ? "end"
                       : end == HTTP1_NEED_MORE ? "idle"
                                                : r.reader.error.text,
                       r.body.ptr != NULL ? r.body.ptr : "");
        }
        assert_string_equal(r.log.ptr != NULL ? r.log.ptr : "", want);
        http1_reader_free(&r.reader);
        buf_free(&r.log);
        buf_free(&r.body);
    }
}

#define REQUEST(text, want) check(HTTP1_REQUEST, false, false, SPAN(text), want)
#define RESPONSE(text, want) check(HTTP1_RESPONSE, false, false, SPAN(text), want)
#define RESPONSE_EOF(text, want) check(HTTP1_RESPONSE, false, true, SPAN(text), want)
#define H "Host: h\r\n"
#define HOST " (host: h)"

/* ---- heads */

static void requests(void **state) {
    (void)state;
    REQUEST("GET / HTTP/1.1\r\n" H "\r\n", "GET / 1.1 keep" HOST " []\n");
    REQUEST("GET / HTTP/1.1\r\nhOsT:h\r\nX-A: \t b c \t\r\nX-Empty:\r\n\r\n",
            "GET / 1.1 keep (host: h) (x-a: b c) (x-empty: ) []\n");
    REQUEST("GET / HTTP/1.0\r\n\r\n", "GET / 1.0 []\n");
    REQUEST("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / 1.0 keep (connection: Keep-Alive) []\n");
    REQUEST("GET / HTTP/1.1\r\n" H "Connection: foo, Close\r\n\r\n", "GET / 1.1" HOST " (connection: foo, Close) []\n");
    REQUEST("GET / HTTP/1.1\r\n" H "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
            "GET / 1.1 keep upgrade" HOST " (connection: keep-alive, Upgrade) (upgrade: websocket) []\n");
    REQUEST("\r\nGET / HTTP/1.1\r\n" H "\r\n", "GET / 1.1 keep" HOST " []\n");
    REQUEST("GET /1 HTTP/1.1\r\n" H "\r\nHEAD /2 HTTP/1.1\r\n" H "\r\n\r\nDELETE /3 HTTP/1.1\r\n" H "\r\n",
            "GET /1 1.1 keep" HOST " []\nHEAD /2 1.1 keep" HOST " []\nDELETE /3 1.1 keep" HOST " []\n");
}

static void target_stays_as_it_came(void **state) {
    (void)state;
    REQUEST("GET /a%2fb//c/../d/./%zz?x=%20+&&;y HTTP/1.1\r\n" H "\r\n",
            "GET /a%2fb//c/../d/./%zz?x=%20+&&;y 1.1 keep" HOST " []\n");
    REQUEST("GET http://other/x?y HTTP/1.1\r\n" H "\r\n", "GET http://other/x?y 1.1 keep" HOST " []\n");
    REQUEST("OPTIONS * HTTP/1.1\r\n" H "\r\n", "OPTIONS * 1.1 keep" HOST " []\n");
    REQUEST("GET / HTTP/1.1\r\nX-Empty: \r\n" H "Y:\r\n\r\n", "GET / 1.1 keep (x-empty: )" HOST " (y: ) []\n");
    REQUEST("GET /{\"a\":[1]}|^` HTTP/1.1\r\n" H "\r\n", "GET /{\"a\":[1]}|^` 1.1 keep" HOST " []\n");
}

static void malformed_heads(void **state) {
    (void)state;
    REQUEST("GET / HTTP/1.1\n" H "\r\n", "!400 Line feed without a carriage return\n");
    REQUEST("GET / HTTP/1.1\r\n" H "\n", "!400 Line feed without a carriage return\n");
    REQUEST("GET / HTTP/1.1\r\nHost: h\rX: y\r\n\r\n", "!400 Carriage return without a line feed\n");
    REQUEST("GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", "!400 Folded header line\n");
    REQUEST("GET / HTTP/1.1\r\n" H "X: a\r\n\tb\r\n\r\n", "!400 Folded header line\n");
    REQUEST("GET / HTTP/1.1\r\n X: a\r\n" H "\r\n", "!400 Folded header line\n");
    REQUEST("GET / HTTP/1.1\r\n" H "X : a\r\n\r\n", "!400 Character not allowed in a header\n");
    REQUEST("GET / HTTP/1.1\r\n" H "X\t: a\r\n\r\n", "!400 Character not allowed in a header\n");
    REQUEST("GET / HTTP/1.1\r\n" H ": a\r\n\r\n", "!400 Character not allowed in a header\n");
    REQUEST("GET / HTTP/1.1\r\n" H "X\r\n\r\n", "!400 Character not allowed in a header\n");
    REQUEST("GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n", "!400 Control character in the head\n");
    REQUEST("GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", "!400 Control character in the head\n");
    REQUEST("GET /\0 HTTP/1.1\r\n" H "\r\n", "!400 Control character in the head\n");
    REQUEST("GET /\tx HTTP/1.1\r\n" H "\r\n", "!400 Character not allowed in the request target\n");
    REQUEST("GET /\x80 HTTP/1.1\r\n" H "\r\n", "!400 Character not allowed in the request target\n");
    REQUEST("GET /#x HTTP/1.1\r\n" H "\r\n", "!400 Fragment in the request target\n");
    REQUEST("GET / x HTTP/1.1\r\n" H "\r\n", "!400 Malformed head\n");
    REQUEST("GET /\r\n" H "\r\n", "!505 Only HTTP/1.0 and HTTP/1.1 are spoken here\n");
    REQUEST("GET / HTTP/1.1 \r\n" H "\r\n", "!400 Not HTTP\n");
    REQUEST("GET / http/1.1\r\n" H "\r\n", "!400 Malformed head\n");
    REQUEST("GET / HTTP/2.0\r\n" H "\r\n", "!505 Only HTTP/1.0 and HTTP/1.1 are spoken here\n");
    REQUEST("GET / HTTP/1.2\r\n" H "\r\n", "!505 Only HTTP/1.0 and HTTP/1.1 are spoken here\n");
    REQUEST("GET / HTTP/0.9\r\n" H "\r\n", "!505 Only HTTP/1.0 and HTTP/1.1 are spoken here\n");
    REQUEST("BREW / HTTP/1.1\r\n" H "\r\n", "!501 Unknown method\n");
    REQUEST("get / HTTP/1.1\r\n" H "\r\n", "!501 Unknown method\n");
    REQUEST("PRI * HTTP/2.0\r\n\r\n", "!501 Unknown method\n");
    REQUEST("\r\n\r\n", "!400 Malformed head\n");
    REQUEST("\x16\x03\x01\x02\r\n\r\n", "!400 Control character in the head\n");
}

static void host_is_needed_once(void **state) {
    (void)state;
    REQUEST("GET / HTTP/1.1\r\n\r\n", "!400 There must be one Host header\n");
    REQUEST("GET / HTTP/1.1\r\n" H H "\r\n", "!400 There must be one Host header\n");
    REQUEST("GET / HTTP/1.0\r\n" H "host: i\r\n\r\n", "!400 There must be one Host header\n");
}

static void expectations(void **state) {
    (void)state;
    REQUEST("PUT / HTTP/1.1\r\n" H "Expect: 100-Continue\r\n\r\n",
            "PUT / 1.1 keep expect" HOST " (expect: 100-Continue) []\n");
    REQUEST("PUT / HTTP/1.1\r\n" H "Expect: magic\r\n\r\n", "!417 Unknown expectation\n");
}

static void head_limits(void **state) {
    (void)state;
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, "GET / HTTP/1.1\r\n" H "X: ");
    while (text.len < HEAD_MAX - 4) {
        buf_append_char(&text, 'x');
    }
    buf_append_cstr(&text, "\r\n\r\n");
    struct buf want = BUF_INIT;
    buf_append_cstr(&want, "GET / 1.1 keep" HOST " (x: ");
    for (size_t i = 0; i < HEAD_MAX - 4 - sizeof("GET / HTTP/1.1\r\n" H "X: ") + 1; i++) {
        buf_append_char(&want, 'x');
    }
    buf_append_cstr(&want, ") []\n");
    check(HTTP1_REQUEST, false, false, buf_span(&text), want.ptr); /* exactly the limit */
    text.len -= 4;
    buf_append_cstr(&text, "x\r\n\r\n");
    check(HTTP1_REQUEST, false, false, buf_span(&text), "!431 Head too large\n");
    buf_clear(&text);
    while (text.len < HEAD_MAX) {
        buf_append_char(&text, 'G');
    }
    check(HTTP1_REQUEST, false, false, buf_span(&text), "!431 Head too large\n");
    memcpy(text.ptr, "GET / HTTP/1.1\r\nX: ", 19); /* a line ends exactly at the limit */
    memcpy(text.ptr + HEAD_MAX - 2, "\r\n", 2);
    check(HTTP1_REQUEST, false, false, buf_span(&text), "!431 Head too large\n");
    buf_free(&text);
    buf_free(&want);
    REQUEST("GET / HTTP/1.1\r\n" H "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\n\r\n",
            "GET / 1.1 keep" HOST " (a: 1) (b: 2) (c: 3) (d: 4) (e: 5) []\n");
    REQUEST("GET / HTTP/1.1\r\n" H "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\nE: 5\r\nF: 6\r\n\r\n",
            "!431 Too many header fields\n");
}

static void head_limit_is_capped(void **state) {
    (void)state;
    struct http1_reader r;
    http1_reader_init(&r, HTTP1_REQUEST, SIZE_MAX, 0, 0);
    assert_int_equal(r.head_max, HTTP1_HEAD_CAP);
    /* the largest head there can be passes the library's own bound */
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, "GET /");
    while (text.len < HTTP1_HEAD_CAP - strlen(" HTTP/1.1\r\n" H "\r\n")) {
        buf_append_char(&text, 'x');
    }
    buf_append_cstr(&text, " HTTP/1.1\r\n" H "\r\n");
    struct span in = buf_span(&text), body;
    assert_int_equal(http1_next(&r, &in, &body), HTTP1_HEAD);
    assert_int_equal(http1_next(&r, &in, &body), HTTP1_END);
    http1_reader_free(&r);
    buf_free(&text);
}

/* ---- bodies */

static void bodies_with_a_length(void **state) {
    (void)state;
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhelloGET / HTTP/1.1\r\n" H "\r\n",
            "POST / 1.1 keep" HOST " (content-length: 5) [hello]\nGET / 1.1 keep" HOST " []\n");
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", "POST / 1.1 keep" HOST " (content-length: 0) []\n");
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 00005\r\n\r\nhello",
            "POST / 1.1 keep" HOST " (content-length: 00005) [hello]\n");
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 20\r\n\r\n01234567890123456789",
            "POST / 1.1 keep" HOST " (content-length: 20) [01234567890123456789]\n");
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 21\r\n\r\n",
            "POST / 1.1 keep" HOST " (content-length: 21)!413 Body too large\n");
}

static void bad_lengths(void **state) {
    (void)state;
    static const char not_a_number[] = "!400 Content-Length is not a number\n";
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: x\r\n\r\n", not_a_number);
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", not_a_number);
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: +5\r\n\r\n", not_a_number);
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 5 5\r\n\r\n", not_a_number);
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 5, 5\r\n\r\n", not_a_number);
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 0x5\r\n\r\n", not_a_number);
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", not_a_number);
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 18446744073709551616\r\n\r\n", not_a_number);
}

static void ambiguous_lengths(void **state) {
    (void)state;
    static const char twice[] = "!400 Content-Length given twice or beside Transfer-Encoding\n";
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", twice);
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", twice);
    REQUEST("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", twice);
    REQUEST("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", twice);
    RESPONSE("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", twice);
    RESPONSE("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", twice);
    static const char coding[] = "!400 Transfer-Encoding is not chunked\n";
    REQUEST("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip\r\n\r\n", coding);
    REQUEST("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n", coding);
    REQUEST("POST / HTTP/1.1\r\n" H "Transfer-Encoding: xchunked\r\n\r\n", coding);
    REQUEST("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, identity\r\n\r\n", coding);
    REQUEST("POST / HTTP/1.1\r\n" H "Transfer-Encoding: \"chunked\"\r\n\r\n", coding);
    REQUEST("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", coding);
    REQUEST("POST / HTTP/1.1\r\n" H "Transfer-Encoding:\x0b"
            "chunked\r\n\r\n",
            "!400 Control character in the head\n");
    REQUEST("POST / HTTP/1.1\r\n" H "Transfer-Encoding : chunked\r\n\r\n", "!400 Character not allowed in a header\n");
    REQUEST("POST / HTTP/1.0\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", coding);
}

#define CHUNKED "POST / HTTP/1.1\r\n" H "Transfer-Encoding: Chunked\r\n\r\n"
#define CHUNKED_HEAD "POST / 1.1 keep" HOST " (transfer-encoding: Chunked)"

static void chunked_bodies(void **state) {
    (void)state;
    REQUEST(CHUNKED "0\r\n\r\n", CHUNKED_HEAD " []\n");
    REQUEST(CHUNKED "5\r\nhello\r\n0\r\n\r\n", CHUNKED_HEAD " [hello]\n");
    REQUEST(CHUNKED "3\r\nhel\r\n0002;a=b;c=\"d\"\r\nlo\r\n000;x\r\n\r\n", CHUNKED_HEAD " [hello]\n");
    REQUEST(CHUNKED "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", CHUNKED_HEAD " [01234567890123456789]\n");
    REQUEST(CHUNKED "1\r\nx\r\n0\r\nTrailer: 1\r\nOther: 2\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n",
            CHUNKED_HEAD " [x]\nGET / 1.1 keep" HOST " []\n");
}

static void malformed_chunks(void **state) {
    (void)state;
    static const char size[] = CHUNKED_HEAD "!400 Malformed chunk size\n";
    static const char line[] = CHUNKED_HEAD "!400 Malformed line in a chunked body\n";
    REQUEST(CHUNKED "\r\n", size);
    REQUEST(CHUNKED "x\r\n", size);
    REQUEST(CHUNKED " 5\r\nhello\r\n", size);
    REQUEST(CHUNKED "5 \r\nhello\r\n", size);
    REQUEST(CHUNKED "-1\r\n", size);
    REQUEST(CHUNKED "0x5\r\nhello\r\n", size);
    REQUEST(CHUNKED "5\nhello\r\n", line);
    REQUEST(CHUNKED "5;a\nb\r\nhello\r\n", line);
    REQUEST(CHUNKED "5;a\rb\r\nhello\r\n", line);
    REQUEST(CHUNKED "0000000000000005\r\nhello\r\n", size); /* sixteen digits */
    REQUEST(CHUNKED "fffffffffffffffff\r\n", size);
    REQUEST(CHUNKED "15\r\n", CHUNKED_HEAD "!413 Body too large\n");
    REQUEST(CHUNKED "A\r\n0123456789\r\nB\r\n", CHUNKED_HEAD "!413 Body too large\n");
    REQUEST(CHUNKED "fffffffffffffff\r\n", CHUNKED_HEAD "!413 Body too large\n");
    REQUEST(CHUNKED "5\r\nhello0\r\n\r\n", CHUNKED_HEAD "!400 Chunk longer than its size\n");
    REQUEST(CHUNKED "5\r\nhello\n0\r\n\r\n", CHUNKED_HEAD "!400 Chunk longer than its size\n");
    REQUEST(CHUNKED "0\r\nX: y\n\r\n", line);
    REQUEST(CHUNKED "0\r\nX: \0\r\n\r\n", line);
    REQUEST(CHUNKED "0\r\n\n", line);
}

static void chunk_limits(void **state) {
    (void)state;
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, CHUNKED "0;");
    for (size_t i = 0; i < HTTP1_CHUNK_LINE_MAX; i++) {
        buf_append_char(&text, 'x');
    }
    check(HTTP1_REQUEST, false, false, buf_span(&text), CHUNKED_HEAD "!400 Line in a chunked body too long\n");
    buf_clear(&text);
    buf_append_cstr(&text, CHUNKED "0\r\nX: ");
    size_t head = strlen(CHUNKED "0\r\n");
    while (text.len < head + HTTP1_TRAILER_MAX - 2) {
        buf_append_char(&text, 'x');
    }
    buf_append_cstr(&text, "\r\n");
    struct run exact = {0};
    http1_reader_init(&exact.reader, HTTP1_REQUEST, HEAD_MAX, FIELDS_MAX, BODY_MAX);
    feed(&exact, buf_span(&text));
    assert_string_equal(exact.log.ptr, CHUNKED_HEAD "!400 Line in a chunked body too long\n");
    http1_reader_free(&exact.reader);
    buf_free(&exact.log);
    buf_free(&exact.body);
    buf_clear(&text);
    buf_append_cstr(&text, CHUNKED "0\r\n");
    for (size_t i = 0; i < HTTP1_TRAILER_MAX / 100 + 1; i++) {
        buf_printf(&text, "X: %095zu\r\n", i);
    }
    struct run r = {0};
    http1_reader_init(&r.reader, HTTP1_REQUEST, HEAD_MAX, FIELDS_MAX, BODY_MAX);
    feed(&r, buf_span(&text));
    assert_string_equal(r.log.ptr, CHUNKED_HEAD "!400 Line in a chunked body too long\n");
    http1_reader_free(&r.reader);
    buf_free(&r.log);
    buf_free(&r.body);
    buf_free(&text);
}

/* ---- responses */

static void responses(void **state) {
    (void)state;
    RESPONSE(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 204 No Content\r\n\r\nHTTP/1.0 404 \r\nContent-Length: "
        "1\r\n\r\nx",
        "200 1.1 keep (content-length: 2) [hi]\n204 1.1 keep []\n404 1.0 (content-length: 1) [x]\n");
    RESPONSE("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
             "200 1.1 keep (transfer-encoding: chunked) [hi]\n");
    RESPONSE("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
             "100 1.1 keep []\n304 1.1 keep (content-length: 9) []\n");
    RESPONSE("HTTP/1.1 101 Switching\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
             "101 1.1 keep upgrade (connection: Upgrade) (upgrade: x) []\n");
    RESPONSE("HTTP/1.1 099 X\r\n\r\n", "!400 Status out of range\n");
    RESPONSE("HTTP/1.1 2000 X\r\n\r\n", "!400 Malformed head\n");
    RESPONSE("HTP/1.1 200 X\r\n\r\n", "!400 Not HTTP\n");
    check(HTTP1_RESPONSE, true, false, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
          "200 1.1 keep (content-length: 5) []\n");
}

static void the_end_of_the_stream(void **state) {
    (void)state;
    RESPONSE_EOF("", " eof:idle []");
    RESPONSE_EOF("HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 1.1 eof:end [until the end]");
    RESPONSE_EOF("HTTP/1.1 200 OK\r\n\r\n", "200 1.1 eof:end []");
    RESPONSE_EOF("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nh",
                 "200 1.1 keep (content-length: 2) eof:The stream ended within a message [h]");
    RESPONSE_EOF("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n",
                 "200 1.1 keep (transfer-encoding: chunked) eof:The stream ended within a message [hi]");
    RESPONSE_EOF("HTTP/1.1 200 OK\r\n", " eof:The stream ended within a message []");
    RESPONSE_EOF("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
                 "200 1.1 keep (content-length: 2) [hi]\n eof:idle []");
    RESPONSE_EOF("x\n", "!400 Line feed without a carriage return\n eof:Line feed without a carriage return []");
    RESPONSE_EOF("HTTP/1.1 200 OK\r\n\r\n123456789012345678901",
                 "200 1.1!413 Body too large\n eof:Body too large [12345678901234567890]");
}

/* ---- fields and writing */

static void field_lists(void **state) {
    (void)state;
    struct http1_head h;
    struct http1_error err;
    static const char text[] = "GET / HTTP/1.1\r\nHost: h\r\nA: x , Y;q=1,\r\nA: z\r\n\r\n";
    assert_true(http1_head_parse(HTTP1_REQUEST, str_dup(text), sizeof(text) - 1, 10, false, &h, &err));
    assert_string_equal(http1_field(&h, "a"), "x , Y;q=1,");
    assert_null(http1_field_only(&h, "a"));
    assert_string_equal(http1_field_only(&h, "host"), "h");
    assert_null(http1_field(&h, "b"));
    assert_true(http1_field_has(&h, "a", "X"));
    assert_true(http1_field_has(&h, "a", "y"));
    assert_true(http1_field_has(&h, "a", "z"));
    assert_false(http1_field_has(&h, "a", "q"));
    assert_false(http1_field_has(&h, "b", "x"));
    http1_head_free(&h);
}

static void writing(void **state) {
    (void)state;
    struct buf out = BUF_INIT;
    http1_write_field(&out, "X-A", "b\r\nSet-Cookie: evil\x7f");
    assert_string_equal(out.ptr, "X-A: b  Set-Cookie: evil \r\n");
    buf_clear(&out);
    http1_write_date(&out, 1795212849123);
    assert_string_equal(out.ptr, "Date: Fri, 20 Nov 2026 22:14:09 GMT\r\n");
    buf_clear(&out);
    http1_write_chunk_head(&out, 255);
    assert_string_equal(out.ptr, "ff\r\n");
    buf_free(&out);
    assert_string_equal(http1_status_text(404), "Not Found");
    assert_string_equal(http1_status_text(799), "Unknown");
    assert_true(http1_is_token("X-Header_1") && !http1_is_token("") && !http1_is_token("a b") && !http1_is_token("a:"));
    assert_true(http1_is_target("/a?b") && !http1_is_target("") && !http1_is_target("/a b") &&
                !http1_is_target("/a\r\n") && !http1_is_target("/\xc3\xa9"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests),
        cmocka_unit_test(target_stays_as_it_came),
        cmocka_unit_test(malformed_heads),
        cmocka_unit_test(host_is_needed_once),
        cmocka_unit_test(expectations),
        cmocka_unit_test(head_limits),
        cmocka_unit_test(head_limit_is_capped),
        cmocka_unit_test(bodies_with_a_length),
        cmocka_unit_test(bad_lengths),
        cmocka_unit_test(ambiguous_lengths),
        cmocka_unit_test(chunked_bodies),
        cmocka_unit_test(malformed_chunks),
        cmocka_unit_test(chunk_limits),
        cmocka_unit_test(responses),
        cmocka_unit_test(the_end_of_the_stream),
        cmocka_unit_test(field_lists),
        cmocka_unit_test(writing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
