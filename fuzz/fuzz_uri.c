/* links: pcp base */
/* PCP URIs, identifiers and the access log. What is a URI can be taken apart and put together again; matching follows
 * from its two parts; whatever a message holds, its log line stays one line of the same number of fields. */
#include "base/mem.h"
#include "pcp/access_log.h"
#include "pcp/uri.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_uri(struct span text) {
    struct pcp_uri u, again;
    bool ok = pcp_uri_parse(text, &u);
    assert(ok == pcp_uri_parse(text, NULL));
    if (!ok) {
        return;
    }
    assert(span_starts_with(text, "pcp://"));
    if (span_has_nul(text)) {
        return; /* a URI as the reference sees it; no certificate has such a name, and rules deny it */
    }
    assert(u.name.ptr >= text.ptr && u.type.ptr + u.type.len == text.ptr + text.len);
    char *back = pcp_uri_new(u.name, u.type);
    assert(span_eq_cstr(text, back) && pcp_uri_parse(span_of(back), &again));
    assert(span_eq(u.name, again.name) && span_eq(u.type, again.type));
    assert(pcp_uri_has_name(text, u.name) && pcp_uri_matches(text, text));
    bool wild = span_eq_cstr(u.name, "*") || span_eq_cstr(u.type, "*");
    assert(pcp_uri_is_wildcard(text) == wild);
    char *all = pcp_uri_new(SPAN("*"), u.type), *of_name = pcp_uri_new(u.name, SPAN("*"));
    assert(pcp_uri_matches(span_of(all), text) && pcp_uri_matches(span_of(of_name), text));
    mem_free(all);
    mem_free(of_name);
    mem_free(back);
}

static void check_pair(struct span a, struct span b) {
    struct pcp_uri x, y;
    if (pcp_uri_parse(a, &x) && pcp_uri_parse(b, &y)) {
        bool name = span_eq_cstr(x.name, "*") || span_eq(x.name, y.name);
        bool type = span_eq_cstr(x.type, "*") || span_eq(x.type, y.type);
        assert(pcp_uri_matches(a, b) == (name && type));
        assert(pcp_uri_has_name(b, x.name) == span_eq(x.name, y.name));
    }
}

static size_t blanks(struct span s) {
    size_t count = 0;
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        assert(c >= ' ' && c != 0x7f);
        count += c == ' ';
    }
    return count;
}

static void check_log(struct span a, struct span b) {
    char *name = span_dup(a);
    struct pcp_message m = {.id = b, .message_type = a, .target = b, .sender = a};
    struct buf line = BUF_INIT, plain = BUF_INIT;
    struct pcp_access access = {
        .when_ms = 1, .outcome = PCP_AUTHORIZATION_SUCCESS, .remote = "r", .common_name = name, .message = &m};
    pcp_access_line(&line, &access);
    access.message = NULL;
    pcp_access_line(&plain, &access);
    assert(blanks(buf_span(&line)) == blanks(buf_span(&plain)));
    buf_free(&line);
    buf_free(&plain);
    mem_free(name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span rest = span_bytes(data, size), first = SPAN("");
    bool id = pcp_id_valid(rest);
    assert(!id || (rest.len <= 36 && !span_has_nul(rest)));
    check_uri(rest);
    if (span_split(&rest, '\n', &first)) {
        check_pair(first, rest);
        check_log(first, rest);
    }
    return 0;
}
