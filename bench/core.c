/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What the benchmark needs of the core.
 *
 *   core mint ALG N DIR [KEYS]   a key, and N tokens signed with it, in DIR: private.json,
 *                                keys.json (of KEYS keys, ours in the middle), public.pem,
 *                                tokens, clients (1,000 of one client each), forged (one byte
 *                                of the signature changed),
 *                                tampered (one token, payload changed), scope (one token
 *                                that lacks the scope)
 *   core prove ALG N DIR URL     in the DIR of mint: proofs, N lines of a token that is bound to
 *                                a key of ALG, a blank, and a proof for GET URL
 *   core gate SCENARIO N DIR     N decisions without a server, for callgrind: same, distinct,
 *                                forged, rules (50 that read the token), asked (50 that read the
 *                                request), claims, proof (the same token, each proof new),
 *                                revocation (the same token, beside a list of all kinds of
 *                                entries), sought (likewise, and the list is another one each
 *                                time), limit (the same token, one limit by its client)
 *   core scale SCENARIO N DIR    N decisions per thread, by one thread and by two: decisions
 *                                per second of either, then entries and bytes in the cache
 */
#include "gate/m2_cache.h"
#include "gate/m2_gate.h"
#include "gate/m2_owners.h"
#include "limit/m2_limit_store.h"
#include "revocation/m2_revocations.h"
#include "text/m2_b64.h"

#include <apr_file_io.h>
#include <apr_general.h>

#include <openssl/evp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_KEYS 2000
#define CLIENT "9f3a2c51-service"
#define CLIENTS 1000 /* tokens in the file clients, of one client each */
#define POOL_TOKENS 500 /* tokens the gate scenarios go round */

static apr_pool_t *pool;
static m2_err_t err;

static void must(m2_code_t code, const char *what)
{
    if (code != M2_OK) {
        fprintf(stderr, "core: %s: %s\n", what, err.text ? err.text : "failed");
        exit(1);
    }
}

static FILE *create(const char *dir, const char *name)
{
    FILE *f = fopen(apr_pstrcat(pool, dir, "/", name, NULL), "w");

    if (!f) {
        perror(name);
        exit(1);
    }
    return f;
}

static m2_slice_t slurp(const char *dir, const char *name)
{
    FILE *f = fopen(apr_pstrcat(pool, dir, "/", name, NULL), "r");
    char *text = malloc(64 * 1024 * 1024);
    size_t n;

    if (!f || !text) {
        perror(name);
        exit(1);
    }
    n = fread(text, 1, 64 * 1024 * 1024, f);
    fclose(f);
    return m2_slice(text, n);
}

/* --- mint --- */

static const char *token_of(apr_pool_t *p, const m2_jwk_t *jwk, const m2_alg_t *alg, int n,
                            const char *scope, const char *client)
{
    const apr_int64_t now = apr_time_sec(apr_time_now());
    m2_json_t *header = m2_json_make(p), *claims = m2_json_make(p);
    const char *token;

    m2_json_set_string(header, "typ", "at+jwt");
    m2_json_set_string(claims, "iss", "https://issuer.example/");
    m2_json_set_string(claims, "aud", "https://api.example/");
    m2_json_set_string(claims, "sub", client);
    m2_json_set_string(claims, "client_id", client);
    m2_json_set_string(claims, "scope", scope);
    m2_json_set_string(claims, "jti", apr_psprintf(p, "b7c1d6e0-%08d", n));
    m2_json_set_int(claims, "iat", now);
    m2_json_set_int(claims, "exp", now + 36000);
    m2_json_set_string(claims, "tenant", "example-tenant");
    m2_json_set_string(claims, "plan", "gold");
    must(m2_jws_sign(&token, p, header, m2_slice_z(m2_json_dump(p, claims)), jwk, alg, &err),
         "sign");
    return token;
}

static const char *damaged(apr_pool_t *p, const char *token, int part)
{
    char *copy = apr_pstrdup(p, token);
    char *at = strchr(strchr(copy, '.') + 1, '.');

    at += part == 2 ? 20 : -20; /* in the signature, or in the payload */
    *at = *at == 'A' ? 'B' : 'A';
    return copy;
}

