/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * httpd's own password file (bcrypt, as htpasswd -B writes it). Secrets are made here, shown
 * once and kept as a hash.
 */
#include "ctl/m2mctl_job.h"

#include "text/m2_b64.h"
#include "text/m2_lines.h"

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

m2_slice_t m2mctl_user(const char *line)
{
    const char *colon;

    while (apr_isspace(*line)) { /* httpd does not count blanks in front */
        line++;
    }
    colon = strchr(line, ':');
    return colon && *line != '#' ? m2_slice(line, (apr_size_t)(colon - line))
                                 : m2_slice(NULL, 0);
}

int m2mctl_user_find(const apr_array_header_t *lines, const char *id)
{
    int i;

    for (i = 0; i < lines->nelts; i++) {
        if (m2_slice_is(m2mctl_user(APR_ARRAY_IDX(lines, i, const char *)), id)) {
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
static char *secret_read(m2mctl_job_t *job)
{
    m2_slice_t text, line = { NULL, 0 };

    if (m2mctl_read(&text, job->ctl->pool, job->options->secret_file, &job->err) != M2_OK) {
        return NULL;
    }
    if (!m2_line_next(&text, &line) || line.n == 0 || line.n > SECRET_MAX ||
        memchr(line.p, '\0', line.n)) {
        m2_err_set(&job->err, M2_E_CONFIG, "a secret is one line of 1 to %d bytes",
                   SECRET_MAX);
        return NULL;
    }
    return m2_slice_dup(job->ctl->pool, line);
}

static const char *hash_make(m2mctl_job_t *job, const char *secret)
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

/* httpd joins a line that ends in a backslash with the next one: that line could hold a client
 * that is not seen here. */
static int is_plain(m2mctl_job_t *job, const apr_array_header_t *lines)
{
    int i;

    for (i = 0; i < lines->nelts; i++) {
        const char *line = APR_ARRAY_IDX(lines, i, const char *);
        apr_size_t n = strlen(line);

        if (n && line[n - 1] == '\\') {
            m2_err_at(&job->err, M2_E_CONFIG, i + 1, 0,
                      "a line that ends in a backslash goes on in the next one: write it as "
                      "one line first");
            return 0;
        }
    }
    return 1;
}

/* whether the user has the secret already, or a file will */
static int is_kept(const m2mctl_job_t *job)
{
    return job->options->secret_file || job->options->secret_out;
}

/* Before the client is added: a client whose secret is unknown is of no use. */
static int secret_save(m2mctl_job_t *job, const char *secret)
{
    const m2mctl_client_t *o = job->options;
    m2_err_t err;

    m2_err_init(&err, job->ctl->pool);
    if (o->secret_out
        && m2mctl_write(job->ctl->pool, o->secret_out, secret, 1, o->force, &err) != M2_OK) {
        m2_err_set(&job->err, M2_E_CONFIG, "is unchanged: %s %s", o->secret_out, err.text);
        return 0;
    }
    return 1;
}

static int add_save(m2mctl_job_t *job, m2mctl_edit_t *edit, const char *hash,
                    const char *secret)
{
    apr_pool_t *pool = job->ctl->pool;
    apr_array_header_t *lines = m2mctl_lines(pool, edit->text);
    const char *line = apr_pstrcat(pool, job->id, ":", hash, NULL);
    int i = m2mctl_user_find(lines, job->id);

    if (!is_plain(job, lines)) {
        return 0;
    }
    if (i >= 0 && !job->options->replace) {
        m2_err_set(&job->err, M2_E_CONFIG, "has the client already; --replace gives it a "
                                           "new secret");
        return 0;
    }
    if (!secret_save(job, secret)) {
        return 0;
    }
    if (i < 0) {
        APR_ARRAY_PUSH(lines, const char *) = line;
    }
    else {
        APR_ARRAY_IDX(lines, i, const char *) = line;
    }
    return m2mctl_edit_save(edit, m2mctl_lines_text(pool, lines), &job->err) == M2_OK;
}

static void add_show(m2mctl_job_t *job, const char *secret)
{
    m2_json_t *json;

    if (job->ctl->json) {
        json = m2_json_make(job->ctl->pool);
        m2_json_set_string(json, "client_id", job->id);
        if (!is_kept(job)) {
            m2_json_set_string(json, "client_secret", secret);
        }
        m2mctl_print_json(job->ctl->pool, json);
        return;
    }
    printf("client_id=%s\n", job->id);
    if (!is_kept(job)) {
        printf("client_secret=%s\n", secret);
        fprintf(stderr, "m2mctl: the secret is shown this once, keep it now\n");
    }
}

int m2mctl_user_add(m2mctl_job_t *job)
{
    const m2mctl_client_t *o = job->options;
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
        return m2mctl_fault(job->ctl, o->secret_file ? o->secret_file : "add", &job->err);
    }
    hash = hash_make(job, secret);
    if (!hash || m2mctl_edit_open(&edit, job->ctl->pool, o->clients, 1, &job->err) != M2_OK ||
        !add_save(job, &edit, hash, secret)) {
        return m2mctl_fault(job->ctl, o->clients, &job->err);
    }
    add_show(job, secret);
    OPENSSL_cleanse(secret, strlen(secret));
    return M2MCTL_ALLOW;
}

int m2mctl_user_revoke(m2mctl_job_t *job, int *pfound)
{
    m2mctl_edit_t edit;
    apr_array_header_t *lines;
    int i;

    if (m2mctl_edit_open(&edit, job->ctl->pool, job->options->clients, 0, &job->err) !=
        M2_OK) {
        return m2mctl_fault(job->ctl, job->options->clients, &job->err);
    }
    lines = m2mctl_lines(job->ctl->pool, edit.text);
    if (!is_plain(job, lines)) {
        return m2mctl_fault(job->ctl, job->options->clients, &job->err);
    }
    for (i = 0; i < lines->nelts; i++) {
        if (m2_slice_is(m2mctl_user(APR_ARRAY_IDX(lines, i, const char *)), job->id)) {
            APR_ARRAY_IDX(lines, i, const char *) = NULL;
            *pfound += 1;
        }
    }
    return m2mctl_edit_save(&edit, m2mctl_lines_text(job->ctl->pool, lines), &job->err) == M2_OK
               ? M2MCTL_ALLOW
               : m2mctl_fault(job->ctl, job->options->clients, &job->err);
}
