/* puppet-task and puppet-plan: run and show (cli.md §3, §4). The two differ in names, not in manner. */
#include "base/mem.h"
#include "cli/internal.h"
#include <string.h>

static int fail(struct cli *cli, struct error *err) {
    int code = report_error(cli, err);
    error_clear(err);
    return code;
}

static json_t *task_request(struct cli *cli, struct error *err) {
    json_t *params = params_of(cli, 1, err);
    json_t *scope = params != NULL ? scope_of(cli, err) : NULL;
    if (scope == NULL) {
        json_decref(params);
        return NULL;
    }
    json_t *request = json_object();
    json_set(request, "task", json_string(cli->words.items[0]));
    json_set(request, "params", params);
    json_set(request, "scope", scope);
    if (cli->environment != NULL) {
        json_set(request, "environment", json_string(cli->environment));
    }
    if (cli->noop) {
        json_set(request, "noop", json_true());
    }
    if (cli->args.description != NULL) {
        json_set(request, "description", json_string(cli->args.description));
    }
    return request;
}

int task_run(struct cli *cli) {
    struct error err = ERROR_INIT;
    json_t *request = NULL;
    if (cli->words.count == 0) {
        error_set(&err, "usage", "name the task: puppet-task run TASK …");
        return fail(cli, &err);
    }
    if (!config_load_orchestrator(cli, &err) || (request = task_request(cli, &err)) == NULL ||
        !connect_orchestrator(cli, &err)) {
        json_decref(request);
        return fail(cli, &err);
    }
    return run_to_end(cli, PROGRESS_TASK, "task", request);
}

int plan_run(struct cli *cli) {
    struct error err = ERROR_INIT;
    if (cli->words.count == 0) {
        error_set(&err, "usage", "name the plan: puppet-plan run PLAN …");
        return fail(cli, &err);
    }
    json_t *params = params_of(cli, 1, &err);
    if (params == NULL || !connect_orchestrator(cli, &err)) {
        json_decref(params);
        return fail(cli, &err);
    }
    json_t *request = json_object();
    json_set(request, "plan_name", json_string(cli->words.items[0]));
    json_set(request, "params", params);
    if (cli->environment != NULL) {
        json_set(request, "environment", json_string(cli->environment));
    }
    if (cli->args.description != NULL) {
        json_set(request, "description", json_string(cli->args.description));
    }
    return run_to_end(cli, PROGRESS_PLAN, "plan_run", request);
}

/* ---- show */

static char *with_environment(const struct cli *cli, char *path) {
    if (cli->environment == NULL) {
        return path;
    }
    char *environment = url_part(span_of(cli->environment));
    char *whole = str_printf("%s?environment=%s", path, environment);
    mem_free(environment);
    mem_free(path);
    return whole;
}

/* "apache::reload" is …/apache/reload, "apache" is …/apache/init. */
static char *item_path(const struct cli *cli, const char *collection, const char *name) {
    const char *colons = strstr(name, "::");
    char *module = url_part(colons != NULL ? (struct span){name, (size_t)(colons - name)} : span_of(name));
    char *item = url_part(span_of(colons != NULL ? colons + 2 : "init"));
    char *path = str_printf("/%s/%s/%s", collection, module, item);
    mem_free(module);
    mem_free(item);
    return with_environment(cli, path);
}

static char *first_line(const char *text) {
    return text == NULL ? str_dup("") : span_dup((struct span){text, strcspn(text, "\n")});
}

static void print_list(struct cli *cli, const char *collection, const json_t *items) {
    size_t width = 0, i;
    json_t *item;
    json_array_foreach((json_t *)(uintptr_t)items, i, item) {
        size_t len = json_str(item, "name") != NULL ? strlen(json_str(item, "name")) : 0;
        width = len > width ? len : width;
    }
    json_array_foreach((json_t *)(uintptr_t)items, i, item) {
        const char *name = json_str(item, "name");
        json_t *permitted = json_object_get(item, "permitted");
        if (name == NULL || (json_is_false(permitted) && !cli->args.all)) {
            continue;
        }
        char *path = item_path(cli, collection, name);
        json_t *one = NULL;
        struct error err = ERROR_INIT; /* a task whose metadata is broken is still a task: listed without description */
        call(cli, cli->client, "GET", path, NULL, &one, &err);
        char *description = first_line(json_str(json_object_get(one, "metadata"), "description"));
        fprintf(cli->host->out, "%-*s  %s\n", (int)width, name, description);
        mem_free(description);
        mem_free(path);
        error_clear(&err);
        json_decref(one);
    }
}

static void print_usage(struct cli *cli, const char *kind, const char *name, const json_t *metadata) {
    FILE *out = cli->host->out;
    const char *p;
    json_t *spec;
    json_t *parameters = json_object_get(metadata, "parameters");
    const char *description = json_str(metadata, "description");
    fprintf(out, "%s%s%s\n\nUSAGE:\n$ puppet %s run %s", name, description != NULL ? " - " : "",
            description != NULL ? description : "", kind, name);
    if (json_is_true(json_object_get(metadata, "supports_noop"))) {
        fputs(" [--noop]", out);
    }
    json_object_foreach(parameters, p, spec) {
        const char *type = json_str(spec, "type");
        bool optional = json_object_get(spec, "default") != NULL || json_object_get(spec, "default_value") != NULL ||
                        (type != NULL && strncmp(type, "Optional", 8) == 0);
        fprintf(out, optional ? " [%s=<value>]" : " %s=<value>", p);
    }
    if (strcmp(kind, "task") == 0) {
        fputs(" <[--nodes, -n <node-names>] | [--query, -q <'query'>]>", out);
    }
    fputs("\n", out);
    if (json_object_size(parameters) > 0) {
        fputs("\nPARAMETERS:\n", out);
    }
    json_object_foreach(parameters, p, spec) {
        fprintf(out, "- %s : %s\n", p, json_str(spec, "type") != NULL ? json_str(spec, "type") : "Any");
        if (json_str(spec, "description") != NULL) {
            fprintf(out, "    %s\n", json_str(spec, "description"));
        }
    }
}

static int show(struct cli *cli, const char *kind, const char *collection) {
    struct error err = ERROR_INIT;
    if (cli->words.count > 1) {
        error_set(&err, "usage", "\"%s\" is one argument too many", cli->words.items[1]);
        return fail(cli, &err);
    }
    if (!connect_orchestrator(cli, &err)) {
        return fail(cli, &err);
    }
    const char *name = cli->words.count == 1 ? cli->words.items[0] : NULL;
    char *path = name != NULL ? item_path(cli, collection, name) : with_environment(cli, str_printf("/%s", collection));
    json_t *answer = NULL;
    bool ok = call(cli, cli->client, "GET", path, NULL, &answer, &err);
    mem_free(path);
    if (!ok) {
        return fail(cli, &err);
    }
    if (cli->json) {
        print_json(cli, answer);
    } else if (name != NULL) {
        print_usage(cli, kind, name, json_object_get(answer, "metadata"));
    } else {
        print_list(cli, collection, json_object_get(answer, "items"));
    }
    json_decref(answer);
    return EXIT_DONE;
}

int task_show(struct cli *cli) {
    return show(cli, "task", "tasks");
}

int plan_show(struct cli *cli) {
    return show(cli, "plan", "plans");
}
