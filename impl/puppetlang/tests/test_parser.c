/* Expressions and definitions to trees. A tree is shown as (kind text children…), so a case is one line. */
#include "base/mem.h"
#include "puppetlang/ast.h"
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *const kinds[] = {
    [PL_UNDEF] = "undef",
    [PL_DEFAULT] = "default",
    [PL_CONCAT] = "concat",
    [PL_LIST] = "list",
    [PL_MAP] = "map",
    [PL_PAIR] = "pair",
    [PL_ACCESS] = "access",
    [PL_CALL] = "call",
    [PL_METHOD] = "method",
    [PL_LAMBDA] = "lambda",
    [PL_UNARY] = "unary",
    [PL_SPLAT] = "splat",
    [PL_BINARY] = "binary",
    [PL_ASSIGN] = "assign",
    [PL_SELECTOR] = "selector",
    [PL_IF] = "if",
    [PL_UNLESS] = "unless",
    [PL_CASE] = "case",
    [PL_OPTION] = "option",
    [PL_BLOCK] = "block",
    [PL_APPLY] = "apply",
    [PL_RESOURCE] = "resource",
    [PL_BODY] = "body",
    [PL_ATTRIBUTE] = "attribute",
    [PL_RESOURCE_DEFAULTS] = "defaults",
    [PL_RESOURCE_OVERRIDE] = "override",
    [PL_COLLECTOR] = "collector",
    [PL_CLASS] = "class",
    [PL_DEFINE] = "define",
    [PL_NODE] = "node",
    [PL_PLAN] = "plan",
    [PL_FUNCTION] = "function",
    [PL_TYPE_ALIAS] = "alias",
    [PL_PARAM] = "param",
    [PL_APPLICATION] = "application",
    [PL_SITE] = "site",
    [PL_MAPPING] = "mapping",
};

static const char *op_text(int op) {
    return op < PL_PUNCT_COUNT ? pl_punct_text((enum pl_punct)op)
                               : pl_keyword_text((enum pl_keyword)(op - PL_PUNCT_COUNT));
}

static void show(struct buf *b, const struct pl_node *n) {
    if (n == NULL) {
        buf_append_cstr(b, "-");
        return;
    }
    switch (n->kind) {
    case PL_BOOLEAN:
        buf_append_cstr(b, n->integer ? "true" : "false");
        return;
    case PL_INTEGER:
        buf_printf(b, "%" PRId64, n->integer);
        return;
    case PL_FLOAT:
        buf_printf(b, "%g", n->real);
        return;
    case PL_STRING:
        buf_printf(b, "'%s'", n->text);
        return;
    case PL_REGEX:
        buf_printf(b, "/%s/", n->text);
        return;
    case PL_VARIABLE:
        buf_printf(b, "$%s", n->text);
        return;
    case PL_NAME:
    case PL_TYPENAME:
        buf_append_cstr(b, n->text);
        return;
    default:
        break;
    }
    buf_printf(b, "(%s", kinds[n->kind]);
    if (n->kind == PL_BINARY || n->kind == PL_UNARY || n->kind == PL_ASSIGN) {
        buf_printf(b, " %s", op_text(n->op));
    } else if (n->kind == PL_MAPPING) {
        buf_printf(b, " %s", pl_keyword_text((enum pl_keyword)n->op));
    } else if (n->text != NULL && n->kind != PL_UNDEF && n->kind != PL_DEFAULT) {
        buf_printf(b, " %s", n->text);
    }
    for (size_t i = 0; i < n->count; i++) {
        buf_append_char(b, ' ');
        show(b, n->children[i]);
    }
    buf_append_char(b, ')');
}

/* The tree of a source, without the outer block when it holds one statement; or the code of the error. */
static char *parsed(const char *source, enum pl_dialect dialect) {
    struct error err = ERROR_INIT;
    struct buf b = BUF_INIT;
    struct pl_tree *tree = pl_parse(span_of(source), dialect, &err);
    if (tree == NULL) {
        assert_true(error_is_set(&err));
        assert_true(json_is_integer(json_object_get(err.details, "line")));
        buf_append_cstr(&b, strchr(err.kind, '/') + 1);
    } else {
        const struct pl_node *root = pl_tree_root(tree);
        show(&b, root->count == 1 ? root->children[0] : root);
    }
    error_clear(&err);
    pl_tree_free(tree);
    return buf_take(&b);
}

