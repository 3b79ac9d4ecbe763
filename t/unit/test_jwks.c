/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Key sources without a network: two registries share one memory and one state directory, as
 * two child processes do, and a fetcher of our own answers what each case wants.
 */
#include "base/m2_hold.h"
#include "unit.h"

#include <apr_file_io.h>
#include <sys/wait.h>
#include <unistd.h>
#include <apr_file_info.h>

#include "jwks/m2_jwks.h"
#include "jwks/m2_keysource_int.h"

#define URL "https://idp.example/jwks"
#define ED(kid)                                                                             \
    "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"," \
    "\"kid\":\"" kid "\"}"
#define EC(kid)                                                                             \
    "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","   \
    "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"kid\":\"" kid "\"}"
#define SET(keys) "{\"keys\":[" keys "]}"

/* --- a fetcher that does as it is told --- */

static struct {
    const char *fault, *body, *etag;
    int status, max_age;
} reply;

static char asked_url[200], asked_etag[100];
static int fetches; /* that were started */

struct m2_fetch_t {
    m2_fetched_fn *fn;
    void *baton;
};

int m2_fetch_available(void)
{
    return 1;
}

int m2_fetch_init(void)
{
    return 1;
}

void m2_fetch_exit(void)
{
}

m2_fetch_t *m2_fetch_open(apr_pool_t *p, const m2_fetch_tls_t *tls)
{
    (void)tls;
    return apr_pcalloc(p, sizeof(m2_fetch_t));
}

int m2_fetch_start(m2_fetch_t *fetch, const char *url, const char *etag, int timeout,
                   apr_size_t max, m2_fetched_fn *fn, void *baton)
{
    (void)timeout;
    (void)max;
    if (fetch->fn) {
        return 0;
    }
    fetch->fn = fn;
    fetch->baton = baton;
    fetches++;
    apr_cpystrn(asked_url, url, sizeof(asked_url));
    apr_cpystrn(asked_etag, etag ? etag : "", sizeof(asked_etag));
    return 1;
}

/* nothing ends by itself: answer() ends it */
int m2_fetch_run(m2_fetch_t *fetch, apr_interval_time_t wait)
{
    (void)wait;
    return fetch->fn != NULL;
}

void m2_fetch_close(m2_fetch_t *fetch)
{
    fetch->fn = NULL;
}

/* --- two children --- */

typedef struct child_t {
    m2_jwks_t *jwks;
    m2_keyring_t *ring;
    m2_keysource_t *source;
} child_t;

static child_t a, b;
static char *memory;
static const char *dir;
static int copies; /* documents lie in memory of the process, too */
static const m2_refresh_t refresh = { 600, 3600, 5, 60 };
static const m2_fetch_tls_t tls;

static void make_child(child_t *c, m2_keysource_kind_t kind, const char *url,
                       const m2_keyset_t *fixed)
{
    apr_array_header_t *sources = apr_array_make(pool, 1, sizeof(m2_fed_t));

    c->jwks = m2_jwks_make(pool);
    if (copies) {
        m2_jwks_keep_copies(c->jwks, pool);
    }
    c->ring = m2_keyring_make(pool, NULL);
    assert_int_equal(m2_jwks_url(&c->source, c->jwks, kind, url, 0, &err), M2_OK);
    assert_int_equal(m2_keysource_refresh(c->source, &refresh, &err), M2_OK);
    APR_ARRAY_PUSH(sources, m2_fed_t) = (m2_fed_t){ c->source, NULL };
    m2_jwks_feed(c->jwks, c->ring, fixed, sources);
    if (!memory) {
        memory = apr_pcalloc(pool, m2_jwks_shared_size(c->jwks));
    }
    m2_jwks_share(c->jwks, memory);
    m2_jwks_open(c->jwks, dir, apr_time_now());
    assert_int_equal(m2_jwks_start(c->jwks, &tls, pool), 1);
}

static void make_both(m2_keysource_kind_t kind, const char *url)
{
    memory = NULL;
    fetches = 0;
    make_child(&a, kind, url, NULL);
    make_child(&b, kind, url, NULL);
}

static int setup_dir(void **state)
{
    char *name;

    if (setup(state) != 0) {
        return 1;
    }
    name = apr_pstrdup(pool, "/tmp/m2_jwks_XXXXXX");
    dir = mkdtemp(name);
    return dir == NULL;
}

