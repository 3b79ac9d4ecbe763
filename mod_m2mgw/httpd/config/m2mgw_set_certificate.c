/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * M2MClientCertificate: where client certificates come from, and whose word counts for that.
 */
#include "httpd/config/m2mgw_set.h"

#include "text/m2_once.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>

#define CERTIFICATE_USAGE "ssl, or header:NAME from=CIDR[,CIDR...] [verified]"

static int is_field_name(const char *name)
{
    apr_size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                "0123456789-_");

    return n > 0 && !name[n];
}

/* What requests say otherwise under these names must not be removed, nor be a certificate. */
static int is_taken(const char *name)
{
    static const char *const taken[] = {
        "Authorization", "Proxy-Authorization", "DPoP", "Cookie", "Host", "Connection",
        "Content-Type", "Content-Length", "Transfer-Encoding", "Upgrade", "Expect",
        "Client-Cert-Chain", /* never goes on */
    };
    apr_size_t i;

    for (i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (m2_header_name_like(name, taken[i])) {
            return 1;
        }
    }
    return 0;
}

static const char *everybody(cmd_parms *cmd, const char *list)
{
    return m2mgw_cfg_error(cmd, "from=%s is everybody: any client could claim to be any other; "
                           "it takes the addresses of the proxies that set the header", list);
}

static const char *add_network(m2mgw_certificate_t *certificate, cmd_parms *cmd,
                               const char *cidr)
{
    char *address = apr_pstrdup(cmd->pool, cidr), *mask = strchr(address, '/');
    apr_ipsubnet_t *network;

    if (mask) {
        *mask++ = '\0';
    }
    if (mask && *mask && !mask[strspn(mask, "0.")]) { /* 0, or 0.0.0.0, which APR refuses */
        return everybody(cmd, cidr);
    }
    if (apr_ipsubnet_create(&network, address, mask, cmd->pool) != APR_SUCCESS) {
        return m2mgw_cfg_error(cmd, "from=%s is not an address or a network", cidr);
    }
    APR_ARRAY_PUSH(certificate->from, apr_ipsubnet_t *) = network;
    return NULL;
}

/* --- how many from= names --- */

typedef struct network_t {
    int family;
    unsigned char bytes[16];
    unsigned prefix;
} network_t;

/* An address of httpd's may be the beginning of one, `10.1`. */
static unsigned read_address(network_t *network, const char *text)
{
    unsigned bits = 0;

    network->family = strchr(text, ':') ? AF_INET6 : AF_INET;
    if (inet_pton(network->family, text, network->bytes) == 1) {
        return network->family == AF_INET6 ? 128 : 32;
    }
    for (; *text && bits < 32; bits += 8) {
        network->bytes[bits / 8] = (unsigned char)strtoul(text, NULL, 10);
        text += strcspn(text, ".");
        text += *text == '.';
    }
    return bits;
}

static unsigned bits_of_mask(const char *mask)
{
    struct in_addr v4;
    unsigned bits = 0, left;

    if (!strchr(mask, '.')) {
        return (unsigned)strtoul(mask, NULL, 10);
    }
    for (left = inet_pton(AF_INET, mask, &v4) == 1 ? v4.s_addr : 0; left; left &= left - 1) {
        bits++;
    }
    return bits;
}

static int lies_in(const network_t *inner, const network_t *outer)
{
    const unsigned whole = outer->prefix / 8, rest = outer->prefix % 8;

    return inner->family == outer->family && inner->prefix >= outer->prefix
           && m2_slice_eq(m2_slice((const char *)inner->bytes, whole),
                          m2_slice((const char *)outer->bytes, whole))
           && (!rest || (inner->bytes[whole] ^ outer->bytes[whole]) >> (8 - rest) == 0);
}

/* What others of the list hold, or an equal one in front of it, counts there. */
static int is_elsewhere(const apr_array_header_t *networks, int i)
{
    const network_t *own = &APR_ARRAY_IDX(networks, i, network_t);
    int k;

    for (k = 0; k < networks->nelts; k++) {
        const network_t *other = &APR_ARRAY_IDX(networks, k, network_t);

        if (k != i && lies_in(own, other) && (k < i || !lies_in(other, own))) {
            return 1;
        }
    }
    return 0;
}

/* Which part of all addresses of a family the networks hold: networks are in each other, or
 * apart. */
static double part_of(const apr_array_header_t *networks, int family)
{
    double part = 0;
    int i;

    for (i = 0; i < networks->nelts; i++) {
        const network_t *one = &APR_ARRAY_IDX(networks, i, network_t);

        if (one->family == family && !is_elsewhere(networks, i)) {
            part += ldexp(1, -(int)one->prefix);
        }
    }
    return part;
}

/* Half of everybody are clients, too: networks of one owner are smaller than this. */
#define WIDE (1.0 / 64)

static const char *check_width(cmd_parms *cmd, const apr_array_header_t *networks,
                               const char *list)
{
    const double v4 = part_of(networks, AF_INET), v6 = part_of(networks, AF_INET6);

    if (v4 >= 1 || v6 >= 1) {
        return everybody(cmd, list);
    }
    if (v4 >= WIDE || v6 >= WIDE) {
        m2mgw_cfg_notice(M2_LOG_WARNING, "M2MClientCertificate in %s: from=%s is a good part of "
                         "all addresses: whoever has one could claim to be any client",
                         m2mgw_cfg_place(cmd->pool, cmd->directive), list);
    }
    return NULL;
}

