/* dalang bench jobs: tasks and Puppet runs through a whole stack: how long, what each node costs the orchestrator in
 * processor time, memory and disk, beside what SQLite alone takes to record as much. */
#ifndef DALANG_BENCH_JOBS_H
#define DALANG_BENCH_JOBS_H

#include "simulator/bench/report.h"
#include "simulator/bench/rig.h"

struct bench_jobs {
    struct world *world;
    const char *dir;                 /* for what is started, and for SQLite's floor */
    const char *self, *orchestrator; /* programs */
    size_t nodes;                    /* jobs of 100, 1,000 … up to this many */
    unsigned rounds;                 /* the best of so many jobs of each size */
    unsigned streams;                /* the best of so many steady streams at half load */
    double stream;                   /* nodes per second of one; 0: half of what the stack takes */
    bool no_puppet, no_floor, no_steady;
    /* A running stack instead of our own; url NULL: none. */
    const char *url, *token_file, *ca, *database; /* database may be NULL: disk is not measured */
    int64_t pid;                                  /* of its orchestrator; 0: unknown */
    void (*progress)(void *ctx, const char *what);
    void *progress_ctx;
};
/* Fills the report, one column for each number of nodes. Error kinds: "bench", "world/…". */
bool bench_jobs_run(const struct bench_jobs *b, json_t *report, struct error *err);

/* What SQLite alone needs to record a job with so many nodes as the orchestrator does: a row of each node, changed
 * twice, and two events, in transactions of `group` nodes, each synced. */
struct sqlite_floor {
    double cpu_us, seconds, bytes; /* cpu and bytes per node */
};
bool sqlite_floor_measure(const char *path, size_t nodes, size_t group, struct sqlite_floor *out, struct error *err);
/* Bytes that hold something: pages in use. Error kind "bench". */
bool sqlite_used_bytes(const char *path, uint64_t *out, struct error *err);

#endif
