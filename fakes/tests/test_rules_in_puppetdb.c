/* A property: the nodes for which a node group's rule holds are those that its translation finds in PuppetDB. Random
 * rules over random facts, in both formats. Each fact has one type, as real facts do. */
#include "base/mem.h"
#include "fakes/classifier/rules.h"
#include "fakes/puppetdb/puppetdb.h"
#include "simulator/world/rng.h"
#include "simulator/world/sim.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { NODES = 60, RULES = 400, DEPTH = 4 };

static const char *const roles[] = {"web", "db", "cache", "true", "8", "x8"};
static const char *const families[] = {"Debian", "RedHat", "Suse"};
static const char *const patterns[] = {"^w", "b$", "a.*e", "[0-9]", "."};

static const char *pick(struct rng *r, const char *const *from, size_t n) {
    return from[rng_below(r, n)];
}

#define PICK(r, from) pick(r, from, sizeof(from) / sizeof(from)[0])

/* {"certname", "facts"} with facts left out at random. */
static json_t *random_node(struct rng *r, size_t i) {
    json_t *facts = json_object();
    if (rng_below(r, 4) != 0) {
        json_set(facts, "role", json_string(PICK(r, roles)));
    }
    if (rng_below(r, 4) != 0) {
        json_set(facts, "cpus", json_integer((json_int_t)rng_below(r, 6) + 6));
    }
    if (rng_below(r, 4) != 0) {
        json_set(facts, "load", json_real((double)rng_below(r, 6) / 2 + 0.25));
    }
    if (rng_below(r, 4) != 0) {
        json_set(facts, "virtual", json_boolean(rng_below(r, 2) != 0));
    }
    if (rng_below(r, 4) != 0) {
        json_set(facts, "os", json_pack("{s:s}", "family", PICK(r, families)));
    }
    if (rng_below(r, 4) != 0) {
        json_set(facts, "disks", json_pack("[{s:I}]", "size", (json_int_t)rng_below(r, 4) * 10));
    }
    char *name = str_printf("%s%zu.lab.example", PICK(r, roles), i);
    json_t *node = json_pack("{s:s, s:o}", "certname", name, "facts", facts);
    mem_free(name);
    return node;
}

static json_t *random_path(struct rng *r, bool numeric, bool text) {
    switch (numeric ? 4 + rng_below(r, 3) : text ? rng_below(r, 3) : rng_below(r, 8)) {
    case 0:
        return json_string("name");
    case 1:
        return json_pack("[s, s]", "fact", "role");
    case 2:
        return json_pack("[s, s, s]", "fact", "os", "family");
    case 3:
        return json_pack("[s, s]", "fact", "virtual");
    case 4:
        return json_pack("[s, s]", "fact", "cpus");
    case 5:
        return json_pack("[s, s]", "fact", "load");
    case 6:
        return json_pack("[s, s, i, s]", "fact", "disks", 0, "size");
    default:
        return json_pack("[s, s]", "fact", "nosuch");
    }
}

static char *random_value(struct rng *r) {
    switch (rng_below(r, 5)) {
    case 0:
        return str_printf("%llu", (unsigned long long)rng_below(r, 12));
    case 1:
        return str_printf("%llu.25", (unsigned long long)rng_below(r, 3));
    case 2:
        return str_dup(rng_below(r, 2) != 0 ? "true" : "false");
    case 3:
        return str_dup(PICK(r, families));
    default:
        return str_dup(PICK(r, roles));
    }
}

