/* A job under way: one line an event, on a terminal a live line below them, at the end what failed and why
 * (cli.md §2.2, §3.1, §8.5). */
#include "base/mem.h"
#include "cli/internal.h"
#include <string.h>

struct failure {
    char *node, *cause;
    bool skipped;
};

struct progress {
    struct cli *cli;
    enum progress_kind kind;
    struct client_job *job;
    struct timer tick; /* redraws the live status once a second */
    bool over;
    int code;
    struct live live;
    unsigned stops; /* Ctrl-Cs acted on */
    struct failure *failures;
    size_t failure_count, failure_cap;
};

static void on_tick(void *ctx) {
    struct progress *p = ctx;
    live_show(&p->live);
    world_timer_start(p->cli->host->world, &p->tick, 1000, on_tick, p);
}

/* ---- before the first event: what the job is */

static void print_order(struct progress *p, const json_t *nodes) {
    struct cli *cli = p->cli;
    fprintf(cli->host->out, "\nNode run order (nodes in level 0 run before their dependent nodes in level 1, etc.):\n");
    fprintf(cli->host->out, "0 %.71s\n", "-----------------------------------------------------------------------");
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node) {
        fprintf(cli->host->out, "%s%s%s\n", colour_on(cli, YELLOW), json_str(node, "name"), colour_off(cli, YELLOW));
    }
    fputc('\n', cli->host->out);
}

static void print_deployment(struct progress *p, const char *name, const json_t *job, const json_t *nodes) {
    struct cli *cli = p->cli;
    const json_t *options = json_object_get(job, "options");
    const char *environment = json_str(options, "environment");
    json_t *concurrency = json_object_get(options, "concurrency");
    char *limit =
        json_is_integer(concurrency) ? str_printf("%lld", (long long)json_integer_value(concurrency)) : str_dup("None");
    char *count = number_with_commas(p->live.total);
    const char *rows[4][2];
    size_t n = 0;
    rows[n][0] = "Job ID", rows[n++][1] = name;
    if (environment != NULL && environment[0] != '\0') {
        rows[n][0] = "Environment", rows[n++][1] = environment;
    }
    rows[n][0] = "Concurrency Limit", rows[n++][1] = limit;
    rows[n][0] = "Nodes", rows[n++][1] = count;
    fputc('\n', cli->host->out);
    print_boxed(cli, (const char *const(*)[2])rows, n);
    print_order(p, json_object_get(nodes, "items"));
    fprintf(cli->host->out, "New job ID: %s\n", name);
    mem_free(limit);
    mem_free(count);
}

static void introduce(struct progress *p, const char *name) {
    struct cli *cli = p->cli;
    if (p->kind == PROGRESS_PLAN) {
        fprintf(cli->host->out, "New plan job ID: %s\n", name);
        return;
    }
    char *path = str_printf("/jobs/%s", name);
    char *nodes_path = str_printf("/jobs/%s/nodes", name);
    json_t *job = NULL, *nodes = NULL;
    struct error err = ERROR_INIT; /* the job runs whatever happens to these two questions */
    call(cli, cli->client, "GET", path, NULL, &job, &err);
    p->live.total = json_int(job, "node_count", 0);
    if (p->kind == PROGRESS_TASK) {
        fprintf(cli->host->out, "New job ID: %s\nNodes: %lld\n\n", name, (long long)p->live.total);
    } else {
        error_clear(&err);
        call(cli, cli->client, "GET", nodes_path, NULL, &nodes, &err);
        print_deployment(p, name, job, nodes);
    }
    json_decref(job);
    json_decref(nodes);
    error_clear(&err);
    mem_free(path);
    mem_free(nodes_path);
}

/* ---- events */

static const char *cause_of(const json_t *detail) {
    const json_t *task_error = json_object_get(detail, "_error");
    static const char *const keys[] = {"msg", "reason", "error", "message"};
    const char *text = json_str(task_error, "msg");
    for (size_t i = 0; text == NULL && i < sizeof(keys) / sizeof(keys[0]); i++) {
        text = json_str(detail, keys[i]);
    }
    return text;
}

static void remember_failure(struct progress *p, const char *node, const char *cause, bool skipped) {
    p->failures = mem_grow(p->failures, &p->failure_cap, p->failure_count + 1, sizeof(*p->failures));
    p->failures[p->failure_count++] =
        (struct failure){str_dup(node), one_line(p->cli, cause != NULL ? cause : "no reason was given"), skipped};
}

