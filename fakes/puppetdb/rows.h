/* Runs SQL and writes its rows as JSON text. */
#ifndef DALANG_FAKES_PUPPETDB_ROWS_H
#define DALANG_FAKES_PUPPETDB_ROWS_H

#include "sql.h"
#include "store.h"

enum { ROWS_BYTES_MAX = 1024 * 1024 * 1024 }; /* of one answer */

/* Appends [{"column": value, …}, …]. False after setting err: "puppetdb/regex", "puppetdb/database". */
bool rows_write(struct pdb *s, const struct sql *sql, struct buf *out, struct error *err);
/* Rows without the brackets around them: how many. -1 on error. */
int64_t rows_write_bare(struct pdb *s, const struct sql *sql, struct buf *out, struct error *err);
/* The only number of the only row. */
bool rows_number(struct pdb *s, const struct sql *sql, int64_t *out, struct error *err);
/* A statement with the parameters bound; finalize it. NULL after setting err. */
sqlite3_stmt *rows_prepare(struct pdb *s, const char *text, const json_t *params, struct error *err);

#endif
