#include "rig.h"

#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/jobs/render.h"
#include "pcp/body.h"
#include "pcp/message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* ---------------------------------------------------------------------------------------- the orchestrator's parts */

static void log_line(void *ctx, const struct log_record *record) {
    struct rig *r = ctx;
    buf_printf(&r->log, "%s %s\n", log_level_name(record->level), record->msg);
}

static const uint8_t secret_key[32] = "0123456789abcdef0123456789abcde";
static struct logger logger; /* one rig at a time */

static void on_open(void *ctx) {
    struct rig *r = ctx;
    r->opened = true;
    assert_true(engine_resume(r->engine, NULL));
    assert_true(schedules_resume(r->schedules, NULL));
}

static void on_health(void *ctx, const struct error *err) {
    struct rig *r = ctx;
    if (err == NULL && r->engine != NULL) {
        engine_wake(r->engine);
    }
}

static void destroy(void *ctx) {
    struct rig *r = ctx;
    engine_free(r->engine);
    schedules_free(r->schedules);
    brokers_free(r->brokers);
    store_abandon(r->store);
    if (r->services != NULL) {
        services_free(r->services);
    }
    if (r->tls != NULL) {
        world_tls_free(r->tls);
    }
    r->engine = NULL;
    r->schedules = NULL;
    r->brokers = NULL;
    r->store = NULL;
    r->services = NULL;
    r->tls = NULL;
}

static bool is_ready(void *ctx) {
    struct rig *r = ctx;
    return r->opened && engine_ready(r->engine) && brokers_open_count(r->brokers) == (size_t)r->broker_count;
}

static void boot_parts(struct rig *r) {
    struct error err = ERROR_INIT;
    r->opened = false;
    r->tls = world_tls_new(r->w, &r->config.tls, &err);
    assert_non_null(r->tls);
    logger = (struct logger){LOG_DEBUG, "orchestrator", log_line, r};
    struct store_opts store = {
        .path = "/var/orchestrator.db", .log = &logger, .on_open = on_open, .on_health = on_health, .ctx = r};
    r->store = store_new(r->w, &store, &err);
    assert_non_null(r->store);
    struct brokers_opts brokers = {
        .urls = r->config.brokers, .count = (size_t)r->broker_count, .tls = r->tls, .log = &logger};
    r->brokers = brokers_new(r->w, &brokers, &err);
    assert_non_null(r->brokers);
    r->services = r->with_services ? services_new(r->w, &r->config, r->tls, &logger) : NULL;
    struct engine_opts engine = {
        .store = r->store,
        .brokers = r->brokers,
        .services = r->services,
        .config = &r->config,
        .secret_key = secret_key,
        .log = &logger,
    };
    r->engine = engine_new(r->w, &engine);
    r->schedules = schedules_new(r->w, r->store, secret_key, &logger);
    brokers_start(r->brokers);
    sim_on_crash(r->w, destroy, r);
}

void rig_boot(struct rig *r) {
    boot_parts(r);
    assert_true(sim_run_until(r->sim, 20 * SIM_SECOND, is_ready, r));
}

static bool is_open(void *ctx) {
    struct rig *r = ctx;
    return r->opened && engine_ready(r->engine);
}

void rig_boot_without_brokers(struct rig *r) {
    boot_parts(r);
    assert_true(sim_run_until(r->sim, 20 * SIM_SECOND, is_open, r));
}

void rig_crash(struct rig *r, enum sim_crash_kind kind) {
    sim_crash(r->w, kind);
    if (kind == SIM_CRASH_POWER) {
        sim_power_on(r->w);
    }
}

static void stopped(void *ctx) {
    *(bool *)ctx = true;
}

static bool is_true(void *ctx) {
    return *(bool *)ctx;
}

void rig_shutdown(struct rig *r) {
    bool done = false;
    engine_free(r->engine);
    schedules_free(r->schedules);
    brokers_stop(r->brokers, stopped, &done);
    assert_true(sim_run_until(r->sim, 10 * SIM_SECOND, is_true, &done));
    brokers_free(r->brokers);
    store_finish(r->store);
    r->engine = NULL;
    r->schedules = NULL;
    r->brokers = NULL;
    r->store = NULL;
    destroy(r);
}

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

/* ---------------------------------------------------------------------------------------- PuppetDB */

static bool wanted(json_t *condition, const char *uuid) {
    size_t i;
    json_t *part;
    if (json_is_array(condition) && str_eq(json_string_value(json_array_get(condition, 0)), "in") &&
        str_eq(json_string_value(json_array_get(condition, 1)), "transaction_uuid")) {
        json_array_foreach(json_array_get(json_array_get(condition, 2), 1), i, part) {
            if (str_eq(json_string_value(part), uuid)) {
                return true;
            }
        }
        return false;
    }
    bool found = false;
    json_array_foreach(condition, i, part) {
        found = found || wanted(part, uuid);
    }
    return found;
}

