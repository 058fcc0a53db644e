/* Virtual processes beside what the contract says: crash, power, output in time, files at the end. */
#include "simulator/world/sim.h"

#include "base/mem.h"
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct seen {
    struct sim *sim;
    struct world *w;
    int exits, ends, killed;
    struct world_exit exit;
    int drops;
    char log[200];
};

static void slow(void *ctx, struct sim_exec *x) {
    (void)ctx;
    x->takes_us = 10 * SIM_SECOND;
    x->status = 4;
    buf_append_cstr(&x->out, "end");
    sim_exec_output(x, 2 * SIM_SECOND, 1, SPAN("two "));
    sim_exec_output(x, SIM_SECOND, 1, SPAN("one "));
}
static void stubborn(void *ctx, struct sim_exec *x) {
    (void)ctx;
    x->takes_us = 10 * SIM_SECOND;
    x->ignores_term = true;
}
static void unkillable(void *ctx, struct sim_exec *x) {
    (void)ctx;
    x->takes_us = 10 * SIM_SECOND;
    x->unkillable = true;
}
static void at_end(void *ctx, struct sim_exec *x, int killed) {
    struct seen *s = ctx;
    s->ends++;
    s->killed = killed;
    world_file_write(x->host, "/exitcode", SPAN("4"), 0600, WORLD_WRITE_ATOMIC, NULL);
}
static void drop(void *ctx, struct sim_exec *x) {
    (void)x;
    ((struct seen *)ctx)->drops++;
}
static void on_output(void *ctx, int stream, struct span bytes) {
    struct seen *s = ctx;
    assert_int_equal(stream, 1);
    size_t len = strlen(s->log);
    snprintf(s->log + len, sizeof(s->log) - len, "%llu:%.*s", (unsigned long long)(sim_now_us(s->sim) / SIM_SECOND),
             (int)bytes.len, bytes.ptr);
}
static void on_exit_done(void *ctx, const struct world_exit *e) {
    struct seen *s = ctx;
    s->exits++;
    s->exit = *e;
}

static void setup(struct seen *s) {
    *s = (struct seen){.sim = sim_new(&(struct sim_opts){.seed = 1})};
    s->w = sim_host(s->sim, "a");
    sim_program(s->sim, NULL, "slow", &(struct sim_program){slow, at_end, s, drop});
    sim_program(s->sim, s->w, "/bin/stubborn", &(struct sim_program){.run = stubborn});
    sim_program(s->sim, s->w, "/bin/unkillable", &(struct sim_program){.run = unkillable});
}
static struct world_process *start(struct seen *s, const char *program, bool output) {
    const char *const argv[] = {program, NULL};
    struct world_spawn opts = {.argv = argv, .umask = -1, .on_output = output ? on_output : NULL};
    opts.stdout_path = output ? NULL : "/out";
    return world_spawn(s->w, &opts, on_exit_done, s);
}
static void assert_file(struct seen *s, const char *path, const char *text) {
    struct buf b = BUF_INIT;
    assert_true(world_file_read(s->w, path, 100, &b, NULL));
    assert_string_equal(b.ptr, text);
    buf_free(&b);
}

static void test_output_in_time(void **state) {
    struct seen s;
    (void)state;
    setup(&s);
    start(&s, "/usr/bin/slow", true);
    sim_run(s.sim, SIM_MINUTE);
    assert_string_equal(s.log, "1:one 2:two 10:end");
    assert_int_equal(s.exits, 1);
    assert_int_equal(s.exit.status, 4);
    assert_int_equal(s.ends, 1);
    assert_int_equal(s.killed, 0);
    sim_free(s.sim);
}

