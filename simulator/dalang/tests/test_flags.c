/* Every option of every client program, long and short, in a pipe and on a terminal, against a live stack. Which
 * options there are is asked of the programs' own tables: one that no command line here gives fails the test. */
#include "simulator/dalang/tests/rig.h"

#include "base/mem.h"
#include "cli/cli.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define N1 "node-0001.example.com"
#define N1_QUERY "nodes[certname] { certname = \"" N1 "\" }"
#define GROUP_FIRST "11111111-1111-4111-8111-111111111111"
enum { COLUMNS = 200 };

static struct rig rig;

/* Ways to reach the orchestrator without any configuration: were one of them not heeded, nothing would work. %WORD% is
 * a value of the stack's. */
#define LONG                                                                                                           \
    "--service-url", "%orchestrator%", "--token-file", "%token_file%", "--ca-cert", "%ca%", "--config-file",           \
        "none.conf", "--format", "json", "--no-color", "--verbose"
#define SHORT                                                                                                          \
    "--service-url", "%orchestrator%", "-t", "%token_file%", "--ca-cert", "%ca%", "-c", "none.conf", "--format",       \
        "human", "--color"
#define ACCESS_LONG                                                                                                    \
    "--service-url", "%rbac%/rbac-api", "--token-file", "own.token", "--ca-cert", "%ca%", "--config-file",             \
        "none.conf", "--debug", "--verbose"
#define ACCESS_SHORT "--service-url", "%rbac%/rbac-api", "-t", "own.token", "--ca-cert", "%ca%", "-c", "none.conf"

struct use {
    const char *argv[ARGV_MAX];
    int code;
    const char *proof; /* appears in the output or the errors; '*' stands for anything */
    const char *typed; /* the answer to the prompt for a password */
};

