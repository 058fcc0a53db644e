/* One download over the list of servers: each is tried once, the file's digest is verified (agent.md §11.10). */
#ifndef DALANG_AGENT_DOWNLOAD_H
#define DALANG_AGENT_DOWNLOAD_H

#include "agent/cache.h"

struct download;

/* name: how errors call the file. dir: where the temporary file is made.
 * done: `temp` is the verified file, which the callee moves or removes; or NULL and an error text, and nothing is left.
 * Never called inside this call. */
struct download *download_start(struct agent *a, const struct remote_file *file, const char *name, const char *dir,
                                void (*done)(void *ctx, const char *temp, const char *error), void *ctx);
void download_cancel(struct download *d); /* NULL is fine; the temporary file is removed */

/* server + path + "?" + percent-encoded parameters; mem_free() it. */
char *download_url(const char *server, struct span path, const json_t *params);

#endif
