/* One request to a service, with the certificate of a name, and its answer. */
#ifndef DALANG_SIMULATOR_INTEROP_ASK_H
#define DALANG_SIMULATOR_INTEROP_ASK_H

#include "base/json.h"
#include "world/certs.h"
#include "world/world.h"

enum { ASK_TIMEOUT_MS = 600000 };

/* Certificates are made in ca_dir as they are needed; "foreign" is that of another CA, in foreign_dir. */
struct asker {
    struct world *world; /* the real one */
    const char *ca_dir, *foreign_dir;
    struct certs_ca *ca;
    json_t *contexts; /* certname → index into tls */
    struct world_tls **tls;
    size_t tls_count, tls_cap;
};
bool asker_open(struct asker *a, struct world *w, const char *ca_dir, const char *foreign_dir, struct error *err);
void asker_close(struct asker *a);

struct answer {
    int status;      /* 0: none came */
    char *failure;   /* and why */
    json_t *headers; /* lower-case name → text */
    struct buf body;
};
/* cn NULL: without a certificate. headers: object of texts, or NULL. False after setting err when the certificate
 * cannot be made; that no answer comes is an answer. */
bool asker_ask(struct asker *a, const char *base_url, const char *method, const char *target, const char *cn,
               const json_t *headers, struct span body, struct answer *out, struct error *err);
void answer_clear(struct answer *a);

#endif
