/* A signature that was found good is not computed again; everything else about a certificate is looked at every time.
 */
#include "world/real_tls_seen.h"
#include "world/tests/harness.h"

#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

/* The clock of this program, OpenSSL's too. */
static time_t shift;
time_t time(time_t *out) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    time_t t = now.tv_sec + shift;
    if (out != NULL) {
        *out = t;
    }
    return t;
}

struct fixture {
    struct certs_ca *ca;
    EVP_PKEY *key;
    X509_STORE *store;
    struct real_tls_seen *seen;
    int64_t now_ms;
};

static X509 *issue(struct fixture *f, struct certs_ca *ca, const char *name, int64_t valid_ms) {
    struct error err = ERROR_INIT;
    X509 *cert = certs_issue(ca,
                             &(struct certs_issue){.common_name = span_of(name),
                                                   .now_ms = f->now_ms,
                                                   .not_after_ms = valid_ms != 0 ? f->now_ms + valid_ms : 0},
                             f->key, &err);
    assert_non_null(cert);
    return cert;
}

static int setup(void **state) {
    struct fixture *f = mem_zalloc(sizeof(*f));
    shift = 0;
    f->now_ms = (int64_t)time(NULL) * 1000;
    f->ca = certs_ca_new(&(struct certs_ca_opts){.now_ms = f->now_ms});
    f->key = certs_key_new(CERTS_KEY_EC_P256);
    f->store = X509_STORE_new();
    X509_STORE_add_cert(f->store, certs_ca_cert(f->ca));
    f->seen = real_tls_seen_watch(f->store);
    assert_non_null(f->seen);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    X509_STORE_free(f->store);
    EVP_PKEY_free(f->key);
    certs_ca_free(f->ca);
    mem_free(f);
    return 0;
}

static void with_crl(struct fixture *f) {
    X509_CRL *crl = certs_crl(f->ca, f->now_ms);
    X509_STORE_add_crl(f->store, crl);
    X509_CRL_free(crl);
    X509_STORE_set_flags(f->store, X509_V_FLAG_CRL_CHECK);
}

/* OpenSSL's verdict, and from how many signatures it was spared. */
static int verdict_with(struct fixture *f, X509 *cert, STACK_OF(X509) *untrusted, uint64_t *spared) {
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    assert_int_equal(X509_STORE_CTX_init(ctx, f->store, cert, untrusted), 1);
    uint64_t before = real_tls_seen_hits(f->seen);
    int ok = X509_verify_cert(ctx), error = X509_STORE_CTX_get_error(ctx);
    assert_int_equal(ok == 1, error == X509_V_OK);
    *spared = real_tls_seen_hits(f->seen) - before;
    X509_STORE_CTX_free(ctx);
    return error;
}

#define CHECK(cert, verdict, saved)                                                                                    \
    do {                                                                                                               \
        uint64_t spared;                                                                                               \
        assert_string_equal(X509_verify_cert_error_string(verdict_with(f, cert, NULL, &spared)),                       \
                            X509_verify_cert_error_string(verdict));                                                   \
        assert_int_equal(spared, saved);                                                                               \
    } while (0)

static void the_second_time_is_spared(void **state) {
    struct fixture *f = *state;
    X509 *a = issue(f, f->ca, "a", 0), *b = issue(f, f->ca, "b", 0);
    CHECK(a, X509_V_OK, 0);
    CHECK(a, X509_V_OK, 1);
    CHECK(b, X509_V_OK, 0);
    CHECK(a, X509_V_OK, 1);
    CHECK(b, X509_V_OK, 1);
    X509_free(a);
    X509_free(b);
}

static void a_crl_is_verified_once_for_all(void **state) {
    struct fixture *f = *state;
    X509 *a = issue(f, f->ca, "a", 0), *b = issue(f, f->ca, "b", 0), *gone = issue(f, f->ca, "gone", 0);
    certs_revoke(f->ca, gone, f->now_ms);
    with_crl(f);
    CHECK(a, X509_V_OK, 0);
    CHECK(b, X509_V_OK, 1);
    CHECK(b, X509_V_OK, 2);
    CHECK(gone, X509_V_ERR_CERT_REVOKED, 1); /* known to be good, what it says counts all the same */
    CHECK(gone, X509_V_ERR_CERT_REVOKED, 1);
    X509_free(a);
    X509_free(b);
    X509_free(gone);
}

static void revoked_after_it_was_seen(void **state) {
    struct fixture *f = *state;
    X509 *a = issue(f, f->ca, "a", 0);
    CHECK(a, X509_V_OK, 0);
    certs_revoke(f->ca, a, f->now_ms);
    with_crl(f);
    CHECK(a, X509_V_ERR_CERT_REVOKED, 0);
    X509_free(a);
}

