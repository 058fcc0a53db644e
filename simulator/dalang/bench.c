/* dalang bench: throughput, latency and cost of brokers and whole stacks. One command line an action. */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/bench/broker.h"
#include "simulator/bench/jobs.h"
#include "simulator/bench/simulate.h"
#include "simulator/bench/soak.h"
#include "simulator/bench/storage.h"
#include "simulator/bench/transport/transport.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/surroundings.h"
#include "world/real.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OPTIONS_MAX = 28, DESCRIPTORS_ELSE = 200, REPORT_FILE_MAX = 64 * 1024 * 1024 };

/* What all actions share. */
struct output {
    bool json;
    const char *html;
};

struct bench_args {
    struct output output;
    bool quick, no_floor;
    const char *target, *vs, *ca, *ca_key, *v1;
    uint64_t pid, vs_pid, connections, active, messages, size, rounds, for_ms;
};

static size_t output_options(struct option *table, size_t n, struct output *o) {
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Output", NULL};
    table[n++] = (struct option){OPTION_FLAG, "json", 0, NULL, "Print the report as JSON.", &o->json};
    table[n++] =
        (struct option){OPTION_STRING, "html", 0, "FILE", "Write it as one self-contained page with plots.", &o->html};
    table[n] = (struct option)OPTION_END;
    return n;
}

/* ---- the command lines */

