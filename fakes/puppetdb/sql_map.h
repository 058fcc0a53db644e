/* Which SQL stands behind each entity and field. */
#ifndef DALANG_FAKES_PUPPETDB_SQL_MAP_H
#define DALANG_FAKES_PUPPETDB_SQL_MAP_H

#include "sql.h"

enum document_kind { DOCUMENT_NONE, DOCUMENT_FACTS /* of the node `document` */, DOCUMENT_TRUSTED, DOCUMENT_JSON };

struct sql_field {
    const char *name;
    const char *expr; /* compared, ordered and grouped by */
    enum row_kind kind;
    const char *shown; /* selected instead of expr; or NULL */
    enum document_kind document_kind;
    const char *document; /* node id or JSON text, for paths below */
    const char *postgres; /* what PuppetDB's SQL calls it, for error texts; or NULL */
};

struct sql_entity {
    const char *from;
    const char *node;               /* id of the node a row is of; or NULL */
    const struct sql_field *fields; /* ends with a NULL name */
};

const struct sql_entity *sql_entity(enum entity_id id);
const struct sql_field *sql_field(enum entity_id id, const char *name);

#endif
