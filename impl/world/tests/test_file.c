/* Files of the real world: each kind of error, links, modes, atomic writes, watches. */
#include "world/tests/harness.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int mode_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (int)(st.st_mode & 07777);
}

static void expect(bool ok, struct error *err, const char *kind, const char *path) {
    assert_false(ok);
    if (strcmp(err->kind, kind) != 0 || strstr(err->msg, path) == NULL) {
        fail_msg("%s: %s (not %s)", err->kind, err->msg, kind);
    }
    error_clear(err);
}

static void each_kind_of_error(void **state) {
    struct bench *b = *state;
    struct world *w = b->w;
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;
    struct world_stat st;
    char **names;
    size_t count;
    bench_write(b, "file", "content");
    assert_true(world_file_mkdir(w, bench_path(b, "full/of"), 0755, true, NULL));
    const char *absent = bench_path(b, "absent"), *file = bench_path(b, "file"), *below = bench_path(b, "file/below"),
               *full = bench_path(b, "full"), *deep = bench_path(b, "no/where");
    expect(world_file_read(w, absent, 10, &out, &err), &err, "world/not-found", absent);
    expect(world_file_stat(w, absent, &st, &err), &err, "world/not-found", absent);
    expect(world_file_lstat(w, absent, &st, &err), &err, "world/not-found", absent);
    expect(world_file_list(w, absent, &names, &count, &err), &err, "world/not-found", absent);
    expect(world_file_remove(w, absent, false, &err), &err, "world/not-found", absent);
    expect(world_file_remove(w, absent, true, &err), &err, "world/not-found", absent);
    expect(world_file_rename(w, absent, file, &err), &err, "world/not-found", absent);
    expect(world_file_chmod(w, absent, 0600, &err), &err, "world/not-found", absent);
    expect(world_file_sync(w, absent, &err), &err, "world/not-found", absent);
    expect(world_file_mkdir(w, deep, 0755, false, &err), &err, "world/not-found", deep);
    for (int how = WORLD_WRITE_PLAIN; how <= WORLD_WRITE_NEW; how++) {
        expect(world_file_write(w, deep, SPAN("x"), 0600, (enum world_write)how, &err), &err, "world/not-found", deep);
        expect(world_file_write(w, below, SPAN("x"), 0600, (enum world_write)how, &err), &err, "world/not-directory",
               below);
    }
    expect(world_file_write(w, file, SPAN("x"), 0600, WORLD_WRITE_NEW, &err), &err, "world/exists", file);
    expect(world_file_mkdir(w, file, 0755, false, &err), &err, "world/exists", file);
    expect(world_file_read(w, below, 10, &out, &err), &err, "world/not-directory", below);
    expect(world_file_list(w, file, &names, &count, &err), &err, "world/not-directory", file);
    expect(world_file_remove(w, full, false, &err), &err, "world/not-empty", full);
    expect(world_file_read(w, file, 6, &out, &err), &err, "world/too-large", file);
    expect(world_file_read(w, full, 6, &out, &err), &err, "world/io", full);
    expect(world_file_write(w, full, SPAN("x"), 0600, WORLD_WRITE_PLAIN, &err), &err, "world/io", full);
    expect(world_file_write(w, "/dev/full", SPAN("x"), 0600, WORLD_WRITE_PLAIN, &err), &err, "world/full", "/dev/full");
    expect(world_file_write(w, "/proc/dalang", SPAN("x"), 0600, WORLD_WRITE_NEW, &err), &err, "world/not-found",
           "/proc/dalang");
    assert_int_equal(out.len, 0);
    assert_true(world_file_read(w, file, 7, &out, &err));
    assert_string_equal(out.ptr, "content");
    buf_free(&out);
}

