/* PQL: what parses and into what, what does not and where, and that the text for people is PuppetDB's. */
#include "base/json.h"
#include "base/mem.h"
#include "pql/pql.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct {
    const char *pql, *ast;
} parses[] = {
    {"nodes{}", "[\"from\",\"nodes\"]"},
    {"nodes[]{}", "[\"from\",\"nodes\",[\"extract\",[]]]"},
    {"nodes [ certname ] { }", "[\"from\",\"nodes\",[\"extract\",[\"certname\"]]]"},
    {" nodes [ certname ] { } ", "[\"from\",\"nodes\",[\"extract\",[\"certname\"]]]"},
    {"nodes{certname in[\"a\"]}", "[\"from\",\"nodes\",[\"in\",\"certname\",[\"array\",[\"a\"]]]]"},
    {"nodes{a=1limit 1}", "[\"from\",\"nodes\",[\"=\",\"a\",1],[\"limit\",1]]"},
    {"nodes{limit 1offset 2}", "[\"from\",\"nodes\",[\"limit\",1],[\"offset\",2]]"},
    {"nodes{a=\"x\"limit 1}", "[\"from\",\"nodes\",[\"=\",\"a\",\"x\"],[\"limit\",1]]"},
    {"nodes{!a = 1 and b = 2}", "[\"from\",\"nodes\",[\"and\",[\"not\",[\"=\",\"a\",1]],[\"=\",\"b\",2]]]"},
    {"nodes{a = 1 or b = 2 or c = 3 and d = 4}",
     "[\"from\",\"nodes\",[\"or\",[\"=\",\"a\",1],[\"=\",\"b\",2],[\"and\",[\"=\",\"c\",3],[\"=\",\"d\",4]]]]"},
    {"nodes { order by a , b desc limit 1 }",
     "[\"from\",\"nodes\",[\"order_by\",[\"a\",[\"b\",\"desc\"]]],[\"limit\",1]]"},
    {"nodes { facts {} }", "[\"from\",\"nodes\",[\"subquery\",\"facts\"]]"},
    {"nodes { facts { limit 1 } }", "[\"from\",\"nodes\",[\"subquery\",\"facts\",[\"limit\",1]]]"},
    {"nodes { a = 1.0e5 }", "[\"from\",\"nodes\",[\"=\",\"a\",100000.0]]"},
    {"nodes { a = true }", "[\"from\",\"nodes\",[\"=\",\"a\",true]]"},
    {"nodes { a = -1 and b = true and c = false }",
     "[\"from\",\"nodes\",[\"and\",[\"=\",\"a\",-1],[\"=\",\"b\",true],[\"=\",\"c\",false]]]"},
    {"reports { latest_report? = true and status = \"failed\" }",
     "[\"from\",\"reports\",[\"and\",[\"=\",\"latest_report?\",true],[\"=\",\"status\",\"failed\"]]]"},
    {"inventory { facts.disks[0].size > 5 }", "[\"from\",\"inventory\",[\">\",\"facts.disks[0].size\",5]]"},
    {"inventory { facts.\"a.b\" = \"c\" }", "[\"from\",\"inventory\",[\"=\",\"facts.\\\"a.b\\\"\",\"c\"]]"},
    {"inventory { facts.x.match(\"y.*\") = 1 }", "[\"from\",\"inventory\",[\"=\",\"facts.x.match(\\\"y.*\\\")\",1]]"},
    {"inventory[facts.x.match(\"y.*\")]{group by facts.x.match(\"y.*\")}",
     "[\"from\",\"inventory\",[\"extract\",[\"facts.x.match(\\\"y.*\\\")\"],[\"group_by\",\"facts.x.match(\\\"y.*\\\")"
     "\"]]]"},
    {"nodes { trusted.extensions.pp_role = 'x' }", "[\"from\",\"nodes\",[\"=\",\"trusted.extensions.pp_role\",\"x\"]]"},
    {"resources { parameters.ensure = \"x\" }", "[\"from\",\"resources\",[\"=\",\"parameters.ensure\",\"x\"]]"},
    {"reports[count(), to_string(receive_time, \"DAY\")]{group by to_string(receive_time, \"DAY\")}",
     "[\"from\",\"reports\",[\"extract\",[[\"function\",\"count\"],[\"function\",\"to_string\",\"receive_time\","
     "\"DAY\"]],"
     "[\"group_by\",[\"function\",\"to_string\",\"receive_time\",\"DAY\"]]]]"},
    {"nodes[a]{ b != 1 and c !~ 'd' group by a }", "[\"from\",\"nodes\",[\"extract\",[\"a\"],[\"and\",[\"not\",[\"=\","
                                                   "\"b\",1]],[\"not\",[\"~\",\"c\",\"d\"]]],[\"group_by\",\"a\"]]]"},
    {"nodes{a is null or b is not null}",
     "[\"from\",\"nodes\",[\"or\",[\"null?\",\"a\",true],[\"null?\",\"b\",false]]]"},
    {"nodes{[a,b] in facts[x,y]{c = 1 limit 3}}", "[\"from\",\"nodes\",[\"in\",[\"a\",\"b\"],[\"from\",\"facts\",["
                                                  "\"extract\",[\"x\",\"y\"],[\"=\",\"c\",1]],[\"limit\",3]]]]"},
    {"fact_contents{path ~> [\"a\",\".*\"] and path = [\"a\",1,[\"b\"]]}",
     "[\"from\",\"fact_contents\",[\"and\",[\"~>\",\"path\",[\"a\",\".*\"]],[\"=\",\"path\",[\"a\",1,[\"b\"]]]]]"},
    {"nodes{a = \"q\\\"\\u00fc\\ud83d\\ude00\\n\" and b = 'it\\'s \\d'}",
     "[\"from\",\"nodes\",[\"and\",[\"=\",\"a\",\"q\\\"\\u00fc\\ud83d\\ude00\\n\"],[\"=\",\"b\",\"it's \\\\d\"]]]"},
    {"nodes{a in nodes[b]{} and c = 1}",
     "[\"from\",\"nodes\",[\"and\",[\"in\",\"a\",[\"from\",\"nodes\",[\"extract\",[\"b\"]]]],[\"=\",\"c\",1]]]"},
    {"nodes{facts = 1}", "[\"from\",\"nodes\",[\"=\",\"facts\",1]]"},
    {"nodes{limit = 1 limit 2}", "[\"from\",\"nodes\",[\"=\",\"limit\",1],[\"limit\",2]]"},
    {"nodes[count]{}", "[\"from\",\"nodes\",[\"extract\",[\"count\"]]]"},
};

