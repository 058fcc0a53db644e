/* Connections without TLS: streams, ends, back-pressure, errors. */
#include "contract.h"

#include "base/mem.h"

enum { BULK = 3 * 1024 * 1024 };

struct pair {
    struct contract *c;
    struct server server;
    struct side client;
    size_t want;
};

static bool both_open(void *ctx) {
    struct pair *p = ctx;
    return p->client.opened && p->server.accepted == 1;
}
static bool server_got_all(void *ctx) {
    struct pair *p = ctx;
    return p->server.sides[0].got.len >= p->want;
}
static bool client_got_all(void *ctx) {
    struct pair *p = ctx;
    return p->client.got.len >= p->want;
}

static void pair_open(struct contract *c, struct pair *p) {
    *p = (struct pair){.c = c};
    server_start(c, &p->server, NULL);
    side_connect(c, &p->client, &p->server, NULL);
    contract_until(c, both_open, p);
}
static void pair_stop(struct pair *p) {
    side_stop(&p->client);
    server_stop(&p->server);
}

static void test_bytes_both_ways(void **state) {
    struct pair p;
    pair_open(*state, &p);
    struct span parts[] = {SPAN("one "), SPAN(""), SPAN("two")};
    world_conn_write(p.client.conn, parts, 3);
    world_conn_write(p.client.conn, &SPAN(" three"), 1);
    p.want = 13;
    contract_until(p.c, server_got_all, &p);
    assert_string_equal(p.server.sides[0].got.ptr, "one two three");
    world_conn_write(p.server.sides[0].conn, &SPAN("answer"), 1);
    p.want = 6;
    contract_until(p.c, client_got_all, &p);
    assert_string_equal(p.client.got.ptr, "answer");
    assert_null(world_conn_peer(p.client.conn));
    assert_string_equal(world_conn_remote(p.server.sides[0].conn), world_conn_local(p.client.conn));
    assert_string_equal(world_conn_local(p.server.sides[0].conn), world_conn_remote(p.client.conn));
    assert_ptr_equal(world_conn_world(p.client.conn), p.c->client);
    pair_stop(&p);
}

static void test_write_before_open(void **state) {
    struct contract *c = *state;
    struct pair p = {.c = c, .want = 5};
    server_start(c, &p.server, NULL);
    side_connect(c, &p.client, &p.server, NULL);
    world_conn_write(p.client.conn, &SPAN("early"), 1);
    contract_until(c, server_got_all, &p);
    assert_string_equal(p.server.sides[0].got.ptr, "early");
    pair_stop(&p);
}

static void test_close_in_order(void **state) {
    struct pair p;
    pair_open(*state, &p);
    world_conn_write(p.client.conn, &SPAN("last words"), 1);
    world_conn_close(p.client.conn, 5000);
    if (p.client.conn != NULL) {
        world_conn_write(p.client.conn, &SPAN("ignored"), 1);
    }
    assert_int_equal(p.client.closed, 0);
    contract_until(p.c, side_is_closed, &p.server.sides[0]);
    assert_int_equal(p.server.sides[0].why, WORLD_CLOSE_EOF);
    assert_string_equal(p.server.sides[0].got.ptr, "last words");
    contract_until(p.c, side_is_closed, &p.client);
    assert_int_equal(p.client.why, WORLD_CLOSE_LOCAL);
    contract_pass(p.c, 20);
    assert_int_equal(p.client.closed, 1);
    assert_int_equal(p.server.sides[0].closed, 1);
    pair_stop(&p);
}

static void test_abort_is_silent_here(void **state) {
    struct pair p;
    pair_open(*state, &p);
    world_conn_abort(p.client.conn);
    p.client.conn = NULL;
    contract_until(p.c, side_is_closed, &p.server.sides[0]);
    assert_true(p.server.sides[0].why == WORLD_CLOSE_RESET || p.server.sides[0].why == WORLD_CLOSE_EOF);
    contract_pass(p.c, 20);
    assert_int_equal(p.client.closed, 0);
    pair_stop(&p);
}

static void test_abort_while_connecting(void **state) {
    struct contract *c = *state;
    struct server s;
    struct side side;
    server_start(c, &s, NULL);
    side_connect(c, &side, &s, NULL);
    world_conn_abort(side.conn);
    side.conn = NULL;
    contract_pass(c, 50);
    assert_int_equal(side.opened + side.closed, 0);
    server_stop(&s);
}

static void fill(struct buf *b, size_t len) {
    for (size_t i = 0; i < len; i++) {
        buf_append_char(b, (char)(i * 131 >> 4));
    }
}

/* A large write is queued, arrives in order while the reader reads, and then drains. */
static void test_bulk_and_drain(void **state) {
    struct pair p;
    struct buf all = BUF_INIT;
    pair_open(*state, &p);
    fill(&all, BULK);
    world_conn_pause(p.server.sides[0].conn, true);
    for (int i = 0; i < 4; i++) {
        world_conn_write(p.client.conn, &(struct span){all.ptr, all.len}, 1);
    }
    contract_pass(p.c, 50);
    assert_true(world_conn_pending(p.client.conn) > 0);
    assert_int_equal(p.server.sides[0].got.len, 0);
    assert_int_equal(p.client.drains, 0);
    world_conn_pause(p.server.sides[0].conn, false);
    p.want = (size_t)4 * BULK;
    contract_until(p.c, server_got_all, &p);
    assert_int_equal(p.server.sides[0].got.len, p.want);
    for (int i = 0; i < 4; i++) {
        assert_memory_equal(p.server.sides[0].got.ptr + (size_t)i * BULK, all.ptr, BULK);
    }
    contract_pass(p.c, 20);
    assert_int_equal(p.client.drains, 1);
    assert_int_equal(world_conn_pending(p.client.conn), 0);
    buf_free(&all);
    pair_stop(&p);
}

