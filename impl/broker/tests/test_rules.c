/* pcp.md §14: authorization rules. */
#include "rig.h"

#include "base/mem.h"
#include <string.h>

#define RULE(body) "authorization { version: 1, rules: [{ name: r, sort-order: 500,\n" body " }] }"
#define ALL "match-request: { path: \"/pcp-broker/send\", type: path }"

static bool ask(const char *text, const char *cn, const char *type, const char *target) {
    struct rules *r = rig_rules(text);
    const char *rule;
    struct rules_request q = {
        .common_name = cn, .sender = SPAN("pcp://a/agent"), .target = span_of(target), .message_type = span_of(type)};
    bool allowed = rules_allow(r, &q, &rule);
    rules_free(r);
    return allowed;
}

static bool may(const char *text, const char *cn) {
    return ask(text, cn, "x", "pcp:///server");
}

static void names_are_compared_exactly(void **state) {
    (void)state;
    const char *one = RULE("allow: host.example.com, " ALL);
    assert_true(may(one, "host.example.com"));
    assert_true(may(one, "HOST.Example.com"));
    assert_false(
        may(one, "a.host.example.com")); /* label comparison that stops at the shorter list would let these in */
    assert_false(may(one, "example.com"));
    assert_false(may(one, "com"));
    assert_false(may(one, "hostxexample.com"));
    const char *below = RULE("allow: \"*.example.com\", " ALL);
    assert_true(may(below, "host.example.com"));
    assert_true(may(below, "a.b.example.com"));
    assert_false(may(below, "example.com"));
    assert_false(may(below, "badexample.com"));
    const char *opaque = RULE("allow: orchestrator, " ALL);
    assert_true(may(opaque, "orchestrator"));
    assert_false(may(opaque, "Orchestrator"));
    assert_false(may(opaque, "orchestrator.example.com"));
    const char *regex = RULE("allow: \"/^node\\\\d+\\\\./\", " ALL);
    assert_true(may(regex, "node12.example.com"));
    assert_false(may(regex, "xnode12.example.com"));
    assert_true(may(RULE("allow: \"*\", " ALL), "anyone"));
    assert_true(may(RULE("allow: { certname: a.b }, " ALL), "a.b"));
}

static void deny_goes_before_allow(void **state) {
    (void)state;
    const char *text = RULE("allow: \"*\", deny: [a.b, \"*.c.d\"], " ALL);
    assert_true(may(text, "x.y"));
    assert_false(may(text, "a.b"));
    assert_false(may(text, "e.c.d"));
    assert_false(may(RULE("allow: [], " ALL), "x.y"));
    assert_false(may(RULE("deny: a.b, " ALL), "x.y")); /* nothing allowed it */
}

static void without_certificate_only_allow_unauthenticated_helps(void **state) {
    (void)state;
    assert_false(may(RULE("allow: \"*\", " ALL), NULL));
    assert_true(may(RULE("allow-unauthenticated: true, " ALL), NULL));
    assert_false(may(RULE("allow-unauthenticated: false, allow: a.b, " ALL), NULL));
    assert_false(may(
        "authorization { version: 1, allow-header-cert-info: true, rules: [{ name: r, sort-order: 1, allow: \"*\", " ALL
        " }] }",
        "a.b"));
}

static void alternative_names_count(void **state) {
    (void)state;
    struct rules *r = rig_rules(RULE("allow: alias.example.com, " ALL));
    const char *const names[] = {"other.example.com", "alias.example.com"}, *rule;
    struct rules_request q = {.common_name = "cn", .alt_names = names, .alt_name_count = 2};
    assert_true(rules_allow(r, &q, &rule));
    assert_string_equal(rule, "r");
    q.alt_name_count = 1;
    assert_false(rules_allow(r, &q, &rule));
    rules_free(r);
}

static const struct world_extension trusted[] = {
    {"1.3.6.1.4.1.34380.1.1.13", "broker"}, {"1.3.6.1.4.1.34380.1.3.39", "true"}, {"1.3.6.1.4.1.34380.1.2.7", "lab"}};

static bool may_with(const char *extensions) {
    static const char *const alts[] = {"alias.example.com", "10.0.0.1"};
    char *text = str_printf(RULE("allow: { extensions: { %s } }, " ALL), extensions);
    struct rules *r = rig_rules(text);
    const char *rule;
    struct rules_request q = {
        .common_name = "cn", .alt_names = alts, .alt_name_count = 2, .extensions = trusted, .extension_count = 3};
    bool allowed = rules_allow(r, &q, &rule);
    q.common_name = NULL; /* a certificate that names nobody is none */
    assert_false(rules_allow(r, &q, &rule));
    rules_free(r);
    mem_free(text);
    return allowed;
}

