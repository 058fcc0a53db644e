/* Answers: JSON, errors with the status of their kind, links. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

static const struct {
    const char *kind;
    int status;
} statuses[] = {
    {"puppetlabs.orchestrator/unknown-environment", 404},
    {"puppetlabs.orchestrator/empty-environment", 400},
    {"puppetlabs.orchestrator/empty-target", 400},
    {"puppetlabs.orchestrator/dependency-cycle", 400},
    {"puppetlabs.orchestrator/unknown-target", 404},
    {"puppetlabs.orchestrator/app-management-disabled", 400},
    {"puppetlabs.orchestrator/puppetdb-error", 400},
    {"puppetlabs.orchestrator/query-error", 400},
    {"puppetlabs.orchestrator/not-permitted", 403},
    {"puppetlabs.orchestrator/validation-error", 400},
    {"puppetlabs.orchestrator/unknown-job", 404},
    {"puppetlabs.orchestrator/unknown-task", 404},
    {"puppetlabs.orchestrator/unknown-plan", 404},
    {"puppetlabs.orchestrator/unknown-task-target", 404},
    {"puppetlabs.orchestrator/mismatched-job-event-id", 404},
    {"puppetlabs.orchestrator/invalid-time", 400},
    {"puppetlabs.orchestrator/disabled-scheduled-job", 400},
    {"puppetlabs.orchestrator/plan-already-finished", 409},
    {"puppetlabs.orchestrator/not-found", 404},
    {"puppetlabs.orchestrator/method-not-allowed", 405},
    {"puppetlabs.orchestrator/unsupported-media-type", 415},
    {"puppetlabs.orchestrator/unavailable", 503},
    {"puppetlabs.rbac/user-unauthenticated", 401},
    {"puppetlabs.rbac/invalid-token", 401},
    {"puppetlabs.rbac/token-expired", 401},
    {"puppetlabs.rbac/token-timed-out", 401},
    {"puppetlabs.rbac/token-revoked", 401},
    {"puppetlabs.rbac/user-revoked", 401},
    {"puppetlabs.rbac/permission-denied", 403},
};

int status_of_kind(const char *kind) {
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        if (strcmp(kind, statuses[i].kind) == 0) {
            return statuses[i].status;
        }
    }
    return strncmp(kind, "store/", 6) == 0 || strcmp(kind, "orchestrator/limit") == 0 ? 503 : 500;
}

/* The exchange is done with the call, whatever becomes of the connection. */
static struct http_exchange *take_exchange(struct api_call *call) {
    struct http_exchange *ex = call->ex;
    http_on_abandon(ex, NULL, NULL);
    call_free(call);
    return ex;
}

void api_reply(struct api_call *call, int status, struct span json_text) {
    http_respond(take_exchange(call), status, status != 204 ? "application/json; charset=utf-8" : NULL, json_text);
}

void api_reply_json(struct api_call *call, int status, json_t *body) {
    struct buf text = BUF_INIT;
    json_write(&text, body);
    json_decref(body);
    api_reply(call, status, buf_span(&text));
    buf_free(&text);
}

void api_reply_error(struct api_call *call, const struct error *err) {
    if (call->submission != NULL) {
        submission_tell(call, 0, err);
        return;
    }
    int status = status_of_kind(err->kind);
    struct error shown = {err->kind, str_dup(err->msg), json_incref(err->details)};
    if (status == 503) { /* whatever is the matter inside, outside it has one name; the message tells */
        shown.kind = "puppetlabs.orchestrator/unavailable";
    } else if (status == 500) {
        shown.kind = "puppetlabs.orchestrator/unknown-error";
        log_error(call->api->parts.log, "%s %s: %s", http_request(call->ex)->method, http_request(call->ex)->path,
                  err->msg);
    }
    api_reply_json(call, status, error_to_json(&shown));
    error_clear(&shown);
}

void api_reply_store_error(struct api_call *call, const struct error *err) {
    api_reply_error(call, err);
}

void api_reply_invalid(struct api_call *call, const char *what, const json_t *value, const char *format, ...) {
    struct buf msg = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&msg, format, args);
    va_end(args);
    json_t *details = json_object();
    json_set(details, "schema", json_string(what));
    json_set(details, "value", json_incref((json_t *)(uintptr_t)value));
    json_set(details, "error", json_str_new(buf_span(&msg)));
    struct error err = ERROR_INIT;
    if (call->query_errors) {
        json_decref(details);
        error_set_details(&err, "puppetlabs.orchestrator/query-error", json_pack("{s:O?}", "query", value), "%s",
                          msg.ptr);
    } else {
        error_set_details(&err, "puppetlabs.orchestrator/validation-error", details, "%s", msg.ptr);
    }
    api_reply_error(call, &err);
    error_clear(&err);
    buf_free(&msg);
}

void api_reply_no_app_management(struct api_call *call) {
    struct error err = ERROR_INIT;
    error_set(&err, "puppetlabs.orchestrator/app-management-disabled",
              "Application management is disabled. To enable it, set app-management: true in the orchestrator service "
              "configuration.");
    api_reply_error(call, &err);
    error_clear(&err);
}

void api_reply_not_permitted(struct api_call *call, const char *format, ...) {
    struct buf msg = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&msg, format, args);
    va_end(args);
    struct error err = ERROR_INIT;
    error_set(&err, "puppetlabs.orchestrator/not-permitted", "%s", msg.ptr);
    api_reply_error(call, &err);
    error_clear(&err);
    buf_free(&msg);
}

char *link_to(const struct api_call *call, const char *format, ...) {
    struct buf url = BUF_INIT;
    buf_append_cstr(&url, call->base);
    va_list args;
    va_start(args, format);
    buf_vprintf(&url, format, args);
    va_end(args);
    return buf_take(&url);
}

json_t *link_object(const struct api_call *call, const char *name, const char *path) {
    char *id = link_to(call, "%s", path);
    json_t *link = json_pack("{s:s, s:s}", "name", name, "id", id);
    mem_free(id);
    return link;
}

int64_t now_ms(const struct api_call *call) {
    return world_wall_ms(call->api->parts.world);
}
