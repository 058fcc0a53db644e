/* Status queries, duplicates and what is found after a restart (agent.md §13, pxp.md §7.2). The records of the first
 * test are those the reference was asked about (golden/pxp-agent/spoolq-v2.jsonl). */
#include "agent/tests/bench.h"
#include "base/mem.h"

static void expect_status(struct bench *b, const char *transaction_id, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void expect_status(struct bench *b, const char *transaction_id, const char *format, ...) {
    struct buf expected = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_printf(&expected, "{\"transaction_id\":\"%s\",", transaction_id);
    buf_vprintf(&expected, format, args);
    va_end(args);
    char *status = bench_status(b, transaction_id);
    assert_string_equal(status, expected.ptr);
    mem_free(status);
    buf_free(&expected);
}

#define ERROR_TEXT(msg)                                                                                                \
    "\"stdout\":\"{\\\"_error\\\":{\\\"kind\\\":\\\"puppetlabs.pxp-agent/execution-error\\\",\\\"details\\\":{},"      \
    "\\\"msg\\\":\\\"" msg "\\\"}}\"}"
#define UNKNOWN(msg) "\"status\":\"unknown\"," ERROR_TEXT(msg)

static void put_record(struct bench *b, const char *id, const char *module, const char *more) {
    char *dir = str_printf(SPOOL "/%s", id);
    assert_true(world_file_mkdir(b->agent_host, dir, 0750, false, NULL));
    if (module != NULL) {
        char *path = str_printf("%s/metadata", dir);
        char *text = str_printf("{\"requester\":\"" CONTROLLER "\",\"module\":\"%s\",\"action\":\"run\","
                                "\"request_params\":\"{}\",\"transaction_id\":\"%s\",\"request_id\":\"r\","
                                "\"notify_outcome\":true,\"start\":\"2030-01-02T03:04:05.000001Z\",%s}\n",
                                module, id, more);
        bench_write(b, path, text);
        mem_free(path);
        mem_free(text);
    }
    mem_free(dir);
}

static void put_file(struct bench *b, const char *id, const char *name, const char *text) {
    char *path = str_printf(SPOOL "/%s/%s", id, name);
    bench_write(b, path, text);
    mem_free(path);
}

static void records_of_all_kinds(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.reference = true; /* else some of them were looked after at the start */
    put_record(b, "deadpid", "command", "\"status\":\"running\"");
    put_file(b, "deadpid", "pid", "999999\n");
    put_record(b, "nopid", "command", "\"status\":\"running\"");
    put_record(b, "badpid", "command", "\"status\":\"running\"");
    put_file(b, "badpid", "pid", "abc\n");
    put_record(b, "badjson", NULL, NULL);
    put_file(b, "badjson", "metadata", "{");
    put_record(b, "badrecord", NULL, NULL);
    put_file(b, "badrecord", "metadata", "{\"requester\":1}");
    put_record(b, "badstate", "command", "\"status\":\"great\"");
    put_record(b, "oddkey", "command", "\"status\":\"running\",\"colour\":\"blue\"");
    put_record(b, "oddtext", "command", "\"status\":\"running\",\"end\":7");
    put_record(b, "oddflag", "command", "\"status\":\"running\",\"results_are_valid\":\"yes\"");
    put_record(b, "nostatus", "command", "\"end\":\"x\"");
    put_record(b, "nometa", NULL, NULL);
    put_record(b, "unknownmod", "zork", "\"status\":\"running\"");
    put_record(b, "ended", "command", "\"status\":\"running\"");
    put_file(b, "ended", "pid", "999999\n");
    put_file(b, "ended", "stdout", "out");
    put_file(b, "ended", "stderr", "err");
    put_file(b, "ended", "exitcode", "7");
    put_record(b, "finished", "command",
               "\"status\":\"success\",\"end\":\"x\",\"results_are_valid\":true,"
               "\"results\":{\"exitcode\":0,\"stdout\":\"FROM RECORD\"}");
    put_file(b, "finished", "stdout", "FROM FILE");
    put_file(b, "finished", "stderr", "");
    put_file(b, "finished", "exitcode", "0\n");
    put_record(b, "noexit", "command",
               "\"status\":\"success\",\"end\":\"x\",\"results_are_valid\":true,\"results\":{\"exitcode\":0}");
    put_record(b, "failed", "command",
               "\"status\":\"failure\",\"end\":\"x\",\"results_are_valid\":false,\"execution_error\":\"why\"");
    bench_start(b);
    expect_status(b, "never", UNKNOWN("found no results directory"));
    for (int twice = 0; twice < 2; twice++) {
        expect_status(b, "deadpid", UNKNOWN("task process is not running, but no output is available"));
    }
    char *record = bench_read(b, SPOOL "/deadpid/metadata");
    assert_non_null(strstr(record, "\"status\":\"undetermined\""));
    mem_free(record);
    expect_status(b, "nopid", UNKNOWN("the PID and output of this task are not available"));
    expect_status(b, "badpid", UNKNOWN("the PID and output of this task are not available"));
    expect_status(b, "badjson", UNKNOWN("invalid JSON in metadata file of the transaction badjson"));
    expect_status(b, "badrecord", UNKNOWN("invalid data in metadata file of the transaction badrecord"));
    expect_status(b, "badstate", UNKNOWN("invalid data in metadata file of the transaction badstate"));
    expect_status(b, "oddkey", UNKNOWN("invalid data in metadata file of the transaction oddkey"));
    expect_status(b, "oddtext", UNKNOWN("invalid data in metadata file of the transaction oddtext"));
    expect_status(b, "oddflag", UNKNOWN("invalid data in metadata file of the transaction oddflag"));
    expect_status(b, "nostatus", UNKNOWN("invalid data in metadata file of the transaction nostatus"));
    expect_status(b, "nometa", UNKNOWN("metadata file of the transaction nometa does not exist"));
    expect_status(b, "unknownmod",
                  UNKNOWN("unexpected failure while retrieving metadata: unknown action stored in "
                          "metadata file: 'zork run'"));
    expect_status(b, "ended", "\"exitcode\":7,\"status\":\"failure\",\"stdout\":\"out\",\"stderr\":\"err\"}");
    expect_status(b, "ended", "\"exitcode\":7,\"status\":\"failure\",\"stdout\":\"out\",\"stderr\":\"err\"}");
    record = bench_read(b, SPOOL "/ended/metadata");
    assert_non_null(strstr(record, "\"status\":\"success\"")); /* on disk the exit code does not matter */
    assert_non_null(strstr(record, "\"results\":{\"exitcode\":7,\"stdout\":\"out\",\"stderr\":\"err\"}"));
    mem_free(record);
    expect_status(b, "finished", "\"exitcode\":0,\"status\":\"success\",\"stdout\":\"FROM FILE\"}");
    expect_status(b, "noexit",
                  "\"exitcode\":0,\"status\":\"success\"," ERROR_TEXT(
                      "failed to retrieve the output: failed to read file '" SPOOL "/noexit/exitcode'"));
    expect_status(b, "failed", "\"exitcode\":0,\"status\":\"failure\"," ERROR_TEXT("why"));
    expect_status(b, "..", UNKNOWN("found no results directory"));
    bench_free(b);
}

static void a_running_task(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"takes 5000;out x\"}", true));
    bench_expect(b, "rpc_provisional_response");
    bench_run(b, SIM_SECOND);
    assert_int_equal(agent_job_count(b->agent), 1);
    expect_status(b, "t", "\"status\":\"running\"}");
    bench_expect(b, "rpc_non_blocking_response");
    expect_status(b, "t", "\"exitcode\":0,\"status\":\"success\",\"stdout\":\"x\\n\"}");
    bench_free(b);
}

