/* Templates: filling, reading, matching. */
#include "scenarios/conformance/match.h"
#include "base/mem.h"
#include <assert.h>
#include <ctype.h>
#include <regex.h>
#include <string.h>

void variables_init(struct variables *v) {
    map_init(&v->texts);
}

void variables_free(struct variables *v) {
    for (struct map_iter i = map_iter(&v->texts); map_next(&i);) {
        mem_free(i.value);
    }
    map_free(&v->texts);
}

void variables_set(struct variables *v, const char *name, const char *text) {
    mem_free(map_put(&v->texts, span_of(name), str_dup(text)));
}

const char *variables_get(const struct variables *v, const char *name) {
    return map_get_cstr(&v->texts, name);
}

char *variables_fill(const struct variables *v, const char *text) {
    struct buf out = BUF_INIT;
    while (*text != '\0') {
        const char *end = text[0] == '$' && text[1] == '{' ? strchr(text, '}') : NULL;
        const char *value = end != NULL ? map_get(&v->texts, span_bytes(text + 2, (size_t)(end - text - 2))) : NULL;
        if (value != NULL) {
            buf_append_cstr(&out, value);
            text = end + 1;
        } else {
            buf_append_char(&out, *text++);
        }
    }
    return buf_take(&out);
}

json_t *template_read(const struct variables *v, const char *text) {
    bool single = strchr(text, '"') == NULL;
    char *filled = variables_fill(v, text);
    struct buf json = BUF_INIT;
    for (const char *p = filled; *p != '\0'; p++) {
        if (single && p[0] == '\\' && p[1] == '\'') {
            buf_append_char(&json, *++p);
        } else {
            buf_append_char(&json, single && *p == '\'' ? '"' : *p);
        }
    }
    struct error err = ERROR_INIT;
    json_t *value = json_parse(buf_span(&json), "template", &err);
    if (value == NULL) {
        fprintf(stderr, "conformance: a template is no JSON: %s\n%s\n", err.msg, json.ptr);
        assert(value != NULL);
    }
    buf_free(&json);
    mem_free(filled);
    return value;
}

/* ---- matching */

struct place {
    const struct place *parent;
    const char *key; /* or NULL: index */
    size_t index;
};

static void place_write(struct buf *out, const struct place *at) {
    if (at == NULL) {
        return;
    }
    place_write(out, at->parent);
    if (at->key != NULL) {
        buf_printf(out, "/%s", at->key);
    } else {
        buf_printf(out, "/%zu", at->index);
    }
}

static bool mismatch(char **why, const struct place *at, const char *expected, const json_t *got) {
    if (why != NULL) {
        mem_free(*why);
        struct buf out = BUF_INIT;
        buf_append_cstr(&out, "at ");
        place_write(&out, at);
        buf_printf(&out, "%s: expected %s, got ", at == NULL ? "the top" : "", expected);
        if (got == NULL) {
            buf_append_cstr(&out, "nothing");
        } else {
            json_write(&out, got);
        }
        *why = buf_take(&out);
    }
    return false;
}

static bool regex_matches(const char *pattern, const char *text) {
    char *whole = str_printf("^(%s)$", pattern);
    regex_t re;
    int failed = regcomp(&re, whole, REG_EXTENDED | REG_NOSUB);
    assert(failed == 0);
    bool ok = regexec(&re, text, 0, NULL, 0) == 0;
    regfree(&re);
    mem_free(whole);
    return ok;
}

static bool one_of(const char *list, const char *text) {
    struct span rest = span_of(list), item;
    while (span_split(&rest, '|', &item)) {
        if (span_eq_cstr(item, text)) {
            return true;
        }
    }
    return false;
}

static const struct {
    const char *word, *regex;
} shapes[] = {
    {"$uuid", "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"},
    {"$time", "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z"},
    {"$time-ms", "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]+Z"},
};

static bool special_matches(struct variables *v, const char *word, const json_t *got) {
    const char *text = json_string_value(got);
    if (strcmp(word, "$any") == 0) {
        return true;
    }
    if (strcmp(word, "$string") == 0 || strncmp(word, "$keep:", 6) == 0) {
        if (text != NULL && word[1] == 'k') {
            variables_set(v, word + 6, text);
        }
        return text != NULL;
    }
    if (strcmp(word, "$number") == 0 || strcmp(word, "$int") == 0) {
        return word[1] == 'n' ? json_is_number(got) : json_is_integer(got);
    }
    if (strcmp(word, "$bool") == 0) {
        return json_is_boolean(got);
    }
    if (strcmp(word, "$object") == 0 || strcmp(word, "$array") == 0) {
        return word[1] == 'o' ? json_is_object(got) : json_is_array(got);
    }
    if (text == NULL) {
        return false;
    }
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        if (strcmp(word, shapes[i].word) == 0) {
            return regex_matches(shapes[i].regex, text);
        }
    }
    if (strncmp(word, "$like:", 6) == 0) {
        return glob_match(word + 6, text);
    }
    if (strncmp(word, "$re:", 4) == 0) {
        return regex_matches(word + 4, text);
    }
    if (strncmp(word, "$or:", 4) == 0) {
        return one_of(word + 4, text);
    }
    return strcmp(word, text) == 0; /* a text that only begins so */
}

