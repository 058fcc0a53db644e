/* The record of what was asked, for assertions. Passwords are masked before anything is kept. */
#include "base/clock.h"
#include "base/mem.h"
#include "fakes/common/host.h"
#include <string.h>

struct recorded {
    struct list_link link;
    int64_t seq;
    json_t *entry;
    char *body; /* not parsed yet: most are never asked for; NULL: it is in the entry */
    size_t body_len;
};

void requests_init(struct request_log *l) {
    list_init(&l->items);
    l->last_seq = 0;
}

static void recorded_free(struct recorded *r) {
    json_decref(r->entry);
    mem_free(r->body);
    mem_free(r);
}

void requests_clear(struct request_log *l) {
    for (struct list_link *k; (k = list_pop_front(&l->items)) != NULL;) {
        recorded_free(LIST_ITEM(k, struct recorded, link));
    }
}

static const char *const masked_keys[] = {"password", "current_password"};

static void mask_secrets(json_t *body) {
    for (size_t i = 0; i < sizeof masked_keys / sizeof masked_keys[0]; i++) {
        if (json_object_get(body, masked_keys[i]) != NULL) {
            json_set(body, masked_keys[i], json_string("********"));
        }
    }
}

static json_t *body_entry(struct span body) {
    if (body.len == 0) {
        return json_null();
    }
    if (body.len <= FAKE_BODY_RECORD_MAX) {
        json_t *parsed = json_parse(body, "malformed-request", NULL);
        if (parsed != NULL) {
            mask_secrets(parsed);
            return parsed;
        }
    }
    struct span text = span_sub(body, 0, FAKE_BODY_RECORD_MAX);
    /* A cut may fall inside a character. */
    for (int back = 0; back < 4 && text.len > 0 && !span_is_utf8(text) && body.len > FAKE_BODY_RECORD_MAX; back++) {
        text.len--;
    }
    json_t *value = json_str_new(text);
    return value != NULL ? value : json_sprintf("<%zu bytes that are no text>", body.len);
}

/* A body that might hold a secret is never kept as it came. */
static bool may_wait(struct span body) {
    for (size_t i = 0; i < sizeof masked_keys / sizeof masked_keys[0]; i++) {
        if (span_find_span(body, span_of(masked_keys[i])) >= 0) {
            return false;
        }
    }
    return body.len > 0 && body.len <= FAKE_BODY_RECORD_MAX && span_find(body, '\\') < 0;
}

static json_t *whole_entry(struct recorded *r) {
    if (r->body != NULL) {
        json_set(r->entry, "body", body_entry(span_bytes(r->body, r->body_len)));
        mem_free(r->body);
        r->body = NULL;
    }
    return r->entry;
}

void requests_record(struct request_log *l, int64_t now_ms, const char *service, const struct http_request *req) {
    struct recorded *r = mem_zalloc(sizeof *r);
    char time[TIME_TEXT_LEN];
    time_format_ms(now_ms, time);
    r->seq = ++l->last_seq;
    const char *cn = req->identity != NULL ? req->identity->common_name : NULL;
    json_t *query = json_str_new(req->query);
    const bool later = may_wait(req->body);
    if (later) {
        r->body = span_dup(req->body);
        r->body_len = req->body.len;
    }
    r->entry = json_pack("{s:I, s:s, s:s?, s:s, s:s, s:o, s:s?, s:s?, s:o}", "seq", (json_int_t)r->seq, "time", time,
                         "service", service, "method", req->method, "path", req->path, "query",
                         query != NULL ? query : json_string(""), "cn", cn, "remote", req->remote, "body",
                         later ? json_null() : body_entry(req->body));
    list_push_back(&l->items, &r->link);
    if (l->items.count > FAKE_REQUESTS_MAX) {
        recorded_free(LIST_ITEM(list_pop_front(&l->items), struct recorded, link));
    }
}

json_t *requests_dump(const struct request_log *l, int64_t since, const char *method, const char *path_glob) {
    json_t *all = json_array();
    LIST_EACH (k, &l->items) {
        struct recorded *r = LIST_ITEM(k, struct recorded, link);
        if (r->seq > since && (method == NULL || strcmp(json_str(r->entry, "method"), method) == 0) &&
            (path_glob == NULL || glob_match(path_glob, json_str(r->entry, "path")))) {
            json_array_append(all, whole_entry(r));
        }
    }
    return json_pack("{s:o, s:I}", "requests", all, "last", (json_int_t)l->last_seq);
}
