/* Connections: order, back-pressure, fairness, callbacks that end what called them. Each case runs plain and over TLS
 * where both make sense. */
#include "world/tests/harness.h"

#include <sched.h>
#include <sys/ioctl.h>
#include <unistd.h>

static void both_ways(struct bench *b, bool tls) {
    struct pair p = {.host.echo = true};
    pair_open(b, &p, tls);
    struct buf sent = BUF_INIT;
    fill(&sent, 8 * 1024 * 1024);
    /* odd sizes, several parts, some of them empty */
    for (size_t at = 0, step = 1; at < sent.len; step = step * 7 % 100003 + 1) {
        struct span rest = span_sub(buf_span(&sent), at, step);
        struct span parts[] = {span_sub(rest, 0, rest.len / 3), {NULL, 0}, span_sub(rest, rest.len / 3, rest.len)};
        world_conn_write(p.client.c, parts, 3);
        at += rest.len;
    }
    assert_true(world_conn_pending(p.client.c) > 0);
    TURN_UNTIL(b, p.client.got.len == sent.len);
    assert_memory_equal(p.client.got.ptr, sent.ptr, sent.len);
    assert_int_equal(world_conn_pending(p.client.c), 0);
    assert_int_equal(p.client.drained, 1);
    buf_free(&sent);
    pair_free(&p);
}

static void both_ways_plain(void **state) {
    both_ways(*state, false);
}

static void both_ways_tls(void **state) {
    both_ways(*state, true);
}

static void write_before_open(void **state) {
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        pair_listen(b, &p, tls);
        end_connect(b, &p.client, host_port(&p.host), p.client_tls);
        world_conn_write(p.client.c, &SPAN("early"), 1);
        assert_int_equal(world_conn_pending(p.client.c), 5);
        TURN_UNTIL(b, p.host.count == 1 && p.host.ends[0]->got.len == 5);
        assert_int_equal(p.client.drained, 1);
        pair_free(&p);
    }
}

static void paused_reader_holds_the_writer(struct bench *b, bool tls) {
    struct pair p = {0};
    struct end *server = pair_open(b, &p, tls);
    world_conn_pause(server->c, true);
    struct buf sent = BUF_INIT;
    fill(&sent, 16 * 1024 * 1024);
    struct span all = buf_span(&sent);
    world_conn_write(p.client.c, &all, 1);
    size_t pending = SIZE_MAX;
    while (world_conn_pending(p.client.c) < pending) { /* until nothing moves any more */
        pending = world_conn_pending(p.client.c);
        for (int i = 0; i < 50; i++) {
            real_world_turn(b->w, false);
        }
    }
    assert_true(pending > 1024 * 1024);
    assert_int_equal(server->got.len, 0);
    assert_int_equal(p.client.drained, 0);
    world_conn_pause(server->c, false);
    TURN_UNTIL(b, server->got.len == sent.len);
    assert_memory_equal(server->got.ptr, sent.ptr, sent.len);
    assert_int_equal(p.client.drained, 1);
    buf_free(&sent);
    pair_free(&p);
}

static void back_pressure_plain(void **state) {
    paused_reader_holds_the_writer(*state, false);
}

static void back_pressure_tls(void **state) {
    paused_reader_holds_the_writer(*state, true);
}

static size_t readable(int fd) {
    int n = 0;
    assert_int_equal(ioctl(fd, FIONREAD, &n), 0);
    return (size_t)n;
}

/* What was sent has arrived, however busy the system, and nothing else. */
static void expect_readable(int fd, size_t len) {
    while (readable(fd) < len) {
        sched_yield();
    }
    assert_int_equal(readable(fd), len);
}

/* The first write of a turn goes at once, the others together at its end, a record of them at a time; nothing of that
 * is the peer's slowness. */
static void a_burst_is_gathered(void **state) {
    enum { LEN = 400, FULL = (16 * 1024 / LEN + 1) * LEN }; /* the pieces that fill a record */
    struct bench *b = *state;
    struct pair p = {0};
    pair_listen(b, &p, false);
    const int fd = raw_connect(host_port(&p.host));
    TURN_UNTIL(b, p.host.count == 1);
    struct end *server = p.host.ends[0];
    struct buf sent = BUF_INIT;
    fill(&sent, 100 * LEN);
    for (size_t at = 0; at < sent.len; at += LEN) {
        struct span piece = span_sub(buf_span(&sent), at, LEN);
        world_conn_write(server->c, &piece, 1);
        assert_int_equal(world_conn_pending(server->c), 0);
        expect_readable(fd, LEN + at / FULL * FULL);
    }
    while (readable(fd) < sent.len) {
        real_world_turn(b->w, false);
    }
    struct buf got = BUF_INIT;
    buf_reserve(&got, sent.len);
    assert_int_equal(read(fd, got.ptr, sent.len), sent.len);
    assert_memory_equal(got.ptr, sent.ptr, sent.len);
    assert_int_equal(server->drained, 0);
    close(fd);
    buf_free(&got);
    buf_free(&sent);
    pair_free(&p);
}

