/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * One script writes: whoever reads sees all of a write or nothing. Lines whose tokens end at a
 * known time stand in a sorted set as well, so that each write takes out a few of those that
 * ended, without looking at the others. What readers would not take is not written: the history
 * has the number of bytes that the list is for them, which is counted anew where it is not known
 * or lines came or went otherwise.
 */
#include "revocation/m2_revocation_redis_int.h"

#include "base/m2_log.h"
#include "revocation/m2_revocation_file.h"
#include "text/m2_lines.h"
#include "text/m2_once.h"

#include <openssl/rand.h>

#include <apr_escape.h>

#define RANDOM 8   /* bytes that tell writes apart */
#define BATCH 500  /* lines of a list that is restored, in one command */
#define PLACE(x) #x
#define TEXT(x) PLACE(x)
#define FULL M2_REVOCATION_REDIS_BYTES
#define MUCH 13421600 /* bytes from which somebody is told: 80 % */

/* ARGV: what to do (add, put, reset), a name for the write, the epoch that the list must have or
 * nothing, the time in microseconds, the time in seconds before which tokens ended long ago, and
 * then lines, each with when its token ends or nothing. `put` leaves the version alone. The answer
 * is how many lines there are after a reset, -1 when the lines do not fit and none was added, or
 * else twice the bytes, and 1 for a list that begins. */
static const char script[] =
    "local function size(line) return #line + #tostring(#line) + 5 end\n"
    "local function all()\n"
    "  local n = 0\n"
    "  for _, line in ipairs(redis.call('SMEMBERS', KEYS[1])) do n = n + size(line) end\n"
    "  return n\n"
    "end\n"
    "local v = redis.call('GET', KEYS[2])\n"
    "local epoch, count\n"
    "if v then\n"
    "  epoch, count = string.match(v, '^([CR]%d+%-[^:]+):(%d+):')\n"
    "  if not epoch then\n"
    "    return redis.error_reply('ERR something else than m2mctl revoke has written it')\n"
    "  end\n"
    "end\n"
    "if ARGV[3] ~= '' and ARGV[3] ~= epoch then\n"
    "  return redis.error_reply('ERR Redis has lost the list that is in force')\n"
    "end\n"
    "local bytes = tonumber(redis.call('HGET', KEYS[3], 'bytes') or nil)\n"
    "local added, more = {}, 0\n"
    "for i = 6, #ARGV, 2 do\n"
    "  if redis.call('SADD', KEYS[1], ARGV[i]) == 1 then\n"
    "    added[#added + 1] = ARGV[i]\n"
    "    more = more + size(ARGV[i])\n"
    "  end\n"
    "end\n"
    "bytes = bytes and bytes + more\n"
    "local known = v and redis.call('SCARD', KEYS[1]) == #added + string.match(v, '%d+$')\n"
    "if not bytes or ARGV[1] == 'reset'\n"
    "    or not known and (ARGV[1] == 'add' or bytes > " TEXT(FULL) ") then bytes = all() end\n"
    "local full = (more > 0 or ARGV[1] == 'reset') and bytes > " TEXT(FULL) "\n"
    "if full then\n"
    "  for _, line in ipairs(added) do redis.call('SREM', KEYS[1], line) end\n"
    "  bytes = bytes - more\n"
    "end\n"
    "for i = 6, full and 0 or #ARGV, 2 do\n"
    "  if ARGV[i + 1] ~= '' then redis.call('ZADD', KEYS[4], ARGV[i + 1], ARGV[i]) end\n"
    "end\n"
    "if ARGV[1] == 'put' or full and (not v or ARGV[1] == 'reset') then\n"
    "  redis.call('HSET', KEYS[3], 'bytes', string.format('%.0f', bytes))\n"
    "  return full and -1 or 0\n"
    "end\n"
    "local over = redis.call('ZRANGEBYSCORE', KEYS[4], '-inf', '(' .. ARGV[5], 'LIMIT', 0, 500)\n"
    "for _, line in ipairs(over) do\n"
    "  if redis.call('SREM', KEYS[1], line) == 1 then bytes = bytes - size(line) end\n"
    "  redis.call('ZREM', KEYS[4], line)\n"
    "end\n"
    "if ARGV[1] == 'reset' or not v then\n"
    "  local now, before = ARGV[4], v and string.match(epoch, '(%d+)%-') or '0'\n"
    "  if tonumber(before) >= tonumber(now) then\n"
    "    now = string.format('%.0f', tonumber(before) + 1)\n"
    "  end\n"
    "  epoch = (ARGV[1] == 'reset' and 'R' or 'C') .. now .. '-' .. ARGV[2]\n"
    "  count = 0\n"
    "  redis.call('DEL', KEYS[3])\n"
    "end\n"
    "count = string.format('%.0f', count + 1)\n"
    "redis.call('HSET', KEYS[3], count, ARGV[2])\n"
    "redis.call('HSET', KEYS[3], 'bytes', string.format('%.0f', bytes))\n"
    "redis.call('HDEL', KEYS[3], string.format('%.0f', count - " TEXT(M2_MARK_HISTORY) "))\n"
    "local lines = redis.call('SCARD', KEYS[1])\n"
    "redis.call('SET', KEYS[2], epoch .. ':' .. count .. ':' .. ARGV[2] .. ':' .. lines)\n"
    "if ARGV[1] == 'reset' then return lines end\n"
    "return full and -1 or bytes * 2 + (v and 0 or 1)\n";

