/* What a fuzzer does, step by step, and its transcript: one JSON object a line, so that a run can be read, repeated and
 * made smaller. The first line says what was fuzzed, the last one what was found:
 *
 *     {"fuzz": "broker", "seed": 7}
 *     {"do": "connect", "who": 2, "version": 1, "path": "/pcp/agent"}
 *     {"do": "text", "who": 2, "text": "{\"id\":…"}          or "hex" for what is no text
 *     {"do": "probe"}
 *     {"verdict": "crash", "text": "…"} */
#ifndef DALANG_LIVEFUZZ_ACTION_H
#define DALANG_LIVEFUZZ_ACTION_H

#include "base/bytes.h"
#include "base/error.h"

enum action_kind {
    ACTION_CONNECT, /* who, again when it is connected; bytes: the path */
    ACTION_TEXT,    /* a whole message in one frame */
    ACTION_BINARY,
    ACTION_RAW,   /* bytes on the stream, whatever they are */
    ACTION_PING,  /* a proper one */
    ACTION_CLOSE, /* in order: number is the code */
    ACTION_DROP,  /* the stream, without a word */
    ACTION_WAIT,  /* number: milliseconds */
    ACTION_PROBE, /* does it still work? */
    ACTION_KINDS,
};

struct action {
    enum action_kind kind;
    unsigned who;
    int version; /* of CONNECT: 1 or 2 */
    uint64_t number;
    struct buf bytes;
};

struct actions {
    struct action *items;
    size_t count, cap;
    bool agent; /* fuzzed an agent, not a broker */
    uint64_t seed;
};

void action_free(struct action *a);
void actions_free(struct actions *list);
void actions_add(struct actions *list, struct action *a); /* takes its bytes over */
void action_write(const struct action *a, struct buf *out);
/* Appends a whole transcript's actions. False (kind "transcript", naming the line) when it is none. */
bool actions_read(struct actions *list, struct span text, struct error *err);
void actions_write(const struct actions *list, struct buf *out); /* with the first line */

#endif
