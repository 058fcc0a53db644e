/* One node's way from request to end (orchestrator-jobs.md §7). */
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/jobs/internal.h"
#include "pxp/status.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

static const struct span no_text = {NULL, 0};

static void on_timer(void *ctx);

static void set_timer(struct run *r, uint64_t ms) {
    world_timer_start(r->job->engine->world, &r->timer, ms, on_timer, r);
}

static uint64_t pcp_timeout_ms(const struct run *r) {
    return (uint64_t)r->job->engine->config->pcp_timeout_s * 1000;
}

static uint64_t status_interval_ms(const struct run *r) {
    return (uint64_t)r->job->engine->config->status_interval_s * 1000;
}

static uint64_t node_timeout_us(const struct run *r) {
    return (uint64_t)r->job->timeout_s * UINT64_C(1000000);
}

static void set_state(struct run *r, enum node_state state) {
    assert(node_state_step((enum node_state)r->state, state));
    job_set_counts(r->job, (enum node_state)r->state, state);
    r->state = (uint8_t)state;
}

static void write_node(struct run *r, int64_t now_ms, struct span run_uuid) {
    bool over = node_state_final((enum node_state)r->state);
    struct store_node_change change = {
        .job = r->job->id,
        .index = r->index,
        .state = (enum node_state)r->state,
        .ts_ms = now_ms,
        .started_ms = r->started_ms,
        .finished_ms = over && r->state != NODE_SKIPPED ? now_ms : 0,
        .run_uuid = run_uuid,
        .event = r->event,
    };
    store_node_update(store_standing(r->job->engine->store), &change);
}

/* The node is at work: everybody may know. */
static void announce(struct run *r) {
    struct job *j = r->job;
    if (r->state != NODE_READY) {
        return;
    }
    r->started_ms = world_wall_ms(j->engine->world);
    set_state(r, NODE_RUNNING);
    r->event = job_event(j, r->index, EVENT_NODE_RUNNING, j->noop ? SPAN("{\"noop\":true}") : SPAN("{\"noop\":false}"));
    write_node(r, r->started_ms, no_text);
}

/* ---------------------------------------------------------------------------------------- ends */

/* Nothing that may still come is about this run any more. */
static void detach(struct run *r) {
    struct engine *e = r->job->engine;
    world_timer_stop(e->world, &r->timer);
    switch ((enum run_phase)r->phase) {
    case PHASE_QUEUED:
        list_remove(&r->job->queue, &r->link);
        e->metrics.nodes_waiting--;
        break;
    case PHASE_ABSENT:
        e->metrics.nodes_absent--;
        break;
    case PHASE_REPORT:
        report_forget(r);
        run_unregister(r);
        break;
    case PHASE_REQUESTED:
    case PHASE_RUNNING:
        run_unregister(r);
        break;
    case PHASE_BLOCKED:
    case PHASE_ENDED:
        break;
    }
    run_unwatch_host(r);
    deploy_outcome_free(r->deploy);
    r->deploy = NULL;
}

static enum event_type end_event(enum node_state state) {
    switch (state) {
    case NODE_FINISHED:
        return EVENT_NODE_FINISHED;
    case NODE_FAILED:
        return EVENT_NODE_FAILED;
    case NODE_SKIPPED:
        return EVENT_NODE_SKIPPED;
    default:
        return EVENT_NODE_ERRORED;
    }
}

void run_end(struct run *r, enum node_state state, struct span detail, struct span run_uuid) {
    struct job *j = r->job;
    if (r->state == NODE_STOPPING && state == NODE_FAILED) {
        run_error(r, "stopped by force");
        return;
    }
    if (state == NODE_FINISHED || state == NODE_FAILED) {
        announce(r); /* an outcome may come without a provisional response: it ran all the same */
    }
    set_state(r, state);
    r->event = job_event(j, r->index, end_event(state), detail);
    write_node(r, world_wall_ms(j->engine->world), run_uuid);
    detach(r);
    r->phase = PHASE_ENDED;
    j->engine->metrics.nodes_ended[state]++;
    run_give_place(r);
    order_ended(r);
    job_check_end(j);
}

void run_error(struct run *r, const char *format, ...) {
    struct buf msg = BUF_INIT, detail = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&msg, format, args);
    va_end(args);
    outcome_error(&detail, r->name, buf_span(&msg));
    run_end(r, r->state == NODE_STOPPING ? NODE_STOPPED : NODE_ERRORED, buf_span(&detail), no_text);
    buf_free(&msg);
    buf_free(&detail);
}

