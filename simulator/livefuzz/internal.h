/* Shared by run.c (turns, waits, memory), broker.c and agent.c (what is proper there). */
#ifndef DALANG_LIVEFUZZ_INTERNAL_H
#define DALANG_LIVEFUZZ_INTERNAL_H

#include "scenarios/conformance/link.h"
#include "simulator/livefuzz/invent.h"
#include "simulator/livefuzz/run.h"
#include "simulator/livefuzz/said.h"

enum { PROBE_A = FUZZ_CLIENTS, PROBE_B, FUZZ_LINKS, PENDING_MAX = 1024 * 1024 };
#define PROBE_TYPE "http://dalang/probe"

struct fuzz_run {
    struct fuzz_opts opts;
    struct world *world;
    struct world_tls *tls; /* as client */
    EVP_PKEY *key;
    struct real_credential *credentials[FUZZ_LINKS];
    struct link *links[FUZZ_LINKS]; /* NULL: none; an agent's is number 0 */
    bool dead[FUZZ_LINKS];          /* its stream has ended */
    struct said said;

    struct world_listener *listener;
    char *agent_uri;
    int agent_version;

    struct world_process *process;
    bool exited;
    uint64_t baseline; /* bytes of memory once it was warm; 0: not known */
    uint64_t probes;

    char *delivered, *refused; /* the last message of a probe that arrived, and the last error one got */
    char *answered;            /* the last transaction of a probe that an agent answered */

    struct timer timer;
    bool timed_out;
    enum fuzz_verdict verdict;
    char *text;
};

enum fuzz_verdict verdict(struct fuzz_run *r, enum fuzz_verdict v, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Turns the loop until it holds (true), the time is up, a verdict is there or the user has had enough. */
bool wait_for(struct fuzz_run *r, bool (*holds)(struct fuzz_run *r, void *ctx), void *ctx, uint64_t ms);
void drop_link(struct fuzz_run *r, unsigned who);
const char *link_name(unsigned who);
char *message_id(struct fuzz_run *r); /* a fresh one; mem_free() it */

/* broker.c */
bool broker_dial(struct fuzz_run *r, unsigned who, int version, const char *path); /* waits until open; false: not */
void broker_judge(struct fuzz_run *r, unsigned who, const struct link_event *e);
void broker_probe(struct fuzz_run *r);
void broker_sent(struct fuzz_run *r, unsigned who, bool text, struct span bytes);
/* agent.c */
bool agent_listen(struct fuzz_run *r, struct error *err);
void agent_judge(struct fuzz_run *r, const struct link_event *e);
void agent_probe(struct fuzz_run *r);
bool agent_await(struct fuzz_run *r);

#endif
