/* The client programs in a pipe, against a live stack: what they print to a script, and with which exit code. */
#include "simulator/dalang/tests/rig.h"

#include "base/mem.h"
#include <signal.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define N1 "node-0001.example.com"
#define N2 "node-0002.example.com"
#define N3 "node-0003.example.com"
#define GROUP_FIRST "11111111-1111-4111-8111-111111111111"
#define GROUP_NOBODY "33333333-3333-4333-8333-333333333333"
#define ONE_SAID(word)                                                                                                 \
    "Starting job ...\nNew job ID: *\nNodes: 1\n\nStarted on " N1 " ...\nFinished on node " N1 "\n  message : " word   \
    "\n\nJob completed. 1/1 nodes succeeded.\nDuration: * sec\n"
#define RULE "0 -----------------------------------------------------------------------\n"
#define ORDER "\nNode run order (nodes in level 0 run before their dependent nodes in level 1, etc.):\n" RULE

static struct rig rig;

static int start(void **state) {
    (void)state;
    rig_start(&rig, ARGUMENTS("--agents", "4", "--real-agents", "1", "--task-concurrency", "2"));
    write_file(rig.dir, "nodes.txt", "# of the first rack\n" N1 "\r\n\n  " N2 "  \n" N1 "\n");
    write_file(rig.dir, "query.pql", "nodes[certname] { certname = \"" N1 "\" }\n");
    write_file(rig.dir, "params.json", "{\"message\": \"from a file\"}");
    char *ca = str_printf("{\"options\": {\"service-url\": \"%s\", \"cacert\": \"%s\", \"token-file\": \"alice.token\","
                          " \"environment\": \"production\", \"noop\": true}}",
                          json_str(rig.ready, "orchestrator"), json_str(rig.ready, "ca"));
    write_file(rig.dir, "user.conf", ca);
    mem_free(ca);
    /* a CA that signed nothing here */
    struct program p = {.argv = {"dalang", "certs", "init", "--dir", "foreign"}, .dir = rig.dir};
    expect_program(&p, 0, "foreign/ca.pem\n", "");
    return 0;
}

static int stop(void **state) {
    (void)state;
    rig_stop(&rig);
    return 0;
}

static void tasks(void **state) {
    (void)state;
    static const struct expectation list[] = {
        {{"puppet-task", "run", "echo", "message=hello", "--nodes", N1}, 0, ONE_SAID("hello"), ""},
        {{"dalang", "task", "run", "echo", "message=hello", "--nodes=" N1}, 0, ONE_SAID("hello"), ""},
        {{"puppet-task", "run", "echo", "--params", "{\"message\": \"by json\"}", "-n", N1},
         0,
         ONE_SAID("by json"),
         ""},
        {{"puppet-task", "run", "echo", "--params", "@params.json", "-n", N1}, 0, ONE_SAID("from a file"), ""},
        {{"puppet-task", "run", "echo", "--params", "-", "-n", N1},
         0,
         ONE_SAID("by pipe"),
         "",
         .input = "{\"message\": \"by pipe\"}"},
        {{"puppet-task", "run", "echo", "message=q", "-q", "nodes[certname] { certname = \"" N1 "\" }"},
         0,
         ONE_SAID("q"),
         ""},
        {{"puppet-task", "run", "echo", "message=q", "-q", "@query.pql"}, 0, ONE_SAID("q"), ""},
        {{"puppet-task", "run", "echo", "message=q", "-q", "[\"from\",\"nodes\",[\"=\",\"certname\",\"" N1 "\"]]"},
         0,
         ONE_SAID("q"),
         ""},
        {{"puppet-task", "run", "echo", "message=g", "--node-group", GROUP_FIRST}, 0, ONE_SAID("g"), ""},
        {{"puppet-task", "run", "echo", "message=e", "-n", N1, "-e", "production", "--description", "why", "--noop"},
         0,
         ONE_SAID("e"),
         ""},
        {{"puppet-task", "run", "echo", "message=a", "-n", N1, "-c", "user.conf"}, 0, ONE_SAID("a"), ""},
        {{"puppet-task", "run", "echo", "message=a", "-n", N1, "-t", "alice.token"}, 0, ONE_SAID("a"), ""},
        {{"puppet-task", "run", "echo", "message=real", "-n", "real-01.example.com"},
         0,
         "*Finished on node real-01.example.com\n  message : real\n*",
         ""},
        {{"puppet-task", "run", "echo", "message=n", "-n", "@nodes.txt"},
         0,
         "*Nodes: 2\n*Job completed. 2/2 nodes succeeded.*",
         ""},
        {{"puppet-task", "run", "echo", "message=n", "-n", "-"},
         0,
         "*Nodes: 3\n*Job completed. 3/3 nodes succeeded.*",
         "",
         .input = N1 "\n" N2 "\n" N3 "\n"},
        {{"puppet-task", "run", "echo", "message=n", "-n", N1 "," N2 "," N1},
         0,
         "*Nodes: 2\n*Job completed. 2/2 nodes succeeded.*",
         ""},
        {{"puppet-task", "run", "typed", "count=3,", "ratio=-1.5", "on=true", "text=1.2.3", "-n", N1},
         0,
         "*\n  count : 3\n  ratio : -1.5\n  on    : true\n  text  : 1.2.3\n*",
         ""},
        {{"puppet-task", "run", "plain", "-n", N1},
         0,
         "*Finished on node " N1 "\n  STDOUT:\n    one\n    two\n\nJob completed. *",
         ""},
    };
    EXPECT_ALL(&rig, list);
}

