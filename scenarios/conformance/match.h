/* Templates of JSON: what is sent and what is expected, short enough to read in a story.
 *
 *     {'id': '$uuid', 'message_type': '${error}', 'data': 'Not connected.', 'in_reply_to': '${sent}'}
 *
 * A template that has no double quotes may use single ones (\' for an apostrophe). ${name} is replaced by a variable's
 * text before the template is read. In an expectation a string that begins with '$' stands for more than itself:
 *
 *     $any  $string  $number  $int  $bool  $object  $array  $uuid
 *     $time (ISO 8601 UTC, whole seconds)   $time-ms (with fraction)   $absent (as a member's value)
 *     $like:GLOB ('*' is anything)   $re:REGEX (POSIX, whole string)   $keep:NAME (any string; sets the variable)
 *     $or:A|B|… (one of these texts)
 *
 * Objects must have exactly the members given; 'name?' is one that may be absent; a member '...' allows others. Arrays
 * match item by item; ['$each', T] means every item matches T (none is fine), ['$has', T, U] that some item matches
 * each of these, ['$set', T, U] the same and no others, and a last item '$more' allows others behind. */
#ifndef DALANG_CONFORMANCE_MATCH_H
#define DALANG_CONFORMANCE_MATCH_H

#include "base/json.h"
#include "base/map.h"

struct variables {
    struct map texts; /* char * */
};

void variables_init(struct variables *v);
void variables_free(struct variables *v);
void variables_set(struct variables *v, const char *name, const char *text);
const char *variables_get(const struct variables *v, const char *name); /* NULL when not set */
/* Replaces each ${name}; an unknown one is left as it is. mem_free() the text. */
char *variables_fill(const struct variables *v, const char *text);

/* A filled template as JSON. Asserts that it is some: templates are part of the program. */
json_t *template_read(const struct variables *v, const char *text);

/* Does `got` match? Else *why (mem_free() it) names the place, what was expected and what came. */
bool template_match(struct variables *v, const json_t *want, const json_t *got, char **why);

#endif