static void test_parses(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof parses / sizeof parses[0]; i++) {
        struct error err = ERROR_INIT;
        json_t *ast = pql_parse(span_of(parses[i].pql), &err);
        if (ast == NULL) {
            fail_msg("%s: %s", parses[i].pql, err.msg);
        }
        json_t *expected = json_loads(parses[i].ast, 0, NULL);
        char *got = json_text(ast), *wanted = json_text(expected);
        assert_string_equal(got, wanted);
        assert_null(pql_explain(span_of(parses[i].pql)));
        mem_free(got);
        mem_free(wanted);
        json_decref(ast);
        json_decref(expected);
    }
}

static const struct {
    const char *pql;
    unsigned line, column;
} refused[] = {
    {"", 1, 1},
    {"   ", 1, 4},
    {"Nodes {}", 1, 1},
    {"producers {}", 1, 1},
    {"fact_names {}", 1, 1},
    {"event_counts{}", 1, 1},
    {"nodes", 1, 6},
    {"nodes {", 1, 8},
    {"nodes[certname]", 1, 16},
    {"nodes[*]{}", 1, 7},
    {"nodes { certname = }", 1, 20},
    {"nodes { a=\"1\"and b=\"2\" }", 1, 14},
    {"nodes { (a = 1)and (b = 2) }", 1, 16},
    {"nodes { (a = 1) and(b = 2) }", 1, 20},
    {"nodes { a is  null }", 1, 11},
    {"nodes { a = 1 group by b limit 1 }", 1, 26},
    {"nodes { limit 1 group by a }", 1, 17},
    {"nodes { a = .5 }", 1, 13},
    {"nodes { a = +1 }", 1, 13},
    {"nodes { a = 1e5 }", 1, 14},
    {"nodes { a = [] }", 1, 14},
    {"nodes { a in [] }", 1, 15},
    {"nodes { order by description }", 1, 18},
    {"nodes[certname] { resources[certname] { title = \"x\" } }", 1, 28},
    {"fact_contents { path ~> [\"a\", 1] }", 1, 31},
    {"inventory { facts.\"a.b\"=1 }", 1, 19},
    {"inventory { facts.\"a.b\"=\"c\" }", 1, 29},
    {"nodes{not a = 1}", 1, 11},
    {"nodes{a == 1}", 1, 10},
    {"nodes{a = 1 AND b = 2}", 1, 13},
    {"nodes{} # comment", 1, 8},
    {"nodes{a = 'x}", 1, 14},
    {"nodes{\n a = \n }", 3, 2},
    {"nodes{a='\xc3\xbc\xf0\x9f\x98\x80' b}", 1, 15},
};

