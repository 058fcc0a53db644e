/* The checks an engine must pass (orchestrator-jobs.md §15; 9 and 10: test_schedules.c) and their neighbours. */
#include "base/json.h"
#include "base/mem.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void check_1_concurrency_two_five_nodes(void **state) {
    (void)state;
    struct rig *r = rig_booted(5);
    int64_t job = rig_task(r, 1, 5, &(struct job_request){.concurrency = 2});
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    assert_int_equal(rig_peak(r, job), 2);
    rig_expect_counts(r, job, 5, 0, 0, 0);
    rig_free(r);
}

static void the_pools_bound_all_jobs_together(void **state) {
    (void)state;
    struct rig *r = rig_new(1, 20);
    r->config.task_concurrency = 4;
    r->config.global_concurrent_compiles = 3;
    rig_boot(r);
    for (int i = 0; i < 20; i++) {
        r->agents[i].takes_ms = 1000;
    }
    int64_t a = rig_task(r, 1, 10, NULL), b = rig_task(r, 11, 20, NULL), c = rig_deploy(r, 1, 10, NULL);
    rig_run(r, 500 * SIM_MS);
    assert_int_equal(engine_metrics(r->engine)->nodes_running, 7);
    uint32_t counts[NODE_STATES];
    rig_run(r, 3 * SIM_SECOND);
    rig_counts(r, b, counts); /* jobs take turns: the second does not wait for all of the first */
    assert_true(counts[NODE_FINISHED] >= 3);
    assert_true(rig_finish(r, a, 60 * SIM_SECOND) && rig_finish(r, b, 60 * SIM_SECOND) &&
                rig_finish(r, c, 60 * SIM_SECOND));
    assert_true(rig_peak(r, c) <= 3);
    rig_free(r);
}

static void check_2_a_chain_is_skipped_behind_a_failure(void **state) {
    (void)state;
    struct rig *r = rig_booted(4);
    r->agents[0].status = "failed";
    struct job_edge edges[] = {{1, 2, false}, {0, 1, false}};
    int64_t job = rig_deploy(r, 1, 4, &(struct job_request){.edges = edges, .edge_count = 2});
    assert_true(rig_finish(r, job, 30 * SIM_SECOND));
    assert_int_equal(rig_state(r, job), JOB_FAILED);
    rig_expect_counts(r, job, 1, 1, 0, 2);
    char *events = rig_events(r, job);
    assert_non_null(strstr(events, "node1 failed\nnode2 skipped\nnode3 skipped\n"));
    mem_free(events);
    json_t *n = rig_node(r, job, "node3");
    assert_string_equal(json_str(json_object_get(n, "details"), "detail"), "node2 was skipped");
    assert_true(json_is_null(json_object_get(n, "result")));
    json_decref(n);
    rig_free(r);
}

static void check_3_a_silent_agent_is_asked_exactly_so_often(void **state) {
    (void)state;
    struct rig *r = rig_booted(1);
    r->agents[0].takes_ms = 10 * 3600 * 1000;
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_true(rig_until_running(r, job, 1));
    r->agents[0].deaf = true;
    assert_false(rig_finish(r, job, (35 * 12 + 11) * SIM_SECOND));
    assert_true(rig_finish(r, job, 2 * SIM_SECOND));
    assert_int_equal(r->agents[0].status_queries, 35);
    rig_expect_counts(r, job, 0, 0, 1, 0);
    rig_expect_msg(r, job, "node1", "35 status queries");
    rig_free(r);
}

static void an_answer_starts_the_count_anew(void **state) {
    (void)state;
    struct rig *r = rig_booted(1);
    r->agents[0].takes_ms = 2000 * 1000;
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_true(rig_until_running(r, job, 1));
    for (int i = 0; i < 4; i++) {
        r->agents[0].deaf = true;
        rig_run(r, 30 * 12 * SIM_SECOND);
        r->agents[0].deaf = false;
        rig_run(r, 30 * SIM_SECOND);
    }
    assert_true(rig_finish(r, job, 600 * SIM_SECOND));
    rig_expect_counts(r, job, 1, 0, 0, 0);
    rig_free(r);
}

