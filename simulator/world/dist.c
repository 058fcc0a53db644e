/* Fixed-point logarithm, power and normal quantile; see dist.h. */
#include "simulator/world/dist.h"

#include <assert.h>

/* Quantiles of the standard normal distribution in 1/65536: at 1/2 + i/512 … */
enum { CENTER = 256 };
static const int32_t normal_center[CENTER] = {
    0,      321,    642,    963,    1283,   1604,   1925,   2246,   2567,   2889,   3210,   3531,   3852,   4174,
    4495,   4817,   5139,   5461,   5783,   6105,   6427,   6750,   7072,   7395,   7718,   8041,   8365,   8688,
    9012,   9336,   9660,   9985,   10310,  10634,  10960,  11285,  11611,  11937,  12263,  12590,  12917,  13244,
    13572,  13900,  14228,  14557,  14886,  15215,  15545,  15875,  16206,  16537,  16869,  17200,  17533,  17865,
    18199,  18532,  18867,  19201,  19536,  19872,  20208,  20545,  20882,  21220,  21559,  21898,  22237,  22577,
    22918,  23259,  23601,  23944,  24287,  24631,  24976,  25321,  25668,  26014,  26362,  26710,  27059,  27409,
    27759,  28111,  28463,  28816,  29170,  29525,  29880,  30237,  30594,  30952,  31311,  31671,  32032,  32394,
    32758,  33122,  33487,  33853,  34220,  34588,  34958,  35328,  35700,  36072,  36446,  36821,  37198,  37575,
    37954,  38334,  38715,  39098,  39482,  39868,  40254,  40642,  41032,  41423,  41816,  42210,  42605,  43002,
    43401,  43801,  44203,  44607,  45012,  45419,  45828,  46239,  46651,  47066,  47482,  47900,  48320,  48742,
    49166,  49592,  50021,  50451,  50884,  51318,  51756,  52195,  52637,  53081,  53528,  53977,  54428,  54883,
    55340,  55799,  56262,  56727,  57195,  57666,  58140,  58617,  59097,  59581,  60067,  60557,  61051,  61548,
    62048,  62552,  63060,  63572,  64087,  64607,  65131,  65659,  66191,  66727,  67268,  67814,  68364,  68920,
    69480,  70045,  70616,  71192,  71774,  72361,  72954,  73554,  74159,  74771,  75389,  76015,  76647,  77286,
    77933,  78588,  79250,  79921,  80600,  81288,  81985,  82691,  83408,  84134,  84871,  85618,  86377,  87148,
    87931,  88727,  89536,  90358,  91196,  92048,  92917,  93802,  94704,  95625,  96565,  97526,  98507,  99512,
    100540, 101594, 102675, 103784, 104924, 106096, 107304, 108549, 109834, 111164, 112540, 113968, 115453, 116999,
    118613, 120303, 122076, 123944, 125918, 128013, 130248, 132646, 135235, 138055, 141156, 144610, 148519, 153042,
    158437, 165184, 174330, 189113,
};
/* … and at 1 - 1/2^k, k = 9 … 32. */
enum { TAIL_FIRST = 9, TAIL_LAST = 32 };
static const int32_t normal_tail[TAIL_LAST - TAIL_FIRST + 1] = {
    189113, 202983, 216085, 228531, 240408, 251785, 262719, 273257, 283438, 293295, 302857, 312148,
    321190, 330000, 338597, 346994, 355204, 363239, 371111, 378827, 386397, 393829, 401130, 408306,
};
/* 2^(1/2^i), i = 1 … 32, in 1/2^32. */
static const uint64_t power_of_two[32] = {
    6074001000u, 5107605667u, 4683695048u, 4485121744u, 4389014833u, 4341736423u, 4318288544u, 4306612134u,
    4300785774u, 4297875550u, 4296421177u, 4295694175u, 4295330720u, 4295149004u, 4295058149u, 4295012722u,
    4294990009u, 4294978653u, 4294972974u, 4294970135u, 4294968716u, 4294968006u, 4294967651u, 4294967473u,
    4294967385u, 4294967340u, 4294967318u, 4294967307u, 4294967302u, 4294967299u, 4294967297u, 4294967297u,
};

static const int64_t NORMAL_P99 = 152460; /* quantile at 0.99, in 1/65536 */
static const uint64_t LN_2 = 2977044472u; /* in 1/2^32 */

/* log2(x) in 1/2^32, x ≥ 1. */
static uint64_t log2_fixed(uint64_t x) {
    unsigned whole = 63u - (unsigned)__builtin_clzll(x);
    uint64_t mantissa = x << (63 - whole); /* 1.0 … 2.0 in 1/2^63 */
    uint64_t result = (uint64_t)whole << 32;
    for (unsigned bit = 32; bit-- > 0;) {
        unsigned __int128 square = (unsigned __int128)mantissa * mantissa;
        if ((square >> 127) != 0) {
            result |= (uint64_t)1 << bit;
            mantissa = (uint64_t)(square >> 64);
        } else {
            mantissa = (uint64_t)(square >> 63);
        }
    }
    return result;
}

