/* Messages: what a routed one costs, how many a second, and how long each takes at a given rate. */
#include "simulator/bench/broker_internal.h"

#include "base/mem.h"

enum { PROTOCOLS = 2, WARM_MS = 1000, MAX_WINDOW = 16, DRAW_POINTS = 40 };

static const struct route {
    const char *name, *cpu_key, *cpu_label, *rate_key, *rate_label;
    enum pcp_version from;
} routes[PROTOCOLS] = {
    {"v2 to v2", "cpu_per_message_v2", "CPU per message, v2 to v2", "messages_per_second_v2",
     "messages per second, v2 to v2", PCP_V2},
    {"v1 to v2", "cpu_per_message_v1_to_v2", "CPU per message, v1 to v2", "messages_per_second_v1_to_v2",
     "messages per second, v1 to v2", PCP_V1},
};

static struct traffic *traffic_of(struct run *r, struct subject *s, const struct route *route) {
    const bool v1 = route->from == PCP_V1;
    return traffic_new(&(struct traffic_opts){
        .from = v1 ? s->v1 : s->v2,
        .from_inbox = v1 ? &s->v1_inbox : &s->v2_inbox,
        .to = s->v2,
        .to_inbox = &s->v2_inbox,
        .from_first = v1 ? 0 : r->b->active,
        .to_first = 0,
        .pairs = r->b->active,
        .size = r->b->size,
    });
}

static bool open_v1(struct run *r, struct subject *s, struct error *err) {
    if (s->v1_url[0] == '\0') {
        return true;
    }
    struct load_opts opts = s->opts;
    opts.url = s->v1_url;
    opts.version = PCP_V1;
    opts.prefix = "bench1";
    opts.ctx = &s->v1_inbox;
    s->v1 = load_new(&opts, err);
    return (s->v1 != NULL && load_open(s->v1, r->b->active, IN_PROGRESS, err)) ||
           error_prefix(err, "%s, version 1", s->name);
}

/* ---- closed loop */

static bool one_round(struct run *r, struct subject *s, const struct route *route, size_t window, struct best *best,
                      struct error *err) {
    struct traffic *t = traffic_of(r, s, route);
    const double cpu = process_cpu_us(s->pid);
    const bool ok = traffic_closed(t, r->b->messages / r->b->rounds, window, &r->result, err) ||
                    error_prefix(err, "%s, %s", s->name, route->name);
    best_note(best, (process_cpu_us(s->pid) - cpu) / (double)r->result.received, r->result.per_second);
    traffic_free(t);
    return ok;
}

static bool floor_round(struct run *r, struct best *best, struct error *err) {
    const uint64_t messages = r->b->messages / r->b->rounds;
    const double cpu = process_cpu_us(r->floor.process.pid), begin = clock_s();
    if (!floor_echo(&r->floor, r->b->active, messages, err)) {
        return false;
    }
    best_note(best, (process_cpu_us(r->floor.process.pid) - cpu) / (double)messages,
              (double)messages / (clock_s() - begin));
    return true;
}

struct bests {
    struct best floor, of[BENCH_TARGETS_MAX][PROTOCOLS], max[BENCH_TARGETS_MAX];
};

static bool all_once(struct run *r, struct bests *bests, struct error *err) {
    bool ok = !r->with_floor || floor_round(r, &bests->floor, err);
    for (size_t i = 0; ok && i < r->b->target_count; i++) {
        struct subject *s = &r->subjects[i];
        for (size_t k = 0; ok && k < PROTOCOLS; k++) {
            ok = (routes[k].from == PCP_V1 && s->v1 == NULL) || one_round(r, s, &routes[k], 1, &bests->of[i][k], err);
        }
        ok = ok && one_round(r, s, &routes[0], MAX_WINDOW, &bests->max[i], err);
    }
    return ok;
}

static void report_messages(struct run *r, const struct bests *bests) {
    json_t *report = r->report;
    for (size_t k = 0; k < PROTOCOLS; k++) {
        if (r->with_floor) { /* an echo has no versions */
            report_figure(report, routes[k].cpu_key, routes[k].cpu_label, "us", 0, bests->floor.cpu_us);
            report_figure(report, routes[k].rate_key, routes[k].rate_label, "/s", 0, bests->floor.per_second);
        }
        for (size_t i = 0; i < r->b->target_count; i++) {
            const struct subject *s = &r->subjects[i];
            const struct best *best = &bests->of[i][k];
            if (best->any && s->pid != 0) {
                report_figure(report, routes[k].cpu_key, routes[k].cpu_label, "us", s->column, best->cpu_us);
            }
            if (best->any) {
                report_figure(report, routes[k].rate_key, routes[k].rate_label, "/s", s->column, best->per_second);
            }
        }
    }
    for (size_t i = 0; i < r->b->target_count; i++) {
        struct subject *s = &r->subjects[i];
        s->usual_per_second = bests->of[i][0].per_second;
        report_figure(report, "messages_per_second_max", "messages per second, 16 of each pair under way", "/s",
                      s->column, bests->max[i].per_second);
        if (s->pid != 0) {
            report_figure(report, "cpu_per_message_max", "CPU per message, at that rate", "us", s->column,
                          bests->max[i].cpu_us);
        }
    }
}

