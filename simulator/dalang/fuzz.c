/* dalang fuzz: hostile clients against any broker, a hostile broker against any agent, until something gives. */
#include "base/json.h"
#include "base/mem.h"
#include "base/url.h"
#include "simulator/dalang/commands.h"
#include "simulator/dalang/surroundings.h"
#include "simulator/livefuzz/invent.h"
#include "simulator/livefuzz/run.h"
#include "simulator/livefuzz/shrink.h"
#include "world/real.h"
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    FUZZ_OPTIONS = 24,
    TRANSCRIPT_MAX = 256 * 1024 * 1024,
    PATIENCE_MS = 5000,
    GROWTH_MB = 64,
    WARM_STEPS = 200,
    TRIES_MAX = 200,
    STEPS_MAX = 1000000
};

struct fuzz_args {
    const char *target, *listen, *ca, *ca_key, *crl, *dir, *transcript, *replay, *minimise;
    uint64_t seed, for_ms, steps, patience_ms, growth_mb, pid;
    bool json;
};

struct fuzz_work {
    struct fuzz_args args;
    const struct command_line *cl;
    const char *const *command;
    bool agent;
    struct world *world;
    struct certs_ca *ca;
    struct world_tls *server_tls;
    struct url target;
    char *host; /* to listen on */
    uint16_t port;
    struct timer end;
    bool over, terminal, restarted; /* restarted: a replay under way is one of many */
    uint64_t steps, begun_us;
    enum fuzz_verdict wanted; /* of a replay that is made smaller */
    char *text;
};

static const struct command_line *fuzz_line(struct fuzz_args *a) {
    static struct fuzz_args unused;
    static struct option table[FUZZ_OPTIONS];
    static struct command_line cl = {
        "dalang fuzz", "broker | agent  [OPTIONS] [-- COMMAND…]",
        "hostile clients against any broker, a hostile broker against any agent",
        "Speaks PCP and spoils it field by field, following the conversation. Now and then proper clients look whether "
        "everything\n"
        "still works. It ends with exit code 1 at the first crash, hang, growth of memory or wrong answer, and leaves "
        "a\n"
        "transcript that --replay repeats and --minimise makes smaller.\n\n"
        "Behind -- stands a command that starts the program under test in the foreground: only then a crash is told by "
        "its\n"
        "signal, memory is watched without --pid, and --minimise has a fresh program for each try.\n\n"
        "  dalang fuzz broker --target wss://127.0.0.1:8142 --dir CERTS --for 10m -- dalang-broker --config "
        "broker.conf\n"
        "  dalang fuzz agent --listen 8142 --dir CERTS -- pxp-agent --foreground --config-file agent.conf\n\n"
        "A program under test should be one that nobody needs.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){OPTION_STRING, "target", 't', "URL", "The broker: wss://HOST:PORT.", &a->target};
    table[n++] = (struct option){
        OPTION_STRING, "listen", 'l', "[HOST:]PORT", "Where an agent finds us; 127.0.0.1 and a free port, printed.",
        &a->listen};
    table[n++] = (struct option){
        OPTION_STRING, "dir", 'd', "DIR", "A directory of `dalang certs` or `dalang up`: ca.pem, ca.key, crl.pem.",
        &a->dir};
    table[n++] = (struct option){OPTION_STRING, "ca", 0, "FILE", "The CA that both sides trust.", &a->ca};
    table[n++] =
        (struct option){OPTION_STRING, "ca-key", 0, "FILE", "Its private key: makes our certificates.", &a->ca_key};
    table[n++] = (struct option){OPTION_STRING, "crl", 0, "FILE", "Its revocation list.", &a->crl};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "How long and what", NULL};
    table[n++] = (struct option){OPTION_UINT, "seed", 's', "N", "The same seed, the same steps; a random one, printed.",
                                 &a->seed};
    table[n++] = (struct option){OPTION_DURATION, "for", 0, "TIME", "Stop after this time.", &a->for_ms};
    table[n++] = (struct option){OPTION_UINT, "steps", 'n', "N", "Stop after so many steps.", &a->steps};
    table[n++] = (struct option){OPTION_STRING, "replay", 0, "FILE", "Repeat this transcript.", &a->replay};
    table[n++] = (struct option){
        OPTION_STRING, "minimise", 0, "FILE", "Repeat it with fewer and fewer steps; the smallest goes to FILE.min.",
        &a->minimise};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Verdicts", NULL};
    table[n++] =
        (struct option){OPTION_DURATION, "patience", 0, "TIME", "Later than this is a hang; 5s.", &a->patience_ms};
    table[n++] =
        (struct option){OPTION_UINT, "growth", 0, "MB", "More memory than this beyond the start; 64.", &a->growth_mb};
    table[n++] = (struct option){OPTION_UINT, "pid", 0, "PID", "Watch this process's memory.", &a->pid};
    table[n++] = (struct option){OPTION_STRING,
                                 "transcript",
                                 'o',
                                 "FILE",
                                 "Where the transcript goes; dalang-fuzz-SEED.jsonl, kept when something is found.",
                                 &a->transcript};
    table[n++] = (struct option){OPTION_FLAG, "json", 0, NULL, "Print the result as JSON.", &a->json};
    table[n] = (struct option)OPTION_END;
    return &cl;
}

