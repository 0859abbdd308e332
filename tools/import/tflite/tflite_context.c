/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Reading tensors of a TFLite file and turning them into graph tensors. */
#include "import/tflite/tflite_context.h"

#include "import/import_util.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void format_message(const nib_tfl_context *c, const char *format, va_list args, char *text,
                           size_t bytes) {
  int used = c->op_name ? snprintf(text, bytes, "operator %d (%s '%.200s'): ", c->index, c->op_name,
                                   c->name ? c->name : "")
                        : snprintf(text, bytes, "%.200s: ", c->options->display_path);
  if (used < 0 || (size_t)used >= bytes)
    used = 0;
  vsnprintf(text + used, bytes - (size_t)used, format, args);
}

nib_status nib_tfl_invalid(const nib_tfl_context *c, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  format_message(c, format, args, text, sizeof text);
  va_end(args);
  return nib_diag_error(c->diag, NIB_ERROR_INVALID_INPUT, "%s", text);
}

nib_status nib_tfl_unsupported(nib_tfl_context *c, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  format_message(c, format, args, text, sizeof text);
  va_end(args);
  ++c->n_unsupported;
  if (c->options->list_only)
    nib_diag_note(c->diag, "%s", text);
  else
    nib_diag_error(c->diag, NIB_ERROR_UNSUPPORTED, "%s", text);
  return NIB_ERROR_UNSUPPORTED;
}

static nib_status out_of_memory(const nib_tfl_context *c) {
  return nib_diag_error(c->diag, NIB_ERROR_OUT_OF_MEMORY, "%s: out of memory",
                        c->options->display_path);
}

nib_status nib_tfl_check(const nib_tfl_context *c) {
  if (nib_fb_ok(&c->fb))
    return NIB_OK;
  return nib_tfl_invalid(c, "malformed file: %s (at byte %zu)", c->fb.error, c->fb.error_offset);
}

nib_status nib_tfl_spend(nib_tfl_context *c, size_t bytes) {
  size_t limit = c->fb.size * 8 + 65536;
  if (bytes > limit - c->spent_bytes)
    return nib_tfl_invalid(c, "malformed file: its parts overlap");
  c->spent_bytes += bytes;
  return NIB_OK;
}

int32_t nib_tfl_input_index(const nib_tfl_context *c, uint32_t slot) {
  return slot < c->inputs.count ? nib_fb_i32_at(&c->inputs, slot) : -1;
}

bool nib_tfl_has_input(const nib_tfl_context *c, uint32_t slot) {
  return nib_tfl_input_index(c, slot) >= 0;
}

/* --- tensors of the file --- */

static const struct {
  int type;
  nib_format format;
} tensor_types[] = {
    {TFL_FLOAT32, NIB_F32}, {TFL_INT32, NIB_I32}, {TFL_UINT8, NIB_U8}, {TFL_INT64, NIB_I64},
    {TFL_BOOL, NIB_I1},     {TFL_INT16, NIB_I16}, {TFL_INT8, NIB_I8},
};

static nib_format find_format(int type) {
  for (size_t i = 0; i < sizeof tensor_types / sizeof *tensor_types; ++i)
    if (tensor_types[i].type == type)
      return tensor_types[i].format;
  return NIB_FORMAT_COUNT;
}

nib_status nib_tfl_read_name(nib_tfl_context *c, int32_t index) {
  if (c->names[index])
    return NIB_OK;
  nib_fb_table table = nib_fb_table_at(&c->tensors, (uint32_t)index);
  nib_fb_vector text = nib_fb_vec(&table, TFL_TENSOR_NAME, 1);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  const char *bytes = text.count ? (const char *)c->fb.bytes + text.at : "";
  c->names[index] = nib_import_clean_name(c->graph, bytes, text.count);
  return c->names[index] ? NIB_OK : out_of_memory(c);
}

static nib_status read_shape(nib_tfl_context *c, const nib_fb_table *table, nib_tfl_tensor *t) {
  nib_fb_vector shape = nib_fb_vec(table, TFL_TENSOR_SHAPE, 4);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  if (shape.count > NIB_MAX_RANK)
    return nib_tfl_unsupported(c, "tensor '%s' has %u dimensions, at most %d are supported",
                               t->name, shape.count, NIB_MAX_RANK);
  t->rank = (int32_t)shape.count;
  for (int32_t i = 0; i < t->rank; ++i)
    t->dims[i] = nib_fb_i32_at(&shape, (uint32_t)i);
  if (!nib_import_count_elems(t->rank, t->dims, &t->elems))
    return nib_tfl_invalid(c, "tensor '%s' has a negative dimension or too many elements", t->name);
  return NIB_OK;
}

