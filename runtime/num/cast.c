/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Numbers from one scalar format to another: docs/numerics.md, Casts. */
#include "num/format.h"

#include "num/format_snippets.h"

/* The low bits of an integer, sign-extended. */
static int64_t low_bits(nib_format to, int64_t code) {
  const nib_format_info *info = nib_format_get(to);
  if (to == NIB_I1)
    return code != 0;
  if (info->bits == 64)
    return code;
  const uint64_t mask = (UINT64_C(1) << info->bits) - 1, low = (uint64_t)code & mask;
  const uint64_t sign = info->kind == NIB_KIND_SIGNED ? (mask >> 1) + 1 : 0;
  return (int64_t)((low ^ sign) - sign);
}

static int64_t real_to_code(nib_format to, double x, bool saturate) {
  const nib_format_info *info = nib_format_get(to);
  if (to == NIB_I1)
    return x != 0;
  if (to == NIB_U64)
    return (int64_t)nib_real_to_uint64(x);
  if (info->bits >= 8 || saturate)
    return nib_real_to_int(x, info->min, info->max);
  return low_bits(to, nib_real_to_int(x, INT32_MIN, INT32_MAX));
}

static int64_t integer_to_code(nib_format from, nib_format to, int64_t code, bool saturate) {
  const nib_format_info *info = nib_format_get(to);
  if (!saturate || to == NIB_I1 || from == NIB_U64 || to == NIB_U64)
    return low_bits(to, code);
  return code < info->min ? info->min : code > info->max ? info->max : code;
}

static float integer_to_f32(nib_format from, const void *in, int64_t i) {
  const int64_t code = nib_format_load_code(from, in, i);
  return from == NIB_U64 ? (float)(uint64_t)code : (float)code;
}

void nib_format_cast(nib_format from, const void *in, nib_format to, void *out, int64_t n,
                     nib_encode_mode mode, bool saturate) {
  const bool from_real = nib_format_get(from)->kind == NIB_KIND_FLOAT;
  const bool to_real = nib_format_get(to)->kind == NIB_KIND_FLOAT;
  for (int64_t i = 0; i < n; ++i) {
    if (!to_real) {
      const int64_t code =
          from_real ? real_to_code(to, nib_format_load_real(from, in, i), saturate)
                    : integer_to_code(from, to, nib_format_load_code(from, in, i), saturate);
      nib_format_store_code(to, out, i, code);
    } else if (to == NIB_F32 && !from_real) {
      nib_format_store_real(to, out, i, (double)integer_to_f32(from, in, i));
    } else if (to == NIB_F32 || to == NIB_F64) {
      nib_format_store_real(to, out, i, nib_format_load_real(from, in, i));
    } else {
      const double x = nib_format_load_real(from, in, i);
      nib_format_store_code(to, out, i, (int64_t)nib_format_encode(to, x, mode, saturate, 0));
    }
  }
}

nib_encode_mode nib_encode_mode_find(const char *name) {
  static const char *const names[] = {"nearest-even", "nearest-away", "toward-zero", "up", "down"};
  for (int i = 0; i < (int)(sizeof names / sizeof *names); ++i)
    if (strcmp(name, names[i]) == 0)
      return (nib_encode_mode)i;
  return NIB_ENCODE_MODE_NONE;
}
