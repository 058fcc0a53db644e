/* Opening, the transaction at the end of each turn, what happens when the database fails. */
#include "base/mem.h"
#include "orchestrator/store/internal.h"

#include <assert.h>
#include <string.h>

enum {
    RETRY_MS = 1000,
    LOCKED_RETRY_MS = 20,      /* another program has the database: try again soon … */
    LOCKED_PATIENCE_MS = 1000, /* … and only then call it a failure */
    STANDING_KEEP = 1 << 20,   /* a larger buffer is given back after the commit */
    REST_TIMES = 4,            /* after a transaction the standing batch rests so many times as long as that took, */
    REST_MAX_US = 10000,       /* at most this long */
};

static void flush(void *ctx);
static void retry(void *ctx);

/* ---------------------------------------------------------------------------------------- opening */

static void close_db(struct store *s) {
    store_backup_cancel(s);
    for (size_t i = 0; i < STORE_WRITES; i++) {
        sqlite3_finalize(s->writes[i]);
        s->writes[i] = NULL;
    }
    store_reads_drop(s);
    sqlite3_close_v2(s->db);
    s->db = NULL;
}

static bool run_sql(sqlite3 *db, const char *sql, const char *what, struct error *err) {
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK || store_sqlite_error(db, rc, what, err);
}

static bool one_number(sqlite3 *db, const char *sql, const char *key, int64_t *out, struct error *err) {
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK && key != NULL) {
        rc = sqlite3_bind_text(stmt, 1, key, -1, SQLITE_STATIC);
    }
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
        *out = rc == SQLITE_ROW ? sqlite3_column_int64(stmt, 0) : 0;
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE || store_sqlite_error(db, rc, "read its sequences", err);
}

/* The next id is greater than any in the table and than any that pruning took away. */
static bool load_sequences(struct store *s, struct error *err) {
    for (int i = 0; i < STORE_SEQUENCES; i++) {
        int64_t largest = 0, high_water = 0, plan_events = 0;
        char sql[80];
        sqlite3_snprintf(sizeof sql, sql, "SELECT max(id) FROM %s", store_sequence_tables[i]);
        if (!one_number(s->db, sql, NULL, &largest, err) ||
            !one_number(s->db, "SELECT value FROM meta WHERE key=?", store_sequence_tables[i], &high_water, err) ||
            (i == STORE_EVENT_ID && !one_number(s->db, "SELECT max(id) FROM plan_events", NULL, &plan_events, err))) {
            return false;
        }
        largest = largest > high_water ? largest : high_water;
        largest = largest > plan_events ? largest : plan_events;
        if (s->next_id[i] <= largest) {
            s->next_id[i] = largest + 1;
        }
    }
    return true;
}

/* Job options hold what users passed: only the owner may read the file. */
static void create_private(struct store *s) {
    struct world_stat st;
    if (!world_file_stat(s->world, s->path, &st, NULL)) {
        world_file_write(s->world, s->path, (struct span){NULL, 0}, 0600, WORLD_WRITE_NEW, NULL);
    }
}

static bool configure(struct store *s, struct error *err) {
    const char *vfs = world_sqlite_vfs(s->world);
    sqlite3_extended_result_codes(s->db, 0);
    sqlite3_busy_timeout(s->db, 0); /* waiting is done by timer */
    return (vfs == NULL || run_sql(s->db, "PRAGMA locking_mode=EXCLUSIVE", "be opened", err)) &&
           run_sql(
               s->db,
               "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8000; PRAGMA temp_store=MEMORY;"
               "PRAGMA journal_size_limit=8388608;",
               "be opened", err) &&
           store_schema_prepare(s->db, err) && load_sequences(s, err);
}

static bool open_db(struct store *s, struct error *err) {
    create_private(s);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(s->path, &s->db, flags, world_sqlite_vfs(s->world));
    bool ok = rc == SQLITE_OK || store_sqlite_error(s->db, rc, "be opened", err);
    ok = ok && configure(s, err);
    if (!ok) {
        error_prefix(err, "%s", s->path);
        close_db(s);
    }
    return ok;
}

static void announce_open(void *ctx) {
    struct store *s = ctx;
    s->opened = true;
    if (s->opts.on_open != NULL) {
        s->opts.on_open(s->opts.ctx);
    }
}