/* Where the tensor's constant data is: in its buffer's vector, or (files past 2 GB) at an offset.
 */
static nib_status read_data(nib_tfl_context *c, const nib_fb_table *table, nib_tfl_tensor *t) {
  t->buffer = nib_fb_u32(table, TFL_TENSOR_BUFFER, 0);
  if (nib_fb_u32(table, TFL_TENSOR_EXTERNAL_BUFFER, 0) != 0)
    return nib_tfl_unsupported(c, "tensor '%s' keeps its data in another file", t->name);
  if (t->buffer == 0 && c->buffers.count == 0)
    return nib_tfl_check(c);
  if (t->buffer >= c->buffers.count)
    return nib_tfl_invalid(c, "tensor '%s' uses buffer %u of %u", t->name, t->buffer,
                           c->buffers.count);
  nib_fb_table buffer = nib_fb_table_at(&c->buffers, t->buffer);
  nib_fb_vector data = nib_fb_vec(&buffer, TFL_BUFFER_DATA, 1);
  uint64_t offset = nib_fb_u64(&buffer, TFL_BUFFER_OFFSET, 0);
  uint64_t size = nib_fb_u64(&buffer, TFL_BUFFER_SIZE, 0);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  if (data.count == 0 && offset > 1) {
    if (offset > c->fb.size || size > c->fb.size - offset)
      return nib_tfl_invalid(c, "data of tensor '%s' is outside the file", t->name);
    t->data = c->fb.bytes + offset;
    t->data_bytes = (size_t)size;
  } else if (data.count) {
    t->data = c->fb.bytes + data.at;
    t->data_bytes = data.count;
  }
  if (t->data_bytes == 0)
    t->data = NULL;
  return NIB_OK;
}

static nib_status check_data_length(nib_tfl_context *c, const nib_tfl_tensor *t) {
  size_t wanted = (size_t)t->elems * nib_format_bytes(t->format);
  if (t->data && t->data_bytes != wanted)
    return nib_tfl_invalid(c, "tensor '%s' has %zu bytes of data, its shape needs %zu", t->name,
                           t->data_bytes, wanted);
  return NIB_OK;
}

static nib_status read_quantization(nib_tfl_context *c, const nib_fb_table *table,
                                    nib_tfl_tensor *t) {
  nib_fb_table quant = nib_fb_child(table, TFL_TENSOR_QUANTIZATION);
  t->scales = nib_fb_vec(&quant, TFL_QUANT_SCALE, 4);
  t->zero_points = nib_fb_vec(&quant, TFL_QUANT_ZERO_POINT, 8);
  t->channel_dim = nib_fb_i32(&quant, TFL_QUANT_DIMENSION, 0);
  uint8_t details = nib_fb_u8(&quant, TFL_QUANT_DETAILS_TYPE, 0);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  if (details != 0)
    return nib_tfl_unsupported(c, "tensor '%s' has custom or blockwise quantization", t->name);
  uint32_t n = t->scales.count, n_zero = t->zero_points.count;
  if (n_zero > 1 && n_zero != n)
    return nib_tfl_invalid(c, "tensor '%s' has %u scales and %u zero points", t->name, n, n_zero);
  NIB_RETURN_IF_ERROR(nib_tfl_spend(c, (size_t)n * 12));
  const nib_format_info *info = nib_format_get(t->format);
  for (uint32_t i = 0; i < n; ++i) {
    float scale = nib_fb_f32_at(&t->scales, i);
    if (!isfinite(scale) || scale <= 0)
      return nib_tfl_invalid(c, "tensor '%s' has the scale %g; it must be positive and finite",
                             t->name, (double)scale);
    int64_t zero = i < n_zero ? nib_fb_i64_at(&t->zero_points, i) : 0;
    if (info->kind != NIB_KIND_FLOAT && (zero < info->min || zero > info->max))
      return nib_tfl_invalid(c, "tensor '%s' has the zero point %lld, outside %s", t->name,
                             (long long)zero, info->name);
  }
  return NIB_OK;
}

