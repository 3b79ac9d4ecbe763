/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Condition text -> tokens, one at a time and without a copy. Every token knows the column
 * it begins in; what cannot be a token is refused with that column.
 */
#include "rules/m2_rule_int.h"

typedef struct spelling_t {
    const char *text;
    m2_tok_t tok;
} spelling_t;

/* keywords, in any case */
static const spelling_t words[] = { /* ORDER WORD */
    { "and", M2_TOK_AND },
    { "or", M2_TOK_OR },
    { "xor", M2_TOK_XOR },
    { "like", M2_TOK_LIKE },
    { "in_cidr", M2_TOK_CIDR },
    { "in", M2_TOK_IN },
    { "has", M2_TOK_HAS },
    { "matches", M2_TOK_MATCHES },
    { "dataset", M2_TOK_DATASET },
    { "true", M2_TOK_TRUE },
    { "false", M2_TOK_FALSE },
    { "null", M2_TOK_NULL },
    { "Random", M2_TOK_RANDOM },
    { "Timestamp", M2_TOK_TIMESTAMP },
    { "TimeOfDay", M2_TOK_TIMEOFDAY },
    { "not", M2_TOK_NOT },
};

/* the longer spelling before the one it begins with */
static const spelling_t signs[] = {
    { "==", M2_TOK_EQ }, { "=", M2_TOK_EQ },  { "<>", M2_TOK_NE },   { "!=", M2_TOK_NE },
    { "<=", M2_TOK_LE }, { "<", M2_TOK_LT },  { ">=", M2_TOK_GE },   { ">", M2_TOK_GT },
    { "!", M2_TOK_NOT }, { "(", M2_TOK_OPEN }, { ")", M2_TOK_CLOSE }, { ",", M2_TOK_COMMA },
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* the byte at offset ahead of the next one, NUL behind the end */
static char peek(const m2_lexer_t *lexer, apr_size_t ahead)
{
    apr_size_t at = lexer->pos + ahead;

    return at < lexer->text.n ? lexer->text.p[at] : '\0';
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* n bytes from the next one on are the token */
static m2_code_t take(m2_lexer_t *lexer, m2_tok_t tok, apr_size_t n)
{
    lexer->tok = tok;
    lexer->lexeme = m2_slice(lexer->text.p + lexer->pos, n);
    lexer->pos += n;
    return M2_OK;
}

/* length of the name or keyword that begins at offset ahead */
static apr_size_t name_length(const m2_lexer_t *lexer, apr_size_t ahead)
{
    apr_size_t at = lexer->pos + ahead;

    return at < lexer->text.n
               ? m2_name_length(m2_slice(lexer->text.p + at, lexer->text.n - at))
               : 0;
}

static m2_code_t lex_variable(m2_lexer_t *lexer, m2_err_t *err)
{
    apr_size_t skip = peek(lexer, 1) == '{' ? 2 : 1;
    apr_size_t n = name_length(lexer, skip);

    if (!n) {
        return m2_err_at(err, M2_E_CONFIG, 0, lexer->column,
                         "a parameter name must follow '$'");
    }
    if (skip == 2 && peek(lexer, skip + n) != '}') {
        return m2_err_at(err, M2_E_CONFIG, 0, lexer->column, "\"${\" without its '}'");
    }
    lexer->pos += skip;
    take(lexer, M2_TOK_NAME, n);
    lexer->pos += skip - 1;
    return M2_OK;
}

static m2_code_t lex_text(m2_lexer_t *lexer, m2_err_t *err)
{
    char quote = peek(lexer, 0);
    apr_size_t n = 0;

    lexer->pos++;
    while (lexer->pos + n < lexer->text.n && peek(lexer, n) != quote) {
        n += peek(lexer, n) == '\\' ? 2 : 1;
    }
    if (lexer->pos + n >= lexer->text.n) {
        return m2_err_at(err, M2_E_CONFIG, 0, lexer->column, "a text without its closing %c",
                         quote);
    }
    take(lexer, M2_TOK_TEXT, n);
    lexer->pos++;
    return M2_OK;
}

static apr_size_t digits_length(const m2_lexer_t *lexer, apr_size_t ahead)
{
    apr_size_t n = 0;

    while (is_digit(peek(lexer, ahead + n))) {
        n++;
    }
    return n;
}

static m2_code_t lex_number(m2_lexer_t *lexer, m2_err_t *err)
{
    apr_size_t sign = peek(lexer, 0) == '-';
    apr_size_t whole = digits_length(lexer, sign), part = 1, n = sign + whole;

    if (peek(lexer, n) == '.') {
        part = digits_length(lexer, n + 1);
        n += 1 + part;
    }
    if (!whole || !part || name_length(lexer, n) || peek(lexer, n) == '.') {
        return m2_err_at(err, M2_E_CONFIG, 0, lexer->column,
                         "a number is digits, with '-' before and a fraction behind if need "
                         "be, as in 5, -1 or 0.25");
    }
    return take(lexer, M2_TOK_NUMBER, n);
}

static m2_code_t lex_word(m2_lexer_t *lexer, m2_err_t *err)
{
    m2_slice_t word = m2_slice(lexer->text.p + lexer->pos, name_length(lexer, 0));
    apr_size_t i;

    for (i = 0; i < COUNT(words); i++) {
        if (m2_slice_is_nocase(word, words[i].text)) {
            return take(lexer, words[i].tok, word.n);
        }
    }
    return m2_err_at(err, M2_E_CONFIG, 0, lexer->column, "unknown word \"%.*s\" (a parameter "
                     "is written $%.*s, a text stands in quotes)", (int)word.n, word.p,
                     (int)word.n, word.p);
}

static m2_code_t lex_sign(m2_lexer_t *lexer, m2_err_t *err)
{
    unsigned char c = (unsigned char)peek(lexer, 0);
    apr_size_t i, n;

    for (i = 0; i < COUNT(signs); i++) {
        n = strlen(signs[i].text);
        if (lexer->text.n - lexer->pos >= n
            && m2_slice_is(m2_slice(lexer->text.p + lexer->pos, n), signs[i].text)) {
            return take(lexer, signs[i].tok, n);
        }
    }
    if (c < 0x21 || c > 0x7e) {
        return m2_err_at(err, M2_E_CONFIG, 0, lexer->column, "byte 0x%02x outside of a text",
                         c);
    }
    return m2_err_at(err, M2_E_CONFIG, 0, lexer->column, "unexpected '%c'%s", c,
                     c == '&' ? " (write and)" : c == '|' ? " (write or)" : "");
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

void m2_lex_open(m2_lexer_t *lexer, m2_slice_t text)
{
    memset(lexer, 0, sizeof(*lexer));
    lexer->text = text;
}

m2_code_t m2_lex_next(m2_lexer_t *lexer, m2_err_t *err)
{
    char c;

    while (is_blank(peek(lexer, 0))) {
        lexer->pos++;
    }
    lexer->column = (int)lexer->pos + 1;
    if (lexer->pos >= lexer->text.n) {
        return take(lexer, M2_TOK_END, 0);
    }
    c = peek(lexer, 0);
    return c == '$'                      ? lex_variable(lexer, err)
           : c == '\'' || c == '"'       ? lex_text(lexer, err)
           : c == '-' || is_digit(c)     ? lex_number(lexer, err)
           : name_length(lexer, 0)       ? lex_word(lexer, err)
                                         : lex_sign(lexer, err);
}

const char *m2_lex_describe(const m2_lexer_t *lexer, apr_pool_t *pool)
{
    const char *sigil = lexer->tok == M2_TOK_NAME ? "$" : "";

    if (lexer->tok == M2_TOK_END) {
        return "the end";
    }
    return lexer->tok == M2_TOK_TEXT
               ? "a text"
               : apr_psprintf(pool, "\"%s%.*s\"", sigil, (int)lexer->lexeme.n,
                              lexer->lexeme.p);
}

m2_slice_t m2_lex_unescape(apr_pool_t *pool, m2_slice_t raw)
{
    char *out = apr_palloc(pool, raw.n + 1);
    apr_size_t i, n = 0;

    for (i = 0; i < raw.n; i++) {
        if (raw.p[i] == '\\' && i + 1 < raw.n && strchr("\\'\"%", raw.p[i + 1])) {
            i++;
        }
        out[n++] = raw.p[i];
    }
    out[n] = '\0';
    return m2_slice(out, n);
}
