/* The configuration file: HOCON, of which JSON is a part (agent.md §3). */
#include "agent/settings_keys.h"
#include "base/hocon.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

/* ---------------------------------------------------------------------------------------- conversions, as HOCON's */

static bool wrong_type(struct error *err, const char *key, const char *type) {
    return error_set(err, "agent/config-file", "field '%s' must be of type %s", key, type);
}

static bool take_text(struct settings_value *v, const char *key, const json_t *value, struct error *err) {
    if (json_is_string(value)) {
        settings_set_text(v, json_string_value(value), FROM_FILE);
    } else if (json_is_number(value) || json_is_boolean(value)) {
        char *text = json_text(value);
        settings_set_text(v, text, FROM_FILE);
        mem_free(text);
    } else {
        return wrong_type(err, key, "string");
    }
    return true;
}

static bool take_integer(struct settings_value *v, const char *key, const json_t *value, struct error *err) {
    if (json_is_integer(value)) {
        v->integer = json_integer_value(value);
    } else if (!span_to_i64(json_span(value), &v->integer)) {
        return wrong_type(err, key, "integer");
    }
    v->source = FROM_FILE;
    return true;
}

static bool take_flag(struct settings_value *v, const char *key, const json_t *value, struct error *err) {
    struct span text = json_span(value);
    bool yes =
        json_is_true(value) || span_eq_cstr(text, "true") || span_eq_cstr(text, "yes") || span_eq_cstr(text, "on");
    bool no =
        json_is_false(value) || span_eq_cstr(text, "false") || span_eq_cstr(text, "no") || span_eq_cstr(text, "off");
    if (!yes && !no) {
        return wrong_type(err, key, "boolean");
    }
    v->flag = yes;
    v->source = FROM_FILE;
    return true;
}

static bool take_list(struct settings_value *v, const char *key, const json_t *value, struct error *err) {
    if (!json_is_array(value)) {
        return wrong_type(err, key, "array");
    }
    v->items = mem_array(json_array_size(value) + 1, sizeof *v->items);
    for (size_t i = 0; i < json_array_size(value); i++) {
        const char *item = json_string_value(json_array_get(value, i));
        if (item == NULL) {
            return wrong_type(err, key, "array of strings");
        }
        v->items[v->item_count++] = str_dup(item);
    }
    v->source = FROM_FILE;
    return true;
}

/* ---------------------------------------------------------------------------------------- keys */

static void note_unrecognized(struct agent_settings *s, const char *prefix, const char *key, const json_t *value) {
    char *path = str_printf("%s%s", prefix, key);
    if (json_is_object(value) && json_object_size(value) > 0) {
        char *inner = str_printf("%s.", path);
        for (void *i = json_object_iter((json_t *)value); i != NULL; i = json_object_iter_next((json_t *)value, i)) {
            note_unrecognized(s, inner, json_object_iter_key(i), json_object_iter_value(i));
        }
        mem_free(inner);
        mem_free(path);
        return;
    }
    s->unrecognized =
        mem_grow(s->unrecognized, &s->unrecognized_cap, s->unrecognized_count + 1, sizeof *s->unrecognized);
    s->unrecognized[s->unrecognized_count++] = path;
}

static bool take(struct agent_settings *s, const char *key, const json_t *value, struct error *err) {
    size_t index = settings_find(span_of(key));
    if (index == settings_key_count || strcmp(key, "config-file") == 0) {
        note_unrecognized(s, "", key, value);
        return true;
    }
    struct settings_value unused = {0};
    struct settings_value *v = &s->values[index];
    if (v->source == FROM_COMMAND_LINE) {
        v = &unused; /* it still has to be of the right type */
    }
    bool ok = false;
    switch (settings_keys[index].type) {
    case KEY_TEXT:
        ok = take_text(v, key, value, err);
        break;
    case KEY_INTEGER:
        ok = take_integer(v, key, value, err);
        break;
    case KEY_FLAG:
        ok = take_flag(v, key, value, err);
        break;
    case KEY_LIST:
        ok = take_list(v, key, value, err);
        break;
    }
    mem_free(unused.text);
    return ok;
}

static bool take_all(struct agent_settings *s, json_t *root, struct error *err) {
    if (json_object_get(root, "broker-ws-uri") != NULL && json_object_get(root, "broker-ws-uris") != NULL) {
        return error_set(err, "agent/config-file",
                         "broker-ws-uri and broker-ws-uris cannot both be defined in the config file");
    }
    bool ok = true;
    for (void *i = json_object_iter(root); ok && i != NULL; i = json_object_iter_next(root, i)) {
        ok = take(s, json_object_iter_key(i), json_object_iter_value(i), err);
    }
    return ok;
}

/* ---------------------------------------------------------------------------------------- file */

static bool parse(struct agent_settings *s, const char *path, struct span text, struct error *err) {
    struct hocon *h = hocon_new(NULL);
    struct error why = ERROR_INIT;
    bool ok = true;
    if (!hocon_add(h, path, text, &why) || !hocon_resolve(h, &why)) {
        ok = error_set(err, "agent/config-file", "cannot parse config file: %s", why.msg);
    } else {
        ok = take_all(s, hocon_root(h), err);
    }
    error_clear(&why);
    hocon_free(h);
    return ok;
}

static void expand(struct agent_settings *s, struct settings_value *v) {
    if (v->text[0] == '~' && (v->text[1] == '/' || v->text[1] == '\0') && s->home != NULL) {
        char *path = str_printf("%s%s", s->home, v->text + 1);
        mem_free(v->text);
        v->text = path;
    }
}

static const char *const paths[] = {"ssl-ca-cert",    "ssl-cert",           "ssl-key",     "ssl-crl",
                                    "logfile",        "pcp-access-logfile", "modules-dir", "modules-config-dir",
                                    "task-cache-dir", "spool-dir",          "pidfile",     "exec-wrapper"};

bool agent_settings_file(struct agent_settings *s, struct world *w, struct error *err) {
    struct settings_value *file = settings_value(s, "config-file");
    struct buf text = BUF_INIT;
    bool ok = true;
    expand(s, file);
    /* A file that is not there, or may not be read, is no error. */
    if (world_file_read(w, file->text, HOCON_TEXT_MAX, &text, NULL)) {
        struct span name = span_of(file->text);
        ok = span_ends_with(name, ".conf") || span_ends_with(name, ".json")
                 ? parse(s, file->text, buf_span(&text), err)
                 : error_set(err, "agent/config-file", "the config file '%s' must have the extension .conf or .json",
                             file->text);
    }
    buf_free(&text);
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        expand(s, settings_value(s, paths[i]));
    }
    return ok;
}
