/* The connection to the broker (agent.md §6), and what arrives on it (§7). */
#include "agent/tests/bench.h"
#include "base/mem.h"
#include "pcp/body.h"
#include "pcp/chunk.h"

static bool has_connected(struct bench *b) {
    return b->connections > 0;
}

static unsigned wanted;
static bool has_connections(struct bench *b) {
    return b->connections >= wanted;
}

static void wait_connections(struct bench *b, unsigned count, uint64_t within_us) {
    wanted = count;
    assert_true(bench_wait(b, has_connections, within_us));
}

/* ---------------------------------------------------------------------------------------- upgrade */

static void the_path_depends_on_the_version(void **state) {
    (void)state;
    const struct {
        enum pcp_version version;
        const char *uri, *path;
    } cases[] = {
        {PCP_V1, "wss://broker.example.com:8142/pcp", "/pcp"},
        {PCP_V1, "wss://broker.example.com:8142/pcp/", "/pcp/"},
        {PCP_V1, "wss://broker.example.com:8142", "/"},
        {PCP_V2, "wss://broker.example.com:8142/pcp2", "/pcp2/agent"},
        {PCP_V2, "wss://broker.example.com:8142/pcp2/", "/pcp2/agent"},
        {PCP_V2, "wss://broker.example.com:8142", "/agent"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bench *b = bench_new(1, cases[i].version);
        b->config.brokers = &cases[i].uri;
        bench_start(b);
        assert_string_equal(b->path, cases[i].path);
        assert_string_equal(agent_uri(b->agent), AGENT_URI);
        bench_free(b);
    }
}

static void it_says_good_bye(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    agent_stop(b->agent);
    bench_run(b, SIM_SECOND);
    assert_int_equal(b->close_code, 1000);
    assert_string_equal(b->close_reason, "Closed by client");
    bench_run(b, SIM_HOUR);
    assert_int_equal(b->connections, 1);
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- back-off */

struct times {
    struct sim_watcher watcher;
    uint64_t at_ms[32];
    size_t count;
};

static void note_connect(void *ctx, const struct sim_event *e) {
    struct times *t = ctx;
    if (e->kind == SIM_EVENT_CONNECT && t->count < 32) {
        t->at_ms[t->count++] = e->at_us / 1000;
    }
}

static void failed_attempts_back_off(void **state) {
    (void)state;
    for (int reference = 0; reference < 2; reference++) {
        struct bench *b = bench_new(1, PCP_V2);
        struct times t = {.count = 0};
        b->no_upgrade = true;
        b->config.reference = reference;
        sim_watch(b->sim, &t.watcher, note_connect, &t);
        bench_agent_start(b);
        bench_run(b, 5 * SIM_MINUTE);
        sim_unwatch(b->sim, &t.watcher);
        const uint64_t pauses_s[] = {2, 4, 8, 16, 32, 32, 32};
        for (size_t i = 0; i < sizeof pauses_s / sizeof pauses_s[0] && i + 1 < t.count; i++) {
            /* The reference waits out its 5 s first, and is spread over a second; ours only lasts as long as the
             * refusal took, and is spread over as long as the pause is. */
            uint64_t gap = t.at_ms[i + 1] - t.at_ms[i] - (reference ? 5000 : 0);
            uint64_t spread_ms = reference ? 500 : pauses_s[i] * 500;
            assert_in_range(gap, pauses_s[i] * 1000 - spread_ms, pauses_s[i] * 1000 + spread_ms + 100);
        }
        assert_true(t.count >= 7);
        b->no_upgrade = false;
        assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
        assert_true(bench_logged(b, "Failed to establish a WebSocket connection; retrying in 2 seconds"));
        bench_free(b);
    }
}

static void a_success_resets_the_back_off(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->no_upgrade = true;
    bench_agent_start(b);
    bench_run(b, 2 * SIM_MINUTE);
    b->no_upgrade = false;
    assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
    b->no_upgrade = true;
    ws_close(b->peer, 1001, "");
    bench_run(b, SIM_SECOND);
    unsigned before = b->connections; /* the first attempt came after 200 ms */
    bench_run(b, 2200 * SIM_MS);      /* until the next must have come, and the one behind it cannot have */
    assert_int_equal(b->connections, before + 1);
    bench_free(b);
}

static void after_any_close_it_is_back_at_once(void **state) {
    (void)state;
    const uint16_t codes[] = {1000, 1001, 1011, 4000, 4002};
    for (enum pcp_version v = PCP_V1; v <= PCP_V2; v++) {
        struct bench *b = bench_connected(v);
        for (size_t i = 0; i <= sizeof codes / sizeof codes[0]; i++) {
            uint64_t start = sim_now_us(b->sim);
            if (i < sizeof codes / sizeof codes[0]) {
                ws_close(b->peer, codes[i], "bye");
            } else {
                ws_abort(b->peer);
                b->peer = NULL;
            }
            wait_connections(b, b->connections + 1, SIM_MINUTE);
            uint64_t took = sim_now_us(b->sim) - start;
            assert_in_range(took, 200 * SIM_MS, 300 * SIM_MS);
            assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
        }
        bench_free(b);
    }
}

static void it_fails_over_and_back(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    const char *uris[] = {"wss://gone.example.com:8142/pcp2/", "wss://broker.example.com:8142/pcp2/"};
    b->config.brokers = uris;
    b->config.broker_count = 2;
    sim_host(b->sim, "gone.example.com");
    bench_agent_start(b);
    assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
    assert_true(bench_logged(b, "Failing over to the next broker: wss://broker.example.com:8142/pcp2/"));
    b->no_upgrade = true; /* the same one first, then the other, and so on */
    ws_close(b->peer, 1001, "");
    bench_run(b, 3 * SIM_SECOND);
    assert_int_equal(b->connections, 2);
    bench_run(b, 5 * SIM_SECOND);
    assert_int_equal(b->connections, 3);
    b->no_upgrade = false;
    assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
    bench_free(b);
}

/* A handshake of some six seconds, of which each attempt of the reference waits five. */
static void slow_broker(struct bench *b) {
    struct sim_link slow = sim_link_default();
    slow.latency_us = dist_fixed(1500 * SIM_MS);
    sim_link_set(b->sim, NULL, NULL, &slow);
}

static void a_slow_handshake_times_out(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    slow_broker(b);
    b->config.reference = true;
    bench_agent_start(b);
    bench_run(b, 2 * SIM_MINUTE);
    assert_false(agent_is_connected(b->agent));
    assert_true(bench_logged(b, "retrying in"));
    bench_agent_free(b);
    b->config.connection_timeout_ms = 60000;
    bench_agent_start(b);
    assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
    bench_free(b);
}

static void the_next_attempt_is_more_patient(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    slow_broker(b);
    bench_agent_start(b);
    bench_run(b, 5500 * SIM_MS);
    assert_true(bench_logged(b, "retrying in"));
    assert_true(bench_wait(b, bench_is_connected, 12 * SIM_SECOND)); /* a pause of at most three seconds, then ten */
    bench_free(b);
}

static void note_attempt(void *ctx, struct agent *a) {
    (void)a;
    ++*(int *)ctx;
}

/* Nobody answers: 5 s and a pause of about 2, 10 and 4, 20 and 8, 30 and 16, then 30 and 32 again and again. */
static void patience_has_an_end(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    int attempts = 0;
    b->hooks = (struct agent_hooks){.trying = note_attempt, .ctx = &attempts};
    struct sim_link far = sim_link_default();
    far.latency_us = dist_fixed(3600 * SIM_SECOND);
    sim_link_set(b->sim, NULL, NULL, &far);
    bench_agent_start(b);
    bench_run(b, 200 * SIM_SECOND);
    int before = attempts;
    assert_in_range(before, 5, 8);
    bench_run(b, 620 * SIM_SECOND);
    assert_in_range(attempts - before, 7, 14); /* every 46 to 78 s */
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- TLS */

static void certificates_that_do_not_fit(void **state) {
    (void)state;
    const char *names[] = {"wss://10.0.0.2:8142/pcp2/", "wss://other.example.com:8142/pcp2/"};
    for (size_t i = 0; i < 2; i++) {
        struct bench *b = bench_new(1, PCP_V2);
        sim_alias(b->broker_host, "other.example.com");
        b->config.brokers = &names[i];
        bench_agent_start(b);
        bench_run(b, SIM_MINUTE);
        assert_false(agent_is_connected(b->agent));
        assert_int_equal(b->connections, 0);
        assert_true(bench_logged(b, "TLS handshake failed"));
        assert_true(bench_logged(b, "retrying in"));
        bench_free(b);
    }
}

static void it_connects_through_a_proxy(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    struct world *proxy = sim_host(b->sim, "proxy.example.com");
    sim_proxy(proxy, 3128, false);
    b->config.broker_proxy = b->config.download_proxy = "http://proxy.example.com:3128";
    bench_agent_start(b);
    bench_run(b, SIM_MINUTE);
    assert_false(agent_is_connected(b->agent));
    sim_proxy(proxy, 3128, true);
    assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
    char *sha = bench_serve(b, "/f/x.sh", "#!sim\nout x");
    char *params = bench_task(b, "/f/x.sh", sha, "{}");
    mem_free(bench_request(b, !NON_BLOCKING, "t", "task", "run", params, false));
    bench_expect_data(b, "rpc_blocking_response",
                      "{\"transaction_id\":\"t\",\"results\":{\"exitcode\":0,\"stdout\":\"x\\n\"}}");
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- heartbeat */

static void it_pings_at_the_interval(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    uint64_t events = 0;
    bench_run(b, SIM_SECOND);
    for (unsigned i = 1; i <= 5; i++) {
        bench_run(b, 120 * SIM_SECOND);
        assert_int_equal(b->pings, i);
    }
    bench_run(b, 10 * SIM_SECOND); /* between two pings nothing happens at all */
    events = sim_event_count(b->sim);
    bench_run(b, 100 * SIM_SECOND);
    assert_int_equal(sim_event_count(b->sim), events);
    bench_free(b);
}

static void missed_pongs_end_the_connection(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.ping_interval_ms = 6000;
    b->config.allowed_keepalive_timeouts = 0;
    bench_start(b);
    uint64_t start = sim_now_us(b->sim);
    ws_pause(b->peer, true);
    wait_connections(b, 2, SIM_MINUTE);
    /* 6 s to the ping, 5 s for its pong, 5 s for the closing handshake nobody answers */
    assert_in_range(sim_now_us(b->sim) - start, 11 * SIM_SECOND, 17 * SIM_SECOND);
    assert_true(bench_logged(b, "onPongTimeout"));
    bench_run(b, SIM_SECOND);
    bench_free(b);
}

static void a_pong_resets_the_count(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.ping_interval_ms = 10000;
    b->config.allowed_keepalive_timeouts = 1;
    bench_start(b);
    for (int i = 0; i < 5; i++) {
        ws_pause(b->peer, true);
        bench_run(b, 16 * SIM_SECOND); /* one ping unanswered in time */
        ws_pause(b->peer, false);
        bench_run(b, 16 * SIM_SECOND);
    }
    assert_int_equal(b->connections, 1);
    ws_pause(b->peer, true);
    wait_connections(b, 2, SIM_MINUTE);
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- association (v1) */

static void association_without_an_answer(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V1);
    b->silent = true;
    bench_agent_start(b);
    assert_true(bench_wait(b, has_connected, SIM_MINUTE));
    const struct message *m = bench_expect(b, "associate_request");
    assert_string_equal(m->target, "pcp:///server");
    assert_string_equal(m->data, "");
    uint64_t start = sim_now_us(b->sim);
    wait_connections(b, 2, SIM_MINUTE);
    /* 15 s without an answer, a pause of 5 to 10 s */
    assert_in_range(sim_now_us(b->sim) - start, 20 * SIM_SECOND, 26 * SIM_SECOND);
    assert_int_equal(b->close_code, 1000);
    assert_string_equal(b->close_reason, "must Associate Session again");
    assert_false(agent_is_connected(b->agent));
    b->silent = false;
    assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
    bench_free(b);
}

static void association_that_fails(void **state) {
    (void)state;
    for (int kind = 0; kind < 4; kind++) {
        struct bench *b = bench_new(1, PCP_V1);
        b->silent = true;
        bench_agent_start(b);
        assert_true(bench_wait(b, has_connected, SIM_MINUTE));
        const struct message *m = bench_expect(b, "associate_request");
        json_t *envelope = json_parse(span_sub(buf_span(&m->raw), 6, m->raw.len), "test", NULL);
        assert_non_null(envelope);
        const char *id = json_str(envelope, "id");
        char *error = str_printf("\"%s\"", "no");
        char *expired = str_printf("{\"id\":\"%s\"}", id);
        if (kind == 0) {
            bench_send_raw(b, SPAN("garbage"));
        } else if (kind == 1) {
            bench_send(b, "ttl_expired", expired, NULL, "pcp:///server");
        } else {
            struct buf out = BUF_INIT;
            const char *other = "00000000-0000-0000-0000-000000000000";
            pcp_encode(PCP_V1,
                       &(struct pcp_message){.id = SPAN("1"),
                                             .message_type = SPAN(PCP_ERROR_MESSAGE),
                                             .sender = SPAN("pcp:///server"),
                                             .target = SPAN(AGENT_URI),
                                             .data = span_of(error),
                                             .in_reply_to = span_of(kind == 2 ? id : other)},
                       &out);
            bench_send_raw(b, buf_span(&out));
            buf_free(&out);
        }
        uint64_t start = sim_now_us(b->sim);
        wait_connections(b, 2, SIM_MINUTE);
        uint64_t took = sim_now_us(b->sim) - start;
        if (kind == 3) { /* somebody else's error */
            assert_true(took > 20 * SIM_SECOND);
        } else {
            assert_in_range(took, 5 * SIM_SECOND, 11 * SIM_SECOND);
        }
        mem_free(error);
        mem_free(expired);
        json_decref(envelope);
        bench_free(b);
    }
}

static void note_refused(void *ctx, struct agent *a, const char *reason) {
    (void)a;
    buf_append_cstr(ctx, reason);
}

static void association_that_is_refused(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V1);
    struct buf reason = BUF_INIT;
    b->hooks = (struct agent_hooks){.refused = note_refused, .ctx = &reason};
    b->deny = true;
    bench_agent_start(b);
    bench_run(b, SIM_HOUR);
    assert_string_equal(reason.ptr, "not allowed");
    assert_int_equal(b->connections, 1); /* it has given up: the daemon ends with 3 */
    buf_free(&reason);
    bench_free(b);

    b = bench_new(1, PCP_V1);
    b->config.refusal_is_final = false;
    b->deny = true;
    bench_agent_start(b);
    bench_run(b, SIM_MINUTE);
    assert_true(b->connections > 3);
    b->deny = false;
    assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
    bench_free(b);
}

static void a_wrong_associate_response_is_ignored(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V1);
    b->silent = true;
    bench_agent_start(b);
    assert_true(bench_wait(b, has_connected, SIM_MINUTE));
    bench_expect(b, "associate_request");
    bench_send(b, "associate_response", "{\"id\":\"00000000-0000-0000-0000-000000000000\",\"success\":true}", NULL,
               "pcp:///server");
    bench_run(b, SIM_SECOND);
    assert_false(agent_is_connected(b->agent));
    assert_true(bench_logged(b, "Ignoring an associate response"));
    b->silent = false;
    assert_true(bench_wait(b, bench_is_connected, SIM_MINUTE));
    bench_send(b, "associate_response", "{\"id\":\"00000000-0000-0000-0000-000000000000\",\"success\":false}", NULL,
               "pcp:///server");
    bench_run(b, SIM_SECOND);
    assert_true(agent_is_connected(b->agent));
    bench_free(b);
}

/* ---------------------------------------------------------------------------------------- intake */

static void what_is_no_request_is_not_answered(void **state) {
    (void)state;
    for (enum pcp_version v = PCP_V1; v <= PCP_V2; v++) {
        struct bench *b = bench_connected(v);
        const char *types[] = {
            "inventory_request",  "inventory_response", "inventory_update",         "whatever",
            "destination_report", "version_error",      "rpc_provisional_response", "rpc_blocking_response",
            "ttl_expired"};
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            bench_send(b, types[i], "{\"id\":\"x\"}", NULL, "pcp:///server");
        }
        bench_send(b, "error_message", "\"oops\"", NULL, "pcp:///server");
        bench_send_raw(b, SPAN("garbage"));
        bench_send_raw(b, SPAN(""));
        bench_send_raw(b, SPAN("[]"));
        bench_expect_nothing(b, SIM_MINUTE);
        mem_free(bench_request(b, !NON_BLOCKING, "t", "ping", "ping", NULL, false));
        bench_expect(b, "rpc_blocking_response");
        assert_int_equal(b->connections, 1);
        bench_free(b);
    }
}

static void bad_data_gets_a_pcp_error(void **state) {
    (void)state;
    for (enum pcp_version v = PCP_V1; v <= PCP_V2; v++) {
        struct bench *b = bench_connected(v);
        const struct {
            const char *data, *text;
        } cases[] = {
            {NULL, "no data"},
            {"\"text\"", "invalid data"},
            {"{}", "invalid data"},
            {"{\"transaction_id\":\"t\",\"module\":\"ping\",\"action\":\"ping\",\"params\":null}", "invalid data"},
            {"{\"transaction_id\":\"t\",\"module\":\"ping\",\"action\":\"ping\",\"x\":1}", "invalid data"}};
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            bench_send(b, "rpc_blocking_request", cases[i].data, NULL, "pcp://somebody/x");
            const struct message *m = bench_expect(b, "error_message");
            char *text = str_printf("\"%s\"", cases[i].text);
            assert_string_equal(m->data, text);
            assert_string_equal(m->target, "pcp://somebody/x");
            assert_int_equal(strlen(m->in_reply_to), 36);
            mem_free(text);
        }
        bench_free(b);
    }
}

