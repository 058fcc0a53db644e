/* gzip of whole byte strings. */
#define ZLIB_CONST
#include "wire/gzip.h"

#include "base/mem.h"
#include <assert.h>
#include <zlib.h>

enum {
    GZIP_WINDOW = 15 + 16, /* zlib: the largest window, gzip wrapping */
    STEP = 16 * 1024,
    INPUT_STEP = 1 << 30, /* zlib counts in unsigned int */
};

static void *allocate(void *opaque, unsigned items, unsigned size) {
    (void)opaque;
    return mem_array(items, size);
}

static void release(void *opaque, void *ptr) {
    (void)opaque;
    mem_free(ptr);
}

static void feed(z_stream *z, struct span *in) {
    if (z->avail_in == 0) {
        size_t take = in->len < INPUT_STEP ? in->len : INPUT_STEP;
        z->next_in = (const Bytef *)in->ptr;
        z->avail_in = (unsigned)take;
        *in = span_sub(*in, take, in->len);
    }
}

static void room(z_stream *z, struct buf *out) {
    buf_reserve(out, STEP);
    z->next_out = (Bytef *)out->ptr + out->len;
    z->avail_out = STEP;
}

bool gzip_inflate(struct buf *out, struct span in, size_t max, struct error *err) {
    z_stream z = {.zalloc = allocate, .zfree = release};
    int rc = inflateInit2(&z, GZIP_WINDOW);
    assert(rc == Z_OK);
    size_t before = out->len;
    bool too_large = false;
    while (rc == Z_OK && !too_large) {
        feed(&z, &in);
        room(&z, out);
        rc = inflate(&z, Z_NO_FLUSH);
        out->len += STEP - z.avail_out;
        too_large = out->len - before > max;
    }
    bool whole = rc == Z_STREAM_END && z.avail_in == 0 && in.len == 0;
    inflateEnd(&z);
    if (too_large || !whole) {
        out->len = before;
    }
    if (out->ptr != NULL) {
        out->ptr[out->len] = '\0';
    }
    if (too_large) {
        return error_set(err, "gzip/too-large", "unpacked, it is larger than %zu bytes", max);
    }
    return whole || error_set(err, "gzip/malformed", "not a whole gzip stream");
}

void gzip_deflate(struct buf *out, struct span in) {
    z_stream z = {.zalloc = allocate, .zfree = release};
    int rc = deflateInit2(&z, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY);
    assert(rc == Z_OK);
    do {
        feed(&z, &in);
        room(&z, out);
        rc = deflate(&z, in.len == 0 ? Z_FINISH : Z_NO_FLUSH);
        out->len += STEP - z.avail_out;
    } while (rc == Z_OK);
    assert(rc == Z_STREAM_END);
    out->ptr[out->len] = '\0';
    deflateEnd(&z);
}
