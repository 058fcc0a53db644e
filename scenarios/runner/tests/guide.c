/* See guide.h. */
#include "scenarios/runner/tests/guide.h"

#include <stdio.h>

bool guide_next(struct span *rest, unsigned *line, struct guide_example *out) {
    struct span one;
    const char *begin = NULL;
    while (span_split(rest, '\n', &one)) {
        ++*line;
        if (begin == NULL && span_eq_cstr(one, "```yaml")) {
            begin = one.ptr + one.len + 1;
            out->line = *line + 1;
        } else if (begin != NULL && span_eq_cstr(one, "```")) {
            out->text = (struct span){begin, (size_t)(one.ptr - begin)};
            return true;
        }
    }
    return false;
}

char *guide_read(const char *path) {
    struct buf text = BUF_INIT;
    FILE *f = fopen(path, "rb");
    char piece[4096];
    size_t got;
    while (f != NULL && (got = fread(piece, 1, sizeof(piece), f)) > 0) {
        buf_append(&text, piece, got);
    }
    if (f != NULL) {
        fclose(f);
    }
    return buf_take(&text);
}
