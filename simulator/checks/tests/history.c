#include "simulator/checks/tests/history.h"

#include "base/mem.h"
#include "wire/ws_frame.h"

void history_start(struct history *h, const struct checks_opts *opts) {
    *h = (struct history){.sim = sim_new(&(struct sim_opts){.seed = 1}), .next_id = 100};
    sim_host(h->sim, "orchestrator");
    sim_host(h->sim, "broker-1");
    h->c = checks_new(h->sim, opts);
}

void history_end(struct history *h) {
    checks_free(h->c);
    sim_free(h->sim);
}

void history_expect(struct history *h, ...) {
    va_list args;
    size_t i = 0;
    int invariant;
    va_start(args, h);
    while ((invariant = va_arg(args, int)) != 0) {
        if (i >= checks_violation_count(h->c)) {
            fail_msg("violation %zu of invariant %d was not found", i, invariant);
        }
        const struct violation *v = checks_violation(h->c, i++);
        if (v->invariant != invariant) {
            fail_msg("invariant %d instead of %d: %s", v->invariant, invariant, v->text);
        }
    }
    va_end(args);
    if (i < checks_violation_count(h->c)) {
        fail_msg("one too many, invariant %d: %s", checks_violation(h->c, i)->invariant,
                 checks_violation(h->c, i)->text);
    }
    history_end(h);
}

void history_clean(struct history *h) {
    checks_finish(h->c);
    history_expect(h, 0);
}

void history_event(struct history *h, const char *host, enum sim_event_kind kind, uint64_t id, bool server_end,
                   const char *text, struct span bytes) {
    observe(h->c, &(struct sim_event){sim_now_us(h->sim), host, kind, id, server_end, text, bytes});
}

/* ---- the API */

void history_api(struct history *h, const char *method, const char *target, const char *body, int status,
                 const char *answer) {
    uint64_t id = ++h->next_id;
    char *request = str_printf("%s %s HTTP/1.1\r\nHost: orchestrator\r\nX-Authentication: token\r\n"
                               "Content-Length: %zu\r\n\r\n%s",
                               method, target, strlen(body), body);
    char *response =
        str_printf("HTTP/1.1 %d Whatever\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", status,
                   strlen(answer), answer);
    history_event(h, "client", SIM_EVENT_CONNECT, id, false, "orchestrator:8143", SPAN(""));
    history_event(h, "orchestrator", SIM_EVENT_ACCEPT, id, true, "", SPAN(""));
    history_event(h, "orchestrator", SIM_EVENT_DATA, id, true, "", span_of(request));
    history_event(h, "orchestrator", SIM_EVENT_WRITE, id, true, "", span_of(response));
    struct span all = span_of(response); /* arrives in pieces */
    history_event(h, "client", SIM_EVENT_DATA, id, false, "", span_sub(all, 0, 30));
    history_event(h, "client", SIM_EVENT_DATA, id, false, "", span_sub(all, 30, all.len));
    history_event(h, "client", SIM_EVENT_CLOSE, id, false, "eof: ", SPAN(""));
    history_event(h, "orchestrator", SIM_EVENT_CLOSE, id, true, "local: ", SPAN(""));
    mem_free(request);
    mem_free(response);
}

void history_task(struct history *h, const char *job, const char *nodes) {
    char *body = str_printf("{\"task\": \"echo\", \"params\": {}, \"scope\": {\"nodes\": [%s]}}", nodes);
    char *answer = str_printf(
        "{\"job\": {\"id\": \"https://orchestrator:8143/orchestrator/v1/jobs/%s\", \"name\": \"%s\"}}", job, job);
    history_api(h, "POST", "/orchestrator/v1/command/task", body, 202, answer);
    mem_free(body);
    mem_free(answer);
}

void history_job(struct history *h, const char *job, const char *state) {
    char *target = str_printf("/orchestrator/v1/jobs/%s", job);
    char *answer = str_printf(
        "{\"name\": \"%s\", \"state\": \"%s\", \"type\": \"task\", \"options\": {\"concurrency\": 2}}", job, state);
    history_api(h, "GET", target, "", 200, answer);
    mem_free(target);
    mem_free(answer);
}

void history_nodes(struct history *h, const char *job, const char *nodes) {
    struct buf answer = BUF_INIT;
    struct span rest = span_of(nodes), part, name;
    buf_append_cstr(&answer, "{\"items\": [");
    for (bool first = true; span_split(&rest, ' ', &part); first = false) {
        span_split(&part, ':', &name);
        buf_printf(&answer, "%s{\"name\": \"%.*s\", \"state\": \"%.*s\"}", first ? "" : ", ", (int)name.len, name.ptr,
                   (int)part.len, part.ptr);
    }
    buf_append_cstr(&answer, "]}");
    char *target = str_printf("/orchestrator/v1/jobs/%s/nodes", job);
    history_api(h, "GET", target, "", 200, answer.ptr);
    mem_free(target);
    buf_free(&answer);
}

