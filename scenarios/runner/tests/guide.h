/* The examples of a guide in Markdown: its ```yaml blocks. */
#ifndef DALANG_SCENARIO_TESTS_GUIDE_H
#define DALANG_SCENARIO_TESTS_GUIDE_H

#include "base/bytes.h"

struct guide_example {
    unsigned line; /* of its first line */
    struct span text;
};
/* The next block from *rest on; false when there is none. */
bool guide_next(struct span *rest, unsigned *line, struct guide_example *out);
/* The whole file; mem_free() it. */
char *guide_read(const char *path);

#endif
