/* Connections to brokers: addresses, coming back, silence, presence over several, back-pressure, nonsense. */
#include "base/mem.h"
#include "net/ws_peer.h"
#include "orchestrator/brokers/brokers.h"
#include "pcp/body.h"
#include "pcp/message.h"
#include "simulator/world/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define ID "00000000-0000-4000-8000-000000000000"

/* A broker that says what the test tells it to. */
struct side {
    struct world *w;
    struct http_server *server;
    struct world_tls *tls;
    struct ws_peer *peer;
    char uri[128], inventory_id[40];
    int connects, messages, pings;
    bool mute;        /* answers no inventory request */
    const char *uris; /* what its inventory holds, comma separated */
};

struct fixture {
    struct sim *sim;
    struct world *w;
    struct world_tls *tls;
    struct side side[2];
    struct brokers *brokers;
    struct buf heard; /* "+node1 -node1 …" */
    int answers, refusals, writable;
};

static void say(struct side *s, const char *type, struct span in_reply_to, const char *sender, const char *data) {
    struct buf text = BUF_INIT;
    char id[37];
    world_uuid(s->w, id);
    struct pcp_message m = {.id = span_of(id),
                            .message_type = span_of(type),
                            .target = span_of(s->uri),
                            .sender = span_of(sender),
                            .in_reply_to = in_reply_to,
                            .data = span_of(data)};
    pcp_encode(PCP_V2, &m, &text);
    struct span part = buf_span(&text);
    ws_send(s->peer, true, &part, 1);
    buf_free(&text);
}

static void answer_inventory(struct side *s, struct span id) {
    struct span uris[16], rest = span_of(s->uris), data;
    size_t count = 0;
    struct buf body = BUF_INIT;
    while (count < 16 && span_split(&rest, ',', &uris[count])) {
        count++;
    }
    pcp_inventory_response_write(&body, uris, s->uris[0] == '\0' ? 0 : count);
    data = buf_span(&body);
    say(s, PCP_INVENTORY_RESPONSE, id, NULL, data.ptr);
    buf_free(&body);
}

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct side *s = ctx;
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    (void)p, (void)text;
    s->messages++;
    assert_true(pcp_decode(PCP_V2, payload, PCP_AS_BROKER, &m, &scratch, NULL));
    if (span_eq_cstr(m.message_type, PCP_INVENTORY_REQUEST)) {
        snprintf(s->uri, sizeof s->uri, "%.*s", (int)m.sender.len, m.sender.ptr);
        snprintf(s->inventory_id, sizeof s->inventory_id, "%.*s", (int)m.id.len, m.id.ptr);
        if (!s->mute) {
            answer_inventory(s, m.id);
        }
    }
    buf_free(&scratch);
}

static void on_ping(void *ctx, struct ws_peer *p, struct span payload) {
    (void)p;
    assert_int_equal(payload.len, 1);
    ((struct side *)ctx)->pings++;
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct side *s = ctx;
    (void)code, (void)reason;
    s->peer = s->peer == p ? NULL : s->peer;
}

static const struct ws_handler handler = {.on_message = on_message, .on_ping = on_ping, .on_close = on_close};

static void on_upgrade(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct side *s = ctx;
    (void)route;
    s->connects++;
    if (s->peer != NULL) {
        ws_abort(s->peer);
    }
    s->peer = ws_accept(ex, &(struct ws_limits){0}, &handler, s);
}

static const struct http_route routes[] = {{NULL, "/pcp2/:type", on_upgrade, NULL}, {NULL, NULL, NULL, NULL}};

static void up(struct fixture *f, int i) {
    struct side *s = &f->side[i];
    char name[24];
    snprintf(name, sizeof name, "broker-%d", i + 1);
    s->w = sim_host(f->sim, name);
    struct world_tls_files files = sim_tls_files(s->w, name);
    files.client_auth = WORLD_CLIENT_AUTH_NEED;
    s->tls = world_tls_new(s->w, &files, NULL);
    struct http_server_opts opts = {.listen = {.port = 8142, .tls = s->tls}, .routes = routes, .ctx = s};
    s->server = http_server_new(s->w, &opts, NULL);
    assert_non_null(s->server);
}