_Static_assert(FULL + 64 <= M2_REDIS_MAX_REPLY, "with its head, readers take it");

#define FIXED 12 /* arguments in front of the lines */

static apr_array_header_t *command(const m2_revocation_redis_t *list, apr_pool_t *pool,
                                   const char *what, const char *epoch, apr_time_t now)
{
    const char *const keys[] = { list->keys.lines, list->keys.version, list->keys.history,
                                 list->keys.ends };
    apr_array_header_t *argv = apr_array_make(pool, FIXED + 2, sizeof(const char *));
    unsigned char random[RANDOM];
    apr_size_t i;

    RAND_bytes(random, sizeof(random));
    APR_ARRAY_PUSH(argv, const char *) = "EVAL";
    APR_ARRAY_PUSH(argv, const char *) = script;
    APR_ARRAY_PUSH(argv, const char *) = "4";
    for (i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
        APR_ARRAY_PUSH(argv, const char *) = keys[i];
    }
    APR_ARRAY_PUSH(argv, const char *) = what;
    APR_ARRAY_PUSH(argv, const char *) = apr_pescape_hex(pool, random, sizeof(random), 0);
    APR_ARRAY_PUSH(argv, const char *) = epoch;
    APR_ARRAY_PUSH(argv, const char *) = apr_psprintf(pool, "%" APR_INT64_T_FMT,
                                                      (apr_int64_t)now);
    APR_ARRAY_PUSH(argv, const char *) =
        apr_psprintf(pool, "%" APR_INT64_T_FMT,
                     (apr_int64_t)apr_time_sec(now) - M2_REVOCATION_KEEP);
    return argv;
}

static m2_code_t add_entry(apr_array_header_t *argv, apr_pool_t *pool,
                           const m2_revoked_t *entry, m2_err_t *err)
{
    const char *line;
    m2_code_t code = m2_revoked_write(&line, pool, entry, err);

    if (code == M2_OK) {
        APR_ARRAY_PUSH(argv, const char *) = apr_pstrmemdup(pool, line, strlen(line) - 1);
        APR_ARRAY_PUSH(argv, const char *) =
            entry->kind == M2_REVOKED_JTI && entry->time != M2_UNSET
                ? apr_psprintf(pool, "%" APR_INT64_T_FMT, entry->time)
                : "";
    }
    return code;
}

/* All that fits: no text of Redis tells it. */
static m2_code_t full(const m2_revocation_redis_t *list, m2_err_t *err)
{
    return m2_err_set(err, M2_E_CONFIG, "%s: the list is full: servers read %d bytes at most, and "
                      "with this it would have more; take entries out whose tokens have ended "
                      "(SREM %s LINE, then m2mctl revoke --reset), or revoke a client, a subject "
                      "or a key instead of single tokens", list->name, FULL, list->keys.lines);
}

