/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Rules of operators that only move data: the type stays, the shape follows from the attributes. */
#include "graph/validate_rules.h"

#include <math.h>

static bool check_same_type(nib_check *c, const nib_tensor *in) {
  if (nib_same_type(in, c->out))
    return true;
  nib_check_fail(c, "its input and result differ in type or quantization");
  return false;
}

static bool check_same_rank(nib_check *c, const nib_tensor *in) {
  if (in->rank == c->out->rank)
    return true;
  nib_check_fail(c, "%d dimensions become %d", in->rank, c->out->rank);
  return false;
}

static void check_dim(nib_check *c, int32_t i, int64_t wanted) {
  if (c->out->dims[i] != wanted)
    nib_check_fail(c, "dimension %d of its result is %lld, expected %lld", i,
                   (long long)c->out->dims[i], (long long)wanted);
}

void nib_check_constant(nib_check *c) {
  nib_check_fail(c, "constants are tensors with data, not operators");
}

void nib_check_view(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  check_same_type(c, in);
  if (nib_tensor_elems(in) != nib_tensor_elems(c->out))
    nib_check_fail(c, "%lld elements become %lld", (long long)nib_tensor_elems(in),
                   (long long)nib_tensor_elems(c->out));
}

/* squeeze and expand_dims: the dimensions other than 1 stay. */
void nib_check_unit_dims(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  check_same_type(c, in);
  int32_t i = 0, o = 0;
  bool same = true;
  while (same && (i < in->rank || o < c->out->rank)) {
    if (i < in->rank && in->dims[i] == 1)
      ++i;
    else if (o < c->out->rank && c->out->dims[o] == 1)
      ++o;
    else
      same = i < in->rank && o < c->out->rank && in->dims[i++] == c->out->dims[o++];
  }
  if (!same)
    nib_check_fail(c, "its input and result differ in more than dimensions of 1");
}

void nib_check_scast(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  if (nib_is_float(in) || nib_is_float(c->out) ||
      nib_format_get(in->format)->bits != nib_format_get(c->out->format)->bits)
    nib_check_fail(c, "its input and result must be integers of one width");
  if (!nib_same_shape(in, c->out))
    nib_check_fail(c, "its input and result differ in shape");
}

static void check_packed(nib_check *c, const nib_tensor *logical, const nib_tensor *packed) {
  const size_t bytes = nib_format_packed_bytes(logical->format, nib_tensor_elems(logical));
  if (packed->quantized || (packed->format != NIB_I8 && packed->format != NIB_U8) ||
      packed->rank != 1)
    nib_check_fail(c, "packed bytes are a plain i8 or ui8 tensor of one dimension");
  else if (nib_tensor_bytes(packed) != bytes)
    nib_check_fail(c, "%zu packed bytes, but the tensor has %zu", nib_tensor_bytes(packed), bytes);
}

void nib_check_pack(nib_check *c) { check_packed(c, nib_check_in(c, 0), c->out); }

void nib_check_unpack(nib_check *c) { check_packed(c, c->out, nib_check_in(c, 0)); }

void nib_check_pad(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  int64_t low[NIB_MAX_RANK], high[NIB_MAX_RANK];
  if (!check_same_type(c, in) || !check_same_rank(c, in) ||
      !nib_check_ints(c, NIB_A_LOW, in->rank, 0, 0, low) ||
      !nib_check_ints(c, NIB_A_HIGH, in->rank, 0, 0, high))
    return;
  for (int32_t i = 0; i < in->rank; ++i)
    check_dim(c, i, low[i] + in->dims[i] + high[i]);
  const nib_format_info *info = nib_format_get(in->format);
  double value = nib_node_float(c->n, NIB_A_PAD_VALUE, 0);
  bool is_code = fabs(value) <= 4503599627370496.0 && value == (double)(int64_t)value &&
                 (int64_t)value >= info->min && (int64_t)value <= info->max;
  if (nib_node_attr(c->n, NIB_A_PAD_VALUE) && info->kind != NIB_KIND_FLOAT && !is_code)
    nib_check_fail(c, "its pad_value %g is no code of %s", value, info->name);
}

void nib_check_transpose(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  int64_t perm[NIB_MAX_RANK];
  bool seen[NIB_MAX_RANK] = {false};
  if (!check_same_type(c, in) || !check_same_rank(c, in) ||
      !nib_check_ints(c, NIB_A_PERM, in->rank, 0, -1, perm))
    return;
  for (int32_t i = 0; i < in->rank; ++i) {
    if (perm[i] < 0 || perm[i] >= in->rank || seen[perm[i]]) {
      nib_check_fail(c, "its perm is not a permutation of %d dimensions", in->rank);
      return;
    }
    seen[perm[i]] = true;
    check_dim(c, i, in->dims[perm[i]]);
  }
}

/* Codes may change their scale on the way: TFLite's concatenation of u8. */
static bool may_concatenate(nib_check *c, const nib_tensor *in) {
  return (in->quantized && c->out->quantized && in->format == c->out->format) ||
         check_same_type(c, in);
}

void nib_check_concat(nib_check *c) {
  int64_t axis = nib_node_int(c->n, NIB_A_AXIS, 0), total = 0;
  if (axis < 0 || axis >= c->out->rank) {
    nib_check_fail(c, "its axis is %lld of %d dimensions", (long long)axis, c->out->rank);
    return;
  }
  for (int32_t k = 0; k < c->n->n_in; ++k) {
    const nib_tensor *in = nib_check_in(c, k);
    if (!may_concatenate(c, in) || !check_same_rank(c, in))
      return;
    total += in->dims[axis];
    for (int32_t i = 0; i < in->rank; ++i)
      if (i != axis)
        check_dim(c, i, in->dims[i]);
  }
  check_dim(c, (int32_t)axis, total);
}

void nib_check_slice(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  int64_t begin[NIB_MAX_RANK], sizes[NIB_MAX_RANK];
  if (!check_same_type(c, in) || !check_same_rank(c, in) ||
      !nib_check_ints(c, NIB_A_BEGIN, in->rank, 0, 0, begin) ||
      !nib_check_ints(c, NIB_A_SIZES, in->rank, 1, 0, sizes))
    return;
  for (int32_t i = 0; i < in->rank; ++i) {
    check_dim(c, i, sizes[i]);
    if (begin[i] + sizes[i] > in->dims[i])
      nib_check_fail(c, "it takes %lld to %lld of %lld in dimension %d", (long long)begin[i],
                     (long long)(begin[i] + sizes[i]), (long long)in->dims[i], i);
  }
}

void nib_check_strided_slice(nib_check *c) {
  const nib_tensor *in = nib_check_in(c, 0);
  int64_t begin[NIB_MAX_RANK], steps[NIB_MAX_RANK];
  if (!check_same_type(c, in) || !check_same_rank(c, in) ||
      !nib_check_ints(c, NIB_A_BEGIN, in->rank, 0, 0, begin) ||
      !nib_check_ints(c, NIB_A_STEPS, in->rank, INT32_MIN, 1, steps))
    return;
  for (int32_t i = 0; i < in->rank; ++i) {
    int64_t last = begin[i] + (c->out->dims[i] - 1) * steps[i];
    if (steps[i] == 0 || begin[i] >= in->dims[i] || last < 0 || last >= in->dims[i])
      nib_check_fail(c, "it takes %lld to %lld in steps of %lld of %lld in dimension %d",
                     (long long)begin[i], (long long)last, (long long)steps[i],
                     (long long)in->dims[i], i);
  }
}
