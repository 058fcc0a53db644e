/* What the programs say to wrong command lines and configurations: no stack is needed for any of it. */
#include "simulator/dalang/tests/programs.h"

#include "base/mem.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static char *home;

static int make_home(void **state) {
    (void)state;
    home = make_temporary_dir();
    write_file(home, "empty.txt", "# nobody\n\n");
    write_file(home, "list.json", "[1, 2]");
    write_file(home, "broken.json", "{\"message\": ");
    write_file(home, "hocon.conf", "options { service-url = \"https://127.0.0.1:1\" }");
    write_file(home, "types.conf", "{\"options\": {\"environment\": 7}}");
    write_file(home, "flags.conf", "{\"options\": {\"color\": \"yes\"}}");
    write_file(home, "array.conf", "[]");
    write_file(home, "nowhere.conf",
               "{\"options\": {\"service-url\": \"https://127.0.0.1:1\", \"cacert\": \"no-ca.pem\"}}");
    return 0;
}

static int remove_home(void **state) {
    (void)state;
    remove_tree(home);
    mem_free(home);
    return 0;
}

struct usage {
    const char *argv[12];
    int code;
    const char *out, *err;
};

static void expect_all(const struct usage *list, size_t count) {
    char *home_env = str_printf("HOME=%s", home);
    for (size_t i = 0; i < count; i++) {
        struct program p = {.env = {home_env, "DALANG_DIR", "NO_COLOR"}, .dir = home};
        memcpy(p.argv, list[i].argv, sizeof(list[i].argv));
        expect_program(&p, list[i].code, list[i].out, list[i].err);
    }
    mem_free(home_env);
}
#define EXPECT(list) expect_all(list, sizeof(list) / sizeof((list)[0]))

static void help_and_version(void **state) {
    (void)state;
    static const struct usage list[] = {
        {{"puppet-job", "--help"}, 0, "Usage: puppet-job ACTION*run *plan *show *list *stop *", ""},
        {{"puppet-job", "-h"}, 0, "Usage: puppet-job ACTION*", ""},
        {{"puppet-job", "help"}, 0, "Usage: puppet-job ACTION*", ""},
        {{"puppet-job", "--version"}, 0, "puppet-job 0.*\n", ""},
        {{"puppet-job", "run", "--version"}, 0, "puppet-job run 0.*\n", ""},
        {{"puppet-job"}, 1, "", "Usage: puppet-job ACTION*"},
        {{"puppet-job", "run", "--help"},
         0,
         "puppet-job run: *--nodes LIST*--query QUERY*--node-group ID*--application NAME*--environment NAME*--noop*"
         "--no-noop*--no-enforce-environment*--description TEXT*--debug*--trace*--evaltrace*--concurrency N*--no-live*"
         "--service-url URL*--token-file FILE*--ca-cert FILE*--config-file FILE*--format FORMAT*--[no-]color*--verbose*"
         "--help*--version*",
         ""},
        {{"puppet-job", "plan", "-h"}, 0, "puppet-job plan: *--concurrency N*", ""},
        {{"puppet-job", "show", "--help"}, 0, "puppet-job show: *--environment NAME*--limit N*", ""},
        {{"puppet-job", "list", "--help"}, 0, "puppet-job list: *--limit N*", ""},
        {{"puppet-job", "stop", "--help"}, 0, "puppet-job stop: *--force*", ""},
        {{"puppet-task", "run", "--help"}, 0, "puppet-task run: *-n, --nodes*-q, --query*--params JSON*--noop*", ""},
        {{"puppet-task", "show", "--help"}, 0, "puppet-task show: *--all*", ""},
        {{"puppet-plan", "run", "--help"}, 0, "puppet-plan run: *--params JSON*--user NAME*--password TEXT*", ""},
        {{"puppet-plan", "show", "--help"}, 0, "puppet-plan show: *--all*", ""},
        {{"puppet-app", "show", "--help"}, 0, "puppet-app show: *--environment NAME*", ""},
        {{"puppet-access", "login", "--help"}, 0, "puppet-access login: *--lifetime TIME*--label TEXT*--print*", ""},
        {{"puppet-access", "show", "--help"}, 0, "puppet-access show: *--token-file FILE*", ""},
        {{"puppet-access", "delete-token-file", "--help"}, 0, "*--token-path FILE*", ""},
        {{"puppet-query", "--help"},
         0,
         "puppet-query: *--urls URL*--cacert FILE*--cert FILE*--key FILE*--token FILE*--config FILE*--log-level LEVEL*",
         ""},
        {{"puppet-query", "--version"}, 0, "puppet-query 0.*\n", ""},
        {{"dalang", "job", "run", "--help"}, 0, "puppet-job run: *", ""},
        {{"dalang", "query", "--help"}, 0, "puppet-query: *", ""},
        {{"dalang", "--help"}, 0, "dalang: *Usage: dalang COMMAND*up *certs *simulate *completion *man *", ""},
        {{"dalang", "--version"}, 0, "dalang 0.*\n", ""},
        {{"dalang"}, 2, "", "dalang: *Usage: *"},
    };
    EXPECT(list);
}