static void print_line(struct progress *p, enum colour c, const char *text) {
    fprintf(p->cli->host->out, "%s%s%s\n", colour_on(p->cli, c), text, colour_off(p->cli, c));
}

static void node_running(struct progress *p, const char *node, const json_t *event, const json_t *detail) {
    (void)detail;
    map_put(&p->live.nodes, span_of(node), p);
    const char *message = json_str(event, "message");
    char *text = message != NULL && p->kind != PROGRESS_TASK ? str_dup(message) : str_printf("Started on %s ...", node);
    print_line(p, YELLOW, text);
    mem_free(text);
}

static void node_finished(struct progress *p, const char *node, const json_t *event, const json_t *detail) {
    (void)event;
    map_remove(&p->live.nodes, span_of(node));
    p->live.finished++;
    char *text = p->kind == PROGRESS_TASK ? str_printf("Finished on node %s", node)
                                          : str_printf("Finished puppet run on %s - Success!", node);
    print_line(p, GREEN, text);
    mem_free(text);
    if (p->kind == PROGRESS_TASK) {
        print_result(p->cli, detail);
    } else {
        print_resource_counts(p->cli, detail);
        const char *url = json_str(detail, "report-url");
        if (url != NULL) {
            fprintf(p->cli->host->out, "    Report: %s\n", url);
        }
    }
}

static void node_failed(struct progress *p, const char *node, const json_t *event, const json_t *detail) {
    (void)event;
    map_remove(&p->live.nodes, span_of(node));
    p->live.failed++;
    const char *cause = cause_of(detail);
    char *text = p->kind == PROGRESS_TASK ? str_printf("Failed on node %s", node)
                                          : str_printf("Finished puppet run on %s - Failure!", node);
    print_line(p, RED, text);
    mem_free(text);
    if (p->kind == PROGRESS_TASK) {
        if (cause != NULL) {
            print_error_text(p->cli, "  ", cause);
        }
        print_result(p->cli, detail);
    } else {
        print_resource_counts(p->cli, detail);
    }
    remember_failure(p, node, cause != NULL ? cause : "the Puppet run had failures", false);
}

static void node_errored(struct progress *p, const char *node, const json_t *event, const json_t *detail) {
    (void)event;
    map_remove(&p->live.nodes, span_of(node));
    p->live.failed++;
    const char *cause = cause_of(detail);
    char *text = str_printf("%s %s: %s", p->kind == PROGRESS_TASK ? "Error on node" : "Error running puppet on", node,
                            cause != NULL ? cause : "no reason was given");
    print_line(p, RED, text);
    mem_free(text);
    remember_failure(p, node, cause, false);
}

static void node_skipped(struct progress *p, const char *node, const json_t *event, const json_t *detail) {
    (void)event;
    p->live.skipped++;
    const char *cause = cause_of(detail);
    char *text = str_printf("Skipped %s: %s", node, cause != NULL ? cause : "no reason was given");
    print_line(p, YELLOW, text);
    mem_free(text);
    remember_failure(p, node, cause, true);
}

static void plan_event(struct progress *p, const char *type, const json_t *details) {
    FILE *out = p->cli->host->out;
    size_t len = strlen(type);
    if (strcmp(type, "out_message") == 0) {
        fprintf(out, "%s\n", json_str(details, "message") != NULL ? json_str(details, "message") : "");
    } else if (strcmp(type, "plan_start") == 0) {
        fprintf(out, "Starting: plan %s\n", json_str(details, "plan"));
    } else if (strcmp(type, "plan_end") == 0) {
        fprintf(out, "Finished: plan %s in %.1f sec\n", json_str(details, "plan"),
                json_number_value(json_object_get(details, "duration")));
    } else if (len > 6 && strcmp(type + len - 6, "_start") == 0) {
        fprintf(out, "Started %.*s job %s\n", (int)(len - 6), type, json_str(details, "job-id"));
    }
}