static void permission(void **state) {
    struct bench *b = *state;
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;
    if (getuid() != 0) {
        bench_write(b, "locked", "x");
        world_file_chmod(b->w, bench_path(b, "locked"), 0, NULL);
        expect(world_file_read(b->w, bench_path(b, "locked"), 10, &out, &err), &err, "world/permission", "locked");
        return;
    }
    /* root may do everything, except write to what the kernel keeps read-only */
    struct world_stat st;
    if (!world_file_stat(b->w, "/sys/kernel/notes", &st, NULL)) {
        skip(); /* no /sys here, as in a bare chroot */
    }
    assert_false(world_file_write(b->w, "/sys/kernel/notes", SPAN("x"), 0600, WORLD_WRITE_PLAIN, &err));
    assert_string_equal(err.kind, "world/permission");
    error_clear(&err);
}

static void pipes_and_devices_do_not_block(void **state) {
    struct bench *b = *state;
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;
    const char *fifo = bench_path(b, "fifo");
    assert_int_equal(mkfifo(fifo, 0600), 0);
    expect(world_file_read(b->w, fifo, 10, &out, &err), &err, "world/io", fifo);
    expect(world_file_read(b->w, "/dev/zero", 10, &out, &err), &err, "world/io", "/dev/zero");
    assert_true(world_file_read(b->w, "/proc/self/status", 100000, &out, &err)); /* has no size, but content */
    assert_true(out.len > 100);
    buf_free(&out);
}

static void links(void **state) {
    struct bench *b = *state;
    struct world *w = b->w;
    struct error err = ERROR_INIT;
    struct buf out = BUF_INIT;
    struct world_stat st;
    const char *target = bench_path(b, "target"), *link_path = bench_path(b, "link"), *loop = bench_path(b, "loop");
    assert_true(world_file_symlink(w, target, link_path, &err));
    assert_true(world_file_symlink(w, loop, loop, &err));
    /* a new file is never made through a link */
    expect(world_file_write(w, link_path, SPAN("x"), 0600, WORLD_WRITE_NEW, &err), &err, "world/exists", link_path);
    assert_int_equal(access(target, F_OK), -1);
    expect(world_file_read(w, loop, 10, &out, &err), &err, "world/io", loop);
    assert_true(world_file_write(w, link_path, SPAN("through"), 0600, WORLD_WRITE_PLAIN, &err));
    assert_true(world_file_lstat(w, link_path, &st, &err));
    assert_true(st.is_link && !st.is_file);
    assert_true(world_file_stat(w, link_path, &st, &err));
    assert_true(st.is_file && st.size == 7);
    /* an atomic write replaces the link, not what it leads to */
    assert_true(world_file_write(w, link_path, SPAN("instead"), 0600, WORLD_WRITE_ATOMIC, &err));
    assert_true(world_file_lstat(w, link_path, &st, &err));
    assert_true(st.is_file);
    assert_true(world_file_read(w, target, 10, &out, &err));
    assert_string_equal(out.ptr, "through");
    /* removing a tree does not follow one out of it */
    assert_true(world_file_mkdir(w, bench_path(b, "tree"), 0755, false, &err));
    assert_true(world_file_mkdir(w, bench_path(b, "outside"), 0755, false, &err));
    bench_write(b, "outside/keep", "x");
    assert_true(world_file_symlink(w, bench_path(b, "outside"), bench_path(b, "tree/out"), &err));
    assert_true(world_file_remove(w, bench_path(b, "tree"), true, &err));
    assert_int_equal(access(bench_path(b, "outside/keep"), F_OK), 0);
    buf_free(&out);
}

