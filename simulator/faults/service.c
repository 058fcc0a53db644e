/* What a service fault says, as the fakes want to hear it. */
#include "base/mem.h"
#include "simulator/faults/faults.h"
#include "simulator/fleet/behaviour.h"
#include <string.h>

static void put_route(json_t *body, const char *route) {
    const char *slash = strchr(route, '/');
    size_t method = slash != NULL ? (size_t)(slash - route) : strlen(route);
    struct span word = span_trim((struct span){route, method});
    if (word.len != 0) {
        json_set(body, "method", json_stringn_nocheck(word.ptr, word.len));
    }
    if (slash != NULL) {
        json_set(body, "path", json_string(slash));
    }
}

json_t *service_fault_body(const json_t *fault) {
    json_t *body = json_copy((json_t *)(uintptr_t)fault);
    const char *route = json_str(fault, "route");
    const json_t *delay = json_object_get(fault, "delay");
    struct dist d;
    if (route != NULL) {
        put_route(body, route);
        json_object_del(body, "route");
    }
    if (delay != NULL && duration_dist(delay, &d, NULL)) {
        json_set(body, "delay_ms", json_integer((json_int_t)(d.a / 1000)));
        json_object_del(body, "delay");
    }
    return body;
}
