/* Whatever may happen, in any order: agents come and go, brokers fail, messages are lost, the disk is full, jobs are
 * stopped, the service is killed — in the end every acknowledged job is over and every node of it ended once. */
#include "base/mem.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { AGENTS = 12, JOBS_MAX = 40, STEPS = 120, SEEDS = 60 };

struct swarm {
    struct rig *rig;
    struct rng rng;
    uint64_t seed;
    int64_t jobs[JOBS_MAX];
    uint32_t concurrency[JOBS_MAX];
    int job_count;
    int asked; /* runs that may have happened: nodes of jobs asked for, acknowledged or not */
    bool broker_up[RIG_BROKERS_MAX], disk_full, up;
};

static uint32_t below(struct swarm *s, uint32_t n) {
    return (uint32_t)rng_below(&s->rng, n);
}

static bool chance(struct swarm *s, uint32_t percent) {
    return below(s, 100) < percent;
}

static void change_agent(struct swarm *s) {
    struct rig_agent *a = &s->rig->agents[below(s, AGENTS)];
    a->takes_ms = chance(s, 70) ? below(s, 300) : below(s, 20000);
    a->exitcode = chance(s, 80) ? 0 : 1;
    a->no_provisional = chance(s, 20);
    a->no_outcome = chance(s, 20);
    a->loses_requests = chance(s, 20) ? (int)below(s, 3) : 0;
    a->deaf = chance(s, 10);
    a->forgetful = chance(s, 5);
    a->unkillable = chance(s, 50);
    a->no_report = chance(s, 20);
    a->pcp_error = chance(s, 10) ? "Not connected." : NULL;
    a->rpc_error = chance(s, 5) ? "no such thing" : NULL;
}

static void move_agent(struct swarm *s) {
    int agent = (int)below(s, AGENTS) + 1, to = (int)below(s, RIG_BROKERS_MAX + 1) - 1;
    if (to < 0 || s->broker_up[to]) {
        rig_connect(s->rig, agent, to);
    }
}

static void toggle_broker(struct swarm *s, int i) {
    if (s->broker_up[i]) {
        rig_broker_down(s->rig, i);
        for (int a = 0; a < AGENTS; a++) {
            s->rig->agents[a].broker = s->rig->agents[a].broker == i ? -1 : s->rig->agents[a].broker;
        }
    } else {
        rig_broker_up(s->rig, i);
    }
    s->broker_up[i] = !s->broker_up[i];
}

static void on_started(void *ctx, int64_t id, const struct error *err) {
    struct swarm *s = ctx;
    if (err == NULL) {
        s->jobs[s->job_count++] = id;
    }
}

static void start_job(struct swarm *s) {
    struct job_node nodes[AGENTS];
    size_t count = 1 + below(s, AGENTS), first = below(s, AGENTS);
    for (size_t i = 0; i < count; i++) {
        nodes[i] = (struct job_node){span_of(s->rig->agents[(first + i) % AGENTS].name), TRANSPORT_PCP};
    }
    struct job_edge edges[AGENTS];
    size_t edge_count = 0;
    bool deploy = chance(s, 40);
    while (deploy && chance(s, 50) && edge_count + 1 < count && edge_count < AGENTS) {
        edges[edge_count] = (struct job_edge){(uint32_t)edge_count, (uint32_t)edge_count + 1, chance(s, 50)};
        edge_count++;
    }
    json_t *empty = json_object(), *files = json_array();
    struct job_request req = {.type = deploy ? JOB_DEPLOY : JOB_TASK,
                              .command = deploy ? "deploy" : "task",
                              .environment = "",
                              .task = deploy ? NULL : "echo",
                              .options = empty,
                              .owner = empty,
                              .userdata = empty,
                              .metadata = empty,
                              .files = files,
                              .params = empty,
                              .nodes = nodes,
                              .node_count = count,
                              .edges = edges,
                              .edge_count = edge_count,
                              .timeout_s = chance(s, 20) ? 5 : 100,
                              .concurrency = chance(s, 50) ? 1 + below(s, 4) : 0};
    struct error err = ERROR_INIT;
    if (s->job_count + 4 < JOBS_MAX && engine_start(s->rig->engine, &req, on_started, s, &err)) {
        s->asked += (int)count;
    }
    error_clear(&err);
    json_decref(empty);
    json_decref(files);
}

