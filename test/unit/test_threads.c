/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
// RUN: %unit/test_threads
/* Kernels cut for threads: networks of every schedule that can be cut, with odd shapes, strides,
 * padding and batches, against the reference; with one thread, with pools, and with functions of
 * the caller's own that run the parts in any number and order. The results are the same to the bit.
 */
#include "emit_harness.h"

#include "nibrt_pool.h"

#include <pthread.h>

enum { networks = 8, least_cut = 20 };

/* ---- networks ---- */

static int32_t add_conv(suite *s, int32_t x, int out_c, int k, int stride, bool depthwise) {
  const nib_tensor t = s->g->tensors[x];
  const int c = (int)t.dims[3], pad = k / 2;
  const bool real = t.format == NIB_F32;
  const nib_format wf = real ? NIB_F32 : t.format;
  const int h = ((int)t.dims[1] + 2 * pad - k) / stride + 1;
  const int w = ((int)t.dims[2] + 2 * pad - k) / stride + 1;
  out_c = depthwise ? c : out_c;
  /* unsigned weights have a zero point: sums of activations are staged beside the rows */
  const double ws = real ? 0 : (double)0.02f;
  const int64_t wz = t.format == NIB_U8 ? 121 : 0;
  const int32_t filter =
      constant(s, wf, depthwise ? shape(4, 1, k, k, c) : shape(4, out_c, k, k, c), ws, wz, 0);
  const int32_t bias =
      constant(s, real ? NIB_F32 : NIB_I32, shape(1, out_c), 0, 0, real ? 0 : 4000);
  const int32_t y = value(
      s, t.format, shape(4, (int)t.dims[0], h, w, out_c),
      real ? 0 : (double)(float)(t.scale * 0.02 * k * k * 2.0 * (depthwise ? 1 : c)), real ? 0 : 3);
  const nib_op op = depthwise ? NIB_OP_DEPTHWISE_CONV2D : NIB_OP_CONV2D;
  const int32_t id = node(s, op, y, 3, x, filter, bias);
  set_ints(s, id, NIB_A_STRIDES, 2, stride, stride);
  set_ints(s, id, NIB_A_DILATIONS, 2, 1, 1);
  set_ints(s, id, NIB_A_PADS, 4, pad, pad, pad, pad);
  return y;
}

static int32_t add_pool(suite *s, int32_t x) {
  const nib_tensor t = s->g->tensors[x];
  const int32_t y = value(
      s, t.format, shape(4, (int)t.dims[0], (int)t.dims[1] - 1, (int)t.dims[2] - 1, (int)t.dims[3]),
      t.quantized ? t.scale : 0, t.zero_point);
  const int32_t id = node(s, NIB_OP_MAX_POOL2D, y, 1, x);
  set_ints(s, id, NIB_A_KERNEL, 2, 2, 2);
  set_ints(s, id, NIB_A_STRIDES, 2, 1, 1);
  set_ints(s, id, NIB_A_PADS, 4, 0, 0, 0, 0);
  return y;
}

static void add_transpose(suite *s, nib_format f, int32_t x, shape_of to, const int64_t *perm) {
  const nib_tensor *t = &s->g->tensors[x];
  const int32_t y = value(s, f, to, t->quantized ? t->scale : 0, (int)t->zero_point);
  nib_graph_set_ints(s->g, node(s, NIB_OP_TRANSPOSE, y, 1, x), NIB_A_PERM, perm, to.rank);
  output(s, y);
}

/* An operand that is repeated, and transposes with and without a block in scratch. */
static void add_moves(suite *s, nib_format f, int32_t x) {
  const bool real = f == NIB_F32;
  const nib_tensor t = s->g->tensors[x];
  const int n = (int)t.dims[0], h = (int)t.dims[1], w = (int)t.dims[2], c = (int)t.dims[3];
  const int32_t by = input(s, f, shape(4, n, h, 1, c), real ? 0 : (double)0.01f, 0);
  const int32_t product = value(s, f, shape(4, n, h, w, c), real ? 0 : (double)0.03f, 0);
  node(s, NIB_OP_MUL, product, 2, x, by);
  output(s, product);
  add_transpose(s, f, product, shape(4, n, c, h, w), (const int64_t[]){0, 3, 1, 2});
  const int32_t high = input(s, f, shape(2, 4096, 200), real ? 0 : (double)0.01f, 0);
  add_transpose(s, f, high, shape(2, 200, 4096), (const int64_t[]){1, 0});
}

