/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * m2mctl client: the clients of the M2M server and what they are granted. Two files: httpd's
 * own password file (bcrypt, as htpasswd -B writes it) and the grant file. Secrets are made
 * here, shown once and kept as a hash; lines of others, comments and order stay as they are.
 */
#include "ctl/m2mctl_edit.h"

#include "text/m2_b64.h"
#include "oauth/m2_grant.h"

#include <apr_general.h>
#include <apr_md5.h>

#include <openssl/crypto.h>
#include <openssl/rand.h>
#include <stdio.h>

#define SECRET_BYTES 32 /* nothing to guess: what the hash costs does not matter then */
#define SECRET_MAX 72   /* bcrypt does not look further */
#define COST 5          /* of htpasswd -B */
#define COST_MIN 4
#define COST_MAX 17
#define ID_CHARS 26

typedef struct client_t {
    const char *clients, *grants, *secret_file;
    m2mctl_number_t cost;
    int replace, all;
} client_t;

/* clang-format off */
#define SLOT(member) offsetof(client_t, member)
static const m2mctl_option_t client_options[] = {
    { "clients",     M2MCTL_TEXT,   SLOT(clients), "FILE", "password file (AuthUserFile)" },
    { "grants",      M2MCTL_TEXT,   SLOT(grants), "FILE", "grant file (M2MGrantFile)" },
    { "cost",        M2MCTL_NUMBER, SLOT(cost), "N", "add: bcrypt cost, 4 to 17, default 5" },
    { "secret-file", M2MCTL_TEXT,   SLOT(secret_file), "FILE", "add: this secret, not a fresh "
                                                             "one; - is standard input" },
    { "replace",     M2MCTL_FLAG,   SLOT(replace), NULL, "add: a new secret for a client that "
                                                         "is there" },
    { "all",         M2MCTL_FLAG,   SLOT(all), NULL, "revoke: everything, the secret too" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

/* what an action works with */
typedef struct job_t {
    m2mctl_t *ctl;
    const client_t *options;
    const char *id;
    apr_array_header_t *scopes; /* of const char *, AUDIENCE|PERMISSION */
    m2_err_t err;
} job_t;

static const char *word(const m2mctl_t *ctl, int i)
{
    return i < ctl->words->nelts ? APR_ARRAY_IDX(ctl->words, i, const char *) : NULL;
}

static int fault(job_t *job, const char *path)
{
    return m2mctl_fault(job->ctl, path, &job->err);
}

/* --- files as lines --- */

static apr_array_header_t *lines_of(apr_pool_t *pool, m2_slice_t text)
{
    apr_array_header_t *lines = apr_array_make(pool, 64, sizeof(const char *));
    m2_slice_t line;

    while (m2_grant_line(&text, &line)) {
        APR_ARRAY_PUSH(lines, const char *) = m2_slice_dup(pool, line);
    }
    return lines;
}

/* lines that were set to NULL are gone */
static m2_slice_t text_of(apr_pool_t *pool, const apr_array_header_t *lines)
{
    apr_array_header_t *kept = apr_array_make(pool, lines->nelts, sizeof(const char *));
    int i;

    for (i = 0; i < lines->nelts; i++) {
        if (APR_ARRAY_IDX(lines, i, const char *)) {
            APR_ARRAY_PUSH(kept, const char *) = APR_ARRAY_IDX(lines, i, const char *);
        }
    }
    APR_ARRAY_PUSH(kept, const char *) = ""; /* the last line ends, too */
    return m2_slice_z(apr_array_pstrcat(pool, kept, '\n'));
}

/* --- the password file: ID:HASH --- */

/* the line's client; "there is none" for comments and the like */
static m2_slice_t user_of(const char *line)
{
    const char *colon = strchr(line, ':');

    return colon && *line != '#' ? m2_slice(line, (apr_size_t)(colon - line))
                                 : m2_slice(NULL, 0);
}

static int user_find(const apr_array_header_t *lines, const char *id)
{
    int i;

    for (i = 0; i < lines->nelts; i++) {
        if (m2_slice_is(user_of(APR_ARRAY_IDX(lines, i, const char *)), id)) {
            return i;
        }
    }
    return -1;
}

static const char *id_make(apr_pool_t *pool)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz234567";
    unsigned char bytes[ID_CHARS];
    char id[ID_CHARS + 1];
    int i;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return NULL;
    }
    for (i = 0; i < ID_CHARS; i++) {
        id[i] = letters[bytes[i] & 31];
    }
    id[ID_CHARS] = '\0';
    return apr_pstrcat(pool, "app_", id, NULL);
}

