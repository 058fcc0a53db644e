/* See paths.h. */
#include "scenarios/runner/paths.h"

#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

/* Takes the next word or index off; false at the end or when it is wrong. *index is set for "[n]". */
static bool next(const char **path, char **key, long *index, bool *is_index) {
    const char *p = *path;
    p += *p == '.' ? 1 : 0;
    *key = NULL;
    *is_index = *p == '[';
    if (*is_index) {
        char *end;
        *index = strtol(p + 1, &end, 10);
        if (end == p + 1 || *end != ']') {
            return false;
        }
        *path = end + 1;
        return true;
    }
    if (*p == '"') {
        const char *end = strchr(p + 1, '"');
        if (end == NULL) {
            return false;
        }
        *key = span_dup((struct span){p + 1, (size_t)(end - p - 1)});
        *path = end + 1;
        return true;
    }
    size_t len = strcspn(p, ".[");
    if (len == 0) {
        return false;
    }
    *key = span_dup((struct span){p, len});
    *path = p + len;
    return true;
}

bool path_valid(const char *path) {
    while (*path != '\0') {
        char *key;
        long index;
        bool is_index;
        if (!next(&path, &key, &index, &is_index) || (*path != '\0' && *path != '.' && *path != '[')) {
            return false;
        }
        mem_free(key);
    }
    return true;
}

json_t *path_get(const json_t *value, const char *path) {
    while (value != NULL && *path != '\0') {
        char *key;
        long index = 0;
        bool is_index;
        if (!next(&path, &key, &index, &is_index)) {
            return NULL;
        }
        if (is_index) {
            size_t size = json_array_size(value);
            value = json_array_get(value, index >= 0 ? (size_t)index : size - (size_t)-index);
        } else if (strcmp(key, "#") == 0 && *path == '\0') {
            mem_free(key);
            return json_integer((json_int_t)(json_is_object(value) ? json_object_size(value) : json_array_size(value)));
        } else {
            value = json_object_get(value, key);
        }
        mem_free(key);
    }
    return json_incref((json_t *)(uintptr_t)value);
}
