/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The mask of the calling thread, changed and put back; what was sent meanwhile stays pending.
 */
#include "base/m2_hold.h"

#include <openssl/crypto.h>

static int in_handler; /* of this process: whether it ends in one; set before it serves */
static int given_up;   /* a thread of it goes on while it ends */

void m2_hold_signals(void)
{
    in_handler = 1;
}

int m2_hold_needed(void)
{
    return in_handler || m2_hold_given_up();
}

void m2_hold_give_up(void)
{
    __atomic_store_n(&given_up, 1, __ATOMIC_RELEASE);
}

int m2_hold_given_up(void)
{
    return __atomic_load_n(&given_up, __ATOMIC_ACQUIRE);
}

void m2_hold_thread_ends(void)
{
    OPENSSL_thread_stop();
}

void m2_hold_begin(m2_hold_t *hold)
{
    sigset_t ending;

    hold->held = in_handler;
    if (in_handler) {
        sigemptyset(&ending);
        sigaddset(&ending, SIGTERM);
        sigaddset(&ending, SIGHUP);
        pthread_sigmask(SIG_BLOCK, &ending, &hold->before);
    }
}

void m2_hold_end(const m2_hold_t *hold)
{
    if (hold->held) {
        pthread_sigmask(SIG_SETMASK, &hold->before, NULL);
    }
}
