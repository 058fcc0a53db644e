/* See virtual_process.h. */
#include "simulator/fleet/virtual_process.h"

#include "agent/exec.h"
#include "base/map.h"
#include "base/mem.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

enum { FIRST_PID = 100000, INPUT_MAX = 256 * 1024 * 1024 };

struct virtual_processes {
    struct virtual_processes_opts opts;
    struct list running; /* struct process */
    int64_t last_pid;
    uint64_t started;
};

/* One agent's facet. */
struct seat {
    struct virtual_processes *all;
    struct world *world;
    const struct behaviours *behaviours;
    const char *node;
    struct rng rng;
    struct list running; /* its own, by seat_link: looking one up must not cost more in a large fleet */
};

struct process {
    struct world_process base;
    struct list_link link, seat_link;
    struct seat *seat;
    int64_t pid;
    struct timer timer;
    struct made_up result;
    char *spool_dir; /* of dalang-exec --spool; or NULL */
    char *pid_file;  /* or NULL */
    void (*on_output)(void *ctx, int stream, struct span bytes);
    void (*on_exit)(void *ctx, const struct world_exit *e);
    void *ctx;
    int killed; /* the signal, 0: none */
};

struct virtual_processes *virtual_processes_new(const struct virtual_processes_opts *opts) {
    struct virtual_processes *v = mem_zalloc(sizeof(*v));
    v->opts = *opts;
    v->last_pid = FIRST_PID;
    list_init(&v->running);
    return v;
}

static void process_free(struct process *p) {
    world_timer_stop(p->seat->all->opts.clock, &p->timer);
    list_remove(&p->seat->all->running, &p->link);
    list_remove(&p->seat->running, &p->seat_link);
    made_up_free(&p->result);
    mem_free(p->spool_dir);
    mem_free(p->pid_file);
    mem_free(p);
}

void virtual_processes_free(struct virtual_processes *v) {
    if (v == NULL) {
        return;
    }
    LIST_EACH_SAFE (link, next, &v->running) {
        process_free(LIST_ITEM(link, struct process, link));
    }
    mem_free(v);
}

size_t virtual_processes_running(const struct virtual_processes *v) {
    return v->running.count;
}

uint64_t virtual_processes_started(const struct virtual_processes *v) {
    return v->started;
}

/* ---- the end of a process */

static void store(struct process *p, const char *dir, const char *name, struct span bytes, enum world_write how) {
    char *path = dir != NULL ? str_printf("%s/%s", dir, name) : str_dup(name);
    world_file_write(p->seat->world, path, bytes, 0640, how,
                     NULL); /* as with a real disk: what is missing, the agent notices */
    mem_free(path);
}

static void store_outcome(struct process *p, int status) {
    char code[16];
    int len = snprintf(code, sizeof(code), "%d\n", status);
    struct span exitcode = span_bytes(code, (size_t)len);
    struct made_up *m = &p->result;
    if (p->spool_dir != NULL) {
        if (m->out.len > 0 && m->out.ptr[m->out.len - 1] != '\n') {
            buf_append_char(&m->out, '\n');
        }
        store(p, p->spool_dir, "stdout", buf_span(&m->out), WORLD_WRITE_PLAIN);
        store(p, p->spool_dir, "stderr", buf_span(&m->err), WORLD_WRITE_PLAIN);
        store(p, p->spool_dir, "exitcode", exitcode, WORLD_WRITE_ATOMIC);
    } else if (m->output_files[0] != NULL && m->output_files[1] != NULL && m->output_files[2] != NULL) {
        store(p, NULL, m->output_files[0], buf_span(&m->out), WORLD_WRITE_PLAIN);
        store(p, NULL, m->output_files[1], buf_span(&m->err), WORLD_WRITE_PLAIN);
        store(p, NULL, m->output_files[2], exitcode, WORLD_WRITE_ATOMIC);
    }
}

static void on_end(void *ctx) {
    struct process *p = ctx;
    struct virtual_processes *v = p->seat->all;
    int signal = p->killed != 0 ? p->killed : p->result.signal;
    bool wrapped = p->spool_dir != NULL; /* dalang-exec outlives its program and ends with the signal's number */
    int status = signal != 0 ? signal : p->result.status;
    if (p->killed == 0) {
        store_outcome(p, status);
        if (p->result.report != NULL && v->opts.report != NULL) {
            v->opts.report(v->opts.report_ctx, p->seat->node, p->result.report);
        }
        if (p->on_output != NULL && p->result.out.len > 0) {
            p->on_output(p->ctx, 1, buf_span(&p->result.out));
        }
        if (p->on_output != NULL && p->result.err.len > 0) {
            p->on_output(p->ctx, 2, buf_span(&p->result.err));
        }
    }
    struct world_exit e = {.started = true, .status = status};
    if (signal != 0 && !(wrapped && p->killed == 0)) {
        e.status = 0;
        e.signal = signal;
    }
    void (*on_exit)(void *, const struct world_exit *) = p->on_exit;
    void *exit_ctx = p->ctx;
    process_free(p);
    if (on_exit != NULL) {
        on_exit(exit_ctx, &e);
    }
}

