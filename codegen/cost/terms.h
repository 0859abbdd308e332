/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the files of the analytic model share: what they read off a description, and the parts of a
 * prediction that have a file of their own. */
#ifndef NIB_COST_TERMS_H
#define NIB_COST_TERMS_H

#include "cost/cost.h"
#include "vocab/vocab.h"

/** Vector loads per cycle. */
#define NIB_COST_LOADS_PER_CYCLE 2.0

/** The tensor of that role ("in", "weight", "out"), or NULL. */
const nib_desc_tensor *nib_cost_role(const nib_kernel_desc *d, const char *role);
bool nib_cost_is_float(const nib_desc_tensor *t);
/** Elements of the result's last dimension, and of all others. */
double nib_cost_columns(const nib_kernel_desc *d);
double nib_cost_rows(const nib_kernel_desc *d);
/** Rows that a kernel of several operators goes through. */
double nib_cost_row_count(const nib_kernel_desc *d);
/** `value`, or what stands for 0. */
double nib_cost_or(double value, double if_zero);

/** The format of an operand; NULL: there is no such operand, or no such format. */
const nib_format_info *nib_cost_format(const nib_desc_tensor *t);
/** Cycles of a kernel on weights of few bits: blocks, or planes of bits. 0: it is another's. */
double nib_cost_few_bits_cycles(const nib_kernel_desc *d, const nib_vocab *v);
/** What portable C takes to encode the result in blocks, where it has any. */
double nib_cost_encode_cycles(const nib_kernel_desc *d);

/** A kernel of a GPU that moves `traffic` bytes. */
void nib_cost_predict_device(const nib_kernel_desc *d, const nib_machine *m, double traffic,
                             nib_cost *out_cost);

#endif
