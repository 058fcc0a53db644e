/* Schedules, plan jobs and retention over virtual days. */
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/jobs/retention.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY (24 * SIM_HOUR)

/* What the API's side would do: starts a job, or refuses. */
struct submits {
    struct rig *rig;
    int count, refuse;
    char secret[32];
    int64_t times[64];
    schedule_started *started;
    void *started_ctx;
    struct world_task task;
    int64_t done_id;
    char done_error[64];
    int dones;
};

static void answer(void *ctx) {
    struct submits *s = ctx;
    struct error err = ERROR_INIT;
    if (s->refuse != 0) {
        error_set(&err, "puppetlabs.orchestrator/empty-target", "nobody is there");
        s->started(s->started_ctx, 0, &err);
        error_clear(&err);
    } else {
        s->started(s->started_ctx, 100 + s->count, NULL);
    }
}

static void submit(void *ctx, const struct store_schedule *row, json_t *sensitive, schedule_started *started,
                   void *started_ctx) {
    struct submits *s = ctx;
    const char *secret = json_str(sensitive, "password");
    snprintf(s->secret, sizeof s->secret, "%s", secret != NULL ? secret : "");
    assert_true(span_eq_cstr(row->type, "task"));
    s->times[s->count++] = world_wall_ms(s->rig->w);
    s->started = started;
    s->started_ctx = started_ctx;
    world_defer(s->rig->w, &s->task, answer, s);
}

static void done(void *ctx, int64_t id, const struct error *err) {
    struct submits *s = ctx;
    s->dones++;
    s->done_id = id;
    snprintf(s->done_error, sizeof s->done_error, "%s", err != NULL ? err->kind : "");
}

static bool is_done(void *ctx) {
    return ((struct submits *)ctx)->dones != 0;
}

static struct store_schedule row_at(struct rig *r, int64_t in_s, int64_t interval_s) {
    return (struct store_schedule){.type = SPAN("task"),
                                   .environment = SPAN("production"),
                                   .owner_login = SPAN("mira"),
                                   .name = SPAN("tmpclean"),
                                   .start_ms = world_wall_ms(r->w) + in_s * 1000,
                                   .interval_s = interval_s,
                                   .description = SPAN(""),
                                   .owner = SPAN("{}"),
                                   .input = SPAN("{}"),
                                   .userdata = SPAN("{}")};
}

static int64_t add(struct rig *r, struct submits *s, int64_t in_s, int64_t interval_s, json_t *sensitive) {
    struct store_schedule row = row_at(r, in_s, interval_s);
    struct error err = ERROR_INIT;
    s->dones = 0;
    assert_true(schedules_add(r->schedules, &row, sensitive, done, s, &err));
    assert_true(sim_run_until(r->sim, SIM_SECOND, is_done, s));
    assert_string_equal(s->done_error, "");
    return s->done_id;
}

static struct rig *booted(struct submits *s) {
    struct rig *r = rig_new(1, 1);
    rig_boot(r);
    *s = (struct submits){.rig = r};
    schedules_set_submit(r->schedules, submit, s);
    return r;
}

static void reboot(struct rig *r, struct submits *s) {
    rig_crash(r, SIM_CRASH_KILL);
    rig_run(r, 10 * SIM_SECOND);
    rig_boot(r);
    schedules_set_submit(r->schedules, submit, s);
}

struct seen {
    int64_t next_ms, last_ms, last_job;
    bool enabled, found;
    char error[256], description[16];
    size_t secret_len;
};

static void take(void *ctx, const struct store_schedule *row) {
    struct seen *x = ctx;
    x->next_ms = row->next_ms;
    x->last_ms = row->last_ms;
    x->last_job = row->last_job;
    x->enabled = row->enabled;
    x->secret_len = row->secret.len;
    snprintf(x->error, sizeof x->error, "%.*s", (int)row->last_error.len, row->last_error.ptr);
    snprintf(x->description, sizeof x->description, "%.*s", (int)row->description.len, row->description.ptr);
}

static struct seen look(struct rig *r, int64_t id) {
    struct seen x = {0};
    assert_true(store_schedule(r->store, id, take, &x, &x.found, NULL));
    return x;
}

