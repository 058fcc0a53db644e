/* Long lists are looked at again and again, and hardly anything in them is new: a list is only cut into its items, and
 * what reads as it did before is not parsed again. */
#include "simulator/checks/internal.h"

#include "base/mem.h"
#include <string.h>

/* Behind the closing quote; at the end of the text when there is none. */
static const char *skip_string(const char *at, const char *end) {
    for (at++; at < end && *at != '"'; at++) {
        at += *at == '\\' && at + 1 < end;
    }
    return at < end ? at + 1 : end;
}

static const char *skip_space(const char *at, const char *end) {
    while (at < end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t')) {
        at++;
    }
    return at;
}

static void add_item(struct page *p, const char *from, const char *to) {
    p->items = mem_grow(p->items, &p->cap, p->count + 1, sizeof(struct span));
    p->items[p->count++] = span_trim(span_bytes(from, (size_t)(to - from)));
}

/* at: behind the opening bracket. Returns where its closing one is, or NULL. */
static const char *cut_items(struct page *p, const char *at, const char *end) {
    const char *from = at;
    for (int depth = 0; at < end;) {
        switch (*at) {
        case '"':
            at = skip_string(at, end);
            continue;
        case '[':
        case '{':
            depth++;
            break;
        case ',':
        case ']':
        case '}':
            if (depth != 0) {
                depth -= *at != ',';
                break;
            }
            if (p->count != 0 || *at == ',' || skip_space(from, at) != at) {
                add_item(p, from, at);
            }
            if (*at != ',') {
                return *at == ']' ? at : NULL;
            }
            from = at + 1;
            break;
        default:
            break;
        }
        at++;
    }
    return NULL;
}

/* Behind the opening bracket of the member "items" of the outermost object; NULL: there is none. */
static const char *find_items(struct span text) {
    const char *at = text.ptr, *end = text.ptr + text.len;
    for (int depth = 0; at < end;) {
        if (*at == '"') {
            const char *name = at;
            at = skip_space(skip_string(at, end), end);
            if (depth == 1 && at < end && *at == ':' &&
                span_starts_with(span_bytes(name, (size_t)(at - name)), "\"items\"")) {
                at = skip_space(at + 1, end);
                return at < end && *at == '[' ? at + 1 : NULL;
            }
            continue;
        }
        depth += *at == '{' || *at == '[';
        depth -= *at == '}' || *at == ']';
        at++;
    }
    return NULL;
}

void page_read(struct page *p, struct span text) {
    const char *first = find_items(text), *last = NULL;
    *p = (struct page){.items = NULL};
    if (first != NULL) {
        last = cut_items(p, first, text.ptr + text.len);
    }
    if (last == NULL) {
        p->count = 0;
        p->rest = json_parse(text, "checks", NULL);
        return;
    }
    struct buf rest = BUF_INIT;
    buf_append(&rest, text.ptr, (size_t)(first - text.ptr));
    buf_append(&rest, last, text.len - (size_t)(last - text.ptr));
    p->rest = json_parse(buf_span(&rest), "checks", NULL);
    buf_free(&rest);
}

void page_free(struct page *p) {
    json_decref(p->rest);
    mem_free(p->items);
}
