/* See programs.h. */
#include "simulator/dalang/tests/programs.h"

#include "base/mem.h"
#include "simulator/dalang/tests/guardian.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static int64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- starting */

static void become(const struct program *p) {
    for (size_t i = 0; i < ENV_MAX && p->env[i] != NULL; i++) {
        char *pair = strdup(p->env[i]);
        char *equals = strchr(pair, '=');
        if (equals == NULL) {
            unsetenv(pair);
        } else {
            *equals = '\0';
            setenv(pair, equals + 1, 1);
        }
    }
    if (p->dir != NULL && chdir(p->dir) != 0) {
        _exit(126);
    }
    signal(SIGPIPE, SIG_DFL);
    char path[4096];
    snprintf(path, sizeof(path), "%s%s", strchr(p->argv[0], '/') != NULL ? "" : BIN_DIR "/", p->argv[0]);
    execv(path, (char *const *)(uintptr_t)p->argv);
    _exit(127);
}

static void start_on_terminal(struct running *r, const struct program *p) {
    struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)p->columns};
    int master;
    r->pid = forkpty(&master, NULL, NULL, &size);
    assert_true(r->pid >= 0);
    if (r->pid == 0) {
        become(p);
    }
    fcntl(master, F_SETFD, FD_CLOEXEC);
    r->out = master;
    r->in = fcntl(master, F_DUPFD_CLOEXEC, 0);
    r->err = -1;
}

