/* The incoming side of a WebSocket: every case is fed whole, byte by byte and cut in two at every place, and must give
 * the same events each time. */
#include "wire/ws_reader.h"

#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* ---- building frames */

struct frame {
    int head; /* first byte: 0x81 … */
    const char *payload;
    size_t len;
};

static void add_frame(struct buf *out, enum ws_role reader, uint8_t first, const void *payload, size_t len) {
    struct ws_frame_head head = {.fin = (first & 0x80) != 0,
                                 .reserved = (first >> 4) & 7,
                                 .opcode = first & 15,
                                 .masked = reader == WS_SERVER,
                                 .mask = {1, 2, 254, 77},
                                 .length = len};
    uint8_t bytes[WS_HEAD_MAX];
    buf_append(out, bytes, ws_head_encode(bytes, &head));
    size_t at = out->len;
    buf_append(out, payload, len);
    if (head.masked) {
        ws_mask(out->ptr + at, out->ptr + at, len, head.mask, 0);
    }
}

/* ---- writing down what comes out */

static void note(struct buf *log, const struct ws_event *ev) {
    static const char *const names[] = {"message", "ping", "pong", "closed", "failed"};
    buf_printf(log, "%s", names[ev->kind]);
    if (ev->kind == WS_MESSAGE) {
        buf_append_cstr(log, ev->text ? " text" : " binary");
    } else if (ev->kind == WS_CLOSED || ev->kind == WS_FAILED) {
        buf_printf(log, " %u", ev->code);
    }
    buf_append_cstr(log, " [");
    if (ev->payload.len > 100) {
        buf_printf(log, "%zu bytes", ev->payload.len);
    } else {
        buf_append_span(log, ev->payload);
    }
    buf_append_cstr(log, "]\n");
}

static void feed(struct ws_reader *r, struct span bytes, struct buf *log) {
    /* a copy of its own, so that reading past the end is noticed */
    char *copy = span_dup(bytes);
    struct span in = {copy, bytes.len};
    struct ws_event ev;
    while (ws_next(r, &in, &ev)) {
        note(log, &ev);
    }
    assert_int_equal(in.len, 0);
    mem_free(copy);
}

static void check(enum ws_role role, size_t max, struct span bytes, const char *want) {
    for (size_t cut = 0; cut <= bytes.len + 1; cut++) { /* the last round: byte by byte */
        struct ws_reader r;
        struct buf log = BUF_INIT;
        ws_reader_init(&r, role, max);
        if (cut <= bytes.len) {
            feed(&r, span_sub(bytes, 0, cut), &log);
            feed(&r, span_sub(bytes, cut, bytes.len), &log);
        } else {
            for (size_t i = 0; i < bytes.len; i++) {
                feed(&r, span_sub(bytes, i, 1), &log);
            }
        }
        assert_string_equal(log.ptr != NULL ? log.ptr : "", want);
        ws_reader_free(&r);
        buf_free(&log);
    }
}

static void check_frames(const struct frame *frames, size_t count, size_t max, const char *want) {
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        struct buf bytes = BUF_INIT;
        for (size_t i = 0; i < count; i++) {
            add_frame(&bytes, (enum ws_role)role, (uint8_t)frames[i].head, frames[i].payload, frames[i].len);
        }
        check((enum ws_role)role, max, buf_span(&bytes), want);
        buf_free(&bytes);
    }
}

#define F(first, text)                                                                                                 \
    { first, text, sizeof(text) - 1 }
#define CHECK(max, want, ...)                                                                                          \
    do {                                                                                                               \
        static const struct frame frames[] = {__VA_ARGS__};                                                            \
        check_frames(frames, sizeof(frames) / sizeof(frames[0]), max, want);                                           \
    } while (0)

/* ---- what is taken */

