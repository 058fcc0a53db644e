/* dalang fault: faults on a stack that is running. */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/detached.h"
#include "simulator/dalang/surroundings.h"
#include "simulator/faults/faults.h"
#include "world/real.h"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { FAULT_OPTIONS = 4, READY_WITHIN_MS = 2000, ANSWER_WITHIN_MS = 10000, POLL_MS = 10, ANSWER_MAX = 65536 };

struct fault_args {
    const char *dir;
    bool heal;
};

static const struct command_line *fault_line(struct fault_args *a) {
    static struct fault_args unused;
    static struct option table[FAULT_OPTIONS];
    static const struct command_line cl = {
        "dalang fault", "[OPTIONS] FAULT…", "faults on a running stack",
        "A fault is JSON, as in a scenario's fault step:\n"
        "  '{\"service\": {\"name\": \"puppetdb\", \"path\": \"/pdb/query/*\", \"status\": 503, \"times\": 3}}'\n"
        "      name: rbac, classifier, activity, puppetdb, puppetserver; also \"method\", \"body\", \"delay_ms\", "
        "\"hang\", \"reset\",\n      \"probability\"\n"
        "  '{\"kill\": \"broker-1\"}'                           brokers and the orchestrator, as by kill -9\n"
        "  '{\"restart\": \"orchestrator\", \"down_for\": \"3s\"}'  … and back on the same port and files\n"
        "  '{\"reset\": {\"a\": \"broker-1\"}}'                  all its connections break, at once\n"
        "  '{\"pause\": \"*\", \"for\": \"2s\"}'                   the whole stack stands still\n"
        "Service faults last until --heal, or \"times\".",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){OPTION_STRING, "dir", 'd', "DIR", "The stack's directory; $DALANG_DIR.", &a->dir};
    table[n++] = (struct option){OPTION_FLAG, "heal", 0, NULL, "Ends all faults first.", &a->heal};
    table[n] = (struct option)OPTION_END;
    return &cl;
}

void fault_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, fault_line(NULL));
}

struct target {
    char *dir;
    json_t *stack; /* what `dalang up --json` prints */
    struct world *world;
    struct world_tls *tls;
};

/* ---- services: the fakes' own control */

static const struct service {
    const char *name, *url; /* key of stack.json */
    const char *paths;      /* of this service, when the fault names none */
} services[] = {
    {"rbac", "rbac", "/rbac-api/*"},         {"classifier", "classifier", "/classifier-api/*"},
    {"activity", "rbac", "/activity-api/*"}, {"console", "rbac", "*"},
    {"puppetdb", "puppetdb", "*"},           {"puppetserver", "puppetserver", "*"},
};
enum { SERVICES = sizeof(services) / sizeof(services[0]) };

struct answer {
    struct world *world;
    int status; /* 0: none */
    char *text;
};

static void on_answer(void *ctx, const struct world_response *r) {
    struct answer *a = ctx;
    a->status = r->err == NULL ? r->status : 0;
    a->text = r->err == NULL ? span_dup(r->body) : str_dup(r->err->msg);
    real_world_stop(a->world);
}

static bool ask_service(struct target *t, const char *url_key, const char *method, const json_t *body, int wanted,
                        struct error *err) {
    char *url = str_printf("%s/_fake/fault", json_str(t->stack, url_key)),
         *text = body != NULL ? json_text(body) : NULL;
    struct answer a = {.world = t->world};
    const struct world_header type = {"Content-Type", "application/json"};
    world_fetch(t->world,
                &(struct world_fetch_opts){.method = method,
                                           .url = url,
                                           .headers = &type,
                                           .header_count = 1,
                                           .body = text != NULL ? span_of(text) : SPAN(""),
                                           .tls = t->tls,
                                           .timeout_ms = ANSWER_WITHIN_MS},
                on_answer, &a);
    real_world_run(t->world);
    bool ok = a.status == wanted || error_set(err, "fault", "%s: %s", url, a.text != NULL ? a.text : "no answer");
    mem_free(a.text);
    mem_free(text);
    mem_free(url);
    return ok;
}

