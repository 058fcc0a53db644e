/* See invent.h. */
#include "simulator/livefuzz/invent.h"

#include "base/json.h"
#include "base/mem.h"
#include "pcp/chunk.h"
#include "pcp/message.h"
#include "pcp/types.h"
#include "wire/ws_frame.h"
#include <stdio.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define PICK(v, table) ((table)[rng_below(&(v)->rng, COUNT(table))])

enum { LONG_TEXT = 100000, DEEP = 700 };

static const char *const client_names[FUZZ_CLIENTS] = {"fuzz-0", "fuzz-1", "fuzz-2", "fuzz-3", "fuzz-4", "fuzz-5"};

const char *fuzz_client_name(unsigned who) {
    return client_names[who % FUZZ_CLIENTS];
}

void inventor_init(struct inventor *v, uint64_t seed, bool agent) {
    *v = (struct inventor){.rng = rng_derive(seed, "livefuzz", NULL), .agent = agent, .agent_version = 2};
}

static bool chance(struct inventor *v, unsigned percent) {
    return rng_below(&v->rng, 100) < percent;
}

static const char *id_of(struct inventor *v) {
    char *slot = v->used[v->ids % FUZZ_IDS];
    if (v->ids >= FUZZ_IDS && chance(v, 10)) { /* one that was used before */
        return PICK(v, v->used);
    }
    snprintf(slot, sizeof(v->used[0]), "%08x-0000-4000-8000-%012x", (unsigned)rng_next(&v->rng), (unsigned)v->ids);
    v->ids++;
    return slot;
}

/* ---- valid messages */

static const char *const broker_targets[] = {
    "pcp://fuzz-0/agent", "pcp://fuzz-1/agent", "pcp://fuzz-2/controller", "pcp://" FUZZ_PROBE_NAME "/agent",
    "pcp://nobody/agent", "pcp:///server",      "pcp://*/agent",           "pcp://fuzz-3/*"};

static json_t *broker_data(struct inventor *v, const char **type) {
    static const struct {
        const char *type, *data;
    } kinds[] = {
        {"http://dalang/fuzz", "{\"n\":1}"},
        {PCP_INVENTORY_REQUEST, "{\"query\":[\"pcp://*/*\"],\"subscribe\":true}"},
        {PCP_INVENTORY_REQUEST, "{\"query\":[\"pcp://fuzz-0/agent\",\"pcp://*/agent\"],\"subscribe\":false}"},
        {PCP_ASSOCIATE_REQUEST, NULL},
        {PCP_ERROR_MESSAGE, "\"text\""},
        {"http://puppetlabs.com/rpc_blocking_request",
         "{\"transaction_id\":\"1\",\"module\":\"ping\",\"action\":\"ping\",\"params\":{}}"},
    };
    size_t k = chance(v, 50) ? 0 : rng_below(&v->rng, COUNT(kinds));
    *type = kinds[k].type;
    return kinds[k].data != NULL ? json_parse(span_of(kinds[k].data), "fuzz", NULL) : NULL;
}

static json_t *agent_data(struct inventor *v, const char **type) {
    static const struct {
        const char *type, *data;
    } kinds[] = {
        {"http://puppetlabs.com/rpc_blocking_request", "{\"module\":\"ping\",\"action\":\"ping\",\"params\":{}}"},
        {"http://puppetlabs.com/rpc_blocking_request", "{\"module\":\"status\",\"action\":\"query\",\"params\":{}}"},
        {"http://puppetlabs.com/rpc_blocking_request", "{\"module\":\"echo\",\"action\":\"echo\",\"params\":{}}"},
        {"http://puppetlabs.com/rpc_non_blocking_request",
         "{\"notify_outcome\":true,\"module\":\"task\",\"action\":\"run\",\"params\":{\"task\":\"fuzz\",\"input\":{},"
         "\"input_method\":\"stdin\",\"files\":[{\"filename\":\"init.sh\",\"sha256\":\"00\",\"uri\":{\"path\":\"/x\","
         "\"params\":{}}}]}}"},
        {"http://puppetlabs.com/rpc_non_blocking_request",
         "{\"notify_outcome\":false,\"module\":\"puppet\",\"action\":\"nosuch\",\"params\":{\"env\":[]}}"},
        {"http://puppetlabs.com/rpc_blocking_response", "{\"results\":{}}"},
        {PCP_ERROR_MESSAGE, "{}"},
        {PCP_INVENTORY_RESPONSE, "{\"uris\":[]}"},
    };
    size_t k = rng_below(&v->rng, COUNT(kinds));
    *type = kinds[k].type;
    json_t *data = json_parse(span_of(kinds[k].data), "fuzz", NULL);
    const char *action = json_str(data, "action");
    bool status = action != NULL && strcmp(action, "query") == 0;
    if (status) {
        json_set(json_object_get(data, "params"), "transaction_id", json_string(PICK(v, v->used)));
    }
    json_set(data, "transaction_id", json_string(id_of(v)));
    return data;
}

