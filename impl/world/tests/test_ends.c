/* How connections end, and how they fail to begin. */
#include "world/tests/harness.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void close_in_order(struct bench *b, bool tls) {
    struct pair p = {0};
    struct end *server = pair_open(b, &p, tls);
    struct buf sent = BUF_INIT;
    fill(&sent, 4 * 1024 * 1024);
    struct span all = buf_span(&sent);
    world_conn_write(p.client.c, &all, 1);
    world_conn_close(p.client.c, 60000);
    world_conn_close(p.client.c, 60000); /* twice is once */
    world_conn_write(p.client.c, &SPAN("too late"), 1);
    assert_int_equal(p.client.closed, 0);
    TURN_UNTIL(b, server->closed && p.client.closed);
    assert_int_equal(server->got.len, sent.len);
    assert_memory_equal(server->got.ptr, sent.ptr, sent.len);
    assert_int_equal(server->why, WORLD_CLOSE_EOF);
    assert_int_equal(p.client.why, WORLD_CLOSE_LOCAL);
    buf_free(&sent);
    pair_free(&p);
}

static void close_plain(void **state) {
    close_in_order(*state, false);
}

static void close_tls(void **state) {
    close_in_order(*state, true);
}

/* What we said last must arrive although the other side keeps sending (an HTTP error to an upload, for one). */
static void close_while_the_peer_sends(void **state) {
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        struct end *server = pair_open(b, &p, tls);
        struct buf sent = BUF_INIT;
        fill(&sent, 2 * 1024 * 1024);
        struct span all = buf_span(&sent);
        world_conn_write(p.client.c, &all, 1);
        world_conn_write(server->c, &SPAN("413 too large"), 1);
        world_conn_close(server->c, 60000);
        TURN_UNTIL(b, p.client.closed && server->closed);
        assert_string_equal(p.client.got.ptr, "413 too large");
        assert_int_equal(p.client.why, WORLD_CLOSE_EOF);
        assert_int_equal(server->why, WORLD_CLOSE_LOCAL);
        buf_free(&sent);
        pair_free(&p);
    }
}

static void close_gives_up_after_flush_ms(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    struct end *server = pair_open(b, &p, false);
    world_conn_pause(server->c, true);
    struct buf sent = BUF_INIT;
    fill(&sent, 32 * 1024 * 1024);
    struct span all = buf_span(&sent);
    world_conn_write(p.client.c, &all, 1);
    world_conn_close(p.client.c, 20);
    TURN_UNTIL(b, p.client.closed);
    assert_int_equal(p.client.why, WORLD_CLOSE_LOCAL);
    assert_non_null(strstr(p.client.text, "before everything"));
    world_conn_pause(server->c, false);
    TURN_UNTIL(b, server->closed);
    assert_int_equal(server->why, WORLD_CLOSE_RESET);
    assert_true(server->got.len < sent.len);
    buf_free(&sent);
    pair_free(&p);
}

static void abort_is_a_reset(void **state) {
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        struct end *server = pair_open(b, &p, tls);
        world_conn_abort(p.client.c);
        p.client.c = NULL;
        TURN_UNTIL(b, server->closed);
        assert_int_equal(server->why, WORLD_CLOSE_RESET);
        assert_int_equal(p.client.closed, 0);
        pair_free(&p);
    }
}

/* A TLS stream that just stops is not an orderly end: somebody may have cut it. */
struct relay {
    struct world_conn *from, *to;
};
static void relay_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct relay *r = ctx;
    world_conn_write(c == r->from ? r->to : r->from, &bytes, 1);
}
static void relay_closed(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct relay *r = ctx;
    (void)why;
    (void)text;
    *(c == r->from ? &r->from : &r->to) = NULL;
}
static const struct world_conn_handler relay_handler = {.on_data = relay_data, .on_close = relay_closed};
struct relay_setup {
    struct relay relay;
    uint16_t port;
};
static void relay_accept(void *ctx, struct world_conn *c) {
    struct relay_setup *s = ctx;
    s->relay.from = c;
    world_conn_set_handler(c, &relay_handler, &s->relay);
    s->relay.to = world_connect(world_conn_world(c), &(struct world_connect){.host = "127.0.0.1", .port = s->port},
                                &relay_handler, &s->relay);
}

