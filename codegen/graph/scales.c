/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Which scale an element has. */
#include "graph/graph.h"

/* Dimension `d` of x has `count` scales, `stride` apart. */
static void add_dimension(nib_scale_map *m, const nib_tensor *x, int32_t d, int64_t count,
                          int64_t stride) {
  int64_t inner = x->dims[d] / count;
  if (count == 1)
    return;
  for (int32_t i = d + 1; i < x->rank; ++i)
    inner *= x->dims[i];
  m->divide[m->n] = inner;
  m->extent[m->n] = count;
  m->stride[m->n++] = stride;
}

bool nib_scale_map_of(const nib_tensor *x, const nib_tensor *scales, int64_t axis,
                      nib_scale_map *out) {
  out->n = 0;
  axis += axis < 0 ? x->rank : 0;
  if (nib_tensor_elems(scales) == 1)
    return true;
  if (scales->rank == 1 && axis >= 0 && axis < x->rank && scales->dims[0] == x->dims[axis]) {
    add_dimension(out, x, (int32_t)axis, scales->dims[0], 1);
    return true;
  }
  if (scales->rank != x->rank)
    return false;
  for (int32_t d = 0; d < x->rank; ++d)
    if (scales->dims[d] < 1 || x->dims[d] % scales->dims[d])
      return false;
  int64_t stride = 1;
  for (int32_t d = x->rank - 1; d >= 0; --d) {
    add_dimension(out, x, d, scales->dims[d], stride);
    stride *= scales->dims[d];
  }
  return true;
}

int64_t nib_scale_map_at(const nib_scale_map *m, int64_t i) {
  int64_t at = 0;
  for (int32_t k = 0; k < m->n; ++k)
    at += i / m->divide[k] % m->extent[k] * m->stride[k];
  return at;
}