static bool match(struct variables *v, const json_t *want, const json_t *got, const struct place *at, char **why);

static bool object_match(struct variables *v, const json_t *want, const json_t *got, const struct place *at,
                         char **why) {
    const char *key;
    json_t *member;
    size_t known = 0;
    json_object_foreach((json_t *)(uintptr_t)want, key, member) {
        if (strcmp(key, "...") == 0) {
            continue;
        }
        size_t len = strlen(key);
        bool optional = len > 1 && key[len - 1] == '?';
        char *name = span_dup(span_bytes(key, len - (optional ? 1 : 0)));
        const json_t *value = json_object_get(got, name);
        struct place here = {at, name, 0};
        bool ok = true;
        if (json_is_string(member) && strcmp(json_string_value(member), "$absent") == 0) {
            ok = value == NULL || mismatch(why, &here, "no such member", value);
        } else if (value == NULL) {
            char *expected = json_text(member);
            ok = optional || mismatch(why, &here, expected, NULL);
            mem_free(expected);
        } else {
            ok = match(v, member, value, &here, why);
            known++;
        }
        mem_free(name);
        if (!ok) {
            return false;
        }
    }
    if (json_object_get(want, "...") == NULL && known != json_object_size(got)) {
        json_object_foreach((json_t *)(uintptr_t)got, key, member) {
            char *optional = str_printf("%s?", key);
            bool told = json_object_get(want, key) != NULL || json_object_get(want, optional) != NULL;
            mem_free(optional);
            if (!told) {
                struct place here = {at, key, 0};
                return mismatch(why, &here, "no such member", member);
            }
        }
    }
    return true;
}

static bool some_item(struct variables *v, const json_t *want, const json_t *got) {
    for (size_t i = 0; i < json_array_size(got); i++) {
        if (match(v, want, json_array_get(got, i), NULL, NULL)) {
            return true;
        }
    }
    return false;
}

static bool set_match(struct variables *v, const json_t *want, const json_t *got, const struct place *at, char **why) {
    bool exact = strcmp(json_string_value(json_array_get(want, 0)), "$set") == 0;
    for (size_t i = 1; i < json_array_size(want); i++) {
        if (!some_item(v, json_array_get(want, i), got)) {
            char *expected = json_text(json_array_get(want, i));
            mismatch(why, at, expected, got);
            mem_free(expected);
            return false;
        }
    }
    return !exact || json_array_size(got) == json_array_size(want) - 1 || mismatch(why, at, "no further items", got);
}

static bool array_match(struct variables *v, const json_t *want, const json_t *got, const struct place *at,
                        char **why) {
    const char *first = json_string_value(json_array_get(want, 0));
    if (first != NULL && (strcmp(first, "$has") == 0 || strcmp(first, "$set") == 0)) {
        return set_match(v, want, got, at, why);
    }
    bool each = first != NULL && strcmp(first, "$each") == 0;
    size_t count = json_array_size(want);
    const char *last = count != 0 ? json_string_value(json_array_get(want, count - 1)) : NULL;
    bool more = last != NULL && strcmp(last, "$more") == 0;
    count -= more ? 1 : 0;
    if (!each && (json_array_size(got) < count || (!more && json_array_size(got) != count))) {
        char *expected = str_printf("%zu items", count);
        mismatch(why, at, expected, got);
        mem_free(expected);
        return false;
    }
    for (size_t i = 0; i < (each ? json_array_size(got) : count); i++) {
        struct place here = {at, NULL, i};
        if (!match(v, json_array_get(want, each ? 1 : i), json_array_get(got, i), &here, why)) {
            return false;
        }
    }
    return true;
}

static bool match(struct variables *v, const json_t *want, const json_t *got, const struct place *at, char **why) {
    const char *word = json_string_value(want);
    if (word != NULL && word[0] == '$' && special_matches(v, word, got)) {
        return true;
    }
    if (json_is_object(want) && json_is_object(got)) {
        return object_match(v, want, got, at, why);
    }
    if (json_is_array(want) && json_is_array(got)) {
        return array_match(v, want, got, at, why);
    }
    if (json_equal(want, got)) {
        return true;
    }
    char *expected = json_text(want);
    mismatch(why, at, expected, got);
    mem_free(expected);
    return false;
}

bool template_match(struct variables *v, const json_t *want, const json_t *got, char **why) {
    if (why != NULL) {
        *why = NULL;
    }
    return match(v, want, got, NULL, why);
}
