/* Virtual processes: a table of programs, and their runs. They belong to the machine, not to the actor. */
#include "simulator/world/internal.h"

#include "base/mem.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct program {
    struct list_link link;
    const struct sim_host *host; /* NULL: every one */
    char *name;                  /* NULL: any */
    struct sim_program program;
};

struct output {
    struct list_link link;
    struct timer timer;
    struct process *process;
    int stream;
    struct buf bytes;
};

/* What the actor holds; the run may be over, or go on when the handle is forgotten. */
struct handle {
    struct world_process base;
    struct list_link link; /* host->process_handles */
    struct sim_host *host;
    int64_t pid;             /* 0: did not start */
    struct process *process; /* NULL: over */
    struct timer soon;
    struct world_exit exit;
    char error_text[200];
    void (*on_output)(void *ctx, int stream, struct span bytes);
    void (*on_exit)(void *ctx, const struct world_exit *e);
    void *ctx;
    struct list news; /* output chunks that wait to be told */
};

struct process {
    struct sim_exec exec;
    struct sim_host *host;
    struct sim_program program;
    struct handle *handle;
    struct timer end;
    uint64_t born_us;
    char *name;
    char **argv, **env;
    char *cwd, *stdout_path, *stderr_path;
    struct buf input;
};

/* ---- programs */

static const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash != NULL ? slash + 1 : path;
}

void sim_program(struct sim *sim, struct world *host, const char *name, const struct sim_program *program) {
    struct program *p = mem_zalloc(sizeof(*p));
    p->host = host != NULL ? host_of(host) : NULL;
    p->name = str_dup(name);
    p->program = *program;
    list_push_front(&sim->programs, &p->link); /* the last word counts */
}

static const struct sim_program *find_program(const struct sim_host *h, const char *path) {
    const char *const names[] = {path, base_name(path), NULL};
    for (int any_host = 0; any_host < 2; any_host++) {
        for (size_t i = 0; i < 3; i++) {
            LIST_EACH (k, &h->sim->programs) {
                const struct program *p = LIST_ITEM(k, struct program, link);
                if (p->host == (any_host ? NULL : h) && str_eq(p->name, names[i])) {
                    return &p->program;
                }
            }
        }
    }
    return NULL;
}

/* ---- runs */

static char **copy_strings(const char *const *from) {
    size_t count = 0;
    while (from != NULL && from[count] != NULL) {
        count++;
    }
    char **copy = mem_array(count + 1, sizeof(char *));
    for (size_t i = 0; i < count; i++) {
        copy[i] = str_dup(from[i]);
    }
    return copy;
}

static void free_strings(char **strings) {
    for (size_t i = 0; strings[i] != NULL; i++) {
        mem_free(strings[i]);
    }
    mem_free(strings);
}

static struct span key_of(char text[24], int64_t pid) {
    int len = snprintf(text, 24, "%" PRId64, pid);
    return span_bytes(text, (size_t)len);
}

static struct process *find_process(const struct sim_host *h, int64_t pid) {
    char text[24];
    struct process *p = map_get(&h->sim->processes, key_of(text, pid));
    return p != NULL && p->host == h ? p : NULL;
}

static void output_free(struct output *o) {
    buf_free(&o->bytes);
    mem_free(o);
}

static void process_free(struct process *p) {
    char text[24];
    map_remove(&p->host->sim->processes, key_of(text, p->exec.pid));
    if (p->handle != NULL) {
        p->handle->process = NULL;
    }
    sim_kernel_stop(p->host, &p->end);
    for (struct list_link *k; (k = list_pop_front(&p->exec.outputs)) != NULL;) {
        struct output *o = LIST_ITEM(k, struct output, link);
        sim_kernel_stop(p->host, &o->timer);
        output_free(o);
    }
    buf_free(&p->exec.out);
    buf_free(&p->exec.err);
    buf_free(&p->input);
    free_strings(p->argv);
    free_strings(p->env);
    mem_free(p->name);
    mem_free(p->cwd);
    mem_free(p->stdout_path);
    mem_free(p->stderr_path);
    mem_free(p);
}

