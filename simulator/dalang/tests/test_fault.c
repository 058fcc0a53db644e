/* dalang fault, against a stack that is up: services answer wrongly, parts vanish and return, everything stands still.
 */
#include "base/mem.h"
#include "simulator/dalang/tests/rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct rig rig;

static int start(void **state) {
    (void)state;
    rig_start(&rig, ARGUMENTS("--agents", "3"));
    return 0;
}

static int stop(void **state) {
    (void)state;
    rig_stop(&rig);
    return 0;
}

#define FAULT(...) rig_expect(&rig, ARGUMENTS("dalang", "fault", __VA_ARGS__), 0, "", "")
#define ECHO "puppet-task", "run", "echo", "message=hi", "--query", "nodes[certname]{}"

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
         .err = "dalang fault: broker-9 is no broker of this stack, nor the orchestrator\n"},
        {.argv = {"dalang", "fault", "{\"service\": {\"name\": \"ldap\"}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: service.name: ldap is none of rbac, *\n"},
        {.argv = {"dalang", "fault", "{\"service\": {\"name\": \"rbac\", \"hnag\": true}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: https://*hnag*\n"},
        {.argv = {"dalang", "fault", "{\"partition\": {\"a\": \"broker-1\"}}"},
         .code = 2,
         .out = "",
         .err = "dalang fault: partition: such a fault needs the simulated world *\n"},
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
        cmocka_unit_test(a_pause),
        cmocka_unit_test(wrong_uses),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