void fuzz_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, fuzz_line(NULL));
}

/* ---- one run */

static void stop(void *ctx) {
    ((struct fuzz_work *)ctx)->over = true;
}

static bool is_over(void *ctx) {
    return ((struct fuzz_work *)ctx)->over;
}

static struct fuzz_run *run_new(struct fuzz_work *w, struct error *err) {
    const struct fuzz_args *a = &w->args;
    struct fuzz_opts opts = {.world = w->world,
                             .agent = w->agent,
                             .host = w->agent ? w->host : w->target.host,
                             .port = w->agent ? w->port : w->target.port,
                             .ca = w->ca,
                             .ca_file = a->ca,
                             .crl = a->crl,
                             .server_tls = w->server_tls,
                             .command = w->command,
                             .pid = (int64_t)a->pid,
                             .patience_ms = a->patience_ms,
                             .growth_bytes = a->growth_mb * 1024 * 1024,
                             .interrupted = is_over,
                             .ctx = w};
    struct fuzz_run *r = fuzz_run_new(&opts, err);
    if (r != NULL && w->agent && w->port == 0) {
        w->port = fuzz_run_port(r); /* the same one for every try */
    }
    if (r != NULL && w->agent && !w->restarted) {
        fprintf(stderr, "%s: waiting for an agent on wss://%s:%u\n", w->cl->program, w->host, (unsigned)w->port);
    }
    return r;
}

static void note(struct fuzz_work *w, enum fuzz_verdict v, const struct fuzz_run *r) {
    mem_free(w->text);
    w->text = str_dup(v == FUZZ_CLEAN ? "" : fuzz_text(r));
}

static void progress(struct fuzz_work *w) {
    if (w->terminal && w->steps % 100 == 0) {
        fprintf(stderr, "\r\033[K%" PRIu64 " steps  %.0f s", w->steps,
                (double)(world_now_us(w->world) - w->begun_us) / 1e6);
    }
}

static bool write_step(FILE *to, const struct action *a, struct buf *line) {
    buf_clear(line);
    action_write(a, line);
    return fwrite(line->ptr, 1, line->len, to) == line->len && fflush(to) == 0;
}

static enum fuzz_verdict invent_until_it_gives(struct fuzz_work *w, FILE *transcript, struct error *err) {
    struct inventor inventor;
    struct buf line = BUF_INIT;
    struct fuzz_run *r = run_new(w, err);
    enum fuzz_verdict v = r != NULL ? fuzz_begin(r) : FUZZ_UNREACHABLE;
    inventor_init(&inventor, w->args.seed, w->agent);
    for (; v == FUZZ_CLEAN && !w->over && w->steps < w->args.steps; w->steps++) {
        struct action a;
        for (unsigned who = 0; who < FUZZ_CLIENTS; who++) {
            inventor.clients[who].connected = fuzz_connected(r, who);
        }
        inventor.agent_uri = fuzz_agent_uri(r);
        inventor.agent_version = fuzz_agent_version(r);
        invent(&inventor, &a);
        if (!write_step(transcript, &a, &line)) { /* before it is done: what comes next may be the end */
            error_set(err, "world/io", "the transcript cannot be written");
            w->over = true;
        }
        v = fuzz_do(r, &a);
        action_free(&a);
        if (v == FUZZ_CLEAN && w->steps == WARM_STEPS) {
            v = fuzz_finish(r); /* warm: memory is compared with this moment */
        }
        progress(w);
    }
    w->over = false; /* the time is up; the last look is still taken */
    v = v == FUZZ_CLEAN && r != NULL ? fuzz_finish(r) : v;
    if (r != NULL) {
        note(w, v, r);
    }
    fuzz_run_free(r);
    buf_free(&line);
    return v;
}

