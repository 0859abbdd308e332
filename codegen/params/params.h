/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 *
 * Arithmetic parameters of quantized operators, derived once from scales and zero points: the
 * reference evaluator and every schedule read them from here. Sources: docs/numerics.md. */
#ifndef NIB_PARAMS_PARAMS_H
#define NIB_PARAMS_PARAMS_H

#include "graph/graph.h"
#include "num/requant.h"
#include "num/rounding.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The node's rounding: its attribute, else the graph's default; tflite-double on fully_connected
 * is tflite-away, as in TFLite's default build. */
nib_rounding nib_node_rounding(const nib_graph *g, const nib_node *n);

/** Range of the result's codes after the fused activation: `clamp` if present, else from
 * `activation` and the result's scale as TFLite computes it, else the format's range. Quantized
 * results only. */
void nib_params_code_range(const nib_graph *g, const nib_node *n, int64_t *out_lo, int64_t *out_hi);
/** The same in real units for float results (±INFINITY when unbounded). */
void nib_params_real_range(const nib_graph *g, const nib_node *n, float *out_lo, float *out_hi);

/** Formats that vector code computes in f32: f32 itself, f16 and bf16. */
bool nib_params_is_real(nib_format format);

/** What one step of a tensor's numbers is worth: its scale, or 1 of a plain bipolar tensor. */
double nib_params_unit(const nib_tensor *t);

/** Shape of conv2d, depthwise_conv2d, transpose_conv2d and fully_connected (as 1×1 over M rows). */
typedef struct nib_conv_shape {
  int64_t batch, in_h, in_w, in_c, out_h, out_w, out_c;
  int64_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;
  int64_t pad_top, pad_left, pad_bottom, pad_right;
  int64_t groups;     /**< conv2d: attribute; depthwise: in_c; otherwise 1 */
  int64_t multiplier; /**< depthwise: out_c / in_c; otherwise 1 */
} nib_conv_shape;
void nib_params_conv_shape(const nib_graph *g, const nib_node *n, nib_conv_shape *out_shape);

/** Integer arithmetic of those operators. acc = Σ (x - in_zp)(w - w_zp) + bias;
 *  y = clamp(rq(acc, requant[c]) + out_zp, lo, hi). */
typedef struct nib_conv_params {
  nib_rounding rounding;
  int64_t in_zp, w_zp, out_zp, lo, hi;
  bool acc64;           /**< 64-bit accumulator and bias (i16 activations) */
  bool raw_accumulator; /**< result is i32/i64: no requantization */
  int32_t n_requant;    /**< 1 (per tensor) or out_c */
  nib_requant *requant; /**< owned by the caller: free() */
} nib_conv_params;
nib_status nib_params_conv(const nib_graph *g, const nib_node *n, nib_conv_params *out_params);

/** add and sub. TFLite modes: both operands (x - zp) << left_shift, rescaled, added, rescaled.
 *  nearest-even and nearest-away: dequantize, add in f32, divide by the scale, round. */
typedef struct nib_add_params {
  nib_rounding rounding;
  int32_t left_shift;
  nib_requant lhs, rhs, out;
  int64_t lhs_zp, rhs_zp, out_zp, lo, hi;
  float lhs_scale, rhs_scale, out_scale;
} nib_add_params;
nib_status nib_params_add(const nib_graph *g, const nib_node *n, nib_add_params *out_params);

typedef struct nib_mul_params {
  nib_rounding rounding;
  nib_requant out;
  int64_t lhs_zp, rhs_zp, out_zp, lo, hi;
  float lhs_scale, rhs_scale, out_scale;
} nib_mul_params;
nib_status nib_params_mul(const nib_graph *g, const nib_node *n, nib_mul_params *out_params);

/** leaky_relu: identity branch and alpha branch; requantize: `identity` only. */
typedef struct nib_unary_params {
  nib_rounding rounding;
  nib_requant identity, alpha;
  int64_t in_zp, out_zp, lo, hi;
  float in_scale, out_scale;
} nib_unary_params;
nib_status nib_params_unary(const nib_graph *g, const nib_node *n, nib_unary_params *out_params);

/** requantize in all its forms, and quantize of codes: y = clamp(rq(x - in_zp, requant[i]) + out_zp,
 * lo, hi), i being the index along `axis` where there are several. */
typedef struct nib_requantize_params {
  nib_rounding rounding;
  bool acc64; /**< i64 input: nib_params_rescale64 */
  int64_t axis, in_zp, out_zp, lo, hi;
  int32_t n_requant;
  nib_requant *requant; /**< owned by the caller: free() */
} nib_requantize_params;
nib_status nib_params_requantize(const nib_graph *g, const nib_node *n,
                                 nib_requantize_params *out_params);
/** Entry `i` of constant multipliers and shifts. */
nib_requant nib_params_given_requant(const nib_tensor *multipliers, const nib_tensor *shifts,
                                     int64_t i, bool acc64);

/** avg_pool2d and mean of integer codes. TFLite modes: `divide` says that the codes' mean is the
 *  result's code (nib_avg_round, or truncation when `truncate`); otherwise, and in the float modes,
 *  y = clamp(rq(sum - count * in_zp, out) + out_zp), with 1 / count inside the multiplier. For
 * pools whose windows differ in count ask once per count. */
typedef struct nib_mean_params {
  nib_rounding rounding;
  bool divide, truncate;
  nib_requant out;
  int64_t in_zp, out_zp, lo, hi;
} nib_mean_params;
nib_status nib_params_mean(const nib_graph *g, const nib_node *n, int64_t count,
                           nib_mean_params *out_params);

