/* See lowercase.h. */
#include "pql/lowercase.h"

/* Letters first…last become the letter `by` further on; with `pairs` only every second one, beginning with the first.
 */
static const struct range {
    unsigned first, last, by;
    bool pairs;
} ranges[] = {
    {0x41, 0x5a, 32, false},   {0xc0, 0xd6, 32, false},   {0xd8, 0xde, 32, false},   {0x100, 0x12e, 1, true},
    {0x132, 0x136, 1, true},   {0x139, 0x147, 1, true},   {0x14a, 0x176, 1, true},   {0x179, 0x17d, 1, true},
    {0x388, 0x38a, 37, false}, {0x391, 0x3a1, 32, false}, {0x3a3, 0x3ab, 32, false}, {0x400, 0x40f, 80, false},
    {0x410, 0x42f, 32, false}, {0x460, 0x480, 1, true},   {0x48a, 0x4be, 1, true},
};

static unsigned lower_of(unsigned letter) {
    for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
        const struct range *r = &ranges[i];
        if (letter >= r->first && letter <= r->last) {
            return r->pairs && (letter - r->first) % 2 != 0 ? letter : letter + r->by;
        }
    }
    return letter;
}

void lowercase(struct buf *text) {
    unsigned char *p = (unsigned char *)text->ptr;
    for (size_t i = 0; i < text->len; i++) {
        if (p[i] < 0x80) {
            p[i] = (unsigned char)lower_of(p[i]);
        } else if (p[i] >= 0xc2 && p[i] < 0xe0 && i + 1 < text->len) {
            unsigned lower = lower_of((p[i] & 0x1fu) << 6 | (p[i + 1] & 0x3fu));
            p[i] = (unsigned char)(0xc0 | lower >> 6);
            p[++i] = (unsigned char)(0x80 | (lower & 0x3f));
        }
    }
}