static json_t *message(struct inventor *v, unsigned who) {
    const char *type;
    json_t *data = v->agent ? agent_data(v, &type) : broker_data(v, &type);
    json_t *m = json_pack("{s:s, s:s}", "id", id_of(v), "message_type", type);
    if (v->agent) {
        json_set(m, "target", json_string(v->agent_uri != NULL ? v->agent_uri : "pcp://agent/agent"));
        json_set(m, "sender", json_string("pcp://fuzz-controller/controller"));
    } else {
        if (!chance(v, 15)) {
            json_set(m, "target", json_string(PICK(v, broker_targets)));
        }
        if (chance(v, 60)) {
            char *uri = str_printf("pcp://%s/agent", fuzz_client_name(chance(v, 85) ? who : (who + 1)));
            json_set(m, "sender", json_string(uri));
            mem_free(uri);
        }
    }
    if (data != NULL) {
        json_set(m, "data", data);
    }
    return m;
}

/* ---- one thing wrong */

static json_t *odd_value(struct inventor *v) {
    static const char *const texts[] = {"null",
                                        "true",
                                        "-1",
                                        "1e308",
                                        "18446744073709551616",
                                        "[]",
                                        "{}",
                                        "\"\"",
                                        "\"*\"",
                                        "\"pcp://*/*\"",
                                        "\"../../../etc/passwd\"",
                                        "\"a\\u0000b\"",
                                        "\"\\r\\nX: y\"",
                                        "\"%s%n%n\"",
                                        "\"\\ud83d\\ude00\"",
                                        "[[[[[[[[]]]]]]]]",
                                        "{\"a\":{\"a\":{\"a\":null}}}",
                                        "\"pcp:///server\"",
                                        "\"' OR 1=1 --\""};
    if (chance(v, 8)) {
        size_t len = 1 + rng_below(&v->rng, LONG_TEXT);
        char *text = mem_alloc(len + 1);
        memset(text, 'x', len);
        json_t *value = json_stringn(text, len);
        mem_free(text);
        return value;
    }
    if (chance(v, 4)) {
        json_t *value = json_array();
        for (size_t i = rng_below(&v->rng, DEEP); i > 0; i--) {
            json_t *outer = json_array();
            json_array_append_new(outer, value);
            value = outer;
        }
        return value;
    }
    return json_parse(span_of(PICK(v, texts)), "fuzz", NULL);
}

/* Changes one member somewhere below. */
static void spoil(struct inventor *v, json_t *object) {
    size_t count = json_object_size(object), at = count != 0 ? rng_below(&v->rng, count) : 0, i = 0;
    const char *key;
    json_t *value;
    char *chosen = NULL;
    json_object_foreach(object, key, value) {
        if (i++ == at) {
            chosen = str_dup(key);
        }
    }
    value = json_object_get(object, chosen != NULL ? chosen : "");
    if (json_is_object(value) && json_object_size(value) != 0 && chance(v, 70)) {
        spoil(v, value);
    } else if (chosen == NULL || chance(v, 10)) {
        json_set(object, "surplus", odd_value(v));
    } else if (chance(v, 20)) {
        json_object_del(object, chosen);
    } else {
        json_set(object, chosen, odd_value(v));
    }
    mem_free(chosen);
}

static void spoil_bytes(struct inventor *v, struct buf *b) {
    for (size_t n = 1 + rng_below(&v->rng, 4); n > 0 && b->len > 0; n--) {
        size_t at = rng_below(&v->rng, b->len);
        switch (rng_below(&v->rng, 4)) {
        case 0:
            b->ptr[at] = (char)rng_next(&v->rng);
            break;
        case 1:
            b->ptr[at] = (char)(b->ptr[at] ^ (1 << rng_below(&v->rng, 8)));
            break;
        case 2:
            b->len = at;
            break;
        default:
            buf_append(b, "\xff\x80{\"\0", 5);
            break;
        }
    }
}

/* ---- into frames */

