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
    char **names;
    size_t count, cap;
};

static void push(struct found *found, const char *name) {
    found->names = mem_grow(found->names, &found->cap, found->count + 1, sizeof(char *));
    found->names[found->count++] = str_dup(name); /* NULL: any */
}

static bool add(struct faults *f, const char *text, const char *where, struct found *found, struct error *err) {
    size_t len = strlen(text);
    if (strcmp(text, "*") == 0 || f == NULL) {
        push(found, NULL);
        return true;
    }
    if (text[len - 1] != '*') {
        const struct world *host = sim_find_host(f->sim, text);
        if (host == NULL) {
            return error_set(err, "fault/unknown-host", "%s: there is no host %s", where, text);
        }
        push(found, sim_host_name(host));
        return true;
    }
    size_t before = found->count;
    for (size_t i = 0; i < sim_host_count(f->sim); i++) {
        const char *name = sim_host_name(sim_host_at(f->sim, i));
        if (strncmp(name, text, len - 1) == 0) {
            push(found, name);
        }
    }
    return found->count > before || error_set(err, "fault/unknown-host", "%s: there is no host like %s", where, text);
}

bool hosts_read(struct faults *f, const json_t *value, const char *where, char ***names, size_t *count,
                struct error *err) {
    struct found found = {NULL, 0, 0};
    bool ok = true;
    size_t i;
    json_t *item;
    if (json_is_string(value) && json_string_length(value) != 0) {
        ok = add(f, json_string_value(value), where, &found, err);
    } else if (json_array_size(value) != 0) {
        json_array_foreach(value, i, item) {
            ok =
                ok && (json_string_length(item) != 0 ? add(f, json_string_value(item), where, &found, err)
                                                     : error_set(err, "fault", "%s: a list of names is wanted", where));
        }
    } else {
        ok = error_set(err, "fault", "%s: the name of a host, or a list of names, is wanted", where);
    }
    if (!ok) {
        hosts_free(found.names, found.count);
        return false;
    }
    *names = found.names;
    *count = found.count;
    return true;
}
