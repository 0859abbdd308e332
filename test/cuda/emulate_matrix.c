// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// Numbers, and what warps and warpgroups compute together.
#include "emulate_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- numbers ---- */

static float real(uint32_t code, int exponent_bits, int fraction_bits) {
  int bias = (1 << (exponent_bits - 1)) - 1;
  int exponent = (int)(code >> fraction_bits) & ((1 << exponent_bits) - 1);
  int fraction = (int)(code & ((1u << fraction_bits) - 1));
  float sign = code >> (exponent_bits + fraction_bits) & 1 ? -1.0f : 1.0f;
  if (exponent == 0)
    return sign * ldexpf((float)fraction, 1 - bias - fraction_bits);
  return sign * ldexpf((float)(fraction | 1 << fraction_bits), exponent - bias - fraction_bits);
}

float nib_emulated_decode(nib_emulated_type type, uint32_t code) {
  float x;
  switch (type) {
  case NIB_EMULATED_bf16:
    code <<= 16;
    memcpy(&x, &code, 4);
    return x;
  case NIB_EMULATED_f16:
    return (code & 0x7c00) != 0x7c00 ? real(code, 5, 10)
           : code & 0x3ff            ? NAN
           : code & 0x8000           ? -INFINITY
                                     : INFINITY;
  case NIB_EMULATED_f8e4m3:
    return (code & 0x7f) == 0x7f ? NAN : real(code, 4, 3);
  default:
    return NAN;
  }
}

/* f16 or bf16 to nearest even. */
static uint32_t encode(double x, int bf16) {
  int fraction_bits = bf16 ? 7 : 10, least = bf16 ? -126 : -14, most = bf16 ? 127 : 15;
  uint32_t sign = signbit(x) ? 0x8000 : 0, infinity = bf16 ? 0x7f80 : 0x7c00;
  if (isnan(x))
    return 0x7fff;
  x = fabs(x);
  if (isinf(x))
    return sign | infinity;
  int exponent = x == 0 ? least : ilogb(x);
  if (exponent < least)
    exponent = least;
  double units = nearbyint(ldexp(x, fraction_bits - exponent)); /* nearest even is the mode */
  /* A carry into the exponent is what it should be; below 2^fraction_bits it is subnormal. */
  uint32_t code = (uint32_t)units + ((uint32_t)(exponent - least) << fraction_bits);
  return sign | (exponent > most || code > infinity ? infinity : code);
}

uint32_t nib_emulated_encode(float x, int bf16) { return encode(x, bf16); }

/* a b + c rounded once: the sum in double is rounded to odd, which a second rounding cannot tell
 * from exact. */
static uint32_t fma1(uint32_t a, uint32_t b, uint32_t c, int bf16) {
  nib_emulated_type type = bf16 ? NIB_EMULATED_bf16 : NIB_EMULATED_f16;
  double p = (double)nib_emulated_decode(type, a) * nib_emulated_decode(type, b),
         q = nib_emulated_decode(type, c);
  double sum = p + q;
  if (isfinite(sum)) {
    double q1 = sum - p, error = (p - (sum - q1)) + (q - q1);
    uint64_t bits;
    memcpy(&bits, &sum, 8);
    if (error != 0 && !(bits & 1))
      sum = nextafter(sum, error > 0 ? INFINITY : -INFINITY);
  }
  return encode(sum, bf16);
}

uint32_t nib_emulated_fma2(uint32_t a, uint32_t b, uint32_t c, int bf16) {
  return fma1(a & 0xffff, b & 0xffff, c & 0xffff, bf16) | fma1(a >> 16, b >> 16, c >> 16, bf16)
                                                              << 16;
}

/* ---- products ---- */

typedef struct type_info {
  int bytes; /* of an element */
  bool integer, a_signed, b_signed;
} type_info;
static const type_info types[] = {
    [NIB_EMULATED_bf16] = {2, false, 0, 0},       [NIB_EMULATED_f16] = {2, false, 0, 0},
    [NIB_EMULATED_f8e4m3] = {1, false, 0, 0},     [NIB_EMULATED_i8] = {1, true, true, true},
    [NIB_EMULATED_u8i8] = {1, true, false, true},
};

enum { max_m = 64, max_n = 256, max_k = 32 };

/* Operands as numbers: a by rows, b by rows of K, so that loops over n are contiguous. */
static union {
  struct {
    float a[max_m][max_k], b[max_k][max_n], d[max_m][max_n];
  } f;
  struct {
    int32_t a[max_m][max_k], b[max_k][max_n];
    uint32_t d[max_m][max_n];
  } i;
} tile;

