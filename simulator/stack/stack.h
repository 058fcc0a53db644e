/* A whole stack in one place: fakes, brokers, orchestrator, wired together. `dalang up` runs it on the real world,
 * `dalang simulate` and the scenario runner on the simulated one; what differs between the two comes in as functions.
 *
 * Components, by name: "console" (RBAC, classifier and activity on one port), "puppetdb", "puppetserver", "broker-1" …
 * "broker-N", "orchestrator". Each has a certificate of that name. "client" is the certificate of people and tests; it
 * and "orchestrator" are on the services' allow-lists.
 *
 * The admin user's password is random (or given by the state's rbac.users); stack_admin_token() is a token of theirs.
 */
#ifndef DALANG_SIMULATOR_STACK_H
#define DALANG_SIMULATOR_STACK_H

#include "broker/broker.h"
#include "orchestrator/orchestrator.h"
#include "world/world.h"

enum { STACK_BROKERS_MAX = 8, STACK_PORTS = 4 + STACK_BROKERS_MAX };

/* Offsets from the port base; broker-2 … come after STACK_PORT_PUPPETSERVER. */
enum stack_port {
    STACK_PORT_BROKER,
    STACK_PORT_ORCHESTRATOR,
    STACK_PORT_CONSOLE,
    STACK_PORT_PUPPETDB,
    STACK_PORT_PUPPETSERVER,
};

struct stack_env {
    /* The world a component lives in. */
    struct world *(*world_of)(void *ctx, const char *component);
    /* Files of a component's certificate, key, CA and CRL; the strings live as long as the stack. */
    bool (*tls_of)(void *ctx, const char *component, struct world_tls_files *out, struct error *err);
    /* By what address the others reach it: "127.0.0.1", or the host's name. */
    const char *(*address_of)(void *ctx, const char *component);
    void *ctx;
};

struct stack_opts {
    struct stack_env env;
    const char *listen_host; /* NULL: all addresses */
    /* 0: any free ones. Else the ports are base + enum stack_port. STACK_PRODUCT_PORTS: those of the product
     * (8142, 8143, 4433, 8081, 8140; further brokers 8242, 8342 …). */
    uint32_t port_base;
    size_t brokers;      /* 0: 1 */
    const char *dir;     /* absolute: database and keys of the orchestrator; exists */
    const char *modules; /* directory with modules: environment production; on the Puppet Server's world */
    const json_t *state; /* {"rbac": …, "classifier": …, "puppetdb": …, "puppetserver": …, "activity": …} or NULL */
    const char *admin_password;
    /* NULL, or changes the configuration before the orchestrator (a broker) starts. */
    void (*configure_orchestrator)(void *ctx, struct orchestrator_config *config);
    void (*configure_broker)(void *ctx, size_t index, struct broker_config *config);
    void *configure_ctx;
    /* Real services instead of ours: base URLs, or NULL. */
    const char *puppetdb_url, *puppetserver_url, *rbac_url, *classifier_url;
    const struct logger *log; /* loggers of the parts are made from it */
};
#define STACK_PRODUCT_PORTS UINT32_MAX

struct stack;
/* Everything listens when it returns; the orchestrator opens its database and dials the brokers in the turns that
 * follow. Error kinds: "world/address-in-use" and what the parts give; the message names the component. */
struct stack *stack_new(const struct stack_opts *opts, struct error *err);
/* Drains and ends all parts in order, then calls done; the stack is freed by then. */
void stack_stop(struct stack *s, void (*done)(void *ctx), void *ctx);
/* Frees everything at once. */
void stack_free(struct stack *s);

bool stack_ready(const struct stack *s); /* the orchestrator takes requests and has the brokers' inventory */
size_t stack_connected_agents(const struct stack *s);
uint16_t stack_port(const struct stack *s, const char *component);
/* "https://127.0.0.1:8143" …; for brokers "wss://127.0.0.1:8142". Lives as long as the stack. */
const char *stack_url(const struct stack *s, const char *component);
const char *stack_admin_token(const struct stack *s);
const char *stack_admin_password(const struct stack *s);
struct orchestrator *stack_orchestrator(const struct stack *s);
struct broker *stack_broker(const struct stack *s, size_t index);
struct fake_puppetdb *stack_puppetdb(const struct stack *s);
struct fake_puppetserver *stack_puppetserver(const struct stack *s);
struct fake_rbac *stack_rbac(const struct stack *s);

/* For faults: ends one component as a crash would (nothing is flushed) and starts it again on the same port and files.
 * Brokers and the orchestrator only. */
/* A service's fault (fakes/common/fake.h), at once; NULL: all faults of its listener end. service: "rbac",
 * "classifier", "activity", "console" (all three), "puppetdb", "puppetserver". Kind "usage" for another one, and those
 * of fake_host_add_fault(). Without a "path" every path of the service is meant. */
bool stack_service_fault(struct stack *s, const char *service, const json_t *fault, struct error *err);
/* Brokers and orchestrator read certificates and CRL anew; sessions of revoked ones end. */
bool stack_reload_tls(struct stack *s, struct error *err);
void stack_kill(struct stack *s, const char *component);
bool stack_revive(struct stack *s, const char *component, struct error *err);

#endif
