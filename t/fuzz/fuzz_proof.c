/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Everything a client may put into a proof of possession and its neighbours: the proof of
 * RFC 9449 4.1 is the only one that its key ever signed, so any other text that passes is a
 * forgery; a URL in its normal form stays as it is; nobody guesses a nonce.
 */
#include "fuzz.h"

#include <openssl/err.h>

#include "proof/m2_cert.h"
#include "proof/m2_cnf.h"
#include "proof/m2_proof.h"
#include "proof/m2_target.h"

#define KEY "0123456789abcdef0123456789abcdef"
#define JKT "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"
#define NOW apr_time_from_sec(1562262616)

/* what was signed */
static const char genuine[] =
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNo"
    "UklDUkRZOXpDa0RscEJoRjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERW"
    "clUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19.eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh"
    "0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0IjoxNTYyMjYyNjE2fQ";

/* stops: whether a text that begins with what was signed goes on with the second dot */
static int is_genuine(m2_slice_t text)
{
    const apr_size_t n = sizeof(genuine) - 1;

    return text.n > n && text.p[n] == '.' && m2_slice_is(m2_slice(text.p, n), genuine);
}

static void judge(apr_pool_t *pool, m2_slice_t text)
{
    apr_array_header_t *targets = apr_array_make(pool, 1, sizeof(const char *));
    m2_proof_policy_t policy = { m2_proof_algs(), M2_PROOF_WINDOW, 0 };
    m2_proof_request_t request = { text, 1, "POST", targets, { NULL, 0 }, m2_slice_z(JKT),
                                   m2_slice_z(KEY), M2_NONCE_RESOURCE, NULL, NULL };
    m2_proof_t proof;
    m2_err_t err;
    m2_code_t code;

    *(const char **)apr_array_push(targets) = "https://server.example.com/token";
    m2_err_init(&err, pool);
    code = m2_proof_check(&proof, pool, &policy, &request, NOW, &err);
    PROMISE((code == M2_OK) == (proof.step == M2_PROOF_STEPS));
    PROMISE(code == M2_OK ? is_genuine(text) : err.text != NULL);
    request.jkt = m2_slice(NULL, 0); /* any key: nothing is promised but an end */
    m2_proof_check(&proof, pool, &policy, &request, NOW, NULL);
}

static void normalise(apr_pool_t *pool, m2_slice_t text)
{
    const char *once, *twice, *path;

    if (m2_target_uri(&once, pool, text, NULL) == M2_OK) {
        PROMISE(m2_target_uri(&twice, pool, m2_slice_z(once), NULL) == M2_OK);
        PROMISE(m2_slice_is(m2_slice_z(once), twice));
    }
    path = m2_target_path(pool, m2_slice_dup(pool, text));
    PROMISE(!path || *path == '/');
    PROMISE(!path || m2_slice_is(m2_slice_z(path), m2_target_path(pool, path)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const m2_slice_t text = m2_slice((const char *)data, size);
    apr_pool_t *pool = fuzz_pool();
    const m2_json_t *claims;
    m2_slice_t der;
    m2_cnf_t cnf;

    judge(pool, text);
    normalise(pool, text);
    der = m2_cert_read(pool, text);
    PROMISE(!der.p == !m2_cert_thumbprint(pool, der));
    PROMISE(!m2_nonce_is_good(pool, m2_slice_z(KEY), M2_NONCE_ISSUER, 60, text, NOW));
    if (m2_json_parse(&claims, pool, text, M2_E_TOKEN_MALFORMED, NULL) == M2_OK
        && m2_cnf_read(&cnf, claims, NULL) == M2_OK) {
        PROMISE(cnf.present || (!cnf.jkt.p && !cnf.x5t.p));
    }
    PROMISE(ERR_peek_error() == 0);
    apr_pool_destroy(pool);
    return 0;
}
