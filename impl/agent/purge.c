/* Removing what is old, once at the start and then every hour or more often (agent.md §14). A big spool is walked
 * through in small steps; the walk at the start also finds what recovery.c looks after. */
#include "agent/core.h"
#include "agent/spool.h"
#include "base/mem.h"

enum {
    STEP = 32, /* directories looked at before the loop gets its turn */
    PURGE_MINUTES_MAX = 60,
};

struct scan {
    struct agent *agent;
    void (*found)(struct agent *a, const char *transaction_id, const json_t *record, bool unsent);
    char **names;
    size_t count, next, removed;
    struct timer timer;
};

static void scan_free(struct scan *s) {
    world_timer_stop(s->agent->world, &s->timer);
    world_names_free(s->names, s->count);
    s->agent->scan = NULL;
    mem_free(s);
}

/* ---------------------------------------------------------------------------------------- spool */

/* Too old by its own word; a record without a readable start goes by its directory's age, after twice the time. */
static bool record_old(struct agent *a, const char *path, const json_t *record) {
    int64_t ttl_ms = (int64_t)a->config->spool_ttl_ms, now_ms = world_wall_ms(a->world), start_ms;
    struct span start = json_span(json_object_get(record, "start"));
    if (start.len >= sizeof "2030-01-02T03:04:05Z" - 1 && span_ends_with(start, "Z") && time_parse(start, &start_ms)) {
        return now_ms - start_ms > ttl_ms;
    }
    struct world_stat st;
    log_warn(a->log, "The record in '%s' has no readable start time", path);
    return world_file_stat(a->world, path, &st, NULL) && now_ms - st.modified_ms > 2 * ttl_ms;
}

static bool may_purge(struct agent *a, const char *id, const char *path, const json_t *record) {
    return a->config->spool_ttl_ms != 0 && map_get_cstr(&a->transactions, id) == NULL &&
           spool_record_state(record) != PXP_RUNNING && record_old(a, path, record);
}

static void scan_one(struct scan *s, const char *id) {
    struct agent *a = s->agent;
    char *path = spool_path(a->spool_dir, span_of(id), NULL);
    struct world_stat st;
    struct error err = ERROR_INIT;
    json_t *record = NULL;
    if (world_file_lstat(a->world, path, &st, NULL) && st.is_dir) {
        record = spool_read_record(a->world, a->spool_dir, span_of(id), &err);
        if (record == NULL) {
            log_warn(a->log, "Keeping '%s': %s", path, err.msg);
            error_clear(&err);
        }
    }
    if (record != NULL && may_purge(a, id, path, record)) {
        if (world_file_remove(a->world, path, true, &err)) {
            s->removed++;
        } else {
            log_error(a->log, "Failed to remove '%s': %s", path, err.msg);
            error_clear(&err);
        }
    } else if (record != NULL && s->found != NULL) {
        char *mark = spool_path(a->spool_dir, span_of(id), "unsent");
        s->found(a, id, record, world_file_lstat(a->world, mark, &st, NULL));
        mem_free(mark);
    }
    json_decref(record);
    mem_free(path);
}

static void scan_step(void *ctx) {
    struct scan *s = ctx;
    struct agent *a = s->agent;
    for (int i = 0; i < STEP && s->next < s->count; i++) {
        scan_one(s, s->names[s->next++]);
    }
    if (s->next < s->count) {
        world_timer_start(a->world, &s->timer, 0, scan_step, s);
        return;
    }
    if (s->removed > 0) {
        log_info(a->log, "Removed %zu directories from '%s'", s->removed, a->spool_dir);
    }
    scan_free(s);
}

void purge_spool(struct agent *a,
                 void (*found)(struct agent *a, const char *transaction_id, const json_t *record, bool unsent)) {
    if (a->scan != NULL) {
        return;
    }
    struct scan *s = mem_zalloc(sizeof *s);
    struct error err = ERROR_INIT;
    s->agent = a;
    s->found = found;
    a->scan = s;
    if (!world_file_list(a->world, a->spool_dir, &s->names, &s->count, &err)) {
        log_error(a->log, "Failed to read the spool: %s", err.msg);
        error_clear(&err);
    }
    scan_step(s);
}

/* ---------------------------------------------------------------------------------------- cache */

static void purge_cache(struct agent *a) {
    char **names = NULL;
    size_t count = 0, removed = 0;
    struct error err = ERROR_INIT;
    if (!world_file_list(a->world, a->cache.dir, &names, &count, &err)) {
        log_error(a->log, "Failed to read the task cache: %s", err.msg);
        error_clear(&err);
    }
    for (size_t i = 0; i < count; i++) {
        char *path = str_printf("%s/%s", a->cache.dir, names[i]);
        struct world_stat st;
        if (world_file_lstat(a->world, path, &st, NULL) && st.is_dir &&
            world_wall_ms(a->world) - st.modified_ms > (int64_t)a->config->cache_ttl_ms && !cache_in_use(a, names[i])) {
            if (world_file_remove(a->world, path, true, &err)) {
                removed++;
            } else {
                log_error(a->log, "Failed to remove '%s': %s", path, err.msg);
                error_clear(&err);
            }
        }
        mem_free(path);
    }
    if (removed > 0) {
        log_info(a->log, "Removed %zu directories from '%s'", removed, a->cache.dir);
    }
    world_names_free(names, count);
}

/* ---------------------------------------------------------------------------------------- schedule */

static uint64_t greatest_common_divisor(uint64_t x, uint64_t y) {
    while (y != 0) {
        uint64_t rest = x % y;
        x = y;
        y = rest;
    }
    return x;
}

static void purge_all(void *ctx);

static void schedule(struct agent *a) {
    uint64_t minutes = greatest_common_divisor(a->config->spool_ttl_ms / 60000, a->config->cache_ttl_ms / 60000);
    if (minutes > 0) {
        minutes = minutes < PURGE_MINUTES_MAX ? minutes : PURGE_MINUTES_MAX;
        world_timer_start(a->world, &a->purge_timer, minutes * 60000, purge_all, a);
    }
}

static void purge_all(void *ctx) {
    struct agent *a = ctx;
    if (a->config->spool_ttl_ms != 0) {
        purge_spool(a, NULL);
    }
    if (a->config->cache_ttl_ms != 0) {
        purge_cache(a);
    }
    schedule(a);
}

void purge_start(struct agent *a) {
    if (a->config->cache_ttl_ms != 0) {
        purge_cache(a);
    }
    schedule(a);
}

void purge_stop(struct agent *a) {
    world_timer_stop(a->world, &a->purge_timer);
    if (a->scan != NULL) {
        scan_free(a->scan);
    }
}
