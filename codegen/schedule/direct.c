// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The direct schedule: segments, where values live, and the table of operators.
#include "schedule/direct.h"

#include "emit/snippets.h"
#include "params/params.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const nib_direct_op ops[NIB_OP_COUNT] = {
    [NIB_OP_CONV2D] = {.root = nib_direct_conv2d,
                       .accepts = nib_direct_conv_accepts,
                       .stored_reals = true,
                       .spreads = true},
    [NIB_OP_DEPTHWISE_CONV2D] = {.root = nib_direct_depthwise_conv2d,
                                 .accepts = nib_direct_conv_accepts,
                                 .stored_reals = true,
                                 .spreads = true},
    [NIB_OP_TRANSPOSE_CONV2D] = {.root = nib_direct_transpose_conv2d,
                                 .accepts = nib_direct_conv_accepts,
                                 .stored_reals = true,
                                 .spreads = true},
    [NIB_OP_FULLY_CONNECTED] = {.root = nib_direct_fully_connected,
                                .accepts = nib_direct_conv_accepts,
                                .stored_reals = true,
                                .lanes = true,
                                .spreads = true},
    [NIB_OP_MATMUL] = {.root = nib_direct_matmul,
                       .accepts = nib_direct_matmul_accepts,
                       .units = nib_direct_matmul_units,
                       .stored_reals = true,
                       .spreads = true},
    [NIB_OP_AVG_POOL2D] = {.root = nib_direct_avg_pool2d, .spreads = true},
    [NIB_OP_MAX_POOL2D] = {.root = nib_direct_max_pool2d, .spreads = true},
    [NIB_OP_MEAN] = {.root = nib_direct_mean, .lanes = true, .spreads = true},
    [NIB_OP_SOFTMAX] = {.root = nib_direct_softmax,
                        .units = nib_direct_softmax_units,
                        .lanes = true,
                        .spreads = true},
    [NIB_OP_PAD] = {.root = nib_direct_pad, .no_followers = true},
    [NIB_OP_TRANSPOSE] = {.root = nib_direct_transpose, .no_followers = true, .spreads = true},
    [NIB_OP_CONCAT] = {.root = nib_direct_concat, .no_followers = true, .spreads = true},
    [NIB_OP_SLICE] = {.root = nib_direct_slice, .no_followers = true, .spreads = true},
    [NIB_OP_STRIDED_SLICE] = {.root = nib_direct_strided_slice,
                              .no_followers = true,
                              .spreads = true},
    [NIB_OP_BROADCAST] = {.root = nib_direct_broadcast, .no_followers = true, .spreads = true},
    [NIB_OP_GATHER] = {.root = nib_direct_gather, .no_followers = true, .spreads = true},
    [NIB_OP_GATHER_ND] = {.root = nib_direct_gather_nd, .no_followers = true, .spreads = true},
    [NIB_OP_GATHER_ELEMENTS] = {.root = nib_direct_gather_elements,
                                .no_followers = true,
                                .spreads = true},
    [NIB_OP_SCATTER_ND] = {.root = nib_direct_scatter_nd, .no_followers = true},
    [NIB_OP_SCATTER_ELEMENTS] = {.root = nib_direct_scatter_elements, .no_followers = true},
    [NIB_OP_TOP_K] = {.root = nib_direct_top_k, .no_followers = true, .spreads = true},
    [NIB_OP_RESHAPE] = {.root = nib_direct_copy,
                        .step = nib_direct_step_identity,
                        .no_followers = true,
                        .spreads = true},
    [NIB_OP_SQUEEZE] = {.root = nib_direct_copy,
                        .step = nib_direct_step_identity,
                        .no_followers = true,
                        .spreads = true},
    [NIB_OP_EXPAND_DIMS] = {.root = nib_direct_copy,
                            .step = nib_direct_step_identity,
                            .no_followers = true,
                            .spreads = true},
    [NIB_OP_SCAST] = {.root = nib_direct_copy,
                      .step = nib_direct_step_identity,
                      .no_followers = true,
                      .spreads = true},
    [NIB_OP_PACK] = {.root = nib_direct_pack, .no_followers = true},
    [NIB_OP_UNPACK] = {.root = nib_direct_unpack, .no_followers = true, .spreads = true},
    [NIB_OP_ADD] = {.step = nib_direct_step_add, .spreads = true},
    [NIB_OP_SUB] = {.step = nib_direct_step_add, .spreads = true},
    [NIB_OP_MUL] = {.step = nib_direct_step_mul, .spreads = true},
    [NIB_OP_DIV] = {.step = nib_direct_step_mul, .spreads = true},
    [NIB_OP_REDUCE] = {.root = nib_direct_reduce, .lanes = true, .spreads = true},
    [NIB_OP_CUMULATE] = {.root = nib_direct_cumulate, .spreads = true},
    [NIB_OP_BITCAST] = {.root = nib_direct_copy, .no_followers = true, .spreads = true},
    [NIB_OP_WHERE] = {.step = nib_direct_step_where, .spreads = true},
    [NIB_OP_RELU] = {.step = nib_direct_step_clamp, .spreads = true},
    [NIB_OP_CLAMP] = {.step = nib_direct_step_clamp, .spreads = true},
    [NIB_OP_LEAKY_RELU] = {.step = nib_direct_step_leaky_relu, .spreads = true},
    [NIB_OP_LOOKUP] = {.step = nib_direct_step_lookup, .first_operand_only = true, .spreads = true},
    [NIB_OP_CAST] = {.step = nib_direct_step_cast,
                     .accepts = nib_direct_cast_accepts,
                     .spreads = true},
    [NIB_OP_MULTI_THRESHOLD] = {.step = nib_direct_step_multi_threshold,
                                .first_operand_only = true,
                                .spreads = true},
    [NIB_OP_QUANTIZE] = {.step = nib_direct_step_quantize,
                         .first_operand_only = true,
                         .spreads = true},
    [NIB_OP_DEQUANTIZE] = {.step = nib_direct_step_dequantize,
                           .first_operand_only = true,
                           .spreads = true},
    [NIB_OP_REQUANTIZE] = {.step = nib_direct_step_requantize,
                           .first_operand_only = true,
                           .spreads = true},
};

