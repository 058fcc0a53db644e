/* pxp-module-puppet as a process, with a `puppet` of the test's own in a directory of its own. */
#ifndef DALANG_AGENT_TESTS_PUPPET_RIG_H
#define DALANG_AGENT_TESTS_PUPPET_RIG_H

#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
/* cmocka wants the four headers above first */
#include <cmocka.h>

struct puppet_rig {
    char dir[64];
    char *puppet; /* the program the module is told to run: a stand-in unless the test writes another */
};

/* For cmocka: *state is the rig. */
int rig_setup(void **state);
int rig_teardown(void **state);

char *rig_path(const struct puppet_rig *f, const char *name); /* below dir; mem_free() it */
void rig_put(const struct puppet_rig *f, const char *name, const char *text);
char *rig_slurp(const char *path); /* NULL when absent; mem_free() it */
/* The module's input: mem_free() it. */
char *rig_request(const struct puppet_rig *f, const char *input);
/* Runs the module; its standard output, mem_free() it. Nothing may be on standard error. */
char *rig_run(const struct puppet_rig *f, const char *action, const char *input, int *code);

#endif