static void messages(void **state) {
    (void)state;
    CHECK(100, "message text [hello]\n", F(0x81, "hello"));
    CHECK(100, "message binary [a\xff]\n", F(0x82, "a\xff"));
    CHECK(100, "message text []\nmessage binary []\n", F(0x81, ""), F(0x82, ""));
    CHECK(100, "message text [one]\nmessage text [two]\nmessage binary [three]\n", F(0x81, "one"), F(0x81, "two"),
          F(0x82, "three"));
}

static void fragments(void **state) {
    (void)state;
    CHECK(100, "message text [hello]\n", F(0x01, "he"), F(0x00, "l"), F(0x00, ""), F(0x80, "lo"));
    CHECK(100, "message text [hello]\n", F(0x01, ""), F(0x80, "hello"));
    CHECK(100, "message binary [ab]\nmessage text [c]\n", F(0x02, "a"), F(0x80, "b"), F(0x81, "c"));
    /* a character cut by a frame's end */
    CHECK(100, "message text [\xe2\x82\xac!]\n", F(0x01, "\xe2"), F(0x00, "\x82"), F(0x80, "\xac!"));
}

static void control_frames_within_fragments(void **state) {
    (void)state;
    CHECK(100, "ping [mid]\npong []\nmessage text [hello]\n", F(0x01, "hel"), F(0x89, "mid"), F(0x8a, ""),
          F(0x80, "lo"));
    CHECK(100, "closed 1000 [bye]\n", F(0x01, "hel"),
          F(0x88, "\x03\xe8"
                  "bye"),
          F(0x80, "lo"));
}

static void closes(void **state) {
    (void)state;
    CHECK(100, "closed 1005 []\n", F(0x88, ""));
    CHECK(100, "closed 4999 [x]\n", F(0x88, "\x13\x87x"));
    CHECK(100, "closed 1012 [restart]\n",
          F(0x88, "\x03\xf4"
                  "restart"));
    /* nothing after it counts */
    CHECK(100, "message text [a]\nclosed 1000 []\n", F(0x81, "a"), F(0x88, "\x03\xe8"), F(0x81, "b"), F(0x83, ""));
}

/* ---- what is refused */

static void protocol_errors(void **state) {
    (void)state;
    CHECK(100, "failed 1002 [Reserved bit set]\n", F(0xc1, "x"));
    CHECK(100, "failed 1002 [Reserved bit set]\n", F(0xa1, "x"));
    CHECK(100, "failed 1002 [Reserved bit set]\n", F(0x99, "x"));
    CHECK(100, "failed 1002 [Unknown opcode 3]\n", F(0x83, "x"));
    CHECK(100, "failed 1002 [Unknown opcode 7]\n", F(0x07, ""));
    CHECK(100, "failed 1002 [Unknown opcode 11]\n", F(0x8b, "x"));
    CHECK(100, "failed 1002 [Unknown opcode 15]\n", F(0x8f, ""));
    CHECK(100, "failed 1002 [Continuation frame without a message]\n", F(0x80, "x"));
    CHECK(100, "message text [a]\nfailed 1002 [Continuation frame without a message]\n", F(0x81, "a"), F(0x00, "x"));
    CHECK(100, "failed 1002 [New message within a fragmented one]\n", F(0x01, "x"), F(0x81, "y"));
    CHECK(100, "failed 1002 [New message within a fragmented one]\n", F(0x02, ""), F(0x02, ""));
    CHECK(100, "failed 1002 [Fragmented control frame]\n", F(0x09, "x"));
    CHECK(100, "failed 1002 [Fragmented control frame]\n", F(0x08, ""));
    CHECK(100, "failed 1002 [Close frame of one byte]\n", F(0x88, "\x03"));
    CHECK(100, "failed 1002 [Close code 1005 is not allowed]\n",
          F(0x88, "\x03\xed"
                  "bad"));
    CHECK(100, "failed 1002 [Close code 999 is not allowed]\n",
          F(0x88, "\x03\xe7"
                  "bad"));
    CHECK(100, "failed 1007 [Close reason is not UTF-8]\n", F(0x88, "\x03\xe8\xff"));
}

