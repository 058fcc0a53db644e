/* Tables that say which keys a map of a scenario file may have and what stands behind them. One walk over the tree
 * checks a whole file against them; what it finds wrong names file:line:column and, for an unknown key, the nearest
 * known one. A text with a "${…}" in it is known only when the scenario runs: it fits everywhere a single value does.
 */
#ifndef DALANG_SCENARIO_SHAPE_H
#define DALANG_SCENARIO_SHAPE_H

#include "scenarios/runner/document.h"

enum shape_type {
    SHAPE_ANY,
    SHAPE_TEXT,     /* any scalar; becomes a string */
    SHAPE_COUNT,    /* a whole number, not negative */
    SHAPE_NUMBER,   /* a whole number */
    SHAPE_BOOL,     /* true or false */
    SHAPE_DURATION, /* 10ms, 2s, 5m, 1h */
    SHAPE_WORD,     /* one of `words` */
    SHAPE_MAP,      /* of `keys` */
    SHAPE_FREE,     /* a map of any keys; values fit `of` */
    SHAPE_LIST,     /* items fit `of`; a single item stands for a list of one */
};
struct shape;
struct shape_key {
    const char *name; /* NULL ends the table */
    const struct shape *shape;
    bool required;
};
struct shape {
    enum shape_type type;
    const struct shape_key *keys;
    const struct shape *of; /* NULL: any */
    const char *const *words;
    /* After everything else, for what a table cannot say; may be NULL. */
    void (*check)(struct problems *p, const struct doc_node *node);
};

extern const struct shape shape_any, shape_text, shape_texts, shape_count, shape_number, shape_bool, shape_duration,
    shape_object;

/* False when something was wrong (each found is in p). */
bool shape_check(const struct shape *s, const struct doc_node *node, struct problems *p);
/* Complains about a key that is in none of the tables given (NULL-terminated list of tables). */
bool shape_check_key(const struct doc_node *key, const struct shape_key *const *tables, struct problems *p);
bool shape_is_open(const struct doc_node *node); /* a text with "${" */
/* "10ms", "2s", "5m", "1h", and combinations of none: microseconds. */
bool duration_us(const char *text, uint64_t *us);

#endif