static void check_9_an_interval_survives_a_restart_and_fires_once_each_time(void **state) {
    (void)state;
    struct submits s;
    struct rig *r = booted(&s);
    int64_t first = world_wall_ms(r->w) + 3600 * 1000;
    int64_t id = add(r, &s, 3600, 3600, NULL);
    rig_run(r, SIM_HOUR + SIM_HOUR / 2);
    assert_int_equal(s.count, 1);
    reboot(r, &s);
    rig_run(r, 3 * SIM_HOUR);
    assert_int_equal(s.count, 4);
    for (int i = 0; i < 4; i++) {
        int64_t due = first + i * INT64_C(3600000);
        assert_true(s.times[i] >= due && s.times[i] < due + 1000);
    }
    struct seen x = look(r, id);
    assert_int_equal(x.last_job, 104);
    assert_int_equal(x.next_ms, first + 4 * INT64_C(3600000));
    assert_string_equal(x.error, "");
    rig_free(r);
}

static void runs_missed_while_down_are_not_made_up(void **state) {
    (void)state;
    struct submits s;
    struct rig *r = booted(&s);
    add(r, &s, 60, 60, NULL);
    rig_crash(r, SIM_CRASH_KILL);
    rig_run(r, SIM_HOUR);
    rig_boot(r);
    schedules_set_submit(r->schedules, submit, &s);
    rig_run(r, 2 * SIM_MINUTE + SIM_SECOND);
    assert_int_equal(s.count, 2);
    rig_free(r);
}

static void a_single_run_fires_once_also_when_missed(void **state) {
    (void)state;
    struct submits s;
    struct rig *r = booted(&s);
    int64_t id = add(r, &s, 60, 0, NULL), later = add(r, &s, 120, 0, NULL);
    rig_run(r, 61 * SIM_SECOND);
    assert_int_equal(s.count, 1);
    rig_crash(r, SIM_CRASH_KILL);
    rig_run(r, SIM_HOUR);
    rig_boot(r);
    schedules_set_submit(r->schedules, submit, &s);
    rig_run(r, SIM_HOUR);
    assert_int_equal(s.count, 2);
    assert_int_equal(look(r, id).next_ms, 0);
    assert_int_equal(look(r, later).next_ms, 0);
    rig_free(r);
}

/* Killed at any moment around the start of a run: it is started at most once. */
static void a_kill_during_the_start_never_starts_twice(void **state) {
    (void)state;
    for (int steps = 0; steps < 12; steps++) {
        struct submits s;
        struct rig *r = booted(&s);
        int64_t id = add(r, &s, 60, 0, NULL);
        rig_run(r, 59900 * SIM_MS);
        for (int i = 0; i < 1000 && s.count == 0 && look(r, id).last_ms == 0; i++) {
            sim_step(r->sim);
        }
        for (int i = 0; i < steps; i++) {
            sim_step(r->sim);
        }
        reboot(r, &s);
        rig_run(r, SIM_HOUR);
        assert_true(s.count <= 1);
        struct seen x = look(r, id);
        assert_int_equal(x.next_ms, 0);
        assert_true(s.count == 1 || strstr(x.error, "was restarted") != NULL);
        rig_free(r);
    }
}

static void a_failed_start_is_kept_and_the_series_goes_on(void **state) {
    (void)state;
    struct submits s;
    struct rig *r = booted(&s);
    s.refuse = 1;
    int64_t id = add(r, &s, 60, 60, NULL);
    rig_run(r, 61 * SIM_SECOND);
    assert_non_null(strstr(look(r, id).error, "empty-target"));
    s.refuse = 0;
    rig_run(r, SIM_MINUTE);
    assert_string_equal(look(r, id).error, "");
    assert_int_equal(s.count, 2);
    rig_free(r);
}

static void secrets_are_kept_sealed_until_they_are_needed(void **state) {
    (void)state;
    struct submits s;
    struct rig *r = booted(&s);
    json_t *sensitive = json_pack("{s:s}", "password", "quietstone77");
    int64_t id = add(r, &s, 60, 3600, sensitive);
    json_decref(sensitive);
    assert_true(look(r, id).secret_len > 12);
    reboot(r, &s);
    rig_run(r, 61 * SIM_SECOND);
    assert_string_equal(s.secret, "quietstone77");
    assert_true(span_find_span(buf_span(&r->log), SPAN("quietstone77")) < 0);
    rig_free(r);
}

