/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Operators as products of rows by rows: shapes, packed weights, and what comes after the sum. */
#include "cuda/gemm.h"

#include "emit/storage.h"
#include "params/params.h"

#include <stdlib.h>
#include <string.h>

bool nib_gemm_is_aligned(const nib_graph *g, int32_t tensor) {
  const nib_storage place = nib_storage_of(g, tensor);
  return place.kind != NIB_STORAGE_ARENA || place.offset % 16 == 0;
}

static bool read_shape(const nib_graph *g, const nib_node *n, nib_gemm *p) {
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  if (n->op == NIB_OP_MATMUL) {
    if (w->rank != 2 || !w->data || x->rank < 2)
      return false;
    p->k = w->dims[0];
    p->n = w->dims[1];
    p->m = p->k > 0 ? nib_tensor_elems(x) / p->k : 0;
    return true;
  }
  if (n->op != NIB_OP_FULLY_CONNECTED && n->op != NIB_OP_CONV2D)
    return false;
  nib_conv_shape s;
  nib_params_conv_shape(g, n, &s);
  p->m = s.batch * s.out_h * s.out_w;
  p->n = s.out_c;
  p->k = s.in_c;
  return nib_pack_is_pointwise(&s) && s.groups == 1;
}

static const char *float_type(nib_format format) {
  return format == NIB_BF16       ? "bf16"
         : format == NIB_F16      ? "f16"
         : format == NIB_F8E4M3FN ? "f8e4m3"
                                  : NULL;
}

static bool is_byte(const nib_tensor *t) {
  const nib_format_info *f = nib_format_get(t->format);
  return (f->kind == NIB_KIND_SIGNED || f->kind == NIB_KIND_UNSIGNED) && f->bytes == 1;
}

static bool is_signed(const nib_tensor *t) {
  return nib_format_get(t->format)->kind == NIB_KIND_SIGNED;
}

/* Whether weights without their zero point are int8. */
static bool weights_fit(const nib_tensor *w) {
  return w->data ? nib_pack_fits_i8(w) : nib_pack_zero(w) == 0 && is_signed(w);
}

static bool integers_fit(const nib_graph *g, const nib_node *n) {
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  if (!is_byte(x) || !is_byte(w) || (!w->data && nib_pack_zero(x) != 0))
    return false;
  const nib_tensor *bias = nib_node_input(g, n, 2), *y = &g->tensors[n->out];
  if (n->op == NIB_OP_MATMUL)
    return nib_format_bytes(y->format) <= 4;
  nib_conv_params p;
  if ((bias && (!bias->data || bias->format != NIB_I32)) || nib_params_conv(g, n, &p) != NIB_OK)
    return false;
  free(p.requant);
  return !p.acc64 && y->format != NIB_I64;
}

bool nib_gemm_formats(const nib_graph *g, const nib_node *n, nib_gemm *out) {
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  out->bytes = nib_format_bytes(x->format);
  out->is_float = float_type(x->format) != NULL;
  out->type = out->is_float ? float_type(x->format) : is_signed(x) ? "i8" : "u8i8";
  return out->is_float ? w->format == x->format && g->tensors[n->out].format == x->format
                       : integers_fit(g, n);
}

bool nib_gemm_of(const nib_graph *g, const nib_kernel *k, nib_gemm *out) {
  memset(out, 0, sizeof *out);
  const nib_node *n = &g->nodes[k->nodes[0]];
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  if (!x || !w || x->data || !nib_direct_accepts(g, k) || nib_direct_segments(g, k) != 1 ||
      !read_shape(g, n, out) || !nib_gemm_formats(g, n, out) || (!out->is_float && !weights_fit(w)))
    return false;
  out->constant = w->data != NULL;
  out->pitch = out->k * out->bytes;
  if (out->constant)
    out->pitch = (out->pitch + 15) / 16 * 16;
  return out->m > 0 && out->n > 0 && out->k > 0 && out->m < INT32_MAX / 2 &&
         out->n < INT32_MAX / 2 && out->k < INT32_MAX / 2;
}

nib_pack_matrix nib_gemm_weights(const nib_graph *g, const nib_node *n, const nib_gemm *p) {
  return (nib_pack_matrix){nib_node_input(g, n, 1), n->op == NIB_OP_MATMUL, p->n, p->k};
}

nib_expr nib_gemm_start(nib_direct *d, const nib_node *n, const nib_gemm *p) {
  const bool has_bias = n->op != NIB_OP_MATMUL && nib_node_input(d->g, n, 2);
  if (p->is_float)
    return has_bias ? nib_direct_pointer(d, n->in[2], "bias") : nib_expr_printf("%s", "");
  if (!has_bias && nib_pack_zero(nib_node_input(d->g, n, 0)) == 0)
    return nib_expr_printf("%s", "");
  const nib_pack_matrix w = nib_gemm_weights(d->g, n, p);
  int32_t *start;
  if (nib_pack_row_starts(&w, nib_node_input(d->g, n, 0),
                          has_bias ? nib_node_input(d->g, n, 2) : NULL, &start) != NIB_OK) {
    nib_direct_fail(d, n, NIB_ERROR_OUT_OF_MEMORY, "out of memory for its bias");
    return nib_expr_printf("%s", "");
  }
  nib_expr e = nib_direct_constant(d, "start", "int32_t", start, (size_t)p->n * sizeof *start);
  free(start);
  return e;
}

void nib_gemm_finish(nib_direct *d, const nib_node *n, const nib_gemm *p, const char *start,
                     const char *sum, const char *index, const char *channel) {
  if (p->is_float) {
    nib_expr value = nib_expr_printf("%s", sum);
    if (start[0])
      value = nib_expr_printf("%s + %s", sum,
                              nib_direct_decode(nib_node_input(d->g, n, 2)->format,
                                                nib_expr_printf("%s[%s]", start, channel).s)
                                  .s);
    nib_text_line(d->t, "const float acc = %s;", value.s);
    nib_direct_put(d, index,
                   n->op == NIB_OP_MATMUL ? "acc" : nib_direct_activate_real(d, n, "acc").s);
    return;
  }
  if (start[0])
    nib_text_line(d->t, "const int32_t acc = (int32_t)((uint32_t)%s + (uint32_t)%s[%s]);", sum,
                  start, channel);
  else
    nib_text_line(d->t, "const int32_t acc = %s;", sum);
  if (n->op == NIB_OP_MATMUL) {
    nib_direct_put(d, index, nib_direct_matmul_value(d, n).s);
    return;
  }
  nib_conv_params params;
  if (nib_params_conv(d->g, n, &params) != NIB_OK) {
    nib_direct_fail(d, n, NIB_ERROR_INTERNAL, "its arithmetic has no parameters");
    return;
  }
  nib_direct_finish_sum(d, n, &params, index, channel);
  free(params.requant);
}
