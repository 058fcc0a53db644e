/* What agents' answers mean, and how rows are shown. */
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/jobs/flags.h"
#include "orchestrator/jobs/outcome.h"
#include "orchestrator/jobs/render.h"
#include "orchestrator/jobs/secrets.h"
#include "simulator/world/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void tasks_end_by_exit_code_and_error(void **state) {
    static const struct {
        int exitcode;
        const char *out, *err;
        enum node_state state;
        const char *detail;
    } cases[] = {
        {0, "{\"a\": 1.50}\n", "", NODE_FINISHED, "{\"a\": 1.50}"}, /* byte for byte */
        {0, "hello\n", "noise", NODE_FINISHED, "{\"_output\":\"hello\\n\"}"},
        {0, "", "", NODE_FINISHED, "{\"_output\":\"\"}"},
        {0, "[1]", "", NODE_FINISHED, "{\"_output\":\"[1]\"}"},
        {0, "null", "", NODE_FINISHED, "{\"_output\":\"null\"}"},
        {0, "{\"a\":", "", NODE_FINISHED, "{\"_output\":\"{\\\"a\\\":\"}"},
        {0, "{\"_error\":{\"msg\":\"no\"}}", "", NODE_FAILED, "{\"_error\":{\"msg\":\"no\"}}"},
        {2, "{\"_error\":{\"msg\":\"no\"}}", "", NODE_FAILED, "{\"_error\":{\"msg\":\"no\"}}"},
        {0, "{\"a\":1,\"_sensitive\":{\"pw\":\"x\"}}", "", NODE_FINISHED,
         "{\"a\":1,\"_sensitive\":\"Sensitive: [value redacted]\"}"},
        {4, "", "bad disk", NODE_FAILED,
         "{\"_output\":\"\",\"_error\":{\"msg\":\"Task exited 4:\\nbad disk\",\"kind\":\"puppetlabs.tasks/task-error\","
         "\"details\":{\"exitcode\":4,\"exit_code\":4}}}"},
        {1, "{\"a\":1}", "ignored", NODE_FAILED,
         "{\"a\":1,\"_error\":{\"msg\":\"Task exited 1:\\n\",\"kind\":\"puppetlabs.tasks/task-error\","
         "\"details\":{\"exitcode\":1,\"exit_code\":1}}}"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf detail = BUF_INIT;
        assert_int_equal(outcome_task(cases[i].exitcode, span_of(cases[i].out), span_of(cases[i].err), &detail),
                         cases[i].state);
        assert_string_equal(detail.ptr, cases[i].detail);
        buf_free(&detail);
    }
}

static void results_without_an_exit_code_are_no_results(void **state) {
    (void)state;
    struct buf detail = BUF_INIT;
    enum node_state end;
    json_t *results = json_pack("{s:s}", "stdout", "x"), *array = json_array();
    assert_false(outcome_task_results(results, &end, &detail));
    assert_false(outcome_task_results(array, &end, &detail));
    assert_false(outcome_task_results(NULL, &end, &detail));
    json_decref(results);
    json_decref(array);
    buf_free(&detail);
}

static void runs_come_as_objects_or_as_text_of_one(void **state) {
    (void)state;
    json_t *object =
        json_pack("{s:s, s:s, s:s}", "status", "changed", "transaction_uuid", "u-1", "environment", "unknown");
    struct deploy_outcome *o = outcome_deploy(object);
    assert_non_null(o);
    assert_true(deploy_outcome_ran(o));
    assert_null(o->environment);
    deploy_outcome_free(o);
    char *text = json_text(object);
    json_t *wrapped = json_pack("{s:s, s:i}", "stdout", text, "exitcode", 0);
    o = outcome_deploy(wrapped);
    assert_non_null(o);
    assert_string_equal(o->transaction_uuid, "u-1");
    deploy_outcome_free(o);
    mem_free(text);
    json_decref(object);
    json_decref(wrapped);

    json_t *locked = json_pack("{s:s, s:s, s:s, s:s}", "status", "unknown", "transaction_uuid", "unknown", "error_type",
                               "agent_locked", "error", "Run already in progress");
    o = outcome_deploy(locked);
    assert_false(deploy_outcome_ran(o));
    assert_string_equal(o->error, "Run already in progress");
    deploy_outcome_free(o);
    json_decref(locked);

    json_t *nonsense = json_pack("{s:i}", "answer", 42);
    assert_null(outcome_deploy(nonsense));
    json_decref(nonsense);
}

