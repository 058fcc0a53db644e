/* Everything the orchestrator remembers, in one SQLite file: jobs, their nodes and events, plan jobs and their events,
 * schedules, task-targets, usage, connection data of agentless nodes (orchestrator-jobs.md §12).
 *
 * Writing. Nothing is written at once. Writes are collected in batches; at the end of the loop turn all of them go into
 * one transaction (WAL, synchronous=FULL: one sync for whatever was collected), which runs on a thread beside the loop;
 * meanwhile the next one is collected. Reads use a connection of their own: a read never sees what is not yet durable,
 * and an event is visible when its transaction has ended and never lost after that.
 *   - The standing batch, store_standing(): what the engine writes about work that is going on. It cannot be refused;
 * when the database fails it is kept and tried again until it works. Syncs are dear, so it does not ask for one in
 * every turn: it waits 4 ms for company, or until store_hasten() says that somebody waits for what stands in it; and
 * after a transaction that took t it rests for t, at most 4 ms. A batch of somebody's own takes it along.
 *   - A batch of one's own, store_batch_new() … store_commit(): commits or fails as a whole, and tells. When the
 * transaction fails it is dropped. What must be acknowledged (a 202) uses one: answer in its done callback.
 *
 * Failing. Full disk, lock, I/O error, corruption: store_error() is set (kinds below), batches of one's own fail with
 * it, reads fail with it, on_health is called. The store tries again every retry_ms, reopening the file if need be, and
 * goes on by itself once it can. Kinds: "store/full", "store/locked", "store/corrupt", "store/read-only",
 * "store/io", "store/closed" (not open yet). The API answers 503 with the message.
 *
 * Times are wall milliseconds. JSON columns are raw text, passed through as they were given. Names are certnames. */
#ifndef DALANG_ORCHESTRATOR_STORE_H
#define DALANG_ORCHESTRATOR_STORE_H

#include "orchestrator/store/rows.h"
#include "world/world.h"

struct store;
struct store_batch;

struct store_opts {
    const char *path;
    uint64_t retry_ms; /* 0: 1 000 */
    const struct logger *log;
    /* The database became usable for the first time; everything below may be called from then on. */
    void (*on_open)(void *ctx);
    /* It failed (err set) or works again (NULL). May be NULL. */
    void (*on_health)(void *ctx, const struct error *err);
    void *ctx;
};

/* Never waits; on_open follows in a later turn. NULL with kind "store/newer-schema" for a file of a newer version;
 * every other trouble is retried. An older schema is upgraded in one transaction. */
struct store *store_new(struct world *w, const struct store_opts *opts, struct error *err);
/* Commits what is collected (once, as far as it works), then frees. done callbacks run with what came of it. */
void store_finish(struct store *s);
void store_abandon(struct store *s);                    /* frees without writing anything: a crash */
const struct error *store_error(const struct store *s); /* NULL: all is well */
/* A copy of the whole database as of now, by SQLite's online backup, page by page between loop turns; `path` must not
 * exist. done(err NULL: complete, synced and renamed into place). */
void store_backup(struct store *s, const char *path, void (*done)(void *ctx, const struct error *err), void *ctx);
enum { STORE_SCHEMA_VERSION = 2 };

/* ------------------------------------------------------------------------------------------ writing */

struct store_batch *store_standing(struct store *s);
/* Called at the start of each transaction's making: writes what is cheaper once a turn than at each change (counts). */
void store_set_prepare(struct store *s, void (*prepare)(void *ctx), void *ctx);
struct store_batch *store_batch_new(struct store *s);
/* done(ctx, NULL) after the group commit, or with the error that undid the batch. Never inside this call.
 * done may be NULL. The batch is gone afterwards. */
void store_commit(struct store *s, struct store_batch *b, void (*done)(void *ctx, const struct error *err), void *ctx);
void store_discard(struct store *s, struct store_batch *b); /* one that was not committed yet */
/* done() of this batch will not be called (its owner has gone); the writes go on. */
void store_forget(struct store *s, void *ctx);
/* Calls back once what stands in the standing batch now is durable (as often as asked, in order). Intrusive. */
struct store_waiter {
    struct list_link link;
    void (*run)(void *ctx);
    void *ctx;
    uint64_t ticket;
};
void store_after(struct store *s, struct store_waiter *w, void (*run)(void *ctx), void *ctx);
void store_unwait(struct store *s, struct store_waiter *w);
/* Somebody waits for what stands in the standing batch by the end of this turn: no waiting for company. */
void store_hasten(struct store *s);

