/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Writes small TFLite files for tests: a model as plain data, and a flatbuffer writer that keeps
 * parents before children. Header-only: unit tests are single files. */
#ifndef NIB_TEST_TINY_TFLITE_H
#define NIB_TEST_TINY_TFLITE_H

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

typedef struct tiny_tensor {
  const char *name;
  int type; /* TensorType */
  int rank;
  int32_t dims[8];
  int n_scales;
  float scales[8];
  int n_zero_points;
  int64_t zero_points[8];
  int quantized_dimension;
  const void *data; /* NULL: no data */
  uint32_t data_bytes;
  int is_variable;
} tiny_tensor;

typedef struct tiny_option {
  int field, bytes;
  uint32_t value; /* bits */
} tiny_option;

typedef struct tiny_op {
  int code, version, tag;
  tiny_option options[10];
  int n_options;
  int32_t in[6];
  int n_in;
  int32_t out[2];
  int n_out;
  const char *custom;
} tiny_op;

typedef struct tiny_model {
  tiny_tensor tensors[16];
  int n_tensors;
  tiny_op ops[8];
  int n_ops;
  int32_t inputs[2], outputs[2];
  int n_inputs, n_outputs;
  int n_subgraphs; /* 0 means 1 */
} tiny_model;

typedef struct tiny_writer {
  uint8_t *bytes; /* zeroed */
  size_t n, capacity;
} tiny_writer;

static inline void tiny_put(tiny_writer *w, size_t at, const void *value, size_t bytes) {
  memcpy(w->bytes + at, value, bytes);
}

static inline size_t tiny_reserve(tiny_writer *w, size_t bytes, size_t align) {
  w->n = (w->n + align - 1) / align * align;
  if (w->n + bytes > w->capacity)
    abort();
  w->n += bytes;
  return w->n - bytes;
}

/* A table of n fields of the given sizes (0: absent), all zero. */
static inline size_t tiny_table(tiny_writer *w, int n, const uint8_t *sizes) {
  size_t vtable = tiny_reserve(w, 4 + 2 * (size_t)n, 8);
  uint16_t offset = 4, vtable_bytes = (uint16_t)(4 + 2 * n);
  for (int i = 0; i < n; ++i) {
    if (!sizes[i])
      continue;
    offset = (uint16_t)((offset + sizes[i] - 1) / sizes[i] * sizes[i]);
    tiny_put(w, vtable + 4 + 2 * (size_t)i, &offset, 2);
    offset = (uint16_t)(offset + sizes[i]);
  }
  size_t table = tiny_reserve(w, offset, 8);
  int32_t back = (int32_t)(table - vtable);
  tiny_put(w, vtable, &vtable_bytes, 2);
  tiny_put(w, vtable + 2, &offset, 2);
  tiny_put(w, table, &back, 4);
  return table;
}

static inline size_t tiny_field(const tiny_writer *w, size_t table, int field) {
  int32_t back;
  uint16_t offset;
  memcpy(&back, w->bytes + table, 4);
  memcpy(&offset, w->bytes + table - back + 4 + 2 * (size_t)field, 2);
  return table + offset;
}

static inline void tiny_set(tiny_writer *w, size_t table, int field, uint32_t value, size_t bytes) {
  tiny_put(w, tiny_field(w, table, field), &value, bytes);
}

static inline void tiny_link(tiny_writer *w, size_t at, size_t target) {
  uint32_t offset = (uint32_t)(target - at);
  tiny_put(w, at, &offset, 4);
}

static inline size_t tiny_vector(tiny_writer *w, const void *data, uint32_t count, size_t bytes) {
  size_t align = bytes > 4 ? bytes : 4;
  w->n = (w->n + 4 + align - 1) / align * align - 4;
  size_t at = tiny_reserve(w, 4 + count * bytes + 1, 4); /* one more: the NUL of strings */
  tiny_put(w, at, &count, 4);
  if (count && data)
    tiny_put(w, at + 4, data, count * bytes);
  return at;
}

static inline void tiny_vector_field(tiny_writer *w, size_t table, int field, const void *data,
                                     uint32_t count, size_t bytes) {
  tiny_link(w, tiny_field(w, table, field), tiny_vector(w, data, count, bytes));
}