static void on_event(void *ctx, struct client_job *job, const json_t *event) {
    static const struct {
        const char *type;
        void (*print)(struct progress *p, const char *node, const json_t *event, const json_t *detail);
    } printers[] = {
        {"node_running", node_running}, {"node_finished", node_finished}, {"node_failed", node_failed},
        {"node_errored", node_errored}, {"node_skipped", node_skipped},
    };
    struct progress *p = ctx;
    (void)job;
    if (p->cli->json) {
        print_json(p->cli, event);
        fflush(p->cli->host->out);
        return;
    }
    const char *type = json_str(event, "type");
    const json_t *details = json_object_get(event, "details");
    const char *node = json_str(details, "node");
    if (type == NULL) {
        return;
    }
    live_hide(&p->live);
    for (size_t i = 0; i < sizeof(printers) / sizeof(printers[0]); i++) {
        if (node != NULL && strcmp(type, printers[i].type) == 0) {
            printers[i].print(p, node, event, json_object_get(details, "detail"));
        }
    }
    if (p->kind == PROGRESS_PLAN) {
        plan_event(p, type, details);
    } else if (strcmp(type, "job_stopping") == 0) {
        print_line(p, YELLOW, "The job is stopping: running nodes finish, no new ones start.");
    }
    fflush(p->cli->host->out);
    live_show(&p->live);
}

static void make_room_for_errors(struct progress *p) {
    live_hide(&p->live);
    fflush(p->cli->host->out);
}

static void on_retry(void *ctx, struct client_job *job, const struct error *err, uint64_t wait_ms) {
    struct progress *p = ctx;
    (void)job;
    make_room_for_errors(p);
    fprintf(p->cli->host->err, "Warning: %s", err->msg);
    if (wait_ms > 0) {
        fprintf(p->cli->host->err, "; the job runs on, asking again in %llu s", (unsigned long long)(wait_ms / 1000));
    }
    fputc('\n', p->cli->host->err);
}

/* ---- the end */

static void print_failures(struct progress *p) {
    if (p->failure_count == 0) {
        return;
    }
    struct cli *cli = p->cli;
    size_t width = 0;
    for (size_t i = 0; i < p->failure_count; i++) {
        size_t len = strlen(p->failures[i].node);
        width = len > width ? len : width;
    }
    for (int pass = 0; pass < 2; pass++) { /* failures first, then what was skipped */
        bool headed = false;
        for (size_t i = 0; i < p->failure_count; i++) {
            const struct failure *f = &p->failures[i];
            if (f->skipped != (pass == 1)) {
                continue;
            }
            if (!headed) {
                fprintf(cli->host->out, "\n%s:\n", pass == 0 ? "Failed nodes" : "Skipped nodes");
                headed = true;
            }
            enum colour c = pass == 0 ? RED : YELLOW;
            fprintf(cli->host->out, "  %s%-*s%s  %s\n", colour_on(cli, c), (int)width, f->node, colour_off(cli, c),
                    f->cause);
        }
    }
}

static int64_t count_of(const json_t *job, const char *state) {
    return json_int(json_object_get(job, "node_states"), state, 0);
}

static void print_summary(struct progress *p, const json_t *job) {
    struct cli *cli = p->cli;
    const char *state = json_str(job, "state");
    int64_t all = json_int(job, "node_count", p->live.total);
    int64_t ok = json_object_get(job, "node_states") != NULL ? count_of(job, "finished") : p->live.finished;
    bool good = str_eq(state, "finished") && ok == all;
    p->code = good ? EXIT_DONE : EXIT_NODES_FAILED;
    const char *word = good                         ? "completed"
                       : str_eq(state, "stopped")   ? "stopped"
                       : p->kind == PROGRESS_PUPPET ? "failed"
                                                    : "completed";
    print_failures(p);
    enum colour c = good ? GREEN : RED;
    fprintf(cli->host->out, "\n%sJob %s. %lld/%lld nodes succeeded.%s\n", colour_on(cli, c), word, (long long)ok,
            (long long)all, colour_off(cli, c));
    double duration = json_number_value(json_object_get(job, "duration"));
    fprintf(cli->host->out, "Duration: %.0f sec\n", duration > 0 ? duration : (double)live_elapsed_s(&p->live));
}

static void print_plan_end(struct progress *p, const json_t *job) {
    struct cli *cli = p->cli;
    bool good = str_eq(json_str(job, "state"), "success");
    p->code = good ? EXIT_DONE : EXIT_NODES_FAILED;
    fprintf(cli->host->out, "\n%sPlan %s %s.%s\n", colour_on(cli, good ? GREEN : RED), json_str(job, "name"),
            good ? "succeeded" : "failed", colour_off(cli, good ? GREEN : RED));
    const json_t *result = json_object_get(job, "result");
    if (result != NULL) {
        print_json(cli, result);
    }
    fprintf(cli->host->out, "Duration: %.0f sec\n", json_number_value(json_object_get(job, "duration")));
}

