/* Files that people write for a command: JSON, or YAML. */
#ifndef DALANG_DATA_FILE_H
#define DALANG_DATA_FILE_H

#include "base/json.h"
#include "world/world.h"

enum { DATA_FILE_MAX = 256 * 1024 * 1024 };

/* New reference. Text that begins with '{' or '[' is JSON, other text YAML. Error kinds "world/…", "usage": what is
 * wrong, naming the file (and the place in it). */
bool read_data_file(struct world *w, const char *path, json_t **out, struct error *err);

#endif
