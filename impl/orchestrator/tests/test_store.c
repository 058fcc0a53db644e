/* The store in the simulated world: what is durable when, what happens when the disk fails, paging and order. */
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/store/store.h"
#include "simulator/world/sim.h"
#include <sqlite3.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define PATH "/var/lib/orchestrator.db"

struct fixture {
    struct sim *sim;
    struct world *w;
    struct store *store;
    int opens, dones, waits, rows;
    char kind[40]; /* of the last error told */
    bool healthy;
    int64_t total;
    int64_t ids[64];
};

static void on_open(void *ctx) {
    ((struct fixture *)ctx)->opens++;
}

static void on_health(void *ctx, const struct error *err) {
    struct fixture *f = ctx;
    f->healthy = err == NULL;
    snprintf(f->kind, sizeof f->kind, "%s", err != NULL ? err->kind : "");
}

static void open_store(struct fixture *f) {
    struct store_opts opts = {.path = PATH, .on_open = on_open, .on_health = on_health, .ctx = f};
    struct error err = ERROR_INIT;
    f->store = store_new(f->w, &opts, &err);
    assert_non_null(f->store);
    f->healthy = true;
}

static bool is_open(void *ctx) {
    return ((struct fixture *)ctx)->opens > 0;
}

static void setup_with(struct fixture *f, uint64_t seed) {
    *f = (struct fixture){.healthy = true};
    f->sim = sim_new(&(struct sim_opts){.seed = seed});
    f->w = sim_host(f->sim, "orchestrator");
    assert_true(world_file_mkdir(f->w, "/var/lib", 0755, true, NULL));
    open_store(f);
    assert_true(sim_run_until(f->sim, SIM_SECOND, is_open, f));
}

static int setup(void **state) {
    struct fixture *f = mem_zalloc(sizeof *f);
    setup_with(f, 1);
    *state = f;
    return 0;
}

static void finish(struct fixture *f) {
    store_finish(f->store);
    struct buf report = BUF_INIT;
    if (!sim_check_idle(f->sim, &report)) {
        fail_msg("left behind: %s", report.ptr);
    }
    buf_free(&report);
    sim_free(f->sim);
}

static int teardown(void **state) {
    finish(*state);
    mem_free(*state);
    return 0;
}

static void done(void *ctx, const struct error *err) {
    struct fixture *f = ctx;
    f->dones++;
    snprintf(f->kind, sizeof f->kind, "%s", err != NULL ? err->kind : "");
}

static bool is_done(void *ctx) {
    return ((struct fixture *)ctx)->dones > 0;
}

static void put_job(struct fixture *f, struct store_batch *b, int64_t id, const char *owner, int64_t ts_ms) {
    struct store_job job = {
        .id = id,
        .type = id % 2 == 0 ? JOB_TASK : JOB_DEPLOY,
        .state = JOB_READY,
        .command = SPAN("task"),
        .environment = SPAN("production"),
        .task = id % 2 == 0 ? SPAN("service::restart") : SPAN(""),
        .owner_login = span_of(owner),
        .node_count = 2,
        .counts = {[NODE_READY] = 2},
        .ts_ms = ts_ms,
        .started_ms = ts_ms,
        .entered_ms = {ts_ms, ts_ms},
        .options = SPAN("{\"noop\":false}"),
        .owner = SPAN("{}"),
        .userdata = SPAN("{}"),
        .request = SPAN("{}"),
        .secret = SPAN("\1\2\3"),
    };
    memset(job.salt, 7, sizeof job.salt);
    store_job_insert(b, &job);
    store_node_insert(b, id, 0, SPAN("web1"), NODE_READY, TRANSPORT_PCP, ts_ms);
    store_node_insert(b, id, 1, SPAN("web2"), NODE_READY, TRANSPORT_PCP, ts_ms);
    (void)f;
}

