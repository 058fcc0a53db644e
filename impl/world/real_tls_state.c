/* Reads the PEM files of a TLS context. Nothing is ever asked of the system's trust store, nor of a terminal. */
#include "base/mem.h"
#include "world/real_tls.h"
#include "world/real_tls_seen.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *last_openssl_text(void) {
    unsigned long e = ERR_peek_last_error();
    const char *reason = e != 0 ? ERR_reason_error_string(e) : NULL;
    ERR_clear_error();
    return reason != NULL ? reason : "unreadable";
}

/* An encrypted key is an error, never a prompt. */
static int no_password(char *buf, int size, int rwflag, void *ctx) {
    (void)buf;
    (void)size;
    (void)rwflag;
    *(bool *)ctx = true;
    return -1;
}

static BIO *open_pem(const char *path, struct error *err) {
    BIO *file = BIO_new_file(path, "rbe");
    if (file == NULL) {
        int e = errno;
        ERR_clear_error();
        error_set(err, "world/file", "%s: %s", path, strerror(e));
    }
    return file;
}

/* True at the plain end of a PEM file, false after a damaged object. */
static bool pem_ended(void) {
    unsigned long e = ERR_peek_last_error();
    bool end = ERR_GET_LIB(e) == ERR_LIB_PEM && ERR_GET_REASON(e) == PEM_R_NO_START_LINE;
    if (end) {
        ERR_clear_error();
    }
    return end;
}

static STACK_OF(X509) *read_certs(const char *path, struct error *err) {
    BIO *file = open_pem(path, err);
    if (file == NULL) {
        return NULL;
    }
    STACK_OF(X509) *certs = sk_X509_new_null();
    bool asked = false;
    for (X509 *cert; (cert = PEM_read_bio_X509(file, NULL, no_password, &asked)) != NULL;) {
        sk_X509_push(certs, cert);
    }
    bool ok = pem_ended();
    if (!ok) {
        error_set(err, "world/tls", "%s: a certificate in it is damaged: %s", path, last_openssl_text());
    } else if (sk_X509_num(certs) == 0) {
        ok = error_set(err, "world/tls", "%s: holds no PEM certificate", path);
    }
    BIO_free(file);
    if (!ok) {
        sk_X509_pop_free(certs, X509_free);
        return NULL;
    }
    return certs;
}

static EVP_PKEY *read_key(const char *path, struct error *err) {
    BIO *file = open_pem(path, err);
    if (file == NULL) {
        return NULL;
    }
    bool encrypted = false;
    EVP_PKEY *key = PEM_read_bio_PrivateKey(file, NULL, no_password, &encrypted);
    if (key == NULL) {
        const char *why = last_openssl_text();
        error_set(err, "world/tls", "%s: %s", path,
                  encrypted ? "the private key is encrypted; give one without a passphrase" : why);
    }
    BIO_free(file);
    return key;
}

static bool add_crls(struct real_tls_state *s, X509_STORE *store, const char *path, struct error *err) {
    BIO *file = open_pem(path, err);
    if (file == NULL) {
        return false;
    }
    s->crls = sk_X509_CRL_new_null();
    bool asked = false;
    for (X509_CRL *crl; (crl = PEM_read_bio_X509_CRL(file, NULL, no_password, &asked)) != NULL;) {
        X509_STORE_add_crl(store, crl);
        sk_X509_CRL_push(s->crls, crl);
    }
    bool ok = pem_ended();
    BIO_free(file);
    if (!ok) {
        return error_set(err, "world/tls", "%s: a CRL in it is damaged: %s", path, last_openssl_text());
    }
    int count = sk_X509_CRL_num(s->crls);
    if (count == 0) {
        return error_set(err, "world/tls", "%s: holds no PEM CRL", path);
    }
    s->crl_issuers = mem_array((size_t)count + 1, sizeof(char *));
    for (int i = 0; i < count; i++) {
        BIO *text = BIO_new(BIO_s_mem());
        X509_NAME_print_ex(text, X509_CRL_get_issuer(sk_X509_CRL_value(s->crls, i)), 0, XN_FLAG_RFC2253);
        char *ptr;
        long len = BIO_get_mem_data(text, &ptr);
        s->crl_issuers[i] = span_dup(span_bytes(ptr, len > 0 ? (size_t)len : 0));
        BIO_free(text);
    }
    X509_STORE_set_flags(store, X509_V_FLAG_CRL_CHECK);
    return true;
}