/* Fresh ids: 1, 2, 3 …; never given out again once a commit held them, also after pruning and restarts.
 * Job, plan job, schedule and task-target each have their sequence; job events and plan events share one. */
enum store_sequence {
    STORE_JOB_ID,
    STORE_PLAN_ID,
    STORE_EVENT_ID,
    STORE_SCHEDULE_ID,
    STORE_TARGET_ID,
    STORE_SEQUENCES
};
int64_t store_next_id(struct store *s, enum store_sequence which);
/* The event id that the next committed event will be greater or equal to: "next-events" of answers. */
int64_t store_event_horizon(const struct store *s);

/* Jobs. Rows: see rows.h. The nodes of a job are inserted with it, numbered from 0 in the given order. */
void store_job_insert(struct store_batch *b, const struct store_job *job);
void store_node_insert(struct store_batch *b, int64_t job, uint32_t index, struct span name, enum node_state state,
                       enum node_transport transport, int64_t now_ms);
/* state, status, counts, ts_ms, started_ms, finished_ms of a job; secret is erased when drop_secret. */
void store_job_update(struct store_batch *b, const struct store_job_change *change);
void store_node_update(struct store_batch *b, const struct store_node_change *change);
void store_event_insert(struct store_batch *b, const struct store_event *e);

void store_plan_insert(struct store_batch *b, const struct store_plan *plan);
/* state, result, finished_ms, ts_ms */
void store_plan_update(struct store_batch *b, const struct store_plan *plan);
void store_plan_event_insert(struct store_batch *b, const struct store_plan_event *e);

void store_schedule_insert(struct store_batch *b, const struct store_schedule *sched);
/* Changes of a schedule touch only what they are about: two of them may wait for their transactions at a time.
 * Replacing keeps when and how it last ran, its next time unless start or interval differ, and with keep_secret its
 * secret; a disabled schedule stays as it is. */
void store_schedule_replace(struct store_batch *b, const struct store_schedule *sched, bool keep_secret);
/* A run was due: `sched` says of which series (start_ms, interval_s) and when the next one is, should it still be that
 * series; last_ms and last_error are set, last_job becomes 0. */
void store_schedule_due(struct store_batch *b, const struct store_schedule *sched);
void store_schedule_started(struct store_batch *b, int64_t id, int64_t job, struct span last_error);
void store_schedule_next(struct store_batch *b, int64_t id, int64_t next_ms);
void store_schedule_disable(struct store_batch *b, int64_t id); /* for good; its secret is erased */
void store_target_insert(struct store_batch *b, const struct store_target *t);
/* Adds n to a day's counter (date: days since the epoch). Names: store_usage_page(). */
void store_usage_add(struct store_batch *b, int64_t day, const char *counter, int64_t n);
void store_usage_set(struct store_batch *b, int64_t day, const char *counter, int64_t value);
/* A node without an agent was used on that day: "nodes_without_agent" is how many different ones there were. */
void store_usage_agentless(struct store_batch *b, int64_t day, struct span certname);
/* Of the days before that one only the numbers are kept, not the names. */
void store_usage_fold(struct store_batch *b, int64_t before_day);
void store_connection_put(struct store_batch *b, const struct store_connection *c); /* by certname */
void store_connection_delete(struct store_batch *b, struct span certname);

/* Deletes finished jobs and plan jobs (with nodes and events) that ended before the given time, at most `max` jobs at a
 * time, in its own batch; done says how many were deleted (fewer than max: nothing is left). */
void store_prune(struct store *s, int64_t ended_before_ms, uint32_t max,
                 void (*done)(void *ctx, const struct error *err, uint32_t deleted), void *ctx);

/* ------------------------------------------------------------------------------------------ reading */

/* All return false with err set when the database fails. Rows are given one by one; their spans live during the call. A
 * callback returning false ends the walk (the result is still true). */

/* NULL-row: *found says whether there is one. */
bool store_job(struct store *s, int64_t id, void (*row)(void *ctx, const struct store_job *job), void *ctx, bool *found,
               struct error *err);
bool store_plan(struct store *s, int64_t id, void (*row)(void *ctx, const struct store_plan *plan), void *ctx,
                bool *found, struct error *err);
bool store_schedule(struct store *s, int64_t id, void (*row)(void *ctx, const struct store_schedule *sched), void *ctx,
                    bool *found, struct error *err);
