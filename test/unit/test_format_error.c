/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_format_error
/* What formats lose, against published figures: relative squared error on a Gaussian at the best
 * scale, relative error of the dynamic map, power-of-two scales; and that stochastic rounding has
 * the right mean, that a percentile clips, that encoding any block of blocks is stable. */
#include "num/codebook.h"
#include "num/format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { QUANTILES = 8192, SAMPLES = 1 << 17 };

static int failures;
static float x[SAMPLES], y[SAMPLES];

static void expect(const char *what, double have, double want, double tolerance) {
  const bool ok = fabs(have - want) <= tolerance * want;
  printf("%s: %.6f, published %.6f%s\n", what, have, want, ok ? "" : ": FAILED");
  failures += !ok;
}

/* The point below which a unit Gaussian is with probability p. */
static double quantile(double p) {
  double low = -10, high = 10;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    if (0.5 * erfc(-middle / sqrt(2)) < p)
      low = middle;
    else
      high = middle;
  }
  return low;
}

static void fill_gaussian(int n) {
  uint32_t state = 1;
  for (int i = 0; i < n; ++i) {
    state = state * 1664525u + 1013904223u;
    x[i] = (float)quantile(((state >> 8) + 0.5) / 16777216);
  }
}

static void round_trip(const char *name, int n, const nib_encode_options *options) {
  const nib_format f = nib_format_find(name);
  uint8_t *bytes = f == NIB_FORMAT_COUNT ? NULL : malloc(nib_format_storage_bytes(f, n));
  if (!bytes) {
    printf("%s: not found\n", name);
    exit(1);
  }
  nib_format_encode_row(f, x, n, options, bytes);
  nib_format_decode_row(f, bytes, n, y);
  free(bytes);
}

static double relative_square(int n) {
  double error = 0, signal = 0;
  for (int i = 0; i < n; ++i) {
    const double d = (double)y[i] - (double)x[i];
    error += d * d;
    signal += (double)x[i] * (double)x[i];
  }
  return error / signal;
}

static double relative_error(int n) {
  double sum = 0;
  for (int i = 0; i < n; ++i)
    sum += fabs(((double)y[i] - (double)x[i]) / (double)x[i]);
  return sum / n;
}

/* One scale for 8192 numbers of equal probability. (The more there are, the larger the largest of
 * them, which is what 8-bit integers pay for.) */
static void test_gaussian(void) {
  static const struct {
    const char *format;
    double error;
  } rows[] = {
      {"e2m1:specials=none,block=8192,scale=f32", .01279},
      {"i4:block=8192,scale=f32,limit=7", .01278},
      {"f6E3M2FN:block=8192,scale=f32", .00272},
      {"f6E2M3FN:block=8192,scale=f32", .00081},
      {"i6:block=8192,scale=f32,limit=31", .00105},
      {"f8E4M3FN:block=8192,scale=f32", .00069},
      {"i8:block=8192,scale=f32,limit=127", .000075},
  };
  const nib_encode_options options = {.scale = NIB_SCALE_MSE};
  for (int i = 0; i < QUANTILES; ++i)
    x[i] = (float)quantile((i + 0.5) / QUANTILES);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i) {
    round_trip(rows[i].format, QUANTILES, &options);
    expect(rows[i].format, relative_square(QUANTILES), rows[i].error, 0.02);
  }
}

static void test_dynamic_map(void) {
  fill_gaussian(SAMPLES);
  round_trip("dynamic8_b2048", SAMPLES, NULL);
  expect("dynamic8_b2048, mean relative error", relative_error(SAMPLES), .017, 0.03);
  round_trip("i8:block=2048,scale=f32,limit=127", SAMPLES, NULL);
  expect("i8 in blocks of 2048, mean relative error", relative_error(SAMPLES), .036, 0.03);
}

/* Scales that are powers of two lose more; common factors times powers of two, less so. */
static void test_power_of_two_scales(void) {
  round_trip("f4E2M1FN:block=32,scale=f32", SAMPLES, NULL);
  const double any = relative_square(SAMPLES);
  round_trip("f4E2M1FN:block=32,scale=e8m0,rule=ceil", SAMPLES, NULL);
  const double powers = relative_square(SAMPLES) / any;
  round_trip("f4E2M1FN:block=128,scale=f32,group=32,group_scale=halves4,rule=ceil", SAMPLES, NULL);
  const double common = relative_square(SAMPLES) / any;
  printf("power-of-two scales: times %.3f, with a common factor: times %.3f\n", powers, common);
  if (!(powers > 1.25 && powers < 1.5 && common > 1.05 && common < powers) && ++failures)
    printf("power-of-two scales: FAILED\n");
}

