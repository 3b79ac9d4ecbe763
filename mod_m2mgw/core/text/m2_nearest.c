/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Words are compared by the optimal string alignment distance (Damerau 1964): the least number
 * of letters to change, add, drop or swap with their neighbour.
 */
#include "text/m2_nearest.h"

#define MAX_WORD 64 /* longer words are not typing errors */

typedef struct plain_t {
    char text[MAX_WORD + 1];
    apr_size_t n;
} plain_t;

/* letters and digits in small, nothing else; 0 for what is too long or empty */
static int make_plain(plain_t *plain, const char *word)
{
    plain->n = 0;
    for (; *word; word++) {
        if (!apr_isalnum(*word)) {
            continue;
        }
        if (plain->n == MAX_WORD) {
            return 0;
        }
        plain->text[plain->n++] = (char)apr_tolower(*word);
    }
    return plain->n > 0;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* one row of the table, from the two above it */
static void fill_row(unsigned *row, const unsigned *above, const unsigned *above2,
                     const plain_t *a, const plain_t *b, apr_size_t i)
{
    apr_size_t k;

    row[0] = (unsigned)i;
    for (k = 1; k <= b->n; k++) {
        const char x = a->text[i - 1], y = b->text[k - 1];

        row[k] = least(least(row[k - 1], above[k]) + 1, above[k - 1] + (x != y));
        if (i > 1 && k > 1 && x == b->text[k - 2] && a->text[i - 2] == y) {
            row[k] = least(row[k], above2[k - 2] + 1);
        }
    }
}

static unsigned distance(const plain_t *a, const plain_t *b)
{
    unsigned rows[3][MAX_WORD + 1];
    apr_size_t i;

    for (i = 0; i <= b->n; i++) {
        rows[0][i] = (unsigned)i;
    }
    for (i = 1; i <= a->n; i++) {
        fill_row(rows[i % 3], rows[(i + 2) % 3], rows[(i + 1) % 3], a, b, i);
    }
    return rows[a->n % 3][b->n];
}

/* How far off, or MAX_WORD for too far: a third of the word, and one letter always. Of two letters
 * only one may be missing: `no` is not On, nor -1 a 1. */
static unsigned how_far(const plain_t *given, const char *word)
{
    plain_t known;
    unsigned off;
    int begins;

    if (!make_plain(&known, word)) {
        return MAX_WORD;
    }
    begins = known.n > given->n
             && m2_slice_eq(m2_slice(known.text, given->n), m2_slice(given->text, given->n));
    off = distance(given, &known);
    if (given->n < 3) {
        return begins && off == 1 ? 1 : MAX_WORD;
    }
    if (begins) {
        return least(off, 1);
    }
    return off <= 1 + given->n / 3 && off < given->n && off < known.n ? off : MAX_WORD;
}

const char *m2_nearest(const char *word, const char *const *words, apr_size_t n)
{
    const char *best = NULL;
    unsigned least_off = MAX_WORD, off;
    plain_t given;
    apr_size_t i;

    if (!make_plain(&given, word)) {
        return NULL;
    }
    for (i = 0; i < n; i++) {
        off = how_far(&given, words[i]);
        if (off < least_off) {
            least_off = off;
            best = words[i];
        }
    }
    return best;
}

const char *m2_nearest_hint(apr_pool_t *pool, const char *word, const char *sentence)
{
    apr_array_header_t *words;
    const char *found;
    char *last, *one;

    if (!pool) {
        return "";
    }
    words = apr_array_make(pool, 8, sizeof(const char *));
    one = apr_strtok(apr_pstrdup(pool, sentence), " ,", &last);
    for (; one; one = apr_strtok(NULL, " ,", &last)) {
        if (strcmp(one, "and") != 0 && strcmp(one, "or") != 0) {
            APR_ARRAY_PUSH(words, const char *) = one;
        }
    }
    found = m2_nearest(word, (const char *const *)words->elts, (apr_size_t)words->nelts);
    return found ? apr_pstrcat(pool, "; did you mean ", found, "?", NULL) : "";
}
