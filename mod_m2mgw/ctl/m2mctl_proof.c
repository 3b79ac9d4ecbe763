/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Proofs and certificates from files and from a request in options. Nothing is remembered of a
 * proof: that it counts once, and which nonces were given out, is the gateway's to tell.
 */
#include "ctl/m2mctl_proof.h"

#include "proof/m2_cert.h"
#include "proof/m2_target.h"

#include <apr_network_io.h>
#include <arpa/inet.h>

/* clang-format off */
#define SLOT(member) offsetof(m2mctl_shown_t, member)
const m2mctl_option_t m2mctl_bound_options[] = {
    { "sender-constraint", M2MCTL_TEXT, SLOT(constraint), "MODE",
      "Off, Auto, DPoP, mTLS or Any; default Auto" },
    { "public-url", M2MCTL_LIST, SLOT(public_urls), "URL",
      "what --url lies below; default: its own host" },
    { "dpop-algs", M2MCTL_LIST, SLOT(algs), "NAMES", "algorithms of proofs" },
    { "dpop-window", M2MCTL_NUMBER, SLOT(window), "SECONDS",
      "of iat in a proof, default 60" },
    { "dpop-nonce", M2MCTL_FLAG, SLOT(nonce), NULL, "a proof needs a nonce" },
    { "dpop-nonce-key", M2MCTL_TEXT, SLOT(nonce_key), "FILE",
      "M2MDPoPNonceKey: nonces can be judged" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
const m2mctl_option_t m2mctl_shown_options[] = {
    { "scheme", M2MCTL_TEXT, SLOT(scheme), "NAME",
      "Bearer or DPoP, of a token in a file; default: what the file says, else DPoP beside a "
      "proof" },
    { "proof", M2MCTL_TEXT, SLOT(proof), "FILE", "the value of the header DPoP" },
    { "cert", M2MCTL_TEXT, SLOT(cert), "FILE", "the client's certificate, PEM" },
    { NULL, M2MCTL_FLAG, 0, NULL, NULL },
};
#undef SLOT
/* clang-format on */

/* --- what the gate asks --- */

static void present_proof(m2_proof_request_t *request, void *baton)
{
    const m2mctl_presented_t *p = baton;

    request->proof = p->proof;
    request->fields = p->proof.p != NULL;
    request->method = p->method;
    request->targets = p->targets;
    request->nonce_key = p->nonce_key;
    request->nonce_role = M2_NONCE_RESOURCE;
}

static const char *present_certificate(void *baton)
{
    const m2mctl_presented_t *p = baton;

    return p->x5t;
}

/* --- how tokens are taken --- */

static int read_constraint(m2mctl_force_t *force, m2mctl_t *ctl, const char *word)
{
    static const char *const words[] = { "Off", "Auto", "DPoP", "mTLS", "Any" };
    int i = 0;

    while (i < 5 && !m2_slice_is_nocase(m2_slice_z(word), words[i])) {
        i++;
    }
    force->policy.bound.constraint = (m2_constraint_t)i;
    return i < 5 ? 0 : m2mctl_usage(ctl, "--sender-constraint is Off, Auto, DPoP, mTLS or Any");
}

static int read_algs(m2_proof_policy_t *proof, m2mctl_t *ctl, const apr_array_header_t *list)
{
    m2_err_t err;
    int i;

    m2_err_init(&err, ctl->pool);
    proof->algs = 0;
    for (i = 0; i < list->nelts; i++) {
        char *last, *rest = apr_pstrdup(ctl->pool, APR_ARRAY_IDX(list, i, const char *)), *one;

        for (one = apr_strtok(rest, ", ", &last); one; one = apr_strtok(NULL, ", ", &last)) {
            if (m2_alg_mask_add(&proof->algs, one, &err) != M2_OK) {
                return m2mctl_usage(ctl, "--dpop-algs: %s", err.text);
            }
        }
    }
    return proof->algs & m2_proof_algs() ? 0 : m2mctl_usage(ctl, "--dpop-algs takes algorithms "
                                                            "with a public key");
}

/* How force takes tokens: M2MSenderConstraint and M2MDPoP, as far as options say it or force is of
 * no dump. 0, or M2MCTL_USAGE after saying why. */
static int bound_by_options(m2mctl_force_t *force, m2mctl_t *ctl, const m2mctl_shown_t *o)
{
    m2_bound_policy_t *bound = &force->policy.bound;

    if (!force->section) {
        bound->constraint = M2_CONSTRAINT_AUTO;
        bound->proof.algs = m2_proof_algs();
        bound->proof.window = M2_PROOF_WINDOW;
    }
    bound->proof.window = o->window.set ? (int)o->window.value : bound->proof.window;
    bound->proof.nonce |= o->nonce || o->nonce_key;
    if (o->constraint && read_constraint(force, ctl, o->constraint)) {
        return M2MCTL_USAGE;
    }
    return o->algs ? read_algs(&bound->proof, ctl, o->algs) : 0;
}

/* --- the URL --- */

/* the scheme and authority of an absolute URL, in normal form; NULL: invalid */
static const char *base_of(apr_pool_t *pool, const char *url)
{
    const char *mark = strstr(url, "://"), *base;
    apr_size_t n = mark ? (apr_size_t)(mark - url) + 3 : 0;

    n += n ? strcspn(url + n, "/?#") : 0;
    return n && m2_target_uri(&base, pool, m2_slice(url, n), NULL) == M2_OK ? base : NULL;
}

static const char *path_of(apr_pool_t *pool, const char *url)
{
    const char *mark = strstr(url, "://");
    const char *path = mark ? mark + 3 + strcspn(mark + 3, "/?#") : url;

    return m2_target_path(pool, *path == '/' ? path : "/");
}

/* Where the gateway believes to be: the scheme of the request, the rest of ServerName. */
static const char *server_base(apr_pool_t *pool, const m2mctl_force_t *force, const char *url)
{
    const char *base = base_of(pool, url), *name = force->server_name;
    const int tls = base && base[4] == 's';

    if (!base || !name || !*name) {
        return base;
    }
    return base_of(pool, apr_psprintf(pool, strchr(name, ':') ? "%s://[%s]:%d/" : "%s://%s:%d/",
                                      tls ? "https" : "http", name,
                                      force->server_port ? force->server_port
                                      : tls              ? 443
                                                         : 80));
}

static int add_public(m2mctl_presented_t *p, m2mctl_t *ctl, const apr_array_header_t *urls,
                      const char *path)
{
    const char *base;
    m2_err_t err;
    int i;

    m2_err_init(&err, ctl->pool);
    for (i = 0; i < urls->nelts; i++) {
        if (m2_target_uri(&base, ctl->pool, m2_slice_z(APR_ARRAY_IDX(urls, i, const char *)),
                          &err) != M2_OK) {
            return m2mctl_usage(ctl, "--public-url: %s", err.text);
        }
        APR_ARRAY_PUSH(p->targets, const char *) = m2_target_below(ctl->pool, base, path);
    }
    return 0;
}

static int read_targets(m2mctl_presented_t *p, m2mctl_t *ctl, const m2mctl_force_t *force,
                        const m2mctl_shown_t *o, const char *url)
{
    const apr_array_header_t *urls = o->public_urls ? o->public_urls : force->public_urls;
    const char *path = path_of(ctl->pool, url ? url : "/"), *base;

    p->targets = apr_array_make(ctl->pool, 2, sizeof(const char *));
    if (!path) {
        return 0; /* no proof can be made for it */
    }
    if (urls) {
        return add_public(p, ctl, urls, path);
    }
    base = server_base(ctl->pool, force, url ? url : "");
    if (base) {
        APR_ARRAY_PUSH(p->targets, const char *) = m2_target_below(ctl->pool, base, path);
    }
    return p->proof.p && !base
               ? m2mctl_usage(ctl, "a proof is made for a URL: give --url with https://host, or "
                                   "--public-url")
               : 0;
}

/* --- the certificate --- */

static int read_cert(m2mctl_presented_t *p, m2mctl_t *ctl, const char *path)
{
    m2_slice_t text;
    m2_err_t err;

    m2_err_init(&err, ctl->pool);
    if (m2mctl_read(&text, ctl->pool, path, &err) != M2_OK) {
        return m2mctl_fault(ctl, path, &err);
    }
    p->x5t = m2_cert_thumbprint(ctl->pool, m2_cert_read(ctl->pool, text));
    return p->x5t ? 0 : m2mctl_usage(ctl, "%s holds no certificate, or more than one", path);
}

/* An address as apr_ipsubnet_test takes it; 0 for anything else. */
static int read_address(apr_sockaddr_t *peer, const char *text)
{
    memset(peer, 0, sizeof(*peer));
    peer->family = strchr(text, ':') ? APR_INET6 : APR_INET;
    peer->ipaddr_ptr = peer->family == APR_INET ? (void *)&peer->sa.sin.sin_addr
                                                : (void *)&peer->sa.sin6.sin6_addr;
    return inet_pton(peer->family, text, peer->ipaddr_ptr) == 1;
}

static int is_listed(const m2mctl_force_t *force, const char *address)
{
    apr_sockaddr_t peer;
    int i;

    for (i = 0; read_address(&peer, address) && i < force->cert_from->nelts; i++) {
        if (apr_ipsubnet_test(APR_ARRAY_IDX(force->cert_from, i, apr_ipsubnet_t *), &peer)) {
            return 1;
        }
    }
    return 0;
}

/* M2MClientCertificate header:NAME from=...: believed of peers that are listed, as it is spelt. */
static void take_cert_header(m2mctl_presented_t *p, m2mctl_t *ctl, const m2mctl_force_t *force,
                             m2mctl_facts_t *request)
{
    const int listed = is_listed(force, m2mctl_client_ip(request));

    m2mctl_remove_header(request, force->cert_header, listed ? force->cert_header : NULL);
    m2mctl_remove_header(request, "Client-Cert-Chain", NULL);
    p->x5t = m2_cert_thumbprint(ctl->pool,
                                m2_cert_read(ctl->pool,
                                             m2_slice_z(m2mctl_header(request,
                                                                      force->cert_header))));
}

/* --- nonces --- */

/* Whether the proof has one, as far as it can be read: the core judges it. */
static int has_nonce(apr_pool_t *pool, m2_slice_t proof)
{
    const m2_json_t *claims;
    m2_jws_t jws;

    memset(&jws, 0, sizeof(jws));
    return proof.p && m2_jws_split(&jws, proof, NULL) == M2_OK
           && m2_jws_payload(&claims, &jws, pool, NULL) == M2_OK
           && m2_json_string(m2_json_get(claims, "nonce")).p;
}

/* Without the key a nonce cannot be judged; that there has to be one can. */
static int read_nonce(m2mctl_presented_t *p, m2mctl_t *ctl, m2mctl_force_t *force,
                      const char *key)
{
    m2_err_t err;

    m2_err_init(&err, ctl->pool);
    p->nonce_wanted = force->policy.bound.proof.nonce;
    if (key && m2mctl_read(&p->nonce_key, ctl->pool, key, &err) != M2_OK) {
        return m2mctl_fault(ctl, key, &err);
    }
    if (key && p->nonce_key.n < M2_NONCE_MIN_KEY) {
        return m2mctl_usage(ctl, "%s has less than %d bytes", key, M2_NONCE_MIN_KEY);
    }
    if (!key && p->nonce_wanted && has_nonce(ctl->pool, p->proof)) {
        p->nonce_unknown = 1;
        force->policy.bound.proof.nonce = 0;
    }
    return 0;
}

/* --- all of it --- */

static int read_scheme(m2mctl_t *ctl, const m2mctl_shown_t *o)
{
    const m2_slice_t word = m2_slice_z(o->scheme);

    return !o->scheme || m2_slice_is_nocase(word, "Bearer") || m2_slice_is_nocase(word, "DPoP")
               ? 0 : m2mctl_usage(ctl, "--scheme is Bearer or DPoP");
}

int m2mctl_present(m2mctl_presented_t *p, m2mctl_t *ctl, m2mctl_force_t *force,
                   const m2mctl_shown_t *o, const m2mctl_shape_t *shape)
{
    m2_err_t err;
    int bad = read_scheme(ctl, o);

    memset(p, 0, sizeof(*p));
    m2_err_init(&err, ctl->pool);
    p->method = shape->method ? shape->method : "GET";
    p->proof = m2_slice_z(shape->request ? m2mctl_header(shape->request, "DPoP") : NULL);
    p->presented.proof = present_proof;
    p->presented.certificate = present_certificate;
    p->presented.baton = p;
    bad = bad ? bad : bound_by_options(force, ctl, o);
    if (!bad && o->proof && m2mctl_read_token(&p->proof, NULL, ctl->pool, o->proof, &err)) {
        bad = m2mctl_fault(ctl, o->proof, &err);
    }
    bad = bad ? bad : read_targets(p, ctl, force, o, shape->url);
    bad = bad ? bad : read_nonce(p, ctl, force, o->nonce_key);
    m2mctl_present_as(p, o, M2MCTL_SCHEME_NONE);
    if (!bad && shape->request && force->cert_header) {
        take_cert_header(p, ctl, force, shape->request);
    }
    return bad || !o->cert ? bad : read_cert(p, ctl, o->cert);
}

void m2mctl_present_as(m2mctl_presented_t *p, const m2mctl_shown_t *o, m2mctl_scheme_t scheme)
{
    p->presented.as_dpop = o->scheme ? m2_slice_is_nocase(m2_slice_z(o->scheme), "DPoP")
                           : scheme  ? scheme == M2MCTL_SCHEME_DPOP
                                     : p->proof.p != NULL;
}

const char *m2mctl_target(const m2mctl_presented_t *p)
{
    return p->targets->nelts ? APR_ARRAY_IDX(p->targets, 0, const char *) : NULL;
}

const char *m2mctl_step_text(const m2mctl_presented_t *p, m2_proof_step_t step)
{
    if (step != M2_PROOF_FRESH) {
        return m2_proof_step_text(step);
    }
    return !p->nonce_wanted  ? "no nonce is asked for"
           : p->nonce_unknown ? "a nonce is there; whether it was given out lately the gateway "
                                "alone can tell"
                              : "nonce was given out lately";
}
