/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the files of QONNX's operators share. Scales and the like are constants that broadcast to
 * the input x. */
#ifndef NIB_IMPORT_ONNX_QONNX_H
#define NIB_IMPORT_ONNX_QONNX_H

#include "onnx_internal.h"

/** Of a real number to a grid; docs/numerics.md. */
typedef enum nib_qonnx_rounding {
  NIB_QONNX_EVEN,
  NIB_QONNX_CEIL,
  NIB_QONNX_FLOOR,
  NIB_QONNX_UP,   /**< away from zero */
  NIB_QONNX_DOWN, /**< towards zero */
  NIB_QONNX_HALF_UP,
  NIB_QONNX_HALF_DOWN,
  NIB_QONNX_UNKNOWN
} nib_qonnx_rounding;

/** Attribute rounding_mode, in any case of letters. */
nib_status nib_qonnx_read_rounding(nib_onnx_node *n, const char *if_absent,
                                   nib_qonnx_rounding *out);
/** Input `i`: a constant of finite f32 that broadcasts to x; `what` names it in messages. */
nib_status nib_qonnx_read_constant(nib_onnx_node *n, size_t i, const char *what,
                                   const nib_onnx_value *x, const nib_onnx_value **out);
/** The same, but it may come at run time. */
nib_status nib_qonnx_read_operand(nib_onnx_node *n, size_t i, const char *what,
                                  const nib_onnx_value *x, const nib_onnx_value **out);
/** Where it is a constant: positive. */
nib_status nib_qonnx_check_scale(nib_onnx_node *n, const nib_onnx_value *v, const char *what);
/** A positive constant. */
nib_status nib_qonnx_read_scale(nib_onnx_node *n, size_t i, const char *what,
                                const nib_onnx_value *x, const nib_onnx_value **out);
/** Input `i`: one positive number of bits, of whatever type. */
nib_status nib_qonnx_read_bits(nib_onnx_node *n, size_t i, const char *what, int *out);

float nib_qonnx_real_at(const nib_onnx_value *v, int64_t i);
/** Index into `v`, which broadcasts to x, of flat element `i` of x. */
int64_t nib_qonnx_broadcast_at(const nib_onnx_value *v, const nib_onnx_value *x, int64_t i);
/** Whether it is a constant whose elements are all `value`; or all the same. */
bool nib_qonnx_all_are(const nib_onnx_value *v, float value);
bool nib_qonnx_is_uniform(const nib_onnx_value *v);

#endif