void run_skip(struct run *r, const char *reason) {
    struct buf detail = BUF_INIT;
    outcome_skip(&detail, reason);
    run_end(r, NODE_SKIPPED, buf_span(&detail), no_text);
    buf_free(&detail);
}

/* ---------------------------------------------------------------------------------------- before the request */

/* Of a stopped job nothing starts any more: neither what was refused, or absent, and comes back, nor what waited when
 * the service ended. */
static void skip_stopped(struct run *r) {
    r->phase = PHASE_BLOCKED;
    run_skip(r, "the job was stopped");
}

void run_queue(struct run *r, bool first) {
    struct job *j = r->job;
    if (j->stop_asked) {
        skip_stopped(r);
        return;
    }
    if (r->state == NODE_NEW) {
        set_state(r, NODE_READY);
    }
    r->phase = PHASE_QUEUED;
    if (first) {
        list_push_front(&j->queue, &r->link);
    } else {
        list_push_back(&j->queue, &r->link);
    }
    j->engine->metrics.nodes_waiting++;
    admit_update(j);
}

/* Its turn came, but its agent is not there: it gives way and waits, pcp_timeout in all. */
static void go_absent(struct run *r) {
    struct engine *e = r->job->engine;
    if (r->deadline_us == 0) {
        r->deadline_us = world_now_us(e->world) + pcp_timeout_ms(r) * 1000;
    }
    r->phase = PHASE_ABSENT;
    e->metrics.nodes_absent++;
    run_watch_host(r);
    run_give_place(r);
    uint64_t now = world_now_us(e->world);
    uint64_t left = r->deadline_us > now ? (r->deadline_us - now + 999) / 1000 : 0;
    bool stale = brokers_find(e->brokers, r->name, &(struct brokers_node){0});
    set_timer(r, stale && left > STALE_RETRY_MS ? STALE_RETRY_MS : left);
}

static void come_back(struct run *r) {
    r->job->engine->metrics.nodes_absent--;
    world_timer_stop(r->job->engine->world, &r->timer);
    run_queue(r, true);
}

static void absent_timer(struct run *r) {
    struct engine *e = r->job->engine;
    if (world_now_us(e->world) >= r->deadline_us) {
        run_error(r, "%.*s is not connected to the PCP broker", (int)r->name.len, r->name.ptr);
    } else if (brokers_find(e->brokers, r->name, &(struct brokers_node){0})) {
        come_back(r);
    } else {
        set_timer(r, (r->deadline_us - world_now_us(e->world) + 999) / 1000);
    }
}

void run_start(struct run *r) {
    struct job *j = r->job;
    r->phase = PHASE_REQUESTED;
    if (r->transport != TRANSPORT_PCP) {
        r->phase = PHASE_BLOCKED;
        run_error(r, "%.*s has no agent, and no Bolt server is attached that could reach it over %s", (int)r->name.len,
                  r->name.ptr, node_transport_name((enum node_transport)r->transport));
        return;
    }
    if (j->body_missing) {
        r->phase = PHASE_BLOCKED;
        run_error(r, "the sensitive parameters of the job could not be read any more");
        return;
    }
    if (!request_send(r)) {
        go_absent(r);
        return;
    }
    r->deadline_us = world_now_us(j->engine->world) + node_timeout_us(r);
    run_take_place(r);
    run_register(r);
    run_watch_host(r);
    set_timer(r, pcp_timeout_ms(r));
    if (j->state == JOB_READY) {
        job_enter(j, JOB_RUNNING);
    }
}

/* ---------------------------------------------------------------------------------------- at work */

static uint64_t until_next_question_ms(const struct run *r) {
    uint64_t now = world_now_us(r->job->engine->world), interval = status_interval_ms(r);
    uint64_t left = r->deadline_us > now ? (r->deadline_us - now + 999) / 1000 : 0;
    return left < interval ? left : interval;
}

void run_taken(struct run *r) {
    struct job *j = r->job;
    if (r->phase != PHASE_REQUESTED) {
        return; /* said twice */
    }
    r->phase = PHASE_RUNNING;
    r->asked = false;
    r->status_misses = 0;
    r->deadline_us = world_now_us(j->engine->world) + node_timeout_us(r);
    announce(r);
    if (r->forced) {
        return; /* its timer is set */
    }
    set_timer(r, until_next_question_ms(r));
    if (r->maybe_known || r->sends > 1) {
        run_ask(r); /* the agent may be done already: then nothing else would come */
    }
}

