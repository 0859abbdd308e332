/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Writes the seed corpora of the fuzzers: make_seeds tflite|onnx|gguf|llama2c FOLDER. Small models,
 * made here.
 */
#define _XOPEN_SOURCE 700
#include "../support/tiny_llama.h"
#include "../support/tiny_tflite.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

static uint8_t bytes[1 << 16];

static int write_seed(const char *folder, const char *name, size_t size) {
  char path[1024];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  FILE *f = fopen(path, "wb");
  if (!f || fwrite(bytes, 1, size, f) != size || fclose(f) != 0) {
    perror(path);
    return 1;
  }
  return 0;
}

/* --- TFLite: one file per operator with an int8 and a float type --- */

typedef struct seed_op {
  const char *name;
  int code, tag;
  int in_rank;
  int32_t in[4];
  int out_rank;
  int32_t out[4];
  tiny_option options[6];
  int n_options, n_parameters, twice;
  int32_t parameters[3][8];
  int rows[3], columns[3];
} seed_op;

static const seed_op seed_ops[] = {
    {.name = "pool",
     .code = 1,
     .tag = 5,
     .in_rank = 4,
     .in = {1, 4, 4, 2},
     .out_rank = 4,
     .out = {1, 2, 2, 2},
     .n_options = 5,
     .options = {{0, 1, 1}, {1, 4, 2}, {2, 4, 2}, {3, 4, 2}, {4, 4, 2}}},
    {.name = "add",
     .code = 0,
     .tag = 11,
     .in_rank = 2,
     .in = {2, 3},
     .out_rank = 2,
     .out = {2, 3},
     .n_options = 1,
     .options = {{0, 1, 1}},
     .twice = 1},
    {.name = "mul",
     .code = 18,
     .tag = 21,
     .in_rank = 2,
     .in = {2, 3},
     .out_rank = 2,
     .out = {2, 3},
     .twice = 1},
    {.name = "concat",
     .code = 2,
     .tag = 10,
     .in_rank = 2,
     .in = {2, 3},
     .out_rank = 2,
     .out = {2, 6},
     .n_options = 1,
     .options = {{0, 4, 1}},
     .twice = 1},
    {.name = "reshape", .code = 22, .in_rank = 2, .in = {2, 3}, .out_rank = 1, .out = {6}},
    {.name = "relu6", .code = 21, .in_rank = 1, .in = {6}, .out_rank = 1, .out = {6}},
    {.name = "leaky",
     .code = 98,
     .tag = 75,
     .in_rank = 1,
     .in = {6},
     .out_rank = 1,
     .out = {6},
     .n_options = 1,
     .options = {{0, 4, 0x3E99999A}}},
    {.name = "pad",
     .code = 34,
     .in_rank = 2,
     .in = {2, 3},
     .out_rank = 2,
     .out = {4, 5},
     .n_parameters = 1,
     .parameters = {{1, 1, 2, 0}},
     .rows = {2},
     .columns = {2}},
    {.name = "mean",
     .code = 40,
     .tag = 27,
     .in_rank = 3,
     .in = {1, 4, 2},
     .out_rank = 2,
     .out = {1, 2},
     .n_parameters = 1,
     .parameters = {{1}},
     .rows = {1}},
    {.name = "transpose",
     .code = 39,
     .in_rank = 2,
     .in = {2, 3},
     .out_rank = 2,
     .out = {3, 2},
     .n_parameters = 1,
     .parameters = {{1, 0}},
     .rows = {2}},
    {.name = "slice",
     .code = 65,
     .in_rank = 2,
     .in = {4, 3},
     .out_rank = 2,
     .out = {2, 3},
     .n_parameters = 2,
     .parameters = {{1, 0}, {2, -1}},
     .rows = {2, 2}},
    {.name = "strided",
     .code = 45,
     .tag = 32,
     .in_rank = 2,
     .in = {4, 3},
     .out_rank = 1,
     .out = {2},
     .n_options = 2,
     .options = {{1, 4, 1}, {4, 4, 2}},
     .n_parameters = 3,
     .parameters = {{0, 1}, {4, 2}, {2, 1}},
     .rows = {2, 2, 2}},
};

