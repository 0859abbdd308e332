/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_import_llama
 * GGUF and llama2.c files of a tiny network: both give the same graph, which computes what a plain
 * loop over the definition computes; damaged files give one message each. */
#include "../support/tiny_llama.h"

#include "import/import.h"
#include "reference/reference.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static int failures;

#define CHECK(condition, ...)                                                                      \
  do {                                                                                             \
    if (!(condition)) {                                                                            \
      printf("%s:%d: ", __FILE__, __LINE__);                                                       \
      printf(__VA_ARGS__);                                                                         \
      printf("\n");                                                                                \
      ++failures;                                                                                  \
    }                                                                                              \
  } while (0)

typedef struct messages {
  int n;
  char last[512];
} messages;

static void collect(void *user, nib_severity severity, const char *message) {
  messages *m = user;
  if (severity != NIB_ERROR)
    return;
  ++m->n;
  snprintf(m->last, sizeof m->last, "%s", message);
}

typedef nib_status importer(const uint8_t *, size_t, const nib_import_options *, nib_graph **,
                            const nib_diag *);

static nib_status import_window(importer *import, const llama_file *f, int64_t window,
                                nib_graph **out_graph, messages *m) {
  const nib_dim_binding dim = {"seq", window};
  const nib_import_options options = {
      .model_name = "m", .display_path = "file", .dims = &dim, .n_dims = window != 0};
  const nib_diag diag = {collect, m};
  uint8_t *exact = malloc(f->size ? f->size : 1); /* reads beyond the end are seen by a sanitizer */
  memcpy(exact, f->bytes, f->size);
  m->n = 0;
  const nib_status status = import(exact, f->size, &options, out_graph, &diag);
  free(exact);
  return status;
}

/* ---- the definition, in double ---- */

enum { MAX_T = TINY_CONTEXT };

static double w(int tensor, int layer, int row, int column) {
  return (double)tiny_weight(tensor, layer, row * tiny_tensors[tensor].columns + column);
}

static void product(int tensor, int layer, const double *x, double *y) {
  for (int o = 0; o < tiny_tensors[tensor].rows; ++o) {
    y[o] = 0;
    for (int i = 0; i < tiny_tensors[tensor].columns; ++i)
      y[o] += w(tensor, layer, o, i) * x[i];
  }
}

static void norm(int tensor, int layer, const double *x, double *y) {
  double sum = 0;
  for (int i = 0; i < TINY_DIM; ++i)
    sum += x[i] * x[i];
  for (int i = 0; i < TINY_DIM; ++i)
    y[i] = x[i] / sqrt(sum / TINY_DIM + 1e-5) * w(tensor, layer, 0, i);
}

static void turn(double *heads, int n, int position) {
  for (int h = 0; h < n; ++h)
    for (int i = 0; i < TINY_HEAD_DIM; i += 2) {
      double *p = heads + h * TINY_HEAD_DIM + i, a = p[0];
      const double angle = position * pow(10000, -(double)i / TINY_HEAD_DIM);
      p[0] = a * cos(angle) - p[1] * sin(angle);
      p[1] = a * sin(angle) + p[1] * cos(angle);
    }
}

static double keys[TINY_LAYERS][MAX_T][TINY_DIM], values[TINY_LAYERS][MAX_T][TINY_DIM];

static void attend(int layer, int position, double *x) {
  double in[TINY_DIM], q[TINY_DIM], mixed[TINY_DIM] = {0}, out[TINY_DIM];
  norm(0, layer, x, in);
  product(4, layer, in, q);
  product(5, layer, in, keys[layer][position]);
  product(6, layer, in, values[layer][position]);
  turn(q, TINY_HEADS, position);
  turn(keys[layer][position], TINY_KV_HEADS, position);
  for (int h = 0; h < TINY_HEADS; ++h) {
    const int kv = h / (TINY_HEADS / TINY_KV_HEADS) * TINY_HEAD_DIM;
    double score[MAX_T], sum = 0;
    for (int p = 0; p <= position; ++p) {
      score[p] = 0;
      for (int i = 0; i < TINY_HEAD_DIM; ++i)
        score[p] += q[h * TINY_HEAD_DIM + i] * keys[layer][p][kv + i];
      sum += score[p] = exp(score[p] / sqrt(TINY_HEAD_DIM));
    }
    for (int p = 0; p <= position; ++p)
      for (int i = 0; i < TINY_HEAD_DIM; ++i)
        mixed[h * TINY_HEAD_DIM + i] += score[p] / sum * values[layer][p][kv + i];
  }
  product(7, layer, mixed, out);
  for (int i = 0; i < TINY_DIM; ++i)
    x[i] += out[i];
}

