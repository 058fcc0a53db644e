/* api: a raw request to any service of the stack, and what must come back. */
#include "base/mem.h"
#include "scenarios/runner/match.h"
#include "scenarios/runner/paths.h"
#include "scenarios/runner/run.h"
#include <string.h>

static const char *const services[] = {"orchestrator", "rbac",     "classifier", "activity", "console",  "puppetdb",
                                       "puppetserver", "broker-1", "broker-2",   "broker-3", "broker-4", "broker-5",
                                       "broker-6",     "broker-7", "broker-8",   NULL};
static const struct shape shape_service = {.type = SHAPE_WORD, .words = services};
static void check_target(struct problems *p, const struct doc_node *node) {
    if (node->text[0] != '/') {
        problem(p, node, "a path begins with a slash");
    }
}
static const struct shape shape_target = {.type = SHAPE_TEXT, .check = check_target};
static const struct shape shape_headers = {.type = SHAPE_FREE, .of = &shape_text};
static const struct shape shape_header_matches = {.type = SHAPE_FREE, .of = &shape_match};
static const struct shape_key expect_keys[] = {
    {"status", &shape_match, false},     {"headers", &shape_header_matches, false},
    {"json", &shape_match_paths, false}, {"text", &shape_match, false},
    {"error", &shape_match, false},      {NULL, NULL, false}};
static const struct shape shape_expect = {.type = SHAPE_MAP, .keys = expect_keys};
static const struct shape_key api_keys[] = {{"service", &shape_service, false},
                                            {"method", &shape_text, false},
                                            {"path", &shape_target, true},
                                            {"headers", &shape_headers, false},
                                            {"body", &shape_any, false},
                                            {"raw", &shape_text, false},
                                            {"as_user", &shape_text, false},
                                            {"certificate", &shape_text, false},
                                            {"expect", &shape_expect, false},
                                            {"save", &shape_headers, false},
                                            {"timeout", &shape_duration, false},
                                            STEP_KEYS,
                                            {NULL, NULL, false}};
static const struct shape shape_api = {.type = SHAPE_MAP, .keys = api_keys};

static const uint64_t AGAIN_US = 50 * 1000;

static void send_request(struct run *r);

/* {status, headers, body}: what `as` names. */
static json_t *reply_json(const struct answer *a) {
    json_t *reply = json_object();
    json_set(reply, "status", json_integer(a->status));
    json_set(reply, "headers", json_incref(a->headers));
    json_set(reply, "body",
             a->json != NULL
                 ? json_incref(a->json)
                 : json_stringn_nocheck(a->text != NULL ? a->text : "", a->text != NULL ? strlen(a->text) : 0));
    if (a->error != NULL) {
        json_set(reply, "error", json_string(a->error));
    }
    return reply;
}

static bool as_expected(const json_t *expect, const struct answer *a, struct buf *why) {
    static const char *const keys[] = {"status", "text", "error"};
    json_t *status = a->status != 0 ? json_integer(a->status) : NULL;
    json_t *text = a->text != NULL && a->status != 0 ? json_string_nocheck(a->text) : NULL;
    json_t *error = a->error != NULL ? json_string(a->error) : NULL;
    const json_t *values[] = {status, text, error};
    bool ok = true;
    for (size_t i = 0; i < 3; i++) {
        const json_t *wanted = json_object_get(expect, keys[i]);
        json_t *w = json_pack("{s:O?}", keys[i], wanted), *v = json_pack("{s:O*}", keys[i], values[i]);
        ok = (wanted == NULL || match(w, v, why)) && ok;
        json_decref(w);
        json_decref(v);
    }
    const json_t *headers = json_object_get(expect, "headers"), *json = json_object_get(expect, "json");
    const char *name;
    json_t *wanted;
    json_object_foreach((json_t *)(uintptr_t)headers, name, wanted) {
        char *lower = str_dup(name);
        for (char *c = lower; *c != '\0'; c++) {
            *c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
        }
        ok = match(wanted, json_object_get(a->headers, lower), why) && ok;
        mem_free(lower);
    }
    ok = (json == NULL || match_paths(json, a->json, why)) && ok;
    json_decref(status);
    json_decref(text);
    json_decref(error);
    return ok && (a->status != 0 || json_object_get(expect, "error") != NULL);
}

