/* The simulated world itself: the clock, the same seed giving the same run, connections, crash. */
#include "simulator/world/sim.h"

#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* A server that answers each message with its bytes, and a client that sends a few. */
struct echo {
    struct world *server_world, *client_world;
    struct world_tls *server_tls, *client_tls;
    struct world_listener *listener;
    struct world_conn *client, *accepted;
    struct buf got;
    int closed;
    enum world_close_reason why;
    char text[200];
    int server_closed;
    char peer[100];
};

static void server_data(void *ctx, struct world_conn *c, struct span bytes) {
    (void)ctx;
    world_conn_write(c, &bytes, 1);
}
static void server_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct echo *e = ctx;
    (void)c;
    (void)why;
    (void)text;
    e->accepted = NULL;
    e->server_closed++;
}
static const struct world_conn_handler server_handler = {.on_data = server_data, .on_close = server_close};

static void on_accept(void *ctx, struct world_conn *c) {
    struct echo *e = ctx;
    e->accepted = c;
    const struct world_identity *id = world_conn_peer(c);
    strcpy(e->peer, id != NULL ? id->common_name : "");
    world_conn_set_handler(c, &server_handler, e);
}

static void client_open(void *ctx, struct world_conn *c) {
    (void)ctx;
    struct span parts[] = {SPAN("hello "), SPAN("world")};
    world_conn_write(c, parts, 2);
}
static void client_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct echo *e = ctx;
    (void)c;
    buf_append_span(&e->got, bytes);
}
static void client_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct echo *e = ctx;
    (void)c;
    e->client = NULL;
    e->closed++;
    e->why = why;
    strncpy(e->text, text, sizeof(e->text) - 1);
}
static const struct world_conn_handler client_handler = {
    .on_open = client_open, .on_data = client_data, .on_close = client_close};

static void echo_start(struct echo *e, struct sim *sim) {
    memset(e, 0, sizeof(*e));
    e->server_world = sim_host(sim, "server");
    e->client_world = sim_host(sim, "client");
    struct world_tls_files files = sim_tls_files(e->server_world, "server");
    e->server_tls = world_tls_new(e->server_world, &files, NULL);
    files = sim_tls_files(e->client_world, "client");
    e->client_tls = world_tls_new(e->client_world, &files, NULL);
    assert_non_null(e->server_tls);
    assert_non_null(e->client_tls);
    struct world_listen listen = {.port = 8142, .tls = e->server_tls};
    e->listener = world_listen(e->server_world, &listen, on_accept, e, NULL);
    assert_non_null(e->listener);
}

static void echo_connect(struct echo *e) {
    struct world_connect to = {.host = "server", .port = 8142, .tls = e->client_tls};
    e->client = world_connect(e->client_world, &to, &client_handler, e);
}

static void echo_stop(struct echo *e) {
    if (e->client != NULL) {
        world_conn_abort(e->client);
    }
    if (e->accepted != NULL) {
        world_conn_abort(e->accepted);
    }
    world_listener_close(e->listener);
    world_tls_free(e->server_tls);
    world_tls_free(e->client_tls);
    buf_free(&e->got);
}

static bool got_all(void *ctx) {
    return ((struct echo *)ctx)->got.len == 11;
}
static bool is_closed(void *ctx) {
    return ((struct echo *)ctx)->closed != 0;
}

static void assert_idle(struct sim *sim) {
    struct buf report = BUF_INIT;
    bool idle = sim_check_idle(sim, &report);
    if (!idle) {
        print_message("%s", report.ptr);
    }
    buf_free(&report);
    assert_true(idle);
}

