/* echo echo: {argument} -> {outcome} (agent.md §11.1). */
#include "agent/job.h"

void module_echo(struct job *job) {
    json_t *results = json_object();
    json_object_set(results, "outcome", json_object_get(job->request.params, "argument"));
    job_results(job, results);
}
