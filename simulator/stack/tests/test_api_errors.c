/* Each error of orchestrator-api.md §1.6 provoked through the socket: status, kind, keys of details. */
#include "base/mem.h"
#include "simulator/stack/tests/api_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define V1 "/orchestrator/v1"
#define TASK(rest) "{\"task\": \"echo\", \"params\": {}, \"scope\": {\"nodes\": [\"" NODE_1 "\"]}" rest "}"
#define TASK_SCOPE(scope) "{\"task\": \"echo\", \"params\": {}, \"scope\": " scope "}"
#define TYPED(params) "{\"task\": \"typed\", \"params\": " params ", \"scope\": {\"nodes\": [\"" NODE_1 "\"]}}"
#define DEPLOY(rest) "{\"environment\": \"production\", \"scope\": {\"nodes\": [\"" NODE_1 "\"]}" rest "}"
#define TARGETS(target) TASK(", \"targets\": [" target "]")

static const struct exchange callers[] = {
    FAILS(STRANGER, "GET", V1 "/jobs", NULL, 401, "puppetlabs.rbac/user-unauthenticated", NULL),
    FAILS("no such token", "GET", V1 "/jobs", NULL, 401, "puppetlabs.rbac/invalid-token", NULL),
    FAILS(EXPIRED, "GET", V1 "/jobs", NULL, 401, "puppetlabs.rbac/token-expired", NULL),
    FAILS(REVOKED, "GET", V1 "/jobs", NULL, 401, "puppetlabs.rbac/token-revoked", NULL),
    FAILS(NOBODY, "GET", V1 "/jobs", NULL, 403, "puppetlabs.rbac/permission-denied", "permission"),
    FAILS(NOBODY, "POST", V1 "/command/stop", "{\"job\": \"1\"}", 403, "puppetlabs.rbac/permission-denied",
          "permission"),
    FAILS(VIEWER, "POST", V1 "/command/task", TASK(""), 403, "not-permitted", NULL),
    FAILS(VIEWER, "POST", V1 "/command/deploy", DEPLOY(""), 403, "not-permitted", NULL),
    FAILS(LIMITED, "POST", V1 "/command/task", TASK(""), 403, "not-permitted", NULL),
    GIVES(VIEWER, "GET", V1 "/jobs", NULL, 200, NULL),
    GIVES(CERTIFICATE, "GET", V1 "/jobs", NULL, 200, NULL),
    GIVES(NULL, "GET", V1 "/jobs?token=" VIEWER, NULL, 200, NULL),
};

static const struct exchange requests[] = {
    FAILS(ADMIN, "GET", V1 "/nothing", NULL, 404, "not-found", NULL),
    FAILS(ADMIN, "DELETE", V1 "/jobs", NULL, 405, "method-not-allowed", NULL),
    REFUSED("POST", V1 "/command/task", ""),
    REFUSED("POST", V1 "/command/task", "{"),
    REFUSED("POST", V1 "/command/task", "[]"),
    REFUSED("POST", V1 "/command/task", "{}"),
    REFUSED("POST", V1 "/command/task", TASK(", \"surprise\": 1")),
    REFUSED("POST", V1 "/command/task", TASK(", \"noop\": \"yes\"")),
    REFUSED("POST", V1 "/command/task", TASK(", \"timeout\": 0")),
    REFUSED("POST", V1 "/command/task", TASK(", \"environment\": \"a-b\"")),
    REFUSED("POST", V1 "/command/task", "{\"task\": \"Echo!\", \"params\": {}, \"scope\": {\"nodes\": [\"a\"]}}"),
    REFUSED("POST", V1 "/command/task", TASK_SCOPE("{}")),
    REFUSED("POST", V1 "/command/task", TASK_SCOPE("{\"nodes\": [\"a\"], \"query\": \"x\"}")),
    REFUSED("POST", V1 "/command/task", TASK_SCOPE("{\"nodes\": [7]}")),
    REFUSED("POST", V1 "/command/task", TASK_SCOPE("{\"application\": \"Shop\"}")),
    REFUSED("POST", V1 "/command/task", TASK(", \"noop\": true")), /* it does not support noop */
    REFUSED("POST", V1 "/inventory", "{}"),
    REFUSED("POST", V1 "/inventory", "{\"nodes\": [1]}"),
    REFUSED("POST", V1 "/command/deploy", DEPLOY(", \"noop\": true, \"no_noop\": true")),
    REFUSED("POST", V1 "/command/deploy", DEPLOY(", \"concurrency\": 9")),
    REFUSED("POST", V1 "/command/deploy", "{\"environment\": \"\"}"),
    REFUSED("POST", V1 "/command/deploy",
            "{\"environment\": \"\", \"enforce_environment\": true, \"scope\": {\"nodes\": [\"a\"]}}"),
    REFUSED("GET", V1 "/jobs/x", NULL),
    REFUSED("GET", V1 "/jobs?limit=0", NULL),
    REFUSED("GET", V1 "/jobs?offset=-1", NULL),
    REFUSED("GET", V1 "/jobs?order_by=colour", NULL),
    REFUSED("GET", V1 "/jobs?order=up", NULL),
    REFUSED("GET", V1 "/jobs?type=nonsense", NULL),
    REFUSED("GET", V1 "/jobs?type=deploy&task=x", NULL),
    REFUSED("GET", V1 "/jobs?min_finish_timestamp=yesterday", NULL),
    FAILS(ADMIN, "GET", V1 "/jobs/1/events?start=x", NULL, 404, "unknown-job", "job"),
    REFUSED("GET", V1 "/tasks?environment=a-b", NULL),
    REFUSED("GET", V1 "/tasks/UP/x", NULL),
    REFUSED("GET", V1 "/plans/UP/x", NULL),
    REFUSED("POST", V1 "/command/stop", "{\"job\": \"x\"}"),
};