static void failing_tasks(void **state) {
    (void)state;
    static const struct expectation list[] = {
        {{"puppet-task", "run", "fail", "-n", N1},
         2,
         "Starting job ...\nNew job ID: *\nNodes: 1\n\nStarted on " N1 " ...\nFailed on node " N1
         "\n  Error: the disk is full\n"
         "  tried : 2\n\nFailed nodes:\n  " N1
         "  the disk is full\n\nJob completed. 0/1 nodes succeeded.\nDuration: * sec\n",
         ""},
        /* a cause of several lines stays one row of the table */
        {{"puppet-task", "run", "crash", "-n", N1},
         2,
         "*Failed on node " N1 "\n  Error: Task exited 1:\n         no such thing\n\nFailed nodes:\n  " N1
         "  Task exited 1: no such thing\n\nJob *",
         ""},
        {{"puppet-task", "run", "crash", "-n", N1 "," N2},
         2,
         "*Failed nodes:\n  node-000*\n  node-000*\n\nJob completed. 0/2 nodes succeeded.\n*",
         ""},
        {{"puppet-task", "run", "crash", "-n", N1, "--format", "json"},
         2,
         "{*\"type\":\"node_failed\"*\n{*\"state\":\"failed\"*}\n",
         ""},
        /* refused: nothing was started */
        {{"puppet-task", "run", "nosuch", "-n", N1},
         1,
         "Starting job ...\n",
         "Error: *nosuch*[puppetlabs.orchestrator/unknown-task]\n`puppet-task show` lists the tasks there are; *\n"},
        {{"puppet-task", "run", "nosuch", "-n", N1, "--verbose"},
         1,
         NULL,
         "Error: *\n*\n  kind: puppetlabs.orchestrator/unknown-task\n  details: {*\"nosuch\"*}\n"},
        {{"puppet-task", "run", "nosuch", "-n", N1, "--format=json"},
         1,
         "{\"kind\":\"puppetlabs.orchestrator/unknown-task\",\"msg\":\"*\",\"details\":{*}}\n",
         ""},
        {{"puppet-task", "run", "echo", "message=x", "-n", N1, "-e", "nowhere"},
         1,
         NULL,
         "Error: *nowhere*[puppetlabs.orchestrator/unknown-environment]\n*\n"},
        {{"puppet-task", "run", "echo", "message=x", "-q", "nodes[certname] { certname = \"zz\" }"},
         1,
         NULL,
         "Error: *[puppetlabs.orchestrator/empty-target]\n--query selected no node.\n"},
        {{"puppet-task", "run", "echo", "message=x", "--node-group", GROUP_NOBODY},
         1,
         NULL,
         "Error: *[puppetlabs.orchestrator/empty-target]\n--node-group selected no node.\n"},
        {{"puppet-task", "run", "echo", "message=x", "-q", "nodes["},
         1,
         NULL,
         "Error: *PQL parse error at line 1, column 7*[puppetlabs.orchestrator/query-error]\n"},
        {{"puppet-task", "run", "hidden", "-n", N1, "-t", "alice.token"},
         1,
         NULL,
         "Error: You do not have permission *[puppetlabs.orchestrator/not-permitted]\nYour user's roles do not allow "
         "this; ask for the permission.\n"},
    };
    EXPECT_ALL(&rig, list);
}

