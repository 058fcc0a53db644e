/* The agenda of a simulated world: hosts, the clock, crash and power. */
#include "simulator/world/internal.h"

#include "base/clock.h"
#include "base/digest.h"
#include "base/mem.h"
#include <assert.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

static const size_t WINDOW_DEFAULT = 256 * 1024;
static const int64_t WALL_START_MS = 1893553445000; /* 2030-01-02T03:04:05Z */
enum { PORT_FIRST_FREE = 32768 };

struct kept {
    struct list_link link;
    char *text;
};

struct sim_link sim_link_default(void) {
    return (struct sim_link){.latency_us = dist_uniform(200, 2000), .split_ppm = 125000};
}

struct sim *sim_new(const struct sim_opts *opts) {
    struct sim *sim = mem_zalloc(sizeof(*sim));
    sim->seed = opts->seed;
    sim->wall_start_ms = opts->wall_ms != 0 ? opts->wall_ms : WALL_START_MS;
    sim->window = opts->window != 0 ? opts->window : WINDOW_DEFAULT;
    sim->strict_directories = opts->strict_directories;
    sim->link_default = opts->link != NULL ? *opts->link : sim_link_default();
    sim->link_version = 1;
    sim->next_pid = 1000;
    sim->hash = hash64(0, "dalang", 6);
    list_init(&sim->stalled);
    list_init(&sim->programs);
    list_init(&sim->watchers);
    list_init(&sim->kept);
    /* SQLite draws salts and names from one generator per process: restart it, so that a run never depends on the one
     * before. */
    sqlite3_test_control(SQLITE_TESTCTRL_PRNG_SEED, (int)(opts->seed & 0x7fffffff) | 1, (sqlite3 *)NULL);
    return sim;
}

static void host_free(struct sim_host *h) {
    sim_net_host_free(h);
    sim_vfs_free(h);
    sim_disk_free(h->disk);
    for (struct map_iter i = map_iter(&h->tls_files); map_next(&i);) {
        mem_free(i.value);
    }
    map_free(&h->tls_files);
    timer_heap_free(&h->kernel);
    timer_heap_free(&h->inbox);
    timer_heap_free(&h->timers);
    mem_free(h->name);
    mem_free(h);
}

void sim_free(struct sim *sim) {
    if (sim == NULL) {
        return;
    }
    sim_process_free(sim);
    for (size_t i = 0; i < sim->host_count; i++) {
        sim_time_after_crash(sim->hosts[i]);
        sim_net_after_crash(sim->hosts[i]);
        sim_disk_after_crash(sim->hosts[i]);
    }
    timer_heap_free(&sim->agenda); /* while the timers' owners are still there */
    for (size_t i = 0; i < sim->host_count; i++) {
        host_free(sim->hosts[i]);
    }
    mem_free(sim->hosts);
    sim_tls_free_all(sim);
    for (struct map_iter i = map_iter(&sim->links); map_next(&i);) {
        mem_free(i.value);
    }
    map_free(&sim->links);
    map_free(&sim->names);
    for (struct list_link *k; (k = list_pop_front(&sim->kept)) != NULL;) {
        struct kept *kept = LIST_ITEM(k, struct kept, link);
        mem_free(kept->text);
        mem_free(kept);
    }
    mem_free(sim);
}

const char *sim_keep(struct sim *sim, char *text) {
    struct kept *kept = mem_zalloc(sizeof(*kept));
    kept->text = text;
    list_push_back(&sim->kept, &kept->link);
    return text;
}

uint64_t sim_seed(const struct sim *sim) {
    return sim->seed;
}

uint64_t sim_now_us(const struct sim *sim) {
    return sim->now_us;
}

uint64_t sim_event_count(const struct sim *sim) {
    return sim->event_count;
}

struct rng sim_rng(const struct sim *sim, const char *purpose, const char *name) {
    return rng_derive(sim->seed, purpose, name);
}

/* ---- hosts */

static void host_fire(void *ctx);

struct world *sim_host(struct sim *sim, const char *name) {
    struct sim_host *h = map_get_cstr(&sim->names, name);
    if (h != NULL) {
        return &h->world;
    }
    h = mem_zalloc(sizeof(*h));
    h->sim = sim;
    h->name = str_dup(name);
    h->number = (uint32_t)sim->host_count + 1;
    assert(h->number < 1u << 24);
    snprintf(h->address, sizeof(h->address), "10.%u.%u.%u", (h->number >> 16) & 0xffu, (h->number >> 8) & 0xffu,
             h->number & 0xffu);
    h->world = (struct world){&sim_time_ops, h, &sim_net_ops, h, &sim_process_ops, h, &sim_file_ops, h};
    h->wake.fire = host_fire;
    h->wake.ctx = h;
    list_init(&h->tasks);
    list_init(&h->works);
    list_init(&h->connections);
    list_init(&h->listeners);
    list_init(&h->proxies);
    list_init(&h->fetches);
    list_init(&h->process_handles);
    h->random = rng_derive(sim->seed, "random", name);
    h->processes_rng = rng_derive(sim->seed, "processes", name);
    h->disk_rng = rng_derive(sim->seed, "disk", name);
    h->next_port = PORT_FIRST_FREE;
    h->disk = sim_disk_new(h);
    sim->hosts = mem_grow(sim->hosts, &sim->host_cap, sim->host_count + 1, sizeof(struct sim_host *));
    sim->hosts[sim->host_count++] = h;
    map_put(&sim->names, span_of(h->name), h);
    map_put(&sim->names, span_of(h->address), h);
    return &h->world;
}

