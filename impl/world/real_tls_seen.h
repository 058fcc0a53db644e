/* Signatures of certificates and CRLs that were found good once are not computed again: with thousands of clients that
 * come and go they are a good part of a handshake's cost. Only the signatures: chain building, names, purposes,
 * validity periods and revocation are OpenSSL's to check, for every connection anew. What is remembered are digests of
 * whole chains (32 bytes each), never more than SEEN_MAX of them, and pairs of a CRL and its issuer. */
#ifndef DALANG_WORLD_REAL_TLS_SEEN_H
#define DALANG_WORLD_REAL_TLS_SEEN_H

#include <openssl/ssl.h>
#include <stdint.h>

enum { SEEN_MAX = 49152 }; /* chains; one more, and all are forgotten: 2 MB at most */

struct real_tls_seen;
/* Watches what this store verifies. Lives until the store is freed, which frees it. */
struct real_tls_seen *real_tls_seen_watch(X509_STORE *store);
/* For tests: how many signatures were taken from memory. */
uint64_t real_tls_seen_hits(const struct real_tls_seen *seen);

#endif
