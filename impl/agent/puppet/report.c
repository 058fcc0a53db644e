/* See report.h. Ruby's tags on the nodes do not matter. */
#include "agent/puppet/report.h"

#include "base/json.h"
#include <yaml.h>

static struct span text_of(const yaml_node_t *node) {
    return node != NULL && node->type == YAML_SCALAR_NODE
               ? span_bytes(node->data.scalar.value, node->data.scalar.length)
               : span_of(NULL);
}

static yaml_node_t *member(yaml_document_t *document, const yaml_node_t *mapping, const char *key) {
    if (mapping == NULL || mapping->type != YAML_MAPPING_NODE) {
        return NULL;
    }
    for (yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < mapping->data.mapping.pairs.top; p++) {
        if (span_eq_cstr(text_of(yaml_document_get_node(document, p->key)), key)) {
            return yaml_document_get_node(document, p->value);
        }
    }
    return NULL;
}

/* [[name, label, value]…] */
static json_t *read_metrics(yaml_document_t *document, const yaml_node_t *root) {
    json_t *metrics = json_object();
    const yaml_node_t *values =
        member(document, member(document, member(document, root, "metrics"), "resources"), "values");
    if (values == NULL || values->type != YAML_SEQUENCE_NODE) {
        return metrics;
    }
    for (yaml_node_item_t *i = values->data.sequence.items.start; i < values->data.sequence.items.top; i++) {
        const yaml_node_t *triple = yaml_document_get_node(document, *i);
        if (triple == NULL || triple->type != YAML_SEQUENCE_NODE ||
            triple->data.sequence.items.top - triple->data.sequence.items.start < 3) {
            continue;
        }
        struct span name = text_of(yaml_document_get_node(document, triple->data.sequence.items.start[0]));
        struct span value = text_of(yaml_document_get_node(document, triple->data.sequence.items.start[2]));
        int64_t number;
        if (span_to_i64(value, &number)) {
            json_object_setn_new_nocheck(metrics, name.ptr, name.len, json_integer(number));
        }
    }
    return metrics;
}

json_t *puppet_report_read(struct span yaml, struct error *err) {
    static const char *const keys[] = {"time", "transaction_uuid", "environment", "status"};
    yaml_parser_t parser;
    yaml_document_t document;
    if (!yaml_parser_initialize(&parser)) {
        error_set(err, "invalid_last_run_report", "no memory for a YAML parser");
        return NULL;
    }
    yaml_parser_set_input_string(&parser, (const unsigned char *)yaml.ptr, yaml.len);
    json_t *report = NULL;
    if (!yaml_parser_load(&parser, &document)) {
        error_set(err, "invalid_last_run_report", "%s at line %zu column %zu",
                  parser.problem != NULL ? parser.problem : "not YAML", parser.problem_mark.line + 1,
                  parser.problem_mark.column + 1);
        yaml_parser_delete(&parser);
        return NULL;
    }
    const yaml_node_t *root = yaml_document_get_root_node(&document);
    if (root != NULL && root->type == YAML_MAPPING_NODE) {
        report = json_object();
        for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
            struct span text = text_of(member(&document, root, keys[i]));
            json_set(report, keys[i], text.len > 0 ? json_str_new(text) : json_string("unknown"));
        }
        json_set(report, "metrics", read_metrics(&document, root));
    } else {
        error_set(err, "invalid_last_run_report", "it is not a report");
    }
    yaml_document_delete(&document);
    yaml_parser_delete(&parser);
    return report;
}
