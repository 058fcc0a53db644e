/* Rules: grammar, evaluation, explanation, simplification, pins, translation (classifier.md §4, §5, §7, §9). */
#include "base/mem.h"
#include "fakes/classifier/rules.h"
#include "fakes/tests/rig.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void good_rules_are_taken(void **state) {
    (void)state;
    static const char *const good[] = {
        "['=', 'name', 'a']",
        "['and', ['~', ['fact', 'pe_server_version'], '.+']]",
        ("['or', ['and', ['=', ['fact', 'os', 'family'], 'RedHat'], ['~', ['trusted', 'certname'], '^edge']],"
         " ['=', 'name', 'x']]"),
        "['not', ['>=', ['fact', 'disks', 0, 'size'], '5']]",
        "['=', 'nodename', 'a']",
    };
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        json_t *rule = quoted(good[i]);
        assert_true(rule_check(rule, true, NULL));
        json_decref(rule);
    }
}

static void bad_rules_are_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "{}",
        "[]",
        "'name'",
        "['and']",
        "['not', ['=', 'name', 'a'], ['=', 'name', 'b']]",
        "['xor', ['=', 'name', 'a']]",
        "['=', 'name']",
        "['=', 'name', 'a', 'b']",
        "['=', 'name', 5]",
        "['=', ['fact'], 'a']",
        "['=', ['fact', 5], 'a']",
        "['=', ['fact', 'a', -1], 'a']",
        "['=', ['fact', 'a', 1.5], 'a']",
        "['=', ['nosuch', 'a'], 'a']",
        "['~', 'name', '(']",
        "['!=', 'name', 'a']",
        "['or', 'name']",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        json_t *rule = quoted(bad[i]);
        struct error err = ERROR_INIT;
        if (rule_check(rule, true, &err)) {
            fail_msg("taken: %s", bad[i]);
        }
        assert_true(error_is(&err, "schema-violation"));
        error_clear(&err);
        json_decref(rule);
    }
    json_t *deep = quoted("['=', 'name', 'a']");
    for (int i = 0; i < RULE_DEPTH_MAX + 1; i++) {
        deep = json_pack("[s, o]", "not", deep);
    }
    assert_false(rule_check(deep, true, NULL));
    json_decref(deep);
}

static void loose_values_become_text(void **state) {
    (void)state;
    json_t *rule = quoted("['and', ['=', ['fact', 'a'], 5], ['=', ['fact', 'b'], true], ['not', ['=', 'name', 1.5]]]");
    assert_false(rule_check(rule, true, NULL));
    assert_true(rule_check(rule, false, NULL));
    assert_json(rule_normalized(rule), quoted("['and', ['=', ['fact', 'a'], '5'], ['=', ['fact', 'b'], 'true'],"
                                              " ['not', ['=', 'name', '1.5']]]"));
    json_decref(rule);
}

static void rules_are_evaluated(void **state) {
    (void)state;
    static const struct {
        const char *rule;
        bool matches;
    } cases[] = {
        {"['=', 'name', 'web1']", true},
        {"['=', 'name', 'web']", false},
        {"['~', 'name', 'eb']", true},
        {"['~', 'name', '^eb']", false},
        {"['=', ['fact', 'os', 'family'], 'Debian']", true},
        {"['=', ['fact', 'disks', 1, 'size'], '20']", true},
        {"['=', ['fact', 'disks', 9, 'size'], '20']", false},
        {"['=', ['fact', 'disks', 'size'], '20']", false},
        {"['=', ['fact', 'virtual'], 'true']", true},
        {"['=', ['fact', 'cpus'], '8']", true},
        {"['=', ['fact', 'cpus'], '8.0']", false},
        {"['=', ['fact', 'load'], '0.25']", true},
        {"['~', ['fact', 'cpus'], '^8$']", true},
        {"['=', ['fact', 'os'], '{}']", false},
        {"['~', ['fact', 'os'], '.*']", false},
        {"['=', ['fact', 'none'], 'null']", false},
        {"['>', ['fact', 'cpus'], '7']", true},
        {"['>', ['fact', 'cpus'], '8']", false},
        {"['>=', ['fact', 'cpus'], '8']", true},
        {"['<', ['fact', 'cpus'], '8.5']", true},
        {"['<=', ['fact', 'version'], '12.10']", true},
        {"['<', ['fact', 'cpus'], 'many']", false},
        {"['>', ['fact', 'os', 'family'], '1']", false},
        {"['=', ['trusted', 'extensions', 'pp_role'], 'web']", true},
        {"['=', ['trusted', 'extensions', '1.3.6.1'], 'x']", true},
        {"['=', 'nodename', 'web1']", false},
        {"['not', ['=', ['fact', 'missing'], 'x']]", true},
        {"['and', ['=', 'name', 'web1'], ['=', ['fact', 'cpus'], '8']]", true},
        {"['and', ['=', 'name', 'web1'], ['=', ['fact', 'cpus'], '9']]", false},
        {"['or', ['=', 'name', 'x'], ['=', ['fact', 'cpus'], '8']]", true},
        {"['or', ['=', 'name', 'x']]", false},
        {"['not', ['or', ['=', 'name', 'x']]]", true},
        {"['~', ['fact', 'as'], '^(a+)+$']", false}, /* stopped by the match limit */
    };
    json_t *node = quoted("{'name': 'web1', 'fact': {'os': {'family': 'Debian'}, 'disks': [{'size': 10}, {'size': 20}],"
                          " 'virtual': true, 'cpus': 8, 'load': 0.25, 'none': null, 'version': '12.1',"
                          " 'as': 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!'},"
                          " 'trusted': {'extensions': {'pp_role': 'web', '1.3.6.1': 'x'}}}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *rule = quoted(cases[i].rule);
        if (rule_matches(rule, node) != cases[i].matches) {
            fail_msg("%s", cases[i].rule);
        }
        json_decref(rule);
    }
    json_decref(node);
}

