/* See traffic.h. A message's number is in its id; pair i has the numbers i, i + pairs, i + 2 * pairs … */
#include "simulator/bench/traffic.h"

#include "base/mem.h"
#include "simulator/bench/process.h"
#include "world/real.h"

#include <stdio.h>
#include <string.h>

enum { NUMBER_DIGITS = 12, ID_LEN = 36, PATIENCE_S = 10, LOOK_MS = 200 };
static const char id_start[] = "dac0be9c-0000-4000-8000-"; /* hexadecimal, like every id; the number follows */

struct pair {
    struct buf message; /* of the sender's version, with a place for the number */
    size_t number_at;
    uint64_t next; /* number of its next message */
};

struct traffic {
    struct traffic_opts opts;
    struct pair *pairs;
    struct traffic_result *out;
    struct buf scratch;
    char *refusal; /* the broker's words */
    uint64_t moved_ns;
    /* closed loop */
    bool closed;
    uint64_t wanted; /* messages to send in all */
    /* open loop */
    uint64_t begin_ns, counted_from; /* the first number that counts */
    double interval_ns;
    struct timer look; /* closed loop: waits end, so that silence is noticed */
};

/* ---- messages */

static struct span number_text(uint64_t number, char text[NUMBER_DIGITS + 1]) {
    snprintf(text, NUMBER_DIGITS + 1, "%012llx", (unsigned long long)number & 0xffffffffffff);
    return (struct span){text, NUMBER_DIGITS};
}

static void encode(const struct traffic *t, size_t index, size_t padding, struct buf *out) {
    char id[ID_LEN + 1];
    struct buf data = BUF_INIT;
    snprintf(id, sizeof(id), "%s%012x", id_start, 0);
    buf_append_char(&data, '"');
    for (size_t i = 0; i < padding; i++) {
        buf_append_char(&data, (char)('a' + i % 26));
    }
    buf_append_char(&data, '"');
    struct pcp_message m = {
        .id = span_of(id),
        .message_type = SPAN("http://puppetlabs.com/rpc_blocking_response"),
        .target = span_of(load_uri(t->opts.to, t->opts.to_first + index)),
        .sender = span_of(load_uri(t->opts.from, t->opts.from_first + index)),
        .data = buf_span(&data),
        .expires_ms = world_wall_ms(load_world(t->opts.from)) + 24 * 3600 * 1000,
    };
    buf_clear(out);
    pcp_encode(load_version(t->opts.from), &m, out);
    buf_free(&data);
}

static void make_message(struct traffic *t, size_t index) {
    struct pair *p = &t->pairs[index];
    encode(t, index, 0, &p->message);
    const size_t bare = p->message.len;
    encode(t, index, t->opts.size > bare ? t->opts.size - bare : 0, &p->message);
    const ptrdiff_t at = span_find_span(buf_span(&p->message), span_of(id_start));
    p->number_at = (size_t)at + strlen(id_start);
}

struct traffic *traffic_new(const struct traffic_opts *opts) {
    struct traffic *t = mem_zalloc(sizeof(*t));
    t->opts = *opts;
    t->pairs = mem_array(opts->pairs, sizeof(*t->pairs));
    for (size_t i = 0; i < opts->pairs; i++) {
        make_message(t, i);
    }
    opts->from_inbox->traffic = t;
    opts->to_inbox->traffic = t;
    return t;
}

void traffic_free(struct traffic *t) {
    t->opts.from_inbox->traffic = NULL;
    t->opts.to_inbox->traffic = NULL;
    for (size_t i = 0; i < t->opts.pairs; i++) {
        buf_free(&t->pairs[i].message);
    }
    buf_free(&t->scratch);
    mem_free(t->pairs);
    mem_free(t->refusal);
    mem_free(t);
}

static void send_next(struct traffic *t, size_t index) {
    struct pair *p = &t->pairs[index];
    struct ws_peer *ws = load_peer(t->opts.from, t->opts.from_first + index);
    char text[NUMBER_DIGITS + 1];
    if (ws == NULL) {
        return; /* still_works() finds out */
    }
    memcpy(p->message.ptr + p->number_at, number_text(p->next, text).ptr, NUMBER_DIGITS);
    p->next += t->opts.pairs;
    t->out->sent++;
    const struct span bytes = buf_span(&p->message);
    ws_send(ws, pcp_is_text(load_version(t->opts.from)), &bytes, 1);
}

/* ---- arrivals */

