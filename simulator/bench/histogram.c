/* See histogram.h. */
#include "simulator/bench/histogram.h"

#include "base/json.h"

#include <string.h>

enum { SUB = 1 << HISTOGRAM_SUB_BITS };

void histogram_clear(struct histogram *h) {
    memset(h, 0, sizeof(*h));
    h->min = UINT64_MAX;
}

/* Values below 2 * SUB have a bucket each; from there on the leading SUB_BITS + 1 bits choose. */
uint32_t histogram_index(uint64_t value) {
    value = value > HISTOGRAM_MAX ? HISTOGRAM_MAX : value;
    if (value < SUB) {
        return (uint32_t)value;
    }
    uint32_t shift = 63U - (uint32_t)__builtin_clzll(value) - HISTOGRAM_SUB_BITS;
    return (shift << HISTOGRAM_SUB_BITS) + (uint32_t)(value >> shift);
}

uint64_t histogram_lowest(uint32_t index) {
    if (index < SUB) {
        return index;
    }
    uint32_t shift = (index >> HISTOGRAM_SUB_BITS) - 1;
    return (uint64_t)(index - (shift << HISTOGRAM_SUB_BITS)) << shift;
}

uint64_t histogram_highest(uint32_t index) {
    return index + 1 < HISTOGRAM_BUCKETS ? histogram_lowest(index + 1) - 1 : HISTOGRAM_MAX;
}

void histogram_record_many(struct histogram *h, uint64_t value, uint64_t times) {
    if (times == 0) {
        return;
    }
    h->count += times;
    h->sum += value * times;
    h->min = value < h->min ? value : h->min;
    h->max = value > h->max ? value : h->max;
    h->buckets[histogram_index(value)] += times;
}

void histogram_record(struct histogram *h, uint64_t value) {
    histogram_record_many(h, value, 1);
}

void histogram_merge(struct histogram *into, const struct histogram *from) {
    into->count += from->count;
    into->sum += from->sum;
    into->min = from->min < into->min ? from->min : into->min;
    into->max = from->max > into->max ? from->max : into->max;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        into->buckets[i] += from->buckets[i];
    }
}

void histogram_since(struct histogram *out, const struct histogram *now, const struct histogram *earlier) {
    histogram_clear(out);
    out->count = now->count - earlier->count;
    out->sum = now->sum - earlier->sum;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        out->buckets[i] = now->buckets[i] - earlier->buckets[i];
        if (out->buckets[i] > 0) {
            out->min = histogram_lowest(i) < out->min ? histogram_lowest(i) : out->min;
            out->max = histogram_highest(i);
        }
    }
    out->max = out->max > now->max ? now->max : out->max;
    if (out->count > 0 && out->min < now->min) {
        out->min = now->min;
    }
}

static uint64_t within(const struct histogram *h, uint64_t value) {
    return value < h->min ? h->min : value > h->max ? h->max : value;
}

uint64_t histogram_percentile(const struct histogram *h, double percent) {
    if (h->count == 0) {
        return 0;
    }
    if (percent <= 0 || percent >= 100) {
        return percent <= 0 ? h->min : h->max;
    }
    /* The rank is a whole number when percent of count is one, also where 99.9 / 100 is a little more than it should be
     */
    const double exact = percent / 100 * (double)h->count;
    uint64_t rank = (uint64_t)exact;
    rank += exact - (double)rank > 1e-9 * (double)h->count;
    rank = rank == 0 ? 1 : rank;
    uint64_t seen = 0;
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += h->buckets[i];
        if (seen >= rank) {
            return within(h, histogram_lowest(i) + (histogram_highest(i) - histogram_lowest(i)) / 2);
        }
    }
    return h->max;
}

double histogram_mean(const struct histogram *h) {
    return h->count > 0 ? (double)h->sum / (double)h->count : 0;
}

json_t *histogram_to_json(const struct histogram *h) {
    json_t *buckets = json_array();
    for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        if (h->buckets[i] > 0) {
            json_array_append_new(buckets, json_pack("[I, I]", (json_int_t)i, (json_int_t)h->buckets[i]));
        }
    }
    return json_pack("{s:I, s:I, s:I, s:I, s:o}", "count", (json_int_t)h->count, "sum", (json_int_t)h->sum, "min",
                     h->count > 0 ? (json_int_t)h->min : (json_int_t)0, "max", (json_int_t)h->max, "buckets", buckets);
}

static bool read_count(const json_t *json, const char *key, uint64_t *out, struct error *err) {
    const int64_t value = json_int(json, key, -1);
    if (value < 0) {
        return error_set(err, "histogram", "\"%s\" must be a whole number of at least 0", key);
    }
    *out = (uint64_t)value;
    return true;
}

bool histogram_from_json(struct histogram *h, const json_t *json, struct error *err) {
    histogram_clear(h);
    const json_t *buckets = json_object_get(json, "buckets");
    if (!json_is_array(buckets)) {
        return error_set(err, "histogram", "\"buckets\" must be an array");
    }
    if (!read_count(json, "count", &h->count, err) || !read_count(json, "sum", &h->sum, err) ||
        !read_count(json, "min", &h->min, err) || !read_count(json, "max", &h->max, err)) {
        return false;
    }
    uint64_t total = 0;
    for (size_t i = 0; i < json_array_size(buckets); i++) {
        const json_t *pair = json_array_get(buckets, i);
        const json_t *index = json_array_get(pair, 0), *count = json_array_get(pair, 1);
        if (json_array_size(pair) != 2 || !json_is_integer(index) || !json_is_integer(count) ||
            json_integer_value(index) < 0 || json_integer_value(index) >= HISTOGRAM_BUCKETS ||
            json_integer_value(count) < 0) {
            return error_set(err, "histogram", "bucket %zu is not [index, count]", i);
        }
        h->buckets[json_integer_value(index)] += (uint64_t)json_integer_value(count);
        total += (uint64_t)json_integer_value(count);
    }
    if (total != h->count) {
        return error_set(err, "histogram", "\"count\" is %llu, the buckets hold %llu", (unsigned long long)h->count,
                         (unsigned long long)total);
    }
    h->min = h->count > 0 ? h->min : UINT64_MAX;
    return true;
}