/* .3 of a step becomes 1 in three of ten cases, by the same numbers each time. */
static void test_stochastic(void) {
  const nib_encode_options options = {.mode = NIB_ENCODE_STOCHASTIC, .seed = 42};
  const char *const names[] = {"i8", "f4E2M1FN", "ui4", "nf4"};
  for (int k = 0; k < 4; ++k) {
    const nib_format f = nib_format_find(names[k]);
    const double low = nib_format_decode(f, 1), high = nib_format_decode(f, 2);
    double sum = 0, again = 0;
    for (int i = 0; i < SAMPLES; ++i)
      x[i] = (float)(low + 0.3 * (high - low));
    for (int run = 0; run < 2; ++run) {
      round_trip(names[k], SAMPLES, &options);
      for (int i = 0; i < SAMPLES; ++i)
        *(run ? &again : &sum) += (double)y[i];
    }
    const double mean = (sum / SAMPLES - low) / (high - low);
    if ((fabs(mean - 0.3) > 0.01 || sum != again) && ++failures)
      printf("%s: stochastic rounding has a mean of %.4f of a step, not .3\n", names[k], mean);
  }
}

static void test_percentile(void) {
  const char *const name = "i8:block=1000,scale=f32,limit=127";
  for (int i = 0; i < 1000; ++i)
    x[i] = i == 500 ? 1000.0f : (float)(i % 101) * 0.01f;
  round_trip(name, 1000, &(nib_encode_options){.scale = NIB_SCALE_PERCENTILE, .percentile = 99.5});
  if ((fabsf(y[500] - 1.0f) > 1e-6f || fabsf(y[100] - 1.0f) > 1e-6f) && ++failures)
    printf("a percentile of 99.5 gives %g for 1000 and %g for 1\n", (double)y[500], (double)y[100]);
  round_trip(name, 1000, &(nib_encode_options){.scale = NIB_SCALE_ABSMAX});
  if ((y[500] != 1000.0f || y[100] != 0) && ++failures)
    printf("the largest magnitude gives %g for 1000 and %g for 1\n", (double)y[500],
           (double)y[100]);
}

/* Every block format: what was decoded encodes to itself or nearly so; NaN, infinities and extreme
 * floats give finite numbers or the element's own infinities and NaN; no byte beyond is touched. */
static void test_block(nib_format f) {
  const nib_format_info *info = nib_format_get(f);
  const int n = info->block_elems * 2;
  const size_t size = nib_format_storage_bytes(f, n);
  uint8_t *bytes = malloc(size + 1);
  if (!bytes)
    exit(1);
  fill_gaussian(n);
  for (int scale = 0; scale <= NIB_SCALE_PERCENTILE; ++scale)
    for (int mode = 0; mode <= NIB_ENCODE_AS_SOURCE; ++mode) {
      const nib_encode_options o = {.mode = (nib_encode_mode)mode,
                                    .scale = (nib_scale_choice)scale};
      bytes[size] = 0xA5;
      nib_format_encode_row(f, x, n, &o, bytes);
      nib_format_decode_row(f, bytes, n, y);
      const double error = relative_square(n);
      const bool nearest = mode <= NIB_ENCODE_NEAREST_AWAY || mode == NIB_ENCODE_AS_SOURCE;
      if (!(error < (nearest ? 0.8 : 4)) && ++failures)
        printf("%s: mode %d, scale %d: relative squared error %g\n", info->name, mode, scale,
               error);
      if (bytes[size] != 0xA5 && ++failures)
        printf("%s: writes behind its blocks\n", info->name);
    }
  const float extremes[] = {NAN, INFINITY, -INFINITY, 3e38f, -3e38f, 1e-45f, -0.0f, 1};
  for (int i = 0; i < n; ++i)
    x[i] = extremes[i % 8];
  nib_format_encode_row(f, x, n, NULL, bytes);
  nib_format_decode_row(f, bytes, n, y);
  free(bytes);
}

