/* The kinds of steps: what each may say (for the check) and what it does (for the run). One file a family. */
#ifndef DALANG_SCENARIO_STEPS_H
#define DALANG_SCENARIO_STEPS_H

#include "scenarios/runner/scenario.h"
#include "scenarios/runner/shape.h"

struct run;

struct step_kind {
    const char *name;
    const char *summary;
    const struct shape *shape; /* of its value */
    /* Begins the step: args have their variables put in. Ends, now or later, with run_step_done() or
     * run_step_failed(). */
    void (*begin)(struct run *r, const json_t *args);
};
/* Keys that every step may carry, beside its own key or within its map: for the tables of the kinds. */
extern const struct shape shape_repeat;
#define STEP_KEYS                                                                                                      \
    {"as", &shape_text, false}, {"after", &shape_duration, false}, {"within", &shape_duration, false},                 \
        {"repeat", &shape_repeat, false}, {                                                                            \
        "when", &shape_text, false                                                                                     \
    }

enum { STEP_KINDS_MAX = 40 };
const struct step_kind *step_kind_at(size_t i); /* NULL past the end */
const struct step_kind *step_kind_find(const char *name);

/* The families' tables end with a NULL name. */
extern const struct step_kind job_steps[], expect_steps[], api_steps[], cli_steps[], pcp_steps[], fault_steps[],
    checkpoint_steps[], file_steps[], flow_steps[];

#endif
