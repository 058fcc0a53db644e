/* TLS contexts (struct world_tls) and the TLS of single connections. */
#include "world/real_tls.h"

#include "base/mem.h"
#include "world/real_loop.h"
#include <arpa/inet.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

static void tls_free(struct world_tls *tls) {
    real_tls_unref((struct real_tls *)(void *)tls);
}

static bool tls_reload(struct world_tls *tls, struct error *err) {
    struct real_tls *t = (struct real_tls *)(void *)tls;
    struct real_tls_state *fresh = real_tls_state_new(&t->files, err);
    if (fresh == NULL) {
        return false;
    }
    real_tls_state_keylog(fresh, t->keylog);
    real_tls_state_free(t->state);
    t->state = fresh;
    return true;
}

static const struct world_identity *tls_self(const struct world_tls *tls) {
    const struct real_tls *t = (const struct real_tls *)(const void *)tls;
    return t->state->self != NULL ? &t->state->self->id : NULL;
}

static bool tls_still_good(struct world_tls *tls, const struct world_identity *id) {
    const struct real_tls *t = (const struct real_tls *)(void *)tls;
    int64_t now_ms = (int64_t)time(NULL) * 1000;
    return now_ms >= id->not_before_ms && now_ms <= id->not_after_ms && !real_tls_state_revoked(t->state, id);
}

static const struct world_tls_ops tls_ops = {
    .free = tls_free,
    .reload = tls_reload,
    .self = tls_self,
    .still_good = tls_still_good,
};

struct world_tls *real_tls_new(void *impl, const struct world_tls_files *files, struct error *err) {
    const struct real_world *rw = impl;
    struct real_tls_state *state = real_tls_state_new(files, err);
    if (state == NULL) {
        return NULL;
    }
    struct real_tls *t = mem_zalloc(sizeof(*t));
    t->tls.ops = &tls_ops;
    t->refs = 1;
    t->state = state;
    t->keylog = rw->keylog;
    real_tls_state_keylog(state, t->keylog);
    t->files = (struct world_tls_files){
        .cert = str_dup(files->cert),
        .key = str_dup(files->key),
        .chain = str_dup(files->chain),
        .ca = str_dup(files->ca),
        .crl = str_dup(files->crl),
        .client_auth = files->client_auth,
        .ciphers = str_dup(files->ciphers),
        .protocols = str_dup(files->protocols),
    };
    return &t->tls;
}

struct real_tls *real_tls_ref(struct world_tls *tls) {
    if (tls == NULL) {
        return NULL;
    }
    struct real_tls *t = (struct real_tls *)(void *)tls;
    t->refs++;
    return t;
}

void real_tls_unref(struct real_tls *t) {
    if (t == NULL || --t->refs != 0) {
        return;
    }
    real_tls_state_free(t->state);
    real_identity_free(t->last_peer);
    const char *texts[] = {t->files.cert, t->files.key,     t->files.chain,    t->files.ca,
                           t->files.crl,  t->files.ciphers, t->files.protocols};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        mem_free((void *)(uintptr_t)texts[i]);
    }
    mem_free(t);
}

/* ---- one connection */

/* Never overrules OpenSSL's verdict; only notes which certificate it was about. */
static int note_refusal(int ok, X509_STORE_CTX *store_ctx) {
    if (ok) {
        return 1;
    }
    SSL *ssl = X509_STORE_CTX_get_ex_data(store_ctx, SSL_get_ex_data_X509_STORE_CTX_idx());
    char **why = SSL_get_app_data(ssl);
    X509 *cert = X509_STORE_CTX_get_current_cert(store_ctx);
    const char *verdict = X509_verify_cert_error_string(X509_STORE_CTX_get_error(store_ctx));
    if (why == NULL || *why != NULL) {
        return 0;
    }
    char *subject = NULL;
    if (cert != NULL) {
        BIO *text = BIO_new(BIO_s_mem());
        X509_NAME_print_ex(text, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253);
        char *ptr;
        long len = BIO_get_mem_data(text, &ptr);
        subject = span_dup(span_bytes(ptr, len > 0 ? (size_t)len : 0));
        BIO_free(text);
    }
    *why = str_printf("certificate \"%.256s\" refused: %s", subject != NULL ? subject : "?", verdict);
    mem_free(subject);
    return 0;
}

