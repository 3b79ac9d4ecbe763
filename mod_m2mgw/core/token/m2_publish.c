/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * From claims to what a backend is told. A target whose claim is absent still gives an
 * entry, because the name has to be scrubbed from what the client sent.
 */
#include "token/m2_publish.h"
#include "text/m2_nearest.h"

#include "request/m2_pairs.h"
#include "text/m2_b64.h"
#include "text/m2_form.h"

#define ENCODING "encoding="

static const char *const encoding_words[] = { "", "base64url", "percent" }; /* ORDER ENCODING */
_Static_assert(sizeof(encoding_words) / sizeof(encoding_words[0]) == M2_ENCODINGS,
               "one word for each encoding");

/* What httpd or CGI set from elsewhere (RFC 3875 4.1, ap_add_common_vars, mod_ssl), and what
 * our own code sets after a decision: a claim of that name would be overwritten by what the
 * client sent, or worse, believed to come from there. */
static const char *const reserved_env[] = {
    "AUTH_TYPE",       "CONTENT_LENGTH",  "CONTENT_TYPE",    "GATEWAY_INTERFACE",
    "PATH_INFO",       "PATH_TRANSLATED", "QUERY_STRING",    "REMOTE_ADDR",
    "REMOTE_HOST",     "REMOTE_IDENT",    "REMOTE_PORT",     "REMOTE_USER",
    "REQUEST_METHOD",  "REQUEST_SCHEME",  "REQUEST_URI",     "SCRIPT_FILENAME",
    "SCRIPT_NAME",     "SCRIPT_URI",      "SCRIPT_URL",      "SERVER_ADDR",
    "SERVER_ADMIN",    "SERVER_NAME",     "SERVER_PORT",     "SERVER_PROTOCOL",
    "SERVER_SIGNATURE", "SERVER_SOFTWARE", "CONTEXT_PREFIX", "CONTEXT_DOCUMENT_ROOT",
    "DOCUMENT_ROOT",   "HTTPS",           "UNIQUE_ID",       "PATH",
};

static const char *const reserved_prefixes[] = { "HTTP_", "SSL_", "M2M_", "REDIRECT_" };

