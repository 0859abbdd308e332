/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Writes small ONNX files for tests: protocol buffer fields by number, so that damaged and newer
 * files can be made as well as good ones. */
#ifndef NIB_TEST_TINY_ONNX_H
#define NIB_TEST_TINY_ONNX_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct pb {
  uint8_t *bytes;
  size_t size;
} pb;

static inline void pb_raw(pb *b, const void *from, size_t size) {
  b->bytes = realloc(b->bytes, b->size + size + 1);
  if (!b->bytes)
    abort();
  if (size)
    memcpy(b->bytes + b->size, from, size);
  b->size += size;
}

static inline void pb_varint(pb *b, uint64_t value) {
  do {
    uint8_t byte = (uint8_t)((value & 127) | (value > 127 ? 128 : 0));
    pb_raw(b, &byte, 1);
    value >>= 7;
  } while (value);
}

static inline void pb_int(pb *b, unsigned field, int64_t value) {
  pb_varint(b, field << 3);
  pb_varint(b, (uint64_t)value);
}

static inline void pb_bytes(pb *b, unsigned field, const void *from, size_t size) {
  pb_varint(b, field << 3 | 2);
  pb_varint(b, size);
  pb_raw(b, from, size);
}

static inline void pb_text(pb *b, unsigned field, const char *s) {
  pb_bytes(b, field, s, strlen(s));
}

/* Appends `inner` as a message and frees it. */
static inline void pb_message(pb *b, unsigned field, pb inner) {
  pb_bytes(b, field, inner.bytes, inner.size);
  free(inner.bytes);
}

enum { ONNX_FLOAT = 1, ONNX_UINT8 = 2, ONNX_INT8 = 3, ONNX_INT32 = 6, ONNX_INT64 = 7, ONNX_HALF = 10 };

/* A TensorProto with raw data. */
static inline pb onnx_tensor(const char *name, int type, int rank, const int64_t *dims,
                             const void *data, size_t bytes) {
  pb t = {0};
  for (int i = 0; i < rank; ++i)
    pb_int(&t, 1, dims[i]);
  pb_int(&t, 2, type);
  pb_text(&t, 8, name);
  pb_bytes(&t, 9, data, bytes);
  return t;
}

/* A ValueInfoProto; a dimension of -1 takes `symbol`. */
static inline pb onnx_value(const char *name, int type, int rank, const int64_t *dims,
                            const char *symbol) {
  pb shape = {0}, tensor = {0}, value_type = {0}, info = {0};
  for (int i = 0; i < rank; ++i) {
    pb dim = {0};
    if (dims[i] < 0)
      pb_text(&dim, 2, symbol);
    else
      pb_int(&dim, 1, dims[i]);
    pb_message(&shape, 1, dim);
  }
  pb_int(&tensor, 1, type);
  pb_message(&tensor, 2, shape);
  pb_message(&value_type, 1, tensor);
  pb_text(&info, 1, name);
  pb_message(&info, 2, value_type);
  return info;
}

/* A NodeProto; inputs and outputs are separated by spaces. Attributes can be appended. */
static inline pb onnx_node(const char *op, const char *inputs, const char *outputs) {
  pb n = {0};
  const char *const lists[] = {inputs, outputs};
  for (unsigned k = 0; k < 2; ++k)
    for (const char *s = lists[k]; *s;) {
      size_t length = strcspn(s, " ");
      pb_bytes(&n, k + 1, s, length);
      s += length + (s[length] == ' ');
    }
  pb_text(&n, 4, op);
  return n;
}

/* Wraps a GraphProto in a model and frees it. */
static inline pb onnx_model(pb graph, int64_t opset) {
  pb set = {0}, model = {0};
  pb_int(&set, 2, opset);
  pb_int(&model, 1, 8);
  pb_message(&model, 7, graph);
  pb_message(&model, 8, set);
  return model;
}

#endif
