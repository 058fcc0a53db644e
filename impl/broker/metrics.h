/* What the broker measures about itself (pcp.md §20): timers with rates and percentiles, counters.
 * A timer's durations are nanoseconds; a histogram with 16 steps per power of two (6% wide) holds them. */
#ifndef DALANG_BROKER_METRICS_H
#define DALANG_BROKER_METRICS_H

#include "base/bytes.h"
#include <jansson.h>

enum { METRICS_BUCKETS = 16 * 40 }; /* up to 2^43 ns, more than two hours */

struct metrics_timer {
    uint64_t count, sum, largest, smallest;
    uint64_t square_sum_us; /* of durations in µs, for the deviation */
    uint64_t ticked_us;     /* when the rates were last brought up to date */
    uint64_t uncounted;     /* marks since then */
    double rates[3];        /* per second, over 1, 5 and 15 minutes, decaying exponentially every 5 s */
    bool rated;             /* the first tick has been */
    uint32_t buckets[METRICS_BUCKETS];
};

void metrics_timer_init(struct metrics_timer *t, uint64_t now_us);
void metrics_timer_add(struct metrics_timer *t, uint64_t now_us, uint64_t duration_ns);
/* The duration that `part` of all stays below; 0 without any. */
uint64_t metrics_percentile(const struct metrics_timer *t, double part);
/* {rates: {1, 5, 15, total}, mean, std-dev, percentiles: {…}, largest, smallest} */
json_t *metrics_timer_json(struct metrics_timer *t, uint64_t now_us);
/* A Prometheus summary (seconds). */
void metrics_timer_prometheus(struct metrics_timer *t, const char *name, const char *help, struct buf *out);

#endif
