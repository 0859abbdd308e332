// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Boxes of elements that are copied, with as few dimensions as they need.
#include "schedule/copy_box.h"

#include <string.h>

void nib_copy_box_strides(const nib_tensor *t, int64_t out_strides[NIB_MAX_RANK]) {
  int64_t stride = 1;
  for (int32_t i = t->rank - 1; i >= 0; --i) {
    out_strides[i] = stride;
    stride *= t->dims[i];
  }
}

void nib_copy_box_simplify(nib_copy_box *b) {
  int32_t n = 0;
  for (int32_t i = 0; i < b->rank; ++i) {
    if (b->dims[i] == 1)
      continue;
    if (n && b->from_stride[n - 1] == b->from_stride[i] * b->dims[i] &&
        b->to_stride[n - 1] == b->to_stride[i] * b->dims[i]) {
      b->dims[n - 1] *= b->dims[i];
      b->from_stride[n - 1] = b->from_stride[i];
      b->to_stride[n - 1] = b->to_stride[i];
      continue;
    }
    b->dims[n] = b->dims[i];
    b->from_stride[n] = b->from_stride[i];
    b->to_stride[n] = b->to_stride[i];
    n++;
  }
  b->rank = n;
}

void nib_copy_box_take_out(nib_copy_box *b, int32_t at) {
  for (int32_t i = at; i + 1 < b->rank; ++i) {
    b->dims[i] = b->dims[i + 1];
    b->from_stride[i] = b->from_stride[i + 1];
    b->to_stride[i] = b->to_stride[i + 1];
  }
  --b->rank;
}

void nib_copy_box_transpose(const nib_graph *g, const nib_node *n, nib_copy_box *out_box) {
  const nib_tensor *x = nib_node_input(g, n, 0), *y = &g->tensors[n->out];
  int64_t strides[NIB_MAX_RANK];
  memset(out_box, 0, sizeof *out_box);
  out_box->rank = y->rank;
  nib_copy_box_strides(x, strides);
  nib_copy_box_strides(y, out_box->to_stride);
  for (int32_t i = 0; i < y->rank; ++i) {
    const int64_t from = nib_node_ints_at(n, NIB_A_PERM, i, x->rank - 1 - i);
    out_box->dims[i] = y->dims[i];
    out_box->from_stride[i] = strides[from >= 0 && from < x->rank ? from : i];
  }
}