/* After a restart: the agent had taken the request, what became of it is asked. */
void run_resume(struct run *r) {
    struct engine *e = r->job->engine;
    int64_t spent = world_wall_ms(e->world) - r->started_ms;
    uint64_t spent_us = spent > 0 ? (uint64_t)spent * 1000 : 0;
    uint64_t limit = node_timeout_us(r);
    r->phase = PHASE_RUNNING;
    r->sends = 1;
    r->deadline_us = world_now_us(e->world) + (limit > spent_us ? limit - spent_us : 0);
    run_take_place(r);
    run_register(r);
    run_watch_host(r);
    set_timer(r, r->forced ? pcp_timeout_ms(r) : until_next_question_ms(r));
    run_presence(r, true);
}

/* Asks the agent what became of the transaction. A node that cannot be reached counts as one that does not answer;
 * while no broker at all is connected nothing counts. */
void run_ask(struct run *r) {
    struct engine *e = r->job->engine;
    if (brokers_any_open(e->brokers)) {
        r->asked = true;
        if (status_send(r)) {
            e->metrics.status_queries++;
        }
    }
}

static void too_silent(struct run *r) {
    run_error(r, "%.*s has not answered %u status queries", (int)r->name.len, r->name.ptr,
              r->job->engine->config->allowed_status_requests);
}

/* The time for an answer is over (or none was asked for yet). False: the run has ended. */
static bool ask_again(struct run *r) {
    struct engine *e = r->job->engine;
    if (r->asked) {
        e->metrics.status_timeouts++;
        r->status_misses++;
        if (r->status_misses >= e->config->allowed_status_requests) {
            too_silent(r);
            return false;
        }
    }
    r->asked = false;
    run_ask(r);
    return true;
}

static void timed_out(struct run *r) {
    kill_send(r);
    run_error(r, "the time limit of %u s is over", r->job->timeout_s);
}

static void running_timer(struct run *r) {
    if (r->forced) {
        run_error(r, "stopped by force, but %.*s did not say that the work has ended", (int)r->name.len, r->name.ptr);
    } else if (world_now_us(r->job->engine->world) >= r->deadline_us) {
        timed_out(r);
    } else if (ask_again(r)) {
        set_timer(r, until_next_question_ms(r));
    }
}

static void requested_timer(struct run *r) {
    if (r->forced) {
        run_error(r, "stopped by force before %.*s had taken the request", (int)r->name.len, r->name.ptr);
    } else if (world_now_us(r->job->engine->world) >= r->deadline_us) {
        timed_out(r);
    } else if (ask_again(r)) {
        set_timer(r, status_interval_ms(r));
    }
}

static void on_timer(void *ctx) {
    struct run *r = ctx;
    switch ((enum run_phase)r->phase) {
    case PHASE_ABSENT:
        absent_timer(r);
        break;
    case PHASE_REQUESTED:
        requested_timer(r);
        break;
    case PHASE_RUNNING:
        running_timer(r);
        break;
    default:
        assert(false); /* the other phases have no timer */
    }
}

/* ---------------------------------------------------------------------------------------- what the agent says */

static void task_answered(struct run *r, const json_t *results) {
    struct buf detail = BUF_INIT;
    enum node_state state;
    if (outcome_task_results(results, &state, &detail)) {
        run_end(r, state, buf_span(&detail), no_text);
    } else {
        run_error(r, "%.*s sent a result without an exit code", (int)r->name.len, r->name.ptr);
    }
    buf_free(&detail);
}

static void deploy_answered(struct run *r, const json_t *results) {
    struct deploy_outcome *o = outcome_deploy(results);
    if (o == NULL) {
        run_error(r, "%.*s sent an invalid response about its Puppet run", (int)r->name.len, r->name.ptr);
    } else if (!deploy_outcome_ran(o)) {
        run_error(r, "%s", o->error != NULL ? o->error : o->error_type != NULL ? o->error_type : "Puppet did not run");
        deploy_outcome_free(o);
    } else {
        r->deploy = o;
        announce(r);
        r->phase = PHASE_REPORT;
        r->asked = false;
        world_timer_stop(r->job->engine->world, &r->timer);
        report_await(r);
    }
}

void run_answered(struct run *r, const json_t *results) {
    if (r->phase != PHASE_REQUESTED && r->phase != PHASE_RUNNING) {
        return;
    }
    if (r->job->type == JOB_DEPLOY) {
        deploy_answered(r, results);
    } else {
        task_answered(r, results);
    }
}

void run_failed(struct run *r, struct span description) {
    if (r->phase != PHASE_REQUESTED && r->phase != PHASE_RUNNING) {
        return;
    }
    if (span_eq_cstr(description, "unknown module: task")) {
        run_error(r, "the agent of %.*s cannot run tasks: Puppet agent 5.1.0 or newer is needed", (int)r->name.len,
                  r->name.ptr);
    } else {
        run_error(r, "%.*s", (int)description.len, description.ptr);
    }
}

