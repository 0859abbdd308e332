// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
// bit_planes: dense layers of operands of few bits. Bit i of all codes of a row is a plane of
// words, and the product of two planes is the number of ones of their AND:
//
//   sum of x w = sum over planes of a_i b_j ones(x_i & w_j)
//
// with a_i = 2^i, negative for a sign bit. A number that is m code + z (a zero point, or a bipolar
// code: 2 code - (2^b - 1)) adds multiples of the sums of codes. Two bipolar operands take XOR,
// which needs no sums: sum of 2^(i+j) (K - 2 ones(x_i ^ w_j)). Weights are planes at compile time;
// rows of activations become planes in scratch. What follows the product is that of the direct
// schedule.
#include "schedule/direct.h"

#include "num/code_value.h"
#include "params/params.h"

#include <stdlib.h>
#include <string.h>

typedef long long ll;

enum { MAX_PLANES = 4, MAX_TERMS = 2 * MAX_PLANES * MAX_PLANES };

/* Numbers of an operand: m code + z, codes being the sum of weight[i] bit i. */
typedef struct planes {
  int n;
  int64_t weight[MAX_PLANES];
  int64_t m, z;
  bool bipolar;
} planes;

/* Products of planes that have one factor are counted together. */
typedef struct layer {
  planes x, w;
  bool by_xor;
  int64_t rows, k, words, outputs;
  int64_t factor[MAX_TERMS]; /* of each counter */
  int counter[MAX_PLANES][MAX_PLANES];
  int n_counters;
} layer;

static bool read_planes(const nib_tensor *t, int64_t zero_point, planes *out) {
  const nib_format_info *f = nib_format_get(t->format);
  const bool integer = f->kind == NIB_KIND_SIGNED || f->kind == NIB_KIND_UNSIGNED;
  *out = (planes){.n = f->bits, .m = 1, .z = -zero_point, .bipolar = f->kind == NIB_KIND_BIPOLAR};
  if ((!integer && !out->bipolar) || f->bits > MAX_PLANES || f->bytes != 1)
    return false;
  for (int i = 0; i < f->bits; ++i)
    out->weight[i] = INT64_C(1) << i;
  if (f->kind == NIB_KIND_SIGNED)
    out->weight[f->bits - 1] = -out->weight[f->bits - 1];
  if (out->bipolar) {
    out->m = 2;
    out->z = 1 - (INT64_C(1) << f->bits);
  }
  return true;
}

static int counter_of(layer *l, int64_t factor) {
  for (int i = 0; i < l->n_counters; ++i)
    if (l->factor[i] == factor)
      return i;
  l->factor[l->n_counters] = factor;
  return l->n_counters++;
}

static bool read_layer(const nib_graph *g, const nib_node *n, const nib_conv_params *p, layer *l) {
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  memset(l, 0, sizeof *l);
  if (!read_planes(x, p->in_zp, &l->x) || !read_planes(w, p->w_zp, &l->w))
    return false;
  l->by_xor = l->x.bipolar && l->w.bipolar;
  l->k = w->dims[1];
  l->words = (l->k + 63) / 64;
  l->outputs = w->dims[0];
  l->rows = nib_tensor_elems(x) / l->k;
  for (int i = 0; i < l->x.n; ++i)
    for (int j = 0; j < l->w.n; ++j)
      l->counter[i][j] =
          counter_of(l, l->by_xor ? -(INT64_C(2) << (i + j))
                                  : l->x.m * l->w.m * l->x.weight[i] * l->w.weight[j]);
  return true;
}

static bool accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  const nib_tensor *bias = nib_node_input(g, n, 2);
  if (n->op != NIB_OP_FULLY_CONNECTED || v->bit_words < 1 || !x || !w || !w->data || x->data ||
      (bias && (!bias->data || bias->format != NIB_I32)))
    return false;
  nib_conv_params p;
  if (nib_format_get(x->format)->kind == NIB_KIND_FLOAT || nib_params_conv(g, n, &p) != NIB_OK)
    return false;
  free(p.requant);
  layer l;
  return !p.acc64 && read_layer(g, n, &p, &l) && nib_direct_accepts(g, kernel);
}

static int64_t planes_bytes(const nib_graph *g, const nib_kernel *kernel) {
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const nib_tensor *x = nib_node_input(g, n, 0);
  const int64_t words = (nib_node_input(g, n, 1)->dims[1] + 63) / 64;
  return (words * nib_format_get(x->format)->bits * 8 + 63) / 64 * 64;
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  (void)v;
  return nib_direct_scratch_bytes(g, kernel) + planes_bytes(g, kernel);
}

/* ---- packing at compile time ---- */

