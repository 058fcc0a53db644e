/* A certificate authority in memory. */
#include "world/certs.h"

#include "base/list.h"
#include "base/mem.h"
#include "world/certs_internal.h"
#include <arpa/inet.h>
#include <assert.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

enum { DAY_S = 24 * 60 * 60 };

/* Making keys and signatures fails only when the library is broken or out of memory; base/mem.h ends the process on the
 * latter, so this does on the former. */
#define MUST(call)                                                                                                     \
    do {                                                                                                               \
        int must_ok = (call);                                                                                          \
        assert(must_ok > 0);                                                                                           \
        (void)must_ok;                                                                                                 \
    } while (0)

EVP_PKEY *certs_key_new(enum certs_key kind) {
    EVP_PKEY *key =
        kind == CERTS_KEY_EC_P256 ? EVP_EC_gen("P-256") : EVP_RSA_gen(kind == CERTS_KEY_RSA_2048 ? 2048u : 4096u);
    assert(key != NULL);
    return key;
}

static void set_time(ASN1_TIME *t, int64_t ms) {
    int64_t s = ms / 1000 - (ms % 1000 < 0 ? 1 : 0);
    MUST(ASN1_TIME_set(t, (time_t)s) != NULL);
}

static void set_validity(X509 *cert, int64_t from_ms, int64_t to_ms) {
    set_time(X509_getm_notBefore(cert), from_ms);
    set_time(X509_getm_notAfter(cert), to_ms);
}

static bool set_common_name(X509_NAME *name, struct span cn) {
    /* ASN.1 UTF8String as it is: a name's bytes, NUL among them, are the caller's business. */
    return X509_NAME_add_entry_by_NID(name, NID_commonName, V_ASN1_UTF8STRING, (const unsigned char *)cn.ptr,
                                      (int)cn.len, -1, 0) == 1;
}

static void add_extension(X509 *cert, X509 *issuer, int nid, const char *value) {
    X509V3_CTX ctx;
    X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
    X509_EXTENSION *ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
    assert(ext != NULL);
    MUST(X509_add_ext(cert, ext, -1));
    X509_EXTENSION_free(ext);
}

/* ---- the CA */

struct certs_ca *certs_ca_wrap(X509 *cert, EVP_PKEY *key, uint64_t next_serial) {
    struct certs_ca *ca = mem_zalloc(sizeof(*ca));
    ca->cert = cert;
    ca->key = key;
    ca->next_serial = next_serial;
    ca->revoked = sk_X509_REVOKED_new_null();
    return ca;
}

struct certs_ca *certs_ca_new(const struct certs_ca_opts *opts) {
    EVP_PKEY *key = certs_key_new(opts->key);
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), 1);
    set_validity(cert, opts->not_before_ms != 0 ? opts->not_before_ms : opts->now_ms - (int64_t)DAY_S * 1000,
                 opts->not_after_ms != 0 ? opts->not_after_ms : opts->now_ms + (int64_t)10 * 365 * DAY_S * 1000);
    const char *name = opts->common_name != NULL ? opts->common_name : "Puppet CA: dalang";
    MUST(set_common_name(X509_get_subject_name(cert), span_of(name)));
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(cert, cert, NID_subject_key_identifier, "hash");
    MUST(X509_sign(cert, key, EVP_sha256()));
    return certs_ca_wrap(cert, key, 2);
}

void certs_ca_free(struct certs_ca *ca) {
    if (ca != NULL) {
        certs_mint_free(ca->mint);
        X509_free(ca->cert);
        EVP_PKEY_free(ca->key);
        sk_X509_REVOKED_pop_free(ca->revoked, X509_REVOKED_free);
        mem_free(ca);
    }
}

X509 *certs_ca_cert(const struct certs_ca *ca) {
    return ca->cert;
}

EVP_PKEY *certs_ca_key(const struct certs_ca *ca) {
    return ca->key;
}

/* ---- issuing */

static bool add_dns(GENERAL_NAMES *names, const char *dns) {
    GENERAL_NAME *gn = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();
    MUST(ASN1_STRING_set(text, dns, (int)strlen(dns)));
    GENERAL_NAME_set0_value(gn, GEN_DNS, text);
    return sk_GENERAL_NAME_push(names, gn) > 0;
}

static bool add_ip(GENERAL_NAMES *names, const char *ip) {
    ASN1_OCTET_STRING *bytes = a2i_IPADDRESS(ip);
    if (bytes == NULL) {
        ERR_clear_error();
        return false;
    }
    GENERAL_NAME *gn = GENERAL_NAME_new();
    GENERAL_NAME_set0_value(gn, GEN_IPADD, bytes);
    return sk_GENERAL_NAME_push(names, gn) > 0;
}

static bool add_alt_names(X509 *cert, const struct certs_issue *what, struct error *err) {
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    bool ok = true;
    for (size_t i = 0; what->dns_names != NULL && what->dns_names[i] != NULL; i++) {
        add_dns(names, what->dns_names[i]);
    }
    for (size_t i = 0; ok && what->ip_addresses != NULL && what->ip_addresses[i] != NULL; i++) {
        ok = add_ip(names, what->ip_addresses[i]) ||
             error_set(err, "certs/name", "\"%s\" is not an IP address", what->ip_addresses[i]);
    }
    if (ok && sk_GENERAL_NAME_num(names) > 0) {
        MUST(X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0));
    }
    GENERAL_NAMES_free(names);
    return ok;
}

