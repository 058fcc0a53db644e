/* dalang simulate --task: one job on all agents of a fleet in simulated time, without faults. */
#include "simulator/dalang/simulate.h"

#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/surroundings.h"
#include "simulator/stack/simulated.h"
#include "world/real.h"
#include <stdio.h>
#include <string.h>

enum {
    FILE_MAX = 16 * 1024 * 1024,
    LIMIT_HOURS = 24,
    NODES_AT_ONCE = 10000, /* far more than orchestrators are set to; what is under way takes half of the memory */
};

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
    config->task_concurrency = NODES_AT_ONCE;
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

static void run_job(struct sim *sim, struct simulated *s, const struct simulate_job *a, struct outcome *o) {
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

static void print_outcome(const struct simulate_job *a, uint64_t seed, const struct sim *sim, const struct outcome *o,
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

/* False: the run failed. */
static bool run_seed(const struct simulate_job *a, uint64_t seed, struct modules *modules, struct error *err) {
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

bool simulate_job(const struct simulate_job *a, uint64_t first, uint64_t last, bool *good, struct error *err) {
    struct world *real = real_world_new(err);
    char *dir = a->modules != NULL ? absolute_path(a->modules) : shared_path("modules");
    struct modules modules = {real, dir};
    *good = real != NULL;
    for (uint64_t seed = first; real != NULL && !error_is_set(err); seed++) {
        *good = run_seed(a, seed, &modules, err) && *good;
        fflush(stdout);
        if (seed == last) {
            break;
        }
    }
    mem_free(dir);
    if (real != NULL) {
        real_world_free(real);
    }
    return !error_is_set(err);
}