static void write_keys(const char *dir, const m2_jwk_t *jwk, const m2_alg_t *alg, int keys)
{
    m2_json_t *set = m2_json_make(pool), *list = m2_json_make_array(pool);
    FILE *f;
    int i;

    for (i = 0; i < keys; i++) {
        m2_jwk_t *other = NULL;

        if (i != keys / 2) {
            must(m2_jwk_generate(&other, pool, m2_alg_find(m2_slice_z("ES256")), 0,
                                 apr_psprintf(pool, "other-%d", i), &err), "generate");
        }
        m2_json_append(list, m2_jwk_to_json(pool, other ? other : jwk, 0));
    }
    m2_json_set_json(set, "keys", list);
    f = create(dir, "keys.json");
    fputs(m2_json_dump(pool, set), f);
    fclose(f);
    f = create(dir, "public.pem");
    fputs(m2_jwk_to_pem(pool, jwk, 0), f);
    fclose(f);
    f = create(dir, "private.json");
    fputs(m2_json_dump(pool, m2_jwk_to_json(pool, jwk, 1)), f);
    fclose(f);
    f = create(dir, "alg");
    fputs(alg->name, f);
    fclose(f);
}

/* --- prove --- */

static m2_jwk_t *read_private(const char *dir)
{
    m2_keyset_t *set = m2_keyset_make(pool);

    must(m2_keyset_parse(set, slurp(dir, "private.json"), "private.json", M2_JWK_PRIVATE,
                         M2_KEYSET_STRICT, &err), "key");
    return APR_ARRAY_IDX(set->keys, 0, m2_jwk_t *);
}

static const char *hash_of(apr_pool_t *p, const char *text)
{
    unsigned char hash[EVP_MAX_MD_SIZE];
    unsigned int n = 0;

    EVP_Digest(text, strlen(text), hash, &n, EVP_sha256(), NULL);
    return m2_b64_encode(p, m2_slice((const char *)hash, n));
}

/* a token like the others, bound to a key */
static const char *bound_token(const char *dir, const m2_jwk_t *owner)
{
    const m2_jwk_t *jwk = read_private(dir);
    const m2_alg_t *alg = m2_alg_find(m2_slice_z(apr_pstrndup(pool, slurp(dir, "alg").p, 5)));
    m2_json_t *header = m2_json_make(pool), *claims = m2_json_make(pool), *cnf = m2_json_make(pool);
    const apr_int64_t now = apr_time_sec(apr_time_now());
    const char *token;

    m2_json_set_string(header, "typ", "at+jwt");
    m2_json_set_string(cnf, "jkt", m2_jwk_thumbprint(pool, owner));
    m2_json_set_string(claims, "iss", "https://issuer.example/");
    m2_json_set_string(claims, "aud", "https://api.example/");
    m2_json_set_string(claims, "client_id", "9f3a2c51-service");
    m2_json_set_string(claims, "scope", "api:read");
    m2_json_set_int(claims, "exp", now + 36000);
    m2_json_set_json(claims, "cnf", cnf);
    must(m2_jws_sign(&token, pool, header, m2_slice_z(m2_json_dump(pool, claims)), jwk, alg, &err),
         "sign");
    return token;
}

/* a key as clients send it */
static m2_json_t *bare_jwk(const m2_jwk_t *jwk)
{
    static const char *const names[] = { "crv", "e", "kty", "n", "x", "y" };
    const m2_json_t *whole = m2_jwk_to_json(pool, jwk, 0);
    m2_json_t *bare = m2_json_make(pool);
    apr_size_t i;

    for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (m2_json_get(whole, names[i])) {
            m2_json_set_json(bare, names[i], m2_json_get(whole, names[i]));
        }
    }
    return bare;
}

