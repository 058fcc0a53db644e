/* Each invariant: a history that keeps it, and histories that break it. */
#include "simulator/checks/tests/history.h"

#define A "pcp://a/agent"
#define B "pcp://b/agent"
#define O "pcp://orchestrator/controller"
#define ID1 "00000000-0000-4000-8000-000000000001"
#define ID2 "00000000-0000-4000-8000-000000000002"
#define RPC "http://puppetlabs.com/rpc_non_blocking_request"

static void start(struct history *h) {
    history_start(h, NULL);
}

static void test_good_job(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_whole_job(&h, "1", 1);
    history_whole_job(&h, "2", 4);
    assert_int_equal(checks_seen(h.c).jobs_acknowledged, 2);
    assert_int_equal(checks_seen(h.c).events, 6);
    assert_int_equal(checks_job_count(h.c), 2);
    assert_string_equal(checks_job_id(h.c, 1), "2");
    history_clean(&h);
}

/* ---- 1 */

static void test_node_never_ends(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_task(&h, "1", "\"a\", \"b\"");
    history_job(&h, "1", "failed");
    history_nodes(&h, "1", "a:finished b:running");
    history_events(&h, "1", 0, "1:node_running:a 2:node_finished:a 3:node_running:b 4:job_finished", 5);
    checks_finish(h.c);
    history_expect(&h, 1, 0);
}

static void test_node_ends_twice(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_task(&h, "1", "\"a\"");
    history_job(&h, "1", "finished");
    history_nodes(&h, "1", "a:finished");
    history_events(&h, "1", 0, "1:node_running:a 2:node_finished:a 3:node_failed:a 4:job_finished", 5);
    checks_finish(h.c);
    history_expect(&h, 1, 1, 0);
}

static void test_node_is_missing(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_task(&h, "1", "\"a\", \"b\"");
    history_job(&h, "1", "finished");
    history_nodes(&h, "1", "a:finished");
    history_events(&h, "1", 0, "1:node_running:a 2:node_finished:a 3:job_finished", 4);
    checks_finish(h.c);
    history_expect(&h, 1, 0);
}

/* ---- 2 */

static void spawn(struct history *h, const char *host, const char *spool) {
    char text[200];
    snprintf(text, sizeof(text), "dalang-exec --spool %s --input 2 --limit 100 -- /cache/x/echo.sh", spool);
    history_event(h, host, SIM_EVENT_SPAWN, 1001, false, text, SPAN("{}"));
}

static void test_task_runs_twice(void **state) {
    struct history h;
    (void)state;
    start(&h);
    spawn(&h, "a", "/spool/1");
    spawn(&h, "a", "/spool/2");
    spawn(&h, "b", "/spool/1");
    history_event(&h, "a", SIM_EVENT_SPAWN, 7, false, "dalang-exec -- /bin/x", SPAN(""));
    assert_int_equal(checks_violation_count(h.c), 0);
    spawn(&h, "a", "/spool/1");
    history_expect(&h, 2, 0);
}

/* ---- 3 */

static void test_job_is_lost(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_task(&h, "1", "\"a\"");
    history_api(&h, "GET", "/orchestrator/v1/jobs/1", "", 404, "{\"kind\": \"unknown-job\"}");
    history_api(&h, "GET", "/orchestrator/v1/jobs/99", "", 404, "{\"kind\": \"unknown-job\"}");
    history_task(&h, "1", "\"a\"");
    checks_finish(h.c);
    history_expect(&h, 3, 3, 3, 0);
}

/* ---- 4, 8 */

static void deliver(struct history *h, uint64_t to, const char *id, const char *sender, const char *target) {
    history_message(h, to, FROM_BROKER, id, sender, target, RPC, "");
    history_message(h, to, AT_CLIENT_END, id, sender, target, RPC, "");
}

static void test_messages_delivered_and_refused(void **state) {
    struct history h;
    (void)state;
    start(&h);
    uint64_t o = history_client(&h, "orchestrator", "controller"), a = history_client(&h, "a", "agent");
    history_message(&h, o, TO_BROKER, ID1, O, A, RPC, "");
    deliver(&h, a, ID1, O, A);
    history_message(&h, o, TO_BROKER, ID2, O, B, RPC, "");
    history_message(&h, o, FROM_BROKER, ID1, PCP_SERVER_URI, O, PCP_ERROR_MESSAGE, ID2);
    struct checks_seen seen = checks_seen(h.c);
    assert_int_equal(seen.messages_to_broker, 2);
    assert_int_equal(seen.messages_delivered, 1);
    assert_int_equal(seen.messages_refused, 1);
    history_clean(&h);
}

