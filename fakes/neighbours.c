#include "fakes/neighbours.h"
#include "base/mem.h"
#include "fakes/puppetdb/puppetdb.h"
#include "fakes/puppetserver/puppetserver.h"

void fake_neighbours_submit(void *neighbours, const char *command, int version, const char *certname,
                            const json_t *payload) {
    const struct fake_neighbours *n = neighbours;
    struct error err = ERROR_INIT;
    (void)version; /* PuppetDB takes the newest, and so it is */
    if (n->puppetdb != NULL && !fake_puppetdb_command(n->puppetdb, command, payload, &err)) {
        log_warn(n->log, "PuppetDB did not take \"%s\" of %s: %s", command, certname, err.msg);
    }
    error_clear(&err);
}

json_t *fake_neighbours_query(void *neighbours, const json_t *ast, struct error *err) {
    const struct fake_neighbours *n = neighbours;
    if (n->puppetdb == NULL) {
        return json_array();
    }
    char *text = json_text(ast);
    json_t *rows = fake_puppetdb_query(n->puppetdb, span_of(text), err);
    mem_free(text);
    return rows;
}

json_t *fake_neighbours_classes(void *neighbours, const char *environment, struct error *err) {
    const struct fake_neighbours *n = neighbours;
    return fake_puppetserver_classes(n->puppetserver, environment, err);
}

json_t *fake_neighbours_nodes(void *neighbours, const json_t *inventory_query, struct error *err) {
    json_t *query = json_pack("[s, s, [s, [s], O]]", "from", "inventory", "extract", "certname", inventory_query);
    json_t *rows = fake_neighbours_query(neighbours, query, err), *names = rows != NULL ? json_array() : NULL;
    for (size_t i = 0; i < json_array_size(rows); i++) {
        json_array_append(names, json_object_get(json_array_get(rows, i), "certname"));
    }
    json_decref(rows);
    json_decref(query);
    return names;
}