static int prove(char **argv)
{
    const m2_alg_t *alg = m2_alg_find(m2_slice_z(argv[2]));
    const int n = (int)apr_atoi64(argv[3]);
    FILE *f = create(argv[4], "proofs");
    m2_json_t *header = m2_json_make(pool);
    const char *token;
    apr_pool_t *p;
    m2_jwk_t *owner;
    int i;

    must(m2_jwk_generate(&owner, pool, alg, 0, NULL, &err), "generate");
    token = bound_token(argv[4], owner);
    m2_json_set_string(header, "typ", "dpop+jwt");
    m2_json_set_json(header, "jwk", bare_jwk(owner));
    apr_pool_create(&p, pool);
    for (i = 0; i < n; i++) {
        m2_json_t *claims = m2_json_make(p);
        const char *proof;

        m2_json_set_string(claims, "jti", apr_psprintf(p, "b7c1d6e0-%08d", i));
        m2_json_set_string(claims, "htm", "GET");
        m2_json_set_string(claims, "htu", argv[5]);
        m2_json_set_int(claims, "iat", apr_time_sec(apr_time_now()));
        m2_json_set_string(claims, "ath", hash_of(p, token));
        must(m2_jws_sign(&proof, p, header, m2_slice_z(m2_json_dump(p, claims)), owner, alg, &err),
             "sign");
        fprintf(f, "%s %s\n", token, proof);
        apr_pool_clear(p);
    }
    fclose(f);
    return 0;
}

static int mint(int argc, char **argv)
{
    const m2_alg_t *alg = m2_alg_find(m2_slice_z(argv[2]));
    const int n = (int)apr_atoi64(argv[3]);
    const char *dir = argv[4];
    FILE *tokens = create(dir, "tokens"), *forged = create(dir, "forged"), *f;
    FILE *clients = create(dir, "clients");
    apr_pool_t *p;
    m2_jwk_t *jwk;
    int i;

    must(m2_jwk_generate(&jwk, pool, alg, 0, "bench-key-1", &err), "generate");
    write_keys(dir, jwk, alg, argc > 5 ? (int)apr_atoi64(argv[5]) : 1);
    apr_pool_create(&p, pool);
    for (i = 0; i < n; i++) {
        const char *token = token_of(p, jwk, alg, i, "api:read", CLIENT);

        if (i < CLIENTS) {
            fprintf(clients, "%s\n", token_of(p, jwk, alg, i, "api:read",
                                              apr_psprintf(p, "client-%04d", i)));
        }

        fprintf(tokens, "%s\n", token);
        fprintf(forged, "%s\n", damaged(p, token, 2));
        if (i == 0) {
            f = create(dir, "tampered");
            fprintf(f, "%s\n", damaged(p, token, 1));
            fclose(f);
            f = create(dir, "scope");
            fprintf(f, "%s\n", token_of(p, jwk, alg, -1, "other:read", CLIENT));
            fclose(f);
        }
        apr_pool_clear(p);
    }
    fclose(tokens);
    fclose(forged);
    fclose(clients);
    return 0;
}

/* --- gate --- */

static m2_code_t answer(m2_value_t *value, const m2_param_t *param, void *baton)
{
    const m2_verdict_t *verdict = baton;

    if (param->source == M2_SRC_TOKEN) {
        value->json = m2_json_path(verdict->claims, param->arg);
        value->text = m2_json_string(value->json);
    }
    else if (param->source == M2_SRC_METHOD) {
        value->text = m2_slice_z("GET");
    }
    return M2_OK;
}

/* of the token, or of the request as well */
static m2_rules_t *make_rules(int n, const char *condition)
{
    m2_rules_t *rules = m2_rules_make(pool);
    int i;

    must(m2_params_declare(rules->params, "client", "Token:client_id", &err), "parameter");
    must(m2_params_declare(rules->params, "scope", "Token:scope", &err), "parameter");
    must(m2_params_declare(rules->params, "method", "Method", &err), "parameter");
    for (i = 0; i < n; i++) {
        m2_rule_t *rule;

        must(m2_rule_make(&rule, rules, apr_psprintf(pool, "rule%d", i),
                          condition, &err), "rule");
        must(m2_rule_option(rule, rules, "ifTrue", "DENY", M2_MARK_PERCENT, &err), "option");
        must(m2_rules_add(rules, rule, &err), "add");
    }
    return rules;
}

