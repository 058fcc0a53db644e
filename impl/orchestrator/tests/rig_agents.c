/* The scripted broker and the scripted agents behind it. */
#include "rig.h"

#include "base/json.h"
#include "base/mem.h"
#include "pcp/body.h"
#include "pcp/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---------------------------------------------------------------------------------------- the scripted agents */

struct rig_transaction {
    struct rig_agent *agent;
    char id[40], requester[128];
    bool ended;
    int exitcode;
    bool killed;
    json_t *results; /* of its response, when it has ended */
    bool deploy;
    char job[24];
    struct timer timer;
};

static void send_message(struct rig_broker *b, const char *from, enum pxp_type type, struct buf *body) {
    char id[37], sender[128];
    if (b->controller == NULL || b->deaf) {
        buf_free(body);
        return;
    }
    world_uuid(b->w, id);
    snprintf(sender, sizeof sender, "pcp://%s/agent", from);
    struct pcp_message m = {
        .id = span_of(id),
        .message_type = span_of(pxp_type_uri(type)),
        .target = span_of(b->uri),
        .sender = span_of(sender),
        .data = buf_span(body),
    };
    struct buf text = BUF_INIT;
    pcp_encode(PCP_V2, &m, &text);
    struct span part = buf_span(&text);
    ws_send(b->controller, true, &part, 1);
    buf_free(&text);
    buf_free(body);
}

static void agent_send(struct rig_agent *a, enum pxp_type type, struct buf *body) {
    if (a->broker < 0 || a->deaf) {
        buf_free(body);
        return;
    }
    send_message(&a->rig->broker[a->broker], a->name, type, body);
}

static json_t *output(int exitcode, const char *out, const char *err) {
    json_t *results = json_pack("{s:i}", "exitcode", exitcode);
    if (out != NULL && out[0] != '\0') {
        json_set(results, "stdout", json_string(out));
    }
    if (err != NULL && err[0] != '\0') {
        json_set(results, "stderr", json_string(err));
    }
    return results;
}

static json_t *run_puppet(struct rig_transaction *t) {
    struct rig *r = t->agent->rig;
    char uuid[37];
    world_uuid(r->broker[0].w, uuid);
    if (!t->agent->no_report) {
        json_array_append_new(r->reports,
                              json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b, s:{s:[{s:s, s:s, s:i}, {s:s, s:s, s:i}, "
                                        "{s:s, s:s, s:f}]}, s:n, s:s}",
                                        "certname", t->agent->name, "hash", "5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c5f0c",
                                        "status", t->agent->status, "environment", "production",
                                        "configuration_version", "1700000000", "transaction_uuid", uuid, "noop", 0,
                                        "metrics", "data", "category", "resources", "name", "total", "value", 212,
                                        "category", "resources", "name", "out-of-sync", "value", 3, "category", "time",
                                        "name", "total", "value", 1.5, "corrective_change", "job_id", t->job));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:{}, s:i, s:i}", "time", "2030-01-02T03:04:05Z", "transaction_uuid", uuid,
                     "environment", "production", "status", t->agent->status, "metrics", "exitcode", 0, "version", 1);
}

static void transaction_end(void *ctx) {
    struct rig_transaction *t = ctx;
    struct rig_agent *a = t->agent;
    t->ended = true;
    t->exitcode = t->killed ? 15 : a->exitcode;
    t->results = t->killed ? output(15, NULL, NULL) : t->deploy ? run_puppet(t) : output(a->exitcode, a->out, a->err);
    if (!a->no_outcome) {
        struct buf body = BUF_INIT;
        pxp_response_write(&body, span_of(t->id), t->results);
        agent_send(a, PXP_NON_BLOCKING_RESPONSE, &body);
    }
}

static struct rig_transaction *find_transaction(struct rig *r, const char *id) {
    return map_get_cstr(&r->transactions, id);
}

static void provisional(struct rig_transaction *t) {
    if (!t->agent->no_provisional) {
        struct buf body = BUF_INIT;
        pxp_provisional_write(&body, span_of(t->id));
        agent_send(t->agent, PXP_PROVISIONAL_RESPONSE, &body);
    }
}

static void run_request(struct rig_agent *a, const struct pcp_message *m, const struct pxp_request *req) {
    struct rig *r = a->rig;
    a->requests++;
    if (a->loses_requests > 0) {
        a->loses_requests--;
        return;
    }
    if (a->rpc_error != NULL) {
        struct buf body = BUF_INIT;
        pxp_error_write(&body, req->transaction_id, m->id, span_of(a->rpc_error));
        agent_send(a, PXP_ERROR, &body);
        return;
    }
    char id[40];
    snprintf(id, sizeof id, "%.*s", (int)req->transaction_id.len, req->transaction_id.ptr);
    buf_clear(&a->last_params);
    json_write(&a->last_params, req->params);
    struct rig_transaction *t = find_transaction(r, id);
    if (t == NULL) {
        t = mem_zalloc(sizeof *t);
        t->agent = a;
        memcpy(t->id, id, sizeof id);
        t->deploy = span_eq_cstr(req->module, "pxp-module-puppet");
        const char *job = json_str(req->params, "job");
        snprintf(t->job, sizeof t->job, "%s", job != NULL ? job : "");
        map_put(&r->transactions, span_of(t->id), t);
        a->runs++;
        world_timer_start(r->broker[0].w, &t->timer, a->takes_ms, transaction_end, t);
    }
    provisional(t);
}