static float f8_table[256];
static float f16_table[65536];

static void set_operand(nib_emulated_type type, bool is_b, int mn, int k, const uint8_t *at) {
  const type_info *t = &types[type];
  if (t->integer) {
    int32_t x = (is_b ? t->b_signed : t->a_signed) ? (int8_t)*at : *at;
    *(is_b ? &tile.i.b[k][mn] : &tile.i.a[mn][k]) = x;
    return;
  }
  uint16_t code = *at;
  if (t->bytes == 2)
    memcpy(&code, at, 2);
  float x = type == NIB_EMULATED_bf16  ? nib_emulated_decode(type, code)
            : type == NIB_EMULATED_f16 ? f16_table[code]
                                       : f8_table[code];
  *(is_b ? &tile.f.b[k][mn] : &tile.f.a[mn][k]) = x;
}

/* d += a b: floats one product after another along K, each rounded; integers wrap. */
static void multiply(nib_emulated_type type, int m, int n, int k) {
  for (int i = 0; i < m; ++i)
    for (int l = 0; l < k; ++l)
      if (types[type].integer) {
        int32_t a = tile.i.a[i][l];
        for (int j = 0; j < n; ++j)
          tile.i.d[i][j] += (uint32_t)(a * tile.i.b[l][j]);
      } else {
        float a = tile.f.a[i][l];
        for (int j = 0; j < n; ++j)
          tile.f.d[i][j] += a * tile.f.b[l][j];
      }
}

/* Element e of register r of a fragment of A that lane `lane` holds, of 16 rows: its row and
 * column. */
static void a_place(int lane, int r, int e, int per_register, int *row, int *column) {
  *row = lane / 4 + (r % 2 ? 8 : 0);
  *column = lane % 4 * per_register + (r / 2 ? 4 * per_register : 0) + e;
}

static void set_a(nib_emulated_type type, int lane, int first_row, const uint32_t *a) {
  int bytes = types[type].bytes;
  for (int r = 0; r < 4; ++r)
    for (int e = 0; e < 4 / bytes; ++e) {
      int row, column;
      a_place(lane, r, e, 4 / bytes, &row, &column);
      set_operand(type, false, first_row + row, column, (const uint8_t *)&a[r] + e * bytes);
    }
}

/* The pairs of accumulators of a lane: 2 (lane % 4) and on, of row lane / 4 and 8 below, of each 8
 * columns. */
static void accumulators(int lane, int first_row, int n, uint32_t *d, bool load) {
  for (int j = 0; j < n / 8; ++j)
    for (int r = 0; r < 4; ++r) {
      uint32_t *at =
          &tile.i.d[first_row + lane / 4 + (r / 2 ? 8 : 0)][8 * j + lane % 4 * 2 + r % 2];
      *(load ? at : &d[4 * j + r]) = load ? d[4 * j + r] : *at;
    }
}

static void warp_mma(nib_emulated_warp_args **args) {
  nib_emulated_type type = args[0]->type;
  int bytes = types[type].bytes;
  for (int lane = 0; lane < 32; ++lane) {
    set_a(type, lane, 0, args[lane]->a);
    for (int r = 0; r < 2; ++r)
      for (int e = 0; e < 4 / bytes; ++e)
        set_operand(type, true, lane / 4, (lane % 4 + 4 * r) * (4 / bytes) + e,
                    (const uint8_t *)&args[lane]->b[r] + e * bytes);
    accumulators(lane, 0, 8, args[lane]->d, true);
  }
  multiply(type, 16, 8, 32 / bytes);
  for (int lane = 0; lane < 32; ++lane)
    accumulators(lane, 0, 8, args[lane]->d, false);
}

static void warp_ldmatrix4(nib_emulated_warp_args **args) {
  for (int i = 0; i < 32; ++i)
    if (!emulated_check_shared(args[i]->row, 16, 16, "ldmatrix"))
      return;
  for (int lane = 0; lane < 32; ++lane)
    for (int m = 0; m < 4; ++m)
      memcpy((uint32_t *)args[lane]->d + m,
             (const uint32_t *)args[8 * m + lane / 4]->row + lane % 4, 4);
}

