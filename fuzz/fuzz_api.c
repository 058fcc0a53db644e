/* links: fuzz_mutate orchestrator sim_world net pxp pcp world base */
/* What the orchestrator's API takes, without the service around it. The first byte chooses the route whose body the
 * JSON text is held against; 'T' and what follows the next newline: a Puppet data type and a value; 'P': a task's
 * metadata and its parameters. Every refusal must say why; what is accepted must be of the types that the schema
 * promises to the code behind it. */
#include "base/mem.h"
#include "fuzz/mutate/mutate.h"
#include "orchestrator/api/internal.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
MUTATOR(mutate_api)

static bool is_kind(const json_t *v, unsigned types) {
    return ((types & IS_STRING) != 0 && json_is_string(v)) || ((types & IS_INTEGER) != 0 && json_is_integer(v)) ||
           ((types & IS_BOOLEAN) != 0 && json_is_boolean(v)) || ((types & IS_OBJECT) != 0 && json_is_object(v)) ||
           ((types & IS_ARRAY) != 0 && json_is_array(v)) || ((types & IS_NULL) != 0 && json_is_null(v)) ||
           ((types & IS_NUMBER) != 0 && json_is_number(v));
}

static void check_accepted(const struct api_field *schema, const json_t *body) {
    size_t known = 0;
    for (const struct api_field *f = schema; f->key != NULL; f++) {
        const json_t *v = json_object_get(body, f->key);
        known += v != NULL;
        assert(v != NULL || !f->required);
        assert(v == NULL || is_kind(v, f->types));
        assert(!json_is_integer(v) || json_integer_value(v) >= f->min);
        for (size_t i = 0; f->strings && i < json_array_size(v); i++) {
            assert(json_is_string(json_array_get(v, i)));
        }
    }
    assert(known == json_object_size(body));
}

static void check_body(uint8_t which, struct span text) {
    const struct api_field *schemas[64];
    size_t count = 0;
    for (const struct http_route *r = api_routes; r->pattern != NULL; r++) {
        const struct api_route *route = r->data;
        if (route->body != NULL && count < sizeof(schemas) / sizeof(schemas[0])) {
            schemas[count++] = route->body;
        }
    }
    assert(count != 0);
    struct error err = ERROR_INIT;
    json_t *body = json_parse(text, "fuzz", NULL);
    if (body != NULL) {
        const struct api_field *schema = schemas[which % count];
        bool ok = api_check_body(schema, body, &err);
        assert(ok == !error_is_set(&err));
        assert(ok || (err.msg[0] != '\0' && err.details != NULL));
        if (ok) {
            check_accepted(schema, body);
        }
    }
    error_clear(&err);
    json_decref(body);
}

static void check_type(struct span type, struct span text) {
    json_t *value = json_parse(text, "fuzz", NULL);
    char *name = span_dup(type);
    struct buf why = BUF_INIT;
    if (value != NULL) {
        bool fits = param_type_fits(name, value, &why);
        assert(fits || why.len != 0);
    }
    buf_free(&why);
    mem_free(name);
    json_decref(value);
}

static void check_params(struct span metadata_text, struct span params_text) {
    json_t *metadata = json_parse(metadata_text, "fuzz", NULL), *given = json_parse(params_text, "fuzz", NULL);
    json_t *params = NULL, *sensitive = NULL;
    struct error err = ERROR_INIT;
    if (json_is_object(metadata) && json_is_object(given)) {
        bool ok = params_check("fuzz", metadata, given, &params, &sensitive, &err);
        assert(ok == !error_is_set(&err));
        const char *key;
        json_t *value;
        size_t i;
        if (ok) { /* nothing given is lost, and what is secret is a parameter */
            json_object_foreach(given, key, value) {
                assert(json_object_get(params, key) != NULL);
            }
            json_array_foreach(sensitive, i, value) {
                assert(json_is_string(value));
            }
        }
    }
    json_decref(params);
    json_decref(sensitive);
    json_decref(metadata);
    json_decref(given);
    error_clear(&err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    struct span text = span_bytes(data + 1, size - 1), first;
    if (data[0] == 'T' || data[0] == 'P') {
        span_split(&text, '\n', &first);
        (data[0] == 'T' ? check_type : check_params)(first, text);
    } else {
        check_body(data[0], text);
    }
    return 0;
}
