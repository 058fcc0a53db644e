/* dalang simulate: the stack and its agents in simulated time, repeatable from a seed. */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/surroundings.h"
#include "simulator/soak/soak.h"
#include "simulator/stack/simulated.h"
#include "world/real.h"
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { SIMULATE_OPTIONS = 16, FILE_MAX = 16 * 1024 * 1024, LIMIT_HOURS = 24, DEFAULT_AGENTS = 100 };

struct simulate_args {
    uint64_t agents, brokers, minutes;
    const char *faults;
    const char *seed, *seeds, *task, *modules;
    bool json, v1;
};

static const struct command_line *simulate_line(struct simulate_args *a) {
    static struct simulate_args unused;
    static struct option table[SIMULATE_OPTIONS];
    static struct command_line cl = {"dalang simulate", "[OPTIONS]", "run the stack in simulated time, from a seed",
                                     "Broker, orchestrator, fakes and agents run in one thread on a virtual clock, "
                                     "network and disk. The same seed gives the\n"
                                     "same run to the byte; the trace hash covers every event.",
                                     table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){
        OPTION_UINT, "agents", 'n', "N", "Virtual agents; 100 without this option (drawn, with --faults).", &a->agents};
    table[n++] = (struct option){OPTION_STRING, "seed", 's', "N", "The seed; 1 without this option.", &a->seed};
    table[n++] = (struct option){OPTION_STRING, "seeds", 0, "A..B", "One run for every seed from A to B.", &a->seeds};
    table[n++] = (struct option){
        OPTION_STRING,
        "faults",
        'f',
        "LEVEL",
        "A mixed workload under faults drawn from the seed, every invariant watched: none, light, heavy "
        "or swarm. Without this option one task job is run.",
        &a->faults};
    table[n++] =
        (struct option){OPTION_UINT, "minutes", 0, "M", "With --faults: seed after seed for this long.", &a->minutes};
    table[n++] =
        (struct option){OPTION_STRING, "task", 0, "TASK", "The task that is run on all agents; \"echo\".", &a->task};
    table[n++] = (struct option){
        OPTION_STRING, "modules", 'm', "DIR", "Modules of the environment; ours without this option.", &a->modules};
    table[n++] = (struct option){OPTION_UINT, "brokers", 0, "N", "PCP brokers; 1 without this option.", &a->brokers};
    table[n++] = (struct option){OPTION_FLAG, "v1", 0, NULL, "Agents speak PCP v1.", &a->v1};
    table[n++] = (struct option){OPTION_FLAG, "json", 0, NULL, "One JSON object a seed.", &a->json};
    table[n] = (struct option)OPTION_END;
    return &cl;
}

void simulate_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, simulate_line(NULL));
}

/* ---- modules: files of this machine become files of the simulated Puppet Server */

struct modules {
    struct world *real;
    const char *dir;
};

static bool copy_tree(struct world *from, const char *source, struct world *to, const char *target, struct error *err) {
    char **names;
    size_t count;
    if (!world_file_list(from, source, &names, &count, err)) {
        return false;
    }
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        char *a = str_printf("%s/%s", source, names[i]), *b = str_printf("%s/%s", target, names[i]);
        struct world_stat st;
        struct buf text = BUF_INIT;
        ok = world_file_stat(from, a, &st, err);
        if (ok && st.is_dir) {
            ok = world_file_mkdir(to, b, 0755, true, err) && copy_tree(from, a, to, b, err);
        } else if (ok) {
            ok = world_file_read(from, a, FILE_MAX, &text, err) &&
                 world_file_write(to, b, buf_span(&text), st.mode, WORLD_WRITE_PLAIN, err);
        }
        buf_free(&text);
        mem_free(a);
        mem_free(b);
    }
    world_names_free(names, count);
    return ok;
}

static bool fill_modules(void *ctx, struct world *puppetserver, const char *dir, struct error *err) {
    const struct modules *m = ctx;
    return copy_tree(m->real, m->dir, puppetserver, dir, err);
}

static void configure(void *ctx, struct orchestrator_config *config) {
    (void)ctx;
    config->task_concurrency = 1000000;
}

/* ---- one run */

struct outcome {
    bool ready, done, good;
    uint64_t ready_us, done_us;
    json_t *job;
    char *trouble;
};

static bool is_ready(void *ctx) {
    return simulated_ready(ctx);
}

static void ignore_created(void *ctx, struct client_job *job, const char *name) {
    (void)ctx, (void)job, (void)name;
}

static void ignore_event(void *ctx, struct client_job *job, const json_t *event) {
    (void)ctx, (void)job, (void)event;
}

static void on_done(void *ctx, struct client_job *job, const struct error *err, const json_t *object) {
    struct outcome *o = ctx;
    (void)job;
    o->done = true;
    o->job = json_incref((json_t *)(uintptr_t)object);
    o->trouble = err != NULL ? str_dup(err->msg) : NULL;
}