static char *secret_make(apr_pool_t *pool)
{
    unsigned char bytes[SECRET_BYTES];
    char *text;

    if (RAND_bytes(bytes, sizeof(bytes)) != 1) {
        return NULL;
    }
    text = m2_b64_encode(pool, m2_slice((const char *)bytes, sizeof(bytes)));
    OPENSSL_cleanse(bytes, sizeof(bytes));
    return text;
}

/* the first line of a file */
static char *secret_read(job_t *job)
{
    m2_slice_t text, line = { NULL, 0 };

    if (m2mctl_read(&text, job->ctl->pool, job->options->secret_file, &job->err) != M2_OK) {
        return NULL;
    }
    if (!m2_grant_line(&text, &line) || line.n == 0 || line.n > SECRET_MAX ||
        memchr(line.p, '\0', line.n)) {
        m2_err_set(&job->err, M2_E_CONFIG, "a secret is one line of 1 to %d bytes",
                   SECRET_MAX);
        return NULL;
    }
    return m2_slice_dup(job->ctl->pool, line);
}

static const char *hash_make(job_t *job, const char *secret)
{
    unsigned char salt[16];
    char hash[128];
    int cost = job->options->cost.set ? (int)job->options->cost.value : COST;

    if (RAND_bytes(salt, sizeof(salt)) != 1 ||
        apr_bcrypt_encode(secret, (unsigned)cost, salt, sizeof(salt), hash, sizeof(hash)) !=
            APR_SUCCESS) {
        m2_err_set(&job->err, M2_E_CONFIG, "the secret cannot be hashed");
        return NULL;
    }
    return apr_pstrdup(job->ctl->pool, hash);
}

static int add_save(job_t *job, m2mctl_edit_t *edit, const char *hash)
{
    apr_pool_t *pool = job->ctl->pool;
    apr_array_header_t *lines = lines_of(pool, edit->text);
    const char *line = apr_pstrcat(pool, job->id, ":", hash, NULL);
    int i = user_find(lines, job->id);

    if (i >= 0 && !job->options->replace) {
        m2_err_set(&job->err, M2_E_CONFIG, "has the client already; --replace gives it a "
                                           "new secret");
        return 0;
    }
    if (i < 0) {
        APR_ARRAY_PUSH(lines, const char *) = line;
    }
    else {
        APR_ARRAY_IDX(lines, i, const char *) = line;
    }
    return m2mctl_edit_save(edit, text_of(pool, lines), &job->err) == M2_OK;
}

static void add_show(job_t *job, const char *secret)
{
    m2_json_t *json;

    if (job->ctl->json) {
        json = m2_json_make(job->ctl->pool);
        m2_json_set_string(json, "client_id", job->id);
        if (!job->options->secret_file) {
            m2_json_set_string(json, "client_secret", secret);
        }
        m2mctl_print_json(job->ctl->pool, json);
        return;
    }
    printf("client_id=%s\n", job->id);
    if (!job->options->secret_file) {
        printf("client_secret=%s\n", secret);
        fprintf(stderr, "m2mctl: the secret is shown this once, keep it now\n");
    }
}

static int run_add(job_t *job)
{
    const client_t *o = job->options;
    m2mctl_edit_t edit;
    char *secret;
    const char *hash;

    if (!o->clients) {
        return m2mctl_usage(job->ctl, "add needs --clients");
    }
    if (o->cost.set && (o->cost.value < COST_MIN || o->cost.value > COST_MAX)) {
        return m2mctl_usage(job->ctl, "--cost is %d to %d", COST_MIN, COST_MAX);
    }
    job->id = job->id ? job->id : id_make(job->ctl->pool);
    secret = o->secret_file ? secret_read(job) : secret_make(job->ctl->pool);
    if (!job->id || !secret) {
        m2_err_set(&job->err, M2_E_CONFIG, "no secret can be made");
        return fault(job, o->secret_file ? o->secret_file : "add");
    }
    hash = hash_make(job, secret);
    if (!hash || m2mctl_edit_open(&edit, job->ctl->pool, o->clients, 1, &job->err) != M2_OK ||
        !add_save(job, &edit, hash)) {
        return fault(job, o->clients);
    }
    add_show(job, secret);
    OPENSSL_cleanse(secret, strlen(secret));
    return M2MCTL_ALLOW;
}

