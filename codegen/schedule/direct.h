/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * The `direct` schedule: plain loops in portable C for every operator, and any group of them. A
 * kernel is cut into segments: a root followed by the elementwise nodes that work on its running
 * value. A segment's results that later segments need live in the kernel's scratch.
 *
 * Each family file (direct_conv.c, direct_pool.c …) has emitters for some roots; direct.c holds the
 * table of them. Arithmetic is that of runtime/num/snippets.h with parameters of codegen/params. */
#ifndef NIB_SCHEDULE_DIRECT_H
#define NIB_SCHEDULE_DIRECT_H

#include "num/requant.h"
#include "params/params.h"
#include "num/rounding.h"
#include "schedule/schedule.h"

#ifdef __cplusplus
extern "C" {
#endif

#define NIB_DIRECT_MAX_INPUTS 64
#define NIB_DIRECT_MAX_NODES 64
#define NIB_DIRECT_MAX_CONSTANTS 256
#define NIB_DIRECT_MAX_NESTS 64
#define NIB_DIRECT_MAX_LOOPS 10

/** A C expression, by value. One that is too long becomes text that no compiler accepts. */
typedef struct nib_expr {
  char s[1024];
} nib_expr;

nib_expr nib_expr_printf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** Nodes [first, first + count) of a kernel's list: a root and its followers. */
typedef struct nib_segment {
  int32_t first, count;
} nib_segment;

/** A local pointer to a constant array, declared at the top of the kernel function. */
typedef struct nib_direct_local {
  char name[48];
  const char *expression, *c_type;
} nib_direct_local;

/** How the threads of a CUDA kernel share the loops of a body: nests of independent iterations, in the order
 *  of the text. Sizes are found by emitting the body once before. */
typedef struct nib_direct_grid {
  bool measuring;
  int32_t lanes;   /**< threads that share a unit, in the loops of nib_direct_for_lanes: 1, 32 or the block's */
  int32_t n_nests; /**< begun so far */
  int32_t level;   /**< loops open in the nest */
  int32_t indent;  /**< of the nest's outermost loop */
  struct {
    int64_t sizes[NIB_DIRECT_MAX_LOOPS];
    int32_t depth;
  } nests[NIB_DIRECT_MAX_NESTS];
} nib_direct_grid;

typedef struct nib_direct {
  nib_emitter *e;
  const nib_graph *g;
  const nib_kernel *kernel;
  nib_text *t;
  nib_segment segment;
  int32_t inputs[NIB_DIRECT_MAX_INPUTS];
  int32_t n_inputs;
  int32_t position;  /**< of the node whose step is being emitted, for names of temporaries */
  const char *index; /**< C type of element indices */
  const char *result; /**< a variable for the kernel's result, instead of its place in memory; or NULL */
  nib_direct_grid *grid; /**< where nib_direct_each spreads loops over threads of CUDA, or NULL */
  int64_t cut_units; /**< the next loop of so many iterations runs from begin to end; 0: none */
  nib_direct_local locals[NIB_DIRECT_MAX_CONSTANTS];
  int32_t n_locals;
  nib_status status; /**< first failure; emission goes on harmlessly after one */
} nib_direct;

/* ---- what family files use ---- */

/** Records a failure with a message naming `n`. */
void nib_direct_fail(nib_direct *d, const nib_node *n, nib_status status, const char *what);
/** Records that `n` is not supported, and returns an expression that keeps the text whole. */
nib_expr nib_direct_none(nib_direct *d, const nib_node *n, const char *what);
const nib_tensor *nib_direct_result(const nib_direct *d, const nib_node *n);
bool nib_direct_is_float(const nib_tensor *t);

/** A pointer to `tensor` for reading; constants are added under "<kernel>_<hint>". */
nib_expr nib_direct_pointer(nib_direct *d, int32_t tensor, const char *hint);
/** A pointer for writing the result of `n`, which must have no followers in its segment. */
nib_expr nib_direct_result_pointer(nib_direct *d, const nib_node *n);
/** A `const TYPE *` to data that the compiler made; the local variable is called after `hint`. */
nib_expr nib_direct_constant(nib_direct *d, const char *hint, const char *c_type, const void *data,
                             size_t bytes);

/** Writes the value of the segment's root at flat element `index`: runs the followers and stores
 *  what is needed. Both are C expressions; `value` has the root's value type. */
void nib_direct_put(nib_direct *d, const char *index, const char *value);

/** C type that a value of `format` has in a variable: int32_t, int64_t, float or double. */
const char *nib_direct_value_type(nib_format format);

/** Whether memory holds codes of reals that variables hold as float: f16, bf16, f8 … */
bool nib_direct_is_stored_real(nib_format format);
/** An expression: the real of the stored element `code`, or `code` itself where nothing is to be
 *  done; and the reverse, to nearest even. */
nib_expr nib_direct_decode(nib_format format, const char *code);
nib_expr nib_direct_encode(nib_format format, const char *real, bool saturate);
/** `real`, or, for formats without a sign, 0 where it is below that. */
nib_expr nib_direct_sign_kept(nib_format format, const char *real);

/* Weights in blocks and codebooks (direct_weights.c). */
/** An expression of uint32_t: the code of the double `x` in a codebook. */
nib_expr nib_direct_codebook_code(nib_direct *d, nib_format format, const char *x,
                                  nib_encode_mode mode);
/** nib_direct_decode, also of codebooks. */
nib_expr nib_direct_real(nib_direct *d, nib_format format, const char *code);
bool nib_direct_is_block(const nib_tensor *t);
/** Whether the elements of an operand that is no activation can be read as float. */
bool nib_direct_reads_weights(const nib_tensor *t);
/** An expression: the number of whole bytes, in `format`, at byte `at` of the block to which `q` points. */
nib_expr nib_direct_block_number(nib_direct *d, nib_format format, int at);
/** Declares `float NAME[…]` and decodes block number `block` of `t`, which is at `pointer`, into it.
 */
void nib_direct_decode_block(nib_direct *d, const char *name, const nib_tensor *t,
                             const char *pointer, const char *block);
/** Opens the loop `k` over a row, which starts at element `start` (ending in " + ", or ""); the answer
 *  is an expression of element k: its code, or, of blocks, its number. */
nib_expr nib_direct_open_columns(nib_direct *d, const nib_tensor *t, const char *pointer,
                                 const char *start);
void nib_direct_close_columns(nib_direct *d, const nib_tensor *t);
/** One row of a product with a right operand of blocks. The row, the matrix and the row of the result
 *  start at elements that end in " + ". */
void nib_direct_block_columns(nib_direct *d, const nib_node *n, const char *lhs,
                              const char *lhs_start, const char *rhs, const char *rhs_start,
                              const char *result);
/** Stores row `from_row` of the table `from`, decoded, as row `to_row` of the result. */
void nib_direct_decode_rows(nib_direct *d, const nib_node *n, const char *from,
                            const char *from_row, const char *to, const char *to_row,
                            int64_t row_elems);

/** Opens `for (INDEX var = 0; var < n; ++var) {`, or a part of that loop for a thread. */
void nib_direct_for(nib_direct *d, const char *var, int64_t n);
/** The same where the iterations may run in any order or at once: they write different elements and share no
 *  variable. Directly inside one another, such loops are one nest. */
void nib_direct_each(nib_direct *d, const char *var, int64_t n);
/** nib_direct_for over what a variable collects. Lanes of a warp may share it: then nib_direct_join_lanes, after it
 *  is closed, makes the variable `var` of `type` (int32_t or float) that of all lanes; `joined` is an expression of
 *  `var` and `other`. */
bool nib_direct_shares_sums(const nib_direct *d);
void nib_direct_for_lanes(nib_direct *d, const char *var, int64_t n);
void nib_direct_join_lanes(nib_direct *d, const char *type, const char *var, const char *joined);
/** Around what one lane of those does. */
void nib_direct_open_leader(nib_direct *d);
void nib_direct_close_leader(nib_direct *d);

/** Index of the element of `in` that meets flat element `index` of `out` under broadcasting. */
nib_expr nib_direct_broadcast_index(const nib_tensor *in, const nib_tensor *out, const char *index);

/** The literal of a one-element constant, or false. */
bool nib_direct_literal(const nib_tensor *t, nib_expr *out);
/** Literals. */
nib_expr nib_direct_f32(float v);
nib_expr nib_direct_i64(int64_t v);
/** "(x - 5)", "(x + 5)" or "x". */
nib_expr nib_direct_minus(const char *x, int64_t v);
nib_expr nib_direct_plus(const char *x, int64_t v);

/** An expression of the .def files with `values` in the places of its variables, which are the
 *  letters of `names`. */
nib_expr nib_direct_substitute(const char *expression, const char *names, const nib_expr *values);

/** The number of the code `x`: less its zero point, or of a bipolar format what its bits mean. */
nib_expr nib_direct_number(nib_format format, const char *x, int64_t zero_point);

/** Marks a snippet as used; false after recording a failure if there is none of this name. */
bool nib_direct_use(nib_direct *d, const nib_node *n, const char *snippet);

/** Multipliers of a requantization: literals for one, arrays for one per channel. */
typedef struct nib_direct_multiplier {
  nib_rounding rounding;
  bool acc64;
  const nib_requant *requant;
  int32_t n;
  const char *hint;
} nib_direct_multiplier;

/** An expression of int32_t: `acc` times the multiplier of `channel`, rounded. */
nib_expr nib_direct_requant(nib_direct *d, const nib_node *n, const nib_direct_multiplier *m,
                            const char *acc, const char *channel);
/** Whether the rounding has a snippet. */
bool nib_direct_can_round(nib_rounding rounding, bool acc64);
/** An expression: `value` + zero_point clamped to [lo, hi]. */
nib_expr nib_direct_saturate(nib_direct *d, const nib_node *n, const char *value,
                             int64_t zero_point, int64_t lo, int64_t hi);
/** An expression: the real `value` (a double for f64, else a float) clamped to [lo, hi] where these are
 *  finite. */
nib_expr nib_direct_clamp_real(nib_format format, const char *value, float lo, float hi);
/** An expression: the fused activation of `n` on the real `value`. */
nib_expr nib_direct_activate_real(nib_direct *d, const nib_node *n, const char *value);
/** An expression of int32_t: the code of the result of `n` for the float `real`, in [lo, hi]. */
nib_expr nib_direct_quantize(nib_direct *d, const nib_node *n, nib_rounding rounding,
                             const char *real, int64_t lo, int64_t hi);
/** Whether the mode's elementwise operators go through real numbers. */
bool nib_direct_by_reals(nib_rounding rounding);

/** Adds the product of the expressions `x` and `w`, operands 0 and 1 of `n`, to the variable `acc` of
 *  type `acc_type`. Sums of 32 bits wrap. */
void nib_direct_add_product(nib_direct *d, const nib_node *n, const char *acc_type, const char *x,
                            const char *w);

/** Writes the result at flat element `index` of a conv or fully connected whose int32_t sum with bias
 *  is the variable `acc`: requantized for `channel`, or as it is. */
void nib_direct_finish_sum(nib_direct *d, const nib_node *n, const nib_conv_params *p,
                           const char *index, const char *channel);
/** An expression: the result of a matmul whose sum is the variable `acc`. */
nib_expr nib_direct_matmul_value(nib_direct *d, const nib_node *n);

/** The same of reals: the float `acc` is the sum without bias; `bias` is a pointer to all, or "". */
void nib_direct_finish_real(nib_direct *d, const nib_node *n, const char *bias, const char *index,
                            const char *channel);

/* ---- for schedules that have another first root and leave everything else to these loops ---- */

typedef void nib_direct_root(nib_direct *d, const nib_node *n);

bool nib_direct_accepts(const nib_graph *g, const nib_kernel *k);
int64_t nib_direct_scratch_bytes(const nib_graph *g, const nib_kernel *k);
/** The body of `k`; `first_root` (may be NULL) emits the first segment's root. */
nib_status nib_direct_emit(nib_emitter *e, const nib_kernel *k, nib_direct_root *first_root);
/** Number of segments of `k`. */
int32_t nib_direct_segments(const nib_graph *g, const nib_kernel *k);
/** A body that `write` writes to d->t, which is also e->body while it runs, by the means above; pointers to
 *  constants are declared before it. */
typedef void nib_direct_body(nib_direct *d, void *user);
nib_status nib_direct_emit_body(nib_emitter *e, const nib_kernel *k, nib_direct_grid *grid,
                                nib_direct_body *write, void *user);
/** nib_direct_emit in `grid` (NULL: on a processor); the C type of the indices of a kernel's elements: for
 *  direct_grid.c. */
nib_status nib_direct_emit_segments(nib_emitter *e, const nib_kernel *k, nib_direct_root *first_root,
                                    nib_direct_grid *grid);
const char *nib_direct_index_type(const nib_graph *g, const nib_kernel *k);
/** The body of a CUDA kernel of one segment, in blocks of `threads`; *out_units: of its loops, each for `lanes` threads
 *  of its own: 1, a warp, or the block. */
nib_status nib_direct_emit_grid(nib_emitter *e, const nib_kernel *k, int32_t threads, int32_t lanes,
                                int64_t *out_units);

/* ---- the table ---- */

typedef struct nib_direct_op {
  /** Emits the segment whose root is `n`. NULL: elementwise, emitted by direct_elementwise.c */
  void (*root)(nib_direct *d, const nib_node *n);
  /** An expression of the result's value type from expressions of the operands (by slot), for one
   *  element whose flat index is `index`. NULL: not elementwise. */
  nib_expr (*step)(nib_direct *d, const nib_node *n, const nib_expr *operands, const char *index);
  bool first_operand_only; /**< the step itself indexes its other operands */
  bool stored_reals;       /**< the root loads and stores reals of any format */
  bool lanes; /**< what the root sums up goes through nib_direct_for_lanes */
  bool spreads; /**< all that the root writes, it writes in nests of nib_direct_each that need nothing of
                   one another */
  bool no_followers;       /**< the root writes blocks of memory, not single values */
  bool (*accepts)(const nib_graph *g, const nib_node *n); /**< NULL: always */
  /** Iterations of a loop over results that threads may share: the first of as many that the root
   *  opens. NULL: none; elementwise segments share their elements. */
  int64_t (*units)(const nib_graph *g, const nib_node *n);
} nib_direct_op;

const nib_direct_op *nib_direct_op_of(const nib_graph *g, const nib_node *n);

/* Roots, by family. */
void nib_direct_conv2d(nib_direct *d, const nib_node *n);
void nib_direct_depthwise_conv2d(nib_direct *d, const nib_node *n);
void nib_direct_transpose_conv2d(nib_direct *d, const nib_node *n);
void nib_direct_fully_connected(nib_direct *d, const nib_node *n);
void nib_direct_matmul(nib_direct *d, const nib_node *n);
int64_t nib_direct_matmul_units(const nib_graph *g, const nib_node *n);
void nib_direct_avg_pool2d(nib_direct *d, const nib_node *n);
void nib_direct_max_pool2d(nib_direct *d, const nib_node *n);
void nib_direct_mean(nib_direct *d, const nib_node *n);
void nib_direct_reduce(nib_direct *d, const nib_node *n);
void nib_direct_cumulate(nib_direct *d, const nib_node *n);
void nib_direct_softmax(nib_direct *d, const nib_node *n);
int64_t nib_direct_softmax_units(const nib_graph *g, const nib_node *n);
void nib_direct_pad(nib_direct *d, const nib_node *n);
void nib_direct_copy(nib_direct *d, const nib_node *n);
void nib_direct_pack(nib_direct *d, const nib_node *n);
void nib_direct_unpack(nib_direct *d, const nib_node *n);
void nib_direct_transpose(nib_direct *d, const nib_node *n);
void nib_direct_concat(nib_direct *d, const nib_node *n);
void nib_direct_slice(nib_direct *d, const nib_node *n);
void nib_direct_strided_slice(nib_direct *d, const nib_node *n);
void nib_direct_broadcast(nib_direct *d, const nib_node *n);
void nib_direct_gather(nib_direct *d, const nib_node *n);
void nib_direct_gather_nd(nib_direct *d, const nib_node *n);
void nib_direct_gather_elements(nib_direct *d, const nib_node *n);
void nib_direct_scatter_nd(nib_direct *d, const nib_node *n);
void nib_direct_scatter_elements(nib_direct *d, const nib_node *n);
void nib_direct_top_k(nib_direct *d, const nib_node *n);
bool nib_direct_conv_accepts(const nib_graph *g, const nib_node *n);
bool nib_direct_matmul_accepts(const nib_graph *g, const nib_node *n);
bool nib_direct_same_codes(const nib_tensor *x, const nib_tensor *y);

/* Elementwise steps. */
typedef nib_expr nib_direct_step(nib_direct *d, const nib_node *n, const nib_expr *operands,
                                 const char *index);
nib_direct_step nib_direct_step_add, nib_direct_step_mul, nib_direct_step_clamp,
    nib_direct_step_leaky_relu, nib_direct_step_function, nib_direct_step_lookup, nib_direct_step_multi_threshold,
    nib_direct_step_quantize, nib_direct_step_dequantize, nib_direct_step_requantize,
    nib_direct_step_identity, nib_direct_step_binary, nib_direct_step_where, nib_direct_step_cast;
bool nib_direct_cast_accepts(const nib_graph *g, const nib_node *n);
/* Casts to and from blocks, which are roots (direct_blocks.c). */
bool nib_direct_is_block_cast(const nib_graph *g, const nib_node *n);
bool nib_direct_block_cast_accepts(const nib_graph *g, const nib_node *n);
void nib_direct_cast_blocks(nib_direct *d, const nib_node *n);
/** A function (functions.def) of the plain integer `x`. */
nib_expr nib_direct_integer_function(nib_direct *d, const nib_node *n, const char *x);
/** Emits a segment whose root is elementwise. */
void nib_direct_elementwise(nib_direct *d, const nib_node *n);

#ifdef __cplusplus
}
#endif
#endif
