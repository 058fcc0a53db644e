/* A connection's two ordered streams: latency, bandwidth, loss, cuts, and what is met by a reset. */
#include "simulator/world/net.h"

#include "base/mem.h"
#include <string.h>

static const uint64_t RETRANSMIT_FIRST_US = 200 * SIM_MS; /* TCP's first time-out on Linux, doubled each time … */
static const uint64_t RETRANSMIT_MOST_US = 120 * SIM_SECOND;
static const uint64_t GIVE_UP_US = 924 * SIM_SECOND; /* … until it gives up (tcp_retries2 = 15) */
static const size_t SEGMENT_MAX = 16384;             /* a TLS record */

static void arm(struct pipe *p);

struct channel *channel_new(struct sim_host *client, struct sim_host *server, uint16_t port) {
    struct channel *ch = mem_zalloc(sizeof(*ch));
    struct sim *sim = client->sim;
    ch->sim = sim;
    ch->id = ++sim->connections_made;
    ch->hosts[0] = client;
    ch->hosts[1] = server;
    ch->port = port;
    for (unsigned to = 0; to < 2; to++) {
        struct pipe *p = &ch->pipes[to];
        p->channel = ch;
        p->to = to;
        p->rng = rng_derive(sim->seed ^ ch->id, to == 0 ? "pipe to client" : "pipe to server", client->name);
    }
    sim->connections_open++;
    return ch;
}

static void pipe_clear(struct pipe *p) {
    struct channel *ch = p->channel;
    for (struct segment *s = p->first, *next; s != NULL; s = next) {
        next = s->next;
        mem_free(s);
    }
    p->first = p->last = NULL;
    sim_inbox_stop(ch->hosts[p->to], &p->arrival);
    sim_inbox_stop(ch->hosts[!p->to], &p->give_up);
    list_remove(&ch->sim->stalled, &p->stalled);
}

static void free_when_unused(struct channel *ch) {
    if (ch->busy != 0 || ch->ends[0] != NULL || ch->ends[1] != NULL) {
        return;
    }
    /* A SYN on its way has no server end yet, but then its client end is there. */
    pipe_clear(&ch->pipes[0]);
    pipe_clear(&ch->pipes[1]);
    tls_state_unref(ch->server_tls);
    ch->sim->connections_open--;
    mem_free(ch);
}

void channel_detach(struct channel *ch, unsigned end) {
    ch->ends[end] = NULL;
    /* Nobody is left who would hear that its bytes never arrived. */
    sim_inbox_stop(ch->hosts[end], &ch->pipes[!end].give_up);
    arm(&ch->pipes[end]); /* what still arrives is met by a reset */
    free_when_unused(ch);
}

size_t channel_room(const struct channel *ch, unsigned from, size_t len) {
    const struct pipe *p = &ch->pipes[!from];
    size_t room = p->in_flight >= ch->sim->window ? 0 : ch->sim->window - p->in_flight;
    size_t least = ch->sim->window / 2 < SEGMENT_MAX ? ch->sim->window / 2 : SEGMENT_MAX;
    /* Like TCP: no crumbs into a full window. Each would make room for one more as small, or smaller. */
    return len <= room ? len : room >= least ? room : 0;
}

/* ---- sending */

static const struct sim_link *link_of(struct pipe *p) {
    struct channel *ch = p->channel;
    if (p->link_version != ch->sim->link_version) {
        p->link = sim_link_between(ch->sim, ch->hosts[!p->to], ch->hosts[p->to]);
        p->link_version = ch->sim->link_version;
    }
    return p->link;
}

static bool passes(struct pipe *p) {
    return !link_of(p)->cut && !p->channel->hosts[p->to]->down && !p->channel->hosts[!p->to]->down;
}

static void give_up(void *ctx) {
    struct pipe *p = ctx;
    struct sim_conn *sender = p->channel->ends[!p->to];
    conn_end(sender, WORLD_CLOSE_RESET, "connection timed out");
}

static void stall(struct pipe *p) {
    struct channel *ch = p->channel;
    if (list_linked(&p->stalled)) {
        return;
    }
    list_push_back(&ch->sim->stalled, &p->stalled);
    p->stalled_since_us = ch->sim->now_us;
    if (ch->ends[!p->to] != NULL) {
        sim_inbox_start(ch->hosts[!p->to], &p->give_up, GIVE_UP_US, give_up, p);
    }
}

