/* Evaluation of the small set of expressions that applications are wired with. */
#include "fakes/puppetserver/app_value.h"
#include "base/mem.h"
#include <ctype.h>
#include <stdint.h>
#include <string.h>

static char *recased(const char *name, bool capital) {
    char *text = str_dup(strncmp(name, "::", 2) == 0 ? name + 2 : name);
    bool first = true;
    for (char *p = text; *p != '\0'; p++) {
        *p = (char)(capital && first ? toupper((unsigned char)*p) : capital ? *p : tolower((unsigned char)*p));
        first = *p == ':';
    }
    return text;
}

char *app_capitalized(const char *name) {
    return recased(name, true);
}

char *app_lower(const char *name) {
    return recased(name, false);
}

bool app_is_reference(const json_t *value) {
    return json_object_get(value, "ref") != NULL;
}

char *app_reference_text(const json_t *value) {
    const char *type = json_str(value, "ref");
    const char *title = json_str(value, "title");
    return type != NULL && title != NULL ? str_printf("%s[%s]", type, title) : NULL;
}

static void append_text(struct buf *b, const json_t *value) {
    size_t i;
    json_t *item;
    switch (json_typeof(value)) {
    case JSON_STRING:
        buf_append_span(b, json_span(value));
        return;
    case JSON_NULL:
        return;
    case JSON_ARRAY:
        buf_append_char(b, '[');
        json_array_foreach((json_t *)(uintptr_t)value, i, item) {
            buf_append_cstr(b, i > 0 ? ", " : "");
            append_text(b, item);
        }
        buf_append_char(b, ']');
        return;
    case JSON_OBJECT:
        break;
    default:
        json_write(b, value);
        return;
    }
    const json_t *pairs = json_object_get(value, "pairs");
    char *reference = app_reference_text(value);
    if (reference != NULL) {
        buf_append_cstr(b, reference);
    } else if (pairs != NULL) {
        buf_append_char(b, '{');
        json_array_foreach((json_t *)(uintptr_t)pairs, i, item) {
            buf_append_cstr(b, i > 0 ? ", " : "");
            append_text(b, json_array_get(item, 0));
            buf_append_cstr(b, " => ");
            append_text(b, json_array_get(item, 1));
        }
        buf_append_char(b, '}');
    } else if (json_str(value, "type") != NULL) {
        buf_append_cstr(b, json_str(value, "type"));
    } else {
        buf_printf(b, "<unevaluated: %s>", json_str(value, "unevaluated"));
    }
    mem_free(reference);
}

char *app_text(const json_t *value) {
    struct buf b = BUF_INIT;
    append_text(&b, value);
    return buf_take(&b);
}

const char *app_type_name(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_STRING:
        return "String";
    case JSON_INTEGER:
        return "Integer";
    case JSON_REAL:
        return "Float";
    case JSON_TRUE:
    case JSON_FALSE:
        return "Boolean";
    case JSON_ARRAY:
        return "Array";
    case JSON_NULL:
        return "Undef";
    default:
        break;
    }
    return json_object_get(value, "pairs") != NULL ? "Hash" : "Type";
}

void app_each(const json_t *value, void (*each)(void *ctx, const json_t *item), void *ctx) {
    size_t i;
    json_t *item;
    if (!json_is_array(value)) {
        each(ctx, value);
        return;
    }
    json_array_foreach((json_t *)(uintptr_t)value, i, item) {
        app_each(item, each, ctx);
    }
}

static json_t *unevaluated(const struct pl_tree *tree, const struct pl_node *node) {
    json_t *source = json_str_new(pl_source(tree, node));
    return json_pack("{s:o}", "unevaluated", source != NULL ? source : json_string("?"));
}

static json_t *text_value(struct span text) {
    json_t *value = json_str_new(text);
    return value != NULL ? value : json_string("");
}

static json_t *evaluate_concat(const struct pl_tree *tree, const struct pl_node *node, const json_t *scope) {
    struct buf b = BUF_INIT;
    for (size_t i = 0; i < node->count; i++) {
        json_t *part = app_evaluate(tree, node->children[i], scope);
        append_text(&b, part);
        json_decref(part);
    }
    json_t *value = text_value(buf_span(&b));
    buf_free(&b);
    return value;
}

