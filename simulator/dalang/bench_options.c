/* The command lines of `dalang bench`: one an action. */
#include "simulator/dalang/bench_command.h"

#include "simulator/dalang/commands.h"

#include <stddef.h>

enum { OPTIONS_MAX = 28 };

static size_t output_options(struct option *table, size_t n, struct bench_output *o) {
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Output", NULL};
    table[n++] = (struct option){OPTION_FLAG, "json", 0, NULL, "Print the report as JSON.", &o->json};
    table[n++] =
        (struct option){OPTION_STRING, "html", 0, "FILE", "Write it as one self-contained page with plots.", &o->html};
    table[n] = (struct option)OPTION_END;
    return n;
}

const struct command_line *bench_broker_line(struct bench_broker_args *a) {
    static struct bench_broker_args unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {
        "dalang bench broker", "[--target URL --ca FILE --ca-key FILE [--pid N]] [OPTIONS]",
        "what a PCP broker costs, beside a bare OpenSSL server",
        "Connections, memory, messages per second, latency at a fixed arrival rate (counted from when a message was "
        "due)\n"
        "and processor time, each with its ratio to an echo server of bare OpenSSL measured in the same run. Without\n"
        "--target it starts a dalang-broker. Certificates are minted in memory from the CA.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] =
        (struct option){OPTION_STRING, "target", 't', "URL", "A running broker: wss://HOST:PORT/pcp2/.", &a->target};
    table[n++] = (struct option){
        OPTION_UINT, "pid", 'p', "N", "Its process on this machine: memory and processor time are measured.", &a->pid};
    table[n++] = (struct option){
        OPTION_STRING, "vs", 0, "URL", "A second broker, measured in alternation; \"own\" starts a dalang-broker.",
        &a->vs};
    table[n++] = (struct option){OPTION_UINT, "vs-pid", 0, "N", "Its process.", &a->vs_pid};
    table[n++] = (struct option){
        OPTION_STRING, "v1", 0, "URL", "Version 1 of --target, when it is not at /pcp/; empty: it has none.", &a->v1};
    table[n++] = (struct option){OPTION_STRING, "ca", 0, "FILE", "The CA that they and their clients trust.", &a->ca};
    table[n++] = (struct option){OPTION_STRING, "ca-key", 0, "FILE", "Its private key: mints clients' certificates.",
                                 &a->ca_key};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Sizes", NULL};
    table[n++] =
        (struct option){OPTION_UINT,
                        "connections",
                        'c',
                        "N",
                        "Idle connections to hold, measured at 100, 1,000 and all; 10000. The last come as a storm.",
                        &a->connections};
    table[n++] =
        (struct option){OPTION_UINT, "active", 'a', "N", "Pairs of clients that send at once; 50.", &a->active};
    table[n++] =
        (struct option){OPTION_UINT, "messages", 'm', "N", "Messages of each measurement; 100000.", &a->messages};
    table[n++] = (struct option){OPTION_UINT, "size", 0, "BYTES", "Size of a message; 1024.", &a->size};
    table[n++] =
        (struct option){OPTION_UINT, "rounds", 0, "N", "Parts that take turns, the best counts; 5.", &a->rounds};
    table[n++] = (struct option){OPTION_DURATION, "for", 0, "TIME", "Of each measurement of latency; 10s.", &a->for_ms};
    table[n++] =
        (struct option){OPTION_FLAG, "quick", 'q', NULL, "A fifth of the connections, a tenth of the rest.", &a->quick};
    table[n++] = (struct option){OPTION_FLAG, "no-floor", 0, NULL, "Without the OpenSSL server.", &a->no_floor};
    output_options(table, n, &a->output);
    return &cl;
}

const struct command_line *bench_jobs_line(struct bench_jobs_args *a) {
    static struct bench_jobs_args unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {
        "dalang bench jobs", "[--target URL --token FILE --ca FILE [--pid N] [--database FILE]] [OPTIONS]",
        "what tasks and Puppet runs cost a whole stack",
        "Jobs of 100, 1,000 … nodes: time until a client sees the first and the last "
        "result, processor time, memory and\n"
        "disk of the orchestrator per node, beside what SQLite alone takes to record as "
        "much. Then jobs of twenty: as\n"
        "many as it takes, and at half of that rate how long a node takes, from when it was "
        "due until its result is\n"
        "stored, when nothing queues; beside it how long bare processes take that are as busy. "
        "Without --target it\n"
        "starts a stack with virtual agents and an orchestrator in a "
        "process of its own.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] =
        (struct option){OPTION_STRING, "target", 't', "URL", "A running orchestrator: https://HOST:8143.", &a->target};
    table[n++] = (struct option){OPTION_STRING, "token", 0, "FILE", "A token for it.", &a->token};
    table[n++] = (struct option){OPTION_STRING, "ca", 0, "FILE", "The CA of its certificate.", &a->ca};
    table[n++] = (struct option){OPTION_UINT, "pid", 'p', "N", "Its process on this machine.", &a->pid};
    table[n++] = (struct option){OPTION_STRING, "database", 0, "FILE", "Its SQLite file.", &a->database};
    table[n++] = (struct option){OPTION_HEADING, NULL, 0, NULL, "Sizes", NULL};
    table[n++] = (struct option){OPTION_UINT, "nodes", 'n', "N", "Nodes of the largest job; 10000.", &a->nodes};
    table[n++] = (struct option){OPTION_UINT, "rounds", 0, "N", "Jobs of each size, the best counts; 3.", &a->rounds};
    table[n++] =
        (struct option){OPTION_UINT, "streams", 0, "N", "Streams at half load, the best counts; 9.", &a->streams};
    table[n++] = (struct option){
        OPTION_UINT, "stream", 0, "N", "Nodes per second of the stream, to compare; half of what it takes.",
        &a->stream};
    table[n++] =
        (struct option){OPTION_FLAG, "quick", 'q', NULL, "A tenth of the nodes, one round, one stream.", &a->quick};
    table[n++] = (struct option){OPTION_FLAG, "no-puppet", 0, NULL, "Tasks only.", &a->no_puppet};
    table[n++] =
        (struct option){OPTION_FLAG, "no-floor", 0, NULL, "Without SQLite alone and bare processes.", &a->no_floor};
    table[n++] = (struct option){OPTION_FLAG, "no-steady", 0, NULL, "Without the stream at half load.", &a->no_steady};
    output_options(table, n, &a->output);
    return &cl;
}

const struct command_line *bench_storage_line(struct bench_storage_args *a) {
    static struct bench_storage_args unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {
        "dalang bench storage", "[OPTIONS]", "what the API's lists take with many jobs stored",
        "Fills an orchestrator's database through its own storage library, starts the orchestrator on it and measures\n"
        "the lists of jobs, nodes and events as a client sees them.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){OPTION_UINT, "jobs", 'j', "N", "Jobs to store; 1000.", &a->jobs};
    table[n++] = (struct option){OPTION_UINT, "nodes", 'n', "N", "Nodes of each; 1000.", &a->nodes};
    table[n++] = (struct option){OPTION_UINT, "requests", 'r', "N", "Requests of each kind; 200.", &a->requests};
    table[n++] = (struct option){OPTION_FLAG, "quick", 'q', NULL, "A tenth of everything.", &a->quick};
    output_options(table, n, &a->output);
    return &cl;
}

const struct command_line *bench_simulate_line(struct bench_simulate_args *a) {
    static struct bench_simulate_args unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {
        "dalang bench simulate", "[OPTIONS]", "what simulated time costs",
        "One task on a large fleet, and a mixed workload under heavy faults: virtual seconds per wall second, events\n"
        "per second and memory of dalang simulate. The same seed does the same work on any machine.",
        table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){OPTION_UINT, "agents", 'n', "N", "Agents of the task; 100000.", &a->agents};
    table[n++] =
        (struct option){OPTION_UINT, "busy-agents", 'b', "N", "Agents of the mixed workload; 1000.", &a->busy_agents};
    table[n++] = (struct option){OPTION_DURATION, "for", 0, "TIME", "Its length in virtual time; 1h.", &a->for_ms};
    table[n++] = (struct option){OPTION_UINT, "seed", 's', "N", "The seed; 1.", &a->seed};
    table[n++] =
        (struct option){OPTION_FLAG, "quick", 'q', NULL, "A hundredth of the agents, a tenth of the time.", &a->quick};
    output_options(table, n, &a->output);
    return &cl;
}

const struct command_line *bench_soak_line(struct bench_soak_args *a) {
    static struct bench_soak_args unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {"dalang bench soak", "[OPTIONS]",
                                     "whether a broker keeps its memory and descriptors",
                                     "Thousands of clients connect to a dalang-broker, talk, are rude and vanish; when "
                                     "all have gone its memory and\n"
                                     "descriptors must be what they were after a first, shorter wave.",
                                     table};
    a = a != NULL ? a : &unused;
    size_t n = 0;
    table[n++] = (struct option){OPTION_UINT, "clients", 'c', "N", "At a time; 2000.", &a->clients};
    table[n++] = (struct option){OPTION_DURATION, "for", 0, "TIME", "How long; 5m.", &a->for_ms};
    table[n++] = (struct option){OPTION_UINT, "seed", 0, "N", "Of the clients' choices; 1.", &a->seed};
    output_options(table, n, &a->output);
    return &cl;
}

const struct command_line *bench_report_line(struct bench_output *o) {
    static struct bench_output unused;
    static struct option table[OPTIONS_MAX];
    static struct command_line cl = {"dalang bench report", "FILE… [--html FILE]", "show reports that --json wrote",
                                     "Prints the tables of reports, or writes all of them on one page.", table};
    output_options(table, 0, o != NULL ? o : &unused);
    return &cl;
}

void bench_describe(void (*each)(void *ctx, const struct command_line *cl), void *ctx) {
    each(ctx, bench_broker_line(NULL));
    each(ctx, bench_jobs_line(NULL));
    each(ctx, bench_storage_line(NULL));
    each(ctx, bench_simulate_line(NULL));
    each(ctx, bench_soak_line(NULL));
    each(ctx, bench_report_line(NULL));
}
