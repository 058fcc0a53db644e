/* What the fakes of one stack ask of each other; the services do the same over the network. The functions are hooks of
 * fake_X_opts, their ctx is the struct. */
#ifndef DALANG_FAKES_NEIGHBOURS_H
#define DALANG_FAKES_NEIGHBOURS_H

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"

struct fake_puppetdb;
struct fake_puppetserver;

/* Filled in as the fakes are made: a hook looks at it when it is called. Outlives the fakes that have its hooks. */
struct fake_neighbours {
    struct fake_puppetdb *puppetdb;         /* NULL: nothing is stored, nothing is found */
    struct fake_puppetserver *puppetserver; /* needed by fake_neighbours_classes */
    const struct logger *log;
};

/* fake_puppetserver_opts.submit: the command goes to PuppetDB; what it does not take is logged. */
void fake_neighbours_submit(void *neighbours, const char *command, int version, const char *certname,
                            const json_t *payload);
/* fake_puppetserver_opts.query */
json_t *fake_neighbours_query(void *neighbours, const json_t *ast, struct error *err);
/* fake_classifier_opts.classes_of: of the Puppet Server. */
json_t *fake_neighbours_classes(void *neighbours, const char *environment, struct error *err);
/* fake_classifier_opts.nodes_of: of PuppetDB's inventory. */
json_t *fake_neighbours_nodes(void *neighbours, const json_t *inventory_query, struct error *err);

#endif
