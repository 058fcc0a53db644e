/* Repeatable randomness: every purpose has a stream of its own, derived from the seed and a name, so that a new
 * draw in one place shifts nothing anywhere else. Integers only: the same on every processor. */
#ifndef DALANG_SIM_RNG_H
#define DALANG_SIM_RNG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* SplitMix64: eight bytes of state, good enough for everything simulated. */
struct rng {
    uint64_t state;
};

struct rng rng_derive(uint64_t seed, const char *purpose, const char *name); /* name may be NULL */
uint64_t rng_next(struct rng *r);
uint64_t rng_below(struct rng *r, uint64_t bound);                /* uniform in 0..bound-1; bound ≥ 1 */
uint64_t rng_between(struct rng *r, uint64_t low, uint64_t high); /* both included */
bool rng_chance(struct rng *r, uint32_t ppm);                     /* true ppm times in a million; 0 draws nothing */
void rng_fill(struct rng *r, void *out, size_t len);
/* Index drawn with the given weights; their sum must be at least 1. */
size_t rng_pick(struct rng *r, const uint32_t *weights, size_t count);

#endif
