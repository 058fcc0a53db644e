/* What to do next: valid traffic, then valid traffic with one thing wrong, then things no client does. It follows the
 * conversation: who is connected, which identifiers and transactions have been used. All of it from a seed. */
#ifndef DALANG_LIVEFUZZ_INVENT_H
#define DALANG_LIVEFUZZ_INVENT_H

#include "simulator/livefuzz/action.h"
#include "simulator/world/rng.h"

enum { FUZZ_CLIENTS = 6, FUZZ_IDS = 16, PROBE_EVERY = 20 };
#define FUZZ_PROBE_NAME "fuzz-probe-b"

struct inventor {
    struct rng rng;
    bool agent; /* we are an agent's broker; who is always 0 */
    struct {
        bool connected;
        int version;
    } clients[FUZZ_CLIENTS];
    uint64_t ids, since_probe;
    char used[FUZZ_IDS][40]; /* ids or transaction ids, to be used again */
    const char *agent_uri;   /* of the agent, once known */
    int agent_version;
};

void inventor_init(struct inventor *v, uint64_t seed, bool agent);
/* The next step; action_free() it. The caller tells with `connected` who still is. */
void invent(struct inventor *v, struct action *a);
const char *fuzz_client_name(unsigned who); /* "fuzz-0" … */

#endif
