/* Tags come in the order in which the real PuppetDB gives them. */
#include "base/json.h"
#include "base/mem.h"
#include "fakes/puppetdb/textset.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int by_text(const void *a, const void *b) {
    return strcmp(json_string_value(*(json_t *const *)a), json_string_value(*(json_t *const *)b));
}

/* The same texts, alphabetically and each twice. */
static json_t *shuffled(const json_t *tags) {
    size_t count = json_array_size(tags);
    json_t **items = mem_array(count + 1, sizeof(*items)), *list = json_array();
    for (size_t i = 0; i < count; i++) {
        items[i] = json_array_get(tags, i);
    }
    qsort(items, count, sizeof(*items), by_text);
    for (size_t i = 0; i < 2 * count; i++) {
        json_array_append(list, items[i % count]);
    }
    mem_free(items);
    return list;
}

static void tags_have_this_order(void **state) {
    (void)state;
    static const char *const recorded[][11] = {
        {"web", "class", "zone-b", "tier1", "front", "tier2", "front::proxy", "édge", "zone-a", "proxy"},
        {"web", "file", "proxy"},
        {"class", "mymod::db", "db", "mymod"},
        {"settings", "class"},
        {"mymod::broken", "class", "will-fail", "exec", "broken", "exported", "db", "notify", "node"},
    };
    for (size_t i = 0; i < sizeof recorded / sizeof recorded[0]; i++) {
        json_t *tags = json_array();
        for (size_t k = 0; recorded[i][k] != NULL; k++) {
            json_array_append_new(tags, json_string(recorded[i][k]));
        }
        json_t *list = shuffled(tags), *set = textset_of(list);
        assert_true(json_equal(set, tags));
        json_decref(tags);
        json_decref(list);
        json_decref(set);
    }
}

static void odd_lists_are_sets_too(void **state) {
    (void)state;
    json_t *none = textset_of(NULL);
    assert_int_equal(json_array_size(none), 0);
    json_decref(none);
    json_t *mixed = json_pack("[s, i, s, n, s]", "", 1, "\xc3\xa9", "\xf0\x9f\x9a\x80"), *set = textset_of(mixed);
    assert_int_equal(json_array_size(set), 3);
    json_decref(mixed);
    json_decref(set);
}

int main(void) {
    mem_init_libraries();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tags_have_this_order),
        cmocka_unit_test(odd_lists_are_sets_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