static void showing_tasks(void **state) {
    (void)state;
    static const struct expectation list[] = {
        {{"puppet-task", "show"},
         0,
         "brief         \ncrash         \necho          Says it again\nfail          \nhidden        \nplain         "
         "\nslow          \n"
         "typed         Parameters of every kind\ntyped::other  \n",
         ""},
        {{"puppet-task", "show", "-t", "alice.token"}, 0, "echo          Says it again\n", ""},
        {{"puppet-task", "show", "--all", "-t", "alice.token"}, 0, "brief *hidden*typed::other  \n", ""},
        {{"puppet-task", "show", "echo"},
         0,
         "echo - Says it again\nand nothing else\n\nUSAGE:\n$ puppet task run echo [--noop] message=<value> <[--nodes, "
         "-n <node-names>] | [--query, -q <'query'>]>\n\n"
         "PARAMETERS:\n- message : String\n    What to say\n",
         ""},
        {{"puppet-task", "show", "typed::other"},
         0,
         "typed::other\n\nUSAGE:\n$ puppet task run typed::other <*>\n",
         ""},
        {{"puppet-task", "show", "typed", "-e", "production"},
         0,
         "typed - *count=<value> [ratio=<value>] [on=<value>] [text=<value>] *- ratio : Optional[Float]\n*",
         ""},
        {{"puppet-task", "show", "typed", "--format", "json"}, 0, "{*\"metadata\":{*\"parameters\":{*}\n", ""},
        {{"puppet-task", "show", "nosuch"},
         1,
         "",
         "Error: *nosuch*[puppetlabs.orchestrator/unknown-task]\n`puppet-task show` lists the tasks there are; *\n"},
        {{"puppet-task", "show", "../../jobs"}, 1, "", "Error: *\n"},
        {{"puppet-task", "show", "-e", "no where&x=1"}, 1, "", "Error: *no where&x=1*\n"},
    };
    EXPECT_ALL(&rig, list);
}

static void puppet_runs(void **state) {
    (void)state;
    static const struct expectation list[] = {
        {{"puppet-job", "run", "-n", N1},
         0,
         "Starting deployment ...\n\n+-------------------+------+\n| Job ID            | *|\n| Concurrency Limit | "
         "None |\n"
         "| Nodes             | 1    |\n+-------------------+------+\n" ORDER N1
         "\n\nNew job ID: *\nStarted puppet run on " N1 " ...\n"
         "Finished puppet run on " N1
         " - Success!\n    Resource events: 0 failed * changed * unchanged 0 skipped 0 noop\n*"
         "\nJob completed. 1/1 nodes succeeded.\nDuration: * sec\n",
         ""},
        {{"puppet-job", "run", "-q", "nodes[certname] { certname ~ \"^node\" }", "-e", "production", "--concurrency",
          "3", "--description", "all", "--noop", "--debug", "--trace", "--evaltrace"},
         0,
         "*| Environment       | production |\n| Concurrency Limit | 3          |\n| Nodes             | 4          "
         "|\n*Job completed. 4/4 nodes succeeded.*",
         ""},
        {{"puppet-job", "run", "-n", N1, "--no-noop", "--no-enforce-environment", "-c", "user.conf", "-t",
          "stack/token"},
         0,
         "*Job completed. 1/1*",
         ""},
        {{"puppet-job", "run", "--node-group", GROUP_FIRST}, 0, "*| Nodes             | 1 *Job completed. 1/1*", ""},
        {{"puppet-job", "run", "-n", N1, "-e", "nowhere"},
         1,
         NULL,
         "Error: *nowhere* [puppetlabs.orchestrator/unknown-environment]\n*\n"},
        {{"puppet-job", "run", "-n", N1, "-t", "viewer.token"},
         1,
         "Starting deployment ...\n",
         "Error: You do not have permission *\nYour user's roles *\n"},
        {{"puppet-job", "run", "--application", "Shop[eu]"}, 1, NULL, "Error: *"},
        {{"puppet-job", "plan", "-n", "a,b", "--concurrency", "3", "-e", "production"},
         0,
         "+-------------------+------------+\n| Environment       | production |\n| Concurrency Limit | 3          "
         "|\n| Nodes             | 2          |\n"
         "+-------------------+------------+\n" ORDER
         "a\nb\n\nUse 'puppet job run --nodes a,b' to create and run this job.\n"
         "Node catalogs may have changed since this plan was generated.\n",
         ""},
        {{"puppet-job", "plan", "-q", "nodes[certname] { certname ~ \"000[12]\" order by certname }"},
         0,
         "*" RULE N1 "\n" N2 "\n\nUse 'puppet job run --nodes " N1 "," N2 "'*",
         ""},
        {{"puppet-job", "plan", "-q", "[\"from\",\"nodes\",[\"=\",\"certname\",\"" N3 "\"]]"},
         0,
         "*" RULE N3 "\n\nUse *",
         ""},
        {{"puppet-job", "plan", "-q", "nodes { certname = \"zz\" }"}, 1, "", "Error: --query selected no node*"},
        {{"puppet-job", "plan", "-q", "nodes["}, 1, "", "Error: PuppetDB refuses the query *"},
        {{"puppet-job", "plan", "--node-group", GROUP_FIRST},
         1,
         "",
         "Error: a plan can be shown for --nodes and --query; *--node-group *"},
        {{"puppet-job", "plan", "-n", "a", "--format", "json"}, 0, "{*\"scope\":{\"nodes\":[\"a\"]}*}\n", ""},
    };
    EXPECT_ALL(&rig, list);
}

