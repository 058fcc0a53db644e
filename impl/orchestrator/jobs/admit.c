/* Who starts next. A job that has nodes waiting and may run one more stands in its pool's list of turns; whoever comes
 * first there starts one node and goes to the end. Nothing is searched. */
#include "orchestrator/jobs/internal.h"

bool pool_has_room(const struct pool *p) {
    return p->limit == 0 || p->used < p->limit;
}

static bool wants_turn(const struct job *j) {
    return j->durable && !j->stop_asked && !list_empty(&j->queue) &&
           (j->concurrency == 0 || j->running < j->concurrency) && (j->state == JOB_READY || j->state == JOB_RUNNING);
}

void admit_update(struct job *j) {
    bool wants = wants_turn(j);
    if (wants && !list_linked(&j->turn_link)) {
        list_push_back(&j->pool->turns, &j->turn_link);
    } else if (!wants) {
        list_remove(&j->pool->turns, &j->turn_link);
    }
    if (wants) {
        admit_soon(j->engine);
    }
}

/* New work waits while brokers do not take what was sent, while nothing can be written, and when the service ends. */
static bool held_back(const struct engine *e) {
    return e->draining || brokers_busy(e->brokers) || store_error(e->store) != NULL;
}

static void admit_one(struct pool *p) {
    struct job *j = LIST_ITEM(list_pop_front(&p->turns), struct job, turn_link);
    struct run *r = LIST_ITEM(list_pop_front(&j->queue), struct run, link);
    j->engine->metrics.nodes_waiting--;
    list_push_back(&p->turns, &j->turn_link); /* admit_update() takes it out again when it is done */
    run_start(r);
    admit_update(j);
}

static bool may_admit(const struct pool *p) {
    return !list_empty(&p->turns) && pool_has_room(p);
}

static void admit(void *ctx) {
    struct engine *e = ctx;
    for (int n = 0; n < ADMIT_PER_TURN && !held_back(e); n++) {
        struct pool *p = may_admit(&e->deploys) ? &e->deploys : may_admit(&e->tasks) ? &e->tasks : NULL;
        if (p == NULL) {
            return;
        }
        admit_one(p);
    }
    if (!held_back(e) && (may_admit(&e->deploys) || may_admit(&e->tasks))) {
        admit_soon(e);
    }
}

void admit_soon(struct engine *e) {
    if (!held_back(e) && (may_admit(&e->deploys) || may_admit(&e->tasks))) {
        world_timer_start(e->world, &e->admit_timer, 0, admit, e);
    }
}

void run_take_place(struct run *r) {
    r->has_place = true;
    r->job->running++;
    r->job->pool->used++;
    r->job->engine->metrics.nodes_running++;
}

void run_give_place(struct run *r) {
    if (!r->has_place) {
        return;
    }
    r->has_place = false;
    r->job->running--;
    r->job->pool->used--;
    r->job->engine->metrics.nodes_running--;
    admit_update(r->job);
    admit_soon(r->job->engine); /* the place may be for another job */
    engine_check_drained(r->job->engine);
}

void engine_wake(struct engine *e) {
    admit_soon(e);
}