static tiny_model seed_model(const seed_op *op, int type) {
  int quantized = type != 0;
  tiny_model m = {
      .tensors = {{"x", type, op->in_rank, {0}, quantized, {0.5f}, quantized, {3}, 0, NULL, 0, 0},
                  {"y", type, op->out_rank, {0}, quantized, {0.5f}, quantized, {3}, 0, NULL, 0, 0}},
      .n_tensors = 2,
      .ops = {{op->code, 1, op->tag, {{0}}, op->n_options, {0, 0}, 1 + op->twice, {1}, 1, NULL}},
      .n_ops = 1,
      .inputs = {0},
      .outputs = {1},
      .n_inputs = 1,
      .n_outputs = 1};
  memcpy(m.tensors[0].dims, op->in, sizeof op->in);
  memcpy(m.tensors[1].dims, op->out, sizeof op->out);
  memcpy(m.ops[0].options, op->options, sizeof op->options);
  for (int i = 0; i < op->n_parameters; ++i) {
    int count = op->rows[i] * (op->columns[i] ? op->columns[i] : 1);
    m.tensors[m.n_tensors] = (tiny_tensor){.name = "p",
                                           .type = 2,
                                           .rank = op->columns[i] ? 2 : 1,
                                           .dims = {op->rows[i], op->columns[i]},
                                           .data = op->parameters[i],
                                           .data_bytes = 4u * (unsigned)count};
    m.ops[0].in[m.ops[0].n_in++] = m.n_tensors++;
  }
  return m;
}

static int write_tflite_seeds(const char *folder) {
  tiny_model m = tiny_conv_model();
  int failed = write_seed(folder, "conv.tflite", tiny_write(&m, bytes, sizeof bytes));
  /* The same filter as a transposed convolution, VALID with stride 2. */
  static const int32_t shape[4] = {1, 9, 9, 2};
  m.tensors[8] = (tiny_tensor){
      .name = "shape", .type = 2, .rank = 1, .dims = {4}, .data = shape, .data_bytes = 16};
  memcpy(m.tensors[3].dims, shape, sizeof shape);
  m.n_tensors = 9;
  m.ops[0] =
      (tiny_op){67, 3, 49, {{0, 1, 1}, {1, 4, 2}, {2, 4, 2}}, 3, {8, 1, 0, 2}, 4, {3}, 1, NULL};
  m.n_ops = 1;
  m.outputs[0] = 3;
  failed |= write_seed(folder, "transpose_conv.tflite", tiny_write(&m, bytes, sizeof bytes));
  for (size_t i = 0; i < sizeof seed_ops / sizeof *seed_ops; ++i)
    for (int type = 0; type <= 9; type += 9) {
      char name[64];
      snprintf(name, sizeof name, "%s_%s.tflite", seed_ops[i].name, type ? "i8" : "f32");
      m = seed_model(&seed_ops[i], type);
      failed |= write_seed(folder, name, tiny_write(&m, bytes, sizeof bytes));
    }
  return failed;
}

/* --- ONNX: protobuf written by hand; lengths below 128 except of the enclosing messages --- */

typedef struct message {
  uint8_t bytes[4096];
  size_t n;
} message;

static void put_varint(message *m, uint64_t value) {
  for (; value >= 128; value >>= 7)
    m->bytes[m->n++] = (uint8_t)(value | 128);
  m->bytes[m->n++] = (uint8_t)value;
}

static void put_int(message *m, int field, uint64_t value) {
  put_varint(m, (uint64_t)field << 3);
  put_varint(m, value);
}

static void put_bytes(message *m, int field, const void *data, size_t size) {
  put_varint(m, (uint64_t)field << 3 | 2);
  put_varint(m, size);
  memcpy(m->bytes + m->n, data, size);
  m->n += size;
}

static void put_text(message *m, int field, const char *text) {
  put_bytes(m, field, text, strlen(text));
}

static void put_message(message *m, int field, const message *child) {
  put_bytes(m, field, child->bytes, child->n);
}

/* NodeProto: inputs separated by commas, one output. */
static void put_node(message *graph, const char *op, const char *inputs, const char *output,
                     const message *attribute) {
  message node = {.n = 0};
  while (*inputs) {
    size_t length = strcspn(inputs, ",");
    put_bytes(&node, 1, inputs, length);
    inputs += length + (inputs[length] == ',');
  }
  put_text(&node, 2, output);
  put_text(&node, 3, output);
  put_text(&node, 4, op);
  if (attribute)
    put_message(&node, 5, attribute);
  put_message(graph, 1, &node);
}

static void put_tensor(message *graph, const char *name, int type, int n_dims, const int64_t *dims,
                       const void *raw, size_t size) {
  message tensor = {.n = 0};
  for (int i = 0; i < n_dims; ++i)
    put_int(&tensor, 1, (uint64_t)dims[i]);
  put_int(&tensor, 2, (uint64_t)type);
  put_text(&tensor, 8, name);
  put_bytes(&tensor, 9, raw, size);
  put_message(graph, 5, &tensor);
}

static void put_value(message *graph, int field, const char *name, int n_dims,
                      const int64_t *dims) {
  message shape = {.n = 0}, tensor = {.n = 0}, type = {.n = 0}, value = {.n = 0};
  for (int i = 0; i < n_dims; ++i) {
    message dim = {.n = 0};
    put_int(&dim, 1, (uint64_t)dims[i]);
    put_message(&shape, 1, &dim);
  }
  put_int(&tensor, 1, 1);
  put_message(&tensor, 2, &shape);
  put_message(&type, 1, &tensor);
  put_text(&value, 1, name);
  put_message(&value, 2, &type);
  put_message(graph, field, &value);
}