/* A learned table of 16 values loses what the best quantizer of a Gaussian does (Max, 1960: .009501
 * at 16 levels, .03454 at 8); channels have tables of their own. */
static void test_learned(void) {
  static const struct {
    int n;
    double error;
  } rows[] = {{8, .03454}, {16, .009501}};
  static uint8_t codes[QUANTILES];
  float table[32];
  for (int i = 0; i < QUANTILES; ++i)
    x[i] = (float)quantile((i + 0.5) / QUANTILES);
  for (int k = 0; k < 2; ++k) {
    if (!nib_codebook_learn(x, QUANTILES, rows[k].n, 1000, table))
      exit(1);
    nib_codebook_encode_channels(table, rows[k].n, 1, x, QUANTILES, codes);
    nib_codebook_decode_channels(table, rows[k].n, 1, codes, QUANTILES, y);
    expect("a learned table", relative_square(QUANTILES), rows[k].error, 0.02);
  }
  for (int i = 0; i < 16; ++i) {
    x[i] = (float)(i % 16);
    x[16 + i] = (float)(-100 * (i % 16));
  }
  if (!nib_codebook_learn(x, 16, 16, 10, table) ||
      !nib_codebook_learn(x + 16, 16, 16, 10, table + 16))
    exit(1);
  nib_codebook_encode_channels(table, 16, 2, x, 16, codes);
  nib_codebook_decode_channels(table, 16, 2, codes, 16, y);
  for (int i = 0; i < 32; ++i)
    if (y[i] != x[i] && ++failures)
      printf("learned tables of channels: element %d is %g, not %g\n", i, (double)y[i],
             (double)x[i]);
}

int main(void) {
  test_learned();
  test_gaussian();
  test_dynamic_map();
  test_power_of_two_scales();
  test_stochastic();
  test_percentile();
  for (int f = 0; f < NIB_FORMAT_ROWS; ++f)
    if (nib_format_get((nib_format)f)->kind == NIB_KIND_BLOCK)
      test_block((nib_format)f);
  const char *const spelled[] = {
      "e2m2:block=16,scale=e8m0",
      "bfp5:block=16",
      "ui4:block=32,scale=f16,zero=ui4",
      "ui3:block=24,scale=f32,zero=f16",
      "i5:block=64,scale=f16,offset=f16",
      "ui4:block=256,scale=f16,offset=f16,group=32,group_scale=ui6,group_offset=6",
      "power4:0.7:block=64,scale=f16",
      "book:-1,-0.3,0.3,1:block=16,scale=bf16",
      "i11:block=7,scale=ue5m3",
      "bipolar3:block=32,scale=f32",
      "ui8:block=8192,scale=f32,zero=i32",
      "i4:block=64,scale=dyadic8"};
  for (size_t i = 0; i < sizeof spelled / sizeof *spelled; ++i)
    if (nib_format_find(spelled[i]) == NIB_FORMAT_COUNT && ++failures)
      printf("%s: not found\n", spelled[i]);
    else
      test_block(nib_format_find(spelled[i]));
  const char *const wrong[] = {"e2m1:block=",
                               "e2m1:block=0,scale=f16",
                               "e2m1:block=8",
                               "q4_0:block=8,scale=f16",
                               "i4:block=8,scale=f64",
                               "i4:block=8,scale=i8",
                               "i4:block=9000,scale=f16",
                               "i4:block=32,scale=f16,group=5,group_scale=ui4",
                               "i4:block=32,scale=f16,group=8",
                               "i4:block=32,scale=f16,offset=f16,group=8,group_scale=ui4",
                               "ui4:block=32,scale=f16,zero=ui4,group=8,group_scale=ui4",
                               "i4:block=32,scale=f16,limit=0",
                               "e2m1:block=8,scale=f16,zero=3",
                               "i4:block=8,scale=f16,",
                               "bfp1:block=8",
                               "block=8,scale=f16",
                               "i4:block=8,scale=f16,zero=q4_0",
                               "book:1,2,3",
                               "book:1,nan",
                               "power4:0",
                               "power9:1",
                               "halves9",
                               "ue4m3:specials=fnuz"};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; ++i)
    if (nib_format_find(wrong[i]) != NIB_FORMAT_COUNT && ++failures)
      printf("%s: found\n", wrong[i]);
  printf("%d failures\n", failures);
  return failures != 0;
}
