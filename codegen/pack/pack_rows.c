// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "pack/pack_rows.h"

#include <stdlib.h>
#include <string.h>

int64_t nib_pack_weight(const nib_tensor *w, int64_t i) {
  const bool is_signed = nib_format_get(w->format)->kind == NIB_KIND_SIGNED;
  return (is_signed ? ((const int8_t *)w->data)[i] : ((const uint8_t *)w->data)[i]) -
         nib_pack_zero(w);
}

static int64_t index_of(const nib_pack_matrix *m, int64_t row, int64_t k) {
  return m->transposed ? k * m->rows + row : row * m->k + k;
}

nib_status nib_pack_rows(const nib_pack_matrix *m, int64_t pitch, void **out_data,
                         size_t *out_bytes) {
  const int64_t size = nib_format_bytes(m->w->format);
  const bool as_they_are = nib_pack_zero(m->w) == 0;
  const uint8_t *from = m->w->data;
  *out_bytes = (size_t)(m->rows * pitch);
  uint8_t *row = *out_data = calloc(1, *out_bytes);
  if (!row)
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int64_t j = 0; j < m->rows; ++j, row += pitch) {
    if (as_they_are && !m->transposed)
      memcpy(row, from + j * m->k * size, (size_t)(m->k * size));
    else if (as_they_are)
      for (int64_t i = 0; i < m->k; ++i)
        memcpy(row + i * size, from + index_of(m, j, i) * size, (size_t)size);
    else
      for (int64_t i = 0; i < m->k; ++i)
        row[i] = (uint8_t)nib_pack_weight(m->w, index_of(m, j, i));
  }
  return NIB_OK;
}

nib_status nib_pack_row_starts(const nib_pack_matrix *m, const nib_tensor *x,
                               const nib_tensor *bias, int32_t **out_start) {
  const int64_t zero = nib_pack_zero(x);
  int32_t *start = *out_start = malloc((size_t)m->rows * sizeof *start);
  for (int64_t j = 0; start && j < m->rows; ++j) {
    int64_t sum = 0;
    for (int64_t i = 0; zero != 0 && i < m->k; ++i)
      sum += nib_pack_weight(m->w, index_of(m, j, i));
    const uint32_t base = bias ? (uint32_t)((const int32_t *)bias->data)[j] : 0;
    start[j] = (int32_t)(base - (uint32_t)(sum * zero));
  }
  return start ? NIB_OK : NIB_ERROR_OUT_OF_MEMORY;
}