static void remove_dir(const char *path)
{
    apr_finfo_t info;
    apr_dir_t *d;

    if (apr_dir_open(&d, path, pool) == APR_SUCCESS) {
        while (apr_dir_read(&info, APR_FINFO_NAME, d) == APR_SUCCESS) {
            apr_file_remove(apr_pstrcat(pool, path, "/", info.name, NULL), pool);
        }
        apr_dir_close(d);
        apr_dir_remove(path, pool);
    }
}

static int teardown_dir(void **state)
{
    remove_dir(dir);
    return teardown(state);
}

static void tick(child_t *c, int seconds)
{
    m2_jwks_tick(c->jwks, apr_time_now() + apr_time_from_sec(seconds));
}

/* The fetch of a registry is private to it; ours is the one that was started last. */
static m2_fetch_t *fetch_of(const child_t *c)
{
    struct {
        apr_pool_t *pool;
        apr_array_header_t *sources, *feeds;
        void *slots;
        apr_uint64_t *seed;
        m2_fetch_t *fetch;
    } *look = (void *)c->jwks; /* the head of m2_jwks_t */

    return look->fetch;
}

static void answer(child_t *c)
{
    m2_fetch_t *fetch = fetch_of(c);
    m2_fetched_fn *fn = fetch->fn;
    const m2_answer_t answered = { reply.fault, reply.status, z(reply.body ? reply.body : ""),
                                   reply.etag, reply.max_age, 0, 0 };

    assert_non_null(fn);
    fetch->fn = NULL;
    fn(&answered, fetch->baton);
}

static void reply_with(int status, const char *body)
{
    memset(&reply, 0, sizeof(reply));
    reply.status = status;
    reply.body = body;
    reply.max_age = M2_UNSET;
}

/* fetched by a, picked up by both */
static void fetched(const char *body, int seconds)
{
    reply_with(200, body);
    tick(&a, seconds);
    answer(&a);
    tick(&a, seconds);
    tick(&b, seconds);
}

static int has(const child_t *c, const char *kid)
{
    const m2_keyset_t *set = m2_keyring_enter(c->ring);
    const m2_wanted_t wanted = { .kid = z(kid), .alg = m2_alg_find(z("EdDSA")), .allowed = ~0u };
    m2_candidates_t keys;
    int found = set && m2_keyset_find(&keys, set, &wanted, NULL) == M2_OK;

    m2_keyring_leave(c->ring);
    return found;
}

static m2_keysource_info_t info_of(const child_t *c, int seconds)
{
    m2_keysource_info_t info;

    m2_jwks_info(&info, pool, c->jwks, 0, apr_time_now() + apr_time_from_sec(seconds));
    return info;
}

/* --- cases --- */

static void test_one_fetch_for_all(void **state)
{
    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    assert_null(m2_keyring_enter(a.ring));
    m2_keyring_leave(a.ring);
    tick(&a, 0);
    tick(&b, 0);
    assert_int_equal(fetches, 1);
    assert_string_equal(asked_url, URL);
    reply_with(200, SET(ED("one")));
    answer(&a);
    assert_false(has(&a, "one"));
    tick(&b, 0);
    assert_true(has(&b, "one"));
    tick(&a, 0);
    assert_true(has(&a, "one"));
    tick(&a, 530);
    assert_int_equal(fetches, 1);
    tick(&b, 600);
    assert_int_equal(fetches, 2);
    m2_jwks_stop(b.jwks);
    tick(&a, 600);
    assert_int_equal(fetches, 3); /* the claim was given back */
}

static void test_a_claim_ends(void **state)
{
    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    tick(&a, 0); /* and a is never heard of again */
    tick(&b, 9);
    assert_int_equal(fetches, 1);
    tick(&b, 11);
    assert_int_equal(fetches, 2);
}

static void test_rotation(void **state)
{
    const m2_keyset_t *held;

    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    held = m2_keyring_enter(b.ring);
    fetched(SET(ED("two")), 601);
    assert_false(has(&b, "one"));
    assert_true(has(&b, "two"));
    assert_int_equal(held->keys->nelts, 1); /* whoever holds the old set may go on reading */
    m2_keyring_leave(b.ring);
    tick(&b, 601);
    assert_int_equal(info_of(&a, 601).swaps, 2);
    fetched(SET(ED("two")), 1300);
    assert_int_equal(info_of(&a, 1300).swaps, 2); /* nothing changed, nothing is swapped */
}