const nib_direct_op *nib_direct_op_of(const nib_graph *g, const nib_node *n) {
  static const nib_direct_op function = {.step = nib_direct_step_function, .spreads = true};
  static const nib_direct_op binary = {.step = nib_direct_step_binary, .spreads = true};
  static const nib_direct_op block_cast = {.root = nib_direct_cast_blocks,
                                           .accepts = nib_direct_block_cast_accepts,
                                           .no_followers = true,
                                           .spreads = true};
  const nib_op op = n->op;
  if (nib_direct_is_block_cast(g, n))
    return &block_cast;
  if (!ops[op].root && !ops[op].step && nib_op_get(op)->family == NIB_FAMILY_BINARY)
    return &binary;
  return nib_params_real_function(op) ? &function : &ops[op];
}

/* ---- expressions ---- */

nib_expr nib_expr_printf(const char *format, ...) {
  nib_expr x;
  va_list args;
  va_start(args, format);
  const int length = vsnprintf(x.s, sizeof x.s, format, args);
  va_end(args);
  if (length < 0 || (size_t)length >= sizeof x.s)
    strcpy(x.s, "#error expression too long");
  return x;
}

nib_expr nib_direct_f32(float v) {
  if (isnan(v))
    return nib_expr_printf("NAN");
  if (isinf(v))
    return nib_expr_printf(v > 0 ? "INFINITY" : "-INFINITY");
  nib_expr x = nib_expr_printf("%.9g", (double)v);
  if (!strpbrk(x.s, ".e"))
    strcat(x.s, ".0");
  strcat(x.s, "f");
  return x;
}

nib_expr nib_direct_i64(int64_t v) {
  if (v == INT64_MIN)
    return nib_expr_printf("INT64_MIN");
  if (v > INT32_MAX || v < -INT32_MAX)
    return nib_expr_printf(v == INT32_MIN ? "INT32_MIN" : "INT64_C(%lld)", (long long)v);
  return nib_expr_printf("%lld", (long long)v);
}

nib_expr nib_direct_plus(const char *x, int64_t v) {
  if (v == 0)
    return nib_expr_printf("%s", x);
  if (v > 0)
    return nib_expr_printf("(%s + %s)", x, nib_direct_i64(v).s);
  return nib_expr_printf("(%s - %s)", x, nib_direct_i64(-v).s);
}

nib_expr nib_direct_minus(const char *x, int64_t v) { return nib_direct_plus(x, -v); }

nib_expr nib_direct_number(nib_format format, const char *x, int64_t zero_point) {
  const nib_format_info *f = nib_format_get(format);
  if (f->kind != NIB_KIND_BIPOLAR)
    return nib_direct_minus(x, zero_point);
  return nib_expr_printf("(2 * %s - %d)", x, (1 << f->bits) - 1);
}