static m2_mapping_t *make_mapping(void)
{
    static const char *const claims[] = { "iss", "aud", "sub", "client_id", "scope", "jti",
                                          "iat", "exp", "tenant", "plan" };
    m2_mapping_t *mapping = m2_mapping_make(pool);
    apr_size_t i;

    for (i = 0; i < sizeof(claims) / sizeof(claims[0]); i++) {
        m2_target_t target;

        must(m2_target_parse(&target, pool, claims[i],
                             apr_pstrcat(pool, "header:X-", claims[i], NULL), &err), "target");
        must(m2_mapping_add(mapping, &target, &err), "mapping");
    }
    return mapping;
}

static m2_rules_t *rules_for(m2_slice_t scenario)
{
    return m2_slice_is(scenario, "rules")
               ? make_rules(50, "$client = 'other' and $scope has 'api:admin'")
           : m2_slice_is(scenario, "asked")
               ? make_rules(50, "$method = 'DELETE' and $client = 'other'") : NULL;
}

/* A list that has entries of every kind, none of them about our tokens. */
static m2_parts_t *make_lists(void)
{
    m2_parts_t *parts = apr_pcalloc(pool, sizeof(*parts) + sizeof(void *));
    m2_revocation_t *set = m2_revocation_make(pool);
    apr_size_t i, n;
    char *text = apr_palloc(pool, 1001 * 200);

    for (i = n = 0; i < 1000; i++) {
        n += (apr_size_t)apr_snprintf(
            text + n, 200, "%s https://issuer.example/ other-%d\n",
            (const char *const[]){ "jti", "client", "sub", "kid" }[i % 4], (int)i);
    }
    apr_snprintf(text + n, 200, "claim tenant other-tenant\n");
    must(m2_revocation_parse(set, m2_slice_z(text), &err), "list");
    parts->id = 1;
    parts->part[parts->n++] = set;
    return parts;
}

static void make_policy(m2_policy_t *policy, const char *scenario, const char *dir)
{
    m2_keyset_t *set = m2_keyset_make(pool);
    apr_array_header_t *names = apr_array_make(pool, 1, sizeof(const char *));

    must(m2_keyset_parse(set, slurp(dir, "keys.json"), "keys.json", M2_JWK_PUBLIC,
                         M2_KEYSET_STRICT, &err), "keys");
    memset(policy, 0, sizeof(*policy));
    APR_ARRAY_PUSH(names, const char *) = "client_id";
    policy->keys = m2_keyring_make(pool, set);
    policy->algs = ~(m2_alg_mask_t)0;
    policy->claims.leeway = 60;
    policy->bound.constraint = M2_CONSTRAINT_AUTO;
    policy->bound.proof.algs = m2_proof_algs();
    policy->bound.proof.window = 3600;
    policy->claims.max_age = -1;
    policy->user_claims = names;
    policy->rules = rules_for(m2_slice_z(scenario));
    policy->mapping = m2_slice_is(m2_slice_z(scenario), "claims") ? make_mapping() : NULL;
    if (m2_slice_is(m2_slice_z(scenario), "revocation")
        || m2_slice_is(m2_slice_z(scenario), "sought")) {
        policy->revocation = m2_keyring_make(pool, (const void *)make_lists());
    }
}

/* One limit of a client, so large that it never refuses. */
typedef struct limit_bench_t {
    m2_limits_t *limits;
    m2_limit_store_t *store;
} limit_bench_t;

