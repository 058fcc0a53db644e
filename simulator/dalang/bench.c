/* dalang bench: throughput, latency and cost of brokers and whole stacks. */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/bench/broker.h"
#include "simulator/bench/jobs.h"
#include "simulator/bench/simulate.h"
#include "simulator/bench/soak.h"
#include "simulator/bench/storage.h"
#include "simulator/bench/transport/transport.h"
#include "simulator/dalang/bench_command.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/surroundings.h"
#include "world/real.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DESCRIPTORS_ELSE = 200, REPORT_FILE_MAX = 64 * 1024 * 1024 };

/* ---- output */

static void on_progress(void *ctx, const char *what) {
    (void)ctx;
    if (isatty(STDERR_FILENO)) {
        fprintf(stderr, "\r\033[K%s …", what);
        fflush(stderr);
    }
}

static void end_progress(void) {
    if (isatty(STDERR_FILENO)) {
        fputs("\r\033[K", stderr);
    }
}

static bool write_html(struct world *w, const char *path, const json_t *const *reports, size_t count,
                       struct error *err) {
    struct buf page = BUF_INIT;
    report_html(reports, count, &page);
    const bool ok = world_file_write(w, path, buf_span(&page), 0644, WORLD_WRITE_ATOMIC, err);
    buf_free(&page);
    return ok;
}

static bool show(struct world *w, const struct bench_output *o, const json_t *report, struct error *err) {
    end_progress();
    if (o->json) {
        char *text = json_text(report);
        puts(text);
        mem_free(text);
    } else {
        report_print(report, stdout);
    }
    return o->html == NULL || write_html(w, o->html, &report, 1, err);
}

/* Trouble with a peer or a measurement is a failed test; everything else is a wrong start. */
static int ended(const struct command_line *cl, bool ok, struct error *err) {
    if (!ok && error_is(err, "bench")) {
        end_progress();
        fprintf(stderr, "%s: %s\n", cl->program, err->msg);
        error_clear(err);
        return DALANG_FAILED;
    }
    return ok ? DALANG_OK : dalang_trouble(cl, err);
}

/* An action that measures something. */
struct bench {
    const struct command_line *cl;
    const char *title;
    const struct bench_output *output;
    void *args; /* its options, for the two functions */
    bool (*check)(void *args, struct error *err);
    bool (*run)(void *args, struct world *w, const char *dir, json_t *report, struct error *err);
};

static int measure(const struct bench *b, int argc, char *const argv[]) {
    struct error err = ERROR_INIT;
    int code = DALANG_OK;
    if (dalang_parse_only(b->cl, argc, argv, &code)) {
        struct world *w = NULL;
        char *dir = NULL;
        json_t *report = report_new(b->title, argc, argv);
        const bool ok = b->check(b->args, &err) && (w = real_world_new(&err)) != NULL &&
                        real_keylog(w, getenv("SSLKEYLOGFILE"), &err) && (dir = temporary_directory(&err)) != NULL &&
                        b->run(b->args, w, dir, report, &err) && show(w, b->output, report, &err);
        code = ended(b->cl, ok, &err);
        if (dir != NULL) {
            world_file_remove(w, dir, true, NULL);
        }
        if (w != NULL) {
            real_world_free(w);
        }
        json_decref(report);
        mem_free(dir);
    }
    return code;
}

/* ---- broker */

static bool check_broker(void *args, struct error *err) {
    struct bench_broker_args *a = args;
    const bool given = a->target != NULL || (a->vs != NULL && strcmp(a->vs, "own") != 0);
    if (a->quick) {
        a->connections /= 5;
        a->messages /= 10;
        a->for_ms /= 10;
    }
    return ((given == (a->ca != NULL) && given == (a->ca_key != NULL)) ||
            error_set(err, "usage",
                      given ? "--target and --vs need --ca and --ca-key"
                            : "--ca and --ca-key are for --target and --vs")) &&
           (a->pid == 0 || a->target != NULL || error_set(err, "usage", "--pid needs --target")) &&
           (a->vs_pid == 0 || a->vs != NULL || error_set(err, "usage", "--vs-pid needs --vs")) &&
           ((a->active > 0 && a->connections >= 2 * a->active) ||
            error_set(err, "usage", "--connections must be at least twice --active")) &&
           (a->rounds > 0 || error_set(err, "usage", "--rounds must be at least 1")) &&
           (a->messages >= a->rounds * a->active ||
            error_set(err, "usage", "--messages must be at least --rounds times --active")) &&
           ((a->size >= 512 && a->size <= 1024 * 1024) ||
            error_set(err, "usage", "--size must be 512 to 1048576 bytes")) &&
           (a->for_ms > 0 || error_set(err, "usage", "--for must not be 0")) &&
           enough_descriptors(a->connections + 1000 + 6 * a->active + DESCRIPTORS_ELSE, err);
}

