/* Each kind of fault that a swarm may draw: its description, as faults_apply() takes it. */
#include "simulator/faults/internal.h"

#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>

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

json_t *swarm_ms(struct faults *f, uint64_t least_us, uint64_t most_us) {
    char text[32];
    snprintf(text, sizeof(text), "%" PRIu64 "ms", rng_between(&f->swarm_rng, least_us, most_us) / SIM_MS + 1);
    return json_string(text);
}

static json_t *ratio(struct faults *f) {
    return json_real((double)rng_between(&f->swarm_rng, f->swarm.ratio_least_ppm, f->swarm.ratio_most_ppm) / 1000000);
}

/* ---- processes */

static json_t *restart(struct faults *f, const char *host, bool power) {
    json_t *spec = json_pack("{s:s, s:b}", "restart", host, "power", power);
    json_set(spec, "down_for", swarm_ms(f, 10 * SIM_MS, f->swarm.most_us));
    return spec;
}

static json_t *restart_component(struct faults *f) {
    return restart(f, component(f), false);
}
static json_t *power_component(struct faults *f) {
    return restart(f, component(f), true);
}
static json_t *restart_agent(struct faults *f) {
    return restart(f, agent(f), false);
}
static json_t *power_agent(struct faults *f) {
    return restart(f, agent(f), true);
}

static json_t *slow_start(struct faults *f) {
    bool of_agent = f->targets.agent_count != 0 && rng_chance(&f->swarm_rng, 300000);
    json_t *spec = restart(f, of_agent ? agent(f) : component(f), rng_chance(&f->swarm_rng, 500000));
    json_set(spec, "slow_start", swarm_ms(f, SIM_SECOND, SIM_MINUTE));
    return spec;
}

static json_t *pause(struct faults *f) {
    return json_pack("{s:s}", "pause", anybody(f));
}

/* ---- links */

