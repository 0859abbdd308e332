/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Requantization of raw accumulators with given multipliers, as TOSA spells a quantized layer: it
 * goes into the layer where scales in f64 say the same multipliers exactly. */
#include "simplify/simplify.h"

#include "params/params.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool rounds_twice(nib_rounding r) {
  return r == NIB_ROUNDING_TFLITE_DOUBLE || r == NIB_ROUNDING_TOSA_DOUBLE;
}

/* Filter scales that stand for the multipliers, or NIB_NONE. One rounding depends on the product m
 * / 2^s alone; two depend on m and s, which a scale keeps if m has its 31 bits. */
static int32_t scales_of(nib_simplify *s, const nib_node *n, double sx, double sy,
                         nib_rounding rounding) {
  const nib_tensor *m = nib_node_input(s->g, n, 2), *shifts = nib_node_input(s->g, n, 3);
  const int64_t count = nib_tensor_elems(m);
  double *scales = malloc((size_t)count * sizeof *scales + 1);
  bool exact = scales != NULL;
  for (int64_t i = 0; exact && i < count; ++i) {
    int32_t multiplier;
    memcpy(&multiplier, (const char *)m->data + (size_t)i * sizeof multiplier, sizeof multiplier);
    const int shift = ((const int8_t *)shifts->data)[i];
    const double real = ldexp(multiplier, -shift);
    scales[i] = real * sy / sx;
    exact = multiplier > 0 && scales[i] > 0 && sx * scales[i] / sy == real;
    int exponent = 0; /* of the multiplier with its 31 bits: shift 31 - exponent */
    frexp(real, &exponent);
    if (rounds_twice(rounding) && multiplier < (1 << 30) && 31 - exponent > 31)
      exact = false;
    exact = exact && exponent <= 30;
  }
  const int32_t id =
      exact ? nib_simplify_add_constant(s, "multipliers", NIB_F64, 1, &count, scales) : NIB_NONE;
  free(scales);
  return id;
}

/* The filter as plain i8, as filter_scales want it; NIB_NONE where its zero point counts. */
static int32_t plain_filter(nib_simplify *s, int32_t filter) {
  const nib_tensor w = s->g->tensors[filter];
  if (w.format != NIB_I8 || (w.quantized && w.zero_point != 0))
    return NIB_NONE;
  if (!w.quantized)
    return filter;
  return w.data ? nib_simplify_add_constant(s, w.name, NIB_I8, w.rank, w.dims, w.data) : NIB_NONE;
}

bool nib_simplify_accumulator_absorb(nib_simplify *s, int32_t node) {
  nib_graph *g = s->g;
  const nib_node n = g->nodes[node];
  const int32_t p = nib_simplify_producer(s, n.in[0]);
  const nib_tensor *m = nib_node_input(g, &n, 2), *shifts = nib_node_input(g, &n, 3);
  const nib_tensor acc = g->tensors[n.in[0]], y = g->tensors[n.out];
  if (p == NIB_NONE || !m || !shifts || !m->data || !shifts->data || !y.quantized ||
      nib_op_get(g->nodes[p].op)->family != NIB_FAMILY_FILTER ||
      !nib_simplify_is_single_use(s, n.in[0]) || nib_node_attr(&g->nodes[p], NIB_A_CLAMP) ||
      (nib_tensor_elems(m) > 1 && nib_node_int(&n, NIB_A_AXIS, acc.rank - 1) != acc.rank - 1))
    return false;
  const nib_node conv = g->nodes[p];
  const nib_tensor x = g->tensors[conv.in[0]];
  const nib_rounding rounding = nib_node_rounding(g, &n);
  const bool wide = x.format == NIB_I16;
  /* i16 activations have 64-bit accumulators and their own rounding once scales are there. */
  if (!x.quantized || acc.format != (wide ? NIB_I64 : NIB_I32) ||
      (rounding == NIB_ROUNDING_TFLITE_DOUBLE && conv.op == NIB_OP_FULLY_CONNECTED) ||
      (wide &&
       (rounding == NIB_ROUNDING_TFLITE_AWAY ||
        (conv.n_in > 2 && conv.in[2] != NIB_NONE && g->tensors[conv.in[2]].format != NIB_I64))))
    return false;
  const int32_t filter = plain_filter(s, conv.in[1]);
  const int32_t scales =
      filter == NIB_NONE ? NIB_NONE : scales_of(s, &n, x.scale, y.scale, rounding);
  int32_t *in = scales == NIB_NONE ? NULL : nib_graph_alloc(g, 4 * sizeof *in);
  if (in == NULL)
    return false;
  in[0] = conv.in[0];
  in[1] = filter;
  in[2] = conv.n_in > 2 ? conv.in[2] : NIB_NONE;
  in[3] = scales;
  g->nodes[p].in = in;
  g->nodes[p].n_in = 4;
  nib_simplify_check(s, nib_graph_set_string(g, p, NIB_A_ROUNDING, nib_rounding_name(rounding)));
  nib_simplify_take_over(s, p, n.out);
  return true;
}
