/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_import_onnx_nodes
 * The ONNX standard's node tests: each model is imported and evaluated by the reference; its
 * outputs must be those of the test. A model that is not supported is counted, a wrong result is a
 * failure. Where an operator needs constants (axes, scales …) and the test gives them as inputs,
 * the importer takes them as constants. */
#include "import/import.h"
#include "reference/reference.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TENSORS 16
#define LEAST_PASSED 850 /* of the 945 that are stored */

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
  nib_status status = nib_import_onnx_tensor(bytes, size, &t->format, &t->rank, t->dims, &t->data,
                                             &t->bytes, &diag);
  free(bytes);
  return status == NIB_OK;
}

static int differs(const pb_tensor *want, const nib_tensor *t, const void *got) {
  if (t->format != want->format || nib_tensor_bytes(t) != want->bytes || t->rank != want->rank)
    return 1;
  for (int32_t i = 0; i < t->rank; ++i)
    if (t->dims[i] != want->dims[i])
      return 1;
  if (nib_format_get(t->format)->kind != NIB_KIND_FLOAT)
    return memcmp(want->data, got, want->bytes) != 0;
  double norm = 0; /* sums in f32: what should be 0 is noise of the largest */
  for (int64_t i = 0; i < nib_tensor_elems(t); ++i) {
    const double a = fabs(nib_format_load_real(t->format, want->data, i));
    norm = isfinite(a) && a > norm ? a : norm;
  }
  const double noise = 1e-7 + (t->format == NIB_F32 ? norm * 0x1p-22 : 0);
  for (int64_t i = 0; i < nib_tensor_elems(t); ++i) {
    const double a = nib_format_load_real(t->format, want->data, i);
    const double b = nib_format_load_real(t->format, got, i);
    if (a != b && !(fabs(a - b) <= noise + 1e-3 * fabs(a)) && !(isnan(a) && isnan(b))) {
      snprintf(last_error, sizeof last_error, "element %lld is %.9g, not %.9g", (long long)i, b, a);
      return 1;
    }
  }
  return 0;
}

typedef enum verdict { PASSED, UNSUPPORTED, WRONG } verdict;

/* The graph's inputs are those of the test that did not become constants. */
static verdict evaluate(const nib_graph *g, const nib_input_value *given, int n_given,
                        const char *folder) {
  pb_tensor want = {0};
  const void *inputs[MAX_TENSORS];
  nib_reference *r = NULL;
  verdict v = PASSED;
  int n = 0;
  for (int i = 0; i < n_given; ++i)
    if (!given[i].is_constant && given[i].data && n < g->n_inputs) {
      const nib_tensor *t = &g->tensors[g->inputs[n]];
      if (given[i].format != t->format || given[i].bytes != nib_tensor_bytes(t))
        v = WRONG;
      inputs[n++] = given[i].data;
    }
  if (n < g->n_inputs)
    v = WRONG;
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
  nib_reference_destroy(r);
  return v;
}

static verdict run_folder(const char *folder) {
  nib_input_value given[MAX_TENSORS] = {{.data = NULL}};
  char path[1200];
  size_t size;
  int n = 0;
  snprintf(path, sizeof path, "%s/model.onnx", folder);
  uint8_t *bytes = read_file(path, &size);
  if (!bytes)
    return UNSUPPORTED;
  for (; n < MAX_TENSORS; ++n) {
    pb_tensor t = {0};
    const int read = read_tensor(folder, "input", n, &t);
    if (read < 0)
      break;
    if (!read)
      continue;
    given[n] =
        (nib_input_value){.format = t.format, .rank = t.rank, .data = t.data, .bytes = t.bytes};
    memcpy(given[n].dims, t.dims, sizeof t.dims);
  }
  last_error[0] = '\0';
  nib_graph *g = NULL;
  const nib_import_options options = {.model_name = "node",
                                      .display_path = folder,
                                      .base_dir = folder,
                                      .inputs = given,
                                      .n_inputs = (size_t)n};
  const nib_status status = nib_import_onnx(bytes, size, &options, &g, &diag);
  const verdict v = status == NIB_ERROR_UNSUPPORTED ? UNSUPPORTED
                    : status != NIB_OK              ? WRONG
                                                    : evaluate(g, given, n, folder);
  nib_graph_destroy(g);
  for (int i = 0; i < n; ++i)
    free((void *)(uintptr_t)given[i].data);
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
