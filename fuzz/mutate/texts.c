/* JSON texts: alone, behind a byte that says what they are, or two on two lines. */
#include "fuzz/mutate/mutate.h"
#include "fuzz/mutate/words.h"

struct texts {
    bool prefix; /* a byte before it */
    bool lines;  /* after 'T' or 'P' there are two, a newline between them; of 'T' the first is no JSON */
    const struct mutate_words *words;
};

static bool split(const struct mutate_format *f, struct span in, struct pieces *out) {
    const struct texts *t = f->data;
    if (in.len == 0) {
        return false;
    }
    if (t->prefix) {
        buf_append_char(&out->head, in.ptr[0]);
        in = span_sub(in, 1, in.len);
    }
    struct span first;
    char what = out->head.len != 0 ? out->head.ptr[0] : 0;
    if (t->lines && (what == 'T' || what == 'P') && span_split(&in, '\n', &first)) {
        pieces_add(out, what == 'T' ? 't' : 'j', first);
    }
    pieces_add(out, 'j', in);
    return true;
}

static void join(const struct mutate_format *f, const struct pieces *in, struct buf *out) {
    (void)f;
    buf_append_span(out, buf_span(&in->head));
    for (size_t i = 0; i < in->count; i++) {
        buf_append_cstr(out, i != 0 ? "\n" : "");
        buf_append_span(out, buf_span(&in->items[i].text));
    }
}

static void change(const struct mutate_format *f, struct mutate *m, struct piece *p) {
    const struct texts *t = f->data;
    if (p->kind == 'j') {
        mutate_json(m, t->words, &p->text);
    } else {
        mutate_text(m, &p->text);
    }
}

static void make(const struct mutate_format *f, struct mutate *m, struct piece *p) {
    p->kind = 'j';
    change(f, m, p);
}

/* As many as were there: what was added takes the place of what it stands before. */
static void repair(const struct mutate_format *f, struct mutate *m, struct pieces *p) {
    const struct texts *t = f->data;
    char what = p->head.len != 0 ? p->head.ptr[0] : 0;
    size_t wanted = t->lines && (what == 'T' || what == 'P') ? 2 : 1;
    while (p->count > wanted) {
        pieces_remove(p, p->count - 1);
    }
    while (p->count < wanted) {
        make(f, m, pieces_add(p, 'j', SPAN("")));
    }
}

static const struct texts pcp_v2 = {false, false, &mutate_pcp_words}, pxp = {true, false, &mutate_pxp_words},
                          api = {true, true, &mutate_api_words};
const struct mutate_format mutate_pcp_v2 = {split, join, change, make, repair, &pcp_v2},
                           mutate_pxp = {split, join, change, make, repair, &pxp},
                           mutate_api = {split, join, change, make, repair, &api};