static void feed_forward(int layer, double *x) {
  double in[TINY_DIM], gate[TINY_HIDDEN], up[TINY_HIDDEN], out[TINY_DIM];
  norm(1, layer, x, in);
  product(8, layer, in, gate);
  product(10, layer, in, up);
  for (int i = 0; i < TINY_HIDDEN; ++i)
    up[i] *= gate[i] / (1 + exp(-gate[i]));
  product(9, layer, up, out);
  for (int i = 0; i < TINY_DIM; ++i)
    x[i] += out[i];
}

static void expect_logits(const int32_t *tokens, int n, bool shared,
                          double logits[][TINY_VOCABULARY]) {
  for (int p = 0; p < n; ++p) {
    double x[TINY_DIM], last[TINY_DIM];
    for (int i = 0; i < TINY_DIM; ++i)
      x[i] = w(3, 0, tokens[p], i);
    for (int layer = 0; layer < TINY_LAYERS; ++layer) {
      attend(layer, p, x);
      feed_forward(layer, x);
    }
    norm(2, 0, x, last);
    product(shared ? 3 : 11, 0, last, logits[p]);
  }
}

/* ---- a network ---- */

static void check_logits(importer *import, const llama_file *f, int64_t window, bool shared,
                         const char *what) {
  static const int32_t tokens[MAX_T] = {3, 9, 0, 3, 7, 1};
  double expected[MAX_T][TINY_VOCABULARY], worst = 0;
  nib_graph *g = NULL;
  messages m = {0};
  if (import_window(import, f, window, &g, &m) != NIB_OK) {
    CHECK(false, "%s: %s", what, m.last);
    return;
  }
  const int n = (int)g->tensors[g->inputs[0]].dims[0];
  CHECK(n == (window ? window : TINY_CONTEXT), "%s: a window of %d", what, n);
  CHECK(g->tensors[g->inputs[0]].format == NIB_I32, "%s: tokens", what);
  CHECK(nib_tensor_elems(&g->tensors[g->outputs[0]]) == n * TINY_VOCABULARY, "%s: logits", what);
  expect_logits(tokens, n, shared, expected);
  nib_reference *r = NULL;
  const void *in[] = {tokens};
  CHECK(nib_reference_create(g, &r, NULL) == NIB_OK && nib_reference_run(r, in, NULL) == NIB_OK,
        "%s: it does not run", what);
  const float *logits = nib_reference_tensor(r, g->outputs[0]);
  for (int i = 0; i < n * TINY_VOCABULARY; ++i)
    worst =
        fmax(worst, fabs((double)logits[i] - expected[i / TINY_VOCABULARY][i % TINY_VOCABULARY]));
  CHECK(worst < 2e-5, "%s: logits are off by %g", what, worst);
  nib_reference_destroy(r);
  nib_graph_destroy(g);
}

static void test_networks(void) {
  static tiny_gguf gguf;
  static llama_file llama2c;
  for (int shared = 0; shared < 2; ++shared) {
    tiny_write_gguf(&gguf, shared, "llama", NULL);
    tiny_write_llama2c(&llama2c, shared);
    for (int64_t window = 0; window <= TINY_CONTEXT; ++window) {
      check_logits(nib_import_gguf, &gguf.file, window, shared, "GGUF");
      check_logits(nib_import_llama2c, &llama2c, window, shared, "llama2.c");
    }
  }
}

/* ---- damage ---- */

static void expect(importer *import, const llama_file *f, int64_t window, nib_status status,
                   const char *words) {
  nib_graph *g = NULL;
  messages m = {0};
  const nib_status got = import_window(import, f, window, &g, &m);
  CHECK(got == status && m.n == 1 && !g && strstr(m.last, words),
        "expected %d and '%s', got %d and %d messages: %s", status, words, got, m.n, m.last);
  nib_graph_destroy(g);
}

static void test_truncation(importer *import, const llama_file *whole) {
  static llama_file f;
  for (size_t n = 0; n < whole->size; n += n < 2200 ? 1 : 97) {
    nib_graph *g = NULL;
    messages m = {0};
    f = *whole;
    f.size = n;
    const nib_status status = import_window(import, &f, 0, &g, &m);
    CHECK(status == NIB_ERROR_INVALID_INPUT && !g && m.n == 1, "cut at %zu: status %d, %d messages",
          n, status, m.n);
  }
}

static void put_at(llama_file *f, size_t at, uint64_t value, size_t bytes) {
  memcpy(f->bytes + at, &value, bytes);
}

