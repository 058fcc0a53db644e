/* Results of test runs for people's tools: JUnit XML into a file and TAP onto a stream, written as the cases end.
 *
 * The JUnit file is whole and well-formed after every case, so an interrupted or killed run leaves what it found; its
 * counts are those of the cases in it. Texts may hold any bytes: what XML or TAP cannot carry (control characters,
 * bytes that are not UTF-8) is shown as \x1b. */
#ifndef DALANG_SIMULATOR_RESULTS_H
#define DALANG_SIMULATOR_RESULTS_H

#include "base/bytes.h"
#include "base/error.h"
#include <stdio.h>

enum result_status {
    RESULT_PASS,
    RESULT_FAIL,
    RESULT_SKIP,
    RESULT_ERROR, /* could not be carried out: counts as failed */
    RESULT_KNOWN, /* failed, but is known to (quarantine): reported, does not fail the run */
};

struct result_property {
    const char *name, *value;
};

struct result {
    const char *suite; /* "pcp2/session"; JUnit's classname */
    const char *name;  /* "supersede-001" */
    const char *title; /* one sentence, or NULL */
    enum result_status status;
    uint64_t duration_us;
    const char *message;                  /* one line: what went wrong, or why it was skipped; NULL: none */
    const char *expected, *got, *details; /* each one or several lines, or NULL */
    const char *file;                     /* where the case is written, or NULL */
    int line;                             /* 0: none */
    const struct result_property *properties;
    size_t property_count;
};

struct result_counts {
    size_t passed, failed, skipped, errors, known;
};

struct results_opts {
    const char *name;                         /* of the run: "dalang conform broker" */
    const char *junit;                        /* file to write, or NULL */
    FILE *tap;                                /* or NULL */
    size_t planned;                           /* cases that will be reported */
    int64_t started_ms;                       /* wall clock, since the epoch */
    const struct result_property *properties; /* of the run */
    size_t property_count;
};

struct results;
/* Creates the JUnit file (mode 0644, truncated). Error kind "results/file". Strings are copied. */
struct results *results_new(const struct results_opts *opts, struct error *err);
/* Reports one case, to both. What cannot be written is told by results_end(). */
void results_add(struct results *r, const struct result *one);
const struct result_counts *results_counts(const struct results *r);
bool results_good(const struct results *r); /* nothing failed, no errors */
/* The run is over, or was stopped: then `interrupted` says by what ("SIGINT") and both outputs say so.
 * Frees r. False: something could not be written; err (kind "results/file") names the file. */
bool results_end(struct results *r, const char *interrupted, struct error *err);

const char *results_status_word(enum result_status status); /* "PASS" … "KNOWN" */
/* Appends text as XML character data, for attributes too. */
void results_xml_text(struct buf *out, struct span text);

#endif
