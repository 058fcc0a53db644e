/* What a text that is no PQL should have had, and where: PuppetDB's error text, expectation by expectation.
 *
 * PuppetDB parses with a general (GLL) parser: every part that could fit at a place is tried, and whoever waits for it
 * is told each place where it can end. The expectations printed are those of the furthest place that anything was tried
 * at, in the order they were tried. So this file does the same: parts at places ("nodes"), listeners waiting on them, a
 * stack of things to do, last first. Only the shape matters here, so one end is told once, however it was reached. */
#include "base/mem.h"
#include "grammar.h"
#include "pql.h"
#include <assert.h>
#include <string.h>

/* Who waits for a part to end somewhere. */
enum listener_kind { HEAR_TOP, HEAR_FORWARD, HEAR_SEQUENCE, HEAR_REPEAT, HEAR_FORBIDDEN };

struct node;

struct listener {
    enum listener_kind kind;
    bool to_end; /* the whole must reach the end of the text */
    bool told;   /* HEAR_FORBIDDEN: has failed already */
    int next;    /* HEAR_SEQUENCE: the kid to come */
    size_t from; /* HEAR_REPEAT: where the last round began */
    struct node *owner;
    size_t *heard; /* ends it was told */
    size_t heard_count, heard_cap;
};

/* A part at a place. */
struct node {
    size_t at;
    int part;
    struct node *next_in_slot;
    struct listener **listeners, **end_listeners;
    size_t listener_count, listener_cap, end_listener_count, end_listener_cap;
    size_t *ends;
    size_t end_count, end_cap;
    bool reaches_end; /* one of the ends is that of the text; it is not in `ends` */
};

enum job_kind { JOB_TRY, JOB_TRY_TO_END, JOB_TELL };

struct job {
    enum job_kind kind;
    struct node *node;         /* JOB_TRY… */
    struct listener *listener; /* JOB_TELL */
    size_t end;
};

struct expectation {
    char *text;
    bool at_end; /* printed with "(followed by end-of-string)" */
};

struct search {
    const struct grammar *grammar;
    struct span text;
    struct node **slots;
    size_t slot_count, node_count;
    struct listener **all_listeners;
    size_t listener_count, listener_cap;
    struct job *stack;
    size_t depth, stack_cap;
    struct node **forbidding; /* PART_NOT nodes that succeed unless their kid fits */
    size_t forbidding_count, forbidding_cap;
    size_t furthest;
    struct expectation *expected;
    size_t expected_count, expected_cap;
    bool accepted;
};

/* ---------------------------------------------------------------- nodes, listeners, jobs */

static size_t slot_of(const struct search *s, size_t at, int part) {
    uint64_t h = (uint64_t)at * GRAMMAR_PARTS_MAX + (uint64_t)part;
    h *= 0x9e3779b97f4a7c15u;
    return (size_t)(h >> 20) & (s->slot_count - 1);
}

static void grow_slots(struct search *s) {
    struct node **old = s->slots;
    size_t old_count = s->slot_count;
    s->slot_count = old_count == 0 ? 256 : old_count * 2;
    s->slots = mem_array(s->slot_count, sizeof *s->slots);
    for (size_t i = 0; i < old_count; i++) {
        for (struct node *n = old[i], *next; n != NULL; n = next) {
            next = n->next_in_slot;
            size_t slot = slot_of(s, n->at, n->part);
            n->next_in_slot = s->slots[slot];
            s->slots[slot] = n;
        }
    }
    mem_free(old);
}

static struct node *node_at(struct search *s, size_t at, int part) {
    if (s->node_count >= s->slot_count) {
        grow_slots(s);
    }
    size_t slot = slot_of(s, at, part);
    for (struct node *n = s->slots[slot]; n != NULL; n = n->next_in_slot) {
        if (n->at == at && n->part == part) {
            return n;
        }
    }
    struct node *n = mem_zalloc(sizeof *n);
    n->at = at;
    n->part = part;
    n->next_in_slot = s->slots[slot];
    s->slots[slot] = n;
    s->node_count++;
    return n;
}

static struct listener *new_listener(struct search *s, struct listener what) {
    struct listener *l = mem_alloc(sizeof *l);
    *l = what;
    s->all_listeners = mem_grow(s->all_listeners, &s->listener_cap, s->listener_count + 1, sizeof(struct listener *));
    s->all_listeners[s->listener_count++] = l;
    return l;
}

static void push(struct search *s, struct job job) {
    s->stack = mem_grow(s->stack, &s->stack_cap, s->depth + 1, sizeof *s->stack);
    s->stack[s->depth++] = job;
}

