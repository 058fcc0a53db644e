/* What a power failure takes, what it may not take, and databases on such a disk. */
#include "simulator/world/sim.h"

#include "base/mem.h"
#include <setjmp.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct sim *new_sim(uint64_t seed, struct world **w) {
    struct sim *sim = sim_new(&(struct sim_opts){.seed = seed});
    *w = sim_host(sim, "a");
    return sim;
}

static void power_cycle(struct world *w) {
    sim_crash(w, SIM_CRASH_POWER);
    sim_power_on(w);
}

static void must(bool ok, struct error *err) {
    if (!ok) {
        print_message("%s: %s\n", err->kind, err->msg);
    }
    assert_true(ok);
}

/* Content of a file, "" when there is none; mem_free() it. */
static char *content(struct world *w, const char *path) {
    struct buf b = BUF_INIT;
    world_file_read(w, path, 1 << 20, &b, NULL);
    return buf_take(&b);
}

static void test_synced_survives(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 50; seed++) {
        struct world *w;
        struct error err = ERROR_INIT;
        struct sim *sim = new_sim(seed, &w);
        must(world_file_mkdir(w, "/var/spool", 0700, true, &err), &err);
        must(world_file_write(w, "/var/spool/a", SPAN("first"), 0600, WORLD_WRITE_ATOMIC, &err), &err);
        must(world_file_write(w, "/var/spool/a", SPAN("second"), 0600, WORLD_WRITE_ATOMIC, &err), &err);
        power_cycle(w);
        char *text = content(w, "/var/spool/a");
        assert_string_equal(text, "second");
        mem_free(text);
        sim_free(sim);
    }
}

/* Unsynced: each outcome that a real disk has turns up among some seeds, and no other. */
static void test_unsynced_may_go(void **state) {
    (void)state;
    int lost = 0, kept = 0, other = 0;
    char page[2048];
    memset(page, 'x', sizeof(page));
    for (uint64_t seed = 0; seed < 200; seed++) {
        struct world *w;
        struct sim *sim = new_sim(seed, &w);
        world_file_write(w, "/log", SPAN("start"), 0600, WORLD_WRITE_ATOMIC, NULL);
        world_file_write(w, "/log", span_bytes(page, sizeof(page)), 0600, WORLD_WRITE_APPEND, NULL);
        power_cycle(w);
        char *text = content(w, "/log");
        size_t len = strlen(text);
        assert_memory_equal(text, "start", 5);
        assert_int_equal((len - 5) % 512, 0);
        if (len == 5) {
            lost++;
        } else if (len == 5 + sizeof(page)) {
            kept++;
        } else {
            other++;
        }
        mem_free(text);
        sim_free(sim);
    }
    assert_true(lost > 0 && kept > 0 && other > 0);
}

static void test_kill_loses_nothing(void **state) {
    (void)state;
    struct world *w;
    struct sim *sim = new_sim(1, &w);
    struct world_file *f = world_file_open(w, "/log", 0600, WORLD_WRITE_APPEND, NULL);
    assert_true(world_file_put(f, SPAN("half"), NULL));
    sim_crash(w, SIM_CRASH_KILL);
    char *text = content(w, "/log");
    assert_string_equal(text, "half");
    mem_free(text);
    assert_true(sim_check_idle(sim, NULL)); /* the open file was swept */
    sim_free(sim);
}

/* An overwritten file is the old one, the new one, or a torn one; a rename is there or not, never half. */
static void test_rename_is_atomic(void **state) {
    (void)state;
    int old_count = 0, new_count = 0;
    for (uint64_t seed = 0; seed < 100; seed++) {
        struct world *w;
        struct sim *sim = new_sim(seed, &w);
        world_file_write(w, "/a", SPAN("old"), 0600, WORLD_WRITE_ATOMIC, NULL);
        world_file_write(w, "/b", SPAN("new"), 0600, WORLD_WRITE_PLAIN, NULL);
        world_file_sync(w, "/b", NULL);
        world_file_rename(w, "/b", "/a", NULL);
        power_cycle(w);
        char *text = content(w, "/a");
        bool b_there = world_file_stat(w, "/b", &(struct world_stat){0}, NULL);
        if (strcmp(text, "old") == 0) {
            assert_true(b_there);
            old_count++;
        } else {
            assert_string_equal(text, "new");
            assert_false(b_there);
            new_count++;
        }
        mem_free(text);
        sim_free(sim);
    }
    assert_true(old_count > 0 && new_count > 0);
}

static void test_old_writes_are_durable(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world *w;
        struct sim *sim = new_sim(seed, &w);
        world_file_write(w, "/log", SPAN("text"), 0600, WORLD_WRITE_PLAIN, NULL);
        sim_run(sim, SIM_MINUTE);
        power_cycle(w);
        char *text = content(w, "/log");
        assert_string_equal(text, "text");
        mem_free(text);
        sim_free(sim);
    }
}

