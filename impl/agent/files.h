/* Small file operations made of world.h's. */
#ifndef DALANG_AGENT_FILES_H
#define DALANG_AGENT_FILES_H

#include "world/world.h"

/* Creates the directories above path, 0750. */
bool files_make_parent(struct world *w, const char *path, struct error *err);
/* Copies a file of any size; `to` gets the mode. */
bool files_copy(struct world *w, const char *from, const char *to, int mode, enum world_write how, struct error *err);
/* Renames, or copies where that does not go (another file system). */
bool files_move(struct world *w, const char *from, const char *to, int mode, struct error *err);

#endif