static void tell(struct search *s, struct listener *l, size_t end) {
    for (size_t i = 0; i < l->heard_count; i++) {
        if (l->heard[i] == end) {
            return;
        }
    }
    l->heard = mem_grow(l->heard, &l->heard_cap, l->heard_count + 1, sizeof *l->heard);
    l->heard[l->heard_count++] = end;
    push(s, (struct job){.kind = JOB_TELL, .listener = l, .end = end});
}

/* The part ends here too: whoever waits is told. */
static void succeed(struct search *s, struct node *n, size_t end) {
    bool at_end = end == s->text.len;
    if (at_end && n->reaches_end) {
        return;
    }
    for (size_t i = 0; !at_end && i < n->end_count; i++) {
        if (n->ends[i] == end) {
            return;
        }
    }
    if (at_end) {
        n->reaches_end = true;
    } else {
        n->ends = mem_grow(n->ends, &n->end_cap, n->end_count + 1, sizeof *n->ends);
        n->ends[n->end_count++] = end;
    }
    for (size_t i = 0; i < n->listener_count; i++) {
        tell(s, n->listeners[i], end);
    }
    for (size_t i = 0; at_end && i < n->end_listener_count; i++) {
        tell(s, n->end_listeners[i], end);
    }
}

/* `text` is taken over. */
static void fail(struct search *s, size_t at, char *text, bool at_end) {
    if (at > s->furthest) {
        for (size_t i = 0; i < s->expected_count; i++) {
            mem_free(s->expected[i].text);
        }
        s->expected_count = 0;
        s->furthest = at;
    }
    bool known = at < s->furthest;
    for (size_t i = 0; i < s->expected_count && !known; i++) {
        known = s->expected[i].at_end == at_end && str_eq(s->expected[i].text, text);
    }
    if (known) {
        mem_free(text);
        return;
    }
    s->expected = mem_grow(s->expected, &s->expected_cap, s->expected_count + 1, sizeof *s->expected);
    s->expected[s->expected_count++] = (struct expectation){text, at_end};
}

static void listen(struct search *s, size_t at, int part, struct listener what) {
    struct node *n = node_at(s, at, part);
    struct listener *l = new_listener(s, what);
    bool first = n->listener_count == 0;
    n->listeners = mem_grow(n->listeners, &n->listener_cap, n->listener_count + 1, sizeof(struct listener *));
    n->listeners[n->listener_count++] = l;
    for (size_t i = 0; i < n->end_count; i++) {
        tell(s, l, n->ends[i]);
    }
    if (n->reaches_end) {
        tell(s, l, s->text.len);
    }
    if (first) {
        push(s, (struct job){.kind = JOB_TRY, .node = n});
    }
}

/* Only the end of the text counts as an end. */
static void listen_to_end(struct search *s, size_t at, int part, struct listener what) {
    struct node *n = node_at(s, at, part);
    struct listener *l = new_listener(s, what);
    bool first = n->listener_count == 0 && n->end_listener_count == 0;
    n->end_listeners =
        mem_grow(n->end_listeners, &n->end_listener_cap, n->end_listener_count + 1, sizeof(struct listener *));
    n->end_listeners[n->end_listener_count++] = l;
    if (n->reaches_end) {
        tell(s, l, s->text.len);
    }
    if (first) {
        push(s, (struct job){.kind = JOB_TRY_TO_END, .node = n});
    }
}

/* ---------------------------------------------------------------- trying a part */

static void try_token(struct search *s, struct node *n, const struct part *p, bool to_end) {
    size_t end = (size_t)-1;
    if (p->tag == PART_TERMINAL) {
        end = p->terminal->lex(s->text, n->at);
    } else if (span_eq(span_sub(s->text, n->at, p->string.len), p->string)) {
        end = n->at + p->string.len;
    }
    if (end != (size_t)-1 && (!to_end || end == s->text.len)) {
        succeed(s, n, end);
    } else {
        fail(s, n->at, p->tag == PART_TERMINAL ? str_dup(p->terminal->shown) : span_dup(p->string), to_end);
    }
}

static struct listener forward_to(struct node *n) {
    return (struct listener){.kind = HEAR_FORWARD, .owner = n};
}

static char *describe_forbidden(const struct search *s, const struct part *not_part) {
    const struct part *kid = &s->grammar->parts[not_part->kids[0]];
    struct buf b = BUF_INIT;
    buf_append_cstr(&b, "NOT ");
    for (int i = 0; i < kid->kid_count; i++) {
        struct span word = s->grammar->parts[kid->kids[i]].string;
        buf_printf(&b, "%s\"%.*s\"", i > 0 ? " | " : "", (int)word.len, word.ptr);
    }
    return buf_take(&b);
}