static limit_bench_t *make_limit(void)
{
    limit_bench_t *bench = apr_pcalloc(pool, sizeof(*bench));
    m2_rules_t *rules = m2_rules_make(pool);
    m2_limit_spec_t spec;
    m2_limit_t *limit;

    must(m2_params_declare(rules->params, "client", "Token:client_id", &err), "parameter");
    bench->limits = m2_limits_make(pool, rules);
    must(m2_limit_make(&limit, bench->limits, "bench", "client", "1000000000/1s", &err), "limit");
    must(m2_limits_add(bench->limits, limit, &err), "limit");
    memset(&spec, 0, sizeof(spec));
    spec.entries = M2_LIMIT_ENTRIES;
    must(m2_limit_store_open(&bench->store, pool, pool, &spec, &err), "store");
    must(m2_limit_store_rows(bench->store, bench->limits, &err), "rows");
    return bench;
}

static m2_code_t take(const limit_bench_t *bench, m2_facts_t *facts)
{
    apr_array_header_t *uses;
    const m2_limit_t *limit;

    facts->params = bench->limits->scope->params;
    must(m2_limit_gather(&uses, &limit, bench->limits, facts, &err), "gather");
    return m2_limit_store_take(bench->store, uses) ? M2_E_LIMIT_EXCEEDED : M2_OK;
}

static m2_code_t decide(apr_pool_t *p, const m2_policy_t *policy, m2_slice_t token,
                        const m2_services_t *services, const limit_bench_t *limit)
{
    m2_verdict_t *verdict = apr_pcalloc(p, sizeof(*verdict));
    m2_facts_t facts;

    memset(&facts, 0, sizeof(facts));
    facts.pool = p;
    facts.now = apr_time_now();
    facts.lookup = answer;
    facts.baton = verdict;
    facts.params = policy->rules ? policy->rules->params : NULL;
    if (m2_gate_token(verdict, p, policy, token, facts.now, services) == M2_OK) {
        m2_gate_rules(verdict, policy, &facts);
    }
    return limit && verdict->code == M2_OK ? take(limit, &facts) : verdict->code;
}

#define PROOF_URL "http://bench.example/api/index.html"

/* what the client shows beside its token */
static void present_proof(m2_proof_request_t *request, void *baton)
{
    static apr_array_header_t *targets;
    static m2_proof_keys_t keys;

    if (!targets) {
        keys = m2_owners_keys(m2_owners_make(pool, 64));
        targets = apr_array_make(pool, 1, sizeof(const char *));
        APR_ARRAY_PUSH(targets, const char *) = PROOF_URL;
    }
    request->proof = *(const m2_slice_t *)baton;
    request->fields = 1;
    request->method = "GET";
    request->targets = targets;
    request->keys = &keys;
}

/* One run of decisions, which threads share but for their pools. */
typedef struct run_t {
    m2_policy_t policy;
    m2_services_t services;
    m2_slice_t tokens[POOL_TOKENS];
    m2_slice_t proofs[POOL_TOKENS]; /* "there is none" but in the scenario proof */
    limit_bench_t *limit;           /* or NULL */
    m2_parts_t *lists;              /* of the scenario sought, or NULL */
    int have, distinct, n;
    m2_code_t expected;
} run_t;

static void run_prepare(run_t *run, char **argv)
{
    const m2_slice_t scenario = m2_slice_z(argv[2]);
    const int forged = m2_slice_is(scenario, "forged");
    const int proof = m2_slice_is(scenario, "proof");
    m2_slice_t text = slurp(argv[4], forged ? "forged" : proof ? "proofs" : "tokens");
    char *last = NULL, *rest = (char *)(apr_uintptr_t)text.p, *word;

    memset(run, 0, sizeof(*run));
    while (run->have < POOL_TOKENS && (word = apr_strtok(rest, "\n", &last)) != NULL) {
        rest = NULL;
        run->tokens[run->have] = m2_slice_z(word);
        if (proof) {
            char *blank = strchr(word, ' ');

            run->tokens[run->have] = m2_slice(word, (apr_size_t)(blank - word));
            run->proofs[run->have] = m2_slice_z(blank + 1);
        }
        run->have++;
    }
    run->n = (int)apr_atoi64(argv[3]);
    run->distinct = forged || m2_slice_is(scenario, "distinct");
    run->expected = forged ? M2_E_SIGNATURE_INVALID : M2_OK;
    run->services.cache =
        run->distinct ? NULL : m2_cache_make(pool, 64);
    make_policy(&run->policy, argv[2], argv[4]);
    run->limit = m2_slice_is(scenario, "limit") ? make_limit() : NULL;
    if (m2_slice_is(scenario, "sought")) {
        run->lists = (m2_parts_t *)(apr_uintptr_t)m2_keyring_enter(run->policy.revocation);
        m2_keyring_leave(run->policy.revocation);
    }
}

