#include "simulator/soak/sequence.h"

#include "base/mem.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { COLUMN = 190, ROW = 22, MARGIN = 110, TEXT_MAX = 160 };

struct entry {
    uint64_t at_us;
    char *from, *to; /* to NULL: a note at `from`; both NULL: across all */
    char *text;
    bool bad; /* a violation */
};

struct sequence {
    struct sim *sim;
    struct checks *checks;
    struct sim_watcher watcher;
    struct entry *ring;
    size_t keep, count, next;
    bool until_violation, full;
    size_t after, violations;
};

static void entry_clear(struct entry *e) {
    mem_free(e->from);
    mem_free(e->to);
    mem_free(e->text);
    *e = (struct entry){0};
}

static void add(struct sequence *s, const char *from, const char *to, const char *text, bool bad) {
    if (s->full) {
        return;
    }
    struct entry *e = &s->ring[s->next];
    entry_clear(e);
    *e = (struct entry){sim_now_us(s->sim), str_dup(from), str_dup(to), str_dup(text), bad};
    s->next = (s->next + 1) % s->keep;
    s->count += s->count < s->keep;
}

/* Violations become entries where they were found. */
static void look_for_violations(struct sequence *s) {
    while (s->violations < checks_violation_count(s->checks)) {
        const struct violation *v = checks_violation(s->checks, s->violations++);
        char *text = str_printf("invariant %d: %s", v->invariant, v->text);
        add(s, NULL, NULL, text, true);
        mem_free(text);
    }
    if (s->until_violation && s->violations != 0 && s->after-- == 0) {
        s->full = true;
    }
}

static void on_message(void *ctx, const struct checks_message *m) {
    struct sequence *s = ctx;
    add(s, m->from, m->to, m->text, false);
    look_for_violations(s);
}

static void on_event(void *ctx, const struct sim_event *e) {
    struct sequence *s = ctx;
    bool fault = e->kind == SIM_EVENT_NOTE && strncmp(e->text, "fault", 5) == 0;
    if (e->kind == SIM_EVENT_HOST) {
        add(s, e->host, NULL, e->text, false);
    } else if (fault) {
        add(s, NULL, NULL, e->text, false);
    }
}

struct sequence *sequence_start(struct sim *sim, struct checks *checks, size_t keep, bool until_violation,
                                size_t after) {
    struct sequence *s = mem_zalloc(sizeof(*s));
    s->sim = sim;
    s->checks = checks;
    s->keep = keep != 0 ? keep : SEQUENCE_KEEP;
    s->until_violation = until_violation;
    s->after = after;
    s->ring = mem_array(s->keep, sizeof(*s->ring));
    checks_on_message(checks, on_message, s);
    sim_watch(sim, &s->watcher, on_event, s);
    return s;
}

void sequence_end(struct sequence *s) {
    if (s == NULL) {
        return;
    }
    checks_on_message(s->checks, NULL, NULL);
    sim_unwatch(s->sim, &s->watcher);
    for (size_t i = 0; i < s->keep; i++) {
        entry_clear(&s->ring[i]);
    }
    mem_free(s->ring);
    mem_free(s);
}

/* ---- the page */

struct columns {
    const char *names[SEQUENCE_HOSTS_MAX];
    size_t count;
};

static const struct entry *entry_at(const struct sequence *s, size_t i) {
    return &s->ring[(s->next + s->keep - s->count + i) % s->keep];
}

/* The column of a host; those beyond the last column share it. */
static size_t column_of(struct columns *c, const char *name) {
    for (size_t i = 0; i < c->count; i++) {
        if (strcmp(c->names[i], name) == 0) {
            return i;
        }
    }
    if (c->count == SEQUENCE_HOSTS_MAX) {
        return c->count - 1;
    }
    c->names[c->count] = name;
    return c->count++;
}