static void requests_are_refused_in_order(void **state) {
    (void)state;
    const struct {
        bool non_blocking;
        const char *module, *action, *params, *text;
    } cases[] = {
        {false, "nope", "run", "{}", "unknown module: nope"},
        {true, "nope", "run", "{}", "unknown module: nope"},
        {false, "task", "nope", "{}", "unknown action 'nope' for module 'task'"},
        {false, "status", "nope", "{}", "unknown module: status"},
        {true, "ping", "ping", "{\"sender_timestamp\":1}", "the module 'ping' supports only blocking PXP requests"},
        {true, "echo", "echo", "{}", "the module 'echo' supports only blocking PXP requests"},
        {true, "status", "query", "{}", "the module 'status' supports only blocking PXP requests"},
        {false, "echo", "echo", "{}", "invalid input for blocking 'echo echo' request (transaction t)"},
        {false, "echo", "echo", "{\"argument\":\"x\",\"y\":1}",
         "invalid input for blocking 'echo echo' request (transaction t)"},
        {false, "command", "run", "{\"command\":1}",
         "invalid input for blocking 'command run' request (transaction t)"},
        {true, "script", "run", "{\"arguments\":[]}",
         "invalid input for non blocking 'script run' request (transaction t)"},
        {true, "task", "run", "{\"task\":\"x\",\"input\":{},\"files\":[]}",
         "invalid input for non blocking 'task run' request (transaction t)"},
        {true, "file", "download", "{\"files\":[{}]}",
         "invalid input for non blocking 'file download' request (transaction t)"},
        {true, "apply", "apply", "{}", "invalid input for non blocking 'apply apply' request (transaction t)"},
        {true, "apply", "prep", "{\"environment\":\"x\",\"y\":1}",
         "invalid input for non blocking 'apply prep' request (transaction t)"},
        {true, "apply", "nope", "{}", "unknown action 'nope' for module 'apply'"},
    };
    for (enum pcp_version v = PCP_V1; v <= PCP_V2; v++) {
        struct bench *b = bench_connected(v);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            char *id =
                bench_request(b, cases[i].non_blocking, "t", cases[i].module, cases[i].action, cases[i].params, true);
            bench_expect_data(b, "rpc_error_message", "{\"transaction_id\":\"t\",\"id\":\"%s\",\"description\":\"%s\"}",
                              id, cases[i].text);
            mem_free(id);
        }
        assert_false(bench_exists(b, SPOOL "/t"));
        bench_free(b);
    }
}

