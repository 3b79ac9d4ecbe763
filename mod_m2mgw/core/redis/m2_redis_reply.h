/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Redis's protocol over a connection of m2_wire, written and read by hiredis, whose only home
 * this is: hiredis 0.14 has no TLS and no deadline for a whole exchange, so the connection is
 * ours.
 */
#ifndef M2_REDIS_REPLY_H
#define M2_REDIS_REPLY_H

#include "wire/m2_wire.h"

#define M2_REDIS_MAX_REPLY (16 * 1024 * 1024) /* bytes; a list of revocations is the longest */

typedef enum m2_redis_kind_t {
    M2_REDIS_NIL,
    M2_REDIS_STATUS, /* a simple text, such as OK */
    M2_REDIS_ERROR,
    M2_REDIS_NUMBER,
    M2_REDIS_TEXT,
    M2_REDIS_LIST,
    M2_REDIS_OTHER   /* of a later protocol */
} m2_redis_kind_t;

/* What was answered; malloc'd, freed by m2_redis_free. */
typedef struct redisReply m2_redis_reply_t;

/** Send argv and read one reply, both before the connection's deadline; NULL with why, and
 *  then the connection is out of step. */
m2_redis_reply_t *m2_redis_exchange(m2_conn_t *conn, int argc, const char *const *argv,
                                    char *why);

/** Free a whole reply, elements of lists included; NULL is nothing to free. */
void m2_redis_free(m2_redis_reply_t *reply);

/** What a reply, or an element of a list, is. */
m2_redis_kind_t m2_redis_kind(const m2_redis_reply_t *reply);

/** Of a status, an error or a text, with a NUL behind it; else absent. */
m2_slice_t m2_redis_text(const m2_redis_reply_t *reply);

/** Whether it is the status text. */
int m2_redis_is(const m2_redis_reply_t *reply, const char *text);

/** Whether it is an error whose first word is this. */
int m2_redis_fails(const m2_redis_reply_t *reply, const char *word);

/** Of a number; else 0. */
apr_int64_t m2_redis_number(const m2_redis_reply_t *reply);

/** Elements of a list; else 0. */
int m2_redis_count(const m2_redis_reply_t *reply);

/** The i-th of a list, NULL if absent. */
const m2_redis_reply_t *m2_redis_at(const m2_redis_reply_t *reply, int i);

#endif /* M2_REDIS_REPLY_H */
