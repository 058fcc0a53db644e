/* Stacks in cmocka tests. A group with one stack:
 *
 *     #include <dalang/dalang_cmocka.h>
 *     static struct dalang_stack_opts opts = {.agents = 5};
 *     static int setup(void **state) { return dalang_setup(state, &opts); }
 *     static void test(void **state) { assert_dalang_task(*state, "echo", DALANG_PARAMS("message=hi"), NULL); }
 *     … cmocka_run_group_tests(tests, setup, dalang_teardown); */
#ifndef DALANG_CMOCKA_H
#define DALANG_CMOCKA_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dalang_stack.h"
#include <stdlib.h>

static inline int dalang_setup(void **state, const struct dalang_stack_opts *opts) {
    char why[DALANG_STACK_ERROR_MAX];
    *state = dalang_stack_start(opts, why, sizeof(why));
    if (*state == NULL) {
        print_error("%s\n", why);
        return -1;
    }
    return 0;
}

static inline int dalang_teardown(void **state) {
    dalang_stack_stop((struct dalang_stack *)*state);
    return 0;
}

#define DALANG_PARAMS(...)                                                                                             \
    (const char *const[]) {                                                                                            \
        __VA_ARGS__, NULL                                                                                              \
    }

/* Every node succeeds; else the test fails and shows what happened. */
#define assert_dalang_task(stack, task, params, query)                                                                 \
    do {                                                                                                               \
        char *dalang_json = NULL;                                                                                      \
        const bool dalang_done = dalang_stack_task((stack), (task), (params), (query), &dalang_json);                  \
        if (!dalang_done) {                                                                                            \
            print_error("%s\n", dalang_json != NULL ? dalang_json : "");                                               \
        }                                                                                                              \
        free(dalang_json);                                                                                             \
        if (!dalang_done) {                                                                                            \
            fail_msg("task %s did not succeed everywhere", (task));                                                    \
        }                                                                                                              \
    } while (0)

/* This exit code of one of our programs: assert_dalang_run(s, 0, "puppet-job", "show") */
#define assert_dalang_run(stack, code, ...)                                                                            \
    do {                                                                                                               \
        char *dalang_out = NULL, *dalang_err = NULL;                                                                   \
        int dalang_code = dalang_stack_run((stack), DALANG_PARAMS(__VA_ARGS__), &dalang_out, &dalang_err);             \
        if (dalang_code != (code)) {                                                                                   \
            print_error("%s%s", dalang_out != NULL ? dalang_out : "", dalang_err != NULL ? dalang_err : "");           \
        }                                                                                                              \
        free(dalang_out);                                                                                              \
        free(dalang_err);                                                                                              \
        assert_int_equal(dalang_code, (code));                                                                         \
    } while (0)

#define assert_dalang_fault(stack, json)                                                                               \
    do {                                                                                                               \
        char dalang_why[DALANG_STACK_ERROR_MAX];                                                                       \
        if (!dalang_stack_fault((stack), (json), dalang_why, sizeof(dalang_why))) {                                    \
            fail_msg("%s", dalang_why);                                                                                \
        }                                                                                                              \
    } while (0)

#endif
