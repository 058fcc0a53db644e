/* Connections: order, back-pressure, endings, callbacks that end what called them, limits of the listener, proxies.
 * Each case runs plain and over TLS where both make sense. */
#include "world/tests/harness.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

struct pair {
    struct host host;
    struct end client;
    struct world_tls *server_tls, *client_tls;
};

static void pair_listen(struct bench *b, struct pair *p, bool tls) {
    if (tls) {
        bench_issue_name(b, "server");
        bench_issue_name(b, "client");
        struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, "client");
        p->server_tls = bench_tls(b, &sf);
        p->client_tls = bench_tls(b, &cf);
    }
    host_listen(b, &p->host, p->server_tls);
}

static struct end *pair_open(struct bench *b, struct pair *p, bool tls) {
    pair_listen(b, p, tls);
    end_connect(b, &p->client, host_port(&p->host), p->client_tls);
    TURN_UNTIL(b, p->host.count == 1 && p->client.opened);
    return p->host.ends[0];
}

static void pair_free(struct pair *p) {
    end_free(&p->client);
    host_free(&p->host);
    world_tls_free(p->server_tls);
    world_tls_free(p->client_tls);
}

static void fill(struct buf *b, size_t len) {
    uint32_t x = 1;
    buf_reserve(b, len);
    while (b->len < len) {
        x = x * 1664525u + 1013904223u;
        buf_append(b, &x, sizeof(x) < len - b->len ? sizeof(x) : len - b->len);
    }
}

/* ---- bytes */

static void both_ways(struct bench *b, bool tls) {
    struct pair p = {.host.echo = true};
    pair_open(b, &p, tls);
    struct buf sent = BUF_INIT;
    fill(&sent, 8 * 1024 * 1024);
    /* odd sizes, several parts, some of them empty */
    for (size_t at = 0, step = 1; at < sent.len; step = step * 7 % 100003 + 1) {
        struct span rest = span_sub(buf_span(&sent), at, step);
        struct span parts[] = {span_sub(rest, 0, rest.len / 3), {NULL, 0}, span_sub(rest, rest.len / 3, rest.len)};
        world_conn_write(p.client.c, parts, 3);
        at += rest.len;
    }
    assert_true(world_conn_pending(p.client.c) > 0);
    TURN_UNTIL(b, p.client.got.len == sent.len);
    assert_memory_equal(p.client.got.ptr, sent.ptr, sent.len);
    assert_int_equal(world_conn_pending(p.client.c), 0);
    assert_int_equal(p.client.drained, 1);
    buf_free(&sent);
    pair_free(&p);
}

static void both_ways_plain(void **state) {
    both_ways(*state, false);
}

static void both_ways_tls(void **state) {
    both_ways(*state, true);
}

static void write_before_open(void **state) {
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        pair_listen(b, &p, tls);
        end_connect(b, &p.client, host_port(&p.host), p.client_tls);
        world_conn_write(p.client.c, &SPAN("early"), 1);
        assert_int_equal(world_conn_pending(p.client.c), 5);
        TURN_UNTIL(b, p.host.count == 1 && p.host.ends[0]->got.len == 5);
        assert_int_equal(p.client.drained, 1);
        pair_free(&p);
    }
}

static void paused_reader_holds_the_writer(struct bench *b, bool tls) {
    struct pair p = {0};
    struct end *server = pair_open(b, &p, tls);
    world_conn_pause(server->c, true);
    struct buf sent = BUF_INIT;
    fill(&sent, 16 * 1024 * 1024);
    struct span all = buf_span(&sent);
    world_conn_write(p.client.c, &all, 1);
    size_t pending = SIZE_MAX;
    while (world_conn_pending(p.client.c) < pending) { /* until nothing moves any more */
        pending = world_conn_pending(p.client.c);
        for (int i = 0; i < 50; i++) {
            real_world_turn(b->w, false);
        }
    }
    assert_true(pending > 1024 * 1024);
    assert_int_equal(server->got.len, 0);
    assert_int_equal(p.client.drained, 0);
    world_conn_pause(server->c, false);
    TURN_UNTIL(b, server->got.len == sent.len);
    assert_memory_equal(server->got.ptr, sent.ptr, sent.len);
    assert_int_equal(p.client.drained, 1);
    buf_free(&sent);
    pair_free(&p);
}

