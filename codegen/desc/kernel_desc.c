/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Kernel descriptions from the nodes of a graph: shapes, work and compulsory traffic. */
#include "desc/kernel_desc.h"

#include "params/params.h"

#include <stdlib.h>
#include <string.h>

static int64_t count_conv_macs(const nib_graph *g, const nib_node *n) {
  nib_conv_shape s;
  nib_params_conv_shape(g, n, &s);
  const int64_t taps = s.kernel_h * s.kernel_w;
  if (n->op == NIB_OP_TRANSPOSE_CONV2D)
    return s.batch * s.in_h * s.in_w * s.in_c * taps * s.out_c;
  const int64_t groups = s.groups > 0 ? s.groups : 1;
  return s.batch * s.out_h * s.out_w * s.out_c * taps * (s.in_c / groups);
}

static int64_t count_matmul_macs(const nib_graph *g, const nib_node *n) {
  const nib_tensor *lhs = nib_node_input(g, n, 0);
  const int64_t k = lhs->rank > 0 ? lhs->dims[lhs->rank - 1] : 1;
  return nib_tensor_elems(&g->tensors[n->out]) * k;
}

/* What the table says of the operator, in multiply-accumulates and operations on elements. */
static void count_work(const nib_graph *g, const nib_node *n, nib_kernel_desc *d) {
  const nib_op_info *op = nib_op_get(n->op);
  const int64_t out_elems = nib_tensor_elems(&g->tensors[n->out]);
  int64_t elems = out_elems;
  switch (op->family) {
  case NIB_FAMILY_FILTER:
    d->macs += count_conv_macs(g, n);
    break;
  case NIB_FAMILY_MATMUL:
    d->macs += count_matmul_macs(g, n);
    break;
  case NIB_FAMILY_WINDOW:
    elems *= nib_node_ints_at(n, NIB_A_KERNEL, 0, 1) * nib_node_ints_at(n, NIB_A_KERNEL, 1, 1);
    break;
  case NIB_FAMILY_REDUCE:
    elems = nib_tensor_elems(nib_node_input(g, n, 0));
    break;
  default:
    break;
  }
  d->elementwise += op->work * elems;
}

static void copy_text(char *to, size_t capacity, const char *from) {
  size_t n = strlen(from);
  if (n >= capacity)
    n = capacity - 1;
  memcpy(to, from, n);
  to[n] = '\0';
}

static void add_tensor(const nib_graph *g, int32_t id, const char *role, nib_kernel_desc *d) {
  const nib_tensor *t = &g->tensors[id];
  /* The last slot is kept for the result: of a concat with many operands the first are listed. */
  const int32_t limit = strcmp(role, "out") == 0 ? NIB_DESC_MAX_TENSORS : NIB_DESC_MAX_TENSORS - 1;
  if (d->n_tensors >= limit)
    return;
  nib_desc_tensor *out = &d->tensors[d->n_tensors++];
  copy_text(out->role, sizeof out->role, role);
  copy_text(out->format, sizeof out->format, nib_format_get(t->format)->name);
  out->rank = t->rank;
  memcpy(out->dims, t->dims, sizeof out->dims);
}

static bool seen_before(const nib_graph *g, const int32_t *nodes, int32_t node_at, int32_t slot,
                        int32_t tensor) {
  for (int32_t i = 0; i <= node_at; ++i) {
    const nib_node *n = &g->nodes[nodes[i]];
    const int32_t end = i == node_at ? slot : n->n_in;
    for (int32_t s = 0; s < end; ++s)
      if (n->in[s] == tensor)
        return true;
  }
  return false;
}

static bool made_inside(const nib_graph *g, const int32_t *nodes, int32_t n, int32_t tensor) {
  for (int32_t i = 0; i < n; ++i)
    if (g->nodes[nodes[i]].out == tensor)
      return true;
  return false;
}

