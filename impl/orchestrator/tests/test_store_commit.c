/* When the store writes: who waits for the transaction, and for how long. */
#include "base/mem.h"
#include "orchestrator/tests/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_commit_is_visible_only_when_it_is_durable(void **state) {
    struct store_rig *f = *state;
    struct store_batch *b = store_batch_new(f->store);
    put_job(b, 1, "mira", 1000);
    store_commit(f->store, b, store_rig_done, f);
    assert_false(job_exists(f, 1));
    assert_true(sim_run_until(f->sim, SIM_SECOND, store_rig_is_done, f));
    assert_string_equal(f->kind, "");
    assert_true(job_exists(f, 1));
    assert_int_equal(f->ids[0], 1);
}

/* Transactions take as long as a test says: the clock moves on while one is collected. */
struct slow_clock {
    struct world_time_ops ops;
    const struct world_time_ops *sim;
    uint64_t skew_us, transaction_us;
};

static struct slow_clock slow; /* an operation of the world gets only the sim's own context */

static uint64_t slow_now_us(void *impl) {
    return slow.sim->now_us(impl) + slow.skew_us;
}

static void take_time(void *ctx) {
    (void)ctx;
    slow.skew_us += slow.transaction_us;
}

static void make_slow(struct store_rig *f, uint64_t transaction_us) {
    slow = (struct slow_clock){.ops = *f->w->time, .sim = f->w->time, .transaction_us = transaction_us};
    slow.ops.now_us = slow_now_us;
    f->w->time = &slow.ops;
    store_set_prepare(f->store, take_time, f);
}

static void make_normal(struct store_rig *f) {
    f->w->time = slow.sim;
    store_set_prepare(f->store, NULL, NULL);
}

/* How long an event of the standing batch waits for its commit. */
static uint64_t event_wait_us(struct store_rig *f, bool hasten) {
    const uint64_t begin = sim_now_us(f->sim);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    if (hasten) {
        store_hasten(f->store);
    }
    settle(f);
    return sim_now_us(f->sim) - begin;
}

enum { TRANSACTION_US = 300, GATHER_US = 4000 }; /* a transaction without what make_slow() adds */

static void the_standing_batch_waits_for_company(void **state) {
    struct store_rig *f = *state;
    assert_int_equal(event_wait_us(f, false), GATHER_US + TRANSACTION_US);
    const uint64_t begin = sim_now_us(f->sim);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    sim_run(f->sim, begin + GATHER_US - 1000);
    assert_int_equal(event_wait_us(f, false), 1000 + TRANSACTION_US); /* from the first on */
    assert_int_equal(events_from(f, 1, 0, -1), 3);
}

static void what_is_waited_for_goes_at_once(void **state) {
    struct store_rig *f = *state;
    assert_int_equal(event_wait_us(f, true), TRANSACTION_US);
    sim_run(f->sim, sim_now_us(f->sim) + SIM_SECOND);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    sim_run(f->sim, sim_now_us(f->sim) + 1000);
    assert_int_equal(event_wait_us(f, true), TRANSACTION_US); /* what gathered goes with it */
    assert_int_equal(events_from(f, 1, 0, -1), 3);
}

static void hastening_nothing_leaves_nothing_behind(void **state) {
    struct store_rig *f = *state;
    sim_run(f->sim, sim_now_us(f->sim) + SIM_SECOND);
    store_hasten(f->store);
    sim_run(f->sim, sim_now_us(f->sim) + SIM_SECOND);
    assert_int_equal(event_wait_us(f, false), GATHER_US + TRANSACTION_US);
}

static void the_standing_batch_rests_after_a_slow_transaction(void **state) {
    struct store_rig *f = *state;
    static const uint64_t cases[][2] = {{0, 1000}, {450, 1000}, {1700, 2000}, {2500, 3000}, {1000000, 4000}};
    make_slow(f, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sim_run(f->sim, sim_now_us(f->sim) + SIM_SECOND);
        slow.transaction_us = cases[i][0];
        assert_int_equal(event_wait_us(f, true), TRANSACTION_US); /* it has rested: at once */
        assert_int_equal(event_wait_us(f, true), cases[i][1] + TRANSACTION_US);
    }
    make_normal(f);
}

static void an_own_batch_does_not_wait_and_takes_the_standing_one_along(void **state) {
    struct store_rig *f = *state;
    make_slow(f, 2000);
    assert_int_equal(event_wait_us(f, true), TRANSACTION_US);
    const uint64_t begin = sim_now_us(f->sim);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    commit_job(f, "mira", 1000);
    assert_int_equal(sim_now_us(f->sim), begin + TRANSACTION_US);
    assert_int_equal(events_from(f, 1, 0, -1), 2);
    make_normal(f);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_commit_is_visible_only_when_it_is_durable, store_rig_setup,
                                        store_rig_teardown),
        cmocka_unit_test_setup_teardown(the_standing_batch_waits_for_company, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(what_is_waited_for_goes_at_once, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(hastening_nothing_leaves_nothing_behind, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(the_standing_batch_rests_after_a_slow_transaction, store_rig_setup,
                                        store_rig_teardown),
        cmocka_unit_test_setup_teardown(an_own_batch_does_not_wait_and_takes_the_standing_one_along, store_rig_setup,
                                        store_rig_teardown),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
