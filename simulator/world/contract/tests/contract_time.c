/* Clocks, timers, deferred tasks, randomness, work. */
#include "contract.h"

#include "base/mem.h"

struct log {
    char text[64];
    struct contract *c;
    struct timer timers[4];
    struct world_task tasks[3];
};

static void say(struct log *l, char what) {
    size_t len = strlen(l->text);
    l->text[len] = what;
}
static void say_a(void *ctx) {
    say(ctx, 'a');
}
static void say_b(void *ctx) {
    say(ctx, 'b');
}
static void say_c(void *ctx) {
    say(ctx, 'c');
}
static bool said_three(void *ctx) {
    return strlen(((struct log *)ctx)->text) == 3;
}
static bool said_two(void *ctx) {
    return strlen(((struct log *)ctx)->text) == 2;
}

static void test_timers_fire_in_order(void **state) {
    struct contract *c = *state;
    struct log l = {.c = c};
    uint64_t start_us = world_now_us(c->w);
    world_timer_start(c->w, &l.timers[0], 30, say_c, &l);
    world_timer_start(c->w, &l.timers[1], 10, say_a, &l);
    world_timer_start(c->w, &l.timers[2], 20, say_b, &l);
    contract_until(c, said_three, &l);
    assert_string_equal(l.text, "abc");
    assert_true(world_now_us(c->w) - start_us >= 30000);
    assert_true(l.timers[0].place == 0);
}

static void test_timer_restart_and_stop(void **state) {
    struct contract *c = *state;
    struct log l = {.c = c};
    world_timer_start(c->w, &l.timers[0], 1, say_a, &l);
    world_timer_start(c->w, &l.timers[1], 20, say_b, &l);
    world_timer_start(c->w, &l.timers[2], 5, say_c, &l);
    world_timer_start(c->w, &l.timers[0], 40, say_a, &l); /* restarted: later */
    world_timer_stop(c->w, &l.timers[2]);
    world_timer_stop(c->w, &l.timers[2]);
    world_timer_stop(c->w, &l.timers[3]); /* never started */
    contract_until(c, said_two, &l);
    assert_string_equal(l.text, "ba");
}

static void stop_the_other(void *ctx) {
    struct log *l = ctx;
    say(l, 'a');
    world_timer_stop(l->c->w, &l->timers[1]);
    world_timer_start(l->c->w, &l->timers[0], 0, say_c, l); /* itself, anew */
}

static void test_timer_callback_may_stop_and_start(void **state) {
    struct contract *c = *state;
    struct log l = {.c = c};
    world_timer_start(c->w, &l.timers[0], 5, stop_the_other, &l);
    world_timer_start(c->w, &l.timers[1], 5, say_b, &l);
    contract_until(c, said_two, &l);
    contract_pass(c, 20);
    assert_string_equal(l.text, "ac");
}

static void defer_twice(void *ctx) {
    struct log *l = ctx;
    world_defer(l->c->w, &l->tasks[0], say_b, l);
    world_defer(l->c->w, &l->tasks[0], say_b, l); /* already deferred */
    world_defer(l->c->w, &l->tasks[1], say_c, l);
    world_defer(l->c->w, &l->tasks[2], say_c, l);
    world_undefer(l->c->w, &l->tasks[2]);
    world_timer_start(l->c->w, &l->timers[1], 0, say_c, l);
    say(l, 'a');
}

static void test_deferred_tasks(void **state) {
    struct contract *c = *state;
    struct log l = {.c = c};
    world_timer_start(c->w, &l.timers[0], 1, defer_twice, &l);
    contract_pass(c, 30);
    assert_string_equal(l.text, "abcc"); /* after what caused them, before timers started in the same turn */
}

static void again(void *ctx) {
    struct log *l = ctx;
    say(l, 'x');
    if (strlen(l->text) < 3) {
        world_defer(l->c->w, &l->tasks[0], again, l);
    }
}

static void test_task_defers_itself(void **state) {
    struct contract *c = *state;
    struct log l = {.c = c};
    world_defer(c->w, &l.tasks[0], again, &l);
    assert_string_equal(l.text, "");
    contract_until(c, said_three, &l);
}

