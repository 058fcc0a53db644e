/* Places in a JSON value, as scenarios name them: "items[0].name", "items[-1]", "items.#" (how many), "" (all of it).
 * A key with a dot or bracket in it is quoted: 'facts."os.name"'. */
#ifndef DALANG_SCENARIO_PATHS_H
#define DALANG_SCENARIO_PATHS_H

#include "base/json.h"

bool path_valid(const char *path);
json_t *path_get(const json_t *value, const char *path); /* new reference; NULL when there is nothing */

#endif