void emulated_perform_warp(int collective, nib_emulated_warp_args **args, int n) {
  switch (collective) {
  case NIB_EMULATED_SHUFFLE:
  case NIB_EMULATED_SHUFFLE_XOR:
    for (int i = 0; i < n; ++i) {
      int by = (int8_t)(args[i]->by & 255);
      int from = (collective == NIB_EMULATED_SHUFFLE ? by : i ^ by) & 31;
      if (from >= n)
        emulated_fail("a shuffle reads thread %d of a warp of %d", from, n);
      else
        args[i]->result = args[from]->x;
    }
    return;
  case NIB_EMULATED_LDMATRIX4:
    warp_ldmatrix4(args);
    return;
  case NIB_EMULATED_MMA:
    warp_mma(args);
    return;
  default:
    return;
  }
}

/* ---- wgmma ---- */

typedef struct wgmma {
  nib_emulated_type type;
  int n, accumulate;
  bool a_in_registers;
  uint64_t a_descriptor, b_descriptor;
  void *d[128];
  uint32_t a[128][4];
  int32_t group;
} wgmma;

enum { max_pending = 256, max_warpgroups = max_threads / 128 };
typedef struct wgmmas {
  wgmma *list;
  int n;
  int32_t groups; /* closed */
} wgmmas;
static wgmmas pending[max_cluster][max_warpgroups];

static wgmmas *pending_of(int first_thread) {
  return &pending[nib_emulated_cluster_rank()][first_thread / 128];
}

/* Row `row`, 16 bytes number `unit` along K, of the matrix of a descriptor: core matrices are 8
 * rows of 16 bytes. */
static const uint8_t *descriptor_unit(uint64_t descriptor, int row, int unit) {
  static const uint32_t row_bytes[] = {16, 128, 64, 32}, masks[] = {0, 7, 3, 1};
  uint32_t start = (uint32_t)(descriptor & 0x3fff) << 4,
           lead = (uint32_t)(descriptor >> 16 & 0x3fff) << 4;
  uint32_t stride = (uint32_t)(descriptor >> 32 & 0x3fff) << 4;
  int swizzle = (int)(descriptor >> 62);
  if (descriptor >> 49 & 7) {
    emulated_fail("wgmma: a descriptor with a base offset");
    return NULL;
  }
  uint32_t address = start + (uint32_t)(row / 8) * stride +
                     (uint32_t)(row % 8) * row_bytes[swizzle] +
                     (uint32_t)unit * (swizzle ? 16 : lead);
  address ^= (address >> 7 & masks[swizzle]) << 4;
  return emulated_at_shared(address, 16, "wgmma");
}

static bool set_from_descriptor(nib_emulated_type type, bool is_b, int rows, uint64_t descriptor) {
  int bytes = types[type].bytes;
  for (int row = 0; row < rows; ++row)
    for (int unit = 0; unit < 2; ++unit) {
      const uint8_t *at = descriptor_unit(descriptor, row, unit);
      if (!at)
        return false;
      for (int e = 0; e < 16 / bytes; ++e)
        set_operand(type, is_b, row, unit * (16 / bytes) + e, at + e * bytes);
    }
  return true;
}

static void wgmma_now(const wgmma *w) {
  if (w->accumulate)
    for (int t = 0; t < 128; ++t)
      accumulators(t % 32, t / 32 * 16, w->n, w->d[t], true);
  else
    memset(&tile.i.d, 0, sizeof tile.i.d);
  for (int t = 0; t < 128 && w->a_in_registers; ++t)
    set_a(w->type, t % 32, t / 32 * 16, w->a[t]);
  if (!w->a_in_registers && !set_from_descriptor(w->type, false, 64, w->a_descriptor))
    return;
  if (!set_from_descriptor(w->type, true, w->n, w->b_descriptor))
    return;
  multiply(w->type, 64, w->n, 32 / types[w->type].bytes);
  for (int t = 0; t < 128; ++t)
    accumulators(t % 32, t / 32 * 16, w->n, w->d[t], false);
}

typedef struct wgmma_args {
  nib_emulated_type type;
  int n, accumulate;
  void *d;
  const uint32_t *a;
  uint64_t a_descriptor, b_descriptor;
} wgmma_args;

