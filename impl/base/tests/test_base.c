/* bytes, map, timers, json, digests, clock, options: what every room stands on. */
#include "base/bytes.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/list.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/option.h"
#include "base/timers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* Short texts are formatted in another place than long ones. */
static void texts_of_any_length_are_formatted(void **state) {
    (void)state;
    struct buf all = BUF_INIT, expected = BUF_INIT;
    for (int len = 0; len < 600; len++) {
        char *text = str_printf("%0*d", len, 7), *want = mem_zalloc((size_t)len + 2);
        memset(want, '0', (size_t)len);
        want[len > 0 ? len - 1 : 0] = '7';
        assert_string_equal(text, want);
        buf_printf(&all, "%s", text);
        buf_append_cstr(&expected, want);
        assert_int_equal(all.len, expected.len);
        mem_free(text);
        mem_free(want);
    }
    assert_string_equal(all.ptr, expected.ptr);
    buf_free(&all);
    buf_free(&expected);
}

static void spans_compare_split_and_parse(void **state) {
    (void)state;
    struct span rest = SPAN("a,,b"), part;
    assert_true(span_split(&rest, ',', &part) && span_eq_cstr(part, "a"));
    assert_true(span_split(&rest, ',', &part) && part.len == 0);
    assert_true(span_split(&rest, ',', &part) && span_eq_cstr(part, "b"));
    assert_false(span_split(&rest, ',', &part));
    uint64_t u = 7;
    assert_true(span_to_u64(SPAN("18446744073709551615"), &u) && u == UINT64_MAX);
    assert_false(span_to_u64(SPAN("18446744073709551616"), &u));
    assert_false(span_to_u64(SPAN(""), &u));
    assert_false(span_to_u64(SPAN("1 "), &u));
    int64_t i = 0;
    assert_true(span_to_i64(SPAN("-9223372036854775808"), &i) && i == INT64_MIN);
    assert_false(span_to_i64(SPAN("9223372036854775808"), &i));
    assert_true(span_cmp(SPAN("a"), SPAN("ab")) < 0);
    assert_true(span_eq_cstr(span_trim(SPAN(" \tx y\r\n")), "x y"));
    assert_true(span_eq_cstr(span_sub(SPAN("abc"), 1, 9), "bc"));
    struct span nothing = span_sub((struct span){NULL, 0}, 3, 9);
    assert_true(nothing.ptr == NULL && nothing.len == 0);
}

static void utf8_is_what_rfc_3629_allows(void **state) {
    (void)state;
    assert_true(span_is_utf8(SPAN("plain ascii longer than eight \xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80")));
    assert_false(span_is_utf8(SPAN("\xc0\x80")));         /* overlong */
    assert_false(span_is_utf8(SPAN("\xed\xa0\x80")));     /* surrogate */
    assert_false(span_is_utf8(SPAN("\xf4\x90\x80\x80"))); /* past U+10FFFF */
    assert_false(span_is_utf8(SPAN("\xe2\x82")));         /* cut short */
    assert_false(span_is_utf8(SPAN("12345678\xff")));
}

static void map_keeps_insertion_order_and_survives_removal_while_iterating(void **state) {
    (void)state;
    struct map m = MAP_INIT;
    int values[1000];
    for (int i = 0; i < 1000; i++) {
        char key[16];
        snprintf(key, sizeof(key), "key-%d", i);
        assert_null(map_put(&m, span_of(key), &values[i]));
    }
    assert_ptr_equal(map_put(&m, SPAN("key-5"), &values[6]), &values[5]);
    int seen = 0;
    for (struct map_iter it = map_iter(&m); map_next(&it); seen++) {
        if (seen % 2 == 0) {
            assert_non_null(map_remove(&m, it.key));
        }
    }
    assert_int_equal(seen, 1000);
    assert_int_equal(map_count(&m), 500);
    assert_null(map_get(&m, SPAN("key-0")));
    assert_ptr_equal(map_get(&m, SPAN("key-999")), &values[999]);
    assert_null(map_remove(&m, SPAN("key-0")));
    map_free(&m);
}

