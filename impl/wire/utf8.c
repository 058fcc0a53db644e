/* UTF-8 of a text that is still growing. */
#include "wire/utf8.h"

#include <string.h>

static size_t sequence_len(uint8_t lead) {
    return lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
}

/* Length of the character the text ends within; 0 when it ends with a whole one. */
static size_t unfinished(struct span text) {
    for (size_t back = 1; back <= 3 && back <= text.len; back++) {
        uint8_t byte = (uint8_t)text.ptr[text.len - back];
        if ((byte & 0xc0) != 0x80) {
            return back < sequence_len(byte) ? back : 0;
        }
    }
    return 0;
}

/* Is there a way to finish it? What may follow a lead byte is a range that holds its lowest or its highest value. */
static bool can_be_finished(struct span part) {
    size_t len = sequence_len((uint8_t)part.ptr[0]);
    char low[4], high[4];
    memset(low, 0x80, sizeof(low));
    memset(high, 0xbf, sizeof(high));
    memcpy(low, part.ptr, part.len);
    memcpy(high, part.ptr, part.len);
    return span_is_utf8((struct span){low, len}) || span_is_utf8((struct span){high, len});
}

bool utf8_so_far(struct span text, size_t *checked) {
    struct span fresh = span_sub(text, *checked, text.len);
    size_t part = unfinished(fresh);
    if (!span_is_utf8(span_sub(fresh, 0, fresh.len - part))) {
        return false;
    }
    *checked = text.len - part;
    return part == 0 || can_be_finished(span_sub(fresh, fresh.len - part, part));
}
