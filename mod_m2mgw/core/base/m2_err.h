/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * What went wrong, said once. The function that finds a fault fills the record, the first one
 * wins, and the host of the core logs or shows it. Sentences never contain token bytes. m2_err.c
 * also holds the one table that maps a reason to statuses and codes.
 */
#ifndef M2_ERR_H
#define M2_ERR_H

#include "base/m2.h"

struct m2_err_t {
    apr_pool_t *pool; /* where text is made; lives as long as the record */
    m2_code_t code;   /* M2_OK while nothing went wrong */
    const char *text; /* a sentence without the final stop, or NULL */
    int line;         /* 1-based, 0 when it does not apply */
    int column;       /* 1-based, in bytes; 0 when it does not apply */
};

/* severity of a refusal in the log; the host maps it to its own levels */
typedef enum m2_level_t { /* ORDER LEVEL: httpd/m2mgw.h, mod_m2m_issuer.c */
    M2_LOG_ERR,
    M2_LOG_WARNING,
    M2_LOG_NOTICE,
    M2_LOG_INFO,
    M2_LOG_DEBUG
} m2_level_t;

#define M2_CHALLENGE_ALWAYS 2

/* One row of the table of refusals (the public contract's section on refusals). */
typedef struct m2_reason_t {
    m2_code_t code;
    const char *reason;      /* M2M_REASON */
    const char *ca_code;     /* X-Ca-Error-Code, NULL for a pass */
    int status;              /* HTTP status in profile rfc6750; 0: the rule's own */
    const char *oauth_error; /* RFC 6750 3.1 error of WWW-Authenticate, or NULL */
    int challenge;           /* WWW-Authenticate belongs on it in profile rfc6750, or with
                                M2_CHALLENGE_ALWAYS in both */
    int gateway_status;      /* HTTP status in profile gateway; 0: the rule's own */
    m2_level_t level;
    const char *text;        /* default X-Ca-Error-Message and error_description */
} m2_reason_t;

/** Make *err empty, with pool for its texts. */
void m2_err_init(m2_err_t *err, apr_pool_t *pool);

/**
 * Record code with a printf text, unless an earlier fault is recorded already.
 * err may be NULL (the caller does not want to know). Returns code.
 */
m2_code_t m2_err_set(m2_err_t *err, m2_code_t code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/**
 * What somebody else wrote, for a text: in quotes, printable ASCII as it is, other bytes as \xNN,
 * cut at 64 bytes. In the pool of err; "" where nobody will read it.
 */
const char *m2_err_quote(const m2_err_t *err, const char *p, apr_size_t n);

/** Like m2_err_set, with a place in a text; 0 for a line or column that does not apply. */
m2_code_t m2_err_at(m2_err_t *err, m2_code_t code, int line, int column, const char *fmt,
                    ...) __attribute__((format(printf, 5, 6)));

/** The sentence of err without the `ORIGIN: ` that may precede it; borrowed. */
const char *m2_err_behind(const m2_err_t *err, const char *origin);

/** The row of a code a request can end with; that of M2_E_INTERNAL for any other value. */
const m2_reason_t *m2_reason_of(m2_code_t code);

/** The rows of the table one by one, from 0; NULL behind the last. */
const m2_reason_t *m2_reason_at(unsigned i);

#endif /* M2_ERR_H */
