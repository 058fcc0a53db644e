/* The status service that RBAC, classifier and activity share (rbac.md §14). */
#include "fakes/common/host.h"
#include <string.h>

static const char *const levels[] = {"critical", "info", "debug"};

/* The level asked for, "info" by default; NULL after answering a bad one. */
static const char *level_asked(struct http_exchange *ex) {
    const char *asked = http_query(ex, "level");
    if (asked == NULL) {
        return "info";
    }
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(levels[i], asked) == 0) {
            return levels[i];
        }
    }
    fake_respond_error(ex, 400, "request-data-invalid", NULL, "Invalid level: :%s is not one of critical, debug, info.",
                       asked);
    return NULL;
}

static bool is_running(const json_t *entry) {
    const char *state = json_str(entry, "state");
    return state != NULL && strcmp(state, "running") == 0;
}

static void services_get(struct fake_host *h, struct http_exchange *ex) {
    const char *level = level_asked(ex);
    if (level == NULL) {
        return;
    }
    json_t *all = json_object();
    bool running = true;
    for (size_t i = 0; i < h->fake_count; i++) {
        const struct fake_service *s = h->fakes[i]->service;
        if (s->status != NULL) {
            json_t *entry = s->status(h->fakes[i], level);
            running = running && is_running(entry);
            json_set(all, s->status_name, entry);
        }
    }
    http_respond_json(ex, running ? 200 : 503, all);
}

static struct fake *service_named(struct fake_host *h, const char *status_name) {
    for (size_t i = 0; i < h->fake_count; i++) {
        const struct fake_service *s = h->fakes[i]->service;
        if (s->status != NULL && strcmp(s->status_name, status_name) == 0) {
            return h->fakes[i];
        }
    }
    return NULL;
}

static void service_get(struct fake_host *h, struct http_exchange *ex) {
    const char *level = level_asked(ex);
    if (level == NULL) {
        return;
    }
    const char *name = http_param(ex, "name");
    struct fake *f = service_named(h, name);
    if (f == NULL) {
        fake_respond_error(ex, 404, "service-not-found", NULL, "No status function registered for service %s", name);
        return;
    }
    json_t *entry = f->service->status(f, level);
    http_respond_json(ex, is_running(entry) ? 200 : 503, entry);
}

static void simple_get(struct fake_host *h, struct http_exchange *ex) {
    bool running = true;
    for (size_t i = 0; i < h->fake_count; i++) {
        if (h->fakes[i]->service->status != NULL) {
            json_t *entry = h->fakes[i]->service->status(h->fakes[i], "critical");
            running = running && is_running(entry);
            json_decref(entry);
        }
    }
    fake_respond_text(ex, running ? 200 : 503, running ? "running" : "error");
}

const struct control_route fake_status_routes[] = {
    {"GET", "/status/v1/services", services_get},
    {"GET", "/status/v1/services/:name", service_get},
    {"GET", "/status/v1/simple", simple_get},
    {NULL, NULL, NULL},
};
