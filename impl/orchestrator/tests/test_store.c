/* What the store holds: events, nodes, jobs, usage; paging and order; pruning, copies, older files. */
#include "base/mem.h"
#include "orchestrator/tests/store_rig.h"
#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void events_are_read_from_any_id_on(void **state) {
    struct store_rig *f = *state;
    commit_job(f, "mira", 1000);
    commit_job(f, "mira", 1000);
    assert_int_equal(store_event_horizon(f->store), 1);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    put_event(f, 2, 0, EVENT_NODE_RUNNING, "{}");
    put_event(f, 1, 1, EVENT_NODE_RUNNING, "{}");
    assert_int_equal(store_event_horizon(f->store), 1);
    settle(f);
    assert_int_equal(store_event_horizon(f->store), 4);
    assert_int_equal(events_from(f, 1, 0, -1), 2);
    assert_int_equal(f->ids[0], 1);
    assert_int_equal(f->ids[1], 3);
    assert_int_equal(events_from(f, 1, 2, -1), 1);
    assert_int_equal(events_from(f, 1, 4, -1), 0);
    assert_int_equal(events_from(f, 1, 0, 1), 1);
}

static bool check_name(void *ctx, const struct store_event *e) {
    struct store_rig *f = ctx;
    char name[32] = "";
    if (e->node >= 0) {
        snprintf(name, sizeof(name), "node-%lld", (long long)e->node);
    }
    assert_true(span_eq_cstr(e->node_name, name));
    assert_int_equal(e->job_type, JOB_TASK);
    f->rows++;
    return true;
}

/* Few are looked up, of many events all names are read: no difference is seen. */
static void events_know_the_names_of_many_nodes(void **state) {
    struct store_rig *f = *state;
    struct error err = ERROR_INIT;
    enum { NODES = 100 };
    static const int64_t starts[][2] = {{0, 3 * NODES}, {10, 3 * NODES - 9}, {2 * NODES + 90, 11}, {3 * NODES, 1}};
    struct store_batch *b = store_batch_new(f->store);
    const struct store_job job = {.id = store_next_id(f->store, STORE_JOB_ID),
                                  .type = JOB_TASK,
                                  .state = JOB_RUNNING,
                                  .command = SPAN("task"),
                                  .node_count = NODES};
    store_job_insert(b, &job);
    for (uint32_t i = 0; i < NODES; i++) {
        char name[32];
        snprintf(name, sizeof(name), "node-%u", i);
        store_node_insert(b, job.id, i, span_of(name), NODE_READY, TRANSPORT_PCP, 0);
    }
    store_commit(f->store, b, store_rig_done, f);
    for (int64_t i = 0; i < 3 * NODES - 1; i++) {
        put_event(f, job.id, i * 37 % NODES, EVENT_NODE_RUNNING, "{}");
    }
    put_event(f, job.id, -1, EVENT_JOB_FINISHED, "{}");
    settle(f);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        f->rows = 0;
        assert_true(store_events(f->store, job.id, starts[i][0], -1, check_name, f, &err));
        assert_int_equal(f->rows, starts[i][1]);
    }
    f->rows = 0;
    assert_true(store_events_by_node(f->store, job.id, check_name, f, &err));
    assert_int_equal(f->rows, 3 * NODES - 1);
}

static bool take_node(void *ctx, const struct store_node *n) {
    struct store_rig *f = ctx;
    f->ids[f->rows++] = n->index;
    if (n->index == 1) {
        assert_int_equal(n->state, NODE_FAILED);
        assert_int_equal(n->event_type, EVENT_NODE_FAILED);
        assert_true(span_eq_cstr(n->event_detail, "{\"_output\":\"x\"}"));
        assert_true(span_eq_cstr(n->run_uuid, "u-1"));
    }
    return true;
}