nib_status nib_tfl_read_tensor(nib_tfl_context *c, int32_t index, nib_tfl_tensor *out_tensor) {
  nib_tfl_tensor *t = out_tensor;
  memset(t, 0, sizeof *t);
  if (index < 0 || (uint32_t)index >= c->tensors.count)
    return nib_tfl_invalid(c, "tensor %d does not exist, the model has %u", index,
                           c->tensors.count);
  t->index = index;
  nib_fb_table table = nib_fb_table_at(&c->tensors, (uint32_t)index);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  NIB_RETURN_IF_ERROR(nib_tfl_read_name(c, index));
  t->name = c->names[index];
  int type = nib_fb_i8(&table, TFL_TENSOR_TYPE, TFL_FLOAT32);
  t->format = find_format(type);
  if (t->format == NIB_FORMAT_COUNT)
    return nib_tfl_unsupported(c, "tensor '%s' has type %s", t->name, nib_tfl_type_name(type));
  if (nib_fb_u8(&table, TFL_TENSOR_IS_VARIABLE, 0))
    return nib_tfl_unsupported(c, "tensor '%s' is a variable", t->name);
  if (nib_fb_has(&table, TFL_TENSOR_SPARSITY))
    return nib_tfl_unsupported(c, "tensor '%s' is sparse", t->name);
  NIB_RETURN_IF_ERROR(read_shape(c, &table, t));
  NIB_RETURN_IF_ERROR(read_data(c, &table, t));
  NIB_RETURN_IF_ERROR(check_data_length(c, t));
  return read_quantization(c, &table, t);
}

nib_status nib_tfl_input(nib_tfl_context *c, uint32_t slot, nib_tfl_tensor *out_tensor) {
  int32_t index = nib_tfl_input_index(c, slot);
  if (index == -1)
    return nib_tfl_invalid(c, "input %u is missing", slot);
  return nib_tfl_read_tensor(c, index, out_tensor);
}

nib_status nib_tfl_output(nib_tfl_context *c, nib_tfl_tensor *out_tensor) {
  if (c->outputs.count != 1)
    return nib_tfl_invalid(c, "it has %u outputs, not one", c->outputs.count);
  return nib_tfl_read_tensor(c, nib_fb_i32_at(&c->outputs, 0), out_tensor);
}

/* --- tensors of the graph --- */

/* Gives `id` the tensor's data; tensors of one buffer share one copy. */
static nib_status attach_data(nib_tfl_context *c, const nib_tfl_tensor *t, int32_t id) {
  const void *copy = c->buffer_copies[t->buffer];
  nib_data_mode mode = copy ? NIB_DATA_BORROWED : NIB_DATA_COPY;
  if (!copy)
    NIB_RETURN_IF_ERROR(nib_tfl_spend(c, t->data_bytes));
  if (nib_graph_set_data(c->graph, id, copy ? copy : t->data, t->data_bytes, mode) != NIB_OK)
    return out_of_memory(c);
  c->buffer_copies[t->buffer] = c->graph->tensors[id].data;
  return NIB_OK;
}

static nib_status add_tensor(nib_tfl_context *c, const nib_tfl_tensor *t, nib_tfl_role role,
                             int32_t rank, const int64_t *dims, int32_t *out_id) {
  int32_t id = nib_graph_add_tensor(c->graph, t->name, t->format, rank, dims);
  if (id == NIB_NONE)
    return out_of_memory(c);
  if (t->data)
    NIB_RETURN_IF_ERROR(attach_data(c, t, id));
  c->ids[role][t->index] = id;
  *out_id = id;
  return NIB_OK;
}

static bool is_narrow_integer(nib_format format) {
  return format == NIB_I8 || format == NIB_U8 || format == NIB_I16;
}

/* Gives `id` the per-tensor quantization of `t`, if it has one. */
static nib_status attach_quantization(nib_tfl_context *c, const nib_tfl_tensor *t, int32_t id) {
  if (t->scales.count == 0 || !(is_narrow_integer(t->format) || t->format == NIB_I32))
    return NIB_OK;
  if (t->scales.count > 1)
    return nib_tfl_unsupported(c, "tensor '%s' is quantized per channel, which only filters can be",
                               t->name);
  int64_t zero = t->zero_points.count ? nib_fb_i64_at(&t->zero_points, 0) : 0;
  if (t->format == NIB_I16 && zero != 0)
    return nib_tfl_unsupported(c, "tensor '%s' is int16 with the zero point %lld, not 0", t->name,
                               (long long)zero);
  nib_graph_set_quant(c->graph, id, (double)nib_fb_f32_at(&t->scales, 0), zero);
  return NIB_OK;
}

static nib_status typed_tensor(nib_tfl_context *c, const nib_tfl_tensor *t, int32_t *out_id) {
  if (t->elems == 0)
    return nib_tfl_invalid(c, "tensor '%s' has no elements", t->name);
  *out_id = c->ids[NIB_TFL_VALUE][t->index];
  if (*out_id != NIB_NONE)
    return NIB_OK;
  NIB_RETURN_IF_ERROR(add_tensor(c, t, NIB_TFL_VALUE, t->rank, t->dims, out_id));
  return attach_quantization(c, t, *out_id);
}

