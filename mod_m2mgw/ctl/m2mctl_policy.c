/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What verify and explain hold a token against: options named after directives, or a
 * jwtAuth script. Defaults are those of the directives.
 */
#include "ctl/m2mctl_force.h"

#include "revocation/m2_revocations.h"

/* clang-format off */
#define SLOT(member) offsetof(m2mctl_policy_t, member)
const m2mctl_option_t m2mctl_policy_options[] = {
    { "policy",         M2MCTL_TEXT, SLOT(dump), "FILE", "a dump of httpd -t -D DUMP_M2M_JSON" },
    { "location",       M2MCTL_TEXT, SLOT(location), "PATH", "of the dump: the section that covers "
                                                            "it" },
    { "vhost",          M2MCTL_TEXT, SLOT(vhost), "NAME", "of the dump: its virtual host" },
    { "jwks",           M2MCTL_LIST, SLOT(jwks), "FILE", "keys: JWK set, JWK or PEM" },
    { "jwk",            M2MCTL_LIST, SLOT(jwk), "TEXT", "a public key as JSON or words; "
                                                        "file:PATH with such" },
    { "jwt-auth",       M2MCTL_TEXT, SLOT(plugin), "FILE", "a jwtAuth script" },
    { "algorithms",     M2MCTL_LIST, SLOT(algorithms), "NAMES", "only these algorithms" },
    { "issuer",         M2MCTL_LIST, SLOT(issuers), "URL", "issuer, any of" },
    { "audience",       M2MCTL_LIST, SLOT(audiences), "NAME", "audience, any of" },
    { "token-type",     M2MCTL_LIST, SLOT(types), "TYPE", "header typ, any of" },
    { "require-claim",  M2MCTL_LIST, SLOT(requires), "NAME [VALUE...]", "claim that must be "
                                                                       "there" },
    { "leeway",         M2MCTL_NUMBER, SLOT(leeway), "SECONDS", "for times, default 60" },
    { "max-age",        M2MCTL_NUMBER, SLOT(max_age), "SECONDS", "since iat" },
    { "ignore-expiration", M2MCTL_FLAG, SLOT(ignore_expiration), NULL, "exp is not looked at" },
    { "prevent-jti-replay", M2MCTL_FLAG, SLOT(prevent_replay), NULL, "jti and exp must be "
                                                                     "there" },
    { "bypass-empty-token", M2MCTL_FLAG, SLOT(bypass_empty), NULL, "no token is no fault" },
    { "revocation",     M2MCTL_LIST, SLOT(revocation), "FILE", "a list of revoked tokens" },
    { "dataset",        M2MCTL_LIST, SLOT(datasets), "NAME=FILE", "a data set that conditions "
                                                                 "name" },
    { "user-claim",     M2MCTL_LIST, SLOT(users), "NAME", "default client_id azp sub" },
    { "claim",          M2MCTL_LIST, SLOT(claims), "NAME TARGET...", "claim to publish" },
    { "now",            M2MCTL_NUMBER, SLOT(now), "SECONDS", "the clock, since 1970" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

/* blank-separated words of every value of a list */
static apr_array_header_t *words_of(apr_pool_t *pool, const apr_array_header_t *list)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(const char *));
    char *word, *last;
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        word = apr_strtok(apr_pstrdup(pool, APR_ARRAY_IDX(list, i, const char *)), " ",
                          &last);
        for (; word; word = apr_strtok(NULL, " ", &last)) {
            APR_ARRAY_PUSH(words, const char *) = word;
        }
    }
    return words;
}

static apr_array_header_t *requires_of(apr_pool_t *pool, const apr_array_header_t *list)
{
    apr_array_header_t *requires = apr_array_make(pool, 2, sizeof(m2_require_t));
    int i;

    for (i = 0; list && i < list->nelts; i++) {
        apr_array_header_t one = *list;
        apr_array_header_t *words;
        m2_require_t *entry;

        one.elts = (char *)&APR_ARRAY_IDX(list, i, const char *);
        one.nelts = 1;
        words = words_of(pool, &one);
        if (words->nelts) {
            entry = apr_array_push(requires);
            entry->name = APR_ARRAY_IDX(words, 0, const char *);
            words->elts += words->elt_size;
            words->nelts--;
            entry->values = words;
        }
    }
    return requires;
}

static m2_code_t add_targets(m2_mapping_t *mapping, apr_pool_t *pool, const char *text,
                             m2_err_t *err)
{
    apr_array_header_t *words = apr_array_make(pool, 4, sizeof(const char *));
    char *last, *word = apr_strtok(apr_pstrdup(pool, text), " ", &last);

    for (; word; word = apr_strtok(NULL, " ", &last)) {
        APR_ARRAY_PUSH(words, const char *) = word;
    }
    if (!words->nelts) {
        return m2_err_set(err, M2_E_CONFIG, "the claim name is empty");
    }
    return m2_mapping_read(mapping, words, err);
}

