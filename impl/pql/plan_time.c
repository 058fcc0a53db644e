/* Times as PuppetDB reads them: it tries every format its library knows; these are the ones people write. */
#include "base/clock.h"
#include "plan.h"
#include <string.h>

struct cursor {
    struct span text;
    size_t at;
};

/* `least` to `most` digits. */
static bool number(struct cursor *c, size_t least, size_t most, int *out) {
    size_t n = 0;
    *out = 0;
    while (n < most && c->at < c->text.len && c->text.ptr[c->at] >= '0' && c->text.ptr[c->at] <= '9') {
        *out = *out * 10 + (c->text.ptr[c->at++] - '0');
        n++;
    }
    return n >= least;
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

/* Z, ±hh, ±hh:mm, ±hhmm, the last two also with seconds; the end of the text. */
static bool zone(struct cursor *c, int64_t *ms) {
    *ms = 0;
    if (take(c, "Zz")) {
        return at_end(c);
    }
    bool west = c->at < c->text.len && c->text.ptr[c->at] == '-';
    int units[3] = {0, 0, 0}; /* hours, minutes, seconds */
    if (!take(c, "+-") || !number(c, 2, 2, &units[0])) {
        return false;
    }
    for (int i = 1; i < 3 && !at_end(c); i++) {
        take(c, ":");
        if (!number(c, 2, 2, &units[i])) {
            return false;
        }
    }
    *ms = (int64_t)(units[0] * 3600 + units[1] * 60 + units[2]) * (west ? -1000 : 1000);
    return at_end(c) && units[0] < 24 && units[1] < 60 && units[2] < 60;
}

/* .5 of a unit of so many milliseconds; none is fine. */
static bool fraction(struct cursor *c, int64_t unit_ms, int64_t *ms) {
    enum { FRACTION_DIGITS_MAX = 9 };
    int64_t value = 0, tens = 1;
    int digit, digits = 0;
    *ms = 0;
    if (!take(c, ".,")) {
        return true;
    }
    while (digits <= FRACTION_DIGITS_MAX && number(c, 1, 1, &digit)) {
        value = value * 10 + digit;
        tens *= 10;
        digits++;
    }
    *ms = value * unit_ms / tens;
    return digits > 0 && digits <= FRACTION_DIGITS_MAX;
}

static int days_in(int year, int month) {
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool finish(const struct civil_time *t, int64_t more_ms, int64_t *ms) {
    if (t->month < 1 || t->month > 12 || t->day < 1 || t->day > days_in(t->year, t->month) || t->hour > 23 ||
        t->minute > 59 || t->second > 59) {
        return false;
    }
    *ms = time_from_civil(t) + more_ms;
    return true;
}

/* h[:m[:s]], a fraction of the last of them, and perhaps a zone */
static bool clock_part(struct cursor *c, struct civil_time *t, int64_t *more_ms) {
    static const int64_t unit_ms[] = {3600000, 60000, 1000};
    int *units[] = {&t->hour, &t->minute, &t->second};
    int64_t part, offset = 0;
    int i = 0;
    do {
        if (!number(c, 1, 2, units[i])) {
            return false;
        }
    } while (i < 2 && take(c, ":") && ++i > 0);
    if (!fraction(c, unit_ms[i], &part) || (!at_end(c) && !zone(c, &offset))) {
        return false;
    }
    *more_ms = part - offset;
    return true;
}

/* 2026, 2026-11, 2026-11-20, 2026-11-20T10:11:12.5+01:00 */
static bool iso(struct span text, int64_t *ms) {
    struct cursor c = {text, 0};
    struct civil_time t = {.month = 1, .day = 1};
    int64_t more_ms = 0;
    if (!number(&c, 4, 4, &t.year) ||
        (take(&c, "-") && (!number(&c, 1, 2, &t.month) || (take(&c, "-") && !number(&c, 1, 2, &t.day))))) {
        return false;
    }
    if (take(&c, "Tt") && !at_end(&c) && !clock_part(&c, &t, &more_ms)) {
        return false;
    }
    return at_end(&c) && finish(&t, more_ms, ms);
}

static bool clock_of_day(struct cursor *c, struct civil_time *t) {
    return number(c, 1, 2, &t->hour) && take(c, ":") && number(c, 1, 2, &t->minute) && take(c, ":") &&
           number(c, 1, 2, &t->second);
}

/* 2026-11-20 10:11:12 */
static bool with_blank(struct span text, int64_t *ms) {
    struct cursor c = {text, 0};
    struct civil_time t = {0};
    return number(&c, 4, 4, &t.year) && take(&c, "-") && number(&c, 1, 2, &t.month) && take(&c, "-") &&
           number(&c, 1, 2, &t.day) && take(&c, " ") && clock_of_day(&c, &t) && at_end(&c) && finish(&t, 0, ms);
}

/* 20261120, 20261120T101112Z, 20261120T101112.5+0100 */
static bool basic(struct span text, int64_t *ms) {
    struct cursor c = {text, 0};
    struct civil_time t = {0};
    int64_t part = 0, offset = 0;
    if (!number(&c, 4, 4, &t.year) || !number(&c, 2, 2, &t.month) || !number(&c, 2, 2, &t.day)) {
        return false;
    }
    if (take(&c, "Tt") &&
        (!number(&c, 2, 2, &t.hour) || !number(&c, 2, 2, &t.minute) || !number(&c, 2, 2, &t.second) ||
         (c.at < text.len && text.ptr[c.at] != ',' && !fraction(&c, 1000, &part)) || !zone(&c, &offset))) {
        return false;
    }
    return at_end(&c) && finish(&t, part - offset, ms);
}

static bool month_name(struct cursor *c, int *month) {
    static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    for (int i = 0; i < 12; i++) {
        char name[4] = {names[3 * i], names[3 * i + 1], names[3 * i + 2], '\0'};
        if (span_eq_nocase(span_sub(c->text, c->at, 3), name)) {
            c->at += 3;
            *month = i + 1;
            return true;
        }
    }
    return false;
}

/* Fri, 20 Nov 2026 10:11:12 +0000; which day of the week it says is not looked at */
static bool rfc822(struct span text, int64_t *ms) {
    struct cursor c = {text, 0};
    struct civil_time t = {0};
    int64_t offset;
    if (text.len < 5 || text.ptr[3] != ',' || text.ptr[4] != ' ') {
        return false;
    }
    c.at = 5;
    return number(&c, 1, 2, &t.day) && take(&c, " ") && month_name(&c, &t.month) && take(&c, " ") &&
           number(&c, 4, 4, &t.year) && take(&c, " ") && clock_of_day(&c, &t) && take(&c, " ") && zone(&c, &offset) &&
           finish(&t, -offset, ms);
}

bool plan_parse_time(struct span text, int64_t *ms) {
    return iso(text, ms) || with_blank(text, ms) || basic(text, ms) || rfc822(text, ms);
}
