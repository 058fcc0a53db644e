/* Which hosts a description means. */
#include "simulator/faults/internal.h"

#include "base/mem.h"
#include <string.h>

void hosts_free(char **names, size_t count) {
    for (size_t i = 0; i < count; i++) {
        mem_free(names[i]);
    }
    mem_free(names);
}

struct found {
    const struct known_hosts *known;
    const char *where;
    bool patterns;
    char **names;
    size_t count, cap;
};

static void push(struct found *found, const char *name) {
    found->names = mem_grow(found->names, &found->cap, found->count + 1, sizeof(char *));
    found->names[found->count++] = str_dup(name); /* NULL: any */
}

static bool add_prefix(struct found *found, const char *text, struct error *err) {
    const struct known_hosts *known = found->known;
    const char *name;
    bool any = false;
    for (size_t i = 0; !(any && found->patterns) && (name = known->at(known->ctx, i)) != NULL; i++) {
        if (strncmp(name, text, strlen(text) - 1) == 0) {
            push(found, found->patterns ? text : name);
            any = true;
        }
    }
    return any || error_set(err, "fault/unknown-host", "%s: there is no host like %s", found->where, text);
}

static bool add(struct found *found, const char *text, struct error *err) {
    const struct known_hosts *known = found->known;
    if (strcmp(text, "*") == 0 || known == NULL) {
        push(found, NULL);
        return true;
    }
    if (text[strlen(text) - 1] == '*') {
        return add_prefix(found, text, err);
    }
    const char *name = known->find(known->ctx, text);
    if (name == NULL) {
        return error_set(err, "fault/unknown-host", "%s: there is no host %s", found->where, text);
    }
    push(found, name);
    return true;
}

static bool read_all(struct found *found, const json_t *value, struct error *err) {
    bool ok = true;
    size_t i;
    json_t *item;
    if (json_is_string(value) && json_string_length(value) != 0) {
        return add(found, json_string_value(value), err);
    }
    if (json_array_size(value) == 0) {
        return error_set(err, "fault", "%s: the name of a host, or a list of names, is wanted", found->where);
    }
    json_array_foreach(value, i, item) {
        ok = ok &&
             (json_string_length(item) != 0 ? add(found, json_string_value(item), err)
                                            : error_set(err, "fault", "%s: a list of names is wanted", found->where));
    }
    return ok;
}

static bool read_into(struct found *found, const json_t *value, char ***names, size_t *count, struct error *err) {
    if (!read_all(found, value, err)) {
        hosts_free(found->names, found->count);
        return false;
    }
    *names = found->names;
    *count = found->count;
    return true;
}

bool hosts_read(const struct known_hosts *known, const json_t *value, const char *where, char ***names, size_t *count,
                struct error *err) {
    struct found found = {.known = known, .where = where};
    return read_into(&found, value, names, count, err);
}

bool hosts_patterns(const struct known_hosts *known, const json_t *value, const char *where, char ***names,
                    size_t *count, struct error *err) {
    struct found found = {.known = known, .where = where, .patterns = true};
    return read_into(&found, value, names, count, err);
}
