/* See mutate.h: pieces, and what may happen to any sequence of them. */
#include "fuzz/mutate/mutate.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

enum { GROWTH = 64, CHANGES_MAX = 4, PIECES_MAX = 400 };

/* Seeds that are neighbours begin far from each other. */
struct mutate mutate_seeded(uint32_t seed, mutate_leaf_fn *leaf) {
    uint32_t x = (seed + 1) * 2654435769u;
    x = (x ^ x >> 16) * 2246822507u;
    x = (x ^ x >> 13) * 3266489909u;
    x ^= x >> 16;
    return (struct mutate){x != 0 ? x : 1, leaf};
}

uint32_t mutate_below(struct mutate *m, uint32_t count) {
    uint32_t x = m->random;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    m->random = x;
    return (uint32_t)(((uint64_t)x * count) >> 32);
}

bool mutate_one_in(struct mutate *m, uint32_t count) {
    return mutate_below(m, count) == 0;
}

bool mutate_plainly(unsigned seed);
bool mutate_plainly(unsigned seed) {
    static int plain = -1; /* asked once: this is a program of its own */
    plain = plain < 0 ? getenv("FUZZ_PLAIN") != NULL : plain;
    return plain != 0 || seed % 4 == 0;
}

void mutate_bytes(struct mutate *m, struct buf *bytes) {
    buf_reserve(bytes, GROWTH);
    bytes->len = m->leaf((uint8_t *)bytes->ptr, bytes->len, bytes->len + GROWTH);
    bytes->ptr[bytes->len] = '\0';
}

static size_t sequence(const unsigned char *at, size_t left) {
    for (size_t len = 1; len <= 4 && len <= left; len++) {
        if (span_is_utf8(span_bytes(at, len))) {
            return len;
        }
    }
    return 0;
}

void mutate_make_text(struct buf *text) {
    for (size_t i = 0; i < text->len;) {
        unsigned char c = (unsigned char)text->ptr[i];
        size_t len = c < 0x80 ? 1 : sequence((unsigned char *)text->ptr + i, text->len - i);
        if (len == 0 || (c < ' ' && c != '\t' && c != '\n') || c == 0x7f) {
            text->ptr[i] = (char)('a' + c % 26);
            len = 1;
        }
        i += len;
    }
}

void mutate_text(struct mutate *m, struct buf *text) {
    mutate_bytes(m, text);
    mutate_make_text(text);
}

/* ---- pieces */

struct piece *pieces_add(struct pieces *p, uint8_t kind, struct span text) {
    p->items = mem_grow(p->items, &p->cap, p->count + 1, sizeof(*p->items));
    struct piece *new = &p->items[p->count++];
    *new = (struct piece){.kind = kind, .text = BUF_INIT};
    buf_append_span(&new->text, text);
    return new;
}

struct piece *pieces_insert(struct pieces *p, size_t at, const struct piece *like) {
    struct piece new = {.kind = like->kind, .text = BUF_INIT};
    memcpy(new.operands, like->operands, sizeof(new.operands));
    buf_append_span(&new.text, buf_span(&like->text));
    p->items = mem_grow(p->items, &p->cap, p->count + 1, sizeof(*p->items));
    memmove(&p->items[at + 1], &p->items[at], (p->count - at) * sizeof(*p->items));
    p->items[at] = new;
    p->count++;
    return &p->items[at];
}

void pieces_remove(struct pieces *p, size_t at) {
    buf_free(&p->items[at].text);
    p->count--;
    memmove(&p->items[at], &p->items[at + 1], (p->count - at) * sizeof(*p->items));
}

void pieces_free(struct pieces *p) {
    for (size_t i = 0; i < p->count; i++) {
        buf_free(&p->items[i].text);
    }
    mem_free(p->items);
    buf_free(&p->head);
    *p = (struct pieces){.head = BUF_INIT};
}

/* ---- changes */

static size_t any_place(struct mutate *m, const struct pieces *p) {
    return mutate_below(m, (uint32_t)p->count + 1);
}