const char *nib_direct_value_type(nib_format format) {
  if (nib_format_get(format)->kind == NIB_KIND_FLOAT)
    return format == NIB_F64 ? "double" : "float";
  return nib_format_bytes(format) < 4 ? "int32_t" : nib_format_get(format)->c_type;
}

void nib_direct_for(nib_direct *d, const char *var, int64_t n) {
  if (d->cut_units > 0 && n == d->cut_units) {
    nib_text_open(d->t, "for (%s %s = begin; %s < end; ++%s) {", d->index, var, var, var);
    d->cut_units = 0;
    return;
  }
  nib_text_open(d->t, "for (%s %s = 0; %s < %lld; ++%s) {", d->index, var, var, (long long)n, var);
}

/* ---- failures and snippets ---- */

void nib_direct_fail(nib_direct *d, const nib_node *n, nib_status status, const char *what) {
  if (d->status == NIB_OK)
    d->status = nib_diag_error(d->e->diag, status, "%s '%s': %s", nib_op_get(n->op)->mnemonic,
                               n->name, what);
}

nib_expr nib_direct_none(nib_direct *d, const nib_node *n, const char *what) {
  nib_direct_fail(d, n, NIB_ERROR_UNSUPPORTED, what);
  return nib_expr_printf("0");
}

const nib_tensor *nib_direct_result(const nib_direct *d, const nib_node *n) {
  return &d->g->tensors[n->out];
}

bool nib_direct_is_float(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_FLOAT;
}

bool nib_direct_use(nib_direct *d, const nib_node *n, const char *snippet) {
  if (nib_emitter_use(d->e, snippet))
    return true;
  char what[128];
  snprintf(what, sizeof what, "no scalar helper called %s", snippet);
  nib_direct_fail(d, n, NIB_ERROR_INTERNAL, what);
  return false;
}

/* ---- segments ---- */

static bool is_elementwise(const nib_graph *g, const nib_node *n) {
  return nib_direct_op_of(g, n)->step != NULL;
}

/* Position in the kernel of the node that makes what is behind `tensor`, or -1. */
static int32_t position_of(const nib_graph *g, const nib_kernel *k, int32_t tensor) {
  int32_t source = nib_kernel_source(g, k, tensor);
  for (int32_t i = 0; i < k->n_nodes; ++i)
    if (g->nodes[k->nodes[i]].out == source)
      return i;
  return -1;
}

/* Whether the tensor behind `tensor` is the result of one of nodes [first, last) of the kernel. */
static bool made_in(const nib_graph *g, const nib_kernel *k, int32_t tensor, int32_t first,
                    int32_t last) {
  if (tensor == NIB_NONE)
    return false;
  int32_t at = position_of(g, k, tensor);
  return at >= first && at < last;
}

static bool joins(const nib_graph *g, const nib_kernel *k, const nib_segment *s, int32_t i) {
  const nib_node *n = &g->nodes[k->nodes[i]], *root = &g->nodes[k->nodes[s->first]];
  if (!is_elementwise(g, n) || nib_direct_op_of(g, root)->no_followers)
    return false;
  if (nib_tensor_elems(&g->tensors[n->out]) != nib_tensor_elems(&g->tensors[root->out]))
    return false;
  /* Operands that a step indexes itself are read from memory. */
  for (int32_t j = 1; j < n->n_in && nib_direct_op_of(g, n)->first_operand_only; ++j)
    if (made_in(g, k, n->in[j], s->first, i))
      return false;
  for (int32_t j = 0; j < n->n_in; ++j)
    if (made_in(g, k, n->in[j], s->first, i))
      return true;
  return false;
}

/* The segment that starts at `first`. */
static nib_segment segment_at(const nib_graph *g, const nib_kernel *k, int32_t first) {
  nib_segment s = {first, 1};
  while (first + s.count < k->n_nodes && joins(g, k, &s, first + s.count))
    s.count++;
  return s;
}

/* Whether nodes after the segment read the result of node `i` in it. */
static bool needed_later(const nib_graph *g, const nib_kernel *k, const nib_segment *s, int32_t i) {
  for (int32_t j = s->first + s->count; j < k->n_nodes; ++j) {
    const nib_node *n = &g->nodes[k->nodes[j]];
    for (int32_t m = 0; m < n->n_in; ++m)
      if (made_in(g, k, n->in[m], i, i + 1))
        return true;
  }
  return false;
}