static size_t finish_onnx(const message *graph) {
  message model = {.n = 0}, opset = {.n = 0};
  put_int(&model, 1, 8);
  put_message(&model, 7, graph);
  put_text(&opset, 1, "");
  put_int(&opset, 2, 13);
  put_message(&model, 8, &opset);
  memcpy(bytes, model.bytes, model.n);
  return model.n;
}

/* x -> QuantizeLinear -> DequantizeLinear -> MatMul with a dequantized constant -> Relu. */
static size_t write_qdq_model(void) {
  static const float scale = 0.5f;
  static const int8_t zero = 3, weights[6] = {1, -2, 3, -4, 5, -6};
  static message graph;
  graph.n = 0;
  put_node(&graph, "QuantizeLinear", "x,s,z", "q", NULL);
  put_node(&graph, "DequantizeLinear", "q,s,z", "d", NULL);
  put_node(&graph, "DequantizeLinear", "w,s", "wd", NULL);
  put_node(&graph, "MatMul", "d,wd", "m", NULL);
  put_node(&graph, "Relu", "m", "y", NULL);
  put_text(&graph, 2, "seed");
  put_tensor(&graph, "s", 1, 0, NULL, &scale, 4);
  put_tensor(&graph, "z", 3, 0, NULL, &zero, 1);
  put_tensor(&graph, "w", 3, 2, (const int64_t[]){3, 2}, weights, 6);
  put_value(&graph, 11, "x", 2, (const int64_t[]){1, 3});
  put_value(&graph, 12, "y", 2, (const int64_t[]){1, 2});
  return finish_onnx(&graph);
}

/* x -> Conv -> Reshape to a constant shape -> Softmax. */
static size_t write_float_model(void) {
  static const float weights[8] = {1, 2, 3, 4, 5, 6, 7, 8}, bias[2] = {1, 2};
  static const int64_t shape[2] = {1, -1};
  static message graph;
  message strides = {.n = 0};
  graph.n = 0;
  put_text(&strides, 1, "strides");
  put_int(&strides, 8, 2);
  put_int(&strides, 8, 2);
  put_int(&strides, 20, 7);
  put_node(&graph, "Conv", "x,w,b", "c", &strides);
  put_node(&graph, "Reshape", "c,shape", "r", NULL);
  put_node(&graph, "Softmax", "r", "y", NULL);
  put_text(&graph, 2, "seed");
  put_tensor(&graph, "w", 1, 4, (const int64_t[]){2, 1, 2, 2}, weights, 32);
  put_tensor(&graph, "b", 1, 1, (const int64_t[]){2}, bias, 8);
  put_tensor(&graph, "shape", 7, 1, (const int64_t[]){2}, shape, 16);
  put_value(&graph, 11, "x", 4, (const int64_t[]){1, 1, 4, 4});
  put_value(&graph, 12, "y", 2, (const int64_t[]){1, 8});
  return finish_onnx(&graph);
}

static int write_onnx_seeds(const char *folder) {
  return write_seed(folder, "qdq.onnx", write_qdq_model()) |
         write_seed(folder, "float.onnx", write_float_model());
}

static size_t keep(const llama_file *f) {
  memcpy(bytes, f->bytes, f->size);
  return f->size;
}

static int write_gguf_seeds(const char *folder) {
  static tiny_gguf g;
  tiny_write_gguf(&g, 0, "llama", NULL);
  const int failed = write_seed(folder, "own.gguf", keep(&g.file));
  tiny_write_gguf(&g, 1, "llama", NULL);
  return failed | write_seed(folder, "shared.gguf", keep(&g.file));
}

static int write_llama2c_seeds(const char *folder) {
  static llama_file f;
  tiny_write_llama2c(&f, 0);
  const int failed = write_seed(folder, "own.bin", keep(&f));
  tiny_write_llama2c(&f, 1);
  return failed | write_seed(folder, "shared.bin", keep(&f));
}

static const struct {
  const char *word;
  int (*write)(const char *folder);
} kinds[] = {{"tflite", write_tflite_seeds},
             {"onnx", write_onnx_seeds},
             {"gguf", write_gguf_seeds},
             {"llama2c", write_llama2c_seeds}};

int main(int argc, char **argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: make_seeds tflite|onnx|gguf|llama2c FOLDER\n");
    return 2;
  }
  if (mkdir(argv[2], 0777) != 0 && errno != EEXIST) {
    perror(argv[2]);
    return 1;
  }
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; ++i)
    if (strcmp(argv[1], kinds[i].word) == 0)
      return kinds[i].write(argv[2]);
  return 2;
}
