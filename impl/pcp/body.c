/* Bodies of PCP's own messages. */
#include "pcp/body.h"

#include "base/json.h"
#include "base/mem.h"
#include "pcp/json_scan.h"
#include "pcp/uri.h"

static const char invalid[] = "pcp/invalid-data";

void pcp_inventory_request_write(struct buf *out, const struct span *query, size_t count, bool subscribe) {
    buf_append_cstr(out, "{\"query\":[");
    for (size_t i = 0; i < count; i++) {
        buf_append_cstr(out, i == 0 ? "" : ",");
        json_write_string(out, query[i]);
    }
    buf_append_cstr(out, subscribe ? "],\"subscribe\":true}" : "],\"subscribe\":false}");
}

static bool query_read(const json_t *query, struct pcp_inventory_request *out, struct error *err) {
    if (json_is_null(query)) {
        return true;
    }
    if (query == NULL) {
        return error_set(err, invalid, "{:query missing-required-key}");
    }
    if (!json_is_array(query)) {
        return error_set(err, invalid, "{:query (not (sequential? ...))}");
    }
    if (json_array_size(query) > PCP_QUERY_MAX) {
        return error_set(err, invalid, "{:query (more than %d URIs)}", PCP_QUERY_MAX);
    }
    out->query = mem_array(json_array_size(query) + 1, sizeof *out->query);
    size_t i;
    json_t *uri;
    json_array_foreach(query, i, uri) {
        struct span text = json_span(uri);
        if (!pcp_uri_parse(text, NULL)) {
            return error_set(err, invalid, "{:query [(not (uri? ...))]} at index %zu", i);
        }
        out->query[out->count++] = text;
    }
    return true;
}

static bool request_read(const json_t *body, struct pcp_inventory_request *out, struct error *err) {
    if (!json_is_object(body)) {
        return error_set(err, invalid, "(not (map? ...))");
    }
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)body, key, value) {
        if (!str_eq(key, "query") && !str_eq(key, "subscribe")) {
            return error_set(err, invalid, "{:... disallowed-key}");
        }
    }
    const json_t *subscribe = json_object_get(body, "subscribe");
    if (subscribe != NULL && !json_is_boolean(subscribe)) {
        return error_set(err, invalid, "{:subscribe (not (instance? java.lang.Boolean ...))}");
    }
    out->subscribe = json_is_true(subscribe);
    return query_read(json_object_get(body, "query"), out, err);
}

bool pcp_inventory_request_read(struct span data, struct pcp_inventory_request *out, struct error *err) {
    *out = (struct pcp_inventory_request){0};
    json_t *body = data.len != 0 ? json_parse(data, invalid, err) : json_null();
    out->storage = body;
    if (body == NULL || !request_read(body, out, err)) {
        pcp_inventory_request_free(out);
        return error_prefix(err, "Error :schema.core/error handling message: Value does not match schema");
    }
    return true;
}

void pcp_inventory_request_free(struct pcp_inventory_request *r) {
    mem_free(r->query);
    json_decref(r->storage);
    *r = (struct pcp_inventory_request){0};
}

void pcp_inventory_response_write(struct buf *out, const struct span *uris, size_t count) {
    buf_append_cstr(out, "{\"uris\":[");
    for (size_t i = 0; i < count; i++) {
        if (i != 0) {
            buf_append_char(out, ',');
        }
        json_write_string(out, uris[i]);
    }
    buf_append_cstr(out, "]}");
}

/* The object's only member, an array; NULL after setting err. *body is to be released in any case. */
static json_t *only_array(struct span data, const char *name, json_t **body, struct error *err) {
    *body = json_parse(data, invalid, err);
    if (*body == NULL) {
        return NULL;
    }
    json_t *array = json_object_get(*body, name);
    if (!json_is_array(array) || json_object_size(*body) != 1) {
        error_set(err, invalid, "not an object with an array \"%s\" only", name);
        return NULL;
    }
    return array;
}

bool pcp_inventory_response_read(struct span data, void (*uri)(void *ctx, struct span uri), void *ctx,
                                 struct error *err) {
    json_t *body, *value;
    json_t *uris = only_array(data, "uris", &body, err);
    bool ok = uris != NULL;
    size_t i;
    json_array_foreach(uris, i, value) {
        if (ok && !pcp_uri_parse(json_span(value), NULL)) {
            ok = error_set(err, invalid, "uris[%zu] is not a URI", i);
        }
    }
    if (ok) {
        json_array_foreach(uris, i, value) {
            uri(ctx, json_span(value));
        }
    }
    json_decref(body);
    return ok;
}