static void wrong_words_name_the_nearest(void **state) {
    (void)state;
    static const struct usage list[] = {
        {{"puppet-task", "run", "echo", "--node", "a"}, 1, "", "Error: unknown option --node; did you mean --nodes?*"},
        {{"puppet-job", "run", "--concurency=3"},
         1,
         "",
         "Error: unknown option --concurency; did you mean --concurrency?*"},
        {{"puppet-job", "run", "--zzzzzzzzzz"},
         1,
         "",
         "Error: unknown option --zzzzzzzzzz; see puppet-job run --help\n"},
        {{"puppet-job", "run", "-Z"}, 1, "", "Error: unknown option -Z; see puppet-job run --help\n"},
        {{"puppet-job", "run", "--nodes"}, 1, "", "Error: --nodes needs a value (LIST)\n"},
        {{"puppet-job", "run", "-n"}, 1, "", "Error: -n needs a value (LIST)\n"},
        {{"puppet-job", "run", "--noop=yes"}, 1, "", "Error: --noop takes no value\n"},
        {{"puppet-job", "run", "--concurrency", "many"},
         1,
         "",
         "Error: --concurrency takes a whole number, not \"many\"\n"},
        {{"puppet-job", "show", "--limit", "-3"}, 1, "", "Error: --limit takes a whole number, not \"-3\"\n"},
        {{"puppet-job", "rum"}, 1, "", "Error: puppet-job has no action \"rum\"; did you mean run?\n"},
        {{"puppet-job", "explode"}, 1, "", "Error: puppet-job has no action \"explode\"; see puppet-job --help\n"},
        {{"puppet-access", "logon"}, 1, "", "Error: puppet-access has no action \"logon\"; did you mean login?\n"},
        {{"puppet-task", "run", "echo", "--format", "yaml"}, 1, "", "Error: --format is human or json, not \"yaml\"\n"},
        {{"dalang", "upp"}, 2, "", "dalang: there is no command \"upp\"; did you mean up?\n"},
        {{"dalang", "xyzzyxyzzy"}, 2, "", "dalang: there is no command \"xyzzyxyzzy\"; see dalang --help\n"},
        {{"dalang", "up", "--agent", "3"}, 2, "", "dalang up: unknown option --agent; did you mean --agents?\n"},
        {{"dalang", "up", "now"}, 2, "", "dalang up: \"now\" is no option\n"},
        {{"dalang", "simulate", "--sede", "3"},
         2,
         "",
         "dalang simulate: unknown option --sede; did you mean --seed?\n"},
        {{"dalang", "certs", "isue", "x"}, 2, "", "dalang certs: there is no action \"isue\"; did you mean issue?\n"},
        {{"dalang", "completion", "tcsh"}, 2, "", "dalang completion: name one shell: bash, zsh or fish\n"},
        {{"dalang", "man", "no-such"}, 2, "", "dalang man: there is no command \"no-such\"\n"},
        {{"dalang", "man"}, 2, "", "dalang man: name a command, or give --write DIR\n"},
        {{"dalang", "env"}, 2, "", "dalang env: --dir is needed: the directory of a stack\n"},
        {{"dalang", "env", "--dir", "nothing-here"}, 3, "", "dalang env: *nothing-here*: no stack has been up here\n"},
    };
    EXPECT(list);
}

