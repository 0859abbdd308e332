/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The root's part of the epilogue: accumulators to codes or floats, and the stores. Followers are
 * in followers.c. */
#include "epilogue/followers.h"
#include "epilogue/say.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Vector code computes reals in f32 alone. */
static bool is_float_format(nib_format f) { return f == NIB_F32; }

static bool narrow_format(nib_format f) { return f == NIB_I8 || f == NIB_U8; }

nib_prim nib_epilogue_requant_prim(nib_rounding rounding) {
  switch (rounding) {
  case NIB_ROUNDING_TOSA_DOUBLE:
  case NIB_ROUNDING_TFLITE_DOUBLE: return NIB_PRIM_RQ_TFLITE_DOUBLE;
  case NIB_ROUNDING_DYADIC:
  case NIB_ROUNDING_TOSA_SINGLE:
  case NIB_ROUNDING_TOSA_INEXACT:
  case NIB_ROUNDING_TFLITE_SINGLE: return NIB_PRIM_RQ_TFLITE_SINGLE;
  case NIB_ROUNDING_TFLITE_AWAY: return NIB_PRIM_RQ_TFLITE_AWAY;
  case NIB_ROUNDING_NEAREST_EVEN: return NIB_PRIM_RQ_NEAREST_EVEN;
  case NIB_ROUNDING_NEAREST_AWAY: return NIB_PRIM_RQ_NEAREST_AWAY;
  default: return NIB_PRIM_COUNT;
  }
}

bool nib_epilogue_is_float_rounding(nib_rounding r) {
  return r == NIB_ROUNDING_NEAREST_EVEN || r == NIB_ROUNDING_NEAREST_AWAY;
}

/* tosa-double and tflite-double differ only where the latter's left shift overflows. */
static bool shifts_left(const nib_graph *g, const nib_node *root) {
  nib_conv_params p;
  bool left = nib_params_conv(g, root, &p) != NIB_OK;
  for (int32_t c = 0; !left && c < p.n_requant; c++)
    left = p.requant[c].shift > 0;
  free(p.requant);
  return left;
}

static bool root_is_supported(const nib_graph *g, const nib_node *root, const nib_vocab *vocab) {
  const nib_tensor *y = &g->tensors[root->out], *x = nib_node_input(g, root, 0);
  if (is_float_format(x->format))
    return x->format == NIB_F32 && y->format == NIB_F32 &&
           strcmp(nib_node_string(root, NIB_A_ACTIVATION, "none"), "tanh") != 0;
  if (y->format == NIB_I32)
    return !y->quantized;
  const nib_rounding rounding = nib_node_rounding(g, root);
  const nib_prim prim = nib_epilogue_requant_prim(rounding);
  if (rounding == NIB_ROUNDING_TOSA_DOUBLE && shifts_left(g, root))
    return false;
  return narrow_format(y->format) && y->quantized && prim < NIB_PRIM_COUNT && vocab->prims[prim];
}

bool nib_epilogue_can_emit(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab) {
  const nib_node *root = &g->nodes[kernel->nodes[0]];
  if (kernel->n_nodes > NIB_EPILOGUE_MAX_NODES || !root_is_supported(g, root, vocab))
    return false;
  for (int32_t i = 1; i < kernel->n_nodes; i++)
    if (!nib_epilogue_accepts(g, kernel->nodes[0], kernel->nodes[i]) ||
        !nib_step_can_emit(g, kernel, i, vocab))
      return false;
  return true;
}

/* ---- preparation ---- */

static const char *add_array(nib_epilogue *p, const char *what, const char *c_type,
                             const void *data, int64_t elems) {
  const nib_word hint = nib_word_of("%s_%s", p->kernel->name, what);
  return nib_constants_add(p->e->constants, hint.s, c_type, data, (size_t)elems * 4);
}

