/* Where this program is installed, and what the system allows it. */
#ifndef DALANG_SURROUNDINGS_H
#define DALANG_SURROUNDINGS_H

#include "base/error.h"
#include <stdint.h>

char *absolute_path(const char *path);        /* against the current directory; mem_free() it */
char *program_path(const char *name);         /* a program beside this one; mem_free() it */
char *shared_path(const char *name);          /* PREFIX/share/dalang/NAME, from where this program is; mem_free() it */
char *temporary_directory(struct error *err); /* a fresh private one; mem_free() it */
/* Raises the limit of open files as far as the system lets; false when `needed` is beyond it (the message says so). */
bool enough_descriptors(uint64_t needed, struct error *err);

#endif
