/* Tasks and plans of an environment, as Puppet Server knows them (orchestrator-api.md §9). */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

/* The ?environment=, "production" without; NULL: answered. */
static const char *read_environment(struct api_call *call) {
    const char *environment = http_query(call->ex, "environment");
    if (environment == NULL) {
        return "production";
    }
    if (!name_is_environment(environment)) {
        json_t *given = json_string(environment);
        api_reply_invalid(call, "environment", given, "\"%s\" is no environment name: letters, digits and _",
                          given != NULL ? environment : "");
        json_decref(given);
        return NULL;
    }
    return environment;
}

/* "apache::reload" is …/apache/reload, "apache" is …/apache/init. */
static char *item_link(const struct api_call *call, const char *collection, const char *name) {
    const char *colons = strstr(name, "::");
    return colons != NULL ? link_to(call, "/%s/%.*s/%s", collection, (int)(colons - name), name, colons + 2)
                          : link_to(call, "/%s/%s/init", collection, name);
}

/* The name that ":module/:item" stands for; mem_free() it. NULL: answered. */
static char *read_name(struct api_call *call, const char *kind) {
    const char *module = http_param(call->ex, "module"), *item = http_param(call->ex, "item");
    char *name = strcmp(item, "init") == 0 ? str_dup(module) : str_printf("%s::%s", module, item);
    if (!name_is_task(name)) {
        json_t *given = json_string(name);
        api_reply_invalid(call, kind, given, "\"%s\" is no %s name", given != NULL ? name : "", kind);
        json_decref(given);
        mem_free(name);
        return NULL;
    }
    return name;
}

static json_t *environment_object(const char *name, const json_t *item) {
    json_t *code_id = json_object_get(json_array_get(json_object_get(item, "environment"), 0), "code_id");
    json_t *object = json_object();
    json_set(object, "name", json_string(name));
    json_set(object, "code_id", json_incref(code_id));
    return object;
}

/* ---- lists */

struct code_state {
    char *environment, *name;
    json_t *answer;
    json_t *permitted; /* per task, before task-targets are looked at; or NULL */
};

static void code_state_free(void *state) {
    struct code_state *s = state;
    mem_free(s->environment);
    mem_free(s->name);
    json_decref(s->answer);
    json_decref(s->permitted);
    mem_free(s);
}

static struct code_state *set_state(struct api_call *call, const char *environment, char *name) {
    struct code_state *s = mem_zalloc(sizeof(*s));
    s->environment = str_dup(environment);
    s->name = name;
    call->state = s;
    call->free_state = code_state_free;
    return s;
}

static void answer_list(struct api_call *call, const char *collection, const json_t *answers) {
    struct code_state *s = call->state;
    json_t *items = json_array();
    size_t i;
    json_t *item;
    json_array_foreach(s->answer, i, item) {
        const char *name = json_str(item, "name");
        if (name == NULL) {
            continue;
        }
        char *id = item_link(call, collection, name);
        json_t *entry = json_pack("{s:s, s:s}", "id", id, "name", name);
        json_set(entry, "permitted", json_boolean(json_is_true(json_array_get(answers, i))));
        json_array_append_new(items, entry);
        mem_free(id);
    }
    json_t *body = json_object();
    json_set(body, "environment", environment_object(s->environment, json_array_get(s->answer, 0)));
    json_set(body, "items", items);
    api_reply_json(call, 200, body);
}

/* Beside tasks:run, what task-targets permit counts. */
static void answer_constrained_tasks(struct api_call *call, const struct map *tasks) {
    struct code_state *s = call->state;
    json_t *answers = json_array();
    bool all = map_get(tasks, SPAN("*")) != NULL;
    for (size_t i = 0; i < json_array_size(s->permitted); i++) {
        const char *name = json_str(json_array_get(s->answer, i), "name");
        bool granted = all || (name != NULL && map_get(tasks, span_of(name)) != NULL);
        json_array_append_new(answers, json_boolean(granted || json_is_true(json_array_get(s->permitted, i))));
    }
    answer_list(call, "tasks", answers);
    json_decref(answers);
}

