/* Hashes as PuppetDB computes them. */
#include "hash.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include "jsontext.h"
#include "pql/plan.h"
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

static void hash_of_text(struct span text, char out[HASH_HEX_LEN + 1]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;
    struct buf hex = BUF_INIT;
    EVP_Digest(text.ptr, text.len, digest, &len, EVP_sha1(), NULL);
    hex_encode(&hex, span_bytes(digest, len));
    memcpy(out, hex.ptr, HASH_HEX_LEN + 1);
    buf_free(&hex);
}

void hash_of_json(const json_t *value, char out[HASH_HEX_LEN + 1]) {
    struct buf text = BUF_INIT;
    jsontext_append_sorted(&text, value);
    hash_of_text(buf_span(&text), out);
    buf_free(&text);
}

static json_t *member(const json_t *object, const char *key) {
    json_t *value = json_object_get(object, key);
    return value != NULL ? json_incref(value) : json_null();
}

void hash_of_resource(const json_t *resource, char out[HASH_HEX_LEN + 1]) {
    json_t *parameters = json_object_get(resource, "parameters");
    json_t *identity = json_pack("[o, o, o]", member(resource, "type"), member(resource, "title"),
                                 parameters != NULL ? json_incref(parameters) : json_object());
    hash_of_json(identity, out);
    json_decref(identity);
}

static int by_json_text(const void *a, const void *b) {
    char *left = json_text(*(json_t *const *)a), *right = json_text(*(json_t *const *)b);
    int order = strcmp(left, right);
    mem_free(left);
    mem_free(right);
    return order;
}

/* A new array with the items in the given order. */
static json_t *sorted(const json_t *list, int (*compare)(const void *, const void *)) {
    size_t count = json_array_size(list);
    json_t **items = mem_array(count + 1, sizeof *items);
    for (size_t i = 0; i < count; i++) {
        items[i] = json_array_get(list, i);
    }
    qsort(items, count, sizeof *items, compare);
    json_t *result = json_array();
    for (size_t i = 0; i < count; i++) {
        json_array_append(result, items[i]);
    }
    mem_free(items);
    return result;
}

void hash_of_facts(const json_t *payload, char out[HASH_HEX_LEN + 1]) {
    json_t *identity = json_pack("{s:o, s:o, s:o}", "certname", member(payload, "certname"), "environment",
                                 member(payload, "environment"), "values", member(payload, "values"));
    const json_t *packages = json_object_get(payload, "package_inventory");
    if (json_array_size(packages) > 0) {
        json_set(identity, "package_inventory", sorted(packages, by_json_text));
    }
    hash_of_json(identity, out);
    json_decref(identity);
}

static int compare_text(const json_t *a, const json_t *b, const char *key) {
    const char *left = json_str(a, key), *right = json_str(b, key);
    return strcmp(left != NULL ? left : "", right != NULL ? right : "");
}

static int compare_reference(const json_t *a, const json_t *b) {
    int order = compare_text(a, b, "title");
    return order != 0 ? order : compare_text(a, b, "type");
}

static int by_title(const void *a, const void *b) {
    return compare_reference(*(json_t *const *)a, *(json_t *const *)b);
}

static int by_ends(const void *a, const void *b) {
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    int order = compare_reference(json_object_get(left, "source"), json_object_get(right, "source"));
    order = order != 0 ? order : compare_reference(json_object_get(left, "target"), json_object_get(right, "target"));
    return order != 0 ? order : compare_text(left, right, "relationship");
}

static json_t *resource_identity(const json_t *resource) {
    static const char *const keys[] = {"type", "title", "parameters", "exported", "file", "line", "tags"};
    json_t *identity = json_object();
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        json_t *value = json_object_get(resource, keys[i]);
        if (value != NULL) {
            json_object_set(identity, keys[i], value);
        }
    }
    return identity;
}

void hash_of_catalog(const json_t *payload, char out[HASH_HEX_LEN + 1]) {
    json_t *resources = sorted(json_object_get(payload, "resources"), by_title);
    json_t *identities = json_array();
    size_t i;
    json_t *resource;
    json_array_foreach(resources, i, resource) {
        json_array_append_new(identities, resource_identity(resource));
    }
    json_t *identity = json_pack("{s:o, s:o, s:o}", "certname", member(payload, "certname"), "resources", identities,
                                 "edges", sorted(json_object_get(payload, "edges"), by_ends));
    hash_of_json(identity, out);
    json_decref(resources);
    json_decref(identity);
}

static void append_time(struct buf *out, const json_t *value) {
    int64_t ms;
    char text[TIME_TEXT_LEN];
    if (!plan_parse_time(json_span(value), &ms)) {
        buf_append_cstr(out, "null");
        return;
    }
    time_format_ms(ms, text);
    buf_append_char(out, '"');
    buf_append_cstr(out, text);
    buf_append_char(out, '"');
}

/* Reports come in swarms: the text that is hashed is written at once, not by way of an object. */
void hash_of_report(const json_t *payload, char out[HASH_HEX_LEN + 1]) {
    static const struct {
        const char *key;
        bool time;
    } identity[] = {/* sorted */
                    {"certname", false},          {"configuration_version", false}, {"end_time", true},
                    {"producer_timestamp", true}, {"puppet_version", false},        {"report_format", false},
                    {"start_time", true},         {"transaction_uuid", false}};
    struct buf text = BUF_INIT;
    for (size_t i = 0; i < sizeof identity / sizeof identity[0]; i++) {
        const json_t *value = json_object_get(payload, identity[i].key);
        buf_append_cstr(&text, i == 0 ? "{\"" : ",\"");
        buf_append_cstr(&text, identity[i].key);
        buf_append_cstr(&text, "\":");
        if (identity[i].time) {
            append_time(&text, value);
        } else if (value == NULL) {
            buf_append_cstr(&text, "null");
        } else {
            jsontext_append_sorted(&text, value);
        }
    }
    buf_append_char(&text, '}');
    hash_of_text(buf_span(&text), out);
    buf_free(&text);
}