static void tell(void *ctx);

/* Puts output where it goes: into its file at once, to the actor as an event. */
static void emit(struct process *p, int stream, struct span bytes) {
    if (bytes.len == 0) {
        return;
    }
    sim_trace(p->host->sim, p->host, SIM_EVENT_OUTPUT, (uint64_t)p->exec.pid, false, stream == 1 ? "1" : "2", bytes);
    const char *path = stream == 1 ? p->stdout_path : p->stderr_path;
    if (path != NULL) {
        world_file_write(&p->host->world, path, bytes, 0600, WORLD_WRITE_APPEND,
                         NULL); /* a full disk: lost, as a shell's */
    } else if (p->handle != NULL && p->handle->on_output != NULL) {
        struct output *o = mem_zalloc(sizeof(*o));
        o->stream = stream;
        buf_append_span(&o->bytes, bytes);
        list_push_back(&p->handle->news, &o->link);
        sim_inbox_start(p->host, &p->handle->soon, 0, tell, p->handle);
    }
}

static void output_due(void *ctx) {
    struct output *o = ctx;
    struct process *p = o->process;
    list_remove(&p->exec.outputs, &o->link);
    emit(p, o->stream, buf_span(&o->bytes));
    output_free(o);
}

void sim_exec_output(struct sim_exec *x, uint64_t at_us, int stream, struct span bytes) {
    struct process *p = (struct process *)(void *)x; /* exec is its first member */
    struct output *o = mem_zalloc(sizeof(*o));
    o->process = p;
    o->stream = stream;
    buf_append_span(&o->bytes, bytes);
    list_push_back(&x->outputs, &o->link);
    sim_kernel_start(p->host, &o->timer, at_us, output_due, o);
}

const char *sim_exec_env(const struct sim_exec *x, const char *name) {
    size_t len = strlen(name);
    for (size_t i = 0; x->env[i] != NULL; i++) {
        if (strncmp(x->env[i], name, len) == 0 && x->env[i][len] == '=') {
            return x->env[i] + len + 1;
        }
    }
    return NULL;
}

/* Neither ended nor killed: gone. */
static void process_vanish(struct process *p) {
    if (p->program.drop != NULL) {
        p->program.drop(p->program.ctx, &p->exec);
    }
    process_free(p);
}

/* The run is over; `killed` is the signal that ended it from outside, or 0. */
static void end_process(struct process *p, int killed) {
    struct sim_host *h = p->host;
    int signal = killed != 0 ? killed : p->exec.signal;
    if (killed == 0) {
        emit(p, 1, buf_span(&p->exec.out));
        emit(p, 2, buf_span(&p->exec.err));
    }
    if (p->program.at_end != NULL) {
        p->program.at_end(p->program.ctx, &p->exec, killed);
    }
    char text[32];
    snprintf(text, sizeof(text), signal != 0 ? "signal %d" : "status %d", signal != 0 ? signal : p->exec.status);
    sim_trace(h->sim, h, SIM_EVENT_EXIT, (uint64_t)p->exec.pid, false, text, SPAN(""));
    struct handle *handle = p->handle;
    if (handle != NULL) {
        handle->exit =
            (struct world_exit){.started = true, .status = signal != 0 ? 0 : p->exec.status, .signal = signal};
        handle->process = NULL;
        sim_inbox_start(h, &handle->soon, 0, tell, handle);
    }
    p->handle = NULL;
    process_free(p);
}

static void process_due(void *ctx) {
    end_process(ctx, 0);
}

/* ---- the actor's side */

static void handle_free(struct handle *handle) {
    sim_inbox_stop(handle->host, &handle->soon);
    list_remove(&handle->host->process_handles, &handle->link);
    for (struct list_link *k; (k = list_pop_front(&handle->news)) != NULL;) {
        output_free(LIST_ITEM(k, struct output, link));
    }
    if (handle->process != NULL) {
        handle->process->handle = NULL;
    }
    mem_free(handle);
}

