/* Time, timers, deferred tasks, randomness and work off the loop. */
#include "world/real_loop.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static uint64_t now_us(void *impl) {
    (void)impl;
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

static int64_t wall_ms(void *impl) {
    (void)impl;
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void timer_start(void *impl, struct timer *t, uint64_t delay_ms) {
    struct real_world *rw = impl;
    uint64_t now = now_us(NULL);
    uint64_t due = delay_ms > (UINT64_MAX - now) / 1000 ? UINT64_MAX : now + delay_ms * 1000;
    timer_heap_start(&rw->timers, t, due);
    real_wake(rw);
}

static void timer_stop(void *impl, struct timer *t) {
    struct real_world *rw = impl;
    timer_heap_stop(&rw->timers, t);
}

static void defer(void *impl, struct world_task *task) {
    struct real_world *rw = impl;
    list_push_back(&rw->deferred, &task->link);
    real_wake(rw);
}

static void undefer(void *impl, struct world_task *task) {
    struct real_world *rw = impl;
    list_remove(&rw->deferred, &task->link);
}

static void random_bytes(void *impl, void *out, size_t len) {
    (void)impl;
    char *at = out;
    while (len > 0) {
        int piece = len > 1 << 20 ? 1 << 20 : (int)len;
        if (RAND_bytes((unsigned char *)at, piece) != 1) {
            /* Tokens and keys must never be guessable: no way on without randomness. */
            fputs("no randomness: the system's generator failed\n", stderr);
            abort();
        }
        at += piece;
        len -= (size_t)piece;
    }
}

struct work {
    uv_work_t req;
    struct real_world *rw;
    void (*fn)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static void work_run(uv_work_t *req) {
    struct work *work = req->data;
    work->fn(work->arg);
}

static void work_done(uv_work_t *req, int status) {
    (void)status; /* never cancelled */
    struct work *work = req->data;
    work->rw->works--;
    work->done(work->arg);
    mem_free(work);
}

static void do_work(void *impl, void (*fn)(void *), void (*done)(void *), void *arg, uint32_t cost_us) {
    (void)cost_us; /* here it costs what it costs */
    struct work *work = mem_zalloc(sizeof(*work));
    *work = (struct work){.rw = impl, .fn = fn, .done = done, .arg = arg};
    work->req.data = work;
    work->rw->works++;
    uv_queue_work(&work->rw->loop, &work->req, work_run, work_done);
}

const struct world_time_ops real_time_ops = {
    .now_us = now_us,
    .wall_ms = wall_ms,
    .timer_start = timer_start,
    .timer_stop = timer_stop,
    .defer = defer,
    .undefer = undefer,
    .random = random_bytes,
    .work = do_work,
};
