/* fault and heal. What a fault may say: simulator/faults/faults.h. */
#include "base/mem.h"
#include "scenarios/runner/run.h"
#include "scenarios/runner/service_fault.h"
#include "simulator/faults/faults.h"
#include <string.h>

/* A description with a variable in it is known only when the step begins. */
static bool any_open(const struct doc_node *node) {
    if (shape_is_open(node)) {
        return true;
    }
    for (size_t i = 0; i < node->count; i++) {
        if (any_open(node->items[i])) {
            return true;
        }
    }
    return false;
}

static void check_fault(struct problems *p, const struct doc_node *node) {
    struct error err = ERROR_INIT;
    if (node->kind != DOC_MAP) {
        problem(p, node, "a map with a kind of fault is wanted here");
        return;
    }
    json_t *spec = doc_json(node);
    if (!any_open(node) && !faults_check(spec, &err)) {
        const char *path = json_str(err.details, "key");
        problem(p, path != NULL ? doc_at(node, path) : node, "%s", err.msg);
    }
    const struct doc_node *service = doc_get(node, "service");
    if (service != NULL && !any_open(node)) {
        shape_check(&shape_service_fault, service, p);
    }
    error_clear(&err);
    json_decref(spec);
}

static const struct shape shape_fault = {.type = SHAPE_ANY, .check = check_fault};
static const char *const all[] = {"all", NULL};
static const struct shape shape_heal = {.type = SHAPE_WORD, .words = all};

static void begin_fault(struct run *r, const json_t *args) {
    struct stage *s = run_stage(r);
    struct error err = ERROR_INIT;
    if (s->ops->fault(s, args, &err)) {
        run_step_done(r, NULL);
    } else {
        run_step_failed(r, "the fault begins", err.msg);
        error_clear(&err);
    }
}

static void begin_heal(struct run *r, const json_t *args) {
    struct stage *s = run_stage(r);
    struct error err = ERROR_INIT;
    (void)args;
    if (s->ops->heal(s, &err)) {
        run_step_done(r, NULL);
    } else {
        run_step_failed(r, "every fault ends", err.msg);
        error_clear(&err);
    }
}

const struct step_kind fault_steps[] = {
    {"fault", "begin a fault", &shape_fault, begin_fault},
    {"heal", "end every fault", &shape_heal, begin_heal},
    {NULL, NULL, NULL, NULL},
};