/* On its own allocator, as a thread of a server has it. */
static void *run_decisions(void *data)
{
    const run_t *run = data;
    apr_allocator_t *allocator;
    apr_pool_t *p;
    int i;

    if (apr_allocator_create(&allocator) != APR_SUCCESS
        || apr_pool_create_ex(&p, NULL, NULL, allocator) != APR_SUCCESS) {
        exit(1);
    }
    apr_allocator_owner_set(allocator, p);
    for (i = 0; i < run->n; i++) {
        const m2_slice_t token = run->tokens[run->distinct ? i % run->have : 0];
        m2_slice_t proof = run->proofs[i % run->have];
        m2_presented_t presented = { 1, present_proof, NULL, &proof };
        m2_services_t services = run->services;

        services.presented = proof.p ? &presented : NULL;
        if (run->lists) {
            run->lists->id++;
        }
        if (decide(p, &run->policy, token, &services, run->limit) != run->expected) {
            fprintf(stderr, "core: an unexpected verdict\n");
            exit(1);
        }
        apr_pool_clear(p);
    }
    apr_pool_destroy(p);
    return NULL;
}

static int gate(char **argv)
{
    run_t run;

    run_prepare(&run, argv);
    run_decisions(&run);
    return 0;
}

/* decisions per second of so many threads together */
static double rate(run_t *run, int threads)
{
    const apr_time_t began = apr_time_now();
    pthread_t other;

    if (threads == 2 && pthread_create(&other, NULL, run_decisions, run) != 0) {
        exit(1);
    }
    run_decisions(run);
    if (threads == 2) {
        pthread_join(other, NULL);
    }
    return threads * (double)run->n * APR_USEC_PER_SEC / (double)(apr_time_now() - began);
}

/* Every token twice, which is when it enters, then what there is. */
static void fill_cache(run_t *run, m2_cache_stats_t *stats)
{
    int i;

    run->services.cache = m2_cache_make(pool, 4 * POOL_TOKENS);
    for (i = 0; i < 2 * run->have; i++) {
        apr_pool_t *p;

        apr_pool_create(&p, pool);
        decide(p, &run->policy, run->tokens[i % run->have], &run->services, NULL);
        apr_pool_destroy(p);
    }
    m2_cache_stats(stats, run->services.cache);
}

static int scale(char **argv)
{
    m2_cache_stats_t stats;
    double one, two;
    run_t run;

    run_prepare(&run, argv);
    run_decisions(&run); /* warm */
    one = rate(&run, 1);
    two = rate(&run, 2);
    fill_cache(&run, &stats);
    printf("%.0f %.0f %d %d\n", one, two, (int)stats.entries, (int)stats.bytes);
    return 0;
}

int main(int argc, char **argv)
{
    apr_initialize();
    apr_pool_create(&pool, NULL);
    m2_err_init(&err, pool);
    if (argc >= 5 && m2_slice_is(m2_slice_z(argv[1]), "mint")) {
        return mint(argc, argv);
    }
    if (argc == 6 && m2_slice_is(m2_slice_z(argv[1]), "prove")) {
        return prove(argv);
    }
    if (argc == 5 && m2_slice_is(m2_slice_z(argv[1]), "gate")) {
        return gate(argv);
    }
    if (argc == 5 && m2_slice_is(m2_slice_z(argv[1]), "scale")) {
        return scale(argv);
    }
    fprintf(stderr, "usage: core mint ALG N DIR [KEYS] | core prove ALG N DIR URL | "
            "core gate|scale SCENARIO N DIR\n");
    return 2;
}
