/* An agent that waits costs next to nothing (the reference: 27 MB). */
#include "agent/tests/real.h"
#include "base/mem.h"

enum { RSS_MAX_KIB = 6 * 1024, PATIENCE_S = 30, WATCHED_MS = 3000, ROUNDS = 5 };

/* (With AddressSanitizer no size says anything: then it only has the time.) */
#if defined(__SANITIZE_ADDRESS__)
static void becomes_small(struct real *r) {
    real_pause(r, WATCHED_MS);
}
#else
static bool is_small(struct real *r) {
    return real_proc_number(r, "VmRSS:") <= RSS_MAX_KIB;
}

static void becomes_small(struct real *r) {
    assert_true(real_wait(r, is_small, PATIENCE_S));
}
#endif

/* What only its start needed it gives back soon after. */
static void an_idle_agent_is_small(void **state) {
    (void)state;
    struct real *r = real_new();
    real_agent_start(r, NULL);
    unsigned long at_first = real_proc_number(r, "VmRSS:");
    becomes_small(r);
    print_message("idle: %lu KiB, %lu KiB when it had just connected\n", real_proc_number(r, "VmRSS:"), at_first);
    real_free(r);
}

/* It works as before, and does not grow back beyond the bound by ordinary work. */
static void it_stays_small_after_work(void **state) {
    (void)state;
    enum { TASKS = 20 };
    struct real *r = real_new();
    real_agent_start(r, NULL);
    becomes_small(r);
    for (int i = 0; i < TASKS; i++) {
        char *result = real_task(r, i % 2 == 0, "#!/bin/sh\necho ok\n", "{}", "");
        assert_string_equal(result, "{\"exitcode\":0,\"stdout\":\"ok\\n\"}");
        mem_free(result);
    }
    print_message("after %d tasks: %lu KiB\n", TASKS, real_proc_number(r, "VmRSS:"));
    becomes_small(r);
    print_message("and idle again: %lu KiB\n", real_proc_number(r, "VmRSS:"));
    real_free(r);
}

/* Between two pings it is never run: how often it gave up the processor does not change. */
static void nothing_wakes_an_idle_agent(void **state) {
    (void)state;
    struct real *r = real_new();
    real_agent_start(r, NULL);
    unsigned long before, after = 0;
    unsigned watched = 0;
    do { /* what follows the connection comes to its end first */
        before = after;
        real_pause(r, WATCHED_MS);
        after = real_proc_number(r, "voluntary_ctxt_switches:");
    } while (after != before && ++watched < ROUNDS);
    assert_int_equal(after, before);
    real_free(r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_idle_agent_is_small),
        cmocka_unit_test(it_stays_small_after_work),
        cmocka_unit_test(nothing_wakes_an_idle_agent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
