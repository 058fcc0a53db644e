/* Slow links and outages, in simulated time. */
#include "simulator/fleet/link.h"

#include "base/mem.h"
#include "simulator/world/sim.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { PORT = 8142 };

struct end {
    struct world_conn *conn;
    struct buf got;
    bool opened, closed, drained;
    enum world_close_reason why;
    uint64_t opened_us, first_us, last_us, closed_us;
    struct sim *sim;
};

struct rig {
    struct sim *sim;
    struct world *client, *server;
    struct world over; /* the client's world with links */
    struct fleet_links *links;
    struct world_listener *listener;
    struct end near, far;
};

static uint64_t now(const struct end *e) {
    return sim_now_us(e->sim);
}

static void on_open(void *ctx, struct world_conn *c) {
    struct end *e = ctx;
    (void)c;
    e->opened = true;
    e->opened_us = now(e);
}

static void on_data(void *ctx, struct world_conn *c, struct span bytes) {
    struct end *e = ctx;
    (void)c;
    e->first_us = e->got.len == 0 ? now(e) : e->first_us;
    e->last_us = now(e);
    buf_append_span(&e->got, bytes);
}

static void on_drain(void *ctx, struct world_conn *c) {
    (void)c;
    ((struct end *)ctx)->drained = true;
}

static void on_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    struct end *e = ctx;
    (void)c;
    assert_non_null(text);
    e->conn = NULL;
    e->closed = true;
    e->why = why;
    e->closed_us = now(e);
}

static const struct world_conn_handler handler = {on_open, on_data, on_drain, on_close};

static void on_accept(void *ctx, struct world_conn *c) {
    struct rig *rig = ctx;
    rig->far.conn = c;
    world_conn_set_handler(c, &handler, &rig->far);
}

static bool is_true(void *ctx) {
    return *(bool *)ctx;
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

static void run_for(struct sim *sim, uint64_t us) {
    uint64_t until = sim_now_us(sim) + us;
    sim_run_until(sim, us, never, NULL);
    assert_true(sim_now_us(sim) >= until);
}

static void dial(struct rig *rig) {
    rig->near.conn =
        world_connect(&rig->over, &(struct world_connect){.host = "server", .port = PORT}, &handler, &rig->near);
}

static bool both_open(void *ctx) {
    const struct rig *rig = ctx;
    return rig->near.opened && rig->far.conn != NULL;
}

static void rig_start(struct rig *rig, const struct fleet_links_opts *opts) {
    static const struct sim_link line = {.latency_us = {DIST_FIXED, 1000, 0}};
    *rig = (struct rig){.sim = sim_new(&(struct sim_opts){.seed = 1, .link = &line})};
    rig->client = sim_host(rig->sim, "client");
    rig->server = sim_host(rig->sim, "server");
    struct fleet_links_opts own = *opts;
    own.below = rig->client;
    rig->links = fleet_links_new(&own);
    rig->over = *rig->client;
    fleet_links_join(rig->links, &rig->over);
    rig->near.sim = rig->far.sim = rig->sim;
    rig->listener = world_listen(rig->server, &(struct world_listen){.port = PORT}, on_accept, rig, NULL);
    assert_non_null(rig->listener);
    dial(rig);
    if (!sim_run_until(rig->sim, SIM_MINUTE, both_open, rig)) {
        fail_msg("not connected");
    }
}

static void rig_stop(struct rig *rig) {
    if (rig->near.conn != NULL) {
        world_conn_abort(rig->near.conn);
    }
    run_for(rig->sim, SIM_MINUTE);
    assert_int_equal(fleet_links_open(rig->links), 0);
    if (rig->far.conn != NULL) {
        world_conn_abort(rig->far.conn);
    }
    world_listener_close(rig->listener);
    buf_free(&rig->near.got);
    buf_free(&rig->far.got);
    fleet_links_free(rig->links);
    sim_free(rig->sim);
}

static void say(struct end *e, size_t len) {
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < len; i++) {
        buf_append_char(&text, (char)('a' + i % 26));
    }
    struct span s = buf_span(&text);
    world_conn_write(e->conn, &s, 1);
    buf_free(&text);
}

