/* links: cli client sim_world net wire world base */
/* The files a user's client programs read: orchestrator.conf or puppet-access.conf, global and own (split at a NUL
 * byte), and the token file. Any bytes: read, or refused with a line that names the file. */
#include "base/mem.h"
#include "cli/internal.h"
#include "simulator/world/sim.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void forget(struct cli *cli) {
    mem_free(cli->service_url);
    mem_free(cli->environment);
    mem_free(cli->ca_cert);
    mem_free(cli->token_file);
    mem_free(cli->rbac_url);
    mem_free(cli->token);
}

static void load(const struct cli_host *host, bool access) {
    struct cli cli = {.host = host, .program = access ? "puppet-access" : "puppet-job"};
    struct error err = ERROR_INIT;
    bool ok = (access ? config_load_access : config_load_orchestrator)(&cli, &err);
    assert(ok == !error_is_set(&err));
    assert(ok || strstr(err.msg, ".conf") != NULL || strstr(err.msg, "is no service URL") != NULL);
    if (ok) {
        assert(cli.token_file != NULL);
        bool read = token_read(&cli, false, &err);
        assert(read == !error_is_set(&err));
        /* It goes into a header: nothing in it may end a line. */
        assert(cli.token == NULL || strpbrk(cli.token, "\r\n") == NULL);
    }
    error_clear(&err);
    forget(&cli);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    struct world *w = sim_host(sim, "laptop");
    struct cli_host host = {.world = w, .home = "/home", .global_dir = "/etc/client-tools"};
    struct span text = span_bytes(data, size), global = SPAN(""), own = SPAN("");
    static const char *const files[] = {"orchestrator.conf", "puppet-access.conf"};
    span_split(&text, '\0', &global);
    span_split(&text, '\0', &own);
    world_file_mkdir(w, "/etc/client-tools", 0755, true, NULL);
    world_file_mkdir(w, "/home/.puppetlabs/client-tools", 0755, true, NULL);
    world_file_write(w, "/home/.puppetlabs/token", text, 0600, WORLD_WRITE_PLAIN, NULL);
    for (size_t i = 0; i < 2; i++) {
        char *a = str_printf("/etc/client-tools/%s", files[i]);
        char *b = str_printf("/home/.puppetlabs/client-tools/%s", files[i]);
        if (global.len != 0) {
            world_file_write(w, a, global, 0644, WORLD_WRITE_PLAIN, NULL);
        }
        if (own.len != 0) {
            world_file_write(w, b, own, 0644, WORLD_WRITE_PLAIN, NULL);
        }
        load(&host, i == 1);
        mem_free(a);
        mem_free(b);
    }
    sim_free(sim);
    return 0;
}
