/* See tally.h. */
#include "simulator/fleet/tally.h"

#include "base/mem.h"
#include <string.h>

enum kind { TOTAL, NOW };

/* In the order of struct tally_counts. */
static const struct {
    const char *name;
    enum kind kind;
    const char *help;
} counts[TALLY_COUNTS] = {
    {"agents", NOW, "Virtual agents."},
    {"connected", NOW, "Agents that are connected."},
    {"attempts", TOTAL, "Attempts to connect."},
    {"connects", TOTAL, "Attempts that succeeded."},
    {"failures", TOTAL, "Attempts that failed."},
    {"refused", TOTAL, "Of them those that nobody listened to."},
    {"disconnects", TOTAL, "Connections that were lost or ended."},
    {"restarts", TOTAL, "Agents that were ended and started again."},
    {"storms", TOTAL, "Outages that the fleet made."},
    {"messages", TOTAL, "Messages received."},
    {"unreadable", TOTAL, "Messages that could not be read."},
    {"tasks", TOTAL, "Tasks and Puppet runs started."},
    {"tasks_running", NOW, "Tasks and Puppet runs under way."},
    {"downloads", TOTAL, "Requests for task files."},
    {"reports", TOTAL, "Reports of Puppet runs sent to PuppetDB."},
    {"reports_failed", TOTAL, "Reports that could not be sent."},
    {"reports_waiting", NOW, "Reports that wait to be sent."},
    {"registered", TOTAL, "Nodes made known to PuppetDB."},
    {"removed", TOTAL, "Nodes deactivated in PuppetDB."},
    {"cpu_us", TOTAL, "CPU time of the fleet's processes, in microseconds."},
    {"rss_bytes", NOW, "Resident memory of the fleet's processes."},
    {"rss_begin_bytes", NOW, "The same, before there were agents."},
    {"rss_made_bytes", NOW, "The same, before they connected."},
    {"stopping", NOW, "Processes that were told to stop."},
};

static const struct {
    const char *name;
    size_t offset;
    const char *help;
} distributions[] = {
    {"connect", offsetof(struct tally, connect_us), "From the beginning of an attempt until the agent is ready."},
    {"ping", offsetof(struct tally, ping_us), "From a ping to its pong."},
    {"healed", offsetof(struct tally, healed_us), "From the loss of a connection until the agent is ready again."},
};
enum { DISTRIBUTIONS = sizeof(distributions) / sizeof(distributions[0]) };

static uint64_t *counts_of(struct tally *t) {
    return (uint64_t *)&t->n;
}

static struct histogram *distribution_of(struct tally *t, size_t i) {
    return (struct histogram *)((char *)t + distributions[i].offset);
}

static const struct histogram *distribution_at(const struct tally *t, size_t i) {
    return (const struct histogram *)((const char *)t + distributions[i].offset);
}

struct tally *tally_new(void) {
    struct tally *t = mem_alloc(sizeof(*t));
    tally_clear(t);
    return t;
}

void tally_clear(struct tally *t) {
    t->n = (struct tally_counts){0};
    memset(t->last_error, 0, sizeof(t->last_error));
    for (size_t i = 0; i < DISTRIBUTIONS; i++) {
        histogram_clear(distribution_of(t, i));
    }
}

void tally_add(struct tally *into, const struct tally *from) {
    const uint64_t *more = (const uint64_t *)&from->n;
    for (size_t i = 0; i < TALLY_COUNTS; i++) {
        counts_of(into)[i] += more[i];
    }
    for (size_t i = 0; i < DISTRIBUTIONS; i++) {
        histogram_merge(distribution_of(into, i), distribution_at(from, i));
    }
    if (from->last_error[0] != '\0') {
        memcpy(into->last_error, from->last_error, sizeof(into->last_error));
    }
}

