/* The orchestrator under test: an address, a CA and a token. */
#include "scenarios/conformance/orchestrator_side.h"
#include "base/mem.h"
#include "base/url.h"
#include "scenarios/conformance/side.h"
#include <string.h>

static struct orchestrator_side *side_of(struct stage *s) {
    return s->side;
}

struct asked {
    struct world_fetch *fetch;
    int status;
    struct buf body;
    char *error;
};

static void asked_done(void *ctx, const struct world_response *r) {
    struct asked *a = ctx;
    a->fetch = NULL;
    a->status = r->err != NULL ? -1 : r->status;
    a->error = r->err != NULL ? str_dup(r->err->msg) : NULL;
    buf_append_span(&a->body, r->body);
}

static bool is_done(void *ctx) {
    return ((struct asked *)ctx)->fetch == NULL;
}

static const char *token_of(struct stage *s, const char *as) {
    const struct orchestrator_side *side = side_of(s);
    if (as == NULL || strcmp(as, IN_QUERY) == 0) {
        return side->token;
    }
    if (strcmp(as, DENIED) == 0 && side->denied == NULL) {
        skips(s, "needs a user who may do nothing (--denied-token)");
    }
    if (strcmp(as, EXPIRED) == 0 && side->expired == NULL) {
        skips(s, "needs a token that has expired (--expired-token)");
    }
    return strcmp(as, DENIED) == 0    ? side->denied
           : strcmp(as, EXPIRED) == 0 ? side->expired
           : strcmp(as, GARBAGE) == 0 ? "0not-a-token-at-all"
                                      : NULL;
}

static char *body_of(struct stage *s, const struct row *r) {
    if (r->body == NULL) {
        return str_dup("");
    }
    if (r->body[0] == '!') {
        return variables_fill(&s->vars, r->body + 1);
    }
    json_t *body = template_read(&s->vars, r->body);
    char *text = json_text(body);
    json_decref(body);
    return text;
}

static void ask(struct stage *s, const struct row *r, struct asked *out) {
    const struct orchestrator_side *side = side_of(s);
    const char *token = token_of(s, r->as);
    bool in_query = r->as != NULL && strcmp(r->as, IN_QUERY) == 0;
    char *path = variables_fill(&s->vars, r->path), *body = body_of(s, r);
    char *url = str_printf(
        "https://%s:%u%s%s%s%s", side->host, side->port, path[0] == '/' && path[1] == '/' ? "" : "/orchestrator/v1",
        path[0] == '/' && path[1] == '/' ? path + 1 : path, in_query ? "?token=" : "", in_query ? token : "");
    struct world_header headers[2];
    size_t count = 0;
    if (token != NULL && !in_query) {
        headers[count++] = (struct world_header){"X-Authentication", token};
    }
    if (r->body != NULL && (r->flags & PLAIN) == 0) {
        headers[count++] = (struct world_header){"Content-Type", "application/json"};
    }
    struct world_fetch_opts opts = {.method = r->method,
                                    .url = url,
                                    .headers = headers,
                                    .header_count = count,
                                    .body = span_of(body),
                                    .tls = s->tls,
                                    .timeout_ms = s->opts->patience_ms};
    *out = (struct asked){NULL, 0, BUF_INIT, NULL};
    notes(s, r->as != NULL ? r->as : "user", "> %s %s %s", r->method, path, body);
    out->fetch = world_fetch(s->world, &opts, asked_done, out);
    waits_for(s, is_done, out, 2 * s->opts->patience_ms);
    if (out->fetch != NULL) {
        world_fetch_cancel(out->fetch);
    }
    notes(s, "", "< %d %s%s", out->status, out->error != NULL ? out->error : "",
          out->body.len != 0 ? out->body.ptr : "");
    mem_free(out->error);
    mem_free(path);
    mem_free(body);
    mem_free(url);
}

