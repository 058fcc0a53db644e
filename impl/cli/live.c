/* The status that stands below the printed lines on a terminal: counts by state and elapsed time, then the nodes that
 * run now. Two rows, rewritten in place, each cut to the terminal's width so that none ever wraps. */
#include "base/mem.h"
#include "cli/internal.h"
#include <string.h>

enum { COLUMNS_UNKNOWN = 80, COLUMNS_MAX = 500, MORE_WIDTH = 16 };

void live_start(struct live *l, struct cli *cli, bool on) {
    *l = (struct live){.cli = cli, .on = on, .since_us = world_now_us(cli->host->world)};
    map_init(&l->nodes);
}

void live_end(struct live *l) {
    live_hide(l);
    map_free(&l->nodes);
    l->on = false;
}

uint64_t live_elapsed_s(const struct live *l) {
    return (world_now_us(l->cli->host->world) - l->since_us) / 1000000;
}

void live_hide(struct live *l) {
    if (l->rows_shown > 0) {
        fputs("\r\033[K", l->cli->host->out);
        for (; l->rows_shown > 1; l->rows_shown--) {
            fputs("\033[A\033[K", l->cli->host->out);
        }
        l->rows_shown = 0;
    }
}

/* What is left of a row. */
struct row {
    struct cli *cli;
    size_t left;
};

static void put(struct row *row, enum colour c, const char *text) {
    size_t len = strlen(text);
    len = len < row->left ? len : row->left;
    fprintf(row->cli->host->out, "%s%.*s%s", colour_on(row->cli, c), (int)len, text, colour_off(row->cli, c));
    row->left -= len;
}

static void put_count(struct row *row, enum colour c, int64_t n, const char *word) {
    char text[48];
    snprintf(text, sizeof(text), "  %lld %s", (long long)n, word);
    put(row, n > 0 ? c : PLAIN, text);
}

static void put_counts(struct live *l, struct row *row) {
    char text[64];
    int64_t running = (int64_t)map_count(&l->nodes),
            waiting = l->total - running - l->finished - l->failed - l->skipped;
    snprintf(text, sizeof(text), "%lld/%lld finished", (long long)l->finished, (long long)l->total);
    put(row, l->finished > 0 ? GREEN : PLAIN, text);
    if (l->failed > 0) {
        put_count(row, RED, l->failed, "failed");
    }
    if (l->skipped > 0) {
        put_count(row, YELLOW, l->skipped, "skipped");
    }
    put_count(row, PLAIN, running, "running");
    put_count(row, PLAIN, waiting < 0 ? 0 : waiting, "waiting");
    uint64_t s = live_elapsed_s(l);
    snprintf(text, sizeof(text), "  %02llu:%02llu", (unsigned long long)(s / 60), (unsigned long long)(s % 60));
    put(row, PLAIN, text);
}

/* As many names as fit, then how many more there are. */
static void put_running(struct live *l, struct row *row) {
    size_t shown = 0, all = map_count(&l->nodes);
    put(row, PLAIN, "  ");
    for (struct map_iter i = map_iter(&l->nodes); map_next(&i); shown++) {
        size_t needed = i.key.len + (shown > 0 ? 2 : 0);
        if (shown > 0 && row->left < needed + (shown + 1 < all ? MORE_WIDTH : 0)) {
            break;
        }
        char *name = span_dup(i.key);
        put(row, PLAIN, shown > 0 ? ", " : "");
        put(row, YELLOW, name);
        mem_free(name);
    }
    if (shown < all) {
        char text[48];
        snprintf(text, sizeof(text), " +%zu more", all - shown);
        put(row, PLAIN, text);
    }
}

void live_show(struct live *l) {
    if (!l->on) {
        return;
    }
    live_hide(l);
    const struct cli_host *host = l->cli->host;
    unsigned columns = host->columns != NULL ? host->columns(host->ctx) : 0;
    columns = columns == 0 ? COLUMNS_UNKNOWN : columns > COLUMNS_MAX ? COLUMNS_MAX : columns;
    struct row row = {l->cli, columns - 1};
    put_counts(l, &row);
    l->rows_shown = 1;
    if (map_count(&l->nodes) > 0) {
        fputc('\n', host->out);
        row.left = columns - 1;
        put_running(l, &row);
        l->rows_shown = 2;
    }
    fflush(host->out);
}
