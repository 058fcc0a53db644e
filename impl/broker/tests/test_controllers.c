/* pcp.md §15, §22: controllers. The test plays the controller: a WebSocket server on a host of its own. */
#include "rig.h"

#include "base/json.h"
#include "base/mem.h"
#include <string.h>

#define AGENT1 "pcp://client01.example.com/agent"
#define AGENT2 "pcp://client02.example.com/agent"

struct stage {
    struct client side; /* the accepted connection, used like a client */
    struct rig *rig;
    struct world *world;
    struct world_tls *tls;
    struct http_server *server;
    char *path; /* of the broker's request */
    char *peer; /* CN of its certificate */
    size_t accepted;
    uint64_t accepted_at_us;
};

static void on_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct stage *s = ctx;
    struct received *m = mem_zalloc(sizeof *m);
    (void)p;
    m->text = text;
    buf_append_span(&m->bytes, payload);
    list_push_back(&s->side.inbox, &m->link);
}

static void on_ping(void *ctx, struct ws_peer *p, struct span payload) {
    struct stage *s = ctx;
    (void)p;
    assert_int_equal(payload.len, 1);
    assert_int_equal(payload.ptr[0], 0);
    s->side.pings++;
}

static void on_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct stage *s = ctx;
    (void)p;
    s->side.ws = NULL;
    s->side.open = false;
    s->side.closed = true;
    s->side.code = code;
    mem_free(s->side.reason);
    s->side.reason = span_dup(reason);
}

static const struct ws_handler handler = {.on_message = on_message, .on_ping = on_ping, .on_close = on_close};

static void accept_broker(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct stage *s = ctx;
    (void)route;
    mem_free(s->path);
    mem_free(s->peer);
    s->path = str_dup(http_request(ex)->path);
    s->peer = str_dup(http_request(ex)->identity->common_name);
    s->side.ws = ws_accept(ex, &(struct ws_limits){0}, &handler, s);
    s->side.open = s->side.ws != NULL;
    s->side.closed = false;
    s->accepted++;
    s->accepted_at_us = world_now_us(s->world);
}

static const struct http_route routes[] = {{"GET", "/*rest", accept_broker, NULL}, {NULL, NULL, NULL, NULL}};

static void stage_open(struct stage *s) {
    struct error err = ERROR_INIT;
    s->server = http_server_new(
        s->world, &(struct http_server_opts){.listen = {.port = 8143, .tls = s->tls}, .routes = routes, .ctx = s},
        &err);
    if (s->server == NULL) {
        fail_msg("%s", err.msg);
    }
}

static struct stage *stage_new(struct rig *r, const char *host) {
    struct stage *s = mem_zalloc(sizeof *s);
    s->rig = r;
    s->side.rig = r;
    list_init(&s->side.inbox);
    s->world = sim_host(r->sim, host);
    struct world_tls_files files = sim_tls_files(s->world, host);
    s->tls = world_tls_new(s->world, &files, NULL);
    assert_non_null(s->tls);
    return s;
}

static void stage_close(struct stage *s) {
    if (s->side.ws != NULL) {
        ws_abort(s->side.ws);
        s->side.ws = NULL;
        s->side.open = false;
    }
    if (s->server != NULL) {
        http_server_close(s->server, 0, NULL, NULL);
        s->server = NULL;
    }
}

static void stage_free(struct stage *s) {
    stage_close(s);
    while (client_next(&s->side) != NULL) {
    }
    world_tls_free(s->tls);
    mem_free(s->path);
    mem_free(s->peer);
    mem_free(s->side.reason);
    mem_free(s);
}

static bool is_open(void *ctx) {
    struct stage *s = ctx;
    return s->side.open;
}

static void stage_wait(struct stage *s) {
    assert_true(sim_run_until(s->rig->sim, 60 * SIM_SECOND, is_open, s));
    rig_run_ms(s->rig, 20); /* the broker hears of it, too */
}

static void one_controller(struct broker_config *c) {
    static const char *const uris[] = {"wss://control:8143/server"};
    static const char *const types[] = {INVENTORY_REQUEST, "greeting"};
    c->controller_uris = uris;
    c->controller_count = 1;
    c->controller_allowlist = types;
    c->controller_allow_count = 2;
    c->controller_grace_ms = 3000;
}

static void three_controllers(struct broker_config *c) {
    static const char *const uris[] = {"wss://control:8143/server", "wss://second:8143/server/", "wss://third:8143"};
    one_controller(c);
    c->controller_uris = uris;
    c->controller_count = 3;
}

static void broker_dials_out(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(one_controller, NULL);
    struct stage *s = stage_new(r, "control");
    stage_open(s);
    broker_start(r->broker);
    assert_int_equal(broker_state(r->broker), BROKER_ERROR); /* until a controller is there */
    stage_wait(s);
    assert_string_equal(s->path, "/server/server");
    assert_string_equal(s->peer, "broker");
    assert_int_equal(broker_state(r->broker), BROKER_RUNNING);
    assert_true(rig_logged(r, "controller-connection"));
    assert_true(rig_logged(r, "accepting-connections"));
    stage_free(s);
    rig_free(r);
}