static bool parse_number(struct span id, uint64_t *number) {
    *number = 0;
    if (id.len != ID_LEN || memcmp(id.ptr, id_start, sizeof(id_start) - 1) != 0) {
        return false;
    }
    for (size_t i = sizeof(id_start) - 1; i < ID_LEN; i++) {
        const char c = id.ptr[i];
        *number = *number << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

static void note_latency(struct traffic *t, uint64_t number, uint64_t now) {
    const uint64_t due = t->begin_ns + (uint64_t)((double)number * t->interval_ns);
    const uint64_t first = t->begin_ns + (uint64_t)((double)t->counted_from * t->interval_ns);
    const uint64_t took = now > due ? now - due : 0;
    const size_t bin = (size_t)((double)(due - first) / 1e9 / t->out->bin_seconds);
    histogram_record(&t->out->latency_ns, took);
    if (bin < TRAFFIC_BINS) {
        t->out->bin_received[bin]++;
        t->out->bin_max_ns[bin] = took > t->out->bin_max_ns[bin] ? took : t->out->bin_max_ns[bin];
    }
}

void traffic_on_message(void *inbox, size_t index, struct span payload) {
    struct traffic *t = ((struct traffic_inbox *)inbox)->traffic;
    struct pcp_message m;
    uint64_t number;
    (void)index;
    if (t == NULL || t->out == NULL) {
        return; /* late ones */
    }
    const enum pcp_version version = payload.len > 0 && payload.ptr[0] == '{' ? PCP_V2 : PCP_V1;
    const bool readable = pcp_decode(version, payload, PCP_AS_CLIENT, &m, &t->scratch, NULL);
    if (!readable || !parse_number(m.id, &number)) {
        t->out->errors++;
        mem_free(t->refusal);
        t->refusal = readable ? span_dup(m.data.len > 0 ? m.data : m.message_type) : str_dup("a malformed message");
        return;
    }
    const uint64_t now = clock_ns();
    t->moved_ns = now;
    if (t->closed) {
        t->out->received++;
        if (t->out->sent < t->wanted) {
            send_next(t, (size_t)(number % t->opts.pairs));
        }
    } else if (number >= t->counted_from) {
        t->out->received++;
        note_latency(t, number, now);
    }
}

static bool still_works(const struct traffic *t, struct error *err) {
    const struct load *both[] = {t->opts.from, t->opts.to};
    for (size_t i = 0; i < 2; i++) {
        if (load_counts(both[i]).lost > 0) {
            return error_set(err, "bench", "the broker ended a connection: %s", load_trouble(both[i]));
        }
    }
    if (t->out->errors > 0) {
        return error_set(err, "bench", "the broker does not pass messages on: %s", t->refusal);
    }
    return true;
}

/* ---- closed loop */

static void start(struct traffic *t, struct traffic_result *out) {
    memset(out, 0, sizeof(*out));
    histogram_clear(&out->latency_ns);
    t->out = out;
    t->moved_ns = clock_ns();
    for (size_t i = 0; i < t->opts.pairs; i++) {
        t->pairs[i].next = i;
    }
}

static void finish(struct traffic *t, double seconds) {
    t->out->seconds = seconds;
    t->out->per_second = seconds > 0 ? (double)t->out->received / seconds : 0;
    t->out = NULL;
}

static void look_again(void *ctx) {
    struct traffic *t = ctx;
    world_timer_start(load_world(t->opts.to), &t->look, LOOK_MS, look_again, t);
}

bool traffic_closed(struct traffic *t, uint64_t messages, size_t window, struct traffic_result *out,
                    struct error *err) {
    start(t, out);
    t->closed = true;
    t->wanted = messages;
    const uint64_t begin = clock_ns();
    for (size_t i = 0; i < window; i++) {
        for (size_t pair = 0; pair < t->opts.pairs && out->sent < messages; pair++) {
            send_next(t, pair);
        }
    }
    bool ok = true;
    look_again(t);
    while (ok && out->received < messages) {
        real_world_turn(load_world(t->opts.to), true);
        ok = still_works(t, err);
        if (ok && clock_ns() - t->moved_ns > (uint64_t)PATIENCE_S * 1000000000) {
            ok = error_set(err, "bench", "%llu of %llu messages did not arrive",
                           (unsigned long long)(out->sent - out->received), (unsigned long long)out->sent);
        }
    }
    world_timer_stop(load_world(t->opts.to), &t->look);
    finish(t, (double)(clock_ns() - begin) / 1e9);
    return ok;
}

/* ---- open loop */

static void send_due(struct traffic *t, uint64_t *number, uint64_t last, uint64_t now) {
    while (*number < last && (double)*number * t->interval_ns <= (double)(now - t->begin_ns)) {
        send_next(t, (size_t)(*number % t->opts.pairs));
        (*number)++;
    }
}

bool traffic_open(struct traffic *t, double per_second, uint64_t warm_ms, uint64_t for_ms, struct traffic_result *out,
                  struct error *err) {
    start(t, out);
    t->closed = false;
    t->interval_ns = 1e9 / per_second;
    t->counted_from = (uint64_t)(per_second * (double)warm_ms / 1000);
    const uint64_t last = (uint64_t)(per_second * (double)(warm_ms + for_ms) / 1000);
    out->bin_seconds = (double)for_ms / 1000 / TRAFFIC_BINS;
    t->begin_ns = clock_ns();
    t->moved_ns = t->begin_ns;
    uint64_t number = 0, now = t->begin_ns;
    bool ok = true;
    /* Turns without waiting: the loop's timers are too coarse to send each message when it is due. */
    while (ok && (number < last || out->received < last - t->counted_from)) {
        send_due(t, &number, last, now);
        real_world_turn(load_world(t->opts.to), false);
        now = clock_ns();
        ok = still_works(t, err);
        if (number == last && now - t->moved_ns > (uint64_t)PATIENCE_S * 1000000000) {
            break; /* the rest is missing */
        }
    }
    out->sent = last - t->counted_from;
    finish(t, (double)for_ms / 1000);
    return ok;
}
