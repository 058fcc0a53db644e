/* The listener and what it serves: the two endpoints, status, metrics. */
#include "base/mem.h"
#include "broker/internal.h"
#include <string.h>

enum { ROUTES_MAX = 16, CLOSE_GRACE_MS = 1000 };

/* The server can outlive the broker by a moment: its callbacks come here first. */
struct doorway {
    struct broker *broker; /* NULL: gone */
    struct http_server *server;
    struct http_route routes[ROUTES_MAX];
    size_t route_count;
    void (*closed)(void *ctx);
    void *closed_ctx;
};

struct endpoint {
    enum pcp_version version;
    bool second; /* selects the configured route */
};

static void not_found(void *ctx, struct http_exchange *ex, const char *allow) {
    (void)ctx, (void)allow;
    http_respond(ex, 404, "text/plain;charset=utf-8", SPAN("404 Not Found\n"));
}

/* "." and "..", in any of their spellings. */
static bool is_dot_segment(struct span s) {
    size_t dots = 0;
    for (size_t i = 0; i < s.len; dots++) {
        if (s.ptr[i] == '.') {
            i++;
        } else if (span_eq_nocase(span_sub(s, i, 3), "%2e")) {
            i += 3;
        } else {
            return false;
        }
    }
    return dots == 1 || dots == 2;
}

static bool has_dot_segment(struct span path) {
    struct span segment;
    while (span_split(&path, '/', &segment)) {
        if (is_dot_segment(segment)) {
            return true;
        }
    }
    return false;
}

static void on_endpoint(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct doorway *d = ctx;
    const struct http_request *req = http_request(ex);
    enum pcp_version version = *(const enum pcp_version *)route->data;
    const char *prefix = version == PCP_V1 ? d->broker->config.v1_route : d->broker->config.v2_route;
    struct span rest = span_of(req->path + strlen(prefix));
    if (!str_eq(req->method, "GET") || !ws_is_upgrade(ex) || controllers_shut(d->broker) || has_dot_segment(rest)) {
        not_found(d, ex, NULL);
        return;
    }
    struct span type = span_sub(rest, 1, rest.len);
    session_open(d->broker, ex, version, type.len != 0 ? type : SPAN(PCP_TYPE_AGENT));
}

static void on_status(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct doorway *d = ctx;
    void (*const *answer)(struct broker *, struct http_exchange *) = route->data;
    (*answer)(d->broker, ex);
}

static void on_metrics(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    struct doorway *d = ctx;
    struct buf out = BUF_INIT;
    (void)route;
    prometheus_write(d->broker, &out);
    http_respond(ex, 200, "text/plain; version=0.0.4; charset=utf-8", buf_span(&out));
    buf_free(&out);
}

static void after(void *ctx, const struct http_request *req, int status, uint64_t bytes, uint64_t duration_us,
                  const char *referer, const char *user_agent) {
    struct doorway *d = ctx;
    if (d->broker != NULL) {
        http_log(d->broker, req, status, bytes, duration_us, referer, user_agent);
    }
}

static void add_route(struct doorway *d, const char *method, const char *base, const char *rest,
                      void (*handle)(void *, struct http_exchange *, const struct http_route *), const void *data) {
    d->routes[d->route_count++] = (struct http_route){
        .method = method, .pattern = str_printf("%s%s", base, rest), .handle = handle, .data = data};
}

static const enum pcp_version v1 = PCP_V1, v2 = PCP_V2;

static void add_endpoint(struct doorway *d, const char *base, const enum pcp_version *version) {
    if (base[0] != '\0') {
        add_route(d, NULL, base, "", on_endpoint, version);
    }
    add_route(d, NULL, base, "/*rest", on_endpoint, version);
}

static void add_routes(struct doorway *d, const struct broker_config *c) {
    static void (*const services)(struct broker *, struct http_exchange *) = status_services;
    static void (*const service)(struct broker *, struct http_exchange *) = status_service;
    static void (*const simple)(struct broker *, struct http_exchange *) = status_simple;
    static void (*const simple_service)(struct broker *, struct http_exchange *) = status_simple_service;
    if (c->status_route[0] != '\0') {
        add_route(d, "GET", c->status_route, "/v1/services", on_status, &services);
        add_route(d, "GET", c->status_route, "/v1/services/:name", on_status, &service);
        add_route(d, "GET", c->status_route, "/v1/simple", on_status, &simple);
        add_route(d, "GET", c->status_route, "/v1/simple/:name", on_status, &simple_service);
    }
    if (c->metrics_route[0] != '\0') {
        add_route(d, "GET", c->metrics_route, "", on_metrics, NULL);
    }
    bool v2_first = strlen(c->v2_route) > strlen(c->v1_route); /* the longer path is the more special one */
    if (c->v2_route[0] != '\0' && v2_first) {
        add_endpoint(d, c->v2_route, &v2);
    }
    add_endpoint(d, c->v1_route, &v1);
    if (c->v2_route[0] != '\0' && !v2_first) {
        add_endpoint(d, c->v2_route, &v2);
    }
}

static void doorway_free(struct doorway *d) {
    for (size_t i = 0; i < d->route_count; i++) {
        mem_free((char *)d->routes[i].pattern);
    }
    mem_free(d);
}

bool door_open(struct broker *b, struct error *err) {
    const struct broker_config *c = &b->config;
    struct doorway *d = mem_zalloc(sizeof *d);
    d->broker = b;
    add_routes(d, c);
    const struct http_server_opts opts = {
        .listen = {.host = c->host, .port = c->port, .tls = b->tls, .handshakes_max = c->handshakes_max},
        .routes = d->routes,
        .not_found = not_found,
        .after = after,
        .ctx = d,
        .body_max = 64 * 1024,
        .idle_timeout_ms = c->http_idle_timeout_ms,
        .connections_max = 65536,
    };
    d->server = http_server_new(b->world, &opts, err);
    if (d->server == NULL) {
        doorway_free(d);
        return false;
    }
    b->door = d;
    return true;
}

static void on_server_closed(void *ctx) {
    struct doorway *d = ctx;
    void (*closed)(void *) = d->closed;
    void *closed_ctx = d->closed_ctx;
    doorway_free(d);
    if (closed != NULL) {
        closed(closed_ctx);
    }
}

void door_close(struct broker *b, void (*closed)(void *ctx), void *ctx) {
    struct doorway *d = b->door;
    b->door = NULL;
    d->broker = NULL;
    d->closed = closed;
    d->closed_ctx = ctx;
    if (closed == NULL) { /* nobody waits: at once, as in a crash */
        http_server_free(d->server);
        doorway_free(d);
    } else {
        http_server_close(d->server, CLOSE_GRACE_MS, on_server_closed, d);
    }
}

uint16_t door_port(const struct broker *b) {
    return http_server_port(b->door->server);
}
