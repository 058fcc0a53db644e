/* Files of the spool. */
#include "agent/spool.h"
#include "base/mem.h"
#include "pxp/body.h"
#include <string.h>

bool spool_id_valid(struct span id) {
    return id.len > 0 && id.len <= SPOOL_NAME_MAX && !span_eq_cstr(id, ".") && !span_eq_cstr(id, "..") &&
           span_find(id, '/') < 0 && !span_has_nul(id);
}

char *spool_path(const char *spool, struct span id, const char *file) {
    return str_printf("%s/%.*s%s%s", spool, (int)id.len, id.ptr, file != NULL ? "/" : "", file != NULL ? file : "");
}

bool spool_lacks(struct world *w, const char *spool, struct span id, const char *file) {
    char *path = spool_path(spool, id, file);
    struct error err = ERROR_INIT;
    struct world_stat st;
    bool absent = !world_file_lstat(w, path, &st, &err) && error_is(&err, "world/not-found");
    error_clear(&err);
    mem_free(path);
    return absent;
}

bool spool_exists(struct world *w, const char *spool, struct span id) {
    return !spool_lacks(w, spool, id, "metadata");
}

bool spool_has_directory(struct world *w, const char *spool, struct span id) {
    return !spool_lacks(w, spool, id, NULL);
}

void spool_time(int64_t ms, char out[TIME_TEXT_LEN]) {
    if (ms % 1000 == 0) {
        time_format_s(ms, out);
        return;
    }
    time_format_ms(ms, out);
    char *z = strrchr(out, 'Z');
    memcpy(z, "000Z", 5);
}

/* ---------------------------------------------------------------------------------------- records */

bool spool_write_record(struct world *w, const char *spool, struct span id, const json_t *record, struct error *err) {
    char *path = spool_path(spool, id, "metadata");
    struct buf text = BUF_INIT;
    json_write(&text, record);
    buf_append_char(&text, '\n');
    bool ok = world_file_write(w, path, buf_span(&text), SPOOL_FILE_MODE, WORLD_WRITE_ATOMIC, err);
    buf_free(&text);
    mem_free(path);
    return ok;
}

/* The directory's own entry must be durable too: else a power failure after the start could let the same
 * transaction run again. */
bool spool_create(struct world *w, const char *spool, struct span id, const json_t *record, struct error *err) {
    char *dir = spool_path(spool, id, NULL);
    bool has = spool_has_directory(w, spool, id) || world_file_mkdir(w, dir, SPOOL_DIR_MODE, false, err);
    bool ok = has && spool_write_record(w, spool, id, record, err) && world_file_sync(w, spool, err);
    if (has && !ok) {
        world_file_remove(w, dir, true, NULL);
    }
    mem_free(dir);
    return ok;
}

enum field_kind { FIELD_TEXT, FIELD_FLAG, FIELD_ANY };

/* A record has these and no others. */
static const struct {
    const char *key;
    enum field_kind kind;
    bool required;
} record_fields[] = {
    {"requester", FIELD_TEXT, true},
    {"module", FIELD_TEXT, true},
    {"action", FIELD_TEXT, true},
    {"request_params", FIELD_TEXT, true},
    {"transaction_id", FIELD_TEXT, true},
    {"request_id", FIELD_TEXT, true},
    {"notify_outcome", FIELD_FLAG, true},
    {"start", FIELD_TEXT, true},
    {"status", FIELD_TEXT, true},
    {"end", FIELD_TEXT, false},
    {"results_are_valid", FIELD_FLAG, false},
    {"results", FIELD_ANY, false},
    {"execution_error", FIELD_TEXT, false},
};

static bool record_valid(const json_t *record) {
    size_t known = 0;
    enum pxp_state state;
    for (size_t i = 0; i < sizeof(record_fields) / sizeof(record_fields[0]); i++) {
        const json_t *value = json_object_get(record, record_fields[i].key);
        enum field_kind kind = record_fields[i].kind;
        if (value == NULL
                ? record_fields[i].required
                : (kind == FIELD_TEXT && !json_is_string(value)) || (kind == FIELD_FLAG && !json_is_boolean(value))) {
            return false;
        }
        known += value != NULL;
    }
    return known == json_object_size(record) && pxp_state_parse(json_span(json_object_get(record, "status")), &state);
}

json_t *spool_read_record(struct world *w, const char *spool, struct span id, struct error *err) {
    char *path = spool_path(spool, id, "metadata");
    struct buf text = BUF_INIT;
    struct error why = ERROR_INIT;
    json_t *record = NULL;
    if (!world_file_read(w, path, SPOOL_RECORD_MAX, &text, &why)) {
        if (error_is(&why, "world/not-found")) {
            error_set(err, "agent/record", "metadata file of the transaction %.*s does not exist", (int)id.len, id.ptr);
        } else {
            error_set(err, "agent/record", "failed to read the metadata file of the transaction %.*s", (int)id.len,
                      id.ptr);
        }
    } else {
        record = json_parse(buf_span(&text), "agent/record", NULL);
        bool is_json = record != NULL;
        if (!is_json || !record_valid(record)) {
            error_set(err, "agent/record", "invalid %s in metadata file of the transaction %.*s",
                      is_json ? "data" : "JSON", (int)id.len, id.ptr);
            json_decref(record);
            record = NULL;
        }
    }
    error_clear(&why);
    buf_free(&text);
    mem_free(path);
    return record;
}

