/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Sources that are fetched. The child that wins the claim fetches, checks and stores the
 * document and then raises the version; every child, that one included, picks it up from
 * the state directory. So what is served is what survives a restart.
 *
 *     due? -> claim -> [metadata] -> document -> parse -> store -> version + 1, due = later
 *                          \-- anything wrong: due = a little later, all else as it was
 *
 */
#include "jwks/m2_jwks_fetch.h"

#include "base/m2_log.h"
#include "jwks/m2_jwks_state.h"
#include "jwks/m2_url.h"
#include "text/m2_gzip.h"

#include <apr_uri.h>

#include <openssl/rand.h>

#define FIRST_RETRY 5  /* seconds to the next attempt after a failure, then doubling */
#define MAX_DOUBLINGS 5
#define UNSTORED (~(apr_uint64_t)0) /* a version that no copy has */
#define MAX_SHOWN 200 /* bytes of a foreign document in a message */

/* steps of a fetch: a URL has the last one only */
enum { STEP_RFC8414, STEP_OPENID, STEP_KEYS };

static apr_uint64_t seconds(int n)
{
    return (apr_uint64_t)apr_time_from_sec(n);
}

/* Up to a tenth less, so that servers that started together do not ask together. */
static apr_uint64_t jittered(apr_uint64_t interval)
{
    apr_uint32_t random = 0;

    RAND_bytes((unsigned char *)&random, sizeof(random));
    return interval - interval / 10 * (random & 0xff) / 0xff;
}

/* --- copies on disk --- */

void m2_keysource_restore(m2_keysource_t *source, apr_time_t now)
{
    m2_slot_t *slot = source->slot;
    m2_state_t state;

    if (!m2_state_take(&state, source, 0)) {
        return;
    }
    if (state.checked > now) { /* the clock was set back, or the file was touched */
        state.checked = now;
    }
    source->taken = source->seen = 1;
    m2_slot_set(&slot->version, 1);
    m2_slot_set(&slot->digest, state.digest);
    m2_slot_set(&slot->checked, (apr_uint64_t)state.checked);
    m2_slot_set(&slot->interval, seconds(state.interval));
    m2_slot_set(&slot->due, (apr_uint64_t)state.checked + seconds(state.interval));
}

/* --- the end of a fetch --- */

static void release(m2_keysource_t *source, apr_uint64_t due)
{
    m2_slot_t *slot = source->slot;

    m2_slot_set(&slot->due, due);
    m2_slot_set(&source->own_due, due);
    m2_slot_count(&slot->ended);
    m2_slot_win(&slot->claimed, source->claim, 0); /* or another child has it by now */
    apr_pool_destroy(source->fetching);
    source->fetching = NULL;
}

/* What somebody has to mend is an error, whatever was told before it. */
static void tell_lost(m2_keysource_t *source, const char *why)
{
    if (m2_slot_win(&source->slot->lost, 0, 1)) {
        m2_log(M2_LOG_ERR, "%s: %s; the last good %s stay in force for up to %d seconds, and what "
               "is added meanwhile does not count until then", source->label, why,
               source->document->noun, source->refresh.max_stale);
    }
}

/* The first failure in a row is logged, with its consequence. */
static void failed(m2_keysource_t *source, const char *why)
{
    m2_slot_t *slot = source->slot;
    const apr_uint64_t row = m2_slot_get(&slot->failing);
    const int retry = FIRST_RETRY << (row < MAX_DOUBLINGS ? row : MAX_DOUBLINGS);

    if (m2_slot_get(&slot->lost)) {
        ; /* told */
    }
    else if (row == 0 && source->current) {
        m2_log(M2_LOG_WARNING,
               "%s: cannot be refreshed: %s; the last good %s stay in use for "
               "up to %d seconds",
               source->label, why, source->document->noun, source->refresh.max_stale);
    }
    else if (row == 0) {
        m2_log(M2_LOG_ERR, "%s: cannot be fetched: %s; there are no %s from it",
               source->label, why, source->document->noun);
    }
    m2_keysource_set_fault(source, why);
    m2_slot_count(&slot->failing);
    m2_slot_count(&slot->failures);
    release(source, (apr_uint64_t)apr_time_now()
                        + jittered(seconds(
                            retry < source->refresh.ttl ? retry : source->refresh.ttl)));
}

