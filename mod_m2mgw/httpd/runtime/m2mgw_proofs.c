/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The store is one of the replay room, opened a second time: used proofs are many and live
 * for a minute or two, used tokens are few and live for an hour, so in memory each has a table
 * of its own. It is opened only where some section may ask for proofs.
 *
 * How long a mark is kept is decided here: until the largest window of any section is over.
 * Marks that were made before a restart know nothing of a window that was raised with it, so
 * for as long as the difference the old window judges (retained_t).
 */
#include "httpd/runtime/m2mgw_proofs.h"

#include "httpd/config/m2mgw_section.h"

#include "gate/m2_owners.h"
#include "replay/m2_replay.h"

#include <openssl/rand.h>

#include <unixd.h>

/* In the process pool: what a graceful restart must not forget. */
typedef struct retained_t {
    unsigned char nonce_key[M2_NONCE_MIN_KEY];
    apr_pool_t *pool;    /* for a table in memory; apart from that of used tokens */
    int window;          /* the largest of the configuration before this one, seconds; 0: none */
    int old_window;      /* what marks were made for before it was raised */
    apr_time_t until;    /* when no such mark matters any more; 0: none does */
} retained_t;

#define RETAINED "m2mgw proofs"
#define MAX_OWNERS 512 /* keys of clients that a child keeps, some 10 KiB each */

static struct {
    m2_replay_t *store; /* NULL: not open, or not attached */
    int window;         /* the largest of all sections, seconds */
    int old_window;     /* judges until old_until */
    apr_time_t old_until;
    m2_slice_t nonce_key;
    m2_proof_keys_t keys; /* of this child; zeroed: none */
} runtime;

/* --- spending --- */

/* A key's thumbprint where a token has its issuer. The blank keeps the two apart in a store that
 * holds both: no thumbprint or proof can be taken for a token's mark. */
static m2_slice_t owner_of(apr_pool_t *pool, const m2_proof_t *proof)
{
    return m2_slice_z(apr_pstrcat(pool, "dpop ", proof->jkt, NULL));
}

/* Whether a mark of this proof may have been forgotten before the window was raised. */
static int is_forgotten(const m2_proof_t *proof, apr_time_t now)
{
    return now < runtime.old_until
           && (double)now / APR_USEC_PER_SEC - proof->iat > (double)runtime.old_window;
}

m2_code_t m2mgw_proofs_spend(const m2_proof_t *proof, m2_err_t *err)
{
    const apr_time_t now = apr_time_now();
    m2_code_t code;
    m2_err_t why;

    if (!runtime.store) {
        return m2_err_set(err, M2_E_REPLAY_UNAVAILABLE, "no store of used proofs is open");
    }
    if (is_forgotten(proof, now)) {
        return m2_err_set(err, M2_E_PROOF_INVALID, "the proof is refused: its iat lies too far "
                          "in the past for the window before the last restart");
    }
    m2_err_init(&why, err->pool);
    code = m2_replay_mark(runtime.store, owner_of(err->pool, proof), proof->jti,
                          m2_proof_spent_until(proof, runtime.window), now, &why);
    if (code == M2_E_JTI_REPLAYED) {
        return m2_err_set(err, M2_E_PROOF_REPLAYED, "the proof was used before");
    }
    if (code == M2_E_EXPIRED) {
        return m2_err_set(err, M2_E_PROOF_INVALID, "the proof is refused: its time has run out");
    }
    return code ? m2_err_set(err, code, "%s", why.text ? why.text : "no reason given") : M2_OK;
}

int m2mgw_proofs_window(int *pold, apr_time_t *puntil)
{
    *pold = runtime.old_window;
    *puntil = runtime.old_until;
    return runtime.window;
}

const m2_proof_keys_t *m2mgw_proofs_keys(void)
{
    return runtime.keys.take ? &runtime.keys : NULL;
}

m2_slice_t m2mgw_proofs_nonce_key(void)
{
    return runtime.nonce_key;
}

int m2mgw_proofs_stats(m2_replay_stats_t *stats)
{
    if (!runtime.store) {
        return 0;
    }
    m2_replay_stats(stats, runtime.store);
    return 1;
}

/* --- hooks --- */

