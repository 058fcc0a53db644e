/* PQL's grammar as data (puppetdb.md §12), for finding out what would have been accepted where a text stops fitting.
 * Equal parts are one part: whoever asks twice what fits at a place is answered once. */
#ifndef DALANG_PQL_GRAMMAR_H
#define DALANG_PQL_GRAMMAR_H

#include "base/bytes.h"

enum part_tag {
    PART_STRING,   /* the text itself */
    PART_TERMINAL, /* a pattern of lex.h */
    PART_RULE,
    PART_SEQUENCE,
    PART_CHOICE,
    PART_OPTION,
    PART_STAR,
    PART_PLUS,
    PART_NOT, /* nothing, where the kid does not fit */
};

enum { PART_KIDS_MAX = 14, GRAMMAR_PARTS_MAX = 400, GRAMMAR_RULES_MAX = 100 };

struct terminal {
    const char *name;  /* in the rules below */
    const char *shown; /* how PuppetDB prints it */
    size_t (*lex)(struct span text, size_t at);
};

struct part {
    enum part_tag tag;
    bool hidden;        /* leaves nothing in the tree … */
    int tree;           /* … or what it leaves; both only tell otherwise equal parts apart */
    struct span string; /* PART_STRING */
    const struct terminal *terminal;
    int rule;
    int kids[PART_KIDS_MAX];
    int kid_count;
};

struct grammar {
    struct part parts[GRAMMAR_PARTS_MAX];
    int part_count;
    int bodies[GRAMMAR_RULES_MAX]; /* the part of each rule */
};

struct grammar *grammar_new(void); /* mem_free() it; the first rule is where a query begins */

#endif