static void test_faults(void **state) {
    (void)state;
    struct world *w;
    struct error err = ERROR_INIT;
    struct sim *sim = new_sim(1, &w);
    sim_disk_capacity(w, 10);
    must(world_file_write(w, "/a", SPAN("12345"), 0600, WORLD_WRITE_PLAIN, &err), &err);
    assert_false(world_file_write(w, "/b", SPAN("123456"), 0600, WORLD_WRITE_PLAIN, &err));
    assert_string_equal(err.kind, "world/full");
    error_clear(&err);
    assert_int_equal(sim_disk_used(w), 5);
    sim_disk_capacity(w, 0);
    sim_disk_fault(w, &(struct sim_disk_fault){.prefix = "/x", .ops = SIM_FILE_SYNC, .kind = "world/io", .times = 1});
    must(world_file_write(w, "/y", SPAN("1"), 0600, WORLD_WRITE_ATOMIC, &err), &err);
    assert_false(world_file_write(w, "/x", SPAN("1"), 0600, WORLD_WRITE_ATOMIC, &err));
    assert_string_equal(err.kind, "world/io");
    error_clear(&err);
    assert_false(world_file_stat(w, "/x", &(struct world_stat){0}, NULL));
    must(world_file_write(w, "/x", SPAN("1"), 0600, WORLD_WRITE_ATOMIC, &err), &err);
    char **names;
    size_t count;
    assert_true(world_file_list(w, "/", &names, &count, NULL));
    assert_int_equal(count, 4); /* a b x y: no temporary file is left */
    world_names_free(names, count);
    sim_file_fail_after(w, 3, "world/permission");
    int failed_at = 0;
    for (int i = 1; i <= 5; i++) {
        if (!world_file_stat(w, "/x", &(struct world_stat){0}, NULL)) {
            failed_at = failed_at == 0 ? i : -1;
        }
    }
    assert_int_equal(failed_at, 3);
    sim_free(sim);
}

/* ---- databases */

struct core {
    sqlite3 *db;
    int destroyed;
};

