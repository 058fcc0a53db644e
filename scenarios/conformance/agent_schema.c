/* The dialect of JSON schema (pxp.md §10): for each keyword a value that passes and one that does not, as parameter "p"
 * of an external module's action. */
#include "base/mem.h"
#include "scenarios/conformance/agent_side.h"
#include <string.h>

struct dialect {
    const char *name, *schema, *good, *bad; /* bad NULL: nothing is refused */
};

static const struct dialect dialects[] = {
    {"type-string", "{\"type\": \"string\"}", "\"1\"", "1"},
    {"type-integer", "{\"type\": \"integer\"}", "1", "\"1\""},
    {"type-integer-real", "{\"type\": \"integer\"}", "-7", "1.5"},
    {"type-number", "{\"type\": \"number\"}", "1.5", "\"1.5\""},
    {"type-boolean", "{\"type\": \"boolean\"}", "true", "\"true\""},
    {"type-null", "{\"type\": \"null\"}", "null", "false"},
    {"type-array", "{\"type\": \"array\"}", "[]", "{}"},
    {"type-object", "{\"type\": \"object\"}", "{}", "[]"},
    {"type-list", "{\"type\": [\"string\", \"null\"]}", "null", "1"},
    {"properties", "{\"properties\": {\"a\": {\"type\": \"string\"}}}", "{\"a\": \"x\", \"b\": 1}", "{\"a\": 1}"},
    {"patternProperties", "{\"patternProperties\": {\"^n\": {\"type\": \"number\"}}}", "{\"n1\": 1, \"x\": \"y\"}",
     "{\"n1\": \"y\"}"},
    {"additionalProperties", "{\"properties\": {\"a\": {}}, \"additionalProperties\": false}", "{\"a\": 1}",
     "{\"b\": 1}"},
    {"additionalProperties-schema", "{\"properties\": {\"a\": {}}, \"additionalProperties\": {\"type\": \"string\"}}",
     "{\"a\": 1, \"b\": \"x\"}", "{\"b\": 1}"},
    {"required", "{\"type\": \"object\", \"required\": [\"a\", \"b\"]}", "{\"a\": 1, \"b\": 2}", "{\"a\": 1}"},
    {"items", "{\"items\": {\"type\": \"string\"}}", "[\"a\", \"b\"]", "[\"a\", 1]"},
    {"items-list", "{\"items\": [{\"type\": \"string\"}, {\"type\": \"integer\"}]}", "[\"a\", 1]", "[1, \"a\"]"},
    {"additionalItems", "{\"items\": [{}], \"additionalItems\": false}", "[1]", "[1, 2]"},
    {"enum", "{\"enum\": [\"red\", 7, null]}", "7", "\"blue\""},
    {"allOf", "{\"allOf\": [{\"minimum\": 1}, {\"maximum\": 3}]}", "2", "4"},
    {"anyOf", "{\"anyOf\": [{\"type\": \"string\"}, {\"minimum\": 10}]}", "12", "5"},
    {"oneOf", "{\"oneOf\": [{\"minimum\": 1}, {\"maximum\": 5}]}", "7", "3"},
    {"not", "{\"not\": {\"type\": \"string\"}}", "1", "\"x\""},
    {"dependencies", "{\"dependencies\": {\"a\": [\"b\"]}}", "{\"a\": 1, \"b\": 2}", "{\"a\": 1}"},
    {"dependencies-schema", "{\"dependencies\": {\"a\": {\"required\": [\"b\"]}}}", "{\"c\": 1}", "{\"a\": 1}"},
    {"minimum", "{\"minimum\": 3}", "3", "2"},
    {"maximum", "{\"maximum\": 3}", "3", "4"},
    {"exclusiveMinimum", "{\"minimum\": 3, \"exclusiveMinimum\": true}", "4", "3"},
    {"exclusiveMaximum", "{\"maximum\": 3, \"exclusiveMaximum\": true}", "2", "3"},
    {"multipleOf", "{\"multipleOf\": 3}", "9", "10"},
    {"minLength", "{\"minLength\": 2}", "\"\\u00e9\\u00e9\"", "\"\\u00e9\""},
    {"maxLength", "{\"maxLength\": 2}", "\"\\u00e9\\u00e9\"", "\"abc\""},
    {"minItems", "{\"minItems\": 1}", "[1]", "[]"},
    {"maxItems", "{\"maxItems\": 1}", "[1]", "[1, 2]"},
    {"uniqueItems", "{\"uniqueItems\": true}", "[1, \"1\"]", "[1, 2, 1]"},
    {"minProperties", "{\"minProperties\": 1}", "{\"a\": 1}", "{}"},
    {"maxProperties", "{\"maxProperties\": 1}", "{\"a\": 1}", "{\"a\": 1, \"b\": 2}"},
    {"pattern", "{\"pattern\": \"b+c\"}", "\"abbcd\"", "\"abd\""},
    {"annotations", "{\"title\": \"x\", \"description\": \"y\", \"format\": \"ipv4\"}", "\"no address\"", NULL},
};
enum { DIALECTS = sizeof(dialects) / sizeof(dialects[0]) };

