// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "schedule/conv_live.h"

#include "epilogue/say.h"

#include <stdlib.h>

typedef long long ll;

bool nib_conv_is_live(const nib_graph *g, const nib_node *n) {
  const nib_tensor *w = nib_node_input(g, n, 1);
  return (n->op == NIB_OP_FULLY_CONNECTED || n->op == NIB_OP_MATMUL) && w && !w->data;
}

/* ---- matrices ---- */

/* Matrices of `t`: elements of its dimensions before the last two. */
static int64_t matrices_of(const nib_tensor *t) {
  int64_t n = 1;
  for (int32_t i = 0; i < t->rank - 2; i++)
    n *= t->dims[i];
  return n;
}

int64_t nib_conv_live_matrices(const nib_graph *g, const nib_node *n) {
  return n->op == NIB_OP_MATMUL ? matrices_of(&g->tensors[n->out]) : 1;
}

/* Elements from a matrix of `t` to the next; 0 where one is for all. */
static int64_t step_of(const nib_tensor *t) {
  return matrices_of(t) == 1 ? 0 : t->dims[t->rank - 1] * t->dims[t->rank - 2];
}

static bool matrices_meet(const nib_graph *g, const nib_node *n) {
  const nib_tensor *a = nib_node_input(g, n, 0), *b = nib_node_input(g, n, 1);
  const int64_t all = nib_conv_live_matrices(g, n), of_a = matrices_of(a), of_b = matrices_of(b);
  return a->rank >= 2 && b->rank >= 2 && g->tensors[n->out].rank >= 2 &&
         (of_a == all || of_a == 1) && (of_b == all || of_b == 1) &&
         (all == 1 || n->in[0] != n->in[1]);
}

/* Operands of what follows are those of all matrices. */
static bool followers_read(const nib_graph *g, const nib_kernel *kernel) {
  for (int32_t i = 1; i < kernel->n_nodes; i++)
    if (g->nodes[kernel->nodes[i]].n_in > 1)
      return true;
  return false;
}

bool nib_conv_live_accepts(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v) {
  static const nib_prim needed[] = {NIB_PRIM_I32_SET, NIB_PRIM_I32_MUL, NIB_PRIM_I32_SUB,
                                    NIB_PRIM_I32_LOAD, NIB_PRIM_I32_STORE};
  const nib_node *n = &g->nodes[kernel->nodes[0]];
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  const nib_tensor *bias = nib_node_input(g, n, 2);
  const bool real = nib_params_is_real(x->format);
  /* Weights that saturate pairs are split when they are packed, which takes long; portable code has
   * no memory to spare. */
  if (v->lanes < 2 || v->in_order || (!real && v->pair_limit) ||
      nib_tensor_elems(w) > INT32_MAX / 8)
    return false;
  if (real ? x->format != NIB_F32 || w->format != NIB_F32 || (bias && bias->format != NIB_F32) ||
                 v->half_k || v->real_f16
           : !nib_vocab_has(v, needed, 5) || !w->quantized)
    return false;
  return n->op == NIB_OP_FULLY_CONNECTED
             ? w->rank == 2
             : matrices_meet(g, n) &&
                   (nib_conv_live_matrices(g, n) == 1 || !followers_read(g, kernel));
}

/* ---- scratch ---- */

static int64_t round_up(int64_t x, int64_t to) { return (x + to - 1) / to * to; }

static int64_t weight_bytes(const nib_conv_walk *w, const nib_vocab *v) {
  return round_up(w->group_elems * nib_pack_elem_bytes(w, v), 64);
}

int64_t nib_conv_live_bytes(const nib_conv_walk *w, const nib_vocab *v) {
  return weight_bytes(w, v) + round_up((w->shape.out_c + w->lanes) * 4, 64);
}

/* ---- emission ---- */