static void issue(void **args, int n, int first) {
  const wgmma_args *of = args[0];
  wgmmas *p = pending_of(first);
  if (!p->list)
    p->list = malloc(sizeof(wgmma) * max_pending);
  if (!p->list || p->n == max_pending) {
    emulated_fail("wgmma: more than %d are unfinished", max_pending);
    return;
  }
  wgmma *w = &p->list[p->n++];
  w->type = of->type, w->n = of->n, w->accumulate = of->accumulate;
  w->a_in_registers = of->a != NULL;
  w->a_descriptor = of->a_descriptor, w->b_descriptor = of->b_descriptor;
  w->group = p->groups;
  for (int t = 0; t < n; ++t) {
    const wgmma_args *x = args[t];
    if (x->type != of->type || x->n != of->n || !x->accumulate != !of->accumulate ||
        x->b_descriptor != of->b_descriptor || (x->a != NULL) != (of->a != NULL) ||
        (!x->a && x->a_descriptor != of->a_descriptor)) {
      emulated_fail("wgmma: thread %d of the warpgroup has other operands than its first", t);
      return;
    }
    w->d[t] = x->d;
    if (x->a)
      memcpy(w->a[t], x->a, sizeof w->a[t]);
  }
  if (emulated_eager()) {
    p->n--;
    wgmma_now(w);
  }
}

void nib_emulated_wgmma(nib_emulated_type type, int n, void *d, const uint32_t *a,
                        uint64_t a_descriptor, uint64_t b_descriptor, int accumulate) {
  wgmma_args args = {type, n, accumulate, d, a, a_descriptor, b_descriptor};
  emulated_meet_warpgroup("wgmma", issue, &args);
}

static void commit(void **args, int n, int first) {
  (void)args, (void)n;
  pending_of(first)->groups++;
}
void nib_emulated_wgmma_commit(void) {
  emulated_meet_warpgroup("wgmma.commit_group", commit, NULL);
}

static void wait_groups(void **args, int n, int first) {
  int done = 0, *most = args[0];
  wgmmas *p = pending_of(first);
  for (int t = 1; t < n; ++t)
    if (*(int *)args[t] != *most)
      emulated_fail("wgmma.wait_group: thread %d waits for another number of groups", first + t);
  wgmma *list = p->list;
  while (done < p->n && list[done].group < p->groups - *most)
    wgmma_now(&list[done++]);
  p->n -= done;
  if (done)
    memmove(list, list + done, sizeof *list * (size_t)p->n);
}
void nib_emulated_wgmma_wait(int32_t groups) {
  emulated_meet_warpgroup("wgmma.wait_group", wait_groups, &groups);
}

/* Registers of a thread, by warpgroup: those of the launch, then what setmaxnreg says. */
static int32_t registers[max_cluster][max_warpgroups];

void emulated_check_registers(int rank, int threads, int most_threads) {
  const int32_t most = 65536 / ((most_threads + 127) / 128 * 128) / 8 * 8,
                of_launch = most > 255 ? 255 : most;
  int32_t sum = 0;
  bool any = false;
  for (int i = 0; i < (threads + 127) / 128; ++i) {
    any |= registers[rank][i] != 0;
    sum += registers[rank][i] ? registers[rank][i] : of_launch;
  }
  if (any && sum > (threads + 127) / 128 * of_launch)
    emulated_fail(
        "setmaxnreg: the warpgroups' threads want %d registers, %d by launch bounds are there", sum,
        (threads + 127) / 128 * of_launch);
}

static void set_registers(void **args, int n, int first) {
  for (int t = 1; t < n; ++t)
    if (*(int *)args[t] != *(int *)args[0])
      emulated_fail("setmaxnreg: thread %d has another number than its warpgroup's first",
                    first + t);
  registers[nib_emulated_cluster_rank()][first / 128] = *(int *)args[0];
}
void nib_emulated_registers(int32_t n) {
  if (n < 24 || n > 256 || n % 8)
    emulated_fail("setmaxnreg %d: not a multiple of 8 from 24 to 256", n);
  emulated_meet_warpgroup("setmaxnreg", set_registers, &n);
}

void emulated_matrix_reset(void) {
  memset(registers, 0, sizeof registers);
  if (f16_table[1] == 0) {
    for (uint32_t c = 0; c < 65536; ++c)
      f16_table[c] = nib_emulated_decode(NIB_EMULATED_f16, c);
    for (uint32_t c = 0; c < 256; ++c)
      f8_table[c] = nib_emulated_decode(NIB_EMULATED_f8e4m3, c);
  }
  for (int block = 0; block < max_cluster; ++block)
    for (int i = 0; i < max_warpgroups; ++i)
      pending[block][i].n = pending[block][i].groups = 0;
}