/* Large enough that the cost model cuts most kernels. */
static suite network(int number) {
  static const nib_format formats[] = {NIB_I8, NIB_U8, NIB_F32};
  char name[32];
  snprintf(name, sizeof name, "net%d", number);
  suite s = suite_open(name, "tflite-double", 500u + (uint64_t)number);
  const nib_format f = formats[number % 3];
  const bool real = f == NIB_F32;
  snprintf(s.label, sizeof s.label, "n");
  const int batch = number % 4 == 3 ? 2 : 1;
  const int32_t in =
      input(&s, f, shape(4, batch, 31 + number, 29, 24), real ? 0 : (double)0.05f, 0);
  int32_t x = add_conv(&s, in, 40 + 3 * number, 3, 1 + number % 2, false);
  x = add_conv(&s, x, 0, 3, 1, true);
  const int32_t wide = x = add_conv(&s, x, 72 + number, 1, 1, false);
  x = add_pool(&s, x);
  x = add_conv(&s, x, 260, 1, 1, false);
  x = add_conv(&s, x, 130 + number, 3, 2, false);
  output(&s, x);
  /* the same shape twice: an element-wise kernel with a copy of its operand kept */
  const nib_tensor t = s.g->tensors[wide];
  const int32_t sum =
      value(&s, f, shape(4, (int)t.dims[0], (int)t.dims[1], (int)t.dims[2], (int)t.dims[3]),
            real ? 0 : (double)(float)(t.scale * 1.7), real ? 0 : 3);
  node(&s, NIB_OP_ADD, sum, 2, wide, wide);
  output(&s, sum);
  add_moves(&s, f, sum);
  if (real) { /* the portable loops: a product, softmax, a function */
    const int c = (int)t.dims[3];
    const shape_of d = shape(4, (int)t.dims[0], (int)t.dims[1], (int)t.dims[2], 33);
    const int32_t w = constant(&s, f, shape(2, c, 33), 0, 0, 0);
    const int32_t product = value(&s, f, d, 0, 0), soft = value(&s, f, d, 0, 0);
    const int32_t end = value(&s, f, d, 0, 0);
    node(&s, NIB_OP_MATMUL, product, 2, wide, w);
    const int32_t id = node(&s, NIB_OP_SOFTMAX, soft, 1, product);
    nib_graph_set_int(s.g, id, NIB_A_AXIS, 3);
    nib_graph_set_float(s.g, id, NIB_A_BETA, 1e-3);
    output(&s, soft);
    node(&s, NIB_OP_SILU, end, 1, product);
    output(&s, end);
  }
  nib_graph_set_inputs(s.g, s.inputs, s.n_inputs);
  nib_graph_set_outputs(s.g, s.outputs, s.n_outputs);
  return s;
}

static int build(suite *s, const char *dir, const char *target, int threads) {
  nib_options o = emit_options(dir);
  o.target = target;
  o.threads = threads;
  harness_message[0] = 0;
  CHECK(nib_graph_validate(s->g, &harness_diag) == NIB_OK);
  CHECK(nib_fuse_graph(s->g, &o, &harness_diag) == NIB_OK);
  CHECK(nib_plan_graph(s->g, &o, &harness_diag) == NIB_OK);
  CHECK(nib_select_graph(s->g, &o, &harness_diag) == NIB_OK);
  CHECK(nib_emit_graph(s->g, &o, &harness_diag) == NIB_OK);
  if (harness_message[0])
    printf("%s: %s\n", s->g->name, harness_message);
  int cut = 0;
  for (int32_t i = 0; i < s->g->n_kernels; ++i)
    cut += s->g->kernels[i].parts > 1;
  return cut;
}

/* ---- ways to run ---- */

/* A caller's own: all parts, the last first; fewer than asked for; and one. */
static void backwards(void *pool, nibrt_task *task, void *context, uint32_t parts) {
  (void)pool;
  for (uint32_t i = parts; i-- > 0;)
    task(context, i, parts);
}

static void fewer(void *pool, nibrt_task *task, void *context, uint32_t parts) {
  ++*(int *)pool;
  for (uint32_t i = 0; i < (parts + 1) / 2; ++i)
    task(context, i, (parts + 1) / 2);
}

typedef struct job {
  const suite *s;
  model_run *run;
  void *arena;
  void *in[4], *out[8];
  const nibrt_exec *exec;
  bool ok;
} job;

static job open_job(suite *s, model_run *run) {
  const nib_graph *g = s->g;
  job j = {.s = s, .run = run};
  j.arena = aligned_alloc(64, ((size_t)g->arena_bytes + 64) / 64 * 64);
  for (int i = 0; i < g->n_outputs; ++i)
    j.out[i] = aligned_alloc(64, (nib_tensor_bytes(&g->tensors[g->outputs[i]]) + 63) / 64 * 64);
  uint64_t rng = 5;
  for (int i = 0; i < g->n_inputs; ++i) {
    const nib_tensor *t = &g->tensors[g->inputs[i]];
    j.in[i] = aligned_alloc(64, (nib_tensor_bytes(t) + 63) / 64 * 64);
    fill_input(&rng, t, j.in[i], FILL_RANDOM);
  }
  return j;
}