struct sample {
    const char *source, *tree;
};

static void check(const struct sample *samples, size_t count, enum pl_dialect dialect) {
    for (size_t i = 0; i < count; i++) {
        char *got = parsed(samples[i].source, dialect);
        if (strcmp(got, samples[i].tree) != 0) {
            fail_msg("%s\n  gives    %s\n  expected %s", samples[i].source, got, samples[i].tree);
        }
        mem_free(got);
    }
}

#define CHECK(samples, dialect) check(samples, sizeof(samples) / sizeof(samples)[0], dialect)

static void literals(void **state) {
    (void)state;
    static const struct sample samples[] = {
        {"0x1F", "31"},
        {"017", "15"},
        {"1e3", "1000"},
        {"1.5e-2", "0.015"},
        {"08", "bad-number"},
        {"0b1", "bad-number"},
        {"01.5", "bad-number"},
        {"1e", "bad-number"},
        {"0xG", "bad-number"},
        {".5", "syntax"},
        {"1.", "syntax"},
        {"9223372036854775807", "9223372036854775807"},
        {"9223372036854775808", "int-range"},
        {"true", "true"},
        {"undef", "(undef)"},
        {"default", "(default)"},
        {"a::b", "a::b"},
        {"d-e", "'d-e'"},
        {"_x", "'_x'"},
        {"::A::B", "::A::B"},
        {"$x", "$x"},
        {"$::a::b", "$::a::b"},
        {"$1", "$1"},
        {"$X", "bad-name"},
        {"$1a", "bad-name"},
        {"$", "syntax"},
        {"/a\\/b/", "/a\\/b/"},
        {"[]", "(list)"},
        {"[1, 'a',]", "(list 1 'a')"},
        {"[*$x, a => 1]", "(list (splat $x) (pair a 1))"},
        {"$m = {a => 1, 'b' => [2],}", "(assign = $m (map (pair a 1) (pair 'b' (list 2))))"},
        {"[type, function]", "(list type function)"},
        {"{if => 1}", "syntax"},
        {"attr", "reserved-word"},
        {"# only a comment", "(block)"},
        {"/* a */ 1 # b", "1"},
        {"/* a", "unclosed"},
        {"\x01", "syntax"},
        {"\xff", "syntax"},
        {"application", "application"},
        {"site", "site"},
    };
    CHECK(samples, PL_DIALECT_MANIFEST);
}

static void strings(void **state) {
    (void)state;
    static const struct sample samples[] = {
        {"'a\\'b\\\\c\\n'", "'a'b\\c\\n'"},
        {"'a", "unclosed"},
        {"\"a", "unclosed"},
        {"\"\"", "''"},
        {"\"a\\tb\\s\\$x\\u{41}\\u0042\\q\"", "'a\tb $xAB\\q'"},
        {"\"\\u{1F600}\"", "'\xf0\x9f\x98\x80'"},
        {"\"\\u{110000}\"", "'\\u{110000}'"},
        {"\"a\\\nb\"", "'ab'"},
        {"\"$\"", "'$'"},
        {"\"a$ b\"", "'a$ b'"},
        {"\"v:$x.b-$a::c\"", "(concat 'v:' $x '.b-' $a::c)"},
        {"\"$x[a]\"", "(concat $x '[a]')"},
        {"\"${x}\"", "(concat $x)"},
        {"\"${x[a][1]}y\"", "(concat (access (access $x (list a)) (list 1)) 'y')"},
        {"\"${x.length}\"", "(concat (method $x length (list)))"},
        {"\"${$x + 1}\"", "(concat (binary + $x 1))"},
        {"\"${x + 1}\"", "(concat (binary + x 1))"},
        {"\"${upcase('a')}\"", "(concat (call upcase (list 'a')))"},
        {"\"${undef}\"", "(concat $undef)"},
        {"\"${1}\"", "(concat $1)"},
        {"\"${if true { 'yes' } else { 'no' }}\"", "(concat (if true (block 'yes') (block 'no')))"},
        {"\"a${\"b${c}d\"}e\"", "(concat 'a' (concat 'b' $c 'd') 'e')"},
        {"\"abc ${x", "unclosed"},
        {"\"abc ${x y}\"", "syntax"},
        {"\"x${h['k-1']}y\"", "(concat 'x' (access $h (list 'k-1')) 'y')"},
        {"\"\\$x \\\"q\\\" \\\\\"", "'$x \"q\" \\'"},
    };
    CHECK(samples, PL_DIALECT_MANIFEST);
}