static void stop_job(struct swarm *s) {
    if (s->job_count != 0) {
        engine_stop(s->rig->engine, s->jobs[below(s, (uint32_t)s->job_count)], chance(s, 40), NULL, NULL);
    }
}

static void toggle_disk(struct swarm *s) {
    static const char *const kinds[] = {"world/full", "world/io"};
    struct sim_disk_fault fault = {.prefix = "/var", .ops = SIM_FILE_WRITE, .kind = kinds[below(s, 2)]};
    s->disk_full = !s->disk_full;
    sim_disk_fault(s->rig->w, s->disk_full ? &fault : NULL);
}

static void kill_service(struct swarm *s) {
    if (s->disk_full) {
        toggle_disk(s);
    }
    rig_crash(s->rig, chance(s, 50) ? SIM_CRASH_KILL : SIM_CRASH_POWER);
    rig_run(s->rig, below(s, 5000) * SIM_MS);
    rig_boot_without_brokers(s->rig);
}

static void act(struct swarm *s) {
    uint32_t what = below(s, 100);
    if (what < 30) {
        start_job(s);
    } else if (what < 55) {
        change_agent(s);
    } else if (what < 75) {
        move_agent(s);
    } else if (what < 83) {
        toggle_broker(s, (int)below(s, RIG_BROKERS_MAX));
    } else if (what < 91) {
        stop_job(s);
    } else if (what < 95) {
        toggle_disk(s);
    } else {
        kill_service(s);
    }
}

/* Every fault ends; agents behave. */
static void heal(struct swarm *s) {
    if (s->disk_full) {
        toggle_disk(s);
    }
    for (int i = 0; i < RIG_BROKERS_MAX; i++) {
        if (!s->broker_up[i]) {
            toggle_broker(s, i);
        }
    }
    for (int i = 0; i < AGENTS; i++) {
        struct rig_agent *a = &s->rig->agents[i];
        a->deaf = a->no_provisional = a->no_outcome = false;
        a->pcp_error = a->rpc_error = NULL;
        a->loses_requests = 0;
        if (a->broker < 0) {
            rig_connect(s->rig, i + 1, i % RIG_BROKERS_MAX);
        }
    }
}

static void swarm(uint64_t seed) {
    struct swarm s = {.seed = seed, .broker_up = {true, true}};
    s.rig = rig_new(seed, AGENTS);
    s.rig->broker_count = RIG_BROKERS_MAX;
    s.rig->config.task_concurrency = 5;
    s.rig->config.global_concurrent_compiles = 3;
    s.rig->config.pcp_timeout_s = 10;
    s.rig->config.allowed_status_requests = 4;
    s.rng = sim_rng(s.rig->sim, "swarm", "");
    rig_boot(s.rig);
    for (int i = 0; i < STEPS; i++) {
        act(&s);
        rig_run(s.rig, below(&s, 1500) * SIM_MS);
        const struct engine_metrics *m = engine_metrics(s.rig->engine);
        assert_true(m->nodes_running <= 5 + 3);
    }
    heal(&s);
    rig_run(s.rig, 30 * SIM_SECOND);
    int runs = 0;
    for (int i = 0; i < s.job_count; i++) {
        if (!rig_finish(s.rig, s.jobs[i], 3600 * SIM_SECOND)) {
            fail_msg("seed %llu: job %lld does not end", (unsigned long long)seed, (long long)s.jobs[i]);
        }
        if (!rig_events_legal(s.rig, s.jobs[i])) {
            fail_msg("seed %llu: the events of job %lld are not legal", (unsigned long long)seed, (long long)s.jobs[i]);
        }
    }
    rig_run(s.rig, 3600 * SIM_SECOND);
    for (int i = 0; i < AGENTS; i++) {
        runs += s.rig->agents[i].runs;
    }
    assert_true(runs <= s.asked);
    const struct engine_metrics *m = engine_metrics(s.rig->engine);
    assert_int_equal(m->nodes_running, 0);
    assert_int_equal(m->nodes_waiting, 0);
    assert_int_equal(m->nodes_absent, 0);
    assert_int_equal(m->nodes_active, 0);
    assert_int_equal(m->jobs_active, 0);
    rig_free(s.rig);
}

static void whatever_happens_every_node_ends_once(void **state) {
    (void)state;
    const char *only = getenv("SWARM_SEED");
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        swarm(only != NULL ? strtoull(only, NULL, 10) : seed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_happens_every_node_ends_once)};
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