static void test_damaged_gguf(void) {
  static tiny_gguf good, g;
  tiny_write_gguf(&good, 0, "llama", NULL);
  test_truncation(nib_import_gguf, &good.file);
  const struct {
    size_t at;
    uint64_t value;
    size_t bytes;
    nib_status status;
    const char *words;
  } rows[] = {
      {0, 'X', 1, NIB_ERROR_INVALID_INPUT, "not a GGUF file"},
      {4, 1, 4, NIB_ERROR_UNSUPPORTED, "GGUF version 1"},
      {4, 0x03000000, 4, NIB_ERROR_UNSUPPORTED, "big-endian"},
      {8, UINT64_MAX, 8, NIB_ERROR_INVALID_INPUT, "do not fit"},
      {16, UINT64_MAX / 2, 8, NIB_ERROR_INVALID_INPUT, "do not fit"},
      {24, UINT64_MAX, 8, NIB_ERROR_INVALID_INPUT, "ends within a key"},
      {24 + 8 + 20, 99, 4, NIB_ERROR_INVALID_INPUT, "unknown type 99"},
      {good.first_type, 4242, 4, NIB_ERROR_UNSUPPORTED, "type number 4242"},
      {good.first_type, 2, 4, NIB_ERROR_INVALID_INPUT, "not whole blocks of q4_0"},
      {good.first_type, 24, 4, NIB_ERROR_UNSUPPORTED, "has the type i8"},
      {good.first_type - 8, 4, 8, NIB_ERROR_INVALID_INPUT, "another shape"},
      {good.first_type - 8, UINT64_MAX, 8, NIB_ERROR_INVALID_INPUT, "a dimension is 0"},
      {good.first_type - 8, 0, 8, NIB_ERROR_INVALID_INPUT, "a dimension is 0"},
      {good.first_type - 12, 5, 4, NIB_ERROR_INVALID_INPUT, "5 dimensions"},
      {good.first_offset, 1, 8, NIB_ERROR_INVALID_INPUT, "no multiple of 32"},
      {good.first_offset, UINT64_MAX - 31, 8, NIB_ERROR_INVALID_INPUT, "beyond the end"},
      {good.second_offset, 0, 8, NIB_ERROR_INVALID_INPUT, "overlap"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    g = good;
    put_at(&g.file, rows[i].at, rows[i].value, rows[i].bytes);
    expect(nib_import_gguf, &g.file, 0, rows[i].status, rows[i].words);
  }
  tiny_write_gguf(&g, 0, "mamba", NULL);
  expect(nib_import_gguf, &g.file, 0, NIB_ERROR_UNSUPPORTED, "architecture is not llama");
  tiny_write_gguf(&g, 0, "llama", "llama.embedding_length");
  expect(nib_import_gguf, &g.file, 0, NIB_ERROR_INVALID_INPUT, "llama.embedding_length is missing");
  expect(nib_import_gguf, &good.file, TINY_CONTEXT + 1, NIB_ERROR_INVALID_USAGE,
         "the context has 6 tokens");
}

static void test_damaged_llama2c(void) {
  static llama_file good, f;
  tiny_write_llama2c(&good, 0);
  test_truncation(nib_import_llama2c, &good);
  const struct {
    size_t at;
    uint64_t value;
    size_t bytes;
    nib_status status;
    const char *words;
  } rows[] = {
      {0, 0, 4, NIB_ERROR_INVALID_INPUT, "not a checkpoint"},
      {4, 2, 4, NIB_ERROR_UNSUPPORTED, "version 2"},
      {8, 0, 4, NIB_ERROR_INVALID_INPUT, "the embedding length is 0"},
      {8, 9, 4, NIB_ERROR_INVALID_INPUT, "no multiple of 4 heads"},
      {12, 0xFFFFFFFF, 4, NIB_ERROR_INVALID_INPUT, "the feed forward length is -1"},
      {16, 0x7FFFFFFF, 4, NIB_ERROR_INVALID_INPUT, "the number of layers is 2147483647"},
      {20, 0, 4, NIB_ERROR_INVALID_INPUT, "the number of heads is 0"},
      {24, 3, 4, NIB_ERROR_INVALID_INPUT, "4 heads cannot share 3"},
      {28, 1 << 24, 4, NIB_ERROR_INVALID_INPUT, "its sizes give a file of"},
      {36, 2, 1, NIB_ERROR_INVALID_INPUT, "shared classifier is 2"},
      {36, 1, 1, NIB_ERROR_INVALID_INPUT, "its sizes give a file of"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    f = good;
    put_at(&f, rows[i].at, rows[i].value, rows[i].bytes);
    expect(nib_import_llama2c, &f, 0, rows[i].status, rows[i].words);
  }
}

int main(void) {
  test_networks();
  test_damaged_gguf();
  test_damaged_llama2c();
  printf(failures ? "%d failed\n" : "all passed\n", failures);
  return failures != 0;
}