static void assert_alphabet(const struct end *e, size_t len) {
    assert_int_equal(e->got.len, len);
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(e->got.ptr[i], 'a' + i % 26);
    }
}

static void a_plain_link_only_passes_on(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, &(struct fleet_links_opts){0});
    assert_non_null(world_conn_remote(rig.near.conn));
    assert_non_null(world_conn_local(rig.near.conn));
    assert_null(world_conn_peer(rig.near.conn));
    say(&rig.near, 1000);
    say(&rig.far, 2000);
    uint64_t begun = sim_now_us(rig.sim);
    run_for(rig.sim, SIM_SECOND);
    assert_alphabet(&rig.far, 1000);
    assert_alphabet(&rig.near, 2000);
    assert_true(rig.near.last_us - begun < 10 * SIM_MS);
    world_conn_pause(rig.near.conn, true);
    say(&rig.far, 26);
    run_for(rig.sim, SIM_SECOND);
    assert_int_equal(rig.near.got.len, 2000);
    world_conn_pause(rig.near.conn, false);
    run_for(rig.sim, SIM_SECOND);
    assert_int_equal(rig.near.got.len, 2026);
    world_conn_close(rig.near.conn, 1000);
    run_for(rig.sim, SIM_SECOND);
    assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_LOCAL);
    assert_true(rig.far.closed && rig.far.why == WORLD_CLOSE_EOF);
    rig_stop(&rig);
}

static void delay_is_added_each_way(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, &(struct fleet_links_opts){.delay_ms = 100});
    assert_true(rig.near.opened_us >= 400 * SIM_MS); /* two round trips */
    uint64_t begun = sim_now_us(rig.sim);
    say(&rig.near, 10);
    say(&rig.far, 10);
    run_for(rig.sim, SIM_SECOND);
    assert_alphabet(&rig.near, 10);
    assert_alphabet(&rig.far, 10);
    assert_true(rig.near.first_us - begun >= 100 * SIM_MS && rig.near.first_us - begun < 110 * SIM_MS);
    assert_true(rig.far.first_us - begun >= 100 * SIM_MS && rig.far.first_us - begun < 110 * SIM_MS);
    rig_stop(&rig);
}

static void a_slow_link_carries_its_rate(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, &(struct fleet_links_opts){.bytes_per_s = 10000});
    uint64_t begun = sim_now_us(rig.sim);
    say(&rig.near, 30000);
    assert_int_equal(world_conn_pending(rig.near.conn), 30000);
    run_for(rig.sim, SIM_SECOND);
    assert_true(rig.far.got.len > 9000 && rig.far.got.len <= 10000);
    assert_false(rig.near.drained);
    run_for(rig.sim, 3 * SIM_SECOND);
    assert_alphabet(&rig.far, 30000);
    assert_true(rig.near.drained);
    assert_true(rig.far.last_us - begun >= 2900 * SIM_MS && rig.far.last_us - begun <= 3100 * SIM_MS);
    rig_stop(&rig);
}

/* What does not fit waits with the sender: its queue grows, as with a real slow reader. */
static void a_slow_reader_holds_its_sender_up(void **state) {
    (void)state;
    struct rig rig;
    enum { BYTES = 2 * 1024 * 1024 };
    rig_start(&rig, &(struct fleet_links_opts){.bytes_per_s = 100000});
    say(&rig.far, BYTES);
    run_for(rig.sim, 2 * SIM_SECOND);
    assert_true(rig.near.got.len <= 200000);
    assert_true(world_conn_pending(rig.far.conn) > BYTES / 2);
    run_for(rig.sim, 30 * SIM_SECOND);
    assert_alphabet(&rig.near, BYTES);
    rig_stop(&rig);
}

