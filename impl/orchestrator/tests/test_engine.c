/* The checks an engine must pass (orchestrator-jobs.md §15), and each way a node can end (§7, §8). */
#include "base/json.h"
#include "base/mem.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct rig *booted(int agents) {
    struct rig *r = rig_new(1, agents);
    rig_boot(r);
    return r;
}

static void expect_counts(struct rig *r, int64_t job, uint32_t finished, uint32_t failed, uint32_t errored,
                          uint32_t skipped) {
    uint32_t c[NODE_STATES];
    rig_counts(r, job, c);
    assert_int_equal(c[NODE_FINISHED], finished);
    assert_int_equal(c[NODE_FAILED], failed);
    assert_int_equal(c[NODE_ERRORED], errored);
    assert_int_equal(c[NODE_SKIPPED], skipped);
    rig_check_events(r, job);
}

static void expect_msg(struct rig *r, int64_t job, const char *node, const char *text) {
    json_t *n = rig_node(r, job, node);
    const char *msg = json_str(json_object_get(n, "result"), "msg");
    assert_string_equal(json_str(json_object_get(n, "result"), "kind"), "puppetlabs.orchestrator/execution-failure");
    assert_string_equal(json_str(json_object_get(json_object_get(n, "result"), "details"), "node"), node);
    if (msg == NULL || strstr(msg, text) == NULL) {
        fail_msg("%s: \"%s\" is not about \"%s\"", node, msg, text);
    }
    json_decref(n);
}

/* ---------------------------------------------------------------------------------------- ends */

static void a_task_runs_on_every_node(void **state) {
    (void)state;
    struct rig *r = booted(5);
    int64_t job = rig_task(r, 1, 5, NULL);
    assert_int_equal(job, 1);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    assert_int_equal(rig_state(r, job), JOB_FINISHED);
    expect_counts(r, job, 5, 0, 0, 0);
    json_t *n = rig_node(r, job, "node3");
    assert_true(json_is_true(json_object_get(json_object_get(n, "result"), "ok")));
    assert_string_equal(json_str(n, "state"), "finished");
    json_decref(n);
    json_t *sent = json_parse(buf_span(&r->agents[2].last_params), "test", NULL);
    assert_string_equal(json_str(sent, "task"), "echo");
    assert_string_equal(json_str(sent, "input_method"), "stdin");
    assert_string_equal(json_str(json_object_get(sent, "input"), "_task"), "echo");
    assert_string_equal(json_str(json_object_get(sent, "input"), "message"), "hello");
    json_decref(sent);
    assert_int_equal(engine_metrics(r->engine)->nodes_running, 0);
    assert_int_equal(engine_metrics(r->engine)->status_queries, 0);
    rig_free(r);
}

static void a_task_that_exits_with_an_error_fails_its_node_and_the_job(void **state) {
    (void)state;
    struct rig *r = booted(2);
    r->agents[0].exitcode = 3;
    r->agents[0].out = "";
    r->agents[0].err = "no such disk";
    int64_t job = rig_task(r, 1, 2, NULL);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    assert_int_equal(rig_state(r, job), JOB_FAILED);
    expect_counts(r, job, 1, 1, 0, 0);
    json_t *n = rig_node(r, job, "node1");
    json_t *error = json_object_get(json_object_get(n, "result"), "_error");
    assert_string_equal(json_str(error, "kind"), "puppetlabs.tasks/task-error");
    assert_string_equal(json_str(error, "msg"), "Task exited 3:\nno such disk");
    assert_int_equal(json_int(json_object_get(error, "details"), "exitcode", 0), 3);
    json_decref(n);
    rig_free(r);
}

static void an_outcome_before_the_provisional_response_counts(void **state) {
    (void)state;
    struct rig *r = booted(1);
    r->agents[0].no_provisional = true;
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    char *events = rig_events(r, job);
    assert_string_equal(events, "node1 running\nnode1 finished\njob_finished\n");
    mem_free(events);
    rig_free(r);
}

