/* What SQLite's result codes mean to the service. */
#include "orchestrator/store/internal.h"

static const struct {
    int code;
    const char *kind;
} kinds[] = {
    {SQLITE_FULL, "store/full"},        {SQLITE_BUSY, "store/locked"},        {SQLITE_LOCKED, "store/locked"},
    {SQLITE_CORRUPT, "store/corrupt"},  {SQLITE_NOTADB, "store/corrupt"},     {SQLITE_READONLY, "store/read-only"},
    {SQLITE_PERM, "store/read-only"},   {SQLITE_CONSTRAINT, "store/refused"}, {SQLITE_TOOBIG, "store/refused"},
    {SQLITE_MISMATCH, "store/refused"}, {SQLITE_RANGE, "store/refused"},
};

bool store_sqlite_error(sqlite3 *db, int code, const char *what, struct error *err) {
    const char *kind = "store/io";
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if (kinds[i].code == (code & 0xff)) {
            kind = kinds[i].kind;
        }
    }
    return error_set(err, kind, "the database cannot %s: %s", what,
                     db != NULL && sqlite3_errcode(db) == code ? sqlite3_errmsg(db) : sqlite3_errstr(code));
}

void store_copy_error(struct error *to, const struct error *from) {
    error_set(to, from->kind, "%s", from->msg);
}
