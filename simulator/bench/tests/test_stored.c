/* Results are seen when they are committed, each once, and none that was there before. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/mem.h"
#include "orchestrator/jobs/states.h"
#include "simulator/bench/api.h"
#include "simulator/bench/process.h"
#include "simulator/bench/stored.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    char dir[32], path[64];
    sqlite3 *db;
    char told[64];
};

static void run(struct fixture *f, const char *sql) {
    assert_int_equal(sqlite3_exec(f->db, sql, NULL, NULL, NULL), SQLITE_OK);
}

static void event(struct fixture *f, int id, int job, enum event_type type) {
    char sql[96];
    snprintf(sql, sizeof(sql), "INSERT INTO events VALUES(%d, %d, 0, %d)", id, job, (int)type);
    run(f, sql);
}

static int set_up(void **state) {
    struct fixture *f = mem_zalloc(sizeof(*f));
    strcpy(f->dir, "/tmp/storedXXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/db", f->dir);
    assert_int_equal(sqlite3_open(f->path, &f->db), SQLITE_OK);
    run(f, "PRAGMA journal_mode=WAL;"
           "CREATE TABLE events(id INTEGER PRIMARY KEY, job INTEGER, node INTEGER, type INTEGER)");
    *state = f;
    return 0;
}

static int tear_down(void **state) {
    struct fixture *f = *state;
    sqlite3_close(f->db);
    unlink(f->path);
    rmdir(f->dir);
    mem_free(f);
    return 0;
}

static void tell(void *ctx, int64_t job) {
    struct fixture *f = ctx;
    const size_t at = strlen(f->told);
    snprintf(f->told + at, sizeof(f->told) - at, "%lld ", (long long)job);
}

static void expect_told(struct fixture *f, struct stored *s, const char *jobs) {
    struct error err = ERROR_INIT;
    f->told[0] = '\0';
    assert_true(stored_look(s, tell, f, &err));
    assert_string_equal(f->told, jobs);
}

static void ends_are_told_once_they_are_committed(void **state) {
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    event(f, 1, 7, EVENT_NODE_FINISHED);
    struct stored *s = stored_open(f->path, &err);
    assert_non_null(s);
    expect_told(f, s, "");
    run(f, "BEGIN");
    event(f, 2, 8, EVENT_NODE_RUNNING);
    event(f, 3, 9, EVENT_NODE_FINISHED);
    event(f, 4, 8, EVENT_NODE_FAILED);
    event(f, 5, 8, EVENT_JOB_FINISHED);
    expect_told(f, s, "");
    run(f, "COMMIT");
    expect_told(f, s, "9 8 ");
    expect_told(f, s, "");
    event(f, 6, 10, EVENT_NODE_ERRORED);
    event(f, 7, 11, EVENT_NODE_SKIPPED);
    expect_told(f, s, "10 11 ");
    run(f, "DROP TABLE events");
    assert_false(stored_look(s, tell, f, &err));
    assert_true(error_is(&err, "bench"));
    error_clear(&err);
    stored_close(s);
}

static void no_database_is_said(void **state) {
    struct fixture *f = *state;
    struct error err = ERROR_INIT;
    run(f, "DROP TABLE events");
    assert_null(stored_open(f->path, &err));
    assert_non_null(strstr(err.msg, "no such table"));
    error_clear(&err);
    assert_null(stored_open("/nowhere/at/all.db", &err));
    assert_true(error_is(&err, "bench"));
    error_clear(&err);
    stored_close(NULL);
}

static void names_are_taken_in_turn(void **state) {
    (void)state;
    json_t *names = json_pack("[s, s, s]", "a", "b", "c");
    char *body = bench_request(BENCH_TASK, names, 2, 2);
    json_t *request = json_loads(body, 0, NULL);
    assert_string_equal(json_string_value(json_object_get(request, "task")), "echo");
    char *nodes = json_dumps(json_object_get(json_object_get(request, "scope"), "nodes"), JSON_COMPACT);
    assert_string_equal(nodes, "[\"c\",\"a\"]");
    free(nodes);
    json_decref(request);
    json_decref(names);
    mem_free(body);
}

static void the_machine_counts_its_time(void **state) {
    (void)state;
    const struct machine_time before = machine_time();
    assert_true(before.all > 0 && before.stolen >= 0 && before.stolen < before.all);
    assert_true(machine_time().all >= before.all);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ends_are_told_once_they_are_committed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_database_is_said, set_up, tear_down),
        cmocka_unit_test(names_are_taken_in_turn),
        cmocka_unit_test(the_machine_counts_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
