/* PXP bodies: parsing with the closed schemas of PXP 1.0, writing in the order the reference uses. */
#include "pxp/body.h"
#include "base/json.h"
#include <string.h>

static const char *const type_uris[] = {
    [PXP_BLOCKING_REQUEST] = "http://puppetlabs.com/rpc_blocking_request",
    [PXP_NON_BLOCKING_REQUEST] = "http://puppetlabs.com/rpc_non_blocking_request",
    [PXP_BLOCKING_RESPONSE] = "http://puppetlabs.com/rpc_blocking_response",
    [PXP_NON_BLOCKING_RESPONSE] = "http://puppetlabs.com/rpc_non_blocking_response",
    [PXP_PROVISIONAL_RESPONSE] = "http://puppetlabs.com/rpc_provisional_response",
    [PXP_ERROR] = "http://puppetlabs.com/rpc_error_message",
};

const char *pxp_type_uri(enum pxp_type type) {
    return type_uris[type];
}

enum pxp_type pxp_type_of(struct span message_type) {
    for (enum pxp_type t = PXP_BLOCKING_REQUEST; t < PXP_NONE; t++) {
        if (span_eq_cstr(message_type, type_uris[t])) {
            return t;
        }
    }
    return PXP_NONE;
}

/* One key of a closed object and what its value must be. */
enum want { WANT_STRING, WANT_OBJECT, WANT_BOOL, WANT_NUMBER, WANT_ANY };
struct key {
    const char *name;
    enum want want;
    bool required;
};

static bool value_is(const json_t *value, enum want want) {
    switch (want) {
    case WANT_STRING:
        return json_is_string(value);
    case WANT_OBJECT:
        return json_is_object(value);
    case WANT_BOOL:
        return json_is_boolean(value);
    case WANT_NUMBER:
        return json_is_number(value);
    case WANT_ANY:
        return true;
    }
    return false;
}

/* The closed-object check behind every schema of pxp.md §4 and §12. The table ends with a NULL name. */
static bool check_object(const json_t *object, const char *what, const struct key *keys, struct error *err) {
    if (!json_is_object(object)) {
        return error_set(err, "pxp/invalid-data", "%s is not an object", what);
    }
    size_t known = 0;
    for (const struct key *k = keys; k->name != NULL; k++) {
        const json_t *value = json_object_get(object, k->name);
        if (value == NULL) {
            if (k->required) {
                return error_set(err, "pxp/invalid-data", "%s lacks \"%s\"", what, k->name);
            }
            continue;
        }
        if (!value_is(value, k->want)) {
            return error_set(err, "pxp/invalid-data", "%s: \"%s\" is of the wrong type", what, k->name);
        }
        known++;
    }
    if (json_object_size(object) != known) {
        return error_set(err, "pxp/invalid-data", "%s has unknown keys", what);
    }
    return true;
}

/* ---------------------------------------------------------------------------------------- requests */

static const struct key request_keys[] = {
    {"transaction_id", WANT_STRING, true}, {"module", WANT_STRING, true}, {"action", WANT_STRING, true},
    {"params", WANT_OBJECT, false},        {NULL, WANT_ANY, false},
};
static const struct key non_blocking_request_keys[] = {
    {"transaction_id", WANT_STRING, true}, {"module", WANT_STRING, true},       {"action", WANT_STRING, true},
    {"params", WANT_OBJECT, false},        {"notify_outcome", WANT_BOOL, true}, {NULL, WANT_ANY, false},
};

bool pxp_request_parse(enum pxp_type type, struct span data, struct pxp_request *out, struct error *err) {
    *out = (struct pxp_request){.blocking = type == PXP_BLOCKING_REQUEST};
    if (data.len == 0) {
        return error_set(err, "pxp/no-data", "no data");
    }
    json_t *json = json_parse(data, "pxp/invalid-data", NULL);
    const struct key *keys = out->blocking ? request_keys : non_blocking_request_keys;
    if (json == NULL || !check_object(json, "request", keys, NULL)) {
        json_decref(json);
        return error_set(err, "pxp/invalid-data", "invalid data");
    }
    if (json_object_get(json, "params") == NULL) {
        json_object_set_new(json, "params", json_object());
    }
    out->json = json;
    out->transaction_id = json_span(json_object_get(json, "transaction_id"));
    out->module = json_span(json_object_get(json, "module"));
    out->action = json_span(json_object_get(json, "action"));
    out->params = json_object_get(json, "params");
    out->notify_outcome = json_bool(json, "notify_outcome", false);
    return true;
}

void pxp_request_free(struct pxp_request *r) {
    json_decref(r->json);
    *r = (struct pxp_request){0};
}