static void test_delivered_twice(void **state) {
    struct history h;
    (void)state;
    start(&h);
    uint64_t o = history_client(&h, "orchestrator", "controller"), a = history_client(&h, "a", "agent");
    history_message(&h, o, TO_BROKER, ID1, O, A, RPC, "");
    deliver(&h, a, ID1, O, A);
    deliver(&h, a, ID1, O, A);
    history_expect(&h, 4, 0);
}

static void test_delivered_and_refused(void **state) {
    struct history h;
    (void)state;
    start(&h);
    uint64_t o = history_client(&h, "orchestrator", "controller"), a = history_client(&h, "a", "agent");
    history_message(&h, o, TO_BROKER, ID1, O, A, RPC, "");
    deliver(&h, a, ID1, O, A);
    history_message(&h, o, FROM_BROKER, ID2, PCP_SERVER_URI, O, PCP_ERROR_MESSAGE, ID1);
    history_expect(&h, 4, 0);
}

static void test_vanished(void **state) {
    struct history h;
    (void)state;
    start(&h);
    uint64_t o = history_client(&h, "orchestrator", "controller");
    history_client(&h, "a", "agent");
    history_message(&h, o, TO_BROKER, ID1, O, A, RPC, "");
    checks_finish(h.c);
    history_expect(&h, 4, 0);
}

static void test_lost_with_its_connection(void **state) {
    struct history h;
    (void)state;
    start(&h);
    uint64_t o = history_client(&h, "orchestrator", "controller"), a = history_client(&h, "a", "agent");
    history_message(&h, o, TO_BROKER, ID1, O, A, RPC, "");
    history_close(&h, a);
    checks_finish(h.c);
    assert_int_equal(checks_seen(h.c).messages_lost, 1);
    history_expect(&h, 0);
}

/* A broker that has sent its close frame may say nothing more, not even no. */
static void test_to_a_broker_that_has_left(void **state) {
    struct history h;
    (void)state;
    start(&h);
    uint64_t o = history_client(&h, "orchestrator", "controller"), other = history_client(&h, "x", "agent");
    static const char close_frame[] = {(char)0x88, 2, 0x03, (char)0xe8};
    history_event(&h, "broker-1", SIM_EVENT_WRITE, o, true, "", span_bytes(close_frame, sizeof(close_frame)));
    history_message(&h, o, TO_BROKER, ID1, O, A, RPC, "");
    checks_finish(h.c);
    assert_int_equal(checks_seen(h.c).messages_lost, 1);
    history_message(&h, other, TO_BROKER, ID2, "pcp://x/agent", A, RPC, ""); /* it has not left this one */
    checks_finish(h.c);
    history_expect(&h, 4, 0);
}

/* A broker that comes back takes a connection that was made while it was away; what the client had sent before it died
 * still arrives. */
static void test_accepted_after_a_crash(void **state) {
    struct history h;
    (void)state;
    history_start(&h, NULL);
    uint64_t a = history_connect(&h, "a");
    history_event(&h, "broker-1", SIM_EVENT_HOST, 0, false, "power off", SPAN(""));
    history_accept(&h, a, "a", "controller");
    uint64_t b = history_client(&h, "b", "agent");
    history_event(&h, "a", SIM_EVENT_HOST, 0, false, "power off", SPAN(""));
    history_message(&h, a, TO_BROKER, ID1, "pcp://a/controller", B, RPC, "");
    deliver(&h, b, ID1, "pcp://a/controller", B);
    history_clean(&h);
}

static void test_invented(void **state) {
    struct history h;
    (void)state;
    start(&h);
    uint64_t a = history_client(&h, "a", "agent");
    deliver(&h, a, ID1, O, A);
    history_expect(&h, 4, 0);
}

static void test_wrong_recipient(void **state) {
    struct history h;
    (void)state;
    start(&h);
    uint64_t o = history_client(&h, "orchestrator", "controller"), b = history_client(&h, "b", "agent");
    history_message(&h, o, TO_BROKER, ID1, O, A, RPC, "");
    deliver(&h, b, ID1, O, A);
    history_expect(&h, 8, 0);
}

