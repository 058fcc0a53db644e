/* /status/v1 of Puppet Server (puppetserver.md §23). */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <string.h>

/* In the order they are listed; the status service has a version of its own. */
static const char *const services[] = {"puppet-profiler", "jruby-metrics", "ca", "master", "server", "status-service"};
static const char *const levels[] = {"critical", "info", "debug"};

/* The level asked for; NULL after answering 400. */
static const char *level_of(struct ps_request *r) {
    const char *asked = http_query(r->ex, "level");
    for (size_t i = 0; asked != NULL && i < sizeof levels / sizeof levels[0]; i++) {
        if (strcmp(levels[i], asked) == 0) {
            return levels[i];
        }
    }
    if (asked == NULL) {
        return "info";
    }
    char *msg = str_printf("Invalid level: :%s", asked);
    json_t *text = json_string(msg);
    ps_json(r, 400,
            json_pack("{s:s, s:o}", "kind", "data-invalid", "msg", text != NULL ? text : json_string("Invalid level")));
    mem_free(msg);
    return NULL;
}

static json_t *entry(struct ps_request *r, const char *service, const char *level) {
    bool own = strcmp(service, "status-service") == 0;
    return json_pack("{s:s, s:i, s:s, s:s, s:{}, s:[]}", "service_version",
                     own ? "1.1.1" : json_str(r->ps->config, "version"), "service_status_version", 1, "detail_level",
                     level, "state", "running", "status", "active_alerts");
}

void ps_status_services(struct ps_request *r) {
    const char *level = level_of(r);
    if (level == NULL) {
        return;
    }
    json_t *all = json_object();
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        json_set(all, services[i], entry(r, services[i], level));
    }
    ps_json(r, 200, all);
}

static bool known(const char *service) {
    for (size_t i = 0; i < sizeof services / sizeof services[0]; i++) {
        if (strcmp(services[i], service) == 0) {
            return true;
        }
    }
    return false;
}

void ps_status_service(struct ps_request *r) {
    const char *service = r->params[0];
    const char *level = level_of(r);
    if (level == NULL) {
        return;
    }
    if (!known(service)) {
        char *msg = str_printf("No status information found for service %s", service);
        ps_json(r, 404, json_pack("{s:s, s:s}", "kind", "service-not-found", "msg", msg));
        mem_free(msg);
        return;
    }
    json_t *o = entry(r, service, level);
    json_set(o, "service_name", json_string(service));
    ps_json(r, 200, o);
}

void ps_status_simple(struct ps_request *r) {
    if (r->params[0] != NULL && !known(r->params[0])) {
        ps_plain(r, 404, "text/plain;charset=utf-8", "not found: %s", r->params[0]);
        return;
    }
    ps_plain(r, 200, "text/plain;charset=utf-8", "running");
}