/* Calls `visit` for every result kept in scratch: its node and offset. Returns the bytes of all. */
static int64_t each_stored(const nib_graph *g, const nib_kernel *k,
                           void (*visit)(void *user, const nib_node *n, int64_t offset),
                           void *user) {
  int64_t offset = 0;
  for (int32_t first = 0; first < k->n_nodes;) {
    nib_segment s = segment_at(g, k, first);
    for (int32_t i = first; i < first + s.count; ++i) {
      if (i == k->n_nodes - 1 || !needed_later(g, k, &s, i))
        continue;
      const nib_node *n = &g->nodes[k->nodes[i]];
      if (visit)
        visit(user, n, offset);
      offset += ((int64_t)nib_tensor_bytes(&g->tensors[n->out]) + 63) / 64 * 64;
    }
    first += s.count;
  }
  return offset;
}

/* ---- reals that are stored as codes ---- */

bool nib_direct_is_stored_real(nib_format format) {
  return nib_format_get(format)->kind == NIB_KIND_FLOAT && format != NIB_F32 && format != NIB_F64;
}

nib_expr nib_direct_decode(nib_format format, const char *code) {
  const nib_real_layout *r = &nib_format_get(format)->real;
  if (!nib_direct_is_stored_real(format))
    return nib_expr_printf("%s", code);
  if (format == NIB_F16 || format == NIB_BF16)
    return nib_expr_printf("nib_%s_to_f32(%s)", nib_format_get(format)->name, code);
  return nib_expr_printf("(float)nib_minifloat_decode(%s, %d, %d, %d, %d)", code, r->exponent_bits,
                         r->mantissa_bits, r->bias, r->specials);
}

nib_expr nib_direct_encode(nib_format format, const char *real, bool saturate) {
  const nib_real_layout *r = &nib_format_get(format)->real;
  if (!nib_direct_is_stored_real(format))
    return nib_expr_printf("%s", real);
  if ((format == NIB_F16 || format == NIB_BF16) && !saturate)
    return nib_expr_printf("nib_f32_to_%s(%s)", nib_format_get(format)->name, real);
  if (format == NIB_F8E4M3FN && !saturate)
    return nib_expr_printf("nib_f32_to_f8e4m3fn(%s)", real);
  return nib_expr_printf("(%s)nib_minifloat_encode(%s, %d, %d, %d, %d, 0, %d, 0)",
                         nib_format_get(format)->c_type, nib_direct_sign_kept(format, real).s,
                         r->exponent_bits, r->mantissa_bits, r->bias, r->specials, saturate);
}

nib_expr nib_direct_sign_kept(nib_format format, const char *real) {
  const nib_format_info *f = nib_format_get(format);
  const bool no_sign = f->bits == f->real.exponent_bits + f->real.mantissa_bits;
  return nib_expr_printf(
      no_sign && f->real.specials != NIB_SPECIALS_SCALE ? "nib_without_sign(%s)" : "%s", real);
}

/* ---- where values live ---- */

static void declare_stored(void *user, const nib_node *n, int64_t offset) {
  nib_direct *d = user;
  const char *type = nib_format_get(d->g->tensors[n->out].format)->c_type;
  nib_text_line(d->t, "%s *const t%d = (%s *)(void *)(scratch + %lld);", type,
                position_of(d->g, d->kernel, n->out), type, (long long)offset);
}

/* The local variable for `expression`: called `hint`, or hint_2 … where that means another. */
static nib_expr local_of(nib_direct *d, const char *hint, const char *c_type,
                         const char *expression) {
  nib_expr name = nib_expr_printf("%.30s", hint);
  for (int32_t i = 0, tries = 1; i < d->n_locals; ++i) {
    if (strcmp(d->locals[i].name, name.s) != 0)
      continue;
    if (strcmp(d->locals[i].expression, expression) == 0)
      return name;
    name = nib_expr_printf("%.30s_%d", hint, ++tries);
    i = -1;
  }
  if (d->n_locals == NIB_DIRECT_MAX_CONSTANTS)
    return nib_expr_printf("%s", expression);
  nib_direct_local *local = &d->locals[d->n_locals++];
  snprintf(local->name, sizeof local->name, "%.47s", name.s);
  local->expression = expression;
  local->c_type = c_type;
  return name;
}

