/* Puppet runs: reports, run order, flags. */
#include "base/json.h"
#include "base/mem.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_puppet_run_ends_with_its_report(void **state) {
    (void)state;
    struct rig *r = rig_booted(2);
    json_t *options = json_pack("{s:s, s:b, s:s}", "environment", "staging", "noop", 1, "tags", "web,db");
    int64_t job = rig_deploy(r, 1, 2, &(struct job_request){.options = options, .noop = true});
    json_decref(options);
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    rig_expect_counts(r, job, 2, 0, 0, 0);
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
    struct rig *r = rig_booted(2);
    r->agents[0].no_report = true;
    int64_t job = rig_deploy(r, 1, 2, NULL);
    assert_false(rig_finish(r, job, 29 * SIM_SECOND));
    assert_true(rig_finish(r, job, 3 * SIM_SECOND));
    rig_expect_counts(r, job, 2, 0, 0, 0);
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
    rig_expect_counts(r, job, 300, 0, 0, 0);
    assert_true(r->report_queries <= 5);
    rig_free(r);
}

/* More rows than one turn of the loop takes; the service may die, or the job be stopped, while some are left. */
static void a_long_answer_is_worked_through_in_parts(void **state) {
    (void)state;
    enum { NODES = 1100, WHOLE, DIES, STOPPED };
    for (int how = WHOLE; how <= STOPPED; how++) {
        struct rig *r = rig_new(1, NODES);
        uint32_t counts[NODE_STATES] = {0};
        r->config.global_concurrent_compiles = 0;
        rig_boot(r);
        int64_t job = rig_deploy(r, 1, NODES, NULL);
        for (int tries = 0; how != WHOLE && counts[NODE_FINISHED] == 0; tries++) {
            assert_true(tries < 100000);
            rig_run(r, 100);
            rig_counts(r, job, counts);
        }
        if (how == DIES) {
            assert_true(counts[NODE_FINISHED] < NODES);
            rig_crash(r, SIM_CRASH_KILL);
            rig_boot(r);
        } else if (how == STOPPED) {
            rig_stop(r, job, true);
        }
        assert_true(rig_finish(r, job, 300 * SIM_SECOND));
        rig_check_events(r, job);
        if (how != STOPPED) {
            rig_expect_counts(r, job, NODES, 0, 0, 0);
        }
        rig_free(r);
    }
}

static void a_flag_the_agent_would_refuse_is_refused_at_once(void **state) {
    (void)state;
    struct rig *r = rig_booted(1);
    json_t *options = json_pack("{s:s, s:s}", "environment", "production", "tags", "web; rm -rf /");
    assert_int_equal(rig_deploy(r, 1, 1, &(struct job_request){.options = options}), 0);
    assert_string_equal(r->start_error, "puppetlabs.orchestrator/validation-error");
    json_decref(options);
    rig_free(r);
}

static void a_chain_that_succeeds_runs_in_order(void **state) {
    (void)state;
    struct rig *r = rig_booted(3);
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
    struct rig *r = rig_booted(3);
    struct job_edge edges[] = {{0, 1, true}};
    int64_t job = rig_deploy(r, 1, 3, &(struct job_request){.edges = edges, .edge_count = 1});
    assert_true(rig_finish(r, job, 30 * SIM_SECOND));
    rig_expect_counts(r, job, 3, 0, 0, 0);
    assert_int_equal(r->catalog_queries, 1);
    r->no_catalogs = true; /* then it goes on without, and says so */
    job = rig_deploy(r, 1, 3, &(struct job_request){.edges = edges, .edge_count = 1});
    assert_false(rig_finish(r, job, 29 * SIM_SECOND));
    assert_true(rig_finish(r, job, 10 * SIM_SECOND));
    rig_expect_counts(r, job, 3, 0, 0, 0);
    json_t *n = rig_node(r, job, "node1");
    assert_string_equal(json_str(json_object_get(n, "result"), "capability-wait"), "timed out");
    json_decref(n);
    rig_free(r);
}

static void a_circle_is_refused(void **state) {
    (void)state;
    struct rig *r = rig_booted(4);
    struct job_edge two[] = {{0, 1, false}, {1, 0, false}};
    assert_int_equal(rig_deploy(r, 1, 2, &(struct job_request){.edges = two, .edge_count = 2}), 0);
    assert_string_equal(r->start_error, "puppetlabs.orchestrator/dependency-cycle");
    /* Who only waits for the circle is not in it. */
    struct job_edge four[] = {{0, 1, false}, {1, 2, false}, {2, 1, false}, {2, 3, false}};
    assert_int_equal(rig_deploy(r, 1, 4, &(struct job_request){.edges = four, .edge_count = 4}), 0);
    json_t *details = json_parse(span_of(r->start_details), "test", NULL);
    const json_t *cycle = json_object_get(details, "cycle");
    assert_int_equal(json_array_size(cycle), 3);
    assert_string_equal(json_string_value(json_array_get(cycle, 0)), json_string_value(json_array_get(cycle, 2)));
    for (size_t i = 0; i < 2; i++) {
        const char *name = json_string_value(json_array_get(cycle, i));
        assert_true(strcmp(name, r->agents[1].name) == 0 || strcmp(name, r->agents[2].name) == 0);
    }
    json_decref(details);
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_puppet_run_ends_with_its_report),
        cmocka_unit_test(a_report_that_never_comes_is_awaited_then_missed),
        cmocka_unit_test(reports_are_asked_for_once_a_second_per_job),
        cmocka_unit_test(a_long_answer_is_worked_through_in_parts),
        cmocka_unit_test(a_flag_the_agent_would_refuse_is_refused_at_once),
        cmocka_unit_test(a_chain_that_succeeds_runs_in_order),
        cmocka_unit_test(a_consumer_waits_for_its_producers_catalog),
        cmocka_unit_test(a_circle_is_refused),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
