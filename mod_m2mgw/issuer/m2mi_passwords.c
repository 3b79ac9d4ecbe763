/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What a password file tells about time. httpd's provider judges secrets; here is only known
 * which hashes the file holds, so that every refusal can be made to cost what the dearest of
 * them does, whether there is such a client or not, and from the first request of a process.
 *
 * bcrypt doubles its work with each step of its cost: what a check of cost 5 lacks to one of
 * cost 9 is hashes of 5, 6, 7 and 8. Other hashes are measured when the file is read, and
 * what lacks there is filled with SHA-256, which slows down with the machine as they do.
 */
#include "issuer/m2mi.h"

#include "text/m2_lines.h"

#include <apr_md5.h>

#include <openssl/evp.h>

#include <time.h>

#define COST_USUAL 5  /* of the hashes htpasswd -B and m2mctl make unless told otherwise */
#define COST_LEAST 4  /* bcrypt knows no less */
#define COST_MOST 17  /* htpasswd knows no more */
#define FILE_MAX (64 * 1024 * 1024)
#define HASH_MAX 1024 /* bytes; longer ones are no hash */
#define SETTINGS 64   /* different kinds of dear hashes that are measured */

/* what hashes cost on this machine; set before there are children */
static apr_uint32_t bcrypt_usec = 1000; /* one of COST_LEAST */
static apr_uint32_t sha_per_usec = 2;

static apr_size_t clients_read; /* in all files, as often as they are read */

/* a hash that clients of the file have, and what it costs */
typedef struct setting_t {
    const char *hash;  /* one of them */
    const char *begin; /* what says how dear it is */
    int cost;          /* bcrypt's; 0: another kind */
    apr_uint32_t usec;
} setting_t;

typedef struct passwords_t {
    apr_hash_t *clients;          /* name -> setting_t * */
    apr_array_header_t *settings; /* of setting_t * */
    const setting_t *dearest;     /* NULL: the file holds no client */
} passwords_t;

/* --- work --- */

/* Processor time of this thread: what hashing costs, however busy the machine is. */
apr_time_t m2mi_cost_now(void)
{
    struct timespec now = { 0, 0 };

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (apr_time_t)now.tv_sec * APR_USEC_PER_SEC + now.tv_nsec / 1000;
}

/* a bcrypt hash of that cost, of nothing anybody could send */
static void burn_bcrypt(int cost, const char *secret)
{
    char hash[] = "$2y$00$abcdefghijklmnopqrstuuK5s8Vf3xzQyTqkUr2yDqJb1m1Y3cW7u";

    hash[4] = (char)('0' + cost / 10);
    hash[5] = (char)('0' + cost % 10);
    (void)apr_password_validate(secret, hash);
}

static void burn_sha(apr_uint64_t times)
{
    unsigned char block[32] = { 0 };
    size_t n = 0;

    while (times--) {
        EVP_Q_digest(NULL, "SHA256", NULL, block, sizeof(block), block, &n);
    }
}

/* the least of three, which something else disturbed least */
static apr_uint32_t measure(const char *hash)
{
    apr_time_t least = APR_USEC_PER_SEC;
    int i;

    for (i = 0; i < 3; i++) {
        apr_time_t begin = m2mi_cost_now(), took;

        (void)apr_password_validate("measure", hash);
        took = m2mi_cost_now() - begin;
        least = took < least ? took : least;
    }
    return (apr_uint32_t)least;
}

void m2mi_cost_measure(void)
{
    const apr_uint32_t times = 512;
    apr_time_t begin = m2mi_cost_now(), took;

    burn_sha(times);
    took = m2mi_cost_now() - begin;
    sha_per_usec = took && took < times ? times / (apr_uint32_t)took : 1;
    bcrypt_usec = measure("$2y$04$abcdefghijklmnopqrstuuK5s8Vf3xzQyTqkUr2yDqJb1m1Y3cW7u");
    bcrypt_usec = bcrypt_usec < 50 ? 50 : bcrypt_usec;
}

