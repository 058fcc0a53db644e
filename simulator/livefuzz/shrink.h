/* Makes a transcript smaller: leaves steps out as long as the program under test still ends the same way. */
#ifndef DALANG_LIVEFUZZ_SHRINK_H
#define DALANG_LIVEFUZZ_SHRINK_H

#include "simulator/livefuzz/action.h"

/* Asks `same` about shorter lists, at most tries_max times, and leaves the shortest for which it said yes in *list.
 * Returns how often it asked. */
size_t actions_shrink(struct actions *list, size_t tries_max, bool (*same)(void *ctx, const struct actions *shorter),
                      void *ctx);

#endif