static void long_control_frame(void **state) {
    (void)state;
    char payload[126];
    memset(payload, 'x', sizeof(payload));
    struct frame longest = {0x89, payload, 125}, too_long = {0x89, payload, 126};
    check_frames(&longest, 1, 10, "ping [125 bytes]\n"); /* the message limit is not theirs */
    check_frames(&too_long, 1, 1000, "failed 1002 [Control frame of 126 bytes]\n");
}

static void masks_by_role(void **state) {
    (void)state;
    struct buf bytes = BUF_INIT;
    add_frame(&bytes, WS_CLIENT, 0x81, "hi", 2);
    check(WS_SERVER, 100, buf_span(&bytes), "failed 1002 [Unmasked frame from a client]\n");
    buf_clear(&bytes);
    add_frame(&bytes, WS_SERVER, 0x81, "hi", 2);
    check(WS_CLIENT, 100, buf_span(&bytes), "failed 1002 [Masked frame from a server]\n");
    buf_free(&bytes);
    check(WS_CLIENT, 100, SPAN("\x81\x7e\x00\x05hello"), "failed 1002 [Frame length not in its shortest form]\n");
}

static void utf8(void **state) {
    (void)state;
    static const char failed[] = "failed 1007 [Text message is not UTF-8]\n";
    CHECK(100, failed, F(0x81, "\xff"));
    CHECK(100, failed, F(0x81, "abc\xc0\x80"));      /* overlong */
    CHECK(100, failed, F(0x81, "\xed\xa0\x80"));     /* surrogate */
    CHECK(100, failed, F(0x81, "\xf4\x90\x80\x80")); /* above U+10FFFF */
    CHECK(100, failed, F(0x81, "\xe2\x82"));         /* cut */
    CHECK(100, failed, F(0x01, "\xe2\x82"), F(0x80, "x"));
    CHECK(100, failed, F(0x01, "\xe2\x82"), F(0x80, ""));
    CHECK(100, "message text [\xf4\x8f\xbf\xbf]\n", F(0x81, "\xf4\x8f\xbf\xbf"));
    /* seen at the end of its frame, before what comes next */
    CHECK(100, failed, F(0x01, "a\xff"), F(0x89, "ping"));
    CHECK(100, failed, F(0x01, "\xe0\x80"), F(0x89, "ping"));
    CHECK(100, failed, F(0x01, "\xf5"), F(0x89, "ping"));
    CHECK(100, "ping [ping]\nmessage text [\xe0\xa0\x80]\n", F(0x01, "\xe0\xa0"), F(0x89, "ping"), F(0x80, "\x80"));
}

/* ---- limits */

static void message_limit(void **state) {
    (void)state;
    CHECK(5, "message text [12345]\n", F(0x81, "12345"));
    CHECK(5, "failed 1009 [Text message size [6] exceeds maximum size [5]]\n", F(0x81, "123456"));
    CHECK(5, "failed 1009 [Binary message size [6] exceeds maximum size [5]]\n", F(0x82, "123456"));
    CHECK(5, "message text [12345]\n", F(0x01, "123"), F(0x80, "45"));
    CHECK(5, "failed 1009 [Text message size [7] exceeds maximum size [5]]\n", F(0x01, "123"), F(0x80, "4567"));
    CHECK(5, "failed 1009 [Binary message size [6] exceeds maximum size [5]]\n", F(0x02, "12345"), F(0x00, "6"));
}

static void refused_by_its_header_alone(void **state) {
    (void)state;
    /* 2^62 bytes announced, none sent */
    check(WS_CLIENT, 100, SPAN("\x82\x7f\x40\0\0\0\0\0\0\0"),
          "failed 1009 [Binary message size [4611686018427387904] exceeds maximum size [100]]\n");
    check(WS_CLIENT, SIZE_MAX, SPAN("\x82\x7f\x40\0\0\0\0\0\0\0"), "");
}