static void back_pressure_plain(void **state) {
    paused_reader_holds_the_writer(*state, false);
}

static void back_pressure_tls(void **state) {
    paused_reader_holds_the_writer(*state, true);
}

static void pause_itself(struct end *e, struct span bytes) {
    (void)bytes;
    world_conn_pause(e->c, true);
}

/* Bytes that TLS has taken from the socket already must come after a pause, though no event tells of them. */
static void pause_within_on_data(void **state) {
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        struct end *server = pair_open(b, &p, tls);
        server->on_data = pause_itself;
        struct buf sent = BUF_INIT;
        fill(&sent, 300 * 1024);
        struct span all = buf_span(&sent);
        world_conn_write(p.client.c, &all, 1);
        size_t rounds = 0;
        while (server->got.len < sent.len) {
            size_t before = server->got.len;
            TURN_UNTIL(b, server->got.len > before);
            assert_true(server->got.len - before <= 64 * 1024);
            world_conn_pause(server->c, false);
            rounds++;
        }
        assert_true(rounds >= 5);
        assert_memory_equal(server->got.ptr, sent.ptr, sent.len);
        buf_free(&sent);
        pair_free(&p);
    }
}

static void count_turn(struct end *e, struct span bytes) {
    (void)bytes;
    (*(size_t *)e->user)++;
}

/* One that floods gets its share of each turn, not more. */
static void fairness(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    struct end *flooded = pair_open(b, &p, false);
    struct end quiet = {0};
    end_connect(b, &quiet, host_port(&p.host), NULL);
    TURN_UNTIL(b, p.host.count == 2);
    struct buf sent = BUF_INIT;
    fill(&sent, 4 * 1024 * 1024);
    struct span all = buf_span(&sent);
    world_conn_write(p.client.c, &all, 1);
    size_t calls = 0;
    flooded->user = &calls;
    flooded->on_data = count_turn;
    world_conn_write(quiet.c, &SPAN("me too"), 1);
    TURN_UNTIL(b, p.host.ends[1]->got.len == 6);
    assert_true(flooded->got.len <= 4 * 64 * 1024);
    TURN_UNTIL(b, flooded->got.len == sent.len);
    assert_true(calls >= 64);
    buf_free(&sent);
    end_free(&quiet);
    pair_free(&p);
}

/* ---- endings */

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

/* A raw socket that says nothing but TCP. */
static int raw_connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    assert_int_equal(connect(fd, (struct sockaddr *)&in, sizeof(in)), 0);
    return fd;
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

/* ---- callbacks that end what called them */

static void abort_on_data(struct end *e, struct span bytes) {
    char first = bytes.ptr[0];
    world_conn_abort(e->c);
    e->c = NULL;
    assert_int_equal(first, bytes.ptr[0]); /* the bytes live until we return */
}

static void abort_on_open(struct end *e) {
    world_conn_abort(e->c);
    e->c = NULL;
}

static void close_on_data(struct end *e, struct span bytes) {
    (void)bytes;
    if (e->c != NULL) {
        world_conn_write(e->c, &SPAN("bye"), 1);
        world_conn_close(e->c, 1000);
    }
}