/* At every size, also between powers of two: what is there is found, what is not there is not. */
static void map_finds_everything_while_it_grows(void **state) {
    (void)state;
    enum { ENTRIES = 3000, STEP = 37 };
    struct map m = MAP_INIT;
    for (uintptr_t i = 1; i <= ENTRIES; i++) {
        assert_null(map_put(&m, span_bytes(&i, sizeof(i)), (void *)i));
        for (uintptr_t k = 1 + i % STEP; k <= i; k += STEP) {
            assert_ptr_equal(map_get(&m, span_bytes(&k, sizeof(k))), (void *)k);
        }
        const uintptr_t absent = i + 1;
        assert_null(map_get(&m, span_bytes(&absent, sizeof(absent))));
    }
    for (uintptr_t i = 1; i <= ENTRIES; i++) {
        assert_ptr_equal(map_remove(&m, span_bytes(&i, sizeof(i))), (void *)i);
        assert_null(map_get(&m, span_bytes(&i, sizeof(i))));
        assert_int_equal(map_count(&m), ENTRIES - i);
    }
    assert_null(map_put(&m, SPAN("again"), &m));
    assert_ptr_equal(map_get(&m, SPAN("again")), &m);
    map_free(&m);
}

static void ignore(void *ctx) {
    (void)ctx;
}

static void timers_come_out_in_order_of_time_then_start(void **state) {
    (void)state;
    struct timer_heap h = {0};
    struct timer t[100] = {{0}};
    for (size_t i = 0; i < 100; i++) {
        t[i].fire = ignore;
        timer_heap_start(&h, &t[i], (i * 37) % 10);
    }
    for (size_t i = 0; i < 100; i += 3) {
        timer_heap_stop(&h, &t[i]);
        timer_heap_stop(&h, &t[i]);
    }
    uint64_t last_due = 0, last_order = 0;
    size_t left = 0;
    for (struct timer *first; (first = timer_heap_first(&h)) != NULL; left++) {
        assert_true(first->due_us > last_due || (first->due_us == last_due && first->order > last_order));
        last_due = first->due_us;
        last_order = first->order;
        timer_heap_stop(&h, first);
    }
    assert_int_equal(left, 66);
    timer_heap_free(&h);
}

static void json_writes_reals_as_short_as_they_can_be(void **state) {
    (void)state;
    const char *texts[] = {"0.1",
                           "1.5",
                           "-2.0",
                           "1e300",
                           "1.5e-7",
                           "0.30000000000000004",
                           "1e22",
                           "[0.1]",
                           "[]",
                           "{}",
                           "[1,[2.5,{\"a\":0.1,\"b\":[true,null,\"\\u0000x\"],\"c\":{},\"d\":[]}]]",

                           "1.7976931348623157e308",
                           "1.2345678901234568e17"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_t *value = json_parse(span_of(texts[i]), "k", NULL);
        struct buf out = BUF_INIT;
        assert_non_null(value);
        json_write(&out, value);
        json_t *again = json_parse(buf_span(&out), "k", NULL);
        assert_true(json_equal(value, again));
        assert_string_equal(out.ptr, texts[i]);
        json_decref(again);
        json_decref(value);
        buf_free(&out);
    }
}

static void json_reads_what_is_json_and_says_where_it_is_not(void **state) {
    (void)state;
    struct error err = ERROR_INIT;
    json_t *v = json_parse(SPAN("{\"a\": 12345678901234567890, \"b\": \"x\\u0000y\"}"), "k", &err);
    assert_non_null(v);
    assert_true(json_is_real(json_object_get(v, "a")));
    assert_int_equal(json_span(json_object_get(v, "b")).len, 3);
    json_decref(v);
    assert_null(json_parse(SPAN("{\"a\": }"), "bad", &err));
    assert_string_equal(err.kind, "bad");
    assert_non_null(strstr(err.msg, "line 1"));
    assert_null(json_parse_strict(SPAN("{\"a\":1,\"a\":2}"), "bad", &err));
    struct buf deep = BUF_INIT;
    for (int i = 0; i < JSON_DEPTH_MAX + 1; i++) {
        buf_append_char(&deep, '[');
    }
    assert_null(json_parse(buf_span(&deep), "bad", &err));
    assert_non_null(strstr(err.msg, "nested deeper"));
    buf_free(&deep);
    error_clear(&err);
    struct buf out = BUF_INIT;
    json_write_string(&out, SPAN("a\"b\\c\n\x01z"));
    assert_string_equal(out.ptr, "\"a\\\"b\\\\c\\n\\u0001z\"");
    buf_free(&out);
}