void m2mi_cost_burn(apr_uint32_t target, const char *secret)
{
    apr_uint32_t usec = bcrypt_usec;
    int cost = COST_LEAST;

    if (!target) {
        burn_bcrypt(COST_USUAL, secret);
        return;
    }
    while (cost < COST_MOST && usec + usec / 2 < target) {
        usec *= 2;
        cost++;
    }
    burn_bcrypt(cost, secret);
}

/* --- the file --- */

/* $2y$NN$ as apr_password_validate knows it; 0 for anything else */
static int bcrypt_cost(const char *hash)
{
    int cost;

    if (hash[0] != '$' || hash[1] != '2' || !hash[2] || hash[3] != '$'
        || !apr_isdigit(hash[4]) || !apr_isdigit(hash[5]) || hash[6] != '$') {
        return 0;
    }
    cost = (hash[4] - '0') * 10 + hash[5] - '0';
    return cost < COST_LEAST ? 0 : cost;
}

/* What of a hash says how dear it is: `$6$rounds=9000$` and the like up to the salt. */
static const char *setting_text(apr_pool_t *pool, const char *hash)
{
    const char *end = *hash == '$' ? ap_strchr_c(hash + 1, '$') : NULL;
    const char *rounds = end ? ap_strstr_c(end, "$rounds=") : NULL;

    if (rounds == end && end) {
        end = ap_strchr_c(end + 1, '$');
    }
    if (!end) {
        return *hash == '{' ? "{" : "crypt";
    }
    if (bcrypt_cost(hash)) {
        end = hash + 6;
    }
    return apr_pstrmemdup(pool, hash, (apr_size_t)(end - hash));
}

static setting_t *setting_of(passwords_t *passwords, apr_pool_t *pool, const char *hash)
{
    const char *begin = setting_text(pool, hash);
    setting_t *setting;
    int i;

    for (i = 0; i < passwords->settings->nelts; i++) {
        setting = APR_ARRAY_IDX(passwords->settings, i, setting_t *);
        if (strcmp(setting->begin, begin) == 0 || i + 1 == SETTINGS) {
            return setting;
        }
    }
    setting = apr_pcalloc(pool, sizeof(*setting));
    setting->hash = apr_pstrdup(pool, hash);
    setting->begin = begin;
    setting->cost = bcrypt_cost(hash);
    setting->usec = setting->cost ? bcrypt_usec << (setting->cost > COST_MOST
                                                        ? COST_MOST - COST_LEAST
                                                        : setting->cost - COST_LEAST)
                                  : measure(hash);
    APR_ARRAY_PUSH(passwords->settings, setting_t *) = setting;
    return setting;
}

/* A line as httpd reads it: blanks around do not count, NAME:HASH[:...]. Of two lines of one
 * name the first counts. */
static void line_add(passwords_t *passwords, apr_pool_t *pool, m2_slice_t line)
{
    char *text, *colon, *end;
    setting_t *setting;

    while (line.n && apr_isspace(*line.p)) {
        line = m2_slice(line.p + 1, line.n - 1);
    }
    if (!line.n || *line.p == '#' || line.n > HASH_MAX) {
        return;
    }
    text = m2_slice_dup(pool, line);
    colon = strchr(text, ':');
    if (!colon) {
        return;
    }
    *colon++ = '\0';
    end = colon + strcspn(colon, ": \t\r");
    *end = '\0';
    setting = setting_of(passwords, pool, colon);
    if (!apr_hash_get(passwords->clients, text, APR_HASH_KEY_STRING)) {
        apr_hash_set(passwords->clients, text, APR_HASH_KEY_STRING, setting);
    }
    if (!passwords->dearest || setting->usec > passwords->dearest->usec) {
        passwords->dearest = setting;
    }
}

static const char *passwords_parse(const void **pobject, apr_pool_t *pool, const char *path,
                                   m2_slice_t text, int first, void *baton)
{
    passwords_t *passwords = apr_pcalloc(pool, sizeof(*passwords));
    m2_slice_t line;

    (void)path;
    (void)first;
    (void)baton;
    passwords->clients = apr_hash_make(pool);
    passwords->settings = apr_array_make(pool, 4, sizeof(setting_t *));
    while (m2_line_next(&text, &line)) {
        line_add(passwords, pool, line);
    }
    clients_read += apr_hash_count(passwords->clients);
    *pobject = passwords;
    return NULL;
}

