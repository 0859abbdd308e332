// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Runs the kernels of Inputs/primitives_*.cu through libcuda.so.1, emulated or real, and compares
// what they write with definitions written from the PTX ISA.
//
// Usage: check_primitives MODULE..., each a PTX or cubin file (the emulated driver takes
// "emulated:PATH" itself). Cases whose kernel no module has are left out; a kernel that the driver
// ends with an error counts as one failed case.
#include "check_primitives.h"

#include <dlfcn.h>
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct launch_config {
  unsigned grid[3], block[3], shared_bytes;
  void *stream;
  const void *attributes;
  unsigned n_attributes;
} launch_config;

#define FUNCTIONS(X)                                                                               \
  X(cuInit, (unsigned))                                                                            \
  X(cuDeviceGet, (int *, int))                                                                     \
  X(cuDeviceGetName, (char *, int, int))                                                           \
  X(cuDevicePrimaryCtxRetain, (void **, int))                                                      \
  X(cuCtxPushCurrent_v2, (void *))                                                                 \
  X(cuModuleLoadDataEx, (void **, const void *, unsigned, const int *, void **))                   \
  X(cuModuleGetFunction, (void **, void *, const char *))                                          \
  X(cuFuncSetAttribute, (void *, int, int))                                                        \
  X(cuMemAlloc_v2, (address *, size_t))                                                            \
  X(cuMemFree_v2, (address))                                                                       \
  X(cuMemcpyHtoD_v2, (address, const void *, size_t))                                              \
  X(cuMemcpyDtoH_v2, (void *, address, size_t))                                                    \
  X(cuCtxSynchronize, (void))                                                                      \
  X(cuGetErrorString, (int, const char **))                                                        \
  X(cuTensorMapEncodeTiled, (void *, int, uint32_t, void *, const uint64_t *, const uint64_t *,    \
                             const uint32_t *, const uint32_t *, int, int, int, int))              \
  X(cuLaunchKernelEx, (const launch_config *, void *, void **, void **))
#define X(name, parameters) static int(*name) parameters;
FUNCTIONS(X)
#undef X

static void *modules[8];
static int n_modules;

/* Shared with the process that runs the kernels: after an error of one of them a context is of no
 * more use, so that another process goes on behind it. */
static struct progress {
  int cases, failures;
  int next;      /* the kernel after the one that is being checked; 0 before the first */
  bool checking; /* whether there is one */
  char device[128];
} * progress;

static void call(int code, const char *what) {
  if (code == 0)
    return;
  const char *text = NULL;
  if (cuGetErrorString)
    cuGetErrorString(code, &text);
  printf("%s: %s\n", what, text ? text : "failed");
  exit(1);
}
#define CALL(f, ...) call(f(__VA_ARGS__), #f)

static uint32_t state = 12345;
uint32_t random32(void) {
  state = state * 1664525 + 1013904223;
  return state ^ state >> 16;
}

/* ---- buffers and launches ---- */

buffer make(size_t bytes, bool random) {
  buffer b = {0, calloc(1, bytes), bytes};
  if (!b.host)
    exit(1);
  for (size_t i = 0; i + 4 <= bytes && random; i += 4)
    memcpy((uint8_t *)b.host + i, &(uint32_t){random32()}, 4);
  CALL(cuMemAlloc_v2, &b.device, bytes);
  return b;
}
void up(const buffer *b) { CALL(cuMemcpyHtoD_v2, b->device, b->host, b->bytes); }
void down(const buffer *b) { CALL(cuMemcpyDtoH_v2, b->host, b->device, b->bytes); }
void drop(buffer *b) {
  CALL(cuMemFree_v2, b->device);
  free(b->host);
}
uint32_t *words(const buffer *b) { return b->host; }

static void *find(const char *name) {
  void *f = NULL;
  for (int i = 0; i < n_modules && !f; ++i)
    if (cuModuleGetFunction(&f, modules[i], name) != 0)
      f = NULL;
  return f;
}

