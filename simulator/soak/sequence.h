/* The last messages of a simulation as a sequence diagram: one HTML page without anything from outside. */
#ifndef DALANG_SOAK_SEQUENCE_H
#define DALANG_SOAK_SEQUENCE_H

#include "simulator/checks/checks.h"

enum { SEQUENCE_KEEP = 400, SEQUENCE_HOSTS_MAX = 24 };

struct sequence;
/* Keeps what checks tell (see checks_on_message()) and what becomes of hosts; `keep` of them, 0: SEQUENCE_KEEP. With
 * until_violation, keeps no more once `after` further ones have come behind the first violation. */
struct sequence *sequence_start(struct sim *sim, struct checks *checks, size_t keep, bool until_violation,
                                size_t after);
void sequence_write(const struct sequence *s, struct buf *html, const char *title);
void sequence_end(struct sequence *s); /* before checks and sim are freed */

#endif
