/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Tokens -> tree, by recursive descent:
 *
 *     expr    := unary { CONNECTIVE unary }       all of one kind
 *     unary   := ( "!" | "not" ) unary | "(" expr ")" | compare
 *     compare := operand COMPARISON operand
 *              | operand [ "!" | "not" ] WORD what-the-word-needs
 *
 * Everything that shows in the text is decided here and refused with its column: unknown
 * names, mixed connectives, wrong types, bad patterns and networks. What is left for a
 * request to get wrong is its values.
 */
#include "rules/m2_dataset.h"
#include "rules/m2_rule_int.h"

typedef struct parser_t {
    apr_pool_t *pool;
    m2_params_t *params;
    m2_err_t *err;
    m2_lexer_t lexer;
    int depth;
} parser_t;

static m2_code_t parse_expr(m2_expr_t **pexpr, parser_t *parser);

static m2_code_t advance(parser_t *parser)
{
    return m2_lex_next(&parser->lexer, parser->err);
}

static m2_code_t expected(const parser_t *parser, const char *what)
{
    return m2_err_at(parser->err, M2_E_CONFIG, 0, parser->lexer.column,
                     "%s expected, not %s", what,
                     m2_lex_describe(&parser->lexer, parser->pool));
}

static m2_code_t take(parser_t *parser, m2_tok_t tok, const char *what)
{
    return parser->lexer.tok == tok ? advance(parser) : expected(parser, what);
}

/* one level further in; the caller goes out again with parser->depth-- */
static m2_code_t enter(parser_t *parser)
{
    if (++parser->depth > M2_MAX_RULE_DEPTH) {
        return m2_err_at(parser->err, M2_E_CONFIG, 0, parser->lexer.column,
                         "more than %d levels of parentheses and negations",
                         M2_MAX_RULE_DEPTH);
    }
    return advance(parser);
}

static m2_expr_t *make_node(parser_t *parser, m2_expr_kind_t kind)
{
    m2_expr_t *expr = apr_pcalloc(parser->pool, sizeof(*expr));

    expr->kind = kind;
    return expr;
}

static m2_expr_t *make_parent(parser_t *parser, m2_expr_kind_t kind, m2_expr_t *kid)
{
    m2_expr_t *expr = make_node(parser, kind);

    expr->kids = apr_array_make(parser->pool, 2, sizeof(m2_expr_t *));
    APR_ARRAY_PUSH(expr->kids, m2_expr_t *) = kid;
    return expr;
}

/* --- operands --- */

typedef m2_code_t operand_fn(m2_operand_t *operand, parser_t *parser);

static m2_code_t read_variable(m2_operand_t *operand, parser_t *parser)
{
    m2_slice_t name = parser->lexer.lexeme;

    operand->kind = M2_OPERAND_VARIABLE;
    operand->index = m2_params_find(parser->params, name);
    if (operand->index < 0) {
        return m2_err_at(parser->err, M2_E_CONFIG, 0, operand->column,
                         "no parameter is named %.*s%s", (int)name.n, name.p,
                         m2_params_hint(parser->pool, parser->params, name));
    }
    operand->text = m2_slice_z(apr_pstrmemdup(parser->pool, name.p, name.n));
    return advance(parser);
}

static m2_code_t read_text(m2_operand_t *operand, parser_t *parser)
{
    operand->kind = M2_OPERAND_TEXT;
    operand->text = m2_lex_unescape(parser->pool, parser->lexer.lexeme);
    return advance(parser);
}

static m2_code_t read_number(m2_operand_t *operand, parser_t *parser)
{
    operand->kind = M2_OPERAND_NUMBER;
    operand->text.p = m2_slice_dup(parser->pool, parser->lexer.lexeme);
    operand->text.n = parser->lexer.lexeme.n;
    m2_decimal_read(&operand->decimal, operand->text);
    return advance(parser);
}

static m2_code_t read_bool(m2_operand_t *operand, parser_t *parser)
{
    operand->kind = M2_OPERAND_BOOL;
    operand->index = parser->lexer.tok == M2_TOK_TRUE;
    return advance(parser);
}

static m2_code_t read_null(m2_operand_t *operand, parser_t *parser)
{
    operand->kind = M2_OPERAND_NULL;
    return advance(parser);
}

/* Random(), Timestamp(), TimeOfDay() */
static m2_code_t read_call(m2_operand_t *operand, parser_t *parser)
{
    m2_code_t code = advance(parser);

    operand->kind = (m2_operand_kind_t)(M2_OPERAND_RANDOM + operand->index);
    if (!code) {
        code = take(parser, M2_TOK_OPEN, "\"()\"");
    }
    return code ? code : take(parser, M2_TOK_CLOSE, "\")\"");
}

