/* Files, watches, and databases through the world's VFS. */
#include "contract.h"

#include "base/mem.h"
#include <sqlite3.h>

static void put(struct contract *c, const char *path, const char *text, enum world_write how) {
    struct error err = ERROR_INIT;
    contract_must(world_file_write(c->w, path, span_of(text), 0640, how, &err), &err);
}

static void assert_content(struct contract *c, const char *path, const char *text) {
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT;
    contract_must(world_file_read(c->w, path, 1 << 20, &b, &err), &err);
    assert_string_equal(b.ptr != NULL ? b.ptr : "", text);
    buf_free(&b);
}

static bool is_there(struct contract *c, const char *path) {
    struct world_stat st;
    return world_file_lstat(c->w, path, &st, NULL);
}

static void test_write_modes(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    char *a = contract_path(c, "a");
    put(c, a, "one", WORLD_WRITE_NEW);
    contract_fails(world_file_write(c->w, a, SPAN("x"), 0600, WORLD_WRITE_NEW, &err), &err, "world/exists");
    put(c, a, " two", WORLD_WRITE_APPEND);
    assert_content(c, a, "one two");
    put(c, a, "three", WORLD_WRITE_PLAIN);
    assert_content(c, a, "three");
    put(c, a, "four", WORLD_WRITE_ATOMIC);
    assert_content(c, a, "four");
    char *b = contract_path(c, "b");
    put(c, b, "", WORLD_WRITE_APPEND);
    assert_content(c, b, "");
    mem_free(a);
    mem_free(b);
}

static void test_stat(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    struct world_stat st;
    char *a = contract_path(c, "a");
    put(c, a, "hello", WORLD_WRITE_PLAIN);
    contract_must(world_file_stat(c->w, a, &st, &err), &err);
    assert_true(st.is_file && !st.is_dir && !st.is_link);
    assert_int_equal(st.size, 5);
    assert_int_equal(st.mode, 0640);
    assert_in_range(world_wall_ms(c->w) - st.modified_ms + 2000, 0, 60000);
    contract_must(world_file_chmod(c->w, a, 0600, &err), &err);
    contract_must(world_file_stat(c->w, a, &st, &err), &err);
    assert_int_equal(st.mode, 0600);
    contract_must(world_file_stat(c->w, c->dir, &st, &err), &err);
    assert_true(st.is_dir && !st.is_file);
    mem_free(a);
}

static void test_absent(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    struct world_stat st;
    struct buf b = BUF_INIT;
    char **names;
    size_t count;
    char *no = contract_path(c, "no"), *below = contract_path(c, "no/such");
    contract_fails(world_file_stat(c->w, no, &st, &err), &err, "world/not-found");
    contract_fails(world_file_lstat(c->w, no, &st, &err), &err, "world/not-found");
    contract_fails(world_file_read(c->w, no, 10, &b, &err), &err, "world/not-found");
    contract_fails(world_file_write(c->w, below, SPAN("x"), 0600, WORLD_WRITE_PLAIN, &err), &err, "world/not-found");
    contract_fails(world_file_write(c->w, below, SPAN("x"), 0600, WORLD_WRITE_ATOMIC, &err), &err, "world/not-found");
    contract_fails(world_file_mkdir(c->w, below, 0700, false, &err), &err, "world/not-found");
    contract_fails(world_file_rename(c->w, no, below, &err), &err, "world/not-found");
    contract_fails(world_file_remove(c->w, no, false, &err), &err, "world/not-found");
    contract_fails(world_file_remove(c->w, no, true, &err), &err, "world/not-found");
    contract_fails(world_file_chmod(c->w, no, 0600, &err), &err, "world/not-found");
    contract_fails(world_file_sync(c->w, no, &err), &err, "world/not-found");
    contract_fails(world_file_list(c->w, no, &names, &count, &err), &err, "world/not-found");
    buf_free(&b);
    mem_free(no);
    mem_free(below);
}

