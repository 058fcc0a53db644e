/* See reports.h. */
#include "simulator/fleet/reports.h"

#include "base/mem.h"
#include "net/http_line.h"
#include "wire/percent.h"

struct report {
    struct list_link link;
    struct reports *all;
    enum reports_command command;
    char *target, *text;
};

struct reports {
    char *url;
    struct http_line *lines[REPORTS_LINES];
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
    r->url = str_dup(url);
    for (size_t i = 0; i < REPORTS_LINES; i++) {
        r->lines[i] = http_line_new(w, url, tls, 0);
    }
    list_init(&r->waiting);
    list_init(&r->sending);
    return r;
}

static void report_free(struct report *p) {
    mem_free(p->target);
    mem_free(p->text);
    mem_free(p);
}

void reports_free(struct reports *r) {
    if (r == NULL) {
        return;
    }
    for (size_t i = 0; i < REPORTS_LINES; i++) {
        http_line_free(r->lines[i]);
    }
    struct list *const all[] = {&r->waiting, &r->sending};
    for (size_t i = 0; i < 2; i++) {
        for (struct list_link *k; (k = list_pop_front(all[i])) != NULL;) {
            report_free(LIST_ITEM(k, struct report, link));
        }
    }
    mem_free(r->last_error);
    mem_free(r->url);
    mem_free(r);
}

static void send_some(struct reports *r);

static void on_sent(void *ctx, const struct error *err, int status) {
    struct report *p = ctx;
    struct reports *r = p->all;
    if (err == NULL && status == 200) {
        r->sent[p->command]++;
    } else {
        r->failed[p->command]++;
        mem_free(r->last_error);
        r->last_error = err != NULL
                            ? str_printf("%s: %s", r->url, err->msg)
                            : str_printf("%s: %s was answered with %d", r->url, commands[p->command].name, status);
    }
    list_remove(&r->sending, &p->link);
    report_free(p);
    send_some(r);
}

/* The first line that is not full: what is sent in one turn of the loop goes together. */
static struct http_line *free_line(const struct reports *r) {
    for (size_t i = 0; i < REPORTS_LINES; i++) {
        if (http_line_waiting(r->lines[i]) < REPORTS_ON_A_LINE) {
            return r->lines[i];
        }
    }
    return NULL;
}

static void send_some(struct reports *r) {
    struct http_line *line;
    while (!list_empty(&r->waiting) && (line = free_line(r)) != NULL) {
        struct report *p = LIST_ITEM(list_pop_front(&r->waiting), struct report, link);
        list_push_back(&r->sending, &p->link);
        http_line_post(line, &(struct http_line_request){.target = p->target,
                                                         .content_type = "application/json",
                                                         .body = span_of(p->text),
                                                         .done = on_sent,
                                                         .ctx = p});
    }
}

static char *target_of(enum reports_command command, const char *certname, const char *time) {
    struct buf out = BUF_INIT;
    buf_printf(&out, "/pdb/cmd/v1?command=%s&version=%d&certname=", commands[command].name, commands[command].version);
    percent_encode(&out, span_of(certname));
    buf_append_cstr(&out, "&producer-timestamp=");
    percent_encode(&out, span_of(time));
    return buf_take(&out);
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
    p->target = target_of(command, certname, json_str(payload, "producer_timestamp"));
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
