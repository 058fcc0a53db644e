/* The file bucket, and what the certificate authority tells of itself. */
#include "base/digest.h"
#include "base/mem.h"
#include "code.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ENV "?environment=production"
#define BUCKET "/puppet/v3/file_bucket_file/"
#define HELLO "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824" /* SHA-256 of "hello" */
#define OTHER "d9298a10d1b0735837dc4bd85dac641b0f3cef27a47e5d53a54f2f3f5b2fcffa" /* and of "other" */

static int set_up(void **state) {
    struct code_bench *b = mem_zalloc(sizeof *b);
    code_open(b, "{'ca': {'certificate': '/ca.pem', 'crl': '/crl.pem'}}");
    *state = b;
    return 0;
}

static int tear_down(void **state) {
    code_close(*state);
    mem_free(*state);
    return 0;
}

static struct reply put(struct code_bench *b, const char *key, const char *type, struct span body) {
    char *path = str_printf(BUCKET "%s", key);
    struct reply reply = rig_ask(&b->rig, &(struct ask){.method = "PUT",
                                                        .path = path,
                                                        .cn = "node1",
                                                        .content_type = type,
                                                        .body = body.ptr,
                                                        .body_len = body.len});
    mem_free(path);
    return reply;
}

static void must_put(struct code_bench *b, const char *key, struct span body) {
    struct reply reply = put(b, key, "application/octet-stream", body);
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.len, 0);
    assert_string_equal(reply_header(&reply, "content-type"), "application/octet-stream");
    reply_clear(&reply);
}

/* The content, or NULL when it is not there; HEAD says the same. */
static void expect(struct code_bench *b, const char *key, const char *content) {
    char *path = str_printf(BUCKET "%s", key);
    struct reply reply = rig_ask(&b->rig, &(struct ask){.path = path, .cn = "node2"});
    struct reply head = rig_ask(&b->rig, &(struct ask){.method = "HEAD", .path = path, .cn = "node2"});
    assert_int_equal(reply.status, content != NULL ? 200 : 404);
    assert_int_equal(head.status, reply.status);
    assert_int_equal(head.body.len, 0);
    if (content != NULL) {
        assert_int_equal(reply.body.len, strlen(content));
        assert_true(span_eq_cstr(buf_span(&reply.body), content));
    }
    reply_clear(&reply);
    reply_clear(&head);
    mem_free(path);
}

static void contents_are_kept_by_their_digest(void **state) {
    struct code_bench *b = *state;
    expect(b, "sha256/" HELLO ENV, NULL);
    must_put(b, "sha256/" HELLO ENV, SPAN("hello"));
    must_put(b, "sha256/" HELLO "/etc/one" ENV, SPAN("hello"));
    must_put(b, "sha256/" HELLO "/etc/other" ENV, SPAN("other")); /* whatever the request says */
    expect(b, "sha256/" HELLO ENV, "hello");
    expect(b, "sha256/" HELLO "/etc/one" ENV, "hello");
    expect(b, "sha256/" HELLO "/etc/two" ENV, NULL);
    expect(b, "sha256/" HELLO "/etc/other" ENV, NULL);
    expect(b, "sha256/" OTHER "/etc/other" ENV, "other");
    json_decref(rig_json(&b->rig, &(struct ask){.method = "POST", .path = "/_fake/reset"}, 204));
    expect(b, "sha256/" HELLO ENV, NULL);
}

static void odd_requests_are_refused(void **state) {
    struct code_bench *b = *state;
    must_put(b, "sha256/" HELLO ENV, SPAN("hello"));
    static const struct {
        const char *key;
        int status;
        const char *message;
    } cases[] = {
        {ENV, 400, "Bad Request: No request key specified in /puppet/v3/file_bucket_file/"},
        {"sha256/" HELLO, 400, "Bad Request: An environment parameter must be specified"},
        {"sha256/" HELLO "?environment=nosuch", 404, "Not Found: Could not find environment 'nosuch'"},
        {"sha256" ENV, 500, "Server Error: Invalid checksum nil"},
        {"sha256/xyz" ENV, 500, "Server Error: Invalid checksum \"xyz\""},
        {"md5/5d41402abc4b2a76b9719d911017c592" ENV, 500, "Server Error: Unsupported checksum type \"md5\""},
        {"sha256/" HELLO ENV "&list_all=true", 500, "Server Error: Listing remote file buckets is not allowed"},
        {"sha256/" OTHER ENV, 404, "Not Found: Could not find file_bucket_file sha256/" OTHER},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *path = str_printf(BUCKET "%s", cases[i].key);
        json_t *o = code_get(b, path, cases[i].status);
        assert_string_equal(json_str(o, "message"), cases[i].message);
        json_decref(o);
        mem_free(path);
    }
    struct reply reply = put(b, "sha256/" HELLO ENV, "text/plain", SPAN("x"));
    assert_int_equal(reply.status, 415);
    reply_clear(&reply);
    reply = put(b, "sha256/xyz" ENV, "application/octet-stream", SPAN("x"));
    assert_int_equal(reply.status, 500);
    reply_clear(&reply);
    json_t *none = rig_json(
        &b->rig, &(struct ask){.path = BUCKET "sha256/" HELLO ENV, .cn = "node1", .accept = "application/json"}, 406);
    assert_string_equal(json_str(none, "issue_kind"), "UNSUPPORTED_FORMAT");
    json_decref(none);
    json_t *diff = code_get(b, BUCKET "sha256/" HELLO ENV "&diff_with=" OTHER, 501);
    assert_string_equal(json_str(diff, "kind"), "dalang/not-implemented");
    json_decref(diff);
}

