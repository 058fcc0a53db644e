/* Queries against a small population, computed by the whole way: text, AST, plan, SQL (puppetdb.md §21). */
#include "base/json.h"
#include "base/mem.h"
#include "bench.h"
#include "simulator/world/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct sim *sim;
    struct fake_puppetdb *p;
};

static int set_up(void **state) {
    struct fixture *f = mem_zalloc(sizeof *f);
    f->sim = sim_new(&(struct sim_opts){.seed = 1});
    json_t *given = json_loads(bench_population, 0, NULL);
    assert_non_null(given);
    struct error err = ERROR_INIT;
    f->p = fake_puppetdb_new(sim_host(f->sim, "pdb"), &(struct fake_puppetdb_opts){.state = given}, &err);
    if (f->p == NULL) {
        fail_msg("%s", err.msg);
    }
    json_decref(given);
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    fake_puppetdb_free(f->p);
    sim_free(f->sim);
    mem_free(f);
    return 0;
}

static json_t *ask(struct fixture *f, const char *query) {
    struct error err = ERROR_INIT;
    json_t *rows = fake_puppetdb_query(f->p, span_of(query), &err);
    if (rows == NULL) {
        fail_msg("%s: %s: %s", query, err.kind, err.msg);
    }
    return rows;
}

static int by_text(const void *a, const void *b) {
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The values of a column, sorted, with blanks between. */
static char *column(const json_t *rows, const char *name) {
    char *values[64];
    size_t i;
    json_t *row;
    json_array_foreach(rows, i, row) {
        json_t *value = json_object_get(row, name);
        values[i] = json_is_string(value) ? str_dup(json_string_value(value)) : json_text(value);
    }
    qsort(values, i, sizeof values[0], by_text);
    struct buf all = BUF_INIT;
    for (size_t k = 0; k < i; k++) {
        buf_printf(&all, "%s%s", k > 0 ? " " : "", values[k]);
        mem_free(values[k]);
    }
    return buf_take(&all);
}

static const struct {
    const char *query, *certnames;
} finds[] = {
    {"nodes{}", "a1 a2 b1"},
    {"nodes[certname]{ certname ~ \"^a\" }", "a1 a2"},
    {"inventory[certname]{ facts.os.family = \"Debian\" }", "a1 a2"},
    {"inventory[certname]{ facts.processors.count > 2 }", "a2 b1"},
    {"inventory[certname]{ facts.processors.count >= 4 and facts.processors.count <= 4 }", "b1"},
    {"inventory[certname]{ facts.processors.count = 8 }", "a2"},
    {"inventory[certname]{ facts.processors.count = \"8\" }", ""},
    {"inventory[certname]{ facts.ratio = 1.5 }", "a1"},
    {"inventory[certname]{ facts.ratio > 1 }", "a1"},
    {"inventory[certname]{ !(facts.os.family = \"Debian\") }", "b1"},
    {"inventory[certname]{ !(facts.tier = \"gold\") }", "a2 b1"},
    {"inventory[certname]{ facts.os.family ~ \"^(Deb|Suse)\" }", "a1 a2"},
    {"inventory[certname]{ !(facts.tier ~ \"g\") }", "a2 b1"},
    {"inventory[certname]{ facts.disks[1].size = 20 }", "a1"},
    {"inventory[certname]{ facts.disks[0].size = 20 }", ""},
    {"inventory[certname]{ facts.\"a.b\".c = 1 }", "a1"},
    {"inventory[certname]{ facts.a.b.c = 1 }", ""},
    {"inventory[certname]{ facts.match(\"o.\").family = \"RedHat\" }", "b1"},
    {"inventory[certname]{ trusted.extensions.pp_role = \"web\" }", "a1"},
    {"inventory[certname]{ facts.virtual = true }", "b1"},
    {"inventory[certname]{ facts.tier in [\"gold\", \"silver\"] }", "a1"},
    {"inventory[certname]{ facts.nosuch is null }", ""},
    {"nodes[certname]{ facts { name = \"tier\" and value = \"gold\" } }", "a1"},
    {"nodes[certname]{ !facts { name = \"tier\" } }", "a2 b1"},
    {"nodes[certname]{ facts {} }", "a1 a2 b1"},
    {"nodes[certname]{ resources { type = \"Class\" and title = \"Nginx\" } }", "a1"},
    {"nodes[certname]{ reports { status = \"failed\" } }", "a2"},
    {"facts[certname]{ name = \"virtual\" and value = true }", "b1"},
    {"facts[certname]{ name = \"virtual\" and value = \"true\" }", ""},
    {"facts[certname]{ name = \"tier\" and value ~ \"^go\" }", "a1"},
    {"facts[certname]{ name = \"tier\" and value in [\"gold\"] }", "a1"},
    {"nodes[certname]{ node_state = \"inactive\" }", "z9"},
    {"nodes[certname]{ node_state = \"any\" }", "a1 a2 b1 z9"},
    {"nodes[certname]{ deactivated is not null }", ""},
    {"nodes[certname]{ certname in [\"a1\", \"z9\"] }", "a1"},
    {"nodes[certname]{ certname in inventory[certname]{ environment = \"staging\" } }", "a2"},
    {"nodes[certname]{ certname in nodes[certname]{ order by certname desc limit 2 } }", "b1"},
    {"facts[certname]{ [certname, name] in fact_contents[certname, name]{ value = 2 } }", "a1"},
    {"fact_contents[certname]{ path ~> [\"processors\", \"co.*\"] and value >= 4 }", "a2 b1"},
    {"fact_contents[certname]{ path ~> [\"disks\", \".*\", \"size\"] and value > 10 }", "a1"},
    {"fact_contents[certname]{ path = [\"os\", \"family\"] and value = \"RedHat\" }", "b1"},
    {"nodes[certname]{ order by certname desc limit 1 }", "b1"},
    {"nodes[certname]{ cached_catalog_status != \"not_used\" }", ""},
    {"nodes[certname]{ cached_catalog_status is null }", "a1 b1"},
    {"nodes[certname]{ latest_report_status = \"changed\" }", "a2"},
    {"nodes[certname]{ report_timestamp > \"2025-12-31\" }", "a2"},
    {"[\"from\",\"nodes\",[\"extract\",\"certname\",[\"=\",[\"fact\",\"tier\"],\"gold\"]]]", "a1"},
    {"[\"from\",\"nodes\",[\"not\",[\"=\",[\"fact\",\"tier\"],\"gold\"]]]", "a2 b1"},
    {"[\"from\",\"nodes\",[\"in\",[\"fact\",\"tier\"],[\"array\",[\"gold\",\"x\"]]]]", "a1"},
    {"[\"from\",\"nodes\",[\"=\",[\"node\",\"active\"],false]]", "z9"},
    {"[\"from\",\"nodes\",[\"OR\",[\"=\",\"certname\",\"a1\"],[\"=\",\"certname\",\"b1\"]]]", "a1 b1"},
    {"[\"from\",\"nodes\",[\"in\",\"certname\",[\"extract\",\"certname\",[\"select_facts\",[\"=\",\"value\",8]]]]]",
     ""},
    {"[\"from\",\"nodes\",[\"in\",\"certname\",[\"extract\",\"certname\",[\"select_fact_contents\",[\"=\",\"value\",8]]"
     "]]]",
     "a2"},
    {"[\"from\",\"resources\",[\"extract\",\"certname\",[\"=\",\"tag\",\"NGINX\"]]]", "a1"},
    {"[\"from\",\"resources\",[\"extract\",\"certname\",[\"=\",[\"parameter\",\"ensure\"],\"present\"]]]", "a1"},
    {"resources[certname]{ parameters.port = 80 }", "a1"},
    {"resources[certname]{ parameters.port > 100 }", ""},
    {"resources[certname]{ parameters.ensure ~ \"^pre\" }", "a1"},
    {"resources[certname]{ tag ~ \"^ngi\" }", "a1"},
    {"resources[certname]{ exported = false }", "a1"},
    {"package_inventory[certname]{ package_name = \"openssl\" }", "a1"},
    {"reports[certname]{ latest_report? = true }", "a2"},
    {"reports[certname]{}", "a2 a2"},
    {"reports[certname]{ type = \"any\" }", "a2 a2 b1"},
    {"reports[certname]{ type = \"plan\" }", "b1"},
    {"reports[certname]{ job_id = \"12\" and events { resource_type = \"File\" } }", "a2"},
    {"events[certname]{ containing_class = \"Nginx\" and new_value = \"file\" }", "a2"},
    {"events[certname]{ latest_report? = true }", "a2"},
    {"catalogs[certname]{}", "a1 a2 b1"},
    {"factsets[certname]{ producer = \"pp.lab.example\" }", "a1 a2 b1"},
};

static void test_finds(void **state) {
    for (size_t i = 0; i < sizeof finds / sizeof finds[0]; i++) {
        json_t *rows = ask(*state, finds[i].query);
        char *names = column(rows, "certname");
        if (strcmp(names, finds[i].certnames) != 0) {
            fail_msg("%s: found '%s', not '%s'", finds[i].query, names, finds[i].certnames);
        }
        mem_free(names);
        json_decref(rows);
    }
}

static const struct {
    const char *query, *answer;
} answers[] = {
    {"nodes[count()]{ catalog_environment = \"production\" }", "[{\"count\":2}]"},
    {"nodes[catalog_environment, count()]{ group by catalog_environment }",
     "[{\"count\":2,\"catalog_environment\":\"production\"},{\"count\":1,\"catalog_environment\":\"staging\"}]"},
    {"facts[avg(value), sum(value), min(value), max(value), count(value)]{ name = \"ratio\" }",
     "[{\"avg\":1.5,\"sum\":1.5,\"min\":1.5,\"max\":1.5,\"count\":1}]"},
    {"facts[avg(value)]{ name = \"nosuch\" }", "[{\"avg\":null}]"},
    {"reports[to_string(end_time, \"YYYY-MM\"), count()]{ group by to_string(end_time, \"YYYY-MM\") }",
     "[{\"to_string\":\"2025-12\",\"count\":1},{\"to_string\":\"2026-01\",\"count\":1}]"},
    {"inventory[certname, facts.os.family, trusted.extensions.pp_role]{ certname = \"a1\" }",
     "[{\"certname\":\"a1\",\"facts.os.family\":\"Debian\",\"trusted.extensions.pp_role\":\"web\"}]"},
    {"inventory[facts.os.family, count()]{ group by facts.os.family }",
     "[{\"count\":2,\"facts.os.family\":\"Debian\"},{\"count\":1,\"facts.os.family\":\"RedHat\"}]"},
    {"resources[title, parameters.port, parameters.none]{}",
     "[{\"title\":\"Nginx\",\"parameters.port\":80,\"parameters.none\":null}]"},
    {"fact_paths{ path ~> [\"disks\", \".*\", \".*\"] order by path }",
     "[{\"type\":\"integer\",\"path\":[\"disks\",0,\"size\"],\"name\":\"disks\"},{\"type\":\"integer\",\"path\":["
     "\"disks\",1,"
     "\"size\"],\"name\":\"disks\"}]"},
    {"environments[name]{ facts { name = \"tier\" } }", "[{\"name\":\"production\"}]"},
    {"packages{}", "[{\"package_name\":\"openssl\",\"version\":\"3.0\",\"provider\":\"apt\"}]"},
    {"[\"from\",\"reports\",[\"extract\",[\"certname\"],[\"=\",[\"function\",\"to_string\",\"end_time\",\"YYYY\"],"
     "\"2025\"]]]",
     "[{\"certname\":\"a2\"}]"},
    {"[\"from\",\"fact_names\"]", NULL},
    {"[\"from\",\"producers\"]", NULL},
    {"[\"from\",\"nodes\",[\"extract\",[\"certname\"]],[\"order_by\",[[\"certname\",\"desc\"]]],[\"limit\",1],["
     "\"offset\",1]]",
     "[{\"certname\":\"a2\"}]"},
    {"events[resource_title, status, new_value, old_value, containment_path, timestamp]{}",
     "[{\"resource_title\":\"/"
     "x\",\"status\":\"success\",\"new_value\":\"file\",\"old_value\":\"absent\",\"containment_path\":"
     "[\"Stage[main]\",\"Nginx\",\"File[/x]\"],\"timestamp\":\"2026-01-01T09:59:01.000Z\"}]"},
};

static void test_answers(void **state) {
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        struct error err = ERROR_INIT;
        struct fixture *f = *state;
        json_t *rows = fake_puppetdb_query(f->p, span_of(answers[i].query), &err);
        if (answers[i].answer == NULL) { /* certnames are asked of what has none */
            assert_null(rows);
            error_clear(&err);
            continue;
        }
        if (rows == NULL) {
            fail_msg("%s: %s", answers[i].query, err.msg);
        }
        json_t *expected = json_loads(answers[i].answer, 0, NULL);
        char *got = json_text(rows), *wanted = json_text(expected);
        if (!json_equal(rows, expected)) {
            fail_msg("%s: got %s, not %s", answers[i].query, got, wanted);
        }
        mem_free(got);
        mem_free(wanted);
        json_decref(rows);
        json_decref(expected);
    }
}

