/* PostgreSQL's to_char. */
#include "tochar.h"
#include "base/clock.h"
#include <stdio.h>
#include <string.h>

static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                     "July",    "August",   "September", "October", "November", "December"};
static const char *const days[] = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

enum letters { UPPER, FIRST_UPPER, LOWER };

static void append_name(struct buf *out, const char *name, enum letters letters, size_t len, bool padded) {
    size_t full = strlen(name);
    size_t shown = len != 0 && len < full ? len : full;
    for (size_t i = 0; i < shown; i++) {
        char c = name[i];
        if (letters == UPPER && c >= 'a' && c <= 'z') {
            c = (char)(c - 'a' + 'A');
        } else if (letters == LOWER && c >= 'A' && c <= 'Z') {
            c = (char)(c - 'A' + 'a');
        }
        buf_append_char(out, c);
    }
    enum { PADDED_TO = 9 }; /* "September", "Wednesday" */
    for (size_t i = shown; padded && len == 0 && i < PADDED_TO; i++) {
        buf_append_char(out, ' ');
    }
}

static int day_of_year(const struct civil_time *t) {
    struct civil_time first = {.year = t->year, .month = 1, .day = 1};
    struct civil_time day = {.year = t->year, .month = t->month, .day = t->day};
    return (int)((time_from_civil(&day) - time_from_civil(&first)) / 86400000) + 1;
}

enum unit {
    YEAR,
    YEAR2,
    MONTH_NUMBER,
    DAY_NUMBER,
    DAY_OF_YEAR,
    HOUR24,
    HOUR12,
    MINUTE,
    SECOND,
    MILLISECOND,
    HALF,
    MONTH_NAME,
    DAY_NAME,
    WEEKDAY,
    QUARTER
};

/* Longer keywords before those they begin with. */
static const struct {
    const char *word;
    enum unit unit;
    enum letters letters;
    size_t len; /* of a name: shown letters, 0: all, padded */
} keywords[] = {
    {"HH24", HOUR24, 0, 0},
    {"HH12", HOUR12, 0, 0},
    {"MONTH", MONTH_NAME, UPPER, 0},
    {"Month", MONTH_NAME, FIRST_UPPER, 0},
    {"month", MONTH_NAME, LOWER, 0},
    {"YYYY", YEAR, 0, 0},
    {"DDD", DAY_OF_YEAR, 0, 0},
    {"DAY", DAY_NAME, UPPER, 0},
    {"Day", DAY_NAME, FIRST_UPPER, 0},
    {"day", DAY_NAME, LOWER, 0},
    {"MON", MONTH_NAME, UPPER, 3},
    {"Mon", MONTH_NAME, FIRST_UPPER, 3},
    {"mon", MONTH_NAME, LOWER, 3},
    {"YY", YEAR2, 0, 0},
    {"MM", MONTH_NUMBER, 0, 0},
    {"DD", DAY_NUMBER, 0, 0},
    {"DY", DAY_NAME, UPPER, 3},
    {"Dy", DAY_NAME, FIRST_UPPER, 3},
    {"dy", DAY_NAME, LOWER, 3},
    {"HH", HOUR12, 0, 0},
    {"MI", MINUTE, 0, 0},
    {"SS", SECOND, 0, 0},
    {"MS", MILLISECOND, 0, 0},
    {"AM", HALF, UPPER, 0},
    {"PM", HALF, UPPER, 0},
    {"am", HALF, LOWER, 0},
    {"pm", HALF, LOWER, 0},
    {"D", WEEKDAY, 0, 0},
    {"Q", QUARTER, 0, 0},
};

static void append_unit(struct buf *out, const struct civil_time *t, size_t keyword, bool filled) {
    int twelve = t->hour % 12 == 0 ? 12 : t->hour % 12;
    int number = 0;
    switch (keywords[keyword].unit) {
    case YEAR:
        buf_printf(out, filled ? "%04d" : "%d", t->year);
        return;
    case DAY_OF_YEAR:
        buf_printf(out, filled ? "%03d" : "%d", day_of_year(t));
        return;
    case MILLISECOND:
        buf_printf(out, filled ? "%03d" : "%d", t->millisecond);
        return;
    case WEEKDAY:
        buf_printf(out, "%d", t->weekday + 1);
        return;
    case QUARTER:
        buf_printf(out, "%d", (t->month + 2) / 3);
        return;
    case HALF:
        append_name(out, t->hour < 12 ? "Am" : "Pm", keywords[keyword].letters, 2, false);
        return;
    case MONTH_NAME:
        append_name(out, months[t->month - 1], keywords[keyword].letters, keywords[keyword].len, filled);
        return;
    case DAY_NAME:
        append_name(out, days[t->weekday], keywords[keyword].letters, keywords[keyword].len, filled);
        return;
    case YEAR2:
        number = t->year % 100;
        break;
    case MONTH_NUMBER:
        number = t->month;
        break;
    case DAY_NUMBER:
        number = t->day;
        break;
    case HOUR24:
        number = t->hour;
        break;
    case HOUR12:
        number = twelve;
        break;
    case MINUTE:
        number = t->minute;
        break;
    case SECOND:
        number = t->second;
        break;
    }
    buf_printf(out, filled ? "%02d" : "%d", number);
}

void tochar_time(struct buf *out, int64_t ms, struct span mask) {
    struct civil_time t = time_civil(ms);
    bool quoted = false;
    for (size_t at = 0; at < mask.len;) {
        struct span rest = span_sub(mask, at, mask.len - at);
        if (*rest.ptr == '"') {
            quoted = !quoted;
            at++;
            continue;
        }
        bool filled = !span_starts_with(rest, "FM");
        size_t prefix = filled ? 0 : 2;
        struct span word = span_sub(rest, prefix, rest.len - prefix);
        size_t k = 0;
        size_t count = sizeof keywords / sizeof keywords[0];
        while (!quoted && k < count && !span_starts_with(word, keywords[k].word)) {
            k++;
        }
        if (!quoted && k < count) {
            append_unit(out, &t, k, filled);
            at += prefix + strlen(keywords[k].word);
        } else {
            buf_append_char(out, *rest.ptr);
            at++;
        }
    }
}

/* 9 is a digit or a blank, 0 a digit or a zero; one place is the sign's. Too few places: a number sign for each. */
void tochar_number(struct buf *out, int64_t number, struct span mask) {
    bool filled = !span_starts_with(mask, "FM");
    size_t places = 0, zero_from = (size_t)-1;
    for (size_t i = filled ? 0 : 2; i < mask.len; i++) {
        if (mask.ptr[i] == '9' || mask.ptr[i] == '0') {
            zero_from = mask.ptr[i] == '0' && zero_from == (size_t)-1 ? places : zero_from;
            places++;
        }
    }
    char digits[32];
    uint64_t magnitude = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    size_t len = (size_t)snprintf(digits, sizeof digits, "%llu", (unsigned long long)magnitude);
    struct buf body = BUF_INIT;
    bool sign_done = false;
    for (size_t i = 0; i < places; i++) {
        size_t left = places - i;
        bool digit = left <= len || i >= zero_from;
        if (digit && !sign_done) {
            buf_append_cstr(&body, number < 0 ? "-" : filled ? " " : "");
            sign_done = true;
        }
        buf_append_cstr(&body, digit || !filled ? "" : " ");
        if (len > places) {
            buf_append_char(&body, '#');
        } else if (digit) {
            buf_append_char(&body, left <= len ? digits[len - left] : '0');
        }
    }
    buf_append_span(out, buf_span(&body));
    buf_free(&body);
}
