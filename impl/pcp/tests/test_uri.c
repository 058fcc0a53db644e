/* pcp.md §2 */
#include "pcp/uri.h"

#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static bool valid(const char *text) {
    return pcp_uri_parse(span_of(text), NULL);
}

static void uri_schema_accepts_and_rejects_the_samples(void **state) {
    (void)state;
    static const char *const good[] = {
        "pcp:///server", "pcp://x/y", "pcp://bob.example.com/agent", "pcp://*/*", "pcp://localhost:58143/server",
        "pcp://a b/c d"};
    static const char *const bad[] = {"",     "pcp://server", "server",  "pcp://a/b/c", "pcp://a/",   "pcp://",
                                      "pcp:", "PCP://a/b",    "pcp:///", "pcp:///a/",   " pcp://a/b", "xpcp://a/b"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(valid(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(valid(bad[i]));
    }
}

static void split_gives_name_and_type(void **state) {
    (void)state;
    struct pcp_uri u;
    assert_true(pcp_uri_parse(SPAN("pcp://bob.example.com/agent"), &u));
    assert_true(span_eq_cstr(u.name, "bob.example.com"));
    assert_true(span_eq_cstr(u.type, "agent"));
    assert_true(pcp_uri_parse(SPAN("pcp:///server"), &u));
    assert_int_equal(u.name.len, 0);
    char *again = pcp_uri_new(SPAN("bob"), SPAN("agent"));
    assert_string_equal(again, "pcp://bob/agent");
    mem_free(again);
}

static void wildcard_detection(void **state) {
    (void)state;
    assert_true(pcp_uri_is_wildcard(SPAN("pcp://*/agent")));
    assert_true(pcp_uri_is_wildcard(SPAN("pcp://bob/*")));
    assert_true(pcp_uri_is_wildcard(SPAN("pcp://*/*")));
    assert_false(pcp_uri_is_wildcard(SPAN("pcp://bob*/agent")));
    assert_false(pcp_uri_is_wildcard(SPAN("pcp://bob/agent")));
    assert_false(pcp_uri_is_wildcard(SPAN("*")));
}

static void wildcard_matches_component_wise(void **state) {
    (void)state;
    struct span bob = SPAN("pcp://bob/agent");
    assert_true(pcp_uri_matches(SPAN("pcp://*/agent"), bob));
    assert_true(pcp_uri_matches(SPAN("pcp://bob/*"), bob));
    assert_true(pcp_uri_matches(SPAN("pcp://*/*"), bob));
    assert_true(pcp_uri_matches(bob, bob));
    assert_false(pcp_uri_matches(SPAN("pcp://*/controller"), bob));
    assert_false(pcp_uri_matches(SPAN("pcp://b*/agent"), bob));
    assert_false(pcp_uri_matches(SPAN("pcp://bobby/agent"), bob));
}

static void name_comparison_is_exact(void **state) {
    (void)state;
    assert_true(pcp_uri_has_name(SPAN("pcp://a.b/agent"), SPAN("a.b")));
    assert_false(pcp_uri_has_name(SPAN("pcp://axb/agent"), SPAN("a.b"))); /* the dot is no pattern */
    assert_false(pcp_uri_has_name(SPAN("pcp://A.b/agent"), SPAN("a.b")));
    assert_false(pcp_uri_has_name(SPAN("pcp://a.bc/agent"), SPAN("a.b")));
    assert_true(pcp_uri_has_name(SPAN("pcp:///server"), SPAN("")));
    assert_false(pcp_uri_has_name(SPAN("pcp:///server"), SPAN("server")));
}

static void identifiers_are_lenient_uuids(void **state) {
    (void)state;
    assert_true(pcp_id_valid(SPAN("9a0b3c1e-5d42-4b7f-8c11-2f6d3e4a5b60")));
    assert_true(pcp_id_valid(SPAN("BB4B9E6F-82A8-40D5-B086-4326ABE67B53")));
    assert_true(pcp_id_valid(SPAN("1-2-3-4-5")));
    assert_false(pcp_id_valid(SPAN("")));
    assert_false(pcp_id_valid(SPAN("123")));
    assert_false(pcp_id_valid(SPAN("1-2-3-4")));
    assert_false(pcp_id_valid(SPAN("1-2-3-4-")));
    assert_false(pcp_id_valid(SPAN("-1-2-3-4-5")));
    assert_false(pcp_id_valid(SPAN("1-2-3-4-5-6")));
    assert_false(pcp_id_valid(SPAN("1--3-4-5")));
    assert_false(pcp_id_valid(SPAN("g-2-3-4-5")));
    assert_false(pcp_id_valid(SPAN("9a0b3c1e-5d42-4b7f-8c11-2f6d3e4a5b60a")));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uri_schema_accepts_and_rejects_the_samples),
        cmocka_unit_test(split_gives_name_and_type),
        cmocka_unit_test(wildcard_detection),
        cmocka_unit_test(wildcard_matches_component_wise),
        cmocka_unit_test(name_comparison_is_exact),
        cmocka_unit_test(identifiers_are_lenient_uuids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
