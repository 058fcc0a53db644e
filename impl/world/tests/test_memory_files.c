/* Files in memory: the same calls, one store, contents once. */
#include "world/memory_files.h"
#include "world/tests/harness.h"

#include <string.h>

struct agents {
    struct bench *b;
    struct memory_store *store;
    struct world one, two; /* two agents: the bench's world with files of their own */
};

static void agents_start(struct bench *b, struct agents *a) {
    *a = (struct agents){.b = b, .store = memory_store_new(), .one = *b->w, .two = *b->w};
    memory_files_join(a->store, &a->one);
    memory_files_join(a->store, &a->two);
}

static void agents_stop(struct agents *a) {
    memory_files_leave(&a->one);
    memory_files_leave(&a->two);
    assert_int_equal(memory_store_bytes(a->store), 0);
    memory_store_free(a->store);
}

static void must_write(struct world *w, const char *path, const char *text, enum world_write how) {
    struct error err = ERROR_INIT;
    if (!world_file_write(w, path, span_of(text), 0640, how, &err)) {
        fail_msg("%s", err.msg);
    }
}

static void expect_text(struct world *w, const char *path, const char *text) {
    struct buf out = BUF_INIT;
    assert_true(world_file_read(w, path, 1000000, &out, NULL));
    assert_int_equal(out.len, strlen(text));
    assert_true(span_eq_cstr(buf_span(&out), text));
    buf_free(&out);
}

static void expect(bool ok, struct error *err, const char *kind) {
    assert_false(ok);
    assert_string_equal(err->kind, kind);
    error_clear(err);
}

static void contents_are_shared_trees_are_not(void **state) {
    struct agents a;
    agents_start(*state, &a);
    must_write(&a.one, "/task", "#!/bin/sh\n", WORLD_WRITE_ATOMIC);
    assert_int_equal(memory_store_bytes(a.store), 10);
    must_write(&a.two, "/cached", "#!/bin/sh\n", WORLD_WRITE_NEW);
    assert_int_equal(memory_store_bytes(a.store), 10);
    struct error err = ERROR_INIT;
    struct world_stat st;
    expect(world_file_stat(&a.two, "/task", &st, &err), &err, "world/not-found");
    must_write(&a.one, "/task", "changed", WORLD_WRITE_PLAIN); /* for one only */
    assert_int_equal(memory_store_bytes(a.store), 17);
    expect_text(&a.two, "/cached", "#!/bin/sh\n");
    expect_text(&a.one, "/task", "changed");
    assert_true(world_file_remove(&a.two, "/cached", false, NULL));
    assert_int_equal(memory_store_bytes(a.store), 7);
    agents_stop(&a);
}

static void as_files_do(void **state) {
    struct agents a;
    agents_start(*state, &a);
    struct world *w = &a.one;
    struct world_stat st;
    struct buf out = BUF_INIT;
    assert_true(world_file_mkdir(w, "/var/spool/agent", 0750, true, NULL));
    must_write(w, "/var/spool/agent/a", "one", WORLD_WRITE_PLAIN);
    must_write(w, "/var/spool/agent/a", " two", WORLD_WRITE_APPEND);
    must_write(w, "/var/spool/agent/b", "", WORLD_WRITE_APPEND);
    expect_text(w, "/var/spool/agent/a", "one two");
    expect_text(w, "/var/spool/agent/b", "");
    assert_true(world_file_stat(w, "/var/spool/agent/a", &st, NULL));
    assert_true(st.is_file && !st.is_dir && st.size == 7 && st.mode == 0640 && st.modified_ms >= a.b->now_ms);
    assert_true(world_file_chmod(w, "/var/spool/agent/a", 0755, NULL));
    assert_true(world_file_lstat(w, "/var/spool/agent/a", &st, NULL));
    assert_int_equal(st.mode, 0755);
    assert_true(world_file_read_at(w, "/var/spool/agent/a", 4, 2, &out, NULL));
    assert_string_equal(out.ptr, "tw");
    assert_true(world_file_read_at(w, "/var/spool/agent/a", 100, 2, &out, NULL));
    assert_int_equal(out.len, 2);
    char **names;
    size_t count;
    assert_true(world_file_list(w, "/var/spool/agent/", &names, &count, NULL));
    assert_int_equal(count, 2);
    assert_string_equal(names[0], "a");
    assert_string_equal(names[1], "b");
    world_names_free(names, count);
    /* a directory moves with all it holds */
    assert_true(world_file_rename(w, "/var/spool/agent", "/var/lib", NULL));
    expect_text(w, "/var/lib/a", "one two");
    assert_true(world_file_rename(w, "/var/lib/a", "/var/lib/b", NULL));
    expect_text(w, "/var/lib/b", "one two");
    assert_true(world_file_list(w, "/", &names, &count, NULL));
    assert_int_equal(count, 1);
    world_names_free(names, count);
    assert_true(world_file_sync(w, "/var/lib/b", NULL));
    assert_true(world_file_remove(w, "/var", true, NULL));
    assert_null(world_sqlite_vfs(w));
    buf_free(&out);
    agents_stop(&a);
}

