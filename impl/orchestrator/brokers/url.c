/* wss://host[:port][/path] */
#include "base/mem.h"
#include "orchestrator/brokers/internal.h"

#include <string.h>

enum { BROKER_PORT = 8142 };
#define DEFAULT_TYPE "controller"

static bool bad(const char *url, struct error *err) {
    return error_set(err, "configuration", "pcp-broker-urls: \"%s\" is no address of the form wss://host:8142", url);
}

/* Splits "host:port", "[v6]:port" or either without a port. */
static bool split_authority(struct span authority, struct span *host, uint64_t *port) {
    struct span rest = {NULL, 0};
    if (authority.len != 0 && authority.ptr[0] == '[') {
        ptrdiff_t end = span_find(authority, ']');
        if (end < 0) {
            return false;
        }
        *host = span_sub(authority, 1, (size_t)end - 1);
        rest = span_sub(authority, (size_t)end + 1, authority.len);
    } else {
        ptrdiff_t colon = span_find(authority, ':');
        *host = colon < 0 ? authority : span_sub(authority, 0, (size_t)colon);
        rest = colon < 0 ? rest : span_sub(authority, (size_t)colon, authority.len);
    }
    *port = BROKER_PORT;
    if (rest.len != 0 && (rest.ptr[0] != ':' || !span_to_u64(span_sub(rest, 1, rest.len), port))) {
        return false;
    }
    return host->len != 0 && *port != 0 && *port <= UINT16_MAX;
}

/* Our client type is the last segment of the path; a broker's bare endpoint gets the default one. */
static void set_path(struct broker *k, struct span path) {
    if (path.len == 0 || span_eq_cstr(path, "/")) {
        path = SPAN("/pcp2/");
    }
    const char *slash = path.ptr[path.len - 1] == '/' ? "" : "/";
    bool bare = span_eq_cstr(path, "/pcp2") || *slash == '\0';
    k->path = bare ? str_printf("%.*s%s" DEFAULT_TYPE, (int)path.len, path.ptr, slash) : span_dup(path);
    k->type = str_dup(strrchr(k->path, '/') + 1);
}

bool broker_url_parse(const char *url, struct broker *out, struct error *err) {
    struct span rest = span_of(url);
    if (!span_starts_with(rest, "wss://")) {
        return bad(url, err);
    }
    rest = span_sub(rest, 6, rest.len);
    ptrdiff_t slash = span_find(rest, '/');
    struct span authority = slash < 0 ? rest : span_sub(rest, 0, (size_t)slash), host;
    uint64_t port;
    if (!split_authority(authority, &host, &port)) {
        return bad(url, err);
    }
    out->host = span_dup(host);
    out->port = (uint16_t)port;
    set_path(out, slash < 0 ? (struct span){NULL, 0} : span_sub(rest, (size_t)slash, rest.len));
    return true;
}