static void on_query(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct rig *r = ctx;
    (void)route;
    json_t *body = json_parse(http_request(ex)->body, "test", NULL), *rows = json_array(), *row;
    json_t *query = json_object_get(body, "query");
    size_t i;
    bool catalogs = str_eq(json_string_value(json_array_get(query, 1)), "catalogs");
    r->report_queries++;
    r->catalog_queries += catalogs ? 1 : 0;
    json_array_foreach(r->reports, i, row) {
        if (!(catalogs && r->no_catalogs) && wanted(query, json_str(row, "transaction_uuid"))) {
            json_array_append(rows, row);
        }
    }
    http_respond_json(ex, 200, rows);
    json_decref(body);
}

static void on_activity(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    (void)ctx, (void)route;
    http_respond_json(ex, 200, json_object());
}

static const struct http_route puppetdb_routes[] = {{"POST", "/pdb/query/v4", on_query, NULL},
                                                    {"POST", "/activity-api/*rest", on_activity, NULL},
                                                    {NULL, NULL, NULL, NULL}};

static void start_puppetdb(struct rig *r) {
    struct error err = ERROR_INIT;
    r->puppetdb_world = sim_host(r->sim, "puppetdb");
    struct world_tls_files files = sim_tls_files(r->puppetdb_world, "puppetdb");
    files.client_auth = WORLD_CLIENT_AUTH_NEED;
    r->puppetdb_tls = world_tls_new(r->puppetdb_world, &files, &err);
    struct http_server_opts opts = {
        .listen = {.port = 8081, .tls = r->puppetdb_tls}, .routes = puppetdb_routes, .ctx = r};
    r->puppetdb = http_server_new(r->puppetdb_world, &opts, &err);
    assert_non_null(r->puppetdb);
}

/* ---------------------------------------------------------------------------------------- life */

struct rig *rig_new(uint64_t seed, int agents) {
    struct rig *r = mem_zalloc(sizeof *r);
    r->sim = sim_new(&(struct sim_opts){.seed = seed});
    r->w = sim_host(r->sim, "orchestrator");
    assert_true(world_file_mkdir(r->w, "/var", 0755, true, NULL));
    r->agents = mem_array((size_t)agents, sizeof *r->agents);
    r->agent_count = agents;
    r->reports = json_array();
    r->with_services = true;
    for (int i = 0; i < agents; i++) {
        struct rig_agent *a = &r->agents[i];
        *a = (struct rig_agent){.rig = r, .takes_ms = 100, .out = "{\"ok\":true}", .status = "changed"};
        snprintf(a->name, sizeof a->name, "node%d", i + 1);
    }
    r->broker_count = 1;
    for (int i = 0; i < RIG_BROKERS_MAX; i++) {
        char name[24];
        snprintf(name, sizeof name, "broker-%d", i + 1);
        r->broker[i].rig = r;
        r->broker[i].w = sim_host(r->sim, name);
        rig_broker_up(r, i);
    }
    start_puppetdb(r);
    orchestrator_config_defaults(&r->config);
    r->config.tls = sim_tls_files(r->w, "orchestrator");
    r->config.brokers[0] = "wss://broker-1:8142";
    r->config.brokers[1] = "wss://broker-2:8142/pcp2/";
    r->config.puppetdb_url = "https://puppetdb:8081";
    r->config.console_url = "https://console.corp.test";
    r->config.activity_url = "https://puppetdb:8081/activity-api";
    r->config.rbac_url = r->config.classifier_url = r->config.puppet_server_url = "https://puppetdb:8081";
    return r;
}

void rig_free(struct rig *r) {
    if (r->engine != NULL) {
        rig_shutdown(r);
    }
    for (int i = 0; i < RIG_BROKERS_MAX; i++) {
        rig_broker_down(r, i);
    }
    http_server_close(r->puppetdb, 0, NULL, NULL);
    world_tls_free(r->puppetdb_tls);
    for (struct map_iter i = map_iter(&r->transactions); map_next(&i);) {
        struct rig_transaction *t = i.value;
        world_timer_stop(r->broker[0].w, &t->timer);
        json_decref(t->results);
        mem_free(t);
    }
    map_free(&r->transactions);
    sim_run_idle(r->sim, 30 * SIM_SECOND);
    struct buf report = BUF_INIT;
    if (!sim_check_idle(r->sim, &report)) {
        fail_msg("left behind: %s", report.ptr);
    }
    buf_free(&report);
    for (int i = 0; i < r->agent_count; i++) {
        buf_free(&r->agents[i].last_params);
    }
    mem_free(r->agents);
    json_decref(r->reports);
    buf_free(&r->log);
    sim_free(r->sim);
    mem_free(r);
}

