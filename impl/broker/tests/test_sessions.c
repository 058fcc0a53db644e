/* pcp.md §8, §9, §16, §22: connections and their ends. */
#include "rig.h"

#include "base/json.h"
#include "base/mem.h"
#include <string.h>

#define AGENT1 "pcp://client01.example.com/agent"
#define AGENT2 "pcp://client02.example.com/agent"

static void expect_close(struct client *c, uint16_t code, const char *reason) {
    assert_true(client_wait_closed(c));
    assert_int_equal(c->code, code);
    assert_string_equal(c->reason, reason);
}

static void no_client_certificate(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    expect_close(client_connect(r, NULL, "/pcp2/agent"), 4003, "No client certificate.");
    expect_close(client_connect(r, NULL, "/pcp/"), 4003, "No client certificate.");
    assert_true(rig_logged(r, "connection-no-peer-certificate"));
    rig_free(r);
}

static void client_type_comes_from_the_path(void **state) {
    (void)state;
    static const struct {
        const char *path, *uri;
    } cases[] = {{"/pcp2", AGENT1},
                 {"/pcp2/", AGENT1},
                 {"/pcp2/agent", AGENT1},
                 {"/pcp2/agent?x=1", AGENT1},
                 {"/pcp2/UPPER", "pcp://client01.example.com/UPPER"},
                 {"/pcp2/a%20b", "pcp://client01.example.com/a%20b"},
                 {"/pcp2/agent;x=1", "pcp://client01.example.com/agent;x=1"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rig *r = rig_new(NULL, NULL);
        struct client *c = client_connect(r, "client01.example.com", cases[i].path);
        char *uris = client_inventory(c, "[\"pcp://client01.example.com/*\"]", false);
        assert_memory_equal(uris, cases[i].uri, strlen(cases[i].uri));
        mem_free(uris);
        rig_free(r);
    }
}

static void impossible_types_are_refused(void **state) {
    (void)state;
    static const char *const paths[] = {"/pcp2/server", "/pcp/server",  "/pcp2/foo/bar",
                                        "/pcp2/agent/", "/pcp2//agent", "/pcp2/*"};
    struct rig *r = rig_new(NULL, NULL);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        expect_close(client_connect(r, "client01.example.com", paths[i]), 4002, "Association unsuccessful.");
    }
    assert_int_equal(broker_session_count(r->broker), 0);
    rig_free(r);
}

static void unknown_paths_are_not_found(void **state) {
    (void)state;
    static const char *const paths[] = {"/", "/nope", "/pcp3", "/pcpx/agent", "/pcp2/%2e%2e/x", "/pcp2/../pcp/agent"};
    struct rig *r = rig_new(NULL, NULL);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct client *c = client_connect(r, "client01.example.com", paths[i]);
        assert_true(c->closed && !c->open);
        assert_non_null(strstr(c->reason, "404"));
    }
    rig_free(r);
}

static void limit_three(struct broker_config *c) {
    c->connections_max = 3;
}

static void max_connections(void **state) {
    (void)state;
    struct rig *r = rig_new(limit_three, NULL);
    struct client *first = client_connect(r, "client01.example.com", "/pcp2/agent");
    client_connect(r, "client02.example.com", "/pcp2/agent");
    client_connect(r, "client03.example.com", "/pcp/");
    expect_close(client_connect(r, "client04.example.com", "/pcp2/agent"), 1011, "Connection limit exceeded.");
    expect_close(client_connect(r, "client01.example.com", "/pcp2/agent"), 1011, "Connection limit exceeded.");
    assert_false(first->closed);
    client_close(first);
    rig_run_ms(r, 100);
    assert_true(client_connect(r, "client04.example.com", "/pcp2/agent")->open);
    rig_run_ms(r, 100);
    assert_int_equal(broker_session_count(r->broker), 3);
    rig_free(r);
}

static void replace_at_limit(struct broker_config *c) {
    c->connections_max = 1;
    c->replace_at_limit = true;
}

