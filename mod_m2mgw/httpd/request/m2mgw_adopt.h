/* SPDX-License-Identifier: Apache-2.0
 * Copyright The mod_m2mgw authors
 *
 * A request whose status is that of a subrequest which was refused.
 */
#ifndef M2MGW_ADOPT_H
#define M2MGW_ADOPT_H

/** Before m2mgw_errordoc_register and m2mgw_response_register, whose hooks see the result. */
void m2mgw_adopt_register(void);

#endif /* M2MGW_ADOPT_H */