/* --- the grant file --- */

/* AUDIENCE|PERMISSION of the command line */
static int scope_read(m2_slice_t *audience, m2_slice_t *permission, const char *scope)
{
    const char *bar = strchr(scope, '|');

    if (!bar) {
        return 0;
    }
    *audience = m2_slice(scope, (apr_size_t)(bar - scope));
    *permission = m2_slice_z(bar + 1);
    return m2_scope_word_ok(*audience) && m2_scope_word_ok(*permission);
}

/* whether a line grants something to the client; at that audience, unless it is NULL */
static int is_grant(m2_grant_t *grant, job_t *job, const char *line,
                    const m2_slice_t *audience)
{
    return line &&
           m2_grant_read(grant, job->ctl->pool, m2_slice_z(line), NULL) == M2_OK &&
           m2_slice_is(grant->client, job->id) &&
           (!audience || m2_slice_eq(grant->audience, *audience));
}

static int permission_find(const m2_grant_t *grant, m2_slice_t permission)
{
    int i;

    for (i = 0; i < grant->permissions->nelts; i++) {
        if (m2_slice_eq(APR_ARRAY_IDX(grant->permissions, i, m2_slice_t), permission)) {
            return i;
        }
    }
    return -1;
}

/* one scope into the lines: nothing, a longer line, or a new one */
static void grant_one(job_t *job, apr_array_header_t *lines, m2_slice_t audience,
                      m2_slice_t permission)
{
    apr_pool_t *pool = job->ctl->pool;
    const char *more = m2_slice_dup(pool, permission);
    m2_grant_t grant;
    int i, last = -1;

    for (i = 0; i < lines->nelts; i++) {
        if (is_grant(&grant, job, APR_ARRAY_IDX(lines, i, const char *), &audience)) {
            last = i;
            if (permission_find(&grant, permission) >= 0) {
                return;
            }
        }
    }
    if (last >= 0) {
        APR_ARRAY_IDX(lines, last, const char *) =
            apr_pstrcat(pool, APR_ARRAY_IDX(lines, last, const char *), " ", more, NULL);
        return;
    }
    APR_ARRAY_PUSH(lines, const char *) =
        apr_pstrcat(pool, m2_slice_dup(pool, audience), " ", job->id, " ", more, NULL);
}

/* what is left of a line without the permission; NULL when nothing is */
static const char *without(job_t *job, const m2_grant_t *grant, m2_slice_t permission)
{
    apr_pool_t *pool = job->ctl->pool;
    const char *line =
        apr_pstrcat(pool, m2_slice_dup(pool, grant->audience), " ", job->id, NULL);
    int i, left = 0;

    for (i = 0; i < grant->permissions->nelts; i++) {
        m2_slice_t one = APR_ARRAY_IDX(grant->permissions, i, m2_slice_t);
        if (!m2_slice_eq(one, permission)) {
            line = apr_pstrcat(pool, line, " ", m2_slice_dup(pool, one), NULL);
            left++;
        }
    }
    return left ? line : NULL;
}

/* one scope out of the lines; how many lines had it */
static int revoke_one(job_t *job, apr_array_header_t *lines, m2_slice_t audience,
                      m2_slice_t permission)
{
    int whole = m2_slice_is(permission, M2_SCOPE_ALL);
    m2_grant_t grant;
    int i, found = 0;

    for (i = 0; i < lines->nelts; i++) {
        const char **line = &APR_ARRAY_IDX(lines, i, const char *);

        if (is_grant(&grant, job, *line, &audience) &&
            (whole || permission_find(&grant, permission) >= 0)) {
            *line = whole ? NULL : without(job, &grant, permission);
            found++;
        }
    }
    return found;
}

