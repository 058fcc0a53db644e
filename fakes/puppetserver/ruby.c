/* How Ruby prints JSON values. */
#include "fakes/puppetserver/ruby.h"
#include "base/mem.h"

void ps_ruby_inspect(struct buf *out, const json_t *value) {
    const char *key;
    json_t *item;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_NULL:
        buf_append_cstr(out, "nil");
        return;
    case JSON_ARRAY:
        buf_append_char(out, '[');
        json_array_foreach((json_t *)(uintptr_t)value, i, item) {
            buf_append_cstr(out, i > 0 ? ", " : "");
            ps_ruby_inspect(out, item);
        }
        buf_append_char(out, ']');
        return;
    case JSON_OBJECT:
        buf_append_char(out, '{');
        i = 0;
        json_object_foreach((json_t *)(uintptr_t)value, key, item) {
            buf_append_cstr(out, i++ > 0 ? ", " : "");
            json_write_string(out, span_of(key));
            buf_append_cstr(out, "=>");
            ps_ruby_inspect(out, item);
        }
        buf_append_char(out, '}');
        return;
    default:
        json_write(out, value);
    }
}

char *ps_ruby_text(const json_t *value) {
    struct buf b = BUF_INIT;
    if (json_is_string(value)) {
        buf_append_span(&b, json_span(value));
    } else if (!json_is_null(value)) {
        ps_ruby_inspect(&b, value);
    }
    return buf_take(&b);
}
