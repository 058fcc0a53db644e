/* People and tools at the orchestrator's API: they start jobs of every kind, look at them from any event on, stop some,
 * and some try what they may not. */
#include "simulator/soak/internal.h"

#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const uint64_t LOOK_EVERY_US = 700 * SIM_MS;
#define API "/orchestrator/v1"

/* ---- requests */

static void ask_free(struct ask *a) {
    list_remove(&a->soak->asks, &a->link);
    mem_free(a->job);
    mem_free(a);
}

static void on_answer(void *ctx, const struct world_response *r) {
    struct ask *a = ctx;
    struct soak *s = a->soak;
    if (a->answered != NULL) {
        json_t *body = r->err == NULL ? json_parse(r->body, "soak", NULL) : NULL;
        a->answered(s, r->err == NULL ? r->status : 0, body, a->job);
        json_decref(body);
    }
    ask_free(a);
}

void ask(struct soak *s, const char *method, const char *target, json_t *body, const char *token, const char *job,
         void (*answered)(struct soak *s, int status, const json_t *body, const char *job)) {
    struct ask *a = mem_zalloc(sizeof(*a));
    char *url = str_printf("%s" API "/%s", s->api, target), *text = body != NULL ? json_text(body) : NULL;
    const struct world_header headers[] = {
        {"X-Authentication", token != NULL ? token : stack_admin_token(simulated_stack(s->simulated))},
        {"Content-Type", "application/json"},
    };
    a->soak = s;
    a->answered = answered;
    a->job = str_dup(job);
    list_push_back(&s->asks, &a->link);
    a->fetch = world_fetch(s->users,
                           &(struct world_fetch_opts){.method = method,
                                                      .url = url,
                                                      .headers = headers,
                                                      .header_count = 2,
                                                      .body = text != NULL ? span_of(text) : SPAN(""),
                                                      .tls = s->tls,
                                                      .timeout_ms = 60000},
                           on_answer, a);
    mem_free(url);
    mem_free(text);
    json_decref(body);
}

/* ---- starting jobs */

/* job: what was asked for, "nodes task" or "nodes task message"; "nodes" for a Puppet run. The number is what of them
 * counts as demand. */
static void on_started(struct soak *s, int status, const json_t *body, const char *job) {
    const char *id = json_str(json_object_get(body, "job"), "name");
    struct span message = span_of(job), nodes, task = SPAN("");
    span_split(&message, ' ', &nodes);
    span_split(&message, ' ', &task);
    char *name = task.len != 0 ? span_dup(task) : NULL;
    s->awaited--;
    if (status != 202 || id == NULL) {
        uint64_t count = 0;
        if (status != 0 && span_to_u64(nodes, &count)) {
            demand_give_back(s, name, (uint32_t)count);
        }
        s->refused++;
        mem_free(name);
        return;
    }
    struct soak_job *j = mem_zalloc(sizeof(*j));
    j->id = str_dup(id);
    j->task = name;
    j->message = message.len != 0 ? span_dup(message) : NULL;
    s->jobs = mem_grow(s->jobs, &s->job_cap, s->job_count + 1, sizeof(struct soak_job *));
    s->jobs[s->job_count++] = j;
}

static json_t *some_nodes(struct soak *s, const char *task, uint32_t *take) {
    json_t *nodes = json_array();
    uint32_t count = s->result->agents, first = (uint32_t)rng_below(&s->rng, count);
    *take = *take != 0 ? *take : demand_take(s, task, (uint32_t)rng_between(&s->rng, 1, count));
    for (uint32_t i = 0; i < *take; i++) {
        json_array_append_new(nodes, json_string(s->agent_names[(first + i) % count]));
    }
    if (rng_chance(&s->rng, 50000)) {
        json_array_append_new(nodes, json_string("nobody.example.com"));
    }
    return nodes;
}

/* Of a job of this task, or NULL of a Puppet run. Its nodes are counted. */
static json_t *scope(struct soak *s, const char *task, uint32_t *nodes) {
    *nodes = rng_chance(&s->rng, 300000) ? demand_take(s, task, s->result->agents) : 0;
    return *nodes == s->result->agents ? json_pack("{s:s}", "query", "nodes[certname]{}")
                                       : json_pack("{s:o}", "nodes", some_nodes(s, task, nodes));
}

static json_t *part_of_fleet(struct soak *s, uint32_t ppm) {
    uint64_t all = s->result->agents, count = (all * ppm + 999999) / 1000000, first = rng_below(&s->rng, all);
    if (count == all) {
        return json_pack("{s:s}", "query", "nodes[certname]{}");
    }
    json_t *nodes = json_array();
    for (uint64_t i = 0; i < count; i++) {
        json_array_append_new(nodes, json_string(s->agent_names[(first + i) % all]));
    }
    return json_pack("{s:o}", "nodes", nodes);
}

