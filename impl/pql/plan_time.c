/* Times as PuppetDB reads them: it tries every format its library knows; these are the ones people write. */
#include "base/clock.h"
#include "plan.h"
#include <string.h>

struct cursor {
    struct span text;
    size_t at;
};

static bool digits(struct cursor *c, size_t count, int *out) {
    *out = 0;
    for (size_t i = 0; i < count; i++) {
        char d = c->at + i < c->text.len ? c->text.ptr[c->at + i] : '\0';
        if (d < '0' || d > '9') {
            return false;
        }
        *out = *out * 10 + (d - '0');
    }
    c->at += count;
    return true;
}

static bool take(struct cursor *c, const char *one_of) {
    if (c->at < c->text.len && c->text.ptr[c->at] != '\0' && strchr(one_of, c->text.ptr[c->at]) != NULL) {
        c->at++;
        return true;
    }
    return false;
}

static bool at_end(const struct cursor *c) {
    return c->at == c->text.len;
}

/* Z, +hh:mm, -hhmm, +hh, GMT or UTC; nothing means UTC. */
static bool zone(struct cursor *c, int *minutes) {
    *minutes = 0;
    struct span rest = span_sub(c->text, c->at, c->text.len - c->at);
    if (rest.len == 0 || span_eq_cstr(rest, "Z") || span_eq_cstr(rest, "GMT") || span_eq_cstr(rest, "UTC")) {
        c->at = c->text.len;
        return true;
    }
    int sign = *rest.ptr == '-' ? -1 : 1;
    int hours, mins = 0;
    if (!take(c, "+-") || !digits(c, 2, &hours)) {
        return false;
    }
    if (!at_end(c)) {
        take(c, ":");
        if (!digits(c, 2, &mins)) {
            return false;
        }
    }
    *minutes = sign * (hours * 60 + mins);
    return at_end(c) && hours < 24 && mins < 60;
}

static bool fraction(struct cursor *c, int *ms) {
    int scale = 100;
    size_t start = c->at;
    *ms = 0;
    for (int d; digits(c, 1, &d); scale /= 10) {
        *ms += d * scale;
    }
    return c->at > start;
}

/* hh[:mm[:ss[.fff]]] and a zone */
static bool clock_part(struct cursor *c, struct civil_time *t, int *offset, bool colons) {
    if (!digits(c, 2, &t->hour)) {
        return false;
    }
    if ((!colons && !at_end(c) && strchr("Z+-", c->text.ptr[c->at]) == NULL) || (colons && take(c, ":"))) {
        if (!digits(c, 2, &t->minute)) {
            return false;
        }
        bool seconds = colons ? take(c, ":") : !at_end(c) && strchr("Z+-", c->text.ptr[c->at]) == NULL;
        if (seconds && !digits(c, 2, &t->second)) {
            return false;
        }
        if (seconds && take(c, ".,") && !fraction(c, &t->millisecond)) {
            return false;
        }
    }
    return zone(c, offset);
}

static int days_in(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool finish(const struct civil_time *t, int offset, int64_t *ms) {
    if (t->month < 1 || t->month > 12 || t->day < 1 || t->day > days_in(t->year, t->month) || t->hour > 23 ||
        t->minute > 59 || t->second > 59) {
        return false;
    }
    *ms = time_from_civil(t) - (int64_t)offset * 60000;
    return true;
}

/* 2026, 2026-11, 2026-11-20, 2026-11-20T10:11:12.5+01:00, with a blank for the T; 20261120, 20261120T101112Z */
static bool iso(struct span text, int64_t *ms) {
    struct cursor c = {text, 0};
    struct civil_time t = {.month = 1, .day = 1};
    int offset = 0;
    if (!digits(&c, 4, &t.year)) {
        return false;
    }
    bool dashes = take(&c, "-");
    if (dashes || !at_end(&c)) {
        if (!digits(&c, 2, &t.month)) {
            return false;
        }
        if (dashes ? take(&c, "-") : true) {
            if (!digits(&c, 2, &t.day)) {
                return false;
            }
        }
    }
    if (take(&c, dashes ? "T " : "T") && !clock_part(&c, &t, &offset, dashes)) {
        return false;
    }
    return at_end(&c) && finish(&t, offset, ms);
}

static bool month_name(struct cursor *c, int *month) {
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++) {
        if (span_eq(span_sub(c->text, c->at, 3), span_bytes(names + 3 * i, 3))) {
            c->at += 3;
            *month = i + 1;
            return true;
        }
    }
    return false;
}

/* Fri, 20 Nov 2026 10:11:12 +0000 */
static bool rfc822(struct span text, int64_t *ms) {
    struct cursor c = {text, 0};
    struct civil_time t = {0};
    int offset;
    if (text.len < 5 || text.ptr[3] != ',' || text.ptr[4] != ' ') {
        return false;
    }
    c.at = 5;
    return digits(&c, 2, &t.day) && take(&c, " ") && month_name(&c, &t.month) && take(&c, " ") &&
           digits(&c, 4, &t.year) && take(&c, " ") && digits(&c, 2, &t.hour) && take(&c, ":") &&
           digits(&c, 2, &t.minute) && take(&c, ":") && digits(&c, 2, &t.second) && take(&c, " ") &&
           zone(&c, &offset) && finish(&t, offset, ms);
}

bool plan_parse_time(struct span text, int64_t *ms) {
    return iso(text, ms) || rfc822(text, ms);
}
