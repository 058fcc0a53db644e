/* puppet-job: run, plan, show, stop (cli.md §2). */
#include "base/mem.h"
#include "cli/internal.h"
#include <string.h>

static int fail(struct cli *cli, struct error *err) {
    int code = report_error(cli, err);
    error_clear(err);
    return code;
}

static bool no_words(struct cli *cli, size_t allowed, struct error *err) {
    return cli->words.count <= allowed || error_set(err, "usage", "\"%s\" is one argument too many; see %s %s --help",
                                                    cli->words.items[allowed], cli->program, cli->action);
}

static void set_flag(json_t *request, const char *key, bool value) {
    if (value) {
        json_set(request, key, json_true());
    }
}

/* The body of /command/deploy (orchestrator-api.md §3.2). */
static json_t *deploy_request(struct cli *cli, struct error *err) {
    const struct cli_args *a = &cli->args;
    if (a->noop && a->no_noop) {
        error_set(err, "usage", "--noop and --no-noop exclude each other");
        return NULL;
    }
    json_t *scope = scope_of(cli, err);
    if (scope == NULL) {
        return NULL;
    }
    json_t *request = json_object();
    bool named = cli->environment != NULL && cli->environment[0] != '\0';
    json_set(request, "environment", json_string(named ? cli->environment : ""));
    json_set(request, "scope", scope);
    if (!named || a->no_enforce_environment) {
        json_set(request, "enforce_environment", json_false());
    }
    set_flag(request, "noop", cli->noop);
    set_flag(request, "no_noop", a->no_noop);
    set_flag(request, "debug", a->debug);
    set_flag(request, "trace", a->trace);
    set_flag(request, "evaltrace", a->evaltrace);
    if (a->concurrency != 0) {
        json_set(request, "concurrency", json_integer((json_int_t)a->concurrency));
    }
    if (a->description != NULL) {
        json_set(request, "description", json_string(a->description));
    }
    return request;
}

int job_run(struct cli *cli) {
    struct error err = ERROR_INIT;
    json_t *request = NULL;
    if (!no_words(cli, 0, &err) || !config_load_orchestrator(cli, &err) ||
        (request = deploy_request(cli, &err)) == NULL || !connect_orchestrator(cli, &err)) {
        json_decref(request);
        return fail(cli, &err);
    }
    return run_to_end(cli, PROGRESS_PUPPET, "deploy", request);
}

/* ---- plan: what a job would do. There is no API call for it: nodes come from the scope, those of a query from
 * PuppetDB (cli.md §2.3). */

/* The certnames of the rows that PuppetDB gives. */
static json_t *resolve_query(struct cli *cli, const json_t *query, struct error *err) {
    char *text = json_is_string(query) ? str_dup(json_string_value(query)) : json_text(query);
    json_t *rows = NULL, *nodes = NULL, *row;
    if (query_rows(cli, span_of(text), &rows, err)) {
        struct map seen = MAP_INIT;
        size_t i;
        nodes = json_array();
        json_array_foreach(rows, i, row) {
            const char *name = json_str(row, "certname");
            if (name != NULL && map_put(&seen, span_of(name), nodes) == NULL) {
                json_array_append_new(nodes, json_string(name));
            }
        }
        map_free(&seen);
        if (json_array_size(nodes) == 0) {
            error_set(err, "usage", "--query selected no node");
            json_decref(nodes);
            nodes = NULL;
        }
    }
    json_decref(rows);
    mem_free(text);
    return nodes;
}

static json_t *resolve_scope(struct cli *cli, const json_t *scope, struct error *err) {
    json_t *nodes = json_object_get(scope, "nodes");
    if (nodes != NULL) {
        return json_incref(nodes);
    }
    json_t *query = json_object_get(scope, "query");
    if (query != NULL) {
        return resolve_query(cli, query, err);
    }
    error_set(err, "usage",
              "a plan can be shown for --nodes and --query; the orchestrator resolves %s only when the job is made",
              selector_name(cli));
    return NULL;
}

