/* PCP URIs and message identifiers. */
#include "pcp/uri.h"

#include "base/mem.h"
#include <string.h>

static const char scheme[] = "pcp://";
enum { SCHEME_LEN = sizeof scheme - 1, ID_LEN_MAX = 36, ID_GROUPS = 5 };

bool pcp_uri_parse(struct span text, struct pcp_uri *out) {
    if (text.len < SCHEME_LEN || memcmp(text.ptr, scheme, SCHEME_LEN) != 0) {
        return false;
    }
    const char *name = text.ptr + SCHEME_LEN;
    size_t rest = text.len - SCHEME_LEN;
    const char *slash = rest != 0 ? memchr(name, '/', rest) : NULL;
    if (slash == NULL) {
        return false;
    }
    struct span type = {slash + 1, rest - (size_t)(slash - name) - 1};
    if (type.len == 0 || memchr(type.ptr, '/', type.len) != NULL) {
        return false;
    }
    if (out != NULL) {
        *out = (struct pcp_uri){.name = {name, (size_t)(slash - name)}, .type = type};
    }
    return true;
}

static bool is_star(struct span s) {
    return s.len == 1 && s.ptr[0] == '*';
}

bool pcp_uri_is_wildcard(struct span uri) {
    struct pcp_uri u;
    return pcp_uri_parse(uri, &u) && (is_star(u.name) || is_star(u.type));
}

bool pcp_uri_matches(struct span pattern, struct span uri) {
    struct pcp_uri p, u;
    return pcp_uri_parse(pattern, &p) && pcp_uri_parse(uri, &u) && (is_star(p.name) || span_eq(p.name, u.name)) &&
           (is_star(p.type) || span_eq(p.type, u.type));
}

char *pcp_uri_new(struct span name, struct span type) {
    struct buf b = BUF_INIT;
    buf_reserve(&b, SCHEME_LEN + name.len + 1 + type.len);
    buf_append(&b, scheme, SCHEME_LEN);
    buf_append_span(&b, name);
    buf_append_char(&b, '/');
    buf_append_span(&b, type);
    return buf_take(&b);
}

bool pcp_uri_has_name(struct span uri, struct span name) {
    return uri.len > SCHEME_LEN + name.len && uri.ptr[SCHEME_LEN + name.len] == '/' &&
           (name.len == 0 || memcmp(uri.ptr + SCHEME_LEN, name.ptr, name.len) == 0);
}

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool pcp_id_valid(struct span id) {
    if (id.len > ID_LEN_MAX) {
        return false;
    }
    size_t groups = 0, digits = 0;
    for (size_t i = 0; i < id.len; i++) {
        if (is_hex(id.ptr[i])) {
            groups += digits++ == 0;
        } else if (id.ptr[i] == '-' && digits != 0) {
            digits = 0;
        } else {
            return false;
        }
    }
    return groups == ID_GROUPS && digits != 0;
}
