/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Tree and facts -> TRUE, FALSE or ERROR. An error is the answer of the whole condition,
 * wherever it stands: `not` does not flip it, `or` does not absorb it, and no operand is
 * skipped because another one has decided already. Null makes a comparison false, negated
 * or not. Nothing is allocated here but the sentence of an error.
 */
#include "rules/m2_dataset.h"
#include "rules/m2_rule_int.h"

#define DIGITS 32 /* bytes of a number made here */

/* what an operand is worth for this request */
typedef struct datum_t {
    m2_type_t type;
    m2_slice_t text;      /* of a text or number */
    int truth;            /* of a boolean */
    const m2_json_t *json;
    m2_decimal_t decimal; /* of a number */
    char digits[DIGITS];  /* behind text, where it is made here */
} datum_t;

/* How two data relate, as bits that a comparison picks from. None: every comparison is
 * false, `<>` too. */
#define BELOW 1u
#define SAME 2u
#define ABOVE 4u
#define EQUAL 8u    /* equal, without an order */
#define UNEQUAL 16u /* unequal, without an order */

static const unsigned holds[] = { /* ORDER CMP, from M2_TOK_EQ on */
    SAME | EQUAL,
    BELOW | ABOVE | UNEQUAL,
    BELOW,
    BELOW | SAME,
    ABOVE,
    ABOVE | SAME,
};
_Static_assert(sizeof(holds) / sizeof(holds[0]) == M2_TOK_GE - M2_TOK_EQ + 1, "ORDER CMP");

/* --- operands --- */

/* 0 when the value must not be used */
typedef int load_fn(datum_t *datum, const m2_operand_t *operand, m2_facts_t *facts);

static int load_null(datum_t *datum, const m2_operand_t *operand, m2_facts_t *facts)
{
    (void)operand;
    (void)facts;
    datum->type = M2_TYPE_NULL;
    return 1;
}

static int load_text(datum_t *datum, const m2_operand_t *operand, m2_facts_t *facts)
{
    (void)facts;
    datum->type = M2_TYPE_TEXT;
    datum->text = operand->text;
    datum->json = NULL;
    return 1;
}

static int load_number(datum_t *datum, const m2_operand_t *operand, m2_facts_t *facts)
{
    (void)facts;
    datum->type = M2_TYPE_NUMBER;
    datum->text = operand->text;
    datum->decimal = operand->decimal;
    return 1;
}

static int load_bool(datum_t *datum, const m2_operand_t *operand, m2_facts_t *facts)
{
    (void)facts;
    datum->type = M2_TYPE_BOOL;
    datum->truth = operand->index;
    return 1;
}

static int load_variable(datum_t *datum, const m2_operand_t *operand, m2_facts_t *facts)
{
    m2_value_t value;

    if (m2_facts_get(&value, facts, operand->index)) {
        return 0;
    }
    datum->type = value.text.p ? M2_TYPE_TEXT : M2_TYPE_NULL;
    datum->text = value.text;
    datum->json = value.json;
    return 1;
}

/* a number made of a whole one, and digits behind the point unless 0 of them are wanted */
static int load_made(datum_t *datum, apr_int64_t whole, int places)
{
    int n = places ? apr_snprintf(datum->digits, DIGITS, "0.%0*" APR_INT64_T_FMT, places,
                                  whole)
                   : apr_snprintf(datum->digits, DIGITS, "%" APR_INT64_T_FMT, whole);

    datum->type = M2_TYPE_NUMBER;
    datum->text = m2_slice(datum->digits, (apr_size_t)n);
    return m2_decimal_read(&datum->decimal, datum->text);
}

static int load_random(datum_t *datum, const m2_operand_t *operand, m2_facts_t *facts)
{
    double draw = facts->random >= 0.0 && facts->random < 1.0 ? facts->random : 0.0;

    (void)operand;
    return load_made(datum, (apr_int64_t)(draw * 1e15), 15);
}

static int load_timestamp(datum_t *datum, const m2_operand_t *operand, m2_facts_t *facts)
{
    (void)operand;
    return load_made(datum, facts->now / 1000, 0);
}

static int load_timeofday(datum_t *datum, const m2_operand_t *operand, m2_facts_t *facts)
{
    (void)operand;
    return load_made(datum, facts->now / 1000 % (24 * 60 * 60 * 1000), 0);
}

static load_fn *const loaders[] = { /* ORDER OPERAND */
    load_null,     load_text,   load_number,    load_bool,
    load_variable, load_random, load_timestamp, load_timeofday,
};
_Static_assert(sizeof(loaders) / sizeof(loaders[0]) == M2_OPERAND_TIMEOFDAY + 1, "ORDER OPERAND");

