/* Manifests of an environment, parsed: the main ones at once, those of modules when a name in them is asked for. */
#ifndef DALANG_FAKES_PUPPETSERVER_MANIFESTS_H
#define DALANG_FAKES_PUPPETSERVER_MANIFESTS_H

#include "base/list.h"
#include "base/map.h"
#include "fakes/puppetserver/server.h"
#include "puppetlang/ast.h"

enum { PS_MANIFEST_MAX = 4 * 1024 * 1024, PS_MANIFESTS_MAX = 5000 };

struct manifest {
    struct list_link link;
    char *path;
    struct pl_tree *tree; /* NULL: it does not parse */
    struct error err;     /* why not; msg ends in "(file: PATH, line: N, column: M)" */
    bool main;            /* of the environment, not of a module */
};

struct manifests {
    struct world *w;
    const struct ps_environment *env;
    enum pl_dialect dialect;
    struct list all; /* in the order they were read */
    struct map by_path;
};

void manifests_init(struct manifests *m, struct world *w, const struct ps_environment *env, enum pl_dialect dialect);
void manifests_free(struct manifests *m);
/* The environment's own manifests: a file, or all below a directory, sorted. */
void manifests_read_main(struct manifests *m);
/* Everything below manifests/ of each module. */
void manifests_read_modules(struct manifests *m);
/* The manifest that "a::b::c" would be autoloaded from (modules/a/manifests/b/c.pp, "a" from init.pp); NULL: no file.
 */
struct manifest *manifests_autoload(struct manifests *m, const char *name);
/* The first definition of this kind and (lower-case) name in what has been read or can be autoloaded; NULL: none. */
const struct pl_node *manifests_find(struct manifests *m, enum pl_kind kind, const char *name,
                                     const struct manifest **in);
/* " (file: PATH, line: N)" for a node; mem_free() it. */
char *manifest_place(const struct manifest *in, const struct pl_node *node);

#endif
