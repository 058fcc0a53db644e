/* Which nodes are connected to a broker (orchestrator-api.md §10). */
#include "base/clock.h"
#include "orchestrator/api/internal.h"
#include "orchestrator/brokers/brokers.h"

const struct api_field inventory_post_fields[] = {
    {.key = "nodes", .types = IS_ARRAY, .required = true, .strings = true},
    {.key = NULL},
};

static void write_record(struct buf *out, struct span name, const struct brokers_node *node) {
    buf_append_cstr(out, "{\"name\":");
    json_write_string(out, name);
    if (node == NULL) {
        buf_append_cstr(out, ",\"connected\":false}");
        return;
    }
    char time[TIME_TEXT_LEN];
    time_format_ms(node->since_ms, time);
    buf_append_cstr(out, ",\"connected\":true,\"broker\":");
    json_write_string(out, span_of(node->broker));
    buf_printf(out, ",\"timestamp\":\"%s\"}", time);
}

static void write_by_name(const struct api_call *call, struct buf *out, struct span name) {
    struct brokers_node node;
    write_record(out, name, brokers_find(call->api->parts.brokers, name, &node) ? &node : NULL);
}

/* False: answered with 500, no broker can be asked. */
static bool reachable(struct api_call *call) {
    if (brokers_any_open(call->api->parts.brokers)) {
        return true;
    }
    struct error err = ERROR_INIT;
    error_set(&err, "puppetlabs.orchestrator/unknown-error", "No PCP broker can be reached");
    api_reply_error(call, &err);
    error_clear(&err);
    return false;
}

static bool write_each(void *ctx, const struct brokers_node *node) {
    struct buf *out = ctx;
    if (out->ptr[out->len - 1] != '[') {
        buf_append_char(out, ',');
    }
    write_record(out, node->name, node);
    return true;
}

void inventory_list(struct api_call *call) {
    if (!reachable(call)) {
        return;
    }
    struct buf out = BUF_INIT;
    buf_append_cstr(&out, "{\"items\":[");
    brokers_each(call->api->parts.brokers, write_each, &out);
    buf_append_cstr(&out, "]}");
    api_reply(call, 200, buf_span(&out));
    buf_free(&out);
}

void inventory_get(struct api_call *call) {
    if (!reachable(call)) {
        return;
    }
    struct buf out = BUF_INIT;
    write_by_name(call, &out, span_of(http_param(call->ex, "node")));
    api_reply(call, 200, buf_span(&out));
    buf_free(&out);
}

void inventory_post(struct api_call *call) {
    if (!reachable(call)) {
        return;
    }
    struct buf out = BUF_INIT;
    buf_append_cstr(&out, "{\"items\":[");
    size_t i;
    json_t *name;
    json_array_foreach(json_object_get(call->body, "nodes"), i, name) {
        if (i > 0) {
            buf_append_char(&out, ',');
        }
        write_by_name(call, &out, json_span(name));
    }
    buf_append_cstr(&out, "]}");
    api_reply(call, 200, buf_span(&out));
    buf_free(&out);
}