static void tls_cut_by_fin_is_a_reset(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    pair_listen(b, &p, true);
    struct relay_setup s = {.port = host_port(&p.host)};
    struct world_listener *l = world_listen(b->w, &(struct world_listen){.host = "127.0.0.1"}, relay_accept, &s, NULL);
    end_connect(b, &p.client, world_listener_port(l), p.client_tls);
    TURN_UNTIL(b, p.client.opened && p.host.count);
    world_conn_close(s.relay.to, 1000); /* FIN, but no close_notify */
    TURN_UNTIL(b, p.host.ends[0]->closed);
    assert_int_equal(p.host.ends[0]->why, WORLD_CLOSE_RESET);
    assert_non_null(strstr(p.host.ends[0]->text, "close_notify"));
    world_listener_close(l);
    if (s.relay.from != NULL) {
        world_conn_abort(s.relay.from);
    }
    pair_free(&p);
}

static void garbage_in_a_tls_stream(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    pair_listen(b, &p, true);
    struct relay_setup s = {.port = host_port(&p.host)};
    struct world_listener *l = world_listen(b->w, &(struct world_listen){.host = "127.0.0.1"}, relay_accept, &s, NULL);
    end_connect(b, &p.client, world_listener_port(l), p.client_tls);
    TURN_UNTIL(b, p.client.opened && p.host.count);
    char junk[64] = "\x17\x03\x03\x00\x20";
    struct span bytes = span_bytes(junk, 37);
    world_conn_write(s.relay.to, &bytes, 1);
    TURN_UNTIL(b, p.host.ends[0]->closed && p.client.closed);
    assert_int_equal(p.host.ends[0]->why, WORLD_CLOSE_TLS);
    assert_int_equal(p.client.why, WORLD_CLOSE_TLS); /* the alert reached it */
    world_listener_close(l);
    if (s.relay.from != NULL) {
        world_conn_abort(s.relay.from);
    }
    if (s.relay.to != NULL) {
        world_conn_abort(s.relay.to);
    }
    pair_free(&p);
}

static void garbage_instead_of_tls(void **state) {
    static const char *const junk[] = {"GET / HTTP/1.1\r\n\r\n", "\x16\x03\x01\xff\xff\xff", "\0\0\0\0\0\0\0\0\0\0\0"};
    static const size_t len[] = {18, 6, 11};
    for (size_t i = 0; i < 3; i++) {
        struct bench *b = *state;
        struct pair p = {0};
        pair_listen(b, &p, true);
        int fd = raw_connect(host_port(&p.host));
        assert_int_equal(write(fd, junk[i], len[i]), (ssize_t)len[i]);
        TURN_UNTIL(b, p.host.refused);
        assert_int_equal(p.host.refused_why, WORLD_CLOSE_TLS);
        assert_int_equal(p.host.count, 0);
        close(fd);
        pair_free(&p);
    }
}

static void peer_goes_in_the_handshake(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    pair_listen(b, &p, true);
    int fd = raw_connect(host_port(&p.host));
    real_world_turn(b->w, true);
    close(fd);
    TURN_UNTIL(b, p.host.refused);
    assert_int_equal(p.host.refused_why, WORLD_CLOSE_RESET);
    pair_free(&p);
}

static void refused(void **state) {
    struct bench *b = *state;
    struct host h = {0};
    host_listen(b, &h, NULL);
    uint16_t port = host_port(&h);
    host_free(&h);
    struct end e = {0};
    end_connect(b, &e, port, NULL);
    TURN_UNTIL(b, e.closed);
    assert_int_equal(e.why, WORLD_CLOSE_REFUSED);
    assert_non_null(strstr(e.text, "127.0.0.1 port"));
    assert_int_equal(e.opened, 0);
}