static void transaction_ids_that_are_no_names_are_refused(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *long_id = mem_zalloc(301);
    memset(long_id, 'x', 300);
    const char *ids[] = {"", ".", "..", "../evil", "a/b", "/etc/x", "a\\u0000b", long_id};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        mem_free(bench_request(b, NON_BLOCKING, ids[i], "command", "run", "{\"command\":\"out x\"}", true));
        const struct message *m = bench_expect(b, "rpc_error_message");
        assert_non_null(strstr(m->data, "\"description\":\"invalid transaction id\""));
        mem_free(bench_request(b, !NON_BLOCKING, ids[i], "ping", "ping", NULL, false)); /* names nothing on the disk */
        bench_expect(b, "rpc_blocking_response");
    }
    assert_int_equal(b->runs, 0);
    mem_free(long_id);
    bench_free(b);
}

static void a_spool_that_cannot_be_written_is_told(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    sim_disk_fault(b->agent_host, &(struct sim_disk_fault){
                                      .prefix = SPOOL, .ops = SIM_FILE_ANY & ~SIM_FILE_READ, .kind = "world/full"});
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"out x\"}", true));
    const struct message *m = bench_expect(b, "rpc_error_message");
    assert_non_null(strstr(m->data, "\"description\":\"Failed to initialize the metadata file: "));
    sim_disk_fault(b->agent_host, NULL);
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"out x\"}", true));
    bench_expect(b, "rpc_provisional_response");
    bench_expect(b, "rpc_non_blocking_response");
    bench_free(b);
}