static void modes_are_exact(void **state) {
    struct bench *b = *state;
    struct world *w = b->w;
    mode_t before = umask(077);
    static const char *const files[] = {"plain", "append", "atomic", "new"};
    for (int how = WORLD_WRITE_PLAIN; how <= WORLD_WRITE_NEW; how++) {
        const char *path = bench_path(b, files[how]);
        assert_true(world_file_write(w, path, SPAN("x"), 0664, (enum world_write)how, NULL));
        assert_int_equal(mode_of(path), 0664);
    }
    assert_true(world_file_mkdir(w, bench_path(b, "dir/sub"), 0775, true, NULL));
    assert_int_equal(mode_of(bench_path(b, "dir")), 0775);
    assert_int_equal(mode_of(bench_path(b, "dir/sub")), 0775);
    umask(before);
    /* what is there keeps its own, unless it is replaced */
    assert_true(world_file_write(w, bench_path(b, "plain"), SPAN("y"), 0600, WORLD_WRITE_PLAIN, NULL));
    assert_int_equal(mode_of(bench_path(b, "plain")), 0664);
    assert_true(world_file_write(w, bench_path(b, "plain"), SPAN("y"), 0600, WORLD_WRITE_ATOMIC, NULL));
    assert_int_equal(mode_of(bench_path(b, "plain")), 0600);
    assert_true(world_file_chmod(w, bench_path(b, "plain"), 0751, NULL));
    assert_int_equal(mode_of(bench_path(b, "plain")), 0751);
}

static size_t entries(struct bench *b) {
    char **names;
    size_t count;
    assert_true(world_file_list(b->w, b->dir, &names, &count, NULL));
    world_names_free(names, count);
    return count;
}

static void piece_by_piece(void **state) {
    struct bench *b = *state;
    struct world *w = b->w;
    const char *path = bench_path(b, "big");
    struct buf out = BUF_INIT;
    size_t before = entries(b);
    bench_write(b, "big", "old");
    struct world_file *f = world_file_open(w, path, 0600, WORLD_WRITE_ATOMIC, NULL);
    assert_non_null(f);
    assert_true(world_file_put(f, SPAN("new "), NULL));
    assert_true(world_file_put(f, SPAN("content"), NULL));
    assert_true(world_file_read(w, path, 100, &out, NULL));
    assert_string_equal(out.ptr, "old"); /* until it is whole */
    assert_true(world_file_close(f, true, NULL));
    buf_clear(&out);
    assert_true(world_file_read(w, path, 100, &out, NULL));
    assert_string_equal(out.ptr, "new content");
    f = world_file_open(w, path, 0600, WORLD_WRITE_ATOMIC, NULL);
    assert_true(world_file_put(f, SPAN("never mind"), NULL));
    assert_true(world_file_close(f, false, NULL));
    buf_clear(&out);
    assert_true(world_file_read(w, path, 100, &out, NULL));
    assert_string_equal(out.ptr, "new content");
    assert_int_equal(entries(b), before + 1); /* no temporary file is left */
    assert_true(world_file_close(NULL, true, NULL));
    /* onto a directory: fails, and leaves nothing */
    struct error err = ERROR_INIT;
    assert_true(world_file_mkdir(w, bench_path(b, "dir"), 0755, false, NULL));
    assert_false(world_file_write(w, bench_path(b, "dir"), SPAN("x"), 0600, WORLD_WRITE_ATOMIC, &err));
    error_clear(&err);
    assert_int_equal(entries(b), before + 2);
    buf_free(&out);
}

static void parts_of_files(void **state) {
    struct bench *b = *state;
    struct buf out = BUF_INIT, big = BUF_INIT;
    for (int i = 0; i < 50000; i++) {
        buf_printf(&big, "%06d\n", i);
    }
    assert_true(world_file_write(b->w, bench_path(b, "big"), buf_span(&big), 0600, WORLD_WRITE_PLAIN, NULL));
    assert_true(world_file_read_at(b->w, bench_path(b, "big"), 7, 6, &out, NULL));
    assert_string_equal(out.ptr, "000001");
    assert_true(world_file_read_at(b->w, bench_path(b, "big"), 349993, 100, &out, NULL)); /* appends */
    assert_string_equal(out.ptr, "000001049999\n");
    assert_true(world_file_read_at(b->w, bench_path(b, "big"), 1 << 30, 100, &out, NULL));
    assert_int_equal(out.len, 13);
    buf_clear(&out);
    assert_true(world_file_read(b->w, bench_path(b, "big"), 350000, &out, NULL));
    assert_int_equal(out.len, big.len);
    assert_memory_equal(out.ptr, big.ptr, big.len);
    buf_free(&out);
    buf_free(&big);
}

