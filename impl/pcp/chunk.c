/* Chunks of a version 1 message. */
#include "pcp/chunk.h"

#include "pcp/message.h"
#include <assert.h>

enum chunk_result chunk_next(struct span *rest, int *type, struct span *content) {
    if (rest->len < CHUNK_HEADER_LEN) {
        return CHUNK_END;
    }
    const uint8_t *p = (const uint8_t *)rest->ptr;
    uint32_t size = (uint32_t)p[1] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 8 | p[4];
    if (size > INT32_MAX || size > rest->len - CHUNK_HEADER_LEN) {
        return CHUNK_CUT;
    }
    *type = p[0] & CHUNK_TYPE_MASK;
    *content = (struct span){rest->ptr + CHUNK_HEADER_LEN, size};
    *rest = span_sub(*rest, CHUNK_HEADER_LEN + size, rest->len);
    return CHUNK_OK;
}

void chunk_header(struct buf *out, int type, size_t size) {
    assert(size <= INT32_MAX);
    uint8_t header[CHUNK_HEADER_LEN] = {(uint8_t)type, (uint8_t)(size >> 24), (uint8_t)(size >> 16),
                                        (uint8_t)(size >> 8), (uint8_t)size};
    buf_append(out, header, sizeof header);
}

bool pcp_debug_next(struct span *rest, struct span *content) {
    int type;
    return chunk_next(rest, &type, content) == CHUNK_OK;
}

void pcp_debug_append(struct buf *debug, struct span content) {
    chunk_header(debug, CHUNK_DEBUG, content.len);
    buf_append_span(debug, content);
}
