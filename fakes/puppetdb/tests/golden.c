/* Comparing answers with recordings. */
#include "golden.h"
#include "base/json.h"
#include "base/mem.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b) {
    return strcmp(((const struct golden *)a)->name, ((const struct golden *)b)->name);
}

struct golden *golden_load(size_t *count) {
    struct golden *all = NULL;
    size_t cap = 0;
    *count = 0;
    DIR *dir = opendir(SOURCE_DIR "/scenarios/golden/puppetdb");
    for (struct dirent *e; dir != NULL && (e = readdir(dir)) != NULL;) {
        size_t len = strlen(e->d_name);
        if (len < 6 || strcmp(e->d_name + len - 5, ".json") != 0) {
            continue;
        }
        char *path = str_printf("%s/%s", SOURCE_DIR "/scenarios/golden/puppetdb", e->d_name);
        all = mem_grow(all, &cap, *count + 1, sizeof *all);
        all[*count].name = span_dup(span_bytes(e->d_name, len - 5));
        all[*count].recording = json_load_file(path, 0, NULL);
        *count += all[*count].recording != NULL;
        mem_free(path);
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (all != NULL) {
        qsort(all, *count, sizeof *all, by_name);
    }
    return all;
}

void golden_free(struct golden *all, size_t count) {
    for (size_t i = 0; i < count; i++) {
        mem_free(all[i].name);
        json_decref(all[i].recording);
    }
    mem_free(all);
}

/* ---------------------------------------------------------------- JSON */

static bool is_time(const char *key) {
    static const char *const keys[] = {"receive_time", "report_receive_time", "facts_timestamp", "catalog_timestamp",
                                       "server_time"};
    for (size_t i = 0; key != NULL && i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(key, keys[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool same(const json_t *a, const json_t *b, enum golden_rule rule, bool ordered, const char *key);

static bool same_set(const json_t *a, const json_t *b, enum golden_rule rule) {
    size_t n = json_array_size(a);
    bool *used = mem_array(n + 1, sizeof *used);
    bool all = n == json_array_size(b);
    for (size_t i = 0; i < n && all; i++) {
        bool found = false;
        for (size_t k = 0; k < n && !found; k++) {
            if (!used[k] && same(json_array_get(a, i), json_array_get(b, k), rule, true, NULL)) {
                used[k] = found = true;
            }
        }
        all = found;
    }
    mem_free(used);
    return all;
}

static bool same_array(const json_t *a, const json_t *b, enum golden_rule rule, bool ordered, const char *key) {
    bool data = key != NULL && strcmp(key, "data") == 0; /* of expanded columns: rows without an order */
    if (!ordered || data) {
        return same_set(a, b, rule);
    }
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (!same(json_array_get(a, i), json_array_get(b, i), rule, true, NULL)) {
            return false;
        }
    }
    return json_array_size(a) == json_array_size(b);
}

static bool same_object(const json_t *a, const json_t *b, enum golden_rule rule) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)a, key, value) {
        const json_t *other = json_object_get(b, key);
        bool excused = (rule == GOLDEN_TIMES && is_time(key)) || (rule == GOLDEN_UUID && strcmp(key, "uuid") == 0) ||
                       (rule == GOLDEN_QUEUE && (strcmp(key, "queue_depth") == 0 || strcmp(key, "experimental") == 0));
        if (excused ? other != NULL && json_typeof(other) != json_typeof(value)
                    : other == NULL || !same(value, other, rule, true, key)) {
            return false;
        }
    }
    return json_object_size(a) == json_object_size(b) || rule == GOLDEN_QUEUE;
}

static bool same(const json_t *a, const json_t *b, enum golden_rule rule, bool ordered, const char *key) {
    if (json_is_number(a) && json_is_number(b)) {
        return json_number_value(a) == json_number_value(b);
    }
    if (json_is_array(a) && json_is_array(b)) {
        return same_array(a, b, rule, ordered, key);
    }
    return json_is_object(a) && json_is_object(b) ? same_object(a, b, rule) : json_equal(a, b);
}

/* Of a trimmed recording: every row is among those of the answer. */
static bool among(const json_t *rows, const json_t *all) {
    size_t i, k;
    json_t *row, *other;
    json_array_foreach(rows, i, row) {
        bool found = false;
        json_array_foreach(all, k, other) {
            bool fits = json_is_object(row) && json_is_object(other);
            const char *key;
            json_t *value;
            json_object_foreach(row, key, value) {
                fits = fits && json_object_get(other, key) != NULL &&
                       same(value, json_object_get(other, key), GOLDEN_EQUAL, true, key);
            }
            found = found || fits;
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

static bool same_shape(const json_t *a, const json_t *b) {
    return json_is_array(a) && json_is_array(b) && json_array_size(a) == 1 && json_array_size(b) == 1 &&
           json_object_get(json_array_get(a, 0), "query plan") != NULL &&
           json_object_get(json_array_get(json_object_get(json_array_get(b, 0), "query plan"), 0), "Plan") != NULL;
}

/* ---------------------------------------------------------------- answers */

static bool has_order(const struct golden *g) {
    char *request = json_text(json_object_get(g->recording, "request"));
    bool ordered = strstr(request, "order by") != NULL || strstr(request, "order_by") != NULL ||
                   strstr(request, "fact-names") != NULL;
    mem_free(request);
    return ordered;
}

static char *compare_headers(const json_t *expected, const struct answer *a) {
    static const char *const compared[] = {"content-type", "x-records", "location", "vary"};
    for (size_t i = 0; i < sizeof compared / sizeof compared[0]; i++) {
        const char *wanted = json_str(expected, compared[i]), *got = json_str(a->headers, compared[i]);
        if (!str_eq(wanted, got)) {
            return str_printf("header %s is %s, not %s", compared[i], got != NULL ? got : "absent",
                              wanted != NULL ? wanted : "absent");
        }
    }
    return NULL;
}

static char *compare_text(const char *wanted, const struct answer *a, enum golden_rule rule) {
    struct span expected = span_of(wanted);
    if (rule == GOLDEN_POSITION) {
        const char *position = strstr(wanted, "\n  Position: ");
        expected.len = position != NULL ? (size_t)(position - wanted) : expected.len;
    }
    if (span_eq(expected, buf_span(&a->body))) {
        return NULL;
    }
    return str_printf("body is:\n%s\nnot:\n%s", a->body.ptr != NULL ? a->body.ptr : "", wanted);
}

static char *compare_json(const struct golden *g, const json_t *expected, bool trimmed, const struct answer *a,
                          enum golden_rule rule) {
    json_t *got =
        json_loadb(a->body.ptr != NULL ? a->body.ptr : "", a->body.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    bool equal = got != NULL && (rule == GOLDEN_SHAPE ? same_shape(expected, got)
                                 : trimmed            ? among(expected, got)
                                                      : same(expected, got, rule, has_order(g), NULL));
    json_decref(got);
    if (equal) {
        return NULL;
    }
    char *wanted = json_text(expected);
    char *why = str_printf("body is:\n%.3000s\nnot:\n%.3000s", a->body.ptr != NULL ? a->body.ptr : "", wanted);
    mem_free(wanted);
    return why;
}

char *golden_compare(const struct golden *g, const struct answer *a, enum golden_rule rule) {
    const json_t *response = json_object_get(g->recording, "response");
    int status = (int)json_int(response, "status", 0);
    if (a->status != status) {
        return str_printf("status is %d, not %d; body: %s", a->status, status, a->body.ptr != NULL ? a->body.ptr : "");
    }
    char *why = compare_headers(json_object_get(response, "headers"), a);
    if (why != NULL) {
        return why;
    }
    const json_t *body = json_object_get(response, "body");
    const char *type = json_str(json_object_get(response, "headers"), "content-type");
    bool is_json = type != NULL && strncmp(type, "application/json", 16) == 0;
    bool trimmed = json_object_get(response, "body_trimmed") != NULL;
    return is_json ? compare_json(g, body, trimmed, a, rule) : compare_text(json_string_value(body), a, rule);
}