/* The agent died before it acknowledged: it had made the directory, and no record yet. */
static void a_transaction_that_was_never_begun_may_begin(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    put_record(b, "t", NULL, NULL);
    expect_status(b, "t", UNKNOWN("metadata file of the transaction t does not exist"));
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"out x\"}", true));
    bench_expect(b, "rpc_provisional_response");
    bench_expect(b, "rpc_non_blocking_response");
    expect_status(b, "t", "\"exitcode\":0,\"status\":\"success\",\"stdout\":\"x\\n\"}");
    assert_int_equal(b->runs, 1);
    bench_free(b);
}

static void duplicates_get_a_provisional_response_only(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    const char *params = "{\"command\":\"takes 2000;out x\"}";
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", params, true));
    bench_expect(b, "rpc_provisional_response");
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", params, true)); /* running */
    bench_expect_data(b, "rpc_provisional_response", "{\"transaction_id\":\"t\"}");
    bench_expect(b, "rpc_non_blocking_response");
    char *before = bench_read(b, SPOOL "/t/metadata");
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", params, true)); /* finished */
    bench_expect_data(b, "rpc_provisional_response", "{\"transaction_id\":\"t\"}");
    bench_crash(b, SIM_CRASH_KILL);
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", params, true)); /* after a restart */
    bench_expect_data(b, "rpc_provisional_response", "{\"transaction_id\":\"t\"}");
    bench_expect_nothing(b, SIM_MINUTE);
    char *after = bench_read(b, SPOOL "/t/metadata");
    assert_string_equal(before, after);
    assert_int_equal(b->runs, 1);
    mem_free(before);
    mem_free(after);
    bench_free(b);
}

