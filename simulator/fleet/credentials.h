/* The certificates of a fleet: minted in memory from a CA, or read from a directory. */
#ifndef DALANG_FLEET_CREDENTIALS_H
#define DALANG_FLEET_CREDENTIALS_H

#include "world/certs.h"
#include "world/world.h"

struct credentials_opts {
    struct world *world; /* files and clock; borrowed */
    struct certs_ca *ca; /* mints; borrowed. Or NULL, and then: */
    const char *dir;     /* borrowed. Holds certs/NAME.pem with certs/NAME.key (`dalang certs`), or certs/NAME.pem with
                          * private_keys/NAME.pem (Puppet's ssldir), or NAME.pem with NAME.key */
    bool own_keys;       /* minted: a key pair for each; else one for all of them */
};
struct credentials;
struct credentials *credentials_new(const struct credentials_opts *opts);
void credentials_free(struct credentials *c); /* what it handed out lives on; NULL is fine */
/* Error kinds: "certs/name", "certs/file" (missing, not PEM; names it), "certs/crypto" (the key is another's). */
struct real_credential *credentials_for(struct credentials *c, const char *certname, struct error *err);
/* The certnames found in the directory, sorted; world_names_free() them. Error kind "certs/file": no pair is there. */
bool credentials_names(struct credentials *c, char ***names, size_t *count, struct error *err);

/* For faults: one with a key of its own whose time was over a second before now. Error kinds: those of certs_issue().
 */
struct real_credential *credential_expired(struct certs_ca *ca, const char *certname, int64_t now_ms,
                                           struct error *err);

#endif
