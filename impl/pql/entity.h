/* What PuppetDB knows: entities, their fields and how they relate (puppetdb.md §8.2, §14). Static tables. */
#ifndef DALANG_PQL_ENTITY_H
#define DALANG_PQL_ENTITY_H

#include "base/bytes.h"

enum entity_id {
    ENTITY_CATALOGS,
    ENTITY_CATALOG_INPUTS,
    ENTITY_CATALOG_INPUT_CONTENTS,
    ENTITY_EDGES,
    ENTITY_ENVIRONMENTS,
    ENTITY_EVENTS,
    ENTITY_FACTS,
    ENTITY_FACT_CONTENTS,
    ENTITY_FACT_NAMES,
    ENTITY_FACT_PATHS,
    ENTITY_FACTSETS,
    ENTITY_INVENTORY,
    ENTITY_NODES,
    ENTITY_PACKAGES,
    ENTITY_PACKAGE_INVENTORY,
    ENTITY_PRODUCERS,
    ENTITY_REPORTS,
    ENTITY_RESOURCES,
    /* the same with columns that only a request parameter brings */
    ENTITY_NODES_WITH_EXPIRATION,
    ENTITY_FACTSETS_WITH_PACKAGES,
    /* used by expansions and by endpoints of their own */
    ENTITY_NOT_ACTIVE_NODES,
    ENTITY_INACTIVE_NODES,
    ENTITY_LATEST_REPORT,
    ENTITY_LATEST_REPORT_ID,
    ENTITY_PARAMS,
    ENTITY_REPORT_LOGS,
    ENTITY_REPORT_METRICS,
    ENTITY_COUNT
};

/* As PuppetDB's engine declares them; §7 says which operators go with which. */
enum field_type {
    FIELD_STRING,
    FIELD_BOOLEAN,
    FIELD_NUMERIC,
    FIELD_TIMESTAMP,
    FIELD_ARRAY,        /* of text */
    FIELD_PATH,         /* path of a fact, an array of names and indexes */
    FIELD_ENCODED_PATH, /* the same where PuppetDB stores it as text */
    FIELD_SCALAR,       /* any JSON value; conditions see scalars */
    FIELD_DOCUMENT,     /* JSON object, asked by dotted path */
    FIELD_JSON,         /* JSON, only shown */
};

enum {
    FIELD_QUERYABLE = 1,
    FIELD_HIDDEN = 2,         /* not in results */
    FIELD_PROJECT_PATH = 4,   /* "facts.os.name" may be a column */
    FIELD_STORED_BOOLEAN = 8, /* declared as text, stored otherwise: what it is compared with must be that */
    FIELD_STORED_TIME = 16,
    FIELD_CONDITION = 32, /* stands for a condition: no column */
};

struct field {
    const char *name;
    enum field_type type;
    unsigned flags;
};

enum { RELATION_COLUMNS_MAX = 2 };

struct relation {
    const char *entity;                          /* as written in a query */
    const char *local[RELATION_COLUMNS_MAX + 1]; /* ends with NULL */
    const char *foreign[RELATION_COLUMNS_MAX + 1];
};

struct entity {
    enum entity_id id;
    const char *name;                      /* with underscores */
    const char *alias;                     /* in error texts */
    const struct field *fields;            /* in the order PuppetDB lists them; ends with a NULL name */
    const struct relation *relations;      /* ends with a NULL entity; may be NULL */
    const struct relation *more_relations; /* taken before `relations`; may be NULL */
    const char *dotted[2];                 /* fields that may be asked by dotted path */
    bool holds_reports;                    /* only reports of type agent are seen by default */
};

const struct entity *entity_get(enum entity_id id);
/* Without fields: what PuppetDB makes of an unknown one inside of a query. Its id is ENTITY_COUNT. */
const struct entity *entity_none(void);
const struct entity *entity_by_name(struct span name); /* "fact_contents"; what a select_… or an inner from may name */
const struct entity *entity_by_select(struct span name); /* "select_fact_contents"; or NULL */
const struct entity *entity_for_query(struct span name); /* what a query may be about; dashes are fine */
const struct field *entity_field(const struct entity *e, struct span name);     /* or NULL */
const struct relation *entity_relation(const struct entity *e, struct span to); /* or NULL */
bool entity_is_dotted(const struct entity *e, struct span field); /* "facts.x" where facts may be dotted */

/* 'a', 'b', and 'c': the names of the fields with (want) and without (but) these flags; sorted or as listed. */
void entity_list_fields(struct buf *out, const struct entity *e, unsigned want, unsigned but, bool sorted);

#endif
