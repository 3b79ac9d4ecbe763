/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Composing sources into the set of a section.
 */
#include "unit.h"

#include "jwks/m2_feed.h"
#include "jwks/m2_keysource_int.h"

#define ED(kid)                                                                             \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"," \
    "\"kid\":\"" kid "\"}"
#define ED2(kid)                                                                            \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"0nMCIvSquaH0pGTIKS6kAT1_vQ7W6Cd0tyOnqtWG9us\"," \
    "\"kid\":\"" kid "\"}"
#define EC(kid)                                                                             \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","   \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"kid\":\"" kid "\"}"
#define SET(keys) "{\"keys\":[" keys "]}"

static m2_feeds_t feeds;
static m2_feed_t *feed;
static m2_keyring_t *ring;
static m2_keysource_t one, two;
static const char *issuer_one; /* that the first source is bound to */

static void make_source(m2_keysource_t *source, m2_keysource_kind_t kind, const char *name)
{
    memset(source, 0, sizeof(*source));
    source->pool = pool;
    source->kind = kind;
    source->document = &m2_document_keys;
    source->name = source->label = name;
}

static void make(const m2_keyset_t *fixed)
{
    apr_array_header_t *sources = apr_array_make(pool, 2, sizeof(m2_fed_t));

    memset(&feeds, 0, sizeof(feeds));
    feeds.list = apr_array_make(pool, 1, sizeof(m2_feed_t *));
    ring = m2_keyring_make(pool, NULL);
    make_source(&one, M2_KEYSOURCE_FILE, "one.json");
    make_source(&two, M2_KEYSOURCE_URL, "https://two.example/");
    APR_ARRAY_PUSH(sources, m2_fed_t) = (m2_fed_t){ &one, issuer_one };
    APR_ARRAY_PUSH(sources, m2_fed_t) = (m2_fed_t){ &two, NULL };
    feed = m2_feed_add(&feeds, ring, fixed, sources);
}

static void give(m2_keysource_t *source, const char *text)
{
    assert_int_equal(m2_keysource_take(source, z(text), M2_JWK_PUBLIC, M2_KEYSET_LENIENT, &err),
                     M2_OK);
    source->usable = source->dirty = 1;
    m2_feeds_publish(&feeds);
    source->dirty = 0;
    m2_feeds_reclaim(&feeds);
}

/* the key of a kid for one algorithm and issuer, NULL when nothing is in use under it */
static const m2_jwk_t *key_for(const char *kid, const char *alg, const char *iss)
{
    const m2_wanted_t wanted = { .kid = z(kid), .alg = m2_alg_find(z(alg)), .iss = z(iss),
                                 .allowed = ~(m2_alg_mask_t)0 };
    const m2_keyset_t *set = m2_keyring_enter(ring);
    m2_candidates_t found = { { NULL }, 0 };

    if (set) {
        m2_keyset_find(&found, set, &wanted, NULL);
    }
    m2_keyring_leave(ring);
    return found.n ? found.keys[0] : NULL;
}

static const m2_jwk_t *key(const char *kid)
{
    const m2_jwk_t *found = key_for(kid, "EdDSA", NULL);

    return found ? found : key_for(kid, "ES256", NULL);
}

static void end(void)
{
    m2_feeds_destroy(&feeds);
    m2_generation_drop(one.current);
    m2_generation_drop(two.current);
}

static void test_union(void **state)
{
    (void)state;
    make(NULL);
    assert_true(m2_feed_fetched(feed));
    assert_int_equal(m2_feed_sources(feed)->nelts, 2);
    assert_null(m2_feed_sources(NULL));
    assert_null(m2_keyring_enter(ring)); /* no source has anything yet */
    m2_keyring_leave(ring);
    give(&one, SET(ED("a")));
    assert_non_null(key("a"));
    assert_null(key("b"));
    assert_true(m2_keyring_enter(ring)->incomplete);
    m2_keyring_leave(ring);
    give(&two, SET(EC("b")));
    assert_non_null(key("a"));
    assert_non_null(key("b"));
    end();
}

static void test_same_key_twice(void **state)
{
    (void)state;
    make(NULL);
    give(&one, SET(ED("a")));
    give(&two, SET(ED("a") "," EC("b")));
    assert_non_null(key("a"));
    assert_non_null(key("b"));
    end();
}