static m2_code_t read_mapping(m2mctl_force_t *force, apr_pool_t *pool,
                              const apr_array_header_t *claims, m2_err_t *err)
{
    m2_mapping_t *mapping = m2_mapping_make(pool);
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; !code && claims && i < claims->nelts; i++) {
        code = add_targets(mapping, pool, APR_ARRAY_IDX(claims, i, const char *), err);
    }
    force->policy.mapping = mapping;
    return code;
}

static m2_code_t add_text(m2_keyset_t *keys, m2_slice_t text, m2_err_t *err)
{
    const int flags = M2_JWK_PUBLIC | M2_JWK_OCT;
    m2_jwk_t *jwk;
    m2_code_t code;

    while (text.n && apr_isspace(text.p[text.n - 1])) {
        text.n--;
    }
    if (text.n && *text.p == '{') {
        return m2_keyset_parse(keys, text, "--jwk", flags, M2_KEYSET_STRICT, err);
    }
    code = m2_jwk_from_words(&jwk, keys->pool, text, flags, err);
    return code ? code : m2_keyset_add(keys, jwk, err);
}

/* Arguments are seen by all users of the machine: a secret comes from a file. */
static m2_code_t add_inline(m2_keyset_t *keys, const char *text, m2_err_t *err)
{
    const int before = keys->keys->nelts;
    m2_slice_t file;
    m2_code_t code;
    int i;

    if (strlen(text) > 5 && m2_slice_is_nocase(m2_slice(text, 5), "file:")) {
        code = m2mctl_read(&file, keys->pool, text + 5, err);
        return code ? code : add_text(keys, file, err);
    }
    code = add_text(keys, m2_slice_z(text), err);
    for (i = before; !code && i < keys->keys->nelts; i++) {
        if (m2_slice_is(m2_slice_z(APR_ARRAY_IDX(keys->keys, i, const m2_jwk_t *)->kty),
                        "oct")) {
            code = m2_err_set(err, M2_E_CONFIG, "a secret is not taken from the command "
                                                "line, where others see it: --jwk file:PATH");
        }
    }
    return code;
}

/* keys from files and texts; *porigin is what a fault is about */
static m2_code_t read_keys(m2_keyset_t *keys, const char **porigin,
                           const m2mctl_policy_t *o, m2_err_t *err)
{
    m2_code_t code = M2_OK;
    int i;

    for (i = 0; !code && o->jwks && i < o->jwks->nelts; i++) {
        const char *path = APR_ARRAY_IDX(o->jwks, i, const char *);

        if (strlen(path) > 5 && m2_slice_is_nocase(m2_slice(path, 5), "file:")) {
            path += 5; /* as M2MJwks has it */
        }
        *porigin = path;
        code = m2mctl_read_keys(keys, path, M2_JWK_PUBLIC | M2_JWK_OCT, err);
    }
    for (i = 0; !code && o->jwk && i < o->jwk->nelts; i++) {
        *porigin = "--jwk";
        code = add_inline(keys, APR_ARRAY_IDX(o->jwk, i, const char *), err);
    }
    return code;
}

/* what a script says goes for what the options do not say */
static m2_code_t read_script(m2mctl_force_t *force, m2_keyset_t *keys,
                             const m2mctl_policy_t *o, m2_err_t *err)
{
    m2_plugin_jwt_t *script;
    m2_slice_t text;
    m2_code_t code = m2mctl_read(&text, keys->pool, o->plugin, err);

    code = code ? code : m2_plugin_jwt(&script, keys->pool, text, o->plugin, err);
    code = code ? code : m2_keyset_add_all(keys, script->keys, NULL, err);
    if (code) {
        return code;
    }
    force->tokens = script->tokens;
    force->policy.mapping = script->mapping;
    force->policy.bypass_empty |= script->bypass_empty;
    force->policy.claims.ignore_expiration |= script->ignore_expiration;
    force->policy.replay = script->prevent_replay ? M2_REPLAY_ON : force->policy.replay;
    return M2_OK;
}

static void set_claims_policy(m2_claims_policy_t *claims, apr_pool_t *pool,
                              const m2mctl_policy_t *o)
{
    claims->issuers = words_of(pool, o->issuers);
    claims->audiences = words_of(pool, o->audiences);
    claims->requires = requires_of(pool, o->requires);
    claims->leeway = o->leeway.set ? o->leeway.value : 60;
    claims->max_age = o->max_age.set ? o->max_age.value : -1;
    claims->ignore_expiration = o->ignore_expiration;
}

static m2_code_t set_algs(m2_policy_t *policy, apr_pool_t *pool, const m2mctl_policy_t *o,
                          m2_err_t *err)
{
    const apr_array_header_t *names = words_of(pool, o->algorithms);
    m2_code_t code = M2_OK;
    int i;

    policy->algs = names->nelts ? 0 : ~(m2_alg_mask_t)0;
    for (i = 0; !code && i < names->nelts; i++) {
        code = m2_alg_mask_add(&policy->algs, APR_ARRAY_IDX(names, i, const char *), err);
    }
    return code;
}