static struct bench_target target_of(const char *url, const char *v1, uint64_t pid) {
    const bool own = url == NULL || strcmp(url, "own") == 0;
    return (struct bench_target){.url = own ? NULL : url, .v1_url = v1, .pid = (int64_t)pid};
}

static bool run_broker(void *args, struct world *w, const char *dir, json_t *report, struct error *err) {
    const struct bench_broker_args *a = args;
    char *program = program_path("dalang-broker"), *self = program_path("dalang");
    const struct bench_broker b = {
        .world = w,
        .dir = dir,
        .program = program,
        .self = self,
        .targets = {target_of(a->target, a->v1, a->pid), target_of(a->vs, NULL, a->vs_pid)},
        .target_count = a->vs != NULL ? 2 : 1,
        .ca = a->ca,
        .ca_key = a->ca_key,
        .connections = a->connections,
        .active = a->active,
        .messages = a->messages,
        .size = a->size,
        .for_ms = a->for_ms,
        .rounds = (unsigned)a->rounds,
        .no_floor = a->no_floor,
        .progress = on_progress,
    };
    const bool ok = bench_broker_run(&b, report, err);
    mem_free(program);
    mem_free(self);
    return ok;
}

static int broker_action(int argc, char *const argv[]) {
    struct bench_broker_args a = {
        .connections = 10000, .active = 50, .messages = 100000, .size = 1024, .rounds = 5, .for_ms = 10000};
    const struct bench bench = {bench_broker_line(&a), "What a broker costs", &a.output, &a, check_broker, run_broker};
    return measure(&bench, argc, argv);
}

/* ---- jobs */

enum { NODES_MAX = 100000, STREAMS_MAX = 1000 };

static bool check_jobs(void *args, struct error *err) {
    struct bench_jobs_args *a = args;
    const bool given = a->target != NULL;
    if (a->quick) {
        a->nodes = a->nodes >= 10 ? a->nodes / 10 : 1;
        a->rounds = a->streams = 1;
    }
    return ((given == (a->token != NULL) && given == (a->ca != NULL)) ||
            error_set(err, "usage", given ? "--target needs --token and --ca" : "--token and --ca are for --target")) &&
           (given || (a->pid == 0 && a->database == NULL) ||
            error_set(err, "usage", "--pid and --database are for --target")) &&
           ((a->nodes > 0 && a->nodes <= NODES_MAX) || error_set(err, "usage", "--nodes must be 1 to %d", NODES_MAX)) &&
           (a->rounds > 0 || error_set(err, "usage", "--rounds must be at least 1")) &&
           ((a->streams > 0 && a->streams <= STREAMS_MAX) ||
            error_set(err, "usage", "--streams must be 1 to %d", STREAMS_MAX));
}

static bool run_jobs(void *args, struct world *w, const char *dir, json_t *report, struct error *err) {
    const struct bench_jobs_args *a = args;
    char *orchestrator = program_path("dalang-orchestrator"), *self = program_path("dalang");
    const struct bench_jobs b = {
        .world = w,
        .dir = dir,
        .self = self,
        .orchestrator = orchestrator,
        .nodes = a->nodes,
        .rounds = (unsigned)a->rounds,
        .streams = (unsigned)a->streams,
        .stream = (double)a->stream,
        .no_puppet = a->no_puppet,
        .no_floor = a->no_floor,
        .no_steady = a->no_steady,
        .url = a->target,
        .token_file = a->token,
        .ca = a->ca,
        .database = a->database,
        .pid = (int64_t)a->pid,
        .progress = on_progress,
    };
    const bool ok = bench_jobs_run(&b, report, err);
    mem_free(orchestrator);
    mem_free(self);
    return ok;
}

