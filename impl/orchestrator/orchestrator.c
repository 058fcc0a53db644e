/* The parts put together, in the order they need each other, and taken apart again. */
#include "orchestrator/orchestrator.h"

#include "base/mem.h"
#include "orchestrator/api/api.h"
#include "orchestrator/brokers/brokers.h"
#include "orchestrator/jobs/engine.h"
#include "orchestrator/jobs/retention.h"
#include "orchestrator/jobs/schedules.h"
#include "orchestrator/jobs/secrets.h"
#include "orchestrator/services/services.h"

enum { API_GRACE_MS = 2000 };

struct orchestrator {
    struct orchestrator_config config;
    struct orchestrator_parts parts;
    struct retention *retention;
    struct api *api;
    bool store_open, started;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
};

/* The database can be used, and everything stands: what an earlier run left is taken up. */
static void resume(struct orchestrator *o) {
    struct error err = ERROR_INIT;
    if (!o->store_open || !o->started || engine_ready(o->parts.engine)) {
        return;
    }
    if (!engine_resume(o->parts.engine, &err) || !schedules_resume(o->parts.schedules, &err)) {
        log_error(o->parts.log, "unfinished jobs cannot be taken up: %s", err.msg);
    }
    error_clear(&err);
}

static void on_store_open(void *ctx) {
    struct orchestrator *o = ctx;
    o->store_open = true;
    resume(o);
}

static void on_store_health(void *ctx, const struct error *err) {
    struct orchestrator *o = ctx;
    if (err == NULL && o->parts.engine != NULL) {
        resume(o);
        engine_wake(o->parts.engine);
    }
}

static bool load_secret_key(struct orchestrator *o, uint8_t key[SECRET_KEY_LEN], struct error *err) {
    const char *given = o->config.secret_key_file;
    char *path = given != NULL ? str_dup(given) : str_printf("%s.key", o->config.database);
    bool ok = secret_key_load(o->parts.world, path, key, err);
    mem_free(path);
    return ok;
}

static bool make_store(struct orchestrator *o, struct error *err) {
    struct store_opts opts = {
        .path = o->config.database,
        .log = o->parts.log,
        .on_open = on_store_open,
        .on_health = on_store_health,
        .ctx = o,
    };
    o->parts.store = store_new(o->parts.world, &opts, err);
    return o->parts.store != NULL;
}

static bool make_brokers(struct orchestrator *o, struct error *err) {
    struct brokers_opts opts = {
        .urls = o->config.brokers,
        .count = o->config.broker_count,
        .tls = o->parts.tls,
        .message_max = o->config.pcp_message_max,
        .log = o->parts.log,
    };
    o->parts.brokers = brokers_new(o->parts.world, &opts, err);
    return o->parts.brokers != NULL;
}

static bool make_parts(struct orchestrator *o, struct error *err) {
    struct orchestrator_parts *p = &o->parts;
    uint8_t key[SECRET_KEY_LEN];
    p->tls = world_tls_new(p->world, &o->config.tls, err);
    if (p->tls == NULL || !load_secret_key(o, key, err) || !make_store(o, err) || !make_brokers(o, err)) {
        return false;
    }
    p->services = services_new(p->world, &o->config, p->tls, p->log);
    struct engine_opts engine = {
        .store = p->store,
        .brokers = p->brokers,
        .services = p->services,
        .config = &o->config,
        .secret_key = key,
        .log = p->log,
    };
    p->engine = engine_new(p->world, &engine);
    p->schedules = schedules_new(p->world, p->store, key, p->log);
    mem_zero(key, sizeof key);
    return true;
}

struct orchestrator *orchestrator_new(struct world *w, const struct orchestrator_config *config,
                                      const struct logger *log, struct error *err) {
    if (!orchestrator_config_check(config, err)) {
        return NULL;
    }
    struct orchestrator *o = mem_zalloc(sizeof *o);
    o->config = *config;
    o->config.tls.crl = config->crl != NULL ? config->crl : config->tls.crl;
    o->parts = (struct orchestrator_parts){.world = w, .config = &o->config, .log = log};
    if (!make_parts(o, err)) {
        orchestrator_free(o);
        return NULL;
    }
    return o;
}

bool orchestrator_start(struct orchestrator *o, struct error *err) {
    o->api = api_new(&o->parts, err);
    if (o->api == NULL) {
        return false;
    }
    brokers_start(o->parts.brokers);
    o->retention = retention_new(o->parts.world, &o->config, o->parts.store, o->parts.services, o->parts.log);
    o->started = true;
    resume(o);
    return true;
}

uint16_t orchestrator_port(const struct orchestrator *o) {
    return o->api != NULL ? api_port(o->api) : 0;
}

const struct orchestrator_parts *orchestrator_parts(const struct orchestrator *o) {
    return &o->parts;
}

bool orchestrator_reload(struct orchestrator *o, struct error *err) {
    return world_tls_reload(o->parts.tls, err);
}

/* ---------------------------------------------------------------------------------------- end */

/* How the store ends tells an orderly stop from a crash. */
static void free_parts(struct orchestrator *o, void (*end_store)(struct store *s)) {
    struct orchestrator_parts *p = &o->parts;
    if (p->engine != NULL) {
        engine_free(p->engine);
        p->engine = NULL;
    }
    schedules_free(p->schedules);
    p->schedules = NULL;
    brokers_free(p->brokers);
    p->brokers = NULL;
    end_store(p->store);
    p->store = NULL;
    retention_free(o->retention);
    o->retention = NULL;
    if (p->services != NULL) {
        services_free(p->services);
        p->services = NULL;
    }
}

static void on_brokers_stopped(void *ctx) {
    struct orchestrator *o = ctx;
    free_parts(o, store_finish);
    void (*done)(void *ctx) = o->stopped;
    o->stopped = NULL;
    if (done != NULL) {
        done(o->stopped_ctx);
    }
}

static void on_api_closed(void *ctx) {
    struct orchestrator *o = ctx;
    o->api = NULL;
    brokers_stop(o->parts.brokers, on_brokers_stopped, o);
}

static void on_drained(void *ctx) {
    struct orchestrator *o = ctx;
    if (o->api == NULL) {
        on_api_closed(o);
        return;
    }
    struct api *api = o->api;
    api_close(api, API_GRACE_MS, on_api_closed, o);
}

void orchestrator_stop(struct orchestrator *o, uint64_t drain_ms, void (*done)(void *ctx), void *ctx) {
    o->stopped = done;
    o->stopped_ctx = ctx;
    schedules_set_submit(o->parts.schedules, NULL, NULL);
    engine_drain(o->parts.engine, drain_ms, on_drained, o);
}

void orchestrator_free(struct orchestrator *o) {
    if (o == NULL) {
        return;
    }
    if (o->api != NULL) {
        api_free(o->api);
    }
    free_parts(o, store_abandon);
    if (o->parts.tls != NULL) {
        world_tls_free(o->parts.tls);
    }
    mem_free(o);
}
