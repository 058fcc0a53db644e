/* See half_load.h. */
#include "simulator/bench/half_load.h"

#include "base/mem.h"
#include "simulator/bench/relay.h"

#include <stdlib.h>

/* A stack this busy is at its limit: bare processes that are so too tell nothing about half load. */
#define BUSY_MAX 0.9
#define TAIL_GOAL 2.0
#define TAIL_TO_FLOOR_GOAL 1.5

struct streams {
    struct steady *stack;
    struct relay_found *bare; /* the first `bare_count` of them were measured */
    size_t count, bare_count;
};

static void say(const struct half_load *h, const char *what) {
    if (h->progress != NULL) {
        h->progress(h->progress_ctx, what);
    }
}

/* ---- measuring */

/* The most nodes per second that the stack takes in small jobs; without its database, what the large job did. */
static bool find_most(const struct half_load *h, json_t *report, size_t column, double *most, struct error *err) {
    *most = h->stream.per_second;
    if (h->stream.database == NULL || h->per_second > 0) {
        return true;
    }
    *most = 0;
    for (unsigned round = 0; round < h->rounds; round++) {
        double rate;
        say(h, "small jobs, as many as it takes");
        if (!steady_saturate(&h->stream, &rate, err)) {
            return false;
        }
        *most = rate > *most ? rate : *most;
    }
    report_figure(report, "most_nodes_per_second", "small jobs, always some waiting: tasks per second", "/s", column,
                  *most);
    return true;
}

static bool measure_bare(const struct half_load *h, struct streams *s, struct relay *relay, const struct steady *beside,
                         struct error *err) {
    if (h->no_floor || h->stream.database == NULL || beside->busy <= 0 || beside->busy > BUSY_MAX) {
        return true;
    }
    const struct relay_opts opts = {.per_job = beside->per_job,
                                    .per_second = beside->per_second,
                                    .seconds = h->stream.seconds,
                                    .busy = beside->busy};
    say(h, "bare processes at that load");
    return relay_measure(relay, &opts, &s->bare[s->bare_count++], err);
}

static bool measure_streams(const struct half_load *h, double per_second, struct streams *s, struct error *err) {
    struct steady_opts opts = h->stream;
    struct relay relay = {0};
    opts.per_second = per_second;
    bool ok = true;
    for (s->count = 0; s->count < h->streams && ok; s->count++) {
        say(h, "a steady stream of small jobs at half load");
        struct steady *one = &s->stack[s->count];
        ok = steady_measure(&opts, one, err) && measure_bare(h, s, &relay, one, err);
    }
    return ok;
}

/* ---- reporting */

static double tail_ms(const struct steady *s) {
    return s->p99_ms > 0 ? s->p99_ms : s->run_p99_ms;
}

static int by_tail(const void *a, const void *b) {
    const double x = tail_ms(a), y = tail_ms(b);
    return (x > y) - (x < y);
}

static int by_bare_tail(const void *a, const void *b) {
    const double x = ((const struct relay_found *)a)->p99_ms, y = ((const struct relay_found *)b)->p99_ms;
    return (x > y) - (x < y);
}

/* Of the streams, each with all its nodes, the one with the shortest tail counts, as the best job of each size does:
 * what else is at work on the machine only adds. The middle one and the worst are given, too. */
