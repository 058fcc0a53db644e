/* Fills services: code into directories, a state into PuppetDBs by the commands a Puppet Server sends. */
#ifndef DALANG_SIMULATOR_INTEROP_LOAD_H
#define DALANG_SIMULATOR_INTEROP_LOAD_H

#include "simulator/interop/ask.h"
#include "simulator/interop/fixture.h"

/* Writes the files of a JSON object {path: text, {"base64": …}, {"script": text} or {"link": target}}, and those that
 * the changes add. */
bool load_code(const struct fixture *f, const char *path, struct error *err);
/* The commands of a state (puppetdb.h) and of what the changes add, in the order of their times: an array of
 * {"command", "version", "certname", "payload"}; new reference. */
json_t *load_commands(const struct fixture *f, const char *state_path, struct error *err);
/* Sends them to one PuppetDB, each waiting until it is processed. An error names the command that was not taken. */
bool load_send(struct asker *a, const char *base_url, const json_t *commands, struct error *err);

#endif
