/* dalang bench storage: the API's lists when very many jobs are stored. */
#ifndef DALANG_BENCH_STORAGE_H
#define DALANG_BENCH_STORAGE_H

#include "simulator/bench/report.h"
#include "simulator/bench/rig.h"

struct bench_storage {
    struct world *world;
    const char *dir;
    const char *self, *orchestrator; /* programs */
    size_t jobs, nodes;              /* to store: so many jobs of so many nodes each */
    size_t requests;                 /* of each list */
    void (*progress)(void *ctx, const char *what);
    void *progress_ctx;
};
bool bench_storage_run(const struct bench_storage *b, json_t *report, struct error *err);

#endif