/* A flush that cannot end because the peer does not read ends when its time is up. */
static void test_flush_timeout(void **state) {
    struct pair p;
    struct buf all = BUF_INIT;
    pair_open(*state, &p);
    fill(&all, BULK);
    world_conn_pause(p.server.sides[0].conn, true);
    for (int i = 0; i < 4; i++) {
        world_conn_write(p.client.conn, &(struct span){all.ptr, all.len}, 1);
    }
    uint64_t start_us = world_now_us(p.c->w);
    world_conn_close(p.client.conn, 100);
    contract_until(p.c, side_is_closed, &p.client);
    assert_int_equal(p.client.why, WORLD_CLOSE_LOCAL);
    assert_in_range(world_now_us(p.c->w) - start_us, 99000, 5000000);
    buf_free(&all);
    pair_stop(&p);
}

static void test_refused(void **state) {
    struct contract *c = *state;
    struct server s;
    struct side side;
    server_start(c, &s, NULL);
    uint16_t port = world_listener_port(s.listener);
    server_stop(&s);
    side = (struct side){0};
    side.conn = world_connect(c->client, &(struct world_connect){.host = c->host, .port = port}, &side_handler, &side);
    contract_until(c, side_is_closed, &side);
    assert_int_equal(side.why, WORLD_CLOSE_REFUSED);
    assert_int_equal(side.opened, 0);
    side_stop(&side);
}

static void test_unknown_host(void **state) {
    struct contract *c = *state;
    struct side side = {0};
    side.conn = world_connect(c->client, &(struct world_connect){.host = "no-such-host.invalid", .port = 80},
                              &side_handler, &side);
    contract_until(c, side_is_closed, &side);
    assert_int_equal(side.why, WORLD_CLOSE_UNREACHABLE);
    side_stop(&side);
}

static void test_port_in_use(void **state) {
    struct contract *c = *state;
    struct server s;
    struct error err = ERROR_INIT;
    server_start(c, &s, NULL);
    struct world_listen again = {.port = world_listener_port(s.listener)};
    assert_true(again.port != 0);
    contract_fails(world_listen(c->w, &again, NULL, NULL, &err) != NULL, &err, "world/address-in-use");
    server_stop(&s);
    struct world_listener *l = world_listen(c->w, &again, NULL, NULL, &err); /* free again at once */
    contract_must(l != NULL, &err);
    world_listener_close(l);
    contract_fails(world_listen(c->w, &(struct world_listen){.host = "203.0.113.77"}, NULL, NULL, &err) != NULL, &err,
                   "world/address");
}

static bool server_closed_first(void *ctx) {
    return ((struct pair *)ctx)->server.sides[0].closed != 0;
}

static void test_accepted_outlive_the_listener(void **state) {
    struct pair p;
    pair_open(*state, &p);
    world_listener_close(p.server.listener);
    p.server.listener = NULL;
    world_conn_write(p.client.conn, &SPAN("still here"), 1);
    p.want = 10;
    contract_until(p.c, server_got_all, &p);
    world_conn_close(p.client.conn, 1000);
    contract_until(p.c, server_closed_first, &p);
    contract_until(p.c, side_is_closed, &p.client);
    pair_stop(&p);
}

/* Callbacks may close and free what called them. */
static void abort_in_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct side *s = ctx;
    (void)bytes;
    s->drains = 77;
    s->conn = NULL;
    world_conn_abort(c);
}
static void abort_in_open(void *ctx, struct world_conn *c) {
    struct side *s = ctx;
    s->opened++;
    s->conn = NULL;
    world_conn_abort(c);
}
static bool was_aborted(void *ctx) {
    return ((struct side *)ctx)->drains == 77;
}
static bool server_gone(void *ctx) {
    struct server *s = ctx;
    return s->accepted == 0 || s->sides[0].closed;
}

static void test_callback_aborts_its_connection(void **state) {
    static const struct world_conn_handler in_data = {.on_data = abort_in_data, .on_close = NULL};
    static const struct world_conn_handler in_open = {.on_open = abort_in_open, .on_close = NULL};
    struct pair p;
    pair_open(*state, &p);
    world_conn_set_handler(p.server.sides[0].conn, &in_data, &p.server.sides[0]);
    world_conn_write(p.client.conn, &SPAN("x"), 1);
    contract_until(p.c, was_aborted, &p.server.sides[0]);
    contract_until(p.c, side_is_closed, &p.client);
    pair_stop(&p);
    server_start(p.c, &p.server, NULL);
    struct side side = {0};
    struct world_connect to = {.host = p.c->host, .port = world_listener_port(p.server.listener)};
    side.conn = world_connect(p.c->client, &to, &in_open, &side);
    contract_until(p.c, side_is_open, &side);
    contract_until(p.c, server_gone, &p.server);
    server_stop(&p.server);
}

int contract_net(void) {
    const struct CMUnitTest tests[] = {
        CONTRACT(test_bytes_both_ways),
        CONTRACT(test_write_before_open),
        CONTRACT(test_close_in_order),
        CONTRACT(test_abort_is_silent_here),
        CONTRACT(test_abort_while_connecting),
        CONTRACT(test_bulk_and_drain),
        CONTRACT(test_flush_timeout),
        CONTRACT(test_refused),
        CONTRACT(test_unknown_host),
        CONTRACT(test_port_in_use),
        CONTRACT(test_accepted_outlive_the_listener),
        CONTRACT(test_callback_aborts_its_connection),
    };
    return cmocka_run_group_tests_name("net", tests, NULL, NULL);
}
