/* The transaction: what was collected goes into it, it runs beside the loop, and its outcome is told on the loop. */
#include "base/mem.h"
#include "orchestrator/store/internal.h"

#include <assert.h>

enum {
    LOCKED_RETRY_MS = 20,      /* another program has the database: try again soon … */
    LOCKED_PATIENCE_MS = 1000, /* … and only then call it a failure */
    OPS_KEEP = 1 << 20,        /* a larger buffer is given back after the commit */
    GATHER_US = 4000,          /* so long the standing batch waits for company */
    REST_MAX_US = 4000,        /* after a transaction it rests as long as that took, at most this long */
    CHECKPOINT_PAGES = 1000,   /* of the log */
    VIRTUAL_COST_US = 300,     /* of a transaction in simulated time */
};

static void flush(void *ctx);
static void schedule(struct store *s);

/* ---------------------------------------------------------------------------------------- what is read meanwhile */

/* While a transaction is under way the reader stays with what was there before: answers are of one moment, and nothing
 * is seen whose end was not told yet. */
static void pin(const struct store *s) {
    if (s->reader != s->db) {
        sqlite3_exec(s->reader, STORE_PIN, NULL, NULL, NULL);
    }
}

static void unpin(const struct store *s) {
    if (s->reader != s->db && !sqlite3_get_autocommit(s->reader)) {
        sqlite3_exec(s->reader, "COMMIT", NULL, NULL, NULL);
    }
}

/* ---------------------------------------------------------------------------------------- beside the loop */

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

static bool transaction(struct store *s, struct store_commit *c) {
    if (!store_run_sql(s->db, "BEGIN IMMEDIATE", "be written", &c->err)) {
        return false;
    }
    int rc = batch_run(s, &c->standing);
    bool ok = rc == SQLITE_OK || store_sqlite_error(s->db, rc, "be written", &c->err);
    LIST_EACH (it, &c->own) {
        ok = ok && run_own(s, LIST_ITEM(it, struct store_batch, link), &c->err);
    }
    ok = ok && (!c->probe || store_run_sql(s->db, "INSERT OR REPLACE INTO meta(key, value) VALUES('probe', 1)",
                                           "be written", &c->err));
    ok = ok && store_run_sql(s->db, "COMMIT", "be written", &c->err);
    if (!ok) {
        sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
    }
    return ok;
}

static void run(void *arg) {
    struct store *s = arg;
    s->commit.ok = transaction(s, &s->commit);
}