/* The largest window of sections that may ask for proofs; 0: none may. */
static int largest_window(apr_pool_t *pool)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    m2mgw_effective_t effective;
    int i, largest = 0;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);
        const m2_bound_policy_t *bound = &effective.policy.bound;

        if (m2mgw_effective(&effective, m2mgw_cfg_resolved(pool, section))
            && effective.policy.keys && bound->constraint != M2_CONSTRAINT_OFF
            && bound->proof.window > largest) {
            largest = bound->proof.window;
        }
    }
    return largest;
}

static retained_t *retain(server_rec *s)
{
    retained_t *kept = ap_retained_data_get(RETAINED);

    if (!kept) {
        kept = ap_retained_data_create(RETAINED, sizeof(*kept));
        apr_pool_create(&kept->pool, s->process->pool);
        if (RAND_bytes(kept->nonce_key, sizeof(kept->nonce_key)) != 1) {
            return NULL;
        }
    }
    return kept;
}

/* A section that is merged only when a request comes may have a window that no section
 * resolves to here: every one that is written counts. */
static int largest_written(void)
{
    const apr_array_header_t *sections = m2mgw_cfg_sections();
    int i, largest = M2_PROOF_WINDOW;

    for (i = 0; i < sections->nelts; i++) {
        const m2mgw_section_t *section = APR_ARRAY_IDX(sections, i, m2mgw_section_t *);

        if (section->dir->dpop && section->dir->dpop->window > largest) {
            largest = section->dir->dpop->window;
        }
    }
    return largest;
}

static void note_window(retained_t *kept, int window, apr_time_t now)
{
    if (kept->window && window > kept->window) {
        const int raised_again = now < kept->until && kept->old_window < kept->window;

        kept->old_window = raised_again ? kept->old_window : kept->window;
        kept->until = now + apr_time_from_sec(window - kept->old_window);
    }
    kept->window = window;
    runtime.window = window;
    runtime.old_window = kept->old_window;
    runtime.old_until = kept->until;
}

static int open_store(apr_pool_t *pconf, apr_pool_t *ptemp, server_rec *s, retained_t *kept)
{
    m2_replay_spec_t *spec = apr_pmemdup(pconf, m2mgw_cfg_dpop_spec(pconf), sizeof(*spec));
    m2_err_t err;

    spec->owner_uid = ap_unixd_config.user_id;
    spec->owner_gid = ap_unixd_config.group_id;
    spec->owner_set = geteuid() == 0;
    m2_err_init(&err, ptemp);
    if (m2_replay_open(&runtime.store, pconf, kept->pool, spec, &err) != M2_OK) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s, "M2-311: M2MDPoPStore: %s",
                     err.text ? err.text : "cannot be opened");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    return OK;
}

static int hook_post_config(apr_pool_t *pconf, apr_pool_t *plog, apr_pool_t *ptemp,
                            server_rec *s)
{
    const m2_slice_t key = m2mgw_globals()->nonce_key;
    retained_t *kept;

    (void)plog;
    runtime.store = NULL;
    if (ap_state_query(AP_SQ_MAIN_STATE) == AP_SQ_MS_CREATE_PRE_CONFIG) {
        return OK; /* the configuration is read again before the server serves */
    }
    kept = retain(s);
    if (!kept) {
        ap_log_error(APLOG_MARK, APLOG_EMERG, 0, s, "M2-313: M2MDPoP: no random bytes");
        return HTTP_INTERNAL_SERVER_ERROR;
    }
    runtime.nonce_key = key.p ? key : m2_slice((const char *)kept->nonce_key,
                                               sizeof(kept->nonce_key));
    note_window(kept, largest_written(), apr_time_now());
    return largest_window(ptemp) ? open_store(pconf, ptemp, s, kept) : OK;
}

static void hook_child_init(apr_pool_t *pchild, server_rec *s)
{
    m2_err_t err;

    m2_err_init(&err, pchild);
    if (runtime.store && m2_replay_attach(runtime.store, pchild, &err) != M2_OK) {
        ap_log_error(APLOG_MARK, APLOG_CRIT, 0, s, "M2-312: M2MDPoPStore: %s",
                     err.text ? err.text : "cannot be used");
        runtime.store = NULL;
    }
    if (runtime.store) {
        runtime.keys = m2_owners_keys(m2_owners_make(pchild, MAX_OWNERS));
    }
}

void m2mgw_proofs_register(void)
{
    ap_hook_post_config(hook_post_config, NULL, NULL, APR_HOOK_MIDDLE);
    ap_hook_child_init(hook_child_init, NULL, NULL, APR_HOOK_MIDDLE);
}