/* The id in "New job ID: 7". */
static char *run_and_name(const char *const *argv, int code) {
    struct program p = rig_program(&rig, argv);
    char *out = output_of(&p, code);
    const char *id = strstr(out, "New job ID: ");
    assert_non_null(id);
    id += strlen("New job ID: ");
    char *name = span_dup((struct span){id, strcspn(id, "\n")});
    mem_free(out);
    return name;
}

static void showing_jobs(void **state) {
    (void)state;
    char *ran =
        run_and_name(ARGUMENTS("puppet-job", "run", "-n", N1, "--description", "nightly", "-e", "production"), 0);
    char *crashed = run_and_name(ARGUMENTS("puppet-task", "run", "crash", "-n", N1), 2);
    char *two = str_printf("ID *STATUS *JOB TYPE *TIMESTAMP *TARGET\n-----*-----\n%s *failed *crash *M  "
                           "node-0001.example.co...\n%s *finished *puppet run *M  node-0001.example.co...\n",
                           crashed, ran);
    rig_expect(&rig, ARGUMENTS("puppet-job", "show", "--limit", "2"), 0, two, "");
    rig_expect(&rig, ARGUMENTS("puppet-job", "list", "--limit=2"), 0, two, "");
    rig_expect(&rig, ARGUMENTS("puppet-job", "show", ran), 0,
               "Status: finished\nJob type: puppet run\nDescription: nightly\nStart time: *M\nFinish time: "
               "*M\nDuration: * sec\nUser: admin\n"
               "Environment: production\nNoop: false\nNodes: 1\nTarget: node-0001.example.co...\n\n" N1
               ": finished\n*    Resource events: *",
               "");
    rig_expect(&rig, ARGUMENTS("puppet-job", "show", crashed), 0,
               "Status: failed\nJob type: crash\n*\n" N1
               ": failed\n    Error: Task exited 1:\n           no such thing\n",
               "");
    rig_expect(&rig, ARGUMENTS("puppet-job", "show", ran, "--format", "json"), 0,
               "{\"*\"state\":\"finished\"*}\n{*\"items\":[*}\n", "");
    rig_expect(&rig, ARGUMENTS("puppet-job", "show", "--limit", "1", "--format", "json"), 0, "{*\"name\":\"*}\n", "");
    mem_free(ran);
    mem_free(crashed);
    mem_free(two);
    static const struct expectation list[] = {
        {{"puppet-job", "show", "-e", "nowhere"}, 0, "ID *TARGET\n-----*\n", ""},
        {{"puppet-job", "show", "-e", "production", "--limit", "1"}, 0, "ID *TARGET\n-----*\n*\n", ""},
        {{"puppet-job", "show", "--limit", "0"}, 1, "", "Error: --limit must be at least 1\n"},
        {{"puppet-job", "show", "99999"},
         1,
         "",
         "Error: Unknown job id 99999 [puppetlabs.orchestrator/unknown-job]\n`puppet-job show` lists *\n"},
        {{"puppet-job", "show", "../tasks"}, 1, "", "Error: \"../tasks\" is no job id: it must be a number\n"},
        {{"puppet-job", "stop", "99999"},
         1,
         "",
         "Error: *99999*[puppetlabs.orchestrator/unknown-job]\n`puppet-job show` lists *\n"},
        {{"puppet-job", "stop", "1", "-t", "expired.token"}, 1, "", "Error: *[puppetlabs.rbac/token-expired]\n*"},
    };
    EXPECT_ALL(&rig, list);
}