static void describe_operands(const nib_graph *g, const int32_t *nodes, int32_t n,
                              nib_kernel_desc *d) {
  for (int32_t i = 0; i < n; ++i) {
    const nib_node *node = &g->nodes[nodes[i]];
    for (int32_t s = 0; s < node->n_in; ++s) {
      const int32_t id = node->in[s];
      if (id == NIB_NONE || made_inside(g, nodes, n, id) || seen_before(g, nodes, i, s, id))
        continue;
      const nib_tensor *t = &g->tensors[id];
      if (t->data != NULL) {
        d->weight_bytes += (int64_t)nib_tensor_bytes(t);
        add_tensor(g, id, "weight", d);
      } else {
        d->input_bytes += (int64_t)nib_tensor_bytes(t);
        add_tensor(g, id, "in", d);
      }
    }
  }
}

static void describe_window(const nib_graph *g, const nib_node *n, nib_kernel_desc *d) {
  switch (nib_op_get(n->op)->family) {
  case NIB_FAMILY_FILTER: {
    nib_conv_shape s;
    nib_params_conv_shape(g, n, &s);
    d->kernel[0] = s.kernel_h;
    d->kernel[1] = s.kernel_w;
    d->strides[0] = s.stride_h;
    d->strides[1] = s.stride_w;
    d->dilations[0] = s.dilation_h;
    d->dilations[1] = s.dilation_w;
    d->pads[0] = s.pad_top;
    d->pads[1] = s.pad_left;
    d->pads[2] = s.pad_bottom;
    d->pads[3] = s.pad_right;
    break;
  }
  case NIB_FAMILY_WINDOW:
    for (int i = 0; i < 2; ++i) {
      d->kernel[i] = nib_node_ints_at(n, NIB_A_KERNEL, i, 1);
      d->strides[i] = nib_node_ints_at(n, NIB_A_STRIDES, i, 1);
    }
    for (int i = 0; i < 4; ++i)
      d->pads[i] = nib_node_ints_at(n, NIB_A_PADS, i, 0);
    break;
  default:
    break;
  }
}

nib_desc_row nib_kernel_desc_row(const nib_kernel_desc *d) {
  const int64_t taps = d->kernel[1], stride = d->strides[1] > 0 ? d->strides[1] : 1;
  if (d->n_ops == 0 || nib_op_find(d->ops[0]) != NIB_OP_TRANSPOSE_CONV2D)
    return (nib_desc_row){taps, stride, 1, 1};
  const bool folds = strcmp(d->schedule, "conv_rows") == 0 && d->tile[2] > 1;
  return (nib_desc_row){(taps + stride - 1) / stride, 1, stride, folds ? d->tile[2] : 1};
}

nib_status nib_kernel_desc_from_nodes(const nib_graph *g, const int32_t *nodes, int32_t n,
                                      nib_kernel_desc *out_desc) {
  nib_kernel_desc *d = out_desc;
  memset(d, 0, sizeof *d);
  if (n <= 0)
    return NIB_ERROR_INVALID_USAGE;
  for (int i = 0; i < 2; ++i)
    d->kernel[i] = d->strides[i] = d->dilations[i] = 1;
  for (int32_t i = 0; i < n; ++i) {
    const nib_node *node = &g->nodes[nodes[i]];
    if (d->n_ops < NIB_DESC_MAX_OPS)
      copy_text(d->ops[d->n_ops++], sizeof d->ops[0], nib_op_get(node->op)->mnemonic);
    count_work(g, node, d);
  }
  const nib_node *root = &g->nodes[nodes[0]];
  const int32_t result = g->nodes[nodes[n - 1]].out;
  describe_window(g, root, d);
  describe_operands(g, nodes, n, d);
  add_tensor(g, result, "out", d);
  d->output_bytes = (int64_t)nib_tensor_bytes(&g->tensors[result]);
  copy_text(d->rounding, sizeof d->rounding, nib_rounding_name(nib_node_rounding(g, root)));
  d->working_set_bytes = d->input_bytes + d->weight_bytes + d->output_bytes;
  return NIB_OK;
}

void nib_kernel_desc_free(nib_kernel_desc *d) {
  if (d == NULL)
    return;
  free(d->body);
  d->body = NULL;
}