/* A disk that cannot tell whether a transaction was begun does not make it run again, nor loses its record. */
static void a_spool_that_cannot_be_read_runs_nothing_twice(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"out x\"}", true));
    bench_expect(b, "rpc_provisional_response");
    bench_expect(b, "rpc_non_blocking_response");
    assert_int_equal(b->runs, 1);
    sim_disk_fault(b->agent_host, &(struct sim_disk_fault){.prefix = SPOOL, .ops = SIM_FILE_READ, .kind = "world/io"});
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"out x\"}", true));
    bench_expect(b, "rpc_provisional_response");
    sim_disk_fault(b->agent_host, NULL);
    mem_free(bench_request(b, !NON_BLOCKING, "s", "status", "query", "{\"transaction_id\":\"t\"}", false));
    const struct message *m = bench_expect(b, "rpc_blocking_response");
    assert_non_null(strstr(m->data, "\"status\":\"success\""));
    assert_int_equal(b->runs, 1);
    bench_free(b);
}

/* Nor is what a program has printed lost for that. */
static void an_outcome_that_cannot_be_read_stays(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"takes 1000\\nout x\"}", true));
    bench_expect(b, "rpc_provisional_response");
    sim_disk_fault(b->agent_host, &(struct sim_disk_fault){.prefix = SPOOL, .ops = SIM_FILE_READ, .kind = "world/io"});
    const struct message *m = bench_expect(b, "rpc_error_message");
    assert_non_null(strstr(m->data, "failed to read file '" SPOOL "/t/exitcode'"));
    sim_disk_fault(b->agent_host, NULL);
    struct buf out = BUF_INIT;
    assert_true(world_file_read(b->agent_host, SPOOL "/t/stdout", 100, &out, NULL));
    assert_true(span_eq_cstr(buf_span(&out), "x\n"));
    buf_free(&out);
    bench_free(b);
}

