/* Shared by the tests of the real world: a scratch directory, certificates in it, and a loop that turns until … */
#ifndef DALANG_WORLD_TESTS_HARNESS_H
#define DALANG_WORLD_TESTS_HARNESS_H

#include "base/mem.h"
#include "world/certs.h"
#include "world/real.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

struct bench {
    struct world *w;
    char dir[64];
    struct certs_ca *ca;
    int64_t now_ms;
};

int bench_setup(void **state);    /* *state is a struct bench */
int bench_teardown(void **state); /* also checks that nothing is left open */

const char *bench_path(struct bench *b, const char *name); /* "dir/name", valid until 64 calls later */
void bench_write(struct bench *b, const char *name, const char *text);
/* Writes NAME.pem and NAME.key for this certificate of `ca`. */
void bench_issue(struct bench *b, struct certs_ca *ca, const char *file, const struct certs_issue *what);
/* … with common name and alternative name 127.0.0.1 and localhost. */
void bench_issue_name(struct bench *b, const char *name);
void bench_write_ca(struct bench *b, struct certs_ca *ca, const char *file);
void bench_write_crl(struct bench *b, const char *file);
struct world_tls_files bench_files(struct bench *b, const char *name); /* NAME.pem, NAME.key, ca.pem */
struct world_tls *bench_tls(struct bench *b, const struct world_tls_files *files);

/* Turns the loop until the condition holds; a test that hangs is ended by ctest's time-out. */
#define TURN_UNTIL(b, condition)                                                                                       \
    do {                                                                                                               \
        while (!(condition)) {                                                                                         \
            if (!real_world_turn((b)->w, true) && !(condition)) {                                                      \
                fail_msg("nothing left to happen, but not: %s", #condition);                                           \
            }                                                                                                          \
        }                                                                                                              \
    } while (0)

/* One end of a connection that remembers what it saw. */
struct end {
    struct world_conn *c;
    struct buf got;
    int opened, closed, drained;
    enum world_close_reason why;
    char text[400];
    bool echo;
    void (*on_data)(struct end *e, struct span bytes); /* after it was kept; may be NULL */
    void (*on_open)(struct end *e);
    void *user;
};
extern const struct world_conn_handler end_handler;
void end_free(struct end *e);
void end_connect(struct bench *b, struct end *e, uint16_t port, struct world_tls *tls);

/* A listener whose accepted connections become ends. */
struct host {
    struct world_listener *l;
    struct end *ends[64];
    size_t count;
    bool echo;
    void (*on_accept)(struct end *e);
    int refused;
    enum world_close_reason refused_why;
    char refused_text[400];
};
void host_on_accept(void *ctx, struct world_conn *c); /* ctx is a struct host */
void host_listen(struct bench *b, struct host *h, struct world_tls *tls);
void host_free(struct host *h);
uint16_t host_port(const struct host *h);

/* Both. */
struct pair {
    struct host host;
    struct end client;
    struct world_tls *server_tls, *client_tls;
};
void pair_listen(struct bench *b, struct pair *p, bool tls);
struct end *pair_open(struct bench *b, struct pair *p, bool tls); /* the server's end; the client's is p->client */
void pair_free(struct pair *p);

void fill(struct buf *b, size_t len); /* with bytes that do not repeat soon */
int raw_connect(uint16_t port);       /* a socket that says nothing but TCP */

#endif
