/* Looking capabilities up. */
#include "fakes/puppetserver/capabilities.h"
#include "base/mem.h"
#include <ctype.h>
#include <string.h>

json_t *capability_parameters(struct build *b, const char *type) {
    json_t *names = json_array();
    struct buf text = BUF_INIT;
    char *lower = app_lower(type);
    if (type_file(b, lower, &text)) {
        struct span rest = buf_span(&text);
        ptrdiff_t at;
        while ((at = span_find_span(rest, SPAN("newparam"))) >= 0) {
            rest = span_sub(rest, (size_t)at + strlen("newparam"), rest.len);
            while (rest.len > 0 && (rest.ptr[0] == ' ' || rest.ptr[0] == '(')) {
                rest = span_sub(rest, 1, rest.len);
            }
            size_t len = 1;
            while (rest.len > len && (isalnum((unsigned char)rest.ptr[len]) || rest.ptr[len] == '_')) {
                len++;
            }
            struct span name = span_sub(rest, 1, len - 1);
            if (rest.len > 1 && rest.ptr[0] == ':' && name.len > 0 && !span_eq_cstr(name, "name")) {
                json_array_append_new(names, json_str_new(name));
            }
        }
    }
    mem_free(lower);
    buf_free(&text);
    return names;
}

static json_t *ask(const struct app_node *node, json_t *query, struct error *err) {
    json_t *rows = node->query != NULL ? node->query(node->query_ctx, query, err) : json_array();
    json_decref(query);
    return rows;
}

static bool has_tag(const json_t *row, const char *tag) {
    const json_t *tags = json_object_get(row, "tags");
    for (size_t i = 0; i < json_array_size(tags); i++) {
        const char *text = json_string_value(json_array_get(tags, i));
        if (text != NULL && strcmp(text, tag) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *tagged(const json_t *rows, const char *tag) {
    json_t *some = json_array();
    for (size_t i = 0; i < json_array_size(rows); i++) {
        if (has_tag(json_array_get(rows, i), tag)) {
            json_array_append(some, json_array_get(rows, i));
        }
    }
    return some;
}

static json_t *first_query(const char *type, const char *title) {
    return json_pack("[s, s, [s, [s, s, s], [s, s, s], [s, s, s]]]", "from", "resources", "and", "=", "type", type, "=",
                     "title", title, "~", "tag", "^producer:");
}

/* Only producers whose catalog was compiled from the same code. */
static json_t *code_query(const char *type, const char *title, const char *tag, const char *code_id) {
    json_t *catalogs = json_pack("[s, s, [s, s, [s, [s, s, s]]]]", "in", "certname", "extract", "certname",
                                 "select_catalogs", "=", "code_id", code_id);
    return json_pack("[s, s, [s, [s, s, s], [s, s, s], [s, s, s], o]]", "from", "resources", "and", "=", "type", type,
                     "=", "title", title, "=", "tag", tag, catalogs);
}

/* Several producers: those of this environment, then those of this code. */
static json_t *narrowed(const struct app_node *node, const char *environment, const char *type, const char *title,
                        json_t *rows, struct error *err) {
    char *tag = str_printf("producer:%s", environment);
    json_t *some = tagged(rows, tag);
    if (json_array_size(some) > 1 && node->code_id != NULL) {
        json_t *same_code = ask(node, code_query(type, title, tag, node->code_id), err);
        if (same_code != NULL && json_array_size(same_code) == 1) {
            json_decref(some);
            some = json_incref(same_code);
        }
        json_decref(same_code);
    }
    mem_free(tag);
    json_decref(rows);
    return some;
}

json_t *capability_find(const struct app_node *node, const char *environment, const char *reference,
                        struct error *err) {
    const char *open = strchr(reference, '[');
    char *type = span_dup((struct span){reference, (size_t)(open - reference)});
    char *title = span_dup((struct span){open + 1, strlen(open + 1) - 1});
    json_t *rows = ask(node, first_query(type, title), err), *found = NULL;
    if (rows != NULL && json_array_size(rows) > 1) {
        rows = narrowed(node, environment, type, title, rows, err);
    }
    size_t count = json_array_size(rows);
    if (rows != NULL && count == 0) {
        error_set(err, "compile", "Resource %s could not be found; it might not have been produced yet", reference);
    } else if (count > 1) {
        error_set(err, "compile",
                  "Unexpected response from PuppetDB when looking up %s: expected exactly one resource but got %zu; "
                  "producers %s and %s",
                  reference, count, json_str(json_array_get(rows, 0), "certname"),
                  json_str(json_array_get(rows, 1), "certname"));
    } else if (count == 1) {
        found = json_incref(json_array_get(rows, 0));
    }
    json_decref(rows);
    mem_free(type);
    mem_free(title);
    return found;
}
