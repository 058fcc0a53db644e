/* links: puppetlang base */
/* Any bytes to the parser of the Puppet language, in each dialect: a tree whose places lie in the source, or an error.
 */
#include "puppetlang/ast.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void walk(const struct pl_node *n, size_t source_len) {
    if (n == NULL) {
        return;
    }
    assert(n->at <= source_len && n->end <= source_len);
    for (size_t i = 0; i < n->count; i++) {
        walk(n->children[i], source_len);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const enum pl_dialect dialects[] = {PL_DIALECT_MANIFEST, PL_DIALECT_PLAN, PL_DIALECT_APP};
    for (size_t i = 0; i < 3; i++) {
        struct error err = ERROR_INIT;
        struct pl_tree *tree = pl_parse(span_bytes(data, size), dialects[i], &err);
        assert((tree == NULL) == error_is_set(&err));
        if (tree != NULL) {
            walk(pl_tree_root(tree), size);
        }
        pl_tree_free(tree);
        error_clear(&err);
    }
    return 0;
}
