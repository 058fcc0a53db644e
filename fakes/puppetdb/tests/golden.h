/* Recorded exchanges of the real service, and how an answer is compared with one. */
#ifndef DALANG_FAKES_PUPPETDB_TESTS_GOLDEN_H
#define DALANG_FAKES_PUPPETDB_TESTS_GOLDEN_H

#include "base/bytes.h"
#include <jansson.h>

struct golden {
    char *name; /* file name without ".json" */
    json_t *recording;
};

/* All of SOURCE_DIR/scenarios/golden/puppetdb, sorted by name. */
struct golden *golden_load(size_t *count);
void golden_free(struct golden *all, size_t count);

struct answer {
    int status;
    json_t *headers; /* lower-case name → text */
    struct buf body;
};

/* How bodies are compared. */
enum golden_rule {
    GOLDEN_EQUAL,    /* JSON values equal; rows of an answer without order in any order; other bodies byte by byte */
    GOLDEN_TIMES,    /* … but what the clock of the server says is only looked at for its form */
    GOLDEN_UUID,     /* … but the uuid */
    GOLDEN_POSITION, /* text without its last line, PostgreSQL's "Position: N" */
    GOLDEN_SHAPE,    /* the same keys, values of the same types */
    GOLDEN_QUEUE,    /* … but queue_depth and what the debug level adds */
};

/* NULL when equal, else what differs; mem_free() it. */
char *golden_compare(const struct golden *g, const struct answer *a, enum golden_rule rule);

#endif
