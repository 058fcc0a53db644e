/* The loop of the real world: turns, signals, beginning and end. */
#include "world/real_loop.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct signal_watch {
    struct list_link link;
    uv_signal_t handle;
    void (*cb)(void *ctx);
    void *ctx;
};

static void on_alarm(uv_timer_t *alarm) {
    struct real_world *rw = alarm->data;
    rw->alarm_us = 0; /* only ends the wait: fire_timers() does the rest */
    real_wake(rw);
}

/* libuv calls its timers before it waits: what they ask for must not have to wait with it. */
void real_wake(struct real_world *rw) {
    if (rw->in_uv) {
        uv_stop(&rw->loop);
    }
}

struct world *real_world_new(struct error *err) {
    struct real_world *rw = mem_zalloc(sizeof(*rw));
    int rc = uv_loop_init(&rw->loop);
    if (rc != 0) {
        mem_free(rw);
        error_set(err, "world/io", "cannot make an event loop: %s", uv_strerror(rc));
        return NULL;
    }
    signal(SIGPIPE, SIG_IGN);
    uv_timer_init(&rw->loop, &rw->alarm);
    rw->alarm.data = rw;
    list_init(&rw->soon);
    list_init(&rw->deferred);
    list_init(&rw->conns);
    list_init(&rw->corked);
    list_init(&rw->lingering);
    list_init(&rw->listeners);
    list_init(&rw->fetch_pools);
    list_init(&rw->processes);
    list_init(&rw->watches);
    list_init(&rw->signals);
    list_init(&rw->works);
    uv_mutex_init(&rw->work_mutex);
    uv_cond_init(&rw->work_run);
    rw->keylog = -1;
    rw->read_scratch = mem_alloc(REAL_READ_MAX);
    rw->write_scratch = mem_alloc(REAL_RECORD_MAX);
    rw->world = (struct world){
        .time = &real_time_ops,
        .time_impl = rw,
        .net = &real_net_ops,
        .net_impl = rw,
        .process = &real_process_ops,
        .process_impl = rw,
        .file = &real_file_ops,
        .file_impl = rw,
    };
    return &rw->world;
}

void real_soon(struct real_world *rw, struct real_soon *s, void (*run)(struct real_soon *s)) {
    s->run = run;
    if (!list_linked(&s->link)) {
        list_push_back(&rw->soon, &s->link);
        real_wake(rw);
    }
}

void real_soon_cancel(struct real_world *rw, struct real_soon *s) {
    list_remove(&rw->soon, &s->link);
}

/* Sets the alarm to the first timer. Rounded up: an early alarm would only cause an empty turn. */
static void set_alarm(struct real_world *rw) {
    struct timer *first = timer_heap_first(&rw->timers);
    if (first == NULL) {
        uv_timer_stop(&rw->alarm);
        rw->alarm_us = 0;
        return;
    }
    if (rw->alarm_us == first->due_us) {
        return;
    }
    uv_update_time(&rw->loop);
    uint64_t now = world_now_us(&rw->world);
    uint64_t wait = first->due_us > now ? first->due_us - now : 0;
    uv_timer_start(&rw->alarm, on_alarm, (wait + 999) / 1000, 0);
    rw->alarm_us = first->due_us;
}

/* Timers started by these callbacks wait for the next turn, so that a timer of 0 ms cannot hold the loop. */
static void fire_timers(struct real_world *rw) {
    struct timer *t = timer_heap_first(&rw->timers);
    if (t == NULL) {
        return;
    }
    uint64_t now = world_now_us(&rw->world);
    uint64_t before = rw->timers.started;
    while (t != NULL && t->due_us <= now && t->order <= before) {
        timer_heap_stop(&rw->timers, t);
        t->fire(t->ctx);
        t = timer_heap_first(&rw->timers);
    }
}

static void run_soon(struct real_world *rw) {
    size_t count = rw->soon.count;
    while (count-- > 0 && !list_empty(&rw->soon)) {
        struct real_soon *s = LIST_ITEM(list_pop_front(&rw->soon), struct real_soon, link);
        s->run(s);
    }
}

static void run_deferred(struct real_world *rw) {
    size_t count = rw->deferred.count;
    while (count-- > 0 && !list_empty(&rw->deferred)) {
        struct world_task *task = LIST_ITEM(list_pop_front(&rw->deferred), struct world_task, link);
        task->run(task->ctx);
    }
}

