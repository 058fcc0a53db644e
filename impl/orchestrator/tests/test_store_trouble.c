/* What becomes of the store when the disk fails: who is told, what is kept, what comes back. */
#include "base/mem.h"
#include "orchestrator/tests/store_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static bool is_healthy(void *ctx) {
    return ((struct store_rig *)ctx)->healthy;
}

static void fault(struct store_rig *f, unsigned ops, const char *kind) {
    struct sim_disk_fault fault = {.prefix = "/var/lib", .ops = ops, .kind = kind};
    sim_disk_fault(f->w, &fault);
}

static void a_full_disk_refuses_and_recovers(void **state) {
    struct store_rig *f = *state;
    commit_job(f, "mira", 1000);
    fault(f, SIM_FILE_WRITE, "world/full");
    commit_job(f, "mira", 1000);
    assert_string_equal(f->kind, "store/full");
    assert_non_null(store_error(f->store));
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}"); /* the standing batch waits */
    sim_run(f->sim, sim_now_us(f->sim) + 3 * SIM_SECOND);
    assert_int_equal(events_from(f, 1, 0, -1), 0);
    assert_true(job_exists(f, 1)); /* reading goes on */
    assert_false(job_exists(f, 2));
    sim_disk_fault(f->w, NULL);
    assert_true(sim_run_until(f->sim, 5 * SIM_SECOND, is_healthy, f));
    assert_null(store_error(f->store));
    assert_int_equal(events_from(f, 1, 0, -1), 1);
    assert_false(job_exists(f, 2)); /* its request was refused: it must not come to life later */
    commit_job(f, "mira", 1000);
    assert_string_equal(f->kind, "");
}

static void io_errors_reopen_the_file(void **state) {
    struct store_rig *f = *state;
    commit_job(f, "mira", 1000);
    fault(f, SIM_FILE_SYNC | SIM_FILE_WRITE, "world/io");
    commit_job(f, "mira", 1000);
    assert_string_equal(f->kind, "store/io");
    sim_disk_fault(f->w, NULL);
    assert_true(sim_run_until(f->sim, 5 * SIM_SECOND, is_healthy, f));
    assert_true(job_exists(f, 1));
    commit_job(f, "mira", 1000);
    assert_string_equal(f->kind, "");
}

static void a_corrupt_file_is_reported_until_it_is_replaced(void **state) {
    struct store_rig *f = *state;
    commit_job(f, "mira", 1000);
    store_finish(f->store);
    struct buf good = BUF_INIT;
    assert_true(world_file_read(f->w, STORE_RIG_PATH, 1 << 24, &good, NULL));
    struct buf bad = BUF_INIT;
    for (size_t i = 0; i < good.len; i++) {
        buf_append_char(&bad, 'x');
    }
    assert_true(world_file_write(f->w, STORE_RIG_PATH, buf_span(&bad), 0600, WORLD_WRITE_ATOMIC, NULL));
    f->opens = 0;
    struct store_opts opts = {
        .path = STORE_RIG_PATH, .on_open = store_rig_on_open, .on_health = store_rig_on_health, .ctx = f};
    f->store = store_new(f->w, &opts, NULL);
    assert_non_null(f->store);
    assert_true(error_is(store_error(f->store), "store/corrupt"));
    bool found;
    struct error err = ERROR_INIT;
    assert_false(store_job(f->store, 1, store_rig_take_job, f, &found, &err));
    assert_true(error_is(&err, "store/corrupt"));
    error_clear(&err);
    sim_run(f->sim, sim_now_us(f->sim) + 3 * SIM_SECOND);
    assert_int_equal(f->opens, 0);
    assert_true(world_file_write(f->w, STORE_RIG_PATH, buf_span(&good), 0600, WORLD_WRITE_ATOMIC, NULL));
    assert_true(sim_run_until(f->sim, 5 * SIM_SECOND, store_rig_is_open, f));
    assert_true(job_exists(f, 1));
    buf_free(&good);
    buf_free(&bad);
}

static void a_row_the_database_refuses_fails_its_batch_alone(void **state) {
    struct store_rig *f = *state;
    commit_job(f, "mira", 1000);
    struct store_batch *twice = store_batch_new(f->store);
    put_job(twice, 1, "mira", 1000);
    f->dones = 0;
    store_commit(f->store, twice, store_rig_done, f);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    assert_true(sim_run_until(f->sim, SIM_SECOND, store_rig_is_done, f));
    assert_string_equal(f->kind, "store/refused");
    assert_int_equal(events_from(f, 1, 0, -1), 1);
    assert_null(store_error(f->store));
}

static void a_newer_schema_is_refused(void **state) {
    struct store_rig *f = *state;
    store_finish(f->store);
    struct buf file = BUF_INIT;
    assert_true(world_file_read(f->w, STORE_RIG_PATH, 1 << 24, &file, NULL));
    file.ptr[63] = STORE_SCHEMA_VERSION + 1; /* user_version, big endian, at offset 60 */
    assert_true(world_file_write(f->w, STORE_RIG_PATH, buf_span(&file), 0600, WORLD_WRITE_ATOMIC, NULL));
    buf_free(&file);
    struct store_opts opts = {.path = STORE_RIG_PATH};
    struct error err = ERROR_INIT;
    f->store = store_new(f->w, &opts, &err);
    assert_null(f->store);
    assert_true(error_is(&err, "store/newer-schema"));
    error_clear(&err);
}

static void destroy(void *ctx) {
    struct store_rig *f = ctx;
    store_abandon(f->store);
    f->store = NULL;
}

/* Power fails at every disk operation of a commit in turn: a job that was acknowledged is there afterwards. */
static void what_was_acknowledged_survives_a_power_failure(void **state) {
    (void)state;
    int acknowledged = 0;
    for (uint64_t n = 1; n <= 40; n++) {
        struct store_rig f;
        store_rig_begin(&f, n);
        commit_job(&f, "mira", 1000);
        sim_on_crash(f.w, destroy, &f);
        uint64_t before = sim_file_op_count(f.w);
        struct store_batch *b = store_batch_new(f.store);
        put_job(b, 2, "mira", 1000);
        f.dones = 0;
        store_commit(f.store, b, store_rig_done, &f);
        for (int step = 0; f.dones == 0 && step < 1000 && sim_file_op_count(f.w) - before < n; step++) {
            sim_step(f.sim);
        }
        bool was_acknowledged = f.dones != 0 && f.kind[0] == '\0';
        acknowledged += was_acknowledged ? 1 : 0;
        sim_crash(f.w, SIM_CRASH_POWER);
        sim_power_on(f.w);
        store_rig_open(&f);
        assert_true(job_exists(&f, 1));
        if (was_acknowledged) {
            assert_true(job_exists(&f, 2));
        }
        store_rig_finish(&f);
    }
    assert_true(acknowledged > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_full_disk_refuses_and_recovers, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(io_errors_reopen_the_file, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(a_corrupt_file_is_reported_until_it_is_replaced, store_rig_setup,
                                        store_rig_teardown),
        cmocka_unit_test_setup_teardown(a_row_the_database_refuses_fails_its_batch_alone, store_rig_setup,
                                        store_rig_teardown),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_refused, store_rig_setup, store_rig_teardown),
        cmocka_unit_test(what_was_acknowledged_survives_a_power_failure),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
