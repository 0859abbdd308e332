/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Words of GPTQ and AWQ. A line is what a row of words packs: a column of codes, or a row. */
#include "num/grouped.h"

#include "num/block.h"
#include "num/format_snippets.h"

#include <string.h>

/* Codes that fill whole words. */
static int per_word(int bits) { return bits == 3 ? 32 : 32 / bits; }

static bool can_pack(nib_grouped_layout layout, int bits) {
  return bits == 2 || bits == 4 || bits == 8 || (bits == 3 && layout == NIB_GROUPED_GPTQ);
}

size_t nib_grouped_words(nib_grouped_layout layout, int bits, int64_t rows, int64_t columns) {
  const int64_t line = layout == NIB_GROUPED_GPTQ ? rows : columns;
  if (!can_pack(layout, bits) || rows < 1 || columns < 1 || line % per_word(bits))
    return 0;
  return (size_t)(rows * columns / per_word(bits)) * (size_t)(per_word(bits) * bits / 32);
}

/* Where code number i of a line of words is, in codes from the line's first bit. */
static int64_t place(nib_grouped_layout layout, int bits, int64_t i) {
  static const uint8_t awq[8] = {0, 4, 1, 5, 2, 6, 3, 7}; /* place of column i: 0 2 4 6 1 3 5 7 */
  return layout == NIB_GROUPED_AWQ && bits == 4 ? i / 8 * 8 + awq[i % 8] : i;
}

/* The code at (row, column): bit of its line, and the words that a line is spread over. */
typedef struct position {
  int64_t first_word, word_step, bit;
} position;

static position find(nib_grouped_layout layout, int bits, int64_t row, int64_t column,
                     int64_t columns) {
  if (layout == NIB_GROUPED_GPTQ)
    return (position){column, columns, row * bits};
  return (position){row * (columns * bits / 32), 1, place(layout, bits, column) * bits};
}

void nib_grouped_pack(nib_grouped_layout layout, int bits, const uint8_t *codes, int64_t rows,
                      int64_t columns, uint32_t *words) {
  memset(words, 0, nib_grouped_words(layout, bits, rows, columns) * sizeof *words);
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const position p = find(layout, bits, r, c, columns);
      const uint64_t value = (uint64_t)codes[r * columns + c] << p.bit % 32;
      uint32_t *word = words + p.first_word + p.bit / 32 * p.word_step;
      *word |= (uint32_t)value;
      if (p.bit % 32 + bits > 32)
        word[p.word_step] |= (uint32_t)(value >> 32);
    }
}

void nib_grouped_unpack(nib_grouped_layout layout, int bits, const uint32_t *words, int64_t rows,
                        int64_t columns, uint8_t *codes) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const position p = find(layout, bits, r, c, columns);
      const uint32_t *word = words + p.first_word + p.bit / 32 * p.word_step;
      uint64_t value = *word;
      if (p.bit % 32 + bits > 32)
        value |= (uint64_t)word[p.word_step] << 32;
      codes[r * columns + c] = (uint8_t)(value >> p.bit % 32 & ((1u << bits) - 1));
    }
}

void nib_grouped_unpack_zeros(nib_grouped_layout layout, int bits, const uint32_t *words,
                              int64_t groups, int64_t columns, bool minus_one, float *zeros) {
  const uint32_t mask = (1u << bits) - 1;
  for (int64_t g = 0; g < groups; ++g)
    for (int64_t c = 0; c < columns; ++c) {
      const int64_t bit = place(layout, bits, c) * bits;
      const uint32_t *word = words + g * (columns * bits / 32) + bit / 32;
      uint64_t value = *word;
      if (bit % 32 + bits > 32)
        value |= (uint64_t)word[1] << 32;
      zeros[g * columns + c] =
          (float)(((uint32_t)(value >> bit % 32) & mask) + (minus_one ? 1u : 0u));
    }
}

void nib_grouped_dequantize(const uint8_t *codes, int64_t rows, int64_t columns, int64_t group,
                            const float *scales, const float *zeros, float *out) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t c = 0; c < columns; ++c) {
      const int64_t at = r / group * columns + c;
      out[r * columns + c] = ((float)codes[r * columns + c] - zeros[at]) * scales[at];
    }
}

bool nib_grouped_to_blocks(const uint8_t *codes, int64_t rows, int64_t columns, const float *scales,
                           const float *zeros, int format, void *out) {
  const nib_format_info *info = nib_format_get((nib_format)format);
  const nib_block_layout *b = &info->block;
  if (info->kind != NIB_KIND_BLOCK || b->zero == NIB_NO_FORMAT || b->scale == NIB_NO_FORMAT ||
      b->group_elems || nib_format_get((nib_format)b->element)->kind != NIB_KIND_UNSIGNED ||
      rows % info->block_elems)
    return false;
  const int64_t group = info->block_elems;
  uint8_t *block = out;
  for (int64_t c = 0; c < columns; ++c)
    for (int64_t g = 0; g < rows / group; ++g, block += info->block_bytes) {
      memset(block, 0, (size_t)info->block_bytes);
      nib_block_store_scale(b, block, scales[g * columns + c]);
      nib_block_store_zero(b, block, zeros[g * columns + c]);
      for (int64_t i = 0; i < group; ++i)
        nib_split_field_set(&b->codes, block, (int)i, codes[(g * group + i) * columns + c]);
    }
  return true;
}