/* Planes of the weights: blocks of bit_words outputs; in one, for each word of K, plane by plane,
 * the word of each output. */
static uint64_t *pack_weights(const nib_tensor *w, const layer *l, int64_t lanes,
                              size_t *out_bytes) {
  const int64_t blocks = (l->outputs + lanes - 1) / lanes;
  *out_bytes = (size_t)(blocks * lanes * l->words * l->w.n) * sizeof(uint64_t);
  uint64_t *to = calloc(1, *out_bytes + 1);
  for (int64_t i = 0; to && i < l->outputs * l->k; ++i) {
    const int64_t o = i / l->k, k = i % l->k;
    const int64_t code = nib_format_load_code(w->format, w->data, i);
    for (int j = 0; j < l->w.n; ++j) {
      const int64_t at = ((o / lanes * l->words + k / 64) * l->w.n + j) * lanes + o % lanes;
      to[at] |= (uint64_t)(code >> j & 1) << (k % 64);
    }
  }
  return to;
}

/* What does not depend on the activations: bias, and the weights' part of offsets. */
static int32_t *make_bases(const nib_graph *g, const nib_node *n, const layer *l) {
  const nib_tensor *w = nib_node_input(g, n, 1), *bias = nib_node_input(g, n, 2);
  int32_t *base = calloc((size_t)l->outputs + 1, sizeof *base);
  for (int64_t o = 0; base && o < l->outputs; ++o) {
    int64_t codes = 0;
    for (int64_t k = 0; k < l->k; ++k)
      codes += nib_format_load_code(w->format, w->data, o * l->k + k);
    const int64_t all = (l->x.z * l->w.z) * l->k;
    base[o] = (int32_t)((bias ? ((const int32_t *)bias->data)[o] : 0) +
                        (l->by_xor ? all : all + l->x.z * l->w.m * codes));
  }
  return base;
}

/* ---- emission ---- */

static void say(nib_direct *d, nib_prim prim, const char *to, const char *a, const char *b) {
  const nib_prim_args args = {.d = to, .a = a, .b = b};
  nib_vocab_say(d->e->vocab, prim, &args, d->t);
}

/* One word of all planes of the row against one word of all planes of a block of outputs. */
static void emit_counts(nib_direct *d, const layer *l, const char *weights) {
  const nib_vocab *v = d->e->vocab;
  const nib_prim count = l->by_xor ? NIB_PRIM_BITS_COUNT_XOR : NIB_PRIM_BITS_COUNT_AND;
  for (int c = 0; c < l->n_counters; ++c) {
    nib_text_line(d->t, "%s sum%d;", v->type_bits, c);
    say(d, NIB_PRIM_BITS_SET, nib_expr_printf("sum%d", c).s, "0", NULL);
  }
  nib_direct_for(d, "k", l->words);
  for (int i = 0; i < l->x.n; ++i) {
    nib_text_line(d->t, "%s x%d;", v->type_bits, i);
    say(d, NIB_PRIM_BITS_SET, nib_expr_printf("x%d", i).s,
        nib_expr_printf("bits[%s]", nib_direct_plus("k", i * l->words).s).s, NULL);
  }
  for (int j = 0; j < l->w.n; ++j) {
    nib_text_line(d->t, "%s w%d;", v->type_bits, j);
    say(d, NIB_PRIM_BITS_LOAD, nib_expr_printf("w%d", j).s,
        nib_expr_printf("%s + o * %lld + k * %d + %d", weights, (ll)(l->words * l->w.n),
                        l->w.n * v->bit_words, j * v->bit_words)
            .s,
        NULL);
    for (int i = 0; i < l->x.n; ++i)
      say(d, count, nib_expr_printf("sum%d", l->counter[i][j]).s, nib_expr_printf("x%d", i).s,
          nib_expr_printf("w%d", j).s);
  }
  nib_text_close(d->t, "");
}

/* base[channel] + the counters by their factors. `element` is "" or an index into stored ones. */
static nib_expr sum_of(const layer *l, const char *base, const char *channel, const char *element) {
  nib_expr sum = nib_expr_printf("%s[%s]", base, channel);
  for (int c = 0; c < l->n_counters; ++c) {
    const ll f = l->factor[c];
    const char *name = element[0] ? "sums" : "sum";
    nib_expr value = nib_expr_printf("(int32_t)%s%d%s", name, c, element);
    if (f != 1 && f != -1)
      value = nib_expr_printf("%s * %lld", value.s, f < 0 ? -f : f);
    sum = nib_expr_printf("%s %s %s", sum.s, f < 0 ? "-" : "+", value.s);
  }
  const int64_t offset = l->by_xor ? 0 : l->x.m * l->w.z;
  if (offset)
    sum = nib_expr_printf("%s + offset", sum.s);
  return sum;
}

