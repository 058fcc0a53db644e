#include "simulator/world/rng.h"

#include "base/digest.h"
#include <assert.h>
#include <string.h>

struct rng rng_derive(uint64_t seed, const char *purpose, const char *name) {
    uint64_t h = hash64(seed, purpose, strlen(purpose));
    if (name != NULL) {
        h = hash64(h, name, strlen(name));
    }
    return (struct rng){h};
}

uint64_t rng_next(struct rng *r) {
    r->state += 0x9e3779b97f4a7c15u;
    uint64_t z = r->state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t rng_below(struct rng *r, uint64_t bound) {
    assert(bound >= 1);
    uint64_t limit = UINT64_MAX - UINT64_MAX % bound;
    uint64_t x;
    do {
        x = rng_next(r);
    } while (x >= limit);
    return x % bound;
}

uint64_t rng_between(struct rng *r, uint64_t low, uint64_t high) {
    assert(low <= high);
    return high - low == UINT64_MAX ? rng_next(r) : low + rng_below(r, high - low + 1);
}

bool rng_chance(struct rng *r, uint32_t ppm) {
    return ppm != 0 && rng_below(r, 1000000) < ppm;
}

void rng_fill(struct rng *r, void *out, size_t len) {
    uint8_t *to = out;
    while (len > 0) {
        uint64_t x = rng_next(r);
        /* Byte by byte, lowest first: the same on either byte order. */
        for (int i = 0; i < 8 && len > 0; i++, len--) {
            *to++ = (uint8_t)(x >> (8 * i));
        }
    }
}

size_t rng_pick(struct rng *r, const uint32_t *weights, size_t count) {
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += weights[i];
    }
    uint64_t x = rng_below(r, sum);
    for (size_t i = 0;; i++) {
        assert(i < count);
        if (x < weights[i]) {
            return i;
        }
        x -= weights[i];
    }
}
