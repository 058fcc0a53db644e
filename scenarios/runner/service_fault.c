/* See service_fault.h. */
#include "scenarios/runner/service_fault.h"

#include "base/mem.h"
#include "simulator/faults/faults.h"
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

bool service_fault(struct stack *stack, const char *name, const json_t *fault, struct error *err) {
    json_t *body = fault != NULL ? service_fault_body(fault) : NULL;
    bool ok = stack_service_fault(stack, name, body, err);
    json_decref(body);
    return ok;
}
