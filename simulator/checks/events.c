/* Invariants 5 and 6: the event stream as clients read it, page by page; and, since events are in the order in which
 * things happened, how many nodes ran at once. */
#include "simulator/checks/internal.h"

#include "base/digest.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

static struct span key_of(char text[24], uint64_t id) {
    return span_bytes(text, (size_t)snprintf(text, 24, "%020llu", (unsigned long long)id));
}

void events_free(struct checks *c) {
    for (struct map_iter i = map_iter(&c->events); map_next(&i);) {
        struct tracked_event *e = i.value;
        mem_free(e->node);
        mem_free(e);
    }
    map_free(&c->events);
    map_free(&c->event_texts);
}

static void keep_sorted(struct tracked_job *job, uint64_t id) {
    job->event_ids = mem_grow(job->event_ids, &job->event_cap, job->event_count + 1, sizeof(uint64_t));
    size_t at = job->event_count++;
    for (; at > 0 && job->event_ids[at - 1] > id; at--) {
        job->event_ids[at] = job->event_ids[at - 1];
    }
    job->event_ids[at] = id;
}

static void new_event(struct checks *c, struct tracked_job *job, uint64_t id, const json_t *item, uint64_t hash) {
    const char *type = json_str(item, "type"), *node = json_str(json_object_get(item, "details"), "node");
    if (id < job->announced) {
        violate(c, 6, "event %llu of job %s appeared after clients had been told of all below %llu",
                (unsigned long long)id, job->id, (unsigned long long)job->announced);
    }
    struct tracked_event *e = mem_zalloc(sizeof(*e));
    char key[24];
    e->id = id;
    e->job = job;
    e->hash = hash;
    e->node = str_dup(node);
    strncpy(e->type, type != NULL ? type : "", sizeof(e->type) - 1);
    map_put(&c->events, key_of(key, id), e);
    map_put(&c->event_texts, span_bytes((const char *)&hash, sizeof(hash)), e);
    keep_sorted(job, id);
    c->seen.events++;
}

static void see(struct checks *c, struct tracked_job *job, uint64_t id, struct span text, const json_t *item,
                uint64_t hash) {
    char key[24];
    const struct tracked_event *known = map_get(&c->events, key_of(key, id));
    if (known == NULL) {
        new_event(c, job, id, item, hash);
    } else if (known->job != job) {
        violate(c, 6, "event %llu belongs to job %s and to job %s", (unsigned long long)id, known->job->id, job->id);
    } else if (known->hash != hash) {
        violate(c, 6, "event %llu of job %s reads differently now: %.*s", (unsigned long long)id, job->id,
                (int)text.len, text.ptr);
    }
}

/* Its id goes to id. False: it does not stand where it may. */
static bool see_item(struct checks *c, struct tracked_job *job, struct span text, uint64_t behind, uint64_t start,
                     uint64_t *id) {
    uint64_t hash = hash64(1, text.ptr, text.len);
    const struct tracked_event *known = map_get(&c->event_texts, span_bytes((const char *)&hash, sizeof(hash)));
    json_t *item = known == NULL ? json_parse(text, "checks", NULL) : NULL;
    const char *number = json_str(item, "id");
    *id = known != NULL ? known->id : 0;
    bool ok = known != NULL || (number != NULL && span_to_u64(span_of(number), id));
    ok = ok && *id > behind && *id >= start;
    if (ok) {
        see(c, job, *id, text, item, hash);
    } else {
        violate(c, 6, "job %s: event %.*s stands behind %llu in what was read from %llu", job->id, (int)text.len,
                text.ptr, (unsigned long long)behind, (unsigned long long)start);
    }
    json_decref(item);
    return ok;
}

/* Every event known in [start, next) must be on the page; they are in order on both sides. */
static void check_complete(struct checks *c, const struct tracked_job *job, uint64_t start, uint64_t next,
                           const uint64_t *page, size_t count) {
    size_t at = 0;
    for (size_t i = 0; i < job->event_count && job->event_ids[i] < next; i++) {
        if (job->event_ids[i] < start) {
            continue;
        }
        while (at < count && page[at] < job->event_ids[i]) {
            at++;
        }
        if (at == count || page[at] != job->event_ids[i]) {
            violate(c, 6, "event %llu of job %s is missing when read from %llu", (unsigned long long)job->event_ids[i],
                    job->id, (unsigned long long)start);
        }
    }
}