static operand_fn *operand_reader(m2_tok_t tok)
{
    return tok == M2_TOK_NAME                             ? read_variable
           : tok == M2_TOK_TEXT                           ? read_text
           : tok == M2_TOK_NUMBER                         ? read_number
           : tok == M2_TOK_TRUE || tok == M2_TOK_FALSE    ? read_bool
           : tok == M2_TOK_NULL                           ? read_null
           : tok >= M2_TOK_RANDOM && tok <= M2_TOK_TIMEOFDAY ? read_call
                                                          : NULL;
}

static m2_code_t parse_operand(m2_operand_t *operand, parser_t *parser)
{
    operand_fn *reader = operand_reader(parser->lexer.tok);

    memset(operand, 0, sizeof(*operand));
    operand->column = parser->lexer.column;
    if (!reader) {
        return expected(parser, "a parameter, text, number, true, false or null");
    }
    if (reader == read_call) {
        operand->index = (int)parser->lexer.tok - M2_TOK_RANDOM;
    }
    return reader(operand, parser);
}

/* --- what stands behind the left operand --- */

typedef m2_code_t operator_fn(m2_expr_t *expr, parser_t *parser);

/* the quoted text that like, in_cidr, has and matches need; *plexeme is what is between the
 * quotes, *pcolumn where it stands */
static m2_code_t pattern_text(m2_slice_t *plexeme, int *pcolumn, parser_t *parser)
{
    *plexeme = parser->lexer.lexeme;
    *pcolumn = parser->lexer.column;
    return take(parser, M2_TOK_TEXT, "a text in quotes");
}

/* These words look at text; numbers and booleans on their left are a slip. */
static m2_code_t needs_text(const m2_expr_t *expr, const parser_t *parser, const char *word)
{
    m2_operand_kind_t kind = expr->left.kind;

    if (kind == M2_OPERAND_VARIABLE || kind == M2_OPERAND_TEXT || kind == M2_OPERAND_NULL) {
        return M2_OK;
    }
    return m2_err_at(parser->err, M2_E_CONFIG, 0, expr->left.column,
                     "%s needs a parameter or a text on its left", word);
}

/* `dataset NAME`: the name is no word of the language, so it is read here. */
static m2_code_t parse_dataset(m2_expr_t *expr, parser_t *parser, m2_expr_kind_t kind,
                               const char *word)
{
    m2_lexer_t *lexer = &parser->lexer;
    m2_code_t code = needs_text(expr, parser, word);
    m2_dataset_ref_t *ref;
    apr_size_t n;

    while (!code && lexer->pos < lexer->text.n && apr_isspace(lexer->text.p[lexer->pos])) {
        lexer->pos++;
    }
    n = m2_dataset_name_length(m2_slice(lexer->text.p + lexer->pos,
                                        lexer->text.n - lexer->pos));
    if (code || !n) {
        return code ? code : m2_err_at(parser->err, M2_E_CONFIG, 0, (int)lexer->pos + 1,
                                       "the name of a data set must follow dataset");
    }
    ref = apr_pcalloc(parser->pool, sizeof(*ref));
    ref->name = apr_pstrmemdup(parser->pool, lexer->text.p + lexer->pos, n);
    ref->column = (int)lexer->pos + 1;
    ref->networks = kind == M2_EXPR_CIDR_DATASET;
    lexer->pos += n;
    APR_ARRAY_PUSH(parser->params->datasets, m2_dataset_ref_t *) = ref;
    expr->kind = kind;
    expr->with.dataset = ref;
    return advance(parser);
}

static m2_code_t parse_like(m2_expr_t *expr, parser_t *parser)
{
    m2_code_t code = needs_text(expr, parser, "like");
    m2_slice_t raw;
    int column;

    if (code || (code = pattern_text(&raw, &column, parser))) {
        return code;
    }
    expr->kind = M2_EXPR_LIKE;
    expr->with.like = m2_like_compile(parser->pool, raw);
    return M2_OK;
}

static m2_code_t parse_cidr(m2_expr_t *expr, parser_t *parser)
{
    m2_code_t code = needs_text(expr, parser, "in_cidr");
    const char *why = NULL;
    m2_slice_t raw;
    int column;

    if (parser->lexer.tok == M2_TOK_DATASET) {
        return parse_dataset(expr, parser, M2_EXPR_CIDR_DATASET, "in_cidr");
    }
    if (code || (code = pattern_text(&raw, &column, parser))) {
        return code;
    }
    expr->kind = M2_EXPR_CIDR;
    expr->with.cidr = m2_cidr_compile(&why, parser->pool,
                                      m2_lex_unescape(parser->pool, raw));
    return expr->with.cidr ? M2_OK : m2_err_at(parser->err, M2_E_CONFIG, 0, column,
                                               "not a network: %s", why);
}

