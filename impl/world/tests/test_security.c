/* What the real world promises about names in certificates, links on disks and core files. */
#include "world/tests/harness.h"

#include "world/real_tls.h"
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* The identity of a certificate whose subject has these common names, one after the other. */
static struct real_identity *identity_of(struct bench *b, const char *const *names, size_t count) {
    EVP_PKEY *key = certs_key_new(CERTS_KEY_EC_P256);
    X509 *cert = certs_issue(b->ca, &(struct certs_issue){.common_name = SPAN("x"), .now_ms = b->now_ms}, key, NULL);
    X509_NAME *subject = X509_NAME_new();
    for (size_t i = 0; i < count; i++) {
        X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)names[i], -1, -1, 0);
    }
    X509_set_subject_name(cert, subject);
    X509_sign(cert, certs_ca_key(b->ca), EVP_sha256());
    struct real_identity *id = real_identity_new(cert);
    X509_NAME_free(subject);
    X509_free(cert);
    EVP_PKEY_free(key);
    return id;
}

static void several_common_names_identify_nobody(void **state) {
    static const char *const names[] = {"agent1", "master"};
    struct real_identity *one = identity_of(*state, names, 1), *two = identity_of(*state, names, 2);
    assert_string_equal(one->id.common_name, "agent1");
    assert_null(two->id.common_name);
    real_identity_free(one);
    real_identity_free(two);
}

static void a_slash_in_a_name_stays_a_slash(void **state) {
    static const char *const names[] = {"agent1/controller"};
    struct real_identity *id = identity_of(*state, names, 1);
    assert_string_equal(id->id.common_name, "agent1/controller"); /* whole: who makes URIs of it must refuse it */
    real_identity_free(id);
}

/* Somebody has put a link where we are about to write. */
static void links_are_not_written_through(void **state) {
    struct bench *b = *state;
    struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;
    bench_write(b, "precious", "precious");
    const char *link_path = bench_path(b, "link");
    assert_int_equal(symlink(bench_path(b, "precious"), link_path), 0);
    assert_false(world_file_write(b->w, link_path, SPAN("evil"), 0600, WORLD_WRITE_NEW, &err));
    assert_true(error_is(&err, "world/exists"));
    assert_true(
        world_file_write(b->w, link_path, SPAN("ours"), 0600, WORLD_WRITE_ATOMIC, NULL)); /* replaces the link */
    struct stat st;
    assert_int_equal(lstat(link_path, &st), 0);
    assert_true(S_ISREG(st.st_mode));
    assert_true(world_file_read(b->w, bench_path(b, "precious"), 100, &text, NULL));
    assert_string_equal(text.ptr, "precious");
    buf_free(&text);
    error_clear(&err);
}

/* A tree that is removed does not take with it what a link in it points to. */
static void links_are_removed_not_followed(void **state) {
    struct bench *b = *state;
    struct world_stat st;
    assert_true(world_file_mkdir(b->w, bench_path(b, "outside"), 0700, false, NULL));
    bench_write(b, "outside/precious", "x");
    assert_true(world_file_mkdir(b->w, bench_path(b, "tree"), 0700, false, NULL));
    assert_int_equal(symlink(bench_path(b, "outside"), bench_path(b, "tree/link")), 0);
    assert_true(world_file_remove(b->w, bench_path(b, "tree"), true, NULL));
    assert_true(world_file_stat(b->w, bench_path(b, "outside/precious"), &st, NULL));
    assert_false(world_file_lstat(b->w, bench_path(b, "tree"), &st, NULL));
}

static void no_core_files(void **state) {
    (void)state;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        real_no_core_files();
        _exit(prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
#ifdef __SANITIZE_ADDRESS__
    assert_int_equal(WEXITSTATUS(status), 1);
#else
    assert_int_equal(WEXITSTATUS(status), 0);
#endif
}

static void secrets_of_connections_are_kept(void **state) {
    struct bench *b = *state;
    struct error err = ERROR_INIT;
    assert_true(real_keylog(b->w, NULL, &err)); /* nobody asked: nothing is written */
    assert_true(real_keylog(b->w, "", &err));
    assert_false(real_keylog(b->w, "/nowhere/keys", &err));
    assert_non_null(strstr(err.msg, "/nowhere/keys"));
    error_clear(&err);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(several_common_names_identify_nobody),
        CASE(a_slash_in_a_name_stays_a_slash),
        CASE(links_are_not_written_through),
        CASE(links_are_removed_not_followed),
        CASE(no_core_files),
        CASE(secrets_of_connections_are_kept),
    };
    mem_init_libraries();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
