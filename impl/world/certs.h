/* A certificate authority: keys, certificates, revocation list, in memory and as files.
 * ECDSA P-256 unless RSA is asked for. Used by `dalang certs`, `dalang up`, the fleet and tests.
 *
 * Error kinds: "certs/name" (a name that cannot stand in a certificate or file name), "certs/file", "certs/crypto". */
#ifndef DALANG_WORLD_CERTS_H
#define DALANG_WORLD_CERTS_H

#include "base/bytes.h"
#include "base/error.h"
#include "world/world.h"
#include <openssl/evp.h>
#include <openssl/x509.h>

enum certs_key { CERTS_KEY_EC_P256, CERTS_KEY_RSA_2048, CERTS_KEY_RSA_4096 };
enum { CERTS_NAME_MAX = 253 };

EVP_PKEY *certs_key_new(enum certs_key kind); /* EVP_PKEY_free() it */

/* ------------------------------------------------------------------------------------------ a CA in memory */

struct certs_ca;

struct certs_ca_opts {
    const char *common_name; /* NULL: "Puppet CA: dalang" */
    enum certs_key key;
    int64_t not_before_ms; /* 0: a day before now_ms */
    int64_t not_after_ms;  /* 0: ten years after now_ms */
    int64_t now_ms;        /* wall clock */
};
struct certs_ca *certs_ca_new(const struct certs_ca_opts *opts);
void certs_ca_free(struct certs_ca *ca);
X509 *certs_ca_cert(const struct certs_ca *ca); /* borrowed */
EVP_PKEY *certs_ca_key(const struct certs_ca *ca);

struct certs_issue {
    struct span common_name;         /* any bytes, also with NUL (for tests); up to 64 KiB are written as they are */
    const char *const *dns_names;    /* alternative names; NULL-terminated or NULL */
    const char *const *ip_addresses; /* as text; NULL-terminated or NULL */
    int64_t not_before_ms;           /* 0: a day before now_ms */
    int64_t not_after_ms;            /* 0: five years after now_ms */
    uint64_t serial;                 /* 0: the next free one */
    bool client_only;                /* extended key usage clientAuth without serverAuth */
    bool without_common_name;
    int64_t now_ms;
    const struct world_extension *extensions; /* of Puppet's, as UTF-8 strings */
    size_t extension_count;
};
/* Certificate of `key` (only its public part is used). NULL after an error: an address that is none, … */
X509 *certs_issue(struct certs_ca *ca, const struct certs_issue *what, EVP_PKEY *key, struct error *err);
void certs_revoke(struct certs_ca *ca, const X509 *cert, int64_t now_ms); /* idempotent */
X509_CRL *certs_crl(struct certs_ca *ca, int64_t now_ms); /* of everything revoked; valid for CERTS_CRL_DAYS */
enum { CERTS_CRL_DAYS = 5 * 365 };

char *certs_pem_cert(const X509 *cert); /* mem_free() it */
char *certs_pem_crl(const X509_CRL *crl);
char *certs_pem_key(const EVP_PKEY *key); /* PKCS#8 in clear; mem_free_secret() it */

/* ------------------------------------------------------------------------------------------ a CA in a directory */

/* D/ca.pem, D/ca.key, D/crl.pem, D/serial, D/certs/NAME.pem, D/certs/NAME.key. Keys are 0600; every file is replaced
 * atomically. Opening one that does not exist makes it (opts); an existing CA is used as it is. */
struct certs_ca *certs_dir_open(const char *dir, const struct certs_ca_opts *opts, struct error *err);
/* A CA from its two files, for minting in memory: nothing is written, serial numbers start at a random place. */
struct certs_ca *certs_ca_open(const char *cert_path, const char *key_path, struct error *err);
struct certs_paths {
    char *cert, *key; /* mem_free() both: certs_paths_free() */
};
void certs_paths_free(struct certs_paths *p);
/* Issues a certificate with a fresh key of the CA's kind and writes both. */
bool certs_dir_issue(struct certs_ca *ca, const char *dir, const struct certs_issue *what, struct certs_paths *out,
                     struct error *err);
/* Revokes D/certs/NAME.pem and writes D/crl.pem. */
bool certs_dir_revoke(struct certs_ca *ca, const char *dir, const char *name, int64_t now_ms, struct error *err);
/* The same of a certificate that lies in no file there. */
bool certs_dir_revoke_cert(struct certs_ca *ca, const char *dir, const X509 *cert, int64_t now_ms, struct error *err);
/* What D/crl.pem lists, signed anew; what certs_revoke() did in memory alone is forgotten. */
bool certs_dir_write_crl(struct certs_ca *ca, const char *dir, int64_t now_ms, struct error *err);

/* ------------------------------------------------------------------------------------------ credentials */

/* What a connection shows as its own certificate instead of its context's (struct world_connect.credential).
 * Kept small for fleets: the certificate as DER, the key shared. Counted. */
struct real_credential;
struct real_credential *real_credential_new(const X509 *cert, EVP_PKEY *key); /* takes a reference of key */
struct real_credential *real_credential_ref(struct real_credential *c);
void real_credential_free(struct real_credential *c);           /* drops one reference; NULL is fine */
X509 *real_credential_cert(const struct real_credential *c);    /* parsed anew; X509_free() it; never NULL */
EVP_PKEY *real_credential_key(const struct real_credential *c); /* borrowed */

/* A credential in one call: for fleets, with a key that all agents share (the signature dominates its cost). */
struct real_credential *certs_mint(struct certs_ca *ca, const char *certname, EVP_PKEY *key, int64_t now_ms,
                                   struct error *err);

#endif
