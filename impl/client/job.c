/* A job from its request to its end. Events come as Server-Sent Events where the server streams them, else by polling
 * `next-events`; a lost connection is tried again with growing waits, since the job runs on without us (cli.md §8.5).
 */
#include "base/mem.h"
#include "client/client.h"
#include "client/internal.h"
#include <string.h>

enum { RETRY_FIRST_MS = 1000, RETRY_MAX_MS = 30000, EVENT_BYTES_MAX = 16 * 1024 * 1024 };

struct client_job {
    struct list_link link;
    struct client *client;
    const struct client_job_handler *handler;
    void *ctx;
    char *name;
    const char *collection; /* "jobs" or "plan_jobs" */
    uint64_t next_event;
    struct client_call *call; /* the one under way, or NULL */
    struct client_call *stopping;
    struct timer timer;
    uint64_t wait_ms;    /* the next retry's wait */
    struct buf received; /* of the event stream: bytes not yet taken */
    bool streams;        /* what came so far is an event stream, not a JSON document */
    bool over;           /* the last event has been seen */
    bool left;           /* client_job_leave was called inside one of our callbacks */
    bool busy;           /* inside a callback */
};

struct client_job *client_job_of(struct list_link *link) {
    return LIST_ITEM(link, struct client_job, link);
}

void client_job_drop(struct client_job *job) {
    world_timer_stop(job->client->world, &job->timer);
    client_call_cancel(job->call);
    client_call_cancel(job->stopping);
    list_remove(&job->client->jobs, &job->link);
    buf_free(&job->received);
    mem_free(job->name);
    mem_free(job);
}

void client_job_leave(struct client_job *job) {
    if (job->busy) {
        job->left = true;
    } else {
        client_job_drop(job);
    }
}

const char *client_job_name(const struct client_job *job) {
    return job->name;
}

static void ask_events(struct client_job *job);
static void ask_job(struct client_job *job);

static void finish(struct client_job *job, const struct error *err, const json_t *object) {
    job->busy = true;
    job->handler->on_done(job->ctx, job, err, object);
    client_job_drop(job);
}

/* Worth another try: nobody answered, or the server is in trouble; not: it understood and refused. */
static bool passing(const struct client_reply *r) {
    return r->status == 0 || r->status >= 500 || r->status == 429;
}

static void retry_events(void *ctx) {
    struct client_job *job = ctx;
    if (job->over) {
        ask_job(job);
    } else {
        ask_events(job);
    }
}

static void retry_later(struct client_job *job, const struct error *err) {
    uint64_t wait_ms = job->wait_ms;
    job->wait_ms = wait_ms * 2 < RETRY_MAX_MS ? wait_ms * 2 : RETRY_MAX_MS;
    world_timer_start(job->client->world, &job->timer, wait_ms, retry_events, job);
    if (err != NULL && job->handler->on_retry != NULL) {
        job->handler->on_retry(job->ctx, job, err, wait_ms);
    }
}

static bool ends_job(const json_t *event) {
    const char *type = json_str(event, "type");
    return type != NULL && (strcmp(type, "job_finished") == 0 || strcmp(type, "job_aborted") == 0 ||
                            strcmp(type, "plan_finished") == 0 || strcmp(type, "plan_failed") == 0);
}

/* Hands one event on, unless it was seen before. False: the user has left. */
static bool take_event(struct client_job *job, const json_t *event) {
    uint64_t id = 0;
    if (!span_to_u64(span_of(json_str(event, "id")), &id) || id < job->next_event) {
        return true;
    }
    job->next_event = id + 1;
    job->over = job->over || ends_job(event);
    job->wait_ms = RETRY_FIRST_MS;
    job->busy = true;
    job->handler->on_event(job->ctx, job, event);
    job->busy = false;
    return !job->left;
}

/* ---- the job object at the end */

static void on_job(void *ctx, const struct client_reply *r) {
    struct client_job *job = ctx;
    job->call = NULL;
    if (r->err != NULL && passing(r)) {
        retry_later(job, r->err);
        return;
    }
    finish(job, r->err, r->body);
}

static void ask_job(struct client_job *job) {
    char *path = str_printf("/%s/%s", job->collection, job->name);
    job->call = client_call(job->client, "GET", path, NULL, on_job, job);
    mem_free(path);
}

/* ---- events */

/* One block of an event stream: lines up to an empty one. Only "data:" matters; its JSON has id and type. */
static bool take_block(struct client_job *job, struct span block) {
    struct buf data = BUF_INIT;
    struct span line;
    while (span_split(&block, '\n', &line)) {
        if (span_starts_with(line, "data:")) {
            buf_append_span(&data, span_trim(span_sub(line, 5, line.len)));
        }
    }
    bool go_on = true;
    if (data.len > 0) {
        json_t *event = json_parse(buf_span(&data), "client/not-json", NULL);
        if (json_is_object(event)) {
            go_on = take_event(job, event);
        }
        json_decref(event);
    }
    buf_free(&data);
    return go_on;
}

