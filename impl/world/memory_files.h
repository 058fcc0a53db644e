/* Files in memory: a file facet of world.h for virtual agents by the thousand. Each world has a tree of its own;
 * contents are shared by SHA-256 between all worlds of one store, so a task's file costs its bytes once, however many
 * agents cache it. An empty tree costs about 150 bytes. No links, no watches, no SQLite; sync does nothing. */
#ifndef DALANG_WORLD_MEMORY_FILES_H
#define DALANG_WORLD_MEMORY_FILES_H

#include "world/world.h"

enum { MEMORY_FILES_MAX = 64 * 1024 * 1024 }; /* bytes of one file; more is "world/full" */

struct memory_store;
struct memory_store *memory_store_new(void);
void memory_store_free(struct memory_store *store); /* after the last world has left */
/* From now on what lies below `directory` (absolute, without trailing slash) is the same for every world of the store:
 * a task cache that all agents share. Once, before the first join. */
void memory_store_share(struct memory_store *store, const char *directory);
size_t memory_store_bytes(const struct memory_store *store); /* of all contents, each counted once */

/* Gives `w` (whose time facet is set) an empty tree with the root directory "/". */
void memory_files_join(struct memory_store *store, struct world *w);
void memory_files_leave(struct world *w); /* frees its tree; open files must be closed */

#endif
