/* The state of building a graph, shared by its files. */
#ifndef DALANG_FAKES_PUPPETSERVER_APP_BUILD_H
#define DALANG_FAKES_PUPPETSERVER_APP_BUILD_H

#include "fakes/puppetserver/app_graph.h"
#include "fakes/puppetserver/app_value.h"

/* One component of an instance. */
struct component {
    struct list_link link;
    char *name;       /* "Shop::Api[eu-1]" */
    json_t *produces; /* texts of references */
    json_t *consumes;
    json_t *relations; /* of each consumed one, the parameter that names it */
    const struct manifest *in;
    const struct pl_node *body;
    char *type; /* "shop::api"; of a class "class" */
    char *title;
    struct instance *instance;
    char *node; /* NULL until mapped */
};

struct instance {
    struct list_link link;
    char *name; /* "Shop[eu]" */
    const struct manifest *in;
    const struct pl_node *body;
    json_t *nodes; /* the value of the parameter */
    char *type, *title;
    json_t *scope; /* variables of the application's body */
    struct list components;
    struct map by_name;
};

struct build {
    struct manifests *m;
    const struct app_options *opts;
    struct list instances;
    struct map instance_by_name;
    struct map exported; /* reference text -> struct component */
    struct error *err;
};

void build_init(struct build *b, struct manifests *m, const struct app_options *opts, struct error *err);
void build_clear(struct build *b);
/* Reads the main manifests and everything they need; all checks of the environment. */
bool build_run(struct build *b);
/* Attributes of a declaration as values by name; "* => {…}" is spread. */
json_t *build_attributes(const struct manifest *in, const struct pl_node *body, const json_t *scope);

/* Sets err to a compile error: the text, the place of the node, and " in environment E". Returns false. */
bool build_fail(struct build *b, const struct manifest *in, const struct pl_node *node, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Without " in environment E": errors of the mapping (application-orchestration.md §12). */
bool build_fail_mapping(struct build *b, const struct manifest *in, const struct pl_node *node, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* Sets err when the manifest that `name` would be autoloaded from does not parse; false then. */
bool build_loads(struct build *b, const char *name);

/* app_components.c: what stands in the application's body. */
bool build_components(struct build *b, struct instance *instance, const struct manifest *app_in,
                      const struct pl_node *application, json_t *scope);
/* lib/puppet/type/NAME.rb of some module, appended to text; false: none has it. */
bool type_file(struct build *b, const char *name, struct buf *text);
bool is_capability(struct build *b, const char *type);
bool type_known(struct build *b, const char *lower_name); /* a define, or a native type */
/* app_mapping.c: "nodes => {…}". */
bool build_mapping(struct build *b, struct instance *instance);
void component_free(struct component *c);

#endif