static void sorted_names(void **state) {
    struct bench *b = *state;
    assert_true(world_file_mkdir(b->w, bench_path(b, "d"), 0755, false, NULL));
    char **names;
    size_t count;
    assert_true(world_file_list(b->w, bench_path(b, "d"), &names, &count, NULL));
    assert_int_equal(count, 0);
    world_names_free(names, count);
    bench_write(b, "d/b", "");
    bench_write(b, "d/.hidden", "");
    bench_write(b, "d/B", "");
    bench_write(b, "d/\xc3\xa4", "");
    assert_true(world_file_list(b->w, bench_path(b, "d"), &names, &count, NULL));
    assert_int_equal(count, 4);
    const char *expected[] = {".hidden", "B", "b", "\xc3\xa4"};
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(names[i], expected[i]);
    }
    world_names_free(names, count);
}

static void changed(void *ctx) {
    (*(int *)ctx)++;
}

static void watches(void **state) {
    struct bench *b = *state;
    struct world *w = b->w;
    int file = 0, dir = 0, missing = 0;
    bench_write(b, "crl.pem", "one");
    assert_true(world_file_mkdir(w, bench_path(b, "conf.d"), 0755, false, NULL));
    struct world_watch *a = world_watch(w, bench_path(b, "crl.pem"), changed, &file);
    struct world_watch *c = world_watch(w, bench_path(b, "conf.d/"), changed, &dir);
    struct world_watch *d = world_watch(w, bench_path(b, "later"), changed, &missing);
    bench_write(b, "crl.pem", "two");
    TURN_UNTIL(b, file > 0);
    file = 0;
    assert_true(world_file_write(w, bench_path(b, "crl.pem"), SPAN("three"), 0644, WORLD_WRITE_ATOMIC, NULL));
    TURN_UNTIL(b, file > 0);
    bench_write(b, "conf.d/a.conf", "x");
    TURN_UNTIL(b, dir > 0);
    bench_write(b, "later", "x");
    TURN_UNTIL(b, missing > 0);
    file = dir = missing = 0;
    bench_write(b, "unrelated", "x");
    world_file_remove(w, bench_path(b, "crl.pem"), false, NULL);
    TURN_UNTIL(b, file > 0);
    assert_int_equal(missing, 0);
    /* the directory is replaced by another: the watch follows */
    world_file_remove(w, bench_path(b, "conf.d"), true, NULL);
    TURN_UNTIL(b, dir > 0);
    dir = 0;
    assert_true(world_file_mkdir(w, bench_path(b, "conf.d"), 0755, false, NULL));
    TURN_UNTIL(b, dir > 0);
    dir = 0;
    bench_write(b, "conf.d/b.conf", "x");
    TURN_UNTIL(b, dir > 0);
    world_watch_close(a);
    world_watch_close(c);
    world_watch_close(d);
}

struct closing {
    struct world_watch *watch;
    int calls;
};
static void close_itself(void *ctx) {
    struct closing *c = ctx;
    c->calls++;
    world_watch_close(c->watch);
}

static void watch_closed_from_within(void **state) {
    struct bench *b = *state;
    struct closing c = {0};
    c.watch = world_watch(b->w, bench_path(b, "x"), close_itself, &c);
    struct world_watch *left = world_watch(b->w, bench_path(b, "y"), changed, &c.calls);
    (void)left; /* the world's end closes it */
    bench_write(b, "x", "1");
    TURN_UNTIL(b, c.calls == 1);
    bench_write(b, "x", "2");
    real_world_turn(b->w, false);
    assert_int_equal(c.calls, 1);
}

static void default_database_files(void **state) {
    assert_null(world_sqlite_vfs(((struct bench *)*state)->w));
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(each_kind_of_error),
        CASE(permission),
        CASE(pipes_and_devices_do_not_block),
        CASE(links),
        CASE(modes_are_exact),
        CASE(piece_by_piece),
        CASE(parts_of_files),
        CASE(sorted_names),
        CASE(watches),
        CASE(watch_closed_from_within),
        CASE(default_database_files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
