/* Time, timers, deferred tasks, randomness and work off the loop. */
#include "world/real_loop.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RANDOM_SHORT = 16 }; /* identifiers, masks, nonces; keys and tokens come from the generator itself */

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

static void generate(void *out, size_t len) {
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

static void random_bytes(void *impl, void *out, size_t len) {
    struct real_world *rw = impl;
    if (len > RANDOM_SHORT) {
        generate(out, len);
        return;
    }
    if (rw->random_left < len) {
        generate(rw->random, sizeof(rw->random));
        rw->random_left = sizeof(rw->random);
    }
    uint8_t *from = rw->random + sizeof(rw->random) - rw->random_left;
    memcpy(out, from, len);
    mem_zero(from, len);
    rw->random_left -= len;
}

/* ---- work: on libuv's threads */

enum progress { WAITING, RUNNING, RUN };

struct work {
    uv_work_t req;
    struct list_link link; /* in rw->works, until done is called or nobody wants that any more */
    struct real_world *rw;
    void (*fn)(void *arg);
    void (*done)(void *arg);
    void *arg;
    enum progress progress; /* guarded by rw->work_mutex */
};

static void work_run(uv_work_t *req) {
    struct work *work = req->data;
    struct real_world *rw = work->rw;
    uv_mutex_lock(&rw->work_mutex);
    bool mine = work->progress == WAITING;
    work->progress = mine ? RUNNING : work->progress;
    uv_mutex_unlock(&rw->work_mutex);
    if (!mine) {
        return; /* who could not wait has run it */
    }
    work->fn(work->arg);
    uv_mutex_lock(&rw->work_mutex);
    work->progress = RUN;
    uv_cond_broadcast(&rw->work_run);
    uv_mutex_unlock(&rw->work_mutex);
}

static void work_done(uv_work_t *req, int status) {
    (void)status; /* never cancelled */
    struct work *work = req->data;
    if (list_linked(&work->link)) {
        list_remove(&work->rw->works, &work->link);
        work->done(work->arg);
    }
    mem_free(work);
}

static void do_work(void *impl, void (*fn)(void *), void (*done)(void *), void *arg, uint32_t cost_us) {
    (void)cost_us; /* here it costs what it costs */
    struct real_world *rw = impl;
    struct work *work = mem_zalloc(sizeof(*work));
    work->rw = rw;
    work->fn = fn;
    work->done = done;
    work->arg = arg;
    work->req.data = work;
    list_push_back(&rw->works, &work->link);
    uv_queue_work(&rw->loop, &work->req, work_run, work_done);
}

static void wait_for(struct work *work) {
    struct real_world *rw = work->rw;
    uv_mutex_lock(&rw->work_mutex);
    bool mine = work->progress == WAITING;
    work->progress = mine ? RUN : work->progress;
    while (work->progress != RUN) {
        uv_cond_wait(&rw->work_run, &rw->work_mutex);
    }
    uv_mutex_unlock(&rw->work_mutex);
    if (mine) {
        work->fn(work->arg);
    }
}

static bool work_join(void *impl, void *arg) {
    struct real_world *rw = impl;
    LIST_EACH (it, &rw->works) {
        struct work *work = LIST_ITEM(it, struct work, link);
        if (work->arg == arg) {
            list_remove(&rw->works, it);
            wait_for(work);
            return true;
        }
    }
    return false;
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
    .work_join = work_join,
};
