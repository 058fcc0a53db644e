/* A stack brought up by the real `dalang up`, with users, modules and agents that do what the tests need; private to
 * the test program: its directory is temporary and its ports are free ones. */
#ifndef DALANG_TESTS_RIG_H
#define DALANG_TESTS_RIG_H

#include "base/json.h"
#include "simulator/dalang/tests/programs.h"

struct rig {
    char *dir;       /* everything is below it; the programs' working directory */
    char *stack_dir; /* DALANG_DIR */
    struct running up;
    json_t *ready;              /* the line `dalang up --json` printed */
    char *stack_env, *home_env; /* "DALANG_DIR=…", "HOME=…" */
};

/* Modules: echo (its parameter comes back), fail (exit 3, with an _error), crash (exit 1, no _error), plain (text),
 * brief (a second), slow (an hour), typed (parameters of three types), hidden (nobody but admin may run it);
 * the plan greet.
 * Tokens, in files below dir: viewer.token (may look only), expired.token, garbage.token, empty.token.
 * Users alice (password "wonder land", may run echo) and admin (password "sesame"). */
void rig_start(struct rig *rig, const char *const *more_arguments);
void rig_stop(struct rig *rig); /* SIGTERM, and waits; exit code 0 is expected */

/* Argument lists: RUN(rig, "puppet-task", "run", …) */
#define ARGUMENTS(...)                                                                                                 \
    (const char *const[]) {                                                                                            \
        __VA_ARGS__, NULL                                                                                              \
    }
struct program rig_program(const struct rig *rig, const char *const *argv);
void rig_expect(const struct rig *rig, const char *const *argv, int code, const char *out, const char *err);

/* Many of them, as data. */
struct expectation {
    const char *argv[ARGV_MAX];
    int code;
    const char *out, *err;
    const char *input;
};
void rig_expect_all(const struct rig *rig, const struct expectation *list, size_t count);
#define EXPECT_ALL(rig, list) rig_expect_all(rig, list, sizeof(list) / sizeof((list)[0]))

#endif