static void heredocs(void **state) {
    (void)state;
    static const struct sample samples[] = {
        {"@(E)\na\nb\nE\n", "'a\nb\n'"},
        {"@(E)\na\n-E", "'a'"},
        {"@(E)\n  a\n    b\n  | E\n", "'a\n  b\n'"},
        {"@(E)\n  a\n b\n  |- E\n", "'a\n b'"},
        {"@(E)\na\\tb $x\nE\n", "'a\\tb $x\n'"},
        {"@(E/t)\na\\tb\\n\\\\\nE\n", "'a\tb\\n\\\n'"},
        {"@(\"E\")\nv ${x}\nE\n", "(concat 'v ' $x '\n')"},
        {"@(\"E\"/$)\n\\$x $y\nE\n", "(concat '$x ' $y '\n')"},
        {"@(E/L)\na\\\nb\nE\n", "'ab\n'"},
        {"[@(A), @(B), 1]\na\nA\nb\nB\n", "(list 'a\n' 'b\n' 1)"},
        {"$x = @(A)\na\nA\n$y", "(block (assign = $x 'a\n') $y)"},
        {"@(E).upcase\na\nE\n", "(method 'a\n' upcase (list))"},
        {"@(E:json)\n{}\nE\n", "'{}\n'"},
        {"@(E)\na\n", "heredoc"},
        {"@(E", "heredoc"},
        {"@()\nx\n", "heredoc"},
        {"@(E/tt)\nE\n", "heredoc"},
        {"@(E/x)\nE\n", "heredoc"},
        {"@(\"E\")\n  ${\n  $x\n  }!\n  | E\n", "(concat $x '!\n')"},
    };
    CHECK(samples, PL_DIALECT_MANIFEST);
}

static void operators(void **state) {
    (void)state;
    static const struct sample samples[] = {
        {"2 + 3 * 4", "(binary + 2 (binary * 3 4))"},
        {"(2 + 3) * 4", "(binary * (binary + 2 3) 4)"},
        {"1 - 2 - 3", "(binary - (binary - 1 2) 3)"},
        {"10 - -3", "(binary - 10 (unary - 3))"},
        {"1 + 2 << 1", "(binary << (binary + 1 2) 1)"},
        {"1 < 2 == true", "(binary < 1 (binary == 2 true))"},
        {"-[1,2][0]", "(unary - (access (list 1 2) (list 0)))"},
        {"!$x =~ T", "(binary =~ (unary ! $x) T)"},
        {"!true == false", "(binary == (unary ! true) false)"},
        {"true or false and $x", "(binary or true (binary and false $x))"},
        {"1 in [1] and true", "(binary and (binary in 1 (list 1)) true)"},
        {"$a == 1 ? { 1 => 2, default => 3 }", "(selector (binary == $a 1) (list (pair 1 2) (pair (default) 3)))"},
        {"2 ? { 1 => 2 } == 3 + 1", "(binary == (selector 2 (list (pair 1 2))) (binary + 3 1))"},
        {"type(1)", "(call type (list 1))"},
        {"type", "syntax"},
        {"1 ? 1 => 'one'", "(selector 1 (list (pair 1 'one')))"},
        {"$a = $b = 3", "(assign = $a (assign = $b 3))"},
        {"$x += 1", "(assign += $x 1)"},
        {"[$a, [$b]] = $c", "(assign = (list $a (list $b)) $c)"},
        {"8 / 2 / 2", "(binary / (binary / 8 2) 2)"},
        {"'a' =~ /A/i", "(block (binary =~ 'a' /A/) i)"},
        {"$a / 2", "(binary / $a 2)"},
        {"$a [0]", "(block $a (list 0))"},
        {"$a[0]", "(access $a (list 0))"},
        {"$a[0, 1]", "(access $a (list 0 1))"},
        {"$a[]", "syntax"},
        {"1 +", "syntax"},
        {"1.2.3", "syntax"},
    };
    CHECK(samples, PL_DIALECT_MANIFEST);
}

