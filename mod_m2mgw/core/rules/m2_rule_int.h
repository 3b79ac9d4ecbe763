/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the files of the condition language share: tokens, the tree, and the matchers that
 * are compiled while a condition is read. Nobody else includes this.
 */
#ifndef M2_RULE_INT_H
#define M2_RULE_INT_H

#include "text/m2_decimal.h"
#include "rules/m2_rule.h"

/* --- m2_rule_lex.c: text -> tokens --- */

typedef enum m2_tok_t {
    M2_TOK_END,
    M2_TOK_NAME,   /* $name, ${name}; text is the name */
    M2_TOK_TEXT,   /* quoted; text is what stands between the quotes, escapes untouched */
    M2_TOK_NUMBER,
    M2_TOK_OPEN,
    M2_TOK_CLOSE,
    M2_TOK_COMMA,
    M2_TOK_NOT,    /* `!` and `not` */
    M2_TOK_EQ, /* the comparisons, in the order of the table in m2_rule_eval.c (ORDER CMP) */
    M2_TOK_NE,
    M2_TOK_LT,
    M2_TOK_LE,
    M2_TOK_GT,
    M2_TOK_GE,
    M2_TOK_AND, /* the words, in the order of the table in m2_rule_lex.c (ORDER WORD) */
    M2_TOK_OR,
    M2_TOK_XOR,
    M2_TOK_LIKE,
    M2_TOK_CIDR,
    M2_TOK_IN,
    M2_TOK_HAS,
    M2_TOK_MATCHES,
    M2_TOK_DATASET,
    M2_TOK_TRUE,
    M2_TOK_FALSE,
    M2_TOK_NULL,
    M2_TOK_RANDOM,
    M2_TOK_TIMESTAMP,
    M2_TOK_TIMEOFDAY
} m2_tok_t;

typedef struct m2_lexer_t {
    m2_slice_t text;
    apr_size_t pos;   /* first byte that is not read */
    m2_tok_t tok;     /* the token just read ... */
    m2_slice_t lexeme; /* ... its text ... */
    int column;       /* ... and where it begins */
} m2_lexer_t;

void m2_lex_open(m2_lexer_t *lexer, m2_slice_t text);

/** Read the next token; M2_E_CONFIG with a column when no token can be read. */
m2_code_t m2_lex_next(m2_lexer_t *lexer, m2_err_t *err);

/** What the lexer stands before, for "... expected, not X". */
const char *m2_lex_describe(const m2_lexer_t *lexer, apr_pool_t *pool);

/** The text between quotes with its escapes resolved (`\\` `\'` `\"` `\%`; a backslash
 *  before anything else stays). */
m2_slice_t m2_lex_unescape(apr_pool_t *pool, m2_slice_t raw);

/* --- m2_rule_match.c: what stands on the right of like, in_cidr, has and matches --- */

typedef struct m2_like_t m2_like_t;
typedef struct m2_cidr_t m2_cidr_t;
typedef struct m2_regex_t m2_regex_t;

/** raw is a text with its escapes untouched: `%` and `\%` differ. */
const m2_like_t *m2_like_compile(apr_pool_t *pool, m2_slice_t raw);
int m2_like_test(const m2_like_t *like, m2_slice_t value);

/** NULL with a reason in *pwhy. */
const m2_cidr_t *m2_cidr_compile(const char **pwhy, apr_pool_t *pool, m2_slice_t text);
/** M2_ERROR when value is not an address. */
m2_truth_t m2_cidr_test(const m2_cidr_t *cidr, m2_slice_t value);

#define M2_CIDR_KEY 18  /* bytes */
#define M2_CIDR_OWN (-1) /* prefix: the network's own */

/** The key of a network, or of the wider one of that prefix: 4 or 6, prefix, bits. */
void m2_cidr_key(unsigned char *key, const m2_cidr_t *cidr, int prefix);
/** The network of one address; NULL when value is not an address. */
const m2_cidr_t *m2_cidr_host(apr_pool_t *pool, m2_slice_t value);

/** NULL with a reason in *pwhy (in pool). */
const m2_regex_t *m2_regex_compile(const char **pwhy, apr_pool_t *pool, m2_slice_t text);
/** M2_ERROR when a limit is hit. Thread-safe. */
m2_truth_t m2_regex_test(const m2_regex_t *regex, m2_slice_t value);

/** Whether word is one of the blank-separated words of text. */
int m2_words_have(m2_slice_t text, m2_slice_t word);

/* --- the tree --- */

/* a value while a condition is evaluated */
typedef enum m2_type_t { M2_TYPE_NULL, M2_TYPE_TEXT, M2_TYPE_NUMBER, M2_TYPE_BOOL } m2_type_t;

typedef enum m2_operand_kind_t { /* ORDER OPERAND: loaders in m2_rule_eval.c */
    M2_OPERAND_NULL,
    M2_OPERAND_TEXT,
    M2_OPERAND_NUMBER,
    M2_OPERAND_BOOL,
    M2_OPERAND_VARIABLE,
    M2_OPERAND_RANDOM,
    M2_OPERAND_TIMESTAMP,
    M2_OPERAND_TIMEOFDAY
} m2_operand_kind_t;

typedef struct m2_operand_t {
    m2_operand_kind_t kind;
    int column;
    int index;            /* of a variable; value of a boolean */
    m2_slice_t text;      /* of a text or number */
    m2_decimal_t decimal; /* of a number */
} m2_operand_t;

typedef enum m2_expr_kind_t { /* ORDER EXPR: evaluators in m2_rule_eval.c */
    M2_EXPR_AND,
    M2_EXPR_OR,
    M2_EXPR_XOR,
    M2_EXPR_NOT,
    M2_EXPR_COMPARE,
    M2_EXPR_SAME_TEXT, /* `$name = 'text'` and `<>`, which is what most rules are made of */
    M2_EXPR_IS_NULL,
    M2_EXPR_LIKE,
    M2_EXPR_CIDR,
    M2_EXPR_IN,
    M2_EXPR_HAS,
    M2_EXPR_MATCHES,
    M2_EXPR_IN_DATASET,
    M2_EXPR_CIDR_DATASET
} m2_expr_kind_t;

/* What most requests read comes first, within 64 bytes. */
struct m2_expr_t {
    m2_expr_kind_t kind;
    int negate;                /* `!like`, `<> null`: still false on null */
    m2_tok_t compare;          /* M2_TOK_EQ .. M2_TOK_GE */
    union {
        const m2_like_t *like;
        const m2_cidr_t *cidr;
        const m2_regex_t *regex;
        const struct m2_dataset_ref_t *dataset;
        m2_slice_t word;       /* of has, and the text of SAME_TEXT */
    } with;
    apr_array_header_t *kids;  /* of const m2_expr_t *, for connectives and NOT */
    apr_array_header_t *items; /* of m2_operand_t, for IN */
    m2_operand_t left, right;
};

#endif /* M2_RULE_INT_H */
