/* See relay.h. */
#include "simulator/bench/relay.h"

#include "base/mem.h"
#include "simulator/bench/histogram.h"
#include "simulator/bench/process.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    READ_MAX = 512, /* parcels at a time */
    OVER_S = 60,
    TRIAL_S = 1,
    CALIBRATE_ROUNDS = 20,
    CALIBRATE_STEPS = 1000000,
};

/* Hundredths of the processor time of a node-run, as the parts of a stack share it at half load: the orchestrator
 * before and after, the broker (with what stands beside it) there and back, the agent. */
enum { FRONT_BEFORE = 15, ROUTER_THERE = 14, AGENT = 42, ROUTER_BACK = 14, FRONT_AFTER = 15 };

enum { CLIENT = -1, FRONT, ROUTER, AGENTS_1, AGENTS_2, PROCESSES };

/* A job on its way to the front, then each of its nodes. */
struct parcel {
    uint64_t due_ns;
};

/* The lines: from the client to the front, from there to the router, from there to each group. [0] is the end that is
 * nearer to the client. */
struct lines {
    int pair[PROCESSES][2];
};

struct chain {
    struct lines lines;
    pid_t pid[PROCESSES]; /* 0: not begun */
};

/* Closes the ends of all others: with a process its lines end, and so does who reads from them. */
static void keep_own(struct lines *l, int which) {
    static const int nearer[] = {[FRONT] = CLIENT, [ROUTER] = FRONT, [AGENTS_1] = ROUTER, [AGENTS_2] = ROUTER};
    for (int i = 0; i < PROCESSES; i++) {
        const int owners[] = {nearer[i], i};
        for (int end = 0; end < 2; end++) {
            if (owners[end] != which && l->pair[i][end] >= 0) {
                close(l->pair[i][end]);
                l->pair[i][end] = -1;
            }
        }
    }
}

/* ---- working */

/* Counts; the compiler must not see through it. */
static void work(double steps) {
    uint64_t x = 1;
    for (uint64_t left = (uint64_t)steps; left > 0; left--) {
        x = x * UINT64_C(6364136223846793005) + 1;
        __asm__ volatile("" : "+r"(x));
    }
}

static double steps_per_second(void) {
    double best = 0;
    for (int i = 0; i < CALIBRATE_ROUNDS; i++) {
        const double begin = clock_s();
        work(CALIBRATE_STEPS);
        const double rate = CALIBRATE_STEPS / (clock_s() - begin);
        best = rate > best ? rate : best;
    }
    return best;
}

/* ---- the processes: nothing here returns, and nothing allocates (they are forks of a process with threads) */

static void hand_on(int line, const struct parcel *parcels, size_t count) {
    const char *at = (const char *)parcels;
    for (size_t left = count * sizeof(*parcels); left > 0;) {
        const ssize_t n = send(line, at, left, MSG_NOSIGNAL);
        if (n <= 0) {
            _exit(0); /* the next has ended */
        }
        at += n;
        left -= (size_t)n;
    }
}

static size_t take(int line, struct parcel parcels[READ_MAX]) {
    char *to = (char *)parcels;
    size_t len = 0;
    do {
        const ssize_t n = recv(line, to + len, READ_MAX * sizeof(*parcels) - len, 0);
        if (n <= 0) {
            _exit(0);
        }
        len += (size_t)n;
    } while (len % sizeof(*parcels) != 0);
    return len / sizeof(*parcels);
}

/* Jobs become nodes; what comes back goes to the client. */
_Noreturn static void front(int client, int router, size_t per_job, double steps) {
    struct pollfd lines[] = {{.fd = router, .events = POLLIN}, {.fd = client, .events = POLLIN}};
    struct parcel parcels[READ_MAX];
    for (;;) {
        poll(lines, 2, -1);
        if (lines[0].revents != 0) {
            const size_t count = take(router, parcels);
            work(steps * FRONT_AFTER / 100 * (double)count);
            hand_on(client, parcels, count);
        }
        const size_t jobs = lines[1].revents != 0 ? take(client, parcels) : 0;
        for (size_t i = 0; i < jobs; i++) {
            work(steps * FRONT_BEFORE / 100 * (double)per_job);
            for (size_t node = 0; node < per_job; node++) {
                hand_on(router, &parcels[i], 1);
            }
        }
    }
}

/* Nodes go to the two groups in turn. */
_Noreturn static void route(int front, const int groups[2], double steps) {
    struct pollfd lines[] = {
        {.fd = groups[0], .events = POLLIN}, {.fd = groups[1], .events = POLLIN}, {.fd = front, .events = POLLIN}};
    struct parcel parcels[READ_MAX];
    for (size_t turn = 0;;) {
        poll(lines, 3, -1);
        for (size_t g = 0; g < 2; g++) {
            const size_t count = lines[g].revents != 0 ? take(groups[g], parcels) : 0;
            work(steps * ROUTER_BACK / 100 * (double)count);
            hand_on(front, parcels, count);
        }
        const size_t count = lines[2].revents != 0 ? take(front, parcels) : 0;
        for (size_t i = 0; i < count; i++) {
            work(steps * ROUTER_THERE / 100);
            hand_on(groups[turn++ % 2], &parcels[i], 1);
        }
    }
}

_Noreturn static void answer(int router, double steps) {
    struct parcel parcels[READ_MAX];
    for (;;) {
        const size_t count = take(router, parcels);
        for (size_t i = 0; i < count; i++) {
            work(steps * AGENT / 100);
            hand_on(router, &parcels[i], 1);
        }
    }
}