void events_page(struct checks *c, struct tracked_job *job, uint64_t start, const struct page *page) {
    size_t count = page->count;
    uint64_t *ids = mem_array(count + 1, sizeof(*ids)), before = 0, next = 0;
    for (size_t i = 0; i < count; i++) {
        if (!see_item(c, job, page->items[i], before, start, &ids[i])) {
            mem_free(ids);
            return;
        }
        before = ids[i];
    }
    const char *text = json_str(json_object_get(page->rest, "next-events"), "event");
    if (text == NULL || !span_to_u64(span_of(text), &next) || (count != 0 && next <= before) || next < start) {
        violate(c, 6, "job %s: the next event after %llu is said to be %s", job->id, (unsigned long long)before,
                text != NULL ? text : "(none)");
    } else {
        check_complete(c, job, start, next, ids, count);
        if ((start <= 1 || start <= job->announced) && next > job->announced) {
            job->announced = next;
        }
    }
    mem_free(ids);
}

/* ---- concurrency */

struct running {
    uint64_t tasks, deploys;
    struct map jobs; /* id → size_t */
};

static size_t *of_job(struct running *r, const struct tracked_job *job) {
    size_t *n = map_get_cstr(&r->jobs, job->id);
    if (n == NULL) {
        n = mem_zalloc(sizeof(*n));
        map_put(&r->jobs, span_of(job->id), n);
    }
    return n;
}

static void check_limit(struct checks *c, const struct tracked_event *e, uint64_t running, uint64_t limit,
                        const char *what) {
    if (limit != 0 && running > limit) {
        violate(c, 5, "%llu nodes of %s run at event %llu; the limit is %llu", (unsigned long long)running, what,
                (unsigned long long)e->id, (unsigned long long)limit);
    }
}

static void count_event(struct checks *c, struct running *r, struct map *ran, const struct tracked_event *e) {
    if (e->node == NULL || strncmp(e->type, "node_", 5) != 0) {
        return;
    }
    bool deploy = str_eq(e->job->type, "deploy");
    uint64_t *all = deploy ? &r->deploys : &r->tasks;
    size_t *job = of_job(r, e->job);
    char *key = str_printf("%s %s", e->job->id, e->node);
    if (strcmp(e->type, "node_running") == 0) {
        if (map_put(ran, span_of(key), c) == NULL) {
            ++*all;
            ++*job;
            check_limit(c, e, *all, deploy ? c->opts.deploy_limit : c->opts.task_limit, deploy ? "deploys" : "tasks");
            check_limit(c, e, *job, e->job->concurrency, "one job");
        }
    } else if (map_remove(ran, span_of(key)) != NULL) {
        --*all;
        --*job;
    }
    mem_free(key);
}

/* Clients read from anywhere: only by its number is known where an event stands. */
static void tell_job(struct checks *c, const struct tracked_event *e) {
    if (e->node != NULL && strncmp(e->type, "node_", 5) == 0) {
        jobs_node_event(c, e->job, e->type, e->node);
    } else if (strcmp(e->type, "job_finished") == 0 || strcmp(e->type, "job_aborted") == 0) {
        if (e->job->over) {
            violate(c, 7, "job %s ended a second time (event %llu)", e->job->id, (unsigned long long)e->id);
        }
        e->job->over = true;
    } else if (e->job->over) {
        violate(c, 7, "job %s goes on after its end (event %llu)", e->job->id, (unsigned long long)e->id);
    }
}

static int by_id(const void *a, const void *b) {
    const struct tracked_event *x = *(const struct tracked_event *const *)a,
                               *y = *(const struct tracked_event *const *)b;
    return x->id < y->id ? -1 : x->id > y->id;
}

void events_finish(struct checks *c) {
    size_t count = 0;
    struct tracked_event **all = mem_array(map_count(&c->events) + 1, sizeof(*all));
    for (struct map_iter i = map_iter(&c->events); map_next(&i);) {
        all[count++] = i.value;
    }
    qsort(all, count, sizeof(*all), by_id);
    struct running r = {0, 0, MAP_INIT};
    struct map ran = MAP_INIT;
    for (size_t i = 0; i < count; i++) {
        tell_job(c, all[i]);
        count_event(c, &r, &ran, all[i]);
    }
    for (struct map_iter i = map_iter(&r.jobs); map_next(&i);) {
        mem_free(i.value);
    }
    map_free(&r.jobs);
    map_free(&ran);
    mem_free(all);
}
