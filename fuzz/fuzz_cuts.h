/* In how small pieces a stream is read a second time: it must come to the same. */
#ifndef DALANG_FUZZ_CUTS_H
#define DALANG_FUZZ_CUTS_H

#include <stddef.h>

static const size_t cuts[] = {1, 2, 3, 17, 200}; /* bytes at most */
enum { CUTS = sizeof(cuts) / sizeof(cuts[0]) };

/* What is replayed is cut in every way; while fuzzing, the length chooses one: there are inputs enough. */
#ifdef FUZZ_WITH_ENGINE
enum { CUTS_ALL = 0 };
#else
enum { CUTS_ALL = 1 };
#endif

static inline size_t cuts_first(size_t len) {
    return CUTS_ALL ? 0 : len % CUTS;
}

static inline size_t cuts_end(size_t len) {
    return CUTS_ALL ? (size_t)CUTS : len % CUTS + 1;
}

#endif
