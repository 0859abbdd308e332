/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operands and attributes of QONNX operators. */
#include "onnx_qonnx.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define MAX_BITS 32

static nib_qonnx_rounding find_rounding(const char *name) {
  static const struct {
    const char *name;
    nib_qonnx_rounding mode;
  } rows[] = {
      {"ROUND", NIB_QONNX_EVEN},
      {"HALF_EVEN", NIB_QONNX_EVEN},
      {"CEIL", NIB_QONNX_CEIL},
      {"FLOOR", NIB_QONNX_FLOOR},
      {"UP", NIB_QONNX_UP},
      {"DOWN", NIB_QONNX_DOWN},
      {"ROUND_TO_ZERO", NIB_QONNX_DOWN},
      {"HALF_UP", NIB_QONNX_HALF_UP},
      {"HALF_DOWN", NIB_QONNX_HALF_DOWN},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    size_t k = 0;
    while (name[k] && (name[k] == rows[i].name[k] ||
                       (name[k] >= 'a' && name[k] <= 'z' && name[k] - 32 == rows[i].name[k])))
      ++k;
    if (!name[k] && !rows[i].name[k])
      return rows[i].mode;
  }
  return NIB_QONNX_UNKNOWN;
}

nib_status nib_qonnx_read_rounding(nib_onnx_node *n, const char *if_absent,
                                   nib_qonnx_rounding *out) {
  const char *name = nib_onnx_attr_string(n, "rounding_mode", if_absent);
  *out = find_rounding(name);
  return *out == NIB_QONNX_UNKNOWN ? nib_onnx_invalid(n, "unknown rounding mode '%.40s'", name)
                                   : NIB_OK;
}

float nib_qonnx_real_at(const nib_onnx_value *v, int64_t i) {
  return (float)nib_format_load_real(v->format, v->data, i);
}

static nib_status check_operand(nib_onnx_node *n, const nib_onnx_value *v, const char *what,
                                const nib_onnx_value *x) {
  if (v->format != NIB_F32)
    return nib_onnx_unsupported(n, "its %s is %s, only f32 is supported", what,
                                nib_format_get(v->format)->name);
  int64_t dims[NIB_MAX_RANK];
  int32_t rank;
  NIB_RETURN_IF_ERROR(nib_onnx_broadcast(n, x, v, &rank, dims));
  if (rank != x->rank || (rank && memcmp(dims, x->dims, (size_t)rank * sizeof *dims)))
    return nib_onnx_invalid(n, "its %s has another shape than its input", what);
  for (int64_t k = 0; v->data && k < nib_onnx_elems(v); ++k)
    if (!isfinite(nib_qonnx_real_at(v, k)))
      return nib_onnx_invalid(n, "its %s is %g, not finite", what, (double)nib_qonnx_real_at(v, k));
  return NIB_OK;
}

nib_status nib_qonnx_read_operand(nib_onnx_node *n, size_t i, const char *what,
                                  const nib_onnx_value *x, const nib_onnx_value **out) {
  *out = nib_onnx_input(n, i);
  if (!*out)
    return nib_onnx_invalid(n, "its %s is missing", what);
  return check_operand(n, *out, what, x);
}

nib_status nib_qonnx_read_constant(nib_onnx_node *n, size_t i, const char *what,
                                   const nib_onnx_value *x, const nib_onnx_value **out) {
  const nib_onnx_value *v = nib_onnx_input(n, i);
  *out = v;
  if (!v || !v->data)
    return nib_onnx_unsupported(n, "its %s is not a constant", what);
  return check_operand(n, v, what, x);
}

nib_status nib_qonnx_check_scale(nib_onnx_node *n, const nib_onnx_value *v, const char *what) {
  for (int64_t k = 0; v->data && k < nib_onnx_elems(v); ++k)
    if (nib_qonnx_real_at(v, k) <= 0)
      return nib_onnx_invalid(n, "its %s is %g, not positive", what,
                              (double)nib_qonnx_real_at(v, k));
  return NIB_OK;
}

nib_status nib_qonnx_read_scale(nib_onnx_node *n, size_t i, const char *what,
                                const nib_onnx_value *x, const nib_onnx_value **out) {
  NIB_RETURN_IF_ERROR(nib_qonnx_read_constant(n, i, what, x, out));
  return nib_qonnx_check_scale(n, *out, what);
}

/* A positive number of bits, of whatever type. */
nib_status nib_qonnx_read_bits(nib_onnx_node *n, size_t i, const char *what, int *out) {
  const nib_onnx_value *v = nib_onnx_input(n, i);
  if (!v || !v->data)
    return nib_onnx_unsupported(n, "its %s is not a constant", what);
  if (nib_onnx_elems(v) != 1)
    return nib_onnx_unsupported(n, "its %s has %" PRId64 " elements", what, nib_onnx_elems(v));
  const double bits =
      v->format == NIB_F32 ? (double)nib_qonnx_real_at(v, 0) : (double)nib_onnx_integer_at(v, 0);
  if (!(bits >= 1) || bits != floor(bits))
    return nib_onnx_invalid(n, "its %s is %g, not a positive integer", what, bits);
  if (bits > MAX_BITS)
    return nib_onnx_unsupported(n, "its %s is %g, above %d", what, bits, MAX_BITS);
  *out = (int)bits;
  return NIB_OK;
}

/* Index into `v`, which broadcasts to x, of flat element `i` of x. */
int64_t nib_qonnx_broadcast_at(const nib_onnx_value *v, const nib_onnx_value *x, int64_t i) {
  int64_t at = 0, stride = 1;
  for (int32_t r = x->rank - 1, k = v->rank - 1; k >= 0; --r, --k) {
    if (v->dims[k] != 1)
      at += i % x->dims[r] * stride;
    stride *= v->dims[k];
    i /= x->dims[r];
  }
  return at;
}

bool nib_qonnx_all_are(const nib_onnx_value *v, float value) {
  if (!v->data)
    return false;
  for (int64_t k = 0; k < nib_onnx_elems(v); ++k)
    if (nib_qonnx_real_at(v, k) != value)
      return false;
  return true;
}

bool nib_qonnx_is_uniform(const nib_onnx_value *v) {
  return v->data && nib_qonnx_all_are(v, nib_qonnx_real_at(v, 0));
}