static void commit_job(struct fixture *f, const char *owner, int64_t ts_ms) {
    struct store_batch *b = store_batch_new(f->store);
    put_job(f, b, store_next_id(f->store, STORE_JOB_ID), owner, ts_ms);
    f->dones = 0;
    store_commit(f->store, b, done, f);
    assert_int_equal(f->dones, 0);
    assert_true(sim_run_until(f->sim, 10 * SIM_SECOND, is_done, f));
}

static void take_job(void *ctx, const struct store_job *job) {
    struct fixture *f = ctx;
    f->ids[0] = job->id;
    assert_int_equal(job->node_count, 2);
    assert_true(span_eq_cstr(job->command, "task"));
    assert_true(span_eq_cstr(job->options, "{\"noop\":false}"));
    assert_int_equal(job->salt[3], 7);
    assert_int_equal(job->secret.len, 3);
    assert_int_equal(job->counts[NODE_READY], 2);
    assert_int_equal(job->entered_ms[JOB_READY], 1000);
}

static bool job_exists(struct fixture *f, int64_t id) {
    bool found;
    struct error err = ERROR_INIT;
    assert_true(store_job(f->store, id, take_job, f, &found, &err));
    return found;
}

static void a_commit_is_visible_only_when_it_is_durable(void **state) {
    struct fixture *f = *state;
    struct store_batch *b = store_batch_new(f->store);
    put_job(f, b, 1, "mira", 1000);
    store_commit(f->store, b, done, f);
    assert_false(job_exists(f, 1));
    assert_true(sim_run_until(f->sim, SIM_SECOND, is_done, f));
    assert_string_equal(f->kind, "");
    assert_true(job_exists(f, 1));
    assert_int_equal(f->ids[0], 1);
}

static void waited(void *ctx) {
    ((struct fixture *)ctx)->waits++;
}

static bool is_waited(void *ctx) {
    return ((struct fixture *)ctx)->waits > 0;
}

static void put_event(struct fixture *f, int64_t job, int64_t node, enum event_type type, const char *detail) {
    struct store_event e = {.id = store_next_id(f->store, STORE_EVENT_ID),
                            .job = job,
                            .node = node,
                            .type = type,
                            .ts_ms = 2000,
                            .detail = span_of(detail)};
    store_event_insert(store_standing(f->store), &e);
}

static void settle(struct fixture *f) {
    struct store_waiter w = {0};
    f->waits = 0;
    store_after(f->store, &w, waited, f);
    assert_true(sim_run_until(f->sim, SIM_SECOND, is_waited, f));
}

static bool take_event(void *ctx, const struct store_event *e) {
    struct fixture *f = ctx;
    f->ids[f->rows++] = e->id;
    if (e->node == 1) {
        assert_true(span_eq_cstr(e->node_name, "web2"));
    }
    return true;
}

static int events_from(struct fixture *f, int64_t job, int64_t start, int64_t limit) {
    struct error err = ERROR_INIT;
    f->rows = 0;
    assert_true(store_events(f->store, job, start, limit, take_event, f, &err));
    return f->rows;
}

static void events_are_read_from_any_id_on(void **state) {
    struct fixture *f = *state;
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
    struct fixture *f = ctx;
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
    struct fixture *f = *state;
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
    store_commit(f->store, b, done, f);
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
    struct fixture *f = ctx;
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
    struct fixture *f = *state;
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
    struct fixture *f = ctx;
    f->ids[f->rows++] = job->id;
    return true;
}

static void list(struct fixture *f, const struct store_page *page, const struct store_jobs_filter *filter) {
    struct error err = ERROR_INIT;
    f->rows = 0;
    assert_true(store_jobs_page(f->store, page, filter, take_row, f, &f->total, &err));
}

