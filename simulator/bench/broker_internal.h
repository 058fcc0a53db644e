/* A run of the broker bench and what it measures; broker.c puts the phases in order, subject.c begins and ends them. */
#ifndef DALANG_BENCH_BROKER_INTERNAL_H
#define DALANG_BENCH_BROKER_INTERNAL_H

#include "simulator/bench/broker.h"
#include "simulator/bench/floor.h"
#include "simulator/bench/traffic.h"
#include "simulator/bench/watch.h"

/* One broker. */
struct subject {
    struct process process; /* one of ours that was started */
    int64_t pid;            /* 0: unknown */
    char *name, *url, *v1_url, *ca_file;
    size_t column;
    struct certs_ca *ca;
    EVP_PKEY *key;
    struct world_tls *tls;
    struct load_opts opts; /* for its connections */
    struct load *v2, *v1;  /* v1: only once it is needed */
    struct traffic_inbox v2_inbox, v1_inbox;
    double memory_empty;     /* bytes, with the first few connections */
    double connect_us[2];    /* processor time per connection: the first 100, the storm */
    double usual_per_second; /* of v2 messages, one of each pair under way: the open loop sends a part of it */
    uint64_t refused;
};

/* The best of several rounds. */
struct best {
    double cpu_us, per_second;
    bool any;
};
void best_note(struct best *b, double cpu_us, double per_second);

struct run {
    const struct bench_broker *b;
    json_t *report;
    struct bench_floor floor;
    bool with_floor;
    struct subject subjects[BENCH_TARGETS_MAX];
    struct certs_ca *own_ca;
    struct certs_paths own_files; /* of a broker of ours */
    struct traffic_result result; /* of the last measurement; large */
};
enum { WARM_CONNECTIONS = 10, IN_PROGRESS = 32 };

bool subjects_begin(struct run *r, struct error *err);
void subjects_end(struct run *r);
void run_progress(const struct run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool measure_connections(struct run *r, struct error *err); /* connections.c */
bool measure_messages(struct run *r, struct error *err);    /* messages.c */
bool measure_latency(struct run *r, struct error *err);     /* messages.c */

#endif