/** softmax of 8- or 16-bit codes in TFLite's fixed point: arguments of nib_softmax_8bit and
 *  nib_softmax_i16. `fixed_point` is false in the float modes: dequantize, f32 softmax, quantize.
 */
typedef struct nib_softmax_params {
  bool fixed_point;
  int32_t multiplier, shift, diff_min;
} nib_softmax_params;
nib_status nib_params_softmax(const nib_graph *g, const nib_node *n,
                              nib_softmax_params *out_params);
/** The two tables of nib_softmax_i16. */
void nib_params_softmax_tables(int16_t out_exp[513], int16_t out_inverse[513]);

/** sigmoid and tanh of 16-bit codes: arguments of nib_logistic_i16 and nib_tanh_i16 (TFLite modes).
 */
typedef struct nib_logistic_params {
  int32_t multiplier, shift;
} nib_logistic_params;
nib_status nib_params_logistic_i16(const nib_graph *g, const nib_node *n,
                                   nib_logistic_params *out_params);
void nib_params_logistic_table(uint16_t out_table[256]);

/** NIB_OK unless g->integer_only and something computes with real numbers: one message for each such
 * operator. Tables and multipliers that the compiler makes are integers. */
nib_status nib_check_integer_only(const nib_graph *g, const nib_diag *diag);

/** A requantization by name: `x` times the multiplier, rounded. */
int32_t nib_params_rescale(nib_rounding rounding, int32_t x, const nib_requant *q);
/** The same of a 64-bit accumulator: tflite-int64 under every integer mode. */
int32_t nib_params_rescale64(nib_rounding rounding, int64_t x, const nib_requant *q);

/** A row of functions.def. */
typedef struct nib_real_function {
  const char *text, *text64; /**< C expressions of the float, the double `x` */
  float (*f32)(float x);
  double (*f64)(double x);
} nib_real_function;
/** NULL for operators without a row (relu, clamp and leaky_relu have attributes). */
const nib_real_function *nib_params_real_function(nib_op op);

/** What a function does to plain integers, widened to 64 bits; its result wraps to the format. */
typedef struct nib_integer_function {
  const char *signed_text, *unsigned_text; /**< of the int64_t, the uint64_t `x` */
  int64_t (*i64)(int64_t x);
  uint64_t (*u64)(uint64_t x);
} nib_integer_function;
const nib_integer_function *nib_params_integer_function(nib_op op); /**< NULL: reals only */

/** Rows of binary.def: C expressions of `a` and `b`, and the functions they are. */
typedef struct nib_binary_real {
  const char *text, *text64;
  float (*f32)(float a, float b);
  double (*f64)(double a, double b);
} nib_binary_real;
typedef struct nib_binary_integer {
  const char *signed_text, *unsigned_text;
  int64_t (*i64)(int64_t a, int64_t b);
  uint64_t (*u64)(uint64_t a, uint64_t b);
} nib_binary_integer;
const nib_binary_real *nib_params_binary_real(nib_op op);       /**< NULL: integers only */
const nib_binary_integer *nib_params_binary_integer(nib_op op); /**< NULL: reals only */
/** The operator that the attribute `reduction` names: NIB_OP_ADD, MUL, MINIMUM or MAXIMUM; NIB_OP_COUNT
 *  for another word. */
nib_op nib_params_reduction(const nib_node *n);
bool nib_params_is_comparison(nib_op op); /**< its result is an i1 */

/** An elementwise operator from codes to codes: the family FUNCTION and requantize (without
 * `scales`). Fill with begin, then ask for each code. */
typedef struct nib_unary_code nib_unary_code;
struct nib_unary_code {
  const nib_node *n;
  nib_unary_params p;
  /** The fixed-point code of code - in_zp in 8 bits; NULL where the operator or mode has none. */
  int64_t (*fixed)(const nib_unary_code *u, int32_t x);
  int32_t multiplier, shift, radius;   /**< of fixed-point sigmoid, tanh and hard_swish */
  int32_t gate_multiplier, gate_shift; /**< of hard_swish: to 1/32768 of 3 */
  bool sixteen;
  uint16_t table[256];
};
nib_status nib_params_unary_begin(const nib_graph *g, const nib_node *n, nib_unary_code *out_unary);
int64_t nib_params_unary_code(const nib_unary_code *u, int64_t code);

/** Whether codes that are no table of nib_params_unary_table go through real numbers: dequantize,
 *  the function in f32, quantize. Functions without fixed-point arithmetic of TensorFlow Lite for
 *  16 bits do in every mode. */
bool nib_params_unary_by_reals(nib_op op, nib_rounding rounding);

/** The same for 8 bits to 8 bits as the table of `lookup`: out_table[code - min(input format)] is
 * the result's byte. NIB_ERROR_UNSUPPORTED for other operators and formats. */
nib_status nib_params_unary_table(const nib_graph *g, const nib_node *n, uint8_t out_table[256]);

/** The same for a function of reals stored in at most 8 bits, or of a codebook: out_table[code] is
 *  the code of the result, in the operand's format. */
nib_status nib_params_real_table(const nib_graph *g, const nib_node *n, uint8_t out_table[256]);

/** TFLite's CalculateInputRadius: the largest difference that still fits the integer bits. */
int32_t nib_params_input_radius(int32_t integer_bits, int32_t shift);

#ifdef __cplusplus
}
#endif
#endif
