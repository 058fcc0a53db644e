/* Looks into an orchestrator's SQLite file from outside, to see results when they are stored: committed and synced, as
 * any other reader of the file would find them. */
#ifndef DALANG_BENCH_STORED_H
#define DALANG_BENCH_STORED_H

#include "base/error.h"
#include <stdbool.h>
#include <stdint.h>

struct stored;
/* From now on; what is there already is not told. Error kind "bench". */
struct stored *stored_open(const char *path, struct error *err);
/* Tells each node's end that was stored since the last look, in the order in which they ended. */
bool stored_look(struct stored *s, void (*each)(void *ctx, int64_t job), void *ctx, struct error *err);
void stored_close(struct stored *s); /* NULL is fine */

#endif
