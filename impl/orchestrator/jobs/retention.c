#include "orchestrator/jobs/retention.h"

#include "base/mem.h"
#include "orchestrator/services/services.h"
#include "orchestrator/store/store.h"

#define DAY_MS INT64_C(86400000)
#define WITH_AGENT "nodes_with_agent"

struct retention {
    struct world *world;
    const struct orchestrator_config *config;
    struct store *store;
    struct services *services;
    const struct logger *log;
    struct timer timer;
    uint64_t deleted;
};

static void daily(void *ctx);

static void next_midnight(struct retention *r) {
    int64_t now = world_wall_ms(r->world);
    world_timer_start(r->world, &r->timer, (uint64_t)(DAY_MS - now % DAY_MS), daily, r);
}

static void prune(struct retention *r);

static void pruned(void *ctx, const struct error *err, uint32_t deleted) {
    struct retention *r = ctx;
    if (err != NULL) {
        log_warn(r->log, "old jobs cannot be deleted: %s", err->msg);
        return;
    }
    r->deleted += deleted;
    if (deleted == PRUNE_BATCH) {
        prune(r);
    } else if (r->deleted != 0) {
        log_info(r->log, "%llu jobs older than %u days were deleted", (unsigned long long)r->deleted,
                 r->config->job_prune_days);
        r->deleted = 0;
    }
}

static void prune(struct retention *r) {
    int64_t before = world_wall_ms(r->world) - DAY_MS * r->config->job_prune_days;
    store_prune(r->store, before, PRUNE_BATCH, pruned, r);
}

static void counted(void *ctx, json_t *rows, const struct error *err) {
    struct retention *r = ctx;
    const json_t *count = json_object_get(json_array_get(rows, 0), "count");
    if (err != NULL || !json_is_integer(count)) {
        log_warn(r->log, "nodes cannot be counted: %s", err != NULL ? err->msg : "PuppetDB sent no number");
        return;
    }
    store_usage_set(store_standing(r->store), world_wall_ms(r->world) / DAY_MS, WITH_AGENT, json_integer_value(count));
}

static void count_nodes(struct retention *r) {
    if (r->services != NULL) {
        json_t *ast = json_pack("[s, s, [s, [[s, s]]]]", "from", "nodes", "extract", "function", "count");
        services_puppetdb(r->services, ast, counted, r);
        json_decref(ast);
    }
}

static void daily(void *ctx) {
    struct retention *r = ctx;
    if (store_error(r->store) == NULL) {
        prune(r);
        store_usage_fold(store_standing(r->store), world_wall_ms(r->world) / DAY_MS);
        count_nodes(r);
    }
    next_midnight(r);
}

struct retention *retention_new(struct world *w, const struct orchestrator_config *config, struct store *store,
                                struct services *services, const struct logger *log) {
    struct retention *r = mem_zalloc(sizeof *r);
    *r = (struct retention){.world = w, .config = config, .store = store, .services = services, .log = log};
    world_timer_start(w, &r->timer, PRUNE_FIRST_MS, daily, r);
    return r;
}

void retention_free(struct retention *r) {
    if (r == NULL) {
        return;
    }
    world_timer_stop(r->world, &r->timer);
    if (r->services != NULL) {
        services_forget(r->services, r);
    }
    mem_free(r);
}
