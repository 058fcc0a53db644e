/* Life of the engine. */
#include "base/mem.h"
#include "orchestrator/jobs/internal.h"

#include <string.h>

struct span id_key(const int64_t *id) {
    return span_bytes(id, sizeof *id);
}

/* Jobs change with every node; their rows are written once per transaction. */
static void write_dirty(void *ctx) {
    struct engine *e = ctx;
    for (struct list_link *it; (it = list_pop_front(&e->dirty)) != NULL;) {
        struct job *j = LIST_ITEM(it, struct job, dirty_link);
        struct store_job_change change = {
            .id = j->id,
            .state = j->state,
            .ts_ms = j->ts_ms,
            .started_ms = j->started_ms,
            .finished_ms = j->finished_ms,
            .drop_secret = j->secret && job_state_final(j->state),
        };
        memcpy(change.counts, j->counts, sizeof change.counts);
        memcpy(change.entered_ms, j->entered_ms, sizeof change.entered_ms);
        store_job_update(store_standing(e->store), &change);
    }
}

struct engine *engine_new(struct world *w, const struct engine_opts *opts) {
    struct engine *e = mem_zalloc(sizeof *e);
    e->world = w;
    e->opts = *opts;
    e->config = opts->config;
    e->store = opts->store;
    e->brokers = opts->brokers;
    e->services = opts->services;
    e->log = opts->log;
    memcpy(e->secret_key, opts->secret_key, sizeof e->secret_key);
    e->deploys.limit = opts->config->global_concurrent_compiles;
    e->tasks.limit = opts->config->task_concurrency;
    list_init(&e->deploys.turns);
    list_init(&e->tasks.turns);
    list_init(&e->dirty);
    list_init(&e->asks);
    list_init(&e->refusals);
    store_set_prepare(e->store, write_dirty, e);
    brokers_set_handler(e->brokers, &engine_brokers_handler, e);
    return e;
}

bool engine_resume(struct engine *e, struct error *err) {
    if (e->ready) {
        return true;
    }
    if (!plans_resume(e, err) || !jobs_resume(e, err)) {
        return false;
    }
    e->ready = true;
    return true;
}

bool engine_ready(const struct engine *e) {
    return e->ready;
}

static void drained(void *ctx) {
    struct engine *e = ctx;
    void (*done)(void *ctx) = e->drained;
    world_timer_stop(e->world, &e->drain_timer);
    e->drained = NULL;
    if (done != NULL) {
        done(e->drained_ctx);
    }
}

void engine_check_drained(struct engine *e) {
    if (e->drained != NULL && e->metrics.nodes_running == 0) {
        world_timer_start(e->world, &e->drain_timer, 0, drained, e);
    }
}

void engine_drain(struct engine *e, uint64_t drain_ms, void (*done)(void *ctx), void *ctx) {
    e->draining = true;
    e->drained = done;
    e->drained_ctx = ctx;
    world_timer_start(e->world, &e->drain_timer, e->metrics.nodes_running == 0 ? 0 : drain_ms, drained, e);
}

void engine_forget(struct engine *e, void *ctx) {
    for (struct map_iter i = map_iter(&e->jobs); map_next(&i);) {
        struct job *j = i.value;
        j->created = j->created_ctx == ctx ? NULL : j->created;
    }
    asks_forget(e, ctx);
    plans_forget(e, ctx);
}

void engine_free(struct engine *e) {
    if (e == NULL) {
        return;
    }
    write_dirty(e); /* counts with an orderly end; after an abrupt one nothing is written */
    brokers_set_handler(e->brokers, NULL, NULL);
    store_set_prepare(e->store, NULL, NULL);
    world_timer_stop(e->world, &e->admit_timer);
    world_timer_stop(e->world, &e->drain_timer);
    asks_free(e);
    plans_free(e);
    for (struct map_iter i = map_iter(&e->jobs); map_next(&i);) {
        struct job *j = i.value;
        store_forget(e->store, j);
        job_free(j);
    }
    map_free(&e->jobs);
    map_free(&e->runs);
    map_free(&e->hosts);
    mem_zero(e->secret_key, sizeof e->secret_key);
    mem_free(e);
}

const struct engine_metrics *engine_metrics(const struct engine *e) {
    return &e->metrics;
}
