/* Starting a child process: everything is prepared before the fork, so that the child only makes system calls. The
 * child shares our memory until it runs the file (vfork): a large daemon starts tasks as cheaply as a small one. */
#include "world/real_process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* What the child needs; all of it ready to use. */
struct plan {
    char *const *argv;
    char *const *env;
    char **files; /* candidates for argv[0], NULL-terminated */
    const char *cwd;
    int fds[3];
    int failure_fd; /* the child writes where and why it failed here; closed when the file runs */
    bool new_session, dies_with_us;
    int umask;
    uint32_t uid, gid;
    sigset_t mask; /* the child's */
};

enum step { STEP_DIRECTORY, STEP_DESCRIPTORS, STEP_USER, STEP_RUN };
struct failure {
    int step, error_number;
};

static void report(const struct plan *plan, enum step step) {
    struct failure f = {.step = (int)step, .error_number = errno};
    ssize_t n = write(plan->failure_fd, &f, sizeof(f));
    (void)n;
    _exit(127);
}

/* The three descriptors may stand in each other's place: they are first moved out of the way. */
static bool place_descriptors(const struct plan *plan) {
    int moved[3];
    for (int i = 0; i < 3; i++) {
        moved[i] = fcntl(plan->fds[i], F_DUPFD_CLOEXEC, 3);
        if (moved[i] < 0) {
            return false;
        }
    }
    for (int i = 0; i < 3; i++) {
        if (dup2(moved[i], i) < 0) {
            return false;
        }
    }
    return true;
}

/* setuid() of the C library asks every thread of the process, and until exec that is our process: the bare calls. */
static bool change_user(const struct plan *plan) {
    if (plan->gid != 0 && (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setgid, plan->gid) != 0)) {
        return false;
    }
    return plan->uid == 0 || syscall(SYS_setuid, plan->uid) == 0;
}

static void reset_signals(const struct plan *plan) {
    struct sigaction dfl = {.sa_handler = SIG_DFL};
    for (int i = 1; i < NSIG; i++) {
        sigaction(i, &dfl, NULL); /* those that cannot be set stay as they are */
    }
    sigprocmask(SIG_SETMASK, &plan->mask, NULL);
}

static void run_child(const struct plan *plan) {
    if (plan->new_session) {
        setsid();
    }
    if (plan->cwd != NULL && chdir(plan->cwd) != 0) {
        report(plan, STEP_DIRECTORY);
    }
    if (!place_descriptors(plan)) {
        report(plan, STEP_DESCRIPTORS);
    }
    /* All others carry close-on-exec already, unless somebody forgot it. */
    close_range(3, ~0U, CLOSE_RANGE_CLOEXEC);
    if (!change_user(plan)) {
        report(plan, STEP_USER);
    }
    if (plan->umask >= 0) {
        umask((mode_t)plan->umask);
    }
    if (plan->dies_with_us) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* after the change of user, which would undo it */
    }
    reset_signals(plan);
    int worst = ENOENT;
    for (char **file = plan->files; *file != NULL; file++) {
        execve(*file, plan->argv, plan->env);
        if (errno != ENOENT && errno != ENOTDIR) {
            worst = errno;
        }
        if (errno != ENOENT && errno != ENOTDIR && errno != EACCES) {
            break;
        }
    }
    errno = worst;
    report(plan, STEP_RUN);
}

/* Nothing but the child runs on this stack frame until it has become another program.
 * NOLINTBEGIN(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork): on purpose; fork copies the page
 * tables of a process that may hold gigabytes, posix_spawn cannot do what run_child does */
__attribute__((noinline)) static pid_t fork_child(const struct plan *plan) {
    pid_t pid = vfork();
    if (pid == 0) {
        run_child(plan);
        _exit(127);
    }
    return pid;
}
/* NOLINTEND(clang-analyzer-security.insecureAPI.vfork,clang-analyzer-unix.Vfork) */

/* ---- preparation */

static const char *value_in(const char *const *env, const char *name) {
    size_t len = strlen(name);
    for (; *env != NULL; env++) {
        if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') {
            return *env + len + 1;
        }
    }
    return NULL;
}

static char **candidates(const char *file, const char *const *env) {
    const char *path = value_in(env, "PATH");
    path = path != NULL ? path : value_in((const char *const *)environ, "PATH");
    size_t cap = 0, count = 0;
    char **list = mem_grow(NULL, &cap, 2, sizeof(char *));
    if (strchr(file, '/') != NULL) {
        list[count++] = str_dup(file);
    } else {
        struct span rest = span_of(path != NULL ? path : "/usr/local/bin:/usr/bin:/bin"), dir;
        while (span_split(&rest, ':', &dir)) {
            list = mem_grow(list, &cap, count + 2, sizeof(char *));
            list[count++] = dir.len == 0 ? str_dup(file) : str_printf("%.*s/%s", (int)dir.len, dir.ptr, file);
        }
    }
    list[count] = NULL;
    return list;
}

