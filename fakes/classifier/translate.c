/* Rules as PuppetDB queries (classifier.md §7). */
#include "base/mem.h"
#include "fakes/classifier/rules.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* The left side in a query on nodes; NULL: not expressible. */
static json_t *nodes_field(const json_t *path) {
    if (json_is_string(path)) {
        return strcmp(json_string_value(path), "name") == 0 ? json_string("certname") : NULL;
    }
    const char *type = json_string_value(json_array_get(path, 0));
    const char *name = json_string_value(json_array_get(path, 1));
    if (json_array_size(path) != 2) {
        return NULL;
    }
    if (strcmp(type, "trusted") == 0) {
        return strcmp(name, "certname") == 0 ? json_string("certname") : NULL;
    }
    return json_pack("[s, s]", "fact", name);
}

static void append_component(struct buf *b, const json_t *part) {
    if (json_is_integer(part)) {
        buf_printf(b, "[%lld]", (long long)json_integer_value(part));
        return;
    }
    const char *name = json_string_value(part);
    bool quoted = strpbrk(name, ".[\"") != NULL;
    buf_append_char(b, '.');
    buf_append_cstr(b, quoted ? "\"" : "");
    buf_append_cstr(b, name);
    buf_append_cstr(b, quoted ? "\"" : "");
}

/* The left side in a query on inventory: facts.a.b[0]."c.d". */
static json_t *inventory_field(const json_t *path) {
    if (json_is_string(path)) {
        return json_string(strcmp(json_string_value(path), "name") == 0 ? "certname" : json_string_value(path));
    }
    struct buf b = BUF_INIT;
    bool fact = strcmp(json_string_value(json_array_get(path, 0)), "fact") == 0;
    buf_append_cstr(&b, fact ? "facts" : "trusted");
    for (size_t i = 1; i < json_array_size(path); i++) {
        append_component(&b, json_array_get(path, i));
    }
    json_t *field = json_str_new(buf_span(&b));
    buf_free(&b);
    return field;
}

/* Text that is also a JSON number or boolean, as that; NULL otherwise. */
static json_t *other_reading(const char *text) {
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        return json_boolean(strcmp(text, "true") == 0);
    }
    json_t *array = NULL;
    if (*text == '-' || (*text >= '0' && *text <= '9')) {
        struct buf b = BUF_INIT;
        buf_printf(&b, "[%s]", text);
        array = json_parse(buf_span(&b), "number", NULL);
        buf_free(&b);
    }
    json_t *value = json_array_size(array) == 1 ? json_array_get(array, 0) : NULL;
    json_t *number = json_is_number(value) ? json_incref(value) : NULL;
    json_decref(array);
    return number;
}

/* A number as rules read it: also forms that JSON does not have, such as "+8" or ".5". */
static json_t *number_reading(const char *text) {
    json_t *number = other_reading(text);
    char *end;
    if (json_is_number(number)) {
        return number;
    }
    json_decref(number);
    if (*text == '\0' || strspn(text, "+-0123456789.eE") != strlen(text)) {
        return NULL;
    }
    errno = 0;
    double value = strtod(text, &end);
    return *end == '\0' && errno == 0 ? json_real(value) : NULL;
}

static json_t *nothing(void) {
    return json_pack("[s, [s, s, s], [s, [s, s, s]]]", "and", "=", "certname", "x", "not", "=", "certname", "x");
}

static json_t *translate_equality(json_t *field, const char *text) {
    bool is_name = json_is_string(field) && strcmp(json_string_value(field), "certname") == 0;
    json_t *other = is_name ? NULL : other_reading(text);
    if (other == NULL) {
        return json_pack("[s, o, s]", "=", field, text);
    }
    return json_pack("[s, [s, O, s], [s, o, o]]", "or", "=", field, text, "=", field, other);
}

static json_t *translate_comparison(const json_t *rule, enum rule_format format) {
    const char *op = json_string_value(json_array_get(rule, 0));
    const json_t *path = json_array_get(rule, 1);
    char *text = rule_value_text(json_array_get(rule, 2));
    json_t *field = format == RULE_FORMAT_NODES ? nodes_field(path) : inventory_field(path);
    json_t *query = NULL;
    if (json_is_string(path) && strcmp(json_string_value(path), "name") != 0) {
        /* A field nobody has is false for every operator. */
        json_decref(field);
        query = nothing();
    } else if (field == NULL) {
        query = NULL;
    } else if (strcmp(op, "=") == 0) {
        query = translate_equality(field, text);
    } else if (strcmp(op, "~") == 0) {
        query = json_pack("[s, o, s]", op, field, text);
    } else {
        json_t *number = number_reading(text);
        if (number == NULL) {
            json_decref(field);
            query = nothing();
        } else {
            query = json_pack("[s, o, o]", op, field, number);
        }
    }
    mem_free(text);
    return query;
}

json_t *rule_translate(const json_t *rule, enum rule_format format) {
    const char *op = json_string_value(json_array_get(rule, 0));
    if (strcmp(op, "and") != 0 && strcmp(op, "or") != 0 && strcmp(op, "not") != 0) {
        return translate_comparison(rule, format);
    }
    json_t *query = json_pack("[s]", op);
    for (size_t i = 1; i < json_array_size(rule); i++) {
        json_t *operand = rule_translate(json_array_get(rule, i), format);
        if (operand == NULL) {
            json_decref(query);
            return NULL;
        }
        json_array_append_new(query, operand);
    }
    return query;
}
