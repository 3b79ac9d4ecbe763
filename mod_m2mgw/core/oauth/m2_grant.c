/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The key of the table is the text AUDIENCE|CLIENT: neither half may hold a '|', so two
 * different pairs never share a key.
 */
#include "oauth/m2_grant.h"

#include "text/m2_lines.h"

#include <apr_hash.h>

#define WORD_MAX 255

struct m2_grants_t {
    apr_pool_t *pool;
    apr_hash_t *pairs; /* "AUDIENCE|CLIENT" -> apr_array_header_t of const char * */
    apr_hash_t *clients;    /* CLIENT -> itself */
    apr_hash_t *inspectors; /* CLIENT -> itself: has .introspect somewhere */
    const m2_grants_t *more; /* m2_grants_join */
};

/* the characters of an RFC 6749 3.3 scope-token, less the '|' that separates its halves */
static int scope_char(char c)
{
    return c > 0x20 && c < 0x7f && c != '"' && c != '\\' && c != '|';
}

int m2_scope_word_ok(m2_slice_t word)
{
    apr_size_t i;

    if (!word.p || word.n == 0 || word.n > WORD_MAX || word.p[0] == '#') {
        return 0;
    }
    for (i = 0; i < word.n; i++) {
        if (!scope_char(word.p[i])) {
            return 0;
        }
    }
    return 1;
}

int m2_client_id_ok(m2_slice_t word)
{
    return m2_scope_word_ok(word) && !memchr(word.p, ':', word.n);
}

static m2_code_t permission_check(m2_slice_t word, m2_err_t *err)
{
    if (!m2_scope_word_ok(word)) {
        return m2_err_set(err, M2_E_CONFIG,
                          "a permission is 1 to 255 visible ASCII characters other than "
                          "\" \\ and |, written without its audience");
    }
    if (m2_slice_is(word, M2_SCOPE_ALL)) {
        return m2_err_set(err, M2_E_CONFIG,
                          M2_SCOPE_ALL " is what a client asks for, it cannot be granted: "
                          "name the permissions");
    }
    return M2_OK;
}

static m2_code_t names_check(const m2_grant_t *grant, m2_err_t *err)
{
    if (!m2_scope_word_ok(grant->audience)) {
        return m2_err_set(err, M2_E_CONFIG,
                          "the audience is 1 to 255 visible ASCII characters other than "
                          "\" \\ and |");
    }
    if (!m2_client_id_ok(grant->client)) {
        return m2_err_set(err, M2_E_CONFIG,
                          "the client is 1 to 255 visible ASCII characters other than "
                          "\" \\ | and :");
    }
    return M2_OK;
}

m2_code_t m2_grant_read(m2_grant_t *grant, apr_pool_t *pool, m2_slice_t line, m2_err_t *err)
{
    m2_slice_t word;
    m2_code_t rc;

    if (!m2_word_next(&line, &grant->audience) || grant->audience.p[0] == '#') {
        return M2_E_NOT_FOUND;
    }
    m2_word_next(&line, &grant->client);
    rc = names_check(grant, err);
    grant->permissions = apr_array_make(pool, 4, sizeof(m2_slice_t));
    while (rc == M2_OK && m2_word_next(&line, &word)) {
        rc = permission_check(word, err);
        APR_ARRAY_PUSH(grant->permissions, m2_slice_t) = word;
    }
    if (rc == M2_OK && grant->permissions->nelts == 0) {
        rc = m2_err_set(err, M2_E_CONFIG, "a grant is AUDIENCE CLIENT PERMISSION..., and "
                                          "this one names no permission");
    }
    return rc;
}

m2_grants_t *m2_grants_make(apr_pool_t *pool)
{
    m2_grants_t *grants = apr_pcalloc(pool, sizeof(*grants));

    grants->pool = pool;
    grants->pairs = apr_hash_make(pool);
    grants->clients = apr_hash_make(pool);
    grants->inspectors = apr_hash_make(pool);
    return grants;
}