static void rules_are_explained(void **state) {
    (void)state;
    json_t *node = quoted("{'name': 'web1', 'fact': {'a': 1}, 'trusted': {}}");
    json_t *rule = quoted("['and', ['=', 'name', 'web1'], ['not', ['=', ['fact', 'b'], '1']]]");
    assert_json(rule_explain(rule, node),
                quoted("{'value': true, 'form': ['and',"
                       " {'value': true, 'form': ['=', {'path': 'name', 'value': 'web1'}, 'web1']},"
                       " {'value': true, 'form': ['not',"
                       "   {'value': false, 'form': ['=', {'path': ['fact', 'b'], 'value': null}, '1']}]}]}"));
    json_decref(rule);
    json_decref(node);
}

static void check_pair(json_t *(*change)(const json_t *), const char *from, const char *to) {
    json_t *rule = quoted(from);
    assert_json(change(rule), quoted(to));
    json_decref(rule);
}

static void rules_are_simplified(void **state) {
    (void)state;
    check_pair(rule_simplified, "['and', ['=', 'name', 'a'], ['~', 'name', '.*']]", "['=', 'name', 'a']");
    check_pair(rule_simplified, "['and', ['~', 'name', '.*']]", "['~', 'name', '.*']");
    check_pair(rule_simplified, "['and', ['and', ['=', 'name', 'a'], ['=', 'name', 'b']], ['=', 'name', 'c']]",
               "['and', ['=', 'name', 'a'], ['=', 'name', 'b'], ['=', 'name', 'c']]");
    check_pair(rule_simplified, "['or', ['or', ['=', 'name', 'a']]]", "['=', 'name', 'a']");
    check_pair(rule_simplified, "['or', ['=', 'name', 'a'], ['~', 'name', '.*']]",
               "['or', ['=', 'name', 'a'], ['~', 'name', '.*']]");
    check_pair(rule_simplified, "['not', ['and', ['~', 'name', '.*']]]", "['not', ['~', 'name', '.*']]");
    check_pair(rule_simplified, "['not', ['not', ['=', 'name', 'a']]]", "['not', ['not', ['=', 'name', 'a']]]");
}

static json_t *to_nodes(const json_t *rule) {
    json_t *query = rule_translate(rule, RULE_FORMAT_NODES);
    return query != NULL ? query : json_null();
}

static json_t *to_inventory(const json_t *rule) {
    return rule_translate(rule, RULE_FORMAT_INVENTORY);
}