static void test_refused(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct error err = ERROR_INIT;
        json_t *ast = pql_parse(span_of(refused[i].pql), &err);
        if (ast != NULL) {
            fail_msg("accepted: %s", refused[i].pql);
        }
        assert_true(error_is(&err, "pql/syntax"));
        char *start = str_printf("PQL parse error at line %u, column %u:\n\n", refused[i].line, refused[i].column);
        if (strncmp(err.msg, start, strlen(start)) != 0) {
            fail_msg("%s: %s", refused[i].pql, err.msg);
        }
        mem_free(start);
        error_clear(&err);
    }
}

static void expect_text(const char *pql, const char *kind, const char *text) {
    struct error err = ERROR_INIT;
    assert_null(pql_parse(span_of(pql), &err));
    assert_string_equal(err.msg, text);
    assert_string_equal(err.kind, kind);
    error_clear(&err);
}

/* Checked against the reference grammar run by its own parser library. */
static void test_expectations(void **state) {
    (void)state;
    expect_text("nodes{a ~> \"a\"}", "pql/syntax",
                "PQL parse error at line 1, column 12:\n\nnodes{a ~> \"a\"}\n           ^\n\nExpected:\n[\n");
    expect_text("nodes{} x", "pql/syntax",
                "PQL parse error at line 1, column 8:\n\nnodes{} x\n       ^\n\nExpected one of:\n\n"
                "#\"\\s+\" (followed by end-of-string):end-of-string\n");
    expect_text("nodes{order by asc}", "pql/syntax",
                "PQL parse error at line 1, column 16:\n\nnodes{order by asc}\n               ^\n\nExpected one of:\n\n"
                "desc\nNOT \"asc\" | \"desc\"\n");
    expect_text("nodes{facts.[}", "pql/syntax",
                "PQL parse error at line 1, column 13:\n\nnodes{facts.[}\n            ^\n\nExpected one of:\n\n"
                "#\"match\\(.*?\\)\"\n#\"[^\\s\\.\\\",\\[\\]!<=>~]+(\\[\\d+\\])?\"\n#\"\\\".*?\\\"(?=\\.|\\s)\"\n");
    expect_text("nodes{a=1.5e}", "pql/syntax",
                "PQL parse error at line 1, column 13:\n\nnodes{a=1.5e}\n            ^\n\nExpected one of:\n\n"
                "#\"[0-9]+\"\n+\n-\n");
    expect_text(
        "", "pql/syntax",
        "PQL parse error at line 1, column 1:\n\nnull\n^\n\nExpected one of:\n\nevents\nedges\ninventory\n"
        "fact_contents\nfact_paths\nfactsets\nenvironments\nnodes\nresources\npackage_inventory\npackages\ncatalogs\n"
        "reports\nfacts\n#\"\\s+\"\n");
}

