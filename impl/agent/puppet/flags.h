/* Which flags a request may hand to `puppet agent` (agent.md §17). Pure. */
#ifndef DALANG_PUPPET_FLAGS_H
#define DALANG_PUPPET_FLAGS_H

#include "base/error.h"
#include <jansson.h>

/* The arguments after "agent": the request's flags (an array of strings, or NULL), the three defaults that it lacks,
 * and
 * --job-id where `job` is given (a string or a number). New array, or NULL after setting err (kind "invalid_json"). */
json_t *puppet_flags(const json_t *flags, const json_t *job, struct error *err);

#endif
