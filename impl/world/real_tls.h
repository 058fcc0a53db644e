/* Inside of the real world: TLS contexts over OpenSSL, and what they verified about a peer. */
#ifndef DALANG_WORLD_REAL_TLS_H
#define DALANG_WORLD_REAL_TLS_H

#include "world/certs.h"
#include "world/world.h"
#include <openssl/ssl.h>

/* ---- identities: one block each, counted, shared between connections that show the same certificate */

struct real_identity {
    struct world_identity id;
    uint32_t refs;
};
struct real_identity *real_identity_new(const X509 *cert);
struct real_identity *real_identity_ref(struct real_identity *i);
void real_identity_free(struct real_identity *i); /* drops one reference; NULL is fine */

/* ---- contexts */

/* What the files held when they were last read. Counted: connections and request pools use the one they began with. */
struct real_tls_state {
    uint32_t refs;
    SSL_CTX *ctx;
    X509 *cert; /* or NULL */
    EVP_PKEY *key;
    STACK_OF(X509) *chain;
    STACK_OF(X509) *intermediates; /* of the CA file: those that another one issued */
    struct real_tls_seen *seen;    /* the trust store's; or NULL */
    STACK_OF(X509_CRL) *crls;
    char **crl_issuers; /* text of each of crls */
    struct real_identity *self;
    char *ciphers;
};
struct real_tls_state *real_tls_state_ref(struct real_tls_state *s);
void real_tls_state_free(struct real_tls_state *s);
/* Reads the files. */
struct real_tls_state *real_tls_state_new(const struct world_tls_files *files, struct error *err);
/* What a peer that trusts only the root needs beside this certificate, to the end of chain. The root itself is never
 * shown: whoever trusts it has it. */
void real_tls_state_add_issuers(const struct real_tls_state *s, X509 *cert, STACK_OF(X509) *chain);
/* Makes another library's context trust and show the same. */
bool real_tls_state_apply(const struct real_tls_state *s, SSL_CTX *other);
/* Its connections' secrets go to this descriptor, which stays open as long as they last. */
void real_tls_state_keylog(struct real_tls_state *s, int fd);
bool real_tls_state_revoked(const struct real_tls_state *s, const struct world_identity *id);

struct real_tls {
    struct world_tls tls; /* first */
    uint32_t refs;
    struct world_tls_files files; /* strings are ours */
    struct real_tls_state *state;
    int keylog;                      /* descriptor or -1 */
    struct real_identity *last_peer; /* the peer of the last client connection: mostly the next one's too */
};
struct world_tls *real_tls_new(void *impl, const struct world_tls_files *files, struct error *err);
struct real_tls *real_tls_ref(struct world_tls *tls);
void real_tls_unref(struct real_tls *t); /* NULL is fine */

/* ---- one connection's TLS. *why (of the connection, NULL) gets a text when a peer's certificate is refused. */

SSL *real_tls_accept(struct real_tls *t, int fd, char **why);
/* server_name: DNS name or address the peer's certificate must carry. */
SSL *real_tls_connect(struct real_tls *t, int fd, const char *server_name, const struct real_credential *credential,
                      char **why);
/* The verified peer, or NULL when it showed no certificate. Then drops what only the handshake needed. */
struct real_identity *real_tls_opened(struct real_tls *t, SSL *ssl, bool is_client);
/* Text of a failure of SSL_do_handshake/SSL_read/SSL_write (mem_free() it); takes *why. saved_errno: of the call. */
char *real_tls_failure(SSL *ssl, int ssl_error, int saved_errno, char **why);

#endif