static void test_a_file_is_no_directory(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    struct world_stat st;
    char **names;
    size_t count;
    char *a = contract_path(c, "a"), *below = contract_path(c, "a/b");
    put(c, a, "x", WORLD_WRITE_PLAIN);
    contract_fails(world_file_stat(c->w, below, &st, &err), &err, "world/not-directory");
    contract_fails(world_file_write(c->w, below, SPAN("x"), 0600, WORLD_WRITE_PLAIN, &err), &err,
                   "world/not-directory");
    contract_fails(world_file_mkdir(c->w, below, 0700, true, &err), &err, "world/not-directory");
    contract_fails(world_file_mkdir(c->w, a, 0700, false, &err), &err, "world/exists");
    contract_fails(world_file_list(c->w, a, &names, &count, &err), &err, "world/not-directory");
    mem_free(a);
    mem_free(below);
}

static void test_read_parts_and_limits(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT;
    char *a = contract_path(c, "a");
    put(c, a, "0123456789", WORLD_WRITE_PLAIN);
    buf_append_cstr(&b, ">");
    contract_must(world_file_read_at(c->w, a, 3, 4, &b, &err), &err);
    assert_string_equal(b.ptr, ">3456");
    contract_must(world_file_read_at(c->w, a, 8, 100, &b, &err), &err);
    assert_string_equal(b.ptr, ">345689");
    contract_must(world_file_read_at(c->w, a, 10, 100, &b, &err), &err);
    contract_must(world_file_read_at(c->w, a, 1000, 100, &b, &err), &err);
    assert_int_equal(b.len, 7);
    contract_must(world_file_read(c->w, a, 10, &b, &err), &err);
    assert_int_equal(b.len, 17);
    contract_fails(world_file_read(c->w, a, 9, &b, &err), &err, "world/too-large");
    assert_int_equal(b.len, 17);
    buf_free(&b);
    mem_free(a);
}

static void test_directories(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    char *deep = contract_path(c, "x/y/z"), *x = contract_path(c, "x");
    contract_must(world_file_mkdir(c->w, deep, 0750, true, &err), &err);
    contract_must(world_file_mkdir(c->w, deep, 0750, true, &err), &err); /* exists: fine */
    contract_must(world_file_mkdir(c->w, deep, 0750, false, &err), &err);
    struct world_stat st;
    contract_must(world_file_stat(c->w, deep, &st, &err), &err);
    assert_int_equal(st.mode, 0750);
    static const char *const in[] = {"x/b", "x/a10", "x/a2", "x/B", "x/\xc3\xa4"};
    for (size_t i = 0; i < 5; i++) {
        char *path = contract_path(c, in[i]);
        put(c, path, "", WORLD_WRITE_PLAIN);
        mem_free(path);
    }
    char **names;
    size_t count;
    contract_must(world_file_list(c->w, x, &names, &count, &err), &err);
    static const char *const sorted[] = {"B", "a10", "a2", "b", "y", "\xc3\xa4"};
    assert_int_equal(count, 6);
    for (size_t i = 0; i < 6; i++) {
        assert_string_equal(names[i], sorted[i]);
    }
    world_names_free(names, count);
    contract_fails(world_file_remove(c->w, x, false, &err), &err, "world/not-empty");
    contract_must(world_file_remove(c->w, x, true, &err), &err);
    assert_false(is_there(c, x));
    mem_free(deep);
    mem_free(x);
}

