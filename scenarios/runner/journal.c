/* See journal.h. */
#include "scenarios/runner/journal.h"

#include "base/map.h"
#include "base/mem.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct line {
    uint64_t at_us;
    char *text;
};
struct actor {
    char *name;
    struct line lines[JOURNAL_LINES]; /* a ring */
    size_t count;                     /* ever */
};
struct journal {
    struct map actors;
    uint64_t (*now_us)(void *ctx);
    void *clock;
    void (*on_line)(void *ctx, const char *actor, uint64_t at_us, const char *text);
    void *tap;
};

struct journal *journal_new(void) {
    return mem_zalloc(sizeof(struct journal));
}

void journal_free(struct journal *j) {
    if (j == NULL) {
        return;
    }
    for (struct map_iter i = map_iter(&j->actors); map_next(&i);) {
        struct actor *a = i.value;
        for (size_t k = 0; k < JOURNAL_LINES; k++) {
            mem_free(a->lines[k].text);
        }
        mem_free(a->name);
        mem_free(a);
    }
    map_free(&j->actors);
    mem_free(j);
}

void journal_clock(struct journal *j, uint64_t (*now_us)(void *ctx), void *ctx) {
    j->now_us = now_us;
    j->clock = ctx;
}

void journal_tap(struct journal *j, void (*on_line)(void *ctx, const char *actor, uint64_t at_us, const char *text),
                 void *ctx) {
    j->on_line = on_line;
    j->tap = ctx;
}

void journal_line(struct journal *j, const char *name, const char *text) {
    struct actor *a = map_get_cstr(&j->actors, name);
    uint64_t at_us = j->now_us != NULL ? j->now_us(j->clock) : 0;
    if (j->on_line != NULL) {
        j->on_line(j->tap, name, at_us, text);
    }
    if (a == NULL) {
        if (map_count(&j->actors) >= JOURNAL_ACTORS_MAX) {
            return;
        }
        a = mem_zalloc(sizeof(*a));
        a->name = str_dup(name);
        map_put(&j->actors, span_of(name), a);
    }
    struct line *line = &a->lines[a->count++ % JOURNAL_LINES];
    mem_free(line->text);
    size_t len = strlen(text);
    *line = (struct line){.at_us = at_us,
                          .text = str_printf("%.*s%s", JOURNAL_LINE_MAX, text, len > JOURNAL_LINE_MAX ? "…" : "")};
}

static void sink(void *ctx, const struct log_record *record) {
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s  %s", log_level_name(record->level), record->msg);
    for (const struct log_field *f = record->fields; f != NULL && f->key != NULL; f++) {
        buf_printf(&text, " %s=%s", f->key, f->value != NULL ? f->value : "");
    }
    journal_line(ctx, record->name != NULL ? record->name : "log", text.ptr);
    buf_free(&text);
}

struct logger journal_logger(struct journal *j, enum log_level level) {
    return (struct logger){.level = level, .name = "stack", .write = sink, .ctx = j};
}

static int by_name(const void *a, const void *b) {
    const struct actor *const *x = a, *const *y = b;
    bool first = strcmp((*x)->name, "scenario") == 0, second = strcmp((*y)->name, "scenario") == 0;
    return first != second ? (first ? -1 : 1) : strcmp((*x)->name, (*y)->name);
}

void journal_print(const struct journal *j, struct buf *out) {
    size_t count = 0;
    const struct actor **actors = mem_array(map_count(&j->actors) + 1, sizeof(*actors));
    for (struct map_iter i = map_iter(&j->actors); map_next(&i);) {
        actors[count++] = i.value;
    }
    qsort(actors, count, sizeof(*actors), by_name);
    for (size_t i = 0; i < count; i++) {
        const struct actor *a = actors[i];
        size_t first = a->count > JOURNAL_LINES ? a->count - JOURNAL_LINES : 0;
        for (size_t k = first; k < a->count; k++) {
            const struct line *line = &a->lines[k % JOURNAL_LINES];
            buf_printf(out, "%-14s %5" PRIu64 ".%03" PRIu64 "s  %s\n", a->name, line->at_us / 1000000,
                       line->at_us / 1000 % 1000, line->text);
        }
    }
    mem_free(actors);
}
