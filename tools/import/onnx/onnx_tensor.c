/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * TensorProto: typed fields, raw bytes and external data become little-endian bytes of a format. */
#include "onnx_internal.h"

#include "onnx_external.h"

#include <stdlib.h>
#include <string.h>

#define MAX_ELEMS (INT64_C(1) << 40)

/* How a data type is stored in the typed fields. */
typedef enum field { IN_NONE, IN_FLOAT, IN_INT32, IN_INT64, IN_DOUBLE, IN_UINT64 } field;

typedef struct data_type {
  const char *name;
  nib_format format; /* NIB_FORMAT_COUNT: not supported */
  field typed;
} data_type;

#define NONE NIB_FORMAT_COUNT

/* By TensorProto.DataType, newer values than Debian's onnx.proto included. */
static const data_type data_types[] = {
    {"undefined", NONE, IN_NONE},
    {"float", NIB_F32, IN_FLOAT},
    {"uint8", NIB_U8, IN_INT32},
    {"int8", NIB_I8, IN_INT32},
    {"uint16", NIB_U16, IN_INT32},
    {"int16", NIB_I16, IN_INT32},
    {"int32", NIB_I32, IN_INT32},
    {"int64", NIB_I64, IN_INT64},
    {"string", NONE, IN_NONE},
    {"bool", NIB_I1, IN_INT32},
    {"float16", NIB_F16, IN_INT32},
    {"double", NIB_F64, IN_DOUBLE},
    {"uint32", NIB_U32, IN_UINT64},
    {"uint64", NIB_U64, IN_UINT64},
    {"complex64", NONE, IN_NONE},
    {"complex128", NONE, IN_NONE},
    {"bfloat16", NIB_BF16, IN_INT32},
    {"float8e4m3fn", NIB_F8E4M3FN, IN_INT32},
    {"float8e4m3fnuz", NIB_F8E4M3FNUZ, IN_INT32},
    {"float8e5m2", NIB_F8E5M2, IN_INT32},
    {"float8e5m2fnuz", NIB_F8E5M2FNUZ, IN_INT32},
    {"uint4", NIB_U4, IN_INT32},
    {"int4", NIB_I4, IN_INT32},
    {"float4e2m1", NIB_F4E2M1FN, IN_INT32},
    {"float8e8m0", NIB_F8E8M0FNU, IN_INT32},
    {"uint2", NIB_U2, IN_INT32},
    {"int2", NIB_I2, IN_INT32},
};

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
  return t ? t->format : NIB_FORMAT_COUNT;
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

/* Bits of an element in a file. Types below 8 bits are packed, the first element in the low bits.
 */
static int file_bits(const data_type *type) {
  const int bits = nib_format_get(type->format)->bits;
  return type->format == NIB_I1 ? 8 : bits;
}

static size_t file_bytes_of(const data_type *type, size_t count) {
  return (count * (size_t)file_bits(type) + 7) / 8;
}

/* Entries of the field that holds this type, and the bytes that each stands for. */
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
  case IN_UINT64:
    return t->n_uint64_data;
  default:
    return 0;
  }
}

static size_t entry_bytes(const data_type *type) {
  const int bits = file_bits(type);
  return bits < 8 ? 1 : (size_t)bits / 8;
}

/* The low bytes of each entry come first: the host is little-endian. */
static const void *entry(const Onnx__TensorProto *t, field f, size_t i) {
  switch (f) {
  case IN_FLOAT:
    return &t->float_data[i];
  case IN_INT32:
    return &t->int32_data[i];
  case IN_INT64:
    return &t->int64_data[i];
  case IN_DOUBLE:
    return &t->double_data[i];
  default:
    return &t->uint64_data[i];
  }
}

/* Bytes as in a file, `count` elements, to unpacked elements. */
static void copy_raw(const uint8_t *from, const data_type *type, uint8_t *to, size_t count) {
  const nib_format_info *info = nib_format_get(type->format);
  const int bits = file_bits(type);
  const int sign = info->kind == NIB_KIND_SIGNED && bits < 8 ? 1 << (bits - 1) : 0;
  if (!count)
    return; /* the pointer may be NULL */
  if (type->format != NIB_I1 && bits >= 8) {
    memcpy(to, from, count * (size_t)(bits / 8));
    return;
  }
  for (size_t i = 0; i < count; ++i) {
    const size_t at = i * (size_t)bits;
    const int code = from[at / 8] >> (at % 8) & ((1 << bits) - 1);
    to[i] = type->format == NIB_I1 ? code != 0 : (uint8_t)((code ^ sign) - sign);
  }
}

/* The typed field as bytes of a file, malloc'd. */
static uint8_t *typed_bytes(const Onnx__TensorProto *t, const data_type *type) {
  const size_t n = typed_count(t, type->typed), bytes = entry_bytes(type);
  uint8_t *out = malloc(n * bytes + 1);
  for (size_t i = 0; out && i < n; ++i)
    if (type->format == NIB_I1)
      out[i] = t->int32_data[i] != 0;
    else
      memcpy(out + i * bytes, entry(t, type->typed, i), bytes);
  return out;
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
                                const char *where, nib_onnx_value *v, const nib_diag *diag) {
  NIB_RETURN_IF_ERROR(read_header(t, where, v, diag));
  const data_type *type = find_type(t->data_type);
  size_t count = v->bytes / nib_format_bytes(v->format);
  size_t file_bytes = file_bytes_of(type, count), have = 0;
  uint8_t *owned = NULL;
  bool is_external =
      t->has_data_location && t->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
  if (is_external) {
    NIB_RETURN_IF_ERROR(nib_onnx_read_external(t, base_dir, where, file_bytes, &owned, diag));
    have = file_bytes;
  } else
    have = t->has_raw_data ? t->raw_data.len : typed_count(t, type->typed) * entry_bytes(type);
  if (have != file_bytes)
    return nib_diag_error(diag, NIB_ERROR_INVALID_INPUT,
                          "%s: %zu bytes of data, its shape needs %zu", where, have, file_bytes);
  /* Allocated only now: the file has shown that it holds as much. */
  size_t room = v->bytes < 64 ? 64 : v->bytes;
  uint8_t *data = g ? nib_graph_alloc(g, room) : malloc(room);
  const bool is_raw = !is_external && t->has_raw_data;
  if (!is_external && !is_raw)
    owned = typed_bytes(t, type);
  if (!data || (!is_raw && !owned)) {
    free(owned);
    if (!g)
      free(data);
    return nib_diag_error(diag, NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  }
  copy_raw(is_raw ? t->raw_data.data : owned, type, data, count);
  free(owned);
  v->data = data;
  v->is_known = true;
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
  nib_status status = nib_onnx_read_tensor(t, NULL, NULL, "tensor", &v, diag);
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
