/* Minting credentials for fleets: the certificates of one CA, key and hour differ only in serial, subject, alternative
 * name and signature, so the rest is encoded once (OpenSSL needs several times the signature's own time for it). */
#include "world/certs_internal.h"

#include "base/mem.h"
#include <assert.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <string.h>

enum { TEMPLATE_MS = 60 * 60 * 1000 };

/* DER of what stays the same. */
struct certs_mint {
    EVP_PKEY *key;
    int64_t made_ms;
    struct buf signature_algorithm, issuer, validity, public_key, extensions;
};

enum der_tag {
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_UTF8_STRING = 0x0c,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_DNS_NAME = 0x82,   /* [2] of GeneralName */
    DER_VERSION = 0xa0,    /* [0] of TBSCertificate */
    DER_EXTENSIONS = 0xa3, /* [3] of TBSCertificate */
};

static void put_header(struct buf *out, enum der_tag tag, size_t len) {
    buf_append_char(out, (char)tag);
    if (len >= 0x100) {
        assert(len <= UINT16_MAX); /* names are short, and so is all the rest */
        buf_append_char(out, (char)0x82);
        buf_append_char(out, (char)(len >> 8));
    } else if (len >= 0x80) {
        buf_append_char(out, (char)0x81);
    }
    buf_append_char(out, (char)(len & 0xff));
}

static void put(struct buf *out, enum der_tag tag, struct span content) {
    put_header(out, tag, content.len);
    buf_append_span(out, content);
}

/* Wraps all that is in `b`. */
static void wrap(struct buf *b, enum der_tag tag) {
    struct buf outer = BUF_INIT;
    put(&outer, tag, buf_span(b));
    buf_free(b);
    *b = outer;
}

/* Appends the DER that one of OpenSSL's i2d functions makes. */
#define PUT_I2D(out, call)                                                                                             \
    do {                                                                                                               \
        unsigned char *der = NULL, **to = &der;                                                                        \
        int len = (call);                                                                                              \
        assert(len > 0);                                                                                               \
        buf_append((out), der, (size_t)len);                                                                           \
        OPENSSL_free(der);                                                                                             \
    } while (0)

static struct certs_mint *make_template(struct certs_ca *ca, EVP_PKEY *key, int64_t now_ms) {
    struct certs_mint *m = mem_zalloc(sizeof(*m));
    struct certs_issue what = {.common_name = SPAN("template"), .serial = 1, .now_ms = now_ms};
    X509 *cert = certs_issue(ca, &what, key, NULL);
    assert(cert != NULL);
    EVP_PKEY_up_ref(key);
    m->key = key;
    m->made_ms = now_ms;
    PUT_I2D(&m->signature_algorithm, i2d_X509_ALGOR(X509_get0_tbs_sigalg(cert), to));
    PUT_I2D(&m->issuer, i2d_X509_NAME(X509_get_issuer_name(cert), to));
    PUT_I2D(&m->validity, i2d_ASN1_TIME(X509_get0_notBefore(cert), to));
    PUT_I2D(&m->validity, i2d_ASN1_TIME(X509_get0_notAfter(cert), to));
    wrap(&m->validity, DER_SEQUENCE);
    PUT_I2D(&m->public_key, i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), to));
    for (int i = 0; i < X509_get_ext_count(cert); i++) {
        PUT_I2D(&m->extensions, i2d_X509_EXTENSION(X509_get_ext(cert, i), to));
    }
    X509_free(cert);
    return m;
}

void certs_mint_free(struct certs_mint *m) {
    if (m != NULL) {
        EVP_PKEY_free(m->key);
        struct buf *parts[] = {&m->signature_algorithm, &m->issuer, &m->validity, &m->public_key, &m->extensions};
        for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
            buf_free(parts[i]);
        }
        mem_free(m);
    }
}