/* All that a rule names must be there, each with one of its values. */
static void certificate_extensions_count(void **state) {
    (void)state;
    assert_true(may_with("pp_role: broker"));
    assert_false(may_with("pp_role: Broker"));
    assert_true(may_with("pp_role: [master, broker]"));
    assert_false(may_with("pp_role: []"));
    assert_false(may_with("pp_zone: broker"));
    assert_true(may_with("pp_role: broker, pp_cli_auth: \"true\""));
    assert_false(may_with("pp_role: broker, pp_cli_auth: \"false\""));
    assert_true(may_with("\"1.3.6.1.4.1.34380.1.1.13\": broker"));
    assert_true(may_with("\"1.3.6.1.4.1.34380.1.2.7\": lab"));
    assert_true(may_with("subject-alt-name: { dns-name: \"*.example.com\" }, pp_role: broker"));
    assert_true(may_with("subject-alt-name: { ip: \"10.0.0.1\" }"));
    assert_false(may_with("subject-alt-name: { dns-name: cn }")); /* the common name is no alternative one */
    assert_false(may(RULE("allow: { extensions: { pp_role: broker } }, " ALL), "broker"));
    struct rules *r = rig_rules(RULE("allow: \"*\", deny: { extensions: { pp_role: broker } }, " ALL));
    const char *rule;
    struct rules_request q = {.common_name = "cn", .extensions = trusted, .extension_count = 3};
    assert_false(rules_allow(r, &q, &rule));
    q.extension_count = 0;
    assert_true(rules_allow(r, &q, &rule));
    rules_free(r);
}

static void first_match_by_sort_order_then_name_decides(void **state) {
    (void)state;
    assert_true(may("authorization { version: 1, rules: ["
                    "{ name: z, sort-order: 500, deny: \"*\", " ALL " },"
                    "{ name: b, sort-order: 400, deny: \"*\", " ALL " },"
                    "{ name: a, sort-order: 400, allow: \"*\", " ALL " }] }",
                    "x.y"));
    assert_false(may("authorization { version: 1, rules: [] }", "x.y"));
    assert_false(may(RULE("allow: \"*\", match-request: { path: \"/other\", type: path }"), "x.y"));
    assert_false(may(RULE("allow: \"*\", match-request: { path: \"/\", type: path, method: [get, put] }"), "x.y"));
    assert_true(may(RULE("allow: \"*\", match-request: { path: \"/\", type: path, method: [get, POST] }"), "x.y"));
    assert_true(may(RULE("allow: \"*\", match-request: { path: \"broker.s\", type: regex }"), "x.y"));
    assert_false(may(RULE("allow: \"*\", match-request: { path: \"^broker\", type: regex }"), "x.y"));
}

static void query_params_select(void **state) {
    (void)state;
    const char *text = RULE("allow: \"*\", match-request: { path: \"/\", type: path, query-params: { message_type: [a, "
                            "b], target: \"pcp:///server\" } }");
    assert_true(ask(text, "x", "a", "pcp:///server"));
    assert_true(ask(text, "x", "b", "pcp:///server"));
    assert_false(ask(text, "x", "c", "pcp:///server"));
    assert_false(ask(text, "x", "a", "pcp://a/b"));
    assert_false(ask(
        RULE("allow: \"*\", match-request: { path: \"/\", type: path, query-params: { sender: \"pcp://b/agent\" } }"),
        "x", "a", "pcp:///server"));
    /* a parameter that no message has: the rule never matches */
    assert_false(ask(
        RULE("allow: \"*\", match-request: { path: \"/\", type: path, query-params: { targets: \"pcp:///server\" } }"),
        "x", "a", "pcp:///server"));
}

static void the_old_name_of_target_by_switch(void **state) {
    (void)state;
    struct hocon *h = hocon_new(NULL);
    assert_true(hocon_add(
        h, "f",
        span_of(RULE(
            "allow: \"*\", match-request: { path: \"/\", type: path, query-params: { targets: \"pcp:///server\" } }")),
        NULL));
    assert_true(hocon_resolve(h, NULL));
    struct rules *r = rules_load(h, true, NULL);
    const char *rule;
    assert_true(rules_allow(r, &(struct rules_request){.common_name = "x", .target = SPAN("pcp:///server")}, &rule));
    assert_false(rules_allow(r, &(struct rules_request){.common_name = "x", .target = SPAN("pcp://a/b")}, &rule));
    rules_free(r);
    hocon_free(h);
}

