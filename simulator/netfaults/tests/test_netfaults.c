/* Faulty links, in simulated time: the end that connects carries the faults, or the end that is connected to. */
#include "simulator/netfaults/netfaults.h"

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
    struct netfaults *net;
    struct world guarded; /* the server's, when it carries the faults */
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
    assert_false(e->closed);
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

static void add_both_ways(struct rig *rig, const struct link_fault *fault) {
    netfaults_add(rig->net, "client", "server", fault);
    netfaults_add(rig->net, "server", "client", fault);
}

static void rig_make(struct rig *rig, bool guarded) {
    static const struct sim_link line = {.latency_us = {DIST_FIXED, 1000, 0}};
    *rig = (struct rig){.sim = sim_new(&(struct sim_opts){.seed = 1, .link = &line})};
    rig->client = sim_host(rig->sim, "client");
    rig->server = sim_host(rig->sim, "server");
    rig->net = netfaults_new(rig->client, 1);
    rig->over = *rig->client;
    rig->guarded = *rig->server;
    if (guarded) {
        netfaults_guard(rig->net, &rig->guarded, "server");
    } else {
        netfaults_join(rig->net, &rig->over, "client");
        netfaults_port(rig->net, PORT, "server");
    }
    rig->near.sim = rig->far.sim = rig->sim;
    rig->listener = world_listen(&rig->guarded, &(struct world_listen){.port = PORT}, on_accept, rig, NULL);
    assert_non_null(rig->listener);
    assert_int_equal(world_listener_port(rig->listener), PORT);
}

static void rig_connect(struct rig *rig) {
    dial(rig);
    if (!sim_run_until(rig->sim, SIM_MINUTE, both_open, rig)) {
        fail_msg("not connected");
    }
}

static void rig_start(struct rig *rig, const struct link_fault *fault) {
    rig_make(rig, false);
    add_both_ways(rig, fault);
    rig_connect(rig);
}

static void rig_stop(struct rig *rig) {
    if (rig->near.conn != NULL) {
        world_conn_abort(rig->near.conn);
    }
    run_for(rig->sim, SIM_MINUTE);
    if (rig->far.conn != NULL) {
        world_conn_abort(rig->far.conn);
    }
    run_for(rig->sim, SIM_MINUTE);
    assert_int_equal(netfaults_open(rig->net), 0);
    world_listener_close(rig->listener);
    buf_free(&rig->near.got);
    buf_free(&rig->far.got);
    netfaults_free(rig->net);
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
    rig_start(&rig, &(struct link_fault){0});
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
    rig_start(&rig, &(struct link_fault){.slow = true, .latency_us = {DIST_FIXED, 100 * SIM_MS, 0}});
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
    rig_start(&rig, &(struct link_fault){.bytes_per_s = 10000});
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
    rig_start(&rig, &(struct link_fault){.bytes_per_s = 100000});
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
    rig_start(&rig, &(struct link_fault){.bytes_per_s = 1000});
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
    rig_start(&rig,
              &(struct link_fault){.bytes_per_s = 1000, .slow = true, .latency_us = {DIST_FIXED, 50 * SIM_MS, 0}});
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

static void forget_ends(struct rig *rig) {
    if (rig->near.conn != NULL) {
        world_conn_abort(rig->near.conn);
    }
    if (rig->far.conn != NULL) {
        world_conn_abort(rig->far.conn);
    }
    buf_free(&rig->near.got);
    buf_free(&rig->far.got);
    rig->near = (struct end){.sim = rig->sim};
    rig->far = (struct end){.sim = rig->sim};
}

static void everything_is_reset_and_refused_for_a_while(void **state) {
    (void)state;
    for (unsigned slow = 0; slow < 2; slow++) {
        struct rig rig;
        rig_start(&rig, &(struct link_fault){.bytes_per_s = slow * 1000});
        say(&rig.near, 26);
        uint64_t rule = netfaults_add(rig.net, "client", NULL, &(struct link_fault){.refuse_ppm = 1000000});
        assert_int_equal(netfaults_reset(rig.net, "server", NULL), 1);
        assert_false(rig.near.closed); /* never within the call */
        run_for(rig.sim, SIM_SECOND);
        assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_RESET);
        assert_true(rig.far.closed);
        forget_ends(&rig);
        dial(&rig);
        assert_false(rig.near.closed);
        netfaults_reset(rig.net, "client", "server"); /* nothing yet that could be reset: it ends once */
        run_for(rig.sim, SIM_SECOND);
        assert_true(rig.near.closed);
        forget_ends(&rig);
        dial(&rig);
        run_for(rig.sim, SIM_SECOND);
        assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_REFUSED);
        forget_ends(&rig);
        netfaults_drop(rig.net, rule);
        rig_connect(&rig);
        rig_stop(&rig);
    }
}

