/* Old jobs and plan jobs go, with everything that belongs to them; their ids never come back. */
#include "base/mem.h"
#include "orchestrator/store/internal.h"

struct prune {
    void (*done)(void *ctx, const struct error *err, uint32_t deleted);
    void *ctx;
    uint32_t deleted;
    struct error err; /* of collecting */
};

struct doomed {
    int64_t *ids;
    size_t count, cap;
};

static bool collect(struct store *s, const char *sql, int64_t before_ms, uint32_t max, struct doomed *out,
                    struct error *err) {
    sqlite3_stmt *stmt;
    if (!store_select(s, sql, &stmt, err)) {
        return false;
    }
    sqlite3_bind_int64(stmt, 1, before_ms);
    sqlite3_bind_int64(stmt, 2, max);
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        out->ids = mem_grow(out->ids, &out->cap, out->count + 1, sizeof *out->ids);
        out->ids[out->count++] = sqlite3_column_int64(stmt, 0);
    }
    sqlite3_finalize(stmt);
    return rc == SQLITE_DONE || store_read_failed(s, rc, "be pruned", err);
}

static void write_each(struct store_batch *b, const struct doomed *d, const enum store_write *writes, size_t count) {
    for (size_t i = 0; i < d->count; i++) {
        for (size_t w = 0; w < count; w++) {
            batch_begin(b, writes[w]);
            batch_int(b, d->ids[i]);
        }
    }
}

static void drop(void *ctx) {
    struct prune *p = ctx;
    error_clear(&p->err);
    mem_free(p);
}

static void committed(void *ctx, const struct error *err) {
    struct prune *p = ctx;
    if (err == NULL && error_is_set(&p->err)) {
        err = &p->err;
    }
    if (p->done != NULL) {
        p->done(p->ctx, err, err == NULL ? p->deleted : 0);
    }
    drop(p);
}

void store_prune(struct store *s, int64_t ended_before_ms, uint32_t max,
                 void (*done)(void *ctx, const struct error *err, uint32_t deleted), void *ctx) {
    static const enum store_write job_writes[] = {WRITE_PRUNE_EVENTS, WRITE_PRUNE_NODES, WRITE_PRUNE_JOB};
    static const enum store_write plan_writes[] = {WRITE_PRUNE_PLAN_EVENTS, WRITE_PRUNE_PLAN};
    struct doomed jobs = {0}, plans = {0};
    struct prune *p = mem_zalloc(sizeof *p);
    p->done = done;
    p->ctx = ctx;
    struct store_batch *b = store_batch_new(s);
    if (collect(s, "SELECT id FROM jobs WHERE finished > 0 AND finished < ?1 LIMIT ?2", ended_before_ms, max, &jobs,
                &p->err) &&
        collect(s, "SELECT id FROM plans WHERE finished > 0 AND finished < ?1 LIMIT ?2", ended_before_ms, max, &plans,
                &p->err)) {
        for (int i = 0; i < STORE_SEQUENCES; i++) {
            batch_begin(b, WRITE_HIGH_WATER);
            batch_text(b, span_of(store_sequence_tables[i]));
            batch_int(b, s->next_id[i] - 1);
        }
        write_each(b, &jobs, job_writes, 3);
        write_each(b, &plans, plan_writes, 2);
        p->deleted = (uint32_t)(jobs.count > plans.count ? jobs.count : plans.count);
    }
    b->drop = drop;
    store_commit(s, b, committed, p);
    mem_free(jobs.ids);
    mem_free(plans.ids);
}
