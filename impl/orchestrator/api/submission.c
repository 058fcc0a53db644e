/* A schedule starts its job: the command is run again as if its owner sent it now, with the rights of now
 * (orchestrator-jobs.md §11). The call has no client; its answer goes to the schedule. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"

struct submission {
    struct world_task task;
    struct world *world;
    schedule_started *started;
    void *ctx;
    int64_t schedule;
    char *owner, *type;
};

void submission_free(struct submission *s) {
    if (s != NULL) {
        world_undefer(s->world, &s->task);
        mem_free(s->owner);
        mem_free(s->type);
        mem_free(s);
    }
}

void submission_tell(struct api_call *call, int64_t id, const struct error *err) {
    schedule_started *started = call->submission->started;
    void *ctx = call->submission->ctx;
    call_free(call);
    started(ctx, id, err);
}

int64_t submission_schedule(const struct api_call *call) {
    return call->submission != NULL ? call->submission->schedule : 0;
}

json_t *schedule_id_option(const struct api_call *call) {
    return call->submission != NULL ? json_sprintf("%lld", (long long)call->submission->schedule) : json_null();
}

void api_started(struct api_call *call, int64_t id) {
    if (call->submission != NULL) {
        submission_tell(call, id, NULL);
        return;
    }
    char *url = link_to(call, "/jobs/%lld", (long long)id);
    json_t *name = json_sprintf("%lld", (long long)id);
    json_t *body = json_pack("{s:{s:s, s:o}}", "job", "id", url, "name", name);
    mem_free(url);
    api_reply_json(call, 202, body);
}

/* ---- from the stored row to the command's body */

static void on_owner(void *ctx, json_t *user, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    if (json_bool(user, "is_revoked", false)) {
        struct error revoked = ERROR_INIT;
        error_set(&revoked, "puppetlabs.rbac/user-revoked", "The owner of the scheduled job has been revoked");
        api_reply_error(call, &revoked);
        error_clear(&revoked);
        return;
    }
    call_set_subject(call, user);
    if (str_eq(call->submission->type, "task")) {
        command_task(call);
    } else if (str_eq(call->submission->type, "deploy")) {
        command_deploy(call);
    } else {
        command_environment_plan_run(call);
    }
}

static void launch(void *ctx) {
    struct api_call *call = ctx;
    services_user(call->api->parts.services, call->submission->owner, on_owner, call);
}

void submission_submit(void *ctx, const struct store_schedule *row, json_t *sensitive, schedule_started *started,
                       void *started_ctx) {
    struct api *api = ctx;
    struct api_call *call = mem_zalloc(sizeof *call);
    struct submission *s = mem_zalloc(sizeof *s);
    json_t *owner = json_parse(row->owner, "owner", NULL);
    const char *id = json_str(owner, "id");
    *s = (struct submission){.world = api->parts.world,
                             .started = started,
                             .ctx = started_ctx,
                             .schedule = row->id,
                             .owner = str_dup(id != NULL ? id : ""),
                             .type = span_dup(row->type)};
    call->api = api;
    call->submission = s;
    call->base = str_dup("");
    call->body = schedule_body(row, sensitive);
    list_push_back(&api->calls, &call->link);
    world_defer(api->parts.world, &s->task, launch, call);
    json_decref(owner);
}