static bool is_done(void *ctx) {
    return ((struct outcome *)ctx)->done;
}

static void run_job(struct sim *sim, struct simulated *s, const struct simulate_args *a, struct outcome *o) {
    static const struct client_job_handler handler = {ignore_created, ignore_event, NULL, on_done};
    o->ready = a->agents == 0 || sim_run_until(sim, LIMIT_HOURS * SIM_HOUR, is_ready, s);
    o->ready_us = sim_now_us(sim);
    if (!o->ready) {
        o->trouble = str_dup("the agents did not connect");
        return;
    }
    json_t *request = json_pack("{s:s, s:{s:s}, s:{s:s}}", "task", a->task, "params", "message", "hello", "scope",
                                "query", "nodes[certname]{}");
    client_job_start(simulated_client(s), "task", request, &handler, o);
    sim_run_until(sim, LIMIT_HOURS * SIM_HOUR, is_done, o);
    o->done_us = sim_now_us(sim);
    int64_t finished = json_int(json_object_get(o->job, "node_states"), "finished", 0);
    o->good = o->done && o->trouble == NULL && finished == (int64_t)a->agents;
}

static void print_outcome(const struct simulate_args *a, uint64_t seed, const struct sim *sim, const struct outcome *o,
                          uint64_t programs, double wall_s) {
    json_t *states = json_object_get(o->job, "node_states");
    if (a->json) {
        json_t *line = json_object();
        char hash[20];
        snprintf(hash, sizeof(hash), "%016llx", (unsigned long long)sim_trace_hash(sim));
        json_set(line, "seed", json_integer((json_int_t)seed));
        json_set(line, "trace_hash", json_string(hash));
        json_set(line, "nodes", json_integer((json_int_t)a->agents));
        json_set(line, "node_states", states != NULL ? json_incref(states) : json_object());
        json_set(line, "events", json_integer((json_int_t)sim_event_count(sim)));
        json_set(line, "virtual_s", json_real((double)sim_now_us(sim) / 1e6));
        json_set(line, "violations", o->trouble != NULL ? json_pack("[s]", o->trouble) : json_array());
        char *text = json_text(line);
        puts(text);
        mem_free(text);
        json_decref(line);
        return;
    }
    char *counts = states != NULL ? json_text(states) : str_dup("{}");
    printf("seed %llu: %llu agents, %zu brokers: job %s %s\n", (unsigned long long)seed, (unsigned long long)a->agents,
           (size_t)(a->brokers != 0 ? a->brokers : 1),
           json_str(o->job, "state") != NULL ? json_str(o->job, "state") : "not done", counts);
    printf("  connected after %.3f s, job done after %.3f s more (virtual); %llu programs run\n",
           (double)o->ready_us / 1e6, (double)(o->done_us - o->ready_us) / 1e6, (unsigned long long)programs);
    printf("  %llu events in %.2f s of wall time; trace %016llx\n", (unsigned long long)sim_event_count(sim), wall_s,
           (unsigned long long)sim_trace_hash(sim));
    if (o->trouble != NULL) {
        printf("  FAILED: %s\n", o->trouble);
    }
    mem_free(counts);
}

static double wall_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* False: the run failed. */
static bool run_seed(const struct simulate_args *a, uint64_t seed, struct modules *modules, struct error *err) {
    double begun = wall_seconds();
    struct sim *sim = sim_new(&(struct sim_opts){.seed = seed});
    struct simulated_opts opts = {.sim = sim,
                                  .agents = (uint32_t)a->agents,
                                  .brokers = (size_t)a->brokers,
                                  .v1 = a->v1,
                                  .fill_modules = fill_modules,
                                  .configure_orchestrator = configure,
                                  .configure_ctx = modules};
    struct simulated *s = simulated_new(&opts, err);
    struct outcome o = {0};
    if (s != NULL) {
        run_job(sim, s, a, &o);
        print_outcome(a, seed, sim, &o, simulated_programs_started(s), wall_seconds() - begun);
        simulated_free(s);
        struct buf report = BUF_INIT;
        if (!sim_check_idle(sim, &report)) {
            printf("  FAILED: left behind: %s\n", report.ptr);
            o.good = false;
        }
        buf_free(&report);
    }
    sim_free(sim);
    json_decref(o.job);
    mem_free(o.trouble);
    return o.good;
}

/* ---- workload, faults and invariants */

