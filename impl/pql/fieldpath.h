/* Dotted fields: facts.mountpoints."/srv/a.b".size, facts.processors.models[2], facts.disks.match("sd.*") (puppetdb.md
 * §11). */
#ifndef DALANG_PQL_FIELDPATH_H
#define DALANG_PQL_FIELDPATH_H

#include "base/bytes.h"
#include "base/error.h"

enum field_part_kind { FIELD_PART_NAME, FIELD_PART_INDEXED, FIELD_PART_MATCH };

struct field_part {
    enum field_part_kind kind;
    char *text;    /* the name, or the pattern of match("…") */
    int64_t index; /* of FIELD_PART_INDEXED: name[index] */
};

struct field_path {
    struct field_part *parts; /* parts[0] is the field, always a name */
    size_t count;
};

/* False after setting err (kind "pql/field"). literal: match("…") is a name like any other. */
bool field_path_parse(struct span text, bool literal, struct field_path *out, struct error *err);
void field_path_free(struct field_path *p);
bool field_path_has(const struct field_path *p, enum field_part_kind kind);

#endif