/* RFC 9110 7.6.1 and 7.8, RFC 9112 6, RFC 9113 3.2.1, and our own */
static const char *const forbidden_headers[] = {
    "Connection",          "Keep-Alive",    "Proxy-Connection",  "Proxy-Authenticate",
    "Proxy-Authorization", "Proxy-Authentication-Info",          "Proxy",
    "TE",                  "Trailer",       "Transfer-Encoding", "Upgrade",
    "Content-Length",      "Host",          "Expect",            "HTTP2-Settings",
    "X-Ca-Request-Id",     "X-Ca-Error-Code", "X-Ca-Error-Message",
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static int all_of(const char *z, const char *extra)
{
    const char *p = z;

    while (*p && (apr_isalnum(*p) || strchr(extra, *p))) {
        p++;
    }
    return *z && !*p;
}

/* --- names --- */

/* CGI folds names of variables like those of headers, so all spellings are one name. */
static int begins_like(const char *name, const char *prefix)
{
    const apr_size_t n = strlen(prefix);
    char start[16];

    if (strlen(name) < n) {
        return 0;
    }
    apr_cpystrn(start, name, n + 1);
    return m2_header_name_like(start, prefix);
}

static int is_reserved_env(const char *name)
{
    apr_size_t i;

    for (i = 0; i < COUNT(reserved_env); i++) {
        if (m2_header_name_like(name, reserved_env[i])) {
            return 1;
        }
    }
    for (i = 0; i < COUNT(reserved_prefixes); i++) {
        if (begins_like(name, reserved_prefixes[i])) {
            return 1;
        }
    }
    return 0;
}

static m2_code_t check_form_name(const char *name, m2_err_t *err)
{
    /* a name that folds to nothing would match every nameless pair */
    if (m2_has_control(name) || m2_name_is_unfit(name, M2_READ_FORM)) {
        return m2_err_set(err, M2_E_CONFIG, "\"%s\" is not a usable parameter name", name);
    }
    return M2_OK;
}

static m2_code_t check_header_name(const char *name, m2_err_t *err)
{
    if (m2_header_name_forbidden(name)) {
        return m2_err_set(err, M2_E_CONFIG,
                          "\"%s\" is not a header name a claim may be written to", name);
    }
    return M2_OK;
}

static m2_code_t check_path_name(const char *name, m2_err_t *err)
{
    if (!all_of(name, "_-")) {
        return m2_err_set(err, M2_E_CONFIG,
                          "path name \"%s\" may hold letters, digits, '_' and '-' only",
                          name);
    }
    return M2_OK;
}

static m2_code_t check_env_name(const char *name, m2_err_t *err)
{
    if (!all_of(name, "_-.")) {
        return m2_err_set(
            err, M2_E_CONFIG,
            "variable name \"%s\" may hold letters, digits, '_', '-' and '.' "
            "only",
            name);
    }
    if (is_reserved_env(name)) {
        return m2_err_set(err, M2_E_CONFIG, "variable %s is set by httpd, CGI or the module "
                          "itself; a claim needs a name of its own", name);
    }
    return M2_OK;
}

/* --- values --- */

/* What could leave the segment, or be decoded once more behind us. Some cut a segment at ';'
 * and at blanks at its end, and see a dot segment then. */
static int is_unsafe_segment(const char *value)
{
    m2_slice_t segment = m2_slice(value, strcspn(value, ";"));

    while (segment.n && segment.p[segment.n - 1] == ' ') {
        segment.n--;
    }
    return !segment.n || m2_slice_is(segment, ".") || m2_slice_is(segment, "..")
           || strpbrk(value, "/\\%") || m2_has_control(value);
}

/* Readers trim fields (RFC 9110 5.5). */
static int is_unsafe_field(const char *value)
{
    return m2_has_control(value) || m2_value_has_edge(m2_slice_z(value));
}

/* --- places --- */

/* What is to be known of a place. Names in a path are the administrator's alone; those of the
 * environment are one table for httpd, in any case, which CGI folds like headers. */
static const struct place_row_t {
    const char *word;
    m2_code_t (*check_name)(const char *name, m2_err_t *err);
    m2_reading_t reading; /* how names are read; M2_READINGS: as they stand */
    int kept;             /* a set is kept of them, to look for in requests */
    int (*is_unsafe)(const char *value); /* besides line ends; NULL: nothing is */
} places[] = { /* ORDER PLACE */
    { "query", check_form_name, M2_READ_FORM, 1, NULL },
    { "header", check_header_name, M2_READ_HEADER, 1, is_unsafe_field },
    { "path", check_path_name, M2_READINGS, 0, is_unsafe_segment },
    { "form", check_form_name, M2_READ_FORM, 1, NULL },
    { "env", check_env_name, M2_READ_HEADER, 0, NULL },
};
_Static_assert(COUNT(places) == M2_PLACES, "a row for each place");

const char *m2_place_word(m2_place_t place)
{
    return places[place].word;
}

static int same_name(m2_place_t place, const char *a, const char *b)
{
    const m2_reading_t reading = places[place].reading;

    if (reading == M2_READINGS) {
        return m2_slice_is(m2_slice_z(a), b);
    }
    return m2_name_same(a, b, reading);
}

static m2_code_t check_value(const m2_target_t *target, const char *value, m2_err_t *err)
{
    int (*is_unsafe)(const char *value) = places[target->place].is_unsafe;

    if (strpbrk(value, "\r\n") || (is_unsafe && is_unsafe(value))) {
        return m2_err_set(err, M2_E_CLAIM_UNSAFE, "claim %s cannot be put into a %s",
                          target->claim, places[target->place].word);
    }
    return M2_OK;
}

static const char *encoded(apr_pool_t *pool, const char *value, m2_encoding_t encoding)
{
    if (encoding == M2_ENCODING_BASE64URL) {
        return m2_b64_encode(pool, m2_slice_z(value));
    }
    return encoding == M2_ENCODING_PERCENT ? m2_form_encode(pool, m2_slice_z(value)) : value;
}

/* The text of a target's claim, NULL without it. */
static const char *value_of(apr_pool_t *pool, const m2_target_t *target,
                            const m2_json_t *claims)
{
    const m2_json_t *claim = NULL;

    if (claims && m2_slice_is(m2_slice_z(target->claim), M2_ALL_CLAIMS)) {
        return encoded(pool, m2_json_dump(pool, claims), target->encoding);
    }
    if (claims) {
        claim = m2_json_path(claims, target->claim);
    }
    return claim ? encoded(pool, m2_json_text_lent(pool, claim), target->encoding) : NULL;
}

static m2_code_t publish_one(m2_publish_t *entry, apr_pool_t *pool,
                             const m2_target_t *target, const m2_json_t *claims,
                             m2_err_t *err)
{
    entry->place = target->place;
    entry->name = target->name;
    entry->value = value_of(pool, target, claims);
    if (entry->value) {
        return check_value(target, entry->value, err);
    }
    if (target->place == M2_PLACE_PATH) {
        return m2_err_set(err, M2_E_CLAIM_MISSING_PATH,
                          "the path needs claim %s, which is not there", target->claim);
    }
    return M2_OK;
}

/* --- public functions --- */

m2_code_t m2_target_parse(m2_target_t *target, apr_pool_t *pool, const char *claim,
                          const char *word, m2_err_t *err)
{
    const char *colon = strchr(word, ':');
    apr_size_t i, n = colon ? (apr_size_t)(colon - word) : 0;

    if (m2_json_path_check(claim, err) != M2_OK) {
        return M2_E_CONFIG;
    }
    for (i = 0; colon && i < COUNT(places); i++) {
        if (m2_slice_is_nocase(m2_slice(word, n), places[i].word)) {
            target->claim = apr_pstrdup(pool, claim);
            target->place = (m2_place_t)i;
            target->name = apr_pstrdup(pool, colon + 1);
            target->encoding = M2_ENCODING_NONE;
            return places[i].check_name(target->name, err);
        }
    }
    return m2_err_set(
        err, M2_E_CONFIG,
        "target \"%s\" must be query:NAME, header:NAME, path:NAME, form:NAME "
        "or env:NAME%s",
        word, m2_nearest_hint(pool, apr_pstrmemdup(pool, word, n),
                              "query: header: path: form: env:"));
}

m2_mapping_t *m2_mapping_make(apr_pool_t *pool)
{
    m2_mapping_t *mapping = apr_pcalloc(pool, sizeof(*mapping));

    mapping->targets = apr_array_make(pool, 4, sizeof(m2_target_t));
    return mapping;
}

static void keep_name(m2_mapping_t *mapping, const m2_target_t *target)
{
    const m2_place_t place = target->place;
    apr_pool_t *pool = mapping->targets->pool;

    if (!mapping->names[place]) {
        mapping->names[place] = apr_array_make(pool, 4, sizeof(const char *));
        mapping->sets[place] = places[place].kept
                                   ? m2_nameset_make(pool, places[place].reading) : NULL;
    }
    APR_ARRAY_PUSH(mapping->names[place], const char *) = target->name;
    if (mapping->sets[place]) {
        m2_nameset_add(mapping->sets[place], target->name);
    }
}

m2_code_t m2_mapping_add(m2_mapping_t *mapping, const m2_target_t *target, m2_err_t *err)
{
    apr_array_header_t *list = mapping->targets;
    int i;

    for (i = 0; i < list->nelts; i++) {
        const m2_target_t *other = &APR_ARRAY_IDX(list, i, m2_target_t);

        if (other->place == target->place &&
            same_name(target->place, target->name, other->name)) {
            return m2_err_set(err, M2_E_CONFIG,
                              "%s:%s is a target already (as %s:%s of claim %s)",
                              places[target->place].word, target->name,
                              places[other->place].word, other->name, other->claim);
        }
    }
    APR_ARRAY_PUSH(list, m2_target_t) = *target;
    keep_name(mapping, target);
    return M2_OK;
}

/* The encoding that a word names; M2_ENCODINGS for another word, *pbad for a bad one. */
static m2_encoding_t encoding_word(const char *word, int *pbad)
{
    const apr_size_t n = strlen(ENCODING);
    int i;

    *pbad = 0;
    if (strlen(word) < n || !m2_slice_is_nocase(m2_slice(word, n), ENCODING)) {
        return M2_ENCODINGS;
    }
    for (i = M2_ENCODING_NONE + 1; i < M2_ENCODINGS; i++) {
        if (m2_slice_is_nocase(m2_slice_z(word + n), encoding_words[i])) {
            return (m2_encoding_t)i;
        }
    }
    *pbad = 1;
    return M2_ENCODINGS;
}

const char *m2_target_options(apr_pool_t *pool, const m2_target_t *target)
{
    return target->encoding == M2_ENCODING_NONE
               ? "" : apr_pstrcat(pool, " " ENCODING, encoding_words[target->encoding], NULL);
}

/* All claims are one base64url word; other values are encoded where that was asked for. */
static m2_code_t set_encoding(m2_target_t *target, m2_encoding_t encoding, m2_err_t *err)
{
    const int all = m2_slice_is(m2_slice_z(target->claim), M2_ALL_CLAIMS);

    if (all && (target->place != M2_PLACE_HEADER || encoding == M2_ENCODING_PERCENT)) {
        return m2_err_set(err, M2_E_CONFIG, "all claims (*) go into a header, as base64url "
                          "JSON");
    }
    if (encoding != M2_ENCODING_NONE && target->place != M2_PLACE_HEADER
        && target->place != M2_PLACE_ENV) {
        return m2_err_set(err, M2_E_CONFIG, "%s:%s has an encoding of its own; " ENCODING
                          " is for header:NAME and env:NAME", places[target->place].word,
                          target->name);
    }
    target->encoding = all ? M2_ENCODING_BASE64URL : encoding;
    return M2_OK;
}

m2_code_t m2_mapping_read(m2_mapping_t *mapping, const apr_array_header_t *words,
                          m2_err_t *err)
{
    const char *last = APR_ARRAY_IDX(words, words->nelts - 1, const char *);
    m2_encoding_t encoding;
    m2_target_t target;
    m2_code_t code = M2_OK;
    int i, n = words->nelts, bad;

    encoding = encoding_word(last, &bad);
    if (bad) {
        return m2_err_set(err, M2_E_CONFIG, "\"%s\" must be " ENCODING "base64url or "
                          ENCODING "percent", last);
    }
    n -= encoding != M2_ENCODINGS;
    if (n < 2) {
        return m2_err_set(err, M2_E_CONFIG, "a claim needs a target");
    }
    for (i = 1; i < n && !code; i++) {
        if (encoding_word(APR_ARRAY_IDX(words, i, const char *), &bad) != M2_ENCODINGS || bad) {
            return m2_err_set(err, M2_E_CONFIG, n < words->nelts ? ENCODING " is given twice"
                                                                 : ENCODING " must come last");
        }
        code = m2_target_parse(&target, mapping->targets->pool,
                               APR_ARRAY_IDX(words, 0, const char *),
                               APR_ARRAY_IDX(words, i, const char *), err);
        code = code ? code : set_encoding(&target, encoding == M2_ENCODINGS
                                                       ? M2_ENCODING_NONE : encoding, err);
        code = code ? code : m2_mapping_add(mapping, &target, err);
    }
    return code;
}

m2_code_t m2_publish_collect(apr_array_header_t **plist, apr_pool_t *pool,
                             const m2_mapping_t *mapping, const m2_json_t *claims,
                             m2_err_t *err)
{
    int i, n = mapping ? mapping->targets->nelts : 0;
    m2_code_t code = M2_OK;

    *plist = apr_array_make(pool, n ? n : 1, sizeof(m2_publish_t));
    for (i = 0; i < n; i++) {
        m2_publish_t *entry = apr_array_push(*plist);
        m2_code_t one = publish_one(entry, pool,
                                    &APR_ARRAY_IDX(mapping->targets, i, m2_target_t),
                                    claims, err);

        if (one) {
            entry->value = NULL;
            code = code ? code : one;
        }
    }
    return code;
}

/* --- bodies that claims can be kept out of --- */

int m2_scrub_maps_to(const m2_scrub_t *scrub, m2_place_t place)
{
    while (scrub && !scrub->mapping->names[place]) {
        scrub = scrub->outer;
    }
    return scrub != NULL;
}

static int may_be_form(m2_body_kind_t kind)
{
    return kind == M2_BODY_FORM || kind == M2_BODY_UNTYPED || kind == M2_BODY_MULTIPART;
}

m2_code_t m2_publish_takes(const m2_scrub_t *scrub, const m2_mapping_t *mapping, int other,
                           m2_body_kind_t kind, const char *type, m2_err_t *err)
{
    const int form = m2_scrub_maps_to(scrub, M2_PLACE_FORM);
    const int sets = mapping && mapping->names[M2_PLACE_FORM];

    if ((form || m2_scrub_maps_to(scrub, M2_PLACE_QUERY)) && !m2_body_charset_is_plain(type)) {
        return m2_err_set(err, M2_E_BODY_UNSUPPORTED, "the character set of the Content-Type "
                          "may respell names in query and form");
    }
    if (form && !sets && kind == M2_BODY_CODED && may_be_form(m2_body_kind(type, NULL))) {
        return m2_err_set(err, M2_E_BODY_UNSUPPORTED, "names that a section around this one maps "
                          "claims to may stand in the body, which is content-encoded");
    }
    if (kind == M2_BODY_NONE || kind == M2_BODY_FORM || !sets
        || (kind == M2_BODY_OTHER && other)) {
        return M2_OK;
    }
    return m2_err_set(err, M2_E_BODY_UNSUPPORTED, "claims go into a form here, and this is %s",
                      m2_body_words(kind));
}

int m2_header_name_forbidden(const char *name)
{
    apr_size_t i;

    if (!all_of(name, "!#$%&'*+-.^_`|~")) { /* RFC 9110 5.6.2 */
        return 1;
    }
    for (i = 0; i < COUNT(forbidden_headers); i++) {
        if (m2_header_name_like(name, forbidden_headers[i])) {
            return 1;
        }
    }
    return 0;
}
