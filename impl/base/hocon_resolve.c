/* HOCON: replacing references, joining, merging, and the result as JSON. */
#include "base/hocon_node.h"
#include "base/json.h"
#include "base/mem.h"

struct resolver {
    struct hocon *h;
    struct error *err;
    unsigned depth;
};

/* *out becomes the value without references, NULL when it is undefined. */
static bool resolve(struct resolver *r, struct hocon_node *n, struct hocon_node **out);

/* All joining is charged to one account, so that references to references cannot blow up. */
static bool charge(struct resolver *r, struct hocon_place at, size_t amount) {
    r->h->joined += amount;
    return r->h->joined <= HOCON_JOINED_MAX || hocon_fail(r->h, at, r->err, "the joined values are too large");
}

static void write_path(const struct hocon_node *reference, struct buf *out) {
    for (size_t i = 0; i < reference->count; i++) {
        buf_append_cstr(out, i == 0 ? "" : ".");
        buf_append_cstr(out, reference->names[i]);
    }
}

static bool missing(struct resolver *r, const struct hocon_node *reference) {
    struct buf path = BUF_INIT;
    write_path(reference, &path);
    hocon_fail(r->h, reference->place, r->err, "${%s} is not defined", path.ptr);
    buf_free(&path);
    return false;
}

static bool from_environment(struct resolver *r, struct hocon_node *n, struct hocon_node **out) {
    struct buf path = BUF_INIT;
    write_path(n, &path);
    const char *text = r->h->opts.env != NULL ? r->h->opts.env(r->h->opts.ctx, path.ptr) : NULL;
    buf_free(&path);
    if (text == NULL || !span_is_utf8(span_of(text))) {
        return n->optional || missing(r, n);
    }
    return resolve(r, hocon_make_text(r->h, HOCON_STRING, n->place, span_of(text)), out);
}

static bool resolve_reference(struct resolver *r, struct hocon_node *n, struct hocon_node **out) {
    struct hocon_node *at = r->h->root;
    for (size_t i = 0; i < n->count && at != NULL; i++) {
        if (at->kind != HOCON_OBJECT && !resolve(r, at, &at)) {
            return false;
        }
        at = at != NULL && at->kind == HOCON_OBJECT ? hocon_member(at, span_of(n->names[i])) : NULL;
    }
    if (at == NULL) {
        return from_environment(r, n, out);
    }
    if (at->state == HOCON_RESOLVING) {
        return n->optional || hocon_fail(r->h, n->place, r->err, "the reference leads back to itself");
    }
    if (!resolve(r, at, out)) {
        return false;
    }
    return *out != NULL ? charge(r, n->place, (*out)->weight) : from_environment(r, n, out);
}

static bool resolve_array(struct resolver *r, struct hocon_node *n, struct hocon_node **out) {
    size_t kept = 0;
    for (size_t i = 0; i < n->count; i++) {
        struct hocon_node *item;
        if (!resolve(r, n->items[i], &item)) {
            return false;
        }
        if (item != NULL) {
            n->items[kept++] = item;
        }
    }
    n->count = kept;
    *out = n;
    return true;
}

static bool resolve_object(struct resolver *r, struct hocon_node *n, struct hocon_node **out) {
    size_t kept = 0;
    for (size_t i = 0; i < n->count; i++) {
        struct hocon_node *value;
        if (!resolve(r, n->items[i], &value)) {
            return false;
        }
    }
    for (size_t i = 0; i < n->count; i++) { /* undefined members go; later, as members may refer to each other */
        char *name = n->names[i];
        struct hocon_node *value = n->items[i]->resolved;
        if (value == NULL) {
            mem_free(name);
        } else {
            n->names[kept] = name;
            n->items[kept++] = value;
        }
    }
    n->count = kept;
    *out = n;
    return true;
}

