/* See journal_trace.h. */
#include "scenarios/runner/journal_trace.h"

#include "base/json.h"
#include "base/map.h"
#include "base/mem.h"
#include <inttypes.h>

struct journal_trace {
    struct journal *journal;
    struct map actors; /* name -> uint64_t *, its number */
    void (*write)(void *ctx, struct span text);
    void *ctx;
    bool any;
};

static void put(struct journal_trace *t, struct buf *event) {
    t->write(t->ctx, t->any ? SPAN(",\n") : SPAN("[\n"));
    t->any = true;
    t->write(t->ctx, buf_span(event));
    buf_free(event);
}

static uint64_t number_of(struct journal_trace *t, const char *actor) {
    uint64_t *number = map_get_cstr(&t->actors, actor);
    if (number == NULL) {
        number = mem_alloc(sizeof(*number));
        *number = map_count(&t->actors) + 1;
        map_put(&t->actors, span_of(actor), number);
        struct buf event = BUF_INIT;
        buf_printf(&event, "{\"name\":\"process_name\",\"ph\":\"M\",\"pid\":%" PRIu64 ",\"args\":{\"name\":", *number);
        json_write_string(&event, span_of(actor));
        buf_append_cstr(&event, "}}");
        put(t, &event);
    }
    return *number;
}

static void on_line(void *ctx, const char *actor, uint64_t at_us, const char *text) {
    struct journal_trace *t = ctx;
    uint64_t number = number_of(t, actor);
    struct buf event = BUF_INIT;
    buf_append_cstr(&event, "{\"name\":");
    json_write_string(&event, span_of(text));
    buf_printf(&event, ",\"ph\":\"i\",\"s\":\"p\",\"ts\":%" PRIu64 ",\"pid\":%" PRIu64 ",\"tid\":0}", at_us, number);
    put(t, &event);
}

struct journal_trace *journal_trace_start(struct journal *j, void (*write)(void *ctx, struct span text), void *ctx) {
    struct journal_trace *t = mem_zalloc(sizeof(*t));
    t->journal = j;
    t->write = write;
    t->ctx = ctx;
    journal_tap(j, on_line, t);
    return t;
}

void journal_trace_end(struct journal_trace *t) {
    if (t == NULL) {
        return;
    }
    journal_tap(t->journal, NULL, NULL);
    t->write(t->ctx, t->any ? SPAN("\n]\n") : SPAN("[]\n"));
    for (struct map_iter i = map_iter(&t->actors); map_next(&i);) {
        mem_free(i.value);
    }
    map_free(&t->actors);
    mem_free(t);
}
