/* A PCP message of either version, in version 2's terms (pcp.md §3-6, §12), and its codecs.
 *
 * Decoding copies nothing: the spans of a decoded message point into the bytes it came from, or into the
 * scratch buffer where a string had to be unescaped. A field that is absent has length 0.
 * `data` is never parsed here, only checked: it is the raw JSON text of one value and is passed on as it is.
 *
 *   struct pcp_message m;
 *   struct buf scratch = BUF_INIT;
 *   if (pcp_decode(PCP_V2, payload, PCP_AS_CLIENT, &m, &scratch, &err)) …   // spans live as long as payload and
 * scratch
 *
 *   struct pcp_parts out;
 *   pcp_encode_parts(PCP_V1, &m, &scratch2, &out);
 *   ws_send(peer, pcp_is_text(PCP_V1), out.parts, out.count); */
#ifndef DALANG_PCP_MESSAGE_H
#define DALANG_PCP_MESSAGE_H

#include "base/bytes.h"
#include "base/error.h"
#include "pcp/types.h"
#include "pcp/uri.h"

enum pcp_version { PCP_V1 = 1, PCP_V2 = 2 };

struct pcp_message {
    struct span id;           /* required; see pcp_id_valid() */
    struct span message_type; /* required, may be empty text */
    struct span target;       /* a URI; absent: the broker. Of a multicast message the first target */
    struct span sender;       /* a URI */
    struct span in_reply_to;
    struct span data; /* raw JSON text of one value; of an error_message a JSON string in both versions */
    bool multicast;   /* the target is a wildcard, or a v1 message has not exactly one target */

    /* v1 only */
    int64_t expires_ms;      /* decoded: what the sender said; encoded as ISO 8601 with milliseconds (0: the epoch) */
    bool destination_report; /* the sender asked for one */
    struct span debug;       /* raw debug chunks with their headers, see pcp_debug_next(); a broker drops them */
    bool data_malformed;     /* for a client: there is a data chunk, but it holds no JSON (`data` is absent) */

    /* v2 only, set by decoding */
    struct span raw;    /* the JSON object as it came, from '{' to '}' */
    bool repeated_keys; /* an envelope key stood there twice (the last one counts): do not pass `raw` on */
};

/* Who reads, as the reference programs differ. A broker checks id, in_reply_to, sender and targets (URIs), ignores what
 * follows the JSON object, takes the v1 chunk that stands second as data whatever its type and drops debug chunks.
 * A client only checks that those are strings, and refuses trailing text, unknown chunk types and a second data chunk.
 */
enum pcp_side { PCP_AS_BROKER, PCP_AS_CLIENT };

/* One WebSocket message (v1: binary, v2: text). False after setting err, kind "pcp/malformed". *scratch is overwritten.
 */
bool pcp_decode(enum pcp_version version, struct span bytes, enum pcp_side side, struct pcp_message *out,
                struct buf *scratch, struct error *err);
static inline bool pcp_is_text(enum pcp_version version) {
    return version == PCP_V2;
}

/* An encoded message as spans to be written one after the other: into *scratch (overwritten), m->data and m->debug. */
enum { PCP_PARTS_MAX = 4 };
struct pcp_parts {
    struct span parts[PCP_PARTS_MAX];
    size_t count;
};
void pcp_encode_parts(enum pcp_version version, const struct pcp_message *m, struct buf *scratch,
                      struct pcp_parts *out);
/* The same, appended to one buffer. */
void pcp_encode(enum pcp_version version, const struct pcp_message *m, struct buf *out);

/* Walks m->debug: the content of the next debug chunk; false at the end. */
bool pcp_debug_next(struct span *rest, struct span *content);
/* Appends a debug chunk in the form m->debug holds. */
void pcp_debug_append(struct buf *debug, struct span content);

#endif