static void test_bad_answers(void **state)
{
    static const struct {
        int status;
        const char *body, *fault;
    } bad[] = { { 200, "<html>", NULL }, { 200, "", NULL }, { 200, "{\"keys\":[]}", NULL },
                { 200, "{}", NULL }, { 200, "{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\"}", NULL },
                { 500, SET(ED("evil")), NULL }, { 304, "", NULL }, { 404, "", NULL },
                { 0, SET(ED("evil")), "timed out" } };
    int at = 0;
    size_t i;

    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        at += 601;
        reply_with(bad[i].status, bad[i].body);
        reply.fault = bad[i].fault;
        tick(&a, at);
        answer(&a);
        tick(&a, at);
        tick(&b, at);
        assert_true(has(&a, "one") && has(&b, "one"));
        assert_false(has(&a, "evil"));
        assert_int_equal(info_of(&a, 0).failures, i + 1);
        assert_non_null(info_of(&a, 0).fault);
        if (at > 2400) {
            at = 0; /* within max-stale; retries are due by then all the same */
        }
    }
}

static void test_expiry(void **state)
{
    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    assert_string_equal(info_of(&a, 0).state, "fresh");
    reply_with(503, "");
    tick(&a, 601);
    answer(&a);
    clean();
    tick(&a, 3590);
    assert_true(has(&a, "one"));
    assert_string_equal(info_of(&a, 3590).state, "stale");
    m2_jwks_stop(a.jwks);
    m2_jwks_start(a.jwks, &tls, pool);
    tick(&a, 3605);
    assert_null(m2_keyring_enter(a.ring));
    m2_keyring_leave(a.ring);
    assert_string_equal(info_of(&a, 3605).state, "unavailable");
    assert_int_equal(logged, 1);
    assert_int_equal(last_level, M2_LOG_ERR);
    tick(&b, 3605);
    assert_int_equal(logged, 1); /* one of all tells it */
}

static void test_etag_and_max_age(void **state)
{
    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    reply_with(200, SET(ED("one")));
    reply.etag = "\"v1\"";
    reply.max_age = 100;
    tick(&a, 0);
    answer(&a);
    tick(&b, 101); /* another child picks the ETag up with the document */
    assert_int_equal(fetches, 2);
    assert_string_equal(asked_etag, "\"v1\"");
    reply_with(304, "");
    answer(&b);
    assert_int_equal(info_of(&a, 0).failures, 0);
    assert_string_equal(info_of(&a, 590).state, "fresh");
    reply_with(200, SET(ED("one")));
    reply.max_age = 0; /* no-store: as often as unknown kids may ask, no more */
    tick(&a, 601);
    answer(&a);
    tick(&a, 50);
    assert_int_equal(fetches, 3);
    tick(&a, 61);
    assert_int_equal(fetches, 4);
}

static void test_ask(void **state)
{
    const apr_time_t now = apr_time_now() + apr_time_from_sec(1);
    int i, granted = 0;

    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    for (i = 0; i < 1000; i++) {
        const char *kid = apr_psprintf(pool, "stranger%d", i);

        m2_jwks_ask(i & 1 ? a.ring : b.ring, z(kid), now);
    }
    assert_int_equal(info_of(&a, 0).early, 1);
    assert_true(m2_jwks_ask(b.ring, z("stranger0"), now)); /* the same kid may wait with it */
    assert_false(m2_jwks_ask(b.ring, z("stranger1"), now));
    fetched(SET(ED("one")), 2);
    assert_int_equal(fetches, 2);
    granted = m2_jwks_ask(a.ring, z("other"), now + apr_time_from_sec(59));
    assert_false(granted); /* the cooldown */
    assert_false(m2_jwks_ask(a.ring, z("stranger0"), now + apr_time_from_sec(61)));
    assert_true(m2_jwks_ask(a.ring, z("other"), now + apr_time_from_sec(61)));
    assert_int_equal(info_of(&a, 0).early, 2);
    assert_false(m2_jwks_ask(m2_keyring_make(pool, NULL), z("x"), now)); /* a ring not fed */
}

static void test_wait(void **state)
{
    apr_time_t from = apr_time_now();

    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    assert_false(m2_jwks_wait(a.ring, 0, 0, 1));
    assert_true(m2_jwks_wait(a.ring, 0, apr_time_from_sec(60), 1)); /* changed already */
    assert_false(m2_jwks_wait(a.ring, m2_keyring_enter(a.ring)->generation,
                              apr_time_from_sec(60), 1)); /* nothing is under way */
    m2_keyring_leave(a.ring);
    assert_true(apr_time_now() - from < apr_time_from_sec(30));
}