static void jobs_are_paged_sorted_and_filtered(void **state) {
    struct fixture *f = *state;
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

static void reopen(struct fixture *f) {
    store_finish(f->store);
    f->opens = 0;
    open_store(f);
    assert_true(sim_run_until(f->sim, SIM_SECOND, is_open, f));
}

static void ids_never_come_back(void **state) {
    struct fixture *f = *state;
    commit_job(f, "mira", 1000);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    settle(f);
    reopen(f);
    assert_int_equal(store_next_id(f->store, STORE_JOB_ID), 2);
    assert_int_equal(store_next_id(f->store, STORE_EVENT_ID), 2);
}

static void pruned(void *ctx, const struct error *err, uint32_t deleted) {
    struct fixture *f = ctx;
    done(ctx, err);
    f->total = deleted;
}

static void pruning_takes_finished_old_jobs_only(void **state) {
    struct fixture *f = *state;
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
    assert_true(sim_run_until(f->sim, SIM_SECOND, is_done, f));
    assert_int_equal(f->total, 1);
    struct store_jobs_filter all = {0};
    list(f, &(struct store_page){.limit = -1}, &all);
    assert_int_equal(f->total, 2);
    assert_int_equal(events_from(f, 1, 0, -1), 0);
    reopen(f);
    assert_int_equal(store_next_id(f->store, STORE_EVENT_ID), 2); /* although its row is gone */
}

/* ---------------------------------------------------------------------------------------- failing */

static bool is_healthy(void *ctx) {
    return ((struct fixture *)ctx)->healthy;
}

static void fault(struct fixture *f, unsigned ops, const char *kind) {
    struct sim_disk_fault fault = {.prefix = "/var/lib", .ops = ops, .kind = kind};
    sim_disk_fault(f->w, &fault);
}

/* ---- the standing batch rests after a transaction that took long */

struct slow_clock {
    struct world_time_ops ops;
    const struct world_time_ops *sim;
    uint64_t skew_us, transaction_us;
};

static struct slow_clock slow; /* an operation of the world gets only the sim's own context */

static uint64_t slow_now_us(void *impl) {
    return slow.sim->now_us(impl) + slow.skew_us;
}

static void take_time(void *ctx) {
    (void)ctx;
    slow.skew_us += slow.transaction_us;
}

static void make_slow(struct fixture *f, uint64_t transaction_us) {
    slow = (struct slow_clock){.ops = *f->w->time, .sim = f->w->time, .transaction_us = transaction_us};
    slow.ops.now_us = slow_now_us;
    f->w->time = &slow.ops;
    store_set_prepare(f->store, take_time, f);
}

static void make_normal(struct fixture *f) {
    f->w->time = slow.sim;
    store_set_prepare(f->store, NULL, NULL);
}

/* How long an event of the standing batch waits for its commit. */
static uint64_t event_wait_us(struct fixture *f, bool hasten) {
    const uint64_t begin = sim_now_us(f->sim);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    if (hasten) {
        store_hasten(f->store);
    }
    settle(f);
    return sim_now_us(f->sim) - begin;
}

enum { TRANSACTION_US = 300, GATHER_US = 4000 }; /* a transaction without what make_slow() adds */

static void the_standing_batch_waits_for_company(void **state) {
    struct fixture *f = *state;
    assert_int_equal(event_wait_us(f, false), GATHER_US + TRANSACTION_US);
    const uint64_t begin = sim_now_us(f->sim);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    sim_run(f->sim, begin + GATHER_US - 1000);
    assert_int_equal(event_wait_us(f, false), 1000 + TRANSACTION_US); /* from the first on */
    assert_int_equal(events_from(f, 1, 0, -1), 3);
}

static void what_is_waited_for_goes_at_once(void **state) {
    struct fixture *f = *state;
    assert_int_equal(event_wait_us(f, true), TRANSACTION_US);
    sim_run(f->sim, sim_now_us(f->sim) + SIM_SECOND);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    sim_run(f->sim, sim_now_us(f->sim) + 1000);
    assert_int_equal(event_wait_us(f, true), TRANSACTION_US); /* what gathered goes with it */
    assert_int_equal(events_from(f, 1, 0, -1), 3);
}

static void hastening_nothing_leaves_nothing_behind(void **state) {
    struct fixture *f = *state;
    store_hasten(f->store);
    sim_run(f->sim, sim_now_us(f->sim) + SIM_SECOND);
    assert_int_equal(event_wait_us(f, false), GATHER_US + TRANSACTION_US);
}

static void the_standing_batch_rests_after_a_slow_transaction(void **state) {
    struct fixture *f = *state;
    static const uint64_t cases[][2] = {{0, 1000}, {450, 1000}, {1700, 2000}, {2500, 3000}, {1000000, 4000}};
    make_slow(f, 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sim_run(f->sim, sim_now_us(f->sim) + SIM_SECOND);
        slow.transaction_us = cases[i][0];
        assert_int_equal(event_wait_us(f, true), TRANSACTION_US); /* it has rested: at once */
        assert_int_equal(event_wait_us(f, true), cases[i][1] + TRANSACTION_US);
    }
    make_normal(f);
}

static void an_own_batch_does_not_wait_and_takes_the_standing_one_along(void **state) {
    struct fixture *f = *state;
    make_slow(f, 2000);
    assert_int_equal(event_wait_us(f, true), TRANSACTION_US);
    const uint64_t begin = sim_now_us(f->sim);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    commit_job(f, "mira", 1000);
    assert_int_equal(sim_now_us(f->sim), begin + TRANSACTION_US);
    assert_int_equal(events_from(f, 1, 0, -1), 2);
    make_normal(f);
}

static void a_full_disk_refuses_and_recovers(void **state) {
    struct fixture *f = *state;
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
    struct fixture *f = *state;
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
    struct fixture *f = *state;
    commit_job(f, "mira", 1000);
    store_finish(f->store);
    struct buf good = BUF_INIT;
    assert_true(world_file_read(f->w, PATH, 1 << 24, &good, NULL));
    struct buf bad = BUF_INIT;
    for (size_t i = 0; i < good.len; i++) {
        buf_append_char(&bad, 'x');
    }
    assert_true(world_file_write(f->w, PATH, buf_span(&bad), 0600, WORLD_WRITE_ATOMIC, NULL));
    f->opens = 0;
    struct store_opts opts = {.path = PATH, .on_open = on_open, .on_health = on_health, .ctx = f};
    f->store = store_new(f->w, &opts, NULL);
    assert_non_null(f->store);
    assert_true(error_is(store_error(f->store), "store/corrupt"));
    bool found;
    struct error err = ERROR_INIT;
    assert_false(store_job(f->store, 1, take_job, f, &found, &err));
    assert_true(error_is(&err, "store/corrupt"));
    error_clear(&err);
    sim_run(f->sim, sim_now_us(f->sim) + 3 * SIM_SECOND);
    assert_int_equal(f->opens, 0);
    assert_true(world_file_write(f->w, PATH, buf_span(&good), 0600, WORLD_WRITE_ATOMIC, NULL));
    assert_true(sim_run_until(f->sim, 5 * SIM_SECOND, is_open, f));
    assert_true(job_exists(f, 1));
    buf_free(&good);
    buf_free(&bad);
}

static void a_row_the_database_refuses_fails_its_batch_alone(void **state) {
    struct fixture *f = *state;
    commit_job(f, "mira", 1000);
    struct store_batch *twice = store_batch_new(f->store);
    put_job(f, twice, 1, "mira", 1000);
    f->dones = 0;
    store_commit(f->store, twice, done, f);
    put_event(f, 1, 0, EVENT_NODE_RUNNING, "{}");
    assert_true(sim_run_until(f->sim, SIM_SECOND, is_done, f));
    assert_string_equal(f->kind, "store/refused");
    assert_int_equal(events_from(f, 1, 0, -1), 1);
    assert_null(store_error(f->store));
}

static void a_newer_schema_is_refused(void **state) {
    struct fixture *f = *state;
    store_finish(f->store);
    struct buf file = BUF_INIT;
    assert_true(world_file_read(f->w, PATH, 1 << 24, &file, NULL));
    file.ptr[63] = STORE_SCHEMA_VERSION + 1; /* user_version, big endian, at offset 60 */
    assert_true(world_file_write(f->w, PATH, buf_span(&file), 0600, WORLD_WRITE_ATOMIC, NULL));
    buf_free(&file);
    struct store_opts opts = {.path = PATH};
    struct error err = ERROR_INIT;
    f->store = store_new(f->w, &opts, &err);
    assert_null(f->store);
    assert_true(error_is(&err, "store/newer-schema"));
    error_clear(&err);
}

static sqlite3 *open_beside(struct fixture *f, const char *first) {
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open_v2(PATH, &db, SQLITE_OPEN_READWRITE, world_sqlite_vfs(f->w)), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, first, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static bool take_usage(void *ctx, int64_t day, const char *counter, int64_t value) {
    struct fixture *f = ctx;
    f->rows += strcmp(counter, "nodes_without_agent") == 0;
    f->total = value;
    f->ids[0] = day;
    return true;
}

static void use_agentless(struct fixture *f, int64_t day, const char *name) {
    struct store_batch *b = store_batch_new(f->store);
    store_usage_agentless(b, day, span_of(name));
    f->dones = 0;
    store_commit(f->store, b, done, f);
    assert_true(sim_run_until(f->sim, 10 * SIM_SECOND, is_done, f));
    assert_string_equal(f->kind, "");
}

static int64_t agentless_on(struct fixture *f, int64_t day) {
    f->rows = 0;
    f->total = 0;
    assert_true(store_usage_page(f->store, day, day, take_usage, f, NULL));
    assert_true(f->rows <= 1);
    return f->total;
}

static void nodes_without_an_agent_are_counted_once_a_day(void **state) {
    struct fixture *f = *state;
    use_agentless(f, 100, "a");
    use_agentless(f, 100, "b");
    use_agentless(f, 100, "a");
    use_agentless(f, 101, "a");
    assert_int_equal(agentless_on(f, 100), 2);
    assert_int_equal(agentless_on(f, 101), 1);
    struct store_batch *b = store_batch_new(f->store);
    store_usage_fold(b, 101);
    f->dones = 0;
    store_commit(f->store, b, done, f);
    assert_true(sim_run_until(f->sim, 10 * SIM_SECOND, is_done, f));
    assert_int_equal(agentless_on(f, 100), 2); /* the number stays, the names have gone */
    use_agentless(f, 101, "a");
    assert_int_equal(agentless_on(f, 101), 1);
}

/* A file of the first version, with jobs in it: what came later is added, what was there stays. */
static void an_older_schema_is_brought_up_to_date(void **state) {
    struct fixture *f = *state;
    commit_job(f, "mira", 1000);
    store_finish(f->store);
    sqlite3 *db = open_beside(f, "PRAGMA locking_mode=EXCLUSIVE; DROP TABLE agentless; PRAGMA user_version=1;");
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    f->opens = 0;
    open_store(f);
    assert_true(sim_run_until(f->sim, SIM_SECOND, is_open, f));
    assert_true(job_exists(f, 1));
    use_agentless(f, 7, "a");
    assert_int_equal(agentless_on(f, 7), 1);
    commit_job(f, "mira", 1000);
    assert_true(job_exists(f, 2));
}

static void a_backup_is_a_whole_database(void **state) {
    struct fixture *f = *state;
    for (int i = 0; i < 20; i++) {
        commit_job(f, "mira", 1000);
    }
    f->dones = 0;
    store_backup(f->store, "/var/lib/copy.db", done, f);
    assert_true(sim_run_until(f->sim, 10 * SIM_SECOND, is_done, f));
    assert_string_equal(f->kind, "");
    f->dones = 0;
    store_backup(f->store, "/var/lib/copy.db", done, f);
    assert_true(sim_run_until(f->sim, 10 * SIM_SECOND, is_done, f));
    assert_string_equal(f->kind, "world/exists");
    store_finish(f->store);
    f->opens = 0;
    struct store_opts opts = {.path = "/var/lib/copy.db", .on_open = on_open, .ctx = f};
    f->store = store_new(f->w, &opts, NULL);
    assert_true(sim_run_until(f->sim, SIM_SECOND, is_open, f));
    assert_true(job_exists(f, 20));
}

static void destroy(void *ctx) {
    struct fixture *f = ctx;
    store_abandon(f->store);
    f->store = NULL;
}

/* Power fails at every disk operation of a commit in turn: a job that was acknowledged is there afterwards. */
static void what_was_acknowledged_survives_a_power_failure(void **state) {
    (void)state;
    int acknowledged = 0;
    for (uint64_t n = 1; n <= 40; n++) {
        struct fixture f;
        setup_with(&f, n);
        commit_job(&f, "mira", 1000);
        sim_on_crash(f.w, destroy, &f);
        uint64_t before = sim_file_op_count(f.w);
        struct store_batch *b = store_batch_new(f.store);
        put_job(&f, b, 2, "mira", 1000);
        f.dones = 0;
        store_commit(f.store, b, done, &f);
        for (int step = 0; f.dones == 0 && step < 1000 && sim_file_op_count(f.w) - before < n; step++) {
            sim_step(f.sim);
        }
        bool was_acknowledged = f.dones != 0 && f.kind[0] == '\0';
        acknowledged += was_acknowledged ? 1 : 0;
        sim_crash(f.w, SIM_CRASH_POWER);
        sim_power_on(f.w);
        f.opens = 0;
        open_store(&f);
        assert_true(sim_run_until(f.sim, 5 * SIM_SECOND, is_open, &f));
        assert_true(job_exists(&f, 1));
        if (was_acknowledged) {
            assert_true(job_exists(&f, 2));
        }
        finish(&f);
    }
    assert_true(acknowledged > 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_commit_is_visible_only_when_it_is_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(events_are_read_from_any_id_on, setup, teardown),
        cmocka_unit_test_setup_teardown(events_know_the_names_of_many_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(nodes_come_with_their_last_event, setup, teardown),
        cmocka_unit_test_setup_teardown(jobs_are_paged_sorted_and_filtered, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_never_come_back, setup, teardown),
        cmocka_unit_test_setup_teardown(pruning_takes_finished_old_jobs_only, setup, teardown),
        cmocka_unit_test_setup_teardown(the_standing_batch_waits_for_company, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_waited_for_goes_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(hastening_nothing_leaves_nothing_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(the_standing_batch_rests_after_a_slow_transaction, setup, teardown),
        cmocka_unit_test_setup_teardown(an_own_batch_does_not_wait_and_takes_the_standing_one_along, setup, teardown),
        cmocka_unit_test_setup_teardown(a_full_disk_refuses_and_recovers, setup, teardown),
        cmocka_unit_test_setup_teardown(io_errors_reopen_the_file, setup, teardown),
        cmocka_unit_test_setup_teardown(a_corrupt_file_is_reported_until_it_is_replaced, setup, teardown),
        cmocka_unit_test_setup_teardown(a_row_the_database_refuses_fails_its_batch_alone, setup, teardown),
        cmocka_unit_test_setup_teardown(a_newer_schema_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(nodes_without_an_agent_are_counted_once_a_day, setup, teardown),
        cmocka_unit_test_setup_teardown(an_older_schema_is_brought_up_to_date, setup, teardown),
        cmocka_unit_test_setup_teardown(a_backup_is_a_whole_database, setup, teardown),
        cmocka_unit_test(what_was_acknowledged_survives_a_power_failure),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