static void a_node_that_is_not_connected_is_awaited_then_errored(void **state) {
    (void)state;
    struct rig *r = booted(2);
    rig_connect(r, 1, -1);
    rig_run(r, SIM_SECOND);
    int64_t job = rig_task(r, 1, 2, NULL);
    assert_false(rig_finish(r, job, 29 * SIM_SECOND));
    assert_true(rig_finish(r, job, 2 * SIM_SECOND));
    expect_counts(r, job, 1, 0, 1, 0);
    expect_msg(r, job, "node1", "node1 is not connected to the PCP broker");
    rig_free(r);
}

static void a_node_that_appears_in_time_runs(void **state) {
    (void)state;
    struct rig *r = booted(2);
    rig_connect(r, 1, -1);
    rig_run(r, SIM_SECOND);
    int64_t job = rig_task(r, 1, 2, NULL);
    rig_run(r, 20 * SIM_SECOND);
    rig_connect(r, 1, 0);
    assert_true(rig_finish(r, job, 5 * SIM_SECOND));
    expect_counts(r, job, 2, 0, 0, 0);
    rig_free(r);
}

static void a_node_the_broker_cannot_reach_is_tried_once_more(void **state) {
    (void)state;
    struct rig *r = booted(2);
    r->agents[0].pcp_error = "Not connected."; /* although the inventory lists it */
    r->agents[1].pcp_error = "Not connected.";
    int64_t job = rig_task(r, 1, 2, NULL);
    rig_run(r, 300 * SIM_MS);
    r->agents[1].pcp_error = NULL;
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    expect_counts(r, job, 1, 0, 1, 0);
    expect_msg(r, job, "node1", "not connected");
    assert_int_equal(r->agents[1].runs, 1);
    rig_free(r);
}

static void refusals_and_errors_end_the_node_with_their_text(void **state) {
    (void)state;
    struct rig *r = booted(3);
    r->agents[0].pcp_error = "Message not authorized.";
    r->agents[1].rpc_error = "invalid input for non blocking 'task run' request";
    r->agents[2].rpc_error = "unknown module: task";
    int64_t job = rig_task(r, 1, 3, NULL);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    expect_counts(r, job, 0, 0, 3, 0);
    expect_msg(r, job, "node1", "Message not authorized.");
    expect_msg(r, job, "node2", "invalid input");
    expect_msg(r, job, "node3", "5.1.0");
    rig_free(r);
}

static void a_lost_request_is_sent_again_with_the_same_transaction(void **state) {
    (void)state;
    struct rig *r = booted(2);
    r->agents[0].loses_requests = 3;
    r->agents[1].loses_requests = 4;
    int64_t job = rig_task(r, 1, 2, NULL);
    assert_true(rig_finish(r, job, 300 * SIM_SECOND));
    expect_counts(r, job, 1, 0, 1, 0);
    assert_int_equal(r->agents[0].requests, 4);
    assert_int_equal(r->agents[0].runs, 1);
    assert_int_equal(r->agents[1].requests, 4);
    expect_msg(r, job, "node2", "does not know");
    rig_free(r);
}

static void a_lost_provisional_response_is_asked_for(void **state) {
    (void)state;
    struct rig *r = booted(1);
    r->agents[0].no_provisional = true;
    r->agents[0].takes_ms = 60000;
    int64_t job = rig_task(r, 1, 1, NULL);
    rig_run(r, 29 * SIM_SECOND);
    assert_int_equal(r->agents[0].status_queries, 0);
    rig_run(r, 2 * SIM_SECOND);
    assert_int_equal(r->agents[0].status_queries, 1);
    uint32_t c[NODE_STATES];
    rig_counts(r, job, c);
    assert_int_equal(c[NODE_RUNNING], 1);
    assert_true(rig_finish(r, job, 60 * SIM_SECOND));
    expect_counts(r, job, 1, 0, 0, 0);
    assert_int_equal(r->agents[0].runs, 1);
    rig_free(r);
}