static int jobs_action(int argc, char *const argv[]) {
    struct bench_jobs_args a = {.nodes = 10000, .rounds = 3, .streams = 9};
    const struct bench bench = {bench_jobs_line(&a), "What jobs cost", &a.output, &a, check_jobs, run_jobs};
    return measure(&bench, argc, argv);
}

/* ---- storage */

static bool check_storage(void *args, struct error *err) {
    struct bench_storage_args *a = args;
    if (a->quick) {
        a->jobs = a->jobs / 10 + 1;
        a->nodes = a->nodes / 10 + 1;
        a->requests = a->requests / 10 + 1;
    }
    return ((a->jobs > 0 && a->nodes > 0 && a->requests > 0) ||
            error_set(err, "usage", "--jobs, --nodes and --requests must be at least 1")) &&
           (a->jobs * a->nodes <= 10000000 ||
            error_set(err, "usage", "--jobs times --nodes must be at most 10,000,000"));
}

static bool run_storage(void *args, struct world *w, const char *dir, json_t *report, struct error *err) {
    const struct bench_storage_args *a = args;
    char *orchestrator = program_path("dalang-orchestrator"), *self = program_path("dalang");
    const struct bench_storage b = {
        .world = w,
        .dir = dir,
        .self = self,
        .orchestrator = orchestrator,
        .jobs = a->jobs,
        .nodes = a->nodes,
        .requests = a->requests,
        .progress = on_progress,
    };
    const bool ok = bench_storage_run(&b, report, err);
    mem_free(orchestrator);
    mem_free(self);
    return ok;
}

static int storage_action(int argc, char *const argv[]) {
    struct bench_storage_args a = {.jobs = 1000, .nodes = 1000, .requests = 200};
    const struct bench bench = {
        bench_storage_line(&a), "What the API's lists take", &a.output, &a, check_storage, run_storage};
    return measure(&bench, argc, argv);
}

/* ---- simulate */

static bool check_simulate(void *args, struct error *err) {
    struct bench_simulate_args *a = args;
    if (a->quick) {
        a->agents = a->agents >= 100 ? a->agents / 100 : 1;
        a->busy_agents = a->busy_agents >= 100 ? a->busy_agents / 100 : 1;
        a->for_ms = a->for_ms >= 10 ? a->for_ms / 10 : 1;
    }
    return (a->agents > 0 && a->busy_agents > 0 && a->for_ms > 0) ||
           error_set(err, "usage", "--agents, --busy-agents and --for must not be 0");
}

static bool run_simulate(void *args, struct world *w, const char *dir, json_t *report, struct error *err) {
    const struct bench_simulate_args *a = args;
    char *self = program_path("dalang");
    (void)w;
    const struct bench_simulate b = {.dir = dir,
                                     .self = self,
                                     .agents = a->agents,
                                     .busy_agents = a->busy_agents,
                                     .for_ms = a->for_ms,
                                     .seed = a->seed,
                                     .progress = on_progress};
    const bool ok = bench_simulate_run(&b, report, err);
    mem_free(self);
    return ok;
}

static int simulate_action(int argc, char *const argv[]) {
    struct bench_simulate_args a = {.agents = 100000, .busy_agents = 1000, .for_ms = 3600000, .seed = 1};
    const struct bench bench = {
        bench_simulate_line(&a), "What simulated time costs", &a.output, &a, check_simulate, run_simulate};
    return measure(&bench, argc, argv);
}

/* ---- soak */

static bool check_soak(void *args, struct error *err) {
    const struct bench_soak_args *a = args;
    return ((a->clients > 0 && a->for_ms > 0) || error_set(err, "usage", "--clients and --for must not be 0")) &&
           enough_descriptors(2 * a->clients + DESCRIPTORS_ELSE, err);
}

static bool run_soak(void *args, struct world *w, const char *dir, json_t *report, struct error *err) {
    const struct bench_soak_args *a = args;
    char *program = program_path("dalang-broker");
    const struct bench_soak b = {.world = w,
                                 .dir = dir,
                                 .program = program,
                                 .clients = a->clients,
                                 .for_ms = a->for_ms,
                                 .seed = a->seed,
                                 .progress = on_progress};
    const bool ok = bench_soak_run(&b, report, err);
    mem_free(program);
    return ok;
}

