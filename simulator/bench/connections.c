/* Connections: what each costs a broker, how many a second, and a storm of them. */
#include "simulator/bench/broker_internal.h"

enum { FIRST = 100, THOUSAND = 1000, UPDATE_WAIT_MS = 1300 };

static const struct report_axes memory_axes = {"Memory over connections", "idle connections", "bytes", false, false};

struct step {
    size_t count;
    const char *key, *label;
};
static const struct step step_100 = {FIRST, "memory_per_connection_100", "memory per idle connection, at 100"},
                         step_1000 = {THOUSAND, "memory_per_connection_1000", "memory per idle connection, at 1,000"};

struct curves {
    json_t *of[BENCH_TARGETS_MAX + 1];
};

static void note_memory(struct run *r, struct curves *c, size_t column, int64_t pid, double empty, size_t count,
                        const char *key, const char *label) {
    if (pid != 0 && count > WARM_CONNECTIONS) {
        const double now = (double)process_anon_bytes(pid);
        report_figure(r->report, key, label, "B", column, (now - empty) / (double)(count - WARM_CONNECTIONS));
        report_point(c->of[column], (double)count, now);
    }
}

static double floor_empty(const struct run *r) {
    double empty = 0;
    report_value(r->report, "memory_empty", 0, &empty);
    return empty;
}

static void note_all(struct run *r, struct curves *c, const struct step *step) {
    for (size_t i = 0; i < r->b->target_count; i++) {
        const struct subject *s = &r->subjects[i];
        note_memory(r, c, s->column, s->pid, s->memory_empty, load_counts(s->v2).connections, step->key, step->label);
    }
    if (r->with_floor) {
        note_memory(r, c, 0, r->floor.process.pid, floor_empty(r), echo_client_count(r->floor.client), step->key,
                    step->label);
    }
}

/* ---- rounds */

static bool grow(struct run *r, struct subject *s, size_t count, struct best *best, struct error *err) {
    const size_t more = count - load_counts(s->v2).connections;
    const double cpu = process_cpu_us(s->pid), begin = clock_s();
    if (!load_open(s->v2, count, IN_PROGRESS, err)) {
        return error_prefix(err, "%s", s->name);
    }
    best_note(best, (process_cpu_us(s->pid) - cpu) / (double)more, (double)more / (clock_s() - begin));
    (void)r;
    return true;
}

static bool grow_floor(struct run *r, size_t count, struct best *best, struct error *err) {
    const size_t more = count - echo_client_count(r->floor.client);
    const double cpu = process_cpu_us(r->floor.process.pid), begin = clock_s();
    if (!floor_grow(&r->floor, count, err)) {
        return false;
    }
    best_note(best, (process_cpu_us(r->floor.process.pid) - cpu) / (double)more, (double)more / (clock_s() - begin));
    return true;
}

struct bests {
    struct best floor, of[BENCH_TARGETS_MAX];
};

static bool grow_all(struct run *r, size_t count, struct bests *bests, struct error *err) {
    bool ok = true;
    for (size_t i = 0; ok && i < r->b->target_count; i++) {
        ok = grow(r, &r->subjects[i], count, &bests->of[i], err);
    }
    return ok && (!r->with_floor || grow_floor(r, count, &bests->floor, err));
}

static void report_connecting(struct run *r, const struct bests *bests) {
    static const char *const cpu = "cpu_per_connection", *const rate = "connections_per_second";
    for (size_t i = 0; i < r->b->target_count; i++) {
        const struct subject *s = &r->subjects[i];
        if (s->pid != 0) {
            report_figure(r->report, cpu, "CPU per new connection", "us", s->column, bests->of[i].cpu_us);
        }
        report_figure(r->report, rate, "new connections per second", "/s", s->column, bests->of[i].per_second);
    }
    if (r->with_floor) {
        report_figure(r->report, cpu, "CPU per new connection", "us", 0, bests->floor.cpu_us);
        report_figure(r->report, rate, "new connections per second", "/s", 0, bests->floor.per_second);
    }
}

/* ---- the storm: all the rest at once, while somebody watches the inventory */

