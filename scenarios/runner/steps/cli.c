/* cli: one of our command line programs against the stack, as a person runs it: exit status and output. It runs in this
 * process with the stage's world as its system, so in virtual time, too. */
#include "cli/cli.h"
#include "base/mem.h"
#include "scenarios/runner/match.h"
#include "scenarios/runner/run.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CLI_WORDS_MAX = 64, CLI_OUTPUT_SHOWN = 3000 };

static const struct shape_key expect_keys[] = {{"exit", &shape_match, false},
                                               {"stdout", &shape_match, false},
                                               {"stderr", &shape_match, false},
                                               {"json", &shape_match_paths, false},
                                               {NULL, NULL, false}};
static const struct shape shape_expect = {.type = SHAPE_MAP, .keys = expect_keys};

static void check_run(struct problems *p, const struct doc_node *node) {
    const struct doc_node *first = node->kind == DOC_LIST && node->count > 0 ? node->items[0] : node;
    if (first->kind != DOC_TEXT || shape_is_open(first)) {
        return;
    }
    char *program = span_dup((struct span){first->text, strcspn(first->text, " ")});
    if (!cli_is_program(program)) {
        problem(p, first,
                "\"%s\" is not one of our programs: puppet-task, puppet-job, puppet-plan, puppet-app, "
                "puppet-access, puppet-query",
                program);
    }
    mem_free(program);
}
static const struct shape shape_run = {.type = SHAPE_ANY, .check = check_run};
static const struct shape_key cli_keys[] = {{"run", &shape_run, true},
                                            {"stdin", &shape_text, false},
                                            {"as_user", &shape_text, false},
                                            {"expect", &shape_expect, false},
                                            STEP_KEYS,
                                            {NULL, NULL, false}};
static const struct shape shape_cli = {.type = SHAPE_MAP, .keys = cli_keys};

struct cli_state {
    const json_t *args;
    char *words[CLI_WORDS_MAX + 1];
    int count;
};

/* ---- words, with '…' and "…" as a shell reads them */

static bool split_words(struct cli_state *s, const char *text) {
    struct buf word = BUF_INIT;
    bool any = false;
    for (char quote = 0; *text != '\0'; text++) {
        if (quote == 0 && (*text == ' ' || *text == '\n')) {
            if (any && s->count < CLI_WORDS_MAX) {
                s->words[s->count++] = buf_take(&word);
            }
            any = false;
        } else if (*text == quote) {
            quote = 0;
        } else if (quote == 0 && (*text == '\'' || *text == '"')) {
            quote = *text;
            any = true;
        } else {
            buf_append_char(&word, *text);
            any = true;
        }
    }
    if (any && s->count < CLI_WORDS_MAX) {
        s->words[s->count++] = buf_take(&word);
    }
    buf_free(&word);
    return s->count > 0;
}

static bool read_words(struct cli_state *s, const json_t *run) {
    if (json_is_string(run)) {
        return split_words(s, json_string_value(run));
    }
    size_t i;
    json_t *word;
    json_array_foreach(run, i, word) {
        if (s->count < CLI_WORDS_MAX) {
            s->words[s->count++] = json_is_string(word) ? str_dup(json_string_value(word)) : json_text(word);
        }
    }
    return s->count > 0;
}

/* ---- the surroundings of the program */

struct surroundings {
    struct run *run;
    FILE *in;
};

/* A scenario whose time is up ends its program as two Ctrl-Cs would. */
static unsigned interrupts(void *ctx) {
    const struct surroundings *s = ctx;
    return run_is_over(s->run) ? 2 : 0;
}
static int utc(void *ctx, int64_t wall_ms) {
    (void)ctx, (void)wall_ms;
    return 0;
}
static unsigned no_terminal(void *ctx) {
    (void)ctx;
    return 0;
}
static bool read_line(void *ctx, const char *prompt, bool secret, struct buf *line) {
    FILE *in = ((struct surroundings *)ctx)->in;
    (void)prompt, (void)secret;
    int c = fgetc(in);
    bool any = c != EOF;
    for (; c != EOF && c != '\n'; c = fgetc(in)) {
        buf_append_char(line, (char)c);
    }
    return any;
}

static const char cli_dir[] = "/home/dalang";

static bool write_json_file(struct world *w, const char *path, json_t *value, struct error *err) {
    char *text = json_text(value);
    json_decref(value);
    bool ok = world_file_write(w, path, span_of(text), 0644, WORLD_WRITE_PLAIN, err);
    mem_free(text);
    return ok;
}

/* The files that `dalang up --dir` leaves for people: here with the token of who runs the program. */
static bool write_surroundings(struct run *r, const char *dir, const char *token, struct error *err) {
    const struct stage *s = run_stage(r);
    struct world_tls_files files = {.cert = NULL};
    struct world *w = s->world;
    char *tools = str_printf("%s/client-tools", dir), *token_file = str_printf("%s/token", dir);
    char *orchestrator = str_printf("%s/orchestrator.conf", tools),
         *access = str_printf("%s/puppet-access.conf", tools), *puppetdb = str_printf("%s/puppetdb.conf", tools),
         *rbac = str_printf("%s/rbac-api", stack_url(s->stack, "console"));
    bool ok =
        s->ops->client_files(run_stage(r), &files, err) && world_file_mkdir(w, tools, 0755, true, err) &&
        world_file_write(w, token_file, span_of(token), 0600, WORLD_WRITE_PLAIN, err) &&
        write_json_file(w, orchestrator,
                        json_pack("{s:{s:s, s:s, s:s}}", "options", "service-url", stack_url(s->stack, "orchestrator"),
                                  "cacert", files.ca, "token-file", token_file),
                        err) &&
        write_json_file(
            w, access,
            json_pack("{s:s, s:s, s:s}", "service-url", rbac, "certificate-file", files.ca, "token-file", token_file),
            err) &&
        write_json_file(w, puppetdb,
                        json_pack("{s:{s:s, s:s, s:s, s:s, s:s}}", "puppetdb", "server_urls",
                                  stack_url(s->stack, "puppetdb"), "cacert", files.ca, "cert", files.cert, "key",
                                  files.key, "token-file", token_file),
                        err);
    char *texts[] = {tools, token_file, orchestrator, access, puppetdb, rbac};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mem_free(texts[i]);
    }
    return ok;
}

