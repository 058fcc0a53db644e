/* URLs. */
#include "base/url.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void good_urls(void **state) {
    (void)state;
    static const struct {
        const char *text, *scheme;
        bool secure;
        const char *host;
        uint16_t port;
        const char *target, *authority;
    } cases[] = {
        {"http://h", "http", false, "h", 80, "/", "h"},
        {"HTTPS://Host/", "https", true, "Host", 443, "/", "Host"},
        {"https://h:443/x", "https", true, "h", 443, "/x", "h"},
        {"https://h:8143/a/../b%2f?q=1&r", "https", true, "h", 8143, "/a/../b%2f?q=1&r", "h:8143"},
        {"wss://broker:8142/pcp2/", "wss", true, "broker", 8142, "/pcp2/", "broker:8142"},
        {"ws://1.2.3.4:65535?x", "ws", false, "1.2.3.4", 65535, "/?x", "1.2.3.4:65535"},
        {"https://[::1]:8142/", "https", true, "::1", 8142, "/", "[::1]:8142"},

        {"http://h/a:b@c", "http", false, "h", 80, "/a:b@c", "h"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct url u;
        struct error err = ERROR_INIT;
        bool ok = url_parse(cases[i].text, &u, &err);
        assert_int_equal(ok, cases[i].authority != NULL);
        if (ok) {
            assert_string_equal(u.scheme, cases[i].scheme);
            assert_int_equal(u.secure, cases[i].secure);
            assert_string_equal(u.host, cases[i].host);
            assert_int_equal(u.port, cases[i].port);
            assert_string_equal(u.target, cases[i].target);
            struct buf authority = BUF_INIT;
            url_authority(&authority, &u);
            assert_string_equal(authority.ptr, cases[i].authority);
            buf_free(&authority);
        }
        url_free(&u);
        error_clear(&err);
    }
}

static void bad_urls(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"", "a scheme that is not http, https, ws or wss"},
        {"ftp://h/", "a scheme that is not http, https, ws or wss"},
        {"http:/h", "a scheme that is not http, https, ws or wss"},
        {"httpx://h", "a scheme that is not http, https, ws or wss"},
        {"h:80", "a scheme that is not http, https, ws or wss"},
        {"http://", "no host"},
        {"http:///x", "no host"},
        {"http://:80/", "no host"},
        {"http://[]/", "no host"},
        {"http://[::1/", "a '[' without ']'"},
        {"http://[x]/", "a malformed IPv6 address"},
        {"http://[12]:512/", "a malformed IPv6 address"},
        {"http://[fe80::1%1]/", "a malformed IPv6 address"},
        {"http://h:/", "a malformed port"},
        {"http://h:0/", "a malformed port"},
        {"http://h:65536/", "a malformed port"},
        {"http://h:8x/", "a malformed port"},
        {"http://::1/", "no host"},
        {"http://a:b:1/", "a malformed port"},
        {"http://[::1]x/", "a malformed port"},
        {"http://user:secret@h/", "a user name"},
        {"http://h/#x", "a fragment"},
        {"http://h/a b", "white space, control or non-ASCII characters"},
        {"http://h/\r\nX: y", "white space, control or non-ASCII characters"},
        {"http://h\xc3\xa9/", "white space, control or non-ASCII characters"},
        {"http://h%00/", "a malformed host"},
        {"http://h\\x/", "a malformed host"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct url u;
        struct error err = ERROR_INIT;
        assert_false(url_parse(cases[i][0], &u, &err));
        assert_true(error_is(&err, "url/malformed"));
        char *want = str_printf("the URL has %s", cases[i][1]);
        assert_string_equal(err.msg, want);
        mem_free(want);
        error_clear(&err);
        url_free(&u);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(good_urls), cmocka_unit_test(bad_urls)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
