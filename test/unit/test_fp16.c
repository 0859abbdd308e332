/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_fp16 %S/../support/avx512fp16 %clang
/* AVX512-FP16: each primitive against exact arithmetic, on all codes and extremes; and the vector
 * schedules against the reference, exactly where sums are whole numbers, within a bound else. Where
 * the processor has no FP16, its intrinsics are emulated, on any x86 processor. */
#include "kernel_harness.h"

#include "epilogue/say.h"

#define F16 NIB_F16

static const char *emulation, *clang;
static bool native; /* this processor has the instructions */

/* `wide`: with AVX-512 itself, where only FP16 is emulated. */
static const char *compiler_for(uint64_t seed, bool wide) {
  static char text[512];
  if (native)
    return seed % 2 ? clang : "cc";
  snprintf(text, sizeof text, "%s -isystem '%s' -Wno-psabi%s", clang, emulation,
           wide ? " -march=x86-64-v4 -mavx512vnni" : "");
  return text;
}

/* ---- primitives ---- */

enum { lanes = 32, rounds = 4000 };

typedef void function(const void *a, const void *b, const void *c, void *d);

typedef struct prim_case {
  nib_prim prim;
  int operands;
} prim_case;

static const prim_case prims[] = {
    {NIB_PRIM_F32_ADD, 2}, {NIB_PRIM_F32_SUB, 2}, {NIB_PRIM_F32_MUL, 2}, {NIB_PRIM_F32_DIV, 2},
    {NIB_PRIM_F32_MIN, 2}, {NIB_PRIM_F32_MAX, 2}, {NIB_PRIM_F32_FMA, 3}};
enum { n_prims = sizeof prims / sizeof *prims };

static void open_function(nib_emitter *e, const char *name, int tail) {
  nib_text_printf(e->body, "%s\n", e->vocab->function_attr);
  nib_text_open(e->body, "void %s_%d(const void *pa, const void *pb, const void *pc, void *pd) {",
                name, tail);
  nib_text_line(e->body, "(void)pa, (void)pb, (void)pc, (void)pd;");
  nib_text_line(e->body, "%s a, b, d;", e->vocab->type_f32);
  nib_text_line(e->body, "(void)a, (void)b, (void)d;");
}

static void write_functions(nib_emitter *e) {
  const char *from[] = {"(const uint16_t *)pa", "(const uint16_t *)pb", "(const uint16_t *)pc"};
  for (int i = 0; i < n_prims; i++) {
    open_function(e, nib_prim_name(prims[i].prim), 0);
    nib_say(e, NIB_PRIM_F32_LOAD, "a", from[0], NULL, NULL, NULL);
    nib_say(e, NIB_PRIM_F32_LOAD, "b", from[1], NULL, NULL, NULL);
    nib_say(e, NIB_PRIM_F32_LOAD, "d", from[2], NULL, NULL, NULL);
    nib_say(e, prims[i].prim, "d", "a", "b", NULL, NULL);
    nib_say(e, NIB_PRIM_F32_STORE, NULL, "(uint16_t *)pd", "d", NULL, NULL);
    nib_text_close(e->body, "");
  }
  for (int n = 0; n < lanes; n++) { /* whole, and each tail */
    open_function(e, "move", n);
    nib_say_lanes(e, NIB_PRIM_F32_LOAD, "d", from[0], NULL, n);
    nib_say(e, NIB_PRIM_F32_STORE, NULL, "(uint16_t *)pd", "d", NULL, NULL);
    nib_say_lanes(e, NIB_PRIM_F32_STORE, NULL, "(uint16_t *)pd + 64", "d", n);
    nib_text_close(e->body, "");
    open_function(e, "twice", n);
    nib_say(e, NIB_PRIM_STAGE_TWICE, "(uint32_t *)pd", from[0], NULL, NULL,
            nib_word_of("%d", n + 32).s);
    nib_say(e, NIB_PRIM_F32_TWICE, "d", nib_word_of("(const uint32_t *)pd + %d", n).s, NULL, NULL,
            NULL);
    nib_say(e, NIB_PRIM_F32_STORE, NULL, "(uint16_t *)pd + 256", "d", NULL, NULL);
    nib_text_close(e->body, "");
  }
  open_function(e, "set", 0);
  nib_say(e, NIB_PRIM_F32_SET, "d", "-2.75f", NULL, NULL, NULL);
  nib_say(e, NIB_PRIM_F32_STORE, NULL, "(uint16_t *)pd", "d", NULL, NULL);
  nib_text_close(e->body, "");
}