static void digests_and_encodings_match_published_vectors(void **state) {
    (void)state;
    char hex[SHA256_HEX_LEN + 1];
    sha256_hex(SPAN("abc"), hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    static const char *const pairs[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct buf b = BUF_INIT;
        base64_encode(&b, span_of(pairs[i][0]));
        assert_true(span_eq_cstr(buf_span(&b), pairs[i][1]));
        buf_clear(&b);
        assert_true(base64_decode(&b, span_of(pairs[i][1])));
        assert_true(span_eq_cstr(buf_span(&b), pairs[i][0]));
        buf_free(&b);
    }
    struct buf b = BUF_INIT;
    assert_false(base64_decode(&b, SPAN("Zg=")));
    assert_false(base64_decode(&b, SPAN("Zh==")));
    assert_false(base64_decode(&b, SPAN("Z===")));
    assert_false(hex_decode(&b, SPAN("0g")));
    buf_free(&b);
    assert_true(secret_eq(SPAN("same"), SPAN("same")));
    assert_false(secret_eq(SPAN("same"), SPAN("sane")));
    assert_false(secret_eq(SPAN("same"), SPAN("sam")));
    assert_true(hash64(1, "a", 1) != hash64(2, "a", 1));
    assert_true(hash64(1, "aaaaaaaaaaaaaaaab", 17) != hash64(1, "aaaaaaaaaaaaaaaaa", 17));
    assert_true(uuid_valid(SPAN("9a0b3c1e-5d42-4b7f-8c11-2f6d3e4a5b60")));
    assert_false(uuid_valid(SPAN("9a0b3c1e-5d42-4b7f-8c11-2f6d3e4a5b6")));
}

static void times_parse_and_print(void **state) {
    (void)state;
    char text[TIME_TEXT_LEN];
    int64_t ms;
    assert_true(time_parse(SPAN("2016-09-28T16:36:08.123Z"), &ms));
    assert_int_equal(ms, 1475080568123);
    time_format_s(ms, text);
    assert_string_equal(text, "2016-09-28T16:36:08Z");
    assert_true(time_parse(SPAN("2016-09-28T18:36:08.123+02:00"), &ms) && ms == 1475080568123);
    assert_true(time_parse(SPAN("1969-12-31T23:59:59Z"), &ms) && ms == -1000);
    time_format_http(ms, text);
    assert_string_equal(text, "Wed, 31 Dec 1969 23:59:59 GMT");
    time_format_ms(ms, text);
    assert_string_equal(text, "1969-12-31T23:59:59.000Z");
    assert_true(time_parse(SPAN("2024-02-29"), &ms));
    assert_int_equal(time_civil(ms).weekday, 4);
    static const char *const bad[] = {"",
                                      "2023-02-29",
                                      "2024-13-01",
                                      "2024-01-01T25:00:00Z",
                                      "2024-01-01T",
                                      "2024-01-01T00:00:00",
                                      "2024-01-01T00:00:00Zx",
                                      "24-01-01"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(time_parse(span_of(bad[i]), &ms));
    }
}

struct parsed {
    bool verbose, colour;
    const char *name;
    uint64_t count, wait_ms;
    struct option_list nodes;
};

static enum option_result parse_line(struct parsed *p, struct option_list *rest, struct error *err, int argc,
                                     char *const argv[]) {
    const struct option table[] = {
        {OPTION_FLAG, "verbose", 'v', NULL, "Say more.", &p->verbose},
        {OPTION_NEGATABLE, "colour", 0, NULL, "Use colours.", &p->colour},
        {OPTION_STRING, "name", 'n', "NAME", "A name.", &p->name},
        {OPTION_UINT, "count", 'c', "N", "How many.", &p->count},
        {OPTION_DURATION, "wait", 'w', "TIME", "How long.", &p->wait_ms},
        {OPTION_LIST, "node", 0, "NODE", "A node.", &p->nodes},
        OPTION_END,
    };
    const struct command_line cl = {"prog", "[OPTIONS]", "a program", NULL, table};
    return option_parse(&cl, argc, argv, rest, err);
}

static void options_are_read_in_every_form(void **state) {
    (void)state;
    struct parsed p = {.colour = true};
    struct option_list rest = {NULL, 0};
    struct error err = ERROR_INIT;
    char *argv[] = {"prog", "-vc3",   "--name=x", "--no-colour", "--node", "a",
                    "word", "--wait", "2m",       "--node=b",    "--",     "--name"};
    assert_int_equal(parse_line(&p, &rest, &err, 12, argv), OPTION_PARSED);
    assert_true(p.verbose && !p.colour && p.count == 3 && p.wait_ms == 120000 && p.nodes.count == 2 && rest.count == 2);
    assert_string_equal(p.name, "x");
    assert_string_equal(rest.items[1], "--name");
    option_list_free(&rest);
    option_list_free(&p.nodes);
}

static void wrong_options_are_named_with_the_nearest_known_one(void **state) {
    (void)state;
    static const struct {
        const char *word, *value, *says;
    } cases[] = {
        {"--nmae", "x", "did you mean --name?"},  {"--zzzzzzzz", "x", "see prog --help"},
        {"--count", "x", "takes a whole number"}, {"--count", NULL, "needs a value"},
        {"--wait", "5", "takes a duration"},      {"--verbose=1", NULL, "takes no value"},
        {"-q", NULL, "unknown option -q"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed p = {0};
        struct option_list rest = {NULL, 0};
        struct error err = ERROR_INIT;
        char *argv[] = {"prog", (char *)(uintptr_t)cases[i].word, (char *)(uintptr_t)cases[i].value};
        assert_int_equal(parse_line(&p, &rest, &err, cases[i].value != NULL ? 3 : 2, argv), OPTION_ERROR);
        assert_string_equal(err.kind, "usage");
        if (strstr(err.msg, cases[i].says) == NULL) {
            fail_msg("%s: %s", cases[i].word, err.msg);
        }
        error_clear(&err);
        option_list_free(&rest);
    }
}

/* However early two secrets differ, all of both is read: here the last bytes lie on a page that must not be. */
static void secrets_are_compared_to_their_end(void **state) {
    (void)state;
    enum { PAGES = 4 };
    size_t page = (size_t)sysconf(_SC_PAGESIZE), len = (PAGES - 1) * page + 64;
    char *guarded = mmap(NULL, PAGES * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *other = mem_zalloc(len);
    assert_true(guarded != MAP_FAILED);
    other[0] = 'x';
    assert_false(secret_eq(span_bytes(other, len), span_bytes(guarded, len)));
    assert_int_equal(mprotect(guarded + (PAGES - 1) * page, page, PROT_NONE), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        close(STDERR_FILENO); /* a sanitizer has something to say about it */
        _exit(secret_eq(span_bytes(other, len), span_bytes(guarded, len)) ? 1 : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_false(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    munmap(guarded, PAGES * page);
    mem_free(other);
}

/* ---- lists */

struct numbered {
    struct list_link link;
    int number;
};

static void expect_numbers(struct list *l, const char *expected) {
    char text[16] = "", *at = text;
    LIST_EACH (it, l) {
        *at++ = (char)('0' + LIST_ITEM(it, struct numbered, link)->number);
    }
    *at = '\0';
    assert_string_equal(text, expected);
    assert_int_equal(l->count, strlen(expected));
}

static void lists_move(void **state) {
    (void)state;
    struct numbered items[5] = {0};
    struct list a, b;
    list_init(&a);
    list_init(&b);
    for (int i = 0; i < 5; i++) {
        items[i].number = i + 1;
        list_push_back(i < 3 ? &a : &b, &items[i].link);
    }
    list_move_all(&a, &b);
    expect_numbers(&a, "12345");
    expect_numbers(&b, "");
    list_move_all(&a, &b); /* nothing */
    expect_numbers(&a, "12345");
    list_move_all(&b, &a);
    expect_numbers(&a, "");
    expect_numbers(&b, "12345");
    list_remove(&b, &items[2].link);
    list_push_front(&b, &items[2].link);
    expect_numbers(&b, "31245");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_move),
        cmocka_unit_test(secrets_are_compared_to_their_end),
        cmocka_unit_test(texts_of_any_length_are_formatted),
        cmocka_unit_test(spans_compare_split_and_parse),
        cmocka_unit_test(utf8_is_what_rfc_3629_allows),
        cmocka_unit_test(map_keeps_insertion_order_and_survives_removal_while_iterating),
        cmocka_unit_test(map_finds_everything_while_it_grows),
        cmocka_unit_test(timers_come_out_in_order_of_time_then_start),
        cmocka_unit_test(json_writes_reals_as_short_as_they_can_be),
        cmocka_unit_test(json_reads_what_is_json_and_says_where_it_is_not),
        cmocka_unit_test(digests_and_encodings_match_published_vectors),
        cmocka_unit_test(times_parse_and_print),
        cmocka_unit_test(options_are_read_in_every_form),
        cmocka_unit_test(wrong_options_are_named_with_the_nearest_known_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
