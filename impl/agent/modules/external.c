/* An action of an external module: `MODULE ACTION` with JSON on standard input (agent.md §9). */
#include "agent/process.h"
#include "base/json.h"
#include "base/mem.h"

static json_t *output_files(const char *dir) {
    static const char *const names[] = {"stdout", "stderr", "exitcode"};
    json_t *files = json_object();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        json_set(files, names[i], json_sprintf("%s/%s", dir, names[i]));
    }
    return files;
}

void module_external(struct job *job) {
    const struct agent_module *module = job->module;
    json_t *input = json_object();
    json_object_set(input, "input", job->request.params);
    if (json_object_size(module->configuration) > 0 ||
        !(json_is_object(module->configuration) || json_is_array(module->configuration)) ||
        json_array_size(module->configuration) > 0) {
        json_object_set(input, "configuration", module->configuration);
    }
    if (job->dir != NULL) {
        json_set(input, "output_files", output_files(job->dir));
    }
    char *text = json_text(input);
    json_decref(input);
    process_run(job, &(struct process_opts){.executable = module->path,
                                            .arguments = (const char *const[]){job->action->name, NULL},
                                            .input = span_of(text),
                                            .writes_files = job->dir != NULL});
    mem_free(text);
}
