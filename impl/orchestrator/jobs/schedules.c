#include "orchestrator/jobs/schedules.h"

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include "orchestrator/jobs/secrets.h"

#include <string.h>

enum {
    LOOK_MS = 30000, /* at least so often the wall clock is looked at: it may jump */
    RESOLUTION_MS = 1000,
};

#define SUBMIT_BROKEN                                                                                                  \
    "{\"kind\":\"puppetlabs.orchestrator/unknown-error\",\"msg\":\"the service was restarted while the job was being " \
    "started\",\"details\":{}}"

struct entry {
    struct schedules *all;
    int64_t id, start_ms, interval_s, next_ms;
    bool firing; /* a run is being started */
    bool gone;   /* disabled meanwhile: freed once the start has been told */
    struct store_waiter written;
};

/* Somebody waits for a change to be durable. */
struct change {
    struct list_link link;
    struct schedules *all;
    int64_t id;
    void (*done)(void *ctx, int64_t id, const struct error *err);
    void *ctx;
};

struct schedules {
    struct world *world;
    struct store *store;
    const struct logger *log;
    uint8_t key[SECRET_KEY_LEN];
    schedule_submit *submit;
    void *submit_ctx;
    struct map entries; /* id → struct entry */
    struct list changes;
    struct timer timer;
};

static void look(void *ctx);

static struct span key_of(const int64_t *id) {
    return span_bytes(id, sizeof *id);
}

/* ---------------------------------------------------------------------------------------- times */

/* The first time of the series that is later than now; 0: none. */
static int64_t next_after(int64_t start_ms, int64_t interval_s, int64_t now_ms) {
    if (start_ms > now_ms) {
        return start_ms;
    }
    if (interval_s == 0) {
        return 0;
    }
    int64_t step = interval_s * 1000;
    return start_ms + ((now_ms - start_ms) / step + 1) * step;
}

static void set_timer(struct schedules *s) {
    int64_t now = world_wall_ms(s->world), wait = LOOK_MS;
    bool any = false;
    for (struct map_iter i = map_iter(&s->entries); map_next(&i);) {
        const struct entry *e = i.value;
        if (e->next_ms != 0 && !e->firing) {
            any = true;
            wait = e->next_ms - now < wait ? e->next_ms - now : wait;
        }
    }
    if (any && s->submit != NULL) {
        world_timer_start(s->world, &s->timer, wait > 0 ? (uint64_t)wait : 0, look, s);
    } else {
        world_timer_stop(s->world, &s->timer);
    }
}

/* ---------------------------------------------------------------------------------------- a run */

static void entry_free(struct entry *e) {
    store_unwait(e->all->store, &e->written);
    mem_free(e);
}

static void started(void *ctx, int64_t job, const struct error *err) {
    struct entry *e = ctx;
    struct schedules *s = e->all;
    struct buf text = BUF_INIT;
    if (err != NULL) {
        json_t *object = error_to_json(err);
        json_write(&text, object);
        json_decref(object);
        log_warn(s->log, "scheduled job %lld could not be started: %s", (long long)e->id, err->msg);
    }
    store_schedule_started(store_standing(s->store), e->id, job, buf_span(&text));
    buf_free(&text);
    e->firing = false;
    if (e->gone) {
        entry_free(e);
    }
    set_timer(s);
}

static void submit_row(void *ctx, const struct store_schedule *row) {
    struct entry *e = ctx;
    struct schedules *s = e->all;
    struct buf clear = BUF_INIT;
    json_t *sensitive = NULL;
    if (row->secret.len != 0 && secret_open(s->key, "schedule", row->secret, &clear)) {
        sensitive = json_parse(buf_span(&clear), "secrets", NULL);
    }
    if (clear.ptr != NULL) {
        mem_zero(clear.ptr, clear.cap);
    }
    buf_free(&clear);
    const char *obstacle = row->secret.len != 0 && sensitive == NULL
                               ? "its sensitive parameters cannot be read any more"
                           : s->submit == NULL ? "the service is stopping"
                                               : NULL;
    if (obstacle != NULL) {
        struct error err = ERROR_INIT;
        error_set(&err, "puppetlabs.orchestrator/unknown-error", "%s", obstacle);
        started(e, 0, &err);
        error_clear(&err);
    } else {
        s->submit(s->submit_ctx, row, sensitive, started, e);
    }
    json_decref(sensitive);
}

/* That this run was due is durable: whatever happens now, it is not started twice. */
static void submit(void *ctx) {
    struct entry *e = ctx;
    struct error err = ERROR_INIT;
    bool found = false;
    if (e->gone || !store_schedule(e->all->store, e->id, submit_row, e, &found, &err) || !found) {
        if (error_is_set(&err)) {
            log_error(e->all->log, "scheduled job %lld: %s", (long long)e->id, err.msg);
        }
        error_clear(&err);
        e->firing = false;
        if (e->gone) {
            entry_free(e);
        }
    }
}

