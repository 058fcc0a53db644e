/* See steady.h. */
#include "simulator/bench/steady.h"

#include "base/json.h"
#include "base/mem.h"
#include "simulator/bench/histogram.h"
#include "simulator/bench/process.h"
#include "simulator/bench/stored.h"

#include <stdlib.h>
#include <string.h>

enum { OVER_S = 60, LOOK_MS = 50, TICK_MS = 1 };

/* One job of the stream. */
struct sent {
    struct stream *stream;
    double due_s;
    int64_t id; /* 0: not answered yet */
    size_t ends;
    double *end_s; /* of its nodes, as they are stored; per_job of them */
};

struct stream {
    const struct steady_opts *opts;
    json_t *names;         /* in the order in which they are asked */
    struct stored *stored; /* NULL: not looked at */
    struct sent *jobs;
    size_t count, per_job, sent, answered, next_node, ends;
    struct buf early; /* struct end: of jobs whose answer has not come yet */
    char *trouble;    /* of the first that was refused */
    struct histogram latency, run, answer;
    size_t unfinished;
};

struct end {
    int64_t job;
    double at_s;
};

/* ---- the ends, as they are stored */

static bool take_end(struct stream *s, const struct end *end) {
    for (size_t i = s->sent; i-- > 0;) { /* the latest are at work */
        struct sent *job = &s->jobs[i];
        if (job->id == end->job && job->ends < s->per_job) {
            job->end_s[job->ends++] = end->at_s;
            s->ends++;
            return true;
        }
    }
    return false;
}

static void on_end(void *ctx, int64_t job) {
    struct stream *s = ctx;
    const struct end end = {job, clock_s()};
    if (!take_end(s, &end)) {
        buf_append(&s->early, &end, sizeof(end));
    }
}

static void take_early(struct stream *s) {
    struct buf left = BUF_INIT;
    for (size_t at = 0; at < s->early.len; at += sizeof(struct end)) {
        struct end end;
        memcpy(&end, s->early.ptr + at, sizeof(end));
        if (!take_end(s, &end)) {
            buf_append(&left, &end, sizeof(end));
        }
    }
    buf_free(&s->early);
    s->early = left;
}

/* A tick of the loop, then a look. */
static bool tick(struct stream *s, struct error *err) {
    bench_api_wait(s->opts->api, TICK_MS);
    return s->stored == NULL || stored_look(s->stored, on_end, s, err);
}

/* ---- sending */

static void on_answer(void *ctx, const struct world_response *r) {
    struct sent *job = ctx;
    struct stream *s = job->stream;
    s->answered++;
    histogram_record(&s->answer, (uint64_t)((clock_s() - job->due_s) * 1e6));
    json_t *answer = r->err == NULL ? json_parse(r->body, "bench", NULL) : NULL;
    const char *name = json_str(json_object_get(answer, "job"), "name");
    job->id = name != NULL ? strtoll(name, NULL, 10) : 0;
    if (name == NULL && s->trouble == NULL) {
        const char *msg = json_str(answer, "msg");
        s->trouble = str_dup(r->err != NULL ? r->err->msg : msg != NULL ? msg : "no job was made");
    }
    json_decref(answer);
    take_early(s);
}

static void send_job(struct stream *s, struct sent *job, double due_s) {
    char *body = bench_request(BENCH_TASK, s->names, s->next_node, s->per_job);
    s->next_node += s->per_job;
    *job = (struct sent){.stream = s, .due_s = due_s, .end_s = mem_array(s->per_job, sizeof(*job->end_s))};
    s->sent++;
    bench_api_send(s->opts->api, "/orchestrator/v1/command/task", body, on_answer, job);
    mem_free(body);
}

static bool send_all(struct stream *s, struct error *err) {
    const double pause = (double)s->per_job / s->opts->per_second, begin = clock_s();
    for (size_t i = 0; i < s->count && s->trouble == NULL; i++) {
        const double due = begin + pause * (double)i;
        while (clock_s() < due) {
            if (!tick(s, err)) {
                return false;
            }
        }
        send_job(s, &s->jobs[i], due);
    }
    return true;
}

/* As many jobs at once as `window` nodes make. */
static bool send_closed(struct stream *s, size_t window, struct error *err) {
    for (size_t i = 0; i < s->count && s->trouble == NULL; i++) {
        while (s->sent * s->per_job - s->ends >= window && s->trouble == NULL) {
            if (!tick(s, err)) {
                return false;
            }
        }
        send_job(s, &s->jobs[i], clock_s());
    }
    return true;
}

/* Each request has its time-out. */
static bool await_answers(struct stream *s, struct error *err) {
    bool ok = true;
    while (s->answered < s->sent) { /* also after trouble: their answers come to s */
        ok = tick(s, ok ? err : NULL) && ok;
    }
    return ok && (s->trouble == NULL || error_set(err, "bench", "a job of the steady stream: %s", s->trouble));
}

static bool await_ends(struct stream *s, struct error *err) {
    const double begin = clock_s();
    while (s->stored != NULL && s->ends < s->count * s->per_job) {
        if (clock_s() - begin > OVER_S) {
            return error_set(err, "bench", "%zu results of the steady stream are stored, %zu are due", s->ends,
                             s->count * s->per_job);
        }
        if (!tick(s, err)) {
            return false;
        }
    }
    return true;
}