static void set_rest(m2mctl_force_t *force, apr_pool_t *pool, const m2mctl_policy_t *o)
{
    static const char *const users[] = { "client_id", "azp", "sub" };
    apr_array_header_t *list = words_of(pool, o->users);
    apr_size_t i;

    for (i = 0; !o->users && i < sizeof(users) / sizeof(users[0]); i++) {
        APR_ARRAY_PUSH(list, const char *) = users[i];
    }
    force->policy.user_claims = list;
    force->policy.types = words_of(pool, o->types);
    force->policy.bypass_empty = o->bypass_empty;
    force->policy.replay = o->prevent_replay ? M2_REPLAY_ON : M2_REPLAY_OFF;
    force->now = o->now.set ? apr_time_from_sec(o->now.value) : apr_time_now();
}

/* A ring of the lists, as the gateway has one. *porigin is the one that is read. */
static m2_code_t read_lists(m2mctl_force_t *force, apr_pool_t *pool, const char **porigin,
                            const apr_array_header_t *files, m2_err_t *err)
{
    const int n = files ? files->nelts : 0;
    m2_parts_t *parts = apr_pcalloc(pool, sizeof(*parts) + (apr_size_t)n * sizeof(void *));
    const void *object = parts;
    m2_code_t code = M2_OK;
    m2_slice_t text;

    while (!code && parts->n < n) {
        m2_revocation_t *set = m2_revocation_make(pool);

        *porigin = APR_ARRAY_IDX(files, parts->n, const char *);
        parts->part[parts->n++] = set;
        code = m2mctl_read_list(&text, pool, *porigin, err);
        code = code ? code : m2_revocation_parse(set, text, err);
    }
    force->policy.revocation = n ? m2_keyring_make(pool, object) : NULL;
    return code;
}

static int from_options(m2mctl_force_t *force, m2mctl_t *ctl, const m2mctl_policy_t *o)
{
    m2_keyset_t *keys = m2_keyset_make(ctl->pool);
    const char *origin = "--jwks";
    m2_code_t code;
    m2_err_t err;

    if (o->plugin && o->claims) {
        return m2mctl_usage(ctl, "--claim and --jwt-auth exclude each other");
    }
    memset(force, 0, sizeof(*force));
    m2_err_init(&err, ctl->pool);
    set_rest(force, ctl->pool, o);
    set_claims_policy(&force->policy.claims, ctl->pool, o);
    if (set_algs(&force->policy, ctl->pool, o, &err) ||
        read_mapping(force, ctl->pool, o->claims, &err)) {
        return m2mctl_usage(ctl, "%s", err.text);
    }
    code = read_keys(keys, &origin, o, &err);
    if (!code && o->plugin) {
        origin = o->plugin;
        code = read_script(force, keys, o, &err);
    }
    code = code ? code : read_lists(force, ctl->pool, &origin, o->revocation, &err);
    if (code) {
        return m2mctl_fault(ctl, origin, &err);
    }
    if (keys->keys->nelts) {
        force->keys = keys;
        force->policy.keys = m2_keyring_make(ctl->pool, keys);
    }
    return 0;
}

/* a dump says all of it but the keys that it cannot have */
static int contradicts(const m2mctl_policy_t *o)
{
    return o->plugin || o->algorithms || o->issuers || o->audiences || o->types || o->requires
           || o->users || o->claims || o->leeway.set || o->max_age.set || o->ignore_expiration
           || o->prevent_replay || o->bypass_empty;
}

/* the path of a URL, decoded as httpd has it where it is plain */
static const char *path_of(apr_pool_t *pool, const char *url)
{
    const char *rest = strstr(url, "://");

    if (rest && rest < url + strcspn(url, "/?")) {
        url = rest + 3 + strcspn(rest + 3, "/?");
    }
    return *url == '/' ? apr_pstrmemdup(pool, url, strcspn(url, "?#")) : "/";
}

int m2mctl_policy_at(m2mctl_force_t *force, m2mctl_t *ctl, const m2mctl_policy_t *o,
                     const char *url)
{
    m2_keyset_t *keys = m2_keyset_make(ctl->pool);
    const char *origin = "--jwks";
    m2_err_t err;
    int bad;

    if (!o->dump) {
        return o->location || o->vhost
                   ? m2mctl_usage(ctl, "--location and --vhost go with --policy")
                   : from_options(force, ctl, o);
    }
    if (contradicts(o)) {
        return m2mctl_usage(ctl, "--policy says all of the policy; beside it go --location, "
                            "--vhost, --jwks, --jwk, --dataset and --now");
    }
    m2_err_init(&err, ctl->pool);
    if (read_keys(keys, &origin, o, &err)) {
        return m2mctl_fault(ctl, origin, &err);
    }
    bad = m2mctl_dump(force, ctl, o->dump,
                      o->location ? o->location : path_of(ctl->pool, url ? url : "/"), o->vhost,
                      keys);
    force->now = o->now.set ? apr_time_from_sec(o->now.value) : apr_time_now();
    if (!bad && read_lists(force, ctl->pool, &origin, o->revocation, &err)) {
        bad = m2mctl_fault(ctl, origin, &err);
    }
    return bad;
}