static void check_4_a_lost_connection_changes_nothing(void **state) {
    (void)state;
    struct rig *r = rig_booted(1);
    r->agents[0].takes_ms = 3000;
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_true(rig_until_running(r, job, 1));
    rig_connect(r, 1, -1);
    rig_run(r, 7 * SIM_SECOND); /* it ends while nobody hears it */
    assert_int_equal(rig_state(r, job), JOB_RUNNING);
    rig_connect(r, 1, 0);
    assert_true(rig_finish(r, job, SIM_SECOND)); /* asked at once, not after twelve seconds */
    rig_expect_counts(r, job, 1, 0, 0, 0);
    assert_int_equal(r->agents[0].runs, 1);
    assert_int_equal(r->agents[0].requests, 1);
    rig_free(r);
}

static void a_broker_that_comes_back_changes_nothing(void **state) {
    (void)state;
    struct rig *r = rig_booted(3);
    for (int i = 0; i < 3; i++) {
        r->agents[i].takes_ms = 3000;
    }
    int64_t job = rig_task(r, 1, 3, NULL);
    assert_true(rig_until_running(r, job, 3));
    rig_broker_down(r, 0);
    rig_run(r, 600 * SIM_SECOND); /* longer than silence is allowed: but the silence is not the agents' */
    assert_int_equal(rig_state(r, job), JOB_RUNNING);
    rig_broker_up(r, 0);
    assert_true(rig_finish(r, job, 20 * SIM_SECOND));
    rig_expect_counts(r, job, 3, 0, 0, 0);
    rig_free(r);
}

static void nodes_are_reached_over_the_broker_that_has_them(void **state) {
    (void)state;
    struct rig *r = rig_new(1, 4);
    r->broker_count = 2;
    r->agents[2].broker = r->agents[3].broker = 1;
    rig_boot(r);
    for (int i = 0; i < 4; i++) {
        r->agents[i].takes_ms = 20000;
    }
    struct brokers_node n;
    assert_true(brokers_find(r->brokers, SPAN("node3"), &n));
    assert_string_equal(n.broker, "pcp://broker-2/server");
    int64_t job = rig_task(r, 1, 4, NULL);
    assert_true(rig_until_running(r, job, 4));
    rig_broker_down(r, 1);
    rig_run(r, 5 * SIM_SECOND);
    assert_false(brokers_find(r->brokers, SPAN("node3"), &n));
    rig_connect(r, 3, 0); /* its agent fails over */
    rig_connect(r, 4, 0);
    assert_true(rig_finish(r, job, 30 * SIM_SECOND));
    rig_expect_counts(r, job, 4, 0, 0, 0);
    rig_free(r);
}

static void check_5_stop_with_one_running_three_waiting(void **state) {
    (void)state;
    struct rig *r = rig_booted(4);
    r->agents[0].takes_ms = 5000;
    int64_t job = rig_task(r, 1, 4, &(struct job_request){.concurrency = 1});
    assert_true(rig_until_running(r, job, 1));
    rig_stop(r, job, false);
    assert_int_equal(r->stop_counts[NODE_SKIPPED], 3);
    assert_int_equal(r->stop_counts[NODE_RUNNING], 1);
    assert_int_equal(rig_state(r, job), JOB_STOPPING);
    rig_stop(r, job, false); /* any number of times */
    assert_int_equal(r->stop_counts[NODE_SKIPPED], 3);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    assert_int_equal(rig_state(r, job), JOB_STOPPED);
    rig_expect_counts(r, job, 1, 0, 0, 3);
    char *events = rig_events(r, job);
    assert_non_null(strstr(events, "job_stopping"));
    mem_free(events);
    rig_stop(r, job, false); /* also when it is over */
    assert_int_equal(r->stop_counts[NODE_FINISHED], 1);
    rig_stop(r, 4711, false);
    assert_string_equal(r->start_error, "puppetlabs.orchestrator/unknown-job");
    rig_free(r);
}