static void disabled_schedules_never_fire(void **state) {
    (void)state;
    struct submits s;
    struct rig *r = booted(&s);
    struct error err = ERROR_INIT;
    int64_t id = add(r, &s, 60, 60, NULL);
    s.dones = 0;
    assert_true(schedules_disable(r->schedules, id, done, &s, &err));
    assert_true(sim_run_until(r->sim, SIM_SECOND, is_done, &s));
    assert_int_equal(schedules_count(r->schedules), 0);
    reboot(r, &s);
    rig_run(r, SIM_HOUR);
    assert_int_equal(s.count, 0);
    struct store_schedule row = row_at(r, 60, 0);
    row.id = id;
    assert_false(schedules_replace(r->schedules, &row, NULL, true, done, &s, &err));
    assert_true(error_is(&err, "puppetlabs.orchestrator/disabled-scheduled-job"));
    row.id = 4711;
    assert_false(schedules_replace(r->schedules, &row, NULL, true, done, &s, &err));
    assert_true(error_is(&err, "puppetlabs.orchestrator/unknown-job"));
    assert_false(schedules_disable(r->schedules, 4711, done, &s, &err));
    assert_true(error_is(&err, "puppetlabs.orchestrator/unknown-job"));
    row.start_ms = world_wall_ms(r->w) - 1;
    assert_false(schedules_add(r->schedules, &row, NULL, done, &s, &err));
    assert_true(error_is(&err, "puppetlabs.orchestrator/invalid-time"));
    error_clear(&err);
    rig_free(r);
}

static void a_replaced_schedule_follows_its_new_times(void **state) {
    (void)state;
    struct submits s;
    struct rig *r = booted(&s);
    struct error err = ERROR_INIT;
    int64_t id = add(r, &s, 60, 60, NULL);
    struct store_schedule row = row_at(r, 7200, 0);
    row.id = id;
    s.dones = 0;
    assert_true(schedules_replace(r->schedules, &row, NULL, true, done, &s, &err));
    assert_true(sim_run_until(r->sim, SIM_SECOND, is_done, &s));
    rig_run(r, SIM_HOUR);
    assert_int_equal(s.count, 0);
    rig_run(r, SIM_HOUR + SIM_SECOND);
    assert_int_equal(s.count, 1);
    rig_free(r);
}

/* While a run comes due, its user changes or disables the schedule: neither undoes the other. */
static void a_change_and_a_due_run_meet(void **state) {
    (void)state;
    for (int at_us = -1200; at_us <= 1200; at_us += 100) {
        for (int disable = 0; disable < 2; disable++) {
            struct submits s;
            struct rig *r = booted(&s);
            struct error err = ERROR_INIT;
            struct store_schedule row = row_at(r, 3600, 3600);
            s.dones = 0;
            assert_true(schedules_add(r->schedules, &row, NULL, done, &s, &err));
            assert_true(sim_run_until(r->sim, SIM_SECOND, is_done, &s));
            row.id = s.done_id;
            rig_run(r, (uint64_t)((row.start_ms - world_wall_ms(r->w)) * 1000 + at_us));
            row.description = SPAN("changed");
            s.dones = 0;
            assert_true(disable ? schedules_disable(r->schedules, row.id, done, &s, &err)
                                : schedules_replace(r->schedules, &row, NULL, true, done, &s, &err));
            assert_true(sim_run_until(r->sim, SIM_SECOND, is_done, &s));
            rig_run(r, SIM_HOUR + SIM_SECOND);
            struct seen x = look(r, row.id);
            assert_int_equal(x.enabled, !disable);
            assert_int_equal(x.next_ms, disable ? 0 : row.start_ms + 2 * 3600 * 1000);
            assert_string_equal(x.description, disable ? "" : "changed");
            assert_true(disable ? s.count <= 1 : s.count == 2);
            assert_int_equal(x.last_ms == 0, s.count == 0);
            reboot(r, &s);
            rig_run(r, SIM_HOUR);
            assert_true(disable ? s.count <= 1 : s.count == 3);
            rig_free(r);
        }
    }
}

static void a_jump_of_the_clock_is_noticed(void **state) {
    (void)state;
    struct submits s;
    struct rig *r = booted(&s);
    add(r, &s, 86400, 0, NULL);
    sim_clock_jump(r->w, 86400 * 1000);
    rig_run(r, 31 * SIM_SECOND);
    assert_int_equal(s.count, 1);
    rig_free(r);
}

/* ---------------------------------------------------------------------------------------- plan jobs */

static int64_t start_plan(struct rig *r, struct submits *s, uint32_t timeout_s) {
    struct store_plan plan = {.name = SPAN("deploy::all"),
                              .owner_login = SPAN("mira"),
                              .outside = true,
                              .timeout_s = timeout_s,
                              .options = SPAN("{}"),
                              .owner = SPAN("{}"),
                              .userdata = SPAN("{}")};
    s->dones = 0;
    engine_plan_start(r->engine, &plan, done, s);
    assert_true(sim_run_until(r->sim, SIM_SECOND, is_done, s));
    return s->done_id;
}

static void finish_plan(struct rig *r, struct submits *s, int64_t id) {
    s->dones = 0;
    engine_plan_finish(r->engine, id, PLAN_SUCCESS, SPAN("[1,2]"), done, s);
    assert_true(sim_run_until(r->sim, SIM_SECOND, is_done, s));
}