static void test_values_that_cannot_be_read(void **state) {
    (void)state;
    expect_text("nodes{a = 99999999999999999999}", "pql/number", "For input string: \"99999999999999999999\"");
    expect_text("nodes{certname ~ \"\\d\"}", "pql/escape",
                "Unrecognized character escape 'd' (code 100)\n at [Source: (StringReader); line: 1, column: 4]");
    expect_text(
        "nodes{a = \"\\u00g0\"}", "pql/escape",
        "Unexpected character ('g' (code 103)): expected a hex-digit for character escape sequence\n at [Source: "
        "(StringReader); line: 1, column: 7]");
    expect_text("nodes{facts{a = 1 limit 2}}", "pql/subquery",
                "An implicit subquery takes a filter only: facts{a = 1 limit 2}");
    /* where the text is wrong as well, the grammar speaks */
    struct error err = ERROR_INIT;
    assert_null(pql_parse(SPAN("nodes{certname ~ \"\\d\""), &err));
    assert_string_equal(err.kind, "pql/syntax");
    error_clear(&err);
    assert_null(pql_parse(SPAN("nodes{a = \"\xff\"}"), &err));
    assert_string_equal(err.kind, "pql/syntax");
    error_clear(&err);
}

static struct span nested(struct buf *b, const char *head, const char *open, int count, const char *tail) {
    buf_clear(b);
    buf_append_cstr(b, head);
    for (int i = 0; i < count; i++) {
        buf_append_cstr(b, open);
    }
    buf_append_cstr(b, tail);
    return buf_span(b);
}

static void test_depth_is_bounded(void **state) {
    (void)state;
    static const char *const opening[] = {"(", "!", "facts{", "a in facts{"};
    for (size_t i = 0; i < 4; i++) {
        struct buf b = BUF_INIT;
        struct error err = ERROR_INIT;
        assert_null(pql_parse(nested(&b, "nodes{", opening[i], 100000, ""), &err));
        assert_string_equal(err.kind, "pql/depth");
        error_clear(&err);
        assert_null(pql_parse(nested(&b, "nodes{", opening[i], 60, "a = 1"), &err));
        assert_true(error_is_set(&err));
        error_clear(&err);
        buf_free(&b);
    }
    struct buf b = BUF_INIT;
    struct error err = ERROR_INIT;
    assert_null(pql_parse(nested(&b, "nodes{a=", "[", 100000, ""), &err));
    assert_string_equal(err.kind, "pql/depth");
    error_clear(&err);
    buf_free(&b);
}

/* A list as long as an orchestrator sends it. */
static void test_long_lists(void **state) {
    (void)state;
    struct buf b = BUF_INIT;
    buf_append_cstr(&b, "nodes[certname]{certname in [");
    for (int i = 0; i < 20000; i++) {
        buf_printf(&b, "%s\"node%06d.example.com\"", i > 0 ? "," : "", i);
    }
    buf_append_cstr(&b, "]}");
    struct error err = ERROR_INIT;
    json_t *ast = pql_parse(buf_span(&b), &err);
    assert_non_null(ast);
    assert_int_equal(json_array_size(json_array_get(json_array_get(json_array_get(json_array_get(ast, 2), 2), 2), 1)),
                     20000);
    json_decref(ast);
    buf_free(&b);
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parses),           cmocka_unit_test(test_refused),
        cmocka_unit_test(test_expectations),     cmocka_unit_test(test_values_that_cannot_be_read),
        cmocka_unit_test(test_depth_is_bounded), cmocka_unit_test(test_long_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