/* ---------------------------------------------------------------------------------------- calls */

static void on_started(void *ctx, int64_t id, const struct error *err) {
    struct rig *r = ctx;
    r->started_id = id;
    r->started++;
    if (err != NULL) {
        r->start_failed++;
        snprintf(r->start_error, sizeof r->start_error, "%s", err->kind);
    }
}

static bool has_started(void *ctx) {
    return ((struct rig *)ctx)->started > 0;
}

static int64_t start_job(struct rig *r, int first, int last, struct job_request *req) {
    struct job_node *nodes = mem_array((size_t)(last - first + 1), sizeof *nodes);
    struct error err = ERROR_INIT;
    req->node_count = (size_t)(last - first + 1);
    for (int i = first; i <= last; i++) {
        nodes[i - first].name = span_of(r->agents[i - 1].name);
    }
    if (req->nodes == NULL) {
        req->nodes = nodes;
    }
    json_t *owner = json_pack("{s:s, s:s}", "id", "c2f9ae4e-62ad-4c0e-8f86-1b1d0d4f2a55", "login", "mira");
    json_t *userdata = json_object(), *options = req->options != NULL ? json_incref(req->options) : json_object();
    req->owner = owner;
    req->userdata = userdata;
    req->options = options;
    req->environment = req->environment != NULL ? req->environment : "production";
    r->started = r->start_failed = 0;
    r->started_id = 0;
    bool ok = engine_start(r->engine, req, on_started, r, &err);
    if (ok) {
        assert_true(sim_run_until(r->sim, 30 * SIM_SECOND, has_started, r));
    } else {
        r->start_failed++;
        snprintf(r->start_error, sizeof r->start_error, "%s", err.kind);
    }
    error_clear(&err);
    json_decref(owner);
    json_decref(userdata);
    json_decref(options);
    mem_free(nodes);
    return r->started_id;
}

int64_t rig_task(struct rig *r, int first, int last, const struct job_request *given) {
    struct job_request req = given != NULL ? *given : (struct job_request){0};
    json_t *files = json_pack("[{s:s, s:s, s:{s:s, s:{s:s}}}]", "filename", "init.sh", "sha256",
                              "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08", "uri", "path",
                              "/puppet/v3/file_content/tasks/echo/init.sh", "params", "environment", "production");
    json_t *metadata = json_pack("{s:s}", "input_method", "stdin");
    json_t *params = req.params != NULL ? json_incref(req.params) : json_pack("{s:s}", "message", "hello");
    req.type = req.type != 0 ? req.type : JOB_TASK;
    req.command = req.command != NULL ? req.command : "task";
    req.task = "echo";
    req.files = files;
    req.metadata = metadata;
    req.params = params;
    int64_t id = start_job(r, first, last, &req);
    json_decref(files);
    json_decref(metadata);
    json_decref(params);
    return id;
}

int64_t rig_deploy(struct rig *r, int first, int last, const struct job_request *given) {
    struct job_request req = given != NULL ? *given : (struct job_request){0};
    req.type = JOB_DEPLOY;
    req.command = "deploy";
    json_t *options = req.options != NULL ? json_incref(req.options) : json_pack("{s:s}", "environment", "production");
    req.options = options;
    int64_t id = start_job(r, first, last, &req);
    json_decref(options);
    return id;
}

static void on_stopped(void *ctx, const uint32_t *counts, const struct error *err) {
    struct rig *r = ctx;
    r->stops++;
    memset(r->stop_counts, 0, sizeof r->stop_counts);
    if (err == NULL) {
        memcpy(r->stop_counts, counts, sizeof r->stop_counts);
    } else {
        snprintf(r->start_error, sizeof r->start_error, "%s", err->kind);
    }
}

static bool has_stopped(void *ctx) {
    return ((struct rig *)ctx)->stops > 0;
}

void rig_stop(struct rig *r, int64_t job, bool force) {
    r->stops = 0;
    engine_stop(r->engine, job, force, on_stopped, r);
    assert_int_equal(r->stops, 0);
    assert_true(sim_run_until(r->sim, 30 * SIM_SECOND, has_stopped, r));
}

struct question {
    struct rig *rig;
    int64_t job;
    uint32_t nodes;
    struct store_job row;
};

static void take_job(void *ctx, const struct store_job *job) {
    *(struct store_job *)ctx = *job;
}

static struct store_job read_job(struct rig *r, int64_t job) {
    struct store_job row = {0};
    bool found;
    assert_true(store_job(r->store, job, take_job, &row, &found, NULL));
    assert_true(found);
    return row;
}

