/* Run order of application orchestration: who must have finished before whom (orchestrator-jobs.md §9.3). */
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/jobs/internal.h"

#include <stdlib.h>

static int by_producer(const void *a, const void *b) {
    const struct job_edge *x = a, *y = b;
    if (x->producer != y->producer) {
        return x->producer < y->producer ? -1 : 1;
    }
    return x->consumer < y->consumer ? -1 : x->consumer > y->consumer;
}

static void index_edges(struct job *j) {
    qsort(j->edges, j->edge_count, sizeof *j->edges, by_producer);
    j->edge_first = mem_array((size_t)j->run_count + 1, sizeof *j->edge_first);
    for (uint32_t i = 0; i < j->edge_count; i++) {
        j->edge_first[j->edges[i].producer + 1]++;
        j->runs[j->edges[i].consumer].blocked++;
    }
    for (uint32_t i = 0; i < j->run_count; i++) {
        j->edge_first[i + 1] += j->edge_first[i];
    }
}

/* One circle among those that still wait: whoever waits has a producer that waits, too, so going back from one to the
 * next comes round. Names in run order, the first once more at the end. */
static json_t *circle(const struct job *j, const uint32_t *waits) {
    uint32_t *seen = mem_array(j->run_count, sizeof *seen), *path = mem_array(j->run_count, sizeof *path);
    uint32_t at = 0, steps = 0;
    while (waits[at] == 0) {
        at++;
    }
    for (; seen[at] == 0; steps++) {
        path[steps] = at;
        seen[at] = steps + 1;
        for (uint32_t i = 0; i < j->edge_count; i++) {
            if (j->edges[i].consumer == at && waits[j->edges[i].producer] > 0) {
                at = j->edges[i].producer;
                break;
            }
        }
    }
    json_t *names = json_array();
    json_array_append_new(names, json_str_new(j->runs[at].name));
    for (uint32_t i = steps; i-- > seen[at] - 1;) {
        json_array_append_new(names, json_str_new(j->runs[path[i]].name));
    }
    mem_free(seen);
    mem_free(path);
    return names;
}

/* Takes away, again and again, whoever waits for nobody: what is left stands in a circle, or waits for one. */
static bool is_acyclic(const struct job *j, json_t **cycle) {
    uint32_t *waits = mem_array(j->run_count, sizeof *waits), *free_ones = mem_array(j->run_count, sizeof *free_ones);
    uint32_t count = 0, taken = 0;
    for (uint32_t i = 0; i < j->run_count; i++) {
        waits[i] = j->runs[i].blocked;
        if (waits[i] == 0) {
            free_ones[count++] = i;
        }
    }
    for (; taken < count; taken++) {
        uint32_t run = free_ones[taken];
        for (uint32_t i = j->edge_first[run]; i < j->edge_first[run + 1]; i++) {
            if (--waits[j->edges[i].consumer] == 0) {
                free_ones[count++] = j->edges[i].consumer;
            }
        }
    }
    if (taken < j->run_count) {
        *cycle = circle(j, waits);
    }
    mem_free(waits);
    mem_free(free_ones);
    return taken == j->run_count;
}

bool order_set(struct job *j, const struct job_edge *edges, size_t count, struct error *err) {
    if (count == 0) {
        return true;
    }
    j->edges = mem_array(count, sizeof *j->edges);
    for (size_t i = 0; i < count; i++) {
        if (edges[i].producer >= j->run_count || edges[i].consumer >= j->run_count) {
            return error_set(err, "puppetlabs.orchestrator/validation-error", "an edge names no node of the job");
        }
        j->edges[j->edge_count++] = edges[i];
    }
    index_edges(j);
    json_t *cycle = NULL;
    if (!is_acyclic(j, &cycle)) {
        return error_set_details(err, "puppetlabs.orchestrator/dependency-cycle", json_pack("{s:o}", "cycle", cycle),
                                 "The nodes of the job depend on each other in a circle");
    }
    return true;
}

void order_store(const struct job *j, struct buf *out) {
    for (uint32_t i = 0; i < j->edge_count; i++) {
        const struct job_edge *e = &j->edges[i];
        buf_printf(out, "%s[%u,%u,%d]", i == 0 ? "[" : ",", e->producer, e->consumer, e->capability);
    }
    if (j->edge_count != 0) {
        buf_append_char(out, ']');
    }
}

bool order_load(struct job *j, struct span stored) {
    if (stored.len == 0) {
        return true;
    }
    json_t *list = json_parse(stored, "edges", NULL);
    size_t count = json_array_size(list);
    struct job_edge *edges = mem_array(count, sizeof *edges);
    for (size_t i = 0; i < count; i++) {
        const json_t *e = json_array_get(list, i);
        edges[i] = (struct job_edge){
            (uint32_t)json_integer_value(json_array_get(e, 0)),
            (uint32_t)json_integer_value(json_array_get(e, 1)),
            json_integer_value(json_array_get(e, 2)) != 0,
        };
    }
    json_decref(list);
    bool ok = order_set(j, edges, count, NULL);
    mem_free(edges);
    return ok;
}

/* Of a job from before a restart: producers that finished block nobody any more. */
void order_resume(struct job *j) {
    for (uint32_t i = 0; i < j->edge_count; i++) {
        if (j->runs[j->edges[i].producer].state == NODE_FINISHED) {
            j->runs[j->edges[i].consumer].blocked--;
        }
    }
}

bool order_feeds(const struct run *r) {
    const struct job *j = r->job;
    for (uint32_t i = j->edge_count != 0 ? j->edge_first[r->index] : 0;
         j->edge_count != 0 && i < j->edge_first[r->index + 1]; i++) {
        if (j->edges[i].capability) {
            return true;
        }
    }
    return false;
}

static void release(struct run *consumer, const struct run *producer) {
    if (consumer->phase != PHASE_BLOCKED || node_state_final((enum node_state)consumer->state)) {
        return;
    }
    if (producer->state == NODE_FINISHED) {
        if (--consumer->blocked == 0 && !consumer->job->stop_asked) {
            run_queue(consumer, false);
        }
        return;
    }
    char *reason = str_printf("%.*s %s%s", (int)producer->name.len, producer->name.ptr,
                              producer->state == NODE_SKIPPED || producer->state == NODE_STOPPED ? "was " : "",
                              node_state_name((enum node_state)producer->state));
    run_skip(consumer, reason);
    mem_free(reason);
}

/* A skipped node ends in here again: it is put behind, so that a long chain needs no deep stack. */
void order_ended(struct run *r) {
    struct job *j = r->job;
    if (j->edge_count == 0) {
        return;
    }
    list_push_back(&j->order_pending, &r->link);
    if (j->order_busy) {
        return;
    }
    j->order_busy = true;
    for (struct list_link *it; (it = list_pop_front(&j->order_pending)) != NULL;) {
        const struct run *producer = LIST_ITEM(it, struct run, link);
        for (uint32_t i = j->edge_first[producer->index]; i < j->edge_first[producer->index + 1]; i++) {
            release(&j->runs[j->edges[i].consumer], producer);
        }
    }
    j->order_busy = false;
}