static void nodes_come_with_their_last_event(void **state) {
    struct store_rig *f = *state;
    commit_job(f, "mira", 1000);
    put_event(f, 1, 1, EVENT_NODE_FAILED, "{\"_output\":\"x\"}");
    store_node_update(store_standing(f->store), &(struct store_node_change){.job = 1,
                                                                            .index = 1,
                                                                            .state = NODE_FAILED,
                                                                            .ts_ms = 2000,
                                                                            .started_ms = 1500,
                                                                            .finished_ms = 2000,
                                                                            .run_uuid = SPAN("u-1"),
                                                                            .event = 1});
    settle(f);
    struct error err = ERROR_INIT;
    struct store_page page = {.limit = -1, .descending = true};
    assert_true(store_nodes_page(f->store, 1, &page, NULL, 3000, take_node, f, &f->total, &err));
    assert_int_equal(f->rows, 2);
    assert_int_equal(f->total, 2);
    assert_int_equal(f->ids[0], 1); /* names, descending */
    f->rows = 0;
    assert_true(store_nodes_page(f->store, 1, &page, "failed", 3000, take_node, f, &f->total, &err));
    assert_int_equal(f->rows, 1);
    f->rows = 0;
    page.order_by = "duration"; /* a node that never started comes first when ascending */
    page.descending = false;
    assert_true(store_nodes_page(f->store, 1, &page, NULL, 3000, take_node, f, NULL, &err));
    assert_int_equal(f->ids[0], 0);
}

static bool take_row(void *ctx, const struct store_job *job) {
    struct store_rig *f = ctx;
    f->ids[f->rows++] = job->id;
    return true;
}

static void list(struct store_rig *f, const struct store_page *page, const struct store_jobs_filter *filter) {
    struct error err = ERROR_INIT;
    f->rows = 0;
    assert_true(store_jobs_page(f->store, page, filter, take_row, f, &f->total, &err));
}

static void jobs_are_paged_sorted_and_filtered(void **state) {
    struct store_rig *f = *state;
    const char *owners[] = {"zoe", "mira", "adam", "mira"};
    for (int i = 0; i < 4; i++) {
        commit_job(f, owners[i], 1000 * (10 - i));
    }
    struct store_jobs_filter all = {0};
    list(f, &(struct store_page){.limit = 2, .offset = 1}, &all);
    assert_int_equal(f->total, 4);
    assert_int_equal(f->rows, 2);
    assert_int_equal(f->ids[0], 3); /* by time: 4 3 2 1 */
    list(f, &(struct store_page){.limit = -1, .order_by = "owner"}, &all);
    assert_int_equal(f->ids[0], 3);
    assert_int_equal(f->ids[1], 2); /* equal owners: by id */
    assert_int_equal(f->ids[3], 1);
    list(f, &(struct store_page){.limit = -1, .order_by = "name", .descending = true}, &all);
    assert_int_equal(f->ids[0], 4);
    list(f, &(struct store_page){.limit = -1}, &(struct store_jobs_filter){.type = "task"});
    assert_int_equal(f->total, 2);
    list(f, &(struct store_page){.limit = -1}, &(struct store_jobs_filter){.task_contains = SPAN("::rest")});
    assert_int_equal(f->total, 2);
    list(f, &(struct store_page){.limit = -1}, &(struct store_jobs_filter){.type = "nonsense"});
    assert_int_equal(f->total, 0);
    list(f, &(struct store_page){.limit = -1}, &(struct store_jobs_filter){.max_finish_ms = 9000});
    assert_int_equal(f->total, 0); /* none has finished */
    assert_true(store_order_valid(STORE_JOBS, "state"));
    assert_false(store_order_valid(STORE_JOBS, "secret"));
}

static void ids_never_come_back(void **state) {
    struct store_rig *f = *state;
    commit_job(f, "mira", 1000);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    settle(f);
    store_rig_reopen(f);
    assert_int_equal(store_next_id(f->store, STORE_JOB_ID), 2);
    assert_int_equal(store_next_id(f->store, STORE_EVENT_ID), 2);
}

static void pruned(void *ctx, const struct error *err, uint32_t deleted) {
    struct store_rig *f = ctx;
    store_rig_done(ctx, err);
    f->total = deleted;
}

static void pruning_takes_finished_old_jobs_only(void **state) {
    struct store_rig *f = *state;
    for (int i = 0; i < 3; i++) {
        commit_job(f, "mira", 1000);
    }
    for (int64_t id = 1; id <= 2; id++) { /* 3 is unfinished */
        store_job_update(store_standing(f->store),
                         &(struct store_job_change){
                             .id = id, .state = JOB_FINISHED, .started_ms = 1, .finished_ms = id == 1 ? 1000 : 9000});
    }
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    settle(f);
    f->dones = 0;
    store_prune(f->store, 5000, 100, pruned, f);
    assert_true(sim_run_until(f->sim, SIM_SECOND, store_rig_is_done, f));
    assert_int_equal(f->total, 1);
    struct store_jobs_filter all = {0};
    list(f, &(struct store_page){.limit = -1}, &all);
    assert_int_equal(f->total, 2);
    assert_int_equal(events_from(f, 1, 0, -1), 0);
    store_rig_reopen(f);
    assert_int_equal(store_next_id(f->store, STORE_EVENT_ID), 2); /* although its row is gone */
}

