/* Version 1's framing: a version byte, then chunks of descriptor, 32-bit big-endian size and content (pcp.md §3). */
#ifndef DALANG_PCP_CHUNK_H
#define DALANG_PCP_CHUNK_H

#include "base/bytes.h"

enum { CHUNK_ENVELOPE = 1, CHUNK_DATA = 2, CHUNK_DEBUG = 3 };
enum { CHUNK_HEADER_LEN = 5, CHUNK_TYPE_MASK = 0x0f };

enum chunk_result {
    CHUNK_OK,
    CHUNK_END, /* no chunk left; a rest too short for a header with content is ignored */
    CHUNK_CUT, /* the size says more than there is, or is negative */
};
/* Takes the next chunk off *rest. The type comes without its reserved bits. */
enum chunk_result chunk_next(struct span *rest, int *type, struct span *content);
void chunk_header(struct buf *out, int type, size_t size);

#endif
