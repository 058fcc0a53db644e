/* Errors as values; see error.h. */
#include "base/error.h"

#include "base/bytes.h"
#include "base/mem.h"
#include <string.h>

__attribute__((format(printf, 4, 0))) static void set(struct error *err, const char *kind, json_t *details,
                                                      const char *format, va_list args) {
    if (err == NULL) {
        json_decref(details);
        return;
    }
    struct buf msg = BUF_INIT;
    buf_vprintf(&msg, format, args); /* before clearing: the arguments may point into the old error */
    error_clear(err);
    err->kind = kind;
    err->msg = buf_take(&msg);
    err->details = details;
}

bool error_set(struct error *err, const char *kind, const char *format, ...) {
    va_list args;
    va_start(args, format);
    set(err, kind, NULL, format, args);
    va_end(args);
    return false;
}

bool error_set_details(struct error *err, const char *kind, json_t *details, const char *format, ...) {
    va_list args;
    va_start(args, format);
    set(err, kind, details, format, args);
    va_end(args);
    return false;
}

bool error_prefix(struct error *err, const char *format, ...) {
    if (err == NULL || err->kind == NULL) {
        return false;
    }
    struct buf msg = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&msg, format, args);
    va_end(args);
    buf_append_cstr(&msg, ": ");
    buf_append_cstr(&msg, err->msg);
    mem_free(err->msg);
    err->msg = buf_take(&msg);
    return false;
}

bool error_is_set(const struct error *err) {
    return err->kind != NULL;
}

bool error_is(const struct error *err, const char *kind) {
    return err->kind != NULL && strcmp(err->kind, kind) == 0;
}

void error_move(struct error *to, struct error *from) {
    if (to != NULL) {
        error_clear(to);
        *to = *from;
        *from = (struct error)ERROR_INIT;
    } else {
        error_clear(from);
    }
}

void error_clear(struct error *err) {
    if (err != NULL) {
        mem_free(err->msg);
        json_decref(err->details);
        *err = (struct error)ERROR_INIT;
    }
}

json_t *error_to_json(const struct error *err) {
    json_t *obj = json_object();
    json_object_set_new(obj, "kind", json_string(err->kind));
    json_t *msg = json_string(err->msg);
    json_object_set_new(obj, "msg", msg != NULL ? msg : json_string("(message is not UTF-8)"));
    json_object_set_new(obj, "details", err->details != NULL ? json_incref(err->details) : json_object());
    return obj;
}