static void inventory_and_error_answers_without_agents(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(one_controller, NULL);
    struct stage *s = stage_new(r, "control");
    stage_open(s);
    broker_start(r->broker);
    stage_wait(s);
    char *uris = client_inventory(&s->side, "[\"pcp://*/*\"]", false); /* controllers are never listed */
    assert_string_equal(uris, "");
    mem_free(uris);
    client_send(&s->side, ID2, "greeting", AGENT1, NULL);
    client_expect_error(&s->side, "Not connected.", ID2);
    stage_free(s);
    rig_free(r);
}

static void two_way_traffic_with_the_controllers_uri(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(one_controller, NULL);
    struct stage *s = stage_new(r, "control");
    stage_open(s);
    broker_start(r->broker);
    stage_wait(s);
    struct client *v2 = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *v1 = client_connect(r, "client02.example.com", "/pcp/");
    client_send(&s->side, ID1, "greeting", AGENT1, "\"Hello\"");
    assert_string_equal(client_next(v2)->bytes.ptr,
                        "{\"id\":\"" ID1 "\",\"message_type\":\"greeting\",\"target\":\"" AGENT1
                        "\",\"data\":\"Hello\",\"sender\":\"pcp://control:8143/server\"}");
    client_send(&s->side, ID1, "greeting", AGENT2, "\"Hello\"");
    assert_true(span_ends_with(buf_span(&client_next(v1)->bytes), "\"Hello\""));
    client_send(v2, ID2, "anything", "pcp://control:8143/server", "\"back\"");
    assert_true(span_starts_with(buf_span(&client_next(&s->side)->bytes), "{\"id\":\"" ID2));
    client_send(v2, ID2, "anything", "pcp://other:8143/server", NULL);
    client_expect_error(v2, "Not connected.", ID2);
    stage_free(s);
    rig_free(r);
}

static void allow_list_and_spoofed_sender(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(one_controller, NULL);
    struct stage *s = stage_new(r, "control");
    stage_open(s);
    broker_start(r->broker);
    stage_wait(s);
    client_send(&s->side, ID1, "loopy", "pcp://control:8143/server", NULL);
    client_expect_error(&s->side, "Message not authorized.", ID1);
    client_text(
        &s->side,
        "{\"id\":\"" ID1
        "\",\"message_type\":\"greeting\",\"sender\":\"pcp://other/server\",\"target\":\"pcp://control:8143/server\"}");
    client_expect_error(&s->side, "Message not authenticated.", ID1);
    client_send(&s->side, ID1, "greeting", "pcp://*/agent", NULL);
    client_expect_error(&s->side, "Multiple recipients no longer supported.", ID1);
    client_text(&s->side, "not json"); /* where the reference drops the connection */
    client_expect_error(&s->side, "Could not decode message", NULL);
    client_send(&s->side, ID1, INVENTORY_REQUEST, NULL, "{}");
    assert_non_null(client_next(&s->side));
    assert_int_equal(s->accepted, 1);
    stage_free(s);
    rig_free(r);
}

static void three_controllers_are_served(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(three_controllers, NULL);
    static const char *const names[] = {"control", "second", "third"};
    static const char *const paths[] = {"/server/server", "/server/server", "/server"};
    struct stage *s[3];
    for (int i = 0; i < 3; i++) {
        s[i] = stage_new(r, names[i]);
        stage_open(s[i]);
    }
    broker_start(r->broker);
    for (int i = 0; i < 3; i++) {
        stage_wait(s[i]);
        assert_string_equal(s[i]->path, paths[i]);
        char *uris = client_inventory(&s[i]->side, "[\"pcp://*/*\"]", true);
        mem_free(uris);
    }
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    for (int i = 0; i < 3; i++) {
        assert_non_null(strstr(client_next(&s[i]->side)->bytes.ptr, "inventory_update"));
    }
    stage_close(s[1]); /* its subscription goes; the others and the clients stay */
    rig_run_ms(r, 10000);
    assert_false(c->closed);
    assert_int_equal(broker_state(r->broker), BROKER_RUNNING);
    client_close(c);
    assert_non_null(strstr(client_next(&s[0]->side)->bytes.ptr, "\"change\":-1"));
    for (int i = 0; i < 3; i++) {
        stage_free(s[i]);
    }
    rig_free(r);
}

static void pings_every_fifteen_seconds(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(one_controller, NULL);
    struct stage *s = stage_new(r, "control");
    stage_open(s);
    broker_start(r->broker);
    stage_wait(s);
    rig_run_ms(r, 46000);
    assert_int_equal(s->side.pings, 3);
    stage_free(s);
    rig_free(r);
}

static void no_controller_at_start_gates_the_clients(void **state) {
    (void)state;
    struct rig *r = rig_new(one_controller, NULL);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    assert_false(c->open);
    assert_non_null(strstr(c->reason, "404"));
    assert_int_equal(broker_state(r->broker), BROKER_ERROR);
    struct stage *s = stage_new(r, "control");
    stage_open(s);
    stage_wait(s);
    assert_true(client_connect(r, "client01.example.com", "/pcp2/agent")->open);
    stage_free(s);
    rig_free(r);
}

