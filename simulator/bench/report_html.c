/* A report as one HTML page: tables, and plots as inline SVG. No script, no other file. */
#include "base/json.h"
#include "base/mem.h"
#include "simulator/bench/report.h"

#include <math.h>
#include <string.h>

static const char style[] =
    "<style>\n"
    ":root{--ink:#1f2430;--dim:#667085;--line:#e3e6ec;--page:#fff;--good:#1a7f4b;--bad:#b42318;"
    "--s0:#8a94a6;--s1:#2563eb;--s2:#d9730d;--s3:#0d9488;--s4:#a63fb5}\n"
    "@media(prefers-color-scheme:dark){:root{--ink:#e6e8ee;--dim:#98a1b3;--line:#2c313c;--page:#14161b;--good:#4ade80;"
    "--bad:#f87171;--s0:#8a94a6;--s1:#6ea8fe;--s2:#fb9a45;--s3:#2dd4bf;--s4:#d08be0}}\n"
    "body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:60rem;"
    "margin:2rem auto;padding:0 1rem}\n"
    "h1{font-size:1.5rem;margin:2.5rem 0 .2rem}h2{font-size:1.05rem;margin:1.8rem 0 .4rem}\n"
    "code,.dim{color:var(--dim);font-size:.85rem}code{font-family:ui-monospace,monospace}\n"
    "table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}\n"
    "th,td{padding:.3rem .6rem;border-bottom:1px solid var(--line);text-align:right}\n"
    "th:first-child,td:first-child{text-align:left;padding-left:0}th{font-weight:600}\n"
    ".met{color:var(--good)}.missed{color:var(--bad);font-weight:600}\n"
    ".plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(26rem,1fr));gap:1rem 2rem}\n"
    "svg{width:100%;height:auto}svg text{fill:var(--dim);font:11px system-ui,sans-serif}\n"
    ".grid{stroke:var(--line);stroke-width:1}.curve{fill:none;stroke-width:2;stroke-linejoin:round}\n"
    ".key{display:inline-block;margin-right:1.2rem;font-size:.85rem}"
    ".key:before{content:'';display:inline-block;width:.9rem;height:2px;background:var(--c);margin-right:.4rem;"
    "vertical-align:middle}\n"
    "</style>\n";

static void element(struct buf *out, const char *tag, const char *text) {
    buf_printf(out, "<%s>", tag);
    buf_append_html(out, text);
    buf_printf(out, "</%.*s>", (int)strcspn(tag, " "), tag);
}

/* ---- plots */

enum { WIDTH = 460, HEIGHT = 240, LEFT = 58, RIGHT = 12, TOP = 10, BOTTOM = 38, TICKS = 5, SERIES_COLORS = 5 };

struct axis {
    double low, high;
    bool log;
    int from, to; /* in the picture */
};

static double place(const struct axis *a, double value) {
    const double low = a->log ? log10(a->low) : a->low, high = a->log ? log10(a->high) : a->high;
    const double at = a->log ? log10(value > 0 ? value : a->low) : value;
    return a->from + (high > low ? (at - low) / (high - low) : 0.5) * (a->to - a->from);
}

static void span_values(const json_t *plot, size_t which, struct axis *a) {
    size_t i, k;
    json_t *series, *point;
    a->low = INFINITY;
    a->high = -INFINITY;
    json_array_foreach(json_object_get(plot, "series"), i, series) {
        json_array_foreach(json_object_get(series, "points"), k, point) {
            const double v = json_number_value(json_array_get(point, which));
            if (!a->log || v > 0) {
                a->low = v < a->low ? v : a->low;
                a->high = v > a->high ? v : a->high;
            }
        }
    }
    if (a->low > a->high) {
        a->low = 1;
        a->high = 10;
    }
}

/* 1, 2 or 5 times a power of ten, so that there are about TICKS of them. */
static double step_of(double range) {
    const double rough = range / TICKS, power = pow(10, floor(log10(rough)));
    const double lead = rough / power;
    return (lead <= 1 ? 1 : lead <= 2 ? 2 : lead <= 5 ? 5 : 10) * power;
}

static void short_number(struct buf *out, double v) {
    static const struct {
        double from;
        const char *letter;
    } sizes[] = {{1e9, "G"}, {1e6, "M"}, {1e3, "k"}, {0, ""}};
    size_t i = 0;
    while (fabs(v) < sizes[i].from) {
        i++;
    }
    buf_printf(out, "%.4g%s", sizes[i].from > 0 ? v / sizes[i].from : v, sizes[i].letter);
}