static int load(datum_t *datum, const m2_operand_t *operand, m2_facts_t *facts,
                m2_err_t *err)
{
    if (loaders[operand->kind](datum, operand, facts)) {
        return 1;
    }
    m2_err_at(err, M2_E_RULE_ERROR, 0, operand->column, "parameter %s has no usable value "
              "(sent twice with different values, or out of a body that cannot be read)",
              operand->text.p);
    return 0;
}

/* --- comparing --- */

static unsigned from_order(int order)
{
    return order < 0 ? BELOW : order > 0 ? ABOVE : SAME;
}

static unsigned relate_texts(m2_slice_t a, m2_slice_t b)
{
    int order = memcmp(a.p, b.p, a.n < b.n ? a.n : b.n);

    return from_order(order ? order : (a.n > b.n) - (a.n < b.n));
}

static unsigned text_text(const datum_t *a, const datum_t *b)
{
    return relate_texts(a->text, b->text);
}

static unsigned text_number(const datum_t *a, const datum_t *b)
{
    m2_decimal_t decimal;

    return m2_decimal_read(&decimal, a->text) ? from_order(m2_decimal_cmp(&decimal,
                                                                          &b->decimal))
                                              : relate_texts(a->text, b->text);
}

static unsigned text_bool(const datum_t *a, const datum_t *b)
{
    return m2_slice_is_nocase(a->text, b->truth ? "true" : "false") ? EQUAL : UNEQUAL;
}

static unsigned number_number(const datum_t *a, const datum_t *b)
{
    return from_order(m2_decimal_cmp(&a->decimal, &b->decimal));
}

static unsigned bool_bool(const datum_t *a, const datum_t *b)
{
    return a->truth == b->truth ? EQUAL : UNEQUAL;
}

typedef unsigned relate_fn(const datum_t *a, const datum_t *b);

/* by type of a and b, the smaller type first; NULL: nothing holds between them */
static relate_fn *const relations[4][4] = {
    { NULL, NULL, NULL, NULL },
    { NULL, text_text, text_number, text_bool },
    { NULL, NULL, number_number, NULL },
    { NULL, NULL, NULL, bool_bool },
};

static unsigned relate(const datum_t *a, const datum_t *b)
{
    int swap = a->type > b->type;
    relate_fn *fn = swap ? relations[b->type][a->type] : relations[a->type][b->type];
    unsigned relation;

    if (!fn) {
        return 0;
    }
    relation = swap ? fn(b, a) : fn(a, b);
    if (swap && (relation & (BELOW | ABOVE))) {
        relation ^= BELOW | ABOVE;
    }
    return relation;
}

/* --- nodes --- */

static m2_truth_t eval(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err);

static m2_truth_t truth_of(int yes)
{
    return yes ? M2_TRUE : M2_FALSE;
}

static int is_known(const m2_operand_t *operand, const m2_facts_t *facts)
{
    return operand->kind != M2_OPERAND_VARIABLE || m2_facts_known(facts, operand->index);
}

/* Whether a comparison can only be TRUE or FALSE: what it reads is known already. Of all others
 * nothing is said. */
static int is_certain(const m2_expr_t *expr, const m2_facts_t *facts)
{
    switch (expr->kind) {
    case M2_EXPR_COMPARE:
        return is_known(&expr->left, facts) && is_known(&expr->right, facts);
    case M2_EXPR_SAME_TEXT:
        return m2_facts_known(facts, expr->left.index) != NULL;
    case M2_EXPR_IS_NULL:
    case M2_EXPR_LIKE:
    case M2_EXPR_HAS:
        return is_known(&expr->left, facts);
    default:
        return 0;
    }
}

/* One kid that is not neutral decides. An error anywhere is the result, so a kid is passed over
 * only where it can be none and the others have decided. */
__attribute__((noinline)) static m2_truth_t
eval_kids(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err, m2_truth_t neutral)
{
    const m2_expr_t *const *kid = (const void *)expr->kids->elts;
    const m2_expr_t *const *end = kid + expr->kids->nelts;
    m2_truth_t result = neutral;

    for (; kid < end; kid++) {
        if (result == neutral || !is_certain(*kid, facts)) {
            const m2_truth_t truth = eval(*kid, facts, err);

            if (truth != neutral && result != M2_ERROR) {
                result = truth;
            }
        }
    }
    return result;
}

/* Whether a text that has been looked up is that of a SAME_TEXT: as far as its length and its first
 * byte tell, else M2_ERROR. */
static inline m2_truth_t glance(const m2_expr_t *expr, m2_slice_t text)
{
    const m2_slice_t word = expr->with.word;

    if (!text.p) {
        return M2_FALSE;
    }
    return text.n != word.n || (text.n && *text.p != *word.p) ? truth_of(expr->negate)
                                                               : M2_ERROR;
}

/* What eval_kids returns, of SAME_TEXT alone whose values have been looked up and mostly differ, as
 * in a long list of rules; else M2_ERROR. Calls nothing. */