static void test_restore(void **state)
{
    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    make_both(M2_KEYSOURCE_URL, URL); /* the server starts anew */
    assert_true(has(&a, "one"));
    tick(&a, 0);
    assert_int_equal(fetches, 0); /* fresh as it is */
    make_both(M2_KEYSOURCE_URL, URL "2");
    assert_false(has(&a, "one"));
}

static void test_restore_not_for_ever(void **state)
{
    apr_finfo_t info;
    apr_dir_t *d;

    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    assert_int_equal(apr_dir_open(&d, dir, pool), APR_SUCCESS);
    while (apr_dir_read(&info, APR_FINFO_NAME, d) == APR_SUCCESS) {
        if (info.name[0] != '.') {
            const char *path = apr_pstrcat(pool, dir, "/", info.name, NULL);

            assert_int_equal(apr_stat(&info, path, APR_FINFO_PROT, pool), APR_SUCCESS);
            assert_int_equal(info.protection & (APR_FPROT_GREAD | APR_FPROT_WREAD), 0);
            apr_file_mtime_set(path, apr_time_now() - apr_time_from_sec(3601), pool);
        }
    }
    apr_dir_close(d);
    make_both(M2_KEYSOURCE_URL, URL);
    assert_false(has(&a, "one"));
    tick(&a, 0);
    assert_int_equal(fetches, 1);
}

static void test_late_child(void **state)
{
    child_t late;

    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    late = b; /* what a child inherits, but for the clock */
    fetched(SET(ED("two")), 601);
    m2_jwks_catch_up(late.jwks, apr_time_now());
    assert_true(has(&late, "two"));
    assert_false(has(&late, "one"));
}

static void test_configured_keys_stand(void **state)
{
    m2_keyset_t *fixed = m2_keyset_make(pool);

    (void)state;
    assert_int_equal(m2_keyset_parse(fixed, z(ED("mine")), "fixed", M2_JWK_PUBLIC,
                                     M2_KEYSET_STRICT, &err),
                     M2_OK);
    memory = NULL;
    make_child(&a, M2_KEYSOURCE_URL, URL, fixed);
    make_child(&b, M2_KEYSOURCE_URL, URL, fixed);
    assert_true(has(&a, "mine"));
    assert_true(m2_keyring_enter(a.ring)->incomplete);
    m2_keyring_leave(a.ring);
    fetched(SET(EC("mine") "," ED("theirs")), 0);
    assert_true(has(&a, "mine")); /* Ed25519: the configured one */
    assert_true(has(&a, "theirs"));
    assert_false(m2_keyring_enter(a.ring)->incomplete);
    m2_keyring_leave(a.ring);
}

static void step(int status, const char *body, const char *next)
{
    reply_with(status, body);
    answer(&a);
    assert_string_equal(asked_url, next);
}

static void test_discovery(void **state)
{
    static const char issuer[] = "https://idp.example/t/";

    (void)state;
    make_both(M2_KEYSOURCE_ISSUER, issuer);
    tick(&a, 0);
    assert_string_equal(asked_url,
                        "https://idp.example/.well-known/oauth-authorization-server/t");
    step(404, "", "https://idp.example/t/.well-known/openid-configuration");
    step(200, "{\"issuer\":\"https://idp.example/t/\",\"jwks_uri\":\"https://cdn.example/k\"}",
         "https://cdn.example/k");
    reply_with(200, SET(ED("one")));
    answer(&a);
    tick(&a, 0);
    assert_true(has(&a, "one"));
    assert_int_equal(info_of(&a, 0).fetches, 3);
}