static inline void tiny_write_tensor(tiny_writer *w, const tiny_tensor *t, size_t slot,
                                     uint32_t buffer) {
  int quantized = t->n_scales || t->n_zero_points;
  const uint8_t sizes[] = {4, 1, 4, 4, quantized ? 4 : 0, t->is_variable ? 1 : 0};
  size_t table = tiny_table(w, 6, sizes);
  tiny_link(w, slot, table);
  tiny_vector_field(w, table, 0, t->dims, (uint32_t)t->rank, 4);
  tiny_set(w, table, 1, (uint32_t)t->type, 1);
  tiny_set(w, table, 2, buffer, 4);
  tiny_vector_field(w, table, 3, t->name, (uint32_t)strlen(t->name), 1);
  if (t->is_variable)
    tiny_set(w, table, 5, 1, 1);
  if (!quantized)
    return;
  const uint8_t quant_sizes[] = {0, 0, 4, 4, 0, 0, 4};
  size_t quant = tiny_table(w, 7, quant_sizes);
  tiny_link(w, tiny_field(w, table, 4), quant);
  tiny_vector_field(w, quant, 2, t->scales, (uint32_t)t->n_scales, 4);
  tiny_vector_field(w, quant, 3, t->zero_points, (uint32_t)t->n_zero_points, 8);
  tiny_set(w, quant, 6, (uint32_t)t->quantized_dimension, 4);
}

static inline void tiny_write_op(tiny_writer *w, const tiny_op *op, size_t slot, uint32_t index) {
  const uint8_t sizes[] = {4, 4, 4, op->tag ? 1 : 0, op->tag ? 4 : 0};
  size_t table = tiny_table(w, 5, sizes);
  tiny_link(w, slot, table);
  tiny_set(w, table, 0, index, 4);
  tiny_vector_field(w, table, 1, op->in, (uint32_t)op->n_in, 4);
  tiny_vector_field(w, table, 2, op->out, (uint32_t)op->n_out, 4);
  if (!op->tag)
    return;
  uint8_t option_sizes[16] = {0};
  for (int i = 0; i < op->n_options; ++i)
    option_sizes[op->options[i].field] = (uint8_t)op->options[i].bytes;
  size_t options = tiny_table(w, 16, option_sizes);
  tiny_set(w, table, 3, (uint32_t)op->tag, 1);
  tiny_link(w, tiny_field(w, table, 4), options);
  for (int i = 0; i < op->n_options; ++i)
    tiny_set(w, options, op->options[i].field, op->options[i].value, (size_t)op->options[i].bytes);
}

/* Operator code i belongs to operator i. */
static inline void tiny_write_codes(tiny_writer *w, const tiny_model *m, size_t model) {
  size_t codes = tiny_vector(w, NULL, (uint32_t)m->n_ops, 4);
  tiny_link(w, tiny_field(w, model, 1), codes);
  for (int i = 0; i < m->n_ops; ++i) {
    const uint8_t sizes[] = {1, m->ops[i].custom ? 4 : 0, 4, 4};
    size_t code = tiny_table(w, 4, sizes);
    tiny_link(w, codes + 4 + 4 * (size_t)i, code);
    tiny_set(w, code, 0, (uint32_t)(m->ops[i].code < 127 ? m->ops[i].code : 127), 1);
    tiny_set(w, code, 2, (uint32_t)m->ops[i].version, 4);
    tiny_set(w, code, 3, (uint32_t)m->ops[i].code, 4);
    if (m->ops[i].custom)
      tiny_vector_field(w, code, 1, m->ops[i].custom, (uint32_t)strlen(m->ops[i].custom), 1);
  }
}

static inline void tiny_write_subgraph(tiny_writer *w, const tiny_model *m, size_t slot) {
  const uint8_t sizes[] = {4, 4, 4, 4};
  size_t subgraph = tiny_table(w, 4, sizes);
  tiny_link(w, slot, subgraph);
  size_t tensors = tiny_vector(w, NULL, (uint32_t)m->n_tensors, 4);
  tiny_link(w, tiny_field(w, subgraph, 0), tensors);
  for (int i = 0; i < m->n_tensors; ++i)
    tiny_write_tensor(w, &m->tensors[i], tensors + 4 + 4 * (size_t)i,
                      m->tensors[i].data ? (uint32_t)i + 1 : 0);
  tiny_vector_field(w, subgraph, 1, m->inputs, (uint32_t)m->n_inputs, 4);
  tiny_vector_field(w, subgraph, 2, m->outputs, (uint32_t)m->n_outputs, 4);
  size_t ops = tiny_vector(w, NULL, (uint32_t)m->n_ops, 4);
  tiny_link(w, tiny_field(w, subgraph, 3), ops);
  for (int i = 0; i < m->n_ops; ++i)
    tiny_write_op(w, &m->ops[i], ops + 4 + 4 * (size_t)i, (uint32_t)i);
}

