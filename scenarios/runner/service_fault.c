/* See service_fault.h. */
#include "scenarios/runner/service_fault.h"

#include "base/mem.h"
#include <string.h>

static const char *const names[] = {"rbac", "classifier", "activity", "console", "puppetdb", "puppetserver", NULL};
static const struct shape shape_name = {.type = SHAPE_WORD, .words = names};
static const struct shape_key keys[] = {
    {"name", &shape_name, true},
    {"route", &shape_text, false},
    {"status", &shape_count, false},
    {"body", &shape_any, false},
    {"content_type", &shape_text, false},
    {"delay", &shape_duration, false},
    {"hang", &shape_bool, false},
    {"reset", &shape_bool, false},
    {"times", &shape_count, false},
    {"probability", &shape_any, false},
    {NULL, NULL, false},
};

static void check(struct problems *p, const struct doc_node *node) {
    static const char *const effects[] = {"status", "delay", "hang", "reset"};
    for (size_t i = 0; i < sizeof(effects) / sizeof(effects[0]); i++) {
        if (doc_get(node, effects[i]) != NULL) {
            return;
        }
    }
    problem(p, node, "one of status, delay, hang, reset is wanted here");
}
const struct shape shape_service_fault = {.type = SHAPE_MAP, .keys = keys, .check = check};

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

bool service_fault(struct stack *stack, const char *name, const json_t *fault, struct error *err) {
    if (fault == NULL) {
        return stack_service_fault(stack, name, NULL, err);
    }
    json_t *body = json_copy((json_t *)(uintptr_t)fault);
    const char *route = json_str(fault, "route"), *delay = json_str(fault, "delay");
    uint64_t us = 0;
    if (route != NULL) {
        put_route(body, route);
        json_object_del(body, "route");
    }
    if (delay != NULL && duration_us(delay, &us)) {
        json_set(body, "delay_ms", json_integer((json_int_t)(us / 1000)));
        json_object_del(body, "delay");
    }
    bool ok = stack_service_fault(stack, name, body, err);
    json_decref(body);
    return ok;
}
