/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Activations of dense layers whose weights are in blocks, in a format of blocks as well: a cast
 * before each such layer, one for each tensor that is cast. */
#include "quantize/quantize.h"

#include <stdlib.h>

typedef struct caster {
  nib_graph *g;
  const nib_diag *diag;
  nib_format format;
  int32_t *cast;     /* by tensor: its cast, or NIB_NONE */
  int32_t n_tensors; /* that are in `cast` */
  int layers, cast_layers;
} caster;

static bool is_layer_of_blocks(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  return !nib_node_is_erased(n) && n->op == NIB_OP_FULLY_CONNECTED && x && !x->data && w &&
         w->data && nib_format_get(w->format)->kind == NIB_KIND_BLOCK;
}

static int32_t add_cast(caster *c, int32_t node, int32_t x) {
  const nib_tensor from = c->g->tensors[x];
  const nib_node n = c->g->nodes[node];
  const int32_t to = nib_graph_add_tensor(c->g, from.name, c->format, from.rank, from.dims);
  const int32_t made =
      to == NIB_NONE ? NIB_NONE
                     : nib_graph_add_node(c->g, NIB_OP_CAST, n.name, n.source_index, &x, 1, to);
  if (made == NIB_NONE)
    return NIB_NONE;
  c->g->nodes[made].origin = n.origin;
  return to;
}

static nib_status cast_input(caster *c, int32_t node, bool no_fallback) {
  const nib_node n = c->g->nodes[node];
  const nib_format_info *f = nib_format_get(c->format);
  const nib_tensor *x = &c->g->tensors[n.in[0]];
  const long long columns = x->dims[x->rank - 1];
  if (columns % f->block_elems) {
    static const char text[] =
        "operator %d '%s': its activations stay in f32, as blocks of %s do not "
        "divide rows of %lld";
    if (no_fallback)
      return nib_diag_error(c->diag, NIB_ERROR_LIMIT, text, n.source_index, n.name, f->name,
                            columns);
    nib_diag_note(c->diag, text, n.source_index, n.name, f->name, columns);
    return NIB_OK;
  }
  const bool known = n.in[0] < c->n_tensors;
  int32_t cast = known ? c->cast[n.in[0]] : NIB_NONE;
  if (cast == NIB_NONE)
    cast = add_cast(c, node, n.in[0]);
  if (cast == NIB_NONE)
    return nib_diag_error(c->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory casting activations");
  if (known)
    c->cast[n.in[0]] = cast;
  c->g->nodes[node].in[0] = cast;
  ++c->cast_layers;
  return NIB_OK;
}

nib_status nib_quantize_activations(nib_graph *g, const char *format, bool no_fallback,
                                    const nib_diag *diag) {
  caster c = {.g = g, .diag = diag, .format = nib_format_find(format), .n_tensors = g->n_tensors};
  if (c.format == NIB_FORMAT_COUNT || nib_format_get(c.format)->kind != NIB_KIND_BLOCK)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "activation format '%.100s' is no format of blocks, as q8_0 is", format);
  c.cast = malloc((size_t)(g->n_tensors + 1) * sizeof *c.cast);
  if (!c.cast)
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory casting activations");
  for (int32_t i = 0; i < g->n_tensors; ++i)
    c.cast[i] = NIB_NONE;
  nib_status status = NIB_OK;
  for (int32_t i = 0, n = g->n_nodes; i < n && status == NIB_OK; ++i)
    if (is_layer_of_blocks(g, &g->nodes[i])) {
      ++c.layers;
      if (nib_node_input(g, &g->nodes[i], 0)->format == NIB_F32)
        status = cast_input(&c, i, no_fallback);
    }
  free(c.cast);
  NIB_RETURN_IF_ERROR(status);
  if (c.layers == 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_USAGE,
                          "activation format: no dense layer has weights in blocks");
  nib_diag_note(diag, "activations in %s: %d of %d dense layers with weights in blocks", format,
                c.cast_layers, c.layers);
  return nib_graph_sweep(g, diag);
}