static void report_stack(json_t *r, size_t column, const struct streams *all) {
    const struct steady *s = all->stack, *middle = &s[all->count / 2], *worst = &s[all->count - 1];
    report_figure(r, "half_nodes_per_second", "half load: tasks per second", "/s", column, s->per_second);
    report_figure(r, "half_answer_p50", "half load: a job is answered, p50", "ms", column, s->answer_p50_ms);
    report_figure(r, "half_answer_p99", "half load: a job is answered, p99", "ms", column, s->answer_p99_ms);
    report_figure(r, "half_run_p50", "half load: a node's own run, p50", "ms", column, s->run_p50_ms);
    report_figure(r, "half_run_p99", "half load: a node's own run, p99", "ms", column, s->run_p99_ms);
    if (s->p50_ms > 0) {
        report_figure(r, "half_p50", "half load: a node, due to stored, p50", "ms", column, s->p50_ms);
        report_figure(r, "half_p99", "half load: a node, due to stored, p99", "ms", column, s->p99_ms);
        report_figure(r, "half_max", "half load: a node, due to stored, longest", "ms", column, s->max_ms);
        report_figure(r, "half_worst", "half load: p99 in the worst stream", "ms", column, worst->p99_ms);
        report_figure(r, "half_tail", "half load: a node, due to stored, p99 / p50", "x", column,
                      s->p99_ms / s->p50_ms);
        report_figure(r, "half_tail_middle", "half load: p99 / p50 in the middle stream", "x", column,
                      middle->p99_ms / middle->p50_ms);
        report_goal(r, "half_tail", column, REPORT_AT_MOST, TAIL_GOAL);
    }
    report_figure(r, "half_busy", "half load: processor time taken, of all", "%", column, 100 * s->busy);
    report_figure(r, "half_stolen", "half load: processor time the host took away", "%", column, 100 * s->stolen);
    report_note(r,
                "Half load: jobs of %zu nodes at even intervals, half as many as the stack takes of them (or what "
                "--stream says), sent when they are due whatever became of the earlier ones; %zu nodes in each of %zu "
                "streams, of which the one with the lowest p99 counts. \"Due to stored\" runs from then until another "
                "process finds the node's result in the database. A node's own run is what the API calls its duration, "
                "in whole milliseconds.",
                s->per_job, s->nodes, all->count);
}

/* The floor of the stack's ratio: its own median, and p99 as far above it as in the bare processes. Their ratio alone
 * would be too high a floor: a stack has waits that are always there, such as the disk's. */
static void report_bare(json_t *r, size_t column, const struct streams *all) {
    const struct relay_found *s = all->bare, *middle = &s[all->bare_count / 2];
    double p50, tail;
    if (all->bare_count == 0 || s->p50_ms <= 0 || !report_value(r, "half_p50", column, &p50) ||
        !report_value(r, "half_tail", column, &tail)) {
        return;
    }
    const double floor = (p50 + s->p99_ms - s->p50_ms) / p50;
    report_figure(r, "bare_p50", "bare processes at that load: a node, p50", "ms", column, s->p50_ms);
    report_figure(r, "bare_p99", "bare processes at that load: a node, p99", "ms", column, s->p99_ms);
    report_figure(r, "bare_tail", "bare processes at that load: p99 / p50", "x", column, s->p99_ms / s->p50_ms);
    report_figure(r, "bare_tail_middle", "bare processes: p99 / p50 in the middle stream", "x", column,
                  middle->p99_ms / middle->p50_ms);
    report_figure(r, "bare_busy", "bare processes: processor time taken, of all", "%", column, 100 * s->busy);
    report_figure(r, "bare_stolen", "bare processes: processor time the host took away", "%", column, 100 * s->stolen);
    report_figure(r, "half_tail_floor", "half load: p99 / p50, were p99 as far above as theirs", "x", column, floor);
    report_figure(r, "half_tail_to_floor", "half load: p99 / p50, times that", "x", column, tail / floor);
    report_goal(r, "half_tail_to_floor", column, REPORT_AT_MOST, TAIL_TO_FLOOR_GOAL);
    report_note(r, "Bare processes: four that hand jobs on as client, orchestrator, broker and agents do, at the same "
                   "intervals and as busy, but do nothing except count; streams take turns with the stack's. What p99 "
                   "is above the median there is the machine's doing: its processors, its scheduler, its host.");
}

bool half_load_measure(const struct half_load *h, json_t *report, size_t column, struct error *err) {
    struct streams all = {.stack = mem_array(h->streams, sizeof(*all.stack)),
                          .bare = mem_array(h->streams, sizeof(*all.bare))};
    double most;
    const bool ok = find_most(h, report, column, &most, err) &&
                    measure_streams(h, h->per_second > 0 ? h->per_second : most / 2, &all, err);
    if (ok) {
        qsort(all.stack, all.count, sizeof(*all.stack), by_tail);
        qsort(all.bare, all.bare_count, sizeof(*all.bare), by_bare_tail);
        report_stack(report, column, &all);
        report_bare(report, column, &all);
    }
    mem_free(all.stack);
    mem_free(all.bare);
    return ok;
}
