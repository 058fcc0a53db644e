/* dalang fault, against a stack that is up: services answer wrongly, links fail, parts and agents vanish and return,
 * everything stands still. */
#include "base/mem.h"
#include "simulator/dalang/tests/rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include <cmocka.h>

static struct rig rig;

static int start(void **state) {
    (void)state;
    rig_start(&rig, ARGUMENTS("--agents", "3", "--real-agents", "1"));
    return 0;
}

static int stop(void **state) {
    (void)state;
    rig_stop(&rig);
    return 0;
}

#define FAULT(...) rig_expect(&rig, ARGUMENTS("dalang", "fault", __VA_ARGS__), 0, "", "")
#define ECHO "puppet-task", "run", "echo", "message=hi", "--query", "nodes[certname]{}"

#define AGENT "node-0001.example.com"
#define REAL "real-01.example.com"

static bool exits_well(const char *const *argv) {
    struct program p = rig_program(&rig, argv);
    struct running r;
    program_start(&r, &p);
    bool well = program_finish(&r) == 0;
    program_free(&r);
    return well;
}

static bool tasks_run(void *ctx) {
    (void)ctx;
    return exits_well(ARGUMENTS(ECHO));
}

static bool api_answers(void *ctx) {
    (void)ctx;
    return exits_well(ARGUMENTS("puppet-job", "show"));
}

static bool api_is_gone(void *ctx) {
    return !api_answers(ctx);
}

static void services(void **state) {
    (void)state;
    rig_expect(&rig, ARGUMENTS("puppet-query", "nodes[certname]{}"), 0, "*node-0001*", "");
    FAULT("{\"service\": {\"name\": \"puppetdb\", \"status\": 503, \"body\": \"closed today\", \"times\": 1}}");
    rig_expect(&rig, ARGUMENTS("puppet-query", "nodes[certname]{}"), 1, "", "*");
    rig_expect(&rig, ARGUMENTS("puppet-query", "nodes[certname]{}"), 0, "*node-0001*", "");
    FAULT("{\"service\": {\"name\": \"rbac\", \"reset\": true}}",
          "{\"service\": {\"name\": \"puppetdb\", \"status\": 500}}");
    rig_expect(&rig, ARGUMENTS("puppet-query", "nodes[certname]{}"), 1, "", "*");
    FAULT("--heal");
    rig_expect(&rig, ARGUMENTS("puppet-query", "nodes[certname]{}"), 0, "*node-0001*", "");
    await(tasks_run, NULL, "a task runs after the services' faults");
}

static void parts(void **state) {
    (void)state;
    FAULT("{\"restart\": \"broker-1\", \"down_for\": \"50ms\"}");
    await(tasks_run, NULL, "a task runs after the broker is back");
    FAULT("{\"restart\": \"orchestrator\", \"down_for\": \"50ms\"}");
    await(tasks_run, NULL, "a task runs after the orchestrator is back");
    FAULT("{\"reset\": {\"a\": \"broker-1\"}}");
    await(tasks_run, NULL, "a task runs over new connections");
    FAULT("{\"kill\": [\"orchestrator\", \"broker-1\"]}");
    await(api_is_gone, NULL, "the API is gone");
    FAULT("--heal");
    await(tasks_run, NULL, "a task runs after everything is healed");
}

/* What the orchestrator says of an agent's connection. */
static bool says_connected(const char *agent, const char *answer) {
    char *path = str_printf("/orchestrator/v1/inventory/%s", agent), *token = read_file(rig.stack_dir, "token");
    char *url = str_printf("%s%s", json_str(rig.ready, "orchestrator"), path),
         *header = str_printf("X-Authentication: %s", token), *ca = str_printf("%s/ca.pem", rig.stack_dir);
    struct program p =
        rig_program(&rig, ARGUMENTS("/usr/bin/curl", "-s", "--max-time", "5", "--cacert", ca, "-H", header, url));
    char *said = output_of(&p, 0);
    bool holds = glob_match(answer, said);
    mem_free(said);
    mem_free(ca);
    mem_free(header);
    mem_free(url);
    mem_free(token);
    mem_free(path);
    return holds;
}