static void counts_are_the_agents_or_else_the_reports(void **state) {
    (void)state;
    struct deploy_outcome o = {.status = "changed", .transaction_uuid = "u-1"};
    struct buf detail = BUF_INIT;
    o.report = json_pack("{s:s, s:s, s:s, s:{s:[{s:s, s:s, s:i}, {s:s, s:s, s:f}]}}", "status", "failed", "hash", "h",
                         "environment", "staging", "metrics", "data", "category", "resources", "name", "out-of-sync",
                         "value", 3, "category", "time", "name", "total", "value", 1.5);
    assert_int_equal(outcome_deploy_detail(&o, "missing", false, true, "https://c/", 4, SPAN("n"), &detail),
                     NODE_FAILED);
    assert_string_equal(detail.ptr,
                        "{\"hash\":\"h\",\"noop\":{\"noop\":false,\"no_noop\":true},\"status\":\"failed\","
                        "\"metrics\":{\"out_of_sync\":3},\"report-url\":\"https://c/#/run/jobs/4/nodes/n/report\","
                        "\"environment\":\"staging\",\"transaction_uuid\":\"u-1\"}");
    o.metrics = json_pack("{s:i, s:i}", "total", 212, "failed_to_restart", 1);
    o.capability_late = true;
    buf_clear(&detail);
    outcome_deploy_detail(&o, "missing", false, false, NULL, 4, SPAN("n"), &detail);
    assert_non_null(strstr(detail.ptr, "\"metrics\":{\"total\":212,\"failed_to_restart\":1},"));
    assert_non_null(strstr(detail.ptr, "\"capability-wait\":\"timed out\""));
    json_decref(o.report);
    o.report = NULL;
    buf_clear(&detail);
    assert_int_equal(outcome_deploy_detail(&o, "missing", false, false, NULL, 4, SPAN("n"), &detail), NODE_FINISHED);
    assert_non_null(strstr(detail.ptr, "\"message\":\"missing\""));
    json_decref(o.metrics);
    buf_free(&detail);
}

