/* SSLKEYLOGFILE: whatever tests something writes the secrets of its connections where it is told to, so that Wireshark
 * can read them; for its owner alone, and only when it is told to. */
#include "base/mem.h"
#include "simulator/dalang/tests/rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct rig rig;

static void expect_secrets(const char *name) {
    char *path = str_printf("%s/%s", rig.dir, name), *secrets = read_file(rig.dir, name);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 077, 0);
    if (strstr(secrets, "CLIENT_TRAFFIC_SECRET_0 ") == NULL) {
        fail_msg("no secrets in %s: %s", name, secrets);
    }
    mem_free(secrets);
    mem_free(path);
}

#define OF_THE_STACK "--ca", "stack/ca.pem", "--ca-key", "stack/ca.key"

static void clients_keep_them(void **state) {
    (void)state;
    const char *broker = json_str(rig.ready, "broker");
    const struct {
        const char *keys, *argv[ARGV_MAX];
    } programs[] = {
        {"of-conform",
         {"dalang", "conform", "broker", "--target", broker, OF_THE_STACK, "--only", "pcp2/uri/take-001"}},
        {"of-fleet", {"dalang", "fleet", "--broker", broker, OF_THE_STACK, "--agents", "1", "--for", "1s"}},
        {"of-bench",
         {"dalang", "bench", "broker", "--target", broker, OF_THE_STACK, "--connections", "2", "--active", "1",
          "--messages", "10", "--rounds", "1", "--for", "100ms", "--no-floor"}},
        {"of-scenario", {"dalang", "scenario", "run", "--world", "real", "one.yaml"}},
    };
    write_file(rig.dir, "one.yaml",
               "name: one\nfleet: {count: 1}\nsteps:\n  - run_task: {task: echo, params: {message: x}, query: "
               "\"nodes[certname]{}\"}\n    as: job\n  - expect_job: {job: \"${job.name}\", state: finished}\n");
    for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++) {
        struct program p = rig_program(&rig, programs[i].argv);
        char *keys = str_printf("SSLKEYLOGFILE=%s/%s", rig.dir, programs[i].keys);
        p.env[3] = keys;
        expect_program(&p, 0, NULL, NULL);
        expect_secrets(programs[i].keys);
        mem_free(keys);
    }
}

static void a_stack_keeps_them(void **state) {
    (void)state;
    expect_secrets("of-the-stack");
}

static void a_file_that_cannot_be_written_is_told(void **state) {
    (void)state;
    static const char *const commands[][12] = {
        {"dalang", "conform", "broker", "--target", "wss://127.0.0.1:1", OF_THE_STACK},
        {"dalang", "fleet", "--broker", "wss://127.0.0.1:1/pcp2/", OF_THE_STACK, "--agents", "1"},
        {"dalang", "bench", "broker", "--target", "wss://127.0.0.1:1/pcp2/", OF_THE_STACK, "--no-floor"},
        {"dalang", "up", "--dir", "another"},
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        struct program p = rig_program(&rig, commands[i]);
        p.env[3] = "SSLKEYLOGFILE=/nowhere/keys";
        expect_program(&p, 3, "", "*/nowhere/keys: No such file or directory\n");
    }
}

/* The stack is told where by its environment, as everything else here is; its directory is made before it is known. */
static int start(void **state) {
    (void)state;
    char *above = make_temporary_dir(), *keys = str_printf("%s/keys", above);
    setenv("SSLKEYLOGFILE", keys, 1);
    rig_start(&rig, ARGUMENTS("--agents", "1"));
    unsetenv("SSLKEYLOGFILE");
    char *kept = str_printf("%s/of-the-stack", rig.dir);
    int moved = rename(keys, kept);
    remove_tree(above);
    mem_free(above);
    mem_free(keys);
    mem_free(kept);
    return moved;
}

static int stop(void **state) {
    (void)state;
    rig_stop(&rig);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clients_keep_them),
        cmocka_unit_test(a_stack_keeps_them),
        cmocka_unit_test(a_file_that_cannot_be_written_is_told),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
