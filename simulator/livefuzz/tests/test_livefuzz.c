/* Transcripts, how they are made smaller, and who is accused of a lie. */
#include "simulator/livefuzz/invent.h"
#include "simulator/livefuzz/run.h"
#include "simulator/livefuzz/said.h"
#include "simulator/livefuzz/shrink.h"

#include "base/mem.h"
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

enum { STEPS = 3000 };

static void make(uint64_t seed, bool agent, struct actions *list) {
    struct inventor v;
    inventor_init(&v, seed, agent);
    list->agent = agent;
    list->seed = seed;
    for (int i = 0; i < STEPS; i++) {
        struct action a;
        invent(&v, &a);
        actions_add(list, &a);
    }
}

static void a_transcript_is_what_was_done(void **state) {
    (void)state;
    for (int agent = 0; agent < 2; agent++) {
        struct actions list = {0}, again = {0};
        struct buf text = BUF_INIT, twice = BUF_INIT;
        size_t kinds[ACTION_KINDS] = {0};
        make(5, agent != 0, &list);
        actions_write(&list, &text);
        assert_true(actions_read(&again, buf_span(&text), NULL));
        assert_int_equal(again.count, STEPS);
        assert_int_equal(again.seed, 5);
        assert_int_equal(again.agent, agent);
        for (size_t i = 0; i < STEPS; i++) {
            kinds[list.items[i].kind]++;
            assert_true(span_eq(buf_span(&list.items[i].bytes), buf_span(&again.items[i].bytes)));
        }
        for (int k = agent != 0 ? ACTION_TEXT : ACTION_CONNECT; k < ACTION_KINDS; k++) {
            assert_true(kinds[k] > 0 || (agent != 0 && k == ACTION_BINARY)); /* an agent speaks one version */
        }
        actions_write(&again, &twice);
        assert_true(span_eq(buf_span(&text), buf_span(&twice)));
        actions_free(&list);
        actions_free(&again);
        buf_free(&text);
        buf_free(&twice);
    }
}

static void the_seed_decides(void **state) {
    (void)state;
    struct actions list[3] = {{0}, {0}, {0}};
    struct buf text[3] = {BUF_INIT, BUF_INIT, BUF_INIT};
    for (size_t i = 0; i < 3; i++) {
        make(i < 2 ? 1 : 2, false, &list[i]);
        list[i].seed = 0;
        actions_write(&list[i], &text[i]);
    }
    assert_true(span_eq(buf_span(&text[0]), buf_span(&text[1])));
    assert_false(span_eq(buf_span(&text[0]), buf_span(&text[2])));
    for (size_t i = 0; i < 3; i++) {
        actions_free(&list[i]);
        buf_free(&text[i]);
    }
}

static void bad_transcripts_name_the_line(void **state) {
    (void)state;
    static const char *const texts[] = {"{\"fuzz\":\"broker\"}\n{\"do\":\"dance\"}\n", "{\"do\":\"text\",\"who\":-1}",
                                        "\n[]\n", "{\"do\":\"raw\",\"hex\":\"zz\"}"};
    static const char *const lines[] = {"line 2", "line 1", "line 2", "line 1"};
    for (size_t i = 0; i < 4; i++) {
        struct actions list = {0};
        struct error err = ERROR_INIT;
        assert_false(actions_read(&list, span_of(texts[i]), &err));
        assert_non_null(strstr(err.msg, lines[i]));
        error_clear(&err);
        actions_free(&list);
    }
}

/* Steps 700 and 2100 together do it. */
static bool both_are_there(void *ctx, const struct actions *list) {
    size_t found = 0;
    (void)ctx;
    for (size_t i = 0; i < list->count; i++) {
        found += list->items[i].number == 700 || list->items[i].number == 2100;
    }
    return found == 2;
}

static void shrinking_leaves_what_matters(void **state) {
    (void)state;
    struct actions list = {0};
    for (size_t i = 0; i < STEPS; i++) {
        struct action a = {.kind = ACTION_WAIT, .number = i};
        buf_append_cstr(&a.bytes, "x");
        actions_add(&list, &a);
    }
    size_t tries = actions_shrink(&list, 10000, both_are_there, NULL);
    assert_int_equal(list.count, 2);
    assert_true(tries < 200);
    actions_free(&list);
    enum fuzz_verdict v;
    assert_true(fuzz_verdict_parse("hang", &v) && v == FUZZ_HANG);
    assert_false(fuzz_verdict_parse("boredom", &v));
}

/* A message with this id arrives as from `sender`, after each of these was sent. */
#define ID "aaaaaaaa-0000-4000-8000-000000000001"
#define OTHER_ID "aaaaaaaa-0000-4000-8000-000000000002"
#define SAYS(id, more) "{\"id\":\"" id "\",\"message_type\":\"x\",\"target\":\"pcp://c/agent\"" more "}"
#define FROM(uri) ",\"sender\":\"" uri "\""

static void only_what_nobody_else_can_have_said_is_a_lie(void **state) {
    (void)state;
    static const struct {
        const char *by[2], *text[2];
        bool lie;
    } cases[] = {
        {{"a"}, {SAYS(ID, FROM("pcp://b/agent"))}, true},
        {{"a"}, {SAYS(OTHER_ID, FROM("pcp://b/agent"))}, false},
        {{"b"}, {SAYS(ID, FROM("pcp://b/agent"))}, false},
        {{"a", "b"}, {SAYS(ID, FROM("pcp://b/agent")), SAYS(ID, FROM("pcp://b/agent"))}, false},
        {{"b", "a"}, {SAYS(ID, FROM("pcp://b/agent")), SAYS(ID, FROM("pcp://b/agent"))}, false},
        /* without a sender it gets its own from the broker */
        {{"a", "b"}, {SAYS(ID, FROM("pcp://b/agent")), SAYS(ID, "")}, false},
        {{"b", "a"}, {SAYS(ID, ""), SAYS(ID, FROM("pcp://b/agent"))}, false},
        {{"a", "a"}, {SAYS(ID, FROM("pcp://b/agent")), SAYS(ID, "")}, true},
        /* what we do not read, a milder broker may */
        {{"a", "b"}, {SAYS(ID, FROM("pcp://b/agent")), SAYS(ID, FROM("pcp://b/agent")) "\xff{"}, false},
        {{"a", "b"}, {SAYS(ID, FROM("pcp://b/agent")), SAYS(OTHER_ID, FROM("pcp://b/agent")) "\xff{"}, true},
        {{"a", "a"}, {SAYS(ID, FROM("pcp://b/agent")), SAYS(ID, FROM("pcp://b/agent")) "\xff{"}, true},
    };
    const struct pcp_message m = {.id = SPAN(ID), .sender = SPAN("pcp://b/agent")};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct said s = {0};
        for (size_t k = 0; k < 2 && cases[i].by[k] != NULL; k++) {
            said_note(&s, span_of(cases[i].by[k]), PCP_V2, span_of(cases[i].text[k]));
        }
        assert_int_equal(said_is_lie(&s, &m), cases[i].lie);
        said_free(&s);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_transcript_is_what_was_done),
        cmocka_unit_test(the_seed_decides),
        cmocka_unit_test(bad_transcripts_name_the_line),
        cmocka_unit_test(shrinking_leaves_what_matters),
        cmocka_unit_test(only_what_nobody_else_can_have_said_is_a_lie),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