static bool storm(struct run *r, struct curves *c, struct subject *s, struct error *err) {
    struct watch watch;
    if (!watch_start(&watch, &s->opts, err)) {
        watch_end(&watch);
        return error_prefix(err, "%s", s->name);
    }
    const struct load_counts before = load_counts(s->v2);
    const size_t more = r->b->connections - before.connections;
    load_idle(s->v2, UPDATE_WAIT_MS);
    watch_reset(&watch);
    const double cpu = process_cpu_us(s->pid), begin = clock_s();
    bool ok = load_open(s->v2, r->b->connections, SIZE_MAX, err) || error_prefix(err, "%s: storm", s->name);
    const double took = clock_s() - begin;
    s->connect_us[1] = (process_cpu_us(s->pid) - cpu) / (double)more;
    load_idle(s->v2, UPDATE_WAIT_MS); /* the last update */
    if (ok && watch.changes != more) {
        ok = error_set(err, "bench", "%s: %zu clients connected and the inventory's subscriber was told of %zu",
                       s->name, more, watch.changes);
    }
    if (ok) {
        const size_t refused = load_counts(s->v2).refused - before.refused;
        json_t *report = r->report;
        report_figure(report, "storm_seconds", "storm: until all are connected", "s", s->column, took);
        report_figure(report, "storm_refused", "storm: connections dropped by it", "", s->column, (double)refused);
        report_figure(report, "storm_updates_per_second", "storm: updates a subscriber gets per second", "/s ",
                      s->column, (double)watch.updates / (took + UPDATE_WAIT_MS / 1000.0));
        if (s->pid != 0) {
            report_figure(report, "storm_cpu_per_connection", "storm: CPU per new connection", "us", s->column,
                          s->connect_us[1]);
            report_figure(report, "storm_cpu_growth", "storm: that, times the one of the first", "x", s->column,
                          s->connect_us[1] / s->connect_us[0]);
        }
        note_memory(r, c, s->column, s->pid, s->memory_empty, r->b->connections, "memory_per_connection",
                    "memory per idle connection, at most");
    }
    watch_end(&watch);
    load_shrink(s->v2, THOUSAND);
    return ok;
}

static bool grow_floor_to_the_end(struct run *r, struct curves *c, struct error *err) {
    struct best best = {0};
    if (!grow_floor(r, r->b->connections, &best, err)) {
        return false;
    }
    report_figure(r->report, "storm_cpu_per_connection", "storm: CPU per new connection", "us", 0, best.cpu_us);
    note_memory(r, c, 0, r->floor.process.pid, floor_empty(r), r->b->connections, "memory_per_connection",
                "memory per idle connection, at most");
    floor_drop(&r->floor);
    return floor_grow(&r->floor, THOUSAND, err);
}

bool measure_connections(struct run *r, struct error *err) {
    struct curves c = {0};
    struct bests first = {0}, bests = {0};
    if (r->with_floor) {
        c.of[0] = report_series(r->report, &memory_axes, "bare OpenSSL");
    }
    for (size_t i = 0; i < r->b->target_count; i++) {
        c.of[r->subjects[i].column] = report_series(r->report, &memory_axes, r->subjects[i].name);
    }
    const size_t few = r->b->connections < FIRST ? r->b->connections : FIRST;
    const size_t many = r->b->connections < THOUSAND ? r->b->connections : THOUSAND;
    run_progress(r, "%zu connections", few);
    if (!grow_all(r, few, &first, err)) {
        return false;
    }
    note_all(r, &c, &step_100);
    for (unsigned round = 1; round <= r->b->rounds && many > few; round++) {
        run_progress(r, "%zu connections, round %u of %u", many, round, r->b->rounds);
        if (!grow_all(r, few + (many - few) * round / r->b->rounds, &bests, err)) {
            return false;
        }
    }
    report_connecting(r, many > few ? &bests : &first);
    if (many > few) {
        note_all(r, &c, &step_1000);
    }
    for (size_t i = 0; i < r->b->target_count; i++) {
        r->subjects[i].connect_us[0] = many > few ? bests.of[i].cpu_us : first.of[i].cpu_us;
    }
    for (size_t i = 0; r->b->connections > many && i < r->b->target_count; i++) {
        run_progress(r, "storm: %zu connections to %s", r->b->connections, r->subjects[i].name);
        if (!storm(r, &c, &r->subjects[i], err)) {
            return false;
        }
    }
    return r->b->connections <= many || !r->with_floor || grow_floor_to_the_end(r, &c, err);
}
