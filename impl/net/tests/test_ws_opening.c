/* WebSockets over pipes: the opening handshake, both sides. */
#include "base/mem.h"
#include "wire/ws_handshake.h"
#include "ws_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- opening */

static void two_peers_talk(void **state) {
    (void)state;
    for (size_t split = 0; split < 5; split++) {
        struct ws_fixture f;
        ws_fixture_start(&f);
        pipe_split(f.pw, split);
        connect_client(&f);
        saw(&f.client, "open\n");
        f.server.on_message = ECHO;
        struct span parts[] = {SPAN("in "), SPAN(""), SPAN("three"), SPAN(" parts")};
        ws_send(f.client.peer, true, parts, 4);
        ws_send(f.client.peer, false, NULL, 0);
        ws_ping(f.client.peer, SPAN("p"));
        pipe_run(f.pw);
        saw(&f.server, "text [in three parts]\nbinary []\nping [p]\n");
        saw(&f.client, "text [in three parts]\nbinary []\npong [p]\n");
        struct span many[20];
        for (size_t i = 0; i < 20; i++) {
            many[i] = SPAN("ab");
        }
        ws_send(f.server.peer, true, many, 20);
        pipe_run(f.pw);
        saw(&f.client, "text [abababababababababababababababababababab]\n");
        assert_int_equal(http_server_connections(f.http), 0);
        ws_fixture_stop(&f);
    }
}

static void a_message_is_one_write(void **state) {
    (void)state;
    struct ws_fixture f;
    both_open(&f);
    uint64_t before = pipe_writes(f.pw);
    struct span parts[] = {SPAN("a"), SPAN("b")};
    ws_send(f.server.peer, true, parts, 2);
    assert_int_equal(pipe_writes(f.pw), before + 1);
    ws_send(f.client.peer, true, parts, 2);
    assert_int_equal(pipe_writes(f.pw), before + 2);
    ws_fixture_stop(&f);
}

