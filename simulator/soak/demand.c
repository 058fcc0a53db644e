/* How much users ask for. Seeds with few agents ask for whatever they draw, now and then far more than can be done
 * before they end. A large fleet is one that somebody plans for: its jobs are as large as a steady load allows. Each of
 * the orchestrator's two limits is a number of places; a place gives one second of work a second, of which jobs may ask
 * for a part. What they have not asked for yet is there for a larger one. */
#include "simulator/soak/internal.h"

#include "base/mem.h"
#include "simulator/fleet/behaviour.h"

enum {
    QUANTILES = 64,
    AHEAD = 6,      /* of the whole time, what is there at its begin is one part in so many … */
    LONGEST_JOB = 4 /* … and so a job may take, whatever its own limit is */
};
static const uint64_t ON_TOP_US = SIM_SECOND; /* of what a program takes: its request, its download, its result */

static uint64_t mean_us(const struct dist *d) {
    uint64_t sum = 0;
    for (uint32_t i = 0; i < QUANTILES; i++) {
        sum += dist_quantile(d, UINT32_MAX / QUANTILES * i + UINT32_MAX / QUANTILES / 2) / QUANTILES;
    }
    return sum;
}

/* How long a node has its place. task NULL: a Puppet run. */
static uint64_t place_us(const struct soak *s, const char *task) {
    const json_t *how = task != NULL ? json_object_get(json_object_get(s->behaviours, "tasks"), task)
                                     : json_object_get(s->behaviours, "puppet_run");
    const json_t *takes = json_object_get(how, "takes");
    struct error err = ERROR_INIT;
    struct dist d;
    uint64_t us = takes != NULL && duration_dist(takes, &d, &err) ? mean_us(&d) : 0;
    error_clear(&err);
    return us + ON_TOP_US;
}

static uint64_t part(uint64_t us, uint32_t percent, uint32_t places) {
    return us / 100 * percent * places;
}

void demand_start(struct soak *s) {
    s->demand_since_us = sim_now_us(s->sim);
}

uint32_t demand_take(struct soak *s, const char *task, uint32_t nodes) {
    if (s->result->load_percent == 0) {
        return nodes;
    }
    uint64_t *asked = task != NULL ? &s->asked_tasks_us : &s->asked_deploys_us, each = place_us(s, task);
    uint64_t until_now = sim_now_us(s->sim) - s->demand_since_us + s->opts.for_us / AHEAD;
    uint64_t there = part(until_now, s->result->load_percent, task != NULL ? s->task_limit : s->deploy_limit);
    uint64_t most = there > *asked ? (there - *asked) / each : 0;
    if (nodes > most) { /* not all of it: another job may come */
        nodes = (uint32_t)rng_between(&s->rng, 1, most > 1 ? most : 1);
    }
    *asked += nodes * each;
    return nodes;
}

void demand_give_back(struct soak *s, const char *task, uint32_t nodes) {
    if (s->result->load_percent != 0) {
        *(task != NULL ? &s->asked_tasks_us : &s->asked_deploys_us) -= nodes * place_us(s, task);
    }
}

uint32_t demand_concurrency(const struct soak *s, uint32_t nodes, uint32_t drawn) {
    if (s->result->load_percent == 0) {
        return drawn;
    }
    uint64_t longest = s->opts.for_us / LONGEST_JOB + 1, least = nodes * place_us(s, NULL) / longest + 1;
    least = least < s->deploy_limit ? least : s->deploy_limit;
    return drawn > least ? drawn : (uint32_t)least;
}
