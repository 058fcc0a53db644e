/* Invariant 2: which tasks were started. dalang-exec is started as "… --spool DIR/<transaction id> …". */
#include "simulator/checks/internal.h"

#include <string.h>

void runs_spawned(struct checks *c, const char *host, const char *arguments) {
    static const char option[] = " --spool ";
    const char *at = strstr(arguments, option);
    if (at == NULL) {
        return;
    }
    struct span dir = span_of(at + sizeof(option) - 1);
    ptrdiff_t end = span_find(dir, ' ');
    dir = end < 0 ? dir : span_sub(dir, 0, (size_t)end);
    struct buf key = BUF_INIT;
    buf_printf(&key, "%s %.*s", host, (int)dir.len, dir.ptr);
    c->seen.runs++;
    if (map_put(&c->runs, buf_span(&key), c) != NULL) {
        violate(c, 2, "%s started a program a second time for %.*s", host, (int)dir.len, dir.ptr);
    }
    buf_free(&key);
}
