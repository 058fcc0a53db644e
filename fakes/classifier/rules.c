/* Rules: grammar, evaluation, explanation, simplification, pins. */
#include "fakes/classifier/rules.h"
#include "base/mem.h"
#define PCRE2_CODE_UNIT_WIDTH 8
#include <math.h>
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

enum { REGEX_MATCH_LIMIT = 1000000, REGEX_DEPTH_LIMIT = 1000, REGEX_HEAP_LIMIT_KIB = 16 * 1024 };

static const char *operator_of(const json_t *rule) {
    const char *op = json_string_value(json_array_get(rule, 0));
    return op != NULL ? op : "";
}

static bool is_junction(const char *op) {
    return strcmp(op, "and") == 0 || strcmp(op, "or") == 0;
}

static bool is_comparison(const char *op) {
    static const char *const ops[] = {"=", "~", ">", ">=", "<", "<="};
    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strcmp(ops[i], op) == 0) {
            return true;
        }
    }
    return false;
}

static bool mistake(struct error *err, const json_t *rule, const char *what) {
    char *text = json_text(rule);
    error_set(err, "schema-violation", "%s: %s", what, text);
    mem_free(text);
    return false;
}

static bool check_path(const json_t *path, const json_t *rule, struct error *err) {
    if (json_is_string(path)) {
        return true;
    }
    if (!json_is_array(path) || json_array_size(path) < 2) {
        return mistake(err, rule, "a path is \"name\" or [\"fact\" or \"trusted\", name, …]");
    }
    const char *type = json_string_value(json_array_get(path, 0));
    if (type == NULL || (strcmp(type, "fact") != 0 && strcmp(type, "trusted") != 0) ||
        !json_is_string(json_array_get(path, 1))) {
        return mistake(err, rule, "a path begins with \"fact\" or \"trusted\" and a name");
    }
    for (size_t i = 2; i < json_array_size(path); i++) {
        const json_t *part = json_array_get(path, i);
        if (!json_is_string(part) && !(json_is_integer(part) && json_integer_value(part) >= 0)) {
            return mistake(err, rule, "a path is made of names and indexes");
        }
    }
    return true;
}

static pcre2_code *compile(const char *pattern, char *message, size_t message_len) {
    int code = 0;
    PCRE2_SIZE offset = 0;
    pcre2_code *regex = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, PCRE2_UTF, &code, &offset, NULL);
    if (regex == NULL && message != NULL) {
        pcre2_get_error_message(code, (PCRE2_UCHAR *)message, message_len);
    }
    return regex;
}

static bool check_comparison(const json_t *rule, const char *op, bool strict, struct error *err) {
    const json_t *value = json_array_get(rule, 2);
    if (json_array_size(rule) != 3) {
        return mistake(err, rule, "a comparison has an operator, a path and a value");
    }
    if (!json_is_string(value) && (strict || !(json_is_number(value) || json_is_boolean(value)))) {
        return mistake(err, rule, "the value of a comparison is a string");
    }
    if (strcmp(op, "~") == 0 && json_is_string(value)) {
        char message[128];
        pcre2_code *regex = compile(json_string_value(value), message, sizeof message);
        if (regex == NULL) {
            return mistake(err, rule, message);
        }
        pcre2_code_free(regex);
    }
    return check_path(json_array_get(rule, 1), rule, err);
}

static bool check_at(const json_t *rule, bool strict, int depth, struct error *err) {
    if (!json_is_array(rule) || !json_is_string(json_array_get(rule, 0))) {
        return mistake(err, rule, "a rule is an array that begins with an operator");
    }
    if (depth > RULE_DEPTH_MAX) {
        return error_set(err, "schema-violation", "the rule is nested deeper than %d", RULE_DEPTH_MAX);
    }
    const char *op = operator_of(rule);
    size_t n = json_array_size(rule);
    if (is_comparison(op)) {
        return check_comparison(rule, op, strict, err);
    }
    if (strcmp(op, "not") == 0 ? n != 2 : !is_junction(op) || n < 2) {
        return mistake(err, rule, "no such operator, or the wrong number of operands");
    }
    for (size_t i = 1; i < n; i++) {
        if (!check_at(json_array_get(rule, i), strict, depth + 1, err)) {
            return false;
        }
    }
    return true;
}

bool rule_check(const json_t *rule, bool strict, struct error *err) {
    return check_at(rule, strict, 0, err);
}