#define HOPS "{\"hops\":[{\"server\":\"pcp:///server\",\"time\":\"2026-01-01T00:00:00Z\",\"stage\":\"accepted\"}]}"
#define REQUEST(module, params)                                                                                        \
    "{\"transaction_id\":\"t\",\"module\":\"" module "\",\"action\":\"" module "\",\"params\":" params "}"

static void debug_chunks_are_echoed(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V1);
    bench_send(b, "rpc_blocking_request", REQUEST("ping", "{}"), HOPS, CONTROLLER);
    const struct message *m = bench_expect(b, "rpc_blocking_response");
    assert_string_equal(m->debug, HOPS);
    assert_string_equal(m->data,
                        "{\"transaction_id\":\"t\",\"results\":{\"request_hops\":[{\"server\":\"pcp:///server\","
                        "\"time\":\"2026-01-01T00:00:00Z\",\"stage\":\"accepted\"}]}}");
    bench_send(
        b, "rpc_blocking_request",
        "{\"transaction_id\":\"t\",\"module\":\"status\",\"action\":\"query\",\"params\":{\"transaction_id\":\"x\"}}",
        HOPS, CONTROLLER);
    assert_string_equal(bench_expect(b, "rpc_blocking_response")->debug, HOPS);
    bench_send(b, "rpc_non_blocking_request",
               "{\"transaction_id\":\"t\",\"module\":\"command\",\"action\":\"run\",\"notify_outcome\":true,"
               "\"params\":{\"command\":\"out x\"}}",
               HOPS, CONTROLLER);
    assert_string_equal(bench_expect(b, "rpc_provisional_response")->debug, HOPS);
    assert_string_equal(bench_expect(b, "rpc_non_blocking_response")->debug, "");
    bench_send(b, "rpc_blocking_request", REQUEST("nope", "{}"), HOPS, CONTROLLER);
    assert_string_equal(bench_expect(b, "rpc_error_message")->debug, "");
    const char *bad[] = {"{\"nohops\":1}",
                         "{\"hops\":{}}",
                         "{\"hops\":[{}]}",
                         "{\"hops\":[],\"x\":1}",
                         "x",
                         "{\"hops\":[{\"server\":\"s\",\"time\":\"t\",\"more\":1}]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        bench_send(b, "rpc_blocking_request", REQUEST("ping", "{}"), bad[i], CONTROLLER);
        m = bench_expect(b, "rpc_blocking_response");
        assert_string_equal(m->debug, "");
        assert_non_null(strstr(m->data, "\"request_hops\":[]"));
    }
    assert_true(bench_logged(b, "bad debug chunks"));
    bench_free(b);
}

