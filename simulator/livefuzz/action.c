/* See action.h. */
#include "simulator/livefuzz/action.h"

#include "base/digest.h"
#include "base/json.h"
#include "base/mem.h"
#include <string.h>

static const char *const names[ACTION_KINDS] = {"connect", "text", "binary", "raw",  "ping",
                                                "close",   "drop", "wait",   "probe"};

void action_free(struct action *a) {
    buf_free(&a->bytes);
}

void actions_free(struct actions *list) {
    for (size_t i = 0; i < list->count; i++) {
        action_free(&list->items[i]);
    }
    mem_free(list->items);
    *list = (struct actions){0};
}

void actions_add(struct actions *list, struct action *a) {
    list->items = mem_grow(list->items, &list->cap, list->count + 1, sizeof(*list->items));
    list->items[list->count++] = *a;
    a->bytes = (struct buf)BUF_INIT;
}

static bool has_bytes(enum action_kind kind) {
    return kind == ACTION_TEXT || kind == ACTION_BINARY || kind == ACTION_RAW || kind == ACTION_PING;
}

void action_write(const struct action *a, struct buf *out) {
    json_t *o = json_pack("{s:s, s:i}", "do", names[a->kind], "who", (int)a->who);
    if (a->kind == ACTION_CONNECT) {
        json_set(o, "version", json_integer(a->version));
        json_set(o, "path", json_str_new(buf_span(&a->bytes)));
    } else if (has_bytes(a->kind)) {
        json_t *text = json_str_new(buf_span(&a->bytes));
        if (text != NULL) {
            json_set(o, "text", text);
        } else {
            struct buf hex = BUF_INIT;
            hex_encode(&hex, buf_span(&a->bytes));
            json_set(o, "hex", json_str_new(buf_span(&hex)));
            buf_free(&hex);
        }
    } else if (a->kind == ACTION_CLOSE || a->kind == ACTION_WAIT) {
        json_set(o, "number", json_integer((json_int_t)a->number));
    }
    json_write(out, o);
    buf_append_char(out, '\n');
    json_decref(o);
}

static bool action_read(const json_t *o, struct action *a) {
    const char *name = json_str(o, "do"), *hex = json_str(o, "hex");
    int64_t who = json_int(o, "who", 0), number = json_int(o, "number", 0), version = json_int(o, "version", 2);
    json_t *text = json_object_get(o, "text"), *path = json_object_get(o, "path");
    *a = (struct action){.kind = ACTION_KINDS};
    for (size_t i = 0; name != NULL && i < ACTION_KINDS; i++) {
        a->kind = strcmp(names[i], name) == 0 ? (enum action_kind)i : a->kind;
    }
    if (a->kind == ACTION_KINDS || who < 0 || who > 1000 || number < 0 || (version != 1 && version != 2)) {
        return false;
    }
    a->who = (unsigned)who;
    a->number = (uint64_t)number;
    a->version = (int)version;
    buf_append_span(&a->bytes, json_span(a->kind == ACTION_CONNECT ? path : text));
    if (hex != NULL && !hex_decode(&a->bytes, span_of(hex))) {
        buf_free(&a->bytes);
        return false;
    }
    return true;
}

bool actions_read(struct actions *list, struct span text, struct error *err) {
    struct span line;
    for (size_t number = 1; span_split(&text, '\n', &line); number++) {
        struct action a;
        json_t *o = span_trim(line).len != 0 ? json_parse(line, "transcript", NULL) : NULL;
        const char *what = json_str(o, "fuzz");
        bool blank = span_trim(line).len == 0, verdict = json_str(o, "verdict") != NULL;
        bool head = number == 1 && what != NULL;
        if (head) {
            list->agent = strcmp(what, "agent") == 0;
            list->seed = (uint64_t)json_int(o, "seed", 0);
        }
        bool ok = blank || head || verdict;
        if (!ok && (ok = action_read(o, &a))) {
            actions_add(list, &a);
        }
        json_decref(o);
        if (!ok) {
            return error_set(err, "transcript", "line %zu is no step of a transcript", number);
        }
    }
    return true;
}

void actions_write(const struct actions *list, struct buf *out) {
    buf_printf(out, "{\"fuzz\":\"%s\",\"seed\":%llu}\n", list->agent ? "agent" : "broker",
               (unsigned long long)list->seed);
    for (size_t i = 0; i < list->count; i++) {
        action_write(&list->items[i], out);
    }
}