bool measure_messages(struct run *r, struct error *err) {
    struct bests bests = {0};
    for (size_t i = 0; i < r->b->target_count; i++) {
        struct subject *s = &r->subjects[i];
        if (!load_open(s->v2, 2 * r->b->active, IN_PROGRESS, err) || !open_v1(r, s, err)) {
            return false;
        }
    }
    if (r->with_floor && !floor_grow(&r->floor, r->b->active, err)) {
        return false;
    }
    for (unsigned round = 1; round <= r->b->rounds; round++) {
        run_progress(r, "%llu messages, round %u of %u", (unsigned long long)r->b->messages, round, r->b->rounds);
        if (!all_once(r, &bests, err)) {
            return false;
        }
    }
    report_messages(r, &bests);
    return true;
}

/* ---- open loop */

static const struct level {
    double part;
    const char *name;
    const char *keys[4], *labels[4];
} levels[] = {
    {0.5,
     "50 %",
     {"latency_p50_at_50", "latency_p99_at_50", "latency_p999_at_50", "missing_at_50"},
     {"latency at 50 % of the v2 to v2 rate: p50", "latency at 50 % of the v2 to v2 rate: p99",
      "latency at 50 % of the v2 to v2 rate: p99.9", "messages lost at 50 % of that rate"}},
    {0.8,
     "80 %",
     {"latency_p50_at_80", "latency_p99_at_80", "latency_p999_at_80", "missing_at_80"},
     {"latency at 80 % of the v2 to v2 rate: p50", "latency at 80 % of the v2 to v2 rate: p99",
      "latency at 80 % of the v2 to v2 rate: p99.9", "messages lost at 80 % of that rate"}},
};

/* The distribution: latency over the part of messages that took longer, 1 in 10, 100 … */
static void draw(struct run *r, const struct subject *s, const struct level *level) {
    static const struct report_axes spread = {"Latency percentiles", "1 in … messages takes longer", "microseconds",
                                              true, true},
                                    over_time = {"Throughput over time", "seconds", "messages per second", false,
                                                 false},
                                    worst = {"Longest latency over time", "seconds", "microseconds", false, true};
    char *name = str_printf("%s, %s", s->name, level->name);
    const struct traffic_result *t = &r->result;
    json_t *series = report_series(r->report, &spread, name);
    double rarity = 1.1;
    for (int i = 0; i < DRAW_POINTS && rarity * 2 < (double)t->received; i++) {
        report_point(series, rarity, (double)histogram_percentile(&t->latency_ns, 100 - 100 / rarity) / 1000);
        rarity *= 1.4;
    }
    json_t *rates = report_series(r->report, &over_time, name), *longest = report_series(r->report, &worst, name);
    for (int i = 0; i < TRAFFIC_BINS; i++) {
        const double at = (i + 0.5) * t->bin_seconds;
        report_point(rates, at, (double)t->bin_received[i] / t->bin_seconds);
        if (t->bin_received[i] > 0) {
            report_point(longest, at, (double)t->bin_max_ns[i] / 1000);
        }
    }
    mem_free(name);
}

static bool at_level(struct run *r, struct subject *s, const struct level *level, struct error *err) {
    static const double percents[] = {50, 99, 99.9};
    struct traffic *t = traffic_of(r, s, &routes[0]);
    const double rate = s->usual_per_second * level->part;
    run_progress(r, "latency of %s at %.0f messages per second", s->name, rate);
    const bool ok =
        traffic_open(t, rate, r->b->for_ms < WARM_MS ? r->b->for_ms : WARM_MS, r->b->for_ms, &r->result, err) ||
        error_prefix(err, "%s", s->name);
    if (ok) {
        for (size_t i = 0; i < 3; i++) {
            report_figure(r->report, level->keys[i], level->labels[i], "us", s->column,
                          (double)histogram_percentile(&r->result.latency_ns, percents[i]) / 1000);
        }
        report_figure(r->report, level->keys[3], level->labels[3], "", s->column,
                      (double)(r->result.sent - r->result.received));
        report_goal(r->report, level->keys[3], s->column, REPORT_AT_MOST, 0);
        draw(r, s, level);
    }
    traffic_free(t);
    return ok;
}

bool measure_latency(struct run *r, struct error *err) {
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof(levels) / sizeof(levels[0]); i++) {
        for (size_t k = 0; ok && k < r->b->target_count; k++) {
            ok = at_level(r, &r->subjects[k], &levels[i], err);
        }
    }
    return ok;
}