/* The extra time a segment takes because it (or its repetition) was lost. */
static uint64_t lost_for_us(struct pipe *p, uint32_t ppm) {
    uint64_t lost_us = 0;
    uint64_t wait_us = RETRANSMIT_FIRST_US;
    while (rng_chance(&p->rng, ppm) && lost_us < GIVE_UP_US) {
        lost_us += wait_us;
        wait_us = wait_us * 2 < RETRANSMIT_MOST_US ? wait_us * 2 : RETRANSMIT_MOST_US;
    }
    return lost_us;
}

static uint64_t travels_for_us(struct pipe *p, const struct sim_link *link) {
    uint64_t us = dist_draw(&link->latency_us, &p->rng) + lost_for_us(p, link->loss_ppm);
    if (link->late_us != 0 && rng_chance(&p->rng, link->late_ppm)) {
        us += rng_between(&p->rng, 1, link->late_us);
    }
    return us;
}

/* Decides when a segment that leaves not before from_us arrives. */
static void launch(struct pipe *p, struct segment *s, uint64_t from_us) {
    const struct sim_link *link = link_of(p);
    if (s->kind == SEGMENT_DATA) {
        if (rng_chance(&p->rng, link->reset_ppm)) {
            s->kind = SEGMENT_RESET;
        } else if (rng_chance(&p->rng, link->corrupt_ppm)) {
            if (p->channel->server_tls != NULL) {
                s->kind = SEGMENT_CORRUPT;
            } else {
                from_us += RETRANSMIT_FIRST_US;
            }
        }
    }
    uint64_t leaves_us = from_us > p->line_free_us ? from_us : p->line_free_us;
    if (link->bytes_per_s != 0) {
        leaves_us += s->len * SIM_SECOND / link->bytes_per_s;
    }
    p->line_free_us = leaves_us;
    uint64_t arrive_us = leaves_us + travels_for_us(p, link);
    if (rng_chance(&p->rng, link->duplicate_ppm)) { /* the copy goes right behind it */
        p->line_free_us += link->bytes_per_s != 0 ? s->len * SIM_SECOND / link->bytes_per_s : 0;
        uint64_t copy_us = p->line_free_us + travels_for_us(p, link);
        arrive_us = copy_us < arrive_us ? copy_us : arrive_us;
    }
    s->arrive_us = arrive_us > p->last_arrive_us ? arrive_us : p->last_arrive_us;
    p->last_arrive_us = s->arrive_us;
}

static void push(struct pipe *p, enum segment_kind kind, struct span bytes) {
    struct segment *s = mem_alloc(sizeof(*s) + bytes.len);
    s->next = NULL;
    s->kind = kind;
    s->len = bytes.len;
    if (bytes.len != 0) {
        memcpy(s->bytes, bytes.ptr, bytes.len);
    }
    if (p->last != NULL) {
        p->last->next = s;
    } else {
        p->first = s;
    }
    p->last = s;
    p->in_flight += s->len;
    if (list_linked(&p->stalled) || !passes(p)) {
        s->arrive_us = UINT64_MAX;
        stall(p);
    } else {
        launch(p, s, p->channel->sim->now_us);
    }
    if (p->first == s) {
        arm(p);
    }
}

void channel_send(struct channel *ch, unsigned from, enum segment_kind kind, struct span bytes) {
    struct pipe *p = &ch->pipes[!from];
    if (kind == SEGMENT_DATA && bytes.len > 1 && rng_chance(&p->rng, link_of(p)->split_ppm)) {
        size_t cut = rng_between(&p->rng, 1, bytes.len - 1);
        push(p, kind, span_sub(bytes, 0, cut));
        bytes = span_sub(bytes, cut, bytes.len);
    }
    while (bytes.len > SEGMENT_MAX) {
        push(p, kind, span_sub(bytes, 0, SEGMENT_MAX));
        bytes = span_sub(bytes, SEGMENT_MAX, bytes.len);
    }
    push(p, kind, bytes);
}

/* ---- arriving */