static void a_lost_outcome_is_taken_from_the_status_query(void **state) {
    (void)state;
    struct rig *r = booted(2);
    r->agents[0].no_outcome = r->agents[1].no_outcome = true;
    r->agents[1].exitcode = 1;
    r->agents[1].out = "broken";
    int64_t job = rig_task(r, 1, 2, NULL);
    assert_true(rig_finish(r, job, 13 * SIM_SECOND));
    expect_counts(r, job, 1, 1, 0, 0);
    json_t *n = rig_node(r, job, "node2");
    assert_string_equal(json_str(json_object_get(n, "result"), "_output"), "broken");
    json_decref(n);
    rig_free(r);
}

static void a_result_the_agent_has_forgotten_is_an_error(void **state) {
    (void)state;
    struct rig *r = booted(1);
    r->agents[0].no_outcome = r->agents[0].forgetful = true;
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_true(rig_finish(r, job, 30 * SIM_SECOND));
    expect_counts(r, job, 0, 0, 1, 0);
    expect_msg(r, job, "node1", "found no results directory");
    rig_free(r);
}

static void the_time_limit_ends_a_node(void **state) {
    (void)state;
    struct rig *r = booted(1);
    r->agents[0].takes_ms = 600000;
    int64_t job = rig_task(r, 1, 1, &(struct job_request){.timeout_s = 20});
    assert_true(rig_finish(r, job, 22 * SIM_SECOND));
    expect_counts(r, job, 0, 0, 1, 0);
    expect_msg(r, job, "node1", "time limit of 20 s");
    assert_int_equal(engine_metrics(r->engine)->kills_sent, 1);
    rig_run(r, SIM_SECOND);
    assert_true(engine_metrics(r->engine)->strays >= 1); /* what the killed task said came too late */
    rig_free(r);
}

static void nodes_without_an_agent_are_errored(void **state) {
    (void)state;
    struct rig *r = booted(1);
    struct job_node nodes[] = {{SPAN("win1"), TRANSPORT_WINRM}};
    int64_t job = rig_task(r, 1, 1, &(struct job_request){.nodes = nodes});
    assert_true(rig_finish(r, job, SIM_SECOND));
    expect_counts(r, job, 0, 0, 1, 0);
    expect_msg(r, job, "win1", "winrm");
    rig_free(r);
}

static void an_answer_from_another_node_is_ignored(void **state) {
    (void)state;
    struct rig *r = booted(2);
    r->agents[0].takes_ms = 5000;
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_true(rig_until_running(r, job, 1));
    snprintf(r->agents[0].name, sizeof r->agents[0].name, "mallory"); /* same connection, another certificate */
    rig_run(r, 6 * SIM_SECOND);
    assert_int_equal(rig_state(r, job), JOB_RUNNING);
    assert_int_equal(engine_metrics(r->engine)->strays, 1);
    snprintf(r->agents[0].name, sizeof r->agents[0].name, "node1");
    assert_true(rig_finish(r, job, 20 * SIM_SECOND));
    expect_counts(r, job, 1, 0, 0, 0);
    rig_free(r);
}

/* ---------------------------------------------------------------------------------------- §15 */

static void check_1_concurrency_two_five_nodes(void **state) {
    (void)state;
    struct rig *r = booted(5);
    int64_t job = rig_task(r, 1, 5, &(struct job_request){.concurrency = 2});
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    assert_int_equal(rig_peak(r, job), 2);
    expect_counts(r, job, 5, 0, 0, 0);
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
    struct rig *r = booted(4);
    r->agents[0].status = "failed";
    struct job_edge edges[] = {{1, 2, false}, {0, 1, false}};
    int64_t job = rig_deploy(r, 1, 4, &(struct job_request){.edges = edges, .edge_count = 2});
    assert_true(rig_finish(r, job, 30 * SIM_SECOND));
    assert_int_equal(rig_state(r, job), JOB_FAILED);
    expect_counts(r, job, 1, 1, 0, 2);
    char *events = rig_events(r, job);
    assert_non_null(strstr(events, "node1 failed\nnode2 skipped\nnode3 skipped\n"));
    mem_free(events);
    json_t *n = rig_node(r, job, "node3");
    assert_string_equal(json_str(json_object_get(n, "details"), "detail"), "node2 was skipped");
    assert_true(json_is_null(json_object_get(n, "result")));
    json_decref(n);
    rig_free(r);
}