static bool prove_linear(const nib_epilogue *p, const nib_acc_range *ranges, bool is_signed,
                         float *scales, float *offsets) {
  const nib_conv_params *q = &p->params;
  for (int64_t c = 0; c < p->channels; c++) {
    nib_linear l = {.is_signed = is_signed};
    if (!nib_linear_prove(q->rounding, &q->requant[q->n_requant > 1 ? c : 0], q->out_zp, q->lo,
                          q->hi, ranges[c], &l))
      return false;
    scales[c] = l.scale;
    offsets[c] = l.offset;
  }
  return true;
}

/* The cheapest form that is proven for every channel; fills its scales and offsets. */
static nib_requant_form choose_form(const nib_epilogue *p, const nib_acc_range *ranges,
                                    float *scales, float *offsets) {
  const nib_vocab *v = p->e->vocab;
  if (p->e->graph->integer_only)
    return NIB_FORM_EXACT;
  if (v->prims[NIB_PRIM_RQ_LINEAR] && prove_linear(p, ranges, false, scales, offsets))
    return NIB_FORM_LINEAR;
  if (v->prims[NIB_PRIM_RQ_SIGNED] && prove_linear(p, ranges, true, scales, offsets))
    return NIB_FORM_SIGNED;
  return NIB_FORM_EXACT;
}

/* Whether a requantized accumulator may come near the ends of int32. */
static bool may_wrap(const nib_epilogue *p, const nib_acc_range *ranges) {
  const nib_conv_params *q = &p->params;
  for (int64_t c = 0; c < p->channels; c++) {
    const nib_requant *rq = &q->requant[q->n_requant > 1 ? c : 0];
    const double reach = fmax(fabs((double)ranges[c].low), fabs((double)ranges[c].high));
    if (reach * fmax(fabs(rq->scale), 1.0) > 1073741824.0 ||
        (rq->shift > 0 && ldexp(reach, rq->shift) > 1073741824.0))
      return true;
  }
  return false;
}

static nib_status add_requant(nib_epilogue *p, const nib_acc_range *ranges, int64_t elems) {
  const nib_conv_params *q = &p->params;
  int32_t *words = calloc((size_t)elems, 2 * sizeof *words);
  float *scales = calloc((size_t)elems, 2 * sizeof *scales);
  nib_status status = NIB_ERROR_OUT_OF_MEMORY;
  if (!words || !scales)
    goto done;
  p->form = choose_form(p, ranges, scales, scales + elems);
  p->may_wrap = may_wrap(p, ranges);
  if (p->form != NIB_FORM_EXACT) {
    p->multiplier = add_array(p, "scale", "float", scales, elems);
    p->shift = add_array(p, "offset", "float", scales + elems, elems);
  } else {
    for (int64_t c = 0; c < p->channels; c++) {
      const nib_requant *rq = &q->requant[q->n_requant > 1 ? c : 0];
      scales[c] = rq->scale;
      words[c] = rq->multiplier;
      words[elems + c] = rq->shift;
    }
    if (nib_epilogue_is_float_rounding(q->rounding)) {
      p->multiplier = add_array(p, "scale", "float", scales, elems);
      p->shift = "";
    } else {
      p->multiplier = add_array(p, "multiplier", "int32_t", words, elems);
      p->shift = add_array(p, "shift", "int32_t", words + elems, elems);
    }
  }
  status = p->multiplier && p->shift ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
done:
  free(words);
  free(scales);
  return status;
}

nib_status nib_epilogue_prepare(nib_epilogue *p, nib_emitter *e, const nib_kernel *kernel,
                                const nib_acc_range *ranges, int64_t channels, int64_t padding) {
  const nib_graph *g = e->graph;
  memset(p, 0, sizeof *p);
  p->e = e;
  p->kernel = kernel;
  p->root = &g->nodes[kernel->nodes[0]];
  p->channels = channels;
  p->first = 1;
  p->is_float = is_float_format(nib_node_input(g, p->root, 0)->format);
  nib_status status = NIB_OK;
  if (p->is_float) {
    nib_params_real_range(g, p->root, &p->low, &p->high);
  } else {
    status = nib_params_conv(g, p->root, &p->params);
    if (status == NIB_OK && !p->params.raw_accumulator)
      status = add_requant(p, ranges, channels + padding);
  }
  if (status == NIB_OK)
    status = nib_followers_prepare(p);
  if (status != NIB_OK) {
    nib_epilogue_release(p);
    return nib_diag_error(e->diag, status, "%s: no parameters for its epilogue", kernel->name);
  }
  return NIB_OK;
}

