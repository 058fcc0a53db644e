/* The applications of an environment as its site block declares them: instances, components, what they produce and
 * consume, and the nodes they are mapped to (puppetserver.md §14-§17; application-orchestration.md §1, §8). */
#ifndef DALANG_FAKES_PUPPETSERVER_APP_GRAPH_H
#define DALANG_FAKES_PUPPETSERVER_APP_GRAPH_H

#include "fakes/puppetserver/manifests.h"

struct app_options {
    const char *environment;
    int major;                      /* of the version whose words are used */
    const json_t *capability_types; /* names besides those found in the modules; may be NULL */
    bool class_components;
};

struct app_options ps_app_options(const struct fake_puppetserver *ps, const struct ps_environment *env);

/* {"Shop[eu]": {"Shop::Store[eu]": {"produces": […], "consumes": […], "node": "db1"}}, …} in order of declaration.
 * NULL after setting err (kind "compile"): its msg is the whole text behind "Server Error: ". */
json_t *app_graph(struct manifests *m, const struct app_options *opts, struct error *err);

#endif