static void each_kind_of_error(void **state) {
    struct agents a;
    agents_start(*state, &a);
    struct world *w = &a.one;
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;
    char **names;
    size_t count;
    must_write(w, "/file", "content", WORLD_WRITE_NEW);
    assert_true(world_file_mkdir(w, "/full/of", 0755, true, NULL));
    expect(world_file_read(w, "/absent", 10, &out, &err), &err, "world/not-found");
    expect(world_file_list(w, "/absent", &names, &count, &err), &err, "world/not-found");
    expect(world_file_remove(w, "/absent", false, &err), &err, "world/not-found");
    expect(world_file_rename(w, "/absent", "/x", &err), &err, "world/not-found");
    expect(world_file_rename(w, "/file", "/no/where", &err), &err, "world/not-found");
    expect(world_file_chmod(w, "/absent", 0600, &err), &err, "world/not-found");
    expect(world_file_sync(w, "/absent", &err), &err, "world/not-found");
    expect(world_file_mkdir(w, "/no/where", 0755, false, &err), &err, "world/not-found");
    expect(world_file_mkdir(w, "/file", 0755, false, &err), &err, "world/exists");
    expect(world_file_write(w, "/file", SPAN("x"), 0600, WORLD_WRITE_NEW, &err), &err, "world/exists");
    expect(world_file_write(w, "/file/x", SPAN("x"), 0600, WORLD_WRITE_PLAIN, &err), &err, "world/not-directory");
    expect(world_file_write(w, "/full", SPAN("x"), 0600, WORLD_WRITE_PLAIN, &err), &err, "world/io");
    expect(world_file_list(w, "/file", &names, &count, &err), &err, "world/not-directory");
    expect(world_file_remove(w, "/full", false, &err), &err, "world/not-empty");
    expect(world_file_rename(w, "/file", "/full", &err), &err, "world/not-empty");
    expect(world_file_rename(w, "/file", "/full/of", &err), &err, "world/not-directory");
    expect(world_file_read(w, "/file", 3, &out, &err), &err, "world/too-large");
    expect(world_file_read(w, "/full", 3, &out, &err), &err, "world/io");
    assert_int_equal(out.len, 0);
    buf_free(&out);
    agents_stop(&a);
}

static void there_are_no_links(void **state) {
    struct agents a;
    struct error err = ERROR_INIT;
    agents_start(*state, &a);
    must_write(&a.one, "/file", "x", WORLD_WRITE_PLAIN);
    expect(world_file_symlink(&a.one, "file", "/link", &err), &err, "world/io");
    expect(world_file_readlink(&a.one, "/file", &err) != NULL, &err, "world/io");
    expect(world_file_readlink(&a.one, "/link", &err) != NULL, &err, "world/not-found");
    agents_stop(&a);
}

static void too_large(void **state) {
    struct agents a;
    agents_start(*state, &a);
    struct error err = ERROR_INIT;
    struct world_file *f = world_file_open(&a.one, "/huge", 0600, WORLD_WRITE_ATOMIC, NULL);
    char *piece = mem_zalloc(MEMORY_FILES_MAX / 2);
    assert_true(world_file_put(f, span_bytes(piece, MEMORY_FILES_MAX / 2), NULL));
    assert_true(world_file_put(f, span_bytes(piece, MEMORY_FILES_MAX / 2), NULL));
    expect(world_file_put(f, SPAN("x"), &err), &err, "world/full");
    assert_true(world_file_close(f, false, NULL));
    struct world_stat st;
    expect(world_file_stat(&a.one, "/huge", &st, &err), &err, "world/not-found"); /* was to be atomic */
    mem_free(piece);
    agents_stop(&a);
}

static void never(void *ctx) {
    (void)ctx;
    fail();
}

static void watch_is_silent(void **state) {
    struct agents a;
    agents_start(*state, &a);
    struct world_watch *watch = world_watch(&a.one, "/x", never, NULL);
    must_write(&a.one, "/x", "y", WORLD_WRITE_PLAIN);
    real_world_turn(a.b->w, false);
    world_watch_close(watch);
    agents_stop(&a);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(contents_are_shared_trees_are_not),
        CASE(as_files_do),
        CASE(each_kind_of_error),
        CASE(there_are_no_links),
        CASE(too_large),
        CASE(watch_is_silent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