static void down(struct fixture *f, int i) {
    struct side *s = &f->side[i];
    if (s->peer != NULL) {
        ws_abort(s->peer);
        s->peer = NULL;
    }
    if (s->server != NULL) {
        http_server_close(s->server, 0, NULL, NULL);
        world_tls_free(s->tls);
        s->server = NULL;
    }
}

static void heard_presence(void *ctx, struct span node, bool connected) {
    struct fixture *f = ctx;
    buf_printf(&f->heard, "%c%.*s ", connected ? '+' : '-', (int)node.len, node.ptr);
}

static void heard_answer(void *ctx, struct span node, const struct pxp_response *r) {
    struct fixture *f = ctx;
    (void)r;
    f->answers++;
    assert_true(span_eq_cstr(node, "node1"));
}

static void heard_refusal(void *ctx, struct span message_id, struct span text) {
    struct fixture *f = ctx;
    f->refusals++;
    assert_true(span_eq_cstr(message_id, ID));
    assert_true(span_eq_cstr(text, "Not connected."));
}

static void heard_writable(void *ctx) {
    ((struct fixture *)ctx)->writable++;
}

static const struct brokers_handler brokers_handler = {heard_presence, heard_answer, heard_refusal, heard_writable};

static bool all_open(void *ctx) {
    struct fixture *f = ctx;
    return brokers_open_count(f->brokers) == 2;
}

static int setup(void **state) {
    static const char *const urls[] = {"wss://broker-1:8142", "wss://broker-2:8142/pcp2/orchestrator"};
    struct fixture *f = mem_zalloc(sizeof *f);
    f->sim = sim_new(&(struct sim_opts){.seed = 3});
    f->w = sim_host(f->sim, "orchestrator");
    f->side[0].uris = "pcp://node1/agent,pcp://node2/agent,pcp://tool/controller";
    f->side[1].uris = "pcp://node2/agent";
    up(f, 0);
    up(f, 1);
    struct world_tls_files files = sim_tls_files(f->w, "orchestrator");
    f->tls = world_tls_new(f->w, &files, NULL);
    struct brokers_opts opts = {.urls = urls, .count = 2, .tls = f->tls};
    f->brokers = brokers_new(f->w, &opts, NULL);
    assert_non_null(f->brokers);
    brokers_set_handler(f->brokers, &brokers_handler, f);
    brokers_start(f->brokers);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    brokers_free(f->brokers);
    down(f, 0);
    down(f, 1);
    world_tls_free(f->tls);
    sim_run_idle(f->sim, 30 * SIM_SECOND);
    struct buf report = BUF_INIT;
    if (!sim_check_idle(f->sim, &report)) {
        fail_msg("left behind: %s", report.ptr);
    }
    buf_free(&report);
    buf_free(&f->heard);
    sim_free(f->sim);
    mem_free(f);
    return 0;
}

static void wait_open(struct fixture *f) {
    assert_true(sim_run_until(f->sim, 20 * SIM_SECOND, all_open, f));
}

static void run(struct fixture *f, uint64_t us) {
    sim_run(f->sim, sim_now_us(f->sim) + us);
}

static void agents_are_known_over_all_brokers(void **state) {
    struct fixture *f = *state;
    struct brokers_node n;
    wait_open(f);
    assert_int_equal(brokers_node_count(f->brokers), 2);
    assert_true(brokers_find(f->brokers, SPAN("node2"), &n));
    assert_false(brokers_find(f->brokers, SPAN("tool"), &n)); /* no agent */
    assert_string_equal(f->side[0].uri, "pcp://orchestrator/controller");
    assert_string_equal(f->side[1].uri, "pcp://orchestrator/orchestrator");
    /* Gone from one broker, still at the other; then from both. */
    buf_clear(&f->heard);
    say(&f->side[0], PCP_INVENTORY_UPDATE, SPAN(""), NULL,
        "{\"changes\":[{\"client\":\"pcp://node2/agent\",\"change\":-1}]}");
    run(f, 100 * SIM_MS);
    assert_int_equal(f->heard.len, 0);
    assert_true(brokers_find(f->brokers, SPAN("node2"), &n));
    assert_string_equal(n.broker, "pcp://broker-2/server");
    say(&f->side[1], PCP_INVENTORY_UPDATE, SPAN(""), NULL,
        "{\"changes\":[{\"client\":\"pcp://node2/agent\",\"change\":-1},{\"client\":\"pcp://node3/"
        "agent\",\"change\":1}]}");
    run(f, 100 * SIM_MS);
    assert_string_equal(f->heard.ptr, "-node2 +node3 ");
    assert_false(brokers_find(f->brokers, SPAN("node2"), &n));
}