static const struct link_fault CUT = {.cut = true};

/* Whichever end carries it. */
static void nothing_passes_a_cut_link(void **state) {
    (void)state;
    for (unsigned guarded = 0; guarded < 2; guarded++) {
        struct rig rig;
        rig_make(&rig, guarded);
        rig_connect(&rig);
        uint64_t there = netfaults_add(rig.net, "client", "server", &CUT);
        say(&rig.near, 52);
        say(&rig.far, 26);
        run_for(rig.sim, SIM_MINUTE);
        assert_int_equal(rig.far.got.len, 0); /* one way only */
        assert_alphabet(&rig.near, 26);
        uint64_t back = netfaults_add(rig.net, "server", NULL, &CUT);
        say(&rig.far, 26);
        run_for(rig.sim, SIM_MINUTE);
        assert_int_equal(rig.near.got.len, 26);
        netfaults_drop(rig.net, there);
        run_for(rig.sim, SIM_SECOND);
        assert_alphabet(&rig.far, 52);
        assert_int_equal(rig.near.got.len, 26);
        netfaults_drop(rig.net, back);
        run_for(rig.sim, SIM_SECOND);
        assert_alphabet(&rig.near, 52);
        rig_stop(&rig);
    }
}

static void an_end_is_not_heard_of_over_a_cut_link(void **state) {
    (void)state;
    for (unsigned with_bytes = 0; with_bytes < 2; with_bytes++) {
        struct rig rig;
        rig_make(&rig, false);
        rig_connect(&rig);
        uint64_t rule = netfaults_add(rig.net, "server", NULL, &CUT);
        if (with_bytes) {
            say(&rig.far, 26);
        }
        world_conn_close(rig.far.conn, 10000);
        run_for(rig.sim, SIM_MINUTE);
        assert_true(rig.far.closed && !rig.near.closed);
        netfaults_drop(rig.net, rule);
        run_for(rig.sim, SIM_SECOND);
        assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_EOF);
        assert_alphabet(&rig.near, with_bytes * 26);
        rig_stop(&rig);
    }
}

static void closing_over_a_cut_link_takes_its_time_and_no_longer(void **state) {
    (void)state;
    struct rig rig;
    rig_make(&rig, false);
    rig_connect(&rig);
    netfaults_add(rig.net, "client", NULL, &CUT);
    say(&rig.near, 26);
    uint64_t begun = sim_now_us(rig.sim);
    world_conn_close(rig.near.conn, 3000);
    run_for(rig.sim, SIM_MINUTE);
    assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_LOCAL);
    assert_true(rig.near.closed_us - begun >= 3000 * SIM_MS && rig.near.closed_us - begun < 3100 * SIM_MS);
    assert_int_equal(rig.far.got.len, 0);
    rig_stop(&rig);
}

static void connecting_over_a_cut_link(void **state) {
    (void)state;
    struct rig rig;
    rig_make(&rig, false);
    uint64_t rule = netfaults_add(rig.net, NULL, NULL, &CUT);
    rig.near.conn = world_connect(
        &rig.over, &(struct world_connect){.host = "server", .port = PORT, .timeout_ms = 5000}, &handler, &rig.near);
    uint64_t begun = sim_now_us(rig.sim);
    run_for(rig.sim, SIM_MINUTE);
    assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_TIMEOUT);
    assert_true(rig.near.closed_us - begun >= 5 * SIM_SECOND && rig.near.closed_us - begun < 6 * SIM_SECOND);
    forget_ends(&rig);
    dial(&rig);
    run_for(rig.sim, 2 * SIM_SECOND);
    assert_false(rig.near.opened);
    netfaults_drop(rig.net, rule);
    assert_true(sim_run_until(rig.sim, SIM_SECOND, both_open, &rig));
    rig_stop(&rig);
}

