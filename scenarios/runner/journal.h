/* The last log lines of every actor, with the world's time, for the report of a failure. */
#ifndef DALANG_SCENARIO_JOURNAL_H
#define DALANG_SCENARIO_JOURNAL_H

#include "base/bytes.h"
#include "base/log.h"

enum { JOURNAL_LINES = 8, JOURNAL_ACTORS_MAX = 200, JOURNAL_LINE_MAX = 400 };

struct journal;
struct journal *journal_new(void);
void journal_free(struct journal *j);
/* Where the time comes from; NULL: lines are at 0. */
void journal_clock(struct journal *j, uint64_t (*now_us)(void *ctx), void *ctx);
/* A logger whose lines come here; the actor is the logger's name. */
struct logger journal_logger(struct journal *j, enum log_level level);
void journal_line(struct journal *j, const char *actor, const char *text);
/* Sees every line as it comes; NULL: nobody does any more. */
void journal_tap(struct journal *j, void (*on_line)(void *ctx, const char *actor, uint64_t at_us, const char *text),
                 void *ctx);
/* "  actor  12.345s  text", actors in the order of their names. Lines of the runner itself come first. */
void journal_print(const struct journal *j, struct buf *out);

#endif