static void launch_in_clusters(void *f, const char *name, const unsigned grid[3], unsigned threads,
                               unsigned shared, void **args, unsigned cluster) {
  const uint64_t attribute[9] = {4 /* cluster dimensions */, cluster | UINT64_C(1) << 32, 1};
  const launch_config c = {
      {grid[0], grid[1], grid[2]}, {threads, 1, 1}, shared, NULL, attribute, cluster > 1};
  CALL(cuFuncSetAttribute, f, 8, (int)shared);
  call(cuLaunchKernelEx(&c, f, args, NULL), name);
  call(cuCtxSynchronize(), name);
}
void launch(void *f, const char *name, const unsigned grid[3], unsigned threads, unsigned shared,
            void **args) {
  launch_in_clusters(f, name, grid, threads, shared, args, 1);
}
static const unsigned one[3] = {1, 1, 1};

void compare(const char *name, const void *got, const void *want, size_t n_words) {
  const uint32_t *g = got, *w = want;
  progress->cases++;
  for (size_t i = 0; i < n_words; ++i)
    if (g[i] != w[i]) {
      printf("%s: word %zu is %08x and should be %08x\n", name, i, g[i], w[i]);
      progress->failures++;
      return;
    }
}

/* ---- sm_80 ---- */

static void check_place(void *f) {
  const unsigned grid[3] = {2, 3, 1};
  buffer out = make(6 * 96 * 32, false);
  launch(f, "place", grid, 96, 0, (void *[]){&out.device});
  down(&out);
  int32_t *want = malloc(out.bytes);
  for (int block = 0, i = 0; block < 6; ++block)
    for (int t = 0; t < 96; ++t) {
      const int32_t v[8] = {t, block % 2, block / 2, 2, t % 32, t / 32, t / 32, t / 32};
      memcpy(want + 8 * i++, v, sizeof v);
    }
  compare("place", out.host, want, out.bytes / 4);
  free(want);
  drop(&out);
}

static void check_waiting(void *f) {
  buffer out = make(128 * 4, false);
  launch(f, "waiting", one, 128, 1024, (void *[]){&out.device});
  down(&out);
  int32_t want[128];
  for (int t = 0; t < 128; ++t)
    want[t] = 3 * (127 - t) + 11 * (t ^ 31);
  compare("waiting", out.host, want, 128);
  drop(&out);
}

static void check_shuffles(void *f) {
  buffer x = make(256, true), lanes = make(256, true), out = make(3 * 256, false);
  uint32_t want[192];
  for (int t = 0; t < 64; ++t)
    words(&lanes)[t] %= 32;
  for (int t = 0; t < 64; ++t) {
    int warp = t & 32, lane = t & 31, idx = warp + (int)words(&lanes)[t];
    want[t] = words(&x)[idx];
    want[64 + t] = words(&x)[warp + (lane ^ 5)];
    want[128 + t] = words(&x)[warp + (lane ^ 16)] & 0xffff;
  }
  up(&x), up(&lanes);
  launch(f, "shuffles", one, 64, 0, (void *[]){&x.device, &lanes.device, &out.device});
  down(&out);
  compare("shuffles", out.host, want, 192);
  drop(&x), drop(&lanes), drop(&out);
}

static void check_copies(void *f) {
  buffer x = make(1024, true), out = make(2048, false);
  uint8_t shared[2048] = {0};
  for (int t = 0; t < 64; ++t) {
    const uint8_t *from = x.host;
    memcpy(shared + 16 * t, from + 16 * t, (size_t)(t % 17));
    memcpy(shared + 1024 + 16 * t, from + 16 * (63 - t), (size_t)(16 - t % 17));
  }
  uint8_t want[2048];
  for (int t = 0; t < 64; ++t) {
    memcpy(want + 16 * t, shared + 16 * (63 - t), 16);
    memcpy(want + 1024 + 16 * t, shared + 1024 + 16 * (63 - t), 16);
  }
  up(&x);
  launch(f, "copies", one, 64, 2048, (void *[]){&x.device, &out.device});
  down(&out);
  compare("copies", out.host, want, 512);
  drop(&x), drop(&out);
}

/* Element `column` of the row that thread 8 * matrix + row points to. */
static uint16_t matrix_element(const buffer *x, const buffer *rows, int matrix, int row,
                               int column) {
  uint16_t e;
  memcpy(&e, (uint8_t *)x->host + 16 * words(rows)[8 * matrix + row] + 2 * column, 2);
  return e;
}