static void back_references_into_the_path(void **state) {
    (void)state;
    const char *text = RULE("allow: \"$1\", match-request: { path: \"^/(pcp-broker)/\", type: regex }");
    assert_true(may(text, "pcp-broker"));
    assert_false(may(text, "other"));
}

/* The recipes of the documents and the packaged image. */
static void documented_recipes(void **state) {
    (void)state;
    static const char recipes[] =
        "authorization: {\n  version: 1\n  rules: [\n"
        "    {\n      name: \"pcp-broker commands\"\n      match-request: {\n        path: \"/pcp-broker/send\"\n      "
        "  type: \"path\"\n        method: \"post\"\n"
        "        query-params: { message_type: [\"rpc_blocking_request\", \"rpc_non_blocking_request\"] }\n      }\n"
        "      sort-order: 400\n      allow: [\"orch.example.com\"]\n    },\n"
        "    {\n      name: block\n      match-request { path: \"/pcp-broker/send\", type: path, query-params { "
        "message_type: [associate_request] } }\n"
        "      sort-order: 401, deny: [\"bad.example.com\"], allow: \"*\"\n    }\n"
        "    # everything an agent needs\n"
        "    {\n      name: agents\n      match-request { path: \"/pcp-broker/send\", type: path, query-params { "
        "message_type: [associate_request, rpc_error_message] } }\n"
        "      sort-order: 420, allow: \"*\"\n    }\n"
        "    {\n      name: \"deny all\"\n      match-request { path: \"^/\", type: regex }\n      sort-order: 599, "
        "allow: []\n    }\n  ]\n}\n";
    assert_true(ask(recipes, "orch.example.com", "rpc_blocking_request", "pcp://a/agent"));
    assert_false(ask(recipes, "node.example.com", "rpc_blocking_request", "pcp://a/agent"));
    assert_false(ask(recipes, "bad.example.com", "associate_request", "pcp:///server"));
    assert_true(ask(recipes, "node.example.com", "associate_request", "pcp:///server"));
    assert_true(ask(recipes, "node.example.com", "rpc_error_message", "pcp:///server"));
    assert_false(ask(recipes, "node.example.com", "anything", "pcp:///server"));
}

static void a_pattern_that_explodes_does_not_match(void **state) {
    (void)state;
    char name[65];
    memset(name, 'a', 64);
    name[64] = '\0';
    assert_false(may(RULE("allow: \"/^(a+)+$b|(a|a)*c/\", " ALL), name));
}

static void check_wrong(const char *text, const char *message) {
    struct hocon *h = hocon_new(NULL);
    struct error err = ERROR_INIT;
    assert_true(hocon_add(h, "auth.conf", span_of(text), &err) && hocon_resolve(h, &err));
    assert_null(rules_load(h, false, &err));
    assert_true(error_is(&err, "config/authorization"));
    if (!str_eq(err.msg, message)) {
        fail_msg("%s", err.msg);
    }
    error_clear(&err);
    hocon_free(h);
}

