/* ping ping: {request_hops}, the hops of the request's first debug chunk (agent.md §11.2). */
#include "agent/job.h"
#include "base/json.h"
#include "pcp/message.h"

void module_ping(struct job *job) {
    struct span chunks = buf_span(&job->debug), content;
    json_t *debug = pcp_debug_next(&chunks, &content) ? json_parse(content, "agent/debug", NULL) : NULL;
    json_t *hops = json_object_get(debug, "hops");
    json_t *results = json_object();
    json_set(results, "request_hops", hops != NULL ? json_incref(hops) : json_array());
    json_decref(debug);
    job_results(job, results);
}
