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

static size_t write_figures(json_t *report, const char *column_name, const json_t *result,
                            const struct process_usage *usage, uint64_t agents) {
    const size_t column = report_column(report, column_name, false);
    const double virtual_s = json_number_value(json_object_get(result, "virtual_s"));
    const double events = (double)json_int(result, "events", 0);
    report_figure(report, "wall_seconds", "wall time", "s", column, usage->wall_s);
    report_figure(report, "cpu_seconds", "processor time", "s", column, usage->cpu_s);
    report_figure(report, "virtual_seconds", "virtual time", "s", column, virtual_s);
    report_figure(report, "virtual_per_wall", "virtual seconds per wall second", "x", column,
                  virtual_s / usage->wall_s);
    report_figure(report, "events", "events", "", column, events);
    report_figure(report, "events_per_second", "events per wall second", "/s", column, events / usage->wall_s);
    report_figure(report, "peak_memory", "memory, at most", "B", column, usage->peak_bytes);
    report_figure(report, "memory_per_agent", "memory per agent", "B", column, usage->peak_bytes / (double)agents);
    return column;
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
        const size_t column = write_figures(report, name, result, &usage, b->agents);
        if (b->agents == GOAL_AGENTS) {
            report_goal(report, "wall_seconds", column, REPORT_AT_MOST, 60);
            report_goal(report, "peak_memory", column, REPORT_AT_MOST, 2e9);
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
        const size_t column = write_figures(report, name, result, &usage, b->busy_agents);
        report_figure(report, "faults", "faults", "", column, (double)json_int(result, "faults", 0));
        if (b->busy_agents == GOAL_BUSY_AGENTS && b->for_ms == GOAL_FOR_MS) {
            report_goal(report, "wall_seconds", column, REPORT_AT_MOST, 10);
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
    const bool ok = one_task(b, seed, report, err) && mixed_work(b, seed, report, err);
    mem_free(seed);
    return ok;
}
