/* See real_host.h. */
#include "cli/real_host.h"

#include "base/mem.h"
#include "world/real.h"
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

enum { INTERRUPT_CHECK_MS = 100 };

struct real_host {
    struct world *world;
    unsigned interrupts;
};

static void turn(struct world *w) {
    real_world_turn(w, true);
}

static void on_interrupt(void *ctx) {
    ((struct real_host *)ctx)->interrupts++;
}

static unsigned interrupts(void *ctx) {
    return ((struct real_host *)ctx)->interrupts;
}

/* Waits for input while Ctrl-C is heeded: a blocking read would be restarted after the signal. */
static bool input_comes(struct real_host *self) {
    struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
    while (self->interrupts == 0) {
        if (poll(&in, 1, INTERRUPT_CHECK_MS) > 0) {
            return true;
        }
        real_world_turn(self->world, false);
    }
    return false;
}

static bool take_line(struct real_host *self, struct buf *line) {
    char c = '\0';
    while (input_comes(self) && read(STDIN_FILENO, &c, 1) == 1 && c != '\n') {
        buf_append_char(line, c);
    }
    return self->interrupts == 0 && (line->len > 0 || c == '\n');
}

static bool read_line(void *ctx, const char *prompt, bool secret, struct buf *line) {
    struct termios before, silent;
    bool silenced = secret && tcgetattr(STDIN_FILENO, &before) == 0;
    if (silenced) { /* before the prompt is seen: whoever answers at once must not be echoed */
        silent = before;
        silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &silent);
    }
    fputs(prompt, stderr);
    bool ok = take_line(ctx, line);
    if (silenced) {
        tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    }
    if (secret || !ok) {
        fputc('\n', stderr);
    }
    return ok;
}

static int utc_offset_s(void *ctx, int64_t wall_ms) {
    (void)ctx;
    time_t t = (time_t)(wall_ms / 1000);
    struct tm local;
    return localtime_r(&t, &local) != NULL ? (int)local.tm_gmtoff : 0;
}

static unsigned terminal_columns(void *ctx) {
    (void)ctx;
    struct winsize size;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static const char *nonempty(const char *text) {
    return text != NULL && text[0] != '\0' ? text : NULL;
}

int cli_main(const char *program, int argc, char *const argv[]) {
    mem_init_libraries();
    struct error err = ERROR_INIT;
    struct real_host self = {.world = real_world_new(&err)};
    if (self.world == NULL) {
        fprintf(stderr, "Error: %s\n", err.msg);
        error_clear(&err);
        return 1;
    }
    real_signal(self.world, SIGINT, on_interrupt, &self);
    const struct cli_host host = {
        .world = self.world,
        .turn = turn,
        .in = stdin,
        .out = stdout,
        .err = stderr,
        .in_tty = isatty(STDIN_FILENO),
        .out_tty = isatty(STDOUT_FILENO),
        .no_color = nonempty(getenv("NO_COLOR")) != NULL,
        .home = nonempty(getenv("HOME")),
        .stack_dir = nonempty(getenv("DALANG_DIR")),
        .global_dir = "/etc/puppetlabs/client-tools",
        .interrupts = interrupts,
        .utc_offset_s = utc_offset_s,
        .columns = terminal_columns,
        .read_line = read_line,
        .ctx = &self,
    };
    if (program == NULL) {
        const char *slash = strrchr(argv[0], '/');
        program = slash != NULL ? slash + 1 : argv[0];
    }
    int code;
    if (cli_is_program(program)) {
        code = cli_run(&host, program, argc, argv);
    } else {
        fprintf(stderr, "Error: %s is none of the client programs\n", program);
        code = 1;
    }
    real_world_free(self.world);
    return code;
}