void history_events(struct history *h, const char *job, uint64_t start, const char *events, uint64_t next) {
    struct buf answer = BUF_INIT;
    struct span rest = *events != '\0' ? span_of(events) : (struct span){NULL, 0}, part, id, type;
    buf_append_cstr(&answer, "{\"items\": [");
    for (bool first = true; span_split(&rest, ' ', &part); first = false) {
        span_split(&part, ':', &id);
        span_split(&part, ':', &type);
        buf_printf(&answer, "%s{\"id\": \"%.*s\", \"type\": \"%.*s\", \"details\": {%s%.*s%s}}", first ? "" : ", ",
                   (int)id.len, id.ptr, (int)type.len, type.ptr, part.len != 0 ? "\"node\": \"" : "", (int)part.len,
                   part.len != 0 ? part.ptr : "", part.len != 0 ? "\"" : "");
    }
    buf_printf(&answer, "], \"next-events\": {\"event\": \"%llu\"}}", (unsigned long long)next);
    char *target = str_printf("/orchestrator/v1/jobs/%s/events?start=%llu", job, (unsigned long long)start);
    history_api(h, "GET", target, "", 200, answer.ptr);
    mem_free(target);
    buf_free(&answer);
}

void history_whole_job(struct history *h, const char *job, uint64_t first) {
    unsigned long long id = first;
    char *events = str_printf("%llu:node_running:a %llu:node_finished:a %llu:job_finished", id, id + 1, id + 2);
    history_task(h, job, "\"a\"");
    history_job(h, job, "finished");
    history_nodes(h, job, "a:finished");
    history_events(h, job, 0, events, id + 3);
    mem_free(events);
}

/* ---- the broker */

uint64_t history_connect(struct history *h, const char *name) {
    uint64_t id = ++h->next_id;
    history_event(h, name, SIM_EVENT_CONNECT, id, false, "broker-1:8142", SPAN(""));
    return id;
}

void history_accept(struct history *h, uint64_t id, const char *name, const char *type) {
    const struct sim_certificate *cert = sim_issue(h->sim, &(struct sim_certificate_opts){.common_name = name});
    char *request =
        str_printf("GET /pcp2/%s HTTP/1.1\r\nHost: broker-1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n",
                   type);
    struct span response =
        SPAN("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
    history_event(h, "broker-1", SIM_EVENT_ACCEPT, id, true, sim_certificate_identity(cert)->serial, SPAN(""));
    history_event(h, "broker-1", SIM_EVENT_DATA, id, true, "", span_of(request));
    history_event(h, "broker-1", SIM_EVENT_WRITE, id, true, "", response);
    history_event(h, name, SIM_EVENT_DATA, id, false, "", response);
    mem_free(request);
}

uint64_t history_client(struct history *h, const char *name, const char *type) {
    uint64_t id = history_connect(h, name);
    history_accept(h, id, name, type);
    return id;
}

void history_close(struct history *h, uint64_t connection) {
    history_event(h, "x", SIM_EVENT_CLOSE, connection, false, "reset: ", SPAN(""));
    history_event(h, "broker-1", SIM_EVENT_CLOSE, connection, true, "reset: ", SPAN(""));
}

void history_message(struct history *h, uint64_t connection, enum history_place place, const char *id,
                     const char *sender, const char *target, const char *type, const char *in_reply_to) {
    struct pcp_message m = {.id = span_of(id),
                            .sender = span_of(sender),
                            .target = span_of(target),
                            .message_type = span_of(type),
                            .in_reply_to = span_of(in_reply_to),
                            .data = strcmp(type, PCP_ERROR_MESSAGE) == 0 ? SPAN("\"no\"") : SPAN("{}")};
    struct buf payload = BUF_INIT, frame = BUF_INIT;
    pcp_encode(PCP_V2, &m, &payload);
    struct ws_frame_head head = {
        .fin = true, .opcode = WS_OP_TEXT, .masked = place == TO_BROKER, .length = payload.len};
    uint8_t bytes[WS_HEAD_MAX];
    buf_append(&frame, bytes, ws_head_encode(bytes, &head)); /* a mask of zeros */
    buf_append_span(&frame, buf_span(&payload));
    history_event(h, place == AT_CLIENT_END ? "x" : "broker-1", place == FROM_BROKER ? SIM_EVENT_WRITE : SIM_EVENT_DATA,
                  connection, place != AT_CLIENT_END, "", buf_span(&frame));
    buf_free(&payload);
    buf_free(&frame);
}
