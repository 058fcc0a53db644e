/* Steps that tell the orchestrator to do something: run_task, deploy, run_plan, schedule_task, stop_job
 * (orchestrator-api.md §3). */
#include "base/clock.h"
#include "base/mem.h"
#include "scenarios/runner/match.h"
#include "scenarios/runner/run.h"
#include <string.h>

static const struct shape_key error_keys[] = {{"kind", &shape_match, false},
                                              {"status", &shape_match, false},
                                              {"msg", &shape_match, false},
                                              {"details", &shape_match, false},
                                              {NULL, NULL, false}};
static const struct shape shape_error = {.type = SHAPE_MAP, .keys = error_keys};
static const struct shape_key scope_keys[] = {{"nodes", &shape_texts, false},
                                              {"query", &shape_any, false},
                                              {"node_group", &shape_text, false},
                                              {"application", &shape_text, false},
                                              {"whole_environment", &shape_bool, false},
                                              {NULL, NULL, false}};
static const struct shape shape_scope = {.type = SHAPE_MAP, .keys = scope_keys};

/* nodes, query and node_group are short for a scope. */
#define TARGET_KEYS                                                                                                    \
    {"scope", &shape_scope, false}, {"nodes", &shape_texts, false}, {"query", &shape_any, false}, {                    \
        "node_group", &shape_text, false                                                                               \
    }
#define CALL_KEYS {"as_user", &shape_text, false}, {"expect_error", &shape_error, false}, STEP_KEYS

static const struct shape_key task_keys[] = {{"task", &shape_text, true},
                                             {"params", &shape_object, false},
                                             {"environment", &shape_text, false},
                                             {"noop", &shape_bool, false},
                                             {"concurrency", &shape_any, false},
                                             {"timeout", &shape_any, false},
                                             {"description", &shape_text, false},
                                             {"userdata", &shape_object, false},
                                             {"transport", &shape_text, false},
                                             {"targets", &shape_any, false},
                                             TARGET_KEYS,
                                             CALL_KEYS,
                                             {NULL, NULL, false}};
static const struct shape_key deploy_keys[] = {{"environment", &shape_text, false},
                                               {"noop", &shape_bool, false},
                                               {"no_noop", &shape_bool, false},
                                               {"concurrency", &shape_any, false},
                                               {"debug", &shape_bool, false},
                                               {"trace", &shape_bool, false},
                                               {"evaltrace", &shape_bool, false},
                                               {"enforce_environment", &shape_bool, false},
                                               {"filetimeout", &shape_any, false},
                                               {"http_connect_timeout", &shape_any, false},
                                               {"http_keepalive_timeout", &shape_any, false},
                                               {"http_read_timeout", &shape_any, false},
                                               {"ordering", &shape_text, false},
                                               {"skip_tags", &shape_any, false},
                                               {"tags", &shape_any, false},
                                               {"use_cached_catalog", &shape_bool, false},
                                               {"usecacheonfailure", &shape_bool, false},
                                               {"description", &shape_text, false},
                                               {"userdata", &shape_object, false},
                                               {"target", &shape_text, false},
                                               {"timeout", &shape_any, false},
                                               TARGET_KEYS,
                                               CALL_KEYS,
                                               {NULL, NULL, false}};
static const struct shape_key plan_keys[] = {{"plan", &shape_text, true},
                                             {"params", &shape_object, false},
                                             {"environment", &shape_text, false},
                                             {"description", &shape_text, false},
                                             {"timeout", &shape_any, false},
                                             {"userdata", &shape_object, false},
                                             CALL_KEYS,
                                             {NULL, NULL, false}};
static const struct shape_key schedule_keys[] = {{"task", &shape_text, true},
                                                 {"params", &shape_object, false},
                                                 {"environment", &shape_text, false},
                                                 {"noop", &shape_bool, false},
                                                 {"description", &shape_text, false},
                                                 {"userdata", &shape_object, false},
                                                 {"in", &shape_duration, false},
                                                 {"scheduled_time", &shape_text, false},
                                                 {"schedule_options", &shape_any, false},
                                                 TARGET_KEYS,
                                                 CALL_KEYS,
                                                 {NULL, NULL, false}};
static const struct shape_key stop_keys[] = {
    {"job", &shape_text, true}, {"force", &shape_bool, false}, CALL_KEYS, {NULL, NULL, false}};
static const struct shape shape_task = {.type = SHAPE_MAP, .keys = task_keys};
static const struct shape shape_deploy = {.type = SHAPE_MAP, .keys = deploy_keys};
static const struct shape shape_plan = {.type = SHAPE_MAP, .keys = plan_keys};
static const struct shape shape_schedule = {.type = SHAPE_MAP, .keys = schedule_keys};
static const struct shape shape_stop = {.type = SHAPE_MAP, .keys = stop_keys};

/* ---- the answer */

static const json_t *expected_error(const struct run *r) {
    return run_kept(r);
}

static void forget_error(struct run *r, void *state) {
    (void)r;
    json_decref(state);
}

