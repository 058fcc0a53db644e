/* The parsed form of a schema: what schema_parse.c makes and schema_check.c walks. Private to this folder. */
#ifndef DALANG_PXP_SCHEMA_NODE_H
#define DALANG_PXP_SCHEMA_NODE_H

#include "base/map.h"
#include "pxp/schema.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    TYPE_OBJECT = 1,
    TYPE_ARRAY = 2,
    TYPE_STRING = 4,
    TYPE_INTEGER = 8,
    TYPE_NUMBER = 16, /* integers are numbers too */
    TYPE_BOOLEAN = 32,
    TYPE_NULL = 64,
    TYPE_ANY = 127,
};

struct node;

struct node_list {
    struct node **items;
    size_t count;
};

struct pattern_rule {
    pcre2_code *pattern;
    struct node *node;
};

struct dependency {
    const char *key;     /* borrowed from the schema's JSON */
    const json_t *names; /* keys that must be there too: a list or one string; or NULL */
    struct node *node;   /* or a schema the whole object must satisfy */
};

/* What is said about members no other keyword covers. */
struct rest {
    bool denied;
    struct node *node; /* NULL: anything */
};

struct node {
    struct node *ref; /* $ref: this node stands for another one, everything else is ignored */
    unsigned types;   /* with type_schemas: any of them */
    bool has_type;
    struct node_list type_schemas;
    const json_t *values; /* enum, or NULL */
    struct map properties;
    struct pattern_rule *patterns;
    size_t pattern_count;
    struct rest more_properties;
    const json_t *required; /* list of strings, or NULL */
    struct dependency *dependencies;
    size_t dependency_count;
    struct node *item; /* one schema for all items */
    struct node_list items;
    bool has_items;
    struct rest more_items;
    struct node_list all_of, any_of, one_of;
    struct node *not_node;
    const json_t *minimum, *maximum, *multiple_of;
    bool above_minimum, below_maximum;                                                    /* the exclusive flags */
    int64_t min_length, max_length, min_items, max_items, min_properties, max_properties; /* -1: not given */
    bool unique_items;
    pcre2_code *pattern;
};

struct pxp_schema {
    json_t *json; /* the document; what nodes borrow from */
    bool closed;
    struct node *root;
    struct node **nodes;
    size_t node_count, node_cap;
    struct map by_place; /* json_t pointer bytes -> node, so that $ref can point back */
};

#endif