static void a_lost_broker_takes_its_nodes_along_and_is_dialled_again(void **state) {
    struct fixture *f = *state;
    wait_open(f);
    buf_clear(&f->heard);
    down(f, 0);
    run(f, SIM_SECOND);
    assert_string_equal(f->heard.ptr, "-node1 "); /* node2 is at the other one, too */
    assert_int_equal(brokers_open_count(f->brokers), 1);
    assert_true(brokers_any_open(f->brokers));
    run(f, 120 * SIM_SECOND);
    up(f, 0);
    uint64_t before = sim_now_us(f->sim);
    wait_open(f);
    assert_true(sim_now_us(f->sim) - before <= 16 * SIM_SECOND); /* never longer than the longest pause */
    assert_int_equal(brokers_metrics(f->brokers)->losses, 1);
    assert_int_equal(brokers_metrics(f->brokers)->connects, 3);
}

static void count_dials(void *ctx, const struct sim_event *e) {
    if (e->kind == SIM_EVENT_CONNECT && strcmp(e->host, "orchestrator") == 0) {
        ++*(int *)ctx;
    }
}

static void the_pauses_grow(void **state) {
    struct fixture *f = *state;
    int dials = 0;
    struct sim_watcher watcher = {0};
    wait_open(f);
    down(f, 0);
    sim_watch(f->sim, &watcher, count_dials, &dials);
    run(f, 2 * SIM_SECOND);
    assert_true(dials >= 3); /* after 100 … 200, 200 … 400, 400 … 800 ms */
    run(f, 598 * SIM_SECOND);
    assert_true(dials >= 40 && dials <= 90); /* then 7.5 to 15 s apart */
    sim_unwatch(f->sim, &watcher);
    up(f, 0);
    wait_open(f);
}

static void a_silent_broker_is_given_up(void **state) {
    struct fixture *f = *state;
    wait_open(f);
    sim_half_open(f->side[0].w, f->w); /* nobody tells */
    run(f, 30 * SIM_SECOND);
    run(f, 40 * SIM_SECOND);
    wait_open(f);
    assert_true(f->side[0].connects >= 2);
    assert_true(f->side[1].pings >= 4);
    assert_int_equal(f->side[1].connects, 1);
}

static void nonsense_is_dropped(void **state) {
    struct fixture *f = *state;
    wait_open(f);
    static const char *const texts[] = {"nonsense", "{}", "[]", "{\"id\":7}"};
    for (size_t i = 0; i < 4; i++) {
        struct span part = span_of(texts[i]);
        ws_send(f->side[0].peer, true, &part, 1);
    }
    say(&f->side[0], PCP_INVENTORY_UPDATE, SPAN(""), NULL, "{\"changes\":7}");
    say(&f->side[0], "http://puppetlabs.com/rpc_blocking_response", SPAN(""), "pcp://node1/agent", "{\"results\":7}");
    say(&f->side[0], "http://puppetlabs.com/rpc_blocking_response", SPAN(""), NULL, "{}");
    say(&f->side[0], "http://example.com/unheard-of", SPAN(""), "pcp://node1/agent", "{}");
    say(&f->side[0], PCP_INVENTORY_RESPONSE, SPAN("00000000-0000-4000-8000-000000000001"), NULL,
        "{\"uris\":[\"pcp://intruder/agent\"]}"); /* never asked */
    say(&f->side[0], "http://puppetlabs.com/rpc_provisional_response", SPAN(""), "pcp://node1/agent",
        "{\"transaction_id\":\"x\"}");
    say(&f->side[0], PCP_ERROR_MESSAGE, SPAN(ID), NULL, "\"Not connected.\"");
    run(f, SIM_SECOND);
    assert_int_equal(brokers_open_count(f->brokers), 2);
    assert_int_equal(brokers_metrics(f->brokers)->malformed, 7);
    assert_int_equal(f->answers, 1);
    assert_int_equal(f->refusals, 1);
    assert_int_equal(brokers_node_count(f->brokers), 2);
}

