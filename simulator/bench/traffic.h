/* Messages through a broker: pairs of connections, each sender to its own receiver. Either as fast as the broker passes
 * them on (closed loop: so many of each pair are under way), or at a fixed rate whatever the broker does (open loop:
 * latency counts from the moment a message was due, so that a stall is not hidden). */
#ifndef DALANG_BENCH_TRAFFIC_H
#define DALANG_BENCH_TRAFFIC_H

#include "simulator/bench/histogram.h"
#include "simulator/bench/load.h"

struct traffic;

/* Where a load's messages have to go: give it as load_opts.on_message and ctx; see traffic_attach(). */
struct traffic_inbox {
    struct traffic *traffic; /* zeroed at first */
};
void traffic_on_message(void *inbox, size_t index, struct span payload);

struct traffic_opts {
    struct load *from, *to; /* may be the same load */
    struct traffic_inbox *from_inbox, *to_inbox;
    size_t from_first, to_first; /* index of the first sender and receiver */
    size_t pairs;
    size_t size; /* of a message as the sender sends it, in bytes; at least TRAFFIC_SIZE_MIN */
};
enum { TRAFFIC_SIZE_MIN = 512, TRAFFIC_BINS = 60 };

struct traffic_result {
    uint64_t sent, received;
    uint64_t errors; /* error messages of the broker */
    double seconds;  /* from the first message to the last that arrived */
    double per_second;
    struct histogram latency_ns; /* open loop only */
    /* Open loop: the time cut into equal parts: how many arrived, and the longest latency. */
    double bin_seconds;
    uint64_t bin_received[TRAFFIC_BINS], bin_max_ns[TRAFFIC_BINS];
};

struct traffic *traffic_new(const struct traffic_opts *opts);
void traffic_free(struct traffic *t);
/* Error kind "bench": a connection was lost, the broker refuses (its words), or nothing arrives for ten seconds. */
bool traffic_closed(struct traffic *t, uint64_t messages, size_t window, struct traffic_result *out, struct error *err);
/* The first `warm_ms` are sent and not counted. What has not arrived ten seconds after the end is missing in
 * `received`. */
bool traffic_open(struct traffic *t, double per_second, uint64_t warm_ms, uint64_t for_ms, struct traffic_result *out,
                  struct error *err);

#endif
