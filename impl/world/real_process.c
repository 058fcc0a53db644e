/* Child processes: started (real_spawn.c), their output read and their end collected on the loop. */
#include "world/real_process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DRAIN_READS_MAX = 32 }; /* a pipe holds a megabyte at most */

static void free_when_closed(struct real_process *p) {
    if (p->handles == 0 && p->gone) {
        mem_free(p->error_text);
        mem_free(p);
    }
}

static void on_pipe_closed(uv_handle_t *handle) {
    struct real_process *p = handle->data;
    p->handles--;
    free_when_closed(p);
}

static void close_pipe(struct real_process *p, int i) {
    if (p->pipes[i].fd >= 0) {
        uv_close((uv_handle_t *)&p->pipes[i].poll, on_pipe_closed);
        close(p->pipes[i].fd);
        p->pipes[i].fd = -1;
    }
}

static void let_go(struct real_process *p) {
    list_remove(&p->rw->processes, &p->link);
    real_soon_cancel(p->rw, &p->soon);
    if (list_empty(&p->rw->processes)) {
        uv_unref((uv_handle_t *)&p->rw->child_signal);
    }
    close_pipe(p, 0);
    close_pipe(p, 1);
    p->gone = true;
    free_when_closed(p);
}

static void tell_exit(struct real_soon *soon) {
    struct real_process *p = LIST_ITEM(soon, struct real_process, soon);
    struct world_exit e = {
        .started = p->error_text == NULL,
        .status = WIFEXITED(p->wait_status) ? WEXITSTATUS(p->wait_status) : 0,
        .signal = WIFSIGNALED(p->wait_status) ? WTERMSIG(p->wait_status) : 0,
        .error_text = p->error_text,
    };
    if (!p->forgotten) {
        p->on_exit(p->ctx, &e);
    }
    let_go(p);
}

/* One read; false at the end of the pipe, or when it has nothing now. */
static bool read_pipe(struct real_process *p, int i) {
    ssize_t n = read(p->pipes[i].fd, p->rw->read_scratch, REAL_READ_MAX);
    if (n > 0) {
        if (!p->forgotten) {
            p->on_output(p->ctx, i + 1, span_bytes(p->rw->read_scratch, (size_t)n));
        }
        return true;
    }
    if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        close_pipe(p, i);
    }
    return false;
}

static void on_pipe_ready(uv_poll_t *poll, int status, int events) {
    struct real_process *p = poll->data;
    (void)status; /* read() says the same */
    (void)events;
    read_pipe(p, poll == &p->pipes[0].poll ? 0 : 1);
}

/* What a process wrote before it ended is in the pipes by now. A grandchild that holds them open is not waited for. */
static void drain_pipes(struct real_process *p) {
    for (int i = 0; i < 2; i++) {
        for (int reads = 0; reads < DRAIN_READS_MAX && p->pipes[i].fd >= 0 && read_pipe(p, i); reads++) {
        }
    }
}

static void reap(struct real_process *p) {
    int status = 0;
    pid_t pid = waitpid((pid_t)p->pid, &status, WNOHANG);
    if (pid == 0 || (pid < 0 && errno == EINTR)) {
        return;
    }
    p->wait_status = pid < 0 ? 0 : status; /* < 0: somebody else in this program waited for it */
    p->ended = true;
    drain_pipes(p);
    real_soon(p->rw, &p->soon, tell_exit);
}

static void on_child_signal(uv_signal_t *handle, int signum) {
    (void)signum;
    struct real_world *rw = handle->data;
    LIST_EACH_SAFE (it, tmp, &rw->processes) {
        struct real_process *p = LIST_ITEM(it, struct real_process, link);
        if (p->pid != 0 && !p->ended) {
            reap(p);
        }
    }
}

static void watch_children(struct real_world *rw) {
    if (!rw->child_signal_on) {
        rw->child_signal_on = true;
        uv_signal_init(&rw->loop, &rw->child_signal);
        rw->child_signal.data = rw;
        uv_signal_start(&rw->child_signal, on_child_signal, SIGCHLD);
    }
    uv_ref((uv_handle_t *)&rw->child_signal);
}

void real_process_end(struct real_world *rw) {
    while (!list_empty(&rw->processes)) {
        let_go(LIST_ITEM(list_first(&rw->processes), struct real_process, link));
    }
    if (rw->child_signal_on) {
        rw->child_signal_on = false;
        uv_close((uv_handle_t *)&rw->child_signal, NULL);
    }
}

