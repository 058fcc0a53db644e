/* dalang conform as people use it: what is wrong on its command line, its lists, its outputs and exit codes. The cases
 * themselves run as tests of their own (conform/…). */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/dalang/tests/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define BROKER BIN_DIR "/dalang-broker", "--config", "{config}"

static void usage(void **state) {
    (void)state;
    static const struct {
        const char *argv[8];
        int code;
        const char *err;
    } cases[] = {
        {{"dalang", "conform"}, 2, "dalang conform: name a suite: broker, agent or orchestrator\n"},
        {{"dalang", "conform", "brokers"}, 2, "dalang conform: there is no suite \"brokers\"*"},
        {{"dalang", "conform", "broker"},
         2,
         "dalang conform: name the broker: --target wss://HOST:PORT, or -- COMMAND*"},
        {{"dalang", "conform", "broker", "--target", "wss://h:1"}, 2, "dalang conform: --ca FILE is needed*"},
        {{"dalang", "conform", "broker", "--profile", "lax", "--target", "wss://h:1"},
         2,
         "*--profile: \"lax\" is none*"},
        {{"dalang", "conform", "broker", "--only", "(", "--target", "wss://h:1"},
         2,
         "*\"(\" is no regular expression*"},
        {{"dalang", "conform", "broker", "--tap", "--json", "--target", "wss://h:1"}, 2, "*choose one*"},
        {{"dalang", "conform", "agent"}, 2, "dalang conform: name the agent*"},
        {{"dalang", "conform", "orchestrator"}, 2, "dalang conform: name the orchestrator*"},
        {{"dalang", "conform", "--table", "/nowhere"}, 2, "*/nowhere cannot be read*"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct program p = {.dir = "/tmp"};
        memcpy(p.argv, cases[i].argv, sizeof(cases[i].argv));
        expect_program(&p, cases[i].code, "", cases[i].err);
    }
}

static void unreadable_files(void **state) {
    (void)state;
    struct program p = {.argv = {"dalang", "conform", "broker", "--target", "wss://h:1", "--ca", "/nowhere/ca.pem",
                                 "--ca-key", "/nowhere/ca.key"},
                        .dir = "/tmp"};
    expect_program(&p, 3, "", "dalang conform: */nowhere/ca.*");
}

static void lists(void **state) {
    (void)state;
    struct program p = {.argv = {"dalang", "conform", "broker", "--list", "--only", "session/supersede-001"},
                        .dir = "/tmp"};
    expect_program(&p, 0, "pcp1/session/supersede-001 *[pcp.md §9.1]\npcp2/session/supersede-001 *[pcp.md §9.1]\n", "");
    p = (struct program){.argv = {"dalang", "conform", "agent", "--list", "--json"}, .dir = "/tmp"};
    char *text = output_of(&p, 0);
    json_t *list = json_parse(span_of(text), "x", NULL);
    assert_true(json_array_size(list) > 300);
    assert_non_null(json_str(json_array_get(list, 0), "statement"));
    json_decref(list);
    mem_free(text);
}

static void strict_cases_are_listed_when_strict(void **state) {
    (void)state;
    struct program p = {.argv = {"dalang", "conform", "broker", "--list", "--only", "codec/bytes-001"}, .dir = "/tmp"};
    expect_program(&p, 0, "", "");
    p.argv[6] = "--profile";
    p.argv[7] = "strict";
    expect_program(&p, 0, "pcp2/codec/bytes-001 *", "");
}

static void outputs(void **state) {
    (void)state;
    char *dir = make_temporary_dir(), *junit = str_printf("%s/junit.xml", dir);
    struct program p = {
        .argv = {"dalang", "conform", "broker", "--only", "pcp2/uri/take", "--tap", "--junit", junit, "--", BROKER},
        .dir = dir};
    expect_program(&p, 0, "TAP version 13\n1..2\nok 1 - pcp2/uri/take-001: *\nok 2 - pcp2/uri/take-002: *\n", "");
    char *xml = read_file(dir, "junit.xml");
    assert_true(glob_match("<?xml *tests=\"2\" failures=\"0\"*<property name=\"profile\" value=\"reference\"/>*"
                           "<testcase classname=\"pcp2/uri\" name=\"take-001\"*</testsuites>\n",
                           xml));
    mem_free(xml);
    p = (struct program){.argv = {"dalang", "conform", "broker", "--only", "pcp2/uri/take-001", "--json", "--", BROKER},
                         .dir = dir};
    char *text = output_of(&p, 0);
    json_t *result = json_parse(span_of(text), "x", NULL);
    assert_int_equal(json_int(result, "passed", -1), 1);
    assert_string_equal(json_str(json_array_get(json_object_get(result, "cases"), 0), "status"), "PASS");
    json_decref(result);
    mem_free(text);
    mem_free(junit);
    remove_tree(dir);
    mem_free(dir);
}

static void a_broker_that_does_not_start(void **state) {
    (void)state;
    struct program p = {.argv = {"dalang", "conform", "broker", "-x", "--", "/bin/sh", "-c", "echo no luck; exit 7"},
                        .dir = "/tmp"};
    expect_program(&p, 1, "FAIL  *expected*a broker that starts*no luck*\n1 cases: 0 passed, 1 failed, 0 skipped\n",
                   "");
}

/* ---- a broker that runs already and has rules of its own: `dalang up`'s keeps inventories for its orchestrator */

#define NEED_INVENTORY                                                                                                 \
    "^pcp2/(inventory/find-001|subscribe/update-001|errors/absent-004|errors/sender-002|uri/take-001)$"

static const char *broker_of(const struct rig *rig) {
    return json_str(rig->ready, "broker");
}

static void what_rules_forbid_is_skipped(void **state) {
    const struct rig *rig = *state;
    rig_expect(rig,
               ARGUMENTS("dalang", "conform", "broker", "--target", broker_of(rig), "--ca", "stack/ca.pem", "--ca-key",
                         "stack/ca.key", "--only", NEED_INVENTORY, "--junit", "junit.xml"),
               0,
               "*SKIP  pcp2/errors/absent-004 * (the broker's rules forbid inventory_request to *)\n"
               "*PASS  pcp2/errors/sender-002 *" /* refused for its sender, before any rule */
               "*SKIP  pcp2/inventory/find-001 *5 cases: 2 passed, 0 failed, 3 skipped\n",
               "");
    char *xml = read_file(rig->dir, "junit.xml");
    assert_true(glob_match("*tests=\"5\" failures=\"0\"*skipped=\"3\"*<skipped message=\"the broker*s rules forbid "
                           "inventory_request to *",
                           xml));
    mem_free(xml);
}

static void so_in_tap(void **state) {
    const struct rig *rig = *state;
    rig_expect(rig,
               ARGUMENTS("dalang", "conform", "broker", "--target", broker_of(rig), "--ca", "stack/ca.pem", "--ca-key",
                         "stack/ca.key", "--only", "^pcp1/(inventory/bad-001|uri/take-001)$", "--tap"),
               0,
               "TAP version 13\n1..2\n*ok * - pcp1/inventory/bad-001: * # SKIP the broker's rules forbid "
               "inventory_request to *",
               "");
}

/* Rules go by certificate: whom they allow is judged as anywhere else. */
static void what_rules_allow_is_judged(void **state) {
    const struct rig *rig = *state;
    static const char *const files[] = {"client.pem", "client.key"};
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        char *from = str_printf("stack/certs/%s", files[i]), *to = str_printf("allowed/%s", files[i]);
        char *text = read_file(rig->dir, from);
        write_file(rig->dir, to, text);
        mem_free(text);
        mem_free(from);
        mem_free(to);
    }
    rig_expect(rig,
               ARGUMENTS("dalang", "conform", "broker", "--target", broker_of(rig), "--ca", "stack/ca.pem", "--certs",
                         "allowed", "--only", "^pcp[12]/inventory/bad-00[12]$"),
               0, "*4 cases: 4 passed, 0 failed, 0 skipped\n", "");
}

static int up(void **state) {
    static struct rig rig;
    rig_start(&rig, ARGUMENTS("--agents", "0"));
    *state = &rig;
    return 0;
}

static int down(void **state) {
    rig_stop(*state);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(usage),   cmocka_unit_test(unreadable_files),
        cmocka_unit_test(lists),   cmocka_unit_test(strict_cases_are_listed_when_strict),
        cmocka_unit_test(outputs), cmocka_unit_test(a_broker_that_does_not_start),
    };
    const struct CMUnitTest with_rules[] = {
        cmocka_unit_test(what_rules_forbid_is_skipped),
        cmocka_unit_test(so_in_tap),
        cmocka_unit_test(what_rules_allow_is_judged),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed + cmocka_run_group_tests(with_rules, up, down);
}
