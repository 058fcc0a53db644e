/* A machine without libcurl: everything works but requests, and they say why. */
#include "base/mem.h"
#include "world/real.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* In place of the system's. */
void *dlopen(const char *file, int mode);
char *dlerror(void);

void *dlopen(const char *file, int mode) {
    (void)file, (void)mode;
    return NULL;
}

char *dlerror(void) {
    static char text[] = "libcurl.so.4: cannot open shared object file";
    return text;
}

struct answer {
    bool came;
    char *kind, *msg;
};

static void done(void *ctx, const struct world_response *r) {
    struct answer *a = ctx;
    a->came = true;
    a->kind = r->err != NULL ? str_dup(r->err->kind) : NULL;
    a->msg = r->err != NULL ? str_dup(r->err->msg) : NULL;
    assert_int_equal(r->status, 0);
}

static void test_a_request_says_what_is_missing(void **state) {
    (void)state;
    struct world *w = real_world_new(NULL);
    for (int i = 0; i < 2; i++) {
        struct answer a = {0};
        const struct world_fetch_opts opts = {.url = "http://127.0.0.1:1/x"};
        world_fetch(w, &opts, done, &a);
        assert_false(a.came);
        while (!a.came) {
            real_world_turn(w, true);
        }
        assert_string_equal(a.kind, "world/protocol");
        assert_string_equal(a.msg, "http://127.0.0.1:1/x: libcurl cannot be loaded: "
                                   "libcurl.so.4: cannot open shared object file");
        mem_free(a.kind);
        mem_free(a.msg);
    }
    real_world_free(w);
}

static void test_a_request_can_be_cancelled(void **state) {
    (void)state;
    struct world *w = real_world_new(NULL);
    struct answer a = {0};
    const struct world_fetch_opts opts = {.url = "http://127.0.0.1:1/x"};
    world_fetch_cancel(world_fetch(w, &opts, done, &a));
    while (real_world_turn(w, false)) {
    }
    assert_false(a.came);
    world_fetch(w, &opts, done, &a); /* still there when the world ends */
    real_world_free(w);
    assert_false(a.came);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_request_says_what_is_missing),
        cmocka_unit_test(test_a_request_can_be_cancelled),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
