/* The part of a node's catalog that comes from applications: instances with a component on the node, those components,
 * what they produce, and copies of what they consume (application-orchestration.md §3, §9.1). Bodies of components are
 * not evaluated: each stands as one notify. */
#ifndef DALANG_FAKES_PUPPETSERVER_APP_CATALOG_H
#define DALANG_FAKES_PUPPETSERVER_APP_CATALOG_H

#include "fakes/puppetserver/app_graph.h"

struct app_node {
    const char *certname;
    const json_t *facts; /* plain JSON; may be NULL */
    const char *code_id; /* or NULL */
    /* Rows of an AST query to PuppetDB, a new reference; NULL after setting err. May be NULL: nothing is found. */
    json_t *(*query)(void *ctx, const json_t *ast, struct error *err);
    void *query_ctx;
};

/* Appends to a catalog's resources and edges; *any tells whether a component is on this node. False after setting err:
 * the compiler's message without " on node …". */
bool app_catalog(struct manifests *m, const struct app_options *opts, const struct app_node *node, json_t *resources,
                 json_t *edges, bool *any, struct error *err);

#endif