static uint16_t encode(double x) {
  uint16_t code;
  nib_format_store_real(NIB_F16, &code, 0, x);
  return code;
}

static double decode(uint16_t code) { return nib_format_decode(NIB_F16, code); }

/* a * b + c rounded once: the exact sum in units of 2^-48 is an integer of 81 bits; what a double
 * does not hold of it is kept as one bit below. */
static uint16_t fused(double a, double b, double c) {
  if (!isfinite(a) || !isfinite(b) || !isfinite(c) || a * b + c == 0)
    return encode(a * b + c);
  __extension__ typedef __int128 wide;
  wide sum = (wide)ldexp(a, 24) * (wide)ldexp(b, 24) + (wide)ldexp(c, 24) * ((wide)1 << 24);
  const bool negative = sum < 0;
  sum = negative ? -sum : sum;
  int shift = 0;
  for (; sum >> 52; shift++)
    sum = sum >> 1 | (sum & 1);
  const double size = ldexp((double)(int64_t)sum, shift - 48);
  return encode(negative ? -size : size);
}

static uint16_t expected(nib_prim prim, uint16_t x, uint16_t y, uint16_t z) {
  const double a = decode(x), b = decode(y);
  switch (prim) {
  case NIB_PRIM_F32_ADD:
    return encode(a + b);
  case NIB_PRIM_F32_SUB:
    return encode(a - b);
  case NIB_PRIM_F32_MUL:
    return encode(a * b);
  case NIB_PRIM_F32_DIV:
    return encode(a / b);
  case NIB_PRIM_F32_MIN:
    return a < b ? x : y;
  case NIB_PRIM_F32_MAX:
    return a > b ? x : y;
  default:
    return fused(a, b, decode(z));
  }
}

static bool is_nan(uint16_t code) { return (code & 0x7FFF) > 0x7C00; }

/* One in four is an end, or next to one; else any code, often near in size to the one before. */
static uint16_t pick_code(uint64_t *rng, uint16_t before) {
  static const uint16_t ends[] = {0,      1,      2,      0x3FF,  0x400,  0x401,  0x3C00, 0x3C01,
                                  0x3BFF, 0x7BFF, 0x7BFE, 0x7C00, 0x7E00, 0x6400, 0x6800, 0x1400};
  const uint64_t r = next_random(rng);
  const uint16_t sign = r >> 40 & 1 ? 0x8000 : 0;
  if (r % 4 == 0)
    return ends[r >> 8 & 15] | sign;
  return r % 4 == 1 ? ((before & 0x7FFF) ^ (r >> 16 & 0x7FF)) | sign : (uint16_t)(r >> 16);
}

static function *find(void *library, const char *name, int n) {
  char symbol[64];
  snprintf(symbol, sizeof symbol, "%s_%d", name, n);
  function *f = NULL;
  void *found = dlsym(library, symbol);
  memcpy(&f, &found, sizeof f);
  CHECK(f != NULL);
  return f;
}

