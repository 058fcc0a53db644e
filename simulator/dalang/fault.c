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

enum {
    FAULT_OPTIONS = 4,
    PAUSE_MS = 1000,
    READY_WITHIN_MS = 2000,
    ANSWER_WITHIN_MS = 10000,
    POLL_MS = 10,
    ANSWER_MAX = 65536
};

struct fault_args {
    const char *dir;
    bool heal;
};

static const struct command_line *fault_line(struct fault_args *a) {
    static struct fault_args unused;
    static struct option table[FAULT_OPTIONS];
    static const struct command_line cl = {
        "dalang fault", "[OPTIONS] FAULT…", "faults on a running stack",
        "A fault is JSON, as in a scenario's fault step. \"for\" ends it; without, it lasts until --heal.\n"
        "WHO is a name, a list of names, a prefix (\"node-*\") or \"*\": brokers, orchestrator, console (RBAC, "
        "classifier, activity),\n"
        "puppetdb, puppetserver, agents by their certnames, and client (whoever shows no certificate, or that of "
        "people).\n"
        "\n"
        "Connections; \"symmetric\": false is from a to b only, who is not named is anybody:\n"
        "  '{\"partition\": {\"a\": \"node-0001.example.com\", \"b\": \"broker-1\"}, \"for\": \"5s\"}'     nothing "
        "passes\n"
        "  '{\"delay\": {\"a\": \"node-*\", \"latency\": {\"uniform\": [\"10ms\", \"90ms\"]}}}'            slow\n"
        "  '{\"drop\": {\"a\": \"broker-1\", \"b\": \"node-*\", \"ratio\": 0.05}}'                       so much is "
        "lost and sent again\n"
        "  '{\"reorder\": {\"a\": \"broker-1\", \"by\": \"50ms\"}}'                                    some of it is "
        "late\n"
        "  '{\"throttle\": {\"a\": \"node-*\", \"bytes_per_s\": 10000}}'                             narrow\n"
        "  '{\"corrupt\": {\"a\": \"node-*\", \"ratio\": 0.01}}'                                     damaged; TLS "
        "notices\n"
        "  '{\"refuse\": {\"a\": \"orchestrator\", \"b\": \"puppetdb\", \"ratio\": 0.5}}'                attempts end "
        "at once\n"
        "  '{\"reset\": {\"a\": \"broker-1\"}}'                                                    all end now; with a "
        "ratio, some do\n"
        "  '{\"half_close\": {\"gone\": \"node-0001.example.com\", \"peer\": \"broker-1\"}}'           one end "
        "vanishes without a word\n"
        "Processes; agents of --agents beyond 1000 live elsewhere and can only be cut off:\n"
        "  '{\"kill\": \"broker-1\"}'                                                            as by kill -9\n"
        "  '{\"restart\": [\"orchestrator\", \"node-0002.example.com\"], \"down_for\": \"3s\"}'        … and back\n"
        "  '{\"pause\": \"*\", \"for\": \"2s\"}'                                                     the whole stack "
        "stands still\n"
        "Services (rbac, classifier, activity, console, puppetdb, puppetserver), clocks, certificates:\n"
        "  '{\"service\": {\"name\": \"puppetdb\", \"route\": \"GET /pdb/query/*\", \"status\": 503, \"times\": 3}}'\n"
        "      also \"body\", \"content_type\", \"delay\": \"2s\", \"hang\": true, \"reset\": true, \"probability\": "
        "0.1\n"
        "  '{\"clock\": {\"host\": \"orchestrator\", \"jump\": \"-1h\"}}'                              for good; no "
        "\"for\"\n"
        "  '{\"certificate\": {\"revoke\": \"node-0001.example.com\"}, \"for\": \"10s\"}'              then it gets "
        "another one\n"
        "  '{\"certificate\": {\"expire\": \"node-0001.example.com\"}}'                            its time is over",
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
    struct world *world;
};

/* ---- asked of the stack's process (control.h) */

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
        const char *kind = json_str(answer, "kind");
        bool ours =
            kind == NULL || span_starts_with(span_of(kind), "world/") || span_starts_with(span_of(kind), "certs/");
        ok = trouble == NULL || error_set(err, ours ? "stack" : "usage", "%s", trouble);
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

static bool apply(struct target *t, const json_t *spec, struct error *err) {
    const char *whom = json_str(spec, "pause"), *time = json_str(spec, "for");
    uint64_t for_ms = PAUSE_MS;
    if (whom == NULL) {
        return ask_stack(t, spec, err);
    }
    if (strcmp(whom, "*") != 0) {
        return error_set(err, "usage", "pause: only the whole stack can stand still: \"*\"");
    }
    return (time == NULL || duration_parse(time, &for_ms) ||
            error_set(err, "usage", "for: a duration such as 2s is wanted")) &&
           pause_stack(t, for_ms, err);
}

static bool heal(struct target *t, struct error *err) {
    json_t *request = json_pack("{s:b}", "heal", 1);
    bool ok = ask_stack(t, request, err);
    json_decref(request);
    return ok;
}

/* What can be known to be wrong without a stack. */
static bool read_faults(const struct option_list *words, json_t **out, struct error *err) {
    *out = json_array();
    for (size_t i = 0; i < words->count; i++) {
        json_t *spec = json_loads(words->items[i], 0, NULL);
        if (spec == NULL) {
            return error_set(err, "usage", "\"%s\" is no JSON", words->items[i]);
        }
        json_array_append_new(*out, spec);
        if (!faults_check(spec, err)) {
            return false;
        }
    }
    return true;
}

static bool reach(struct target *t, const char *dir, struct error *err) {
    char *line = NULL;
    t->dir = absolute_path(dir);
    if (!detached_wait(t->dir, READY_WITHIN_MS, 0, &line, err)) {
        return false;
    }
    mem_free(line);
    t->world = real_world_new(err);
    return t->world != NULL;
}

static void target_free(struct target *t) {
    if (t->world != NULL) {
        real_world_free(t->world);
    }
    mem_free(t->dir);
}

static int run(const struct command_line *cl, const struct fault_args *a, const struct option_list *words) {
    struct error err = ERROR_INIT;
    struct target t = {0};
    json_t *faults = NULL, *spec;
    size_t i;
    const char *dir = a->dir != NULL ? a->dir : getenv("DALANG_DIR");
    bool ok = (dir != NULL && *dir != '\0') ||
              error_set(&err, "usage", "--dir is needed (or DALANG_DIR): the directory of a stack");
    ok = ok &&
         (words->count != 0 || a->heal || error_set(&err, "usage", "a fault is needed; see dalang fault --help")) &&
         read_faults(words, &faults, &err) && reach(&t, dir, &err) && (!a->heal || heal(&t, &err));
    json_array_foreach(faults, i, spec) {
        ok = ok && apply(&t, spec, &err);
    }
    json_decref(faults);
    target_free(&t);
    if (error_is(&err, "fault")) {
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