/* ---------------------------------------------------------------------------------------- health */

static void set_failed(struct store *s, struct error *err) {
    if (!error_is_set(&s->error) || !error_is(&s->error, err->kind)) {
        log_error(s->opts.log, "%s", err->msg);
        error_move(&s->error, err);
        if (s->opts.on_health != NULL) {
            s->opts.on_health(s->opts.ctx, &s->error);
        }
    } else {
        error_move(&s->error, err);
    }
    world_timer_start(s->world, &s->retry_timer, s->opts.retry_ms, retry, s);
}

static void set_healthy(struct store *s) {
    s->locked_since_us = 0;
    if (!error_is_set(&s->error)) {
        return;
    }
    error_clear(&s->error);
    world_timer_stop(s->world, &s->retry_timer);
    if (s->opened) {
        log_info(s->opts.log, "the database works again");
    }
    if (s->opts.on_health != NULL) {
        s->opts.on_health(s->opts.ctx, NULL);
    }
}

const struct error *store_error(const struct store *s) {
    return error_is_set(&s->error) ? &s->error : NULL;
}

static void copy_error(struct error *to, const struct error *from) {
    error_set(to, from->kind, "%s", from->msg);
}

bool store_readable(struct store *s, struct error *err) {
    if (s->db != NULL) {
        return true;
    }
    if (error_is_set(&s->error)) {
        copy_error(err, &s->error);
        return false;
    }
    return error_set(err, "store/closed", "the database is not open");
}

bool store_read_failed(struct store *s, int code, const char *what, struct error *err) {
    struct error why = ERROR_INIT;
    store_sqlite_error(s->db, code, what, &why);
    copy_error(err, &why);
    if (!error_is(&why, "store/locked") && !error_is(&why, "store/refused")) {
        set_failed(s, &why);
    }
    error_clear(&why);
    return false;
}

/* ---------------------------------------------------------------------------------------- the transaction */

static bool pending(const struct store *s) {
    return s->standing.ops.len != 0 || !list_empty(&s->committing) || !list_empty(&s->waiters);
}

/* An own batch stands or falls alone when it is the batch's own fault; what fails the database fails all. */
static bool run_own(struct store *s, struct store_batch *b, struct error *err) {
    int rc = sqlite3_exec(s->db, "SAVEPOINT own", NULL, NULL, NULL);
    if (rc == SQLITE_OK) {
        rc = batch_run(s, b);
    }
    if (rc != SQLITE_OK) {
        store_sqlite_error(s->db, rc, "be written", err);
        if (!error_is(err, "store/refused")) {
            return false;
        }
        b->failed = true;
        error_move(&b->why, err);
        sqlite3_exec(s->db, "ROLLBACK TO own", NULL, NULL, NULL);
    }
    rc = sqlite3_exec(s->db, "RELEASE own", NULL, NULL, NULL);
    return rc == SQLITE_OK || store_sqlite_error(s->db, rc, "be written", err);
}

