/* The smoke scenario: a stack with two agents in a simulated world runs one task, and something fails on the way. */
#ifndef DALANG_TORTURE_STORY_H
#define DALANG_TORTURE_STORY_H

#include "simulator/checks/checks.h"
#include "simulator/stack/simulated.h"

enum story_fault {
    STORY_NOTHING,
    STORY_OPERATION, /* the n-th file operation (or SQLite call that makes one) of the host fails */
    STORY_KILL,      /* from the n-th on all fail, then kill -9 and a new start */
    STORY_POWER,     /* likewise, and the machine loses power: what was not synced is gone */
    STORY_MEMORY,    /* the n-th allocation of the process fails: it ends */
};

struct story_opts {
    enum story_fault fault;
    const char *host; /* "orchestrator", "broker-1" or a certname */
    const char *kind; /* of STORY_OPERATION: "world/io" or "world/full" */
    uint64_t n;
};

struct story {
    struct sim *sim;
    struct simulated *simulated;
    struct checks *checks;
    bool answered, acknowledged, over;
    char *job;           /* its id, when acknowledged */
    char *refused;       /* the kind of error, when not */
    uint64_t operations; /* of opts->host, from the request on until the job was over */
    struct buf trouble;  /* what went wrong; empty: nothing that should not */
};

/* Plays it to its end. Afterwards everything has been freed but the texts: story_free(). */
void story_play(struct story *s, const struct story_opts *opts);
void story_free(struct story *s);

#endif