int job_plan(struct cli *cli) {
    struct error err = ERROR_INIT;
    json_t *request = NULL, *nodes = NULL;
    if (!no_words(cli, 0, &err) || !config_load_orchestrator(cli, &err) ||
        (request = deploy_request(cli, &err)) == NULL ||
        (nodes = resolve_scope(cli, json_object_get(request, "scope"), &err)) == NULL) {
        json_decref(request);
        return fail(cli, &err);
    }
    if (cli->json) {
        print_json(cli, request);
    } else {
        FILE *out = cli->host->out;
        char *count = number_with_commas((int64_t)json_array_size(nodes));
        char *limit = cli->args.concurrency != 0 ? str_printf("%llu", (unsigned long long)cli->args.concurrency)
                                                 : str_dup("None");
        const char *environment = json_str(request, "environment");
        const char *rows[3][2];
        size_t n = 0;
        if (environment[0] != '\0') {
            rows[n][0] = "Environment", rows[n++][1] = environment;
        }
        rows[n][0] = "Concurrency Limit", rows[n++][1] = limit;
        rows[n][0] = "Nodes", rows[n++][1] = count;
        print_boxed(cli, (const char *const(*)[2])rows, n);
        fprintf(out, "\nNode run order (nodes in level 0 run before their dependent nodes in level 1, etc.):\n");
        fprintf(out, "0 %.71s\n", "-----------------------------------------------------------------------");
        struct buf list = BUF_INIT;
        size_t i;
        json_t *node;
        json_array_foreach(nodes, i, node) {
            fprintf(out, "%s\n", json_string_value(node));
            buf_printf(&list, "%s%s", i > 0 ? "," : "", json_string_value(node));
        }
        fprintf(out, "\nUse 'puppet job run --nodes %s' to create and run this job.\n", list.ptr);
        fprintf(out, "Node catalogs may have changed since this plan was generated.\n");
        buf_free(&list);
        mem_free(count);
        mem_free(limit);
    }
    json_decref(nodes);
    json_decref(request);
    return EXIT_DONE;
}

/* ---- show */

static const char *job_type(const json_t *job) {
    const char *task = json_str(json_object_get(job, "options"), "task");
    return task != NULL ? task : "puppet run";
}

static char *target_text(const json_t *job) {
    const json_t *scope = json_object_get(json_object_get(job, "options"), "scope");
    const json_t *nodes = json_object_get(scope, "nodes");
    if (json_is_array(nodes)) {
        struct buf list = BUF_INIT;
        size_t i;
        json_t *node;
        json_array_foreach((json_t *)(uintptr_t)nodes, i, node) {
            buf_printf(&list, "%s%s", i > 0 ? "," : "", json_string_value(node));
            if (list.len > 20) {
                list.len = 20;
                buf_append_cstr(&list, "...");
                break;
            }
        }
        return buf_take(&list);
    }
    const char *text = json_object_get(scope, "query") != NULL        ? "query"
                       : json_object_get(scope, "node_group") != NULL ? "node group"
                       : json_str(scope, "application") != NULL       ? json_str(scope, "application")
                                                                      : "whole environment";
    return str_dup(text);
}

static void print_job_list(struct cli *cli, const json_t *items) {
    FILE *out = cli->host->out;
    enum { COLUMNS = 5 };
    static const char *const heads[COLUMNS] = {"ID", "STATUS", "JOB TYPE", "TIMESTAMP", "TARGET"};
    size_t count = json_array_size(items);
    char *(*cells)[COLUMNS] = mem_array(count + 1, sizeof(*cells));
    size_t width[COLUMNS] = {0};
    for (size_t i = 0; i <= count; i++) {
        const json_t *job = i == 0 ? NULL : json_array_get(items, i - 1);
        for (size_t k = 0; k < COLUMNS; k++) {
            const char *name = json_str(job, "name"), *state = json_str(job, "state");
            cells[i][k] = i == 0   ? str_dup(heads[k])
                          : k == 0 ? str_dup(name != NULL ? name : "")
                          : k == 1 ? str_dup(state != NULL ? state : "")
                          : k == 2 ? str_dup(job_type(job))
                          : k == 3 ? local_time_text(cli, json_str(job, "timestamp"))
                                   : target_text(job);
            size_t len = strlen(cells[i][k]);
            width[k] = len > width[k] ? len : width[k];
        }
    }
    for (size_t i = 0; i <= count; i++) {
        size_t all = 0;
        for (size_t k = 0; k < COLUMNS; k++) {
            fprintf(out, k + 1 < COLUMNS ? "%-*s  " : "%-.*s\n",
                    (int)(k + 1 < COLUMNS ? width[k] : strlen(cells[i][k])), cells[i][k]);
            all += width[k] + (k + 1 < COLUMNS ? 2 : 0);
            mem_free(cells[i][k]);
        }
        for (size_t k = 0; i == 0 && k < all; k++) {
            fputc('-', out);
        }
        if (i == 0) {
            fputc('\n', out);
        }
    }
    mem_free(cells);
}

