/* Authorization rules from configuration; every mistake names its place and stops the load. */
#include "base/json.h"
#include "base/mem.h"
#include "base/option.h"
#include "broker/rules_internal.h"
#include <string.h>

static const char *const section_keys[] = {"version", "allow-header-cert-info", "rules"};
static const char *const rule_keys[] = {"name",  "sort-order", "match-request",
                                        "allow", "deny",       "allow-unauthenticated"};
static const char *const match_keys[] = {"path", "type", "method", "query-params"};

struct loader {
    const struct hocon *h;
    bool targets_alias;
    struct rules *rules;
    struct error *err;

    /* of the rule being read */
    const json_t *json;
    struct rule *rule;
    pcre2_code *path; /* NULL: a literal prefix */
    pcre2_match_data *path_match;
    int path_groups; /* groups of the pattern */
};

/* "file:line:column: text" for what stands under `key` of the object (or the object's i-th element when key is NULL).
 */
static bool fail(struct loader *l, const json_t *parent, const char *key, size_t i, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
static bool fail(struct loader *l, const json_t *parent, const char *key, size_t i, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    if (key != NULL) {
        hocon_where(l->h, parent, key, &text);
    } else {
        hocon_where_at(l->h, parent, i, &text);
    }
    buf_append_cstr(&text, ": authorization: ");
    if (l->rule != NULL && l->rule->name != NULL) {
        buf_printf(&text, "rule '%s': ", l->rule->name);
    }
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    error_set(l->err, "config/authorization", "%s", text.ptr);
    buf_free(&text);
    return false;
}

static bool known_keys(struct loader *l, const json_t *object, const char *const *keys, size_t count) {
    const char *key = json_unknown_key(object, keys, count);
    if (key == NULL) {
        return true;
    }
    const char *near = nearest_word(key, keys, count);
    return fail(l, object, key, 0, "unknown key '%s'%s%s", key, near != NULL ? ", did you mean " : "",
                near != NULL ? near : "");
}

static pcre2_code *compile(struct loader *l, const json_t *parent, const char *key, size_t at, struct span pattern) {
    int code;
    PCRE2_SIZE offset;
    if (pattern.len > RULES_PATTERN_MAX) {
        fail(l, parent, key, at, "the regular expression is longer than %d bytes", RULES_PATTERN_MAX);
        return NULL;
    }
    pcre2_code *regex =
        pcre2_compile((PCRE2_SPTR)pattern.ptr, pattern.len, PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C, &code, &offset, NULL);
    if (regex == NULL) {
        PCRE2_UCHAR text[128];
        pcre2_get_error_message(code, text, sizeof text);
        fail(l, parent, key, at, "the regular expression is wrong at character %zu: %s", offset + 1, (char *)text);
    }
    return regex;
}

/* ---- allow and deny */

/* "$1" and the like become what the path's pattern captured; of the broker's one path that is known now. */
static bool expand(struct loader *l, const json_t *parent, const char *key, size_t at, struct span text,
                   struct buf *out) {
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] != '$' || i + 1 == text.len || text.ptr[i + 1] < '1' || text.ptr[i + 1] > '9') {
            buf_append_char(out, text.ptr[i]);
            continue;
        }
        int group = text.ptr[++i] - '0';
        if (group > l->path_groups) {
            return fail(l, parent, key, at, "$%d refers to a group that the path's pattern does not have", group);
        }
        PCRE2_SIZE *ends = pcre2_get_ovector_pointer(l->path_match);
        if (l->rule->possible && ends[2 * group] != PCRE2_UNSET) {
            buf_append(out, &RULES_PATH[ends[2 * group]], ends[2 * group + 1] - ends[2 * group]);
        }
    }
    return true;
}

static bool name_entry(struct loader *l, const json_t *parent, const char *key, size_t at, struct span text,
                       struct entries *to) {
    struct entry e = {0};
    struct buf name = BUF_INIT;
    if (text.len == 0) {
        return fail(l, parent, key, at, "an empty name");
    }
    if (!span_eq_cstr(text, "*") && text.len > 2 && text.ptr[0] == '/' && text.ptr[text.len - 1] == '/') {
        e.kind = ENTRY_REGEX;
        e.regex = compile(l, parent, key, at, span_sub(text, 1, text.len - 2));
        if (e.regex == NULL) {
            return false;
        }
    } else {
        if (!expand(l, parent, key, at, text, &name)) {
            buf_free(&name);
            return false;
        }
        struct span s = buf_span(&name);
        e.kind = span_eq_cstr(text, "*")     ? ENTRY_ANYONE
                 : span_starts_with(s, "*.") ? ENTRY_SUBTREE
                 : span_find(s, '.') >= 0    ? ENTRY_DOMAIN
                                             : ENTRY_OPAQUE;
        e.text = span_dup(e.kind == ENTRY_SUBTREE ? span_sub(s, 1, s.len) : s);
        if (span_find(span_of(e.text), '*') >= 0 && e.kind != ENTRY_ANYONE) {
            fail(l, parent, key, at, "'%s': '*' may only stand alone or as \"*.\" at the start", e.text);
            mem_free(e.text);
            buf_free(&name);
            return false;
        }
    }
    buf_free(&name);
    to->items = mem_grow(to->items, &to->cap, to->count + 1, sizeof *to->items);
    to->items[to->count++] = e;
    return true;
}