static void closing_sends_what_is_queued(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, &(struct fleet_links_opts){.bytes_per_s = 1000});
    say(&rig.near, 3000);
    world_conn_close(rig.near.conn, 10000);
    say(&rig.near, 26); /* too late */
    run_for(rig.sim, 10 * SIM_SECOND);
    assert_alphabet(&rig.far, 3000);
    assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_LOCAL);
    rig_stop(&rig);
}

static void the_end_comes_after_the_bytes_before_it(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, &(struct fleet_links_opts){.bytes_per_s = 1000, .delay_ms = 50});
    say(&rig.far, 2000);
    world_conn_close(rig.far.conn, 10000);
    run_for(rig.sim, SIM_SECOND);
    assert_true(rig.far.closed && !rig.near.closed);
    world_conn_pause(rig.near.conn, true);
    run_for(rig.sim, 5 * SIM_SECOND);
    assert_false(rig.near.closed);
    world_conn_pause(rig.near.conn, false);
    run_for(rig.sim, 5 * SIM_SECOND);
    assert_alphabet(&rig.near, 2000);
    assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_EOF);
    rig_stop(&rig);
}

static void an_outage_resets_all_and_refuses_new_ones(void **state) {
    (void)state;
    for (unsigned slow = 0; slow < 2; slow++) {
        struct rig rig;
        rig_start(&rig, &(struct fleet_links_opts){.bytes_per_s = slow * 1000});
        say(&rig.near, 26);
        fleet_links_cut(rig.links, 3000);
        assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_RESET);
        run_for(rig.sim, SIM_SECOND);
        assert_true(rig.far.closed);
        fleet_links_cut(rig.links, 1000); /* ends before the first: changes nothing */
        rig.near = (struct end){.sim = rig.sim};
        dial(&rig);
        assert_false(rig.near.closed); /* never within the call */
        run_for(rig.sim, 1500 * SIM_MS);
        assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_REFUSED);
        rig.near = (struct end){.sim = rig.sim};
        dial(&rig);
        fleet_links_cut(rig.links, 100); /* one that is being refused is left to that */
        run_for(rig.sim, SIM_SECOND);
        assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_REFUSED);
        rig.near = (struct end){.sim = rig.sim};
        buf_free(&rig.far.got);
        rig.far = (struct end){.sim = rig.sim};
        dial(&rig);
        assert_true(sim_run_until(rig.sim, SIM_MINUTE, is_true, &rig.near.opened));
        rig_stop(&rig);
    }
}

static void some_are_slow(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, &(struct fleet_links_opts){.delay_ms = 1000, .slow_per_million = 300000});
    unsigned slow = 0;
    for (unsigned i = 0; i < 200; i++) {
        world_conn_abort(rig.near.conn);
        if (rig.far.conn != NULL) {
            world_conn_abort(rig.far.conn);
        }
        buf_free(&rig.near.got);
        rig.near = (struct end){.sim = rig.sim};
        rig.far = (struct end){.sim = rig.sim};
        uint64_t begun = sim_now_us(rig.sim);
        dial(&rig);
        assert_true(sim_run_until(rig.sim, SIM_MINUTE, is_true, &rig.near.opened));
        slow += rig.near.opened_us - begun >= SIM_SECOND;
    }
    assert_true(slow > 30 && slow < 90); /* of 200, 60 are to be expected */
    rig_stop(&rig);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plain_link_only_passes_on),
        cmocka_unit_test(delay_is_added_each_way),
        cmocka_unit_test(a_slow_link_carries_its_rate),
        cmocka_unit_test(a_slow_reader_holds_its_sender_up),
        cmocka_unit_test(closing_sends_what_is_queued),
        cmocka_unit_test(the_end_comes_after_the_bytes_before_it),
        cmocka_unit_test(an_outage_resets_all_and_refuses_new_ones),
        cmocka_unit_test(some_are_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