static void take_plan(void *ctx, const struct store_plan *plan) {
    *(enum plan_state *)ctx = plan->state;
}

static enum plan_state plan_state(struct rig *r, int64_t id) {
    enum plan_state state = PLAN_STATES;
    bool found;
    assert_true(store_plan(r->store, id, take_plan, &state, &found, NULL));
    assert_true(found);
    return state;
}

static bool plan_event_line(void *ctx, const struct store_plan_event *e) {
    buf_printf(ctx, "%.*s %.*s\n", (int)e->type.len, e->type.ptr, (int)e->details.len, e->details.ptr);
    return true;
}

static void a_plan_job_holds_its_tasks_and_ends_once(void **state) {
    (void)state;
    struct submits s;
    struct rig *r = booted(&s);
    int64_t plan = start_plan(r, &s, 0);
    assert_true(engine_plan_running(r->engine, plan));
    int64_t job = rig_task(r, 1, 1, &(struct job_request){.type = JOB_PLAN_TASK, .command = "plan_task", .plan = plan});
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    finish_plan(r, &s, plan);
    assert_string_equal(s.done_error, "");
    assert_int_equal(plan_state(r, plan), PLAN_SUCCESS);
    struct buf events = BUF_INIT;
    assert_true(store_plan_events(r->store, plan, 0, -1, plan_event_line, &events, NULL));
    assert_string_equal(events.ptr,
                        "task_start {\"job-id\":\"1\"}\nplan_finished {\"plan-id\":\"1\",\"result\":[1,2]}\n");
    buf_free(&events);
    finish_plan(r, &s, plan);
    assert_string_equal(s.done_error, "puppetlabs.orchestrator/plan-already-finished");
    finish_plan(r, &s, 4711);
    assert_string_equal(s.done_error, "puppetlabs.orchestrator/unknown-job");
    assert_int_equal(rig_task(r, 1, 1, &(struct job_request){.type = JOB_PLAN_TASK, .plan = plan}), 0);
    assert_string_equal(r->start_error, "puppetlabs.orchestrator/plan-already-finished");
    rig_free(r);
}

static void plans_that_nobody_finishes_end_by_themselves(void **state) {
    (void)state;
    struct submits s;
    struct rig *r = booted(&s);
    int64_t limited = start_plan(r, &s, 100), standard = start_plan(r, &s, 0);
    rig_run(r, 101 * SIM_SECOND);
    assert_int_equal(plan_state(r, limited), PLAN_FAILURE);
    assert_int_equal(plan_state(r, standard), PLAN_RUNNING);
    reboot(r, &s);
    rig_run(r, SIM_SECOND);
    assert_int_equal(plan_state(r, standard), PLAN_FAILURE);
    rig_free(r);
}

/* ---------------------------------------------------------------------------------------- retention */

static bool exists(struct rig *r, int64_t job) {
    struct store_jobs_filter all = {0};
    struct store_page page = {.limit = 0};
    int64_t total;
    (void)job;
    assert_true(store_jobs_page(r->store, &page, &all, NULL, NULL, &total, NULL));
    return total != 0;
}

static void check_10_jobs_go_after_thirty_days(void **state) {
    (void)state;
    struct submits s;
    struct rig *r = booted(&s);
    struct retention *retention = retention_new(r->w, &r->config, r->store, NULL, NULL);
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    rig_run(r, 29 * DAY);
    assert_true(exists(r, job));
    rig_run(r, 2 * DAY);
    assert_false(exists(r, job));
    retention_free(retention);
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_9_an_interval_survives_a_restart_and_fires_once_each_time),
        cmocka_unit_test(runs_missed_while_down_are_not_made_up),
        cmocka_unit_test(a_single_run_fires_once_also_when_missed),
        cmocka_unit_test(a_kill_during_the_start_never_starts_twice),
        cmocka_unit_test(a_failed_start_is_kept_and_the_series_goes_on),
        cmocka_unit_test(secrets_are_kept_sealed_until_they_are_needed),
        cmocka_unit_test(disabled_schedules_never_fire),
        cmocka_unit_test(a_replaced_schedule_follows_its_new_times),
        cmocka_unit_test(a_change_and_a_due_run_meet),
        cmocka_unit_test(a_jump_of_the_clock_is_noticed),
        cmocka_unit_test(a_plan_job_holds_its_tasks_and_ends_once),
        cmocka_unit_test(plans_that_nobody_finishes_end_by_themselves),
        cmocka_unit_test(check_10_jobs_go_after_thirty_days),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
