/* What results.c and its two formats share. */
#ifndef DALANG_RESULTS_INTERNAL_H
#define DALANG_RESULTS_INTERNAL_H

#include "simulator/results/results.h"

/* Appends one character of `text`, and takes it off. What is no UTF-8 or a control character (other than tab and
 * line feed) comes as \x1b. True: it was a plain one, *c is its first byte and *len its length, nothing was appended.
 */
bool results_plain(struct buf *out, struct span *text, struct span *plain);

/* junit.c: the file's parts. The head is JUNIT_HEAD_SIZE bytes long whatever the counts are. */
enum { JUNIT_HEAD_SIZE = 512 };
void junit_head(struct buf *out, const struct results_opts *opts, const struct result_counts *counts,
                uint64_t duration_us);
void junit_properties(struct buf *out, const struct result_property *properties, size_t count, const char *indent);
void junit_case(struct buf *out, const struct result *one);
void junit_tail(struct buf *out, const char *interrupted, size_t done, size_t planned);

/* tap.c */
void tap_head(struct buf *out, size_t planned);
void tap_case(struct buf *out, const struct result *one, size_t number);

#endif
