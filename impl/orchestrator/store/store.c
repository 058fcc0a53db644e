/* Opening, health, life, and what is collected for the next transaction. */
#include "base/mem.h"
#include "orchestrator/store/internal.h"

#include <assert.h>
#include <string.h>

enum { RETRY_MS = 1000 };

/* ---------------------------------------------------------------------------------------- opening */

static void close_db(struct store *s) {
    store_backup_cancel(s);
    for (size_t i = 0; i < STORE_WRITES; i++) {
        sqlite3_finalize(s->writes[i]);
        s->writes[i] = NULL;
    }
    store_reads_drop(s);
    if (s->reader != s->db) {
        sqlite3_close_v2(s->reader);
    }
    sqlite3_close_v2(s->db);
    s->db = s->reader = NULL;
}

bool store_run_sql(sqlite3 *db, const char *sql, const char *what, struct error *err) {
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
    return (vfs == NULL || store_run_sql(s->db, "PRAGMA locking_mode=EXCLUSIVE", "be opened", err)) &&
           store_run_sql(
               s->db,
               "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-8000; PRAGMA temp_store=MEMORY;"
               "PRAGMA journal_size_limit=8388608;",
               "be opened", err) &&
           store_schema_prepare(s->db, err) && load_sequences(s, err);
}

static int note_log_pages(void *ctx, sqlite3 *db, const char *name, int pages) {
    (void)db;
    (void)name;
    ((struct store *)ctx)->commit.log_pages = pages;
    return SQLITE_OK;
}

bool store_connect_reader(const struct store *s, const char *what, sqlite3 **db, struct error *err) {
    int rc = sqlite3_open_v2(s->path, db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    return (rc == SQLITE_OK || store_sqlite_error(*db, rc, what, err)) &&
           store_run_sql(*db, "PRAGMA query_only=1; PRAGMA cache_size=-8000; PRAGMA temp_store=MEMORY;", what, err);
}

static bool open_reader(struct store *s, struct error *err) {
    if (world_sqlite_vfs(s->world) != NULL) {
        s->reader = s->db;
        return true;
    }
    sqlite3_wal_hook(s->db, note_log_pages, s); /* takes the place of SQLite's own checkpoints */
    return store_connect_reader(s, "be opened", &s->reader, err);
}

static bool open_db(struct store *s, struct error *err) {
    create_private(s);
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int rc = sqlite3_open_v2(s->path, &s->db, flags, world_sqlite_vfs(s->world));
    bool ok = rc == SQLITE_OK || store_sqlite_error(s->db, rc, "be opened", err);
    ok = ok && configure(s, err) && open_reader(s, err);
    if (!ok) {
        error_prefix(err, "%s", s->path);
        close_db(s);
    }
    return ok;
}

void store_announce_open(void *ctx) {
    struct store *s = ctx;
    s->opened = true;
    if (s->opts.on_open != NULL) {
        s->opts.on_open(s->opts.ctx);
    }
}

/* ---------------------------------------------------------------------------------------- health */

void store_set_failed(struct store *s, struct error *err) {
    if (!error_is_set(&s->error) || !error_is(&s->error, err->kind)) {
        log_error(s->opts.log, "%s", err->msg);
        error_move(&s->error, err);
        if (s->opts.on_health != NULL) {
            s->opts.on_health(s->opts.ctx, &s->error);
        }
    } else {
        error_move(&s->error, err);
    }
    store_retry_in(s, s->opts.retry_ms);
}

void store_set_healthy(struct store *s) {
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

bool store_readable(struct store *s, struct error *err) {
    if (s->db != NULL) {
        return true;
    }
    if (error_is_set(&s->error)) {
        store_copy_error(err, &s->error);
        return false;
    }
    return error_set(err, "store/closed", "the database is not open");
}

bool store_read_failed(struct store *s, int code, const char *what, struct error *err) {
    struct error why = ERROR_INIT;
    store_sqlite_error(s->reader, code, what, &why);
    store_copy_error(err, &why);
    if (!error_is(&why, "store/locked") && !error_is(&why, "store/refused")) {
        store_set_failed(s, &why);
    }
    error_clear(&why);
    return false;
}

/* Damage and I/O errors may lie in what SQLite holds in memory: only a file opened anew is believed. */
static bool must_reopen(const struct store *s) {
    return s->db == NULL || error_is(&s->error, "store/corrupt") || error_is(&s->error, "store/io") ||
           error_is(&s->error, "store/read-only");
}

static void retry(void *ctx) {
    struct store *s = ctx;
    if (s->commit.phase != COMMIT_NONE) { /* a read failed meanwhile */
        store_retry_in(s, s->opts.retry_ms);
        return;
    }
    if (!error_is_set(&s->error)) { /* was only locked */
        store_commit_now(s, false);
        return;
    }
    struct error err = ERROR_INIT;
    if (must_reopen(s)) {
        close_db(s);
        if (!open_db(s, &err)) {
            store_set_failed(s, &err);
            error_clear(&err);
            return;
        }
    }
    store_commit_now(s, true);
}

void store_retry_in(struct store *s, uint64_t ms) {
    world_timer_start(s->world, &s->retry_timer, ms, retry, s);
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
    list_init(&s->commit.own);
    list_init(&s->finished);
    list_init(&s->waiters);
    for (int i = 0; i < STORE_SEQUENCES; i++) {
        s->next_id[i] = 1;
    }
    struct error why = ERROR_INIT;
    if (open_db(s, &why)) {
        s->horizon = s->next_id[STORE_EVENT_ID];
        world_defer(w, &s->open_task, store_announce_open, s);
    } else if (error_is(&why, "store/newer-schema")) {
        error_move(err, &why);
        store_abandon(s);
        return NULL;
    } else {
        store_set_failed(s, &why);
    }
    error_clear(&why);
    return s;
}

void store_abandon(struct store *s) {
    if (s == NULL) {
        return;
    }
    world_timer_stop(s->world, &s->retry_timer);
    world_timer_stop(s->world, &s->due_timer);
    world_undefer(s->world, &s->flush_task);
    world_undefer(s->world, &s->open_task);
    store_commit_drop(s);
    close_db(s);
    error_clear(&s->error);
    mem_free(s->path);
    mem_free(s);
}

void store_finish(struct store *s) {
    if (s == NULL) {
        return;
    }
    store_commit_wait(s);
    struct error closed = ERROR_INIT;
    error_set(&closed, "store/closed", "the database is being closed");
    store_finish_own(s, &s->committing, error_is_set(&s->error) ? &s->error : &closed);
    error_clear(&closed);
    store_tell_finished(s, true);
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
    store_flush_now(s);
}

void store_forget(struct store *s, void *ctx) {
    const struct list *lists[] = {&s->committing, &s->commit.own, &s->finished};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
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