void nib_epilogue_release(nib_epilogue *p) {
  free(p->params.requant);
  p->params.requant = NULL;
}

/* ---- emission ---- */

void nib_epilogue_load_channels(nib_epilogue *p, const char *channel, int columns) {
  nib_emitter *e = p->e;
  const nib_vocab *v = e->vocab;
  if (p->form == NIB_FORM_RAW)
    return;
  const bool linear = p->form != NIB_FORM_EXACT;
  const bool floats = linear || nib_epilogue_is_float_rounding(p->params.rounding);
  const nib_prim load = floats ? NIB_PRIM_F32_LOAD : NIB_PRIM_I32_LOAD;
  const char *type = floats ? v->type_f32 : v->type_i32;
  const char *second = linear ? "offset" : "shift";
  for (int n = 0; n < columns; n++) {
    nib_text_line(e->body, "%s scale%d;", type, n);
    nib_say(e, load, nib_word_of("scale%d", n).s,
            nib_word_of("%s + %s + %d", p->multiplier, channel, n * v->lanes).s, NULL, NULL, NULL);
    if (!*p->shift)
      continue;
    nib_text_line(e->body, "%s %s%d;", type, second, n);
    nib_say(e, load, nib_word_of("%s%d", second, n).s,
            nib_word_of("%s + %s + %d", p->shift, channel, n * v->lanes).s, NULL, NULL, NULL);
  }
}

/* value = prim(value, constant). */
void nib_epilogue_with_constant(nib_emitter *e, nib_prim prim, const char *value,
                                int64_t constant) {
  nib_text_open(e->body, "{");
  nib_text_line(e->body, "%s constant;", e->vocab->type_i32);
  nib_say(e, NIB_PRIM_I32_SET, "constant", nib_word_of("%lld", (long long)constant).s, NULL, NULL,
          NULL);
  nib_say(e, prim, value, value, "constant", NULL, NULL);
  nib_text_close(e->body, "");
}

void nib_epilogue_offset_clamp(nib_epilogue *p, const char *value, const nib_codes *codes) {
  const nib_format_info *f = nib_format_get(codes->format);
  nib_emitter *e = p->e;
  const int64_t zp = codes->zero_point, lo = codes->lo, hi = codes->hi;
  if (codes->may_wrap) { /* clamp below and above before adding */
    nib_epilogue_with_constant(e, NIB_PRIM_I32_MAX, value, lo - zp);
    nib_epilogue_with_constant(e, NIB_PRIM_I32_MIN, value, hi - zp);
  }
  if (zp)
    nib_epilogue_with_constant(e, NIB_PRIM_I32_ADD, value, zp);
  if (codes->may_wrap)
    return;
  /* The final store saturates to the format by itself. */
  if (!(codes->last && lo <= f->min))
    nib_epilogue_with_constant(e, NIB_PRIM_I32_MAX, value, lo);
  if (!(codes->last && hi >= f->max))
    nib_epilogue_with_constant(e, NIB_PRIM_I32_MIN, value, hi);
}

static void requantize(nib_epilogue *p, const char *acc, int column, bool last) {
  nib_emitter *e = p->e;
  const nib_conv_params *q = &p->params;
  const nib_word scale = nib_word_of("scale%d", column);
  nib_codes codes = {.zero_point = q->out_zp,
                     .lo = q->lo,
                     .hi = q->hi,
                     .last = last,
                     .may_wrap = p->may_wrap,
                     .format = e->graph->tensors[p->root->out].format};
  if (p->form == NIB_FORM_LINEAR) {
    nib_say(e, NIB_PRIM_RQ_LINEAR, acc, acc, scale.s, nib_word_of("offset%d", column).s, NULL);
    codes.zero_point = 0;
    codes.may_wrap = false;
  } else if (p->form == NIB_FORM_SIGNED) {
    nib_say(e, NIB_PRIM_RQ_SIGNED, acc, acc, scale.s, nib_word_of("offset%d", column).s, NULL);
    codes.may_wrap = false;
  } else {
    nib_say(e, nib_epilogue_requant_prim(q->rounding), acc, acc, scale.s,
            nib_word_of("shift%d", column).s, NULL);
  }
  nib_epilogue_offset_clamp(p, acc, &codes);
}

