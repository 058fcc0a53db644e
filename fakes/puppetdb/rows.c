/* Rows as JSON text, written as they come. */
#include "rows.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "jsontext.h"
#include <string.h>

static void bind(sqlite3_stmt *stmt, int at, const json_t *value) {
    if (json_is_string(value)) {
        struct span text = json_span(value);
        sqlite3_bind_text64(stmt, at, text.len > 0 ? text.ptr : "", text.len, SQLITE_TRANSIENT, SQLITE_UTF8);
    } else if (json_is_integer(value)) {
        sqlite3_bind_int64(stmt, at, json_integer_value(value));
    } else if (json_is_real(value)) {
        sqlite3_bind_double(stmt, at, json_real_value(value));
    } else if (json_is_boolean(value)) {
        sqlite3_bind_int(stmt, at, json_is_true(value));
    } else {
        sqlite3_bind_null(stmt, at);
    }
}

static bool failed(struct pdb *s, struct error *err) {
    const char *why = sqlite3_errmsg(s->db);
    bool regex = strncmp(why, "ERROR: invalid regular expression", 33) == 0;
    return error_set(err, regex ? "puppetdb/regex" : "puppetdb/database", "%s", why);
}

sqlite3_stmt *rows_prepare(struct pdb *s, const char *text, const json_t *params, struct error *err) {
    sqlite3_stmt *stmt = NULL;
    s->reads_promised = false;
    if (sqlite3_prepare_v2(s->db, text, -1, &stmt, NULL) != SQLITE_OK) {
        failed(s, err);
        return NULL;
    }
    if (s->reads_promised) {
        pdb_keep_promises(s);
    }
    size_t i;
    json_t *value;
    json_array_foreach(params, i, value) {
        bind(stmt, (int)i + 1, value);
    }
    return stmt;
}

static void write_number(struct buf *out, sqlite3_stmt *stmt, int column) {
    if (sqlite3_column_type(stmt, column) == SQLITE_FLOAT) {
        char text[REAL_TEXT_LEN];
        jsontext_real(sqlite3_column_double(stmt, column), text);
        buf_append_cstr(out, text);
    } else {
        buf_printf(out, "%lld", (long long)sqlite3_column_int64(stmt, column));
    }
}

static void write_value(struct buf *out, sqlite3_stmt *stmt, int column, enum row_kind kind) {
    if (sqlite3_column_type(stmt, column) == SQLITE_NULL) {
        buf_append(out, "null", 4);
        return;
    }
    if (kind == ROW_NUMBER) {
        write_number(out, stmt, column);
    } else if (kind == ROW_BOOLEAN) {
        buf_append_cstr(out, sqlite3_column_int(stmt, column) != 0 ? "true" : "false");
    } else if (kind == ROW_TIME) {
        char text[TIME_TEXT_LEN];
        time_format_ms(sqlite3_column_int64(stmt, column), text);
        buf_printf(out, "\"%s\"", text);
    } else {
        struct span text = span_bytes(sqlite3_column_text(stmt, column), (size_t)sqlite3_column_bytes(stmt, column));
        if (kind == ROW_JSON) {
            buf_append_span(out, text);
        } else {
            json_write_string(out, text);
        }
    }
}

/* "name": of every column, written once; of two columns with one name only the last is shown. */
struct keys {
    char *text[ROW_COLUMNS_MAX]; /* NULL: not shown */
    size_t count;
};

static struct keys make_keys(const struct sql *sql) {
    struct keys keys = {.count = sql->column_count};
    for (size_t i = 0; i < sql->column_count; i++) {
        bool again = false;
        for (size_t k = i + 1; k < sql->column_count; k++) {
            again = again || strcmp(sql->columns[i].name, sql->columns[k].name) == 0;
        }
        if (!again) {
            struct buf key = BUF_INIT;
            json_write_string(&key, span_of(sql->columns[i].name));
            buf_append_char(&key, ':');
            keys.text[i] = buf_take(&key);
        }
    }
    return keys;
}

static void write_row(struct buf *out, sqlite3_stmt *stmt, const struct sql *sql, const struct keys *keys) {
    bool first = true;
    buf_append_char(out, '{');
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->text[i] != NULL) {
            buf_append_cstr(out, first ? "" : ",");
            buf_append_cstr(out, keys->text[i]);
            write_value(out, stmt, (int)i, sql->columns[i].kind);
            first = false;
        }
    }
    buf_append_char(out, '}');
}

int64_t rows_write_bare(struct pdb *s, const struct sql *sql, struct buf *out, struct error *err) {
    sqlite3_stmt *stmt = rows_prepare(s, sql->text.ptr, sql->params, err);
    if (stmt == NULL) {
        return -1;
    }
    struct keys keys = make_keys(sql);
    int64_t rows = 0;
    size_t start = out->len;
    int rc;
    while ((rc = sqlite3_step(stmt)) == SQLITE_ROW && out->len - start < ROWS_BYTES_MAX) {
        buf_append_cstr(out, rows++ > 0 ? "," : "");
        write_row(out, stmt, sql, &keys);
    }
    bool ok = rc == SQLITE_DONE;
    if (rc == SQLITE_ROW) {
        error_set(err, "puppetdb/database", "the answer is larger than %d bytes", (int)ROWS_BYTES_MAX);
    } else if (!ok) {
        failed(s, err);
    }
    for (size_t i = 0; i < keys.count; i++) {
        mem_free(keys.text[i]);
    }
    sqlite3_finalize(stmt);
    return ok ? rows : -1;
}

bool rows_write(struct pdb *s, const struct sql *sql, struct buf *out, struct error *err) {
    buf_append_char(out, '[');
    bool ok = rows_write_bare(s, sql, out, err) >= 0;
    buf_append_char(out, ']');
    return ok;
}

bool rows_number(struct pdb *s, const struct sql *sql, int64_t *out, struct error *err) {
    sqlite3_stmt *stmt = rows_prepare(s, sql->text.ptr, sql->params, err);
    if (stmt == NULL) {
        return false;
    }
    bool ok = sqlite3_step(stmt) == SQLITE_ROW;
    *out = ok ? sqlite3_column_int64(stmt, 0) : 0;
    if (!ok) {
        failed(s, err);
    }
    sqlite3_finalize(stmt);
    return ok;
}
