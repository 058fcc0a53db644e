/* The activity service: who asked for which run on which node (rbac.md §15). One bundle a group of nodes, one event a
 * node; nobody waits for it, and a failure is only logged. */
#include "base/mem.h"
#include "orchestrator/services/internal.h"

enum { NODES_PER_BUNDLE = 1000 };

static json_t *read_nothing(struct ask *ask, const struct world_response *r, struct error *err) {
    if (r->err != NULL) {
        log_warn(ask->services->log, "the activity service does not answer: %s", r->err->msg);
    } else if (r->status >= 300) {
        log_warn(ask->services->log, "the activity service answered with status %d", r->status);
    }
    error_set(err, "activity/recorded", "nobody waits for this");
    return NULL;
}

/* Job numbers are printed with thousands separators, as the product does. */
static void append_number(struct buf *out, int64_t n) {
    char digits[24];
    int len = snprintf(digits, sizeof(digits), "%lld", (long long)n);
    for (int i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0) {
            buf_append_char(out, ',');
        }
        buf_append_char(out, digits[i]);
    }
}

static json_t *event_of(const struct services_activity *a, struct span node) {
    struct buf message = BUF_INIT;
    const char *task = a->task != NULL ? a->task : "";
    if (a->schedule != 0) {
        buf_printf(&message, "Scheduled job %lld request for %s %s on %.*s run via orchestrator job ",
                   (long long)a->schedule, a->deploy ? "Puppet" : task, a->deploy ? "agent" : "task", (int)node.len,
                   node.ptr);
        append_number(&message, a->job);
    } else if (a->deploy) {
        buf_printf(&message, "Request Puppet agent run on %.*s via orchestrator job ", (int)node.len, node.ptr);
        append_number(&message, a->job);
        buf_append_char(&message, '.');
    } else {
        buf_printf(&message, "Request %s task on %.*s via orchestrator job ", task, (int)node.len, node.ptr);
        append_number(&message, a->job);
    }
    struct buf description = BUF_INIT;
    buf_printf(&description, "request_%s_on_node", a->deploy ? "puppet_agent" : task);
    json_t *event = json_object();
    json_set(event, "what", json_string("node"));
    json_set(event, "type", json_string(a->deploy ? "puppet_agent" : "run_task"));
    json_set(event, "description", json_str_new(buf_span(&description)));
    json_set(event, "message", json_str_new(buf_span(&message)));
    buf_free(&description);
    buf_free(&message);
    return event;
}

static void send_bundle(struct services *s, const struct services_activity *a, const struct span *nodes, size_t count) {
    json_t *objects = json_array(), *events = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *object = json_object();
        json_set(object, "id", json_str_new(nodes[i]));
        json_set(object, "name", json_str_new(nodes[i]));
        json_set(object, "type", json_string("node"));
        json_array_append_new(objects, object);
        json_array_append_new(events, event_of(a, nodes[i]));
    }
    json_t *commit = json_pack("{s:{s:s}, s:{s:s, s:s}, s:o}", "service", "id", "orchestrator", "subject", "id",
                               a->subject_id, "name", a->subject_name, "objects", objects);
    json_t *body = json_pack("{s:o, s:o}", "commit", commit, "events", events);
    ask_start(s,
              &(struct ask_opts){.method = "POST",
                                 .url = str_printf("%s/v2/events", s->config->activity_url),
                                 .body = body,
                                 .read = read_nothing},
              NULL, NULL);
}

void services_record(struct services *s, const struct services_activity *a) {
    if (s->config->activity_url == NULL || a->subject_id == NULL || a->subject_name == NULL) {
        return;
    }
    for (size_t i = 0; i < a->node_count; i += NODES_PER_BUNDLE) {
        size_t count = a->node_count - i < NODES_PER_BUNDLE ? a->node_count - i : NODES_PER_BUNDLE;
        send_bundle(s, a, a->nodes + i, count);
    }
}
