/* Invariants 1, 3, 7 and 9, from what the API says to its clients. */
#include "simulator/checks/internal.h"

#include "base/digest.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define API "/orchestrator/v1"

/* ---- states: which may be seen after which (orchestrator-jobs.md §2, §3) */

enum { JOB_NEW, JOB_READY, JOB_RUNNING, JOB_STOPPING, JOB_STOPPED, JOB_FINISHED, JOB_FAILED, JOB_STATES };
static const char *const job_states[JOB_STATES] = {"new",     "ready",    "running", "stopping",
                                                   "stopped", "finished", "failed"};
/* The arrows of the diagram. */
static const unsigned job_next[JOB_STATES] = {
    [JOB_NEW] = 1 << JOB_READY | 1 << JOB_STOPPED | 1 << JOB_FAILED,
    [JOB_READY] = 1 << JOB_RUNNING | 1 << JOB_STOPPING | 1 << JOB_STOPPED | 1 << JOB_FAILED,
    [JOB_RUNNING] = 1 << JOB_STOPPING | 1 << JOB_FINISHED | 1 << JOB_FAILED,
    [JOB_STOPPING] = 1 << JOB_STOPPED,
};

enum {
    NODE_NEW,
    NODE_READY,
    NODE_RUNNING,
    NODE_STOPPING,
    NODE_FINISHED,
    NODE_FAILED,
    NODE_ERRORED,
    NODE_SKIPPED,
    NODE_STOPPED,
    NODE_STATES,
};
static const char *const node_states[NODE_STATES] = {"new",    "ready",   "running", "stopping", "finished",
                                                     "failed", "errored", "skipped", "stopped"};
static const unsigned node_next[NODE_STATES] = {
    [NODE_NEW] = 1 << NODE_READY | 1 << NODE_RUNNING | 1 << NODE_ERRORED | 1 << NODE_SKIPPED,
    [NODE_READY] = 1 << NODE_RUNNING | 1 << NODE_ERRORED | 1 << NODE_SKIPPED,
    [NODE_RUNNING] = 1 << NODE_STOPPING | 1 << NODE_FINISHED | 1 << NODE_FAILED | 1 << NODE_ERRORED | 1 << NODE_STOPPED,
    [NODE_STOPPING] = 1 << NODE_FINISHED | 1 << NODE_FAILED | 1 << NODE_ERRORED | 1 << NODE_STOPPED,
};

/* Several arrows may lie between two looks. */
static bool reachable(const unsigned *next, int from, int to) {
    if (from == to) {
        return true;
    }
    for (int i = from + 1; i <= to; i++) {
        if ((next[from] >> i & 1u) != 0 && reachable(next, i, to)) {
            return true;
        }
    }
    return false;
}

/* Looks arrive in another order than they were taken. Keeps the latest; false when the two do not fit together. */
static bool fits(const unsigned *next, int *known, uint64_t *known_as_of, int state, uint64_t as_of) {
    bool later = as_of >= *known_as_of;
    bool ok = *known < 0 || (later ? reachable(next, *known, state) : reachable(next, state, *known));
    if (later) {
        *known = state;
        *known_as_of = as_of;
    }
    return ok;
}

