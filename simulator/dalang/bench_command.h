/* Inside of `dalang bench`: what its actions can be told. */
#ifndef DALANG_BENCH_COMMAND_H
#define DALANG_BENCH_COMMAND_H

#include "base/option.h"

/* What all actions share. */
struct bench_output {
    bool json;
    const char *html;
};

struct bench_broker_args {
    struct bench_output output;
    bool quick, no_floor;
    const char *target, *vs, *ca, *ca_key, *v1;
    uint64_t pid, vs_pid, connections, active, messages, size, rounds, for_ms;
};

struct bench_jobs_args {
    struct bench_output output;
    bool quick, no_floor, no_puppet, no_steady;
    const char *target, *token, *ca, *database;
    uint64_t pid, nodes, rounds, streams, stream;
};

struct bench_storage_args {
    struct bench_output output;
    bool quick;
    uint64_t jobs, nodes, requests;
};

struct bench_simulate_args {
    struct bench_output output;
    bool quick;
    uint64_t agents, busy_agents, for_ms, seed;
};

struct bench_soak_args {
    struct bench_output output;
    uint64_t clients, for_ms, seed;
};

/* ---- bench_options.c: the command line that fills these; NULL: only to describe it */

const struct command_line *bench_broker_line(struct bench_broker_args *a);
const struct command_line *bench_jobs_line(struct bench_jobs_args *a);
const struct command_line *bench_storage_line(struct bench_storage_args *a);
const struct command_line *bench_simulate_line(struct bench_simulate_args *a);
const struct command_line *bench_soak_line(struct bench_soak_args *a);
const struct command_line *bench_report_line(struct bench_output *o);

#endif
