/* A YAML file as a tree that remembers where each word stood, so that every complaint can name file:line:column.
 * Anchors and aliases work (an alias is a copy); tags, merge keys and multiple keys are refused. */
#ifndef DALANG_SCENARIO_DOCUMENT_H
#define DALANG_SCENARIO_DOCUMENT_H

#include "base/bytes.h"
#include "base/json.h"

enum { DOC_DEPTH_MAX = 64, DOC_NODES_MAX = 200000, DOC_BYTES_MAX = 8 * 1024 * 1024 };

enum doc_kind { DOC_TEXT, DOC_LIST, DOC_MAP };
struct doc_node {
    enum doc_kind kind;
    unsigned line, column; /* 1-based */
    char *text;            /* of a scalar, NUL-terminated; len bytes */
    size_t len;
    bool plain;              /* a scalar without quotes: may be a number, true, null */
    struct doc_node **items; /* of a list; of a map: its values */
    struct doc_node **keys;  /* of a map: scalars */
    size_t count, cap;
};

struct doc_file {
    char *name; /* as it was given: for messages */
    struct doc_node **documents;
    size_t count;
};

/* error kind "scenario": not YAML, or beyond a limit; the message begins with "name:line:column: ". */
struct doc_file *doc_parse(const char *name, struct span text, struct error *err);
void doc_free(struct doc_file *f); /* NULL is fine */

struct doc_node *doc_get(const struct doc_node *map, const char *key);     /* NULL when absent or no map */
struct doc_node *doc_get_key(const struct doc_node *map, const char *key); /* the key's own node */
/* A plain scalar is read as YAML's core schema does (null, true, false, integers, reals); others are strings. */
json_t *doc_json(const struct doc_node *node); /* new reference */
/* The node at "a.b" or "a[2].b" below this one, as far as it goes; never NULL. */
const struct doc_node *doc_at(const struct doc_node *node, const char *path);

/* ---- what is wrong with a file, each with its place */

enum { PROBLEMS_MAX = 50 };
struct problems {
    const char *file;
    char *lines[PROBLEMS_MAX]; /* "file:line:column: message" */
    size_t count;              /* may be larger than PROBLEMS_MAX: that many there were */
};
void problem(struct problems *p, const struct doc_node *at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void problems_free(struct problems *p);

#endif
