/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A bucket is one number, as it is in memory: when it is full again, in microseconds since the
 * instant that the script names. Its key expires then. Doubles hold that to a hundredth of a
 * microsecond for years, and what is added to it does not accumulate errors that matter: an
 * unused bucket becomes full again.
 */
#include "limit/m2_limit_redis.h"

#include "limit/m2_limit_table.h"

#include <openssl/evp.h>

#include <pthread.h>

#define WORDS_OF 4 /* arguments for a bucket */
#define MAX_WORDS (3 + M2_LIMIT_TAKES * (1 + WORDS_OF))
#define WORD 32

/* KEYS: buckets; ARGV: for each its step and depth in microseconds, how many to take at most,
 * and whether it is a shadow. -1 to take gives one back. Answers with 1 or 0, and for each
 * bucket: how many were taken, how many are left, microseconds until one would be, and until
 * it is full. */
static const char script[] =
    "local t = redis.call('TIME')\n"
    "local now = (t[1] - 1760000000) * 1000000 + t[2]\n"
    "local pass, seen = 1, {}\n"
    "for i = 1, #KEYS do\n"
    "  local step, depth = tonumber(ARGV[4 * i - 3]), tonumber(ARGV[4 * i - 2])\n"
    "  local owed = math.max((tonumber(redis.call('GET', KEYS[i])) or now) - now, 0)\n"
    "  if owed > depth + step then\n"
    "    owed = depth\n"
    "    redis.call('SET', KEYS[i], string.format('%.17g', now + owed),\n"
    "               'PX', math.ceil(owed / 1000) + 1)\n"
    "  end\n"
    "  local free = math.max(math.floor((depth - owed) / step + 0.000001), 0)\n"
    "  local take = math.min(tonumber(ARGV[4 * i - 1]), free)\n"
    "  if take == 0 and ARGV[4 * i] == '0' then pass = 0 end\n"
    "  seen[i] = {step, depth, owed, free, take}\n"
    "end\n"
    "local out = {pass}\n"
    "for i = 1, #KEYS do\n"
    "  local step, depth, owed, free, take = unpack(seen[i])\n"
    "  local wait = 0\n"
    "  if free < 1 then wait = math.max(math.ceil(owed + step - depth), 1) end\n"
    "  if pass == 0 then take = 0 end\n"
    "  if take ~= 0 then\n"
    "    owed = math.max(owed + take * step, 0)\n"
    "    redis.call('SET', KEYS[i], string.format('%.17g', now + owed),\n"
    "               'PX', math.ceil(owed / 1000) + 1)\n"
    "  end\n"
    "  out[4 * i - 2] = take\n"
    "  out[4 * i - 1] = free - take\n"
    "  out[4 * i] = wait\n"
    "  out[4 * i + 1] = math.ceil(owed)\n"
    "end\n"
    "return out\n";

struct m2_lr_t {
    const m2_redis_spec_t *spec;
    m2_redis_t *redis;
    char sha1[41]; /* of the script; "" where the system has no SHA-1 */
};

/* --- keys --- */

/* Fetched once per process and never given back, as in m2_replay.c. */
static EVP_MD *sha256;
static pthread_once_t sha256_once = PTHREAD_ONCE_INIT;

static void fetch_sha256(void)
{
    sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
}

static void hex_of(char *text, const unsigned char *bytes, int n)
{
    static const char hex[] = "0123456789abcdef";
    int i;

    for (i = 0; i < n; i++) {
        text[2 * i] = hex[bytes[i] >> 4];
        text[2 * i + 1] = hex[bytes[i] & 15];
    }
    text[2 * n] = '\0';
}

int m2_lr_key(char key[M2_LR_KEY], apr_uint64_t id[2], const m2_lr_t *lr, const void *bytes,
              apr_size_t n)
{
    const apr_size_t prefix = strlen(lr->spec->prefix);
    unsigned char digest[EVP_MAX_MD_SIZE];

    pthread_once(&sha256_once, fetch_sha256);
    if (!sha256 || EVP_Digest(bytes, n, digest, NULL, sha256, NULL) != 1) {
        return 0;
    }
    memcpy(id, digest, 2 * sizeof(id[0]));
    memcpy(key, lr->spec->prefix, prefix);
    hex_of(key + prefix, digest, 16);
    return 1;
}

/* --- asking --- */

/* What one call of the script is about. */
typedef struct question_t {
    m2_lease_take_t *takes[M2_LIMIT_TAKES];
    int n;
    const char *argv[MAX_WORDS];
    char words[M2_LIMIT_TAKES * WORDS_OF][WORD];
    char count[WORD];
} question_t;

static void microseconds(char *word, apr_uint64_t nanoseconds)
{
    apr_snprintf(word, WORD, "%" APR_UINT64_T_FMT ".%03u", nanoseconds / 1000,
                 (unsigned)(nanoseconds % 1000));
}

/* The words behind the script; take: how many from each, 0 as it asks. */
static int write_words(question_t *q, int take)
{
    int i, argc = 2;

    apr_snprintf(q->count, WORD, "%d", q->n);
    q->argv[argc++] = q->count;
    for (i = 0; i < q->n; i++) {
        q->argv[argc++] = q->takes[i]->key;
    }
    for (i = 0; i < q->n; i++) {
        char(*words)[WORD] = &q->words[i * WORDS_OF];

        microseconds(words[0], q->takes[i]->terms->step);
        microseconds(words[1], q->takes[i]->terms->depth);
        apr_snprintf(words[2], WORD, "%d", take ? take : q->takes[i]->asks);
        apr_snprintf(words[3], WORD, "%d", q->takes[i]->shadow);
        q->argv[argc++] = words[0];
        q->argv[argc++] = words[1];
        q->argv[argc++] = words[2];
        q->argv[argc++] = words[3];
    }
    return argc;
}