static bool add_trust(struct real_tls_state *s, const struct world_tls_files *files, struct error *err) {
    X509_STORE *store = SSL_CTX_get_cert_store(s->ctx);
    if (files->ca != NULL) {
        STACK_OF(X509) *cas = read_certs(files->ca, err);
        if (cas == NULL) {
            return false;
        }
        STACK_OF(X509_NAME) *names = sk_X509_NAME_new_null();
        for (int i = 0; i < sk_X509_num(cas); i++) {
            X509 *ca = sk_X509_value(cas, i);
            X509_STORE_add_cert(store, ca);
            sk_X509_NAME_push(names, X509_NAME_dup(X509_get_subject_name(ca)));
            if (X509_check_issued(ca, ca) != X509_V_OK) {
                X509_up_ref(ca);
                sk_X509_push(s->intermediates, ca);
            }
        }
        SSL_CTX_set_client_CA_list(s->ctx, names);
        sk_X509_pop_free(cas, X509_free);
        /* The file may hold an intermediate without its root: what stands in it is trusted. */
        X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
    }
    return files->crl == NULL || add_crls(s, store, files->crl, err);
}

static X509 *issuer_of(const struct real_tls_state *s, X509 *cert) {
    for (int i = 0; i < sk_X509_num(s->intermediates); i++) {
        X509 *ca = sk_X509_value(s->intermediates, i);
        if (X509_check_issued(ca, cert) == X509_V_OK) {
            return ca;
        }
    }
    return NULL;
}

void real_tls_state_add_issuers(const struct real_tls_state *s, X509 *cert, STACK_OF(X509) *chain) {
    X509 *last = sk_X509_num(chain) != 0 ? sk_X509_value(chain, sk_X509_num(chain) - 1) : cert;
    for (int left = sk_X509_num(s->intermediates); left > 0 && (last = issuer_of(s, last)) != NULL; left--) {
        X509_up_ref(last);
        sk_X509_push(chain, last);
    }
}

static bool add_own(struct real_tls_state *s, const struct world_tls_files *files, struct error *err) {
    if (files->cert == NULL) {
        return true;
    }
    if (files->key == NULL) {
        return error_set(err, "world/tls", "%s: a certificate without a key", files->cert);
    }
    s->chain = read_certs(files->cert, err);
    if (s->chain == NULL) {
        return false;
    }
    s->cert = sk_X509_shift(s->chain);
    s->key = read_key(files->key, err);
    if (s->key == NULL) {
        return false;
    }
    if (X509_check_private_key(s->cert, s->key) != 1) {
        ERR_clear_error();
        return error_set(err, "world/tls", "%s: is not the key of the certificate %s", files->key, files->cert);
    }
    if (files->chain != NULL) {
        STACK_OF(X509) *more = read_certs(files->chain, err);
        if (more == NULL) {
            return false;
        }
        for (X509 *cert; (cert = sk_X509_shift(more)) != NULL;) {
            sk_X509_push(s->chain, cert);
        }
        sk_X509_free(more);
    }
    real_tls_state_add_issuers(s, s->cert, s->chain);
    if (SSL_CTX_use_cert_and_key(s->ctx, s->cert, s->key, s->chain, 1) != 1) {
        return error_set(err, "world/tls", "%s: cannot be used: %s", files->cert, last_openssl_text());
    }
    s->self = real_identity_new(s->cert);
    return true;
}

static bool set_protocols(SSL_CTX *ctx, const char *list, struct error *err) {
    static const struct {
        const char *name;
        int version;
    } known[] = {{"TLSv1.2", TLS1_2_VERSION}, {"TLSv1.3", TLS1_3_VERSION}};
    int lowest = 0, highest = 0;
    struct span rest = span_of(list != NULL ? list : "TLSv1.2,TLSv1.3"), part;
    while (span_split(&rest, ',', &part)) {
        part = span_trim(part);
        int version = 0;
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
            version = span_eq_nocase(part, known[i].name) ? known[i].version : version;
        }
        if (version == 0) {
            return error_set(err, "world/tls", "TLS protocol \"%.*s\" is not offered (only TLSv1.2 and TLSv1.3 are)",
                             (int)part.len, part.ptr);
        }
        lowest = lowest == 0 || version < lowest ? version : lowest;
        highest = version > highest ? version : highest;
    }
    SSL_CTX_set_min_proto_version(ctx, lowest);
    SSL_CTX_set_max_proto_version(ctx, highest);
    return true;
}