static inline m2_truth_t glance_at_kids(const m2_expr_t *expr, const m2_facts_t *facts,
                                        m2_truth_t neutral)
{
    const m2_expr_t *const *kid = (const void *)expr->kids->elts;
    const m2_expr_t *const *end = kid + expr->kids->nelts;
    const char *state = facts->state;
    m2_truth_t result = neutral;

    for (; state && kid < end && result != M2_ERROR; kid++) {
        if ((*kid)->kind != M2_EXPR_SAME_TEXT || state[(*kid)->left.index] != M2_FACT_KNOWN) {
            return M2_ERROR;
        }
        if (result == neutral) {
            result = glance(*kid, facts->values[(*kid)->left.index].text);
        }
    }
    return state ? result : M2_ERROR;
}

static m2_truth_t eval_and(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    const m2_truth_t truth = glance_at_kids(expr, facts, M2_TRUE);

    return truth != M2_ERROR ? truth : eval_kids(expr, facts, err, M2_TRUE);
}

static m2_truth_t eval_or(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    const m2_truth_t truth = glance_at_kids(expr, facts, M2_FALSE);

    return truth != M2_ERROR ? truth : eval_kids(expr, facts, err, M2_FALSE);
}

static m2_truth_t eval_xor(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    int i, yes = 0, errors = 0;

    for (i = 0; i < expr->kids->nelts; i++) {
        const m2_truth_t truth = eval(APR_ARRAY_IDX(expr->kids, i, const m2_expr_t *), facts, err);

        yes += truth == M2_TRUE;
        errors += truth == M2_ERROR;
    }
    return errors ? M2_ERROR : truth_of(yes % 2);
}

static m2_truth_t eval_not(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    m2_truth_t truth = eval(APR_ARRAY_IDX(expr->kids, 0, const m2_expr_t *), facts, err);

    return truth == M2_ERROR ? M2_ERROR : truth_of(truth == M2_FALSE);
}

static m2_truth_t eval_compare(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    datum_t a, b;
    int left = load(&a, &expr->left, facts, err);
    int right = load(&b, &expr->right, facts, err);

    if (!left || !right) {
        return M2_ERROR;
    }
    return truth_of((relate(&a, &b) & holds[expr->compare - M2_TOK_EQ]) != 0);
}

static m2_truth_t eval_same_text(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    const m2_value_t *value = m2_facts_known(facts, expr->left.index);
    const m2_slice_t *text = &expr->with.word;
    datum_t a;

    if (!value) {
        if (!load(&a, &expr->left, facts, err)) {
            return M2_ERROR;
        }
        value = m2_facts_known(facts, expr->left.index);
    }
    if (!value || !value->text.p) {
        return M2_FALSE;
    }
    return truth_of((value->text.n == text->n && memcmp(value->text.p, text->p, text->n) == 0)
                    != expr->negate);
}

static m2_truth_t eval_is_null(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    datum_t a;

    if (!load(&a, &expr->left, facts, err)) {
        return M2_ERROR;
    }
    return truth_of((a.type == M2_TYPE_NULL) != expr->negate);
}

static m2_truth_t eval_in(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    datum_t a, item;
    int i, found = 0;

    if (!load(&a, &expr->left, facts, err)) {
        return M2_ERROR;
    }
    for (i = 0; !found && i < expr->items->nelts; i++) {
        load(&item, &APR_ARRAY_IDX(expr->items, i, m2_operand_t), facts, err);
        found = (relate(&a, &item) & (SAME | EQUAL)) != 0;
    }
    return truth_of(a.type != M2_TYPE_NULL && found != expr->negate);
}

/* like, in_cidr, has, matches: something to find in a text */
typedef m2_truth_t find_fn(const m2_expr_t *expr, const datum_t *datum);

static m2_truth_t find_like(const m2_expr_t *expr, const datum_t *datum)
{
    return truth_of(m2_like_test(expr->with.like, datum->text));
}

static m2_truth_t find_cidr(const m2_expr_t *expr, const datum_t *datum)
{
    return m2_cidr_test(expr->with.cidr, datum->text);
}

/* An array's elements are looked at as they are; one that holds a blank is not two words. */
static m2_truth_t find_word(const m2_expr_t *expr, const datum_t *datum)
{
    return truth_of(m2_json_type(datum->json) == M2_JSON_ARRAY
                        ? m2_json_has(datum->json, expr->with.word, 0)
                        : m2_words_have(datum->text, expr->with.word));
}

static m2_truth_t find_regex(const m2_expr_t *expr, const datum_t *datum)
{
    return m2_regex_test(expr->with.regex, datum->text);
}

