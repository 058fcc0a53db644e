/* dalang bench broker: what a PCP broker costs — connections, memory, messages, latency — beside a bare OpenSSL echo
 * server measured in the same run, and beside a second broker on request. Brokers take turns, round by round, so that
 * what else the machine does hits all of them alike. */
#ifndef DALANG_BENCH_BROKER_H
#define DALANG_BENCH_BROKER_H

#include "base/error.h"
#include "simulator/bench/report.h"
#include "world/world.h"

struct bench_target {
    const char *url;    /* "wss://host:port/pcp2/"; NULL: a broker of ours is started (program) */
    const char *v1_url; /* NULL: url with /pcp/ instead of /pcp2/; "": without version 1 */
    const char *name;   /* of its column; NULL: the process's name, or its URL */
    int64_t pid;        /* 0: unknown, neither memory nor processor time are measured */
};
enum { BENCH_TARGETS_MAX = 2 };

struct bench_broker {
    struct world *world;
    const char *dir;     /* for certificates and logs of what is started */
    const char *program; /* dalang-broker */
    const char *self;    /* program that answers `SELF bench floor-server CERT KEY CA` with serve_openssl() */
    struct bench_target targets[BENCH_TARGETS_MAX];
    size_t target_count;     /* at least 1 */
    const char *ca, *ca_key; /* of given targets */
    size_t connections;      /* idle ones to hold; measured at 100, 1,000 and this many */
    size_t active;           /* pairs that send */
    uint64_t messages;       /* of each closed-loop measurement */
    size_t size;             /* of a message, bytes */
    uint64_t for_ms;         /* of each open-loop measurement */
    unsigned rounds;
    bool no_floor;
    void (*progress)(void *ctx, const char *what); /* may be NULL */
    void *progress_ctx;
};

/* Fills the report. Error kinds: "bench" (names the peer), "world/…", "certs/…", "url/malformed", "usage". */
bool bench_broker_run(const struct bench_broker *b, json_t *report, struct error *err);

#endif
