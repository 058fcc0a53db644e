/* Open WebSockets over pipes. Close codes and what follows them are the recorded ones of the reference broker
 * (broker-observed.md), the idle text is pcp.md §9.3's. */
#include "base/mem.h"
#include "ws_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- closing */

static void closing_handshake(void **state) {
    (void)state;
    struct ws_fixture f;
    both_open(&f);
    ws_close(f.client.peer, 1000, "bye");
    ws_send(f.client.peer, true, &SPAN("too late"), 1);
    pipe_run(f.pw);
    saw(&f.server, "close 1000 [bye]\n");
    saw(&f.client, "close 1000 [bye]\n"); /* echoed */
    assert_int_equal(pipe_conns(f.pw), 0);
    ws_fixture_stop(&f);
    both_open(&f);
    ws_close(f.server.peer, 1005, "no code, no reason");
    pipe_run(f.pw);
    saw(&f.server, "close 1005 []\n");
    saw(&f.client, "close 1005 []\n");
    ws_fixture_stop(&f);
}

static void both_close_at_once(void **state) {
    (void)state;
    struct ws_fixture f;
    both_open(&f);
    ws_close(f.client.peer, 1000, "client");
    ws_close(f.server.peer, 1001, "server");
    pipe_run(f.pw);
    saw(&f.server, "close 1000 [client]\n");
    saw(&f.client, "close 1001 [server]\n");
    ws_fixture_stop(&f);
}

static void no_messages_after_closing(void **state) {
    (void)state;
    struct ws_fixture f;
    raw_open(&f);
    ws_close(f.server.peer, 4002, "x");
    raw_frame(&f, 0x81, SPAN("late"));
    raw_frame(&f, 0x89, SPAN("late"));
    raw_got(&f, SPAN("\x88\x03\x0f\xa2x"));
    saw(&f.server, "");
    raw_frame(&f, 0x88, SPAN("\x0f\xa2"));
    saw(&f.server, "close 4002 []\n");
    assert_null(f.raw.conn);
    assert_int_equal(f.raw.why, WORLD_CLOSE_EOF);
    ws_fixture_stop(&f);
}

static void close_is_never_answered(void **state) {
    (void)state;
    struct ws_fixture f;
    raw_open(&f);
    ws_close(f.server.peer, 1000, "");
    pipe_advance(f.pw, CLOSE_MS - 1);
    saw(&f.server, "");
    pipe_advance(f.pw, 1);
    saw(&f.server, "close 1006 [no answer to the close frame]\n");
    assert_null(f.raw.conn);
    ws_fixture_stop(&f);
}

static void long_reasons_are_cut_between_characters(void **state) {
    (void)state;
    struct ws_fixture f;
    raw_open(&f);
    char reason[200];
    memset(reason, 'x', 122);
    strcpy(reason + 122, "\xe2\x82\xac and more");
    ws_close(f.server.peer, 1000, reason);
    pipe_run(f.pw);
    assert_int_equal(f.raw.got.len, 2 + 2 + 122);
    assert_int_equal((uint8_t)f.raw.got.ptr[1], 124);
    ws_fixture_stop(&f);
}

