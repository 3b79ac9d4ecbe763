/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Compiles with hiredis 0.14 (Debian 12) and 1.2 (Debian 13), which differ in the types of
 * lengths.
 */
#include "redis/m2_redis_reply.h"

#include <hiredis/hiredis.h>

#include <stdint.h>


static redisReply *read_reply(m2_conn_t *conn, redisReader *reader, char *why)
{
    char bytes[4096];
    void *reply = NULL;
    apr_size_t got, all = 0;

    while (!reply) {
        got = m2_conn_read(conn, bytes, sizeof(bytes));
        all += got;
        if (!got) {
            apr_cpystrn(why, "no answer in time", M2_WIRE_WHY);
            return NULL;
        }
        if (all > M2_REDIS_MAX_REPLY) {
            apr_snprintf(why, M2_WIRE_WHY, "the answer is longer than %d bytes",
                         M2_REDIS_MAX_REPLY);
            return NULL;
        }
        if (redisReaderFeed(reader, bytes, got) != REDIS_OK
            || redisReaderGetReply(reader, &reply) != REDIS_OK) {
            apr_cpystrn(why, "the answer is not Redis protocol", M2_WIRE_WHY);
            return NULL;
        }
    }
    return reply;
}

m2_redis_reply_t *m2_redis_exchange(m2_conn_t *conn, int argc, const char *const *argv,
                                    char *why)
{
    char *request = NULL;
    const long long n = redisFormatCommandArgv(&request, argc,
                                               (const char **)(uintptr_t)argv, NULL);
    redisReader *reader = redisReaderCreate();
    redisReply *reply = NULL;

    if (n < 0 || !reader || !m2_conn_write(conn, request, (apr_size_t)n)) {
        apr_cpystrn(why, "the connection broke", M2_WIRE_WHY);
    }
    else {
        reply = read_reply(conn, reader, why);
    }
    if (reader) {
        redisReaderFree(reader);
    }
    if (request) {
        redisFreeCommand(request);
    }
    return reply;
}

void m2_redis_free(m2_redis_reply_t *reply)
{
    if (reply) {
        freeReplyObject(reply);
    }
}

m2_redis_kind_t m2_redis_kind(const m2_redis_reply_t *reply)
{
    switch (reply->type) {
    case REDIS_REPLY_NIL:
        return M2_REDIS_NIL;
    case REDIS_REPLY_STATUS:
        return M2_REDIS_STATUS;
    case REDIS_REPLY_ERROR:
        return M2_REDIS_ERROR;
    case REDIS_REPLY_INTEGER:
        return M2_REDIS_NUMBER;
    case REDIS_REPLY_STRING:
        return M2_REDIS_TEXT;
    case REDIS_REPLY_ARRAY:
        return M2_REDIS_LIST;
    default:
        return M2_REDIS_OTHER;
    }
}

m2_slice_t m2_redis_text(const m2_redis_reply_t *reply)
{
    const m2_redis_kind_t kind = m2_redis_kind(reply);

    return kind == M2_REDIS_STATUS || kind == M2_REDIS_ERROR || kind == M2_REDIS_TEXT
               ? m2_slice(reply->str, (apr_size_t)reply->len)
               : m2_slice(NULL, 0);
}

int m2_redis_is(const m2_redis_reply_t *reply, const char *text)
{
    return m2_redis_kind(reply) == M2_REDIS_STATUS && m2_slice_is(m2_redis_text(reply), text);
}

int m2_redis_fails(const m2_redis_reply_t *reply, const char *word)
{
    const m2_slice_t text = m2_redis_text(reply);

    return m2_redis_kind(reply) == M2_REDIS_ERROR
           && m2_slice_is(m2_slice(text.p, strcspn(text.p, " ")), word);
}

apr_int64_t m2_redis_number(const m2_redis_reply_t *reply)
{
    return m2_redis_kind(reply) == M2_REDIS_NUMBER ? (apr_int64_t)reply->integer : 0;
}

int m2_redis_count(const m2_redis_reply_t *reply)
{
    return m2_redis_kind(reply) == M2_REDIS_LIST ? (int)reply->elements : 0;
}

const m2_redis_reply_t *m2_redis_at(const m2_redis_reply_t *reply, int i)
{
    return i >= 0 && i < m2_redis_count(reply) ? reply->element[i] : NULL;
}
