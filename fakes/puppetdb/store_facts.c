/* Facts: "replace facts". A fact whose text is the one already stored is left alone, so a run that changes three facts
 * of a hundred touches three. */
#include "base/json.h"
#include "base/mem.h"
#include "hash.h"
#include "jsontext.h"
#include "store.h"
#include <string.h>

/* In the order in which jsonb compares values of different types. */
enum value_kind { VALUE_NULL, VALUE_STRING, VALUE_NUMBER, VALUE_BOOLEAN };

static int64_t id_in(struct map *ids, struct span key) {
    return (int64_t)(intptr_t)map_get(ids, key);
}

static int64_t name_id(struct pdb *s, const char *name) {
    int64_t id = id_in(&s->name_ids, span_of(name));
    if (id != 0) {
        return id;
    }
    id = pdb_number(s, 0, "SELECT id FROM fact_name WHERE name = ?", "T", name);
    if (id == 0) {
        struct buf quoted = BUF_INIT;
        json_write_string(&quoted, span_of(name));
        pdb_run(s, "INSERT INTO fact_name(name, json) VALUES(?, ?)", "Tt", name, buf_span(&quoted));
        id = sqlite3_last_insert_rowid(s->db);
        buf_free(&quoted);
    }
    map_put(&s->name_ids, span_of(name), (void *)(intptr_t)id);
    return id;
}

/* Where a leaf stands: its path as JSON text without the closing bracket, and as PuppetDB's encoded text. */
struct place {
    struct buf path, encoded;
    int depth;
    int64_t name;
};

static void cut(struct buf *b, size_t len) {
    b->len = len;
    b->ptr[len] = '\0';
}

static int64_t path_id(struct pdb *s, struct place *at) {
    buf_append_char(&at->path, ']');
    struct span text = buf_span(&at->path);
    int64_t id = id_in(&s->path_ids, text);
    if (id == 0) {
        id = pdb_number(s, 0, "SELECT id FROM fact_path WHERE path = ?", "t", text);
    }
    if (id == 0) {
        pdb_run(s, "INSERT INTO fact_path(path, name, depth, encoded) VALUES(?, ?, ?, ?)", "tiit", text, at->name,
                (int64_t)at->depth, buf_span(&at->encoded));
        id = sqlite3_last_insert_rowid(s->db);
    }
    map_put(&s->path_ids, text, (void *)(intptr_t)id);
    cut(&at->path, at->path.len - 1);
    return id;
}

static void add_value(struct pdb *s, enum value_kind kind, struct span text) {
    pdb_run(s,
            kind == VALUE_NUMBER ? "INSERT INTO fact_value(kind, text, number) VALUES(?1, ?2, CAST(?2 AS NUMERIC))"
                                 : "INSERT INTO fact_value(kind, text) VALUES(?1, ?2)",
            "it", (int64_t)kind, text);
}

static int64_t value_id(struct pdb *s, const json_t *value) {
    struct buf text = BUF_INIT;
    enum value_kind kind = json_is_string(value)    ? VALUE_STRING
                           : json_is_number(value)  ? VALUE_NUMBER
                           : json_is_boolean(value) ? VALUE_BOOLEAN
                                                    : VALUE_NULL;
    if (kind == VALUE_STRING) {
        buf_append_span(&text, json_span(value));
    } else {
        jsontext_append(&text, value);
    }
    struct span value_text = buf_span(&text);
    buf_append_char(&text, (char)('0' + kind)); /* the key: text and kind */
    value_text.ptr = text.ptr;
    int64_t id = id_in(&s->value_ids, buf_span(&text));
    if (id != 0) {
        buf_free(&text);
        return id;
    }
    id = pdb_number(s, 0, "SELECT id FROM fact_value WHERE kind = ? AND text = ?", "it", (int64_t)kind, value_text);
    if (id == 0) {
        add_value(s, kind, value_text);
        id = sqlite3_last_insert_rowid(s->db);
    }
    if (map_count(&s->value_ids) >= STORE_VALUES_MAX) {
        map_free(&s->value_ids);
        map_init(&s->value_ids);
    }
    map_put(&s->value_ids, buf_span(&text), (void *)(intptr_t)id);
    buf_free(&text);
    return id;
}

/* What fact_paths calls the value's type; NULL: it does not list such. */
static const char *type_name(const json_t *value) {
    return json_is_string(value)    ? "string"
           : json_is_integer(value) ? "integer"
           : json_is_real(value)    ? "float"
           : json_is_boolean(value) ? "boolean"
                                    : NULL;
}