static void write_key(struct buf *out, const char *opening, struct span text) {
    buf_append_cstr(out, opening);
    json_write_string(out, text);
}

void pxp_request_write(struct buf *out, const struct pxp_request *r) {
    write_key(out, "{\"transaction_id\":", r->transaction_id);
    if (!r->blocking) {
        buf_append_cstr(out, r->notify_outcome ? ",\"notify_outcome\":true" : ",\"notify_outcome\":false");
    }
    write_key(out, ",\"module\":", r->module);
    write_key(out, ",\"action\":", r->action);
    if (r->params != NULL) {
        buf_append_cstr(out, ",\"params\":");
        json_write(out, r->params);
    }
    buf_append_char(out, '}');
}

/* ---------------------------------------------------------------------------------------- answers */

void pxp_response_write(struct buf *out, struct span transaction_id, const json_t *results) {
    write_key(out, "{\"transaction_id\":", transaction_id);
    buf_append_cstr(out, ",\"results\":");
    json_write(out, results);
    buf_append_char(out, '}');
}

void pxp_provisional_write(struct buf *out, struct span transaction_id) {
    write_key(out, "{\"transaction_id\":", transaction_id);
    buf_append_char(out, '}');
}

void pxp_error_write(struct buf *out, struct span transaction_id, struct span request_id, struct span description) {
    write_key(out, "{\"transaction_id\":", transaction_id);
    write_key(out, ",\"id\":", request_id);
    struct buf text = BUF_INIT;
    pxp_utf8_repair(&text, description);
    write_key(out, ",\"description\":", buf_span(&text));
    buf_free(&text);
    buf_append_char(out, '}');
}

static const struct key response_keys[] = {
    {"transaction_id", WANT_STRING, true}, {"results", WANT_ANY, true}, {NULL, WANT_ANY, false}};
static const struct key provisional_keys[] = {{"transaction_id", WANT_STRING, true}, {NULL, WANT_ANY, false}};
static const struct key error_keys[] = {{"transaction_id", WANT_STRING, true},
                                        {"id", WANT_STRING, true},
                                        {"description", WANT_STRING, true},
                                        {NULL, WANT_ANY, false}};
static const struct key next_response_keys[] = {{"transaction_id", WANT_STRING, true},
                                                {"output", WANT_OBJECT, true},
                                                {"metadata", WANT_OBJECT, true},
                                                {NULL, WANT_ANY, false}};
static const struct key next_error_keys[] = {{"transaction_id", WANT_STRING, true},
                                             {"id", WANT_STRING, true},
                                             {"output", WANT_OBJECT, false},
                                             {"metadata", WANT_OBJECT, false},
                                             {NULL, WANT_ANY, false}};
static const struct key next_output_keys[] = {{"stdout", WANT_ANY, true},
                                              {"stderr", WANT_STRING, false},
                                              {"exitcode", WANT_NUMBER, true},
                                              {NULL, WANT_ANY, false}};
static const struct key next_metadata_keys[] = {{"module", WANT_STRING, true},
                                                {"action", WANT_STRING, true},
                                                {"start", WANT_STRING, true},
                                                {"end", WANT_STRING, true},
                                                {NULL, WANT_ANY, false}};
static const struct key next_error_output_keys[] = {{"stdout", WANT_STRING, false},
                                                    {"stderr", WANT_STRING, false},
                                                    {"exitcode", WANT_NUMBER, false},
                                                    {NULL, WANT_ANY, false}};
static const struct key next_error_metadata_keys[] = {
    {"execution_error", WANT_STRING, true}, {"module", WANT_STRING, true}, {"action", WANT_STRING, true},
    {"start", WANT_STRING, true},           {"end", WANT_STRING, false},   {NULL, WANT_ANY, false}};

static bool is_next(enum pxp_type type, const json_t *json) {
    if (type == PXP_PROVISIONAL_RESPONSE) {
        return false;
    }
    return type == PXP_ERROR ? json_object_get(json, "description") == NULL : json_object_get(json, "results") == NULL;
}

static bool check_next(enum pxp_type type, const json_t *json, struct error *err) {
    const json_t *output = json_object_get(json, "output");
    const json_t *metadata = json_object_get(json, "metadata");
    if (type == PXP_ERROR) {
        return check_object(json, "error", next_error_keys, err) &&
               (output == NULL || check_object(output, "output", next_error_output_keys, err)) &&
               (metadata == NULL || check_object(metadata, "metadata", next_error_metadata_keys, err));
    }
    return check_object(json, "response", next_response_keys, err) &&
           check_object(output, "output", next_output_keys, err) &&
           check_object(metadata, "metadata", next_metadata_keys, err);
}