static bool fail(char **error_text, const char *what, int e) {
    *error_text = str_printf("%s: %s", what, strerror(e));
    return false;
}

/* In memory, at its beginning: nothing has to be fed while the child runs, and it can never block on us. */
static int stdin_of_bytes(struct span bytes) {
    int fd = memfd_create("stdin", MFD_CLOEXEC);
    while (fd >= 0 && bytes.len > 0) {
        ssize_t n = write(fd, bytes.ptr, bytes.len);
        if (n < 0 && errno != EINTR) {
            int e = errno;
            close(fd);
            errno = e;
            return -1;
        }
        bytes = span_sub(bytes, n > 0 ? (size_t)n : 0, bytes.len);
    }
    if (fd >= 0) {
        lseek(fd, 0, SEEK_SET);
    }
    return fd;
}

static bool open_input(const struct world_spawn *opts, struct plan *plan, char **error_text) {
    const char *path = opts->stdin_path != NULL ? opts->stdin_path : "/dev/null";
    bool bytes = opts->stdin_path == NULL && opts->stdin_bytes.len > 0;
    plan->fds[0] = bytes ? stdin_of_bytes(opts->stdin_bytes) : open(path, O_RDONLY | O_CLOEXEC);
    return plan->fds[0] >= 0 || fail(error_text, bytes ? "standard input" : path, errno);
}

static bool open_output(const struct world_spawn *opts, struct plan *plan, int stream, int pipes[2],
                        char **error_text) {
    const char *path = stream == 1 ? opts->stdout_path : opts->stderr_path;
    if (path == NULL && opts->on_output != NULL) {
        int ends[2];
        if (pipe2(ends, O_CLOEXEC) != 0) {
            return fail(error_text, "pipe", errno);
        }
        fcntl(ends[0], F_SETFL, O_NONBLOCK);
        pipes[stream - 1] = ends[0];
        plan->fds[stream] = ends[1];
        return true;
    }
    plan->fds[stream] = path == NULL ? open("/dev/null", O_WRONLY | O_CLOEXEC)
                                     : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    return plan->fds[stream] >= 0 || fail(error_text, path != NULL ? path : "/dev/null", errno);
}

static void close_fd(int fd) {
    if (fd >= 0) {
        close(fd);
    }
}

/* Signals are held back: a handler of ours must not run in the child, which shares our memory. */
static pid_t fork_quietly(struct plan *plan, int failure_read, char **error_text, const char *cwd) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    sigemptyset(&plan->mask);
    pid_t pid = fork_child(plan);
    int e = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    close(plan->failure_fd);
    plan->failure_fd = -1;
    if (pid < 0) {
        fail(error_text, "cannot start a process", e);
        return 0;
    }
    struct failure f;
    ssize_t n;
    do {
        n = read(failure_read, &f, sizeof(f));
    } while (n < 0 && errno == EINTR);
    if (n != (ssize_t)sizeof(f)) {
        return pid;
    }
    waitpid(pid, NULL, 0);
    const char *what[] = {
        [STEP_DIRECTORY] = cwd, [STEP_DESCRIPTORS] = "descriptors", [STEP_USER] = "user", [STEP_RUN] = plan->argv[0]};
    fail(error_text, what[f.step], f.error_number);
    return 0;
}

int64_t real_spawn(const struct world_spawn *opts, int pipes[2], char **error_text) {
    const char *const *env = opts->env != NULL ? opts->env : (const char *const *)environ;
    struct plan plan = {
        .argv = (char *const *)(uintptr_t)opts->argv,
        .env = (char *const *)(uintptr_t)env,
        .files = candidates(opts->argv[0], env),
        .cwd = opts->cwd,
        .fds = {-1, -1, -1},
        .failure_fd = -1,
        .new_session = opts->new_session,
        .dies_with_us = opts->dies_with_us,
        .umask = opts->umask,
        .uid = opts->uid,
        .gid = opts->gid,
    };
    int failure[2] = {-1, -1};
    pid_t pid = 0;
    bool ok = open_input(opts, &plan, error_text) && open_output(opts, &plan, 1, pipes, error_text) &&
              open_output(opts, &plan, 2, pipes, error_text);
    if (ok && pipe2(failure, O_CLOEXEC) != 0) {
        ok = fail(error_text, "pipe", errno);
    }
    if (ok) {
        plan.failure_fd = fcntl(failure[1], F_DUPFD_CLOEXEC, 3); /* not where the child's own three go */
        close(failure[1]);
        pid = fork_quietly(&plan, failure[0], error_text, opts->cwd);
    }
    close_fd(failure[0]);
    for (int i = 0; i < 3; i++) {
        close_fd(plan.fds[i]);
    }
    for (int i = 0; pid == 0 && i < 2; i++) {
        close_fd(pipes[i]);
        pipes[i] = -1;
    }
    for (char **file = plan.files; *file != NULL; file++) {
        mem_free(*file);
    }
    mem_free(plan.files);
    return pid;
}
