/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * nib_graph: readable dump. */
#include "graph/graph.h"

#include "emit/text.h"

#include <inttypes.h>

static uint64_t fnv1a(const unsigned char *p, size_t n) {
  uint64_t h = UINT64_C(0xcbf29ce484222325);
  for (size_t i = 0; i < n; ++i)
    h = (h ^ p[i]) * UINT64_C(0x100000001b3);
  return h;
}

static void print_type(nib_text *t, const nib_tensor *x) {
  for (int32_t i = 0; i < x->rank; ++i)
    nib_text_printf(t, "%" PRId64 "x", x->dims[i]);
  nib_text_printf(t, "%s", nib_format_get(x->format)->name);
  if (x->quantized)
    nib_text_printf(t, " scale %.17g zp %" PRId64, x->scale, x->zero_point);
}

static void print_tensor(nib_text *t, const nib_graph *g, int32_t id) {
  const nib_tensor *x = &g->tensors[id];
  nib_text_printf(t, "  %%%d \"%s\": ", id, x->name);
  print_type(t, x);
  if (x->data)
    nib_text_printf(t, " = #%016" PRIx64, fnv1a(x->data, x->data_bytes));
  if (x->alias_of != NIB_NONE)
    nib_text_printf(t, " alias %%%d", x->alias_of);
  if (x->arena_offset >= 0)
    nib_text_printf(t, " at %" PRId64, x->arena_offset);
  nib_text_printf(t, "\n");
}

static void print_attr(nib_text *t, const nib_attr *a) {
  const nib_attr_info *info = nib_attr_get(a->id);
  nib_text_printf(t, " %s=", info->name);
  switch (info->kind) {
  case NIB_ATTR_INT:
    nib_text_printf(t, "%" PRId64, a->u.i);
    break;
  case NIB_ATTR_INTS:
    for (int32_t i = 0; i < a->u.ints.n; ++i)
      nib_text_printf(t, "%s%" PRId64, i ? "," : "[", a->u.ints.v[i]);
    nib_text_printf(t, a->u.ints.n ? "]" : "[]");
    break;
  case NIB_ATTR_FLOAT:
    nib_text_printf(t, "%.17g", a->u.f);
    break;
  case NIB_ATTR_STRING:
    nib_text_printf(t, "%s", a->u.s);
    break;
  case NIB_ATTR_DATA:
    break;
  }
}

static void print_node(nib_text *t, const nib_node *n) {
  nib_text_printf(t, "  %%%d = %s(", n->out, nib_op_get(n->op)->mnemonic);
  for (int32_t i = 0; i < n->n_in; ++i)
    if (n->in[i] == NIB_NONE)
      nib_text_printf(t, "%s_", i ? ", " : "");
    else
      nib_text_printf(t, "%s%%%d", i ? ", " : "", n->in[i]);
  nib_text_printf(t, ")");
  /* In the table's order, so that the order in which attributes were set does not show. */
  for (int id = 0; id < NIB_ATTR_COUNT; ++id) {
    const nib_attr *a = nib_node_attr(n, (nib_attr_id)id);
    if (a)
      print_attr(t, a);
  }
  nib_text_printf(t, "  // %d \"%s\"\n", n->source_index, n->name);
}

static void print_kernel(nib_text *t, const nib_graph *g, const nib_kernel *k) {
  nib_text_printf(t, " kernel %s", k->name);
  if (k->schedule)
    nib_text_printf(t, " schedule=%s vocab=%s tile=[%d,%d,%d,%d,%d]", k->schedule, k->vocab,
                    k->tile[0], k->tile[1], k->tile[2], k->tile[3], k->tile[4]);
  if (k->parts > 1)
    nib_text_printf(t, " parts=%d", k->parts);
  if (k->scratch_bytes)
    nib_text_printf(t, " scratch=%" PRId64 "@%" PRId64, k->scratch_bytes, k->scratch_offset);
  nib_text_printf(t, "\n");
  for (int32_t i = 0; i < k->n_nodes; ++i)
    print_node(t, &g->nodes[k->nodes[i]]);
}

char *nib_graph_to_text(const nib_graph *g) {
  nib_text t;
  nib_text_init(&t);
  nib_text_printf(&t, "graph %s rounding %s\n", g->name, g->rounding);
  if (g->arena_bytes >= 0)
    nib_text_printf(&t, " arena %" PRId64 " lower bound %" PRId64 " unfused %" PRId64 "\n",
                    g->arena_bytes, g->lower_bound_bytes, g->unfused_lower_bound_bytes);
  nib_text_printf(&t, " tensors\n");
  for (int32_t i = 0; i < g->n_tensors; ++i)
    print_tensor(&t, g, i);
  nib_text_printf(&t, " inputs");
  for (int32_t i = 0; i < g->n_inputs; ++i)
    nib_text_printf(&t, " %%%d", g->inputs[i]);
  nib_text_printf(&t, "\n outputs");
  for (int32_t i = 0; i < g->n_outputs; ++i)
    nib_text_printf(&t, " %%%d", g->outputs[i]);
  nib_text_printf(&t, "\n nodes\n");
  for (int32_t i = 0; i < g->n_nodes; ++i)
    if (!nib_node_is_erased(&g->nodes[i]) && g->nodes[i].kernel == NIB_NONE)
      print_node(&t, &g->nodes[i]);
  for (int32_t i = 0; i < g->n_kernels; ++i)
    print_kernel(&t, g, &g->kernels[i]);
  if (t.failed) {
    nib_text_free(&t);
    return NULL;
  }
  return t.data;
}