/* What lies in the log goes into the database; with nobody reading from the log the next transaction begins it anew. */
static void run_checkpoint(void *arg) {
    struct store *s = arg;
    sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

/* ---------------------------------------------------------------------------------------- the outcome */

static void batch_free(struct store_batch *b) {
    if (b->drop != NULL) {
        b->drop(b->ctx);
    }
    buf_free(&b->ops);
    error_clear(&b->why);
    mem_free(b);
}

void store_discard(struct store *s, struct store_batch *b) {
    assert(b != &s->standing && !list_linked(&b->link));
    batch_free(b);
}

void store_finish_own(struct store *s, struct list *own, const struct error *why) {
    for (struct list_link *it; (it = list_pop_front(own)) != NULL;) {
        struct store_batch *b = LIST_ITEM(it, struct store_batch, link);
        if (why != NULL && !b->failed) {
            b->failed = true;
            store_copy_error(&b->why, why);
        }
        list_push_back(&s->finished, it);
    }
}

void store_tell_finished(struct store *s, bool tell) {
    for (struct list_link *it; (it = list_pop_front(&s->finished)) != NULL;) {
        struct store_batch *b = LIST_ITEM(it, struct store_batch, link);
        if (tell && b->done != NULL) {
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

static void give_back(struct buf *ops) {
    if (ops->cap > OPS_KEEP) {
        buf_free(ops);
    } else {
        buf_clear(ops);
    }
}

/* In front of what was collected meanwhile. */
static void put_back_standing(struct store *s) {
    struct buf *old = &s->commit.standing.ops, newer = s->standing.ops;
    buf_append_span(old, buf_span(&newer));
    s->standing.ops = *old;
    *old = newer;
    give_back(old);
}

static void put_back_own(struct store *s) {
    list_move_all(&s->commit.own, &s->committing);
    list_move_all(&s->committing, &s->commit.own);
}

static void rest(struct store *s) {
    const uint64_t now = world_now_us(s->world), pause = now - s->commit.begin_us;
    s->rest_until_us = now + (pause < REST_MAX_US ? pause : REST_MAX_US);
}

static void committed(struct store *s) {
    const struct store_commit *c = &s->commit;
    give_back(&s->commit.standing.ops);
    s->durable = c->ticket;
    s->horizon = c->horizon;
    store_finish_own(s, &s->commit.own, NULL);
    if (c->probe || !error_is_set(&s->error)) {
        store_set_healthy(s);
    }
    rest(s);
}

/* True: wait a little longer before calling a locked database a failure. */
static bool be_patient(struct store *s) {
    if (!error_is(&s->commit.err, "store/locked") || error_is_set(&s->error)) {
        return false;
    }
    uint64_t now = world_now_us(s->world);
    if (s->locked_since_us == 0) {
        s->locked_since_us = now == 0 ? 1 : now;
    }
    return now - s->locked_since_us < (uint64_t)LOCKED_PATIENCE_MS * 1000;
}

static void outcome(struct store *s) {
    struct store_commit *c = &s->commit;
    c->phase = COMMIT_NONE;
    unpin(s);
    if (c->refused != NULL) {
        /* Only a file put back from a backup under a running service can hold rows that are in the way. */
        log_error(s->opts.log, "the database refuses a row: %s", c->refused);
    }
    if (c->ok) {
        committed(s);
    } else if (be_patient(s)) {
        put_back_standing(s);
        put_back_own(s);
        store_retry_in(s, LOCKED_RETRY_MS);
    } else {
        s->locked_since_us = 0;
        put_back_standing(s);
        store_finish_own(s, &c->own, &c->err);
        store_set_failed(s, &c->err);
    }
    error_clear(&c->err);
}

static void tell(struct store *s) {
    bool works_at_last = s->commit.ok && s->commit.probe && !s->opened;
    store_tell_finished(s, true);
    tell_waiters(s);
    if (works_at_last) {
        store_announce_open(s);
    }
}

static void look_for_more(struct store *s) {
    if (!list_empty(&s->committing)) {
        store_flush_now(s);
    } else if (store_pending(s)) {
        schedule(s);
    }
}

static void checkpoint_done(void *arg) {
    struct store *s = arg;
    s->commit.phase = COMMIT_NONE;
    look_for_more(s);
}

static void done(void *arg) {
    struct store *s = arg;
    outcome(s);
    tell(s);
    if (s->commit.phase != COMMIT_NONE) {
        return;
    }
    if (s->commit.ok && s->commit.log_pages >= CHECKPOINT_PAGES) {
        s->commit.phase = COMMIT_CHECKPOINT;
        s->commit.log_pages = 0;
        world_work(s->world, run_checkpoint, checkpoint_done, s, VIRTUAL_COST_US);
    } else {
        look_for_more(s);
    }
}

/* ---------------------------------------------------------------------------------------- when */

bool store_pending(const struct store *s) {
    return s->standing.ops.len != 0 || !list_empty(&s->committing) || !list_empty(&s->waiters);
}

static void collect(struct store *s, bool probe) {
    struct store_commit *c = &s->commit;
    assert(c->phase == COMMIT_NONE);
    c->phase = COMMIT_TRANSACTION;
    c->probe = probe;
    c->ok = false;
    c->refused = NULL;
    c->begin_us = world_now_us(s->world);
    if (s->prepare != NULL) {
        s->prepare(s->prepare_ctx);
    }
    s->wanted_us = 0;
    world_timer_stop(s->world, &s->due_timer);
    struct buf spare = c->standing.ops;
    c->standing.ops = s->standing.ops;
    s->standing.ops = spare;
    list_move_all(&c->own, &s->committing);
    c->ticket = s->ticket;
    c->horizon = s->next_id[STORE_EVENT_ID];
    pin(s);
}

void store_commit_now(struct store *s, bool probe) {
    collect(s, probe);
    world_work(s->world, run, done, s, VIRTUAL_COST_US);
}

static void join(struct store *s, bool tell_outcome) {
    enum store_commit_phase phase = s->commit.phase;
    if (phase != COMMIT_NONE) {
        world_work_join(s->world, s);
        s->commit.phase = COMMIT_NONE;
    }
    if (phase == COMMIT_TRANSACTION && tell_outcome) {
        outcome(s);
    }
}

void store_commit_wait(struct store *s) {
    join(s, true);
    if (s->db != NULL && store_pending(s)) {
        collect(s, false);
        run(s);
        outcome(s);
        tell(s);
    }
}

void store_commit_drop(struct store *s) {
    join(s, false);
    store_finish_own(s, &s->commit.own, NULL);
    store_finish_own(s, &s->committing, NULL);
    store_tell_finished(s, false);
    buf_free(&s->commit.standing.ops);
    buf_free(&s->standing.ops);
    error_clear(&s->commit.err);
}

static void flush(void *ctx) {
    struct store *s = ctx;
    if (s->commit.phase != COMMIT_NONE) {
        return; /* its end looks for more */
    }
    if (error_is_set(&s->error) || s->db == NULL) {
        store_finish_own(s, &s->committing, &s->error);
        store_tell_finished(s, true);
    } else if (!store_pending(s)) {
        s->wanted_us = 0; /* somebody hastened what was not written after all */
    } else if (s->locked_since_us == 0) {
        store_commit_now(s, false);
    }
}

void store_flush_now(struct store *s) {
    world_defer(s->world, &s->flush_task, flush, s);
}

static void due(void *ctx) {
    store_flush_now(ctx);
}

/* A transaction costs the machine a sync. Were there one for every few answers of agents, a service at half load would
 * do little else; and without a rest a slow disk would have no time for anybody else. */
static void schedule(struct store *s) {
    if (s->commit.phase != COMMIT_NONE || list_linked(&s->flush_task.link)) {
        return; /* its end looks for more; it comes in this turn */
    }
    const uint64_t now = world_now_us(s->world);
    const uint64_t due_us = s->wanted_us > s->rest_until_us ? s->wanted_us : s->rest_until_us;
    if (due_us <= now) {
        store_flush_now(s);
    } else {
        world_timer_start(s->world, &s->due_timer, (due_us - now + 999) / 1000, due, s);
    }
}

void store_want_flush(struct store *s) {
    if (s->wanted_us == 0) {
        s->wanted_us = world_now_us(s->world) + GATHER_US;
        schedule(s);
    }
}

void store_hasten(struct store *s) {
    const uint64_t now = world_now_us(s->world);
    if (s->wanted_us == 0 || s->wanted_us > now) {
        s->wanted_us = now;
        schedule(s);
    }
}
