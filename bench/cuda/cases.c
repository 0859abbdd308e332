// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
// The table of cases, their graphs, and the kernels that schedules write for them.
#include "cases.h"

#include "cuda/cuda_model.h"
#include "emit/model.h"
#include "vocab/vocab.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 24576 x 32768: 805 million weights, 400 MB of 4 bits. */
#define WEIGHTS_OF_4_BITS "i4:block=32,scale=f16"
#define WEIGHTS_OF_2_BITS "i2:block=32,scale=f16"
#define WEIGHTS_OF_3_VALUES "tq2_0"

/* Fewer and more rows of tiles at a time. */
static const int32_t k_bands[][NIB_MAX_TILE] = {{128, 256, 2, 8}, {128, 256, 2, 32}, {0}};

/* Tiles in a band of those of low_bit_warpgroup. */
static const int32_t k_rounded[][NIB_MAX_TILE] = {
    {128, 256, 1, 2}, {128, 256, 2, 2}, {128, 256, 1, 8}, {0}};

static const bench_case cases[] = {
    {"small_bf16", "bf16", "bf16", 300, 328, 200, "bf16", "warpgroup_gemm", 12, NULL, NULL, NULL},
    {"small_f8", "f8E4M3FN", "f8E4M3FN", 130, 272, 400, "f8e4m3", "warpgroup_gemm", 12, NULL, NULL,
     NULL},
    {"small_i8", "i8", "i8", 200, 144, 208, "i8", "warpgroup_gemm", 12, NULL, NULL, NULL},
    {"small_w4", "f16", WEIGHTS_OF_4_BITS, 5, 144, 256, "f16", NULL, 0, NULL, NULL, NULL},
    {"small_w4_operand", "f16", WEIGHTS_OF_4_BITS, 300, 152, 416, "f16", "low_bit_warpgroup", 8,
     NULL, "operand", NULL},
    {"small_w4_operand_bf16", "bf16", WEIGHTS_OF_4_BITS, 300, 152, 416, "bf16", "low_bit_warpgroup",
     8, NULL, "operand", NULL},
    {"bf16_8192", "bf16", "bf16", 8192, 8192, 8192, "bf16", "warpgroup_gemm", 3, k_bands, NULL,
     NULL},
    {"f8_8192", "f8E4M3FN", "f8E4M3FN", 8192, 8192, 8192, "f8e4m3", "warpgroup_gemm", 3, k_bands,
     NULL, "bf16_8192"},
    {"i8_8192", "i8", "i8", 8192, 8192, 8192, "i8", "warpgroup_gemm", 3, k_bands, NULL,
     "bf16_8192"},
    {"f16_4096", "f16", "f16", 4096, 4096, 4096, "f16", "warpgroup_gemm", 2, NULL, NULL, NULL},
    {"bf16_2048", "bf16", "bf16", 2048, 8192, 8192, "bf16", "warpgroup_gemm", 2, NULL, NULL, NULL},
    {"bf16_128", "bf16", "bf16", 128, 8192, 8192, "bf16", "warpgroup_gemm", 2, NULL, NULL, NULL},
    {"i8_1000", "i8", "i8", 1000, 3000, 2000, "i8", "warpgroup_gemm", 2, NULL, NULL, NULL},
    {"w4_m1", "f16", WEIGHTS_OF_4_BITS, 1, 8192, 8192, "f16", "low_bit_stream", 0, NULL, NULL,
     NULL},
    {"w4_m8", "f16", WEIGHTS_OF_4_BITS, 8, 8192, 8192, "f16", "low_bit_stream", 0, NULL, NULL,
     NULL},
    {"w4_m16", "f16", WEIGHTS_OF_4_BITS, 16, 8192, 8192, "f16", "low_bit_stream", 0, NULL, NULL,
     NULL},
    {"w4_m2048", "bf16", WEIGHTS_OF_4_BITS, 2048, 8192, 8192, "bf16", "low_bit_warpgroup", 0, NULL,
     NULL, "bf16_2048"},
    {"w4_m2048_operand", "bf16", WEIGHTS_OF_4_BITS, 2048, 8192, 8192, "bf16", "low_bit_warpgroup",
     3, k_rounded, "operand", "bf16_2048"},
    {"w4_m2048_operand_f16", "f16", WEIGHTS_OF_4_BITS, 2048, 8192, 8192, "f16", "low_bit_warpgroup",
     3, k_rounded, "operand", "bf16_2048"},
    {"w4_m32_operand", "f16", WEIGHTS_OF_4_BITS, 32, 8192, 8192, "f16", NULL, 2, NULL, "operand",
     NULL},
    {"w4_m64_operand", "f16", WEIGHTS_OF_4_BITS, 64, 8192, 8192, "f16", NULL, 3, NULL, "operand",
     NULL},
    {"w4_m128_operand", "f16", WEIGHTS_OF_4_BITS, 128, 8192, 8192, "f16", NULL, 4, NULL, "operand",
     NULL},
    {"w2_m1", "f16", WEIGHTS_OF_2_BITS, 1, 8192, 8192, "f16", "low_bit_stream", 0, NULL, NULL,
     "w4_m1"},
    {"large_w4_m1", "f16", WEIGHTS_OF_4_BITS, 1, 24576, 32768, "f16", "low_bit_stream", 0, NULL,
     NULL, NULL},
    {"large_w4_m8", "f16", WEIGHTS_OF_4_BITS, 8, 24576, 32768, "f16", "low_bit_stream", 0, NULL,
     NULL, NULL},
    {"large_w4_m16", "f16", WEIGHTS_OF_4_BITS, 16, 24576, 32768, "f16", "low_bit_stream", 0, NULL,
     NULL, NULL},
    {"large_w2_m1", "f16", WEIGHTS_OF_2_BITS, 1, 24576, 32768, "f16", "low_bit_stream", 0, NULL,
     NULL, "large_w4_m1"},
    {"large_ternary_m1", "f16", WEIGHTS_OF_3_VALUES, 1, 24576, 32768, "f16", "low_bit_stream", 0,
     NULL, NULL, "large_w4_m1"},
};