static void test_arithmetic(void *library, const prim_case *k, uint64_t *rng) {
  function *f = find(library, nib_prim_name(k->prim), 0);
  uint16_t a[lanes], b[lanes], c[lanes], d[lanes];
  for (int round = 0; f && round < rounds + 2048; round++) {
    for (int i = 0; i < lanes; i++) { /* every code, then random ones */
      a[i] = round < 2048 ? (uint16_t)(lanes * round + i) : pick_code(rng, 0x3C00);
      b[i] = pick_code(rng, a[i]);
      const double product = fabs(decode(a[i]) * decode(b[i]));
      c[i] = pick_code(rng, product < 65504 ? encode(product) : 0x7BFF);
    }
    f(a, b, c, d);
    for (int i = 0; i < lanes; i++) {
      const uint16_t want = expected(k->prim, a[i], b[i], c[i]);
      if (want != d[i] && !(is_nan(want) && is_nan(d[i]))) {
        printf("%s: %04x %04x %04x: want %04x, got %04x\n", nib_prim_name(k->prim), a[i], b[i],
               c[i], want, d[i]);
        harness_failures++;
        return;
      }
    }
  }
}

static void test_moves(void *library, uint64_t *rng) {
  uint16_t a[96], d[512], want[512];
  for (int n = 0; n < lanes; n++) {
    function *move = find(library, "move", n), *twice = find(library, "twice", n);
    for (int i = 0; i < 96; i++)
      a[i] = (uint16_t)next_random(rng);
    memset(d, 0xA5, sizeof d), memset(want, 0xA5, sizeof want);
    memset(want, 0, lanes * sizeof *want);
    memcpy(want, a, (n ? (size_t)n : lanes) * sizeof *want);
    memcpy(want + 64, a, (n ? (size_t)n : lanes) * sizeof *want);
    move(a, a, a, d);
    CHECK(memcmp(want, d, sizeof d) == 0);
    memset(d, 0xA5, sizeof d), memset(want, 0xA5, sizeof want);
    for (int i = 0; i < n + 32; i++)
      want[2 * i] = want[2 * i + 1] = a[i];
    for (int i = 0; i < lanes; i++)
      want[256 + i] = a[n];
    twice(a, a, a, d);
    CHECK(memcmp(want, d, sizeof d) == 0);
  }
  find(library, "set", 0)(a, a, a, d);
  for (int i = 0; i < lanes; i++)
    CHECK(d[i] == encode(-2.75));
}

static void test_prims(const nib_vocab *v, uint64_t seed) {
  nib_text body;
  nib_text_init(&body);
  nib_emitter e = {.vocab = v, .body = &body};
  write_functions(&e);
  char dir[64], path[128];
  make_folder(dir);
  snprintf(path, sizeof path, "%s/prims.c", dir);
  FILE *f = fopen(path, "w");
  CHECK(f && !body.failed);
  if (f) {
    fprintf(f,
            "#include <stdint.h>\n#pragma GCC diagnostic ignored \"-Wunused-function\"\n%s%s\n%s",
            v->includes, v->support, body.data);
    fclose(f);
    void *library = load_library(dir, compiler_for(seed, false));
    uint64_t rng = seed;
    for (int i = 0; library && i < n_prims; i++)
      test_arithmetic(library, &prims[i], &rng);
    if (library) {
      test_moves(library, &rng);
      dlclose(library);
    }
  }
  nib_text_free(&body);
  remove_folder(dir);
  printf("primitives: %d failures\n", harness_failures);
}

/* ---- kernels ---- */

typedef struct conv_case {
  const char *name;
  nib_op op;
  int batch, h, w, c, out_c, kh, kw, stride, dilation, pad, groups;
} conv_case;

#define CONV NIB_OP_CONV2D
#define DW NIB_OP_DEPTHWISE_CONV2D
#define FC NIB_OP_FULLY_CONNECTED
#define TC NIB_OP_TRANSPOSE_CONV2D