/* the server would refuse a file that does not parse, so it is not written */
static m2_code_t grants_check(job_t *job, m2_slice_t text)
{
    return m2_grants_parse(m2_grants_make(job->ctl->pool), text, &job->err);
}

/* change the grant file; *pmissing counts scopes that were not there to revoke */
static int grants_edit(job_t *job, int add, int *pmissing)
{
    m2mctl_edit_t edit;
    apr_array_header_t *lines;
    m2_slice_t audience, permission, text;
    int i;

    if (m2mctl_edit_open(&edit, job->ctl->pool, job->options->grants, add, &job->err) !=
            M2_OK || grants_check(job, edit.text) != M2_OK) {
        return fault(job, job->options->grants);
    }
    lines = lines_of(job->ctl->pool, edit.text);
    for (i = 0; i < job->scopes->nelts; i++) {
        scope_read(&audience, &permission, APR_ARRAY_IDX(job->scopes, i, const char *));
        if (add) {
            grant_one(job, lines, audience, permission);
        }
        else if (!revoke_one(job, lines, audience, permission)) {
            *pmissing += 1;
        }
    }
    text = text_of(job->ctl->pool, lines);
    if (grants_check(job, text) != M2_OK ||
        m2mctl_edit_save(&edit, text, &job->err) != M2_OK) {
        return fault(job, job->options->grants);
    }
    return M2MCTL_ALLOW;
}

static int scopes_check(job_t *job, int add)
{
    m2_slice_t audience, permission;
    int i;

    if (!job->options->grants || !job->id || job->scopes->nelts == 0) {
        return m2mctl_usage(job->ctl, "needs --grants, a client and AUDIENCE|PERMISSION...");
    }
    for (i = 0; i < job->scopes->nelts; i++) {
        const char *scope = APR_ARRAY_IDX(job->scopes, i, const char *);

        if (!scope_read(&audience, &permission, scope)) {
            return m2mctl_usage(job->ctl, "\"%s\" is not AUDIENCE|PERMISSION", scope);
        }
        if (add && m2_slice_is(permission, M2_SCOPE_ALL)) {
            return m2mctl_usage(job->ctl, M2_SCOPE_ALL " cannot be granted: name the "
                                          "permissions");
        }
    }
    return M2MCTL_ALLOW;
}

static int run_grant(job_t *job)
{
    int rc = scopes_check(job, 1);

    return rc == M2MCTL_ALLOW ? grants_edit(job, 1, NULL) : rc;
}

/* --- revoking --- */

static int revoke_user(job_t *job, int *pfound)
{
    m2mctl_edit_t edit;
    apr_array_header_t *lines;
    int i;

    if (m2mctl_edit_open(&edit, job->ctl->pool, job->options->clients, 0, &job->err) !=
        M2_OK) {
        return fault(job, job->options->clients);
    }
    lines = lines_of(job->ctl->pool, edit.text);
    for (i = 0; i < lines->nelts; i++) {
        if (m2_slice_is(user_of(APR_ARRAY_IDX(lines, i, const char *)), job->id)) {
            APR_ARRAY_IDX(lines, i, const char *) = NULL;
            *pfound += 1;
        }
    }
    return m2mctl_edit_save(&edit, text_of(job->ctl->pool, lines), &job->err) == M2_OK
               ? M2MCTL_ALLOW
               : fault(job, job->options->clients);
}

static int revoke_grants(job_t *job, int *pfound)
{
    m2mctl_edit_t edit;
    apr_array_header_t *lines;
    m2_grant_t grant;
    int i;

    if (m2mctl_edit_open(&edit, job->ctl->pool, job->options->grants, 0, &job->err) !=
            M2_OK || grants_check(job, edit.text) != M2_OK) {
        return fault(job, job->options->grants);
    }
    lines = lines_of(job->ctl->pool, edit.text);
    for (i = 0; i < lines->nelts; i++) {
        if (is_grant(&grant, job, APR_ARRAY_IDX(lines, i, const char *), NULL)) {
            APR_ARRAY_IDX(lines, i, const char *) = NULL;
            *pfound += 1;
        }
    }
    return m2mctl_edit_save(&edit, text_of(job->ctl->pool, lines), &job->err) == M2_OK
               ? M2MCTL_ALLOW
               : fault(job, job->options->grants);
}

