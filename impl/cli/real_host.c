/* See real_host.h. */
#include "cli/real_host.h"

#include "base/mem.h"
#include "world/real.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

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

static bool read_secret(void *ctx, struct buf *line) {
    (void)ctx;
    struct termios before, silent;
    bool terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    if (terminal) {
        silent = before;
        silent.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK);
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent);
    }
    int c;
    bool any = false;
    while ((c = fgetc(stdin)) != EOF && c != '\n') {
        any = true;
        buf_append_char(line, (char)c);
    }
    if (terminal) {
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    }
    return any || c == '\n';
}

static unsigned terminal_columns(void) {
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
        .columns = terminal_columns(),
        .no_color = nonempty(getenv("NO_COLOR")) != NULL,
        .home = nonempty(getenv("HOME")),
        .stack_dir = nonempty(getenv("DALANG_DIR")),
        .global_dir = "/etc/puppetlabs/client-tools",
        .interrupts = interrupts,
        .read_secret = read_secret,
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