static void calls(void **state) {
    (void)state;
    static const struct sample samples[] = {
        {"f()", "(call f (list))"},
        {"f(1, a => 2, 'b' => 3,)", "(call f (list 1 (pair a 2) (pair 'b' 3)))"},
        {"$x.f", "(method $x f (list))"},
        {"$x.f(1).g", "(method (method $x f (list 1)) g (list))"},
        {"$x.type", "(method $x type (list))"},
        {"$x.if", "syntax"},
        {"Integer('1')", "(call Integer (list '1'))"},
        {"Integer[1,2]('1')", "(call (access Integer (list 1 2)) (list '1'))"},
        {"[1].each |$i, Integer $v = 2, *$r| { f($i) }",
         "(method (list 1) each (list) (lambda (list (param i - -) (param v Integer 2) (param r - -)) "
         "(block (call f (list $i))) -))"},
        {"with() || >> Integer { 4 }", "(call with (list) (lambda (list) (block 4) Integer))"},
        {"notice 'a', 'b'", "(call notice (list 'a' 'b'))"},
        {"include foo::bar", "(call include (list foo::bar))"},
        {"return /re/", "syntax"},
        {"return(/re/)", "(call return (list /re/))"},
        {"return", "return"},
        {"break()", "(call break (list))"},
        {"$x\n(1)", "(block $x 1)"},
        {"f (1)", "(call f (list 1))"},
        {"with |$a, $a| { }", "syntax"},
        {"with() |$a, $a| { }", "duplicate-param"},
        {"f(1", "syntax"},
    };
    CHECK(samples, PL_DIALECT_MANIFEST);
}

static void control(void **state) {
    (void)state;
    static const struct sample samples[] = {
        {"if $a { 1 } elsif $b { 2 } else { 3 }", "(if $a (block 1) (if $b (block 2) (block 3)))"},
        {"if true { }", "(if true (block) -)"},
        {"unless $a { 1 } else { 2 }", "(unless $a (block 1) (block 2))"},
        {"case $a { 1, 'b': { 2 } *['a']: { 3 } default: { } }",
         "(case $a (option (list 1 'b') (block 2)) (option (list (splat (list 'a'))) (block 3)) "
         "(option (list (default)) (block)))"},
        {"$y = case 2 { 1: { 'one' } }", "(assign = $y (case 2 (option (list 1) (block 'one'))))"},
        {"case 1 { : { } }", "syntax"},
        {"if true 1", "syntax"},
        {"1; 2;; 3", "(block 1 2 3)"},
    };
    CHECK(samples, PL_DIALECT_MANIFEST);
}

static void catalogs(void **state) {
    (void)state;
    static const struct sample samples[] = {
        {"file { '/a': ensure => file, mode => '0644'; '/b': * => $h }",
         "(resource file (body '/a' (attribute ensure file) (attribute mode '0644')) (body '/b' (attribute * $h)))"},
        {"@@host { $name: }", "(resource host (body $name))"},
        {"class { 'a::b': x => 1 }", "(resource class (body 'a::b' (attribute x 1)))"},
        {"File { mode => '0644', }", "(defaults File (attribute mode '0644'))"},
        {"File['/a'] { mode +> '0644' }", "(override (access File (list '/a')) (attribute mode '0644'))"},
        {"User <| group == 'x' |> { shell => '/x' }", "(collector User (binary == group 'x') (attribute shell '/x'))"},
        {"Host <<| |>>", "(collector Host -)"},
        {"A['x'] -> B['y'] ~> C['z']",
         "(binary ~> (binary -> (access A (list 'x')) (access B (list 'y'))) (access C (list 'z')))"},
        {"Resource['file'] { '/a': }", "(resource (access Resource (list 'file')) (body '/a'))"},
        {"class a::b(Integer $x = 1, $y) inherits a { }",
         "(class a::b (list (param x Integer 1) (param y - -)) (block) 'a')"},
        {"define d($x) { notify { $title: } }",
         "(define d (list (param x - -)) (block (resource notify (body $title))))"},
        {"node 'a', /b/, default { }", "(node (list 'a' /b/ (default)) (block) -)"},
        {"node web1.example.com { }", "(node (list 'web1.example.com') (block) -)"},
        {"function f(Integer $x) >> Integer { $x }", "(function f (list (param x Integer -)) (block $x) Integer)"},
        {"type A::B = Variant[Integer, String]", "(alias A::B (access Variant (list Integer String)))"},
        {"file { '/a' ensure => file }", "syntax"},
        {"file { '/a': ensure file }", "syntax"},
        {"class a { ", "syntax"},
        {"node { }", "(node (list) (block) -)"},
    };
    CHECK(samples, PL_DIALECT_MANIFEST);
}