static const conv_case cases[] = {
    {"first layer", CONV, 1, 9, 11, 3, 16, 3, 3, 1, 1, 1, 1},
    {"resnet", CONV, 1, 8, 8, 16, 32, 3, 3, 2, 1, 1, 1},
    {"channel tails", CONV, 1, 6, 5, 7, 37, 3, 3, 1, 1, 1, 1},
    {"many channels", CONV, 1, 5, 5, 33, 130, 3, 3, 1, 1, 1, 1},
    {"one channel", CONV, 1, 12, 10, 1, 8, 10, 8, 2, 1, 3, 1},
    {"batch", CONV, 3, 4, 6, 5, 9, 2, 3, 1, 1, 0, 1},
    {"dilated", CONV, 1, 11, 12, 6, 20, 3, 3, 1, 2, 2, 1},
    {"dilated stride", CONV, 1, 13, 13, 3, 5, 3, 2, 2, 3, 1, 1},
    {"groups", CONV, 1, 7, 7, 12, 18, 3, 3, 1, 1, 1, 3},
    {"stride 3 of 1x1", CONV, 1, 10, 10, 8, 16, 1, 1, 3, 1, 0, 1},
    {"pointwise", CONV, 1, 14, 14, 40, 24, 1, 1, 1, 1, 0, 1},
    {"pointwise wide", CONV, 1, 25, 27, 16, 144, 1, 1, 1, 1, 0, 1},
    {"pointwise odd", CONV, 2, 3, 5, 13, 3, 1, 1, 1, 1, 0, 1},
    {"fully connected", FC, 1, 1, 1, 64, 10, 1, 1, 1, 1, 0, 1},
    {"fully connected rows", FC, 7, 1, 1, 19, 131, 1, 1, 1, 1, 0, 1},
    {"fully connected in rows", FC, 181, 1, 1, 400, 40, 1, 1, 1, 1, 0, 1},
    {"wide", FC, 13, 1, 1, 65, 257, 1, 1, 1, 1, 0, 1},
    {"transposed", TC, 1, 5, 6, 9, 37, 4, 4, 2, 1, 1, 1},
    {"transposed 3x3", TC, 2, 4, 5, 16, 65, 3, 3, 2, 1, 1, 1},
    {"transposed 2x2", TC, 1, 4, 5, 24, 32, 2, 2, 2, 1, 0, 1},
    {"transposed of few", TC, 1, 5, 4, 7, 3, 4, 4, 2, 1, 1, 1},
    {"transposed by 3 of few", TC, 1, 3, 4, 6, 5, 2, 2, 3, 1, 0, 1},
    {"transposed by 1", TC, 1, 6, 5, 7, 20, 3, 3, 1, 1, 1, 1},
    {"depthwise", DW, 1, 9, 10, 24, 24, 3, 3, 1, 1, 1, 1},
    {"depthwise 64", DW, 1, 7, 7, 64, 64, 3, 3, 2, 1, 1, 1},
    {"depthwise tail", DW, 2, 6, 5, 43, 43, 5, 3, 1, 1, 2, 1},
    {"depthwise dilated", DW, 1, 12, 12, 16, 16, 3, 3, 1, 2, 2, 1},
    {"depthwise x3", DW, 1, 6, 6, 5, 15, 3, 3, 1, 1, 1, 1},
    {"depthwise of one", DW, 1, 12, 9, 1, 8, 10, 8, 2, 1, 4, 1},
    {"depthwise wide filter", DW, 1, 4, 20, 32, 32, 1, 11, 1, 1, 5, 1},
};

/* Products of two of K have nothing for depthwise filters. */
static bool suits(const nib_vocab *v, const conv_case *k) { return !v->half_k || k->op != DW; }