static int revoke_all(job_t *job)
{
    int found = 0;
    int rc = M2MCTL_ALLOW;

    if (!job->id || job->scopes->nelts || (!job->options->clients && !job->options->grants)) {
        return m2mctl_usage(job->ctl, "--all needs a client alone, and --clients, --grants "
                                      "or both");
    }
    if (job->options->clients) { /* first: without a secret grants are worth nothing */
        rc = revoke_user(job, &found);
    }
    if (rc == M2MCTL_ALLOW && job->options->grants) {
        rc = revoke_grants(job, &found);
    }
    if (rc == M2MCTL_ALLOW && !found) {
        fprintf(stderr, "m2mctl: %s is in none of the files\n", job->id);
        return M2MCTL_DENY;
    }
    return rc;
}

static int run_revoke(job_t *job)
{
    int missing = 0;
    int rc;

    if (job->options->all) {
        return revoke_all(job);
    }
    rc = scopes_check(job, 0);
    rc = rc == M2MCTL_ALLOW ? grants_edit(job, 0, &missing) : rc;
    if (rc == M2MCTL_ALLOW && missing) { /* a typing error would otherwise look like done */
        fprintf(stderr, "m2mctl: %d of the scopes %s not granted to %s\n", missing,
                missing == 1 ? "was" : "were", job->id);
        return M2MCTL_DENY;
    }
    return rc;
}

/* --- list --- */

/* the clients of both files, each once, in order of appearance */
static apr_array_header_t *list_ids(job_t *job, const apr_array_header_t *users,
                                    const apr_array_header_t *grants)
{
    apr_pool_t *pool = job->ctl->pool;
    apr_array_header_t *ids = apr_array_make(pool, 16, sizeof(const char *));
    apr_table_t *seen = apr_table_make(pool, 16);
    m2_grant_t grant;
    int i;

    for (i = 0; i < users->nelts + grants->nelts; i++) {
        const char *line = i < users->nelts
                               ? APR_ARRAY_IDX(users, i, const char *)
                               : APR_ARRAY_IDX(grants, i - users->nelts, const char *);
        const char *id = NULL;

        if (i < users->nelts) {
            id = m2_slice_dup(pool, user_of(line));
        }
        else if (m2_grant_read(&grant, pool, m2_slice_z(line), NULL) == M2_OK) {
            id = m2_slice_dup(pool, grant.client);
        }
        if (id && !apr_table_get(seen, apr_pstrcat(pool, "-", id, NULL))) {
            apr_table_setn(seen, apr_pstrcat(pool, "-", id, NULL), "");
            APR_ARRAY_PUSH(ids, const char *) = id;
        }
    }
    return ids;
}

/* AUDIENCE|PERMISSION of the client, blank-separated */
static const char *list_scopes(job_t *job, const apr_array_header_t *grants,
                               m2_json_t *array)
{
    apr_pool_t *pool = job->ctl->pool;
    apr_array_header_t *scopes = apr_array_make(pool, 8, sizeof(const char *));
    m2_grant_t grant;
    int i, k;

    for (i = 0; i < grants->nelts; i++) {
        if (!is_grant(&grant, job, APR_ARRAY_IDX(grants, i, const char *), NULL)) {
            continue;
        }
        for (k = 0; k < grant.permissions->nelts; k++) {
            const char *scope = apr_pstrcat(
                pool, m2_slice_dup(pool, grant.audience), "|",
                m2_slice_dup(pool, APR_ARRAY_IDX(grant.permissions, k, m2_slice_t)), NULL);
            APR_ARRAY_PUSH(scopes, const char *) = scope;
            m2_json_append_string(array, scope);
        }
    }
    return apr_array_pstrcat(pool, scopes, ' ');
}

static void list_one(job_t *job, m2_json_t *all, const apr_array_header_t *users,
                     const apr_array_header_t *grants)
{
    m2_json_t *json = m2_json_make(job->ctl->pool);
    m2_json_t *array = m2_json_make_array(job->ctl->pool);
    const char *scopes = list_scopes(job, grants, array);
    int secret = user_find(users, job->id) >= 0;

    m2_json_set_string(json, "client_id", job->id);
    if (job->options->clients) {
        m2_json_set_bool(json, "secret", secret);
    }
    m2_json_set_json(json, "scopes", array);
    m2_json_append(all, json);
    if (!job->ctl->json) {
        printf("%s%s%s%s\n", job->id, job->options->clients && !secret ? " (no secret)" : "",
               *scopes ? " " : "", scopes);
    }
}

