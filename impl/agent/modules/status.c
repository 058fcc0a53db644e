/* status query: what is known about a transaction (agent.md §13, pxp.md §7). Recovery after a restart is done here too:
 * whoever asks about a task that ended while the agent was away makes the agent complete its record. */
#include "agent/job.h"
#include "agent/spool.h"
#include "base/json.h"
#include "base/mem.h"

enum { SETTLE_MS = 100 }; /* how long a record that is just being completed is waited for */

struct query {
    struct timer timer;
    bool waited;
};

/* ---------------------------------------------------------------------------------------- answers */

static struct span asked(const struct job *job) {
    return json_span(json_object_get(job->request.params, "transaction_id"));
}

static void answer(struct job *job, struct pxp_status *status, const char *error) {
    struct buf text = BUF_INIT;
    status->transaction_id = asked(job);
    if (error != NULL) {
        pxp_execution_error_write(&text, span_of(error));
        status->stdout_text = buf_span(&text);
    }
    if (status->stdout_text.len == 0) {
        status->stdout_text.ptr = NULL;
    }
    if (status->stderr_text.len == 0) {
        status->stderr_text.ptr = NULL;
    }
    json_t *results = pxp_status_to_json(status);
    buf_free(&text);
    job_results(job, results);
}

static void answer_unknown(struct job *job, const char *error) {
    answer(job, &(struct pxp_status){.state = PXP_UNKNOWN}, error);
}

static void answer_running(struct job *job) {
    answer(job, &(struct pxp_status){.state = PXP_RUNNING}, NULL);
}

/* A finished record: exit code and texts come from the files, an execution error hides the text. */
static void answer_finished(struct job *job, const json_t *record) {
    struct agent *a = job->agent;
    enum pxp_state state = spool_record_state(record);
    const char *stored = json_str(record, "execution_error");
    char *error = str_dup(stored);
    struct spool_output output = {0};
    struct error err = ERROR_INIT;
    bool read = spool_read_output(a->world, a->spool_dir, asked(job), (size_t)a->config->output_max, &output, &err);
    if (!read && stored == NULL && json_bool(record, "results_are_valid", false)) {
        error = str_printf("failed to retrieve the output: %s", err.msg);
    }
    error_clear(&err);
    struct pxp_status status = {.state = state,
                                .has_exitcode = true,
                                .exitcode = output.exitcode,
                                .stdout_text = buf_span(&output.out),
                                .stderr_text = buf_span(&output.err)};
    if (state == PXP_UNDETERMINED || state == PXP_UNKNOWN) {
        status.has_exitcode = false;
    } else if (state == PXP_SUCCESS && output.exitcode != 0) {
        status.state = PXP_FAILURE;
    }
    answer(job, &status, error);
    spool_output_free(&output);
    mem_free(error);
}

/* ---------------------------------------------------------------------------------------- algorithm */

static void look(struct job *job);

static void look_again(void *ctx) {
    look(ctx);
}

static void abandon(struct job *job) {
    struct query *q = job->state;
    world_timer_stop(job->agent->world, &q->timer);
    mem_free(q);
}

static void forget(struct job *job) {
    if (job->state != NULL) {
        abandon(job);
        job->state = NULL;
    }
}

/* True: the caller returns and look() is called again in a moment. Once a query. */
static bool wait_a_moment(struct job *job) {
    struct query *q = job->state;
    if (q != NULL && q->waited) {
        return false;
    }
    q = mem_zalloc(sizeof *q);
    q->waited = true;
    job->state = q;
    job->abandon = abandon;
    world_timer_start(job->agent->world, &q->timer, SETTLE_MS, look_again, job);
    return true;
}

static void lose(struct job *job, json_t *record) {
    struct agent *a = job->agent;
    static const char why[] = "task process is not running, but no output is available";
    spool_record_finish(record, PXP_UNDETERMINED, world_wall_ms(a->world), NULL, why);
    spool_write_record(a->world, a->spool_dir, asked(job), record, NULL);
    answer_unknown(job, why);
}

static void look_without_exitcode(struct job *job, json_t *record, enum spool_process process, bool live) {
    if (process == SPOOL_ALIVE || live) {
        answer_running(job);
    } else if (process == SPOOL_DEAD) {
        lose(job, record);
    } else {
        answer_unknown(job, "the PID and output of this task are not available");
    }
}

static void look_with_exitcode(struct job *job, json_t *record) {
    struct agent *a = job->agent;
    struct spool_output output;
    if (!spool_read_output(a->world, a->spool_dir, asked(job), (size_t)a->config->output_max, &output, NULL)) {
        static const char why[] = "found no results directory";
        spool_record_finish(record, PXP_UNDETERMINED, world_wall_ms(a->world), NULL, why);
        spool_write_record(a->world, a->spool_dir, asked(job), record, NULL);
        answer_unknown(job, why);
        return;
    }
    job_settle(a, record, &output);
    spool_output_free(&output);
    answer_finished(job, record);
}

static void decide(struct job *job, json_t *record, enum spool_process process) {
    struct agent *a = job->agent;
    bool live = map_get(&a->transactions, asked(job)) != NULL;
    if (spool_record_state(record) != PXP_RUNNING) {
        answer_finished(job, record);
    } else if (!spool_has_exitcode(a->world, a->spool_dir, asked(job))) {
        look_without_exitcode(job, record, process, live);
    } else if (live) {
        answer_running(job); /* its own job completes the record in this very moment */
    } else {
        look_with_exitcode(job, record);
    }
}

static void look(struct job *job) {
    struct agent *a = job->agent;
    struct span id = asked(job);
    bool live = spool_id_valid(id) && map_get(&a->transactions, id) != NULL;
    if (!spool_id_valid(id) || !spool_has_directory(a->world, a->spool_dir, id)) {
        forget(job);
        answer_unknown(job, "found no results directory");
        return;
    }
    enum spool_process process = spool_process_state(a->world, a->spool_dir, id);
    bool has_exitcode = spool_has_exitcode(a->world, a->spool_dir, id);
    if (((live && process == SPOOL_DEAD) || (has_exitcode && process == SPOOL_ALIVE)) && wait_a_moment(job)) {
        return;
    }
    struct error err = ERROR_INIT;
    json_t *record = spool_read_record(a->world, a->spool_dir, id, &err);
    forget(job);
    if (record == NULL) {
        answer_unknown(job, err.msg);
        error_clear(&err);
        return;
    }
    const struct agent_module *module = agent_modules_get(a->modules, json_span(json_object_get(record, "module")));
    if (module == NULL || pxp_module_action(module->spec, json_span(json_object_get(record, "action"))) == NULL) {
        char *why = str_printf("unexpected failure while retrieving metadata: unknown action stored in metadata file: "
                               "'%s %s'",
                               json_str(record, "module"), json_str(record, "action"));
        answer_unknown(job, why);
        mem_free(why);
    } else {
        decide(job, record, process);
    }
    json_decref(record);
}

void module_status(struct job *job) {
    look(job);
}