/* {variable: path below the body}. */
static bool save(struct run *r, const json_t *wanted, const json_t *reply, struct buf *why) {
    const char *name;
    json_t *path;
    json_object_foreach((json_t *)(uintptr_t)wanted, name, path) {
        json_t *value = path_get(json_object_get(reply, "body"), json_string_value(path));
        if (value == NULL) {
            buf_printf(why, "the body has no %s", json_string_value(path));
            return false;
        }
        run_set(r, name, value);
    }
    return true;
}

static void on_answer(struct run *r, const struct answer *a) {
    const json_t *args = run_kept(r), *expect = json_object_get(args, "expect");
    struct buf why = BUF_INIT;
    json_t *reply = reply_json(a);
    if (as_expected(expect, a, &why) && save(r, json_object_get(args, "save"), reply, &why)) {
        run_step_done(r, json_incref(reply));
    } else if (run_has_within(r) && run_time_left_us(r, 0) > AGAIN_US) {
        run_later(r, AGAIN_US, send_request);
    } else {
        char *wanted = expect != NULL ? json_text(expect) : str_dup("an answer");
        if (a->status == 0) {
            buf_printf(&why, "%sno answer: %s", why.len != 0 ? "; " : "", a->error);
        } else {
            buf_printf(&why, "%sthe answer: %d %s", why.len != 0 ? "; " : "", a->status, a->text);
        }
        run_step_failed(r, wanted, why.ptr);
        mem_free(wanted);
    }
    json_decref(reply);
    buf_free(&why);
}

static void send_request(struct run *r) {
    const json_t *args = run_kept(r), *body = json_object_get(args, "body");
    const char *service = json_str(args, "service"), *raw = json_str(args, "raw");
    const char *user = json_str(args, "as_user"), *certificate = json_str(args, "certificate");
    uint64_t timeout_us = 0;
    service = service != NULL ? service : "orchestrator";
    const char *base = run_service_url(r, service);
    if (base == NULL) {
        run_step_failed(r, "a service of this stack", service);
        return;
    }
    /* The services want a certificate, the orchestrator a token; a broker neither. */
    bool trusting = strncmp(service, "puppet", 6) == 0;
    if (certificate == NULL && user == NULL && trusting) {
        certificate = "client";
    }
    if (json_str(args, "timeout") != NULL) {
        duration_us(json_str(args, "timeout"), &timeout_us);
    } else if (run_has_within(r)) {
        timeout_us = run_time_left_us(r, 0);
    }
    bool secure = strncmp(base, "wss:", 4) == 0;
    char *url = str_printf("%s%s%s", secure ? "https" : "", secure ? base + 3 : base, json_str(args, "path"));
    char *text = raw != NULL ? str_dup(raw) : body != NULL ? json_text(body) : NULL;
    const char *method = json_str(args, "method");
    run_request(r,
                &(struct ask){.method = method != NULL ? method
                                        : text != NULL ? "POST"
                                                       : "GET",
                              .url = url,
                              .headers = json_object_get(args, "headers"),
                              .body = span_of(text),
                              .user = user != NULL          ? user
                                      : certificate != NULL ? ""
                                                            : NULL,
                              .certificate = certificate,
                              .timeout_us = timeout_us},
                on_answer);
    mem_free(text);
    mem_free(url);
}

static void begin_api(struct run *r, const json_t *args) {
    run_keep(r, (void *)(uintptr_t)args, NULL);
    send_request(r);
}

const struct step_kind api_steps[] = {
    {"api", "a request to a service, and what comes back", &shape_api, begin_api},
    {NULL, NULL, NULL, NULL},
};
