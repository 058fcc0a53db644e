/* The part of the frame that belongs to one fake: set-up, clock, and the answers all fakes give alike. */
#include "fakes/common/fake.h"
#include "base/mem.h"
#include "fakes/common/host.h"
#include <string.h>

bool fake_init(struct fake *f, struct world *w, const struct fake_service *service, const json_t *initial,
               const struct logger *log, struct error *err) {
    f->service = service;
    f->world = w;
    f->log = log;
    f->initial = initial != NULL ? json_deep_copy(initial) : json_object();
    if (!service->load(f, f->initial, err)) {
        error_prefix(err, "state of %s", service->name);
        json_decref(f->initial);
        f->initial = NULL;
        return false;
    }
    return true;
}

void fake_deinit(struct fake *f) {
    json_decref(f->initial);
    f->initial = NULL;
}

int64_t fake_now_ms(const struct fake *f) {
    return world_wall_ms(f->world) + f->clock_offset_ms;
}

struct fake *fake_sibling(const struct fake *f, const char *service_name) {
    return f->host != NULL ? fake_host_find(f->host, service_name) : NULL;
}

bool fake_authenticate(const struct fake *f, struct http_exchange *ex, struct error *err) {
    struct fake *rbac = fake_sibling(f, "rbac");
    return rbac == NULL || rbac->service->authenticate == NULL || rbac->service->authenticate(rbac, ex, err);
}

void fake_respond_text(struct http_exchange *ex, int status, const char *text) {
    http_respond(ex, status, "text/plain; charset=utf-8", span_of(text));
}

void fake_respond_empty(struct http_exchange *ex, int status) {
    http_respond(ex, status, NULL, SPAN(""));
}

void fake_respond_error(struct http_exchange *ex, int status, const char *kind, json_t *details, const char *format,
                        ...) {
    struct buf msg = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&msg, format, args);
    va_end(args);
    char *text = buf_take(&msg);
    json_t *body = json_pack("{s:s, s:s}", "kind", kind, "msg", text);
    mem_free(text);
    if (details != NULL) {
        json_set(body, "details", details);
    }
    http_respond_json(ex, status, body);
}

json_t *fake_merge_patch(const json_t *target, const json_t *patch) {
    if (!json_is_object(patch)) {
        return json_deep_copy(patch);
    }
    json_t *result = json_is_object(target) ? json_deep_copy(target) : json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)patch, key, value) {
        if (json_is_null(value)) {
            json_object_del(result, key);
        } else {
            json_set(result, key, fake_merge_patch(json_object_get(result, key), value));
        }
    }
    return result;
}
