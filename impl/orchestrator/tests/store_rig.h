/* A store alone in the simulated world, for tests: opened on STORE_RIG_PATH, with what was told of it. */
#ifndef DALANG_ORCHESTRATOR_TESTS_STORE_RIG_H
#define DALANG_ORCHESTRATOR_TESTS_STORE_RIG_H

#include "orchestrator/store/store.h"
#include "simulator/world/sim.h"

#define STORE_RIG_PATH "/var/lib/orchestrator.db"

struct store_rig {
    struct sim *sim;
    struct world *w;
    struct store *store;
    int opens, dones, waits, rows;
    char kind[40]; /* of the last error told */
    bool healthy;
    int64_t total;
    int64_t ids[64];
};

/* cmocka's: *state is a struct store_rig. */
int store_rig_setup(void **state);
int store_rig_teardown(void **state);
/* The same without cmocka, in a world of this seed. */
void store_rig_begin(struct store_rig *f, uint64_t seed);
void store_rig_finish(struct store_rig *f);

void store_rig_open(struct store_rig *f); /* until it is usable */
void store_rig_reopen(struct store_rig *f);
bool store_rig_is_open(void *ctx);

/* For store_opts. */
void store_rig_on_open(void *ctx);
void store_rig_on_health(void *ctx, const struct error *err);

/* For store_commit() and the like: count in dones, with the error's kind; then whether there is one. */
void store_rig_done(void *ctx, const struct error *err);
bool store_rig_is_done(void *ctx);

void commit(struct store_rig *f, struct store_batch *b); /* waits for the end, which may be a failure */
/* A job of two nodes, "web1" and "web2". */
void put_job(struct store_batch *b, int64_t id, const char *owner, int64_t ts_ms);
/* With the next id. */
void commit_job(struct store_rig *f, const char *owner, int64_t ts_ms);
void store_rig_take_job(void *ctx, const struct store_job *job); /* that it is as put_job() made it at 1000 */
bool job_exists(struct store_rig *f, int64_t id);

/* In the standing batch. */
void put_event(struct store_rig *f, int64_t job, int64_t node, enum event_type type, const char *detail);
void settle(struct store_rig *f); /* until all of it is durable */
/* How many events of the job have this id or a greater one; their ids are in ids. limit -1: all. */
int events_from(struct store_rig *f, int64_t job, int64_t start, int64_t limit);

#endif
