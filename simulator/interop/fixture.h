/* What is put into both services: a state and code as the recordings of the real services have them, perhaps changed.
 *
 * Changes (JSON): {"replace": [["node1.example.com", "db-a.lab.example"], …],   texts, in this order, in everything
 *                  "nodes": […], "reports": […],                              added to the state
 *                  "files": {"/etc/puppetlabs/code/…": "text"},               added to the code
 *                  "requests": {"puppetdb": [{…}], "puppetserver": [{…}]}}     asked besides the recorded ones; as
 *                  recorded, or only the target of a GET ("/…"), or only a query
 * Moves "FROM=TO" are replacements, too, of what the command line knows: directories. */
#ifndef DALANG_SIMULATOR_INTEROP_FIXTURE_H
#define DALANG_SIMULATOR_INTEROP_FIXTURE_H

#include "base/json.h"
#include "base/option.h"
#include "world/world.h"

struct fixture {
    struct world *world;
    json_t *changes; /* NULL: none */
    json_t *replace; /* [[from, to], …]: moves, then those of the changes */
};

/* changes_path may be NULL. Error kinds: "interop", those of files. */
bool fixture_open(struct fixture *f, struct world *w, const char *changes_path, const struct option_list *moves,
                  struct error *err);
void fixture_close(struct fixture *f);
/* A file of JSON with everything replaced in it; new reference, or NULL after setting err. */
json_t *fixture_read(const struct fixture *f, const char *path, struct error *err);
/* The list or object that the changes add under this key, with everything replaced; borrowed; NULL: nothing. */
const json_t *fixture_added(const struct fixture *f, const char *key);

#endif
