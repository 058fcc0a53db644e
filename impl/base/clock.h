/* Text of points in time. Times are milliseconds since the Unix epoch, UTC. */
#ifndef DALANG_BASE_CLOCK_H
#define DALANG_BASE_CLOCK_H

#include "base/bytes.h"

enum { TIME_TEXT_LEN = 32 };

void time_format_s(int64_t ms, char out[TIME_TEXT_LEN]);    /* 2030-01-02T03:04:05Z */
void time_format_ms(int64_t ms, char out[TIME_TEXT_LEN]);   /* 2030-01-02T03:04:05.678Z */
void time_format_http(int64_t ms, char out[TIME_TEXT_LEN]); /* Wed, 02 Jan 2030 03:04:05 GMT */
/* ISO 8601 date-time with optional fraction and "Z" or ±hh:mm (or ±hhmm); a bare date is midnight UTC. */
bool time_parse(struct span text, int64_t *ms);
/* Year, month 1-12, day, hour, minute, second, millisecond, weekday 0=Sunday: proleptic Gregorian, UTC. */
struct civil_time {
    int year, month, day, hour, minute, second, millisecond, weekday;
};
struct civil_time time_civil(int64_t ms);
int64_t time_from_civil(const struct civil_time *c); /* weekday ignored */

#endif
