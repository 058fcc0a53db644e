/* Credentials of single connections: DER and a shared key, about 700 bytes each. */
#include "world/certs_internal.h"

#include "base/mem.h"
#include <assert.h>
#include <string.h>

struct real_credential {
    uint32_t refs;
    int der_len;
    EVP_PKEY *key;
    unsigned char der[];
};

struct real_credential *real_credential_of_der(struct span der, EVP_PKEY *key) {
    struct real_credential *c = mem_zalloc(sizeof(*c) + der.len);
    c->refs = 1;
    c->der_len = (int)der.len;
    memcpy(c->der, der.ptr, der.len);
    EVP_PKEY_up_ref(key);
    c->key = key;
    return c;
}

struct real_credential *real_credential_new(const X509 *cert, EVP_PKEY *key) {
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der);
    assert(len > 0);
    struct real_credential *c = real_credential_of_der(span_bytes(der, (size_t)len), key);
    OPENSSL_free(der);
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
