/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_import_onnx_nodes
 * The ONNX standard's node tests: each model is imported and evaluated by the reference; its outputs
 * must be those of the test. A model that is not supported is counted, a wrong result is a failure.
 * Where an operator wants constants (axes, scales …) and the test gives them as inputs, all inputs but
 * the first become initializers, and the model is tried again. */
#include "import/import.h"
#include "reference/reference.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS 16
#define LEAST_PASSED 131 /* of the 945 that are stored */

typedef struct pb_tensor {
  nib_format format;
  int32_t rank;
  int64_t dims[NIB_MAX_RANK];
  void *data;
  size_t bytes;
} pb_tensor;

static char last_error[1024];

static void keep_error(void *user, nib_severity severity, const char *message) {
  (void)user;
  if (severity == NIB_ERROR)
    snprintf(last_error, sizeof last_error, "%s", message);
}

static const nib_diag diag = {keep_error, NULL};

static uint8_t *read_file(const char *path, size_t *out_bytes) {
  FILE *f = fopen(path, "rb");
  if (!f)
    return NULL;
  fseek(f, 0, SEEK_END);
  long size = ftell(f);
  rewind(f);
  uint8_t *bytes = malloc((size_t)size + 1);
  *out_bytes = bytes ? fread(bytes, 1, (size_t)size, f) : 0;
  fclose(f);
  return bytes;
}

/* -1: not there; 0: there but of an unsupported type; 1: read. */
static int read_tensor(const char *folder, const char *kind, int i, pb_tensor *t) {
  char path[1024];
  size_t size;
  snprintf(path, sizeof path, "%s/test_data_set_0/%s_%d.pb", folder, kind, i);
  uint8_t *bytes = read_file(path, &size);
  if (!bytes)
    return -1;
  nib_status status =
      nib_import_onnx_tensor(bytes, size, &t->format, &t->rank, t->dims, &t->data, &t->bytes, &diag);
  free(bytes);
  return status == NIB_OK;
}

static float f32_at(const void *data, size_t i) {
  float x;
  memcpy(&x, (const char *)data + 4 * i, sizeof x);
  return x;
}

static int differs(const pb_tensor *want, const nib_tensor *t, const void *got) {
  if (t->format != want->format || nib_tensor_bytes(t) != want->bytes || t->rank != want->rank)
    return 1;
  for (int32_t i = 0; i < t->rank; ++i)
    if (t->dims[i] != want->dims[i])
      return 1;
  if (t->format != NIB_F32)
    return memcmp(want->data, got, want->bytes) != 0;
  for (size_t i = 0; i < want->bytes / 4; ++i) {
    float a = f32_at(want->data, i), b = f32_at(got, i);
    if (a != b && !(fabsf(a - b) <= 1e-7f + 1e-3f * fabsf(a)) && !(isnan(a) && isnan(b)))
      return 1;
  }
  return 0;
}

typedef enum verdict { PASSED, UNSUPPORTED, WRONG } verdict;

/* Inputs of the graph are inputs 0 .. n_inputs-1 of the test; the others were made constants. */
static verdict evaluate(const nib_graph *g, const char *folder) {
  pb_tensor in[MAX_TENSORS] = {0}, want = {0};
  const void *inputs[MAX_TENSORS];
  verdict v = g->n_inputs > MAX_TENSORS ? UNSUPPORTED : PASSED;
  nib_reference *r = NULL;
  for (int i = 0; i < g->n_inputs && v == PASSED; ++i) {
    const nib_tensor *t = &g->tensors[g->inputs[i]];
    if (read_tensor(folder, "input", i, &in[i]) != 1 || in[i].bytes != nib_tensor_bytes(t))
      v = WRONG;
    inputs[i] = in[i].data;
  }
  if (v == PASSED && nib_reference_create(g, &r, &diag) != NIB_OK)
    v = UNSUPPORTED;
  if (v == PASSED && nib_reference_run(r, inputs, &diag) != NIB_OK)
    v = WRONG;
  for (int i = 0; i < g->n_outputs && v == PASSED; ++i) {
    if (read_tensor(folder, "output", i, &want) != 1 ||
        differs(&want, &g->tensors[g->outputs[i]], nib_reference_tensor(r, g->outputs[i])))
      v = WRONG;
    free(want.data);
    want.data = NULL;
  }
  for (int i = 0; i < MAX_TENSORS; ++i)
    free(in[i].data);
  nib_reference_destroy(r);
  return v;
}

static verdict run_model(const uint8_t *bytes, size_t size, const char *folder) {
  nib_graph *g = NULL;
  const nib_import_options options = {
      .model_name = "node", .display_path = folder, .base_dir = folder};
  nib_status status = nib_import_onnx(bytes, size, &options, &g, &diag);
  if (status == NIB_ERROR_UNSUPPORTED)
    return UNSUPPORTED;
  if (status != NIB_OK)
    return WRONG;
  verdict v = evaluate(g, folder);
  nib_graph_destroy(g);
  return v;
}

/* Protocol buffer wire format, as much as is needed to append initializers to a model. */
static size_t put_varint(uint8_t *to, uint64_t value) {
  size_t n = 0;
  for (; value > 127; value >>= 7)
    to[n++] = (uint8_t)(value | 128);
  to[n++] = (uint8_t)value;
  return n;
}

static uint64_t get_varint(const uint8_t *from, size_t *at) {
  uint64_t value = 0;
  for (int shift = 0;; shift += 7) {
    value |= (uint64_t)(from[*at] & 127) << shift;
    if (!(from[(*at)++] & 128))
      return value;
  }
}

/* Offset of the payload of the first length-delimited field `number` at or after *at, which moves
 * behind it; 0 if there is none. Only for the well-formed files of the test suite. */