static void unreachable(void **state) {
    struct bench *b = *state;
    static const struct world_connect to[] = {
        {.host = "name.invalid", .port = 80},
        {.host = "", .port = 80},
        {.host = "bad\r\nHost: x", .port = 80},
        {.host = "127.0.0.1", .port = 80, .source = "192.0.2.1"},
        {.host = "127.0.0.1", .port = 80, .source = "::1"},
    };
    for (size_t i = 0; i < sizeof(to) / sizeof(to[0]); i++) {
        struct end e = {0};
        struct world_connect opts = to[i];
        opts.timeout_ms = 5000;
        e.c = world_connect(b->w, &opts, &end_handler, &e);
        TURN_UNTIL(b, e.closed);
        if (e.why != WORLD_CLOSE_UNREACHABLE) {
            fail_msg("%s: %d %s", to[i].host, e.why, e.text);
        }
    }
}

static void by_name(void **state) {
    struct bench *b = *state;
    struct host h = {.echo = true};
    host_listen(b, &h, NULL);
    struct end e = {0};
    e.c = world_connect(b->w, &(struct world_connect){.host = "localhost", .port = host_port(&h)}, &end_handler, &e);
    TURN_UNTIL(b, e.opened);
    assert_memory_equal(world_conn_remote(e.c), "127.0.0.1:", 10); /* ::1, if it was tried first, refuses */
    end_free(&e);
    host_free(&h);
}

static void source_address(void **state) {
    struct bench *b = *state;
    struct host h = {0};
    host_listen(b, &h, NULL);
    struct end e = {0};
    e.c =
        world_connect(b->w, &(struct world_connect){.host = "127.0.0.1", .port = host_port(&h), .source = "127.0.7.9"},
                      &end_handler, &e);
    TURN_UNTIL(b, h.count == 1);
    assert_memory_equal(world_conn_remote(h.ends[0]->c), "127.0.7.9:", 10);
    end_free(&e);
    host_free(&h);
}

static void connect_times_out(void **state) {
    struct bench *b = *state;
    struct host h = {0};
    host_listen(b, &h, NULL); /* takes the connection, never speaks TLS */
    struct world_tls_files f = bench_files(b, NULL);
    struct world_tls *tls = bench_tls(b, &f);
    struct end e = {0};
    e.c = world_connect(
        b->w, &(struct world_connect){.host = "127.0.0.1", .port = host_port(&h), .tls = tls, .timeout_ms = 30},
        &end_handler, &e);
    TURN_UNTIL(b, e.closed);
    assert_int_equal(e.why, WORLD_CLOSE_TIMEOUT);
    assert_non_null(strstr(e.text, "handshake"));
    host_free(&h);
    world_tls_free(tls);
}

static void abort_at_every_stage(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    pair_listen(b, &p, true);
    for (int turns = 0; turns < 12; turns++) {
        struct end e = {0};
        end_connect(b, &e, host_port(&p.host), p.client_tls);
        for (int i = 0; i < turns; i++) {
            real_world_turn(b->w, false);
        }
        end_free(&e);
        struct end named = {0};
        named.c = world_connect(b->w, &(struct world_connect){.host = "localhost", .port = host_port(&p.host)},
                                &end_handler, &named);
        for (int i = 0; i < turns; i++) {
            real_world_turn(b->w, false);
        }
        end_free(&named);
        assert_int_equal(e.closed + named.closed, 0);
    }
    pair_free(&p);
}

static void close_before_open(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    pair_listen(b, &p, true);
    end_connect(b, &p.client, host_port(&p.host), p.client_tls);
    world_conn_close(p.client.c, 1000);
    assert_int_equal(p.client.closed, 0);
    TURN_UNTIL(b, p.client.closed);
    assert_int_equal(p.client.why, WORLD_CLOSE_LOCAL);
    assert_int_equal(p.client.opened, 0);
    pair_free(&p);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(close_plain),
        CASE(close_tls),
        CASE(close_while_the_peer_sends),
        CASE(close_gives_up_after_flush_ms),
        CASE(abort_is_a_reset),
        CASE(tls_cut_by_fin_is_a_reset),
        CASE(garbage_in_a_tls_stream),
        CASE(garbage_instead_of_tls),
        CASE(peer_goes_in_the_handshake),
        CASE(refused),
        CASE(unreachable),
        CASE(by_name),
        CASE(source_address),
        CASE(connect_times_out),
        CASE(abort_at_every_stage),
        CASE(close_before_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