static void check_matrices(void *f) {
  buffer x = make(2048, true), rows = make(128, true), out = make(32 * 20, false);
  uint32_t want[32 * 5];
  for (int t = 0; t < 32; ++t)
    words(&rows)[t] %= 128;
  for (int t = 0; t < 32; ++t)
    for (int i = 0; i < 4; ++i)
      want[4 * t + i] = matrix_element(&x, &rows, i, t / 4, t % 4 * 2) |
                        (uint32_t)matrix_element(&x, &rows, i, t / 4, t % 4 * 2 + 1) << 16;
  for (int t = 0; t < 32; ++t) { /* the transpose of the first 8 x 8 halves */
    const uint32_t *column = words(&x) + t / 8, *low = column + t % 4 * 8, down = t / 4 % 2 * 16;
    want[128 + t] = (low[0] >> down & 0xffff) | (low[4] >> down & 0xffff) << 16;
  }
  up(&x), up(&rows);
  launch(f, "matrices", one, 32, 2048, (void *[]){&x.device, &rows.device, &out.device});
  down(&out);
  compare("matrices", out.host, want, 32 * 5);
  drop(&x), drop(&rows), drop(&out);
}

static void check_quads(void *f) {
  buffer x = make(1024, true), out = make(2048, false);
  uint32_t want[512];
  for (int t = 0; t < 64; ++t)
    for (int j = 0; j < 4; ++j) {
      const uint32_t *w = words(&x) + 4 * t;
      want[4 * t + j] = words(&x)[4 * (t / 4 * 4 + j) + t % 4];
      want[256 + 4 * t + j] = j < 2 ? (w[2 * j] & 0xffff) | w[2 * j + 1] << 16
                                    : w[2 * j - 4] >> 16 | (w[2 * j - 3] & 0xffff0000);
    }
  up(&x);
  launch(f, "quads", one, 64, 0, (void *[]){&x.device, &out.device});
  down(&out);
  compare("quads", out.host, want, 512);
  drop(&x), drop(&out);
}

/* ---- products: small numbers, so that every order of sums gives the same ---- */

typedef struct number_type {
  const char *name;
  int bytes;
  bool integer;
  int a_low, a_high, b_low, b_high;
} number_type;
static const number_type number_types[] = {
    {"bf16", 2, false, -8, 8, -8, 8},     {"f16", 2, false, -8, 8, -8, 8},
    {"f8e4m3", 1, false, -8, 8, -8, 8},   {"i8", 1, true, -128, 127, -128, 127},
    {"u8i8", 1, true, 0, 255, -128, 127},
};

/* Small integers as codes: of bf16, f16 and the eights, by their fields. */
static uint32_t code_of(const number_type *t, int x) {
  if (t->integer)
    return (uint32_t)x & 255;
  static const struct {
    const char *name;
    int bias, fraction, sign;
  } fields[] = {{"bf16", 127, 7, 15}, {"f16", 15, 10, 15}, {"f8e4m3", 7, 3, 7}};
  for (int i = 0; i < 3; ++i)
    if (strcmp(fields[i].name, t->name) == 0) {
      uint32_t sign = x < 0 ? 1u << fields[i].sign : 0, magnitude = (uint32_t)abs(x), exponent = 0;
      if (!x)
        return 0;
      while (magnitude >> (exponent + 1))
        exponent++;
      uint32_t fraction =
          (magnitude << fields[i].fraction >> exponent) - (1u << fields[i].fraction);
      return sign | (exponent + (uint32_t)fields[i].bias) << fields[i].fraction | fraction;
    }
  return 0;
}

static int pick(int low, int high) { return low + (int)(random32() % (uint32_t)(high - low + 1)); }
static void put_code(const number_type *t, void *at, size_t index, int x) {
  uint32_t code = code_of(t, x);
  memcpy((uint8_t *)at + index * (size_t)t->bytes, &code, (size_t)t->bytes); /* little-endian */
}
static uint32_t result_bits(const number_type *t, int64_t x) {
  float real = (float)x;
  uint32_t bits = (uint32_t)x;
  if (!t->integer)
    memcpy(&bits, &real, 4);
  return bits;
}

