/* The status service (pcp.md §19). */
#include "base/json.h"
#include "base/mem.h"
#include "broker/internal.h"

static const char *const state_names[] = {[BROKER_STARTING] = "starting",
                                          [BROKER_RUNNING] = "running",
                                          [BROKER_STOPPING] = "stopping",
                                          [BROKER_ERROR] = "error"};

enum level { LEVEL_CRITICAL, LEVEL_INFO, LEVEL_DEBUG };
static const char *const level_names[] = {"critical", "info", "debug"};

static json_t *broker_status(struct broker *b, enum level level) {
    json_t *status = json_object();
    uint64_t now = world_now_us(b->world);
    if (level >= LEVEL_INFO) {
        json_t *metrics = json_object();
        json_set(metrics, "puppetlabs.pcp.on-close", metrics_timer_json(&b->on_close, now));
        json_set(metrics, "puppetlabs.pcp.on-connect", metrics_timer_json(&b->on_connect, now));
        json_set(metrics, "puppetlabs.pcp.on-message", metrics_timer_json(&b->on_message, now));
        json_set(metrics, "puppetlabs.pcp.on-send", metrics_timer_json(&b->on_send, now));
        json_set(status, "metrics", metrics);
    }
    if (level == LEVEL_DEBUG) {
        json_t *threads = json_object(), *memory = json_object();
        if (b->config.process_info != NULL) {
            b->config.process_info(b->config.process_info_ctx, threads, memory);
        }
        json_set(status, "threads", threads);
        json_set(status, "memory", memory);
    }
    return status;
}

static json_t *status_object(const char *state, enum level level, json_t *status) {
    json_t *o = json_object();
    json_set(o, "service_version", json_string(DALANG_VERSION));
    json_set(o, "service_status_version", json_integer(1));
    json_set(o, "detail_level", json_string(level_names[level]));
    json_set(o, "state", json_string(state));
    json_set(o, "status", status);
    json_set(o, "active_alerts", json_array());
    return o;
}

static json_t *service_object(struct broker *b, const char *name, enum level level) {
    if (str_eq(name, "broker-service")) {
        return status_object(state_names[broker_state(b)], level, broker_status(b, level));
    }
    return str_eq(name, "status-service") ? status_object("running", level, json_object()) : NULL;
}

static int code_of(struct broker *b) {
    return broker_state(b) == BROKER_RUNNING ? 200 : 503;
}

static void respond(struct http_exchange *ex, int status, json_t *body) {
    char *text = json_text(body);
    http_respond(ex, status, "application/json;charset=utf-8", span_of(text));
    mem_free(text);
    json_decref(body);
}

static void refuse(struct http_exchange *ex, int status, const char *kind, const char *format, const char *what) {
    json_t *body = json_object();
    struct buf msg = BUF_INIT;
    buf_append_cstr(&msg, format);
    buf_append_cstr(&msg, what);
    json_t *text = json_str_new(buf_span(&msg));
    json_set(body, "kind", json_string(kind));
    json_set(body, "msg", text != NULL ? text : json_string("not UTF-8"));
    buf_free(&msg);
    respond(ex, status, body);
}

/* level, timeout and service_status_version; false when one of them was wrong and the answer has been given. */
static bool read_query(struct http_exchange *ex, enum level *level) {
    const char *name = http_query(ex, "level"), *timeout = http_query(ex, "timeout"),
               *version = http_query(ex, "service_status_version");
    uint64_t number;
    *level = LEVEL_INFO;
    bool known = name == NULL;
    for (size_t i = 0; i < 3 && !known; i++) {
        known = str_eq(name, level_names[i]);
        *level = (enum level)i;
    }
    if (!known) {
        refuse(ex, 400, "data-invalid", "Invalid level: :", name);
        return false;
    }
    if (timeout != NULL && (!span_to_u64(span_of(timeout), &number) || number == 0)) {
        refuse(ex, 400, "data-invalid", "Invalid timeout: ", timeout);
        return false;
    }
    if (version != NULL && !str_eq(version, "1")) {
        refuse(ex, 400, "data-invalid", "Invalid service_status_version: ", version);
        return false;
    }
    return true;
}

void status_services(struct broker *b, struct http_exchange *ex) {
    enum level level;
    if (!read_query(ex, &level)) {
        return;
    }
    json_t *all = json_object();
    json_set(all, "broker-service", service_object(b, "broker-service", level));
    json_set(all, "status-service", service_object(b, "status-service", level));
    respond(ex, code_of(b), all);
}

void status_service(struct broker *b, struct http_exchange *ex) {
    enum level level;
    const char *name = http_param(ex, "name");
    if (!read_query(ex, &level)) {
        return;
    }
    json_t *service = service_object(b, name, level);
    if (service == NULL) {
        refuse(ex, 404, "service-not-found", "No status information found for service ", name);
        return;
    }
    json_set(service, "service_name", json_string(name));
    respond(ex, str_eq(name, "status-service") ? 200 : code_of(b), service);
}

static void respond_simple(struct http_exchange *ex, int status, const char *text) {
    http_respond(ex, status, "text/plain;charset=utf-8", span_of(text));
}

void status_simple(struct broker *b, struct http_exchange *ex) {
    respond_simple(ex, code_of(b), state_names[broker_state(b)]); /* the other service is always running */
}

void status_simple_service(struct broker *b, struct http_exchange *ex) {
    const char *name = http_param(ex, "name");
    if (str_eq(name, "broker-service")) {
        status_simple(b, ex);
    } else if (str_eq(name, "status-service")) {
        respond_simple(ex, 200, "running");
    } else {
        char *text = str_printf("not found: %s", name);
        respond_simple(ex, 404, text);
        mem_free(text);
    }
}
