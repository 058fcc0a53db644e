/* Memory of a tree: chunks that are freed together. */
#include "puppetlang/tree.h"
#include "base/mem.h"
#include <stddef.h>
#include <string.h>

enum { CHUNK_SIZE = 16 * 1024 };

struct pl_chunk {
    struct pl_chunk *next;
    size_t used, size;
    max_align_t bytes[];
};

struct pl_tree *pl_tree_new(struct span source) {
    struct pl_tree *t = mem_zalloc(sizeof *t);
    t->source = span_dup(source);
    t->source_len = source.len;
    return t;
}

void pl_tree_free(struct pl_tree *tree) {
    if (tree == NULL) {
        return;
    }
    while (tree->chunks != NULL) {
        struct pl_chunk *next = tree->chunks->next;
        mem_free(tree->chunks);
        tree->chunks = next;
    }
    mem_free(tree->source);
    mem_free(tree);
}

void *pl_tree_alloc(struct pl_tree *tree, size_t size) {
    const size_t align = _Alignof(max_align_t);
    size = (size + align - 1) / align * align;
    struct pl_chunk *c = tree->chunks;
    if (c == NULL || c->size - c->used < size) {
        size_t room = size > CHUNK_SIZE ? size : CHUNK_SIZE;
        c = mem_zalloc(sizeof *c + room);
        c->size = room;
        c->next = tree->chunks;
        tree->chunks = c;
    }
    void *memory = (char *)c->bytes + c->used;
    c->used += size;
    return memory;
}

struct pl_node *pl_node_new(struct pl_tree *tree, enum pl_kind kind, size_t at) {
    struct pl_node *n = pl_tree_alloc(tree, sizeof *n);
    n->kind = kind;
    n->at = n->end = at;
    return n;
}

void pl_node_add(struct pl_tree *tree, struct pl_node *parent, struct pl_node *child) {
    /* Room doubles at each power of two. */
    if ((parent->count & (parent->count - 1)) == 0) {
        size_t room = parent->count == 0 ? 1 : parent->count * 2;
        struct pl_node **bigger = pl_tree_alloc(tree, room * sizeof *bigger);
        if (parent->count > 0) {
            memcpy(bigger, parent->children, parent->count * sizeof *bigger);
        }
        parent->children = bigger;
    }
    parent->children[parent->count++] = child;
}

void pl_node_text(struct pl_tree *tree, struct pl_node *node, struct span text) {
    char *copy = pl_tree_alloc(tree, text.len + 1);
    if (text.len > 0) {
        memcpy(copy, text.ptr, text.len);
    }
    node->text = copy;
    node->text_len = text.len;
}

const struct pl_node *pl_tree_root(const struct pl_tree *tree) {
    return tree->root;
}

struct span pl_tree_source(const struct pl_tree *tree) {
    return (struct span){tree->source, tree->source_len};
}

unsigned pl_line(const struct pl_tree *tree, const struct pl_node *node) {
    unsigned line, column;
    pl_position(pl_tree_source(tree), node->at, &line, &column);
    return line;
}

struct span pl_source(const struct pl_tree *tree, const struct pl_node *node) {
    return span_sub(pl_tree_source(tree), node->at, node->end - node->at);
}

const struct pl_node *pl_child(const struct pl_node *node, size_t i) {
    return node != NULL && i < node->count ? node->children[i] : NULL;
}
