/* The agent on a real machine: programs, files, descriptors, signals (agent.md §10, §11). */
#include "agent/tests/real.h"
#include "base/digest.h"
#include "base/mem.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static int setup(void **state) {
    *state = real_new();
    umask(027);
    real_agent_start(*state, NULL);
    return 0;
}

static int teardown(void **state) {
    real_free(*state);
    return 0;
}

static void expect_task(struct real *r, const char *script, const char *input, const char *expected) {
    for (int non_blocking = 0; non_blocking < 2; non_blocking++) {
        char *text = real_task(r, non_blocking, script, input, "");
        assert_string_equal(text, expected);
        mem_free(text);
    }
}

static void tasks_get_their_input(void **state) {
    expect_task(*state, "#!/bin/sh\ncat; echo; echo \"$PT_message|$PT__task\"; echo oh >&2; exit 3\n",
                "{\"message\":\"hi there\"}",
                "{\"exitcode\":3,\"stdout\":\"{\\\"message\\\":\\\"hi there\\\",\\\"_task\\\":\\\"demo::run\\\"}\\n"
                "hi there|demo::run\\n\",\"stderr\":\"oh\\n\"}");
}

static void programs_that_do_not_run(void **state) {
    expect_task(*state, "no program\n", "{}", "{\"exitcode\":8}");
    expect_task(*state, "#!/no/such/interpreter\n", "{}", "{\"exitcode\":2}");
    char *text = real_task(*state, true, "#!/bin/sh\nno_such_command\n", "{}", "");
    assert_non_null(strstr(text, "\"exitcode\":127,\"stderr\":"));
    mem_free(text);
}

static void signals_become_exit_codes(void **state) {
    expect_task(*state, "#!/bin/sh\nkill -9 $$\n", "{}", "{\"exitcode\":9}");
    expect_task(*state, "#!/bin/sh\nexit 200\n", "{}", "{\"exitcode\":200}");
}

static void unread_input_is_harmless(void **state) {
    struct real *r = *state;
    struct buf input = BUF_INIT;
    buf_append_cstr(&input, "{\"x\":\"");
    for (int i = 0; i < 300000; i++) {
        buf_append_char(&input, 'y');
    }
    buf_append_cstr(&input, "\"}");
    for (int non_blocking = 0; non_blocking < 2; non_blocking++) {
        char *text = real_task(r, non_blocking, "#!/bin/sh\nexit 0\n", input.ptr, ",\"input_method\":\"stdin\"");
        assert_string_equal(text, "{\"exitcode\":0}");
        mem_free(text);
        text = real_task(r, non_blocking, "#!/bin/sh\nwc -c\n", input.ptr, ",\"input_method\":\"stdin\"");
        assert_string_equal(text, "{\"exitcode\":0,\"stdout\":\"300028\\n\"}");
        mem_free(text);
    }
    buf_free(&input);
}

static void tasks_inherit_no_descriptors(void **state) {
    expect_task(*state,
                "#!/bin/sh\nfor n in 0 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16; do [ -e /proc/$$/fd/$n ] && echo $n; done; "
                "exit 0\n",
                "{}", "{\"exitcode\":0,\"stdout\":\"0\\n1\\n2\\n\"}");
}

static void tasks_have_a_session_of_their_own(void **state) {
    char *text = real_task(*state, true, "#!/bin/sh\nset -- $(cat /proc/$$/stat); echo $6 $PPID\n", "{}", "");
    int session = 0, parent = 0;
    assert_int_equal(sscanf(strstr(text, "stdout\":\"") + 9, "%d %d", &session, &parent), 2);
    assert_int_equal(session, parent); /* dalang-exec leads it */
    mem_free(text);
}

static void tasks_inherit_the_umask(void **state) {
    struct real *r = *state;
    mode_t ours = umask(0); /* the agent was started with it */
    umask(ours);
    char *expected = str_printf("{\"exitcode\":0,\"stdout\":\"%04o\\n\"}", (unsigned)ours);
    expect_task(r, "#!/bin/sh\numask\n", "{}", expected);
    mem_free(expected);
}

static void output_beyond_the_message_limit(void **state) {
    struct real *r = *state;
    char *text = real_task(r, false, "#!/bin/sh\nhead -c 70000000 /dev/zero | tr '\\0' x\n", "{}", "");
    assert_non_null(strstr(text, "exceeded max-message-size 67108864"));
    mem_free(text);
    text = real_task(r, true, "#!/bin/sh\nhead -c 70000000 /dev/zero | tr '\\0' x\n", "{}", "");
    assert_non_null(strstr(text, "exceeded max-message-size 67108864"));
    mem_free(text);
    text = real_task(r, true, "#!/bin/sh\nhead -c 5000000 /dev/zero | tr '\\0' x\n", "{}", "");
    assert_int_equal(strlen(text), 5000000 + strlen("{\"exitcode\":0,\"stdout\":\"\\n\"}"));
    mem_free(text);
}

