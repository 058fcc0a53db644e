/* Steps that wait until something holds: expect_job, expect_node, expect_events, expect_inventory, expect_plan. They
 * look at what the orchestrator's API tells, again and again; what they saw last is in the report. */
#include "base/mem.h"
#include "scenarios/runner/match.h"
#include "scenarios/runner/run.h"
#include <inttypes.h>
#include <string.h>

static const char *const job_states[] = {"new", "ready", "running", "stopping", "stopped", "finished", "failed", NULL};
static const char *const node_states[] = {"new",     "ready",   "running",  "responding", "finished", "failed",
                                          "skipped", "errored", "stopping", "stopped",    NULL};
static const struct shape shape_job_state = {.type = SHAPE_WORD, .words = job_states};
static const struct shape shape_node_state = {.type = SHAPE_WORD, .words = node_states};
static void check_node_states(struct problems *p, const struct doc_node *node) {
    const struct doc_node word = {.kind = DOC_TEXT};
    for (size_t i = 0; i < node->count; i++) {
        struct doc_node key = word;
        key.text = node->keys[i]->text;
        key.line = node->keys[i]->line;
        key.column = node->keys[i]->column;
        shape_check(&shape_node_state, &key, p);
    }
}
static const struct shape shape_states = {.type = SHAPE_FREE, .of = &shape_match, .check = check_node_states};

static const struct shape_key job_keys[] = {{"job", &shape_any, true},
                                            {"state", &shape_job_state, false},
                                            {"nodes", &shape_states, false},
                                            {"json", &shape_match_paths, false},
                                            {"as_user", &shape_text, false},
                                            STEP_KEYS,
                                            {NULL, NULL, false}};
static const struct shape_key node_keys[] = {{"job", &shape_any, true},
                                             {"node", &shape_text, true},
                                             {"state", &shape_node_state, false},
                                             {"result", &shape_match, false},
                                             {"message", &shape_match, false},
                                             {"json", &shape_match_paths, false},
                                             STEP_KEYS,
                                             {NULL, NULL, false}};
static const struct shape_key event_keys[] = {{"type", &shape_match, true},     {"count", &shape_match, false},
                                              {"node", &shape_match, false},    {"message", &shape_match, false},
                                              {"details", &shape_match, false}, {NULL, NULL, false}};
static const struct shape shape_event = {.type = SHAPE_MAP, .keys = event_keys};
static const struct shape shape_event_list = {.type = SHAPE_LIST, .of = &shape_event};
static const struct shape_key events_keys[] = {{"job", &shape_any, true},
                                               {"contains", &shape_event_list, false},
                                               {"order", &shape_texts, false},
                                               {"json", &shape_match_paths, false},
                                               STEP_KEYS,
                                               {NULL, NULL, false}};
static const struct shape_key inventory_keys[] = {{"nodes", &shape_texts, false},
                                                  {"connected", &shape_bool, false},
                                                  {"count", &shape_match, false},
                                                  STEP_KEYS,
                                                  {NULL, NULL, false}};
static const struct shape_key plan_keys[] = {{"plan", &shape_any, true},
                                             {"state", &shape_match, false},
                                             {"result", &shape_match, false},
                                             {"json", &shape_match_paths, false},
                                             STEP_KEYS,
                                             {NULL, NULL, false}};

static const struct shape shape_job = {.type = SHAPE_MAP, .keys = job_keys};
static const struct shape shape_node = {.type = SHAPE_MAP, .keys = node_keys};
static const struct shape shape_events = {.type = SHAPE_MAP, .keys = events_keys};
static const struct shape shape_inventory = {.type = SHAPE_MAP, .keys = inventory_keys};
static const struct shape shape_expect_plan = {.type = SHAPE_MAP, .keys = plan_keys};

/* ---- what they share */

/* "12", 12, or what `as` of run_task holds. mem_free() it; NULL: the step has failed. */
static char *job_name(struct run *r, const json_t *given) {
    const json_t *name = json_is_object(given) ? json_object_get(given, "name") : given;
    if (json_is_integer(name)) {
        return str_printf("%" JSON_INTEGER_FORMAT, json_integer_value(name));
    }
    if (json_is_string(name) && json_string_length(name) != 0) {
        return str_dup(json_string_value(name));
    }
    run_step_failed(r, "the name of a job", NULL);
    return NULL;
}