static bool is_connected(void *ctx) {
    return says_connected(ctx, "*\"connected\":true*");
}

static bool is_gone(void *ctx) {
    return says_connected(ctx, "*\"connected\":false*");
}

static void await_connected(const char *agent) {
    await(is_connected, (void *)(uintptr_t)agent, "the agent is connected");
}

static void await_gone(const char *agent) {
    await(is_gone, (void *)(uintptr_t)agent, agent);
}

static void agents(void **state) {
    static const char *const names[] = {AGENT, REAL};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char *dead = str_printf("{\"kill\": \"%s\"}", names[i]);
        char *back = str_printf("{\"restart\": \"%s\", \"down_for\": \"50ms\"}", names[i]);
        FAULT(dead);
        await_gone(names[i]);
        FAULT(back); /* down already: back after that time all the same */
        await_connected(names[i]);
        FAULT(dead, dead);
        await_gone(names[i]);
        FAULT("--heal");
        await_connected(names[i]);
        mem_free(dead);
        mem_free(back);
    }
    await(tasks_run, NULL, "a task runs on all of them");
}

struct saying {
    const char *text;
    unsigned before;
};

static unsigned occurrences(const char *text) {
    char *log = read_file(rig.stack_dir, "logs/dalang.log");
    unsigned count = 0;
    for (const char *at = log; (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    mem_free(log);
    return count;
}

static bool is_said_again(void *ctx) {
    const struct saying *s = ctx;
    return occurrences(s->text) > s->before;
}

static void certificates(void **state) {
    static const char *const names[] = {AGENT, REAL};
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        char *revoked = str_printf("{\"certificate\": {\"revoke\": \"%s\"}}", names[i]);
        unsigned before = occurrences("certificate revoked");
        FAULT(revoked);
        await_gone(names[i]);
        await(is_said_again, &(struct saying){"certificate revoked", before}, "the agent comes back and is refused");
        FAULT("--heal");
        await_connected(names[i]);
        char *expired = str_printf("{\"certificate\": {\"expire\": \"%s\"}}", names[i]);
        before = occurrences("certificate expired");
        FAULT(expired);
        await_gone(names[i]);
        await(is_said_again, &(struct saying){"certificate expired", before}, "the agent is told why it is refused");
        FAULT("--heal");
        await_connected(names[i]);
        mem_free(expired);
        mem_free(revoked);
    }
}

/* A request under way while the link is cut is answered when it no longer is. */
static void a_partition(void **state) {
    (void)state;
    FAULT("{\"partition\": {\"a\": \"client\", \"b\": \"orchestrator\"}}");
    struct program p = rig_program(&rig, ARGUMENTS("puppet-job", "show"));
    struct running r;
    program_start(&r, &p);
    FAULT("{\"partition\": {\"a\": \"node-*\", \"b\": \"broker-1\", \"symmetric\": false}}");
    assert_int_equal(waitpid(r.pid, NULL, WNOHANG), 0); /* it waits */
    FAULT("--heal");
    assert_int_equal(program_finish(&r), 0);
    program_free(&r);
    await(tasks_run, NULL, "a task runs over healed links");
}

/* Each of them holds things up and loses nothing. */
static void slow_links(void **state) {
    static const char *const faults[] = {
        "{\"delay\": {\"a\": \"node-*\", \"b\": \"broker-1\", \"latency\": {\"uniform\": [\"1ms\", \"20ms\"]}}}",
        "{\"drop\": {\"a\": \"broker-1\", \"b\": \"node-*\", \"ratio\": 0.2}}",
        "{\"reorder\": {\"a\": \"broker-1\", \"by\": \"20ms\"}}",
        "{\"duplicate\": {\"a\": \"broker-1\", \"ratio\": 0.5}}",
        "{\"throttle\": {\"a\": \"client\", \"b\": \"orchestrator\", \"bytes_per_s\": 50000}}",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
        FAULT(faults[i]);
        await(tasks_run, NULL, faults[i]);
        FAULT("--heal");
    }
    FAULT("{\"delay\": {\"a\": \"client\", \"b\": \"orchestrator\", \"latency\": \"150ms\"}, \"for\": \"1h\"}");
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    assert_true(api_answers(NULL));
    clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t took_ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    assert_true(took_ms >= 300); /* there and back */
    FAULT("--heal");
}

static void broken_connections(void **state) {
    (void)state;
    FAULT("{\"refuse\": {\"a\": \"client\", \"b\": \"orchestrator\", \"ratio\": 1}}");
    assert_false(api_answers(NULL));
    FAULT("--heal", "{\"corrupt\": {\"a\": \"client\", \"b\": \"orchestrator\", \"ratio\": 1}}");
    assert_false(api_answers(NULL));
    FAULT("--heal", "{\"reset\": {\"a\": \"client\", \"ratio\": 1}}");
    assert_false(api_answers(NULL));
    FAULT("--heal");
    assert_true(api_answers(NULL));
    /* Whose end has vanished the broker learns when it sends: the agent's new session supersedes the ghost. */
    FAULT("{\"half_close\": {\"gone\": \"" AGENT "\", \"peer\": \"broker-1\"}}");
    await(tasks_run, NULL, "a task runs after an end has vanished");
    FAULT("{\"half_close\": {\"gone\": \"broker-1\", \"peer\": \"" AGENT "\"}}");
    await_gone(AGENT); /* and knows nothing of it, until it sends */
    FAULT("{\"reset\": {\"a\": \"" AGENT "\"}}");
    await(tasks_run, NULL, "a task runs after the broker's end has vanished");
}

static void faults_that_end(void **state) {
    (void)state;
    FAULT(
        "{\"service\": {\"name\": \"puppetdb\", \"status\": 500}, \"for\": \"50ms\"}",
        "{\"service\": {\"name\": \"rbac\", \"route\": \"GET /rbac-api/v1/*\", \"delay\": \"1ms\"}, \"for\": \"50ms\"}",
        "{\"partition\": {\"a\": \"*\", \"b\": \"broker-1\"}, \"for\": \"50ms\"}",
        "{\"clock\": {\"host\": \"orchestrator\", \"jump\": \"1s\"}}");
    await(tasks_run, NULL, "a task runs when the faults have ended by themselves");
}

/* Every example of the guide. */
static void the_guide(void **state) {
    static const char command[] = "    dalang fault '";
    unsigned count = 0;
    (void)state;
    char *text = read_file(SOURCE_DIR, "scenarios/README.md");
    for (char *at = strstr(text, command); at != NULL; at = strstr(at, command)) {
        at += strlen(command);
        char *end = strchr(at, '\'');
        assert_non_null(end);
        *end = '\0';
        FAULT(at);
        at = end + 1;
        count++;
    }
    mem_free(text);
    assert_true(count >= 18);
    FAULT("--heal");
    await(tasks_run, NULL, "a task runs after all the faults of the guide");
}

static void a_pause(void **state) {
    (void)state;
    FAULT("{\"pause\": \"*\", \"for\": \"100ms\"}");
    assert_true(api_answers(NULL));
}

static void wrong_uses(void **state) {
    static const struct expectation list[] = {
        {.argv = {"dalang", "fault"}, .code = 2, .out = "", .err = "dalang fault: a fault is needed; see *\n"},
        {.argv = {"dalang", "fault", "{"}, .code = 2, .out = "", .err = "dalang fault: \"{\" is no JSON\n"},
        {.argv = {"dalang", "fault", "{\"kil\": \"broker-1\"}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: kil: unknown kind of fault; did you mean kill?\n"},
        {.argv = {"dalang", "fault", "{\"kill\": \"broker-9\"}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: kill: there is no host broker-9\n"},
        {.argv = {"dalang", "fault", "{\"restart\": \"node-0009.example.com\"}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: restart: there is no host node-0009.example.com\n"},
        {.argv = {"dalang", "fault", "{\"partition\": {\"a\": \"nude-*\"}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: partition: there is no host like nude-*\n"},
        {.argv = {"dalang", "fault", "{\"half_close\": {\"gone\": \"*\"}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: half_close.gone: name the hosts whose ends vanish\n"},
        {.argv = {"dalang", "fault", "{\"kill\": \"*\"}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: kill: not everything can be killed at once: name hosts\n"},
        {.argv = {"dalang", "fault", "{\"kill\": \"puppetdb\"}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: puppetdb does not live in this process and cannot be killed; *\n"},
        {.argv = {"dalang", "fault", "{\"kill\": \"broker-1\", \"power\": true}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: kill: only machines of the simulated world *\n"},
        {.argv = {"dalang", "fault", "{\"drop\": {\"a\": \"broker-1\", \"ratio\": 7}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: drop.ratio: a ratio between 0 and 1 is wanted\n"},
        {.argv = {"dalang", "fault", "{\"throttle\": {\"a\": \"broker-1\", \"bytes_per_s\": 0}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: throttle.bytes_per_s: a number of bytes above 0 is wanted\n"},
        {.argv = {"dalang", "fault", "{\"delay\": {\"a\": \"broker-1\", \"latency\": \"soon\"}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: delay.latency: *\n"},
        {.argv = {"dalang", "fault", "{\"reset\": {\"a\": \"broker-1\"}, \"for\": \"ever\"}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: for: *\n"},
        {.argv = {"dalang", "fault", "{\"pause\": \"broker-1\"}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: pause: only the whole stack can stand still: \"*\"\n"},
        {.argv = {"dalang", "fault", "{\"disk\": {\"host\": \"orchestrator\", \"full\": true}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: disk: this fault is one of the simulated world*\n"},
        {.argv = {"dalang", "fault", "{\"clock\": {\"host\": \"" AGENT "\", \"jump\": \"1h\"}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: clock.host: " AGENT " has no clock of its own here\n"},
        {.argv = {"dalang", "fault", "{\"clock\": {\"host\": \"orchestrator\", \"drift_ppm\": 5}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: clock: clocks jump in the real world, they do not drift\n"},
        {.argv = {"dalang", "fault", "{\"certificate\": {\"revoke\": \"orchestrator\"}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: certificate.revoke: orchestrator is no agent of this process\n"},
        {.argv = {"dalang", "fault", "{\"certificate\": {\"expire\": \"broker-1\"}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: certificate.expire: broker-1 is no agent of this process\n"},
        {.argv = {"dalang", "fault", "{\"service\": {\"name\": \"ldap\"}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: service.name: ldap is none of rbac, *\n"},
        {.argv = {"dalang", "fault", "{\"service\": {\"name\": \"rbac\", \"hnag\": true}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: *hnag*\n"},
        {.argv = {"dalang", "fault", "--dir", "nowhere", "--heal"},
         .code = 3,
         .out = "",
         .err = "dalang fault: *nowhere: no stack is ready here after 2 s\n"},
    };
    (void)state;
    EXPECT_ALL(&rig, list);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(services),
        cmocka_unit_test(parts),
        cmocka_unit_test(agents),
        cmocka_unit_test(certificates),
        cmocka_unit_test(a_partition),
        cmocka_unit_test(slow_links),
        cmocka_unit_test(broken_connections),
        cmocka_unit_test(faults_that_end),
        cmocka_unit_test(the_guide),
        cmocka_unit_test(a_pause),
        cmocka_unit_test(wrong_uses),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
