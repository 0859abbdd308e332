/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Single-operator models with their inputs and results as comma-separated codes:
 *
 *   check_seanet FOLDER        every NAME.tflite below FOLDER with NAME_inputK_FORMAT.csv and
 *                              NAME_golden_FORMAT.csv, by the reference
 *   check_seanet --library LIB.so CODE FOLDER    by generated code; CODE has the headers */
#include "golden/subject.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct totals {
  int models, wrong;
  const char *library, *code; /* NULL: the reference runs */
} totals;

/* The codes of STEM_ROLE_FORMAT.csv as bytes of `t` (free()); NULL if absent or not as many. */
static void *read_codes(const char *stem, const char *role, const nib_tensor *t) {
  static const char *const formats[] = {"int8", "int16", "int32", "int64", "uint8"};
  char path[1024];
  char *text = NULL;
  size_t size;
  for (size_t i = 0; i < sizeof formats / sizeof *formats && !text; ++i) {
    snprintf(path, sizeof path, "%s_%s_%s.csv", stem, role, formats[i]);
    text = (char *)golden_read_file(path, &size);
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

static bool open_model(const totals *all, const nib_graph *g, const char *name, golden_subject *s) {
  char header[1024];
  if (!all->library)
    return golden_open_reference(g, s);
  snprintf(header, sizeof header, "%s/%s.h", all->code, name);
  return golden_open_library(g, all->library, name, header, s);
}

static bool read_inputs(const nib_graph *g, const char *stem, golden_subject *s) {
  for (int32_t i = 0; i < g->n_inputs; ++i) {
    char role[16];
    snprintf(role, sizeof role, "input%d", i);
    const nib_tensor *x = &g->tensors[g->inputs[i]];
    void *codes = read_codes(stem, role, x);
    if (!codes)
      return false;
    memcpy(s->in[i], codes, nib_tensor_bytes(x));
    free(codes);
  }
  return true;
}

/* Number of result elements that differ, or -1. */
static int64_t run_and_compare(const totals *all, const nib_graph *g, const char *stem,
                               const char *name) {
  golden_subject s = {0};
  const nib_tensor *y = &g->tensors[g->outputs[0]];
  unsigned char *golden = read_codes(stem, "golden", y);
  int64_t wrong = -1;
  if (golden && g->n_outputs == 1 && open_model(all, g, name, &s) && read_inputs(g, stem, &s) &&
      golden_run(&s)) {
    const size_t each = nib_format_bytes(y->format);
    wrong = 0;
    for (int64_t i = 0; i < nib_tensor_elems(y); ++i)
      wrong += memcmp((unsigned char *)s.out[0] + (size_t)i * each, golden + (size_t)i * each,
                      each) != 0;
  }
  if (s.graph)
    golden_close(&s);
  free(golden);
  return wrong;
}

static void check_model(totals *all, const char *folder, const char *name) {
  char path[1024], stem[1000];
  snprintf(stem, sizeof stem, "%s/%s", folder, name);
  snprintf(path, sizeof path, "%s.tflite", stem);
  nib_graph *g = golden_import(path, NULL);
  const int64_t wrong = g ? run_and_compare(all, g, stem, name) : -1;
  ++all->models;
  if (wrong != 0) {
    fprintf(stderr, "%s: %lld elements differ\n", stem, (long long)wrong);
    ++all->wrong;
  }
  nib_graph_destroy(g);
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
  if (argc > 3 && !strcmp(argv[1], "--library")) {
    all.library = argv[2];
    all.code = argv[3];
    at = 4;
  }
  if (argc != at + 1) {
    fprintf(stderr, "usage: check_seanet [--library LIB CODE] FOLDER\n");
    return 2;
  }
  walk(&all, argv[at], 1);
  printf("%d models, %d wrong\n", all.models, all.wrong);
  return all.models == 0 || all.wrong;
}
