/* The certificate authority: in memory and in a directory. */
#include "world/real_tls.h"
#include "world/tests/harness.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static int mode_of(const char *path) {
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (int)(st.st_mode & 07777);
}

static struct certs_ca *open_dir(struct bench *b, const char *name, enum certs_key key) {
    struct error err = ERROR_INIT;
    struct certs_ca *ca =
        certs_dir_open(bench_path(b, name), &(struct certs_ca_opts){.key = key, .now_ms = b->now_ms}, &err);
    if (ca == NULL) {
        fail_msg("%s", err.msg);
    }
    return ca;
}

static X509 *load(const char *path) {
    FILE *f = fopen(path, "r");
    assert_non_null(f);
    X509 *cert = PEM_read_X509(f, NULL, NULL, NULL);
    assert_non_null(cert);
    fclose(f);
    return cert;
}

static void add_raw(X509 *cert, const char *oid, const char *bytes, int len) {
    ASN1_OBJECT *name = OBJ_txt2obj(oid, 1);
    ASN1_OCTET_STRING *data = ASN1_OCTET_STRING_new();
    assert_int_equal(ASN1_OCTET_STRING_set(data, (const unsigned char *)bytes, len), 1);
    X509_EXTENSION *extension = X509_EXTENSION_create_by_OBJ(NULL, name, 0, data);
    assert_int_equal(X509_add_ext(cert, extension, -1), 1);
    X509_EXTENSION_free(extension);
    ASN1_OCTET_STRING_free(data);
    ASN1_OBJECT_free(name);
}

/* Puppet's own extensions become texts; what is none of them, no text, or too long is left out. */
static void extensions_of_puppet(void **state) {
    struct bench *b = *state;
    struct certs_ca *ca = open_dir(b, "ca", CERTS_KEY_EC_P256);
    const struct world_extension given[] = {{"1.3.6.1.4.1.34380.1.1.13", "br\xc3\xb6ker"},
                                            {"1.3.6.1.4.1.34380.1.3.39", "true"},
                                            {"1.3.6.1.4.1.99999.1", "somebody else's"}};
    struct certs_issue what = {
        .common_name = SPAN("a"), .now_ms = b->now_ms, .extensions = given, .extension_count = 3};
    struct error err = ERROR_INIT;
    X509 *cert = certs_issue(ca, &what, certs_ca_key(ca), &err);
    assert_non_null(cert);
    char long_text[WORLD_EXTENSION_VALUE_MAX + 1];
    memset(long_text, 'x', sizeof long_text);
    add_raw(cert, "1.3.6.1.4.1.34380.1.1.3", "bare text", 9); /* as Puppet 3 wrote it */
    add_raw(cert, "1.3.6.1.4.1.34380.1.1.4", "nul\0inside", 10);
    add_raw(cert, "1.3.6.1.4.1.34380.1.1.5", "\xff\xfe", 2); /* not UTF-8 */
    add_raw(cert, "1.3.6.1.4.1.34380.1.1.6", "", 0);
    add_raw(cert, "1.3.6.1.4.1.34380.1.1.7", "\x13\002ab", 4); /* a PrintableString */
    add_raw(cert, "1.3.6.1.4.1.34380.1.1.8", long_text, sizeof long_text);
    struct real_identity *id = real_identity_new(cert);
    static const struct world_extension expected[] = {{"1.3.6.1.4.1.34380.1.1.13", "br\xc3\xb6ker"},
                                                      {"1.3.6.1.4.1.34380.1.3.39", "true"},
                                                      {"1.3.6.1.4.1.34380.1.1.3", "bare text"},
                                                      {"1.3.6.1.4.1.34380.1.1.7", "ab"}};
    assert_int_equal(id->id.extension_count, 4);
    for (size_t i = 0; i < 4; i++) {
        assert_string_equal(id->id.extensions[i].oid, expected[i].oid);
        assert_string_equal(id->id.extensions[i].value, expected[i].value);
    }
    real_identity_free(id);
    for (int i = 0; i < WORLD_EXTENSIONS_MAX; i++) {
        add_raw(cert, "1.3.6.1.4.1.34380.1.1.2", "x", 1);
    }
    id = real_identity_new(cert);
    assert_int_equal(id->id.extension_count, WORLD_EXTENSIONS_MAX);
    real_identity_free(id);
    X509_free(cert);
    const struct world_extension wrong = {"no oid", "x"};
    what.extensions = &wrong;
    what.extension_count = 1;
    assert_null(certs_issue(ca, &what, certs_ca_key(ca), &err));
    assert_string_equal(err.kind, "certs/name");
    error_clear(&err);
    certs_ca_free(ca);
}

