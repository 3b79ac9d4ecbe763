/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Proofs and certificates from files. Nothing is remembered of a proof: that it counts once is
 * the gateway's to tell.
 */
#include "ctl/m2mctl_proof.h"

#include "proof/m2_cert.h"
#include "proof/m2_target.h"

/* clang-format off */
#define SLOT(member) offsetof(m2mctl_shown_t, member)
const m2mctl_option_t m2mctl_shown_options[] = {
    { "sender-constraint", M2MCTL_TEXT, SLOT(constraint), "MODE",
      "Off, Auto, DPoP, mTLS or Any; default Auto" },
    { "proof", M2MCTL_TEXT, SLOT(proof), "FILE", "the value of the header DPoP" },
    { "public-url", M2MCTL_LIST, SLOT(public_urls), "URL",
      "what --url lies below; default: its own host" },
    { "dpop-window", M2MCTL_NUMBER, SLOT(window), "SECONDS",
      "of iat in a proof, default 60" },
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
}

static const char *present_certificate(void *baton)
{
    const m2mctl_presented_t *p = baton;

    return p->x5t;
}

/* --- what the options say --- */

static int read_constraint(m2mctl_force_t *force, m2mctl_t *ctl, const m2mctl_shown_t *o)
{
    static const char *const words[] = { "Off", "Auto", "DPoP", "mTLS", "Any" };
    m2_bound_policy_t *bound = &force->policy.bound;
    int i = 0;

    bound->proof.algs = bound->proof.algs ? bound->proof.algs : m2_proof_algs();
    bound->proof.window = o->window.set ? (int)o->window.value : M2_PROOF_WINDOW;
    if (!o->constraint) {
        bound->constraint = force->section ? bound->constraint : M2_CONSTRAINT_AUTO;
        return 0;
    }
    while (i < 5 && !m2_slice_is_nocase(m2_slice_z(o->constraint), words[i])) {
        i++;
    }
    bound->constraint = (m2_constraint_t)i;
    return i < 5 ? 0 : m2mctl_usage(ctl, "--sender-constraint is Off, Auto, DPoP, mTLS or Any");
}

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

static int read_targets(m2mctl_presented_t *p, m2mctl_t *ctl, const m2mctl_shown_t *o,
                        const char *url)
{
    const char *path = path_of(ctl->pool, url ? url : "/");
    const char *base = base_of(ctl->pool, url ? url : "");
    int i;

    p->targets = apr_array_make(ctl->pool, 2, sizeof(const char *));
    for (i = 0; path && o->public_urls && i < o->public_urls->nelts; i++) {
        m2_err_t err;

        m2_err_init(&err, ctl->pool);
        if (m2_target_uri(&base, ctl->pool,
                          m2_slice_z(APR_ARRAY_IDX(o->public_urls, i, const char *)), &err)
            != M2_OK) {
            return m2mctl_usage(ctl, "--public-url: %s", err.text);
        }
        APR_ARRAY_PUSH(p->targets, const char *) = m2_target_below(ctl->pool, base, path);
    }
    if (path && !o->public_urls && base) {
        APR_ARRAY_PUSH(p->targets, const char *) = m2_target_below(ctl->pool, base, path);
    }
    return p->proof.p && !p->targets->nelts
               ? m2mctl_usage(ctl, "a proof is made for a URL: give --url with https://host, or "
                                   "--public-url")
               : 0;
}

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

int m2mctl_present(m2mctl_presented_t *p, m2mctl_t *ctl, m2mctl_force_t *force,
                   const m2mctl_shown_t *o, const char *proof, const char *method,
                   const char *url)
{
    m2_err_t err;
    int bad = read_constraint(force, ctl, o);

    memset(p, 0, sizeof(*p));
    m2_err_init(&err, ctl->pool);
    p->method = method ? method : "GET";
    p->proof = m2_slice_z(proof);
    p->presented.proof = present_proof;
    p->presented.certificate = present_certificate;
    p->presented.baton = p;
    if (!bad && o->proof && m2mctl_read_token(&p->proof, ctl->pool, o->proof, &err)) {
        bad = m2mctl_fault(ctl, o->proof, &err);
    }
    bad = bad ? bad : read_targets(p, ctl, o, url);
    p->presented.as_dpop = p->proof.p != NULL;
    return bad || !o->cert ? bad : read_cert(p, ctl, o->cert);
}

int m2mctl_is_shown(const m2mctl_presented_t *p)
{
    return p->proof.p || p->x5t;
}