static void on_done(void *ctx, struct client_job *job, const struct error *err, const json_t *object) {
    struct progress *p = ctx;
    (void)job;
    live_end(&p->live);
    p->over = true;
    p->job = NULL;
    if (err != NULL) {
        p->code = report_error(p->cli, err);
    } else if (p->cli->json) {
        print_json(p->cli, object);
        int64_t ok = count_of(object, "finished");
        bool good = str_eq(json_str(object, "state"), "success") ||
                    (str_eq(json_str(object, "state"), "finished") && ok == json_int(object, "node_count", -1));
        p->code = good ? EXIT_DONE : EXIT_NODES_FAILED;
    } else if (p->kind == PROGRESS_PLAN) {
        print_plan_end(p, object);
    } else {
        print_summary(p, object);
    }
}

/* First Ctrl-C: ask for the job to be stopped and go on printing; second: leave. True: leave now. */
static bool act_on_interrupts(struct progress *p) {
    unsigned interrupts = p->cli->host->interrupts(p->cli->host->ctx);
    if (interrupts == p->stops) {
        return false;
    }
    p->stops = interrupts;
    if (interrupts > 1 || client_job_name(p->job) == NULL) {
        return true;
    }
    make_room_for_errors(p);
    fprintf(p->cli->host->err, "Stopping job %s: running nodes finish first. Press Ctrl-C again to leave at once.\n",
            client_job_name(p->job));
    client_job_stop(p->job, false);
    return false;
}

/* Asks for the job. NULL: refused, and said so. Else its name; mem_free() it. */
static char *create(struct cli *cli, const char *command, json_t *request) {
    struct error err = ERROR_INIT;
    json_t *answer = NULL;
    char *path = str_printf("/command/%s", command), *name = NULL;
    if (call(cli, cli->client, "POST", path, request, &answer, &err)) {
        const json_t *object = json_object_get(answer, "job");
        name = str_dup(json_str(object != NULL ? object : answer, "name"));
        if (name == NULL) {
            error_set(&err, "client/protocol", "%s accepted the job but did not name it", client_url(cli->client));
        }
    }
    if (name == NULL) {
        report_error(cli, &err);
        error_clear(&err);
    }
    json_decref(answer);
    mem_free(path);
    return name;
}

static void follow(struct progress *p, const char *name) {
    static const struct client_job_handler handler = {NULL, on_event, on_retry, on_done};
    struct cli *cli = p->cli;
    if (!cli->json) {
        introduce(p, name);
        fflush(cli->host->out);
    }
    p->job = p->kind == PROGRESS_PLAN ? client_plan_follow(cli->client, name, 0, &handler, p)
                                      : client_job_follow(cli->client, name, 0, &handler, p);
    if (p->live.on) {
        on_tick(p);
    }
    while (!p->over) {
        if (act_on_interrupts(p)) {
            client_job_leave(p->job);
            break;
        }
        cli->host->turn(cli->host->world);
    }
    world_timer_stop(cli->host->world, &p->tick);
    live_end(&p->live);
}

int run_to_end(struct cli *cli, enum progress_kind kind, const char *command, json_t *request) {
    struct progress p = {.cli = cli, .kind = kind};
    live_start(&p.live, cli, cli->host->out_tty && !cli->json && !cli->args.no_live && kind != PROGRESS_PLAN);
    if (!cli->json) {
        static const char *const first_lines[] = {"Starting deployment ...", "Starting job ...", "Starting plan ..."};
        fprintf(cli->host->out, "%s\n", first_lines[kind]);
        fflush(cli->host->out);
    }
    char *name = create(cli, command, request);
    if (name == NULL) {
        return EXIT_TROUBLE;
    }
    follow(&p, name);
    mem_free(name);
    for (size_t i = 0; i < p.failure_count; i++) {
        mem_free(p.failures[i].node);
        mem_free(p.failures[i].cause);
    }
    mem_free(p.failures);
    return p.stops > 0 ? EXIT_INTERRUPTED : p.code;
}