/* Nobody is there to take it. */
static void met_by_reset(struct channel *ch, unsigned end, enum segment_kind kind) {
    if ((kind == SEGMENT_DATA || kind == SEGMENT_CORRUPT || kind == SEGMENT_CLIENT_HELLO ||
         kind == SEGMENT_CLIENT_FLIGHT) &&
        ch->ends[!end] != NULL) {
        channel_send(ch, end, SEGMENT_RESET, SPAN(""));
    }
}

static void arrive(void *ctx) {
    struct pipe *p = ctx;
    struct channel *ch = p->channel;
    if (ch->hosts[p->to]->down) { /* lost: TCP repeats it until there is power again */
        for (struct segment *s = p->first; s != NULL; s = s->next) {
            s->arrive_us = UINT64_MAX;
        }
        stall(p);
        return;
    }
    struct segment *s = p->first;
    p->first = s->next;
    if (p->first == NULL) {
        p->last = NULL;
    }
    p->in_flight -= s->len;
    ch->busy++;
    if (s->len != 0 && ch->ends[!p->to] != NULL) {
        conn_pump(ch->ends[!p->to]);
    }
    if (s->kind == SEGMENT_SYN) {
        listener_syn(ch);
    } else if (ch->ends[p->to] != NULL) {
        conn_segment(ch->ends[p->to], s);
    } else {
        met_by_reset(ch, p->to, s->kind);
    }
    mem_free(s);
    ch->busy--;
    arm(p);
    free_when_unused(ch);
}

/* The receiving host's next event for this pipe. */
static void arm(struct pipe *p) {
    struct channel *ch = p->channel;
    struct sim_host *h = ch->hosts[p->to];
    const struct segment *s = p->first;
    const struct sim_conn *receiver = ch->ends[p->to];
    if (s == NULL || s->arrive_us == UINT64_MAX || (receiver != NULL && !conn_reads(receiver))) {
        if (p->arrival.place != 0) {
            sim_inbox_stop(h, &p->arrival);
        }
        return;
    }
    if (p->arrival.place == 0) {
        uint64_t now_us = ch->sim->now_us;
        sim_inbox_start(h, &p->arrival, s->arrive_us > now_us ? s->arrive_us - now_us : 0, arrive, p);
    }
}

void channel_unread(struct channel *ch, unsigned end, enum segment_kind kind, struct span bytes) {
    struct pipe *p = &ch->pipes[end];
    struct segment *s = mem_alloc(sizeof(*s) + bytes.len);
    *s = (struct segment){.next = p->first, .arrive_us = ch->sim->now_us, .kind = kind, .len = bytes.len};
    memcpy(s->bytes, bytes.ptr, bytes.len);
    p->first = s;
    p->last = p->last != NULL ? p->last : s;
    p->in_flight += s->len;
    sim_inbox_stop(ch->hosts[end], &p->arrival);
    arm(p);
}

void channel_resume(struct channel *ch, unsigned end) {
    arm(&ch->pipes[end]);
}

/* ---- after a cut */

/* TCP's next attempt at or after now, having tried since `since`. */
static uint64_t next_attempt(uint64_t since_us, uint64_t now_us) {
    uint64_t at = since_us;
    for (uint64_t wait_us = RETRANSMIT_FIRST_US; at < now_us;) {
        at += wait_us;
        wait_us = wait_us * 2 < RETRANSMIT_MOST_US ? wait_us * 2 : RETRANSMIT_MOST_US;
    }
    return at;
}

static void retry(struct pipe *p) {
    struct sim *sim = p->channel->sim;
    list_remove(&sim->stalled, &p->stalled);
    sim_inbox_stop(p->channel->hosts[!p->to], &p->give_up);
    uint64_t from_us = next_attempt(p->stalled_since_us, sim->now_us);
    for (struct segment *s = p->first; s != NULL; s = s->next) {
        if (s->arrive_us == UINT64_MAX) {
            launch(p, s, from_us);
        }
    }
    arm(p);
}

void sim_net_links_changed(struct sim *sim) {
    LIST_EACH_SAFE (k, next, &sim->stalled) {
        struct pipe *p = LIST_ITEM(k, struct pipe, stalled);
        if (passes(p)) {
            retry(p);
        }
    }
}

void sim_net_power_on(struct sim_host *h) {
    sim_net_links_changed(h->sim);
}