static void the_bucket_has_an_end(void **state) {
    struct code_bench *b = *state;
    size_t len = 40 * 1024 * 1024;
    char *big = mem_zalloc(len + 1);
    for (int c = 'a'; c <= 'b'; c++) {
        char hex[SHA256_HEX_LEN + 1];
        memset(big, c, len);
        sha256_hex(span_bytes(big, len), hex);
        char *key = str_printf("sha256/%s" ENV, hex);
        struct reply reply = put(b, key, "application/octet-stream", span_bytes(big, len));
        assert_int_equal(reply.status, c == 'a' ? 200 : 500);
        reply_clear(&reply);
        mem_free(key);
    }
    mem_free(big);
    must_put(b, "sha256/" HELLO ENV, SPAN("hello"));
}

/* Two certificates and a list of our own making, whose keys nobody has. */
static const char certificates[] = "-----BEGIN CERTIFICATE-----\n"
                                   "MIIBHjCBxaADAgECAgEBMAoGCCqGSM49BAMCMBkxFzAVBgNVBAMMDlB1cHBldCBD\n"
                                   "QTogb25lMB4XDTIwMDEwMTAwMDAwMFoXDTM2MDEwMjAzMDQwNVowGTEXMBUGA1UE\n"
                                   "AwwOUHVwcGV0IENBOiBvbmUwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAR83hV6\n"
                                   "F7ra2w0cIwdkjT9M67J+U9O0TdTftukMdgVT61WC+4WImDqzCNysp0RwCNtXzYtn\n"
                                   "WlaTsof7gsmb9uGKMAoGCCqGSM49BAMCA0gAMEUCIEanvUU64wXYd9sdc4h6AvwY\n"
                                   "8OBR6pwLpzmbyaBtPXX1AiEA/ULcXUMHXZL87sZhHyHPUfMj/6eoUQbEok7fcqzd\n"
                                   "epk=\n"
                                   "-----END CERTIFICATE-----\n"
                                   "-----BEGIN CERTIFICATE-----\n"
                                   "MIIBKTCB0aADAgECAgEBMAoGCCqGSM49BAMCMB4xHDAaBgNVBAMME1B1cHBldCBS\n"
                                   "b290IENBOiB0d28wIBcNMjAwMTAxMDAwMDAwWhgPMjA1MTA2MDcwODA5MTBaMB4x\n"
                                   "HDAaBgNVBAMME1B1cHBldCBSb290IENBOiB0d28wWTATBgcqhkjOPQIBBggqhkjO\n"
                                   "PQMBBwNCAASKna/+BSEuS2FYYkxoliH+PMypjtskB/deBLhm76KMQBqlsfLd+r9T\n"
                                   "K+RE0FpblhuedwDGA8fnROlVwCY/GIxTMAoGCCqGSM49BAMCA0cAMEQCIFCw3ONT\n"
                                   "d6XJVd2WapIJSr25dorljtl2brZwYBeT5VjNAiB85e7gkNCeyQjjz1jKxB/+1691\n"
                                   "buYe4vIOVAUG7ZUu4Q==\n"
                                   "-----END CERTIFICATE-----\n";
static const char list[] = "-----BEGIN X509 CRL-----\n"
                           "MIGgMEgCAQEwCgYIKoZIzj0EAwIwGTEXMBUGA1UEAwwOUHVwcGV0IENBOiBvbmUX\n"
                           "DTIwMDEwMTAwMDAwMFoXDTMxMDIwMzA0MDUwNlowCgYIKoZIzj0EAwIDSAAwRQIh\n"
                           "AJyXWbqZtaIoqQhObafe3GdwhkM2axdnywxPyoHoaliAAiA1J0tl97Mx1jwXzdzb\n"
                           "V82X4p9VP7UwtCJ9ef8QEQqltw==\n"
                           "-----END X509 CRL-----\n";

static void write_file(struct code_bench *b, const char *path, const char *text) {
    assert_true(world_file_write(b->rig.server, path, span_of(text), 0644, WORLD_WRITE_PLAIN, NULL));
}

static void the_authority_tells_when_it_ends(void **state) {
    struct code_bench *b = *state;
    assert_json(code_get(b, "/puppet-ca/v1/expirations", 200), quoted("{'ca-certs': {}, 'crls': {}}"));
    write_file(b, "/ca.pem", "-----BEGIN CERTIFICATE-----\nnone\n");
    write_file(b, "/crl.pem", "");
    assert_json(code_get(b, "/puppet-ca/v1/expirations", 200), quoted("{'ca-certs': {}, 'crls': {}}"));
    write_file(b, "/ca.pem", certificates);
    write_file(b, "/crl.pem", list);
    assert_json(code_get(b, "/puppet-ca/v1/expirations", 200),
                quoted("{'ca-certs': {'Puppet CA: one': '2036-01-02T03:04:05UTC', 'Puppet Root CA: two': "
                       "'2051-06-07T08:09:10UTC'}, 'crls': {'Puppet CA: one': '2031-02-03T04:05:06UTC'}}"));
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
    const struct CMUnitTest tests[] = {
        T(contents_are_kept_by_their_digest),
        T(odd_requests_are_refused),
        T(the_bucket_has_an_end),
        T(the_authority_tells_when_it_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
