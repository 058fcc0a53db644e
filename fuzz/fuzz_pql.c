/* links: pql base */
/* PQL text: the parser and the search for what would have been accepted must agree on every text; what is accepted is
 * an array that begins with "from", what is refused for its grammar gets PuppetDB's words. */
#include "base/mem.h"
#include "pql/ast.h"
#include "pql/pql.h"
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { SEARCHED_MAX = 400 }; /* longer texts are only parsed: the search is for people's eyes and takes its time */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct span text = span_bytes(data, size);
    struct error err = ERROR_INIT;
    if (size > SEARCHED_MAX || !span_is_utf8(text)) {
        return 0;
    }
    json_t *ast = pql_parse(text, &err);
    if (ast != NULL) {
        char *why = pql_explain(text);
        if (why != NULL || !ast_is(ast, "from")) {
            abort();
        }
        json_decref(ast);
    } else if (error_is(&err, "pql/syntax") && strncmp(err.msg, "PQL parse error at line ", 24) != 0) {
        abort();
    } else if (!error_is_set(&err)) {
        abort();
    }
    error_clear(&err);
    return 0;
}
