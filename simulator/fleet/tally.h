/* What a fleet, or many of them together, has counted: numbers that add up and distributions that merge, whoever
 * counted them: entries of one process, child processes (as JSON lines), MPI ranks (as arrays). */
#ifndef DALANG_FLEET_TALLY_H
#define DALANG_FLEET_TALLY_H

#include "base/json.h"
#include "simulator/bench/histogram.h"

enum { TALLY_ERROR_MAX = 160 };

/* All are uint64_t, so that a tally's counters are an array too. */
struct tally_counts {
    uint64_t agents;         /* that there are */
    uint64_t connected;      /* now */
    uint64_t attempts;       /* to connect */
    uint64_t connects;       /* that succeeded */
    uint64_t failures;       /* that did not */
    uint64_t refused;        /* of them: nobody listened */
    uint64_t disconnects;    /* connections lost, or ended by churn and restarts */
    uint64_t restarts;       /* agents ended and started again: churn, mass restarts */
    uint64_t storms;         /* outages made by --storm-every */
    uint64_t messages;       /* received */
    uint64_t unreadable;     /* of them */
    uint64_t tasks;          /* and Puppet runs, started */
    uint64_t tasks_running;  /* now */
    uint64_t downloads;      /* of task files: requests made */
    uint64_t reports;        /* of Puppet runs, sent to PuppetDB */
    uint64_t reports_failed; /* and not */
    uint64_t reports_waiting;
    uint64_t registered; /* nodes made known to PuppetDB (--external) */
    uint64_t removed;    /* and deactivated at the end */
    uint64_t cpu_us;     /* used by the processes, user and system */
    uint64_t rss_bytes;  /* resident memory of the processes */
    uint64_t rss_begin;  /* before there were agents */
    uint64_t rss_made;   /* when they were there, not yet connected */
    uint64_t stopping;   /* processes that were told to stop */
};
enum { TALLY_COUNTS = sizeof(struct tally_counts) / sizeof(uint64_t) };

struct tally {
    struct tally_counts n;
    struct histogram connect_us; /* from the beginning of an attempt until the agent is ready */
    struct histogram ping_us;    /* from a ping to its pong */
    struct histogram healed_us;  /* from the loss of a connection until the agent is ready again */
    char last_error[TALLY_ERROR_MAX];
};

/* 100 KB: keep them on the heap. */
struct tally *tally_new(void);
void tally_clear(struct tally *t);
void tally_add(struct tally *into, const struct tally *from);
void tally_error(struct tally *t, struct span text); /* remembers it as the last one, cut */

/* For another process to add. Error kind "tally". */
json_t *tally_to_json(const struct tally *t);
bool tally_from_json(struct tally *t, const json_t *json, struct error *err);

/* Prometheus' text format, appended: dalang_fleet_… counters, gauges and summaries. */
void tally_prometheus(const struct tally *t, struct buf *out);
/* {"count", "p50_ms", "p90_ms", "p99_ms", "max_ms"} of a distribution of microseconds. */
json_t *tally_quantiles(const struct histogram *h);
/* Sets every counter in obj under its name. */
void tally_report(const struct tally *t, json_t *obj);

#endif
