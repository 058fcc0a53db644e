/* See textset.h. Clojure keeps a set as a trie over 32-bit hashes (Murmur3 of Java's hash of the text), five bits a
 * level from the lowest, and walks it in that order. */
#include "textset.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

struct item {
    uint32_t hash;
    size_t at; /* in the list: first come where hashes are equal */
    json_t *text;
};

/* Java's String.hashCode(): over UTF-16 units. The text is valid UTF-8, as every JSON text is. */
static uint32_t java_hash(const unsigned char *p, size_t len) {
    uint32_t hash = 0;
    for (size_t i = 0; i < len;) {
        uint32_t c = p[i++];
        unsigned more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;
        c = more == 0 ? c : c & (0x3fu >> more);
        for (; more > 0 && i < len; more--) {
            c = c << 6 | (p[i++] & 0x3fu);
        }
        if (c >= 0x10000) {
            hash = hash * 31 + (0xd800 + ((c - 0x10000) >> 10));
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        hash = hash * 31 + c;
    }
    return hash;
}

static uint32_t rotate(uint32_t x, unsigned by) {
    return x << by | x >> (32 - by);
}

static uint32_t murmur3(uint32_t value) {
    if (value == 0) {
        return 0;
    }
    uint32_t h = rotate(rotate(value * 0xcc9e2d51u, 15) * 0x1b873593u, 13) * 5 + 0xe6546b64u;
    h ^= 4;
    h = (h ^ h >> 16) * 0x85ebca6bu;
    h = (h ^ h >> 13) * 0xc2b2ae35u;
    return h ^ h >> 16;
}

static int by_trie(const void *a, const void *b) {
    const struct item *left = a, *right = b;
    for (unsigned shift = 0; shift < 32; shift += 5) {
        uint32_t l = left->hash >> shift & 31, r = right->hash >> shift & 31;
        if (l != r) {
            return l < r ? -1 : 1;
        }
    }
    return left->at < right->at ? -1 : left->at > right->at;
}

json_t *textset_of(const json_t *list) {
    struct item *items = mem_array(json_array_size(list) + 1, sizeof(*items));
    size_t count = 0, i;
    json_t *text;
    json_array_foreach(list, i, text) {
        if (json_is_string(text)) {
            const unsigned char *bytes = (const unsigned char *)json_string_value(text);
            items[count++] =
                (struct item){.hash = murmur3(java_hash(bytes, json_string_length(text))), .at = i, .text = text};
        }
    }
    qsort(items, count, sizeof(*items), by_trie);
    json_t *set = json_array();
    for (size_t k = 0; k < count; k++) {
        bool seen = false; /* only equal hashes may be equal texts, and they stand together */
        for (size_t e = k; e-- > 0 && items[e].hash == items[k].hash;) {
            seen = seen || json_equal(items[e].text, items[k].text);
        }
        if (!seen) {
            json_array_append(set, items[k].text);
        }
    }
    mem_free(items);
    return set;
}