static void commands_run_in_the_login_shell(void **state) {
    struct real *r = *state;
    real_request(r, false, "t", "command", "run", "{\"command\":\"echo $0 $((1+1)); nosuchthing_\"}");
    const struct real_message *m = real_expect(r, "rpc_blocking_response");
    assert_non_null(strstr(m->data, "\"exitcode\":127"));
    assert_non_null(strstr(m->data, " 2\\n\""));
    assert_non_null(strstr(m->data, "nosuchthing_"));
}

static void spool_files_and_their_modes(void **state) {
    struct real *r = *state;
    real_request(r, true, "tx-1", "command", "run", "{\"command\":\"printf out; printf err >&2; exit 7\"}");
    real_expect(r, "rpc_provisional_response");
    real_expect(r, "rpc_non_blocking_response");
    const struct {
        const char *name, *content;
        mode_t mode;
    } files[] = {{"spool/tx-1/stdout", "out\n", 0640}, {"spool/tx-1/stderr", "err", 0640},
                 {"spool/tx-1/exitcode", "7", 0640},   {"spool/tx-1/metadata", NULL, 0640},
                 {"spool/tx-1/pid", NULL, 0640},       {"spool/tx-1", NULL, 0750}};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = real_path(r, files[i].name), *text = real_read(r, files[i].name);
        struct stat st;
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, files[i].mode);
        if (files[i].content != NULL) {
            assert_string_equal(text, files[i].content);
        }
        mem_free(path);
        mem_free(text);
    }
}

/* Requests parameters are in no file. */
static void parameters_are_not_kept(void **state) {
    struct real *r = *state;
    char *text = real_task(r, true, "#!/bin/sh\nsleep 0.1\n", "{\"password\":\"s3cr3t-word\"}", "");
    mem_free(text);
    char *command = str_printf("! grep -rq s3cr3t-word %s/spool %s/tasks-cache", r->dir, r->dir);
    real_command("%s", command);
    mem_free(command);
    assert_null(strstr(r->output.ptr, "s3cr3t-word"));
}

/* What a task is given is its own business: whoever lists the processes sees none of it. (The shell's own words only:
 * a grep would be seen with the secret.) */
static void parameters_are_in_no_process_list(void **state) {
    static const char script[] = "#!/bin/sh\nread -r given\nsecret=s3cr3t\nsecret=$secret-word\n"
                                 "case \"$given$PT_password\" in *$secret*) echo given;; esac\n"
                                 "for f in /proc/[0-9]*/cmdline; do\n"
                                 "  words=$(tr '\\0' ' ' 2>/dev/null <$f) || continue\n"
                                 "  case $words in *$secret*) echo \"seen: $words\";; esac\ndone\nexit 0\n";
    static const char *const methods[] = {"stdin", "environment", "both"};
    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        char *more = str_printf(",\"input_method\":\"%s\"", methods[i]);
        char *text = real_task(*state, true, script, "{\"password\":\"s3cr3t-word\"}", more);
        assert_string_equal(text, "{\"exitcode\":0,\"stdout\":\"given\\n\"}");
        mem_free(text);
        mem_free(more);
    }
}

/* Parameters have names of their own in the environment: none takes the place of what programs go by. */
static void parameters_change_no_variable(void **state) {
    expect_task(*state,
                "#!/bin/sh\necho $PT_PATH $PT_LD_PRELOAD $PT_IFS\n"
                "case $PATH in *evil*) echo changed;; esac\necho ${LD_PRELOAD:-none} ${BASH_ENV:-none}\n",
                "{\"PATH\":\"/evil\",\"LD_PRELOAD\":\"/evil.so\",\"IFS\":\"x\",\"BASH_ENV\":\"/evil.sh\"}",
                "{\"exitcode\":0,\"stdout\":\"/evil /evil.so x\\nnone none\\n\"}");
}

