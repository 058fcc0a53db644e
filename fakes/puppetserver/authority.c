/* The little of the certificate authority that anybody may read (puppetserver.md §21). Certificates come from files
 * named in the configuration: "ca": {"certificate": PATH, "crl": PATH}. Signing is the business of `dalang certs`. */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <openssl/err.h>
#include <openssl/pem.h>
#include <string.h>
#include <time.h>

enum { PEM_MAX = 4 * 1024 * 1024 };

static void send_pem(struct ps_request *r, const char *key, const char *what) {
    const char *path = json_str(json_object_get(r->ps->config, "ca"), key);
    struct buf text = BUF_INIT;
    if (path != NULL && world_file_read(r->ps->base.world, path, PEM_MAX, &text, NULL)) {
        ps_plain(r, 200, "text/plain", "%s", text.ptr != NULL ? text.ptr : "");
    } else {
        ps_plain(r, 404, "text/plain", "Could not find %s %s", what, r->params[0]);
    }
    buf_free(&text);
}

void ps_ca_certificate(struct ps_request *r) {
    if (strcmp(r->params[0], "ca") == 0) {
        send_pem(r, "certificate", "certificate");
    } else {
        ps_plain(r, 404, "text/plain", "Could not find certificate %s", r->params[0]);
    }
}

void ps_ca_crl(struct ps_request *r) {
    send_pem(r, "crl", "certificate_revocation_list");
}

void ps_ca_request(struct ps_request *r) {
    ps_plain(r, 404, "text/plain", "Could not find certificate_request %s", r->params[0]);
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
