/* JSON is read by jansson and written as jansson does it. */
#include "base/json.h"
#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Well formed or not: the same value and the same text as jansson's own. */
static void json_is_read_and_written_as_jansson_does(void **state) {
    (void)state;
    static const struct span texts[] = {
        SPAN(""),
        SPAN(" "),
        SPAN("{}"),
        SPAN("[]"),
        SPAN(" [ ] "),
        SPAN("[1,]"),
        SPAN("[,1]"),
        SPAN("{\"a\":1,}"),
        SPAN("{\"a\" : 1 , \"b\" : [ true , false , null ] }"),
        SPAN("{a:1}"),
        SPAN("{\"a\"}"),
        SPAN("{1:2}"),
        SPAN("[1 2]"),
        SPAN("[1]]"),
        SPAN("[1"),
        SPAN("{\"a\":1"),
        SPAN("1 2"),
        SPAN("\t\r\n 1 \n"),
        SPAN("\v1"),
        SPAN("truefalse"),
        SPAN("true"),
        SPAN("tru"),
        SPAN("True"),
        SPAN("nulll"),
        SPAN("[true]"),
        SPAN("NaN"),
        SPAN("0"),
        SPAN("-0"),
        SPAN("-"),
        SPAN("01"),
        SPAN("+1"),
        SPAN("1."),
        SPAN(".5"),
        SPAN("1.5"),
        SPAN("-1.5e3"),
        SPAN("1e5"),
        SPAN("1E+5"),
        SPAN("1e-5"),
        SPAN("1e"),
        SPAN("1e+"),
        SPAN("0e0"),
        SPAN("-0.0"),
        SPAN("1e400"),
        SPAN("1e-400"),
        SPAN("999999999999999999"),
        SPAN("-999999999999999999"),
        SPAN("9223372036854775807"),
        SPAN("-9223372036854775808"),
        SPAN("9223372036854775808"),
        SPAN("0x10"),
        SPAN("1_000"),
        SPAN("[1e400]"),
        SPAN("0.1000000000000000055511151231257827021181583404541015625000000000000000000000000000000000000001"),
        SPAN("\"\""),
        SPAN("\"abc"),
        SPAN("\"a\nb\""),
        SPAN("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
        SPAN("\"\\x\""),
        SPAN("\"\\u00e9\\u20ac\\ud83d\\ude00\""),
        SPAN("\"\\ud83d\""),
        SPAN("\"\\ude00\""),
        SPAN("\"\\ud83d\\u0041\""),
        SPAN("\"\\ud83dx\""),
        SPAN("\"\\u12\""),
        SPAN("\"\\u12g4\""),
        SPAN("\"\\u001f\\u007f\\u0000\""),
        SPAN("\"\\"),
        SPAN("\"\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80\""),
        SPAN("\"\xc3\""),
        SPAN("\"\xff\""),
        SPAN("\"\xed\xa0\x80\""),
        SPAN("\"\xc0\x80\""),
        SPAN("\"\xf4\x90\x80\x80\""),
        SPAN("\xc3\xa9"),
        SPAN("\"a\0b\""),
        SPAN("\xef\xbb\xbf{}"),
        SPAN("{\"a\":1,\"b\":2,\"a\":{\"a\":[]}}"),
        SPAN("{\"\":0}"),
        SPAN("{\"a\\u0000\":1}"),
        SPAN("{\"\\u0061\":\"\\u0062\"}"),
        SPAN("{\"\\u0061\":{\"\\u0062\":\"\\u0063\\u0063\\u0063\\u0063\"},\"d\":\"\\\\\"}"),
        SPAN("[[[[[]]]],{}]"),
        SPAN("[}"),
        SPAN("{]"),
        SPAN("[\"a\\u000bb\",-12,3.25,{\"k\":null}]"),
        SPAN("//"),
        SPAN("'a'"),
        SPAN("[1]\0"),
        SPAN("{\"a\":1}\0"),
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *theirs = json_loadb(texts[i].ptr, texts[i].len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        json_t *value = json_parse(texts[i], "k", NULL), *strict = json_parse_strict(texts[i], "k", NULL);
        json_t *their_strict =
            json_loadb(texts[i].ptr, texts[i].len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
        if (theirs == NULL && value != NULL) { /* only an integer that is too large is taken beyond what jansson does */
            assert_string_equal(texts[i].ptr, "9223372036854775808");
            assert_true(json_is_real(value));
        } else {
            assert_true(theirs == value || json_equal(theirs, value));
            assert_true(their_strict == strict || json_equal(their_strict, strict));
        }
        if (theirs != NULL && strcspn(texts[i].ptr, ".eE") == strlen(texts[i].ptr)) { /* reals are written shorter */
            char *ours = json_text(value), *text = json_dumps(theirs, JSON_COMPACT | JSON_ENCODE_ANY);
            assert_string_equal(ours, text);
            mem_free(ours);
            free(text);
        }
        json_decref(theirs);
        json_decref(their_strict);
        json_decref(value);
        json_decref(strict);
    }
}

/* What is set as a value may hold what no text of ours does. */
static void json_writes_every_control_character(void **state) {
    (void)state;
    char all[256];
    for (size_t i = 0; i < sizeof(all) / 2; i++) {
        all[i] = (char)i;
    }
    json_t *value = json_pack("[s%, I, I]", all, (size_t)128, (json_int_t)INT64_MIN, (json_int_t)INT64_MAX);
    char *ours = json_text(value), *text = json_dumps(value, JSON_COMPACT);
    assert_string_equal(ours, text);
    json_t *again = json_parse(span_of(ours), "k", NULL);
    assert_true(json_equal(value, again));
    json_decref(again);
    json_decref(value);
    mem_free(ours);
    free(text);
}

static void unknown_keys(void **state) {
    (void)state;
    static const char *const keys[] = {"a", "b"};
    json_t *known = json_pack("{s:i, s:i}", "b", 1, "a", 2),
           *other = json_pack("{s:i, s:i, s:i}", "b", 1, "ab", 2, "c", 3);
    assert_null(json_unknown_key(known, keys, 2));
    assert_string_equal(json_unknown_key(known, keys, 1), "b");
    assert_string_equal(json_unknown_key(other, keys, 2), "ab");
    assert_null(json_unknown_key(NULL, keys, 2));
    json_decref(known);
    json_decref(other);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_keys),
        cmocka_unit_test(json_is_read_and_written_as_jansson_does),
        cmocka_unit_test(json_writes_every_control_character),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
