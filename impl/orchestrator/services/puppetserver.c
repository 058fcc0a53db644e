/* Puppet Server: environments, tasks, plans (orchestrator-jobs.md §13.4). Its errors are text; here they become the
 * API's. */
#include "base/mem.h"
#include "orchestrator/services/internal.h"
#include <string.h>

/* subject: the environment; detail: the task's or plan's name, preceded by 't' or 'p', or NULL. */
static json_t *read_answer(struct ask *ask, const struct world_response *r, struct error *err) {
    if (r->err != NULL || r->status == 200) {
        return ask_json(r, "Puppet Server", err);
    }
    struct span text = span_trim(r->body);
    const char *environment = ask->subject;
    const char *name = ask->detail != NULL ? ask->detail + 1 : NULL;
    bool about_environment = span_find_span(text, SPAN("environment")) >= 0;
    if (r->status == 404 && environment != NULL && (about_environment || name == NULL)) {
        error_set_details(err, "puppetlabs.orchestrator/unknown-environment",
                          json_pack("{s:s}", "environment", environment), "Unknown environment %s", environment);
    } else if (r->status == 404 && name != NULL) {
        bool task = ask->detail[0] == 't';
        error_set_details(err, task ? "puppetlabs.orchestrator/unknown-task" : "puppetlabs.orchestrator/unknown-plan",
                          json_pack("{s:s, s:s}", task ? "task" : "plan", name, "environment", environment),
                          "Could not find %s '%s' in environment %s", task ? "task" : "plan", name, environment);
    } else if (r->status == 400) {
        error_set_details(err, "puppetlabs.orchestrator/validation-error",
                          json_pack("{s:s?, s:s%}", "value", environment, "error", text.ptr, text.len),
                          "Puppet Server refused the request: %.*s", (int)text.len, text.ptr);
    } else {
        error_set(err, "puppetlabs.orchestrator/unknown-error", "Puppet Server answered with status %d: %.*s",
                  r->status, (int)(text.len > 500 ? 500 : text.len), text.ptr);
    }
    return NULL;
}

static void ask_server(struct services *s, char *path, const char *environment, char kind, const char *name,
                       services_answer *done, void *ctx) {
    struct buf url = BUF_INIT;
    buf_printf(&url, "%s/puppet/v3/%s", s->config->puppet_server_url, path);
    if (environment != NULL && strncmp(path, "environment/", 12) != 0) {
        char *encoded = percent_encoded(environment);
        buf_printf(&url, "?environment=%s", encoded);
        mem_free(encoded);
    }
    char *detail = name != NULL ? str_printf("%c%s", kind, name) : NULL;
    ask_start(s,
              &(struct ask_opts){.url = buf_take(&url), .read = read_answer, .subject = environment, .detail = detail},
              done, ctx);
    mem_free(detail);
    mem_free(path);
}

/* "apache::reload" → "tasks/apache/reload", "apache" → "tasks/apache/init" */
static char *item_path(const char *collection, const char *name) {
    const char *colons = strstr(name, "::");
    char *module = percent_encoded(name);
    char *path;
    if (colons == NULL) {
        path = str_printf("%s/%s/init", collection, module);
    } else {
        char *first = span_dup((struct span){name, (size_t)(colons - name)});
        char *first_encoded = percent_encoded(first), *item = percent_encoded(colons + 2);
        path = str_printf("%s/%s/%s", collection, first_encoded, item);
        mem_free(first);
        mem_free(first_encoded);
        mem_free(item);
    }
    mem_free(module);
    return path;
}

void services_environments(struct services *s, services_answer *done, void *ctx) {
    ask_server(s, str_dup("environments"), NULL, 0, NULL, done, ctx);
}

void services_environment_graph(struct services *s, const char *environment, services_answer *done, void *ctx) {
    char *encoded = percent_encoded(environment);
    ask_server(s, str_printf("environment/%s", encoded), environment, 0, NULL, done, ctx);
    mem_free(encoded);
}

void services_tasks(struct services *s, const char *environment, services_answer *done, void *ctx) {
    ask_server(s, str_dup("tasks"), environment, 't', NULL, done, ctx);
}

void services_task(struct services *s, const char *environment, const char *name, services_answer *done, void *ctx) {
    ask_server(s, item_path("tasks", name), environment, 't', name, done, ctx);
}

void services_plans(struct services *s, const char *environment, services_answer *done, void *ctx) {
    ask_server(s, str_dup("plans"), environment, 'p', NULL, done, ctx);
}

void services_plan(struct services *s, const char *environment, const char *name, services_answer *done, void *ctx) {
    ask_server(s, item_path("plans", name), environment, 'p', name, done, ctx);
}