static void test_discovery_refuses(void **state)
{
    static const char *const bad[] = {
        "{\"issuer\":\"https://idp.example/other\",\"jwks_uri\":\"https://cdn.example/k\"}",
        "{\"issuer\":\"https://idp.example\",\"jwks_uri\":\"https://cdn.example/k\"}",
        "{\"jwks_uri\":\"https://cdn.example/k\"}",
        "{\"issuer\":\"https://idp.example/t\"}",
        "{\"issuer\":\"https://idp.example/t\",\"jwks_uri\":\"http://cdn.example/k\"}",
        "{\"issuer\":\"https://idp.example/t\",\"jwks_uri\":\"http://127.0.0.1/k\"}",
        "{\"issuer\":\"https://idp.example/t\",\"jwks_uri\":\"file:///etc/passwd\"}",
        "{\"issuer\":\"https://idp.example/t\",\"jwks_uri\":7}",
        "[]", "" };
    int at = 0;
    size_t i;

    (void)state;
    make_both(M2_KEYSOURCE_ISSUER, "https://idp.example/t");
    for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        at += 700;
        tick(&a, at);
        step(200, bad[i], "https://idp.example/t/.well-known/openid-configuration");
        reply_with(200, bad[i]);
        answer(&a);
        assert_int_equal(info_of(&a, 0).failures, i + 1);
    }
    assert_int_equal(fetches, 2 * (int)(sizeof(bad) / sizeof(bad[0])));
}

/* a clock that is set back delays nothing and frees no claim of another */
static void test_clock_set_back(void **state)
{
    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    tick(&a, 601); /* a fetch is under way, and due and claim lie two hours ahead ... */
    assert_int_equal(fetches, 2);
    tick(&b, 601 - 7200); /* ... for who looks at this clock */
    assert_int_equal(fetches, 3);
    reply_with(200, SET(ED("two")));
    answer(&b);
    assert_true(has(&a, "one"));
    tick(&a, 601 - 7200);
    assert_true(has(&a, "two"));
}

/* whose fetch outlived its claim does not give back the claim of another child */
static void test_late_release(void **state)
{
    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    tick(&a, 0);
    assert_int_equal(fetches, 1);
    tick(&b, 11); /* 5 s of timeout and 5 s of margin are over */
    assert_int_equal(fetches, 2);
    m2_jwks_stop(a.jwks);
    assert_int_equal(m2_jwks_start(a.jwks, &tls, pool), 1);
    tick(&a, 12);
    assert_int_equal(fetches, 2); /* the claim is b's */
}

/* --- a state directory that cannot be written --- */

static void make_alone(const char *state_dir)
{
    const char *good = dir;

    dir = state_dir;
    make_both(M2_KEYSOURCE_URL, URL);
    dir = good;
}

/* each child fetches for itself, as often as one would */
static void test_unstored(void **state)
{
    (void)state;
    make_alone("/nonexistent/of/test_jwks");
    fetched(SET(ED("one")), 0);
    assert_true(has(&a, "one"));
    assert_non_null(strstr(last_log, "every child fetches it for itself"));
    assert_int_equal(last_level, M2_LOG_NOTICE);
    assert_int_equal(info_of(&a, 0).failures, 0);
    assert_int_equal(fetches, 2); /* b's is under way */
    answer(&b);
    tick(&b, 1);
    assert_true(has(&b, "one"));
    tick(&a, 2);
    tick(&b, 2);
    assert_int_equal(fetches, 2);
    reply_with(200, SET(ED("two")));
    tick(&a, 601);
    tick(&b, 601);
    assert_int_equal(fetches, 4);
    answer(&a);
    answer(&b);
    tick(&a, 602);
    tick(&b, 602);
    assert_true(has(&a, "two") && has(&b, "two"));
    assert_false(has(&a, "one") || has(&b, "one"));
}

/* what one fetched does not serve for ever because another still fetches */
static void test_unstored_expires(void **state)
{
    (void)state;
    make_alone("/nonexistent/of/test_jwks");
    fetched(SET(ED("one")), 0);
    answer(&b);
    tick(&b, 0);
    assert_true(has(&b, "one"));
    tick(&b, 3601);
    assert_false(has(&b, "one"));
}

/* as soon as it can be written, one fetches for all again */
static void test_stored_again(void **state)
{
    const char *late = apr_pstrcat(pool, dir, "/late", NULL);

    (void)state;
    make_alone(late);
    fetched(SET(ED("one")), 0);
    answer(&b);
    tick(&b, 0);
    assert_int_equal(apr_dir_make(late, APR_FPROT_OS_DEFAULT, pool), APR_SUCCESS);
    reply_with(200, SET(ED("two")));
    tick(&a, 601);
    answer(&a);
    tick(&a, 10); /* the answer came now, by the clock of this machine */
    tick(&b, 10);
    assert_true(has(&a, "two") && has(&b, "two"));
    assert_int_equal(fetches, 3); /* two at first, then a's */
    remove_dir(late);
}