static void wrong_rules_name_file_line_and_reason(void **state) {
    (void)state;
    check_wrong("", "auth.conf: authorization: there is no section 'authorization'");
    check_wrong("authorization { version: 2 }", "auth.conf:1:26: authorization: 'version' must be 1");
    check_wrong("authorization { version: 1, allow-header-cert-info: x, rules: [] }",
                "auth.conf:1:53: authorization: 'allow-header-cert-info' must be true or false");
    check_wrong("authorization { version: 1, rule: [] }",
                "auth.conf:1:35: authorization: unknown key 'rule', did you mean rules");
    check_wrong("authorization { version: 1 }", "auth.conf: authorization: 'rules' must be a list of rules");
    check_wrong("authorization { version: 1, rules: [\n1] }", "auth.conf:2:1: authorization: a rule must be a map");
    check_wrong("authorization { version: 1, rules: [\n{}] }",
                "auth.conf:2:1: authorization: a rule needs a string 'name'");
    check_wrong("authorization { version: 1, rules: [\n{name: r}] }",
                "auth.conf:2:8: authorization: rule 'r': needs a map 'match-request'");
    check_wrong(RULE("allw: x, " ALL),
                "auth.conf:2:7: authorization: rule 'r': unknown key 'allw', did you mean allow");
    check_wrong(RULE("allow: x, sort-order: 1000, " ALL),
                "auth.conf:2:23: authorization: rule 'r': 'sort-order' must be a number from 1 to 999");
    check_wrong(RULE(ALL),
                "auth.conf:1:45: authorization: rule 'r': needs one of 'allow', 'deny' and 'allow-unauthenticated'");
    check_wrong(RULE("allow: x, allow-unauthenticated: true, " ALL),
                "auth.conf:2:34: authorization: rule 'r': 'allow' and 'deny' have no meaning beside it");
    check_wrong(RULE("allow: x, allow-unauthenticated: 1, " ALL),
                "auth.conf:2:34: authorization: rule 'r': 'allow-unauthenticated' must be true or false");
    check_wrong(RULE("allow: x, match-request: { type: path }"),
                "auth.conf:2:26: authorization: rule 'r': needs a string 'path'");
    check_wrong(RULE("allow: x, match-request: { path: \"/\", type: glob }"),
                "auth.conf:2:45: authorization: rule 'r': 'type' must be \"path\" or \"regex\"");
    check_wrong(RULE("allow: x, match-request: { path: \"(\", type: regex }"),
                "auth.conf:2:34: authorization: rule 'r': the regular expression is wrong at character 2: missing "
                "closing parenthesis");
    check_wrong(
        RULE("allow: x, match-request: { path: \"/\", type: path, method: patch }"),
        "auth.conf:2:59: authorization: rule 'r': 'method' must be get, post, put, delete or head, or a list of them");
    check_wrong(RULE("allow: x, match-request: { path: \"/\", type: path, query-params: { target: [1] } }"),
                "auth.conf:2:75: authorization: rule 'r': the values of 'target' must be strings");
    check_wrong(RULE("allow: { rbac: { permission: x } }, " ALL),
                "auth.conf:2:8: authorization: rule 'r': entries of the kind 'rbac' need an RBAC service, which a "
                "broker does not ask");
    check_wrong(
        RULE("allow: { extensions: { pp_rol: x } }, " ALL),
        "auth.conf:2:32: authorization: rule 'r': 'pp_rol' is neither an extension of Puppet's nor an OID, did you "
        "mean pp_role");
    check_wrong(RULE("allow: { extensions: { pp_role: [x, 1] } }, " ALL),
                "auth.conf:2:33: authorization: rule 'r': the values of 'pp_role' must be strings");
    check_wrong(RULE("allow: { extensions: {} }, " ALL),
                "auth.conf:2:8: authorization: rule 'r': 'extensions' names none");
    check_wrong(RULE("allow: { extensions: { subject-alt-name: a } }, " ALL),
                "auth.conf:2:42: authorization: rule 'r': 'subject-alt-name' must be a map of names by kind");
    check_wrong(RULE("allow: { extensions: { subject-alt-name: { email: a } } }, " ALL),
                "auth.conf:2:51: authorization: rule 'r': alternative names of the kind 'email' are not known here: "
                "dns-name, ip");
    check_wrong(RULE("allow: [a, 1], " ALL),
                "auth.conf:2:12: authorization: rule 'r': expected a name, {certname: …} or {extensions: …}");
    check_wrong(RULE("allow: \"\", " ALL), "auth.conf:2:8: authorization: rule 'r': an empty name");
    check_wrong(RULE("allow: \"a.*.b\", " ALL),
                "auth.conf:2:8: authorization: rule 'r': 'a.*.b': '*' may only stand alone or as \"*.\" at the start");
    check_wrong(RULE("allow: \"$1\", " ALL),
                "auth.conf:2:8: authorization: rule 'r': $1 refers to a group that the path's pattern does not have");
    check_wrong("authorization { version: 1, rules: [{ name: r, sort-order: 1, allow: a, " ALL
                " }, { name: r, sort-order: 1, allow: a, " ALL " }] }",
                "auth.conf:1:140: authorization: rule 'r': another rule has this name");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_compared_exactly),
        cmocka_unit_test(deny_goes_before_allow),
        cmocka_unit_test(without_certificate_only_allow_unauthenticated_helps),
        cmocka_unit_test(alternative_names_count),
        cmocka_unit_test(certificate_extensions_count),
        cmocka_unit_test(first_match_by_sort_order_then_name_decides),
        cmocka_unit_test(query_params_select),
        cmocka_unit_test(the_old_name_of_target_by_switch),
        cmocka_unit_test(back_references_into_the_path),
        cmocka_unit_test(documented_recipes),
        cmocka_unit_test(a_pattern_that_explodes_does_not_match),
        cmocka_unit_test(wrong_rules_name_file_line_and_reason),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