_Noreturn static void become(int which, struct lines *l, size_t per_job, double steps) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    keep_own(l, which);
    switch (which) {
    case FRONT:
        front(l->pair[FRONT][1], l->pair[ROUTER][0], per_job, steps);
    case ROUTER:
        route(l->pair[ROUTER][1], (const int[]){l->pair[AGENTS_1][0], l->pair[AGENTS_2][0]}, steps);
    default:
        answer(l->pair[which][1], steps);
    }
}

/* ---- their beginning and end */

static void chain_end(struct chain *c) {
    for (int i = 0; i < PROCESSES; i++) {
        if (c->pid[i] > 0) {
            kill(c->pid[i], SIGKILL);
            while (waitpid(c->pid[i], NULL, 0) < 0 && errno == EINTR) {
            }
        }
    }
    keep_own(&c->lines, PROCESSES); /* nobody */
}

static bool chain_begin(struct chain *c, size_t per_job, double steps, struct error *err) {
    *c = (struct chain){0};
    memset(c->lines.pair, -1, sizeof(c->lines.pair));
    bool ok = true;
    for (int i = 0; i < PROCESSES && ok; i++) {
        ok = socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, c->lines.pair[i]) == 0;
    }
    for (int i = 0; i < PROCESSES && ok; i++) {
        c->pid[i] = fork();
        ok = c->pid[i] >= 0;
        if (c->pid[i] == 0) {
            become(i, &c->lines, per_job, steps);
        }
    }
    const int why = errno;
    keep_own(&c->lines, CLIENT);
    return ok || error_set(err, "bench", "bare processes cannot be started: %s", strerror(why));
}

/* ---- the client */

static void wait_until(int line, double due_s) {
    const double wait = due_s - clock_s(), s = wait > 0 ? wait : 0;
    struct pollfd p = {.fd = line, .events = POLLIN};
    ppoll(&p, 1, &(struct timespec){.tv_sec = (time_t)s, .tv_nsec = (long)((s - (double)(time_t)s) * 1e9)}, NULL);
}

static bool take_back(int line, struct histogram *latency, struct error *err) {
    struct parcel parcels[READ_MAX];
    const ssize_t n = recv(line, parcels, sizeof(parcels), MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
        return true;
    }
    if (n <= 0 || n % (ssize_t)sizeof(*parcels) != 0) {
        return error_set(err, "bench", "the bare processes have ended");
    }
    const uint64_t now = clock_ns();
    for (size_t i = 0; i < (size_t)n / sizeof(*parcels); i++) {
        histogram_record(latency, (now - parcels[i].due_ns) / 1000);
    }
    return true;
}

static bool run(int line, const struct relay_opts *opts, struct histogram *latency, struct error *err) {
    const double begin = clock_s(), pause = (double)opts->per_job / opts->per_second, end = begin + opts->seconds;
    const size_t jobs = (size_t)(opts->per_second * opts->seconds / (double)opts->per_job) + 1;
    for (size_t sent = 0; latency->count < jobs * opts->per_job;) {
        const double due = begin + pause * (double)sent, now = clock_s();
        if (sent < jobs && due <= now) {
            const struct parcel job = {.due_ns = (uint64_t)(due * 1e9)};
            if (send(line, &job, sizeof(job), MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)sizeof(job)) {
                return error_set(err, "bench", "the bare processes %s",
                                 errno == EAGAIN ? "take no more jobs" : "have ended");
            }
            sent++;
            continue;
        }
        if (now > end + OVER_S) {
            return error_set(err, "bench", "%zu of %zu parcels have come back from the bare processes",
                             (size_t)latency->count, jobs * opts->per_job);
        }
        wait_until(line, sent < jobs ? due : end + OVER_S);
        if (!take_back(line, latency, err)) {
            return false;
        }
    }
    return true;
}

static bool stream(struct relay *relay, const struct relay_opts *opts, struct relay_found *out, struct error *err) {
    struct histogram *latency = mem_alloc(sizeof(*latency));
    struct chain c;
    histogram_clear(latency);
    bool ok = chain_begin(&c, opts->per_job, relay->steps, err);
    const struct machine_time before = machine_time();
    process_urgent(true);
    ok = ok && run(c.lines.pair[FRONT][0], opts, latency, err);
    process_urgent(false);
    const struct machine_share share = machine_share_since(&before);
    chain_end(&c);
    *out = (struct relay_found){.nodes = latency->count,
                                .p50_ms = (double)histogram_percentile(latency, 50) / 1000,
                                .p99_ms = (double)histogram_percentile(latency, 99) / 1000,
                                .busy = share.busy,
                                .stolen = share.stolen};
    mem_free(latency);
    if (ok && out->busy > 0) {
        relay->steps *= opts->busy / out->busy;
    }
    return ok;
}

bool relay_measure(struct relay *relay, const struct relay_opts *opts, struct relay_found *out, struct error *err) {
    if (relay->steps == 0) {
        struct relay_opts trial = *opts;
        trial.seconds = TRIAL_S;
        relay->steps = opts->busy * (double)sysconf(_SC_NPROCESSORS_ONLN) / opts->per_second * steps_per_second();
        if (!stream(relay, &trial, out, err)) {
            return false;
        }
    }
    return stream(relay, opts, out, err);
}
