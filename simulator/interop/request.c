/* See request.h. */
#include "simulator/interop/request.h"
#include "base/json.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

/* "nodes[certname]{certname in [… (8123 characters)": how many there were; 0: it is whole. */
static size_t cut_length(const char *query) {
    const char *note = query != NULL ? strstr(query, "\xe2\x80\xa6 (") : NULL;
    return note != NULL ? (size_t)strtoul(note + 5, NULL, 10) : 0;
}

static char *spell_out(size_t characters) {
    struct buf query = BUF_INIT;
    buf_append_cstr(&query, "nodes[certname]{certname in [");
    for (int i = 0; query.len + 2 < characters; i++) {
        buf_printf(&query, "%s\"node%06d.example.com\"", i > 0 ? "," : "", i);
    }
    buf_append_cstr(&query, "]}");
    return buf_take(&query);
}

static void percent_encode(struct buf *out, const char *text) {
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        bool plain =
            strchr("-_.~", c) != NULL || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (plain) {
            buf_append_char(out, (char)c);
        } else {
            buf_printf(out, "%%%02X", c);
        }
    }
}

static char *target_of(const json_t *recorded) {
    const json_t *query = json_object_get(recorded, "query");
    size_t cut = cut_length(json_str(query, "query"));
    const char *target = json_str(recorded, "target");
    if (target != NULL && cut == 0) {
        return str_dup(target);
    }
    struct buf built = BUF_INIT;
    const char *name;
    json_t *value;
    char separator = '?';
    buf_append_cstr(&built, json_str(recorded, "path"));
    json_object_foreach((json_t *)(uintptr_t)query, name, value) {
        char *whole = cut > 0 && strcmp(name, "query") == 0 ? spell_out(cut) : str_dup(json_string_value(value));
        buf_printf(&built, "%c%s=", separator, name);
        percent_encode(&built, whole != NULL ? whole : "");
        separator = '&';
        mem_free(whole);
    }
    return buf_take(&built);
}

static char *body_of(const json_t *recorded) {
    const json_t *body = json_object_get(recorded, "body");
    size_t cut = cut_length(json_str(body, "query"));
    if (cut > 0) {
        char *whole = spell_out(cut);
        json_t *object = json_pack("{s:s}", "query", whole);
        char *text = json_text(object);
        json_decref(object);
        mem_free(whole);
        return text;
    }
    return json_is_string(body)                 ? str_dup(json_string_value(body))
           : body == NULL || json_is_null(body) ? str_dup("")
                                                : json_text(body);
}

void request_open(struct request *r, const json_t *recorded) {
    *r = (struct request){.method = json_str(recorded, "method"),
                          .cn = json_str(recorded, "tls_client_certname"),
                          .headers = json_object_get(recorded, "headers"),
                          .target = target_of(recorded),
                          .body = body_of(recorded)};
    char *all = json_text(recorded);
    r->ordered =
        strstr(all, "order by") != NULL || strstr(all, "order_by") != NULL || strstr(all, "fact-names") != NULL;
    mem_free(all);
}

void request_close(struct request *r) {
    mem_free(r->target);
    mem_free(r->body);
}