struct type_use {
    int64_t path;
    const char *type; /* static */
    int64_t change;
};

static void count_type(struct pdb *s, int64_t path, const char *type, int64_t change) {
    char *key = str_printf("%lld %s", (long long)path, type);
    struct type_use *use = map_get_cstr(&s->type_uses, key);
    if (use == NULL) {
        use = mem_zalloc(sizeof *use);
        use->path = path;
        use->type = type;
        map_put(&s->type_uses, span_of(key), use);
    }
    use->change += change;
    mem_free(key);
}

void pdb_flush_types(struct pdb *s, bool keep) {
    for (struct map_iter i = map_iter(&s->type_uses); map_next(&i);) {
        const struct type_use *use = i.value;
        if (keep && use->change != 0) {
            pdb_run(s,
                    "INSERT INTO path_type(path, type, uses) VALUES(?1, ?2, ?3) ON CONFLICT(path, type) DO UPDATE SET "
                    "uses = "
                    "uses + ?3",
                    "iTi", use->path, use->type, use->change);
            pdb_run(s, "DELETE FROM path_type WHERE path = ? AND uses <= 0", "i", use->path);
        }
        mem_free(i.value);
    }
    map_free(&s->type_uses);
    map_init(&s->type_uses);
}

static void add_leaf(struct pdb *s, int64_t node, struct place *at, const json_t *value) {
    int64_t path = path_id(s, at);
    pdb_run(s, "INSERT OR IGNORE INTO leaf(path, value, node) VALUES(?, ?, ?)", "iii", path, value_id(s, value), node);
    const char *type = type_name(value);
    if (type != NULL) {
        count_type(s, path, type, 1);
    }
}

static void add_leaves(struct pdb *s, int64_t node, struct place *at, const json_t *value);

/* One step down, by name or by index. */
static void add_below(struct pdb *s, int64_t node, struct place *at, const char *name, size_t index,
                      const json_t *value) {
    size_t path_len = at->path.len, encoded_len = at->encoded.len;
    buf_append_char(&at->path, ',');
    if (name != NULL) {
        json_write_string(&at->path, span_of(name));
        buf_printf(&at->encoded, "#~%s", name);
    } else {
        buf_printf(&at->path, "%zu", index);
        buf_printf(&at->encoded, "#~%zu", index);
    }
    at->depth++;
    add_leaves(s, node, at, value);
    at->depth--;
    cut(&at->path, path_len);
    cut(&at->encoded, encoded_len);
}

static void add_leaves(struct pdb *s, int64_t node, struct place *at, const json_t *value) {
    if (json_is_object(value)) {
        const char *key;
        json_t *item;
        json_object_foreach((json_t *)(uintptr_t)value, key, item) {
            add_below(s, node, at, key, 0, item);
        }
    } else if (json_is_array(value)) {
        size_t i;
        json_t *item;
        json_array_foreach(value, i, item) {
            add_below(s, node, at, NULL, i, item);
        }
    } else {
        add_leaf(s, node, at, value);
    }
}

/* The leaves of one fact of one node: path, and the type's name or null. */
static const char leaves_of_fact[] = "SELECT l.path, CASE v.kind WHEN 1 THEN 'string' WHEN 3 THEN 'boolean' WHEN 2 "
                                     "THEN CASE WHEN v.text GLOB '*[.eE]*' THEN "
                                     "'float' ELSE 'integer' END END FROM leaf l JOIN fact_path fp ON fp.id = l.path "
                                     "JOIN fact_value v ON v.id = l.value "
                                     "WHERE l.node = ? AND fp.name = ?";

static void remove_fact(struct pdb *s, int64_t node, int64_t name) {
    static const char *const types[] = {"string", "boolean", "integer", "float"};
    sqlite3_stmt *q = pdb_query(s, leaves_of_fact, "ii", node, name);
    while (sqlite3_step(q) == SQLITE_ROW) {
        for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
            if (str_eq((const char *)sqlite3_column_text(q, 1), types[i])) {
                count_type(s, sqlite3_column_int64(q, 0), types[i], -1);
            }
        }
    }
    sqlite3_reset(q);
    pdb_run(s,
            "DELETE FROM leaf WHERE (path, value, node) IN (SELECT l.path, l.value, l.node FROM leaf l JOIN fact_path "
            "fp ON "
            "fp.id = l.path WHERE l.node = ? AND fp.name = ?)",
            "ii", node, name);
    pdb_run(s, "DELETE FROM fact WHERE node = ? AND name = ?", "ii", node, name);
}