/* Goes on by `times` matrices. */
static void advance(nib_emitter *e, const nib_node *n, const char *times) {
  const nib_graph *g = e->graph;
  const struct {
    const char *pointer;
    const nib_tensor *of;
  } all[] = {{"in0", nib_node_input(g, n, 0)},
             {"in1", nib_node_input(g, n, 1)},
             {"out", &g->tensors[n->out]}};
  for (int i = 0; i < 3; i++)
    if (step_of(all[i].of))
      nib_text_line(e->body, "%s += %s%lld;", all[i].pointer, times, (ll)step_of(all[i].of));
}

void nib_conv_live_end(nib_emitter *e, const nib_node *n) {
  const nib_graph *g = e->graph;
  if (nib_conv_live_matrices(g, n) == 1)
    return;
  advance(e, n, "");
  nib_text_close(e->body, "");
}

/* How the elements of the second operand are read: o * by_channel + k * by_k. */
typedef struct source {
  int64_t by_channel, by_k, subtracted;
  const char *type, *from;
} source;

/* to[lane][i] = elements of channels c + lane, and of K from k on. `guarded`: some are past the
 * ends, which are zeros. */
static void emit_register(nib_emitter *e, const nib_conv_walk *w, const source *s, bool guarded) {
  nib_text *t = e->body;
  const nib_word element = nib_word_of("%s[(size_t)(c + lane) * %lld + (size_t)(k + i) * %lld]",
                                       s->from, (ll)s->by_channel, (ll)s->by_k);
  const nib_word value = s->subtracted
                             ? nib_word_of("(%s)(%s - %lld)", s->type, element.s, (ll)s->subtracted)
                             : nib_word_of("%s", element.s);
  /* The loop over neighbours in memory is the inner one, where there are vectors in it. */
  nib_text_open(t, "for (int32_t i = 0; i < %lld; i++) {", (ll)w->dot_k);
  nib_text_open(t, "for (int32_t lane = 0; lane < %lld; lane++) {", (ll)w->lanes);
  if (guarded)
    nib_text_line(t, "to[lane * %lld + i] = c + lane < %lld && k + i < %lld ? %s : 0;",
                  (ll)w->dot_k, (ll)w->shape.out_c, (ll)w->run, value.s);
  else
    nib_text_line(t, "to[lane * %lld + i] = %s;", (ll)w->dot_k, value.s);
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* Registers [0, columns) of the panel at channel `c` and pointer `to`. */
static void emit_panel(nib_emitter *e, const nib_conv_walk *w, const source *s, int64_t columns,
                       bool guarded) {
  nib_text *t = e->body;
  const int64_t elems = w->lanes * w->dot_k, whole = w->run / w->dot_k;
  nib_text_open(t, "for (int32_t k = 0; k < %lld; k += %lld) {", (ll)(w->steps * w->dot_k),
                (ll)w->dot_k);
  nib_text_open(t, "for (int32_t c = first; c < first + %lld; c += %lld, to += %lld) {",
                (ll)(columns * w->lanes), (ll)w->lanes, (ll)elems);
  if (!guarded && whole < w->steps) {
    nib_text_open(t, "if (k < %lld) {", (ll)(whole * w->dot_k));
    emit_register(e, w, s, false);
    nib_text_line(t, "continue;");
    nib_text_close(t, "");
  }
  emit_register(e, w, s, guarded || whole < w->steps);
  nib_text_close(t, "");
  nib_text_close(t, "");
}

static void emit_weights(nib_emitter *e, const nib_conv_walk *w, const source *s) {
  nib_text *t = e->body;
  const int64_t panel = w->columns * w->lanes;
  nib_text_open(t, "{ /* what constant weights are packed to when a model is compiled */");
  nib_text_line(t, "%s *to = live_weights;", s->type);
  if (w->full_panels > 0) {
    nib_text_open(t, "for (int32_t first = 0; first < %lld; first += %lld) {",
                  (ll)(w->full_panels * panel), (ll)panel);
    emit_panel(e, w, s, w->columns, false);
    nib_text_close(t, "");
  }
  if (w->last_columns > 0) {
    nib_text_line(t, "const int32_t first = %lld;", (ll)(w->full_panels * panel));
    emit_panel(e, w, s, w->last_columns, w->last_tail > 0);
  }
  nib_text_close(t, "");
}

/* acc = sums of the weights of the register of channels at channel c. */
static void emit_channel_sums(nib_emitter *e, const nib_conv_walk *w, const char *type) {
  nib_text *t = e->body;
  const ll elems = w->lanes * w->dot_k, panel = w->columns * w->lanes;
  nib_text_line(t, "const int32_t within = c %% %lld / %lld * %lld;", panel, (ll)w->lanes, elems);
  if (w->last_columns > 0)
    nib_text_line(t, "const int32_t step = (c < %lld ? %lld : %lld) * %lld;",
                  (ll)(w->full_panels * panel), (ll)w->columns, (ll)w->last_columns, elems);
  else
    nib_text_line(t, "const int32_t step = %lld;", (ll)w->columns * elems);
  nib_text_line(t, "const %s *w = live_weights + (size_t)(c / %lld * %lld) * %lld + within;", type,
                panel, panel, (ll)(w->steps * w->dot_k));
  nib_text_open(t, "for (int32_t k = 0; k < %lld; k++, w += step) {", (ll)w->steps);
  nib_text_line(t, "%s w0;", e->vocab->type_weight);
  nib_say(e, NIB_PRIM_WEIGHT_LOAD, "w0", "w", NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_DOT, "acc", "ones", "w0", NULL, NULL);
  nib_text_close(t, "");
}

/* All `n` equal: one number. */
static bool are_equal(const int32_t *x, int64_t n) {
  for (int64_t i = 1; i < n; i++)
    if (x[i] != x[0])
      return false;
  return true;
}

/* live_bias = constants: one for all channels, or each its own. */
static void emit_constants(nib_emitter *e, const nib_conv_walk *w, const char *constants,
                           int32_t all) {
  const nib_word value = constants
                             ? nib_word_of("c < %lld ? (%s)[c] : 0", (ll)w->shape.out_c, constants)
                             : nib_word_of("%ld", (long)all);
  nib_text_open(e->body, "for (int32_t c = 0; c < %lld; c++) {", (ll)(w->shape.out_c + w->lanes));
  nib_text_line(e->body, "live_bias[c] = %s;", value.s);
  nib_text_close(e->body, "");
}

/* live_bias -= the staged zero point times the sums of channels. */
static void emit_sums(nib_emitter *e, const nib_conv_walk *w, const char *type, int64_t zero) {
  nib_text *t = e->body;
  const nib_vocab *v = e->vocab;
  nib_text_open(t, "{");
  nib_text_line(t, "static const uint8_t one[] = {1, 1, 1, 1, 1, 1, 1, 1};");
  nib_text_line(t, "%s ones;", v->type_act);
  nib_say(e, NIB_PRIM_ACT_BCAST, "ones", "one", NULL, NULL, NULL);
  nib_text_open(t, "for (int32_t c = 0; c < %lld; c += %lld) {", (ll)w->shape.out_c, (ll)w->lanes);
  nib_text_line(t, "%s acc, other;", v->type_i32);
  nib_say(e, NIB_PRIM_I32_SET, "acc", "0", NULL, NULL, NULL);
  emit_channel_sums(e, w, type);
  nib_say(e, NIB_PRIM_I32_SET, "other", nib_word_of("%lld", (ll)zero).s, NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_I32_MUL, "acc", "acc", "other", NULL, NULL);
  nib_say(e, NIB_PRIM_I32_LOAD, "other", "live_bias + c", NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_I32_SUB, "acc", "other", "acc", NULL, NULL);
  nib_say(e, NIB_PRIM_I32_STORE, NULL, "live_bias + c", "acc", NULL, NULL);
  nib_text_close(t, "");
  nib_text_close(t, "");
}

/* What sums begin from: biases, `starts` (NULL: 0), and what zero points take away. */
static void emit_biases(nib_emitter *e, const nib_node *n, const nib_conv_walk *w, const char *type,
                        const int32_t *starts) {
  const nib_tensor *bias = nib_node_input(e->graph, n, 2);
  const int64_t zero = nib_pack_staged_zero(e->graph, n, e->vocab), channels = w->shape.out_c;
  const uint32_t both =
      w->is_float
          ? 0
          : (uint32_t)(zero * w->run * nib_pack_weight_zero(e->graph, n, e->vocab, w->codes));
  uint32_t *sums = calloc((size_t)channels, sizeof *sums);
  const char *constants = NULL;
  for (int64_t c = 0; sums && c < channels; c++)
    sums[c] = (bias ? ((const uint32_t *)bias->data)[c] : 0) + both;
  if (sums)
    nib_conv_add_starts(sums, starts, channels);
  /* Of floats 0 is the one number whose bits are an integer's. */
  const bool one = sums && are_equal((const int32_t *)sums, channels) && !(w->is_float && sums[0]);
  if (sums && !one)
    constants =
        nib_constants_add(e->constants, "live_bias", nib_conv_bias_type(e->vocab, w->is_float),
                          sums, (size_t)channels * sizeof *sums);
  e->body->failed |= !one && !constants;
  if (sums)
    emit_constants(e, w, constants, (int32_t)sums[0]);
  free(sums);
  if (!w->is_float && zero)
    emit_sums(e, w, type, zero);
}

static void emit_pack(nib_emitter *e, const nib_node *n, const nib_conv_walk *w,
                      const int32_t *starts) {
  const nib_graph *g = e->graph;
  const bool dense = n->op == NIB_OP_FULLY_CONNECTED;
  const source s = {.by_channel = dense ? w->run : 1,
                    .by_k = dense ? 1 : w->shape.out_c,
                    .subtracted = w->is_float ? 0
                                              : nib_pack_zero(nib_node_input(g, n, 1)) -
                                                    nib_pack_weight_zero(g, n, e->vocab, w->codes),
                    .type = nib_conv_weight_type(e->vocab, w->is_float),
                    .from = n->in[1] == n->in[0] ? "in0" : "in1"};
  emit_weights(e, w, &s);
  emit_biases(e, n, w, s.type, starts);
}

const nib_conv_constants nib_conv_live_constants = {"live_weights", "live_bias"};

void nib_conv_live_begin(nib_emitter *e, const nib_node *n, const nib_conv_walk *w, int64_t at,
                         const int32_t *starts) {
  const char *type = nib_conv_weight_type(e->vocab, w->is_float),
             *sum = nib_conv_bias_type(e->vocab, w->is_float);
  const int64_t matrices = nib_conv_live_matrices(e->graph, n);
  const bool shared = matrices == 1 || step_of(nib_node_input(e->graph, n, 1)) == 0;
  nib_text_line(e->body, "%s *const live_weights = (%s *)(void *)(scratch + %lld);", type, type,
                (ll)at);
  nib_text_line(e->body, "%s *const live_bias = (%s *)(void *)(scratch + %lld);", sum, sum,
                (ll)(at + weight_bytes(w, e->vocab)));
  if (shared)
    emit_pack(e, n, w, starts);
  if (matrices > 1 && e->cut) {
    advance(e, n, "begin * ");
    nib_text_open(e->body, "for (int32_t matrix = begin; matrix < end; matrix++) {");
  } else if (matrices > 1) {
    nib_text_open(e->body, "for (int32_t matrix = 0; matrix < %lld; matrix++) {", (ll)matrices);
  }
  if (!shared)
    emit_pack(e, n, w, starts);
}