static void test_rename(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    char *a = contract_path(c, "a"), *b = contract_path(c, "b"), *d = contract_path(c, "d"), *e = contract_path(c, "e");
    char *in_d = contract_path(c, "d/f"), *in_e = contract_path(c, "e/f");
    put(c, a, "A", WORLD_WRITE_PLAIN);
    put(c, b, "B", WORLD_WRITE_PLAIN);
    contract_must(world_file_rename(c->w, a, b, &err), &err);
    assert_content(c, b, "A");
    assert_false(is_there(c, a));
    contract_must(world_file_rename(c->w, b, b, &err), &err);
    contract_must(world_file_mkdir(c->w, d, 0700, false, &err), &err);
    contract_must(world_file_rename(c->w, b, in_d, &err), &err);
    contract_must(world_file_rename(c->w, d, e, &err), &err);
    assert_content(c, in_e, "A");
    contract_must(world_file_mkdir(c->w, d, 0700, false, &err), &err);
    contract_fails(world_file_rename(c->w, d, e, &err), &err, "world/not-empty");
    contract_must(world_file_rename(c->w, e, d, &err), &err); /* over an empty directory */
    assert_content(c, in_d, "A");
    mem_free(a);
    mem_free(b);
    mem_free(d);
    mem_free(e);
    mem_free(in_d);
    mem_free(in_e);
}

static void test_links(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    struct world_stat st;
    char *target = contract_path(c, "target"), *link = contract_path(c, "link"), *dir = contract_path(c, "dir");
    char *to_dir = contract_path(c, "dir/outside"), *kept = contract_path(c, "kept"),
         *inside = contract_path(c, "kept/f");
    put(c, target, "T", WORLD_WRITE_PLAIN);
    contract_must(world_file_symlink(c->w, "target", link, &err), &err);
    contract_must(world_file_lstat(c->w, link, &st, &err), &err);
    assert_true(st.is_link && !st.is_file);
    char *read = world_file_readlink(c->w, link, &err);
    contract_must(read != NULL, &err);
    assert_string_equal(read, "target"); /* as it was written, not as it resolves */
    mem_free(read);
    contract_fails(world_file_readlink(c->w, target, &err) != NULL, &err, "world/io");
    contract_fails(world_file_readlink(c->w, kept, &err) != NULL, &err, "world/not-found");
    contract_must(world_file_stat(c->w, link, &st, &err), &err);
    assert_true(st.is_file && !st.is_link);
    assert_content(c, link, "T");
    put(c, link, "U", WORLD_WRITE_PLAIN); /* written through */
    assert_content(c, target, "U");
    contract_fails(world_file_write(c->w, link, SPAN("x"), 0600, WORLD_WRITE_NEW, &err), &err, "world/exists");
    put(c, link, "V", WORLD_WRITE_ATOMIC); /* replaces the link */
    assert_content(c, target, "U");
    contract_must(world_file_lstat(c->w, link, &st, &err), &err);
    assert_true(st.is_file);
    /* A recursive removal takes the link, not what it leads to. */
    contract_must(world_file_mkdir(c->w, dir, 0700, false, &err), &err);
    contract_must(world_file_mkdir(c->w, kept, 0700, false, &err), &err);
    put(c, inside, "F", WORLD_WRITE_PLAIN);
    contract_must(world_file_symlink(c->w, kept, to_dir, &err), &err);
    contract_must(world_file_remove(c->w, dir, true, &err), &err);
    assert_content(c, inside, "F");
    contract_fails(world_file_symlink(c->w, "x", link, &err), &err, "world/exists");
    mem_free(target);
    mem_free(link);
    mem_free(dir);
    mem_free(to_dir);
    mem_free(kept);
    mem_free(inside);
}

static void test_piece_by_piece(void **state) {
    struct contract *c = *state;
    struct error err = ERROR_INIT;
    char *a = contract_path(c, "a");
    put(c, a, "old", WORLD_WRITE_PLAIN);
    struct world_file *f = world_file_open(c->w, a, 0600, WORLD_WRITE_ATOMIC, &err);
    contract_must(f != NULL, &err);
    contract_must(world_file_put(f, SPAN("ne"), &err), &err);
    assert_content(c, a, "old");
    contract_must(world_file_put(f, SPAN("w"), &err), &err);
    contract_must(world_file_close(f, true, &err), &err);
    assert_content(c, a, "new");
    f = world_file_open(c->w, a, 0600, WORLD_WRITE_ATOMIC, &err);
    contract_must(world_file_put(f, SPAN("dropped"), &err), &err);
    contract_must(world_file_close(f, false, &err), &err);
    assert_content(c, a, "new");
    assert_true(world_file_close(NULL, true, &err));
    char **names;
    size_t count;
    contract_must(world_file_list(c->w, c->dir, &names, &count, &err), &err);
    assert_int_equal(count, 1); /* no temporary file is left */
    world_names_free(names, count);
    contract_must(world_file_sync(c->w, a, &err), &err);
    contract_must(world_file_sync(c->w, c->dir, &err), &err);
    mem_free(a);
}