json_t *rule_normalized(const json_t *rule) {
    json_t *copy = json_array();
    bool comparison = is_comparison(operator_of(rule));
    for (size_t i = 0; i < json_array_size(rule); i++) {
        json_t *part = json_array_get(rule, i);
        if (comparison && i == 2) {
            char *text = rule_value_text(part);
            json_array_append_new(copy, json_string(text));
            mem_free(text);
        } else if (!comparison && i > 0) {
            json_array_append_new(copy, rule_normalized(part));
        } else {
            json_array_append_new(copy, json_deep_copy(part));
        }
    }
    return copy;
}

/* The shortest decimal that reads back as the same number. */
static char *real_text(double value) {
    char text[40];
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    return str_printf("%s%s", text, strpbrk(text, ".en") != NULL ? "" : ".0");
}

char *rule_value_text(const json_t *value) {
    switch (json_typeof(value)) {
    case JSON_STRING:
        return str_dup(json_string_value(value));
    case JSON_TRUE:
        return str_dup("true");
    case JSON_FALSE:
        return str_dup("false");
    case JSON_INTEGER:
        return str_printf("%lld", (long long)json_integer_value(value));
    case JSON_REAL:
        return real_text(json_real_value(value));
    default:
        return NULL;
    }
}

/* What a path leads to, borrowed; NULL: nothing. */
static const json_t *look_up(const json_t *path, const json_t *node) {
    if (json_is_string(path)) {
        return strcmp(json_string_value(path), "name") == 0 ? json_object_get(node, "name") : NULL;
    }
    const json_t *at = node;
    for (size_t i = 0; i < json_array_size(path) && at != NULL; i++) {
        const json_t *part = json_array_get(path, i);
        if (json_is_string(part)) {
            at = json_object_get(at, json_string_value(part));
        } else {
            at = json_array_get(at, (size_t)json_integer_value(part));
        }
    }
    return at;
}

