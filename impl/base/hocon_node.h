/* The tree behind hocon.h, before references are replaced. Nodes belong to their struct hocon and are freed with it, so
 * subtrees may be shared. */
#ifndef DALANG_BASE_HOCON_NODE_H
#define DALANG_BASE_HOCON_NODE_H

#include "base/hocon.h"
#include "base/map.h"

enum hocon_kind {
    HOCON_NULL,
    HOCON_BOOL,   /* text is "true" or "false" */
    HOCON_NUMBER, /* text as written */
    HOCON_STRING,
    HOCON_ARRAY,
    HOCON_OBJECT,
    HOCON_REFERENCE, /* names are its path */
    HOCON_JOIN,      /* values written side by side: strings, arrays or objects */
    HOCON_MERGE,     /* values given to one key one after the other, some of them not known yet */
};

struct hocon_place {
    unsigned file, line, column; /* file: index into hocon.files; the others from 1 */
};

struct hocon_node {
    enum hocon_kind kind;
    struct hocon_place place;
    struct span text; /* owned; of scalars */
    char **names;     /* of an object: the keys; of a reference: the path */
    struct hocon_node **items;
    size_t count, name_cap, item_cap;
    bool optional; /* ${?…} */
    bool blank;    /* the white space between two values that are joined; counts between strings only */
    enum { HOCON_UNRESOLVED, HOCON_RESOLVING, HOCON_RESOLVED } state;
    struct hocon_node *resolved;
    size_t weight; /* once resolved: nodes in it */
    json_t *json;  /* made once, shared */
    struct hocon_node *next_made;
};

struct hocon {
    struct hocon_opts opts;
    struct hocon_node *made; /* all of them */
    struct hocon_node *root;
    char **files;
    size_t file_count, file_cap;
    struct map places; /* of members of the result: parent's address and key -> struct hocon_node */
    size_t joined;     /* bytes and elements made by joining so far, all together */
    json_t *json;
};

struct hocon_node *hocon_make(struct hocon *h, enum hocon_kind kind, struct hocon_place place);
struct hocon_node *hocon_make_text(struct hocon *h, enum hocon_kind kind, struct hocon_place place, struct span text);
void hocon_push(struct hocon_node *to, struct hocon_node *item);
void hocon_push_name(struct hocon_node *to, struct span name);                      /* copied */
struct hocon_node *hocon_member(const struct hocon_node *object, struct span name); /* or NULL */
/* Gives a key a value by the rules of merging. */
void hocon_put(struct hocon *h, struct hocon_node *object, struct span name, struct hocon_node *value);
struct hocon_node *hocon_merge(struct hocon *h, struct hocon_node *under, struct hocon_node *over);
bool hocon_fail(const struct hocon *h, struct hocon_place at, struct error *err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* hocon_parse.c: merges the members of the text into *root. depth: of includes. */
bool hocon_parse(struct hocon *h, unsigned file, struct span text, struct hocon_node *root, unsigned depth,
                 struct error *err);

#endif
