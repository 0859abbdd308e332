/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Single-operator models with their inputs and results as comma-separated codes:
 *
 *   check_seanet FOLDER        every NAME.tflite below FOLDER with NAME_inputK_FORMAT.csv and
 *                              NAME_golden_FORMAT.csv, by the reference
 *   check_seanet --write DIR FOLDER   also writes DIR/NAME_inputK.bin and DIR/NAME_golden.bin */
#include "import/import.h"
#include "reference/reference.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_message(void *user, nib_severity severity, const char *message) {
  (void)user;
  (void)severity;
  fprintf(stderr, "%s\n", message);
}
static const nib_diag diag = {print_message, NULL};

typedef struct totals {
  int models, wrong;
  const char *write_to;
} totals;

static char *read_file(const char *path, size_t *out_size) {
  FILE *file = fopen(path, "rb");
  if (!file)
    return NULL;
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  rewind(file);
  char *bytes = malloc((size_t)size + 1);
  *out_size = bytes ? fread(bytes, 1, (size_t)size, file) : 0;
  if (bytes)
    bytes[*out_size] = 0;
  fclose(file);
  return bytes;
}

/* The codes of STEM_ROLE_FORMAT.csv as bytes of `t` (free()); NULL if absent or not as many. */
static void *read_codes(const char *stem, const char *role, const nib_tensor *t) {
  static const char *const formats[] = {"int8", "int16", "int32", "int64", "uint8"};
  char path[1024];
  char *text = NULL;
  size_t size;
  for (size_t i = 0; i < sizeof formats / sizeof *formats && !text; ++i) {
    snprintf(path, sizeof path, "%s_%s_%s.csv", stem, role, formats[i]);
    text = read_file(path, &size);
  }
  const size_t bytes = nib_tensor_bytes(t), each = nib_format_bytes(t->format);
  unsigned char *codes = calloc(bytes + 1, 1);
  int64_t i = 0;
  for (char *at = text; codes && at && *at && i <= nib_tensor_elems(t);) {
    char *end;
    const int64_t code = strtoll(at, &end, 10);
    if (end == at)
      break;
    if (i < nib_tensor_elems(t))
      memcpy(codes + (size_t)i * each, &code, each); /* little-endian: the low bytes come first */
    ++i;
    at = end + strspn(end, ", \r\n");
  }
  free(text);
  if (i == nib_tensor_elems(t))
    return codes;
  fprintf(stderr, "%s_%s: no file of %lld codes\n", stem, role, (long long)nib_tensor_elems(t));
  free(codes);
  return NULL;
}

static void write_bytes(const totals *all, const char *name, const char *role, const void *bytes,
                        size_t size) {
  char path[1024];
  if (!all->write_to)
    return;
  snprintf(path, sizeof path, "%s/%s_%s.bin", all->write_to, name, role);
  FILE *file = fopen(path, "wb");
  if (file) {
    fwrite(bytes, 1, size, file);
    fclose(file);
  }
}

/* Number of result elements that differ, or -1. */
static int64_t run_and_compare(const totals *all, const nib_graph *g, const char *stem,
                               const char *name) {
  enum { MAX_INPUTS = 4 };
  void *inputs[MAX_INPUTS] = {NULL};
  nib_reference *r = NULL;
  const nib_tensor *y = &g->tensors[g->outputs[0]];
  unsigned char *golden = read_codes(stem, "golden", y);
  int64_t wrong = golden && g->n_inputs <= MAX_INPUTS && g->n_outputs == 1 ? 0 : -1;
  for (int32_t i = 0; wrong == 0 && i < g->n_inputs; ++i) {
    char role[16];
    snprintf(role, sizeof role, "input%d", i);
    const nib_tensor *x = &g->tensors[g->inputs[i]];
    inputs[i] = read_codes(stem, role, x);
    wrong = inputs[i] ? 0 : -1;
    if (inputs[i])
      write_bytes(all, name, role, inputs[i], nib_tensor_bytes(x));
  }
  if (wrong == 0 && (nib_reference_create(g, &r, &diag) != NIB_OK ||
                     nib_reference_run(r, (const void *const *)inputs, &diag) != NIB_OK))
    wrong = -1;
  const size_t each = nib_format_bytes(y->format);
  const unsigned char *result = wrong == 0 ? nib_reference_tensor(r, g->outputs[0]) : NULL;
  for (int64_t i = 0; result && i < nib_tensor_elems(y); ++i)
    wrong += memcmp(result + (size_t)i * each, golden + (size_t)i * each, each) != 0;
  if (golden)
    write_bytes(all, name, "golden", golden, nib_tensor_bytes(y));
  nib_reference_destroy(r);
  free(golden);
  for (int i = 0; i < MAX_INPUTS; ++i)
    free(inputs[i]);
  return wrong;
}

static void check_model(totals *all, const char *folder, const char *name) {
  char path[1024], stem[1000];
  snprintf(stem, sizeof stem, "%s/%s", folder, name);
  snprintf(path, sizeof path, "%s.tflite", stem);
  size_t size = 0;
  char *bytes = read_file(path, &size);
  nib_graph *g = NULL;
  const nib_import_options options = {.model_name = name, .display_path = path};
  ++all->models;
  int64_t wrong = -1;
  if (bytes && nib_import_tflite((const uint8_t *)bytes, size, &options, &g, &diag) == NIB_OK)
    wrong = run_and_compare(all, g, stem, name);
  if (wrong != 0) {
    fprintf(stderr, "%s: %lld elements differ\n", stem, (long long)wrong);
    ++all->wrong;
  }
  nib_graph_destroy(g);
  free(bytes);
}

static void walk(totals *all, const char *folder, int depth) {
  struct dirent **entries;
  const int count = scandir(folder, &entries, NULL, alphasort);
  for (int i = 0; i < count; ++i) {
    char *name = entries[i]->d_name, *dot = strrchr(name, '.');
    if (dot && !strcmp(dot, ".tflite")) {
      *dot = 0;
      check_model(all, folder, name);
    } else if (!dot && depth > 0) {
      char below[1024];
      snprintf(below, sizeof below, "%s/%s", folder, name);
      walk(all, below, depth - 1);
    }
    free(entries[i]);
  }
  if (count >= 0)
    free(entries);
}

int main(int argc, char **argv) {
  totals all = {0};
  int at = 1;
  if (argc > 3 && !strcmp(argv[1], "--write")) {
    all.write_to = argv[2];
    at = 3;
  }
  if (at >= argc) {
    fprintf(stderr, "usage: check_seanet [--write DIR] FOLDER\n");
    return 2;
  }
  walk(&all, argv[at], 1);
  printf("%d models, %d wrong\n", all.models, all.wrong);
  return all.models == 0 || all.wrong;
}