static const char *add_networks(m2mgw_certificate_t *certificate, cmd_parms *cmd,
                                const char *list)
{
    apr_array_header_t *networks = apr_array_make(cmd->temp_pool, 2, sizeof(network_t));
    char *last = NULL, *rest = apr_pstrdup(cmd->pool, list), *one;
    const char *bad = NULL;

    while (!bad && (one = apr_strtok(rest, ",", &last)) != NULL) {
        network_t *network = apr_array_push(networks);
        char *mask;

        rest = NULL;
        bad = add_network(certificate, cmd, one);
        mask = strchr(one, '/');
        if (mask) {
            *mask++ = '\0';
        }
        memset(network, 0, sizeof(*network));
        network->prefix = read_address(network, one);
        network->prefix = mask ? bits_of_mask(mask) : network->prefix;
    }
    certificate->from_text = list;
    return bad ? bad : check_width(cmd, networks, list);
}

/* --- the directive --- */

static int has_prefix(const char *word, const char *prefix)
{
    return ap_cstr_casecmpn(word, prefix, strlen(prefix)) == 0;
}

static const char *certificate_word(m2mgw_certificate_t *certificate, cmd_parms *cmd,
                                    const char *word)
{
    m2_err_t err;

    if (has_prefix(word, "from=")) {
        return add_networks(certificate, cmd, word + sizeof("from=") - 1);
    }
    if (ap_cstr_casecmp(word, "verified") == 0) {
        m2_err_init(&err, cmd->pool);
        return m2_once_flag(&certificate->verified, "verified", &err) == M2_OK
                   ? NULL
                   : m2mgw_cfg_fault(cmd, &err);
    }
    return m2mgw_cfg_error(cmd, "\"%s\" is not allowed; it takes " CERTIFICATE_USAGE, word);
}

static const char *read_certificate(m2mgw_certificate_t *certificate, cmd_parms *cmd,
                                    const apr_array_header_t *words)
{
    const char *first = APR_ARRAY_IDX(words, 0, const char *), *bad = NULL;
    int i;

    if (ap_cstr_casecmp(first, "ssl") == 0 && words->nelts == 1) {
        return NULL;
    }
    if (!has_prefix(first, "header:") || !is_field_name(first + sizeof("header:") - 1)) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not allowed; it takes " CERTIFICATE_USAGE,
                               first);
    }
    certificate->header = first + sizeof("header:") - 1;
    if (is_taken(certificate->header)) {
        return m2mgw_cfg_error(cmd, "\"%s\" is not allowed: that header holds something else "
                               "than a certificate", first);
    }
    for (i = 1; !bad && i < words->nelts; i++) {
        bad = certificate_word(certificate, cmd, APR_ARRAY_IDX(words, i, const char *));
    }
    if (!bad && !certificate->from->nelts) {
        bad = m2mgw_cfg_error(cmd, "from= is missing: the addresses of the proxies that set "
                              "%s", certificate->header);
    }
    return bad;
}

static const m2mgw_believed_t *believed(apr_pool_t *pool,
                                        const m2mgw_certificate_t *certificate)
{
    m2mgw_believed_t *one = apr_pcalloc(pool, sizeof(*one));

    one->certificate = certificate;
    return one;
}

const char *m2mgw_cfg_certificate(cmd_parms *cmd, void *dir, const char *args)
{
    m2mgw_certificate_t *certificate = apr_pcalloc(cmd->pool, sizeof(*certificate));
    apr_array_header_t *words;
    m2mgw_section_t *section;
    const char *bad = m2mgw_cfg_enter(&section, cmd, dir, M2MGW_NO_PLUGIN);

    certificate->from = apr_array_make(cmd->pool, 2, sizeof(apr_ipsubnet_t *));
    certificate->at = cmd->directive;
    if (!bad) {
        bad = m2mgw_cfg_words(&words, cmd, args, 1, 0, CERTIFICATE_USAGE);
    }
    bad = bad ? bad : m2mgw_cfg_once(cmd, words, 1);
    if (!bad && section->dir->certificate) {
        bad = m2mgw_cfg_error(cmd, "it was given in this section already; a section takes "
                              "certificates from one place");
    }
    if (!bad) {
        bad = read_certificate(certificate, cmd, words);
    }
    if (!bad) {
        section->dir->certificate = certificate;
        section->dir->believed = certificate->header ? believed(cmd->pool, certificate) : NULL;
    }
    return bad;
}

/* Many sections say the same. */
void m2mgw_cfg_add_certificate(m2mgw_server_t *server, apr_pool_t *pool,
                               const m2mgw_certificate_t *certificate)
{
    int i;

    if (!certificate || !certificate->header) {
        return;
    }
    if (!server->certificates) {
        server->certificates = apr_array_make(pool, 2, sizeof(const m2mgw_certificate_t *));
    }
    for (i = 0; i < server->certificates->nelts; i++) {
        const m2mgw_certificate_t *one = APR_ARRAY_IDX(server->certificates, i,
                                                       const m2mgw_certificate_t *);

        if (m2_slice_is_nocase(m2_slice_z(one->header), certificate->header)
            && m2_slice_is(m2_slice_z(one->from_text), certificate->from_text)) {
            return;
        }
    }
    APR_ARRAY_PUSH(server->certificates, const m2mgw_certificate_t *) = certificate;
}
