/* command run: {command}, given to the login shell of the agent's user (agent.md §11.4). */
#include "agent/process.h"
#include "base/json.h"

void module_command(struct job *job) {
    const char *shell = job->agent->config->shell;
    if (shell == NULL) {
        job_failed(job, "the agent's user has no login shell");
        return;
    }
    const char *command = json_str(job->request.params, "command");
    process_run(job,
                &(struct process_opts){.executable = shell, .arguments = (const char *const[]){"-c", command, NULL}});
}