static sqlite3 *open_beside(struct store_rig *f, const char *first) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(STORE_RIG_PATH, &db, SQLITE_OPEN_READWRITE, world_sqlite_vfs(f->w)), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, first, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static bool take_usage(void *ctx, int64_t day, const char *counter, int64_t value) {
    struct store_rig *f = ctx;
    f->rows += strcmp(counter, "nodes_without_agent") == 0;
    f->total = value;
    f->ids[0] = day;
    return true;
}

static void use_agentless(struct store_rig *f, int64_t day, const char *name) {
    struct store_batch *b = store_batch_new(f->store);
    store_usage_agentless(b, day, span_of(name));
    commit(f, b);
    assert_string_equal(f->kind, "");
}

static int64_t agentless_on(struct store_rig *f, int64_t day) {
    f->rows = 0;
    f->total = 0;
    assert_true(store_usage_page(f->store, day, day, take_usage, f, NULL));
    assert_true(f->rows <= 1);
    return f->total;
}

static void nodes_without_an_agent_are_counted_once_a_day(void **state) {
    struct store_rig *f = *state;
    use_agentless(f, 100, "a");
    use_agentless(f, 100, "b");
    use_agentless(f, 100, "a");
    use_agentless(f, 101, "a");
    assert_int_equal(agentless_on(f, 100), 2);
    assert_int_equal(agentless_on(f, 101), 1);
    struct store_batch *b = store_batch_new(f->store);
    store_usage_fold(b, 101);
    commit(f, b);
    assert_int_equal(agentless_on(f, 100), 2); /* the number stays, the names have gone */
    use_agentless(f, 101, "a");
    assert_int_equal(agentless_on(f, 101), 1);
}

/* A file of the first version, with jobs in it: what came later is added, what was there stays. */
static void an_older_schema_is_brought_up_to_date(void **state) {
    struct store_rig *f = *state;
    commit_job(f, "mira", 1000);
    store_finish(f->store);
    sqlite3 *db = open_beside(f, "PRAGMA locking_mode=EXCLUSIVE; DROP TABLE agentless; PRAGMA user_version=1;");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    store_rig_open(f);
    assert_true(job_exists(f, 1));
    use_agentless(f, 7, "a");
    assert_int_equal(agentless_on(f, 7), 1);
    commit_job(f, "mira", 1000);
    assert_true(job_exists(f, 2));
}

static void a_backup_is_a_whole_database(void **state) {
    struct store_rig *f = *state;
    for (int i = 0; i < 20; i++) {
        commit_job(f, "mira", 1000);
    }
    f->dones = 0;
    store_backup(f->store, "/var/lib/copy.db", store_rig_done, f);
    assert_true(sim_run_until(f->sim, 10 * SIM_SECOND, store_rig_is_done, f));
    assert_string_equal(f->kind, "");
    f->dones = 0;
    store_backup(f->store, "/var/lib/copy.db", store_rig_done, f);
    assert_true(sim_run_until(f->sim, 10 * SIM_SECOND, store_rig_is_done, f));
    assert_string_equal(f->kind, "world/exists");
    store_finish(f->store);
    f->opens = 0;
    struct store_opts opts = {.path = "/var/lib/copy.db", .on_open = store_rig_on_open, .ctx = f};
    f->store = store_new(f->w, &opts, NULL);
    assert_true(sim_run_until(f->sim, SIM_SECOND, store_rig_is_open, f));
    assert_true(job_exists(f, 20));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_are_read_from_any_id_on, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(events_know_the_names_of_many_nodes, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(nodes_come_with_their_last_event, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(jobs_are_paged_sorted_and_filtered, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(ids_never_come_back, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(pruning_takes_finished_old_jobs_only, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(nodes_without_an_agent_are_counted_once_a_day, store_rig_setup,
                                        store_rig_teardown),
        cmocka_unit_test_setup_teardown(an_older_schema_is_brought_up_to_date, store_rig_setup, store_rig_teardown),
        cmocka_unit_test_setup_teardown(a_backup_is_a_whole_database, store_rig_setup, store_rig_teardown),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