static void plans_and_applications(void **state) {
    (void)state;
    static const struct sample plans[] = {
        {"plan a::b(TargetSpec $t, $n = 1) { return $n }",
         "(plan a::b (list (param t TargetSpec -) (param n - 1)) (block (call return (list $n))))"},
        {"$r = apply($t, a => 1) { include x }",
         "(assign = $r (apply  include x  (list $t (pair a 1)) (block (call include (list x)))))"},
        {"$x.plan", "syntax"},
    };
    static const struct sample apps[] = {
        {"application shop(String $p) { shop::api { $name: consume => Sql[\"s-${name}\"] } }",
         "(application shop (list (param p String -)) (block (resource shop::api (body $name (attribute consume "
         "(access Sql (list (concat 's-' $name))))))))"},
        {"site { shop { 'eu': nodes => { Node['a'] => [A['x'], B['y']] } } }",
         "(site (block (resource shop (body 'eu' (attribute nodes (map (pair (access Node (list 'a')) (list (access A "
         "(list 'x')) (access B (list 'y'))))))))))"},
        {"Shop::Api produces Http { host => $h, port => 1, }",
         "(mapping produces Shop::Api Http (attribute host $h) (attribute port 1))"},
        {"Class['a'] consumes Sql { }", "(mapping consumes (access Class (list 'a')) Sql)"},
        {"A produces B", "syntax"},
    };
    CHECK(plans, PL_DIALECT_PLAN);
    CHECK(apps, PL_DIALECT_APP);
}

static void nesting_has_a_limit(void **state) {
    (void)state;
    struct buf b = BUF_INIT;
    for (int i = 0; i < 100000; i++) {
        buf_append_cstr(&b, "[");
    }
    char *got = parsed(b.ptr, PL_DIALECT_MANIFEST);
    assert_string_equal(got, "depth");
    mem_free(got);
    buf_clear(&b);
    for (int i = 0; i < 100000; i++) {
        buf_append_cstr(&b, "-");
    }
    got = parsed(b.ptr, PL_DIALECT_MANIFEST);
    assert_string_equal(got, "depth");
    mem_free(got);
    buf_clear(&b);
    for (int i = 0; i < 10000; i++) {
        buf_append_cstr(&b, "\"${");
    }
    got = parsed(b.ptr, PL_DIALECT_MANIFEST);
    assert_string_equal(got, "depth");
    mem_free(got);
    buf_free(&b);
}

static void places_are_known(void **state) {
    (void)state;
    struct error err = ERROR_INIT;
    struct pl_tree *tree = pl_parse(SPAN("$a = 1\n  $b = Sensitive('ü')\n"), PL_DIALECT_MANIFEST, &err);
    const struct pl_node *second = pl_child(pl_tree_root(tree), 1);
    assert_int_equal(pl_line(tree, second), 2);
    assert_true(span_eq_cstr(pl_source(tree, second), "$b = Sensitive('ü')"));
    assert_true(span_eq_cstr(pl_source(tree, pl_child(second, 1)), "Sensitive('ü')"));
    assert_null(pl_child(second, 7));
    pl_tree_free(tree);
    assert_null(pl_parse(SPAN("'ü'\n 1 )"), PL_DIALECT_MANIFEST, &err));
    assert_int_equal(json_integer_value(json_object_get(err.details, "line")), 2);
    assert_int_equal(json_integer_value(json_object_get(err.details, "column")), 4);
    assert_string_equal(err.msg, "expected an expression, found ')'");
    error_clear(&err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(literals),
        cmocka_unit_test(strings),
        cmocka_unit_test(heredocs),
        cmocka_unit_test(operators),
        cmocka_unit_test(calls),
        cmocka_unit_test(control),
        cmocka_unit_test(catalogs),
        cmocka_unit_test(plans_and_applications),
        cmocka_unit_test(nesting_has_a_limit),
        cmocka_unit_test(places_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
