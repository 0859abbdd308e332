/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Constant weights from one format to another, and what is lost. */
#include "quantize/weight_codec.h"

#include "quantize/quantize.h"

#include <math.h>
#include <stdlib.h>

float *nib_weight_load_row(const nib_tensor *t, int64_t row, float *out) {
  const int64_t columns = t->dims[t->rank - 1];
  const char *bytes =
      (const char *)t->data + (size_t)row * nib_format_storage_bytes(t->format, columns);
  nib_format_decode_row(t->format, bytes, columns, out);
  return out;
}

double nib_weight_sqnr_db(const nib_tensor *from, const nib_tensor *to) {
  const int64_t columns = from->dims[from->rank - 1], wide = to->dims[to->rank - 1];
  const int64_t rows = nib_tensor_elems(from) / columns;
  float *a = malloc((size_t)(columns + wide) * sizeof *a);
  double signal = 0, noise = 0;
  if (!a || nib_tensor_elems(to) / wide != rows || wide < columns) {
    free(a);
    return NAN;
  }
  for (int64_t r = 0; r < rows; ++r) {
    const float *x = nib_weight_load_row(from, r, a), *y = nib_weight_load_row(to, r, a + columns);
    for (int64_t i = 0; i < columns; ++i) {
      const double error = (double)x[i] - (double)y[i];
      signal += (double)x[i] * (double)x[i];
      noise += error * error;
    }
  }
  free(a);
  return noise == 0 ? INFINITY : 10 * log10(signal / noise);
}
