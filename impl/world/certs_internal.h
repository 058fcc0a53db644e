/* Inside of certs. */
#ifndef DALANG_WORLD_CERTS_INTERNAL_H
#define DALANG_WORLD_CERTS_INTERNAL_H

#include "world/certs.h"

struct certs_mint; /* certs_mint.c */

struct certs_ca {
    X509 *cert;
    EVP_PKEY *key;
    uint64_t next_serial;
    STACK_OF(X509_REVOKED) *revoked;
    struct certs_mint *mint; /* what minted certificates have in common; made at the first */
};

void certs_mint_free(struct certs_mint *m);                                     /* NULL is fine */
struct real_credential *real_credential_of_der(struct span der, EVP_PKEY *key); /* of a certificate; copied */

/* Takes both over. */
struct certs_ca *certs_ca_wrap(X509 *cert, EVP_PKEY *key, uint64_t next_serial);

/* Files whole or not at all: written beside, synced, renamed. Error kind "certs/file". */
bool certs_file_write(const char *path, struct span bytes, int mode, struct error *err);
/* Up to a few megabytes, appended. *absent (may be NULL) is set instead of an error when there is no such file. */
bool certs_file_read(const char *path, struct buf *out, bool *absent, struct error *err);
bool certs_file_mkdir(const char *path, int mode, struct error *err); /* exists: fine */
/* One program at a time changes the directory; close() unlocks. -1 after an error. */
int certs_dir_lock(const char *dir, struct error *err);

#endif