nib_status nib_tfl_value(nib_tfl_context *c, const nib_tfl_tensor *t, int32_t *out_id) {
  if (!t->data && !c->written[t->index])
    return nib_tfl_invalid(c, "it reads '%s' before any operator has written it", t->name);
  return typed_tensor(c, t, out_id);
}

nib_status nib_tfl_result(nib_tfl_context *c, const nib_tfl_tensor *t, int32_t *out_id) {
  if (t->data)
    return nib_tfl_invalid(c, "its result '%s' has constant data", t->name);
  return typed_tensor(c, t, out_id);
}

/* The scales of a filter as an f32 constant of shape [n]. */
static nib_status add_scales(nib_tfl_context *c, const nib_tfl_tensor *t, int32_t *out_id) {
  *out_id = c->ids[NIB_TFL_SCALES][t->index];
  if (*out_id != NIB_NONE)
    return NIB_OK;
  int64_t n = t->scales.count;
  char name[256];
  snprintf(name, sizeof name, "%.200s/scales", t->name);
  NIB_RETURN_IF_ERROR(nib_tfl_spend(c, (size_t)n * sizeof(float)));
  float *values = malloc((size_t)n * sizeof *values);
  int32_t id = nib_graph_add_tensor(c->graph, name, NIB_F32, 1, &n);
  if (!values || id == NIB_NONE) {
    free(values);
    return out_of_memory(c);
  }
  for (int64_t i = 0; i < n; ++i)
    values[i] = nib_fb_f32_at(&t->scales, (uint32_t)i);
  nib_status status =
      nib_graph_set_data(c->graph, id, values, (size_t)n * sizeof *values, NIB_DATA_COPY);
  free(values);
  *out_id = c->ids[NIB_TFL_SCALES][t->index] = id;
  return status == NIB_OK ? NIB_OK : out_of_memory(c);
}

static nib_status check_filter(nib_tfl_context *c, const nib_tfl_tensor *t, nib_format input) {
  if (!t->data)
    return nib_tfl_unsupported(c, "its filter '%s' is not a constant", t->name);
  if (input == NIB_F32 && t->format != NIB_F32)
    return nib_tfl_unsupported(c, "hybrid arithmetic: float activations with %s weights",
                               nib_format_get(t->format)->name);
  nib_format wanted = input == NIB_I16 ? NIB_I8 : input;
  if (t->format != wanted)
    return nib_tfl_unsupported(c, "%s activations with %s weights", nib_format_get(input)->name,
                               nib_format_get(t->format)->name);
  if (input != NIB_F32 && t->scales.count == 0)
    return nib_tfl_invalid(c, "its filter '%s' has no scale", t->name);
  if (t->elems == 0)
    return nib_tfl_invalid(c, "its filter '%s' has no elements", t->name);
  return NIB_OK;
}

nib_status nib_tfl_filter(nib_tfl_context *c, const nib_tfl_tensor *t, nib_format input_format,
                          int32_t channel_dim, bool per_tensor_typed, int32_t *out_filter,
                          int32_t *out_scales) {
  *out_scales = NIB_NONE;
  NIB_RETURN_IF_ERROR(check_filter(c, t, input_format));
  uint32_t n = t->scales.count;
  if (t->format != NIB_I8 || (per_tensor_typed && n == 1))
    return typed_tensor(c, t, out_filter);
  if (n > 1 && t->channel_dim != channel_dim)
    return nib_tfl_invalid(c,
                           "its filter '%s' is quantized along dimension %d, the output channels "
                           "are dimension %d",
                           t->name, t->channel_dim, channel_dim);
  if (n > 1 && (int64_t)n != t->dims[channel_dim])
    return nib_tfl_invalid(c, "its filter '%s' has %u scales for %lld output channels", t->name, n,
                           (long long)t->dims[channel_dim]);
  for (uint32_t i = 0; i < t->zero_points.count; ++i)
    if (nib_fb_i64_at(&t->zero_points, i) != 0)
      return nib_tfl_unsupported(c, "its int8 filter '%s' has a zero point other than 0", t->name);
  *out_filter = c->ids[NIB_TFL_FILTER][t->index];
  if (*out_filter == NIB_NONE)
    NIB_RETURN_IF_ERROR(add_tensor(c, t, NIB_TFL_FILTER, t->rank, t->dims, out_filter));
  return add_scales(c, t, out_scales);
}

