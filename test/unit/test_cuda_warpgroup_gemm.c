/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
 * RUN: %unit/test_cuda_warpgroup_gemm
 * Matrix products by warpgroups, in emulation (test/cuda), against the reference: every operand
 * format, every tile, one and several tiles for a block, several rounds of the ring, clusters,
 * tails in all three dimensions, zero points at both ends, results of one, two and four bytes
 * stored whole and one by one, followers. And their instructions, assembled where ptxas is found.
 */
#include "cuda_harness.h"

#include "vocab/vocab.h"

enum { MAX_CASES = 64 };
static int32_t tiles_of[MAX_CASES][NIB_MAX_TILE];

typedef struct product {
  nib_op op;
  nib_format x, w;
  int m, n, k;
  int32_t tile[3];
  int zero_x, zero_w, zero_y; /* of quantized operands */
  bool bias, raw, follower;
} product;

static bool is_real(nib_format f) { return nib_format_get(f)->kind == NIB_KIND_FLOAT; }

static int32_t add_operand(suite *s, const product *p) {
  const double scale = is_real(p->x) ? 0 : 0.015625;
  if (p->op == NIB_OP_CONV2D)
    return input(s, p->x, shape(4, 1, p->m, 1, p->k), scale, p->zero_x);
  return input(s, p->x, shape(2, p->m, p->k), scale, p->zero_x);
}

static int32_t add_weights(suite *s, const product *p) {
  const bool own_scale = p->op == NIB_OP_MATMUL || p->zero_w != 0;
  const shape_of d = p->op == NIB_OP_MATMUL   ? shape(2, p->k, p->n)
                     : p->op == NIB_OP_CONV2D ? shape(4, p->n, 1, 1, p->k)
                                              : shape(2, p->n, p->k);
  if (!is_real(p->x) && p->zero_w) { /* codes whose distance from the zero point is int8 */
    const int32_t w = value(s, p->w, d, 0.0078125, p->zero_w);
    const size_t bytes = nib_tensor_bytes(&s->g->tensors[w]);
    uint8_t *data = malloc(bytes);
    for (size_t i = 0; i < bytes; ++i)
      data[i] = (uint8_t)(p->zero_w + pick(s, p->zero_w < 128 ? -p->zero_w : -128,
                                           p->zero_w > 128 ? 255 - p->zero_w : 127));
    nib_graph_set_data(s->g, w, data, bytes, NIB_DATA_COPY);
    free(data);
    return w;
  }
  return constant(s, p->w, d, !is_real(p->x) && own_scale ? 0.0078125 : 0, 0, 0);
}

static int32_t add_result(suite *s, const product *p) {
  const nib_format f = p->raw ? NIB_I32 : p->x;
  const double scale =
      is_real(p->x) || p->raw ? 0 : (double)(float)(0.02 * 0.01 * sqrt(p->k) * 100);
  return value(s, f, p->op == NIB_OP_CONV2D ? shape(4, 1, p->m, 1, p->n) : shape(2, p->m, p->n),
               scale, p->zero_y);
}

static void add_product(suite *s, const product *p) {
  const nib_format_info *f = nib_format_get(p->x);
  snprintf(s->label, sizeof s->label, "%s %s %dx%dx%d tile %dx%dx%d%s", nib_op_get(p->op)->mnemonic,
           f->name, p->m, p->n, p->k, p->tile[0], p->tile[1], p->tile[2],
           p->follower ? " follower" : "");
  const bool codes = !is_real(p->x),
             scaled = codes && p->op != NIB_OP_MATMUL && !p->zero_w && !p->raw;
  const int32_t x = add_operand(s, p), w = add_weights(s, p), y = add_result(s, p);
  const nib_format bias_format = codes ? NIB_I32 : p->x;
  const int32_t bias =
      p->bias ? constant(s, bias_format, shape(1, p->n), 0, 0, codes ? 20000 : 0) : NIB_NONE;
  const int32_t scales = scaled ? constant_scales(s, p->n, 0.01) : NIB_NONE;
  int32_t nodes[2];
  nodes[0] = node(s, p->op, y, scaled ? 4 : p->bias ? 3 : 2, x, w, bias, scales);
  if (p->op == NIB_OP_CONV2D) {
    set_ints(s, nodes[0], NIB_A_STRIDES, 2, 1, 1);
    set_ints(s, nodes[0], NIB_A_PADS, 4, 0, 0, 0, 0);
  }
  int32_t out = y;
  if (p->follower) {
    const nib_tensor *t = &s->g->tensors[y];
    const shape_of d = t->rank == 4 ? shape(4, 1, p->m, 1, p->n) : shape(2, p->m, p->n);
    const double scale = t->quantized ? t->scale * 1.5 : 0;
    const int32_t other = input(s, p->x, d, scale, p->zero_y);
    out = value(s, p->x, d, t->quantized ? t->scale * 2 : 0, p->zero_y);
    nodes[1] = node(s, NIB_OP_ADD, out, 2, y, other);
  }
  output(s, out);
  CHECK(s->g->n_kernels < MAX_CASES);
  for (int i = 0; i < 3; ++i)
    tiles_of[s->g->n_kernels][i] = p->tile[i];
  add_kernel(s, nodes, p->follower ? 2 : 1);
}

