/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * What the analytic model reads off a description. */
#include "cost/terms.h"

#include <string.h>

const nib_desc_tensor *nib_cost_role(const nib_kernel_desc *d, const char *role) {
  for (int32_t i = 0; i < d->n_tensors; ++i)
    if (strcmp(d->tensors[i].role, role) == 0)
      return &d->tensors[i];
  return NULL;
}

bool nib_cost_is_float(const nib_desc_tensor *t) {
  return t != NULL && (t->format[0] == 'f' || strcmp(t->format, "bf16") == 0);
}

const nib_format_info *nib_cost_format(const nib_desc_tensor *t) {
  const nib_format format = t != NULL ? nib_format_find(t->format) : NIB_FORMAT_COUNT;
  return format != NIB_FORMAT_COUNT ? nib_format_get(format) : NULL;
}

double nib_cost_columns(const nib_kernel_desc *d) {
  const nib_desc_tensor *out = nib_cost_role(d, "out");
  return out != NULL && out->rank > 0 && out->dims[out->rank - 1] > 0
             ? (double)out->dims[out->rank - 1]
             : 1.0;
}

double nib_cost_rows(const nib_kernel_desc *d) {
  const nib_desc_tensor *out = nib_cost_role(d, "out");
  double rows = 1;
  for (int32_t i = 0; out != NULL && i + 1 < out->rank; ++i)
    rows *= (double)(out->dims[i] > 0 ? out->dims[i] : 1);
  return rows;
}

double nib_cost_or(double value, double if_zero) { return value > 0 ? value : if_zero; }

double nib_cost_row_count(const nib_kernel_desc *d) {
  return d->n_ops > 0 && strcmp(d->ops[d->n_ops - 1], "mean") == 0
             ? nib_cost_rows(d) * nib_cost_columns(d)
             : nib_cost_rows(d);
}