static void watch_pipe(struct real_process *p, int i, int fd) {
    p->pipes[i].fd = fd;
    if (fd >= 0) {
        p->pipes[i].poll.data = p;
        p->handles++;
        uv_poll_init(&p->rw->loop, &p->pipes[i].poll, fd);
        uv_poll_start(&p->pipes[i].poll, UV_READABLE, on_pipe_ready);
    }
}

static struct world_process *process_spawn(void *impl, const struct world_spawn *opts,
                                           void (*on_exit)(void *ctx, const struct world_exit *e), void *ctx) {
    struct real_world *rw = impl;
    struct real_process *p = mem_zalloc(sizeof(*p));
    p->process.ops = &real_process_ops;
    p->rw = rw;
    p->on_output = opts->on_output;
    p->on_exit = on_exit;
    p->ctx = ctx;
    list_push_back(&rw->processes, &p->link);
    watch_children(rw);
    int pipes[2] = {-1, -1};
    p->pid = real_spawn(opts, pipes, &p->error_text);
    watch_pipe(p, 0, pipes[0]);
    watch_pipe(p, 1, pipes[1]);
    if (p->pid == 0) {
        real_soon(rw, &p->soon, tell_exit);
    }
    return &p->process;
}

static int64_t process_pid(const struct world_process *process) {
    return ((const struct real_process *)(const void *)process)->pid;
}

static void process_forget(struct world_process *process) {
    struct real_process *p = (struct real_process *)(void *)process;
    p->forgotten = true; /* stays in the list until it has ended, so that no zombie is left */
    close_pipe(p, 0);
    close_pipe(p, 1);
}

/* ---- any process, by pid */

struct proc_stat {
    char state;
    long long group;
    unsigned long long start_ticks;
};

/* Fields 3, 5 and 22 of /proc/<pid>/stat; the second field is a name that may hold anything, in parentheses. */
static bool read_proc_stat(int64_t pid, struct proc_stat *out) {
    char path[64], text[1024];
    snprintf(path, sizeof(path), "/proc/%lld/stat", (long long)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0) {
        return false;
    }
    text[n] = '\0';
    char *at = strrchr(text, ')');
    if (at == NULL || at[1] != ' ') {
        return false;
    }
    at += 2;
    out->state = *at;
    for (int field = 3; field < 22; field++) {
        at = strchr(at, ' ');
        if (at == NULL) {
            return false;
        }
        at++;
        if (field + 1 == 5) {
            out->group = strtoll(at, NULL, 10);
        }
    }
    out->start_ticks = strtoull(at, NULL, 10);
    return true;
}

static bool is_running(const struct proc_stat *st) {
    return st->state != 'Z' && st->state != 'X'; /* ended, and only its parent does not know yet */
}

static bool pid_alive(void *impl, int64_t pid) {
    (void)impl;
    struct proc_stat st;
    return read_proc_stat(pid, &st) && is_running(&st);
}

/* Does anybody of the group run? Looks at all processes: only asked when its leader has ended. */
static bool group_runs(int64_t group) {
    DIR *proc = opendir("/proc");
    bool found = false;
    for (struct dirent *entry; proc != NULL && !found && (entry = readdir(proc)) != NULL;) {
        struct proc_stat st;
        int64_t pid;
        found = span_to_i64(span_of(entry->d_name), &pid) && read_proc_stat(pid, &st) && st.group == group &&
                is_running(&st);
    }
    if (proc != NULL) {
        closedir(proc);
    }
    return found;
}

/* The system would take a signal for processes that have ended and wait for their parent: that is no success. */
static bool pid_signal(void *impl, int64_t pid, int signum, bool group) {
    if (!pid_alive(impl, pid) && !(group && group_runs(pid))) {
        return false;
    }
    return kill((pid_t)(group ? -pid : pid), signum) == 0;
}

/* Ticks count from the boot: with a part of the boot's id they mean one process of all times. */
static void pid_birth(void *impl, int64_t pid, char out[32]) {
    (void)impl;
    struct proc_stat st;
    if (!read_proc_stat(pid, &st) || !is_running(&st)) {
        return;
    }
    char boot[9] = "0";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    if (fd >= 0) {
        ssize_t n = read(fd, boot, sizeof(boot) - 1);
        boot[n > 0 ? n : 0] = '\0';
        close(fd);
    }
    snprintf(out, 32, "%llu-%s", st.start_ticks, boot);
}

const struct world_process_ops real_process_ops = {
    .spawn = process_spawn,
    .pid = process_pid,
    .forget = process_forget,
    .alive = pid_alive,
    .signal = pid_signal,
    .birth = pid_birth,
};

void real_no_core_files(void) {
#ifndef __SANITIZE_ADDRESS__
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
}