static void start_in_pipes(struct running *r, const struct program *p) {
    int in[2], out[2], err[2];
    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
    r->pid = fork();
    assert_true(r->pid >= 0);
    if (r->pid == 0) {
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        dup2(err[1], STDERR_FILENO);
        become(p);
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    r->in = in[1];
    r->out = out[0];
    r->err = err[0];
}

static void close_fd(int *fd) {
    if (*fd >= 0) {
        close(*fd);
        *fd = -1;
    }
}

void program_start(struct running *r, const struct program *p) {
    *r = (struct running){.in = -1, .out = -1, .err = -1};
    signal(SIGPIPE, SIG_IGN);
    guardian_start();
    if (p->columns != 0) {
        start_on_terminal(r, p);
    } else {
        start_in_pipes(r, p);
    }
    if (p->input != NULL) {
        program_type(r, p->input);
    }
}

/* ---- talking */

void program_type(struct running *r, const char *text) {
    size_t len = strlen(text);
    while (len > 0) {
        ssize_t n = write(r->in, text, len);
        if (n < 0 && errno == EPIPE) {
            return; /* it does not want to hear more */
        }
        assert_true(n > 0);
        text += n;
        len -= (size_t)n;
    }
}

static void take(int *fd, struct buf *text) {
    char piece[16384];
    ssize_t n = read(*fd, piece, sizeof(piece));
    if (n > 0) {
        buf_append(text, piece, (size_t)n);
    } else if (n == 0 || errno != EINTR) { /* a terminal whose programs have gone answers EIO */
        close_fd(fd);
    }
}

/* Reads what comes within wait_ms; false when both ends are closed. */
static bool hear(struct running *r, int wait_ms) {
    struct pollfd fds[2] = {{.fd = r->out, .events = POLLIN}, {.fd = r->err, .events = POLLIN}};
    if (r->out < 0 && r->err < 0) {
        return false;
    }
    if (poll(fds, 2, wait_ms) > 0) {
        if (fds[0].revents != 0) {
            take(&r->out, &r->out_text);
        }
        if (fds[1].revents != 0) {
            take(&r->err, &r->err_text);
        }
    }
    return true;
}

static const char *text_of(const struct buf *b) {
    return b->ptr != NULL ? b->ptr : "";
}

static void end_at_once(struct running *r) {
    if (!r->ended) {
        kill(r->pid, SIGKILL);
        waitpid(r->pid, NULL, 0);
        r->ended = true;
    }
}

static void give_up(struct running *r, const char *what) {
    end_at_once(r);
    fail_msg("%s\n--- output\n%s\n--- errors\n%s\n---", what, text_of(&r->out_text), text_of(&r->err_text));
}

void program_await(struct running *r, const char *what) {
    int64_t limit = now_ms() + WAIT_LIMIT_S * 1000;
    while (strstr(text_of(&r->out_text), what) == NULL && strstr(text_of(&r->err_text), what) == NULL) {
        if (!hear(r, 100) || now_ms() > limit) {
            char message[200];
            snprintf(message, sizeof(message), "waited for \"%s\" in vain", what);
            give_up(r, message);
        }
    }
}

int program_finish(struct running *r) {
    int64_t limit = now_ms() + WAIT_LIMIT_S * 1000;
    if (r->err >= 0) {
        close_fd(&r->in); /* closing a terminal would hang up on the program */
    }
    while (hear(r, 100)) {
        if (now_ms() > limit) {
            give_up(r, "the program does not end");
        }
    }
    int status = 0;
    while (waitpid(r->pid, &status, WNOHANG) == 0) {
        if (now_ms() > limit) {
            give_up(r, "the program closed its output but does not end");
        }
        poll(NULL, 0, 1);
    }
    r->ended = true;
    r->code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return r->code;
}

void program_free(struct running *r) {
    end_at_once(r);
    close_fd(&r->in);
    close_fd(&r->out);
    close_fd(&r->err);
    buf_free(&r->out_text);
    buf_free(&r->err_text);
}

/* ---- comparing */

static char *command_text(const struct program *p) {
    struct buf b = BUF_INIT;
    for (size_t i = 0; p->argv[i] != NULL; i++) {
        buf_printf(&b, "%s%s", i > 0 ? " " : "", p->argv[i]);
    }
    return buf_take(&b);
}

static char *run_and_compare(const struct program *p, int code, const char *out, const char *err) {
    struct running r;
    program_start(&r, p);
    program_finish(&r);
    const char *got_out = text_of(&r.out_text), *got_err = text_of(&r.err_text);
    if (r.code != code || (out != NULL && !glob_match(out, got_out)) || (err != NULL && !glob_match(err, got_err))) {
        char *command = command_text(p);
        print_error("$ %s\n", command);
        mem_free(command);
        print_error(
            "exit code %d, expected %d\n--- output\n%s\n--- expected\n%s\n--- errors\n%s\n--- expected\n%s\n---\n",
            r.code, code, got_out, out != NULL ? out : "*", got_err, err != NULL ? err : "*");
        program_free(&r);
        fail();
    }
    char *text = str_dup(got_out);
    program_free(&r);
    return text;
}

void expect_program(const struct program *p, int code, const char *out, const char *err) {
    mem_free(run_and_compare(p, code, out, err));
}

char *output_of(const struct program *p, int code) {
    return run_and_compare(p, code, NULL, NULL);
}

void await(bool (*holds)(void *ctx), void *ctx, const char *what) {
    int64_t limit = now_ms() + WAIT_LIMIT_S * 1000;
    while (!holds(ctx)) {
        if (now_ms() > limit) {
            fail_msg("waited in vain for: %s", what);
        }
        poll(NULL, 0, 5);
    }
}

/* ---- files */

char *make_temporary_dir(void) {
    char *path = str_dup("/tmp/dalang-test-XXXXXX");
    assert_non_null(mkdtemp(path));
    return path;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *where) {
    (void)st, (void)type, (void)where;
    return remove(path);
}

void remove_tree(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

void write_file(const char *dir, const char *name, const char *text) {
    char *path = str_printf("%s/%s", dir, name);
    for (char *slash = strchr(path + strlen(dir) + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        assert_true(mkdir(path, 0755) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *f = fopen(path, "we");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
    mem_free(path);
}

char *read_file(const char *dir, const char *name) {
    char *path = str_printf("%s/%s", dir, name);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        fail_msg("%s: %s", path, strerror(errno));
    }
    struct buf text = BUF_INIT;
    char piece[4096];
    size_t n;
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0) {
        buf_append(&text, piece, n);
    }
    fclose(f);
    mem_free(path);
    return buf_take(&text);
}

bool path_exists(const char *dir, const char *name) {
    char *path = str_printf("%s/%s", dir, name);
    struct stat st;
    bool there = lstat(path, &st) == 0;
    mem_free(path);
    return there;
}