enum pxp_state spool_record_state(const json_t *record) {
    enum pxp_state state = PXP_UNKNOWN;
    pxp_state_parse(json_span(json_object_get(record, "status")), &state);
    return state;
}

void spool_record_finish(json_t *record, enum pxp_state state, int64_t now_ms, json_t *results, const char *error) {
    char end[TIME_TEXT_LEN];
    spool_time(now_ms, end);
    json_set(record, "status", json_string(pxp_state_name(state)));
    json_set(record, "end", json_string(end));
    json_set(record, "results_are_valid", json_boolean(error == NULL));
    if (error == NULL) {
        json_set(record, "results", json_incref(results));
    } else {
        json_set(record, "execution_error", pxp_json_text(span_of(error)));
    }
}

/* ---------------------------------------------------------------------------------------- process */

/* Leading digits are enough; false without any. */
static bool read_number(struct world *w, const char *path, int64_t *out, struct error *err) {
    enum { NUMBER_FILE_MAX = 64 };
    struct buf text = BUF_INIT;
    bool ok = world_file_read_at(w, path, 0, NUMBER_FILE_MAX, &text, err);
    if (ok) {
        struct span s = span_trim(buf_span(&text));
        size_t len = s.len > 0 && s.ptr[0] == '-' ? 1 : 0;
        while (len < s.len && s.ptr[len] >= '0' && s.ptr[len] <= '9') {
            len++;
        }
        ok = span_to_i64(span_sub(s, 0, len), out) || error_set(err, "agent/number", "invalid value in '%s'", path);
    }
    buf_free(&text);
    return ok;
}

enum spool_process spool_process_state(struct world *w, const char *spool, struct span id) {
    char *pid_path = spool_path(spool, id, "pid");
    char *birth_path = spool_path(spool, id, "pid_birth");
    enum spool_process state = SPOOL_NO_PID;
    int64_t pid;
    if (read_number(w, pid_path, &pid, NULL) && pid > 0) {
        state = world_pid_alive(w, pid) ? SPOOL_ALIVE : SPOOL_DEAD;
        struct buf noted = BUF_INIT;
        char birth[32] = "";
        if (state == SPOOL_ALIVE && world_file_read_at(w, birth_path, 0, sizeof birth, &noted, NULL) && noted.len > 0) {
            world_pid_birth(w, pid, birth);
            state = span_eq_cstr(buf_span(&noted), birth) ? SPOOL_ALIVE : SPOOL_DEAD;
        }
        buf_free(&noted);
    }
    mem_free(pid_path);
    mem_free(birth_path);
    return state;
}

bool spool_give_up(struct world *w, const char *spool, struct span id) {
    char *path = spool_path(spool, id, "pid");
    int64_t pid;
    bool ok = world_file_write(w, path, SPAN("0\n"), SPOOL_FILE_MODE, WORLD_WRITE_NEW, NULL) ||
              (read_number(w, path, &pid, NULL) && pid == 0); /* given up before, but not written down */
    mem_free(path);
    return ok;
}

void spool_note_birth(struct world *w, const char *spool, struct span id, int64_t pid) {
    char birth[32] = "";
    world_pid_birth(w, pid, birth);
    char *path = spool_path(spool, id, "pid_birth");
    world_file_write(w, path, span_of(birth), SPOOL_FILE_MODE, WORLD_WRITE_PLAIN, NULL);
    mem_free(path);
}

/* ---------------------------------------------------------------------------------------- output */

bool spool_has_exitcode(struct world *w, const char *spool, struct span id) {
    char *path = spool_path(spool, id, "exitcode");
    struct world_stat st;
    bool has = world_file_stat(w, path, &st, NULL);
    mem_free(path);
    return has;
}

static bool read_text(struct world *w, const char *spool, struct span id, const char *file, size_t max, struct buf *out,
                      struct error *err) {
    char *path = spool_path(spool, id, file);
    bool ok = world_file_read_at(w, path, 0, max, out, NULL) ||
              error_set(err, "agent/output", "failed to read file '%s'", path);
    mem_free(path);
    return ok;
}

bool spool_read_output(struct world *w, const char *spool, struct span id, size_t max, struct spool_output *out,
                       struct error *err) {
    *out = (struct spool_output){0};
    char *path = spool_path(spool, id, "exitcode");
    bool ok = (read_number(w, path, &out->exitcode, NULL) ||
               error_set(err, "agent/output", "failed to read file '%s'", path)) &&
              read_text(w, spool, id, "stdout", max, &out->out, err) &&
              read_text(w, spool, id, "stderr", max, &out->err, err);
    mem_free(path);
    if (!ok) {
        spool_output_free(out);
    }
    return ok;
}

void spool_output_free(struct spool_output *out) {
    buf_free(&out->out);
    buf_free(&out->err);
}