/* Who is left learns of it when it sends; who has gone, at once. */
static void one_end_vanishes(void **state) {
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        bool guarded = i & 1, client_goes = i & 2;
        struct rig rig;
        rig_make(&rig, guarded);
        rig_connect(&rig);
        struct end *gone = client_goes ? &rig.near : &rig.far, *left = client_goes ? &rig.far : &rig.near;
        assert_int_equal(netfaults_half_close(rig.net, client_goes ? "client" : "server", NULL), 1);
        run_for(rig.sim, SIM_MINUTE);
        assert_true(gone->closed && gone->why == WORLD_CLOSE_RESET);
        assert_false(left->closed);
        say(left, 26);
        run_for(rig.sim, SIM_SECOND);
        assert_true(left->closed && left->why == WORLD_CLOSE_RESET);
        assert_int_equal(gone->got.len, 0);
        rig_stop(&rig);
    }
}

/* A reset is heard by whoever has not heard of it yet. */
static void a_reset_ends_a_ghost(void **state) {
    (void)state;
    for (unsigned client_goes = 0; client_goes < 2; client_goes++) {
        struct rig rig;
        rig_make(&rig, false);
        rig_connect(&rig);
        netfaults_half_close(rig.net, client_goes ? "client" : "server", NULL);
        run_for(rig.sim, SIM_SECOND);
        assert_true(rig.near.closed == (client_goes != 0) && rig.far.closed == (client_goes == 0));
        netfaults_reset(rig.net, "client", "server");
        run_for(rig.sim, SIM_SECOND);
        assert_true(rig.near.closed && rig.far.closed);
        assert_int_equal(netfaults_open(rig.net), 0);
        rig_stop(&rig);
    }
}

static void a_ghost_is_forgotten_with_the_network(void **state) {
    (void)state;
    struct rig rig;
    rig_make(&rig, false);
    rig_connect(&rig);
    assert_int_equal(netfaults_half_close(rig.net, "client", "server"), 1);
    run_for(rig.sim, SIM_SECOND);
    assert_true(rig.near.closed && netfaults_open(rig.net) == 1);
    netfaults_free(rig.net);
    rig.net = netfaults_new(rig.client, 1);
    rig_stop(&rig);
}

static void damage_ends_a_connection(void **state) {
    (void)state;
    static const struct {
        struct link_fault fault;
        enum world_close_reason why;
    } cases[] = {{{.corrupt_ppm = 1000000}, WORLD_CLOSE_TLS}, {{.reset_ppm = 1000000}, WORLD_CLOSE_RESET}};
    for (size_t i = 0; i < 2; i++) {
        struct rig rig;
        rig_make(&rig, false);
        rig_connect(&rig);
        add_both_ways(&rig, &cases[i].fault);
        say(&rig.far, 26);
        run_for(rig.sim, SIM_SECOND);
        assert_true(rig.near.closed && rig.near.why == cases[i].why);
        assert_true(rig.far.closed);
        assert_int_equal(rig.near.got.len, 0);
        rig_stop(&rig);
    }
}

static void what_is_lost_comes_again_and_in_order(void **state) {
    (void)state;
    struct rig rig;
    rig_make(&rig, false);
    rig_connect(&rig);
    netfaults_add(rig.net, "client", "server", &(struct link_fault){.loss_ppm = 300000});
    netfaults_add(rig.net, "client", "server", &(struct link_fault){.late_us = 20 * SIM_MS, .late_ppm = 500000});
    uint64_t begun = sim_now_us(rig.sim);
    for (unsigned i = 0; i < 40; i++) {
        say(&rig.near, 26);
    }
    run_for(rig.sim, SIM_MINUTE);
    assert_alphabet(&rig.far, 40 * 26);
    assert_true(rig.far.last_us - begun >= 200 * SIM_MS); /* one retransmission at least */
    rig_stop(&rig);
}

