/* See rig.h. */
#include "simulator/dalang/tests/rig.h"

#include "base/mem.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct {
    const char *name, *text;
} files[] = {
    {"modules/echo/tasks/init.sh", "#!/bin/sh\necho \"{\\\"message\\\": \\\"$PT_message\\\"}\"\n"},
    {"modules/echo/tasks/init.json",
     "{\"description\": \"Says it again\\nand nothing else\", \"input_method\": \"environment\", \"supports_noop\": "
     "true,"
     " \"parameters\": {\"message\": {\"type\": \"String\", \"description\": \"What to say\"}}}"},
    {"modules/fail/tasks/init.sh", "#!/bin/sh\nexit 3\n"},
    {"modules/crash/tasks/init.sh", "#!/bin/sh\nexit 1\n"},
    {"modules/plain/tasks/init.sh", "#!/bin/sh\necho plain\n"},
    {"modules/brief/tasks/init.sh", "#!/bin/sh\nsleep 1\n"},
    {"modules/slow/tasks/init.sh", "#!/bin/sh\nsleep 3600\n"},
    {"modules/hidden/tasks/init.sh", "#!/bin/sh\n"},
    {"modules/typed/tasks/init.sh", "#!/bin/sh\ncat\n"},
    {"modules/typed/tasks/init.json",
     "{\"description\": \"Parameters of every kind\", \"input_method\": \"stdin\", \"parameters\": {"
     "\"count\": {\"type\": \"Integer\"}, \"ratio\": {\"type\": \"Optional[Float]\"},"
     "\"on\": {\"type\": \"Optional[Boolean]\"}, \"text\": {\"type\": \"Optional[String]\"}}}"},
    {"modules/typed/tasks/other.sh", "#!/bin/sh\n"},
    {"modules/greet/plans/init.pp", "# Says hello\nplan greet(String $who = 'you') {\n  return $who\n}\n"},
    {"behaviour.json",
     "{\"tasks\": {"
     "\"fail\": {\"exit\": 3, \"stdout\": \"{\\\"tried\\\": 2, \\\"_error\\\": {\\\"msg\\\": \\\"the disk is full\\\","
     " \\\"kind\\\": \\\"test/full\\\", \\\"details\\\": {}}}\"},"
     "\"crash\": {\"exit\": 1, \"stderr\": \"no such thing\"},"
     "\"plain\": {\"stdout\": \"one\\ntwo\\n\"},"
     "\"brief\": {\"takes\": \"1s\"}, \"slow\": {\"takes\": \"1h\"}},"
     "\"puppet_run\": {\"takes\": \"1ms\", \"status\": {\"changed\": 1}}}"},
    {"state.json",
     "{\"rbac\": {\"settings\": {\"scrypt_n\": 1024}, \"roles\": ["
     "{\"display_name\": \"View\", \"permissions\": ["
     "{\"object_type\": \"orchestrator\", \"action\": \"view\", \"instance\": \"*\"}]},"
     "{\"display_name\": \"Echo\", \"permissions\": ["
     "{\"object_type\": \"orchestrator\", \"action\": \"view\", \"instance\": \"*\"},"
     "{\"object_type\": \"tasks\", \"action\": \"run\", \"instance\": \"echo\"}]}],"
     "\"users\": [{\"login\": \"admin\", \"password\": \"sesame\", \"superuser\": true},"
     "{\"login\": \"alice\", \"password\": \"wonder land\", \"roles\": [\"Echo\"]},"
     "{\"login\": \"viewer\", \"roles\": [\"View\"]}],"
     "\"tokens\": [{\"token\": \"0viewer\", \"login\": \"viewer\"}, {\"token\": \"0alice\", \"login\": \"alice\"},"
     "{\"token\": \"0expired\", \"login\": \"viewer\", \"expires\": \"2020-01-01T00:00:00Z\"}]},"
     "\"classifier\": {\"groups\": ["
     "{\"name\": \"First\", \"id\": \"11111111-1111-4111-8111-111111111111\", \"parent\": \"root\","
     " \"rule\": [\"=\", \"name\", \"node-0001.example.com\"], \"classes\": {}},"
     "{\"name\": \"Nobody\", \"id\": \"33333333-3333-4333-8333-333333333333\", \"parent\": \"root\","
     " \"rule\": [\"=\", \"name\", \"no-such-node\"], \"classes\": {}}]}}"},
    {"viewer.token", "0viewer\n"},
    {"alice.token", "  0alice  \n"},
    {"expired.token", "0expired\n"},
    {"garbage.token", "not-a-token\n"},
    {"empty.token", "\n"},
    {"home/.keep", ""},
};

void rig_start(struct rig *rig, const char *const *more_arguments) {
    *rig = (struct rig){.dir = make_temporary_dir()};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        write_file(rig->dir, files[i].name, files[i].text);
    }
    rig->stack_dir = str_printf("%s/stack", rig->dir);
    rig->stack_env = str_printf("DALANG_DIR=%s", rig->stack_dir);
    rig->home_env = str_printf("HOME=%s/home", rig->dir);
    struct program p = {.argv = {"dalang", "up", "--json", "--port-base", "0", "--dir", "stack", "--state",
                                 "state.json", "--behaviour", "behaviour.json", "--modules", "modules"},
                        .dir = rig->dir};
    size_t n = 0;
    while (p.argv[n] != NULL) {
        n++;
    }
    for (size_t i = 0; more_arguments != NULL && more_arguments[i] != NULL; i++) {
        assert_true(n + 1 < ARGV_MAX);
        p.argv[n++] = more_arguments[i];
    }
    program_start(&rig->up, &p);
    program_await(&rig->up, "}\n");
    rig->ready = json_parse(buf_span(&rig->up.out_text), "ready", NULL);
    assert_non_null(rig->ready);
}

void rig_stop(struct rig *rig) {
    kill(rig->up.pid, SIGTERM);
    int code = program_finish(&rig->up);
    if (code != 0) {
        print_error("dalang up ended with %d\n%s\n", code, rig->up.err_text.ptr != NULL ? rig->up.err_text.ptr : "");
    }
    assert_int_equal(code, 0);
    program_free(&rig->up);
    remove_tree(rig->dir);
    json_decref(rig->ready);
    mem_free(rig->dir);
    mem_free(rig->stack_dir);
    mem_free(rig->stack_env);
    mem_free(rig->home_env);
}

struct program rig_program(const struct rig *rig, const char *const *argv) {
    struct program p = {.env = {rig->stack_env, rig->home_env, "NO_COLOR"}, .dir = rig->dir};
    for (size_t i = 0; argv[i] != NULL; i++) {
        assert_true(i + 1 < ARGV_MAX);
        p.argv[i] = argv[i];
    }
    return p;
}

void rig_expect(const struct rig *rig, const char *const *argv, int code, const char *out, const char *err) {
    struct program p = rig_program(rig, argv);
    expect_program(&p, code, out, err);
}

void rig_expect_all(const struct rig *rig, const struct expectation *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct expectation *e = &list[i];
        struct program p = rig_program(rig, e->argv);
        p.input = e->input;
        expect_program(&p, e->code, e->out, e->err);
    }
}