#define URL "--service-url", "https://127.0.0.1:1"

static void selectors(void **state) {
    (void)state;
    static const char none[] = "Error: no target: give one of --nodes, --query or --node-group*";
    static const char two[] = "Error: more than one target: *exclude each other*";
    static const struct usage list[] = {
        {{"puppet-task", "run", "echo", URL}, 1, "", none},
        {{"puppet-job", "run", URL}, 1, "", none},
        {{"puppet-job", "plan", URL}, 1, "", none},
        {{"puppet-task", "run", "echo", "--nodes", "a", "--query", "nodes{}", URL}, 1, "", two},
        {{"puppet-job", "run", "--node-group", "x", "--application", "Shop", URL}, 1, "", two},
        {{"puppet-task", "run", "echo", "--application", "Shop", URL}, 1, "", "Error: unknown option --application*"},
        {{"puppet-task", "run", "echo", "--nodes", " , ,", URL}, 1, "", "Error: --nodes  , , names no node*"},
        {{"puppet-task", "run", "echo", "--nodes", "@empty.txt", URL},
         1,
         "",
         "Error: --nodes @empty.txt names no node*"},
        {{"puppet-task", "run", "echo", "--nodes", "-", URL}, 1, "", "Error: --nodes - names no node*"},
        {{"puppet-task", "run", "echo", "--nodes", "@gone.txt", URL},
         1,
         "",
         "Error: cannot read gone.txt: No such file or directory\n*"},
        {{"puppet-task", "run", "echo", "--query", " ", URL}, 1, "", "Error: --query is empty*"},
        {{"puppet-task", "run", "echo", "--query", "@gone.pql", URL},
         1,
         "",
         "Error: cannot read gone.pql: No such file or directory\n*"},
        {{"puppet-job", "run", "--nodes", "a", "--noop", "--no-noop", URL},
         1,
         "",
         "Error: --noop and --no-noop exclude each other*"},
        {{"puppet-job", "run", "a", "--nodes", "b", URL},
         1,
         "",
         "Error: \"a\" is one argument too many; see puppet-job run --help*"},
        {{"puppet-job", "show", "1", "2", URL}, 1, "", "Error: \"2\" is one argument too many*"},
        {{"puppet-job", "stop", URL}, 1, "", "Error: name the job: puppet-job stop JOB-ID*"},
        {{"puppet-task", "run", URL}, 1, "", "Error: name the task: *"},
        {{"puppet-plan", "run", URL}, 1, "", "Error: name the plan: *"},
        {{"puppet-task", "show", "a", "b", URL}, 1, "", "Error: \"b\" is one argument too many*"},
        {{"puppet-app", "show", "a", "b", URL}, 1, "", "Error: \"b\" is one argument too many*"},
        {{"puppet-query"}, 1, "", "Error: give exactly one query: *"},
        {{"puppet-query", "a", "b"}, 1, "", "Error: give exactly one query: *"},
        {{"puppet-query", "nodes{}", "--log-level", "loud"},
         1,
         "",
         "Error: --log-level is none, trace, debug, info, warn or error*"},
        {{"puppet-access", "login", "a", "b", URL},
         1,
         "",
         "Error: \"b\" is one argument too many; the password is asked for*"},
    };
    EXPECT(list);
}