static void rules_name_who_is_meant(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
        bool holds;
    } cases[] = {{"client", "server", true}, {"cl*", NULL, true},         {"*", "ser*", true},
                 {"client", "other", false}, {"server", "client", false}, {"x*", NULL, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig rig;
        rig_make(&rig, i & 1);
        rig_connect(&rig);
        netfaults_add(rig.net, cases[i].from, cases[i].to, &CUT);
        say(&rig.near, 26);
        run_for(rig.sim, SIM_SECOND);
        assert_int_equal(rig.far.got.len, cases[i].holds ? 0 : 26);
        rig_stop(&rig);
    }
}

/* Who is connected to cannot refuse before the handshakes. */
static void a_guard_ends_what_it_refuses(void **state) {
    (void)state;
    struct rig rig;
    rig_make(&rig, true);
    netfaults_add(rig.net, "client", "server", &(struct link_fault){.refuse_ppm = 1000000});
    dial(&rig);
    run_for(rig.sim, SIM_SECOND);
    assert_true(rig.near.closed && rig.near.why == WORLD_CLOSE_RESET);
    assert_null(rig.far.conn);
    assert_int_equal(netfaults_open(rig.net), 0);
    rig_stop(&rig);
}

/* ---- anything, in any order */

enum { OPERATIONS = 80, RULES = 4 };

static struct link_fault draw_fault(struct rng *rng) {
    switch (rng_below(rng, 6)) {
    case 0:
        return CUT;
    case 1:
        return (struct link_fault){.slow = true, .latency_us = dist_uniform(0, 200 * SIM_MS)};
    case 2:
        return (struct link_fault){.bytes_per_s = 100 + rng_below(rng, 20000)};
    case 3:
        return (struct link_fault){.loss_ppm = 300000};
    case 4:
        return (struct link_fault){.late_us = 50 * SIM_MS, .late_ppm = 500000};
    default:
        return (struct link_fault){.slow = true, .latency_us = dist_fixed(SIM_MS), .share_ppm = 500000};
    }
}

static void toggle_rule(struct rig *rig, uint64_t *rules, struct rng *rng) {
    static const char *const ends[] = {"client", "server", NULL, "c*"};
    uint64_t *rule = &rules[rng_below(rng, RULES)];
    if (*rule != 0) {
        netfaults_drop(rig->net, *rule);
        *rule = 0;
    } else {
        struct link_fault fault = draw_fault(rng);
        *rule = netfaults_add(rig->net, ends[rng_below(rng, 4)], ends[rng_below(rng, 4)], &fault);
    }
}

/* Says on where it stopped. */
static void say_more(struct end *e, size_t *said, size_t len) {
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < len; i++) {
        buf_append_char(&text, (char)('a' + (*said)++ % 26));
    }
    size_t cut = len / 3;
    struct span parts[2] = {span_sub(buf_span(&text), 0, cut), span_sub(buf_span(&text), cut, SIZE_MAX)};
    world_conn_write(e->conn, parts, 2);
    buf_free(&text);
}

static void one_story(uint64_t seed) {
    struct rng rng = rng_derive(seed, "story", NULL);
    struct rig rig;
    uint64_t rules[RULES] = {0};
    size_t said[2] = {0, 0};
    bool paused[2] = {false, false};
    rig_make(&rig, seed & 1);
    rig_connect(&rig);
    struct end *ends[2] = {&rig.near, &rig.far};
    for (unsigned i = 0; i < OPERATIONS; i++) {
        size_t which = rng_below(&rng, 2);
        switch (rng_below(&rng, 5)) {
        case 0:
            toggle_rule(&rig, rules, &rng);
            break;
        case 1:
            run_for(rig.sim, rng_below(&rng, 500) * SIM_MS);
            break;
        case 2:
            paused[which] = !paused[which];
            world_conn_pause(ends[which]->conn, paused[which]);
            break;
        default:
            say_more(ends[which], &said[which], 1 + rng_below(&rng, 3000));
        }
    }
    for (unsigned i = 0; i < RULES; i++) {
        netfaults_drop(rig.net, rules[i]);
    }
    world_conn_pause(rig.near.conn, false);
    world_conn_pause(rig.far.conn, false);
    size_t closer = seed % 3; /* 2: nobody */
    if (closer < 2) {
        world_conn_close(ends[closer]->conn, SIM_HOUR / 1000);
    }
    run_for(rig.sim, SIM_HOUR);
    for (size_t i = 0; i < 2; i++) { /* what is on its way to who closes may be lost */
        assert_alphabet(ends[1 - i], closer == 1 - i ? ends[1 - i]->got.len : said[i]);
    }
    assert_true(closer == 2 || (rig.near.closed && rig.far.closed));
    rig_stop(&rig);
}