static void a_chain_that_succeeds_runs_in_order(void **state) {
    (void)state;
    struct rig *r = booted(3);
    struct job_edge edges[] = {{1, 2, false}, {0, 1, false}};
    int64_t job = rig_deploy(r, 1, 3, &(struct job_request){.edges = edges, .edge_count = 2});
    assert_true(rig_finish(r, job, 30 * SIM_SECOND));
    char *events = rig_events(r, job);
    assert_string_equal(events, "node1 running\nnode1 finished\nnode2 running\nnode2 finished\nnode3 running\n"
                                "node3 finished\njob_finished\n");
    mem_free(events);
    rig_free(r);
}

static void a_consumer_waits_for_its_producers_catalog(void **state) {
    (void)state;
    struct rig *r = booted(3);
    struct job_edge edges[] = {{0, 1, true}};
    int64_t job = rig_deploy(r, 1, 3, &(struct job_request){.edges = edges, .edge_count = 1});
    assert_true(rig_finish(r, job, 30 * SIM_SECOND));
    expect_counts(r, job, 3, 0, 0, 0);
    assert_int_equal(r->catalog_queries, 1);
    r->no_catalogs = true; /* then it goes on without, and says so */
    job = rig_deploy(r, 1, 3, &(struct job_request){.edges = edges, .edge_count = 1});
    assert_false(rig_finish(r, job, 29 * SIM_SECOND));
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    expect_counts(r, job, 3, 0, 0, 0);
    json_t *n = rig_node(r, job, "node1");
    assert_string_equal(json_str(json_object_get(n, "result"), "capability-wait"), "timed out");
    json_decref(n);
    rig_free(r);
}

static void a_circle_is_refused(void **state) {
    (void)state;
    struct rig *r = booted(2);
    struct job_edge edges[] = {{0, 1, false}, {1, 0, false}};
    assert_int_equal(rig_deploy(r, 1, 2, &(struct job_request){.edges = edges, .edge_count = 2}), 0);
    assert_string_equal(r->start_error, "puppetlabs.orchestrator/dependency-cycle");
    rig_free(r);
}

static void check_3_a_silent_agent_is_asked_exactly_so_often(void **state) {
    (void)state;
    struct rig *r = booted(1);
    r->agents[0].takes_ms = 10 * 3600 * 1000;
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_true(rig_until_running(r, job, 1));
    r->agents[0].deaf = true;
    assert_false(rig_finish(r, job, (35 * 12 + 11) * SIM_SECOND));
    assert_true(rig_finish(r, job, 2 * SIM_SECOND));
    assert_int_equal(r->agents[0].status_queries, 35);
    expect_counts(r, job, 0, 0, 1, 0);
    expect_msg(r, job, "node1", "35 status queries");
    rig_free(r);
}

static void an_answer_starts_the_count_anew(void **state) {
    (void)state;
    struct rig *r = booted(1);
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
    expect_counts(r, job, 1, 0, 0, 0);
    rig_free(r);
}

static void check_4_a_lost_connection_changes_nothing(void **state) {
    (void)state;
    struct rig *r = booted(1);
    r->agents[0].takes_ms = 3000;
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_true(rig_until_running(r, job, 1));
    rig_connect(r, 1, -1);
    rig_run(r, 7 * SIM_SECOND); /* it ends while nobody hears it */
    assert_int_equal(rig_state(r, job), JOB_RUNNING);
    rig_connect(r, 1, 0);
    assert_true(rig_finish(r, job, SIM_SECOND)); /* asked at once, not after twelve seconds */
    expect_counts(r, job, 1, 0, 0, 0);
    assert_int_equal(r->agents[0].runs, 1);
    assert_int_equal(r->agents[0].requests, 1);
    rig_free(r);
}

