/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Floor 0: the words that all files use. Result codes (each is a reason an operator can read,
 * see the table in m2_err.c), ceilings with their reasons, and forward declarations, so that a
 * file's include list shows what it truly depends on.
 *
 * Nothing in core/ knows a web server: it is handed pools, slices and a clock value.
 *
 * The room base decides what a result is called and how much is too much. Never knows a
 * document, a key or a request.
 */
#ifndef M2_H
#define M2_H

#include <apr.h>
#include <apr_pools.h>
#include <apr_tables.h>
#include <apr_time.h>

/* ORDER CODE: same order as the table in m2_err.c. M2_OK is zero, everything else is a
 * reason to refuse, or (from M2_E_CONFIG on) an error in what an administrator wrote. */
typedef enum m2_code_t {
    M2_OK = 0,
    M2_BYPASS, /* no token, and M2MBypassEmptyToken lets the request go on */
    M2_E_TOKEN_MISSING,
    M2_E_TOKEN_MULTIPLE,
    M2_E_TOKEN_MALFORMED,
    M2_E_ALG_NOT_ALLOWED,
    M2_E_CRIT_UNSUPPORTED,
    M2_E_TYP_MISMATCH,
    M2_E_SIGNATURE_INVALID,
    M2_E_CLAIM_INVALID,
    M2_E_CLAIM_MISSING,
    M2_E_NOT_YET_VALID,
    M2_E_ISSUER_MISMATCH,
    M2_E_AUDIENCE_MISMATCH,
    M2_E_TOO_OLD,
    M2_E_KID_UNKNOWN,
    M2_E_EXPIRED,
    M2_E_JTI_MISSING,
    M2_E_JTI_REPLAYED,
    M2_E_REVOKED,
    M2_E_PROOF_MISSING,
    M2_E_CERT_MISMATCH,
    M2_E_PROOF_INVALID,
    M2_E_PROOF_UNBOUND, /* reason text proof_invalid: a token without cnf.jkt came as DPoP */
    M2_E_PROOF_REPLAYED,
    M2_E_PROOF_NONCE,
    M2_E_CLAIM_UNSAFE,
    M2_E_CLAIM_MISSING_PATH, /* reason text claim_missing: a path target has no claim */
    M2_E_PATH_UNSAFE,
    M2_E_BODY_UNREADABLE,
    M2_E_BODY_TOO_LARGE,
    M2_E_BODY_UNSUPPORTED,
    M2_E_RULE_DENIED,
    M2_E_RULE_ERROR,
    M2_E_RULE_DEFAULT,
    M2_E_OPERATION_UNKNOWN,
    M2_E_METHOD_NOT_ALLOWED,
    M2_E_INSUFFICIENT_SCOPE,
    M2_E_CLAIM_DENIED,
    M2_E_LIMIT_EXCEEDED,
    M2_E_LIMIT_NULL, /* reason text limit_exceeded: null=deny, nothing to wait for */
    M2_E_KEYS_UNAVAILABLE,
    M2_E_REPLAY_UNAVAILABLE,
    M2_E_REVOCATION_UNAVAILABLE,
    M2_E_INTERNAL,
    M2_E_REQUIRE_DENIED, /* by httpd's own Require: logged and counted, never a verdict */
    M2_CODES, /* number of codes a request can end with */

    /* never the verdict on a request */
    M2_E_CONFIG = 100, /* what an administrator wrote is wrong; err->text says what */
    M2_E_KEY_SKIPPED,  /* a key of a kind or use we do not have: legal, not usable */
    M2_E_NOT_FOUND
} m2_code_t;

/* Ceilings. Each loop, buffer and recursion over outside input stops at one of these. */
#define M2_MAX_TOKEN 16384         /* bytes of a whole compact JWS; headers stop at 8 KiB */
#define M2_MAX_JSON_DEPTH 16       /* nesting in token and key documents */
#define M2_MAX_JSON_MEMBERS 256    /* members per object, bounds duplicate checks */
#define M2_MAX_JSON_ELEMENTS 16384 /* array elements, no more than a token has bytes */
#define M2_MAX_KEYSET_BYTES (1024 * 1024)  /* a key set document, file or fetched */
#define M2_MAX_KEYS 8192           /* keys in one set */
#define M2_MAX_SAME_KID 16         /* different keys of one kid in one document */
#define M2_MAX_TRIES 4             /* keys a token without a kid is tried with, what a forged
                                      one can cost at most */
#define M2_MAX_RSA_BITS 16384      /* verification time grows with the square */
#define M2_MIN_RSA_BITS 2048       /* RFC 7518 3.3 */
#define M2_MAX_CONDITION 4096      /* bytes of a rule condition */
#define M2_MAX_RULE_DEPTH 64       /* levels of parentheses and negations in a condition */
#define M2_MAX_TEMPLATE 65536      /* bytes of a template text, and of what it renders to */
#define M2_MAX_PLUGIN_BYTES (1024 * 1024)  /* a gateway plugin file */
#define M2_MAX_MATCH_STEPS 100000  /* PCRE match limit of `matches`, for each starting point */
#define M2_MAX_MATCH_EFFORT 340000 /* for a whole value, at all of them: some milliseconds */
#define M2_MAX_OPERATIONS 100000        /* in one table: a start takes a second or two */
#define M2_MAX_OPERATION_TEMPLATE 4096  /* bytes of a template */
#define M2_MAX_OPERATION_SEGMENTS 256   /* of a template; bounds the recursion of a look-up */
#define M2_MAX_OPERATION_VARIABLES 32   /* of a template */

/* a value that a directive has not set */
#define M2_UNSET (-1)

typedef struct m2_err_t m2_err_t;
typedef struct m2_jwk_t m2_jwk_t;
typedef struct m2_keyset_t m2_keyset_t;
typedef struct m2_keyring_t m2_keyring_t;
typedef struct m2_jws_t m2_jws_t;
typedef struct m2_policy_t m2_policy_t;
typedef struct m2_verdict_t m2_verdict_t;

/* The JSON value of jansson, whose header only m2_json_read.c includes. */
typedef struct m2_json_t m2_json_t;

#endif /* M2_H */