static void print_soak(const struct simulate_args *a, const struct soak_result *r, double wall_s) {
    if (a->json) {
        json_t *line = soak_result_json(r);
        char *text = json_text(line);
        puts(text);
        mem_free(text);
        json_decref(line);
        return;
    }
    printf("seed %llu: %s: %s\n", (unsigned long long)r->seed, soak_good(r) ? "good" : "FAILED",
           r->description != NULL ? r->description : "");
    printf("  %llu faults, %llu events, %.0f virtual s in %.2f s of wall time; trace %016llx\n",
           (unsigned long long)r->faults, (unsigned long long)r->events, (double)r->virtual_us / 1e6, wall_s,
           (unsigned long long)r->trace_hash);
    if (r->stuck != NULL) {
        printf("  did not converge: %s\n", r->stuck);
    }
    if (!soak_good(r)) {
        json_t *object = soak_result_json(r), *violation;
        size_t i;
        json_array_foreach(json_object_get(object, "violations"), i, violation) {
            char *text = json_text(violation);
            printf("  %s\n", text);
            mem_free(text);
        }
        json_decref(object);
        printf("  again: dalang simulate --faults %s --seed %llu\n", a->faults, (unsigned long long)r->seed);
    }
}

/* False: it failed. */
static bool run_faulty_seed(const struct simulate_args *a, uint64_t seed, enum faults_level level) {
    struct soak_opts opts = {
        .seed = seed, .agents = (uint32_t)a->agents, .brokers = (uint32_t)a->brokers, .faults = level, .v1 = a->v1};
    struct soak_result r;
    double begun = wall_seconds();
    soak_run(&opts, &r);
    bool good = soak_good(&r);
    print_soak(a, &r, wall_seconds() - begun);
    fflush(stdout);
    soak_result_free(&r);
    return good;
}

static int run_faulty(const struct command_line *cl, const struct simulate_args *a, uint64_t first, uint64_t last) {
    struct error err = ERROR_INIT;
    enum faults_level level;
    if (!faults_level_parse(a->faults, &level)) {
        error_set(&err, "usage", "--faults is none, light, heavy or swarm, not \"%s\"", a->faults);
        return dalang_trouble(cl, &err);
    }
    double until = wall_seconds() + (double)a->minutes * 60;
    uint64_t bad = 0, seed = first;
    for (;; seed++) {
        bad += !run_faulty_seed(a, seed, level);
        bool more = a->minutes != 0 ? wall_seconds() < until : seed < last;
        if (!more) {
            break;
        }
    }
    if (!a->json) {
        printf("%llu seeds, %llu failed\n", (unsigned long long)(seed - first + 1), (unsigned long long)bad);
    }
    return bad == 0 ? DALANG_OK : DALANG_FAILED;
}

/* "7", or "1..100" */
static bool read_seeds(const struct simulate_args *a, uint64_t *first, uint64_t *last, struct error *err) {
    struct span text = span_of(a->seeds != NULL ? a->seeds : a->seed);
    ptrdiff_t dots = span_find_span(text, SPAN(".."));
    bool ok = dots < 0 ? span_to_u64(text, first) && span_to_u64(text, last)
                       : span_to_u64(span_sub(text, 0, (size_t)dots), first) &&
                             span_to_u64(span_sub(text, (size_t)dots + 2, text.len), last);
    return (ok && *first <= *last) || error_set(err, "usage", "seeds are numbers: --seed 7 or --seeds 1..100");
}

static int run(const struct command_line *cl, const struct simulate_args *a) {
    struct error err = ERROR_INIT;
    uint64_t first, last;
    if (!read_seeds(a, &first, &last, &err)) {
        return dalang_trouble(cl, &err);
    }
    if (a->faults != NULL) {
        return run_faulty(cl, a, first, last);
    }
    struct world *real = real_world_new(&err);
    char *dir = a->modules != NULL ? absolute_path(a->modules) : shared_path("modules");
    bool good = real != NULL;
    for (uint64_t seed = first; real != NULL && !error_is_set(&err); seed++) {
        struct modules modules = {real, dir};
        good = run_seed(a, seed, &modules, &err) && good;
        fflush(stdout);
        if (seed == last) {
            break;
        }
    }
    mem_free(dir);
    if (real != NULL) {
        real_world_free(real);
    }
    if (error_is_set(&err)) {
        return dalang_trouble(cl, &err);
    }
    return good ? DALANG_OK : DALANG_FAILED;
}

int simulate_command(int argc, char *const argv[]) {
    struct simulate_args args = {.seed = "1", .task = "echo"};
    const struct command_line *cl = simulate_line(&args);
    struct option_list words = {NULL, 0};
    int code = DALANG_OK;
    if (dalang_parse(cl, argc, argv, &words, &code)) {
        if (words.count > 0) {
            struct error err = ERROR_INIT;
            error_set(&err, "usage", "\"%s\" is no option", words.items[0]);
            code = dalang_trouble(cl, &err);
        } else {
            if (args.agents == 0 && args.faults == NULL) {
                args.agents = DEFAULT_AGENTS;
            }
            code = run(cl, &args);
        }
    }
    option_list_free(&words);
    return code;
}