static const struct use uses[] = {
    {{"puppet-job", "run", "--nodes", N1, "--environment", "production", "--noop", "--no-enforce-environment",
      "--description", "why", "--debug", "--trace", "--evaltrace", "--concurrency", "2", "--no-live", LONG},
     0,
     "\"options\":{\"environment\":\"production\",\"scope\":{\"nodes\":[\"" N1 "\"]},*\"concurrency\":2,\"noop\":true,*"
     "\"debug\":true,\"trace\":true,\"evaltrace\":true,\"enforce_environment\":false,\"description\":\"why\""},
    {{"puppet-job", "run", "-n", N1, "-e", "production", "--no-noop", "--concurrency=1", SHORT},
     0,
     "| Environment*| production |*| Concurrency Limit | 1 *Job completed. 1/1 nodes succeeded."},
    {{"puppet-job", "run", "--no-noop", "-q", N1_QUERY, "--format=json"}, 0, "\"no_noop\":true"},
    {{"puppet-job", "run", "--query", N1_QUERY}, 0, "Job completed. 1/1 nodes succeeded."},
    {{"puppet-job", "run", "--node-group", GROUP_FIRST}, 0, "Job completed. 1/1 nodes succeeded."},
    {{"puppet-job", "run", "--application", "Nosuch"}, 1, "--application selected no node"},
    {{"puppet-job", "run", "-a", "Nosuch[x]"}, 1, "--application selected no node"},
    {{"dalang", "job", "run", "-n", N1}, 0, "Job completed. 1/1 nodes succeeded."},

    {{"puppet-job", "plan", "--nodes", N1, "--environment", "production", "--noop", "--no-enforce-environment",
      "--description", "why", "--debug", "--trace", "--evaltrace", "--concurrency", "2", LONG},
     0,
     "{\"environment\":\"production\",\"scope\":{\"nodes\":[\"" N1 "\"]},\"enforce_environment\":false,\"noop\":true,"
     "\"debug\":true,\"trace\":true,\"evaltrace\":true,\"concurrency\":2,\"description\":\"why\"}"},
    {{"puppet-job", "plan", "-n", N1, "-e", "production", "--no-noop", SHORT}, 0, "| production *" N1},
    {{"puppet-job", "plan", "--query", N1_QUERY}, 0, "\n" N1},
    {{"puppet-job", "plan", "-q", N1_QUERY}, 0, "\n" N1},
    {{"puppet-job", "plan", "--node-group", GROUP_FIRST}, 1, "--node-group"},
    {{"puppet-job", "plan", "--application", "Nosuch"}, 1, "--application"},
    {{"puppet-job", "plan", "-a", "Nosuch"}, 1, "--application"},

    {{"puppet-job", "show", "--environment", "production", "--limit", "1", LONG}, 0, "\"name\":\""},
    {{"puppet-job", "show", "-e", "nosuch", SHORT}, 0, "ID  STATUS  JOB TYPE  TIMESTAMP  TARGET"},
    {{"puppet-job", "show", "1", "--format", "json"}, 0, "\"name\":\"1\""},
    {{"puppet-job", "list", "--environment", "production", "--limit=1", LONG}, 0, "\"name\":\""},
    {{"puppet-job", "list", "-e", "production", SHORT}, 0, "puppet run"},

    {{"puppet-job", "stop", "1", "--force", LONG}, 0, "{\"job\":{\"id\":*\"name\":\"1\""},
    {{"puppet-job", "stop", "1", SHORT}, 0, "Stopping job 1"},

    {{"puppet-task", "run", "echo", "--nodes", N1, "--environment", "production", "--params", "{\"message\":\"m\"}",
      "--description", "why", "--noop", "--no-live", LONG},
     0,
     "\"options\":{*\"task\":\"echo\",\"params\":{\"message\":\"m\"},\"scope\":{\"nodes\":[\"" N1
     "\"]},*\"noop\":true,*\"description\":\"why\""},
    {{"puppet-task", "run", "echo", "message=s", "-n", N1, "-e", "production", SHORT}, 0, "message : s"},
    {{"puppet-task", "run", "echo", "message=q", "--query", N1_QUERY}, 0, "message : q"},
    {{"puppet-task", "run", "echo", "message=q", "-q", N1_QUERY}, 0, "message : q"},
    {{"puppet-task", "run", "echo", "message=g", "--node-group", GROUP_FIRST}, 0, "message : g"},
    {{"dalang", "task", "run", "echo", "message=d", "-n", N1}, 0, "message : d"},

    {{"puppet-task", "show", "--environment", "production", "--all", LONG}, 0, "\"name\":\"hidden\""},
    {{"puppet-task", "show", "-e", "production", SHORT}, 0, "echo *Says it again"},
    {{"puppet-task", "show", "echo"}, 0, "$ puppet task run echo [--noop] message=<value>"},

    {{"puppet-plan", "run", "greet", "--environment", "production", "--params", "{\"who\":\"me\"}", "--description",
      "why", "--no-live", LONG},
     1,
     "Plan greet cannot run: this orchestrator has no plan executor"},
    {{"puppet-plan", "run", "greet", "who=me", "-e", "production", SHORT}, 1, "Plan greet cannot run: "},
    {{"puppet-plan", "run", "greet", "--user", "admin", "--password", "sesame"}, 1, "Plan greet cannot run: "},
    {{"puppet-plan", "run", "greet", "--user", "admin"}, 1, "Plan greet cannot run: ", .typed = "sesame\n"},
    {{"dalang", "plan", "run", "greet"}, 1, "Plan greet cannot run: "},

    {{"puppet-plan", "show", "--environment", "production", "--all", LONG}, 0, "\"name\":\"greet\""},
    {{"puppet-plan", "show", "-e", "production", SHORT}, 0, "greet"},
    {{"puppet-plan", "show", "greet"}, 0, "$ puppet plan run greet"},

    {{"puppet-app", "show", "Nosuch", "--environment", "production", LONG}, 1, "there is no application or instance"},
    {{"puppet-app", "show", "Nosuch", "-e", "production", SHORT}, 1, "there is no application or instance \"Nosuch\""},
    {{"dalang", "app", "show"}, 0, ""},

    {{"puppet-access", "login", "admin", "--lifetime", "1h", "--label", "%label%", ACCESS_LONG},
     0,
     "Access token saved to: own.token",
     .typed = "sesame\n"},
    {{"puppet-access", "show", ACCESS_LONG}, 0, ""},
    {{"puppet-access", "delete-token-file", ACCESS_LONG}, 0, "Deleted own.token"},
    {{"puppet-access", "login", "admin", "-l", "60", ACCESS_SHORT},
     0,
     "Access token saved to: own.token",
     .typed = "sesame\n"},
    {{"puppet-access", "show", ACCESS_SHORT}, 0, ""},
    {{"puppet-access", "delete-token-file", ACCESS_SHORT}, 0, "Deleted own.token"},
    {{"puppet-access", "login", "admin", "--print", ACCESS_SHORT}, 0, "0", .typed = "sesame\n"},
    {{"puppet-access", "delete-token-file", "--token-path", "own.token", "-c", "none.conf"}, 1, "own.token"},
    {{"dalang", "access", "show", "-t", "alice.token"}, 0, "0alice"},

    {{"puppet-query", N1_QUERY, "--urls", "%puppetdb%", "--cacert", "%ca%", "--cert", "%cert%", "--key", "%key%",
      "--config", "none.conf", "--log-level", "debug", "--verbose"},
     0,
     "\"certname\": \"" N1 "\""},
    {{"puppet-query", N1_QUERY, "-u", "%puppetdb%", "--cacert", "%ca%", "--token", "%token_file%", "-c", "none.conf",
      "-l", "none"},
     0,
     "\"certname\": \"" N1 "\""},
    {{"puppet-query", "-v"}, 0, "puppet-query "},
    {{"dalang", "query", N1_QUERY}, 0, "\"certname\": \"" N1 "\""},
};
enum { USES = sizeof(uses) / sizeof(uses[0]) };