void nib_epilogue_clamp_real(nib_epilogue *p, const char *value, float low, float high) {
  nib_emitter *e = p->e;
  const nib_prim prims[2] = {NIB_PRIM_F32_MAX, NIB_PRIM_F32_MIN};
  const float bounds[2] = {low, high};
  for (int i = 0; i < 2; i++) {
    if (isinf(bounds[i]))
      continue;
    nib_text_open(e->body, "{");
    nib_text_line(e->body, "%s bound;", e->vocab->type_f32);
    nib_say(e, NIB_PRIM_F32_SET, "bound", nib_word_f32(bounds[i]).s, NULL, NULL, NULL);
    nib_say(e, prims[i], value, value, "bound", NULL, NULL);
    nib_text_close(e->body, "");
  }
}

static void store(nib_epilogue *p, const char *value, const char *at, int tail) {
  static const nib_prim stores[NIB_FORMAT_ROWS] = {
      [NIB_I8] = NIB_PRIM_I8_STORE,
      [NIB_U8] = NIB_PRIM_U8_STORE,
      [NIB_I32] = NIB_PRIM_I32_STORE,
      [NIB_F32] = NIB_PRIM_F32_STORE,
  };
  const nib_graph *g = p->e->graph;
  const nib_format format = g->tensors[nib_kernel_output(g, p->kernel)].format;
  nib_say_lanes(p->e, stores[format], NULL, nib_word_of("out + %s", at).s, value, tail);
}

void nib_epilogue_apply(nib_epilogue *p, const char *acc, int column, const char *at, int tail) {
  const bool last = p->kernel->n_nodes == 1;
  if (p->is_float)
    nib_epilogue_clamp_real(p, acc, p->low, p->high);
  else if (p->form != NIB_FORM_RAW)
    requantize(p, acc, column, last);
  nib_epilogue_finish(p, acc, at, tail);
}

/* ---- roots that are not convolutions ---- */

bool nib_epilogue_can_finish(const nib_graph *g, const nib_kernel *kernel, int32_t first,
                             const nib_vocab *vocab) {
  if (kernel->n_nodes > NIB_EPILOGUE_MAX_NODES)
    return false;
  for (int32_t i = first; i < kernel->n_nodes; i++)
    if (!nib_step_can_emit(g, kernel, i, vocab))
      return false;
  return true;
}

nib_status nib_epilogue_begin(nib_epilogue *p, nib_emitter *e, const nib_kernel *kernel,
                              int32_t first) {
  memset(p, 0, sizeof *p);
  p->e = e;
  p->kernel = kernel;
  p->root = &e->graph->nodes[kernel->nodes[0]];
  p->first = first;
  const nib_status status = nib_followers_prepare(p);
  if (status != NIB_OK)
    return nib_diag_error(e->diag, status, "%s: no parameters for its steps", kernel->name);
  return NIB_OK;
}

/* The register that holds `tensor` as the running value. */
static const char *register_of(const nib_epilogue *p, const char *value, int32_t tensor) {
  if (value)
    return value;
  return is_float_format(p->e->graph->tensors[tensor].format) ? p->real : p->code;
}

void nib_epilogue_finish(nib_epilogue *p, const char *value, const char *at, int tail) {
  const nib_graph *g = p->e->graph;
  for (int32_t i = p->first; i < p->kernel->n_nodes; i++)
    nib_follower_apply(p, i, register_of(p, value, g->nodes[p->kernel->nodes[i]].in[0]), at, tail);
  store(p, register_of(p, value, nib_kernel_output(g, p->kernel)), at, tail);
}
