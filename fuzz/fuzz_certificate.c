/* links: world_real certs world base */
/* From a certificate to an identity: whatever stands in its fields, the common name is one line that no reader can take
 * for another, and the rest is text. The first byte: 0 takes the rest as DER; else a certificate is made whose common
 * name and alternative names are the bytes. */
#include "base/mem.h"
#include "world/real_tls.h"
#include <assert.h>
#include <openssl/x509v3.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const X509 *cert) {
    struct real_identity *i = real_identity_new(cert);
    const struct world_identity *id = &i->id;
    assert(id->common_name == NULL || id->common_name[0] != '\0');
    assert(id->issuer != NULL && id->serial != NULL && strlen(id->fingerprint) == 64);
    for (size_t n = 0; n < id->alt_name_count; n++) {
        assert(id->alt_names[n][0] != '\0');
    }
    real_identity_free(i);
}

static void read_der(const uint8_t *data, size_t size) {
    const unsigned char *at = data;
    X509 *cert = d2i_X509(NULL, &at, (long)size);
    if (cert != NULL) {
        check(cert);
    }
    X509_free(cert);
}

/* One or several common names of any bytes and any string type. */
static void make(const uint8_t *data, size_t size) {
    static const int types[] = {V_ASN1_UTF8STRING, V_ASN1_PRINTABLESTRING, V_ASN1_BMPSTRING,
                                V_ASN1_T61STRING,  V_ASN1_UNIVERSALSTRING, V_ASN1_IA5STRING};
    X509 *cert = X509_new();
    X509_NAME *name = X509_NAME_new();
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    struct span rest = span_bytes(data, size), part;
    while (span_split(&rest, '|', &part)) {
        if (part.len == 0) {
            continue;
        }
        int type = types[(unsigned char)part.ptr[0] % (sizeof(types) / sizeof(types[0]))];
        X509_NAME_add_entry_by_NID(name, NID_commonName, type, (const unsigned char *)part.ptr, (int)part.len, -1, 0);
        GENERAL_NAME *gn = GENERAL_NAME_new();
        ASN1_IA5STRING *text = ASN1_IA5STRING_new();
        ASN1_STRING_set(text, part.ptr, (int)part.len);
        GENERAL_NAME_set0_value(gn, part.len % 2 == 0 ? GEN_DNS : GEN_IPADD, text);
        sk_GENERAL_NAME_push(names, gn);
    }
    X509_set_subject_name(cert, name);
    X509_set_issuer_name(cert, name);
    X509_add1_ext_i2d(cert, NID_subject_alt_name, names, 0, 0);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), (long)size);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 1000);
    unsigned char *der = NULL;
    int len = i2d_X509(cert, &der); /* as the wire would bring it */
    if (len > 0) {
        read_der(der, (size_t)len);
    }
    OPENSSL_free(der);
    GENERAL_NAMES_free(names);
    X509_NAME_free(name);
    X509_free(cert);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size != 0) {
        (data[0] == 0 ? read_der : make)(data + 1, size - 1);
    }
    return 0;
}