static void start_task_on(struct soak *s, const char *task, json_t *params, const char *token, json_t *where,
                          uint32_t nodes) {
    const char *message = strcmp(task, "soak::echo") == 0 ? json_str(params, "message") : NULL;
    char *asked =
        str_printf("%" PRIu32 " %s%s%s", nodes, task, message != NULL ? " " : "", message != NULL ? message : "");
    json_t *body = json_pack("{s:s, s:o, s:o}", "task", task, "params", params, "scope", where);
    ask(s, "POST", "command/task", body, token, asked, on_started);
    mem_free(asked);
}

static void start_task(struct soak *s, const char *task, json_t *params, const char *token) {
    uint32_t nodes;
    json_t *where = scope(s, task, &nodes);
    start_task_on(s, task, params, token, where, nodes);
}

static json_t *echo(struct soak *s) {
    char text[32];
    snprintf(text, sizeof(text), "message-%u", ++s->messages);
    return json_pack("{s:s}", "message", text);
}

static void start_deploy_on(struct soak *s, json_t *body, const char *token, uint32_t nodes) {
    char asked[16];
    snprintf(asked, sizeof(asked), "%" PRIu32, nodes);
    ask(s, "POST", "command/deploy", body, token, asked, on_started);
}

static void start_deploy(struct soak *s) {
    uint32_t nodes;
    json_t *body = json_pack("{s:s, s:o}", "environment", "production", "scope", scope(s, NULL, &nodes));
    if (rng_chance(&s->rng, 500000)) {
        uint32_t drawn = (uint32_t)rng_between(&s->rng, 1, s->deploy_limit);
        json_set(body, "concurrency", json_integer((json_int_t)demand_concurrency(s, nodes, drawn)));
    }
    if (rng_chance(&s->rng, 300000)) {
        json_set(body, "noop", json_true());
    }
    start_deploy_on(s, body, NULL, nodes);
}

/* One of the workload's own. */
static void start_item(struct soak *s) {
    const struct workload *w = s->opts.workload;
    uint32_t weights[WORKLOAD_ITEMS_MAX];
    for (size_t i = 0; i < w->count; i++) {
        weights[i] = w->items[i].weight;
    }
    const struct workload_item *item = &w->items[rng_pick(&s->rng, weights, w->count)];
    const char *token = item->limited ? SOAK_LIMITED_TOKEN : NULL;
    uint32_t nodes = 0;
    json_t *where = item->nodes_ppm != 0 ? part_of_fleet(s, item->nodes_ppm) : scope(s, item->task, &nodes);
    if (item->task != NULL) {
        start_task_on(s, item->task, workload_params(item, s->started), token, where, nodes);
        return;
    }
    json_t *body = json_deep_copy(item->options);
    if (json_object_get(body, "environment") == NULL) {
        json_set(body, "environment", json_string("production"));
    }
    json_set(body, "scope", where);
    start_deploy_on(s, body, token, nodes);
}

/* One of ours. */
static void start_any(struct soak *s) {
    switch (rng_below(&s->rng, 8)) {
    case 0:
    case 1:
        start_deploy(s);
        break;
    case 2:
        start_task(s, "soak::secret", json_pack("{s:s}", "password", SOAK_SECRET), NULL);
        break;
    case 3:
        start_task(s, "soak::echo", echo(s), SOAK_LIMITED_TOKEN);
        break;
    case 4:
        start_task(s, "soak::flaky", json_object(), SOAK_LIMITED_TOKEN); /* may not */
        break;
    case 5:
        start_task(s, "soak::flaky", json_object(), NULL);
        break;
    default:
        start_task(s, "soak::echo", echo(s), NULL);
        break;
    }
}

static void on_start(void *ctx) {
    struct soak *s = ctx;
    s->started++;
    s->awaited++;
    if (s->opts.workload != NULL) {
        start_item(s);
    } else {
        start_any(s);
    }
    if (--s->jobs_left > 0) {
        struct dist d = dist_exponential(s->job_every_us);
        sim_timer_start(s->sim, &s->start_timer, dist_draw(&d, &s->rng), on_start, s);
    }
}

/* ---- looking */

static void on_events(struct soak *s, int status, const json_t *body, const char *job) {
    const char *next = json_str(json_object_get(body, "next-events"), "event");
    for (size_t i = 0; status == 200 && i < s->job_count; i++) {
        if (strcmp(s->jobs[i]->id, job) == 0) {
            uint64_t n = 0;
            span_to_u64(span_of(next), &n);
            s->jobs[i]->next_event = n > s->jobs[i]->next_event ? n : s->jobs[i]->next_event;
        }
    }
}

static void on_job(struct soak *s, int status, const json_t *body, const char *job) {
    const char *state = json_str(body, "state");
    for (size_t i = 0; status == 200 && state != NULL && i < s->job_count; i++) {
        if (strcmp(s->jobs[i]->id, job) == 0) {
            s->jobs[i]->over =
                strcmp(state, "finished") == 0 || strcmp(state, "failed") == 0 || strcmp(state, "stopped") == 0;
        }
    }
}

static void get(struct soak *s, const char *job, const char *what,
                void (*answered)(struct soak *s, int status, const json_t *body, const char *job)) {
    char *target = str_printf("jobs/%s%s", job, what);
    ask(s, "GET", target, NULL, NULL, job, answered);
    mem_free(target);
}

