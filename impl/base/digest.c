/* Digests and encodings; see digest.h. */
#include "base/digest.h"

#include "base/mem.h"
#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <string.h>

struct sha256 {
    EVP_MD_CTX *ctx;
};

struct sha256 *sha256_new(void) {
    struct sha256 *s = mem_alloc(sizeof(*s));
    s->ctx = EVP_MD_CTX_new();
    int ok = s->ctx != NULL && EVP_DigestInit_ex(s->ctx, EVP_sha256(), NULL);
    assert(ok);
    (void)ok;
    return s;
}

void sha256_update(struct sha256 *s, const void *bytes, size_t len) {
    int ok = EVP_DigestUpdate(s->ctx, bytes, len);
    assert(ok);
    (void)ok;
}

void sha256_finish(struct sha256 *s, uint8_t out[SHA256_LEN]) {
    int ok = EVP_DigestFinal_ex(s->ctx, out, NULL);
    assert(ok);
    (void)ok;
    EVP_MD_CTX_free(s->ctx);
    mem_free(s);
}

void sha256_of(struct span bytes, uint8_t out[SHA256_LEN]) {
    struct sha256 *s = sha256_new();
    sha256_update(s, bytes.ptr, bytes.len);
    sha256_finish(s, out);
}

void sha256_hex(struct span bytes, char out[SHA256_HEX_LEN + 1]) {
    uint8_t digest[SHA256_LEN];
    sha256_of(bytes, digest);
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < SHA256_LEN; i++) {
        out[2 * i] = hex[digest[i] >> 4];
        out[2 * i + 1] = hex[digest[i] & 15];
    }
    out[SHA256_HEX_LEN] = '\0';
}

void hex_encode(struct buf *out, struct span bytes) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.len; i++) {
        uint8_t c = (uint8_t)bytes.ptr[i];
        buf_append(out, (char[2]){hex[c >> 4], hex[c & 15]}, 2);
    }
}

static int hex_digit(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

bool hex_decode(struct buf *out, struct span text) {
    if (text.len % 2 != 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (hex_digit(text.ptr[i]) < 0) {
            return false;
        }
    }
    for (size_t i = 0; i < text.len; i += 2) {
        buf_append_char(out, (char)(hex_digit(text.ptr[i]) << 4 | hex_digit(text.ptr[i + 1])));
    }
    return true;
}

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *out, struct span bytes) {
    const uint8_t *p = (const uint8_t *)bytes.ptr;
    for (size_t i = 0; i < bytes.len; i += 3) {
        size_t left = bytes.len - i;
        uint32_t three = (uint32_t)p[i] << 16 | (left > 1 ? (uint32_t)p[i + 1] << 8 : 0) | (left > 2 ? p[i + 2] : 0);
        char four[4] = {base64_letters[three >> 18], base64_letters[three >> 12 & 63],
                        left > 1 ? base64_letters[three >> 6 & 63] : '=', left > 2 ? base64_letters[three & 63] : '='};
        buf_append(out, four, sizeof(four));
    }
}

static int base64_digit(char c) {
    const char *at = c == '\0' ? NULL : strchr(base64_letters, c);
    return at == NULL ? -1 : (int)(at - base64_letters);
}

bool base64_decode(struct buf *out, struct span text) {
    if (text.len % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < text.len; i += 4) {
        const char *q = text.ptr + i;
        bool last = i + 4 == text.len;
        size_t pad = last && q[3] == '=' ? (q[2] == '=' ? 2 : 1) : 0;
        uint32_t three = 0;
        for (size_t k = 0; k < 4; k++) {
            int digit = k >= 4 - pad ? 0 : base64_digit(q[k]);
            if (digit < 0) {
                return false;
            }
            three = three << 6 | (uint32_t)digit;
        }
        if ((pad == 2 && (three & 0xffff) != 0) || (pad == 1 && (three & 0xff) != 0)) {
            return false; /* bits that no encoder sets */
        }
        buf_append(out, (char[3]){(char)(three >> 16), (char)(three >> 8), (char)three}, 3 - pad);
    }
    return true;
}

bool secret_eq(struct span a, struct span b) {
    return a.len == b.len && (a.len == 0 || CRYPTO_memcmp(a.ptr, b.ptr, a.len) == 0);
}

static uint64_t mix(uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t load(const uint8_t *p, size_t len) {
    uint64_t value = 0;
    memcpy(&value, p, len); /* little endian is assumed: the build targets are x86-64 and arm64 */
    return value;
}

uint64_t hash64(uint64_t seed, const void *bytes, size_t len) {
    const uint64_t k0 = 0xa0761d6478bd642fu, k1 = 0xe7037ed1a0b428dbu, k2 = 0x8ebc6af09c88c6e3u;
    const uint8_t *p = bytes;
    uint64_t state = seed ^ mix(seed ^ k0, k1);
    size_t left = len;
    for (; left > 16; left -= 16, p += 16) {
        state = mix(load(p, 8) ^ k1, load(p + 8, 8) ^ state);
    }
    uint64_t a = left == 0 ? 0 : load(p, left < 8 ? left : 8);
    uint64_t b = left <= 8 ? 0 : load(p + 8, left - 8);
    return mix(k2 ^ len, mix(a ^ k1, b ^ state) ^ k0);
}

void uuid_format(const uint8_t random[16], char out[UUID_LEN + 1]) {
    static const char hex[] = "0123456789abcdef";
    char *to = out;
    for (size_t i = 0; i < 16; i++) {
        uint8_t c = random[i];
        if (i == 6) {
            c = (uint8_t)((c & 0x0f) | 0x40);
        } else if (i == 8) {
            c = (uint8_t)((c & 0x3f) | 0x80);
        }
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *to++ = '-';
        }
        *to++ = hex[c >> 4];
        *to++ = hex[c & 15];
    }
    *to = '\0';
}

bool uuid_valid(struct span text) {
    if (text.len != UUID_LEN) {
        return false;
    }
    for (size_t i = 0; i < UUID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        if (dash ? text.ptr[i] != '-' : hex_digit(text.ptr[i]) < 0) {
            return false;
        }
    }
    return true;
}