static void stopping_a_job(void **state) {
    (void)state;
    struct program run =
        rig_program(&rig, ARGUMENTS("puppet-task", "run", "slow", "-n", "real-01.example.com," N2 "," N3));
    struct running r;
    program_start(&r, &run);
    program_await(&r, "Started on real-01.example.com ...\n");
    program_await(&r, "Started on " N2 " ...\n");
    const char *id = strstr(r.out_text.ptr, "New job ID: ") + strlen("New job ID: ");
    char *name = span_dup((struct span){id, strcspn(id, "\n")});
    rig_expect(&rig, ARGUMENTS("puppet-job", "show", name), 0, "Status: running\n*: running\n    Running for * sec\n*",
               "");
    char *stopped = str_printf("Stopping job %s\n  new * : *\n*", name);
    rig_expect(&rig, ARGUMENTS("puppet-job", "stop", name), 0, stopped, "");
    mem_free(stopped);
    /* those that run go on; by force they end too */
    rig_expect(&rig, ARGUMENTS("puppet-job", "stop", "--force", name, "--format=json"), 0, "{\"job\":*}\n", "");
    assert_int_equal(program_finish(&r), 2);
    if (!glob_match("*The job is stopping: *Job stopped. 0/3 nodes succeeded.\nDuration: * sec\n", r.out_text.ptr) ||
        strstr(r.out_text.ptr, "did not say") != NULL) {
        fail_msg("%s", r.out_text.ptr);
    }
    program_free(&r);
    mem_free(name);
}

static void interrupting_a_job(void **state) {
    (void)state;
    struct program run = rig_program(&rig, ARGUMENTS("puppet-task", "run", "brief", "-n", N1 "," N2 "," N3));
    struct running r;
    program_start(&r, &run);
    program_await(&r, "Started on node-0002.example.com ...\n");
    kill(r.pid, SIGINT);
    program_await(&r, "running nodes finish first. Press Ctrl-C again to leave at once.\n");
    assert_int_equal(program_finish(&r), 130);
    if (!glob_match("*Finished on node " N1 "\n*Job stopped. 2/3 nodes succeeded.\n*", r.out_text.ptr)) {
        fail_msg("%s", r.out_text.ptr);
    }
    program_free(&r);
}

static void leaving_a_job(void **state) {
    (void)state;
    struct program run = rig_program(&rig, ARGUMENTS("puppet-task", "run", "slow", "-n", N1));
    struct running r;
    program_start(&r, &run);
    program_await(&r, "Started on " N1 " ...\n");
    const char *id = strstr(r.out_text.ptr, "New job ID: ") + strlen("New job ID: ");
    char *name = span_dup((struct span){id, strcspn(id, "\n")});
    kill(r.pid, SIGINT);
    program_await(&r, "Press Ctrl-C again");
    kill(r.pid, SIGINT);
    assert_int_equal(program_finish(&r), 130);
    program_free(&r);
    rig_expect(&rig, ARGUMENTS("puppet-job", "stop", "--force", name), 0, "Stopping job *", "");
    mem_free(name);
}