/* b says it is the orchestrator; and a message whose sender was changed on the way. */
static void test_spoofed_sender(void **state) {
    struct history h;
    (void)state;
    start(&h);
    uint64_t b = history_client(&h, "b", "agent"), a = history_client(&h, "a", "agent");
    history_message(&h, b, TO_BROKER, ID1, O, A, RPC, "");
    history_message(&h, b, FROM_BROKER, ID2, PCP_SERVER_URI, B, PCP_ERROR_MESSAGE, ID1);
    assert_int_equal(checks_violation_count(h.c), 0); /* refused: as it must be */
    history_message(&h, b, TO_BROKER, ID2, O, A, RPC, "");
    deliver(&h, a, ID2, O, A);
    history_expect(&h, 8, 0);
}

/* ---- 5 */

static void test_limits(void **state) {
    struct history h;
    (void)state;
    history_start(&h, &(struct checks_opts){.task_limit = 3});
    history_task(&h, "1", "\"a\", \"b\", \"c\"");
    history_job(&h, "1", "finished"); /* concurrency 2 */
    history_nodes(&h, "1", "a:finished b:finished c:finished");
    history_events(&h, "1", 0,
                   "1:node_running:a 2:node_running:b 3:node_finished:a 4:node_running:c 5:node_finished:b "
                   "6:node_finished:c 7:job_finished",
                   8);
    history_clean(&h);
    history_start(&h, &(struct checks_opts){.task_limit = 2});
    history_task(&h, "1", "\"a\", \"b\", \"c\"");
    history_job(&h, "1", "finished");
    history_nodes(&h, "1", "a:finished b:finished c:finished");
    history_events(&h, "1", 0,
                   "1:node_running:a 2:node_running:b 3:node_running:c 4:node_finished:a 5:node_finished:b "
                   "6:node_finished:c 7:job_finished",
                   8);
    checks_finish(h.c);
    history_expect(&h, 5, 5, 0); /* the tasks' limit and the job's own */
}

static void test_starved_job(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_task(&h, "1", "\"a\"");
    history_job(&h, "1", "ready");
    history_nodes(&h, "1", "a:ready");
    checks_finish(h.c);
    history_expect(&h, 5, 1, 0);
}

/* ---- 6 */

static void test_events_in_pages(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_task(&h, "1", "\"a\"");
    history_events(&h, "1", 0, "", 1);
    history_events(&h, "1", 1, "1:node_running:a", 2);
    history_events(&h, "1", 2, "", 2);
    history_events(&h, "1", 2, "5:node_finished:a 6:job_finished", 7);
    history_events(&h, "1", 0, "1:node_running:a 5:node_finished:a 6:job_finished", 7);
    history_events(&h, "1", 0, "1:node_running:a", 3); /* an older answer that arrives late */
    history_job(&h, "1", "finished");
    history_nodes(&h, "1", "a:finished");
    history_clean(&h);
}

static void test_event_order(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_events(&h, "1", 0, "2:node_running:a 1:node_finished:a", 3);
    history_events(&h, "1", 5, "4:node_running:a", 6);
    history_events(&h, "1", 0, "1:node_running:b", 1);
    history_expect(&h, 6, 6, 6, 0);
}

static void test_event_disappears(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_events(&h, "1", 0, "1:node_running:a 2:node_finished:a", 3);
    history_events(&h, "1", 0, "1:node_running:a", 3);
    history_expect(&h, 6, 0);
}

static void test_event_changes(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_events(&h, "1", 0, "1:node_running:a", 2);
    history_events(&h, "1", 0, "1:node_running:b", 2);
    history_events(&h, "2", 0, "1:node_running:a", 2);
    history_expect(&h, 6, 6, 0);
}

static void test_event_comes_late(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_events(&h, "1", 0, "3:node_running:a", 4);
    history_events(&h, "1", 0, "2:node_running:b 3:node_running:a", 4);
    history_expect(&h, 6, 0);
}

/* ---- 7 */

static void test_illegal_job_states(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_job(&h, "1", "running");
    history_job(&h, "1", "finished");
    history_job(&h, "1", "running");
    history_job(&h, "2", "lazy");
    history_expect(&h, 7, 7, 0);
}

static void test_illegal_history(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_api(&h, "GET", "/orchestrator/v1/jobs/1", "", 200,
                "{\"state\": \"finished\", \"status\": [{\"state\": \"new\"}, {\"state\": \"ready\"}, {\"state\": "
                "\"running\"}, {\"state\": \"finished\"}]}");
    assert_int_equal(checks_violation_count(h.c), 0);
    history_api(&h, "GET", "/orchestrator/v1/jobs/2", "", 200,
                "{\"state\": \"finished\", \"status\": [{\"state\": \"new\"}, {\"state\": \"finished\"}]}");
    history_expect(&h, 7, 0);
}