static const m2mi_watch_kind_t password_file = { "AuthUserFile", FILE_MAX, 1, 1,
                                                 passwords_parse,
                                                 "logins with it are answered 503 until it is "
                                                 "mended" };

/* Which file mod_authn_file would read: where its command table says that it keeps the
 * value of the directive. */
static const char *file_in_force(const ap_conf_vector_t *section)
{
    const module *authn_file = ap_find_linked_module("mod_authn_file.c");
    const command_rec *command = authn_file ? authn_file->cmds : NULL;
    const char *config;

    for (; command && command->name; command++) {
        if (ap_cstr_casecmp(command->name, "AuthUserFile") == 0
            && command->AP_TAKE1 == ap_set_file_slot) {
            config = ap_get_module_config(section, authn_file);
            return config ? *(const char *const *)(const void *)(config
                                + (apr_size_t)command->cmd_data) : NULL;
        }
    }
    return NULL;
}

const char *m2mi_passwords_open(m2mi_providers_t *providers, apr_pool_t *pool, server_rec *s,
                                const ap_conf_vector_t *section)
{
    const char *path = file_in_force(section);
    const m2mi_provider_t *only = &APR_ARRAY_IDX(providers->list, 0, m2mi_provider_t);

    if (!path || providers->passwords || providers->list->nelts != 1
        || ap_cstr_casecmp(only->name, "file") != 0) {
        return NULL;
    }
    return m2mi_watch_open(&providers->passwords, pool, s, &password_file, path, NULL);
}

void m2mi_passwords_reset(void)
{
    clients_read = 0;
}

apr_size_t m2mi_passwords_clients(void)
{
    return clients_read;
}

int m2mi_passwords_is(const m2mi_providers_t *providers, const ap_conf_vector_t *section)
{
    const char *path = providers->passwords ? file_in_force(section) : NULL;

    return path && strcmp(path, m2mi_watch_path(providers->passwords)) == 0;
}

/* --- requests --- */

int m2mi_passwords_has(const m2mi_watch_t *watch, const char *client)
{
    const passwords_t *passwords = m2mi_watch_enter(watch);
    int has = passwords
              && apr_hash_get(passwords->clients, client, APR_HASH_KEY_STRING) != NULL;

    m2mi_watch_leave(watch);
    return has;
}

/* the settings of a client and of the dearest; copies, since hashing takes long */
static int settings_of(setting_t *own, setting_t *dearest, char *hash,
                       const m2mi_watch_t *watch, const char *client)
{
    const passwords_t *passwords = m2mi_watch_enter(watch);
    const setting_t *setting =
        passwords ? apr_hash_get(passwords->clients, client, APR_HASH_KEY_STRING) : NULL;
    int found = passwords && passwords->dearest;

    memset(own, 0, sizeof(*own));
    if (setting) {
        *own = *setting;
    }
    if (found) {
        *dearest = *passwords->dearest;
        apr_cpystrn(hash, dearest->hash, HASH_MAX);
    }
    m2mi_watch_leave(watch);
    return found;
}

void m2mi_passwords_equalise(const m2mi_watch_t *watch, const char *client,
                             const char *secret, int known)
{
    setting_t own, dearest;
    char hash[HASH_MAX];
    int cost;

    if (!settings_of(&own, &dearest, hash, watch, client)) {
        m2mi_cost_burn(0, secret);
    }
    else if (!known) {
        (void)apr_password_validate(secret, hash); /* right or wrong, nobody is told */
    }
    else if (own.cost && dearest.cost) {
        for (cost = own.cost; cost < dearest.cost; cost++) {
            burn_bcrypt(cost, secret);
        }
    }
    else if (own.usec < dearest.usec) {
        burn_sha((apr_uint64_t)(dearest.usec - own.usec) * sha_per_usec);
    }
}
