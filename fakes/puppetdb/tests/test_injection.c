/* Text in queries is text: whatever stands in it, in whatever place, nothing of it becomes SQL. */
#include "base/json.h"
#include "base/mem.h"
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const evil[] = {"x' OR '1'='1",    "x'; DROP TABLE certnames; --",
                                   "x\\\" OR 1=1 --", "x%' UNION SELECT 1 --",
                                   "x\\u0000y",       "'); ATTACH DATABASE '/tmp/x' AS y; --"};

static void check_query(struct bench *b, const char *text) {
    struct error err = ERROR_INIT;
    json_t *rows = fake_puppetdb_query(b->p, span_of(text), &err);
    assert_true((rows == NULL) == error_is_set(&err));
    if (rows != NULL) {
        assert_int_equal(json_array_size(rows), 0);
    }
    json_decref(rows);
    error_clear(&err);
}

static void text_stays_text(void **state) {
    struct bench *b = *state;
    static const char *const shapes[] = {
        "[\"from\",\"nodes\",[\"=\",\"certname\",\"%s\"]]",
        "[\"from\",\"facts\",[\"=\",\"name\",\"%s\"]]",
        "[\"from\",\"facts\",[\"=\",\"value\",\"%s\"]]",
        "[\"from\",\"nodes\",[\"~\",\"certname\",\"^%s$\"]]",
        "[\"from\",\"nodes\",[\"=\",[\"fact\",\"%s\"],\"y\"]]",
        "[\"from\",\"inventory\",[\"=\",\"facts.%s\",1]]",
        "[\"from\",\"resources\",[\"=\",\"tag\",\"%s\"]]",
        "[\"from\",\"resources\",[\"=\",[\"parameter\",\"%s\"],\"y\"]]",
        "[\"from\",\"nodes\",[\"in\",\"certname\",[\"array\",[\"%s\"]]]]",
        "[\"from\",\"%s\"]",
        "[\"from\",\"nodes\",[\"=\",\"%s\",\"x\"]]",
        "[\"from\",\"nodes\",[\"extract\",[\"%s\"],[\"=\",\"certname\",\"x\"]]]",
        "[\"from\",\"nodes\",[\"=\",\"certname\",\"nobody\"],[\"order_by\",[\"%s\"]]]",
        "nodes[certname]{ certname = \"%s\" }",
        "facts[value]{ name = \"%s\" }",
        "inventory[certname]{ facts.\"%s\" = 1 }",
    };
    for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
        for (size_t k = 0; k < sizeof evil / sizeof evil[0]; k++) {
            const char *at = strstr(shapes[i], "%s");
            char *text = str_printf("%.*s%s%s", (int)(at - shapes[i]), shapes[i], evil[k], at + 2);
            check_query(b, text);
            mem_free(text);
        }
    }
    bench_finds(b, "nodes[certname]{ certname = 'a1' }", "[{'certname': 'a1'}]"); /* all is still there */
}

static void commands_hold_text_only(void **state) {
    struct bench *b = *state;
    for (size_t k = 0; k < 3; k++) {
        json_t *payload =
            json_pack("{s:s, s:s, s:s, s:{s:s}, s:n}", "certname", "inject", "environment", evil[k],
                      "producer_timestamp", "2030-01-01T00:00:00Z", "values", evil[k], evil[k], "producer");
        struct error err = ERROR_INIT;
        fake_puppetdb_command(b->p, "replace facts", payload, &err);
        error_clear(&err);
        json_decref(payload);
    }
    bench_finds(b, "nodes[certname]{ certname = 'a1' }", "[{'certname': 'a1'}]");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(text_stays_text, bench_set_up, bench_tear_down),
        cmocka_unit_test_setup_teardown(commands_hold_text_only, bench_set_up, bench_tear_down),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
