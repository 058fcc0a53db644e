/* One listener with fakes on it: the route table of all of them, the record of requests, and faults before handlers. */
#include "fakes/common/host.h"
#include "base/mem.h"
#include <string.h>

/* A request whose answer a fault holds back. */
struct held {
    struct list_link link;
    struct fake_host *host;
    struct http_exchange *ex;
    const struct bound_route *bound; /* NULL: no route matched */
    char *allow;
    struct fault_action action;
    struct timer timer;
};

struct fake *fake_host_find(const struct fake_host *h, const char *service_name) {
    for (size_t i = 0; i < h->fake_count; i++) {
        if (strcmp(h->fakes[i]->service->name, service_name) == 0) {
            return h->fakes[i];
        }
    }
    return NULL;
}

/* The fake whose prefix the path begins with. */
static struct fake *owner_of(const struct fake_host *h, const char *path) {
    for (size_t i = 0; i < h->fake_count; i++) {
        const char *const *prefix = h->fakes[i]->service->prefixes;
        for (; prefix != NULL && *prefix != NULL; prefix++) {
            if (strncmp(path, *prefix, strlen(*prefix)) == 0) {
                return h->fakes[i];
            }
        }
    }
    return NULL;
}

static void answer_unmatched(struct fake_host *h, struct http_exchange *ex, const char *allow) {
    const struct http_request *req = http_request(ex);
    struct fake *f = owner_of(h, req->path);
    if (f == NULL && h->fake_count == 1) {
        f = h->fakes[0];
    }
    if (f != NULL && f->service->not_found != NULL) {
        f->service->not_found(f, ex, allow);
    } else if (allow != NULL) {
        http_set_header(ex, "Allow", allow);
        fake_respond_text(ex, 405, "Method Not Allowed");
    } else {
        fake_respond_text(ex, 404, "Not Found");
    }
}

static void answer(struct fake_host *h, struct http_exchange *ex, const struct bound_route *bound, const char *allow) {
    if (bound == NULL) {
        answer_unmatched(h, ex, allow);
    } else if (bound->fake == NULL) {
        bound->control(h, ex);
    } else if (bound->route->handle != NULL) {
        bound->route->handle(bound->fake, ex, bound->route);
    } else {
        fake_respond_error(ex, 501, "dalang/not-implemented", NULL, "the fake %s does not have the route %s %s",
                           bound->fake->service->name, http_request(ex)->method, bound->route->pattern);
    }
}

static void held_free(struct held *d) {
    world_timer_stop(d->host->world, &d->timer);
    list_remove(&d->host->held, &d->link);
    fault_action_clear(&d->action);
    mem_free(d->allow);
    mem_free(d);
}

static void held_abandoned(void *ctx) {
    held_free(ctx);
}

static void respond_fault(struct http_exchange *ex, const struct fault_action *a) {
    const char *type = a->content_type;
    if (a->body == NULL || json_is_string(a->body)) {
        http_respond(ex, a->status, type != NULL ? type : "text/plain; charset=utf-8", json_span(a->body));
    } else if (type == NULL) {
        http_respond_json(ex, a->status, json_incref(a->body));
    } else {
        char *text = json_text(a->body);
        http_respond(ex, a->status, type, span_of(text));
        mem_free(text);
    }
}

static void held_act(struct fake_host *h, struct http_exchange *ex, const struct bound_route *bound, const char *allow,
                     const struct fault_action *action) {
    if (action->reset) {
        http_abort(ex);
    } else if (action->status != 0) {
        respond_fault(ex, action);
    } else {
        answer(h, ex, bound, allow);
    }
}

static void held_due(void *ctx) {
    struct held *d = ctx;
    struct fake_host *h = d->host;
    struct http_exchange *ex = d->ex;
    const struct bound_route *bound = d->bound;
    char *allow = d->allow;
    struct fault_action action = d->action;
    d->allow = NULL;
    d->action = (struct fault_action){0};
    held_free(d);
    http_on_abandon(ex, NULL, NULL);
    held_act(h, ex, bound, allow, &action);
    fault_action_clear(&action);
    mem_free(allow);
}

static void hold(struct fake_host *h, struct http_exchange *ex, const struct bound_route *bound, const char *allow,
                 struct fault_action *action) {
    struct held *d = mem_zalloc(sizeof *d);
    d->host = h;
    d->ex = ex;
    d->bound = bound;
    d->allow = str_dup(allow);
    d->action = *action;
    *action = (struct fault_action){0};
    list_push_back(&h->held, &d->link);
    http_on_abandon(ex, held_abandoned, d);
    if (!d->action.hang) {
        world_timer_start(h->world, &d->timer, d->action.delay_ms, held_due, d);
    }
}

