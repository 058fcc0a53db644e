/* Limits: how many, how large, how long silent (pcp.md §9.1, §9.3, §9.4). */
#include "base/mem.h"
#include "scenarios/conformance/broker_side.h"
#include <string.h>

#define LIMIT "close 1011 Connection limit exceeded."

/* Whoever is counted leaves at the end, and waits until the broker has noticed: the next case needs the place. */

static void one_too_many(struct stage *s) {
    struct link *counted[3];
    for (int i = 0; i < 3; i++) {
        counted[i] = connects(s, i + 1, "agent");
    }
    struct link *more = connects(s, 4, "agent");
    expects(s, more, LIMIT);
    expects(s, more, "end");
    works(s, counted[0]);
    for (int i = 0; i < 3; i++) {
        leaves(s, counted[i]);
    }
}

static void second_of_one(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    struct link *more = connects(s, 2, "agent");
    expects(s, more, LIMIT);
    works(s, l);
    leaves(s, l);
}

static void place_is_free_again(struct stage *s) {
    leaves(s, connects(s, 1, "agent"));
    for (;;) { /* until the broker has noticed */
        struct link *l = connects(s, 2, "agent");
        say(s, l, "{'message_type': 'example', 'target': 'pcp://absent.example.com/agent'}");
        struct link_event *e = next_event(s, l);
        bool in = e->kind == LINK_TEXT || e->kind == LINK_BINARY;
        link_event_free(e);
        if (in) {
            leaves(s, l);
            break;
        }
    }
}

static void reconnect_at_the_limit(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    struct link *again = connects(s, 1, "agent");
    expects(s, again, LIMIT);
    works(s, l);
    leaves(s, l);
}

static char *sized(struct stage *s, const struct link *l, size_t size) {
    fresh_id(s);
    char *head = variables_fill(
        &s->vars, "{\"id\": \"${sent}\", \"message_type\": \"example\", \"target\": \"${a1}\", \"data\": \"");
    (void)l;
    size_t len = strlen(head);
    char *text = mem_alloc(size + 1);
    memcpy(text, head, len);
    memset(text + len, 'x', size - len - 2);
    memcpy(text + size - 2, "\"}", 3);
    mem_free(head);
    return text;
}

static void largest_message(struct stage *s) {
    struct link *l = connects_v(s, 2, 1, "agent");
    char *text = sized(s, l, 65536);
    link_send(l, true, span_of(text));
    mem_free(text);
    /* What comes back has a sender more and is larger than we may send: the limit is on receiving. */
    expects(s, l, "{'message_type': 'example', 'id': '${sent}', '...': 0}");
}

static void too_large(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    char *bytes = mem_zalloc(65537);
    memset(bytes, 'x', 65537);
    link_send(l, s->version == 2, span_bytes(bytes, 65537));
    mem_free(bytes);
    static const struct answer text[] = {{REF18, "close 1009 Text message size [65537] exceeds maximum size [65536]"},
                                         {REF20, "close 1009 *"},
                                         {OURS, "close 1009 *"},
                                         {0, NULL}};
    static const struct answer binary[] = {
        {REF18, "close 1009 Binary message size [65537] exceeds maximum size [65536]"},
        {REF20, "close 1009 *"},
        {OURS, "close 1009 *"},
        {0, NULL}};
    expects_any(s, l, s->version == 2 ? text : binary);
}

static void too_large_in_fragments(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    char *bytes = mem_alloc(40000);
    memset(bytes, 'x', 40000);
    struct ws_frame_head first = {
        .opcode = s->version == 2 ? WS_OP_TEXT : WS_OP_BINARY, .masked = true, .length = 40000};
    struct ws_frame_head second = {.fin = true, .opcode = WS_OP_CONTINUATION, .masked = true, .length = 40000};
    link_frame(l, &first, span_bytes(bytes, 40000));
    link_frame(l, &second, span_bytes(bytes, 40000));
    mem_free(bytes);
    expects(s, l, "close 1009 *");
}

static void announced_too_large(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    struct ws_frame_head head = {
        .fin = true, .opcode = s->version == 2 ? WS_OP_TEXT : WS_OP_BINARY, .masked = true, .length = 1ULL << 40};
    link_frame(l, &head, SPAN("x")); /* not waited for: the length alone is too much */
    expects(s, l, "close 1009 *");
}

static void idle_ends(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    static const struct answer answers[] = {{OURS, "close 1001 Connection Idle Timeout"},
                                            {REF20, "close 1001 Connection Idle Timeout"},
                                            {REF18, "close 1001 *Idle timeout expired*"},
                                            {0, NULL}};
    expects_any(s, l, answers);
}

static bool has_event(void *ctx) {
    return !list_empty(&((struct link *)ctx)->events);
}

/* Longer alive than the idle time-out, by something every third of it. */
static void kept_alive(struct stage *s) {
    struct link *l = connects(s, 1, "agent");
    bool ping = s->c->data != NULL;
    for (int i = 0; i < 6; i++) {
        if (ping) {
            link_control(l, WS_OP_PING, SPAN("x"));
            expects(s, l, "pong x");
        } else {
            works(s, l);
        }
        bool event = waits_for(s, has_event, l, 230);
        check(s, !event, "a connection that is kept while there is traffic", "an event");
    }
    works(s, l);
}

const struct conform_case broker_limit_cases[] = {
    {"pcp*/limits/connections-001", "One connection more than max-connections: 1011 Connection limit exceeded.",
     "pcp.md §9.1", "obs-60 pcp-int-18 obs-close-07", one_too_many, NULL, FIXTURE_LIMITS, false},
    {"pcp*/limits/connections-002", "max-connections 1: the second client is refused, the first is served.",
     "pcp.md §9.1", "obs-60 pcp-int-18", second_of_one, NULL, FIXTURE_ONE, false},
    {"pcp*/limits/connections-003", "At the limit a client cannot replace its own session.", "pcp.md §9.1",
     "obs-close-07", reconnect_at_the_limit, NULL, FIXTURE_ONE, false},
    {"pcp*/limits/connections-004", "A place that was left is free again.", "pcp.md §9.2", "obs-60",
     place_is_free_again, NULL, FIXTURE_ONE, false},
    {"pcp2/limits/size-001", "A message of max-message-size is taken.", "pcp.md §9.4", "obs-close-08", largest_message,
     NULL, FIXTURE_LIMITS, false},
    {"pcp*/limits/size-002", "A byte more: 1009.", "broker-observed.md Close codes", "obs-close-08", too_large, NULL,
     FIXTURE_LIMITS, false},
    {"pcp*/limits/size-003", "The limit holds for fragments together.", "pcp.md §9.4", "obs-close-08",
     too_large_in_fragments, NULL, FIXTURE_LIMITS, false},
    {"pcp*/limits/size-004", "A length of 1 TiB is refused when it is announced.", "pcp.md §9.4", "obs-close-08",
     announced_too_large, NULL, FIXTURE_LIMITS, false},
    {"pcp*/limits/idle-001", "No traffic for idle-timeout: 1001.", "pcp.md §9.3", "obs-close-04", idle_ends, NULL,
     FIXTURE_IDLE, false},
    {"pcp*/limits/idle-002", "Pings keep a connection.", "pcp.md §9.3", "obs-close-04", kept_alive, "ping",
     FIXTURE_IDLE, false},
    {"pcp*/limits/idle-003", "Messages keep a connection.", "pcp.md §9.3", "obs-close-04", kept_alive, NULL,
     FIXTURE_IDLE, false},
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
