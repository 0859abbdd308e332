/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * TensorProto: typed fields, raw bytes and external data become little-endian bytes of a format. */
#include "onnx_internal.h"

#include "onnx_external.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ELEMS (INT64_C(1) << 40)

/* How a data type is stored in the typed fields. */
typedef enum field { IN_NONE, IN_FLOAT, IN_INT32, IN_INT64, IN_DOUBLE } field;

typedef struct data_type {
  const char *name;
  nib_format format; /* NIB_FORMAT_COUNT: not supported */
  field typed;
  int file_bytes; /* of one element in raw_data */
} data_type;

#define NONE NIB_FORMAT_COUNT

/* By TensorProto.DataType, newer values than Debian's onnx.proto included. */
static const data_type data_types[] = {
    {"undefined", NONE, IN_NONE, 0},        {"float", NIB_F32, IN_FLOAT, 4},
    {"uint8", NIB_U8, IN_INT32, 1},         {"int8", NIB_I8, IN_INT32, 1},
    {"uint16", NIB_U16, IN_INT32, 2},       {"int16", NIB_I16, IN_INT32, 2},
    {"int32", NIB_I32, IN_INT32, 4},        {"int64", NIB_I64, IN_INT64, 8},
    {"string", NONE, IN_NONE, 0},           {"bool", NIB_I1, IN_INT32, 1},
    {"float16", NIB_F32, IN_INT32, 2},      {"double", NIB_F64, IN_DOUBLE, 8},
    {"uint32", NONE, IN_NONE, 0},           {"uint64", NONE, IN_NONE, 0},
    {"complex64", NONE, IN_NONE, 0},        {"complex128", NONE, IN_NONE, 0},
    {"bfloat16", NONE, IN_NONE, 0},         {"float8e4m3fn", NONE, IN_NONE, 0},
    {"float8e4m3fnuz", NONE, IN_NONE, 0},   {"float8e5m2", NONE, IN_NONE, 0},
    {"float8e5m2fnuz", NONE, IN_NONE, 0},   {"uint4", NONE, IN_NONE, 0},
    {"int4", NONE, IN_NONE, 0},             {"float4e2m1", NONE, IN_NONE, 0},
    {"float8e8m0", NONE, IN_NONE, 0},       {"uint2", NONE, IN_NONE, 0},
    {"int2", NONE, IN_NONE, 0},
};
#define FLOAT16 ONNX__TENSOR_PROTO__DATA_TYPE__FLOAT16

static const data_type *find_type(int32_t type) {
  size_t count = sizeof data_types / sizeof data_types[0];
  return type >= 0 && (size_t)type < count ? &data_types[type] : NULL;
}

const char *nib_onnx_type_name(int32_t type) {
  const data_type *t = find_type(type);
  return t ? t->name : "an unknown type";
}

nib_format nib_onnx_format(int32_t type) {
  const data_type *t = find_type(type);
  return t && type != FLOAT16 ? t->format : NIB_FORMAT_COUNT;
}

int64_t nib_onnx_count_elems(const int64_t *dims, int32_t rank) {
  int64_t count = 1;
  for (int32_t i = 0; i < rank; ++i) {
    if (dims[i] < 0 || dims[i] > MAX_ELEMS)
      return -1;
    if (dims[i] == 0)
      count = 0;
    else if (count > MAX_ELEMS / dims[i])
      return -1;
    else
      count *= dims[i];
  }
  return count;
}