static json_t *status_of(struct rig_agent *a, const char *id) {
    struct rig_transaction *t = find_transaction(a->rig, id);
    if (t == NULL || a->forgetful || t->agent != a) {
        return json_pack(
            "{s:s, s:s, s:s}", "transaction_id", id, "status", "unknown", "stdout",
            "{\"_error\":{\"kind\":\"puppetlabs.pxp-agent/execution-error\",\"details\":{},\"msg\":\"found "
            "no results directory\"}}");
    }
    if (!t->ended) {
        return json_pack("{s:s, s:s}", "transaction_id", id, "status", "running");
    }
    json_t *status = json_pack("{s:s, s:i, s:s}", "transaction_id", id, "exitcode", t->exitcode, "status",
                               t->exitcode == 0 ? "success" : "failure");
    char *text = t->deploy && !t->killed ? json_text(t->results) : NULL;
    const char *out = text != NULL ? text : json_str(t->results, "stdout");
    if (out != NULL) {
        json_set(status, "stdout", json_string(out));
    }
    mem_free(text);
    return status;
}

static void kill_transaction(struct rig_agent *a, const char *command) {
    for (struct map_iter i = map_iter(&a->rig->transactions); map_next(&i);) {
        struct rig_transaction *t = i.value;
        if (t->agent == a && !t->ended && !a->unkillable && strstr(command, t->id) != NULL) {
            t->killed = true;
            world_timer_start(a->rig->broker[0].w, &t->timer, 5, transaction_end, t);
        }
    }
}

static void blocking_request(struct rig_agent *a, const struct pxp_request *req) {
    json_t *results;
    if (span_eq_cstr(req->module, "status")) {
        a->status_queries++;
        results = status_of(a, json_str(req->params, "transaction_id"));
    } else {
        kill_transaction(a, json_str(req->params, "command"));
        results = output(0, NULL, NULL);
    }
    struct buf body = BUF_INIT;
    pxp_response_write(&body, req->transaction_id, results);
    json_decref(results);
    agent_send(a, PXP_BLOCKING_RESPONSE, &body);
}

static void agent_receive(struct rig_agent *a, const struct pcp_message *m) {
    struct pxp_request req;
    struct error err = ERROR_INIT;
    enum pxp_type type = pxp_type_of(m->message_type);
    assert_true(pxp_request_parse(type, m->data, &req, &err));
    if (type == PXP_NON_BLOCKING_REQUEST) {
        run_request(a, m, &req);
    } else {
        blocking_request(a, &req);
    }
    pxp_request_free(&req);
}

/* ---------------------------------------------------------------------------------------- the scripted broker */

static void broker_error(struct rig_broker *b, struct span in_reply_to, const char *text) {
    struct buf data = BUF_INIT, out = BUF_INIT;
    char id[37];
    world_uuid(b->w, id);
    pcp_error_write(&data, span_of(text));
    struct pcp_message m = {
        .id = span_of(id),
        .message_type = SPAN(PCP_ERROR_MESSAGE),
        .in_reply_to = in_reply_to,
        .data = buf_span(&data),
    };
    pcp_encode(PCP_V2, &m, &out);
    struct span part = buf_span(&out);
    ws_send(b->controller, true, &part, 1);
    buf_free(&data);
    buf_free(&out);
}

static void broker_inventory(struct rig_broker *b, const struct pcp_message *m) {
    struct buf data = BUF_INIT, out = BUF_INIT;
    struct span *uris = mem_array((size_t)b->rig->agent_count, sizeof *uris);
    size_t count = 0;
    int index = (int)(b - b->rig->broker);
    char id[37];
    for (int i = 0; i < b->rig->agent_count; i++) {
        if (b->rig->agents[i].broker == index) {
            uris[count++] = span_of(str_printf("pcp://%s/agent", b->rig->agents[i].name));
        }
    }
    world_uuid(b->w, id);
    pcp_inventory_response_write(&data, uris, count);
    struct pcp_message answer = {
        .id = span_of(id),
        .message_type = SPAN(PCP_INVENTORY_RESPONSE),
        .target = span_of(b->uri),
        .in_reply_to = m->id,
        .data = buf_span(&data),
    };
    pcp_encode(PCP_V2, &answer, &out);
    struct span part = buf_span(&out);
    ws_send(b->controller, true, &part, 1);
    b->subscribed = true;
    for (size_t i = 0; i < count; i++) {
        mem_free((char *)uris[i].ptr);
    }
    mem_free(uris);
    buf_free(&data);
    buf_free(&out);
}