static int32_t add_conv(suite *s, const conv_case *k, int32_t *out_node) {
  snprintf(s->label, sizeof s->label, "%s", k->name);
  const int32_t x = input(
      s, F16, k->op == FC ? shape(2, k->batch, k->c) : shape(4, k->batch, k->h, k->w, k->c), 0, 0);
  const shape_of filter = k->op == FC   ? shape(2, k->out_c, k->c)
                          : k->op == DW ? shape(4, 1, k->kh, k->kw, k->out_c)
                                        : shape(4, k->out_c, k->kh, k->kw, k->c / k->groups);
  const int32_t w = constant(s, F16, filter, 0, 0, 0);
  const int32_t bias = pick(s, 0, 3) ? constant(s, F16, shape(1, k->out_c), 0, 0, 0) : NIB_NONE;
  const bool spreads = k->op == TC;
  const int oh = spreads ? (k->h - 1) * k->stride + k->kh - 2 * k->pad
                         : (k->h + 2 * k->pad - (k->kh - 1) * k->dilation - 1) / k->stride + 1;
  const int ow = spreads ? (k->w - 1) * k->stride + k->kw - 2 * k->pad
                         : (k->w + 2 * k->pad - (k->kw - 1) * k->dilation - 1) / k->stride + 1;
  const int32_t y = value(
      s, F16, k->op == FC ? shape(2, k->batch, k->out_c) : shape(4, k->batch, oh, ow, k->out_c), 0,
      0);
  const int32_t n = node(s, k->op, y, 4, x, w, bias, NIB_NONE);
  if (k->op != FC) {
    set_ints(s, n, NIB_A_STRIDES, 2, k->stride, k->stride);
    if (!spreads)
      set_ints(s, n, NIB_A_DILATIONS, 2, k->dilation, k->dilation);
    set_ints(s, n, NIB_A_PADS, 4, k->pad, k->pad, k->pad, k->pad);
  }
  if (k->op == CONV && k->groups > 1)
    nib_graph_set_int(s->g, n, NIB_A_GROUPS, k->groups);
  static const char *const activations[] = {"none", "relu", "relu6"};
  nib_graph_set_string(s->g, n, NIB_A_ACTIVATION, activations[k->c > 300 ? 0 : pick(s, 0, 2)]);
  *out_node = n;
  return y;
}

/* Tiles of one pixel to two of the largest tiles, and channels around whole registers. */
static void add_tails(suite *s) {
  static const int widths[] = {1, 31, 32, 33, 63, 65, 96, 97};
  for (int rows = 1; rows <= 30; rows++) {
    const conv_case k = {"tails", FC, rows, 1, 1, 1 + rows % 9, widths[rows % 8], 1, 1, 1, 1, 0, 1};
    int32_t n;
    output(s, add_conv(s, &k, &n));
  }
}

static void add_followed(suite *s, nib_op op, const char *activation) {
  const conv_case k = {"conv", CONV, 1, 5, 6, 8, 43, 3, 3, 1, 1, 1, 1};
  int32_t nodes[2];
  const int32_t y = add_conv(s, &k, &nodes[0]);
  const shape_of d = shape(4, 1, 5, 6, 43);
  snprintf(s->label, sizeof s->label, "%s after conv", nib_op_get(op)->mnemonic);
  const int32_t out = value(s, F16, d, 0, 0);
  if (op == NIB_OP_ADD || op == NIB_OP_SUB || op == NIB_OP_MUL)
    nodes[1] = node(s, op, out, 2, y, input(s, F16, d, 0, 0));
  else
    nodes[1] = node(s, op, out, 1, y);
  if (activation)
    nib_graph_set_string(s->g, nodes[1], NIB_A_ACTIVATION, activation);
  if (op == NIB_OP_CLAMP) {
    nib_graph_set_float(s->g, nodes[1], NIB_A_MIN, -9.0);
    nib_graph_set_float(s->g, nodes[1], NIB_A_MAX, 25.0);
  }
  CHECK(nib_epilogue_accepts(s->g, nodes[0], nodes[1]));
  add_kernel(s, nodes, 2);
  output(s, out);
}

static void add_element_wise(suite *s, nib_op op, int elements, int kind) {
  snprintf(s->label, sizeof s->label, "%s %d", nib_op_get(op)->mnemonic, elements);
  const int32_t a = input(s, F16, shape(2, 3, elements), 0, 0);
  const int32_t y = value(s, F16, shape(2, 3, elements), 0, 0);
  int32_t n;
  if (op == NIB_OP_ADD || op == NIB_OP_SUB || op == NIB_OP_MUL)
    n = node(s, op, y, 2, a,
             kind == 0   ? input(s, F16, shape(2, 3, elements), 0, 0)
             : kind == 1 ? constant(s, F16, shape(1, elements), 0, 0, 0)
                         : constant(s, F16, shape(1, 1), 0, 0, 0));
  else
    n = node(s, op, y, 1, a);
  if (op == NIB_OP_CLAMP) {
    nib_graph_set_float(s->g, n, NIB_A_MIN, -1.5);
    nib_graph_set_float(s->g, n, NIB_A_MAX, 2.25);
  }
  output(s, y);
}