/* NULL when it is as wanted; else what was, mem_free() it. */
static char *differs(struct stage *s, const struct row *r, const struct asked *a) {
    const char *body = a->body.len != 0 ? a->body.ptr : "";
    if (a->status != r->status) {
        return str_printf("status %d: %s", a->status, body);
    }
    if (r->want == NULL) {
        return NULL;
    }
    if (r->want[0] == '!') {
        return glob_match(r->want + 1, body) ? NULL : str_dup(body);
    }
    json_t *got = json_parse(buf_span(&a->body), "x", NULL);
    if (got == NULL) {
        return str_printf("no JSON: %s", body);
    }
    json_t *want = template_read(&s->vars, r->want);
    if (r->details != NULL && s->opts->profile == CONFORM_STRICT) {
        json_object_del(want, "details?");
        json_set(want, "details", template_read(&s->vars, r->details));
    }
    char *why = NULL;
    template_match(&s->vars, want, got, &why);
    json_decref(want);
    json_decref(got);
    return why;
}

static bool never(void *ctx) {
    (void)ctx;
    return false;
}

void plays(struct stage *s, const struct row *rows) {
    for (const struct row *r = rows; r->method != NULL; r++) {
        uint64_t waited = 0;
        for (;;) {
            struct asked a;
            ask(s, r, &a);
            char *got = differs(s, r, &a);
            bool without_plans =
                (r->flags & PLANS) != 0 && a.status == 500 && strstr(a.body.ptr, "plan executor") != NULL;
            buf_free(&a.body);
            if (without_plans) {
                mem_free(got);
                skips(s, "the orchestrator has no plan executor");
            }
            if (got == NULL) {
                break;
            }
            if ((r->flags & UNTIL) != 0 && waited < 3 * s->opts->patience_ms) {
                mem_free(got);
                waits_for(s, never, NULL, 50);
                waited += 50;
                continue;
            }
            const char *text = keep_text(s, got);
            char *want = str_printf("%s %s: %d %s%s%s", r->method, r->path, r->status, r->want != NULL ? r->want : "",
                                    r->details != NULL ? " details " : "", r->details != NULL ? r->details : "");
            fails(s, keep_text(s, variables_fill(&s->vars, keep_text(s, want))), text);
        }
    }
}

void plays_rows(struct stage *s) {
    plays(s, s->c->data);
}

void needs_denied(struct stage *s) {
    token_of(s, DENIED);
}

/* ---- what is there */

static json_t *look(struct stage *s, const char *path) {
    struct row r = {NULL, "GET", path, NULL, 200, NULL, NULL, 0};
    struct asked a;
    ask(s, &r, &a);
    json_t *body = a.status == 200 ? json_parse(buf_span(&a.body), "x", NULL) : NULL;
    buf_free(&a.body);
    if (body == NULL) {
        return json_array();
    }
    json_t *items = json_incref(json_object_get(body, "items"));
    json_decref(body);
    return items != NULL ? items : json_array();
}

static void choose(struct stage *s, const char *variable, json_t *items, const char *preferred, const char *member) {
    for (size_t i = 0; i < json_array_size(items); i++) {
        json_t *item = json_array_get(items, i);
        const char *name = json_str(item, "name");
        if (name != NULL && (member == NULL || json_bool(item, member, false)) &&
            (variables_get(&s->vars, variable) == NULL || str_eq(name, preferred))) {
            variables_set(&s->vars, variable, name);
        }
    }
    json_decref(items);
}