/* As one stream of records, also when the peer cannot take them all. */
static void a_large_burst_in_small_pieces(void **state) {
    enum { LEN = 1000 };
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        struct end *server = pair_open(b, &p, tls);
        struct buf sent = BUF_INIT;
        fill(&sent, 8 * 1024 * LEN);
        for (size_t at = 0; at < sent.len; at += LEN) {
            struct span piece = span_sub(buf_span(&sent), at, LEN);
            world_conn_write(p.client.c, &piece, 1);
        }
        assert_true(world_conn_pending(p.client.c) > 0);
        assert_int_equal(p.client.drained, 0);
        TURN_UNTIL(b, server->got.len == sent.len);
        assert_memory_equal(server->got.ptr, sent.ptr, sent.len);
        TURN_UNTIL(b, p.client.drained == 1);
        assert_int_equal(world_conn_pending(p.client.c), 0);
        buf_free(&sent);
        pair_free(&p);
    }
}

static void write_thrice(struct end *e) {
    for (int i = 0; i < 3; i++) {
        world_conn_write(e->c, &SPAN("abc"), 1);
    }
}

static void a_gathered_burst_and_the_end(void **state) {
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        struct end *server = pair_open(b, &p, tls);
        write_thrice(&p.client);
        world_conn_close(p.client.c, 1000);
        TURN_UNTIL(b, server->closed && p.client.closed);
        assert_int_equal(server->got.len, 9);
        assert_int_equal(server->why, WORLD_CLOSE_EOF);
        pair_free(&p);

        p = (struct pair){0};
        server = pair_open(b, &p, tls);
        write_thrice(&p.client);
        world_conn_abort(p.client.c);
        p.client.c = NULL;
        TURN_UNTIL(b, server->closed);
        assert_true(server->got.len <= 3);
        pair_free(&p);

        p = (struct pair){0};
        server = pair_open(b, &p, tls);
        world_conn_abort(server->c);
        server->c = NULL;
        write_thrice(&p.client); /* to somebody who has gone */
        TURN_UNTIL(b, p.client.closed);
        pair_free(&p);
    }
}

static void pause_itself(struct end *e, struct span bytes) {
    (void)bytes;
    world_conn_pause(e->c, true);
}

/* Bytes that TLS has taken from the socket already must come after a pause, though no event tells of them. */
static void pause_within_on_data(void **state) {
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        struct end *server = pair_open(b, &p, tls);
        server->on_data = pause_itself;
        struct buf sent = BUF_INIT;
        fill(&sent, 300 * 1024);
        struct span all = buf_span(&sent);
        world_conn_write(p.client.c, &all, 1);
        size_t rounds = 0;
        while (server->got.len < sent.len) {
            size_t before = server->got.len;
            TURN_UNTIL(b, server->got.len > before);
            assert_true(server->got.len - before <= 64 * 1024);
            world_conn_pause(server->c, false);
            rounds++;
        }
        assert_true(rounds >= 5);
        assert_memory_equal(server->got.ptr, sent.ptr, sent.len);
        buf_free(&sent);
        pair_free(&p);
    }
}

static void count_turn(struct end *e, struct span bytes) {
    (void)bytes;
    (*(size_t *)e->user)++;
}

/* One that floods gets its share of each turn, not more. */
static void fairness(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    struct end *flooded = pair_open(b, &p, false);
    struct end quiet = {0};
    end_connect(b, &quiet, host_port(&p.host), NULL);
    TURN_UNTIL(b, p.host.count == 2);
    struct buf sent = BUF_INIT;
    fill(&sent, 4 * 1024 * 1024);
    struct span all = buf_span(&sent);
    world_conn_write(p.client.c, &all, 1);
    size_t calls = 0;
    flooded->user = &calls;
    flooded->on_data = count_turn;
    world_conn_write(quiet.c, &SPAN("me too"), 1);
    TURN_UNTIL(b, p.host.ends[1]->got.len == 6);
    assert_true(flooded->got.len <= 4 * 64 * 1024);
    TURN_UNTIL(b, flooded->got.len == sent.len);
    assert_true(calls >= 64);
    buf_free(&sent);
    end_free(&quiet);
    pair_free(&p);
}

/* ---- callbacks that end what called them */

static void abort_on_data(struct end *e, struct span bytes) {
    char first = bytes.ptr[0];
    world_conn_abort(e->c);
    e->c = NULL;
    assert_int_equal(first, bytes.ptr[0]); /* the bytes live until we return */
}

