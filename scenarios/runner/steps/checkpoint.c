/* checkpoint: the invariants now. What the simulated world watches by itself comes first; then, in both worlds, every
 * job as the API tells it: its events in order and each once, each node with one end and no more, and the ends as the
 * job counts them. */
#include "base/map.h"
#include "base/mem.h"
#include "scenarios/runner/run.h"
#include <inttypes.h>
#include <string.h>

struct checking {
    json_t *jobs; /* of the list, yet to be looked at */
    size_t at;
};

static void next_job(struct run *r);

static void forget(struct run *r, void *state) {
    struct checking *c = state;
    (void)r;
    json_decref(c->jobs);
    mem_free(c);
}

static const char *const ends[] = {"node_finished", "node_failed", "node_errored", "node_skipped"};

static bool is_end(const char *type) {
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        if (str_eq(type, ends[i])) {
            return true;
        }
    }
    return false;
}

static const char *node_of(const json_t *event) {
    const json_t *node = json_object_get(json_object_get(event, "details"), "node");
    return json_is_object(node) ? json_str(node, "name") : json_string_value(node);
}

/* False after writing what is wrong. */
static bool check_events(const json_t *job, const json_t *items, struct buf *broken) {
    struct map ended = MAP_INIT;
    uint64_t last = 0, id;
    size_t i, count = 0;
    json_t *event;
    const char *name = json_str(job, "name");
    json_array_foreach(items, i, event) {
        const char *text = json_str(event, "id"), *type = json_str(event, "type");
        const char *node = is_end(type) ? node_of(event) : NULL;
        if (text == NULL || !span_to_u64(span_of(text), &id) || id <= last) {
            buf_printf(broken, "job %s: event %s stands behind %" PRIu64 "; ", name, text != NULL ? text : "(none)",
                       last);
        } else {
            last = id;
        }
        if (node != NULL && map_put(&ended, span_of(node), event) != NULL) {
            buf_printf(broken, "job %s: %s has ended twice; ", name, node);
        }
        count += node != NULL ? 1 : 0;
    }
    map_free(&ended);
    const char *state = json_str(job, "state");
    bool over = str_eq(state, "finished") || str_eq(state, "failed") || str_eq(state, "stopped");
    int64_t nodes = json_int(job, "node_count", -1);
    if (over && nodes >= 0 && (int64_t)count != nodes) {
        buf_printf(broken, "job %s is %s with %zu ends of %" PRId64 " nodes; ", name, state, count, nodes);
    }
    return broken->len == 0;
}

static void on_events(struct run *r, const struct answer *a) {
    struct checking *c = run_kept(r);
    struct buf broken = BUF_INIT;
    const json_t *job = json_array_get(c->jobs, c->at);
    if (a->status != 200) {
        buf_printf(&broken, "job %s cannot be read: %d %s", json_str(job, "name"), a->status,
                   a->status != 0 ? a->text : a->error);
    } else {
        check_events(job, json_object_get(a->json, "items"), &broken);
    }
    if (broken.len != 0) {
        run_step_failed(r, "all invariants hold", broken.ptr);
    } else {
        c->at++;
        next_job(r);
    }
    buf_free(&broken);
}

static void next_job(struct run *r) {
    struct checking *c = run_kept(r);
    const json_t *job = json_array_get(c->jobs, c->at);
    if (job == NULL) {
        run_step_done(r, NULL);
        return;
    }
    char *url = str_printf("%s/orchestrator/v1/jobs/%s/events?start=0", run_service_url(r, "orchestrator"),
                           json_str(job, "name"));
    run_request(r, &(struct ask){.url = url}, on_events);
    mem_free(url);
}

static void on_jobs(struct run *r, const struct answer *a) {
    struct checking *c = run_kept(r);
    if (a->status == 200) {
        c->jobs = json_incref(json_object_get(a->json, "items"));
        next_job(r);
    } else {
        char *seen = a->status != 0 ? str_printf("%d %s", a->status, a->text) : str_printf("no answer: %s", a->error);
        run_step_failed(r, "the list of jobs", seen);
        mem_free(seen);
    }
}

static void begin(struct run *r, const json_t *args) {
    struct stage *s = run_stage(r);
    struct buf broken = BUF_INIT;
    (void)args;
    if (!s->ops->sound(s, &broken)) {
        run_step_failed(r, "all invariants hold", broken.ptr);
        buf_free(&broken);
        return;
    }
    run_keep(r, mem_zalloc(sizeof(struct checking)), forget);
    char *url = str_printf("%s/orchestrator/v1/jobs?limit=1000", run_service_url(r, "orchestrator"));
    run_request(r, &(struct ask){.url = url}, on_jobs);
    mem_free(url);
}

const struct step_kind checkpoint_steps[] = {
    {"checkpoint", "assert the invariants now", &shape_any, begin},
    {NULL, NULL, NULL, NULL},
};
