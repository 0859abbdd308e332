// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Codes of weights of few bits: see element_codes.h.
#include "pack/element_codes.h"

#include "num/block.h"

#include <stdlib.h>

static nib_code_place *places_of(const nib_bit_field *f, int n) {
  nib_code_place *places = calloc((size_t)n, sizeof *places);
  for (int i = 0; places && i < n; ++i) {
    const int64_t bit = nib_block_field_bit(f, i);
    places[i] = (nib_code_place){(int32_t)(bit / 8), (uint8_t)(bit % 8), bit % 8 + f->bits > 8};
  }
  return places;
}

bool nib_code_reader_open(const nib_tensor *w, nib_code_reader *out) {
  const nib_format_info *f = nib_format_get(w->format);
  const nib_split_field *codes = &f->block.codes;
  *out = (nib_code_reader){.w = w};
  if (f->kind != NIB_KIND_BLOCK || f->block.packing != NIB_PACKING_FIELDS || codes->low.bits > 8)
    return true;
  out->low = places_of(&codes->low, f->block_elems);
  if (codes->high.bits)
    out->high = places_of(&codes->high, f->block_elems);
  if (out->low && (out->high || !codes->high.bits))
    return true;
  nib_code_reader_close(out);
  return false;
}

void nib_code_reader_close(nib_code_reader *r) {
  free(r->low);
  free(r->high);
  *r = (nib_code_reader){0};
}

static uint32_t bits_at(const uint8_t *block, nib_code_place at, int bits) {
  const uint32_t x = at.two ? block[at.byte] | (uint32_t)block[at.byte + 1] << 8 : block[at.byte];
  return x >> at.shift & ((1u << bits) - 1);
}

void nib_code_reader_get(const nib_code_reader *r, int64_t elem, int64_t n, uint8_t *out_codes) {
  const nib_format_info *f = nib_format_get(r->w->format);
  const nib_split_field *field = &f->block.codes;
  const uint8_t *data = r->w->data;
  if (f->kind != NIB_KIND_BLOCK) {
    for (int64_t i = 0; i < n; ++i)
      out_codes[i] = data[elem + i] & (uint8_t)((1u << f->bits) - 1);
    return;
  }
  const uint8_t *block = data + elem / f->block_elems * f->block_bytes;
  const int first = (int)(elem % f->block_elems);
  for (int i = 0; i < n; ++i) {
    uint32_t code = !r->low ? nib_block_code(&f->block, block, first + i)
                            : bits_at(block, r->low[first + i], field->low.bits);
    if (r->high)
      code |= bits_at(block, r->high[first + i], field->high.bits) << field->low.bits;
    out_codes[i] = (uint8_t)code;
  }
}