/* RFC 9111 5.2.2.1, within bounds: never slower than ttl, nor faster than cooldown. */
static apr_uint64_t interval_of(const m2_keysource_t *source, int max_age)
{
    const m2_refresh_t *refresh = &source->refresh;

    if (max_age == M2_UNSET || max_age > refresh->ttl) {
        return seconds(refresh->ttl);
    }
    if (max_age < refresh->cooldown) {
        return seconds(refresh->cooldown < refresh->ttl ? refresh->cooldown
                                                        : refresh->ttl);
    }
    return seconds(max_age);
}

static void confirmed(m2_keysource_t *source, apr_uint64_t interval)
{
    m2_slot_t *slot = source->slot;
    const apr_uint64_t now = (apr_uint64_t)apr_time_now();

    if (m2_slot_get(&slot->failing)) {
        m2_log(M2_LOG_NOTICE, "%s: is back", source->label);
    }
    m2_slot_set(&slot->failing, 0);
    m2_slot_set(&slot->lost, 0);
    m2_slot_set(&slot->noted, 0);
    m2_slot_set(&slot->interval, interval);
    m2_slot_set(&slot->checked, now);
    m2_slot_set(&source->own_checked, now);
    release(source, now + jittered(interval));
}

/* A full disk or a directory of another user costs no keys: this child uses what it fetched, and
 * so do the others where memory is shared; else they fetch for themselves. */
static void keep_alone(m2_keysource_t *source, const m2_answer_t *answer, apr_uint64_t digest,
                       apr_status_t status)
{
    char text[120];

    if (!m2_slot_get(&source->slot->unstored) && source->state_path) {
        m2_log(M2_LOG_NOTICE,
               "%s: it cannot be stored in %s: %s; every child fetches it for itself",
               source->label, source->state_path, apr_strerror(status, text, sizeof(text)));
    }
    m2_slot_set(&source->slot->unstored, 1);
    if (digest != source->own_digest
        && m2_keysource_take(source, answer->body, M2_JWK_PUBLIC | M2_JWK_QUIET,
                             M2_KEYSET_LENIENT, NULL)
               == M2_OK) {
        source->own_digest = digest;
        source->taken = UNSTORED;
        source->etag = source->kind == M2_KEYSOURCE_URL
                           ? apr_pstrdup(source->current->pool, answer->etag)
                           : NULL;
        m2_keysource_soil(source);
    }
}

/* The whole document is checked before it is stored; what is stored replaces the last. */
static void store(m2_keysource_t *source, const m2_answer_t *answer)
{
    const apr_uint64_t interval = interval_of(source, answer->max_age);
    const apr_uint64_t digest = m2_slot_hash(0, answer->body);
    const void *object;
    apr_status_t status;
    m2_err_t why;
    const int same = m2_slot_get(&source->slot->version)
                     && m2_slot_get(&source->slot->digest) == digest;

    m2_err_init(&why, source->fetching);
    if (source->document->parse(&object, source->fetching, answer->body, source->label,
                                source->name, M2_JWK_PUBLIC | (same ? M2_JWK_QUIET : 0),
                                M2_KEYSET_LENIENT, &why)
        != M2_OK) {
        failed(source, m2_err_behind(&why, source->label));
        return;
    }
    status =
        m2_state_write(source, source->fetching, answer->body,
                       source->kind == M2_KEYSOURCE_URL ? answer->etag : NULL, interval);
    if (status != APR_SUCCESS) {
        keep_alone(source, answer, digest, status);
    }
    else if (!same || m2_slot_get(&source->slot->unstored)) {
        m2_slot_set(&source->slot->digest, digest);
        m2_slot_count(&source->slot->swaps);
        m2_slot_count(&source->slot->version);
        m2_slot_set(&source->slot->unstored, 0);
    }
    confirmed(source, interval);
}

static const char *fault_of(const m2_answer_t *answer, const m2_keysource_t *source)
{
    if (answer->fault) {
        return answer->fault;
    }
    return answer->status == 200 ? NULL
                                 : apr_psprintf(source->fetching, "status %d from %s",
                                                answer->status, source->asked);
}

/* A list of lines that was cut off between two of them is a list of fewer lines, while JSON shows
 * the cut. */
