#include "base/hocon.h"

#include "base/json.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char *variables(void *ctx, const char *name) {
    (void)ctx;
    return str_eq(name, "PORT") ? "8142" : str_eq(name, "HOST") ? "broker.example.com" : NULL;
}

static bool files(void *ctx, const char *name, struct buf *text, struct error *err) {
    (void)ctx;
    if (str_eq(name, "more.conf")) {
        buf_append_cstr(text, "inner: 1");
    } else if (str_eq(name, "broken.conf")) {
        buf_append_cstr(text, "\n  x");
    } else if (str_eq(name, "self.conf")) {
        buf_append_cstr(text, "include \"self.conf\"");
    } else if (str_eq(name, "outside.conf")) {
        return error_set(err, "config/include", "outside of the configuration directory");
    } else {
        return false;
    }
    return true;
}

static const struct hocon_opts opts = {.env = variables, .include = files};

/* The result as compact JSON, or the error's message. mem_free() it. */
static char *parse2(const char *first, const char *second) {
    struct hocon *h = hocon_new(&opts);
    struct error err = ERROR_INIT;
    bool ok = hocon_add(h, "a.conf", span_of(first), &err);
    ok = ok && (second == NULL || hocon_add(h, "b.conf", span_of(second), &err));
    ok = ok && hocon_resolve(h, &err);
    char *text;
    if (ok) {
        text = json_text(hocon_root(h));
    } else {
        assert_true(error_is(&err, "config/syntax"));
        text = str_dup(err.msg);
    }
    error_clear(&err);
    hocon_free(h);
    return text;
}

static void check2(const char *first, const char *second, const char *want) {
    char *got = parse2(first, second);
    assert_string_equal(got, want);
    mem_free(got);
}

static void check(const char *text, const char *want) {
    check2(text, NULL, want);
}

static void json_is_hocon(void **state) {
    (void)state;
    check("{\"a\":1,\"b\":[true,null,-1.5,\"x\\u00e9\\n\"],\"c\":{}}",
          "{\"a\":1,\"b\":[true,null,-1.5,\"x\xc3\xa9\\n\"],\"c\":{}}");
    check("", "{}");
    check("{}", "{}");
    check("\xef\xbb\xbf{a:1}\n# end\n", "{\"a\":1}");
}

static void quotes_colons_and_commas_may_be_left_out(void **state) {
    (void)state;
    check("a = 1\nb : two words # comment\nc { d: x.y/z-1 } // more\n e=[1\n 2,3,\n]",
          "{\"a\":1,\"b\":\"two words\",\"c\":{\"d\":\"x.y/z-1\"},\"e\":[1,2,3]}");
    check("a: 10s, b: 0.0.0.0, c: true ish, d: nullable, e: 1e3",
          "{\"a\":\"10s\",\"b\":\"0.0.0.0\",\"c\":\"true ish\",\"d\":\"nullable\",\"e\":1000.0}");
    check("a: wss\"://h:1\"/x", "{\"a\":\"wss://h:1/x\"}");
    check("a :\n\n  {\n b\n:\n1 }", "a.conf:4:3: expected ':', '=' or '{' behind the key, found the end of the line");
    check("a:\n 1", "{\"a\":1}");
    check("a: /x", "{\"a\":\"/x\"}");
    check("a b: 1", "{\"a b\":1}");
}

static void dotted_keys_nest(void **state) {
    (void)state;
    check("a.b.c: 1, a.b.d: 2\na { e: 3 }", "{\"a\":{\"b\":{\"c\":1,\"d\":2},\"e\":3}}");
    check("\"a.b\".c: 1", "{\"a.b\":{\"c\":1}}");
    check("puppetlabs { \"x/y.z\": 1 }", "{\"puppetlabs\":{\"x/y.z\":1}}");
}

static void later_values_win_and_objects_merge(void **state) {
    (void)state;
    check("a: 1, a: 2", "{\"a\":2}");
    check("a {x: 1, y: {p: 1}}, a {y: {q: 2}, z: 3}", "{\"a\":{\"x\":1,\"y\":{\"p\":1,\"q\":2},\"z\":3}}");
    check("a {x: 1}, a: 5, a {y: 2}", "{\"a\":{\"y\":2}}");
    check2("web {port: 1, host: a}, list: [1]", "web {port: 2}, list: [2]",
           "{\"web\":{\"port\":2,\"host\":\"a\"},\"list\":[2]}");
}

static void plus_equals_appends(void **state) {
    (void)state;
    check("a: [1], a += 2\na += [3]", "{\"a\":[1,2,[3]]}");
    check("a += 1", "{\"a\":[1]}");
    check2("a.b: [x]", "a.b += y", "{\"a\":{\"b\":[\"x\",\"y\"]}}");
    check("a: 1, a += 2", "a.conf:1:12: an array or object cannot be joined with this");
}

