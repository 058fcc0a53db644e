/* URLs. */
#include "base/url.h"

#include "base/mem.h"
#include <string.h>

static const struct scheme {
    const char *name;
    uint16_t port;
    bool secure;
} schemes[] = {{"http", 80, false}, {"https", 443, true}, {"ws", 80, false}, {"wss", 443, true}};

enum { SCHEME_COUNT = sizeof(schemes) / sizeof(schemes[0]) };

static const struct scheme *take_scheme(struct span *rest) {
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        size_t len = strlen(schemes[i].name);
        struct span front = span_sub(*rest, 0, len);
        if (span_eq_nocase(front, schemes[i].name) && span_starts_with(span_sub(*rest, len, 3), "://")) {
            *rest = span_sub(*rest, len + 3, rest->len);
            return &schemes[i];
        }
    }
    return NULL;
}

static bool printable(struct span s) {
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.ptr[i] <= ' ' || (unsigned char)s.ptr[i] >= 0x7f) {
            return false;
        }
    }
    return true;
}

/* Splits "host", "host:port", "[v6]", "[v6]:port". */
static const char *take_host(struct span authority, struct url *out) {
    struct span host, after;
    if (span_starts_with(authority, "[")) {
        ptrdiff_t close = span_find(authority, ']');
        if (close < 0) {
            return "a '[' without ']'";
        }
        host = span_sub(authority, 1, (size_t)close - 1);
        after = span_sub(authority, (size_t)close + 1, authority.len);
        for (size_t i = 0; i < host.len; i++) {
            if (strchr("0123456789abcdefABCDEF:.", host.ptr[i]) == NULL) {
                return "a malformed IPv6 address";
            }
        }
        if (host.len != 0 && span_find(host, ':') < 0) {
            return "a malformed IPv6 address";
        }
    } else {
        ptrdiff_t colon = span_find(authority, ':');
        host = colon >= 0 ? span_sub(authority, 0, (size_t)colon) : authority;
        after = span_sub(authority, host.len, authority.len);
        for (size_t i = 0; i < host.len; i++) {
            if (strchr("<>\"\\^`{|}[]%", host.ptr[i]) != NULL) {
                return "a malformed host";
            }
        }
    }
    if (host.len == 0) {
        return "no host";
    }
    if (after.len != 0) {
        uint64_t port;
        if (after.ptr[0] != ':' || !span_to_u64(span_sub(after, 1, after.len), &port) || port == 0 || port > 65535) {
            return "a malformed port";
        }
        out->port = (uint16_t)port;
    }
    out->host = span_dup(host);
    return NULL;
}

static const char *parse(struct span rest, struct url *out) {
    const struct scheme *scheme = take_scheme(&rest);
    if (scheme == NULL) {
        return "a scheme that is not http, https, ws or wss";
    }
    if (!printable(rest)) {
        return "white space, control or non-ASCII characters";
    }
    if (span_find(rest, '#') >= 0) {
        return "a fragment";
    }
    *out = (struct url){.scheme = scheme->name, .secure = scheme->secure, .port = scheme->port};
    size_t end = 0;
    while (end < rest.len && rest.ptr[end] != '/' && rest.ptr[end] != '?') {
        end++;
    }
    struct span authority = span_sub(rest, 0, end), target = span_sub(rest, end, rest.len);
    if (span_find(authority, '@') >= 0) {
        return "a user name";
    }
    const char *wrong = take_host(authority, out);
    if (wrong == NULL) {
        struct buf text = BUF_INIT;
        if (!span_starts_with(target, "/")) {
            buf_append_char(&text, '/');
        }
        buf_append_span(&text, target);
        out->target = buf_take(&text);
    }
    return wrong;
}

bool url_parse(const char *text, struct url *out, struct error *err) {
    memset(out, 0, sizeof(*out));
    const char *wrong = parse(span_of(text), out);
    return wrong == NULL || error_set(err, "url/malformed", "the URL has %s", wrong);
}

void url_free(struct url *u) {
    mem_free(u->host);
    mem_free(u->target);
    memset(u, 0, sizeof(*u));
}

void url_authority(struct buf *out, const struct url *u) {
    bool v6 = strchr(u->host, ':') != NULL;
    buf_printf(out, v6 ? "[%s]" : "%s", u->host);
    for (size_t i = 0; i < SCHEME_COUNT; i++) {
        if (u->scheme == schemes[i].name && u->port != schemes[i].port) {
            buf_printf(out, ":%u", u->port);
        }
    }
}