/* Next piece of news for the actor: a chunk of output, or the end. One event each. */
static void tell(void *ctx) {
    struct handle *handle = ctx;
    struct list_link *k = list_pop_front(&handle->news);
    if (k == NULL) {
        struct world_exit e = handle->exit;
        char error_text[sizeof(handle->error_text)];
        memcpy(error_text, handle->error_text, sizeof(error_text));
        e.error_text = e.started ? NULL : error_text;
        void (*on_exit)(void *, const struct world_exit *) = handle->on_exit;
        void *exit_ctx = handle->ctx;
        handle_free(handle);
        on_exit(exit_ctx, &e);
        return;
    }
    struct output *o = LIST_ITEM(k, struct output, link);
    if (!list_empty(&handle->news) || handle->process == NULL) {
        sim_inbox_start(handle->host, &handle->soon, 0, tell, handle);
    }
    handle->on_output(handle->ctx, o->stream, buf_span(&o->bytes));
    output_free(o);
}

static bool read_input(struct process *p, const struct world_spawn *opts, char *why, size_t why_len) {
    if (opts->stdin_path == NULL) {
        buf_append_span(&p->input, opts->stdin_bytes);
        return true;
    }
    struct error err = ERROR_INIT;
    bool ok = world_file_read(&p->host->world, opts->stdin_path, SIZE_MAX, &p->input, &err);
    if (!ok) {
        snprintf(why, why_len, "%.150s", err.msg);
    }
    error_clear(&err);
    return ok;
}

static void trace_spawn(const struct process *p) {
    struct buf text = BUF_INIT;
    for (size_t i = 0; p->argv[i] != NULL; i++) {
        buf_printf(&text, "%s%s", i > 0 ? " " : "", p->argv[i]);
    }
    sim_trace(p->host->sim, p->host, SIM_EVENT_SPAWN, (uint64_t)p->exec.pid, false, text.ptr, p->exec.input);
    buf_free(&text);
}

static void start(struct process *p) {
    struct sim_exec *x = &p->exec;
    *x = (struct sim_exec){
        .host = &p->host->world,
        .pid = ++p->host->sim->next_pid,
        .argv = (const char *const *)p->argv,
        .env = (const char *const *)p->env,
        .cwd = p->cwd,
        .input = buf_span(&p->input),
        .rng = &p->host->processes_rng,
    };
    list_init(&x->outputs);
    p->born_us = p->host->sim->now_us;
    char text[24];
    map_put(&p->host->sim->processes, key_of(text, x->pid), p);
    trace_spawn(p);
    p->program.run(p->program.ctx, x);
    sim_kernel_start(p->host, &p->end, x->takes_us, process_due, p);
}

static struct world_process *spawn(void *impl, const struct world_spawn *opts,
                                   void (*on_exit)(void *ctx, const struct world_exit *e), void *ctx);

static int64_t handle_pid(const struct world_process *base) {
    return ((const struct handle *)base)->pid;
}

static void handle_forget(struct world_process *base) {
    handle_free((struct handle *)base);
}

static bool pid_alive(void *impl, int64_t pid) {
    return find_process(impl, pid) != NULL;
}

static bool pid_signal(void *impl, int64_t pid, int signal, bool group) {
    struct sim_host *h = impl;
    struct process *p = find_process(h, pid);
    (void)group; /* a virtual process has no children */
    if (p == NULL || h->crashing) {
        return false;
    }
    char text[16];
    snprintf(text, sizeof(text), "%d", signal);
    sim_trace(h->sim, h, SIM_EVENT_SIGNAL, (uint64_t)pid, false, text, SPAN(""));
    if (signal != 0 && !p->exec.unkillable && !(signal == SIGTERM && p->exec.ignores_term)) {
        end_process(p, signal);
    }
    return true;
}