static bool regex_finds(const char *pattern, const char *text) {
    pcre2_code *regex = compile(pattern, NULL, 0);
    if (regex == NULL) {
        return false;
    }
    pcre2_match_context *limits = pcre2_match_context_create(NULL);
    pcre2_match_data *data = pcre2_match_data_create(1, NULL);
    pcre2_set_match_limit(limits, REGEX_MATCH_LIMIT);
    pcre2_set_depth_limit(limits, REGEX_DEPTH_LIMIT);
    pcre2_set_heap_limit(limits, REGEX_HEAP_LIMIT_KIB);
    int found = pcre2_match(regex, (PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED, 0, 0, data, limits);
    pcre2_match_data_free(data);
    pcre2_match_context_free(limits);
    pcre2_code_free(regex);
    return found >= 0;
}

static bool number_of(const char *text, double *value) {
    char *end;
    if (*text == '\0' || strspn(text, "+-0123456789.eE") != strlen(text)) {
        return false;
    }
    *value = strtod(text, &end);
    return *end == '\0' && isfinite(*value);
}

static bool compare_numbers(const char *op, double a, double b) {
    bool equal = !(a < b) && !(a > b);
    return op[0] == '<' ? a < b || (op[1] == '=' && equal) : a > b || (op[1] == '=' && equal);
}

static bool compare(const char *op, const json_t *found, const json_t *wanted) {
    char *left = found != NULL ? rule_value_text(found) : NULL;
    char *right = rule_value_text(wanted);
    double a, b;
    bool result = false;
    if (left == NULL || right == NULL) {
        result = false;
    } else if (strcmp(op, "=") == 0) {
        result = strcmp(left, right) == 0;
    } else if (strcmp(op, "~") == 0) {
        result = regex_finds(right, left);
    } else {
        result = number_of(left, &a) && number_of(right, &b) && compare_numbers(op, a, b);
    }
    mem_free(left);
    mem_free(right);
    return result;
}

bool rule_matches(const json_t *rule, const json_t *node) {
    const char *op = operator_of(rule);
    size_t n = json_array_size(rule);
    if (is_comparison(op)) {
        return compare(op, look_up(json_array_get(rule, 1), node), json_array_get(rule, 2));
    }
    if (strcmp(op, "not") == 0) {
        return !rule_matches(json_array_get(rule, 1), node);
    }
    bool all = strcmp(op, "and") == 0;
    for (size_t i = 1; i < n; i++) {
        if (rule_matches(json_array_get(rule, i), node) != all) {
            return !all;
        }
    }
    return all;
}

json_t *rule_explain(const json_t *rule, const json_t *node) {
    const char *op = operator_of(rule);
    json_t *form = json_array();
    json_array_append(form, json_array_get(rule, 0));
    if (is_comparison(op)) {
        json_t *path = json_array_get(rule, 1);
        const json_t *found = look_up(path, node);
        json_array_append_new(
            form, json_pack("{s:O, s:o}", "path", path, "value", found != NULL ? json_deep_copy(found) : json_null()));
        json_array_append(form, json_array_get(rule, 2));
    } else {
        for (size_t i = 1; i < json_array_size(rule); i++) {
            json_array_append_new(form, rule_explain(json_array_get(rule, i), node));
        }
    }
    return json_pack("{s:b, s:o}", "value", (int)rule_matches(rule, node), "form", form);
}

static bool always_true(const json_t *rule) {
    return strcmp(operator_of(rule), "~") == 0 && json_is_string(json_array_get(rule, 1)) &&
           strcmp(json_string_value(json_array_get(rule, 1)), "name") == 0 && json_is_string(json_array_get(rule, 2)) &&
           strcmp(json_string_value(json_array_get(rule, 2)), ".*") == 0;
}

static void append_operand(json_t *to, const char *op, json_t *operand) {
    if (strcmp(operator_of(operand), op) == 0) {
        for (size_t i = 1; i < json_array_size(operand); i++) {
            json_array_append(to, json_array_get(operand, i));
        }
        json_decref(operand);
    } else {
        json_array_append_new(to, operand);
    }
}

json_t *rule_simplified(const json_t *rule) {
    const char *op = operator_of(rule);
    size_t n = json_array_size(rule);
    if (is_comparison(op)) {
        return json_deep_copy(rule);
    }
    json_t *simple = json_pack("[s]", op);
    json_t *dropped = NULL;
    for (size_t i = 1; i < n; i++) {
        json_t *operand = rule_simplified(json_array_get(rule, i));
        if (strcmp(op, "and") == 0 && always_true(operand)) {
            json_decref(dropped);
            dropped = operand;
        } else if (is_junction(op)) {
            append_operand(simple, op, operand);
        } else {
            json_array_append_new(simple, operand);
        }
    }
    if (json_array_size(simple) == 1 && dropped != NULL) {
        json_array_append(simple, dropped);
    }
    json_decref(dropped);
    if (is_junction(op) && json_array_size(simple) == 2) {
        json_t *only = json_incref(json_array_get(simple, 1));
        json_decref(simple);
        return only;
    }
    return simple;
}

static bool is_pin(const json_t *rule) {
    return strcmp(operator_of(rule), "=") == 0 && json_is_string(json_array_get(rule, 1)) &&
           strcmp(json_string_value(json_array_get(rule, 1)), "name") == 0;
}

static bool is_pin_of(const json_t *rule, const char *node) {
    return is_pin(rule) && strcmp(json_string_value(json_array_get(rule, 2)), node) == 0;
}

static bool is_pinned_or(const json_t *rule) {
    if (strcmp(operator_of(rule), "or") != 0) {
        return false;
    }
    for (size_t i = 1; i < json_array_size(rule); i++) {
        if (is_pin(json_array_get(rule, i))) {
            return true;
        }
    }
    return false;
}

bool rule_pins(const json_t *rule, const char *node) {
    for (size_t i = 1; rule != NULL && is_pinned_or(rule) && i < json_array_size(rule); i++) {
        if (is_pin_of(json_array_get(rule, i), node)) {
            return true;
        }
    }
    return false;
}

json_t *rule_pin(const json_t *rule, const char *node) {
    if (rule_pins(rule, node)) {
        return json_deep_copy(rule);
    }
    json_t *pinned = rule != NULL && is_pinned_or(rule) ? json_deep_copy(rule) : json_pack("[s]", "or");
    if (rule != NULL && !is_pinned_or(rule)) {
        json_array_append_new(pinned, json_deep_copy(rule));
    }
    json_array_append_new(pinned, json_pack("[s, s, s]", "=", "name", node));
    return pinned;
}

json_t *rule_unpin(const json_t *rule, const char *node) {
    if (!rule_pins(rule, node)) {
        return rule != NULL ? json_deep_copy(rule) : NULL;
    }
    json_t *left = json_pack("[s]", "or");
    for (size_t i = 1; i < json_array_size(rule); i++) {
        if (!is_pin_of(json_array_get(rule, i), node)) {
            json_array_append_new(left, json_deep_copy(json_array_get(rule, i)));
        }
    }
    size_t n = json_array_size(left);
    json_t *result = n == 1 ? NULL : json_incref(left);
    if (n == 2 && !is_pin(json_array_get(left, 1))) {
        json_decref(result);
        result = json_incref(json_array_get(left, 1));
    }
    json_decref(left);
    return result;
}