static enum fuzz_verdict repeat(struct fuzz_work *w, const struct actions *list) {
    struct error err = ERROR_INIT;
    struct fuzz_run *r = run_new(w, &err);
    enum fuzz_verdict v = r != NULL ? fuzz_begin(r) : FUZZ_UNREACHABLE;
    for (size_t i = 0; i < list->count && v == FUZZ_CLEAN && !w->over; i++) {
        v = fuzz_do(r, &list->items[i]);
        w->steps++;
    }
    v = v == FUZZ_CLEAN && r != NULL && !w->over ? fuzz_finish(r) : v;
    if (r != NULL) {
        note(w, v, r);
    } else {
        mem_free(w->text);
        w->text = str_dup(err.msg);
    }
    error_clear(&err);
    fuzz_run_free(r);
    return v;
}

/* ---- the three things it can do */

static int print_result(struct fuzz_work *w, enum fuzz_verdict v, const char *transcript) {
    double seconds = (double)(world_now_us(w->world) - w->begun_us) / 1e6;
    if (w->terminal) {
        fputs("\r\033[K", stderr);
    }
    if (w->args.json) {
        json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:f}", "verdict", fuzz_verdict_name(v), "text",
                              w->text != NULL ? w->text : "", "seed", (json_int_t)w->args.seed, "steps",
                              (json_int_t)w->steps, "seconds", seconds);
        json_set(o, "transcript", transcript != NULL ? json_string(transcript) : NULL);
        char *text = json_text(o);
        puts(text);
        mem_free(text);
        json_decref(o);
    } else if (v == FUZZ_CLEAN) {
        printf("clean: %" PRIu64 " steps in %.1f s, seed %" PRIu64 "\n", w->steps, seconds, w->args.seed);
    } else {
        printf("%s: %s\nafter %" PRIu64 " steps in %.1f s, seed %" PRIu64 "%s%s\n", fuzz_verdict_name(v),
               w->text != NULL ? w->text : "", w->steps, seconds, w->args.seed,
               transcript != NULL ? ", transcript in " : "", transcript != NULL ? transcript : "");
    }
    return v == FUZZ_CLEAN ? DALANG_OK : v == FUZZ_UNREACHABLE ? DALANG_CONFIGURATION : DALANG_FAILED;
}

static int fuzz_anew(struct fuzz_work *w, struct error *err) {
    char *path = w->args.transcript != NULL ? str_dup(w->args.transcript)
                                            : str_printf("dalang-fuzz-%" PRIu64 ".jsonl", w->args.seed);
    FILE *transcript = fopen(path, "we");
    int code = DALANG_CONFIGURATION;
    if (transcript == NULL) {
        error_set(err, "world/file", "%s: cannot be written", path);
    } else {
        fprintf(transcript, "{\"fuzz\":\"%s\",\"seed\":%" PRIu64 "}\n", w->agent ? "agent" : "broker", w->args.seed);
        enum fuzz_verdict v = invent_until_it_gives(w, transcript, err);
        json_t *last = json_pack("{s:s, s:s}", "verdict", fuzz_verdict_name(v), "text", w->text != NULL ? w->text : "");
        char *line = json_text(last);
        fprintf(transcript, "%s\n", line);
        mem_free(line);
        json_decref(last);
        fclose(transcript);
        bool found = v != FUZZ_CLEAN && v != FUZZ_UNREACHABLE;
        if (!found && w->args.transcript == NULL) {
            unlink(path);
        }
        if (!error_is_set(err)) {
            code = print_result(w, v, found || w->args.transcript != NULL ? path : NULL);
        }
    }
    mem_free(path);
    return code;
}