static void reaching_the_services(void **state) {
    (void)state;
    static const char no_token[] = "Error: no access token in *: get one with `puppet-access login`\n";
    static const struct expectation list[] = {
        {{"puppet-job", "show", "--service-url", "https://127.0.0.1:1"},
         1,
         "",
         "Error: https://127.0.0.1:1 does not answer: *\nIs the service running there? --service-url or the "
         "configuration file names it.\n"},
        {{"puppet-job", "show", "--service-url", "somewhere"}, 1, "", "Error: \"somewhere\" is no service URL; *"},
        {{"puppet-job", "show", "--ca-cert", "foreign/ca.pem"},
         1,
         "",
         "Error: * does not answer: *certificate*\nIs the configured CA certificate *\n"},
        {{"puppet-job", "show", "--ca-cert", "viewer.token"}, 1, "", "Error: viewer.token: *\n"},
        {{"puppet-job", "show", "-t", "expired.token"},
         1,
         "",
         "Error: *expired*[puppetlabs.rbac/token-expired]\nThe token has expired: get a new one with `puppet-access "
         "login`.\n"},
        {{"puppet-job", "show", "-t", "garbage.token"},
         1,
         "",
         "Error: *[puppetlabs.rbac/invalid-token]\nThe token is not valid here: get one with `puppet-access login`.\n"},
        {{"puppet-job", "show", "-t", "empty.token"}, 1, "", no_token},
        {{"puppet-job", "show", "-t", "gone.token"}, 1, "", "Error: cannot read gone.token: *\n"},
        {{"puppet-task", "show", "--no-color", "-t", "garbage.token"}, 1, "", "Error: *"},
        {{"puppet-plan", "run", "nosuch", "--user", "admin"}, 1, NULL, "Error: *login*wrong*", .input = "not sesame\n"},
        {{"puppet-plan", "run", "nosuch", "--password", "x"}, 1, "", "Error: --password needs --user\n"},
        {{"puppet-plan", "run", "nosuch", "--user", "admin"},
         1,
         "Starting plan ...\n",
         "Error: *[puppetlabs.orchestrator/unknown-plan]\n`puppet-plan show` lists *\n",
         .input = "sesame\n"},
        {{"puppet-plan", "run", "nosuch", "--user", "admin", "--password", "sesame", "--description", "d", "a=1"},
         1,
         "Starting plan ...\n",
         "Error: *[puppetlabs.orchestrator/unknown-plan]\n`puppet-plan show` lists *\n"},
        {{"puppet-plan", "show"}, 0, "greet *\n", ""},
        {{"puppet-plan", "show", "--all", "-e", "production"}, 0, "greet *\n", ""},
        {{"puppet-plan", "show", "nosuch"},
         1,
         "",
         "Error: *[puppetlabs.orchestrator/unknown-plan]\n`puppet-plan show` lists *\n"},
        {{"puppet-app", "show", "Shop"}, 1, "", "Error: *"},
    };
    EXPECT_ALL(&rig, list);
}

static void queries(void **state) {
    (void)state;
    static const char one[] = "[\n  {\n    \"certname\": \"" N1 "\"\n  }\n]\n";
    static const struct expectation list[] = {
        {{"puppet-query", "nodes[certname] { certname = \"" N1 "\" }"}, 0, one, ""},
        {{"dalang", "query", "nodes[certname] { certname = \"" N1 "\" }"}, 0, one, ""},
        {{"puppet-query", "[\"from\",\"nodes\",[\"extract\",\"certname\",[\"=\",\"certname\",\"" N1 "\"]]]"},
         0,
         one,
         ""},
        {{"puppet-query", "nodes[certname] { certname = \"zz\" }", "--log-level", "debug"}, 0, "[]\n", ""},
        {{"puppet-query", "nodes["},
         1,
         "",
         "Error: PuppetDB refuses the query (status 400): PQL parse error at line 1, column 7*"},
        {{"puppet-query", "[\"from\"]"}, 1, "", "Error: PuppetDB refuses the query (status 400): *"},
        {{"puppet-query", "nodes[certname]{}", "--cacert", "foreign/ca.pem"},
         1,
         "",
         "Error: PuppetDB does not answer: *certificate*\nIs the configured CA certificate *--cacert*"},
        {{"puppet-query", "nodes[certname]{}", "--cert", "gone.pem", "--key", "gone.key"}, 1, "", "Error: *gone.pem*"},
        {{"puppet-query", "nodes[certname]{}", "-u", "https://127.0.0.1:1,https://127.0.0.1:2"},
         1,
         "",
         "Error: PuppetDB does not answer: https://127.0.0.1:1*\n*"},
        {{"puppet-query", "nodes[certname]{}", "--token", "gone.token"}, 1, "", "Error: cannot read gone.token: *"},
    };
    EXPECT_ALL(&rig, list);
    struct program p = rig_program(&rig, ARGUMENTS("puppet-query", "nodes[certname]{ order by certname }"));
    char *all = output_of(&p, 0);
    assert_true(glob_match("[\n*" N1 "*" N2 "*" N3 "*node-0004.example.com*real-01.example.com*\n]\n", all));
    mem_free(all);
}