static void tick(struct buf *out, const struct axis *a, double value, bool horizontal) {
    const double at = place(a, value);
    if (horizontal) {
        buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">", at, HEIGHT - BOTTOM + 15);
    } else {
        buf_printf(out,
                   "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\"/>"
                   "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">",
                   LEFT, WIDTH - RIGHT, at, at, LEFT - 6, at + 4);
    }
    short_number(out, value);
    buf_append_cstr(out, "</text>");
}

static void ticks(struct buf *out, const struct axis *a, bool horizontal) {
    if (a->log) {
        for (int e = (int)ceil(log10(a->low) - 1e-9); pow(10, e) <= a->high * 1.0001; e++) {
            tick(out, a, pow(10, e), horizontal);
        }
        return;
    }
    const double step = step_of(a->high - a->low), first = ceil(a->low / step);
    for (int i = 0; (first + i) * step <= a->high + step * 1e-6; i++) {
        tick(out, a, (first + i) * step, horizontal);
    }
}

/* Round ends, and from zero where that costs little: a curve must not look steeper than it is. */
static void widen(struct axis *a, bool from_zero) {
    if (a->log) {
        a->low = pow(10, floor(log10(a->low) + 1e-9));
        a->high = pow(10, ceil(log10(a->high) - 1e-9));
        a->high = a->high > a->low ? a->high : a->low * 10;
        return;
    }
    a->low = from_zero && a->low > 0 ? 0 : a->low;
    a->high = a->high > a->low ? a->high : a->low + 1;
    if (from_zero) {
        const double step = step_of(a->high - a->low);
        a->high = ceil(a->high / step) * step;
    }
}

static void curve(struct buf *out, const json_t *series, size_t color, const struct axis *x, const struct axis *y) {
    size_t i;
    json_t *point;
    const json_t *points = json_object_get(series, "points");
    buf_printf(out, "<polyline class=\"curve\" stroke=\"var(--s%zu)\" points=\"", color);
    json_array_foreach(points, i, point) {
        buf_printf(out, "%.1f,%.1f ", place(x, json_number_value(json_array_get(point, 0))),
                   place(y, json_number_value(json_array_get(point, 1))));
    }
    buf_append_cstr(out, "\"><title>");
    buf_append_html(out, json_str(series, "name"));
    buf_append_cstr(out, "</title></polyline>");
    for (i = 0; json_array_size(points) <= 12 && i < json_array_size(points); i++) {
        point = json_array_get(points, i);
        const double px = json_number_value(json_array_get(point, 0)), py = json_number_value(json_array_get(point, 1));
        buf_printf(out, "<circle r=\"3\" cx=\"%.1f\" cy=\"%.1f\" fill=\"var(--s%zu)\"><title>", place(x, px),
                   place(y, py), color);
        short_number(out, px);
        buf_append_cstr(out, ": ");
        short_number(out, py);
        buf_append_cstr(out, "</title></circle>");
    }
}

static void plot_html(struct buf *out, const json_t *plot) {
    struct axis x = {.log = json_bool(plot, "log_x", false), .from = LEFT, .to = WIDTH - RIGHT};
    struct axis y = {.log = json_bool(plot, "log_y", false), .from = HEIGHT - BOTTOM, .to = TOP};
    size_t i;
    json_t *series;
    span_values(plot, 0, &x);
    span_values(plot, 1, &y);
    widen(&x, false);
    widen(&y, true);
    buf_append_cstr(out, "<div>");
    element(out, "h2", json_str(plot, "title"));
    if (json_array_size(json_object_get(plot, "series")) > 1) {
        json_array_foreach(json_object_get(plot, "series"), i, series) {
            buf_printf(out, "<span class=\"key\" style=\"--c:var(--s%zu)\">", i % SERIES_COLORS);
            buf_append_html(out, json_str(series, "name"));
            buf_append_cstr(out, "</span>");
        }
    }
    buf_printf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\">", WIDTH, HEIGHT);
    ticks(out, &y, false);
    ticks(out, &x, true);
    json_array_foreach(json_object_get(plot, "series"), i, series) {
        curve(out, series, i % SERIES_COLORS, &x, &y);
    }
    buf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">", (LEFT + WIDTH - RIGHT) / 2, HEIGHT - 6);
    buf_append_html(out, json_str(plot, "x"));
    buf_printf(out, "</text><text transform=\"translate(11 %d) rotate(-90)\" text-anchor=\"middle\">",
               (TOP + HEIGHT - BOTTOM) / 2);
    buf_append_html(out, json_str(plot, "y"));
    buf_append_cstr(out, "</text></svg></div>\n");
}

/* ---- tables */

