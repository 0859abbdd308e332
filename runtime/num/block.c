/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Reading blocks by the description that the table has of them. */
#include "num/block.h"

#include "num/format_snippets.h"

#include <math.h>
#include <string.h>

int nib_block_field_bit(const nib_bit_field *f, int i) {
  int bit = f->at;
  if (f->chunk) {
    bit += i / f->chunk * f->chunk_step;
    i %= f->chunk;
  }
  if (f->run) {
    bit += i / f->run * f->step;
    i %= f->run;
  }
  return bit + i * f->stride;
}

/* Byte by byte: fields have 1 to 32 bits at any bit, and a block may end behind them. */
uint32_t nib_bit_field_get(const nib_bit_field *f, const uint8_t *block, int i) {
  const int bit = nib_block_field_bit(f, i);
  uint64_t value = 0;
  for (int byte = bit / 8; byte <= (bit + f->bits - 1) / 8; ++byte)
    value |= (uint64_t)block[byte] << (8 * (byte - bit / 8));
  return (uint32_t)(value >> bit % 8 & ((UINT64_C(1) << f->bits) - 1));
}

void nib_bit_field_set(const nib_bit_field *f, uint8_t *block, int i, uint32_t value) {
  const int bit = nib_block_field_bit(f, i);
  const uint64_t mask = ((UINT64_C(1) << f->bits) - 1) << bit % 8;
  const uint64_t bits = (uint64_t)value << bit % 8 & mask;
  for (int byte = bit / 8; byte <= (bit + f->bits - 1) / 8; ++byte) {
    const int shift = 8 * (byte - bit / 8);
    block[byte] = (uint8_t)((block[byte] & ~(mask >> shift)) | bits >> shift);
  }
}

uint32_t nib_split_field_get(const nib_split_field *f, const uint8_t *block, int i) {
  const uint32_t low = nib_bit_field_get(&f->low, block, i);
  return f->high.bits ? low | nib_bit_field_get(&f->high, block, i) << f->low.bits : low;
}

void nib_split_field_set(const nib_split_field *f, uint8_t *block, int i, uint32_t value) {
  nib_bit_field_set(&f->low, block, i, value & ((UINT32_C(1) << (f->low.bits - 1)) * 2 - 1));
  if (f->high.bits)
    nib_bit_field_set(&f->high, block, i, value >> f->low.bits);
}

uint32_t nib_block_code(const nib_block_layout *b, const uint8_t *block, int i) {
  if (b->packing == NIB_PACKING_TQ1_0)
    return nib_tq1_0_code(block, i);
  return nib_split_field_get(&b->codes, block, i);
}

/* A little-endian number of `format` at a byte. */
static float load_scale(nib_format format, const uint8_t *at) {
  uint64_t code = 0;
  const int bytes = (nib_format_get(format)->bits + 7) / 8;
  for (int i = 0; i < bytes; ++i)
    code |= (uint64_t)at[i] << (8 * i);
  return (float)nib_format_decode(format, code);
}

static float group_scale(const nib_block_layout *b, const uint8_t *block, int group) {
  const nib_format format = (nib_format)b->group_scale;
  const uint32_t code = nib_split_field_get(&b->group_scales, block, group);
  return (float)(nib_format_decode(format, code) - b->group_scale_zero);
}

int nib_block_group_elems(const nib_format_info *block) {
  return block->block.group_elems ? block->block.group_elems : block->block_elems;
}

float nib_block_scale(const nib_block_layout *b, const uint8_t *block, int group) {
  const float d =
      b->scale == NIB_NO_FORMAT ? 1 : load_scale((nib_format)b->scale, block + b->scale_at);
  return b->group_elems ? d * group_scale(b, block, group) : d;
}

float nib_block_offset(const nib_block_layout *b, const uint8_t *block, int group) {
  if (b->offset == NIB_NO_FORMAT)
    return 0;
  float m = load_scale((nib_format)b->offset, block + b->offset_at);
  if (b->group_offsets.low.bits)
    m *= (float)nib_split_field_get(&b->group_offsets, block, group);
  return b->offset_is_subtracted ? -m : m;
}

float nib_block_zero(const nib_block_layout *b, const uint8_t *block) {
  if (b->zero == NIB_NO_FORMAT)
    return (float)b->element_zero;
  return (float)nib_format_decode((nib_format)b->zero, nib_bit_field_get(&b->zero_field, block, 0));
}

void nib_block_store_scale(const nib_block_layout *b, uint8_t *block, float scale) {
  const nib_format format = (nib_format)b->scale;
  const uint64_t code = nib_format_encode(format, (double)scale, NIB_ENCODE_NEAREST_EVEN, true, 0);
  for (int i = 0; i < (nib_format_get(format)->bits + 7) / 8; ++i)
    block[b->scale_at + i] = (uint8_t)(code >> (8 * i));
}

void nib_block_store_zero(const nib_block_layout *b, uint8_t *block, float zero) {
  nib_bit_field_set(&b->zero_field, block, 0,
                    (uint32_t)nib_format_encode((nib_format)b->zero, (double)zero,
                                                NIB_ENCODE_NEAREST_EVEN, true, 0));
}

float nib_block_element(const nib_block_layout *b, const uint8_t *block, int i) {
  const int group = b->group_elems ? i / b->group_elems : 0;
  const double element = nib_format_decode((nib_format)b->element, nib_block_code(b, block, i));
  const float q = (float)(element - (double)nib_block_zero(b, block));
  return nib_block_scale(b, block, group) * ldexpf(q, b->element_exponent) +
         nib_block_offset(b, block, group);
}

static void decode_block(const nib_format_info *info, const uint8_t *block, float *out) {
  const nib_block_layout *b = &info->block;
  const int group_elems = nib_block_group_elems(info);
  const float zero = nib_block_zero(b, block);
  const bool adds = b->offset != NIB_NO_FORMAT;
  for (int g = 0; g * group_elems < info->block_elems; ++g) {
    const float scale = nib_block_scale(b, block, g), offset = nib_block_offset(b, block, g);
    for (int i = g * group_elems; i < (g + 1) * group_elems; ++i) {
      const double element = nib_format_decode((nib_format)b->element, nib_block_code(b, block, i));
      const float q = ldexpf((float)(element - (double)zero), b->element_exponent);
      out[i] = adds ? scale * q + offset : scale * q;
    }
  }
}

void nib_format_decode_row(nib_format format, const void *bytes, int64_t elems, float *out) {
  const nib_format_info *info = nib_format_get(format);
  if (info->kind != NIB_KIND_BLOCK) {
    for (int64_t i = 0; i < elems; ++i)
      out[i] = (float)nib_format_load_real(format, bytes, i);
    return;
  }
  const uint8_t *block = bytes;
  for (int64_t i = 0; i < elems; i += info->block_elems, block += info->block_bytes)
    decode_block(info, block, out + i);
}

double nib_block_load_real(const nib_format_info *info, const void *bytes, int64_t i) {
  const uint8_t *block =
      (const uint8_t *)bytes + (size_t)(i / info->block_elems) * (size_t)info->block_bytes;
  return (double)nib_block_element(&info->block, block, (int)(i % info->block_elems));
}
