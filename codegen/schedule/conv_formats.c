// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Formats and constants of the convolutions in vector code.
#include "schedule/conv_formats.h"

#include "emit/constants.h"
#include "epilogue/say.h"
#include "params/params.h"
#include "schedule/conv_fetch.h"

static bool is_byte(const nib_tensor *t) { return t->format == NIB_I8 || t->format == NIB_U8; }

/* Integers that packing can make bytes of: bipolar ones of 8 bits reach beyond those. */
static bool fits_bytes(const nib_tensor *t) {
  const nib_format_info *f = nib_format_get(t->format);
  return f->bytes == 1 &&
         (f->kind == NIB_KIND_SIGNED || f->kind == NIB_KIND_UNSIGNED ||
          (f->kind == NIB_KIND_BIPOLAR && f->bits < 8 && (!t->quantized || t->zero_point == 0)));
}

/* C type of packed reals. */
const char *nib_conv_real_type(const nib_vocab *v) {
  return nib_vocab_multiplies_f16(v) ? "uint16_t" : "float";
}

const char *nib_conv_weight_type(const nib_vocab *v, bool is_float) {
  return is_float ? nib_conv_real_type(v) : v->weights_i16 ? "int16_t" : "int8_t";
}

const char *nib_conv_bias_type(const nib_vocab *v, bool is_float) {
  return !is_float ? "int32_t" : v->real_f16 ? "uint16_t" : "float";
}

/* One row whose weights come from afar, which hides what their signs cost. */
static bool is_signed_row(const nib_tensor *x, const nib_tensor *w, const nib_tensor *y) {
  return x->format == NIB_I8 && w->data && nib_tensor_elems(w) > NIB_CONV_NEAR_BYTES &&
         nib_tensor_elems(y) == y->dims[y->rank - 1] && nib_pack_zero(w) == 0 &&
         nib_pack_fits_signs(w);
}

bool nib_conv_formats_fit(const nib_graph *g, const nib_node *n, const nib_vocab *v, bool live) {
  const nib_tensor *x = nib_node_input(g, n, 0), *w = nib_node_input(g, n, 1);
  const nib_tensor *bias = nib_node_input(g, n, 2), *y = &g->tensors[n->out];
  if (!x || x->data || !w || (!w->data && !live) || (bias && !bias->data))
    return false;
  if (nib_tensor_elems(x) > INT32_MAX / 4 || nib_tensor_elems(y) > INT32_MAX / 4)
    return false;
  const nib_format decoded = nib_node_decode_format(g, n);
  if (decoded != NIB_NO_FORMAT && decoded != w->format)
    return false;                    /* weights are packed as they are */
  if (nib_params_is_real(x->format)) /* sums start from the bias, in its format */
    return nib_params_is_real(w->format) &&
           !(bias && bias->format == NIB_F32 && (v->real_f16 || v->type_sum)) &&
           (!bias || nib_params_is_real(bias->format)) && nib_params_is_real(y->format);
  if (v->signed_row && !is_signed_row(x, w, y))
    return false;
  return is_byte(x) && x->quantized && (w->data ? fits_bytes(w) : is_byte(w)) &&
         (!bias || bias->format == NIB_I32);
}

void nib_conv_add_starts(void *biases, const int32_t *starts, int64_t channels) {
  uint32_t *const sums = biases;
  for (int64_t c = 0; starts && c < channels; c++)
    sums[c] += (uint32_t)starts[c];
}

nib_status nib_conv_order(const nib_graph *g, const nib_kernel *kernel, const nib_vocab *v,
                          const nib_conv_walk *w, int32_t **out_order) {
  const bool bytes = !w->is_float && w->dot_k == 4 && w->codes == 1 && !v->weights_i16;
  *out_order = NULL;
  if (!bytes || !nib_node_input(g, &g->nodes[kernel->nodes[0]], 1)->data ||
      w->columns != NIB_PACK_REGISTERS || w->last_columns || w->shape.groups > 1 ||
      !nib_epilogue_can_finish_parts(g, kernel, v))
    return NIB_OK;
  *out_order = nib_pack_channel_order(w->shape.out_c, w->lanes, NIB_PACK_REGISTERS);
  return *out_order ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

nib_status nib_conv_pack(const nib_graph *g, const nib_node *n, const nib_vocab *v,
                         const nib_conv_walk *w, const int32_t *order, const int32_t *starts,
                         int64_t elems, void **out_weights, size_t *out_bytes, void **out_bias) {
  const int64_t channels = w->shape.out_c;
  nib_status status = nib_pack_weights(g, n, v, w, out_weights, out_bytes);
  if (status == NIB_OK && order)
    status = nib_pack_move_columns(order, w->columns * w->lanes, *out_weights, *out_bytes);
  if (status == NIB_OK)
    status = nib_pack_bias(g, n, v, w, elems, out_bias);
  for (int64_t i = 0; status == NIB_OK && !w->is_float && i < nib_pack_phase_count(w); i++) {
    int32_t *bias = (int32_t *)*out_bias + i * elems;
    if (order)
      status = nib_pack_move_biases(order, channels, bias);
    nib_conv_add_starts(bias, starts, channels);
  }
  return status;
}

nib_status nib_conv_add_constants(nib_emitter *e, const nib_kernel *kernel, const char *weight_type,
                                  const void *weights, size_t bytes, const char *bias_type,
                                  const void *bias, int64_t bias_elems, nib_conv_constants *out) {
  out->weights = nib_constants_add(e->constants, nib_word_of("%s_weights", kernel->name).s,
                                   weight_type, weights, bytes);
  out->bias = nib_constants_add(e->constants, nib_word_of("%s_bias", kernel->name).s, bias_type,
                                bias, (size_t)bias_elems * 4);
  return out->weights && out->bias ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}

double nib_conv_largest_share(int64_t units, int64_t parts) {
  return units < 2 ? 1.0 : (double)((units + parts - 1) / parts) / (double)units;
}
