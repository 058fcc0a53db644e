/* dalang-exec: runs one program for the agent and stores what came of it; see agent/exec.h. Nothing but the C library:
 * one of these waits for each running task. */
#include "agent/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FILE_MODE = 0640, PIECE = 64 * 1024 };

static char piece[PIECE];

/* ---------------------------------------------------------------------------------------- small things */

static bool write_all(int fd, const char *bytes, size_t len) {
    while (len > 0) {
        ssize_t n = write(fd, bytes, len);
        if (n < 0 && errno != EINTR) {
            return false;
        }
        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        }
    }
    return true;
}

static int create(int dir, const char *name) {
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    if (fd >= 0) {
        fchmod(fd, FILE_MODE); /* whatever the umask */
    }
    return fd;
}

/* A small file that appears complete or not at all. */
static bool put_file(int dir, const char *name, const char *text, bool synced) {
    char temporary[PATH_MAX];
    if (snprintf(temporary, sizeof temporary, "%s~", name) >= (int)sizeof temporary) {
        return false;
    }
    int fd = create(dir, temporary);
    if (fd < 0) {
        return false;
    }
    bool ok = write_all(fd, text, strlen(text)) && (!synced || fsync(fd) == 0);
    close(fd);
    ok = ok && renameat(dir, temporary, dir, name) == 0 && (!synced || fsync(dir) == 0);
    return ok;
}

/* Fails when it is there already: an agent that was restarted meanwhile has given this task up. */
static bool put_pid(int dir, const char *name) {
    char text[32], temporary[PATH_MAX];
    snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (snprintf(temporary, sizeof temporary, "%s~", name) >= (int)sizeof temporary) {
        return false;
    }
    int fd = create(dir, temporary);
    bool ok = fd >= 0 && write_all(fd, text, strlen(text)) && linkat(dir, temporary, dir, name, 0) == 0;
    if (fd >= 0) {
        close(fd);
        unlinkat(dir, temporary, 0);
    }
    return ok;
}

static bool is_executable(const char *path) {
    struct stat st;
    return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The file to run, or NULL: a path as it is, a bare name through PATH. */
static const char *look_up(const char *name) {
    static char found[PATH_MAX];
    if (strchr(name, '/') != NULL) {
        return is_executable(name) ? name : NULL;
    }
    const char *path = getenv("PATH");
    path = path != NULL ? path : "/usr/bin:/bin";
    while (*path != '\0') {
        size_t len = strcspn(path, ":");
        if (snprintf(found, sizeof found, "%.*s/%s", (int)len, path, name) < (int)sizeof found &&
            is_executable(found)) {
            return found;
        }
        path += len + (path[len] == ':');
    }
    return NULL;
}

static int become(const struct agent_exec *x) {
    const char *file = look_up(x->argv[0]);
    if (file == NULL) {
        return AGENT_EXEC_NOT_FOUND;
    }
    execv(file, (char *const *)x->argv);
    return errno; /* the code the reference gives, too: 8 for a file that is no program */
}

/* ---------------------------------------------------------------------------------------- input */

/* All of it is here before the task starts, so that the agent may die meanwhile. A descriptor at its start, or -1. */
static int take_input(uint64_t size) {
    if (size == 0) {
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    }
    int fd = memfd_create("input", MFD_CLOEXEC);
    while (fd >= 0 && size > 0) {
        ssize_t n = read(STDIN_FILENO, piece, size < PIECE ? (size_t)size : PIECE);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0 || !write_all(fd, piece, (size_t)n)) {
            close(fd);
            return -1;
        }
        size -= (uint64_t)n;
    }
    if (fd >= 0) {
        lseek(fd, 0, SEEK_SET);
    }
    return fd;
}

/* ---------------------------------------------------------------------------------------- output */

struct stream {
    int pipe; /* -1: ended */
    int file;
    uint64_t room;
    char last; /* byte stored */
    bool any, broken;
};

static void store(struct stream *s, const char *bytes, size_t len) {
    size_t part = len < s->room ? len : (size_t)s->room;
    if (part == 0 || s->broken) {
        return; /* read on: the task must not notice */
    }
    s->broken = !write_all(s->file, bytes, part);
    s->room -= part;
    s->any = true;
    s->last = bytes[part - 1];
}

static void take_output(struct stream *s) {
    ssize_t n = read(s->pipe, piece, sizeof piece);
    if (n > 0) {
        store(s, piece, (size_t)n);
    } else if (n == 0 || (errno != EINTR && errno != EAGAIN)) {
        close(s->pipe);
        s->pipe = -1;
    }
}

