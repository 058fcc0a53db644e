/* GET /jobs/:id/events: a page for those who poll, Server-Sent Events for those who accept text/event-stream
 * (orchestrator-api.md §5). A stream ends after the job's last event. */
#include "base/mem.h"
#include "orchestrator/api/internal.h"
#include "orchestrator/jobs/render.h"
#include <assert.h>
#include <string.h>

enum { STREAM_BATCH = 500, STREAM_PENDING_MAX = 4 * 1024 * 1024, STREAM_BREATH_MS = 15000, STREAM_FULL_RETRY_MS = 100 };
enum { PAGE_HEAD_MAX = 160 }; /* with three numbers, without the base of links */

struct page {
    struct buf out;
    bool first;
    int64_t next;
};

static bool write_event(void *ctx, const struct store_event *e) {
    struct page *p = ctx;
    if (!p->first) {
        buf_append_char(&p->out, ',');
    }
    p->first = false;
    p->next = e->id + 1;
    render_event(&p->out, e);
    return true;
}

/* What stands before the items holds the last one's number: its place is kept free until that is known, so that the
 * items need not be copied. */
static void answer_page(struct api_call *call, int64_t job, int64_t start) {
    struct page p = {.first = true, .next = start};
    struct error err = ERROR_INIT;
    struct buf head = BUF_INIT;
    const size_t space = strlen(call->base) + PAGE_HEAD_MAX;
    buf_reserve(&p.out, space);
    p.out.len = space;
    if (store_events(call->api->parts.store, job, start, -1, write_event, &p, &err)) {
        buf_append_cstr(&p.out, "]}");
        buf_printf(&head, "{\"next-events\":{\"id\":\"%s/jobs/%lld/events?start=%lld\",\"event\":\"%lld\"},\"items\":[",
                   call->base, (long long)job, (long long)p.next, (long long)p.next);
        assert(head.len <= space);
        memcpy(p.out.ptr + space - head.len, head.ptr, head.len);
        api_reply(call, 200, span_sub(buf_span(&p.out), space - head.len, p.out.len));
    } else {
        api_reply_store_error(call, &err);
        error_clear(&err);
    }
    buf_free(&head);
    buf_free(&p.out);
}

/* ---- streams */

struct stream {
    struct api_call *call;
    int64_t job, next;
    struct engine_watch watch;
    bool watched;
    struct timer timer; /* a comment now and then keeps proxies awake; sooner when the reader was behind */
};

static void stream_free(void *state) {
    struct stream *s = state;
    struct api *api = s->call->api;
    if (s->watched) {
        engine_unwatch(api->parts.engine, &s->watch);
    }
    world_timer_stop(api->parts.world, &s->timer);
    api->streams--;
    mem_free(s);
}

static bool write_stream_event(void *ctx, const struct store_event *e) {
    struct stream *s = ctx;
    struct buf out = BUF_INIT;
    buf_printf(&out, "id: %lld\nevent: %s\ndata: ", (long long)e->id, event_type_name(e->type));
    render_event(&out, e);
    buf_append_cstr(&out, "\n\n");
    s->next = e->id + 1;
    http_stream_write(s->call->ex, buf_span(&out));
    buf_free(&out);
    return http_stream_pending(s->call->ex) < STREAM_PENDING_MAX;
}

static void stream_end(struct stream *s) {
    struct api_call *call = s->call;
    struct http_exchange *ex = call->ex;
    http_on_abandon(ex, NULL, NULL);
    call_free(call);
    http_stream_end(ex);
}

/* Sends what is stored. over: the job has ended, so when all is sent the stream ends too. */
static void pump(struct stream *s, bool over);

static void on_stream_timer(void *ctx) {
    struct stream *s = ctx;
    if (http_stream_pending(s->call->ex) == 0) {
        http_stream_write(s->call->ex, SPAN(": \n\n"));
    }
    pump(s, !s->watched);
}

static void pump(struct stream *s, bool over) {
    struct api *api = s->call->api;
    int64_t before;
    bool behind;
    do {
        before = s->next;
        struct error err = ERROR_INIT;
        if (!store_events(api->parts.store, s->job, s->next, STREAM_BATCH, write_stream_event, s, &err)) {
            log_warn(api->parts.log, "an event stream ended: %s", err.msg);
            error_clear(&err);
            stream_end(s);
            return;
        }
        behind = http_stream_pending(s->call->ex) >= STREAM_PENDING_MAX;
    } while (s->next != before && !behind);
    if (over && !behind) {
        stream_end(s);
        return;
    }
    world_timer_start(api->parts.world, &s->timer, behind ? STREAM_FULL_RETRY_MS : STREAM_BREATH_MS, on_stream_timer,
                      s);
}

static void on_fresh(void *ctx, bool over) {
    struct stream *s = ctx;
    if (over) {
        s->watched = false; /* the engine lets go of the watches of a job that is over */
    }
    pump(s, over);
}

static void start_stream(struct api_call *call, int64_t job, int64_t start) {
    struct api *api = call->api;
    if (api->streams >= api->parts.config->event_streams_max) {
        struct error err = ERROR_INIT;
        error_set(&err, "orchestrator/limit", "There are %u event streams already; poll instead", api->streams);
        api_reply_error(call, &err);
        error_clear(&err);
        return;
    }
    struct stream *s = mem_zalloc(sizeof(*s));
    s->call = call;
    s->job = job;
    s->next = start;
    api->streams++;
    call->state = s;
    call->free_state = stream_free;
    http_set_header(call->ex, "Cache-Control", "no-cache");
    http_stream_start(call->ex, 200, "text/event-stream");
    s->watched = engine_watch(api->parts.engine, &s->watch, job, on_fresh, s);
    pump(s, !s->watched);
}

void events_answer(struct api_call *call, int64_t job, int64_t start) {
    const char *accept = http_header(call->ex, "accept");
    if (accept != NULL && strstr(accept, "text/event-stream") != NULL) {
        start_stream(call, job, start);
    } else {
        answer_page(call, job, start);
    }
}
