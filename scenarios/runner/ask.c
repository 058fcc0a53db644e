/* Requests of the runner, and looking again until something holds. */
#include "scenarios/runner/run_internal.h"

#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const uint64_t ASK_US = 60 * 1000000ull;
static const uint64_t LOOK_FIRST_US = 10 * 1000, LOOK_MOST_US = 500 * 1000, LOOK_MOST_REAL_US = 100 * 1000;
static const uint64_t LOOK_WITHIN_US = 30 * 1000000ull;
enum { HEADERS_MAX = 64, SEEN_MAX = 2000 };

/* ---- one request */

static void clear_answer(struct run *r) {
    json_decref(r->answer.headers);
    json_decref(r->answer.json);
    mem_free(r->answer_error);
    buf_free(&r->answer_text);
    r->answer_error = NULL;
    r->answer = (struct answer){.status = 0};
}

void run_request_cancel(struct run *r) {
    if (r->fetch != NULL) {
        world_fetch_cancel(r->fetch);
        r->fetch = NULL;
    }
    if (r->stage != NULL) {
        r->stage->ops->timer_stop(r->stage, &r->reply);
    }
    clear_answer(r);
}

static void tell(void *ctx) {
    struct run *r = ctx;
    struct answer a = r->answer;
    char *error = r->answer_error;
    struct buf text = r->answer_text;
    r->answer = (struct answer){.status = 0};
    r->answer_error = NULL;
    r->answer_text = (struct buf)BUF_INIT;
    r->answered(r, &a);
    json_decref(a.headers);
    json_decref(a.json);
    mem_free(error);
    buf_free(&text);
}

/* Runs within the runner's own actor: what follows must not. */
static void on_response(void *ctx, const struct world_response *response) {
    struct run *r = ctx;
    r->fetch = NULL;
    r->answer.headers = json_object();
    if (response->err != NULL) {
        r->answer_error = str_dup(response->err->msg);
        r->answer.error = r->answer_error;
    } else {
        r->answer.status = response->status;
        for (size_t i = 0; i < response->header_count; i++) {
            json_set(r->answer.headers, response->headers[i].name,
                     json_stringn_nocheck(response->headers[i].value, strlen(response->headers[i].value)));
        }
        buf_append_span(&r->answer_text, response->body);
        r->answer.json = response->body.len != 0 ? json_parse(response->body, "json", NULL) : NULL;
    }
    buf_append_char(&r->answer_text, '\0');
    r->answer_text.len--;
    r->answer.text = r->answer_text.ptr;
    r->stage->ops->timer_start(r->stage, &r->reply, 0, tell, r);
}

static const char *token_of(const struct run *r, const char *user) {
    if (user == NULL || strcmp(user, "admin") == 0) {
        return stack_admin_token(r->stage->stack);
    }
    return json_str(json_object_get(json_object_get(r->vars, "users"), user), "token");
}

static size_t put_headers(const struct ask *a, const char *token, struct world_header *out) {
    size_t count = 0;
    const char *name;
    json_t *value;
    bool typed = false, known = false;
    json_object_foreach(a->headers, name, value) {
        if (json_is_string(value) && count < HEADERS_MAX - 2) {
            out[count++] = (struct world_header){name, json_string_value(value)};
            typed = typed || strcasecmp(name, "content-type") == 0;
            known = known || strcasecmp(name, "x-authentication") == 0;
        }
    }
    if (token != NULL && !known) {
        out[count++] = (struct world_header){"X-Authentication", token};
    }
    if (a->body.len != 0 && !typed) {
        out[count++] =
            (struct world_header){"Content-Type", a->content_type != NULL ? a->content_type : "application/json"};
    }
    return count;
}

bool run_request(struct run *r, const struct ask *a, void (*answered)(struct run *r, const struct answer *a)) {
    struct error err = ERROR_INIT;
    struct world_header headers[HEADERS_MAX];
    bool nobody = a->user != NULL && a->user[0] == '\0';
    const char *token = nobody ? NULL : token_of(r, a->user);
    if (!nobody && token == NULL) {
        char *seen = str_printf("the scenario's stack has no user \"%s\"", a->user);
        run_step_failed(r, "a known user", seen);
        mem_free(seen);
        return false;
    }
    const char *name = a->certificate;
    struct world_tls *tls = r->stage->ops->tls(r->stage, name != NULL && name[0] != '\0' ? name : NULL, &err);
    if (tls == NULL) {
        run_step_failed(r, "a certificate", err.msg);
        error_clear(&err);
        return false;
    }
    clear_answer(r);
    uint64_t timeout_us = a->timeout_us != 0 ? a->timeout_us : ASK_US;
    struct world_fetch_opts opts = {.method = a->method,
                                    .url = a->url,
                                    .headers = headers,
                                    .header_count = put_headers(a, token, headers),
                                    .body = a->body,
                                    .tls = tls,
                                    .timeout_ms = (timeout_us + 999) / 1000};
    r->answered = answered;
    r->fetch = world_fetch(r->stage->world, &opts, on_response, r);
    return true;
}

const char *run_service_url(const struct run *r, const char *service) {
    static const struct {
        const char *name, *component;
    } names[] = {{"rbac", "console"}, {"classifier", "console"}, {"activity", "console"}};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i].name, service) == 0) {
            service = names[i].component;
        }
    }
    return stack_url(r->stage->stack, service);
}

/* ---- looking */

static void look_once(struct run *r);

void run_look_clear(struct run *r) {
    mem_free(r->look.url);
    mem_free(r->look.user);
    mem_free(r->look.expected);
    buf_free(&r->look.seen);
    r->look = (struct look_state){.url = NULL};
}

static void on_look(struct run *r, const struct answer *a) {
    json_t *result = NULL;
    struct buf seen = BUF_INIT;
    bool holds = false;
    if (a->status == 0) {
        buf_printf(&seen, "no answer: %s", a->error);
    } else {
        holds = r->look.holds(r, a, &seen, &result);
    }
    /* A look that was cut short by the step's end tells less than the one before. */
    if (a->status != 0 || r->look.seen.len == 0) {
        buf_clear(&r->look.seen);
        buf_append(&r->look.seen, seen.ptr, seen.len < SEEN_MAX ? seen.len : SEEN_MAX);
    }
    buf_free(&seen);
    if (holds) {
        run_step_done(r, result);
        return;
    }
    json_decref(result);
    uint64_t left = run_time_left_us(r, LOOK_WITHIN_US);
    if (left == 0) {
        char *last = str_dup(r->look.seen.ptr), *expected = str_dup(r->look.expected);
        run_step_failed(r, expected, last);
        mem_free(last);
        mem_free(expected);
        return;
    }
    uint64_t most = r->opts->world == SCENARIO_SIM ? LOOK_MOST_US : LOOK_MOST_REAL_US;
    uint64_t wait = r->look.interval_us < left ? r->look.interval_us : left;
    r->look.interval_us = r->look.interval_us * 3 / 2 < most ? r->look.interval_us * 3 / 2 : most;
    run_later(r, wait, look_once);
}

static void look_once(struct run *r) {
    uint64_t left = run_time_left_us(r, LOOK_WITHIN_US);
    struct ask a = {.url = r->look.url, .user = r->look.user, .timeout_us = left > 1000 ? left : 1000};
    run_request(r, &a, on_look);
}

void run_look(struct run *r, const struct look *look) {
    run_look_clear(r);
    r->look = (struct look_state){.url = look->url,
                                  .user = str_dup(look->user),
                                  .expected = look->expected,
                                  .interval_us = LOOK_FIRST_US,
                                  .holds = look->holds};
    look_once(r);
}
