/* The phases of the broker bench. See broker.h. */
#include "simulator/bench/broker_internal.h"

#include "base/mem.h"

#include <stdarg.h>

void best_note(struct best *b, double cpu_us, double per_second) {
    b->cpu_us = !b->any || cpu_us < b->cpu_us ? cpu_us : b->cpu_us;
    b->per_second = per_second > b->per_second ? per_second : b->per_second;
    b->any = true;
}

void run_progress(const struct run *r, const char *format, ...) {
    if (r->b->progress != NULL) {
        struct buf text = BUF_INIT;
        va_list args;
        va_start(args, format);
        buf_vprintf(&text, format, args);
        va_end(args);
        r->b->progress(r->b->progress_ctx, text.ptr);
        buf_free(&text);
    }
}

static void set_goals(struct run *r) {
    for (size_t i = 0; i < r->b->target_count; i++) {
        const size_t column = r->subjects[i].column;
        json_t *report = r->report;
        report_goal(report, "memory_per_connection", column, REPORT_RATIO, 1.1);
        report_goal(report, "cpu_per_connection", column, REPORT_RATIO, 1.3);
        report_goal(report, "cpu_per_message_v2", column, REPORT_RATIO, 2);
        report_goal(report, "cpu_per_message_v1_to_v2", column, REPORT_RATIO, 3);
        report_goal(report, "memory_empty_resident", column, REPORT_AT_MOST, 10e6);
        report_goal(report, "storm_refused", column, REPORT_AT_MOST, 0);
        report_goal(report, "storm_updates_per_second", column, REPORT_AT_MOST, 1);
        report_goal(report, "storm_cpu_growth", column, REPORT_AT_MOST, 1.1);
    }
}

bool bench_broker_run(const struct bench_broker *b, json_t *report, struct error *err) {
    struct run *r = mem_zalloc(sizeof(*r));
    r->b = b;
    r->report = report;
    r->with_floor = !b->no_floor;
    const bool ok =
        subjects_begin(r, err) && measure_connections(r, err) && measure_messages(r, err) && measure_latency(r, err);
    if (ok) {
        set_goals(r);
    }
    subjects_end(r);
    mem_free(r);
    return ok;
}
