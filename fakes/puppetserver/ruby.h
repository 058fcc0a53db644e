/* How Ruby prints JSON values; error texts and reports of the real server hold such. */
#ifndef DALANG_FAKES_PUPPETSERVER_RUBY_H
#define DALANG_FAKES_PUPPETSERVER_RUBY_H

#include "base/json.h"

void ps_ruby_inspect(struct buf *out, const json_t *value); /* appended */
/* As string interpolation prints it: a string without quotes, nil as nothing. mem_free() it. */
char *ps_ruby_text(const json_t *value);

#endif
