/* Certificates for agents: requests are kept, or signed by whoever hosts the fake (puppetserver.md §21). */
#include "base/mem.h"
#include "code.h"
#include "world/certs.h"
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define REQUEST "/puppet-ca/v1/certificate_request/"
#define CERTIFICATE "/puppet-ca/v1/certificate/"
#define NOW INT64_C(1800000000000)

struct authority {
    struct code_bench b;
    struct fake_puppetserver *ps; /* that signs, in place of the bench's own */
    struct certs_ca *ca;
    EVP_PKEY *key; /* an agent's */
    bool refuses;
};

static char *sign(void *ctx, const char *certname, EVP_PKEY *key, struct error *err) {
    struct authority *a = ctx;
    if (a->refuses) {
        error_set(err, "test", "not today");
        return NULL;
    }
    X509 *cert = certs_issue(a->ca, &(struct certs_issue){.common_name = span_of(certname), .now_ms = NOW}, key, err);
    assert_non_null(cert);
    char *pem = certs_pem_cert(cert);
    X509_free(cert);
    return pem;
}

/* What an agent sends; signed with another key when `wrong`. */
static char *request_for(struct authority *a, const char *name, bool wrong) {
    X509_REQ *request = X509_REQ_new();
    X509_NAME *subject = X509_NAME_new();
    EVP_PKEY *other = wrong ? certs_key_new(CERTS_KEY_EC_P256) : NULL;
    X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)name, -1, -1, 0);
    X509_REQ_set_subject_name(request, subject);
    X509_REQ_set_pubkey(request, a->key);
    assert_true(X509_REQ_sign(request, wrong ? other : a->key, EVP_sha256()) > 0);
    BIO *out = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509_REQ(out, request), 1);
    char *text = NULL;
    long len = BIO_get_mem_data(out, &text);
    char *pem = span_dup(span_bytes(text, (size_t)len));
    BIO_free(out);
    EVP_PKEY_free(other);
    X509_NAME_free(subject);
    X509_REQ_free(request);
    return pem;
}

static void open_with(struct authority *a, bool signs) {
    struct error err = ERROR_INIT;
    rig_open(&a->b.rig);
    struct fake_puppetserver_opts opts = {.sign = signs ? sign : NULL, .sign_ctx = a};
    a->ps = fake_puppetserver_new(a->b.rig.server, &opts, &err);
    assert_non_null(a->ps);
    struct fake *fakes[] = {fake_puppetserver_base(a->ps)};
    rig_serve(&a->b.rig, fakes, 1);
    a->ca = certs_ca_new(&(struct certs_ca_opts){.now_ms = NOW});
    a->key = certs_key_new(CERTS_KEY_EC_P256);
}

static void close_all(struct authority *a) {
    rig_stop(&a->b.rig);
    fake_puppetserver_free(a->ps);
    rig_end(&a->b.rig);
    certs_ca_free(a->ca);
    EVP_PKEY_free(a->key);
}

/* Nobody has a certificate yet: these come without one. */
static void expect_put(struct authority *a, const char *name, const char *body, int status, const char *text) {
    char *path = str_printf(REQUEST "%s", name);
    struct reply reply =
        rig_ask(&a->b.rig, &(struct ask){.method = "PUT", .path = path, .content_type = "text/plain", .body = body});
    const char *got = reply.body.ptr != NULL ? reply.body.ptr : "";
    if (reply.status != status || strcmp(got, text) != 0) {
        fail_msg("%s: %d %s", name, reply.status, got);
    }
    reply_clear(&reply);
    mem_free(path);
}

static char *get(struct authority *a, const char *path, int status) {
    struct reply reply = rig_ask(&a->b.rig, &(struct ask){.path = path});
    assert_int_equal(reply.status, status);
    char *text = str_dup(reply.body.ptr != NULL ? reply.body.ptr : "");
    reply_clear(&reply);
    return text;
}

static void expect_get(struct authority *a, const char *path, int status, const char *text) {
    char *got = get(a, path, status);
    assert_string_equal(got, text);
    mem_free(got);
}

static void requests_wait_when_nobody_signs(void **state) {
    (void)state;
    struct authority a = {0};
    open_with(&a, false);
    char *pem = request_for(&a, "node1.lab.example", false);
    expect_put(&a, "node1.lab.example", pem, 200, "");
    expect_get(&a, REQUEST "node1.lab.example", 200, pem);
    expect_get(&a, CERTIFICATE "node1.lab.example", 404, "Could not find certificate node1.lab.example");
    expect_put(&a, "node1.lab.example", pem, 400,
               "node1.lab.example already has a requested certificate; ignoring certificate request");
    json_decref(rig_json(&a.b.rig, &(struct ask){.method = "POST", .path = "/_fake/reset"}, 204));
    expect_get(&a, REQUEST "node1.lab.example", 404, "Could not find certificate_request node1.lab.example");
    mem_free(pem);
    close_all(&a);
}

static void requests_are_signed(void **state) {
    (void)state;
    struct authority a = {0};
    open_with(&a, true);
    char *pem = request_for(&a, "node1.lab.example", false);
    expect_put(&a, "node1.lab.example", pem, 200, "");
    expect_get(&a, REQUEST "node1.lab.example", 404, "Could not find certificate_request node1.lab.example");
    char *signed_pem = get(&a, CERTIFICATE "node1.lab.example", 200);
    BIO *in = BIO_new_mem_buf(signed_pem, -1);
    X509 *cert = PEM_read_bio_X509(in, NULL, NULL, NULL);
    assert_non_null(cert);
    assert_int_equal(X509_verify(cert, certs_ca_key(a.ca)), 1);
    assert_int_equal(EVP_PKEY_eq(X509_get0_pubkey(cert), a.key), 1);
    X509_free(cert);
    BIO_free(in);
    expect_put(&a, "node1.lab.example", pem, 400,
               "node1.lab.example already has a signed certificate; ignoring certificate request");
    mem_free(signed_pem);
    mem_free(pem);
    close_all(&a);
}

static void bad_requests_are_refused(void **state) {
    (void)state;
    struct authority a = {0};
    open_with(&a, true);
    static const struct {
        const char *subject, *name, *text;
    } cases[] = {
        {"node1", "node2", "Instance name \"node1\" does not match requested key \"node2\""},
        {"Node1", "Node1", "Certificate names must be lower case."},
        {"-node", "-node", "Subject hostname format is invalid"},
        {"node-", "node-", "Subject hostname format is invalid"},
        {"", "node", "Instance name \"\" does not match requested key \"node\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *pem = request_for(&a, cases[i].subject, false);
        expect_put(&a, cases[i].name, pem, 400, cases[i].text);
        mem_free(pem);
    }
    static const char nonsense[] = "Internal Server Error: java.lang.IllegalArgumentException: The PEM stream must "
                                   "contain exactly one certificate request";
    expect_put(&a, "node1", "-----BEGIN CERTIFICATE REQUEST-----\nxxxx\n", 500, nonsense);
    expect_put(&a, "node1", "", 500, nonsense);
    char *wrong = request_for(&a, "node3", true), *good = request_for(&a, "node4", false);
    expect_put(&a, "node3", wrong, 400, "CSR contains a public key that does not correspond to the signing key");
    expect_get(&a, CERTIFICATE "node3", 404, "Could not find certificate node3");
    a.refuses = true;
    expect_put(&a, "node4", good, 400, "not today");
    mem_free(wrong);
    mem_free(good);
    close_all(&a);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_wait_when_nobody_signs),
        cmocka_unit_test(requests_are_signed),
        cmocka_unit_test(bad_requests_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