static void outage_gates_evicts_and_recovers(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(one_controller, NULL);
    struct stage *s = stage_new(r, "control");
    stage_open(s);
    broker_start(r->broker);
    stage_wait(s);
    struct client *v2 = client_connect(r, "client01.example.com", "/pcp2/agent");
    struct client *v1 = client_connect(r, "client02.example.com", "/pcp/");
    stage_close(s);
    rig_run_ms(r, 1000);
    assert_int_equal(broker_state(r->broker), BROKER_ERROR);
    struct client *late = client_connect(r, "client03.example.com", "/pcp2/agent");
    assert_true(client_wait_closed(late));
    assert_int_equal(late->code, 1011);
    assert_string_equal(late->reason, "All controllers disconnected.");
    assert_false(v2->closed || v1->closed); /* those who are there stay through the grace period */
    assert_true(client_wait_closed(v2) && client_wait_closed(v1));
    assert_int_equal(v2->code, 1001);
    assert_string_equal(v2->reason, "Shutdown");
    late = client_connect(r, "client03.example.com", "/pcp2/agent");
    assert_false(late->open); /* 404 now */
    stage_open(s);
    stage_wait(s);
    assert_int_equal(broker_state(r->broker), BROKER_RUNNING);
    assert_true(client_connect(r, "client01.example.com", "/pcp2/agent")->open);
    stage_free(s);
    rig_free(r);
}

static void a_controller_back_within_grace_keeps_the_clients(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(one_controller, NULL);
    struct stage *s = stage_new(r, "control");
    stage_open(s);
    broker_start(r->broker);
    stage_wait(s);
    struct client *c = client_connect(r, "client01.example.com", "/pcp2/agent");
    uint64_t lost = sim_now_us(r->sim);
    ws_abort(s->side.ws);
    s->side.ws = NULL;
    s->side.open = false;
    stage_wait(s);
    assert_true(s->accepted_at_us - lost >= 200 * SIM_MS); /* the first retry */
    assert_true(s->accepted_at_us - lost < 300 * SIM_MS);
    rig_run_ms(r, 10000);
    assert_false(c->closed);
    stage_free(s);
    rig_free(r);
}

static void retries_back_off_to_fifteen_seconds(void **state) {
    (void)state;
    struct rig *r = rig_new(one_controller, NULL);
    rig_run_ms(r, 120000);
    size_t tries = 0;
    for (const char *p = r->log.ptr; (p = strstr(p, "Could not connect to the controller")) != NULL; p++) {
        tries++;
    }
    assert_true(tries >= 12 && tries <= 14); /* 0.2 0.4 … 12.8 s, then every 15 s */
    rig_free(r);
}

static void updates_are_dropped_after_controller_loss(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(one_controller, NULL);
    struct stage *s = stage_new(r, "control");
    stage_open(s);
    broker_start(r->broker);
    stage_wait(s);
    mem_free(client_inventory(&s->side, "[\"pcp://*/*\"]", true));
    client_connect(r, "client01.example.com", "/pcp2/agent");
    ws_abort(s->side.ws);
    s->side.ws = NULL;
    s->side.open = false;
    stage_wait(s);
    assert_true(client_silent(&s->side, 3000)); /* it has to subscribe again */
    stage_free(s);
    rig_free(r);
}

static void mark(void *ctx) {
    *(bool *)ctx = true;
}

static bool is_set(void *ctx) {
    return *(bool *)ctx;
}

static void stopping_closes_controllers_in_order(void **state) {
    (void)state;
    struct rig *r = rig_new_stopped(one_controller, NULL);
    struct stage *s = stage_new(r, "control");
    bool done = false;
    stage_open(s);
    broker_start(r->broker);
    stage_wait(s);
    broker_stop(r->broker, 5000, mark, &done);
    r->broker = NULL;
    assert_true(sim_run_until(r->sim, 2 * SIM_SECOND, is_set, &done));
    assert_true(s->side.closed);
    assert_int_equal(s->side.code, 1001);
    stage_free(s);
    rig_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broker_dials_out),
        cmocka_unit_test(inventory_and_error_answers_without_agents),
        cmocka_unit_test(two_way_traffic_with_the_controllers_uri),
        cmocka_unit_test(allow_list_and_spoofed_sender),
        cmocka_unit_test(three_controllers_are_served),
        cmocka_unit_test(pings_every_fifteen_seconds),
        cmocka_unit_test(no_controller_at_start_gates_the_clients),
        cmocka_unit_test(outage_gates_evicts_and_recovers),
        cmocka_unit_test(a_controller_back_within_grace_keeps_the_clients),
        cmocka_unit_test(retries_back_off_to_fifteen_seconds),
        cmocka_unit_test(updates_are_dropped_after_controller_loss),
        cmocka_unit_test(stopping_closes_controllers_in_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