enum job_state rig_state(struct rig *r, int64_t job) {
    return read_job(r, job).state;
}

void rig_counts(struct rig *r, int64_t job, uint32_t counts[NODE_STATES]) {
    struct store_job row = read_job(r, job);
    memcpy(counts, row.counts, sizeof row.counts);
}

static bool is_over(void *ctx) {
    struct question *q = ctx;
    return q->rig->store != NULL && store_error(q->rig->store) == NULL && job_state_final(rig_state(q->rig, q->job));
}

bool rig_finish(struct rig *r, int64_t job, uint64_t within_us) {
    struct question q = {r, job, 0, {0}};
    return sim_run_until(r->sim, within_us, is_over, &q);
}

static bool are_running(void *ctx) {
    struct question *q = ctx;
    return read_job(q->rig, q->job).counts[NODE_RUNNING] >= q->nodes;
}

bool rig_until_running(struct rig *r, int64_t job, uint32_t nodes) {
    struct question q = {r, job, nodes, {0}};
    return sim_run_until(r->sim, 60 * SIM_SECOND, are_running, &q);
}

void rig_run(struct rig *r, uint64_t us) {
    sim_run(r->sim, sim_now_us(r->sim) + us);
}

/* ---------------------------------------------------------------------------------------- what was written */

static bool event_line(void *ctx, const struct store_event *e) {
    const char *type = event_type_name(e->type);
    if (e->node >= 0) {
        buf_printf(ctx, "%.*s %s\n", (int)e->node_name.len, e->node_name.ptr, type + 5); /* without "node_" */
    } else {
        buf_printf(ctx, "%s\n", type);
    }
    struct buf json = BUF_INIT;
    render_event(&json, e);
    json_t *parsed = json_parse(buf_span(&json), "test", NULL);
    assert_non_null(parsed);
    json_decref(parsed);
    buf_free(&json);
    return true;
}

char *rig_events(struct rig *r, int64_t job) {
    struct buf out = BUF_INIT;
    assert_true(store_events(r->store, job, 0, -1, event_line, &out, NULL));
    return buf_take(&out);
}

struct checked {
    int64_t last_id;
    struct map ended, running_nodes;
    bool over, legal;
    int running, peak;
};

static bool check_event(void *ctx, const struct store_event *e) {
    struct checked *c = ctx;
    c->legal = c->legal && e->id > c->last_id && !c->over;
    c->last_id = e->id;
    if (e->node < 0) {
        c->over = e->type == EVENT_JOB_FINISHED || e->type == EVENT_JOB_ABORTED;
    } else if (e->type == EVENT_NODE_RUNNING) {
        c->legal =
            c->legal && map_get(&c->ended, e->node_name) == NULL && map_put(&c->running_nodes, e->node_name, c) == NULL;
        c->running++;
        c->peak = c->running > c->peak ? c->running : c->peak;
    } else {
        c->legal = c->legal && map_put(&c->ended, e->node_name, c) == NULL;
        c->running -= map_get(&c->running_nodes, e->node_name) != NULL ? 1 : 0;
    }
    return true;
}

static struct checked check(struct rig *r, int64_t job) {
    struct checked c = {.legal = true};
    assert_true(store_events(r->store, job, 0, -1, check_event, &c, NULL));
    c.legal = c.legal && c.over && map_count(&c.ended) == read_job(r, job).node_count;
    map_free(&c.ended);
    map_free(&c.running_nodes);
    return c;
}

bool rig_events_legal(struct rig *r, int64_t job) {
    return check(r, job).legal;
}

void rig_check_events(struct rig *r, int64_t job) {
    assert_true(rig_events_legal(r, job));
}

int rig_peak(struct rig *r, int64_t job) {
    return check(r, job).peak;
}

struct wanted_node {
    const char *name;
    enum job_type type;
    json_t *json;
};

static bool take_node(void *ctx, const struct store_node *n) {
    struct wanted_node *w = ctx;
    struct buf text = BUF_INIT;
    if (span_eq_cstr(n->name, w->name)) {
        render_node(&text, n, w->type, n->ts_ms);
        w->json = json_parse(buf_span(&text), "test", NULL);
        assert_non_null(w->json);
    }
    buf_free(&text);
    return w->json == NULL;
}

json_t *rig_node(struct rig *r, int64_t job, const char *name) {
    struct wanted_node w = {name, read_job(r, job).type, NULL};
    struct store_page all = {.limit = -1};
    assert_true(store_nodes_page(r->store, job, &all, NULL, 0, take_node, &w, NULL, NULL));
    assert_non_null(w.json);
    return w.json;
}