static void ends_itself(void **state) {
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        struct end *server = pair_open(b, &p, tls);
        server->on_data = abort_on_data;
        world_conn_write(p.client.c, &SPAN("x"), 1);
        TURN_UNTIL(b, server->c == NULL && p.client.closed);
        assert_int_equal(server->closed, 0);

        struct end second = {.on_open = abort_on_open};
        end_connect(b, &second, host_port(&p.host), p.client_tls);
        TURN_UNTIL(b, second.opened);
        p.host.on_accept = abort_on_open;
        size_t before = p.host.count;
        struct end third = {0};
        end_connect(b, &third, host_port(&p.host), p.client_tls);
        TURN_UNTIL(b, p.host.count > before && third.closed);
        p.host.on_accept = NULL;

        before = p.host.count;
        struct end fourth = {0};
        end_connect(b, &fourth, host_port(&p.host), p.client_tls);
        TURN_UNTIL(b, p.host.count > before && fourth.opened);
        p.host.ends[before]->on_data = close_on_data;
        world_conn_write(fourth.c, &SPAN("x"), 1);
        TURN_UNTIL(b, fourth.closed);
        assert_string_equal(fourth.got.ptr, "bye");
        assert_int_equal(fourth.why, WORLD_CLOSE_EOF);
        end_free(&fourth);
        pair_free(&p);
    }
}

static void abort_the_other(struct end *e, struct span bytes) {
    (void)bytes;
    struct end *other = e->user;
    if (other->c != NULL) {
        world_conn_abort(other->c);
        other->c = NULL;
    }
}

/* Two connections are ready in one turn; the first one's callback ends the second. */
static void ends_another(void **state) {
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        struct end *one = pair_open(b, &p, tls);
        struct end second = {0};
        end_connect(b, &second, host_port(&p.host), p.client_tls);
        TURN_UNTIL(b, p.host.count == 2 && second.opened);
        struct end *two = p.host.ends[1];
        one->on_data = two->on_data = abort_the_other;
        one->user = two;
        two->user = one;
        world_conn_write(p.client.c, &SPAN("x"), 1);
        world_conn_write(second.c, &SPAN("x"), 1);
        TURN_UNTIL(b, p.client.closed || second.closed);
        assert_int_equal(one->got.len + two->got.len, 1);
        end_free(&second);
        pair_free(&p);
    }
}

static void abort_in_on_close_cb(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    (void)why;
    (void)text;
    world_conn_abort(c); /* nothing left to do; must not hurt */
    (*(int *)ctx)++;
}

static void abort_in_on_close(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    struct end *server = pair_open(b, &p, false);
    int closed = 0;
    static const struct world_conn_handler handler = {.on_close = abort_in_on_close_cb};
    world_conn_set_handler(p.client.c, &handler, &closed);
    p.client.c = NULL;
    world_conn_close(server->c, 1000);
    TURN_UNTIL(b, closed == 1);
    pair_free(&p);
}

/* ---- the listener */

static void listen_errors(void **state) {
    struct bench *b = *state;
    struct host h = {0};
    host_listen(b, &h, NULL);
    struct error err = ERROR_INIT;
    struct world_listen again = {.host = "127.0.0.1", .port = host_port(&h)};
    assert_null(world_listen(b->w, &again, NULL, NULL, &err));
    assert_string_equal(err.kind, "world/address-in-use");
    error_clear(&err);
    assert_null(world_listen(b->w, &(struct world_listen){.host = "no.such.name.invalid"}, NULL, NULL, &err));
    assert_string_equal(err.kind, "world/address");
    error_clear(&err);
    assert_null(world_listen(b->w, &(struct world_listen){.host = "192.0.2.1"}, NULL, NULL, &err));
    assert_string_equal(err.kind, "world/address");
    error_clear(&err);
    host_free(&h);
}