static void on_answer(struct run *r, const struct answer *a) {
    const json_t *wanted = expected_error(r);
    struct buf why = BUF_INIT;
    bool accepted = a->status >= 200 && a->status < 300;
    if (wanted == NULL && accepted) {
        json_t *job = json_object_get(a->json, "job"), *scheduled = json_object_get(a->json, "scheduled_job");
        job = json_is_object(job) ? job : json_is_object(scheduled) ? scheduled : a->json;
        run_step_done(r, json_incref(job));
        return;
    }
    if (wanted != NULL && a->status != 0 && !accepted) {
        json_t *error = json_is_object(a->json) ? json_deep_copy(a->json) : json_object();
        json_set(error, "status", json_integer(a->status));
        if (match(wanted, error, &why)) {
            buf_free(&why);
            run_step_done(r, error);
            return;
        }
        json_decref(error);
    }
    if (a->status == 0) {
        buf_printf(&why, "no answer: %s", a->error);
    } else {
        buf_printf(&why, "%s%d %s", why.len != 0 ? "; it was " : "", a->status, a->text != NULL ? a->text : "");
    }
    char *text = wanted != NULL ? json_text(wanted) : NULL;
    char *expected = wanted != NULL ? str_printf("it is refused with %s", text) : str_dup("it is accepted");
    run_step_failed(r, expected, why.ptr);
    mem_free(expected);
    mem_free(text);
    buf_free(&why);
}

/* ---- the request */

static const char *const own_keys[] = {"as_user", "expect_error", "nodes", "query", "node_group", "in", "scope"};

static json_t *scope_of(const json_t *args) {
    static const char *const kinds[] = {"nodes", "query", "node_group"};
    json_t *given = json_object_get(args, "scope"), *scope = given != NULL ? json_deep_copy(given) : json_object();
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        json_t *value = json_object_get(args, kinds[i]);
        if (value != NULL) {
            json_object_set(scope, kinds[i], value);
        }
    }
    json_t *nodes = json_object_get(scope, "nodes");
    if (json_is_string(nodes)) {
        json_object_set_new(scope, "nodes", json_pack("[O]", nodes));
    }
    return scope;
}

static void send_command(struct run *r, const json_t *args, json_t *body, const char *command) {
    for (size_t i = 0; i < sizeof(own_keys) / sizeof(own_keys[0]); i++) {
        json_object_del(body, own_keys[i]);
    }
    json_t *scope = scope_of(args);
    if (json_object_size(scope) != 0) {
        json_object_set(body, "scope", scope);
    }
    json_decref(scope);
    char *url = str_printf("%s/orchestrator/v1/command/%s", run_service_url(r, "orchestrator"), command);
    char *text = json_text(body);
    json_t *error = json_object_get(args, "expect_error");
    run_keep(r, json_incref(error), forget_error);
    run_request(r,
                &(struct ask){.method = "POST",
                              .url = url,
                              .body = span_of(text),
                              .user = json_str(args, "as_user"),
                              .timeout_us = run_has_within(r) ? run_time_left_us(r, 0) : 0},
                on_answer);
    json_decref(body);
    mem_free(text);
    mem_free(url);
}

static void environment(json_t *body) {
    if (json_object_get(body, "environment") == NULL) {
        json_set(body, "environment", json_string("production"));
    }
}

static void begin_task(struct run *r, const json_t *args) {
    json_t *body = json_copy((json_t *)(uintptr_t)args);
    environment(body);
    if (json_object_get(body, "params") == NULL) {
        json_set(body, "params", json_object());
    }
    send_command(r, args, body, "task");
}

static void begin_deploy(struct run *r, const json_t *args) {
    json_t *body = json_copy((json_t *)(uintptr_t)args);
    environment(body);
    send_command(r, args, body, "deploy");
}

static void begin_plan(struct run *r, const json_t *args) {
    json_t *body = json_copy((json_t *)(uintptr_t)args);
    json_object_set(body, "plan_name", json_object_get(args, "plan"));
    json_object_del(body, "plan");
    send_command(r, args, body, "plan_run");
}

static void begin_schedule(struct run *r, const json_t *args) {
    json_t *body = json_copy((json_t *)(uintptr_t)args);
    environment(body);
    if (json_object_get(body, "params") == NULL) {
        json_set(body, "params", json_object());
    }
    uint64_t in_us = 0;
    if (json_str(args, "in") != NULL && duration_us(json_str(args, "in"), &in_us)) {
        char text[TIME_TEXT_LEN];
        time_format_ms(world_wall_ms(run_stage(r)->world) + (int64_t)(in_us / 1000), text);
        json_set(body, "scheduled_time", json_string(text));
    }
    send_command(r, args, body, "schedule_task");
}

static void begin_stop(struct run *r, const json_t *args) {
    send_command(r, args, json_copy((json_t *)(uintptr_t)args), "stop");
}

const struct step_kind job_steps[] = {
    {"run_task", "run a task; its job is what `as` names", &shape_task, begin_task},
    {"deploy", "run Puppet; its job is what `as` names", &shape_deploy, begin_deploy},
    {"run_plan", "run a plan on the server", &shape_plan, begin_plan},
    {"schedule_task", "run a task later", &shape_schedule, begin_schedule},
    {"stop_job", "stop a job", &shape_stop, begin_stop},
    {NULL, NULL, NULL, NULL},
};
