/* Requests and their answers, module by module (agent.md §8, §11; pxp.md §6, §7). */
#include "agent/tests/bench.h"
#include "base/mem.h"
#include <malloc.h>
#include <stdio.h>

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

/* Simulations run it by the thousand. */
static void an_idle_core_is_small(void **state) {
    (void)state;
    enum { COUNT = 1000, BYTES_MAX = 4096 };
    struct bench *b = bench_new(1, PCP_V2);
    struct agent_modules *modules = agent_modules_new();
    struct agent *agents[COUNT];
    b->config.modules = modules;
    size_t before = mallinfo2().uordblks;
    for (size_t i = 0; i < COUNT; i++) {
        char name[64];
        snprintf(name, sizeof name, "%04zu-agent.example.com", i);
        agents[i] =
            agent_new(b->agent_host, &b->config,
                      &(struct agent_self){.name = name, .spool_dir = SPOOL, .task_cache_dir = CACHE}, NULL, NULL);
    }
    size_t each = (mallinfo2().uordblks - before) / COUNT;
    print_message("an idle agent: %zu bytes\n", each);
#if !defined(__SANITIZE_ADDRESS__)
    assert_true(each > 0 && each <= BYTES_MAX);
#endif
    for (size_t i = 0; i < COUNT; i++) {
        agent_free(agents[i]);
    }
    bench_free(b);
    agent_modules_free(modules);
}

/* agent.md §6.6 */
static void durations_are_told_at_debug_level(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V1);
    bench_start(b);
    assert_true(bench_logged(b, "Connection and opening handshakes took "));
    assert_true(bench_logged(b, "Association took "));
    bench_run(b, 5 * SIM_SECOND);
    ws_close(b->peer, 1001, "");
    bench_run(b, SIM_SECOND);
    assert_true(bench_logged(b, "The session lasted 5"));
    bench_free(b);
}

/* Downloads trust nobody whom the revocation list names. */
static void downloads_honour_the_revocation_list(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    struct world_tls_files files = sim_tls_files(b->agent_host, AGENT_NAME);
    struct error err = ERROR_INIT;
    const struct world_identity *primary = world_tls_self(b->primary_tls);
    sim_revoke(b->sim, sim_certificate_find(b->sim, primary->serial));
    char *crl = sim_crl_text(b->sim, SIM_CA);
    bench_write(b, files.crl, crl);
    assert_true(world_tls_reload(b->agent_tls, &err));
    char *sha = bench_serve(b, "/f/run.sh", "#!sim\nout x"), *params = bench_task(b, "/f/run.sh", sha, "{}");
    mem_free(bench_request(b, !NON_BLOCKING, "t", "task", "run", params, false));
    const struct message *m = bench_expect(b, "rpc_error_message");
    if (strstr(m->data, "certificate revoked") == NULL) {
        fail_msg("%s", m->data);
    }
    mem_free(params);
    mem_free(sha);
    mem_free(crl);
    bench_free(b);
}

/* Outcomes that wait for a connection: the oldest go when there are too many. */
static void unsent_outcomes_are_bounded(void **state) {
    (void)state;
    enum { MORE = 5 };
    struct bench *b = bench_new(1, PCP_V2);
    b->config.jobs_max = AGENT_UNSENT_MAX + MORE;
    bench_start(b);
    for (int i = 0; i < AGENT_UNSENT_MAX + MORE; i++) {
        char id[16];
        snprintf(id, sizeof id, "t%06d", i);
        mem_free(bench_request(b, NON_BLOCKING, id, "command", "run", "{\"command\":\"takes 30000\"}", true));
    }
    bench_run(b, 10 * SIM_SECOND);
    assert_int_equal(b->got_count, AGENT_UNSENT_MAX + MORE); /* all acknowledged */
    b->no_upgrade = true;
    ws_close(b->peer, 1001, "");
    bench_run(b, 60 * SIM_SECOND);
    b->no_upgrade = false;
    assert_true(bench_wait(b, bench_is_connected, 2 * SIM_MINUTE));
    bench_run(b, SIM_MINUTE);
    assert_int_equal(b->got_count, AGENT_UNSENT_MAX + MORE + AGENT_UNSENT_MAX);
    assert_true(bench_logged(b, "Too many outcomes wait for a connection"));
    assert_false(bench_exists(b, SPOOL "/t000000/unsent"));
    bench_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ping_and_echo),
        cmocka_unit_test(command_runs),
        cmocka_unit_test(task_runs),
        cmocka_unit_test(an_idle_core_is_small),
        cmocka_unit_test(durations_are_told_at_debug_level),
        cmocka_unit_test(downloads_honour_the_revocation_list),
        cmocka_unit_test(unsent_outcomes_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
