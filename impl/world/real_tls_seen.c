/* See real_tls_seen.h. X509_STORE has hooks for exactly the two steps that compute signatures (verify, check_crl); both
 * fall back to OpenSSL's own whenever anything is not as it was. */
#include "world/real_tls_seen.h"

#include "base/mem.h"
#include <assert.h>
#include <openssl/x509v3.h>
#include <stdbool.h>
#include <string.h>

enum { DIGEST_LEN = 32, SLOTS_FIRST = 64, SLOTS_MAX = SEEN_MAX / 3 * 4, CRLS_MAX = 16 };

typedef unsigned char digest[DIGEST_LEN];

struct real_tls_seen {
    EVP_MD *sha256;
    EVP_MD_CTX *hashing;
    digest *slots; /* open addressing; all zero: free */
    size_t slot_count, used;
    struct {
        X509_CRL *crl;
        X509 *issuer;
    } crls[CRLS_MAX];
    size_t crl_count;
    uint64_t hits;
    /* OpenSSL's own */
    X509_STORE_CTX_verify_fn verify;
    X509_STORE_CTX_check_crl_fn check_crl;
};

static void seen_free(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp) {
    struct real_tls_seen *s = ptr;
    (void)parent, (void)data, (void)index, (void)argl, (void)argp;
    if (s == NULL) {
        return;
    }
    for (size_t i = 0; i < s->crl_count; i++) {
        X509_CRL_free(s->crls[i].crl);
        X509_free(s->crls[i].issuer);
    }
    EVP_MD_CTX_free(s->hashing);
    EVP_MD_free(s->sha256);
    mem_free(s->slots);
    mem_free(s);
}

static int store_index(void) {
    static int index = -1; /* OpenSSL hands out such numbers once per process */
    if (index < 0) {
        index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_X509_STORE, 0, NULL, NULL, NULL, seen_free);
        assert(index >= 0);
    }
    return index;
}

static struct real_tls_seen *of(X509_STORE_CTX *ctx) {
    return X509_STORE_get_ex_data(X509_STORE_CTX_get0_store(ctx), store_index());
}

/* ---- chains */

static size_t slot_of(const struct real_tls_seen *s, const digest d) {
    static const digest none;
    size_t at;
    memcpy(&at, d, sizeof(at));
    while (memcmp(s->slots[at &= s->slot_count - 1], none, DIGEST_LEN) != 0 &&
           memcmp(s->slots[at], d, DIGEST_LEN) != 0) {
        at++;
    }
    return at;
}

static bool has(const struct real_tls_seen *s, const digest d) {
    return s->slot_count != 0 && memcmp(s->slots[slot_of(s, d)], d, DIGEST_LEN) == 0;
}

static void grow(struct real_tls_seen *s) {
    digest *old = s->slots;
    size_t old_count = s->slot_count;
    bool full = old_count == SLOTS_MAX;
    s->slot_count = full || old_count == 0 ? SLOTS_FIRST : old_count * 2;
    s->slots = mem_array(s->slot_count, sizeof(digest));
    s->used = full ? 0 : s->used;
    for (size_t i = 0; !full && i < old_count; i++) {
        memcpy(s->slots[slot_of(s, old[i])], old[i], DIGEST_LEN); /* a free one onto a free one is no harm */
    }
    mem_free(old);
}

static void add(struct real_tls_seen *s, const digest d) {
    if (s->used >= s->slot_count / 4 * 3) {
        grow(s);
    }
    memcpy(s->slots[slot_of(s, d)], d, DIGEST_LEN);
    s->used++;
}

/* Of the certificates themselves, the peer's first. */
static bool chain_digest(struct real_tls_seen *s, STACK_OF(X509) *chain, digest out) {
    bool ok = sk_X509_num(chain) > 1 && EVP_DigestInit_ex2(s->hashing, s->sha256, NULL) == 1;
    for (int i = 0; ok && i < sk_X509_num(chain); i++) {
        unsigned char *der = NULL;
        int len = i2d_X509(sk_X509_value(chain, i), &der);
        ok = len > 0 && EVP_DigestUpdate(s->hashing, der, (size_t)len) == 1;
        OPENSSL_free(der);
    }
    return ok && EVP_DigestFinal_ex(s->hashing, out, NULL) == 1;
}

