/* WebSocket frame headers and masks. */
#include "wire/ws_frame.h"

#include <string.h>

static uint64_t read_be(const uint8_t *p, size_t len) {
    uint64_t value = 0;
    for (size_t i = 0; i < len; i++) {
        value = value << 8 | p[i];
    }
    return value;
}

static void write_be(uint8_t *p, size_t len, uint64_t value) {
    for (size_t i = len; i > 0; i--) {
        p[i - 1] = (uint8_t)value;
        value >>= 8;
    }
}

int ws_head_decode(const void *bytes, size_t len, struct ws_frame_head *out) {
    const uint8_t *p = bytes;
    if (len < 2) {
        return 0;
    }
    uint8_t short_length = p[1] & 0x7f;
    size_t extended = short_length == 127 ? 8 : short_length == 126 ? 2 : 0;
    out->fin = (p[0] & 0x80) != 0;
    out->reserved = (p[0] >> 4) & 7;
    out->opcode = p[0] & 15;
    out->masked = (p[1] & 0x80) != 0;
    size_t need = 2 + extended + (out->masked ? 4 : 0);
    if (len < need) {
        return 0;
    }
    out->length = extended == 0 ? short_length : read_be(p + 2, extended);
    if ((extended == 2 && out->length < 126) ||
        (extended == 8 && (out->length <= UINT16_MAX || out->length > INT64_MAX))) {
        return -1;
    }
    if (out->masked) {
        memcpy(out->mask, p + 2 + extended, 4);
    }
    return (int)need;
}

size_t ws_head_encode(uint8_t out[WS_HEAD_MAX], const struct ws_frame_head *head) {
    size_t extended = head->length > UINT16_MAX ? 8 : head->length > 125 ? 2 : 0;
    out[0] = (uint8_t)((head->fin ? 0x80 : 0) | (head->reserved & 7) << 4 | (head->opcode & 15));
    out[1] = (uint8_t)((head->masked ? 0x80 : 0) | (extended == 8 ? 127 : extended == 2 ? 126 : (uint8_t)head->length));
    write_be(out + 2, extended, head->length);
    if (!head->masked) {
        return 2 + extended;
    }
    memcpy(out + 2 + extended, head->mask, 4);
    return 2 + extended + 4;
}

void ws_mask(char *dst, const char *src, size_t len, const uint8_t mask[4], uint64_t at) {
    uint8_t key[8];
    for (size_t i = 0; i < 8; i++) {
        key[i] = mask[(at + i) & 3];
    }
    uint64_t wide;
    memcpy(&wide, key, 8);
    size_t i = 0;
    for (; i + 32 <= len; i += 32) { /* wide enough for the compiler to use vectors */
        uint64_t words[4];
        memcpy(words, src + i, 32);
        words[0] ^= wide;
        words[1] ^= wide;
        words[2] ^= wide;
        words[3] ^= wide;
        memcpy(dst + i, words, 32);
    }
    for (; i + 8 <= len; i += 8) {
        uint64_t word;
        memcpy(&word, src + i, 8);
        word ^= wide;
        memcpy(dst + i, &word, 8);
    }
    for (; i < len; i++) {
        dst[i] = (char)((uint8_t)src[i] ^ key[i & 7]);
    }
}

bool ws_close_code_valid(uint16_t code) {
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) || (code >= 3000 && code <= 4999);
}
