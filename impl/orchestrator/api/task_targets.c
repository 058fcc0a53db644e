/* Task-targets: which tasks may run where (orchestrator-api.md §3.6, §11.1). */
#include "base/mem.h"
#include "orchestrator/api/internal.h"

const struct api_field command_task_target_fields[] = {
    {.key = "display_name", .types = IS_STRING, .required = true},
    {.key = "tasks", .types = IS_ARRAY, .strings = true},
    {.key = "all_tasks", .types = IS_BOOLEAN},
    {.key = "nodes", .types = IS_ARRAY, .required = true, .strings = true},
    {.key = "node_groups", .types = IS_ARRAY, .required = true, .strings = true},
    {.key = "pql_query", .types = IS_STRING},
    {.key = NULL},
};

struct created {
    int64_t id;
};

static void on_created(void *ctx, const struct error *err) {
    struct api_call *call = ctx;
    const struct created *c = call->state;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    char *url = link_to(call, "/scopes/task_targets/%lld", (long long)c->id);
    json_t *name = json_sprintf("%lld", (long long)c->id);
    json_t *body = json_pack("{s:{s:s, s:o}}", "task_target", "id", url, "name", name);
    mem_free(url);
    api_reply_json(call, 200, body);
}

static void create(struct api_call *call) {
    struct store *store = call->api->parts.store;
    const json_t *tasks = json_object_get(call->body, "tasks");
    bool all = json_bool(call->body, "all_tasks", false);
    struct buf task_text = BUF_INIT, nodes = BUF_INIT, groups = BUF_INIT;
    if (tasks != NULL && !all) {
        json_write(&task_text, tasks);
    } else {
        buf_append_cstr(&task_text, "[]");
    }
    json_write(&nodes, json_object_get(call->body, "nodes"));
    json_write(&groups, json_object_get(call->body, "node_groups"));
    struct created *c = mem_zalloc(sizeof *c);
    c->id = store_next_id(store, STORE_TARGET_ID);
    call->state = c;
    call->free_state = mem_free;
    struct store_batch *b = store_batch_new(store);
    store_target_insert(b,
                        &(struct store_target){.id = c->id,
                                               .display_name = json_span(json_object_get(call->body, "display_name")),
                                               .all_tasks = all,
                                               .tasks = buf_span(&task_text),
                                               .nodes = buf_span(&nodes),
                                               .node_groups = buf_span(&groups),
                                               .pql_query = json_span(json_object_get(call->body, "pql_query"))});
    store_commit(store, b, on_created, call);
    buf_free(&task_text);
    buf_free(&nodes);
    buf_free(&groups);
}

static void on_permission(struct api_call *call, const json_t *answers) {
    if (json_is_true(json_array_get(answers, 0))) {
        create(call);
    } else {
        api_reply_not_permitted(call, "You do not have permission to create task-targets: user_roles:edit:* is needed");
    }
}

void command_task_target(struct api_call *call) {
    const json_t *name = json_object_get(call->body, "display_name");
    if (json_string_length(name) == 0) {
        api_reply_invalid(call, "display_name", name, "display_name must not be empty");
        return;
    }
    if (json_object_get(call->body, "tasks") == NULL && !json_bool(call->body, "all_tasks", false)) {
        api_reply_invalid(call, "tasks", NULL, "tasks is missing and all_tasks is not true");
        return;
    }
    json_t *permissions = json_array();
    add_permission(permissions, "user_roles", "edit", "*");
    api_permit(call, permissions, on_permission);
}

/* ---- reading */

struct writer {
    struct buf out;
    const struct api_call *call;
    bool first;
};

static bool write_target(void *ctx, const struct store_target *t) {
    struct writer *w = ctx;
    long long id = t->id;
    buf_printf(&w->out,
               "%s{\"id\":\"%s/scopes/task_targets/%lld\",\"name\":\"%lld\",\"display_name\":", w->first ? "" : ",",
               w->call->base, id, id);
    w->first = false;
    json_write_string(&w->out, t->display_name);
    if (!t->all_tasks) {
        buf_append_cstr(&w->out, ",\"tasks\":");
        buf_append_span(&w->out, t->tasks);
    }
    buf_printf(&w->out, ",\"all_tasks\":%s,\"nodes\":", t->all_tasks ? "true" : "false");
    buf_append_span(&w->out, t->nodes);
    buf_append_cstr(&w->out, ",\"node_groups\":");
    buf_append_span(&w->out, t->node_groups);
    if (t->pql_query.len != 0) {
        buf_append_cstr(&w->out, ",\"pql_query\":");
        json_write_string(&w->out, t->pql_query);
    }
    buf_append_char(&w->out, '}');
    return true;
}

static void write_one(void *ctx, const struct store_target *t) {
    write_target(ctx, t);
}

void task_targets_list(struct api_call *call) {
    struct writer w = {.call = call, .first = true};
    struct error err = ERROR_INIT;
    buf_append_cstr(&w.out, "{\"items\":[");
    if (store_targets(call->api->parts.store, write_target, &w, &err)) {
        buf_append_cstr(&w.out, "]}");
        api_reply(call, 200, buf_span(&w.out));
    } else {
        api_reply_store_error(call, &err);
        error_clear(&err);
    }
    buf_free(&w.out);
}

void task_targets_get(struct api_call *call) {
    struct writer w = {.call = call, .first = true};
    struct error err = ERROR_INIT;
    bool found = false;
    int64_t id;
    if (!api_path_id(call, "id", &id)) {
        return;
    }
    if (!store_target(call->api->parts.store, id, write_one, &w, &found, &err)) {
        api_reply_store_error(call, &err);
        error_clear(&err);
    } else if (!found) {
        error_set_details(&err, "puppetlabs.orchestrator/unknown-task-target",
                          json_pack("{s:o}", "id", json_sprintf("%lld", (long long)id)), "Unknown task-target %lld",
                          (long long)id);
        api_reply_error(call, &err);
        error_clear(&err);
    } else {
        api_reply(call, 200, buf_span(&w.out));
    }
    buf_free(&w.out);
}