static bool join_strings(struct resolver *r, const struct hocon_node *n, struct hocon_node *const *parts,
                         struct hocon_node **out) {
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < n->count; i++) {
        struct hocon_node *part = parts[i];
        if (part != NULL && (part->kind == HOCON_OBJECT || part->kind == HOCON_ARRAY)) {
            buf_free(&text);
            return hocon_fail(r->h, n->items[i]->place, r->err, "an array or object cannot be joined with this");
        }
        if (part != NULL) {
            buf_append_span(&text, part->text);
        }
    }
    bool ok = charge(r, n->place, text.len);
    *out = hocon_make_text(r->h, HOCON_STRING, n->place, buf_span(&text));
    buf_free(&text);
    return ok && resolve(r, *out, out);
}

static bool join_arrays(struct resolver *r, const struct hocon_node *n, struct hocon_node *const *parts,
                        struct hocon_node **out) {
    *out = hocon_make(r->h, HOCON_ARRAY, n->place);
    for (size_t i = 0; i < n->count; i++) {
        for (size_t k = 0; parts[i] != NULL && k < parts[i]->count; k++) {
            if (!charge(r, n->place, 1)) {
                return false;
            }
            hocon_push(*out, parts[i]->items[k]);
        }
    }
    return resolve(r, *out, out);
}

static bool join_objects(struct resolver *r, const struct hocon_node *n, struct hocon_node *const *parts,
                         struct hocon_node **out) {
    *out = NULL;
    for (size_t i = 0; i < n->count; i++) {
        if (parts[i] != NULL) {
            if (!charge(r, n->place, parts[i]->count + (*out != NULL ? (*out)->count : 0))) {
                return false;
            }
            *out = *out != NULL ? hocon_merge(r->h, *out, parts[i]) : parts[i];
        }
    }
    return resolve(r, *out, out);
}

/* Are all values that count arrays (or objects)? */
static bool all_of(const struct hocon_node *n, struct hocon_node *const *parts, enum hocon_kind kind) {
    size_t found = 0;
    for (size_t i = 0; i < n->count; i++) {
        if (parts[i] != NULL && parts[i]->kind != kind) {
            return false;
        }
        found += parts[i] != NULL;
    }
    return found != 0;
}

static bool join(struct resolver *r, const struct hocon_node *n, struct hocon_node **parts, struct hocon_node **out) {
    size_t defined = 0, brackets = 0;
    for (size_t i = 0; i < n->count; i++) {
        defined += parts[i] != NULL && !n->items[i]->blank;
        brackets += parts[i] != NULL && (parts[i]->kind == HOCON_ARRAY || parts[i]->kind == HOCON_OBJECT);
    }
    if (defined == 0) {
        *out = NULL;
        return true;
    }
    for (size_t i = 0; brackets != 0 && i < n->count; i++) { /* blanks count between strings only */
        parts[i] = n->items[i]->blank ? NULL : parts[i];
    }
    if (all_of(n, parts, HOCON_ARRAY)) {
        return join_arrays(r, n, parts, out);
    }
    return all_of(n, parts, HOCON_OBJECT) ? join_objects(r, n, parts, out) : join_strings(r, n, parts, out);
}

/* The last value counts; when it is an object it is merged over the object before it. */
static bool merge(struct resolver *r, const struct hocon_node *n, struct hocon_node **parts, struct hocon_node **out) {
    *out = parts[1] == NULL ? parts[0] : parts[1];
    if (parts[0] != NULL && parts[1] != NULL && parts[0]->kind == HOCON_OBJECT && parts[1]->kind == HOCON_OBJECT) {
        return charge(r, n->place, parts[0]->count + parts[1]->count) &&
               resolve(r, hocon_merge(r->h, parts[0], parts[1]), out);
    }
    return true;
}

static bool resolve_parts(struct resolver *r, struct hocon_node *n, struct hocon_node **out) {
    struct hocon_node **parts = mem_array(n->count + 1, sizeof *parts);
    bool ok = true;
    for (size_t i = 0; i < n->count && ok; i++) {
        ok = resolve(r, n->items[i], &parts[i]);
    }
    ok = ok && (n->kind == HOCON_JOIN ? join(r, n, parts, out) : merge(r, n, parts, out));
    mem_free(parts);
    return ok;
}