static void expired_after_it_was_seen(void **state) {
    struct fixture *f = *state;
    X509 *a = issue(f, f->ca, "a", 60 * 1000);
    CHECK(a, X509_V_OK, 0);
    CHECK(a, X509_V_OK, 1);
    shift = 61;
    CHECK(a, X509_V_ERR_CERT_HAS_EXPIRED, 0);
    shift = -2 * 86400;
    CHECK(a, X509_V_ERR_CERT_NOT_YET_VALID, 0);
    shift = 0;
    CHECK(a, X509_V_OK, 1);
    X509_free(a);
}

static void the_ca_expires(void **state) {
    struct fixture *f = *state;
    X509 *a = issue(f, f->ca, "a", INT64_C(86400000) * 365 * 20);
    CHECK(a, X509_V_OK, 0);
    shift = 86400 * 365 * 11;
    CHECK(a, X509_V_ERR_CERT_HAS_EXPIRED, 0);
    X509_free(a);
}

static void a_crl_grows_stale(void **state) {
    struct fixture *f = *state;
    X509 *a = issue(f, f->ca, "a", INT64_C(86400000) * 365 * 9);
    with_crl(f);
    CHECK(a, X509_V_OK, 0);
    CHECK(a, X509_V_OK, 2);
    shift = (time_t)86400 * (CERTS_CRL_DAYS + 1);
    CHECK(a, X509_V_ERR_CRL_HAS_EXPIRED, 0);
    X509_free(a);
}

static void a_forgery_of_what_was_seen(void **state) {
    struct fixture *f = *state;
    X509 *a = issue(f, f->ca, "a", 0);
    CHECK(a, X509_V_OK, 0);
    unsigned char *der = NULL;
    int len = i2d_X509(a, &der);
    der[len - 1] ^= 1; /* the signature's last byte */
    const unsigned char *at = der;
    X509 *forged = d2i_X509(NULL, &at, len);
    assert_non_null(forged);
    CHECK(forged, X509_V_ERR_CERT_SIGNATURE_FAILURE, 0);
    CHECK(forged, X509_V_ERR_CERT_SIGNATURE_FAILURE, 0); /* what was bad is not remembered as anything */
    CHECK(a, X509_V_OK, 1);
    OPENSSL_free(der);
    X509_free(forged);
    X509_free(a);
}

/* Another CA with our CA's name and its own key signs what looks the same, and brings its certificate along. */
static void a_namesake_of_the_ca(void **state) {
    struct fixture *f = *state;
    X509 *a = issue(f, f->ca, "a", 0);
    CHECK(a, X509_V_OK, 0);
    struct certs_ca *other = certs_ca_new(&(struct certs_ca_opts){.now_ms = f->now_ms});
    X509 *stranger = issue(f, other, "a", 0);
    STACK_OF(X509) *brought = sk_X509_new_null();
    sk_X509_push(brought, certs_ca_cert(other));
    uint64_t spared;
    assert_int_not_equal(verdict_with(f, stranger, brought, &spared), X509_V_OK);
    assert_int_not_equal(verdict_with(f, stranger, brought, &spared), X509_V_OK);
    assert_int_equal(spared, 0);
    sk_X509_free(brought);
    X509_free(stranger);
    certs_ca_free(other);
    X509_free(a);
}

static void the_name_is_still_checked(void **state) {
    struct fixture *f = *state;
    X509 *a = issue(f, f->ca, "a", 0);
    CHECK(a, X509_V_OK, 0);
    X509_VERIFY_PARAM *param = X509_STORE_get0_param(f->store);
    X509_VERIFY_PARAM_set1_host(param, "b", 1);
    CHECK(a, X509_V_ERR_HOSTNAME_MISMATCH, 0);
    X509_VERIFY_PARAM_set1_host(param, "a", 1);
    CHECK(a, X509_V_OK, 1);
    X509_free(a);
}

/* Enough for its table to grow several times. */
static void many(void **state) {
    struct fixture *f = *state;
    enum { COUNT = 300 };
    X509 *certs[COUNT];
    for (int i = 0; i < COUNT; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%d", i);
        certs[i] = issue(f, f->ca, name, 0);
        CHECK(certs[i], X509_V_OK, 0);
    }
    for (int i = 0; i < COUNT; i++) {
        CHECK(certs[i], X509_V_OK, 1);
        X509_free(certs[i]);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_second_time_is_spared, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crl_is_verified_once_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(revoked_after_it_was_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(expired_after_it_was_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(the_ca_expires, setup, teardown),
        cmocka_unit_test_setup_teardown(a_crl_grows_stale, setup, teardown),
        cmocka_unit_test_setup_teardown(a_forgery_of_what_was_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(a_namesake_of_the_ca, setup, teardown),
        cmocka_unit_test_setup_teardown(the_name_is_still_checked, setup, teardown),
        cmocka_unit_test_setup_teardown(many, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