static void two_controllers_use_one_agent(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
#define REQUEST(id, ms)                                                                                                \
    "{\"transaction_id\":\"" id "\",\"module\":\"command\",\"action\":\"run\",\"notify_outcome\":true,"                \
    "\"params\":{\"command\":\"takes " ms "\"}}"
    bench_send(b, "rpc_non_blocking_request", REQUEST("one", "2000"), NULL, "pcp://one.example.com/controller");
    bench_send(b, "rpc_non_blocking_request", REQUEST("two", "1000"), NULL, "pcp://two.example.com/x");
    const char *targets[] = {"pcp://one.example.com/controller", "pcp://two.example.com/x", "pcp://two.example.com/x",
                             "pcp://one.example.com/controller"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(bench_next(b)->target, targets[i]);
    }
#undef REQUEST
    bench_free(b);
}

/* pxp.md §5: the final state is kept whether or not it was asked for. */
static void without_notify_outcome_nothing_follows(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    mem_free(bench_request(b, NON_BLOCKING, "good", "command", "run", "{\"command\":\"out x\"}", false));
    mem_free(bench_request(b, NON_BLOCKING, "bad", "command", "run", "{\"command\":\"raw ff\"}", false));
    bench_expect(b, "rpc_provisional_response");
    bench_expect(b, "rpc_provisional_response");
    bench_expect_nothing(b, SIM_MINUTE);
    expect_status(b, "good", "\"exitcode\":0,\"status\":\"success\",\"stdout\":\"x\\n\"}");
    expect_status(b, "bad",
                  "\"exitcode\":0,\"status\":\"failure\"," ERROR_TEXT(
                      "The task executed for the non blocking 'command run' request (transaction bad) "
                      "returned invalid UTF-8 on stdout"));
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- restart */

static struct bench *running_then_killed(bool reference, enum sim_crash_kind kind) {
    struct bench *b = bench_new(1, PCP_V2);
    b->config.reference = reference;
    bench_start(b);
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"takes 20000;out x;exit 4\"}", true));
    bench_expect(b, "rpc_provisional_response");
    bench_run(b, SIM_SECOND);
    bench_crash(b, kind);
    return b;
}

static void a_task_survives_the_agent(void **state) {
    (void)state;
    struct bench *b = running_then_killed(false, SIM_CRASH_KILL);
    expect_status(b, "t", "\"status\":\"running\"}");
    bench_expect_data(b, "rpc_non_blocking_response",
                      "{\"transaction_id\":\"t\",\"results\":{\"exitcode\":4,\"stdout\":\"x\\n\"}}");
    expect_status(b, "t", "\"exitcode\":4,\"status\":\"failure\",\"stdout\":\"x\\n\"}");
    bench_expect_nothing(b, SIM_HOUR);
    assert_int_equal(b->runs, 1);
    bench_free(b);
}

static void the_reference_leaves_it_to_a_query(void **state) {
    (void)state;
    struct bench *b = running_then_killed(true, SIM_CRASH_KILL);
    bench_expect_nothing(b, SIM_MINUTE);
    expect_status(b, "t", "\"exitcode\":4,\"status\":\"failure\",\"stdout\":\"x\\n\"}");
    bench_free(b);
}

static void a_query_before_recovery_does_not_swallow_the_response(void **state) {
    (void)state;
    struct bench *b = running_then_killed(false, SIM_CRASH_KILL);
    unsigned answers = 0;
    for (int i = 0; i < 60; i++) { /* whoever looks first completes the record */
        mem_free(bench_request(b, !NON_BLOCKING, "q", "status", "query", "{\"transaction_id\":\"t\"}", false));
        bench_run(b, 400 * SIM_MS);
    }
    bench_run(b, SIM_MINUTE);
    for (; b->got_next < b->got_count; b->got_next++) {
        answers += strcmp(b->got[b->got_next].type, "rpc_non_blocking_response") == 0;
    }
    assert_int_equal(answers, 1);
    bench_free(b);
}

static void a_power_failure_ends_the_task(void **state) {
    (void)state;
    struct bench *b = running_then_killed(false, SIM_CRASH_POWER);
    /* The pid file needs not have reached the disk; either way the requester is told. */
    assert_non_null(strstr(bench_expect(b, "rpc_error_message")->data, "of this task are not available"));
    char *status = bench_status(b, "t");
    assert_non_null(strstr(status, "\"status\":\"unknown\""));
    mem_free(status);
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"out x\"}", true));
    while (strcmp(bench_next(b)->type, "rpc_provisional_response") != 0) {
    }
    bench_run(b, SIM_MINUTE);
    assert_int_equal(b->runs, 1); /* it may not run again: nobody knows how far it came */
    bench_free(b);
}

