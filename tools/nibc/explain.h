/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * --explain: what was weighed for each kernel, and why the choice won. */
#ifndef NIBC_EXPLAIN_H
#define NIBC_EXPLAIN_H

#include "cuda.h"
#include "session.h"

#include <cjson/cJSON.h>
#include <stdio.h>

/** A table per kernel: the cheapest candidates and the best of each schedule and vocabulary; of
 * CUDA kernels also the launch, and what `cuda` knows of them. */
nib_status nibc_explain_print(FILE *to, const nibc_session *session, const nibc_cuda_build *cuda);
/** Adds "candidates" (all of them) and "why" to `kernel_json`. */
nib_status nibc_explain_add(cJSON *kernel_json, const nibc_session *session,
                            const nib_kernel *kernel);

#endif
