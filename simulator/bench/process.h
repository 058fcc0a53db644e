/* Processes that are measured from outside, and the clock. All figures come from /proc and work for any program. */
#ifndef DALANG_BENCH_PROCESS_H
#define DALANG_BENCH_PROCESS_H

#include "base/bytes.h"
#include "base/error.h"

/* A child process that ends with us; its output goes to a file. */
struct process {
    int64_t pid; /* 0: none */
    char *log;
};
/* argv[0] is a path. Error kind "bench": it cannot be started. */
bool process_start(struct process *p, const char *const *argv, const char *log, struct error *err);
/* Waits until its output holds `text`; what follows it up to the end of the line is appended to *rest (may be NULL).
 * False when it ended or was silent for too long: the message is the last line it wrote. */
bool process_wait_for(struct process *p, const char *text, uint64_t timeout_ms, struct buf *rest, struct error *err);
/* Waits until it ends on its own; its output is appended to *output. False when its exit code was not 0: the message is
 * the last line it wrote. Forgets it either way. */
struct process_usage {
    double wall_s, cpu_s; /* wall_s: of the wait */
    double peak_bytes;    /* of memory, as the kernel counted it */
};
bool process_finish(struct process *p, struct process_usage *usage, struct buf *output, struct error *err);
/* SIGTERM, and SIGKILL when that does not end it within ten seconds. NULL-safe, forgets it. */
void process_end(struct process *p);

/* 0 when there is no such process (any more). */
uint64_t process_anon_bytes(int64_t pid);     /* what it allocated and touched, without pages of programs and files */
uint64_t process_resident_bytes(int64_t pid); /* everything in memory, shared libraries too */
double process_cpu_us(int64_t pid);           /* processor time of all its threads that live */
uint64_t process_descriptors(int64_t pid);
bool process_exists(int64_t pid);
char *process_name(int64_t pid); /* as ps shows it; mem_free() it */

/* Seconds of all processors since the machine started; how many of them somebody worked, and how many its host gave to
 * somebody else: while that happens every process stands still, however short its queue. */
struct machine_time {
    double all, busy, stolen;
};
struct machine_time machine_time(void);
/* What of all processors' time since then was taken, and stolen: shares, 0 to 1. */
struct machine_share {
    double busy, stolen;
};
struct machine_share machine_share_since(const struct machine_time *before);

/* While on, this process runs at once when it has something to do, whatever else is busy, if the system allows it
 * (root, or CAP_SYS_NICE); its children do not. For what measures latencies and shares processors with what it
 * measures: its own waits would count as theirs. */
void process_urgent(bool on);

uint64_t clock_ns(void); /* monotonic */
double clock_s(void);

#endif
