/* Credentials of single connections: DER and a shared key, about 700 bytes each. */
#include "world/certs.h"

#include "base/mem.h"
#include <assert.h>
#include <openssl/rand.h>

struct real_credential {
    uint32_t refs;
    int der_len;
    EVP_PKEY *key;
    unsigned char der[];
};

struct real_credential *real_credential_new(const X509 *cert, EVP_PKEY *key) {
    int len = i2d_X509(cert, NULL);
    assert(len > 0);
    struct real_credential *c = mem_zalloc(sizeof(*c) + (size_t)len);
    c->refs = 1;
    c->der_len = len;
    unsigned char *at = c->der;
    i2d_X509(cert, &at);
    EVP_PKEY_up_ref(key);
    c->key = key;
    return c;
}

struct real_credential *real_credential_ref(struct real_credential *c) {
    c->refs++;
    return c;
}

void real_credential_free(struct real_credential *c) {
    if (c != NULL && --c->refs == 0) {
        EVP_PKEY_free(c->key);
        mem_free(c);
    }
}

X509 *real_credential_cert(const struct real_credential *c) {
    const unsigned char *at = c->der;
    X509 *cert = d2i_X509(NULL, &at, c->der_len);
    assert(cert != NULL); /* it was one when it was made */
    return cert;
}

EVP_PKEY *real_credential_key(const struct real_credential *c) {
    return c->key;
}

/* Several processes mint with one CA and know nothing of each other's numbers. */
static uint64_t random_serial(void) {
    uint64_t serial = 0;
    int ok = RAND_bytes((unsigned char *)&serial, sizeof(serial));
    assert(ok == 1);
    (void)ok;
    return serial >> 1 | UINT64_C(1) << 32; /* positive, and beyond those that are counted up */
}

struct real_credential *certs_mint(struct certs_ca *ca, const char *certname, EVP_PKEY *key, int64_t now_ms,
                                   struct error *err) {
    const char *names[] = {certname, NULL};
    struct certs_issue what = {
        .common_name = span_of(certname), .dns_names = names, .serial = random_serial(), .now_ms = now_ms};
    X509 *cert = certs_issue(ca, &what, key, err);
    if (cert == NULL) {
        return NULL;
    }
    struct real_credential *c = real_credential_new(cert, key);
    X509_free(cert);
    return c;
}
