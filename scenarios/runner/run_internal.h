/* What the files of a run share. */
#ifndef DALANG_SCENARIO_RUN_INTERNAL_H
#define DALANG_SCENARIO_RUN_INTERNAL_H

#include "scenarios/runner/run.h"

enum { FRAMES_MAX = 64 };

/* A list of steps under way, and the repetitions of its current step. */
struct frame {
    const struct step *steps;
    size_t count, index;
    uint64_t times, n; /* n 0: the step has not begun */
    uint64_t every_us;
    const char *loop_as;
};

struct look_state {
    char *url, *user, *expected;
    struct buf seen;
    uint64_t interval_us;
    bool (*holds)(struct run *r, const struct answer *a, struct buf *seen, json_t **result);
};

struct run {
    const struct run_opts *opts;
    const struct scenario *scenario;
    struct scenario_stack stack; /* the scenario's, with the default modules' files */
    struct stage *stage;
    struct journal *journal;
    struct run_result *result;
    json_t *vars;
    struct frame frames[FRAMES_MAX];
    size_t depth;
    const struct step *step; /* under way; NULL between steps */
    json_t *args;
    uint64_t began_us, deadline_us; /* of the scenario; of the step (0: none said) */
    struct timer next, limit, ready, reply;
    void (*later)(struct run *r);
    void *state;
    void (*release)(struct run *r, void *state);
    void (*blocking)(struct run *r);
    /* the request under way */
    struct world_fetch *fetch;
    struct answer answer;
    struct buf answer_text;
    char *answer_error;
    void (*answered)(struct run *r, const struct answer *a);
    struct look_state look;
    struct list clients; /* pcp.c: raw clients of this run */
    bool over;
};

/* steps.c of the run */
void run_begin(struct run *r);
void run_fail(struct run *r, const char *what, const char *expected, const char *seen);
/* ask.c */
void run_request_cancel(struct run *r);
void run_look_clear(struct run *r);
/* steps/pcp.c: drops every raw client */
void run_clients_end(struct run *r);

#endif