static void fire(struct entry *e, int64_t now_ms) {
    struct schedules *s = e->all;
    e->next_ms = next_after(e->start_ms, e->interval_s, now_ms);
    e->firing = true;
    store_schedule_due(store_standing(s->store), &(struct store_schedule){.id = e->id,
                                                                          .start_ms = e->start_ms,
                                                                          .interval_s = e->interval_s,
                                                                          .last_ms = now_ms,
                                                                          .next_ms = e->next_ms,
                                                                          .last_error = SPAN(SUBMIT_BROKEN)});
    store_after(s->store, &e->written, submit, e);
    store_hasten(s->store);
}

static void look(void *ctx) {
    struct schedules *s = ctx;
    int64_t now = world_wall_ms(s->world);
    for (struct map_iter i = map_iter(&s->entries); map_next(&i);) {
        struct entry *e = i.value;
        if (e->next_ms != 0 && e->next_ms <= now && !e->firing && store_error(s->store) == NULL) {
            fire(e, now);
        }
    }
    if (store_error(s->store) != NULL) {
        world_timer_start(s->world, &s->timer, RESOLUTION_MS, look, s);
    } else {
        set_timer(s);
    }
}

/* ---------------------------------------------------------------------------------------- life */

struct schedules *schedules_new(struct world *w, struct store *store, const uint8_t secret_key[32],
                                const struct logger *log) {
    struct schedules *s = mem_zalloc(sizeof *s);
    s->world = w;
    s->store = store;
    s->log = log;
    memcpy(s->key, secret_key, sizeof s->key);
    list_init(&s->changes);
    return s;
}

void schedules_set_submit(struct schedules *s, schedule_submit *to, void *submit_ctx) {
    s->submit = to;
    s->submit_ctx = submit_ctx;
    set_timer(s);
}

/* Of a series that goes on the entry knows best when it is due: the row may be older. */
static void track(struct schedules *s, const struct store_schedule *row) {
    struct entry *e = map_get(&s->entries, key_of(&row->id));
    if (e == NULL) {
        e = mem_zalloc(sizeof *e);
        e->all = s;
        e->id = row->id;
        map_put(&s->entries, key_of(&e->id), e);
    } else if (e->start_ms == row->start_ms && e->interval_s == row->interval_s) {
        return;
    }
    e->start_ms = row->start_ms;
    e->interval_s = row->interval_s;
    e->next_ms = row->next_ms;
}

/* Runs missed while the service was down are not made up one by one: a series goes on at its next time. */
static bool load(void *ctx, const struct store_schedule *row) {
    struct schedules *s = ctx;
    struct store_schedule copy = *row;
    int64_t now = world_wall_ms(s->world);
    if (!row->enabled) {
        return true;
    }
    if (copy.next_ms != 0 && copy.next_ms < now && copy.interval_s != 0) {
        copy.next_ms = next_after(copy.start_ms, copy.interval_s, now);
        store_schedule_next(store_standing(s->store), copy.id, copy.next_ms);
    }
    track(s, &copy);
    return true;
}

bool schedules_resume(struct schedules *s, struct error *err) {
    bool ok = store_all_schedules(s->store, load, s, err);
    set_timer(s);
    return ok;
}

void schedules_free(struct schedules *s) {
    if (s == NULL) {
        return;
    }
    world_timer_stop(s->world, &s->timer);
    for (struct map_iter i = map_iter(&s->entries); map_next(&i);) {
        entry_free(i.value);
    }
    map_free(&s->entries);
    for (struct list_link *it; (it = list_pop_front(&s->changes)) != NULL;) {
        struct change *c = LIST_ITEM(it, struct change, link);
        store_forget(s->store, c);
        mem_free(c);
    }
    mem_zero(s->key, sizeof s->key);
    mem_free(s);
}

size_t schedules_count(const struct schedules *s) {
    return map_count(&s->entries);
}

void schedules_forget(struct schedules *s, void *ctx) {
    LIST_EACH (it, &s->changes) {
        struct change *c = LIST_ITEM(it, struct change, link);
        c->done = c->ctx == ctx ? NULL : c->done;
    }
}

/* ---------------------------------------------------------------------------------------- changes */

static void change_told(struct change *c, const struct error *err) {
    list_remove(&c->all->changes, &c->link);
    if (c->done != NULL) {
        c->done(c->ctx, err == NULL ? c->id : 0, err);
    }
    mem_free(c);
}

static void track_row(void *ctx, const struct store_schedule *row) {
    struct schedules *s = ctx;
    struct entry *e = map_get(&s->entries, key_of(&row->id));
    if (row->enabled) {
        track(s, row);
    } else if (e != NULL) {
        map_remove(&s->entries, key_of(&row->id));
        e->gone = true;
        if (!e->firing) {
            entry_free(e);
        }
    }
}