static bool names_entry(struct loader *l, const json_t *parent, const char *key, size_t at, const json_t *names,
                        struct entries *to) {
    if (json_is_string(names)) {
        return name_entry(l, parent, key, at, json_span(names), to);
    }
    size_t i;
    json_t *name;
    if (!json_is_array(names) || json_array_size(names) == 0) {
        return fail(l, parent, key, at, "expected a name or a list of names");
    }
    json_array_foreach(names, i, name) {
        if (!json_is_string(name)) {
            return fail(l, names, NULL, i, "expected a name");
        }
        if (!name_entry(l, names, NULL, i, json_span(name), to)) {
            return false;
        }
    }
    return true;
}

/* {dns-name: …, ip: …}: names that an alternative name must fit. */
static bool alt_name_condition(struct loader *l, const json_t *map, const json_t *kinds, struct condition *c) {
    static const char *const known[] = {"dns-name", "ip"};
    const char *kind;
    json_t *names;
    if (!json_is_object(kinds) || json_object_size(kinds) == 0) {
        return fail(l, map, "subject-alt-name", 0, "'subject-alt-name' must be a map of names by kind");
    }
    json_object_foreach((json_t *)(uintptr_t)kinds, kind, names) {
        if (!str_eq(kind, known[0]) && !str_eq(kind, known[1])) {
            return fail(l, kinds, kind, 0, "alternative names of the kind '%s' are not known here: dns-name, ip", kind);
        }
        if (!names_entry(l, kinds, kind, 0, names, &c->names)) {
            return false;
        }
    }
    return true;
}

static bool value_condition(struct loader *l, const json_t *map, const char *name, const json_t *value,
                            struct condition *c) {
    const char *oid = extension_oid(name);
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    if (oid == NULL) {
        const char *near = extension_nearest(name);
        return fail(l, map, name, 0, "'%s' is neither an extension of Puppet's nor an OID%s%s", name,
                    near != NULL ? ", did you mean " : "", near != NULL ? near : "");
    }
    c->oid = str_dup(oid);
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
        if (!json_is_string(one)) {
            return fail(l, map, name, 0, "the values of '%s' must be strings", name);
        }
        c->values = mem_grow(c->values, &c->cap, c->count + 1, sizeof *c->values);
        c->values[c->count++] = span_dup(json_span(one));
    }
    return true;
}

/* {pp_role: [broker, master], 1.3.6.1.4.1.34380.1.3.1: true, subject-alt-name: {dns-name: …}}: all of them must hold.
 */
static bool extension_entry(struct loader *l, const json_t *parent, const char *key, size_t at, const json_t *map,
                            struct entries *to) {
    const char *name;
    json_t *value;
    if (json_object_size(map) == 0) {
        return fail(l, parent, key, at, "'extensions' names none");
    }
    struct entry *e = mem_grow(to->items, &to->cap, to->count + 1, sizeof *to->items);
    to->items = e;
    e += to->count++;
    *e = (struct entry){.kind = ENTRY_EXTENSIONS,
                        .conditions = mem_array(json_object_size(map), sizeof(struct condition))};
    json_object_foreach((json_t *)(uintptr_t)map, name, value) {
        struct condition *c = &e->conditions[e->condition_count++];
        if (str_eq(name, "subject-alt-name") ? !alt_name_condition(l, map, value, c)
                                             : !value_condition(l, map, name, value, c)) {
            return false;
        }
    }
    return true;
}

