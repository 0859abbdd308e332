/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the families of reference kernels share. Every kernel reads whole operands into plain arrays
 * (double for reals, int64_t for codes), computes, and stores whole results. In f32 each operation
 * is rounded to f32 (nib_ref_round), which equals f32 arithmetic since a double holds the exact
 * product and more than twice the digits. */
#ifndef NIB_REFERENCE_INTERNAL_H
#define NIB_REFERENCE_INTERNAL_H

#include "params/params.h"
#include "reference/reference.h"

struct nib_reference {
  const nib_graph *g;
  void **data;   /**< by tensor: stored bytes; NULL for constants */
  double **wide; /**< by tensor: f32 tensors in double, when use_double */
  bool use_double;
  nib_reference_observer *observer;
  void *observer_context;
};

typedef nib_status nib_ref_kernel(nib_reference *r, const nib_node *n);

/** Row of the table operator -> kernel. */
typedef struct nib_ref_op {
  nib_ref_kernel *run;
  bool (*accepts)(const nib_graph *g, const nib_node *n); /**< NULL: every format */
} nib_ref_op;
const nib_ref_op *nib_ref_op_get(nib_op op);

const nib_tensor *nib_ref_tensor(const nib_reference *r, int32_t tensor);
bool nib_ref_is_real(const nib_tensor *t);

/** All elements as new arrays (free()), NULL when out of memory; codes minus `minus`. */
double *nib_ref_load_reals(const nib_reference *r, int32_t tensor);
int64_t *nib_ref_load_codes(const nib_reference *r, int32_t tensor, int64_t minus);
int32_t *nib_ref_load_codes32(const nib_reference *r, int32_t tensor, int64_t minus);
/** Stores a whole result; integers wrap to the format. */
void nib_ref_store_reals(nib_reference *r, int32_t tensor, const double *values);
void nib_ref_store_codes(nib_reference *r, int32_t tensor, const int64_t *codes);

/** Elements as opaque units for operators that only move them: bytes per element and pointers. */
size_t nib_ref_element_bytes(const nib_reference *r, int32_t tensor);
const unsigned char *nib_ref_bytes(const nib_reference *r, int32_t tensor);
unsigned char *nib_ref_result_bytes(nib_reference *r, int32_t tensor);

/** Real arithmetic in the precision asked for. */
double nib_ref_round(const nib_reference *r, double x);
double nib_ref_exp(const nib_reference *r, double x);
double nib_ref_tanh(const nib_reference *r, double x);
/** The fused activation of `n` on a real result. */
double nib_ref_activate(const nib_reference *r, const nib_node *n, double x);

int64_t nib_ref_clamp(int64_t x, int64_t lo, int64_t hi);
/** f32 real to the code of `t`: saturate(round(x / scale) + zp) within [lo, hi]. */
int64_t nib_ref_quantize(nib_rounding rounding, float x, const nib_tensor *t, int64_t lo,
                         int64_t hi);

/** Row-major strides in elements; 0 for dimensions of extent 1 when `broadcast_to` is given, whose
 *  rank is the rank of the answer. */
void nib_ref_strides(const nib_tensor *t, const nib_tensor *broadcast_to,
                     int64_t out_strides[NIB_MAX_RANK]);
/** Steps a multi-index in row-major order; false after the last. */
bool nib_ref_next(int64_t index[NIB_MAX_RANK], const int64_t *dims, int32_t rank);
int64_t nib_ref_offset(const int64_t *index, const int64_t *strides, int32_t rank);

nib_ref_kernel nib_ref_conv2d, nib_ref_transpose_conv2d, nib_ref_fully_connected, nib_ref_matmul,
    nib_ref_avg_pool2d, nib_ref_max_pool2d, nib_ref_mean, nib_ref_arithmetic, nib_ref_unary,
    nib_ref_lookup, nib_ref_quantize_op, nib_ref_dequantize, nib_ref_requantize, nib_ref_softmax,
    nib_ref_pad, nib_ref_copy, nib_ref_pack, nib_ref_unpack, nib_ref_transpose, nib_ref_concat,
    nib_ref_slice, nib_ref_strided_slice, nib_ref_constant, nib_ref_binary, nib_ref_where,
    nib_ref_lookup, nib_ref_multi_threshold, nib_ref_quantize_op, nib_ref_dequantize, nib_ref_requantize, nib_ref_softmax,
    nib_ref_pad, nib_ref_copy, nib_ref_transpose, nib_ref_concat, nib_ref_slice,
    nib_ref_strided_slice, nib_ref_constant, nib_ref_binary, nib_ref_where,
    nib_ref_integer_function, nib_ref_reduce, nib_ref_cumulate, nib_ref_bitcast, nib_ref_cast;
nib_ref_kernel nib_ref_broadcast, nib_ref_gather, nib_ref_gather_nd, nib_ref_gather_elements,
    nib_ref_scatter_nd, nib_ref_scatter_elements, nib_ref_top_k;
bool nib_ref_binary_accepts(const nib_graph *g, const nib_node *n);

#endif