static void listen_ipv6(void **state) {
    struct bench *b = *state;
    struct host h = {.echo = true};
    struct error err = ERROR_INIT;
    h.l = world_listen(b->w, &(struct world_listen){.host = "::1"}, host_on_accept, &h, &err);
    if (h.l == NULL) { /* a machine without IPv6 */
        assert_string_equal(err.kind, "world/address");
        error_clear(&err);
        return;
    }
    struct end e = {0};
    e.c = world_connect(b->w, &(struct world_connect){.host = "::1", .port = host_port(&h)}, &end_handler, &e);
    TURN_UNTIL(b, e.opened && h.count);
    assert_memory_equal(world_conn_remote(e.c), "[::1]:", 6);
    end_free(&e);
    host_free(&h);
}

/* Handshakes in progress are bounded; who waits in the backlog gets in when one is over. */
static void handshakes_are_bounded(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    bench_issue_name(b, "client");
    struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, "client");
    struct world_tls *server = bench_tls(b, &sf), *client = bench_tls(b, &cf);
    struct host h = {0};
    struct world_listen opts = {.host = "127.0.0.1", .tls = server, .handshakes_max = 2, .handshake_timeout_ms = 50};
    h.l = world_listen(b->w, &opts, host_on_accept, &h, NULL);
    int silent[5];
    for (size_t i = 0; i < 5; i++) {
        silent[i] = raw_connect(world_listener_port(h.l));
    }
    struct end e = {0};
    end_connect(b, &e, world_listener_port(h.l), client);
    struct real_counts counts;
    for (int i = 0; i < 20; i++) {
        real_world_turn(b->w, false);
        real_world_counts(b->w, &counts);
        assert_true(counts.handshakes <= 2);
    }
    assert_int_equal(counts.handshakes, 2);
    TURN_UNTIL(b, e.opened); /* after the silent ones timed out */
    for (size_t i = 0; i < 5; i++) {
        close(silent[i]);
    }
    end_free(&e);
    host_free(&h);
    world_tls_free(server);
    world_tls_free(client);
}

static bool all_open(const struct end *ends, size_t count) {
    size_t opened = 0;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ends[i].closed, 0);
        opened += (size_t)ends[i].opened;
    }
    return opened == count;
}

static void storm(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    pair_listen(b, &p, true);
    struct end *ends = mem_array(60, sizeof(*ends));
    for (size_t i = 0; i < 60; i++) {
        end_connect(b, &ends[i], host_port(&p.host), p.client_tls);
    }
    while (p.host.count < 60) {
        size_t before = p.host.count;
        real_world_turn(b->w, true);
        assert_true(p.host.count - before <= 16); /* a turn's share of handshakes */
    }
    TURN_UNTIL(b, all_open(ends, 60));
    for (size_t i = 0; i < 60; i++) {
        end_free(&ends[i]);
    }
    mem_free(ends);
    pair_free(&p);
}

/* No descriptor left: the listener waits and goes on when there is one, without spinning. */
static void out_of_descriptors(void **state) {
    struct bench *b = *state;
    struct host h = {.echo = true};
    host_listen(b, &h, NULL);
    int fd = raw_connect(host_port(&h));
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct end e = {0};
    end_connect(b, &e, host_port(&h), NULL);
    TURN_UNTIL(b, e.closed);
    assert_int_equal(e.why, WORLD_CLOSE_UNREACHABLE);
    assert_non_null(strstr(e.text, "Too many open files"));
    assert_int_equal(h.count, 0);
    struct real_counts counts;
    real_world_counts(b->w, &counts);
    assert_int_equal(counts.timers, 1); /* its pause */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    TURN_UNTIL(b, h.count == 1);
    close(fd);
    TURN_UNTIL(b, h.ends[0]->closed);
    assert_int_equal(h.ends[0]->why, WORLD_CLOSE_EOF);
    host_free(&h);
}

static void listener_closed_during_handshakes(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    pair_listen(b, &p, true);
    int fd = raw_connect(host_port(&p.host));
    struct real_counts counts = {0};
    while (counts.handshakes == 0) {
        real_world_turn(b->w, true);
        real_world_counts(b->w, &counts);
    }
    world_listener_close(p.host.l);
    p.host.l = NULL;
    real_world_counts(b->w, &counts);
    assert_int_equal(counts.handshakes, 0);
    char byte;
    assert_true(read(fd, &byte, 1) <= 0);
    close(fd);
    pair_free(&p);
}

