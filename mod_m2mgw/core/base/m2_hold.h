/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A child of a process-per-request server (mpm_prefork) is told to end by a signal whose
 * handler destroys pools and runs exit handlers at once. If it comes while malloc works, the
 * handler's own free() waits for it for ever. So what allocates from malloc holds the signal
 * back meanwhile. Where threads serve requests they never see these signals, and holding
 * costs nothing.
 */
#ifndef M2_HOLD_H
#define M2_HOLD_H

#include <signal.h>

typedef struct m2_hold_t {
    sigset_t before; /* the thread's mask, meaningful when held */
    int held;
} m2_hold_t;

/** From now on this process ends within a signal handler. Call once, before it serves. */
void m2_hold_signals(void);

/** Whether m2_hold_signals() or m2_hold_give_up() was called: then what runs at the end frees
 *  nothing that another thread uses, or that a malloc that was interrupted may have its lock on. */
int m2_hold_needed(void);

/** A thread of this process was told to end, and has not ended in time. It goes on, and so
 *  nothing that it uses may go: neither memory nor what exit handlers clear up, OpenSSL's first
 *  of all. Thread-safe. */
void m2_hold_give_up(void);

/** Whether m2_hold_give_up() was called: then the process has to end by _exit(). Thread-safe. */
int m2_hold_given_up(void);

/** Give back what OpenSSL keeps for this thread. At the end of a thread a destructor does so,
 *  which must not run beside OPENSSL_cleanup() in exit(): both free the same. So a thread that
 *  nobody joins calls this before it tells that it is done, and uses OpenSSL no more. */
void m2_hold_thread_ends(void);

/** Hold SIGTERM and SIGHUP back from this thread until m2_hold_end(&hold); may be nested. Does
 *  nothing in a process that did not call m2_hold_signals(). Thread-safe. */
void m2_hold_begin(m2_hold_t *hold);

/** What was held back comes now. */
void m2_hold_end(const m2_hold_t *hold);

#endif /* M2_HOLD_H */
