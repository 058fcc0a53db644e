/* See data_file.h. */
#include "simulator/dalang/data_file.h"

#include "scenarios/runner/document.h"

static json_t *of_yaml(const char *path, struct span text, struct error *err) {
    struct doc_file *file = doc_parse(path, text, err);
    json_t *out = NULL;
    if (file != NULL && file->count == 1) {
        out = doc_json(file->documents[0]);
    } else if (file != NULL) {
        error_set(err, "usage", "%s: one YAML document is wanted; here are %zu", path, file->count);
    }
    doc_free(file);
    return out;
}

bool read_data_file(struct world *w, const char *path, json_t **out, struct error *err) {
    struct buf text = BUF_INIT;
    *out = NULL;
    if (!world_file_read(w, path, DATA_FILE_MAX, &text, err)) {
        return false;
    }
    struct span trimmed = span_trim(buf_span(&text));
    if (span_starts_with(trimmed, "{") || span_starts_with(trimmed, "[")) {
        *out = json_parse(trimmed, "usage", err);
        if (*out == NULL) {
            error_prefix(err, "%s", path);
        }
    } else {
        *out = of_yaml(path, buf_span(&text), err);
    }
    buf_free(&text);
    return *out != NULL;
}
