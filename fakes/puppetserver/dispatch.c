/* From a request to its handler. Puppet Server routes on the decoded path, so this has its own matcher:
 * malformed escapes, then dot segments, then the route, then who may call. */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include "wire/percent.h"
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* Characters that one path segment may have; anything else matches no route. */
static bool segment_char(char c) {
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

static void params_clear(struct ps_request *r) {
    for (size_t i = 0; i < PS_PARAMS_MAX; i++) {
        mem_free(r->params[i]);
        r->params[i] = NULL;
    }
}

/* ":x" takes one segment, "*x" (last) all the rest, which may be empty. */
static bool match(const char *pattern, const char *path, struct ps_request *r) {
    size_t count = 0;
    params_clear(r);
    while (*pattern != '\0') {
        if (*pattern == '*') {
            r->params[count] = str_dup(path);
            return true;
        }
        if (*pattern != ':') {
            if (*pattern++ != *path++) {
                return false;
            }
            continue;
        }
        pattern += strcspn(pattern, "/");
        size_t len = 0;
        while (segment_char(path[len])) {
            len++;
        }
        if (len == 0) {
            return false;
        }
        r->params[count++] = span_dup((struct span){path, len});
        path += len;
    }
    return *path == '\0';
}

static bool has_dot_segment(const char *path) {
    struct span rest = span_of(path);
    struct span part;
    while (span_split(&rest, '/', &part)) {
        if (span_eq_cstr(part, "..") || span_eq_cstr(part, ".")) {
            return true;
        }
    }
    return false;
}

static bool named_orchestrator(const struct fake_puppetserver *ps, const char *cn) {
    const json_t *names = json_object_get(json_object_get(ps->config, "auth"), "orchestrator");
    for (size_t i = 0; i < json_array_size(names); i++) {
        if (strcmp(json_string_value(json_array_get(names, i)), cn) == 0) {
            return true;
        }
    }
    return false;
}

bool ps_allowed(const struct ps_request *r, enum ps_rule rule) {
    bool enforced = json_bool(json_object_get(r->ps->config, "auth"), "enforce", true);
    if (rule == PS_ANYONE || (!enforced && rule != PS_NOBODY)) {
        return true;
    }
    if (r->cn == NULL || rule == PS_NOBODY) {
        return false;
    }
    bool is_node = r->params[0] != NULL && strcmp(r->params[0], r->cn) == 0;
    switch (rule) {
    case PS_ORCHESTRATOR:
        return named_orchestrator(r->ps, r->cn);
    case PS_NODE:
        return is_node;
    case PS_NODE_OR_ORCHESTRATOR:
        return is_node || named_orchestrator(r->ps, r->cn);
    case PS_CERTIFICATE:
    case PS_ANYONE:
    case PS_NOBODY:
        break;
    }
    return true;
}

static bool overridden(struct ps_request *r) {
    const json_t *all = json_object_get(r->ps->config, "override");
    size_t i;
    json_t *o;
    json_array_foreach((json_t *)(uintptr_t)all, i, o) {
        const char *method = json_str(o, "method");
        if ((method != NULL && strcmp(method, r->method) != 0) || !glob_match(json_str(o, "path"), r->path)) {
            continue;
        }
        int status = (int)json_int(o, "status", 200);
        const json_t *json = json_object_get(o, "json");
        const char *type = json_str(o, "content_type");
        if (json != NULL) {
            ps_json_as(r, status, type != NULL ? type : "application/json;charset=utf-8", json_deep_copy(json));
        } else {
            const char *text = json_str(o, "text");
            ps_plain(r, status, type, "%s", text != NULL ? text : "");
        }
        return true;
    }
    return false;
}

int ps_major(const struct fake_puppetserver *ps) {
    return atoi(json_str(ps->config, "version"));
}

static void forbidden(struct ps_request *r) {
    char method[16];
    size_t i = 0;
    for (; r->method[i] != '\0' && i + 1 < sizeof method; i++) {
        method[i] = (char)tolower((unsigned char)r->method[i]);
    }
    method[i] = '\0';
    ps_text(r, 403, "Forbidden request: %s (method :%s). Please see the server logs for details.", r->path, method);
}

static void route(struct ps_request *r, const char *raw_path) {
    if (overridden(r)) {
        return;
    }
    for (const struct ps_route *route = ps_routes; route->pattern != NULL; route++) {
        bool gone = route->last_major != 0 && route->last_major < ps_major(r->ps);
        if (gone || strcmp(route->method, r->method) != 0 || !match(route->pattern, r->path, r)) {
            continue;
        }
        if (!ps_allowed(r, (enum ps_rule)route->rule)) {
            forbidden(r);
        } else if (route->handle != NULL) {
            r->handle = route->handle;
            route->handle(r);
        } else {
            fake_respond_error(r->ex, 501, "dalang/not-implemented", NULL,
                               "the fake puppetserver does not have the route %s %s", r->method, route->pattern);
        }
        return;
    }
    ps_html_not_found(r->ex, raw_path);
}

void ps_dispatch(struct fake *f, struct http_exchange *ex, const char *allow) {
    const struct http_request *req = http_request(ex);
    if (allow != NULL) {
        http_set_header(ex, "Allow", allow);
        fake_respond_text(ex, 405, "Method Not Allowed");
        return;
    }
    struct buf path = BUF_INIT;
    if (!percent_decode(&path, span_of(req->path)) || span_has_nul(buf_span(&path))) {
        http_respond(ex, 400, "text/html;charset=iso-8859-1",
                     SPAN("<h1>Bad Message 400</h1><pre>reason: Bad Request</pre>"));
        buf_free(&path);
        return;
    }
    struct ps_request r = {.ps = ps_of(f), .ex = ex, .method = req->method, .path = path.ptr != NULL ? path.ptr : ""};
    r.cn = req->identity != NULL ? req->identity->common_name : NULL;
    if (has_dot_segment(r.path)) {
        char *text = str_printf("Invalid relative path (.. or .) in: %s", r.path);
        http_respond(ex, 400, NULL, span_of(text));
        mem_free(text);
    } else {
        route(&r, req->path);
    }
    params_clear(&r);
    buf_free(&path);
}