nib_status nib_tfl_bias(nib_tfl_context *c, uint32_t slot, nib_format input_format,
                        int64_t channels, int bias_type_field, int32_t *out_bias, bool *out_wide) {
  *out_bias = NIB_NONE;
  bool may_be_wide = input_format == NIB_I16;
  if (!nib_tfl_has_input(c, slot)) {
    int type = bias_type_field < 0 ? TFL_FLOAT32 : nib_fb_i8(&c->op_options, bias_type_field, 0);
    *out_wide = may_be_wide && type != TFL_INT32;
    return nib_tfl_check(c);
  }
  nib_tfl_tensor t;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, slot, &t));
  *out_wide = t.format == NIB_I64;
  if (!t.data)
    return nib_tfl_unsupported(c, "its bias '%s' is not a constant", t.name);
  bool right_type = input_format == NIB_F32 ? t.format == NIB_F32
                                            : t.format == NIB_I32 || (may_be_wide && *out_wide);
  if (!right_type)
    return nib_tfl_unsupported(c, "%s activations with a bias of type %s",
                               nib_format_get(input_format)->name, nib_format_get(t.format)->name);
  if (t.elems != channels)
    return nib_tfl_invalid(c, "its bias '%s' has %lld elements for %lld channels", t.name,
                           (long long)t.elems, (long long)channels);
  *out_bias = c->ids[NIB_TFL_BIAS][t.index];
  return *out_bias != NIB_NONE ? NIB_OK : add_tensor(c, &t, NIB_TFL_BIAS, 1, &channels, out_bias);
}

nib_status nib_tfl_int_list(nib_tfl_context *c, uint32_t slot, int64_t out[NIB_MAX_RANK * 2],
                            int32_t *out_n) {
  nib_tfl_tensor t;
  NIB_RETURN_IF_ERROR(nib_tfl_input(c, slot, &t));
  if (t.format != NIB_I32 && t.format != NIB_I64)
    return nib_tfl_unsupported(c, "its parameter '%s' has type %s, not i32 or i64", t.name,
                               nib_format_get(t.format)->name);
  if (!t.data && t.elems != 0)
    return nib_tfl_unsupported(c, "its parameter '%s' is not a constant", t.name);
  if (t.elems > NIB_MAX_RANK * 2)
    return nib_tfl_invalid(c, "its parameter '%s' has %lld values", t.name, (long long)t.elems);
  *out_n = (int32_t)t.elems;
  for (int32_t i = 0; i < *out_n; ++i)
    out[i] = nib_import_load_int(t.data, t.format, (size_t)i);
  return NIB_OK;
}

nib_status nib_tfl_temporary(nib_tfl_context *c, const nib_tfl_tensor *t, const char *suffix,
                             int32_t rank, const int64_t *dims, int32_t *out_id) {
  char name[256];
  snprintf(name, sizeof name, "%.200s/%s", t->name, suffix);
  *out_id = nib_graph_add_tensor(c->graph, name, t->format, rank, dims);
  if (*out_id == NIB_NONE)
    return out_of_memory(c);
  return attach_quantization(c, t, *out_id);
}

nib_status nib_tfl_check_same_type(nib_tfl_context *c, int32_t input_id, int32_t result_id) {
  const nib_tensor *in = &c->graph->tensors[input_id], *out = &c->graph->tensors[result_id];
  if (in->format != out->format)
    return nib_tfl_invalid(c, "'%s' is %s, its result is %s", in->name,
                           nib_format_get(in->format)->name, nib_format_get(out->format)->name);
  if (in->quantized != out->quantized ||
      (in->quantized && (in->scale != out->scale || in->zero_point != out->zero_point)))
    return nib_tfl_unsupported(c, "'%s' and the result differ in scale or zero point", in->name);
  return NIB_OK;
}

nib_status nib_tfl_node(nib_tfl_context *c, nib_op op, const int32_t *in, int32_t n_in, int32_t out,
                        int32_t *out_node) {
  *out_node = nib_graph_add_node(c->graph, op, c->name, c->index, in, n_in, out);
  return *out_node == NIB_NONE ? out_of_memory(c) : NIB_OK;
}

nib_status nib_tfl_check_activation(nib_tfl_context *c, int field, const char **out_activation) {
  static const char *const names[] = {"none", "relu", "relu_n1_to_1", "relu6", NULL, NULL};
  static const char *const unsupported[] = {"", "", "", "", "tanh", "sign_bit"};
  int code = nib_fb_i8(&c->op_options, field, 0);
  NIB_RETURN_IF_ERROR(nib_tfl_check(c));
  if (code < 0 || code > 5)
    return nib_tfl_invalid(c, "unknown fused activation %d", code);
  *out_activation = names[code];
  if (!names[code])
    return nib_tfl_unsupported(c, "the fused activation %s", unsupported[code]);
  return NIB_OK;
}
