/* dalang-soak: seeds, one after the other, a JSON line each; ends with 1 when one was not good. For finding bugs;
 * people use `dalang simulate`. */
#include "simulator/soak/soak.h"

#include "base/mem.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void on_event(void *ctx, const struct sim_event *e) {
    (void)ctx;
    printf("%12.6f %-24s %-8s %llu%s %s", (double)e->at_us / 1e6, e->host, sim_event_kind_name(e->kind),
           (unsigned long long)e->id, e->server_end ? "s" : "", e->text);
    if (e->bytes.len != 0) {
        printf(" [%zu] ", e->bytes.len);
        for (size_t i = 0; i < e->bytes.len && i < 600; i++) {
            char c = e->bytes.ptr[i];
            putchar(c >= ' ' && c < 127 ? c : '.');
        }
    }
    putchar('\n');
}

static struct sim_watcher watcher;

static void started(void *ctx, struct sim *sim) {
    (void)ctx;
    sim_watch(sim, &watcher, on_event, NULL);
}

static void ended(void *ctx, struct sim *sim) {
    (void)ctx;
    sim_unwatch(sim, &watcher);
}

int main(int argc, char **argv) {
    struct soak_opts opts = {.faults = FAULTS_SWARM};
    uint64_t from = 1, to = 1;
    bool until_bad = false;
    mem_init_libraries();
    for (int i = 1; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        value = value != NULL ? value + 1 : "";
        uint64_t number = strtoull(value, NULL, 10);
        if (strncmp(argv[i], "--seeds=", 8) == 0) {
            const char *dots = strstr(value, "..");
            from = number;
            to = dots != NULL ? strtoull(dots + 2, NULL, 10) : from;
        } else if (strncmp(argv[i], "--agents=", 9) == 0) {
            opts.agents = (uint32_t)number;
        } else if (strncmp(argv[i], "--brokers=", 10) == 0) {
            opts.brokers = (uint32_t)number;
        } else if (strncmp(argv[i], "--jobs=", 7) == 0) {
            opts.jobs = (uint32_t)number;
        } else if (strncmp(argv[i], "--seconds=", 10) == 0) {
            opts.for_us = number * SIM_SECOND;
        } else if (strcmp(argv[i], "--v1") == 0) {
            opts.v1 = true;
        } else if (strcmp(argv[i], "--until-bad") == 0) {
            until_bad = true;
        } else if (strcmp(argv[i], "--trace") == 0) {
            opts.started = started;
            opts.ended = ended;
        } else if (strncmp(argv[i], "--faults=", 9) != 0 || !faults_level_parse(value, &opts.faults)) {
            fprintf(stderr,
                    "usage: %s [--seeds=A..B] [--faults=none|light|heavy|swarm] [--agents=N] [--brokers=N] "
                    "[--jobs=N] [--seconds=N] [--v1] [--until-bad] [--trace]\n",
                    argv[0]);
            return 2;
        }
    }
    bool good = true;
    for (uint64_t seed = from; seed <= to && (good || !until_bad); seed++) {
        struct soak_result r;
        opts.seed = seed;
        soak_run(&opts, &r);
        json_t *line = soak_result_json(&r);
        char *text = json_text(line);
        puts(text);
        fflush(stdout);
        good = good && soak_good(&r);
        mem_free(text);
        json_decref(line);
        soak_result_free(&r);
    }
    return good ? 0 : 1;
}
