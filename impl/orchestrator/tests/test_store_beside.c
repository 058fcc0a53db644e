/* Transactions run beside the loop: what is collected, read, stopped and freed while one is under way. In the simulated
 * world, then on real threads. */
#include "base/mem.h"
#include "orchestrator/store/store.h"
#include "simulator/world/sim.h"
#include "world/real.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* One store in either world. */
struct beside {
    struct sim *sim; /* NULL: the real world */
    struct world *w;
    struct store *store;
    char dir[64], path[96];
    int opens, dones, told[8], tells;
    char kind[40]; /* of the last batch's error */
    int64_t last_id;
    uint32_t rows;
    bool in_order;
};

struct told {
    struct store_waiter waiter;
    struct beside *b;
    int number;
};

static void on_open(void *ctx) {
    ((struct beside *)ctx)->opens++;
}

static bool is_open(void *ctx) {
    return ((struct beside *)ctx)->opens > 0;
}

static bool is_done(void *ctx) {
    return ((struct beside *)ctx)->dones > 0;
}

static bool one_told(void *ctx) {
    return ((struct beside *)ctx)->tells > 0;
}

static bool all_told(void *ctx) {
    return ((struct beside *)ctx)->tells == 2;
}

static void until(struct beside *b, bool (*what)(void *ctx)) {
    if (b->sim != NULL) {
        assert_true(sim_run_until(b->sim, 10 * SIM_SECOND, what, b));
    }
    while (!what(b)) {
        assert_true(real_world_turn(b->w, true) || what(b)); /* something can still happen */
    }
}

static void open_store(struct beside *b) {
    struct store_opts opts = {.path = b->path, .on_open = on_open, .ctx = b};
    b->opens = 0;
    b->store = store_new(b->w, &opts, NULL);
    assert_non_null(b->store);
    until(b, is_open);
}

static struct beside *simulated(void) {
    struct beside *b = mem_zalloc(sizeof *b);
    b->sim = sim_new(&(struct sim_opts){.seed = 1});
    b->w = sim_host(b->sim, "orchestrator");
    snprintf(b->path, sizeof b->path, "/orchestrator.db");
    open_store(b);
    return b;
}

static struct beside *on_threads(void) {
    struct beside *b = mem_zalloc(sizeof *b);
    b->w = real_world_new(NULL);
    snprintf(b->dir, sizeof b->dir, "/tmp/dalang-store-XXXXXX");
    assert_non_null(mkdtemp(b->dir));
    snprintf(b->path, sizeof b->path, "%s/orchestrator.db", b->dir);
    open_store(b);
    return b;
}

static void done_with(struct beside *b) {
    store_finish(b->store);
    if (b->sim != NULL) {
        struct buf report = BUF_INIT;
        assert_true(sim_check_idle(b->sim, &report));
        buf_free(&report);
        sim_free(b->sim);
    } else {
        world_file_remove(b->w, b->dir, true, NULL);
        real_world_free(b->w);
    }
    mem_free(b);
}

static int64_t put_event(struct beside *b) {
    struct store_event e = {.id = store_next_id(b->store, STORE_EVENT_ID),
                            .job = 1,
                            .node = -1,
                            .type = EVENT_JOB_STOPPING,
                            .ts_ms = 1,
                            .detail = SPAN("{}")};
    store_event_insert(store_standing(b->store), &e);
    return e.id;
}

static bool take_event(void *ctx, const struct store_event *e) {
    struct beside *b = ctx;
    b->in_order = b->in_order && e->id == b->last_id + 1;
    b->last_id = e->id;
    b->rows++;
    return true;
}

/* The events that can be read; their ids follow each other, from 1 on. */
static uint32_t events(struct beside *b) {
    b->rows = 0;
    b->last_id = 0;
    b->in_order = true;
    assert_true(store_events(b->store, 1, 0, -1, take_event, b, NULL));
    assert_true(b->in_order);
    return b->rows;
}

static void on_told(void *ctx) {
    struct told *t = ctx;
    t->b->told[t->b->tells++] = t->number;
}

static void tell_me(struct beside *b, struct told *t, int number) {
    *t = (struct told){.b = b, .number = number};
    store_after(b->store, &t->waiter, on_told, t);
}

static void on_done(void *ctx, const struct error *err) {
    struct beside *b = ctx;
    b->dones++;
    snprintf(b->kind, sizeof b->kind, "%s", err != NULL ? err->kind : "");
}

static struct store_batch *own_batch(struct beside *b, int64_t day) {
    struct store_batch *own = store_batch_new(b->store);
    store_usage_set(own, day, "nodes", day);
    return own;
}

/* Until the first transaction is under way: its writes are collected, none can be read. */
static void begin(struct beside *b) {
    put_event(b);
    store_hasten(b->store);
    if (b->sim != NULL) {
        sim_run(b->sim, sim_now_us(b->sim) + 100);
    } else {
        real_world_turn(b->w, false);
    }
}

/* ---- both worlds */

