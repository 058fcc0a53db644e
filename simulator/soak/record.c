#include "simulator/soak/record.h"

#include "base/mem.h"
#include "simulator/soak/sequence.h"
#include "simulator/soak/trace_json.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { BEHIND_VIOLATION = SEQUENCE_KEEP / 4 };

struct output {
    const char *path; /* NULL: not wanted */
    FILE *file;
    int trouble; /* errno of the first failure */
};

struct record {
    struct output trace, html;
    struct trace_json *tracer;
    struct sequence *sequence;
};

static bool output_open(struct output *o, const char *path, struct error *err) {
    o->path = path;
    o->file = path != NULL ? fopen(path, "we") : NULL;
    return path == NULL || o->file != NULL || error_set(err, "record", "%s: %s", path, strerror(errno));
}

static void output_write(struct output *o, struct span text) {
    if (fwrite(text.ptr, 1, text.len, o->file) != text.len && o->trouble == 0) {
        o->trouble = errno;
    }
}

static bool output_close(struct output *o, struct error *err) {
    if (o->file == NULL) {
        return true;
    }
    if (fclose(o->file) != 0 && o->trouble == 0) {
        o->trouble = errno;
    }
    return o->trouble == 0 || error_set(err, "record", "%s: %s", o->path, strerror(o->trouble));
}

struct record *record_new(const char *trace, const char *html, struct error *err) {
    struct record *r = mem_zalloc(sizeof(*r));
    if (output_open(&r->trace, trace, err) && output_open(&r->html, html, err)) {
        return r;
    }
    record_close(r, NULL);
    return NULL;
}

static void write_trace(void *ctx, struct span text) {
    output_write(&((struct record *)ctx)->trace, text);
}

static void started(void *ctx, struct sim *sim, struct checks *checks) {
    struct record *r = ctx;
    if (r->trace.file != NULL) {
        r->tracer = trace_json_start(sim, write_trace, r);
    }
    if (r->html.file != NULL) {
        r->sequence = sequence_start(sim, checks, 0, true, BEHIND_VIOLATION);
    }
}

static void ended(void *ctx, struct sim *sim) {
    struct record *r = ctx;
    trace_json_end(r->tracer);
    r->tracer = NULL;
    if (r->sequence != NULL) {
        struct buf page = BUF_INIT;
        char *title = str_printf("seed %llu", (unsigned long long)sim_seed(sim));
        sequence_write(r->sequence, &page, title);
        output_write(&r->html, buf_span(&page));
        mem_free(title);
        buf_free(&page);
        sequence_end(r->sequence);
        r->sequence = NULL;
    }
}

void record_watch(struct record *r, struct soak_opts *opts) {
    opts->started = started;
    opts->ended = ended;
    opts->ctx = r;
}

bool record_close(struct record *r, struct error *err) {
    bool trace = output_close(&r->trace, err), html = output_close(&r->html, trace ? err : NULL);
    mem_free(r);
    return trace && html;
}