/* The API has no filter for environments: pages are read until enough jobs of this one have been seen. */
static bool list_jobs(struct cli *cli, json_t *wanted, struct error *err) {
    enum { PAGE = 100 };
    const char *environment = cli->args.environment;
    uint64_t limit = cli->args.limit, page = environment == NULL ? limit : PAGE;
    for (uint64_t offset = 0;; offset += page) {
        json_t *answer = NULL, *job;
        size_t i;
        char *path = str_printf("/jobs?order_by=name&order=desc&limit=%llu&offset=%llu", (unsigned long long)page,
                                (unsigned long long)offset);
        bool ok = call(cli, cli->client, "GET", path, NULL, &answer, err);
        mem_free(path);
        if (!ok) {
            return false;
        }
        json_array_foreach(json_object_get(answer, "items"), i, job) {
            const char *name = json_str(json_object_get(job, "environment"), "name");
            if (json_array_size(wanted) < limit && (environment == NULL || str_eq(name, environment))) {
                json_array_append(wanted, job);
            }
        }
        bool last = json_array_size(json_object_get(answer, "items")) < page;
        json_decref(answer);
        if (last || environment == NULL || json_array_size(wanted) == limit) {
            return true;
        }
    }
}

static int show_list(struct cli *cli) {
    struct error err = ERROR_INIT;
    json_t *wanted = json_array();
    bool ok =
        (cli->args.limit > 0 || error_set(&err, "usage", "--limit must be at least 1")) && list_jobs(cli, wanted, &err);
    if (ok && cli->json) {
        size_t i;
        json_t *job;
        json_array_foreach(wanted, i, job) {
            print_json(cli, job);
        }
    } else if (ok) {
        print_job_list(cli, wanted);
    }
    json_decref(wanted);
    return ok ? EXIT_DONE : fail(cli, &err);
}

static void print_key(struct cli *cli, const char *key, const char *value) {
    if (value != NULL && value[0] != '\0') {
        fprintf(cli->host->out, "%s: %s\n", key, value);
    }
}

static void print_node(struct cli *cli, const json_t *node, bool puppet) {
    const char *state = json_str(node, "state");
    const json_t *result = json_object_get(node, "result");
    const json_t *details = json_object_get(node, "details");
    bool bad = str_eq(state, "failed") || str_eq(state, "errored");
    enum colour c = bad ? RED : str_eq(state, "finished") ? GREEN : YELLOW;
    fprintf(cli->host->out, "\n%s%s%s: %s\n", colour_on(cli, c), json_str(node, "name"), colour_off(cli, c), state);
    if (str_eq(state, "running")) {
        fprintf(cli->host->out, "    Running for %lld sec\n", (long long)json_int(details, "run-time", 0));
    }
    if (bad || str_eq(state, "skipped")) {
        const char *why = json_str(json_object_get(result, "_error"), "msg");
        why = why != NULL ? why : json_str(result, "msg");
        why = why != NULL ? why : json_str(details, "detail");
        why = why != NULL ? why : json_str(details, "message");
        if (why != NULL) {
            print_error_text(cli, "    ", why);
        }
    }
    if (puppet) {
        const char *version = json_str(result, "configuration_version");
        const char *transaction = json_str(result, "transaction_uuid");
        if (version != NULL) {
            fprintf(cli->host->out, "    Configuration version: %s\n", version);
        }
        if (transaction != NULL) {
            fprintf(cli->host->out, "    Transaction UUID: %s\n", transaction);
        }
        print_resource_counts(cli, result);
        const char *url = json_str(details, "report-url");
        if (url != NULL) {
            fprintf(cli->host->out, "    Report: %s\n", url);
        }
    } else if (json_str(result, "kind") == NULL || json_str(result, "msg") == NULL) {
        print_result(cli, result); /* of the task; else of the orchestrator, and printed as the error */
    }
}

