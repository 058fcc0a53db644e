/* See reports.h. */
#include "simulator/fleet/reports.h"

#include "base/mem.h"

struct report {
    struct list_link link;
    struct reports *all;
    enum reports_command command;
    struct world_fetch *fetch; /* NULL while it waits */
    char *url, *text;
};

struct reports {
    struct world *world;
    struct world_tls *tls;
    char *url;
    struct list waiting, sending;
    uint64_t sent[REPORTS_COMMANDS], failed[REPORTS_COMMANDS];
    char *last_error;
};

/* Each with a version of its own. */
static const struct {
    const char *name;
    int version;
} commands[REPORTS_COMMANDS] = {{"store_report", 8}, {"replace_facts", 5}, {"deactivate_node", 3}};

struct reports *reports_new(struct world *w, const char *url, struct world_tls *tls) {
    struct reports *r = mem_zalloc(sizeof(*r));
    r->world = w;
    r->tls = tls;
    r->url = str_dup(url);
    list_init(&r->waiting);
    list_init(&r->sending);
    return r;
}

static void report_free(struct report *p) {
    mem_free(p->url);
    mem_free(p->text);
    mem_free(p);
}

void reports_free(struct reports *r) {
    if (r == NULL) {
        return;
    }
    struct list_link *k;
    while ((k = list_pop_front(&r->waiting)) != NULL) {
        report_free(LIST_ITEM(k, struct report, link));
    }
    while ((k = list_pop_front(&r->sending)) != NULL) {
        struct report *p = LIST_ITEM(k, struct report, link);
        world_fetch_cancel(p->fetch);
        report_free(p);
    }
    mem_free(r->last_error);
    mem_free(r->url);
    mem_free(r);
}

static void send_some(struct reports *r);

static void on_sent(void *ctx, const struct world_response *response) {
    struct report *p = ctx;
    struct reports *r = p->all;
    if (response->err == NULL && response->status == 200) {
        r->sent[p->command]++;
    } else {
        r->failed[p->command]++;
        mem_free(r->last_error);
        r->last_error = response->err != NULL ? str_printf("%s: %s", r->url, response->err->msg)
                                              : str_printf("%s: %s was answered with %d", r->url,
                                                           commands[p->command].name, response->status);
    }
    list_remove(&r->sending, &p->link);
    report_free(p);
    send_some(r);
}

static void send_some(struct reports *r) {
    static const struct world_header header = {"Content-Type", "application/json"};
    while (r->sending.count < REPORTS_AT_ONCE && !list_empty(&r->waiting)) {
        struct report *p = LIST_ITEM(list_pop_front(&r->waiting), struct report, link);
        list_push_back(&r->sending, &p->link);
        struct world_fetch_opts opts = {.method = "POST",
                                        .url = p->url,
                                        .headers = &header,
                                        .header_count = 1,
                                        .body = span_of(p->text),
                                        .tls = r->tls};
        p->fetch = world_fetch(r->world, &opts, on_sent, p);
    }
}

void reports_send(struct reports *r, enum reports_command command, const char *certname, const json_t *payload) {
    if (r->waiting.count >= REPORTS_WAITING_MAX) {
        r->failed[command]++;
        return;
    }
    struct report *p = mem_zalloc(sizeof(*p));
    p->all = r;
    p->command = command;
    p->text = json_text(payload);
    const char *time = json_str(payload, "producer_timestamp");
    p->url = str_printf("%s/pdb/cmd/v1?command=%s&version=%d&certname=%s&producer-timestamp=%s", r->url,
                        commands[command].name, commands[command].version, certname, time != NULL ? time : "");
    list_push_back(&r->waiting, &p->link);
    send_some(r);
}

struct reports_counts reports_counts(const struct reports *r) {
    struct reports_counts c = {.waiting = r->waiting.count + r->sending.count};
    for (size_t i = 0; i < REPORTS_COMMANDS; i++) {
        c.sent[i] = r->sent[i];
        c.failed[i] = r->failed[i];
    }
    return c;
}

const char *reports_last_error(const struct reports *r) {
    return r->last_error;
}
