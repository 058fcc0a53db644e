/* The status service and Prometheus metrics (orchestrator-api.md §12). Open to all: they hold counts only. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include "orchestrator/brokers/brokers.h"
#include <string.h>

static const char orchestrator_service[] = "orchestrator-service";
static const char broker_service[] = "broker-service";

static const char *orchestrator_state(const struct api *api, const char **alert) {
    const struct error *trouble = store_error(api->parts.store);
    *alert = trouble != NULL ? trouble->msg : NULL;
    return trouble != NULL                   ? "error"
           : api->closing                    ? "stopping"
           : engine_ready(api->parts.engine) ? "running"
                                             : "starting";
}

static const char *broker_state(const struct api *api, const char **alert) {
    bool open = brokers_any_open(api->parts.brokers);
    *alert = open ? NULL : "No PCP broker is connected";
    return open ? "running" : "error";
}

static const char *state_of(const struct api *api, const char *service, const char **alert) {
    return strcmp(service, orchestrator_service) == 0 ? orchestrator_state(api, alert) : broker_state(api, alert);
}

static json_t *metrics_object(const struct api *api) {
    const struct engine_metrics *m = engine_metrics(api->parts.engine);
    json_t *nodes = json_object();
    for (int s = 0; s < NODE_STATES; s++) {
        if (node_state_final((enum node_state)s)) {
            json_set(nodes, node_state_name((enum node_state)s), json_integer((json_int_t)m->nodes_ended[s]));
        }
    }
    return json_pack("{s:{s:I, s:I, s:I, s:I, s:I}, s:{s:I, s:I, s:I, s:I, s:o}, s:{s:I, s:I}, s:I}", "jobs", "active",
                     (json_int_t)m->jobs_active, "started", (json_int_t)m->jobs_started, "finished",
                     (json_int_t)m->jobs_finished, "failed", (json_int_t)m->jobs_failed, "stopped",
                     (json_int_t)m->jobs_stopped, "nodes", "running", (json_int_t)m->nodes_running, "waiting",
                     (json_int_t)m->nodes_waiting, "absent", (json_int_t)m->nodes_absent, "active",
                     (json_int_t)m->nodes_active, "ended", nodes, "brokers", "open",
                     (json_int_t)brokers_open_count(api->parts.brokers), "nodes",
                     (json_int_t)brokers_node_count(api->parts.brokers), "event-streams", (json_int_t)api->streams);
}

static json_t *service_object(const struct api *api, const char *service, const char *level) {
    const char *alert = NULL;
    const char *state = state_of(api, service, &alert);
    json_t *alerts = json_array();
    if (alert != NULL && strcmp(level, "critical") != 0) {
        json_array_append_new(alerts, json_pack("{s:s, s:s}", "severity", "critical", "message", alert));
    }
    bool metrics = strcmp(level, "debug") == 0 && strcmp(service, orchestrator_service) == 0;
    json_t *status = json_object();
    if (metrics) {
        json_set(status, "metrics", metrics_object(api));
    }
    return json_pack("{s:s, s:i, s:s, s:s, s:o, s:o}", "service_version", DALANG_VERSION, "service_status_version", 1,
                     "detail_level", level, "state", state, "status", status, "active_alerts", alerts);
}

/* NULL: answered. */
static const char *read_level(struct api_call *call) {
    const char *level = http_query(call->ex, "level");
    int64_t timeout;
    if (!api_query_int(call, "timeout", 1, &timeout)) {
        return NULL;
    }
    if (level == NULL) {
        return "info";
    }
    if (strcmp(level, "critical") != 0 && strcmp(level, "info") != 0 && strcmp(level, "debug") != 0) {
        json_t *given = json_string(level);
        api_reply_invalid(call, "level", given, "level must be critical, info or debug");
        json_decref(given);
        return NULL;
    }
    return level;
}

static bool running(const struct api *api, const char *service) {
    const char *alert;
    return strcmp(state_of(api, service, &alert), "running") == 0;
}

void api_status_services(struct api_call *call) {
    const char *level = read_level(call);
    if (level == NULL) {
        return;
    }
    const struct api *api = call->api;
    json_t *body = json_object();
    json_set(body, orchestrator_service, service_object(api, orchestrator_service, level));
    json_set(body, broker_service, service_object(api, broker_service, level));
    bool good = running(api, orchestrator_service) && running(api, broker_service);
    api_reply_json(call, good ? 200 : 503, body);
}