static void print_job(struct cli *cli, const json_t *job, const json_t *nodes) {
    const json_t *options = json_object_get(job, "options");
    char *start = local_time_text(cli, json_str(job, "started_timestamp"));
    char *finish = local_time_text(cli, json_str(job, "finished_timestamp"));
    char *duration = str_printf("%.0f sec", json_number_value(json_object_get(job, "duration")));
    char *count = str_printf("%lld", (long long)json_int(job, "node_count", 0));
    char *target = target_text(job);
    print_key(cli, "Status", json_str(job, "state"));
    print_key(cli, "Job type", job_type(job));
    print_key(cli, "Description", json_str(options, "description"));
    print_key(cli, "Start time", start);
    print_key(cli, "Finish time", finish);
    print_key(cli, "Duration", duration);
    print_key(cli, "User", json_str(json_object_get(job, "owner"), "login"));
    print_key(cli, "Environment", json_str(options, "environment"));
    print_key(cli, "Noop", json_is_true(json_object_get(options, "noop")) ? "true" : "false");
    print_key(cli, "Nodes", count);
    print_key(cli, "Target", target);
    mem_free(start);
    mem_free(finish);
    mem_free(duration);
    mem_free(count);
    mem_free(target);
    size_t i;
    json_t *node;
    json_array_foreach(json_object_get(nodes, "items"), i, node) {
        print_node(cli, node, json_str(options, "task") == NULL);
    }
}

static int show_one(struct cli *cli, const char *id) {
    struct error err = ERROR_INIT;
    uint64_t number;
    if (!span_to_u64(span_of(id), &number)) {
        error_set(&err, "usage", "\"%s\" is no job id: it must be a number", id);
        return fail(cli, &err);
    }
    char *path = str_printf("/jobs/%s", id), *nodes_path = str_printf("/jobs/%s/nodes", id);
    json_t *job = NULL, *nodes = NULL;
    bool ok = call(cli, cli->client, "GET", path, NULL, &job, &err) &&
              call(cli, cli->client, "GET", nodes_path, NULL, &nodes, &err);
    mem_free(path);
    mem_free(nodes_path);
    if (ok && cli->json) {
        print_json(cli, job);
        print_json(cli, nodes);
    } else if (ok) {
        print_job(cli, job, nodes);
    }
    json_decref(job);
    json_decref(nodes);
    return ok ? EXIT_DONE : fail(cli, &err);
}

int job_show(struct cli *cli) {
    struct error err = ERROR_INIT;
    if (!no_words(cli, 1, &err) || !connect_orchestrator(cli, &err)) {
        return fail(cli, &err);
    }
    return cli->words.count == 1 ? show_one(cli, cli->words.items[0]) : show_list(cli);
}

int job_stop(struct cli *cli) {
    struct error err = ERROR_INIT;
    if (cli->words.count != 1) {
        error_set(&err, "usage", "name the job: puppet-job stop JOB-ID");
        return fail(cli, &err);
    }
    if (!connect_orchestrator(cli, &err)) {
        return fail(cli, &err);
    }
    json_t *request = json_object(), *answer = NULL;
    json_set(request, "job", json_string(cli->words.items[0]));
    set_flag(request, "force", cli->args.force);
    if (!call(cli, cli->client, "POST", "/command/stop", request, &answer, &err)) {
        return fail(cli, &err);
    }
    if (cli->json) {
        print_json(cli, answer);
    } else {
        fprintf(cli->host->out, "Stopping job %s\n", cli->words.items[0]);
        const char *state;
        json_t *count;
        json_object_foreach(json_object_get(json_object_get(answer, "job"), "nodes"), state, count) {
            fprintf(cli->host->out, "  %-8s : %lld\n", state, (long long)json_integer_value(count));
        }
    }
    json_decref(answer);
    return EXIT_DONE;
}