/* without any directory at all */
static void test_no_directory(void **state)
{
    (void)state;
    make_alone(NULL);
    fetched(SET(ED("one")), 0);
    assert_true(has(&a, "one"));
    assert_false(has(&b, "one"));
    answer(&b);
    tick(&b, 1);
    assert_true(has(&b, "one"));
}

/* With memory that is shared, what one fetched is everybody's, though no disk holds it. */
static void test_unstored_in_memory(void **state)
{
    (void)state;
    copies = 1;
    make_alone("/nonexistent/of/test_jwks");
    reply_with(200, SET(ED("one")));
    tick(&a, 0);
    answer(&a);
    m2_jwks_catch_up(b.jwks, apr_time_now()); /* a child that starts now */
    assert_true(has(&b, "one"));
    assert_int_equal(fetches, 1);
    reply_with(200, SET(ED("two")));
    tick(&a, 601);
    answer(&a);
    tick(&b, 601);
    assert_true(has(&b, "two"));
    assert_false(has(&b, "one"));
    tick(&b, 3500); /* confirmed when the answer came, by the clock of this machine */
    assert_true(has(&b, "two"));
    tick(&b, 3605);
    assert_false(has(&b, "two"));
    copies = 0;
}

/* What lies on disk is older than what was fetched since it can be written no more. */
static void test_restart_while_unstored(void **state)
{
    (void)state;
    copies = 1;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    a.source->state_path = b.source->state_path = "/nonexistent/of/test_jwks";
    fetched(SET(ED("two")), 601);
    assert_true(has(&a, "two") && has(&b, "two"));
    make_both(M2_KEYSOURCE_URL, URL); /* another configuration of the same process */
    assert_true(has(&a, "two"));
    assert_false(has(&a, "one")); /* it was withdrawn */
    assert_int_equal(fetches, 0);
    copies = 0;
}

/* a file that cannot be read back now is read back later */
static void test_unreadable_for_a_while(void **state)
{
    const char *path;

    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    path = b.source->state_path;
    b.source->state_path = "/nonexistent/of/test_jwks";
    fetched(SET(ED("two")), 601);
    assert_true(has(&a, "two"));
    assert_true(has(&b, "one"));
    clean();
    tick(&b, 601);
    assert_int_equal(logged, 0); /* once was enough */
    b.source->state_path = path;
    tick(&b, 602);
    assert_true(has(&b, "two"));
    assert_false(has(&b, "one"));
}

/* a URL that is an issuer's as well is another source, and lies in another file */
static void test_one_name(void **state)
{
    const char *url;

    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    url = a.source->state_path;
    make_both(M2_KEYSOURCE_ISSUER, URL);
    assert_non_null(url);
    assert_string_not_equal(a.source->state_path, url);
}

/* what a child that was killed was writing */
static void test_sweep(void **state)
{
    static const char hash[] = "0123456789abcdef0123456789abcdef";
    const char *old = apr_pstrcat(pool, dir, "/", hash, ".jwks.abcdef", NULL);
    const char *new = apr_pstrcat(pool, dir, "/", hash, ".jwks.ABCDEF", NULL);
    const char *other = apr_pstrcat(pool, dir, "/", hash, ".jwks.abcdefg", NULL);
    const char *const all[] = { old, new, other };
    apr_finfo_t info;
    apr_file_t *file;
    int i;

    (void)state;
    for (i = 0; i < 3; i++) {
        assert_int_equal(apr_file_open(&file, all[i], APR_FOPEN_CREATE | APR_FOPEN_WRITE,
                                       APR_FPROT_OS_DEFAULT, pool),
                         APR_SUCCESS);
        apr_file_close(file);
        apr_file_mtime_set(all[i], apr_time_now() - apr_time_from_sec(i == 1 ? 1 : 100), pool);
    }
    make_both(M2_KEYSOURCE_URL, URL);
    assert_int_equal(apr_stat(&info, old, APR_FINFO_TYPE, pool) == APR_SUCCESS, 0);
    assert_int_equal(apr_stat(&info, new, APR_FINFO_TYPE, pool), APR_SUCCESS);
    assert_int_equal(apr_stat(&info, other, APR_FINFO_TYPE, pool), APR_SUCCESS);
}