static void tokens(void **state) {
    (void)state;
    static const struct expectation list[] = {
        {{"puppet-access", "login", "admin", "-t", "keys/new.token"},
         0,
         "Access token saved to: keys/new.token\n",
         "",
         .input = "sesame\n"},
        {{"puppet-access", "show", "-t", "keys/new.token"}, 0, "0*\n", ""},
        {{"puppet-job", "show", "--limit", "1", "-t", "keys/new.token"}, 0, "ID *", ""},
        {{"puppet-access", "login", "-t", "keys/new.token", "--lifetime", "5m", "--label", "mine", "--debug"},
         0,
         "Access token saved to: keys/new.token\n",
         "Debug: asking https://*/rbac-api for a token of user alice\n",
         .input = "alice\nwonder land\n"},
        {{"puppet-task", "run", "echo", "message=a", "-n", N1, "-t", "keys/new.token"}, 0, ONE_SAID("a"), ""},
        {{"puppet-access", "login", "admin", "--print", "-l", "1h"}, 0, "0*\n", "", .input = "sesame"},
        {{"puppet-access", "login", "admin", "-t", "keys/new.token"},
         1,
         "",
         "Error: *wrong*[puppetlabs.rbac/*]\n",
         .input = "wrong\n"},
        {{"puppet-access", "login", "admin", "--print", "--lifetime", "5q"},
         1,
         "",
         "Error: *lifetime*[puppetlabs.rbac/*]\n",
         .input = "sesame\n"},
        {{"puppet-access", "login", "admin", "--print", "--verbose"},
         1,
         "",
         "Error: *\n  kind: puppetlabs.rbac/*",
         .input = "\n"},
        {{"puppet-access", "login"}, 1, "", "Error: no user name was given\n"},
        {{"puppet-access", "login", "admin"}, 1, "", "Error: no password was given\n"},
        {{"puppet-access", "login", "admin", "--service-url", "https://127.0.0.1:1"},
         1,
         "",
         "Error: https://127.0.0.1:1 does not answer: *",
         .input = "x\n"},
        {{"puppet-access", "login", "admin", "--ca-cert", "foreign/ca.pem"},
         1,
         "",
         "Error: * does not answer: *certificate*",
         .input = "sesame\n"},
        {{"puppet-access", "login", "admin", "-t", "/proc/x/token"},
         1,
         "",
         "Error: cannot make the directory /proc/x: *",
         .input = "sesame\n"},
        {{"puppet-access", "show", "-t", "empty.token"}, 1, "", "Error: empty.token holds no token\n"},
        {{"puppet-access", "delete-token-file", "--token-path", "keys/new.token"}, 0, "Deleted keys/new.token\n", ""},
        {{"puppet-access", "delete-token-file", "--token-path", "keys/new.token"},
         1,
         "",
         "Error: cannot remove keys/new.token: *\n"},
    };
    EXPECT_ALL(&rig, list);
    struct program p = rig_program(&rig, ARGUMENTS("puppet-access", "login", "admin", "-t", "kept.token"));
    p.input = "sesame\n";
    expect_program(&p, 0, "Access token saved to: kept.token\n", "");
    char *path = str_printf("%s/kept.token", rig.dir);
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    mem_free(path);
    rig_expect(&rig, ARGUMENTS("puppet-access", "delete-token-file", "-t", "kept.token"), 0, "Deleted kept.token\n",
               "");
    assert_false(path_exists(rig.dir, "kept.token"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks),
        cmocka_unit_test(failing_tasks),
        cmocka_unit_test(showing_tasks),
        cmocka_unit_test(puppet_runs),
        cmocka_unit_test(showing_jobs),
        cmocka_unit_test(stopping_a_job),
        cmocka_unit_test(interrupting_a_job),
        cmocka_unit_test(leaving_a_job),
        cmocka_unit_test(reaching_the_services),
        cmocka_unit_test(queries),
        cmocka_unit_test(tokens),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