static const char *pair_key(apr_pool_t *pool, m2_slice_t audience, m2_slice_t client)
{
    return apr_pstrcat(pool, m2_slice_dup(pool, audience), "|", m2_slice_dup(pool, client),
                       NULL);
}

static int list_has(const apr_array_header_t *list, m2_slice_t word)
{
    int i;

    for (i = 0; i < list->nelts; i++) {
        if (m2_slice_is(word, APR_ARRAY_IDX(list, i, const char *))) {
            return 1;
        }
    }
    return 0;
}

static m2_code_t list_add(apr_array_header_t *list, m2_slice_t word, m2_err_t *err)
{
    if (list_has(list, word)) {
        return M2_OK;
    }
    if (list->nelts >= M2_MAX_SCOPES) {
        return m2_err_set(err, M2_E_CONFIG,
                          "a client can have at most %d permissions at one audience",
                          M2_MAX_SCOPES);
    }
    APR_ARRAY_PUSH(list, const char *) = m2_slice_dup(list->pool, word);
    return M2_OK;
}

static apr_array_header_t *pair_list(m2_grants_t *grants, const char *key)
{
    apr_array_header_t *list = apr_hash_get(grants->pairs, key, APR_HASH_KEY_STRING);

    if (!list) {
        list = apr_array_make(grants->pool, 4, sizeof(const char *));
        apr_hash_set(grants->pairs, key, APR_HASH_KEY_STRING, list);
    }
    return list;
}

/* key is AUDIENCE|CLIENT, of the table's pool */
static void client_note(m2_grants_t *grants, const char *key, m2_slice_t permission)
{
    const char *client = strrchr(key, '|') + 1;

    apr_hash_set(grants->clients, client, APR_HASH_KEY_STRING, client);
    if (m2_slice_is(permission, M2_SCOPE_INTROSPECT)) {
        apr_hash_set(grants->inspectors, client, APR_HASH_KEY_STRING, client);
    }
}

m2_code_t m2_grants_add(m2_grants_t *grants, const m2_grant_t *grant, m2_err_t *err)
{
    const char *key = pair_key(grants->pool, grant->audience, grant->client);
    apr_array_header_t *list = pair_list(grants, key);
    m2_code_t rc = M2_OK;
    int i;

    for (i = 0; rc == M2_OK && i < grant->permissions->nelts; i++) {
        m2_slice_t permission = APR_ARRAY_IDX(grant->permissions, i, m2_slice_t);

        client_note(grants, key, permission);
        rc = list_add(list, permission, err);
    }
    return rc;
}

m2_code_t m2_grants_add_all(m2_grants_t *grants, const m2_grants_t *other, m2_err_t *err)
{
    apr_hash_index_t *hi;
    m2_code_t rc = M2_OK;
    int i;

    for (hi = apr_hash_first(grants->pool, other->pairs); hi; hi = apr_hash_next(hi)) {
        const apr_array_header_t *from = apr_hash_this_val(hi);
        const char *key = apr_pstrdup(grants->pool, apr_hash_this_key(hi));
        apr_array_header_t *list = pair_list(grants, key);

        for (i = 0; rc == M2_OK && i < from->nelts; i++) {
            m2_slice_t permission = m2_slice_z(APR_ARRAY_IDX(from, i, const char *));

            client_note(grants, key, permission);
            rc = list_add(list, permission, err);
        }
    }
    return rc;
}

static m2_code_t line_add(void *data, apr_pool_t *temp, m2_slice_t line, m2_err_t *err)
{
    m2_grant_t grant;
    const m2_code_t rc = m2_grant_read(&grant, temp, line, err);

    return rc == M2_OK ? m2_grants_add(data, &grant, err) : rc;
}

m2_code_t m2_grants_parse(m2_grants_t *grants, m2_slice_t text, m2_err_t *err)
{
    if (text.n > M2_MAX_GRANT_BYTES) {
        return m2_err_set(err, M2_E_CONFIG, "the file is larger than %d bytes",
                          M2_MAX_GRANT_BYTES);
    }
    return m2_lines_read(grants, grants->pool, line_add, text, M2_MAX_GRANT_LINE, err);
}

