/* GET /orchestrator: what there is (orchestrator-api.md §2). */
#include "orchestrator/api/internal.h"

static const char *const collections[] = {"environments", "jobs",  "plan_jobs", "scheduled_jobs",
                                          "tasks",        "plans", "inventory", "usage"};
static const char *const commands[] = {"deploy",        "stop",
                                       "stop_plan",     "task",
                                       "task_target",   "plan_start",
                                       "plan_task",     "plan_finish",
                                       "plan_run",      "environment_plan_run",
                                       "schedule_task", "schedule_deploy",
                                       "schedule_plan"};

/* Only what the route table really serves. */
static bool served(const char *path) {
    for (size_t i = 0; api_routes[i].pattern != NULL; i++) {
        if (str_eq(api_routes[i].pattern, path)) {
            return true;
        }
    }
    return false;
}

static void add_links(const struct api_call *call, json_t *list, const char *const *names, size_t count,
                      const char *prefix) {
    for (size_t i = 0; i < count; i++) {
        struct buf path = BUF_INIT;
        buf_printf(&path, "%s/%s", prefix, names[i]);
        struct buf pattern = BUF_INIT;
        buf_printf(&pattern, "/orchestrator/v1%s", path.ptr);
        if (served(pattern.ptr)) {
            json_array_append_new(list, link_object(call, names[i], path.ptr));
        }
        buf_free(&pattern);
        buf_free(&path);
    }
}

void root_get(struct api_call *call) {
    json_t *body = json_pack("{s:{s:s, s:s, s:s, s:s, s:{s:s, s:s}}}", "info", "title",
                             "Orchestrator API (EXPERIMENTAL)", "description", "Runs Puppet, tasks and plans on nodes",
                             "warning", "This API may change from version to version", "version", "0.1", "license",
                             "name", "Apache-2.0", "url", "https://www.apache.org/licenses/LICENSE-2.0");
    json_t *collection_links = json_array(), *command_links = json_array();
    add_links(call, collection_links, collections, sizeof(collections) / sizeof(collections[0]), "");
    if (served("/orchestrator/v1/scopes/task_targets")) {
        json_array_append_new(collection_links, link_object(call, "task_targets", "/scopes/task_targets"));
    }
    add_links(call, command_links, commands, sizeof(commands) / sizeof(commands[0]), "/command");
    json_set(body, "status", link_object(call, "status", "/status"));
    json_set(body, "collections", collection_links);
    json_set(body, "commands", command_links);
    api_reply_json(call, 200, body);
}
