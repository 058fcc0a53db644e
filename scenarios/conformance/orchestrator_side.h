/* The orchestrator under test: requests and what must come back, in rows that read as a story. */
#ifndef DALANG_CONFORMANCE_ORCHESTRATOR_SIDE_H
#define DALANG_CONFORMANCE_ORCHESTRATOR_SIDE_H

#include "scenarios/conformance/stage.h"

/* Who asks: NULL is a user who may do everything; otherwise one of these. */
#define NOBODY "nobody"   /* no token */
#define DENIED "denied"   /* a user without permissions (--denied-token) */
#define EXPIRED "expired" /* an expired token (--expired-token) */
#define GARBAGE "garbage" /* a token that is none */
#define IN_QUERY "query"  /* the good token as a query parameter */

enum row_flags {
    UNTIL = 1, /* ask again until it matches */
    PLAIN = 2, /* no Content-Type */
    PLANS = 4, /* a server that says it cannot run plans at all skips the case */
};

struct row {
    const char *as, *method, *path; /* path below /orchestrator/v1, or from the root when it begins with "//" */
    const char *body;               /* template or, beginning with '!', a text; NULL: none */
    int status;
    const char *want;    /* template; a text beginning with '!' (a glob); NULL: any */
    const char *details; /* of an error, exact, in the strict profile; NULL: any */
    int flags;
};
/* Variables: ${node} a connected node, ${task} a task without required parameters, ${env} its environment, ${plan} a
 * plan (or not set), ${base} the URL of /orchestrator/v1. */
struct orchestrator_side {
    char *host;
    uint16_t port;
    char *token, *denied, *expired;
    bool looked; /* node, task and plan have been found out */
};

void plays_rows(struct stage *s);                    /* run of a case whose data is a list of rows */
void plays(struct stage *s, const struct row *rows); /* ends with a row without method */
void needs_denied(struct stage *s);

extern const struct conform_case orchestrator_error_cases[], orchestrator_endpoint_cases[], orchestrator_job_cases[];

#endif