bool store_target(struct store *s, int64_t id, void (*row)(void *ctx, const struct store_target *t), void *ctx,
                  bool *found, struct error *err);

/* Pages. limit < 0: all. `order_by` is one of the names the API documents for that list (orchestrator-api.md), NULL its
 * default; other names are the caller's mistake (assert): check them with store_order_valid(). *total counts all
 * matches (may be NULL). */
enum store_list { STORE_JOBS, STORE_NODES, STORE_PLANS, STORE_SCHEDULES };
bool store_order_valid(enum store_list list, const char *order_by);

struct store_page {
    int64_t limit, offset;
    const char *order_by;
    bool descending;
};
struct store_jobs_filter {
    const char *type;          /* "deploy", "task", "plan_task" …; NULL: any */
    struct span task_contains; /* part of the task's name; empty: any */
    int64_t min_finish_ms;     /* 0: any; jobs that finished at or after */
    int64_t max_finish_ms;     /* 0: any */
    int64_t plan;              /* jobs of this plan job; 0: any */
};
/* Order: "owner", "timestamp" (default), "environment", "name", "state". */
bool store_jobs_page(struct store *s, const struct store_page *page, const struct store_jobs_filter *filter,
                     bool (*row)(void *ctx, const struct store_job *job), void *ctx, int64_t *total, struct error *err);
/* Nodes of a job, each with its last event. Order: "name" (default), "duration", "state", "start_timestamp",
 * "finish_timestamp". state: a node state's name, or NULL. */
bool store_nodes_page(struct store *s, int64_t job, const struct store_page *page, const char *state, int64_t now_ms,
                      bool (*row)(void *ctx, const struct store_node *node), void *ctx, int64_t *total,
                      struct error *err);
/* Events of a job from id `start` on, in order of ids, at most `limit` (< 0: all). */
bool store_events(struct store *s, int64_t job, int64_t start, int64_t limit,
                  bool (*row)(void *ctx, const struct store_event *e), void *ctx, struct error *err);
/* Events of a job that concern one node each, ordered by node, then id (for the job's report). */
bool store_events_by_node(struct store *s, int64_t job, bool (*row)(void *ctx, const struct store_event *e), void *ctx,
                          struct error *err);

struct store_plans_filter {
    bool results; /* false: leave the results out */
    int64_t min_finish_ms, max_finish_ms;
};
/* Order: "owner", "timestamp", "environment", "name" (default), "state". */
bool store_plans_page(struct store *s, const struct store_page *page, const struct store_plans_filter *filter,
                      bool (*row)(void *ctx, const struct store_plan *plan), void *ctx, int64_t *total,
                      struct error *err);
bool store_plan_events(struct store *s, int64_t plan, int64_t start, int64_t limit,
                       bool (*row)(void *ctx, const struct store_plan_event *e), void *ctx, struct error *err);
/* One event by its id, whatever plan it belongs to (row->plan tells). */
bool store_plan_event(struct store *s, int64_t id, void (*row)(void *ctx, const struct store_plan_event *e), void *ctx,
                      bool *found, struct error *err);

/* Enabled schedules. Order: "next_run_time" (default; also "next_run"), "scheduled_time", "environment", "owner",
 * "name", "type". type NULL: any. */
bool store_schedules_page(struct store *s, const struct store_page *page, const char *type,
                          bool (*row)(void *ctx, const struct store_schedule *sched), void *ctx, int64_t *total,
                          struct error *err);
bool store_targets(struct store *s, bool (*row)(void *ctx, const struct store_target *t), void *ctx, struct error *err);
/* Counters of the days first…last, newest first; day -1 for an open end. One call per day and counter. */
bool store_usage_page(struct store *s, int64_t first_day, int64_t last_day,
                      bool (*row)(void *ctx, int64_t day, const char *counter, int64_t value), void *ctx,
                      struct error *err);
bool store_connections(struct store *s, const struct span *certnames, size_t count /* 0: all */,
                       bool (*row)(void *ctx, const struct store_connection *c), void *ctx, struct error *err);

/* For the engine's start: jobs (whole rows) that are in no terminal state, by id. */
bool store_unfinished_jobs(struct store *s, bool (*row)(void *ctx, const struct store_job *job), void *ctx,
                           struct error *err);
bool store_unfinished_plans(struct store *s, bool (*row)(void *ctx, const struct store_plan *plan), void *ctx,
                            struct error *err);
bool store_all_schedules(struct store *s, bool (*row)(void *ctx, const struct store_schedule *sched), void *ctx,
                         struct error *err);

#endif