/* ---- the facet */

static void read_input(struct seat *seat, const struct world_spawn *opts, struct buf *input) {
    if (opts->stdin_path != NULL) {
        world_file_read(seat->world, opts->stdin_path, INPUT_MAX, input, NULL);
    } else {
        buf_append_span(input, opts->stdin_bytes);
    }
}

static void write_pid(struct process *p, const struct agent_exec *exec) {
    char text[24];
    int len = snprintf(text, sizeof(text), "%lld\n", (long long)p->pid);
    p->pid_file = exec->spool_dir != NULL ? str_printf("%s/pid", exec->spool_dir) : str_dup(exec->pid_file);
    if (p->pid_file != NULL) {
        store(p, NULL, p->pid_file, span_bytes(text, (size_t)len), WORLD_WRITE_PLAIN);
    }
}

static const struct world_process_ops ops;

static void end_by_signal(struct process *p, int signal) {
    if (!p->result.unkillable) {
        p->killed = signal;
        world_timer_start(p->seat->all->opts.clock, &p->timer, 0, on_end, p);
    }
}

static void obey_shell(struct seat *seat, const char *const *argv, struct made_up *out) {
    out->status = 1;
    LIST_EACH (link, &seat->running) {
        struct process *p = LIST_ITEM(link, struct process, seat_link);
        if (behaviour_kills(argv, p->pid_file)) {
            end_by_signal(p, SIGKILL);
            out->status = 0;
        }
    }
}

static struct world_process *spawn(void *impl, const struct world_spawn *opts,
                                   void (*on_exit)(void *ctx, const struct world_exit *e), void *ctx) {
    struct seat *seat = impl;
    struct virtual_processes *v = seat->all;
    struct process *p = mem_zalloc(sizeof(*p));
    p->base.ops = &ops;
    p->seat = seat;
    p->pid = ++v->last_pid;
    p->on_exit = on_exit;
    p->on_output = opts->on_output;
    p->ctx = ctx;
    list_push_back(&v->running, &p->link);
    list_push_back(&seat->running, &p->seat_link);
    v->started++;

    struct agent_exec exec = {.argv = opts->argv};
    bool wrapped = agent_exec_parse(opts->argv, &exec);
    if (wrapped) {
        p->spool_dir = str_dup(exec.spool_dir);
        write_pid(p, &exec);
    }
    struct buf input = BUF_INIT;
    read_input(seat, opts, &input);
    struct invocation i = {.node = seat->node,
                           .argv = wrapped ? exec.argv : opts->argv,
                           .env = opts->env,
                           .input = buf_span(&input),
                           .wall_ms = world_wall_ms(v->opts.clock)};
    if (behaviour_is_shell(i.argv)) {
        obey_shell(seat, i.argv, &p->result);
    } else {
        behaviour_run(seat->behaviours, &i, &seat->rng, &p->result);
    }
    buf_free(&input);
    world_timer_start(v->opts.clock, &p->timer, (p->result.takes_us + 999) / 1000, on_end, p);
    return &p->base;
}

static int64_t pid_of(const struct world_process *p) {
    return ((const struct process *)p)->pid;
}

static void forget(struct world_process *p) {
    struct process *process = (struct process *)p;
    process->on_exit = NULL;
    process->on_output = NULL;
}

static struct process *find(const struct seat *seat, int64_t pid) {
    LIST_EACH (link, &seat->running) {
        struct process *p = LIST_ITEM(link, struct process, seat_link);
        if (p->pid == pid) {
            return p;
        }
    }
    return NULL;
}

static bool alive(void *impl, int64_t pid) {
    return find(impl, pid) != NULL;
}

static bool send_signal(void *impl, int64_t pid, int signal, bool group) {
    (void)group;
    struct seat *seat = impl;
    struct process *p = find(seat, pid);
    if (p == NULL) {
        return false;
    }
    if (signal == SIGTERM || signal == SIGKILL || signal == SIGINT || signal == SIGHUP) {
        end_by_signal(p, signal);
    }
    return true;
}

static void birth(void *impl, int64_t pid, char out[32]) {
    if (find(impl, pid) != NULL) {
        snprintf(out, 32, "%lld", (long long)pid); /* pids are never reused here */
    }
}

static const struct world_process_ops ops = {spawn, pid_of, forget, alive, send_signal, birth};

void virtual_processes_join(struct virtual_processes *v, struct world *w, const struct behaviours *behaviours,
                            const char *node) {
    struct seat *seat = mem_alloc(sizeof(*seat));
    *seat = (struct seat){.all = v,
                          .world = w,
                          .behaviours = behaviours,
                          .node = node,
                          .rng = rng_derive(v->opts.seed, "behaviour", node)};
    list_init(&seat->running);
    w->process = &ops;
    w->process_impl = seat;
}

void virtual_processes_leave(struct virtual_processes *v, struct world *w) {
    (void)v;
    struct seat *seat = w->process_impl;
    LIST_EACH_SAFE (link, next, &seat->running) {
        process_free(LIST_ITEM(link, struct process, seat_link));
    }
    mem_free(seat);
    w->process_impl = NULL;
}