unsigned int m2_grants_count(const m2_grants_t *grants)
{
    return apr_hash_count(grants->pairs);
}

int m2_grants_knows(const m2_grants_t *grants, const char *client)
{
    return apr_hash_get(grants->clients, client, APR_HASH_KEY_STRING) != NULL;
}

static const apr_array_header_t *pair_at(const m2_grants_t *grants, const char *key)
{
    return apr_hash_get(grants->pairs, key, APR_HASH_KEY_STRING);
}

static const apr_array_header_t *granted_at(const m2_grants_t *grants, apr_pool_t *pool,
                                            m2_slice_t audience, const char *client)
{
    const char *key = pair_key(pool, audience, m2_slice_z(client));
    const apr_array_header_t *own = pair_at(grants, key);
    const apr_array_header_t *more = grants->more ? pair_at(grants->more, key) : NULL;
    apr_array_header_t *both;
    int i;

    if (!own || !more) {
        return own ? own : more;
    }
    both = apr_array_copy(pool, own);
    for (i = 0; i < more->nelts; i++) {
        list_add(both, m2_slice_z(APR_ARRAY_IDX(more, i, const char *)), NULL);
    }
    return both;
}

void m2_grants_join(m2_grants_t *grants, const m2_grants_t *other)
{
    grants->more = other;
}

int m2_grants_introspects(const m2_grants_t *grants, apr_pool_t *pool, const char *client,
                          const char *audience)
{
    const apr_array_header_t *list;

    if (!audience) {
        return apr_hash_get(grants->inspectors, client, APR_HASH_KEY_STRING) != NULL;
    }
    list = granted_at(grants, pool, m2_slice_z(audience), client);
    return list && list_has(list, m2_slice_z(M2_SCOPE_INTROSPECT));
}

/* --- answering a request --- */

/* RFC 3986 4.3: a scheme and something behind it, no fragment */
static int is_absolute(const char *uri)
{
    const char *colon = strchr(uri, ':');
    const char *c;

    for (c = uri; colon && c < colon; c++) {
        if (!apr_isalnum(*c) && (c == uri || !strchr("+-.", *c))) {
            return 0;
        }
    }
    return colon && colon > uri && apr_isalpha(*uri) && colon[1] && !strchr(uri, '#')
           && !strpbrk(uri, " \t");
}

/* split one wanted word at its only '|'; without one it is a permission of the resource */
static int scope_split(m2_slice_t word, const char *resource, m2_slice_t *audience,
                       m2_slice_t *permission)
{
    const char *bar = memchr(word.p, '|', word.n);

    if (!bar) {
        *audience = m2_slice_z(resource);
        *permission = word;
        return resource && m2_scope_word_ok(word);
    }
    *audience = m2_slice(word.p, (apr_size_t)(bar - word.p));
    *permission = m2_slice(bar + 1, word.n - audience->n - 1);
    return m2_scope_word_ok(*audience) && m2_scope_word_ok(*permission);
}

/* the words of wanted, checked for form and for one audience */
static m2_code_t wanted_read(apr_array_header_t *words, m2_slice_t *paudience,
                             m2_slice_t wanted, const char *resource, m2_err_t *err)
{
    m2_slice_t word, audience, permission;

    while (m2_word_next(&wanted, &word)) {
        if (!scope_split(word, resource, &audience, &permission)) {
            return m2_err_set(err, M2_E_INSUFFICIENT_SCOPE,
                              "each scope is written audience|permission");
        }
        if (resource && !m2_slice_is(audience, resource)) {
            return m2_err_set(err, M2_E_AUDIENCE_MISMATCH,
                              "resource differs from the audience of a scope");
        }
        if (words->nelts && !m2_slice_eq(audience, *paudience)) {
            return m2_err_set(err, M2_E_INSUFFICIENT_SCOPE,
                              "one request is for one audience");
        }
        if (words->nelts >= M2_MAX_SCOPES) {
            return m2_err_set(err, M2_E_INSUFFICIENT_SCOPE, "too many scopes");
        }
        *paudience = audience;
        APR_ARRAY_PUSH(words, m2_slice_t) = permission;
    }
    if (!words->nelts && resource) {
        *paudience = m2_slice_z(resource);
        APR_ARRAY_PUSH(words, m2_slice_t) = m2_slice_z(M2_SCOPE_ALL);
    }
    return words->nelts ? M2_OK
                        : m2_err_set(err, M2_E_INSUFFICIENT_SCOPE,
                                     "scope is needed, written audience|permission");
}