static void emit_outputs(nib_direct *d, const nib_node *n, const layer *l, const nib_conv_params *p,
                         const char *weights, const char *base) {
  const nib_vocab *v = d->e->vocab;
  const int64_t lanes = v->bit_words;
  const char *channel = lanes > 1 ? "c" : "o";
  nib_expr index = l->rows > 1 ? nib_expr_printf("m * %lld + %s", (ll)l->outputs, channel)
                               : nib_expr_printf("%s", channel);
  nib_text_open(d->t, "for (%s o = 0; o < %lld; o += %lld) {", d->index, (ll)l->outputs, (ll)lanes);
  emit_counts(d, l, weights);
  if (lanes == 1) {
    nib_text_line(d->t, "const int32_t acc = %s;", sum_of(l, base, "o", "").s);
    nib_direct_finish_sum(d, n, p, index.s, "o");
  } else {
    for (int c = 0; c < l->n_counters; ++c) {
      nib_text_line(d->t, "uint64_t sums%d[%lld];", c, (ll)lanes);
      say(d, NIB_PRIM_BITS_STORE, NULL, nib_expr_printf("sums%d", c).s,
          nib_expr_printf("sum%d", c).s);
    }
    const bool whole = l->outputs % lanes == 0;
    nib_text_open(d->t, "for (%s c = o; c < o + %lld%s; ++c) {", d->index, (ll)lanes,
                  whole ? "" : nib_expr_printf(" && c < %lld", (ll)l->outputs).s);
    nib_text_line(d->t, "const int32_t acc = %s;", sum_of(l, base, "c", "[c - o]").s);
    nib_direct_finish_sum(d, n, p, index.s, "c");
    nib_text_close(d->t, "");
  }
  nib_text_close(d->t, "");
}

/* A row of codes as planes, and the sum of its codes where offsets need it. */
static void emit_row(nib_direct *d, const nib_node *n, const layer *l, const char *input) {
  if (!nib_direct_use(d, n, "nib_pack_bits"))
    return;
  nib_expr row = l->rows > 1 ? nib_expr_printf("%s + m * %lld", input, (ll)l->k)
                             : nib_expr_printf("%s", input);
  nib_text_line(d->t, "nib_pack_bits(bits, (const uint8_t *)(%s), %lld, %d);", row.s, (ll)l->k,
                l->x.n);
  const int64_t offset = l->by_xor ? 0 : l->x.m * l->w.z;
  if (!offset)
    return;
  nib_text_line(d->t, "int32_t offset = 0; /* of the weights' zero, by the codes of the row */");
  nib_direct_for(d, "k", l->k);
  nib_text_line(d->t, "offset += (%s)[k];", row.s);
  nib_text_close(d->t, "");
  nib_text_line(d->t, "offset *= %lld;", (ll)offset);
}

static void emit_root(nib_direct *d, const nib_node *n) {
  nib_conv_params p;
  layer l;
  if (nib_params_conv(d->g, n, &p) != NIB_OK || !read_layer(d->g, n, &p, &l)) {
    nib_direct_fail(d, n, NIB_ERROR_INTERNAL, "its operands are no bit planes");
    return;
  }
  size_t bytes;
  uint64_t *packed = pack_weights(nib_node_input(d->g, n, 1), &l, d->e->vocab->bit_words, &bytes);
  int32_t *bases = make_bases(d->g, n, &l);
  if (packed && bases) {
    nib_expr weights = nib_direct_constant(d, "planes", "uint64_t", packed, bytes);
    nib_expr base =
        nib_direct_constant(d, "base", "int32_t", bases, (size_t)l.outputs * sizeof *bases);
    nib_expr input = nib_direct_pointer(d, n->in[0], "input");
    nib_text_line(d->t, "uint64_t *const bits = (uint64_t *)(void *)(scratch + %lld);",
                  (ll)nib_direct_scratch_bytes(d->g, d->kernel));
    if (l.rows > 1)
      nib_direct_for(d, "m", l.rows);
    emit_row(d, n, &l, input.s);
    emit_outputs(d, n, &l, &p, weights.s, base.s);
    if (l.rows > 1)
      nib_text_close(d->t, "");
  } else {
    nib_direct_fail(d, n, NIB_ERROR_OUT_OF_MEMORY, "out of memory for its bit planes");
  }
  free(packed);
  free(bases);
  free(p.requant);
}

static nib_status emit(nib_emitter *e, const nib_kernel *kernel) {
  return nib_direct_emit(e, kernel, emit_root);
}

const nib_schedule nib_schedule_bit_planes = {
    .name = "bit_planes",
    .accepts = accepts,
    .tiles = nib_schedule_one_tile,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
};