static void a_stop_before_anything_runs_skips_everything(void **state) {
    (void)state;
    struct rig *r = rig_booted(2);
    rig_connect(r, 1, -1);
    rig_connect(r, 2, -1);
    rig_run(r, SIM_SECOND);
    int64_t job = rig_task(r, 1, 2, NULL);
    rig_stop(r, job, false);
    assert_int_equal(rig_state(r, job), JOB_STOPPED);
    rig_expect_counts(r, job, 0, 0, 0, 2);
    rig_free(r);
}

static void a_forced_stop_ends_what_runs(void **state) {
    (void)state;
    struct rig *r = rig_booted(3);
    for (int i = 0; i < 3; i++) {
        r->agents[i].takes_ms = 3600000;
    }
    r->agents[1].unkillable = true;
    int64_t job = rig_task(r, 1, 3, &(struct job_request){.concurrency = 2});
    assert_true(rig_until_running(r, job, 2));
    rig_stop(r, job, false);
    rig_stop(r, job, true); /* escalates */
    rig_run(r, SIM_SECOND);
    uint32_t c[NODE_STATES];
    rig_counts(r, job, c);
    assert_int_equal(c[NODE_STOPPED], 1);
    assert_int_equal(c[NODE_STOPPING], 1);
    assert_true(rig_finish(r, job, 31 * SIM_SECOND)); /* the unkillable one is given up */
    rig_counts(r, job, c);
    assert_int_equal(c[NODE_STOPPED], 2);
    assert_int_equal(c[NODE_SKIPPED], 1);
    assert_int_equal(rig_state(r, job), JOB_STOPPED);
    rig_check_events(r, job);
    rig_expect_msg(r, job, "node1", "stopped by force");
    rig_free(r);
}

struct poll {
    struct rig *r;
    int64_t next;
    int events, over;
};

static bool poll_event(void *ctx, const struct store_event *e) {
    struct poll *p = ctx;
    assert_true(e->id >= p->next);
    p->events++;
    p->next = e->id + 1;
    p->over += e->type == EVENT_JOB_FINISHED ? 1 : 0;
    return true;
}

static void check_6_polling_from_an_id_sees_every_event_once(void **state) {
    (void)state;
    struct rig *r = rig_booted(50);
    for (int i = 0; i < 50; i++) {
        r->agents[i].takes_ms = (uint32_t)(37 * i);
    }
    int64_t noise = rig_task(r, 1, 50, NULL), job = rig_task(r, 1, 50, &(struct job_request){.concurrency = 7});
    struct poll p = {r, 0, 0, 0};
    for (int i = 0; i < 10000 && p.over == 0; i++) {
        sim_step(r->sim);
        int64_t horizon = store_event_horizon(r->store);
        assert_true(store_events(r->store, job, p.next, -1, poll_event, &p, NULL));
        assert_true(p.next <= horizon); /* nothing appears behind what a client was told to ask for next */
        p.next = horizon;
    }
    assert_int_equal(p.events, 50 + 50 + 1);
    assert_true(rig_finish(r, noise, 60 * SIM_SECOND));
    rig_free(r);
}

static void crash_in_mid_job(enum sim_crash_kind kind, uint64_t seed, uint64_t after_us) {
    struct rig *r = rig_new(seed, 30);
    r->config.task_concurrency = 10;
    rig_boot(r);
    for (int i = 0; i < 30; i++) {
        r->agents[i].takes_ms = (uint32_t)(20 + 40 * (i % 7));
        r->agents[i].exitcode = i % 5 == 0;
    }
    int64_t job = rig_task(r, 1, 30, NULL);
    for (int times = 0; times < 3; times++) {
        rig_run(r, after_us);
        rig_crash(r, kind);
        rig_boot(r);
    }
    assert_true(rig_finish(r, job, 300 * SIM_SECOND));
    rig_expect_counts(r, job, 24, 6, 0, 0);
    for (int i = 0; i < 30; i++) {
        assert_int_equal(r->agents[i].runs, 1);
    }
    rig_free(r);
}

static void check_7_after_kill_9_every_node_ends_once_with_its_outcome(void **state) {
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        crash_in_mid_job(SIM_CRASH_KILL, seed, seed * 17 * SIM_MS);
        crash_in_mid_job(SIM_CRASH_POWER, seed, seed * 23 * SIM_MS);
    }
}

