/* SHA-256 of a file of any size without holding up the loop: small files at the end of this turn, large ones piece by
 * piece through world_work(). */
#ifndef DALANG_AGENT_FILE_DIGEST_H
#define DALANG_AGENT_FILE_DIGEST_H

#include "base/digest.h"
#include "world/world.h"

struct file_digest;

/* done gets lower-case hex, or NULL when the file cannot be read (absent, no file, …). It never runs inside this call.
 */
struct file_digest *file_digest_start(struct world *w, const char *path, void (*done)(void *ctx, const char *hex),
                                      void *ctx);
void file_digest_cancel(struct file_digest *d); /* done is not called */

#endif