static bool service_fault(struct target *t, const json_t *o, struct error *err) {
    const char *name = json_str(o, "name");
    for (size_t i = 0; i < SERVICES; i++) {
        if (str_eq(services[i].name, name)) {
            json_t *body = json_deep_copy(o);
            json_object_del(body, "name");
            if (json_object_get(body, "path") == NULL) {
                json_set(body, "path", json_string(services[i].paths));
            }
            bool ok = ask_service(t, services[i].url, "POST", body, 201, err);
            json_decref(body);
            return ok;
        }
    }
    return error_set(err, "usage",
                     "service.name: %s is none of rbac, classifier, activity, console, puppetdb, puppetserver", name);
}

/* ---- components: asked of the stack's process (control.h) */

static void wait_ms(uint64_t ms) {
    struct timespec t = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
    nanosleep(&t, NULL);
}

static bool ask_stack(struct target *t, const json_t *request, struct error *err) {
    char id[37];
    world_uuid(t->world, id);
    char *text = json_text(request), *fresh = str_printf("%s/faults/%s.new", t->dir, id);
    char *path = str_printf("%s/faults/%s.json", t->dir, id), *reply = str_printf("%s/faults/%s.answer", t->dir, id);
    bool ok = world_file_write(t->world, fresh, span_of(text), 0600, WORLD_WRITE_PLAIN, err) &&
              world_file_rename(t->world, fresh, path, err);
    struct buf said = BUF_INIT;
    bool answered = false;
    for (uint64_t waited = 0; ok && !answered && waited < ANSWER_WITHIN_MS; waited += POLL_MS) {
        answered = world_file_read(t->world, reply, ANSWER_MAX, &said, NULL);
        if (!answered) {
            wait_ms(POLL_MS);
        }
    }
    if (ok) {
        json_t *answer = answered ? json_parse(buf_span(&said), reply, NULL) : NULL;
        const char *trouble = answered ? json_str(answer, "error") : "the stack does not answer";
        ok = trouble == NULL || error_set(err, "fault", "%s", trouble);
        json_decref(answer);
        world_file_remove(t->world, reply, false, NULL);
    }
    buf_free(&said);
    mem_free(reply);
    mem_free(path);
    mem_free(fresh);
    mem_free(text);
    return ok;
}

static bool component_fault(struct target *t, const char *what, const json_t *names, uint64_t down_ms,
                            struct error *err) {
    size_t count = json_is_array(names) ? json_array_size(names) : 1;
    bool ok = true;
    for (size_t i = 0; ok && i < count; i++) {
        const json_t *name = json_is_array(names) ? json_array_get(names, i) : names;
        json_t *request = json_pack("{s:O, s:I}", what, name, "down_for_ms", (json_int_t)down_ms);
        ok = ask_stack(t, request, err);
        json_decref(request);
    }
    return ok;
}

/* ---- the whole process */

static bool pause_stack(const struct target *t, uint64_t for_ms, struct error *err) {
    char *path = str_printf("%s/dalang.pid", t->dir);
    struct buf text = BUF_INIT;
    uint64_t pid = 0;
    bool ok = world_file_read(t->world, path, 64, &text, err) &&
              (span_to_u64(span_trim(buf_span(&text)), &pid) || error_set(err, "fault", "%s holds no pid", path));
    if (ok && (ok = kill((pid_t)pid, SIGSTOP) == 0 || error_set(err, "fault", "the stack cannot be paused"))) {
        wait_ms(for_ms);
        kill((pid_t)pid, SIGCONT);
    }
    buf_free(&text);
    mem_free(path);
    return ok;
}

/* ---- */

static bool duration_of(const json_t *spec, const char *key, uint64_t without_ms, uint64_t *out) {
    const char *text = json_str(spec, key);
    *out = without_ms;
    return text == NULL || duration_parse(text, out);
}