const bench_case *bench_case_at(int i) {
  return i >= 0 && i < (int)(sizeof cases / sizeof *cases) ? &cases[i] : NULL;
}

bool bench_case_is_wanted(const bench_case *c, const char *names) {
  const size_t size = strlen(c->name);
  for (const char *at = names; at; at = strchr(at, ',') ? strchr(at, ',') + 1 : NULL)
    if (strcspn(at, ",") == size && memcmp(at, c->name, size) == 0)
      return true;
  return !names;
}

static uint64_t next_random(uint64_t *state) {
  *state += UINT64_C(0x9E3779B97F4A7C15);
  uint64_t z = *state;
  z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
  return z ^ (z >> 31);
}

/* Blocks and codebooks: a pool of encoded random numbers, again and again from another block. */
static void fill_encoded(nib_format format, uint8_t *data, int64_t elems, uint64_t seed) {
  enum { POOL = 1 << 16 };
  const nib_format_info *f = nib_format_get(format);
  const int64_t unit = f->block_elems ? f->block_elems : 1;
  const int64_t unit_bytes = f->block_elems ? f->block_bytes : f->bytes, units = POOL / unit;
  float *x = malloc(POOL * sizeof *x);
  uint8_t *pool = malloc((size_t)(units * unit_bytes) + 1);
  for (int64_t i = 0; x && i < POOL; ++i)
    x[i] = (float)((double)(next_random(&seed) >> 40) / 8388608.0 - 1.0);
  if (x && pool)
    nib_format_encode_row(format, x, units * unit, NULL, pool);
  for (int64_t i = 0; x && pool && i < elems / unit;) {
    const int64_t from = (int64_t)(next_random(&seed) % (uint64_t)units);
    int64_t n = units - from < elems / unit - i ? units - from : elems / unit - i;
    memcpy(data + i * unit_bytes, pool + from * unit_bytes, (size_t)(n * unit_bytes));
    i += n;
  }
  free(x);
  free(pool);
}

/* Signs and mantissas at random, exponents among four below that of 1. */
static uint64_t real_mask(nib_format format, uint64_t *out_exponent) {
  switch (format) {
  case NIB_BF16:
    *out_exponent = UINT64_C(0x3d803d803d803d80); /* 2^-4 */
    return UINT64_C(0x81ff81ff81ff81ff);
  case NIB_F16:
    *out_exponent = UINT64_C(0x2c002c002c002c00);
    return UINT64_C(0x8fff8fff8fff8fff);
  default: /* f8E4M3FN */
    *out_exponent = UINT64_C(0x1818181818181818);
    return UINT64_C(0x9f9f9f9f9f9f9f9f);
  }
}