static void blocking_work_does_not_hold_up_others(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    mem_free(bench_request(b, !NON_BLOCKING, "slow", "command", "run", "{\"command\":\"takes 10000\"}", false));
    mem_free(bench_request(b, !NON_BLOCKING, "fast", "ping", "ping", NULL, false));
    assert_non_null(strstr(bench_expect(b, "rpc_blocking_response")->data, "\"fast\""));
    ws_ping(b->peer, SPAN("x"));
    assert_non_null(strstr(bench_expect(b, "rpc_blocking_response")->data, "\"slow\""));
    bench_free(b);
}

struct accesses {
    struct buf lines;
};

static void note_access(void *ctx, struct agent *a, enum agent_access outcome, const char *broker, struct span sender,
                        struct span type, struct span id) {
    (void)a;
    buf_printf(ctx, "%d %s %.*s %.*s %d\n", (int)outcome, broker, (int)sender.len, sender.ptr, (int)type.len, type.ptr,
               (int)id.len);
}

static void messages_are_accounted_for(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    struct buf lines = BUF_INIT;
    b->hooks = (struct agent_hooks){.access = note_access, .ctx = &lines};
    bench_start(b);
    mem_free(bench_request(b, !NON_BLOCKING, "t", "ping", "ping", NULL, false));
    bench_expect(b, "rpc_blocking_response");
    bench_send_raw(b, SPAN("garbage"));
    bench_send(b, "error_message", "\"x\"", NULL, NULL);
    bench_run(b, SIM_SECOND);
#define BROKER "wss://broker.example.com:8142/pcp2/ "
    assert_string_equal(lines.ptr, "0 " BROKER CONTROLLER " http://puppetlabs.com/rpc_blocking_request 36\n"
                                   "1 " BROKER "unknown unknown 7\n"
                                   "0 " BROKER "pcp:///server http://puppetlabs.com/error_message 36\n");
    buf_free(&lines);
    bench_free(b);
}

