/* See compare.h. Both answers are brought to one canonical text, and those are compared. */
#include "simulator/interop/compare.h"
#include "base/mem.h"
#include "fakes/common/fake.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXCERPT_BEFORE = 160, EXCERPT_AFTER = 320 };

static bool texts(const json_t *list, const char *const *keys) {
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        for (const char *const *k = keys; *k != NULL; k++) {
            if (json_str(item, *k) == NULL) {
                return false;
            }
        }
    }
    return list == NULL || json_is_array(list);
}

bool compare_rules_valid(const json_t *rules, struct error *err) {
    static const char *const difference[] = {"name", "part", "reason", NULL}, *const skip[] = {"name", "reason", NULL};
    return (json_is_object(rules) && texts(json_object_get(rules, "differences"), difference) &&
            texts(json_object_get(rules, "skip"), skip)) ||
           error_set(err, "interop", "each difference has a name, a part and a reason, each skip a name and a reason");
}

const char *compare_skipped(const struct compare *c, const char *name) {
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(c->rules, "skip"), i, item) {
        if (glob_match(json_str(item, "name"), name)) {
            return json_str(item, "reason");
        }
    }
    return NULL;
}

static json_t *rule_of(const struct compare *c, const char *name, const char *part) {
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(c->rules, "differences"), i, item) {
        if (glob_match(json_str(item, "name"), name) && glob_match(json_str(item, "part"), part)) {
            return item;
        }
    }
    return NULL;
}

bool compare_ties(const struct compare *c, const char *name) {
    json_t *rule = rule_of(c, name, "order");
    if (rule != NULL) {
        json_set(rule, "used", json_true());
    }
    return rule != NULL;
}

/* ---- canonical forms */

struct canon {
    const struct compare *c;
    const char *name;
    bool ordered;
};

static json_t *canonical(const struct canon *n, const char *part, const json_t *value);

static int by_text(const void *a, const void *b) {
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Rows without an order: those of the answer, and what is nested as "data" (expanded columns) or "modules". */
static bool is_set(const struct canon *n, const char *part) {
    char *order = str_printf("order of %s", part);
    json_t *rule = rule_of(n->c, n->name, order);
    mem_free(order);
    if (rule != NULL) {
        json_set(rule, "used", json_true());
        return true;
    }
    return (!n->ordered && strcmp(part, "body") == 0) || span_ends_with(span_of(part), ".data") ||
           span_ends_with(span_of(part), ".modules");
}

static json_t *canonical_array(const struct canon *n, const char *part, const json_t *value) {
    size_t count = json_array_size(value);
    char **rows = mem_array(count + 1, sizeof(*rows));
    char *child = str_printf("%s.*", part);
    for (size_t i = 0; i < count; i++) {
        json_t *row = canonical(n, child, json_array_get(value, i));
        rows[i] = json_dumps(row, JSON_ENCODE_ANY | JSON_SORT_KEYS);
        json_decref(row);
    }
    if (is_set(n, part)) {
        qsort(rows, count, sizeof(*rows), by_text);
    }
    json_t *out = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append_new(out, json_loads(rows[i], JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL));
        free(rows[i]);
    }
    mem_free(rows);
    mem_free(child);
    return out;
}

static json_t *canonical_object(const struct canon *n, const char *part, const json_t *value) {
    json_t *out = json_object(), *item;
    const char *key;
    json_object_foreach((json_t *)(uintptr_t)value, key, item) {
        char *child = str_printf("%s.%s", part, key);
        json_t *rule = rule_of(n->c, n->name, child);
        if (json_bool(rule, "absent", false)) {
            json_set(rule, "used", json_true());
        } else {
            json_set(out, key, canonical(n, child, item));
        }
        mem_free(child);
    }
    return out;
}

static json_t *canonical(const struct canon *n, const char *part, const json_t *value) {
    static const char *const types[] = {"object", "array", "text", "number", "number", "flag", "flag", "null"};
    json_t *rule = rule_of(n->c, n->name, part);
    const char *until = json_str(rule, "until");
    if (rule != NULL && until == NULL) {
        json_set(rule, "used", json_true());
        return json_sprintf("<%s>", types[json_typeof(value)]);
    }
    ptrdiff_t cut = until != NULL ? span_find_span(json_span(value), span_of(until)) : -1;
    if (cut >= 0) {
        json_set(rule, "used", json_true());
        return json_str_new(span_sub(json_span(value), 0, (size_t)cut));
    }
    if (json_is_array(value)) {
        return canonical_array(n, part, value);
    }
    if (json_is_object(value)) {
        return canonical_object(n, part, value);
    }
    if (json_is_real(value) && json_real_value(value) == floor(json_real_value(value)) &&
        fabs(json_real_value(value)) < 1e15) {
        return json_integer((json_int_t)json_real_value(value)); /* 5.0 and 5 */
    }
    return json_deep_copy(value);
}