static void take_all_output(struct stream streams[2]) {
    while (streams[0].pipe >= 0 || streams[1].pipe >= 0) {
        struct pollfd fds[2] = {{streams[0].pipe, POLLIN, 0}, {streams[1].pipe, POLLIN, 0}};
        if (poll(fds, 2, -1) < 0) {
            continue;
        }
        for (int i = 0; i < 2; i++) {
            if (fds[i].revents != 0) {
                take_output(&streams[i]);
            }
        }
    }
}

/* ---------------------------------------------------------------------------------------- task */

static const int survived[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};

static void set_signals(void (*handler)(int)) {
    for (size_t i = 0; i < sizeof survived / sizeof survived[0]; i++) {
        signal(survived[i], handler);
    }
}

static void be_child(const struct agent_exec *x, int input, const int pipes[2]) {
    set_signals(SIG_DFL);
    if (dup2(input, STDIN_FILENO) < 0 || dup2(pipes[0], STDOUT_FILENO) < 0 || dup2(pipes[1], STDERR_FILENO) < 0) {
        _exit(errno);
    }
    _exit(become(x));
}

static int code_of(int status) {
    return WIFEXITED(status) ? WEXITSTATUS(status) : WTERMSIG(status);
}

/* Runs it with its output going to streams; the exit code. */
static int run(const struct agent_exec *x, int input, struct stream streams[2]) {
    int out[2], err[2];
    if (look_up(x->argv[0]) == NULL) {
        return AGENT_EXEC_NOT_FOUND;
    }
    if (pipe2(out, O_CLOEXEC) != 0 || pipe2(err, O_CLOEXEC) != 0) {
        return AGENT_EXEC_NOT_FOUND;
    }
    pid_t pid = fork();
    if (pid == 0) {
        be_child(x, input, (int[2]){out[1], err[1]});
    }
    close(out[1]);
    close(err[1]);
    if (pid < 0) {
        char text[PATH_MAX + 100];
        snprintf(text, sizeof text, "Executable '%s' failed to run: %s", x->argv[0], strerror(errno));
        store(&streams[1], text, strlen(text));
        return AGENT_EXEC_NOT_FOUND;
    }
    /* A signal to the whole group ends the task; its end must still be told. */
    set_signals(SIG_IGN);
    streams[0].pipe = out[0];
    streams[1].pipe = err[0];
    take_all_output(streams);
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return code_of(status);
}

static int run_spooled(const struct agent_exec *x) {
    int input = take_input(x->input_size);
    if (input < 0) {
        return AGENT_EXEC_INCOMPLETE;
    }
    int dir = open(x->spool_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || !put_pid(dir, "pid")) {
        return AGENT_EXEC_INCOMPLETE;
    }
    struct stream streams[2] = {{.pipe = -1, .file = create(dir, "stdout"), .room = x->output_max},
                                {.pipe = -1, .file = create(dir, "stderr"), .room = x->output_max}};
    if (streams[0].file < 0 || streams[1].file < 0) {
        return AGENT_EXEC_INCOMPLETE;
    }
    int code = run(x, input, streams);
    if (streams[0].any && streams[0].last != '\n') {
        store(&streams[0], "\n", 1);
    }
    char text[16];
    snprintf(text, sizeof text, "%d", code);
    /* The exit code's file says that the others are complete: they go to the disk first. */
    bool stored = !streams[0].broken && !streams[1].broken && fsync(streams[0].file) == 0 &&
                  fsync(streams[1].file) == 0 && put_file(dir, "exitcode", text, true);
    return stored ? code : AGENT_EXEC_LOST;
}

int main(int argc, char **argv) {
    struct agent_exec x;
    (void)argc;
    if (!agent_exec_parse((const char *const *)argv, &x)) {
        fputs("usage: dalang-exec [--spool DIR --input N --limit BYTES | --pid FILE] -- EXECUTABLE [ARGUMENT...]\n"
              "Runs one program for dalang-agent.\n",
              stderr);
        return AGENT_EXEC_USAGE;
    }
    if (x.spool_dir != NULL) {
        return run_spooled(&x);
    }
    if (x.pid_file != NULL && !put_pid(AT_FDCWD, x.pid_file)) {
        return AGENT_EXEC_INCOMPLETE;
    }
    return become(&x);
}
