/* Bare processes hand a stream on: every node comes back, nothing stays behind, and what goes wrong has a name. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "simulator/bench/process.h"
#include "simulator/bench/relay.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PER_JOB = 10, PER_SECOND = 500 };

static const struct relay_opts opts = {.per_job = PER_JOB, .per_second = PER_SECOND, .seconds = 0.2, .busy = 0.1};

static void assert_nothing_left(uint64_t descriptors) {
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
    assert_int_equal(process_descriptors(getpid()), descriptors);
}

static void every_node_comes_back(void **state) {
    (void)state;
    struct relay relay = {0};
    struct relay_found found;
    struct error err = ERROR_INIT;
    const uint64_t descriptors = process_descriptors(getpid());
    for (int stream = 0; stream < 2; stream++) {
        const double begin = clock_s();
        assert_true(relay_measure(&relay, &opts, &found, &err));
        assert_true(clock_s() - begin >= opts.seconds); /* jobs are sent when they are due, not before */
        assert_int_equal(found.nodes, PER_SECOND / 5 + PER_JOB);
        assert_true(found.p50_ms > 0 && found.p50_ms <= found.p99_ms);
        assert_true(found.busy >= 0 && found.busy <= 1 && found.stolen >= 0 && found.stolen <= 1);
        assert_true(relay.steps > 0);
    }
    assert_nothing_left(descriptors);
}

/* More counting takes more time: the figures are of the work, not of the lines alone. */
static void work_takes_its_time(void **state) {
    (void)state;
    struct relay idle = {.steps = 1}, laden = {.steps = 1e6};
    struct relay_found without, with;
    assert_true(relay_measure(&idle, &opts, &without, NULL));
    assert_true(relay_measure(&laden, &opts, &with, NULL));
    assert_true(with.p50_ms > without.p50_ms);
}

static void *kill_a_child(void *arg) {
    char path[64], text[256] = "";
    pid_t child = 0;
    snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)*(pid_t *)arg);
    while (child == 0) {
        FILE *f = fopen(path, "r");
        if (f != NULL && fgets(text, sizeof(text), f) != NULL) {
            int pids[4] = {0};
            const int count = sscanf(text, "%d %d %d %d", &pids[0], &pids[1], &pids[2], &pids[3]);
            child = count == 4 ? pids[3] : 0; /* the last: an agent, far from the client */
        }
        if (f != NULL) {
            fclose(f);
        }
    }
    kill(child, SIGKILL);
    return NULL;
}

static void an_ended_process_is_told(void **state) {
    (void)state;
    struct relay relay = {.steps = 1000};
    struct relay_opts longer = opts;
    struct relay_found found;
    struct error err = ERROR_INIT;
    pthread_t killer;
    pid_t self = getpid();
    const uint64_t descriptors = process_descriptors(getpid());
    longer.seconds = 30;
    assert_int_equal(pthread_create(&killer, NULL, kill_a_child, &self), 0);
    assert_false(relay_measure(&relay, &longer, &found, &err));
    pthread_join(killer, NULL);
    assert_true(error_is(&err, "bench"));
    assert_string_equal(err.msg, "the bare processes have ended");
    error_clear(&err);
    assert_nothing_left(descriptors);
}

static void too_few_descriptors(void **state) {
    (void)state;
    struct relay relay = {.steps = 1};
    struct relay_found found;
    struct error err = ERROR_INIT;
    struct rlimit before;
    const uint64_t descriptors = process_descriptors(getpid());
    getrlimit(RLIMIT_NOFILE, &before);
    const struct rlimit few = {.rlim_cur = (rlim_t)dup(STDIN_FILENO) + 3, .rlim_max = before.rlim_max};
    close((int)few.rlim_cur - 3);
    setrlimit(RLIMIT_NOFILE, &few);
    const bool ok = relay_measure(&relay, &opts, &found, &err);
    setrlimit(RLIMIT_NOFILE, &before);
    assert_false(ok);
    assert_true(error_is(&err, "bench"));
    assert_string_equal(err.msg, "bare processes cannot be started: Too many open files");
    error_clear(&err);
    assert_nothing_left(descriptors);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_node_comes_back),
        cmocka_unit_test(work_takes_its_time),
        cmocka_unit_test(an_ended_process_is_told),
        cmocka_unit_test(too_few_descriptors),
    };
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