static void directory(void **state) {
    struct bench *b = *state;
    struct certs_ca *ca = open_dir(b, "ca", CERTS_KEY_EC_P256);
    assert_int_equal(mode_of(bench_path(b, "ca/ca.key")), 0600);
    assert_int_equal(mode_of(bench_path(b, "ca/ca.pem")), 0644);
    const char *names[] = {"agent1.example.com", "puppet", NULL}, *ips[] = {"127.0.0.1", "::1", NULL};
    struct certs_paths paths;
    struct certs_issue what = {
        .common_name = SPAN("agent1.example.com"), .dns_names = names, .ip_addresses = ips, .now_ms = b->now_ms};
    struct error err = ERROR_INIT;
    assert_true(certs_dir_issue(ca, bench_path(b, "ca"), &what, &paths, &err));
    assert_string_equal(paths.cert, bench_path(b, "ca/certs/agent1.example.com.pem"));
    assert_string_equal(paths.key, bench_path(b, "ca/certs/agent1.example.com.key"));
    assert_int_equal(mode_of(paths.key), 0600);
    /* usable by a TLS context, trusted by the CA it came from */
    struct world_tls_files f = {
        .cert = paths.cert, .key = paths.key, .ca = bench_path(b, "ca/ca.pem"), .crl = bench_path(b, "ca/crl.pem")};
    struct world_tls *tls = bench_tls(b, &f);
    const struct world_identity *id = world_tls_self(tls);
    assert_string_equal(id->common_name, "agent1.example.com");
    assert_int_equal(id->alt_name_count, 4);
    assert_string_equal(id->alt_names[3], "::1");
    assert_true(world_tls_still_good(tls, id));
    /* revoked by another program that opened the directory */
    struct certs_ca *other = open_dir(b, "ca", CERTS_KEY_RSA_2048); /* exists: the option counts for a new one only */
    assert_int_equal(EVP_PKEY_get_base_id(certs_ca_key(other)), EVP_PKEY_EC);
    assert_int_equal(X509_cmp(certs_ca_cert(ca), certs_ca_cert(other)), 0);
    assert_true(certs_dir_revoke(other, bench_path(b, "ca"), "agent1.example.com", b->now_ms, &err));
    assert_true(world_tls_reload(tls, &err));
    assert_false(world_tls_still_good(tls, world_tls_self(tls)));
    /* the first one's list does not forget it */
    assert_true(certs_dir_write_crl(ca, bench_path(b, "ca"), b->now_ms, &err));
    assert_true(world_tls_reload(tls, &err));
    assert_false(world_tls_still_good(tls, world_tls_self(tls)));
    certs_paths_free(&paths);
    world_tls_free(tls);
    certs_ca_free(ca);
    certs_ca_free(other);
}

static void serials_never_repeat(void **state) {
    struct bench *b = *state;
    struct certs_ca *one = open_dir(b, "ca", CERTS_KEY_EC_P256), *two = open_dir(b, "ca", CERTS_KEY_EC_P256);
    uint64_t seen[6] = {0};
    for (size_t i = 0; i < 6; i++) {
        struct certs_paths p;
        struct certs_issue what = {.common_name = SPAN("a"), .now_ms = b->now_ms};
        assert_true(certs_dir_issue(i % 2 != 0 ? one : two, bench_path(b, "ca"), &what, &p, NULL));
        X509 *cert = load(p.cert);
        assert_int_equal(ASN1_INTEGER_get_uint64(&seen[i], X509_get0_serialNumber(cert)), 1);
        assert_true(i == 0 || seen[i] > seen[i - 1]);
        X509_free(cert);
        certs_paths_free(&p);
    }
    certs_ca_free(one);
    certs_ca_free(two);
}

static void rsa(void **state) {
    struct bench *b = *state;
    struct certs_ca *ca = open_dir(b, "rsa", CERTS_KEY_RSA_2048);
    struct certs_paths p;
    struct certs_issue what = {.common_name = SPAN("x"), .now_ms = b->now_ms};
    assert_true(certs_dir_issue(ca, bench_path(b, "rsa"), &what, &p, NULL));
    X509 *cert = load(p.cert);
    assert_int_equal(EVP_PKEY_get_base_id(X509_get0_pubkey(cert)), EVP_PKEY_RSA);
    assert_int_equal(X509_verify(cert, certs_ca_key(ca)), 1);
    X509_free(cert);
    certs_paths_free(&p);
    certs_ca_free(ca);
}