/* seats are those of all children, and those of the dead come back */
static void test_seats(void **state)
{
    m2_keysource_t *source;
    apr_uint64_t generation;

    (void)state;
    make_both(M2_KEYSOURCE_URL, URL);
    fetched(SET(ED("one")), 0);
    generation = m2_keyring_enter(b.ring)->generation;
    m2_keyring_leave(b.ring);
    assert_int_equal(m2_jwks_ask(a.ring, z("new"), apr_time_now()), 1);
    source = a.source;
    assert_int_equal(source->waiters->most, 1);
    assert_ptr_equal(source->waiters, b.source->waiters);
    source->waiters->until[0] = (apr_uint64_t)apr_time_now() + 5 * APR_USEC_PER_SEC;
    assert_int_equal(m2_jwks_wait(b.ring, generation, 3 * APR_USEC_PER_SEC, 1), 0); /* at once */
    assert_true(source->waiters->until[0] != 0);
    source->waiters->until[0] = (apr_uint64_t)apr_time_now() - 1; /* it was killed */
    assert_int_equal(m2_jwks_wait(b.ring, generation, APR_USEC_PER_SEC / 50, 1), 0);
    assert_int_equal(source->waiters->until[0], 0);
    assert_int_equal(m2_jwks_wait(b.ring, generation + 1, APR_USEC_PER_SEC / 50, 1), 1);
}

static void test_registry(void **state)
{
    const m2_refresh_t other = { 601, 3600, 5, 60 };
    m2_keysource_t *one, *two;
    m2_jwks_t *jwks = m2_jwks_make(pool);

    (void)state;
    assert_false(m2_jwks_watched(jwks));
    assert_int_equal(m2_jwks_url(&one, jwks, M2_KEYSOURCE_URL, URL, 0, &err), M2_OK);
    assert_int_equal(m2_jwks_url(&two, jwks, M2_KEYSOURCE_URL, URL, 0, &err), M2_OK);
    assert_ptr_equal(one, two);
    assert_int_equal(m2_jwks_count(jwks), 1);
    assert_true(m2_jwks_watched(jwks) && m2_jwks_fetched(jwks));
    assert_int_equal(m2_keysource_refresh(one, &refresh, &err), M2_OK);
    assert_int_equal(m2_keysource_refresh(two, &refresh, &err), M2_OK);
    assert_int_equal(m2_keysource_refresh(two, &other, &err), M2_E_CONFIG);
    assert_non_null(strstr(err.text, "two refresh policies"));
}

#define case_of(f) cmocka_unit_test_setup_teardown(f, setup_dir, teardown_dir)

/* A child that ends in a signal handler frees nothing: a tick may be under way, in malloc. */
static int freed;

static apr_status_t note_freed(void *data)
{
    (void)data;
    freed++;
    return APR_SUCCESS;
}

static void destroy_one(const char *url)
{
    apr_pool_t *whole = pool, *part;

    apr_pool_create(&part, whole);
    pool = part;
    make_both(M2_KEYSOURCE_URL, url);
    fetched(SET(ED("one")), 0);
    apr_pool_cleanup_register(m2_keyring_enter(a.ring)->pool, NULL, note_freed,
                              apr_pool_cleanup_null);
    m2_keyring_leave(a.ring);
    pool = whole;
    apr_pool_destroy(part);
    memory = NULL;
}

static void test_nothing_is_freed_at_the_end(void **state)
{
    pid_t child;
    int status;

    (void)state;
    freed = 0;
    destroy_one(URL);
    assert_int_equal(freed, 1);
    child = fork();
    if (!child) {
        m2_hold_signals();
        destroy_one(URL "/other"); /* whose copy is not there */
        _exit(freed == 1 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        case_of(test_one_fetch_for_all),    case_of(test_a_claim_ends),
        case_of(test_rotation),             case_of(test_bad_answers),
        case_of(test_expiry),               case_of(test_etag_and_max_age),
        case_of(test_ask),                  case_of(test_wait),
        case_of(test_restore),              case_of(test_restore_not_for_ever),
        case_of(test_late_child),           case_of(test_configured_keys_stand),
        case_of(test_discovery),            case_of(test_discovery_refuses),
        case_of(test_registry),             case_of(test_clock_set_back),
        case_of(test_late_release),         case_of(test_unstored),
        case_of(test_unstored_expires),     case_of(test_stored_again),
        case_of(test_no_directory),         case_of(test_sweep),
        case_of(test_unstored_in_memory),   case_of(test_restart_while_unstored),
        case_of(test_unreadable_for_a_while), case_of(test_one_name),
        case_of(test_seats),
        case_of(test_nothing_is_freed_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