static void triple_quotes_take_everything(void **state) {
    (void)state;
    check("a: \"\"\"x \"y\" \\n\n${z}\"\"\"\"", "{\"a\":\"x \\\"y\\\" \\\\n\\n${z}\\\"\"}");
    check("a: \"\"\"x", "a.conf:1:4: the \"\"\" string has no end");
}

static void references_are_replaced(void **state) {
    (void)state;
    check("a: 1, b: ${a}, c: ${d.e}, d {e: [${a}]}", "{\"a\":1,\"b\":1,\"c\":[1],\"d\":{\"e\":[1]}}");
    check("h: x, u: wss\"://\"${h}\":\"${p}/server, p: 81", "{\"h\":\"x\",\"u\":\"wss://x:81/server\",\"p\":81}");
    check("a: ${b} and ${c}, b: 1, c: 2", "{\"a\":\"1 and 2\",\"b\":1,\"c\":2}");
    check("base {x: 1}, a: ${base} {y: 2}", "{\"base\":{\"x\":1},\"a\":{\"x\":1,\"y\":2}}");
    check("base {x: 1}, a: ${base}, a {x: 2}", "{\"base\":{\"x\":1},\"a\":{\"x\":2}}");
    check("l: [1], m: ${l} [2] ${l}", "{\"l\":[1],\"m\":[1,2,1]}");
    check("p: [1], p: ${p} [2]", "{\"p\":[1,2]}");
    check2("a: ${b}", "b: 7", "{\"a\":7,\"b\":7}");
    check("\"x.y\": 1, a: ${\"x.y\"}", "{\"x.y\":1,\"a\":1}");
}

static void references_fall_back_to_the_environment(void **state) {
    (void)state;
    check("port: 1, port: ${?PORT}, name: ${HOST}", "{\"port\":\"8142\",\"name\":\"broker.example.com\"}");
    check("port: 1, port: ${?NOPE}", "{\"port\":1}");
    check("a: ${?NOPE}, l: [1, ${?NOPE}], s: x${?NOPE}y", "{\"l\":[1],\"s\":\"xy\"}");
    check("a: {b: ${NOPE}}", "a.conf:1:8: ${NOPE} is not defined");
    check("a: \"${PORT}\"", "{\"a\":\"${PORT}\"}");
}

static void circles_are_errors(void **state) {
    (void)state;
    check("a: ${a}", "a.conf:1:4: the reference leads back to itself");
    check("a: ${?a}", "{}");
    check("a: ${b}, b: ${a}", "a.conf:1:13: the reference leads back to itself");
    check("a: {b: ${a}}", "a.conf:1:8: the reference leads back to itself");
    check("a: {b: 1, c: ${a.b}}", "{\"a\":{\"b\":1,\"c\":1}}");
}

static void references_cannot_blow_up(void **state) {
    (void)state;
    struct buf text = BUF_INIT;
    buf_append_cstr(&text, "a0: [x]\n");
    for (int i = 1; i < 40; i++) {
        buf_printf(&text, "a%d: [${a%d}, ${a%d}]\n", i, i - 1, i - 1);
    }
    char *got = parse2(text.ptr, NULL);
    assert_true(span_ends_with(span_of(got), "the joined values are too large"));
    mem_free(got);
    buf_clear(&text);
    buf_append_cstr(&text, "a0: xxxxxxxxxxxxxxxx\n");
    for (int i = 1; i < 40; i++) {
        buf_printf(&text, "a%d: ${a%d}${a%d}\n", i, i - 1, i - 1);
    }
    got = parse2(text.ptr, NULL);
    assert_true(span_ends_with(span_of(got), "the joined values are too large"));
    mem_free(got);
    buf_free(&text);
}

static void includes_go_through_the_callback(void **state) {
    (void)state;
    check("a { include \"more.conf\" }, b: 1", "{\"a\":{\"inner\":1},\"b\":1}");
    check("include file(\"more.conf\")\ninclude \"absent.conf\"", "{\"inner\":1}");
    check("include required(file(\"absent.conf\"))", "a.conf:1:1: absent.conf: there is no such file");
    check("include \"outside.conf\"", "a.conf:1:1: outside.conf: outside of the configuration directory");
    check("include \"broken.conf\"",
          "broken.conf:2:4: expected ':', '=' or '{' behind the key, found the end of the file");
    check("include \"self.conf\"", "self.conf:1:1: includes are nested too deeply");
    check("include : 1", "{\"include\":1}");
    struct hocon *h = hocon_new(NULL);
    struct error err = ERROR_INIT;
    assert_false(hocon_add(h, "x", SPAN("include \"more.conf\""), &err));
    assert_string_equal(err.msg, "x:1:1: includes are not allowed here");
    error_clear(&err);
    hocon_free(h);
}