static bool transaction(struct store *s, bool probe, struct error *err) {
    if (!run_sql(s->db, "BEGIN IMMEDIATE", "be written", err)) {
        return false;
    }
    int rc = batch_run(s, &s->standing);
    bool ok = rc == SQLITE_OK || store_sqlite_error(s->db, rc, "be written", err);
    LIST_EACH (it, &s->committing) {
        ok = ok && run_own(s, LIST_ITEM(it, struct store_batch, link), err);
    }
    ok = ok &&
         (!probe || run_sql(s->db, "INSERT OR REPLACE INTO meta(key, value) VALUES('probe', 1)", "be written", err));
    ok = ok && run_sql(s->db, "COMMIT", "be written", err);
    if (!ok) {
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return ok;
}

static void finish_own(struct store *s, const struct error *why) {
    for (struct list_link *it; (it = list_pop_front(&s->committing)) != NULL;) {
        struct store_batch *b = LIST_ITEM(it, struct store_batch, link);
        if (why != NULL && !b->failed) {
            b->failed = true;
            copy_error(&b->why, why);
        }
        list_push_back(&s->finished, it);
    }
}

static void batch_free(struct store_batch *b) {
    if (b->drop != NULL) {
        b->drop(b->ctx);
    }
    buf_free(&b->ops);
    error_clear(&b->why);
    mem_free(b);
}

static void tell_finished(struct store *s) {
    for (struct list_link *it; (it = list_pop_front(&s->finished)) != NULL;) {
        struct store_batch *b = LIST_ITEM(it, struct store_batch, link);
        if (b->done != NULL) {
            b->drop = NULL;
            b->done(b->ctx, b->failed ? &b->why : NULL);
        }
        batch_free(b);
    }
}

static void tell_waiters(struct store *s) {
    for (struct list_link *it; (it = list_first(&s->waiters)) != NULL;) {
        struct store_waiter *w = LIST_ITEM(it, struct store_waiter, link);
        if (w->ticket > s->durable) {
            break;
        }
        list_remove(&s->waiters, it);
        w->run(w->ctx);
    }
}

static void committed(struct store *s, uint64_t ticket) {
    if (s->standing.ops.cap > STANDING_KEEP) {
        buf_free(&s->standing.ops);
    } else {
        buf_clear(&s->standing.ops);
    }
    s->durable = ticket;
    s->horizon = s->next_id[STORE_EVENT_ID];
    finish_own(s, NULL);
    set_healthy(s);
}

/* True: wait a little longer before calling a locked database a failure. */
static bool be_patient(struct store *s, const struct error *err) {
    if (!error_is(err, "store/locked") || error_is_set(&s->error)) {
        return false;
    }
    uint64_t now = world_now_us(s->world);
    if (s->locked_since_us == 0) {
        s->locked_since_us = now == 0 ? 1 : now;
    }
    return now - s->locked_since_us < (uint64_t)LOCKED_PATIENCE_MS * 1000;
}

/* A sync holds the loop. Were there one for every few answers of agents, a service at half load would stand still most
 * of the time, and a slow disk would be asked as often as a fast one. */
static void rest(struct store *s, uint64_t begin_us) {
    uint64_t now = world_now_us(s->world), pause = (now - begin_us) * REST_TIMES;
    s->rest_until_us = now + (pause < REST_MAX_US ? pause : REST_MAX_US);
    s->resting = false;
    world_timer_stop(s->world, &s->rest_timer);
}

static void try_commit(struct store *s, bool probe) {
    const uint64_t begin_us = world_now_us(s->world);
    if (s->prepare != NULL) {
        s->prepare(s->prepare_ctx);
    }
    struct error err = ERROR_INIT;
    uint64_t ticket = s->ticket;
    if (transaction(s, probe, &err)) {
        committed(s, ticket);
        rest(s, begin_us);
    } else if (be_patient(s, &err)) {
        world_timer_start(s->world, &s->retry_timer, LOCKED_RETRY_MS, retry, s);
    } else {
        s->locked_since_us = 0;
        finish_own(s, &err);
        set_failed(s, &err);
    }
    error_clear(&err);
    tell_finished(s);
    tell_waiters(s);
}

static void flush(void *ctx) {
    struct store *s = ctx;
    if (error_is_set(&s->error) || s->db == NULL) {
        finish_own(s, &s->error);
        tell_finished(s);
    } else if (pending(s) && s->locked_since_us == 0) {
        try_commit(s, false);
    }
}

/* Damage and I/O errors may lie in what SQLite holds in memory: only a file opened anew is believed. */
static bool must_reopen(const struct store *s) {
    return s->db == NULL || error_is(&s->error, "store/corrupt") || error_is(&s->error, "store/io") ||
           error_is(&s->error, "store/read-only");
}

static void retry(void *ctx) {
    struct store *s = ctx;
    if (!error_is_set(&s->error)) { /* was only locked */
        try_commit(s, false);
        return;
    }
    struct error err = ERROR_INIT;
    if (must_reopen(s)) {
        close_db(s);
        if (!open_db(s, &err)) {
            set_failed(s, &err);
            error_clear(&err);
            return;
        }
    }
    try_commit(s, true);
    if (!error_is_set(&s->error) && !s->opened) {
        announce_open(s);
    }
}

static void flush_now(struct store *s) {
    world_defer(s->world, &s->flush_task, flush, s);
}

static void rested(void *ctx) {
    struct store *s = ctx;
    s->resting = false;
    flush_now(s);
}

void store_want_flush(struct store *s) {
    if (list_linked(&s->flush_task.link) || s->resting) {
        return;
    }
    uint64_t now = world_now_us(s->world);
    if (s->rest_until_us <= now) {
        flush_now(s);
    } else {
        s->resting = true;
        world_timer_start(s->world, &s->rest_timer, (s->rest_until_us - now + 999) / 1000, rested, s);
    }
}

/* ---------------------------------------------------------------------------------------- life */

struct store *store_new(struct world *w, const struct store_opts *opts, struct error *err) {
    struct store *s = mem_zalloc(sizeof *s);
    s->world = w;
    s->opts = *opts;
    s->opts.retry_ms = opts->retry_ms != 0 ? opts->retry_ms : RETRY_MS;
    s->path = str_dup(opts->path);
    s->standing.store = s;
    list_init(&s->committing);
    list_init(&s->finished);
    list_init(&s->waiters);
    for (int i = 0; i < STORE_SEQUENCES; i++) {
        s->next_id[i] = 1;
    }
    struct error why = ERROR_INIT;
    if (open_db(s, &why)) {
        s->horizon = s->next_id[STORE_EVENT_ID];
        world_defer(w, &s->open_task, announce_open, s);
    } else if (error_is(&why, "store/newer-schema")) {
        error_move(err, &why);
        store_abandon(s);
        return NULL;
    } else {
        set_failed(s, &why);
    }
    error_clear(&why);
    return s;
}

void store_abandon(struct store *s) {
    if (s == NULL) {
        return;
    }
    world_timer_stop(s->world, &s->retry_timer);
    world_timer_stop(s->world, &s->rest_timer);
    world_undefer(s->world, &s->flush_task);
    world_undefer(s->world, &s->open_task);
    close_db(s);
    finish_own(s, NULL);
    for (struct list_link *it; (it = list_pop_front(&s->finished)) != NULL;) {
        batch_free(LIST_ITEM(it, struct store_batch, link));
    }
    buf_free(&s->standing.ops);
    error_clear(&s->error);
    mem_free(s->path);
    mem_free(s);
}

void store_finish(struct store *s) {
    if (s == NULL) {
        return;
    }
    if (s->db != NULL && pending(s)) {
        try_commit(s, false);
    }
    struct error closed = ERROR_INIT;
    error_set(&closed, "store/closed", "the database is being closed");
    finish_own(s, error_is_set(&s->error) ? &s->error : &closed);
    error_clear(&closed);
    tell_finished(s);
    store_abandon(s);
}

/* ---------------------------------------------------------------------------------------- batches */

struct store_batch *store_standing(struct store *s) {
    return &s->standing;
}

void store_set_prepare(struct store *s, void (*prepare)(void *ctx), void *ctx) {
    s->prepare = prepare;
    s->prepare_ctx = ctx;
}

struct store_batch *store_batch_new(struct store *s) {
    struct store_batch *b = mem_zalloc(sizeof *b);
    b->store = s;
    return b;
}

void store_commit(struct store *s, struct store_batch *b, void (*done)(void *ctx, const struct error *err), void *ctx) {
    assert(b != &s->standing);
    b->done = done;
    b->ctx = ctx;
    list_push_back(&s->committing, &b->link);
    flush_now(s);
}

void store_discard(struct store *s, struct store_batch *b) {
    assert(b != &s->standing && !list_linked(&b->link));
    batch_free(b);
}

void store_forget(struct store *s, void *ctx) {
    const struct list *lists[] = {&s->committing, &s->finished};
    for (size_t i = 0; i < 2; i++) {
        LIST_EACH (it, lists[i]) {
            struct store_batch *b = LIST_ITEM(it, struct store_batch, link);
            if (b->ctx == ctx) {
                b->done = NULL;
            }
        }
    }
}

void store_after(struct store *s, struct store_waiter *w, void (*run)(void *ctx), void *ctx) {
    assert(!list_linked(&w->link));
    w->run = run;
    w->ctx = ctx;
    w->ticket = ++s->ticket;
    list_push_back(&s->waiters, &w->link);
    store_want_flush(s);
}

void store_unwait(struct store *s, struct store_waiter *w) {
    list_remove(&s->waiters, &w->link);
}

int64_t store_next_id(struct store *s, enum store_sequence which) {
    return s->next_id[which]++;
}

int64_t store_event_horizon(const struct store *s) {
    return s->horizon;
}
