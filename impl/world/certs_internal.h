/* Inside of certs. */
#ifndef DALANG_WORLD_CERTS_INTERNAL_H
#define DALANG_WORLD_CERTS_INTERNAL_H

#include "world/certs.h"

struct certs_ca {
    X509 *cert;
    EVP_PKEY *key;
    uint64_t next_serial;
    STACK_OF(X509_REVOKED) * revoked;
};

/* Takes both over. */
struct certs_ca *certs_ca_wrap(X509 *cert, EVP_PKEY *key, uint64_t next_serial);

#endif