static bool on_event_bytes(void *ctx, struct span bytes) {
    struct client_job *job = ctx;
    if (job->received.len + bytes.len > EVENT_BYTES_MAX) {
        return false;
    }
    buf_append_span(&job->received, bytes);
    if (!job->streams && job->received.len > 0 && job->received.ptr[0] == '{') {
        return true; /* a JSON document: read it when it is whole */
    }
    job->streams = true;
    ptrdiff_t end;
    size_t taken = 0;
    bool go_on = true;
    struct span rest = buf_span(&job->received);
    while (go_on && (end = span_find_span(rest, SPAN("\n\n"))) >= 0) {
        go_on = take_block(job, span_sub(rest, 0, (size_t)end));
        taken += (size_t)end + 2;
        rest = span_sub(rest, (size_t)end + 2, rest.len);
    }
    buf_consume(&job->received, taken);
    return go_on;
}

static void poll_again(void *ctx) {
    ask_events(ctx);
}

/* A polled page of events; false when the user has left. */
static bool take_page(struct client_job *job) {
    json_t *page = json_parse(buf_span(&job->received), "client/not-json", NULL);
    size_t i;
    json_t *event;
    bool go_on = true;
    json_array_foreach(json_object_get(page, "items"), i, event) {
        if (go_on) {
            go_on = take_event(job, event);
        }
    }
    json_decref(page);
    return go_on;
}

static void on_events_end(void *ctx, const struct client_reply *r) {
    struct client_job *job = ctx;
    job->call = NULL;
    bool page = !job->streams && r->err == NULL;
    if (job->left || (page && !take_page(job))) {
        client_job_drop(job);
    } else if (job->over) {
        ask_job(job);
    } else if (r->err != NULL && !passing(r)) {
        finish(job, r->err, NULL);
    } else if (page) {
        job->wait_ms = RETRY_FIRST_MS;
        world_timer_start(job->client->world, &job->timer, job->client->poll_ms, poll_again, job);
    } else {
        retry_later(job, r->err);
    }
}

static void ask_events(struct client_job *job) {
    buf_clear(&job->received);
    job->streams = false;
    struct buf target = BUF_INIT;
    buf_printf(&target, "/%s/%s/events", job->collection, job->name);
    if (job->next_event != 0) {
        buf_printf(&target, "?start=%llu", (unsigned long long)job->next_event);
    }
    job->call = client_call_streaming(job->client, target.ptr, on_event_bytes, on_events_end, job);
    buf_free(&target);
}

/* ---- start, stop */

static struct client_job *job_new(struct client *c, const char *collection, const struct client_job_handler *handler,
                                  void *ctx) {
    struct client_job *job = mem_zalloc(sizeof(*job));
    job->client = c;
    job->handler = handler;
    job->ctx = ctx;
    job->collection = collection;
    job->wait_ms = RETRY_FIRST_MS;
    list_push_back(&c->jobs, &job->link);
    return job;
}

static void on_accepted(void *ctx, const struct client_reply *r) {
    struct client_job *job = ctx;
    job->call = NULL;
    if (r->err != NULL) {
        finish(job, r->err, NULL);
        return;
    }
    const json_t *object = json_object_get(r->body, "job");
    const char *name = json_str(object != NULL ? object : r->body, "name");
    if (name == NULL) {
        struct error err = ERROR_INIT;
        error_set(&err, "client/protocol", "%s accepted the job but did not name it", job->client->url);
        finish(job, &err, NULL);
        error_clear(&err);
        return;
    }
    job->name = str_dup(name);
    job->busy = true;
    job->handler->on_created(job->ctx, job, job->name);
    job->busy = false;
    if (job->left) {
        client_job_drop(job);
    } else {
        ask_events(job);
    }
}

struct client_job *client_job_start(struct client *c, const char *command, json_t *request,
                                    const struct client_job_handler *handler, void *ctx) {
    struct client_job *job = job_new(c, strcmp(command, "plan_run") == 0 ? "plan_jobs" : "jobs", handler, ctx);
    char *path = str_printf("/command/%s", command);
    job->call = client_call(c, "POST", path, request, on_accepted, job);
    mem_free(path);
    return job;
}

static struct client_job *follow(struct client *c, const char *collection, const char *name, uint64_t from,
                                 const struct client_job_handler *handler, void *ctx) {
    struct client_job *job = job_new(c, collection, handler, ctx);
    job->name = str_dup(name);
    job->next_event = from;
    ask_events(job);
    return job;
}

struct client_job *client_job_follow(struct client *c, const char *name, uint64_t from,
                                     const struct client_job_handler *handler, void *ctx) {
    return follow(c, "jobs", name, from, handler, ctx);
}

struct client_job *client_plan_follow(struct client *c, const char *name, uint64_t from,
                                      const struct client_job_handler *handler, void *ctx) {
    return follow(c, "plan_jobs", name, from, handler, ctx);
}

static void on_stop_answer(void *ctx, const struct client_reply *r) {
    struct client_job *job = ctx;
    job->stopping = NULL;
    if (r->err != NULL && job->handler->on_retry != NULL) {
        job->handler->on_retry(job->ctx, job, r->err, 0);
    }
}

void client_job_stop(struct client_job *job, bool force) {
    if (job->name == NULL || job->stopping != NULL) {
        return;
    }
    bool plan = strcmp(job->collection, "plan_jobs") == 0;
    json_t *body = json_object();
    json_set(body, plan ? "plan_job" : "job", json_string(job->name));
    if (force && !plan) {
        json_set(body, "force", json_true());
    }
    job->stopping =
        client_call(job->client, "POST", plan ? "/command/stop_plan" : "/command/stop", body, on_stop_answer, job);
}
