#include "agent/files.h"
#include "base/mem.h"
#include <string.h>

bool files_make_parent(struct world *w, const char *path, struct error *err) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL || slash == path) {
        return true;
    }
    char *parent = span_dup(span_bytes(path, (size_t)(slash - path)));
    bool ok = world_file_mkdir(w, parent, 0750, true, err);
    mem_free(parent);
    return ok;
}

static bool copy_bytes(struct world *w, const char *from, struct world_file *out, struct error *err) {
    enum { PIECE = 1 << 20 };
    struct buf piece = BUF_INIT;
    uint64_t offset = 0;
    bool ok = true, more = true;
    while (ok && more) {
        buf_clear(&piece);
        ok = world_file_read_at(w, from, offset, PIECE, &piece, err) && world_file_put(out, buf_span(&piece), err);
        offset += piece.len;
        more = piece.len == PIECE;
    }
    buf_free(&piece);
    return ok;
}

bool files_copy(struct world *w, const char *from, const char *to, int mode, enum world_write how, struct error *err) {
    struct world_file *out = world_file_open(w, to, mode, how, err);
    if (out == NULL) {
        return false;
    }
    bool ok = copy_bytes(w, from, out, err);
    ok = world_file_close(out, ok, ok ? err : NULL) && ok;
    return ok && world_file_chmod(w, to, mode, err);
}

bool files_move(struct world *w, const char *from, const char *to, int mode, struct error *err) {
    if (world_file_rename(w, from, to, NULL)) {
        return world_file_chmod(w, to, mode, err);
    }
    return files_copy(w, from, to, mode, WORLD_WRITE_ATOMIC, err) && world_file_remove(w, from, false, err);
}