static void test_illegal_node_states(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_nodes(&h, "1", "a:new b:running c:finished");
    history_nodes(&h, "1", "a:running b:finished c:finished");
    assert_int_equal(checks_violation_count(h.c), 0);
    history_nodes(&h, "1", "a:skipped b:finished c:failed d:new");
    history_expect(&h, 7, 7, 7, 0);
}

static void test_illegal_node_events(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_events(&h, "1", 0, "1:node_running:a 2:node_running:a 3:node_skipped:a 4:node_running:a", 5);
    history_events(&h, "1", 5, "5:job_finished 6:job_aborted", 7);
    checks_finish(h.c);
    history_expect(&h, 7, 7, 7, 7, 0);
}

/* Read from the end first: that is no disorder. */
static void test_events_read_backwards(void **state) {
    struct history h;
    (void)state;
    start(&h);
    history_task(&h, "1", "\"a\"");
    history_events(&h, "1", 3, "3:job_finished", 4);
    history_events(&h, "1", 2, "2:node_finished:a 3:job_finished", 4);
    history_events(&h, "1", 0, "1:node_running:a 2:node_finished:a 3:job_finished", 4);
    history_job(&h, "1", "finished");
    history_nodes(&h, "1", "a:finished");
    history_clean(&h);
}

/* ---- lists are read in parts: texts may hold what parts are told by, and what has not changed is not told again */