static void escape(struct buf *out, const char *text) {
    size_t len = strlen(text);
    for (size_t i = 0; i < len && i < TEXT_MAX; i++) {
        unsigned char c = (unsigned char)text[i];
        if (c == '<' || c == '>' || c == '&' || c == '"') {
            buf_printf(out, "&#%u;", c);
        } else {
            buf_append_char(out, c >= ' ' && c < 127 ? (char)c : '.');
        }
    }
    if (len > TEXT_MAX) {
        buf_append_cstr(out, "...");
    }
}

static int x_of(size_t column) {
    return MARGIN + (int)column * COLUMN + COLUMN / 2;
}

static void write_label(struct buf *out, int x, int y, const char *anchor, const char *class, const char *text) {
    buf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"%s\" class=\"%s\">", x, y, anchor, class);
    escape(out, text);
    buf_append_cstr(out, "</text>\n");
}

static void write_entry(struct buf *out, struct columns *c, const struct entry *e, int y) {
    char time[32];
    snprintf(time, sizeof(time), "%" PRIu64 ".%06" PRIu64, e->at_us / 1000000, e->at_us % 1000000);
    write_label(out, MARGIN - 8, y, "end", "time", time);
    if (e->from == NULL) {
        write_label(out, MARGIN, y, "start", e->bad ? "bad" : "note", e->text);
        return;
    }
    int from = x_of(column_of(c, e->from));
    if (e->to == NULL) {
        write_label(out, from, y, "middle", "host", e->text);
        return;
    }
    int to = x_of(column_of(c, e->to));
    if (from == to) {
        to += COLUMN / 3;
    }
    buf_printf(out, "<line x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\" marker-end=\"url(#tip)\"/>\n", from, y, to, y);
    write_label(out, (from + to) / 2, y - 3, "middle", "message", e->text);
}

void sequence_write(const struct sequence *s, struct buf *html, const char *title) {
    struct columns c = {.count = 0};
    for (size_t i = 0; i < s->count; i++) {
        const struct entry *e = entry_at(s, i);
        if (e->from != NULL) {
            column_of(&c, e->from);
        }
        if (e->to != NULL) {
            column_of(&c, e->to);
        }
    }
    int height = ROW * ((int)s->count + 4), width = MARGIN + COLUMN * (int)(c.count != 0 ? c.count : 1) + 40;
    buf_append_cstr(html, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>");
    escape(html, title);
    buf_append_cstr(html, "</title>\n<style>body{font:13px sans-serif;margin:1em}svg{background:#fff}"
                          "line{stroke:#456;stroke-width:1}line.life{stroke:#ccc;stroke-dasharray:2 3}"
                          "text{font:10px monospace}.time{fill:#888}.note{fill:#a60}.host{fill:#c00;font-weight:bold}"
                          ".bad{fill:#fff;paint-order:stroke;stroke:#c00;stroke-width:6px;font-weight:bold}"
                          ".name{font-weight:bold}</style></head>\n<body><h1>");
    escape(html, title);
    buf_append_cstr(html, "</h1>\n<ul>\n");
    for (size_t i = 0; i < checks_violation_count(s->checks); i++) {
        const struct violation *v = checks_violation(s->checks, i);
        buf_printf(html, "<li>%" PRIu64 ".%06" PRIu64 " s, invariant %d (", v->at_us / 1000000, v->at_us % 1000000,
                   v->invariant);
        escape(html, checks_invariant(v->invariant));
        buf_append_cstr(html, "): ");
        escape(html, v->text);
        buf_append_cstr(html, "</li>\n");
    }
    buf_printf(
        html,
        "</ul>\n<svg width=\"%d\" height=\"%d\">\n<defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" "
        "markerWidth=\"7\" markerHeight=\"7\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" "
        "fill=\"#456\"/></marker></defs>\n",
        width, height);
    for (size_t i = 0; i < c.count; i++) {
        buf_printf(html, "<line class=\"life\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", x_of(i), ROW, x_of(i),
                   height);
        write_label(html, x_of(i), ROW - 6, "middle", "name", c.names[i]);
    }
    for (size_t i = 0; i < s->count; i++) {
        write_entry(html, &c, entry_at(s, i), ROW * ((int)i + 3));
    }
    buf_append_cstr(html, "</svg>\n</body></html>\n");
}