static json_t *random_rule(struct rng *r, int depth) {
    static const char *const order[] = {"<", "<=", ">", ">="};
    uint64_t kind = rng_below(r, depth > 0 ? 6 : 3);
    char *value = random_value(r);
    json_t *rule;
    if (kind == 0) {
        rule = json_pack("[s, o, s]", "=", random_path(r, false, false), value);
    } else if (kind == 1) {
        rule = json_pack("[s, o, s]", "~", random_path(r, false, true), PICK(r, patterns));
    } else if (kind == 2) {
        rule = json_pack("[s, o, s]", PICK(r, order), random_path(r, true, false), value);
    } else if (kind == 3) {
        rule = json_pack("[s, o]", "not", random_rule(r, depth - 1));
    } else {
        rule = json_pack("[s]", kind == 4 ? "and" : "or");
        for (uint64_t n = rng_below(r, 3) + 1; n > 0; n--) {
            json_array_append_new(rule, random_rule(r, depth - 1));
        }
    }
    mem_free(value);
    return rule;
}

/* Certnames, in the order of the nodes. */
static json_t *by_evaluation(const json_t *rule, const json_t *nodes) {
    json_t *names = json_object();
    for (size_t i = 0; i < json_array_size(nodes); i++) {
        const json_t *node = json_array_get(nodes, i);
        json_t *input = json_pack("{s:O, s:O, s:{}}", "name", json_object_get(node, "certname"), "fact",
                                  json_object_get(node, "facts"), "trusted");
        if (rule_matches(rule, input)) {
            json_set(names, json_str(node, "certname"), json_true());
        }
        json_decref(input);
    }
    return names;
}

static json_t *by_query(struct fake_puppetdb *db, const char *entity, json_t *condition) {
    struct error err = ERROR_INIT;
    json_t *query = json_pack("[s, s, [s, [s], o]]", "from", entity, "extract", "certname", condition);
    char *text = json_text(query);
    json_t *rows = fake_puppetdb_query(db, span_of(text), &err), *names = json_object();
    if (rows == NULL) {
        fail_msg("%s: %s", text, err.msg);
    }
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_set(names, json_str(json_array_get(rows, i), "certname"), json_true());
    }
    json_decref(rows);
    json_decref(query);
    mem_free(text);
    return names;
}

static void same(const json_t *rule, json_t *evaluated, json_t *queried, const char *entity) {
    if (!json_equal(evaluated, queried)) {
        fail_msg("%s in %s\nholds for %s\nfinds     %s", json_text(rule), entity, json_text(evaluated),
                 json_text(queried));
    }
    json_decref(queried);
}

static void a_rule_and_its_query_select_the_same_nodes(void **state) {
    (void)state;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 7});
    struct rng r = sim_rng(sim, "rules", "test");
    json_t *nodes = json_array();
    for (size_t i = 0; i < NODES; i++) {
        json_array_append_new(nodes, random_node(&r, i));
    }
    json_t *initial = json_pack("{s:O}", "nodes", nodes);
    struct error err = ERROR_INIT;
    struct fake_puppetdb *db =
        fake_puppetdb_new(sim_host(sim, "pdb"), &(struct fake_puppetdb_opts){.state = initial}, &err);
    if (db == NULL) {
        fail_msg("%s", err.msg);
    }
    json_decref(initial);
    size_t translated = 0, selective = 0;
    for (size_t i = 0; i < RULES; i++) {
        json_t *rule = random_rule(&r, DEPTH);
        assert_true(rule_check(rule, true, NULL));
        json_t *simple = rule_simplified(rule);
        json_t *expected = by_evaluation(rule, nodes), *again = by_evaluation(simple, nodes);
        assert_true(json_equal(expected, again));
        same(rule, expected, by_query(db, "inventory", rule_translate(simple, RULE_FORMAT_INVENTORY)), "inventory");
        json_t *on_nodes = rule_translate(simple, RULE_FORMAT_NODES);
        if (on_nodes != NULL) {
            same(rule, expected, by_query(db, "nodes", on_nodes), "nodes");
            translated++;
        }
        selective += json_object_size(expected) > 0 && json_object_size(expected) < NODES;
        json_decref(again);
        json_decref(expected);
        json_decref(simple);
        json_decref(rule);
    }
    assert_true(translated > RULES / 10);
    assert_true(selective > RULES / 4);
    json_decref(nodes);
    fake_puppetdb_free(db);
    sim_free(sim);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_rule_and_its_query_select_the_same_nodes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
