/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The rules of each operator, as one table, and what they are written with. Private to validate*.c.
 */
#ifndef NIB_GRAPH_VALIDATE_RULES_H
#define NIB_GRAPH_VALIDATE_RULES_H

#include "graph/graph.h"

/** A node under check; errors are counted and reported. */
typedef struct nib_check {
  const nib_graph *g;
  const nib_diag *diag;
  int32_t index;
  const nib_node *n;
  const nib_tensor *out;
  int errors;
} nib_check;

/** Reports `operator 12 (conv2d 'name'): …`. */
void nib_check_fail(nib_check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** Checks attributes, formats and shapes of a node whose operand ids and tensors are sound. */
typedef void nib_check_rule(nib_check *c);
/** NULL for an operator that has no rule. */
nib_check_rule *nib_check_rule_of(nib_op op);
/** Activation, clamp and rounding, which many operators share. */
void nib_check_common_attributes(nib_check *c);

/** Operand `slot`, or NULL when it is absent. */
const nib_tensor *nib_check_in(const nib_check *c, int32_t slot);
bool nib_is_float(const nib_tensor *t);
/** Codes of a narrow format with a scale: what integer arithmetic takes and gives. */
bool nib_is_codes(const nib_tensor *t);
bool nib_is_block(const nib_tensor *t);
/** Plain i32 or i64. */
bool nib_is_accumulator(const nib_tensor *t);
bool nib_same_type(const nib_tensor *a, const nib_tensor *b); /**< format and quantization */
bool nib_same_shape(const nib_tensor *a, const nib_tensor *b);

/** Reads an integer-array attribute of exactly `n` values in [low, INT32_MAX], each `otherwise`
 * when it is absent. False after reporting a problem. */
bool nib_check_ints(nib_check *c, nib_attr_id id, int32_t n, int64_t low, int64_t otherwise,
                    int64_t *out);
/** A scales operand: f32 or f64, one-dimensional, 1 or `channels` long, positive and finite if constant.
 */
void nib_check_scales(nib_check *c, int32_t slot, int64_t channels);

void nib_check_conv2d(nib_check *c);
void nib_check_depthwise(nib_check *c);
void nib_check_transpose_conv(nib_check *c);
void nib_check_fully_connected(nib_check *c);
void nib_check_matmul(nib_check *c);
void nib_check_avg_pool(nib_check *c);
void nib_check_max_pool(nib_check *c);

void nib_check_constant(nib_check *c);
void nib_check_view(nib_check *c);
void nib_check_unit_dims(nib_check *c);
void nib_check_scast(nib_check *c);
void nib_check_pack(nib_check *c);
void nib_check_unpack(nib_check *c);
void nib_check_pad(nib_check *c);
void nib_check_transpose(nib_check *c);
void nib_check_concat(nib_check *c);
void nib_check_slice(nib_check *c);
void nib_check_strided_slice(nib_check *c);

void nib_check_broadcast(nib_check *c);
void nib_check_gather(nib_check *c);
void nib_check_gather_nd(nib_check *c);
void nib_check_gather_elements(nib_check *c);
void nib_check_scatter_nd(nib_check *c);
void nib_check_scatter_elements(nib_check *c);
void nib_check_top_k(nib_check *c);

#endif