static int lines_read(apr_array_header_t **plines, job_t *job, const char *path)
{
    m2_slice_t text = { "", 0 };

    if (path && m2mctl_read(&text, job->ctl->pool, path, &job->err) != M2_OK) {
        return fault(job, path);
    }
    *plines = lines_of(job->ctl->pool, text);
    return M2MCTL_ALLOW;
}

static int run_list(job_t *job)
{
    apr_array_header_t *users = NULL, *grants = NULL, *ids;
    m2_json_t *json = m2_json_make(job->ctl->pool);
    m2_json_t *all = m2_json_make_array(job->ctl->pool);
    const char *only = job->id;
    int rc, i;

    if (!job->options->clients && !job->options->grants) {
        return m2mctl_usage(job->ctl, "list needs --clients, --grants or both");
    }
    rc = lines_read(&users, job, job->options->clients);
    rc = rc == M2MCTL_ALLOW ? lines_read(&grants, job, job->options->grants) : rc;
    if (rc != M2MCTL_ALLOW) {
        return rc;
    }
    ids = list_ids(job, users, grants);
    for (i = 0; i < ids->nelts; i++) {
        job->id = APR_ARRAY_IDX(ids, i, const char *);
        if (!only || m2_slice_is(m2_slice_z(only), job->id)) {
            list_one(job, all, users, grants);
        }
    }
    m2_json_set_json(json, "clients", all);
    if (job->ctl->json) {
        m2mctl_print_json(job->ctl->pool, json);
    }
    return M2MCTL_ALLOW;
}

/* --- the verb --- */

typedef struct action_t {
    const char *name;
    int (*run)(job_t *job);
} action_t;

static const action_t actions[] = {
    { "add", run_add }, { "list", run_list }, { "grant", run_grant }, { "revoke", run_revoke },
};

static const action_t *action_find(const char *name)
{
    apr_size_t i;

    for (i = 0; name && i < sizeof(actions) / sizeof(*actions); i++) {
        if (m2_slice_is(m2_slice_z(name), actions[i].name)) {
            return &actions[i];
        }
    }
    return NULL;
}

static int run_client(m2mctl_t *ctl, void *options)
{
    job_t job = { ctl, options, NULL, NULL, { 0 } };
    const action_t *action = action_find(word(ctl, 0));
    int i;

    m2_err_init(&job.err, ctl->pool);
    job.id = word(ctl, 1);
    job.scopes = apr_array_make(ctl->pool, 4, sizeof(const char *));
    for (i = 2; i < ctl->words->nelts; i++) {
        APR_ARRAY_PUSH(job.scopes, const char *) = word(ctl, i);
    }
    if (!action) {
        return m2mctl_usage(ctl, "client takes add, list, grant or revoke");
    }
    if (job.id && !m2_client_id_ok(m2_slice_z(job.id))) {
        return m2mctl_usage(ctl, "a client id is 1 to 255 visible ASCII characters other "
                                 "than \" \\ | and :");
    }
    if (job.scopes->nelts && (action->run == run_add || action->run == run_list)) {
        return m2mctl_usage(ctl, "%s takes one client", action->name);
    }
    return action->run(&job);
}

const m2mctl_verb_t m2mctl_client = {
    "client",
    "add [ID] | list [ID] | grant ID AUDIENCE|PERMISSION... | revoke ID AUDIENCE|PERMISSION...",
    "clients of the M2M server and what they are granted",
    "add writes a client into the password file, makes its secret and shows it this once;\n"
    "without an ID it makes that, too. grant and revoke change the grant file; revoking\n"
    "AUDIENCE|.all takes everything at that audience, --all everything everywhere and the\n"
    "secret. Files are replaced in one step and have mode 0640; a running server sees the\n"
    "change with the next request. Exit status 1: a scope to revoke was not granted.\n",
    {{client_options, 0}},
    sizeof(client_t),
    run_client,
};
