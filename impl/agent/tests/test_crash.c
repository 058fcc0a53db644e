/* The agent dies at every call of a task's run in turn, by kill -9 and by power failure; and every sync is there for a
 * reason: without any one of them some power failure loses or repeats something. */
#include "agent/tests/guard.h"
#include "base/mem.h"
#include <stdio.h>

#define PATH "/f/hello.sh"

struct story {
    struct bench *bench;
    struct guard guard;
    enum sim_crash_kind kind;
    struct timer crash_timer;
    char *params;
    bool crashed;
    unsigned provisional, response, error; /* messages seen */
    unsigned ended_before;                 /* programs that had stored their outcome when the agent died */
    const char *wrong;                     /* what went wrong; NULL: nothing */
};

static struct story *story; /* of the callback that may not act */

static void crash_now(void *ctx) {
    struct story *s = ctx;
    s->ended_before = s->bench->ends;
    s->crashed = true;
    sim_crash(s->bench->agent_host, s->kind);
}

static void on_death(struct bench *b) {
    sim_timer_start(b->sim, &story->crash_timer, 0, crash_now, story);
}

static struct story *story_new(uint64_t seed) {
    struct story *s = mem_zalloc(sizeof *s);
    s->bench = bench_new(seed, PCP_V2);
    char *sha = bench_serve(s->bench, PATH, "#!sim\ntakes 50\nout done\nerr oops\nexit 3");
    s->params = bench_task(s->bench, PATH, sha, "{}");
    mem_free(sha);
    story = s;
    guard_install(&s->guard, s->bench);
    s->guard.on_death = on_death;
    bench_start(s->bench);
    s->guard.calls = s->guard.syncs = 0;
    return s;
}

static void story_free(struct story *s) {
    sim_timer_stop(s->bench->sim, &s->crash_timer);
    bench_agent_free(s->bench);
    guard_uninstall(&s->guard);
    bench_free(s->bench);
    mem_free(s->params);
    mem_free(s);
    story = NULL;
}

static void count_messages(struct story *s) {
    struct bench *b = s->bench;
    for (; b->got_next < b->got_count; b->got_next++) {
        const char *type = b->got[b->got_next].type;
        s->provisional += strcmp(type, "rpc_provisional_response") == 0;
        s->response += strcmp(type, "rpc_non_blocking_response") == 0;
        s->error += strcmp(type, "rpc_error_message") == 0;
    }
}

static void request(struct story *s) {
    mem_free(bench_request(s->bench, NON_BLOCKING, "t", "task", "run", s->params, true));
}

static void come_back(struct story *s) {
    struct bench *b = s->bench;
    if (!s->crashed) {
        sim_timer_stop(b->sim, &s->crash_timer);
        crash_now(s);
    }
    if (s->kind == SIM_CRASH_POWER) {
        sim_power_on(b->agent_host);
    }
    if (b->peer != NULL) {
        ws_abort(b->peer);
        b->peer = NULL;
    }
    guard_revive(&s->guard);
    bench_start(b);
}

/* What the controller sees in the end, asking again as it is told to. */
static void conclude(struct story *s) {
    struct bench *b = s->bench;
    unsigned before = s->provisional;
    bench_run(b, SIM_MINUTE);
    count_messages(s);
    char *status = bench_status(b, "t");
    static const char outcome[] =
        "{\"transaction_id\":\"t\",\"exitcode\":3,\"status\":\"failure\",\"stdout\":\"done\\n\","
        "\"stderr\":\"oops\\n\"}";
    bool success = strcmp(status, outcome) == 0;
    bool unheard = strstr(status, "found no results directory") != NULL;
    if (unheard && before > 0) {
        s->wrong = "an acknowledged request is unknown";
    }
    if (strstr(status, "metadata file") != NULL && before > 0) {
        s->wrong = "the record of an acknowledged request is lost";
    }
    if (s->ended_before > 0 && !success) {
        s->wrong = "a stored outcome is lost";
    }
    if (s->response > 0 && !success) {
        s->wrong = "an outcome that was sent cannot be asked for";
    }
    if (s->kind == SIM_CRASH_KILL && s->error > 0 && b->runs > 0) {
        s->wrong = "an error was sent for nothing";
    }
    if (s->kind == SIM_CRASH_KILL && !unheard && b->runs > 0 && !success) {
        s->wrong = "the task ran, but its outcome is not told";
    }
    mem_free(status);
    request(s); /* idempotent */
    bench_run(b, SIM_MINUTE);
    count_messages(s);
    if (b->runs > 1 && !(unheard && before == 0)) {
        s->wrong = "the task ran twice";
    }
    if (s->response + s->error > 1) {
        s->wrong = "the outcome was sent twice";
    }
}

/* Dies at the n-th call, does what follows. True when the run was over before that. */
static bool play(uint64_t seed, unsigned n, unsigned skipped_sync, enum sim_crash_kind kind, const char **wrong) {
    struct story *s = story_new(seed);
    s->kind = kind;
    s->guard.limit = n;
    s->guard.skipped = skipped_sync;
    request(s);
    bench_run(s->bench, SIM_SECOND); /* longer, and the disk would have written everything by itself */
    bool over = !s->crashed;
    count_messages(s);
    come_back(s);
    conclude(s);
    *wrong = s->wrong;
    story_free(s);
    return over;
}

static void at_every_call(enum sim_crash_kind kind, uint64_t seeds) {
    unsigned points = 0;
    for (uint64_t seed = 1; seed <= seeds; seed++) {
        const char *wrong = NULL;
        bool over = false;
        for (unsigned n = 1; !over; n++, points++) {
            over = play(seed, n, 0, kind, &wrong);
            if (wrong != NULL) {
                fail_msg("seed %u, dead at call %u: %s", (unsigned)seed, n, wrong);
            }
        }
    }
    assert_true(points > 20 * seeds);
}

static void killed_at_every_call(void **state) {
    (void)state;
    at_every_call(SIM_CRASH_KILL, 2);
}

static void without_power_at_every_call(void **state) {
    (void)state;
    at_every_call(SIM_CRASH_POWER, 5);
}

static unsigned syncs_of_a_run(void) {
    struct story *s = story_new(1);
    request(s);
    bench_run(s->bench, SIM_SECOND); /* longer, and the disk would have written everything by itself */
    unsigned syncs = s->guard.syncs;
    story_free(s);
    return syncs;
}

static bool some_failure_shows(unsigned sync) {
    for (uint64_t seed = 1; seed <= 20; seed++) {
        const char *wrong = NULL;
        bool over = false;
        for (unsigned n = 1; !over; n++) {
            over = play(seed, n, sync, SIM_CRASH_POWER, &wrong);
            if (wrong != NULL) {
                print_message("without sync %u, seed %u, dead at call %u: %s\n", sync, (unsigned)seed, n, wrong);
                return true;
            }
        }
    }
    return false;
}

static void every_sync_is_needed(void **state) {
    (void)state;
    unsigned count = syncs_of_a_run();
    assert_true(count >= 7);
    for (unsigned i = 1; i <= count; i++) {
        if (!some_failure_shows(i)) {
            fail_msg("nothing shows that sync %u of %u is needed", i, count);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(killed_at_every_call),
        cmocka_unit_test(without_power_at_every_call),
        cmocka_unit_test(every_sync_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
