#include "agent/file_digest.h"
#include "base/mem.h"

enum {
    SMALL = 256 * 1024,      /* hashed on the loop: about a millisecond */
    PIECE = 4 * 1024 * 1024, /* read and handed to a worker at a time */
    PIECE_COST_US = 10000,
};

struct file_digest {
    struct world *world;
    char *path;
    void (*done)(void *ctx, const char *hex);
    void *ctx;
    struct world_task task;
    struct sha256 *sum;
    struct buf piece;
    uint64_t offset;
    bool working; /* a worker has `piece` and `sum` */
    bool cancelled;
};

static void release(struct file_digest *d) {
    if (d->sum != NULL) {
        uint8_t unused[SHA256_LEN];
        sha256_finish(d->sum, unused);
    }
    buf_free(&d->piece);
    mem_free(d->path);
    mem_free(d);
}

static void tell(struct file_digest *d, bool ok) {
    char text[SHA256_HEX_LEN + 1] = "";
    if (ok) {
        uint8_t sum[SHA256_LEN];
        struct buf hex = BUF_INIT;
        sha256_finish(d->sum, sum);
        d->sum = NULL;
        hex_encode(&hex, span_bytes(sum, sizeof sum));
        for (size_t i = 0; i < SHA256_HEX_LEN; i++) {
            text[i] = hex.ptr[i];
        }
        buf_free(&hex);
    }
    void (*done)(void *, const char *) = d->done;
    void *ctx = d->ctx;
    release(d);
    done(ctx, ok ? text : NULL);
}

static void next_piece(struct file_digest *d, size_t size);

static void hash_piece(void *arg) {
    struct file_digest *d = arg;
    sha256_update(d->sum, d->piece.ptr, d->piece.len);
}

static void piece_hashed(void *arg) {
    struct file_digest *d = arg;
    d->working = false;
    if (d->cancelled) {
        release(d);
    } else if (d->piece.len < PIECE) {
        tell(d, true);
    } else {
        next_piece(d, PIECE);
    }
}

static void next_piece(struct file_digest *d, size_t size) {
    buf_clear(&d->piece);
    if (!world_file_read_at(d->world, d->path, d->offset, size, &d->piece, NULL)) {
        tell(d, false);
        return;
    }
    d->offset += d->piece.len;
    if (size == SMALL) {
        hash_piece(d);
        if (d->piece.len < SMALL) {
            tell(d, true);
        } else {
            next_piece(d, PIECE);
        }
        return;
    }
    d->working = true;
    world_work(d->world, hash_piece, piece_hashed, d, PIECE_COST_US);
}

static void begin(void *ctx) {
    struct file_digest *d = ctx;
    next_piece(d, SMALL);
}

struct file_digest *file_digest_start(struct world *w, const char *path, void (*done)(void *ctx, const char *hex),
                                      void *ctx) {
    struct file_digest *d = mem_zalloc(sizeof *d);
    d->world = w;
    d->path = str_dup(path);
    d->done = done;
    d->ctx = ctx;
    d->sum = sha256_new();
    world_defer(w, &d->task, begin, d);
    return d;
}

void file_digest_cancel(struct file_digest *d) {
    if (d == NULL) {
        return;
    }
    world_undefer(d->world, &d->task);
    if (d->working) {
        d->cancelled = true; /* the worker still holds it */
    } else {
        release(d);
    }
}