static bool apply(struct target *t, const json_t *spec, struct error *err) {
    uint64_t down_ms, for_ms;
    if (!faults_check(spec, err)) {
        return false;
    }
    if (!duration_of(spec, "down_for", 1000, &down_ms) || !duration_of(spec, "for", 1000, &for_ms)) {
        return error_set(err, "usage", "down_for and for are durations like 3s");
    }
    const json_t *service = json_object_get(spec, "service"), *kill = json_object_get(spec, "kill"),
                 *restart = json_object_get(spec, "restart"), *reset = json_object_get(spec, "reset");
    if (service != NULL) {
        return service_fault(t, service, err);
    }
    if (kill != NULL) {
        return component_fault(t, "kill", kill, 0, err);
    }
    if (restart != NULL) {
        return component_fault(t, "restart", restart, down_ms, err);
    }
    if (reset != NULL) {
        return component_fault(t, "restart", json_object_get(reset, "a"), 0, err);
    }
    if (json_object_get(spec, "pause") != NULL) {
        return pause_stack(t, for_ms, err);
    }
    return error_set(err, "usage", "%s: such a fault needs the simulated world (dalang scenario, dalang simulate)",
                     json_object_iter_key(json_object_iter((json_t *)(uintptr_t)spec)));
}

static bool heal(struct target *t, struct error *err) {
    static const char *const urls[] = {"rbac", "puppetdb", "puppetserver"};
    bool ok = true;
    for (size_t i = 0; ok && i < 3; i++) {
        ok = ask_service(t, urls[i], "DELETE", NULL, 204, err);
    }
    json_t *request = json_pack("{s:b}", "heal", 1);
    ok = ok && ask_stack(t, request, err);
    json_decref(request);
    return ok;
}

static bool reach(struct target *t, const char *dir, struct error *err) {
    char *line = NULL;
    t->dir = absolute_path(dir);
    if (!detached_wait(t->dir, READY_WITHIN_MS, 0, &line, err)) {
        return false;
    }
    t->stack = json_parse(span_of(line), "stack.json", err);
    mem_free(line);
    t->world = t->stack != NULL ? real_world_new(err) : NULL;
    struct world_tls_files files = {
        .ca = json_str(t->stack, "ca"), .cert = json_str(t->stack, "cert"), .key = json_str(t->stack, "key")};
    t->tls = t->world != NULL ? world_tls_new(t->world, &files, err) : NULL;
    return t->tls != NULL;
}

static void target_free(struct target *t) {
    world_tls_free(t->tls);
    if (t->world != NULL) {
        real_world_free(t->world);
    }
    json_decref(t->stack);
    mem_free(t->dir);
}

static int run(const struct command_line *cl, const struct fault_args *a, const struct option_list *words) {
    struct error err = ERROR_INIT;
    struct target t = {0};
    const char *dir = a->dir != NULL ? a->dir : getenv("DALANG_DIR");
    bool ok = (dir != NULL && *dir != '\0') ||
              error_set(&err, "usage", "--dir is needed (or DALANG_DIR): the directory of a stack");
    ok = ok &&
         (words->count != 0 || a->heal || error_set(&err, "usage", "a fault is needed; see dalang fault --help")) &&
         reach(&t, dir, &err) && (!a->heal || heal(&t, &err));
    for (size_t i = 0; ok && i < words->count; i++) {
        json_t *spec = json_loads(words->items[i], 0, NULL);
        ok = (spec != NULL || error_set(&err, "usage", "\"%s\" is no JSON", words->items[i])) && apply(&t, spec, &err);
        json_decref(spec);
    }
    target_free(&t);
    if (error_is_set(&err) && strcmp(err.kind, "fault") == 0) {
        err.kind = "usage";
    }
    return ok ? DALANG_OK : dalang_trouble(cl, &err);
}

int fault_command(int argc, char *const argv[]) {
    struct fault_args args = {.dir = NULL};
    const struct command_line *cl = fault_line(&args);
    struct option_list words = {NULL, 0};
    int code = DALANG_OK;
    if (dalang_parse(cl, argc, argv, &words, &code)) {
        code = run(cl, &args, &words);
    }
    option_list_free(&words);
    return code;
}