char *schema_module(void) {
    struct buf out = BUF_INIT;
    buf_append_cstr(&out,
                    "#!/bin/sh\nif [ \"$1\" != metadata ]; then cat >/dev/null; echo '{}'; exit; fi\ncat <<'EOF'\n"
                    "{\"description\": \"schemas\", \"actions\": [");
    for (size_t i = 0; i < DIALECTS; i++) {
        buf_printf(&out,
                   "%s{\"name\": \"%s\", \"input\": {\"type\": \"object\", \"properties\": {\"p\": %s}}, \"results\": "
                   "{\"type\": \"object\"}}",
                   i != 0 ? ",\n" : "", dialects[i].name, dialects[i].schema);
    }
    buf_append_cstr(&out, "]}\nEOF\n");
    return buf_take(&out);
}

static void ask(struct stage *s, const struct dialect *d, const char *value) {
    char *data = str_printf(
        "{\"transaction_id\": \"${tx}\", \"module\": \"schemas\", \"action\": \"%s\", \"params\": {\"p\": %s}}",
        d->name, value);
    asks(s, "blocking", data);
    mem_free(data);
}

static void keyword(struct stage *s) {
    needs_modules(s);
    const struct dialect *d = s->c->data;
    ask(s, d, d->good);
    answers(s, "blocking_response", "{'transaction_id': '${tx}', 'results': {}}");
    if (d->bad != NULL) {
        ask(s, d, d->bad);
        char *text = str_printf("invalid input for blocking 'schemas %s' request (transaction ${tx})", d->name);
        answers_error(s, text);
        mem_free(text);
    }
}

#define KEYWORD(i, name)                                                                                               \
    {                                                                                                                  \
        "pxp2/schema/" name "-001", "Keyword " name ": a value that passes and one that does not.", "pxp.md §10",      \
            "pxp-14 agent-1-schema", keyword, &dialects[i], NULL, false                                                \
    }

const struct conform_case agent_schema_cases[] = {
    KEYWORD(0, "type-string"),
    KEYWORD(1, "type-integer"),
    KEYWORD(2, "type-integer-real"),
    KEYWORD(3, "type-number"),
    KEYWORD(4, "type-boolean"),
    KEYWORD(5, "type-null"),
    KEYWORD(6, "type-array"),
    KEYWORD(7, "type-object"),
    KEYWORD(8, "type-list"),
    KEYWORD(9, "properties"),
    KEYWORD(10, "patternProperties"),
    KEYWORD(11, "additionalProperties"),
    KEYWORD(12, "additionalProperties-schema"),
    KEYWORD(13, "required"),
    KEYWORD(14, "items"),
    KEYWORD(15, "items-list"),
    KEYWORD(16, "additionalItems"),
    KEYWORD(17, "enum"),
    KEYWORD(18, "allOf"),
    KEYWORD(19, "anyOf"),
    KEYWORD(20, "oneOf"),
    KEYWORD(21, "not"),
    KEYWORD(22, "dependencies"),
    KEYWORD(23, "dependencies-schema"),
    KEYWORD(24, "minimum"),
    KEYWORD(25, "maximum"),
    KEYWORD(26, "exclusiveMinimum"),
    KEYWORD(27, "exclusiveMaximum"),
    KEYWORD(28, "multipleOf"),
    KEYWORD(29, "minLength"),
    KEYWORD(30, "maxLength"),
    KEYWORD(31, "minItems"),
    KEYWORD(32, "maxItems"),
    KEYWORD(33, "uniqueItems"),
    KEYWORD(34, "minProperties"),
    KEYWORD(35, "maxProperties"),
    KEYWORD(36, "pattern"),
    KEYWORD(37, "annotations"),
    {NULL, NULL, NULL, NULL, NULL, NULL, NULL, false},
};
_Static_assert(DIALECTS == 38, "each keyword has its case");
