/* dalang-exec by itself: its argument forms, and what it stores (agent/exec.h; agent.md §10, §16.2
 * "execution_wrapper"). */
#include "agent/exec.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the headers above first */
#include <cmocka.h>

static char dir[64];

static int setup(void **state) {
    (void)state;
    strcpy(dir, "/tmp/dalang-exec-XXXXXX");
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int teardown(void **state) {
    (void)state;
    char *command = str_printf("rm -rf %s", dir);
    int status = system(command);
    mem_free(command);
    return status;
}

/* A shell line in which $X is dalang-exec and $D the spool directory; the exit code. */
static int run(const char *line) {
    char *command = str_printf("X=" BIN_DIR "/dalang-exec; D=%s; cd $D; %s", dir, line);
    int status = system(command);
    mem_free(command);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect_file(const char *name, const char *content) {
    char *path = str_printf("%s/%s", dir, name), text[4096] = "";
    FILE *file = fopen(path, "r");
    if (content == NULL) {
        assert_null(file);
    } else {
        assert_non_null(file);
        size_t n = fread(text, 1, sizeof text - 1, file);
        fclose(file);
        assert_int_equal(n, strlen(content));
        assert_string_equal(text, content);
    }
    mem_free(path);
}

#define SPOOLED "$X --spool $D --limit 1000 "

static void forms(void **state) {
    (void)state;
    struct agent_exec x;
    const char *const spool[] = {"x", "--spool", "/d", "--input", "5", "--limit", "9", "--", "/bin/cat", "-n", NULL};
    assert_true(agent_exec_parse(spool, &x));
    assert_string_equal(x.spool_dir, "/d");
    assert_int_equal(x.input_size, 5);
    assert_int_equal(x.output_max, 9);
    assert_string_equal(x.argv[0], "/bin/cat");
    assert_string_equal(x.argv[1], "-n");
    const char *const pid[] = {"x", "--pid", "/p", "--", "a", NULL}, *const plain[] = {"x", "--", "--", NULL};
    assert_true(agent_exec_parse(pid, &x));
    assert_string_equal(x.pid_file, "/p");
    assert_null(x.spool_dir);
    assert_true(agent_exec_parse(plain, &x));
    assert_string_equal(x.argv[0], "--");
    const char *const wrong[][8] = {
        {NULL},
        {"x", NULL},
        {"x", "--", NULL},
        {"x", "a", NULL},
        {"x", "--spool", "--", NULL},
        {"x", "--spool", "/d", NULL},
        {"x", "--input", "-1", "--", "a", NULL},
        {"x", "--input", "1x", "--", "a", NULL},
        {"x", "--limit", "", "--", "a", NULL},
        {"x", "--bogus", "1", "--", "a", NULL},
        {"x", "--spool", "/d", "--pid", "/p", "--", NULL},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(agent_exec_parse(wrong[i], &x));
    }
    assert_int_equal(run("$X 2>/dev/null"), AGENT_EXEC_USAGE);
}

static void input_and_outputs_are_stored(void **state) {
    (void)state;
    assert_int_equal(run("printf hello | " SPOOLED "--input 5 -- /bin/sh -c 'cat; printf err >&2; exit 3'"), 3);
    expect_file("stdout", "hello\n");
    expect_file("stderr", "err");
    expect_file("exitcode", "3");
    expect_file("pid~", NULL);
    expect_file("exitcode~", NULL);
    assert_int_equal(
        run("[ $(stat -c %a stdout) = 640 ] && [ $(stat -c %a exitcode) = 640 ] && [ $(stat -c %a pid) = 640 ]"), 0);
}

static void a_missing_executable(void **state) {
    (void)state;
    assert_int_equal(run(SPOOLED "-- /no/such/file < /dev/null"), 127);
    expect_file("stdout", "");
    expect_file("stderr", "");
    expect_file("exitcode", "127");
    assert_int_equal(run("$X -- /no/such/file"), 127);
    assert_int_equal(run("$X -- no_such_command_anywhere"), 127);
    assert_int_equal(run("$X -- $D"), 127); /* a directory */
    assert_int_equal(run("$X -- true"), 0); /* through PATH */
}

static void a_file_that_is_not_executable(void **state) {
    (void)state;
    assert_int_equal(run("echo 'echo x' > script; " SPOOLED "-- $D/script < /dev/null"), 127);
    expect_file("stdout", "");
    expect_file("exitcode", "127");
    assert_int_equal(run("chmod +x script; $X -- $D/script"), 8); /* no program */
    assert_int_equal(run("echo '#!/no/such' > script; $X -- $D/script"), 2);
}

static void input_that_is_cut_short(void **state) {
    (void)state;
    assert_int_equal(run("printf hel | " SPOOLED "--input 5 -- /bin/touch $D/ran"), AGENT_EXEC_INCOMPLETE);
    expect_file("ran", NULL);
    expect_file("pid", NULL);
    expect_file("exitcode", NULL);
}

static void a_task_that_was_given_up(void **state) {
    (void)state;
    assert_int_equal(run("echo 0 > pid; " SPOOLED "-- /bin/touch $D/ran < /dev/null"), AGENT_EXEC_INCOMPLETE);
    assert_int_equal(run("$X --pid $D/pid -- /bin/touch $D/ran < /dev/null"), AGENT_EXEC_INCOMPLETE);
    expect_file("ran", NULL);
    expect_file("pid", "0\n");
}

static void output_beyond_the_limit(void **state) {
    (void)state;
    assert_int_equal(
        run("$X --spool $D --limit 10 -- /bin/sh -c 'seq 1 100000; echo 12345678901 >&2; exit 1' < /dev/null"), 1);
    expect_file("stdout", "1\n2\n3\n4\n5\n");
    expect_file("stderr", "1234567890");
    expect_file("exitcode", "1");
}

/* No room: whoever waits hears of it, and no exit code pretends that all of the output is there. */
static void output_that_cannot_be_stored(void **state) {
    (void)state;
    assert_int_equal(run("trap '' XFSZ; ulimit -f 1; " SPOOLED "-- /usr/bin/printf %900d 7"), AGENT_EXEC_LOST);
    expect_file("exitcode", NULL);
    assert_int_equal(run("rm pid; trap '' XFSZ; ulimit -f 1; " SPOOLED "-- /usr/bin/printf %300d 7"), 0);
    expect_file("exitcode", "0");
}

static void signals(void **state) {
    (void)state;
    assert_int_equal(run(SPOOLED "-- /bin/sh -c 'echo x; kill -9 $$' < /dev/null"), 9);
    expect_file("stdout", "x\n");
    expect_file("exitcode", "9");
    /* One to the whole group ends the task, and the end is told. */
    assert_int_equal(run("rm -f pid; setsid " SPOOLED "-- /bin/sleep 60 < /dev/null & "
                         "while [ ! -s $D/pid ]; do sleep 0.01; done; sleep 0.1; "
                         "/bin/kill -TERM -- -$(cat $D/pid); wait $!"),
                     15);
    expect_file("exitcode", "15");
}

static void the_pid_is_that_of_the_program(void **state) {
    (void)state;
    assert_int_equal(run("$X --pid $D/pid -- /bin/sh -c '[ $$ = $(cat pid) ]'"), 0);
}

static void what_it_started_is_waited_for(void **state) {
    (void)state;
    assert_int_equal(run(SPOOLED "-- /bin/sh -c '(sleep 0.3; echo late) & echo early' < /dev/null"), 0);
    expect_file("stdout", "early\nlate\n");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(forms, setup, teardown),
        cmocka_unit_test_setup_teardown(input_and_outputs_are_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(a_missing_executable, setup, teardown),
        cmocka_unit_test_setup_teardown(a_file_that_is_not_executable, setup, teardown),
        cmocka_unit_test_setup_teardown(input_that_is_cut_short, setup, teardown),
        cmocka_unit_test_setup_teardown(a_task_that_was_given_up, setup, teardown),
        cmocka_unit_test_setup_teardown(output_beyond_the_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(output_that_cannot_be_stored, setup, teardown),
        cmocka_unit_test_setup_teardown(signals, setup, teardown),
        cmocka_unit_test_setup_teardown(the_pid_is_that_of_the_program, setup, teardown),
        cmocka_unit_test_setup_teardown(what_it_started_is_waited_for, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
