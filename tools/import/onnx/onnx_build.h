/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Expressions of graph tensors, for operators that are imported as several: each function adds a
 * node and returns its result, or NIB_NONE after a message. An operand of NIB_NONE gives NIB_NONE
 * without a further message, so that calls nest; nib_onnx_finish turns it into a status. Results
 * have the first operand's format. */
#ifndef NIB_IMPORT_ONNX_BUILD_H
#define NIB_IMPORT_ONNX_BUILD_H

#include "onnx_internal.h"

/** The tensor of input `i`; NIB_NONE after a message where it is absent. */
int32_t nib_onnx_in(nib_onnx_node *n, size_t i);
/** Makes `tensor` the operator's first output, or output `i` where that is used. */
nib_status nib_onnx_finish(nib_onnx_node *n, int32_t tensor);
nib_status nib_onnx_finish_at(nib_onnx_node *n, size_t i, int32_t tensor);

/** Unsupported unless `v` is of floats. */
nib_status nib_onnx_require_real(nib_onnx_node *n, const nib_onnx_value *v);
/** Unsupported unless all inputs that are there are real, of one format. */
nib_status nib_onnx_require_reals(nib_onnx_node *n);

const nib_tensor *nib_onnx_tensor(const nib_onnx_node *n, int32_t tensor);
/** A dimension, counted from the end where `i` is negative. */
int64_t nib_onnx_dim(const nib_onnx_node *n, int32_t tensor, int32_t i);

int32_t nib_onnx_unary(nib_onnx_node *n, nib_op op, int32_t a);
int32_t nib_onnx_binary(nib_onnx_node *n, nib_op op, int32_t a, int32_t b);
/** The same with a number of a's format on the right. */
int32_t nib_onnx_with(nib_onnx_node *n, nib_op op, int32_t a, double number);
int32_t nib_onnx_squared(nib_onnx_node *n, int32_t a);
/** A comparison (less, less_equal, equal): i1. */
int32_t nib_onnx_compared(nib_onnx_node *n, nib_op op, int32_t a, int32_t b);
/** condition ? a : b, broadcast. */
int32_t nib_onnx_chosen(nib_onnx_node *n, int32_t condition, int32_t a, int32_t b);
int32_t nib_onnx_reshaped(nib_onnx_node *n, int32_t a, int32_t rank, const int64_t *dims);
int32_t nib_onnx_transposed(nib_onnx_node *n, int32_t a, const int64_t *perm);
/** Exchanges two dimensions, counted from the end where negative. */
int32_t nib_onnx_swapped(nib_onnx_node *n, int32_t a, int32_t i, int32_t k);
int32_t nib_onnx_broadcasted(nib_onnx_node *n, int32_t a, int32_t rank, const int64_t *dims);
int32_t nib_onnx_sliced(nib_onnx_node *n, int32_t a, const int64_t *begin, const int64_t *sizes);
/** `count` elements of dimension `axis` (negative: from the end) from `begin` on, every `step`-th.
 */
int32_t nib_onnx_part(nib_onnx_node *n, int32_t a, int32_t axis, int64_t begin, int64_t count,
                      int64_t step);
/** Negative padding crops. */
int32_t nib_onnx_padded(nib_onnx_node *n, int32_t a, const int64_t *low, const int64_t *high,
                        double value);
int32_t nib_onnx_concatenated(nib_onnx_node *n, const int32_t *parts, int32_t count, int32_t axis);
/** Batched matrix product with numpy broadcasting; both operands of rank 2 or more. */
int32_t nib_onnx_product(nib_onnx_node *n, int32_t a, int32_t b);
/** Along the last dimension. */
int32_t nib_onnx_softmax(nib_onnx_node *n, int32_t a);
/** Shape of `t` without the dimensions `axes`, which stay as 1 if `keep`. Returns its rank. */
int32_t nib_onnx_reduced_dims(const nib_tensor *t, const int64_t *axes, int32_t count, bool keep,
                              int64_t *out_dims);
int32_t nib_onnx_mean(nib_onnx_node *n, int32_t a, const int64_t *axes, int32_t count, bool keep);
int32_t nib_onnx_sum(nib_onnx_node *n, int32_t a, const int64_t *axes, int32_t count, bool keep);
/** The mean over the last `count` dimensions, which stay as 1. */
int32_t nib_onnx_mean_last(nib_onnx_node *n, int32_t a, int32_t count);
int32_t nib_onnx_clamped(nib_onnx_node *n, int32_t a, double low, double high);
int32_t nib_onnx_gathered(nib_onnx_node *n, int32_t a, int32_t indices, int32_t axis);
/** The same with the first `batch_dims` dimensions of both going together. */
int32_t nib_onnx_gathered_batches(nib_onnx_node *n, int32_t a, int32_t indices, int32_t axis,
                                  int32_t batch_dims);
int32_t nib_onnx_gathered_nd(nib_onnx_node *n, int32_t a, int32_t indices, int32_t batch_dims);
int32_t nib_onnx_gathered_elements(nib_onnx_node *n, int32_t a, int32_t indices, int32_t axis);
int32_t nib_onnx_scattered_elements(nib_onnx_node *n, int32_t a, int32_t indices, int32_t updates,
                                    int32_t axis);
int32_t nib_onnx_scattered_nd(nib_onnx_node *n, int32_t a, int32_t indices, int32_t updates,
                              const char *reduction);

/** Values of another plain format. */
int32_t nib_onnx_converted(nib_onnx_node *n, int32_t a, nib_format format);

/** The one element of input `i`, a constant of any format; `if_absent` where it is not there. */
nib_status nib_onnx_constant_number(nib_onnx_node *n, size_t i, double if_absent, double *out);

/** Constants. Numbers are rounded to `format`, which is a real or a plain integer format. */
int32_t nib_onnx_constant(nib_onnx_node *n, nib_format format, int32_t rank, const int64_t *dims,
                          const double *values);
int32_t nib_onnx_number(nib_onnx_node *n, nib_format format, double value);
/** i64; `values` are copied. */
int32_t nib_onnx_integers(nib_onnx_node *n, int32_t rank, const int64_t *dims,
                          const int64_t *values);
/** Room for `count` values during import, freed with the graph; NULL after a message. */
double *nib_onnx_doubles(nib_onnx_node *n, int64_t count);
int64_t *nib_onnx_longs(nib_onnx_node *n, int64_t count);

#endif