SSL *real_tls_accept(struct real_tls *t, int fd, char **why) {
    SSL *ssl = SSL_new(t->state->ctx);
    if (ssl == NULL) {
        return NULL;
    }
    SSL_set_verify(ssl, SSL_get_verify_mode(ssl), note_refusal);
    SSL_set_app_data(ssl, why);
    SSL_set_fd(ssl, fd);
    SSL_set_accept_state(ssl);
    return ssl;
}

static bool is_address(const char *name) {
    struct in6_addr any;
    return inet_pton(AF_INET, name, &any) == 1 || inet_pton(AF_INET6, name, &any) == 1;
}

/* With a chain, even an empty one, OpenSSL does not build (and verify) one of its own at every handshake. */
static bool show(SSL *ssl, const struct real_tls_state *s, const struct real_credential *credential) {
    X509 *cert = real_credential_cert(credential);
    STACK_OF(X509) *chain = sk_X509_new_null();
    real_tls_state_add_issuers(s, cert, chain);
    bool ok = SSL_use_cert_and_key(ssl, cert, real_credential_key(credential), chain, 1) == 1;
    sk_X509_pop_free(chain, X509_free);
    X509_free(cert);
    return ok;
}

SSL *real_tls_connect(struct real_tls *t, int fd, const char *server_name, const struct real_credential *credential,
                      char **why) {
    SSL *ssl = SSL_new(t->state->ctx);
    if (ssl == NULL) {
        return NULL;
    }
    bool ok;
    if (is_address(server_name)) {
        ok = X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), server_name) == 1;
    } else {
        SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
        ok = SSL_set1_host(ssl, server_name) == 1 && SSL_set_tlsext_host_name(ssl, server_name) == 1;
    }
    if (ok && credential != NULL) {
        ok = show(ssl, t->state, credential);
    }
    if (!ok) {
        SSL_free(ssl);
        return NULL;
    }
    SSL_set_verify(ssl, SSL_VERIFY_PEER, note_refusal);
    SSL_set_app_data(ssl, why);
    SSL_set_fd(ssl, fd);
    SSL_set_connect_state(ssl);
    return ssl;
}

static struct real_identity *shared_peer(struct real_tls *t, struct real_identity *fresh) {
    if (t->last_peer != NULL && strcmp(t->last_peer->id.fingerprint, fresh->id.fingerprint) == 0) {
        real_identity_free(fresh);
        return real_identity_ref(t->last_peer);
    }
    real_identity_free(t->last_peer);
    t->last_peer = real_identity_ref(fresh);
    return fresh;
}

struct real_identity *real_tls_opened(struct real_tls *t, SSL *ssl, bool is_client) {
    X509 *cert = SSL_get0_peer_certificate(ssl);
    struct real_identity *id = cert != NULL ? real_identity_new(cert) : NULL;
    if (is_client && id != NULL) {
        id = shared_peer(t, id);
    }
    SSL_certs_clear(ssl);
    return id;
}

/* OpenSSL calls an alert "tlsv1 alert unknown ca" or "tlsv13 alert certificate required". */
static char *alert_text(unsigned long e) {
    int reason = ERR_GET_REASON(e);
    const char *text = ERR_reason_error_string(e);
    if (ERR_GET_LIB(e) != ERR_LIB_SSL || reason < SSL_AD_REASON_OFFSET || reason >= SSL_AD_REASON_OFFSET + 256) {
        return NULL;
    }
    const char *name = text != NULL ? strstr(text, "alert ") : NULL;
    return name != NULL ? str_printf("the peer refused the TLS connection: %s", name + 6)
                        : str_printf("the peer refused the TLS connection: alert %d", reason - SSL_AD_REASON_OFFSET);
}

char *real_tls_failure(SSL *ssl, int ssl_error, int saved_errno, char **why) {
    (void)ssl;
    unsigned long e = ERR_peek_last_error();
    char *text = *why;
    *why = NULL;
    if (text == NULL && ssl_error == SSL_ERROR_SSL && e != 0) {
        const char *reason = ERR_reason_error_string(e);
        text = alert_text(e);
        text = text != NULL ? text : str_printf("TLS: %s", reason != NULL ? reason : "unknown failure");
    } else if (text == NULL && ssl_error == SSL_ERROR_SYSCALL && saved_errno != 0) {
        text = str_dup(strerror(saved_errno));
    } else if (text == NULL) {
        text = str_dup("the peer ended the stream");
    }
    ERR_clear_error();
    return text;
}