/* What the reference answers to each close frame: its own code and reason back, an empty one for an empty one. */
static void client_closes(void **state) {
    (void)state;
    static const struct {
        struct span sent, got;
        const char *log;
    } cases[] = {
        {SPAN(""), SPAN("\x88\x00"), "close 1005 []\n"},
        {SPAN("\x03\xe8"), SPAN("\x88\x02\x03\xe8"), "close 1000 []\n"},
        {SPAN("\x03\xe8"
              "bye"),
         SPAN("\x88\x05\x03\xe8"
              "bye"),
         "close 1000 [bye]\n"},
        {SPAN("\x13\x87x"), SPAN("\x88\x03\x13\x87x"), "close 4999 [x]\n"},
        {SPAN("\x03\xf4restart"), SPAN("\x88\x09\x03\xf4restart"), "close 1012 [restart]\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws_fixture f;
        raw_open(&f);
        raw_frame(&f, 0x88, cases[i].sent);
        raw_got(&f, cases[i].got);
        saw(&f.server, cases[i].log);
        assert_null(f.raw.conn);
        assert_int_equal(f.raw.why, WORLD_CLOSE_EOF);
        ws_fixture_stop(&f);
    }
}

/* ---- broken rules: close code to the peer, the same to on_close */

static void fails(struct span bytes, uint16_t code) {
    struct ws_fixture f;
    raw_open(&f);
    raw_send(&f.raw, bytes);
    pipe_run(f.pw);
    assert_true(f.raw.got.len >= 4);
    assert_int_equal((uint8_t)f.raw.got.ptr[0], 0x88);
    assert_int_equal((uint8_t)f.raw.got.ptr[2] << 8 | (uint8_t)f.raw.got.ptr[3], code);
    struct buf want = BUF_INIT;
    buf_printf(&want, "close %u [%.*s]\n", code, (int)f.raw.got.len - 4, f.raw.got.ptr + 4);
    saw(&f.server, want.ptr);
    assert_null(f.raw.conn);
    buf_free(&want);
    ws_fixture_stop(&f);
}

static void fails_frame(uint8_t first, bool masked, struct span payload, uint16_t code) {
    struct buf bytes = BUF_INIT;
    add_frame(&bytes, first, masked, payload);
    fails(buf_span(&bytes), code);
    buf_free(&bytes);
}

static void protocol_errors(void **state) {
    (void)state;
    fails_frame(0x81, false, SPAN("unmasked"), 1002);
    fails_frame(0xc1, true, SPAN("rsv1"), 1002);
    fails_frame(0x83, true, SPAN("opcode 3"), 1002);
    fails_frame(0x80, true, SPAN("continuation"), 1002);
    fails_frame(0x88, true, SPAN("1"), 1002);
    fails_frame(0x88, true,
                SPAN("\x03\xed"
                     "1005"),
                1002);
    fails_frame(0x88, true,
                SPAN("\x03\xe7"
                     "999"),
                1002);
    fails_frame(0x81, true, SPAN("\xff"), 1007);
    char ping[126] = {0};
    fails_frame(0x89, true, (struct span){ping, sizeof(ping)}, 1002);
    fails(SPAN("\x81\xff\x00\x00\x00\x00\x00\x00\x00\x65"
               "mask"),
          1002); /* 101 in eight bytes */
}

static void oversize(void **state) {
    (void)state;
    struct ws_fixture f;
    raw_open(&f);
    char payload[MESSAGE_MAX + 1];
    memset(payload, 'x', sizeof(payload));
    f.server.on_message = NOTHING;
    raw_frame(&f, 0x81, (struct span){payload, MESSAGE_MAX});
    assert_int_equal(f.server.log.len, strlen("text []\n") + MESSAGE_MAX);
    buf_clear(&f.server.log);
    raw_frame(&f, 0x81, (struct span){payload, MESSAGE_MAX + 1});
    raw_got(&f, SPAN("\x88\x34\x03\xf1Text message size [101] exceeds maximum size [100]"));
    saw(&f.server, "close 1009 [Text message size [101] exceeds maximum size [100]]\n");
    ws_fixture_stop(&f);
    raw_open(&f);
    raw_frame(&f, 0x02, (struct span){payload, 60});
    raw_frame(&f, 0x80, (struct span){payload, 60});
    raw_got(&f, SPAN("\x88\x36\x03\xf1"
                     "Binary message size [120] exceeds maximum size [100]"));
    ws_fixture_stop(&f);
}

/* ---- time */

static void idle_timeout(void **state) {
    (void)state;
    struct ws_fixture f;
    raw_open(&f);
    pipe_advance(f.pw, IDLE_MS - 1);
    saw(&f.server, "");
    pipe_advance(f.pw, 1);
    raw_got(&f, SPAN("\x88\x19\x03\xe9"
                     "Connection Idle Timeout"));
    saw(&f.server, "close 1001 [Connection Idle Timeout]\n");
    assert_null(f.raw.conn);
    ws_fixture_stop(&f);
}

static void any_traffic_keeps_it_open(void **state) {
    (void)state;
    struct ws_fixture f;
    raw_open(&f);
    static const uint8_t frames[] = {0x89, 0x8a, 0x81}; /* ping, pong, text */
    for (size_t i = 0; i < 9; i++) {
        pipe_advance(f.pw, IDLE_MS - 10);
        raw_frame(&f, frames[i % 3], SPAN("x"));
    }
    for (size_t i = 0; i < 3; i++) { /* what it is sent counts, too */
        pipe_advance(f.pw, IDLE_MS - 10);
        ws_send(f.server.peer, true, &SPAN("x"), 1);
    }
    assert_non_null(f.server.peer);
    pipe_advance(f.pw, IDLE_MS);
    assert_null(f.server.peer);
    ws_fixture_stop(&f);
}

static void limits_may_change(void **state) {
    (void)state;
    struct ws_fixture f;
    raw_open(&f);
    ws_set_limits(f.server.peer, &(struct ws_limits){.message_max = 3});
    pipe_advance(f.pw, 100 * IDLE_MS); /* idle_timeout_ms 0: never */
    raw_frame(&f, 0x81, SPAN("123"));
    saw(&f.server, "text [123]\n");
    ws_set_limits(f.server.peer, &(struct ws_limits){.message_max = 3, .idle_timeout_ms = 50});
    raw_frame(&f, 0x81, SPAN("1234"));
    saw(&f.server, "close 1009 [Text message size [4] exceeds maximum size [3]]\n");
    ws_fixture_stop(&f);
}

/* ---- callbacks that end or pause */

static void reactions(void **state) {
    (void)state;
    struct ws_fixture f;
    struct buf three = BUF_INIT;
    add_frame(&three, 0x81, true, SPAN("1"));
    add_frame(&three, 0x89, true, SPAN("2"));
    add_frame(&three, 0x81, true, SPAN("3"));

    raw_open(&f);
    f.server.on_message = ABORT;
    raw_send(&f.raw, buf_span(&three));
    pipe_run(f.pw);
    saw(&f.server, "text [1]\n");
    assert_int_equal(f.raw.why, WORLD_CLOSE_RESET);
    ws_fixture_stop(&f);

    raw_open(&f);
    f.server.on_message = CLOSE;
    raw_send(&f.raw, buf_span(&three));
    pipe_run(f.pw);
    saw(&f.server, "text [1]\n");
    raw_got(&f, SPAN("\x88\x1b\x0f\xa2"
                     "Association unsuccessful."));
    ws_fixture_stop(&f);

    raw_open(&f);
    f.server.on_message = PAUSE;
    raw_send(&f.raw, buf_span(&three));
    pipe_run(f.pw);
    saw(&f.server, "text [1]\n");
    raw_frame(&f, 0x81, SPAN("4"));
    saw(&f.server, "");
    f.server.on_message = NOTHING;
    ws_pause(f.server.peer, false);
    saw(&f.server, ""); /* not from within the call */
    pipe_run(f.pw);
    saw(&f.server, "ping [2]\ntext [3]\ntext [4]\n");
    ws_pause(f.server.peer, true);
    raw_frame(&f, 0x81, SPAN("5"));
    ws_pause(f.server.peer, false);
    ws_pause(f.server.peer, true);
    pipe_run(f.pw);
    saw(&f.server, "");
    raw_free(&f.raw);
    pipe_run(f.pw);
    saw(&f.server, "close 1006 [the connection was reset]\n");
    ws_fixture_stop(&f);
    buf_free(&three);
}

static void pings_of_a_peer_that_does_not_read(void **state) {
    (void)state;
    struct ws_fixture f;
    raw_open(&f);
    pipe_window(f.pw, 4096);
    world_conn_pause(f.raw.conn, true);
    char payload[125] = {0};
    struct buf pings = BUF_INIT;
    for (size_t i = 0; i < 2000; i++) {
        add_frame(&pings, 0x89, true, (struct span){payload, sizeof(payload)});
    }
    raw_send(&f.raw, buf_span(&pings));
    pipe_run(f.pw);
    assert_true(ws_pending(f.server.peer) > 60000);
    assert_true(ws_pending(f.server.peer) < 70000);
    buf_clear(&f.server.log);
    world_conn_pause(f.raw.conn, false);
    pipe_window(f.pw, SIZE_MAX);
    pipe_run(f.pw);
    saw(&f.server, "drain\n");
    assert_int_equal(ws_pending(f.server.peer), 0);
    buf_free(&pings);
    ws_fixture_stop(&f);
}

static void the_stream_just_ends(void **state) {
    (void)state;
    struct ws_fixture f;
    raw_open(&f);
    raw_frame(&f, 0x01, SPAN("half"));
    world_conn_close(f.raw.conn, 10);
    pipe_run(f.pw);
    saw(&f.server, "close 1006 [the peer ended the connection]\n");
    ws_fixture_stop(&f);
}

static void identity_and_address(void **state) {
    (void)state;
    struct ws_fixture f;
    const struct world_identity id = {.common_name = "client01"};
    ws_fixture_start(&f);
    pipe_identity(f.pw, &id);
    connect_client(&f);
    assert_ptr_equal(ws_identity(f.server.peer), &id);
    assert_memory_equal(ws_remote(f.server.peer), "10.0.0.1:", 9);
    assert_ptr_equal(ws_ctx(f.server.peer), &f.server);
    struct side other = {.on_message = NOTHING};
    ws_set_handler(f.server.peer, &side_handler, &other);
    ws_send(f.client.peer, true, &SPAN("x"), 1);
    pipe_run(f.pw);
    saw(&other, "text [x]\n");
    ws_set_handler(f.server.peer, &side_handler, &f.server);
    buf_free(&other.log);
    ws_fixture_stop(&f);
}

static void peers_outlive_their_server(void **state) {
    (void)state;
    struct ws_fixture f;
    both_open(&f);
    http_server_close(f.http, 0, NULL, NULL);
    pipe_run(f.pw);
    ws_send(f.client.peer, true, &SPAN("still here"), 1);
    pipe_run(f.pw);
    saw(&f.server, "text [still here]\n");
    struct http_server_opts opts = {.listen = {.port = PORT}, .routes = ws_fixture_routes, .ctx = &f};
    f.http = http_server_new(pipe_world(f.pw), &opts, NULL);
    ws_fixture_stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(closing_handshake),
        cmocka_unit_test(both_close_at_once),
        cmocka_unit_test(no_messages_after_closing),
        cmocka_unit_test(close_is_never_answered),
        cmocka_unit_test(long_reasons_are_cut_between_characters),
        cmocka_unit_test(client_closes),
        cmocka_unit_test(protocol_errors),
        cmocka_unit_test(oversize),
        cmocka_unit_test(idle_timeout),
        cmocka_unit_test(any_traffic_keeps_it_open),
        cmocka_unit_test(limits_may_change),
        cmocka_unit_test(reactions),
        cmocka_unit_test(pings_of_a_peer_that_does_not_read),
        cmocka_unit_test(the_stream_just_ends),
        cmocka_unit_test(identity_and_address),
        cmocka_unit_test(peers_outlive_their_server),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
