/* One suite for world.h, run against every world: test_sim.c and test_real.c make the world, these
 * cases say what must hold. */
#ifndef DALANG_CONTRACT_H
#define DALANG_CONTRACT_H

#include "world/world.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum contract_cert {
    CERT_SERVER, /* names c->host */
    CERT_CLIENT, /* CN "client" */
    CERT_NONE,   /* only the CA */
    CERT_FOREIGN,
    CERT_EXPIRED,
    CERT_NOT_YET,
    CERT_REVOKED,
    CERT_SELF_SIGNED,
    CERT_WRONG_HOST,
    CERT_COUNT,
};

struct contract {
    struct world *w;      /* of servers, files, processes */
    struct world *client; /* may be the same */
    const char *host;     /* what clients connect to */
    const char *dir;      /* an empty directory of the test's own */
    /* Files for each certificate; all with the CA and the CRL of CERT_SERVER's CA. */
    struct world_tls_files files[CERT_COUNT];
    /* Runs until done(ctx), at most so long; true when done. */
    bool (*run)(struct contract *c, bool (*done)(void *ctx), void *ctx, uint64_t within_ms);
    /* Revokes CERT_CLIENT in the CRL file. */
    void (*revoke_client)(struct contract *c);
    void *impl;
};

/* Made by the two programs for each test. */
int contract_setup(void **state);
int contract_teardown(void **state);

#define CONTRACT(test) cmocka_unit_test_setup_teardown(test, contract_setup, contract_teardown)

/* Fails the test when done(ctx) does not come to hold within ten seconds. */
void contract_until(struct contract *c, bool (*done)(void *ctx), void *ctx);
/* Lets everything that is ready happen, and `ms` pass. */
void contract_pass(struct contract *c, uint64_t ms);
char *contract_path(const struct contract *c, const char *name); /* dir/name; mem_free() it */
void contract_must(bool ok, struct error *err);
void contract_fails(bool ok, struct error *err, const char *kind); /* must have failed with that kind */

/* One end of a connection, with everything that happened to it. */
struct side {
    struct world_conn *conn; /* NULL: none, or closed */
    int opened, closed, drains;
    enum world_close_reason why;
    char text[300];
    struct buf got;
};
extern const struct world_conn_handler side_handler;
/* A listener whose connections become the sides in order. */
struct server {
    struct world_listener *listener;
    struct world_tls *tls;
    struct side sides[8];
    size_t accepted;
};
void server_start(struct contract *c, struct server *s, struct world_tls *tls);
void server_stop(struct server *s);
void side_connect(struct contract *c, struct side *side, const struct server *s, struct world_tls *tls);
void side_stop(struct side *side);
bool side_is_open(void *side);
bool side_is_closed(void *side);
struct world_tls *contract_tls(struct world *w, struct contract *c, enum contract_cert cert);

int contract_run_all(void); /* every case; for main() */
int contract_time(void);
int contract_net(void);
int contract_tls_cases(void);
int contract_fetch(void);
int contract_process(void);
int contract_files(void);

#endif