static size_t find_field(const uint8_t *b, size_t end, unsigned number, size_t *at,
                         size_t *out_length) {
  while (*at < end) {
    uint64_t tag = get_varint(b, at);
    size_t length = 0;
    if ((tag & 7) == 2)
      length = (size_t)get_varint(b, at);
    else if ((tag & 7) == 0)
      get_varint(b, at);
    else
      length = (tag & 7) == 1 ? 8 : 4;
    size_t payload = *at;
    *at += length;
    if (tag >> 3 == number && (tag & 7) == 2) {
      *out_length = length;
      return payload;
    }
  }
  return 0;
}

typedef struct buffer {
  uint8_t *bytes;
  size_t size;
} buffer;

static void append(buffer *b, const void *from, size_t size) {
  b->bytes = realloc(b->bytes, b->size + size + 1);
  if (!b->bytes)
    abort();
  memcpy(b->bytes + b->size, from, size);
  b->size += size;
}

static void append_field(buffer *b, unsigned number, const void *from, size_t size) {
  uint8_t head[32];
  size_t n = put_varint(head, number << 3 | 2);
  n += put_varint(head + n, size);
  append(b, head, n);
  append(b, from, size);
}

/* The model with inputs 1 … of its graph as initializers; an empty buffer if it has none. */
static buffer bake_inputs(const uint8_t *bytes, size_t size, const char *folder) {
  enum { GRAPH = 7, INPUT = 11, INITIALIZER = 5, VALUE_NAME = 1, TENSOR_NAME = 8 };
  size_t at = 0, graph_bytes, info_bytes, name_bytes;
  size_t graph = find_field(bytes, size, GRAPH, &at, &graph_bytes);
  buffer g = {0}, model = {0};
  append(&g, bytes + graph, graph_bytes);
  size_t walk = graph;
  for (int i = 0; i < MAX_TENSORS; ++i) {
    size_t info = find_field(bytes, graph + graph_bytes, INPUT, &walk, &info_bytes);
    if (!info)
      break;
    char path[1200];
    size_t tensor_bytes, inside = info;
    snprintf(path, sizeof path, "%s/test_data_set_0/input_%d.pb", folder, i);
    size_t name = find_field(bytes, info + info_bytes, VALUE_NAME, &inside, &name_bytes);
    pb_tensor checked = {0};
    bool usable = i && name && read_tensor(folder, "input", i, &checked) == 1;
    free(checked.data);
    uint8_t *tensor = usable ? read_file(path, &tensor_bytes) : NULL;
    if (!tensor)
      continue;
    buffer named = {0};
    append(&named, tensor, tensor_bytes);
    append_field(&named, TENSOR_NAME, bytes + name, name_bytes);
    append_field(&g, INITIALIZER, named.bytes, named.size);
    free(named.bytes);
    free(tensor);
  }
  if (graph && g.size > graph_bytes) {
    size_t head = graph; /* the model in front of the graph's tag and length */
    uint8_t tag[32];
    head -= put_varint(tag, GRAPH << 3 | 2) + put_varint(tag, graph_bytes);
    append(&model, bytes, head);
    append_field(&model, GRAPH, g.bytes, g.size);
    append(&model, bytes + graph + graph_bytes, size - graph - graph_bytes);
  }
  free(g.bytes);
  return model;
}

static verdict run_folder(const char *folder) {
  char path[1200];
  size_t size;
  last_error[0] = '\0';
  snprintf(path, sizeof path, "%s/model.onnx", folder);
  uint8_t *bytes = read_file(path, &size);
  if (!bytes)
    return UNSUPPORTED;
  verdict v = run_model(bytes, size, folder);
  if (v == UNSUPPORTED) {
    buffer baked = bake_inputs(bytes, size, folder);
    if (baked.bytes)
      v = run_model(baked.bytes, baked.size, folder);
    free(baked.bytes);
  }
  free(bytes);
  return v;
}

int main(int argc, char **argv) {
  const char *shared = getenv("NIB_SHARED");
  char root[512], folder[1024];
  snprintf(root, sizeof root, "%s/data/onnx-node", shared ? shared : "../shared");
  int counts[3] = {0};
  static const char *const words[] = {"passed", "unsupported", "WRONG"};
  if (argc > 1) { /* folders by name: say what happens to each */
    for (int i = 1; i < argc; ++i) {
      snprintf(folder, sizeof folder, "%s/%s", root, argv[i]);
      verdict v = run_folder(folder);
      printf("%s: %s %s\n", argv[i], words[v], last_error);
    }
    return 0;
  }
  DIR *d = opendir(root);
  if (!d) {
    printf("skipped: no node tests in %s\n", root);
    return 0;
  }
  for (struct dirent *e; (e = readdir(d));) {
    if (strncmp(e->d_name, "test_", 5))
      continue;
    snprintf(folder, sizeof folder, "%s/%.255s", root, e->d_name);
    verdict v = run_folder(folder);
    ++counts[v];
    if (v == WRONG || getenv("NIB_VERBOSE"))
      printf("%s: %s %s\n", e->d_name, words[v], last_error);
  }
  closedir(d);
  /* A whole network with its test vector, laid out like a node test. */
  snprintf(folder, sizeof folder, "%s/data/qonnx/mnist-conv", shared ? shared : "../shared");
  verdict whole = run_folder(folder);
  printf("mnist-conv: %s %s\n", words[whole], last_error);
  printf("%d passed, %d unsupported, %d wrong\n", counts[PASSED], counts[UNSUPPORTED],
         counts[WRONG]);
  return whole != PASSED || counts[WRONG] || counts[PASSED] < LEAST_PASSED;
}
