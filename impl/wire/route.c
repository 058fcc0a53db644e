/* Route patterns. */
#include "wire/route.h"

#include "base/mem.h"
#include "wire/percent.h"
#include <assert.h>
#include <string.h>

void route_params_free(struct route_params *params) {
    for (size_t i = 0; i < params->count; i++) {
        mem_free(params->items[i].value);
    }
    params->count = 0;
}

const char *route_param(const struct route_params *params, const char *name) {
    for (size_t i = 0; i < params->count; i++) {
        if (span_eq_cstr(params->items[i].name, name)) {
            return params->items[i].value;
        }
    }
    return NULL;
}

static bool add_param(struct route_params *params, struct span name, struct span raw) {
    struct buf value = BUF_INIT;
    if (!percent_decode(&value, raw) || span_has_nul(buf_span(&value))) {
        buf_free(&value);
        return false;
    }
    if (params == NULL) {
        buf_free(&value);
        return true;
    }
    assert(params->count < ROUTE_PARAMS_MAX); /* a pattern with more is a mistake in the table */
    params->items[params->count++] = (struct route_param){name, raw, buf_take(&value)};
    return true;
}

static bool match(struct span pattern, struct span path, struct route_params *params) {
    struct span want, have;
    for (;;) {
        bool more_pattern = pattern.ptr != NULL, more_path = path.ptr != NULL;
        if (!more_pattern || !more_path) {
            return more_pattern == more_path;
        }
        if (pattern.len != 0 && pattern.ptr[0] == '*') {
            return add_param(params, span_sub(pattern, 1, pattern.len), path);
        }
        ptrdiff_t slash = span_find(pattern, '/'), end = span_find(path, '/');
        want = slash >= 0 ? span_sub(pattern, 0, (size_t)slash) : pattern;
        have = end >= 0 ? span_sub(path, 0, (size_t)end) : path;
        if (want.len != 0 && want.ptr[0] == ':') {
            if (have.len == 0 || !add_param(params, span_sub(want, 1, want.len), have)) {
                return false;
            }
        } else if (!span_eq(want, have)) {
            return false;
        }
        pattern = slash >= 0 ? span_sub(pattern, (size_t)slash + 1, pattern.len) : (struct span){NULL, 0};
        path = end >= 0 ? span_sub(path, (size_t)end + 1, path.len) : (struct span){NULL, 0};
    }
}

bool route_match(const char *pattern, struct span path, struct route_params *params) {
    assert(pattern[0] == '/');
    if (params != NULL) {
        params->count = 0;
    }
    if (path.len == 0 || path.ptr[0] != '/') {
        return false;
    }
    bool ok = match(span_of(pattern + 1), span_sub(path, 1, path.len), params);
    if (!ok && params != NULL) {
        route_params_free(params);
    }
    return ok;
}