static const number_type *type_named(const char *name) {
  for (size_t i = 0; i < sizeof number_types / sizeof *number_types; ++i)
    if (strcmp(number_types[i].name, name) == 0)
      return &number_types[i];
  exit(1);
}

/* Where element i of the thread's part of A lies in a 16 x K matrix: "Matrix Fragments for
 * mma.m16n8k16" and k32, whose elements are i of 8 and of 16. */
static void a_element(int bytes, int lane, int i, int *row, int *column) {
  int group = lane >> 2, in_group = lane % 4;
  if (bytes == 2) {
    *row = (0 <= i && i < 2) || (4 <= i && i < 6) ? group : group + 8;
    *column = i < 4 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
  } else {
    *row = (0 <= i && i < 4) || (8 <= i && i < 12) ? group : group + 8;
    *column = i < 8 ? in_group * 4 + (i & 3) : in_group * 4 + (i & 3) + 16;
  }
}
static void b_element(int bytes, int lane, int i, int *row, int *column) {
  int group = lane >> 2, in_group = lane % 4;
  if (bytes == 2)
    *row = i < 2 ? in_group * 2 + (i & 1) : in_group * 2 + (i & 1) + 8;
  else
    *row = i < 4 ? in_group * 4 + (i & 3) : in_group * 4 + (i & 3) + 16;
  *column = group;
}

static void check_mma(void *f, const char *name) {
  const number_type *t = type_named(name);
  int k = 32 / t->bytes, a[16][32], b[32][8], c[16][8];
  buffer fa = make(512, false), fb = make(256, false), fd = make(512, false);
  uint32_t want[128];
  for (int i = 0; i < 16 * k; ++i)
    a[i / k][i % k] = i < k ? t->a_high : i < 2 * k ? t->a_low : pick(t->a_low, t->a_high);
  for (int i = 0; i < 8 * k; ++i)
    b[i / 8][i % 8] = i % 8 == 0 ? t->b_low : pick(t->b_low, t->b_high);
  for (int i = 0; i < 128; ++i)
    c[i / 8][i % 8] = i == 77 && t->integer ? INT32_MAX : pick(-1000, 1000);
  for (int lane = 0; lane < 32; ++lane) {
    int row, column;
    for (int i = 0; i < 16 / t->bytes; ++i) {
      a_element(t->bytes, lane, i, &row, &column);
      put_code(t, fa.host, (size_t)(lane * (16 / t->bytes) + i), a[row][column]);
    }
    for (int i = 0; i < 8 / t->bytes; ++i) {
      b_element(t->bytes, lane, i, &row, &column);
      put_code(t, fb.host, (size_t)(lane * (8 / t->bytes) + i), b[row][column]);
    }
    for (int i = 0; i < 4; ++i) {
      row = i < 2 ? lane >> 2 : (lane >> 2) + 8;
      column = lane % 4 * 2 + (i & 1);
      int64_t sum = c[row][column];
      words(&fd)[4 * lane + i] = result_bits(t, sum);
      for (int l = 0; l < k; ++l)
        sum += (int64_t)a[row][l] * b[l][column];
      want[4 * lane + i] = result_bits(t, sum);
    }
  }
  up(&fa), up(&fb), up(&fd);
  launch(f, name, one, 32, 0, (void *[]){&fa.device, &fb.device, &fd.device});
  down(&fd);
  char label[64];
  snprintf(label, sizeof label, "mma_%s", name);
  compare(label, fd.host, want, 128);
  drop(&fa), drop(&fb), drop(&fd);
}

static void check_memory(void *f) {
  buffer x = make(512, true), out = make(512, false);
  uint32_t want[128];
  for (int t = 0; t < 32; ++t) {
    const uint32_t *w = words(&x);
    for (int i = 0; i < 4; ++i)
      want[4 * t + i] = w[4 * t + i] + w[4 * (31 - t) + i];
    want[4 * t] ^= w[2 * t];
    want[4 * t + 1] ^= w[2 * t + 1];
    want[4 * t + 2] ^= w[t];
    want[4 * t + 3] += w[31 - t];
    const uint32_t *copied = w + 4 * (t ^ 3); /* of which the last word becomes 0 */
    want[4 * t] += copied[0] + 3 * copied[2];
    want[4 * t + 1] += 4 * copied[1];
  }
  up(&x);
  launch(f, "memory", one, 32, 512, (void *[]){&x.device, &out.device});
  down(&out);
  compare("memory", out.host, want, 128);
  drop(&x), drop(&out);
}

