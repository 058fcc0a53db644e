/* Timers, turns, deferred tasks, signals and work of the real world. */
#include "world/tests/harness.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

struct trace {
    struct bench *b;
    char text[64];
};

static void note(struct trace *t, char what) {
    size_t len = strlen(t->text);
    assert_true(len + 1 < sizeof(t->text));
    t->text[len] = what;
}

struct many {
    struct bench *b;
    struct timer timer;
    uint64_t due_us, latest_us; /* between these it is due: read before and after it was started */
    size_t *fired;
    uint64_t *last_us;
};

static void many_fired(void *ctx) {
    struct many *m = ctx;
    assert_true(world_now_us(m->b->w) >= m->due_us); /* never early */
    assert_true(m->latest_us >= *m->last_us);        /* never after one that was due later */
    if (m->due_us > *m->last_us) {
        *m->last_us = m->due_us;
    }
    (*m->fired)++;
}

static void thousands_of_timers(void **state) {
    struct bench *b = *state;
    enum { COUNT = 5000 };
    struct many *all = mem_array(COUNT, sizeof(*all));
    size_t fired = 0;
    uint64_t last_us = 0;
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t delay_ms = world_random_below(b->w, 60);
        all[i] = (struct many){.b = b, .fired = &fired, .last_us = &last_us};
        all[i].due_us = world_now_us(b->w) + delay_ms * 1000;
        world_timer_start(b->w, &all[i].timer, delay_ms, many_fired, &all[i]);
        all[i].latest_us = world_now_us(b->w) + delay_ms * 1000;
    }
    for (size_t i = 0; i < COUNT; i += 2) { /* half of them are stopped again */
        world_timer_stop(b->w, &all[i].timer);
    }
    TURN_UNTIL(b, fired == COUNT / 2);
    assert_false(real_world_turn(b->w, true)); /* none is left */
    mem_free(all);
}

static void timer_fired(void *ctx) {
    note(ctx, 't');
}

static void wait_is_not_a_spin(void **state) {
    struct bench *b = *state;
    struct trace t = {.b = b};
    struct timer timer = {0};
    world_timer_start(b->w, &timer, 50, timer_fired, &t);
    size_t turns = 0;
    while (t.text[0] == '\0') {
        real_world_turn(b->w, true);
        turns++;
    }
    assert_true(turns <= 5);
}

struct again {
    struct bench *b;
    struct timer timer;
    int count;
};

static void again_fired(void *ctx) {
    struct again *a = ctx;
    if (++a->count < 1000) {
        world_timer_start(a->b->w, &a->timer, 0, again_fired, a);
    }
}

/* A timer of 0 ms that starts itself anew gives way to everything else each time. */
static void zero_timers_do_not_starve(void **state) {
    struct bench *b = *state;
    struct again a = {.b = b};
    struct host h = {.echo = true};
    host_listen(b, &h, NULL);
    struct end e = {0};
    end_connect(b, &e, host_port(&h), NULL);
    TURN_UNTIL(b, e.opened && h.count);
    world_timer_start(b->w, &a.timer, 0, again_fired, &a);
    world_conn_write(e.c, &SPAN("x"), 1);
    TURN_UNTIL(b, e.got.len == 1);
    assert_true(a.count < 100);
    TURN_UNTIL(b, a.count == 1000);
    end_free(&e);
    host_free(&h);
}

static void restarted_and_far(void **state) {
    struct bench *b = *state;
    struct trace t = {.b = b};
    struct timer timer = {0}, far = {0};
    world_timer_start(b->w, &far, UINT64_MAX, timer_fired, &t);
    world_timer_start(b->w, &timer, 100000, timer_fired, &t);
    world_timer_start(b->w, &timer, 1, timer_fired, &t);
    TURN_UNTIL(b, t.text[0] == 't');
    world_timer_stop(b->w, &far);
    world_timer_stop(b->w, &far);
    assert_string_equal(t.text, "t");
}

/* ---- deferred tasks */

struct chain {
    struct trace *t;
    struct world_task a, b;
    struct timer timer;
};

static void task_b(void *ctx) {
    note(((struct chain *)ctx)->t, 'b');
}
static void task_a(void *ctx) {
    struct chain *c = ctx;
    note(c->t, 'a');
    world_defer(c->t->b->w, &c->b, task_b, c);
}
static void chain_timer(void *ctx) {
    struct chain *c = ctx;
    note(c->t, 't');
    world_defer(c->t->b->w, &c->a, task_a, c);
    world_defer(c->t->b->w, &c->a, task_a, c); /* twice is once */
    note(c->t, '.');
}