static void a_session_may_be_replaced_at_the_limit_on_request(void **state) {
    (void)state;
    struct rig *r = rig_new(replace_at_limit, NULL);
    struct client *first = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *second = client_connect(r, "client01.example.com", "/pcp2/agent");
    expect_close(client_connect(r, "client02.example.com", "/pcp2/agent"), 1011, "Connection limit exceeded.");
    assert_true(first->closed && !second->closed);
    rig_free(r);
}

static void second_connection_closes_the_first(void **state) {
    (void)state;
    static const char *const paths[][2] = {
        {"/pcp2/agent", "/pcp2/agent"}, {"/pcp/", "/pcp/"}, {"/pcp/", "/pcp2/agent"}};
    for (size_t i = 0; i < 3; i++) {
        struct rig *r = rig_new(NULL, NULL);
        struct client *first = client_connect(r, "client01.example.com", paths[i][0]);
        struct client *second = client_connect(r, "client01.example.com", paths[i][1]);
        assert_true(client_wait_closed(first));
        assert_int_equal(first->code, 1006);
        rig_run_ms(r, 2000); /* and its late end changes nothing */
        assert_int_equal(broker_session_count(r->broker), 1);
        assert_false(second->closed);
        if (i != 1) {
            char *uris = client_inventory(second, "[\"pcp://*/*\"]", false);
            assert_string_equal(uris, AGENT1 " ");
            mem_free(uris);
        }
        rig_free(r);
    }
}

static void a_target_is_reachable_from_its_101_on(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *a = client_connect(r, "client01.example.com", "/pcp2/agent");
    for (int i = 0; i < 20; i++) {
        struct client *b = client_connect(r, "client02.example.com", "/pcp2/agent");
        client_send(a, ID1, "greeting", AGENT2, NULL); /* the moment it knows that it is open */
        assert_non_null(client_next(b));
    }
    rig_free(r);
}

static void idle_three_seconds(struct broker_config *c) {
    c->idle_timeout_ms = 3000;
}

static void idle_timeout_and_what_resets_it(void **state) {
    (void)state;
    struct rig *r = rig_new(idle_three_seconds, NULL);
    struct client *silent = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *pinging = client_connect(r, "client02.example.com", "/pcp2/agent");
    struct client *receiver = client_connect(r, "client03.example.com", "/pcp2/agent");
    struct client *sender = client_connect(r, "client04.example.com", "/pcp2/agent");
    for (int i = 0; i < 8; i++) {
        rig_run_ms(r, 1000);
        ws_ping(pinging->ws, SPAN("p"));
        client_send(sender, ID1, "x", "pcp://client03.example.com/agent", NULL);
    }
    assert_true(silent->closed);
    assert_int_equal(silent->code, 1001);
    assert_string_equal(silent->reason, "Connection Idle Timeout");
    assert_false(pinging->closed || receiver->closed || sender->closed);
    rig_free(r);
}

static void small_messages(struct broker_config *c) {
    c->message_max = 1000;
}

