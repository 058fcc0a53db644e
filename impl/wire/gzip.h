/* gzip of whole byte strings (zlib). Pure. */
#ifndef DALANG_WIRE_GZIP_H
#define DALANG_WIRE_GZIP_H

#include "base/bytes.h"
#include "base/error.h"

/* Appended to out. Stops with kind "gzip/too-large" once more than max bytes come out, so that a small input cannot
 * fill the memory; "gzip/malformed" when it is not one whole gzip stream. On error out is as before. */
bool gzip_inflate(struct buf *out, struct span in, size_t max, struct error *err);
void gzip_deflate(struct buf *out, struct span in);

#endif
