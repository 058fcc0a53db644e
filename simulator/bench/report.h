/* What a bench found: figures in columns beside their floor, goals, curves. Kept as JSON, which is what --json prints;
 * shown as a table or as one self-contained HTML page.
 *
 *   {"title", "command", "time", "machine": {…}, "columns": [{"name", "floor"}],
 *    "figures": [{"key", "label", "unit", "values": [number or null per column]}],
 *    "goals": [{"key", "label", "column", "kind": "ratio" | "at-most" | "at-least", "limit", "value", "met"}],
 *    "plots": [{"title", "x", "y", "log_x", "log_y", "series": [{"name", "points": [[x, y], …]}]}], "notes": ["…"]} */
#ifndef DALANG_BENCH_REPORT_H
#define DALANG_BENCH_REPORT_H

#include "base/bytes.h"
#include "base/error.h"
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

json_t *report_new(const char *title, int argc, char *const argv[]); /* json_decref() it */

/* The floor, when there is one, is the first column. Returns its number. */
size_t report_column(json_t *r, const char *name, bool floor);
/* A figure of one column; the row is made at its first value. Units: "us", "ms", "s", "B", "/s", "%", "x", "". */
void report_figure(json_t *r, const char *key, const char *label, const char *unit, size_t column, double value);
bool report_value(const json_t *r, const char *key, size_t column, double *out); /* false: not measured */

enum report_goal_kind { REPORT_RATIO /* to the floor, at most */, REPORT_AT_MOST, REPORT_AT_LEAST };
/* Of a figure that has been given; ignored when it (or the floor's) was not measured. */
void report_goal(json_t *r, const char *key, size_t column, enum report_goal_kind kind, double limit);
void report_note(json_t *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct report_axes {
    const char *title, *x, *y;
    bool log_x, log_y;
};
/* A curve in the plot of that title; borrowed. */
json_t *report_series(json_t *r, const struct report_axes *axes, const char *name);
void report_point(json_t *series, double x, double y);

/* Is this, read from a file, something report_html() can show? Error kind "bench". */
bool report_valid(const json_t *r, struct error *err);

void report_print(const json_t *r, FILE *to);
/* All reports on one page, without any other file. */
void report_html(const json_t *const *reports, size_t count, struct buf *out);

/* One figure as people read it: "24,875", "17.5". Appended. */
void report_number(struct buf *out, double value, const char *unit);

#endif