/* ---- what came out */

static bool judge(const json_t *expect, json_t *result, struct buf *why) {
    static const char *const keys[] = {"exit", "stdout", "stderr"};
    bool ok = true;
    if (json_object_get(expect, "exit") == NULL && json_int(result, "exit", -1) != 0) {
        buf_printf(why, "exit: %lld, expected 0", (long long)json_int(result, "exit", -1));
        ok = false;
    }
    for (size_t i = 0; i < 3; i++) {
        const json_t *wanted = json_object_get(expect, keys[i]);
        json_t *w = json_pack("{s:O?}", keys[i], wanted);
        ok = (wanted == NULL || match(w, result, why)) && ok;
        json_decref(w);
    }
    const json_t *paths = json_object_get(expect, "json");
    return (paths == NULL || match_paths(paths, json_object_get(result, "json"), why)) && ok;
}

static void report(struct run *r, const json_t *args, int code, const struct span out, const struct span err) {
    const json_t *expect = json_object_get(args, "expect");
    struct buf why = BUF_INIT;
    json_t *result = json_pack("{s:i}", "exit", code);
    json_set(result, "stdout", json_stringn_nocheck(out.ptr, out.len));
    json_set(result, "stderr", json_stringn_nocheck(err.ptr, err.len));
    json_t *json = json_parse(out, "json", NULL);
    if (json != NULL) {
        json_set(result, "json", json);
    }
    if (judge(expect, result, &why)) {
        buf_free(&why);
        run_step_done(r, result);
        return;
    }
    char *wanted = expect != NULL ? json_text(expect) : str_dup("it ends with status 0");
    buf_printf(&why, "\nexit %d\nstdout: %.*s\nstderr: %.*s", code,
               (int)(out.len < CLI_OUTPUT_SHOWN ? out.len : CLI_OUTPUT_SHOWN), out.ptr,
               (int)(err.len < CLI_OUTPUT_SHOWN ? err.len : CLI_OUTPUT_SHOWN), err.ptr);
    run_step_failed(r, wanted, why.ptr);
    mem_free(wanted);
    buf_free(&why);
    json_decref(result);
}

static void run_program(struct run *r) {
    struct cli_state *s = run_kept(r);
    const struct stage *stage = run_stage(r);
    const char *user = json_str(s->args, "as_user"), *input = json_str(s->args, "stdin");
    const char *token = user == NULL ? stack_admin_token(stage->stack)
                                     : json_str(json_object_get(json_object_get(run_vars(r), "users"), user), "token");
    struct error err = ERROR_INIT;
    char *dir =
        str_printf("%s/%s", stage->client_dir != NULL ? stage->client_dir : cli_dir, user != NULL ? user : "admin");
    if (token == NULL || !write_surroundings(r, dir, token, &err)) {
        run_step_failed(r, "a known user", error_is_set(&err) ? err.msg : user);
        error_clear(&err);
        mem_free(dir);
        return;
    }
    char *out = NULL, *problems = NULL;
    size_t out_len = 0, problems_len = 0;
    FILE *in = input != NULL && input[0] != '\0' ? fmemopen((void *)(uintptr_t)input, strlen(input), "r")
                                                 : fopen("/dev/null", "r");
    FILE *to = open_memstream(&out, &out_len), *errors = open_memstream(&problems, &problems_len);
    struct surroundings surroundings = {r, in};
    struct cli_host host = {.world = stage->world,
                            .turn = stage->ops->turn_world,
                            .in = in,
                            .out = to,
                            .err = errors,
                            .no_color = true,
                            .home = dir,
                            .stack_dir = dir,
                            .global_dir = "/etc/puppetlabs/client-tools",
                            .interrupts = interrupts,
                            .utc_offset_s = utc,
                            .columns = no_terminal,
                            .read_line = read_line,
                            .ctx = &surroundings};
    int code = cli_run(&host, s->words[0], s->count, s->words);
    fclose(to);
    fclose(errors);
    fclose(in);
    mem_free(dir);
    if (!run_is_over(r)) {
        report(r, s->args, code, (struct span){out, out_len}, (struct span){problems, problems_len});
    }
    free(out);
    free(problems);
}

static void forget(struct run *r, void *state) {
    struct cli_state *s = state;
    (void)r;
    for (int i = 0; i < s->count; i++) {
        mem_free(s->words[i]);
    }
    mem_free(s);
}

static void begin_cli(struct run *r, const json_t *args) {
    struct cli_state *s = mem_zalloc(sizeof(*s));
    s->args = args;
    run_keep(r, s, forget);
    if (!read_words(s, json_object_get(args, "run")) || !cli_is_program(s->words[0])) {
        run_step_failed(r, "the name of one of our programs and its arguments", NULL);
        return;
    }
    run_blocking(r, run_program);
}

const struct step_kind cli_steps[] = {
    {"cli", "run a command line program, and what it prints", &shape_cli, begin_cli},
    {NULL, NULL, NULL, NULL},
};