static void a_message_beyond_the_limit_ends_the_connection(void **state) {
    (void)state;
    struct bench *b = bench_connected(PCP_V2);
    char *big = mem_alloc(AGENT_INBOUND_MAX + 1000);
    memset(big, ' ', AGENT_INBOUND_MAX + 1000);
    bench_send_raw(b, span_bytes(big, AGENT_INBOUND_MAX + 1000));
    wait_connections(b, 2, SIM_MINUTE);
    assert_int_equal(b->close_code, 1009);
    mem_free(big);
    bench_free(b);
}

/* A broker that does not read: what is finished meanwhile is sent over the next connection. */
static void a_broker_that_does_not_read(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.send_queue_max = 1024 * 1024;
    bench_start(b);
    ws_pause(b->peer, true);
    for (int i = 0; i < 8; i++) {
        char *id = str_printf("t%d", i);
        mem_free(
            bench_request(b, NON_BLOCKING, id, "command", "run", "{\"command\":\"takes 1000;fill 500000\"}", true));
        mem_free(id);
    }
    wait_connections(b, 2, SIM_MINUTE);
    bench_run(b, SIM_MINUTE);
    assert_true(bench_logged(b, "The broker does not read; dropping the connection"));
    unsigned finals = 0;
    for (size_t i = 0; i < b->got_count; i++) {
        finals += strcmp(b->got[i].type, "rpc_non_blocking_response") == 0;
    }
    assert_int_equal(finals, 8); /* each once: what the old connection had not passed on was kept */
    bench_free(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_path_depends_on_the_version),
        cmocka_unit_test(it_says_good_bye),
        cmocka_unit_test(failed_attempts_back_off),
        cmocka_unit_test(a_success_resets_the_back_off),
        cmocka_unit_test(after_any_close_it_is_back_at_once),
        cmocka_unit_test(it_fails_over_and_back),
        cmocka_unit_test(a_slow_handshake_times_out),
        cmocka_unit_test(the_next_attempt_is_more_patient),
        cmocka_unit_test(patience_has_an_end),
        cmocka_unit_test(certificates_that_do_not_fit),
        cmocka_unit_test(it_connects_through_a_proxy),
        cmocka_unit_test(it_pings_at_the_interval),
        cmocka_unit_test(missed_pongs_end_the_connection),
        cmocka_unit_test(a_pong_resets_the_count),
        cmocka_unit_test(association_without_an_answer),
        cmocka_unit_test(association_that_fails),
        cmocka_unit_test(association_that_is_refused),
        cmocka_unit_test(a_wrong_associate_response_is_ignored),
        cmocka_unit_test(what_is_no_request_is_not_answered),
        cmocka_unit_test(bad_data_gets_a_pcp_error),
        cmocka_unit_test(requests_are_refused_in_order),
        cmocka_unit_test(transaction_ids_that_are_no_names_are_refused),
        cmocka_unit_test(a_spool_that_cannot_be_written_is_told),
        cmocka_unit_test(a_spool_that_cannot_be_read_runs_nothing_twice),
        cmocka_unit_test(an_outcome_that_cannot_be_read_stays),
        cmocka_unit_test(debug_chunks_are_echoed),
        cmocka_unit_test(blocking_work_does_not_hold_up_others),
        cmocka_unit_test(messages_are_accounted_for),
        cmocka_unit_test(a_message_beyond_the_limit_ends_the_connection),
        cmocka_unit_test(a_broker_that_does_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