/* IEEE binary16 to binary32, exactly. */
static float half_to_float(uint16_t h) {
  uint32_t sign = (uint32_t)(h >> 15) << 31, exponent = h >> 10 & 31, mantissa = h & 1023;
  uint32_t bits;
  if (exponent == 31)
    bits = sign | 0x7f800000u | mantissa << 13;
  else if (exponent)
    bits = sign | (exponent + 112) << 23 | mantissa << 13;
  else {
    float magnitude = (float)mantissa * 0x1p-24f;
    return sign ? -magnitude : magnitude;
  }
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

static void copy_element(uint8_t *to, const data_type *type, bool half, int64_t value) {
  if (half) {
    float real = half_to_float((uint16_t)value);
    memcpy(to, &real, sizeof real);
  } else {
    uint8_t narrow = type->format == NIB_I1 ? value != 0 : (uint8_t)value;
    uint16_t middle = (uint16_t)value;
    uint32_t wide = (uint32_t)value;
    const void *from = type->file_bytes == 1   ? (const void *)&narrow
                       : type->file_bytes == 2 ? (const void *)&middle
                                               : (const void *)&wide;
    memcpy(to, from, (size_t)type->file_bytes);
  }
}

/* Elements in the field that holds this type. */
static size_t typed_count(const Onnx__TensorProto *t, field f) {
  switch (f) {
  case IN_FLOAT:
    return t->n_float_data;
  case IN_INT32:
    return t->n_int32_data;
  case IN_INT64:
    return t->n_int64_data;
  case IN_DOUBLE:
    return t->n_double_data;
  default:
    return 0;
  }
}

static void copy_typed(const Onnx__TensorProto *t, const data_type *type, bool half, uint8_t *to,
                       size_t count) {
  if (!count)
    return; /* the arrays may be NULL */
  switch (type->typed) {
  case IN_FLOAT:
    memcpy(to, t->float_data, count * sizeof(float));
    break;
  case IN_DOUBLE:
    memcpy(to, t->double_data, count * sizeof(double));
    break;
  case IN_INT64:
    memcpy(to, t->int64_data, count * sizeof(int64_t));
    break;
  default:
    for (size_t i = 0; i < count; ++i)
      copy_element(to + i * nib_format_bytes(type->format), type, half, t->int32_data[i]);
  }
}

static void copy_raw(const uint8_t *from, const data_type *type, bool half, uint8_t *to,
                     size_t count) {
  if (!count)
    return;
  if (!half && type->format != NIB_I1) {
    memcpy(to, from, count * (size_t)type->file_bytes);
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    int64_t value = half ? from[2 * i] | from[2 * i + 1] << 8 : from[i];
    copy_element(to + i * nib_format_bytes(type->format), type, half, value);
  }
}

/* Shape and format; the counts that the data must have. */
static nib_status read_header(const Onnx__TensorProto *t, const char *where, nib_onnx_value *v,
                              const nib_diag *diag) {
  const data_type *type = find_type(t->data_type);
  if (!t->has_data_type || !type)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "%s: data type %d is unknown", where,
                          t->has_data_type ? t->data_type : 0);
  if (type->format == NIB_FORMAT_COUNT)
    return nib_diag_error(diag, NIB_ERROR_UNSUPPORTED, "%s: type %s is not supported", where,
                          type->name);
  if (t->n_dims > NIB_MAX_RANK)
    return nib_diag_error(diag, NIB_ERROR_UNSUPPORTED, "%s: rank %zu is above %d", where, t->n_dims,
                          NIB_MAX_RANK);
  if (t->segment)
    return nib_diag_error(diag, NIB_ERROR_UNSUPPORTED, "%s: segmented tensors are not supported",
                          where);
  v->format = type->format;
  v->rank = (int32_t)t->n_dims;
  for (int32_t i = 0; i < v->rank; ++i)
    v->dims[i] = t->dims[i];
  int64_t count = nib_onnx_count_elems(v->dims, v->rank);
  if (count < 0)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT, "%s: its shape is negative or too large",
                          where);
  v->bytes = (size_t)count * nib_format_bytes(v->format);
  return NIB_OK;
}

nib_status nib_onnx_read_tensor(const Onnx__TensorProto *t, nib_graph *g, const char *base_dir,
                                const char *where, nib_onnx_value *v, bool *out_half,
                                const nib_diag *diag) {
  NIB_RETURN_IF_ERROR(read_header(t, where, v, diag));
  const data_type *type = find_type(t->data_type);
  bool half = t->data_type == FLOAT16;
  size_t count = v->bytes / nib_format_bytes(v->format);
  size_t file_bytes = count * (size_t)type->file_bytes, have = 0;
  uint8_t *external = NULL;
  bool is_external = t->has_data_location &&
                     t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
  if (is_external) {
    NIB_RETURN_IF_ERROR(
        nib_onnx_read_external(t, base_dir, where, file_bytes, &external, diag));
    have = file_bytes;
  } else
    have = t->has_raw_data ? t->raw_data.len
                           : typed_count(t, type->typed) * (size_t)type->file_bytes;
  if (have != file_bytes)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: %zu bytes of data, its shape needs %zu", where, have, file_bytes);
  /* Allocated only now: the file has shown that it holds as much. */
  size_t room = v->bytes < 64 ? 64 : v->bytes;
  uint8_t *data = g ? nib_graph_alloc(g, room) : malloc(room);
  if (!data) {
    free(external);
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  }
  if (is_external)
    copy_raw(external, type, half, data, count);
  else if (t->has_raw_data)
    copy_raw(t->raw_data.data, type, half, data, count);
  else
    copy_typed(t, type, half, data, count);
  free(external);
  v->data = data;
  v->is_known = true;
  *out_half = half;
  return NIB_OK;
}

nib_status nib_import_onnx_tensor(const uint8_t *bytes, size_t size, nib_format *out_format,
                                  int32_t *out_rank, int64_t out_dims[NIB_MAX_RANK],
                                  void **out_data, size_t *out_bytes, const nib_diag *diag) {
  *out_data = NULL;
  *out_bytes = 0;
  nib_onnx_pool pool;
  nib_onnx_init_pool(&pool, size);
  ProtobufCMessage *message =
      nib_onnx_decode(&pool, &onnx__tensor_proto__descriptor, bytes, size, diag);
  if (!message)
    return NIB_ERROR_INVALID_INPUT;
  const Onnx__TensorProto *t = (const Onnx__TensorProto *)message;
  nib_onnx_value v = {0};
  bool half = false;
  nib_status status = t->data_type == FLOAT16
                          ? nib_diag_error(diag, NIB_ERROR_UNSUPPORTED,
                                           "tensor: type float16 is not supported")
                          : nib_onnx_read_tensor(t, NULL, NULL, "tensor", &v, &half, diag);
  protobuf_c_message_free_unpacked(message, &pool.allocator);
  if (status != NIB_OK)
    return status;
  *out_format = v.format;
  *out_rank = v.rank;
  memcpy(out_dims, v.dims, sizeof v.dims);
  *out_data = (void *)(uintptr_t)v.data;
  *out_bytes = v.bytes;
  return NIB_OK;
}