static void parameters(void **state) {
    (void)state;
    static const struct usage list[] = {
        {{"puppet-task", "run", "echo", "hello", "-n", "a", URL},
         1,
         "",
         "Error: \"hello\" is no NAME=VALUE parameter*"},
        {{"puppet-task", "run", "echo", "=x", "-n", "a", URL}, 1, "", "Error: \"=x\" is no NAME=VALUE parameter*"},
        {{"puppet-task", "run", "echo", "a=\xff", "-n", "a", URL},
         1,
         "",
         "Error: parameter \"a=*\" is not UTF-8 text*"},
        {{"puppet-task", "run", "echo", "a=1", "--params", "{}", "-n", "a", URL},
         1,
         "",
         "Error: --params and NAME=VALUE parameters exclude each other*"},
        {{"puppet-task", "run", "echo", "--params", "{", "-n", "a", URL}, 1, "", "Error: --params: *"},
        {{"puppet-task", "run", "echo", "--params", "[1]", "-n", "a", URL},
         1,
         "",
         "Error: --params must be a JSON object*"},
        {{"puppet-task", "run", "echo", "--params", "@list.json", "-n", "a", URL},
         1,
         "",
         "Error: --params must be a JSON object*"},
        {{"puppet-task", "run", "echo", "--params", "@broken.json", "-n", "a", URL}, 1, "", "Error: --params: *"},
        {{"puppet-task", "run", "echo", "--params", "@gone.json", "-n", "a", URL},
         1,
         "",
         "Error: cannot read gone.json: No such file or directory\n*"},
        {{"puppet-plan", "run", "p", "word", URL}, 1, "", "Error: \"word\" is no NAME=VALUE parameter*"},
        {{"puppet-plan", "run", "p", "--params", "7", URL}, 1, "", "Error: --params*"},
    };
    EXPECT(list);
}

static void configuration(void **state) {
    (void)state;
    static const struct usage list[] = {
        {{"puppet-job", "show"}, 1, "", "Error: no orchestrator is configured: give --service-url, *"},
        {{"puppet-job", "show", "-c", "gone.conf"},
         1,
         "",
         "Error: cannot read gone.conf: No such file or directory\n*"},
        {{"puppet-job", "show", "-c", "hocon.conf"}, 1, "", "Error: hocon.conf: *"},
        {{"puppet-job", "show", "-c", "array.conf"}, 1, "", "Error: array.conf: must be a JSON object*"},
        {{"puppet-job", "show", "-c", "types.conf"},
         1,
         "",
         "Error: orchestrator.conf: configuration key \"environment\" must be a string*"},
        {{"puppet-job", "show", "-c", "flags.conf"},
         1,
         "",
         "Error: orchestrator.conf: configuration key \"color\" must be true or false*"},
        {{"puppet-job", "show", "-c", "nowhere.conf"}, 1, "", "Error: *no-ca.pem*"},
        {{"puppet-job", "show", "-c", "nowhere.conf", "--ca-cert", "other-ca.pem"}, 1, "", "Error: *other-ca.pem*"},
        {{"puppet-query", "nodes{}", "-c", "array.conf"}, 1, "", "Error: array.conf: must be a JSON object*"},
        {{"puppet-query", "nodes{}", "--token", "gone.token"},
         1,
         "",
         "Error: cannot read gone.token: No such file or directory\n*"},
        {{"puppet-query", "nodes{}", "-u", "http://127.0.0.1:1"}, 1, "", "Error: PuppetDB does not answer: *"},
        {{"puppet-access", "show"}, 1, "", "Error: cannot *.puppetlabs/token: *"},
        {{"puppet-access", "delete-token-file"}, 1, "", "Error: cannot *.puppetlabs/token: *"},
        {{"puppet-access", "login", "me", "-c", "hocon.conf"}, 1, "", "Error: hocon.conf: *"},
    };
    EXPECT(list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(help_and_version), cmocka_unit_test(wrong_words_name_the_nearest),
        cmocka_unit_test(selectors),        cmocka_unit_test(parameters),
        cmocka_unit_test(configuration),
    };
    return cmocka_run_group_tests(tests, make_home, remove_home);
}
