/* Digests, encodings and comparisons; pure computation (OpenSSL's EVP underneath). */
#ifndef DALANG_BASE_DIGEST_H
#define DALANG_BASE_DIGEST_H

#include "base/bytes.h"

enum { SHA256_LEN = 32, SHA256_HEX_LEN = 64 };

struct sha256;
struct sha256 *sha256_new(void);
void sha256_update(struct sha256 *s, const void *bytes, size_t len);
void sha256_finish(struct sha256 *s, uint8_t out[SHA256_LEN]); /* frees s */
void sha256_of(struct span bytes, uint8_t out[SHA256_LEN]);
void sha256_hex(struct span bytes, char out[SHA256_HEX_LEN + 1]);

void hex_encode(struct buf *out, struct span bytes); /* lower case */
bool hex_decode(struct buf *out, struct span text);
void base64_encode(struct buf *out, struct span bytes);
bool base64_decode(struct buf *out, struct span text); /* strict, padding required */

/* Same time whatever differs; lengths may leak. */
bool secret_eq(struct span a, struct span b);

/* A fast 64-bit hash with good mixing, for traces and tables; not for secrets. */
uint64_t hash64(uint64_t seed, const void *bytes, size_t len);

/* RFC 4122 version 4 text from 16 random bytes. */
enum { UUID_LEN = 36 };
void uuid_format(const uint8_t random[16], char out[UUID_LEN + 1]);
bool uuid_valid(struct span text); /* 8-4-4-4-12 hex */

#endif
