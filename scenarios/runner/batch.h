/* Many scenarios, in worlds and with seeds: `dalang scenario run|check|list`. Each runs in a process of its own, some
 * at a time; what happens to one is no other's business. */
#ifndef DALANG_SCENARIO_BATCH_H
#define DALANG_SCENARIO_BATCH_H

#include "base/option.h"
#include "scenarios/runner/scenario.h"
#include <stdio.h>

/* Files and directories (their *.yaml and *.yml, also further below, by name). */
struct batch {
    struct scenario_file **files;
    size_t count, cap;
    struct problems *problems; /* one for each file that was wrong */
    size_t problem_count, problem_cap;
};
/* Reads everything; err (kind "scenario") only when a path does not exist or holds no file at all. */
bool batch_load(struct batch *b, const struct option_list *paths, struct error *err);
void batch_free(struct batch *b);
size_t batch_scenarios(const struct batch *b);
/* Every problem, a line each. */
void batch_print_problems(const struct batch *b, FILE *to);
/* A table; those of one world with their reasons at the end. */
void batch_list(const struct batch *b, const struct option_list *tags, FILE *to);
json_t *batch_list_json(const struct batch *b, const struct option_list *tags);

struct batch_run {
    unsigned worlds; /* of enum scenario_world */
    uint64_t first_seed, last_seed;
    uint64_t repeat;           /* each so often; 0: once */
    bool until_fail;           /* on with the next seed until one fails */
    uint64_t jobs;             /* at a time; 0: one */
    struct option_list tags;   /* one of them; "!tag": not with it. None: all */
    const char *only;          /* part of the name, or NULL */
    const char *junit, *trace; /* files, or NULL */
    bool tap, json, verbose, keep;
    const char *default_modules;
    FILE *out;
};
/* How it ended: nothing failed; something did; it could not be carried out (err). */
enum batch_end { BATCH_GOOD, BATCH_FAILED, BATCH_TROUBLE };
enum batch_end batch_play(const struct batch *b, const struct batch_run *opts, struct error *err);

#endif
