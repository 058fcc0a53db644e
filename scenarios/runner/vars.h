/* Variables: ${name}, ${job.name}, ${reply.body.items[0].state}. A text that is nothing but one reference becomes the
 * value itself; elsewhere a value is written into the text (objects as JSON). "$${" is a plain "${". */
#ifndef DALANG_SCENARIO_VARS_H
#define DALANG_SCENARIO_VARS_H

#include "base/json.h"

/* value with everything put in: new reference, or NULL (err kind "scenario/variable": names what is missing). */
json_t *vars_expand(const json_t *value, const json_t *vars, struct error *err);
char *vars_expand_text(const char *text, const json_t *vars, struct error *err); /* mem_free() it */
/* "a == b", "a != b", or a text: false when it is empty, "false" or "0". */
bool condition_holds(const char *expanded);

#endif
