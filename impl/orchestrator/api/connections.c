/* The node inventory service: connection data of nodes without an agent (orchestrator-api.md §13). Sensitive parameters
 * are stored encrypted and shown only to whoever may view them. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include <string.h>

const struct api_field connections_create_fields[] = {
    {.key = "certnames", .types = IS_ARRAY, .required = true, .strings = true},
    {.key = "type", .types = IS_STRING, .required = true},
    {.key = "parameters", .types = IS_OBJECT, .required = true},
    {.key = "sensitive_parameters", .types = IS_OBJECT, .required = true, .secret = true},
    {.key = "duplicates", .types = IS_STRING},
    {.key = NULL},
};
const struct api_field connections_delete_fields[] = {
    {.key = "certnames", .types = IS_ARRAY, .required = true, .strings = true},
    {.key = NULL},
};
const struct api_field connections_query_fields[] = {
    {.key = "certnames", .types = IS_ARRAY, .strings = true},
    {.key = "sensitive", .types = IS_BOOLEAN},
    {.key = "extract", .types = IS_ARRAY, .strings = true},
    {.key = NULL},
};
static const char *const ssh_secrets[] = {"password", "private-key-content", "sudo-password"};

/* ---- creating */

struct create {
    char id[37];
    json_t *duplicates;
};

static void create_free(void *state) {
    struct create *c = state;
    json_decref(c->duplicates);
    mem_free(c);
}

static bool note_duplicate(void *ctx, const struct store_connection *row) {
    struct create *c = ctx;
    json_array_append_new(c->duplicates, json_str_new(row->certname));
    return true;
}

/* certnames of a body as spans; mem_free() them. */
static struct span *read_certnames(const json_t *body, size_t *count) {
    json_t *list = json_object_get(body, "certnames"), *name;
    struct span *names = mem_array(json_array_size(list) + 1, sizeof *names);
    *count = json_array_size(list);
    size_t i;
    json_array_foreach(list, i, name) {
        names[i] = json_span(name);
    }
    return names;
}

/* False: answered. */
static bool check_create(struct api_call *call) {
    const json_t *type = json_object_get(call->body, "type"), *names = json_object_get(call->body, "certnames");
    const json_t *params = json_object_get(call->body, "parameters"), *name;
    const json_t *secret = json_object_get(call->body, "sensitive_parameters");
    const char *duplicates = json_str(call->body, "duplicates");
    size_t i;
    if (json_array_size(names) == 0) {
        api_reply_invalid(call, "certnames", names, "certnames must not be empty");
        return false;
    }
    json_array_foreach((json_t *)(uintptr_t)names, i, name) {
        if (json_string_length(name) == 0 || span_has_nul(json_span(name))) {
            api_reply_invalid(call, "certnames", names, "certnames must hold node names only");
            return false;
        }
    }
    if (json_string_length(type) == 0) {
        api_reply_invalid(call, "type", type, "type must be ssh, winrm or a remote transport");
        return false;
    }
    if (duplicates != NULL && !str_eq(duplicates, "error") && !str_eq(duplicates, "replace")) {
        api_reply_invalid(call, "duplicates", json_object_get(call->body, "duplicates"),
                          "duplicates must be error or replace");
        return false;
    }
    bool login = str_eq(json_string_value(type), "ssh") || str_eq(json_string_value(type), "winrm");
    if (login && json_str(params, "user") == NULL) {
        api_reply_invalid(call, "parameters", NULL, "parameters.user is missing");
        return false;
    }
    if (login && json_str(secret, "password") == NULL && json_str(secret, "private-key-content") == NULL) {
        api_reply_invalid(call, "sensitive_parameters", NULL, "password or private-key-content is missing");
        return false;
    }
    for (i = 0; i < sizeof ssh_secrets / sizeof ssh_secrets[0]; i++) {
        if (json_object_get(params, ssh_secrets[i]) != NULL) {
            api_reply_invalid(call, "parameters", NULL, "%s belongs to sensitive_parameters", ssh_secrets[i]);
            return false;
        }
    }
    return true;
}

static void refresh_agentless(struct api *api) {
    map_free(&api->agentless);
    map_init(&api->agentless);
    api->agentless_known = false; /* read again when next needed */
}

static void on_created(void *ctx, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    refresh_agentless(call->api);
    api_reply_json(call, 201, json_pack("{s:s}", "connection_id", ((struct create *)call->state)->id));
}

static void store_all(struct api_call *call, const struct create *c, const struct span *names, size_t count) {
    struct store *store = call->api->parts.store;
    struct buf params = BUF_INIT, clear = BUF_INIT, sealed = BUF_INIT;
    json_write(&params, json_object_get(call->body, "parameters"));
    json_write(&clear, json_object_get(call->body, "sensitive_parameters"));
    secret_seal(call->api->parts.world, call->api->secret_key, "connection", buf_span(&clear), &sealed);
    mem_zero(clear.ptr, clear.cap);
    struct store_batch *b = store_batch_new(store);
    for (size_t i = 0; i < count; i++) {
        store_connection_put(b, &(struct store_connection){.certname = names[i],
                                                           .connection_id = span_of(c->id),
                                                           .type = json_span(json_object_get(call->body, "type")),
                                                           .parameters = buf_span(&params),
                                                           .secret = buf_span(&sealed)});
    }
    store_commit(store, b, on_created, call);
    buf_free(&params);
    buf_free(&clear);
    buf_free(&sealed);
}