static bool entry(struct loader *l, const json_t *parent, const char *key, size_t at, const json_t *value,
                  struct entries *to) {
    if (json_is_string(value)) {
        return name_entry(l, parent, key, at, json_span(value), to);
    }
    if (json_is_object(value) && json_object_size(value) == 1) {
        const json_t *certname = json_object_get(value, "certname"), *extensions = json_object_get(value, "extensions");
        if (json_is_string(certname)) {
            return name_entry(l, parent, key, at, json_span(certname), to);
        }
        if (json_is_object(extensions)) {
            return extension_entry(l, parent, key, at, extensions, to);
        }
        if (json_object_get(value, "rbac") != NULL) {
            return fail(l, parent, key, at,
                        "entries of the kind 'rbac' need an RBAC service, which a broker does not ask");
        }
    }
    return fail(l, parent, key, at, "expected a name, {certname: …} or {extensions: …}");
}

static bool load_entries(struct loader *l, const char *key, struct entries *to) {
    const json_t *value = json_object_get(l->json, key);
    if (value == NULL) {
        return true;
    }
    if (!json_is_array(value)) {
        return entry(l, l->json, key, 0, value, to);
    }
    size_t i;
    json_t *item;
    json_array_foreach(value, i, item) {
        if (!entry(l, value, NULL, i, item, to)) {
            return false;
        }
    }
    return true;
}

/* ---- match-request */

static bool load_path(struct loader *l, const json_t *match) {
    const char *path = json_str(match, "path"), *type = json_str(match, "type");
    if (path == NULL) {
        return fail(l, l->json, "match-request", 0, "needs a string 'path'");
    }
    if (str_eq(type, "path")) {
        l->rule->possible = span_starts_with(SPAN(RULES_PATH), path);
        return true;
    }
    if (!str_eq(type, "regex")) {
        return fail(l, match, type != NULL ? "type" : "path", 0, "'type' must be \"path\" or \"regex\"");
    }
    l->path = compile(l, match, "path", 0, span_of(path));
    if (l->path == NULL) {
        return false;
    }
    uint32_t groups = 0;
    pcre2_pattern_info(l->path, PCRE2_INFO_CAPTURECOUNT, &groups);
    l->path_groups = (int)groups;
    l->path_match = pcre2_match_data_create_from_pattern(l->path, NULL);
    l->rule->possible =
        pcre2_match(l->path, (PCRE2_SPTR)RULES_PATH, sizeof RULES_PATH - 1, 0, 0, l->path_match, l->rules->limits) >= 0;
    return true;
}

static bool load_method(struct loader *l, const json_t *match) {
    static const char *const methods[] = {"get", "post", "put", "delete", "head"};
    const json_t *value = json_object_get(match, "method");
    bool ours = value == NULL;
    size_t count = json_is_array(value) ? json_array_size(value) : value != NULL;
    for (size_t i = 0; i < count; i++) {
        struct span method = json_span(json_is_array(value) ? json_array_get(value, i) : value);
        bool known = false;
        for (size_t k = 0; k < sizeof methods / sizeof methods[0]; k++) {
            known = known || span_eq_nocase(method, methods[k]);
        }
        if (!known) {
            return fail(l, match, "method", 0, "'method' must be get, post, put, delete or head, or a list of them");
        }
        ours = ours || span_eq_nocase(method, RULES_METHOD);
    }
    l->rule->possible = l->rule->possible && ours;
    return true;
}

static bool load_values(struct loader *l, const json_t *params, const char *name, const json_t *value,
                        struct param *to) {
    size_t count = json_is_array(value) ? json_array_size(value) : 1;
    for (size_t i = 0; i < count; i++) {
        const json_t *one = json_is_array(value) ? json_array_get(value, i) : value;
        if (!json_is_string(one)) {
            return fail(l, params, name, 0, "the values of '%s' must be strings", name);
        }
        if (to != NULL) {
            to->values = mem_grow(to->values, &to->cap, to->count + 1, sizeof *to->values);
            to->values[to->count++] = span_dup(json_span(one));
        }
    }
    if (to != NULL) {
        to->listed = true;
    } else {
        l->rule->possible = false; /* a parameter that no message has */
    }
    return true;
}

static bool load_params(struct loader *l, const json_t *match) {
    static const char *const names[PARAM_COUNT] = {"sender", "target", "message_type"};
    const json_t *params = json_object_get(match, "query-params");
    const char *name;
    json_t *value;
    if (params != NULL && !json_is_object(params)) {
        return fail(l, match, "query-params", 0, "'query-params' must be a map");
    }
    json_object_foreach((json_t *)params, name, value) {
        struct param *to = NULL;
        for (size_t i = 0; i < PARAM_COUNT; i++) {
            to = str_eq(name, names[i]) ? &l->rule->params[i] : to;
        }
        if (l->targets_alias && str_eq(name, "targets")) {
            to = &l->rule->params[PARAM_TARGET];
        }
        if (!load_values(l, params, name, value, to)) {
            return false;
        }
    }
    return true;
}