static void add_fact(struct pdb *s, int64_t node, const char *name, const json_t *value, struct span text) {
    struct place at = {.depth = 0, .name = name_id(s, name)};
    pdb_run(s, "INSERT INTO fact(node, name, value) VALUES(?, ?, ?)", "iit", node, at.name, text);
    buf_append_char(&at.path, '[');
    json_write_string(&at.path, span_of(name));
    buf_append_cstr(&at.encoded, name);
    add_leaves(s, node, &at, value);
    buf_free(&at.path);
    buf_free(&at.encoded);
}

/* What is stored now: name → text. */
static struct map stored_facts(struct pdb *s, int64_t node) {
    struct map facts;
    map_init(&facts);
    sqlite3_stmt *q = pdb_query(
        s, "SELECT n.name, f.value FROM fact f JOIN fact_name n ON n.id = f.name WHERE f.node = ?", "i", node);
    while (sqlite3_step(q) == SQLITE_ROW) {
        struct span name = span_bytes(sqlite3_column_text(q, 0), (size_t)sqlite3_column_bytes(q, 0));
        map_put(&facts, name, span_dup(span_bytes(sqlite3_column_text(q, 1), (size_t)sqlite3_column_bytes(q, 1))));
    }
    sqlite3_reset(q);
    return facts;
}

static void replace_values(struct pdb *s, int64_t node, const json_t *values) {
    struct map stored = stored_facts(s, node);
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)values, name, value) {
        struct buf text = BUF_INIT;
        jsontext_append(&text, value);
        char *old = map_remove(&stored, span_of(name));
        if (old == NULL || strcmp(old, text.ptr) != 0) {
            if (old != NULL) {
                remove_fact(s, node, name_id(s, name));
            }
            add_fact(s, node, name, value, buf_span(&text));
        }
        mem_free(old);
        buf_free(&text);
    }
    for (struct map_iter i = map_iter(&stored); map_next(&i);) {
        char *gone = span_dup(i.key);
        remove_fact(s, node, name_id(s, gone));
        mem_free(gone);
        mem_free(i.value);
    }
    map_free(&stored);
}

static void replace_packages(struct pdb *s, int64_t node, const json_t *packages) {
    pdb_run(s, "DELETE FROM node_package WHERE node = ?", "i", node);
    size_t i;
    json_t *p;
    json_array_foreach(packages, i, p) {
        const char *name = json_string_value(json_array_get(p, 0));
        const char *version = json_string_value(json_array_get(p, 1));
        const char *provider = json_string_value(json_array_get(p, 2));
        if (name == NULL || version == NULL || provider == NULL) {
            continue;
        }
        pdb_run(s, "INSERT OR IGNORE INTO package(name, version, provider) VALUES(?, ?, ?)", "TTT", name, version,
                provider);
        pdb_run(s,
                "INSERT OR IGNORE INTO node_package(node, package) SELECT ?, id FROM package WHERE name = ? AND "
                "version = ? "
                "AND provider = ?",
                "iTTT", node, name, version, provider);
    }
}

bool pdb_replace_facts(struct pdb *s, const json_t *payload, int64_t now_ms, struct error *err) {
    const char *certname = pdb_need_text(payload, "certname", err);
    const char *environment = certname != NULL ? pdb_need_text(payload, "environment", err) : NULL;
    const json_t *values = json_object_get(payload, "values");
    int64_t produced;
    if (environment == NULL || !pdb_need_time(payload, "producer_timestamp", &produced, err)) {
        return false;
    }
    if (!json_is_object(values)) {
        return error_set(err, "puppetdb/payload", "the payload needs the object 'values'");
    }
    char hash[HASH_HEX_LEN + 1];
    hash_of_facts(payload, hash);
    const char *given = json_str(payload, "hash");
    pdb_begin(s);
    int64_t node = pdb_node(s, certname);
    int64_t newest = pdb_number(s, INT64_MIN, "SELECT producer_timestamp FROM factset WHERE node = ?", "i", node);
    pdb_reactivate(s, node, produced);
    if (produced >= newest) {
        replace_values(s, node, values);
        pdb_run(s,
                "INSERT OR REPLACE INTO factset(node, environment, timestamp, producer_timestamp, producer, hash) "
                "VALUES(?, "
                "?, ?, ?, nullif(?, 0), ?)",
                "iiiiiT", node, pdb_environment(s, environment), pdb_time(payload, "timestamp", now_ms), produced,
                pdb_producer(s, json_str(payload, "producer")), given != NULL ? given : hash);
        replace_packages(s, node, json_object_get(payload, "package_inventory"));
    }
    pdb_end(s, true);
    return true;
}
