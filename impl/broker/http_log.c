/* The HTTP access log: the common log format with referer, user agent and elapsed milliseconds (pcp.md §18.2). */
#include "base/clock.h"
#include "base/mem.h"
#include "broker/internal.h"
#include <string.h>

/* What clients send stays within its quotes and its line. */
static void append_quoted(struct buf *out, const char *text) {
    buf_append_char(out, '"');
    for (const char *p = text != NULL ? text : "-"; *p != '\0'; p++) {
        if (*p == '"' || *p == '\\') {
            buf_append_char(out, '\\');
        }
        if ((unsigned char)*p < 0x20 || *p == 0x7f) {
            buf_printf(out, "\\x%02x", (unsigned char)*p);
        } else {
            buf_append_char(out, *p);
        }
    }
    buf_append_char(out, '"');
}

void http_log(struct broker *b, const struct http_request *req, int status, uint64_t bytes, uint64_t duration_us,
              const char *referer, const char *user_agent) {
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    if (!log_enabled(b->log.http, LOG_INFO)) {
        return;
    }
    struct civil_time t = time_civil(req->received_ms);
    const char *colon = strrchr(req->remote, ':');
    int host_len = colon != NULL ? (int)(colon - req->remote) : (int)strlen(req->remote);
    struct buf line = BUF_INIT;
    buf_printf(&line, "%.*s - - [%02d/%s/%04d:%02d:%02d:%02d +0000] ", host_len, req->remote, t.day,
               months[t.month - 1], t.year, t.hour, t.minute, t.second);
    char *request = str_printf("%s %s HTTP/1.1", req->method, req->target);
    append_quoted(&line, request);
    mem_free(request);
    buf_printf(&line, " %d ", status);
    if (bytes != 0) {
        buf_printf(&line, "%llu ", (unsigned long long)bytes);
    } else {
        buf_append_cstr(&line, "- ");
    }
    append_quoted(&line, referer);
    buf_append_char(&line, ' ');
    append_quoted(&line, user_agent);
    buf_printf(&line, " %llu", (unsigned long long)(duration_us / 1000));
    log_write(b->log.http, LOG_INFO, "%s", line.ptr);
    buf_free(&line);
}
