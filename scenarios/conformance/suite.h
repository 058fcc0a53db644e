/* Conformance suites: what a broker, an agent, an orchestrator must do, case by case (harness.md §5).
 * The other side is only ever an address and certificates, or a command that starts it; nothing of ours is needed
 * there. */
#ifndef DALANG_CONFORMANCE_SUITE_H
#define DALANG_CONFORMANCE_SUITE_H

#include "base/error.h"
#include "base/json.h"
#include <stdio.h>

enum conform_profile {
    CONFORM_REFERENCE, /* what the reference programs or ours answer */
    CONFORM_STRICT,    /* exactly ours */
};

struct conform_opts {
    enum conform_profile profile;
    const char *target;  /* wss://HOST:PORT (broker), https://HOST:PORT (orchestrator); or NULL */
    const char *v1, *v2; /* route paths of the broker, "/pcp" and "/pcp2"; "" when it has none */
    const char *ca;      /* PEM file */
    const char *ca_key;  /* its key, to mint certificates with; or NULL */
    const char *certs;   /* directory with NAME.pem and NAME.key; or NULL */
    /* Starts the other side; {config}, {dir}, {port} and others are replaced. NULL-terminated, or NULL. Without ca and
     * ca_key a CA is made for the run. */
    const char *const *command;
    uint64_t listen;           /* agent: port for its broker connection; 0: a free one */
    uint64_t files;            /* agent: port of the server that its files come from; 0: a free one */
    const char *modules;       /* agent: directory with its external modules, or NULL */
    const char *token;         /* orchestrator: file */
    const char *expired_token; /* orchestrator: file with a token that has expired, or NULL */
    const char *denied_token;  /* orchestrator: file with the token of a user without permissions, or NULL */
    const char *node, *task, *environment; /* orchestrator: what jobs are made of; NULL: found out */
    const char *only;                      /* regular expression on case ids, or NULL */
    uint64_t patience_ms;                  /* 0: 10 000 */
    const char *junit;                     /* file, or NULL */
    bool tap;                              /* instead of the readable lines */
    bool json;                             /* likewise: one object at the end */
    bool verbose;                          /* transcripts of failed cases are long; of all, with this */
    bool fail_fast;                        /* stop at the first case that fails */
    FILE *out;
};

struct stage;
struct link;
struct conform_case;
struct conform_suite {
    const char *name; /* "broker" */
    const struct conform_case *const *tables;
    size_t table_count;
    bool version_is_fixture; /* the other side speaks one version of PCP at a time: its cases are run together */
    /* Prepares everything: certificates, address. Error kinds "usage", "conform/…", "certs/…", "world/…". */
    bool (*begin)(struct stage *s, struct error *err);
    /* Puts the other side into a case's fixture (NULL: any will do); false: *why says why it cannot be had. */
    bool (*fixture)(struct stage *s, const char *fixture, char **why);
    void (*end)(struct stage *s);
    /* Why the other side, as it happens to be configured, will not take this message from this link: the case is
     * skipped with it. NULL: it will, or that is what the case is about. The function itself may be NULL. */
    const char *(*forbids)(struct stage *s, struct link *l, const json_t *message);
};
extern const struct conform_suite conform_broker, conform_agent, conform_orchestrator;
extern const struct conform_suite *const conform_suites[]; /* ends with NULL */

struct conform_counts {
    size_t passed, failed, skipped;
};
/* Runs a suite's cases. False: it could not be begun, or its results not be written; err is set. */
bool conform_run(const struct conform_suite *suite, const struct conform_opts *opts, struct conform_counts *counts,
                 struct error *err);
/* Lists ids, statements and sources. False: `only` is no regular expression. */
bool conform_list(const struct conform_suite *suite, const struct conform_opts *opts, struct error *err);

/* Each case once, with its whole id. */
struct conform_seen {
    const char *id, *statement, *source, *covers;
    bool strict;
};
void conform_each(const struct conform_suite *suite, void (*each)(void *ctx, const struct conform_seen *c), void *ctx);

size_t conform_count(const struct conform_suite *suite,
                     size_t *strict); /* cases, and those of them that are strict only */

/* The table of checklist lines and the cases (or unit tests) that hold them, as Markdown: COVERAGE.md. dir: the
 * checklists. False: a line has no case, a case or test named is not there …; err lists them. */
bool conform_table(const char *dir, struct buf *out, struct error *err);

#endif
