/* See detached.h. */
#include "simulator/dalang/detached.h"

#include "base/bytes.h"
#include "base/mem.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { POLL_MS = 20, LINE_MAX_BYTES = 65536 };

static char *in_dir(const char *dir, const char *name) {
    return str_printf("%s/%s", dir, name);
}

static bool failed(struct error *err, const char *path) {
    const char *kind = errno == ENOENT                     ? "world/not-found"
                       : errno == EACCES || errno == EROFS ? "world/permission"
                                                           : "world/io";
    return error_set(err, kind, "%s: %s", path, strerror(errno));
}

static void pause_ms(long ms) {
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&t, NULL);
}

static uint64_t now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* The file's text; NULL when it cannot be read. mem_free() it. */
static char *read_text(const char *path) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return NULL;
    }
    struct buf text = BUF_INIT;
    char piece[4096];
    for (ssize_t n; text.len < LINE_MAX_BYTES && (n = read(fd, piece, sizeof(piece))) > 0;) {
        buf_append(&text, piece, (size_t)n);
    }
    close(fd);
    return buf_take(&text);
}

static int64_t pid_in(const char *dir) {
    char *path = in_dir(dir, "dalang.pid"), *text = read_text(path);
    uint64_t pid = 0;
    if (text == NULL || !span_to_u64(span_trim(span_of(text)), &pid)) {
        pid = 0;
    }
    mem_free(text);
    mem_free(path);
    return (int64_t)pid;
}

/* Does a process hold the lock? */
static bool is_running(const char *dir) {
    char *path = in_dir(dir, "dalang.pid");
    int fd = open(path, O_RDWR | O_CLOEXEC);
    mem_free(path);
    if (fd < 0) {
        return false;
    }
    bool running = flock(fd, LOCK_EX | LOCK_NB) != 0;
    close(fd);
    return running;
}

int detached_claim(const char *dir, struct error *err) {
    char *path = in_dir(dir, "dalang.pid");
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        failed(err, path);
    } else if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        error_set(err, "running", "%s: a stack is running here already (pid %lld)", dir, (long long)pid_in(dir));
        close(fd);
        fd = -1;
    } else {
        char text[24];
        int len = snprintf(text, sizeof(text), "%ld\n", (long)getpid());
        if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)len, 0) != len) {
            failed(err, path);
            close(fd);
            fd = -1;
        }
    }
    mem_free(path);
    return fd;
}

void detached_release(const char *dir, int fd) {
    if (fd < 0) {
        return;
    }
    static const char *const names[] = {"stack.json", "dalang.pid"};
    for (size_t i = 0; i < 2; i++) {
        char *path = in_dir(dir, names[i]);
        unlink(path);
        mem_free(path);
    }
    close(fd);
}

bool detached_publish(const char *dir, const char *json_line, struct error *err) {
    char *path = in_dir(dir, "stack.json"), *fresh = in_dir(dir, "stack.json~");
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    size_t len = strlen(json_line);
    bool ok =
        fd >= 0 && write(fd, json_line, len) == (ssize_t)len && write(fd, "\n", 1) == 1 && rename(fresh, path) == 0;
    if (!ok) {
        failed(err, path);
    }
    if (fd >= 0) {
        close(fd);
    }
    mem_free(path);
    mem_free(fresh);
    return ok;
}

bool detached_wait(const char *dir, uint64_t timeout_ms, int64_t child, char **line, struct error *err) {
    char *path = in_dir(dir, "stack.json");
    uint64_t until = now_ms() + timeout_ms;
    bool ok = false;
    for (;;) {
        if (is_running(dir) && (*line = read_text(path)) != NULL) {
            ok = true;
            break;
        }
        if (child != 0 && waitpid((pid_t)child, NULL, WNOHANG) != 0) {
            char *log = in_dir(dir, "logs/up.log"), *text = read_text(log);
            struct span why = span_trim(span_of(text));
            error_set(err, "ended", "%.*s", (int)why.len, why.len > 0 ? why.ptr : "");
            mem_free(text);
            mem_free(log);
            break;
        }
        if (now_ms() >= until) {
            error_set(err, "timeout", "%s: no stack is ready here after %llu s", dir,
                      (unsigned long long)(timeout_ms / 1000));
            break;
        }
        pause_ms(POLL_MS);
    }
    mem_free(path);
    return ok;
}

bool detached_down(const char *dir, uint64_t timeout_ms, struct error *err) {
    int64_t pid = pid_in(dir);
    if (!is_running(dir) || pid <= 0) {
        return error_set(err, "not-running", "%s: no stack is running here", dir);
    }
    kill((pid_t)pid, SIGTERM);
    for (uint64_t until = now_ms() + timeout_ms; is_running(dir);) {
        if (now_ms() >= until) {
            return error_set(err, "timeout", "%s: the stack (pid %lld) has not ended after %llu s", dir, (long long)pid,
                             (unsigned long long)(timeout_ms / 1000));
        }
        pause_ms(POLL_MS);
    }
    return true;
}

int64_t detached_fork(const char *dir, struct error *err) {
    char *logs = in_dir(dir, "logs"), *path = in_dir(dir, "logs/up.log");
    int log = -1;
    if ((mkdir(dir, 0700) == 0 || errno == EEXIST) && (mkdir(logs, 0700) == 0 || errno == EEXIST)) {
        log = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    }
    pid_t pid = -1;
    if (log < 0) {
        failed(err, path);
    } else {
        fflush(NULL);
        pid = fork();
        if (pid < 0) {
            error_set(err, "world/io", "no process for the stack: %s", strerror(errno));
        } else if (pid == 0) {
            int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
            setsid();
            dup2(nothing, STDIN_FILENO);
            dup2(nothing, STDOUT_FILENO);
            dup2(log, STDERR_FILENO);
            close(nothing);
        }
        close(log);
    }
    mem_free(logs);
    mem_free(path);
    return pid;
}
