/* PXP request bodies and the ids that tie answers to runs. */
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "orchestrator/jobs/internal.h"

#include <string.h>

/* ---------------------------------------------------------------------------------------- ids */

void txid_of(const struct run *r, char out[TXID_LEN + 1]) {
    uint8_t seed[JOB_SALT_LEN + 4], digest[SHA256_LEN];
    memcpy(seed, r->job->salt, JOB_SALT_LEN);
    for (size_t i = 0; i < 4; i++) {
        seed[JOB_SALT_LEN + i] = (uint8_t)(r->index >> (8 * i));
    }
    sha256_of(span_bytes(seed, sizeof seed), digest);
    uuid_format(digest, out);
}

/* Everything but the first group and the version digit is the transaction's own, so whatever names such an id names
 * the run, and nothing has to be remembered per message. */
void id_make(struct run *r, enum id_kind kind, char out[TXID_LEN + 1]) {
    char fresh[9];
    txid_of(r, out);
    snprintf(fresh, sizeof fresh, "%08x", (unsigned)world_random_below(r->job->engine->world, (uint64_t)1 << 32));
    memcpy(out, fresh, 8);
    out[TXID_KIND] = (char)kind;
}

/* ---------------------------------------------------------------------------------------- sending */

static bool send_parts(struct run *r, enum id_kind kind, enum pxp_type type, const struct span *parts, size_t count) {
    char message_id[TXID_LEN + 1];
    id_make(r, kind, message_id);
    return brokers_send(r->job->engine->brokers, r->name, type, span_of(message_id), parts, count);
}

bool request_send(struct run *r) {
    char txid[TXID_LEN + 1];
    txid_of(r, txid);
    struct span parts[] = {SPAN("{\"transaction_id\":\""), span_of(txid), buf_span(&r->job->body)};
    if (!send_parts(r, ID_RUN, PXP_NON_BLOCKING_REQUEST, parts, 3)) {
        return false;
    }
    r->job->engine->metrics.requests_sent++;
    r->job->engine->metrics.requests_repeated += r->sends != 0 ? 1 : 0;
    r->sends++;
    return true;
}

bool status_send(struct run *r) {
    char txid[TXID_LEN + 1], own[TXID_LEN + 1];
    txid_of(r, txid);
    id_make(r, ID_STATUS, own);
    struct span parts[] = {SPAN("{\"transaction_id\":\""), span_of(own),
                           SPAN("\",\"module\":\"status\",\"action\":\"query\",\"params\":{\"transaction_id\":\""),
                           span_of(txid), SPAN("\"}}")};
    return send_parts(r, ID_STATUS, PXP_BLOCKING_REQUEST, parts, 5);
}

/* The configured command with the transaction's id in place of @ID@, as a JSON string. */
static void write_kill_command(struct buf *out, const char *template, const char *txid) {
    struct buf text = BUF_INIT;
    const char *mark;
    while ((mark = strstr(template, "@ID@")) != NULL) {
        buf_append(&text, template, (size_t)(mark - template));
        buf_append_cstr(&text, txid);
        template = mark + 4;
    }
    buf_append_cstr(&text, template);
    json_write_string(out, buf_span(&text));
    buf_free(&text);
}

bool kill_send(struct run *r) {
    char txid[TXID_LEN + 1], own[TXID_LEN + 1];
    struct buf command = BUF_INIT;
    txid_of(r, txid);
    id_make(r, ID_KILL, own);
    write_kill_command(&command, r->job->engine->config->kill_command, txid);
    struct span parts[] = {SPAN("{\"transaction_id\":\""), span_of(own),
                           SPAN("\",\"module\":\"command\",\"action\":\"run\",\"params\":{\"command\":"),
                           buf_span(&command), SPAN("}}")};
    bool sent = send_parts(r, ID_KILL, PXP_BLOCKING_REQUEST, parts, 5);
    r->job->engine->metrics.kills_sent += sent ? 1 : 0;
    buf_free(&command);
    return sent;
}

/* ---------------------------------------------------------------------------------------- bodies */

static json_t *deploy_params(json_t *flags, int64_t job) {
    char id[24];
    snprintf(id, sizeof id, "%lld", (long long)job);
    return json_pack("{s:[], s:O, s:s}", "env", "flags", flags, "job", id);
}

/* The task's parameters without the secret ones, which go to *secrets. */
static json_t *task_input(const struct job_request *req, json_t **secrets) {
    json_t *input = json_object();
    const char *key;
    json_t *value;
    json_object_foreach(req->params, key, value) {
        json_object_set(input, key, value);
    }
    size_t i;
    json_array_foreach(req->sensitive, i, value) {
        const char *name = json_string_value(value);
        json_t *secret = name != NULL ? json_object_get(input, name) : NULL;
        if (secret != NULL) {
            *secrets = *secrets != NULL ? *secrets : json_object();
            json_object_set(*secrets, name, secret);
            json_object_del(input, name);
        }
    }
    if (req->noop) {
        json_set(input, "_noop", json_true());
    }
    json_set(input, "_task", json_string(req->task));
    return input;
}

static json_t *task_params(const struct job_request *req, json_t **secrets) {
    json_t *params = json_object();
    json_set(params, "task", json_string(req->task));
    if (json_is_object(req->metadata)) {
        json_object_set(params, "metadata", req->metadata);
        json_t *method = json_object_get(req->metadata, "input_method");
        if (json_is_string(method)) {
            json_object_set(params, "input_method", method);
        }
    }
    json_object_set(params, "files", req->files);
    json_set(params, "input", task_input(req, secrets));
    return params;
}

void request_store(const struct job_request *req, json_t *flags, int64_t job, struct buf *stored, struct buf *secrets) {
    bool deploy = req->type == JOB_DEPLOY;
    json_t *secret = NULL;
    json_t *request = json_object();
    json_set(request, "module", json_string(deploy ? "pxp-module-puppet" : "task"));
    json_set(request, "action", json_string("run"));
    json_set(request, "params", deploy ? deploy_params(flags, job) : task_params(req, &secret));
    json_write(stored, request);
    json_decref(request);
    if (secret != NULL) {
        json_write(secrets, secret);
        json_decref(secret);
    }
}

bool request_body(struct job *j, struct span stored, json_t *secrets) {
    json_t *request = json_parse(stored, "stored-request", NULL);
    if (request == NULL) {
        return false;
    }
    if (secrets != NULL) {
        json_object_update(json_object_get(json_object_get(request, "params"), "input"), secrets);
        j->secret = true;
    }
    struct buf text = BUF_INIT;
    json_write(&text, request);
    buf_append_cstr(&j->body, "\",\"notify_outcome\":true,");
    buf_append(&j->body, text.ptr + 1, text.len - 1); /* without its opening brace */
    mem_zero(text.ptr, text.len);
    buf_free(&text);
    json_decref(request);
    return true;
}