static int soak_action(int argc, char *const argv[]) {
    struct bench_soak_args a = {.clients = 2000, .for_ms = 300000, .seed = 1};
    const struct bench bench = {bench_soak_line(&a), "Clients that come and go", &a.output, &a, check_soak, run_soak};
    return measure(&bench, argc, argv);
}

/* ---- report */

static json_t *read_report(struct world *w, const char *path, struct error *err) {
    struct buf text = BUF_INIT;
    json_t *report = NULL;
    if (world_file_read(w, path, REPORT_FILE_MAX, &text, err)) {
        report = json_parse(buf_span(&text), "usage", err);
        if (report == NULL || !report_valid(report, err)) {
            error_prefix(err, "%s", path);
            json_decref(report);
            report = NULL;
        }
    }
    buf_free(&text);
    return report;
}

static int report_action(int argc, char *const argv[]) {
    struct bench_output output = {0};
    struct option_list words = {NULL, 0};
    struct error err = ERROR_INIT;
    int code = DALANG_OK;
    const struct command_line *cl = bench_report_line(&output);
    if (dalang_parse(cl, argc, argv, &words, &code)) {
        struct world *w = real_world_new(&err);
        json_t **reports = mem_array(words.count + 1, sizeof(*reports));
        bool ok = w != NULL && (words.count > 0 || error_set(&err, "usage", "which file?"));
        for (size_t i = 0; ok && i < words.count; i++) {
            reports[i] = read_report(w, words.items[i], &err);
            ok = reports[i] != NULL;
        }
        for (size_t i = 0; ok && output.html == NULL && i < words.count; i++) {
            struct bench_output one = {.json = output.json};
            ok = show(w, &one, reports[i], &err);
        }
        if (ok && output.html != NULL) {
            ok = write_html(w, output.html, (const json_t *const *)reports, words.count, &err);
        }
        code = ended(cl, ok, &err);
        for (size_t i = 0; i < words.count; i++) {
            json_decref(reports[i]);
        }
        mem_free(reports);
        if (w != NULL) {
            real_world_free(w);
        }
    }
    option_list_free(&words);
    return code;
}

/* ---- the program */

static const struct action {
    const char *name, *summary;
    int (*run)(int argc, char *const argv[]);
} actions[] = {
    {"broker", "what a PCP broker costs, beside a bare OpenSSL server", broker_action},
    {"jobs", "what tasks and Puppet runs cost a whole stack", jobs_action},
    {"storage", "what the API's lists take with many jobs stored", storage_action},
    {"simulate", "what simulated time costs", simulate_action},
    {"soak", "whether a broker keeps its memory and descriptors", soak_action},
    {"report", "show reports that --json wrote, or make one page of them", report_action},
};
enum { ACTION_COUNT = sizeof(actions) / sizeof(actions[0]) };

static void print_usage(FILE *to) {
    fprintf(to, "dalang bench: throughput, latency and cost\n\nUsage: dalang bench ACTION [OPTIONS]\n\nActions:\n");
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        fprintf(to, "  %-10s %s\n", actions[i].name, actions[i].summary);
    }
    fprintf(to, "\ndalang bench ACTION --help shows an action's options.\n");
}

int bench_command(int argc, char *const argv[]) {
    const char *word = argc > 1 ? argv[1] : NULL, *names[ACTION_COUNT];
    if (word == NULL) {
        print_usage(stderr);
        return DALANG_USAGE;
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
        print_usage(stdout);
        return DALANG_OK;
    }
    if (argc == 5 && strcmp(word, "floor-server") == 0) { /* simulator/bench/floor.h */
        return serve_openssl(&(struct server_files){.cert = argv[2], .key = argv[3], .ca = argv[4]}, 0);
    }
    for (size_t i = 0; i < ACTION_COUNT; i++) {
        if (strcmp(word, actions[i].name) == 0) {
            return actions[i].run(argc - 1, argv + 1);
        }
        names[i] = actions[i].name;
    }
    const char *near = nearest_word(word, names, ACTION_COUNT);
    fprintf(stderr, "dalang bench: there is no action \"%s\"%s%s%s\n", word, near != NULL ? "; did you mean \"" : "",
            near != NULL ? near : "", near != NULL ? "\"?" : "");
    return DALANG_USAGE;
}