static void deferred_at_the_end_of_the_turn(void **state) {
    struct bench *b = *state;
    struct trace t = {.b = b};
    struct chain c = {.t = &t};
    world_timer_start(b->w, &c.timer, 1, chain_timer, &c);
    TURN_UNTIL(b, strlen(t.text) >= 3);
    assert_string_equal(t.text, "t.a"); /* in the same turn */
    real_world_turn(b->w, true);        /* does not wait: b is due */
    assert_string_equal(t.text, "t.ab");
    world_defer(b->w, &c.b, task_b, &c);
    world_undefer(b->w, &c.b);
    world_undefer(b->w, &c.b);
    assert_false(real_world_turn(b->w, false));
    assert_string_equal(t.text, "t.ab");
}

/* ---- running, signals */

static void stop_world(void *ctx) {
    struct trace *t = ctx;
    note(t, 's');
    real_world_stop(t->b->w);
}

static void run_until_stopped(void **state) {
    struct bench *b = *state;
    struct trace t = {.b = b};
    struct timer timer = {0}, later = {0};
    world_timer_start(b->w, &timer, 1, stop_world, &t);
    world_timer_start(b->w, &later, 100000, timer_fired, &t);
    real_world_run(b->w);
    assert_string_equal(t.text, "s");
    world_timer_stop(b->w, &later);
    real_world_run(b->w); /* nothing left: returns */
}

static void signal_came(void *ctx) {
    note(ctx, 'u');
}
static void other_signal(void *ctx) {
    note(ctx, 'v');
}

static void signals(void **state) {
    struct bench *b = *state;
    struct trace t = {.b = b};
    real_signal(b->w, SIGUSR1, signal_came, &t);
    kill(getpid(), SIGUSR1);
    TURN_UNTIL(b, t.text[0] != '\0');
    real_signal(b->w, SIGUSR1, other_signal, &t); /* replaces the first */
    kill(getpid(), SIGUSR1);
    TURN_UNTIL(b, t.text[1] != '\0');
    assert_string_equal(t.text, "uv");
}

/* ---- work */

struct sum {
    uint64_t to, result;
    int done;
    struct trace *t;
};
static void sum_fn(void *arg) {
    struct sum *s = arg;
    for (uint64_t i = 1; i <= s->to; i++) {
        s->result += i;
    }
}
static void sum_done(void *arg) {
    ((struct sum *)arg)->done++;
}

static void work(void **state) {
    struct bench *b = *state;
    struct sum sums[20] = {{0}};
    for (size_t i = 0; i < 20; i++) {
        sums[i].to = 1000 * i;
        world_work(b->w, sum_fn, sum_done, &sums[i], 1);
        assert_int_equal(sums[i].done, 0);
    }
    for (size_t i = 0; i < 20; i++) {
        TURN_UNTIL(b, sums[i].done == 1);
        assert_int_equal(sums[i].result, sums[i].to * (sums[i].to + 1) / 2);
    }
}

static void freed_world_finishes_work(void **state) {
    (void)state;
    struct world *w = real_world_new(NULL);
    struct sum s = {.to = 100000};
    world_work(w, sum_fn, sum_done, &s, 1);
    real_world_free(w);
    assert_int_equal(s.done, 1);
    assert_true(s.result > 0);
}

static void randomness(void **state) {
    struct bench *b = *state;
    char one[37], two[37];
    world_uuid(b->w, one);
    world_uuid(b->w, two);
    assert_string_not_equal(one, two);
    enum { DRAWS = 200, LEN = 16 }; /* more than the world keeps ready at a time */
    uint8_t drawn[DRAWS][LEN], key[64] = {0}, none[64] = {0};
    for (size_t i = 0; i < DRAWS; i++) {
        world_random(b->w, drawn[i], LEN);
        for (size_t k = 0; k < i; k++) {
            assert_memory_not_equal(drawn[i], drawn[k], LEN);
        }
        world_random(b->w, key, i % 5 + 1); /* other lengths between them */
    }
    world_random(b->w, key, sizeof(key));
    assert_memory_not_equal(key, none, sizeof(key));
    size_t hits[6] = {0};
    for (int i = 0; i < 6000; i++) {
        hits[world_random_below(b->w, 6)]++;
    }
    for (int i = 0; i < 6; i++) {
        assert_true(hits[i] > 700 && hits[i] < 1300);
    }
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(thousands_of_timers),
        CASE(wait_is_not_a_spin),
        CASE(zero_timers_do_not_starve),
        CASE(restarted_and_far),
        CASE(deferred_at_the_end_of_the_turn),
        CASE(run_until_stopped),
        CASE(signals),
        CASE(work),
        CASE(freed_world_finishes_work),
        CASE(randomness),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