static m2_code_t run(apr_int64_t *panswer, m2_revocation_redis_t *list,
                     const apr_array_header_t *argv, m2_err_t *err)
{
    m2_redis_call_t call = { list->keys.lines, argv->nelts, (const char *const *)argv->elts, 0,
                             0, 0 };
    char why[M2_WIRE_WHY] = "no clear answer";
    m2_redis_reply_t *reply = m2_redis_ask(list->redis, &call, why);
    m2_code_t code = M2_OK;

    if (reply && m2_redis_kind(reply) == M2_REDIS_ERROR) {
        apr_cpystrn(why, m2_redis_text(reply).p, sizeof(why));
    }
    if (reply && m2_redis_kind(reply) == M2_REDIS_NUMBER) {
        *panswer = m2_redis_number(reply);
        code = *panswer < 0 ? full(list, err) : M2_OK;
    }
    else {
        code = m2_err_set(err, M2_E_CONFIG, "%s: %s", list->name, why);
    }
    m2_redis_free(reply);
    return code;
}

static m2_code_t add(m2_revocation_added_t *added, m2_revocation_redis_t *list,
                     apr_pool_t *pool, const char *epoch, const m2_revoked_t *entry,
                     apr_time_t now, m2_err_t *err)
{
    apr_array_header_t *argv = command(list, pool, "add", epoch, now);
    apr_int64_t answer = 0;
    m2_code_t code = add_entry(argv, pool, entry, err);

    code = code == M2_OK ? run(&answer, list, argv, err) : code;
    added->begun = answer % 2 != 0;
    added->percent = answer / 2 >= MUCH ? (int)(answer / 2 * 100 / FULL) : 0;
    return code;
}

/* --- for a server --- */

/* The epoch of the list in force; "" where none was found; NULL when it is not known yet, or has
 * been lost. */
static const char *epoch_of(m2_revocation_redis_t *list, apr_pool_t *pool)
{
    const char *epoch = NULL;
    m2_mark_t mark;

    pthread_mutex_lock(&list->lock);
    if (list->noted && list->text
        && (strcmp(list->judged, list->base) != 0 || !list->lost[0])) {
        epoch = m2_mark_read(&mark, list->base) ? m2_slice_dup(pool, mark.epoch) : "";
    }
    pthread_mutex_unlock(&list->lock);
    return epoch;
}

/* Once for each percent, by this process. */
static void tell_much(m2_revocation_redis_t *list, int percent)
{
    if (percent > __atomic_exchange_n(&list->told, percent, __ATOMIC_RELAXED)) {
        m2_log(M2_LOG_WARNING, "%s: the list of revoked tokens has %d %% of the %d bytes that "
               "servers read; a full one takes no entries", list->name, percent, FULL);
    }
}

m2_code_t m2_revocation_redis_add(m2_revocation_redis_t *list, apr_pool_t *pool,
                                  const m2_revoked_t *entry, apr_time_t now, m2_err_t *err)
{
    const char *epoch = epoch_of(list, pool);
    m2_revocation_added_t added = { 0, 0 };
    const m2_code_t code = epoch ? add(&added, list, pool, epoch, entry, now, err)
                                 : m2_err_set(err, M2_E_CONFIG, "%s: the list is not known yet, "
                                              "or Redis has lost it", list->name);

    if (code == M2_OK) {
        m2_worker_wake(list->worker); /* this process may as well know at once */
        tell_much(list, added.percent);
    }
    return code;
}

/* --- for a tool --- */

/* The value of an option, with or without quotes around it; NULL for a quote that is not closed.
 * *prest moves behind it. */
static const char *value_of(apr_pool_t *pool, const char **prest)
{
    const char *p = *prest;
    const char quote = *p == '"' || *p == '\'' ? *p++ : ' ';
    const char *end = strchr(p, quote);

    if (!end && quote != ' ') {
        return NULL;
    }
    end = end ? end : p + strlen(p);
    *prest = quote == ' ' ? end : end + 1;
    return apr_pstrmemdup(pool, p, (apr_size_t)(end - p));
}

