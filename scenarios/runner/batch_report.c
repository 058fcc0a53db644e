/* What people see of a run. */
#include "base/mem.h"
#include "scenarios/runner/batch_internal.h"
#include <inttypes.h>
#include <string.h>

static const char *world_word(enum scenario_world world) {
    return world == SCENARIO_SIM ? "sim" : "real";
}

/* 'it''s' as a shell reads it. */
static void quote(struct buf *out, const char *text) {
    buf_append_char(out, '\'');
    for (; *text != '\0'; text++) {
        if (*text == '\'') {
            buf_append_cstr(out, "'\\''");
        } else {
            buf_append_char(out, *text);
        }
    }
    buf_append_char(out, '\'');
}

char *batch_repeat_command(const struct batch_item *item) {
    struct buf text = BUF_INIT;
    buf_printf(&text, "dalang scenario run --world %s --seed %" PRIu64 " --only ", world_word(item->world), item->seed);
    quote(&text, item->scenario->name);
    buf_printf(&text, " %s", item->scenario->file);
    return buf_take(&text);
}

static void print_block(FILE *to, const char *label, const char *text) {
    for (const char *line = text; line != NULL && *line != '\0';) {
        size_t len = strcspn(line, "\n");
        fprintf(to, "  %-10s %.*s\n", line == text ? label : "", (int)len, line);
        line += len + (line[len] == '\n' ? 1 : 0);
    }
}

void batch_print_result(FILE *to, const struct batch_item *item, const struct run_result *r, bool quarantined) {
    const char *word = r->passed ? "pass" : quarantined ? "known" : "FAIL";
    fprintf(to, "%-5s %-4s  seed %-6" PRIu64 " %8.3f s  %s\n", word, world_word(item->world), item->seed,
            (double)r->took_us / 1e6, item->scenario->name);
    if (r->passed) {
        return;
    }
    print_block(to, r->where != NULL ? "step" : "reason", r->what);
    if (r->where != NULL) {
        print_block(to, "at", r->where);
    }
    print_block(to, "expected", r->expected);
    print_block(to, "last seen", r->seen);
    print_block(to, "actors", r->logs);
    char *repeat = batch_repeat_command(item);
    print_block(to, "repeat", repeat);
    mem_free(repeat);
}

json_t *batch_result_json(const struct batch_item *item, const struct run_result *r) {
    char hash[24];
    snprintf(hash, sizeof(hash), "%016" PRIx64, r->hash);
    char *repeat = batch_repeat_command(item);
    json_t *o = json_object();
    json_set(o, "name", json_string(item->scenario->name));
    json_set(o, "file", json_string(item->scenario->file));
    json_set(o, "line", json_integer(item->scenario->line));
    json_set(o, "world", json_string(world_word(item->world)));
    json_set(o, "seed", json_integer((json_int_t)item->seed));
    json_set(o, "passed", json_boolean(r->passed));
    json_set(o, "took_us", json_integer((json_int_t)r->took_us));
    json_set(o, "wall_us", json_integer((json_int_t)r->wall_us));
    json_set(o, "trace_hash", item->world == SCENARIO_SIM ? json_string(hash) : json_null());
    const struct {
        const char *key, *value;
    } texts[] = {{"at", r->where}, {"step", r->what}, {"expected", r->expected}, {"seen", r->seen}, {"logs", r->logs}};
    for (size_t i = 0; !r->passed && i < sizeof(texts) / sizeof(texts[0]); i++) {
        json_set(o, texts[i].key, texts[i].value != NULL ? json_string(texts[i].value) : json_null());
    }
    json_set(o, "repeat", json_string(repeat));
    mem_free(repeat);
    return o;
}