static void change_committed(void *ctx, const struct error *err) {
    struct change *c = ctx;
    struct schedules *s = c->all;
    if (err == NULL) {
        bool found;
        store_schedule(s->store, c->id, track_row, s, &found, NULL);
        set_timer(s);
    }
    change_told(c, err);
}

static void commit_change(struct schedules *s, struct store_batch *b, int64_t id,
                          void (*done)(void *ctx, int64_t id, const struct error *err), void *ctx) {
    struct change *c = mem_zalloc(sizeof *c);
    *c = (struct change){.all = s, .id = id, .done = done, .ctx = ctx};
    list_push_back(&s->changes, &c->link);
    store_commit(s->store, b, change_committed, c);
}

static bool in_future(const struct schedules *s, int64_t start_ms, struct error *err) {
    return start_ms > world_wall_ms(s->world) ||
           error_set(err, "puppetlabs.orchestrator/invalid-time", "The start time must lie in the future");
}

static void seal(struct schedules *s, json_t *sensitive, struct buf *out) {
    if (json_object_size(sensitive) != 0) {
        struct buf clear = BUF_INIT;
        json_write(&clear, sensitive);
        secret_seal(s->world, s->key, "schedule", buf_span(&clear), out);
        mem_zero(clear.ptr, clear.cap);
        buf_free(&clear);
    }
}

bool schedules_add(struct schedules *s, const struct store_schedule *row, json_t *sensitive,
                   void (*done)(void *ctx, int64_t id, const struct error *err), void *ctx, struct error *err) {
    if (!in_future(s, row->start_ms, err)) {
        return false;
    }
    struct buf sealed = BUF_INIT;
    struct store_schedule stored = *row;
    seal(s, sensitive, &sealed);
    stored.id = store_next_id(s->store, STORE_SCHEDULE_ID);
    stored.enabled = true;
    stored.next_ms = stored.start_ms;
    stored.last_ms = stored.last_job = 0;
    stored.last_error = (struct span){NULL, 0};
    stored.secret = buf_span(&sealed);
    struct store_batch *b = store_batch_new(s->store);
    store_schedule_insert(b, &stored);
    commit_change(s, b, stored.id, done, ctx);
    buf_free(&sealed);
    return true;
}

struct replacement {
    struct schedules *all;
    const struct store_schedule *row;
    json_t *sensitive;
    bool keep_sensitive, ok;
    struct store_batch *batch;
    struct error *err;
};

static bool still_enabled(const struct store_schedule *old, struct error *err) {
    return old->enabled || error_set_details(err, "puppetlabs.orchestrator/disabled-scheduled-job",
                                             json_pack("{s:o}", "id", json_sprintf("%lld", (long long)old->id)),
                                             "Scheduled job %lld is disabled", (long long)old->id);
}

static void replace_row(void *ctx, const struct store_schedule *old) {
    struct replacement *r = ctx;
    struct schedules *s = r->all;
    struct store_schedule stored = *r->row;
    bool same_times = stored.start_ms == old->start_ms && stored.interval_s == old->interval_s;
    r->ok = still_enabled(old, r->err) && (same_times || in_future(s, stored.start_ms, r->err));
    if (!r->ok) {
        return;
    }
    struct buf sealed = BUF_INIT;
    seal(s, r->sensitive, &sealed);
    stored.secret = buf_span(&sealed);
    store_schedule_replace(r->batch, &stored, r->keep_sensitive);
    buf_free(&sealed);
}

static bool unknown(int64_t id, struct error *err) {
    return error_set_details(err, "puppetlabs.orchestrator/unknown-job",
                             json_pack("{s:o}", "job", json_sprintf("%lld", (long long)id)),
                             "Unknown scheduled job %lld", (long long)id);
}

bool schedules_replace(struct schedules *s, const struct store_schedule *row, json_t *sensitive, bool keep_sensitive,
                       void (*done)(void *ctx, int64_t id, const struct error *err), void *ctx, struct error *err) {
    bool found;
    struct replacement r = {.all = s,
                            .row = row,
                            .sensitive = sensitive,
                            .keep_sensitive = keep_sensitive,
                            .batch = store_batch_new(s->store),
                            .err = err};
    if (!store_schedule(s->store, row->id, replace_row, &r, &found, err) || (!found && !unknown(row->id, err)) ||
        !r.ok) {
        store_discard(s->store, r.batch);
        return false;
    }
    commit_change(s, r.batch, row->id, done, ctx);
    return true;
}

static void only_whether(void *ctx, const struct store_schedule *row) {
    (void)ctx;
    (void)row;
}

bool schedules_disable(struct schedules *s, int64_t id, void (*done)(void *ctx, int64_t id, const struct error *err),
                       void *ctx, struct error *err) {
    bool found;
    if (!store_schedule(s->store, id, only_whether, NULL, &found, err) || (!found && !unknown(id, err))) {
        return false;
    }
    struct store_batch *b = store_batch_new(s->store);
    store_schedule_disable(b, id);
    commit_change(s, b, id, done, ctx);
    return true;
}