/* ---- sm_90 ---- */

enum { UINT8 = 0, UINT16 = 1 };

static void make_map(uint8_t map[128], const buffer *b, int type, int columns, int rows, int pitch,
                     int box_columns, int box_rows, int swizzle) {
  const uint64_t dims[] = {(uint64_t)columns, (uint64_t)rows}, strides[] = {(uint64_t)pitch};
  const uint32_t box[] = {(uint32_t)box_columns, (uint32_t)box_rows}, steps[] = {1, 1};
  CALL(cuTensorMapEncodeTiled, map, type, 2, (void *)(uintptr_t)b->device, dims, strides, box,
       steps, 0, swizzle, 0, 0);
}

/* Where 16 bytes of row `row` of a box lie whose rows are `width` bytes: CUtensorMapSwizzle's
 * tables, in units of 16 bytes from an address that is a multiple of 1024. */
static int swizzled_unit(int row, int unit, int width, int swizzle) {
  int linear = row * (width / 16) + unit;
  switch (swizzle) {
  case 1: /* 32 bytes: within pairs of units, exchanged in every other group of 8 */
    return linear / 8 % 2 ? linear ^ 1 : linear;
  case 2: /* 64 bytes: four units, four groups */
    return linear ^ linear / 8 % 4;
  case 3: /* 128 bytes: eight units, one row after another */
    return linear ^ linear / 8 % 8;
  default:
    return linear;
  }
}

static void check_box(void *f) {
  enum { rows = 40, columns = 320, pitch = 336 };
  static const int widths[] = {48, 32, 64, 128};
  static const int at[][2] = {{0, 0}, {64, 3}, {-16, -2}, {256, 35}, {304, 39}, {512, 0}, {-32, 5}};
  buffer x = make(rows * pitch, true), place = make(16, false), out = make(4096, false);
  up(&x);
  for (int swizzle = 0; swizzle < 4; ++swizzle)
    for (size_t i = 0; i < sizeof at / sizeof *at; ++i) {
      enum { box_rows = 16 };
      int width = widths[swizzle];
      _Alignas(64) uint8_t map[128];
      uint8_t want[4096] = {0};
      make_map(map, &x, UINT8, columns, rows, pitch, width, box_rows, swizzle);
      for (int row = 0; row < box_rows; ++row)
        for (int column = 0; column < width; ++column) {
          int r = at[i][1] + row, c = at[i][0] + column;
          if (r >= 0 && r < rows && c >= 0 && c < columns)
            want[16 * swizzled_unit(row, column / 16, width, swizzle) + column % 16] =
                ((uint8_t *)x.host)[r * pitch + c];
        }
      const int32_t arguments[] = {at[i][0], at[i][1], width * box_rows, 0};
      memcpy(place.host, arguments, sizeof arguments);
      up(&place);
      launch(f, "box", one, 32, 8192 + 64, (void *[]){map, &place.device, &out.device});
      down(&out);
      char label[64];
      snprintf(label, sizeof label, "box of swizzle %d at %d, %d", swizzle, at[i][0], at[i][1]);
      compare(label, out.host, want, (size_t)(width * box_rows) / 4);
    }
  drop(&x), drop(&place), drop(&out);
}

static void check_ring(void *f) {
  buffer x = make(9 * 384, true), out = make(384, false);
  _Alignas(64) uint8_t map[128];
  uint32_t want[96] = {0};
  for (int i = 0; i < 9; ++i)
    for (int t = 0; t < 96; ++t)
      want[t] = 3 * want[t] + words(&x)[96 * i + t];
  make_map(map, &x, UINT8, 128, 27, 128, 128, 3, 0);
  up(&x);
  launch(f, "ring", one, 128, 8192 + 64, (void *[]){map, &out.device});
  down(&out);
  compare("ring", out.host, want, 96);
  drop(&x), drop(&out);
}