static void open_db(struct core *core, struct world *w, bool exclusive) {
    assert_int_equal(
        sqlite3_open_v2("/var/test.db", &core->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, world_sqlite_vfs(w)),
        SQLITE_OK);
    if (exclusive) {
        assert_int_equal(sqlite3_exec(core->db, "PRAGMA locking_mode=EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    }
    assert_int_equal(sqlite3_exec(core->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", NULL, NULL, NULL),
                     SQLITE_OK);
}

static int one_int(void *ctx, int count, char **values, char **names) {
    (void)count;
    (void)names;
    *(int *)ctx = values[0] != NULL ? atoi(values[0]) : -1;
    return 0;
}

static int query(sqlite3 *db, const char *sql) {
    int result = -2;
    char *msg = NULL;
    if (sqlite3_exec(db, sql, one_int, &result, &msg) != SQLITE_OK) {
        print_message("%s: %s\n", sql, msg);
        sqlite3_free(msg);
        return -3;
    }
    return result;
}

static void destroy(void *ctx) {
    struct core *core = ctx;
    sqlite3_close_v2(core->db);
    core->db = NULL;
    core->destroyed++;
}

/* Committed rows are there after any power failure, the database is sound, a transaction is there whole or not at all.
 */
static void db_case(uint64_t seed, bool exclusive) {
    struct world *w;
    struct sim *sim = sim_new(&(struct sim_opts){.seed = seed, .strict_directories = seed % 4 < 2});
    struct core core = {NULL, 0};
    w = sim_host(sim, "a");
    world_file_mkdir(w, "/var", 0700, true, NULL);
    world_file_sync(w, "/", NULL);
    open_db(&core, w, exclusive);
    sqlite3_exec(core.db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)", NULL, NULL, NULL);
    int committed = 0, life = 0;
    struct rng rng = rng_derive(seed, "test", NULL);
    for (; life < 5; life++) {
        sim_on_crash(w, destroy, &core);
        int rounds = (int)rng_below(&rng, 30);
        for (int i = 0; i < rounds; i++) {
            sqlite3_exec(core.db,
                         "BEGIN; INSERT INTO t (b) VALUES (hex(randomblob(300))); "
                         "INSERT INTO t (b) VALUES (hex(randomblob(3000))); COMMIT",
                         NULL, NULL, NULL);
            committed += 2;
            if (rng_chance(&rng, 50000)) {
                sqlite3_exec(core.db, "PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL);
            }
        }
        sqlite3_exec(core.db, "BEGIN; INSERT INTO t (b) VALUES ('open')", NULL, NULL, NULL);
        sim_crash(w, rng_chance(&rng, 800000) ? SIM_CRASH_POWER : SIM_CRASH_KILL);
        assert_int_equal(core.destroyed, life + 1);
        assert_true(sim_check_idle(sim, NULL));
        sim_power_on(w);
        open_db(&core, w, exclusive);
        assert_int_equal(query(core.db, "SELECT count(*) FROM t"), committed);
        assert_int_equal(query(core.db, "SELECT count(*) FROM t WHERE b = 'open'"), 0);
        assert_int_equal(query(core.db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check"), 1);
    }
    sqlite3_close_v2(core.db);
    sim_free(sim);
}

static void test_database_survives_power_failure(void **state) {
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        db_case(seed, seed % 2 == 0);
    }
}

/* The same without its syncs does lose rows: the disk is a real test. */
static void test_database_without_sync_loses(void **state) {
    (void)state;
    int lost = 0;
    for (uint64_t seed = 0; seed < 20; seed++) {
        struct world *w;
        struct sim *sim = new_sim(seed, &w);
        struct core core = {NULL, 0};
        world_file_mkdir(w, "/var", 0700, true, NULL);
        open_db(&core, w, true);
        sqlite3_exec(core.db, "PRAGMA synchronous=OFF; CREATE TABLE t (a); INSERT INTO t VALUES (1)", NULL, NULL, NULL);
        sim_on_crash(w, destroy, &core);
        power_cycle(w);
        if (sqlite3_open_v2("/var/test.db", &core.db, SQLITE_OPEN_READWRITE, world_sqlite_vfs(w)) != SQLITE_OK ||
            sqlite3_exec(core.db, "SELECT * FROM t", NULL, NULL, NULL) != SQLITE_OK) {
            lost++;
        }
        sqlite3_close_v2(core.db);
        sim_free(sim);
    }
    assert_true(lost > 0);
}

static void test_database_faults(void **state) {
    (void)state;
    struct world *w;
    struct sim *sim = new_sim(1, &w);
    struct core core = {NULL, 0};
    world_file_mkdir(w, "/var", 0700, true, NULL);
    open_db(&core, w, true);
    sqlite3_exec(core.db, "CREATE TABLE t (a)", NULL, NULL, NULL);
    sim_disk_fault(w, &(struct sim_disk_fault){.ops = SIM_FILE_SYNC, .kind = "world/io", .times = 1});
    assert_int_equal(sqlite3_exec(core.db, "INSERT INTO t VALUES (1)", NULL, NULL, NULL) & 0xff, SQLITE_IOERR);
    sim_disk_capacity(w, sim_disk_used(w));
    assert_int_equal(sqlite3_exec(core.db, "INSERT INTO t VALUES (zeroblob(100000))", NULL, NULL, NULL), SQLITE_FULL);
    sim_disk_capacity(w, 0);
    assert_int_equal(sqlite3_exec(core.db, "INSERT INTO t VALUES (3)", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(query(core.db, "SELECT count(*) FROM t"), 1);
    sqlite3_close_v2(core.db);
    assert_true(sim_check_idle(sim, NULL));
    sim_free(sim);
}

/* Two connections on one database: the second sees what the first committed, and waits for its lock. */
static void test_database_two_connections(void **state) {
    (void)state;
    struct world *w;
    struct sim *sim = new_sim(1, &w);
    struct core one = {NULL, 0}, two = {NULL, 0};
    world_file_mkdir(w, "/var", 0700, true, NULL);
    open_db(&one, w, false);
    sqlite3_exec(one.db, "CREATE TABLE t (a); INSERT INTO t VALUES (1)", NULL, NULL, NULL);
    open_db(&two, w, false);
    assert_int_equal(query(two.db, "SELECT count(*) FROM t"), 1);
    sqlite3_exec(one.db, "BEGIN IMMEDIATE; INSERT INTO t VALUES (2)", NULL, NULL, NULL);
    assert_int_equal(query(two.db, "SELECT count(*) FROM t"), 1);
    assert_int_equal(sqlite3_exec(two.db, "INSERT INTO t VALUES (3)", NULL, NULL, NULL), SQLITE_BUSY);
    sqlite3_exec(one.db, "COMMIT", NULL, NULL, NULL);
    assert_int_equal(query(two.db, "SELECT count(*) FROM t"), 2);
    assert_int_equal(query(two.db, "SELECT strftime('%Y','now')"), 2030);
    sqlite3_close_v2(one.db);
    sqlite3_close_v2(two.db);
    sim_free(sim);
}

/* What a database does is part of the trace, and the same each time. */
static void test_database_is_repeatable(void **state) {
    (void)state;
    uint64_t hash[2];
    for (int i = 0; i < 2; i++) {
        struct world *w;
        struct sim *sim = new_sim(42, &w);
        struct core core = {NULL, 0};
        world_file_mkdir(w, "/var", 0700, true, NULL);
        open_db(&core, w, true);
        sqlite3_exec(core.db, "CREATE TABLE t (a); INSERT INTO t VALUES (hex(randomblob(100)))", NULL, NULL, NULL);
        sqlite3_close_v2(core.db);
        hash[i] = sim_trace_hash(sim);
        sim_free(sim);
    }
    assert_int_equal(hash[0], hash[1]);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_synced_survives),
        cmocka_unit_test(test_unsynced_may_go),
        cmocka_unit_test(test_kill_loses_nothing),
        cmocka_unit_test(test_rename_is_atomic),
        cmocka_unit_test(test_old_writes_are_durable),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_database_survives_power_failure),
        cmocka_unit_test(test_database_without_sync_loses),
        cmocka_unit_test(test_database_faults),
        cmocka_unit_test(test_database_two_connections),
        cmocka_unit_test(test_database_is_repeatable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
