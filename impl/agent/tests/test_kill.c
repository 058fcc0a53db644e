/* Twenty times kill -9 while a task runs: its outcome is there, and it ran once. */
#include "agent/tests/real.h"
#include "base/digest.h"
#include "base/mem.h"
#include <signal.h>

enum { TIMES = 20, SPREAD_MS = 20 };

static char *task_params(struct real *r) {
    char *script =
        str_printf("#!/bin/sh\nread input\necho ran >> %s/\"$PT_count\"\nsleep 0.2\necho \"$PT_count\"\n", r->dir);
    char sha[SHA256_HEX_LEN + 1];
    sha256_hex(span_of(script), sha);
    real_serve(r, "/f/run.sh", span_of(script));
    mem_free(script);
    return str_printf(
        "\"files\":[{\"filename\":\"run.sh\",\"sha256\":\"%s\",\"uri\":{\"path\":\"/f/run.sh\",\"params\":{}}}]", sha);
}

static bool is_final(const struct real_message *m, const char *id) {
    return strcmp(m->type, "rpc_non_blocking_response") == 0 && strstr(m->data, id) != NULL;
}

/* Results of a status query of `id`; mem_free() it. What else arrives counts as finals. */
static char *status_of(struct real *r, const char *id, unsigned *finals) {
    char *params = str_printf("{\"transaction_id\":\"%s\"}", id);
    real_request(r, false, "q", "status", "query", params);
    mem_free(params);
    for (;;) {
        const struct real_message *m = real_next(r);
        *finals += is_final(m, id);
        if (strcmp(m->type, "rpc_blocking_response") == 0) {
            return str_dup(m->data);
        }
    }
}

static void nothing_is_lost_and_nothing_runs_twice(void **state) {
    (void)state;
    struct real *r = real_new();
    char *files = task_params(r);
    unsigned all_finals = 0, all_runs = 0;
    real_agent_start(r, NULL);
    for (unsigned i = 0; i < TIMES; i++) {
        char *id = str_printf("kill-%02u", i);
        char *params = str_printf("{\"task\":\"demo::run\",\"input\":{\"count\":\"ran-%02u\"},%s}", i, files);
        real_request(r, true, id, "task", "run", params);
        if (i % 2 == 0) {
            real_expect(r, "rpc_provisional_response");
        }
        real_pause(r, i * SPREAD_MS);
        real_agent_signal(r, SIGKILL);
        assert_int_equal(real_agent_wait(r), 128 + SIGKILL);
        if (r->peer != NULL) {
            ws_abort(r->peer);
            r->peer = NULL;
        }
        real_agent_start(r, NULL);
        real_request(r, true, id, "task", "run", params); /* as a controller does that heard nothing */
        unsigned finals = 0;
        char *expected = str_printf("\"status\":\"success\",\"stdout\":\"ran-%02u\\n\"", i);
        char *status = status_of(r, id, &finals);
        /* Killed between acknowledging and starting: then it never runs, and that is said. */
        const char *never = "the PID and output of this task are not available";
        char *name = str_printf("ran-%02u", i);
        /* On a busy machine all of this takes its time; "never" must stand for a while before it is believed. */
        for (int tries = 0; strstr(status, expected) == NULL && tries < 1500 &&
                            (real_exists(r, name) || strstr(status, never) == NULL || tries < 150);
             tries++) {
            mem_free(status);
            real_pause(r, 20);
            status = status_of(r, id, &finals);
        }
        bool ran = real_exists(r, name);
        if (ran ? strstr(status, expected) == NULL : strstr(status, never) == NULL) {
            fail_msg("killed after %u ms: %s", i * SPREAD_MS, status);
        }
        real_pause(r, 10);
        char *runs = real_read(r, name);
        assert_true(!ran || strcmp(runs, "ran\n") == 0);
        assert_true(finals <= 1);
        all_finals += finals;
        all_runs += ran;
        mem_free(runs);
        mem_free(name);
        mem_free(status);
        mem_free(expected);
        mem_free(params);
        mem_free(id);
    }
    assert_true(all_finals > 0 && all_runs >= TIMES / 2);
    mem_free(files);
    real_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(nothing_is_lost_and_nothing_runs_twice)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
