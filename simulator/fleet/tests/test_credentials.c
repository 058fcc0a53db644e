/* Certificates of a fleet from a CA and from directories. */
#include "simulator/fleet/credentials.h"

#include "base/mem.h"
#include "world/memory_files.h"
#include "world/real.h"
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const int64_t NOW = 1800000000000;

struct rig {
    struct world *real;
    struct world world; /* its files are in memory */
    struct memory_store *store;
    struct certs_ca *ca;
};

static int start(void **state) {
    struct rig *rig = mem_zalloc(sizeof(*rig));
    rig->real = real_world_new(NULL);
    rig->world = *rig->real;
    rig->store = memory_store_new();
    memory_files_join(rig->store, &rig->world);
    rig->ca = certs_ca_new(&(struct certs_ca_opts){.now_ms = NOW});
    *state = rig;
    return 0;
}

static int stop(void **state) {
    struct rig *rig = *state;
    memory_files_leave(&rig->world);
    memory_store_free(rig->store);
    certs_ca_free(rig->ca);
    real_world_free(rig->real);
    mem_free(rig);
    return 0;
}

static void put(struct rig *rig, const char *path, const char *text) {
    char *dir = str_dup(path);
    *strrchr(dir, '/') = '\0';
    assert_true(world_file_mkdir(&rig->world, dir, 0755, true, NULL));
    assert_true(world_file_write(&rig->world, path, span_of(text), 0600, WORLD_WRITE_PLAIN, NULL));
    mem_free(dir);
}

/* A pair; key_of NULL: the certificate's own. */
static void put_pair(struct rig *rig, const char *cert_path, const char *key_path, const char *name) {
    EVP_PKEY *key = certs_key_new(CERTS_KEY_EC_P256);
    X509 *cert = certs_issue(rig->ca, &(struct certs_issue){.common_name = span_of(name), .now_ms = NOW}, key, NULL);
    char *cert_text = certs_pem_cert(cert), *key_text = certs_pem_key(key);
    put(rig, cert_path, cert_text);
    put(rig, key_path, key_text);
    mem_free(cert_text);
    mem_free_secret(key_text, strlen(key_text));
    X509_free(cert);
    EVP_PKEY_free(key);
}

static void assert_certificate_of(struct rig *rig, struct real_credential *c, const char *name) {
    assert_non_null(c);
    X509 *cert = real_credential_cert(c);
    char text[300];
    assert_true(X509_NAME_get_text_by_NID(X509_get_subject_name(cert), NID_commonName, text, sizeof(text)) > 0);
    assert_string_equal(text, name);
    assert_int_equal(X509_check_private_key(cert, real_credential_key(c)), 1);
    assert_int_equal(X509_verify(cert, certs_ca_key(rig->ca)), 1);
    X509_free(cert);
}

static void minted_ones_share_a_key_or_have_their_own(void **state) {
    struct rig *rig = *state;
    for (int own = 0; own < 2; own++) {
        struct credentials *c =
            credentials_new(&(struct credentials_opts){.world = &rig->world, .ca = rig->ca, .own_keys = own != 0});
        struct real_credential *a = credentials_for(c, "a.x", NULL), *b = credentials_for(c, "b.x", NULL);
        credentials_free(c);
        assert_certificate_of(rig, a, "a.x");
        assert_certificate_of(rig, b, "b.x");
        assert_int_equal(EVP_PKEY_eq(real_credential_key(a), real_credential_key(b)), own ? 0 : 1);
        real_credential_free(a);
        real_credential_free(b);
    }
}

