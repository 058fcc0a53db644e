/* Faults drawn from a seed: which kinds there are, how often, how long, whom they hit. */
#include "simulator/faults/internal.h"

#include "base/mem.h"
#include <inttypes.h>
#include <string.h>

enum swarm_kind {
    SWARM_RESTART_COMPONENT,
    SWARM_POWER_COMPONENT,
    SWARM_RESTART_AGENT,
    SWARM_POWER_AGENT,
    SWARM_PAUSE,
    SWARM_PARTITION,
    SWARM_ONE_WAY,
    SWARM_DELAY,
    SWARM_DROP,
    SWARM_THROTTLE,
    SWARM_CORRUPT,
    SWARM_RESET,
    SWARM_HALF_CLOSE,
    SWARM_DISK,
    SWARM_CLOCK,
    SWARM_SERVICE,
    SWARM_KINDS,
};

static const char *const kind_names[SWARM_KINDS] = {
    "restart", "power",    "restart-agent", "power-agent", "pause",      "partition", "one-way", "delay",
    "drop",    "throttle", "corrupt",       "reset",       "half-close", "disk",      "clock",   "service",
};

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
    return SWARM_KINDS;
}

const char *swarm_kind_name(size_t kind) {
    return kind_names[kind];
}

bool swarm_kinds_parse(const char *text, uint32_t *out) {
    struct span rest = span_of(text), name;
    uint32_t kinds = 0;
    while (span_split(&rest, ',', &name)) {
        size_t i = 0;
        while (i < SWARM_KINDS && !span_eq_cstr(name, kind_names[i])) {
            i++;
        }
        if (i == SWARM_KINDS) {
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
    for (size_t i = 0; i < SWARM_KINDS; i++) { /* half of the kinds, so that each has runs of its own */
        s.weights[i] = rng_chance(rng, 500000) ? (uint32_t)rng_between(rng, 1, 10) : 0;
    }
    return s;
}

struct swarm swarm_of(enum faults_level level, struct rng *rng) {
    static const struct swarm light = {
        .every_us = 20 * SIM_SECOND,
        .least_us = 500 * SIM_MS,
        .most_us = 10 * SIM_SECOND,
        .weights = {1, 0, 2, 0, 1, 2, 1, 4, 4, 2, 1, 4, 1, 0, 0, 1},
        .ratio_least_ppm = 1000,
        .ratio_most_ppm = 20000,
        .at_once_max = 2,
    };
    static const struct swarm heavy = {
        .every_us = 2 * SIM_SECOND,
        .least_us = 500 * SIM_MS,
        .most_us = 60 * SIM_SECOND,
        .weights = {3, 2, 6, 3, 2, 4, 3, 3, 4, 2, 3, 6, 3, 2, 1, 3},
        .ratio_least_ppm = 10000,
        .ratio_most_ppm = 300000,
        .at_once_max = 6,
    };
    switch (level) {
    case FAULTS_LIGHT:
        return light;
    case FAULTS_HEAVY:
        return heavy;
    case FAULTS_SWARM:
        return drawn(rng);
    case FAULTS_NONE:
        break;
    }
    return (struct swarm){0};
}

char *swarm_text(const struct swarm *s) {
    struct buf text = BUF_INIT;
    buf_printf(&text,
               "every %" PRIu64 " ms, for %" PRIu64 "-%" PRIu64 " ms, at most %zu at once:", s->every_us / SIM_MS,
               s->least_us / SIM_MS, s->most_us / SIM_MS, s->at_once_max);
    for (size_t i = 0; i < SWARM_KINDS; i++) {
        if (s->weights[i] != 0) {
            buf_printf(&text, " %s %u", kind_names[i], s->weights[i]);
        }
    }
    return buf_take(&text);
}

/* ---- drawing one */

static const char *one_of(struct faults *f, const char *const *names, size_t count) {
    return names[rng_below(&f->swarm_rng, count)];
}

static const char *component(struct faults *f) {
    return one_of(f, f->targets.components, f->targets.component_count);
}

static const char *agent(struct faults *f) {
    return one_of(f, f->targets.agents, f->targets.agent_count);
}

/* Any host, components more often than their number says. */
static const char *anybody(struct faults *f) {
    const struct swarm_targets *t = &f->targets;
    uint64_t x = rng_below(&f->swarm_rng, 4);
    if (x == 0 && t->service_count != 0) {
        return one_of(f, t->services, t->service_count);
    }
    return x == 1 && t->agent_count != 0 ? agent(f) : component(f);
}

static json_t *some_ms(struct faults *f, uint64_t least_us, uint64_t most_us) {
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64 "ms", rng_between(&f->swarm_rng, least_us, most_us) / SIM_MS + 1);
    return json_string(text);
}

static json_t *link_spec(struct faults *f, const char *kind, bool symmetric) {
    json_t *o = json_object();
    json_set(o, "a", json_string(component(f)));
    json_set(o, "b", json_string(rng_chance(&f->swarm_rng, 200000) ? "*" : anybody(f)));
    json_set(o, "symmetric", json_boolean(symmetric));
    json_t *spec = json_object();
    json_set(spec, kind, o);
    return spec;
}

static json_t *with(json_t *spec, const char *kind, const char *key, json_t *value) {
    json_set(json_object_get(spec, kind), key, value);
    return spec;
}

static json_t *ratio(struct faults *f) {
    return json_real((double)rng_between(&f->swarm_rng, f->swarm.ratio_least_ppm, f->swarm.ratio_most_ppm) / 1000000);
}

static json_t *restart_spec(struct faults *f, const char *host, bool power) {
    json_t *spec = json_pack("{s:s, s:b}", "restart", host, "power", power);
    json_set(spec, "down_for", some_ms(f, 10 * SIM_MS, f->swarm.most_us));
    return spec;
}

static json_t *disk_spec(struct faults *f) {
    json_t *o = json_pack("{s:s}", "host", component(f));
    switch (rng_below(&f->swarm_rng, 3)) {
    case 0:
        json_set(o, "full", json_true());
        break;
    case 1:
        json_set(o, "slow", some_ms(f, SIM_MS, 500 * SIM_MS));
        break;
    default:
        json_set(o, "errors", ratio(f));
        break;
    }
    return json_pack("{s:o}", "disk", o);
}

static json_t *service_spec(struct faults *f) {
    json_t *o = json_pack("{s:s}", "name", one_of(f, f->targets.services, f->targets.service_count));
    switch (rng_below(&f->swarm_rng, 4)) {
    case 0:
        json_set(o, "hang", json_true());
        break;
    case 1:
        json_set(o, "reset", json_true());
        break;
    case 2:
        json_set(o, "status", json_integer(503));
        break;
    default:
        json_set(o, "status", json_integer(500));
        json_set(o, "body", json_string("{not JSON"));
        break;
    }
    return json_pack("{s:o}", "service", o);
}

static json_t *draw(struct faults *f, enum swarm_kind kind) {
    switch (kind) {
    case SWARM_RESTART_COMPONENT:
        return restart_spec(f, component(f), false);
    case SWARM_POWER_COMPONENT:
        return restart_spec(f, component(f), true);
    case SWARM_RESTART_AGENT:
        return restart_spec(f, agent(f), false);
    case SWARM_POWER_AGENT:
        return restart_spec(f, agent(f), true);
    case SWARM_PAUSE:
        return json_pack("{s:s}", "pause", anybody(f));
    case SWARM_PARTITION:
        return link_spec(f, "partition", true);
    case SWARM_ONE_WAY:
        return link_spec(f, "partition", false);
    case SWARM_DELAY:
        return with(link_spec(f, "delay", true), "delay", "latency", some_ms(f, SIM_MS, 2 * SIM_SECOND));
    case SWARM_DROP:
        return with(link_spec(f, "drop", true), "drop", "ratio", ratio(f));
    case SWARM_THROTTLE:
        return with(link_spec(f, "throttle", true), "throttle", "bytes_per_s",
                    json_integer((json_int_t)rng_between(&f->swarm_rng, 1000, 1000000)));
    case SWARM_CORRUPT:
        return with(link_spec(f, "corrupt", true), "corrupt", "ratio", ratio(f));
    case SWARM_RESET:
        return link_spec(f, "reset", true);
    case SWARM_HALF_CLOSE:
        return json_pack("{s:{s:s, s:s}}", "half_close", "gone", anybody(f), "peer", component(f));
    case SWARM_DISK:
        return disk_spec(f);
    case SWARM_CLOCK: {
        json_t *jump = some_ms(f, SIM_SECOND, 5 * SIM_MINUTE);
        char *text = str_printf("%s%s", rng_chance(&f->swarm_rng, 500000) ? "-" : "", json_string_value(jump));
        json_decref(jump);
        json_t *spec = json_pack("{s:{s:s, s:s}}", "clock", "host", anybody(f), "jump", text);
        mem_free(text);
        return spec;
    }
    case SWARM_SERVICE:
        return service_spec(f);
    case SWARM_KINDS:
        break;
    }
    return NULL;
}

static bool lasts(enum swarm_kind kind) {
    return kind > SWARM_POWER_AGENT && kind != SWARM_RESET && kind != SWARM_HALF_CLOSE && kind != SWARM_CLOCK;
}

static uint64_t next_in_us(struct faults *f) {
    struct dist d = dist_exponential(f->swarm.every_us);
    return dist_draw(&d, &f->swarm_rng) + 1;
}

static void on_swarm(void *ctx) {
    struct faults *f = ctx;
    enum swarm_kind kind = (enum swarm_kind)rng_pick(&f->swarm_rng, f->swarm.weights, SWARM_KINDS);
    uint64_t next_us = next_in_us(f);
    if (faults_active(f) < f->swarm.at_once_max) {
        json_t *spec = draw(f, kind);
        if (lasts(kind)) {
            json_set(spec, "for", some_ms(f, f->swarm.least_us, f->swarm.most_us));
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

void faults_swarm(struct faults *f, const struct swarm *swarm, const struct swarm_targets *targets, uint64_t for_us,
                  struct rng rng) {
    uint64_t sum = 0;
    f->swarm = *swarm;
    f->targets = *targets;
    f->swarm_rng = rng;
    f->swarm_until_us = sim_now_us(f->sim) + for_us;
    uint32_t *weights = f->swarm.weights;
    if (f->hooks.crash == NULL || f->hooks.restart == NULL) {
        weights[SWARM_RESTART_COMPONENT] = weights[SWARM_POWER_COMPONENT] = 0;
        weights[SWARM_RESTART_AGENT] = weights[SWARM_POWER_AGENT] = 0;
    }
    if (targets->agent_count == 0) {
        weights[SWARM_RESTART_AGENT] = weights[SWARM_POWER_AGENT] = 0;
    }
    if (f->hooks.service == NULL || targets->service_count == 0) {
        weights[SWARM_SERVICE] = 0;
    }
    for (size_t i = 0; i < SWARM_KINDS; i++) {
        sum += weights[i];
    }
    uint64_t first_us = sum != 0 && targets->component_count != 0 ? next_in_us(f) : for_us;
    if (first_us < for_us) {
        sim_timer_start(f->sim, &f->swarm_timer, first_us, on_swarm, f);
    }
}

void swarm_stop(struct faults *f) {
    sim_timer_stop(f->sim, &f->swarm_timer);
}