void connections_create(struct api_call *call) {
    if (!check_create(call)) {
        return;
    }
    struct error err = ERROR_INIT;
    struct create *c = mem_zalloc(sizeof *c);
    c->duplicates = json_array();
    call->state = c;
    call->free_state = create_free;
    world_uuid(call->api->parts.world, c->id);
    size_t count;
    struct span *names = read_certnames(call->body, &count);
    if (!store_connections(call->api->parts.store, names, count, note_duplicate, c, &err)) {
        api_reply_store_error(call, &err);
        error_clear(&err);
    } else if (json_array_size(c->duplicates) != 0 && !str_eq(json_str(call->body, "duplicates"), "replace")) {
        json_t *body = json_pack("{s:s, s:s, s:{s:O}}", "kind", "puppetlabs.inventory/duplicate-certnames", "msg",
                                 "Some certnames have a connection already", "details", "duplicates", c->duplicates);
        api_reply_json(call, 409, body);
    } else {
        store_all(call, c, names, count);
    }
    mem_free(names);
}

/* ---- deleting */

static void on_deleted(void *ctx, const struct error *err) {
    struct api_call *call = ctx;
    if (err != NULL) {
        api_reply_error(call, err);
        return;
    }
    refresh_agentless(call->api);
    api_reply(call, 204, SPAN(""));
}

void connections_delete(struct api_call *call) {
    struct store *store = call->api->parts.store;
    size_t count;
    struct span *names = read_certnames(call->body, &count);
    struct store_batch *b = store_batch_new(store);
    for (size_t i = 0; i < count; i++) {
        store_connection_delete(b, names[i]);
    }
    store_commit(store, b, on_deleted, call);
    mem_free(names);
}

/* ---- asking */

struct query {
    const struct api *api;
    json_t *names;   /* array, or NULL: all */
    json_t *extract; /* array of keys, or NULL: all */
    bool sensitive;
    json_t *items;
};

static void query_free(void *state) {
    struct query *q = state;
    json_decref(q->names);
    json_decref(q->extract);
    json_decref(q->items);
    mem_free(q);
}

static json_t *open_secret(const struct api *api, struct span sealed) {
    struct buf clear = BUF_INIT;
    json_t *secret = NULL;
    if (secret_open(api->secret_key, "connection", sealed, &clear)) {
        secret = json_parse(buf_span(&clear), "secrets", NULL);
    }
    if (clear.ptr != NULL) {
        mem_zero(clear.ptr, clear.cap);
    }
    buf_free(&clear);
    return secret;
}

static json_t *extracted(json_t *whole, const json_t *keys) {
    if (keys == NULL) {
        return whole;
    }
    json_t *part = json_object(), *key;
    size_t i;
    json_array_foreach((json_t *)(uintptr_t)keys, i, key) {
        json_t *value = json_object_get(whole, json_string_value(key));
        if (value != NULL) {
            json_object_set(part, json_string_value(key), value);
        }
    }
    json_decref(whole);
    return part;
}

static bool add_item(void *ctx, const struct store_connection *row) {
    struct query *q = ctx;
    json_t *certnames = json_array();
    json_array_append_new(certnames, json_str_new(row->certname));
    json_t *item = json_object();
    json_set(item, "connection_id", json_str_new(row->connection_id));
    json_set(item, "certnames", certnames);
    json_set(item, "type", json_str_new(row->type));
    json_set(item, "parameters", json_parse(row->parameters, "parameters", NULL));
    if (q->sensitive) {
        json_set(item, "sensitive_parameters", open_secret(q->api, row->secret));
    }
    json_array_append_new(q->items, extracted(item, q->extract));
    return true;
}

static void answer_query(struct api_call *call) {
    struct query *q = call->state;
    struct error err = ERROR_INIT;
    size_t count = json_array_size(q->names), i;
    struct span *names = mem_array(count + 1, sizeof *names);
    json_t *name;
    json_array_foreach(q->names, i, name) {
        names[i] = json_span(name);
    }
    bool nobody = q->names != NULL && count == 0;
    if (!nobody && !store_connections(call->api->parts.store, names, count, add_item, q, &err)) {
        api_reply_store_error(call, &err);
        error_clear(&err);
    } else {
        api_reply_json(call, 200, json_pack("{s:O}", "items", q->items));
    }
    mem_free(names);
}

static void on_sensitive(struct api_call *call, const json_t *answers) {
    if (json_is_true(json_array_get(answers, 0))) {
        answer_query(call);
    } else {
        api_reply_not_permitted(call, "You do not have permission to view sensitive connection data: "
                                      "nodes:view_inventory_sensitive:* is needed");
    }
}

/* names and extract are stolen. */
static void begin_query(struct api_call *call, json_t *names, json_t *extract, bool sensitive) {
    struct query *q = mem_zalloc(sizeof *q);
    *q = (struct query){
        .api = call->api, .names = names, .extract = extract, .sensitive = sensitive, .items = json_array()};
    call->state = q;
    call->free_state = query_free;
    if (!sensitive) {
        answer_query(call);
        return;
    }
    json_t *permissions = json_array();
    add_permission(permissions, "nodes", "view_inventory_sensitive", "*");
    api_permit(call, permissions, on_sensitive);
}

/* A query parameter as an array of its values ("a" or "a,b"), or NULL. */
static json_t *query_list(struct api_call *call, const char *name) {
    const char *text = http_query(call->ex, name);
    if (text == NULL) {
        return NULL;
    }
    json_t *list = json_array();
    struct span rest = span_of(text), part;
    while (span_split(&rest, ',', &part)) {
        json_array_append_new(list, json_str_new(part));
    }
    return list;
}

void connections_get(struct api_call *call) {
    const char *sensitive = http_query(call->ex, "sensitive");
    begin_query(call, query_list(call, "certname"), query_list(call, "extract"), str_eq(sensitive, "true"));
}

void connections_query(struct api_call *call) {
    begin_query(call, json_incref(json_object_get(call->body, "certnames")),
                json_incref(json_object_get(call->body, "extract")), json_bool(call->body, "sensitive", false));
}
