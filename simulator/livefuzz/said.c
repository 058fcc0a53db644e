/* See said.h. */
#include "simulator/livefuzz/said.h"

#include "base/mem.h"
#include "pcp/uri.h"
#include <string.h>

void said_free(struct said *s) {
    map_free(&s->lies);
    map_free(&s->own);
}

static struct span key_of(struct buf *key, struct span id, struct span name) {
    buf_clear(key);
    buf_append_span(key, id);
    buf_append_char(key, ' ');
    buf_append_span(key, name);
    return buf_span(key);
}

static struct span name_of(struct span sender) {
    struct pcp_uri uri;
    return pcp_uri_parse(sender, &uri) ? uri.name : sender;
}

static void note(struct map *set, struct span id, struct span name) {
    struct buf key = BUF_INIT;
    map_put(set, key_of(&key, id, name), set);
    buf_free(&key);
}

/* What we cannot read, another may: every identifier in it could be the message's. */
static void note_identifiers(struct said *s, struct span name, struct span bytes) {
    static const char digits[] = "0123456789abcdefABCDEF-";
    for (size_t from = 0, to; from < bytes.len; from = to + 1) {
        for (to = from; to < bytes.len && memchr(digits, bytes.ptr[to], sizeof(digits) - 1) != NULL;) {
            to++;
        }
        struct span run = span_sub(bytes, from, to - from);
        if (pcp_id_valid(run)) {
            note(&s->own, run, name);
        }
    }
}

void said_note(struct said *s, struct span name, enum pcp_version version, struct span bytes) {
    struct pcp_message m;
    struct buf scratch = BUF_INIT;
    if (!pcp_decode(version, bytes, PCP_AS_BROKER, &m, &scratch, NULL)) {
        note_identifiers(s, name, bytes);
    } else if (m.sender.len == 0 || pcp_uri_has_name(m.sender, name)) {
        note(&s->own, m.id, name);
    } else {
        note(&s->lies, m.id, name_of(m.sender));
    }
    buf_free(&scratch);
}

bool said_is_lie(const struct said *s, const struct pcp_message *m) {
    struct buf key = BUF_INIT;
    struct span k = key_of(&key, m->id, name_of(m->sender));
    bool lie = map_get(&s->lies, k) != NULL && map_get(&s->own, k) == NULL;
    buf_free(&key);
    return lie;
}
