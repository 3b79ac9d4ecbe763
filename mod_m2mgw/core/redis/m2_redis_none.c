/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * In the place of the client where there is no hiredis: what would use it says so when it is
 * opened, and gets no further.
 */
#include "redis/m2_redis.h"

m2_code_t m2_redis_open(m2_redis_t **predis, apr_pool_t *pool, const m2_redis_spec_t *spec,
                        const char *user, const char *loss, m2_err_t *err)
{
    (void)pool;
    (void)spec;
    (void)loss;
    *predis = NULL;
    return m2_err_set(err, M2_E_CONFIG, "%s: redis is not built in here", user);
}

m2_code_t m2_redis_try(apr_pool_t *pool, const m2_redis_spec_t *spec, m2_err_t *err)
{
    m2_redis_t *redis;

    return m2_redis_open(&redis, pool, spec, "", "", err);
}

m2_code_t m2_redis_attach(m2_redis_t *redis, apr_pool_t *pool, m2_err_t *err)
{
    (void)redis;
    (void)pool;
    return m2_err_set(err, M2_E_INTERNAL, "redis is not built in here");
}

m2_redis_reply_t *m2_redis_ask(m2_redis_t *redis, m2_redis_call_t *call, char *why)
{
    (void)redis;
    (void)call;
    apr_cpystrn(why, "redis is not built in here", M2_WIRE_WHY);
    return NULL;
}

void m2_redis_free(m2_redis_reply_t *reply)
{
    (void)reply;
}

m2_redis_kind_t m2_redis_kind(const m2_redis_reply_t *reply)
{
    (void)reply;
    return M2_REDIS_OTHER;
}

m2_slice_t m2_redis_text(const m2_redis_reply_t *reply)
{
    (void)reply;
    return m2_slice(NULL, 0);
}

int m2_redis_is(const m2_redis_reply_t *reply, const char *text)
{
    (void)reply;
    (void)text;
    return 0;
}

int m2_redis_fails(const m2_redis_reply_t *reply, const char *word)
{
    (void)reply;
    (void)word;
    return 0;
}

apr_int64_t m2_redis_number(const m2_redis_reply_t *reply)
{
    (void)reply;
    return 0;
}

int m2_redis_count(const m2_redis_reply_t *reply)
{
    (void)reply;
    return 0;
}

const m2_redis_reply_t *m2_redis_at(const m2_redis_reply_t *reply, int i)
{
    (void)reply;
    (void)i;
    return NULL;
}
