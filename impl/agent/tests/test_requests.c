/* Requests and their answers, module by module (agent.md §8, §11; pxp.md §6, §7). */
#include "agent/tests/bench.h"
#include "base/mem.h"

static void ask(struct bench *b, const char *module, const char *action, const char *params) {
    mem_free(bench_request(b, !NON_BLOCKING, "tx", module, action, params, false));
}

static void ping_and_echo(void **state) {
    (void)state;
    for (enum pcp_version v = PCP_V1; v <= PCP_V2; v++) {
        struct bench *b = bench_connected(v);
        ask(b, "ping", "ping", NULL);
        bench_expect_data(b, "rpc_blocking_response", "{\"transaction_id\":\"tx\",\"results\":{\"request_hops\":[]}}");
        ask(b, "ping", "ping", "{\"sender_timestamp\":\"x\"}");
        const struct message *m = bench_expect(b, "rpc_blocking_response");
        assert_string_equal(m->target, CONTROLLER);
        assert_string_equal(m->in_reply_to, "");
        ask(b, "echo", "echo", "{\"argument\":\"h\xc3\xa9llo\"}");
        bench_expect_data(b, "rpc_blocking_response",
                          "{\"transaction_id\":\"tx\",\"results\":{\"outcome\":\"h\xc3\xa9llo\"}}");
        bench_free(b);
    }
}

static void command_runs(void **state) {
    (void)state;
    for (enum pcp_version v = PCP_V1; v <= PCP_V2; v++) {
        struct bench *b = bench_connected(v);
        ask(b, "command", "run", "{\"command\":\"out hi;err oh;exit 3\"}");
        bench_expect_data(
            b, "rpc_blocking_response",
            "{\"transaction_id\":\"tx\",\"results\":{\"exitcode\":3,\"stdout\":\"hi\\n\",\"stderr\":\"oh\\n\"}}");
        mem_free(bench_request(b, NON_BLOCKING, "nb", "command", "run", "{\"command\":\"out hi\"}", true));
        bench_expect_data(b, "rpc_provisional_response", "{\"transaction_id\":\"nb\"}");
        bench_expect_data(b, "rpc_non_blocking_response",
                          "{\"transaction_id\":\"nb\",\"results\":{\"exitcode\":0,\"stdout\":\"hi\\n\"}}");
        char *status = bench_status(b, "nb");
        assert_string_equal(status, "{\"transaction_id\":\"nb\",\"exitcode\":0,\"status\":\"success\","
                                    "\"stdout\":\"hi\\n\"}");
        mem_free(status);
        bench_free(b);
    }
}

static void task_runs(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *sha =
        bench_serve(b, "/puppet/v3/file_content/tasks/demo/hello.sh", "#!sim\nstdin\nenv PT_message\nenv PT__task");
    char *params = bench_task(b, "/puppet/v3/file_content/tasks/demo/hello.sh", sha, "{\"message\":\"hi\"}");
    mem_free(bench_request(b, NON_BLOCKING, "t1", "task", "run", params, true));
    bench_expect_data(b, "rpc_provisional_response", "{\"transaction_id\":\"t1\"}");
    bench_expect_data(b, "rpc_non_blocking_response",
                      "{\"transaction_id\":\"t1\",\"results\":{\"exitcode\":0,\"stdout\":\"{\\\"message\\\":\\\"hi\\\","
                      "\\\"_task\\\":\\\"demo::hello\\\"}\\nPT_message=hi\\nPT__task=demo::hello\\n\"}}");
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping_and_echo),
        cmocka_unit_test(command_runs),
        cmocka_unit_test(task_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