void bench_fill(nib_format format, void *data, int64_t elems, uint64_t seed) {
  const bool real = format == NIB_BF16 || format == NIB_F16 || format == NIB_F8E4M3FN;
  const nib_format_info *f = nib_format_get(format);
  if (!real && f->kind != NIB_KIND_SIGNED && f->kind != NIB_KIND_UNSIGNED) {
    fill_encoded(format, data, elems, seed);
    return;
  }
  uint64_t exponent = 0, mask = ~UINT64_C(0);
  if (real)
    mask = real_mask(format, &exponent);
  const size_t bytes = (size_t)elems * (size_t)f->bytes;
  for (size_t i = 0; i < bytes; i += 8) {
    /* Mantissa and the low exponent bits are random; the sum of the exponents cannot carry into the
     * sign. */
    uint64_t r = next_random(&seed) & mask;
    if (real) {
      const uint64_t low = format == NIB_BF16  ? UINT64_C(0x01ff01ff01ff01ff)
                           : format == NIB_F16 ? UINT64_C(0x0fff0fff0fff0fff)
                                               : UINT64_C(0x1f1f1f1f1f1f1f1f);
      r = (r & ~low) | ((r & low) + exponent);
    }
    memcpy((uint8_t *)data + i, &r, bytes - i < 8 ? bytes - i : 8);
  }
}

/* ---- graphs ---- */

typedef struct layer {
  int32_t x, w, bias, scales, y;
} layer;

static bool is_quantized(const bench_case *c) {
  return nib_format_get(nib_format_find(c->activations))->kind == NIB_KIND_SIGNED;
}

/* Multipliers of about 1e-4 spread the sums of bytes over a byte. */
static layer add_tensors(nib_graph *g, const bench_case *c, int64_t m, int64_t n) {
  const nib_format activations = nib_format_find(c->activations),
                   weights = nib_format_find(c->weights);
  layer l = {.bias = NIB_NONE, .scales = NIB_NONE};
  l.x = nib_graph_add_tensor(g, "x", activations, 2, (const int64_t[]){m, c->k});
  l.w = nib_graph_add_tensor(g, "w", weights, 2, (const int64_t[]){n, c->k});
  if (is_quantized(c)) {
    l.bias = nib_graph_add_tensor(g, "bias", NIB_I32, 1, (const int64_t[]){n});
    l.scales = nib_graph_add_tensor(g, "scales", NIB_F32, 1, (const int64_t[]){n});
    nib_graph_set_quant(g, l.x, 0.03125, 3);
  }
  l.y = nib_graph_add_tensor(g, "y", activations, 2, (const int64_t[]){m, n});
  if (is_quantized(c))
    nib_graph_set_quant(g, l.y, 2.0, -5);
  return l;
}

static nib_graph *finish_graph(nib_graph *g, const bench_case *c, const layer *l) {
  g->rounding = "nearest-even";
  const int32_t in[] = {l->x, l->w, l->bias, l->scales};
  const int32_t node = nib_graph_add_node(g, NIB_OP_FULLY_CONNECTED, "product", 0, in,
                                          l->scales != NIB_NONE ? 4 : 2, l->y);
  if (c->decode)
    nib_graph_set_string(g, node, NIB_A_DECODE, c->decode);
  nib_graph_set_inputs(g, &l->x, 1);
  nib_graph_set_outputs(g, &l->y, 1);
  g->nodes[node].kernel = nib_graph_add_kernel(g, "product", &node, 1);
  return g;
}

static bool own(nib_graph *g, int32_t tensor, void *data) {
  const size_t bytes = nib_tensor_bytes(&g->tensors[tensor]);
  void *kept = nib_graph_alloc(g, bytes + 64);
  if (!kept || !data)
    return false;
  memcpy(kept, data, bytes);
  free(data);
  return nib_graph_set_data(g, tensor, kept, bytes, NIB_DATA_BORROWED) == NIB_OK;
}

static void *random_tensor(const nib_tensor *t, uint64_t seed) {
  void *data = malloc(nib_tensor_bytes(t) + 64);
  if (data)
    bench_fill(t->format, data, nib_tensor_elems(t), seed);
  return data;
}

nib_graph *bench_case_graph(const bench_case *c) {
  nib_graph *g = nib_graph_create(c->name);
  if (!g)
    return NULL;
  const layer l = add_tensors(g, c, c->m, c->n);
  bool ok = own(g, l.w, random_tensor(&g->tensors[l.w], 1));
  if (l.scales != NIB_NONE) {
    int32_t *bias = random_tensor(&g->tensors[l.bias], 2);
    float *scales = malloc((size_t)c->n * sizeof *scales);
    uint64_t seed = 3;
    for (int64_t i = 0; bias && scales && i < c->n; ++i) {
      bias[i] /= 1 << 12;
      scales[i] = 0.004f + 0.004f * (float)(next_random(&seed) % 1000) / 1000.0f;
    }
    ok = own(g, l.bias, bias) && own(g, l.scales, scales) && ok;
  }
  if (!ok) {
    nib_graph_destroy(g);
    return NULL;
  }
  return finish_graph(g, c, &l);
}