static const struct {
    const char *query, *kind, *begins;
} refused[] = {
    {"nodes { shoe = 1 }", "pql/bad-query", "'shoe' is not a queryable object for nodes. Known queryable objects are "},
    {"nodes[shoe] {}", "pql/bad-query", "Can't extract unknown 'nodes' field 'shoe'. Acceptable fields are "},
    {"nodes[shoe, sock] {}", "pql/bad-query", "Can't extract unknown 'nodes' fields 'shoe' and 'sock'."},
    {"nodes { certname > \"a\" }", "pql/bad-query", "Query operators >,>=,<,<= are not allowed on field certname"},
    {"nodes { certname ~> [\"a\"] }", "pql/bad-query", "Query operator ~> is not allowed on field certname"},
    {"nodes { report_timestamp > \"soon\" }", "pql/bad-query", "'soon' is not a valid timestamp value"},
    {"packages { nodes { certname = \"a\" } }", "pql/bad-query", "No implicit relationship for entity 'nodes'"},
    {"nodes { facts { limit 1 } }", "pql/bad-query", "An implicit subquery takes a filter only"},
    {"[\"from\",\"shoes\"]", "pql/bad-query", "Invalid entity 'shoes' in query"},
    {"[\"=\",\"certname\",\"a\"]", "pql/bad-query", "Your initial query must be of the form"},
    {"[\"from\",\"environments\",\"x\"]", "pql/bad-query",
     "Your `from` query accepts an optional query only as a second argument."},
    {"[\"from\",\"nodes\",[\"not\"]]", "pql/bad-query", "'not' takes exactly one argument, but 0 were supplied"},
    {"[\"from\",\"nodes\",[\"or\"]]", "pql/bad-query", "'or' takes at least one argument, but none were supplied"},
    {"[\"from\",\"nodes\",[]]", "pql/bad-query", "[] is not well-formed: queries must contain at least one operator"},
    {"[\"from\",\"nodes\",[\"=\",\"certname\"]]", "pql/bad-query", "= requires exactly two arguments"},
    {"[\"from\",\"nodes\",[\"~\",\"certname\",{}]]", "pql/bad-query", "Invalid ~ clause"},
    {"[\"from\",\"nodes\",[\"<>\",\"certname\",\"x\"]]", "pql/bad-query", "No implementation of method"},
    {"[\"from\",\"nodes\",[\"extract\",\"certname\",[\"~~\",\"certname\",\"x\"]]]", "pql/bad-query",
     "[\"~~\" \"certname\" \"x\"] is not a valid expression for \"extract\""},
    {"[\"from\",\"nodes\",[\"in\",\"certname\",[\"extract\",\"certname\",[\"select_shoes\",[\"=\",\"a\",1]]]]]",
     "pql/bad-query", "Unsupported subquery `select_shoes`"},
    {"[\"from\",\"nodes\",[\"in\",\"certname\",[\"extract\",\"certname\",[\"select-fact-contents\",[\"=\",\"a\",1]]]]]",
     "pql/bad-query", "Unsupported subquery `select-fact-contents` - did you mean `select_fact_contents`?"},
    {"[\"from\",\"nodes\",[\"in\",\"shoe\",[\"from\",\"facts\",[\"extract\",\"name\"]]]]", "pql/bad-query",
     "Can't match on unknown 'nodes' field 'shoe' for 'in'. Acceptable fields are "},
    {"[\"from\",\"nodes\",[\"in\",\"certname\",[\"array\",\"x\"]]]", "pql/bad-query",
     "Operator 'array' requires a vector argument"},
    {"[\"from\",\"resources\",[\"in\",\"tags\",[\"array\",[\"x\"]]]]", "pql/bad-query",
     "Operator in...array is not supported on array types"},
    {"[\"from\",\"nodes\",[\">\",[\"fact\",\"a\"],\"x\"]]", "pql/bad-query", "Operator '>' not allowed on value 'x'"},
    {"[\"from\",\"nodes\",[\"in\",[\"fact\",\"a\"],[\"array\",[\"x\",1]]]]", "pql/bad-query",
     "All values in 'array' must be the same type."},
    {"[\"from\",\"resources\",[\"=\",\"line\",\"x\"]]", "pql/bad-query",
     "Argument \"x\" is incompatible with numeric field \"line\"."},
    {"[\"from\",\"facts\",[\">\",\"value\",\"x\"]]", "pql/bad-query",
     "Argument \"x\" and operator \">\" have incompatible types."},
    {"[\"from\",\"nodes\",[\"extract\",[\"certname\"],[\"group_by\",\"shoe\"]]]", "pql/bad-query",
     "\"shoe\" is niether a valid column name nor function name"},
    {"[\"from\",\"nodes\",[\"limit\",1],[\"limit\",2]]", "pql/bad-query", "Multiple 'limit' clauses are not permitted"},
    {"[\"from\",\"nodes\",[\"limit\"]]", "pql/bad-query", "Received 'limit' clause without an argument"},
    {"[\"from\",\"nodes\",[\"order_by\",[\"shoe\"]]]", "pql/bad-query",
     "Unrecognized column 'shoe' specified in :order_by; Supported columns are "},
    {"nodes[certname, count()]{}", "pql/refused",
     "ERROR: column \"certnames.certname\" must appear in the GROUP BY clause or be used in an aggregate function"},
    {"nodes{ certname = 5 }", "pql/refused", "ERROR: operator does not exist: text = bigint"},
    {"nodes { certname ~ \"(\" }", "puppetdb/regex", "ERROR: invalid regular expression: parentheses () not balanced"},
    {"nodes { certname ~ \"[a\" }", "puppetdb/regex", "ERROR: invalid regular expression: brackets [] not balanced"},
    {"nodes { certname ~ \"*a\" }", "puppetdb/regex", "ERROR: invalid regular expression: quantifier operand invalid"},
    {"inventory { facts.x ~ \"a{2,1}\" }", "puppetdb/regex",
     "ERROR: invalid regular expression: invalid repetition count(s)"},
    {"[\"from\",\"nodes\"", "pql/json", "Json parse error at line 1, column 16:"},
    {"[\"from\",\"nodes\"] [1]", "pql/json", "Only one query may be sent in a request."},
};

static void test_refused(void **state) {
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct error err = ERROR_INIT;
        json_t *rows = fake_puppetdb_query(f->p, span_of(refused[i].query), &err);
        if (rows != NULL) {
            fail_msg("answered: %s", refused[i].query);
        }
        if (strcmp(err.kind, refused[i].kind) != 0 ||
            strncmp(err.msg, refused[i].begins, strlen(refused[i].begins)) != 0) {
            fail_msg("%s: %s: %s", refused[i].query, err.kind, err.msg);
        }
        error_clear(&err);
    }
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_finds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
