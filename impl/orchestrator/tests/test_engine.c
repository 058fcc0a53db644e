/* Each way a node can end (orchestrator-jobs.md §7). */
#include "base/json.h"
#include "base/mem.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_task_runs_on_every_node(void **state) {
    (void)state;
    struct rig *r = rig_booted(5);
    int64_t job = rig_task(r, 1, 5, NULL);
    assert_int_equal(job, 1);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    assert_int_equal(rig_state(r, job), JOB_FINISHED);
    rig_expect_counts(r, job, 5, 0, 0, 0);
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
    struct rig *r = rig_booted(2);
    r->agents[0].exitcode = 3;
    r->agents[0].out = "";
    r->agents[0].err = "no such disk";
    int64_t job = rig_task(r, 1, 2, NULL);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    assert_int_equal(rig_state(r, job), JOB_FAILED);
    rig_expect_counts(r, job, 1, 1, 0, 0);
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
    struct rig *r = rig_booted(1);
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
    struct rig *r = rig_booted(2);
    rig_connect(r, 1, -1);
    rig_run(r, SIM_SECOND);
    int64_t job = rig_task(r, 1, 2, NULL);
    assert_false(rig_finish(r, job, 29 * SIM_SECOND));
    assert_true(rig_finish(r, job, 2 * SIM_SECOND));
    rig_expect_counts(r, job, 1, 0, 1, 0);
    rig_expect_msg(r, job, "node1", "node1 is not connected to the PCP broker");
    rig_free(r);
}

static void a_node_that_appears_in_time_runs(void **state) {
    (void)state;
    struct rig *r = rig_booted(2);
    rig_connect(r, 1, -1);
    rig_run(r, SIM_SECOND);
    int64_t job = rig_task(r, 1, 2, NULL);
    rig_run(r, 20 * SIM_SECOND);
    rig_connect(r, 1, 0);
    assert_true(rig_finish(r, job, 5 * SIM_SECOND));
    rig_expect_counts(r, job, 2, 0, 0, 0);
    rig_free(r);
}

static void a_node_the_broker_cannot_reach_is_tried_once_more(void **state) {
    (void)state;
    struct rig *r = rig_booted(2);
    r->agents[0].pcp_error = "Not connected."; /* although the inventory lists it */
    r->agents[1].pcp_error = "Not connected.";
    int64_t job = rig_task(r, 1, 2, NULL);
    rig_run(r, 300 * SIM_MS);
    r->agents[1].pcp_error = NULL;
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    rig_expect_counts(r, job, 1, 0, 1, 0);
    rig_expect_msg(r, job, "node1", "not connected");
    assert_int_equal(r->agents[1].runs, 1);
    rig_free(r);
}

static void refusals_and_errors_end_the_node_with_their_text(void **state) {
    (void)state;
    struct rig *r = rig_booted(3);
    r->agents[0].pcp_error = "Message not authorized.";
    r->agents[1].rpc_error = "invalid input for non blocking 'task run' request";
    r->agents[2].rpc_error = "unknown module: task";
    int64_t job = rig_task(r, 1, 3, NULL);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    rig_expect_counts(r, job, 0, 0, 3, 0);
    rig_expect_msg(r, job, "node1", "Message not authorized.");
    rig_expect_msg(r, job, "node2", "invalid input");
    rig_expect_msg(r, job, "node3", "5.1.0");
    rig_free(r);
}

static void a_lost_request_is_sent_again_with_the_same_transaction(void **state) {
    (void)state;
    struct rig *r = rig_booted(2);
    r->agents[0].loses_requests = 3;
    r->agents[1].loses_requests = 4;
    int64_t job = rig_task(r, 1, 2, NULL);
    assert_true(rig_finish(r, job, 300 * SIM_SECOND));
    rig_expect_counts(r, job, 1, 0, 1, 0);
    assert_int_equal(r->agents[0].requests, 4);
    assert_int_equal(r->agents[0].runs, 1);
    assert_int_equal(r->agents[1].requests, 4);
    rig_expect_msg(r, job, "node2", "does not know");
    rig_free(r);
}

static void a_lost_provisional_response_is_asked_for(void **state) {
    (void)state;
    struct rig *r = rig_booted(1);
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
    rig_expect_counts(r, job, 1, 0, 0, 0);
    assert_int_equal(r->agents[0].runs, 1);
    rig_free(r);
}

static void a_lost_outcome_is_taken_from_the_status_query(void **state) {
    (void)state;
    struct rig *r = rig_booted(2);
    r->agents[0].no_outcome = r->agents[1].no_outcome = true;
    r->agents[1].exitcode = 1;
    r->agents[1].out = "broken";
    int64_t job = rig_task(r, 1, 2, NULL);
    assert_true(rig_finish(r, job, 13 * SIM_SECOND));
    rig_expect_counts(r, job, 1, 1, 0, 0);
    json_t *n = rig_node(r, job, "node2");
    assert_string_equal(json_str(json_object_get(n, "result"), "_output"), "broken");
    json_decref(n);
    rig_free(r);
}

static void a_result_the_agent_has_forgotten_is_an_error(void **state) {
    (void)state;
    struct rig *r = rig_booted(1);
    r->agents[0].no_outcome = r->agents[0].forgetful = true;
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_true(rig_finish(r, job, 30 * SIM_SECOND));
    rig_expect_counts(r, job, 0, 0, 1, 0);
    rig_expect_msg(r, job, "node1", "found no results directory");
    rig_free(r);
}

static void the_time_limit_ends_a_node(void **state) {
    (void)state;
    struct rig *r = rig_booted(1);
    r->agents[0].takes_ms = 600000;
    int64_t job = rig_task(r, 1, 1, &(struct job_request){.timeout_s = 20});
    assert_true(rig_finish(r, job, 22 * SIM_SECOND));
    rig_expect_counts(r, job, 0, 0, 1, 0);
    rig_expect_msg(r, job, "node1", "time limit of 20 s");
    assert_int_equal(engine_metrics(r->engine)->kills_sent, 1);
    rig_run(r, SIM_SECOND);
    assert_true(engine_metrics(r->engine)->strays >= 1); /* what the killed task said came too late */
    rig_free(r);
}

static void nodes_without_an_agent_are_errored(void **state) {
    (void)state;
    struct rig *r = rig_booted(1);
    struct job_node nodes[] = {{SPAN("win1"), TRANSPORT_WINRM}};
    int64_t job = rig_task(r, 1, 1, &(struct job_request){.nodes = nodes});
    assert_true(rig_finish(r, job, SIM_SECOND));
    rig_expect_counts(r, job, 0, 0, 1, 0);
    rig_expect_msg(r, job, "win1", "winrm");
    rig_free(r);
}

static void an_answer_from_another_node_is_ignored(void **state) {
    (void)state;
    struct rig *r = rig_booted(2);
    r->agents[0].takes_ms = 5000;
    int64_t job = rig_task(r, 1, 1, NULL);
    assert_true(rig_until_running(r, job, 1));
    snprintf(r->agents[0].name, sizeof r->agents[0].name, "mallory"); /* same connection, another certificate */
    rig_run(r, 6 * SIM_SECOND);
    assert_int_equal(rig_state(r, job), JOB_RUNNING);
    assert_int_equal(engine_metrics(r->engine)->strays, 1);
    snprintf(r->agents[0].name, sizeof r->agents[0].name, "node1");
    assert_true(rig_finish(r, job, 20 * SIM_SECOND));
    rig_expect_counts(r, job, 1, 0, 0, 0);
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
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
