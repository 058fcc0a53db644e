/* The shapes of Puppet Server's answers, with the headers as recorded. */
#include "base/mem.h"
#include "fakes/puppetserver/server.h"
#include <string.h>

/* What every answer has: the version, on the Ruby side's paths; and what its compression depends on, where there is
 * any. */
static void common_headers(struct ps_request *r, int status) {
    if (status == 200 && (strcmp(r->method, "GET") == 0 || strcmp(r->method, "POST") == 0)) {
        http_set_header(r->ex, "Vary", "Accept-Encoding, User-Agent");
    }
    if (strncmp(r->path, "/puppet/", 8) == 0 || strncmp(r->path, "/puppet-ca/", 11) == 0) {
        http_set_header(r->ex, "X-Puppet-Version", json_str(r->ps->config, "puppet_version"));
    }
}

__attribute__((format(printf, 1, 0))) static char *formatted(const char *format, va_list args) {
    struct buf b = BUF_INIT;
    buf_vprintf(&b, format, args);
    return buf_take(&b);
}

void ps_text(struct ps_request *r, int status, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = formatted(format, args);
    va_end(args);
    common_headers(r, status);
    http_respond(r->ex, status, NULL, span_of(text));
    mem_free(text);
}

void ps_plain(struct ps_request *r, int status, const char *type, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = formatted(format, args);
    va_end(args);
    common_headers(r, status);
    http_respond(r->ex, status, type, span_of(text));
    mem_free(text);
}

void ps_json_as(struct ps_request *r, int status, const char *type, json_t *body) {
    struct buf b = BUF_INIT;
    json_write(&b, body);
    json_decref(body);
    common_headers(r, status);
    http_respond(r->ex, status, type, buf_span(&b));
    buf_free(&b);
}

void ps_json(struct ps_request *r, int status, json_t *body) {
    ps_json_as(r, status, "application/json;charset=utf-8", body);
}

static const char *issue_prefix(int status) {
    switch (status) {
    case 400:
        return "Bad Request";
    case 403:
        return "Not Authorized";
    case 404:
        return "Not Found";
    case 406:
        return "Not Acceptable";
    case 415:
        return "Unsupported Media Type";
    default:
        return "Server Error";
    }
}

void ps_issue(struct ps_request *r, int status, const char *issue_kind, const char *format, ...) {
    va_list args;
    va_start(args, format);
    char *text = formatted(format, args);
    va_end(args);
    char *message = str_printf("%s: %s", issue_prefix(status), text);
    json_t *value = json_string(message); /* NULL when a name in it is not UTF-8 */
    ps_json(r, status,
            json_pack("{s:o, s:s}", "message", value != NULL ? value : json_string(issue_prefix(status)), "issue_kind",
                      issue_kind));
    mem_free(message);
    mem_free(text);
}

void ps_bytes(struct ps_request *r, struct span bytes) {
    common_headers(r, 200);
    http_respond(r->ex, 200, "application/octet-stream", bytes);
}

/* The page of the web server under Puppet Server for what no route takes. */
void ps_html_not_found(struct http_exchange *ex, const char *raw_path) {
    struct buf b = BUF_INIT;
    buf_append_cstr(&b,
                    "<html>\n<head>\n<meta http-equiv=\"Content-Type\" content=\"text/html;charset=ISO-8859-1\"/>\n"
                    "<title>Error 404 Not Found</title>\n</head>\n<body><h2>HTTP ERROR 404 Not Found</h2>\n<table>\n"
                    "<tr><th>URI:</th><td>");
    buf_append_html(&b, raw_path);
    buf_append_cstr(&b,
                    "</td></tr>\n<tr><th>STATUS:</th><td>404</td></tr>\n<tr><th>MESSAGE:</th><td>Not Found</td></tr>\n"
                    "<tr><th>SERVLET:</th><td>-</td></tr>\n</table>\n\n</body>\n</html>\n");
    http_set_header(ex, "Cache-Control", "must-revalidate,no-cache,no-store");
    http_respond(ex, 404, "text/html;charset=iso-8859-1", buf_span(&b));
    buf_free(&b);
}