static const struct exchange unknowns[] = {
    FAILS(ADMIN, "GET", V1 "/jobs/77", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/jobs/77/nodes", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/jobs/77/report", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/jobs/77/events", NULL, 404, "unknown-job", "job"),
    FAILS(ADMIN, "POST", V1 "/command/stop", "{\"job\": \"77\"}", 404, "unknown-job", "job"),
    FAILS(ADMIN, "GET", V1 "/tasks?environment=nowhere", NULL, 404, "unknown-environment", "environment"),
    FAILS(ADMIN, "GET", V1 "/plans?environment=nowhere", NULL, 404, "unknown-environment", "environment"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK(", \"environment\": \"nowhere\""), 404, "unknown-environment",
          "environment"),
    FAILS(ADMIN, "POST", V1 "/command/deploy", "{\"environment\": \"nowhere\", \"scope\": {\"nodes\": [\"a\"]}}", 404,
          "unknown-environment", "environment"),
    FAILS(ADMIN, "GET", V1 "/tasks/echo/nothing", NULL, 404, "unknown-task", "environment task"),
    FAILS(ADMIN, "GET", V1 "/tasks/nothing/init", NULL, 404, "unknown-task", "environment task"),
    FAILS(ADMIN, "POST", V1 "/command/task", "{\"task\": \"nothing\", \"params\": {}, \"scope\": {\"nodes\": [\"a\"]}}",
          404, "unknown-task", "environment task"),
    FAILS(ADMIN, "GET", V1 "/plans/demo/nothing", NULL, 404, "unknown-plan", "environment plan"),
};

static const struct exchange scopes[] = {
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"nodes\": []}"), 400, "empty-target", "scope"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"query\": \"nodes[certname] { certname = 'x' }\"}"), 400,
          "empty-target", "scope"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"node_group\": \"" GROUP_BARE "\"}"), 400, "empty-target",
          "scope"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"node_group\": \"" GROUP_NONE "\"}"), 400, "empty-target",
          "scope"),
    FAILS(ADMIN, "POST", V1 "/command/deploy",
          "{\"environment\": \"production\", \"scope\": {\"application\": \"Shop\"}}", 400, "empty-target", "scope"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"query\": \"nodes[certname] {\"}"), 400, "query-error",
          "query"),
    FAILS(ADMIN, "POST", V1 "/command/task", TASK_SCOPE("{\"query\": \"facts[name] { }\"}"), 400, "query-error",
          "query"),
    FAILS(TASKER, "POST", V1 "/command/task", TASK_SCOPE("{\"query\": \"nodes[certname] { }\"}"), 400, "query-error",
          "query"),
    FAILS(OPERATOR, "POST", V1 "/command/task", TASK_SCOPE("{\"node_group\": \"" GROUP_ALL "\"}"), 403, "not-permitted",
          NULL),
};

#define RUN(table)                                                                                                     \
    static void test_##table(void **ctx) {                                                                             \
        (void)ctx;                                                                                                     \
        struct api_rig rig = {0};                                                                                      \
        api_rig_start(&rig);                                                                                           \
        api_exchanges(&rig, table, sizeof table / sizeof table[0]);                                                    \
        api_rig_end(&rig);                                                                                             \
    }
RUN(callers)
RUN(requests)
RUN(unknowns)
RUN(scopes)

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_callers),
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_unknowns),
        cmocka_unit_test(test_scopes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
