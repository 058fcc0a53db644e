/* Who is in a fleet: reading entries, scaling them, cutting them into parts. */
#include "simulator/fleet/roster.h"

#include "base/mem.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static bool read_text(struct roster *r, const char *text, struct error *err) {
    json_t *spec = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(spec);
    bool ok = roster_read(r, spec, err);
    json_decref(spec);
    return ok;
}

static struct roster roster_of(const char *text) {
    struct roster r;
    struct error err = ERROR_INIT;
    if (!read_text(&r, text, &err)) {
        fail_msg("%s: %s", text, err.msg);
    }
    return r;
}

static void one_kind_has_no_count_of_its_own(void **state) {
    (void)state;
    struct roster r;
    assert_true(roster_read(&r, NULL, NULL));
    assert_int_equal(r.count, 1);
    assert_false(r.counted);
    roster_free(&r);
    r = roster_of("{\"tasks\": {\"echo\": {\"takes\": \"1s\"}}}");
    assert_false(r.counted);
    assert_true(r.entries[0].known);
    roster_free(&r);
}

static void entries_are_read_whole(void **state) {
    (void)state;
    static const char entries[] =
        "[{\"count\": 7, \"name\": \"web-{n:03}.x\", \"pcp\": 1, \"brokers\": [\"broker-2\", \"wss://b/pcp/\"],"
        "  \"facts\": {\"role\": \"web\"}, \"trusted\": {\"extensions\": {}}, \"known\": false,"
        "  \"connect\": {\"after\": {\"uniform\": [\"0s\", \"1s\"]}}, \"tasks\": {}, \"puppet_run\": {\"takes\": "
        "\"3s\"}},"
        " {\"name\": \"db.x\"}]";
    struct buf scenario = BUF_INIT;
    buf_printf(&scenario, "{\"name\": \"a scenario\", \"fleet\": %s, \"steps\": []}", entries);
    char *whole = buf_take(&scenario);
    const char *const forms[] = {entries, whole};
    for (size_t i = 0; i < 2; i++) {
        struct roster r = roster_of(forms[i]);
        assert_true(r.counted);
        assert_int_equal(r.count, 2);
        const struct roster_entry *e = &r.entries[0];
        assert_int_equal(e->count, 7);
        assert_string_equal(e->name_format, "web-{n:03}.x");
        assert_int_equal(e->pcp, 1);
        assert_int_equal(e->broker_count, 2);
        assert_string_equal(e->brokers[1], "wss://b/pcp/");
        assert_true(e->has_after && e->after.kind == DIST_UNIFORM && e->after.b == 1000000);
        assert_string_equal(json_str(e->facts, "role"), "web");
        assert_non_null(json_object_get(e->facts, "trusted"));
        assert_false(e->known);
        assert_int_equal(r.entries[1].count, 1);
        assert_int_equal(r.entries[1].pcp, 0);
        assert_int_equal(roster_agents(&r), 8);
        roster_free(&r);
    }
    mem_free(whole);
}

static void mistakes_are_named(void **state) {
    (void)state;
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"7", "must be an object or a list"},
        {"[]", "a list of 1 to"},
        {"{\"fleet\": {}}", "a list of 1 to"},
        {"[7]", "fleet[0]: must be an object"},
        {"[{}, {\"nmae\": \"x\"}]", "fleet[1]: unknown key \"nmae\"; did you mean \"name\"?"},
        {"{\"task\": {}}", "unknown key \"task\"; did you mean \"tasks\"?"},
        {"[{\"count\": 0}]", "fleet[0]: count must be 1 to"},
        {"[{\"count\": \"3\"}]", "fleet[0]: count must be 1 to"},
        {"[{\"count\": 1000001}]", "fleet[0]: count must be 1 to"},
        {"[{\"count\": 999999}, {\"name\": \"b{n}\", \"count\": 2}]", "fleet: more than"},
        {"[{\"name\": 7}]", "fleet[0]: name must be a text"},
        {"[{\"count\": 2, \"name\": \"x\"}]", "fleet[0]: name \"x\" needs exactly one {n}"},
        {"[{\"name\": \"x{m}\"}]", "fleet[0]: name \"x{m}\" needs exactly one {n}"},
        {"[{}, {}]", "fleet[1]: another entry has the same name"},
        {"[{\"pcp\": 3}]", "fleet[0]: pcp is 1 or 2"},
        {"[{\"brokers\": []}]", "fleet[0]: brokers must be a list"},
        {"[{\"brokers\": [1]}]", "fleet[0]: brokers must be names"},
        {"[{\"facts\": []}]", "fleet[0]: facts and trusted must be objects"},
        {"[{\"known\": 1}]", "fleet[0]: known must be true or false"},
        {"[{\"connect\": []}]", "fleet[0]: connect must be an object"},
        {"[{\"connect\": {\"afte\": \"1s\"}}]", "fleet[0]: connect: unknown key \"afte\""},
        {"[{\"connect\": {\"after\": \"soon\"}}]", "fleet[0]: connect.after: a duration"},
        {"[{\"tasks\": {\"echo\": {\"takes\": 1}}}]", "fleet[0]: tasks.echo.takes"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct roster r;
        struct error err = ERROR_INIT;
        assert_false(read_text(&r, cases[i].text, &err));
        if (strstr(err.msg, cases[i].error) == NULL) {
            fail_msg("%s: \"%s\" instead of \"%s\"", cases[i].text, err.msg, cases[i].error);
        }
        error_clear(&err);
    }
}

static void scaling_keeps_proportions_and_the_sum(void **state) {
    (void)state;
    static const uint64_t wanted[] = {1, 2, 3, 10, 99, 100, 12345, 1000000};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        struct roster r = roster_of("[{\"name\": \"a{n}\", \"count\": 2}, {\"name\": \"b{n}\", \"count\": 3},"
                                    " {\"name\": \"c{n}\", \"count\": 5}]");
        roster_scale(&r, wanted[i]);
        assert_int_equal(roster_agents(&r), wanted[i]);
        assert_true(r.entries[1].count * 10 + 20 > wanted[i] * 3 && r.entries[1].count * 10 < wanted[i] * 3 + 20);
        roster_free(&r);
    }
}

/* Every agent is in exactly one part, parts are nearly equal, whatever the entries. */
static void parts_cover_everybody_once(void **state) {
    (void)state;
    struct roster r =
        roster_of("[{\"name\": \"a{n}\", \"count\": 7}, {\"name\": \"b\"}, {\"name\": \"c{n}\", \"count\": 15}]");
    for (uint32_t parts = 1; parts <= 30; parts++) {
        uint32_t seen[3] = {0, 0, 0};
        for (uint32_t part = 0; part < parts; part++) {
            uint32_t here = 0;
            for (size_t entry = 0; entry < r.count; entry++) {
                uint32_t first, count;
                roster_slice(&r, entry, part, parts, &first, &count);
                assert_true(count == 0 || first == seen[entry]);
                seen[entry] += count;
                here += count;
            }
            assert_true(here >= 23 / parts && here <= 23 / parts + 1);
        }
        assert_int_equal(seen[0], 7);
        assert_int_equal(seen[1], 1);
        assert_int_equal(seen[2], 15);
    }
    roster_free(&r);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_kind_has_no_count_of_its_own),
        cmocka_unit_test(entries_are_read_whole),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(scaling_keeps_proportions_and_the_sum),
        cmocka_unit_test(parts_cover_everybody_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