static void a_header_allocates_little(void **state) {
    (void)state;
    struct ws_reader r;
    struct buf log = BUF_INIT;
    ws_reader_init(&r, WS_CLIENT, SIZE_MAX);
    feed(&r, SPAN("\x82\x7f\x00\x00\x00\x40\0\0\0\0"), &log); /* 256 GiB announced */
    feed(&r, SPAN("some"), &log);
    assert_true(r.message.cap <= 4096);
    ws_reader_free(&r);
    buf_free(&log);
}

static void idle_holds_nothing(void **state) {
    (void)state;
    assert_true(sizeof(struct ws_reader) <= 96);
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        struct ws_reader r;
        struct buf bytes = BUF_INIT, log = BUF_INIT;
        ws_reader_init(&r, (enum ws_role)role, 100);
        add_frame(&bytes, (enum ws_role)role, 0x01, "hel", 3);
        add_frame(&bytes, (enum ws_role)role, 0x89, "ping", 4);
        add_frame(&bytes, (enum ws_role)role, 0x80, "lo", 2);
        feed(&r, span_sub(buf_span(&bytes), 0, bytes.len - 1), &log);
        assert_false(ws_reader_idle(&r));
        feed(&r, span_sub(buf_span(&bytes), bytes.len - 1, 1), &log);
        assert_true(ws_reader_idle(&r));
        assert_null(r.message.ptr);
        assert_null(r.control);
        ws_reader_free(&r);
        buf_free(&bytes);
        buf_free(&log);
    }
}

static void whole_unmasked_frame_is_not_copied(void **state) {
    (void)state;
    struct ws_reader r;
    ws_reader_init(&r, WS_CLIENT, 100);
    struct span in = SPAN("\x81\x05hello\x82\x01x"), first = in;
    struct ws_event ev;
    assert_true(ws_next(&r, &in, &ev));
    assert_ptr_equal(ev.payload.ptr, first.ptr + 2);
    assert_int_equal(ev.payload.len, 5);
    assert_true(ws_next(&r, &in, &ev));
    assert_ptr_equal(ev.payload.ptr, first.ptr + 9);
    assert_false(ws_next(&r, &in, &ev));
    ws_reader_free(&r);
}

/* A message of some size in two frames, fed in pieces of another. */
static void large_messages(void **state) {
    (void)state;
    enum { SIZE = 300000 };
    char *payload = mem_alloc(SIZE);
    for (size_t i = 0; i < SIZE; i++) {
        payload[i] = (char)('a' + i % 26);
    }
    for (int role = WS_SERVER; role <= WS_CLIENT; role++) {
        struct buf bytes = BUF_INIT;
        add_frame(&bytes, (enum ws_role)role, 0x01, payload, 70000);
        add_frame(&bytes, (enum ws_role)role, 0x80, payload + 70000, SIZE - 70000);
        struct ws_reader r;
        ws_reader_init(&r, (enum ws_role)role, SIZE);
        struct ws_event ev;
        size_t messages_seen = 0;
        for (size_t at = 0; at < bytes.len; at += 16384) {
            struct span in = span_sub(buf_span(&bytes), at, 16384);
            while (ws_next(&r, &in, &ev)) {
                assert_int_equal(ev.kind, WS_MESSAGE);
                assert_int_equal(ev.payload.len, SIZE);
                assert_memory_equal(ev.payload.ptr, payload, SIZE);
                messages_seen++;
            }
        }
        assert_int_equal(messages_seen, 1);
        ws_reader_free(&r);
        buf_free(&bytes);
    }
    mem_free(payload);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(messages),
        cmocka_unit_test(fragments),
        cmocka_unit_test(control_frames_within_fragments),
        cmocka_unit_test(closes),
        cmocka_unit_test(protocol_errors),
        cmocka_unit_test(long_control_frame),
        cmocka_unit_test(masks_by_role),
        cmocka_unit_test(utf8),
        cmocka_unit_test(message_limit),
        cmocka_unit_test(refused_by_its_header_alone),
        cmocka_unit_test(a_header_allocates_little),
        cmocka_unit_test(idle_holds_nothing),
        cmocka_unit_test(whole_unmasked_frame_is_not_copied),
        cmocka_unit_test(large_messages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