static void what_a_broker_does_not_take_holds_work_back(void **state) {
    struct fixture *f = *state;
    wait_open(f);
    struct buf body = BUF_INIT;
    buf_append_char(&body, '"');
    for (int i = 0; i < 1 << 20; i++) {
        buf_append_char(&body, 'x');
    }
    buf_append_char(&body, '"');
    struct span part = buf_span(&body);
    assert_false(brokers_send(f->brokers, SPAN("nobody"), PXP_BLOCKING_REQUEST, SPAN(ID), &part, 1));
    ws_pause(f->side[0].peer, true);
    for (int i = 0; i < 12; i++) {
        assert_true(brokers_send(f->brokers, SPAN("node1"), PXP_BLOCKING_REQUEST, SPAN(ID), &part, 1));
    }
    assert_true(brokers_busy(f->brokers));
    run(f, SIM_SECOND);
    assert_true(brokers_busy(f->brokers));
    assert_int_equal(f->writable, 0);
    ws_pause(f->side[0].peer, false);
    run(f, 10 * SIM_SECOND);
    assert_false(brokers_busy(f->brokers));
    assert_int_equal(f->writable, 1);
    assert_int_equal(f->side[0].messages, 1 + 12);
    buf_free(&body);
}

static bool is_true(void *ctx) {
    return *(bool *)ctx;
}

static void stopped(void *ctx) {
    *(bool *)ctx = true;
}

static void an_orderly_stop_waits_for_the_others_or_not_too_long(void **state) {
    struct fixture *f = *state;
    wait_open(f);
    bool done = false;
    sim_half_open(f->side[1].w, f->w);
    brokers_stop(f->brokers, stopped, &done);
    assert_false(done);
    assert_true(sim_run_until(f->sim, 3 * SIM_SECOND, is_true, &done));
    run(f, 60 * SIM_SECOND);
    assert_int_equal(f->side[0].connects, 1); /* nobody dials again */
}

static void addresses_are_checked(void **state) {
    struct fixture *f = *state;
    static const char *const bad[] = {"",       "https://b:8142", "wss://", "wss://b:0", "wss://b:70000",
                                      "ws://b", "wss://b c"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct error err = ERROR_INIT;
        struct brokers_opts opts = {.urls = &bad[i], .count = 1, .tls = f->tls};
        if (brokers_new(f->w, &opts, &err) != NULL) {
            fail_msg("\"%s\" was taken", bad[i]);
        }
        assert_true(error_is(&err, "configuration"));
        error_clear(&err);
    }
    const char *many[33];
    for (int i = 0; i < 33; i++) {
        many[i] = "wss://b";
    }
    struct brokers_opts opts = {.urls = many, .count = 33, .tls = f->tls};
    assert_null(brokers_new(f->w, &opts, NULL));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(agents_are_known_over_all_brokers, setup, teardown),
        cmocka_unit_test_setup_teardown(a_lost_broker_takes_its_nodes_along_and_is_dialled_again, setup, teardown),
        cmocka_unit_test_setup_teardown(the_pauses_grow, setup, teardown),
        cmocka_unit_test_setup_teardown(a_silent_broker_is_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(nonsense_is_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(what_a_broker_does_not_take_holds_work_back, setup, teardown),
        cmocka_unit_test_setup_teardown(an_orderly_stop_waits_for_the_others_or_not_too_long, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses_are_checked, setup, teardown),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