static void look_around(struct stage *s) {
    const struct conform_opts *o = s->opts;
    variables_set(&s->vars, "env", o->environment != NULL ? o->environment : "production");
    if (o->node != NULL) {
        variables_set(&s->vars, "node", o->node);
    } else {
        choose(s, "node", look(s, "/inventory"), NULL, "connected");
    }
    if (o->task != NULL) {
        variables_set(&s->vars, "task", o->task);
    } else {
        choose(s, "task", look(s, "/tasks?environment=${env}"), "facts", NULL);
    }
    choose(s, "plan", look(s, "/plans?environment=${env}"), NULL, NULL);
    const char *task = variables_get(&s->vars, "task");
    if (task != NULL) {
        const char *colon = strstr(task, "::");
        char *path =
            colon != NULL ? str_printf("%.*s/%s", (int)(colon - task), task, colon + 2) : str_printf("%s/init", task);
        variables_set(&s->vars, "task-path", path);
        mem_free(path);
    }
}

static bool orchestrator_fixture(struct stage *s, const char *fixture, char **why) {
    struct orchestrator_side *side = side_of(s);
    if (!side->looked) {
        look_around(s);
        side->looked = true;
    }
    static const struct {
        const char *fixture, *variable, *why;
    } needs[] = {{"node", "node", "no node is connected (--node)"},
                 {"task", "task", "there is no task (--task)"},
                 {"plan", "plan", "there is no plan"}};
    for (size_t i = 0; fixture != NULL && i < sizeof(needs) / sizeof(needs[0]); i++) {
        if (strstr(fixture, needs[i].fixture) != NULL && variables_get(&s->vars, needs[i].variable) == NULL) {
            *why = str_dup(needs[i].why);
            return false;
        }
    }
    return true;
}

static bool read_token(struct stage *s, const char *path, char **out, struct error *err) {
    struct buf text = BUF_INIT;
    bool ok = world_file_read(s->world, path, 64 * 1024, &text, err);
    if (ok) {
        *out = span_dup(span_trim(buf_span(&text)));
    }
    buf_free(&text);
    return ok;
}

static bool orchestrator_begin(struct stage *s, struct error *err) {
    struct orchestrator_side *side = s->side = mem_zalloc(sizeof(*side));
    const struct conform_opts *o = s->opts;
    if (o->target == NULL || o->ca == NULL || o->token == NULL) {
        return error_set(err, "usage", "name the orchestrator: --target https://HOST:PORT --ca FILE --token FILE");
    }
    struct url u;
    if (!url_parse(o->target, &u, err)) {
        return error_prefix(err, "--target");
    }
    bool secure = u.secure;
    side->host = str_dup(u.host);
    side->port = u.port;
    url_free(&u);
    if (!secure) {
        return error_set(err, "usage", "--target: an https:// URL is needed, not %s", o->target);
    }
    s->ca_path = str_dup(o->ca);
    struct world_tls_files files = {.ca = o->ca};
    s->tls = world_tls_new(s->world, &files, err);
    if (s->tls == NULL || !read_token(s, o->token, &side->token, err) ||
        (o->denied_token != NULL && !read_token(s, o->denied_token, &side->denied, err)) ||
        (o->expired_token != NULL && !read_token(s, o->expired_token, &side->expired, err))) {
        return false;
    }
    char *base = str_printf("https://%s:%u/orchestrator/v1", side->host, side->port);
    variables_set(&s->vars, "base", base);
    variables_set(&s->vars, "all-nodes", "00000000-0000-4000-8000-000000000000");
    mem_free(base);
    return true;
}

static void orchestrator_end(struct stage *s) {
    struct orchestrator_side *side = side_of(s);
    mem_free(side->host);
    mem_free_secret(side->token, side->token != NULL ? strlen(side->token) : 0);
    mem_free_secret(side->denied, side->denied != NULL ? strlen(side->denied) : 0);
    mem_free_secret(side->expired, side->expired != NULL ? strlen(side->expired) : 0);
    mem_free(side);
}

static const struct conform_case *const tables[] = {orchestrator_error_cases, orchestrator_endpoint_cases,
                                                    orchestrator_job_cases};

const struct conform_suite conform_orchestrator = {
    "orchestrator",   tables, sizeof(tables) / sizeof(tables[0]), false, orchestrator_begin, orchestrator_fixture,
    orchestrator_end, NULL,
};