nib_expr nib_direct_constant(nib_direct *d, const char *hint, const char *c_type, const void *data,
                             size_t bytes) {
  char name[128];
  snprintf(name, sizeof name, "%s_%s", d->kernel->name ? d->kernel->name : "kernel", hint);
  const char *expression = nib_constants_add(d->e->constants, name, c_type, data, bytes);
  if (expression)
    return local_of(d, hint, c_type, expression);
  if (d->status == NIB_OK)
    d->status = nib_diag_error(d->e->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory for constants");
  return nib_expr_printf("0");
}

nib_expr nib_direct_pointer(nib_direct *d, int32_t tensor, const char *hint) {
  const nib_tensor *t = &d->g->tensors[tensor];
  if (t->data)
    return nib_direct_constant(d, hint, nib_format_get(t->format)->c_type, t->data, t->data_bytes);
  if (made_in(d->g, d->kernel, tensor, d->kernel->n_nodes - 1, d->kernel->n_nodes))
    return nib_expr_printf("out");
  if (made_in(d->g, d->kernel, tensor, 0, d->kernel->n_nodes))
    return nib_expr_printf("t%d", position_of(d->g, d->kernel, tensor));
  for (int32_t i = 0; i < d->n_inputs; ++i)
    if (d->inputs[i] == tensor)
      return nib_expr_printf("in%d", i);
  return nib_expr_printf("in0");
}

nib_expr nib_direct_result_pointer(nib_direct *d, const nib_node *n) {
  return nib_direct_pointer(d, n->out, "out");
}

/* The variable of a result inside the segment. */
static nib_expr value_name(const nib_direct *d, int32_t tensor) {
  return nib_expr_printf("v%d", position_of(d->g, d->kernel, tensor));
}

nib_expr nib_direct_broadcast_index(const nib_tensor *in, const nib_tensor *out,
                                    const char *index) {
  nib_expr sum = {""};
  int64_t in_stride = 1, out_stride = 1;
  for (int32_t r = out->rank - 1; r >= 0;) {
    /* A run of dimensions that `in` has whole, or lacks whole. */
    int64_t run = 1;
    bool has = false;
    int32_t start = r;
    for (; r >= 0; --r) {
      int32_t q = r - (out->rank - in->rank);
      bool here = q >= 0 && in->dims[q] == out->dims[r] && out->dims[r] != 1;
      if (out->dims[r] != 1 && run != 1 && here != has)
        break;
      if (out->dims[r] != 1)
        has = here;
      run *= out->dims[r];
    }
    if (start == r)
      break;
    if (has) {
      nib_expr part = nib_expr_printf("%s", index);
      if (out_stride > 1)
        part = nib_expr_printf("%s / %lld", part.s, (long long)out_stride);
      if (r >= 0)
        part = nib_expr_printf("%s %% %lld", part.s, (long long)run);
      if (in_stride > 1)
        part = nib_expr_printf("%s * %lld", part.s, (long long)in_stride);
      sum = nib_expr_printf("%s%s%s", sum.s, sum.s[0] ? " + " : "", part.s);
      in_stride *= run;
    }
    out_stride *= run;
  }
  return sum.s[0] ? sum : nib_expr_printf("0");
}

static bool same_elems(const nib_tensor *a, const nib_tensor *b) {
  return nib_tensor_elems(a) == nib_tensor_elems(b);
}

bool nib_direct_literal(const nib_tensor *t, nib_expr *out) {
  if (!t->data || nib_tensor_elems(t) != 1)
    return false;
  switch (t->format) {
  case NIB_I8:
    *out = nib_direct_i64(*(const int8_t *)t->data);
    return true;
  case NIB_U8:
    *out = nib_direct_i64(*(const uint8_t *)t->data);
    return true;
  case NIB_I16: {
    int16_t v;
    memcpy(&v, t->data, sizeof v);
    *out = nib_direct_i64(v);
    return true;
  }
  case NIB_I32: {
    int32_t v;
    memcpy(&v, t->data, sizeof v);
    *out = nib_direct_i64(v);
    return true;
  }
  case NIB_F32: {
    float v;
    memcpy(&v, t->data, sizeof v);
    *out = nib_direct_f32(v);
    return true;
  }
  default:
    return false;
  }
}

static nib_expr operand_value(nib_direct *d, const nib_node *n, int32_t slot, const char *index) {
  const int32_t id = n->in[slot];
  const nib_tensor *t = &d->g->tensors[id], *out = &d->g->tensors[n->out];
  nib_expr literal;
  if (made_in(d->g, d->kernel, id, d->segment.first, d->segment.first + d->segment.count))
    return value_name(d, id);
  if (nib_direct_literal(t, &literal))
    return literal;
  char hint[32];
  snprintf(hint, sizeof hint, "operand%d", slot);
  nib_expr p = nib_direct_pointer(d, id, hint);
  nib_expr at =
      same_elems(t, out) ? nib_expr_printf("%s", index) : nib_direct_broadcast_index(t, out, index);
  return nib_direct_decode(t->format, nib_expr_printf("%s[%s]", p.s, at.s).s);
}

/* ---- running value ---- */

/* The table of a function from codes of reals in one byte to codes of the same format. */
static bool table_of_codes(const nib_direct *d, const nib_node *n, uint8_t table[256]) {
  return nib_params_real_table(d->g, n, table) == NIB_OK;
}

/* Whether step `position` leaves the code of its result in a variable, beside or instead of its
 * value. */
static bool has_code(const nib_direct *d, int32_t position) {
  const nib_node *n = &d->g->nodes[d->kernel->nodes[position]];
  return nib_direct_is_stored_real(d->g->tensors[n->out].format) && n->op != NIB_OP_CAST &&
         (position > d->segment.first || is_elementwise(d->g, n));
}

/* Whether a step of the segment computes with the value of `position`. */
static bool reads_value(const nib_direct *d, int32_t position) {
  uint8_t table[256];
  for (int32_t j = position + 1; j < d->segment.first + d->segment.count; ++j) {
    const nib_node *n = &d->g->nodes[d->kernel->nodes[j]];
    for (int32_t i = 0; i < n->n_in; ++i)
      if (made_in(d->g, d->kernel, n->in[i], position, position + 1) &&
          !table_of_codes(d, n, table))
        return true;
  }
  return false;
}

/* The code of a function's operand. */
static nib_expr operand_code(nib_direct *d, const nib_node *n, const char *index) {
  const int32_t id = n->in[0], end = d->segment.first + d->segment.count;
  const nib_format format = d->g->tensors[id].format;
  if (!made_in(d->g, d->kernel, id, d->segment.first, end))
    return nib_expr_printf("%s[%s]", nib_direct_pointer(d, id, "operand0").s, index);
  const int32_t position = position_of(d->g, d->kernel, id);
  if (has_code(d, position))
    return nib_expr_printf("c%d", position);
  return nib_direct_encode(format, value_name(d, id).s, false);
}

static void store_value(nib_direct *d, const nib_node *n, const char *index, const char *value) {
  const nib_tensor *t = &d->g->tensors[n->out];
  const char *type = nib_format_get(t->format)->c_type;
  const int32_t position = position_of(d->g, d->kernel, n->out);
  nib_expr to = d->result && position == d->kernel->n_nodes - 1
                    ? nib_expr_printf("%s", d->result)
                    : nib_expr_printf("%s[%s]", nib_direct_pointer(d, n->out, "out").s, index);
  if (has_code(d, position))
    nib_text_line(d->t, "%s = c%d;", to.s, position);
  else if (nib_direct_is_stored_real(t->format))
    nib_text_line(d->t, "%s = %s;", to.s, nib_direct_encode(t->format, value, false).s);
  else if (strcmp(type, nib_direct_value_type(t->format)) == 0)
    nib_text_line(d->t, "%s = %s;", to.s, value);
  else
    nib_text_line(d->t, "%s = (%s)%s;", to.s, type, value);
}

/* An expression of the step's result. Loaded operands are values of their own, so that expressions
 * stay short. */
static nib_expr step_value(nib_direct *d, const nib_node *n, const char *index) {
  nib_expr operands[4];
  const int32_t loaded = nib_direct_op_of(d->g, n)->first_operand_only ? 1 : n->n_in;
  for (int32_t i = 0; i < loaded && i < 4; ++i)
    operands[i] = operand_value(d, n, i, index);
  return nib_direct_op_of(d->g, n)->step(d, n, operands, index);
}

static void run_step(nib_direct *d, int32_t position, const char *index) {
  const nib_node *n = &d->g->nodes[d->kernel->nodes[position]];
  const nib_format format = d->g->tensors[n->out].format;
  const char *name = nib_op_get(n->op)->mnemonic, *type = nib_direct_value_type(format);
  uint8_t table[256];
  d->position = position;
  const bool tabulated = table_of_codes(d, n, table);
  nib_expr value;
  if (tabulated) {
    char hint[64];
    snprintf(hint, sizeof hint, "%s_table", name);
    nib_expr p = nib_direct_constant(d, hint, "uint8_t", table, sizeof table);
    value = nib_expr_printf("%s[%s]", p.s, operand_code(d, n, index).s);
  } else {
    value = step_value(d, n, index);
  }
  if (!has_code(d, position)) {
    nib_text_line(d->t, "const %s v%d = %s; /* %s */", type, position, value.s, name);
    return;
  }
  /* Followers see what a later reader of the result would. */
  if (!tabulated)
    value = nib_direct_encode(format, value.s, false);
  nib_text_line(d->t, "const %s c%d = %s; /* %s */", nib_format_get(format)->c_type, position,
                value.s, name);
  if (reads_value(d, position))
    nib_text_line(d->t, "const %s v%d = %s;", type, position,
                  nib_direct_decode(format, nib_expr_printf("c%d", position).s).s);
}

void nib_direct_put(nib_direct *d, const char *index, const char *value) {
  const nib_segment *s = &d->segment;
  const nib_node *root = &d->g->nodes[d->kernel->nodes[s->first]];
  const bool elementwise = value == NULL;
  if (!elementwise) {
    /* Followers see what a later reader of the result would. */
    const nib_format format = d->g->tensors[root->out].format;
    nib_expr seen = nib_expr_printf("%s", value);
    if (nib_direct_is_stored_real(format) && s->count > 1)
      seen = nib_direct_decode(format, nib_direct_encode(format, value, false).s);
    nib_text_line(d->t, "const %s v%d = %s;", nib_direct_value_type(format), s->first, seen.s);
  }
  nib_expr at = nib_expr_printf("%s", index);
  if (strpbrk(index, " +*(") && (s->count > 1)) {
    nib_text_line(d->t, "const %s at = %s;", d->index, index);
    at = nib_expr_printf("at");
  }
  for (int32_t i = s->first; i < s->first + s->count; ++i) {
    const nib_node *n = &d->g->nodes[d->kernel->nodes[i]];
    if (i > s->first || elementwise)
      run_step(d, i, at.s);
    if (i == d->kernel->n_nodes - 1 || needed_later(d->g, d->kernel, s, i))
      store_value(d, n, at.s, value_name(d, n->out).s);
  }
}

void nib_direct_elementwise(nib_direct *d, const nib_node *n) {
  nib_direct_each(d, "i", nib_tensor_elems(&d->g->tensors[n->out]));
  nib_direct_put(d, "i", NULL);
  nib_text_close(d->t, "");
}

/* ---- the schedule ---- */

/* Operators that load elements themselves compute in f32 and f64; importers put casts around them.
 */
static bool has_stored_reals(const nib_graph *g, const nib_node *n) {
  for (int32_t i = 0; i < n->n_in; ++i)
    if (n->in[i] != NIB_NONE && nib_direct_is_stored_real(g->tensors[n->in[i]].format))
      return true;
  return nib_direct_is_stored_real(g->tensors[n->out].format);
}

bool nib_direct_accepts(const nib_graph *g, const nib_kernel *k) {
  if (k->n_nodes < 1 || k->n_nodes > NIB_DIRECT_MAX_NODES ||
      nib_kernel_inputs(g, k, NULL, 0) > NIB_DIRECT_MAX_INPUTS)
    return false;
  for (int32_t i = 0; i < k->n_nodes; ++i) {
    const nib_node *n = &g->nodes[k->nodes[i]];
    const nib_direct_op *op = nib_direct_op_of(g, n);
    if (!op->root && !op->step)
      return false;
    if (op->accepts && !op->accepts(g, n))
      return false;
    if (op->root && !op->step && !op->no_followers && !op->stored_reals && has_stored_reals(g, n))
      return false;
  }
  return true;
}

static bool accepts(const nib_graph *g, const nib_kernel *k, const nib_vocab *vocab) {
  (void)vocab;
  return nib_direct_accepts(g, k);
}

int64_t nib_direct_scratch_bytes(const nib_graph *g, const nib_kernel *k) {
  return each_stored(g, k, NULL, NULL);
}

static int64_t scratch_bytes(const nib_graph *g, const nib_kernel *k, const nib_vocab *vocab) {
  (void)vocab;
  return nib_direct_scratch_bytes(g, k);
}

const char *nib_direct_index_type(const nib_graph *g, const nib_kernel *k) {
  for (int32_t i = 0; i < k->n_nodes; ++i) {
    const nib_node *n = &g->nodes[k->nodes[i]];
    if (nib_tensor_elems(&g->tensors[n->out]) > INT32_MAX / 2)
      return "int64_t";
    for (int32_t j = 0; j < n->n_in; ++j)
      if (n->in[j] != NIB_NONE && nib_tensor_elems(&g->tensors[n->in[j]]) > INT32_MAX / 2)
        return "int64_t";
  }
  return "int32_t";
}

static void emit_segments(nib_direct *d, nib_direct_root *first_root) {
  const nib_kernel *k = d->kernel;
  for (int32_t first = 0; first < k->n_nodes && d->status == NIB_OK; first += d->segment.count) {
    d->segment = segment_at(d->g, k, first);
    const nib_node *root = &d->g->nodes[k->nodes[first]];
    if (k->n_nodes > 1)
      nib_text_line(d->t, "/* %s */", nib_op_get(root->op)->mnemonic);
    if (first == 0 && first_root)
      first_root(d, root);
    else if (nib_direct_op_of(d->g, root)->root)
      nib_direct_op_of(d->g, root)->root(d, root);
    else
      nib_direct_elementwise(d, root);
  }
}

/* Kernels of one segment: others hand whole tensors from one segment to the next. */
static int64_t units(const nib_graph *g, const nib_kernel *k, const nib_vocab *v) {
  (void)v;
  const nib_node *root = &g->nodes[k->nodes[0]];
  if (segment_at(g, k, 0).count != k->n_nodes)
    return 1;
  const nib_direct_op *op = nib_direct_op_of(g, root);
  const int64_t elems = nib_tensor_elems(&g->tensors[root->out]);
  const int64_t n = op->root == NULL ? elems : op->units != NULL ? op->units(g, root) : 1;
  return n <= INT32_MAX ? n : 1;
}

int32_t nib_direct_segments(const nib_graph *g, const nib_kernel *k) {
  int32_t n = 0;
  for (int32_t first = 0; first < k->n_nodes; ++n)
    first += segment_at(g, k, first).count;
  return n;
}

/* The loops of all segments. */
typedef struct segments {
  nib_direct_root *first_root;
} segments;

static void write_segments(nib_direct *d, void *user) {
  const segments *s = user;
  each_stored(d->g, d->kernel, declare_stored, d);
  d->cut_units = d->e->cut ? units(d->g, d->kernel, d->e->vocab) : 0;
  emit_segments(d, s->first_root);
  if (d->cut_units > 0 && d->status == NIB_OK)
    nib_direct_fail(d, &d->g->nodes[d->kernel->nodes[0]], NIB_ERROR_INTERNAL,
                    "no loop for threads");
}

/* The body comes first, since it finds out which constants to declare above it. */
nib_status nib_direct_emit_body(nib_emitter *e, const nib_kernel *k, nib_direct_grid *grid,
                                nib_direct_body *write, void *user) {
  nib_text body, *const real = e->body;
  nib_text_init(&body);
  body.indent = real->indent;
  nib_direct d = {.e = e, .g = e->graph, .kernel = k, .t = &body, .grid = grid};
  d.index = nib_direct_index_type(d.g, k);
  d.n_inputs = nib_kernel_inputs(d.g, k, d.inputs, NIB_DIRECT_MAX_INPUTS);
  e->body = &body;
  write(&d, user);
  e->body = real;
  for (int32_t i = 0; i < d.n_locals; ++i)
    nib_text_line(e->body, "const %s *const %s = %s;", d.locals[i].c_type, d.locals[i].name,
                  d.locals[i].expression);
  nib_text_printf(e->body, "%s", body.size ? body.data : "");
  if (body.failed && d.status == NIB_OK)
    d.status = nib_diag_error(e->diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory for code");
  nib_text_free(&body);
  return d.status;
}

nib_status nib_direct_emit_segments(nib_emitter *e, const nib_kernel *k,
                                    nib_direct_root *first_root, nib_direct_grid *grid) {
  segments s = {first_root};
  return nib_direct_emit_body(e, k, grid, write_segments, &s);
}

nib_status nib_direct_emit(nib_emitter *e, const nib_kernel *k, nib_direct_root *first_root) {
  return nib_direct_emit_segments(e, k, first_root, NULL);
}

static nib_status emit(nib_emitter *e, const nib_kernel *k) { return nib_direct_emit(e, k, NULL); }

const nib_schedule nib_schedule_direct = {
    .name = "direct",
    .accepts = accepts,
    .tiles = nib_schedule_one_tile,
    .scratch_bytes = scratch_bytes,
    .emit = emit,
    .units = units,
};