static uint64_t one_run(uint64_t seed, bool crash) {
    struct sim *sim = sim_new(&(struct sim_opts){.seed = seed});
    struct echo e;
    echo_start(&e, sim);
    echo_connect(&e);
    assert_true(sim_run_until(sim, SIM_SECOND, got_all, &e));
    assert_memory_equal(e.got.ptr, "hello world", 11);
    assert_string_equal(e.peer, "client");
    assert_string_equal(world_conn_peer(e.client)->common_name, "server");
    if (crash) {
        sim_reset_connections(e.server_world, e.client_world);
        assert_true(sim_run_until(sim, SIM_SECOND, is_closed, &e));
        assert_int_equal(e.why, WORLD_CLOSE_RESET);
        assert_int_equal(e.server_closed, 1);
    }
    echo_stop(&e);
    assert_true(sim_run_idle(sim, SIM_MINUTE));
    assert_idle(sim);
    assert_int_equal(sim_connection_count(sim), 0);
    uint64_t hash = sim_trace_hash(sim);
    sim_free(sim);
    return hash;
}

static void test_same_seed_same_run(void **state) {
    (void)state;
    assert_int_equal(one_run(1, false), one_run(1, false));
    assert_int_not_equal(one_run(1, false), one_run(2, false));
    assert_int_not_equal(one_run(1, false), one_run(1, true));
    assert_int_equal(one_run(7, true), one_run(7, true));
}

static void test_refused_and_unknown(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    struct echo e;
    echo_start(&e, sim);
    struct world_connect to = {.host = "server", .port = 1, .tls = e.client_tls};
    e.client = world_connect(e.client_world, &to, &client_handler, &e);
    assert_true(sim_run_until(sim, SIM_SECOND, is_closed, &e));
    assert_int_equal(e.why, WORLD_CLOSE_REFUSED);
    e.closed = 0;
    to.host = "nobody.example.com";
    e.client = world_connect(e.client_world, &to, &client_handler, &e);
    assert_true(sim_run_until(sim, SIM_SECOND, is_closed, &e));
    assert_int_equal(e.why, WORLD_CLOSE_UNREACHABLE);
    assert_string_equal(e.text, "nobody.example.com: name or service not known");
    echo_stop(&e);
    assert_idle(sim);
    sim_free(sim);
}

static void cut(struct sim *sim, const char *from, const char *to, bool on) {
    struct sim_link link = sim_link_get(sim, from, to);
    link.cut = on;
    sim_link_set(sim, from, to, &link);
}

/* Bytes sent during a cut arrive after it, when TCP tries again; a SYN into a cut ends in the connect time-out. */
static void test_partition(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 3});
    struct echo e;
    echo_start(&e, sim);
    echo_connect(&e);
    assert_true(sim_run_until(sim, SIM_SECOND, got_all, &e));
    cut(sim, "client", "server", true);
    buf_clear(&e.got);
    world_conn_write(e.client, &SPAN("hello again"), 1);
    assert_false(sim_run_until(sim, 10 * SIM_SECOND, got_all, &e));
    cut(sim, "client", "server", false);
    uint64_t healed = sim_now_us(sim);
    assert_true(sim_run_until(sim, 30 * SIM_SECOND, got_all, &e));
    assert_true(sim_now_us(sim) - healed > 100 * SIM_MS); /* not before TCP's next attempt */
    world_conn_abort(e.client);
    cut(sim, "server", "client", true);
    echo_connect(&e);
    uint64_t start = sim_now_us(sim);
    assert_true(sim_run_until(sim, SIM_MINUTE, is_closed, &e));
    assert_int_equal(e.why, WORLD_CLOSE_TIMEOUT);
    assert_int_equal(sim_now_us(sim) - start, 30 * SIM_SECOND);
    echo_stop(&e);
    cut(sim, "server", "client", false);
    sim_run_idle(sim, SIM_HOUR);
    assert_idle(sim);
    assert_int_equal(sim_connection_count(sim), 0);
    sim_free(sim);
}

/* A cut that never heals: TCP gives up after a quarter of an hour. */
static void test_tcp_gives_up(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 4});
    struct echo e;
    echo_start(&e, sim);
    echo_connect(&e);
    assert_true(sim_run_until(sim, SIM_SECOND, got_all, &e));
    cut(sim, NULL, "server", true);
    world_conn_write(e.client, &SPAN("x"), 1);
    assert_true(sim_run_until(sim, SIM_HOUR, is_closed, &e));
    assert_int_equal(e.why, WORLD_CLOSE_RESET);
    assert_string_equal(e.text, "connection timed out");
    echo_stop(&e);
    sim_free(sim);
}

