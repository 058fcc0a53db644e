/* See steady.h. */
#include "simulator/bench/steady.h"

#include "base/json.h"
#include "base/mem.h"
#include "simulator/bench/histogram.h"
#include "simulator/bench/process.h"
#include "world/real.h"

#include <string.h>

enum { ANSWER_MS = 60000, OVER_S = 60, LOOK_MS = 50 };

/* One job of the stream. */
struct sent {
    struct stream *stream;
    double due_s;
    char *path; /* of the job; NULL: not answered yet */
};

struct stream {
    const struct steady_opts *opts;
    struct sent *jobs;
    size_t count, per_job, sent, answered, next_node;
    char *trouble; /* of the first that was refused */
    struct histogram run, answer;
    size_t unfinished;
};

static char *request(struct stream *s) {
    struct buf body = BUF_INIT;
    buf_append_cstr(&body, "{\"environment\":\"production\",\"task\":\"echo\",\"params\":{\"message\":\"hello\"},"
                           "\"scope\":{\"nodes\":[");
    for (size_t i = 0; i < s->per_job; i++) {
        const size_t at = s->next_node++ % json_array_size(s->opts->names);
        buf_append_cstr(&body, i > 0 ? "," : "");
        json_write_string(&body, json_span(json_array_get(s->opts->names, at)));
    }
    buf_append_cstr(&body, "]}}");
    return buf_take(&body);
}

static void on_answer(void *ctx, const struct world_response *r) {
    struct sent *job = ctx;
    struct stream *s = job->stream;
    s->answered++;
    histogram_record(&s->answer, (uint64_t)((clock_s() - job->due_s) * 1e6));
    json_t *answer = r->err == NULL ? json_parse(r->body, "bench", NULL) : NULL;
    const char *name = json_str(json_object_get(answer, "job"), "name");
    if (name != NULL) {
        job->path = str_printf("/orchestrator/v1/jobs/%s", name);
    } else if (s->trouble == NULL) {
        const char *msg = json_str(answer, "msg");
        s->trouble = str_dup(r->err != NULL ? r->err->msg : msg != NULL ? msg : "no job was made");
    }
    json_decref(answer);
}

static void send_job(struct stream *s, struct sent *job, double due_s) {
    const struct bench_api *a = s->opts->api;
    char *url = str_printf("%s/orchestrator/v1/command/task", a->url), *body = request(s);
    const struct world_header headers[] = {{"X-Authentication", a->token}, {"Content-Type", "application/json"}};
    const struct world_fetch_opts opts = {
        .method = "POST",
        .url = url,
        .headers = headers,
        .header_count = 2,
        .body = span_of(body),
        .tls = a->tls,
        .timeout_ms = ANSWER_MS,
        .body_max = 1024 * 1024,
    };
    *job = (struct sent){.stream = s, .due_s = due_s};
    s->sent++;
    world_fetch(a->world, &opts, on_answer, job);
    mem_free(body);
    mem_free(url);
}

static void send_all(struct stream *s) {
    const double pause = (double)s->per_job / s->opts->per_second, begin = clock_s();
    for (size_t i = 0; i < s->count && s->trouble == NULL; i++) {
        const double due = begin + pause * (double)i;
        while (clock_s() < due) {
            bench_api_wait(s->opts->api, 1);
        }
        send_job(s, &s->jobs[i], due);
    }
}

/* Each request has its time-out. */
static bool await(struct stream *s, struct error *err) {
    while (s->answered < s->sent) {
        bench_api_wait(s->opts->api, LOOK_MS);
    }
    return s->trouble == NULL || error_set(err, "bench", "a job of the steady stream: %s", s->trouble);
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
    char *path = str_printf("%s/nodes", job->path);
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

bool steady_measure(const struct steady_opts *opts, struct steady *out, struct error *err) {
    struct stream *s = mem_zalloc(sizeof(*s));
    s->opts = opts;
    const size_t all = json_array_size(opts->names);
    s->per_job = all < STEADY_NODES ? all : STEADY_NODES;
    s->count = (size_t)(opts->per_second * opts->seconds / (double)s->per_job) + 1;
    s->jobs = mem_array(s->count, sizeof(*s->jobs));
    histogram_clear(&s->run);
    histogram_clear(&s->answer);
    send_all(s);
    const bool ok = await(s, err) && note_all(s, err);
    *out = (struct steady){.nodes = s->run.count,
                           .per_second = opts->per_second,
                           .run_p50_ms = (double)histogram_percentile(&s->run, 50) / 1000,
                           .run_p99_ms = (double)histogram_percentile(&s->run, 99) / 1000,
                           .answer_p50_ms = (double)histogram_percentile(&s->answer, 50) / 1000,
                           .answer_p99_ms = (double)histogram_percentile(&s->answer, 99) / 1000};
    for (size_t i = 0; i < s->count; i++) {
        mem_free(s->jobs[i].path);
    }
    mem_free(s->trouble);
    mem_free(s->jobs);
    mem_free(s);
    return ok;
}