static void bad_names(void **state) {
    struct bench *b = *state;
    struct certs_ca *ca = open_dir(b, "ca", CERTS_KEY_EC_P256);
    char long_name[300];
    memset(long_name, 'a', sizeof(long_name));
    struct span names[] = {SPAN(""),    SPAN("../x"),     SPAN("a/b"),
                           SPAN(".x"),  SPAN("-x"),       SPAN("a\0b"),
                           SPAN("a b"), SPAN("\xc3\xa4"), span_bytes(long_name, sizeof(long_name))};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct error err = ERROR_INIT;
        struct certs_paths p;
        struct certs_issue what = {.common_name = names[i], .now_ms = b->now_ms};
        assert_false(certs_dir_issue(ca, bench_path(b, "ca"), &what, &p, &err));
        assert_string_equal(err.kind, "certs/name");
        error_clear(&err);
    }
    struct error err = ERROR_INIT;
    assert_false(certs_dir_revoke(ca, bench_path(b, "ca"), "../ca", b->now_ms, &err));
    assert_string_equal(err.kind, "certs/name");
    error_clear(&err);
    assert_false(certs_dir_revoke(ca, bench_path(b, "ca"), "nobody", b->now_ms, &err));
    assert_string_equal(err.kind, "certs/file");
    error_clear(&err);
    const char *ips[] = {"300.1.1.1", NULL};
    struct certs_issue what = {.common_name = SPAN("x"), .ip_addresses = ips, .now_ms = b->now_ms};
    struct certs_paths p;
    assert_false(certs_dir_issue(ca, bench_path(b, "ca"), &what, &p, &err));
    assert_string_equal(err.kind, "certs/name");
    assert_non_null(strstr(err.msg, "300.1.1.1"));
    error_clear(&err);
    certs_ca_free(ca);
}

static void expect_open_fails(struct bench *b, const char *dir, const char *text) {
    struct error err = ERROR_INIT;
    assert_null(certs_dir_open(bench_path(b, dir), &(struct certs_ca_opts){.now_ms = b->now_ms}, &err));
    assert_string_equal(err.kind, "certs/file");
    if (strstr(err.msg, text) == NULL) {
        fail_msg("%s", err.msg);
    }
    error_clear(&err);
}

static void damaged_directory(void **state) {
    struct bench *b = *state;
    expect_open_fails(b, "no/such/parent", "no/such/parent");
    bench_write(b, "file", "x");
    expect_open_fails(b, "file", "file");
    certs_ca_free(open_dir(b, "ca", CERTS_KEY_EC_P256));
    certs_ca_free(open_dir(b, "ca2", CERTS_KEY_EC_P256));
    struct error err = ERROR_INIT;
    bench_write(b, "ca/serial", "many\n");
    expect_open_fails(b, "ca", "serial");
    bench_write(b, "ca/serial", "7\n");
    bench_write(b, "ca/crl.pem", "");
    expect_open_fails(b, "ca", "crl.pem");
    assert_true(world_file_remove(b->w, bench_path(b, "ca/crl.pem"), false, &err));
    certs_ca_free(open_dir(b, "ca", CERTS_KEY_EC_P256));
    assert_true(world_file_rename(b->w, bench_path(b, "ca2/ca.key"), bench_path(b, "ca/ca.key"), &err));
    expect_open_fails(b, "ca", "is not the key of");
    bench_write(b, "ca/ca.key", "nothing");
    expect_open_fails(b, "ca", "ca.key");
    bench_write(b, "ca/ca.pem", "nothing");
    expect_open_fails(b, "ca", "ca.pem");
}

