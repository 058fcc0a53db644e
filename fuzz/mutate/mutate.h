/* Changes the inputs of fuzz targets without breaking their shape: an input is taken apart into pieces (chunks, frames,
 * commands, tokens), some of them are changed, added, doubled, dropped or moved, and what comes out is written with its
 * lengths and masks anew. Bytes at the leaves come from libFuzzer (its dictionary and what it learnt of comparisons);
 * one change in sixteen, and of a target's mutations one in four, is of the whole input's bytes, for what only broken
 * inputs reach. (Targets are here for which that reached more than libFuzzer alone in the same processor time: for PQL,
 * AST queries and the HTTP server it did not.)
 *
 * A target names its format once:
 *
 *     MUTATOR(mutate_pcp_v1)
 *
 * With FUZZ_PLAIN in the environment libFuzzer's own mutations are used, to compare (ci/fuzz --plain). */
#ifndef DALANG_FUZZ_MUTATE_H
#define DALANG_FUZZ_MUTATE_H

#include "base/bytes.h"

typedef size_t mutate_leaf_fn(uint8_t *data, size_t size, size_t max_size); /* as LLVMFuzzerMutate() */

struct mutate {
    uint32_t random;
    mutate_leaf_fn *leaf;
};

struct mutate mutate_seeded(uint32_t seed, mutate_leaf_fn *leaf);
uint32_t mutate_below(struct mutate *m, uint32_t count); /* 0 … count - 1 */
bool mutate_one_in(struct mutate *m, uint32_t count);
/* Libfuzzer's change of some bytes; they may grow. */
void mutate_bytes(struct mutate *m, struct buf *bytes);
/* The same, then made text again: no control characters but white space, valid UTF-8. */
void mutate_text(struct mutate *m, struct buf *text);
void mutate_make_text(struct buf *text);

enum { PIECE_OPERANDS = 8 };
struct piece {
    uint8_t kind;
    uint8_t operands[PIECE_OPERANDS];
    struct buf text;
};
struct pieces {
    struct buf head; /* what stands before the first */
    struct piece *items;
    size_t count, cap;
};
struct piece *pieces_add(struct pieces *p, uint8_t kind, struct span text); /* at the end */
struct piece *pieces_insert(struct pieces *p, size_t at, const struct piece *like);
void pieces_remove(struct pieces *p, size_t at);
void pieces_free(struct pieces *p);

struct mutate_format {
    /* False: the input is not of this format; *out is freed by the caller all the same. */
    bool (*split)(const struct mutate_format *f, struct span in, struct pieces *out);
    void (*join)(const struct mutate_format *f, const struct pieces *in, struct buf *out);
    void (*change)(const struct mutate_format *f, struct mutate *m, struct piece *p);
    void (*make)(const struct mutate_format *f, struct mutate *m, struct piece *p); /* fills an empty one */
    /* Brings order into the sequence after it was changed; NULL: any order is one. */
    void (*repair)(const struct mutate_format *f, struct mutate *m, struct pieces *p);
    const void *data;
};

/* Changes data in place and returns its new size, at most max_size. */
size_t mutate_input(const struct mutate_format *f, struct mutate *m, uint8_t *data, size_t size, size_t max_size);
/* Pieces of two inputs in one. Returns its size; 0: they have nothing to exchange. */
size_t mutate_cross(const struct mutate_format *f, struct mutate *m, struct span a, struct span b, uint8_t *out,
                    size_t max_size);

/* ---- JSON, wherever it stands */

struct mutate_words {
    const char *const *keys;   /* of members; NULL-terminated */
    const char *const *values; /* whole JSON texts; NULL-terminated */
};
/* One change of the tree: a value, a member, an order. Text that is no JSON: of its bytes. */
void mutate_json(struct mutate *m, const struct mutate_words *words, struct buf *text);

/* ---- programs of small commands: a byte, operands, and for some a text whose length stands before it */

struct mutate_op {
    uint8_t op;
    uint8_t operands; /* bytes that follow it */
    uint8_t length;   /* NO_LENGTH, or the operand (0 …) that says the text's length */
    bool wide;        /* two bytes, most significant first */
    bool json;
};
enum { NO_LENGTH = 0xff };
struct mutate_program {
    uint8_t options; /* bytes before the first command */
    const struct mutate_op *ops;
    size_t op_count;
    uint8_t other_operands; /* of commands that are not in the table */
    const struct mutate_words *words;
};
bool program_split(const struct mutate_format *f, struct span in, struct pieces *out);
void program_join(const struct mutate_format *f, const struct pieces *in, struct buf *out);
void program_change(const struct mutate_format *f, struct mutate *m, struct piece *p);
void program_make(const struct mutate_format *f, struct mutate *m, struct piece *p);

/* ---- the formats */

extern const struct mutate_format mutate_pcp_v1, /* chunks of envelope, data and debugging */
    mutate_pcp_v2,                               /* one JSON text */
    mutate_pxp,                                  /* a byte and a JSON text */
    mutate_api,                                  /* the same, or two lines */
    mutate_ws,                                   /* a byte and frames */
    mutate_http_request,                         /* requests, lengths and chunks */
    mutate_broker, mutate_agent, mutate_orchestrator;

#ifdef FUZZ_WITH_ENGINE
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);
size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,
                                 size_t max_size, unsigned seed);
bool mutate_plainly(unsigned seed); /* one in four; all when FUZZ_PLAIN is set */

#define MUTATOR(format)                                                                                                \
    size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed) {                       \
        struct mutate m = mutate_seeded(seed, LLVMFuzzerMutate);                                                       \
        return mutate_plainly(seed) ? LLVMFuzzerMutate(data, size, max_size)                                           \
                                    : mutate_input(&(format), &m, data, size, max_size);                               \
    }                                                                                                                  \
    size_t LLVMFuzzerCustomCrossOver(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size, uint8_t *out,   \
                                     size_t max_size, unsigned seed) {                                                 \
        struct mutate m = mutate_seeded(seed, LLVMFuzzerMutate);                                                       \
        return mutate_plainly(seed)                                                                                    \
                   ? 0                                                                                                 \
                   : mutate_cross(&(format), &m, span_bytes(a, a_size), span_bytes(b, b_size), out, max_size);         \
    }
#else
#define MUTATOR(format) /* inputs are only replayed */
#endif

#endif