static void upgrade_requests_refused(void **state) {
    (void)state;
    static const struct {
        const char *request, *head, *field;
    } cases[] = {
        {"GET /pcp2/agent HTTP/1.1\r\nHost: h\r\n\r\n", "HTTP/1.1 404 ", ""},
        {"POST /pcp2/agent HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "HTTP/1.1 404 ",
         ""},
        {"GET /pcp2/agent HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: "
         "13\r\n\r\n",
         "HTTP/1.1 400 ", "Sec-WebSocket-Version: 13\r\n"},
        {"GET /pcp2/agent HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: "
         "Upgrade\r\nSec-WebSocket-Key: " UPGRADE_KEY "\r\nSec-WebSocket-Version: 8\r\n\r\n",
         "HTTP/1.1 400 ", "Sec-WebSocket-Version: 13\r\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws_fixture f;
        ws_fixture_start(&f);
        raw_connect(&f.raw, f.pw, PORT);
        raw_send(&f.raw, span_of(cases[i].request));
        pipe_run(f.pw);
        assert_memory_equal(f.raw.got.ptr, cases[i].head, strlen(cases[i].head));
        assert_non_null(strstr(f.raw.got.ptr, cases[i].field));
        assert_null(f.server.peer);
        assert_non_null(f.raw.conn); /* another request may follow */
        ws_fixture_stop(&f);
    }
}

static void frames_behind_the_request(void **state) {
    (void)state;
    for (int later = 0; later < 2; later++) { /* accepted in the side_handler, or after it has returned */
        struct ws_fixture f;
        ws_fixture_start(&f);
        f.hold = later != 0;
        struct buf bytes = BUF_INIT;
        buf_append_cstr(&bytes, UPGRADE);
        add_frame(&bytes, 0x81, true, SPAN("one"));
        add_frame(&bytes, 0x81, true, SPAN("two"));
        raw_connect(&f.raw, f.pw, PORT);
        raw_send(&f.raw, span_sub(buf_span(&bytes), 0, bytes.len - 1));
        pipe_run(f.pw);
        if (later) {
            saw(&f.server, "");
            accept_peer(&f, f.held);
            saw(&f.server, ""); /* not from within the call */
            pipe_run(f.pw);
        }
        saw(&f.server, "text [one]\n");
        raw_send(&f.raw, span_sub(buf_span(&bytes), bytes.len - 1, 1));
        pipe_run(f.pw);
        saw(&f.server, "text [two]\n");
        buf_free(&bytes);
        ws_fixture_stop(&f);
    }
}

static void frames_behind_the_request_count_when_the_client_leaves_at_once(void **state) {
    (void)state;
    static const struct {
        enum reaction reaction;
        const char *want;
    } cases[] = {
        {NOTHING, "text [one]\nping [two]\nclose 1006 [the peer ended the connection]\n"},
        {ECHO, "text [one]\nping [two]\nclose 1006 [the peer ended the connection]\n"},
        {CLOSE, "text [one]\nclose 1006 [the peer ended the connection]\n"},
        {ABORT, "text [one]\n"},
        {PAUSE, "text [one]\nclose 1006 [the peer ended the connection]\n"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct ws_fixture f;
        ws_fixture_start(&f);
        f.server.on_message = cases[i].reaction;
        struct buf bytes = BUF_INIT;
        buf_append_cstr(&bytes, UPGRADE);
        add_frame(&bytes, 0x81, true, SPAN("one"));
        add_frame(&bytes, 0x89, true, SPAN("two"));
        raw_connect(&f.raw, f.pw, PORT);
        raw_send(&f.raw, buf_span(&bytes));
        world_conn_close(f.raw.conn, 100);
        pipe_run(f.pw);
        saw(&f.server, cases[i].want);
        buf_free(&bytes);
        ws_fixture_stop(&f);
    }
}

/* The same, but what waits to be handled is cut off by the end of the connection itself. */
static void the_end_comes_before_early_frames_are_handled(void **state) {
    (void)state;
    static const enum reaction reactions[] = {NOTHING, ECHO, ABORT, CLOSE};
    static const char *const want[] = {"text [one]\nclose 1006 [the connection was reset]\n",
                                       "text [one]\nclose 1006 [the connection was reset]\n", "text [one]\n",
                                       "text [one]\nclose 1006 [the connection was reset]\n"};
    for (size_t i = 0; i < 4; i++) {
        struct ws_fixture f;
        ws_fixture_start(&f);
        f.hold = true;
        f.server.on_message = reactions[i];
        struct buf bytes = BUF_INIT;
        buf_append_cstr(&bytes, UPGRADE);
        add_frame(&bytes, 0x81, true, SPAN("one"));
        raw_connect(&f.raw, f.pw, PORT);
        raw_send(&f.raw, buf_span(&bytes));
        pipe_run(f.pw);
        accept_peer(&f, f.held);
        raw_free(&f.raw);
        pipe_run(f.pw);
        saw(&f.server, want[i]);
        buf_free(&bytes);
        ws_fixture_stop(&f);
    }
}

/* What the client makes of an answer. */
static void client_meets(const char *answer, bool end, const char *want) {
    for (size_t split = 0; split < 3; split++) {
        struct ws_fixture f;
        ws_fixture_start(&f);
        struct world_listener *l = raw_listen(&f.raw, f.pw, 99);
        struct ws_connect opts = connect_opts();
        opts.to.port = 99;
        opts.limits.handshake_timeout_ms = HANDSHAKE_MS;
        f.client.peer = ws_connect(pipe_world(f.pw), &opts, &side_handler, &f.client);
        pipe_run(f.pw);
        assert_non_null(strstr(f.raw.got.ptr, "GET /pcp2/agent HTTP/1.1\r\nHost: broker:99\r\n"));
        assert_non_null(strstr(f.raw.got.ptr, "\r\nUser-Agent: test\r\n"));
        /* the answer's "KEY" becomes what fits the key it sent */
        char key[WS_KEY_LEN + 1] = {0}, accept[WS_ACCEPT_LEN + 1];
        memcpy(key, strstr(f.raw.got.ptr, "Sec-WebSocket-Key: ") + 19, WS_KEY_LEN);
        ws_accept_for(key, accept);
        struct buf text = BUF_INIT;
        const char *mark = strstr(answer, "KEY");
        size_t before = mark != NULL ? (size_t)(mark - answer) : strlen(answer);
        buf_append(&text, answer, before);
        if (mark != NULL) {
            buf_append_cstr(&text, accept);
            buf_append_cstr(&text, mark + 3);
        }
        pipe_split(f.pw, split);
        if (text.len != 0) {
            raw_send(&f.raw, buf_span(&text));
        }
        if (end) {
            world_conn_close(f.raw.conn, 100);
        }
        pipe_advance(f.pw, HANDSHAKE_MS);
        saw(&f.client, want);
        buf_free(&text);
        world_listener_close(l);
        ws_fixture_stop(&f);
    }
}

#define CLIENT_SWITCHED "HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: KEY\r\n"

static void answers_to_the_upgrade(void **state) {
    (void)state;
    client_meets(CLIENT_SWITCHED "\r\n", false, "open\n");
    client_meets("HTTP/1.1 100 Continue\r\n\r\n" CLIENT_SWITCHED "\r\n\x81\x02hi\x89\x01p", false,
                 "open\ntext [hi]\nping [p]\n");
    client_meets(CLIENT_SWITCHED "\r\n\x81\x02hi", true,
                 "open\ntext [hi]\nclose 1006 [the peer ended the connection]\n");
    client_meets("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", false,
                 "close 1006 [the server answered the upgrade with 404 Not Found]\n");
    client_meets("HTTP/1.1 101 x\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: "
                 "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
                 false, "close 1006 [the server's Sec-WebSocket-Accept does not fit]\n");
    client_meets(CLIENT_SWITCHED "Sec-WebSocket-Extensions: x\r\n\r\n", false,
                 "close 1006 [the server chose an extension or subprotocol that was not offered]\n");
    client_meets("nonsense\r\n\r\n", false, "close 1006 [Malformed head]\n");
    client_meets("", true, "close 1006 [the peer ended the connection]\n");
    client_meets("HTTP/1.1 1", true, "close 1006 [the peer ended the connection]\n");
    client_meets("", false, "close 1006 [the upgrade took too long]\n");
    client_meets("HTTP/1.1 101 x\r\n", false, "close 1006 [the upgrade took too long]\n");
}

static void the_client_fails_a_server(void **state) {
    (void)state;
    client_meets(CLIENT_SWITCHED "\r\n\x81\x81mask!", false, "open\nclose 1002 [Masked frame from a server]\n");
}

static void connecting_fails(void **state) {
    (void)state;
    struct ws_fixture f;
    ws_fixture_start(&f);
    struct ws_connect opts = connect_opts();
    opts.to.port = 1;
    f.client.peer = ws_connect(pipe_world(f.pw), &opts, &side_handler, &f.client);
    pipe_run(f.pw);
    saw(&f.client, "close 1006 [connection refused]\n");
    static const char *const bad_paths[] = {"", "/a b", "/a\r\nX: y"};
    for (size_t i = 0; i < 3; i++) {
        opts = connect_opts();
        opts.path = bad_paths[i];
        f.client.peer = ws_connect(pipe_world(f.pw), &opts, &side_handler, &f.client);
        saw(&f.client, "");
        pipe_run(f.pw);
        saw(&f.client, "close 1006 [malformed host or path]\n");
    }
    opts = connect_opts();
    opts.to.host = "a b";
    f.client.peer = ws_connect(pipe_world(f.pw), &opts, &side_handler, &f.client);
    ws_abort(f.client.peer);
    f.client.peer = NULL;
    pipe_run(f.pw);
    saw(&f.client, "");
    f.client.peer =
        ws_connect(pipe_world(f.pw), &(struct ws_connect){.to = {.host = "::1", .port = PORT}, .path = "/pcp2/x"},
                   &side_handler, &f.client);
    ws_close(f.client.peer, 1000, "");
    pipe_run(f.pw);
    saw(&f.client, "close 1006 [closed before it was open]\n");
    ws_fixture_stop(&f);
}

static void closed_while_upgrading(void **state) {
    (void)state;
    struct ws_fixture f;
    ws_fixture_start(&f);
    f.hold = true;
    connect_client(&f);
    assert_true(ws_is_upgrade(f.held));
    ws_close(f.client.peer, 1000, "");
    saw(&f.client, "");
    accept_peer(&f, f.held); /* too late */
    pipe_run(f.pw);
    saw(&f.client, "close 1006 [closed before it was open]\n");
    saw(&f.server, "close 1006 [the connection was reset]\n");
    ws_fixture_stop(&f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_peers_talk),
        cmocka_unit_test(a_message_is_one_write),
        cmocka_unit_test(upgrade_requests_refused),
        cmocka_unit_test(frames_behind_the_request),
        cmocka_unit_test(frames_behind_the_request_count_when_the_client_leaves_at_once),
        cmocka_unit_test(the_end_comes_before_early_frames_are_handled),
        cmocka_unit_test(answers_to_the_upgrade),
        cmocka_unit_test(the_client_fails_a_server),
        cmocka_unit_test(connecting_fails),
        cmocka_unit_test(closed_while_upgrading),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
