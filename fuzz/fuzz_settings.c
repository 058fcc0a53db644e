/* links: broker orchestrator agent sim_world net pxp pcp world base */
/* The daemons' configuration files. The first byte chooses broker, orchestrator or agent; the rest is the file. Any
 * bytes: settings whose limits hold, or an error that says what is wrong. */
#include "agent/settings.h"
#include "base/mem.h"
#include "broker/settings.h"
#include "orchestrator/settings.h"
#include "simulator/world/sim.h"
#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *no_env(void *ctx, const char *name) {
    (void)ctx, (void)name;
    return NULL;
}

static void check_error(bool ok, struct error *err) {
    assert(ok == !error_is_set(err));
    assert(ok || err->msg[0] != '\0');
    error_clear(err);
}

static void broker(struct world *w, const char *path) {
    struct error err = ERROR_INIT;
    struct broker_settings *s = broker_settings_load(w, &path, 1, NULL, no_env, NULL, &err);
    check_error(s != NULL, &err);
    if (s != NULL) {
        broker_settings_free(s);
    }
}

static void orchestrator(struct world *w, const char *path) {
    struct error err = ERROR_INIT;
    struct orchestrator_settings *s = orchestrator_settings_load(w, &path, 1, NULL, no_env, NULL, &err);
    check_error(s != NULL, &err);
    if (s != NULL) {
        assert(s->config.broker_count <= ORCHESTRATOR_BROKERS_MAX &&
               s->config.allowed_count <= ORCHESTRATOR_ALLOWED_MAX);
        orchestrator_settings_free(s);
    }
}

static void agent(struct world *w, const char *path) {
    struct error err = ERROR_INIT;
    struct agent_settings *s = agent_settings_new(&(struct agent_user){.is_root = true});
    char *argv[] = {"agent", "--config-file", (char *)(uintptr_t)path, NULL};
    agent_settings_arguments(s, 3, argv, &err);
    error_clear(&err);
    bool ok = agent_settings_file(s, w, &err);
    check_error(ok, &err);
    if (ok) {
        check_error(agent_settings_check(s, w, NULL, NULL, &err), &err);
    }
    agent_settings_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0) {
        return 0;
    }
    static void (*const readers[])(struct world * w, const char *path) = {broker, orchestrator, agent};
    struct sim *sim = sim_new(&(struct sim_opts){.seed = 1});
    struct world *w = sim_host(sim, "host");
    world_file_mkdir(w, "/etc", 0755, true, NULL);
    world_file_write(w, "/etc/f.conf", span_bytes(data + 1, size - 1), 0644, WORLD_WRITE_PLAIN, NULL);
    readers[data[0] % 3](w, "/etc/f.conf");
    sim_free(sim);
    return 0;
}