/* the permissions of wanted that are granted, in the order asked for, each once */
static m2_code_t wanted_grant(apr_array_header_t *given, const apr_array_header_t *words,
                              const apr_array_header_t *granted, m2_err_t *err)
{
    int i;

    for (i = 0; i < words->nelts; i++) {
        m2_slice_t word = APR_ARRAY_IDX(words, i, m2_slice_t);

        if (m2_slice_is(word, M2_SCOPE_ALL)) {
            int k;
            for (k = 0; k < granted->nelts; k++) {
                m2_slice_t one = m2_slice_z(APR_ARRAY_IDX(granted, k, const char *));

                if (!m2_slice_is(one, M2_SCOPE_INTROSPECT)) {
                    list_add(given, one, NULL);
                }
            }
        }
        else if (m2_slice_is(word, M2_SCOPE_INTROSPECT) || !list_has(granted, word)) {
            return m2_err_set(err, M2_E_INSUFFICIENT_SCOPE,
                              "a scope asked for is not granted to the client");
        }
        else {
            list_add(given, word, NULL);
        }
    }
    return given->nelts ? M2_OK
                        : m2_err_set(err, M2_E_INSUFFICIENT_SCOPE,
                                     "a scope asked for is not granted to the client");
}

static void scope_write(m2_scope_t *scope, apr_pool_t *pool, const apr_array_header_t *given)
{
    apr_array_header_t *full = apr_array_make(pool, given->nelts, sizeof(const char *));
    int i;

    for (i = 0; i < given->nelts; i++) {
        APR_ARRAY_PUSH(full, const char *) = apr_pstrcat(
            pool, scope->audience, "|", APR_ARRAY_IDX(given, i, const char *), NULL);
    }
    scope->permissions = apr_array_pstrcat(pool, given, ' ');
    scope->scope = apr_array_pstrcat(pool, full, ' ');
}

m2_code_t m2_grants_resolve(m2_scope_t *scope, apr_pool_t *pool, const m2_grants_t *grants,
                            const char *client, m2_slice_t wanted, const char *resource,
                            m2_err_t *err)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(m2_slice_t));
    apr_array_header_t *given = apr_array_make(pool, 4, sizeof(const char *));
    const apr_array_header_t *granted;
    m2_slice_t audience = { NULL, 0 };
    m2_code_t rc;

    if (resource && !is_absolute(resource)) {
        return m2_err_set(err, M2_E_AUDIENCE_MISMATCH,
                          "resource must be an absolute URI without a fragment");
    }
    rc = wanted_read(words, &audience, wanted, resource, err);
    if (rc != M2_OK) {
        return rc;
    }
    granted = granted_at(grants, pool, audience, client);
    if (!granted && resource) {
        return m2_err_set(err, M2_E_AUDIENCE_MISMATCH,
                          "the resource is not granted to the client");
    }
    if (!granted) {
        return m2_err_set(err, M2_E_INSUFFICIENT_SCOPE,
                          "a scope asked for is not granted to the client");
    }
    rc = wanted_grant(given, words, granted, err);
    if (rc != M2_OK) {
        return rc;
    }
    scope->audience = m2_slice_dup(pool, audience);
    scope_write(scope, pool, given);
    return strlen(scope->permissions) <= M2_MAX_SCOPE_TEXT
               ? M2_OK
               : m2_err_set(err, M2_E_INSUFFICIENT_SCOPE, "too many scopes for one token");
}
