/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_cast
// cast between all scalar formats on extremes: generated code against the reference.
#include "emit_harness.h"

static const nib_format formats[] = {
    NIB_I1,  NIB_I2,  NIB_U2,     NIB_I4,       NIB_U4,       NIB_I8,       NIB_U8,
    NIB_I16, NIB_U16, NIB_I32,    NIB_U32,      NIB_I64,      NIB_F16,      NIB_BF16,
    NIB_F32, NIB_F64, NIB_F8E5M2, NIB_F8E4M3FN, NIB_F4E2M1FN, NIB_F8E8M0FNU};
enum { FORMATS = sizeof formats / sizeof *formats, VALUES = 16 };

static const double reals[VALUES] = {0.0,  -0.0, 1.0,  -1.0, 2.5,      -2.5,      0.49, -7.75,
                                     15.0, 1e-7, 1e30, -3e9, INFINITY, -INFINITY, NAN,  65519.0};

static int32_t source(suite *s, nib_format f) {
  char data[VALUES * 8];
  const nib_format_info *info = nib_format_get(f);
  for (int i = 0; i < VALUES; ++i)
    if (info->kind == NIB_KIND_FLOAT)
      nib_format_store_real(f, data, i, reals[i]);
    else { /* from both ends of the range */
      const int64_t low = info->min + i / 2, high = info->max - i / 2;
      const bool fits = info->bits > 8 || i / 2 <= info->max - info->min;
      nib_format_store_code(f, data, i, !fits ? 0 : i % 2 ? high : low);
    }
  const int32_t t = value(s, f, shape(1, VALUES), 0, 0);
  nib_graph_set_data(s->g, t, data, nib_tensor_bytes(&s->g->tensors[t]), NIB_DATA_COPY);
  return t;
}

int main(void) {
  suite s = suite_open("m", "nearest-even", 7);
  for (int a = 0; a < FORMATS; ++a)
    for (int b = 0; b < FORMATS; ++b) {
      snprintf(s.label, sizeof s.label, "%s to %s", nib_format_get(formats[a])->name,
               nib_format_get(formats[b])->name);
      const int32_t x = source(&s, formats[a]);
      const int32_t y = value(&s, formats[b], shape(1, VALUES), 0, 0);
      node(&s, NIB_OP_CAST, y, 1, x);
      if ((a + b) % 2)
        nib_graph_set_int(s.g, s.g->n_nodes - 1, NIB_A_SATURATE, 1);
      output(&s, y);
    }
  finish(&s);
  CHECK(compare_generated(&s, "-O1", 1) > 0);
  nib_graph_destroy(s.g);
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
