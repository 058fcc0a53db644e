/* Timers. No logarithms or exponentials are computed: the decay per tick is a constant. */
#include "broker/metrics.h"

#include "base/json.h"
#include <string.h>

enum {
    TICK_US = 5 * 1000 * 1000,
    TICKS_MAX = 12 * 60 * 6 /* 6 hours: afterwards every rate is 0 anyway */,
    STEPS = 16
};

/* 1 - exp(-5 / (60 * minutes)) */
static const double alphas[] = {0.07995558537067670, 0.01652854617838251, 0.00554015199510326};
static const char *const rate_names[] = {"1", "5", "15"};

void metrics_timer_init(struct metrics_timer *t, uint64_t now_us) {
    memset(t, 0, sizeof *t);
    t->ticked_us = now_us;
}

static void tick(struct metrics_timer *t, uint64_t now_us) {
    uint64_t ticks = (now_us - t->ticked_us) / TICK_US;
    t->ticked_us += ticks * TICK_US;
    for (uint64_t i = 0; i < ticks && i < TICKS_MAX; i++) {
        double now = (double)t->uncounted / 5.0;
        t->uncounted = 0;
        for (size_t k = 0; k < 3; k++) {
            t->rates[k] = t->rated ? t->rates[k] + alphas[k] * (now - t->rates[k]) : now;
        }
        t->rated = true;
    }
    if (ticks > TICKS_MAX) {
        memset(t->rates, 0, sizeof t->rates);
    }
}

/* The highest four bits below the leading one choose the step within its power of two. */
static size_t bucket_of(uint64_t ns) {
    if (ns < STEPS) {
        return (size_t)ns;
    }
    unsigned power = 63 - (unsigned)__builtin_clzll(ns);
    size_t bucket = (size_t)(power - 3) * STEPS + (size_t)(ns >> (power - 4) & (STEPS - 1));
    return bucket < METRICS_BUCKETS ? bucket : METRICS_BUCKETS - 1;
}

static uint64_t bucket_end(size_t bucket) {
    if (bucket < STEPS) {
        return bucket;
    }
    size_t power = bucket / STEPS + 3, step = bucket % STEPS;
    return ((uint64_t)(STEPS + step + 1) << (power - 4)) - 1;
}

void metrics_timer_add(struct metrics_timer *t, uint64_t now_us, uint64_t duration_ns) {
    if (now_us - t->ticked_us >= TICK_US) {
        tick(t, now_us);
    }
    uint64_t us = duration_ns / 1000;
    t->uncounted++;
    t->smallest = t->count == 0 || duration_ns < t->smallest ? duration_ns : t->smallest;
    t->largest = duration_ns > t->largest ? duration_ns : t->largest;
    t->count++;
    t->sum += duration_ns;
    t->square_sum_us += us * us;
    t->buckets[bucket_of(duration_ns)]++;
}

uint64_t metrics_percentile(const struct metrics_timer *t, double part) {
    uint64_t rank = (uint64_t)(part * (double)t->count + 0.999999), seen = 0;
    for (size_t i = 0; i < METRICS_BUCKETS && t->count != 0; i++) {
        seen += t->buckets[i];
        if (seen >= rank && seen != 0) {
            uint64_t end = bucket_end(i);
            return end < t->largest ? end : t->largest;
        }
    }
    return t->largest;
}

/* The square root of a variance, by bisection in integers: no libm. */
static uint64_t square_root(uint64_t value) {
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 31; bit != 0; bit >>= 1) {
        if ((root + bit) * (root + bit) <= value) {
            root += bit;
        }
    }
    return root;
}

json_t *metrics_timer_json(struct metrics_timer *t, uint64_t now_us) {
    static const struct {
        const char *name;
        double part;
    } percentiles[] = {{"0.75", 0.75}, {"0.95", 0.95}, {"0.99", 0.99}, {"0.999", 0.999}, {"1.0", 1.0}};
    json_t *all = json_object(), *rates = json_object(), *parts = json_object();
    double n = t->count != 0 ? (double)t->count : 1.0, mean_us = (double)t->sum / n / 1000.0;
    double variance = (double)t->square_sum_us / n - mean_us * mean_us;
    tick(t, now_us);
    for (size_t i = 0; i < 3; i++) {
        json_set(rates, rate_names[i], json_real(t->rates[i]));
    }
    json_set(rates, "total", json_integer((json_int_t)t->count));
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++) {
        json_set(parts, percentiles[i].name, json_real((double)metrics_percentile(t, percentiles[i].part)));
    }
    json_set(all, "rates", rates);
    json_set(all, "mean", json_real((double)t->sum / n));
    json_set(all, "std-dev", json_real(variance > 0 ? (double)square_root((uint64_t)variance) * 1000.0 : 0.0));
    json_set(all, "percentiles", parts);
    json_set(all, "largest", json_integer((json_int_t)t->largest));
    json_set(all, "smallest", json_integer((json_int_t)t->smallest));
    return all;
}

void metrics_timer_prometheus(struct metrics_timer *t, const char *name, const char *help, struct buf *out) {
    static const char *const quantiles[] = {"0.5", "0.95", "0.99", "0.999"};
    static const double parts[] = {0.5, 0.95, 0.99, 0.999};
    buf_printf(out, "# HELP %s %s\n# TYPE %s summary\n", name, help, name);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        buf_printf(out, "%s{quantile=\"%s\"} %.9f\n", name, quantiles[i],
                   (double)metrics_percentile(t, parts[i]) / 1e9);
    }
    buf_printf(out, "%s_sum %.9f\n%s_count %llu\n", name, (double)t->sum / 1e9, name, (unsigned long long)t->count);
}