/* How many nodes a reader of the result meets here, shared ones as often as he meets them. */
static void weigh(struct hocon_node *n) {
    n->weight = 1;
    for (size_t i = 0; n->items != NULL && i < n->count; i++) {
        n->weight += n->items[i]->weight;
    }
}

static bool resolve_open(struct resolver *r, struct hocon_node *n, struct hocon_node **out) {
    switch (n->kind) {
    case HOCON_REFERENCE:
        return resolve_reference(r, n, out);
    case HOCON_JOIN:
    case HOCON_MERGE:
        return resolve_parts(r, n, out);
    case HOCON_ARRAY:
        return resolve_array(r, n, out);
    case HOCON_OBJECT:
        return resolve_object(r, n, out);
    default:
        *out = n;
        return true;
    }
}

static bool resolve(struct resolver *r, struct hocon_node *n, struct hocon_node **out) {
    *out = NULL;
    if (n == NULL) {
        return true;
    }
    if (n->state == HOCON_RESOLVED) {
        *out = n->resolved;
        return true;
    }
    if (n->state == HOCON_RESOLVING) {
        return hocon_fail(r->h, n->place, r->err, "the references lead in a circle");
    }
    if (r->depth == 4 * HOCON_DEPTH_MAX) {
        return hocon_fail(r->h, n->place, r->err, "the references are nested too deeply");
    }
    struct hocon_node *value = NULL;
    r->depth++;
    n->state = HOCON_RESOLVING;
    bool ok = resolve_open(r, n, &value);
    n->state = HOCON_RESOLVED;
    n->resolved = value;
    if (value == n) {
        weigh(n);
    }
    r->depth--;
    *out = value;
    return ok;
}

/* ---- JSON */

static json_t *to_json(struct hocon *h, struct hocon_node *n);

static void note_place(struct hocon *h, const json_t *parent, const char *name, struct hocon_node *n) {
    struct buf key = BUF_INIT;
    buf_append(&key, &parent, sizeof parent);
    buf_append_cstr(&key, name);
    map_put(&h->places, buf_span(&key), n);
    buf_free(&key);
}

static json_t *object_json(struct hocon *h, struct hocon_node *n) {
    json_t *object = json_object();
    for (size_t i = 0; i < n->count; i++) {
        json_set(object, n->names[i], to_json(h, n->items[i]));
        note_place(h, object, n->names[i], n->items[i]);
    }
    return object;
}

static json_t *array_json(struct hocon *h, struct hocon_node *n) {
    json_t *array = json_array();
    for (size_t i = 0; i < n->count; i++) {
        char index[24];
        snprintf(index, sizeof index, "%zu", i);
        json_array_append_new(array, to_json(h, n->items[i]));
        note_place(h, array, index, n->items[i]);
    }
    return array;
}

static json_t *make_json(struct hocon *h, struct hocon_node *n) {
    switch (n->kind) {
    case HOCON_OBJECT:
        return object_json(h, n);
    case HOCON_ARRAY:
        return array_json(h, n);
    case HOCON_BOOL:
        return json_boolean(span_eq_cstr(n->text, "true"));
    case HOCON_NUMBER:
        return json_parse(n->text, "config/syntax", NULL);
    case HOCON_STRING:
        return json_str_new(n->text);
    default:
        return json_null();
    }
}

/* Made once per node; a node that is referred to from several places is shared. */
static json_t *to_json(struct hocon *h, struct hocon_node *n) {
    if (n->json == NULL) {
        n->json = make_json(h, n);
    }
    return json_incref(n->json);
}

bool hocon_resolve(struct hocon *h, struct error *err) {
    struct resolver r = {.h = h, .err = err};
    struct hocon_node *root;
    if (!resolve(&r, h->root, &root)) {
        return false;
    }
    h->json = to_json(h, root);
    return true;
}