static void append_element(json_t *list, json_t *value, bool splat) {
    if (splat && json_is_array(value)) {
        json_array_extend(list, value);
    } else if (!splat || !json_is_null(value)) {
        json_array_append(list, value);
    }
    json_decref(value);
}

static json_t *evaluate_list(const struct pl_tree *tree, const struct pl_node *node, const json_t *scope) {
    json_t *list = json_array();
    for (size_t i = 0; i < node->count; i++) {
        const struct pl_node *item = node->children[i];
        bool splat = item->kind == PL_SPLAT;
        append_element(list, app_evaluate(tree, splat ? item->children[0] : item, scope), splat);
    }
    return list;
}

static json_t *evaluate_map(const struct pl_tree *tree, const struct pl_node *node, const json_t *scope) {
    json_t *pairs = json_array();
    for (size_t i = 0; i < node->count; i++) {
        const struct pl_node *pair = node->children[i];
        json_array_append_new(pairs, json_pack("[o, o]", app_evaluate(tree, pair->children[0], scope),
                                               app_evaluate(tree, pair->children[1], scope)));
    }
    return json_pack("{s:o}", "pairs", pairs);
}

/* Type['a', 'b'] is one reference a title. */
static json_t *references(const char *type, const json_t *titles) {
    char *name = app_capitalized(type);
    json_t *all = json_array();
    size_t i;
    json_t *title;
    json_array_foreach((json_t *)(uintptr_t)titles, i, title) {
        char *text = app_text(title);
        char *shown = strcmp(name, "Class") == 0 ? app_capitalized(text) : str_dup(text);
        json_array_append_new(all, json_pack("{s:s, s:s}", "ref", name, "title", shown));
        mem_free(shown);
        mem_free(text);
    }
    mem_free(name);
    if (json_array_size(all) != 1) {
        return all;
    }
    json_t *only = json_incref(json_array_get(all, 0));
    json_decref(all);
    return only;
}

/* Titles of one reference may be lists themselves. */
static void flatten(void *ctx, const json_t *item) {
    json_array_append(ctx, (json_t *)(uintptr_t)item);
}

static json_t *element(const json_t *receiver, const json_t *key) {
    size_t i;
    json_t *pair;
    if (json_is_array(receiver) && json_is_integer(key)) {
        json_int_t n = json_integer_value(key), count = (json_int_t)json_array_size(receiver);
        json_t *found = json_array_get(receiver, (size_t)(n < 0 ? n + count : n));
        return found != NULL ? json_incref(found) : json_null();
    }
    json_array_foreach(json_object_get(receiver, "pairs"), i, pair) {
        if (json_equal(json_array_get(pair, 0), key)) {
            return json_incref(json_array_get(pair, 1));
        }
    }
    return json_null();
}

static json_t *evaluate_access(const struct pl_tree *tree, const struct pl_node *node, const json_t *scope) {
    const struct pl_node *receiver = node->children[0];
    json_t *keys = evaluate_list(tree, node->children[1], scope), *value = NULL;
    if (receiver->kind == PL_TYPENAME) {
        json_t *titles = json_array();
        app_each(keys, flatten, titles);
        value = references(receiver->text, titles);
        json_decref(titles);
    } else {
        json_t *of = app_evaluate(tree, receiver, scope);
        bool indexable = json_is_array(of) || json_object_get(of, "pairs") != NULL;
        value =
            indexable && json_array_size(keys) == 1 ? element(of, json_array_get(keys, 0)) : unevaluated(tree, node);
        json_decref(of);
    }
    json_decref(keys);
    return value;
}

static json_t *evaluate_variable(const struct pl_tree *tree, const struct pl_node *node, const json_t *scope) {
    const char *name = strncmp(node->text, "::", 2) == 0 ? node->text + 2 : node->text;
    json_t *value = json_object_get(scope, name);
    return value != NULL ? json_incref(value) : unevaluated(tree, node);
}