static void a_broker_that_comes_back_changes_nothing(void **state) {
    (void)state;
    struct rig *r = booted(3);
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
    expect_counts(r, job, 3, 0, 0, 0);
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
    expect_counts(r, job, 4, 0, 0, 0);
    rig_free(r);
}

static void check_5_stop_with_one_running_three_waiting(void **state) {
    (void)state;
    struct rig *r = booted(4);
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
    expect_counts(r, job, 1, 0, 0, 3);
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
    struct rig *r = booted(2);
    rig_connect(r, 1, -1);
    rig_connect(r, 2, -1);
    rig_run(r, SIM_SECOND);
    int64_t job = rig_task(r, 1, 2, NULL);
    rig_stop(r, job, false);
    assert_int_equal(rig_state(r, job), JOB_STOPPED);
    expect_counts(r, job, 0, 0, 0, 2);
    rig_free(r);
}

static void a_forced_stop_ends_what_runs(void **state) {
    (void)state;
    struct rig *r = booted(3);
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
    expect_msg(r, job, "node1", "stopped by force");
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
    struct rig *r = booted(50);
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
    expect_counts(r, job, 24, 6, 0, 0);
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
    struct rig *r = booted(3);
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
    expect_counts(r, job, 3, 0, 0, 0);
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

/* ---------------------------------------------------------------------------------------- deploys */

static void a_puppet_run_ends_with_its_report(void **state) {
    (void)state;
    struct rig *r = booted(2);
    json_t *options = json_pack("{s:s, s:b, s:s}", "environment", "staging", "noop", 1, "tags", "web,db");
    int64_t job = rig_deploy(r, 1, 2, &(struct job_request){.options = options, .noop = true});
    json_decref(options);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    expect_counts(r, job, 2, 0, 0, 0);
    json_t *n = rig_node(r, job, "node1"), *result = json_object_get(n, "result");
    assert_string_equal(json_str(result, "hash"), "5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c");
    assert_int_equal(json_int(json_object_get(result, "metrics"), "total", 0), 212);
    assert_int_equal(json_int(json_object_get(result, "metrics"), "out_of_sync", 0), 3);
    assert_true(json_is_true(json_object_get(json_object_get(result, "noop"), "noop")));
    assert_string_equal(json_str(json_object_get(n, "details"), "report-url"),
                        "https://console.corp.test/#/run/jobs/1/nodes/node1/report");
    assert_string_equal(json_str(json_object_get(n, "details"), "message"), "Finished puppet run on node1 - Success! ");
    assert_non_null(json_str(n, "transaction_uuid"));
    json_decref(n);
    json_t *sent = json_parse(buf_span(&r->agents[0].last_params), "test", NULL);
    char *flags = json_text(json_object_get(sent, "flags"));
    assert_string_equal(flags,
                        "[\"--environment\",\"staging\",\"--strict_environment_mode\",\"--noop\",\"--tags\",\"web,db\","
                        "\"--no-use_cached_catalog\",\"--no-splay\"]");
    assert_string_equal(json_str(sent, "job"), "1");
    mem_free(flags);
    json_decref(sent);
    rig_free(r);
}

static void a_report_that_never_comes_is_awaited_then_missed(void **state) {
    (void)state;
    struct rig *r = booted(2);
    r->agents[0].no_report = true;
    int64_t job = rig_deploy(r, 1, 2, NULL);
    assert_false(rig_finish(r, job, 29 * SIM_SECOND));
    assert_true(rig_finish(r, job, 3 * SIM_SECOND));
    expect_counts(r, job, 2, 0, 0, 0);
    json_t *n = rig_node(r, job, "node1");
    assert_null(json_str(json_object_get(n, "result"), "hash"));
    assert_null(json_str(json_object_get(n, "details"), "report-url"));
    assert_non_null(strstr(json_str(json_object_get(n, "result"), "message"), "report request times out"));
    json_decref(n);
    rig_free(r);
}

static void reports_are_asked_for_once_a_second_per_job(void **state) {
    (void)state;
    struct rig *r = rig_new(1, 300);
    r->config.global_concurrent_compiles = 0;
    rig_boot(r);
    for (int i = 0; i < 300; i++) {
        r->agents[i].takes_ms = (uint32_t)(i * 10);
    }
    int64_t job = rig_deploy(r, 1, 300, NULL);
    assert_true(rig_finish(r, job, 20 * SIM_SECOND));
    expect_counts(r, job, 300, 0, 0, 0);
    assert_true(r->report_queries <= 5);
    rig_free(r);
}

static void a_flag_the_agent_would_refuse_is_refused_at_once(void **state) {
    (void)state;
    struct rig *r = booted(1);
    json_t *options = json_pack("{s:s, s:s}", "environment", "production", "tags", "web; rm -rf /");
    assert_int_equal(rig_deploy(r, 1, 1, &(struct job_request){.options = options}), 0);
    assert_string_equal(r->start_error, "puppetlabs.orchestrator/validation-error");
    json_decref(options);
    rig_free(r);
}

/* ---------------------------------------------------------------------------------------- limits and trouble */

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
    expect_counts(r, job, 20, 0, 0, 0);
    rig_free(r);
}