static void check_both(void *f) {
  buffer x = make(48 * 128, true), out = make(2 * 256, false);
  _Alignas(64) uint8_t map[128];
  uint32_t want[128] = {0};
  for (int block = 0; block < 2; ++block)
    for (int t = 0; t < 64; ++t)
      for (int i = 0; i < 3; ++i)
        for (int j = t; j < 512; j += 64)
          want[64 * block + t] = 5 * want[64 * block + t] + words(&x)[512 * i + j];
  make_map(map, &x, UINT8, 128, 48, 128, 128, 8, 0);
  up(&x);
  launch_in_clusters(f, "both", (const unsigned[3]){2, 1, 1}, 64, 2048 + 64,
                     (void *[]){map, &out.device}, 2);
  down(&out);
  compare("both", out.host, want, 128);
  drop(&x), drop(&out);
}

/* acc of 64 x n = A B: A of 64 rows and B of n columns, both stored along K, 256 bytes a row. */
static void check_wgmma(void *f, const char *type, int n) {
  const number_type *t = type_named(type);
  int k = 256 / t->bytes, step = 32 / t->bytes;
  int32_t half = 128 / t->bytes;
  buffer a = make(64 * 256, false), b = make((size_t)n * 256, false),
         fragments = make(8 * 128 * 16, false), out = make((size_t)n * 64 * 8, false);
  int *va = malloc(sizeof *va * 64 * 256), *vb = malloc(sizeof *vb * 256 * 256);
  for (int i = 0; i < 64 * k; ++i)
    put_code(t, a.host, (size_t)i, va[i] = pick(t->a_low, t->a_high));
  for (int i = 0; i < n * k; ++i)
    put_code(t, b.host, (size_t)i, vb[i] = pick(t->b_low, t->b_high));
  uint32_t *want = malloc(out.bytes);
  for (int thread = 0; thread < 128; ++thread) {
    for (int s = 0; s < 8; ++s)
      for (int i = 0; i < 16 / t->bytes; ++i) {
        int row, column;
        a_element(t->bytes, thread % 32, i, &row, &column);
        put_code(t, fragments.host, (size_t)((s * 128 + thread) * (16 / t->bytes) + i),
                 va[(16 * (thread / 32) + row) * k + s * step + column]);
      }
    /* "WGMMA .m64nNk16 register fragment layout for accumulator matrix D" */
    for (int i = 0; i < n / 2; ++i) {
      int row = 16 * (thread / 32) + thread % 32 / 4 + 8 * (i / 2 % 2),
          column = i / 4 * 8 + thread % 4 * 2 + i % 2;
      int64_t sum = 0;
      for (int l = 0; l < k; ++l)
        sum += (int64_t)va[row * k + l] * vb[column * k + l];
      want[thread * (n / 2) + i] = want[(128 + thread) * (n / 2) + i] = result_bits(t, sum);
    }
  }
  _Alignas(64) uint8_t map_a[128], map_b[128];
  make_map(map_a, &a, t->bytes == 2 ? UINT16 : UINT8, k, 64, 256, half, 64, 3);
  make_map(map_b, &b, t->bytes == 2 ? UINT16 : UINT8, k, n, 256, half, n, 3);
  up(&a), up(&b), up(&fragments);
  char label[64];
  snprintf(label, sizeof label, "wgmma_%s_n%d", type, n);
  launch(f, label, one, 128, (unsigned)(2 * 8192 + 2 * n * 128 + 64),
         (void *[]){map_a, map_b, &fragments.device, &out.device, &half});
  down(&out);
  compare(label, out.host, want, out.bytes / 4);
  free(va), free(vb), free(want);
  drop(&a), drop(&b), drop(&fragments), drop(&out);
}

static char *read_file(const char *path) {
  FILE *file = fopen(path, "rb");
  char *data = NULL;
  if (file && fseek(file, 0, SEEK_END) == 0) {
    long size = ftell(file);
    rewind(file);
    data = calloc(1, (size_t)size + 1);
    if (data && fread(data, 1, (size_t)size, file) != (size_t)size)
      data[0] = 0;
  }
  if (file)
    fclose(file);
  return data;
}

