#include "agent/daemon/daemonize.h"
#include "base/bytes.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct pid_file {
    char *path;
    int fd;
};

/* ---------------------------------------------------------------------------------------- the file */

static bool lock(int fd, short type, int how) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, how, &l) == 0;
}

/* Who holds a lock that keeps us from `type`; 0: nobody. */
static pid_t holder(int fd, short type) {
    struct flock l = {.l_type = type, .l_whence = SEEK_SET};
    return fcntl(fd, F_GETLK, &l) == 0 && l.l_type != F_UNLCK ? l.l_pid : 0;
}

/* Empty or garbage content is nobody's. */
static pid_t read_pid(int fd) {
    char text[32] = "";
    ssize_t n = pread(fd, text, sizeof text - 1, 0);
    char *end;
    long pid = n > 0 ? strtol(text, &end, 10) : 0;
    return pid > 1 && pid < 1L << 30 ? (pid_t)pid : 0;
}

/* Ended, but not yet waited for by its parent. */
static bool is_zombie(pid_t pid) {
    char *path = str_printf("/proc/%ld/stat", (long)pid);
    char text[512] = "";
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    const char *name_end = n > 0 ? strrchr(text, ')') : NULL;
    if (fd >= 0) {
        close(fd);
    }
    mem_free(path);
    return name_end != NULL && strncmp(name_end, ") Z", 3) == 0;
}

static bool alive(pid_t pid) {
    return pid != 0 && pid != getpid() && (kill(pid, 0) == 0 || errno == EPERM) && !is_zombie(pid);
}

struct pid_file *pid_file_take(const char *path, struct error *err) {
    struct pid_file *f = mem_zalloc(sizeof *f);
    f->path = str_dup(path);
    f->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (f->fd < 0) {
        error_set(err, "agent/pid-file", "failed to open the PID file '%s': %s", path, strerror(errno));
        pid_file_close(f);
        return NULL;
    }
    pid_t other = read_pid(f->fd);
    pid_t locker = holder(f->fd, F_WRLCK);
    if (alive(other) || locker != 0) {
        error_set(err, "agent/running", "Already running with PID=%ld", (long)(alive(other) ? other : locker));
        pid_file_close(f);
        return NULL;
    }
    if (!lock(f->fd, F_RDLCK, F_SETLK) || holder(f->fd, F_WRLCK) != 0) {
        error_set(err, "agent/running", "the PID file '%s' is being taken by another instance", path);
        pid_file_close(f);
        return NULL;
    }
    return f;
}

bool pid_file_write(struct pid_file *f, struct error *err) {
    char *text = str_printf("%ld\n", (long)getpid());
    ssize_t len = (ssize_t)strlen(text);
    bool ok = lock(f->fd, F_WRLCK, F_SETLKW) && ftruncate(f->fd, 0) == 0 && pwrite(f->fd, text, (size_t)len, 0) == len;
    mem_free(text);
    return ok || error_set(err, "agent/daemon", "failed to write the PID file '%s': %s", f->path, strerror(errno));
}

void pid_file_close(struct pid_file *f) {
    if (f != NULL) {
        if (f->fd >= 0) {
            close(f->fd);
        }
        mem_free(f->path);
        mem_free(f);
    }
}

void pid_file_remove(struct pid_file *f) {
    if (f != NULL) {
        unlink(f->path);
        pid_file_close(f);
    }
}

/* ---------------------------------------------------------------------------------------- forking */

/* The first process: waits until the daemon has a lock of its own, so that the file is never free in between. */
static void wait_and_end(int news) {
    char byte = 0;
    ssize_t n;
    while ((n = read(news, &byte, 1)) < 0 && errno == EINTR) {
    }
    _exit(n == 1 ? 0 : 1);
}

static void detach(void) {
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; null >= 0 && fd < 3; fd++) {
        dup2(null, fd);
    }
    if (null > 2) {
        close(null);
    }
    if (chdir("/") != 0) {
        _exit(1); /* there always is one */
    }
}

bool pid_file_daemonize(struct pid_file *f, struct error *err) {
    int news[2];
    if (pipe2(news, O_CLOEXEC) != 0) {
        return error_set(err, "agent/daemon", "failed to make a pipe: %s", strerror(errno));
    }
    pid_t child = fork();
    if (child < 0) {
        return error_set(err, "agent/daemon", "failed to fork: %s", strerror(errno));
    }
    if (child > 0) {
        close(news[1]);
        wait_and_end(news[0]);
    }
    close(news[0]);
    setsid();
    child = fork();
    if (child != 0) {
        _exit(child > 0 ? 0 : 1);
    }
    /* Locks are not inherited: ours goes beside the first process's, which then ends. */
    if (!lock(f->fd, F_RDLCK, F_SETLK)) {
        return error_set(err, "agent/daemon", "failed to lock the PID file '%s': %s", f->path, strerror(errno));
    }
    ssize_t n = write(news[1], "!", 1);
    close(news[1]);
    if (n != 1) {
        return error_set(err, "agent/daemon", "the first process has gone");
    }
    detach();
    return pid_file_write(f, err);
}
