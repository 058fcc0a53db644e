#include "simulator/dalang/control.h"

#include "base/json.h"
#include "base/mem.h"
#include <string.h>

enum { REQUEST_MAX = 65536 };

struct control {
    struct world *world;
    struct local *local;
    char *dir;
    struct world_watch *watch;
};

static void perform(struct control *c, const json_t *request, struct error *err) {
    if (json_object_get(request, "heal") != NULL) {
        local_heal(c->local, err);
    } else {
        local_fault(c->local, request, err);
    }
}

static void answer(struct control *c, struct span id, const struct error *err) {
    json_t *said =
        error_is_set(err) ? json_pack("{s:s, s:s}", "error", err->msg, "kind", err->kind) : json_pack("{s:b}", "ok", 1);
    char *text = json_text(said), *path = str_printf("%s/%.*s.answer", c->dir, (int)id.len, id.ptr);
    world_file_write(c->world, path, span_of(text), 0600, WORLD_WRITE_ATOMIC, NULL);
    mem_free(path);
    mem_free(text);
    json_decref(said);
}

static void take(struct control *c, const char *name) {
    char *path = str_printf("%s/%s", c->dir, name);
    struct buf text = BUF_INIT;
    struct error err = ERROR_INIT;
    if (world_file_read(c->world, path, REQUEST_MAX, &text, &err)) {
        json_t *request = json_parse(buf_span(&text), name, &err);
        world_file_remove(c->world, path, false, NULL);
        if (request != NULL) {
            perform(c, request, &err);
        }
        json_decref(request);
        answer(c, span_bytes(name, strlen(name) - strlen(".json")), &err);
    }
    error_clear(&err);
    buf_free(&text);
    mem_free(path);
}

static void on_change(void *ctx) {
    struct control *c = ctx;
    char **names;
    size_t count;
    if (!world_file_list(c->world, c->dir, &names, &count, NULL)) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (span_ends_with(span_of(names[i]), ".json")) {
            take(c, names[i]);
        }
    }
    world_names_free(names, count);
}

struct control *control_new(struct world *w, struct local *l, const char *dir, struct error *err) {
    struct control *c = mem_zalloc(sizeof(*c));
    c->world = w;
    c->local = l;
    c->dir = str_printf("%s/faults", dir);
    world_file_remove(w, c->dir, true, NULL); /* what another life left */
    if (world_file_mkdir(w, c->dir, 0700, true, err)) {
        c->watch = world_watch(w, c->dir, on_change, c);
        if (c->watch == NULL) {
            error_set(err, "world/io", "%s cannot be watched", c->dir);
        }
    }
    if (c->watch == NULL) {
        control_free(c);
        return NULL;
    }
    return c;
}

void control_free(struct control *c) {
    if (c == NULL) {
        return;
    }
    if (c->watch != NULL) {
        world_watch_close(c->watch);
    }
    mem_free(c->dir);
    mem_free(c);
}
