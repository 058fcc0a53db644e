/* The little of the certificate authority that anybody may read (puppetserver.md §21). Certificates come from files
 * named in the configuration: "ca": {"certificate": PATH, "crl": PATH}. Signing is the business of `dalang certs`. */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <string.h>

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
