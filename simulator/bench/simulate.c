/* See simulate.h. */
#include "simulator/bench/simulate.h"

#include "base/json.h"
#include "base/mem.h"
#include "simulator/bench/process.h"

/* The sizes that goals are stated for. */
enum { GOAL_AGENTS = 100000, GOAL_BUSY_AGENTS = 1000, GOAL_FOR_MS = 3600000 };

static bool simulate(const struct bench_simulate *b, const char *const *argv, const char *what, json_t **result,
                     struct process_usage *usage, struct error *err) {
    struct process p = {0};
    struct buf output = BUF_INIT;
    char *log = str_printf("%s/simulate.log", b->dir);
    if (b->progress != NULL) {
        b->progress(b->progress_ctx, what);
    }
    *result = NULL;
    if (process_start(&p, argv, log, err) && process_finish(&p, usage, &output, err)) {
        *result = json_parse(buf_span(&output), "bench", err);
    }
    if (*result == NULL) {
        error_prefix(err, "%s", what);
    }
    buf_free(&output);
    mem_free(log);
    return *result != NULL;
}

struct what {
    const char *key, *name;
    uint64_t agents;
};

static void figure(json_t *report, const struct what *of, const char *key, const char *label, const char *unit,
                   double value) {
    char *whole_key = str_printf("%s_%s", of->key, key), *whole_label = str_printf("%s: %s", of->name, label);
    report_figure(report, whole_key, whole_label, unit, 0, value);
    mem_free(whole_key);
    mem_free(whole_label);
}

static void write_figures(json_t *report, const struct what *of, const json_t *result,
                          const struct process_usage *usage) {
    const double virtual_s = json_number_value(json_object_get(result, "virtual_s"));
    const double events = (double)json_int(result, "events", 0);
    figure(report, of, "wall_seconds", "wall time", "s", usage->wall_s);
    figure(report, of, "cpu_seconds", "processor time", "s", usage->cpu_s);
    figure(report, of, "virtual_seconds", "virtual time", "s", virtual_s);
    figure(report, of, "virtual_per_wall", "virtual seconds per wall second", "x", virtual_s / usage->wall_s);
    figure(report, of, "events", "events", "", events);
    figure(report, of, "events_per_second", "events per wall second", "/s", events / usage->wall_s);
    figure(report, of, "peak_memory", "memory, at most", "B", usage->peak_bytes);
    figure(report, of, "memory_per_agent", "memory per agent", "B", usage->peak_bytes / (double)of->agents);
}

static bool one_task(const struct bench_simulate *b, const char *seed, json_t *report, struct error *err) {
    char *agents = str_printf("%llu", (unsigned long long)b->agents);
    const char *const argv[] = {b->self, "simulate", "--task", "echo",   "--agents",
                                agents,  "--seed",   seed,     "--json", NULL};
    char *name = str_printf("one task, %s agents", agents);
    struct process_usage usage;
    json_t *result;
    const bool ok = simulate(b, argv, name, &result, &usage, err);
    if (ok) {
        write_figures(report, &(struct what){"task", name, b->agents}, result, &usage);
        if (b->agents == GOAL_AGENTS) {
            report_goal(report, "task_wall_seconds", 0, REPORT_AT_MOST, 60);
            report_goal(report, "task_peak_memory", 0, REPORT_AT_MOST, 2e9);
        }
    }
    json_decref(result);
    mem_free(name);
    mem_free(agents);
    return ok;
}

static bool mixed_work(const struct bench_simulate *b, const char *seed, json_t *report, struct error *err) {
    char *agents = str_printf("%llu", (unsigned long long)b->busy_agents);
    char *length = str_printf("%llums", (unsigned long long)b->for_ms);
    const char *const argv[] = {b->self, "simulate", "--faults", "heavy", "--agents", agents,
                                "--for", length,     "--seed",   seed,    "--json",   NULL};
    char *name = str_printf("mixed, faults, %s agents", agents);
    struct process_usage usage;
    json_t *result;
    const bool ok = simulate(b, argv, name, &result, &usage, err);
    if (ok) {
        const struct what of = {"mixed", name, b->busy_agents};
        write_figures(report, &of, result, &usage);
        figure(report, &of, "jobs", "jobs", "", (double)json_int(result, "jobs", 0));
        figure(report, &of, "runs", "programs run", "", (double)json_int(result, "runs", 0));
        figure(report, &of, "faults", "faults", "", (double)json_int(result, "faults", 0));
        if (b->busy_agents == GOAL_BUSY_AGENTS && b->for_ms == GOAL_FOR_MS) {
            report_goal(report, "mixed_wall_seconds", 0, REPORT_AT_MOST, 10);
        }
    }
    json_decref(result);
    mem_free(name);
    mem_free(length);
    mem_free(agents);
    return ok;
}

bool bench_simulate_run(const struct bench_simulate *b, json_t *report, struct error *err) {
    char *seed = str_printf("%llu", (unsigned long long)b->seed);
    report_column(report, "dalang simulate", false);
    const bool ok = one_task(b, seed, report, err) && mixed_work(b, seed, report, err);
    mem_free(seed);
    return ok;
}