static void set_options(SSL_CTX *ctx, enum world_client_auth auth) {
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_CIPHER_SERVER_PREFERENCE | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_clear_options(ctx, SSL_OP_ALLOW_CLIENT_RENEGOTIATION);
    /* A cached session or ticket would keep kilobytes per peer and let a revoked certificate come back unverified. */
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_mode(ctx,
                     SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_read_ahead(ctx, 1); /* one recv() for header and body of a record */
    SSL_CTX_set_dh_auto(ctx, 1);
    static const int verify[] = {
        [WORLD_CLIENT_AUTH_NEED] = SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT | SSL_VERIFY_CLIENT_ONCE,
        [WORLD_CLIENT_AUTH_WANT] = SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE,
        [WORLD_CLIENT_AUTH_NONE] = SSL_VERIFY_NONE,
    };
    SSL_CTX_set_verify(ctx, verify[auth], NULL);
}

struct real_tls_state *real_tls_state_new(const struct world_tls_files *files, struct error *err) {
    ERR_clear_error();
    struct real_tls_state *s = mem_zalloc(sizeof(*s));
    s->refs = 1;
    s->ciphers = str_dup(files->ciphers);
    s->ctx = SSL_CTX_new(TLS_method());
    s->intermediates = sk_X509_new_null();
    bool ok = s->ctx != NULL && s->intermediates != NULL;
    if (!ok) {
        error_set(err, "world/tls", "no TLS context: %s", last_openssl_text());
    } else {
        set_options(s->ctx, files->client_auth);
        s->seen = real_tls_seen_watch(SSL_CTX_get_cert_store(s->ctx));
    }
    ok = ok && set_protocols(s->ctx, files->protocols, err);
    if (ok && files->ciphers != NULL && SSL_CTX_set_cipher_list(s->ctx, files->ciphers) != 1) {
        ok = error_set(err, "world/tls", "no usable cipher in \"%s\"", files->ciphers);
        ERR_clear_error();
    }
    ok = ok && add_trust(s, files, err) && add_own(s, files, err);
    if (!ok) {
        real_tls_state_free(s);
        return NULL;
    }
    return s;
}

struct real_tls_state *real_tls_state_ref(struct real_tls_state *s) {
    s->refs++;
    return s;
}

void real_tls_state_free(struct real_tls_state *s) {
    if (s == NULL || --s->refs != 0) {
        return;
    }
    SSL_CTX_free(s->ctx);
    X509_free(s->cert);
    EVP_PKEY_free(s->key);
    sk_X509_pop_free(s->chain, X509_free);
    sk_X509_pop_free(s->intermediates, X509_free);
    for (size_t i = 0; s->crl_issuers != NULL && s->crl_issuers[i] != NULL; i++) {
        mem_free(s->crl_issuers[i]);
    }
    mem_free(s->crl_issuers);
    sk_X509_CRL_pop_free(s->crls, X509_CRL_free);
    real_identity_free(s->self);
    mem_free(s->ciphers);
    mem_free(s);
}

static void write_secrets(const SSL *ssl, const char *line) {
    int fd = (int)(intptr_t)SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)) - 1;
    char text[512];
    int len = snprintf(text, sizeof(text), "%s\n", line);
    if (len > 0 && (size_t)len < sizeof(text)) { /* one write: other processes may append to the same file */
        ssize_t written = write(fd, text, (size_t)len);
        (void)written; /* a full disk costs the look into the connection, not the connection */
    }
    OPENSSL_cleanse(text, sizeof(text));
}

void real_tls_state_keylog(struct real_tls_state *s, int fd) {
    if (fd >= 0) {
        SSL_CTX_set_app_data(s->ctx, (void *)(intptr_t)(fd + 1)); /* 0 is what a context has by itself */
        SSL_CTX_set_keylog_callback(s->ctx, write_secrets);
    }
}

bool real_tls_state_apply(const struct real_tls_state *s, SSL_CTX *other) {
    SSL_CTX_keylog_cb_func keylog = SSL_CTX_get_keylog_callback(s->ctx);
    if (keylog != NULL) {
        SSL_CTX_set_app_data(other, SSL_CTX_get_app_data(s->ctx));
        SSL_CTX_set_keylog_callback(other, keylog);
    }
    SSL_CTX_set1_cert_store(other, SSL_CTX_get_cert_store(s->ctx));
    SSL_CTX_set_min_proto_version(other, (int)SSL_CTX_get_min_proto_version(s->ctx));
    SSL_CTX_set_max_proto_version(other, (int)SSL_CTX_get_max_proto_version(s->ctx));
    SSL_CTX_set_session_cache_mode(other, SSL_SESS_CACHE_OFF);
    return (s->ciphers == NULL || SSL_CTX_set_cipher_list(other, s->ciphers) == 1) &&
           (s->cert == NULL || SSL_CTX_use_cert_and_key(other, s->cert, s->key, s->chain, 1) == 1);
}

bool real_tls_state_revoked(const struct real_tls_state *s, const struct world_identity *id) {
    BIGNUM *number = NULL;
    if (s->crls == NULL || BN_hex2bn(&number, id->serial) == 0) {
        return false;
    }
    ASN1_INTEGER *serial = BN_to_ASN1_INTEGER(number, NULL);
    bool revoked = false;
    for (int i = 0; !revoked && i < sk_X509_CRL_num(s->crls); i++) {
        X509_REVOKED *entry = NULL;
        revoked = strcmp(s->crl_issuers[i], id->issuer) == 0 &&
                  X509_CRL_get0_by_serial(sk_X509_CRL_value(s->crls, i), &entry, serial) == 1;
    }
    ASN1_INTEGER_free(serial);
    BN_free(number);
    return revoked;
}