static void on_broker_message(void *ctx, struct ws_peer *p, bool text, struct span payload) {
    struct rig_broker *b = ctx;
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    struct pcp_uri to;
    (void)p;
    assert_true(text);
    assert_true(pcp_decode(PCP_V2, payload, PCP_AS_BROKER, &m, &scratch, NULL));
    assert_true(pcp_id_valid(m.id));
    if (span_eq_cstr(m.message_type, PCP_INVENTORY_REQUEST)) {
        snprintf(b->uri, sizeof b->uri, "%.*s", (int)m.sender.len, m.sender.ptr);
        broker_inventory(b, &m);
    } else if (!b->deaf) {
        assert_true(pcp_uri_parse(m.target, &to));
        struct rig_agent *agent = NULL;
        for (int i = 0; i < b->rig->agent_count && agent == NULL; i++) {
            struct rig_agent *a = &b->rig->agents[i];
            agent = span_eq_cstr(to.name, a->name) && a->broker == (int)(b - b->rig->broker) ? a : NULL;
        }
        if (agent == NULL) {
            broker_error(b, m.id, "Not connected.");
        } else if (agent->pcp_error != NULL && pxp_type_of(m.message_type) == PXP_NON_BLOCKING_REQUEST) {
            broker_error(b, m.id, agent->pcp_error);
        } else {
            agent_receive(agent, &m);
        }
    }
    buf_free(&scratch);
}

static void on_broker_close(void *ctx, struct ws_peer *p, uint16_t code, struct span reason) {
    struct rig_broker *b = ctx;
    (void)code, (void)reason;
    if (b->controller == p) { /* else a newer connection has taken its place */
        b->controller = NULL;
        b->subscribed = false;
    }
}

static const struct ws_handler broker_ws = {.on_message = on_broker_message, .on_close = on_broker_close};

static void on_upgrade(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct rig_broker *b = ctx;
    (void)route;
    assert_string_equal(http_request(ex)->path, "/pcp2/controller");
    assert_string_equal(http_request(ex)->identity->common_name, "orchestrator");
    if (b->controller != NULL) { /* superseded: the old one may be half open */
        ws_abort(b->controller);
    }
    b->controller = ws_accept(ex, &(struct ws_limits){0}, &broker_ws, b);
    assert_non_null(b->controller);
}

static const struct http_route broker_routes[] = {{NULL, "/pcp2/:type", on_upgrade, NULL}, {NULL, NULL, NULL, NULL}};

void rig_broker_up(struct rig *r, int broker) {
    struct rig_broker *b = &r->broker[broker];
    struct error err = ERROR_INIT;
    char name[24];
    snprintf(name, sizeof name, "broker-%d", broker + 1);
    struct world_tls_files files = sim_tls_files(b->w, name);
    files.client_auth = WORLD_CLIENT_AUTH_NEED;
    b->tls = world_tls_new(b->w, &files, &err);
    struct http_server_opts opts = {.listen = {.port = 8142, .tls = b->tls}, .routes = broker_routes, .ctx = b};
    b->server = http_server_new(b->w, &opts, &err);
    if (b->server == NULL) {
        fail_msg("%s", err.msg);
    }
}

void rig_broker_down(struct rig *r, int broker) {
    struct rig_broker *b = &r->broker[broker];
    if (b->controller != NULL) {
        ws_abort(b->controller);
    }
    b->controller = NULL;
    b->subscribed = false;
    if (b->server != NULL) {
        http_server_close(b->server, 0, NULL, NULL);
        world_tls_free(b->tls);
    }
    b->server = NULL;
}

static void tell_change(struct rig_broker *b, const char *name, bool connected) {
    struct buf data = BUF_INIT, out = BUF_INIT;
    char uri[128], id[37];
    if (b->controller == NULL || !b->subscribed) {
        return;
    }
    snprintf(uri, sizeof uri, "pcp://%s/agent", name);
    world_uuid(b->w, id);
    pcp_inventory_update_write(&data, &(struct pcp_change){span_of(uri), connected}, 1);
    struct pcp_message m = {.id = span_of(id),
                            .message_type = SPAN(PCP_INVENTORY_UPDATE),
                            .target = span_of(b->uri),
                            .data = buf_span(&data)};
    pcp_encode(PCP_V2, &m, &out);
    struct span part = buf_span(&out);
    ws_send(b->controller, true, &part, 1);
    buf_free(&data);
    buf_free(&out);
}

void rig_connect(struct rig *r, int agent, int broker) {
    struct rig_agent *a = &r->agents[agent - 1];
    if (a->broker >= 0) {
        tell_change(&r->broker[a->broker], a->name, false);
    }
    a->broker = broker;
    if (broker >= 0) {
        tell_change(&r->broker[broker], a->name, true);
    }
}

void rig_forget_transactions(struct rig *r) {
    for (struct map_iter i = map_iter(&r->transactions); map_next(&i);) {
        struct rig_transaction *t = i.value;
        world_timer_stop(r->broker[0].w, &t->timer);
        json_decref(t->results);
        mem_free(t);
    }
    map_free(&r->transactions);
}