static bool read_transcript(struct fuzz_work *w, const char *path, struct actions *list, struct error *err) {
    struct buf text = BUF_INIT;
    bool ok = world_file_read(w->world, path, TRANSCRIPT_MAX, &text, err) &&
              (actions_read(list, buf_span(&text), err) || error_prefix(err, "%s", path));
    buf_free(&text);
    if (ok && list->agent != w->agent) {
        ok = error_set(err, "usage", "%s is the transcript of %s", path, list->agent ? "an agent" : "a broker");
    }
    w->args.seed = list->seed;
    return ok;
}

static bool ends_the_same(void *ctx, const struct actions *shorter) {
    struct fuzz_work *w = ctx;
    return !w->over && repeat(w, shorter) == w->wanted;
}

static int make_smaller(struct fuzz_work *w, struct actions *list, struct error *err) {
    w->restarted = false;
    w->wanted = repeat(w, list);
    if (w->wanted == FUZZ_CLEAN || w->wanted == FUZZ_UNREACHABLE) {
        return print_result(w, w->wanted, NULL) == DALANG_OK ? DALANG_OK : DALANG_CONFIGURATION;
    }
    char *found = str_dup(w->text), *path = str_printf("%s.min", w->args.minimise);
    size_t before = list->count;
    w->restarted = true;
    size_t tries = actions_shrink(list, TRIES_MAX, ends_the_same, w);
    struct buf out = BUF_INIT;
    actions_write(list, &out);
    bool ok = world_file_write(w->world, path, buf_span(&out), 0600, WORLD_WRITE_ATOMIC, err);
    if (ok) {
        printf("%s: %s\n%zu steps of %zu are enough, after %zu tries: %s\n", fuzz_verdict_name(w->wanted), found,
               list->count, before, tries, path);
    }
    buf_free(&out);
    mem_free(found);
    mem_free(path);
    return ok ? DALANG_FAILED : DALANG_CONFIGURATION;
}

static int fuzz_again(struct fuzz_work *w, struct error *err) {
    struct actions list = {0};
    const char *path = w->args.minimise != NULL ? w->args.minimise : w->args.replay;
    int code = DALANG_CONFIGURATION;
    if (read_transcript(w, path, &list, err)) {
        code = w->args.minimise != NULL ? make_smaller(w, &list, err) : print_result(w, repeat(w, &list), path);
    }
    actions_free(&list);
    return code;
}

/* ---- start */

static void default_file(const struct fuzz_args *a, const char **option, const char *name, bool must_be, char **owned) {
    if (*option == NULL && a->dir != NULL) {
        *owned = str_printf("%s/%s", a->dir, name);
        *option = must_be || access(*owned, R_OK) == 0 ? *owned : NULL;
    }
}

static bool read_listen(struct fuzz_work *w, struct error *err) {
    const char *text = w->args.listen != NULL ? w->args.listen : "127.0.0.1:0", *colon = strrchr(text, ':');
    uint64_t port;
    if (!span_to_u64(span_of(colon != NULL ? colon + 1 : text), &port) || port > UINT16_MAX) {
        return error_set(err, "usage", "--listen \"%s\" is not PORT or HOST:PORT", text);
    }
    w->host = colon != NULL ? span_dup((struct span){text, (size_t)(colon - text)}) : str_dup("127.0.0.1");
    w->port = (uint16_t)port;
    return true;
}

static bool check(struct fuzz_work *w, struct error *err) {
    struct fuzz_args *a = &w->args;
    bool ok = (w->agent || a->target != NULL || error_set(err, "usage", "--target is needed: the broker's URL")) &&
              (a->ca != NULL || error_set(err, "usage", "--ca (or --dir) is needed")) &&
              (a->ca_key != NULL || error_set(err, "usage", "--ca-key (or --dir) is needed")) &&
              (a->minimise == NULL || w->command != NULL ||
               error_set(err, "usage", "--minimise needs a command behind --, to start the program anew")) &&
              (!w->agent || read_listen(w, err));
    if (ok && !w->agent && !url_parse(a->target, &w->target, err)) {
        err->kind = "usage";
        return error_prefix(err, "--target");
    }
    return ok && (w->agent || w->target.secure || error_set(err, "usage", "--target must begin with wss://"));
}

