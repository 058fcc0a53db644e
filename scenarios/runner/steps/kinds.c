/* All kinds of steps. */
#include "scenarios/runner/steps/steps.h"

#include <string.h>

static const struct step_kind *const families[] = {job_steps,   expect_steps,     api_steps,  cli_steps, pcp_steps,
                                                   fault_steps, checkpoint_steps, file_steps, flow_steps};

const struct step_kind *step_kind_at(size_t i) {
    for (size_t f = 0; f < sizeof(families) / sizeof(families[0]); f++) {
        for (const struct step_kind *k = families[f]; k->name != NULL; k++) {
            if (i-- == 0) {
                return k;
            }
        }
    }
    return NULL;
}

const struct step_kind *step_kind_find(const char *name) {
    const struct step_kind *k;
    for (size_t i = 0; (k = step_kind_at(i)) != NULL; i++) {
        if (strcmp(k->name, name) == 0) {
            return k;
        }
    }
    return NULL;
}