/* ---- proxy */

struct proxy {
    struct bench *b;
    const char *answer; /* in pieces, separated by '|' */
    uint16_t target;
    struct world_conn *client, *server;
    struct buf request;
};

static const struct world_conn_handler proxy_handler;

static void proxy_pass(struct proxy *x, struct world_conn *c, struct span bytes) {
    struct world_conn *to = c == x->client ? x->server : x->client;
    if (to != NULL) {
        world_conn_write(to, &bytes, 1);
    }
}

static void proxy_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct proxy *x = ctx;
    if (x->server != NULL) {
        proxy_pass(x, c, bytes);
        return;
    }
    buf_append_span(&x->request, bytes);
    if (!span_ends_with(buf_span(&x->request), "\r\n\r\n")) {
        return;
    }
    struct span rest = span_of(x->answer), piece;
    while (span_split(&rest, '|', &piece)) {
        world_conn_write(c, &piece, 1);
        if (piece.len == 0) {
            world_conn_close(c, 1000);
        }
    }
    if (x->target != 0) {
        x->server =
            world_connect(x->b->w, &(struct world_connect){.host = "127.0.0.1", .port = x->target}, &proxy_handler, x);
    }
}

static void proxy_closed(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct proxy *x = ctx;
    (void)why;
    (void)text;
    *(c == x->client ? &x->client : &x->server) = NULL;
}

static const struct world_conn_handler proxy_handler = {.on_data = proxy_data, .on_close = proxy_closed};

static void proxy_accept(void *ctx, struct world_conn *c) {
    struct proxy *x = ctx;
    x->client = c;
    world_conn_set_handler(c, &proxy_handler, x);
}

static void through_proxy(struct bench *b, struct proxy *x, struct end *e, const struct world_connect *to) {
    x->b = b;
    struct world_listener *l = world_listen(b->w, &(struct world_listen){.host = "127.0.0.1"}, proxy_accept, x, NULL);
    char url[64];
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/", world_listener_port(l));
    struct world_connect opts = *to;
    opts.proxy = url;
    e->c = world_connect(b->w, &opts, &end_handler, e);
    TURN_UNTIL(b, e->opened || e->closed);
    world_listener_close(l);
}

static void proxy_end(struct proxy *x, struct end *e) {
    end_free(e);
    if (x->client != NULL) {
        world_conn_abort(x->client);
    }
    if (x->server != NULL) {
        world_conn_abort(x->server);
    }
    buf_free(&x->request);
}

static void proxy_passes(void **state) {
    struct bench *b = *state;
    struct pair p = {.host.echo = true};
    pair_listen(b, &p, true);
    struct proxy x = {.answer = "HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\n", .target = host_port(&p.host)};
    struct end e = {0};
    through_proxy(b, &x, &e,
                  &(struct world_connect){.host = "localhost", .port = host_port(&p.host), .tls = p.client_tls});
    assert_int_equal(e.opened, 1);
    assert_string_equal(world_conn_peer(e.c)->common_name, "server");
    char expected[100];
    snprintf(expected, sizeof(expected), "CONNECT localhost:%u HTTP/1.1\r\nHost: localhost:%u\r\n\r\n",
             host_port(&p.host), host_port(&p.host));
    assert_string_equal(x.request.ptr, expected);
    world_conn_write(e.c, &SPAN("hello"), 1);
    TURN_UNTIL(b, e.got.len == 5);
    proxy_end(&x, &e);
    pair_free(&p);
}

