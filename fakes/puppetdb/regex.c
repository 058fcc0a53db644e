/* PostgreSQL's regular expressions on PCRE2. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "regex.h"
#include "base/mem.h"
#include <pcre2.h>

struct regex {
    pcre2_code *code;
    pcre2_match_data *match;
    pcre2_match_context *limits;
};

/* \m, \M and \y stand between word characters and others; in brackets a backslash means what it means to PCRE2. */
static void rewrite(struct buf *out, struct span pattern) {
    static const struct {
        char escape;
        const char *meaning;
    } borders[] = {{'m', "\\b(?=\\w)"}, {'M', "\\b(?<=\\w)"}, {'y', "\\b"}, {'Y', "\\B"}, {'Z', "\\z"}};
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] != '\\' || i + 1 == pattern.len) {
            buf_append_char(out, pattern.ptr[i]);
            continue;
        }
        const char *meaning = NULL;
        for (size_t b = 0; b < sizeof borders / sizeof borders[0]; b++) {
            meaning = pattern.ptr[i + 1] == borders[b].escape ? borders[b].meaning : meaning;
        }
        if (meaning != NULL) {
            buf_append_cstr(out, meaning);
        } else {
            buf_append(out, pattern.ptr + i, 2);
        }
        i++;
    }
}

/* What PostgreSQL says where PCRE2 says this. */
static const char *complaint(int code) {
    switch (code) {
    case PCRE2_ERROR_MISSING_CLOSING_PARENTHESIS:
    case PCRE2_ERROR_UNMATCHED_CLOSING_PARENTHESIS:
    case PCRE2_ERROR_MISSING_COMMENT_CLOSING:
        return "parentheses () not balanced";
    case PCRE2_ERROR_MISSING_SQUARE_BRACKET:
        return "brackets [] not balanced";
    case PCRE2_ERROR_QUANTIFIER_INVALID:
        return "quantifier operand invalid";
    case PCRE2_ERROR_QUANTIFIER_OUT_OF_ORDER:
    case PCRE2_ERROR_QUANTIFIER_TOO_BIG:
        return "invalid repetition count(s)";
    case PCRE2_ERROR_CLASS_RANGE_ORDER:
    case PCRE2_ERROR_CLASS_INVALID_RANGE:
        return "invalid character range";
    case PCRE2_ERROR_UNKNOWN_POSIX_CLASS:
    case PCRE2_ERROR_POSIX_CLASS_NOT_IN_CLASS:
        return "invalid character class";
    case PCRE2_ERROR_BAD_SUBPATTERN_REFERENCE:
        return "invalid backreference number";
    case PCRE2_ERROR_END_BACKSLASH:
    case PCRE2_ERROR_END_BACKSLASH_C:
    case PCRE2_ERROR_UNKNOWN_ESCAPE:
    case PCRE2_ERROR_ESCAPE_INVALID_IN_CLASS:
        return "invalid escape \\ sequence";
    default:
        return "regular expression is too complex";
    }
}

struct regex *regex_new(struct span pattern, struct error *err) {
    struct buf rewritten = BUF_INIT;
    rewrite(&rewritten, pattern);
    int code;
    PCRE2_SIZE at;
    struct regex *r = mem_zalloc(sizeof *r);
    r->code = pcre2_compile((PCRE2_SPTR)(rewritten.ptr != NULL ? rewritten.ptr : ""), rewritten.len,
                            PCRE2_UTF | PCRE2_UCP | PCRE2_DOTALL | PCRE2_DOLLAR_ENDONLY, &code, &at, NULL);
    buf_free(&rewritten);
    if (r->code == NULL) {
        mem_free(r);
        error_set(err, "puppetdb/regex", "ERROR: invalid regular expression: %s", complaint(code));
        return NULL;
    }
    pcre2_jit_compile(r->code, PCRE2_JIT_COMPLETE); /* without it matching is only slower */
    r->match = pcre2_match_data_create_from_pattern(r->code, NULL);
    r->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(r->limits, REGEX_MATCH_LIMIT);
    pcre2_set_depth_limit(r->limits, REGEX_DEPTH_LIMIT);
    return r;
}

void regex_free(struct regex *r) {
    if (r != NULL) {
        pcre2_code_free(r->code);
        pcre2_match_data_free(r->match);
        pcre2_match_context_free(r->limits);
        mem_free(r);
    }
}

enum regex_result regex_match(const struct regex *r, struct span text) {
    int rc = pcre2_match(r->code, (PCRE2_SPTR)(text.len > 0 ? text.ptr : ""), text.len, 0, 0, r->match, r->limits);
    return rc >= 0                                                    ? REGEX_YES
           : rc == PCRE2_ERROR_NOMATCH || rc <= PCRE2_ERROR_UTF8_ERR1 ? REGEX_NO
                                                                      : REGEX_TOO_COMPLEX;
}
