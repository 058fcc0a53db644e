/* How PuppetDB answers. */
#include "internal.h"
#include <stdarg.h>
#include <string.h>

static const char text_content[] = "text/plain;charset=utf-8";
static const char json_content[] = "application/json;charset=utf-8";

void puppetdb_text(struct http_exchange *ex, int status, struct span text) {
    http_respond(ex, status, text_content, text);
}

void puppetdb_json(struct http_exchange *ex, int status, struct span text) {
    if (status == 200) {
        http_set_header(ex, "Vary", "Accept-Encoding, User-Agent");
    }
    http_respond(ex, status, json_content, text);
}

void puppetdb_json_value(struct http_exchange *ex, int status, json_t *value) {
    char *text = json_text(value);
    puppetdb_json(ex, status, span_of(text));
    mem_free(text);
    json_decref(value);
}

void puppetdb_json_error(struct http_exchange *ex, int status, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    json_t *why = json_str_new(buf_span(&text));
    puppetdb_json_value(ex, status, json_pack("{s:o}", "error", why != NULL ? why : json_string("")));
    buf_free(&text);
}

void puppetdb_not_found_object(struct http_exchange *ex, const char *what, const char *name) {
    puppetdb_json_error(ex, 404, "No information is known about %s %s", what, name);
}

void puppetdb_query_error(struct http_exchange *ex, const struct error *err) {
    static const char *const server_errors[] = {"pql/refused", "pql/escape", "puppetdb/database"};
    int status = 400;
    for (size_t i = 0; i < sizeof server_errors / sizeof server_errors[0]; i++) {
        status = error_is(err, server_errors[i]) ? 500 : status;
    }
    puppetdb_text(ex, status, span_of(err->msg));
}

void puppetdb_redirect(struct http_exchange *ex) {
    const struct http_request *req = http_request(ex);
    const char *host = http_header(ex, "host");
    char *location =
        strcmp(req->path, "/") == 0 || host == NULL
            ? str_dup("/pdb/dashboard/index.html")
            : str_printf("%s://%s%s/dashboard/index.html", req->identity != NULL ? "https" : "http", host, req->path);
    http_set_header(ex, "Location", location);
    http_respond(ex, 302, NULL, SPAN(""));
    mem_free(location);
}

/* ---------------------------------------------------------------- who may come in */

static bool is_listed(const json_t *list, const char *name) {
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) {
        if (name != NULL && str_eq(json_string_value(item), name)) {
            return true;
        }
    }
    return false;
}

static void deny(struct http_exchange *ex, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void deny(struct http_exchange *ex, int status, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    puppetdb_text(ex, status, buf_span(&text));
    buf_free(&text);
}

static bool check_token(struct fake_puppetdb *p, struct http_exchange *ex, const char *token, const char *permission) {
    struct error err = ERROR_INIT;
    bool ok = p->opts.token_permits(p->opts.token_ctx, token, permission, &err);
    if (!ok) {
        deny(ex, error_is(&err, "denied") ? 403 : 401, "Permission denied: %s", err.msg != NULL ? err.msg : "");
    }
    error_clear(&err);
    return ok;
}

static bool check_caller(struct fake_puppetdb *p, struct http_exchange *ex, const char *permission) {
    const struct world_identity *id = http_request(ex)->identity;
    const char *name = id != NULL ? id->common_name : NULL;
    const char *token = http_header(ex, "x-authentication");
    if (name == NULL && token != NULL && p->opts.token_permits != NULL) {
        return check_token(p, ex, token, permission);
    }
    bool stranger = name == NULL && (p->opts.token_permits != NULL || p->allowlist != NULL);
    if (!stranger && (p->allowlist == NULL || is_listed(p->allowlist, name))) {
        return true;
    }
    if (name == NULL) {
        deny(ex, 401, "Permission denied: No client certificate and no token provided.");
    } else {
        deny(ex, 403,
             "Permission denied: The client certificate name %s doesnt appear in the certificate allowlist. Is your "
             "master's (or other PuppetDB client's) certname listed in PuppetDB's certificate-allowlist file?",
             name);
    }
    return false;
}

enum { TARGET_MAX = 8192 }; /* of Jetty's request line and headers */

bool puppetdb_admit(struct fake_puppetdb *p, struct http_exchange *ex, const char *permission) {
    if (strlen(http_request(ex)->target) > TARGET_MAX) {
        http_respond(ex, 414, "text/html;charset=iso-8859-1",
                     SPAN("<h1>Bad Message 414</h1><pre>reason: URI Too Long</pre>"));
        return false;
    }
    if (p->maintenance) {
        http_respond(ex, 503, NULL, SPAN("PuppetDB is currently down. Try again later."));
        return false;
    }
    return check_caller(p, ex, permission);
}

/* ---------------------------------------------------------------- what goes in and out */

static bool accepts_json(const char *accept) {
    struct span rest = span_of(accept), range;
    while (accept != NULL && span_split(&rest, ',', &range)) {
        struct span type;
        if (span_split(&range, ';', &type)) {
            type = span_trim(type);
            if (span_eq_nocase(type, "application/json") || span_eq_nocase(type, "application/*") ||
                span_eq_cstr(type, "*/*")) {
                return true;
            }
        }
    }
    return accept == NULL;
}

bool puppetdb_check_content(struct http_exchange *ex) {
    if (!accepts_json(http_header(ex, "accept"))) {
        puppetdb_text(ex, 406, SPAN("must accept application/json"));
        return false;
    }
    const char *given = http_header(ex, "content-type");
    if (strcmp(http_request(ex)->method, "POST") != 0 || given == NULL) {
        return true;
    }
    struct span rest = span_of(given), type = {NULL, 0};
    span_split(&rest, ';', &type);
    type = span_trim(type);
    if (!span_eq_nocase(type, "application/json")) {
        deny(ex, 415, "content type %.*s not supported", (int)type.len, type.ptr);
        return false;
    }
    return true;
}
