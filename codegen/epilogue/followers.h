/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Steps: the elementwise nodes of a kernel, applied in registers after its root or as its root.
 * Used by epilogue.c alone. */
#ifndef NIB_EPILOGUE_FOLLOWERS_H
#define NIB_EPILOGUE_FOLLOWERS_H

#include "epilogue/epilogue.h"

/** `repeats`: operands may be repeated along any dimensions. */
bool nib_step_can_emit(const nib_graph *g, const nib_kernel *kernel, int32_t index, bool repeats,
                       const nib_vocab *vocab);
nib_status nib_followers_prepare(nib_epilogue *p);
void nib_follower_apply(nib_epilogue *p, int32_t index, const char *value, const char *at,
                        int tail);

/* What both halves use. */
nib_prim nib_epilogue_requant_prim(nib_rounding rounding); /**< NIB_PRIM_COUNT if there is none */
bool nib_epilogue_is_float_rounding(nib_rounding r);
bool nib_epilogue_is_narrow(nib_format f); /**< stored as bytes of codes */
void nib_epilogue_with_constant(nib_emitter *e, nib_prim prim, const char *value, int64_t constant);

/** value = value + zero point, clamped; left to the packed store where that comes next. */
void nib_epilogue_offset_clamp(nib_epilogue *p, const char *value, const nib_codes *codes);

/** Whether `kernel`'s results can be narrowed and stored NIB_PACK_REGISTERS at a time. */
bool nib_epilogue_can_pack(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab);
/** Nodes of a kernel with a packed store that run on registers of codes: not a last one that is a
 * table of bytes. */
int32_t nib_epilogue_register_nodes(const nib_graph *g, const nib_kernel *kernel,
                                    const nib_vocab *vocab);
/** Does what p->pending says to n ≤ NIB_PACK_REGISTERS registers of codes, and stores them. */
void nib_epilogue_store_packed(nib_epilogue *p, const nib_finish *registers, int n,
                               const char *base);

/** `y` as vector code makes a code of it: to the nearest, ties as `rounding` has them, saturated to
 * int32. */
int64_t nib_linear_round(float y, nib_rounding rounding);
/** Searches one for add or sub of 8-bit codes; `lhs_inner`: lhs is multiplied first. */
bool nib_linear_add_prove(const nib_graph *g, const nib_node *n, bool lhs_inner,
                          nib_linear_add *out_add);
/** Searches one for mul of 8-bit codes: of the product of both less their zero points. */
bool nib_linear_mul_prove(const nib_graph *g, const nib_node *n, bool may_be_signed,
                          nib_linear *out_linear);

#endif
