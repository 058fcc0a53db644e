/* Private to store/: the schema, prepared statements, batches. */
#ifndef DALANG_ORCHESTRATOR_STORE_INTERNAL_H
#define DALANG_ORCHESTRATOR_STORE_INTERNAL_H

#include "base/map.h"
#include "orchestrator/store/store.h"
#include <sqlite3.h>

enum { STORE_READS_MAX = 32 };

enum store_write {
    WRITE_JOB,
    WRITE_JOB_CHANGE,
    WRITE_JOB_DROP_SECRET,
    WRITE_NODE,
    WRITE_NODE_CHANGE,
    WRITE_EVENT,
    WRITE_PLAN,
    WRITE_PLAN_CHANGE,
    WRITE_PLAN_EVENT,
    WRITE_SCHEDULE,
    WRITE_SCHEDULE_REPLACE,
    WRITE_SCHEDULE_DUE,
    WRITE_SCHEDULE_STARTED,
    WRITE_SCHEDULE_NEXT,
    WRITE_SCHEDULE_DISABLE,
    WRITE_TARGET,
    WRITE_USAGE_ADD,
    WRITE_USAGE_SET,
    WRITE_AGENTLESS,
    WRITE_AGENTLESS_FOLD,
    WRITE_AGENTLESS_FORGET,
    WRITE_CONNECTION,
    WRITE_CONNECTION_DELETE,
    WRITE_HIGH_WATER,
    WRITE_PRUNE_EVENTS,
    WRITE_PRUNE_NODES,
    WRITE_PRUNE_JOB,
    WRITE_PRUNE_PLAN_EVENTS,
    WRITE_PRUNE_PLAN,
    STORE_WRITES
};

struct store_statement {
    const char *sql;
    int params;
};
extern const struct store_statement store_writes[STORE_WRITES];
/* Where each sequence's largest id stands. */
extern const char *const store_sequence_tables[STORE_SEQUENCES];

/* Writes waiting for the next transaction: operations as bytes, one after the other — the statement's number, then each
 * parameter as a tag and its value. */
struct store_batch {
    struct list_link link; /* in store->committing once committed */
    struct store *store;
    struct buf ops;
    void (*done)(void *ctx, const struct error *err);
    void *ctx;
    void (*drop)(void *ctx); /* releases ctx when done will not be called; may be NULL */
    bool failed;             /* in the transaction under way, or after it */
    struct error why;
};

enum store_commit_phase { COMMIT_NONE, COMMIT_TRANSACTION, COMMIT_CHECKPOINT };

/* The transaction under way. It runs on a thread of the world: until it has ended the loop touches neither this nor the
 * writing connection and its statements. */
struct store_commit {
    enum store_commit_phase phase; /* the loop's */
    bool probe;                    /* does the database work again? */
    struct store_batch standing;   /* what the standing batch held */
    struct list own;               /* struct store_batch */
    uint64_t ticket;
    int64_t horizon; /* once it is durable */
    uint64_t begin_us;
    bool ok;
    struct error err;
    const char *refused; /* SQL of a standing row that the database would not have */
    int log_pages;       /* in the write-ahead log after it; 0 in the simulated world, where SQLite looks after that */
};

/* Two connections: one for the transactions, one for what the loop reads meanwhile, which sees what is durable only.
 * The simulated world's file system allows one, and needs no other: there a transaction runs inline. */
struct store {
    struct world *world;
    struct store_opts opts;
    char *path;
    sqlite3 *db; /* writes; NULL: not open */
    sqlite3 *reader;
    sqlite3_stmt *writes[STORE_WRITES];
    struct store_commit commit;
    struct map reads; /* SQL → sqlite3_stmt that nobody is using, kept prepared: up to STORE_READS_MAX */
    bool opened;      /* on_open was called */
    struct error error;
    uint64_t locked_since_us; /* 0: not locked */
    struct store_batch standing;
    struct list committing;   /* struct store_batch */
    struct list finished;     /* struct store_batch: committed or failed, done not yet called */
    struct list waiters;      /* struct store_waiter */
    uint64_t ticket, durable; /* store_after(): tickets given out, those that are durable */
    struct world_task flush_task, open_task;
    void (*prepare)(void *ctx);
    void *prepare_ctx;
    struct timer retry_timer;
    uint64_t wanted_us;     /* from when on what came since the last transaction is to be written; 0: nothing came */
    uint64_t rest_until_us; /* not before */
    struct timer due_timer; /* when it is to be, and no transaction is under way */
    int64_t next_id[STORE_SEQUENCES];
    int64_t horizon;
    struct store_backup *backup;
};

/* schema.c */
bool store_schema_prepare(sqlite3 *db,
                          struct error *err); /* creates or upgrades; kind "store/newer-schema" or of SQLite */

/* batch.c: builds and runs operations */
void batch_begin(struct store_batch *b, enum store_write statement);
void batch_int(struct store_batch *b, int64_t value);
void batch_text(struct store_batch *b, struct span text); /* empty: NULL when ptr is NULL, else '' */
void batch_blob(struct store_batch *b, struct span bytes);
void batch_null(struct store_batch *b);
/* Runs every operation of b; the SQLite result code. */
int batch_run(struct store *s, struct store_batch *b);

/* commit.c */
void store_commit_now(struct store *s, bool probe); /* begins one; none is under way */
void store_commit_wait(struct store *s);            /* for the one under way, then for one with what is left */
void store_commit_drop(struct store *s);            /* nobody is told anything any more */
bool store_pending(const struct store *s);
void store_flush_now(struct store *s);
void store_want_flush(struct store *s); /* nobody waits for it: after a while */
void store_finish_own(struct store *s, struct list *own, const struct error *why); /* NULL: as each went */
void store_tell_finished(struct store *s, bool tell);

/* store.c */
void store_set_failed(struct store *s, struct error *err); /* takes it */
void store_set_healthy(struct store *s);
void store_retry_in(struct store *s, uint64_t ms);
void store_announce_open(void *ctx);
/* A connection that reads beside the writing one; not in the simulated world. *db is closed by the caller, also after
 * a failure. */
bool store_connect_reader(const struct store *s, const char *what, sqlite3 **db, struct error *err);
#define STORE_PIN "BEGIN; SELECT 1 FROM meta LIMIT 1" /* from here on a connection reads one moment */
bool store_run_sql(sqlite3 *db, const char *sql, const char *what, struct error *err);

/* error.c */
void store_copy_error(struct error *to, const struct error *from);
bool store_sqlite_error(sqlite3 *db, int code, const char *what, struct error *err);
/* A read failed: remembers damage so that the file is opened anew. */
bool store_read_failed(struct store *s, int code, const char *what, struct error *err);

/* For the readers. */
bool store_readable(struct store *s, struct error *err);
bool store_select(struct store *s, const char *sql, sqlite3_stmt **stmt, struct error *err);
void store_reads_drop(struct store *s); /* before the database is closed */
struct span column_span(sqlite3_stmt *stmt, int column);

void store_backup_cancel(struct store *s);

#endif
