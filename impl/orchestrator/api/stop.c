/* POST /command/stop (orchestrator-api.md §3.3). */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include "orchestrator/jobs/render.h"

const struct api_field command_stop_fields[] = {
    {.key = "job", .types = IS_STRING, .required = true},
    {.key = "force", .types = IS_BOOLEAN},
    {.key = NULL},
};

static void on_stopped(void *ctx, const uint32_t *counts, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    const char *name = json_str(call->body, "job");
    struct buf out = BUF_INIT;
    buf_printf(&out, "{\"job\":{\"id\":\"%s/jobs/%s\",\"name\":\"%s\",\"nodes\":", call->base, name, name);
    render_counts(&out, counts, true);
    buf_append_cstr(&out, "}}");
    api_reply(call, 202, buf_span(&out));
    buf_free(&out);
}

void command_stop(struct api_call *call) {
    uint64_t id;
    const json_t *job = json_object_get(call->body, "job");
    if (!span_to_u64(json_span(job), &id) || id > INT64_MAX) {
        api_reply_invalid(call, "job", job, "job must be a job's id, decimal");
        return;
    }
    engine_stop(call->api->parts.engine, (int64_t)id, json_bool(call->body, "force", false), on_stopped, call);
}