static void test_parts_of_pages(void **state) {
    static const struct {
        const char *text;
        size_t items; /* JSON texts, each with a member "n" that says which it is */
        bool json;
    } pages[] = {
        {"{\"items\": []}", 0, true},
        {" { \"items\" : [ ] , \"a\": [1, {}] }", 0, true},
        {"{\"items\": [{\"n\": 0}]}", 1, true},
        {"{\"a\": {\"items\": [1]}, \"b\": \"items\", \"items\": [ {\"n\": 0} ,\n{\"n\": 1, \"x\": [[], {}]}]}", 2,
         true},
        {"{\"items\": [{\"t\": \"]}, {\\\"\\\\\", \"n\": 0}, {\"n\": 1, \"\\\"items\\\"\": []}], \"next\": 1}", 2,
         true},
        {"{\"a\": 1}", 0, true},
        {"{\"items\": 5}", 0, true},
        {"[]", 0, true},
        {"{\"items\": [{\"n\": 0}", 0, false},
        {"{\"items\": [{\"n\": 0}}", 0, false},
        {"{\"items\": [{\"n\": \"", 0, false},
        {"{\"items\": [{\"n\": 0}]", 1, false},
        {"{\"items", 0, false},
        {"", 0, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        struct page p;
        page_read(&p, span_of(pages[i].text));
        assert_int_equal(p.count, pages[i].items);
        assert_true((p.rest != NULL) == pages[i].json);
        for (size_t n = 0; n < p.count; n++) {
            json_t *item = json_parse(p.items[n], "test", NULL);
            assert_int_equal(json_int(item, "n", -1), n);
            json_decref(item);
        }
        assert_int_equal(json_array_size(json_object_get(p.rest, "items")), 0);
        page_free(&p);
    }
}

static void note_node(void *ctx, const char *job, const json_t *node) {
    buf_printf(ctx, "%s %s %s;", job, json_str(node, "name"), json_str(node, "state"));
}

static void test_nodes_are_told(void **state) {
    struct history h;
    struct buf told = BUF_INIT;
    (void)state;
    history_start(&h, &(struct checks_opts){.node = note_node, .ctx = &told});
    history_nodes(&h, "1", "a:ready b:ready");
    history_nodes(&h, "1", "a:ready b:ready");
    history_nodes(&h, "1", "a:running b:ready");
    history_nodes(&h, "2", "a:ready");
    history_nodes(&h, "1", "a:running b:ready");
    assert_string_equal(told.ptr, "1 a ready;1 b ready;1 a running;2 a ready;");
    history_nodes(&h, "1", "a:ready b:ready"); /* as it was read before, and yet wrong now */
    history_expect(&h, 7, 0);
    buf_free(&told);
}

/* ---- 9 */

static bool only_echo(void *ctx, const char *token, const char *common_name, const char *command,
                      const json_t *request) {
    (void)ctx;
    (void)common_name;
    assert_string_equal(token, "token");
    assert_string_equal(command, "task");
    return str_eq(json_str(request, "task"), "echo");
}

static void test_permission(void **state) {
    struct history h;
    (void)state;
    history_start(&h, &(struct checks_opts){.permitted = only_echo});
    history_task(&h, "1", "\"a\"");
    assert_int_equal(checks_violation_count(h.c), 0);
    history_api(&h, "POST", "/orchestrator/v1/command/task", "{\"task\": \"shutdown\"}", 403, "{}");
    assert_int_equal(checks_violation_count(h.c), 0);
    history_api(&h, "POST", "/orchestrator/v1/command/task", "{\"task\": \"shutdown\"}", 202,
                "{\"job\": {\"name\": \"2\"}}");
    history_expect(&h, 9, 0);
}

/* ---- 10 */

static void test_secrets(void **state) {
    struct history h;
    (void)state;
    start(&h);
    checks_secret(h.c, "hunter2");
    history_api(&h, "POST", "/orchestrator/v1/command/task", "{\"params\": {\"password\": \"hunter2\"}}", 400, "{}");
    history_event(&h, "a", SIM_EVENT_SPAWN, 1, false, "dalang-exec", SPAN("{\"password\": \"hunter2\"}"));
    uint64_t o = history_client(&h, "orchestrator", "controller");
    history_event(&h, "broker-1", SIM_EVENT_DATA, o, true, "", SPAN("hunter2"));
    assert_int_equal(checks_violation_count(h.c), 0);
    history_event(&h, "orchestrator", SIM_EVENT_FILE, 0, false, "page /db", SPAN("xxhunter2xx"));
    history_event(&h, "orchestrator", SIM_EVENT_NOTE, 0, false, "info: password is hunter2", SPAN(""));
    history_api(&h, "GET", "/orchestrator/v1/jobs/1", "", 200, "{\"state\": \"new\", \"params\": \"hunter2\"}");
    history_expect(&h, 10, 10, 10, 0);
}

/* ---- 11 */

static void nothing(void *ctx) {
    (void)ctx;
}

static void test_levels(void **state) {
    struct history h;
    (void)state;
    start(&h);
    struct world *o = sim_host(h.sim, "orchestrator");
    struct timer t = {0}, u = {0};
    world_timer_start(o, &t, 1000, nothing, NULL);
    checks_level_start(h.c);
    world_timer_stop(o, &t);
    world_timer_start(o, &u, 1000, nothing, NULL);
    checks_level_end(h.c);
    assert_int_equal(checks_violation_count(h.c), 0);
    world_timer_start(o, &t, 1000, nothing, NULL);
    struct world_listener *l = world_listen(o, &(struct world_listen){.port = 1}, NULL, NULL, NULL);
    checks_level_end(h.c);
    world_timer_stop(o, &t);
    world_timer_stop(o, &u);
    world_listener_close(l);
    history_expect(&h, 11, 11, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_job),
        cmocka_unit_test(test_node_never_ends),
        cmocka_unit_test(test_node_ends_twice),
        cmocka_unit_test(test_node_is_missing),
        cmocka_unit_test(test_task_runs_twice),
        cmocka_unit_test(test_job_is_lost),
        cmocka_unit_test(test_messages_delivered_and_refused),
        cmocka_unit_test(test_delivered_twice),
        cmocka_unit_test(test_delivered_and_refused),
        cmocka_unit_test(test_vanished),
        cmocka_unit_test(test_lost_with_its_connection),
        cmocka_unit_test(test_to_a_broker_that_has_left),
        cmocka_unit_test(test_accepted_after_a_crash),
        cmocka_unit_test(test_invented),
        cmocka_unit_test(test_wrong_recipient),
        cmocka_unit_test(test_spoofed_sender),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_starved_job),
        cmocka_unit_test(test_events_in_pages),
        cmocka_unit_test(test_event_order),
        cmocka_unit_test(test_event_disappears),
        cmocka_unit_test(test_event_changes),
        cmocka_unit_test(test_event_comes_late),
        cmocka_unit_test(test_illegal_job_states),
        cmocka_unit_test(test_illegal_history),
        cmocka_unit_test(test_illegal_node_states),
        cmocka_unit_test(test_illegal_node_events),
        cmocka_unit_test(test_events_read_backwards),
        cmocka_unit_test(test_parts_of_pages),
        cmocka_unit_test(test_nodes_are_told),
        cmocka_unit_test(test_permission),
        cmocka_unit_test(test_secrets),
        cmocka_unit_test(test_levels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
