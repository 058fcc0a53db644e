/* Faults drawn from a seed: which kinds there are, how often, how long, whom they hit. */
#include "simulator/faults/internal.h"

#include "base/mem.h"
#include <inttypes.h>
#include <string.h>

bool faults_level_parse(const char *text, enum faults_level *out) {
    static const char *const names[] = {"none", "light", "heavy", "swarm"};
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = (enum faults_level)i;
            return true;
        }
    }
    return false;
}

size_t swarm_kind_count(void) {
    return swarm_table_count;
}

const char *swarm_kind_name(size_t kind) {
    return swarm_table[kind].name;
}

bool swarm_kinds_parse(const char *text, uint32_t *out) {
    struct span rest = span_of(text), name;
    uint32_t kinds = 0;
    while (span_split(&rest, ',', &name)) {
        size_t i = 0;
        while (i < swarm_table_count && !span_eq_cstr(name, swarm_table[i].name)) {
            i++;
        }
        if (i == swarm_table_count) {
            return false;
        }
        kinds |= 1u << i;
    }
    *out = kinds;
    return true;
}

static struct swarm drawn(struct rng *rng) {
    struct swarm s = {
        .every_us = rng_between(rng, 200, 20000) * SIM_MS,
        .least_us = rng_between(rng, 10, 1000) * SIM_MS,
        .ratio_least_ppm = (uint32_t)rng_between(rng, 100, 10000),
        .at_once_max = rng_between(rng, 1, 5),
    };
    s.most_us = s.least_us + rng_between(rng, 100, 60000) * SIM_MS;
    s.ratio_most_ppm = s.ratio_least_ppm + (uint32_t)rng_between(rng, 1000, 300000);
    for (size_t i = 0; i < swarm_table_count; i++) { /* half of the kinds, so that each has runs of its own */
        s.weights[i] = rng_chance(rng, 500000) ? (uint32_t)rng_between(rng, 1, 10) : 0;
    }
    return s;
}

static void take_weights(struct swarm *s, enum faults_level level) {
    for (size_t i = 0; i < swarm_table_count; i++) {
        s->weights[i] = level == FAULTS_LIGHT ? swarm_table[i].light : swarm_table[i].heavy;
    }
}

struct swarm swarm_of(enum faults_level level, struct rng *rng) {
    static const struct swarm light = {
        .every_us = 20 * SIM_SECOND,
        .least_us = 500 * SIM_MS,
        .most_us = 10 * SIM_SECOND,
        .ratio_least_ppm = 1000,
        .ratio_most_ppm = 20000,
        .at_once_max = 2,
    };
    static const struct swarm heavy = {
        .every_us = 2 * SIM_SECOND,
        .least_us = 500 * SIM_MS,
        .most_us = 60 * SIM_SECOND,
        .ratio_least_ppm = 10000,
        .ratio_most_ppm = 300000,
        .at_once_max = 6,
    };
    struct swarm s = {0};
    switch (level) {
    case FAULTS_LIGHT:
    case FAULTS_HEAVY:
        s = level == FAULTS_LIGHT ? light : heavy;
        take_weights(&s, level);
        break;
    case FAULTS_SWARM:
        s = drawn(rng);
        break;
    case FAULTS_NONE:
        break;
    }
    return s;
}

char *swarm_text(const struct swarm *s) {
    struct buf text = BUF_INIT;
    buf_printf(&text,
               "every %" PRIu64 " ms, for %" PRIu64 "-%" PRIu64 " ms, at most %zu at once:", s->every_us / SIM_MS,
               s->least_us / SIM_MS, s->most_us / SIM_MS, s->at_once_max);
    for (size_t i = 0; i < swarm_table_count; i++) {
        if (s->weights[i] != 0) {
            buf_printf(&text, " %s %u", swarm_table[i].name, s->weights[i]);
        }
    }
    return buf_take(&text);
}

static uint64_t next_in_us(struct faults *f) {
    struct dist d = dist_exponential(f->swarm.every_us);
    return dist_draw(&d, &f->swarm_rng) + 1;
}

static void on_swarm(void *ctx) {
    struct faults *f = ctx;
    const struct swarm_kind *kind = &swarm_table[rng_pick(&f->swarm_rng, f->swarm.weights, swarm_table_count)];
    uint64_t next_us = next_in_us(f);
    if (faults_active(f) < f->swarm.at_once_max) {
        json_t *spec = kind->draw(f);
        if (kind->lasts) {
            json_set(spec, "for", swarm_ms(f, f->swarm.least_us, f->swarm.most_us));
        }
        struct error err = ERROR_INIT;
        if (!faults_apply(f, spec, &err)) {
            sim_note(f->sim, NULL, err.msg);
            error_clear(&err);
        }
        json_decref(spec);
    }
    if (sim_now_us(f->sim) + next_us < f->swarm_until_us) {
        sim_timer_start(f->sim, &f->swarm_timer, next_us, on_swarm, f);
    }
}

static bool possible(const struct faults *f, const struct swarm_kind *kind) {
    const struct faults_hooks *h = &f->hooks;
    const struct swarm_targets *t = &f->targets;
    return (!kind->crashes || (h->crash != NULL && h->restart != NULL)) && (!kind->of_agents || t->agent_count != 0) &&
           (!kind->of_services || (h->service != NULL && t->service_count != 0)) &&
           (!kind->revokes || (h->revoke != NULL && h->renew != NULL));
}

void faults_swarm(struct faults *f, const struct swarm *swarm, const struct swarm_targets *targets, uint64_t for_us,
                  struct rng rng) {
    uint64_t sum = 0;
    f->swarm = *swarm;
    f->targets = *targets;
    f->swarm_rng = rng;
    f->swarm_until_us = sim_now_us(f->sim) + for_us;
    for (size_t i = 0; i < swarm_table_count; i++) {
        if (!possible(f, &swarm_table[i])) {
            f->swarm.weights[i] = 0;
        }
        sum += f->swarm.weights[i];
    }
    uint64_t first_us = sum != 0 && targets->component_count != 0 ? next_in_us(f) : for_us;
    if (first_us < for_us) {
        sim_timer_start(f->sim, &f->swarm_timer, first_us, on_swarm, f);
    }
}

void swarm_stop(struct faults *f) {
    sim_timer_stop(f->sim, &f->swarm_timer);
}