static bool chain_valid_now(STACK_OF(X509) *chain) {
    for (int i = 0; i < sk_X509_num(chain); i++) {
        const X509 *cert = sk_X509_value(chain, i);
        if (X509_cmp_current_time(X509_get0_notBefore(cert)) >= 0 ||
            X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0) {
            return false;
        }
    }
    return true;
}

static int verify(X509_STORE_CTX *ctx) {
    struct real_tls_seen *s = of(ctx);
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
    digest d;
    if (!chain_digest(s, chain, d)) {
        return s->verify(ctx);
    }
    if (has(s, d) && chain_valid_now(chain)) {
        s->hits++;
        return 1;
    }
    int ok = s->verify(ctx);
    if (ok == 1 && X509_STORE_CTX_get_error(ctx) == X509_V_OK && !has(s, d)) {
        add(s, d);
    }
    return ok;
}

/* ---- CRLs */

static bool crl_known(const struct real_tls_seen *s, const X509_CRL *crl, const X509 *issuer) {
    for (size_t i = 0; i < s->crl_count; i++) {
        if (s->crls[i].crl == crl) {
            return X509_cmp(s->crls[i].issuer, issuer) == 0;
        }
    }
    return false;
}

/* Whether a CRL with a scope of its own speaks of a certificate depends on that certificate. */
static bool crl_plain(const X509_CRL *crl) {
    return X509_CRL_get_ext_by_NID(crl, NID_issuing_distribution_point, -1) < 0 &&
           X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) < 0;
}

static bool crl_valid_now(const X509_CRL *crl) {
    const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
    return X509_cmp_current_time(X509_CRL_get0_lastUpdate(crl)) < 0 &&
           (next == NULL || X509_cmp_current_time(next) > 0);
}

static int check_crl(X509_STORE_CTX *ctx, X509_CRL *crl) {
    struct real_tls_seen *s = of(ctx);
    X509 *issuer = X509_STORE_CTX_get0_current_issuer(ctx);
    bool plain = issuer != NULL && crl_plain(crl) && crl_valid_now(crl);
    if (plain && crl_known(s, crl, issuer)) {
        s->hits++;
        return 1;
    }
    int ok = s->check_crl(ctx, crl);
    if (ok == 1 && plain && X509_STORE_CTX_get_error(ctx) == X509_V_OK && s->crl_count < CRLS_MAX) {
        X509_CRL_up_ref(crl);
        X509_up_ref(issuer);
        s->crls[s->crl_count].crl = crl;
        s->crls[s->crl_count++].issuer = issuer;
    }
    return ok;
}

/* ---- */

struct real_tls_seen *real_tls_seen_watch(X509_STORE *store) {
    struct real_tls_seen *s = mem_zalloc(sizeof(*s));
    X509_STORE *plain = X509_STORE_new();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    s->sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
    s->hashing = EVP_MD_CTX_new();
    bool ok = plain != NULL && ctx != NULL && s->sha256 != NULL && s->hashing != NULL &&
              X509_STORE_CTX_init(ctx, plain, NULL, NULL) == 1;
    if (ok) {
        s->verify = X509_STORE_CTX_get_verify(ctx);
        s->check_crl = X509_STORE_CTX_get_check_crl(ctx);
        ok = s->verify != NULL && s->check_crl != NULL && X509_STORE_set_ex_data(store, store_index(), s) == 1;
    }
    X509_STORE_CTX_free(ctx);
    X509_STORE_free(plain);
    if (!ok) { /* every signature is computed, then */
        seen_free(NULL, s, NULL, 0, 0, NULL);
        return NULL;
    }
    X509_STORE_set_verify(store, verify);
    X509_STORE_set_check_crl(store, check_crl);
    return s;
}

uint64_t real_tls_seen_hits(const struct real_tls_seen *s) {
    return s->hits;
}
