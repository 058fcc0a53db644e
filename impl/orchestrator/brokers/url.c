/* wss://host[:port][/path] */
#include "base/url.h"
#include "base/mem.h"
#include "orchestrator/brokers/internal.h"

#include <string.h>

enum { BROKER_PORT = 8142, WSS_PORT = 443 };
#define DEFAULT_TYPE "controller"

/* Our client type is the last segment of the path; a broker's bare endpoint gets the default one. */
static void set_path(struct broker *k, const char *path) {
    if (strcmp(path, "/") == 0) {
        path = "/pcp2/";
    }
    size_t len = strlen(path);
    bool bare = path[len - 1] == '/';
    if (strcmp(path, "/pcp2") == 0) {
        k->path = str_dup("/pcp2/" DEFAULT_TYPE);
    } else {
        k->path = str_printf("%s%s", path, bare ? DEFAULT_TYPE : "");
    }
    k->type = str_dup(strrchr(k->path, '/') + 1);
}

bool broker_url_parse(const char *url, struct broker *out, struct error *err) {
    struct url u;
    if (!url_parse(url, &u, err)) {
        return error_set(err, "configuration", "pcp-broker-urls: %s", err != NULL ? err->msg : "malformed");
    }
    bool ok = strcmp(u.scheme, "wss") == 0;
    if (ok) {
        bool given = strstr(url, ":443") != NULL;
        out->host = str_dup(u.host);
        out->port = u.port == WSS_PORT && !given ? BROKER_PORT : u.port;
        set_path(out, u.target);
    } else {
        error_set(err, "configuration", "pcp-broker-urls: \"%s\" must begin with wss://", url);
    }
    url_free(&u);
    return ok;
}
