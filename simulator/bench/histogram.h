/* Distributions of times (or sizes): a log-linear histogram as HdrHistogram's. Each power of two is cut into 128 equal
 * buckets, so a quantile is off by less than 0.8 % (and exact below 256); recording is a few instructions and no
 * allocation. The unit is the caller's (the benches use microseconds or nanoseconds).
 *
 * A histogram is plain data of fixed size: copy it, sum `buckets` of many processes bin by bin (MPI: HISTOGRAM_BUCKETS
 * uint64_t with MPI_SUM; `count` and `sum` likewise, `min` with MPI_MIN, `max` with MPI_MAX), or send it as JSON. */
#ifndef DALANG_BENCH_HISTOGRAM_H
#define DALANG_BENCH_HISTOGRAM_H

#include "base/error.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { HISTOGRAM_SUB_BITS = 7, HISTOGRAM_VALUE_BITS = 42 };
enum { HISTOGRAM_BUCKETS = (HISTOGRAM_VALUE_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS };
/* Larger values are counted as this one (50 days of microseconds, 73 minutes of nanoseconds). */
#define HISTOGRAM_MAX ((UINT64_C(1) << HISTOGRAM_VALUE_BITS) - 1)

struct histogram {
    uint64_t count;
    uint64_t sum;      /* of the values as recorded */
    uint64_t min, max; /* exact; empty: UINT64_MAX and 0, so that they merge by themselves */
    uint64_t buckets[HISTOGRAM_BUCKETS];
};

void histogram_clear(struct histogram *h); /* before first use */
void histogram_record(struct histogram *h, uint64_t value);
void histogram_record_many(struct histogram *h, uint64_t value, uint64_t times);
void histogram_merge(struct histogram *into, const struct histogram *from);
/* What was recorded since an earlier copy of the same histogram, for figures of the last second. min and max of the
 * result are those of its buckets (within 0.8 %). */
void histogram_since(struct histogram *out, const struct histogram *now, const struct histogram *earlier);

/* The smallest recorded value (middle of its bucket, within min and max) that `percent` percent of all values do not
 * exceed; 0 gives the minimum, 100 the maximum; 0 when empty. */
uint64_t histogram_percentile(const struct histogram *h, double percent);
double histogram_mean(const struct histogram *h); /* 0 when empty */

/* {"count", "sum", "min", "max", "buckets":[[index, count], …]}: only buckets that hold something. */
json_t *histogram_to_json(const struct histogram *h);
/* False after setting err, kind "histogram": not that shape, an index out of range, counts that do not add up. */
bool histogram_from_json(struct histogram *h, const json_t *json, struct error *err);

/* The bucket of a value, and the values it holds: for plots. */
uint32_t histogram_index(uint64_t value);
uint64_t histogram_lowest(uint32_t index);
uint64_t histogram_highest(uint32_t index);

#endif