static void rules_become_node_queries(void **state) {
    (void)state;
    check_pair(to_nodes, "['=', 'name', 'a']", "['=', 'certname', 'a']");
    check_pair(to_nodes, "['=', 'name', '8']", "['=', 'certname', '8']");
    check_pair(to_nodes, "['~', 'name', '^a']", "['~', 'certname', '^a']");
    check_pair(to_nodes, "['=', ['fact', 'virtual'], 'true']",
               "['or', ['=', ['fact', 'virtual'], 'true'], ['=', ['fact', 'virtual'], true]]");
    check_pair(to_nodes, "['=', ['fact', 'cpus'], '8']",
               "['or', ['=', ['fact', 'cpus'], '8'], ['=', ['fact', 'cpus'], 8]]");
    check_pair(to_nodes, "['=', ['fact', 'x'], '1.5']",
               "['or', ['=', ['fact', 'x'], '1.5'], ['=', ['fact', 'x'], 1.5]]");
    check_pair(to_nodes, "['=', ['fact', 'x'], '08']", "['=', ['fact', 'x'], '08']");
    check_pair(to_nodes, "['=', ['fact', 'x'], '8, 9']", "['=', ['fact', 'x'], '8, 9']");
    check_pair(to_nodes, "['=', ['fact', 'x'], 'abc']", "['=', ['fact', 'x'], 'abc']");
    check_pair(to_nodes, "['~', ['fact', 'x'], '8']", "['~', ['fact', 'x'], '8']");
    check_pair(to_nodes, "['>=', ['fact', 'x'], '8']", "['>=', ['fact', 'x'], 8]");
    check_pair(to_nodes, "['<', ['fact', 'x'], '.5']", "['<', ['fact', 'x'], 0.5]");
    check_pair(to_nodes, "['<', ['fact', 'x'], 'many']",
               "['and', ['=', 'certname', 'x'], ['not', ['=', 'certname', 'x']]]");
    check_pair(to_nodes, "['=', ['trusted', 'certname'], 'a']", "['=', 'certname', 'a']");
    check_pair(to_nodes, "['not', ['or', ['=', 'name', 'a'], ['=', 'name', 'b']]]",
               "['not', ['or', ['=', 'certname', 'a'], ['=', 'certname', 'b']]]");
    check_pair(to_nodes, "['=', ['fact', 'os', 'family'], 'a']", "null");
    check_pair(to_nodes, "['=', ['trusted', 'extensions', 'x'], 'a']", "null");
    check_pair(to_nodes, "['and', ['=', 'name', 'a'], ['=', ['fact', 'os', 'family'], 'a']]", "null");
    check_pair(to_nodes, "['=', 'nodename', 'a']", "['and', ['=', 'certname', 'x'], ['not', ['=', 'certname', 'x']]]");
}

static void rules_become_inventory_queries(void **state) {
    (void)state;
    check_pair(to_inventory, "['=', 'name', 'a']", "['=', 'certname', 'a']");
    check_pair(to_inventory, "['=', ['fact', 'os', 'family'], 'Debian']", "['=', 'facts.os.family', 'Debian']");
    check_pair(to_inventory, "['=', ['fact', 'disks', 0, 'size'], 'x']", "['=', 'facts.disks[0].size', 'x']");
    check_pair(to_inventory, "['=', ['fact', 'virtual'], 'true']",
               "['or', ['=', 'facts.virtual', 'true'], ['=', 'facts.virtual', true]]");
}

static void oids_are_quoted(void **state) {
    (void)state;
    json_t *rule = quoted("['~', ['trusted', 'extensions', '1.3.6.1.4.1.34380.1.2.1'], 'x']");
    json_t *query = to_inventory(rule);
    assert_string_equal(json_string_value(json_array_get(query, 1)), "trusted.extensions.\"1.3.6.1.4.1.34380.1.2.1\"");
    json_decref(query);
    json_decref(rule);
}

static json_t *pin_n(const json_t *rule) {
    return rule_pin(json_is_null(rule) ? NULL : rule, "n");
}

static json_t *unpin_n(const json_t *rule) {
    json_t *left = rule_unpin(json_is_null(rule) ? NULL : rule, "n");
    return left != NULL ? left : json_null();
}

static void nodes_are_pinned_and_unpinned(void **state) {
    (void)state;
    static const char *const dynamic = "['~', 'name', 'x']";
    check_pair(pin_n, "null", "['or', ['=', 'name', 'n']]");
    check_pair(pin_n, dynamic, "['or', ['~', 'name', 'x'], ['=', 'name', 'n']]");
    check_pair(pin_n, "['or', ['=', 'name', 'm']]", "['or', ['=', 'name', 'm'], ['=', 'name', 'n']]");
    check_pair(pin_n, "['or', ['=', 'name', 'n']]", "['or', ['=', 'name', 'n']]");
    check_pair(pin_n, "['or', ['~', 'name', 'x'], ['~', 'name', 'y']]",
               "['or', ['or', ['~', 'name', 'x'], ['~', 'name', 'y']], ['=', 'name', 'n']]");
    check_pair(unpin_n, "null", "null");
    check_pair(unpin_n, dynamic, dynamic);
    check_pair(unpin_n, "['or', ['=', 'name', 'n']]", "null");
    check_pair(unpin_n, "['or', ['~', 'name', 'x'], ['=', 'name', 'n']]", dynamic);
    check_pair(unpin_n, "['or', ['=', 'name', 'm'], ['=', 'name', 'n']]", "['or', ['=', 'name', 'm']]");
    check_pair(unpin_n, "['or', ['=', 'name', 'm']]", "['or', ['=', 'name', 'm']]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_rules_are_taken),      cmocka_unit_test(bad_rules_are_refused),
        cmocka_unit_test(loose_values_become_text),  cmocka_unit_test(rules_are_evaluated),
        cmocka_unit_test(rules_are_explained),       cmocka_unit_test(rules_are_simplified),
        cmocka_unit_test(rules_become_node_queries), cmocka_unit_test(rules_become_inventory_queries),
        cmocka_unit_test(oids_are_quoted),           cmocka_unit_test(nodes_are_pinned_and_unpinned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