static void fresh(void *ctx, bool over) {
    struct poll *p = ctx;
    p->events++;
    p->over += over ? 1 : 0;
}

static void watchers_hear_of_events_and_of_the_end(void **state) {
    (void)state;
    struct rig *r = booted(2);
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
    struct rig *r = booted(4);
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
    expect_counts(r, job, 4, 0, 0, 0);
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_task_runs_on_every_node),
        cmocka_unit_test(a_task_that_exits_with_an_error_fails_its_node_and_the_job),
        cmocka_unit_test(an_outcome_before_the_provisional_response_counts),
        cmocka_unit_test(a_node_that_is_not_connected_is_awaited_then_errored),
        cmocka_unit_test(a_node_that_appears_in_time_runs),
        cmocka_unit_test(a_node_the_broker_cannot_reach_is_tried_once_more),
        cmocka_unit_test(refusals_and_errors_end_the_node_with_their_text),
        cmocka_unit_test(a_lost_request_is_sent_again_with_the_same_transaction),
        cmocka_unit_test(a_lost_provisional_response_is_asked_for),
        cmocka_unit_test(a_lost_outcome_is_taken_from_the_status_query),
        cmocka_unit_test(a_result_the_agent_has_forgotten_is_an_error),
        cmocka_unit_test(the_time_limit_ends_a_node),
        cmocka_unit_test(nodes_without_an_agent_are_errored),
        cmocka_unit_test(an_answer_from_another_node_is_ignored),
        cmocka_unit_test(check_1_concurrency_two_five_nodes),
        cmocka_unit_test(the_pools_bound_all_jobs_together),
        cmocka_unit_test(check_2_a_chain_is_skipped_behind_a_failure),
        cmocka_unit_test(a_chain_that_succeeds_runs_in_order),
        cmocka_unit_test(a_consumer_waits_for_its_producers_catalog),
        cmocka_unit_test(a_circle_is_refused),
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
        cmocka_unit_test(a_puppet_run_ends_with_its_report),
        cmocka_unit_test(a_report_that_never_comes_is_awaited_then_missed),
        cmocka_unit_test(reports_are_asked_for_once_a_second_per_job),
        cmocka_unit_test(a_flag_the_agent_would_refuse_is_refused_at_once),
        cmocka_unit_test(limits_refuse_jobs),
        cmocka_unit_test(a_full_disk_holds_work_back_and_loses_nothing),
        cmocka_unit_test(watchers_hear_of_events_and_of_the_end),
        cmocka_unit_test(draining_lets_what_runs_end_and_starts_nothing),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