static void encode_v1(const json_t *m, struct buf *out) {
    json_t *envelope = json_copy((json_t *)(uintptr_t)m), *data = json_object_get(m, "data");
    json_t *target = json_object_get(m, "target"), *targets = json_array();
    json_incref(data);
    if (target != NULL) {
        json_array_append(targets, target);
    } else {
        json_array_append_new(targets, json_string(PCP_SERVER_URI));
    }
    json_object_del(envelope, "data");
    json_object_del(envelope, "target");
    json_set(envelope, "targets", targets);
    json_set(envelope, "expires", json_string("2099-01-01T00:00:00.000Z"));
    char *head = json_text(envelope), *body = data != NULL ? json_text(data) : NULL;
    buf_append_char(out, 1);
    chunk_header(out, CHUNK_ENVELOPE, strlen(head));
    buf_append_cstr(out, head);
    if (body != NULL) {
        chunk_header(out, CHUNK_DATA, strlen(body));
        buf_append_cstr(out, body);
    }
    mem_free(head);
    mem_free(body);
    json_decref(data);
    json_decref(envelope);
}

static void invent_message(struct inventor *v, struct action *a, int version) {
    json_t *m = message(v, a->who);
    if (chance(v, 45)) {
        spoil(v, m);
    }
    a->kind = version == 1 ? ACTION_BINARY : ACTION_TEXT;
    if (version == 1) {
        encode_v1(m, &a->bytes);
    } else {
        json_write(&a->bytes, m);
    }
    if (chance(v, 15)) {
        spoil_bytes(v, &a->bytes);
    }
    if (chance(v, 3)) {
        a->kind = a->kind == ACTION_TEXT ? ACTION_BINARY : ACTION_TEXT;
    }
    json_decref(m);
}

static void invent_frame(struct inventor *v, struct action *a) {
    struct ws_frame_head head = {.fin = chance(v, 70),
                                 .reserved = chance(v, 20) ? (uint8_t)rng_below(&v->rng, 8) : 0,
                                 .opcode = (uint8_t)rng_below(&v->rng, chance(v, 50) ? 3 : 16),
                                 .masked = v->agent ? chance(v, 10) : !chance(v, 10),
                                 .mask = {1, 2, 3, 4}};
    size_t real = rng_below(&v->rng, 200);
    static const uint64_t lengths[] = {0, 125, 126, 65535, 65536, UINT32_MAX, (uint64_t)1 << 62};
    uint8_t bytes[WS_HEAD_MAX];
    a->kind = ACTION_RAW;
    head.length = chance(v, 70) ? real : PICK(v, lengths);
    buf_append(&a->bytes, bytes, ws_head_encode(bytes, &head));
    for (size_t i = 0; i < real; i++) {
        buf_append_char(&a->bytes, (char)rng_next(&v->rng));
    }
}

static void invent_connect(struct inventor *v, struct action *a) {
    static const char *const types[] = {"agent", "agent", "controller", "", "server", "a/b", "%2e%2e", "*"};
    a->kind = ACTION_CONNECT;
    a->version = chance(v, 60) ? 2 : 1;
    buf_printf(&a->bytes, "%s/%s", a->version == 2 ? "/pcp2" : "/pcp", chance(v, 80) ? "agent" : PICK(v, types));
}

void invent(struct inventor *v, struct action *a) {
    *a = (struct action){.kind = ACTION_PROBE};
    if (++v->since_probe >= PROBE_EVERY) {
        v->since_probe = 0;
        return;
    }
    a->who = v->agent ? 0 : (unsigned)rng_below(&v->rng, FUZZ_CLIENTS);
    uint64_t what = rng_below(&v->rng, 100);
    if (!v->agent &&
        (!v->clients[a->who].connected || what < 3)) { /* what < 3: a second session supersedes the first */
        invent_connect(v, a);
        v->clients[a->who].connected = true;
        v->clients[a->who].version = a->version;
    } else if (what < 80 || (v->agent && what < 97 && !chance(v, 10))) { /* an agent takes its time to come back */
        invent_message(v, a, v->agent ? v->agent_version : v->clients[a->who].version);
    } else if (what < 88) {
        invent_frame(v, a);
    } else if (what < 92) {
        a->kind = ACTION_PING;
        buf_append_cstr(&a->bytes, "fuzz");
    } else if (what < 95) {
        static const uint64_t codes[] = {1000, 1001, 1002, 1005, 1006, 3000, 4999, 65535, 0};
        a->kind = ACTION_CLOSE;
        a->number = PICK(v, codes);
    } else if (what < 97) {
        a->kind = ACTION_DROP;
    } else {
        a->kind = ACTION_WAIT;
        a->number = rng_below(&v->rng, 5);
    }
}