/* The certificate an agent sees: read once from a directory that is gone a moment later. */
static bool make_server(struct fuzz_work *w, struct error *err) {
    static const char *const addresses[] = {"127.0.0.1", "::1", NULL};
    const char *const names[] = {"localhost", w->host, NULL};
    const struct certs_issue what = {.common_name = SPAN("dalang-fuzz"),
                                     .dns_names = names,
                                     .ip_addresses = addresses,
                                     .now_ms = world_wall_ms(w->world)};
    struct certs_paths paths = {NULL, NULL};
    char *dir = temporary_directory(err), *below = dir != NULL ? str_printf("%s/certs", dir) : NULL;
    if (dir != NULL && world_file_mkdir(w->world, below, 0700, false, err) &&
        certs_dir_issue(w->ca, dir, &what, &paths, err)) {
        struct world_tls_files files = {
            .cert = paths.cert, .key = paths.key, .ca = w->args.ca, .client_auth = WORLD_CLIENT_AUTH_NEED};
        w->server_tls = world_tls_new(w->world, &files, err);
    }
    if (dir != NULL) {
        world_file_remove(w->world, dir, true, NULL);
    }
    certs_paths_free(&paths);
    mem_free(below);
    mem_free(dir);
    return w->server_tls != NULL;
}

static int run(struct fuzz_work *w) {
    struct fuzz_args *a = &w->args;
    struct error err = ERROR_INIT;
    char *own[3] = {NULL, NULL, NULL};
    int code = DALANG_CONFIGURATION;
    default_file(a, &a->ca, "ca.pem", true, &own[0]);
    default_file(a, &a->ca_key, "ca.key", true, &own[1]);
    default_file(a, &a->crl, "crl.pem", false, &own[2]);
    bool ok = check(w, &err) && (w->ca = certs_ca_open(a->ca, a->ca_key, &err)) != NULL &&
              (w->world = real_world_new(&err)) != NULL && real_keylog(w->world, getenv("SSLKEYLOGFILE"), &err) &&
              (!w->agent || make_server(w, &err));
    if (ok) {
        if (a->seed == 0) {
            a->seed = 1 + world_random_below(w->world, INT32_MAX);
        }
        w->begun_us = world_now_us(w->world);
        w->terminal = !a->json && isatty(STDERR_FILENO);
        real_signal(w->world, SIGINT, stop, w);
        real_signal(w->world, SIGTERM, stop, w);
        if (a->for_ms != 0) {
            world_timer_start(w->world, &w->end, a->for_ms, stop, w);
        }
        bool again = a->replay != NULL || a->minimise != NULL;
        code = again ? fuzz_again(w, &err) : fuzz_anew(w, &err);
        world_timer_stop(w->world, &w->end);
    }
    if (error_is_set(&err)) {
        code = dalang_trouble(w->cl, &err);
    }
    world_tls_free(w->server_tls);
    real_world_free(w->world);
    certs_ca_free(w->ca);
    url_free(&w->target);
    mem_free(w->host);
    mem_free(w->text);
    for (size_t i = 0; i < 3; i++) {
        mem_free(own[i]);
    }
    return code;
}

int fuzz_command(int argc, char *const argv[]) {
    struct fuzz_work w = {.args = {.steps = STEPS_MAX, .patience_ms = PATIENCE_MS, .growth_mb = GROWTH_MB}};
    struct option_list words = {NULL, 0};
    int code = DALANG_OK, own = 0;
    while (own < argc && strcmp(argv[own], "--") != 0) {
        own++;
    }
    w.command = own + 1 < argc ? (const char *const *)(argv + own + 1) : NULL;
    w.cl = fuzz_line(&w.args);
    if (dalang_parse(w.cl, own, argv, &words, &code)) {
        const char *what = words.count == 1 ? words.items[0] : "";
        w.agent = strcmp(what, "agent") == 0;
        if (!w.agent && strcmp(what, "broker") != 0) {
            struct error err = ERROR_INIT;
            error_set(&err, "usage", "what is to be fuzzed: broker or agent?");
            code = dalang_trouble(w.cl, &err);
        } else {
            code = run(&w);
        }
    }
    option_list_free(&words);
    return code;
}
