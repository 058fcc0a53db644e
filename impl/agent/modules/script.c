/* script run: a file from the cache with arguments (agent.md §11.5). */
#include "agent/process.h"
#include "base/json.h"
#include "base/mem.h"

static void fetched(void *ctx, const char *path, const char *error) {
    struct job *job = ctx;
    job->state = NULL;
    if (error != NULL) {
        job_failed(job, "%s", error);
        return;
    }
    const json_t *given = json_object_get(job->request.params, "arguments");
    size_t count = json_array_size(given);
    const char **arguments = mem_array(count + 1, sizeof *arguments);
    for (size_t i = 0; i < count; i++) {
        arguments[i] = json_string_value(json_array_get(given, i));
    }
    process_run(job, &(struct process_opts){.executable = path, .arguments = arguments});
    mem_free(arguments);
}

static void abandon(struct job *job) {
    cache_cancel(job->state);
}

void module_script(struct job *job) {
    const json_t *script = json_object_get(job->request.params, "script");
    struct remote_file file;
    struct error err = ERROR_INIT;
    if (!remote_file_read(script, json_span(json_object_get(script, "filename")), &file, &err)) {
        job_failed(job, "%s", err.msg);
        error_clear(&err);
        return;
    }
    job->abandon = abandon;
    job->state = cache_get(job->agent, &file, fetched, job);
}