struct world *sim_find_host(struct sim *sim, const char *name) {
    struct sim_host *h = map_get_cstr(&sim->names, name);
    return h != NULL ? &h->world : NULL;
}

const char *sim_host_name(const struct world *host) {
    return host_of(host)->name;
}

const char *sim_host_address(const struct world *host) {
    return host_of(host)->address;
}

struct sim *sim_of(const struct world *host) {
    return host_of(host)->sim;
}

void sim_alias(struct world *host, const char *name) {
    map_put(&host_of(host)->sim->names, span_of(name), host_of(host));
}

/* ---- the agenda */

static uint64_t first_due(const struct timer_heap *heap) {
    const struct timer *t = timer_heap_first(heap);
    return t != NULL ? t->due_us : UINT64_MAX;
}

static uint64_t min_u64(uint64_t a, uint64_t b) {
    return a < b ? a : b;
}

void sim_host_rearm(struct sim_host *h) {
    struct sim *sim = h->sim;
    uint64_t due = UINT64_MAX;
    if (!h->paused) {
        due = list_empty(&h->tasks) ? UINT64_MAX : sim->now_us;
        due = min_u64(due, min_u64(first_due(&h->inbox), first_due(&h->timers)));
        if (due != UINT64_MAX && due < h->busy_until_us) {
            due = h->busy_until_us;
        }
    }
    due = min_u64(due, first_due(&h->kernel));
    if (due == UINT64_MAX) {
        timer_heap_stop(&sim->agenda, &h->wake);
        return;
    }
    due = due < sim->now_us ? sim->now_us : due;
    if (h->wake.place == 0 || h->wake.due_us != due) {
        timer_heap_start(&sim->agenda, &h->wake, due);
    }
}

static bool fire_first(struct timer_heap *heap, uint64_t now_us) {
    struct timer *t = timer_heap_first(heap);
    if (t == NULL || t->due_us > now_us) {
        return false;
    }
    timer_heap_stop(heap, t);
    t->fire(t->ctx);
    return true;
}

static bool fire_core_timer(struct sim_host *h) {
    if (first_due(&h->timers) > h->sim->now_us) {
        return false;
    }
    sim_trace(h->sim, h, SIM_EVENT_TIMER, 0, false, "", SPAN(""));
    return fire_first(&h->timers, h->sim->now_us);
}

/* The end of a turn: what was deferred during it, but not what these tasks defer anew. */
static void run_tasks(struct sim_host *h) {
    struct list_link end = {NULL, NULL};
    sim_trace(h->sim, h, SIM_EVENT_TASKS, h->tasks.count, false, "", SPAN(""));
    list_push_back(&h->tasks, &end);
    for (struct list_link *k; (k = list_pop_front(&h->tasks)) != &end;) {
        struct world_task *task = LIST_ITEM(k, struct world_task, link);
        task->run(task->ctx);
    }
}

static void host_fire(void *ctx) {
    struct sim_host *h = ctx;
    uint64_t now = h->sim->now_us;
    if (!fire_first(&h->kernel, now) && !h->paused && h->busy_until_us <= now && !fire_first(&h->inbox, now) &&
        !fire_core_timer(h) && !list_empty(&h->tasks)) {
        run_tasks(h);
    }
    sim_host_rearm(h);
}

static uint64_t due_in(const struct sim *sim, uint64_t delay_us) {
    return delay_us > UINT64_MAX / 2 ? UINT64_MAX - 1 : sim->now_us + delay_us;
}

void sim_kernel_start(struct sim_host *h, struct timer *t, uint64_t delay_us, void (*fire)(void *ctx), void *ctx) {
    t->fire = fire;
    t->ctx = ctx;
    timer_heap_start(&h->kernel, t, due_in(h->sim, delay_us));
    sim_host_rearm(h);
}

void sim_kernel_stop(struct sim_host *h, struct timer *t) {
    timer_heap_stop(&h->kernel, t);
    sim_host_rearm(h);
}

void sim_inbox_start(struct sim_host *h, struct timer *t, uint64_t delay_us, void (*fire)(void *ctx), void *ctx) {
    t->fire = fire;
    t->ctx = ctx;
    timer_heap_start(&h->inbox, t, due_in(h->sim, delay_us));
    sim_host_rearm(h);
}

void sim_inbox_stop(struct sim_host *h, struct timer *t) {
    timer_heap_stop(&h->inbox, t);
    sim_host_rearm(h);
}

