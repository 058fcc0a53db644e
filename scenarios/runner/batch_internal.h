/* What the files of a batch share. */
#ifndef DALANG_SCENARIO_BATCH_INTERNAL_H
#define DALANG_SCENARIO_BATCH_INTERNAL_H

#include "scenarios/runner/batch.h"
#include "scenarios/runner/run.h"

/* One run of one scenario. */
struct batch_item {
    const struct scenario *scenario;
    enum scenario_world world;
    uint64_t seed;
    size_t number; /* of its repetitions, from 0 */
};

bool batch_tagged(const struct scenario *s, const struct option_list *tags);
/* worker.c: runs in a process of its own. */
struct worker {
    int64_t pid;
    int fd; /* its result, as JSON, until its end */
    char *dir;
    struct buf text;
    struct batch_item item;
};
bool worker_start(struct worker *w, const struct batch_item *item, const struct batch_run *opts, struct error *err);
/* Reads what is there; false once it has ended and *out holds its result (run_result_free() it). */
bool worker_read(struct worker *w, struct run_result *out);
void worker_kill(struct worker *w);
/* Removes its directory. */
void worker_clear(struct worker *w, bool keep);

/* batch_report.c */
char *batch_repeat_command(const struct batch_item *item);
void batch_print_result(FILE *to, const struct batch_item *item, const struct run_result *r, bool quarantined);
json_t *batch_result_json(const struct batch_item *item, const struct run_result *r);

#endif