static void try_forbidden(struct search *s, struct node *n, const struct part *p) {
    const struct node *kid = node_at(s, n->at, p->kids[0]);
    if (kid->end_count > 0 || kid->reaches_end) {
        fail(s, n->at, str_dup("null"), false);
        return;
    }
    listen(s, n->at, p->kids[0], (struct listener){.kind = HEAR_FORBIDDEN, .owner = n});
    s->forbidding = mem_grow(s->forbidding, &s->forbidding_cap, s->forbidding_count + 1, sizeof(struct node *));
    s->forbidding[s->forbidding_count++] = n;
}

static void try_part(struct search *s, struct node *n, bool to_end) {
    const struct part *p = &s->grammar->parts[n->part];
    void (*ask)(struct search *, size_t, int, struct listener) = to_end ? listen_to_end : listen;
    switch (p->tag) {
    case PART_STRING:
    case PART_TERMINAL:
        try_token(s, n, p, to_end);
        break;
    case PART_RULE:
        ask(s, n->at, s->grammar->bodies[p->rule], forward_to(n));
        break;
    case PART_SEQUENCE:
        listen(s, n->at, p->kids[0], (struct listener){.kind = HEAR_SEQUENCE, .to_end = to_end, .next = 1, .owner = n});
        break;
    case PART_CHOICE:
        for (int i = 0; i < p->kid_count; i++) {
            ask(s, n->at, p->kids[i], forward_to(n));
        }
        break;
    case PART_OPTION:
        ask(s, n->at, p->kids[0], forward_to(n));
        if (!to_end || n->at == s->text.len) {
            succeed(s, n, n->at);
        } else {
            fail(s, n->at, str_dup(":end-of-string"), false);
        }
        break;
    case PART_STAR:
    case PART_PLUS:
        if (p->tag == PART_STAR && to_end && n->at == s->text.len) {
            succeed(s, n, n->at);
            break;
        }
        listen(s, n->at, p->kids[0],
               (struct listener){.kind = HEAR_REPEAT, .to_end = to_end, .from = n->at, .owner = n});
        if (p->tag == PART_STAR && !to_end) {
            succeed(s, n, n->at);
        }
        break;
    case PART_NOT:
        try_forbidden(s, n, p);
        break;
    }
}

/* ---------------------------------------------------------------- hearing of an end */

static void hear_sequence(struct search *s, struct listener *l, size_t end) {
    const struct part *p = &s->grammar->parts[l->owner->part];
    if (l->next == p->kid_count) {
        succeed(s, l->owner, end);
        return;
    }
    struct listener rest = {.kind = HEAR_SEQUENCE, .to_end = l->to_end, .next = l->next + 1, .owner = l->owner};
    bool last = l->next == p->kid_count - 1;
    (l->to_end && last ? listen_to_end : listen)(s, end, p->kids[l->next], rest);
}

static void hear_repeat(struct search *s, struct listener *l, size_t end) {
    if (end == l->from) {
        succeed(s, l->owner, end);
        return;
    }
    bool done = l->to_end && end == s->text.len;
    if (!done) {
        listen(s, end, s->grammar->parts[l->owner->part].kids[0],
               (struct listener){.kind = HEAR_REPEAT, .to_end = l->to_end, .from = end, .owner = l->owner});
    }
    if (done || !l->to_end) {
        succeed(s, l->owner, end);
    }
}

static void hear(struct search *s, struct listener *l, size_t end) {
    switch (l->kind) {
    case HEAR_TOP:
        s->accepted = true;
        break;
    case HEAR_FORWARD:
        succeed(s, l->owner, end);
        break;
    case HEAR_SEQUENCE:
        hear_sequence(s, l, end);
        break;
    case HEAR_REPEAT:
        hear_repeat(s, l, end);
        break;
    case HEAR_FORBIDDEN:
        if (!l->told) {
            l->told = true;
            fail(s, l->owner->at, describe_forbidden(s, &s->grammar->parts[l->owner->part]), false);
        }
        break;
    }
}

/* Nothing else is left to do: the forbidden part that is furthest along cannot fit any more. */
static void allow_one(struct search *s) {
    size_t best = 0;
    for (size_t i = 1; i < s->forbidding_count; i++) {
        if (s->forbidding[i]->at >= s->forbidding[best]->at) {
            best = i;
        }
    }
    struct node *n = s->forbidding[best];
    s->forbidding_count--;
    memmove(&s->forbidding[best], &s->forbidding[best + 1], (s->forbidding_count - best) * sizeof(struct node *));
    const struct node *kid = node_at(s, n->at, s->grammar->parts[n->part].kids[0]);
    if (kid->end_count == 0 && !kid->reaches_end) {
        succeed(s, n, n->at);
    }
}