static int start(void **state) {
    (void)state;
    rig_start(&rig, ARGUMENTS("--agents", "2"));
    write_file(rig.dir, "none.conf", "{}");
    return 0;
}

static int stop(void **state) {
    (void)state;
    rig_stop(&rig);
    return 0;
}

/* "%ca%" → what the stack's ready line says of "ca"; mem_free() it. */
static char *filled_in(const char *word, unsigned columns) {
    const char *end = word[0] == '%' ? strchr(word + 1, '%') : NULL;
    if (end == NULL) {
        return str_dup(word);
    }
    if (strcmp(word, "%label%") == 0) { /* nobody has two tokens of one label */
        return str_printf("token %u", columns);
    }
    char *key = span_dup((struct span){word + 1, (size_t)(end - word - 1)});
    const char *value = json_str(rig.ready, key);
    assert_non_null(value);
    mem_free(key);
    return str_printf("%s%s", value, end + 1);
}

static void run(const struct use *u, unsigned columns) {
    struct program p = rig_program(&rig, u->argv);
    char *words[ARGV_MAX] = {NULL};
    for (size_t i = 0; p.argv[i] != NULL; i++) {
        p.argv[i] = words[i] = filled_in(p.argv[i], columns);
    }
    p.columns = columns;
    p.input = columns == 0 ? u->typed : NULL;
    struct running r;
    program_start(&r, &p);
    if (columns != 0 && u->typed != NULL) {
        program_await(&r, "Password: ");
        program_type(&r, u->typed);
    }
    int code = program_finish(&r);
    char *all =
        str_printf("%s%s", r.out_text.ptr != NULL ? r.out_text.ptr : "", r.err_text.ptr != NULL ? r.err_text.ptr : "");
    char *pattern = str_printf("*%s*", u->proof);
    if (code != u->code || !glob_match(pattern, all)) {
        fail_msg("%s %s … on %s: exit %d, not %d, or nothing of \"%s\":\n%s", u->argv[0], u->argv[1],
                 columns != 0 ? "a terminal" : "a pipe", code, u->code, u->proof, all);
    }
    assert_null(strstr(all, "sesame")); /* neither echoed nor told */
    mem_free(pattern);
    mem_free(all);
    program_free(&r);
    for (size_t i = 0; i < ARGV_MAX; i++) {
        mem_free(words[i]);
    }
}