static void close_job(job *j) {
  for (int i = 0; i < j->s->g->n_inputs; ++i)
    free(j->in[i]);
  free(j->arena);
  for (int i = 0; i < j->s->g->n_outputs; ++i)
    free(j->out[i]);
}

static void run_job(job *j) {
  const void *const in[] = {j->in[0], j->in[1], j->in[2], j->in[3]};
  void *arenas[] = {j->arena};
  for (int i = 0; i < j->s->g->n_outputs; ++i)
    memset(j->out[i], 0x5A, nib_tensor_bytes(&j->s->g->tensors[j->s->g->outputs[i]]));
  j->ok = j->run(j->exec, in, j->out, arenas) == NIBRT_OK;
}

static bool same_outputs(const job *a, const job *b) {
  bool same = a->ok && b->ok;
  for (int i = 0; i < a->s->g->n_outputs; ++i)
    same = same && memcmp(a->out[i], b->out[i],
                          nib_tensor_bytes(&a->s->g->tensors[a->s->g->outputs[i]])) == 0;
  return same;
}

static void check_ways(suite *s, model_run *run) {
  job one = open_job(s, run), other = open_job(s, run);
  int calls = 0;
  nibrt_exec exec = {sizeof exec, NIBRT_ABI_VERSION, NULL, NULL, backwards, NULL, NULL};
  run_job(&one);
  other.exec = &exec;
  run_job(&other);
  CHECK(same_outputs(&one, &other));
  exec.parallel = fewer;
  exec.pool = &calls;
  run_job(&other);
  CHECK(same_outputs(&one, &other) && calls > 0);
  /* a caller of the first version of the header: the fields after it are not looked at */
  const int before = calls;
  exec.size = NIBRT_EXEC_SIZE_1;
  exec.version = 1;
  run_job(&other);
  CHECK(same_outputs(&one, &other) && calls == before);
  for (uint32_t threads = 1; threads <= 4; ++threads) {
    nibrt_pool *pool = nibrt_pool_create(threads);
    CHECK(pool != NULL && nibrt_pool_threads(pool) == threads);
    nibrt_pool_exec(pool, &exec);
    for (int i = 0; i < 3; ++i) {
      run_job(&other);
      CHECK(same_outputs(&one, &other));
    }
    nibrt_pool_destroy(pool);
  }
  close_job(&one);
  close_job(&other);
}

static void *run_often(void *argument) {
  job *j = argument;
  bool ok = true;
  for (int i = 0; i < 20; ++i) {
    run_job(j);
    ok = ok && j->ok;
  }
  j->ok = ok;
  return NULL;
}

/* Two models on two threads share a pool. */
static void check_shared_pool(suite *s, model_run *const *run) {
  nibrt_pool *pool = nibrt_pool_create(2);
  nibrt_exec exec;
  nibrt_pool_exec(pool, &exec);
  job one[2], other[2];
  pthread_t thread[2];
  for (int i = 0; i < 2; ++i) {
    one[i] = open_job(&s[i], run[i]);
    other[i] = open_job(&s[i], run[i]);
    other[i].exec = &exec;
    run_job(&one[i]);
    CHECK(pthread_create(&thread[i], NULL, run_often, &other[i]) == 0);
  }
  for (int i = 0; i < 2; ++i) {
    pthread_join(thread[i], NULL);
    CHECK(same_outputs(&one[i], &other[i]));
    close_job(&one[i]);
    close_job(&other[i]);
  }
  nibrt_pool_destroy(pool);
}

int main(void) {
  static const char *const targets[] = {"c99", "x86-64-v3", "x86-64-v4+avx512vnni"};
  suite s[networks];
  model_run *run[networks];
  char dir[64];
  int cut = 0, compared = 0;
  make_folder(dir);
  nib_target widest;
  const bool wide =
      nib_target_parse(targets[2], &widest, NULL) == NIB_OK && nib_target_runs_here(&widest);
  for (int i = 0; i < networks; ++i) {
    s[i] = network(i);
    cut += build(&s[i], dir, targets[(i + i / 3) % (wide ? 3 : 2)], 2 + i % 3);
  }
  void *library = load_models(dir, "-O1 -pthread");
  for (int i = 0; i < networks; ++i) {
    run[i] = find_run(library, s[i].g->name);
    if (!run[i])
      return 1;
    compared += compare_with_reference(&s[i], run[i], 1);
    check_ways(&s[i], run[i]);
  }
  check_shared_pool(s, run);
  printf("%d kernels cut, %d outputs compared, %d failures\n", cut, compared, harness_failures);
  CHECK(cut >= least_cut);
  for (int i = 0; i < networks; ++i)
    nib_graph_destroy(s[i].g);
  dlclose(library);
  remove_folder(dir);
  return harness_failures != 0;
}
