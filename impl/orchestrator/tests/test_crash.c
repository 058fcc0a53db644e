/* The machine dies at every storage operation of a job in turn: whatever was acknowledged goes on and ends with each
 * node once; and the check itself is checked: when one of the syncs only claims to have happened, something is found.
 */
#include "base/mem.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 4, JOBS = 2 };

struct story {
    struct rig *rig;
    int acknowledged;
    int64_t ids[JOBS];
    int started, refused;
    struct buf seen[JOBS]; /* what a client that polls was shown */
};

static void on_started(void *ctx, int64_t id, const struct error *err) {
    struct story *s = ctx;
    s->started++;
    if (err == NULL) {
        s->ids[s->acknowledged++] = id;
    } else {
        s->refused++;
    }
}

static bool event_line(void *ctx, const struct store_event *e) {
    buf_printf(ctx, "%lld %lld %d\n", (long long)e->id, (long long)e->node, e->type);
    return true;
}

/* A client polls. What it has seen must still be there later. */
static void look(struct story *s) {
    struct rig *r = s->rig;
    for (int i = 0; i < s->acknowledged; i++) {
        struct buf now = BUF_INIT;
        if (store_events(r->store, s->ids[i], 0, -1, event_line, &now, NULL) && now.len > s->seen[i].len) {
            buf_clear(&s->seen[i]);
            buf_append_span(&s->seen[i], buf_span(&now));
        }
        buf_free(&now);
    }
}

static void ask_for_job(struct story *s) {
    struct rig *r = s->rig;
    struct job_node nodes[NODES];
    for (int i = 0; i < NODES; i++) {
        nodes[i] = (struct job_node){span_of(r->agents[i].name), TRANSPORT_PCP};
    }
    json_t *empty = json_object(), *files = json_array();
    struct job_request req = {.type = JOB_TASK,
                              .command = "task",
                              .environment = "production",
                              .task = "echo",
                              .options = empty,
                              .owner = empty,
                              .userdata = empty,
                              .metadata = empty,
                              .files = files,
                              .params = empty,
                              .nodes = nodes,
                              .node_count = NODES,
                              .concurrency = 2};
    struct error err = ERROR_INIT;
    if (!engine_start(r->engine, &req, on_started, s, &err)) {
        s->refused++;
        s->started++;
    }
    error_clear(&err);
    json_decref(empty);
    json_decref(files);
}

/* Jobs are asked for and run until both are over or the disk dies. */
static void run_story(struct story *s) {
    struct rig *r = s->rig;
    int asked = 0;
    for (int step = 0; step < 20000 && !sim_disk_dying(r->w); step++) {
        if (asked < JOBS && s->started == asked) {
            ask_for_job(s);
            asked++;
        }
        sim_step(r->sim);
        if (sim_disk_dying(r->w)) {
            return;
        }
        look(s);
        bool over = s->started == JOBS;
        for (int i = 0; over && i < s->acknowledged; i++) {
            over = job_state_final(rig_state(r, s->ids[i]));
        }
        if (over) {
            return;
        }
    }
}

static void ignore_job(void *ctx, const struct store_job *job) {
    (void)ctx, (void)job;
}

/* Empty when all is well; else what is wrong. */
static const char *judge(struct story *s) {
    struct rig *r = s->rig;
    for (int i = 0; i < s->acknowledged; i++) {
        bool found = false;
        struct buf events = BUF_INIT;
        if (!store_job(r->store, s->ids[i], ignore_job, NULL, &found, NULL) || !found) {
            return "an acknowledged job is gone";
        }
        if (!rig_finish(r, s->ids[i], 300 * SIM_SECOND)) {
            return "a job does not end";
        }
        uint32_t counts[NODE_STATES];
        rig_counts(r, s->ids[i], counts);
        if (counts[NODE_FINISHED] != NODES) {
            return "a node lost its outcome";
        }
        if (!rig_events_legal(r, s->ids[i])) {
            return "the events are not legal";
        }
        store_events(r->store, s->ids[i], 0, -1, event_line, &events, NULL);
        bool kept = span_starts_with(buf_span(&events), s->seen[i].ptr == NULL ? "" : s->seen[i].ptr);
        buf_free(&events);
        if (!kept) {
            return "an event that was seen is gone";
        }
    }
    for (int i = 0; i < NODES; i++) {
        if (r->agents[i].runs > JOBS) { /* a transaction runs once; a job that was not acknowledged may have run */
            return "something ran twice";
        }
    }
    return "";
}

