/* Child processes of the real world: what they inherit, where their bytes go, how they end. */
#include "world/tests/harness.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

struct job {
    struct bench *b;
    struct world_process *p;
    struct buf out[3];
    int exits;
    struct world_exit exit;
    char error_text[300];
    bool forget_on_output;
};

static void job_output(void *ctx, int stream, struct span bytes) {
    struct job *j = ctx;
    assert_int_equal(j->exits, 0);
    assert_true(stream == 1 || stream == 2);
    buf_append_span(&j->out[stream], bytes);
    if (j->forget_on_output) {
        world_process_forget(j->p);
        j->p = NULL;
    }
}

static void job_exit(void *ctx, const struct world_exit *e) {
    struct job *j = ctx;
    j->exits++;
    j->exit = *e;
    snprintf(j->error_text, sizeof(j->error_text), "%s", e->error_text != NULL ? e->error_text : "");
}

static void job_start(struct bench *b, struct job *j, const char *script, struct world_spawn opts) {
    const char *argv[] = {"/bin/sh", "-c", script, NULL};
    *j = (struct job){.b = b};
    opts.argv = opts.argv != NULL ? opts.argv : argv;
    opts.on_output = job_output;
    opts.umask = opts.umask == 0 ? -1 : opts.umask;
    j->p = world_spawn(b->w, &opts, job_exit, j);
    assert_int_equal(j->exits, 0);
}

static void job_run(struct bench *b, struct job *j, const char *script, struct world_spawn opts) {
    job_start(b, j, script, opts);
    TURN_UNTIL(b, j->exits == 1);
}

static void job_free(struct job *j) {
    for (int i = 0; i < 3; i++) {
        buf_free(&j->out[i]);
    }
}

static const char *text_of(const struct buf *b) {
    return b->ptr != NULL ? b->ptr : "";
}

static void only_three_descriptors(void **state) {
    struct bench *b = *state;
    /* ours, one of them without close-on-exec */
    struct host h = {0};
    host_listen(b, &h, NULL);
    int leaky = dup(STDERR_FILENO);
    struct job j;
    job_run(b, &j, "echo $(ls /proc/self/fd | wc -l); exec 3</dev/null; ls -l /proc/$$/fd >/dev/null",
            (struct world_spawn){0});
    assert_int_equal(j.exit.status, 0);
    assert_string_equal(text_of(&j.out[1]), "4\n"); /* 0, 1, 2 and the directory that ls reads */
    close(leaky);
    job_free(&j);
    host_free(&h);
}

/* Standard streams whose descriptors stand in each other's place when the child is made. */
static void low_descriptors_are_moved(void **state) {
    struct bench *b = *state;
    int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
    close(STDIN_FILENO);
    struct job j;
    job_run(b, &j, "cat; echo err >&2", (struct world_spawn){.stdin_bytes = SPAN("in")});
    dup2(saved, STDIN_FILENO);
    close(saved);
    assert_string_equal(text_of(&j.out[1]), "in");
    assert_string_equal(text_of(&j.out[2]), "err\n");
    job_free(&j);
}

static void signals_are_as_new(void **state) {
    struct bench *b = *state;
    struct job j;
    sigset_t blocked, before;
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    job_run(b, &j, "grep -E 'SigBlk|SigIgn' /proc/self/status", (struct world_spawn){0});
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    assert_string_equal(text_of(&j.out[1]), "SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n");
    job_free(&j);
}

static void umask_and_session(void **state) {
    struct bench *b = *state;
    struct job j;
    job_run(b, &j, "umask; test \"$(cut -d ' ' -f 6 /proc/$$/stat)\" = $$ && echo leader",
            (struct world_spawn){.umask = 027, .new_session = true});
    assert_string_equal(text_of(&j.out[1]), "0027\nleader\n");
    job_free(&j);
}

static void another_user(void **state) {
    struct bench *b = *state;
    if (getuid() != 0) {
        return; /* nobody else can change it */
    }
    struct job j;
    job_run(b, &j, "id -u; id -g; id -G", (struct world_spawn){.uid = 65534, .gid = 65534});
    assert_string_equal(text_of(&j.out[1]), "65534\n65534\n65534\n");
    assert_int_equal(getuid(), 0);
    job_free(&j);
}

