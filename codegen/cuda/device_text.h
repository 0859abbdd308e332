/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The device primitives (device.h) as text, and the wrappers of wgmma, of which there is one for
 * every width. */
#ifndef NIB_CUDA_DEVICE_TEXT_H
#define NIB_CUDA_DEVICE_TEXT_H

#include "emit/text.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Appends what a generated CUDA file begins with: the prelude, then every primitive, wrapper of wgmma and scalar
 *  helper (runtime/num/snippets.h) that the C text `uses` names, and those that they name. */
void nib_cuda_primitives(const char *uses, nib_text *out);

/** Appends the primitive
 *      nib_wgmma_<type>_n<n>    (acc[n / 2], uint64_t a, uint64_t b, int32_t accumulate)
 *      nib_wgmma_<type>_n<n>_ra (acc[n / 2], const uint32_t a[4], uint64_t b, int32_t accumulate)
 *  in which the warpgroup computes acc = a b, or acc += a b, of 64 x n: floats or int32_t. `type`
 * is bf16 or f16 (K = 16), f8e4m3, i8 or u8i8 (K = 32). Descriptors are those of
 *  nib_wgmma_descriptor. Thread t of the four warps holds of acc, for j < n / 8: elements
 *  (row, 8 j + 2 (t % 4)), the next column, and both 8 rows below, at row = 16 (t / 32) + t % 32 /
 * 4; registers of a are laid out as those of mma, 16 rows a warp. False: no such instruction. */
bool nib_cuda_wgmma(nib_text *out, const char *type, int n, bool a_in_registers);

#ifdef __cplusplus
}
#endif
#endif