static void too_large_messages_close_with_1009(void **state) {
    (void)state;
    struct rig *r = rig_new(small_messages, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    char text[1002];
    memset(text, ' ', sizeof text);
    text[1000] = '\0';
    client_text(c, text);
    client_expect_error(c, "Could not decode message", NULL);
    text[1000] = ' ';
    text[1001] = '\0';
    client_text(c, text);
    assert_true(client_wait_closed(c));
    assert_int_equal(c->code, 1009);
    rig_free(r);
}

static void v1_only(struct broker_config *c) {
    c->v1_route = "/pcp/v1.0";
    c->v2_route = "";
}

static void broker_starts_with_the_v2_route_missing(void **state) {
    (void)state;
    struct rig *r = rig_new(v1_only, NULL);
    assert_true(client_connect(r, "client01.example.com", "/pcp/v1.0/agent")->open);
    assert_false(client_connect(r, "client01.example.com", "/pcp2/agent")->open);
    assert_true(rig_logged(r, "v2-unavailable"));
    rig_free(r);
}

static void nested_routes(struct broker_config *c) {
    c->v1_route = "/pcp";
    c->v2_route = "/pcp/v2.0";
}

static void the_longer_route_goes_first(void **state) {
    (void)state;
    struct rig *r = rig_new(nested_routes, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp/v2.0/agent");
    char *uris = client_inventory(c, "[\"pcp://*/*\"]", false);
    assert_string_equal(uris, AGENT1 " ");
    mem_free(uris);
    rig_free(r);
}

/* ---- start and stop */

static void mark(void *ctx) {
    *(bool *)ctx = true;
}

static bool is_set(void *ctx) {
    return *(bool *)ctx;
}

static void close_codes_around_start_and_stop(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(NULL, NULL);
    bool done = false;
    expect_close(client_connect(r, "client01.example.com", "/pcp2/agent"), 1011, "Broker is not running.");
    assert_int_equal(broker_state(r->broker), BROKER_STARTING);
    broker_start(r->broker);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *v1 = client_connect(r, "client02.example.com", "/pcp/");
    assert_true(c->open && !c->closed);
    struct world_tls *tls = client_tls(r, "client03.example.com");
    broker_stop(r->broker, 5000, mark, &done);
    assert_int_equal(broker_state(r->broker), BROKER_STOPPING);
    struct client *late = client_dial(r, client_host(r, "client03.example.com"), tls, "/pcp2/agent");
    r->broker = NULL;
    assert_true(sim_run_until(r->sim, 10 * SIM_SECOND, is_set, &done));
    expect_close(c, 1001, "Shutdown");
    expect_close(v1, 1001, "Shutdown");
    assert_true(client_wait_closed(late)); /* told so, or refused */
    assert_true(late->code == 1011 || late->code == 1006);
    late = client_dial(r, client_host(r, "client03.example.com"), tls, "/pcp2/agent");
    assert_true(client_wait_closed(late));
    assert_false(late->open);
    assert_non_null(strstr(late->reason, "refused"));
    world_tls_free(tls);
    assert_true(rig_logged(r, "broker-stopped"));
    rig_free(r);
}

static void stopping_waits_no_longer_than_told(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    bool done = false;
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    sim_pause(client_host(r, "client01.example.com"), true); /* it will not answer the close frame */
    uint64_t before = sim_now_us(r->sim);
    broker_stop(r->broker, 500, mark, &done);
    r->broker = NULL;
    assert_true(sim_run_until(r->sim, 10 * SIM_SECOND, is_set, &done));
    assert_true(sim_now_us(r->sim) - before < 2 * SIM_SECOND);
    sim_pause(client_host(r, "client01.example.com"), false);
    assert_true(client_wait_closed(c));
    rig_free(r);
}

static void destroy_broker(void *ctx) {
    struct rig *r = ctx;
    broker_free(r->broker);
    r->broker = NULL;
}

static void a_crash_leaves_nothing_and_the_next_broker_takes_the_clients(void **state) {
    (void)state;
    struct rig *r = rig_new(NULL, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *v1 = client_connect(r, "client02.example.com", "/pcp/");
    client_send(c, ID1, INVENTORY_REQUEST, NULL, "{\"query\":[\"pcp://*/*\"],\"subscribe\":true}");
    assert_non_null(client_next(c));
    sim_on_crash(r->world, destroy_broker, r);
    sim_crash(r->world, SIM_CRASH_KILL);
    assert_null(r->broker);
    assert_true(client_wait_closed(c) && client_wait_closed(v1));
    assert_int_equal(c->code, 1006);
    sim_on_crash(r->world, NULL, NULL);
    r->broker = broker_new(r->world, &r->config, &r->loggers, rig_rules(rig_rules_open), NULL);
    assert_non_null(r->broker);
    broker_start(r->broker);
    assert_true(client_connect(r, "client01.example.com", "/pcp2/agent")->open);
    rig_free(r);
}

/* ---- back-pressure and fairness */

static void small_queue(struct broker_config *c) {
    c->queue_bytes_max = 100 * 1000;
}

/* A reader that stopped reading: its TCP window fills, then the broker's queue for it. */
static void flood(struct rig *r, struct client *from, size_t count) {
    struct buf data = BUF_INIT;
    buf_append_char(&data, '"');
    for (int i = 0; i < 10000; i++) {
        buf_append_char(&data, 'x');
    }
    buf_append_char(&data, '"');
    for (size_t i = 0; i < count; i++) {
        client_send(from, ID1, "bulk", AGENT2, data.ptr);
        rig_run_ms(r, 20);
    }
    buf_free(&data);
}

static void a_slow_reader_is_closed_and_the_sender_told(void **state) {
    (void)state;
    struct rig *r = rig_new(small_queue, NULL);
    struct client *a = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *b = client_connect(r, "client02.example.com", "/pcp2/agent");
    ws_pause(b->ws, true);
    flood(r, a, 60);
    client_expect_error(a, "The recipient does not read its messages.", ID1);
    client_expect_error(a, "Not connected.", ID1); /* it has left the inventory */
    assert_int_equal(broker_session_count(r->broker), 1);
    ws_pause(b->ws, false);
    assert_true(client_wait_closed(b));
    assert_true(b->inbox.count > 10); /* what had been accepted was delivered in order, or lost with the connection */
    assert_true(rig_logged(r, "slow-reader"));
    rig_free(r);
}

static void few_messages(struct broker_config *c) {
    c->queue_messages_max = 3;
}

static void the_queue_is_bounded_in_messages_too(void **state) {
    (void)state;
    struct rig *r = rig_new(few_messages, NULL);
    struct client *a = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *b = client_connect(r, "client02.example.com", "/pcp2/agent");
    ws_pause(b->ws, true);
    flood(r, a, 60);
    client_expect_error(a, "The recipient does not read its messages.", ID1);
    rig_free(r);
}

static void small_turns(struct broker_config *c) {
    c->turn_messages_max = 4;
}

static void a_flood_is_handled_in_shares(void **state) {
    (void)state;
    struct rig *r = rig_new(small_turns, NULL);
    struct client *a = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *b = client_connect(r, "client02.example.com", "/pcp2/agent");
    for (int i = 0; i < 500; i++) {
        client_send(a, ID1, "x", AGENT1, NULL);
    }
    client_send(b, ID2, "x", AGENT2, NULL);
    assert_non_null(client_next(b));
    assert_true(a->inbox.count < 500); /* the other one did not wait for the whole flood */
    rig_run_ms(r, 5000);
    assert_int_equal(a->inbox.count, 500); /* of which nothing is lost */
    rig_free(r);
}

/* ---- CRL */

static void quick_crl(struct broker_config *c) {
    c->crl_check_period_ms = 1000;
    c->expired_throttle_ms = 30;
}

static void crl_rewritten_closes_clients_one_by_one(void **state) {
    (void)state;
    struct rig *r = rig_new(quick_crl, NULL);
    struct client *c[3];
    const char *const names[] = {"client01.example.com", "client02.example.com", "client03.example.com"};
    for (int i = 0; i < 3; i++) {
        c[i] = client_connect(r, names[i], i == 1 ? "/pcp/" : "/pcp2/agent");
    }
    char *crl = sim_crl_text(r->sim, SIM_CA);
    assert_true(world_file_write(r->world, r->config.tls.crl, span_of(crl), 0644, WORLD_WRITE_ATOMIC, NULL));
    mem_free(crl);
    rig_run_ms(r, 500);
    assert_false(c[0]->closed); /* flagged, but closed only at the next check */
    struct client *fresh = client_connect(r, "client04.example.com", "/pcp2/agent");
    for (int i = 0; i < 3; i++) {
        expect_close(c[i], 1012, "CRL reloaded");
    }
    rig_run_ms(r, 5000);
    assert_false(fresh->closed); /* new sessions are not flagged */
    assert_true(client_connect(r, names[0], "/pcp2/agent")->open);
    rig_free(r);
}

static void throttled_crl(struct broker_config *c) {
    c->crl_check_period_ms = 100;
    c->expired_throttle_ms = 2000;
}

static void flagged_sessions_are_closed_only_after_the_throttle_delay(void **state) {
    (void)state;
    struct rig *r = rig_new(throttled_crl, NULL);
    struct client *a = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *b = client_connect(r, "client02.example.com", "/pcp2/agent");
    char *crl = sim_crl_text(r->sim, SIM_CA);
    assert_true(world_file_write(r->world, r->config.tls.crl, span_of(crl), 0644, WORLD_WRITE_PLAIN, NULL));
    mem_free(crl);
    rig_run_ms(r, 1500);
    assert_true(a->closed);
    assert_false(b->closed);
    rig_run_ms(r, 2000);
    assert_true(b->closed);
    rig_free(r);
}

static void a_revoked_client_cannot_come_back(void **state) {
    (void)state;
    struct rig *r = rig_new(quick_crl, NULL);
    struct world *host = client_host(r, "client01.example.com");
    const char *const names[] = {"client01.example.com"};
    const struct sim_certificate *cert = sim_issue(
        r->sim, &(struct sim_certificate_opts){.common_name = names[0], .alt_names = names, .alt_name_count = 1});
    struct world_tls_files files = sim_tls_files_of(host, cert);
    struct world_tls *tls = world_tls_new(host, &files, NULL);
    struct client *c = client_dial(r, host, tls, "/pcp2/agent");
    rig_run_ms(r, 1000);
    assert_true(c->open && !c->closed);
    sim_revoke(r->sim, cert);
    char *crl = sim_crl_text(r->sim, SIM_CA);
    assert_true(world_file_write(r->world, r->config.tls.crl, span_of(crl), 0644, WORLD_WRITE_ATOMIC, NULL));
    mem_free(crl);
    expect_close(c, 1012, "CRL reloaded");
    c = client_dial(r, host, tls, "/pcp2/agent");
    assert_true(client_wait_closed(c));
    assert_false(c->open);
    world_tls_free(tls);
    rig_free(r);
}

/* ---- a client that waits between its handshake and its request */

struct slow_client {
    bool open, closed;
    struct buf heard;
};

static void slow_open(void *ctx, struct world_conn *c) {
    (void)c;
    ((struct slow_client *)ctx)->open = true;
}
static void slow_data(void *ctx, struct world_conn *c, struct span bytes) {
    (void)c;
    buf_append_span(&((struct slow_client *)ctx)->heard, bytes);
}
static void slow_close(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    (void)c;
    (void)why;
    (void)text;
    ((struct slow_client *)ctx)->closed = true;
}

static void revoked_between_handshake_and_request(void **state) {
    (void)state;
    static const struct world_conn_handler slow = {.on_open = slow_open, .on_data = slow_data, .on_close = slow_close};
    struct rig *r = rig_new(quick_crl, NULL);
    struct world *host = client_host(r, "client01.example.com");
    const char *const names[] = {"client01.example.com"};
    const struct sim_certificate *cert = sim_issue(
        r->sim, &(struct sim_certificate_opts){.common_name = names[0], .alt_names = names, .alt_name_count = 1});
    struct world_tls_files files = sim_tls_files_of(host, cert);
    struct world_tls *tls = world_tls_new(host, &files, NULL);
    struct slow_client client = {.heard = BUF_INIT};
    struct world_conn *c =
        world_connect(host, &(struct world_connect){.host = "broker", .port = r->port, .tls = tls}, &slow, &client);
    rig_run_ms(r, 1000);
    assert_true(client.open);
    sim_revoke(r->sim, cert);
    char *crl = sim_crl_text(r->sim, SIM_CA);
    assert_true(world_file_write(r->world, r->config.tls.crl, span_of(crl), 0644, WORLD_WRITE_ATOMIC, NULL));
    mem_free(crl);
    rig_run_ms(r, 2000);
    const struct span request = SPAN("GET /pcp2/agent HTTP/1.1\r\nHost: broker\r\nUpgrade: websocket\r\n"
                                     "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                                     "Sec-WebSocket-Version: 13\r\n\r\n");
    world_conn_write(c, &request, 1);
    rig_run_ms(r, 1000);
    assert_true(span_find_span(buf_span(&client.heard), SPAN("CRL reloaded")) >= 0);
    rig_run_ms(r, 10000);
    assert_true(client.closed);
    buf_free(&client.heard);
    world_tls_free(tls);
    rig_free(r);
}

static void an_unreadable_crl_changes_nothing_until_it_is_whole(void **state) {
    (void)state;
    struct rig *r = rig_new(quick_crl, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    assert_true(world_file_write(r->world, r->config.tls.crl, SPAN("half a li"), 0644, WORLD_WRITE_PLAIN, NULL));
    rig_run_ms(r, 5000);
    assert_false(c->closed);
    assert_true(rig_logged(r, "error crl-reload"));
    char *crl = sim_crl_text(r->sim, SIM_CA);
    assert_true(world_file_write(r->world, r->config.tls.crl, span_of(crl), 0644, WORLD_WRITE_PLAIN, NULL));
    mem_free(crl);
    expect_close(c, 1012, "CRL reloaded");
    rig_free(r);
}

/* ---- configuration errors */

static void check_refused(const struct broker_config *change, const char *message) {
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    struct world *w = sim_host(sim, "broker");
    struct broker_config config = *change;
    const struct broker_loggers none = {NULL, NULL, NULL};
    struct error err = ERROR_INIT;
    config.tls = sim_tls_files(w, "broker");
    assert_null(broker_new(w, &config, &none, rules_allow_all(), &err));
    if (strstr(err.msg, message) == NULL) {
        fail_msg("%s", err.msg);
    }
    error_clear(&err);
    sim_run(sim, SIM_MINUTE);
    assert_true(sim_check_idle(sim, NULL));
    sim_free(sim);
}

static void wrong_configuration_is_refused(void **state) {
    (void)state;
    static const char *const http[] = {"https://x:1/server"}, *const junk[] = {"nonsense"};
    check_refused(&(struct broker_config){.v1_route = "pcp"}, "v1: \"pcp\" must start with '/'");
    check_refused(&(struct broker_config){.v2_route = "/pcp/"}, "v2: \"/pcp/\"");
    check_refused(&(struct broker_config){.v2_route = "/pcp"}, "v1 and v2 have the same route /pcp");
    check_refused(&(struct broker_config){.status_route = "/:x"}, "status-service");
    check_refused(&(struct broker_config){.controller_uris = http, .controller_count = 1}, "expected a wss:// URI");
    check_refused(&(struct broker_config){.controller_uris = junk, .controller_count = 1}, "controller-uris: nonsense");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_client_certificate),
        cmocka_unit_test(client_type_comes_from_the_path),
        cmocka_unit_test(impossible_types_are_refused),
        cmocka_unit_test(unknown_paths_are_not_found),
        cmocka_unit_test(max_connections),
        cmocka_unit_test(a_session_may_be_replaced_at_the_limit_on_request),
        cmocka_unit_test(second_connection_closes_the_first),
        cmocka_unit_test(a_target_is_reachable_from_its_101_on),
        cmocka_unit_test(idle_timeout_and_what_resets_it),
        cmocka_unit_test(too_large_messages_close_with_1009),
        cmocka_unit_test(broker_starts_with_the_v2_route_missing),
        cmocka_unit_test(the_longer_route_goes_first),
        cmocka_unit_test(close_codes_around_start_and_stop),
        cmocka_unit_test(stopping_waits_no_longer_than_told),
        cmocka_unit_test(a_crash_leaves_nothing_and_the_next_broker_takes_the_clients),
        cmocka_unit_test(a_slow_reader_is_closed_and_the_sender_told),
        cmocka_unit_test(the_queue_is_bounded_in_messages_too),
        cmocka_unit_test(a_flood_is_handled_in_shares),
        cmocka_unit_test(crl_rewritten_closes_clients_one_by_one),
        cmocka_unit_test(flagged_sessions_are_closed_only_after_the_throttle_delay),
        cmocka_unit_test(a_revoked_client_cannot_come_back),
        cmocka_unit_test(revoked_between_handshake_and_request),
        cmocka_unit_test(an_unreadable_crl_changes_nothing_until_it_is_whole),
        cmocka_unit_test(wrong_configuration_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