/* The agent knows nothing of the transaction: before it took the request, that is a request lost; later, a result. */
static void unknown_there(struct run *r, const struct pxp_status *s) {
    if (r->phase == PHASE_REQUESTED && r->sends <= RESENDS_MAX) {
        r->asked = false;
        r->status_misses = 0;
        request_send(r); /* not connected: the timer asks again */
        set_timer(r, pcp_timeout_ms(r));
        return;
    }
    json_t *said = json_parse(s->stdout_text, "status", NULL);
    const char *why = json_str(json_object_get(said, "_error"), "msg");
    run_error(r, "%.*s does not know what became of the run%s%s", (int)r->name.len, r->name.ptr,
              why != NULL ? ": " : "", why != NULL ? why : "");
    json_decref(said);
}

/* Status answers about work the agent could not do carry an error object in place of output. */
static const char *execution_error(json_t *said) {
    const json_t *error = json_object_get(said, "_error");
    const char *kind = json_str(error, "kind");
    return kind != NULL && strcmp(kind, "puppetlabs.pxp-agent/execution-error") == 0 ? json_str(error, "msg") : NULL;
}

static void ended_there(struct run *r, const struct pxp_status *s, const json_t *results) {
    json_t *said = s->state == PXP_FAILURE ? json_parse(s->stdout_text, "status", NULL) : NULL;
    const char *error = execution_error(said);
    if (error != NULL) {
        run_failed(r, span_of(error));
    } else {
        run_answered(r, results);
    }
    json_decref(said);
}

void run_status(struct run *r, const json_t *results) {
    struct pxp_status s;
    struct error err = ERROR_INIT;
    if (r->phase != PHASE_REQUESTED && r->phase != PHASE_RUNNING) {
        return;
    }
    if (!pxp_status_from_json(results, &s, &err)) {
        log_warn(r->job->engine->log, "%.*s: bad status answer: %s", (int)r->name.len, r->name.ptr, err.msg);
        error_clear(&err);
        return;
    }
    r->asked = false;
    r->status_misses = 0;
    switch (s.state) {
    case PXP_RUNNING:
        run_taken(r);
        break;
    case PXP_SUCCESS:
    case PXP_FAILURE:
        ended_there(r, &s, results);
        break;
    case PXP_UNKNOWN:
    case PXP_UNDETERMINED:
        unknown_there(r, &s);
        break;
    }
}

/* The broker (or the agent, of a message it could not read) sent our message back. */
void run_refused(struct run *r, enum id_kind kind, struct span text) {
    if (kind != ID_RUN || r->phase != PHASE_REQUESTED) {
        return; /* questions are repeated by the timer anyway */
    }
    if (!span_eq_cstr(text, "Not connected.")) {
        run_error(r, "the request to %.*s was refused: %.*s", (int)r->name.len, r->name.ptr, (int)text.len, text.ptr);
    } else if (r->sends > 1) {
        return; /* an earlier one may have arrived: the timer asks */
    } else if (r->was_refused) {
        run_error(r, "%.*s is not connected to the PCP broker", (int)r->name.len, r->name.ptr);
    } else {
        r->was_refused = true;
        r->sends = 0;
        r->deadline_us = 0;
        run_unregister(r);
        if (r->job->stop_asked) {
            skip_stopped(r);
        } else {
            go_absent(r);
        }
    }
}

void run_presence(struct run *r, bool connected) {
    if (!connected) {
        return; /* no failure: the agent goes on, and its spool answers later */
    }
    if (r->phase == PHASE_ABSENT) {
        come_back(r);
    } else if (r->phase == PHASE_RUNNING || r->phase == PHASE_REQUESTED) {
        if (r->forced) {
            kill_send(r);
        } else {
            set_timer(r, r->phase == PHASE_RUNNING ? until_next_question_ms(r) : status_interval_ms(r));
        }
        run_ask(r);
    }
}

/* ---------------------------------------------------------------------------------------- force */

void run_force(struct run *r) {
    if (r->forced || (r->phase != PHASE_REQUESTED && r->phase != PHASE_RUNNING)) {
        return; /* of one that awaits its report the agent is done */
    }
    r->forced = true;
    set_state(r, NODE_STOPPING);
    write_node(r, world_wall_ms(r->job->engine->world), no_text);
    kill_send(r);
    set_timer(r, pcp_timeout_ms(r));
}