static void run(struct search *s) {
    listen_to_end(s, 0, s->grammar->bodies[0], (struct listener){.kind = HEAR_TOP});
    for (long steps = 0; !s->accepted && steps < PQL_EXPECT_STEPS_MAX; steps++) {
        if (s->depth > 0) {
            struct job job = s->stack[--s->depth];
            if (job.kind == JOB_TELL) {
                hear(s, job.listener, job.end);
            } else {
                try_part(s, job.node, job.kind == JOB_TRY_TO_END);
            }
        } else if (s->forbidding_count > 0) {
            allow_one(s);
        } else {
            return;
        }
    }
}

/* ---------------------------------------------------------------- the text for people */

/* The n-th line (from 1) as Java's reader cuts lines; "null" for the first line of an empty text, as PuppetDB prints.
 */
static struct span line_of(struct span text, size_t number) {
    if (text.len == 0) {
        return SPAN("null");
    }
    size_t start = 0;
    for (size_t line = 1;; line++) {
        size_t end = start;
        while (end < text.len && text.ptr[end] != '\n' && text.ptr[end] != '\r') {
            end++;
        }
        if (line == number || start >= text.len) {
            return span_sub(text, start, end - start);
        }
        start = end + (end + 1 < text.len && text.ptr[end] == '\r' && text.ptr[end + 1] == '\n' ? 2 : 1);
        start = start > text.len ? text.len : start;
    }
}

/* Numbers in PuppetDB's messages have their thousands grouped. */
static void append_grouped(struct buf *out, size_t n) {
    if (n >= 1000) {
        append_grouped(out, n / 1000);
        buf_printf(out, ",%03zu", n % 1000);
    } else {
        buf_printf(out, "%zu", n);
    }
}

static char *message(const struct search *s) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < s->furthest; i++) {
        unsigned char c = (unsigned char)s->text.ptr[i];
        if (c == '\n') {
            line++;
            column = 1;
        } else if ((c & 0xc0) != 0x80) {
            column += c >= 0xf0 ? 2 : 1; /* in UTF-16 units */
        }
    }
    struct buf b = BUF_INIT;
    buf_append_cstr(&b, "PQL parse error at line ");
    append_grouped(&b, line);
    buf_append_cstr(&b, ", column ");
    append_grouped(&b, column);
    buf_append_cstr(&b, ":\n\n");
    buf_append_span(&b, line_of(s->text, line));
    buf_append_char(&b, '\n');
    for (size_t i = 1; i < column; i++) {
        buf_append_char(&b, ' ');
    }
    buf_append_cstr(&b, "^\n\n");
    buf_append_cstr(&b, s->expected_count == 1 ? "Expected:\n" : s->expected_count > 1 ? "Expected one of:\n\n" : "");
    for (size_t pass = 0; pass < 2; pass++) { /* those at the end first, and without a line end of their own */
        for (size_t i = 0; i < s->expected_count; i++) {
            if (s->expected[i].at_end == (pass == 0)) {
                buf_printf(&b, pass == 0 ? "%s (followed by end-of-string)" : "%s\n", s->expected[i].text);
            }
        }
    }
    return buf_take(&b);
}

static void free_search(struct search *s) {
    for (size_t i = 0; i < s->slot_count; i++) {
        for (struct node *n = s->slots[i], *next; n != NULL; n = next) {
            next = n->next_in_slot;
            mem_free(n->listeners);
            mem_free(n->end_listeners);
            mem_free(n->ends);
            mem_free(n);
        }
    }
    for (size_t i = 0; i < s->listener_count; i++) {
        mem_free(s->all_listeners[i]->heard);
        mem_free(s->all_listeners[i]);
    }
    for (size_t i = 0; i < s->expected_count; i++) {
        mem_free(s->expected[i].text);
    }
    mem_free(s->expected);
    mem_free(s->all_listeners);
    mem_free(s->slots);
    mem_free(s->stack);
    mem_free(s->forbidding);
}

char *pql_explain(struct span text) {
    struct grammar *grammar = grammar_new();
    struct search s = {.grammar = grammar, .text = text};
    run(&s);
    char *why = s.accepted ? NULL : message(&s);
    free_search(&s);
    mem_free(grammar);
    return why;
}