/* A process goes on while its actor is dead, and the next life of the actor finds what it left. */
static void test_survives_a_crash(void **state) {
    struct seen s;
    (void)state;
    setup(&s);
    int64_t pid = world_process_pid(start(&s, "slow", false));
    sim_run(s.sim, SIM_SECOND + SIM_SECOND / 2);
    sim_crash(s.w, SIM_CRASH_KILL);
    assert_true(world_pid_alive(s.w, pid));
    assert_file(&s, "/out", "one ");
    sim_run(s.sim, SIM_MINUTE);
    assert_false(world_pid_alive(s.w, pid));
    assert_file(&s, "/out", "one two end");
    assert_file(&s, "/exitcode", "4");
    assert_int_equal(s.exits, 0);
    assert_true(sim_check_idle(s.sim, NULL));
    sim_free(s.sim);
}

static void test_power_failure_ends_it(void **state) {
    struct seen s;
    (void)state;
    setup(&s);
    int64_t pid = world_process_pid(start(&s, "slow", false));
    sim_run(s.sim, SIM_SECOND);
    sim_crash(s.w, SIM_CRASH_POWER);
    assert_int_equal(sim_process_count(s.sim), 0);
    sim_power_on(s.w);
    assert_false(world_pid_alive(s.w, pid));
    sim_run(s.sim, SIM_MINUTE);
    assert_int_equal(s.ends, 0);
    assert_int_equal(s.drops, 1);
    sim_free(s.sim);
}

/* The actor is paused while its process ends: it hears of it later, the files are there on time. */
static void test_paused_actor(void **state) {
    struct seen s;
    (void)state;
    setup(&s);
    start(&s, "slow", false);
    sim_pause(s.w, true);
    sim_run(s.sim, SIM_MINUTE);
    assert_file(&s, "/exitcode", "4");
    assert_int_equal(s.exits, 0);
    sim_pause(s.w, false);
    sim_run(s.sim, SIM_MINUTE);
    assert_int_equal(s.exits, 1);
    sim_free(s.sim);
}

static void test_signals(void **state) {
    struct seen s;
    (void)state;
    setup(&s);
    int64_t pid = world_process_pid(start(&s, "/bin/stubborn", true));
    assert_true(world_pid_signal(s.w, pid, SIGTERM, true));
    sim_run(s.sim, SIM_SECOND);
    assert_int_equal(s.exits, 0);
    assert_true(world_pid_signal(s.w, pid, SIGKILL, true));
    sim_run(s.sim, 2 * SIM_SECOND);
    assert_int_equal(s.exits, 1);
    assert_int_equal(s.exit.signal, SIGKILL);
    pid = world_process_pid(start(&s, "slow", true));
    world_pid_signal(s.w, pid, SIGTERM, false);
    sim_run(s.sim, 3 * SIM_SECOND);
    assert_int_equal(s.killed, SIGTERM);
    assert_string_equal(s.log, ""); /* what it would have printed later is not printed */
    pid = world_process_pid(start(&s, "/bin/unkillable", true));
    assert_true(world_pid_signal(s.w, pid, SIGKILL, true));
    assert_true(world_pid_alive(s.w, pid));
    /* Another host's pid is nobody's here. */
    struct world *b = sim_host(s.sim, "b");
    pid = world_process_pid(start(&s, "slow", true));
    assert_false(world_pid_alive(b, pid));
    assert_false(world_pid_signal(b, pid, SIGKILL, false));
    sim_run(s.sim, SIM_MINUTE);
    sim_free(s.sim);
}

/* Runs do not outlive who registered their program, and it cannot be started again. */
static void test_dropped(void **state) {
    struct seen s;
    (void)state;
    setup(&s);
    world_process_forget(start(&s, "slow", true));
    assert_int_equal(sim_process_count(s.sim), 1);
    sim_programs_drop(s.sim);
    assert_int_equal(sim_process_count(s.sim), 0);
    sim_run(s.sim, SIM_MINUTE);
    assert_string_equal(s.log, "");
    assert_int_equal(s.exits, 0);
    start(&s, "slow", true);
    sim_run(s.sim, 2 * SIM_MINUTE);
    assert_int_equal(s.exits, 1);
    assert_false(s.exit.started);
    sim_free(s.sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_in_time),
        cmocka_unit_test(test_survives_a_crash),
        cmocka_unit_test(test_power_failure_ends_it),
        cmocka_unit_test(test_paused_actor),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_dropped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
