/* links: wire base */
/* URLs, percent-encoding, queries, routes and gzip. The first byte chooses; the rest is the text. */
#include "base/mem.h"
#include "base/url.h"
#include "wire/gzip.h"
#include "wire/percent.h"
#include "wire/route.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_url(const char *text) {
    struct url u, again;
    if (!url_parse(text, &u, NULL)) {
        url_free(&u);
        return;
    }
    struct buf back = BUF_INIT;
    buf_printf(&back, "%s://", u.scheme);
    url_authority(&back, &u);
    buf_append_cstr(&back, u.target);
    assert(u.port != 0 && u.host[0] != '\0' && u.target[0] == '/');
    assert(strpbrk(u.host, " #@/?\r\n") == NULL && strpbrk(u.target, " #\r\n") == NULL);
    assert(url_parse(back.ptr, &again, NULL));
    assert(str_eq(u.host, again.host) && u.port == again.port && str_eq(u.target, again.target) &&
           u.scheme == again.scheme && u.secure == again.secure);
    buf_free(&back);
    url_free(&u);
    url_free(&again);
}

static void check_percent(struct span text) {
    struct buf encoded = BUF_INIT, decoded = BUF_INIT;
    percent_encode(&encoded, text);
    assert(percent_decode(&decoded, buf_span(&encoded)) && span_eq(buf_span(&decoded), text));
    buf_clear(&decoded);
    query_decode(&decoded, buf_span(&encoded));
    assert(span_eq(buf_span(&decoded), text));
    buf_clear(&decoded);
    if (percent_decode(&decoded, text)) {
        assert(decoded.len <= text.len);
    } else {
        assert(decoded.len == 0);
    }
    struct span rest = text, name, value;
    size_t parameters = 0;
    while (query_next(&rest, &name, &value)) {
        parameters++;
        assert(span_find(name, '&') < 0 && span_find(value, '&') < 0 && span_find(name, '=') < 0);
    }
    assert(parameters <= text.len);
    char *got = query_get(text, "a");
    mem_free(got);
    buf_free(&encoded);
    buf_free(&decoded);
}

static void check_routes(struct span path) {
    static const char *const patterns[] = {"/", "/a", "/:a/b", "/a/:b/*rest", "/*rest", "/:a/:b/:c/:d/:e/:f/:g/:h"};
    for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
        struct route_params params;
        bool ok = route_match(patterns[i], path, &params);
        assert(ok == route_match(patterns[i], path, NULL));
        assert(ok || params.count == 0);
        for (size_t n = 0; n < params.count; n++) {
            assert(params.items[n].raw.ptr >= path.ptr);
            assert(params.items[n].raw.ptr + params.items[n].raw.len <= path.ptr + path.len);
            assert(span_ends_with(span_of(patterns[i]), "rest") || params.items[n].value[0] != '\0' ||
                   span_eq_cstr(params.items[n].name, "rest"));
        }
        route_params_free(&params);
    }
}

static void check_gzip(struct span bytes) {
    enum { MAX = 2000 };
    struct buf packed = BUF_INIT, out = BUF_INIT;
    struct error err = ERROR_INIT;
    if (gzip_inflate(&out, bytes, MAX, &err)) {
        assert(out.len <= MAX);
    } else {
        assert(out.len == 0 && error_is_set(&err));
    }
    error_clear(&err);
    buf_clear(&out);
    gzip_deflate(&packed, bytes);
    assert(gzip_inflate(&out, buf_span(&packed), bytes.len, NULL) && span_eq(buf_span(&out), bytes));
    buf_free(&packed);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    struct span text = span_bytes(data + 1, size - 1);
    char *cstr = span_dup(text);
    switch (data[0] % 4) {
    case 0:
        check_url(cstr);
        break;
    case 1:
        check_percent(text);
        break;
    case 2:
        check_routes(text);
        break;
    default:
        check_gzip(text);
        break;
    }
    mem_free(cstr);
    return 0;
}
