/* From a verified certificate to struct world_identity: one block of memory, holding every text. */
#include "base/digest.h"
#include "base/mem.h"
#include "world/real_tls.h"

#include <arpa/inet.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/x509v3.h>
#include <string.h>

/* The one common name. Several, or one with a NUL byte, could be read as different names by different readers:
 * such a certificate identifies nobody. */
static char *common_name_of(X509_NAME *subject) {
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0) {
        return NULL;
    }
    unsigned char *utf8 = NULL;
    int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    char *name = NULL;
    if (len > 0 && memchr(utf8, '\0', (size_t)len) == NULL) {
        name = span_dup(span_bytes(utf8, (size_t)len));
    }
    if (len >= 0) {
        OPENSSL_free(utf8);
    }
    return name;
}

static char *text_of_bio(BIO *bio) {
    char *ptr;
    long len = BIO_get_mem_data(bio, &ptr);
    char *text = span_dup(span_bytes(ptr, len > 0 ? (size_t)len : 0));
    BIO_free(bio);
    return text;
}

static char *issuer_of(const X509 *cert) {
    BIO *bio = BIO_new(BIO_s_mem());
    X509_NAME_print_ex(bio, X509_get_issuer_name(cert), 0, XN_FLAG_RFC2253);
    return text_of_bio(bio);
}

static char *serial_of(const X509 *cert) {
    BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
    char *hex = BN_bn2hex(n);
    char *text = str_dup(hex);
    OPENSSL_free(hex);
    BN_free(n);
    return text;
}

static char *alt_name_of(const GENERAL_NAME *gn) {
    char text[INET6_ADDRSTRLEN];
    if (gn->type == GEN_DNS) {
        struct span s = span_bytes(ASN1_STRING_get0_data(gn->d.dNSName), (size_t)ASN1_STRING_length(gn->d.dNSName));
        return s.len != 0 && !span_has_nul(s) ? span_dup(s) : NULL;
    }
    if (gn->type == GEN_IPADD) {
        int len = ASN1_STRING_length(gn->d.iPAddress);
        int family = len == 4 ? AF_INET : len == 16 ? AF_INET6 : -1;
        if (family != -1 && inet_ntop(family, ASN1_STRING_get0_data(gn->d.iPAddress), text, sizeof(text)) != NULL) {
            return str_dup(text);
        }
    }
    return NULL;
}

#define PUPPET_ARC "1.3.6.1.4.1.34380.1."
enum { OID_TEXT_MAX = 128 };

/* A DER string, as everything of today writes it; or, as Puppet once did, the bare text. */
static char *value_of(X509_EXTENSION *extension) {
    const ASN1_OCTET_STRING *data = X509_EXTENSION_get_data(extension);
    const unsigned char *bytes = ASN1_STRING_get0_data(data), *at = bytes;
    long len = ASN1_STRING_length(data);
    unsigned char *utf8 = NULL;
    struct span text = span_bytes(bytes, (size_t)len);
    ASN1_TYPE *any = d2i_ASN1_TYPE(NULL, &at, len);
    int type = any != NULL && at == bytes + len ? ASN1_TYPE_get(any) : -1;
    if (type == V_ASN1_UTF8STRING || type == V_ASN1_PRINTABLESTRING || type == V_ASN1_IA5STRING) {
        int n = ASN1_STRING_to_UTF8(&utf8, any->value.asn1_string);
        text = n >= 0 ? span_bytes(utf8, (size_t)n) : (struct span){NULL, 0};
    }
    bool good = text.len != 0 && text.len <= WORLD_EXTENSION_VALUE_MAX && !span_has_nul(text) && span_is_utf8(text);
    char *value = good ? span_dup(text) : NULL;
    OPENSSL_free(utf8);
    ASN1_TYPE_free(any);
    ERR_clear_error();
    return value;
}

/* The texts of Puppet's extensions, OID and value by turns; returns how many extensions. */
static size_t extensions_of(const X509 *cert, char **texts) {
    size_t count = 0;
    for (int i = 0; i < X509_get_ext_count(cert) && count < WORLD_EXTENSIONS_MAX; i++) {
        char oid[OID_TEXT_MAX];
        X509_EXTENSION *extension = X509_get_ext(cert, i);
        int len = OBJ_obj2txt(oid, sizeof(oid), X509_EXTENSION_get_object(extension), 1);
        bool ours = len > 0 && len < OID_TEXT_MAX && span_starts_with(span_of(oid), PUPPET_ARC);
        char *value = ours ? value_of(extension) : NULL;
        if (value != NULL) {
            texts[2 * count] = str_dup(oid);
            texts[2 * count + 1] = value;
            count++;
        }
    }
    return count;
}