/* By its hash, and whole where Redis does not have it (which carries nothing out). */
static m2_redis_reply_t *run(m2_lr_t *lr, question_t *q, int argc, apr_int64_t deadline,
                             char *why)
{
    m2_redis_call_t call = { q->takes[0]->key, argc, q->argv, 0, deadline, 0 };
    m2_redis_reply_t *reply;

    q->argv[0] = "EVALSHA";
    q->argv[1] = lr->sha1;
    reply = *lr->sha1 ? m2_redis_ask(lr->redis, &call, why) : NULL;
    if (*lr->sha1 && (!reply || !m2_redis_fails(reply, "NOSCRIPT"))) {
        return reply;
    }
    m2_redis_free(reply);
    q->argv[0] = "EVAL";
    q->argv[1] = script;
    return m2_redis_ask(lr->redis, &call, why);
}

static apr_uint64_t number_at(const m2_redis_reply_t *reply, int i)
{
    const m2_redis_reply_t *one = m2_redis_at(reply, i);
    const apr_int64_t n = one ? m2_redis_number(one) : 0;

    return n > 0 ? (apr_uint64_t)n : 0;
}

static void read_answer(m2_lease_take_t *take, const m2_redis_reply_t *reply, int i)
{
    m2_gcra_answer_t *answer = &take->answer;

    memset(answer, 0, sizeof(*answer));
    take->granted = (int)number_at(reply, 4 * i + 1);
    answer->left = number_at(reply, 4 * i + 2);
    answer->wait = number_at(reply, 4 * i + 3) * 1000;
    answer->full_in = number_at(reply, 4 * i + 4) * 1000;
    answer->passes = take->granted > 0 || answer->wait == 0;
}

/* 1, 0 or -1, as m2_lr_ask. */
static int ask_one(m2_lr_t *lr, question_t *q, int take, apr_int64_t deadline, char *why)
{
    m2_redis_reply_t *reply = run(lr, q, write_words(q, take), deadline, why);
    int i, passes = -1;

    if (reply && m2_redis_count(reply) == 1 + WORDS_OF * q->n) {
        passes = (int)number_at(reply, 0);
        for (i = 0; i < q->n && take >= 0; i++) {
            read_answer(q->takes[i], reply, i);
        }
    }
    else if (reply && m2_redis_kind(reply) == M2_REDIS_ERROR) {
        apr_snprintf(why, M2_WIRE_WHY, "Redis refuses the script: %.90s",
                     m2_redis_text(reply).p);
    }
    else if (reply) {
        apr_cpystrn(why, "Redis gives no clear answer to the script", M2_WIRE_WHY);
    }
    m2_redis_free(reply);
    return passes;
}

/* --- a cluster --- */

static void sort_by_name(question_t *q)
{
    int i, k;

    for (i = 1; i < q->n; i++) {
        m2_lease_take_t *take = q->takes[i];

        for (k = i; k > 0 && strcmp(q->takes[k - 1]->name, take->name) > 0; k--) {
            q->takes[k] = q->takes[k - 1];
        }
        q->takes[k] = take;
    }
}

static void give_back(m2_lr_t *lr, m2_lease_take_t *take, apr_int64_t deadline)
{
    char why[M2_WIRE_WHY];
    question_t q;

    if (take->granted > 0) {
        q.takes[0] = take;
        q.n = 1;
        (void)ask_one(lr, &q, -take->granted, deadline, why); /* lost: too strict, no more */
        take->answer.left += (apr_uint64_t)take->granted;
        take->granted = 0;
    }
}

/* One bucket after the other; all servers in the same order. */
static int ask_each(m2_lr_t *lr, question_t *all, apr_int64_t deadline, char *why)
{
    int i, passes = 1;
    question_t q;

    sort_by_name(all);
    for (i = 0; passes > 0 && i < all->n; i++) {
        q.takes[0] = all->takes[i];
        q.n = 1;
        passes = ask_one(lr, &q, 0, deadline, why);
    }
    while (passes <= 0 && --i >= 0) {
        give_back(lr, all->takes[i], deadline);
    }
    return passes;
}

int m2_lr_ask(m2_lr_t *lr, m2_lease_take_t *takes, int n, char *why)
{
    const apr_int64_t deadline = m2_wire_clock() + lr->spec->timeout;
    question_t q;
    int i;

    q.n = 0;
    for (i = 0; i < n && q.n < M2_LIMIT_TAKES; i++) {
        if (takes[i].asks) {
            q.takes[q.n++] = &takes[i];
        }
    }
    return lr->spec->mode == M2_REDIS_CLUSTER && q.n > 1 ? ask_each(lr, &q, deadline, why)
                                                         : ask_one(lr, &q, 0, deadline, why);
}

/* --- making --- */

m2_code_t m2_lr_open(m2_lr_t **plr, apr_pool_t *pool, const m2_redis_spec_t *spec,
                     m2_err_t *err)
{
    m2_lr_t *lr = apr_pcalloc(pool, sizeof(*lr));
    unsigned char digest[EVP_MAX_MD_SIZE];

    *plr = lr;
    lr->spec = spec;
    if (EVP_Digest(script, sizeof(script) - 1, digest, NULL, EVP_sha1(), NULL) == 1) {
        hex_of(lr->sha1, digest, 20);
    }
    return m2_redis_open(&lr->redis, pool, spec,
                         apr_pstrcat(pool, "limit store ", m2_redis_spec_name(pool, spec), NULL),
                         "a dropped bucket gives its client a new burst", err);
}

m2_code_t m2_lr_attach(m2_lr_t *lr, apr_pool_t *pool, m2_err_t *err)
{
    return m2_redis_attach(lr->redis, pool, err);
}