static const char *cut_of(const m2_answer_t *answer, const m2_keysource_t *source)
{
    return answer->unbounded && source->document->file_flags & M2_FILE_LINES
               ? "the answer has neither a Content-Length nor chunks, so that a list that was cut "
                 "off would look whole" : NULL;
}

static void on_keys(const m2_answer_t *answer, void *baton)
{
    m2_keysource_t *source = baton;
    const char *fault = fault_of(answer, source);

    m2_slot_count(&source->slot->fetches);
    if (!answer->fault && answer->status == 304 && source->etag) {
        m2_state_confirm(source, source->fetching);
        confirmed(source, interval_of(source, answer->max_age));
    }
    else if (fault || (fault = cut_of(answer, source)) != NULL) {
        if (answer->lost) {
            tell_lost(source, fault);
        }
        failed(source, fault);
    }
    else {
        store(source, answer);
    }
}

/* --- discovery --- */

/* RFC 8414 3.1 puts the well-known name in front of the issuer's path, OpenID Connect
 * Discovery 4 behind it. */
static const char *metadata_url(apr_pool_t *pool, const char *issuer, int step)
{
    apr_size_t n = strlen(issuer);
    const char *path = strchr(strstr(issuer, "://") + 3, '/');
    const char *bare;

    while (n && issuer[n - 1] == '/') {
        n--;
    }
    bare = apr_pstrmemdup(pool, issuer, n);
    if (step == STEP_OPENID) {
        return apr_pstrcat(pool, bare, "/.well-known/openid-configuration", NULL);
    }
    if (!path || (apr_size_t)(path - issuer) >= n) {
        return apr_pstrcat(pool, bare, "/.well-known/oauth-authorization-server", NULL);
    }
    return apr_pstrcat(pool, apr_pstrmemdup(pool, issuer, (apr_size_t)(path - issuer)),
                       "/.well-known/oauth-authorization-server", bare + (path - issuer),
                       NULL);
}

/* What came from others, for messages: no control bytes, and not all of something long. */
static const char *shown(apr_pool_t *pool, m2_slice_t text)
{
    char *copy = apr_pstrmemdup(pool, text.p, text.n < MAX_SHOWN ? text.n : MAX_SHOWN), *p;

    for (p = copy; *p; p++) {
        *p = (unsigned char)*p < 0x20 || *p == 0x7f ? '?' : *p;
    }
    return copy;
}

/* The document of body, gzip and all; NULL with what is wrong in *pwrong. */
static const m2_json_t *metadata_of(const char **pwrong, m2_keysource_t *source, m2_slice_t body)
{
    const char *wrong = m2_gzip_plain(&body, source->fetching, M2_MAX_KEYSET_BYTES);
    const m2_json_t *metadata = NULL;
    m2_err_t err;

    m2_err_init(&err, source->fetching);
    while (!wrong && body.n && apr_isspace(body.p[0])) {
        body = m2_slice(body.p + 1, body.n - 1);
    }
    if (!wrong
        && m2_json_parse(&metadata, source->fetching, body, M2_E_CONFIG, &err) != M2_OK) {
        wrong = body.n && body.p[0] == '<'
                    ? "it is HTML or XML"
                    : apr_pstrcat(source->fetching, "it is not usable JSON: ",
                                  err.text, NULL);
    }
    *pwrong = wrong ? apr_psprintf(source->fetching, "the metadata at %s: %s", source->asked,
                                   wrong)
                    : NULL;
    return metadata;
}

/* RFC 8414 3.3: metadata that names another issuer must not be used, or anybody who can
 * answer for one path of a host could speak for all of them. */
static const char *check_issuer(const m2_keysource_t *source, const m2_json_t *metadata)
{
    apr_pool_t *pool = source->fetching;
    m2_slice_t issuer = m2_json_string(m2_json_get(metadata, "issuer"));

    if (m2_slice_is(issuer, source->name)) {
        return NULL;
    }
    return apr_psprintf(pool, "the metadata at %s names another issuer: \"%s\" and not \"%s\"",
                        source->asked, issuer.p ? shown(pool, issuer) : "", source->name);
}

