/* Limits, a failing disk, watchers, draining. */
#include "base/json.h"
#include "base/mem.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void limits_refuse_jobs(void **state) {
    (void)state;
    struct rig *r = rig_new(1, 3);
    r->config.jobs_active_max = 1;
    r->config.job_nodes_max = 2;
    rig_boot(r);
    assert_int_equal(rig_task(r, 1, 3, NULL), 0);
    assert_string_equal(r->start_error, "orchestrator/limit");
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_int_equal(rig_task(r, 1, 1, NULL), 0);
    assert_string_equal(r->start_error, "orchestrator/limit");
    assert_true(rig_finish(r, job, 5 * SIM_SECOND));
    assert_int_not_equal(rig_task(r, 1, 1, NULL), 0);
    rig_free(r);
}

static void a_full_disk_holds_work_back_and_loses_nothing(void **state) {
    (void)state;
    struct rig *r = rig_new(1, 20);
    r->config.task_concurrency = 4;
    rig_boot(r);
    for (int i = 0; i < 20; i++) {
        r->agents[i].takes_ms = 200;
    }
    int64_t job = rig_task(r, 1, 20, NULL);
    assert_true(rig_until_running(r, job, 2));
    struct sim_disk_fault full = {.prefix = "/var", .ops = SIM_FILE_WRITE, .kind = "world/full"};
    sim_disk_fault(r->w, &full);
    rig_run(r, 30 * SIM_SECOND);
    int runs = 0;
    for (int i = 0; i < 20; i++) {
        runs += r->agents[i].runs;
    }
    assert_true(runs < 20);
    assert_int_equal(rig_task(r, 1, 1, NULL), 0);
    assert_string_equal(r->start_error, "store/full");
    sim_disk_fault(r->w, NULL);
    assert_true(rig_finish(r, job, 30 * SIM_SECOND));
    rig_expect_counts(r, job, 20, 0, 0, 0);
    rig_free(r);
}

struct poll {
    struct rig *r;
    int64_t next;
    int events, over;
};

static void fresh(void *ctx, bool over) {
    struct poll *p = ctx;
    p->events++;
    p->over += over ? 1 : 0;
}

static void watchers_hear_of_events_and_of_the_end(void **state) {
    (void)state;
    struct rig *r = rig_booted(2);
    int64_t job = rig_task(r, 1, 2, NULL);
    struct poll p = {r, 0, 0, 0};
    struct engine_watch w, gone;
    assert_true(engine_watch(r->engine, &w, job, fresh, &p));
    assert_true(engine_watch(r->engine, &gone, job, fresh, NULL));
    engine_unwatch(r->engine, &gone);
    assert_true(rig_finish(r, job, 5 * SIM_SECOND));
    rig_run(r, SIM_SECOND);
    assert_int_equal(p.over, 1);
    assert_true(p.events >= 2);
    assert_false(engine_watch(r->engine, &w, job, fresh, &p));
    rig_free(r);
}

static void told(void *ctx) {
    ((struct poll *)ctx)->over++;
}

static bool is_told(void *ctx) {
    return ((struct poll *)ctx)->over != 0;
}

static void draining_lets_what_runs_end_and_starts_nothing(void **state) {
    (void)state;
    struct rig *r = rig_booted(4);
    r->agents[0].takes_ms = 5000;
    int64_t job = rig_task(r, 1, 4, &(struct job_request){.concurrency = 1});
    assert_true(rig_until_running(r, job, 1));
    struct poll p = {r, 0, 0, 0};
    engine_drain(r->engine, 60000, told, &p);
    assert_true(sim_run_until(r->sim, 6 * SIM_SECOND, is_told, &p));
    uint32_t c[NODE_STATES];
    rig_run(r, SIM_SECOND);
    rig_counts(r, job, c);
    assert_int_equal(c[NODE_FINISHED], 1);
    assert_int_equal(c[NODE_READY], 3);
    rig_shutdown(r);
    rig_boot(r);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    rig_expect_counts(r, job, 4, 0, 0, 0);
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(limits_refuse_jobs),
        cmocka_unit_test(a_full_disk_holds_work_back_and_loses_nothing),
        cmocka_unit_test(watchers_hear_of_events_and_of_the_end),
        cmocka_unit_test(draining_lets_what_runs_end_and_starts_nothing),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
