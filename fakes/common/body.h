/* Request bodies checked against a table of fields, with the errors that RBAC and classifier share
 * (rbac.md §13, classifier.md §16), and content negotiation of error bodies. */
#ifndef DALANG_FAKES_COMMON_BODY_H
#define DALANG_FAKES_COMMON_BODY_H

#include "fakes/common/fake.h"

enum body_type {
    BODY_ANY,
    BODY_STRING,
    BODY_STRING_OR_NULL,
    BODY_STRING_OR_INT,
    BODY_BOOL,
    BODY_INT,
    BODY_OBJECT,
    BODY_ARRAY,
    BODY_ARRAY_OR_NULL,
    BODY_STRINGS, /* array of strings */
    BODY_INTS,    /* array of integers */
};

struct body_field {
    const char *key; /* NULL ends the table */
    enum body_type type;
    bool required;
};

/* Where errors go: a service's own way to write {kind, msg, details}. */
typedef void body_fail(struct http_exchange *ex, int status, const char *kind, json_t *details, const char *msg);

/* Checks a value; false after setting err (kind "schema-violation", details {submitted, schema, error}).
 * Unknown keys are refused. */
bool body_check(const json_t *body, const struct body_field *fields, struct error *err);
/* The request's body as an object that fits the table; NULL after answering 400 malformed-request or schema-violation.
 */
json_t *body_read(struct http_exchange *ex, const struct body_field *fields, body_fail *fail);
/* Any JSON; NULL after answering 400 malformed-request with details {body, error}. */
json_t *body_json(struct http_exchange *ex, body_fail *fail);

/* Does the Accept header admit this type ("application/json")? Absent: yes. */
bool body_accepts(const struct http_exchange *ex, const char *type);

#endif