static json_t *on_link(struct faults *f, const char *kind, bool symmetric) {
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

static json_t *lossy(struct faults *f, const char *kind) {
    bool symmetric = rng_chance(&f->swarm_rng, 700000);
    return with(on_link(f, kind, symmetric), kind, "ratio", ratio(f));
}

static json_t *partition(struct faults *f) {
    return on_link(f, "partition", true);
}
static json_t *one_way(struct faults *f) {
    return on_link(f, "partition", false);
}
static json_t *drop(struct faults *f) {
    return lossy(f, "drop");
}
static json_t *duplicate(struct faults *f) {
    return lossy(f, "duplicate");
}
static json_t *corrupt(struct faults *f) {
    return lossy(f, "corrupt");
}
static json_t *refuse(struct faults *f) {
    return lossy(f, "refuse");
}

/* A fixed time, or now and then a long one. */
static json_t *delay(struct faults *f) {
    json_t *p50 = swarm_ms(f, SIM_MS, 2 * SIM_SECOND);
    if (rng_chance(&f->swarm_rng, 500000)) {
        p50 = json_pack("{s:{s:o, s:o}}", "lognormal", "p50", p50, "p99", swarm_ms(f, 3 * SIM_SECOND, 20 * SIM_SECOND));
    }
    return with(on_link(f, "delay", rng_chance(&f->swarm_rng, 700000)), "delay", "latency", p50);
}

static json_t *reorder(struct faults *f) {
    return with(lossy(f, "reorder"), "reorder", "by", swarm_ms(f, SIM_MS, SIM_SECOND));
}

static json_t *throttle(struct faults *f) {
    return with(on_link(f, "throttle", true), "throttle", "bytes_per_s",
                json_integer((json_int_t)rng_between(&f->swarm_rng, 1000, 1000000)));
}

static json_t *reset(struct faults *f) {
    return on_link(f, "reset", true);
}

static json_t *half_close(struct faults *f) {
    return json_pack("{s:{s:s, s:s}}", "half_close", "gone", anybody(f), "peer", component(f));
}

/* ---- disks and clocks */

static json_t *disk(struct faults *f, const char *host) {
    json_t *o = json_pack("{s:s}", "host", host);
    switch (rng_below(&f->swarm_rng, 3)) {
    case 0:
        json_set(o, "full", json_true());
        break;
    case 1:
        json_set(o, "slow", swarm_ms(f, SIM_MS, 500 * SIM_MS));
        break;
    default:
        json_set(o, "errors", ratio(f));
        json_set(o, "reads", json_boolean(rng_chance(&f->swarm_rng, 500000)));
        break;
    }
    return json_pack("{s:o}", "disk", o);
}

static json_t *disk_component(struct faults *f) {
    return disk(f, component(f));
}
static json_t *disk_agent(struct faults *f) {
    return disk(f, agent(f));
}

static json_t *clock_jump(struct faults *f) {
    json_t *jump = swarm_ms(f, SIM_SECOND, 5 * SIM_MINUTE);
    char *text = str_printf("%s%s", rng_chance(&f->swarm_rng, 500000) ? "-" : "", json_string_value(jump));
    json_decref(jump);
    json_t *spec = json_pack("{s:{s:s, s:s}}", "clock", "host", anybody(f), "jump", text);
    mem_free(text);
    return spec;
}

static json_t *clock_drift(struct faults *f) {
    json_int_t ppm = (json_int_t)rng_between(&f->swarm_rng, 1, 20000);
    ppm = rng_chance(&f->swarm_rng, 500000) ? -ppm : ppm;
    return json_pack("{s:{s:s, s:I}}", "clock", "host", anybody(f), "drift_ppm", ppm);
}

/* ---- services and certificates */

/* What an answer of a broken service looks like. */
static void broken_answer(struct faults *f, json_t *o) {
    static const struct {
        int status;
        const char *body;
    } answers[] = {{503, NULL},        {500, "{not JSON"},     {200, "<html>login</html>"}, {200, ""},
                   {429, "slow down"}, {404, "{\"kind\": 1}"}, {502, "Bad Gateway"},        {401, "{}"}};
    size_t i = rng_below(&f->swarm_rng, sizeof(answers) / sizeof(answers[0]));
    json_set(o, "status", json_integer(answers[i].status));
    if (answers[i].body != NULL) {
        json_set(o, "body", json_string(answers[i].body));
    }
}

static json_t *service(struct faults *f) {
    json_t *o = json_pack("{s:s}", "name", one_of(f, f->targets.services, f->targets.service_count));
    switch (rng_below(&f->swarm_rng, 5)) {
    case 0:
        json_set(o, "hang", json_true());
        break;
    case 1:
        json_set(o, "reset", json_true());
        break;
    case 2:
        json_set(o, "delay_ms", json_integer((json_int_t)rng_between(&f->swarm_rng, 1, 20000)));
        break;
    default:
        broken_answer(f, o);
        break;
    }
    if (rng_chance(&f->swarm_rng, 300000)) {
        json_set(o, "probability", json_real(0.5));
    }
    if (rng_chance(&f->swarm_rng, 300000)) {
        json_set(o, "times", json_integer((json_int_t)rng_between(&f->swarm_rng, 1, 20)));
    }
    return json_pack("{s:o}", "service", o);
}

static json_t *revoke(struct faults *f) {
    return json_pack("{s:{s:s}}", "certificate", "revoke", agent(f));
}

const struct swarm_kind swarm_table[] = {
    {.name = "restart", .light = 1, .heavy = 3, .crashes = true, .draw = restart_component},
    {.name = "power", .heavy = 2, .crashes = true, .draw = power_component},
    {.name = "restart-agent", .light = 2, .heavy = 6, .crashes = true, .of_agents = true, .draw = restart_agent},
    {.name = "power-agent", .heavy = 3, .crashes = true, .of_agents = true, .draw = power_agent},
    {.name = "slow-start", .light = 1, .heavy = 1, .crashes = true, .draw = slow_start},
    {.name = "pause", .light = 1, .heavy = 2, .lasts = true, .draw = pause},
    {.name = "partition", .light = 2, .heavy = 4, .lasts = true, .draw = partition},
    {.name = "one-way", .light = 1, .heavy = 3, .lasts = true, .draw = one_way},
    {.name = "delay", .light = 4, .heavy = 3, .lasts = true, .draw = delay},
    {.name = "drop", .light = 4, .heavy = 4, .lasts = true, .draw = drop},
    {.name = "duplicate", .light = 1, .heavy = 1, .lasts = true, .draw = duplicate},
    {.name = "reorder", .light = 2, .heavy = 2, .lasts = true, .draw = reorder},
    {.name = "throttle", .light = 2, .heavy = 2, .lasts = true, .draw = throttle},
    {.name = "corrupt", .light = 1, .heavy = 3, .lasts = true, .draw = corrupt},
    {.name = "refuse", .light = 1, .heavy = 1, .lasts = true, .draw = refuse},
    {.name = "reset", .light = 4, .heavy = 6, .draw = reset},
    {.name = "half-close", .light = 1, .heavy = 3, .draw = half_close},
    {.name = "disk", .heavy = 2, .lasts = true, .draw = disk_component},
    {.name = "disk-agent", .heavy = 2, .lasts = true, .of_agents = true, .draw = disk_agent},
    {.name = "clock", .heavy = 1, .draw = clock_jump},
    {.name = "skew", .light = 1, .heavy = 1, .lasts = true, .draw = clock_drift},
    {.name = "service", .light = 1, .heavy = 3, .lasts = true, .of_services = true, .draw = service},
    {.name = "revoke", .heavy = 1, .lasts = true, .of_agents = true, .revokes = true, .draw = revoke},
};
const size_t swarm_table_count = sizeof(swarm_table) / sizeof(swarm_table[0]);
_Static_assert(sizeof(swarm_table) / sizeof(swarm_table[0]) <= SWARM_KINDS_MAX, "a weight for each");
