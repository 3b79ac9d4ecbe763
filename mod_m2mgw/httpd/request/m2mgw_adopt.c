/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * mod_negotiation and mod_dir look for a file by a subrequest, and answer with its status when
 * it was refused. The client's request then ends in a refusal of ours that it has no record of:
 * it gets one, before its error document or its body is chosen.
 */
#include "httpd/request/m2mgw_adopt.h"

#include "httpd/request/m2mgw_apply.h"
#include "httpd/request/m2mgw_response.h"

static int is_adoptable(const m2mgw_ctx_t *ctx, const request_rec *r)
{
    return ctx && !ctx->refused && !r->main && ctx->root->below.status
           && ctx->root->below.status == r->status;
}

/* The records of subrequests live in the pool of the client's request, but what they point to
 * may not: the refusal is made from the code and the sentence. */
static void adopt(request_rec *r)
{
    m2mgw_ctx_t *ctx = m2mgw_ctx(r);
    const m2mgw_below_t *below;

    if (!is_adoptable(ctx, r)) {
        return;
    }
    below = &ctx->root->below;
    m2mgw_ctx_close(ctx, ap_get_module_config(r->server->lookup_defaults, &m2mgw_module),
                    below->code, below->why);
    ctx->effective.profile = below->profile;
    ctx->verdict.refusal.status = below->code == M2_E_RULE_DENIED ? below->status : 0;
    ctx->decided = 1;
    m2mgw_note_decision(ctx, r);
    m2mgw_refuse(ctx, r);
}

/* An error document arrives by a redirect; whether the refusal was ours is checked after this. */
static int hook_post_read_request(request_rec *r)
{
    if (r->prev && !r->main) {
        adopt(r->prev);
    }
    return DECLINED;
}

static void hook_insert_error_filter(request_rec *r)
{
    adopt(r);
}

void m2mgw_adopt_register(void)
{
    ap_hook_post_read_request(hook_post_read_request, NULL, NULL, APR_HOOK_REALLY_FIRST - 1);
    ap_hook_insert_error_filter(hook_insert_error_filter, NULL, NULL, APR_HOOK_REALLY_FIRST);
}