static void figures_html(struct buf *out, const json_t *r) {
    size_t i, k;
    json_t *item, *value;
    const json_t *columns = json_object_get(r, "columns");
    buf_append_cstr(out, "<table><tr><th></th>");
    json_array_foreach(columns, i, item) {
        element(out, "th", json_str(item, "name"));
    }
    buf_append_cstr(out, "</tr>\n");
    json_array_foreach(json_object_get(r, "figures"), i, item) {
        const char *unit = json_str(item, "unit");
        double first = 0;
        const bool compared = report_value(r, json_str(item, "key"), 0, &first) && first != 0;
        buf_append_cstr(out, "<tr>");
        element(out, "td", json_str(item, "label"));
        json_array_foreach(json_object_get(item, "values"), k, value) {
            buf_append_cstr(out, "<td>");
            if (json_is_number(value)) {
                report_number(out, json_number_value(value), unit);
                buf_printf(out, "%s", strcmp(unit, "us") == 0 ? " µs" : unit[0] == '\0' || unit[0] == '/' ? "" : " ");
                buf_append_html(out, strcmp(unit, "us") == 0 ? "" : unit);
                if (k > 0 && compared) {
                    buf_printf(out, " <span class=\"dim\">%.2f&thinsp;×</span>", json_number_value(value) / first);
                }
            } else {
                buf_append_cstr(out, "–");
            }
            buf_append_cstr(out, "</td>");
        }
        buf_append_cstr(out, "</tr>\n");
    }
    buf_append_cstr(out, "</table>\n");
}

static void goals_html(struct buf *out, const json_t *r) {
    size_t i;
    json_t *goal;
    const json_t *columns = json_object_get(r, "columns");
    if (json_array_size(json_object_get(r, "goals")) == 0) {
        return;
    }
    buf_append_cstr(out, "<h2>Goals</h2><table><tr><th></th><th></th><th>measured</th><th>goal</th><th></th></tr>\n");
    json_array_foreach(json_object_get(r, "goals"), i, goal) {
        const bool met = json_bool(goal, "met", false), ratio = str_eq(json_str(goal, "kind"), "ratio");
        const bool least = str_eq(json_str(goal, "kind"), "at-least");
        buf_append_cstr(out, "<tr>");
        element(out, "td", json_str(goal, "label"));
        element(out, "td", json_str(json_array_get(columns, (size_t)json_int(goal, "column", 0)), "name"));
        buf_append_cstr(out, "<td>");
        report_number(out, json_number_value(json_object_get(goal, "value")), "x");
        buf_printf(out, "%s</td><td>%s", ratio ? "&thinsp;× floor" : "", least ? "≥ " : "≤ ");
        report_number(out, json_number_value(json_object_get(goal, "limit")), "x");
        buf_printf(out, "%s</td><td class=\"%s\">%s</td></tr>\n", ratio ? "&thinsp;×" : "", met ? "met" : "missed",
                   met ? "met" : "missed");
    }
    buf_append_cstr(out, "</table>\n");
}

static void one(struct buf *out, const json_t *r) {
    size_t i;
    json_t *item;
    const json_t *m = json_object_get(r, "machine");
    element(out, "h1", json_str(r, "title"));
    element(out, "code", json_str(r, "command"));
    buf_append_cstr(out, "<p class=\"dim\">");
    buf_append_html(out, json_str(r, "time"));
    buf_printf(out, " · %lld × ", (long long)json_int(m, "processors", 0));
    buf_append_html(out, json_str(m, "processor"));
    buf_append_cstr(out, " · ");
    buf_append_html(out, json_str(m, "kernel"));
    buf_append_cstr(out, " · OpenSSL ");
    buf_append_html(out, json_str(m, "openssl"));
    buf_printf(out, " · load at start %.1f</p>\n", json_number_value(json_object_get(m, "load_at_start")));
    figures_html(out, r);
    goals_html(out, r);
    buf_append_cstr(out, "<div class=\"plots\">\n");
    json_array_foreach(json_object_get(r, "plots"), i, item) {
        plot_html(out, item);
    }
    buf_append_cstr(out, "</div>\n");
    json_array_foreach(json_object_get(r, "notes"), i, item) {
        element(out, "p", json_string_value(item));
        buf_append_char(out, '\n');
    }
}

void report_html(const json_t *const *reports, size_t count, struct buf *out) {
    buf_append_cstr(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
                         "<meta name=\"viewport\" content=\"width=device-width\"><title>");
    buf_append_html(out, count > 0 ? json_str(reports[0], "title") : "bench");
    buf_append_cstr(out, "</title>\n");
    buf_append_cstr(out, style);
    buf_append_cstr(out, "</head><body>\n");
    for (size_t i = 0; i < count; i++) {
        one(out, reports[i]);
    }
    buf_append_cstr(out, "</body></html>\n");
}