static void select_all(suite *s) {
  const nib_schedule *schedule = nib_schedule_find("warpgroup_gemm");
  const nib_vocab *v = nib_vocab_find("cuda90a");
  for (int32_t i = 0; i < s->g->n_kernels; ++i) {
    nib_kernel *k = &s->g->kernels[i];
    int32_t offered[16][NIB_MAX_TILE];
    if (!schedule->accepts(s->g, k, v)) {
      printf("%s: not accepted\n", s->g->nodes[k->nodes[0]].name);
      ++harness_failures;
    }
    const int n = schedule->tiles(s->g, k, v, offered, 16);
    bool found = false;
    for (int j = 0; j < n; ++j)
      found |= memcmp(offered[j], tiles_of[i], sizeof tiles_of[i]) == 0;
    CHECK(found);
    memcpy(k->tile, tiles_of[i], sizeof k->tile);
    k->schedule = schedule->name;
    k->vocab = v->name;
    k->scratch_bytes = 0;
  }
}

#define FC NIB_OP_FULLY_CONNECTED
static const product reals[] = {
    {FC, NIB_BF16, NIB_BF16, 130, 304, 72, {128, 256, 1}, 0, 0, 0, true, false, false},
    {FC, NIB_BF16, NIB_BF16, 300, 300, 712, {128, 256, 2}, 0, 0, 0, false, false, false},
    {FC, NIB_F16, NIB_F16, 129, 136, 648, {128, 128, 2}, 0, 0, 0, true, false, false},
    {FC, NIB_F16, NIB_F16, 7, 72, 1160, {64, 64, 1}, 0, 0, 0, false, false, false},
    {FC, NIB_BF16, NIB_BF16, 770, 760, 136, {64, 64, 1}, 0, 0, 0, false, false, true}, /* 156 tiles
                                                                                        */
    {FC, NIB_F8E4M3FN, NIB_F8E4M3FN, 100, 272, 336, {128, 256, 1}, 0, 0, 0, false, false, false},
    {FC, NIB_F8E4M3FN, NIB_F8E4M3FN, 65, 100, 144, {64, 128, 1}, 0, 0, 0, true, false, false},
    {NIB_OP_MATMUL, NIB_BF16, NIB_BF16, 70, 130, 200, {64, 256, 1}, 0, 0, 0, false, false, false},
    {NIB_OP_CONV2D, NIB_F16, NIB_F16, 81, 64, 64, {128, 64, 1}, 0, 0, 0, true, false, false},
};
static const product codes[] = {
    {FC, NIB_I8, NIB_I8, 130, 272, 336, {128, 256, 1}, -128, 0, 5, true, false, false},
    {FC, NIB_I8, NIB_I8, 257, 304, 1296, {128, 256, 2}, 127, 0, -7, true, false, false},
    {FC, NIB_I8, NIB_I8, 130, 68, 64, {128, 64, 2}, 3, 0, 0, false, false, false},
    {FC, NIB_I8, NIB_I8, 70, 144, 640, {64, 128, 2}, 3, 0, 0, true, false, false},
    {FC, NIB_U8, NIB_U8, 66, 144, 160, {64, 128, 1}, 128, 128, 128, true, false, false},
    {FC, NIB_U8, NIB_I8, 3, 10, 48, {64, 64, 1}, 255, 0, 0, false, false, false},
    {FC, NIB_I8, NIB_I8, 200, 144, 208, {128, 128, 1}, -3, 0, 9, true, false, true},
    {FC, NIB_I8, NIB_I8, 777, 779, 64, {64, 64, 1}, 0, 0, 0, false, false, false}, /* 169 tiles */
    {FC, NIB_I8, NIB_I8, 100, 100, 176, {128, 128, 2}, 11, 0, 0, true, true, false},
    {NIB_OP_CONV2D, NIB_I8, NIB_I8, 196, 256, 64, {64, 256, 1}, -5, 0, 1, true, false, false},
    {NIB_OP_MATMUL, NIB_I8, NIB_I8, 40, 96, 80, {128, 128, 1}, 7, 0, -1, false, false, false},
};

static const char *const real_words[] = {"setmaxnreg.inc.sync.aligned.u32 232",
                                         "setmaxnreg.dec.sync.aligned.u32 40",
                                         "wgmma.mma_async.sync.aligned.m64n256k16.f32.bf16.bf16",
                                         "wgmma.mma_async.sync.aligned.m64n128k16.f32.f16.f16",
                                         "wgmma.mma_async.sync.aligned.m64n256k32.f32.e4m3.e4m3",
                                         "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::"
                                         "complete_tx::bytes.multicast::cluster",
                                         "mbarrier.try_wait.parity",
                                         "st.global.v4.u32",
                                         NULL};
static const char *const code_words[] = {"wgmma.mma_async.sync.aligned.m64n256k32.s32.s8.s8",
                                         "wgmma.mma_async.sync.aligned.m64n128k32.s32.u8.s8",
                                         "cvt.rni.s32.f32", NULL};

static int test(const char *name, const char *rounding, const product *list, size_t n,
                const char *const *words) {
  suite s = suite_open(name, rounding, strlen(rounding));
  for (size_t i = 0; i < n; ++i)
    add_product(&s, &list[i]);
  finish(&s);
  select_all(&s);
  const int compared = compare_on_cuda(&s, "sm_90a", 1, words);
  printf("%s, %s: %d results compared\n", name, rounding, compared);
  CHECK(compared == FILL_COUNT * (int)n);
  nib_graph_destroy(s.g);
  return compared;
}

int main(void) {
  harness_tame_halves = true;
  test("reals", "nearest-even", reals, sizeof reals / sizeof *reals, real_words);
  test("codes", "nearest-even", codes, sizeof codes / sizeof *codes, code_words);
  test("codes", "tflite-double", codes, sizeof codes / sizeof *codes, NULL);
  printf("%d failures\n", harness_failures);
  return harness_failures != 0;
}
