/* Which nodes a user without tasks:run may still run a task on: the task-targets granted to them by
 * tasks:run_with_constraints (orchestrator-jobs.md §14, rbac.md §6.5). Their groups and queries are asked with our own
 * certificate: the right comes from the grant, not from what the user may look at. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"

struct constraints {
    struct api_call *call;
    const char *task; /* NULL: not nodes are wanted but the names of tasks */
    void (*then)(struct api_call *call, const struct map *nodes);
    void *outer_state;
    void (*outer_free)(void *state);
    json_t *granted;  /* ids, or "*" */
    json_t *groups;   /* ids still to be asked */
    json_t *queries;  /* PuppetDB queries still to be asked */
    struct map nodes; /* or tasks */
};

static void constraints_free(void *state) {
    struct constraints *c = state;
    if (c->outer_free != NULL) {
        c->outer_free(c->outer_state);
    }
    json_decref(c->granted);
    json_decref(c->groups);
    json_decref(c->queries);
    map_free(&c->nodes);
    mem_free(c);
}

static void ask_next(struct api_call *call);

static void allow(struct constraints *c, struct span certname) {
    map_put(&c->nodes, certname, c);
}

static void on_rows(void *ctx, json_t *rows, const struct error *err) {
    struct api_call *call = ctx;
    struct constraints *c = call->state;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        json_t *certname = json_object_get(row, "certname");
        if (json_is_string(certname)) {
            allow(c, json_span(certname));
        }
    }
    ask_next(call);
}

static void on_rules(void *ctx, json_t *rules, const struct error *err) {
    struct api_call *call = ctx;
    struct constraints *c = call->state;
    if (err != NULL && !error_is(err, "puppetlabs.orchestrator/empty-target")) { /* a group that is gone has no nodes */
        api_reply_error(call, err);
        return;
    }
    json_t *query = err == NULL ? scope_group_query(rules) : NULL;
    if (query != NULL) {
        json_array_append_new(c->queries, query);
    }
    ask_next(call);
}

static json_t *take_last(json_t *list) {
    size_t last = json_array_size(list) - 1;
    json_t *item = json_incref(json_array_get(list, last));
    json_array_remove(list, last);
    return item;
}

static void ask_next(struct api_call *call) {
    struct constraints *c = call->state;
    struct services *services = call->api->parts.services;
    if (json_array_size(c->groups) != 0) {
        json_t *id = take_last(c->groups);
        services_group_rules(services, NULL, json_string_value(id), on_rules, call);
        json_decref(id);
    } else if (json_array_size(c->queries) != 0) {
        json_t *query = take_last(c->queries);
        services_user_query(services, NULL, query, on_rows, call);
        json_decref(query);
    } else {
        call->state = c->outer_state;
        call->free_state = c->outer_free;
        struct map nodes = c->nodes;
        c->nodes = (struct map)MAP_INIT;
        c->outer_free = NULL;
        void (*then)(struct api_call * call, const struct map *nodes) = c->then;
        constraints_free(c);
        then(call, &nodes);
        map_free(&nodes);
    }
}

static bool holds(const json_t *list, const char *text) {
    size_t i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)list, i, item) {
        if (str_eq(json_string_value(item), text)) {
            return true;
        }
    }
    return false;
}

static bool read_target(void *ctx, const struct store_target *t) {
    struct constraints *c = ctx;
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)t->id);
    json_t *tasks = json_parse(t->tasks, "tasks", NULL), *task;
    if (c->task == NULL && (holds(c->granted, id) || holds(c->granted, "*"))) {
        size_t i;
        json_array_foreach(tasks, i, task) {
            allow(c, json_span(task));
        }
        if (t->all_tasks) {
            allow(c, SPAN("*"));
        }
        json_decref(tasks);
        return true;
    }
    if ((holds(c->granted, id) || holds(c->granted, "*")) &&
        (t->all_tasks || (c->task != NULL && holds(tasks, c->task)))) {
        json_t *nodes = json_parse(t->nodes, "nodes", NULL), *groups = json_parse(t->node_groups, "groups", NULL);
        size_t i;
        json_t *name;
        json_array_foreach(nodes, i, name) {
            allow(c, json_span(name));
        }
        json_array_extend(c->groups, groups);
        if (t->pql_query.len != 0) {
            json_array_append_new(c->queries, json_str_new(t->pql_query));
        }
        json_decref(nodes);
        json_decref(groups);
    }
    json_decref(tasks);
    return true;
}

static void on_granted(void *ctx, json_t *instances, const struct error *err) {
    struct api_call *call = ctx;
    struct constraints *c = call->state;
    struct error trouble = ERROR_INIT;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    c->granted = json_incref(instances);
    if (!store_targets(call->api->parts.store, read_target, c, &trouble)) {
        api_reply_store_error(call, &trouble);
        error_clear(&trouble);
        return;
    }
    ask_next(call);
}

void constraints_find(struct api_call *call, const char *task,
                      void (*then)(struct api_call *call, const struct map *nodes)) {
    struct constraints *c = mem_zalloc(sizeof *c);
    *c = (struct constraints){.call = call,
                              .task = task,
                              .then = then,
                              .outer_state = call->state,
                              .outer_free = call->free_state,
                              .groups = json_array(),
                              .queries = json_array()};
    call->state = c;
    call->free_state = constraints_free;
    services_permitted_instances(call->api->parts.services, "tasks", "run_with_constraints",
                                 json_str(call->subject, "id"), on_granted, call);
}