static void put_serial(struct buf *out) {
    unsigned char serial[8];
    int ok = RAND_bytes(serial, sizeof(serial));
    assert(ok == 1);
    (void)ok;
    /* Several processes mint with one CA and know nothing of each other's numbers: 62 random bits, positive, of full
     * length, and so beyond those that are counted up. */
    serial[0] = (unsigned char)((serial[0] & 0x3f) | 0x40);
    put(out, DER_INTEGER, span_bytes(serial, sizeof(serial)));
}

/* SEQUENCE { SET { SEQUENCE { commonName, UTF8String } } } */
static void put_subject(struct buf *out, struct span name) {
    struct buf subject = BUF_INIT;
    buf_append(&subject, "\x06\x03\x55\x04\x03", 5); /* 2.5.4.3 */
    put(&subject, DER_UTF8_STRING, name);
    wrap(&subject, DER_SEQUENCE);
    wrap(&subject, DER_SET);
    put(out, DER_SEQUENCE, buf_span(&subject));
    buf_free(&subject);
}

/* SEQUENCE { subjectAltName, OCTET STRING { SEQUENCE { [2] name } } } */
static void put_alt_name(struct buf *out, struct span name) {
    struct buf value = BUF_INIT, extension = BUF_INIT;
    put(&value, DER_DNS_NAME, name);
    wrap(&value, DER_SEQUENCE);
    buf_append(&extension, "\x06\x03\x55\x1d\x11", 5); /* 2.5.29.17 */
    put(&extension, DER_OCTET_STRING, buf_span(&value));
    put(out, DER_SEQUENCE, buf_span(&extension));
    buf_free(&value);
    buf_free(&extension);
}

/* What is signed. */
static struct buf body_of(const struct certs_mint *m, struct span name) {
    struct buf body = BUF_INIT, extensions = BUF_INIT;
    put(&body, DER_VERSION, SPAN("\x02\x01\x02")); /* v3 */
    put_serial(&body);
    buf_append_span(&body, buf_span(&m->signature_algorithm));
    buf_append_span(&body, buf_span(&m->issuer));
    buf_append_span(&body, buf_span(&m->validity));
    put_subject(&body, name);
    buf_append_span(&body, buf_span(&m->public_key));
    buf_append_span(&extensions, buf_span(&m->extensions));
    put_alt_name(&extensions, name);
    wrap(&extensions, DER_SEQUENCE);
    put(&body, DER_EXTENSIONS, buf_span(&extensions));
    buf_free(&extensions);
    wrap(&body, DER_SEQUENCE);
    return body;
}

static void sign(struct certs_ca *ca, const struct certs_mint *m, struct buf *body) {
    unsigned char signature[1 + 1024] = {0}; /* the first byte: no unused bits */
    size_t len = sizeof(signature) - 1;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, ca->key) == 1 &&
             EVP_DigestSign(ctx, signature + 1, &len, (const unsigned char *)body->ptr, body->len) == 1;
    assert(ok);
    (void)ok;
    EVP_MD_CTX_free(ctx);
    buf_append_span(body, buf_span(&m->signature_algorithm));
    put(body, DER_BIT_STRING, span_bytes(signature, len + 1));
    wrap(body, DER_SEQUENCE);
}

struct real_credential *certs_mint(struct certs_ca *ca, const char *certname, EVP_PKEY *key, int64_t now_ms,
                                   struct error *err) {
    struct span name = span_of(certname);
    if (name.len == 0 || name.len > CERTS_NAME_MAX || !span_is_utf8(name)) {
        error_set(err, "certs/name", "a certname has 1 to %d bytes of UTF-8", CERTS_NAME_MAX);
        return NULL;
    }
    struct certs_mint *m = ca->mint;
    if (m == NULL || m->key != key || now_ms - m->made_ms > TEMPLATE_MS || now_ms < m->made_ms) {
        certs_mint_free(m);
        m = ca->mint = make_template(ca, key, now_ms);
    }
    struct buf der = body_of(m, name);
    sign(ca, m, &der);
    struct real_credential *c = real_credential_of_der(buf_span(&der), key);
    buf_free(&der);
    return c;
}