static void exit_codes(void **state) {
    static const struct {
        const char *script;
        int status, signal;
    } cases[] = {{"exit 0", 0, 0}, {"exit 255", 255, 0}, {"kill -TERM $$", 0, SIGTERM}, {"kill -SEGV $$", 0, SIGSEGV}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct job j;
        job_run(*state, &j, cases[i].script, (struct world_spawn){0});
        assert_true(j.exit.started);
        assert_int_equal(j.exit.status, cases[i].status);
        assert_int_equal(j.exit.signal, cases[i].signal);
        job_free(&j);
    }
}

static void cannot_start(void **state) {
    struct bench *b = *state;
    bench_write(b, "plain", "not a program");
    bench_write(b, "script", "#!/no/such/interpreter\n");
    world_file_chmod(b->w, bench_path(b, "script"), 0755, NULL);
    const char *absent[] = {"no-such-program-anywhere", NULL}, *plain[] = {bench_path(b, "plain"), NULL},
               *script[] = {bench_path(b, "script"), NULL}, *dir[] = {"/tmp", NULL}, *good[] = {"true", NULL};
    const struct {
        struct world_spawn opts;
        const char *text;
    } cases[] = {
        {{.argv = absent}, "no-such-program-anywhere: No such file"},
        {{.argv = plain}, "plain: Permission denied"},
        {{.argv = script}, "script: No such file"},
        {{.argv = dir}, "/tmp: Permission denied"},
        {{.argv = good, .cwd = "/no/such/directory"}, "/no/such/directory: No such file"},
        {{.argv = good, .stdin_path = "/no/such/input"}, "/no/such/input: No such file"},
        {{.argv = good, .stdout_path = "/no/such/output"}, "/no/such/output: No such file"},
        {{.argv = good, .stderr_path = "/tmp"}, "/tmp: Is a directory"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct job j;
        job_run(b, &j, NULL, cases[i].opts);
        assert_false(j.exit.started);
        if (strstr(j.error_text, cases[i].text) == NULL) {
            fail_msg("%s", j.error_text);
        }
        job_free(&j);
    }
}

static void found_in_path(void **state) {
    struct bench *b = *state;
    bench_write(b, "mytool", "#!/bin/sh\necho mine $1\n");
    world_file_chmod(b->w, bench_path(b, "mytool"), 0755, NULL);
    char *path = str_printf("PATH=/no/such:%s:/bin", b->dir);
    const char *argv[] = {"mytool", "arg", NULL}, *env[] = {path, NULL};
    struct job j;
    job_run(b, &j, NULL, (struct world_spawn){.argv = argv, .env = env});
    assert_string_equal(text_of(&j.out[1]), "mine arg\n");
    job_free(&j);
    mem_free(path);
}

static void large_streams(void **state) {
    struct bench *b = *state;
    struct buf input = BUF_INIT;
    for (int i = 0; i < 300000; i++) {
        buf_printf(&input, "%08d\n", i);
    }
    struct job j;
    job_run(b, &j, "cat", (struct world_spawn){.stdin_bytes = buf_span(&input)});
    assert_int_equal(j.out[1].len, input.len);
    assert_memory_equal(j.out[1].ptr, input.ptr, input.len);
    job_free(&j);
    /* nobody reads it: no harm */
    job_run(b, &j, "exit 4", (struct world_spawn){.stdin_bytes = buf_span(&input)});
    assert_int_equal(j.exit.status, 4);
    job_free(&j);
    buf_free(&input);
}

/* A grandchild that keeps the pipes open does not hold back the news of the end. */
static void grandchild_holds_the_pipe(void **state) {
    struct bench *b = *state;
    struct job j;
    job_run(b, &j, "sleep 1000 & echo $!", (struct world_spawn){0});
    assert_int_equal(j.exit.status, 0);
    int64_t pid = 0;
    assert_true(span_to_i64(span_trim(buf_span(&j.out[1])), &pid));
    assert_true(world_pid_alive(b->w, pid));
    assert_true(world_pid_signal(b->w, pid, SIGKILL, false));
    job_free(&j);
}

static void forget_from_within_a_callback(void **state) {
    struct bench *b = *state;
    struct job j;
    job_start(b, &j, "echo x; sleep 1000", (struct world_spawn){.new_session = true});
    j.forget_on_output = true;
    int64_t pid = world_process_pid(j.p);
    TURN_UNTIL(b, j.p == NULL);
    assert_int_equal(j.out[1].len, 2);
    assert_true(world_pid_signal(b->w, pid, SIGKILL, true));
    struct real_counts counts = {.processes = 1};
    while (counts.processes != 0) { /* it is still waited for: no zombie is left */
        real_world_turn(b->w, true);
        real_world_counts(b->w, &counts);
    }
    assert_int_equal(j.exits, 0);
    job_free(&j);
}

static void many_at_once(void **state) {
    struct bench *b = *state;
    enum { COUNT = 40 };
    struct job jobs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        char script[40];
        snprintf(script, sizeof(script), "echo %d; exit %d", i, i);
        job_start(b, &jobs[i], script, (struct world_spawn){0});
    }
    for (int i = 0; i < COUNT; i++) {
        char expected[20];
        TURN_UNTIL(b, jobs[i].exits == 1);
        snprintf(expected, sizeof(expected), "%d\n", i);
        assert_string_equal(text_of(&jobs[i].out[1]), expected);
        assert_int_equal(jobs[i].exit.status, i);
        job_free(&jobs[i]);
    }
}

