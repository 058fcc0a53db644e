/* The listener: addresses, the bound of handshakes, storms, no descriptor left. */
#include "world/tests/harness.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static void listen_errors(void **state) {
    struct bench *b = *state;
    struct host h = {0};
    host_listen(b, &h, NULL);
    struct error err = ERROR_INIT;
    struct world_listen again = {.host = "127.0.0.1", .port = host_port(&h)};
    assert_null(world_listen(b->w, &again, NULL, NULL, &err));
    assert_string_equal(err.kind, "world/address-in-use");
    error_clear(&err);
    assert_null(world_listen(b->w, &(struct world_listen){.host = "no.such.name.invalid"}, NULL, NULL, &err));
    assert_string_equal(err.kind, "world/address");
    error_clear(&err);
    assert_null(world_listen(b->w, &(struct world_listen){.host = "192.0.2.1"}, NULL, NULL, &err));
    assert_string_equal(err.kind, "world/address");
    error_clear(&err);
    host_free(&h);
}

static void listen_ipv6(void **state) {
    struct bench *b = *state;
    struct host h = {.echo = true};
    struct error err = ERROR_INIT;
    h.l = world_listen(b->w, &(struct world_listen){.host = "::1"}, host_on_accept, &h, &err);
    if (h.l == NULL) { /* a machine without IPv6 */
        assert_string_equal(err.kind, "world/address");
        error_clear(&err);
        return;
    }
    struct end e = {0};
    e.c = world_connect(b->w, &(struct world_connect){.host = "::1", .port = host_port(&h)}, &end_handler, &e);
    TURN_UNTIL(b, e.opened && h.count);
    assert_memory_equal(world_conn_remote(e.c), "[::1]:", 6);
    end_free(&e);
    host_free(&h);
}

/* Handshakes in progress are bounded; who waits in the backlog gets in when one is over. */
static void handshakes_are_bounded(void **state) {
    struct bench *b = *state;
    bench_issue_name(b, "server");
    bench_issue_name(b, "client");
    struct world_tls_files sf = bench_files(b, "server"), cf = bench_files(b, "client");
    struct world_tls *server = bench_tls(b, &sf), *client = bench_tls(b, &cf);
    struct host h = {0};
    struct world_listen opts = {.host = "127.0.0.1", .tls = server, .handshakes_max = 2, .handshake_timeout_ms = 50};
    h.l = world_listen(b->w, &opts, host_on_accept, &h, NULL);
    int silent[5];
    for (size_t i = 0; i < 5; i++) {
        silent[i] = raw_connect(world_listener_port(h.l));
    }
    struct end e = {0};
    end_connect(b, &e, world_listener_port(h.l), client);
    struct real_counts counts;
    for (int i = 0; i < 20; i++) {
        real_world_turn(b->w, false);
        real_world_counts(b->w, &counts);
        assert_true(counts.handshakes <= 2);
    }
    assert_int_equal(counts.handshakes, 2);
    TURN_UNTIL(b, e.opened); /* after the silent ones timed out */
    for (size_t i = 0; i < 5; i++) {
        close(silent[i]);
    }
    end_free(&e);
    host_free(&h);
    world_tls_free(server);
    world_tls_free(client);
}

/* A client that says its hello a byte at a time does not stay longer than one that says nothing. */
static void a_handshake_that_trickles_ends(void **state) {
    static const char hello[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"; /* of 512 bytes, never whole */
    struct bench *b = *state;
    bench_issue_name(b, "server");
    struct world_tls_files sf = bench_files(b, "server");
    struct world_tls *server = bench_tls(b, &sf);
    struct host h = {0};
    struct world_listen opts = {.host = "127.0.0.1", .tls = server, .handshake_timeout_ms = 50};
    h.l = world_listen(b->w, &opts, host_on_accept, &h, NULL);
    int slow = raw_connect(world_listener_port(h.l));
    char byte;
    bool ended = false;
    size_t said = 0;
    while (!ended) {
        char next = said < sizeof(hello) - 1 ? hello[said] : 'x';
        ended = send(slow, &next, 1, MSG_NOSIGNAL) < 0 || recv(slow, &byte, 1, MSG_DONTWAIT) == 0 ||
                (errno != EAGAIN && errno != EWOULDBLOCK);
        said++;
        assert_true(said < 400); /* before it would have been whole */
        real_world_turn(b->w, false);
        poll(NULL, 0, 1);
    }
    struct real_counts counts;
    real_world_counts(b->w, &counts);
    assert_int_equal(counts.handshakes, 0);
    assert_int_equal(h.count, 0);
    close(slow);
    host_free(&h);
    world_tls_free(server);
}

static bool all_open(const struct end *ends, size_t count) {
    size_t opened = 0;
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(ends[i].closed, 0);
        opened += (size_t)ends[i].opened;
    }
    return opened == count;
}

static void storm(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    pair_listen(b, &p, true);
    struct end *ends = mem_array(60, sizeof(*ends));
    for (size_t i = 0; i < 60; i++) {
        end_connect(b, &ends[i], host_port(&p.host), p.client_tls);
    }
    while (p.host.count < 60) {
        size_t before = p.host.count;
        real_world_turn(b->w, true);
        assert_true(p.host.count - before <= 16); /* a turn's share of handshakes */
        assert_int_equal(p.host.refused, 0);
    }
    TURN_UNTIL(b, all_open(ends, 60));
    for (size_t i = 0; i < 60; i++) {
        end_free(&ends[i]);
    }
    mem_free(ends);
    pair_free(&p);
}

/* No descriptor left: the listener waits and goes on when there is one, without spinning. */
static void out_of_descriptors(void **state) {
    struct bench *b = *state;
    struct host h = {.echo = true};
    host_listen(b, &h, NULL);
    int fd = raw_connect(host_port(&h));
    struct rlimit before, few;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)fd + 1;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    struct end e = {0};
    end_connect(b, &e, host_port(&h), NULL);
    TURN_UNTIL(b, e.closed);
    assert_int_equal(e.why, WORLD_CLOSE_UNREACHABLE);
    assert_non_null(strstr(e.text, "Too many open files"));
    assert_int_equal(h.count, 0);
    struct real_counts counts;
    real_world_counts(b->w, &counts);
    assert_int_equal(counts.timers, 1); /* its pause */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    TURN_UNTIL(b, h.count == 1);
    close(fd);
    TURN_UNTIL(b, h.ends[0]->closed);
    assert_int_equal(h.ends[0]->why, WORLD_CLOSE_EOF);
    host_free(&h);
}

static void listener_closed_during_handshakes(void **state) {
    struct bench *b = *state;
    struct pair p = {0};
    pair_listen(b, &p, true);
    int fd = raw_connect(host_port(&p.host));
    struct real_counts counts = {0};
    while (counts.handshakes == 0) {
        real_world_turn(b->w, true);
        real_world_counts(b->w, &counts);
    }
    world_listener_close(p.host.l);
    p.host.l = NULL;
    real_world_counts(b->w, &counts);
    assert_int_equal(counts.handshakes, 0);
    char byte;
    assert_true(read(fd, &byte, 1) <= 0);
    close(fd);
    pair_free(&p);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(listen_errors),
        CASE(listen_ipv6),
        CASE(handshakes_are_bounded),
        CASE(a_handshake_that_trickles_ends),
        CASE(storm),
        CASE(out_of_descriptors),
        CASE(listener_closed_during_handshakes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