static void flags_follow_the_request(void **state) {
    static const struct {
        const char *options, *flags;
    } cases[] = {
        {"{\"environment\":\"\"}", "[\"--no-use_cached_catalog\",\"--no-splay\"]"},
        {"{\"environment\":\"a\",\"enforce_environment\":false}", "[\"--no-use_cached_catalog\",\"--no-splay\"]"},
        {"{\"environment\":\"a_b\"}",
         "[\"--environment\",\"a_b\",\"--strict_environment_mode\",\"--no-use_cached_catalog\",\"--no-splay\"]"},
        {"{\"no_noop\":true,\"debug\":true,\"trace\":false,\"evaltrace\":true,\"filetimeout\":12,\"use_cached_"
         "catalog\":true,"
         "\"usecacheonfailure\":false}",
         "[\"--no-noop\",\"--debug\",\"--evaltrace\",\"--filetimeout\",\"12\",\"--use_cached_catalog\","
         "\"--no-usecacheonfailure\",\"--no-splay\"]"},
        {"{\"tags\":\"a b\"}", NULL},
        {"{\"environment\":\"../x\"}", NULL},
        {"{\"skip_tags\":\"\"}", NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct error err = ERROR_INIT;
        json_t *options = json_parse(span_of(cases[i].options), "test", NULL), *flags = deploy_flags(options, &err);
        if (cases[i].flags == NULL) {
            assert_null(flags);
            assert_true(error_is(&err, "puppetlabs.orchestrator/validation-error"));
        } else {
            char *text = json_text(flags);
            assert_string_equal(text, cases[i].flags);
            mem_free(text);
        }
        error_clear(&err);
        json_decref(options);
        json_decref(flags);
    }
}

static void expect_event(const struct store_event *e, const char *expected) {
    struct buf out = BUF_INIT;
    render_event(&out, e);
    assert_string_equal(out.ptr, expected);
    buf_free(&out);
}

static void events_are_worded_as_clients_know_them(void **state) {
    (void)state;
    struct store_event e = {.id = 7,
                            .job = 1,
                            .node = 0,
                            .ts_ms = 1709194530000,
                            .node_name = SPAN("web7"),
                            .detail = SPAN("{\"noop\":false}")};
    expect_event(&e,
                 "{\"id\":\"7\",\"type\":\"node_running\",\"timestamp\":\"2024-02-29T08:15:30Z\",\"details\":{\"node\":"
                 "\"web7\",\"detail\":{\"noop\":false}},\"message\":\"Started puppet run on web7 ...\"}");
    e.job_type = JOB_TASK;
    e.type = EVENT_NODE_FINISHED;
    e.detail = SPAN("");
    expect_event(
        &e, "{\"id\":\"7\",\"type\":\"node_finished\",\"timestamp\":\"2024-02-29T08:15:30Z\",\"details\":{\"node\":"
            "\"web7\",\"detail\":{}},\"message\":\"Finished on node web7\"}");
    struct buf detail = BUF_INIT;
    outcome_error(&detail, SPAN("web7"), SPAN("a \"quoted\" \\ cause"));
    e.job_type = JOB_DEPLOY;
    e.type = EVENT_NODE_ERRORED;
    e.detail = buf_span(&detail);
    struct buf message = BUF_INIT;
    render_event_message(&message, &e);
    assert_string_equal(message.ptr, "\"Error running puppet on web7: a \\\"quoted\\\" \\\\ cause\"");
    buf_free(&message);
    buf_free(&detail);
    e = (struct store_event){.id = 9,
                             .node = -1,
                             .type = EVENT_JOB_FINISHED,
                             .ts_ms = 1709194530000,
                             .detail = SPAN("{\"state\":\"stopped\",\"node_states\":{}}")};
    expect_event(
        &e, "{\"id\":\"9\",\"type\":\"job_finished\",\"timestamp\":\"2024-02-29T08:15:30Z\",\"details\":{\"state\":"
            "\"stopped\",\"node_states\":{}},\"message\":\"Job finished: stopped\"}");
}

static void a_job_is_shown_whole(void **state) {
    (void)state;
    struct store_job job = {.id = 4711,
                            .type = JOB_TASK,
                            .state = JOB_FINISHED,
                            .command = SPAN("task"),
                            .environment = SPAN("staging"),
                            .description = SPAN("bounce \"nginx\""),
                            .node_count = 1,
                            .counts = {[NODE_FINISHED] = 1},
                            .ts_ms = 1709194533500,
                            .started_ms = 1709194530000,
                            .finished_ms = 1709194533500,
                            .options = SPAN("{\"task\":\"service\"}"),
                            .owner = SPAN("{\"login\":\"mira\"}")};
    job.entered_ms[JOB_NEW] = job.entered_ms[JOB_READY] = 1709194530000;
    job.entered_ms[JOB_FINISHED] = 1709194533500;
    struct buf out = BUF_INIT;
    render_job(&out, &job, "https://o:8143/orchestrator/v1", 0);
    assert_string_equal(
        out.ptr,
        "{\"id\":\"https://o:8143/orchestrator/v1/jobs/"
        "4711\",\"name\":\"4711\",\"state\":\"finished\",\"command\":\"task\","
        "\"type\":\"task\",\"options\":{\"task\":\"service\"},\"owner\":{\"login\":\"mira\"},\"description\":\"bounce "
        "\\\"nginx\\\"\",\"environment\":{\"name\":\"staging\"},\"timestamp\":\"2024-02-29T08:15:33Z\","
        "\"started_timestamp\":\"2024-02-29T08:15:30Z\",\"finished_timestamp\":\"2024-02-29T08:15:33Z\",\"duration\":3."
        "5,"
        "\"node_count\":1,\"node_states\":{\"finished\":1},\"nodes\":{\"id\":\"https://o:8143/orchestrator/v1/jobs/"
        "4711/"
        "nodes\"},\"report\":{\"id\":\"https://o:8143/orchestrator/v1/jobs/4711/report\"},\"events\":{\"id\":\"https://"
        "o:8143/orchestrator/v1/jobs/4711/"
        "events\"},\"status\":[{\"state\":\"new\",\"enter_time\":\"2024-02-29T08:15:30Z\","
        "\"exit_time\":\"2024-02-29T08:15:30Z\"},{\"state\":\"ready\",\"enter_time\":\"2024-02-29T08:15:30Z\",\"exit_"
        "time\":"
        "\"2024-02-29T08:15:33Z\"},{\"state\":\"finished\",\"enter_time\":\"2024-02-29T08:15:33Z\",\"exit_time\":null}]"
        ","
        "\"userdata\":{}}");
    buf_free(&out);
}

static void long_messages_of_plans_are_cut_between_characters(void **state) {
    (void)state;
    struct buf details = BUF_INIT, out = BUF_INIT;
    buf_append_cstr(&details, "{\"message\":\"");
    for (int i = 0; i < 600; i++) {
        buf_append_cstr(&details, i == 0 ? "x" : "\xc3\xa4"); /* 1,199 bytes; a character lies across byte 1,024 */
    }
    buf_append_cstr(&details, "\"}");
    struct store_plan_event e = {.id = 1, .type = SPAN("out_message"), .details = buf_span(&details)};
    render_plan_event(&out, &e, false);
    json_t *shown = json_parse(buf_span(&out), "test", NULL);
    assert_int_equal(strlen(json_str(json_object_get(shown, "details"), "message")), 1023);
    json_decref(shown);
    buf_clear(&out);
    render_plan_event(&out, &e, true);
    shown = json_parse(buf_span(&out), "test", NULL);
    assert_int_equal(strlen(json_str(json_object_get(shown, "details"), "message")), 1199);
    json_decref(shown);
    buf_free(&out);
    buf_free(&details);
}

static void states_move_forward_only(void **state) {
    (void)state;
    for (int from = 0; from < NODE_STATES; from++) {
        for (int to = 0; to < NODE_STATES; to++) {
            bool allowed = node_state_step((enum node_state)from, (enum node_state)to);
            assert_false(allowed && (node_state_final((enum node_state)from) || to <= from));
        }
    }
    for (int from = 0; from < JOB_STATES; from++) {
        for (int to = 0; to < JOB_STATES; to++) {
            assert_false(job_state_step((enum job_state)from, (enum job_state)to) &&
                         (job_state_final((enum job_state)from) || to <= from));
        }
    }
    enum job_state s;
    assert_true(job_state_parse("stopping", &s));
    assert_int_equal(s, JOB_STOPPING);
    assert_false(job_state_parse("unheard-of", &s));
    assert_false(job_state_parse(NULL, &s));
}

static void sealed_values_open_with_their_key_and_purpose_only(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    struct world *w = sim_host(sim, "o");
    uint8_t key[SECRET_KEY_LEN] = {1}, other[SECRET_KEY_LEN] = {2}, again[SECRET_KEY_LEN];
    struct buf sealed = BUF_INIT, open = BUF_INIT;
    secret_seal(w, key, "job", SPAN("quietstone"), &sealed);
    assert_int_equal(sealed.len, 10 + SECRET_OVERHEAD);
    assert_true(secret_open(key, "job", buf_span(&sealed), &open));
    assert_string_equal(open.ptr, "quietstone");
    assert_false(secret_open(other, "job", buf_span(&sealed), &open));
    assert_false(secret_open(key, "schedule", buf_span(&sealed), &open));
    assert_false(secret_open(key, "job", span_sub(buf_span(&sealed), 0, sealed.len - 1), &open));
    assert_false(secret_open(key, "job", SPAN("short"), &open));
    for (size_t i = 0; i < sealed.len; i++) {
        sealed.ptr[i] = (char)(sealed.ptr[i] ^ 1);
        assert_false(secret_open(key, "job", buf_span(&sealed), &open));
        sealed.ptr[i] = (char)(sealed.ptr[i] ^ 1);
    }
    assert_int_equal(open.len, 10);

    struct error err = ERROR_INIT;
    struct world_stat st;
    assert_true(secret_key_load(w, "/key", key, &err));
    assert_true(world_file_stat(w, "/key", &st, NULL));
    assert_int_equal(st.mode, 0600);
    assert_true(secret_key_load(w, "/key", again, &err));
    assert_memory_equal(key, again, sizeof key);
    assert_true(world_file_chmod(w, "/key", 0640, NULL));
    assert_false(secret_key_load(w, "/key", again, &err));
    assert_true(error_is(&err, "configuration"));
    assert_true(world_file_write(w, "/short", SPAN("abc"), 0600, WORLD_WRITE_PLAIN, NULL));
    assert_false(secret_key_load(w, "/short", again, &err));
    assert_false(secret_key_load(w, "/absent/key", again, &err));
    error_clear(&err);
    buf_free(&sealed);
    buf_free(&open);
    sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_end_by_exit_code_and_error),
        cmocka_unit_test(results_without_an_exit_code_are_no_results),
        cmocka_unit_test(runs_come_as_objects_or_as_text_of_one),
        cmocka_unit_test(counts_are_the_agents_or_else_the_reports),
        cmocka_unit_test(flags_follow_the_request),
        cmocka_unit_test(events_are_worded_as_clients_know_them),
        cmocka_unit_test(a_job_is_shown_whole),
        cmocka_unit_test(long_messages_of_plans_are_cut_between_characters),
        cmocka_unit_test(states_move_forward_only),
        cmocka_unit_test(sealed_values_open_with_their_key_and_purpose_only),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