static void what_comes_meanwhile_waits_for_the_next_transaction(struct beside *b) {
    struct told first, second;
    tell_me(b, &first, 1);
    begin(b);
    put_event(b);
    tell_me(b, &second, 2);
    assert_int_equal(events(b), 0);
    assert_int_equal(store_event_horizon(b->store), 1);
    until(b, one_told);
    assert_int_equal(events(b), 1);
    assert_int_equal(store_event_horizon(b->store), 2);
    until(b, all_told);
    assert_int_equal(b->told[0], 1);
    assert_int_equal(b->told[1], 2);
    assert_int_equal(events(b), 2);
    assert_int_equal(store_event_horizon(b->store), 3);
}

static void the_end_waits_for_it(struct beside *b) {
    begin(b);
    store_commit(b->store, own_batch(b, 7), on_done, b);
    put_event(b);
    store_finish(b->store);
    assert_int_equal(b->dones, 1);
    assert_string_equal(b->kind, "");
    open_store(b);
    assert_int_equal(events(b), 2);
}

static void who_abandons_hears_nothing(struct beside *b) {
    store_commit(b->store, own_batch(b, 7), on_done, b);
    begin(b);
    store_commit(b->store, own_batch(b, 8), on_done, b);
    store_abandon(b->store);
    assert_int_equal(b->dones, 0);
    open_store(b);
    assert_true(events(b) <= 1);
}

static void who_has_gone_is_not_told(struct beside *b) {
    struct told told;
    store_commit(b->store, own_batch(b, 7), on_done, b);
    begin(b);
    store_forget(b->store, b);
    tell_me(b, &told, 1);
    b->tells++;
    until(b, all_told);
    assert_int_equal(b->dones, 0);
}

static void (*const stories[])(struct beside *b) = {what_comes_meanwhile_waits_for_the_next_transaction,
                                                    the_end_waits_for_it, who_abandons_hears_nothing,
                                                    who_has_gone_is_not_told};

static void in_the_simulated_world(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        struct beside *b = simulated();
        stories[i](b);
        done_with(b);
    }
}

static void on_real_threads(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
        struct beside *b = on_threads();
        stories[i](b);
        done_with(b);
    }
}

/* ---- a disk that fails while more comes */

static bool works_again(void *ctx) {
    return store_error(((struct beside *)ctx)->store) == NULL;
}

static void a_failed_transaction_goes_in_front_of_what_came_meanwhile(void **state) {
    (void)state;
    struct beside *b = simulated();
    sim_disk_fault(b->w, &(struct sim_disk_fault){.prefix = "/", .ops = SIM_FILE_WRITE, .kind = "world/full"});
    begin(b);
    put_event(b);
    store_commit(b->store, own_batch(b, 7), on_done, b);
    put_event(b);
    until(b, is_done);
    assert_string_equal(b->kind, "store/full");
    sim_disk_fault(b->w, NULL);
    until(b, works_again);
    assert_int_equal(events(b), 3);
    done_with(b);
}

/* ---- threads only */

static off_t log_size(struct beside *b) {
    char path[112];
    struct stat st;
    snprintf(path, sizeof path, "%s-wal", b->path);
    return stat(path, &st) == 0 ? st.st_size : 0;
}

/* The log is begun anew under steady work, and whoever reads sees all of what had ended, in order, and no more. */
static void much_is_written_and_read(void **state) {
    enum { ROUNDS = 500, EACH = 400, LOG_MAX = 8 << 20 };
    (void)state;
    struct beside *b = on_threads();
    off_t largest = 0;
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < EACH; i++) {
            put_event(b);
        }
        b->dones = 0;
        store_commit(b->store, own_batch(b, round), on_done, b);
        until(b, is_done);
        assert_true(round % 50 != 0 || events(b) == store_event_horizon(b->store) - 1);
        largest = log_size(b) > largest ? log_size(b) : largest;
    }
    assert_int_equal(events(b), ROUNDS * EACH);
    assert_true(largest > 0 && largest < LOG_MAX);
    done_with(b);
}

static void a_copy_is_of_one_moment(void **state) {
    (void)state;
    struct beside *b = on_threads();
    char copy[112];
    snprintf(copy, sizeof copy, "%s/copy.db", b->dir);
    for (int i = 0; i < 50000; i++) {
        put_event(b);
    }
    struct told told;
    tell_me(b, &told, 1);
    b->tells++;
    until(b, all_told);
    store_backup(b->store, copy, on_done, b);
    while (b->dones == 0) {
        put_event(b);
        real_world_turn(b->w, true);
    }
    assert_string_equal(b->kind, "");
    uint32_t now = events(b);
    store_finish(b->store);
    memcpy(b->path, copy, sizeof b->path);
    open_store(b);
    assert_true(events(b) >= 50000 && events(b) <= now);
    done_with(b);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_the_simulated_world),
        cmocka_unit_test(on_real_threads),
        cmocka_unit_test(a_failed_transaction_goes_in_front_of_what_came_meanwhile),
        cmocka_unit_test(much_is_written_and_read),
        cmocka_unit_test(a_copy_is_of_one_moment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