static void undefer_next(void *ctx) {
    struct log *l = ctx;
    say(l, 'a');
    world_undefer(l->c->w, &l->tasks[1]);
}

static void test_task_undefers_the_next(void **state) {
    struct contract *c = *state;
    struct log l = {.c = c};
    world_defer(c->w, &l.tasks[0], undefer_next, &l);
    world_defer(c->w, &l.tasks[1], say_b, &l);
    contract_pass(c, 5);
    assert_string_equal(l.text, "a");
}

static void test_clocks(void **state) {
    struct contract *c = *state;
    int64_t wall = world_wall_ms(c->w);
    uint64_t mono = world_now_us(c->w);
    assert_true(wall > 1700000000000);
    contract_pass(c, 50);
    assert_in_range(world_now_us(c->w) - mono, 50000, 5000000);
    assert_in_range(world_wall_ms(c->w) - wall, 49, 5000);
}

static void test_randomness(void **state) {
    struct contract *c = *state;
    char one[37], two[37];
    world_uuid(c->w, one);
    world_uuid(c->w, two);
    assert_string_not_equal(one, two);
    assert_int_equal(one[14], '4');
    unsigned seen = 0;
    for (int i = 0; i < 200; i++) {
        uint64_t x = world_random_below(c->w, 5);
        assert_true(x < 5);
        seen |= 1u << x;
    }
    assert_int_equal(seen, 31);
    assert_int_equal(world_random_below(c->w, 1), 0);
}

struct sum {
    int input, result, done;
};
static void add(void *arg) {
    struct sum *s = arg;
    for (int i = 1; i <= s->input; i++) {
        s->result += i;
    }
}
static void added(void *arg) {
    ((struct sum *)arg)->done++;
}
static bool all_added(void *ctx) {
    struct sum *s = ctx;
    return s[0].done + s[1].done + s[2].done == 3;
}

static void test_work(void **state) {
    struct contract *c = *state;
    struct sum sums[3] = {{10, 0, 0}, {100, 0, 0}, {1000, 0, 0}};
    for (int i = 0; i < 3; i++) {
        world_work(c->w, add, added, &sums[i], 500);
        assert_int_equal(sums[i].done, 0);
    }
    contract_until(c, all_added, sums);
    assert_int_equal(sums[0].result, 55);
    assert_int_equal(sums[1].result, 5050);
    assert_int_equal(sums[2].result, 500500);
}

/* Whatever its progress: after a join it has run once, and nobody is told. */
static void test_work_is_joined(void **state) {
    struct contract *c = *state;
    struct sum joined[40] = {{0}}, told[3] = {{10, 0, 0}, {20, 0, 0}, {30, 0, 0}};
    for (int i = 0; i < 40; i++) {
        joined[i].input = i * 1000;
        world_work(c->w, add, added, &joined[i], 500);
    }
    for (int i = 0; i < 3; i++) {
        world_work(c->w, add, added, &told[i], 500);
    }
    for (int i = 39; i >= 0; i--) {
        assert_true(world_work_join(c->w, &joined[i]));
        assert_int_equal(joined[i].result, i * 1000 * (i * 1000 + 1) / 2);
        assert_false(world_work_join(c->w, &joined[i]));
    }
    contract_until(c, all_added, told);
    for (int i = 0; i < 40; i++) {
        assert_int_equal(joined[i].result, i * 1000 * (i * 1000 + 1) / 2);
        assert_int_equal(joined[i].done, 0);
    }
}

int contract_time(void) {
    const struct CMUnitTest tests[] = {
        CONTRACT(test_timers_fire_in_order),
        CONTRACT(test_timer_restart_and_stop),
        CONTRACT(test_timer_callback_may_stop_and_start),
        CONTRACT(test_deferred_tasks),
        CONTRACT(test_task_defers_itself),
        CONTRACT(test_task_undefers_the_next),
        CONTRACT(test_clocks),
        CONTRACT(test_randomness),
        CONTRACT(test_work),
        CONTRACT(test_work_is_joined),
    };
    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
