/* See schema.h. */
#include "fakes/puppetserver/schema.h"
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <string.h>

enum { SHOWN_MAX = 19 }; /* characters of a value; of a longer one the class is named */

static void print(struct buf *b, const json_t *value);

static void print_list(struct buf *b, const json_t *list) {
    for (size_t i = 0; i < json_array_size(list); i++) {
        buf_append_cstr(b, i > 0 ? " " : "");
        print(b, json_array_get(list, i));
    }
}

static void print_map(struct buf *b, const json_t *map) {
    const char *key, *between = "";
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)map, key, value) {
        buf_printf(b, "%s\"%s\" ", between, key);
        print(b, value);
        between = ", ";
    }
}

/* As Clojure prints it. */
static void print(struct buf *b, const json_t *value) {
    if (json_is_array(value)) {
        buf_append_char(b, '[');
        print_list(b, value);
        buf_append_char(b, ']');
    } else if (json_is_object(value)) {
        buf_append_char(b, '{');
        print_map(b, value);
        buf_append_char(b, '}');
    } else if (json_is_null(value)) {
        buf_append_cstr(b, "nil");
    } else {
        char *text = json_text(value);
        buf_append_cstr(b, text);
        mem_free(text);
    }
}

static const char *class_of(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return "clojure.lang.PersistentArrayMap";
    case JSON_ARRAY:
        return "clojure.lang.PersistentVector";
    case JSON_STRING:
        return "java.lang.String";
    case JSON_INTEGER:
        return "java.lang.Long";
    case JSON_REAL:
        return "java.lang.Double";
    case JSON_TRUE:
    case JSON_FALSE:
    case JSON_NULL:
        break;
    }
    return "java.lang.Boolean";
}

static void complain(struct buf *b, const char *test, const json_t *value) {
    struct buf shown = BUF_INIT;
    print(&shown, value);
    if (shown.len > SHOWN_MAX) {
        buf_clear(&shown);
        buf_printf(&shown, "a-%s", class_of(value));
    }
    buf_printf(b, "(not (%s %s))", test, shown.ptr);
    buf_free(&shown);
}

static bool is_one_of(const char *words, const json_t *value) {
    char *quoted = str_printf("\"%s\"", json_string_value(value));
    bool found = strstr(words, quoted) != NULL;
    mem_free(quoted);
    return found;
}

/* Appends what is wrong with one value; nothing when it fits. */
static void check_value(struct buf *b, const json_t *value, const struct schema_key *key) {
    switch (key->kind) {
    case SCHEMA_TEXT:
    case SCHEMA_ENVIRONMENT:
        if (!json_is_string(value)) {
            complain(b, "instance? java.lang.String", value);
        } else if (key->kind == SCHEMA_ENVIRONMENT && !ps_environment_name_legal(json_string_value(value))) {
            complain(b, "puppetlabs.services.master.master-core/valid-env-name?", value);
        }
        break;
    case SCHEMA_BOOL:
        if (!json_is_boolean(value)) {
            complain(b, "instance? java.lang.Boolean", value);
        }
        break;
    case SCHEMA_WORD:
        if (!json_is_string(value) || !is_one_of(key->words, value)) {
            complain(b, key->words, value);
        }
        break;
    case SCHEMA_MAP:
    case SCHEMA_MAP_OR_LIST:
        if (!json_is_object(value) && (key->kind == SCHEMA_MAP || !json_is_array(value))) {
            complain(b, "map?", value);
        }
        break;
    case SCHEMA_KEYS: {
        char *inner = schema_complaints(value, key->inside);
        buf_append_cstr(b, inner != NULL ? inner : "");
        mem_free(inner);
        break;
    }
    }
}

static void add(struct buf *all, const char *name, struct span what) {
    if (what.len > 0) {
        buf_printf(all, "%s\"%s\" %.*s", all->len > 0 ? ", " : "{", name, (int)what.len, what.ptr);
    }
}

static const struct schema_key *key_named(const struct schema_key *keys, const char *name) {
    while (keys->name != NULL && strcmp(keys->name, name) != 0) {
        keys++;
    }
    return keys->name != NULL ? keys : NULL;
}

char *schema_complaints(const json_t *value, const struct schema_key *keys) {
    struct buf all = BUF_INIT, one = BUF_INIT;
    const char *name;
    json_t *item;
    if (!json_is_object(value)) {
        complain(&all, "map?", value);
        return buf_take(&all);
    }
    for (const struct schema_key *k = keys; k->name != NULL; k++) {
        const json_t *there = json_object_get(value, k->name);
        buf_clear(&one);
        if (there == NULL && k->required) {
            buf_append_cstr(&one, "missing-required-key");
        } else if (there != NULL) {
            check_value(&one, there, k);
        }
        add(&all, k->name, buf_span(&one));
    }
    json_object_foreach((json_t *)(uintptr_t)value, name, item) {
        if (key_named(keys, name) == NULL) {
            add(&all, name, SPAN("disallowed-key"));
        }
    }
    buf_free(&one);
    if (all.len == 0) {
        buf_free(&all);
        return NULL;
    }
    buf_append_char(&all, '}');
    return buf_take(&all);
}
