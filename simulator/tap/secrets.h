/* What a tap does not show unless it is asked to: a task's parameters that its metadata calls sensitive, and whatever
 * has a name that says it is secret. */
#ifndef DALANG_TAP_SECRETS_H
#define DALANG_TAP_SECRETS_H

#include "base/json.h"

#define TAP_HIDDEN "[hidden]"

struct tap_secrets {
    const char *const *names; /* of the user's own; parts of names, any case */
    size_t count;
};
bool tap_secret_name(const struct tap_secrets *s, const char *name);
/* The text of a JSON value with the secret members replaced, also inside of strings that hold JSON (a task's input and
 * output). Text that is no JSON is returned as it is. Appended. */
void tap_hide(const struct tap_secrets *s, struct span json, struct buf *out);
/* "/x?token=…" → "/x?token=[hidden]". Appended. */
void tap_hide_query(const struct tap_secrets *s, const char *target, struct buf *out);

#endif