static void pid_birth(void *impl, int64_t pid, char out[32]) {
    const struct process *p = find_process(impl, pid);
    if (p != NULL) {
        snprintf(out, 32, "%" PRIu64, p->born_us);
    }
}

const struct world_process_ops sim_process_ops = {spawn, handle_pid, handle_forget, pid_alive, pid_signal, pid_birth};

static struct world_process *spawn(void *impl, const struct world_spawn *opts,
                                   void (*on_exit)(void *ctx, const struct world_exit *e), void *ctx) {
    struct sim_host *h = impl;
    struct handle *handle = mem_zalloc(sizeof(*handle));
    handle->base.ops = &sim_process_ops;
    handle->host = h;
    handle->on_output = opts->on_output;
    handle->on_exit = on_exit;
    handle->ctx = ctx;
    list_init(&handle->news);
    list_push_back(&h->process_handles, &handle->link);
    if (h->crashing) {
        return &handle->base;
    }
    const struct sim_program *program = find_program(h, opts->argv[0]);
    struct process *p = mem_zalloc(sizeof(*p));
    p->host = h;
    p->argv = copy_strings(opts->argv);
    p->env = copy_strings(opts->env);
    p->cwd = str_dup(opts->cwd != NULL ? opts->cwd : "/");
    p->stdout_path = str_dup(opts->stdout_path);
    p->stderr_path = str_dup(opts->stderr_path);
    list_init(&p->exec.outputs);
    bool ok = program != NULL;
    if (!ok) {
        snprintf(handle->error_text, sizeof(handle->error_text), "%.150s: no such file or directory", opts->argv[0]);
    } else {
        ok = read_input(p, opts, handle->error_text, sizeof(handle->error_text));
    }
    if (!ok) {
        process_free(p);
        sim_inbox_start(h, &handle->soon, 0, tell, handle);
        return &handle->base;
    }
    p->program = *program;
    p->handle = handle;
    handle->process = p;
    start(p);
    handle->pid = p->exec.pid;
    return &handle->base;
}

size_t sim_process_count(const struct sim *sim) {
    return map_count(&sim->processes);
}

/* ---- crash and end */

void sim_process_before_crash(struct sim_host *h, enum sim_crash_kind kind) {
    LIST_EACH (k, &h->process_handles) {
        struct handle *handle = LIST_ITEM(k, struct handle, link);
        sim_inbox_stop(h, &handle->soon);
        if (handle->process != NULL) {
            handle->process->handle = NULL;
            handle->process = NULL;
        }
    }
    if (kind != SIM_CRASH_POWER) {
        return;
    }
    for (struct map_iter i = map_iter(&h->sim->processes); map_next(&i);) {
        struct process *p = i.value;
        if (p->host == h) {
            process_vanish(p);
        }
    }
}

void sim_process_after_crash(struct sim_host *h) {
    LIST_EACH_SAFE (k, next, &h->process_handles) {
        handle_free(LIST_ITEM(k, struct handle, link));
    }
}

void sim_programs_drop(struct sim *sim) {
    for (struct map_iter i = map_iter(&sim->processes); map_next(&i);) {
        process_vanish(i.value);
    }
    for (struct list_link *k; (k = list_pop_front(&sim->programs)) != NULL;) {
        struct program *p = LIST_ITEM(k, struct program, link);
        mem_free(p->name);
        mem_free(p);
    }
}

void sim_process_free(struct sim *sim) {
    for (size_t i = 0; i < sim->host_count; i++) {
        sim_process_after_crash(sim->hosts[i]);
    }
    sim_programs_drop(sim);
    map_free(&sim->processes);
}

bool sim_process_check_idle(const struct sim_host *h, struct buf *report) {
    if (!list_empty(&h->process_handles)) {
        sim_leak(report, h, h->process_handles.count, "process handles");
    }
    return list_empty(&h->process_handles);
}
