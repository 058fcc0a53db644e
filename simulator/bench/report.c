/* See report.h. */
#include "simulator/bench/report.h"

#include "base/json.h"
#include "base/mem.h"
#include "simulator/bench/process.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

/* ---- building */

static char *processor(void) {
    char line[256], *name = NULL;
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f != NULL && name == NULL && fgets(line, sizeof(line), f) != NULL) {
        if (strncmp(line, "model name", 10) == 0 && strchr(line, ':') != NULL) {
            name = span_dup(span_trim(span_of(strchr(line, ':') + 1)));
        }
    }
    if (f != NULL) {
        fclose(f);
    }
    return name != NULL ? name : str_dup("unknown");
}

static json_t *machine(void) {
    struct utsname system;
    double load[3] = {0};
    uname(&system);
    if (getloadavg(load, 3) < 1) {
        load[0] = 0;
    }
    char *cpu = processor(), *kernel = str_printf("%s %s", system.sysname, system.release);
    json_t *m = json_pack("{s:s, s:I, s:s, s:s, s:f}", "processor", cpu, "processors",
                          (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "kernel", kernel, "openssl",
                          OpenSSL_version(OPENSSL_VERSION_STRING), "load_at_start", load[0]);
    mem_free(cpu);
    mem_free(kernel);
    return m;
}

json_t *report_new(const char *title, int argc, char *const argv[]) {
    char text[32];
    time_t now = time(NULL);
    struct tm utc;
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    struct buf command = BUF_INIT;
    buf_append_cstr(&command, "dalang");
    for (int i = 0; i < argc; i++) {
        buf_printf(&command, " %s", argv[i]);
    }
    json_t *r = json_pack("{s:s, s:s, s:s, s:o, s:[], s:[], s:[], s:[], s:[]}", "title", title, "command", command.ptr,
                          "time", text, "machine", machine(), "columns", "figures", "goals", "plots", "notes");
    buf_free(&command);
    return r;
}

size_t report_column(json_t *r, const char *name, bool floor) {
    json_t *columns = json_object_get(r, "columns");
    json_array_append_new(columns, json_pack("{s:s, s:b}", "name", name, "floor", (int)floor));
    return json_array_size(columns) - 1;
}

/* The element of a list whose member `key` is `value`, or NULL. */
static json_t *find(const json_t *r, const char *list, const char *key, const char *value) {
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(r, list), i, item) {
        if (str_eq(json_str(item, key), value)) {
            return item;
        }
    }
    return NULL;
}

void report_figure(json_t *r, const char *key, const char *label, const char *unit, size_t column, double value) {
    json_t *figure = find(r, "figures", "key", key);
    if (figure == NULL) {
        figure = json_pack("{s:s, s:s, s:s, s:[]}", "key", key, "label", label, "unit", unit, "values");
        json_array_append_new(json_object_get(r, "figures"), figure);
    }
    json_t *values = json_object_get(figure, "values");
    while (json_array_size(values) <= column) {
        json_array_append_new(values, json_null());
    }
    json_array_set_new(values, column, json_real(value));
}

bool report_value(const json_t *r, const char *key, size_t column, double *out) {
    const json_t *value = json_array_get(json_object_get(find(r, "figures", "key", key), "values"), column);
    *out = json_number_value(value);
    return json_is_number(value);
}

void report_goal(json_t *r, const char *key, size_t column, enum report_goal_kind kind, double limit) {
    static const char *const kinds[] = {"ratio", "at-most", "at-least"};
    double value, floor;
    if (!report_value(r, key, column, &value)) {
        return;
    }
    if (kind == REPORT_RATIO) {
        if (!report_value(r, key, 0, &floor) || floor <= 0) {
            return;
        }
        value /= floor;
    }
    const bool met = kind == REPORT_AT_LEAST ? value >= limit : value <= limit;
    const char *label = json_str(find(r, "figures", "key", key), "label");
    json_array_append_new(json_object_get(r, "goals"),
                          json_pack("{s:s, s:s, s:I, s:s, s:f, s:f, s:b}", "key", key, "label", label, "column",
                                    (json_int_t)column, "kind", kinds[kind], "limit", limit, "value", value, "met",
                                    (int)met));
}

void report_note(json_t *r, const char *format, ...) {
    struct buf text = BUF_INIT;
    va_list args;
    va_start(args, format);
    buf_vprintf(&text, format, args);
    va_end(args);
    json_array_append_new(json_object_get(r, "notes"), json_string(text.ptr));
    buf_free(&text);
}

json_t *report_series(json_t *r, const struct report_axes *axes, const char *name) {
    json_t *plot = find(r, "plots", "title", axes->title);
    if (plot == NULL) {
        plot = json_pack("{s:s, s:s, s:s, s:b, s:b, s:[]}", "title", axes->title, "x", axes->x, "y", axes->y, "log_x",
                         (int)axes->log_x, "log_y", (int)axes->log_y, "series");
        json_array_append_new(json_object_get(r, "plots"), plot);
    }
    json_t *series = json_pack("{s:s, s:[]}", "name", name, "points");
    json_array_append_new(json_object_get(plot, "series"), series);
    return series;
}

void report_point(json_t *series, double x, double y) {
    json_array_append_new(json_object_get(series, "points"), json_pack("[f, f]", x, y));
}

static const char *const lists[] = {"columns", "figures", "goals", "plots", "notes"};