static void note_latencies(struct stream *s) {
    for (size_t i = 0; s->stored != NULL && i < s->count; i++) {
        for (size_t n = 0; n < s->per_job; n++) {
            histogram_record(&s->latency, (uint64_t)((s->jobs[i].end_s[n] - s->jobs[i].due_s) * 1e6));
        }
    }
}

/* ---- what became of them */

static void note_node(struct stream *s, const json_t *node) {
    if (str_eq(json_str(node, "state"), "finished")) {
        histogram_record(&s->run, (uint64_t)(json_number_value(json_object_get(node, "duration")) * 1e6));
    } else {
        s->unfinished++;
    }
}

static bool over(const json_t *nodes) {
    size_t i;
    json_t *node;
    json_array_foreach(nodes, i, node) {
        const char *state = json_str(node, "state");
        if (str_eq(state, "new") || str_eq(state, "ready") || str_eq(state, "running")) {
            return false;
        }
    }
    return true;
}

static bool note_job(struct stream *s, const struct sent *job, struct error *err) {
    char *path = str_printf("/orchestrator/v1/jobs/%lld/nodes", (long long)job->id);
    const double begin = clock_s();
    bool ok;
    for (bool again = true; again;) {
        json_t *answer = NULL;
        ok = bench_api_ask(s->opts->api, path, NULL, &answer, NULL, err);
        const json_t *nodes = json_object_get(answer, "items");
        again = ok && !over(nodes) && clock_s() - begin < OVER_S;
        size_t i;
        json_t *node;
        json_array_foreach(again ? NULL : nodes, i, node) {
            note_node(s, node);
        }
        json_decref(answer);
        if (again) {
            bench_api_wait(s->opts->api, LOOK_MS);
        }
    }
    mem_free(path);
    return ok;
}

static bool note_all(struct stream *s, struct error *err) {
    for (size_t i = 0; i < s->count; i++) {
        if (!note_job(s, &s->jobs[i], err)) {
            return false;
        }
    }
    return s->unfinished == 0 ||
           error_set(err, "bench", "%zu nodes of the steady stream have not finished", s->unfinished);
}

/* ---- the whole */

static size_t common_divisor(size_t a, size_t b) {
    return b == 0 ? a : common_divisor(b, a % b);
}

/* All of them, neighbours far from each other. Agents with neighbouring names live in one process, those of `dalang up`
 * the first thousand in the broker's: asked as they come, that process would have all the work for a while. */
static json_t *spread(const json_t *names) {
    const size_t count = json_array_size(names);
    size_t step = count * 618 / 1000 + 1;
    while (common_divisor(step, count) != 1) {
        step++;
    }
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append(out, json_array_get(names, i * step % count));
    }
    return out;
}

static struct stream *stream_new(const struct steady_opts *opts) {
    struct stream *s = mem_zalloc(sizeof(*s));
    const size_t all = json_array_size(opts->names);
    s->opts = opts;
    s->names = spread(opts->names);
    s->per_job = all < STEADY_NODES ? all : STEADY_NODES;
    s->count = (size_t)(opts->per_second * opts->seconds / (double)s->per_job) + 1;
    s->jobs = mem_array(s->count, sizeof(*s->jobs));
    histogram_clear(&s->latency);
    histogram_clear(&s->run);
    histogram_clear(&s->answer);
    return s;
}

static void stream_free(struct stream *s) {
    for (size_t i = 0; i < s->count; i++) {
        mem_free(s->jobs[i].end_s);
    }
    stored_close(s->stored);
    json_decref(s->names);
    buf_free(&s->early);
    mem_free(s->trouble);
    mem_free(s->jobs);
    mem_free(s);
}

static double ms(const struct histogram *h, double percent) {
    return (double)histogram_percentile(h, percent) / 1000;
}

static struct steady result(const struct stream *s) {
    return (struct steady){.nodes = s->run.count,
                           .per_job = s->per_job,
                           .per_second = s->opts->per_second,
                           .p50_ms = ms(&s->latency, 50),
                           .p99_ms = ms(&s->latency, 99),
                           .max_ms = ms(&s->latency, 100),
                           .run_p50_ms = ms(&s->run, 50),
                           .run_p99_ms = ms(&s->run, 99),
                           .answer_p50_ms = ms(&s->answer, 50),
                           .answer_p99_ms = ms(&s->answer, 99)};
}

bool steady_measure(const struct steady_opts *opts, struct steady *out, struct error *err) {
    struct stream *s = stream_new(opts);
    bool ok = opts->database == NULL || (s->stored = stored_open(opts->database, err)) != NULL;
    const struct machine_time before = machine_time();
    process_urgent(true);
    ok = ok && send_all(s, err);
    ok = await_answers(s, ok ? err : NULL) && ok && await_ends(s, err);
    process_urgent(false);
    const struct machine_share share = machine_share_since(&before);
    if (ok) {
        note_latencies(s);
        ok = note_all(s, err);
    }
    *out = result(s);
    out->busy = share.busy;
    out->stolen = share.stolen;
    stream_free(s);
    return ok;
}

bool steady_saturate(const struct steady_opts *opts, double *rate, struct error *err) {
    struct stream *s = stream_new(opts);
    bool ok = (s->stored = stored_open(opts->database, err)) != NULL;
    const double begin = clock_s();
    ok = ok && send_closed(s, (size_t)opts->per_second, err);
    ok = await_answers(s, ok ? err : NULL) && ok && await_ends(s, err);
    *rate = (double)s->ends / (clock_s() - begin);
    stream_free(s);
    return ok;
}
