/* A request's life from its record to its answer. */
#include "agent/job.h"
#include "agent/process.h"
#include "agent/spool.h"
#include "base/json.h"
#include "base/mem.h"

static char *label_of(bool blocking, struct span module, struct span action, struct span transaction_id) {
    struct buf text = BUF_INIT;
    pxp_label(&text, blocking, module, action, transaction_id);
    return buf_take(&text);
}

char *job_record_label(const json_t *record) {
    return label_of(false, json_span(json_object_get(record, "module")), json_span(json_object_get(record, "action")),
                    json_span(json_object_get(record, "transaction_id")));
}

/* ---------------------------------------------------------------------------------------- start */

static json_t *new_record(const struct job *job) {
    char start[TIME_TEXT_LEN];
    spool_time(world_wall_ms(job->agent->world), start);
    json_t *record = json_object();
    json_set(record, "requester", pxp_json_text(span_of(job->sender)));
    json_set(record, "module", json_str_new(job->request.module));
    json_set(record, "action", json_str_new(job->request.action));
    json_set(record, "request_params", json_string("{}")); /* never stored: they may hold secrets */
    json_set(record, "transaction_id", json_str_new(job->request.transaction_id));
    json_set(record, "request_id", pxp_json_text(span_of(job->request_id)));
    json_set(record, "notify_outcome", json_boolean(job->request.notify_outcome));
    json_set(record, "start", json_string(start));
    json_set(record, "status", json_string(pxp_state_name(PXP_RUNNING)));
    return record;
}

static void job_free(struct job *job) {
    struct agent *a = job->agent;
    list_remove(&a->jobs, &job->link);
    if (job->dir != NULL) {
        map_remove(&a->transactions, job->request.transaction_id);
    }
    if (job->temp_dir != NULL && job->process == NULL) {
        world_file_remove(a->world, job->temp_dir, true, NULL);
    }
    pxp_request_free(&job->request);
    json_decref(job->record);
    buf_free(&job->debug);
    mem_free(job->sender);
    mem_free(job->request_id);
    mem_free(job->label);
    mem_free(job->dir);
    mem_free(job->temp_dir);
    mem_free(job);
}

static void reply_error(struct job *job, const char *description) {
    reply_pxp_error(job->agent, span_of(job->sender), job->request.transaction_id, span_of(job->request_id),
                    span_of(description));
}

/* False: the job has been answered and freed. */
static bool prepare_transaction(struct job *job) {
    struct agent *a = job->agent;
    struct span id = job->request.transaction_id;
    if (!spool_id_valid(id)) {
        reply_error(job, "invalid transaction id");
        job_free(job);
        return false;
    }
    if (map_get(&a->transactions, id) != NULL || spool_exists(a->world, a->spool_dir, id)) {
        log_debug(a->log, "Nothing to do for the %s: already running or done", job->label);
        reply_provisional(a, span_of(job->sender), id, buf_span(&job->debug));
        job_free(job);
        return false;
    }
    struct error err = ERROR_INIT;
    json_t *record = new_record(job);
    if (!spool_create(a->world, a->spool_dir, id, record, &err)) {
        char *text = str_printf("Failed to initialize the metadata file: %s", err.msg);
        log_error(a->log, "%s", text);
        reply_error(job, text);
        mem_free(text);
        error_clear(&err);
        json_decref(record);
        job_free(job);
        return false;
    }
    job->record = record;
    job->dir = spool_path(a->spool_dir, id, NULL);
    map_put(&a->transactions, id, job);
    reply_provisional(a, span_of(job->sender), id, buf_span(&job->debug));
    return true;
}

void job_start(struct agent *a, const struct agent_module *module, struct pxp_request *request, struct span sender,
               struct span request_id, struct span debug) {
    struct job *job = mem_zalloc(sizeof *job);
    job->agent = a;
    job->module = module;
    job->action = pxp_module_action(module->spec, request->action);
    job->request = *request;
    *request = (struct pxp_request){0};
    job->sender = span_dup(sender);
    job->request_id = span_dup(request_id);
    buf_append_span(&job->debug, debug);
    job->label = label_of(job->request.blocking, job->request.module, job->request.action, job->request.transaction_id);
    list_push_back(&a->jobs, &job->link);
    log_info(a->log, "Processing %s, request ID %s, by %s", job->label, job->request_id, job->sender);
    if (a->jobs.count > a->config->jobs_max) {
        reply_error(job, "too many requests are being processed");
        job_free(job);
        return;
    }
    if (job->request.blocking || prepare_transaction(job)) {
        module->run(job);
    }
}

/* ---------------------------------------------------------------------------------------- end */

static void finish_record(struct agent *a, json_t *record, struct outcome *outcome) {
    struct error err = ERROR_INIT;
    struct span id = json_span(json_object_get(record, "transaction_id"));
    spool_record_finish(record, outcome->error == NULL ? PXP_SUCCESS : PXP_FAILURE, world_wall_ms(a->world),
                        outcome->results, outcome->error);
    if (!spool_write_record(a->world, a->spool_dir, id, record, &err)) {
        log_error(a->log, "Failed to write the metadata of the transaction %.*s: %s", (int)id.len, id.ptr, err.msg);
        error_clear(&err);
    }
}

static void end(struct job *job, struct outcome outcome) {
    struct agent *a = job->agent;
    if (outcome.error != NULL) {
        log_error(a->log, "%s", outcome.error);
    } else {
        log_info(a->log, "The %s has completed", job->label);
    }
    if (job->record != NULL) {
        /* First the disk, then the answer: an answered result can always be asked for again. */
        finish_record(a, job->record, &outcome);
        recovery_notify(a, job->record);
    } else if (outcome.error != NULL) {
        reply_error(job, outcome.error);
    } else {
        reply_blocking(a, span_of(job->sender), job->request.transaction_id, span_of(job->request_id), outcome.results,
                       buf_span(&job->debug));
    }
    outcome_free(&outcome);
    job_free(job);
}

void job_results(struct job *job, json_t *results) {
    end(job, (struct outcome){results, NULL});
}

void job_output(struct job *job, int64_t exitcode, struct span out, struct span err) {
    end(job, agent_module_outcome(job->module, job->action, job->label, exitcode, out, err));
}

void job_failed(struct job *job, const char *format, ...) {
    struct buf why = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&why, format, args);
    va_end(args);
    end(job, outcome_failed(job->label, why.ptr != NULL ? why.ptr : ""));
    buf_free(&why);
}

void job_settle(struct agent *a, json_t *record, const struct spool_output *output) {
    const struct agent_module *module = agent_modules_get(a->modules, json_span(json_object_get(record, "module")));
    const struct pxp_action *action =
        module == NULL ? NULL : pxp_module_action(module->spec, json_span(json_object_get(record, "action")));
    char *label = job_record_label(record);
    struct outcome outcome = action == NULL ? outcome_failed(label, "its module is no longer there")
                                            : agent_module_outcome(module, action, label, output->exitcode,
                                                                   buf_span(&output->out), buf_span(&output->err));
    finish_record(a, record, &outcome);
    outcome_free(&outcome);
    mem_free(label);
}

void jobs_abandon(struct agent *a) {
    LIST_EACH_SAFE (it, next, &a->jobs) {
        struct job *job = LIST_ITEM(it, struct job, link);
        if (job->state != NULL) {
            job->abandon(job);
        }
        if (job->process != NULL) { /* it runs on, with its files */
            mem_free(job->temp_dir);
            job->temp_dir = NULL;
        }
        process_abandon(job);
        job_free(job);
    }
}
