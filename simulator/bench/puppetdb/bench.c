/* How long the fake PuppetDB takes over queries on a large fleet, and how much memory it holds.
 *
 *     puppetdb-bench [--nodes 10000] [--runs 20] [--seed 1] [--json]
 *
 * The fleet is made up in memory (about 100 facts a node). Each query runs from its text to the text of its answer, on
 * one thread; processor time of the median and the slowest run are printed. Exit 1 when `inventory` by a fact takes
 * more than 20 ms or the process holds more than 300 MB. */
#include "base/mem.h"
#include "base/option.h"
#include "fakes/puppetdb/internal.h"
#include "fakes/puppetdb/run.h"
#include "pql/ast.h"
#include "pql/query_text.h"
#include "simulator/world/sim.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { LIMIT_US = 20000, LIMIT_KB = 300 * 1024, RUNS_MAX = 1000 };

static const struct {
    const char *query;
    bool judged; /* against the limit */
} queries[] = {
    {"inventory[certname]{ facts.os.name = \"Debian\" }", true},
    {"inventory[certname]{ facts.role = \"web\" and facts.datacenter = \"fra1\" }", true},
    {"inventory[certname]{ facts.processors.count > 8 }", true},
    {"inventory[certname]{ facts.os.family ~ \"^Deb\" }", true},
    {"inventory[certname]{ trusted.extensions.pp_role = \"db\" }", true},
    {"nodes[certname]{ facts { name = \"role\" and value = \"web\" } }", false},
    {"nodes[certname]{}", false},
    {"nodes[certname]{ resources { type = \"Class\" and title = \"Role::Web\" } }", false},
    {"facts[certname, value]{ name = \"role\" }", false},
    {"fact_contents[certname]{ path ~> [\"networking\", \"interfaces\", \".*\", \"mtu\"] and value > 9000 }", false},
    {"inventory[facts.os.name, count()]{ group by facts.os.name }", false},
    {"nodes[count()]{ latest_report_status = \"failed\" }", false},
};

/* Of the processor: all is computed in memory on one thread, so other work on the machine does not count. */
static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static long resident_kb(void) {
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    long kb = 0;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, "VmRSS:", 6) == 0) {
            kb = strtol(line + 6, NULL, 10);
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return kb;
}

static int by_value(const void *a, const void *b) {
    int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;
    return left < right ? -1 : left > right;
}

/* Microseconds of one run; the size of the answer. */
static int64_t run_once(struct fake_puppetdb *p, const char *text, size_t *bytes) {
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;
    struct query_request r = {.limit = PLAN_NO_LIMIT, .offset = PLAN_NO_LIMIT};
    int64_t total, start = now_us();
    json_t *query = query_parse(span_of(text), &err);
    json_t *active = query != NULL ? ast_restrict_root(query) : NULL;
    bool ok = active != NULL && run_query(p, active, &r, &out, &total, &err);
    int64_t took = now_us() - start;
    if (!ok) {
        fprintf(stderr, "%s: %s\n", text, err.msg);
        exit(1);
    }
    *bytes = out.len;
    json_decref(query);
    json_decref(active);
    buf_free(&out);
    return took;
}

static bool measure(struct fake_puppetdb *p, size_t runs, bool json) {
    int64_t took[RUNS_MAX];
    bool good = true;
    for (size_t q = 0; q < sizeof queries / sizeof queries[0]; q++) {
        size_t bytes = 0;
        for (size_t i = 0; i < runs; i++) {
            took[i] = run_once(p, queries[q].query, &bytes);
        }
        qsort(took, runs, sizeof took[0], by_value);
        int64_t median = took[runs / 2], slowest = took[runs - 1];
        good = good && (!queries[q].judged || median <= LIMIT_US);
        if (json) {
            json_t *line = json_pack("{s:s, s:I, s:I, s:I}", "query", queries[q].query, "median_us", (json_int_t)median,
                                     "slowest_us", (json_int_t)slowest, "bytes", (json_int_t)bytes);
            char *text = json_text(line);
            puts(text);
            mem_free(text);
            json_decref(line);
        } else {
            printf("%8.2f ms  slowest %8.2f ms  %9zu bytes  %s\n", (double)median / 1000, (double)slowest / 1000, bytes,
                   queries[q].query);
        }
        fflush(stdout);
    }
    return good;
}

int main(int argc, char **argv) {
    mem_init_libraries();
    uint64_t nodes = 10000, runs = 20, seed = 1;
    bool json = false;
    const struct option options[] = {
        {OPTION_UINT, "nodes", 0, "N", "nodes to make up (10000)", &nodes},
        {OPTION_UINT, "runs", 0, "N", "runs of each query (20)", &runs},
        {OPTION_UINT, "seed", 0, "N", "seed of the fleet (1)", &seed},
        {OPTION_FLAG, "json", 0, NULL, "one JSON object a line", &json},
        OPTION_END,
    };
    const struct command_line cl = {.program = "puppetdb-bench",
                                    .synopsis = "[OPTIONS]",
                                    .summary = "Times queries of the fake PuppetDB.",
                                    .options = options};
    struct option_list rest = {0};
    struct error err = ERROR_INIT;
    enum option_result parsed = option_parse(&cl, argc, argv, &rest, &err);
    option_list_free(&rest);
    if (parsed != OPTION_PARSED) {
        fprintf(stderr, "%s%s", error_is_set(&err) ? err.msg : "", error_is_set(&err) ? "\n" : "");
        error_clear(&err);
        return parsed == OPTION_ERROR ? 2 : 0;
    }
    runs = runs == 0 ? 1 : runs > RUNS_MAX ? RUNS_MAX : runs;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = seed});
    int64_t start = now_us();
    struct fake_puppetdb *p = fake_puppetdb_new(sim_host(sim, "puppetdb"),
                                                &(struct fake_puppetdb_opts){.generate = nodes, .seed = seed}, &err);
    if (p == NULL) {
        fprintf(stderr, "%s\n", err.msg);
        return 1;
    }
    int64_t made = now_us() - start;
    bool good = measure(p, runs, json);
    long kb = resident_kb();
    if (json) {
        printf("{\"nodes\":%llu,\"filled_ms\":%lld,\"resident_kb\":%ld}\n", (unsigned long long)nodes,
               (long long)(made / 1000), kb);
    } else {
        printf("%llu nodes filled in %.1f s; %.0f MB resident\n", (unsigned long long)nodes, (double)made / 1e6,
               (double)kb / 1024);
    }
    good = good && kb <= LIMIT_KB;
    fake_puppetdb_free(p);
    sim_free(sim);
    return good ? 0 : 1;
}