/* different keys of one kid are told apart by what they can do */
static void test_one_kid(void **state)
{
    (void)state;
    make(NULL);
    give(&one, SET(ED("a")));
    give(&two, SET(EC("a") "," ED2("b")));
    assert_non_null(key_for("a", "EdDSA", NULL));
    assert_non_null(key_for("a", "ES256", NULL));
    clean();
    give(&two, SET(ED2("a") "," EC("c")));
    assert_null(key_for("a", "EdDSA", NULL)); /* both can do it: neither counts */
    assert_non_null(key_for("c", "ES256", NULL));
    assert_string_equal(last_log, "key 'a' of https://two.example/ has the kid of a different key of "
                                  "one.json and can do Ed25519 as well; neither counts");
    end();
}

static void test_fixed_counts(void **state)
{
    m2_keyset_t *fixed = m2_keyset_make(pool);

    (void)state;
    assert_int_equal(m2_keyset_parse(fixed, z(SET(ED("a"))), "x", M2_JWK_PUBLIC,
                                     M2_KEYSET_STRICT, &err),
                     M2_OK);
    make(fixed);
    clean();
    give(&one, SET(ED2("a") "," EC("b")));
    assert_string_equal(last_log, "key 'a' of one.json has the kid of a different key of the "
                                  "configuration and can do Ed25519 as well; the configured one "
                                  "counts");
    assert_true(m2_keyset_same_key(key_for("a", "EdDSA", NULL),
                                   APR_ARRAY_IDX(fixed->keys, 0, const m2_jwk_t *)));
    assert_non_null(key_for("b", "ES256", NULL));
    end();
}

/* RFC 8725 3.8: the first source signs for its issuer only, the second for everybody */
static void test_bound(void **state)
{
    (void)state;
    issuer_one = "https://one.example";
    make(NULL);
    issuer_one = NULL;
    give(&one, SET(ED("a")));
    give(&two, SET(EC("b")));
    assert_non_null(key_for("a", "EdDSA", "https://one.example"));
    assert_null(key_for("a", "EdDSA", "https://two.example"));
    assert_null(key_for("a", "EdDSA", NULL));
    assert_non_null(key_for("b", "ES256", "https://two.example"));
    assert_non_null(key_for("b", "ES256", "https://one.example"));
    end();
}

static void test_nothing_dirty(void **state)
{
    const m2_keyset_t *before;

    (void)state;
    make(NULL);
    give(&one, SET(ED("a")));
    before = m2_keyring_enter(ring);
    m2_keyring_leave(ring);
    m2_feeds_publish(&feeds);
    assert_ptr_equal(m2_keyring_enter(ring), before);
    m2_keyring_leave(ring);
    end();
}

static const char *many(int from, int n)
{
    char *text = apr_palloc(pool, 128 * (apr_size_t)n + 32), *p = text;
    int i;

    p += sprintf(p, "{\"keys\":[");
    for (i = 0; i < n; i++) {
        p += sprintf(p, "%s{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"kid\":\"k%d\",\"x\":"
                     "\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}", i ? "," : "", from + i);
    }
    sprintf(p, "]}");
    return text;
}

/* What is more than a section may have is left out, and that is told once. */
static void test_too_many(void **state)
{
    (void)state;
    make(NULL);
    give(&one, many(0, M2_MAX_KEYS / 2));
    assert_int_equal(logged, 0);
    give(&two, many(M2_MAX_KEYS / 2, M2_MAX_KEYS / 2 + 3));
    assert_int_equal(logged, 1);
    assert_string_equal(last_log, "the sources of a section have more than 8192 keys together; 3 "
                                  "are left out");
    assert_non_null(key("k0"));
    assert_non_null(key("k8191"));
    assert_null(key("k8192"));
    give(&two, many(M2_MAX_KEYS / 2, M2_MAX_KEYS / 2 + 4));
    assert_int_equal(logged, 1);
    give(&two, many(M2_MAX_KEYS / 2, 3));
    give(&two, many(M2_MAX_KEYS / 2, M2_MAX_KEYS / 2 + 1));
    assert_int_equal(logged, 2);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = { unit(test_union), unit(test_same_key_twice),
                                        unit(test_nothing_dirty), unit(test_one_kid),
                                        unit(test_fixed_counts), unit(test_bound),
                                        unit(test_too_many) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