static bool known_service(const char *name) {
    return strcmp(name, orchestrator_service) == 0 || strcmp(name, broker_service) == 0;
}

void api_status_service(struct api_call *call) {
    const char *name = http_param(call->ex, "service");
    name = name != NULL ? name : orchestrator_service; /* GET /orchestrator/v1/status */
    if (!known_service(name)) {
        json_t *text = json_string(name);
        struct buf msg = BUF_INIT;
        buf_printf(&msg, "No status information found for service %s", text != NULL ? name : "");
        json_decref(text);
        api_reply_json(call, 404, json_pack("{s:s, s:s}", "kind", "service-not-found", "msg", msg.ptr));
        buf_free(&msg);
        return;
    }
    const char *level = read_level(call);
    if (level == NULL) {
        return;
    }
    json_t *body = service_object(call->api, name, level);
    json_set(body, "service_name", json_string(name));
    api_reply_json(call, running(call->api, name) ? 200 : 503, body);
}

static void reply_text(struct api_call *call, int status, const char *text) {
    struct http_exchange *ex = call->ex;
    http_on_abandon(ex, NULL, NULL);
    call_free(call);
    http_respond(ex, status, "text/plain; charset=utf-8", span_of(text));
}

void api_status_simple(struct api_call *call) {
    const char *name = http_param(call->ex, "service"), *alert;
    if (name != NULL && !known_service(name)) {
        char *text = str_printf("not found: %s", name);
        reply_text(call, 404, text);
        mem_free(text);
        return;
    }
    const struct api *api = call->api;
    const char *state = state_of(api, name != NULL ? name : orchestrator_service, &alert);
    if (name == NULL && strcmp(state, "running") == 0) {
        state = state_of(api, broker_service, &alert);
    }
    reply_text(call, strcmp(state, "running") == 0 ? 200 : 503, state);
}

/* ---- Prometheus */

static void metric(struct buf *out, const char *name, const char *type, const char *help, uint64_t value) {
    buf_printf(out, "# HELP dalang_orchestrator_%s %s\n# TYPE dalang_orchestrator_%s %s\ndalang_orchestrator_%s %llu\n",
               name, help, name, type, name, (unsigned long long)value);
}

void api_status_metrics(struct api_call *call) {
    const struct api *api = call->api;
    const struct engine_metrics *m = engine_metrics(api->parts.engine);
    const struct {
        const char *name, *type, *help;
        uint64_t value;
    } metrics[] = {
        {"jobs_started_total", "counter", "Jobs that were started.", m->jobs_started},
        {"jobs_finished_total", "counter", "Jobs that finished well.", m->jobs_finished},
        {"jobs_failed_total", "counter", "Jobs that failed.", m->jobs_failed},
        {"jobs_stopped_total", "counter", "Jobs that were stopped.", m->jobs_stopped},
        {"jobs_active", "gauge", "Jobs under way.", m->jobs_active},
        {"nodes_running", "gauge", "Nodes with work under way.", m->nodes_running},
        {"nodes_waiting", "gauge", "Nodes that wait for a place.", m->nodes_waiting},
        {"nodes_absent", "gauge", "Nodes whose agent is awaited.", m->nodes_absent},
        {"requests_sent_total", "counter", "PXP requests sent.", m->requests_sent},
        {"requests_repeated_total", "counter", "PXP requests sent again.", m->requests_repeated},
        {"status_queries_total", "counter", "Status queries sent to agents.", m->status_queries},
        {"responses_total", "counter", "PXP responses received.", m->responses},
        {"events_total", "counter", "Job events written.", m->events},
        {"brokers_open", "gauge", "Connected brokers.", brokers_open_count(api->parts.brokers)},
        {"agents_connected", "gauge", "Agents in the brokers' inventories.", brokers_node_count(api->parts.brokers)},
        {"event_streams", "gauge", "Open event streams.", api->streams},
        {"store_healthy", "gauge", "1 while the database works.", store_error(api->parts.store) == NULL},
    };
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++) {
        metric(&out, metrics[i].name, metrics[i].type, metrics[i].help, metrics[i].value);
    }
    struct http_exchange *ex = call->ex;
    http_on_abandon(ex, NULL, NULL);
    call_free(call);
    http_respond(ex, 200, "text/plain; version=0.0.4; charset=utf-8", buf_span(&out));
    buf_free(&out);
}