static const uint64_t DRAW_MAX = (uint64_t)1 << 62;

/* base * 2^(exponent / 2^32), at most DRAW_MAX. */
static uint64_t scale_by_power(uint64_t base, int64_t exponent) {
    int64_t whole = exponent >> 32; /* rounds down, as wanted */
    uint64_t fraction = (uint64_t)exponent & 0xffffffffu;
    unsigned __int128 value = (unsigned __int128)base << 32;
    for (int i = 0; i < 32; i++) {
        if ((fraction & (0x80000000u >> i)) != 0) {
            value = (value * power_of_two[i]) >> 32;
        }
    }
    if (whole >= 0) {
        return whole > 62 || (value >> (94 - whole)) != 0 ? DRAW_MAX : (uint64_t)((value << whole) >> 32);
    }
    return whole < -94 ? 0 : (uint64_t)(value >> (32 - whole));
}

/* Quantile of the standard normal distribution at q/2^32 for q ≥ 2^31, in 1/65536. */
static int64_t normal_upper(uint32_t q) {
    uint64_t above = q - 0x80000000u;  /* 0 … 2^31-1 */
    uint64_t step = (uint64_t)1 << 23; /* 1/512 */
    uint64_t i = above / step;
    if (i < CENTER - 1) {
        int64_t low = normal_center[i], high = normal_center[i + 1];
        return low + (high - low) * (int64_t)(above % step) / (int64_t)step;
    }
    uint64_t left = ((uint64_t)1 << 32) - q; /* 1 … 2^23 of 2^32 above us */
    unsigned k = 32u - (63u - (unsigned)__builtin_clzll(left));
    if (((uint64_t)1 << (32 - k)) == left) {
        return normal_tail[k - TAIL_FIRST];
    }
    /* Between 1 - 1/2^(k-1) and 1 - 1/2^k. */
    uint64_t near = (uint64_t)1 << (32 - k), far = near * 2;
    int64_t low = normal_tail[k - 1 - TAIL_FIRST], high = normal_tail[k - TAIL_FIRST];
    return low + (high - low) * (int64_t)(far - left) / (int64_t)(far - near);
}

static int64_t normal_quantile(uint32_t q) {
    return q >= 0x80000000u ? normal_upper(q) : -normal_upper(q == 0 ? UINT32_MAX : 0u - q);
}

struct dist dist_fixed(uint64_t value) {
    return (struct dist){DIST_FIXED, value, value};
}

struct dist dist_uniform(uint64_t least, uint64_t greatest) {
    assert(least <= greatest);
    return (struct dist){DIST_UNIFORM, least, greatest};
}

struct dist dist_lognormal(uint64_t p50, uint64_t p99) {
    assert(p50 >= 1 && p50 <= p99 && p99 < (uint64_t)1 << 60);
    return (struct dist){DIST_LOGNORMAL, p50, p99};
}

struct dist dist_exponential(uint64_t mean) {
    return (struct dist){DIST_EXPONENTIAL, mean, mean};
}

static uint64_t lognormal_quantile(const struct dist *d, uint32_t q) {
    int64_t spread = (int64_t)(log2_fixed(d->b) - log2_fixed(d->a)); /* in 1/2^32, up to 62 */
    __int128 exponent = (__int128)spread * normal_quantile(q) / NORMAL_P99;
    __int128 limit = (__int128)62 << 32;
    exponent = exponent > limit ? limit : exponent < -limit ? -limit : exponent;
    return scale_by_power(d->a, (int64_t)exponent);
}

static uint64_t exponential_quantile(const struct dist *d, uint32_t q) {
    /* -ln(1 - q) * mean */
    uint64_t left = ((uint64_t)1 << 32) - q;
    uint64_t log2_inverse = ((uint64_t)32 << 32) - log2_fixed(left);
    unsigned __int128 ln = ((unsigned __int128)log2_inverse * LN_2) >> 32;
    unsigned __int128 value = (ln * d->a) >> 32;
    return value > DRAW_MAX ? DRAW_MAX : (uint64_t)value;
}

uint64_t dist_quantile(const struct dist *d, uint32_t q) {
    switch (d->kind) {
    case DIST_FIXED:
        break;
    case DIST_UNIFORM:
        return d->a + (uint64_t)(((unsigned __int128)(d->b - d->a + 1) * q) >> 32);
    case DIST_LOGNORMAL:
        return lognormal_quantile(d, q);
    case DIST_EXPONENTIAL:
        return exponential_quantile(d, q);
    }
    return d->a;
}

uint64_t dist_draw(const struct dist *d, struct rng *r) {
    return d->kind == DIST_FIXED ? d->a : dist_quantile(d, (uint32_t)(rng_next(r) >> 32));
}
