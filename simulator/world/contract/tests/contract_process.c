/* Child processes. The scripts are the ones the simulated /bin/sh of test_sim.c knows. */
#include "contract.h"

#include "base/mem.h"
#include <signal.h>

struct run {
    struct contract *c;
    struct world_process *process;
    int exits;
    struct world_exit exit;
    char error_text[200];
    struct buf out[3]; /* by stream */
};

static void on_output(void *ctx, int stream, struct span bytes) {
    struct run *r = ctx;
    assert_int_equal(r->exits, 0); /* all output comes before the exit */
    buf_append_span(&r->out[stream], bytes);
}

static void on_exit_done(void *ctx, const struct world_exit *e) {
    struct run *r = ctx;
    r->exits++;
    r->exit = *e;
    strncpy(r->error_text, e->error_text != NULL ? e->error_text : "", sizeof(r->error_text) - 1);
}

static bool has_ended(void *ctx) {
    return ((struct run *)ctx)->exits != 0;
}

static void start(struct contract *c, struct run *r, const char *script, struct world_spawn opts) {
    const char *const argv[] = {"/bin/sh", "-c", script, NULL};
    *r = (struct run){.c = c};
    opts.argv = argv;
    opts.umask = -1;
    if (opts.on_output == NULL) {
        opts.on_output = on_output;
    }
    r->process = world_spawn(c->w, &opts, on_exit_done, r);
    assert_int_equal(r->exits, 0);
}

static void run_free(struct run *r) {
    buf_free(&r->out[1]);
    buf_free(&r->out[2]);
}

static void run(struct contract *c, struct run *r, const char *script, struct world_spawn opts) {
    start(c, r, script, opts);
    contract_until(c, has_ended, r);
}

static void assert_text(const struct buf *b, const char *text) {
    assert_string_equal(b->ptr != NULL ? b->ptr : "", text);
}

static void test_status_and_output(void **state) {
    struct run r;
    run(*state, &r, "echo out; echo err >&2; exit 3", (struct world_spawn){0});
    assert_true(r.exit.started);
    assert_int_equal(r.exit.status, 3);
    assert_int_equal(r.exit.signal, 0);
    assert_text(&r.out[1], "out\n");
    assert_text(&r.out[2], "err\n");
    run_free(&r);
}

static void test_signal(void **state) {
    struct run r;
    run(*state, &r, "kill -9 $$", (struct world_spawn){0});
    assert_true(r.exit.started);
    assert_int_equal(r.exit.signal, SIGKILL);
    run_free(&r);
}

static void test_input(void **state) {
    struct contract *c = *state;
    struct run r;
    run(c, &r, "cat", (struct world_spawn){.stdin_bytes = SPAN("from\0memory")});
    assert_int_equal(r.out[1].len, 11);
    assert_memory_equal(r.out[1].ptr, "from\0memory", 11);
    run_free(&r);
    run(c, &r, "cat", (struct world_spawn){0});
    assert_int_equal(r.out[1].len, 0); /* closed, not ours */
    run_free(&r);
    char *path = contract_path(c, "input");
    world_file_write(c->w, path, SPAN("from a file"), 0600, WORLD_WRITE_PLAIN, NULL);
    run(c, &r, "cat", (struct world_spawn){.stdin_path = path});
    assert_text(&r.out[1], "from a file");
    run_free(&r);
    mem_free(path);
}

static void test_environment_and_directory(void **state) {
    struct contract *c = *state;
    struct run r;
    const char *const env[] = {"NAME=value of it", "OTHER=1", NULL};
    run(c, &r, "printf %s \"$NAME\"", (struct world_spawn){.env = env});
    assert_text(&r.out[1], "value of it");
    run_free(&r);
    run(c, &r, "pwd", (struct world_spawn){.cwd = c->dir});
    size_t len = strlen(c->dir);
    assert_true(r.out[1].len > len);
    assert_memory_equal(r.out[1].ptr + r.out[1].len - 1 - strlen(strrchr(c->dir, '/')), strrchr(c->dir, '/'),
                        strlen(strrchr(c->dir, '/')));
    run_free(&r);
}