static void replace_address(struct buf *text, const char *address) {
    struct buf out = BUF_INIT;
    struct span rest = buf_span(text), what = span_of(address);
    ptrdiff_t at;
    while ((at = span_find_span(rest, what)) >= 0) {
        buf_append_span(&out, span_sub(rest, 0, (size_t)at));
        buf_append_cstr(&out, "<address>");
        rest = span_sub(rest, (size_t)at + what.len, SIZE_MAX);
    }
    buf_append_span(&out, rest);
    buf_free(text);
    *text = out;
}

static char *canonical_text(const struct compare *c, const char *name, const struct buf *body, const char *address) {
    json_t *rule = rule_of(c, name, "body");
    if (rule != NULL && json_str(rule, "until") == NULL) {
        json_set(rule, "used", json_true());
        return str_dup("<text>");
    }
    struct buf text = BUF_INIT;
    buf_append_span(&text, buf_span(body));
    replace_address(&text, address);
    const char *until = json_str(rule, "until");
    ptrdiff_t at = until != NULL ? span_find_span(buf_span(&text), span_of(until)) : -1;
    if (at >= 0) {
        json_set(rule, "used", json_true());
        text.len = (size_t)at;
    }
    char *out = span_dup(buf_span(&text));
    buf_free(&text);
    return out;
}

static char *canonical_body(const struct compare *c, const char *name, bool ordered, const struct answer *a,
                            const char *address) {
    const char *type = json_str(a->headers, "content-type");
    json_t *value = NULL;
    if (type != NULL && strstr(type, "json") != NULL) {
        value = json_loadb(a->body.ptr != NULL ? a->body.ptr : "", a->body.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    }
    if (value == NULL) {
        return canonical_text(c, name, &a->body, address);
    }
    struct canon n = {.c = c, .name = name, .ordered = ordered};
    json_t *same = canonical(&n, "body", value);
    char *dumped = json_dumps(same, JSON_ENCODE_ANY | JSON_SORT_KEYS);
    char *text = str_dup(dumped);
    free(dumped);
    json_decref(same);
    json_decref(value);
    return text;
}

/* ---- what differs */

static char *excerpt(const char *fake, const char *real) {
    size_t at = 0;
    while (fake[at] != '\0' && fake[at] == real[at]) {
        at++;
    }
    size_t from = at > EXCERPT_BEFORE ? at - EXCERPT_BEFORE : 0;
    return str_printf("\n    fake  …%.*s\n    real  …%.*s", EXCERPT_BEFORE + EXCERPT_AFTER, fake + from,
                      EXCERPT_BEFORE + EXCERPT_AFTER, real + from);
}

static char *compare_headers(const struct compare *c, const char *name, const struct answer *fake,
                             const struct answer *real) {
    static const char *const compared[] = {"content-type",     "x-records",     "location",         "vary",
                                           "content-encoding", "cache-control", "x-puppet-version", "etag"};
    for (size_t i = 0; i < sizeof(compared) / sizeof(compared[0]); i++) {
        struct buf texts_of[2] = {BUF_INIT, BUF_INIT};
        const char *given[2] = {json_str(fake->headers, compared[i]), json_str(real->headers, compared[i])};
        for (int k = 0; k < 2; k++) {
            buf_append_cstr(&texts_of[k], given[k] != NULL ? given[k] : "(absent)");
            replace_address(&texts_of[k], k == 0 ? c->fake_url : c->real_url);
        }
        bool same = span_eq(buf_span(&texts_of[0]), buf_span(&texts_of[1]));
        char *part = str_printf("header.%s", compared[i]);
        json_t *rule = same ? NULL : rule_of(c, name, part);
        mem_free(part);
        if (rule != NULL) {
            json_set(rule, "used", json_true());
        }
        char *why = same || rule != NULL
                        ? NULL
                        : str_printf("header %s is %.*s, really %.*s", compared[i], (int)texts_of[0].len,
                                     texts_of[0].ptr, (int)texts_of[1].len, texts_of[1].ptr);
        buf_free(&texts_of[0]);
        buf_free(&texts_of[1]);
        if (why != NULL) {
            return why;
        }
    }
    return NULL;
}

char *compare_answers(const struct compare *c, const char *name, bool ordered, const struct answer *fake,
                      const struct answer *real) {
    char *fake_body = canonical_body(c, name, ordered, fake, c->fake_url);
    char *real_body = canonical_body(c, name, ordered, real, c->real_url);
    char *why = NULL;
    if (fake->status != real->status) {
        why = str_printf("status is %d, really %d\n    fake  %.300s\n    real  %.300s", fake->status, real->status,
                         fake->failure != NULL ? fake->failure : fake_body,
                         real->failure != NULL ? real->failure : real_body);
    } else if ((why = compare_headers(c, name, fake, real)) == NULL && strcmp(fake_body, real_body) != 0) {
        char *where = excerpt(fake_body, real_body);
        why = str_printf("body differs%s", where);
        mem_free(where);
    }
    mem_free(fake_body);
    mem_free(real_body);
    return why;
}
