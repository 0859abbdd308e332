/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The root's part of the epilogue: accumulators to codes or floats, and the stores. Followers are
 * in followers.c. */
#include "emit/snippets.h"
#include "epilogue/followers.h"
#include "epilogue/say.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Vector code computes reals in f32, or in f16 where the vocabulary does. */
static bool is_float_format(nib_format f) { return nib_params_is_real(f); }

bool nib_epilogue_is_narrow(nib_format f) { return f == NIB_I8 || f == NIB_U8; }

nib_prim nib_epilogue_requant_prim(nib_rounding rounding) {
  switch (rounding) {
  case NIB_ROUNDING_TOSA_DOUBLE:
  case NIB_ROUNDING_TFLITE_DOUBLE:
    return NIB_PRIM_RQ_TFLITE_DOUBLE;
  case NIB_ROUNDING_DYADIC:
  case NIB_ROUNDING_TOSA_SINGLE:
  case NIB_ROUNDING_TOSA_INEXACT:
  case NIB_ROUNDING_TFLITE_SINGLE:
    return NIB_PRIM_RQ_TFLITE_SINGLE;
  case NIB_ROUNDING_TFLITE_AWAY:
    return NIB_PRIM_RQ_TFLITE_AWAY;
  case NIB_ROUNDING_NEAREST_EVEN:
    return NIB_PRIM_RQ_NEAREST_EVEN;
  case NIB_ROUNDING_NEAREST_AWAY:
    return NIB_PRIM_RQ_NEAREST_AWAY;
  default:
    return NIB_PRIM_COUNT;
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
  if (nib_params_is_real(x->format))
    return nib_vocab_holds(vocab, y->format) &&
           strcmp(nib_node_string(root, NIB_A_ACTIVATION, "none"), "tanh") != 0;
  if (y->format == NIB_I32)
    return !y->quantized;
  const nib_rounding rounding = nib_node_rounding(g, root);
  const nib_prim prim = nib_epilogue_requant_prim(rounding);
  if (rounding == NIB_ROUNDING_TOSA_DOUBLE && shifts_left(g, root))
    return false;
  return nib_epilogue_is_narrow(y->format) && y->quantized && prim < NIB_PRIM_COUNT &&
         nib_vocab_prim(vocab, prim);
}

bool nib_epilogue_can_emit(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *vocab) {
  const nib_node *root = &g->nodes[kernel->nodes[0]];
  if (kernel->n_nodes > NIB_EPILOGUE_MAX_NODES || !root_is_supported(g, root, vocab))
    return false;
  for (int32_t i = 1; i < kernel->n_nodes; i++)
    if (!nib_epilogue_accepts(g, kernel->nodes[0], kernel->nodes[i]) ||
        !nib_step_can_emit(g, kernel, i, false, vocab))
      return false;
  return true;
}

/* ---- preparation ---- */

static const char *add_array(nib_epilogue *p, const char *what, const char *c_type,
                             const void *data, int64_t elems) {
  const nib_word hint = nib_word_of("%s_%s", p->kernel->name, what);
  return nib_constants_add(p->e->constants, hint.s, c_type, data, (size_t)elems * 4);
}

static bool prove_linear(const nib_epilogue *p, const nib_acc_range *ranges, nib_linear_form form,
                         bool zero_apart, int most_fixes, nib_linear *linears) {
  const nib_conv_params *q = &p->params;
  for (int64_t c = 0; c < p->channels; c++) {
    linears[c] = (nib_linear){.form = form, .zero_apart = zero_apart};
    if (!nib_linear_prove(q->rounding, &q->requant[c % q->n_requant], q->out_zp, q->lo, q->hi,
                          ranges[c], most_fixes, &linears[c]))
      return false;
  }
  return true;
}

/* The cheapest form that is proven for every channel; fills it in. */
static nib_requant_form choose_form(nib_epilogue *p, const nib_acc_range *ranges,
                                    nib_linear *linears) {
  static const struct {
    nib_linear_form linear;
    bool zero_apart;
    int most_fixes;
  } forms[] = {{NIB_LINEAR_STARTED, false, 0},
               {NIB_LINEAR_STARTED, true, 0},
               {NIB_LINEAR_ROUNDED, false, 0},
               {NIB_LINEAR_PLAIN, false, 0},
               {NIB_LINEAR_SIGNED, true, 0},
               {NIB_LINEAR_ROUNDED, false, NIB_MAX_FIXES},
               {NIB_LINEAR_PLAIN, false, NIB_MAX_FIXES},
               {NIB_LINEAR_SIGNED, true, NIB_MAX_FIXES}};
  const nib_vocab *v = p->e->vocab;
  if (p->e->graph->integer_only)
    return NIB_FORM_EXACT;
  const bool product = p->params.rounding == NIB_ROUNDING_NEAREST_EVEN && !p->may_wrap &&
                       nib_vocab_prim(v, NIB_PRIM_RQ_PRODUCT);
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    const bool started = nib_linear_has_start(forms[i].linear);
    if (product &&
        (forms[i].most_fixes || (!started && (p->packs || forms[i].linear != NIB_LINEAR_PLAIN))))
      continue; /* the product is as fast; the zero point costs half an addition where registers are
                   packed */
    if (started && (!p->may_start || (forms[i].zero_apart && (!product || !p->params.out_zp))))
      continue;
    if (nib_vocab_prim(v, nib_linear_prim(forms[i].linear)) &&
        (!forms[i].most_fixes || nib_vocab_prim(v, NIB_PRIM_RQ_FIX)) &&
        prove_linear(p, ranges, forms[i].linear, forms[i].zero_apart, forms[i].most_fixes,
                     linears)) {
      p->linear = forms[i].linear;
      p->zero_apart = forms[i].zero_apart;
      return NIB_FORM_LINEAR;
    }
  }
  return product ? NIB_FORM_PRODUCT : NIB_FORM_EXACT;
}

