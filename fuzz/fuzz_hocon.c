/* links: base */
/* Any text as configuration: it ends, in a result or in an error that names a place; the result's JSON read again as
 * HOCON gives the same, unless it is nested deeper than brackets may be: dotted keys and references nest, too. */
#include "base/hocon.h"
#include "base/json.h"
#include "base/mem.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *variables(void *ctx, const char *name) {
    (void)ctx;
    return strlen(name) == 1 ? "from the environment" : NULL;
}

static bool no_files(void *ctx, const char *name, struct buf *text, struct error *err) {
    (void)ctx, (void)err;
    buf_append_cstr(text, "included: ");
    json_write_string(text, span_of(name));
    return strlen(name) < 8;
}

static char *result_of(struct span text, bool *deep) {
    const struct hocon_opts opts = {.env = variables, .include = no_files};
    struct hocon *h = hocon_new(&opts);
    struct error err = ERROR_INIT;
    char *json = NULL;
    if (hocon_add(h, "f", text, &err) && hocon_resolve(h, &err)) {
        json = json_text(hocon_root(h));
    } else {
        assert(error_is(&err, "config/syntax") && strchr(err.msg, ':') != NULL);
        *deep = strstr(err.msg, "nested too deeply") != NULL;
    }
    error_clear(&err);
    hocon_free(h);
    return json;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    bool deep = false;
    char *json = result_of(span_bytes(data, size), &deep);
    if (json != NULL && strlen(json) < 100000) {
        char *again = result_of(span_of(json), &deep);
        assert(again != NULL ? str_eq(json, again) : deep);
        mem_free(again);
    }
    mem_free(json);
    return 0;
}
