/* Calendar text; see clock.h. Days are counted as in Howard Hinnant's published civil-calendar arithmetic. */
#include "base/clock.h"

#include <stdio.h>

enum { MS_PER_DAY = 86400000 };

static int64_t floor_div(int64_t a, int64_t b) {
    return a / b - (a % b < 0);
}

static int64_t days_from_civil(int64_t y, int month, int day) {
    y -= month <= 2;
    int64_t era = floor_div(y, 400);
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * 146097 + day_of_era - 719468;
}

struct civil_time time_civil(int64_t ms) {
    int64_t days = floor_div(ms, MS_PER_DAY);
    int64_t rest = ms - days * MS_PER_DAY;
    int64_t z = days + 719468;
    int64_t era = floor_div(z, 146097);
    int64_t doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int month = (int)(mp < 10 ? mp + 3 : mp - 9);
    return (struct civil_time){
        .year = (int)(yoe + era * 400 + (month <= 2)),
        .month = month,
        .day = (int)(doy - (153 * mp + 2) / 5 + 1),
        .hour = (int)(rest / 3600000),
        .minute = (int)(rest / 60000 % 60),
        .second = (int)(rest / 1000 % 60),
        .millisecond = (int)(rest % 1000),
        .weekday = (int)(((days + 4) % 7 + 7) % 7),
    };
}

int64_t time_from_civil(const struct civil_time *c) {
    return days_from_civil(c->year, c->month, c->day) * MS_PER_DAY + c->hour * INT64_C(3600000) +
           c->minute * INT64_C(60000) + c->second * INT64_C(1000) + c->millisecond;
}

void time_format_s(int64_t ms, char out[TIME_TEXT_LEN]) {
    struct civil_time c = time_civil(ms);
    snprintf(out, TIME_TEXT_LEN, "%04d-%02d-%02dT%02d:%02d:%02dZ", c.year % 10000, c.month, c.day, c.hour, c.minute,
             c.second);
}

void time_format_ms(int64_t ms, char out[TIME_TEXT_LEN]) {
    struct civil_time c = time_civil(ms);
    snprintf(out, TIME_TEXT_LEN, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", c.year % 10000, c.month, c.day, c.hour,
             c.minute, c.second, c.millisecond);
}

/* Reads `digits` decimal digits. */
static bool read_number(struct span *s, size_t digits, int *out) {
    int value = 0;
    if (s->len < digits) {
        return false;
    }
    for (size_t i = 0; i < digits; i++) {
        if (s->ptr[i] < '0' || s->ptr[i] > '9') {
            return false;
        }
        value = value * 10 + (s->ptr[i] - '0');
    }
    *out = value;
    *s = span_sub(*s, digits, s->len);
    return true;
}

static bool read_char(struct span *s, char c) {
    if (s->len == 0 || s->ptr[0] != c) {
        return false;
    }
    *s = span_sub(*s, 1, s->len);
    return true;
}

static bool read_fraction(struct span *s, int *ms) {
    int scale = 100;
    size_t digits = 0;
    *ms = 0;
    for (; s->len > 0 && s->ptr[0] >= '0' && s->ptr[0] <= '9'; digits++) {
        *ms += (s->ptr[0] - '0') * scale;
        scale /= 10;
        *s = span_sub(*s, 1, s->len);
    }
    return digits > 0;
}

static bool read_zone(struct span *s, int *offset_minutes) {
    if (read_char(s, 'Z') || read_char(s, 'z')) {
        *offset_minutes = 0;
        return s->len == 0;
    }
    bool west = read_char(s, '-');
    int hours, minutes = 0;
    if ((!west && !read_char(s, '+')) || !read_number(s, 2, &hours)) {
        return false;
    }
    if (s->len > 0) {
        read_char(s, ':');
        if (!read_number(s, 2, &minutes)) {
            return false;
        }
    }
    *offset_minutes = (west ? -1 : 1) * (hours * 60 + minutes);
    return s->len == 0 && hours <= 23 && minutes <= 59;
}

static bool days_fit(const struct civil_time *c) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (c->month < 1 || c->month > 12) {
        return false;
    }
    bool leap = (c->year % 4 == 0 && c->year % 100 != 0) || c->year % 400 == 0;
    return c->day >= 1 && c->day <= lengths[c->month - 1] + (c->month == 2 && leap ? 1 : 0);
}

void time_format_http(int64_t ms, char out[TIME_TEXT_LEN]) {
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct civil_time t = time_civil(ms);
    snprintf(out, TIME_TEXT_LEN, "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.weekday], t.day, months[t.month - 1],
             t.year, t.hour, t.minute, t.second);
}

bool time_parse(struct span text, int64_t *ms) {
    struct civil_time c = {0};
    struct span s = text;
    int offset = 0;
    if (!read_number(&s, 4, &c.year) || !read_char(&s, '-') || !read_number(&s, 2, &c.month) || !read_char(&s, '-') ||
        !read_number(&s, 2, &c.day) || !days_fit(&c)) {
        return false;
    }
    if (s.len > 0) {
        if ((!read_char(&s, 'T') && !read_char(&s, 't') && !read_char(&s, ' ')) || !read_number(&s, 2, &c.hour) ||
            !read_char(&s, ':') || !read_number(&s, 2, &c.minute)) {
            return false;
        }
        if (read_char(&s, ':') && !read_number(&s, 2, &c.second)) {
            return false;
        }
        if ((read_char(&s, '.') || read_char(&s, ',')) && !read_fraction(&s, &c.millisecond)) {
            return false;
        }
        if (c.hour > 23 || c.minute > 59 || c.second > 60 || !read_zone(&s, &offset)) {
            return false;
        }
    }
    *ms = time_from_civil(&c) - offset * INT64_C(60000);
    return true;
}
