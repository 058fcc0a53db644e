/* What the files that read a scenario share. */
#ifndef DALANG_SCENARIO_INTERNAL_H
#define DALANG_SCENARIO_INTERNAL_H

#include "scenarios/runner/scenario.h"
#include "scenarios/runner/shape.h"

/* A file under way. */
struct loading {
    struct scenario_file *out;
    struct problems *problems;
    const char *names[SCENARIO_INCLUDE_DEPTH + 1]; /* of the files that include each other now, outermost first */
    size_t depth;
    bool from_memory; /* no other file may be read */
};

extern const struct shape shape_stack, shape_fleet;

/* scenario_stack.c; the node (may be NULL) fits its shape. */
void stack_read(struct loading *l, const struct doc_node *node, struct scenario_stack *out);
void stack_clear(struct scenario_stack *s);
/* scenario_fleet.c */
void fleet_read(struct loading *l, const struct doc_node *node, struct scenario *s);
void fleet_clear(struct scenario *s);
/* scenario_steps.c */
void steps_read(struct loading *l, const struct doc_node *list, struct step **steps, size_t *count);
void steps_free(struct step *steps, size_t count);

/* The path as seen from the file that is being read; mem_free() it. */
char *loading_path(const struct loading *l, const char *path);
/* The YAML of a file; NULL after a problem at `at` (NULL: none). The name is kept in l->out. */
struct doc_file *loading_open(struct loading *l, const char *path, const struct doc_node *at, const char **name);

#endif