/* agent.md §19: the number of a dead process may be another one's by now. */
static void a_reused_pid_is_noticed(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.reference = true;
    bench_start(b);
    mem_free(bench_request(b, NON_BLOCKING, "other", "command", "run", "{\"command\":\"takes 100000\"}", false));
    bench_expect(b, "rpc_provisional_response");
    bench_run(b, SIM_SECOND);
    char *pid = bench_read(b, SPOOL "/other/pid");
    put_record(b, "t", "command", "\"status\":\"running\"");
    put_file(b, "t", "pid", pid);
    expect_status(b, "t", "\"status\":\"running\"}");
    put_file(b, "t", "pid_birth", "a long time ago");
    expect_status(b, "t", UNKNOWN("task process is not running, but no output is available"));
    mem_free(pid);
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- disconnected */

static void the_outcome_waits_for_a_connection(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    mem_free(bench_request(b, NON_BLOCKING, "good", "command", "run", "{\"command\":\"takes 5000;out x\"}", true));
    mem_free(bench_request(b, NON_BLOCKING, "bad", "command", "run", "{\"command\":\"takes 5000;raw ff\"}", true));
    bench_expect(b, "rpc_provisional_response");
    bench_expect(b, "rpc_provisional_response");
    b->no_upgrade = true;
    ws_close(b->peer, 1001, "restart");
    bench_run(b, 20 * SIM_SECOND);
    assert_true(bench_exists(b, SPOOL "/good/unsent"));
    b->no_upgrade = false;
    bench_expect_data(b, "rpc_non_blocking_response",
                      "{\"transaction_id\":\"good\",\"results\":{\"exitcode\":0,\"stdout\":\"x\\n\"}}");
    bench_expect(b, "rpc_error_message");
    assert_false(bench_exists(b, SPOOL "/good/unsent"));
    ws_close(b->peer, 1001, "once more");
    bench_expect_nothing(b, SIM_MINUTE); /* once */
    bench_free(b);
}

static void the_outcome_waits_across_a_restart(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"takes 5000;out x\"}", true));
    bench_expect(b, "rpc_provisional_response");
    b->no_upgrade = true;
    ws_close(b->peer, 1001, "restart");
    bench_run(b, 20 * SIM_SECOND);
    b->no_upgrade = false;
    bench_crash(b, SIM_CRASH_POWER);
    bench_expect(b, "rpc_non_blocking_response");
    bench_expect_nothing(b, SIM_MINUTE);
    bench_free(b);
}

static void the_reference_loses_it(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.reference = true;
    bench_start(b);
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"takes 5000;out x\"}", true));
    bench_expect(b, "rpc_provisional_response");
    b->no_upgrade = true;
    ws_close(b->peer, 1001, "restart");
    bench_run(b, 30 * SIM_SECOND);
    b->no_upgrade = false;
    assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
    bench_expect_nothing(b, SIM_MINUTE);
    assert_true(bench_logged(b, "no further attempts will be made"));
    expect_status(b, "t", "\"exitcode\":0,\"status\":\"success\",\"stdout\":\"x\\n\"}");
    bench_free(b);
}

/* The outcome is there and the disk does not give it: that is said, and it is not taken for no output. */
static void an_outcome_that_cannot_be_read(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha = bench_serve(b, "/x", "#!sim\nout x"), *params = bench_task(b, "/x", sha, "{}");
    sim_disk_fault(
        b->agent_host,
        &(struct sim_disk_fault){.prefix = SPOOL "/t/stdout", .ops = SIM_FILE_READ, .kind = "world/io", .times = 1});
    mem_free(bench_request(b, NON_BLOCKING, "t", "task", "run", params, true));
    bench_expect(b, "rpc_provisional_response");
    const struct message *error = bench_expect(b, "rpc_error_message");
    assert_non_null(strstr(error->data, "failed to read file '" SPOOL "/t/stdout'"));
    char *kept = bench_read(b, SPOOL "/t/stdout");
    assert_string_equal(kept, "x\n");
    mem_free(kept);
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_of_all_kinds),
        cmocka_unit_test(a_running_task),
        cmocka_unit_test(a_transaction_that_was_never_begun_may_begin),
        cmocka_unit_test(duplicates_get_a_provisional_response_only),
        cmocka_unit_test(two_controllers_use_one_agent),
        cmocka_unit_test(without_notify_outcome_nothing_follows),
        cmocka_unit_test(a_task_survives_the_agent),
        cmocka_unit_test(the_reference_leaves_it_to_a_query),
        cmocka_unit_test(a_query_before_recovery_does_not_swallow_the_response),
        cmocka_unit_test(a_power_failure_ends_the_task),
        cmocka_unit_test(a_reused_pid_is_noticed),
        cmocka_unit_test(the_outcome_waits_for_a_connection),
        cmocka_unit_test(the_outcome_waits_across_a_restart),
        cmocka_unit_test(the_reference_loses_it),
        cmocka_unit_test(an_outcome_that_cannot_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
