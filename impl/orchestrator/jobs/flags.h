/* From the keys of a deploy request to the agent's flags (orchestrator-jobs.md §4.1). */
#ifndef DALANG_ORCHESTRATOR_FLAGS_H
#define DALANG_ORCHESTRATOR_FLAGS_H

#include "base/error.h"

/* New array of strings from a deploy's options, or NULL with err: a value holds characters the agent refuses
 * ("puppetlabs.orchestrator/validation-error"). */
json_t *deploy_flags(const json_t *options, struct error *err);

#endif