static void world_freed_while_it_runs(void **state) {
    struct bench *b = *state;
    struct bench inner = *b;
    inner.w = real_world_new(NULL);
    struct job j;
    job_start(&inner, &j, "sleep 1000", (struct world_spawn){0});
    int64_t pid = world_process_pid(j.p);
    real_world_free(inner.w);
    assert_int_equal(j.exits, 0);
    assert_true(world_pid_signal(b->w, pid, SIGKILL, false));
    job_free(&j);
}

/* The process of a program that has ended without a word, which is ours to wait for now. */
static pid_t left_behind(bool dies_with_us) {
    int line[2];
    pid_t pid = 0;
    assert_int_equal(pipe(line), 0);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    const pid_t program = fork();
    if (program == 0) {
        static const char *const argv[] = {"/bin/sleep", "1000", NULL};
        struct world_spawn opts = {.argv = argv, .umask = -1, .new_session = true, .dies_with_us = dies_with_us};
        struct world *w = real_world_new(NULL);
        const pid_t started = (pid_t)world_process_pid(world_spawn(w, &opts, NULL, NULL));
        _exit(write(line[1], &started, sizeof(started)) == (ssize_t)sizeof(started) ? 0 : 1);
    }
    assert_int_equal(read(line[0], &pid, sizeof(pid)), sizeof(pid));
    assert_int_equal(waitpid(program, NULL, 0), program);
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 0), 0);
    close(line[0]);
    close(line[1]);
    assert_true(pid > 0);
    return pid;
}

static void dies_with_us(void **state) {
    (void)state;
    int status = 0;
    pid_t pid = left_behind(true);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    pid = left_behind(false);
    assert_int_equal(kill(pid, SIGTERM), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void births(void **state) {
    struct bench *b = *state;
    char ours[32], again[32], init[32], nobody[32];
    world_pid_birth(b->w, getpid(), ours);
    world_pid_birth(b->w, getpid(), again);
    world_pid_birth(b->w, 1, init);
    world_pid_birth(b->w, 1 << 30, nobody);
    assert_string_equal(ours, again);
    assert_string_not_equal(ours, init);
    assert_string_equal(nobody, "");
    assert_false(world_pid_alive(b->w, 1 << 30));
    assert_false(world_pid_signal(b->w, 1 << 30, SIGTERM, true));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(only_three_descriptors),
        CASE(low_descriptors_are_moved),
        CASE(signals_are_as_new),
        CASE(umask_and_session),
        CASE(another_user),
        CASE(exit_codes),
        CASE(cannot_start),
        CASE(found_in_path),
        CASE(large_streams),
        CASE(grandchild_holds_the_pipe),
        CASE(forget_from_within_a_callback),
        CASE(many_at_once),
        CASE(world_freed_while_it_runs),
        CASE(dies_with_us),
        CASE(births),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
