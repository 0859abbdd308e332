// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
#include "schedule/row_vectors.h"

bool nib_rows_is_vector(const nib_rows *r, int32_t phase) {
  (void)r, (void)phase;
  return false;
}
void nib_rows_vector_phase(nib_rows *r, int32_t phase) { (void)r, (void)phase; }
void nib_rows_vector_product(nib_rows *r, int32_t position) { (void)r, (void)position; }