static bool check_response(enum pxp_type type, enum pxp_dialect dialect, const json_t *json, struct error *err) {
    if (dialect == PXP_NEXT && is_next(type, json)) {
        return check_next(type, json, err);
    }
    switch (type) {
    case PXP_PROVISIONAL_RESPONSE:
        return check_object(json, "provisional response", provisional_keys, err);
    case PXP_ERROR:
        return check_object(json, "error", error_keys, err);
    default:
        return check_object(json, "response", response_keys, err);
    }
}

/* Over PCP v1 the reference sends a task's stderr as it is, also when that is no UTF-8. */
static json_t *parse_repaired(struct span data, struct error *err) {
    if (span_is_utf8(data)) {
        return json_parse(data, "pxp/invalid-data", err);
    }
    struct buf repaired = BUF_INIT;
    pxp_utf8_repair(&repaired, data);
    json_t *json = json_parse(buf_span(&repaired), "pxp/invalid-data", err);
    buf_free(&repaired);
    return json;
}

bool pxp_response_parse(enum pxp_type type, enum pxp_dialect dialect, struct span data, struct pxp_response *out,
                        struct error *err) {
    *out = (struct pxp_response){.type = type};
    if (data.len == 0) {
        return error_set(err, "pxp/no-data", "no data");
    }
    json_t *json = parse_repaired(data, err);
    if (json == NULL) {
        return false;
    }
    if (!check_response(type, dialect, json, err)) {
        json_decref(json);
        return false;
    }
    out->json = json;
    out->transaction_id = json_span(json_object_get(json, "transaction_id"));
    out->request_id = json_span(json_object_get(json, "id"));
    out->metadata = json_object_get(json, "metadata");
    out->results = json_object_get(json, "results");
    if (out->results == NULL) {
        out->results = json_object_get(json, "output");
    }
    const json_t *description = json_object_get(json, "description");
    if (description == NULL) {
        description = json_object_get(out->metadata, "execution_error");
    }
    out->description = json_span(description);
    return true;
}

void pxp_response_free(struct pxp_response *r) {
    json_decref(r->json);
    *r = (struct pxp_response){0};
}

/* ---------------------------------------------------------------------------------------- texts */

void pxp_label(struct buf *out, bool blocking, struct span module, struct span action, struct span transaction_id) {
    buf_append_cstr(out, blocking ? "blocking '" : "non blocking '");
    buf_append_span(out, module);
    buf_append_char(out, ' ');
    buf_append_span(out, action);
    buf_append_cstr(out, "' request (transaction ");
    buf_append_span(out, transaction_id);
    buf_append_char(out, ')');
}

void pxp_execution_error_write(struct buf *out, struct span msg) {
    struct buf text = BUF_INIT;
    pxp_utf8_repair(&text, msg);
    write_key(
        out, "{\"_error\":{\"kind\":\"puppetlabs.pxp-agent/execution-error\",\"details\":{},\"msg\":", buf_span(&text));
    buf_append_cstr(out, "}}");
    buf_free(&text);
}

/* Length of the valid UTF-8 sequence at the start of s; 0 when there is none (RFC 3629: no overlong forms, no
 * surrogates). */
static size_t utf8_sequence(struct span s) {
    const unsigned char *p = (const unsigned char *)s.ptr;
    if (p[0] < 0x80) {
        return 1;
    }
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || s.len < len) {
        return 0;
    }
    unsigned char low = p[0] == 0xe0 ? 0xa0 : p[0] == 0xf0 ? 0x90 : 0x80;
    unsigned char high = p[0] == 0xed ? 0x9f : p[0] == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high) {
        return 0;
    }
    for (size_t i = 2; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return len;
}

void pxp_utf8_repair(struct buf *out, struct span text) {
    while (text.len > 0) {
        size_t good = 0;
        size_t step;
        while (good < text.len && (step = utf8_sequence(span_sub(text, good, text.len - good))) != 0) {
            good += step;
        }
        buf_append(out, text.ptr, good);
        text = span_sub(text, good, text.len - good);
        if (text.len > 0) {
            buf_append_cstr(out, "\xef\xbf\xbd");
            text = span_sub(text, 1, text.len - 1);
        }
    }
}

json_t *pxp_json_text(struct span text) {
    json_t *string = json_str_new(text);
    if (string == NULL) {
        struct buf repaired = BUF_INIT;
        pxp_utf8_repair(&repaired, text);
        string = json_str_new(buf_span(&repaired));
        buf_free(&repaired);
    }
    return string;
}