static bool add_puppet_extension(X509 *cert, const struct world_extension *e, struct error *err) {
    ASN1_OBJECT *oid = OBJ_txt2obj(e->oid, 1);
    ASN1_UTF8STRING *text = ASN1_UTF8STRING_new();
    ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
    unsigned char *der = NULL;
    MUST(ASN1_STRING_set(text, e->value, (int)strlen(e->value)));
    int len = i2d_ASN1_UTF8STRING(text, &der);
    ASN1_STRING_set0(data, der, len);
    X509_EXTENSION *extension = oid != NULL ? X509_EXTENSION_create_by_OBJ(NULL, oid, 0, data) : NULL;
    bool ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(data);
    ASN1_UTF8STRING_free(text);
    ASN1_OBJECT_free(oid);
    return ok || error_set(err, "certs/name", "\"%s\" is no OID", e->oid);
}

X509 *certs_issue(struct certs_ca *ca, const struct certs_issue *what, EVP_PKEY *key, struct error *err) {
    X509 *cert = X509_new();
    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(cert), what->serial != 0 ? what->serial : ca->next_serial++);
    set_validity(cert, what->not_before_ms != 0 ? what->not_before_ms : what->now_ms - (int64_t)DAY_S * 1000,
                 what->not_after_ms != 0 ? what->not_after_ms : what->now_ms + (int64_t)5 * 365 * DAY_S * 1000);
    X509_set_issuer_name(cert, X509_get_subject_name(ca->cert));
    X509_set_pubkey(cert, key);
    bool ok = true;
    if (!what->without_common_name) {
        ok = what->common_name.len <= UINT16_MAX && set_common_name(X509_get_subject_name(cert), what->common_name);
        ok = ok || error_set(err, "certs/name", "that cannot be a common name");
    }
    if (ok) {
        add_extension(cert, ca->cert, NID_basic_constraints, "critical,CA:FALSE");
        add_extension(cert, ca->cert, NID_key_usage, "critical,digitalSignature,keyEncipherment");
        add_extension(cert, ca->cert, NID_ext_key_usage, what->client_only ? "clientAuth" : "serverAuth,clientAuth");
        add_extension(cert, ca->cert, NID_authority_key_identifier, "keyid");
    }
    ok = ok && add_alt_names(cert, what, err);
    for (size_t i = 0; ok && i < what->extension_count; i++) {
        ok = add_puppet_extension(cert, &what->extensions[i], err);
    }
    if (!ok) {
        ERR_clear_error();
        X509_free(cert);
        return NULL;
    }
    MUST(X509_sign(cert, ca->key, EVP_sha256()));
    return cert;
}

/* ---- revoking */

void certs_revoke(struct certs_ca *ca, const X509 *cert, int64_t now_ms) {
    const ASN1_INTEGER *serial = X509_get0_serialNumber(cert);
    for (int i = 0; i < sk_X509_REVOKED_num(ca->revoked); i++) {
        if (ASN1_INTEGER_cmp(X509_REVOKED_get0_serialNumber(sk_X509_REVOKED_value(ca->revoked, i)), serial) == 0) {
            return;
        }
    }
    X509_REVOKED *entry = X509_REVOKED_new();
    ASN1_INTEGER *copy = ASN1_INTEGER_dup(serial);
    X509_REVOKED_set_serialNumber(entry, copy);
    ASN1_INTEGER_free(copy);
    ASN1_TIME *when = ASN1_TIME_new();
    set_time(when, now_ms);
    X509_REVOKED_set_revocationDate(entry, when);
    ASN1_TIME_free(when);
    sk_X509_REVOKED_push(ca->revoked, entry);
}

X509_CRL *certs_crl(struct certs_ca *ca, int64_t now_ms) {
    X509_CRL *crl = X509_CRL_new();
    X509_CRL_set_version(crl, X509_CRL_VERSION_2);
    X509_CRL_set_issuer_name(crl, X509_get_subject_name(ca->cert));
    ASN1_TIME *t = ASN1_TIME_new();
    set_time(t, now_ms - (int64_t)DAY_S * 1000); /* readers' clocks may be behind ours */
    X509_CRL_set1_lastUpdate(crl, t);
    set_time(t, now_ms + (int64_t)CERTS_CRL_DAYS * DAY_S * 1000);
    X509_CRL_set1_nextUpdate(crl, t);
    ASN1_TIME_free(t);
    ASN1_INTEGER *number = ASN1_INTEGER_new();
    ASN1_INTEGER_set_int64(number, now_ms);
    MUST(X509_CRL_add1_ext_i2d(crl, NID_crl_number, number, 0, 0));
    ASN1_INTEGER_free(number);
    for (int i = 0; i < sk_X509_REVOKED_num(ca->revoked); i++) {
        MUST(X509_CRL_add0_revoked(crl, X509_REVOKED_dup(sk_X509_REVOKED_value(ca->revoked, i))));
    }
    X509_CRL_sort(crl);
    MUST(X509_CRL_sign(crl, ca->key, EVP_sha256()));
    return crl;
}

/* ---- PEM */

static char *pem_of(BIO *bio) {
    char *ptr;
    long len = BIO_get_mem_data(bio, &ptr);
    char *text = span_dup(span_bytes(ptr, (size_t)len));
    BIO_free(bio);
    return text;
}

char *certs_pem_cert(const X509 *cert) {
    BIO *bio = BIO_new(BIO_s_mem());
    MUST(PEM_write_bio_X509(bio, cert));
    return pem_of(bio);
}

char *certs_pem_crl(const X509_CRL *crl) {
    BIO *bio = BIO_new(BIO_s_mem());
    MUST(PEM_write_bio_X509_CRL(bio, crl));
    return pem_of(bio);
}

char *certs_pem_key(const EVP_PKEY *key) {
    BIO *bio = BIO_new(BIO_s_secmem());
    MUST(PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL));
    return pem_of(bio);
}
