/* One HTTP/1.1 connection that is kept, for many small requests to one service: they go out in order, several under way
 * (pipelining), those of one turn of the loop together. It is opened when there is something to send and opened anew
 * when the service has ended it. */
#ifndef DALANG_NET_HTTP_LINE_H
#define DALANG_NET_HTTP_LINE_H

#include "world/world.h"

struct http_line;

struct http_line_request {
    const char *target;       /* behind the line's URL: "/pdb/cmd/v1?command=…"; http1_is_target() */
    const char *content_type; /* of the body */
    struct span body;         /* borrowed until done */
    /* err NULL: it was answered with this status; the answer's body is not kept. Else as world_response's err. What was
     * under way when a connection that had answered before ended is sent once more; the service may see it twice. */
    void (*done)(void *ctx, const struct error *err, int status);
    void *ctx;
};

/* url: http:// or https:// base; one that is malformed fails every request. tls outlives the line. timeout_ms: the
 * longest wait for the next answer; 0: 120 000. */
struct http_line *http_line_new(struct world *w, const char *url, struct world_tls *tls, uint64_t timeout_ms);
void http_line_free(struct http_line *l); /* done is not called; not from within done; NULL is fine */
void http_line_post(struct http_line *l, const struct http_line_request *r);
size_t http_line_waiting(const struct http_line *l); /* requests that are not answered yet */

#endif
