/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The simplify stage inside: rules rewrite a node's neighbourhood; the driver (simplify_graph.c)
 * applies the rules of each phase to a fixpoint. One file per family of rules.
 *
 * A rule sees one node that is not erased and returns whether it changed the graph. Nodes that it
 * adds go to the end of the list; the driver sorts after each round. Node pointers do not survive
 * the addition of a node, ids do. A result tensor keeps its id when another operator takes it over,
 * so graph outputs keep their names. */
#ifndef NIB_SIMPLIFY_SIMPLIFY_H
#define NIB_SIMPLIFY_SIMPLIFY_H

#include "graph/graph.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct nib_simplify {
  nib_graph *g;
  const nib_diag *diag;
  nib_status status; /* first failure (out of memory): rules stop */
  bool *turned;      /* by tensor: results whose operands got inverse transposes; see sink_binary */
  int32_t n_turned;
} nib_simplify;

typedef bool nib_simplify_fn(nib_simplify *s, int32_t node);

typedef struct nib_simplify_rule {
  nib_op op; /* NIB_OP_COUNT: any */
  nib_simplify_fn *apply;
} nib_simplify_rule;

/* --- rewrite.c: what rules are made of --- */

nib_node *nib_simplify_node(nib_simplify *s, int32_t node);
/** Node that makes `tensor`, or NIB_NONE. */
int32_t nib_simplify_producer(const nib_simplify *s, int32_t tensor);
/** The same if it is of operator `op`, else NIB_NONE. */
int32_t nib_simplify_producer_of(const nib_simplify *s, int32_t tensor, nib_op op);
/** Whether one node alone reads `tensor` and it is no graph output. */
bool nib_simplify_is_single_use(const nib_simplify *s, int32_t tensor);
bool nib_simplify_is_float(const nib_tensor *t);
bool nib_simplify_is_8bit(const nib_tensor *t);                        /**< quantized i8 or ui8 */
bool nib_simplify_same_type(const nib_tensor *a, const nib_tensor *b); /**< format, quantization */
bool nib_simplify_same_shape(const nib_tensor *a, const nib_tensor *b);

/** New tensor of `like`'s format and quantization with other dimensions; NIB_NONE when out of
 * memory (s->status is set). */
int32_t nib_simplify_add_tensor(nib_simplify *s, int32_t like, int32_t rank, const int64_t *dims);
/** New constant, data copied. */
int32_t nib_simplify_add_constant(nib_simplify *s, const char *name, nib_format format,
                                  int32_t rank, const int64_t *dims, const void *data);
/** New node located at `at` that makes `out`. */
int32_t nib_simplify_add_node(nib_simplify *s, int32_t at, nib_op op, const int32_t *in,
                              int32_t n_in, int32_t out);
/** Turns `node` into `op` with operands `in`, all attributes dropped; result and location stay. */
bool nib_simplify_become(nib_simplify *s, int32_t node, nib_op op, const int32_t *in, int32_t n_in);
/** `node` makes `out` from now on; whoever made it is erased. */
void nib_simplify_take_over(nib_simplify *s, int32_t node, int32_t out);
/** Readers of the node's result read `tensor` instead; false if that would join an input and an
 *  output of the graph. */
bool nib_simplify_forward(nib_simplify *s, int32_t node, int32_t tensor);
void nib_simplify_check(nib_simplify *s, nib_status status);

/** `perm` of a transpose; false if malformed. */
bool nib_simplify_perm(const nib_simplify *s, int32_t node, int64_t out_perm[NIB_MAX_RANK]);
/** A constant with the dimensions of constant `tensor` permuted (result dimension i is dimension
 *  perm[i]); keeps format and quantization. NIB_NONE on failure. */
int32_t nib_simplify_permute_constant(nib_simplify *s, int32_t tensor, const int64_t *perm);
/** The same data under other dimensions of equal product. */
int32_t nib_simplify_reshape_constant(nib_simplify *s, int32_t tensor, int32_t rank,
                                      const int64_t *dims);

/** A dequantize behind a float tensor. */
typedef struct nib_dequant {
  int32_t code; /**< tensor of codes */
  int64_t n;    /**< number of scales */
  int64_t axis;
  const float *scales; /**< NULL: `scale` */
  double scale;
  int32_t zero_points; /**< tensor or NIB_NONE */
  int64_t zero_point;
} nib_dequant;
bool nib_simplify_dequant_of(const nib_simplify *s, int32_t tensor, nib_dequant *out);
double nib_dequant_scale(const nib_dequant *d, int64_t channel);
int64_t nib_dequant_zero_point(const nib_simplify *s, const nib_dequant *d, int64_t channel);
/** Element `i` of an integer constant. */
int64_t nib_simplify_code_at(const nib_tensor *t, int64_t i);

/** Runs the nodes (in order) by the reference evaluator with `input` (256 codes if it is to be a
 * table: NIB_NONE when all operands are constants) and returns the bytes of `result` as a new
 * constant shaped as result, or with dims [256]. NIB_NONE if the evaluator cannot. */
int32_t nib_simplify_tabulate(nib_simplify *s, const int32_t *nodes, int32_t n, int32_t input);
int32_t nib_simplify_evaluate(nib_simplify *s, int32_t node);

/* --- the families --- */

nib_simplify_fn nib_simplify_view_identity, nib_simplify_view_merge, nib_simplify_trivial_concat,
    nib_simplify_trivial_pad, nib_simplify_trivial_slice, nib_simplify_scast,
    nib_simplify_scast_hoist; /* views.c */
nib_simplify_fn nib_simplify_transpose_merge, nib_simplify_transpose_of_constant,
    nib_simplify_transpose_of_weights, nib_simplify_transpose_to_reshape,
    nib_simplify_dense_columns;              /* transposes.c */
nib_simplify_fn nib_simplify_transpose_sink; /* transpose_sink.c */
nib_simplify_fn nib_simplify_dequantize_sink, nib_simplify_quantize_share,
    nib_simplify_quantize_hoist,
    nib_simplify_quantize_distribute; /* qdq_move.c */
nib_simplify_fn nib_simplify_island;  /* islands.c */
nib_simplify_fn nib_simplify_thresholds, nib_simplify_accumulate; /* thresholds.c */
nib_simplify_fn nib_simplify_requantize, nib_simplify_table_of_cone, nib_simplify_table_of_op,
    nib_simplify_table_of_table; /* tables.c */
nib_simplify_fn nib_simplify_pad_absorb, nib_simplify_bias_absorb, nib_simplify_scale_absorb,
    nib_simplify_activation_absorb, nib_simplify_depthwise_to_conv,
    nib_simplify_matmul_to_dense;                                  /* absorb.c */
nib_simplify_fn nib_simplify_accumulator_absorb;               /* accumulators.c */
nib_simplify_fn nib_simplify_decode_input;                     /* blocks.c */
nib_simplify_fn nib_simplify_hard_swish;                       /* hard_swish.c */
nib_simplify_fn nib_simplify_largest_of_all;                   /* pools.c */
nib_simplify_fn nib_simplify_fold_movement, nib_simplify_fold_all; /* folding.c */

/** Why the island that ends in quantize `node` stays in float: a phrase, or NULL if there is none.
 */
const char *nib_simplify_island_reason(nib_simplify *s, int32_t node);
/** One note per operator that stays in float between quantized neighbours. */
void nib_simplify_report(nib_simplify *s);

#ifdef __cplusplus
}
#endif
#endif
