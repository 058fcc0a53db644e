/* See fleet_name.h. */
#include "simulator/fleet/fleet_name.h"

#include "base/bytes.h"
#include <string.h>

static const char default_format[] = "node-{n:04}.example.com";

/* Splits "web-{n:04}.x" into what stands before and after the number, and its width. False: not of that form. */
static bool split_format(const char *format, size_t *before, size_t *after, int *width) {
    const char *open = strstr(format, "{n");
    const char *close = open != NULL ? strchr(open, '}') : NULL;
    if (close == NULL || strchr(close, '{') != NULL) {
        return false;
    }
    *before = (size_t)(open - format);
    *after = (size_t)(close - format) + 1;
    *width = 0;
    if (open[2] == '}') {
        return true;
    }
    uint64_t digits;
    if (open[2] != ':' || !span_to_u64((struct span){open + 3, (size_t)(close - open) - 3}, &digits) || digits > 9) {
        return false;
    }
    *width = (int)digits;
    return true;
}

bool fleet_name_format_valid(const char *name_format) {
    size_t before, after;
    int width;
    return split_format(name_format, &before, &after, &width);
}

char *fleet_format_name(const char *name_format, uint32_t n) {
    const char *format = name_format != NULL ? name_format : default_format;
    size_t before, after;
    int width;
    if (!split_format(format, &before, &after, &width)) {
        return str_dup(format);
    }
    return str_printf("%.*s%0*u%s", (int)before, format, width, n, format + after);
}
