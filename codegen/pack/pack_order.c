/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * Channels in the order that narrowing registers to bytes undoes. */
#include "pack/pack.h"

#include <stdlib.h>
#include <string.h>

enum { quad = 4, part_bytes = 16 };

/* The channel of lane `lane` of register `j` of as many as are packed together: parts have four
 * lanes of each register. Of two registers, the first parts come before the second ones. */
static int64_t channel_at(int64_t registers, int64_t lanes, int64_t j, int64_t lane) {
  const int64_t part = lane / quad, halves = lanes / quad / 2;
  if (registers == 4)
    return part * part_bytes + j * quad + lane % quad;
  return part % halves * part_bytes + (2 * j + part / halves) * quad + lane % quad;
}

int32_t *nib_pack_channel_order(int64_t channels, int64_t lanes, int64_t registers) {
  int32_t *order = calloc((size_t)channels, sizeof *order);
  for (int64_t c = 0; order && c < channels; c++) {
    const int64_t first = c / (registers * lanes) * (registers * lanes), at = c - first;
    order[c] = (int32_t)(first + channel_at(registers, lanes, at / lanes, at % lanes));
  }
  return order;
}

nib_status nib_pack_move_quads(const int32_t *order, int64_t channels, int64_t lanes,
                               int8_t *weights, size_t bytes) {
  const int64_t units = (int64_t)bytes / (channels * quad); /* of a register of channels */
  int8_t *was = malloc(bytes);
  if (!was)
    return NIB_ERROR_OUT_OF_MEMORY;
  memcpy(was, weights, bytes);
  for (int64_t c = 0; c < channels; c++) {
    const int64_t from = order[c];
    for (int64_t u = 0; u < units; u++)
      memcpy(weights + ((c / lanes * units + u) * lanes + c % lanes) * quad,
             was + ((from / lanes * units + u) * lanes + from % lanes) * quad, quad);
  }
  free(was);
  return NIB_OK;
}

nib_status nib_pack_move_columns(const int32_t *order, int64_t columns, int8_t *weights,
                                 size_t bytes) {
  const size_t step = (size_t)(columns * quad);
  int8_t *was = malloc(step);
  if (!was)
    return NIB_ERROR_OUT_OF_MEMORY;
  for (int8_t *at = weights; at + step <= weights + bytes; at += step) {
    memcpy(was, at, step);
    for (int64_t c = 0; c < columns; c++)
      memcpy(at + c * quad, was + order[c] * quad, quad);
  }
  free(was);
  return NIB_OK;
}

nib_status nib_pack_move_biases(const int32_t *order, int64_t channels, int32_t *bias) {
  int32_t *was = malloc((size_t)channels * sizeof *was);
  if (!was)
    return NIB_ERROR_OUT_OF_MEMORY;
  memcpy(was, bias, (size_t)channels * sizeof *was);
  for (int64_t c = 0; c < channels; c++)
    bias[c] = was[order[c]];
  free(was);
  return NIB_OK;
}