/* "a: X, b: Y" of the keys that are expected: one line for the report. */
static char *expectation(const json_t *args, const char *what) {
    struct buf text = BUF_INIT;
    const char *key;
    json_t *value;
    buf_append_cstr(&text, what);
    json_object_foreach((json_t *)(uintptr_t)args, key, value) {
        if (strcmp(key, "job") != 0 && strcmp(key, "plan") != 0) {
            buf_printf(&text, "%s %s ", text.len > strlen(what) ? "," : ":", key);
            json_write(&text, value);
        }
    }
    return buf_take(&text);
}

static void look_at(struct run *r, const json_t *args, const char *list, const char *rest, const char *what,
                    bool (*holds)(struct run *r, const struct answer *a, struct buf *seen, json_t **result)) {
    char *name = job_name(r, json_object_get(args, strcmp(list, "plan_jobs") == 0 ? "plan" : "job"));
    if (name == NULL) {
        return;
    }
    run_keep(r, (void *)(uintptr_t)args, NULL);
    run_look(r, &(struct look){.url = str_printf("%s/orchestrator/v1/%s/%s%s", run_service_url(r, "orchestrator"), list,
                                                 name, rest),
                               .user = json_str(args, "as_user"),
                               .expected = expectation(args, what),
                               .holds = holds});
    mem_free(name);
}

static bool is_answer(const struct answer *a, struct buf *seen) {
    if (a->status == 200 && a->json != NULL) {
        return true;
    }
    buf_printf(seen, "%d %s", a->status, a->text != NULL ? a->text : "");
    return false;
}

static bool field(const json_t *args, const char *key, const json_t *value, struct buf *seen) {
    const json_t *wanted = json_object_get(args, key);
    if (wanted == NULL) {
        return true;
    }
    json_t *expected = json_pack("{s:O}", key, wanted), *has = json_object();
    if (value != NULL) {
        json_object_set(has, key, (json_t *)(uintptr_t)value);
    }
    bool ok = match(expected, has, seen);
    json_decref(expected);
    json_decref(has);
    return ok;
}

static bool paths(const json_t *args, const json_t *value, struct buf *seen) {
    const json_t *wanted = json_object_get(args, "json");
    return wanted == NULL || match_paths(wanted, value, seen);
}

/* ---- expect_job */

static bool is_over(const char *state) {
    return str_eq(state, "finished") || str_eq(state, "failed") || str_eq(state, "stopped");
}

/* "finished 3, failed 1" */
static void write_states(const json_t *states, struct buf *seen) {
    const char *name;
    json_t *count;
    bool first = true;
    json_object_foreach((json_t *)(uintptr_t)states, name, count) {
        if (json_is_integer(count) && json_integer_value(count) != 0) {
            buf_printf(seen, "%s%s %" JSON_INTEGER_FORMAT, first ? "" : ", ", name, json_integer_value(count));
            first = false;
        }
    }
}

/* Absent states count as 0. */
static bool states_match(const json_t *wanted, const json_t *states) {
    const char *name;
    json_t *count, *none = json_integer(0);
    bool ok = true;
    json_object_foreach((json_t *)(uintptr_t)wanted, name, count) {
        const json_t *has = json_object_get(states, name);
        ok = ok && match(count, has != NULL && !json_is_null(has) ? has : none, NULL);
    }
    json_decref(none);
    return ok;
}

static bool job_holds(struct run *r, const struct answer *a, struct buf *seen, json_t **result) {
    const json_t *args = run_kept(r), *wanted = json_object_get(args, "nodes");
    if (!is_answer(a, seen)) {
        return false;
    }
    const json_t *states = json_object_get(a->json, "node_states");
    buf_printf(seen, "state %s; nodes: ", json_str(a->json, "state"));
    write_states(states, seen);
    bool ok = field(args, "state", json_object_get(a->json, "state"), NULL);
    ok = (wanted == NULL || states_match(wanted, states)) && ok;
    ok = paths(args, a->json, seen) && ok;
    const char *state = json_str(a->json, "state");
    if (is_over(state) && json_object_get(args, "state") != NULL && !str_eq(state, json_str(args, "state"))) {
        run_give_up(r); /* it stays so */
    }
    *result = ok ? json_incref(a->json) : NULL;
    return ok;
}