static struct piece *any_piece(struct mutate *m, const struct pieces *p) {
    return &p->items[mutate_below(m, (uint32_t)p->count)];
}

static void insert_new(const struct mutate_format *f, struct mutate *m, struct pieces *p) {
    struct piece new = {.text = BUF_INIT};
    f->make(f, m, &new);
    pieces_insert(p, any_place(m, p), &new);
    buf_free(&new.text);
}

/* Some of `from`, one after the other, to a place in p. */
static void copy_some(struct mutate *m, struct pieces *p, const struct pieces *from) {
    size_t at = any_place(m, p), begin = mutate_below(m, (uint32_t)from->count), run = 1 + mutate_below(m, 4);
    for (size_t i = 0; i < run && begin + i < from->count; i++) {
        struct piece copy = from->items[begin + i]; /* p may be from: its items move */
        copy.text = (struct buf)BUF_INIT;
        buf_append_span(&copy.text, buf_span(&from->items[begin + i].text));
        pieces_insert(p, at + i, &copy);
        buf_free(&copy.text);
        begin += from == p && at + i <= begin ? 1 : 0;
    }
}

static void swap_two(struct mutate *m, struct pieces *p) {
    struct piece *a = any_piece(m, p), *b = any_piece(m, p), kept = *a;
    *a = *b;
    *b = kept;
}

static void change_once(const struct mutate_format *f, struct mutate *m, struct pieces *p) {
    uint32_t what = mutate_below(m, 20);
    if (p->count == 0 || (what < 3 && p->count < PIECES_MAX)) {
        insert_new(f, m, p);
    } else if (what < 5 && p->count < PIECES_MAX) {
        copy_some(m, p, p);
    } else if (what < 7) {
        pieces_remove(p, mutate_below(m, (uint32_t)p->count));
    } else if (what < 8) {
        swap_two(m, p);
    } else if (what < 9 && p->head.len != 0) {
        p->head.ptr[mutate_below(m, (uint32_t)p->head.len)] ^= (char)(1u << mutate_below(m, 8));
    } else {
        f->change(f, m, any_piece(m, p));
    }
}

/* Writes the pieces, fewer of them while they do not fit. */
static size_t write_out(const struct mutate_format *f, struct mutate *m, struct pieces *p, uint8_t *out,
                        size_t max_size) {
    struct buf bytes = BUF_INIT;
    if (f->repair != NULL && !mutate_one_in(m, 32)) {
        f->repair(f, m, p);
    }
    f->join(f, p, &bytes);
    while (bytes.len > max_size && p->count != 0) {
        pieces_remove(p, p->count - 1);
        buf_clear(&bytes);
        f->join(f, p, &bytes);
    }
    size_t size = bytes.len <= max_size ? bytes.len : 0;
    if (size != 0) {
        memcpy(out, bytes.ptr, size);
    }
    buf_free(&bytes);
    return size;
}

size_t mutate_input(const struct mutate_format *f, struct mutate *m, uint8_t *data, size_t size, size_t max_size) {
    struct pieces p = {.head = BUF_INIT};
    size_t written = 0;
    if (!mutate_one_in(m, 16) && f->split(f, span_bytes(data, size), &p)) {
        for (uint32_t i = 1 + mutate_below(m, CHANGES_MAX); i > 0; i--) {
            change_once(f, m, &p);
        }
        written = write_out(f, m, &p, data, max_size);
    }
    pieces_free(&p);
    return written != 0 ? written : m->leaf(data, size, max_size);
}

size_t mutate_cross(const struct mutate_format *f, struct mutate *m, struct span a, struct span b, uint8_t *out,
                    size_t max_size) {
    struct pieces p = {.head = BUF_INIT}, other = {.head = BUF_INIT};
    size_t written = 0;
    if (f->split(f, a, &p) && f->split(f, b, &other) && other.count != 0) {
        for (uint32_t i = 1 + mutate_below(m, CHANGES_MAX); i > 0; i--) {
            copy_some(m, &p, &other);
        }
        written = write_out(f, m, &p, out, max_size);
    }
    pieces_free(&p);
    pieces_free(&other);
    return written;
}
