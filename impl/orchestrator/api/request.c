/* Reading requests: bodies against their schema, ids, paging, times. */
#include "base/clock.h"
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

static unsigned kind_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_STRING:
        return IS_STRING;
    case JSON_INTEGER:
        return IS_INTEGER | IS_NUMBER;
    case JSON_REAL:
        return IS_NUMBER;
    case JSON_TRUE:
    case JSON_FALSE:
        return IS_BOOLEAN;
    case JSON_OBJECT:
        return IS_OBJECT;
    case JSON_ARRAY:
        return IS_ARRAY;
    case JSON_NULL:
        return IS_NULL;
    }
    return 0;
}

static void append_kinds(struct buf *out, unsigned types) {
    static const struct {
        unsigned kind;
        const char *word;
    } words[] = {
        {IS_STRING, "a string"},  {IS_INTEGER, "an integer"}, {IS_NUMBER, "a number"}, {IS_BOOLEAN, "true or false"},
        {IS_OBJECT, "an object"}, {IS_ARRAY, "an array"},     {IS_NULL, "null"}};
    const char *separator = "";
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if ((types & words[i].kind) != 0) {
            buf_printf(out, "%s%s", separator, words[i].word);
            separator = " or ";
        }
    }
}

static bool wrong_value(struct error *err, const char *key, const json_t *value, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool wrong_value(struct error *err, const char *key, const json_t *value, const char *format, ...) {
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s ", key);
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    json_t *details = json_object();
    json_set(details, "schema", json_string(key));
    json_set(details, "value", json_incref((json_t *)(uintptr_t)value));
    json_set(details, "error", json_str_new(buf_span(&text)));
    error_set_details(err, "puppetlabs.orchestrator/validation-error", details, "%s", text.ptr);
    buf_free(&text);
    return false;
}

static bool check_field(const struct api_field *f, const json_t *value, struct error *err) {
    if ((kind_of(value) & f->types) == 0) {
        struct buf kinds = BUF_INIT;
        append_kinds(&kinds, f->types);
        wrong_value(err, f->key, f->secret ? NULL : value, "must be %s", kinds.ptr);
        buf_free(&kinds);
        return false;
    }
    if (json_is_integer(value) && json_integer_value(value) < f->min) {
        return wrong_value(err, f->key, value, "must be at least %lld", (long long)f->min);
    }
    size_t i;
    json_t *item;
    if (f->strings && json_is_array(value)) {
        json_array_foreach((json_t *)(uintptr_t)value, i, item) {
            if (!json_is_string(item)) {
                return wrong_value(err, f->key, item, "must hold strings only");
            }
        }
    }
    return true;
}

static const struct api_field *find_field(const struct api_field *schema, const char *key) {
    for (const struct api_field *f = schema; f->key != NULL; f++) {
        if (strcmp(f->key, key) == 0) {
            return f;
        }
    }
    return NULL;
}

bool api_check_body(const struct api_field *schema, const json_t *body, struct error *err) {
    if (!json_is_object(body)) {
        return wrong_value(err, "body", body, "must be a JSON object");
    }
    for (const struct api_field *f = schema; f->key != NULL; f++) {
        const json_t *value = json_object_get(body, f->key);
        if (value == NULL && f->required) {
            return wrong_value(err, f->key, NULL, "is missing");
        }
        if (value != NULL && !check_field(f, value, err)) {
            return false;
        }
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)body, key, value) {
        if (find_field(schema, key) == NULL) {
            return wrong_value(err, key, NULL, "is not a known key"); /* it may be a misspelt secret */
        }
    }
    return true;
}

bool api_path_id(struct api_call *call, const char *name, int64_t *id) {
    const char *text = http_param(call->ex, name);
    uint64_t number;
    if (!span_to_u64(span_of(text), &number) || number > INT64_MAX) {
        json_t *value = json_string(text);
        api_reply_invalid(call, "id", value, "the id \"%s\" must be an integer", value != NULL ? text : "");
        json_decref(value);
        return false;
    }
    *id = (int64_t)number;
    return true;
}

bool api_query_int(struct api_call *call, const char *name, int64_t min, int64_t *value) {
    const char *text = http_query(call->ex, name);
    if (text == NULL) {
        return true;
    }
    int64_t number;
    if (!span_to_i64(span_of(text), &number) || number < min) {
        json_t *given = json_string(text);
        api_reply_invalid(call, name, given, "%s must be an integer of at least %lld", name, (long long)min);
        json_decref(given);
        return false;
    }
    *value = number;
    return true;
}

bool api_query_time(struct api_call *call, const char *name, int64_t *ms) {
    const char *text = http_query(call->ex, name);
    if (text == NULL) {
        return true;
    }
    if (!time_parse(span_of(text), ms)) {
        json_t *given = json_string(text);
        api_reply_invalid(call, name, given, "%s must be an ISO 8601 time", name);
        json_decref(given);
        return false;
    }
    return true;
}

bool api_read_page(struct api_call *call, enum store_list list, struct store_page *page, bool *ordered) {
    *page = (struct store_page){.limit = -1};
    const char *order_by = http_query(call->ex, "order_by"), *order = http_query(call->ex, "order");
    if (!api_query_int(call, "limit", 1, &page->limit) || !api_query_int(call, "offset", 0, &page->offset)) {
        return false;
    }
    if (order_by != NULL && !store_order_valid(list, order_by)) {
        json_t *given = json_string(order_by);
        api_reply_invalid(call, "order_by", given, "order_by cannot be \"%s\" here", given != NULL ? order_by : "");
        json_decref(given);
        return false;
    }
    if (order != NULL && strcmp(order, "asc") != 0 && strcmp(order, "desc") != 0) {
        json_t *given = json_string(order);
        api_reply_invalid(call, "order", given, "order must be asc or desc");
        json_decref(given);
        return false;
    }
    *ordered = order_by != NULL || order != NULL;
    page->order_by = order_by;
    page->descending = order != NULL && strcmp(order, "desc") == 0;
    return true;
}

bool name_is_environment(const char *name) {
    if (name[0] == '\0') {
        return false;
    }
    for (; *name != '\0'; name++) {
        char c = *name;
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) {
            return false;
        }
    }
    return true;
}

static bool name_part(struct span part) {
    if (part.len == 0 || part.ptr[0] < 'a' || part.ptr[0] > 'z') {
        return false;
    }
    for (size_t i = 0; i < part.len; i++) {
        char c = part.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_')) {
            return false;
        }
    }
    return true;
}

bool name_is_task(const char *name) {
    struct span whole = span_of(name);
    ptrdiff_t colons = span_find_span(whole, SPAN("::"));
    if (colons < 0) {
        return name_part(whole);
    }
    return name_part(span_sub(whole, 0, (size_t)colons)) && name_part(span_sub(whole, (size_t)colons + 2, whole.len));
}

bool name_is_plan(const char *name) {
    struct span rest = span_of(name);
    for (;;) {
        ptrdiff_t colons = span_find_span(rest, SPAN("::"));
        if (!name_part(span_sub(rest, 0, colons < 0 ? rest.len : (size_t)colons))) {
            return false;
        }
        if (colons < 0) {
            return true;
        }
        rest = span_sub(rest, (size_t)colons + 2, rest.len);
    }
}
