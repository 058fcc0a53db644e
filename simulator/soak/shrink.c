#include "simulator/soak/shrink.h"

#include "base/mem.h"
#include <inttypes.h>

struct shrinker {
    struct soak_opts best;
    int invariant; /* of the failure that must stay; 0: it does not converge */
    size_t runs, runs_max;
};

/* What is wrong with it: the first violation's invariant; 0: it got stuck; -1: nothing. */
static int failure_of(const struct soak_result *r) {
    return soak_good(r) ? -1 : r->violation_count != 0 ? r->violations[0].invariant : 0;
}

static bool has(const struct soak_result *r, int invariant) {
    for (size_t i = 0; i < r->violation_count; i++) {
        if (r->violations[i].invariant == invariant) {
            return true;
        }
    }
    return invariant == 0 && !soak_good(r);
}

/* Takes the candidate when it fails in the same way. */
static bool try_it(struct shrinker *s, const struct soak_opts *candidate) {
    struct soak_result r;
    if (s->runs >= s->runs_max) {
        return false;
    }
    s->runs++;
    soak_run(candidate, &r);
    bool same = has(&r, s->invariant);
    if (same) {
        s->best = *candidate;
    }
    soak_result_free(&r);
    return same;
}

/* Only kinds that occur at all. */
static bool without_a_kind(struct shrinker *s) {
    bool any = false;
    struct swarm swarm = soak_swarm(&s->best);
    for (size_t i = 0; i < swarm_kind_count(); i++) {
        if (swarm.weights[i] == 0) {
            continue;
        }
        struct soak_opts c = s->best;
        c.without |= 1u << i;
        any |= c.without != s->best.without && try_it(s, &c);
    }
    return any;
}

/* Halves a number while that still fails, then takes one off. */
static bool lower(struct shrinker *s, size_t offset, uint32_t least) {
    bool any = false;
    for (uint32_t divisor = 2; divisor != 0;) {
        struct soak_opts c = s->best;
        uint32_t *n = (uint32_t *)(void *)((char *)&c + offset);
        uint32_t smaller = divisor == 2 ? *n / 2 : *n - 1;
        if (smaller >= least && smaller < *n) {
            *n = smaller;
            if (try_it(s, &c)) {
                any = true;
                continue;
            }
        }
        divisor = divisor == 2 ? 1 : 0;
    }
    return any;
}

static bool shorter(struct shrinker *s) {
    bool any = false;
    for (;;) {
        struct soak_opts c = s->best;
        c.for_us = c.for_us / 2 / SIM_SECOND * SIM_SECOND;
        if (c.for_us < SIM_SECOND || !try_it(s, &c)) {
            return any;
        }
        any = true;
    }
}

size_t shrink(struct soak_opts *opts, size_t runs) {
    struct soak_result r;
    struct shrinker s = {.best = *opts, .runs = 1, .runs_max = runs};
    soak_run(opts, &r);
    s.invariant = failure_of(&r);
    /* From here on everything is said, not drawn, so that it can be lowered one by one. */
    s.best.agents = r.agents;
    s.best.brokers = r.brokers;
    s.best.jobs = r.jobs;
    s.best.for_us = r.for_us;
    s.best.load_percent = r.load_percent;
    soak_result_free(&r);
    if (s.invariant < 0) {
        return 0;
    }
    for (bool more = true; more && s.runs < runs;) {
        more = lower(&s, offsetof(struct soak_opts, agents), 1);
        more |= lower(&s, offsetof(struct soak_opts, jobs), 1);
        more |= shorter(&s);
        more |= lower(&s, offsetof(struct soak_opts, brokers), 1);
        more |= without_a_kind(&s);
    }
    *opts = s.best;
    return s.runs;
}

static void add_number(struct buf *out, const char *option, uint64_t n, const char *unit) {
    if (n != 0) {
        buf_printf(out, " --%s %" PRIu64 "%s", option, n, unit);
    }
}

char *shrink_command(const struct soak_opts *o, const char *workload) {
    static const char *const levels[] = {"none", "light", "heavy", "swarm"};
    struct buf out = BUF_INIT;
    buf_printf(&out, "dalang simulate --seed %" PRIu64, o->seed);
    if (o->faults != FAULTS_SWARM || o->agents != 0) { /* a fleet alone would be another kind of run */
        buf_printf(&out, " --faults %s", levels[o->faults]);
    }
    if (workload != NULL) {
        buf_printf(&out, " --workload %s", workload);
    }
    add_number(&out, "agents", o->agents, "");
    add_number(&out, "brokers", o->brokers, "");
    add_number(&out, "jobs", o->jobs, "");
    add_number(&out, "for", o->for_us / SIM_SECOND, "s");
    add_number(&out, "load", o->load_percent, "");
    bool first = true;
    for (size_t i = 0; i < swarm_kind_count(); i++) {
        if ((o->without >> i & 1u) != 0) {
            buf_printf(&out, "%s%s", first ? " --without " : ",", swarm_kind_name(i));
            first = false;
        }
    }
    if (o->v1) {
        buf_append_cstr(&out, " --v1");
    }
    return buf_take(&out);
}