static void in_a_pipe(void **state) {
    (void)state;
    for (size_t i = 0; i < USES; i++) {
        run(&uses[i], 0);
    }
}

static void on_a_terminal(void **state) {
    (void)state;
    for (size_t i = 0; i < USES; i++) {
        run(&uses[i], COLUMNS);
    }
}

/* ---- nothing is left out */

static bool is_of(const struct use *u, const char *program, const char *action) {
    bool same = strcmp(u->argv[0], program) == 0;
    return same && (action == NULL || strcmp(u->argv[1], action) == 0);
}

static bool is_given(const char *program, const char *action, const char *word) {
    size_t len = strlen(word);
    for (size_t i = 0; i < USES; i++) {
        for (size_t k = 1; is_of(&uses[i], program, action) && uses[i].argv[k] != NULL; k++) {
            const char *given = uses[i].argv[k];
            if (strncmp(given, word, len) == 0 && (given[len] == '\0' || given[len] == '=')) {
                return true;
            }
        }
    }
    return false;
}

struct missing {
    struct buf list;
    size_t options;
};

static void want(struct missing *m, const char *program, const char *action, const char *dashes, const char *name) {
    char *word = str_printf("%s%s", dashes, name);
    m->options++;
    if (!is_given(program, action, word)) {
        buf_printf(&m->list, "\n  %s %s %s", program, action != NULL ? action : "", word);
    }
    mem_free(word);
}

static void look(void *ctx, const char *program, const char *action, const struct command_line *cl) {
    for (const struct option *o = cl->options; o->type != OPTION_HEADING || o->help != NULL; o++) {
        char letter[2] = {o->letter, '\0'};
        if (o->type == OPTION_HEADING) {
            continue;
        }
        want(ctx, program, action, "--", o->name);
        if (o->type == OPTION_NEGATABLE) {
            want(ctx, program, action, "--no-", o->name);
        }
        if (o->letter != 0) {
            want(ctx, program, action, "-", letter);
        }
    }
}

static void every_option_is_among_them(void **state) {
    (void)state;
    struct missing m = {.list = BUF_INIT};
    cli_each_command(look, &m);
    print_message("%zu options\n", m.options);
    assert_true(m.options > 100);
    if (m.list.len > 0) {
        fail_msg("no command line gives%s", m.list.ptr);
    }
}

/* `dalang job …` and its like go to the same code. */
static void every_program_is_a_sub_command_too(void **state) {
    (void)state;
    static const char *const words[] = {"job", "task", "plan", "app", "access", "query"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        bool is_used = false;
        for (size_t k = 0; k < USES; k++) {
            is_used = is_used || (strcmp(uses[k].argv[0], "dalang") == 0 && strcmp(uses[k].argv[1], words[i]) == 0);
        }
        assert_true(is_used);
    }
}

/* What every action answers, in both places. */
static void help_of_one(void *ctx, const char *program, const char *action, const struct command_line *cl) {
    const unsigned *columns = ctx;
    static const char *const flags[] = {"--help", "-h", "--version"};
    for (size_t i = 0; i < 3; i++) {
        struct use u = {{program, action != NULL ? action : flags[i], action != NULL ? flags[i] : NULL}, 0, NULL, NULL};
        char *proof = i < 2 ? str_printf("%s: %s*Usage: %s *--help *--version", cl->program, cl->summary, cl->program)
                            : str_printf("%s %s", cl->program, DALANG_VERSION);
        u.proof = proof;
        run(&u, *columns);
        mem_free(proof);
    }
}

static void help_and_version_everywhere(void **state) {
    (void)state;
    for (unsigned columns = 0; columns <= COLUMNS; columns += COLUMNS) {
        cli_each_command(help_of_one, &columns);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_is_among_them),
        cmocka_unit_test(every_program_is_a_sub_command_too),
        cmocka_unit_test(in_a_pipe),
        cmocka_unit_test(on_a_terminal),
        cmocka_unit_test(help_and_version_everywhere),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