/* ---- all of them ---- */

static const struct {
  const char *name;
  void (*check)(void *f);
} plain[] = {{"place", check_place},
             {"waiting", check_waiting},
             {"shuffles", check_shuffles},
             {"copies", check_copies},
             {"matrices", check_matrices},
             {"arithmetic", check_arithmetic},
             {"memory", check_memory},
             {"box", check_box},
             {"ring", check_ring},
             {"both", check_both},
             {"quads", check_quads},
             {"conversions", check_conversions},
             {"to_f8_ampere", check_to_f8_ampere},
             {"to_f8_hopper", check_to_f8_hopper}};
enum {
  n_plain = sizeof plain / sizeof *plain,
  of_type = 1 + 256 / 8, /* mma, and wgmma of each n */
  n_kernels = n_plain + of_type * (int)(sizeof number_types / sizeof *number_types),
  seconds = 120, /* for one kernel */
};

static void kernel_name(int i, char name[64]) {
  const int j = i - n_plain, n = j % of_type * 8;
  if (i < n_plain)
    snprintf(name, 64, "%s", plain[i].name);
  else
    snprintf(name, 64, n ? "wgmma_%s_n%d" : "mma_%s", number_types[j / of_type].name, n);
}

static void check_kernel(int i) {
  char name[64];
  kernel_name(i, name);
  void *f = find(name);
  if (f && i < n_plain)
    plain[i].check(f);
  else if (f && (i - n_plain) % of_type)
    check_wgmma(f, number_types[(i - n_plain) / of_type].name, (i - n_plain) % of_type * 8);
  else if (f)
    check_mma(f, number_types[(i - n_plain) / of_type].name);
}

static int check_from(int first, int n_files, char **files) {
  void *library = dlopen("libcuda.so.1", RTLD_NOW), *context = NULL;
  int device = 0;
  if (!library) {
    printf("%s\n", dlerror());
    return 1;
  }
#define X(f, parameters)                                                                           \
  if (!(*(void **)&f = dlsym(library, #f)))                                                        \
    return printf("libcuda.so.1 has no %s\n", #f), 1;
  FUNCTIONS(X)
#undef X
  CALL(cuInit, 0);
  CALL(cuDeviceGet, &device, 0);
  CALL(cuDeviceGetName, progress->device, sizeof progress->device, device);
  CALL(cuDevicePrimaryCtxRetain, &context, device);
  CALL(cuCtxPushCurrent_v2, context);
  for (int i = 0; i < n_files && n_modules < 8; ++i) {
    char *image = strncmp(files[i], "emulated:", 9) == 0 ? files[i] : read_file(files[i]);
    if (!image)
      return printf("%s: cannot be read\n", files[i]), 1;
    CALL(cuModuleLoadDataEx, &modules[n_modules++], image, 0, NULL, NULL);
    if (image != files[i])
      free(image);
  }
  for (int i = first; i < n_kernels; ++i) {
    progress->next = i + 1;
    progress->checking = true;
    alarm(seconds);
    check_kernel(i);
    progress->checking = false;
  }
  return 0;
}

int main(int argc, char **argv) {
  progress =
      mmap(NULL, sizeof *progress, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (progress == MAP_FAILED)
    return 1;
  setvbuf(stdout, NULL, _IOLBF, 0);
  do {
    progress->checking = false;
    const pid_t child = fork();
    if (child == 0)
      return check_from(progress->next, argc - 1, argv + 1);
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) < 0)
      return 1;
    if (status && !progress->checking)
      return 1; /* the device cannot be used, or no more */
    if (WIFSIGNALED(status)) {
      char name[64];
      kernel_name(progress->next - 1, name);
      printf("%s: ended by signal %d\n", name, WTERMSIG(status));
    }
    progress->cases += status != 0;
    progress->failures += status != 0;
  } while (progress->next < n_kernels);
  printf("%s: %d of %d cases are as defined\n", progress->device,
         progress->cases - progress->failures, progress->cases);
  return progress->failures || !progress->cases;
}
