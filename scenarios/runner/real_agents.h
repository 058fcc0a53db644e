/* The fleet of a run in the real world: agent cores over real TLS connections, each killed and started by itself, with
 * links and a clock of its own (netfaults.h). Programs are made up, files are in memory. */
#ifndef DALANG_SCENARIO_REAL_AGENTS_H
#define DALANG_SCENARIO_REAL_AGENTS_H

#include "scenarios/runner/scenario.h"
#include "simulator/netfaults/netfaults.h"
#include "simulator/stack/stack.h"
#include "world/certs.h"

struct real_agents;
struct real_agents_opts {
    const struct scenario *scenario;
    struct world *world; /* the real one */
    struct netfaults *net;
    struct stack *stack;
    struct certs_ca *ca;
    const char *ca_file, *crl_file;
    struct world_tls *fetch_tls; /* with a certificate: downloads are made with it */
    uint64_t seed;
    const struct logger *log;
};
struct real_agents *real_agents_new(const struct real_agents_opts *opts, struct error *err);
void real_agents_free(struct real_agents *a);
size_t real_agents_count(const struct real_agents *a);
const char *real_agents_name(const struct real_agents *a, size_t i);
bool real_agents_kill(struct real_agents *a, const char *name); /* false: there is none of that name */
bool real_agents_start(struct real_agents *a, const char *name);
/* Its certificate; X509_free() it. NULL: there is none of that name. */
X509 *real_agents_certificate(const struct real_agents *a, const char *name);
/* Another certificate (one whose time is over), and it starts again with it. */
bool real_agents_renew(struct real_agents *a, const char *name, bool expired, struct error *err);

#endif