static void begin_job(struct run *r, const json_t *args) {
    look_at(r, args, "jobs", "", "the job", job_holds);
}

/* ---- expect_node */

static bool node_holds(struct run *r, const struct answer *a, struct buf *seen, json_t **result) {
    const json_t *args = run_kept(r);
    if (!is_answer(a, seen)) {
        return false;
    }
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(a->json, "items"), i, item) {
        if (!str_eq(json_str(item, "name"), json_str(args, "node"))) {
            continue;
        }
        bool ok = field(args, "state", json_object_get(item, "state"), seen);
        ok = field(args, "result", json_object_get(item, "result"), seen) && ok;
        ok = field(args, "message", json_object_get(item, "message"), seen) && ok;
        ok = paths(args, item, seen) && ok;
        *result = ok ? json_incref(item) : NULL;
        if (!ok) {
            buf_append_cstr(seen, "; the node: ");
            json_write(seen, item);
        }
        return ok;
    }
    buf_append_cstr(seen, "the job has no such node");
    return false;
}

static void begin_node(struct run *r, const json_t *args) {
    look_at(r, args, "jobs", "/nodes", "the node", node_holds);
}

/* ---- expect_events */

static const json_t *event_node(const json_t *event) {
    const json_t *details = json_object_get(event, "details");
    const json_t *node = json_object_get(details, "node");
    return json_is_object(node) ? json_object_get(node, "name") : node;
}

static bool event_like(const json_t *wanted, const json_t *event) {
    const json_t *node = json_object_get(wanted, "node");
    return match(json_object_get(wanted, "type"), json_object_get(event, "type"), NULL) &&
           (node == NULL || match(node, event_node(event), NULL)) &&
           field(wanted, "message", json_object_get(event, "message"), NULL) &&
           field(wanted, "details", json_object_get(event, "details"), NULL);
}

static bool contains_events(const json_t *wanted, const json_t *items, struct buf *seen) {
    json_t *at_least_one = json_pack("{s:i}", "ge", 1);
    json_t *list = json_is_array(wanted) ? json_incref((json_t *)(uintptr_t)wanted) : json_pack("[O]", wanted);
    bool ok = true;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *one = json_array_get(list, i), *count = json_object_get(one, "count");
        int64_t found = 0;
        for (size_t k = 0; k < json_array_size(items); k++) {
            found += event_like(one, json_array_get(items, k)) ? 1 : 0;
        }
        json_t *has = json_integer(found);
        if (!match(count != NULL ? count : at_least_one, has, NULL)) {
            char *text = json_text(one);
            buf_printf(seen, "%" PRId64 " events like %s; ", found, text);
            mem_free(text);
            ok = false;
        }
        json_decref(has);
    }
    json_decref(list);
    json_decref(at_least_one);
    return ok;
}

/* Each type is there, behind the one before. */
static bool ordered(const json_t *types, const json_t *items, struct buf *seen) {
    size_t at = 0;
    for (size_t i = 0; i < json_array_size(types); i++) {
        const char *type = json_string_value(json_array_get(types, i));
        while (at < json_array_size(items) && !str_eq(json_str(json_array_get(items, at), "type"), type)) {
            at++;
        }
        if (at++ >= json_array_size(items)) {
            buf_printf(seen, "no %s in its place; ", type);
            return false;
        }
    }
    return true;
}

static void write_types(const json_t *items, struct buf *seen) {
    enum { SHOWN = 40 };
    size_t count = json_array_size(items), first = count > SHOWN ? count - SHOWN : 0;
    buf_append_cstr(seen, first != 0 ? "the events: … " : "the events:");
    for (size_t i = first; i < count; i++) {
        const json_t *node = event_node(json_array_get(items, i));
        buf_printf(seen, " %s", json_str(json_array_get(items, i), "type"));
        if (json_is_string(node)) {
            buf_printf(seen, "(%s)", json_string_value(node));
        }
    }
}