static int state_of(const char *const *names, int count, const char *name) {
    for (int i = 0; name != NULL && i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

/* ---- what is known */

struct tracked_job *job_of(struct checks *c, struct span id) {
    struct tracked_job *job = map_get(&c->jobs, id);
    if (job == NULL) {
        job = mem_zalloc(sizeof(*job));
        job->id = span_dup(id);
        job->state = -1;
        map_put(&c->jobs, id, job);
        c->job_order = mem_grow(c->job_order, &c->job_cap, c->job_count + 1, sizeof(struct tracked_job *));
        c->job_order[c->job_count++] = job;
    }
    return job;
}

struct tracked_node *node_of(struct tracked_job *job, const char *name) {
    struct tracked_node *node = map_get_cstr(&job->nodes, name);
    if (node == NULL) {
        node = mem_zalloc(sizeof(*node));
        node->name = str_dup(name);
        node->state = -1;
        map_put(&job->nodes, span_of(name), node);
        job->node_order = mem_grow(job->node_order, &job->node_cap, job->node_count + 1, sizeof(struct tracked_node *));
        job->node_order[job->node_count++] = node;
    }
    return node;
}

void jobs_free(struct checks *c) {
    for (size_t i = 0; i < c->job_count; i++) {
        struct tracked_job *job = c->job_order[i];
        for (size_t n = 0; n < job->node_count; n++) {
            mem_free(job->node_order[n]->name);
            mem_free(job->node_order[n]);
        }
        for (struct map_iter k = map_iter(&job->node_texts); map_next(&k);) {
            mem_free(k.value);
        }
        map_free(&job->node_texts);
        map_free(&job->nodes);
        mem_free(job->node_order);
        mem_free(job->event_ids);
        mem_free(job->id);
        mem_free(job->command);
        mem_free(job->type);
        mem_free(job);
    }
    mem_free(c->job_order);
    map_free(&c->jobs);
}

size_t checks_job_count(const struct checks *c) {
    size_t count = 0;
    for (size_t i = 0; i < c->job_count; i++) {
        count += c->job_order[i]->acknowledged;
    }
    return count;
}

const char *checks_job_id(const struct checks *c, size_t i) {
    for (size_t j = 0; j < c->job_count; j++) {
        if (c->job_order[j]->acknowledged && i-- == 0) {
            return c->job_order[j]->id;
        }
    }
    return NULL;
}

/* ---- answers to commands */

static void acknowledged(struct checks *c, const struct watched *w, const struct api_request *r, const char *command,
                         const json_t *answer) {
    const char *id = json_str(json_object_get(answer, "job"), "name");
    if (id == NULL || strcmp(command, "stop") == 0) {
        return;
    }
    struct tracked_job *job = job_of(c, span_of(id));
    if (job->acknowledged) {
        violate(c, 3, "job %s was acknowledged twice", id);
        return;
    }
    job->acknowledged = true;
    job->command = str_dup(command);
    c->seen.jobs_acknowledged++;
    json_t *request = json_parse(buf_span(&r->body), "checks", NULL);
    if (c->opts.permitted != NULL && !c->opts.permitted(c->opts.ctx, r->token, w->common_name, command, request)) {
        violate(c, 9, "job %s (%s) was made for somebody without the permission", id, command);
    }
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(json_object_get(request, "scope"), "nodes"), i, name) {
        if (json_is_string(name)) {
            node_of(job, json_string_value(name))->asked = true;
        }
    }
    json_decref(request);
}

/* ---- looks at jobs */

static void check_history(struct checks *c, const struct tracked_job *job, const json_t *history) {
    size_t i;
    json_t *entry;
    int before = -1;
    json_array_foreach(history, i, entry) {
        int state = state_of(job_states, JOB_STATES, json_str(entry, "state"));
        if (state < 0 || (before < 0 && state != JOB_NEW) || (before >= 0 && (job_next[before] >> state & 1u) == 0)) {
            violate(c, 7, "the history of job %s goes from %s to %s", job->id,
                    before < 0 ? "nothing" : job_states[before],
                    json_str(entry, "state") != NULL ? json_str(entry, "state") : "nothing");
            return;
        }
        before = state;
    }
}

static void look_at_job(struct checks *c, struct tracked_job *job, uint64_t as_of, const json_t *object) {
    const char *name = json_str(object, "state");
    int state = state_of(job_states, JOB_STATES, name), before = job->state;
    if (state < 0 || !fits(job_next, &job->state, &job->as_of, state, as_of)) {
        violate(c, 7, "job %s went from %s to %s", job->id, before < 0 ? "nothing" : job_states[before],
                name != NULL ? name : "nothing");
    }
    if (job->type == NULL) {
        job->type = str_dup(json_str(object, "type"));
        job->concurrency = (uint32_t)json_int(json_object_get(object, "options"), "concurrency", 0);
    }
    check_history(c, job, json_object_get(object, "status"));
}

/* What the list says of a node; text: not seen before. NULL: nothing. */
static struct node_text *read_node(struct checks *c, struct tracked_job *job, struct span text) {
    json_t *item = json_parse(text, "checks", NULL);
    const char *name = json_str(item, "name"), *said = json_str(item, "state");
    int state = state_of(node_states, NODE_STATES, said);
    struct node_text *t = NULL;
    if (name == NULL || state < 0) {
        violate(c, 7, "job %s lists a node without a name or with state %s", job->id, said != NULL ? said : "nothing");
    } else {
        if (job->nodes_read && map_get_cstr(&job->nodes, name) == NULL) {
            violate(c, 7, "job %s has a node it did not have before: %s", job->id, name);
        }
        t = mem_zalloc(sizeof(*t));
        *t = (struct node_text){node_of(job, name), state};
        if (c->opts.node != NULL) {
            c->opts.node(c->opts.ctx, job->id, item);
        }
    }
    json_decref(item);
    return t;
}

static void look_at_nodes(struct checks *c, struct tracked_job *job, uint64_t as_of, const struct page *page) {
    for (size_t i = 0; i < page->count; i++) {
        uint64_t hash = hash64(1, page->items[i].ptr, page->items[i].len);
        struct span key = span_bytes((const char *)&hash, sizeof(hash));
        struct node_text *t = map_get(&job->node_texts, key);
        if (t == NULL && (t = read_node(c, job, page->items[i])) != NULL) {
            map_put(&job->node_texts, key, t);
        }
        if (t == NULL) {
            continue;
        }
        struct tracked_node *node = t->node;
        int before = node->state;
        if (!fits(node_next, &node->state, &node->as_of, t->state, as_of)) {
            violate(c, 7, "node %s of job %s went from %s to %s", node->name, job->id, node_states[before],
                    node_states[t->state]);
        }
    }
    job->nodes_read = true;
}

static uint64_t start_of(struct span query) {
    struct span part;
    uint64_t start = 0;
    while (span_split(&query, '&', &part)) {
        if (span_starts_with(part, "start=")) {
            span_to_u64(span_sub(part, 6, part.len), &start);
        }
    }
    return start;
}

/* The whole list: not a page of it. */
static bool is_whole(struct span query) {
    return query.len == 0;
}

static void look_at(struct checks *c, struct tracked_job *job, struct span what, struct span query, uint64_t as_of,
                    struct span body) {
    bool nodes = span_eq_cstr(what, "nodes") && is_whole(query), events = span_eq_cstr(what, "events");
    if (what.len == 0) {
        json_t *object = json_parse(body, "checks", NULL);
        look_at_job(c, job, as_of, object);
        json_decref(object);
    } else if (nodes || events) {
        struct page page;
        page_read(&page, body);
        if (nodes) {
            look_at_nodes(c, job, as_of, &page);
        } else if (page.rest != NULL) { /* a stream of events is no page */
            events_page(c, job, start_of(query), &page);
        }
        page_free(&page);
    }
}

static void look(struct checks *c, struct span path, struct span query, uint64_t as_of, int status, struct span body) {
    struct span id, what;
    span_split(&path, '/', &id);
    what = path;
    if (status == 404) {
        struct tracked_job *job = map_get(&c->jobs, id);
        if (job != NULL && job->acknowledged) {
            violate(c, 3, "job %s was acknowledged and is unknown now", job->id);
        }
        return;
    }
    uint64_t number;
    if (status != 200 || !span_to_u64(id, &number)) {
        return;
    }
    look_at(c, job_of(c, id), what, query, as_of, body);
}

void jobs_response(struct checks *c, const struct watched *w, const struct api_request *r, int status,
                   struct span body) {
    struct span path = span_of(r->target), query = SPAN("");
    ptrdiff_t mark = span_find(path, '?');
    if (mark >= 0) {
        query = span_sub(path, (size_t)mark + 1, path.len);
        path = span_sub(path, 0, (size_t)mark);
    }
    if (!span_starts_with(path, API "/")) {
        return;
    }
    path = span_sub(path, sizeof(API), path.len);
    if (strcmp(r->method, "POST") == 0 && span_starts_with(path, "command/") && status == 202) {
        char *command = span_dup(span_sub(path, 8, path.len));
        json_t *answer = json_parse(body, "checks", NULL);
        acknowledged(c, w, r, command, answer);
        json_decref(answer);
        mem_free(command);
    } else if (strcmp(r->method, "GET") == 0 && span_starts_with(path, "jobs/")) {
        look(c, span_sub(path, 5, path.len), query, r->answered, status, body);
    }
}

/* ---- what events say of nodes */

void jobs_node_event(struct checks *c, struct tracked_job *job, const char *type, const char *name) {
    struct tracked_node *node = node_of(job, name);
    if (strcmp(type, "node_running") == 0) {
        if (node->ran || node->finals != 0) {
            violate(c, 7, "node %s of job %s is running after it %s", name, job->id,
                    node->finals != 0 ? "had ended" : "was running already");
        }
        node->ran = true;
        return;
    }
    if (strcmp(type, "node_skipped") == 0 && node->ran) {
        violate(c, 7, "node %s of job %s was skipped after it ran", name, job->id);
    }
    if (++node->finals > 1) {
        violate(c, 1, "node %s of job %s ended a second time (%s)", name, job->id, type);
    }
}

/* ---- the end */

static void finish_node(struct checks *c, const struct tracked_job *job, const struct tracked_node *node) {
    if (node->state < 0) {
        violate(c, 1, "node %s was asked for and is not in job %s", node->name, job->id);
    } else if (node->state < NODE_FINISHED) {
        violate(c, 1, "node %s of job %s never ended: it is %s", node->name, job->id, node_states[node->state]);
    } else if (node->finals != 1) {
        violate(c, 1, "node %s of job %s is %s, with %d final events", node->name, job->id, node_states[node->state],
                node->finals);
    }
}

void jobs_finish(struct checks *c) {
    for (size_t i = 0; i < c->job_count; i++) {
        const struct tracked_job *job = c->job_order[i];
        if (!job->acknowledged) {
            continue;
        }
        if (job->state < 0) {
            violate(c, 3, "job %s was acknowledged and not seen again", job->id);
            continue;
        }
        if (job->state < JOB_STOPPED) {
            violate(c, 5, "job %s never ended: it is %s", job->id, job_states[job->state]);
        } else if (!job->over) {
            violate(c, 7, "job %s is %s without an event that says so", job->id, job_states[job->state]);
        }
        if (!job->nodes_read && job->node_count != 0) {
            violate(c, 3, "the nodes of job %s cannot be read", job->id);
        }
        for (size_t n = 0; n < job->node_count && job->nodes_read; n++) {
            finish_node(c, job, job->node_order[n]);
        }
    }
}