static void nothing_is_lost_or_turned_around(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        one_story(seed);
    }
}

/* Connections end in every way at any time; nothing is left, and nobody is told twice. */
static void wild_story(uint64_t seed) {
    struct rng rng = rng_derive(seed, "wild story", NULL);
    struct rig rig;
    uint64_t rules[RULES] = {0};
    rig_make(&rig, seed & 1);
    dial(&rig);
    for (unsigned i = 0; i < OPERATIONS; i++) {
        struct end *e = rng_below(&rng, 2) == 0 ? &rig.near : &rig.far;
        switch (rng_below(&rng, 8)) {
        case 0:
            toggle_rule(&rig, rules, &rng);
            break;
        case 1:
            netfaults_reset(rig.net, "client", NULL);
            break;
        case 2:
            netfaults_half_close(rig.net, e == &rig.near ? "client" : "server", NULL);
            break;
        case 3:
            if (e->conn != NULL && e->opened) {
                world_conn_close(e->conn, rng_below(&rng, 1000));
            }
            break;
        case 4:
            forget_ends(&rig);
            dial(&rig);
            break;
        case 5:
            if (rig.near.opened && e->conn != NULL) {
                say(e, 1 + rng_below(&rng, 3000));
            }
            break;
        default:
            run_for(rig.sim, rng_below(&rng, 500) * SIM_MS);
        }
    }
    for (unsigned i = 0; i < RULES; i++) {
        netfaults_drop(rig.net, rules[i]);
    }
    netfaults_reset(rig.net, NULL, NULL);
    rig_stop(&rig);
}

static void connections_end_once(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        wild_story(seed);
    }
}

static void a_clock_of_its_own(void **state) {
    (void)state;
    struct rig rig;
    rig_make(&rig, false);
    rig_connect(&rig);
    int64_t before = world_wall_ms(&rig.over);
    assert_true(netfaults_clock(rig.net, "client", -3600000));
    assert_false(netfaults_clock(rig.net, "nobody", 1));
    assert_int_equal(world_wall_ms(&rig.over), before - 3600000);
    assert_int_equal(world_wall_ms(rig.client), before);
    assert_int_equal(world_now_us(&rig.over), world_now_us(rig.client));
    rig_stop(&rig);
}

static void some_are_slow(void **state) {
    (void)state;
    struct rig rig;
    rig_start(&rig, &(struct link_fault){.slow = true, .latency_us = {DIST_FIXED, SIM_SECOND, 0}, .share_ppm = 300000});
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
        assert_true(sim_run_until(rig.sim, SIM_MINUTE, both_open, &rig));
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
        cmocka_unit_test(everything_is_reset_and_refused_for_a_while),
        cmocka_unit_test(nothing_passes_a_cut_link),
        cmocka_unit_test(an_end_is_not_heard_of_over_a_cut_link),
        cmocka_unit_test(closing_over_a_cut_link_takes_its_time_and_no_longer),
        cmocka_unit_test(connecting_over_a_cut_link),
        cmocka_unit_test(one_end_vanishes),
        cmocka_unit_test(a_reset_ends_a_ghost),
        cmocka_unit_test(a_ghost_is_forgotten_with_the_network),
        cmocka_unit_test(damage_ends_a_connection),
        cmocka_unit_test(what_is_lost_comes_again_and_in_order),
        cmocka_unit_test(rules_name_who_is_meant),
        cmocka_unit_test(a_guard_ends_what_it_refuses),
        cmocka_unit_test(nothing_is_lost_or_turned_around),
        cmocka_unit_test(connections_end_once),
        cmocka_unit_test(a_clock_of_its_own),
        cmocka_unit_test(some_are_slow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
