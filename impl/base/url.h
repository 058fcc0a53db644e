/* URLs of the kinds spoken here: http, https, ws, wss. */
#ifndef DALANG_BASE_URL_H
#define DALANG_BASE_URL_H

#include "base/bytes.h"
#include "base/error.h"

struct url {
    const char *scheme; /* "http", "https", "ws" or "wss" */
    bool secure;
    char *host;    /* name or address, without the brackets of IPv6 */
    uint16_t port; /* the scheme's default when absent */
    char *target;  /* path and query, not decoded; at least "/" */
};

/* Refuses user names, fragments, white space, control and non-ASCII characters: kind "url/malformed", saying what is
 * wrong without repeating the text. url_free() the result. */
bool url_parse(const char *text, struct url *out, struct error *err);
void url_free(struct url *u); /* and zeroes it */
/* "host", "host:port" when the port is not the default, "[::1]:8142": what a Host header carries. Appended. */
void url_authority(struct buf *out, const struct url *u);

#endif