void tally_error(struct tally *t, struct span text) {
    size_t len = text.len < TALLY_ERROR_MAX - 1 ? text.len : TALLY_ERROR_MAX - 1;
    while (len > 0 && len < text.len && ((unsigned char)text.ptr[len] & 0xc0) == 0x80) {
        len--; /* not within a character */
    }
    memset(t->last_error, 0, sizeof(t->last_error));
    if (len > 0) {
        memcpy(t->last_error, text.ptr, len);
    }
}

/* ---- JSON */

void tally_report(const struct tally *t, json_t *obj) {
    const uint64_t *n = (const uint64_t *)&t->n;
    for (size_t i = 0; i < TALLY_COUNTS; i++) {
        json_set(obj, counts[i].name, json_integer((json_int_t)n[i]));
    }
}

json_t *tally_to_json(const struct tally *t) {
    json_t *out = json_object();
    tally_report(t, out);
    for (size_t i = 0; i < DISTRIBUTIONS; i++) {
        json_set(out, distributions[i].name, histogram_to_json(distribution_at(t, i)));
    }
    if (t->last_error[0] != '\0') {
        json_set(out, "last_error", json_str_new(span_of(t->last_error)));
    }
    return out;
}

bool tally_from_json(struct tally *t, const json_t *json, struct error *err) {
    tally_clear(t);
    for (size_t i = 0; i < TALLY_COUNTS; i++) {
        int64_t value = json_int(json, counts[i].name, -1);
        if (value < 0) {
            return error_set(err, "tally", "%s must be a number", counts[i].name);
        }
        counts_of(t)[i] = (uint64_t)value;
    }
    for (size_t i = 0; i < DISTRIBUTIONS; i++) {
        if (!histogram_from_json(distribution_of(t, i), json_object_get(json, distributions[i].name), err)) {
            return error_prefix(err, "%s", distributions[i].name);
        }
    }
    tally_error(t, span_of(json_str(json, "last_error")));
    return true;
}

json_t *tally_quantiles(const struct histogram *h) {
    return json_pack("{s:I, s:f, s:f, s:f, s:f}", "count", (json_int_t)h->count, "p50_ms",
                     (double)histogram_percentile(h, 50) / 1000, "p90_ms", (double)histogram_percentile(h, 90) / 1000,
                     "p99_ms", (double)histogram_percentile(h, 99) / 1000, "max_ms", (double)h->max / 1000);
}

/* ---- Prometheus */

void tally_prometheus(const struct tally *t, struct buf *out) {
    static const double quantiles[] = {50, 90, 99, 99.9};
    const uint64_t *n = (const uint64_t *)&t->n;
    for (size_t i = 0; i < TALLY_COUNTS; i++) {
        const char *suffix = counts[i].kind == TOTAL ? "_total" : "";
        buf_printf(out, "# HELP dalang_fleet_%s%s %s\n# TYPE dalang_fleet_%s%s %s\ndalang_fleet_%s%s %llu\n",
                   counts[i].name, suffix, counts[i].help, counts[i].name, suffix,
                   counts[i].kind == TOTAL ? "counter" : "gauge", counts[i].name, suffix, (unsigned long long)n[i]);
    }
    for (size_t i = 0; i < DISTRIBUTIONS; i++) {
        const struct histogram *h = distribution_at(t, i);
        buf_printf(out, "# HELP dalang_fleet_%s_seconds %s\n# TYPE dalang_fleet_%s_seconds summary\n",
                   distributions[i].name, distributions[i].help, distributions[i].name);
        for (size_t q = 0; q < sizeof(quantiles) / sizeof(quantiles[0]); q++) {
            buf_printf(out, "dalang_fleet_%s_seconds{quantile=\"%g\"} %.6f\n", distributions[i].name,
                       quantiles[q] / 100, (double)histogram_percentile(h, quantiles[q]) / 1e6);
        }
        buf_printf(out, "dalang_fleet_%s_seconds_sum %.6f\ndalang_fleet_%s_seconds_count %llu\n", distributions[i].name,
                   (double)h->sum / 1e6, distributions[i].name, (unsigned long long)h->count);
    }
}
