/* Steps about the story itself: log, sleep, set, steps, include. */
#include "base/mem.h"
#include "scenarios/runner/run.h"

static const struct shape shape_list_of_steps = {.type = SHAPE_ANY}; /* read by scenario_steps.c */
static const struct shape_key include_keys[] = {
    {"file", &shape_text, true}, {"with", &shape_object, false}, {NULL, NULL, false}};
static const struct shape shape_include_map = {.type = SHAPE_MAP, .keys = include_keys};

static void check_include(struct problems *p, const struct doc_node *node) {
    if (node->kind == DOC_MAP) {
        shape_check(&shape_include_map, node, p);
    }
}
static const struct shape shape_include = {.type = SHAPE_ANY, .check = check_include};

static void begin_log(struct run *r, const json_t *args) {
    char *text = json_is_string(args) ? str_dup(json_string_value(args)) : json_text(args);
    run_say(r, "log: %s", text);
    mem_free(text);
    run_step_done(r, NULL);
}

static void slept(struct run *r) {
    run_step_done(r, NULL);
}

static void begin_sleep(struct run *r, const json_t *args) {
    uint64_t us;
    if (!json_is_string(args) || !duration_us(json_string_value(args), &us)) {
        run_step_failed(r, "a duration", NULL);
        return;
    }
    run_later(r, us, slept);
}

static void begin_set(struct run *r, const json_t *args) {
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)args, name, value) {
        run_set(r, name, json_incref(value));
    }
    run_step_done(r, NULL);
}

static void begin_inner(struct run *r, const json_t *args) {
    (void)args;
    run_enter(r);
}

const struct step_kind flow_steps[] = {
    {"log", "write a line into the report", &shape_any, begin_log},
    {"sleep", "let time pass", &shape_duration, begin_sleep},
    {"set", "set variables", &shape_object, begin_set},
    {"steps", "several steps, to be repeated or left out together", &shape_list_of_steps, begin_inner},
    {"include", "the steps of another file", &shape_include, begin_inner},
    {NULL, NULL, NULL, NULL},
};
