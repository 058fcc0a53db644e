/* Keys and values of the JSON that the targets read. */
#ifndef DALANG_FUZZ_MUTATE_WORDS_H
#define DALANG_FUZZ_MUTATE_WORDS_H

#include "fuzz/mutate/mutate.h"

extern const struct mutate_words mutate_pcp_words, mutate_pxp_words, mutate_api_words;

#endif