static void destroy_server(void *ctx) {
    struct echo *e = ctx;
    if (e->accepted != NULL) {
        world_conn_close(e->accepted, 1000); /* as a core's own tear-down would: it must not go out any more */
        world_conn_abort(e->accepted);
        e->accepted = NULL;
    }
    world_listener_close(e->listener);
    e->listener = NULL;
}

static void crash_case(enum sim_crash_kind kind, uint64_t expect_least_us, uint64_t expect_most_us) {
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 5});
    struct echo e;
    echo_start(&e, sim);
    sim_on_crash(e.server_world, destroy_server, &e);
    echo_connect(&e);
    assert_true(sim_run_until(sim, SIM_SECOND, got_all, &e));
    uint64_t start = sim_now_us(sim);
    sim_crash(e.server_world, kind);
    if (kind == SIM_CRASH_POWER) {
        assert_false(sim_run_until(sim, SIM_MINUTE, is_closed, &e)); /* nobody told us */
        world_conn_write(e.client, &SPAN("are you there"), 1);
        sim_run(sim, sim_now_us(sim) + SIM_MINUTE);
        assert_int_equal(e.closed, 0);
        sim_power_on(e.server_world);
    }
    assert_true(sim_run_until(sim, SIM_HOUR, is_closed, &e));
    assert_int_equal(e.why, WORLD_CLOSE_RESET);
    assert_in_range(sim_now_us(sim) - start, expect_least_us, expect_most_us);
    e.closed = 0;
    echo_connect(&e);
    assert_true(sim_run_until(sim, SIM_SECOND, is_closed, &e));
    assert_int_equal(e.why, WORLD_CLOSE_REFUSED);
    struct world_listen listen = {.port = 8142, .tls = e.server_tls};
    e.listener = world_listen(e.server_world, &listen, on_accept, &e, NULL);
    buf_clear(&e.got);
    echo_connect(&e);
    assert_true(sim_run_until(sim, SIM_SECOND, got_all, &e));
    echo_stop(&e);
    sim_run_idle(sim, SIM_HOUR);
    assert_idle(sim);
    assert_int_equal(sim_connection_count(sim), 0);
    sim_free(sim);
}

static void test_crash_kill(void **state) {
    (void)state;
    crash_case(SIM_CRASH_KILL, 100, 10 * SIM_MS);
}

static void test_crash_power(void **state) {
    (void)state;
    crash_case(SIM_CRASH_POWER, 120 * SIM_SECOND, 300 * SIM_SECOND);
}

static void test_half_open(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 6});
    struct echo e;
    echo_start(&e, sim);
    echo_connect(&e);
    assert_true(sim_run_until(sim, SIM_SECOND, got_all, &e));
    assert_int_equal(sim_half_open(e.server_world, e.client_world), 1);
    sim_run(sim, sim_now_us(sim) + SIM_HOUR);
    assert_int_equal(e.closed, 0);
    world_conn_write(e.client, &SPAN("x"), 1);
    assert_true(sim_run_until(sim, SIM_SECOND, is_closed, &e));
    assert_int_equal(e.why, WORLD_CLOSE_RESET);
    echo_stop(&e);
    sim_free(sim);
}

/* A paused actor hears nothing; afterwards everything in order. */
static void test_pause(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 8});
    struct echo e;
    echo_start(&e, sim);
    sim_pause(e.server_world, true);
    echo_connect(&e);
    assert_false(sim_run_until(sim, 5 * SIM_SECOND, got_all, &e));
    sim_pause(e.server_world, false);
    assert_true(sim_run_until(sim, SIM_SECOND, got_all, &e));
    echo_stop(&e);
    sim_free(sim);
}

