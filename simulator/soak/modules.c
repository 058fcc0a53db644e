/* The tasks that the Puppet Server of a soak has, and what agents do with them. */
#include "simulator/soak/internal.h"

#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { STEADY_SPREAD = 4 };

static const struct {
    const char *name, *json;
} tasks[] = {
    {"soak::echo", "{\"input_method\": \"both\", \"parameters\": {\"message\": {\"type\": \"String\"}}}"},
    {"soak::flaky", "{\"input_method\": \"stdin\"}"},
    {"soak::secret",
     "{\"input_method\": \"stdin\", \"parameters\": {\"password\": {\"type\": \"String\", \"sensitive\": true}}}"},
};

/* "app" is app/tasks/init, "app::restart" is app/tasks/restart. */
static bool write_task(struct world *w, const char *dir, const char *name, const char *json, struct error *err) {
    const char *colons = strstr(name, "::");
    struct span module = colons != NULL ? span_bytes(name, (size_t)(colons - name)) : span_of(name);
    const char *task = colons != NULL ? colons + 2 : "init";
    char *at = str_printf("%s/%.*s/tasks", dir, (int)module.len, module.ptr),
         *text = str_printf("#!/bin/sh\n# %s\n", task);
    char *metadata = str_printf("%s/%s.json", at, task), *file = str_printf("%s/%s.sh", at, task);
    bool ok = world_file_mkdir(w, at, 0755, true, err) &&
              world_file_write(w, metadata, span_of(json), 0644, WORLD_WRITE_PLAIN, err) &&
              world_file_write(w, file, span_of(text), 0755, WORLD_WRITE_PLAIN, err);
    mem_free(file);
    mem_free(metadata);
    mem_free(text);
    mem_free(at);
    return ok;
}

bool soak_fill_modules(void *ctx, struct world *puppetserver, const char *dir, struct error *err) {
    const struct workload *own = ((const struct soak *)ctx)->opts.workload;
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof(tasks) / sizeof(tasks[0]); i++) {
        ok = write_task(puppetserver, dir, tasks[i].name, tasks[i].json, err);
    }
    for (size_t i = 0; ok && own != NULL && i < own->count; i++) {
        const char *name = own->items[i].task;
        if (name != NULL && strncmp(name, "soak::", 6) != 0) {
            ok = write_task(puppetserver, dir, name, "{}", err);
        }
    }
    return ok;
}

/* Steady: none that takes for hours, as one in a thousand does when p99 is far from p50. */
static json_t *duration(struct rng *rng, bool steady) {
    uint64_t p50 = rng_between(rng, 1, 20000), p99 = p50 + rng_between(rng, 1, 60000);
    p99 = steady && p99 > STEADY_SPREAD * p50 ? STEADY_SPREAD * p50 : p99;
    char a[24], b[24];
    snprintf(a, sizeof(a), "%" PRIu64 "ms", p50);
    snprintf(b, sizeof(b), "%" PRIu64 "ms", p99);
    return json_pack("{s:{s:s, s:s}}", "lognormal", "p50", a, "p99", b);
}

json_t *soak_behaviours(const struct workload *workload, struct rng *rng, int flaky_exit, bool steady) {
    json_t *all = json_pack("{s:{s:{s:o, s:s}, s:{s:o, s:s, s:i}, s:{s:o, s:s}}, s:{s:o, s:{s:f, s:f, s:f}}}", "tasks",
                            "soak::echo", "takes", duration(rng, steady), "stdout", "{\"said\": \"{params.message}\"}",
                            "soak::flaky", "takes", duration(rng, steady), "stderr", "it broke", "exit", flaky_exit,
                            "soak::secret", "takes", duration(rng, steady), "stdout", "{\"done\": true}", "puppet_run",
                            "takes", duration(rng, steady), "status", "unchanged", 0.6, "changed", 0.3, "failed", 0.1);
    if (workload != NULL) {
        const json_t *run = json_object_get(workload->file, "puppet_run");
        json_object_update(json_object_get(all, "tasks"), json_object_get(workload->file, "tasks"));
        if (run != NULL) {
            json_set(all, "puppet_run", json_deep_copy(run));
        }
    }
    return all;
}