static void each_layout_of_a_directory_is_found(void **state) {
    struct rig *rig = *state;
    put_pair(rig, "/ours/certs/a.x.pem", "/ours/certs/a.x.key", "a.x");
    put_pair(rig, "/puppet/certs/a.x.pem", "/puppet/private_keys/a.x.pem", "a.x");
    put(rig, "/puppet/certs/ca.pem", "a CA without its key");
    put_pair(rig, "/flat/a.x.pem", "/flat/a.x.key", "a.x");
    put_pair(rig, "/flat/b.x.pem", "/flat/b.x.key", "b.x");
    put(rig, "/flat/readme", "neither");
    static const struct {
        const char *dir;
        size_t count;
    } dirs[] = {{"/ours", 1}, {"/puppet", 1}, {"/flat", 2}};
    for (size_t i = 0; i < 3; i++) {
        struct credentials *c = credentials_new(&(struct credentials_opts){.world = &rig->world, .dir = dirs[i].dir});
        char **names;
        size_t count;
        assert_true(credentials_names(c, &names, &count, NULL));
        assert_int_equal(count, dirs[i].count);
        for (size_t k = 0; k < count; k++) {
            struct real_credential *one = credentials_for(c, names[k], NULL);
            assert_certificate_of(rig, one, names[k]);
            real_credential_free(one);
        }
        assert_string_equal(names[0], "a.x");
        world_names_free(names, count);
        credentials_free(c);
    }
}

static void mistakes_are_named(void **state) {
    struct rig *rig = *state;
    put_pair(rig, "/d/good.pem", "/d/good.key", "good");
    put_pair(rig, "/d/mixed.pem", "/d/other.key", "mixed");
    put_pair(rig, "/d/other.pem", "/d/mixed.key", "other");
    put_pair(rig, "/d/broken.pem", "/d/broken.key", "broken");
    put(rig, "/d/broken.pem", "no certificate");
    put_pair(rig, "/d/keyless.pem", "/d/keyless.key", "keyless");
    put(rig, "/d/keyless.key", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    static const struct {
        const char *name, *kind, *text;
    } cases[] = {
        {"absent", "certs/file", "/d has no certificate with a key for absent"},
        {"mixed", "certs/crypto", "/d/mixed.key is not the key of /d/mixed.pem"},
        {"broken", "certs/file", "/d/broken.pem holds no certificate"},
        {"keyless", "certs/file", "/d/keyless.key holds no private key"},
        {"../d/good", "certs/name", "is no name of a file"},
        {".good", "certs/name", "is no name of a file"},
        {"", "certs/name", "is no name of a file"},
    };
    struct credentials *c = credentials_new(&(struct credentials_opts){.world = &rig->world, .dir = "/d"});
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct error err = ERROR_INIT;
        assert_null(credentials_for(c, cases[i].name, &err));
        assert_true(error_is(&err, cases[i].kind));
        if (strstr(err.msg, cases[i].text) == NULL) {
            fail_msg("\"%s\" instead of \"%s\"", err.msg, cases[i].text);
        }
        error_clear(&err);
    }
    credentials_free(c);
    static const char *const empty[] = {"/nowhere", "/"};
    for (size_t i = 0; i < 2; i++) {
        struct error err = ERROR_INIT;
        char **names;
        size_t count;
        c = credentials_new(&(struct credentials_opts){.world = &rig->world, .dir = empty[i]});
        assert_false(credentials_names(c, &names, &count, &err));
        assert_true(error_is(&err, "certs/file"));
        error_clear(&err);
        credentials_free(c);
    }
}

static void a_name_too_long_is_refused(void **state) {
    struct rig *rig = *state;
    char name[CERTS_NAME_MAX + 2];
    memset(name, 'a', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    struct error err = ERROR_INIT;
    struct credentials *c = credentials_new(&(struct credentials_opts){.world = &rig->world, .ca = rig->ca});
    assert_null(credentials_for(c, name, &err));
    assert_true(error_is(&err, "certs/name"));
    error_clear(&err);
    credentials_free(c);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(minted_ones_share_a_key_or_have_their_own, start, stop),
        cmocka_unit_test_setup_teardown(each_layout_of_a_directory_is_found, start, stop),
        cmocka_unit_test_setup_teardown(mistakes_are_named, start, stop),
        cmocka_unit_test_setup_teardown(a_name_too_long_is_refused, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