/* Rows of a tensor of rank 1 or 2. */
static void *some_rows(const nib_tensor *t, const int64_t *rows, int n) {
  const size_t bytes = nib_tensor_bytes(t) / (size_t)t->dims[0];
  uint8_t *data = malloc((size_t)n * bytes + 64);
  for (int i = 0; data && i < n; ++i)
    memcpy(data + (size_t)i * bytes, (const uint8_t *)t->data + (size_t)rows[i] * bytes, bytes);
  return data;
}

nib_graph *bench_case_sample(const bench_case *c, const nib_graph *whole, const int64_t *channels,
                             int n_channels, int n_rows) {
  nib_graph *g = nib_graph_create("sample");
  if (!g)
    return NULL;
  const layer l = add_tensors(g, c, n_rows, n_channels);
  bool ok = own(g, l.w, some_rows(&whole->tensors[l.w], channels, n_channels));
  if (l.scales != NIB_NONE)
    ok = own(g, l.bias, some_rows(&whole->tensors[l.bias], channels, n_channels)) &&
         own(g, l.scales, some_rows(&whole->tensors[l.scales], channels, n_channels)) && ok;
  if (!ok) {
    nib_graph_destroy(g);
    return NULL;
  }
  return finish_graph(g, c, &l);
}

/* ---- kernels ---- */

static const nib_vocab *vocab_for(const nib_schedule *s, const nib_graph *g) {
  static const char *const names[] = {"cuda90a", "cuda"};
  for (int i = 0; i < 2; ++i)
    if (s->accepts(g, &g->kernels[0], nib_vocab_find(names[i])))
      return nib_vocab_find(names[i]);
  return NULL;
}

/* The index-th tile of the schedules that the case asks for. */
static const nib_vocab *choose(const bench_case *c, nib_graph *g, int index, bench_kernel *out) {
  const nib_schedule *s;
  for (size_t i = 0; (s = nib_schedule_at(i)) != NULL; ++i) {
    if (!s->device ||
        (c->schedule ? strcmp(s->name, c->schedule)
                     : !strcmp(s->name, "grid_loops") || !strcmp(s->name, "row_sums")))
      continue;
    const nib_vocab *v = vocab_for(s, g);
    int32_t tiles[16][NIB_MAX_TILE];
    int n = v ? s->tiles(g, &g->kernels[0], v, tiles, 16) : 0;
    const int most = c->max_tiles > 0 ? c->max_tiles : 1;
    n = n < most ? n : most;
    for (int j = 0; v && c->more && c->more[j][0] && n < 16; ++j)
      memcpy(tiles[n++], c->more[j], sizeof tiles[0]);
    if (index < n) {
      out->schedule = s;
      memcpy(out->tile, tiles[index], sizeof out->tile);
      return v;
    }
    index -= n;
  }
  return NULL;
}

nib_status bench_kernel_write(const bench_case *c, nib_graph *g, int index, bench_kernel *out,
                              const nib_diag *diag) {
  memset(out, 0, sizeof *out);
  const nib_vocab *v = choose(c, g, index, out);
  if (!v)
    return NIB_ERROR_INVALID_USAGE;
  nib_kernel *k = &g->kernels[0];
  k->schedule = out->schedule->name;
  k->vocab = v->name;
  memcpy(k->tile, out->tile, sizeof k->tile);
  k->scratch_bytes = out->schedule->scratch_bytes(g, k, v);
  k->scratch_offset = 0;
  out->scratch_bytes = k->scratch_bytes;
  char name[96];
  snprintf(name, sizeof name, "%s_%d", c->name, index);
  nib_target target;
  NIB_RETURN_IF_ERROR(nib_target_parse("sm_90a", &target, diag));
  const nib_model_options o = {.name = name, .target = &target, .weights = NIB_WEIGHTS_BLOB};
  nib_model_kernel_symbol(g, name, 0, out->symbol, sizeof out->symbol);
  out->constants = nib_constants_create(name, NIB_WEIGHTS_BLOB);
  if (!out->constants)
    return NIB_ERROR_OUT_OF_MEMORY;
  nib_text kernels;
  nib_text_init(&kernels);
  nib_text_init(&out->source);
  const nib_status status =
      nib_cuda_kernel_write(g, &o, 0, out->constants, &kernels, &out->launch, diag);
  if (status == NIB_OK)
    nib_cuda_file_write(&o, &kernels, &out->source);
  nib_text_free(&kernels);
  if (status != NIB_OK)
    bench_kernel_free(out);
  return status;
}

void bench_kernel_free(bench_kernel *k) {
  nib_text_free(&k->source);
  nib_constants_destroy(k->constants);
  memset(k, 0, sizeof *k);
}