static m2_code_t parse_has(m2_expr_t *expr, parser_t *parser)
{
    m2_code_t code = needs_text(expr, parser, "has");
    m2_slice_t raw;
    int column;

    if (code || (code = pattern_text(&raw, &column, parser))) {
        return code;
    }
    expr->kind = M2_EXPR_HAS;
    expr->with.word = m2_lex_unescape(parser->pool, raw);
    return M2_OK;
}

static m2_code_t parse_matches(m2_expr_t *expr, parser_t *parser)
{
    m2_code_t code = needs_text(expr, parser, "matches");
    const char *why = NULL;
    m2_slice_t raw;
    int column;

    if (code || (code = pattern_text(&raw, &column, parser))) {
        return code;
    }
    expr->kind = M2_EXPR_MATCHES;
    expr->with.regex = m2_regex_compile(&why, parser->pool,
                                        m2_lex_unescape(parser->pool, raw));
    return expr->with.regex ? M2_OK : m2_err_at(parser->err, M2_E_CONFIG, 0, column,
                                                "not a regular expression: %s", why);
}

static m2_code_t parse_item(m2_expr_t *expr, parser_t *parser)
{
    m2_operand_t *item = apr_array_push(expr->items);
    m2_code_t code = parse_operand(item, parser);

    if (code || (item->kind >= M2_OPERAND_TEXT && item->kind <= M2_OPERAND_BOOL)) {
        return code;
    }
    return m2_err_at(parser->err, M2_E_CONFIG, 0, item->column,
                     item->kind == M2_OPERAND_NULL
                         ? "null in a list never matches; write = null"
                         : "a list holds texts, numbers, true and false only");
}

static m2_code_t parse_in(m2_expr_t *expr, parser_t *parser)
{
    m2_code_t code;

    if (parser->lexer.tok == M2_TOK_DATASET) {
        return parse_dataset(expr, parser, M2_EXPR_IN_DATASET, "in dataset");
    }
    code = take(parser, M2_TOK_OPEN, "\"(\" and a list, or dataset and a name,");
    expr->kind = M2_EXPR_IN;
    expr->items = apr_array_make(parser->pool, 4, sizeof(m2_operand_t));
    while (!code && !(code = parse_item(expr, parser))
           && parser->lexer.tok == M2_TOK_COMMA) {
        code = advance(parser);
    }
    return code ? code : take(parser, M2_TOK_CLOSE, "\",\" or \")\"");
}

/* by token, from M2_TOK_LIKE on */
static operator_fn *const word_operators[] = { /* ORDER WORD */
    parse_like, parse_cidr, parse_in, parse_has, parse_matches,
};
_Static_assert(sizeof(word_operators) / sizeof(word_operators[0])
                   == M2_TOK_MATCHES - M2_TOK_LIKE + 1, "ORDER WORD");

static m2_code_t parse_word_operator(m2_expr_t *expr, parser_t *parser)
{
    m2_tok_t tok = parser->lexer.tok;
    m2_code_t code;

    if (tok < M2_TOK_LIKE || tok > M2_TOK_MATCHES) {
        return expected(parser, expr->negate
                                    ? "like, in_cidr, in, has or matches"
                                    : "a comparison (= <> < <= > >= like in_cidr in has "
                                      "matches)");
    }
    code = advance(parser);
    return code ? code : word_operators[tok - M2_TOK_LIKE](expr, parser);
}

/* `= null` and `<> null` are questions of their own: the only ones null answers to */
static void ask_for_null(m2_expr_t *expr)
{
    if (expr->compare > M2_TOK_NE
        || (expr->left.kind != M2_OPERAND_NULL && expr->right.kind != M2_OPERAND_NULL)) {
        return;
    }
    if (expr->left.kind == M2_OPERAND_NULL) {
        expr->left = expr->right;
    }
    expr->kind = M2_EXPR_IS_NULL;
    expr->negate = expr->compare == M2_TOK_NE;
}

/* A parameter is a text or null, so that a comparison with a text is known beforehand. */
static void ask_for_text(m2_expr_t *expr)
{
    const int swapped = expr->left.kind == M2_OPERAND_TEXT;
    const m2_operand_t *name = swapped ? &expr->right : &expr->left;
    const m2_operand_t *text = swapped ? &expr->left : &expr->right;

    if (expr->kind != M2_EXPR_COMPARE || expr->compare > M2_TOK_NE
        || name->kind != M2_OPERAND_VARIABLE || text->kind != M2_OPERAND_TEXT) {
        return;
    }
    expr->kind = M2_EXPR_SAME_TEXT;
    expr->negate = expr->compare == M2_TOK_NE;
    expr->with.word = text->text;
    expr->left = *name;
    memset(&expr->right, 0, sizeof(expr->right));
}

