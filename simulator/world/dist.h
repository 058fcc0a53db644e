/* Distributions of durations and sizes, drawn with integers only (exp and log differ between processors). */
#ifndef DALANG_SIM_DIST_H
#define DALANG_SIM_DIST_H

#include "simulator/world/rng.h"

enum dist_kind { DIST_FIXED, DIST_UNIFORM, DIST_LOGNORMAL, DIST_EXPONENTIAL };

/* The unit is the user's (the simulated world: microseconds). */
struct dist {
    enum dist_kind kind;
    uint64_t a; /* fixed: the value · uniform: least · lognormal: median · exponential: mean */
    uint64_t b; /* uniform: greatest · lognormal: 99th percentile */
};

struct dist dist_fixed(uint64_t value);
struct dist dist_uniform(uint64_t least, uint64_t greatest); /* least ≤ greatest */
struct dist dist_lognormal(uint64_t p50, uint64_t p99);      /* 1 ≤ p50 ≤ p99 */
struct dist dist_exponential(uint64_t mean);
uint64_t dist_draw(const struct dist *d, struct rng *r); /* no draw is taken for a fixed one */
/* The value below which the fraction q/2^32 of all draws lies. Fixed gives its value. */
uint64_t dist_quantile(const struct dist *d, uint32_t q);

#endif