void pcp_inventory_update_write(struct buf *out, const struct pcp_change *changes, size_t count) {
    buf_append_cstr(out, "{\"changes\":[");
    for (size_t i = 0; i < count; i++) {
        buf_append_cstr(out, i == 0 ? "{\"client\":" : ",{\"client\":");
        json_write_string(out, changes[i].client);
        buf_append_cstr(out, changes[i].connected ? ",\"change\":1}" : ",\"change\":-1}");
    }
    buf_append_cstr(out, "]}");
}

static bool change_read(const json_t *value, struct pcp_change *out) {
    int64_t change = json_int(value, "change", 0);
    *out = (struct pcp_change){.client = json_span(json_object_get(value, "client")), .connected = change == 1};
    return pcp_uri_parse(out->client, NULL) && (change == 1 || change == -1);
}

bool pcp_inventory_update_read(struct span data, void (*change)(void *ctx, const struct pcp_change *change), void *ctx,
                               struct error *err) {
    json_t *body, *value;
    json_t *changes = only_array(data, "changes", &body, err);
    bool ok = changes != NULL;
    size_t i;
    struct pcp_change c;
    json_array_foreach(changes, i, value) {
        if (ok && !change_read(value, &c)) {
            ok = error_set(err, invalid, "changes[%zu] is not {client, change}", i);
        }
    }
    if (ok) {
        json_array_foreach(changes, i, value) {
            change_read(value, &c);
            change(ctx, &c);
        }
    }
    json_decref(body);
    return ok;
}

void pcp_associate_response_write(struct buf *out, struct span request_id, const char *refusal) {
    buf_append_cstr(out, "{\"id\":");
    json_write_string(out, request_id);
    buf_append_cstr(out, refusal == NULL ? ",\"success\":true" : ",\"success\":false,\"reason\":");
    if (refusal != NULL) {
        json_write_string(out, span_of(refusal));
    }
    buf_append_char(out, '}');
}

bool pcp_associate_response_read(struct span data, struct pcp_associate_response *out, struct error *err) {
    *out = (struct pcp_associate_response){0};
    json_t *body = json_parse(data, invalid, err);
    if (body == NULL) {
        return false;
    }
    const json_t *success = json_object_get(body, "success");
    bool ok = json_str(body, "id") != NULL && json_is_boolean(success);
    if (ok) {
        *out = (struct pcp_associate_response){
            .id = str_dup(json_str(body, "id")),
            .reason = str_dup(json_str(body, "reason")),
            .success = json_is_true(success),
        };
    } else {
        error_set(err, invalid, "not an object with a string \"id\" and a boolean \"success\"");
    }
    json_decref(body);
    return ok;
}

void pcp_associate_response_free(struct pcp_associate_response *r) {
    mem_free(r->id);
    mem_free(r->reason);
    *r = (struct pcp_associate_response){0};
}

static void write_id(struct buf *out, struct span id) {
    buf_append_cstr(out, "{\"id\":");
    json_write_string(out, id);
}

void pcp_destination_report_write(struct buf *out, struct span id, struct span target) {
    write_id(out, id);
    buf_append_cstr(out, ",\"targets\":[");
    json_write_string(out, target);
    buf_append_cstr(out, "]}");
}

void pcp_ttl_expired_write(struct buf *out, struct span id) {
    write_id(out, id);
    buf_append_char(out, '}');
}

void pcp_version_error_write(struct buf *out, struct span id, struct span target, const char *reason) {
    write_id(out, id);
    buf_append_cstr(out, ",\"target\":");
    json_write_string(out, target);
    buf_append_cstr(out, ",\"reason\":");
    json_write_string(out, span_of(reason));
    buf_append_char(out, '}');
}

void pcp_error_write(struct buf *out, struct span description) {
    json_write_string(out, description);
}

bool pcp_error_read(struct span data, struct buf *out) {
    if (!json_text_is_string(data)) {
        return false;
    }
    struct buf scratch = BUF_INIT;
    buf_reserve(&scratch, data.len);
    buf_append_span(out, json_string_text(data, &scratch));
    buf_free(&scratch);
    return true;
}