static m2_code_t read_option(m2_redis_spec_t *spec, apr_pool_t *pool, const char **prest,
                             apr_array_header_t **pseen, m2_err_t *err)
{
    const char *name = *prest, *value = NULL;
    const apr_size_t n = strcspn(name, "= ");
    m2_code_t code = M2_E_NOT_FOUND;

    *prest += n;
    if (**prest == '=') {
        (*prest)++;
        value = value_of(pool, prest);
    }
    if (value && m2_once(pseen, pool, m2_slice(name, n), err) != M2_OK) {
        return M2_E_CONFIG;
    }
    if (value && *value) {
        code = m2_redis_spec_option(spec, pool, m2_slice(name, n), value, err);
    }
    return code == M2_E_NOT_FOUND
               ? m2_err_set(err, M2_E_CONFIG, "%.*s: there are only the options %s", (int)n, name,
                            m2_redis_spec_options(pool, spec))
               : code;
}

static m2_code_t read_words(m2_redis_spec_t **pspec, apr_pool_t *pool, const char *words,
                            m2_err_t *err)
{
    const char *rest = words + strcspn(words, " ");
    apr_array_header_t *seen = NULL;
    m2_code_t code =
        m2_redis_spec_start(pspec, pool, apr_pstrmemdup(pool, words, (apr_size_t)(rest - words)),
                            M2_REVOCATION_PREFIX, err);

    while (code == M2_OK && *(rest += strspn(rest, " "))) {
        code = read_option(*pspec, pool, &rest, &seen, err);
    }
    return code == M2_OK ? m2_redis_spec_check(*pspec, err) : code;
}

m2_code_t m2_revocation_redis_named(m2_revocation_redis_t **plist, apr_pool_t *pool,
                                    const char *words, m2_err_t *err)
{
    m2_redis_spec_t *spec;
    m2_code_t code = read_words(&spec, pool, words, err);

    code = code == M2_OK ? m2_revocation_redis_open(plist, pool, spec, err) : code;
    return code == M2_OK ? m2_redis_attach((*plist)->redis, pool, err) : code;
}

m2_code_t m2_revocation_redis_append(m2_revocation_redis_t *list, apr_pool_t *pool,
                                     const m2_revoked_t *entry, apr_time_t now,
                                     m2_revocation_added_t *added, m2_err_t *err)
{
    return add(added, list, pool, "", entry, now, err);
}

typedef struct restoring_t {
    m2_revocation_redis_t *list;
    apr_pool_t *pool;         /* of one batch */
    apr_array_header_t *argv; /* NULL: none is begun */
    apr_time_t now;
} restoring_t;

static m2_code_t put_batch(restoring_t *restoring, m2_err_t *err)
{
    apr_int64_t nothing;
    const m2_code_t code = restoring->argv ? run(&nothing, restoring->list, restoring->argv, err)
                                           : M2_OK;

    restoring->argv = NULL;
    apr_pool_clear(restoring->pool);
    return code;
}

static m2_code_t put_line(void *data, apr_pool_t *temp, m2_slice_t line, m2_err_t *err)
{
    restoring_t *restoring = data;
    m2_revoked_t entry;
    m2_code_t code = m2_revoked_read(&entry, temp, line, err);

    if (code == M2_OK && !restoring->argv) {
        restoring->argv = command(restoring->list, restoring->pool, "put", "", restoring->now);
    }
    code = code == M2_OK ? add_entry(restoring->argv, restoring->pool, &entry, err) : code;
    return code == M2_OK && restoring->argv->nelts >= FIXED + 2 * BATCH
               ? put_batch(restoring, err) : code;
}

m2_code_t m2_revocation_redis_restore(m2_revocation_redis_t *list, apr_pool_t *pool,
                                      m2_slice_t text, apr_time_t now, apr_int64_t *pcount,
                                      m2_err_t *err)
{
    restoring_t restoring = { list, NULL, NULL, now };
    m2_code_t code = M2_OK;

    if (text.n) {
        apr_pool_create(&restoring.pool, pool);
        code = m2_lines_read(&restoring, pool, put_line, text, M2_MAX_REVOCATION_LINE, err);
        code = code == M2_OK ? put_batch(&restoring, err) : code;
    }
    return code == M2_OK ? run(pcount, list, command(list, pool, "reset", "", now), err) : code;
}