static void receive(struct fake_host *h, struct http_exchange *ex, const struct bound_route *bound, const char *allow) {
    const struct http_request *req = http_request(ex);
    if (span_starts_with(span_of(req->path), "/_fake/")) {
        answer(h, ex, bound, allow);
        return;
    }
    const struct fake *f = bound != NULL && bound->fake != NULL ? bound->fake : owner_of(h, req->path);
    int64_t now = h->fake_count > 0 ? fake_now_ms(h->fakes[0]) : world_wall_ms(h->world);
    requests_record(&h->requests, now, f != NULL ? f->service->name : NULL, req);
    struct fault_action action = {0};
    if (!faults_strike(&h->faults, h->world, req->method, req->path, &action)) {
        answer(h, ex, bound, allow);
    } else if (action.hang || action.delay_ms != 0) {
        hold(h, ex, bound, allow, &action);
    } else {
        held_act(h, ex, bound, allow, &action);
    }
    fault_action_clear(&action);
}

static void on_route(void *ctx, struct http_exchange *ex, const struct http_route *route) {
    receive(ctx, ex, route->data, NULL);
}

static void on_unmatched(void *ctx, struct http_exchange *ex, const char *allow) {
    receive(ctx, ex, NULL, allow);
}

static size_t count_routes(const struct fake_host_opts *opts) {
    size_t n = 0;
    for (size_t i = 0; i < opts->fake_count; i++) {
        for (const struct fake_route *const *t = opts->fakes[i]->service->tables; *t != NULL; t++) {
            for (const struct fake_route *r = *t; r->pattern != NULL; r++) {
                n++;
            }
        }
    }
    for (const struct control_route *r = fake_control_routes; r->pattern != NULL; r++) {
        n++;
    }
    for (const struct control_route *r = fake_status_routes; r->pattern != NULL; r++) {
        n++;
    }
    return n;
}

static void add_route(struct fake_host *h, const char *method, const char *pattern, struct bound_route bound) {
    struct bound_route *b = &h->bound[h->route_count];
    *b = bound;
    h->routes[h->route_count++] = (struct http_route){method, pattern, on_route, b};
}

static void build_table(struct fake_host *h, const struct fake_host_opts *opts) {
    size_t n = count_routes(opts);
    h->bound = mem_array(n, sizeof *h->bound);
    h->routes = mem_array(n + 1, sizeof *h->routes);
    bool has_status = false;
    for (size_t i = 0; i < opts->fake_count; i++) {
        struct fake *f = opts->fakes[i];
        has_status = has_status || f->service->status != NULL;
        for (const struct fake_route *const *t = f->service->tables; *t != NULL; t++) {
            for (const struct fake_route *r = *t; r->pattern != NULL; r++) {
                add_route(h, r->method, r->pattern, (struct bound_route){.fake = f, .route = r});
            }
        }
    }
    for (const struct control_route *r = fake_control_routes; r->pattern != NULL; r++) {
        add_route(h, r->method, r->pattern, (struct bound_route){.control = r->handle});
    }
    for (const struct control_route *r = fake_status_routes; has_status && r->pattern != NULL; r++) {
        add_route(h, r->method, r->pattern, (struct bound_route){.control = r->handle});
    }
}

static void host_free(struct fake_host *h) {
    faults_clear(&h->faults);
    requests_clear(&h->requests);
    for (size_t i = 0; i < h->fake_count; i++) {
        h->fakes[i]->host = NULL;
    }
    mem_free(h->fakes);
    mem_free(h->bound);
    mem_free(h->routes);
    mem_free(h);
}

struct fake_host *fake_host_new(struct world *w, const struct fake_host_opts *opts, struct error *err) {
    struct fake_host *h = mem_zalloc(sizeof *h);
    h->world = w;
    h->log = opts->log;
    faults_init(&h->faults);
    requests_init(&h->requests);
    list_init(&h->held);
    h->fake_count = opts->fake_count;
    h->fakes = mem_array(opts->fake_count + 1, sizeof *h->fakes);
    for (size_t i = 0; i < opts->fake_count; i++) {
        h->fakes[i] = opts->fakes[i];
        h->fakes[i]->host = h;
    }
    build_table(h, opts);
    struct http_server_opts server = {.listen = opts->listen,
                                      .routes = h->routes,
                                      .not_found = on_unmatched,
                                      .ctx = h,
                                      .body_max = opts->body_max,
                                      .gzip = true};
    h->server = http_server_new(w, &server, err);
    if (h->server == NULL) {
        host_free(h);
        return NULL;
    }
    return h;
}

uint16_t fake_host_port(const struct fake_host *h) {
    return http_server_port(h->server);
}

static void server_closed(void *ctx) {
    struct fake_host *h = ctx;
    void (*closed)(void *) = h->closed;
    void *closed_ctx = h->closed_ctx;
    host_free(h);
    if (closed != NULL) {
        closed(closed_ctx);
    }
}

static void drop_held(struct fake_host *h) {
    LIST_EACH_SAFE (k, next, &h->held) {
        struct held *d = LIST_ITEM(k, struct held, link);
        struct http_exchange *ex = d->ex;
        http_on_abandon(ex, NULL, NULL);
        held_free(d);
        http_abort(ex);
    }
}

void fake_host_close(struct fake_host *h, uint64_t grace_ms, void (*done)(void *ctx), void *ctx) {
    h->closed = done;
    h->closed_ctx = ctx;
    drop_held(h);
    http_server_close(h->server, grace_ms, server_closed, h);
}

void fake_host_free(struct fake_host *h) {
    if (h != NULL) {
        drop_held(h);
        http_server_free(h->server);
        host_free(h);
    }
}
