/* A fuzzing run against something real: carries actions out, watches what comes back, asks now and then whether it
 * still works, and says what is wrong with it. */
#ifndef DALANG_LIVEFUZZ_RUN_H
#define DALANG_LIVEFUZZ_RUN_H

#include "simulator/livefuzz/action.h"
#include "world/certs.h"
#include "world/world.h"

enum fuzz_verdict {
    FUZZ_CLEAN,
    FUZZ_CRASH,       /* the process ended, or nobody takes connections any more */
    FUZZ_HANG,        /* it takes them, but a proper request got no answer in time */
    FUZZ_GROWTH,      /* its memory does not come back once all hostile connections are gone */
    FUZZ_WRONG,       /* an answer that no broker or agent may give */
    FUZZ_UNREACHABLE, /* it was not there to begin with: nothing is known about it */
};
const char *fuzz_verdict_name(enum fuzz_verdict v); /* "crash" … */
bool fuzz_verdict_parse(const char *name, enum fuzz_verdict *out);

struct fuzz_opts {
    struct world *world; /* the real one; only this run turns it */
    bool agent;          /* the other side is an agent that connects to us */
    const char *host;    /* of the broker; or to listen on */
    uint16_t port;       /* likewise; 0: a free one to listen on */
    struct certs_ca *ca; /* mints our certificates */
    const char *ca_file, *crl;
    struct world_tls *server_tls; /* of an agent's broker: ours */
    const char *const *command;   /* starts the program under test, NULL-terminated; NULL: it runs already */
    int64_t pid;                  /* whose memory is watched; 0: the command's, or nobody's */
    uint64_t patience_ms;         /* for an answer; an agent may take four times as long to come back */
    uint64_t growth_bytes;
    bool (*interrupted)(void *ctx); /* ends every wait */
    void *ctx;
};

struct fuzz_run;
/* Error kinds: those of world_listen() and world_tls_new(). */
struct fuzz_run *fuzz_run_new(const struct fuzz_opts *opts, struct error *err);
void fuzz_run_free(struct fuzz_run *r);           /* ends the command, too */
uint16_t fuzz_run_port(const struct fuzz_run *r); /* that is listened on */
/* Each returns what is known by then; after anything but FUZZ_CLEAN there is nothing more to do. */
enum fuzz_verdict fuzz_begin(struct fuzz_run *r); /* starts the command, waits until it works */
enum fuzz_verdict fuzz_do(struct fuzz_run *r, const struct action *a);
enum fuzz_verdict fuzz_finish(struct fuzz_run *r); /* a last look, with memory */
const char *fuzz_text(const struct fuzz_run *r);   /* what the verdict is about; "" */
bool fuzz_connected(const struct fuzz_run *r, unsigned who);
const char *fuzz_agent_uri(const struct fuzz_run *r); /* or NULL */
int fuzz_agent_version(const struct fuzz_run *r);

#endif
