/* Nodes: "deactivate node", "configure expiration". */
#include "base/json.h"
#include "store.h"

/* When the node was last heard of. */
static int64_t newest_word(struct pdb *s, int64_t node) {
    return pdb_number(
        s, INT64_MIN,
        "SELECT max(ifnull((SELECT producer_timestamp FROM factset WHERE node = ?1), 0), ifnull((SELECT "
        "producer_timestamp FROM catalog WHERE node = ?1), 0), ifnull((SELECT latest_report_time FROM node "
        "WHERE id = ?1), 0))",
        "i", node);
}

bool pdb_deactivate(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err) {
    const char *certname =
        json_is_string(payload) ? json_string_value(payload) : pdb_need_text(payload, "certname", err);
    if (certname == NULL) {
        return false;
    }
    int64_t when = pdb_time(payload, "producer_timestamp", now_ms);
    pdb_begin(s);
    int64_t node = pdb_node(s, certname);
    if (newest_word(s, node) <= when) {
        pdb_run(s, "UPDATE node SET deactivated = ?1 WHERE id = ?2 AND (deactivated IS NULL OR deactivated < ?1)", "ii",
                when, node);
    }
    pdb_end(s, true);
    return true;
}

bool pdb_configure_expiration(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err) {
    const char *certname = pdb_need_text(payload, "certname", err);
    const json_t *facts = json_object_get(json_object_get(payload, "expire"), "facts");
    if (certname == NULL) {
        return false;
    }
    if (!json_is_boolean(facts)) {
        return error_set(err, "puppetdb/payload", "the payload needs the flag 'expire.facts'");
    }
    int64_t when = pdb_time(payload, "producer_timestamp", now_ms);
    pdb_begin(s);
    pdb_run(s,
            "UPDATE node SET expires_facts = ?1, expires_facts_updated = ?2 WHERE id = ?3 AND "
            "ifnull(expires_facts_updated, ?2) <= ?2",
            "bii", json_is_true(facts) ? 1 : 0, when, pdb_node(s, certname));
    pdb_end(s, true);
    return true;
}