static m2_truth_t eval_find(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err,
                            find_fn *find, const char *trouble)
{
    datum_t a;
    m2_truth_t truth;

    if (!load(&a, &expr->left, facts, err)) {
        return M2_ERROR;
    }
    if (a.type == M2_TYPE_NULL) {
        return M2_FALSE;
    }
    truth = find(expr, &a);
    if (truth == M2_ERROR) {
        int named = expr->left.kind == M2_OPERAND_VARIABLE;

        m2_err_at(err, M2_E_RULE_ERROR, 0, expr->left.column, "%s%s %s",
                  named ? "parameter " : "the text", named ? expr->left.text.p : "", trouble);
        return M2_ERROR;
    }
    return truth_of((truth == M2_TRUE) != expr->negate);
}

static m2_truth_t eval_like(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    return eval_find(expr, facts, err, find_like, "");
}

static m2_truth_t eval_cidr(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    return eval_find(expr, facts, err, find_cidr, "is not an IP address");
}

static m2_truth_t eval_has(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    return eval_find(expr, facts, err, find_word, "");
}

static m2_truth_t eval_matches(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    return eval_find(expr, facts, err, find_regex,
                     "takes more steps to match than a pattern may");
}

/* What the set that is in force says; M2_ERROR if absent, or value is no address. */
static m2_truth_t ask_dataset(const m2_expr_t *expr, m2_facts_t *facts, m2_slice_t value,
                              int *pthere)
{
    const m2_keyring_t *ring = expr->with.dataset->ring;
    const void *held = ring ? m2_keyring_enter(ring) : NULL;
    const m2_parts_t *parts = held;
    m2_truth_t truth = M2_ERROR;

    *pthere = parts && !parts->missing && parts->n;
    if (*pthere) {
        const m2_dataset_t *set = parts->part[0];

        truth = expr->kind == M2_EXPR_IN_DATASET
                    ? truth_of(m2_dataset_has(set, value, facts->now))
                    : m2_dataset_covers(set, facts->pool, value, facts->now);
    }
    if (ring) {
        m2_keyring_leave(ring);
    }
    return truth;
}

static m2_truth_t eval_dataset(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    m2_truth_t truth;
    datum_t a;
    int there;

    if (!load(&a, &expr->left, facts, err)) {
        return M2_ERROR;
    }
    if (a.type == M2_TYPE_NULL) {
        return M2_FALSE;
    }
    truth = ask_dataset(expr, facts, a.text, &there);
    if (truth == M2_ERROR) {
        m2_err_at(err, M2_E_RULE_ERROR, 0, expr->left.column, there
                  ? "the value to look up in data set %s is not an address"
                  : "data set %s is missing, or was not found good for too long",
                  expr->with.dataset->name);
        return M2_ERROR;
    }
    return truth_of((truth == M2_TRUE) != expr->negate);
}

typedef m2_truth_t eval_fn(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err);

static eval_fn *const evaluators[] = { /* ORDER EXPR */
    eval_and,     eval_or,   eval_xor,  eval_not, eval_compare, eval_same_text,
    eval_is_null, eval_like, eval_cidr, eval_in,  eval_has,     eval_matches,
    eval_dataset, eval_dataset,
};
_Static_assert(sizeof(evaluators) / sizeof(evaluators[0]) == M2_EXPR_CIDR_DATASET + 1,
               "ORDER EXPR");

static m2_truth_t eval(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    return evaluators[expr->kind](expr, facts, err);
}

m2_truth_t m2_expr_eval(const m2_expr_t *expr, m2_facts_t *facts, m2_err_t *err)
{
    return eval(expr, facts, err);
}

/* --- what it reads --- */

static int operand_is_of_token(const m2_operand_t *operand, const m2_params_t *params)
{
    const m2_param_t *param;

    if (operand->kind != M2_OPERAND_VARIABLE) {
        return operand->kind < M2_OPERAND_VARIABLE; /* those behind it are chance and time */
    }
    param = &APR_ARRAY_IDX(params->list, operand->index, const m2_param_t);
    return param->source == M2_SRC_TOKEN
           || (param->source == M2_SRC_SYSTEM
               && (param->index == M2_SYS_APP_ID || param->index == M2_SYS_APP_KEY));
}

int m2_expr_is_of_token(const m2_expr_t *expr, const m2_params_t *params)
{
    int i;

    for (i = 0; expr->kids && i < expr->kids->nelts; i++) {
        if (!m2_expr_is_of_token(APR_ARRAY_IDX(expr->kids, i, const m2_expr_t *), params)) {
            return 0;
        }
    }
    for (i = 0; expr->items && i < expr->items->nelts; i++) {
        if (!operand_is_of_token(&APR_ARRAY_IDX(expr->items, i, m2_operand_t), params)) {
            return 0;
        }
    }
    return expr->kind != M2_EXPR_IN_DATASET && expr->kind != M2_EXPR_CIDR_DATASET
           && operand_is_of_token(&expr->left, params)
           && operand_is_of_token(&expr->right, params);
}
