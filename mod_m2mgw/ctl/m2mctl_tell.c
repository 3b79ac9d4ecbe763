/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * Output of a decision step by step: lines for people, a list for --json. It never contains the
 * token.
 */
#include "ctl/m2mctl_story_int.h"

#include <stdio.h>

/* --- telling --- */

/* a text as it may be shown: no control bytes, and valid UTF-8 */
const char *m2mctl_story_shown(apr_pool_t *pool, m2_slice_t text)
{
    const char *plain = m2_slice_dup(pool, text);
    m2_json_t *probe = m2_json_make(pool);
    char *out = apr_palloc(pool, text.n * 4 + 1), *p = out;
    apr_size_t i;
    int valid;

    m2_json_set_string(probe, "v", plain);
    valid = m2_json_get(probe, "v") != NULL && strlen(plain) == text.n;
    for (i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c < 0x20 || c == 0x7f || (c >= 0x80 && !valid)) {
            p += apr_snprintf(p, 5, "\\x%02x", c);
        }
        else {
            *p++ = (char)c;
        }
    }
    *p = '\0';
    return out;
}

const char *m2mctl_story_value(const m2mctl_story_t *s, m2_slice_t value)
{
    if (!value.p) {
        return "null";
    }
    return s->token.n && memmem(value.p, value.n, s->token.p, s->token.n)
               ? "[redacted]"
               : apr_pstrcat(s->pool, "\"", m2mctl_story_shown(s->pool, value), "\"", NULL);
}

void m2mctl_story_tell(m2mctl_story_t *s, const char *step, int ok, const char *text)
{
    m2_json_t *json = m2_json_make(s->pool);

    if (s->quiet) {
        return;
    }
    if (!s->ctl->json) {
        printf("%-4s%-11s %s\n", ok ? "ok" : "NO", step,
               m2mctl_plain(s->pool, text));
        return;
    }
    m2_json_set_string(json, "step", step);
    m2_json_set_bool(json, "ok", ok);
    m2_json_set_string(json, "text", text);
    m2_json_append(s->steps, json);
}

int m2mctl_story_passes(const m2mctl_story_t *s)
{
    return s->verdict.code == M2_OK || s->verdict.code == M2_BYPASS;
}

void m2mctl_story_refuse(m2mctl_story_t *s, const char *step, m2_code_t code, const char *why)
{
    m2_verdict_t *v = &s->verdict;

    m2_err_init(&v->err, s->pool);
    v->code = m2_err_set(&v->err, code, "%s", why);
    m2mctl_story_tell(s, step, 0, why);
}
