/* Every frame of the reference broker's recordings through the codecs; what the broker itself wrote, byte for byte. */
#include "pcp/message.h"

#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct tally {
    size_t v1, v2, written_by_broker;
};

static struct buf scratch = BUF_INIT;

static void check_same(struct span got, struct span want) {
    if (!span_eq(got, want)) {
        print_message("want %.*s\ngot  %.*s\n", (int)want.len, want.ptr, (int)got.len, got.ptr);
    }
    assert_true(span_eq(got, want));
}

/* The reference appends the default sender after the targets, but an explicit one stands before them. */
static void forget_default_sender(struct pcp_message *m) {
    if (span_eq_cstr(m->sender, "pcp:///server") && !span_eq_cstr(m->message_type, PCP_ASSOCIATE_RESPONSE)) {
        m->sender = (struct span){NULL, 0};
    }
}

static void check_v1(struct span bytes, struct tally *t) {
    struct pcp_message m;
    struct buf again = BUF_INIT;
    assert_true(pcp_decode(PCP_V1, bytes, PCP_AS_CLIENT, &m, &scratch, NULL));
    forget_default_sender(&m);
    pcp_encode(PCP_V1, &m, &again);
    check_same(buf_span(&again), bytes);
    t->v1++;
    buf_free(&again);
}

static void check_v2(struct span text, struct tally *t) {
    struct pcp_message m, m1;
    struct buf again = BUF_INIT, as_v1 = BUF_INIT, scratch1 = BUF_INIT;
    assert_true(pcp_decode(PCP_V2, text, PCP_AS_CLIENT, &m, &scratch, NULL));
    check_same(m.raw, text);
    t->v2++;
    if (m.sender.len == 0 || span_eq_cstr(m.sender, "pcp:///server")) {
        pcp_encode(PCP_V2, &m, &again);
        check_same(buf_span(&again), text);
        t->written_by_broker++;
    }
    pcp_encode(PCP_V1, &m, &as_v1); /* and what version 1 can carry comes back */
    assert_true(pcp_decode(PCP_V1, buf_span(&as_v1), PCP_AS_CLIENT, &m1, &scratch1, NULL));
    assert_true(span_eq(m1.id, m.id) && span_eq(m1.message_type, m.message_type) && span_eq(m1.target, m.target));
    assert_true(span_eq(m1.data, span_eq_cstr(m.data, "null") ? (struct span){NULL, 0} : m.data));
    buf_free(&again);
    buf_free(&as_v1);
    buf_free(&scratch1);
}

static void check_step(const json_t *step, struct tally *t) {
    const char *kind = json_str(step, "recv"), *first_byte = json_str(step, "b0");
    if (kind == NULL || (first_byte != NULL && str_eq(first_byte, "0xc1"))) { /* that one is deflated */
        return;
    }
    struct span text = json_span(json_object_get(step, "payload")), hex = json_span(json_object_get(step, "hex"));
    if (str_eq(kind, "text") && text.len != 0 && !span_ends_with(text, "bytes)")) { /* shortened ones aside */
        check_v2(text, t);
    }
    if (str_eq(kind, "binary") && hex.len != 0) {
        struct buf bytes = BUF_INIT;
        assert_true(hex_decode(&bytes, hex));
        check_v1(buf_span(&bytes), t);
        buf_free(&bytes);
    }
}

static struct tally check_file(const char *name) {
    struct tally t = {0};
    char *path = str_printf("%s/scenarios/golden/pcp-broker/%s", SOURCE_DIR, name);
    json_error_t why;
    json_t *root = json_load_file(path, JSON_ALLOW_NUL, &why), *section, *step;
    const char *title;
    size_t i;
    if (root == NULL) {
        fail_msg("%s: %s", path, why.text);
    }
    json_object_foreach(root, title, section) {
        json_array_foreach(section, i, step) {
            check_step(step, &t);
        }
    }
    json_decref(root);
    mem_free(path);
    print_message("%s: %zu v1, %zu v2 frames, %zu of them written by the broker\n", name, t.v1, t.v2,
                  t.written_by_broker);
    return t;
}

static void conformance_frames(void **state) {
    (void)state;
    struct tally t = check_file("conformance.json");
    assert_true(t.v1 > 50);
    assert_true(t.v2 > 120);
    assert_true(t.written_by_broker > 90);
}

static void controller_shutdown_and_extra_frames(void **state) {
    (void)state;
    assert_true(check_file("controllers.json").v2 >= 10);
    assert_true(check_file("extra.json").v1 > 3);
    assert_true(check_file("shutdown.json").v2 >= 5);
}

static int clean_up(void **state) {
    (void)state;
    buf_free(&scratch);
    return 0;
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(conformance_frames),
        cmocka_unit_test(controller_shutdown_and_extra_frames),
    };
    return cmocka_run_group_tests(tests, NULL, clean_up);
}
