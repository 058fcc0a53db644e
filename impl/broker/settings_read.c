/* Sections by table: every key is known, has its type, or is reported. */
#include "broker/settings_read.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/option.h"

enum { TABLE_MAX = 48 };

static void add_place(struct settings_reader *r, const json_t *object, const char *key, struct buf *out) {
    hocon_where(r->s->files, object, key, out);
    buf_append_cstr(out, ": ");
}

bool settings_fail(struct settings_reader *r, const json_t *object, const char *key, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    add_place(r, object, key, &text);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    error_set(r->err, "broker/config", "%s", text.ptr);
    buf_free(&text);
    return false;
}

void settings_warn(struct settings_reader *r, const json_t *object, const char *key, const char *format, ...) {
    struct broker_settings *s = r->s;
    struct buf text = BUF_INIT;
    va_list args;
    add_place(r, object, key, &text);
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    s->warnings = mem_grow(s->warnings, &s->warning_cap, s->warning_count + 1, sizeof *s->warnings);
    s->warnings[s->warning_count++] = buf_take(&text);
}

const char *settings_keep(struct broker_settings *s, char *text) {
    s->strings = mem_grow(s->strings, &s->string_cap, s->string_count + 1, sizeof *s->strings);
    s->strings[s->string_count++] = text;
    return text;
}

/* A number, also one that came as text from an environment variable. */
static bool number_of(const json_t *value, uint64_t *out) {
    if (json_is_integer(value) && json_integer_value(value) >= 0) {
        *out = (uint64_t)json_integer_value(value);
        return true;
    }
    return json_is_string(value) && span_to_u64(json_span(value), out);
}

static bool bool_of(const json_t *value, bool *out) {
    *out = json_is_true(value) || span_eq_nocase(json_span(value), "true");
    return *out || json_is_false(value) || span_eq_nocase(json_span(value), "false");
}

static bool list_of(struct settings_reader *r, const json_t *value, struct setting_list *out) {
    size_t i;
    json_t *item;
    if (!json_is_array(value)) {
        return false;
    }
    const char **items = mem_array(json_array_size(value) + 1, sizeof *items);
    settings_keep(r->s, (char *)items);
    *out = (struct setting_list){.items = items, .count = json_array_size(value)};
    json_array_foreach(value, i, item) {
        if (!json_is_string(item)) {
            return false;
        }
        items[i] = json_string_value(item);
    }
    return true;
}

static bool store(struct settings_reader *r, const json_t *value, const struct setting *s, void *at) {
    uint64_t n;
    switch (s->type) {
    case SETTING_STRING:
        *(const char **)at = json_string_value(value);
        return json_is_string(value);
    case SETTING_BOOL:
        return bool_of(value, at);
    case SETTING_LIST:
        return list_of(r, value, at);
    case SETTING_INTERVAL:
        if (json_is_string(value)) {
            return hocon_duration(json_span(value), 1000, at);
        }
        *(uint64_t *)at = number_of(value, &n) ? n * 1000 : 0;
        return number_of(value, &n) && n < UINT32_MAX;
    case SETTING_MS:
        return number_of(value, at);
    case SETTING_SIZE:
        *(size_t *)at = number_of(value, &n) ? (size_t)n : 0;
        return number_of(value, &n) && n <= SIZE_MAX / 2;
    case SETTING_U32:
        *(uint32_t *)at = number_of(value, &n) ? (uint32_t)n : 0;
        return number_of(value, &n) && n <= UINT32_MAX;
    case SETTING_U16:
        *(uint16_t *)at = number_of(value, &n) ? (uint16_t)n : 0;
        return number_of(value, &n) && n <= UINT16_MAX;
    case SETTING_IGNORED:
    case SETTING_OBJECT:
        return true;
    }
    return false;
}

static const char *expected(enum setting_type type) {
    static const char *const texts[] = {
        [SETTING_STRING] = "a string",
        [SETTING_BOOL] = "true or false",
        [SETTING_SIZE] = "a number",
        [SETTING_U32] = "a number",
        [SETTING_U16] = "a number up to 65535",
        [SETTING_MS] = "a number of milliseconds",
        [SETTING_INTERVAL] = "an interval such as \"90s\" or \"5m\"",
        [SETTING_LIST] = "a list of strings",
    };
    return texts[type];
}

static void warn_unknown(struct settings_reader *r, const json_t *object, const char *name, const char *key,
                         const struct setting *table) {
    const char *known[TABLE_MAX];
    size_t count = 0;
    for (; count < TABLE_MAX && table[count].key != NULL; count++) {
        known[count] = table[count].key;
    }
    const char *near = nearest_word(key, known, count);
    settings_warn(r, object, key, "%s: unknown key '%s' is ignored%s%s", name, key,
                  near != NULL ? "; did you mean " : "", near != NULL ? near : "");
}

bool settings_read(struct settings_reader *r, const json_t *object, const char *name, const struct setting *table,
                   void *to) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value) {
        const struct setting *s = table;
        while (s->key != NULL && !str_eq(s->key, key)) {
            s++;
        }
        if (s->key == NULL) {
            warn_unknown(r, object, name, key, table);
            continue;
        }
        if (s->note != NULL) {
            settings_warn(r, object, key, "%s: '%s' %s", name, key, s->note);
        }
        if (!store(r, value, s, to != NULL ? (char *)to + s->offset : NULL)) {
            return settings_fail(r, object, key, "%s: '%s' must be %s", name, key, expected(s->type));
        }
    }
    return true;
}