static const struct command_line *broker_line(struct bench_args *a) {
    static struct bench_args unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {
        "dalang bench broker", "[--target URL --ca FILE --ca-key FILE [--pid N]] [OPTIONS]",
        "what a PCP broker costs, beside a bare OpenSSL server",
        "Connections, memory, messages per second, latency at a fixed arrival rate (counted from when a message was "
        "due)\n"
        "and processor time, each with its ratio to an echo server of bare OpenSSL measured in the same run. Without\n"
        "--target it starts a dalang-broker. Certificates are minted in memory from the CA.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] =
        (struct option){OPTION_STRING, "target", 't', "URL", "A running broker: wss://HOST:PORT/pcp2/.", &a->target};
    table[n++] = (struct option){
        OPTION_UINT, "pid", 'p', "N", "Its process on this machine: memory and processor time are measured.", &a->pid};
    table[n++] = (struct option){
        OPTION_STRING, "vs", 0, "URL", "A second broker, measured in alternation; \"own\" starts a dalang-broker.",
        &a->vs};
    table[n++] = (struct option){OPTION_UINT, "vs-pid", 0, "N", "Its process.", &a->vs_pid};
    table[n++] = (struct option){
        OPTION_STRING, "v1", 0, "URL", "Version 1 of --target, when it is not at /pcp/; empty: it has none.", &a->v1};
    table[n++] = (struct option){OPTION_STRING, "ca", 0, "FILE", "The CA that they and their clients trust.", &a->ca};
    table[n++] = (struct option){OPTION_STRING, "ca-key", 0, "FILE", "Its private key: mints clients' certificates.",
                                 &a->ca_key};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Sizes", NULL};
    table[n++] =
        (struct option){OPTION_UINT,
                        "connections",
                        'c',
                        "N",
                        "Idle connections to hold, measured at 100, 1,000 and all; 10000. The last come as a storm.",
                        &a->connections};
    table[n++] =
        (struct option){OPTION_UINT, "active", 'a', "N", "Pairs of clients that send at once; 50.", &a->active};
    table[n++] =
        (struct option){OPTION_UINT, "messages", 'm', "N", "Messages of each measurement; 100000.", &a->messages};
    table[n++] = (struct option){OPTION_UINT, "size", 0, "BYTES", "Size of a message; 1024.", &a->size};
    table[n++] =
        (struct option){OPTION_UINT, "rounds", 0, "N", "Parts that take turns, the best counts; 5.", &a->rounds};
    table[n++] = (struct option){OPTION_DURATION, "for", 0, "TIME", "Of each measurement of latency; 10s.", &a->for_ms};
    table[n++] =
        (struct option){OPTION_FLAG, "quick", 'q', NULL, "A fifth of the connections, a tenth of the rest.", &a->quick};
    table[n++] = (struct option){OPTION_FLAG, "no-floor", 0, NULL, "Without the OpenSSL server.", &a->no_floor};
    output_options(table, n, &a->output);
    return &cl;
}

struct jobs_args {
    struct output output;
    bool quick, no_floor, no_puppet, no_steady;
    const char *target, *token, *ca, *database;
    uint64_t pid, nodes, rounds;
};

static const struct command_line *jobs_line(struct jobs_args *a) {
    static struct jobs_args unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {"dalang bench jobs",
                                     "[--target URL --token FILE --ca FILE [--pid N] [--database FILE]] [OPTIONS]",
                                     "what tasks and Puppet runs cost a whole stack",
                                     "Jobs of 100, 1,000 … nodes: time until a client sees the first and the last "
                                     "result, processor time, memory and\n"
                                     "disk of the orchestrator per node, beside what SQLite alone takes to record as "
                                     "much. Then small jobs at half of\n"
                                     "the largest one's rate: how long a node's own run is when nothing queues. "
                                     "Without --target it starts\n"
                                     "a stack with virtual agents and an orchestrator in a process of its own.",
                                     table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] =
        (struct option){OPTION_STRING, "target", 't', "URL", "A running orchestrator: https://HOST:8143.", &a->target};
    table[n++] = (struct option){OPTION_STRING, "token", 0, "FILE", "A token for it.", &a->token};
    table[n++] = (struct option){OPTION_STRING, "ca", 0, "FILE", "The CA of its certificate.", &a->ca};
    table[n++] = (struct option){OPTION_UINT, "pid", 'p', "N", "Its process on this machine.", &a->pid};
    table[n++] = (struct option){OPTION_STRING, "database", 0, "FILE", "Its SQLite file.", &a->database};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Sizes", NULL};
    table[n++] = (struct option){OPTION_UINT, "nodes", 'n', "N", "Nodes of the largest job; 10000.", &a->nodes};
    table[n++] = (struct option){OPTION_UINT, "rounds", 0, "N", "Jobs of each size, the best counts; 3.", &a->rounds};
    table[n++] = (struct option){OPTION_FLAG, "quick", 'q', NULL, "A tenth of the nodes, one round.", &a->quick};
    table[n++] = (struct option){OPTION_FLAG, "no-puppet", 0, NULL, "Tasks only.", &a->no_puppet};
    table[n++] = (struct option){OPTION_FLAG, "no-floor", 0, NULL, "Without SQLite alone.", &a->no_floor};
    table[n++] = (struct option){OPTION_FLAG, "no-steady", 0, NULL, "Without the stream at half load.", &a->no_steady};
    output_options(table, n, &a->output);
    return &cl;
}

struct storage_args {
    struct output output;
    bool quick;
    uint64_t jobs, nodes, requests;
};

static const struct command_line *storage_line(struct storage_args *a) {
    static struct storage_args unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {
        "dalang bench storage", "[OPTIONS]", "what the API's lists take with many jobs stored",
        "Fills an orchestrator's database through its own storage library, starts the orchestrator on it and measures\n"
        "the lists of jobs, nodes and events as a client sees them.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){OPTION_UINT, "jobs", 'j', "N", "Jobs to store; 1000.", &a->jobs};
    table[n++] = (struct option){OPTION_UINT, "nodes", 'n', "N", "Nodes of each; 1000.", &a->nodes};
    table[n++] = (struct option){OPTION_UINT, "requests", 'r', "N", "Requests of each kind; 200.", &a->requests};
    table[n++] = (struct option){OPTION_FLAG, "quick", 'q', NULL, "A tenth of everything.", &a->quick};
    output_options(table, n, &a->output);
    return &cl;
}

struct simulate_bench_args {
    struct output output;
    bool quick;
    uint64_t agents, busy_agents, for_ms, seed;
};

static const struct command_line *simulate_bench_line(struct simulate_bench_args *a) {
    static struct simulate_bench_args unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {
        "dalang bench simulate", "[OPTIONS]", "what simulated time costs",
        "One task on a large fleet, and a mixed workload under heavy faults: virtual seconds per wall second, events\n"
        "per second and memory of dalang simulate. The same seed does the same work on any machine.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){OPTION_UINT, "agents", 'n', "N", "Agents of the task; 100000.", &a->agents};
    table[n++] =
        (struct option){OPTION_UINT, "busy-agents", 'b', "N", "Agents of the mixed workload; 1000.", &a->busy_agents};
    table[n++] = (struct option){OPTION_DURATION, "for", 0, "TIME", "Its length in virtual time; 1h.", &a->for_ms};
    table[n++] = (struct option){OPTION_UINT, "seed", 's', "N", "The seed; 1.", &a->seed};
    table[n++] =
        (struct option){OPTION_FLAG, "quick", 'q', NULL, "A hundredth of the agents, a tenth of the time.", &a->quick};
    output_options(table, n, &a->output);
    return &cl;
}

struct soak_args {
    struct output output;
    uint64_t clients, for_ms, seed;
};

static const struct command_line *soak_line(struct soak_args *a) {
    static struct soak_args unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {"dalang bench soak", "[OPTIONS]",
                                     "whether a broker keeps its memory and descriptors",
                                     "Thousands of clients connect to a dalang-broker, talk, are rude and vanish; when "
                                     "all have gone its memory and\n"
                                     "descriptors must be what they were after a first, shorter wave.",
                                     table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){OPTION_UINT, "clients", 'c', "N", "At a time; 2000.", &a->clients};
    table[n++] = (struct option){OPTION_DURATION, "for", 0, "TIME", "How long; 5m.", &a->for_ms};
    table[n++] = (struct option){OPTION_UINT, "seed", 0, "N", "Of the clients' choices; 1.", &a->seed};
    output_options(table, n, &a->output);
    return &cl;
}

static const struct command_line *report_line(struct output *o) {
    static struct output unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {"dalang bench report", "FILE… [--html FILE]", "show reports that --json wrote",
                                     "Prints the tables of reports, or writes all of them on one page.", table};
    output_options(table, 0, o != NULL ? o : &unused);
    return &cl;
}

void bench_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, broker_line(NULL));
    each(ctx, jobs_line(NULL));
    each(ctx, storage_line(NULL));
    each(ctx, simulate_bench_line(NULL));
    each(ctx, soak_line(NULL));
    each(ctx, report_line(NULL));
}

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

static bool show(struct world *w, const struct output *o, const json_t *report, struct error *err) {
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
    const struct output *output;
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
    struct bench_args *a = args;
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
    const struct bench_args *a = args;
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
    struct bench_args a = {
        .connections = 10000, .active = 50, .messages = 100000, .size = 1024, .rounds = 5, .for_ms = 10000};
    const struct bench bench = {broker_line(&a), "What a broker costs", &a.output, &a, check_broker, run_broker};
    return measure(&bench, argc, argv);
}

/* ---- jobs */

enum { NODES_MAX = 100000 };

static bool check_jobs(void *args, struct error *err) {
    struct jobs_args *a = args;
    const bool given = a->target != NULL;
    if (a->quick) {
        a->nodes = a->nodes >= 10 ? a->nodes / 10 : 1;
        a->rounds = 1;
    }
    return ((given == (a->token != NULL) && given == (a->ca != NULL)) ||
            error_set(err, "usage", given ? "--target needs --token and --ca" : "--token and --ca are for --target")) &&
           (given || (a->pid == 0 && a->database == NULL) ||
            error_set(err, "usage", "--pid and --database are for --target")) &&
           ((a->nodes > 0 && a->nodes <= NODES_MAX) || error_set(err, "usage", "--nodes must be 1 to %d", NODES_MAX)) &&
           (a->rounds > 0 || error_set(err, "usage", "--rounds must be at least 1"));
}

static bool run_jobs(void *args, struct world *w, const char *dir, json_t *report, struct error *err) {
    const struct jobs_args *a = args;
    char *orchestrator = program_path("dalang-orchestrator"), *self = program_path("dalang");
    const struct bench_jobs b = {
        .world = w,
        .dir = dir,
        .self = self,
        .orchestrator = orchestrator,
        .nodes = a->nodes,
        .rounds = (unsigned)a->rounds,
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
    struct jobs_args a = {.nodes = 10000, .rounds = 3};
    const struct bench bench = {jobs_line(&a), "What jobs cost", &a.output, &a, check_jobs, run_jobs};
    return measure(&bench, argc, argv);
}

/* ---- storage */

static bool check_storage(void *args, struct error *err) {
    struct storage_args *a = args;
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
    const struct storage_args *a = args;
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
    struct storage_args a = {.jobs = 1000, .nodes = 1000, .requests = 200};
    const struct bench bench = {storage_line(&a), "What the API's lists take", &a.output, &a, check_storage,
                                run_storage};
    return measure(&bench, argc, argv);
}

/* ---- simulate */

static bool check_simulate(void *args, struct error *err) {
    struct simulate_bench_args *a = args;
    if (a->quick) {
        a->agents = a->agents >= 100 ? a->agents / 100 : 1;
        a->busy_agents = a->busy_agents >= 100 ? a->busy_agents / 100 : 1;
        a->for_ms = a->for_ms >= 10 ? a->for_ms / 10 : 1;
    }
    return (a->agents > 0 && a->busy_agents > 0 && a->for_ms > 0) ||
           error_set(err, "usage", "--agents, --busy-agents and --for must not be 0");
}

static bool run_simulate(void *args, struct world *w, const char *dir, json_t *report, struct error *err) {
    const struct simulate_bench_args *a = args;
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
    struct simulate_bench_args a = {.agents = 100000, .busy_agents = 1000, .for_ms = 3600000, .seed = 1};
    const struct bench bench = {
        simulate_bench_line(&a), "What simulated time costs", &a.output, &a, check_simulate, run_simulate};
    return measure(&bench, argc, argv);
}

/* ---- soak */

static bool check_soak(void *args, struct error *err) {
    const struct soak_args *a = args;
    return ((a->clients > 0 && a->for_ms > 0) || error_set(err, "usage", "--clients and --for must not be 0")) &&
           enough_descriptors(2 * a->clients + DESCRIPTORS_ELSE, err);
}

static bool run_soak(void *args, struct world *w, const char *dir, json_t *report, struct error *err) {
    const struct soak_args *a = args;
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
    struct soak_args a = {.clients = 2000, .for_ms = 300000, .seed = 1};
    const struct bench bench = {soak_line(&a), "Clients that come and go", &a.output, &a, check_soak, run_soak};
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
    struct output output = {0};
    struct option_list words = {NULL, 0};
    struct error err = ERROR_INIT;
    int code = DALANG_OK;
    const struct command_line *cl = report_line(&output);
    if (dalang_parse(cl, argc, argv, &words, &code)) {
        struct world *w = real_world_new(&err);
        json_t **reports = mem_array(words.count + 1, sizeof(*reports));
        bool ok = w != NULL && (words.count > 0 || error_set(&err, "usage", "which file?"));
        for (size_t i = 0; ok && i < words.count; i++) {
            reports[i] = read_report(w, words.items[i], &err);
            ok = reports[i] != NULL;
        }
        for (size_t i = 0; ok && output.html == NULL && i < words.count; i++) {
            struct output one = {.json = output.json};
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
