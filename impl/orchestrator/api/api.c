/* The server: requests become calls, calls go through authentication to their endpoint. */
#include "orchestrator/api/api.h"

#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

enum { HTTP_IDLE_MS = 60000 };

void call_free(struct api_call *call) {
    services_forget(call->api->parts.services, call);
    engine_forget(call->api->parts.engine, call);
    schedules_forget(call->api->parts.schedules, call);
    store_forget(call->api->parts.store, call);
    submission_free(call->submission);
    schedule_wish_free(call->wish);
    if (call->free_state != NULL) {
        call->free_state(call->state);
    }
    if (call->link.next != NULL) {
        list_remove(&call->api->calls, &call->link);
    }
    if (call->token != NULL) {
        mem_free_secret(call->token, strlen(call->token));
    }
    json_decref(call->subject);
    json_decref(call->body);
    mem_free(call->base);
    mem_free(call);
}

static void on_abandoned(void *ctx) {
    call_free(ctx);
}

/* Ids of answers begin with the address by which the client called. */
static char *base_url(const struct api *api, struct http_exchange *ex) {
    const char *host = http_header(ex, "host");
    struct span h = span_of(host);
    bool clean = h.len > 0 && h.len < 300;
    for (size_t i = 0; clean && i < h.len; i++) {
        char c = h.ptr[i];
        clean =
            (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._:[]", c) != NULL;
    }
    if (clean) {
        return str_printf("https://%s/orchestrator/v1", host);
    }
    if (api->parts.config->public_url != NULL) {
        return str_printf("%s/orchestrator/v1", api->parts.config->public_url);
    }
    const struct world_identity *self = api->parts.tls != NULL ? world_tls_self(api->parts.tls) : NULL;
    return str_printf("https://%s:%u/orchestrator/v1",
                      self != NULL && self->common_name != NULL ? self->common_name : "localhost", api_port(api));
}

void api_on_request(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct api *api = ctx;
    struct api_call *call = mem_zalloc(sizeof(*call));
    call->api = api;
    call->ex = ex;
    call->route = route->data;
    call->base = base_url(api, ex);
    list_push_back(&api->calls, &call->link);
    http_on_abandon(ex, on_abandoned, call);
    authenticate_call(call);
}

static void on_not_found(void *ctx, struct http_exchange *ex, const char *allow) {
    (void)ctx;
    struct error err = ERROR_INIT;
    const struct http_request *request = http_request(ex);
    if (allow != NULL) {
        http_set_header(ex, "Allow", allow);
        error_set(&err, "puppetlabs.orchestrator/method-not-allowed", "%s is not allowed for %s; it takes %s",
                  request->method, request->path, allow);
        http_respond_error(ex, 405, &err);
    } else {
        error_set(&err, "puppetlabs.orchestrator/not-found", "There is nothing at %s", request->path);
        http_respond_error(ex, 404, &err);
    }
    error_clear(&err);
}

/* Common log format plus referer, user agent and milliseconds; the query is left out: it may hold a token. */
static void on_answered(void *ctx, const struct http_request *req, int status, uint64_t bytes, uint64_t duration_us,
                        const char *referer, const char *user_agent) {
    struct api *api = ctx;
    log_info(api->parts.config->access_log, "%s - - \"%s %s HTTP/1.1\" %d %llu \"%s\" \"%s\" %llu", req->remote,
             req->method, req->path, status, (unsigned long long)bytes, referer != NULL ? referer : "-",
             user_agent != NULL ? user_agent : "-", (unsigned long long)(duration_us / 1000));
}

/* The engine's own key: made before, beside the database unless the configuration names a place. */
static bool load_secret_key(struct api *api, struct error *err) {
    const struct orchestrator_config *config = api->parts.config;
    char *path =
        config->secret_key_file != NULL ? str_dup(config->secret_key_file) : str_printf("%s.key", config->database);
    bool ok = secret_key_load(api->parts.world, path, api->secret_key, err);
    mem_free(path);
    return ok;
}

struct api *api_new(const struct orchestrator_parts *parts, struct error *err) {
    struct api *api = mem_zalloc(sizeof(*api));
    api->parts = *parts;
    list_init(&api->calls);
    const struct orchestrator_config *config = parts->config;
    if (!load_secret_key(api, err)) {
        mem_free(api);
        return NULL;
    }
    api->routes = api_routes_new();
    struct http_server_opts opts = {
        .listen = {.host = config->host, .port = config->port, .tls = parts->tls},
        .routes = api->routes,
        .not_found = on_not_found,
        .after = config->access_log != NULL ? on_answered : NULL,
        .ctx = api,
        .body_max = config->request_body_max,
        .idle_timeout_ms = HTTP_IDLE_MS,
        .gzip = true,
    };
    api->server = http_server_new(parts->world, &opts, err);
    if (api->server == NULL) {
        api_routes_free(api->routes);
        mem_zero(api->secret_key, sizeof api->secret_key);
        mem_free(api);
        return NULL;
    }
    schedules_set_submit(parts->schedules, submission_submit, api);
    return api;
}

uint16_t api_port(const struct api *api) {
    return http_server_port(api->server);
}

void api_free(struct api *api) {
    if (api == NULL) {
        return;
    }
    if (api->server != NULL) {
        http_server_free(api->server);
    }
    LIST_EACH_SAFE (link, next, &api->calls) {
        call_free(LIST_ITEM(link, struct api_call, link));
    }
    if (api->parts.schedules != NULL) {
        schedules_set_submit(api->parts.schedules, NULL, NULL);
    }
    map_free(&api->agentless);
    api_routes_free(api->routes);
    mem_zero(api->secret_key, sizeof api->secret_key);
    mem_free(api);
}

struct closing {
    struct api *api;
    void (*done)(void *ctx);
    void *ctx;
};

static void on_server_closed(void *ctx) {
    struct closing c = *(struct closing *)ctx;
    mem_free(ctx);
    c.api->server = NULL;
    api_free(c.api);
    if (c.done != NULL) {
        c.done(c.ctx);
    }
}

void api_close(struct api *api, uint64_t grace_ms, void (*done)(void *ctx), void *ctx) {
    struct closing *c = mem_alloc(sizeof(*c));
    *c = (struct closing){api, done, ctx};
    api->closing = true;
    http_server_close(api->server, grace_ms, on_server_closed, c);
}
