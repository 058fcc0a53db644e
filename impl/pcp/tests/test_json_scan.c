#include "pcp/json_scan.h"

#include "base/json.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void accepts_what_is_json(void **state) {
    (void)state;
    static const char *const good[] = {"{}",
                                       "[]",
                                       "null",
                                       "true",
                                       "false",
                                       "0",
                                       "-0",
                                       "-0.0",
                                       "1e3",
                                       "1E-7",
                                       "1.5e+10",
                                       "12345678901234567890123",
                                       "1e400",
                                       "\"\"",
                                       "\"a\\u0000b\"",
                                       "\"\\ud83d\\ude00\"",
                                       "[1,[2,{\"a\":[]}],\"x\"]",
                                       "{\"a\":1,\"a\":2,\"\":{}}",
                                       " [ 1 , 2 ] ",
                                       "\"\xc3\xa9 \xf0\x9f\x98\x80 long enough for the eight byte steps\""};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct span value = json_scan_value(span_of(good[i]));
        assert_true(value.len != 0);
        assert_true(span_eq(value, span_trim(span_of(good[i]))));
    }
}

static void refuses_what_is_not(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      " ",
                                      "nul",
                                      "truex",
                                      "01",
                                      "-",
                                      "1.",
                                      ".5",
                                      "1e",
                                      "+1",
                                      "\"",
                                      "\"\\",
                                      "\"\\x\"",
                                      "\"\\u12g4\"",
                                      "\"\\ud800\"",
                                      "\"\\ud800\\u0041\"",
                                      "\"\\udc00\"",
                                      "\"a\nb\"",
                                      "[",
                                      "[1",
                                      "[1,",
                                      "[1,]",
                                      "[,1]",
                                      "{\"a\"}",
                                      "{\"a\":}",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{1:2}",
                                      "[1}",
                                      "{\"a\":1]",
                                      "\"\xff\"",
                                      "\"\xc3\"",
                                      "\"\xed\xa0\x80\"",
                                      "'a'",
                                      "}",
                                      "]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(json_scan_value(span_of(bad[i])).len, 0);
    }
}

static void what_follows_the_value_is_ignored(void **state) {
    (void)state;
    assert_true(span_eq_cstr(json_scan_value(SPAN("{} trailing garbage")), "{}"));
    assert_true(span_eq_cstr(json_scan_value(SPAN("\"x\"\xff")), "\"x\""));
    assert_true(span_eq_cstr(json_scan_value(SPAN("1 2")), "1"));
}

static void nesting_has_a_limit(void **state) {
    (void)state;
    char text[2 * (JSON_DEPTH_MAX + 1)];
    for (size_t depth = JSON_DEPTH_MAX; depth <= JSON_DEPTH_MAX + 1; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(json_scan_value(span_bytes(text, 2 * depth)).len, depth <= JSON_DEPTH_MAX ? 2 * depth : 0);
    }
}

static void every_prefix_of_a_text_is_refused(void **state) {
    (void)state;
    static const char text[] = "{\"id\":\"a\\u00e9\\ud83d\\ude00b\",\"n\":[1.5e3,null,true,{\"x\":\"\xc3\xa9\"}]}";
    for (size_t len = 0; len + 1 < sizeof text; len++) {
        char *copy = mem_alloc(len + 1); /* exactly as long, so that reading past the end is seen */
        memcpy(copy, text, len);
        assert_int_equal(json_scan_value(span_bytes(copy, len)).len, 0);
        mem_free(copy);
    }
}

static void members_are_found_raw(void **state) {
    (void)state;
    struct json_field f[] = {{.name = SPAN("a")}, {.name = SPAN("b")}};
    struct span whole;
    bool repeated;
    assert_true(json_scan_object(SPAN(" { \"\\u0062\" : [1, 2] , \"a\" : \"x\" } rest"), f, 2, &whole, &repeated));
    assert_true(span_eq_cstr(f[0].value, "\"x\""));
    assert_true(span_eq_cstr(f[1].value, "[1, 2]"));
    assert_true(span_eq_cstr(whole, "{ \"\\u0062\" : [1, 2] , \"a\" : \"x\" }"));
    assert_false(repeated);
    assert_true(json_scan_object(SPAN("{\"a\":1,\"\\u0061\":2}"), f, 2, &whole, &repeated));
    assert_true(repeated);
    assert_true(span_eq_cstr(f[0].value, "2"));
    assert_int_equal(f[1].value.len, 0);
    assert_true(json_scan_object(SPAN("{}"), f, 2, &whole, &repeated));
    assert_false(json_scan_object(SPAN("{\"c\":1}"), f, 2, &whole, &repeated));
    assert_false(json_scan_object(SPAN("{\"a\\u0000\":1}"), f, 2, &whole, &repeated));
    assert_false(json_scan_object(SPAN("[]"), f, 2, &whole, &repeated));
    assert_false(json_scan_object(SPAN("{\"a\":1"), f, 2, &whole, &repeated));
    assert_false(json_scan_object(SPAN("{\"a\":1,}"), f, 2, &whole, &repeated));
    assert_false(json_scan_object(SPAN("{\"a\":\"\xff\"}"), f, 2, &whole, &repeated));
    assert_false(json_scan_object(SPAN(""), f, 2, &whole, &repeated));
}

static void strings_are_unescaped(void **state) {
    (void)state;
    struct buf scratch = BUF_INIT;
    struct span value = SPAN("\"a\\u00e9\\ud83d\\ude00\\/\\u0001\\n\\\"\\u20ac\"");
    buf_reserve(&scratch, value.len);
    assert_true(span_eq_cstr(json_string_text(value, &scratch), "a\xc3\xa9\xf0\x9f\x98\x80/\x01\n\"\xe2\x82\xac"));
    struct span plain = json_string_text(SPAN("\"plain\""), &scratch);
    assert_true(span_eq_cstr(plain, "plain"));
    buf_free(&scratch);
}

static void elements_are_walked(void **state) {
    (void)state;
    struct span rest = SPAN("[ \"a,]\" , [1,2], {} ]"), element;
    static const char *const want[] = {"\"a,]\"", "[1,2]", "{}"};
    size_t n = 0;
    for (; json_scan_element(&rest, &element); n++) {
        assert_true(span_eq_cstr(element, want[n]));
    }
    assert_int_equal(n, 3);
    rest = SPAN("[ ]");
    assert_false(json_scan_element(&rest, &element));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_what_is_json),
        cmocka_unit_test(refuses_what_is_not),
        cmocka_unit_test(what_follows_the_value_is_ignored),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(every_prefix_of_a_text_is_refused),
        cmocka_unit_test(members_are_found_raw),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(elements_are_walked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
