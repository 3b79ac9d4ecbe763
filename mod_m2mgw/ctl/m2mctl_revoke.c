/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl revoke: take a token, or all of a client, a subject or a key, back before it ends.
 * One line is added to a revocation list (M2MRevocation), under the lock that servers and
 * other runs of this tool take.
 */
#include "ctl/m2mctl_verb.h"

#include "revocation/m2_revocation_file.h"
#include "revocation/m2_revocation_redis.h"
#include "text/m2_file.h"
#include "text/m2_lines.h"

#include <stdio.h>

typedef struct revoke_t {
    const char *names[M2_REVOKED_KINDS]; /* ORDER REVOKED */
    const char *issuer, *list;
    const char *restore;
    int reset;
    m2mctl_number_t exp, now;
} revoke_t;

/* clang-format off */
#define SLOT(member) offsetof(revoke_t, member)
static const m2mctl_option_t revoke_options[] = {
    { "jti",    M2MCTL_TEXT,   SLOT(names[M2_REVOKED_JTI]), "ID", "one token, by its jti" },
    { "client", M2MCTL_TEXT,   SLOT(names[M2_REVOKED_CLIENT]), "ID", "every token of a client "
                                                                   "that is out by now" },
    { "sub",    M2MCTL_TEXT,   SLOT(names[M2_REVOKED_SUB]), "NAME", "the same, of a subject" },
    { "kid",    M2MCTL_TEXT,   SLOT(names[M2_REVOKED_KID]), "KID", "every token that this key "
                                                                 "signed" },
    { "claim",  M2MCTL_TEXT,   SLOT(names[M2_REVOKED_CLAIM]), "PATH=VALUE", "every token whose "
                                                                          "claim has the value" },
    { "issuer", M2MCTL_TEXT,   SLOT(issuer), "ISS", "of the tokens; * with --kid: any" },
    { "exp",    M2MCTL_NUMBER, SLOT(exp), "TIME", "with --jti: when the token ends, Unix "
                                                  "seconds" },
    { "list",   M2MCTL_TEXT,   SLOT(list), "FILE|'redis:... OPTIONS'", "the list "
                                                  "(M2MRevocation)" },
    { "restore", M2MCTL_TEXT,  SLOT(restore), "FILE", "a list in Redis that was lost: add the "
                                                     "entries of a file to it, and have servers "
                                                     "take it as it is then" },
    { "reset",  M2MCTL_FLAG,   SLOT(reset), NULL, "a list in Redis: have servers take it as it "
                                                  "is, whatever they knew before" },
    { "now",    M2MCTL_NUMBER, SLOT(now), "TIME", "instead of the clock, Unix seconds" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

/* the one kind that was asked for; M2_REVOKED_KINDS for none or several */
static m2_revoked_kind_t kind_of(const revoke_t *o)
{
    int i, kind = M2_REVOKED_KINDS, count = 0;

    for (i = 0; i < M2_REVOKED_KINDS; i++) {
        if (o->names[i]) {
            kind = i;
            count++;
        }
    }
    return count == 1 ? (m2_revoked_kind_t)kind : M2_REVOKED_KINDS;
}

static int is_in_redis(apr_pool_t *pool, const char *list)
{
    return m2_redis_spec_is(apr_pstrmemdup(pool, list, strcspn(list, " ")));
}

static int check_restore(m2mctl_t *ctl, const revoke_t *o, m2_revoked_kind_t kind)
{
    if (kind != M2_REVOKED_KINDS || o->issuer || o->exp.set || ctl->words->nelts
        || (o->restore && o->reset)) {
        return m2mctl_usage(ctl, "--restore and --reset go with --list alone");
    }
    return o->list && is_in_redis(ctl->pool, o->list)
               ? M2MCTL_ALLOW
               : m2mctl_usage(ctl, "--restore and --reset are for a --list in Redis; a file is "
                                   "edited or replaced");
}

static int check(m2mctl_t *ctl, const revoke_t *o, m2_revoked_kind_t kind)
{
    if (kind == M2_REVOKED_KINDS || !o->list || ctl->words->nelts) {
        return m2mctl_usage(ctl, "needs --list and one of --jti, --client, --sub, --kid and "
                                 "--claim");
    }
    if (!o->issuer && kind != M2_REVOKED_CLAIM) {
        return m2mctl_usage(ctl, "--%s needs --issuer", m2_revoked_word(kind));
    }
    if (o->issuer && kind != M2_REVOKED_KID && m2_slice_is(m2_slice_z(o->issuer), "*")) {
        return m2mctl_usage(ctl, "--issuer '*' is any issuer with --kid alone; --%s names one",
                            m2_revoked_word(kind));
    }
    if (o->issuer && kind == M2_REVOKED_CLAIM) {
        return m2mctl_usage(ctl, "--claim takes no --issuer");
    }
    if (o->exp.set && kind != M2_REVOKED_JTI) {
        return m2mctl_usage(ctl, "--exp belongs to --jti");
    }
    return M2MCTL_ALLOW;
}

/* PATH=VALUE, or a name and its issuer */
static m2_code_t names_set(m2_revoked_t *entry, apr_pool_t *pool, const revoke_t *o,
                           m2_err_t *err)
{
    const char *path = o->issuer, *value = o->names[entry->kind];

    if (entry->kind == M2_REVOKED_CLAIM && m2mctl_pair(&path, &value, pool, value, err)) {
        return M2_E_CONFIG;
    }
    entry->value = m2_slice_z(value);
    entry->scope = entry->kind == M2_REVOKED_KID && m2_slice_is(m2_slice_z(path), "*")
                       ? m2_slice(NULL, 0)
                       : m2_slice_z(path);
    return M2_OK;
}

/* What is out by now was issued in this second or earlier; a client may come back. */
static apr_int64_t time_of(const revoke_t *o, m2_revoked_kind_t kind)
{
    if (kind == M2_REVOKED_CLIENT || kind == M2_REVOKED_SUB) {
        return (o->now.set ? o->now.value : apr_time_sec(apr_time_now())) + 1;
    }
    return kind == M2_REVOKED_JTI && o->exp.set ? o->exp.value : M2_UNSET;
}

static apr_time_t now_of(const revoke_t *o)
{
    return o->now.set ? apr_time_from_sec(o->now.value) : apr_time_now();
}

/* --- Redis --- */

/* Somebody has to know which of two it is. */
static void warn_begun(const m2mctl_t *ctl, const char *list)
{
    fprintf(stderr, "m2mctl revoke: warning: there was no list at %s; it begins with this entry. "
            "If servers have one already, Redis has lost it: they go on with what they had and do "
            "not take this entry until the list is restored, by m2mctl revoke --list '...' "
            "--restore FILE\n", m2mctl_plain(ctl->pool, list));
}

static void warn_much(const m2mctl_t *ctl, const char *list, int percent)
{
    fprintf(stderr, "m2mctl revoke: warning: the list at %s has %d %% of the %d bytes that servers "
            "read; a full list takes no entries\n", m2mctl_plain(ctl->pool, list), percent,
            M2_REVOCATION_REDIS_BYTES);
}

static m2_code_t append_to_redis(const m2mctl_t *ctl, const revoke_t *o,
                                 const m2_revoked_t *entry, m2_err_t *err)
{
    m2_revocation_redis_t *list;
    m2_revocation_added_t added = { 0, 0 };
    m2_code_t code = m2_revocation_redis_named(&list, ctl->pool, o->list, err);

    code = code == M2_OK ? m2_revocation_redis_append(list, ctl->pool, entry, now_of(o), &added,
                                                      err)
                         : code;
    if (added.begun) {
        warn_begun(ctl, o->list);
    }
    if (added.percent) {
        warn_much(ctl, o->list, added.percent);
    }
    return code;
}

/* The copy of a server has a line about itself in front. */
static m2_slice_t without_head(m2_slice_t text)
{
    m2_slice_t line;

    if (text.n && *text.p == '{') {
        m2_line_next(&text, &line);
    }
    return text;
}

/* The whole list has to be good before any of it is written. */
static m2_code_t read_lost(m2_slice_t *ptext, apr_pool_t *pool, const char *path, m2_err_t *err)
{
    m2_code_t code = m2mctl_read_list(ptext, pool, path, err);

    if (code != M2_OK) {
        return code;
    }
    *ptext = without_head(*ptext);
    return m2_revocation_parse(m2_revocation_make(pool), *ptext, err);
}

static int restore(m2mctl_t *ctl, const revoke_t *o)
{
    m2_revocation_redis_t *list;
    m2_slice_t text = m2_slice(NULL, 0);
    apr_int64_t count = 0;
    m2_err_t err;

    m2_err_init(&err, ctl->pool);
    if (o->restore && read_lost(&text, ctl->pool, o->restore, &err) != M2_OK) {
        return m2mctl_fault(ctl, o->restore, &err);
    }
    if (m2_revocation_redis_named(&list, ctl->pool, o->list, &err) != M2_OK
        || m2_revocation_redis_restore(list, ctl->pool, text, now_of(o), &count, &err) != M2_OK) {
        return m2mctl_fault(ctl, "", &err);
    }
    if (ctl->json) {
        m2_json_t *json = m2_json_make(ctl->pool);

        m2_json_set_string(json, "list", o->list);
        m2_json_set_int(json, "entries", count);
        m2mctl_print_json(ctl->pool, json);
    }
    else {
        printf("%s: %" APR_INT64_T_FMT " entries\n", m2mctl_plain(ctl->pool, o->list), count);
    }
    return M2MCTL_ALLOW;
}

static m2_code_t append(const m2mctl_t *ctl, const revoke_t *o, const m2_revoked_t *entry,
                        m2_err_t *err)
{
    return is_in_redis(ctl->pool, o->list)
               ? append_to_redis(ctl, o, entry, err)
               : m2_revocation_append(ctl->pool, o->list, entry, M2_REVOCATION_WAIT, err);
}

/* An entry in a list that servers do not take takes nothing back. */
static m2_code_t check_list(apr_pool_t *pool, const char *list, m2_err_t *err)
{
    m2_file_t file;
    m2_err_t why;

    if (is_in_redis(pool, list)) {
        return M2_OK;
    }
    m2_err_init(&why, pool);
    if (m2_file_read(&file, pool, list, M2_MAX_REVOCATION_BYTES, M2_FILE_DECIDES, &why) == M2_OK
        && m2_revocation_parse(m2_revocation_make(pool), file.text, &why) == M2_OK) {
        return M2_OK;
    }
    return m2_err_set(err, M2_E_CONFIG, "the entry was added, but servers do not take the list "
                      "%s as it is: %s%s", list,
                      why.line > 0 ? apr_psprintf(pool, "line %d: ", why.line) : "", why.text);
}

static int run_revoke(m2mctl_t *ctl, void *options)
{
    const revoke_t *o = options;
    m2_revoked_t entry;
    const char *line;
    m2_err_t err;
    int bad;

    entry.kind = kind_of(o);
    bad = o->restore || o->reset ? check_restore(ctl, o, entry.kind) : check(ctl, o, entry.kind);
    if (bad || o->restore || o->reset) {
        return bad ? bad : restore(ctl, o);
    }
    m2_err_init(&err, ctl->pool);
    entry.time = time_of(o, entry.kind);
    if (names_set(&entry, ctl->pool, o, &err) != M2_OK
        || m2_revoked_write(&line, ctl->pool, &entry, &err) != M2_OK
        || append(ctl, o, &entry, &err) != M2_OK
        || check_list(ctl->pool, o->list, &err) != M2_OK) {
        return m2mctl_fault(ctl, "", &err);
    }
    if (ctl->json) {
        m2_json_t *json = m2_json_make(ctl->pool);

        m2_json_set_string(json, "list", o->list);
        m2_json_set_string(json, "entry",
                           apr_pstrmemdup(ctl->pool, line, strlen(line) - 1));
        m2mctl_print_json(ctl->pool, json);
    }
    return M2MCTL_ALLOW;
}

const m2mctl_verb_t m2mctl_revoke = {
    "revoke",
    "",
    "take tokens back before they end",
    "Adds a line to a revocation list, in one step and under the lock that servers take, so\n"
    "that it counts within two seconds. The list must be there; its mode and owner stay.\n"
    "One in Redis begins with its first entry, with a warning: where servers know a list that\n"
    "Redis has lost, --restore FILE puts it back (a file of theirs in M2MStateDir will do).\n"
    "--client and --sub take back what was issued until now, not what will be.\n",
    {{revoke_options, 0}},
    sizeof(revoke_t),
    run_revoke,
};