static void errors_name_the_place(void **state) {
    (void)state;
    check("a: 1\n  b c", "a.conf:2:6: expected ':', '=' or '{' behind the key, found the end of the file");
    check("a: *", "a.conf:1:4: expected a value (some characters must stand in quotes), found '*'");
    check("a: [1, 2\nb: 3", "a.conf:2:2: expected a value (some characters must stand in quotes), found ':'");
    check("a: [1", "a.conf:1:6: expected ']', found the end of the file");
    check("a {b: 1", "a.conf:1:8: expected '}', found the end of the file");
    check("{a: 1} b", "a.conf:1:8: expected the end of the file, found 'b'");
    check("a: 1 }", "a.conf:1:6: expected a new line or ',', found '}'");
    check("a: \"x\nb", "a.conf:1:4: the string has no end");
    check("a: \"\\q\"", "a.conf:1:4: not a valid string");
    check("a: ${x", "a.conf:1:7: expected '}' behind the reference, found the end of the file");
    check("a..b: 1", "a.conf:1:3: expected a key, found '.'");
    check("= 1", "a.conf:1:1: expected a key, found '='");
    check("a: \xff", "a.conf:1:1: not UTF-8 text");
    check2("a: 1", "\n\n ]", "b.conf:3:2: expected a key, found ']'");
    check("a:", "a.conf:1:3: expected a value (some characters must stand in quotes), found the end of the file");
}

static void nesting_is_limited(void **state) {
    (void)state;
    char text[400] = "a: ";
    memset(text + 3, '[', 200);
    char *got = parse2(text, NULL);
    assert_non_null(strstr(got, "nested too deeply"));
    mem_free(got);
}

static void places_of_values_are_known(void **state) {
    (void)state;
    struct hocon *h = hocon_new(&opts);
    struct buf out = BUF_INIT;
    assert_true(hocon_add(h, "a.conf", SPAN("a: 1\nb {\n  c: true\n}\nl: [1,\n 2]"), NULL));
    assert_true(hocon_add(h, "b.conf", SPAN("b.d: x"), NULL));
    assert_true(hocon_resolve(h, NULL));
    const json_t *b = json_object_get(hocon_root(h), "b");
    hocon_where(h, hocon_root(h), "a", &out);
    buf_append_char(&out, ' ');
    hocon_where(h, b, "c", &out);
    buf_append_char(&out, ' ');
    hocon_where(h, b, "d", &out);
    buf_append_char(&out, ' ');
    hocon_where_at(h, json_object_get(hocon_root(h), "l"), 1, &out);
    buf_append_char(&out, ' ');
    hocon_where(h, b, "nope", &out);
    assert_string_equal(out.ptr, "a.conf:1:4 a.conf:3:6 b.conf:1:6 a.conf:6:2 a.conf, b.conf");
    buf_free(&out);
    hocon_free(h);
}

static void durations(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } good[] = {{"90s", 90000},      {"90", 90000},  {"5 minutes", 300000}, {"2h", 7200000},
                {" 1 d ", 86400000}, {"250ms", 250}, {"1y", 31536000000},   {"0s", 0}};
    static const char *const bad[] = {
        "", "s", "-1s", "1.5s", "1 fortnight", "1ss", "99999999999999999999s", "18446744073709551615y"};
    uint64_t ms;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(hocon_duration(span_of(good[i].text), 1000, &ms));
        assert_int_equal(ms, good[i].ms);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_false(hocon_duration(span_of(bad[i]), 1000, &ms));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_is_hocon),
        cmocka_unit_test(quotes_colons_and_commas_may_be_left_out),
        cmocka_unit_test(dotted_keys_nest),
        cmocka_unit_test(later_values_win_and_objects_merge),
        cmocka_unit_test(plus_equals_appends),
        cmocka_unit_test(triple_quotes_take_everything),
        cmocka_unit_test(references_are_replaced),
        cmocka_unit_test(references_fall_back_to_the_environment),
        cmocka_unit_test(circles_are_errors),
        cmocka_unit_test(references_cannot_blow_up),
        cmocka_unit_test(includes_go_through_the_callback),
        cmocka_unit_test(errors_name_the_place),
        cmocka_unit_test(nesting_is_limited),
        cmocka_unit_test(places_of_values_are_known),
        cmocka_unit_test(durations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