static void abort_on_open(struct end *e) {
    world_conn_abort(e->c);
    e->c = NULL;
}

static void close_on_data(struct end *e, struct span bytes) {
    (void)bytes;
    if (e->c != NULL) {
        world_conn_write(e->c, &SPAN("bye"), 1);
        world_conn_close(e->c, 1000);
    }
}

static void ends_itself(void **state) {
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        struct end *server = pair_open(b, &p, tls);
        server->on_data = abort_on_data;
        world_conn_write(p.client.c, &SPAN("x"), 1);
        TURN_UNTIL(b, server->c == NULL && p.client.closed);
        assert_int_equal(server->closed, 0);

        struct end second = {.on_open = abort_on_open};
        end_connect(b, &second, host_port(&p.host), p.client_tls);
        TURN_UNTIL(b, second.opened);
        p.host.on_accept = abort_on_open;
        size_t before = p.host.count;
        struct end third = {0};
        end_connect(b, &third, host_port(&p.host), p.client_tls);
        TURN_UNTIL(b, p.host.count > before && third.closed);
        p.host.on_accept = NULL;

        before = p.host.count;
        struct end fourth = {0};
        end_connect(b, &fourth, host_port(&p.host), p.client_tls);
        TURN_UNTIL(b, p.host.count > before && fourth.opened);
        p.host.ends[before]->on_data = close_on_data;
        world_conn_write(fourth.c, &SPAN("x"), 1);
        TURN_UNTIL(b, fourth.closed);
        assert_string_equal(fourth.got.ptr, "bye");
        assert_int_equal(fourth.why, WORLD_CLOSE_EOF);
        end_free(&fourth);
        pair_free(&p);
    }
}

static void abort_the_other(struct end *e, struct span bytes) {
    (void)bytes;
    struct end *other = e->user;
    if (other->c != NULL) {
        world_conn_abort(other->c);
        other->c = NULL;
    }
}

/* Two connections are ready in one turn; the first one's callback ends the second. */
static void ends_another(void **state) {
    for (int tls = 0; tls < 2; tls++) {
        struct bench *b = *state;
        struct pair p = {0};
        struct end *one = pair_open(b, &p, tls);
        struct end second = {0};
        end_connect(b, &second, host_port(&p.host), p.client_tls);
        TURN_UNTIL(b, p.host.count == 2 && second.opened);
        struct end *two = p.host.ends[1];
        one->on_data = two->on_data = abort_the_other;
        one->user = two;
        two->user = one;
        world_conn_write(p.client.c, &SPAN("x"), 1);
        world_conn_write(second.c, &SPAN("x"), 1);
        TURN_UNTIL(b, p.client.closed || second.closed);
        assert_int_equal(one->got.len + two->got.len, 1);
        end_free(&second);
        pair_free(&p);
    }
}

static void abort_in_on_close_cb(void *ctx, struct world_conn *c, enum world_close_reason why, const char *text) {
    (void)why;
    (void)text;
    world_conn_abort(c); /* nothing left to do; must not hurt */
    (*(int *)ctx)++;
}

static void abort_in_on_close(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    struct end *server = pair_open(b, &p, false);
    int closed = 0;
    static const struct world_conn_handler handler = {.on_close = abort_in_on_close_cb};
    world_conn_set_handler(p.client.c, &handler, &closed);
    p.client.c = NULL;
    world_conn_close(server->c, 1000);
    TURN_UNTIL(b, closed == 1);
    pair_free(&p);
}

static void freed_world_ends_everything(void **state) {
    struct bench *b = *state;
    struct world *w = real_world_new(NULL);
    struct bench inner = *b;
    inner.w = w;
    struct pair p = {0};
    pair_open(&inner, &p, true);
    int fd = raw_connect(host_port(&p.host));
    real_world_turn(w, true);
    struct end named = {0};
    named.c = world_connect(w, &(struct world_connect){.host = "localhost", .port = host_port(&p.host)}, &end_handler,
                            &named);
    real_world_free(w);
    assert_int_equal(p.client.closed + named.closed, 0);
    close(fd);
    p.client.c = p.host.ends[0]->c = NULL;
    buf_free(&p.client.got);
    mem_free(p.host.ends[0]);
    world_tls_free(p.server_tls);
    world_tls_free(p.client_tls);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(both_ways_plain),
        CASE(both_ways_tls),
        CASE(write_before_open),
        CASE(back_pressure_plain),
        CASE(back_pressure_tls),
        CASE(a_burst_is_gathered),
        CASE(a_large_burst_in_small_pieces),
        CASE(a_gathered_burst_and_the_end),
        CASE(pause_within_on_data),
        CASE(fairness),
        CASE(ends_itself),
        CASE(ends_another),
        CASE(abort_in_on_close),
        CASE(freed_world_ends_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
