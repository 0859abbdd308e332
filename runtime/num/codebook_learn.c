/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Tables that are made for the numbers they stand for: of a tensor or of each of its channels. */
#include "num/codebook.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void nib_codebook_encode_channels(const float *tables, int n, int64_t channels, const float *x,
                                  int64_t elems, uint8_t *codes) {
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t i = 0; i < elems; ++i)
      codes[c * elems + i] = (uint8_t)nib_codebook_nearest(
          tables + c * n, n, (double)x[c * elems + i], NIB_ENCODE_NEAREST_EVEN, 0);
}

void nib_codebook_decode_channels(const float *tables, int n, int64_t channels,
                                  const uint8_t *codes, int64_t elems, float *x) {
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t i = 0; i < elems; ++i)
      x[c * elems + i] = tables[c * n + codes[c * elems + i]];
}

static int compare_floats(const void *a, const void *b) {
  const float x = *(const float *)a, y = *(const float *)b;
  return (x > y) - (x < y);
}

/* One round over ascending numbers: each value becomes the mean of the numbers that it is nearest
 * to. Whether anything changed. */
static bool improve(const float *sorted, int64_t count, int n, float *values) {
  bool changed = false;
  int64_t i = 0;
  for (int v = 0; v < n; ++v) {
    const double limit =
        v + 1 < n ? ((double)values[v] + (double)values[v + 1]) / 2 : (double)INFINITY;
    const int64_t first = i;
    double sum = 0;
    for (; i < count && (double)sorted[i] <= limit; ++i)
      sum += (double)sorted[i];
    const float mean = i > first ? (float)(sum / (double)(i - first)) : values[v];
    changed |= mean != values[v];
    values[v] = mean;
  }
  return changed;
}

bool nib_codebook_learn(const float *x, int64_t count, int n, int rounds, float *out_values) {
  float *sorted = malloc(((size_t)count + 1) * sizeof *sorted);
  int64_t kept = 0;
  for (int64_t i = 0; sorted && i < count; ++i)
    if (isfinite(x[i]))
      sorted[kept++] = x[i];
  if (!sorted || kept == 0 || n < 1) {
    free(sorted);
    return false;
  }
  qsort(sorted, (size_t)kept, sizeof *sorted, compare_floats);
  for (int v = 0; v < n; ++v)
    out_values[v] = sorted[(2 * v + 1) * kept / (2 * n)];
  for (int r = 0; r < rounds && improve(sorted, kept, n, out_values); ++r)
    ;
  free(sorted);
  return true;
}