/* ---- a rule */

static bool load_basics(struct loader *l) {
    const json_t *order = json_object_get(l->json, "sort-order"),
                 *open = json_object_get(l->json, "allow-unauthenticated");
    if (!json_is_integer(order) || json_integer_value(order) < 1 || json_integer_value(order) > 999) {
        return fail(l, l->json, order != NULL ? "sort-order" : "name", 0,
                    "'sort-order' must be a number from 1 to 999");
    }
    if (open != NULL && !json_is_boolean(open)) {
        return fail(l, l->json, "allow-unauthenticated", 0, "'allow-unauthenticated' must be true or false");
    }
    l->rule->sort_order = json_integer_value(order);
    l->rule->allow_unauthenticated = json_is_true(open);
    bool lists = json_object_get(l->json, "allow") != NULL || json_object_get(l->json, "deny") != NULL;
    if (!lists && open == NULL) {
        return fail(l, l->json, "name", 0, "needs one of 'allow', 'deny' and 'allow-unauthenticated'");
    }
    if (lists && l->rule->allow_unauthenticated) {
        return fail(l, l->json, "allow-unauthenticated", 0, "'allow' and 'deny' have no meaning beside it");
    }
    for (size_t i = 0; i + 1 < l->rules->count; i++) {
        if (str_eq(l->rules->items[i].name, l->rule->name)) {
            return fail(l, l->json, "name", 0, "another rule has this name");
        }
    }
    return true;
}

static bool load_rule(struct loader *l, const json_t *list, size_t i) {
    struct rules *r = l->rules;
    l->json = json_array_get(list, i);
    r->items = mem_grow(r->items, &r->cap, r->count + 1, sizeof *r->items);
    r->items[r->count] = (struct rule){0};
    l->rule = &r->items[r->count++];
    if (!json_is_object(l->json)) {
        return fail(l, list, NULL, i, "a rule must be a map");
    }
    const char *name = json_str(l->json, "name");
    if (name == NULL) {
        return fail(l, list, NULL, i, "a rule needs a string 'name'");
    }
    l->rule->name = str_dup(name);
    const json_t *match = json_object_get(l->json, "match-request");
    if (!json_is_object(match)) {
        return fail(l, l->json, match != NULL ? "match-request" : "name", 0, "needs a map 'match-request'");
    }
    return known_keys(l, l->json, rule_keys, sizeof rule_keys / sizeof rule_keys[0]) &&
           known_keys(l, match, match_keys, sizeof match_keys / sizeof match_keys[0]) && load_basics(l) &&
           load_path(l, match) && load_method(l, match) && load_params(l, match) &&
           load_entries(l, "deny", &l->rule->deny) && load_entries(l, "allow", &l->rule->allow);
}

static bool load_rules(struct loader *l, const json_t *section, const json_t *list) {
    if (!json_is_array(list)) {
        return fail(l, section, "rules", 0, "'rules' must be a list of rules");
    }
    if (json_array_size(list) > RULES_MAX) {
        return fail(l, section, "rules", 0, "more than %d rules", RULES_MAX);
    }
    for (size_t i = 0; i < json_array_size(list); i++) {
        bool ok = load_rule(l, list, i);
        pcre2_match_data_free(l->path_match);
        pcre2_code_free(l->path);
        l->path_match = NULL;
        l->path = NULL;
        l->path_groups = 0;
        if (!ok) {
            return false;
        }
    }
    return true;
}

struct rules *rules_load(const struct hocon *h, bool targets_alias, struct error *err) {
    struct loader l = {.h = h, .targets_alias = targets_alias, .rules = rules_new(), .err = err};
    const json_t *root = hocon_root(h), *section = json_object_get(root, "authorization");
    const json_t *header = json_object_get(section, "allow-header-cert-info");
    bool ok;
    if (!json_is_object(section)) {
        ok = fail(&l, root, "authorization", 0, "there is no section 'authorization'");
    } else if (json_int(section, "version", 0) != 1) {
        ok = fail(&l, section, "version", 0, "'version' must be 1");
    } else if (header != NULL && !json_is_boolean(header)) {
        ok = fail(&l, section, "allow-header-cert-info", 0, "'allow-header-cert-info' must be true or false");
    } else {
        ok = known_keys(&l, section, section_keys, sizeof section_keys / sizeof section_keys[0]) &&
             load_rules(&l, section, json_object_get(section, "rules"));
    }
    if (!ok) {
        rules_free(l.rules);
        return NULL;
    }
    l.rules->header_identity = json_is_true(header);
    rules_sort(l.rules);
    return l.rules;
}