static int64_t ms_of(const ASN1_TIME *t) {
    ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
    int days = 0, seconds = 0;
    ASN1_TIME_diff(&days, &seconds, epoch, t);
    ASN1_TIME_free(epoch);
    return ((int64_t)days * 86400 + seconds) * 1000;
}

static void fingerprint_of(const X509 *cert, char out[65]) {
    static const char hex[] = "0123456789abcdef";
    unsigned char digest[EVP_MAX_MD_SIZE] = {0};
    X509_digest(cert, EVP_sha256(), digest, NULL);
    for (size_t i = 0; i < SHA256_LEN; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[64] = '\0';
}

static const char *place(char **at, const char *text) {
    size_t size = strlen(text) + 1;
    char *put = memcpy(*at, text, size);
    *at += size;
    return put;
}

/* Puts all texts behind the structure. */
static struct real_identity *packed(const char *cn, const char *issuer, const char *serial, char **alts, size_t count,
                                    char **texts, size_t extensions) {
    size_t size = sizeof(struct real_identity) + count * sizeof(char *) + strlen(issuer) + strlen(serial) + 2 +
                  extensions * sizeof(struct world_extension);
    size += cn != NULL ? strlen(cn) + 1 : 0;
    for (size_t i = 0; i < 2 * extensions; i++) {
        size += strlen(texts[i]) + 1;
    }
    for (size_t i = 0; i < count; i++) {
        size += strlen(alts[i]) + 1;
    }
    struct real_identity *out = mem_zalloc(size);
    const char **names = (const char **)(void *)(out + 1);
    struct world_extension *listed = (struct world_extension *)(void *)(names + count);
    char *at = (char *)(listed + extensions);
    out->refs = 1;
    out->id.common_name = cn != NULL ? place(&at, cn) : NULL;
    out->id.issuer = place(&at, issuer);
    out->id.serial = place(&at, serial);
    for (size_t i = 0; i < count; i++) {
        names[i] = place(&at, alts[i]);
    }
    for (size_t i = 0; i < extensions; i++) {
        listed[i].oid = place(&at, texts[2 * i]);
        listed[i].value = place(&at, texts[2 * i + 1]);
    }
    out->id.alt_names = names;
    out->id.alt_name_count = count;
    out->id.extensions = listed;
    out->id.extension_count = extensions;
    return out;
}

struct real_identity *real_identity_new(const X509 *cert) {
    char *cn = common_name_of(X509_get_subject_name(cert));
    char *issuer = issuer_of(cert);
    char *serial = serial_of(cert);
    GENERAL_NAMES *gens = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
    int gen_count = gens != NULL ? sk_GENERAL_NAME_num(gens) : 0;
    char **alts = mem_array((size_t)gen_count + 1, sizeof(char *));
    size_t count = 0;
    for (int i = 0; i < gen_count; i++) {
        char *name = alt_name_of(sk_GENERAL_NAME_value(gens, i));
        if (name != NULL) {
            alts[count++] = name;
        }
    }
    GENERAL_NAMES_free(gens);

    char *texts[2 * WORLD_EXTENSIONS_MAX];
    size_t extensions = extensions_of(cert, texts);
    struct real_identity *out = packed(cn, issuer, serial, alts, count, texts, extensions);
    out->id.not_before_ms = ms_of(X509_get0_notBefore(cert));
    out->id.not_after_ms = ms_of(X509_get0_notAfter(cert));
    fingerprint_of(cert, out->id.fingerprint);

    for (size_t i = 0; i < count; i++) {
        mem_free(alts[i]);
    }
    for (size_t i = 0; i < 2 * extensions; i++) {
        mem_free(texts[i]);
    }
    mem_free(alts);
    mem_free(cn);
    mem_free(issuer);
    mem_free(serial);
    return out;
}

struct real_identity *real_identity_ref(struct real_identity *i) {
    i->refs++;
    return i;
}

void real_identity_free(struct real_identity *i) {
    if (i != NULL && --i->refs == 0) {
        mem_free(i);
    }
}
