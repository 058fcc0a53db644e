/* Making nodes; for the parser's files. */
#ifndef DALANG_PUPPETLANG_TREE_H
#define DALANG_PUPPETLANG_TREE_H

#include "puppetlang/ast.h"

struct pl_tree {
    char *source;
    size_t source_len;
    struct pl_chunk *chunks;
    struct pl_node *root;
};

struct pl_tree *pl_tree_new(struct span source);
void *pl_tree_alloc(struct pl_tree *tree, size_t size); /* zeroed */
struct pl_node *pl_node_new(struct pl_tree *tree, enum pl_kind kind, size_t at);
void pl_node_add(struct pl_tree *tree, struct pl_node *parent,
                 struct pl_node *child); /* child may be NULL: an empty place */
void pl_node_text(struct pl_tree *tree, struct pl_node *node, struct span text);

#endif