static bool events_hold(struct run *r, const struct answer *a, struct buf *seen, json_t **result) {
    const json_t *args = run_kept(r), *items = json_object_get(a->json, "items");
    if (!is_answer(a, seen)) {
        return false;
    }
    const json_t *contains = json_object_get(args, "contains"), *order = json_object_get(args, "order");
    bool ok = contains == NULL || contains_events(contains, items, seen);
    ok = (order == NULL || ordered(order, items, seen)) && ok;
    ok = paths(args, a->json, seen) && ok;
    write_types(items, seen);
    *result = ok ? json_incref((json_t *)(uintptr_t)items) : NULL;
    return ok;
}

static void begin_events(struct run *r, const json_t *args) {
    look_at(r, args, "jobs", "/events?start=0", "the events", events_hold);
}

/* ---- expect_inventory */

static bool has_name(const json_t *names, const char *name) {
    size_t i;
    json_t *one;
    json_array_foreach(names, i, one) {
        if (str_eq(json_string_value(one), name)) {
            return true;
        }
    }
    return json_is_string(names) && str_eq(json_string_value(names), name);
}

static bool inventory_holds(struct run *r, const struct answer *a, struct buf *seen, json_t **result) {
    const json_t *args = run_kept(r), *names = json_object_get(args, "nodes"), *count = json_object_get(args, "count");
    if (!is_answer(a, seen)) {
        return false;
    }
    size_t i, connected = 0, fitting = 0;
    json_t *item;
    bool wanted = json_bool(args, "connected", true);
    json_array_foreach(json_object_get(a->json, "items"), i, item) {
        bool is = json_is_true(json_object_get(item, "connected"));
        const char *name = json_str(item, "name");
        connected += is ? 1 : 0;
        if (names != NULL && has_name(names, name)) {
            fitting += is ? 1 : 0;
            buf_printf(seen, "%s %s; ", name, is ? "connected" : "not connected");
        }
    }
    buf_printf(seen, "%zu connected in all", connected);
    size_t asked = names == NULL ? 0 : json_is_array(names) ? json_array_size(names) : 1;
    json_t *total = json_integer((json_int_t)connected);
    bool ok = (names == NULL || fitting == (wanted ? asked : 0)) && (count == NULL || match(count, total, NULL));
    json_decref(total);
    *result = ok ? json_incref(a->json) : NULL;
    return ok;
}

static void begin_inventory(struct run *r, const json_t *args) {
    run_keep(r, (void *)(uintptr_t)args, NULL);
    run_look(r, &(struct look){.url = str_printf("%s/orchestrator/v1/inventory", run_service_url(r, "orchestrator")),
                               .expected = expectation(args, "the inventory"),
                               .holds = inventory_holds});
}

/* ---- expect_plan */

static bool plan_holds(struct run *r, const struct answer *a, struct buf *seen, json_t **result) {
    const json_t *args = run_kept(r);
    if (!is_answer(a, seen)) {
        return false;
    }
    bool ok = field(args, "state", json_object_get(a->json, "state"), seen);
    ok = field(args, "result", json_object_get(a->json, "result"), seen) && ok;
    ok = paths(args, a->json, seen) && ok;
    *result = ok ? json_incref(a->json) : NULL;
    return ok;
}

static void begin_expect_plan(struct run *r, const json_t *args) {
    look_at(r, args, "plan_jobs", "", "the plan", plan_holds);
}

const struct step_kind expect_steps[] = {
    {"expect_job", "wait until a job is in this state", &shape_job, begin_job},
    {"expect_node", "wait until a node of a job is in this state", &shape_node, begin_node},
    {"expect_events", "wait until a job has these events", &shape_events, begin_events},
    {"expect_inventory", "wait until these nodes are connected, or not", &shape_inventory, begin_inventory},
    {"expect_plan", "wait until a plan job is in this state", &shape_expect_plan, begin_expect_plan},
    {NULL, NULL, NULL, NULL},
};