static void test_output_files(void **state) {
    struct contract *c = *state;
    struct run r;
    char *out = contract_path(c, "out"), *err_path = contract_path(c, "err");
    struct error err = ERROR_INIT;
    struct buf text = BUF_INIT;
    struct world_stat st;
    contract_must(world_file_write(c->w, out, SPAN("before\n"), 0600, WORLD_WRITE_PLAIN, &err), &err);
    run(c, &r, "echo out; echo err >&2; exit 3", (struct world_spawn){.stdout_path = out, .stderr_path = err_path});
    assert_int_equal(r.out[1].len + r.out[2].len, 0);
    contract_must(world_file_read(c->w, out, 1000, &text, &err), &err);
    assert_string_equal(text.ptr, "before\nout\n");
    buf_clear(&text);
    contract_must(world_file_read(c->w, err_path, 1000, &text, &err), &err);
    assert_string_equal(text.ptr, "err\n");
    contract_must(world_file_stat(c->w, err_path, &st, &err), &err);
    assert_int_equal(st.mode, 0600);
    buf_free(&text);
    mem_free(out);
    mem_free(err_path);
    run_free(&r);
}

static void test_cannot_start(void **state) {
    struct contract *c = *state;
    struct run r = {.c = c};
    const char *const argv[] = {"/nonexistent/program", NULL};
    struct world_spawn opts = {.argv = argv, .umask = -1};
    r.process = world_spawn(c->w, &opts, on_exit_done, &r);
    assert_int_equal(world_process_pid(r.process), 0);
    contract_until(c, has_ended, &r);
    assert_false(r.exit.started);
    assert_true(strlen(r.error_text) > 0);
}

/* Alive, its birth, a signal, and no longer alive. */
static void test_pid(void **state) {
    struct contract *c = *state;
    struct run r;
    char birth[32], again[32];
    start(c, &r, "exec sleep 100", (struct world_spawn){.new_session = true});
    int64_t pid = world_process_pid(r.process);
    assert_true(pid > 0);
    assert_true(world_pid_alive(c->w, pid));
    world_pid_birth(c->w, pid, birth);
    assert_true(strlen(birth) > 0);
    contract_pass(c, 30);
    world_pid_birth(c->w, pid, again);
    assert_string_equal(birth, again);
    assert_true(world_pid_signal(c->w, pid, SIGTERM, true));
    contract_until(c, has_ended, &r);
    assert_int_equal(r.exit.signal, SIGTERM);
    assert_false(world_pid_alive(c->w, pid));
    world_pid_birth(c->w, pid, birth);
    assert_string_equal(birth, "");
    assert_false(world_pid_signal(c->w, pid, SIGTERM, false)); /* others of its group may take a moment longer */
    assert_false(world_pid_alive(c->w, 0));
    assert_false(world_pid_alive(c->w, -5));
    run_free(&r);
}

struct gone {
    struct contract *c;
    int64_t pid;
};
static bool is_gone(void *ctx) {
    struct gone *g = ctx;
    return !world_pid_alive(g->c->w, g->pid);
}

static void test_forget(void **state) {
    struct contract *c = *state;
    struct run r;
    start(c, &r, "exec sleep 100", (struct world_spawn){.new_session = true});
    struct gone gone = {c, world_process_pid(r.process)};
    world_process_forget(r.process);
    contract_pass(c, 20);
    assert_true(world_pid_alive(c->w, gone.pid)); /* it runs on */
    assert_true(world_pid_signal(c->w, gone.pid, SIGKILL, true));
    contract_until(c, is_gone, &gone);
    contract_pass(c, 20);
    assert_int_equal(r.exits, 0);
    run_free(&r);
}

int contract_process(void) {
    const struct CMUnitTest tests[] = {
        CONTRACT(test_status_and_output),
        CONTRACT(test_signal),
        CONTRACT(test_input),
        CONTRACT(test_environment_and_directory),
        CONTRACT(test_output_files),
        CONTRACT(test_cannot_start),
        CONTRACT(test_pid),
        CONTRACT(test_forget),
    };
    return cmocka_run_group_tests_name("process", tests, NULL, NULL);
}
