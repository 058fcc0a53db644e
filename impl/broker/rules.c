/* Evaluation of authorization rules. Comparisons are exact where the reference's are too loose (pcp.md §14.2). */
#include "broker/rules.h"

#include "base/mem.h"
#include "broker/rules_internal.h"
#include <stdlib.h>
#include <string.h>

struct rules *rules_new(void) {
    struct rules *r = mem_zalloc(sizeof *r);
    r->match = pcre2_match_data_create(1, NULL);
    r->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(r->limits, RULES_MATCH_LIMIT);
    pcre2_set_depth_limit(r->limits, RULES_DEPTH_LIMIT);
    return r;
}

struct rules *rules_allow_all(void) {
    struct rules *r = rules_new();
    r->items = mem_grow(r->items, &r->cap, 1, sizeof *r->items);
    r->items[0] = (struct rule){
        .name = str_dup("everything"), .sort_order = 500, .possible = true, .allow_unauthenticated = true};
    r->count = 1;
    return r;
}

static void entries_free(struct entries *e);

static void conditions_free(struct condition *list, size_t count) {
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < list[i].count; k++) {
            mem_free(list[i].values[k]);
        }
        mem_free(list[i].values);
        mem_free(list[i].oid);
        entries_free(&list[i].names);
    }
    mem_free(list);
}

static void entries_free(struct entries *e) {
    for (size_t i = 0; i < e->count; i++) {
        conditions_free(e->items[i].conditions, e->items[i].condition_count);
        mem_free(e->items[i].text);
        pcre2_code_free(e->items[i].regex);
    }
    mem_free(e->items);
}

void rules_free(struct rules *r) {
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < r->count; i++) {
        struct rule *rule = &r->items[i];
        mem_free(rule->name);
        for (size_t p = 0; p < PARAM_COUNT; p++) {
            for (size_t k = 0; k < rule->params[p].count; k++) {
                mem_free(rule->params[p].values[k]);
            }
            mem_free(rule->params[p].values);
        }
        entries_free(&rule->deny);
        entries_free(&rule->allow);
    }
    mem_free(r->items);
    pcre2_match_data_free(r->match);
    pcre2_match_context_free(r->limits);
    mem_free(r);
}

size_t rules_count(const struct rules *r) {
    return r->count;
}

static int by_order_and_name(const void *a, const void *b) {
    const struct rule *x = a, *y = b;
    if (x->sort_order != y->sort_order) {
        return x->sort_order < y->sort_order ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

void rules_sort(struct rules *r) {
    if (r->count != 0) {
        qsort(r->items, r->count, sizeof *r->items, by_order_and_name);
    }
}

static bool entry_fits(const struct rules *r, const struct entry *e, const char *name) {
    struct span s = span_of(name);
    switch (e->kind) {
    case ENTRY_ANYONE:
        return true;
    case ENTRY_OPAQUE:
        return str_eq(name, e->text);
    case ENTRY_DOMAIN:
        return span_eq_nocase(s, e->text);
    case ENTRY_SUBTREE: {
        size_t len = strlen(e->text);
        return s.len > len && span_eq_nocase(span_sub(s, s.len - len, len), e->text);
    }
    case ENTRY_REGEX:
        return pcre2_match(e->regex, (PCRE2_SPTR)s.ptr, s.len, 0, 0, r->match, r->limits) >= 0;
    case ENTRY_EXTENSIONS:
        break; /* does not look at names */
    }
    return false;
}

static bool has_value(const struct condition *c, const char *value) {
    for (size_t i = 0; i < c->count; i++) {
        if (str_eq(c->values[i], value)) {
            return true;
        }
    }
    return false;
}

static bool condition_holds(const struct rules *r, const struct condition *c, const struct rules_request *q) {
    for (size_t i = 0; c->oid == NULL && i < q->alt_name_count; i++) {
        for (size_t k = 0; k < c->names.count; k++) {
            if (entry_fits(r, &c->names.items[k], q->alt_names[i])) {
                return true;
            }
        }
    }
    for (size_t i = 0; c->oid != NULL && i < q->extension_count; i++) {
        if (str_eq(q->extensions[i].oid, c->oid) && has_value(c, q->extensions[i].value)) {
            return true;
        }
    }
    return false;
}

static bool conditions_hold(const struct rules *r, const struct entry *e, const struct rules_request *q) {
    for (size_t i = 0; i < e->condition_count; i++) {
        if (!condition_holds(r, &e->conditions[i], q)) {
            return false;
        }
    }
    return true;
}

/* The common name or any of the alternative names, or the extensions. */
static bool entries_fit(const struct rules *r, const struct entries *entries, const struct rules_request *q) {
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *e = &entries->items[i];
        if (e->kind == ENTRY_EXTENSIONS ? conditions_hold(r, e, q) : entry_fits(r, e, q->common_name)) {
            return true;
        }
        for (size_t k = 0; k < q->alt_name_count; k++) {
            if (entry_fits(r, &entries->items[i], q->alt_names[k])) {
                return true;
            }
        }
    }
    return false;
}

static bool param_fits(const struct param *p, struct span value) {
    for (size_t i = 0; i < p->count; i++) {
        if (span_eq_cstr(value, p->values[i])) {
            return true;
        }
    }
    return !p->listed;
}

bool rules_allow(const struct rules *r, const struct rules_request *q, const char **rule) {
    for (size_t i = 0; i < r->count; i++) {
        const struct rule *it = &r->items[i];
        if (!it->possible || !param_fits(&it->params[PARAM_MESSAGE_TYPE], q->message_type) ||
            !param_fits(&it->params[PARAM_SENDER], q->sender) || !param_fits(&it->params[PARAM_TARGET], q->target)) {
            continue;
        }
        *rule = it->name;
        if (it->allow_unauthenticated) {
            return true;
        }
        bool authenticated = q->common_name != NULL && !r->header_identity;
        return authenticated && !entries_fit(r, &it->deny, q) && entries_fit(r, &it->allow, q);
    }
    *rule = NULL;
    return false;
}