/* Buffer 0 is empty, buffer i + 1 is tensor i's. */
static inline void tiny_write_buffers(tiny_writer *w, const tiny_model *m, size_t model) {
  size_t buffers = tiny_vector(w, NULL, (uint32_t)m->n_tensors + 1, 4);
  tiny_link(w, tiny_field(w, model, 4), buffers);
  for (int i = 0; i <= m->n_tensors; ++i) {
    const tiny_tensor *t = i ? &m->tensors[i - 1] : NULL;
    const uint8_t sizes[] = {t && t->data ? 4 : 0};
    size_t buffer = tiny_table(w, 1, sizes);
    tiny_link(w, buffers + 4 + 4 * (size_t)i, buffer);
    if (t && t->data)
      tiny_vector_field(w, buffer, 0, t->data, t->data_bytes, 1);
  }
}

/* Writes the file into bytes[0..capacity), which are cleared; returns its size. */
static inline size_t tiny_write(const tiny_model *m, uint8_t *bytes, size_t capacity) {
  memset(bytes, 0, capacity);
  tiny_writer w = {bytes, 8, capacity};
  memcpy(bytes + 4, "TFL3", 4);
  const uint8_t sizes[] = {4, 4, 4, 0, 4};
  size_t model = tiny_table(&w, 5, sizes);
  tiny_link(&w, 0, model);
  tiny_set(&w, model, 0, 3, 4);
  tiny_write_codes(&w, m, model);
  uint32_t n = m->n_subgraphs ? (uint32_t)m->n_subgraphs : 1;
  size_t subgraphs = tiny_vector(&w, NULL, n, 4);
  tiny_link(&w, tiny_field(&w, model, 2), subgraphs);
  for (uint32_t i = 0; i < n; ++i)
    tiny_write_subgraph(&w, m, subgraphs + 4 + 4 * (size_t)i);
  tiny_write_buffers(&w, m, model);
  return w.n;
}

/* --- models --- */

static const int8_t tiny_filter[2 * 3 * 3 * 2] = {
    1, -2, 3,  -4, 5,  -6, 7,  -8, 9,  -10, 11, -12, 13, -14, 15, -16, 17, -18,
    2, 4,  -6, 8,  10, 12, -1, -3, -5, 7,   -9, 11,  -2, 4,   6,  -8,  1,  127};
static const int32_t tiny_bias[2] = {100, -200};
static const int8_t tiny_dense[3 * 8] = {1, 2,  3,  4,  5,  6,  7,  8,  -1, -2, -3, -4,
                                         9, -9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19};
static const int32_t tiny_dense_bias[3] = {5, 6, 7};

/* int8: CONV_2D (SAME, stride 2, relu6) of [1,4,4,2], FULLY_CONNECTED of the four dimensions,
 * SOFTMAX. */
static inline tiny_model tiny_conv_model(void) {
  return (tiny_model){
      .tensors =
          {
              {"input", 9, 4, {1, 4, 4, 2}, 1, {0.5f}, 1, {3}, 0, NULL, 0, 0},
              {"filter", 9, 4, {2, 3, 3, 2}, 2, {0.25f, 0.125f}, 2, {0, 0}, 0, tiny_filter, 36, 0},
              {"bias", 2, 1, {2}, 2, {0.125f, 0.0625f}, 2, {0, 0}, 0, tiny_bias, 8, 0},
              {"conv", 9, 4, {1, 2, 2, 2}, 1, {0.75f}, 1, {-128}, 0, NULL, 0, 0},
              {"weights", 9, 2, {3, 8}, 1, {0.03f}, 1, {0}, 0, tiny_dense, 24, 0},
              {"dense_bias", 2, 1, {3}, 1, {0.0225f}, 1, {0}, 0, tiny_dense_bias, 12, 0},
              {"dense", 9, 2, {1, 3}, 1, {0.2f}, 1, {10}, 0, NULL, 0, 0},
              {"softmax", 9, 2, {1, 3}, 1, {1.0f / 256}, 1, {-128}, 0, NULL, 0, 0},
          },
      .n_tensors = 8,
      .ops =
          {{3, 3, 1, {{0, 1, 0}, {1, 4, 2}, {2, 4, 2}, {3, 1, 3}}, 4, {0, 1, 2}, 3, {3}, 1, NULL},
           {9, 4, 8, {{0, 1, 0}}, 1, {3, 4, 5}, 3, {6}, 1, NULL},
           {25, 2, 9, {{0, 4, 0x3F800000}}, 1, {6}, 1, {7}, 1, NULL}},
      .n_ops = 3,
      .inputs = {0},
      .outputs = {7},
      .n_inputs = 1,
      .n_outputs = 1,
  };
}

#endif