/* ---- watches */

static void count_change(void *ctx) {
    ++*(int *)ctx;
}
static bool changed(void *ctx) {
    return *(int *)ctx != 0;
}

static void test_watch(void **state) {
    struct contract *c = *state;
    char *a = contract_path(c, "a"), *b = contract_path(c, "b");
    put(c, a, "1", WORLD_WRITE_PLAIN);
    put(c, b, "1", WORLD_WRITE_PLAIN);
    int changes = 0, others = 0, in_dir = 0;
    struct world_watch *watch = world_watch(c->w, a, count_change, &changes);
    struct world_watch *other = world_watch(c->w, b, count_change, &others);
    struct world_watch *dir = world_watch(c->w, c->dir, count_change, &in_dir);
    contract_pass(c, 100);
    changes = others = in_dir = 0;
    put(c, a, "2", WORLD_WRITE_PLAIN);
    contract_until(c, changed, &changes);
    contract_pass(c, 300);
    changes = 0;
    put(c, a, "3", WORLD_WRITE_ATOMIC); /* a rename over it */
    contract_until(c, changed, &changes);
    contract_pass(c, 300);
    changes = in_dir = 0;
    char *fresh = contract_path(c, "fresh");
    put(c, fresh, "x", WORLD_WRITE_PLAIN);
    contract_until(c, changed, &in_dir);
    assert_int_equal(others, 0);
    world_watch_close(watch);
    world_watch_close(dir);
    contract_pass(c, 300);
    changes = 0;
    put(c, a, "4", WORLD_WRITE_PLAIN);
    contract_pass(c, 300);
    assert_int_equal(changes, 0);
    world_watch_close(other);
    world_watch_close(NULL);
    mem_free(fresh);
    mem_free(a);
    mem_free(b);
}

/* ---- databases */

static void test_database(void **state) {
    struct contract *c = *state;
    char *path = contract_path(c, "test.db");
    sqlite3 *db;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, world_sqlite_vfs(c->w)),
                         SQLITE_OK);
        assert_int_equal(sqlite3_exec(db,
                                      "PRAGMA locking_mode=EXCLUSIVE; PRAGMA journal_mode=WAL;"
                                      "CREATE TABLE IF NOT EXISTS t (a); INSERT INTO t VALUES (randomblob(100000))",
                                      NULL, NULL, NULL),
                         SQLITE_OK);
        sqlite3_stmt *count;
        assert_int_equal(sqlite3_prepare_v2(db, "SELECT count(*) FROM t", -1, &count, NULL), SQLITE_OK);
        assert_int_equal(sqlite3_step(count), SQLITE_ROW);
        assert_int_equal(sqlite3_column_int(count, 0), round + 1);
        sqlite3_finalize(count);
        assert_int_equal(sqlite3_close(db), SQLITE_OK);
    }
    assert_true(is_there(c, path)); /* where the world's files are */
    mem_free(path);
}

int contract_files(void) {
    const struct CMUnitTest tests[] = {
        CONTRACT(test_write_modes),
        CONTRACT(test_stat),
        CONTRACT(test_absent),
        CONTRACT(test_a_file_is_no_directory),
        CONTRACT(test_read_parts_and_limits),
        CONTRACT(test_directories),
        CONTRACT(test_rename),
        CONTRACT(test_links),
        CONTRACT(test_piece_by_piece),
        CONTRACT(test_watch),
        CONTRACT(test_database),
    };
    return cmocka_run_group_tests_name("files", tests, NULL, NULL);
}