static void minted(void **state) {
    struct bench *b = *state;
    EVP_PKEY *key = certs_key_new(CERTS_KEY_EC_P256);
    struct real_credential *a = certs_mint(b->ca, "agent-000001", key, b->now_ms, NULL);
    struct real_credential *c = certs_mint(b->ca, "agent-000002", key, b->now_ms, NULL);
    X509 *x = real_credential_cert(a), *y = real_credential_cert(c);
    assert_int_equal(X509_verify(x, certs_ca_key(b->ca)), 1);
    assert_int_equal(X509_check_host(x, "agent-000001", 0, 0, NULL), 1);
    assert_int_not_equal(ASN1_INTEGER_cmp(X509_get0_serialNumber(x), X509_get0_serialNumber(y)), 0);
    assert_ptr_equal(real_credential_key(a), key);
    assert_int_equal(X509_check_private_key(x, key), 1);
    /* in all but serial and signature the same as one that is issued */
    const char *names[] = {"agent-000001", NULL};
    struct certs_issue what = {.common_name = SPAN("agent-000001"), .dns_names = names, .now_ms = b->now_ms};
    X509 *issued = certs_issue(b->ca, &what, key, NULL);
    assert_int_equal(X509_NAME_cmp(X509_get_subject_name(x), X509_get_subject_name(issued)), 0);
    assert_int_equal(X509_NAME_cmp(X509_get_issuer_name(x), X509_get_issuer_name(issued)), 0);
    assert_int_equal(ASN1_TIME_compare(X509_get0_notBefore(x), X509_get0_notBefore(issued)), 0);
    assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(x), X509_get0_notAfter(issued)), 0);
    assert_int_equal(X509_get_version(x), X509_VERSION_3);
    assert_int_equal(X509_get_ext_count(x), X509_get_ext_count(issued));
    for (int i = 0; i < X509_get_ext_count(x); i++) {
        X509_EXTENSION *one = X509_get_ext(x, i), *other = X509_get_ext(issued, i);
        assert_int_equal(OBJ_cmp(X509_EXTENSION_get_object(one), X509_EXTENSION_get_object(other)), 0);
        assert_int_equal(X509_EXTENSION_get_critical(one), X509_EXTENSION_get_critical(other));
        assert_int_equal(ASN1_OCTET_STRING_cmp(X509_EXTENSION_get_data(one), X509_EXTENSION_get_data(other)), 0);
    }
    X509_free(issued);
    /* names of all lengths up to the limit, so every length of DER */
    char name[CERTS_NAME_MAX + 2];
    for (size_t len = 1; len <= CERTS_NAME_MAX; len++) {
        memset(name, 'n', len);
        name[len] = '\0';
        struct real_credential *one = certs_mint(b->ca, name, key, b->now_ms, NULL);
        X509 *cert = real_credential_cert(one);
        assert_int_equal(X509_verify(cert, certs_ca_key(b->ca)), 1);
        assert_int_equal(X509_check_host(cert, name, 0, 0, NULL), 1);
        X509_free(cert);
        real_credential_free(one);
    }
    struct error err = ERROR_INIT;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    assert_null(certs_mint(b->ca, name, key, b->now_ms, &err));
    assert_string_equal(err.kind, "certs/name");
    error_clear(&err);
    assert_null(certs_mint(b->ca, "", key, b->now_ms, NULL));
    /* another key, another hour, an RSA CA */
    EVP_PKEY *second = certs_key_new(CERTS_KEY_EC_P256);
    struct real_credential *d = certs_mint(b->ca, "later", second, b->now_ms + 7200000, NULL);
    X509 *z = real_credential_cert(d);
    assert_int_equal(X509_check_private_key(z, second), 1);
    assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(z), X509_get0_notAfter(x)), 1);
    X509_free(z);
    real_credential_free(d);
    struct certs_ca *rsa_ca = certs_ca_new(&(struct certs_ca_opts){.key = CERTS_KEY_RSA_2048, .now_ms = b->now_ms});
    d = certs_mint(rsa_ca, "by-rsa", second, b->now_ms, NULL);
    z = real_credential_cert(d);
    assert_int_equal(X509_verify(z, certs_ca_key(rsa_ca)), 1);
    X509_free(z);
    real_credential_free(d);
    certs_ca_free(rsa_ca);
    EVP_PKEY_free(second);
    X509_free(x);
    X509_free(y);
    struct real_credential *again = real_credential_ref(a);
    real_credential_free(a);
    real_credential_free(again);
    real_credential_free(c);
    real_credential_free(NULL);
    EVP_PKEY_free(key);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(directory),
        CASE(extensions_of_puppet),
        CASE(serials_never_repeat),
        CASE(rsa),
        CASE(bad_names),
        CASE(damaged_directory),
        CASE(minted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