/* What stands behind the proxy's answer belongs to the stream. */
static void proxy_answer_with_first_bytes(void **state) {
    struct bench *b = *state;
    struct proxy x = {.answer = "HTTP/1.1 200 OK\r\n\r\nhello"};
    struct end e = {0};
    through_proxy(b, &x, &e, &(struct world_connect){.host = "somewhere", .port = 1});
    TURN_UNTIL(b, e.got.len == 5);
    assert_string_equal(e.got.ptr, "hello");
    proxy_end(&x, &e);
}

static void proxy_failures(void **state) {
    struct bench *b = *state;
    static const struct {
        const char *answer, *text;
    } cases[] = {
        {"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407 Proxy Authentication Required"},
        {"HTTP/1.1 200", "ended the connection"},
        {"", "ended the connection"},
        {"SSH-2.0-OpenSSH\r\n\r\n", "SSH-2.0"},
        {"\r\n\r\n", "refused"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *answer = str_printf("%s|", cases[i].answer); /* then it closes */
        struct proxy x = {.answer = answer};
        struct end e = {0};
        through_proxy(b, &x, &e, &(struct world_connect){.host = "somewhere", .port = 1});
        assert_int_equal(e.why, WORLD_CLOSE_PROXY);
        if (strstr(e.text, cases[i].text) == NULL) {
            fail_msg("%s", e.text);
        }
        proxy_end(&x, &e);
        mem_free(answer);
    }
    struct buf long_answer = BUF_INIT;
    buf_append_cstr(&long_answer, "HTTP/1.1 200 OK\r\n");
    while (long_answer.len < 20000) {
        buf_append_cstr(&long_answer, "X: 1234567890\r\n");
    }
    struct proxy x = {.answer = long_answer.ptr};
    struct end e = {0};
    through_proxy(b, &x, &e, &(struct world_connect){.host = "somewhere", .port = 1});
    assert_int_equal(e.why, WORLD_CLOSE_PROXY);
    assert_non_null(strstr(e.text, "too long"));
    proxy_end(&x, &e);
    buf_free(&long_answer);

    static const char *const bad[] = {"ftp://x:1", "http://", "http://h:0", "http://h:99999", "http://u@h:1", "h:x"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct end f = {0};
        f.c = world_connect(b->w, &(struct world_connect){.host = "h", .port = 1, .proxy = bad[i]}, &end_handler, &f);
        TURN_UNTIL(b, f.closed);
        assert_int_equal(f.why, WORLD_CLOSE_PROXY);
    }
}

static void freed_world_ends_everything(void **state) {
    struct bench *b = *state;
    struct world *w = real_world_new(NULL);
    struct bench inner = *b;
    inner.w = w;
    struct pair p = {0};
    pair_open(&inner, &p, true);
    int fd = raw_connect(host_port(&p.host));
    real_world_turn(w, true);
    struct end named = {0};
    named.c = world_connect(w, &(struct world_connect){.host = "localhost", .port = host_port(&p.host)}, &end_handler,
                            &named);
    real_world_free(w);
    assert_int_equal(p.client.closed + named.closed, 0);
    close(fd);
    p.client.c = p.host.ends[0]->c = NULL;
    buf_free(&p.client.got);
    mem_free(p.host.ends[0]);
    world_tls_free(p.server_tls);
    world_tls_free(p.client_tls);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(both_ways_plain),
        CASE(both_ways_tls),
        CASE(write_before_open),
        CASE(back_pressure_plain),
        CASE(back_pressure_tls),
        CASE(pause_within_on_data),
        CASE(fairness),
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
        CASE(ends_itself),
        CASE(ends_another),
        CASE(abort_in_on_close),
        CASE(listen_errors),
        CASE(listen_ipv6),
        CASE(handshakes_are_bounded),
        CASE(storm),
        CASE(out_of_descriptors),
        CASE(listener_closed_during_handshakes),
        CASE(proxy_passes),
        CASE(proxy_answer_with_first_bytes),
        CASE(proxy_failures),
        CASE(freed_world_ends_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