/* An agent that is asked while its disk cannot be read says so. */
static bool could_not_be_read(const json_t *result) {
    const char *msg = json_str(json_object_get(result, "_error"), "msg");
    return msg != NULL && span_starts_with(span_of(msg), "failed to retrieve the output: failed to read file ");
}

/* Whatever happened on the way: a result is that of this job's task on that node. */
static void check_result(struct soak *s, const struct soak_job *j, const json_t *node) {
    const char *state = json_str(node, "state"), *name = json_str(node, "name");
    const json_t *result = json_object_get(node, "result");
    bool finished = str_eq(state, "finished"), failed = str_eq(state, "failed"), right = true;
    if (j->message != NULL && finished) {
        right = str_eq(json_str(result, "said"), j->message);
    } else if (j->message != NULL && failed) {
        right = could_not_be_read(result); /* an echo ends with 0 */
    } else if (str_eq(j->task, "soak::flaky")) {
        right = !(s->flaky_exit == 0 ? failed && !could_not_be_read(result) : finished);
    }
    if (!right) {
        char *said = json_text(result);
        char *text = str_printf("node %s of job %s (%s %s) is %s with the result of something else: %s", name, j->id,
                                j->task, j->message != NULL ? j->message : "", state, said);
        checks_report(s->checks, 1, text);
        mem_free(text);
        mem_free(said);
    }
}

void users_see_node(struct soak *s, const char *job, const json_t *node) {
    for (size_t i = 0; i < s->job_count; i++) {
        if (strcmp(s->jobs[i]->id, job) == 0) {
            check_result(s, s->jobs[i], node);
        }
    }
}

static void look_at(struct soak *s, struct soak_job *j) {
    char what[64];
    switch (rng_below(&s->rng, 6)) {
    case 0:
        get(s, j->id, "/nodes", NULL);
        break;
    case 1:
        get(s, j->id, "", on_job);
        break;
    case 2: /* from anywhere */
        snprintf(what, sizeof(what), "/events?start=%" PRIu64, rng_below(&s->rng, j->next_event + 2));
        get(s, j->id, what, NULL);
        break;
    case 3:
        if (rng_chance(&s->rng, s->stop_ppm)) {
            ask(s, "POST", "command/stop", json_pack("{s:s}", "job", j->id), NULL, NULL, NULL);
        }
        break;
    default: /* on from where one was */
        snprintf(what, sizeof(what), "/events?start=%" PRIu64, j->next_event);
        get(s, j->id, what, on_events);
        break;
    }
}

static void on_look(void *ctx) {
    struct soak *s = ctx;
    if (s->job_count != 0) {
        look_at(s, s->jobs[rng_below(&s->rng, s->job_count)]);
    }
    for (size_t i = 0; i < s->job_count; i++) { /* whoever started it also wants to know */
        if (!s->jobs[i]->over && rng_chance(&s->rng, 100000)) {
            get(s, s->jobs[i]->id, "", on_job);
        }
    }
    /* Lists grow with the fleet: the larger it is, the less often somebody reads all of them. */
    sim_timer_start(s->sim, &s->look_timer, LOOK_EVERY_US * (1 + s->result->agents / 50), on_look, s);
}

void users_start(struct soak *s) {
    demand_start(s);
    sim_timer_start(s->sim, &s->start_timer, SIM_MS, on_start, s);
    sim_timer_start(s->sim, &s->look_timer, LOOK_EVERY_US, on_look, s);
}

void users_stop(struct soak *s) {
    sim_timer_stop(s->sim, &s->start_timer);
}

void users_look_away(struct soak *s) {
    sim_timer_stop(s->sim, &s->look_timer);
}

bool users_all_over(const struct soak *s) {
    for (size_t i = 0; i < s->job_count; i++) {
        if (!s->jobs[i]->over) {
            return false;
        }
    }
    return true;
}

/* What was acknowledged to a connection that broke is known to the checks, not to the user: read by its id, too. */
void users_read_everything(struct soak *s) {
    for (size_t i = 0; i < checks_job_count(s->checks); i++) {
        const char *id = checks_job_id(s->checks, i);
        get(s, id, "", NULL);
        get(s, id, "/nodes", NULL);
        get(s, id, "/events?start=0", NULL);
    }
}

void users_end(struct soak *s) {
    sim_timer_stop(s->sim, &s->start_timer);
    sim_timer_stop(s->sim, &s->look_timer);
    LIST_EACH_SAFE (k, next, &s->asks) {
        struct ask *a = LIST_ITEM(k, struct ask, link);
        world_fetch_cancel(a->fetch);
        ask_free(a);
    }
    for (size_t i = 0; i < s->job_count; i++) {
        mem_free(s->jobs[i]->id);
        mem_free(s->jobs[i]->task);
        mem_free(s->jobs[i]->message);
        mem_free(s->jobs[i]);
    }
    mem_free(s->jobs);
}
