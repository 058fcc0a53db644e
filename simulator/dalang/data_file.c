/* See data_file.h. */
#include "simulator/dalang/data_file.h"

bool read_data_file(struct world *w, const char *path, json_t **out, struct error *err) {
    struct buf text = BUF_INIT;
    *out = NULL;
    if (!world_file_read(w, path, DATA_FILE_MAX, &text, err)) {
        return false;
    }
    *out = json_parse(buf_span(&text), "usage", err);
    buf_free(&text);
    return *out != NULL || error_prefix(err, "%s", path);
}
