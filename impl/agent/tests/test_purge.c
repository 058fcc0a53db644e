/* Purging by age (agent.md §14), and what the clock does to it. */
#include "agent/tests/bench.h"
#include "base/clock.h"
#include "base/mem.h"

#define DAY_MS ((int64_t)24 * 3600 * 1000)

static void put(struct bench *b, const char *id, const char *state, int64_t age_ms) {
    char start[TIME_TEXT_LEN];
    time_format_ms(world_wall_ms(b->agent_host) - age_ms, start);
    char *dir = str_printf(SPOOL "/%s", id), *path = str_printf("%s/metadata", dir),
         *text = str_printf("{\"requester\":\"r\",\"module\":\"command\",\"action\":\"run\",\"request_params\":\"{}\","
                            "\"transaction_id\":\"%s\",\"request_id\":\"r\",\"notify_outcome\":false,\"start\":\"%s\","
                            "\"status\":\"%s\"}",
                            id, age_ms < 0 ? "yesterday" : start, state);
    assert_true(world_file_mkdir(b->agent_host, dir, 0750, false, NULL));
    bench_write(b, path, text);
    mem_free(dir);
    mem_free(path);
    mem_free(text);
}

static void put_cache(struct bench *b, const char *name) {
    char *dir = str_printf(CACHE "/%s", name), *file = str_printf("%s/x.sh", dir);
    assert_true(world_file_mkdir(b->agent_host, dir, 0750, false, NULL));
    bench_write(b, file, "x");
    mem_free(dir);
    mem_free(file);
}

static void old_transactions_go(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.reference = true;
    put(b, "old", "success", 15 * DAY_MS);
    put(b, "failed", "failure", 15 * DAY_MS);
    put(b, "lost", "undetermined", 15 * DAY_MS);
    put(b, "young", "success", 13 * DAY_MS);
    put(b, "running", "running", 15 * DAY_MS);
    put(b, "undated", "success", -1);
    assert_true(world_file_mkdir(b->agent_host, SPOOL "/broken", 0750, false, NULL));
    bench_write(b, SPOOL "/broken/metadata", "{");
    assert_true(world_file_mkdir(b->agent_host, SPOOL "/old/deep", 0750, false, NULL));
    bench_write(b, SPOOL "/old/deep/file", "x");
    bench_write(b, SPOOL "/a-file", "x");
    bench_start(b);
    const char *gone[] = {SPOOL "/old", SPOOL "/failed", SPOOL "/lost"};
    const char *kept[] = {SPOOL "/young", SPOOL "/running", SPOOL "/undated", SPOOL "/broken", SPOOL "/a-file"};
    for (size_t i = 0; i < 3; i++) {
        assert_false(bench_exists(b, gone[i]));
    }
    for (size_t i = 0; i < 5; i++) {
        assert_true(bench_exists(b, kept[i]));
    }
    bench_run(b, 26 * SIM_HOUR); /* the purge comes back every hour */
    assert_false(bench_exists(b, SPOOL "/young"));
    assert_true(bench_exists(b, SPOOL "/undated"));
    sim_clock_jump(b->agent_host, 28 * DAY_MS);
    bench_run(b, SIM_HOUR + SIM_MINUTE);
    assert_false(bench_exists(b, SPOOL "/undated")); /* by its directory's age, after twice the time */
    assert_true(bench_exists(b, SPOOL "/running"));
    bench_free(b);
}

static void live_transactions_stay(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.spool_ttl_ms = 60 * 1000;
    bench_start(b);
    mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"takes 600000;out x\"}", true));
    bench_expect(b, "rpc_provisional_response");
    bench_run(b, 9 * SIM_MINUTE);
    assert_true(bench_exists(b, SPOOL "/t"));
    bench_expect(b, "rpc_non_blocking_response");
    bench_run(b, 2 * SIM_MINUTE);
    assert_false(bench_exists(b, SPOOL "/t"));
    bench_free(b);
}

static void purging_can_be_off(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    b->config.spool_ttl_ms = b->config.cache_ttl_ms = 0;
    put(b, "old", "success", 1000 * DAY_MS);
    put_cache(b, "aaaa");
    bench_start(b);
    sim_clock_jump(b->agent_host, 1000 * DAY_MS);
    bench_run(b, 3 * SIM_HOUR);
    assert_true(bench_exists(b, SPOOL "/old"));
    assert_true(bench_exists(b, CACHE "/aaaa"));
    bench_free(b);
}