static void check_7_by_policy_fail_the_job_is_aborted(void **state) {
    (void)state;
    struct rig *r = rig_new(1, 3);
    r->config.restart_policy = RESTART_FAIL;
    rig_boot(r);
    r->agents[0].takes_ms = 60000;
    r->agents[1].takes_ms = 10;
    int64_t job = rig_task(r, 1, 3, &(struct job_request){.concurrency = 2});
    rig_run(r, SIM_SECOND);
    rig_crash(r, SIM_CRASH_KILL);
    rig_boot(r);
    assert_true(rig_finish(r, job, SIM_SECOND));
    assert_int_equal(rig_state(r, job), JOB_FAILED);
    char *events = rig_events(r, job);
    assert_non_null(strstr(events, "job_aborted\n"));
    mem_free(events);
    uint32_t c[NODE_STATES];
    rig_counts(r, job, c);
    assert_int_equal(c[NODE_ERRORED] + c[NODE_FINISHED], 3);
    assert_true(c[NODE_FINISHED] >= 1);
    rig_check_events(r, job);
    rig_free(r);
}

/* Looks at every file of the orchestrator's host and at its log. */
static void expect_nowhere(struct rig *r, const char *text) {
    const char *files[] = {"/var/orchestrator.db", "/var/orchestrator.db-wal"};
    for (size_t i = 0; i < 2; i++) {
        struct buf bytes = BUF_INIT;
        if (world_file_read(r->w, files[i], 1 << 28, &bytes, NULL)) {
            assert_true(bytes.len > 0);
            assert_true(span_find_span(buf_span(&bytes), span_of(text)) < 0);
        }
        buf_free(&bytes);
    }
    assert_true(span_find_span(buf_span(&r->log), span_of(text)) < 0);
}

static void check_8_a_sensitive_value_is_stored_nowhere(void **state) {
    (void)state;
    struct rig *r = rig_booted(3);
    r->agents[0].takes_ms = 2000;
    json_t *params = json_pack("{s:s, s:s}", "password", "quietstone77", "user", "mira"),
           *names = json_pack("[s]", "password");
    struct job_request req = {.params = params, .sensitive = names, .concurrency = 1};
    int64_t job = rig_task(r, 1, 3, &req);
    assert_true(rig_until_running(r, job, 1));
    expect_nowhere(r, "quietstone77");
    rig_crash(r, SIM_CRASH_KILL); /* the others still need it */
    rig_boot(r);
    assert_true(rig_finish(r, job, 30 * SIM_SECOND));
    rig_expect_counts(r, job, 3, 0, 0, 0);
    for (int i = 0; i < 3; i++) {
        json_t *sent = json_parse(buf_span(&r->agents[i].last_params), "test", NULL);
        assert_string_equal(json_str(json_object_get(sent, "input"), "password"), "quietstone77");
        json_decref(sent);
    }
    expect_nowhere(r, "quietstone77");
    json_decref(params);
    json_decref(names);
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_1_concurrency_two_five_nodes),
        cmocka_unit_test(the_pools_bound_all_jobs_together),
        cmocka_unit_test(check_2_a_chain_is_skipped_behind_a_failure),
        cmocka_unit_test(check_3_a_silent_agent_is_asked_exactly_so_often),
        cmocka_unit_test(an_answer_starts_the_count_anew),
        cmocka_unit_test(check_4_a_lost_connection_changes_nothing),
        cmocka_unit_test(a_broker_that_comes_back_changes_nothing),
        cmocka_unit_test(nodes_are_reached_over_the_broker_that_has_them),
        cmocka_unit_test(check_5_stop_with_one_running_three_waiting),
        cmocka_unit_test(a_stop_before_anything_runs_skips_everything),
        cmocka_unit_test(a_forced_stop_ends_what_runs),
        cmocka_unit_test(check_6_polling_from_an_id_sees_every_event_once),
        cmocka_unit_test(check_7_after_kill_9_every_node_ends_once_with_its_outcome),
        cmocka_unit_test(check_7_by_policy_fail_the_job_is_aborted),
        cmocka_unit_test(check_8_a_sensitive_value_is_stored_nowhere),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