/* pick(a, b, …): the first that is neither undef nor empty. */
static json_t *evaluate_call(const struct pl_tree *tree, const struct pl_node *node, const json_t *scope) {
    const struct pl_node *function = node->children[0], *arguments = node->children[1];
    if (function->kind != PL_NAME || strcmp(function->text, "pick") != 0) {
        return unevaluated(tree, node);
    }
    for (size_t i = 0; i < arguments->count; i++) {
        json_t *value = app_evaluate(tree, arguments->children[i], scope);
        bool unknown = json_object_get(value, "unevaluated") != NULL && arguments->children[i]->kind == PL_VARIABLE;
        bool empty = json_is_string(value) && json_string_length(value) == 0;
        if (!json_is_null(value) && !empty && !unknown) {
            return value;
        }
        json_decref(value);
    }
    return json_null();
}

/* The minus of a number; anything else that is prefixed stays as it is written. */
static json_t *evaluate_prefixed(const struct pl_tree *tree, const struct pl_node *node, const json_t *scope) {
    json_t *value = node->op == PL_P_MINUS ? app_evaluate(tree, node->children[0], scope) : NULL, *negated = NULL;
    if (json_is_integer(value) && json_integer_value(value) != INT64_MIN) {
        negated = json_integer(-json_integer_value(value));
    } else if (json_is_real(value)) {
        negated = json_real(-json_real_value(value));
    }
    json_decref(value);
    return negated != NULL ? negated : unevaluated(tree, node);
}

json_t *app_from_plain(const json_t *plain) {
    const char *key;
    json_t *item, *all;
    size_t i;
    if (json_is_object(plain)) {
        json_t *pairs = json_array();
        json_object_foreach((json_t *)(uintptr_t)plain, key, item) {
            json_array_append_new(pairs, json_pack("[s, o]", key, app_from_plain(item)));
        }
        return json_pack("{s:o}", "pairs", pairs);
    }
    if (!json_is_array(plain)) {
        return json_incref((json_t *)(uintptr_t)plain);
    }
    all = json_array();
    json_array_foreach((json_t *)(uintptr_t)plain, i, item) {
        json_array_append_new(all, app_from_plain(item));
    }
    return all;
}

json_t *app_to_plain(const json_t *value) {
    const json_t *pairs = json_object_get(value, "pairs");
    json_t *item, *all;
    size_t i;
    if (pairs != NULL) {
        all = json_object();
        json_array_foreach((json_t *)(uintptr_t)pairs, i, item) {
            char *key = app_text(json_array_get(item, 0));
            json_set(all, key, app_to_plain(json_array_get(item, 1)));
            mem_free(key);
        }
        return all;
    }
    if (json_is_array(value)) {
        all = json_array();
        json_array_foreach((json_t *)(uintptr_t)value, i, item) {
            json_array_append_new(all, app_to_plain(item));
        }
        return all;
    }
    if (json_is_object(value)) {
        char *text = app_text(value);
        all = json_string(text);
        mem_free(text);
        return all;
    }
    return json_incref((json_t *)(uintptr_t)value);
}

json_t *app_evaluate(const struct pl_tree *tree, const struct pl_node *node, const json_t *scope) {
    char *name;
    json_t *value;
    switch (node->kind) {
    case PL_UNDEF:
        return json_null();
    case PL_BOOLEAN:
        return json_boolean(node->integer != 0);
    case PL_INTEGER:
        return json_integer((json_int_t)node->integer);
    case PL_FLOAT:
        return json_real(node->real);
    case PL_STRING:
    case PL_NAME:
        return text_value((struct span){node->text, node->text_len});
    case PL_CONCAT:
        return evaluate_concat(tree, node, scope);
    case PL_VARIABLE:
        return evaluate_variable(tree, node, scope);
    case PL_LIST:
        return evaluate_list(tree, node, scope);
    case PL_MAP:
        return evaluate_map(tree, node, scope);
    case PL_ACCESS:
        return evaluate_access(tree, node, scope);
    case PL_UNARY:
        return evaluate_prefixed(tree, node, scope);
    case PL_CALL:
        return evaluate_call(tree, node, scope);
    case PL_TYPENAME:
        name = app_capitalized(node->text);
        value = json_pack("{s:s}", "type", name);
        mem_free(name);
        return value;
    default:
        return unevaluated(tree, node);
    }
}
