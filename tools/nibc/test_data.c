/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * ONNX test data: tensors of the inputs, some of which the importer takes as constants. */
#include "test_data.h"
#include "file_io.h"
#include "message.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *file_of(const char *dir, const char *stem, int i) {
  char *file = nibc_format("%s_%d.pb", stem, i);
  char *path = file ? nibc_path_join(dir, file) : NULL;
  free(file);
  return path;
}

/* Messages of the reader, with the file before them. */
static void emit_named(void *user, nib_severity severity, const char *message) {
  char *text = nibc_format("%s: %s", (const char *)user, message);
  nibc_say(severity, text ? text : message);
  free(text);
}

static void discard(void *user, nib_severity severity, const char *message) {
  (void)user, (void)severity, (void)message;
}

/* One tensor; `quiet` says nothing about one that cannot be read. */
static nib_status read_tensor(char *path, bool quiet, nibc_array *a) {
  uint8_t *bytes = NULL;
  size_t size = 0;
  memset(a, 0, sizeof *a);
  if (!path)
    return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
  NIB_RETURN_IF_ERROR(nibc_file_read(path, &bytes, &size));
  const int before = nibc_error_count();
  const nib_diag named = {quiet ? discard : emit_named, path};
  const nib_status status = nib_import_onnx_tensor(bytes, size, &a->format, &a->rank, a->dims,
                                                   &a->data, &a->bytes, &named);
  free(bytes);
  if (status != NIB_OK && !quiet && nibc_error_count() == before)
    nibc_error("%s: not an ONNX tensor", path);
  return status;
}

nib_status nibc_test_data_read(const char *dir, nibc_test_data *d) {
  memset(d, 0, sizeof *d);
  d->dir = dir;
  for (; d->n < NIBC_MAX_TEST_INPUTS; ++d->n) {
    char *path = file_of(dir, "input", d->n);
    if (!path)
      return nibc_fail(NIB_ERROR_OUT_OF_MEMORY, "out of memory");
    if (access(path, F_OK)) {
      free(path);
      return NIB_OK;
    }
    nibc_array a;
    const nib_status status = read_tensor(path, true, &a);
    free(path);
    if (status == NIB_ERROR_IO || status == NIB_ERROR_OUT_OF_MEMORY)
      return status;
    nib_input_value *v = &d->inputs[d->n];
    if (status != NIB_OK)
      continue;
    *v = (nib_input_value){.format = a.format, .rank = a.rank, .data = a.data, .bytes = a.bytes};
    memcpy(v->dims, a.dims, sizeof v->dims);
  }
  return NIB_OK;
}

void nibc_test_data_free(nibc_test_data *d) {
  for (int i = 0; i < d->n; ++i)
    free((void *)(uintptr_t)d->inputs[i].data);
  memset(d, 0, sizeof *d);
}

static nib_status feed(const nibc_test_data *d, const char *stem, const int *files,
                       const nib_graph *g, const int32_t *tensors, int n, nibc_feed *f) {
  NIB_RETURN_IF_ERROR(nibc_feed_begin(f, n));
  nib_status status = NIB_OK;
  for (int i = 0; status == NIB_OK && i < n; ++i) {
    char *path = file_of(d->dir, stem, files ? files[i] : i);
    status = read_tensor(path, false, &f->arrays[i]);
    if (status == NIB_OK)
      status = nibc_feed_accept(f, i, &g->tensors[tensors[i]], path, stem);
    free(path);
  }
  f->runs = n ? f->runs : 1;
  if (status != NIB_OK)
    nibc_feed_free(f);
  return status;
}

nib_status nibc_test_data_feed_inputs(const nibc_test_data *d, const nib_graph *g, nibc_feed *f) {
  int files[NIBC_MAX_TEST_INPUTS], n = 0;
  for (int i = 0; i < d->n; ++i) {
    if (!d->inputs[i].is_constant) {
      files[n++] = i;
      continue;
    }
    printf("input %d ('%s') is taken as a constant from %s/input_%d.pb\n", i, d->inputs[i].name,
           d->dir, i);
  }
  for (int next = d->n; n < g->n_inputs && n < NIBC_MAX_TEST_INPUTS; ++next)
    files[n++] = next; /* missing: reading it says so */
  if (n < g->n_inputs)
    return nibc_fail(NIB_ERROR_UNSUPPORTED, "test data for more than %d inputs",
                     NIBC_MAX_TEST_INPUTS);
  return feed(d, "input", files, g, g->inputs, g->n_inputs, f);
}

nib_status nibc_test_data_feed_outputs(const nibc_test_data *d, const nib_graph *g, nibc_feed *f) {
  return feed(d, "output", NULL, g, g->outputs, g->n_outputs, f);
}
