/* The certificate authority as agents see it (puppetserver.md §21): its certificate and revocation list come from files
 * named in the configuration ("ca": {"certificate": PATH, "crl": PATH}); requests are signed at once by whoever hosts
 * us, or wait, as without autosigning. */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

enum {
    PEM_MAX = 4 * 1024 * 1024,
    REQUEST_MAX = 64 * 1024, /* bytes of a certificate request */
    REQUESTS_MAX = 10000,    /* names that have asked for a certificate */
};

static const char plain[] = "text/plain", plain_utf8[] = "text/plain;charset=utf-8";

static void send_text(struct ps_request *r, const json_t *text, const char *what) {
    if (text != NULL) {
        ps_plain(r, 200, plain, "%s", json_string_value(text));
    } else {
        ps_plain(r, 404, plain, "Could not find %s %s", what, r->params[0]);
    }
}

static void send_pem(struct ps_request *r, const char *key, const char *what) {
    const char *path = json_str(json_object_get(r->ps->config, "ca"), key);
    struct buf text = BUF_INIT;
    json_t *value = NULL;
    if (path != NULL && world_file_read(r->ps->base.world, path, PEM_MAX, &text, NULL)) {
        value = json_stringn_nocheck(text.ptr != NULL ? text.ptr : "", text.len);
    }
    send_text(r, value, what);
    json_decref(value);
    buf_free(&text);
}

void ps_ca_certificate(struct ps_request *r) {
    if (strcmp(r->params[0], "ca") == 0) {
        send_pem(r, "certificate", "certificate");
    } else {
        send_text(r, json_object_get(r->ps->certificates, r->params[0]), "certificate");
    }
}

void ps_ca_crl(struct ps_request *r) {
    send_pem(r, "crl", "certificate_revocation_list");
}

/* ---- requests for certificates */

void ps_ca_request(struct ps_request *r) {
    send_text(r, json_object_get(r->ps->certificate_requests, r->params[0]), "certificate_request");
}

/* May it stand in a certificate for this name? False after setting err, with the server's words. */
static bool subject_good(const char *subject, const char *name, struct error *err) {
    size_t len = strlen(subject);
    if (strcmp(subject, name) != 0) {
        return error_set(err, "request", "Instance name \"%s\" does not match requested key \"%s\"", subject, name);
    }
    if (strpbrk(subject, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL) {
        return error_set(err, "request", "Certificate names must be lower case.");
    }
    bool first = strchr("abcdefghijklmnopqrstuvwxyz0123456789_", subject[0]) != NULL;
    return (first && subject[len - 1] != '-') || error_set(err, "request", "Subject hostname format is invalid");
}

/* Certificates and requests that are there already stay. */
static bool is_new(const struct fake_puppetserver *ps, const char *subject, struct error *err) {
    const char *state = json_object_get(ps->certificates, subject) != NULL           ? "signed"
                        : json_object_get(ps->certificate_requests, subject) != NULL ? "requested"
                                                                                     : NULL;
    return state == NULL ||
           error_set(err, "request", "%s already has a %s certificate; ignoring certificate request", subject, state);
}

/* The certificate, when there is somebody who signs; false after setting err. */
static bool sign(struct fake_puppetserver *ps, const char *name, X509_REQ *request, struct error *err) {
    EVP_PKEY *key = X509_REQ_get0_pubkey(request);
    if (ps->sign == NULL) {
        return true;
    }
    if (key == NULL || X509_REQ_verify(request, key) != 1) {
        return error_set(err, "request", "CSR contains a public key that does not correspond to the signing key");
    }
    char *pem = ps->sign(ps->sign_ctx, name, key, err);
    if (pem != NULL) {
        json_set(ps->certificates, name, json_string(pem));
        json_object_del(ps->certificate_requests, name);
        log_info(ps->base.log, "signed the certificate of %s", name);
    }
    mem_free(pem);
    return pem != NULL;
}

static bool accept(struct ps_request *r, X509_REQ *request, struct span pem, struct error *err) {
    struct fake_puppetserver *ps = r->ps;
    char subject[256] = "";
    X509_NAME_get_text_by_NID(X509_REQ_get_subject_name(request), NID_commonName, subject, sizeof subject);
    if (!is_new(ps, subject, err) || !subject_good(subject, r->params[0], err)) {
        return false;
    }
    if (json_object_size(ps->certificate_requests) + json_object_size(ps->certificates) >= REQUESTS_MAX) {
        return error_set(err, "request", "the fake takes requests of %d names only", REQUESTS_MAX);
    }
    json_set(ps->certificate_requests, subject, json_stringn_nocheck(pem.ptr, pem.len));
    return sign(ps, subject, request, err);
}

void ps_ca_request_put(struct ps_request *r) {
    struct span body = http_request(r->ex)->body;
    struct error err = ERROR_INIT;
    BIO *in = body.len > 0 && body.len <= REQUEST_MAX ? BIO_new_mem_buf(body.ptr, (int)body.len) : NULL;
    X509_REQ *request = in != NULL ? PEM_read_bio_X509_REQ(in, NULL, NULL, NULL) : NULL;
    if (request == NULL) {
        ps_plain(r, 500, plain_utf8,
                 "Internal Server Error: java.lang.IllegalArgumentException: The PEM stream must "
                 "contain exactly one certificate request");
    } else if (accept(r, request, body, &err)) {
        ps_plain(r, 200, plain, "%s", "");
    } else {
        ps_plain(r, 400, plain_utf8, "%s", err.msg);
    }
    X509_REQ_free(request);
    BIO_free(in);
    ERR_clear_error();
    error_clear(&err);
}

/* ---- when they expire */

static void add_date(json_t *all, const X509_NAME *name, const ASN1_TIME *when) {
    char common_name[256];
    struct tm tm;
    if (X509_NAME_get_text_by_NID(name, NID_commonName, common_name, sizeof common_name) > 0 && when != NULL &&
        ASN1_TIME_to_tm(when, &tm) == 1) {
        json_object_set_new(all, common_name,
                            json_sprintf("%04d-%02d-%02dT%02d:%02d:%02dUTC", tm.tm_year + 1900, tm.tm_mon + 1,
                                         tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec));
    }
}

static BIO *open_pem(struct ps_request *r, const char *key, struct buf *text) {
    const char *path = json_str(json_object_get(r->ps->config, "ca"), key);
    if (path == NULL || !world_file_read(r->ps->base.world, path, PEM_MAX, text, NULL)) {
        return NULL;
    }
    return BIO_new_mem_buf(text->ptr, (int)text->len);
}

void ps_ca_expirations(struct ps_request *r) {
    json_t *certificates = json_object(), *lists = json_object();
    struct buf text = BUF_INIT, crl_text = BUF_INIT;
    BIO *in = open_pem(r, "certificate", &text), *crl_in = open_pem(r, "crl", &crl_text);
    for (X509 *x; in != NULL && (x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL; X509_free(x)) {
        add_date(certificates, X509_get_subject_name(x), X509_get0_notAfter(x));
    }
    for (X509_CRL *c; crl_in != NULL && (c = PEM_read_bio_X509_CRL(crl_in, NULL, NULL, NULL)) != NULL;
         X509_CRL_free(c)) {
        add_date(lists, X509_CRL_get_issuer(c), X509_CRL_get0_nextUpdate(c));
    }
    ERR_clear_error(); /* of the end of each */
    BIO_free(in);
    BIO_free(crl_in);
    buf_free(&text);
    buf_free(&crl_text);
    ps_json_as(r, 200, "application/json", json_pack("{s:o, s:o}", "ca-certs", certificates, "crls", lists));
}