bool report_valid(const json_t *r, struct error *err) {
    size_t i;
    json_t *figure;
    for (i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
        if (!json_is_array(json_object_get(r, lists[i]))) {
            return error_set(err, "bench", "is no report: \"%s\" is not there", lists[i]);
        }
    }
    json_array_foreach(json_object_get(r, "figures"), i, figure) {
        if (json_str(figure, "key") == NULL || json_str(figure, "label") == NULL || json_str(figure, "unit") == NULL) {
            return error_set(err, "bench", "is no report: figure %zu needs key, label and unit", i + 1);
        }
    }
    return json_str(r, "title") != NULL || error_set(err, "bench", "is no report: \"title\" is not there");
}

/* ---- as a table */

static void with_commas(struct buf *out, double value) {
    char digits[64];
    snprintf(digits, sizeof(digits), "%.0f", value < 0 ? -value : value);
    const size_t len = strlen(digits);
    buf_append_cstr(out, value <= -0.5 ? "-" : "");
    for (size_t i = 0; i < len; i++) {
        buf_append_cstr(out, i > 0 && (len - i) % 3 == 0 ? "," : "");
        buf_append_char(out, digits[i]);
    }
}

void report_number(struct buf *out, double value, const char *unit) {
    const double size = value < 0 ? -value : value;
    const bool whole = strcmp(unit, "B") == 0 || strcmp(unit, "/s") == 0 || strcmp(unit, "") == 0;
    if (whole || size >= 1000) {
        with_commas(out, value);
    } else {
        buf_printf(out, "%.*f", size >= 100 ? 0 : size >= 10 ? 1 : 2, value);
    }
}

static size_t width_of(const char *text) { /* in characters of UTF-8 */
    size_t width = 0;
    for (; *text != '\0'; text++) {
        width += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return width;
}

static void pad(FILE *to, const char *text, size_t width, bool right) {
    const int spaces = width > width_of(text) ? (int)(width - width_of(text)) : 0;
    fprintf(to, "%*s%s%*s", right ? spaces : 0, "", text, right ? 0 : spaces, "");
}

enum { COLUMN_WIDTH = 26, LABEL_MIN = 20 };

static size_t label_width(const json_t *r) {
    size_t i, width = LABEL_MIN;
    json_t *figure;
    json_array_foreach(json_object_get(r, "figures"), i, figure) {
        const size_t this = width_of(json_str(figure, "label"));
        width = this > width ? this : width;
    }
    return width + 2;
}

static void print_row(const json_t *r, const json_t *figure, size_t label, FILE *to) {
    const size_t columns = json_array_size(json_object_get(r, "columns"));
    const char *unit = json_str(figure, "unit"), *key = json_str(figure, "key");
    const bool floor = json_bool(json_array_get(json_object_get(r, "columns"), 0), "floor", false);
    double first = 0, value;
    const bool compared = columns > 1 && report_value(r, key, 0, &first) && first != 0;
    pad(to, json_str(figure, "label"), label, false);
    for (size_t i = 0; i < columns; i++) {
        struct buf text = BUF_INIT;
        if (!report_value(r, key, i, &value)) {
            buf_append_cstr(&text, "-");
        } else {
            report_number(&text, value, unit);
            buf_printf(&text, "%s%s",
                       strcmp(unit, "us") == 0             ? " µs"
                       : unit[0] == '\0' || unit[0] == '/' ? ""
                                                           : " ",
                       strcmp(unit, "us") == 0 ? "" : unit);
            if (i > 0 && compared) {
                buf_printf(&text, " (%.2f x)", value / first);
            }
        }
        pad(to, text.ptr, i == 0 && floor ? COLUMN_WIDTH - 10 : COLUMN_WIDTH, true);
        buf_free(&text);
    }
    fputc('\n', to);
}

static void print_goals(const json_t *r, FILE *to) {
    size_t i;
    json_t *goal, *columns = json_object_get(r, "columns");
    json_array_foreach(json_object_get(r, "goals"), i, goal) {
        const char *kind = json_str(goal, "kind");
        const json_t *column = json_array_get(columns, (size_t)json_int(goal, "column", 0));
        struct buf value = BUF_INIT, limit = BUF_INIT;
        report_number(&value, json_number_value(json_object_get(goal, "value")), "x");
        report_number(&limit, json_number_value(json_object_get(goal, "limit")), "x");
        fprintf(to, "  %s  %s%s%s: %s%s, goal %s %s%s\n", json_bool(goal, "met", false) ? "met   " : "MISSED",
                json_str(goal, "label"), json_array_size(columns) > 2 ? ", " : "",
                json_array_size(columns) > 2 ? json_str(column, "name") : "", value.ptr,
                strcmp(kind, "ratio") == 0 ? " x the floor" : "",
                strcmp(kind, "at-least") == 0 ? "at least" : "at most", limit.ptr,
                strcmp(kind, "ratio") == 0 ? " x" : "");
        buf_free(&value);
        buf_free(&limit);
    }
}

void report_print(const json_t *r, FILE *to) {
    size_t i;
    json_t *item;
    const size_t label = label_width(r);
    fprintf(to, "%s\n\n", json_str(r, "title"));
    pad(to, "", label, false);
    json_array_foreach(json_object_get(r, "columns"), i, item) {
        const bool floor = json_bool(item, "floor", false);
        pad(to, json_str(item, "name"), floor ? COLUMN_WIDTH - 10 : COLUMN_WIDTH, true);
    }
    fputc('\n', to);
    json_array_foreach(json_object_get(r, "figures"), i, item) {
        print_row(r, item, label, to);
    }
    fputc('\n', to);
    print_goals(r, to);
    json_array_foreach(json_object_get(r, "notes"), i, item) {
        fprintf(to, "  %s\n", json_string_value(item));
    }
}