static void test_corruption_breaks_tls(void **state) {
    (void)state;
    struct sim_link link = sim_link_default();
    link.corrupt_ppm = 1000000;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 9, .link = &link});
    struct echo e;
    echo_start(&e, sim);
    echo_connect(&e);
    assert_true(sim_run_until(sim, SIM_SECOND, is_closed, &e));
    assert_int_equal(e.why, WORLD_CLOSE_TLS);
    assert_int_equal(e.got.len, 0);
    echo_stop(&e);
    sim_free(sim);
}

static void test_loss_delays(void **state) {
    (void)state;
    struct sim_link link = sim_link_default();
    link.loss_ppm = 500000;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 10, .link = &link});
    struct echo e;
    echo_start(&e, sim);
    echo_connect(&e);
    assert_true(sim_run_until(sim, 20 * SIM_SECOND, got_all, &e));
    assert_true(sim_now_us(sim) > 200 * SIM_MS);
    assert_memory_equal(e.got.ptr, "hello world", 11);
    echo_stop(&e);
    sim_free(sim);
}

/* A large write against a window and a bandwidth: order, back-pressure, on_drain. */
struct bulk {
    struct buf got;
    size_t pieces;
    int drains;
};
static void bulk_data(void *ctx, struct world_conn *c, struct span bytes) {
    (void)c;
    buf_append_span(&((struct bulk *)ctx)->got, bytes);
    ((struct bulk *)ctx)->pieces++;
}
static void bulk_drain(void *ctx, struct world_conn *c) {
    ((struct bulk *)ctx)->drains++;
    world_conn_close(c, 1000);
}
static void bulk_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    (void)ctx;
    (void)c;
    (void)text;
    assert_true(why == WORLD_CLOSE_EOF || why == WORLD_CLOSE_LOCAL);
}
static const struct world_conn_handler bulk_handler = {
    .on_data = bulk_data, .on_drain = bulk_drain, .on_close = bulk_close};
static void bulk_accept(void *ctx, struct world_conn *c) {
    world_conn_set_handler(c, &bulk_handler, ctx);
}

static void test_bandwidth_and_window(void **state) {
    (void)state;
    struct sim_link link = sim_link_default();
    link.bytes_per_s = 1000000;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 11, .link = &link, .window = 20000});
    struct world *a = sim_host(sim, "a"), *b = sim_host(sim, "b");
    struct bulk bulk = {.got = BUF_INIT};
    struct world_listener *l = world_listen(b, &(struct world_listen){.port = 80}, bulk_accept, &bulk, NULL);
    struct world_conn *c = world_connect(a, &(struct world_connect){.host = "b", .port = 80}, &bulk_handler, &bulk);
    struct buf all = BUF_INIT;
    for (int i = 0; i < 1000000; i++) {
        buf_append_char(&all, (char)(i * 31 >> 3));
    }
    world_conn_write(c, &(struct span){all.ptr, all.len}, 1);
    sim_run(sim, 100 * SIM_MS);
    assert_true(world_conn_pending(c) > 500000);
    assert_true(sim_run_idle(sim, 10 * SIM_SECOND));
    assert_int_equal(bulk.got.len, all.len);
    assert_memory_equal(bulk.got.ptr, all.ptr, all.len);
    assert_int_equal(bulk.drains, 1);
    assert_true(bulk.pieces < all.len / 5000); /* a full window does not make them ever smaller */
    world_listener_close(l);
    assert_idle(sim);
    buf_free(&all);
    buf_free(&bulk.got);
    sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_seed_same_run),
        cmocka_unit_test(test_refused_and_unknown),
        cmocka_unit_test(test_partition),
        cmocka_unit_test(test_tcp_gives_up),
        cmocka_unit_test(test_crash_kill),
        cmocka_unit_test(test_crash_power),
        cmocka_unit_test(test_half_open),
        cmocka_unit_test(test_pause),
        cmocka_unit_test(test_corruption_breaks_tls),
        cmocka_unit_test(test_loss_delays),
        cmocka_unit_test(test_bandwidth_and_window),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