static void files_directories_and_links_are_placed(void **state) {
    struct real *r = *state;
    real_serve(r, "/f/data.txt", SPAN("some data\n"));
    char hex[SHA256_HEX_LEN + 1];
    sha256_hex(SPAN("some data\n"), hex);
    char *params = str_printf(
        "{\"files\":["
        "{\"kind\":\"directory\",\"destination\":\"%1$s/dl/"
        "sub\",\"link_source\":\"\",\"sha256\":\"\",\"uri\":{\"path\":\"\","
        "\"params\":{}}},"
        "{\"kind\":\"file\",\"destination\":\"%1$s/dl/new/data.txt\",\"link_source\":\"\",\"sha256\":\"%2$s\",\"uri\":{"
        "\"path\":\"/f/data.txt\",\"params\":{}}},"
        "{\"kind\":\"symlink\",\"destination\":\"%1$s/dl/link\",\"link_source\":\"%1$s/dl/new/"
        "data.txt\",\"sha256\":\"\","
        "\"uri\":{\"path\":\"\",\"params\":{}}}]}",
        r->dir, hex);
    for (int twice = 0; twice < 2; twice++) { /* the second time everything is there already */
        real_request(r, false, "t", "file", "download", params);
        assert_string_equal(real_expect(r, "rpc_blocking_response")->data,
                            "{\"transaction_id\":\"t\",\"results\":{\"exitcode\":0,\"stdout\":\"downloaded\"}}");
    }
    real_command("[ \"$(stat -c %%a %s/dl/sub)\" = 750 ] && [ \"$(stat -c %%a %s/dl/new/data.txt)\" = 750 ] && "
                 "[ \"$(readlink %s/dl/link)\" = %s/dl/new/data.txt ] && [ \"$(cat %s/dl/link)\" = 'some data' ]",
                 r->dir, r->dir, r->dir, r->dir, r->dir);
    mem_free(params);
    const struct {
        const char *kind, *destination, *error;
    } wrong[] = {
        {"directory", "dl/new/data.txt", "already exists and is not a directory!"},
        {"symlink", "dl/new/data.txt", "already exists and is not a symlink!"},
        {"fifo", "dl/x", "Not a valid file type! fifo"},
        {"file", "dl/absent", "failed after trying all the available master-uris"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        params = str_printf("{\"files\":[{\"kind\":\"%s\",\"destination\":\"%s/%s\",\"link_source\":\"/x\",\"sha256\":"
                            "\"%s\",\"uri\":{\"path\":\"/f/absent\",\"params\":{}}}]}",
                            wrong[i].kind, r->dir, wrong[i].destination, hex);
        real_request(r, false, "t", "file", "download", params);
        assert_non_null(strstr(real_expect(r, "rpc_error_message")->data, wrong[i].error));
        mem_free(params);
    }
    assert_false(real_exists(r, "dl/absent"));
    char *kept = real_read(r, "dl/new/data.txt");
    assert_string_equal(kept, "some data\n");
    mem_free(kept);
}

/* Two hundred run side by side while the agent itself has its one thread and the loop's pool for blocking calls. */
static void many_tasks_at_once(void **state) {
    struct real *r = *state;
    enum { COUNT = 200, POOL = 4 };
    char *gate = real_path(r, "gate"), *params = str_printf("{\"command\":\"read x < %s; echo done\"}", gate);
    assert_int_equal(mkfifo(gate, 0600), 0);
    int fd = open(gate, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (int i = 0; i < COUNT; i++) {
        char *id = str_printf("many-%d", i);
        real_request(r, true, id, "command", "run", params);
        mem_free(id);
    }
    for (int i = 0; i < COUNT; i++) {
        real_expect(r, "rpc_provisional_response");
    }
    assert_in_range(real_proc_number(r, "Threads:"), 1, 1 + POOL);
    for (int i = 0; i < COUNT; i++) { /* a line for each of them */
        assert_int_equal(write(fd, "\n", 1), 1);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_non_null(strstr(real_expect(r, "rpc_non_blocking_response")->data, "\"stdout\":\"done\\n\""));
    }
    close(fd);
    mem_free(params);
    mem_free(gate);
}

static void a_killed_group_is_still_told(void **state) {
    struct real *r = *state;
    real_request(r, true, "victim", "command", "run", "{\"command\":\"sleep 60\"}");
    real_expect(r, "rpc_provisional_response");
    char *pid = NULL;
    while ((pid = real_read(r, "spool/victim/pid")) == NULL) {
        real_pause(r, 10);
    }
    real_pause(r, 100);
    assert_true(world_pid_signal(r->world, atoi(pid), SIGTERM, true));
    mem_free(pid);
    assert_string_equal(real_expect(r, "rpc_non_blocking_response")->data,
                        "{\"transaction_id\":\"victim\",\"results\":{\"exitcode\":15}}");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(tasks_get_their_input, setup, teardown),
        cmocka_unit_test_setup_teardown(programs_that_do_not_run, setup, teardown),
        cmocka_unit_test_setup_teardown(signals_become_exit_codes, setup, teardown),
        cmocka_unit_test_setup_teardown(unread_input_is_harmless, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_inherit_no_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_have_a_session_of_their_own, setup, teardown),
        cmocka_unit_test_setup_teardown(tasks_inherit_the_umask, setup, teardown),
        cmocka_unit_test_setup_teardown(output_beyond_the_message_limit, setup, teardown),
        cmocka_unit_test_setup_teardown(commands_run_in_the_login_shell, setup, teardown),
        cmocka_unit_test_setup_teardown(spool_files_and_their_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(parameters_are_not_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(parameters_are_in_no_process_list, setup, teardown),
        cmocka_unit_test_setup_teardown(parameters_change_no_variable, setup, teardown),
        cmocka_unit_test_setup_teardown(files_directories_and_links_are_placed, setup, teardown),
        cmocka_unit_test_setup_teardown(many_tasks_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(a_killed_group_is_still_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