static struct story begin(uint64_t seed) {
    struct story s = {.rig = rig_new(seed, NODES)};
    for (int i = 0; i < NODES; i++) {
        s.rig->agents[i].takes_ms = (uint32_t)(5 + 7 * i);
    }
    s.rig->with_services = false;
    rig_boot(s.rig);
    return s;
}

static void end(struct story *s) {
    for (int i = 0; i < JOBS; i++) {
        buf_free(&s->seen[i]);
    }
    rig_free(s->rig);
}

static void reboot(struct story *s) {
    sim_disk_die_after(s->rig->w, 0);
    sim_disk_lie_at_sync(s->rig->w, 0);
    rig_boot(s->rig);
}

static uint64_t operations_of_a_run(uint64_t seed, uint64_t *syncs) {
    struct story s = begin(seed);
    uint64_t before = sim_file_op_count(s.rig->w), syncs_before = sim_disk_sync_count(s.rig->w);
    run_story(&s);
    assert_int_equal(s.acknowledged, JOBS);
    uint64_t ops = sim_file_op_count(s.rig->w) - before;
    *syncs = sim_disk_sync_count(s.rig->w) - syncs_before;
    assert_string_equal(judge(&s), "");
    end(&s);
    return ops;
}

static void die_at(uint64_t seed, uint64_t n, enum sim_crash_kind kind) {
    struct story s = begin(seed);
    sim_disk_die_after(s.rig->w, n);
    run_story(&s);
    rig_crash(s.rig, kind);
    reboot(&s);
    const char *wrong = judge(&s);
    if (wrong[0] != '\0') {
        fail_msg("seed %llu, operation %llu: %s", (unsigned long long)seed, (unsigned long long)n, wrong);
    }
    end(&s);
}

static void a_job_survives_death_at_every_operation(void **state) {
    (void)state;
    uint64_t syncs;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t ops = operations_of_a_run(seed, &syncs);
        assert_true(ops > 20);
        /* Every operation with the first seed, a different twentieth of them with each of the others. */
        for (uint64_t n = seed == 1 ? 1 : seed; n <= ops; n += seed == 1 ? 1 : 20) {
            die_at(seed, n, n % 3 == 0 ? SIM_CRASH_KILL : SIM_CRASH_POWER);
        }
    }
}

/* Each sync in turn is only claimed; then power fails right after the job that stood behind it was acknowledged, or at
 * the end. With some seed somebody must notice. */
static bool lie_is_noticed(uint64_t n) {
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct story s = begin(seed);
        sim_disk_lie_at_sync(s.rig->w, n);
        uint64_t until = sim_disk_sync_count(s.rig->w) + n;
        int acknowledged = 0;
        for (int step = 0; step < 20000 && sim_disk_sync_count(s.rig->w) < until; step++) {
            if (s.started == acknowledged && acknowledged < JOBS) {
                ask_for_job(&s);
                acknowledged++;
            }
            sim_step(s.rig->sim);
            look(&s);
        }
        rig_crash(s.rig, SIM_CRASH_POWER);
        reboot(&s);
        bool noticed = judge(&s)[0] != '\0';
        end(&s);
        if (noticed) {
            return true;
        }
    }
    return false;
}

static void a_sync_that_is_only_claimed_is_noticed(void **state) {
    (void)state;
    for (uint64_t n = 1; n <= 3; n++) {
        if (!lie_is_noticed(n)) {
            fail_msg("sync %llu is missed by nobody", (unsigned long long)n);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_job_survives_death_at_every_operation),
        cmocka_unit_test(a_sync_that_is_only_claimed_is_noticed),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