static void answer_tasks(struct api_call *call, const json_t *answers) {
    struct code_state *s = call->state;
    for (size_t i = 0; i < json_array_size(answers); i++) {
        if (!json_is_true(json_array_get(answers, i))) {
            s->permitted = json_incref((json_t *)(uintptr_t)answers);
            constraints_find(call, NULL, answer_constrained_tasks);
            return;
        }
    }
    answer_list(call, "tasks", answers);
}

static void answer_plans(struct api_call *call, const json_t *answers) {
    answer_list(call, "plans", answers);
}

/* One question to RBAC for all of them. */
static void ask_permissions(struct api_call *call, json_t *list, const char *object_type,
                            void (*then)(struct api_call *call, const json_t *answers)) {
    struct code_state *s = call->state;
    s->answer = json_incref(list);
    json_t *permissions = json_array();
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        const char *name = json_str(item, "name");
        add_permission(permissions, object_type, "run", name != NULL ? name : "*");
    }
    api_permit(call, permissions, then);
}

static void on_tasks(void *ctx, json_t *tasks, const struct error *err) {
    if (err != NULL) {
        api_reply_error(ctx, err);
    } else {
        ask_permissions(ctx, tasks, "tasks", answer_tasks);
    }
}

static void on_plans(void *ctx, json_t *plans, const struct error *err) {
    if (err != NULL) {
        api_reply_error(ctx, err);
    } else {
        ask_permissions(ctx, plans, "plans", answer_plans);
    }
}

void tasks_list(struct api_call *call) {
    const char *environment = read_environment(call);
    if (environment != NULL) {
        set_state(call, environment, NULL);
        services_tasks(call->api->parts.services, environment, on_tasks, call);
    }
}

void plans_list(struct api_call *call) {
    const char *environment = read_environment(call);
    if (environment != NULL) {
        set_state(call, environment, NULL);
        services_plans(call->api->parts.services, environment, on_plans, call);
    }
}

/* ---- one */

static json_t *one_object(struct api_call *call, const char *collection, json_t *metadata) {
    struct code_state *s = call->state;
    char *id = item_link(call, collection, s->name);
    json_t *body = json_pack("{s:s, s:s}", "id", id, "name", s->name);
    json_set(body, "environment", environment_object(s->environment, NULL));
    json_set(body, "metadata", json_is_object(metadata) ? json_incref(metadata) : json_object());
    mem_free(id);
    return body;
}

static void on_task(void *ctx, json_t *task, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    json_t *body = one_object(call, "tasks", json_object_get(task, "metadata"));
    json_t *files = json_object_get(task, "files");
    json_set(body, "files", json_is_array(files) ? json_incref(files) : json_array());
    api_reply_json(call, 200, body);
}

static void answer_plan(struct api_call *call, const json_t *answers) {
    struct code_state *s = call->state;
    json_t *body = one_object(call, "plans", json_object_get(s->answer, "metadata"));
    json_set(body, "permitted", json_boolean(json_is_true(json_array_get(answers, 0))));
    api_reply_json(call, 200, body);
}

static void on_plan(void *ctx, json_t *plan, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    struct code_state *s = call->state;
    s->answer = json_incref(plan);
    json_t *permissions = json_array();
    add_permission(permissions, "plans", "run", s->name);
    api_permit(call, permissions, answer_plan);
}

void tasks_get(struct api_call *call) {
    const char *environment = read_environment(call);
    char *name = environment != NULL ? read_name(call, "task") : NULL;
    if (name != NULL) {
        set_state(call, environment, name);
        services_task(call->api->parts.services, environment, name, on_task, call);
    }
}

void plans_get(struct api_call *call) {
    const char *environment = read_environment(call);
    char *name = environment != NULL ? read_name(call, "plan") : NULL;
    if (name != NULL) {
        set_state(call, environment, name);
        services_plan(call->api->parts.services, environment, name, on_plan, call);
    }
}