static const char *keys_url(const char **purl, m2_keysource_t *source, m2_slice_t body)
{
    apr_pool_t *pool = source->fetching;
    const char *wrong;
    const m2_json_t *metadata = metadata_of(&wrong, source, body);
    m2_slice_t url;
    m2_err_t why;

    wrong = wrong ? wrong : check_issuer(source, metadata);
    if (wrong) {
        return wrong;
    }
    url = m2_json_string(m2_json_get(metadata, "jwks_uri"));
    *purl = m2_slice_dup(pool, url);
    if (!*purl) {
        return apr_psprintf(pool, "the metadata at %s has no jwks_uri", source->asked);
    }
    m2_err_init(&why, pool);
    if (m2_url_check(pool, *purl, source->plain, &why) != M2_OK) {
        return apr_psprintf(pool, "the jwks_uri of its metadata, \"%s\": %s",
                            m2_url_label(pool, shown(pool, url)), why.text);
    }
    /* a public server must not send us to what listens on loopback */
    if (!source->plain && m2_slice_is_nocase(m2_slice(*purl, 5), "http:")
        && !m2_slice_is_nocase(m2_slice(source->name, 5), "http:")) {
        return apr_psprintf(pool, "the jwks_uri of its metadata, \"%s\", is not an https:// URL",
                            m2_url_label(pool, shown(pool, url)));
    }
    return NULL;
}

static int start(m2_keysource_t *source, const char *url);

static void on_metadata(const m2_answer_t *answer, void *baton)
{
    m2_keysource_t *source = baton;
    const char *url = NULL, *fault = fault_of(answer, source);

    m2_slot_count(&source->slot->fetches);
    fault = fault ? fault : keys_url(&url, source, answer->body);
    if (fault && source->step == STEP_OPENID) {
        failed(source, source->refused ? apr_pstrcat(source->fetching, fault, "; before that, ",
                                                     source->refused, NULL)
                                       : fault);
        return;
    }
    if (fault && !answer->fault && answer->status != 404) {
        source->refused = fault;
    }
    source->step = fault ? STEP_OPENID : STEP_KEYS;
    if (!start(source,
               fault ? metadata_url(source->fetching, source->name, STEP_OPENID) : url)) {
        failed(source, "too many fetches are under way");
    }
}

/* --- the beginning of a fetch --- */

/* A puller that has nothing to say yet is asked again with each tick. */
static void pull(m2_keysource_t *source)
{
    m2_answer_t answer = { NULL, 0, { NULL, 0 }, NULL, M2_UNSET, 0, 0 };

    source->puller.pull(&answer, source->fetching, source->etag, source->puller.baton);
    if (answer.fault || answer.status) {
        on_keys(&answer, source);
    }
}

static int start(m2_keysource_t *source, const char *url)
{
    const char *etag = source->step == STEP_KEYS && source->kind == M2_KEYSOURCE_URL
                           ? source->etag
                           : NULL;

    source->asked = m2_url_label(source->fetching, url);
    if (source->puller.pull) {
        pull(source);
        return 1;
    }
    return m2_fetch_start(source->fetcher, url, etag, source->refresh.timeout,
                          source->step == STEP_KEYS ? source->document->max
                                                    : M2_MAX_KEYSET_BYTES,
                          source->step == STEP_KEYS ? on_keys : on_metadata, source);
}

static void claim(m2_keysource_t *source, m2_fetch_t *fetcher, apr_time_t now)
{
    m2_slot_t *slot = source->slot;
    const apr_uint64_t claimed = m2_slot_get(&slot->claimed);
    const int steps = source->kind == M2_KEYSOURCE_ISSUER ? M2_FETCH_STEPS : 1;
    const char *url = source->name;

    if (source->fetching || m2_keysource_is_claimed(source, now)
        || !m2_keysource_is_due(source, now)) {
        return;
    }
    m2_slot_set(&source->own_tried, (apr_uint64_t)now);
    source->claim = 0;
    if (!m2_slot_get(&slot->unstored)) {
        source->claim =
            (apr_uint64_t)now + seconds(steps * source->refresh.timeout + M2_CLAIM_MARGIN);
        if (!m2_slot_win(&slot->claimed, claimed, source->claim)) {
            return;
        }
    }
    if ((source->claim && !m2_keysource_is_due(source, now)) /* done between the two looks */
        || apr_pool_create_unmanaged(&source->fetching) != APR_SUCCESS) {
        m2_slot_win(&slot->claimed, source->claim, 0);
        return;
    }
    source->fetcher = fetcher;
    source->refused = NULL;
    source->step = STEP_KEYS;
    if (source->kind == M2_KEYSOURCE_ISSUER) {
        source->step = STEP_RFC8414;
        url = metadata_url(source->fetching, source->name, STEP_RFC8414);
    }
    if (!start(source, url)) { /* as many as may be are under way: leave it to others */
        m2_keysource_abandon(source);
    }
}