static m2_code_t parse_comparison(m2_expr_t *expr, parser_t *parser)
{
    const m2_operand_t *odd;
    m2_code_t code;

    expr->compare = parser->lexer.tok;
    code = advance(parser);
    if (code || (code = parse_operand(&expr->right, parser))) {
        return code;
    }
    odd = expr->left.kind == M2_OPERAND_BOOL ? &expr->left : &expr->right;
    if (odd->kind == M2_OPERAND_BOOL && expr->compare > M2_TOK_NE) {
        return m2_err_at(parser->err, M2_E_CONFIG, 0, odd->column,
                         "true and false have no order; compare with = or <>");
    }
    ask_for_null(expr);
    ask_for_text(expr);
    return M2_OK;
}

static m2_code_t parse_compare(m2_expr_t **pexpr, parser_t *parser)
{
    m2_expr_t *expr = *pexpr = make_node(parser, M2_EXPR_COMPARE);
    m2_code_t code = parse_operand(&expr->left, parser);

    if (!code && parser->lexer.tok >= M2_TOK_EQ && parser->lexer.tok <= M2_TOK_GE) {
        return parse_comparison(expr, parser);
    }
    if (!code && parser->lexer.tok == M2_TOK_NOT) {
        expr->negate = 1;
        code = advance(parser);
    }
    return code ? code : parse_word_operator(expr, parser);
}

/* --- negation, parentheses, connectives --- */

static m2_code_t parse_unary(m2_expr_t **pexpr, parser_t *parser)
{
    int negation = parser->lexer.tok == M2_TOK_NOT;
    m2_code_t code;

    if (!negation && parser->lexer.tok != M2_TOK_OPEN) {
        return parse_compare(pexpr, parser);
    }
    code = enter(parser);
    if (code) {
        return code;
    }
    if (negation) {
        code = parse_unary(pexpr, parser);
        *pexpr = make_parent(parser, M2_EXPR_NOT, *pexpr);
    }
    else if (!(code = parse_expr(pexpr, parser))) {
        code = take(parser, M2_TOK_CLOSE, "and, or, xor or \")\"");
    }
    parser->depth--;
    return code;
}

static int is_connective(m2_tok_t tok)
{
    return tok >= M2_TOK_AND && tok <= M2_TOK_XOR;
}

/* `a and b or c` reads differently in SQL and on the gateway, and either silent choice may
 * open a door; so it has to be written out. */
static m2_code_t parse_expr(m2_expr_t **pexpr, parser_t *parser)
{
    m2_code_t code = parse_unary(pexpr, parser);
    m2_tok_t tok = parser->lexer.tok;
    m2_expr_t *kid = NULL;

    if (code || !is_connective(tok)) {
        return code;
    }
    *pexpr = make_parent(parser, (m2_expr_kind_t)(M2_EXPR_AND + (tok - M2_TOK_AND)), *pexpr);
    while (!code && parser->lexer.tok == tok) {
        if (!(code = advance(parser)) && !(code = parse_unary(&kid, parser))) {
            APR_ARRAY_PUSH((*pexpr)->kids, m2_expr_t *) = kid;
        }
    }
    if (!code && is_connective(parser->lexer.tok)) {
        code = m2_err_at(parser->err, M2_E_CONFIG, 0, parser->lexer.column,
                         "and, or and xor side by side need parentheses");
    }
    return code;
}

m2_code_t m2_expr_compile(const m2_expr_t **pexpr, apr_pool_t *pool, const char *text,
                          m2_params_t *params, m2_err_t *err)
{
    parser_t parser = { pool, params, err, { { NULL, 0 }, 0, M2_TOK_END, { NULL, 0 }, 0 }, 0 };
    m2_expr_t *expr = NULL;
    m2_code_t code;

    *pexpr = NULL;
    if (strlen(text) > M2_MAX_CONDITION) {
        return m2_err_at(err, M2_E_CONFIG, 0, M2_MAX_CONDITION + 1,
                         "longer than %d bytes", M2_MAX_CONDITION);
    }
    m2_lex_open(&parser.lexer, m2_slice_z(text));
    code = advance(&parser);
    if (!code) {
        code = parse_expr(&expr, &parser);
    }
    if (!code && parser.lexer.tok != M2_TOK_END) {
        code = expected(&parser, "and, or, xor or the end");
    }
    *pexpr = code ? NULL : expr;
    return code;
}
