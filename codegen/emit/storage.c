// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Storage of planned tensors.
#include "emit/storage.h"

static bool is_view(nib_op op) { return nib_op_get(op)->family == NIB_FAMILY_VIEW; }

/* The tensor whose storage `tensor` uses, or NIB_NONE. A graph output that is a view may own the
 * storage of what it views. */
static int32_t viewed(const nib_graph *g, int32_t tensor) {
  const nib_tensor *t = &g->tensors[tensor];
  if (t->alias_of != NIB_NONE)
    return t->alias_of;
  if (t->producer == NIB_NONE)
    return NIB_NONE;
  const nib_node *n = &g->nodes[t->producer];
  const bool follows = n->kernel == NIB_NONE && is_view(n->op);
  return follows && g->tensors[n->in[0]].alias_of != tensor ? n->in[0] : NIB_NONE;
}

static int32_t base_of(const nib_graph *g, int32_t tensor) {
  for (int32_t steps = 0; steps < g->n_tensors; ++steps) {
    int32_t next = viewed(g, tensor);
    if (next == NIB_NONE || g->tensors[tensor].arena_offset >= 0)
      break;
    tensor = next;
  }
  return tensor;
}

nib_storage nib_storage_of(const nib_graph *g, int32_t tensor) {
  const int32_t base = base_of(g, tensor);
  const nib_tensor *t = &g->tensors[base];
  if (t->data)
    return (nib_storage){.kind = NIB_STORAGE_CONSTANT, .index = base};
  for (int32_t i = 0; i < g->n_inputs; ++i)
    if (g->inputs[i] == base)
      return (nib_storage){.kind = NIB_STORAGE_INPUT, .index = i};
  if (t->arena_offset >= 0)
    return (nib_storage){.kind = NIB_STORAGE_ARENA, .offset = t->arena_offset};
  for (int32_t i = 0; i < g->n_outputs; ++i)
    if (base_of(g, g->outputs[i]) == base)
      return (nib_storage){.kind = NIB_STORAGE_OUTPUT, .index = i};
  return (nib_storage){.kind = NIB_STORAGE_NONE};
}

bool nib_storage_overlaps(const nib_graph *g, int32_t a, int32_t b) {
  nib_storage x = nib_storage_of(g, a), y = nib_storage_of(g, b);
  if (x.kind != y.kind)
    return false;
  if (x.kind != NIB_STORAGE_ARENA)
    return x.index == y.index;
  return x.offset < y.offset + (int64_t)nib_tensor_bytes(&g->tensors[b]) &&
         y.offset < x.offset + (int64_t)nib_tensor_bytes(&g->tensors[a]);
}

bool nib_storage_overlaps_any(const nib_graph *g, const int32_t *tensors, int32_t n,
                              int32_t other) {
  for (int32_t i = 0; i < n; ++i)
    if (nib_storage_overlaps(g, tensors[i], other))
      return true;
  return false;
}