static bool keep_starts(nib_epilogue *p, const nib_linear *linears) {
  if (!nib_linear_has_start(p->linear))
    return true;
  p->starts = calloc((size_t)p->channels, sizeof *p->starts);
  for (int64_t c = 0; p->starts && c < p->channels; c++)
    p->starts[c] = linears[c].start;
  return p->starts != NULL;
}

/* Arrays [fix][channel] of what the form misses. */
static nib_status add_fixes(nib_epilogue *p, const nib_linear *linears, int64_t elems) {
  p->n_fixes = 0;
  p->fix_elems = elems;
  for (int64_t c = 0; c < p->channels; c++)
    p->n_fixes = linears[c].n_fixes > p->n_fixes ? linears[c].n_fixes : p->n_fixes;
  if (p->n_fixes == 0)
    return NIB_OK;
  const int64_t total = p->n_fixes * elems;
  int32_t *words = calloc((size_t)total, 2 * sizeof *words);
  uint8_t *fixed = calloc((size_t)elems, 1);
  p->most_fixes = calloc((size_t)elems, 1);
  for (int64_t i = 0; words && i < total; i++)
    words[i] = INT32_MIN; /* no accumulator comes near it */
  for (int64_t c = 0; words && fixed && p->most_fixes && c < p->channels; c++) {
    for (int i = 0; i < linears[c].n_fixes; i++) {
      words[i * elems + c] = linears[c].start + linears[c].fixes[i].acc;
      words[total + i * elems + c] = linears[c].fixes[i].by;
    }
    for (int64_t from = c - p->e->vocab->lanes + 1; linears[c].n_fixes > 0 && from <= c; from++) {
      uint8_t *most = &p->most_fixes[from > 0 ? from : 0];
      *most = *most > linears[c].n_fixes ? *most : (uint8_t)linears[c].n_fixes;
      fixed[from > 0 ? from : 0] = 1;
    }
  }
  if (words && fixed) {
    p->fix_acc = add_array(p, "fix_acc", "int32_t", words, total);
    p->fix_by = add_array(p, "fix_by", "int32_t", words + total, total);
    p->fixed = nib_constants_add(p->e->constants, nib_word_of("%s_fixed", p->kernel->name).s,
                                 "uint8_t", fixed, (size_t)elems);
  }
  free(words);
  free(fixed);
  return p->most_fixes && p->fix_acc && p->fix_by && p->fixed ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

/* Whether a requantized accumulator may come near the ends of int32. */
static bool may_wrap(const nib_epilogue *p, const nib_acc_range *ranges) {
  const nib_conv_params *q = &p->params;
  for (int64_t c = 0; c < p->channels; c++) {
    const nib_requant *rq = &q->requant[c % q->n_requant];
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
  nib_linear *linears = calloc((size_t)p->channels, sizeof *linears);
  nib_status status = NIB_ERROR_OUT_OF_MEMORY;
  if (!words || !scales || !linears)
    goto done;
  p->may_wrap = may_wrap(p, ranges);
  p->form = choose_form(p, ranges, linears);
  if (p->form == NIB_FORM_LINEAR) {
    for (int64_t c = 0; c < p->channels; c++) {
      scales[c] = linears[c].scale;
      scales[elems + c] = linears[c].offset;
    }
    if (!keep_starts(p, linears) || add_fixes(p, linears, elems) != NIB_OK)
      goto done;
    p->multiplier = add_array(p, "scale", "float", scales, elems);
    p->shift = add_array(p, "offset", "float", scales + elems, elems);
  } else {
    for (int64_t c = 0; c < p->channels; c++) {
      const nib_requant *rq = &q->requant[c % q->n_requant];
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
  free(linears);
  return status;
}

/* Everything by channel is by place from here. */
static nib_status bring_in_order(nib_epilogue *p, nib_acc_range *ranges, const int32_t *order) {
  nib_conv_params *q = &p->params;
  nib_requant *requant = q->n_requant > 1 ? calloc((size_t)p->channels, sizeof *requant) : NULL;
  nib_acc_range *moved = calloc((size_t)p->channels, sizeof *moved);
  const bool good = moved && (q->n_requant <= 1 || requant);
  for (int64_t c = 0; good && c < p->channels; c++)
    moved[c] = ranges[order[c]];
  for (int64_t c = 0; good && requant && c < p->channels; c++)
    requant[c] = q->requant[order[c] % q->n_requant];
  if (good && requant) {
    free(q->requant);
    q->requant = requant;
    q->n_requant = (int32_t)p->channels;
    requant = NULL;
  }
  if (good)
    memcpy(ranges, moved, (size_t)p->channels * sizeof *moved);
  free(requant);
  free(moved);
  return good ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

/* `channels` may be a multiple of the root's: those of neighbouring pixels, finished as one. */
static nib_status prepare(nib_epilogue *p, nib_emitter *e, const nib_kernel *kernel,
                          nib_acc_range *ranges, const int32_t *order, int64_t channels,
                          int64_t padding, bool may_start) {
  const nib_graph *g = e->graph;
  memset(p, 0, sizeof *p);
  p->e = e;
  p->kernel = kernel;
  p->root = &g->nodes[kernel->nodes[0]];
  p->channels = channels;
  p->first = 1;
  p->packs = nib_epilogue_can_pack(g, kernel, e->vocab);
  p->register_nodes = p->packs ? nib_epilogue_register_nodes(g, kernel, e->vocab) : kernel->n_nodes;
  p->may_start = may_start;
  p->is_float = nib_params_is_real(nib_node_input(g, p->root, 0)->format);
  nib_status status = NIB_OK;
  if (p->is_float) {
    nib_params_real_range(g, p->root, &p->low, &p->high);
  } else {
    status = nib_params_conv(g, p->root, &p->params);
    if (status == NIB_OK && order)
      status = bring_in_order(p, ranges, order);
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

nib_status nib_epilogue_prepare(nib_epilogue *p, nib_emitter *e, const nib_kernel *kernel,
                                nib_acc_range *ranges, const int32_t *order, int64_t channels,
                                int64_t padding) {
  return prepare(p, e, kernel, ranges, order, channels, padding, false);
}

nib_status nib_epilogue_prepare_started(nib_epilogue *p, nib_emitter *e, const nib_kernel *kernel,
                                        nib_acc_range *ranges, const int32_t *order,
                                        int64_t channels, int64_t padding) {
  const nib_status status = prepare(p, e, kernel, ranges, order, channels, padding, true);
  p->in_parts = order != NULL;
  return status;
}

nib_status nib_epilogue_end(nib_epilogue *p, nib_emitter *e, size_t before) {
  nib_epilogue_release(p);
  if (e->body->failed)
    return nib_diag_error(e->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  nib_snippets_scan(e->body->data + before, e->snippets);
  return NIB_OK;
}

void nib_epilogue_release(nib_epilogue *p) {
  free(p->most_fixes);
  p->most_fixes = NULL;
  free(p->starts);
  p->starts = NULL;
  free(p->params.requant);
  p->params.requant = NULL;
}

/* ---- emission ---- */

void nib_epilogue_load_channels(nib_epilogue *p, const char *channel, int columns) {
  nib_emitter *e = p->e;
  const nib_vocab *v = e->vocab;
  p->channel = channel;
  if (p->form == NIB_FORM_RAW)
    return;
  const bool linear = p->form == NIB_FORM_LINEAR;
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
  static const nib_prim shorter[NIB_PRIM_COUNT] = {[NIB_PRIM_I32_ADD] = NIB_PRIM_I32_ADD_CONST,
                                                   [NIB_PRIM_I32_SUB] = NIB_PRIM_I32_SUB_CONST,
                                                   [NIB_PRIM_I32_MIN] = NIB_PRIM_I32_MIN_CONST,
                                                   [NIB_PRIM_I32_MAX] = NIB_PRIM_I32_MAX_CONST};
  if (shorter[prim] && nib_vocab_prim(e->vocab, shorter[prim])) {
    nib_say(e, shorter[prim], value, value, nib_word_of("%lld", (long long)constant).s, NULL, NULL);
    return;
  }
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
  if (codes->last && p->packs) {
    p->pending = *codes;
    return;
  }
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

void nib_epilogue_at_channels(nib_epilogue *p, int64_t from, int64_t step, int64_t steps) {
  p->from = from;
  p->step = step;
  p->steps = steps;
}

/* The most fixes that a channel of register `column` has; *out_all: that there are some wherever
 * the tile may be. */
static int fixes_of_column(const nib_epilogue *p, int column, bool *out_all) {
  int most = p->steps ? 0 : p->n_fixes;
  *out_all = p->steps > 0;
  for (int64_t i = 0; p->n_fixes > 0 && i < p->steps; i++) {
    const int64_t c = p->from + i * p->step + column * p->e->vocab->lanes;
    const int fixes = c < p->channels ? p->most_fixes[c] : 0;
    *out_all &= fixes > 0;
    most = fixes > most ? fixes : most;
  }
  return most;
}

/* Where a channel of the register has a fix, adds it at its accumulator. Few are added without
 * asking where the channels are known: a branch takes as long, and cuts the code that compilers
 * arrange in pieces. */
static void apply_fixes(nib_epilogue *p, const char *acc, int column, int fixes, bool all) {
  enum { few = 2 };
  nib_emitter *e = p->e;
  const char *type = e->vocab->type_i32;
  const nib_word channel = nib_word_of("%s + %d", p->channel, column * e->vocab->lanes);
  if (all || (p->steps > 0 && fixes <= few))
    nib_text_open(e->body, "{");
  else
    nib_text_open(e->body, "if (%s[%s]) {", p->fixed, channel.s);
  nib_text_line(e->body, "%s at_acc, by;", type);
  for (int i = 0; i < fixes; i++) {
    const long long row = (long long)(i * p->fix_elems);
    nib_say(e, NIB_PRIM_I32_LOAD, "at_acc",
            nib_word_of("%s + %lld + %s", p->fix_acc, row, channel.s).s, NULL, NULL, NULL);
    nib_say(e, NIB_PRIM_I32_LOAD, "by", nib_word_of("%s + %lld + %s", p->fix_by, row, channel.s).s,
            NULL, NULL, NULL);
    nib_say(e, NIB_PRIM_RQ_FIX, acc, "before", "at_acc", "by", NULL);
  }
  nib_text_close(e->body, "");
}

/* The rounding's primitive, or what a vocabulary says more simply where all channels shift right.
 */
static nib_prim exact_prim(const nib_epilogue *p) {
  const nib_conv_params *q = &p->params;
  const nib_prim prim = nib_epilogue_requant_prim(q->rounding);
  const nib_prim right = prim == NIB_PRIM_RQ_TFLITE_DOUBLE   ? NIB_PRIM_RQ_TFLITE_DOUBLE_RIGHT
                         : prim == NIB_PRIM_RQ_TFLITE_SINGLE ? NIB_PRIM_RQ_TFLITE_SINGLE_RIGHT
                         : prim == NIB_PRIM_RQ_TFLITE_AWAY   ? NIB_PRIM_RQ_TFLITE_AWAY_RIGHT
                                                             : NIB_PRIM_COUNT;
  if (right == NIB_PRIM_COUNT || !nib_vocab_prim(p->e->vocab, right))
    return prim;
  for (int32_t c = 0; c < q->n_requant; c++)
    if (q->requant[c].shift > -2)
      return prim;
  return right;
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
  bool all = false;
  const int fixes = fixes_of_column(p, column, &all);
  if (fixes > 0) {
    nib_text_open(e->body, "{");
    nib_text_line(e->body, "const %s before = %s;", e->vocab->type_i32, acc);
  }
  if (p->form == NIB_FORM_LINEAR) {
    nib_say(e, nib_linear_prim(p->linear), acc, acc, scale.s, nib_word_of("offset%d", column).s,
            NULL);
    codes.zero_point = p->zero_apart ? codes.zero_point : 0;
    codes.may_wrap = false;
  } else if (p->form == NIB_FORM_PRODUCT) {
    nib_say(e, NIB_PRIM_RQ_PRODUCT, acc, acc, scale.s, NULL, NULL);
  } else {
    nib_say(e, exact_prim(p), acc, acc, scale.s, nib_word_of("shift%d", column).s, NULL);
  }
  if (fixes > 0) {
    apply_fixes(p, acc, column, fixes, all);
    nib_text_close(e->body, "");
  }
  nib_epilogue_offset_clamp(p, acc, &codes);
}

/* Maximum and minimum give their second operand where one is NaN. */
static void say_bounds(nib_epilogue *p, const char *value, float low, float high, bool keeps_nan) {
  nib_emitter *e = p->e;
  const nib_prim prims[2] = {NIB_PRIM_F32_MAX, NIB_PRIM_F32_MIN};
  const nib_prim shorter[2] = {keeps_nan ? NIB_PRIM_F32_RAISE_CONST : NIB_PRIM_F32_MAX_CONST,
                               keeps_nan ? NIB_PRIM_F32_LOWER_CONST : NIB_PRIM_F32_MIN_CONST};
  const float bounds[2] = {low, high};
  for (int i = 0; i < 2; i++) {
    if (isinf(bounds[i]))
      continue;
    if (nib_vocab_prim(e->vocab, shorter[i])) {
      nib_say(e, shorter[i], value, value, nib_word_f32(bounds[i]).s, NULL, NULL);
      continue;
    }
    nib_text_open(e->body, "{");
    nib_text_line(e->body, "%s bound;", e->vocab->type_f32);
    nib_say(e, NIB_PRIM_F32_SET, "bound", nib_word_f32(bounds[i]).s, NULL, NULL, NULL);
    nib_say(e, prims[i], value, keeps_nan ? "bound" : value, keeps_nan ? value : "bound", NULL,
            NULL);
    nib_text_close(e->body, "");
  }
}

void nib_epilogue_clamp_real(nib_epilogue *p, const char *value, float low, float high) {
  say_bounds(p, value, low, high, true);
}

void nib_epilogue_saturate_real(nib_epilogue *p, const char *value, float low, float high) {
  say_bounds(p, value, low, high, false);
}

static void store(nib_epilogue *p, const char *value, const char *at, int tail) {
  static const nib_prim stores[NIB_FORMAT_ROWS] = {
      [NIB_I8] = NIB_PRIM_I8_STORE,   [NIB_U8] = NIB_PRIM_U8_STORE,
      [NIB_I32] = NIB_PRIM_I32_STORE, [NIB_F32] = NIB_PRIM_F32_STORE,
      [NIB_F16] = NIB_PRIM_F16_STORE, [NIB_BF16] = NIB_PRIM_BF16_STORE,
  };
  const nib_graph *g = p->e->graph;
  const nib_format format = g->tensors[nib_kernel_output(g, p->kernel)].format;
  const bool native = format == NIB_F16 && p->e->vocab->real_f16;
  nib_say_lanes(p->e, native ? NIB_PRIM_F32_STORE : stores[format], NULL,
                nib_word_of("out + %s", at).s, value, tail);
}

static void run_steps(nib_epilogue *p, const char *value, const char *at, int tail);

/* The root's part on one register, and the followers. */
static void finish_register(nib_epilogue *p, const nib_finish *r, const char *at) {
  if (p->is_float)
    nib_epilogue_clamp_real(p, r->acc, p->low, p->high);
  else if (p->form != NIB_FORM_RAW)
    requantize(p, r->acc, r->column, p->register_nodes == 1);
  run_steps(p, r->acc, at, r->tail);
}

void nib_epilogue_apply(nib_epilogue *p, const nib_finish *registers, int n, const char *base) {
  const int together = p->packs ? NIB_PACK_REGISTERS : 1;
  for (int first = 0; first < n; first += together) {
    const int count = n - first < together ? n - first : together;
    for (int i = first; i < first + count; i++) {
      const nib_word at = nib_word_of("%s + %lld", base, (long long)registers[i].offset);
      const nib_prim after = p->is_float ? NIB_PRIM_F32_AFTER : NIB_PRIM_I32_AFTER;
      if (i > 0 && nib_vocab_prim(p->e->vocab, after))
        nib_say(p->e, after, registers[i].acc, NULL, NULL, NULL, NULL);
      finish_register(p, &registers[i], at.s);
      if (!p->packs)
        store(p, registers[i].acc, at.s, registers[i].tail);
    }
    if (p->packs)
      nib_epilogue_store_packed(p, registers + first, count, base);
  }
}

void nib_epilogue_finish_part(nib_epilogue *p, const char *acc, int column) {
  requantize(p, acc, column, true);
}

/* ---- roots that are not convolutions ---- */

bool nib_epilogue_can_finish(const nib_graph *g, const nib_kernel *kernel, int32_t first,
                             const nib_vocab *vocab) {
  if (kernel->n_nodes > NIB_EPILOGUE_MAX_NODES)
    return false;
  for (int32_t i = first; i < kernel->n_nodes; i++)
    if (!nib_step_can_emit(g, kernel, i, first == 0, vocab))
      return false;
  return true;
}

nib_status nib_epilogue_begin(nib_epilogue *p, nib_emitter *e, const nib_kernel *kernel,
                              int32_t first) {
  memset(p, 0, sizeof *p);
  p->e = e;
  p->kernel = kernel;
  p->root = &e->graph->nodes[kernel->nodes[0]];
  p->register_nodes = kernel->n_nodes;
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

static void run_steps(nib_epilogue *p, const char *value, const char *at, int tail) {
  const nib_graph *g = p->e->graph;
  for (int32_t i = p->first; i < p->register_nodes; i++)
    nib_follower_apply(p, i, register_of(p, value, g->nodes[p->kernel->nodes[i]].in[0]), at, tail);
}

void nib_epilogue_finish(nib_epilogue *p, const char *value, const char *at, int tail) {
  run_steps(p, value, at, tail);
  store(p, register_of(p, value, nib_kernel_output(p->e->graph, p->kernel)), at, tail);
}
