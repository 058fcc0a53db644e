/* Files about one run of a soak: what happened as Chrome trace events, and the last messages as a page. */
#ifndef DALANG_SOAK_RECORD_H
#define DALANG_SOAK_RECORD_H

#include "simulator/soak/soak.h"

struct record;
/* Either path may be NULL. Both files are made at once; error kind "record". */
struct record *record_new(const char *trace, const char *html, struct error *err);
/* Makes opts->started and ended its own. */
void record_watch(struct record *r, struct soak_opts *opts);
/* False: something could not be written. Frees it. */
bool record_close(struct record *r, struct error *err);

#endif