static void unused_cache_directories_go(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    put_cache(b, "unused");
    bench_start(b);
    char *sha = bench_serve(b, "/f/x.sh", "#!sim\nout x"), *params = bench_task(b, "/f/x.sh", sha, "{}"),
         *dir = str_printf(CACHE "/%s", sha);
    for (int day = 0; day < 20; day++) { /* what is used stays */
        mem_free(bench_request(b, !NON_BLOCKING, "t", "task", "run", params, false));
        bench_expect(b, "rpc_blocking_response");
        bench_run(b, 24 * SIM_HOUR);
    }
    assert_int_equal(bench_served(b, "/f/x.sh")->asked, 1);
    assert_false(bench_exists(b, CACHE "/unused"));
    assert_true(bench_exists(b, dir));
    bench_run(b, 16 * 24 * SIM_HOUR);
    assert_false(bench_exists(b, dir));
    mem_free(bench_request(b, !NON_BLOCKING, "t", "task", "run", params, false));
    bench_expect(b, "rpc_blocking_response");
    assert_int_equal(bench_served(b, "/f/x.sh")->asked, 2);
    mem_free(dir);
    mem_free(params);
    mem_free(sha);
    bench_free(b);
}

static void removal_errors_do_not_stop_it(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    put(b, "old-1", "success", 15 * DAY_MS);
    put(b, "old-2", "success", 15 * DAY_MS);
    sim_disk_fault(b->agent_host, &(struct sim_disk_fault){
                                      .prefix = SPOOL "/old-1", .ops = SIM_FILE_META, .kind = "world/permission"});
    bench_start(b);
    assert_true(bench_exists(b, SPOOL "/old-1"));
    assert_false(bench_exists(b, SPOOL "/old-2"));
    assert_true(bench_logged(b, "Failed to remove '" SPOOL "/old-1'"));
    sim_disk_fault(b->agent_host, NULL);
    bench_free(b);
}

/* A big spool is walked through in steps: the agent connects and answers meanwhile. */
static void a_big_spool(void **state) {
    (void)state;
    struct bench *b = bench_new(1, PCP_V2);
    for (int i = 0; i < 2000; i++) {
        char *id = str_printf("tx-%04d", i);
        put(b, id, "success", (i % 2 == 0 ? 15 : 1) * DAY_MS);
        mem_free(id);
    }
    bench_start(b);
    bench_run(b, SIM_SECOND);
    assert_false(bench_exists(b, SPOOL "/tx-0000"));
    assert_false(bench_exists(b, SPOOL "/tx-1998"));
    assert_true(bench_exists(b, SPOOL "/tx-1999"));
    bench_free(b);
}

/* Tasks and timers do not mind what the wall clock does. */
static void a_clock_jump_during_a_task(void **state) {
    (void)state;
    const int64_t jumps[] = {-400 * DAY_MS, 400 * DAY_MS};
    for (size_t i = 0; i < 2; i++) {
        struct bench *b = bench_connected(PCP_V1);
        uint64_t start = sim_now_us(b->sim);
        mem_free(bench_request(b, NON_BLOCKING, "t", "command", "run", "{\"command\":\"takes 5000;out x\"}", true));
        bench_expect(b, "rpc_provisional_response");
        sim_clock_jump(b->agent_host, jumps[i]);
        bench_expect(b, "rpc_non_blocking_response");
        assert_true(sim_now_us(b->sim) - start < 6 * SIM_SECOND);
        char *status = bench_status(b, "t");
        assert_non_null(strstr(status, "\"status\":\"success\""));
        mem_free(status);
        bench_free(b);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(old_transactions_go),
        cmocka_unit_test(live_transactions_stay),
        cmocka_unit_test(purging_can_be_off),
        cmocka_unit_test(unused_cache_directories_go),
        cmocka_unit_test(removal_errors_do_not_stop_it),
        cmocka_unit_test(a_big_spool),
        cmocka_unit_test(a_clock_jump_during_a_task),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
