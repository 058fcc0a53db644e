/* links: broker base */
/* Any text as an authorization file: it loads or is refused with its place; what is loaded decides about any message,
 * the same way twice, and denies a client without certificate unless a rule says otherwise. */
#include "base/hocon.h"
#include "base/mem.h"
#include "broker/rules.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decide(const struct rules *r, const char *name) {
    static const char *const names[] = {"alias.example.com", "127.0.0.1"};
    static const char *const types[] = {"http://puppetlabs.com/associate_request", "a", ""};
    static const struct world_extension extensions[] = {{"1.3.6.1.4.1.34380.1.1.13", "broker"},
                                                        {"1.3.6.1.4.1.34380.1.3.39", ""}};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct rules_request q = {.common_name = name,
                                  .alt_names = names,
                                  .alt_name_count = name != NULL ? 2 : 0,
                                  .extensions = extensions,
                                  .extension_count = name != NULL ? 2 : 0,
                                  .sender = SPAN("pcp://node.example.com/agent"),
                                  .target = SPAN("pcp:///server"),
                                  .message_type = span_of(types[i])};
        const char *rule, *again;
        bool allowed = rules_allow(r, &q, &rule);
        assert(allowed == rules_allow(r, &q, &again));
        assert(rule == again && (!allowed || rule != NULL));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct hocon *h = hocon_new(NULL);
    struct error err = ERROR_INIT;
    if (hocon_add(h, "f", span_bytes(data, size), &err) && hocon_resolve(h, &err)) {
        struct rules *r = rules_load(h, size % 2 == 1, &err);
        if (r == NULL) {
            assert(error_is(&err, "config/authorization") && strchr(err.msg, ':') != NULL);
        } else {
            decide(r, "node.example.com");
            decide(r, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
            decide(r, NULL);
        }
        rules_free(r);
    }
    error_clear(&err);
    hocon_free(h);
    return 0;
}
