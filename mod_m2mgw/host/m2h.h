/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * The room host decides how the core is put into httpd where both modules do it alike: a thread
 * of mod_watchdog's, databases of mod_dbd's, what has to be known before directives are read,
 * how a child ends. It is linked into each of them and keeps its state in each. Never knows which
 * one it is in, nor what either is for.
 */
#ifndef M2H_H
#define M2H_H

#include "base/m2.h"

#include <httpd.h>
#include <http_config.h>
#include <http_core.h>

#endif /* M2H_H */
