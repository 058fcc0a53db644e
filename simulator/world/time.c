/* Time, randomness, deferred tasks and work of a simulated host. */
#include "simulator/world/internal.h"

#include "base/mem.h"
#include <stdio.h>

struct work {
    struct list_link link;
    struct timer timer;
    struct sim_host *host;
    void (*fn)(void *arg);
    void (*done)(void *arg);
    void *arg;
};

static uint64_t now_us(void *impl) {
    struct sim_host *h = impl;
    return h->sim->now_us;
}

static int64_t wall_ms(void *impl) {
    struct sim_host *h = impl;
    int64_t since_us = (int64_t)(h->sim->now_us - h->drift_since_us);
    int64_t drifted_us = since_us * h->drift_ppm / 1000000;
    return h->sim->wall_start_ms + h->wall_offset_ms + ((int64_t)h->sim->now_us + drifted_us) / 1000;
}

void sim_clock_jump(struct world *host, int64_t ms) {
    struct sim_host *h = host_of(host);
    h->wall_offset_ms += ms;
    char text[48];
    snprintf(text, sizeof(text), "clock %+lld ms", (long long)ms);
    sim_trace(h->sim, h, SIM_EVENT_HOST, 0, false, text, SPAN(""));
}

void sim_clock_drift(struct world *host, int32_t ppm) {
    struct sim_host *h = host_of(host);
    int64_t since_us = (int64_t)(h->sim->now_us - h->drift_since_us);
    h->wall_offset_ms += since_us * h->drift_ppm / 1000000 / 1000; /* what has built up stays */
    h->drift_since_us = h->sim->now_us;
    h->drift_ppm = ppm;
}

static void timer_start(void *impl, struct timer *t, uint64_t delay_ms) {
    struct sim_host *h = impl;
    if (h->crashing) {
        return;
    }
    /* Not due in this turn: the turn's deferred tasks run before it, as in the real loop. */
    uint64_t delay_us = delay_ms == 0 ? 1 : delay_ms > UINT64_MAX / 4000 ? UINT64_MAX / 4 : delay_ms * 1000;
    timer_heap_start(&h->timers, t, h->sim->now_us + delay_us);
    sim_host_rearm(h);
}

static void timer_stop(void *impl, struct timer *t) {
    struct sim_host *h = impl;
    timer_heap_stop(&h->timers, t);
    sim_host_rearm(h);
}

static void defer(void *impl, struct world_task *task) {
    struct sim_host *h = impl;
    if (!h->crashing) {
        list_push_back(&h->tasks, &task->link);
        sim_host_rearm(h);
    }
}

static void undefer(void *impl, struct world_task *task) {
    struct sim_host *h = impl;
    list_remove(&h->tasks, &task->link);
    sim_host_rearm(h);
}

static void random_bytes(void *impl, void *out, size_t len) {
    struct sim_host *h = impl;
    rng_fill(&h->random, out, len);
}

static void work_done(void *ctx) {
    struct work *work = ctx;
    struct sim_host *h = work->host;
    struct work what = *work;
    list_remove(&h->works, &work->link);
    mem_free(work);
    sim_trace(h->sim, h, SIM_EVENT_WORK, 0, false, "", SPAN(""));
    what.fn(what.arg);
    what.done(what.arg);
}

static void start_work(void *impl, void (*fn)(void *), void (*done)(void *), void *arg, uint32_t cost_us) {
    struct sim_host *h = impl;
    struct work *work = mem_zalloc(sizeof(*work));
    work->host = h;
    work->fn = fn;
    work->done = done;
    work->arg = arg;
    list_push_back(&h->works, &work->link);
    sim_inbox_start(h, &work->timer, cost_us, work_done, work);
}

static void work_free(struct work *work) {
    list_remove(&work->host->works, &work->link);
    timer_heap_stop(&work->host->inbox, &work->timer);
    mem_free(work);
}

static bool join_work(void *impl, void *arg) {
    struct sim_host *h = impl;
    LIST_EACH (k, &h->works) {
        struct work *work = LIST_ITEM(k, struct work, link);
        if (work->arg == arg) {
            void (*fn)(void *) = work->fn;
            work_free(work);
            sim_host_rearm(h);
            if (!h->crashing) {
                fn(arg);
            }
            return true;
        }
    }
    return false;
}

const struct world_time_ops sim_time_ops = {now_us,  wall_ms,      timer_start, timer_stop, defer,
                                            undefer, random_bytes, start_work,  join_work};

void sim_time_before_crash(struct sim_host *h) {
    timer_heap_free(&h->timers);
    while (list_pop_front(&h->tasks) != NULL) {
    }
    LIST_EACH (k, &h->works) {
        timer_heap_stop(&h->inbox, &LIST_ITEM(k, struct work, link)->timer);
    }
}

void sim_time_after_crash(struct sim_host *h) {
    while (!list_empty(&h->works)) {
        work_free(LIST_ITEM(list_first(&h->works), struct work, link));
    }
}

bool sim_time_check_idle(const struct sim_host *h, struct buf *report) {
    if (h->timers.count != 0) {
        sim_leak(report, h, h->timers.count, "active timers");
    }
    if (!list_empty(&h->tasks)) {
        sim_leak(report, h, h->tasks.count, "deferred tasks");
    }
    if (!list_empty(&h->works)) {
        sim_leak(report, h, h->works.count, "pieces of work");
    }
    return h->timers.count == 0 && list_empty(&h->tasks) && list_empty(&h->works);
}
