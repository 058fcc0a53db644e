#include "simulator/dalang/control.h"

#include "base/json.h"
#include "base/mem.h"
#include <string.h>

enum { REQUEST_MAX = 65536, DOWN_MAX = STACK_BROKERS_MAX + 1 };
static const uint64_t AGAIN_MS = 1000; /* its port may not be free yet */

struct down {
    struct control *control;
    char name[32]; /* "": free */
    struct timer back;
};

struct control {
    struct world *world;
    struct stack *stack;
    char *dir;
    struct world_watch *watch;
    struct down down[DOWN_MAX];
};

static struct down *down_of(struct control *c, const char *name) {
    struct down *unused = NULL;
    for (size_t i = 0; i < DOWN_MAX; i++) {
        if (strcmp(c->down[i].name, name) == 0) {
            return &c->down[i];
        }
        unused = unused == NULL && c->down[i].name[0] == '\0' ? &c->down[i] : unused;
    }
    return unused;
}

static bool revive(struct down *d, struct error *err) {
    world_timer_stop(d->control->world, &d->back);
    if (!stack_revive(d->control->stack, d->name, err)) {
        return false;
    }
    d->name[0] = '\0';
    return true;
}

static void on_back(void *ctx) {
    struct down *d = ctx;
    struct error err = ERROR_INIT;
    if (!revive(d, &err)) {
        error_clear(&err);
        world_timer_start(d->control->world, &d->back, AGAIN_MS, on_back, d);
    }
}

static bool kill_part(struct control *c, const char *name, bool comes_back, int64_t after_ms, struct error *err) {
    bool known = name != NULL && (strcmp(name, "orchestrator") == 0 ||
                                  (strncmp(name, "broker-", 7) == 0 && stack_url(c->stack, name) != NULL));
    if (!known) {
        return error_set(err, "fault", "%s is no broker of this stack, nor the orchestrator",
                         name != NULL ? name : "it");
    }
    struct down *d = down_of(c, name);
    d->control = c;
    snprintf(d->name, sizeof(d->name), "%s", name);
    stack_kill(c->stack, name);
    world_timer_stop(c->world, &d->back);
    if (comes_back) {
        world_timer_start(c->world, &d->back, after_ms > 0 ? (uint64_t)after_ms : 0, on_back, d);
    }
    return true;
}

static bool heal(struct control *c, struct error *err) {
    bool ok = true;
    for (size_t i = 0; ok && i < DOWN_MAX; i++) {
        ok = c->down[i].name[0] == '\0' || revive(&c->down[i], err);
    }
    return ok;
}

static bool perform(struct control *c, const json_t *request, struct error *err) {
    if (json_object_get(request, "heal") != NULL) {
        return heal(c, err);
    }
    bool restart = json_object_get(request, "restart") != NULL;
    return kill_part(c, json_str(request, restart ? "restart" : "kill"), restart, json_int(request, "down_for_ms", 0),
                     err);
}

static void answer(struct control *c, struct span id, const struct error *err) {
    json_t *said = error_is_set(err) ? json_pack("{s:s}", "error", err->msg) : json_pack("{s:b}", "ok", 1);
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

struct control *control_new(struct world *w, struct stack *stack, const char *dir, struct error *err) {
    struct control *c = mem_zalloc(sizeof(*c));
    c->world = w;
    c->stack = stack;
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
    for (size_t i = 0; i < DOWN_MAX; i++) {
        world_timer_stop(c->world, &c->down[i].back);
    }
    mem_free(c->dir);
    mem_free(c);
}