bool real_world_turn(struct world *w, bool block) {
    struct real_world *rw = real_of(w);
    if (!list_empty(&rw->soon) || !list_empty(&rw->deferred) || !list_empty(&rw->corked)) {
        block = false;
    }
    rw->turn++;
    set_alarm(rw);
    rw->handshake_steps = 0;
    rw->in_uv = true;
    uv_run(&rw->loop, block ? UV_RUN_ONCE : UV_RUN_NOWAIT);
    rw->in_uv = false;
    fire_timers(rw);
    run_soon(rw);
    run_deferred(rw);
    real_net_uncork(rw);
    return uv_loop_alive(&rw->loop) || rw->timers.count != 0 || !list_empty(&rw->soon) || !list_empty(&rw->deferred);
}

void real_world_run(struct world *w) {
    struct real_world *rw = real_of(w);
    while (!rw->stopped && real_world_turn(w, true)) {
    }
    rw->stopped = false;
}

void real_world_stop(struct world *w) {
    real_of(w)->stopped = true;
}

static void on_signal(uv_signal_t *handle, int signum) {
    (void)signum;
    struct signal_watch *s = handle->data;
    s->cb(s->ctx);
}

static void on_signal_closed(uv_handle_t *handle) {
    mem_free(handle->data);
}

void real_signal(struct world *w, int signum, void (*cb)(void *ctx), void *ctx) {
    struct real_world *rw = real_of(w);
    LIST_EACH (it, &rw->signals) {
        struct signal_watch *s = LIST_ITEM(it, struct signal_watch, link);
        if (s->handle.signum == signum) {
            s->cb = cb;
            s->ctx = ctx;
            return;
        }
    }
    struct signal_watch *s = mem_zalloc(sizeof(*s));
    s->cb = cb;
    s->ctx = ctx;
    s->handle.data = s;
    uv_signal_init(&rw->loop, &s->handle);
    int rc = uv_signal_start(&s->handle, on_signal, signum);
    assert(rc == 0); /* only a number that is no signal's fails */
    (void)rc;
    list_push_back(&rw->signals, &s->link);
}

void real_world_counts(const struct world *w, struct real_counts *out) {
    const struct real_world *rw = (const struct real_world *)(const void *)w;
    *out = (struct real_counts){
        .connections = rw->conns.count,
        .handshakes = rw->handshakes,
        .listeners = rw->listeners.count,
        .fetches = rw->fetches,
        .processes = rw->processes.count,
        .watches = rw->watches.count,
        .works = rw->works.count,
        .timers = rw->timers.count,
    };
}

bool real_keylog(struct world *w, const char *path, struct error *err) {
    if (path == NULL || path[0] == '\0') {
        return true;
    }
    struct real_world *rw = real_of(w);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return error_set(err, "world/file", "%s: %s", path, strerror(errno));
    }
    assert(rw->keylog < 0); /* once: contexts hold the descriptor's number */
    rw->keylog = fd;
    return true;
}

void real_world_free(struct world *w) {
    if (w == NULL) {
        return;
    }
    struct real_world *rw = real_of(w);
    real_fetch_end(rw);
    real_net_end(rw);
    real_process_end(rw);
    real_watch_end(rw);
    while (!list_empty(&rw->signals)) {
        struct signal_watch *s = LIST_ITEM(list_pop_front(&rw->signals), struct signal_watch, link);
        uv_close((uv_handle_t *)&s->handle, on_signal_closed);
    }
    uv_close((uv_handle_t *)&rw->alarm, NULL);
    /* Also runs the work that is under way to its end. */
    while (uv_run(&rw->loop, UV_RUN_DEFAULT) != 0) {
    }
    int rc = uv_loop_close(&rw->loop);
    assert(rc == 0); /* every handle was closed above */
    (void)rc;
    uv_cond_destroy(&rw->work_run);
    uv_mutex_destroy(&rw->work_mutex);
    if (rw->keylog >= 0) {
        close(rw->keylog);
    }
    timer_heap_free(&rw->timers);
    mem_zero(rw->random, sizeof(rw->random));
    mem_free(rw->read_scratch);
    mem_free(rw->write_scratch);
    mem_free(rw);
}
