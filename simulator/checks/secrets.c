/* Invariant 10: registered texts must not reach a disk, a log line or an answer of the API. */
#include "simulator/checks/internal.h"

#include "base/mem.h"
#include <assert.h>
#include <string.h>

enum { SECRET_MIN = 4 };

struct secret {
    struct list_link link;
    char *text;
    size_t len;
};

void checks_secret(struct checks *c, const char *text) {
    assert(strlen(text) >= SECRET_MIN); /* shorter ones are found by chance */
    struct secret *s = mem_zalloc(sizeof(*s));
    s->text = str_dup(text);
    s->len = strlen(text);
    list_push_back(&c->secrets, &s->link);
}

void secrets_scan(struct checks *c, const char *where, const char *host, struct span bytes) {
    LIST_EACH (k, &c->secrets) {
        const struct secret *s = LIST_ITEM(k, struct secret, link);
        const char *at = bytes.len >= s->len ? memmem(bytes.ptr, bytes.len, s->text, s->len) : NULL;
        if (at != NULL) {
            violate(c, 10, "%s: a sensitive value (of %zu bytes) appears in %s, at byte %zu", host, s->len, where,
                    (size_t)(at - bytes.ptr));
        }
    }
}

void secrets_free(struct checks *c) {
    for (struct list_link *k; (k = list_pop_front(&c->secrets)) != NULL;) {
        struct secret *s = LIST_ITEM(k, struct secret, link);
        mem_free(s->text);
        mem_free(s);
    }
}