static void add_max_pool(suite *s) {
  snprintf(s->label, sizeof s->label, "max_pool");
  const int32_t x = input(s, F16, shape(4, 1, 9, 8, 67), 0, 0);
  const int32_t y = value(s, F16, shape(4, 1, 5, 4, 67), 0, 0);
  const int32_t n = node(s, NIB_OP_MAX_POOL2D, y, 1, x);
  set_ints(s, n, NIB_A_KERNEL, 2, 3, 3);
  set_ints(s, n, NIB_A_STRIDES, 2, 2, 2);
  set_ints(s, n, NIB_A_PADS, 4, 1, 1, 1, 0);
  output(s, y);
}

static void test_kernels(const nib_vocab *v, const char *spec, bool whole, uint64_t seed) {
  suite s = suite_open(whole ? "whole" : "real", "nearest-even", seed);
  harness_tame_halves = true;
  harness_whole_halves = whole ? 2 : 0;
  harness_half_error = whole ? 0 : 1.0 / 32;
  int32_t n;
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    if (suits(v, &cases[i]))
      output(&s, add_conv(&s, &cases[i], &n));
  add_tails(&s);
  add_max_pool(&s);
  static const nib_op ops[] = {NIB_OP_ADD, NIB_OP_SUB, NIB_OP_MUL, NIB_OP_RELU, NIB_OP_CLAMP};
  static const char *const activations[] = {"relu6", "relu", "relu"};
  for (size_t i = 0; i < sizeof ops / sizeof *ops; i++) {
    add_followed(&s, ops[i], i < 3 && seed % 2 ? activations[i] : NULL);
    for (int kind = 0; kind < (i < 3 ? 3 : 1); kind++)
      add_element_wise(&s, ops[i], kind == 1 ? 67 : 32 + 7 * kind, kind);
  }
  run_suite(&s, v, spec, compiler_for(seed, v->base != NULL));
}

int main(int argc, char **argv) {
  static const char *const specs[] = {"x86-64-v4+avx512fp16", "x86-64-v4+avx512vnni+avx512fp16"};
  nib_target target, base;
  const nib_vocab *v = nib_vocab_find("avx512fp16"), *pairs = nib_vocab_find("avx512fp16pairs");
  CHECK(nib_target_parse("x86-64-v4+avx512vnni", &base, &harness_diag) == NIB_OK);
  CHECK(nib_target_parse(specs[1], &target, &harness_diag) == NIB_OK && pairs &&
        nib_vocab_fits(pairs, &target));
  CHECK(nib_target_parse(specs[0], &target, &harness_diag) == NIB_OK && v &&
        nib_vocab_fits(v, &target) && !nib_vocab_fits(pairs, &target));
  if (!v || !pairs || argc < 3)
    return 1;
  emulation = argv[1];
  clang = argv[2];
  native = nib_target_runs_here(&target);
  printf("FP16 is %s\n", native ? "the processor's own" : "emulated");
  /* Emulation takes its time: every other seed, or all with a third argument. */
  for (uint64_t seed = 1; seed <= 4; seed += native || argc > 3 ? 1 : 2) {
    if (seed <= 2)
      test_prims(v, seed);
    test_kernels(v, specs[0], seed <= 2, seed);
    if (nib_target_runs_here(&base))
      test_kernels(pairs, specs[1], seed <= 2, seed);
    else
      printf("%s: skipped, this processor lacks AVX512-VNNI\n", pairs->name);
  }
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