void m2_keysource_abandon(m2_keysource_t *source)
{
    if (source->fetching) {
        m2_slot_win(&source->slot->claimed, source->claim, 0);
        apr_pool_destroy(source->fetching);
        source->fetching = NULL;
    }
}

/* --- every tick --- */

/* While nothing can be stored on disk, fetched documents are kept in memory. */
static void pick_up_unstored(m2_keysource_t *source)
{
    const apr_uint64_t version = m2_copy_version(source->copy);
    apr_time_t checked;
    m2_state_t state;

    if (version && version != source->copied && m2_state_take(&state, source, M2_JWK_QUIET)) {
        source->own_digest = state.digest;
        source->taken = UNSTORED;
        m2_keysource_soil(source);
    }
    checked = m2_copy_checked(source->copy, source->copied);
    if (checked > (apr_time_t)m2_slot_get(&source->own_checked)) {
        m2_slot_set(&source->own_checked, (apr_uint64_t)checked);
    }
}

/* What cannot be read now, for want of a descriptor perhaps, is tried again at the next tick. */
static void pick_up_stored(m2_keysource_t *source)
{
    const apr_uint64_t version = m2_slot_get(&source->slot->version);
    m2_state_t state;

    m2_slot_set(&source->own_checked, m2_slot_get(&source->slot->checked));
    source->own_digest = 0;
    if (version == source->taken) {
        return;
    }
    if (m2_state_take(&state, source, M2_JWK_QUIET)) {
        source->taken = version;
        m2_keysource_soil(source);
    }
    else if (source->untaken != version) {
        source->untaken = version;
        m2_log(M2_LOG_ERR, "%s: %s cannot be read back", source->label, source->state_path);
    }
}

static void pick_up(m2_keysource_t *source, apr_time_t now)
{
    if (m2_slot_get(&source->slot->unstored)) {
        pick_up_unstored(source);
    }
    else {
        pick_up_stored(source);
    }
    if ((apr_time_t)source->own_checked > now) { /* the clock was set back */
        m2_slot_set(&source->own_checked, (apr_uint64_t)now);
    }
}

/* What people have to know about a source that stays away, once for all children. */
static void tell_age(m2_keysource_t *source, apr_time_t now)
{
    const apr_time_t checked = (apr_time_t)m2_slot_get(&source->slot->checked);
    const apr_time_t age = now - checked;

    if (!checked || !m2_slot_get(&source->slot->failing)) {
        return;
    }
    if (age > m2_keysource_lifetime(source)) {
        if (m2_keysource_note(source, (apr_uint64_t)checked + 1)) {
            m2_log(M2_LOG_ERR,
                   "%s: not fetched for %d seconds, longer than max-stale: its %s "
                   "are not used any more",
                   source->label, (int)apr_time_sec(age), source->document->noun);
        }
    }
}

void m2_keysource_pick_up(m2_keysource_t *source, apr_time_t now)
{
    if (source->slot) {
        pick_up(source, now);
        m2_keysource_judge(source, now);
    }
}

void m2_keysource_tick(m2_keysource_t *source, m2_fetch_t *fetcher, apr_time_t now)
{
    if (source->slot) {
        const apr_uint64_t checked = m2_slot_get(&source->slot->checked);

        if ((apr_time_t)checked > now) { /* the clock was set back: it ages from now on */
            m2_slot_win(&source->slot->checked, checked, (apr_uint64_t)now);
        }
    }
    m2_keysource_pick_up(source, now);
    if (source->puller.note) {
        source->puller.note(source->etag, source->puller.baton);
    }
    if (source->slot && fetcher) {
        tell_age(source, now);
        if (source->fetching && source->puller.pull) {
            pull(source);
        }
        claim(source, fetcher, now);
    }
}