void sim_timer_start(struct sim *sim, struct timer *t, uint64_t delay_us, void (*fire)(void *ctx), void *ctx) {
    t->fire = fire;
    t->ctx = ctx;
    timer_heap_start(&sim->agenda, t, due_in(sim, delay_us));
}

void sim_timer_stop(struct sim *sim, struct timer *t) {
    timer_heap_stop(&sim->agenda, t);
}

/* ---- running */

bool sim_step(struct sim *sim) {
    struct timer *t = timer_heap_first(&sim->agenda);
    if (t == NULL) {
        return false;
    }
    assert(t->due_us >= sim->now_us);
    sim->now_us = t->due_us;
    timer_heap_stop(&sim->agenda, t);
    t->fire(t->ctx);
    return true;
}

void sim_run(struct sim *sim, uint64_t until_us) {
    while (first_due(&sim->agenda) <= until_us && sim_step(sim)) {
    }
    sim->now_us = sim->now_us < until_us ? until_us : sim->now_us;
}

bool sim_run_until(struct sim *sim, uint64_t within_us, bool (*done)(void *ctx), void *ctx) {
    uint64_t until_us = due_in(sim, within_us);
    while (!done(ctx)) {
        if (first_due(&sim->agenda) > until_us || !sim_step(sim)) {
            sim->now_us = until_us;
            return false;
        }
    }
    return true;
}

bool sim_run_idle(struct sim *sim, uint64_t within_us) {
    sim_run(sim, due_in(sim, within_us));
    return timer_heap_first(&sim->agenda) == NULL;
}

/* ---- clock, pause, crash */

void sim_pause(struct world *host, bool paused) {
    struct sim_host *h = host_of(host);
    if (h->paused != paused) {
        h->paused = paused;
        sim_trace(h->sim, h, SIM_EVENT_HOST, 0, false, paused ? "pause" : "resume", SPAN(""));
        sim_host_rearm(h);
    }
}

void sim_stall(struct world *host, uint64_t us) {
    struct sim_host *h = host_of(host);
    uint64_t from = h->busy_until_us > h->sim->now_us ? h->busy_until_us : h->sim->now_us;
    h->busy_until_us = from + us;
    sim_host_rearm(h);
}

void sim_on_crash(struct world *host, void (*destroy)(void *ctx), void *ctx) {
    host_of(host)->destroy = destroy;
    host_of(host)->destroy_ctx = ctx;
}

void sim_crash(struct world *host, enum sim_crash_kind kind) {
    struct sim_host *h = host_of(host);
    sim_trace(h->sim, h, SIM_EVENT_HOST, 0, false, kind == SIM_CRASH_KILL ? "crash" : "power off", SPAN(""));
    h->crashing = true;
    h->paused = false;
    h->busy_until_us = 0;
    h->down = h->down || kind == SIM_CRASH_POWER;
    sim_time_before_crash(h);
    sim_net_before_crash(h, kind);
    sim_process_before_crash(h, kind);
    sim_disk_before_crash(h, kind);
    void (*destroy)(void *) = h->destroy;
    h->destroy = NULL;
    if (destroy != NULL) {
        destroy(h->destroy_ctx);
    }
    sim_time_after_crash(h);
    sim_net_after_crash(h);
    sim_process_after_crash(h);
    sim_disk_after_crash(h);
    h->crashing = false;
    sim_host_rearm(h);
}

void sim_power_on(struct world *host) {
    struct sim_host *h = host_of(host);
    if (h->down) {
        h->down = false;
        sim_trace(h->sim, h, SIM_EVENT_HOST, 0, false, "power on", SPAN(""));
        sim_net_power_on(h);
        sim_host_rearm(h);
    }
}

/* ---- what is left */

void sim_leak(struct buf *report, const struct sim_host *h, size_t count, const char *what) {
    if (report != NULL) {
        buf_printf(report, "%s: %zu %s\n", h->name, count, what);
    }
}

struct sim_census sim_census(const struct world *host) {
    const struct sim_host *h = host_of(host);
    struct sim_census c = {
        .timers = h->timers.count,
        .tasks = h->tasks.count,
        .works = h->works.count,
        .connections = h->connections.count,
        .listeners = h->listeners.count,
        .fetches = h->fetches.count,
        .process_handles = h->process_handles.count,
    };
    sim_disk_census(h, &c);
    return c;
}

size_t sim_host_count(const struct sim *sim) {
    return sim->host_count;
}

struct world *sim_host_at(const struct sim *sim, size_t index) {
    return &sim->hosts[index]->world;
}

bool sim_check_idle(struct sim *sim, struct buf *report) {
    bool idle = true;
    for (size_t i = 0; i < sim->host_count; i++) {
        const struct sim_host *h = sim->hosts[i];
        idle &= sim_time_check_idle(h, report);
        idle &= sim_net_check_idle(h, report);
        idle &= sim_process_check_idle(h, report);
        idle &= sim_disk_check_idle(h, report);
    }
    return idle;
}
