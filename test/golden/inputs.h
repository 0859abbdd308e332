/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * The one generator of test inputs. inputs.py is its twin: both make the same bytes from the same
 * words, so a golden file stores a case's words and the hashes of its bytes.
 *
 * A case is a word and its arguments, joined by ':':
 *   random:SEED near:SEED blocks:SEED min max zero ramp alternate
 *   cifar:N                       image N of the CIFAR sample
 *   gray:FILE:DX:DY:FLIP          8-bit bitmap, bytes as they are, rolled, mirrored if FLIP is 1
 *   photo:FILE:X:Y:SIZE:FLIP      a square of a 24-bit bitmap, nearest neighbour
 *   spectrum:FILE:FRAME           f32 frames of 128, quantized to the input's codes
 * FILE is relative to data/ of the shared folder. */
#ifndef NIB_TEST_GOLDEN_INPUTS_H
#define NIB_TEST_GOLDEN_INPUTS_H

#include "graph/graph.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NIB_FNV_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t nib_fnv1a(uint64_t hash, const void *bytes, size_t size) {
  for (size_t i = 0; i < size; ++i)
    hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
  return hash;
}

/* Element i of the stream of `seed` (splitmix64 at position i). */
static inline uint64_t nib_random_at(uint64_t seed, uint64_t i) {
  uint64_t z = seed * UINT64_C(0xD1342543DE82EF95) + (i + 1) * UINT64_C(0x9E3779B97F4A7C15);
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

typedef struct nib_golden_case {
  char word[24];
  char file[160];
  int64_t arg[6];
  int n_args;
} nib_golden_case;

static inline bool nib_golden_parse(const char *text, nib_golden_case *out) {
  char copy[256];
  memset(out, 0, sizeof *out);
  if (strlen(text) >= sizeof copy)
    return false;
  strcpy(copy, text);
  char *save = NULL, *part = strtok_r(copy, ":", &save);
  if (!part || strlen(part) >= sizeof out->word)
    return false;
  strcpy(out->word, part);
  while ((part = strtok_r(NULL, ":", &save))) {
    char *end;
    const int64_t value = strtoll(part, &end, 10);
    if (*end == 0 && out->n_args < 6)
      out->arg[out->n_args++] = value;
    else if (*end && !out->file[0] && strlen(part) < sizeof out->file)
      strcpy(out->file, part);
    else
      return false;
  }
  return true;
}

static inline void nib_golden_put(const nib_tensor *t, void *out, int64_t i, int64_t code) {
  const nib_format_info *f = nib_format_get(t->format);
  code = code < f->min ? f->min : code > f->max ? f->max : code;
  if (t->format == NIB_I8 || t->format == NIB_U8)
    ((uint8_t *)out)[i] = (uint8_t)code;
  else if (t->format == NIB_I16)
    ((int16_t *)out)[i] = (int16_t)code;
  else
    ((int32_t *)out)[i] = (int32_t)code;
}

/* Codes that need nothing but the format. f32 tensors get them divided by 128. */
static inline bool nib_golden_synthetic(const nib_golden_case *c, int input, const nib_tensor *t,
                                        void *out) {
  const bool real = t->format == NIB_F32;
  const nib_format_info *f = nib_format_get(real ? NIB_I8 : t->format);
  const uint64_t range = (uint64_t)(f->max - f->min) + 1;
  const uint64_t seed = (uint64_t)c->arg[0] * 16 + (uint64_t)input;
  for (int64_t i = 0; i < nib_tensor_elems(t); ++i) {
    int64_t code;
    if (!strcmp(c->word, "random"))
      code = f->min + (int64_t)((nib_random_at(seed, (uint64_t)i) >> 32) % range);
    else if (!strcmp(c->word, "near"))
      code = t->zero_point + (int64_t)((nib_random_at(seed, (uint64_t)i) >> 32) % 33) - 16;
    else if (!strcmp(c->word, "blocks"))
      code = f->min + (int64_t)((nib_random_at(seed, (uint64_t)i / 16) >> 32) % range);
    else if (!strcmp(c->word, "min"))
      code = f->min;
    else if (!strcmp(c->word, "max"))
      code = f->max;
    else if (!strcmp(c->word, "zero"))
      code = t->zero_point;
    else if (!strcmp(c->word, "ramp"))
      code = f->min + (int64_t)((uint64_t)i % range);
    else if (!strcmp(c->word, "alternate"))
      code = i % 2 ? f->max : f->min;
    else
      return false;
    if (real)
      ((float *)out)[i] = (float)code / 128.0f;
    else
      nib_golden_put(t, out, i, code);
  }
  return true;
}

/* Bytes of a file under the shared folder; NULL if it cannot be read. */
static inline unsigned char *nib_golden_read(const char *shared, const char *name,
                                             size_t *out_size) {
  char path[1024];
  snprintf(path, sizeof path, "%s/data/%s", shared, name);
  FILE *file = fopen(path, "rb");
  if (!file)
    return NULL;
  fseek(file, 0, SEEK_END);
  const long size = ftell(file);
  rewind(file);
  unsigned char *bytes = malloc((size_t)size + 1);
  *out_size = bytes ? fread(bytes, 1, (size_t)size, file) : 0;
  fclose(file);
  return bytes;
}

static inline uint32_t nib_golden_u32(const unsigned char *b) {
  return b[0] | (uint32_t)b[1] << 8 | (uint32_t)b[2] << 16 | (uint32_t)b[3] << 24;
}

/* An 8-bit pixel as the input's element: u8 as it is, i8 minus 128, f32 as it is. */
static inline void nib_golden_pixel(const nib_tensor *t, void *out, int64_t i, int pixel) {
  if (t->format == NIB_F32)
    ((float *)out)[i] = (float)pixel;
  else
    nib_golden_put(t, out, i, t->format == NIB_I8 ? pixel - 128 : pixel);
}

static inline bool nib_golden_cifar(const nib_golden_case *c, const nib_tensor *t,
                                    const unsigned char *b, size_t size, void *out) {
  const size_t offset = 128 + (size_t)c->arg[0] * 3072;
  if (nib_tensor_elems(t) != 3072 || offset + 3072 > size)
    return false;
  for (int64_t i = 0; i < 3072; ++i)
    nib_golden_pixel(t, out, i, b[offset + (size_t)i]);
  return true;
}

static inline bool nib_golden_gray(const nib_golden_case *c, const nib_tensor *t,
                                   const unsigned char *b, size_t size, void *out) {
  const int64_t w = size > 54 ? nib_golden_u32(b + 18) : 0;
  const int64_t h = size > 54 ? nib_golden_u32(b + 22) : 0;
  const size_t start = size > 54 ? nib_golden_u32(b + 10) : 0;
  if (w * h != nib_tensor_elems(t) || start + (size_t)(w * h) > size || w % 4)
    return false;
  for (int64_t y = 0; y < h; ++y)
    for (int64_t x = 0; x < w; ++x) {
      const int64_t sx0 = (x + c->arg[0]) % w, sy = (y + c->arg[1]) % h;
      const int64_t sx = c->arg[2] ? w - 1 - sx0 : sx0;
      /* rows are stored bottom up */
      ((uint8_t *)out)[y * w + x] = b[start + (size_t)((h - 1 - sy) * w + sx)];
    }
  return true;
}

static inline bool nib_golden_photo(const nib_golden_case *c, const nib_tensor *t,
                                    const unsigned char *b, size_t size, void *out) {
  const int64_t w = size > 54 ? nib_golden_u32(b + 18) : 0;
  const int64_t h = size > 54 ? nib_golden_u32(b + 22) : 0;
  const size_t start = size > 54 ? nib_golden_u32(b + 10) : 0;
  const int64_t row = (w * 3 + 3) / 4 * 4, x0 = c->arg[0], y0 = c->arg[1], side = c->arg[2];
  if (t->rank != 4 || t->dims[3] != 3 || start + (size_t)(row * h) > size || side < 1 ||
      x0 + side > w || y0 + side > h)
    return false;
  for (int64_t y = 0; y < t->dims[1]; ++y)
    for (int64_t x = 0; x < t->dims[2]; ++x) {
      const int64_t sy = y0 + y * side / t->dims[1], at = x * side / t->dims[2];
      const int64_t sx = x0 + (c->arg[3] ? side - 1 - at : at);
      const unsigned char *bgr = b + start + (size_t)((h - 1 - sy) * row + sx * 3);
      for (int k = 0; k < 3; ++k)
        nib_golden_pixel(t, out, (y * t->dims[2] + x) * 3 + k, bgr[2 - k]);
    }
  return true;
}

static inline bool nib_golden_spectrum(const nib_golden_case *c, const nib_tensor *t,
                                       const unsigned char *b, size_t size, void *out) {
  const int64_t elems = nib_tensor_elems(t);
  const size_t start = (size_t)c->arg[0] * 128;
  if ((start + (size_t)elems) * 4 > size)
    return false;
  for (int64_t i = 0; i < elems; ++i) {
    float x;
    memcpy(&x, b + (start + (size_t)i) * 4, 4);
    if (t->format == NIB_F32)
      ((float *)out)[i] = x;
    else
      nib_golden_put(t, out, i, (int64_t)rintf(x / (float)t->scale) + t->zero_point);
  }
  return true;
}

/* Fills `out` (nib_tensor_bytes) with input number `input` of a case; false if the words mean
 * nothing or the file is absent. */
static inline bool nib_golden_fill(const char *text, const char *shared, int input,
                                   const nib_tensor *t, void *out) {
  static const struct {
    const char *word, *file;
    bool (*fill)(const nib_golden_case *, const nib_tensor *, const unsigned char *, size_t,
                 void *);
  } from_files[] = {
      {"cifar", "cifar10/ic01_images_u8_200x32x32x3.npy", nib_golden_cifar},
      {"gray", NULL, nib_golden_gray},
      {"photo", NULL, nib_golden_photo},
      {"spectrum", NULL, nib_golden_spectrum},
  };
  nib_golden_case c;
  if (!nib_golden_parse(text, &c))
    return false;
  for (size_t i = 0; i < sizeof from_files / sizeof *from_files; ++i) {
    if (strcmp(c.word, from_files[i].word))
      continue;
    size_t size = 0;
    const char *name = from_files[i].file ? from_files[i].file : c.file;
    unsigned char *bytes = nib_golden_read(shared, name, &size);
    const bool ok = bytes && from_files[i].fill(&c, t, bytes, size, out);
    free(bytes);
    return ok;
  }
  return nib_golden_synthetic(&c, input, t, out);
}

#endif
